//! The keys that an unknown name probably stands for.

use crate::settings::{FOREIGN, KEYS};

/// The keys of a policy file.
pub(crate) const SECTIONS: [&str; 2] = ["policy", "defaults"];

/// The longest name that may be a typo of one of ours.
const MAX_NAME: usize = 64;

/// The key of a policy that an unknown one probably stands for.
pub(crate) fn suggest_key(key: &str) -> Option<&'static str> {
    if key.len() > MAX_NAME {
        return None;
    }
    let plain = plain(key);
    let foreign = FOREIGN
        .iter()
        .find(|(_, names)| names.contains(&plain.as_str()))
        .map(|(key, _)| *key);
    foreign.or_else(|| nearest(&plain, KEYS))
}

/// The key of a policy file that an unknown one probably stands for.
pub(crate) fn suggest_section(key: &str) -> Option<&'static str> {
    match key {
        "cors" | "policies" | "rule" | "rules" => Some("policy"),
        _ => nearest(key, &SECTIONS),
    }
}

/// The name that differs least, if it does not differ much.
pub(crate) fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    if word.len() > MAX_NAME {
        return None;
    }
    let word = plain(word);
    names
        .iter()
        .map(|name| (strsim::osa_distance(&word, name), *name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The name in lower case, words joined by `_`, without the prefixes that header
/// names and settings have.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && lower {
            plain.push('_');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        plain.push(match c {
            '-' | ' ' | '.' => '_',
            c => c.to_ascii_lowercase(),
        });
    }
    for prefix in ["cors_", "access_control_"] {
        if let Some(rest) = plain.strip_prefix(prefix) {
            plain = rest.to_owned();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_keys() {
        for (key, meant) in [
            ("allow_orgins", "allow_origins"),
            ("allow-origins", "allow_origins"),
            ("allowed_origins", "allow_origins"),
            ("allowedOrigins", "allow_origins"),
            ("origins", "allow_origins"),
            ("Access-Control-Allow-Origin", "allow_origins"),
            ("access-control-max-age", "max_age"),
            ("maxAge", "max_age"),
            ("MaxAgeInSeconds", "max_age"),
            ("allowCredentials", "allow_credentials"),
            ("supports_credentials", "allow_credentials"),
            ("CORS_ALLOW_HEADERS", "allow_headers"),
            ("exposedHeaders", "expose_headers"),
            ("optionsSuccessStatus", "preflight_status"),
            ("preflightContinue", "preflight"),
            ("preflght", "preflight"),
            ("websockets", "websocket"),
            ("dangerously_alow", "dangerously_allow"),
        ] {
            assert_eq!(suggest_key(key), Some(meant), "{key}");
        }
        for key in ["", "x", "colour", &"allow_origins".repeat(1000)] {
            assert_eq!(suggest_key(key), None, "{key}");
        }
        for (key, meant) in [
            ("polices", "policy"),
            ("policies", "policy"),
            ("Policy", "policy"),
            ("default", "defaults"),
            ("defaluts", "defaults"),
        ] {
            assert_eq!(suggest_section(key), Some(meant), "{key}");
        }
        assert_eq!(suggest_section("case"), None);
        for names in FOREIGN.iter().map(|(_, names)| names) {
            assert!(names.iter().all(|name| plain(name) == *name));
        }
    }
}
