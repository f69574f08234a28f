//! Requests, gathered from their header lines.

use core::{ffi::c_char, mem::MaybeUninit, slice};

use libcors_policy::{
    Comparison, MAX_REQUEST_HEADERS_ELEMENTS, RequestField, length_bits,
    names_websocket,
};

use crate::{
    ffi::{self, NO_STR, guard},
    status::{CORS_ERR_ABI, CORS_ERR_ARGUMENT, CORS_ERR_INTERNAL, CORS_OK},
    types::{cors_field, cors_lines, cors_request, cors_str},
};

/// The lengths of the names that cors_request_builder_add() knows, each as a bit:
/// a name need not be passed if this holds no bit 1 << (length & 31).
pub const CORS_REQUEST_LENGTHS: u32 = 0x600046d0;

/// The same for a server whose lines hold no pseudo-headers, as over HTTP/1.1.
pub const CORS_REQUEST_FIELD_LENGTHS: u32 = 0x600040d0;

/// The lines that a cors_request_builder has room for. It never changes.
pub const CORS_REQUEST_LINES_MAX: usize = 137;

/// A request that is gathered from its header lines.
///
/// The caller owns it, on its stack if it likes, and sets nothing but size; what it
/// gathers is in request, for cors_decide(). Its strings are those that were passed,
/// which must live as long as the request is used. It points into itself, so it
/// must not be copied or moved. There is nothing to free.
///
///     cors_request_builder builder;
///
///     builder.size = sizeof(builder);
///     cors_request_builder_init(&builder);
///     cors_request_builder_add_all(&builder, fields, count);
///     cors_decide(policy, &builder.request, &decision);
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_request_builder {
    /// sizeof(cors_request_builder), set by the caller.
    pub size: usize,
    /// What was gathered. A server that knows the method, scheme or host from
    /// elsewhere than from a line sets them here, after the lines.
    pub request: cors_request,
    /// Used by the library.
    pub state: u32,
    /// 0 in this version.
    pub reserved: u32,
    /// Used by the library.
    pub lines: [MaybeUninit<cors_str>; CORS_REQUEST_LINES_MAX],
}

/// The places of the lines of fields that are malformed if they have several: two
/// of each are enough to tell.
const PLACES: usize = 2;

/// The most lines of `Access-Control-Request-Headers`: each has an element, empty
/// or not, so that one more than there may be elements is too large.
const LIST_PLACES: usize = MAX_REQUEST_HEADERS_ELEMENTS + 1;

/// The length of the longest name of a field.
const LONGEST: usize = RequestField::RequestPrivateNetwork.as_str().len();

const _: () = {
    assert!(CORS_REQUEST_LINES_MAX == 4 * PLACES + LIST_PLACES);
    let mut lengths = [0; RequestField::ALL.len()];
    // Of a pseudo-header the length of another field, in place of its own.
    let mut of_fields =
        [RequestField::Origin.as_str().len(); RequestField::ALL.len()];
    let mut at = 0;
    while at < lengths.len() {
        let name = RequestField::ALL[at].as_str();
        lengths[at] = name.len();
        assert!(name.len() <= LONGEST);
        if name.as_bytes()[0] != b':' {
            of_fields[at] = name.len();
        }
        at += 1;
    }
    assert!(CORS_REQUEST_LENGTHS == length_bits(&lengths));
    assert!(CORS_REQUEST_FIELD_LENGTHS == length_bits(&of_fields));
};

/// Bits of `state`: fields that may be there once, and were seen.
const SEEN_SEC_FETCH_SITE: u32 = 1;
const SEEN_HOST: u32 = 2;
const SEEN_AUTHORITY: u32 = 4;

/// cors_request_builder_init starts a request without any line.
///
/// builder must have its size set. CORS_ERR_ABI says that it is smaller than in
/// version 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_request_builder_init(
    builder: *mut cors_request_builder,
) -> i32 {
    // SAFETY: the header asks for a struct of the size that it says, whose lines
    // are not read before they are written.
    unsafe {
        match ffi::prepare_output(builder) {
            Ok(()) => {
                (&raw mut (*builder).request).write(ffi::EMPTY_REQUEST);
                (&raw mut (*builder).state).write(0);
                (&raw mut (*builder).reserved).write(0);
                CORS_OK
            }
            Err(status) => status,
        }
    }
}

/// cors_request_builder_add adds a line, if it matters for a decision.
///
/// The name may be in any case, and be that of a pseudo-header, such as
/// ":authority". Pass the lines in the order in which they were received; all of
/// them, or those whose lengths CORS_REQUEST_LENGTHS has. Several lines of a field
/// are treated as the field demands; of Sec-Fetch-Site and Host several count as
/// none, and ":authority" takes the place of Host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_request_builder_add(
    builder: *mut cors_request_builder,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) -> i32 {
    // What is no string at all is NULL or long.
    if name.is_null() || name_len > LONGEST {
        // SAFETY: the header asks for that many bytes.
        return match unsafe { ffi::bytes(name, name_len) } {
            Ok(_) => CORS_OK,
            Err(status) => status,
        };
    }
    // SAFETY: the header asks for that many bytes.
    let name = unsafe { slice::from_raw_parts(name.cast(), name_len) };
    let value = cors_str { data: value, len: value_len };
    match RequestField::compare(name) {
        // Most lines end here.
        Comparison::Other => CORS_OK,
        // SAFETY: the header asks for a builder that was started.
        Comparison::Equal(field) => unsafe { add_field(builder, field, value) },
        // SAFETY: as above.
        Comparison::Similar(field) => unsafe {
            add_similar(builder, field, name, value)
        },
    }
}

/// # Safety
///
/// `builder` must be NULL, or point to a builder that was started; `value` must be
/// a string that is there, or a bad one.
#[inline(never)]
unsafe fn add_field(
    builder: *mut cors_request_builder,
    field: RequestField,
    value: cors_str,
) -> i32 {
    let add = || {
        // SAFETY: the caller promises it.
        unsafe {
            let mut gather = Gather::of(builder)?;
            if ffi::is_bad(value.data, value.len) {
                return Err(CORS_ERR_ARGUMENT);
            }
            gather.add(field, value);
        }
        Ok(CORS_OK)
    };
    guard(|| Err(CORS_ERR_INTERNAL), add).unwrap_or_else(|status| status)
}

/// # Safety
///
/// As for [`add_field`].
#[inline(never)]
unsafe fn add_similar(
    builder: *mut cors_request_builder,
    field: RequestField,
    name: &[u8],
    value: cors_str,
) -> i32 {
    match field.is_named(name) {
        // SAFETY: the caller promises it.
        true => unsafe { add_field(builder, field, value) },
        false => CORS_OK,
    }
}

/// cors_request_builder_add_all adds the lines of an array; see
/// cors_request_builder_add().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_request_builder_add_all(
    builder: *mut cors_request_builder,
    fields: *const cors_field,
    count: usize,
) -> i32 {
    let add = || {
        // SAFETY: the header asks for a builder that was started.
        let mut gather = unsafe { Gather::of(builder) }?;
        if count != 0 && fields.is_null() {
            return Err(CORS_ERR_ARGUMENT);
        }
        for at in 0..count {
            // SAFETY: the header asks for an array of `count` fields.
            let cors_field { name, value } = unsafe { *fields.add(at) };
            if CORS_REQUEST_LENGTHS >> (name.len & 31) & 1 == 0 {
                continue;
            }
            if ffi::is_bad(value.data, value.len) {
                return Err(CORS_ERR_ARGUMENT);
            }
            // SAFETY: the header asks for strings that are there.
            let name = unsafe { ffi::bytes(name.data, name.len)? };
            if let Some(field) = RequestField::from_bytes(name) {
                // SAFETY: the value is not bad.
                unsafe { gather.add(field, value) };
            }
        }
        Ok(CORS_OK)
    };
    guard(|| Err(CORS_ERR_INTERNAL), add).unwrap_or_else(|status| status)
}

/// A builder that was started, of which no more is borrowed than is written.
struct Gather(*mut cors_request_builder);

impl Gather {
    /// # Safety
    ///
    /// `builder` must be NULL, or point to a builder that was started.
    unsafe fn of(builder: *mut cors_request_builder) -> Result<Gather, i32> {
        if builder.is_null() {
            return Err(CORS_ERR_ARGUMENT);
        }
        // SAFETY: the caller promises it.
        match unsafe { (*builder).size } < size_of::<cors_request_builder>() {
            true => Err(CORS_ERR_ABI),
            false => Ok(Gather(builder)),
        }
    }

    /// # Safety
    ///
    /// `value` must be a string that is there.
    #[inline(always)]
    unsafe fn add(&mut self, field: RequestField, value: cors_str) {
        // SAFETY: the builder was started, so that its request may be read.
        let request = unsafe { &mut (*self.0).request };
        match field {
            RequestField::Origin => {
                self.push(0, PLACES, value, |r| &mut r.origin)
            }
            RequestField::RequestMethod => {
                self.push(PLACES, PLACES, value, |r| &mut r.request_method);
            }
            RequestField::RequestPrivateNetwork => {
                self.push(2 * PLACES, PLACES, value, |r| {
                    &mut r.request_private_network
                });
            }
            // SAFETY: the caller promises it.
            RequestField::Upgrade => unsafe { self.push_upgrade(value) },
            RequestField::RequestHeaders => {
                self.push(4 * PLACES, LIST_PLACES, value, |r| {
                    &mut r.request_headers
                });
            }
            RequestField::SecFetchSite => {
                let seen = self.see(SEEN_SEC_FETCH_SITE);
                request.sec_fetch_site = if seen { NO_STR } else { value };
            }
            RequestField::Host => {
                let seen = self.see(SEEN_HOST);
                // SAFETY: as above.
                if unsafe { (*self.0).state } & SEEN_AUTHORITY == 0 {
                    request.host = if seen { NO_STR } else { value };
                }
            }
            RequestField::Authority => {
                self.see(SEEN_AUTHORITY);
                request.host = value;
            }
            RequestField::Method => request.method = value,
            RequestField::Scheme => request.scheme = value,
            RequestField::Protocol => request.protocol = value,
        }
    }

    /// Notes that a field was seen, and returns whether it was before.
    fn see(&mut self, bit: u32) -> bool {
        // SAFETY: the builder was started.
        let state = unsafe { &mut (*self.0).state };
        let seen = *state & bit != 0;
        *state |= bit;
        seen
    }

    /// Adds a line to a field whose places begin at `first`. Lines for which there
    /// is no place change no decision.
    #[inline]
    fn push(
        &mut self,
        first: usize,
        places: usize,
        value: cors_str,
        field: fn(&mut cors_request) -> &mut cors_lines,
    ) {
        // SAFETY: the builder was started, and has a line for each place.
        unsafe {
            let field = field(&mut (*self.0).request);
            if field.count < places {
                let lines: *mut cors_str = (&raw mut (*self.0).lines).cast();
                lines.add(first + field.count).write(value);
                field.lines = lines.add(first);
                field.count += 1;
            }
        }
    }

    /// Keeps the first line, and of all others one that asks for a WebSocket.
    ///
    /// # Safety
    ///
    /// `value` must be a string that is there.
    unsafe fn push_upgrade(&mut self, value: cors_str) {
        const FIRST: usize = 3 * PLACES;
        // SAFETY: the builder was started.
        let count = unsafe { (*self.0).request.upgrade.count };
        if count < PLACES {
            self.push(FIRST, PLACES, value, |r| &mut r.upgrade);
            // SAFETY: the caller promises it.
        } else if names_websocket(unsafe { ffi::good_bytes(value) }) {
            // SAFETY: as above; this place was written.
            unsafe {
                let lines: *mut cors_str = (&raw mut (*self.0).lines).cast();
                lines.add(FIRST + 1).write(value);
            }
        }
    }
}

// The size of the struct is part of the ABI.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<cors_request_builder>() == 2376);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<cors_request_builder>() == 1192);
