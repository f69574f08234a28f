/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * cors.h - decide cross-origin requests (CORS) as a browser expects it
 *
 * A document, in TOML or JSON, holds named policies: which origins may read
 * responses, with which methods and headers. It is compiled once. Then each
 * request is handed over as it was received, and the decision says what to do
 * with the response. That answers the CORS protocol as the Fetch standard
 * defines it, guards WebSockets, and keeps shared caches right.
 *
 *
 * EXAMPLE
 *
 *     #include <stdio.h>
 *     #include <string.h>
 *     #include <cors.h>
 *
 *     static cors_str
 *     str(const char *text)
 *     {
 *         cors_str result;
 *
 *         result.data = text;
 *         result.len = strlen(text);
 *         return result;
 *     }
 *
 *     int
 *     main(void)
 *     {
 *         size_t                i;
 *         int32_t               status;
 *         cors_str              origin, path, text;
 *         cors_header          *header;
 *         cors_request          request;
 *         cors_decision         decision;
 *         cors_diagnostics     *problems;
 *         const cors_policy    *policy;
 *         const cors_policies  *policies;
 *
 *         path = str("cors.toml");
 *         status = cors_policies_load(path.data, path.len, CORS_FORMAT_AUTO,
 *                                     &policies, &problems);
 *
 *         for (i = 0; i < cors_diagnostics_count(problems); i++) {
 *             text = cors_diagnostics_text(problems, i, NULL);
 *             fprintf(stderr, "%s\n", text.data);
 *         }
 *         cors_diagnostics_free(problems);
 *
 *         if (status != CORS_OK) {
 *             return 1;
 *         }
 *
 *         policy = cors_policies_get(policies, "api", 3);
 *
 *         origin = str("https://app.example.com");
 *         memset(&request, 0, sizeof(request));
 *         request.size = sizeof(request);
 *         request.method = str("GET");
 *         request.origin.lines = &origin;
 *         request.origin.count = 1;
 *
 *         decision.size = sizeof(decision);
 *         cors_decide(policy, &request, &decision);
 *
 *         printf("%s\n", cors_reason_str(decision.reason));
 *         for (i = 0; i < decision.header_count; i++) {
 *             header = &decision.headers[i];
 *             printf("%s: %.*s\n", header->name.data,
 *                    (int) header->value.len, header->value.data);
 *         }
 *         if (decision.vary != 0) {
 *             printf("Vary: %s\n", decision.vary_value.data);
 *         }
 *
 *         cors_policies_unref(policies);
 *         return 0;
 *     }
 *
 * Build it with
 *
 *     cc example.c $(pkg-config --cflags --libs libcors)
 *
 * and, to link the library in, with
 *
 *     cc example.c $(pkg-config --cflags --libs-only-L libcors) \
 *         -l:libcors.a $(pkg-config --variable=static_libs libcors)
 *
 * A server has more to carry out than this prints: cors_decision lists the
 * four steps.
 *
 *
 * OWNERSHIP
 *
 * A cors_policies is reference counted: who got one by parsing, loading or
 * cors_policies_ref() gives it back with cors_policies_unref(). A cors_policy
 * is borrowed from it. A cors_diagnostics belongs to the caller, who frees it.
 * Requests, decisions and buffers are the caller's memory, often on the stack.
 * What else is handed out is borrowed, and says from what.
 *
 * Every function that gives something back or frees it takes NULL.
 *
 *
 * STRINGS
 *
 * Strings come as a pointer and a length; { NULL, 0 } is the empty string. A
 * length beyond PTRDIFF_MAX is an error. No string that the library hands out
 * holds CR, LF or NUL, except what cors_explain() writes, which has several
 * lines. Names, codes and the values that a policy owns are followed by a NUL
 * besides; values that are echoed from the request are not.
 *
 *
 * THREADS
 *
 * A document and its policies never change, so any number of threads may use
 * them at the same time, and give references back where they like. All else
 * belongs to one thread at a time.
 *
 *
 * PROCESS
 *
 * The library starts no thread, installs no signal handler, reads no
 * environment variable and no file but those it is given a path of, writes
 * nothing, and keeps no global state. A document may be compiled before fork()
 * and used after it, on both sides. The shared library may be unloaded, by
 * dlclose(), when nothing of it is in use.
 *
 * A bug in the library ends in CORS_ERR_INTERNAL, not in the death of the
 * process; a message about it goes to standard error, with a trace if
 * RUST_BACKTRACE asks for one. Memory that runs out ends the process, but
 * deciding needs none. No C++ exception and no longjmp() may pass through a
 * function of the library.
 *
 *
 * VERSIONS
 *
 * What was released is not changed in place: a function keeps its meaning, a
 * number is not used again, and a struct only grows at its end. So structs
 * start with a size, which the caller sets to sizeof:
 *
 * - A struct that the caller fills in may be larger than the library knows, if
 *   the rest is zero. Otherwise the call fails with CORS_ERR_ABI.
 * - A struct that the library fills in may be larger too; the rest is zeroed.
 *   Nothing is written beyond its size.
 * - A struct that is smaller than in version 1 gives CORS_ERR_ABI, and is not
 *   written to.
 *
 * Programs are not affected by what is added: a number that a program does not
 * know is to be treated as its comment says. If something must break after
 * all, CORS_ABI_VERSION and the name of the shared library change.
 */

#ifndef CORS_H
#define CORS_H

#include <stddef.h>
#include <stdint.h>

/* Put before each function; define it to give them attributes. */
#ifndef CORS_API
#define CORS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif


/*
 * Versions
 * ========
 */

/**
 * The version of the ABI that this header describes.
 *
 * It changes only when something breaks. Compare it with cors_abi_version()
 * when the program starts or reads its configuration, and refuse to go on, with
 * both numbers in the message, if they differ.
 */
#define CORS_ABI_VERSION 1

/** cors_abi_version returns the ABI version of the library that is loaded. */
CORS_API uint32_t cors_abi_version(void);

/**
 * cors_version returns the version of the library, such as "0.1.0".
 *
 * It is for people; nothing should depend on it. The string is static.
 */
CORS_API const char *cors_version(void);


/*
 * Strings and status codes
 * ========================
 */

/**
 * A string of bytes. It need not end with a NUL.
 *
 * { NULL, 0 } is the empty string. A length beyond PTRDIFF_MAX is an error.
 * Strings that the library hands out hold no CR, LF or NUL, and those that it
 * owns are followed by a NUL.
 */
typedef struct cors_str {
    /** The first byte; NULL only if the string is empty. */
    const char *data;
    /** The number of bytes. */
    size_t len;
} cors_str;

/** The call did what was asked. */
#define CORS_OK 0

/**
 * An argument is wrong: NULL where an object is needed, a string of a length
 * beyond PTRDIFF_MAX, a format or an index that does not exist.
 */
#define CORS_ERR_ARGUMENT 1
/**
 * A struct has a size that this library cannot serve: it is smaller than in
 * version 1, or larger than this library knows with a tail that is not zero.
 */
#define CORS_ERR_ABI 2
/** The document has errors; the diagnostics say which. */
#define CORS_ERR_DOCUMENT 3
/** The file could not be read; the diagnostics say why. */
#define CORS_ERR_IO 4
/** The caller's buffer is too small; nothing was changed. */
#define CORS_ERR_BUFFER 5
/** The library has a bug, which it survived. Please report it. */
#define CORS_ERR_INTERNAL 6

/**
 * cors_status_str returns a few words for a status code, in English.
 *
 * The string is static. Unknown codes give "unknown status".
 */
CORS_API const char *cors_status_str(int32_t status);


/*
 * Documents
 * =========
 */

/**
 * A compiled document: any number of named policies.
 *
 * It is immutable and reference counted. Any number of threads may use one at
 * the same time.
 */
typedef struct cors_policies cors_policies;

/**
 * One policy of a document.
 *
 * It belongs to its cors_policies, and is valid as long as that is.
 */
typedef struct cors_policy cors_policy;

/**
 * What was found wrong in a document: errors and warnings.
 *
 * It belongs to the caller. One thread at a time may use it.
 */
typedef struct cors_diagnostics cors_diagnostics;

/** The document is JSON if its first character is "{", and else TOML. */
#define CORS_FORMAT_AUTO 0
/** The document is TOML. */
#define CORS_FORMAT_TOML 1
/** The document is JSON. */
#define CORS_FORMAT_JSON 2

/** The name is that of a policy. */
#define CORS_CHOICE_POLICY 0
/** The name is "off": leave the response as it is. */
#define CORS_CHOICE_OFF 1
/**
 * There is no policy of this name: decide with a NULL policy, which fails closed.
 */
#define CORS_CHOICE_UNKNOWN 2

/**
 * Bytes that are enough for the sentence of cors_policies_unknown(), its NUL
 * included.
 */
#define CORS_UNKNOWN_SIZE 1024

/**
 * cors_policies_parse compiles a document.
 *
 * text is the document, in UTF-8; a byte order mark is skipped. source is its
 * name in diagnostics, such as "cors.toml" or "envoy route /api". format is
 * CORS_FORMAT_...
 *
 * On CORS_OK *policies is the document, which the caller owns and gives back
 * with cors_policies_unref(); on any other status it is NULL. On CORS_OK and
 * CORS_ERR_DOCUMENT *diagnostics, unless diagnostics is NULL, is what was found,
 * warnings included; give it to cors_diagnostics_free(). It is NULL if nothing
 * was found.
 *
 * The call allocates, and is not meant for the path of a request.
 */
CORS_API
int32_t cors_policies_parse(const char *text,
                            size_t text_len,
                            const char *source,
                            size_t source_len,
                            uint32_t format,
                            const struct cors_policies **policies,
                            struct cors_diagnostics **diagnostics);

/**
 * cors_policies_load reads a file and compiles it, as cors_policies_parse()
 * does.
 *
 * path is the file's name, in UTF-8, and its name in diagnostics too. A file
 * that cannot be read gives CORS_ERR_IO, and a diagnostic that says why.
 */
CORS_API
int32_t cors_policies_load(const char *path,
                           size_t path_len,
                           uint32_t format,
                           const struct cors_policies **policies,
                           struct cors_diagnostics **diagnostics);

/**
 * cors_policies_open compiles what the configuration of a server holds: the text of
 * a policy file, or "file:" and the path of one.
 *
 * White space around it is ignored, and so are the quotes of a JSON string, as
 * configurations that are JSON themselves pass it. source is the name of a text in
 * diagnostics; that of a file is its path. All else is as with
 * cors_policies_parse(), and for a path as with cors_policies_load().
 */
CORS_API
int32_t cors_policies_open(const char *text,
                           size_t text_len,
                           const char *source,
                           size_t source_len,
                           const struct cors_policies **policies,
                           struct cors_diagnostics **diagnostics);

/**
 * cors_policies_join makes one set of the policies of several files.
 *
 * list is an array of count sets, of which each may have several files itself.
 * The sets are not changed; what the new one needs of them it keeps alive.
 *
 * On CORS_OK *policies is the new set, which the caller owns and releases with
 * cors_policies_unref(). If two files have a policy of the same name, the status
 * is CORS_ERR_DOCUMENT, *policies is NULL, and *diagnostics, unless diagnostics is
 * NULL, names both places; release it with cors_diagnostics_free().
 */
CORS_API
int32_t cors_policies_join(const struct cors_policies *const *list,
                           size_t count,
                           const struct cors_policies **policies,
                           struct cors_diagnostics **diagnostics);

/**
 * cors_policies_ref adds a reference to a document and returns it.
 *
 * NULL gives NULL.
 */
CORS_API
const struct cors_policies *cors_policies_ref(const struct cors_policies *policies);

/**
 * cors_policies_unref gives a reference to a document back.
 *
 * With the last one the document and its policies die. NULL is fine.
 */
CORS_API void cors_policies_unref(const struct cors_policies *policies);

/**
 * cors_policies_get returns the policy of a name, or NULL if there is none.
 *
 * It is borrowed: it is valid as long as the set.
 */
CORS_API
const struct cors_policy *cors_policies_get(const struct cors_policies *policies,
                                            const char *name,
                                            size_t name_len);

/**
 * cors_policies_choose finds out what a server is to do where it chooses the policy
 * by a name, and returns CORS_CHOICE_...
 *
 * *policy is the policy on CORS_CHOICE_POLICY, and else NULL. An empty name is that
 * of no policy. Any number of threads may choose from one set at the same time.
 */
CORS_API
int32_t cors_policies_choose(const struct cors_policies *policies,
                             const char *name,
                             size_t name_len,
                             const struct cors_policy **policy);

/**
 * cors_policies_unknown writes a sentence for a log about a name that
 * cors_policies_choose() did not know: the name, and the names that exist.
 *
 * The name may come from a client: it is shortened, and what would not show in a
 * log is escaped. Of many policies the first are named. Like snprintf(), the call
 * writes up to size bytes, the last of them a NUL, and returns the length of the
 * whole sentence without the NUL, which is below CORS_UNKNOWN_SIZE. buffer may be
 * NULL if size is 0.
 */
CORS_API
size_t cors_policies_unknown(const struct cors_policies *policies,
                             const char *name,
                             size_t name_len,
                             char *buffer,
                             size_t size);

/** cors_policies_count returns the number of policies of a set. */
CORS_API size_t cors_policies_count(const struct cors_policies *policies);

/**
 * cors_policies_name returns the name of a policy by its place, counted from 0: in
 * the order of the files, and of the policies in each. NULL beyond the last.
 *
 * The name is valid as long as the set.
 */
CORS_API
const char *cors_policies_name(const struct cors_policies *policies,
                               size_t index);


/*
 * Diagnostics
 * ===========
 */

/** The document cannot be used. */
#define CORS_SEVERITY_ERROR 1
/** The document can be used, and probably does not say what was meant. */
#define CORS_SEVERITY_WARNING 2
/** A second place that the problem before this one is about. */
#define CORS_SEVERITY_NOTE 3

/**
 * One thing that was found wrong in a document.
 *
 * The caller owns the struct, and need set nothing but size. The strings belong
 * to the cors_diagnostics, are followed by a NUL, and hold no control
 * characters.
 */
typedef struct cors_diagnostic {
    /** sizeof(cors_diagnostic), set by the caller. */
    size_t size;
    /** CORS_SEVERITY_... Treat an unknown one as CORS_SEVERITY_NOTE. */
    uint32_t severity;
    /**
     * The line, counted from 1. What concerns no line in particular, such as a
     * file that cannot be read, is at line 1 and column 1.
     */
    uint32_t line;
    /** The column in Unicode scalar values, counted from 1. */
    uint32_t column;
    /** 0 in this version. */
    uint32_t reserved;
    /** Where the text starts, in bytes from the start of the document. */
    size_t offset;
    /** How long the text is, in bytes. */
    size_t length;
    /**
     * The stable code, such as "E0201"; docs/diagnostics.md explains each. That
     * of a note is that of the problem before it.
     */
    struct cors_str code;
    /** The name of the document. */
    struct cors_str source;
    /** The key, such as "policy.api.allow_origins[2]"; may be empty. */
    struct cors_str key_path;
    /** What is wrong, in one sentence. */
    struct cors_str message;
    /** What to do about it; may be empty. */
    struct cors_str hint;
} cors_diagnostic;

/** cors_diagnostics_count returns how many there are; 0 for NULL. */
CORS_API
size_t cors_diagnostics_count(const struct cors_diagnostics *diagnostics);

/**
 * cors_diagnostics_get reads one, by its place, counted from 0.
 *
 * They are in the order of the document. diagnostic must have its size set. An
 * index beyond the last gives CORS_ERR_ARGUMENT.
 */
CORS_API
int32_t cors_diagnostics_get(const struct cors_diagnostics *diagnostics,
                             size_t index,
                             struct cors_diagnostic *diagnostic);

/**
 * cors_diagnostics_text returns one, by its place, as a line for a log.
 *
 * That is "SOURCE:LINE:COLUMN: CODE: MESSAGE", and "; HINT" if there is one; a
 * note has "note" for its code. It belongs to the cors_diagnostics, is followed by
 * a NUL, and holds no control characters. level, unless it is NULL, is set to
 * CORS_SEVERITY_ERROR or CORS_SEVERITY_WARNING: a note has that of the problem that
 * it belongs to. An index beyond the last gives an empty string.
 */
CORS_API
struct cors_str cors_diagnostics_text(const struct cors_diagnostics *diagnostics,
                                      size_t index,
                                      uint32_t *level);

/**
 * cors_diagnostics_free frees them and all their strings.
 *
 * NULL is fine.
 */
CORS_API void cors_diagnostics_free(struct cors_diagnostics *diagnostics);


/*
 * Requests
 * ========
 */

/**
 * The lines of one field of a request, as they were received.
 *
 * A field that is absent has no lines. That is not the same as one empty line.
 */
typedef struct cors_lines {
    /**
     * The values, in order, without the field's name; NULL only if there is
     * none.
     */
    const struct cors_str *lines;
    /** The number of lines. */
    size_t count;
} cors_lines;

/**
 * A request, as far as CORS is concerned.
 *
 * The caller owns it and all its strings, and hands over what was received: it
 * joins, splits, trims and judges nothing. Set it to zero, then fill in size and
 * what the request has:
 *
 *     cors_request request;
 *
 *     memset(&request, 0, sizeof(request));
 *     request.size = sizeof(request);
 */
typedef struct cors_request {
    /** sizeof(cors_request). */
    size_t size;
    /** The method; methods are case-sensitive. */
    struct cors_str method;
    /** Origin. */
    struct cors_lines origin;
    /** Access-Control-Request-Method. */
    struct cors_lines request_method;
    /** Access-Control-Request-Headers. */
    struct cors_lines request_headers;
    /** Access-Control-Request-Private-Network. */
    struct cors_lines request_private_network;
    /** Upgrade. */
    struct cors_lines upgrade;
    /**
     * The pseudo-header :protocol of HTTP/2 and HTTP/3 (RFC 8441), or empty.
     */
    struct cors_str protocol;
    /**
     * "http" or "https", or empty if it is not known. This and the next two
     * serve only to tell a same-origin request from a cross-origin one.
     */
    struct cors_str scheme;
    /** Host, or the pseudo-header :authority, or empty. */
    struct cors_str host;
    /** Sec-Fetch-Site, or empty. */
    struct cors_str sec_fetch_site;
} cors_request;

/**
 * A line of a message's header section: a name and a value, or a pseudo-header.
 *
 * A server whose headers lie in an array of two strings each may pass that array.
 */
typedef struct cors_field {
    /** The name, in any case. */
    struct cors_str name;
    /** The value, as it was received. */
    struct cors_str value;
} cors_field;

/**
 * The lengths of the names that cors_request_builder_add() knows, each as a bit:
 * a name need not be passed if this holds no bit 1 << (length & 31).
 */
#define CORS_REQUEST_LENGTHS 1610630864
/**
 * The same for a server whose lines hold no pseudo-headers, as over HTTP/1.1.
 */
#define CORS_REQUEST_FIELD_LENGTHS 1610629328
/** The lines that a cors_request_builder has room for. It never changes. */
#define CORS_REQUEST_LINES_MAX 137

/**
 * A request that is gathered from its header lines.
 *
 * The caller owns it, on its stack if it likes, and sets nothing but size; what it
 * gathers is in request, for cors_decide(). Its strings are those that were passed,
 * which must live as long as the request is used. It points into itself, so it
 * must not be copied or moved. There is nothing to free.
 *
 *     cors_request_builder builder;
 *
 *     builder.size = sizeof(builder);
 *     cors_request_builder_init(&builder);
 *     cors_request_builder_add_all(&builder, fields, count);
 *     cors_decide(policy, &builder.request, &decision);
 */
typedef struct cors_request_builder {
    /** sizeof(cors_request_builder), set by the caller. */
    size_t size;
    /**
     * What was gathered. A server that knows the method, scheme or host from
     * elsewhere than from a line sets them here, after the lines.
     */
    struct cors_request request;
    /** Used by the library. */
    uint32_t state;
    /** 0 in this version. */
    uint32_t reserved;
    /** Used by the library. */
    struct cors_str lines[CORS_REQUEST_LINES_MAX];
} cors_request_builder;

/**
 * cors_request_builder_init starts a request without any line.
 *
 * builder must have its size set. CORS_ERR_ABI says that it is smaller than in
 * version 1.
 */
CORS_API
int32_t cors_request_builder_init(struct cors_request_builder *builder);

/**
 * cors_request_builder_add adds a line, if it matters for a decision.
 *
 * The name may be in any case, and be that of a pseudo-header, such as
 * ":authority". Pass the lines in the order in which they were received; all of
 * them, or those whose lengths CORS_REQUEST_LENGTHS has. Several lines of a field
 * are treated as the field demands; of Sec-Fetch-Site and Host several count as
 * none, and ":authority" takes the place of Host.
 */
CORS_API
int32_t cors_request_builder_add(struct cors_request_builder *builder,
                                 const char *name,
                                 size_t name_len,
                                 const char *value,
                                 size_t value_len);

/**
 * cors_request_builder_add_all adds the lines of an array; see
 * cors_request_builder_add().
 */
CORS_API
int32_t cors_request_builder_add_all(struct cors_request_builder *builder,
                                     const struct cors_field *fields,
                                     size_t count);


/*
 * Decisions
 * =========
 */

/** A request without Origin: CORS has nothing to say about it. */
#define CORS_KIND_NONE 0
/**
 * A request with Origin that is none of the others. It need not be
 * cross-origin.
 */
#define CORS_KIND_ACTUAL 1
/** A CORS-preflight request (Fetch standard, "CORS-preflight fetch"). */
#define CORS_KIND_PREFLIGHT 2
/**
 * A request for a WebSocket. Browsers do not apply CORS to it; only the server
 * can refuse it.
 */
#define CORS_KIND_WEBSOCKET 3

/** Nothing was asked: no Origin, or the server's own. */
#define CORS_OUTCOME_NONE 0
/** The policy allows it. */
#define CORS_OUTCOME_ALLOW 1
/** The policy does not allow it. */
#define CORS_OUTCOME_DENY 2
/** What cors_reason_outcome() returns where there is no such decision. */
#define CORS_OUTCOME_NEVER 0xffffffffu

/** Origin, method and headers are allowed. */
#define CORS_REASON_ALLOWED 1
/** There is no Origin. */
#define CORS_REASON_NOT_CORS 2
/** The origin is not listed, and is the server's own. */
#define CORS_REASON_SAME_ORIGIN 3
/** Origin is no serialized origin, or there are several. */
#define CORS_REASON_ORIGIN_MALFORMED 4
/** No entry of the policy covers the origin. */
#define CORS_REASON_ORIGIN_NOT_ALLOWED 5
/** The origin is null, and the policy does not list it. */
#define CORS_REASON_NULL_ORIGIN_NOT_ALLOWED 6
/** Access-Control-Request-Method is no token, or there are several. */
#define CORS_REASON_METHOD_MALFORMED 7
/** The policy does not list the method. */
#define CORS_REASON_METHOD_NOT_ALLOWED 8
/** Access-Control-Request-Headers is no list of tokens. */
#define CORS_REASON_HEADERS_MALFORMED 9
/** The policy does not list a header. */
#define CORS_REASON_HEADER_NOT_ALLOWED 10
/** Access-Control-Request-Headers is larger than any browser's. */
#define CORS_REASON_HEADERS_TOO_LARGE 11
/** No policy was given, or the call failed. */
#define CORS_REASON_NO_POLICY 12

/**
 * The number of kinds: those of decisions are below it. A later version may have
 * more.
 */
#define CORS_KINDS 4

/**
 * One more than the largest reason: those of decisions are below it, and from 1. A
 * later version may have more.
 */
#define CORS_REASONS 13

/** The value of cors_decision.rule where no entry of the list matched. */
#define CORS_RULE_NONE 0xffffffffu

/** Origin, as a bit of cors_decision.vary. */
#define CORS_VARY_ORIGIN 1

/** Access-Control-Request-Method. */
#define CORS_VARY_REQUEST_METHOD 2
/** Access-Control-Request-Headers. */
#define CORS_VARY_REQUEST_HEADERS 4

/**
 * The application's own CORS headers go, and those of the decision are set.
 */
#define CORS_UPSTREAM_REPLACE 0
/**
 * Where the application's response has an Access-Control-Allow-Origin, change
 * nothing but Vary; otherwise as CORS_UPSTREAM_REPLACE.
 */
#define CORS_UPSTREAM_KEEP 1

/** Access-Control-Allow-Origin, as cors_header.id. */
#define CORS_HEADER_ALLOW_ORIGIN 1
/** Access-Control-Allow-Credentials. */
#define CORS_HEADER_ALLOW_CREDENTIALS 2
/** Access-Control-Allow-Methods. */
#define CORS_HEADER_ALLOW_METHODS 3
/** Access-Control-Allow-Headers. */
#define CORS_HEADER_ALLOW_HEADERS 4
/** Access-Control-Expose-Headers. */
#define CORS_HEADER_EXPOSE_HEADERS 5
/** Access-Control-Max-Age. */
#define CORS_HEADER_MAX_AGE 6
/** Access-Control-Allow-Private-Network. */
#define CORS_HEADER_ALLOW_PRIVATE_NETWORK 7
/** Timing-Allow-Origin. */
#define CORS_HEADER_TIMING_ALLOW_ORIGIN 8

/** The policy owns the value: it lives as long as the policy. */
#define CORS_SOURCE_FIXED 1
/** The value is the request's Origin: it lives as long as the request. */
#define CORS_SOURCE_ORIGIN 2
/** The value is the request's Access-Control-Request-Method. */
#define CORS_SOURCE_METHOD 3
/** The value is a line of the request's Access-Control-Request-Headers. */
#define CORS_SOURCE_HEADER_LIST 4

/** A response header to set. This struct never grows. */
typedef struct cors_header {
    /** CORS_HEADER_... */
    uint32_t id;
    /**
     * CORS_SOURCE_...: where the value comes from, and so how long it lives.
     */
    uint32_t source;
    /** The name as the standards spell it. Static, followed by a NUL. */
    struct cors_str name;
    /**
     * The name in lower case, as HTTP/2 and HTTP/3 send it. Static, followed
     * by a NUL.
     */
    struct cors_str lower_name;
    /** The value. */
    struct cors_str value;
} cors_header;

/** The number of headers that a decision has room for. It never changes. */
#define CORS_HEADERS_MAX 16

/**
 * The answer to a request.
 *
 * The caller owns it, on its stack if it likes, and need set nothing but size.
 * There is nothing to free. The strings borrow from the policy, and from the
 * request where a header's source says so: they are valid while both are. See
 * cors_decision_detach() for hosts whose requests die first. A host that keeps
 * decisions may cut a copy off behind the last header that is set.
 *
 * Carry it out like this, on every response, errors too, unless enforced is 0:
 *
 * 1. If status is not 0, answer the request with it, without a body (and with
 *    Content-Length: 0 unless it is 204), and let nothing else answer: neither
 *    authentication nor the application.
 * 2. Remove the response headers for which cors_header_owned() says so; but if
 *    upstream is CORS_UPSTREAM_KEEP and the application's response has an
 *    Access-Control-Allow-Origin, go to step 4.
 * 3. Add headers[0] to headers[header_count - 1].
 * 4. If vary is not 0, replace the Vary lines by the value that
 *    cors_vary_merge() makes of them (or by vary_value, if there are none).
 */
typedef struct cors_decision {
    /** sizeof(cors_decision), set by the caller. */
    size_t size;
    /** CORS_KIND_... Treat an unknown one as CORS_KIND_ACTUAL. */
    uint32_t kind;
    /** CORS_OUTCOME_... */
    uint32_t outcome;
    /** CORS_REASON_... Do not depend on it: later versions may know more. */
    uint32_t reason;
    /**
     * The entry of allow_origins that covers the origin, counted from 0, or
     * CORS_RULE_NONE.
     */
    uint32_t rule;
    /** The status to answer with, or 0 if the application answers. */
    uint32_t status;
    /** 1, or 0 in report mode: then change nothing. */
    uint32_t enforced;
    /** The number of the header list, for cors_variant_headers(). */
    uint32_t variant;
    /**
     * CORS_VARY_... bits: the names to merge into Vary. Vary is not among the
     * headers, so that no host overwrites what else is there.
     */
    uint32_t vary;
    /** CORS_UPSTREAM_... */
    uint32_t upstream;
    /** The headers to remove, as bits: 1 << CORS_HEADER_... */
    uint32_t owned;
    /** The number of headers to set. */
    uint32_t header_count;
    /** 0 in this version. */
    uint32_t reserved[9];
    /**
     * The names of vary as a value, for a response that has no Vary. Static,
     * followed by a NUL.
     */
    struct cors_str vary_value;
    /**
     * The headers to set, in order. Those beyond header_count have no meaning.
     */
    struct cors_header headers[CORS_HEADERS_MAX];
} cors_decision;

/**
 * cors_decide decides a request.
 *
 * request and decision must have their size set. A request without Origin needs
 * nothing else: all its other members may be zero. A NULL policy is that of a
 * name which does not exist: it closes, with CORS_REASON_NO_POLICY.
 *
 * A request that is not allowed is no error: it is a decision with a reason. On
 * any status but CORS_OK the decision closes as well, if its size is that of a
 * decision: it removes all headers of the CORS protocol, varies on Origin, and
 * its status is 403 if the request asked for a WebSocket. So a caller may ignore
 * the status, and errs on the safe side.
 *
 * The call does not allocate, lock, log or block. Any number of threads may use
 * one policy at the same time. Its cost is linear in the length of the request's
 * fields, up to fixed limits, and does not grow with the number of origins.
 */
CORS_API
int32_t cors_decide(const struct cors_policy *policy,
                    const struct cors_request *request,
                    struct cors_decision *decision);


/*
 * Applying a decision
 * ===================
 */

/** The line stays as it is. */
#define CORS_LINE_KEEP 0
/** The line is to be removed before headers are set. */
#define CORS_LINE_REMOVE 1
/**
 * The line is a Vary line: it is to be removed if cors_edits_finish() sets
 * set_vary. Of several lines that is always so.
 */
#define CORS_LINE_VARY 2

/**
 * The lengths of the names that cors_edits_line() may act on, each as a bit: a
 * line need not be passed if this holds no bit 1 << (length & 31) for its name.
 */
#define CORS_RESPONSE_LENGTHS 944242705

/**
 * The Vary lines that a cors_edits has room for. It never changes. Of a response
 * with more of them the value becomes "*".
 */
#define CORS_VARY_LINES_MAX 256

/**
 * The edits that a decision makes to the headers of a response.
 *
 * The caller owns it, on its stack if it likes, and sets nothing but size. There is
 * nothing to free. The strings borrow from the decision, from the lines that were
 * passed, and from the caller's buffer; it must not be copied or moved meanwhile.
 *
 *     cors_edits edits;
 *
 *     edits.size = sizeof(edits);
 *     cors_edits_init(&edits, &decision);
 *
 *     do {
 *         for each header line of the response {
 *             action = cors_edits_line(&edits, name, name_len,
 *                                      value, value_len);
 *             carry the action out;
 *         }
 *     } while (cors_edits_again(&edits));
 *
 *     buffer = allocate(edits.buffer_size);
 *     cors_edits_finish(&edits, buffer, edits.buffer_size);
 *
 *     add edits.headers[0] to edits.headers[edits.header_count - 1];
 *     if (edits.set_vary) {
 *         set the one Vary line to edits.vary;
 *     }
 *
 * It knows report mode and CORS_UPSTREAM_KEEP: there is nothing to ask before.
 */
typedef struct cors_edits {
    /** sizeof(cors_edits), set by the caller. */
    size_t size;
    /** The headers to set, in order: those of the decision. */
    const struct cors_header *headers;
    /** The number of headers to set. */
    size_t header_count;
    /**
     * The headers of the response that are to be removed, as bits:
     * 1 << CORS_HEADER_... For servers that remove headers by name.
     */
    uint32_t removed;
    /**
     * 1 if vary is to become the one Vary line of the response, and else 0.
     */
    uint32_t set_vary;
    /** The value of the Vary line; not empty if set_vary is 1. */
    struct cors_str vary;
    /** The bytes that cors_edits_finish() needs; 0 if it needs no buffer. */
    size_t buffer_size;
    /** Used by the library. */
    const struct cors_decision *decision;
    /** Used by the library. */
    uint32_t pass;
    /** Used by the library. */
    uint32_t vary_count;
    /** Used by the library. */
    struct cors_str vary_lines[CORS_VARY_LINES_MAX];
} cors_edits;

/**
 * cors_edits_init starts the edits of a decision.
 *
 * edits must have its size set; decision is one that cors_decide() made, of which
 * only the headers that are set need be there.
 */
CORS_API
int32_t cors_edits_init(struct cors_edits *edits,
                        const struct cors_decision *decision);

/**
 * cors_edits_line passes a header line of the response, and returns CORS_LINE_...:
 * what is to be done with it.
 *
 * The name may be in any case. Pass all lines, or those whose lengths
 * CORS_RESPONSE_LENGTHS has. The value must live until cors_edits_finish() returns;
 * it matters for Vary alone.
 */
CORS_API
int32_t cors_edits_line(struct cors_edits *edits,
                        const char *name,
                        size_t name_len,
                        const char *value,
                        size_t value_len);

/**
 * cors_edits_again returns 1 if all lines are to be passed once more, and else 0.
 *
 * That is so for policies with CORS_UPSTREAM_KEEP alone, once for each response:
 * only after all lines is it known which are to be removed.
 */
CORS_API
int32_t cors_edits_again(struct cors_edits *edits);

/**
 * cors_edits_all passes the lines of an array; see cors_edits_line() and
 * cors_edits_again(), which need not be called then.
 *
 * actions, unless it is NULL, is an array of count bytes, which are set to the
 * CORS_LINE_... of each line.
 */
CORS_API
int32_t cors_edits_all(struct cors_edits *edits,
                       const struct cors_field *fields,
                       size_t count,
                       uint8_t *actions);

/**
 * cors_edits_finish finds out which headers are to be set, after all lines were
 * passed.
 *
 * buffer must have buffer_size bytes, and not overlap the lines; it may be NULL if
 * that is 0. If size is less, the call returns CORS_ERR_BUFFER, and set_vary is 0.
 */
CORS_API
int32_t cors_edits_finish(struct cors_edits *edits,
                          char *buffer,
                          size_t size);

/** The length of the shortest name for which cors_header_owned() returns 1. */
#define CORS_OWNED_MIN 19

/**
 * cors_header_owned returns 1 if a response header is to be removed before the
 * headers of a decision are set, and else 0.
 *
 * The name may be in any case. Ask for every header of the response; one whose
 * name is shorter than CORS_OWNED_MIN need not be asked for.
 */
CORS_API
int32_t cors_header_owned(const struct cors_decision *decision,
                          const char *name,
                          size_t name_len);

/**
 * Twice the length of the lines, two for each line and this is always enough for
 * the value of cors_vary_merge(), the NUL included.
 */
#define CORS_VARY_EXTRA 72

/**
 * cors_vary_merge makes one value of the Vary lines that a response has and the
 * names of a decision (RFC 9110, section 12.5.5).
 *
 * The names that stand there keep their order and spelling; none stands twice,
 * in any case; those of the decision come last; nothing is added to a "*". Put
 * the value into the one Vary line of the response: caches honour several lines
 * badly. An empty value means no Vary line.
 *
 * Like snprintf(), the call writes up to size bytes, the last of them a NUL, and
 * returns the length of the whole value without the NUL. A buffer of twice the
 * length of all lines, two more for each, and CORS_VARY_EXTRA is always enough.
 * buffer must not overlap the lines; it may be NULL if size is 0. A response that
 * names more than 256 fields is said to depend on everything: the value is "*".
 */
CORS_API
size_t cors_vary_merge(const struct cors_decision *decision,
                       const struct cors_str *lines,
                       size_t line_count,
                       char *buffer,
                       size_t size);

/**
 * cors_decision_detach copies what a decision borrows from its request into the
 * caller's buffer, so that the request may die before the decision.
 *
 * needed, unless it is NULL, is set to the number of bytes that this takes; it
 * may be 0. If size is less, the call returns CORS_ERR_BUFFER and changes
 * nothing. The policy must still outlive the decision, and now the buffer too.
 */
CORS_API
int32_t cors_decision_detach(struct cors_decision *decision,
                             char *buffer,
                             size_t size,
                             size_t *needed);

/**
 * cors_variant_count returns the number of header lists that a policy can
 * produce.
 *
 * They are few, and known when the policy is compiled: only an echoed origin,
 * method or header list differs from one decision to the other. So a host may
 * build its own objects once for each list, and fill in the rest.
 */
CORS_API size_t cors_variant_count(const struct cors_policy *policy);

/**
 * cors_variant_headers reads a header list that a policy can produce.
 *
 * Up to capacity headers are written to headers, and their number to count;
 * CORS_HEADERS_MAX are enough for any. Where a header's source is not
 * CORS_SOURCE_FIXED its value is empty here, and is filled in by each decision;
 * CORS_SOURCE_HEADER_LIST may then be several headers of this name, one for each
 * line of the request that names anything. (In a decision the origin of an exact
 * entry is the policy's own copy, and CORS_SOURCE_FIXED.) The list numbered 0 is
 * empty.
 */
CORS_API
int32_t cors_variant_headers(const struct cors_policy *policy,
                             uint32_t variant,
                             struct cors_header *headers,
                             size_t capacity,
                             size_t *count);


/*
 * Human-readable strings
 * ======================
 */

/**
 * cors_kind_str returns the stable name of a CORS_KIND_..., such as
 * "preflight".
 *
 * The string is static. Unknown numbers give "unknown".
 */
CORS_API const char *cors_kind_str(uint32_t kind);

/**
 * cors_outcome_str returns the stable name of a CORS_OUTCOME_..., such as
 * "deny".
 *
 * The string is static. Unknown numbers give "unknown".
 */
CORS_API const char *cors_outcome_str(uint32_t outcome);

/**
 * cors_reason_str returns the stable name of a CORS_REASON_..., such as
 * "origin_not_allowed". It fits a field of a log, or a label of a metric.
 *
 * The string is static. Unknown numbers give "unknown".
 */
CORS_API const char *cors_reason_str(uint32_t reason);

/**
 * cors_reason_outcome returns the CORS_OUTCOME_... of decisions about requests of
 * a CORS_KIND_... that have a CORS_REASON_..., or CORS_OUTCOME_NEVER if there are
 * none.
 *
 * Servers that count decisions can so prepare a counter for each, below CORS_KINDS
 * and CORS_REASONS.
 */
CORS_API
uint32_t cors_reason_outcome(uint32_t kind,
                             uint32_t reason);

/**
 * cors_header_str returns the name of a CORS_HEADER_... in lower case, such as
 * "access-control-allow-origin".
 *
 * The string is static. Unknown numbers give "unknown".
 */
CORS_API const char *cors_header_str(uint32_t header);

/**
 * cors_explain tells in words what cors_decide() answers: the steps in the
 * browser's order, the headers, what the browser's console will say, and what to
 * change in the policy if the request is to be allowed.
 *
 * Like snprintf(), the call writes up to size bytes, the last of them a NUL, and
 * returns the length of the whole text without the NUL. The text is UTF-8, has
 * lines that end in "\n", and holds no other control character. It is 0 if the
 * request cannot be read. buffer may be NULL if size is 0. A NULL policy is that
 * of a name which does not exist.
 *
 * The call allocates, and is not meant for every request.
 */
CORS_API
size_t cors_explain(const struct cors_policy *policy,
                    const struct cors_request *request,
                    char *buffer,
                    size_t size);


#ifdef __cplusplus
}
#endif

#endif /* CORS_H */
