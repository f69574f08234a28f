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


#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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


/* the configuration of a filter, or of a route */

typedef struct {
    const cors_policies        *policies;   /* NULL: those of the filter */
    const cors_policy          *policy;

    char                       *name;
    size_t                      name_len;
    bool                        off;

    int                         metadata;
    int                         stats;
    size_t                     *counters;   /* of cors_counted, NULL: none */

    /* the filter that was found to lack the policy of this route */
    _Atomic(const void *)       lacking;
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


/*
 * How many routes are configured, of all filters.  As long as there is none,
 * which is usual, Envoy need not be asked for that of a request.
 */

static atomic_size_t  cors_routes;


typedef struct {
    const cors_conf            *filter;
    const cors_policies        *policies;   /* held as long as the decision */
    char                       *detached;

    bool                        decided;
    bool                        off;

    cors_decision               decision;
    char                        buffer[CORS_DETACHED];
} cors_stream;


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


static void *cors_conf_new(const char *what, envoy_str name, envoy_str config,
    bool filter);
static bool cors_conf_options(cors_conf *conf, const char *what,
    envoy_str name);
static bool cors_conf_document(cors_conf *conf, const char *what,
    envoy_str config);
static bool cors_conf_policy(cors_conf *conf, const char *what);
static bool cors_conf_counters(cors_conf *conf, void *config_envoy);
static void cors_conf_free(cors_conf *conf);
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

static void cors_log(int level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));


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
        CORS_NEEDS(http_send_response),
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
                     "this Envoy is another: it has no "
                     "envoy_dynamic_module_callback_%s; use one of these "
                     "versions, or a libcors_envoy.so for yours",
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

    if (conf == NULL) {
        return NULL;
    }

    /* a route may count though its filter does not */

    if (conf->stats == CORS_UNSET) {
        conf->stats = CORS_ON;
    }

    if (!cors_conf_counters(conf, config_envoy)) {
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
    cors_conf  *conf;

    conf = cors_conf_new("route", name, config, false);

    if (conf) {
        atomic_fetch_add(&cors_routes, 1);
    }

    return conf;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_per_route_config_destroy(const void *conf)
{
    atomic_fetch_sub(&cors_routes, 1);
    cors_conf_free((cors_conf *) conf);
}


/* Returns NULL if anything is wrong, after it was logged. */

static void *
cors_conf_new(const char *what, envoy_str name, envoy_str config, bool filter)
{
    cors_conf  *conf;

    conf = calloc(1, sizeof(cors_conf));
    if (conf == NULL) {
        return NULL;
    }

    conf->metadata = CORS_UNSET;
    conf->stats = CORS_UNSET;

    if (!cors_conf_options(conf, what, name)) {
        goto failed;
    }

    if (config.len == 0) {

        if (filter) {
            cors_log(ENVOY_LOG_ERROR,
                     "filter \"%s\" has no policies: filter_config is to be a "
                     "google.protobuf.StringValue that holds them, or "
                     "\"file:\" and a path", conf->name);
            goto failed;
        }

        /* another policy of the filter's document, which is not known yet */

        return conf;
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


/* Splits "policy?option=on&option=off". */

static bool
cors_conf_options(cors_conf *conf, const char *what, envoy_str name)
{
    int         value, *option;
    char       *p, *next, *end;

    conf->name = malloc(name.len + 1);
    if (conf->name == NULL) {
        return false;
    }

    if (name.len) {
        memcpy(conf->name, name.data, name.len);
    }

    conf->name[name.len] = '\0';

    p = strchr(conf->name, '?');

    if (p) {
        *p++ = '\0';
    }

    conf->name_len = strlen(conf->name);

    if (conf->name_len == 0) {
        cors_log(ENVOY_LOG_ERROR,
                 "a %s names no policy: filter_name is to be the name of one, "
                 "or \"off\"", what);
        return false;
    }

    conf->off = strcmp(conf->name, "off") == 0;

    for ( /* void */ ; p; p = next) {
        next = strchr(p, '&');

        if (next) {
            *next++ = '\0';
        }

        end = strchr(p, '=');
        option = NULL;
        value = CORS_UNSET;

        if (end) {
            *end++ = '\0';

            if (strcmp(p, "metadata") == 0) {
                option = &conf->metadata;

            } else if (strcmp(p, "stats") == 0) {
                option = &conf->stats;
            }

            if (strcmp(end, "on") == 0) {
                value = CORS_ON;

            } else if (strcmp(end, "off") == 0) {
                value = CORS_OFF;
            }
        }

        if (option == NULL) {
            cors_log(ENVOY_LOG_ERROR,
                     "%s \"%s\" has an unknown option \"%s\" in its "
                     "filter_name: there are metadata=on|off and stats=on|off",
                     what, conf->name, p);
            return false;
        }

        if (value == CORS_UNSET) {
            cors_log(ENVOY_LOG_ERROR,
                     "%s \"%s\" has the option %s=%s in its filter_name: write "
                     "%s=on or %s=off", what, conf->name, p, end, p, p);
            return false;
        }

        if (*option != CORS_UNSET) {
            cors_log(ENVOY_LOG_ERROR,
                     "%s \"%s\" has the option \"%s\" twice in its filter_name",
                     what, conf->name, p);
            return false;
        }

        *option = value;
    }

    return true;
}


static bool
cors_conf_document(cors_conf *conf, const char *what, envoy_str config)
{
    char               source[128];
    int                len;
    int32_t            status;
    cors_diagnostics  *diagnostics;

    static const char  file[] = "file:";

    if (config.len >= sizeof(file) - 1
        && memcmp(config.data, file, sizeof(file) - 1) == 0)
    {
        status = cors_policies_load(config.data + sizeof(file) - 1,
                                    config.len - (sizeof(file) - 1),
                                    CORS_FORMAT_AUTO, &conf->policies,
                                    &diagnostics);

    } else {
        len = snprintf(source, sizeof(source), "envoy %s %s", what,
                       conf->name);

        if (len < 0 || (size_t) len >= sizeof(source)) {
            len = sizeof(source) - 1;
        }

        status = cors_policies_parse(config.data, config.len, source,
                                     (size_t) len, CORS_FORMAT_AUTO,
                                     &conf->policies, &diagnostics);
    }

    cors_log_diagnostics(diagnostics);
    cors_diagnostics_free(diagnostics);

    if (status != CORS_OK) {
        cors_log(ENVOY_LOG_ERROR, "%s \"%s\" is refused: %s", what,
                 conf->name, cors_status_str(status));
        return false;
    }

    return true;
}


static bool
cors_conf_policy(cors_conf *conf, const char *what)
{
    int     len;
    char    known[512];
    size_t  i, n, size;

    if (conf->off) {
        return true;
    }

    conf->policy = cors_policies_get(conf->policies, conf->name,
                                     conf->name_len);

    if (conf->policy) {
        return true;
    }

    size = 0;
    known[0] = '\0';
    n = cors_policies_count(conf->policies);

    for (i = 0; i < n; i++) {
        len = snprintf(known + size, sizeof(known) - size, "%s\"%s\"",
                       i ? ", " : "", cors_policies_name(conf->policies, i));

        if (len < 0 || (size_t) len >= sizeof(known) - size) {
            known[size] = '\0';
            break;
        }

        size += (size_t) len;
    }

    cors_log(ENVOY_LOG_ERROR,
             "%s \"%s\" is refused: the document has no policy of this name, "
             "but %s%s", what, conf->name, known, i < n ? " and others" : "");

    return false;
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
                     "filter \"%s\" is refused: Envoy defines no counter "
                     "\"%s\" for it (%d)", conf->name,
                     name, rc);
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
    stream->decided = false;
    stream->off = false;

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

    if (stream->off || stream->decision.status == 0) {
        return ENVOY_CONTINUE;
    }

    cors_answer(&stream->decision, envoy);

    /* nothing is to be set on our own answer */

    stream->off = true;

    return ENVOY_STOP_ITERATION;
}


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_response_headers(void *envoy,
    const void *module, bool end_of_stream)
{
    cors_stream  *stream;

    (void) end_of_stream;

    stream = (cors_stream *) module;

    if (!stream->decided) {

        /* a filter before this one has answered, or the request is broken */

        cors_decide_stream(stream, envoy);
    }

    if (!stream->off && stream->decision.enforced) {
        cors_set_headers(&stream->decision, envoy);
    }

    return ENVOY_CONTINUE;
}


static void
cors_decide_stream(cors_stream *stream, void *envoy)
{
    const cors_conf    *conf;
    const cors_policy  *policy;

    stream->decided = true;

    policy = cors_choose(stream, envoy, &conf);

    if (stream->off) {
        return;
    }

    stream->decision.size = sizeof(cors_decision);

    if (!cors_decide_headers(stream, envoy, policy)) {
        cors_log(ENVOY_LOG_ERROR, "no memory for a decision, closing");
        cors_close(&stream->decision);
    }

    cors_detach(stream);
    cors_report(stream, conf, envoy);
}


/* Returns the policy, or NULL to close; *conf is where it is named. */

static const cors_policy *
cors_choose(cors_stream *stream, void *envoy, const cors_conf **conf)
{
    cors_conf          *route;
    const cors_policy  *policy;

    route = NULL;

    if (atomic_load_explicit(&cors_routes, memory_order_relaxed)) {
        route = (cors_conf *)
            envoy_dynamic_module_callback_get_most_specific_route_config(envoy);
    }

    *conf = route ? route : stream->filter;

    if ((*conf)->off) {
        stream->off = true;
        return NULL;
    }

    if (route == NULL) {
        return stream->filter->policy;
    }

    if (route->policies) {

        /* the route may be replaced before the response */

        stream->policies = cors_policies_ref(route->policies);
        return route->policy;
    }

    policy = cors_policies_get(stream->filter->policies, route->name,
                               route->name_len);

    if (policy == NULL
        && atomic_exchange(&route->lacking, stream->filter) != stream->filter)
    {
        /* once is enough: it is so until either is replaced */

        cors_log(ENVOY_LOG_ERROR,
                 "a route names the policy \"%s\", which the document of its "
                 "filter \"%s\" does not have: closing", route->name,
                 stream->filter->name);
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

        /* the decision closes */

        cors_log(ENVOY_LOG_ERROR, "a decision failed: %s",
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
        cors_log(ENVOY_LOG_ERROR, "no memory for a decision, closing");
        cors_close(&stream->decision);
    }
}


/* Counts the decision, and leaves it for access logs, where that is wanted. */

static void
cors_report(const cors_stream *stream, const cors_conf *conf, void *envoy)
{
    int               metadata, stats;
    const cors_conf  *filter;

    filter = stream->filter;

    stats = (conf->stats == CORS_UNSET) ? filter->stats : conf->stats;
    metadata = (conf->metadata == CORS_UNSET) ? filter->metadata
                                              : conf->metadata;

    if (stats == CORS_ON) {
        cors_count(filter, &stream->decision, envoy);
    }

    if (metadata == CORS_ON) {
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
        cors_literal("policy"), cors_envoy_str(conf->name, conf->name_len));
}


static void
cors_answer(const cors_decision *d, void *envoy)
{
    char           details[128];
    size_t         i, n;
    envoy_header  *h, headers[CORS_HEADERS_MAX + 1];

    for (n = 0; n < d->header_count; n++) {
        h = &headers[n];
        h->key = d->headers[n].lower_name.data;
        h->key_len = d->headers[n].lower_name.len;
        h->value = d->headers[n].value.data;
        h->value_len = d->headers[n].value.len;
    }

    if (d->vary) {
        h = &headers[n++];
        h->key = "vary";
        h->key_len = sizeof("vary") - 1;
        h->value = d->vary_value.data;
        h->value_len = d->vary_value.len;
    }

    i = (size_t) snprintf(details, sizeof(details), "cors_%s_%s",
                          cors_kind_str(d->kind), cors_reason_str(d->reason));

    if (i >= sizeof(details)) {
        i = sizeof(details) - 1;
    }

    envoy_dynamic_module_callback_http_send_response(envoy, d->status, headers,
        n, cors_literal(""), cors_envoy_str(details, i));
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
            cors_log(ENVOY_LOG_ERROR,
                     "no memory for the headers of a response");
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


/* What else happens to a request does not matter here. */


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_request_body(void *envoy,
    const void *module, bool end_of_stream)
{
    (void) envoy;
    (void) module;
    (void) end_of_stream;

    return ENVOY_CONTINUE;
}


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_request_trailers(void *envoy,
    const void *module)
{
    (void) envoy;
    (void) module;

    return ENVOY_CONTINUE;
}


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_response_body(void *envoy,
    const void *module, bool end_of_stream)
{
    (void) envoy;
    (void) module;
    (void) end_of_stream;

    return ENVOY_CONTINUE;
}


ENVOY_HOOK int
envoy_dynamic_module_on_http_filter_response_trailers(void *envoy,
    const void *module)
{
    (void) envoy;
    (void) module;

    return ENVOY_CONTINUE;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_stream_complete(void *envoy,
    const void *module)
{
    (void) envoy;
    (void) module;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_http_callout_done(void *envoy,
    const void *module, uint64_t id, int result, envoy_header *headers,
    size_t count, envoy_str *body, size_t body_count)
{
    (void) envoy;
    (void) module;
    (void) id;
    (void) result;
    (void) headers;
    (void) count;
    (void) body;
    (void) body_count;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_http_stream_headers(void *envoy,
    const void *module, uint64_t id, envoy_header *headers, size_t count,
    bool end_of_stream)
{
    (void) envoy;
    (void) module;
    (void) id;
    (void) headers;
    (void) count;
    (void) end_of_stream;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_http_stream_data(void *envoy,
    const void *module, uint64_t id, const envoy_str *data, size_t count,
    bool end_of_stream)
{
    (void) envoy;
    (void) module;
    (void) id;
    (void) data;
    (void) count;
    (void) end_of_stream;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_http_stream_trailers(void *envoy,
    const void *module, uint64_t id, envoy_header *trailers, size_t count)
{
    (void) envoy;
    (void) module;
    (void) id;
    (void) trailers;
    (void) count;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_http_stream_complete(void *envoy,
    const void *module, uint64_t id)
{
    (void) envoy;
    (void) module;
    (void) id;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_http_stream_reset(void *envoy,
    const void *module, uint64_t id, int reason)
{
    (void) envoy;
    (void) module;
    (void) id;
    (void) reason;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_scheduled(void *envoy, const void *module,
    uint64_t event)
{
    (void) envoy;
    (void) module;
    (void) event;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(
    void *envoy, const void *module)
{
    (void) envoy;
    (void) module;
}


ENVOY_HOOK void
envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(
    void *envoy, const void *module)
{
    (void) envoy;
    (void) module;
}


/* Envoy's log */


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
