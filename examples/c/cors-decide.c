/*
 * cors-decide - show how a policy answers a request
 *
 *     cc -o cors-decide cors-decide.c $(pkg-config --cflags --libs libcors)
 *     ./cors-decide cors.toml api GET 'Origin: https://app.example.com'
 *
 * It hands the request over as a server does, and prints what a server would do
 * with the decision.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cors.h>

#define MAX_LINES  64

/* What the program exits with. */
#define ALLOWED      0
#define DENIED       1
#define BAD_USAGE    2
#define BAD_POLICY   3


static const char usage[] =
    "usage: cors-decide [-u URL] [-r HEADER]... FILE POLICY METHOD [HEADER]...\n"
    "\n"
    "FILE holds policies, in TOML or JSON; POLICY is the name of one. HEADER is a\n"
    "header of the request, such as 'Origin: https://app.example.com'.\n"
    "\n"
    "  -u URL     scheme and host of the request, such as https://api.example.com\n"
    "  -r HEADER  a header of the application's response, such as 'Vary: Cookie'\n"
    "\n"
    "exit status:\n"
    "  0  the request is allowed, or asks for nothing (no Origin, or the same)\n"
    "  1  it is denied\n"
    "  2  the arguments are wrong, or there is no such policy\n"
    "  3  the file cannot be read, or has errors\n";


/* A field of the request: its name, where its lines go, and their number. */

typedef struct {
    const char  *name;
    cors_lines  *field;
    cors_str     lines[MAX_LINES];
    size_t       count;
} field_t;


static cors_str
str(const char *text)
{
    cors_str  s = { text, strlen(text) };

    return s;
}


static void
fail(const char *what, const char *argument)
{
    fprintf(stderr, "cors-decide: %s: %s\n", what, argument);
    exit(BAD_USAGE);
}


/* The value of "Name: value" if its name is that, and else NULL. The value is
 * handed over without the white space around it, as HTTP has it. */

static int
header_value(const char *header, const char *name, cors_str *value)
{
    size_t  length = strlen(name);

    if (strncasecmp(header, name, length) != 0 || header[length] != ':') {
        return 0;
    }

    header += length + 1;
    header += strspn(header, " \t");
    *value = str(header);

    while (value->len != 0 && strchr(" \t", header[value->len - 1]) != NULL) {
        value->len--;
    }

    return 1;
}


/* All problems of a file, one a line, as compilers print them. */

static void
print_diagnostics(const cors_diagnostics *diagnostics)
{
    for (size_t i = 0; i < cors_diagnostics_count(diagnostics); i++) {
        cors_diagnostic  d = { .size = sizeof(d) };

        cors_diagnostics_get(diagnostics, i, &d);

        fprintf(stderr, "%s:%lu:%lu: %s[%s]: %s\n", d.source.data,
                (unsigned long) d.line, (unsigned long) d.column,
                d.severity == CORS_SEVERITY_ERROR ? "error"
                : d.severity == CORS_SEVERITY_WARNING ? "warning" : "note",
                d.code.data, d.message.data);

        if (d.hint.len != 0) {
            fprintf(stderr, "    %s\n", d.hint.data);
        }
    }
}


/* The four steps of a host, in the order of cors.h. */

static void
print_steps(const cors_decision *decision, char **response, size_t count)
{
    size_t     lines = 0, size = CORS_VARY_EXTRA;
    char      *vary;
    cors_str   vary_lines[MAX_LINES], value;

    if (!decision->enforced) {
        printf("response  nothing is changed: the policy is in report mode\n");
        return;
    }

    if (decision->status != 0) {
        printf("status    %lu, without a body; the application is not asked\n",
               (unsigned long) decision->status);
    } else {
        printf("status    that of the application\n");
    }

    /* An answer of our own has no headers of the application. */
    if (decision->status != 0) {
        count = 0;
    }

    int  keep = 0;

    for (size_t i = 0; i < count; i++) {
        if (decision->upstream == CORS_UPSTREAM_KEEP
            && header_value(response[i], "Access-Control-Allow-Origin", &value))
        {
            printf("keep      the application's own CORS headers\n");
            keep = 1;
        }
    }

    for (size_t i = 0; i < count; i++) {
        size_t  length = strcspn(response[i], ":");

        if (!keep && cors_header_owned(decision, response[i], length)) {
            printf("remove    %s\n", response[i]);
        }

        if (lines < MAX_LINES && header_value(response[i], "Vary", &value)) {
            vary_lines[lines++] = value;
            size += 2 * value.len + 2;
        }
    }

    for (uint32_t i = 0; !keep && i < decision->header_count; i++) {
        const cors_header  *header = &decision->headers[i];

        printf("set       %s: %.*s\n", header->name.data,
               (int) header->value.len, header->value.data);
    }

    if (decision->vary != 0) {
        vary = malloc(size);

        if (vary != NULL) {
            cors_vary_merge(decision, vary_lines, lines, vary, size);
            printf("set       Vary: %s\n", vary);
            free(vary);
        }
    }
}


static void
print_explanation(const cors_policy *policy, const cors_request *request)
{
    size_t   size = cors_explain(policy, request, NULL, 0) + 1;
    char    *text = malloc(size);

    if (text != NULL) {
        cors_explain(policy, request, text, size);
        printf("\n%s", text);
        free(text);
    }
}


int
main(int argc, char **argv)
{
    int                   i;
    char                 *response[MAX_LINES];
    size_t                response_count = 0;
    int32_t               status;
    cors_request          request = { .size = sizeof(request) };
    cors_decision         decision = { .size = sizeof(decision) };
    cors_diagnostics     *diagnostics;
    const cors_policy    *policy;
    const cors_policies  *policies;

    static field_t        fields[] = {
        { .name = "Origin" },
        { .name = "Access-Control-Request-Method" },
        { .name = "Access-Control-Request-Headers" },
        { .name = "Access-Control-Request-Private-Network" },
        { .name = "Upgrade" }
    };

    fields[0].field = &request.origin;
    fields[1].field = &request.request_method;
    fields[2].field = &request.request_headers;
    fields[3].field = &request.request_private_network;
    fields[4].field = &request.upgrade;

    /* The library may be newer or older than the header. */

    if (cors_abi_version() != CORS_ABI_VERSION) {
        fprintf(stderr, "cors-decide: built for ABI %d of libcors, but %s has "
                "ABI %lu\n", CORS_ABI_VERSION, cors_version(),
                (unsigned long) cors_abi_version());
        return BAD_USAGE;
    }

    for (i = 1; i + 1 < argc && argv[i][0] == '-'; i += 2) {

        if (strcmp(argv[i], "-u") == 0) {
            char  *host = strstr(argv[i + 1], "://");

            if (host == NULL) {
                fail("no scheme in the URL", argv[i + 1]);
            }

            request.scheme.data = argv[i + 1];
            request.scheme.len = (size_t) (host - argv[i + 1]);
            request.host.data = host + 3;
            request.host.len = strcspn(host + 3, "/?#");

        } else if (strcmp(argv[i], "-r") == 0) {

            if (response_count == MAX_LINES) {
                fail("too many response headers", argv[i + 1]);
            }

            response[response_count++] = argv[i + 1];

        } else {
            fail("unknown option", argv[i]);
        }
    }

    if (argc - i < 3) {
        fputs(usage, stderr);
        return BAD_USAGE;
    }

    const char  *path = argv[i];
    const char  *name = argv[i + 1];

    request.method = str(argv[i + 2]);

    for (i += 3; i < argc; i++) {
        if (strchr(argv[i], ':') == NULL) {
            fail("no colon in the header", argv[i]);
        }

        for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
            field_t  *field = &fields[f];

            if (field->count < MAX_LINES
                && header_value(argv[i], field->name,
                                &field->lines[field->count]))
            {
                field->count++;
                field->field->lines = field->lines;
                field->field->count = field->count;
            }
        }

        header_value(argv[i], "Host", &request.host);
        header_value(argv[i], "Sec-Fetch-Site", &request.sec_fetch_site);
    }

    status = cors_policies_load(path, strlen(path), CORS_FORMAT_AUTO,
                                &policies, &diagnostics);

    print_diagnostics(diagnostics);
    cors_diagnostics_free(diagnostics);

    if (status != CORS_OK) {
        fprintf(stderr, "cors-decide: %s: %s\n", path, cors_status_str(status));
        return BAD_POLICY;
    }

    policy = cors_policies_get(policies, name, strlen(name));

    if (policy == NULL) {
        fprintf(stderr, "cors-decide: %s has no policy \"%s\"; it has:", path,
                name);

        for (size_t p = 0; p < cors_policies_count(policies); p++) {
            fprintf(stderr, " %s", cors_policies_name(policies, p));
        }

        fputc('\n', stderr);
        cors_policies_unref(policies);
        return BAD_USAGE;
    }

    status = cors_decide(policy, &request, &decision);

    if (status != CORS_OK) {
        /* The decision stands even so: it closes. */
        fprintf(stderr, "cors-decide: %s\n", cors_status_str(status));
    }

    printf("kind      %s\n", cors_kind_str(decision.kind));
    printf("outcome   %s\n", cors_outcome_str(decision.outcome));
    printf("reason    %s\n", cors_reason_str(decision.reason));

    if (decision.rule != CORS_RULE_NONE) {
        printf("rule      allow_origins[%lu]\n", (unsigned long) decision.rule);
    }

    print_steps(&decision, response, response_count);
    print_explanation(policy, &request);

    cors_policies_unref(policies);

    return decision.outcome == CORS_OUTCOME_DENY ? DENIED : ALLOWED;
}
