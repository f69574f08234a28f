//! What a browser makes of an answer: the CORS check, the CORS-preflight fetch, the TAO check and
//! the filter of response headers, after the Fetch standard.
//!
//! It sees responses as they stand on the wire and knows no policy. Where a test says "the page
//! gets through", this is the judge.

/// The credentials mode of a fetch. For CORS, `same-origin` is the same as `omit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// No cookies.
    Omit,
    /// Cookies, and client certificates.
    Include,
}

impl Credentials {
    /// Both modes.
    pub const ALL: [Credentials; 2] = [Credentials::Omit, Credentials::Include];

    /// As the suite writes it.
    pub fn name(self) -> &'static str {
        match self {
            Credentials::Omit => "omit",
            Credentials::Include => "include",
        }
    }
}

/// Where browsers and the standard part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `Access-Control-Allow-Headers: *` lets `Authorization` through when credentials are not
    /// included.
    pub wildcard_covers_authorization: bool,
}

impl Rules {
    /// As the Fetch standard says.
    pub const FETCH: Rules = Rules { wildcard_covers_authorization: false };
    /// As Chromium and Firefox do.
    pub const SHIPPED: Rules = Rules { wildcard_covers_authorization: true };
}

/// How the names of a preflight's header list are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Each name once, as the standard says.
    Chromium,
    /// A name as often as the script appended it.
    Firefox,
}

/// Why a page does not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// A script cannot make such a request: its method or a header name is forbidden or no token.
    NotSent,
    /// No `Access-Control-Allow-Origin`.
    AllowOriginMissing,
    /// Several lines of it, or a list.
    AllowOriginMultiple,
    /// It is not the page's origin.
    AllowOriginMismatch,
    /// It is `*`, and credentials are included.
    AllowOriginWildcard,
    /// Credentials are included, and `Access-Control-Allow-Credentials` is not `true`.
    AllowCredentials,
    /// The preflight's status is not in 200-299.
    PreflightStatus,
    /// `Access-Control-Allow-Methods` is no list of tokens.
    AllowMethodsMalformed,
    /// `Access-Control-Allow-Headers` is no list of tokens.
    AllowHeadersMalformed,
    /// The method is not in the list.
    Method,
    /// A header name is not in the list.
    Header,
}

/// What a script wants to send, when it comes to the checks: the method normalized, and the names
/// that need permission.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The page's origin, serialized.
    pub origin: Vec<u8>,
    /// The method after [`normalize_method`].
    pub method: Vec<u8>,
    /// The CORS-unsafe request-header names.
    pub unsafe_headers: Vec<Vec<u8>>,
    /// The credentials mode.
    pub credentials: Credentials,
    /// The use-CORS-preflight flag: an upload listener, or a stream as the body.
    pub forced: bool,
}

/// An answer on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The header lines, in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Response {
    /// A response of header lines given as strings or bytes.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        status: u16,
        headers: &[(N, V)],
    ) -> Self {
        Response {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (name.as_ref().to_vec(), value.as_ref().to_vec())
                })
                .collect(),
        }
    }

    fn lines(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| strip(value, b" \t\r\n"))
            .collect()
    }

    /// The standard's "get": all lines of a name as one value.
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let lines = self.lines(name);
        (!lines.is_empty()).then(|| lines.join(b", ".as_slice()))
    }

    /// The standard's "get, decode, and split": the values of a list whose quoted parts may hold
    /// commas.
    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let Some(whole) = self.get(name) else {
            return Vec::new();
        };
        let mut values = vec![Vec::new()];
        let mut quoted = false;
        let mut escaped = false;
        for byte in whole {
            if byte == b',' && !quoted {
                values.push(Vec::new());
                continue;
            }
            if byte == b'"' && !escaped {
                quoted = !quoted;
            }
            escaped = quoted && byte == b'\\' && !escaped;
            if let Some(value) = values.last_mut() {
                value.push(byte);
            }
        }
        values.iter().map(|value| strip(value, b" \t").to_vec()).collect()
    }

    /// The standard's "extract header list values", for a list of tokens. No line is `Ok(None)`.
    fn tokens(&self, name: &str) -> Result<Option<Vec<Vec<u8>>>, ()> {
        let lines = self.lines(name);
        if lines.is_empty() {
            return Ok(None);
        }
        let mut tokens = Vec::new();
        for line in lines {
            for element in line.split(|byte| *byte == b',') {
                let element = strip(element, b" \t");
                if element.is_empty() {
                    continue;
                }
                if !is_token(element) {
                    return Err(());
                }
                tokens.push(element.to_vec());
            }
        }
        Ok(Some(tokens))
    }
}

fn strip<'a>(mut value: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = value
        && bytes.contains(first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && bytes.contains(last)
    {
        value = rest;
    }
    value
}

/// Whether a value is a token of HTTP: a method, or a header name.
pub fn is_token(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|byte| {
            matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
                || b"!#$%&'*+-.^_`|~".contains(byte)
        })
}

/// Upper-cases the six methods that the standard normalizes, and no other (`patch` stays).
pub fn normalize_method(method: &[u8]) -> Vec<u8> {
    let upper = method.to_ascii_uppercase();
    match upper.as_slice() {
        b"DELETE" | b"GET" | b"HEAD" | b"OPTIONS" | b"POST" | b"PUT" => upper,
        _ => method.to_vec(),
    }
}

/// Methods that a script may not use, in any case.
pub fn is_forbidden_method(method: &[u8]) -> bool {
    ["CONNECT", "TRACE", "TRACK"]
        .iter()
        .any(|name| method.eq_ignore_ascii_case(name.as_bytes()))
}

/// Methods that need no permission.
pub fn is_safelisted_method(method: &[u8]) -> bool {
    [b"GET".as_slice(), b"HEAD", b"POST"].contains(&method)
}

/// Names that need no permission unless their value is out of the ordinary.
pub fn is_safelisted_header(name: &[u8]) -> bool {
    ["accept", "accept-language", "content-language", "content-type", "range"]
        .iter()
        .any(|safe| name.eq_ignore_ascii_case(safe.as_bytes()))
}

/// The CORS check, made on every response: of the preflight, of a redirect, of the fetch itself.
pub fn cors_check(
    origin: &[u8],
    credentials: Credentials,
    response: &Response,
) -> Result<(), Blocked> {
    let include = credentials == Credentials::Include;
    let Some(allowed) = response.get("access-control-allow-origin") else {
        return Err(Blocked::AllowOriginMissing);
    };
    if allowed == b"*" && !include {
        return Ok(());
    }
    if allowed != origin {
        return Err(if allowed == b"*" {
            Blocked::AllowOriginWildcard
        } else if allowed.contains(&b',') || allowed.contains(&b' ') {
            Blocked::AllowOriginMultiple
        } else {
            Blocked::AllowOriginMismatch
        });
    }
    if !include {
        return Ok(());
    }
    match response.get("access-control-allow-credentials") {
        Some(value) if value == b"true" => Ok(()),
        _ => Err(Blocked::AllowCredentials),
    }
}

/// The checks on the answer to a preflight.
pub fn preflight_check(
    fetch: &Fetch,
    response: &Response,
    rules: Rules,
) -> Result<(), Blocked> {
    if !is_token(&fetch.method)
        || is_forbidden_method(&fetch.method)
        || fetch.unsafe_headers.iter().any(|name| !is_token(name))
    {
        return Err(Blocked::NotSent);
    }
    cors_check(&fetch.origin, fetch.credentials, response)?;
    if !(200..=299).contains(&response.status) {
        return Err(Blocked::PreflightStatus);
    }
    let methods = response
        .tokens("access-control-allow-methods")
        .map_err(|()| Blocked::AllowMethodsMalformed)?;
    let headers = response
        .tokens("access-control-allow-headers")
        .map_err(|()| Blocked::AllowHeadersMalformed)?
        .unwrap_or_default();
    // Meant to get a forced preflight into the cache; by the letter it also lets a method through
    // that the answer says nothing about.
    let methods = match methods {
        None if fetch.forced => vec![fetch.method.clone()],
        None => Vec::new(),
        Some(methods) => methods,
    };
    let omit = fetch.credentials == Credentials::Omit;
    let wildcard =
        |list: &[Vec<u8>]| omit && list.iter().any(|item| item == b"*");
    if !methods.contains(&fetch.method)
        && !is_safelisted_method(&fetch.method)
        && !wildcard(&methods)
    {
        return Err(Blocked::Method);
    }
    for name in &fetch.unsafe_headers {
        if headers.iter().any(|item| item.eq_ignore_ascii_case(name)) {
            continue;
        }
        let by_name_only = name.eq_ignore_ascii_case(b"authorization")
            && !rules.wildcard_covers_authorization;
        if by_name_only || !wildcard(&headers) {
            return Err(Blocked::Header);
        }
    }
    Ok(())
}

/// The TAO check: whether a page of another origin is told how long the response took. Made on
/// every response, those of images and scripts too. The size of the body goes with it in Chromium;
/// Firefox keeps that from a page that loads an image without CORS.
pub fn timing_check(origin: &[u8], response: &Response) -> bool {
    let values = response.values("timing-allow-origin");
    values.iter().any(|value| value == b"*" || value == origin)
}

/// The names of a response's headers that a page can read, in lower case, sorted, each once.
pub fn exposed_headers(
    response: &Response,
    credentials: Credentials,
) -> Vec<String> {
    const SAFELISTED: [&str; 7] = [
        "cache-control",
        "content-language",
        "content-length",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
    ];
    let listed: Vec<String> =
        match response.tokens("access-control-expose-headers") {
            Ok(Some(names)) => names
                .iter()
                .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
                .collect(),
            Ok(None) | Err(()) => Vec::new(),
        };
    let all = credentials == Credentials::Omit
        && listed.iter().any(|name| name == "*");
    let mut names: Vec<String> = response
        .headers
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase())
        .filter(|name| name != "set-cookie" && name != "set-cookie2")
        .filter(|name| {
            all || SAFELISTED.contains(&name.as_str()) || listed.contains(name)
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A header that a script sets.
#[derive(Clone, Debug)]
pub struct ScriptHeader {
    /// The name, as the script wrote it.
    pub name: Vec<u8>,
    /// Whether the value is one that the safelist rules out (`Content-Type: application/json`).
    /// Says nothing where the name alone rules it out.
    pub unusual_value: bool,
}

/// What a script asks `fetch` or `XMLHttpRequest` for.
#[derive(Clone, Debug)]
pub struct Script {
    /// The page's origin, serialized.
    pub origin: Vec<u8>,
    /// The method, as the script wrote it.
    pub method: Vec<u8>,
    /// The headers, as the script appended them.
    pub headers: Vec<ScriptHeader>,
    /// The credentials mode.
    pub credentials: Credentials,
    /// An upload listener, or a stream as the body.
    pub forced: bool,
}

/// The request that goes ahead of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Always `OPTIONS`.
    pub method: Vec<u8>,
    /// The header lines that matter, in the order that Chromium sends them.
    pub lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Script {
    /// The fetch that comes of it, if a browser makes such requests.
    pub fn fetch(&self) -> Result<Fetch, Blocked> {
        let method = normalize_method(&self.method);
        if !is_token(&method)
            || is_forbidden_method(&method)
            || self.headers.iter().any(|header| !is_token(&header.name))
        {
            return Err(Blocked::NotSent);
        }
        Ok(Fetch {
            origin: self.origin.clone(),
            method,
            unsafe_headers: self.unsafe_names(),
            credentials: self.credentials,
            forced: self.forced,
        })
    }

    /// The names that need permission: lower case, sorted, as often as they were appended.
    fn unsafe_names(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = self
            .headers
            .iter()
            .filter(|header| {
                header.unusual_value || !is_safelisted_header(&header.name)
            })
            .map(|header| header.name.to_ascii_lowercase())
            .collect();
        names.sort();
        names
    }

    /// The preflight that goes ahead, where one does.
    pub fn preflight(&self, dialect: Dialect) -> Option<Preflight> {
        let method = normalize_method(&self.method);
        let mut names = self.unsafe_names();
        if is_safelisted_method(&method) && names.is_empty() && !self.forced {
            return None;
        }
        if dialect == Dialect::Chromium {
            names.dedup();
        }
        let mut lines =
            vec![(b"Access-Control-Request-Method".to_vec(), method)];
        if !names.is_empty() {
            lines.push((
                b"Access-Control-Request-Headers".to_vec(),
                names.join(b",".as_slice()),
            ));
        }
        lines.push((b"Origin".to_vec(), self.origin.clone()));
        Some(Preflight { method: b"OPTIONS".to_vec(), lines })
    }
}
