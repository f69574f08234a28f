//! The suite through the C ABI: through the shared library as it is shipped,
//! opened by name, and nothing but what `cors.h` declares.

// The field that a symbol is put into says its type.
#![expect(clippy::missing_transmute_annotations)]

use std::{
    env,
    ffi::{CStr, CString, c_char},
    mem::{self, MaybeUninit},
    path::Path,
    ptr, slice,
};

use cors::{
    CORS_FORMAT_TOML, CORS_OK, CORS_RULE_NONE, CORS_SOURCE_FIXED,
    cors_decision, cors_diagnostics, cors_header, cors_lines, cors_policies,
    cors_policy, cors_request, cors_str,
};
use libcors_testkit::{
    check,
    naive::{self, Answer, OWNED, OWNED_TIMING},
    suite::{REASONS, SUITE},
};
use once_cell::sync::Lazy;

/// The functions of the library that was opened.
struct Library {
    parse: unsafe extern "C" fn(
        *const c_char,
        usize,
        *const c_char,
        usize,
        u32,
        *mut *const cors_policies,
        *mut *mut cors_diagnostics,
    ) -> i32,
    unref: unsafe extern "C" fn(*const cors_policies),
    get: unsafe extern "C" fn(
        *const cors_policies,
        *const c_char,
        usize,
    ) -> *const cors_policy,
    decide: unsafe extern "C" fn(
        *const cors_policy,
        *const cors_request,
        *mut cors_decision,
    ) -> i32,
    detach: unsafe extern "C" fn(
        *mut cors_decision,
        *mut c_char,
        usize,
        *mut usize,
    ) -> i32,
    variant_count: unsafe extern "C" fn(*const cors_policy) -> usize,
    variant_headers: unsafe extern "C" fn(
        *const cors_policy,
        u32,
        *mut cors_header,
        usize,
        *mut usize,
    ) -> i32,
    owned:
        unsafe extern "C" fn(*const cors_decision, *const c_char, usize) -> i32,
    kind_str: unsafe extern "C" fn(u32) -> *const c_char,
    outcome_str: unsafe extern "C" fn(u32) -> *const c_char,
    reason_str: unsafe extern "C" fn(u32) -> *const c_char,
}

static LIBRARY: Lazy<Library> = Lazy::new(|| {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/release/libcors.so");
    let path = env::var_os("CORS_SO").map_or(built, Into::into);
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the library has no initialisers that depend on anything.
    let handle = unsafe {
        libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL)
    };
    assert!(
        !handle.is_null(),
        "{} cannot be opened: run `cargo xtask build`",
        path.display()
    );
    macro_rules! symbol {
        ($name:literal) => {{
            // SAFETY: the types are those of the header, which is made from the
            // same source.
            let symbol = unsafe {
                let name: &CStr = $name;
                libc::dlsym(handle, name.as_ptr())
            };
            assert!(!symbol.is_null(), "there is no {:?}", $name);
            // SAFETY: as above.
            unsafe { mem::transmute(symbol) }
        }};
    }
    Library {
        parse: symbol!(c"cors_policies_parse"),
        unref: symbol!(c"cors_policies_unref"),
        get: symbol!(c"cors_policies_get"),
        decide: symbol!(c"cors_decide"),
        detach: symbol!(c"cors_decision_detach"),
        variant_count: symbol!(c"cors_variant_count"),
        variant_headers: symbol!(c"cors_variant_headers"),
        owned: symbol!(c"cors_header_owned"),
        kind_str: symbol!(c"cors_kind_str"),
        outcome_str: symbol!(c"cors_outcome_str"),
        reason_str: symbol!(c"cors_reason_str"),
    }
});

fn to_str(bytes: &[u8]) -> cors_str {
    cors_str { data: bytes.as_ptr().cast(), len: bytes.len() }
}

fn bytes(string: &cors_str) -> &[u8] {
    if string.len == 0 {
        return b"";
    }
    // SAFETY: the library promises `len` bytes.
    unsafe { slice::from_raw_parts(string.data.cast(), string.len) }
}

/// A decision about a request whose bytes have been wiped since.
fn decide(policy: *const cors_policy, asked: &naive::Request) -> Answer {
    let mut asked = asked.clone();
    let fields = [
        &asked.origin,
        &asked.request_method,
        &asked.request_headers,
        &asked.request_private_network,
        &asked.upgrade,
    ];
    let strings: Vec<Vec<cors_str>> = fields
        .iter()
        .map(|lines| lines.iter().map(|line| to_str(line)).collect())
        .collect();
    let lines = |i: usize| cors_lines {
        lines: strings[i].as_ptr(),
        count: strings[i].len(),
    };
    let one = |value: &Option<Vec<u8>>| match value {
        Some(value) => to_str(value),
        None => cors_str { data: ptr::null(), len: 0 },
    };
    let request = cors_request {
        size: size_of::<cors_request>(),
        method: to_str(&asked.method),
        origin: lines(0),
        request_method: lines(1),
        request_headers: lines(2),
        request_private_network: lines(3),
        upgrade: lines(4),
        protocol: one(&asked.protocol),
        scheme: one(&asked.scheme),
        host: one(&asked.host),
        sec_fetch_site: one(&asked.sec_fetch_site),
    };
    let library = &*LIBRARY;
    let mut decision = MaybeUninit::<cors_decision>::uninit();
    // What the library does not set must not matter.
    // SAFETY: all bytes are written, and the size is right; the request is valid.
    let mut decision = unsafe {
        let out: *mut cors_decision = decision.as_mut_ptr();
        ptr::write_bytes(out.cast::<u8>(), 0xa5, size_of::<cors_decision>());
        (&raw mut (*out).size).write(size_of::<cors_decision>());
        assert_eq!((library.decide)(policy, &request, out), CORS_OK);
        decision.assume_init()
    };

    let mut needed = 0;
    // SAFETY: the decision was made, and the buffers are as large as is said.
    let buffer = unsafe {
        (library.detach)(&mut decision, ptr::null_mut(), 0, &mut needed);
        let mut buffer = vec![0_u8; needed];
        let start = buffer.as_mut_ptr().cast();
        let status =
            (library.detach)(&mut decision, start, needed, &mut needed);
        assert_eq!(status, CORS_OK);
        buffer
    };
    for lines in [
        &mut asked.origin,
        &mut asked.request_method,
        &mut asked.request_headers,
    ] {
        lines.iter_mut().for_each(|line| line.fill(b'!'));
    }
    let answer = to_answer(&decision);
    assert_variant(policy, &decision);
    drop(buffer);
    answer
}

fn to_answer(decision: &cors_decision) -> Answer {
    let library = &*LIBRARY;
    // SAFETY: the names are static strings.
    let (kind, outcome, reason) = unsafe {
        (
            CStr::from_ptr((library.kind_str)(decision.kind)),
            CStr::from_ptr((library.outcome_str)(decision.outcome)),
            CStr::from_ptr((library.reason_str)(decision.reason)),
        )
    };
    let known = |name: &CStr, all: &[&'static str]| {
        let name = name.to_str().unwrap();
        *all.iter().find(|known| **known == name).unwrap()
    };
    let vary = [
        "Origin",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
    ];
    let vary: Vec<&'static str> = (0..3)
        .filter(|bit| decision.vary >> bit & 1 != 0)
        .map(|bit| vary[bit])
        .collect();
    assert_eq!(vary.join(", ").as_bytes(), bytes(&decision.vary_value));
    let headers = &decision.headers[..decision.header_count as usize];
    let owned = |name: &&&str| {
        // SAFETY: the decision was made.
        let yes = unsafe {
            (library.owned)(decision, name.as_ptr().cast(), name.len())
        };
        yes == 1
    };
    Answer {
        kind: known(kind, &["none", "actual", "preflight", "websocket"]),
        outcome: known(outcome, &["none", "allow", "deny"]),
        reason: known(reason, &REASONS),
        rule: (decision.rule != CORS_RULE_NONE).then_some(decision.rule),
        status: (decision.status != 0).then_some(decision.status as u16),
        enforced: decision.enforced == 1,
        headers: headers
            .iter()
            .map(|header| {
                let name = String::from_utf8(bytes(&header.name).to_vec());
                let lower = bytes(&header.lower_name);
                let name = name.unwrap();
                assert_eq!(name.to_ascii_lowercase().as_bytes(), lower);
                (name, bytes(&header.value).to_vec())
            })
            .collect(),
        vary,
        remove: OWNED
            .iter()
            .chain([&OWNED_TIMING])
            .filter(owned)
            .copied()
            .collect(),
    }
}

/// A decision's headers are those of its variant, where they are fixed.
fn assert_variant(policy: *const cors_policy, decision: &cors_decision) {
    let library = &*LIBRARY;
    if policy.is_null() {
        return;
    }
    let mut list = Vec::with_capacity(16);
    let mut count = 0;
    // SAFETY: the policy is alive, and there is room for 16 headers.
    unsafe {
        assert!(decision.variant < (library.variant_count)(policy) as u32);
        let status = (library.variant_headers)(
            policy,
            decision.variant,
            list.as_mut_ptr(),
            16,
            &mut count,
        );
        assert_eq!(status, CORS_OK);
        list.set_len(count);
    }
    let mut headers =
        decision.headers[..decision.header_count as usize].iter().peekable();
    for entry in &list {
        let entry: &cors_header = entry;
        let header = headers.next().unwrap();
        assert_eq!(header.id, entry.id);
        if entry.source == CORS_SOURCE_FIXED {
            assert_eq!(bytes(&header.value), bytes(&entry.value));
            // SAFETY: what the policy owns is followed by a NUL.
            let text = unsafe { CStr::from_ptr(entry.value.data) };
            assert_eq!(text.to_bytes(), bytes(&entry.value));
        }
        while headers.peek().is_some_and(|next| next.id == entry.id) {
            headers.next();
        }
    }
    assert!(headers.next().is_none());
}

#[test]
fn every_case_of_the_suite() {
    let library = &*LIBRARY;
    let mut failures = Vec::new();
    let mut cases = 0;
    for file in &SUITE.files {
        let mut policies = ptr::null();
        // SAFETY: the texts are as long as is said.
        let status = unsafe {
            (library.parse)(
                file.document.as_ptr().cast(),
                file.document.len(),
                file.name.as_ptr().cast(),
                file.name.len(),
                CORS_FORMAT_TOML,
                &mut policies,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, CORS_OK, "{}", file.name);
        for case in &file.cases {
            cases += 1;
            let policy = match &case.policy {
                // SAFETY: the document is alive.
                Some(name) => unsafe {
                    (library.get)(policies, name.as_ptr().cast(), name.len())
                },
                None => ptr::null(),
            };
            assert_eq!(policy.is_null(), case.policy.is_none());
            let answer = decide(policy, &case.request);
            failures.extend(check::verify(case, &answer).err());
        }
        // SAFETY: nothing of the document is used any more.
        unsafe { (library.unref)(policies) };
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases >= 250, "only {cases} cases");
}
