/*
 * The numbers that programs are compiled with: they never change. It is enough
 * that this compiles, on 64 and on 32 bits. A line is added for what is new, and
 * no line is changed; `cargo xtask abi` says what is missing.
 */

#include <cors.h>

#if UINTPTR_MAX == 0xffffffff
#define BITS(on64, on32) (on32)
#else
#define BITS(on64, on32) (on64)
#endif

/* The name is pasted here, and not in a macro that this one uses, where it would
 * have been replaced by its value. */

#define VALUE(name, value) \
    extern char check_##name[name == (value) ? 1 : -1]
#define SIZE(type, on64, on32) \
    extern char check_##type[sizeof(type) == BITS(on64, on32) ? 1 : -1]
#define OFFSET(type, member, on64, on32) \
    extern char check_##type##_##member \
        [offsetof(type, member) == BITS(on64, on32) ? 1 : -1]

VALUE(CORS_ABI_VERSION, 1);

VALUE(CORS_OK, 0);
VALUE(CORS_ERR_ARGUMENT, 1);
VALUE(CORS_ERR_ABI, 2);
VALUE(CORS_ERR_DOCUMENT, 3);
VALUE(CORS_ERR_IO, 4);
VALUE(CORS_ERR_BUFFER, 5);
VALUE(CORS_ERR_INTERNAL, 6);

VALUE(CORS_FORMAT_AUTO, 0);
VALUE(CORS_FORMAT_TOML, 1);
VALUE(CORS_FORMAT_JSON, 2);

VALUE(CORS_SEVERITY_ERROR, 1);
VALUE(CORS_SEVERITY_WARNING, 2);
VALUE(CORS_SEVERITY_NOTE, 3);

VALUE(CORS_KIND_NONE, 0);
VALUE(CORS_KIND_ACTUAL, 1);
VALUE(CORS_KIND_PREFLIGHT, 2);
VALUE(CORS_KIND_WEBSOCKET, 3);

VALUE(CORS_OUTCOME_NONE, 0);
VALUE(CORS_OUTCOME_ALLOW, 1);
VALUE(CORS_OUTCOME_DENY, 2);

VALUE(CORS_REASON_ALLOWED, 1);
VALUE(CORS_REASON_NOT_CORS, 2);
VALUE(CORS_REASON_SAME_ORIGIN, 3);
VALUE(CORS_REASON_ORIGIN_MALFORMED, 4);
VALUE(CORS_REASON_ORIGIN_NOT_ALLOWED, 5);
VALUE(CORS_REASON_NULL_ORIGIN_NOT_ALLOWED, 6);
VALUE(CORS_REASON_METHOD_MALFORMED, 7);
VALUE(CORS_REASON_METHOD_NOT_ALLOWED, 8);
VALUE(CORS_REASON_HEADERS_MALFORMED, 9);
VALUE(CORS_REASON_HEADER_NOT_ALLOWED, 10);
VALUE(CORS_REASON_HEADERS_TOO_LARGE, 11);
VALUE(CORS_REASON_NO_POLICY, 12);

VALUE(CORS_RULE_NONE, 0xffffffff);

VALUE(CORS_VARY_ORIGIN, 1);
VALUE(CORS_VARY_REQUEST_METHOD, 2);
VALUE(CORS_VARY_REQUEST_HEADERS, 4);
VALUE(CORS_VARY_EXTRA, 72);

VALUE(CORS_UPSTREAM_REPLACE, 0);
VALUE(CORS_UPSTREAM_KEEP, 1);

VALUE(CORS_HEADER_ALLOW_ORIGIN, 1);
VALUE(CORS_HEADER_ALLOW_CREDENTIALS, 2);
VALUE(CORS_HEADER_ALLOW_METHODS, 3);
VALUE(CORS_HEADER_ALLOW_HEADERS, 4);
VALUE(CORS_HEADER_EXPOSE_HEADERS, 5);
VALUE(CORS_HEADER_MAX_AGE, 6);
VALUE(CORS_HEADER_ALLOW_PRIVATE_NETWORK, 7);
VALUE(CORS_HEADER_TIMING_ALLOW_ORIGIN, 8);

VALUE(CORS_SOURCE_FIXED, 1);
VALUE(CORS_SOURCE_ORIGIN, 2);
VALUE(CORS_SOURCE_METHOD, 3);
VALUE(CORS_SOURCE_HEADER_LIST, 4);

VALUE(CORS_HEADERS_MAX, 16);
VALUE(CORS_OWNED_MIN, 19);

SIZE(cors_str, 16, 8);
OFFSET(cors_str, data, 0, 0);
OFFSET(cors_str, len, 8, 4);

SIZE(cors_diagnostic, 120, 68);
OFFSET(cors_diagnostic, size, 0, 0);
OFFSET(cors_diagnostic, severity, 8, 4);
OFFSET(cors_diagnostic, line, 12, 8);
OFFSET(cors_diagnostic, column, 16, 12);
OFFSET(cors_diagnostic, reserved, 20, 16);
OFFSET(cors_diagnostic, offset, 24, 20);
OFFSET(cors_diagnostic, length, 32, 24);
OFFSET(cors_diagnostic, code, 40, 28);
OFFSET(cors_diagnostic, source, 56, 36);
OFFSET(cors_diagnostic, key_path, 72, 44);
OFFSET(cors_diagnostic, message, 88, 52);
OFFSET(cors_diagnostic, hint, 104, 60);

SIZE(cors_lines, 16, 8);
OFFSET(cors_lines, lines, 0, 0);
OFFSET(cors_lines, count, 8, 4);

SIZE(cors_request, 168, 84);
OFFSET(cors_request, size, 0, 0);
OFFSET(cors_request, method, 8, 4);
OFFSET(cors_request, origin, 24, 12);
OFFSET(cors_request, request_method, 40, 20);
OFFSET(cors_request, request_headers, 56, 28);
OFFSET(cors_request, request_private_network, 72, 36);
OFFSET(cors_request, upgrade, 88, 44);
OFFSET(cors_request, protocol, 104, 52);
OFFSET(cors_request, scheme, 120, 60);
OFFSET(cors_request, host, 136, 68);
OFFSET(cors_request, sec_fetch_site, 152, 76);

SIZE(cors_header, 56, 32);
OFFSET(cors_header, id, 0, 0);
OFFSET(cors_header, source, 4, 4);
OFFSET(cors_header, name, 8, 8);
OFFSET(cors_header, lower_name, 24, 16);
OFFSET(cors_header, value, 40, 24);

SIZE(cors_decision, 1000, 604);
OFFSET(cors_decision, size, 0, 0);
OFFSET(cors_decision, kind, 8, 4);
OFFSET(cors_decision, outcome, 12, 8);
OFFSET(cors_decision, reason, 16, 12);
OFFSET(cors_decision, rule, 20, 16);
OFFSET(cors_decision, status, 24, 20);
OFFSET(cors_decision, enforced, 28, 24);
OFFSET(cors_decision, variant, 32, 28);
OFFSET(cors_decision, vary, 36, 32);
OFFSET(cors_decision, upstream, 40, 36);
OFFSET(cors_decision, owned, 44, 40);
OFFSET(cors_decision, header_count, 48, 44);
OFFSET(cors_decision, reserved, 52, 48);
OFFSET(cors_decision, vary_value, 88, 84);
OFFSET(cors_decision, headers, 104, 92);

VALUE(CORS_CHOICE_POLICY, 0);
VALUE(CORS_CHOICE_OFF, 1);
VALUE(CORS_CHOICE_UNKNOWN, 2);
VALUE(CORS_UNKNOWN_SIZE, 1024);

VALUE(CORS_OUTCOME_NEVER, 0xffffffffu);

VALUE(CORS_REQUEST_LENGTHS, 0x600046d0);
VALUE(CORS_REQUEST_FIELD_LENGTHS, 0x600040d0);
VALUE(CORS_REQUEST_LINES_MAX, 137);
VALUE(CORS_RESPONSE_LENGTHS, 0x38480011);
VALUE(CORS_VARY_LINES_MAX, 256);

VALUE(CORS_LINE_KEEP, 0);
VALUE(CORS_LINE_REMOVE, 1);
VALUE(CORS_LINE_VARY, 2);

SIZE(cors_field, 32, 16);
OFFSET(cors_field, name, 0, 0);
OFFSET(cors_field, value, 16, 8);

SIZE(cors_request_builder, 2376, 1192);
OFFSET(cors_request_builder, size, 0, 0);
OFFSET(cors_request_builder, request, 8, 4);
OFFSET(cors_request_builder, state, 176, 88);
OFFSET(cors_request_builder, reserved, 180, 92);
OFFSET(cors_request_builder, lines, 184, 96);

SIZE(cors_edits, 4168, 2092);
OFFSET(cors_edits, size, 0, 0);
OFFSET(cors_edits, headers, 8, 4);
OFFSET(cors_edits, header_count, 16, 8);
OFFSET(cors_edits, removed, 24, 12);
OFFSET(cors_edits, set_vary, 28, 16);
OFFSET(cors_edits, vary, 32, 20);
OFFSET(cors_edits, buffer_size, 48, 28);
OFFSET(cors_edits, decision, 56, 32);
OFFSET(cors_edits, pass, 64, 36);
OFFSET(cors_edits, vary_count, 68, 40);
OFFSET(cors_edits, vary_lines, 72, 44);

VALUE(CORS_KINDS, 4);
VALUE(CORS_REASONS, 13);
