/*!
This crate provides policy documents: TOML or JSON in, checked policies out.

A document holds any number of policies, each in a table `[policy.NAME]`, and
optional `[defaults]` that every policy starts from. It is checked to its end: all
problems are found at once, each with a stable [code](codes), a place, a plain
sentence and, where there is one, a text to put in its place. A document with an
error yields no policy at all.

# Example

This example shows a document with a slip, and the same document mended:

```
use libcors_config::{Format, parse};

let outcome = parse(
    br#"
        [policy.api]
        allow_origins = ["https://App.Example.com/"]
    "#,
    "cors.toml",
    Format::Auto,
);
assert!(outcome.policies.is_none());
let error = outcome.diagnostics.errors().next().unwrap();
assert_eq!(error.key_path, "policy.api.allow_origins[0]");
assert_eq!(error.hint.as_deref(), Some(r#"write "https://app.example.com""#));

let outcome = parse(
    br#"
        [policy.api]
        allow_origins = ["https://app.example.com"]
    "#,
    "cors.toml",
    Format::Auto,
);
let policies = outcome.policies.unwrap();
assert_eq!(policies.get("api").unwrap().name(), "api");
```

# Cost

A document of 1,000,000 origins takes less than a second, and a hostile one is refused
before it takes much time or memory: its size, its depth, the number of its words
and that of its entries are limited, and so is the number of problems that are
listed. Of what is here only expressions run while a request is decided.

# Features

These are on unless they are switched off. A library without them is smaller, and finds
less; the [codes] say what.

- `idna`: knows the Punycode form of international names, and which is valid.
- `public-suffixes`: knows under which names anyone can get a name.
- `regex`: entries that are regular expressions; needs `public-suffixes`.
*/

#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod codes;

mod checks;
mod coverage;
mod diagnostic;
mod document;
mod idn;
mod json;
mod lists;
mod names;
mod origins;
mod outcome;
mod reader;
#[cfg_attr(not(feature = "regex"), path = "no_regex.rs")]
mod regex;
mod resolve;
#[cfg(feature = "schema")]
mod schema;
mod settings;
mod source;
mod suffix;
mod suggest;
mod toml;
mod tree;

#[cfg(feature = "schema")]
pub use crate::schema::schema;
pub use crate::{
    diagnostic::{Diagnostic, Diagnostics, MAX_DIAGNOSTICS, Related, Severity},
    lists::is_forbidden_request_header,
    outcome::{
        CompiledPolicy, Format, MAX_LEN, NamedPolicy, Outcome, Policies,
        compile, load, load_compiled, open_compiled, parse,
    },
    settings::{Flag, OriginEntry, PolicySpec},
    suggest::suggest_origin,
};
pub use libcors_policy::{
    Disallowed, Mode, NetworkScheme, PortPattern, Preflight, Timing, Upstream,
};
