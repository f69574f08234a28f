/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The part of Envoy's ABI for dynamic modules that an HTTP filter of ours needs,
 * in our own words.  It is the same in Envoy 1.38, 1.39 and 1.40.
 *
 * Envoy calls the functions named envoy_dynamic_module_on_..., which the module
 * exports, and exports those named envoy_dynamic_module_callback_..., which the
 * module calls.  The latter are weak, so that a module which does not fit can
 * say so before anything else goes wrong.
 */

#ifndef ENVOY_MODULE_H
#define ENVOY_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


#define ENVOY_HOOK                                                            \
    __attribute__((visibility("default")))

#define ENVOY_CALLBACK                                                        \
    __attribute__((weak, visibility("default")))


/* The version of the ABI, as Envoy 1.38 and 1.39, and Envoy 1.40, name it. */

#define ENVOY_ABI_VERSION_1     "v0.1.0"
#define ENVOY_ABI_VERSION_2     "v0.2.0"


/* A string, always passed by value; it is Envoy's, and valid in the call only. */

typedef struct {
    const char  *data;
    size_t       len;
} envoy_str;


typedef struct {
    const char  *key;
    size_t       key_len;
    const char  *value;
    size_t       value_len;
} envoy_header;


enum {
    ENVOY_REQUEST_HEADERS = 0,
    ENVOY_REQUEST_TRAILERS,
    ENVOY_RESPONSE_HEADERS,
    ENVOY_RESPONSE_TRAILERS
};


/* What a hook for headers, a body or trailers returns. */

enum {
    ENVOY_CONTINUE = 0,
    ENVOY_STOP_ITERATION
};


enum {
    ENVOY_LOG_TRACE = 0,
    ENVOY_LOG_DEBUG,
    ENVOY_LOG_INFO,
    ENVOY_LOG_WARN,
    ENVOY_LOG_ERROR,
    ENVOY_LOG_CRITICAL
};


/* Writes to Envoy's log, as the logger "dynamic_modules". */

ENVOY_CALLBACK void envoy_dynamic_module_callback_log(int level,
    envoy_str message);
ENVOY_CALLBACK bool envoy_dynamic_module_callback_log_enabled(int level);

/*
 * Headers.  What is read is valid until the hook returns, or until a header of
 * the same message is set.  Keys are to be in lower case.
 */

ENVOY_CALLBACK size_t envoy_dynamic_module_callback_http_get_headers_size(
    void *envoy, int type);
ENVOY_CALLBACK bool envoy_dynamic_module_callback_http_get_headers(void *envoy,
    int type, envoy_header *headers);

/* Replaces all lines of a header; a value whose data is NULL removes them. */

ENVOY_CALLBACK bool envoy_dynamic_module_callback_http_set_header(void *envoy,
    int type, envoy_str key, envoy_str value);
ENVOY_CALLBACK bool envoy_dynamic_module_callback_http_add_header(void *envoy,
    int type, envoy_str key, envoy_str value);

/* Answers the request, ":status" being one of the headers; all is copied. */

ENVOY_CALLBACK void
envoy_dynamic_module_callback_http_send_response_headers(void *envoy,
    envoy_header *headers, size_t count, bool end_of_stream);

/* What ..._per_route_config_new() returned for the route, or NULL. */

ENVOY_CALLBACK const void *
envoy_dynamic_module_callback_get_most_specific_route_config(void *envoy);

/* Counters are defined while a configuration is made; 0 is success. */

ENVOY_CALLBACK int
envoy_dynamic_module_callback_http_filter_config_define_counter(
    void *config_envoy, envoy_str name, envoy_str *labels, size_t count,
    size_t *id);
ENVOY_CALLBACK int
envoy_dynamic_module_callback_http_filter_increment_counter(void *envoy,
    size_t id, envoy_str *values, size_t count, uint64_t by);

ENVOY_CALLBACK void
envoy_dynamic_module_callback_http_set_dynamic_metadata_string(void *envoy,
    envoy_str name_space, envoy_str key, envoy_str value);

/* Never called: Envoy 1.38 is the first, and 1.40 the first, that have these. */

ENVOY_CALLBACK void
envoy_dynamic_module_callback_http_clear_route_cluster_cache(void *envoy);
ENVOY_CALLBACK void
envoy_dynamic_module_callback_http_has_filter_state(void *envoy);


#endif /* ENVOY_MODULE_H */
