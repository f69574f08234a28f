/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * CORS policies of libcors for Envoy: an HTTP filter that is a dynamic module.
 *
 * The library decides; see cors.h.  This filter hands requests over to it, and
 * carries its decisions out: preflights are answered when the request's headers
 * arrive, and headers are set on every response that passes.
 *
 * What costs is to cross into Envoy, so headers are read all at once, and only
 * what changes is written.
 */


#define _GNU_SOURCE             /* memmem() */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cors.h>

#include "envoy_module.h"


/* the most headers of a message that need no memory of their own */

#define CORS_HEADERS            64

/* room for the origin that a decision borrows, of 326 bytes at most */

#define CORS_DETACHED           328

#define CORS_VARY               512

/* what a policy may own: seven headers of the CORS protocol, and one more */

#define CORS_OWNED              8
#define CORS_OWNED_NAME         64


/* the same failure is logged again after so many seconds */

#ifndef CORS_LOG_AGAIN
#define CORS_LOG_AGAIN          60
#endif


/*
 * Copies of this module under other names may run in the same process, of this
 * version or another, and Envoy passes the configuration of a route to the copy
 * that its filter names, whichever copy made it.  So a configuration begins with
 * what it is, and what follows is read only by the copy that made it.
 */

#define CORS_MAGIC              "libcors"
#define CORS_LAYOUT             1

typedef struct {
    char                        magic[sizeof(CORS_MAGIC)];
    uint32_t                    layout;
    const void                 *copy;       /* &cors_copy of that copy */
} cors_head;


static const char  cors_copy;


typedef _Atomic(time_t)  cors_logged;


/* the configuration of a filter, or of a route */

typedef struct {
#ifdef CORS_TEST_LAYOUT
    void                       *test;
#endif
    cors_head                   head;

    const cors_policies        *policies;   /* NULL: those of the filter */
    const cors_policy          *policy;

    char                       *name;
    bool                        off;
    int                         metadata;
    size_t                     *counters;   /* of cors_counted; of filters */

    cors_logged                 unknown;    /* the filter lacks this policy */
} cors_conf;


enum {
    CORS_UNSET = -1,
    CORS_OFF,
    CORS_ON
};


/*
 * What is counted.  Each has a counter without labels, because looking labels
 * up would cost as much as all the rest of this filter.
 */

typedef struct {
    uint32_t                    kind;
    uint32_t                    outcome;
    uint32_t                    reason;
} cors_counted_t;


#define CORS_COUNT_ORIGIN(kind)                                               \
    { kind, CORS_OUTCOME_ALLOW, CORS_REASON_ALLOWED },                        \
    { kind, CORS_OUTCOME_NONE, CORS_REASON_SAME_ORIGIN },                     \
    { kind, CORS_OUTCOME_DENY, CORS_REASON_ORIGIN_MALFORMED },                \
    { kind, CORS_OUTCOME_DENY, CORS_REASON_ORIGIN_NOT_ALLOWED },              \
    { kind, CORS_OUTCOME_DENY, CORS_REASON_NULL_ORIGIN_NOT_ALLOWED },         \
    { kind, CORS_OUTCOME_DENY, CORS_REASON_NO_POLICY }

static const cors_counted_t  cors_counted[] = {
    { CORS_KIND_NONE, CORS_OUTCOME_NONE, CORS_REASON_NOT_CORS },
    { CORS_KIND_NONE, CORS_OUTCOME_NONE, CORS_REASON_NO_POLICY },
    CORS_COUNT_ORIGIN(CORS_KIND_ACTUAL),
    CORS_COUNT_ORIGIN(CORS_KIND_WEBSOCKET),
    CORS_COUNT_ORIGIN(CORS_KIND_PREFLIGHT),
    { CORS_KIND_PREFLIGHT, CORS_OUTCOME_DENY, CORS_REASON_METHOD_MALFORMED },
    { CORS_KIND_PREFLIGHT, CORS_OUTCOME_DENY, CORS_REASON_METHOD_NOT_ALLOWED },
    { CORS_KIND_PREFLIGHT, CORS_OUTCOME_DENY, CORS_REASON_HEADERS_MALFORMED },
    { CORS_KIND_PREFLIGHT, CORS_OUTCOME_DENY, CORS_REASON_HEADER_NOT_ALLOWED },
    { CORS_KIND_PREFLIGHT, CORS_OUTCOME_DENY, CORS_REASON_HEADERS_TOO_LARGE }
};

#define CORS_COUNTED            (sizeof(cors_counted) / sizeof(cors_counted[0]))


typedef enum {
    CORS_UNDECIDED,
    CORS_DECIDED,
    CORS_DONE                   /* "off", or answered by this filter */
} cors_state;


typedef struct {
    const cors_conf            *filter;
    const cors_policies        *policies;   /* held as long as the decision */
    char                       *detached;

    cors_state                  state;

    cors_decision               decision;
    char                        buffer[CORS_DETACHED];
} cors_stream;


/* set while a filter of this thread answers, as its answer passes others */

static _Thread_local bool  cors_answering;


/* fields of a request, those that may have several lines first */

enum {
    CORS_ORIGIN = 0,
    CORS_REQUEST_METHOD,
    CORS_REQUEST_HEADERS,
    CORS_REQUEST_PRIVATE_NETWORK,
    CORS_UPGRADE,
    CORS_LISTS,

    CORS_METHOD = CORS_LISTS,
    CORS_SCHEME,
    CORS_AUTHORITY,
    CORS_PROTOCOL,
    CORS_SEC_FETCH_SITE,
    CORS_OTHER
};


typedef struct {
    int                         type;
    cors_str                    value;
} cors_field;


static cors_conf *cors_conf_new(const char *what, envoy_str name,
    envoy_str config, bool filter);
static bool cors_conf_name(cors_conf *conf, const char *what, envoy_str name);
static bool cors_conf_document(cors_conf *conf, const char *what,
    envoy_str config);
static int32_t cors_conf_parse(cors_conf *conf, const char *what,
    envoy_str text, cors_diagnostics **diagnostics);
static bool cors_conf_policy(cors_conf *conf, const char *what);
static bool cors_conf_counters(cors_conf *conf, void *config_envoy);
static void cors_conf_free(cors_conf *conf);
static envoy_str cors_trim(envoy_str text);
static char *cors_unquote(envoy_str text, size_t *len);
static bool cors_unquote_hex(const char **p, const char *end, uint32_t *code);
static const char *cors_names(const cors_policies *policies, char *buffer,
    size_t size);
static void cors_log_diagnostics(cors_diagnostics *diagnostics);

static const cors_policy *cors_choose(cors_stream *stream, void *envoy,
    const cors_conf **conf);
static void cors_decide_stream(cors_stream *stream, void *envoy);
static bool cors_decide_headers(cors_stream *stream, void *envoy,
    const cors_policy *policy);
static void cors_decide_fields(cors_decision *d, const cors_policy *policy,
    const envoy_header *headers, size_t n, cors_field *fields,
    cors_str *lines);
static int cors_field_type(const envoy_header *h);
static void cors_close(cors_decision *d);
static void cors_detach(cors_stream *stream);
static void cors_report(const cors_stream *stream, const cors_conf *conf,
    void *envoy);
static void cors_count(const cors_conf *filter, const cors_decision *d,
    void *envoy);
static void cors_set_metadata(const cors_conf *conf, const cors_decision *d,
    void *envoy);
static void cors_answer(const cors_decision *d, void *envoy);

static void cors_set_headers(const cors_decision *d, void *envoy);
static void cors_change_headers(const cors_decision *d, void *envoy,
    const envoy_header *headers, size_t n, cors_str *vary);

static bool cors_log_due(cors_logged *logged);
static void cors_log(int level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));


#define cors_log_rarely(...)                                                  \
    do {                                                                      \
        static cors_logged  logged;                                           \
                                                                              \
        if (cors_log_due(&logged)) {                                          \
            cors_log(ENVOY_LOG_ERROR, __VA_ARGS__);                           \
        }                                                                     \
    } while (0)


static inline envoy_str
cors_envoy_str(const char *data, size_t len)
{
    envoy_str  s;

    s.data = data;
    s.len = len;

    return s;
}


static inline envoy_str
cors_text(const char *text)
{
    return cors_envoy_str(text, strlen(text));
}


#define cors_literal(text)      cors_envoy_str(text, sizeof(text) - 1)


static inline bool
cors_is(const char *data, size_t len, const char *name, size_t name_len)
{
    return len == name_len && memcmp(data, name, name_len) == 0;
}


#define cors_equal(data, len, text)                                           \
    cors_is(data, len, text, sizeof(text) - 1)


/* The module */


#define CORS_NEEDS(name)                                                      \
    { #name, (void (*)(void)) envoy_dynamic_module_callback_##name }


ENVOY_HOOK const char *
envoy_dynamic_module_on_program_init(void)
{
    size_t  i;

    static const struct {
        const char  *name;
        void       (*callback)(void);
    } needs[] = {
        CORS_NEEDS(log),
        CORS_NEEDS(log_enabled),
        CORS_NEEDS(http_get_headers_size),
        CORS_NEEDS(http_get_headers),
        CORS_NEEDS(http_set_header),
        CORS_NEEDS(http_add_header),
        CORS_NEEDS(http_send_response_headers),
        CORS_NEEDS(get_most_specific_route_config),
        CORS_NEEDS(http_filter_config_define_counter),
        CORS_NEEDS(http_filter_increment_counter),
        CORS_NEEDS(http_set_dynamic_metadata_string),

        /* not called, but older versions have another ABI */
        CORS_NEEDS(http_clear_route_cluster_cache)
    };

    for (i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].callback == NULL) {
            cors_log(ENVOY_LOG_CRITICAL,
                     "this libcors_envoy.so is for Envoy 1.38 to 1.40, and "
                     "this Envoy has no envoy_dynamic_module_callback_%s: use "
                     "one of these versions, or a libcors_envoy.so for yours",
                     needs[i].name);
            return NULL;
        }
    }

    if (cors_abi_version() != CORS_ABI_VERSION) {
        cors_log(ENVOY_LOG_CRITICAL,
                 "the library has ABI version %u, the module was built for "
                 "version %d: build it again",
                 (unsigned) cors_abi_version(), CORS_ABI_VERSION);
        return NULL;
    }

    return envoy_dynamic_module_callback_http_has_filter_state
           ? ENVOY_ABI_VERSION_2 : ENVOY_ABI_VERSION_1;
}


/* Configuration */


ENVOY_HOOK const void *
envoy_dynamic_module_on_http_filter_config_new(void *config_envoy,
    envoy_str name, envoy_str config)
{
    cors_conf  *conf;

    conf = cors_conf_new("filter", name, config, true);

    if (conf && !cors_conf_counters(conf, config_envoy)) {
        cors_conf_free(conf);
        return NULL;
    }

    return conf;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_config_destroy(const void *conf)
{
    cors_conf_free((cors_conf *) conf);
}


ENVOY_HOOK const void *
envoy_dynamic_module_on_http_filter_per_route_config_new(envoy_str name,
    envoy_str config)
{
    return cors_conf_new("route", name, config, false);
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_per_route_config_destroy(const void *conf)
{
    cors_conf_free((cors_conf *) conf);
}


/* Returns NULL if anything is invalid, after it was logged. */

static cors_conf *
cors_conf_new(const char *what, envoy_str name, envoy_str config, bool filter)
{
    cors_conf  *conf;

    conf = calloc(1, sizeof(cors_conf));
    if (conf == NULL) {
        return NULL;
    }

    memcpy(conf->head.magic, CORS_MAGIC, sizeof(CORS_MAGIC));
    conf->head.layout = CORS_LAYOUT;
    conf->head.copy = &cors_copy;

    if (!cors_conf_name(conf, what, name)) {
        goto failed;
    }

    /* a route may name another policy of its filter, which is not known yet */

    if (config.len == 0 && !filter && conf->name[0] != '\0') {
        return conf;
    }

    if (config.len == 0) {
        cors_log(ENVOY_LOG_ERROR,
                 filter ? "%s \"%s\" has no policies: filter_config must be a "
                          "google.protobuf.StringValue with the text of a "
                          "policy file, or with \"file:\" and a path"
                        : "%s \"%s\" has an empty filter_name: write the name "
                          "of a policy of the filter, or \"off\"",
                 what, conf->name);
        goto failed;
    }

    if (!cors_conf_document(conf, what, config)
        || !cors_conf_policy(conf, what))
    {
        goto failed;
    }

    return conf;

failed:

    cors_conf_free(conf);
    return NULL;
}


/* Splits "policy?metadata=on". */

static bool
cors_conf_name(cors_conf *conf, const char *what, envoy_str name)
{
    char  *option;

    conf->metadata = CORS_UNSET;

    conf->name = malloc(name.len + 1);
    if (conf->name == NULL) {
        return false;
    }

    if (name.len) {
        memcpy(conf->name, name.data, name.len);
    }

    conf->name[name.len] = '\0';

    if (strlen(conf->name) != name.len) {
        cors_log(ENVOY_LOG_ERROR,
                 "%s \"%s\" has a NUL in its filter_name: write the name of a "
                 "policy, or \"off\"", what, conf->name);
        return false;
    }

    option = strchr(conf->name, '?');

    if (option) {
        *option++ = '\0';

        if (strcmp(option, "metadata=on") == 0) {
            conf->metadata = CORS_ON;

        } else if (strcmp(option, "metadata=off") == 0) {
            conf->metadata = CORS_OFF;

        } else {
            cors_log(ENVOY_LOG_ERROR,
                     "%s \"%s\" has an unknown option \"%s\" in its "
                     "filter_name: expected metadata=on or metadata=off",
                     what, conf->name, option);
            return false;
        }
    }

    conf->off = strcmp(conf->name, "off") == 0;

    return true;
}


static bool
cors_conf_document(cors_conf *conf, const char *what, envoy_str config)
{
    char              *unquoted;
    bool               text;
    size_t             i, len;
    int32_t            status;
    cors_diagnostics  *diagnostics;

    /* who writes the configuration as JSON may write the text as a string */

    unquoted = cors_unquote(cors_trim(config), &len);

    if (unquoted) {
        config = cors_envoy_str(unquoted, len);
    }

    status = cors_conf_parse(conf, what, config, &diagnostics);

    cors_log_diagnostics(diagnostics);
    cors_diagnostics_free(diagnostics);

    if (status != CORS_OK) {

        /* Envoy passes other messages as they are encoded */

        text = true;

        for (i = 0; i < config.len; i++) {
            if ((unsigned char) config.data[i] < ' '
                && strchr("\t\n\r", config.data[i]) == NULL)
            {
                text = false;
                break;
            }
        }

        text = text && memmem(config.data, config.len, "policy",
                              sizeof("policy") - 1);

        cors_log(ENVOY_LOG_ERROR, "%s \"%s\" is rejected: %s%s", what,
                 conf->name, cors_status_str(status),
                 text ? "" : "; filter_config must be a "
                             "google.protobuf.StringValue with the text of a "
                             "policy file, or with \"file:\" and a path");
    }

    free(unquoted);

    return status == CORS_OK;
}


static int32_t
cors_conf_parse(cors_conf *conf, const char *what, envoy_str text,
    cors_diagnostics **diagnostics)
{
    int        len;
    char       source[128];
    envoy_str  path;

    static const char  file[] = "file:";

    path = cors_trim(text);

    if (path.len >= sizeof(file) - 1
        && memcmp(path.data, file, sizeof(file) - 1) == 0)
    {
        path.data += sizeof(file) - 1;
        path.len -= sizeof(file) - 1;
        path = cors_trim(path);

        return cors_policies_load(path.data, path.len, CORS_FORMAT_AUTO,
                                  &conf->policies, diagnostics);
    }

    len = snprintf(source, sizeof(source), "envoy %s %s", what, conf->name);

    if (len < 0 || (size_t) len >= sizeof(source)) {
        len = sizeof(source) - 1;
    }

    return cors_policies_parse(text.data, text.len, source, (size_t) len,
                               CORS_FORMAT_AUTO, &conf->policies, diagnostics);
}


static bool
cors_conf_policy(cors_conf *conf, const char *what)
{
    char   known[512];
    char  *name;

    if (conf->off) {
        return true;
    }

    if (conf->name[0] == '\0' && cors_policies_count(conf->policies) == 1) {
        name = strdup(cors_policies_name(conf->policies, 0));

        if (name == NULL) {
            return false;
        }

        free(conf->name);
        conf->name = name;
    }

    conf->policy = cors_policies_get(conf->policies, conf->name,
                                     strlen(conf->name));

    if (conf->policy == NULL) {
        cors_log(ENVOY_LOG_ERROR,
                 conf->name[0] ? "%s \"%s\" is rejected: unknown policy; write "
                                 "%s or \"off\" as filter_name"
                               : "%s \"%s\" is rejected: filter_name is empty; "
                                 "write %s or \"off\"",
                 what, conf->name,
                 cors_names(conf->policies, known, sizeof(known)));
    }

    return conf->policy != NULL;
}


/* Counters can be defined only now; filters of one name share them. */

static bool
cors_conf_counters(cors_conf *conf, void *config_envoy)
{
    int                    len, rc;
    char                   name[128];
    size_t                 i;
    const cors_counted_t  *counted;

    conf->counters = calloc(CORS_COUNTED, sizeof(size_t));
    if (conf->counters == NULL) {
        return false;
    }

    for (i = 0; i < CORS_COUNTED; i++) {
        counted = &cors_counted[i];

        len = snprintf(name, sizeof(name), "decisions.%s.%s.%s",
                       cors_kind_str(counted->kind),
                       cors_outcome_str(counted->outcome),
                       cors_reason_str(counted->reason));

        rc = envoy_dynamic_module_callback_http_filter_config_define_counter(
                 config_envoy, cors_envoy_str(name, (size_t) len), NULL, 0,
                 &conf->counters[i]);

        if (rc != 0) {
            cors_log(ENVOY_LOG_ERROR,
                     "filter \"%s\" is rejected: Envoy defines no counter "
                     "\"%s\" (%d)", conf->name, name, rc);
            return false;
        }
    }

    return true;
}


static void
cors_conf_free(cors_conf *conf)
{
    if (conf == NULL) {
        return;
    }

    cors_policies_unref(conf->policies);
    free(conf->counters);
    free(conf->name);
    free(conf);
}


static envoy_str
cors_trim(envoy_str text)
{
    static const char  spaces[] = " \t\r\n";

    while (text.len && memchr(spaces, text.data[0], sizeof(spaces) - 1)) {
        text.data++;
        text.len--;
    }

    while (text.len
           && memchr(spaces, text.data[text.len - 1], sizeof(spaces) - 1))
    {
        text.len--;
    }

    return text;
}


/* Returns the text of a JSON string, or NULL if it is not one as a whole. */

static char *
cors_unquote(envoy_str text, size_t *len)
{
    char        *start, *out;
    uint32_t     code, low;
    const char  *p, *at, *end;

    static const char  escapes[] = "\"\\/bfnrt";
    static const char  escaped[] = "\"\\/\b\f\n\r\t";

    if (text.len < 2 || text.data[0] != '"' || text.data[text.len - 1] != '"') {
        return NULL;
    }

    start = malloc(text.len);
    if (start == NULL) {
        return NULL;
    }

    out = start;
    end = text.data + text.len - 1;

    for (p = text.data + 1; p < end; /* void */ ) {

        if (*p == '"' || (unsigned char) *p < ' ') {
            goto failed;
        }

        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }

        if (++p == end) {
            goto failed;
        }

        if (*p != 'u') {
            at = memchr(escapes, *p++, sizeof(escapes) - 1);

            if (at == NULL) {
                goto failed;
            }

            *out++ = escaped[at - escapes];
            continue;
        }

        p++;

        if (!cors_unquote_hex(&p, end, &code)) {
            goto failed;
        }

        if (code >= 0xd800 && code < 0xdc00) {

            /* the high half of a pair */

            if (end - p < 2 || *p++ != '\\' || *p++ != 'u'
                || !cors_unquote_hex(&p, end, &low)
                || low < 0xdc00 || low >= 0xe000)
            {
                goto failed;
            }

            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *out++ = (char) (0xf0 | (code >> 18));
            *out++ = (char) (0x80 | ((code >> 12) & 0x3f));
            *out++ = (char) (0x80 | ((code >> 6) & 0x3f));
            *out++ = (char) (0x80 | (code & 0x3f));

        } else if (code >= 0x800) {
            *out++ = (char) (0xe0 | (code >> 12));
            *out++ = (char) (0x80 | ((code >> 6) & 0x3f));
            *out++ = (char) (0x80 | (code & 0x3f));

        } else if (code >= 0x80) {
            *out++ = (char) (0xc0 | (code >> 6));
            *out++ = (char) (0x80 | (code & 0x3f));

        } else {
            *out++ = (char) code;
        }
    }

    *len = (size_t) (out - start);

    return start;

failed:

    free(start);
    return NULL;
}


static bool
cors_unquote_hex(const char **p, const char *end, uint32_t *code)
{
    int          i;
    const char  *at;

    static const char  digits[] = "0123456789abcdef0123456789ABCDEF";

    *code = 0;

    for (i = 0; i < 4; i++) {
        at = (*p < end) ? memchr(digits, *(*p)++, sizeof(digits) - 1) : NULL;

        if (at == NULL) {
            return false;
        }

        *code = *code * 16 + (uint32_t) ((at - digits) % 16);
    }

    return true;
}


/* Writes the names of all policies, as many as there is room for. */

static const char *
cors_names(const cors_policies *policies, char *buffer, size_t size)
{
    int     len;
    size_t  i, n, used;

    used = 0;
    size -= sizeof(", ...");
    n = cors_policies_count(policies);

    for (i = 0; i < n; i++) {
        len = snprintf(buffer + used, size - used, "%s\"%s\"", i ? ", " : "",
                       cors_policies_name(policies, i));

        if (len < 0 || (size_t) len >= size - used) {
            memcpy(buffer + used, ", ...", sizeof(", ..."));
            break;
        }

        used += (size_t) len;
    }

    return buffer;
}


static void
cors_log_diagnostics(cors_diagnostics *diagnostics)
{
    int       level;
    size_t    i, n;
    cors_str  text;
    uint32_t  severity;

    n = cors_diagnostics_count(diagnostics);

    for (i = 0; i < n; i++) {
        text = cors_diagnostics_text(diagnostics, i, &severity);
        level = severity == CORS_SEVERITY_ERROR ? ENVOY_LOG_ERROR
                                                : ENVOY_LOG_WARN;

        cors_log(level, "%s", text.data);
    }
}


/* Requests */


ENVOY_HOOK const void *
envoy_dynamic_module_on_http_filter_new(const void *conf, void *envoy)
{
    cors_stream  *stream;

    (void) envoy;

    /* Envoy ends the stream if this fails */

    stream = malloc(sizeof(cors_stream));
    if (stream == NULL) {
        return NULL;
    }

    stream->filter = conf;
    stream->policies = NULL;
    stream->detached = NULL;
    stream->state = CORS_UNDECIDED;

    return stream;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_destroy(const void *module)
{
    cors_stream  *stream;

    stream = (cors_stream *) module;

    if (stream == NULL) {
        return;
    }

    cors_policies_unref(stream->policies);
    free(stream->detached);
    free(stream);
}


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_request_headers(void *envoy,
    const void *module, bool end_of_stream)
{
    cors_stream  *stream;

    (void) end_of_stream;

    stream = (cors_stream *) module;

    cors_decide_stream(stream, envoy);

    if (stream->state == CORS_DONE || stream->decision.status == 0) {
        return ENVOY_CONTINUE;
    }

    stream->state = CORS_DONE;

    cors_answer(&stream->decision, envoy);

    return ENVOY_STOP_ITERATION;
}


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_response_headers(void *envoy,
    const void *module, bool end_of_stream)
{
    cors_stream  *stream;

    (void) end_of_stream;

    stream = (cors_stream *) module;

    if (stream->state == CORS_UNDECIDED) {

        /* a cors filter before this one has answered: its policy applies */

        if (cors_answering) {
            return ENVOY_CONTINUE;
        }

        /* another filter has answered, or the request is broken */

        cors_decide_stream(stream, envoy);
    }

    if (stream->state == CORS_DECIDED && stream->decision.enforced) {
        cors_set_headers(&stream->decision, envoy);
    }

    return ENVOY_CONTINUE;
}


static void
cors_decide_stream(cors_stream *stream, void *envoy)
{
    const cors_conf    *conf;
    const cors_policy  *policy;

    policy = cors_choose(stream, envoy, &conf);

    if (conf->off) {
        stream->state = CORS_DONE;
        return;
    }

    stream->state = CORS_DECIDED;
    stream->decision.size = sizeof(cors_decision);

    if (!cors_decide_headers(stream, envoy, policy)) {
        cors_log_rarely("no memory for a decision: the request fails closed");
        cors_close(&stream->decision);
    }

    cors_detach(stream);
    cors_report(stream, conf, envoy);
}


/* Returns the policy, or NULL to fail closed; *conf is where it is named. */

static const cors_policy *
cors_choose(cors_stream *stream, void *envoy, const cors_conf **conf)
{
    char                known[512];
    cors_conf          *route;
    const cors_head    *head;
    const cors_policy  *policy;

    static char             none[] = "";
    static const cors_conf  foreign = { .name = none, .metadata = CORS_UNSET };

    route = (cors_conf *)
        envoy_dynamic_module_callback_get_most_specific_route_config(envoy);

    if (route == NULL) {
        *conf = stream->filter;
        return stream->filter->policy;
    }

    head = &route->head;

    if (memcmp(head->magic, CORS_MAGIC, sizeof(CORS_MAGIC)) != 0
        || head->layout != CORS_LAYOUT
        || head->copy != &cors_copy)
    {
        cors_log_rarely("a route has a configuration of another module, or of "
                        "another copy of this one, than its filter \"%s\": "
                        "its requests fail closed until both name the same "
                        "file", stream->filter->name);

        *conf = &foreign;
        return NULL;
    }

    *conf = route;

    if (route->off) {
        return NULL;
    }

    if (route->policies) {

        /* the route may be replaced before the response */

        stream->policies = cors_policies_ref(route->policies);
        return route->policy;
    }

    policy = cors_policies_get(stream->filter->policies, route->name,
                               strlen(route->name));

    if (policy == NULL && cors_log_due(&route->unknown)) {
        cors_log(ENVOY_LOG_ERROR,
                 "a route names the unknown policy \"%s\": its requests fail "
                 "closed; the filter \"%s\" has %s", route->name,
                 stream->filter->name,
                 cors_names(stream->filter->policies, known, sizeof(known)));
    }

    return policy;
}


/* Returns false if there is not enough memory. */

static bool
cors_decide_headers(cors_stream *stream, void *envoy,
    const cors_policy *policy)
{
    void          *memory;
    size_t         n;
    cors_str      *lines, line_stack[CORS_HEADERS];
    cors_field    *fields, field_stack[CORS_HEADERS];
    envoy_header  *headers, header_stack[CORS_HEADERS];

    n = envoy_dynamic_module_callback_http_get_headers_size(envoy,
            ENVOY_REQUEST_HEADERS);

    memory = NULL;
    headers = header_stack;
    fields = field_stack;
    lines = line_stack;

    if (n > CORS_HEADERS) {
        memory = calloc(n, sizeof(envoy_header) + sizeof(cors_field)
                           + sizeof(cors_str));
        if (memory == NULL) {
            return false;
        }

        headers = memory;
        fields = (cors_field *) (headers + n);
        lines = (cors_str *) (fields + n);
    }

    if (n && !envoy_dynamic_module_callback_http_get_headers(envoy,
                 ENVOY_REQUEST_HEADERS, headers))
    {
        n = 0;
    }

    cors_decide_fields(&stream->decision, policy, headers, n, fields, lines);

    /* what the decision borrows is Envoy's, not this memory's */

    free(memory);

    return true;
}


/* Decides on the headers of a request; fields and lines have n places each. */

static void
cors_decide_fields(cors_decision *d, const cors_policy *policy,
    const envoy_header *headers, size_t n, cors_field *fields, cors_str *lines)
{
    int           type;
    size_t        i, k;
    int32_t       status;
    cors_request  request;
    cors_lines   *lists[CORS_LISTS];

    memset(&request, 0, sizeof(cors_request));
    request.size = sizeof(cors_request);

    k = 0;

    for (i = 0; i < n; i++) {
        type = cors_field_type(&headers[i]);

        if (type == CORS_OTHER) {
            continue;
        }

        fields[k].type = type;
        fields[k].value.data = headers[i].value;
        fields[k].value.len = headers[i].value_len;
        k++;
    }

    n = k;

    lists[CORS_ORIGIN] = &request.origin;
    lists[CORS_REQUEST_METHOD] = &request.request_method;
    lists[CORS_REQUEST_HEADERS] = &request.request_headers;
    lists[CORS_REQUEST_PRIVATE_NETWORK] = &request.request_private_network;
    lists[CORS_UPGRADE] = &request.upgrade;

    for (i = 0; i < n; i++) {
        switch (fields[i].type) {

        case CORS_METHOD:
            request.method = fields[i].value;
            break;

        case CORS_SCHEME:
            request.scheme = fields[i].value;
            break;

        case CORS_AUTHORITY:
            request.host = fields[i].value;
            break;

        case CORS_PROTOCOL:
            request.protocol = fields[i].value;
            break;

        case CORS_SEC_FETCH_SITE:
            request.sec_fetch_site = fields[i].value;
            break;

        default:
            lists[fields[i].type]->count++;
        }
    }

    /* the lines of a field are to lie side by side */

    for (type = 0; type < CORS_LISTS; type++) {

        if (lists[type]->count == 0) {
            continue;
        }

        lists[type]->lines = lines;

        for (i = 0; i < n; i++) {
            if (fields[i].type == type) {
                *lines++ = fields[i].value;
            }
        }
    }

    status = cors_decide(policy, &request, d);

    if (status != CORS_OK) {
        cors_log_rarely("a decision failed: %s; the request fails closed",
                        cors_status_str(status));
    }
}


#define cors_header_is(h, name, type)                                         \
    (memcmp((h)->key, name, sizeof(name) - 1) == 0 ? (type) : CORS_OTHER)


static int
cors_field_type(const envoy_header *h)
{
    switch (h->key_len) {

    case sizeof("origin") - 1:
        return cors_header_is(h, "origin", CORS_ORIGIN);

    case sizeof(":method") - 1: /* ":scheme" and "upgrade" too */

        if (h->key[0] == 'u') {
            return cors_header_is(h, "upgrade", CORS_UPGRADE);
        }

        if (h->key[1] == 'm') {
            return cors_header_is(h, ":method", CORS_METHOD);
        }

        return cors_header_is(h, ":scheme", CORS_SCHEME);

    case sizeof(":protocol") - 1:
        return cors_header_is(h, ":protocol", CORS_PROTOCOL);

    case sizeof(":authority") - 1:
        return cors_header_is(h, ":authority", CORS_AUTHORITY);

    case sizeof("sec-fetch-site") - 1:
        return cors_header_is(h, "sec-fetch-site", CORS_SEC_FETCH_SITE);

    case sizeof("access-control-request-method") - 1:
        return cors_header_is(h, "access-control-request-method",
                              CORS_REQUEST_METHOD);

    case sizeof("access-control-request-headers") - 1:
        return cors_header_is(h, "access-control-request-headers",
                              CORS_REQUEST_HEADERS);

    case sizeof("access-control-request-private-network") - 1:
        return cors_header_is(h, "access-control-request-private-network",
                              CORS_REQUEST_PRIVATE_NETWORK);

    default:
        return CORS_OTHER;
    }
}


/* A decision that gives nothing: that of a request which cannot be read. */

static void
cors_close(cors_decision *d)
{
    cors_decide(NULL, NULL, d);
}


/* The buffers of the request are gone when the response comes. */

static void
cors_detach(cors_stream *stream)
{
    size_t  needed;

    if (cors_decision_detach(&stream->decision, stream->buffer,
                             sizeof(stream->buffer), &needed)
        == CORS_OK)
    {
        return;
    }

    stream->detached = malloc(needed);

    if (stream->detached == NULL
        || cors_decision_detach(&stream->decision, stream->detached, needed,
                                NULL)
           != CORS_OK)
    {
        cors_log_rarely("no memory for a decision: the request fails closed");
        cors_close(&stream->decision);
    }
}


/* Counts the decision, and leaves it for access logs, where that is wanted. */

static void
cors_report(const cors_stream *stream, const cors_conf *conf, void *envoy)
{
    int  metadata;

    cors_count(stream->filter, &stream->decision, envoy);

    metadata = conf->metadata;

    if (metadata == CORS_UNSET) {
        metadata = stream->filter->metadata;
    }

    if (metadata == CORS_UNSET) {

        /* whoever finds this status in a log looks for the reason */

        metadata = stream->decision.status == 403;
    }

    if (metadata) {
        cors_set_metadata(conf, &stream->decision, envoy);
    }
}


static void
cors_count(const cors_conf *filter, const cors_decision *d, void *envoy)
{
    size_t                 i;
    const cors_counted_t  *counted;

    for (i = 0; i < CORS_COUNTED; i++) {
        counted = &cors_counted[i];

        if (counted->kind == d->kind && counted->reason == d->reason) {
            (void) envoy_dynamic_module_callback_http_filter_increment_counter(
                       envoy, filter->counters[i], NULL, 0, 1);
            return;
        }
    }
}


static void
cors_set_metadata(const cors_conf *conf, const cors_decision *d, void *envoy)
{
    envoy_str  name;

    name = cors_literal("cors");

    envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, name,
        cors_literal("kind"), cors_text(cors_kind_str(d->kind)));
    envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, name,
        cors_literal("outcome"), cors_text(cors_outcome_str(d->outcome)));
    envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, name,
        cors_literal("reason"), cors_text(cors_reason_str(d->reason)));
    envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, name,
        cors_literal("policy"), cors_text(conf->name));
}


/*
 * The headers are sent as they are.  A local reply would get a body by
 * local_reply_config, headers by response_headers_to_add, and another status
 * where the request is gRPC's.
 */

static void
cors_answer(const cors_decision *d, void *envoy)
{
    char          status[sizeof("4294967295")];
    size_t        i, n;
    envoy_header  headers[CORS_HEADERS_MAX + 3];

    n = 0;

    headers[n].key = ":status";
    headers[n].key_len = sizeof(":status") - 1;
    headers[n].value = status;
    headers[n++].value_len = (size_t) snprintf(status, sizeof(status), "%u",
                                               (unsigned) d->status);

    for (i = 0; i < d->header_count; i++) {
        headers[n].key = d->headers[i].lower_name.data;
        headers[n].key_len = d->headers[i].lower_name.len;
        headers[n].value = d->headers[i].value.data;
        headers[n++].value_len = d->headers[i].value.len;
    }

    if (d->vary) {
        headers[n].key = "vary";
        headers[n].key_len = sizeof("vary") - 1;
        headers[n].value = d->vary_value.data;
        headers[n++].value_len = d->vary_value.len;
    }

    if (d->status != 204) {
        headers[n].key = "content-length";
        headers[n].key_len = sizeof("content-length") - 1;
        headers[n].value = "0";
        headers[n++].value_len = sizeof("0") - 1;
    }

    cors_answering = true;

    envoy_dynamic_module_callback_http_send_response_headers(envoy, headers, n,
                                                             true);

    cors_answering = false;
}


/* Responses */


static void
cors_set_headers(const cors_decision *d, void *envoy)
{
    void          *memory;
    size_t         n;
    cors_str      *vary, vary_stack[CORS_HEADERS];
    envoy_header  *headers, header_stack[CORS_HEADERS];

    n = envoy_dynamic_module_callback_http_get_headers_size(envoy,
            ENVOY_RESPONSE_HEADERS);

    memory = NULL;
    headers = header_stack;
    vary = vary_stack;

    if (n > CORS_HEADERS) {
        memory = calloc(n, sizeof(envoy_header) + sizeof(cors_str));

        if (memory == NULL) {
            cors_log_rarely("no memory for the headers of a response");
            return;
        }

        headers = memory;
        vary = (cors_str *) (headers + n);
    }

    if (n && !envoy_dynamic_module_callback_http_get_headers(envoy,
                 ENVOY_RESPONSE_HEADERS, headers))
    {
        n = 0;
    }

    cors_change_headers(d, envoy, headers, n, vary);

    free(memory);
}


/* Changes the n headers of a response; vary has n places. */

static void
cors_change_headers(const cors_decision *d, void *envoy,
    const envoy_header *headers, size_t n, cors_str *vary)
{
    char                *value, buffer[CORS_VARY];
    bool                 keep, same;
    size_t               i, k, len, size, nvary, nowned;
    envoy_str            key;
    const cors_header   *ch;
    const envoy_header  *h;

    struct {
        char    name[CORS_OWNED_NAME];
        size_t  len;
        bool    replaced;
    } owned[CORS_OWNED];

    keep = false;
    nvary = 0;
    nowned = 0;
    size = CORS_VARY_EXTRA;

    for (i = 0; i < n; i++) {
        h = &headers[i];

        if (cors_equal(h->key, h->key_len, "vary")) {
            vary[nvary].data = h->value;
            vary[nvary].len = h->value_len;
            nvary++;
            size += 2 * h->value_len + 2;
            continue;
        }

        if (h->key_len < CORS_OWNED_MIN
            || h->key_len > CORS_OWNED_NAME
            || !cors_header_owned(d, h->key, h->key_len))
        {
            continue;
        }

        if (d->upstream == CORS_UPSTREAM_KEEP
            && cors_equal(h->key, h->key_len, "access-control-allow-origin"))
        {
            keep = true;
        }

        for (k = 0; k < nowned; k++) {
            if (cors_is(h->key, h->key_len, owned[k].name, owned[k].len)) {
                break;
            }
        }

        if (k == nowned && nowned < CORS_OWNED) {
            memcpy(owned[k].name, h->key, h->key_len);
            owned[k].len = h->key_len;
            owned[k].replaced = false;
            nowned++;
        }
    }

    /* from the first change on, what was read is not there any more */

    value = buffer;
    len = 0;
    same = false;

    if (d->vary && nvary) {

        if (size > sizeof(buffer)) {
            value = malloc(size);
        }

        if (value) {
            len = cors_vary_merge(d, vary, nvary, value, size);
            same = nvary == 1
                   && cors_is(vary[0].data, vary[0].len, value, len);
        }
    }

    if (!keep) {

        for (i = 0; i < d->header_count; i++) {
            ch = &d->headers[i];
            key = cors_envoy_str(ch->lower_name.data, ch->lower_name.len);

            for (k = 0; k < nowned; k++) {
                if (!owned[k].replaced
                    && cors_is(key.data, key.len, owned[k].name, owned[k].len))
                {
                    break;
                }
            }

            if (k < nowned) {
                owned[k].replaced = true;
                envoy_dynamic_module_callback_http_set_header(envoy,
                    ENVOY_RESPONSE_HEADERS, key,
                    cors_envoy_str(ch->value.data, ch->value.len));

            } else {
                envoy_dynamic_module_callback_http_add_header(envoy,
                    ENVOY_RESPONSE_HEADERS, key,
                    cors_envoy_str(ch->value.data, ch->value.len));
            }
        }

        for (k = 0; k < nowned; k++) {
            if (!owned[k].replaced) {
                envoy_dynamic_module_callback_http_set_header(envoy,
                    ENVOY_RESPONSE_HEADERS,
                    cors_envoy_str(owned[k].name, owned[k].len),
                    cors_envoy_str(NULL, 0));
            }
        }
    }

    if (d->vary == 0) {
        return;
    }

    if (nvary == 0) {
        envoy_dynamic_module_callback_http_add_header(envoy,
            ENVOY_RESPONSE_HEADERS, cors_literal("vary"),
            cors_envoy_str(d->vary_value.data, d->vary_value.len));
        return;
    }

    if (value == NULL) {

        /* without memory: of no use to any cache, but not wrong */

        envoy_dynamic_module_callback_http_set_header(envoy,
            ENVOY_RESPONSE_HEADERS, cors_literal("vary"), cors_literal("*"));
        return;
    }

    if (!same) {
        envoy_dynamic_module_callback_http_set_header(envoy,
            ENVOY_RESPONSE_HEADERS, cors_literal("vary"),
            cors_envoy_str(value, len));
    }

    if (value != buffer) {
        free(value);
    }
}


/* What else Envoy looks for: it does not matter here. */


#pragma GCC diagnostic ignored "-Wunused-parameter"

#define CORS_IDLE(type, hook, ...)                                            \
    ENVOY_HOOK type envoy_dynamic_module_on_http_filter_##hook(               \
        void *envoy, const void *module __VA_OPT__(,) __VA_ARGS__)            \
    {                                                                         \
        return (type) ENVOY_CONTINUE;                                         \
    }

CORS_IDLE(int, request_body, bool end_of_stream)
CORS_IDLE(int, request_trailers)
CORS_IDLE(int, response_body, bool end_of_stream)
CORS_IDLE(int, response_trailers)
CORS_IDLE(void, stream_complete)
CORS_IDLE(void, http_callout_done, uint64_t id, int result,
    envoy_header *headers, size_t count, envoy_str *body, size_t body_count)
CORS_IDLE(void, http_stream_headers, uint64_t id, envoy_header *headers,
    size_t count, bool end_of_stream)
CORS_IDLE(void, http_stream_data, uint64_t id, const envoy_str *data,
    size_t count, bool end_of_stream)
CORS_IDLE(void, http_stream_trailers, uint64_t id, envoy_header *trailers,
    size_t count)
CORS_IDLE(void, http_stream_complete, uint64_t id)
CORS_IDLE(void, http_stream_reset, uint64_t id, int reason)
CORS_IDLE(void, scheduled, uint64_t event)
CORS_IDLE(void, downstream_above_write_buffer_high_watermark)
CORS_IDLE(void, downstream_below_write_buffer_low_watermark)


/* Envoy's log */


/* Whether a failure is to be logged, which may occur on every request. */

static bool
cors_log_due(cors_logged *logged)
{
    time_t           last, now;
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    /* 0 is never, and a machine may have just started */

    now = ts.tv_sec + 1;
    last = atomic_load(logged);

    return (last == 0 || now - last >= CORS_LOG_AGAIN)
           && atomic_compare_exchange_strong(logged, &last, now);
}


static void
cors_log(int level, const char *format, ...)
{
    int      len;
    char    *p, *text, stack[1024];
    size_t   size;
    va_list  args;

    static const char  prefix[] = "cors: ";

    if (envoy_dynamic_module_callback_log_enabled
        && !envoy_dynamic_module_callback_log_enabled(level))
    {
        return;
    }

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);

    if (len < 0) {
        return;
    }

    text = stack;
    size = sizeof(prefix) + (size_t) len;

    if (size > sizeof(stack)) {
        text = malloc(size);

        if (text == NULL) {
            text = stack;
            size = sizeof(stack);
        }
    }

    memcpy(text, prefix, sizeof(prefix) - 1);
    p = text + sizeof(prefix) - 1;

    va_start(args, format);
    (void) vsnprintf(p, size - (sizeof(prefix) - 1), format, args);
    va_end(args);

    /* a name may hold anything, and a line of the log is one line */

    for ( /* void */ ; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }

    if (envoy_dynamic_module_callback_log) {
        envoy_dynamic_module_callback_log(level, cors_text(text));

    } else {
        fprintf(stderr, "%s\n", text);
    }

    if (text != stack) {
        free(text);
    }
}
