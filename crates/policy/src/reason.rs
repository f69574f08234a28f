//! The reasons of decisions: the number, the name and the meaning of each, and
//! which decisions have it.

use crate::{
    decision::{Kind, Outcome},
    text::without_nul,
};

/// Defines the reasons, one row each.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $reason:ident = $number:literal $name:literal
        $outcome:ident of $kinds:ident;)*) => {
        /// The reason of a decision.
        ///
        /// The numbers are part of the C ABI and never change.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])* $reason = $number,)*
        }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$reason),*];

            /// The stable name, followed by a NUL.
            pub fn as_str_with_nul(self) -> &'static str {
                match self {
                    $(Reason::$reason => concat!($name, "\0"),)*
                }
            }

            /// The outcome of a decision with this reason, and the kinds of
            /// requests that have such decisions.
            fn row(self) -> (Outcome, Kinds) {
                match self {
                    $(Reason::$reason => (Outcome::$outcome, Kinds::$kinds),)*
                }
            }
        }
    };
}

/// Kinds of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kinds {
    All,
    WithoutOrigin,
    WithOrigin,
    Preflight,
}

reasons! {
    /// Origin, method and headers are allowed.
    Allowed = 1 "allowed" Allow of WithOrigin;
    /// The request has no `Origin`.
    NotCors = 2 "not_cors" None of WithoutOrigin;
    /// The origin is not listed, but it is the site's own.
    SameOrigin = 3 "same_origin" None of WithOrigin;
    /// `Origin` is not a valid serialized origin, or there are several.
    OriginMalformed = 4 "origin_malformed" Deny of WithOrigin;
    /// No entry of the policy matches the origin.
    OriginNotAllowed = 5 "origin_not_allowed" Deny of WithOrigin;
    /// The origin is `null`, and the policy does not list it.
    NullOriginNotAllowed = 6 "null_origin_not_allowed" Deny of WithOrigin;
    /// `Access-Control-Request-Method` is not a token, or there are several.
    MethodMalformed = 7 "method_malformed" Deny of Preflight;
    /// The policy does not list the method.
    MethodNotAllowed = 8 "method_not_allowed" Deny of Preflight;
    /// `Access-Control-Request-Headers` is not a list of tokens.
    HeadersMalformed = 9 "headers_malformed" Deny of Preflight;
    /// The policy does not list a header.
    HeaderNotAllowed = 10 "header_not_allowed" Deny of Preflight;
    /// `Access-Control-Request-Headers` is longer than any browser sends.
    HeadersTooLarge = 11 "headers_too_large" Deny of Preflight;
    /// There is no policy of the name that was asked for.
    NoPolicy = 12 "no_policy" Deny of All;
}

impl Reason {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        without_nul(self.as_str_with_nul())
    }

    /// The outcome of a decision about a request of this kind that has this
    /// reason; `None` if there is no such decision.
    pub fn outcome(self, kind: Kind) -> Option<Outcome> {
        let (outcome, kinds) = self.row();
        match (kinds, kind) {
            // Nothing was asked, so that nothing is denied.
            (Kinds::All, Kind::None) => Some(Outcome::None),
            (Kinds::All, _) => Some(outcome),
            (Kinds::WithoutOrigin, Kind::None) => Some(outcome),
            (Kinds::WithOrigin, kind) if kind != Kind::None => Some(outcome),
            (Kinds::Preflight, Kind::Preflight) => Some(outcome),
            _ => None,
        }
    }
}
