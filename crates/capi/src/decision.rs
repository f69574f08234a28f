//! Decisions, and what hosts need to carry them out.

use core::{ffi::c_char, ptr};

use libcors_policy::{HeaderName, Policy, Vary, merge_vary};

use crate::{
    ffi::{self, Buffer, CLines, CRequest, guard},
    image::{template, write_closed},
    policies::policy_of,
    status::{CORS_ERR_ARGUMENT, CORS_ERR_BUFFER, CORS_ERR_INTERNAL, CORS_OK},
    types::{
        CORS_HEADERS_MAX, CORS_SOURCE_FIXED, cors_decision, cors_header,
        cors_policy, cors_request, cors_str,
    },
};

/// cors_decide decides a request.
///
/// request and decision must have their size set. A request without Origin needs
/// nothing else: all its other members may be zero. A NULL policy is that of a
/// name which does not exist: it closes, with CORS_REASON_NO_POLICY.
///
/// A request that is not allowed is no error: it is a decision with a reason. On
/// any status but CORS_OK the decision closes as well, if its size is that of a
/// decision: it removes all headers of the CORS protocol, varies on Origin, and
/// its status is 403 if the request asked for a WebSocket. So a caller may ignore
/// the status, and errs on the safe side.
///
/// The call does not allocate, lock, log or block. Any number of threads may use
/// one policy at the same time. Its cost is linear in the length of the request's
/// fields, up to fixed limits, and does not grow with the number of origins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_decide(
    policy: *const cors_policy,
    request: *const cors_request,
    decision: *mut cors_decision,
) -> i32 {
    // SAFETY: the header asks for a policy that is alive, and structs of the sizes
    // that they say.
    unsafe {
        match decide_at_once(policy, request, decision) {
            true => CORS_OK,
            false => decide_any(policy, request, decision),
        }
    }
}

/// The shortest way of [`cors_decide`], which calls nothing and cannot panic.
/// Returns whether it got there.
///
/// # Safety
///
/// As for [`cors_decide`].
#[inline(always)]
unsafe fn decide_at_once(
    policy: *const cors_policy,
    request: *const cors_request,
    decision: *mut cors_decision,
) -> bool {
    let decide = || {
        // SAFETY: the caller promises it.
        unsafe {
            if !ffi::is_of_this_version(decision) {
                return None;
            }
            let own = policy_of(policy)?;
            let request =
                ffi::plain_request(request, own.policy.has_quick_origin())?;
            let quick = own.policy.judge_quickly(request)?;
            own.write_quickly(decision, quick);
        }
        Some(())
    };
    decide().is_some()
}

/// [`cors_decide`] for all requests. It is `extern "C"` so that it can be jumped to:
/// nothing has to be done after it.
///
/// # Safety
///
/// As for [`cors_decide`].
#[inline(never)]
unsafe extern "C" fn decide_any(
    policy: *const cors_policy,
    request: *const cors_request,
    decision: *mut cors_decision,
) -> i32 {
    // SAFETY: the caller promises it.
    if let Err(status) = unsafe { ffi::prepare_output(decision) } {
        return status;
    }
    let decide = || {
        // SAFETY: the caller promises it.
        let (policy, request) =
            unsafe { (policy_of(policy), ffi::request(request)?) };
        #[cfg(feature = "test-panic")]
        panic_on_demand(request);
        // SAFETY: `prepare_output` found the decision large enough.
        unsafe {
            match policy {
                Some(own) => own.write(decision, request),
                None => {
                    let decided = Policy::decide_without_policy(request);
                    write_closed(decision, &decided);
                }
            }
        }
        Ok(CORS_OK)
    };
    let status = guard(|| Err(CORS_ERR_INTERNAL), decide);
    status.unwrap_or_else(|status| {
        // SAFETY: as above.
        unsafe { close(decision, request) };
        status
    })
}

/// Panics if a test asks for it.
#[cfg(feature = "test-panic")]
fn panic_on_demand(request: CRequest<'_>) {
    use libcors_policy::{Ask as _, Lines as _};
    if request.origin().line(0) == b"https://panic.example" {
        panic!("asked for by a test");
    }
}

/// Fills a decision in that closes, from as much of the request as can be read.
#[cold]
unsafe fn close(decision: *mut cors_decision, request: *const cors_request) {
    let close = || {
        // SAFETY: the header asks for a request of the size that it says.
        let request = unsafe { ffi::salvage(request) };
        let request = request.as_ref().map(CRequest::salvaged);
        let mut decided = Policy::decide_without_policy(
            request.unwrap_or(CRequest::nothing()),
        );
        if request.is_none() {
            // It may have asked for a WebSocket.
            decided = decided.rejected();
        }
        // SAFETY: `prepare_output` found the decision large enough.
        unsafe { write_closed(decision, &decided) };
    };
    guard(|| (), close);
}

/// cors_decision_detach copies what a decision borrows from its request into the
/// caller's buffer, so that the request may die before the decision.
///
/// needed, unless it is NULL, is set to the number of bytes that this takes; it
/// may be 0. If size is less, the call returns CORS_ERR_BUFFER and changes
/// nothing. The policy must still outlive the decision, and now the buffer too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_decision_detach(
    decision: *mut cors_decision,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> i32 {
    let detach = || {
        if decision.is_null() {
            return CORS_ERR_ARGUMENT;
        }
        // SAFETY: the header asks for a decision that was made.
        let count = unsafe { (*decision).header_count } as usize;
        let count = count.min(CORS_HEADERS_MAX);
        // SAFETY: as above; the first `count` headers are set, and nobody else
        // uses them meanwhile.
        let headers = unsafe {
            let first: *mut cors_header = (&raw mut (*decision).headers).cast();
            core::slice::from_raw_parts_mut(first, count)
        };
        let borrowed =
            |header: &&mut cors_header| header.source != CORS_SOURCE_FIXED;
        let total = headers.iter_mut().filter(borrowed);
        let total: usize = total.map(|header| header.value.len).sum();
        // SAFETY: the header asks for NULL or a place to write to.
        unsafe { ffi::write(needed, total) };
        if total > size || total != 0 && buffer.is_null() {
            return CORS_ERR_BUFFER;
        }
        let mut end = buffer;
        for header in headers.iter_mut().filter(borrowed) {
            let value = &mut header.value;
            // SAFETY: the values fit into the buffer, as was found above, and
            // live as long as the request, which the caller still holds.
            unsafe {
                ptr::copy_nonoverlapping(value.data, end, value.len);
                value.data = end;
                end = end.add(value.len);
            }
        }
        CORS_OK
    };
    guard(|| CORS_ERR_INTERNAL, detach)
}

/// cors_variant_count returns the number of header lists that a policy can
/// produce.
///
/// They are few, and known when the policy is compiled: only an echoed origin,
/// method or header list differs from one decision to the other. So a host may
/// build its own objects once for each list, and fill in the rest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_variant_count(
    policy: *const cors_policy,
) -> usize {
    let count = || {
        // SAFETY: the header asks for a policy that is alive.
        let own = unsafe { policy_of(policy) };
        own.map_or(0, |own| own.policy.variant_count())
    };
    guard(|| 0, count)
}

/// cors_variant_headers reads a header list that a policy can produce.
///
/// Up to capacity headers are written to headers, and their number to count;
/// CORS_HEADERS_MAX are enough for any. Where a header's source is not
/// CORS_SOURCE_FIXED its value is empty here, and is filled in by each decision;
/// CORS_SOURCE_HEADER_LIST may then be several headers of this name, one for each
/// line of the request that names anything. (In a decision the origin of an exact
/// entry is the policy's own copy, and CORS_SOURCE_FIXED.) The list numbered 0 is
/// empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_variant_headers(
    policy: *const cors_policy,
    variant: u32,
    headers: *mut cors_header,
    capacity: usize,
    count: *mut usize,
) -> i32 {
    let read = || {
        // SAFETY: the header asks for a policy that is alive.
        let policy = unsafe { policy_of(policy) };
        let list = policy.and_then(|own| own.policy.variant(variant as usize));
        let Some(list) = list else {
            return CORS_ERR_ARGUMENT;
        };
        // SAFETY: the header asks for NULL or a place to write to.
        unsafe { ffi::write(count, list.len()) };
        if list.len() > capacity || !list.is_empty() && headers.is_null() {
            return CORS_ERR_BUFFER;
        }
        for (i, line) in list.iter().enumerate() {
            let entry = template(line);
            // SAFETY: `i` is below `capacity`.
            unsafe { headers.add(i).write(entry) };
        }
        CORS_OK
    };
    guard(|| CORS_ERR_INTERNAL, read)
}

/// The length of the shortest name for which cors_header_owned() returns 1.
pub const CORS_OWNED_MIN: usize = 19;

/// cors_header_owned returns 1 if a response header is to be removed before the
/// headers of a decision are set, and else 0.
///
/// The name may be in any case. Ask for every header of the response; one whose
/// name is shorter than CORS_OWNED_MIN need not be asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_header_owned(
    decision: *const cors_decision,
    name: *const c_char,
    name_len: usize,
) -> i32 {
    let owned = || {
        if decision.is_null() {
            return 0;
        }
        // SAFETY: the header asks for a decision that was made, of which only
        // the members before `headers` need be there.
        let owned = unsafe { (*decision).owned };
        // SAFETY: the header asks for `name_len` bytes.
        let name = unsafe { ffi::bytes(name, name_len) }.unwrap_or_default();
        HeaderName::from_bytes(name)
            .map_or(0, |header| (owned >> header as u32 & 1) as i32)
    };
    guard(|| 0, owned)
}

/// cors_vary_merge makes one value of the Vary lines that a response has and the
/// names of a decision (RFC 9110, section 12.5.5).
///
/// The names that stand there keep their order and spelling; none stands twice,
/// in any case; those of the decision come last; nothing is added to a "*". Put
/// the value into the one Vary line of the response: caches honour several lines
/// badly. An empty value means no Vary line.
///
/// Like snprintf(), the call writes up to size bytes, the last of them a NUL, and
/// returns the length of the whole value without the NUL. A buffer of twice the
/// length of all lines, two more for each, and CORS_VARY_EXTRA is always enough.
/// buffer must not overlap the lines; it may be NULL if size is 0. A response that
/// names more than 256 fields is said to depend on everything: the value is "*".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_vary_merge(
    decision: *const cors_decision,
    lines: *const cors_str,
    line_count: usize,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let merge = || {
        let vary = match decision.is_null() {
            true => 0,
            // SAFETY: the header asks for a decision that was made, of which only
            // the members before `headers` need be there.
            false => unsafe { (*decision).vary },
        };
        // SAFETY: the header asks for that many strings.
        let existing: Option<CLines<'_>> =
            unsafe { ffi::lines(lines, line_count) }.ok();
        // SAFETY: the header asks for `size` bytes at `buffer`.
        let mut buffer = unsafe { Buffer::new(buffer, size) };
        merge_vary(
            existing.into_iter().flat_map(CLines::iter),
            Vary::from_bits(vary as u8),
            |piece| buffer.push(piece),
        );
        buffer.finish()
    };
    guard(|| 0, merge)
}

/// Twice the length of the lines, two for each line and this is always enough for
/// the value of cors_vary_merge(), the NUL included.
pub const CORS_VARY_EXTRA: usize = 72;

// The size of every struct is part of the ABI.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<cors_request>() == 168);
    assert!(size_of::<cors_header>() == 56);
    assert!(size_of::<cors_decision>() == 1000);
};
#[cfg(target_pointer_width = "32")]
const _: () = {
    assert!(size_of::<cors_request>() == 84);
    assert!(size_of::<cors_header>() == 32);
    assert!(size_of::<cors_decision>() == 604);
};
