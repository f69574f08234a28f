//! The request fields that a decision depends on.

use crate::table::equal;

/// A field of a request, or a pseudo-header, that a decision depends on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum RequestField {
    /// `Origin`
    Origin,
    /// `Access-Control-Request-Method`
    RequestMethod,
    /// `Access-Control-Request-Headers`
    RequestHeaders,
    /// `Access-Control-Request-Private-Network`
    RequestPrivateNetwork,
    /// `Upgrade`
    Upgrade,
    /// `Sec-Fetch-Site`
    SecFetchSite,
    /// `Host`
    Host,
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `:scheme`
    Scheme,
    /// `:protocol`
    Protocol,
}

impl RequestField {
    /// All fields.
    pub const ALL: [RequestField; 11] = [
        RequestField::Origin,
        RequestField::RequestMethod,
        RequestField::RequestHeaders,
        RequestField::RequestPrivateNetwork,
        RequestField::Upgrade,
        RequestField::SecFetchSite,
        RequestField::Host,
        RequestField::Authority,
        RequestField::Method,
        RequestField::Scheme,
        RequestField::Protocol,
    ];

    /// The name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            RequestField::Origin => "origin",
            RequestField::RequestMethod => "access-control-request-method",
            RequestField::RequestHeaders => "access-control-request-headers",
            RequestField::RequestPrivateNetwork => {
                "access-control-request-private-network"
            }
            RequestField::Upgrade => "upgrade",
            RequestField::SecFetchSite => "sec-fetch-site",
            RequestField::Host => "host",
            RequestField::Authority => ":authority",
            RequestField::Method => ":method",
            RequestField::Scheme => ":scheme",
            RequestField::Protocol => ":protocol",
        }
    }

    /// The field of this name, in any case.
    #[inline]
    pub fn from_bytes(name: &[u8]) -> Option<RequestField> {
        // The length alone excludes almost every other field.
        let candidate = match name.len() {
            4 => RequestField::Host,
            6 => RequestField::Origin,
            7 => match name {
                [b':', b'm' | b'M', ..] => RequestField::Method,
                [b':', ..] => RequestField::Scheme,
                _ => RequestField::Upgrade,
            },
            9 => RequestField::Protocol,
            10 => RequestField::Authority,
            14 => RequestField::SecFetchSite,
            29 => RequestField::RequestMethod,
            30 => RequestField::RequestHeaders,
            38 => RequestField::RequestPrivateNetwork,
            _ => return None,
        };
        let own = candidate.as_str().as_bytes();
        // Most servers have names in lower case.
        (equal(name, own) || name.eq_ignore_ascii_case(own))
            .then_some(candidate)
    }
}

/// The lengths of names, each as a bit: that of the length modulo 32. A caller that
/// tests it first need not ask for most names.
pub const fn length_bits(lengths: &[usize]) -> u32 {
    let (mut bits, mut at) = (0, 0);
    while at < lengths.len() {
        bits |= 1 << (lengths[at] & 31);
        at += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for field in RequestField::ALL {
            let name = field.as_str();
            assert_eq!(RequestField::from_bytes(name.as_bytes()), Some(field));
            let upper = name.to_ascii_uppercase();
            assert_eq!(RequestField::from_bytes(upper.as_bytes()), Some(field));
        }
        for other in
            ["", "cookie", ":path12", "upgradf", "hosts", ":authorit\u{79}x"]
        {
            assert_eq!(RequestField::from_bytes(other.as_bytes()), None);
        }
    }

    #[test]
    fn lengths_are_bits() {
        assert_eq!(length_bits(&[4, 6, 38]), 1 << 4 | 1 << 6);
    }
}
