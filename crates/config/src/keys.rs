//! The names that documents use, and what was probably meant by others.

/// The keys of a policy.
pub(crate) const KEYS: [&str; 16] = [
    "allow_origins",
    "allow_methods",
    "allow_headers",
    "expose_headers",
    "allow_credentials",
    "max_age",
    "allow_private_network",
    "timing_allow_origin",
    "preflight",
    "preflight_status",
    "disallowed",
    "websocket",
    "self_origins",
    "upstream_headers",
    "mode",
    "dangerously_allow",
];

/// The keys of a document.
pub(crate) const SECTIONS: [&str; 2] = ["policy", "defaults"];

/// What other tools call the keys of a policy, brought into the form of
/// [`plain`].
const FOREIGN: &[(&str, &[&str])] = &[
    (
        "allow_origins",
        &[
            "allow_origin",
            "allow_origin_list",
            "allow_origin_patterns",
            "allow_origin_regex",
            "allow_origin_string_match",
            "allow_origins_by_regex",
            "allowed_origin",
            "allowed_origin_patterns",
            "allowed_origin_regexes",
            "allowed_origins",
            "domains",
            "hosts",
            "origin",
            "origin_list",
            "origin_patterns",
            "origin_regex",
            "origin_whitelist",
            "origins",
            "whitelist",
        ],
    ),
    (
        "allow_methods",
        &["allow_method", "allowed_method", "allowed_methods", "methods"],
    ),
    (
        "allow_headers",
        &[
            "allow_header",
            "allowed_header",
            "allowed_headers",
            "headers",
            "request_headers",
        ],
    ),
    (
        "expose_headers",
        &["expose_header", "exposed", "exposed_headers", "response_headers"],
    ),
    (
        "allow_credentials",
        &[
            "allow_cookies",
            "allowed_credentials",
            "cookies",
            "credentialed",
            "credentials",
            "support_credentials",
            "supports_credentials",
            "with_credentials",
        ],
    ),
    (
        "max_age",
        &[
            "max_age_in_seconds",
            "max_age_seconds",
            "maxage",
            "preflight_max_age",
            "preflight_maxage",
            "ttl",
        ],
    ),
    (
        "allow_private_network",
        &[
            "allow_local_network",
            "allow_private_network_access",
            "private_network",
            "private_network_access",
        ],
    ),
    (
        "timing_allow_origin",
        &["allow_timing", "tao", "timing", "timing_allow_origins"],
    ),
    (
        "preflight",
        &[
            "forward_not_matching_preflights",
            "options_passthrough",
            "passthrough",
            "preflight_continue",
        ],
    ),
    (
        "preflight_status",
        &[
            "options_response_code",
            "options_success_status",
            "preflight_success_status",
            "success_status",
        ],
    ),
    (
        "self_origins",
        &["own_origins", "same_origins", "self_origin", "site_origins"],
    ),
    ("upstream_headers", &["upstream", "upstream_header"]),
    ("mode", &["dry_run", "report_only", "shadow", "shadow_enabled"]),
    (
        "dangerously_allow",
        &[
            "danger",
            "dangerous",
            "dangerously",
            "dangerously_tolerate_insecure_origins",
            "dangerously_tolerate_subdomains_of_public_suffixes",
        ],
    ),
];

/// Whatever is longer is no slip of one of our names.
const MAX_NAME: usize = 64;

/// The key of a policy that was probably meant.
pub(crate) fn meant_key(key: &str) -> Option<&'static str> {
    if key.len() > MAX_NAME {
        return None;
    }
    let plain = plain(key);
    let foreign = FOREIGN
        .iter()
        .find(|(_, names)| names.contains(&plain.as_str()))
        .map(|(key, _)| *key);
    foreign.or_else(|| nearest(&plain, &KEYS))
}

/// The key of a document that was probably meant.
pub(crate) fn meant_section(key: &str) -> Option<&'static str> {
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
    fn finds_what_was_meant() {
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
            assert_eq!(meant_key(key), Some(meant), "{key}");
        }
        for key in ["", "x", "colour", &"allow_origins".repeat(1000)] {
            assert_eq!(meant_key(key), None, "{key}");
        }
        for (key, meant) in [
            ("polices", "policy"),
            ("policies", "policy"),
            ("Policy", "policy"),
            ("default", "defaults"),
            ("defaluts", "defaults"),
        ] {
            assert_eq!(meant_section(key), Some(meant), "{key}");
        }
        assert_eq!(meant_section("case"), None);
        for names in FOREIGN.iter().map(|(_, names)| names) {
            assert!(names.iter().all(|name| plain(name) == *name));
        }
    }
}
