//! The C ABI: sizes, NULLs and buffers as a program may hand them over, some wrong
//! in the ways that the header has an answer to.
//!
//! Whatever the library may write to is followed by bytes that must stay as they
//! are, and whatever it may read is as large as it says and no larger, so that the
//! address sanitizer sees a byte too many.

#![no_main]

use std::{
    ffi::{CStr, c_char},
    mem, ptr, slice,
    sync::LazyLock,
};

use arbitrary::{Result, Unstructured};
use cors::*;
use libcors_fuzz::{FIXED, POLICIES, breaks_lines};
use libcors_testkit::naive;
use libfuzzer_sys::{Corpus, fuzz_target};

/// [`POLICIES`], as a program gets it.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let mut policies = ptr::null();
    let status = unsafe {
        cors_policies_parse(
            POLICIES.as_ptr().cast(),
            POLICIES.len(),
            ptr::null(),
            0,
            CORS_FORMAT_TOML,
            &mut policies,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, CORS_OK);
    Document(policies)
});

struct Document(*const cors_policies);

// The header says that any number of threads may use one.
unsafe impl Send for Document {}
unsafe impl Sync for Document {}

fuzz_target!(|data: &[u8]| -> Corpus {
    let mut u = Unstructured::new(data);
    let done = match u.int_in_range(0..=7) {
        Ok(0) => parse(&mut u),
        Ok(_) => decide(&mut u),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});

const CANARY: u8 = 0xa5;

/// Memory that the library may write to, and some that it may not.
struct Guarded {
    words: Box<[u64]>,
    size: usize,
}

impl Guarded {
    fn new(size: usize) -> Guarded {
        let words = (size + 64).div_ceil(8);
        let words = vec![u64::from_ne_bytes([CANARY; 8]); words];
        Guarded { words: words.into(), size }
    }

    /// A struct that starts with its size, of which there are at least 8 bytes.
    fn sized(size: usize, said: usize) -> Guarded {
        let mut guarded = Guarded::new(size.max(8));
        guarded.words[0] = said as u64;
        guarded
    }

    fn ptr<T>(&mut self) -> *mut T {
        self.words.as_mut_ptr().cast()
    }

    fn bytes(&self) -> &[u8] {
        let len = mem::size_of_val(&*self.words);
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast(), len) }
    }

    fn used(&self) -> &[u8] {
        &self.bytes()[..self.size]
    }

    /// Nothing was written beyond the size.
    fn check(&self) {
        let beyond = &self.bytes()[self.size..];
        assert!(beyond.iter().all(|&b| b == CANARY), "written beyond the size");
    }

    /// Nothing was written from here on.
    fn check_from(&self, start: usize) {
        let rest = &self.bytes()[start..];
        assert!(rest.iter().all(|&b| b == CANARY), "written where nothing is");
    }
}

unsafe fn to_bytes<'a>(text: cors_str) -> &'a [u8] {
    match text.data.is_null() {
        true => {
            assert_eq!(text.len, 0);
            &[]
        }
        false => unsafe {
            slice::from_raw_parts(text.data.cast::<u8>(), text.len)
        },
    }
}

/// A string that the library owns: followed by a NUL.
unsafe fn owned<'a>(text: cors_str) -> &'a [u8] {
    assert!(!text.data.is_null());
    assert_eq!(unsafe { *text.data.add(text.len) }, 0);
    unsafe { to_bytes(text) }
}

fn words<'a>(text: *const c_char) -> &'a str {
    assert!(!text.is_null());
    unsafe { CStr::from_ptr(text) }.to_str().unwrap()
}

const WORDS: [&[u8]; 24] = [
    b"https://app.example.com",
    b"https://www.example.com",
    b"https://www.example.com:81",
    b"https://pr-1-x.example.org",
    b"capacitor://localhost",
    b"http://localhost:3000",
    b"https://api.example.com",
    b"null",
    b"OPTIONS",
    b"GET",
    b"PUT",
    b"patch",
    b"authorization",
    b"x-foo,x-bar",
    b" x-other ,",
    b",,",
    b"true",
    b"websocket",
    b"same-origin",
    b"https",
    b"app.example.com",
    b"Accept-Encoding, Origin",
    b"*",
    b"\r\n\0",
];

fn line(u: &mut Unstructured<'_>) -> Result<Box<[u8]>> {
    let mut line = Vec::new();
    // Exhausted input is all zeros, and so an empty line.
    for _ in 0..*u.choose(&[0, 1, 1, 1, 2, 3, 9])? {
        if u.ratio(3, 4)? {
            line.extend_from_slice(u.choose(&WORDS)?);
        } else {
            let len = u.int_in_range(0..=9)?;
            line.extend_from_slice(u.bytes(len)?);
        }
    }
    // Exactly as large as it is, so that a byte too many is seen.
    Ok(line.into_boxed_slice())
}

fn lines(u: &mut Unstructured<'_>) -> Result<Vec<Box<[u8]>>> {
    let count = *u.choose(&[0, 1, 1, 1, 1, 2, 3, 10])?;
    (0..count).map(|_| line(u)).collect()
}

/// A string as a C program has it; an empty one may be NULL.
fn to_str(bytes: &[u8], null: bool) -> cors_str {
    match bytes.is_empty() && null {
        true => cors_str { data: ptr::null(), len: 0 },
        false => cors_str { data: bytes.as_ptr().cast(), len: bytes.len() },
    }
}

/// The size that a struct says it has, and that it has.
fn size(u: &mut Unstructured<'_>, own: usize) -> Result<(usize, usize)> {
    Ok(match u.int_in_range(0..=9)? {
        0 => {
            let size = u.int_in_range(0..=own + 96)?;
            (size, size)
        }
        1 => {
            let size = u.int_in_range(own..=own + 96)?;
            (size, size)
        }
        // One that no struct can have.
        2 => (usize::MAX - u.int_in_range(0..=9)?, own),
        _ => (own, own),
    })
}

/// A request of a C program, with all the memory that it points to.
struct Request {
    lines: [Vec<Box<[u8]>>; 5],
    strings: [Box<[u8]>; 5],
    _strs: [Box<[cors_str]>; 5],
    raw: Guarded,
    /// What the library must say about it.
    status: i32,
}

fn request(u: &mut Unstructured<'_>) -> Result<Request> {
    let fields = [lines(u)?, lines(u)?, lines(u)?, lines(u)?, lines(u)?];
    let method: Box<[u8]> = match u.ratio(1, 2)? {
        true => (*b"OPTIONS").into(),
        false => line(u)?,
    };
    // `:protocol` has one value (RFC 8441); the naive engine takes it for a list.
    let mut protocol = line(u)?.into_vec();
    protocol.retain(|byte| !b", \t".contains(byte));
    let protocol = protocol.into_boxed_slice();
    let strings = [method, protocol, line(u)?, line(u)?, line(u)?];
    let null = u.arbitrary()?;
    let mut strs = fields.each_ref().map(|lines| -> Box<[cors_str]> {
        lines.iter().map(|line| to_str(line, null)).collect()
    });
    let mut bad = false;
    if u.ratio(1, 16)?
        && let Some(broken) = strs[u.int_in_range(0..=4)?].last_mut()
    {
        bad = true;
        *broken = match u.arbitrary()? {
            true => cors_str { data: ptr::null(), len: 1 },
            false => cors_str { len: usize::MAX, ..*broken },
        };
    }
    let mut whole = strs.each_ref().map(|strs| cors_lines {
        lines: match strs.is_empty() && null {
            true => ptr::null(),
            false => strs.as_ptr(),
        },
        count: strs.len(),
    });
    if u.ratio(1, 16)? {
        bad = true;
        let broken = &mut whole[u.int_in_range(0..=4)?];
        *broken = match u.arbitrary()? {
            true => cors_lines { lines: ptr::null(), count: 1 },
            false => cors_lines { count: usize::MAX / 16, ..*broken },
        };
    }
    let mut plain = strings.each_ref().map(|text| to_str(text, null));
    if u.ratio(1, 16)? {
        bad = true;
        plain[u.int_in_range(0..=4)?] =
            cors_str { data: ptr::null(), len: usize::MAX >> 1 };
    }
    let [origin, request_method, request_headers, private, upgrade] = whole;
    let [method, protocol, scheme, host, sec_fetch_site] = plain;
    let own = size_of::<cors_request>();
    let (said, size) = size(u, own)?;
    let ours = cors_request {
        size: said,
        method,
        origin,
        request_method,
        request_headers,
        request_private_network: private,
        upgrade,
        protocol,
        scheme,
        host,
        sec_fetch_site,
    };
    let mut raw = Guarded::sized(size, said);
    let mut tail = false;
    unsafe {
        let to = raw.ptr::<u8>();
        let from = (&raw const ours).cast::<u8>();
        ptr::copy_nonoverlapping(from, to, own.min(raw.size));
        if size > own {
            ptr::write_bytes(to.add(own), 0, size - own);
            tail = u.ratio(1, 4)?;
            if tail {
                *to.add(u.int_in_range(own..=size - 1)?) = 1;
            }
        }
    }
    let status = match (said < own || said != size || tail, bad) {
        (true, _) => CORS_ERR_ABI,
        (_, true) => CORS_ERR_ARGUMENT,
        _ => CORS_OK,
    };
    Ok(Request { lines: fields, strings, _strs: strs, raw, status })
}

impl Request {
    fn naive(&self) -> naive::Request {
        let to_vec = |lines: &Vec<Box<[u8]>>| {
            lines.iter().map(|line| line.to_vec()).collect()
        };
        let [origin, request_method, request_headers, private, upgrade] =
            self.lines.each_ref().map(to_vec);
        let [method, protocol, scheme, host, site] =
            self.strings.each_ref().map(|text| text.to_vec());
        naive::Request {
            method,
            origin,
            request_method,
            request_headers,
            request_private_network: private,
            upgrade,
            protocol: Some(protocol),
            scheme: Some(scheme),
            host: Some(host),
            sec_fetch_site: Some(site),
        }
    }
}

fn decide(u: &mut Unstructured<'_>) -> Result<()> {
    let document = DOCUMENT.0;
    let (_, naive) = &*FIXED;
    let number = u.int_in_range(0..=naive.len())?;
    let policy = unsafe {
        let name = cors_policies_name(document, number);
        match name.is_null() {
            true => ptr::null(),
            false => cors_policies_get(document, name, words(name).len()),
        }
    };
    assert_eq!(policy.is_null(), number == naive.len());
    let mut request = request(u)?;

    let own = size_of::<cors_decision>();
    let (said, size) = size(u, own)?;
    let mut place = Guarded::sized(size, said);
    let readable = said >= own && said == size;
    let null = u.ratio(1, 32)?;
    let status = unsafe {
        let request = match null {
            true => ptr::null(),
            false => request.raw.ptr(),
        };
        cors_decide(policy, request, place.ptr())
    };
    request.raw.check();
    place.check();
    if !readable {
        assert_eq!(status, CORS_ERR_ABI);
        place.check_from(8);
        return Ok(());
    }
    assert!(place.used()[own..].iter().all(|&b| b == 0), "the tail is zeroed");
    let expected = match null {
        true => CORS_ERR_ARGUMENT,
        false => request.status,
    };
    assert_eq!(status, expected, "{}", words(cors_status_str(status)));
    assert_ne!(words(cors_status_str(status)), "unknown status");

    let decision = place.ptr::<cors_decision>();
    let made = unsafe { decision.read() };
    assert_eq!(made.size, said);
    let headers = check_decision(&made);
    if status == CORS_OK {
        let answer = naive::decide(naive.get(number), &request.naive());
        assert_eq!(words(cors_kind_str(made.kind)), answer.kind);
        assert_eq!(words(cors_outcome_str(made.outcome)), answer.outcome);
        assert_eq!(words(cors_reason_str(made.reason)), answer.reason);
        assert_eq!(made.rule, answer.rule.unwrap_or(CORS_RULE_NONE));
        assert_eq!(made.status, answer.status.map_or(0, u32::from));
        assert_eq!(made.enforced, u32::from(answer.enforced));
        assert_eq!(headers, answer.headers);
        assert_eq!(
            unsafe { owned(made.vary_value) },
            answer.vary.join(", ").as_bytes()
        );
    } else {
        assert_eq!(made.owned, 0xfe);
        assert_eq!(made.vary, 1);
        assert_eq!(made.header_count, 0);
        assert!(matches!(made.status, 0 | 403));
        assert_eq!(made.enforced, 1);
    }

    explain(u, policy, &mut request)?;
    vary_merge(u, decision)?;
    header_owned(u, &made)?;
    variants(u, policy)?;

    // Last, since the request dies.
    let borrowed = |header: &&cors_header| header.source != CORS_SOURCE_FIXED;
    let set = &made.headers[..made.header_count as usize];
    let total: usize =
        set.iter().filter(borrowed).map(|header| header.value.len).sum();
    let room = match u.int_in_range(0..=2)? {
        0 => total,
        1 => u.int_in_range(0..=total)?,
        _ => total + u.int_in_range(0..=9)?,
    };
    let mut buffer = Guarded::new(room);
    let mut needed = usize::MAX;
    let before = place.bytes().to_vec();
    let status = unsafe {
        let decision = place.ptr();
        cors_decision_detach(decision, buffer.ptr(), room, &mut needed)
    };
    place.check();
    buffer.check();
    assert_eq!(needed, total);
    if room < total {
        assert_eq!(status, CORS_ERR_BUFFER);
        assert_eq!(place.bytes(), before);
        buffer.check_from(0);
        return Ok(());
    }
    assert_eq!(status, CORS_OK);
    drop(request);
    let kept = unsafe { place.ptr::<cors_decision>().read() };
    assert_eq!(check_decision(&kept), headers);
    Ok(())
}

/// What holds of every decision; yields its headers.
fn check_decision(decision: &cors_decision) -> Vec<(String, Vec<u8>)> {
    assert!(decision.header_count as usize <= CORS_HEADERS_MAX);
    assert_eq!(decision.reserved, [0; 9]);
    assert!(decision.vary <= 7 && decision.enforced <= 1);
    unsafe { owned(decision.vary_value) };
    let set = &decision.headers[..decision.header_count as usize];
    set.iter()
        .map(|header| {
            let (name, lower, value) = unsafe {
                if header.source == CORS_SOURCE_FIXED {
                    owned(header.value);
                }
                (
                    owned(header.name),
                    owned(header.lower_name),
                    to_bytes(header.value),
                )
            };
            assert_eq!(name.to_ascii_lowercase(), lower);
            assert!(!breaks_lines(value));
            assert!(decision.owned >> header.id & 1 == 1);
            (String::from_utf8(name.to_vec()).unwrap(), value.to_vec())
        })
        .collect()
}

/// What a function that writes like `snprintf` does into a buffer of some size.
fn check_snprintf(
    u: &mut Unstructured<'_>,
    mut call: impl FnMut(*mut c_char, usize) -> usize,
) -> Result<Vec<u8>> {
    let len = call(ptr::null_mut(), 0);
    let mut whole = Guarded::new(len + 1);
    assert_eq!(call(whole.ptr(), len + 1), len);
    whole.check();
    let text = whole.used();
    assert_eq!(text[len], 0);

    let size = u.int_in_range(0..=len + 9)?;
    let mut part = Guarded::new(size);
    assert_eq!(call(part.ptr(), size), len);
    part.check();
    if size > 0 {
        let end = len.min(size - 1);
        assert_eq!(part.used()[..end], text[..end]);
        assert_eq!(part.used()[end], 0);
        part.check_from(end + 1);
    }
    Ok(text[..len].to_vec())
}

fn explain(
    u: &mut Unstructured<'_>,
    policy: *const cors_policy,
    request: &mut Request,
) -> Result<()> {
    // It takes longer than all the rest.
    if u.ratio(7, 8)? {
        return Ok(());
    }
    let raw = request.raw.ptr();
    let text = check_snprintf(u, |buffer, size| unsafe {
        cors_explain(policy, raw, buffer, size)
    })?;
    let text = String::from_utf8(text).unwrap();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert_eq!(text.is_empty(), request.status != CORS_OK);
    Ok(())
}

fn vary_merge(
    u: &mut Unstructured<'_>,
    decision: *const cors_decision,
) -> Result<()> {
    let decision = match u.ratio(1, 8)? {
        true => ptr::null(),
        false => decision,
    };
    let lines = lines(u)?;
    let null = u.arbitrary()?;
    let strs: Box<[cors_str]> =
        lines.iter().map(|line| to_str(line, null)).collect();
    let text = check_snprintf(u, |buffer, size| unsafe {
        cors_vary_merge(decision, strs.as_ptr(), strs.len(), buffer, size)
    })?;
    let most: usize = lines.iter().map(|line| line.len() + 2).sum();
    assert!(text.len() < most + CORS_VARY_EXTRA);
    assert!(!text.iter().any(u8::is_ascii_control));
    Ok(())
}

fn header_owned(
    u: &mut Unstructured<'_>,
    decision: &cors_decision,
) -> Result<()> {
    let name = line(u)?;
    let null = u.arbitrary()?;
    let name = to_str(&name, null);
    let owned = unsafe { cors_header_owned(decision, name.data, name.len) };
    assert!(matches!(owned, 0 | 1));
    unsafe {
        assert_eq!(cors_header_owned(ptr::null(), name.data, name.len), 0);
    }
    for name in naive::OWNED {
        let name = name.to_ascii_uppercase();
        let owned = unsafe {
            cors_header_owned(decision, name.as_ptr().cast(), name.len())
        };
        assert_eq!(owned == 1, decision.owned & 0xfe != 0);
    }
    Ok(())
}

fn variants(
    u: &mut Unstructured<'_>,
    policy: *const cors_policy,
) -> Result<()> {
    let count = unsafe { cors_variant_count(policy) };
    let variant = u.int_in_range(0..=count as u32 + 1)?;
    let capacity = u.int_in_range(0..=CORS_HEADERS_MAX)?;
    let mut place = Guarded::new(capacity * size_of::<cors_header>());
    let mut len = usize::MAX;
    let status = unsafe {
        cors_variant_headers(policy, variant, place.ptr(), capacity, &mut len)
    };
    place.check();
    if variant as usize >= count {
        assert_eq!(status, CORS_ERR_ARGUMENT);
        return Ok(());
    }
    assert!(len <= CORS_HEADERS_MAX);
    if len > capacity {
        assert_eq!(status, CORS_ERR_BUFFER);
        place.check_from(0);
        return Ok(());
    }
    assert_eq!(status, CORS_OK);
    place.check_from(len * size_of::<cors_header>());
    let first = place.ptr::<cors_header>();
    for header in unsafe { slice::from_raw_parts(first, len) } {
        unsafe { owned(header.name) };
        let fixed = header.source == CORS_SOURCE_FIXED;
        assert_eq!(header.value.len == 0, !fixed);
    }
    Ok(())
}

/// A document from the rest of the input, to its end.
fn parse(u: &mut Unstructured<'_>) -> Result<()> {
    let source = line(u)?;
    let null = u.arbitrary()?;
    let source = to_str(&source, null);
    let format = u.int_in_range(0..=3)?;
    let (want_policies, want_problems) = (!u.ratio(1, 16)?, u.arbitrary()?);
    let (said, size) = size(u, size_of::<cors_diagnostic>())?;
    let text: Box<[u8]> = u.bytes(u.len())?.into();
    let text = to_str(&text, null);

    let mut policies: *const cors_policies = ptr::dangling();
    let mut problems: *mut cors_diagnostics = ptr::dangling_mut();
    let status = unsafe {
        cors_policies_parse(
            text.data,
            text.len,
            source.data,
            source.len,
            format,
            match want_policies {
                true => &mut policies,
                false => ptr::null_mut(),
            },
            match want_problems {
                true => &mut problems,
                false => ptr::null_mut(),
            },
        )
    };
    if !want_policies || format > CORS_FORMAT_JSON {
        assert_eq!(status, CORS_ERR_ARGUMENT);
        assert!(!want_problems || problems.is_null());
        assert!(!want_policies || policies.is_null());
        return Ok(());
    }
    assert!(matches!(status, CORS_OK | CORS_ERR_DOCUMENT));
    assert_eq!(policies.is_null(), status != CORS_OK);
    if want_problems {
        let mut errors = false;
        let count = unsafe { cors_diagnostics_count(problems) };
        assert_eq!(count == 0, problems.is_null());
        for index in 0..=count {
            errors |= check_problem(problems, index, count, (said, size));
        }
        let readable = said == size && said >= size_of::<cors_diagnostic>();
        assert!(!readable || errors == (status == CORS_ERR_DOCUMENT));
        unsafe { cors_diagnostics_free(problems) };
    }
    unsafe {
        let count = cors_policies_count(policies);
        assert_eq!(count == 0, policies.is_null());
        let same = cors_policies_ref(policies);
        assert_eq!(same, policies);
        cors_policies_unref(policies);
        for index in 0..count {
            let name = words(cors_policies_name(same, index));
            let name = to_str(name.as_bytes(), false);
            let policy = cors_policies_get(same, name.data, name.len);
            assert!(!policy.is_null());
            assert!(cors_variant_count(policy) > 0);
        }
        assert!(cors_policies_name(same, count).is_null());
        cors_policies_unref(same);
    }
    Ok(())
}

/// Reads one problem into a struct of this size; yields whether it is an error.
fn check_problem(
    problems: *const cors_diagnostics,
    index: usize,
    count: usize,
    (said, size): (usize, usize),
) -> bool {
    let own = size_of::<cors_diagnostic>();
    let mut place = Guarded::sized(size, said);
    let status = unsafe { cors_diagnostics_get(problems, index, place.ptr()) };
    place.check();
    if index >= count {
        assert_eq!(status, CORS_ERR_ARGUMENT);
        place.check_from(8);
        return false;
    }
    if said != size || said < own {
        assert_eq!(status, CORS_ERR_ABI);
        place.check_from(8);
        return false;
    }
    assert_eq!(status, CORS_OK);
    assert!(place.used()[own..].iter().all(|&b| b == 0));
    let problem = unsafe { place.ptr::<cors_diagnostic>().read() };
    assert_eq!(problem.size, said);
    assert!(problem.line >= 1 && problem.column >= 1);
    for text in [
        problem.code,
        problem.source,
        problem.key_path,
        problem.message,
        problem.hint,
    ] {
        let text = std::str::from_utf8(unsafe { owned(text) }).unwrap();
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    problem.severity == CORS_SEVERITY_ERROR
}
