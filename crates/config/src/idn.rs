//! International names in the form that browsers send.

/// The host as browsers write it, if it can be one. Without the feature `idna`
/// only for what is ASCII as it stands.
pub(crate) fn to_ascii(host: &str) -> Option<String> {
    #[cfg(feature = "idna")]
    return idna::domain_to_ascii(host).ok();
    #[cfg(not(feature = "idna"))]
    return host.is_ascii().then(|| host.to_ascii_lowercase());
}

/// Whether a label that starts with `xn--` stands for a name. Without the feature
/// `idna` each is taken to: if one does not, no page has its origin.
pub(crate) fn is_punycode(label: &str) -> bool {
    !cfg!(feature = "idna") || to_ascii(label).is_some_and(|it| it == label)
}
