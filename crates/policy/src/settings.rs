//! The settings of a policy that are one of a few words.

/// Defines an enumeration and the words that policy files write for its values.
macro_rules! keywords {
    ($($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $value_doc:literal])* $(@$default:ident)? $value:ident = $number:literal $word:literal,)*
    })*) => {$(
        $(#[doc = $doc])*
        ///
        /// The numbers are part of the C ABI and never change.
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum $name {
            $(
                $(#[doc = $value_doc])*
                $(#[$default])?
                $value = $number,
            )*
        }

        impl $name {
            /// All values: the word of each in a policy file, and what it means.
            pub const ALL: &'static [($name, &'static str, &'static str)] = &[
                $(($name::$value, $word, concat!($($value_doc),*)),)*
            ];

            /// The word that a policy file writes.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$value => $word,)*
                }
            }
        }
    )*};
}

keywords! {
    /// Who answers a preflight that is allowed.
    Preflight {
        /// The engine answers it.
        @default Answer = 0 "answer",
        /// The application answers it, and the engine sets its headers on that
        /// response. A denied preflight is answered by the engine all the same.
        Forward = 1 "forward",
    }

    /// How a request from an origin that is not allowed is handled.
    Disallowed {
        /// The request is passed on; its response gets no CORS headers.
        @default Pass = 0 "pass",
        /// The request is answered with 403.
        Reject = 1 "reject",
    }

    /// How CORS headers of the application itself are handled.
    Upstream {
        /// They are removed, and those of the decision are set.
        @default Replace = 0 "replace",
        /// Where the application's response has an `Access-Control-Allow-Origin`,
        /// only `Vary` is changed; otherwise as `replace`.
        Keep = 1 "keep",
    }

    /// Whether decisions are carried out.
    Mode {
        /// Decisions are carried out.
        @default Enforce = 0 "enforce",
        /// Decisions are made and reported, and change no response.
        Report = 1 "report",
    }
}

/// Who may read the resource timing of responses: `Timing-Allow-Origin`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Timing {
    /// The header is left to the application.
    #[default]
    Off,
    /// The allowed origins may.
    AllowedOrigins,
    /// Every origin may.
    Any,
}
