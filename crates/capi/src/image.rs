//! What the decisions of a policy look like in C, prepared when it is compiled.

use core::{mem::offset_of, ptr};

use libcors_policy::{
    Answer, Ask, Decided, Decision, HeaderName, Lines, Policy, Quick, Request,
    Source, TemplateHeader, Vary,
};

use crate::types::{
    CORS_HEADERS_MAX, CORS_RULE_NONE, CORS_SOURCE_FIXED, cors_decision,
    cors_header, cors_str,
};

/// A policy, with an image of the decisions of each of its answers.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) policy: Policy,
    /// Of what is found quickly: without `Origin`, and from an allowed origin.
    none: ShortImage,
    allowed: ShortImage,
    images: Box<[Image]>,
    /// The header lists that the images point to.
    _lists: Box<[Box<[cors_header]>]>,
}

/// A decision, but for what differs from one request to the next.
#[derive(Debug)]
struct Image {
    head: Head,
    headers: *const cors_header,
    open: Open,
}

/// An image of few headers, that is copied without a loop or a call.
#[derive(Debug)]
struct ShortImage {
    head: Head,
    first: cors_header,
    rest: [cors_header; 3],
    /// The place of the last header without a value yet, which is the origin. The
    /// first, of the same value, is the only other such.
    last_open: usize,
}

/// Which headers of an image have no value yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Open {
    Nothing,
    /// The first, which is the request's origin.
    First,
    Others,
}

// SAFETY: the pointers are to static strings, and to what the policy and the lists
// beside it have allocated, which nobody changes.
unsafe impl Send for Compiled {}
// SAFETY: as above.
unsafe impl Sync for Compiled {}

/// The members of a `cors_decision` before its headers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Head {
    size: usize,
    kind: u32,
    outcome: u32,
    reason: u32,
    rule: u32,
    status: u32,
    enforced: u32,
    variant: u32,
    vary: u32,
    upstream: u32,
    owned: u32,
    header_count: u32,
    reserved: [u32; 9],
    vary_value: cors_str,
}

const _: () = {
    assert!(CORS_RULE_NONE == Decided::NO_RULE);
    assert!(size_of::<Head>() == offset_of!(cors_decision, headers));
    assert!(offset_of!(Head, kind) == offset_of!(cors_decision, kind));
    assert!(offset_of!(Head, reason) == offset_of!(cors_decision, reason));
    assert!(offset_of!(Head, status) == offset_of!(cors_decision, status));
    assert!(offset_of!(Head, variant) == offset_of!(cors_decision, variant));
    assert!(offset_of!(Head, vary) == offset_of!(cors_decision, vary));
    assert!(offset_of!(Head, owned) == offset_of!(cors_decision, owned));
    assert!(
        offset_of!(Head, header_count)
            == offset_of!(cors_decision, header_count)
    );
    assert!(
        offset_of!(Head, vary_value) == offset_of!(cors_decision, vary_value)
    );
};

impl Compiled {
    pub(crate) fn new(policy: Policy) -> Compiled {
        let lists: Box<[Box<[cors_header]>]> = (0..policy.variant_count())
            .map(|number| policy.variant(number).unwrap_or_default())
            .map(|list| list.get(..CORS_HEADERS_MAX).unwrap_or(list))
            .map(|list| list.iter().map(template).collect())
            .collect();
        // All decisions of a policy have in common what this one has.
        let common = policy.decide(&Request::new(b"GET"));
        let list = |variant: u8| {
            let list = lists.get(usize::from(variant));
            list.map_or(&[][..], |list| &**list)
        };
        let image =
            |answer: &Answer| Image::new(&common, answer, list(answer.variant));
        let quick = |quick| {
            let decided = policy.decided_quickly(quick);
            let request = &Request::new(b"GET");
            let answer = policy.decision(decided, request).answer();
            image(&answer).shorten(list(answer.variant))
        };
        Compiled {
            none: quick(Quick::NoOrigin),
            // The rest differs from request to request.
            allowed: quick(Quick::Allowed { rule: 0, origin: b"" }),
            images: policy.answers().iter().map(image).collect(),
            _lists: lists,
            policy,
        }
    }

    /// Writes the decision on what was found quickly.
    ///
    /// # Safety
    ///
    /// `out` must be writable for the size of a decision, and its size be set.
    #[inline(always)]
    pub(crate) unsafe fn write_quickly(
        &self,
        out: *mut cors_decision,
        quick: Quick<'_>,
    ) {
        // SAFETY: the caller promises it.
        unsafe {
            match quick {
                Quick::NoOrigin => {
                    self.none.copy(out);
                }
                Quick::Allowed { rule, origin } => {
                    let headers = self.allowed.copy(out);
                    (&raw mut (*out).rule).write(rule);
                    // Where there is no header, nobody looks at the first.
                    write_origin(headers, origin, Source::Fixed);
                    let last = headers.add(self.allowed.last_open);
                    write_origin(last, origin, Source::Fixed);
                }
            }
        }
    }

    /// Decides a request, and writes the decision.
    ///
    /// # Safety
    ///
    /// `out` must be writable for the size of a decision, and its size be set.
    #[inline(always)]
    pub(crate) unsafe fn write<'a, R: Ask<'a>>(
        &'a self,
        out: *mut cors_decision,
        request: R,
    ) {
        let decided = self.policy.judge(request);
        let Some(image) = self.images.get(usize::from(decided.answer)) else {
            // There is one for each answer. If not, nothing is allowed.
            let closed = Policy::decide_without_policy(request);
            // SAFETY: the caller promises it.
            return unsafe { write_closed(out, &closed) };
        };
        // SAFETY: the caller promises it.
        unsafe {
            let headers = image.copy(out);
            (&raw mut (*out).rule).write(decided.rule);
            match image.open {
                Open::Nothing => {}
                Open::First => {
                    write_origin(
                        headers,
                        decided.origin,
                        decided.origin_source,
                    );
                }
                Open::Others => {
                    write_headers(out, &self.policy.decision(decided, request));
                }
            }
        }
    }
}

impl Image {
    /// An image of this answer, which has these headers; all else is as in a
    /// decision of the same policy.
    fn new(
        common: &Decision<'_>,
        answer: &Answer,
        headers: &[cors_header],
    ) -> Image {
        let open = |header: &cors_header| header.source != CORS_SOURCE_FIXED;
        let only_origin = |(first, rest): (&cors_header, &[_])| {
            first.source == Source::Origin as u32 && !rest.iter().any(open)
        };
        Image {
            head: Head {
                enforced: common.enforced().into(),
                upstream: common.upstream() as u32,
                header_count: headers.len() as u32,
                ..Head::of(answer)
            },
            headers: headers.as_ptr(),
            open: if !headers.iter().any(open) {
                Open::Nothing
            } else if headers.split_first().is_some_and(only_origin) {
                Open::First
            } else {
                Open::Others
            },
        }
    }

    /// The same, for what is found quickly: it has few headers, and none is open
    /// but that of the origin.
    fn shorten(self, headers: &[cors_header]) -> ShortImage {
        debug_assert!(headers.len() <= 4);
        let mut last_open = 0;
        for (at, header) in headers.iter().enumerate() {
            if header.source != CORS_SOURCE_FIXED {
                last_open = at;
            }
        }
        let nth = |n: usize| headers.get(n).copied();
        let nothing = HEADERS.0[0];
        ShortImage {
            head: self.head,
            first: nth(0).unwrap_or(nothing),
            rest: [1, 2, 3].map(|n| nth(n).unwrap_or(nothing)),
            last_open,
        }
    }

    /// # Safety
    ///
    /// As for [`Compiled::write`].
    #[inline(always)]
    unsafe fn copy(&self, out: *mut cors_decision) -> *mut cors_header {
        // SAFETY: the caller promises it, no image has more headers than a
        // decision, and its list lives as long as the image.
        unsafe {
            self.head.copy(out);
            let headers: *mut cors_header = (&raw mut (*out).headers).cast();
            let count = self.head.header_count as usize;
            ptr::copy_nonoverlapping(self.headers, headers, count);
            headers
        }
    }
}

impl ShortImage {
    /// # Safety
    ///
    /// As for [`Compiled::write`].
    #[inline(always)]
    unsafe fn copy(&self, out: *mut cors_decision) -> *mut cors_header {
        // SAFETY: the caller promises it; a decision has room for four headers.
        unsafe {
            self.head.copy(out);
            let headers: *mut cors_header = (&raw mut (*out).headers).cast();
            headers.write(self.first);
            if self.head.header_count > 1 {
                // As an array they would be copied by a call.
                headers.add(1).write(self.rest[0]);
                headers.add(2).write(self.rest[1]);
                headers.add(3).write(self.rest[2]);
            }
            headers
        }
    }
}

impl Head {
    const CLOSED: Head = Head {
        size: size_of::<cors_decision>(),
        kind: 0,
        outcome: 0,
        reason: 0,
        rule: CORS_RULE_NONE,
        status: 0,
        enforced: 1,
        variant: 0,
        vary: 0,
        upstream: 0,
        owned: 0,
        header_count: 0,
        reserved: [0; 9],
        vary_value: cors_str { data: ptr::null(), len: 0 },
    };

    fn of(answer: &Answer) -> Head {
        Head {
            kind: answer.kind as u32,
            outcome: answer.outcome as u32,
            reason: answer.reason as u32,
            status: answer.status.map_or(0, u32::from),
            variant: answer.variant.into(),
            owned: answer.owned_bits().into(),
            vary: answer.vary.bits().into(),
            vary_value: vary_value(answer.vary),
            ..Head::CLOSED
        }
    }

    /// # Safety
    ///
    /// As for [`Compiled::write`].
    #[inline(always)]
    unsafe fn copy(&self, out: *mut cors_decision) {
        // The caller's memory need not be initialised, so that no reference to
        // the whole of it may be made.
        // SAFETY: the caller promises that all members may be written.
        unsafe {
            // It may be that of a later version.
            let size = (*out).size;
            ptr::copy_nonoverlapping(self, out.cast::<Head>(), 1);
            (&raw mut (*out).size).write(size);
        }
    }
}

/// Writes the value of a header that is the request's origin.
///
/// # Safety
///
/// `header` must be writable.
#[inline(always)]
unsafe fn write_origin(header: *mut cors_header, value: &[u8], source: Source) {
    // SAFETY: the caller promises it.
    unsafe {
        (&raw mut (*header).value).write(to_str(value));
        (&raw mut (*header).source).write(source as u32);
    }
}

/// Writes a decision that closes, and has no headers.
///
/// # Safety
///
/// As for [`Compiled::write`].
#[cold]
pub(crate) unsafe fn write_closed<'a, L: Lines<'a>>(
    out: *mut cors_decision,
    decision: &Decision<'a, L>,
) {
    let head = Head::of(&decision.answer());
    // SAFETY: the caller promises it.
    unsafe { head.copy(out) };
}

/// Writes all headers of a decision, one by one.
///
/// # Safety
///
/// As for [`Compiled::write`].
#[inline(never)]
unsafe fn write_headers<'a, L: Lines<'a>>(
    out: *mut cors_decision,
    decision: &Decision<'a, L>,
) {
    // SAFETY: the caller promises it.
    unsafe {
        let headers: *mut cors_header = (&raw mut (*out).headers).cast();
        let mut count = 0;
        decision.visit_headers(|line| {
            // A decision never has more; a policy's lists are bounded.
            if count < CORS_HEADERS_MAX {
                let entry = header(line.name(), line.source(), line.value());
                headers.add(count).write(entry);
                count += 1;
            }
        });
        (&raw mut (*out).header_count).write(count as u32);
    }
}

/// A header of a variant.
pub(crate) fn template(line: &TemplateHeader) -> cors_header {
    header(line.name(), line.source(), line.value())
}

fn header(name: HeaderName, source: Source, value: &[u8]) -> cors_header {
    cors_header {
        source: source as u32,
        value: to_str(value),
        ..HEADERS.0[name as usize & 15]
    }
}

/// A slice as C sees it.
#[inline]
fn to_str(bytes: &[u8]) -> cors_str {
    cors_str { data: bytes.as_ptr().cast(), len: bytes.len() }
}

/// The names of a `Vary`, joined; followed by a NUL.
#[inline]
fn vary_value(vary: Vary) -> cors_str {
    const VALUES: [&str; 8] = [
        "\0",
        "Origin\0",
        "Access-Control-Request-Method\0",
        "Origin, Access-Control-Request-Method\0",
        "Access-Control-Request-Headers\0",
        "Origin, Access-Control-Request-Headers\0",
        "Access-Control-Request-Method, Access-Control-Request-Headers\0",
        "Origin, Access-Control-Request-Method, \
         Access-Control-Request-Headers\0",
    ];
    let value = VALUES[usize::from(vary.bits() & 7)].as_bytes();
    cors_str { data: value.as_ptr().cast(), len: value.len() - 1 }
}

/// For each header id its entry of a list, without a value.
static HEADERS: Table = {
    const EMPTY: cors_str = cors_str { data: ptr::null(), len: 0 };
    const UNKNOWN: cors_header = cors_header {
        id: 0,
        source: 0,
        name: EMPTY,
        lower_name: EMPTY,
        value: EMPTY,
    };
    const fn without_nul(name: &'static str) -> cors_str {
        cors_str { data: name.as_ptr().cast(), len: name.len() - 1 }
    }
    let mut table = [UNKNOWN; 16];
    let mut i = 0;
    while i < HeaderName::ALL.len() {
        let header = HeaderName::ALL[i];
        table[header as usize] = cors_header {
            id: header as u32,
            source: CORS_SOURCE_FIXED,
            name: without_nul(header.as_str_with_nul()),
            lower_name: without_nul(header.as_lower_str_with_nul()),
            value: EMPTY,
        };
        i += 1;
    }
    Table(table)
};

struct Table([cors_header; 16]);

// SAFETY: the pointers are to static strings, which nobody changes.
unsafe impl Sync for Table {}
