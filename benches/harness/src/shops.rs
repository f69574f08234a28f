//! The policy of requests through servers.

pub(super) use libcors_benches::shop as origin;

/// What it allows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origins {
    /// So many origins.
    Exact(usize),
    /// All of them, by a regular expression.
    Expression,
}

pub(super) const EXPRESSION: &str = r"https://shop-[0-9]+\.example\.org";

impl Origins {
    /// The policy `shop`.
    pub(super) fn document(self) -> String {
        let list: String = match self {
            Origins::Exact(count) => {
                (0..count).map(|i| format!("  \"{}\",\n", origin(i))).collect()
            }
            Origins::Expression => format!("  {{ regex = '{EXPRESSION}' }}\n"),
        };
        format!(
            "[policy.shop]\nallow_origins = [\n{list}]\n\
             allow_methods = [\"PUT\", \"DELETE\"]\n\
             allow_headers = [\"Content-Type\", \"X-Token\"]\n\
             expose_headers = [\"X-Request-Id\"]\n\
             allow_credentials = true\nmax_age = 600\n"
        )
    }
}
