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

/* Envoy passes what not every hook needs */

#pragma GCC diagnostic ignored "-Wunused-parameter"


/* the most headers of a message that need no memory of their own */

#define CORS_HEADERS            64

/* room for the origin that a decision borrows, of 326 bytes at most */

#define CORS_DETACHED           328

/* the longest value of Vary that needs no memory of its own */

#define CORS_VARY               512

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
    size_t                      counters[CORS_KINDS][CORS_REASONS];

    cors_logged                 unknown;    /* the filter lacks this policy */
} cors_conf;


enum {
    CORS_UNSET = -1,
    CORS_OFF,
    CORS_ON
};


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


/* the headers of a message, read all at once */

typedef struct {
    size_t                      count;
    cors_field                 *fields;
    void                       *memory;
    cors_field                  stack[CORS_HEADERS];
} cors_headers;

_Static_assert(sizeof(cors_field) == sizeof(envoy_header)
               && offsetof(cors_field, value) == offsetof(envoy_header, value),
               "an array of Envoy's headers is one of fields");


#define cors_envoy_str(data, len)  ((envoy_str) { data, len })
#define cors_literal(text)         cors_envoy_str(text, sizeof(text) - 1)
#define cors_text(text)            cors_envoy_str(text, strlen(text))

#define cors_text_field(name, value)                                          \
    ((cors_field) { { name, strlen(name) }, { value, strlen(value) } })


/* Envoy's log */


/* Whether a failure is to be logged, which may occur on every request. */

static bool
cors_log_due(cors_logged *logged)
{
    time_t  last, now;

    now = time(NULL);
    last = atomic_load(logged);

    return (now < last || now - last >= CORS_LOG_AGAIN)
           && atomic_compare_exchange_strong(logged, &last, now);
}


/* What is longer than a line of a log may be is cut off. */

__attribute__((format(printf, 2, 3)))
static void
cors_log(int level, const char *format, ...)
{
    char     *p, text[4096] = "cors: ";
    size_t    prefix;
    va_list   args;

    prefix = strlen(text);

    va_start(args, format);
    (void) vsnprintf(text + prefix, sizeof(text) - prefix, format, args);
    va_end(args);

    /* a name may hold anything, and a line of the log is one line */

    for (p = text; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }

    if (envoy_dynamic_module_callback_log) {
        envoy_dynamic_module_callback_log(level, cors_text(text));

    } else {
        fprintf(stderr, "%s\n", text);
    }
}


#define cors_log_rarely(...)                                                  \
    do {                                                                      \
        static cors_logged  logged;                                           \
                                                                              \
        if (cors_log_due(&logged)) {                                          \
            cors_log(ENVOY_LOG_ERROR, __VA_ARGS__);                           \
        }                                                                     \
    } while (0)


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
                     "this libcors_envoy.so is for Envoy 1.38 to 1.40: this "
                     "Envoy has no envoy_dynamic_module_callback_%s",
                     needs[i].name);
            return NULL;
        }
    }

    if (cors_abi_version() != CORS_ABI_VERSION) {
        cors_log(ENVOY_LOG_CRITICAL, "the library has ABI version %u, the module "
                 "was built for version %d: build it again",
                 (unsigned) cors_abi_version(), CORS_ABI_VERSION);
        return NULL;
    }

    return envoy_dynamic_module_callback_http_has_filter_state
           ? ENVOY_ABI_VERSION_2 : ENVOY_ABI_VERSION_1;
}


/* Configuration */


static void
cors_conf_free(cors_conf *conf)
{
    if (conf == NULL) {
        return;
    }

    cors_policies_unref(conf->policies);
    free(conf->name);
    free(conf);
}


#define CORS_STRING_VALUE                                                     \
    "; filter_config must be a google.protobuf.StringValue with the text of " \
    "a policy file, or with \"file:\" and a path"


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
    char               source[128];
    size_t             i;
    int32_t            status;
    cors_str           line;
    uint32_t           severity;
    cors_diagnostics  *diagnostics;

    (void) snprintf(source, sizeof(source), "envoy %s %s", what, conf->name);

    status = cors_policies_open(config.data, config.len, source,
                                strlen(source), &conf->policies, &diagnostics);

    for (i = 0; i < cors_diagnostics_count(diagnostics); i++) {
        line = cors_diagnostics_text(diagnostics, i, &severity);
        cors_log(severity == CORS_SEVERITY_ERROR ? ENVOY_LOG_ERROR
                                                 : ENVOY_LOG_WARN,
                 "%s", line.data);
    }

    cors_diagnostics_free(diagnostics);

    if (status == CORS_OK) {
        return true;
    }

    /* Envoy passes messages of other types as they are encoded */

    for (i = 0; i < config.len; i++) {
        if ((unsigned char) config.data[i] < ' '
            && memchr("\t\n\r", config.data[i], 3) == NULL)
        {
            break;
        }
    }

    cors_log(ENVOY_LOG_ERROR, "%s \"%s\" is rejected: %s%s", what, conf->name,
             cors_status_str(status),
             i == config.len
             && (memmem(config.data, config.len, "policy", 6)
                 || memmem(config.data, config.len, "file:", 5))
             ? "" : CORS_STRING_VALUE);

    return false;
}


static bool
cors_conf_policy(cors_conf *conf, const char *what)
{
    char  *name, text[CORS_UNKNOWN_SIZE];

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
        (void) cors_policies_unknown(conf->policies, conf->name,
                                     strlen(conf->name), text, sizeof(text));
        cors_log(ENVOY_LOG_ERROR, "%s \"%s\" is rejected: %s; write the name "
                 "of a policy, or \"off\", as filter_name", what, conf->name,
                 text);
    }

    return conf->policy != NULL;
}


/* Counters can be defined only now; filters of one name share them. */

static bool
cors_conf_counters(cors_conf *conf, void *config_envoy)
{
    int       len, rc;
    char      name[128];
    uint32_t  kind, reason, outcome;

    for (kind = 0; kind < CORS_KINDS; kind++) {
        for (reason = 0; reason < CORS_REASONS; reason++) {
            outcome = cors_reason_outcome(kind, reason);

            if (outcome == CORS_OUTCOME_NEVER) {
                continue;
            }

            len = snprintf(name, sizeof(name), "decisions.%s.%s.%s",
                           cors_kind_str(kind), cors_outcome_str(outcome),
                           cors_reason_str(reason));

            rc =
              envoy_dynamic_module_callback_http_filter_config_define_counter(
                  config_envoy, cors_envoy_str(name, (size_t) len), NULL, 0,
                  &conf->counters[kind][reason]);

            if (rc != 0) {
                cors_log(ENVOY_LOG_ERROR,
                         "filter \"%s\" is rejected: Envoy defines no counter "
                         "\"%s\" (%d)", conf->name, name, rc);
                return false;
            }
        }
    }

    return true;
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
        /* void */

    } else if (config.len == 0 && !filter && conf->name[0] != '\0') {

        /* another policy of the filter, which is not known yet */

        return conf;

    } else if (config.len == 0) {
        cors_log(ENVOY_LOG_ERROR, "%s \"%s\" is rejected: %s", what, conf->name,
                 filter ? "it has no policies" CORS_STRING_VALUE
                        : "filter_name is empty; write the name of a policy of "
                          "the filter, or \"off\"");

    } else if (cors_conf_document(conf, what, config)
               && cors_conf_policy(conf, what))
    {
        return conf;
    }

    cors_conf_free(conf);
    return NULL;
}


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


/* Requests */


/* Returns the policy, or NULL to fail closed; *conf is where it is named. */

static const cors_policy *
cors_choose(cors_stream *stream, void *envoy, const cors_conf **conf)
{
    char                text[CORS_UNKNOWN_SIZE];
    cors_conf          *route;
    const cors_policy  *policy;

    static char             none[] = "";
    static const cors_conf  foreign = { .name = none, .metadata = CORS_UNSET };

    route = (cors_conf *)
        envoy_dynamic_module_callback_get_most_specific_route_config(envoy);

    if (route == NULL) {
        *conf = stream->filter;
        return stream->filter->policy;
    }

    if (memcmp(route->head.magic, CORS_MAGIC, sizeof(CORS_MAGIC)) != 0
        || route->head.layout != CORS_LAYOUT
        || route->head.copy != &cors_copy)
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
        (void) cors_policies_unknown(stream->filter->policies, route->name,
                                     strlen(route->name), text, sizeof(text));
        cors_log(ENVOY_LOG_ERROR,
                 "a route of the filter \"%s\" names a policy that it does not "
                 "have: %s; its requests fail closed", stream->filter->name,
                 text);
    }

    return policy;
}


/* Returns whether they could be read; the memory is the caller's to free. */

static bool
cors_headers_read(cors_headers *headers, int type, void *envoy)
{
    headers->count = envoy_dynamic_module_callback_http_get_headers_size(envoy,
                         type);
    headers->memory = NULL;
    headers->fields = headers->stack;

    if (headers->count > CORS_HEADERS) {
        headers->memory = calloc(headers->count, sizeof(cors_field));
        headers->fields = headers->memory;
    }

    return headers->count == 0
           || (headers->fields
               && envoy_dynamic_module_callback_http_get_headers(envoy, type,
                      (envoy_header *) headers->fields));
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
        cors_decide(NULL, NULL, &stream->decision);
    }
}


static void
cors_set_metadata(const char *key, const char *value, void *envoy)
{
    envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy,
        cors_literal("cors"), cors_text(key), cors_text(value));
}


/* Counts the decision, and leaves it for access logs, where that is wanted. */

static void
cors_report(const cors_stream *stream, const cors_conf *conf, void *envoy)
{
    int                   metadata;
    const cors_conf      *filter;
    const cors_decision  *d;

    d = &stream->decision;
    filter = stream->filter;

    (void) envoy_dynamic_module_callback_http_filter_increment_counter(envoy,
               filter->counters[d->kind][d->reason], NULL, 0, 1);

    metadata = conf->metadata != CORS_UNSET ? conf->metadata : filter->metadata;

    /* whoever finds this status in a log looks for the reason */

    if (metadata == CORS_ON || (metadata == CORS_UNSET && d->status == 403)) {
        cors_set_metadata("kind", cors_kind_str(d->kind), envoy);
        cors_set_metadata("outcome", cors_outcome_str(d->outcome), envoy);
        cors_set_metadata("reason", cors_reason_str(d->reason), envoy);
        cors_set_metadata("policy", conf->name, envoy);
    }
}


static void
cors_decide_stream(cors_stream *stream, void *envoy)
{
    int32_t                status;
    cors_headers           headers;
    const cors_conf       *conf;
    const cors_policy     *policy;
    cors_request_builder   builder;

    policy = cors_choose(stream, envoy, &conf);

    if (conf->off) {
        stream->state = CORS_DONE;
        return;
    }

    stream->state = CORS_DECIDED;
    stream->decision.size = sizeof(cors_decision);

    if (!cors_headers_read(&headers, ENVOY_REQUEST_HEADERS, envoy)) {
        cors_log_rarely("a request cannot be read: it fails closed");
        cors_decide(NULL, NULL, &stream->decision);

    } else {
        builder.size = sizeof(cors_request_builder);
        cors_request_builder_init(&builder);
        cors_request_builder_add_all(&builder, headers.fields, headers.count);

        /* Envoy makes an upgrade of an extended CONNECT before any filter runs */

        if (builder.request.upgrade.count) {
            builder.request.protocol = builder.request.upgrade.lines[0];
        }

        status = cors_decide(policy, &builder.request, &stream->decision);

        if (status != CORS_OK) {
            cors_log_rarely("a decision failed: %s; the request fails closed",
                            cors_status_str(status));
        }

    }

    /* what the decision borrows is Envoy's, not this memory's */

    free(headers.memory);

    cors_detach(stream);
    cors_report(stream, conf, envoy);
}


/*
 * The headers are sent as they are.  A local reply would get a body by
 * local_reply_config, headers by response_headers_to_add, and another status
 * where the request is gRPC's.
 */

static void
cors_answer(const cors_decision *d, void *envoy)
{
    char                status[sizeof("4294967295")];
    size_t              i, n;
    cors_field          fields[CORS_HEADERS_MAX + 3];
    const cors_header  *header;

    n = 0;

    (void) snprintf(status, sizeof(status), "%u", (unsigned) d->status);
    fields[n++] = cors_text_field(":status", status);

    for (i = 0; i < d->header_count; i++) {
        header = &d->headers[i];
        fields[n++] = (cors_field) { header->lower_name, header->value };
    }

    if (d->vary) {
        fields[n++] = cors_text_field("vary", d->vary_value.data);
    }

    if (d->status != 204) {
        fields[n++] = cors_text_field("content-length", "0");
    }

    cors_answering = true;

    envoy_dynamic_module_callback_http_send_response_headers(envoy,
        (envoy_header *) fields, n, true);

    cors_answering = false;
}


/* Responses */


/* From the first change on, what was read is not there any more. */

static void
cors_edit(cors_edits *edits, void *envoy)
{
    size_t              i;
    uint32_t            id, removed;
    const cors_header  *header;

    bool (*set)(void *envoy, int type, envoy_str key, envoy_str value);

    removed = edits->removed;

    for (i = 0; i < edits->header_count; i++) {
        header = &edits->headers[i];
        set = (removed & (1u << header->id))
              ? envoy_dynamic_module_callback_http_set_header
              : envoy_dynamic_module_callback_http_add_header;

        removed &= ~(1u << header->id);

        set(envoy, ENVOY_RESPONSE_HEADERS,
            cors_envoy_str(header->lower_name.data, header->lower_name.len),
            cors_envoy_str(header->value.data, header->value.len));
    }

    for (id = 0; removed; id++, removed >>= 1) {
        if (removed & 1) {
            envoy_dynamic_module_callback_http_set_header(envoy,
                ENVOY_RESPONSE_HEADERS, cors_text(cors_header_str(id)),
                cors_envoy_str(NULL, 0));
        }
    }

    if (edits->set_vary) {
        envoy_dynamic_module_callback_http_set_header(envoy,
            ENVOY_RESPONSE_HEADERS, cors_literal("vary"),
            cors_envoy_str(edits->vary.data, edits->vary.len));
    }
}


static void
cors_set_headers(const cors_decision *d, void *envoy)
{
    char          *buffer, stack[CORS_VARY];
    cors_edits     edits;
    cors_headers   headers;

    edits.size = sizeof(cors_edits);
    cors_edits_init(&edits, d);

    if (cors_headers_read(&headers, ENVOY_RESPONSE_HEADERS, envoy)) {
        cors_edits_all(&edits, headers.fields, headers.count, NULL);

    } else {
        edits.removed = d->owned;
        edits.buffer_size = SIZE_MAX;
    }

    buffer = edits.buffer_size > sizeof(stack) ? malloc(edits.buffer_size)
                                               : stack;

    if (buffer == NULL
        || cors_edits_finish(&edits, buffer, edits.buffer_size) != CORS_OK)
    {
        /* without memory: of no use to any cache, but not wrong */

        cors_log_rarely("no memory for the headers of a response");
        edits.set_vary = 1;
        edits.vary.data = "*";
        edits.vary.len = 1;
    }

    cors_edit(&edits, envoy);

    if (buffer != stack) {
        free(buffer);
    }

    free(headers.memory);
}


/* Streams */


ENVOY_HOOK const void *
envoy_dynamic_module_on_http_filter_new(const void *conf, void *envoy)
{
    cors_stream  *stream;

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
    cors_stream  *stream = (cors_stream *) module;

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
    cors_stream  *stream = (cors_stream *) module;

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
    cors_stream  *stream = (cors_stream *) module;

    /*
     * Another filter has answered, or the request is broken.  But where that is
     * a cors filter before this one its policy applies.
     */

    if (stream->state == CORS_UNDECIDED && !cors_answering) {
        cors_decide_stream(stream, envoy);
    }

    if (stream->state == CORS_DECIDED && stream->decision.enforced) {
        cors_set_headers(&stream->decision, envoy);
    }

    return ENVOY_CONTINUE;
}


/* What else Envoy looks for: it does not matter here. */


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
