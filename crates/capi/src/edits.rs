//! The edits that a decision makes to the headers of a response.

use core::{ffi::c_char, mem::MaybeUninit};

use libcors_policy::{
    HeaderName, MAX_VARY_NAMES, Vary, length_bits, merge_vary,
};

use crate::{
    ffi::{self, Buffer, NO_STR, guard},
    status::{
        CORS_ERR_ABI, CORS_ERR_ARGUMENT, CORS_ERR_BUFFER, CORS_ERR_INTERNAL,
        CORS_OK,
    },
    types::{
        CORS_UPSTREAM_KEEP, cors_decision, cors_field, cors_header, cors_str,
    },
};

/// The lengths of the names that cors_edits_line() may act on, each as a bit: a
/// line need not be passed if this holds no bit 1 << (length & 31) for its name.
pub const CORS_RESPONSE_LENGTHS: u32 = 0x38480011;

/// The Vary lines that a cors_edits has room for. It never changes. Of a response
/// with more of them the value becomes "*".
pub const CORS_VARY_LINES_MAX: usize = 256;

/// The line stays as it is.
pub const CORS_LINE_KEEP: i32 = 0;
/// The line is to be removed before headers are set.
pub const CORS_LINE_REMOVE: i32 = 1;
/// The line is a Vary line: it is to be removed if cors_edits_finish() sets
/// set_vary. Of several lines that is always so.
pub const CORS_LINE_VARY: i32 = 2;

/// The edits that a decision makes to the headers of a response.
///
/// The caller owns it, on its stack if it likes, and sets nothing but size. There is
/// nothing to free. The strings borrow from the decision, from the lines that were
/// passed, and from the caller's buffer; it must not be copied or moved meanwhile.
///
///     cors_edits edits;
///
///     edits.size = sizeof(edits);
///     cors_edits_init(&edits, &decision);
///
///     do {
///         for each header line of the response {
///             action = cors_edits_line(&edits, name, name_len,
///                                      value, value_len);
///             carry the action out;
///         }
///     } while (cors_edits_again(&edits));
///
///     buffer = allocate(edits.buffer_size);
///     cors_edits_finish(&edits, buffer, edits.buffer_size);
///
///     add edits.headers[0] to edits.headers[edits.header_count - 1];
///     if (edits.set_vary) {
///         set the one Vary line to edits.vary;
///     }
///
/// It knows report mode and CORS_UPSTREAM_KEEP: there is nothing to ask before.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_edits {
    /// sizeof(cors_edits), set by the caller.
    pub size: usize,
    /// The headers to set, in order: those of the decision.
    pub headers: *const cors_header,
    /// The number of headers to set.
    pub header_count: usize,
    /// The headers of the response that are to be removed, as bits:
    /// 1 << CORS_HEADER_... For servers that remove headers by name.
    pub removed: u32,
    /// 1 if vary is to become the one Vary line of the response, and else 0.
    pub set_vary: u32,
    /// The value of the Vary line; not empty if set_vary is 1.
    pub vary: cors_str,
    /// The bytes that cors_edits_finish() needs; 0 if it needs no buffer.
    pub buffer_size: usize,
    /// Used by the library.
    pub decision: *const cors_decision,
    /// Used by the library.
    pub pass: u32,
    /// Used by the library.
    pub vary_count: u32,
    /// Used by the library.
    pub vary_lines: [MaybeUninit<cors_str>; CORS_VARY_LINES_MAX],
}

/// The passes over the lines of a response.
mod pass {
    /// Whether the application has set Access-Control-Allow-Origin is yet to be
    /// found out.
    pub(super) const LOOK: u32 = 0;
    /// It has not, so that one more pass makes the edits.
    pub(super) const LOOKED: u32 = 1;
    /// Lines are removed.
    pub(super) const EDIT: u32 = 2;
    /// No line but Vary is touched.
    pub(super) const KEEP: u32 = 3;
    /// No line is touched.
    pub(super) const NOTHING: u32 = 4;
}

/// The bytes that a value of Vary takes beside twice its lines and two for each:
/// the names of a decision, and a NUL.
const VARY_EXTRA: usize = 72;

// With more lines there are more names than are told apart, unless lines are
// empty.
const _: () = assert!(CORS_VARY_LINES_MAX == MAX_VARY_NAMES);

const _: () = {
    let mut lengths = [4; HeaderName::ALL.len() + 1];
    let mut at = 0;
    while at < HeaderName::ALL.len() {
        let name = HeaderName::ALL[at].as_lower_str_with_nul();
        lengths[at] = name.len() - 1;
        at += 1;
    }
    assert!(CORS_RESPONSE_LENGTHS == length_bits(&lengths));
};

/// cors_edits_init starts the edits of a decision.
///
/// edits must have its size set; decision is one that cors_decide() made, of which
/// only the headers that are set need be there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_edits_init(
    edits: *mut cors_edits,
    decision: *const cors_decision,
) -> i32 {
    // SAFETY: the header asks for a struct of the size that it says, and for a
    // decision that was made.
    unsafe {
        if let Err(status) = ffi::prepare_output(edits) {
            return status;
        }
        if decision.is_null() {
            return CORS_ERR_ARGUMENT;
        }
        let own = &raw const (*decision);
        let enforced = (*own).enforced != 0;
        let keep = (*own).upstream == CORS_UPSTREAM_KEEP;
        (&raw mut (*edits).headers).write((&raw const (*own).headers).cast());
        (&raw mut (*edits).header_count).write(match enforced {
            true => (*own).header_count as usize,
            false => 0,
        });
        (&raw mut (*edits).removed).write(0);
        (&raw mut (*edits).set_vary).write(0);
        (&raw mut (*edits).vary).write(NO_STR);
        (&raw mut (*edits).buffer_size).write(0);
        (&raw mut (*edits).decision).write(decision);
        (&raw mut (*edits).pass).write(match (enforced, keep) {
            (false, _) => pass::NOTHING,
            (true, true) => pass::LOOK,
            (true, false) => pass::EDIT,
        });
        (&raw mut (*edits).vary_count).write(0);
    }
    CORS_OK
}

/// cors_edits_line passes a header line of the response, and returns CORS_LINE_...:
/// what is to be done with it.
///
/// The name may be in any case. Pass all lines, or those whose lengths
/// CORS_RESPONSE_LENGTHS has. The value must live until cors_edits_finish() returns;
/// it matters for Vary alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_edits_line(
    edits: *mut cors_edits,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) -> i32 {
    let line = || {
        // SAFETY: the header asks for that many bytes.
        let name = unsafe { ffi::bytes(name, name_len) }.unwrap_or_default();
        let value = cors_str { data: value, len: value_len };
        // SAFETY: the header asks for edits that were started.
        match unsafe { Edits::of(edits) } {
            Ok(mut edits) => edits.line(name, value),
            Err(_) => CORS_LINE_KEEP,
        }
    };
    guard(|| CORS_LINE_KEEP, line)
}

/// cors_edits_again returns 1 if all lines are to be passed once more, and else 0.
///
/// That is so for policies with CORS_UPSTREAM_KEEP alone, once for each response:
/// only after all lines is it known which are to be removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_edits_again(edits: *mut cors_edits) -> i32 {
    // SAFETY: the header asks for edits that were started.
    let Ok(edits) = (unsafe { Edits::of(edits) }) else { return 0 };
    let pass = edits.0.pass;
    edits.0.pass = match pass {
        pass::LOOK | pass::LOOKED => pass::EDIT,
        pass => pass,
    };
    (pass == pass::LOOKED).into()
}

/// cors_edits_all passes the lines of an array; see cors_edits_line() and
/// cors_edits_again(), which need not be called then.
///
/// actions, unless it is NULL, is an array of count bytes, which are set to the
/// CORS_LINE_... of each line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_edits_all(
    edits: *mut cors_edits,
    fields: *const cors_field,
    count: usize,
    actions: *mut u8,
) -> i32 {
    let all = || {
        // SAFETY: the header asks for edits that were started.
        let mut edits = unsafe { Edits::of(edits) }?;
        if count != 0 && fields.is_null() {
            return Err(CORS_ERR_ARGUMENT);
        }
        loop {
            for at in 0..count {
                // SAFETY: the header asks for an array of `count` fields.
                let cors_field { name, value } = unsafe { *fields.add(at) };
                let mut action = CORS_LINE_KEEP;
                if CORS_RESPONSE_LENGTHS >> (name.len & 31) & 1 != 0 {
                    // SAFETY: the header asks for strings that are there.
                    let name = unsafe { ffi::bytes(name.data, name.len)? };
                    action = edits.line(name, value);
                }
                if !actions.is_null() {
                    // SAFETY: the header asks for `count` bytes.
                    unsafe { actions.add(at).write(action as u8) };
                }
            }
            // SAFETY: the edits were started.
            if unsafe { cors_edits_again(edits.0) } == 0 {
                return Ok(CORS_OK);
            }
        }
    };
    guard(|| Err(CORS_ERR_INTERNAL), all).unwrap_or_else(|status| status)
}

/// cors_edits_finish finds out which headers are to be set, after all lines were
/// passed.
///
/// buffer must have buffer_size bytes, and not overlap the lines; it may be NULL if
/// that is 0. If size is less, the call returns CORS_ERR_BUFFER, and set_vary is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_edits_finish(
    edits: *mut cors_edits,
    buffer: *mut c_char,
    size: usize,
) -> i32 {
    let finish = || {
        // SAFETY: the header asks for edits that were started, and for `size`
        // bytes at `buffer`.
        unsafe { Edits::of(edits)?.finish(buffer, size) }
    };
    match guard(|| Err(CORS_ERR_INTERNAL), finish) {
        Ok(()) => CORS_OK,
        Err(status) => status,
    }
}

/// Edits that were started. Of their lines only those that were written are read.
struct Edits<'e>(&'e mut cors_edits);

impl<'e> Edits<'e> {
    /// # Safety
    ///
    /// `edits` must be NULL, or point to edits that were started, whose decision and
    /// lines are there.
    unsafe fn of(edits: *mut cors_edits) -> Result<Edits<'e>, i32> {
        if edits.is_null() {
            return Err(CORS_ERR_ARGUMENT);
        }
        // SAFETY: the caller promises it.
        unsafe {
            match (*edits).size < size_of::<cors_edits>() {
                true => Err(CORS_ERR_ABI),
                false => Ok(Edits(&mut *edits)),
            }
        }
    }

    fn decision(&self) -> &cors_decision {
        // SAFETY: `cors_edits_init` was given it, and the caller keeps it.
        unsafe { &*self.0.decision }
    }

    #[inline]
    fn line(&mut self, name: &[u8], value: cors_str) -> i32 {
        if self.0.pass == pass::NOTHING {
            return CORS_LINE_KEEP;
        }
        if name.len() == 4 && name.eq_ignore_ascii_case(b"vary") {
            return self.vary_line(value);
        }
        let Some(header) = HeaderName::from_bytes(name) else {
            return CORS_LINE_KEEP;
        };
        let bit = 1 << header as u32;
        match self.0.pass {
            pass::EDIT if self.decision().owned & bit != 0 => {
                self.0.removed |= bit;
                CORS_LINE_REMOVE
            }
            pass::LOOK | pass::LOOKED => {
                if header == HeaderName::AllowOrigin {
                    self.0.pass = pass::KEEP;
                    self.0.header_count = 0;
                } else {
                    self.0.pass = pass::LOOKED;
                }
                CORS_LINE_KEEP
            }
            _ => CORS_LINE_KEEP,
        }
    }

    fn vary_line(&mut self, value: cors_str) -> i32 {
        if self.decision().vary == 0 {
            return CORS_LINE_KEEP;
        }
        // With two passes the first has noted it.
        let noted = self.0.pass == pass::EDIT
            && self.decision().upstream == CORS_UPSTREAM_KEEP;
        if !noted {
            let at = self.0.vary_count as usize;
            if let Some(slot) = self.0.vary_lines.get_mut(at) {
                slot.write(value);
            }
            self.0.vary_count = self.0.vary_count.saturating_add(1);
            let own = value.len.saturating_mul(2).saturating_add(2);
            let size = self.0.buffer_size.max(VARY_EXTRA);
            self.0.buffer_size = size.saturating_add(own);
        }
        CORS_LINE_VARY
    }

    /// # Safety
    ///
    /// `buffer` must point to `size` writable bytes, or be NULL.
    unsafe fn finish(
        &mut self,
        buffer: *mut c_char,
        size: usize,
    ) -> Result<(), i32> {
        let vary = self.decision().vary;
        if self.0.pass == pass::NOTHING || vary == 0 {
            return Ok(());
        }
        let count = self.0.vary_count as usize;
        if count == 0 {
            self.0.vary = self.decision().vary_value;
            self.0.set_vary = 1;
            return Ok(());
        }
        if size < self.0.buffer_size || buffer.is_null() {
            return Err(CORS_ERR_BUFFER);
        }
        // SAFETY: the caller promises it.
        let mut value = unsafe { Buffer::new(buffer, size) };
        match count <= CORS_VARY_LINES_MAX {
            true => {
                let lines = &raw const self.0.vary_lines;
                // SAFETY: the first `count` lines were written.
                let lines = unsafe { ffi::lines(lines.cast(), count) }?;
                merge_vary(
                    lines.iter(),
                    Vary::from_bits(vary as u8),
                    |piece| value.push(piece),
                );
            }
            // The response depends on everything.
            false => value.push(b"*"),
        }
        let len = value.finish();
        self.0.vary = cors_str { data: buffer, len };
        let [first, ..] = &self.0.vary_lines;
        // SAFETY: the first line was written, and both are strings that are there.
        let same = unsafe {
            let cors_str { data, len: own } = first.assume_init();
            ffi::bytes(data, own) == ffi::bytes(buffer, len)
        };
        let same = count == 1 && same;
        self.0.set_vary = (!same).into();
        Ok(())
    }
}

// The size of the struct is part of the ABI.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<cors_edits>() == 4168);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<cors_edits>() == 2092);
