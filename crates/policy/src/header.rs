//! The response headers that a policy owns.

use crate::text::without_nul;

/// A response header that a policy may own.
///
/// The numbers are part of the C ABI and never change.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum HeaderName {
    /// `Access-Control-Allow-Origin`
    AllowOrigin = 1,
    /// `Access-Control-Allow-Credentials`
    AllowCredentials = 2,
    /// `Access-Control-Allow-Methods`
    AllowMethods = 3,
    /// `Access-Control-Allow-Headers`
    AllowHeaders = 4,
    /// `Access-Control-Expose-Headers`
    ExposeHeaders = 5,
    /// `Access-Control-Max-Age`
    MaxAge = 6,
    /// `Access-Control-Allow-Private-Network`
    AllowPrivateNetwork = 7,
    /// `Timing-Allow-Origin`
    TimingAllowOrigin = 8,
}

impl HeaderName {
    /// All of them, in the order of their numbers.
    pub const ALL: [HeaderName; 8] = [
        HeaderName::AllowOrigin,
        HeaderName::AllowCredentials,
        HeaderName::AllowMethods,
        HeaderName::AllowHeaders,
        HeaderName::ExposeHeaders,
        HeaderName::MaxAge,
        HeaderName::AllowPrivateNetwork,
        HeaderName::TimingAllowOrigin,
    ];

    /// The name as the standards spell it.
    pub fn as_str(self) -> &'static str {
        without_nul(self.as_str_with_nul())
    }

    /// The name in lower case, as HTTP/2 and HTTP/3 send it.
    pub fn as_lower_str(self) -> &'static str {
        without_nul(self.as_lower_str_with_nul())
    }

    /// [`HeaderName::as_str`], followed by a NUL.
    pub const fn as_str_with_nul(self) -> &'static str {
        match self {
            HeaderName::AllowOrigin => "Access-Control-Allow-Origin\0",
            HeaderName::AllowCredentials => {
                "Access-Control-Allow-Credentials\0"
            }
            HeaderName::AllowMethods => "Access-Control-Allow-Methods\0",
            HeaderName::AllowHeaders => "Access-Control-Allow-Headers\0",
            HeaderName::ExposeHeaders => "Access-Control-Expose-Headers\0",
            HeaderName::MaxAge => "Access-Control-Max-Age\0",
            HeaderName::AllowPrivateNetwork => {
                "Access-Control-Allow-Private-Network\0"
            }
            HeaderName::TimingAllowOrigin => "Timing-Allow-Origin\0",
        }
    }

    /// [`HeaderName::as_lower_str`], followed by a NUL.
    pub const fn as_lower_str_with_nul(self) -> &'static str {
        match self {
            HeaderName::AllowOrigin => "access-control-allow-origin\0",
            HeaderName::AllowCredentials => {
                "access-control-allow-credentials\0"
            }
            HeaderName::AllowMethods => "access-control-allow-methods\0",
            HeaderName::AllowHeaders => "access-control-allow-headers\0",
            HeaderName::ExposeHeaders => "access-control-expose-headers\0",
            HeaderName::MaxAge => "access-control-max-age\0",
            HeaderName::AllowPrivateNetwork => {
                "access-control-allow-private-network\0"
            }
            HeaderName::TimingAllowOrigin => "timing-allow-origin\0",
        }
    }

    /// The header of this name, in any case.
    pub fn from_bytes(name: &[u8]) -> Option<HeaderName> {
        // The length alone tells almost every other header apart.
        let candidate = match name.len() {
            19 => HeaderName::TimingAllowOrigin,
            22 => HeaderName::MaxAge,
            27 => HeaderName::AllowOrigin,
            28 if matches!(name.last(), Some(b's' | b'S')) => {
                match name.get(21) {
                    Some(b'm' | b'M') => HeaderName::AllowMethods,
                    _ => HeaderName::AllowHeaders,
                }
            }
            29 => HeaderName::ExposeHeaders,
            32 => HeaderName::AllowCredentials,
            36 => HeaderName::AllowPrivateNetwork,
            _ => return None,
        };
        name.eq_ignore_ascii_case(candidate.as_lower_str().as_bytes())
            .then_some(candidate)
    }

    pub(crate) fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// Where the value of a header comes from, and so how long its bytes live.
///
/// The numbers are part of the C ABI and never change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Source {
    /// The policy owns it.
    Fixed = 1,
    /// It is the request's `Origin`.
    Origin = 2,
    /// It is the request's `Access-Control-Request-Method`.
    Method = 3,
    /// It is a line of the request's `Access-Control-Request-Headers`.
    HeaderList = 4,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for header in HeaderName::ALL {
            let name = header.as_str();
            assert_eq!(HeaderName::from_bytes(name.as_bytes()), Some(header));
            let upper = name.to_ascii_uppercase();
            assert_eq!(HeaderName::from_bytes(upper.as_bytes()), Some(header));
            assert_eq!(name.to_ascii_lowercase(), header.as_lower_str());
        }
        let others: [&[u8]; 5] = [
            b"",
            b"access-control-allow-originx",
            b"access-control-allow-headerz",
            b"access-control-request-method",
            b"vary",
        ];
        for other in others {
            assert_eq!(HeaderName::from_bytes(other), None);
        }
    }
}
