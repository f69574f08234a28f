
/*
 * CORS policies of libcors for nginx.
 *
 * The library decides; see cors.h.  This module hands requests over to it, and
 * carries its decisions out: preflights are answered first in the preaccess
 * phase, when the final location is known and nothing has asked for a password
 * yet, and headers are set by a filter that runs after all others which set
 * headers.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <cors.h>


#define NGX_HTTP_CORS_PREACCESS  0
#define NGX_HTTP_CORS_REWRITE    1

/* why a decision fails closed, and how often that is logged, in seconds */

#define NGX_HTTP_CORS_NAME       0
#define NGX_HTTP_CORS_FAULT      1
#define NGX_HTTP_CORS_CAUSES     2

#define NGX_HTTP_CORS_LOG_TIME   60

/* the size of a decision with so many headers */

#define ngx_http_cors_decision_size(n)                                        \
    (offsetof(cors_decision, headers) + (n) * sizeof(cors_header))

/* the number of headers that most decisions have at most */

#define NGX_HTTP_CORS_HEADERS    4


/* a policy as a "cors" directive names it */

typedef struct {
    ngx_str_t                  name;
    const cors_policy         *policy;

    ngx_http_complex_value_t  *value;       /* the name, if it has variables */

    u_char                    *file;
    ngx_uint_t                 line;

    time_t                     logged[NGX_HTTP_CORS_CAUSES];

    unsigned                   off:1;
} ngx_http_cors_ref_t;


typedef struct {
    const cors_policies       *policies;    /* of all files */
    ngx_array_t                refs;        /* ngx_http_cors_ref_t * */
    unsigned                   rewrite:1;
    unsigned                   error_pages:1;
} ngx_http_cors_main_conf_t;


typedef struct {
    ngx_http_cors_ref_t       *ref;
    ngx_uint_t                 phase;
} ngx_http_cors_loc_conf_t;


/*
 * What was decided about a request.  Internal redirects wipe r->ctx, so it is
 * found again as the data of a pool cleanup.
 */

typedef struct {
    ngx_http_cors_ref_t       *ref;         /* NULL: no policy */
    ngx_str_t                  policy;
    cors_decision             *decision;    /* NULL: no policy, or off */

    unsigned                   decided:1;
    unsigned                   final:1;
    unsigned                   answered:1;
    unsigned                   failed:1;    /* an error page may follow */
    unsigned                   naming:1;    /* the name is being evaluated */
    unsigned                   cycle:1;     /* and depends on the decision */
} ngx_http_cors_ctx_t;


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;

extern ngx_module_t  ngx_http_cors_module;
extern ngx_module_t  ngx_http_cors_filter_module;


static void
ngx_http_cors_cleanup(void *data)
{
    /* only marks the entry */
}


/* finds the context that an internal redirect wiped out of r->ctx */

static ngx_http_cors_ctx_t *
ngx_http_cors_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_cors_cleanup) {
            ngx_http_set_ctx(r, cln->data, ngx_http_cors_module);
            return cln->data;
        }
    }

    return NULL;
}


static ngx_http_cors_ctx_t *
ngx_http_cors_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_cors_ctx_t  *ctx;

    /* the decision, if it is not too large, lies behind the context */

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_cors_ctx_t)
                          + ngx_http_cors_decision_size(NGX_HTTP_CORS_HEADERS));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_cors_ctx_t));

    cln->handler = ngx_http_cors_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_cors_module);

    return ctx;
}


/*
 * Notes which policy applies: that of the location.  Once a decision is final,
 * only a location whose "cors" is not that of the server replaces it; and the
 * page of an error never brings one, for it still answers the request that
 * failed.
 */

static ngx_http_cors_ctx_t *
ngx_http_cors_choose(ngx_http_request_t *r, ngx_http_cors_ctx_t *ctx,
    ngx_http_cors_loc_conf_t *clcf)
{
    ngx_uint_t                  failed;
    ngx_http_cors_ref_t        *ref;
    ngx_http_core_srv_conf_t   *cscf;
    ngx_http_cors_loc_conf_t   *slcf;
    ngx_http_cors_main_conf_t  *cmcf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    slcf = cscf->ctx->loc_conf[ngx_http_cors_module.ctx_index];

    ref = clcf->ref;
    failed = 0;

    if (ctx == NULL && r->internal) {
        ctx = ngx_http_cors_find_ctx(r);

        /* a redirect after an error leads to its page, if there is any */

        cmcf = ngx_http_get_module_main_conf(r, ngx_http_cors_module);
        failed = (r->err_status || r->error_page) && cmcf->error_pages;

        if (ctx == NULL && failed) {

            /* it failed before its location was noted, or that has none */

            ref = slcf->ref;
        }
    }

    if (ctx == NULL) {

        if (ref == NULL) {
            return NULL;
        }

        ctx = ngx_http_cors_create_ctx(r);

        if (ctx == NULL) {
            return NGX_CONF_ERROR;
        }

        ctx->ref = ref;
    }

    if (failed) {
        ctx->failed = 1;
    }

    if (ref == ctx->ref
        || ctx->answered
        || ctx->failed
        || (ctx->final && ref == slcf->ref))
    {
        return ctx;
    }

    ctx->ref = ref;
    ctx->decided = 0;
    ctx->final = 0;

    return ctx;
}


/* a cause of a "cors" directive is logged now and then, by each worker */

static ngx_uint_t
ngx_http_cors_may_log(ngx_http_cors_ref_t *ref, ngx_uint_t cause)
{
    time_t  now;

    now = ngx_time();

    if (now - ref->logged[cause] < NGX_HTTP_CORS_LOG_TIME) {
        return 0;
    }

    ref->logged[cause] = now;

    return 1;
}


static void
ngx_http_cors_log_unknown(ngx_http_request_t *r, ngx_http_cors_ref_t *ref,
    ngx_str_t *name)
{
    char                        text[CORS_UNKNOWN_SIZE];
    ngx_http_cors_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_cors_module);

    (void) cors_policies_unknown(cmcf->policies, (char *) name->data,
                                 name->len, text, sizeof(text));

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "cors: %s, from \"cors %V\" in %s:%ui; requests fail closed",
                  text, &ref->name, ref->file, ref->line);
}


/*
 * Sets *policy, and ctx->policy to the name of the policy that applies; a NULL
 * policy with a name is off, without a name it is unknown, and fails closed.
 */

static ngx_int_t
ngx_http_cors_find_policy(ngx_http_request_t *r, ngx_http_cors_ctx_t *ctx,
    ngx_uint_t final, const cors_policy **policy)
{
    ngx_int_t                   rc;
    ngx_str_t                   value;
    ngx_http_cors_ref_t        *ref;
    ngx_http_cors_main_conf_t  *cmcf;

    ref = ctx->ref;

    if (ref->value == NULL) {
        ctx->policy = ref->name;
        *policy = ref->policy;
        return NGX_OK;
    }

    *policy = NULL;

    ctx->naming = 1;
    ctx->cycle = 0;

    rc = ngx_http_complex_value(r, ref->value, &value);

    ctx->naming = 0;

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ctx->cycle) {
        cmcf = ngx_http_get_module_main_conf(r, ngx_http_cors_module);

        if (cors_policies_choose(cmcf->policies, (char *) value.data,
                                 value.len, policy)
            != CORS_CHOICE_UNKNOWN)
        {
            ctx->policy = value;
            return NGX_OK;
        }
    }

    /* a name that is not known yet is no reason to worry */

    if (final && ngx_http_cors_may_log(ref, NGX_HTTP_CORS_NAME)) {

        if (ctx->cycle) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "cors: \"cors %V\" in %s:%ui depends on its own "
                          "decision; requests fail closed",
                          &ref->name, ref->file, ref->line);

        } else {
            ngx_http_cors_log_unknown(r, ref, &value);
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_cors_has_origin(ngx_http_request_t *r)
{
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *end;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;
        end = h + part->nelts;

        for ( /* void */ ; h < end; h++) {
            if (h->key.len == sizeof("origin") - 1
                && ngx_memcmp(h->lowcase_key, "origin", sizeof("origin") - 1)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


static void
ngx_http_cors_build_request(ngx_http_request_t *r,
    cors_request_builder *builder)
{
    u_char           *p, *last;
    cors_request     *req;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *end;

    builder->size = sizeof(cors_request_builder);
    cors_request_builder_init(builder);

    if (!ngx_http_cors_has_origin(r)) {

        /* the library looks at nothing else then */

        return;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;
        end = h + part->nelts;

        for ( /* void */ ; h < end; h++) {

            /* most fields have other lengths */

            if ((CORS_REQUEST_FIELD_LENGTHS >> (h->key.len & 31)) & 1) {
                cors_request_builder_add(builder, (char *) h->lowcase_key,
                                         h->key.len, (char *) h->value.data,
                                         h->value.len);
            }
        }
    }

    req = &builder->request;

    req->method.data = (const char *) r->method_name.data;
    req->method.len = r->method_name.len;

    if (r->internal) {

        /* an error page changes the method, but not the request line */

        p = r->request_line.data;
        last = p + r->request_line.len;

        req->method.data = (const char *) p;

        while (p < last && *p != ' ') { p++; }

        req->method.len = p - r->request_line.data;
    }

    req->scheme.data = "http";
    req->scheme.len = sizeof("http") - 1;

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        req->scheme.data = "https";
        req->scheme.len = sizeof("https") - 1;
    }

#endif

    if (r->headers_in.host == NULL) {

        /* HTTP/3 may have :authority only; headers_in.server has no port */

        req->host.data = (const char *) r->host_start;
        req->host.len = r->host_end - r->host_start;
    }
}


static ngx_int_t
ngx_http_cors_decide(ngx_http_request_t *r, ngx_http_cors_ctx_t *ctx,
    ngx_uint_t final)
{
    size_t                size;
    int32_t               status;
    cors_decision         d;
    const cors_policy    *policy;
    ngx_http_cors_ref_t  *ref;
    cors_request_builder  builder;

    ref = ctx->ref;

    ctx->decision = NULL;
    ngx_str_null(&ctx->policy);

    if (ref == NULL || ref->off) {
        return NGX_OK;
    }

    if (ngx_http_cors_find_policy(r, ctx, final, &policy) != NGX_OK) {
        return NGX_ERROR;
    }

    /* "off" by a variable */

    if (policy == NULL && ctx->policy.len) {
        return NGX_OK;
    }

    ngx_http_cors_build_request(r, &builder);

    d.size = sizeof(cors_decision);

    status = cors_decide(policy, &builder.request, &d);

    if (status != CORS_OK && ngx_http_cors_may_log(ref, NGX_HTTP_CORS_FAULT)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "cors: decision failed: %s; requests fail closed",
                      cors_status_str(status));
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "cors: policy \"%V\" %s %s %s", &ctx->policy,
                   cors_kind_str(d.kind), cors_outcome_str(d.outcome),
                   cors_reason_str(d.reason));

    /* most of the struct is room for headers that most decisions lack */

    size = ngx_http_cors_decision_size(d.header_count);

    if (d.header_count <= NGX_HTTP_CORS_HEADERS) {
        ctx->decision = (cors_decision *) (ctx + 1);

    } else {
        ctx->decision = ngx_palloc(r->pool, size);
        if (ctx->decision == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memcpy(ctx->decision, &d, size);

    return NGX_OK;
}


/*
 * Returns what was decided; NULL if no policy rules here.  A decision is final
 * when the final location is known; one that a variable asked for before is
 * made again if the policy, or its name, is another by then.
 */

static ngx_inline ngx_http_cors_ctx_t *
ngx_http_cors_evaluate(ngx_http_request_t *r, ngx_uint_t final)
{
    ngx_http_cors_ctx_t       *ctx;
    ngx_http_cors_loc_conf_t  *clcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_cors_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_cors_module);

    /* most requests stay in one location */

    if (ctx == NULL || ctx->ref != clcf->ref) {
        ctx = ngx_http_cors_choose(r, ctx, clcf);

        if (ctx == NULL || ctx == NGX_CONF_ERROR) {
            return ctx;
        }
    }

    if (!ctx->decided
        || (!ctx->final && final && ctx->ref && ctx->ref->value))
    {
        if (ngx_http_cors_decide(r, ctx, final) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        ctx->decided = 1;
    }

    if (final) {
        ctx->final = 1;
    }

    return ctx;
}


/* answers the request at once, if that is what was decided */

static ngx_int_t
ngx_http_cors_answer(ngx_http_request_t *r, ngx_uint_t final)
{
    ngx_int_t             rc;
    cors_decision        *d;
    ngx_http_cors_ctx_t  *ctx;

    ctx = ngx_http_cors_evaluate(r, final);

    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    if (ctx == NGX_CONF_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    d = ctx->decision;

    /* the page of a refusal comes this way again */

    if (d == NULL || d->status == 0 || ctx->answered) {
        return NGX_DECLINED;
    }

    /* "set" and others may still give the name that is missing */

    if (!final && ctx->policy.len == 0) {
        return NGX_DECLINED;
    }

    if (d->status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ctx->answered = 1;
        return d->status;
    }

    /* nginx would put the status of the error over that of the answer */

    if (r->err_status) {
        return NGX_DECLINED;
    }

    ctx->answered = 1;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = d->status;
    r->header_only = 1;

    if (d->status == NGX_HTTP_NO_CONTENT) {
        ngx_http_clear_content_length(r);

    } else {
        r->headers_out.content_length_n = 0;
    }

    ngx_http_finalize_request(r, ngx_http_send_header(r));

    return NGX_DONE;
}


static ngx_int_t
ngx_http_cors_preaccess_handler(ngx_http_request_t *r)
{
    if (r != r->main) {
        return NGX_DECLINED;
    }

    return ngx_http_cors_answer(r, 1);
}


static ngx_int_t
ngx_http_cors_rewrite_handler(ngx_http_request_t *r)
{
    ngx_http_cors_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_cors_module);

    if (r != r->main || clcf->phase != NGX_HTTP_CORS_REWRITE) {
        return NGX_DECLINED;
    }

    return ngx_http_cors_answer(r, 0);
}


/*
 * The checker of both rewrite phases where there are error pages.  When a
 * handler has ended a request, what follows may be an error page of another
 * location.  The one that the request has reached is known for the last time,
 * with the policy of an "if", and with the values of variables.
 */

static ngx_int_t
ngx_http_cors_rewrite_phase(ngx_http_request_t *r,
    ngx_http_phase_handler_t *ph)
{
    ngx_int_t             rc;
    ngx_http_cors_ctx_t  *ctx;

    rc = ph->handler(r);

    if (rc == NGX_DECLINED) {
        r->phase_handler++;
        return NGX_AGAIN;
    }

    if (rc == NGX_DONE) {
        return NGX_OK;
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE && r == r->main) {
        ctx = ngx_http_cors_evaluate(r, 1);

        if (ctx == NGX_CONF_ERROR) {
            rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

        } else if (ctx) {
            ctx->failed = 1;
        }
    }

    ngx_http_finalize_request(r, rc);

    return NGX_OK;
}


static ngx_int_t
ngx_http_cors_push(ngx_http_request_t *r, const cors_str *name,
    const cors_str *lower, const cors_str *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.len = name->len;
    h->key.data = (u_char *) name->data;
    h->value.len = value->len;
    h->value.data = (u_char *) value->data;
    h->lowcase_key = (u_char *) lower->data;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_cors_set_headers(ngx_http_request_t *r, cors_decision *d)
{
    char               *buffer;
    int32_t             action;
    ngx_uint_t          i;
    cors_edits          edits;
    ngx_list_part_t    *part;
    ngx_table_elt_t    *h, *last, *vary;
    const cors_header  *ch;

    static cors_str     name = { "Vary", sizeof("Vary") - 1 };
    static cors_str     lower = { "vary", sizeof("vary") - 1 };

    edits.size = sizeof(cors_edits);
    cors_edits_init(&edits, d);

    do {
        vary = NULL;

        for (part = &r->headers_out.headers.part; part; part = part->next) {
            h = part->elts;
            last = h + part->nelts;

            for ( /* void */ ; h < last; h++) {

                /* most fields have other lengths */

                if (!((CORS_RESPONSE_LENGTHS >> (h->key.len & 31)) & 1)
                    || h->hash == 0)
                {
                    continue;
                }

                action = cors_edits_line(&edits, (char *) h->key.data,
                                         h->key.len, (char *) h->value.data,
                                         h->value.len);

                if (action == CORS_LINE_VARY && vary == NULL) {
                    vary = h;

                } else if (action != CORS_LINE_KEEP) {
                    h->hash = 0;
                }
            }
        }

    } while (cors_edits_again(&edits));

#if (NGX_HTTP_GZIP)

    if (r->gzip_vary && d->vary) {
        ngx_http_core_loc_conf_t  *clcf;

        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (clcf->gzip_vary) {

            /* nginx would write a line of its own; one too many for caches */

            cors_edits_line(&edits, "Vary", sizeof("Vary") - 1,
                            "Accept-Encoding", sizeof("Accept-Encoding") - 1);
            r->gzip_vary = 0;
        }
    }

#endif

    buffer = NULL;

    if (edits.buffer_size) {
        buffer = ngx_pnalloc(r->pool, edits.buffer_size);
        if (buffer == NULL) {
            return NGX_ERROR;
        }
    }

    if (cors_edits_finish(&edits, buffer, edits.buffer_size) != CORS_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < edits.header_count; i++) {
        ch = &edits.headers[i];

        if (ngx_http_cors_push(r, &ch->name, &ch->lower_name, &ch->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!edits.set_vary) {
        return NGX_OK;
    }

    if (vary == NULL) {
        return ngx_http_cors_push(r, &name, &lower, &edits.vary);
    }

    vary->value.len = edits.vary.len;
    vary->value.data = (u_char *) edits.vary.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_cors_header_filter(ngx_http_request_t *r)
{
    cors_decision        *d;
    ngx_http_cors_ctx_t  *ctx;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_cors_evaluate(r, 1);

    if (ctx == NGX_CONF_ERROR) {
        return NGX_ERROR;
    }

    if (ctx && ctx->decision && ctx->decision->enforced) {
        d = ctx->decision;

        if (d->status >= NGX_HTTP_SPECIAL_RESPONSE
            && !ctx->answered
            && r->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE)
        {
            /*
             * "return" came before the phase that refuses; an error page
             * could not be sent from here, and the connection will be closed
             */

            ctx->answered = 1;
            r->error_page = 1;
            r->keepalive = 0;

            return ngx_http_filter_finalize_request(r, &ngx_http_cors_module,
                                                    d->status);
        }

        if (ngx_http_cors_set_headers(r, d) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


enum {
    NGX_HTTP_CORS_VAR_KIND = 0,
    NGX_HTTP_CORS_VAR_OUTCOME,
    NGX_HTTP_CORS_VAR_REASON,
    NGX_HTTP_CORS_VAR_POLICY,
    NGX_HTTP_CORS_VAR_RULE
};


static ngx_int_t
ngx_http_cors_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    const char           *text;
    cors_decision        *d;
    ngx_http_cors_ctx_t  *ctx;

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_cors_module);

    if (ctx && ctx->naming) {
        ctx->cycle = 1;
        v->not_found = 1;
        return NGX_OK;
    }

    ctx = ngx_http_cors_evaluate(r->main, 0);

    if (ctx == NGX_CONF_ERROR) {
        return NGX_ERROR;
    }

    if (ctx == NULL || ctx->decision == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    d = ctx->decision;
    text = NULL;

    switch (data) {

    case NGX_HTTP_CORS_VAR_KIND:
        text = cors_kind_str(d->kind);
        break;

    case NGX_HTTP_CORS_VAR_OUTCOME:
        text = cors_outcome_str(d->outcome);
        break;

    case NGX_HTTP_CORS_VAR_REASON:
        text = cors_reason_str(d->reason);
        break;

    case NGX_HTTP_CORS_VAR_POLICY:
        v->len = ctx->policy.len;
        v->data = ctx->policy.data;
        break;

    default: /* NGX_HTTP_CORS_VAR_RULE */

        v->len = 0;

        if (d->rule != CORS_RULE_NONE) {
            v->data = ngx_pnalloc(r->pool, NGX_INT32_LEN);
            if (v->data == NULL) {
                return NGX_ERROR;
            }

            v->len = ngx_sprintf(v->data, "%uD", d->rule) - v->data;
        }
    }

    if (text) {
        v->len = ngx_strlen(text);
        v->data = (u_char *) text;
    }

    v->not_found = (v->len == 0);

    return NGX_OK;
}


#define ngx_http_cors_var(name, data)                                         \
    { ngx_string(name), NULL, ngx_http_cors_variable, data,                   \
      NGX_HTTP_VAR_NOCACHEABLE, 0 }

static ngx_http_variable_t  ngx_http_cors_vars[] = {
    ngx_http_cors_var("cors_kind", NGX_HTTP_CORS_VAR_KIND),
    ngx_http_cors_var("cors_outcome", NGX_HTTP_CORS_VAR_OUTCOME),
    ngx_http_cors_var("cors_reason", NGX_HTTP_CORS_VAR_REASON),
    ngx_http_cors_var("cors_policy", NGX_HTTP_CORS_VAR_POLICY),
    ngx_http_cors_var("cors_rule", NGX_HTTP_CORS_VAR_RULE),
    ngx_http_null_variable
};


static ngx_int_t
ngx_http_cors_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    if (cors_abi_version() != CORS_ABI_VERSION) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "cors: the library has ABI version %uD, "
                           "the module was built for version %d",
                           cors_abi_version(), CORS_ABI_VERSION);
        return NGX_ERROR;
    }

    for (v = ngx_http_cors_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static void *
ngx_http_cors_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_cors_main_conf_t  *cmcf;

    cmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_cors_main_conf_t));
    if (cmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&cmcf->refs, cf->pool, 4,
                       sizeof(ngx_http_cors_ref_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return cmcf;
}


static void *
ngx_http_cors_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_cors_loc_conf_t  *clcf;

    clcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_cors_loc_conf_t));
    if (clcf == NULL) {
        return NULL;
    }

    clcf->phase = NGX_CONF_UNSET_UINT;

    return clcf;
}


static char *
ngx_http_cors_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_cors_loc_conf_t  *prev = parent;
    ngx_http_cors_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_cors_main_conf_t  *cmcf;

    if (conf->ref == NULL) {
        conf->ref = prev->ref;
    }

    ngx_conf_merge_uint_value(conf->phase, prev->phase,
                              NGX_HTTP_CORS_PREACCESS);

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cors_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->phase == NGX_HTTP_CORS_REWRITE) {
        cmcf->rewrite = 1;
    }

    if (clcf->error_pages) {
        cmcf->error_pages = 1;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_cors_init(ngx_conf_t *cf)
{
    char                         text[CORS_UNKNOWN_SIZE];
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_http_handler_pt         *h;
    ngx_http_cors_ref_t        **ref;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_cors_main_conf_t   *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cors_module);

    /* a policy may be named before the file that has it */

    rc = NGX_OK;
    ref = mcf->refs.elts;

    for (i = 0; i < mcf->refs.nelts; i++) {

        if (mcf->policies == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"cors %V\" needs a \"cors_policies\" directive "
                          "in %s:%ui",
                          &ref[i]->name, ref[i]->file, ref[i]->line);
            rc = NGX_ERROR;
            continue;
        }

        if (ref[i]->value) {
            continue;
        }

        if (cors_policies_choose(mcf->policies, (char *) ref[i]->name.data,
                                 ref[i]->name.len, &ref[i]->policy)
            != CORS_CHOICE_POLICY)
        {
            (void) cors_policies_unknown(mcf->policies,
                                         (char *) ref[i]->name.data,
                                         ref[i]->name.len, text, sizeof(text));
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "cors: %s in %s:%ui",
                          text, ref[i]->file, ref[i]->line);
            rc = NGX_ERROR;
        }
    }

    if (rc != NGX_OK || mcf->refs.nelts == 0) {
        return rc;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (mcf->rewrite) {
        h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = ngx_http_cors_rewrite_handler;
    }

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_cors_preaccess_handler;

    return NGX_OK;
}


/* the phases are put together after all modules have added their handlers */

static ngx_int_t
ngx_http_cors_init_module(ngx_cycle_t *cycle)
{
    ngx_http_phase_handler_t   *ph;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_cors_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_cors_module);

    if (mcf == NULL || mcf->refs.nelts == 0 || !mcf->error_pages) {
        return NGX_OK;
    }

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    for (ph = cmcf->phase_engine.handlers; ph->checker; ph++) {
        if (ph->checker == ngx_http_core_rewrite_phase) {
            ph->checker = ngx_http_cors_rewrite_phase;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_cors_filter_init(ngx_conf_t *cf)
{
    ngx_http_cors_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cors_module);

    /* nothing to do, and nothing to pay */

    if (cmcf->refs.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_cors_header_filter;

    return NGX_OK;
}


static void
ngx_http_cors_unref(void *data)
{
    cors_policies_unref(data);
}


static void
ngx_http_cors_log_diagnostics(ngx_conf_t *cf, cors_diagnostics *diagnostics)
{
    size_t      i, n;
    cors_str    text;
    uint32_t    severity;
    ngx_uint_t  level;

    n = cors_diagnostics_count(diagnostics);

    for (i = 0; i < n; i++) {
        text = cors_diagnostics_text(diagnostics, i, &severity);
        level = severity == CORS_SEVERITY_ERROR ? NGX_LOG_EMERG : NGX_LOG_WARN;

        ngx_log_error(level, cf->log, 0, "cors: %s", text.data);
    }

    cors_diagnostics_free(diagnostics);
}


static char *
ngx_http_cors_policies(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_cors_main_conf_t *cmcf = conf;

    int32_t               status;
    ngx_str_t            *value, file;
    cors_diagnostics     *diagnostics;
    ngx_pool_cleanup_t   *cln;
    const cors_policies  *sets[2], *joined;

    value = cf->args->elts;
    file = value[1];

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    status = cors_policies_load((const char *) file.data, file.len,
                                CORS_FORMAT_AUTO, &joined, &diagnostics);

    ngx_http_cors_log_diagnostics(cf, diagnostics);

    if (status == CORS_OK && cmcf->policies) {
        sets[0] = cmcf->policies;
        sets[1] = joined;

        status = cors_policies_join(sets, 2, &joined, &diagnostics);

        ngx_http_cors_log_diagnostics(cf, diagnostics);
        cors_policies_unref(sets[1]);
    }

    if (status != CORS_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "cors policies \"%V\": %s",
                           &file, cors_status_str(status));
        return NGX_CONF_ERROR;
    }

    cmcf->policies = joined;

    cln->handler = ngx_http_cors_unref;
    cln->data = (void *) joined;

    return NGX_CONF_OK;
}


static char *
ngx_http_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_cors_loc_conf_t *clcf = conf;

    ngx_str_t                          *value;
    ngx_http_cors_ref_t                *ref, **slot;
    ngx_http_cors_main_conf_t          *cmcf;
    ngx_http_compile_complex_value_t    ccv;

    if (clcf->ref) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty policy name";
    }

    ref = ngx_pcalloc(cf->pool, sizeof(ngx_http_cors_ref_t));
    if (ref == NULL) {
        return NGX_CONF_ERROR;
    }

    ref->name = value[1];
    ref->file = cf->conf_file->file.name.data;
    ref->line = cf->conf_file->line;

    clcf->ref = ref;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ref->off = 1;
        return NGX_CONF_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_cors_module);

    slot = ngx_array_push(&cmcf->refs);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = ref;

    if (ngx_http_script_variables_count(&value[1]) == 0) {
        return NGX_CONF_OK;
    }

    ref->value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (ref->value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = ref->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_conf_enum_t  ngx_http_cors_phases[] = {
    { ngx_string("preaccess"), NGX_HTTP_CORS_PREACCESS },
    { ngx_string("rewrite"), NGX_HTTP_CORS_REWRITE },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_cors_commands[] = {

    { ngx_string("cors_policies"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_cors_policies,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_cors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("cors_preflight_phase"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_cors_loc_conf_t, phase),
      &ngx_http_cors_phases },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_cors_module_ctx = {
    .preconfiguration = ngx_http_cors_add_variables,
    .postconfiguration = ngx_http_cors_init,
    .create_main_conf = ngx_http_cors_create_main_conf,
    .create_loc_conf = ngx_http_cors_create_loc_conf,
    .merge_loc_conf = ngx_http_cors_merge_loc_conf
};


ngx_module_t  ngx_http_cors_module = {
    NGX_MODULE_V1,
    .ctx = &ngx_http_cors_module_ctx,
    .commands = ngx_http_cors_commands,
    .type = NGX_HTTP_MODULE,
    .init_module = ngx_http_cors_init_module
};


static ngx_http_module_t  ngx_http_cors_filter_module_ctx = {
    .postconfiguration = ngx_http_cors_filter_init
};


ngx_module_t  ngx_http_cors_filter_module = {
    NGX_MODULE_V1,
    .ctx = &ngx_http_cors_filter_module_ctx,
    .type = NGX_HTTP_MODULE
};
