/// The lines of one field of a request, as received.
///
/// A field that is absent has no line; that is not the same as one empty line.
/// It is a trait so that a host can hand over its own lines where they lie.
pub trait Lines<'r>: Copy {
    /// How many lines there are.
    fn count(self) -> usize;

    /// The value of the line at `index`; empty where there is none.
    fn line(self, index: usize) -> &'r [u8];
}

impl<'r> Lines<'r> for &'r [&'r [u8]] {
    #[inline]
    fn count(self) -> usize {
        self.len()
    }

    #[inline]
    fn line(self, index: usize) -> &'r [u8] {
        self.get(index).copied().unwrap_or_default()
    }
}

/// A request, as far as CORS is concerned.
///
/// Everything is handed over as it was received: nothing is joined, split,
/// trimmed or judged before.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r, L = &'r [&'r [u8]]> {
    /// The method; methods are case-sensitive.
    pub method: &'r [u8],
    /// The lines of `Origin`.
    pub origin: L,
    /// The lines of `Access-Control-Request-Method`.
    pub request_method: L,
    /// The lines of `Access-Control-Request-Headers`.
    pub request_headers: L,
    /// The lines of `Access-Control-Request-Private-Network`.
    pub request_private_network: L,
    /// The lines of `Upgrade`.
    pub upgrade: L,
    /// The pseudo-header `:protocol` of RFC 8441 (extended CONNECT), or empty.
    pub protocol: &'r [u8],
    /// The scheme that the request came by (`http`, `https`), or empty if it is
    /// not known. Serves only to tell a same-origin request.
    pub scheme: &'r [u8],
    /// The `Host` field or the pseudo-header `:authority`, or empty. Serves only
    /// to tell a same-origin request.
    pub host: &'r [u8],
    /// The `Sec-Fetch-Site` field, or empty. Serves only to tell a same-origin
    /// request.
    pub sec_fetch_site: &'r [u8],
}

impl<'r> Request<'r> {
    /// A request with this method and no field at all.
    pub fn new(method: &'r [u8]) -> Request<'r> {
        Request {
            method,
            origin: &[],
            request_method: &[],
            request_headers: &[],
            request_private_network: &[],
            upgrade: &[],
            protocol: b"",
            scheme: b"",
            host: b"",
            sec_fetch_site: b"",
        }
    }
}

/// What a decision asks of a request.
///
/// `&Request` answers it; it is a trait so that a host whose requests lie elsewhere
/// need not copy what a decision does not ask for.
pub trait Ask<'r>: Copy {
    /// The lines of a field.
    type Lines: Lines<'r>;

    /// [`Request::method`].
    fn method(self) -> &'r [u8];
    /// [`Request::origin`].
    fn origin(self) -> Self::Lines;
    /// [`Request::request_method`].
    fn request_method(self) -> Self::Lines;
    /// [`Request::request_headers`].
    fn request_headers(self) -> Self::Lines;
    /// [`Request::request_private_network`].
    fn request_private_network(self) -> Self::Lines;
    /// [`Request::upgrade`].
    fn upgrade(self) -> Self::Lines;
    /// [`Request::protocol`].
    fn protocol(self) -> &'r [u8];
    /// [`Request::scheme`].
    fn scheme(self) -> &'r [u8];
    /// [`Request::host`].
    fn host(self) -> &'r [u8];
    /// [`Request::sec_fetch_site`].
    fn sec_fetch_site(self) -> &'r [u8];
}

impl<'r, L: Lines<'r>> Ask<'r> for &Request<'r, L> {
    type Lines = L;

    #[inline]
    fn method(self) -> &'r [u8] {
        self.method
    }

    #[inline]
    fn origin(self) -> L {
        self.origin
    }

    #[inline]
    fn request_method(self) -> L {
        self.request_method
    }

    #[inline]
    fn request_headers(self) -> L {
        self.request_headers
    }

    #[inline]
    fn request_private_network(self) -> L {
        self.request_private_network
    }

    #[inline]
    fn upgrade(self) -> L {
        self.upgrade
    }

    #[inline]
    fn protocol(self) -> &'r [u8] {
        self.protocol
    }

    #[inline]
    fn scheme(self) -> &'r [u8] {
        self.scheme
    }

    #[inline]
    fn host(self) -> &'r [u8] {
        self.host
    }

    #[inline]
    fn sec_fetch_site(self) -> &'r [u8] {
        self.sec_fetch_site
    }
}
