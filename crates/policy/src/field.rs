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
        match RequestField::compare(name) {
            Comparison::Other => None,
            Comparison::Equal(field) => Some(field),
            Comparison::Similar(field) => field.is_named(name).then_some(field),
        }
    }

    /// Compares a name, without a call: most names are those of no field here, and
    /// most servers have names in lower case.
    #[inline(always)]
    pub fn compare(name: &[u8]) -> Comparison {
        use RequestField as Field;
        // The length alone excludes almost every other field.
        match name.len() {
            4 => Field::Host.compare_to(name),
            6 => Field::Origin.compare_to(name),
            7 => match name {
                [b':', b'm' | b'M', ..] => Field::Method.compare_to(name),
                [b':', ..] => Field::Scheme.compare_to(name),
                _ => Field::Upgrade.compare_to(name),
            },
            9 => Field::Protocol.compare_to(name),
            10 => Field::Authority.compare_to(name),
            14 => Field::SecFetchSite.compare_to(name),
            29 => Field::RequestMethod.compare_to(name),
            30 => Field::RequestHeaders.compare_to(name),
            38 => Field::RequestPrivateNetwork.compare_to(name),
            _ => Comparison::Other,
        }
    }

    #[inline(always)]
    fn compare_to(self, name: &[u8]) -> Comparison {
        let own = self.as_str().as_bytes();
        let ([first, .., late, _], [own_first, .., own_late, _]) = (name, own)
        else {
            return Comparison::Other;
        };
        // Two bytes exclude the fields that browsers send beside these, such as
        // `Accept`, `User-Agent` and `Sec-Fetch-Mode`. The bit makes letters lower
        // case; what else it makes equal is only similar.
        if first | 0x20 != *own_first || late | 0x20 != *own_late {
            return Comparison::Other;
        }
        match equal(name, own) {
            true => Comparison::Equal(self),
            false => Comparison::Similar(self),
        }
    }

    /// Whether this is the name of the field, in any case.
    pub fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.as_str().as_bytes())
    }
}

/// The result of comparing a name to those of the fields of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// It is the name of another field.
    Other,
    /// It is the name of this field, in lower case.
    Equal(RequestField),
    /// It may be the name of this field: [`RequestField::is_named`] tells.
    Similar(RequestField),
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
