/*
 * Every function of cors.h, called as C programs call it, and as they should
 * not.
 *
 *     api POLICIES.TOML
 */

#include <pthread.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define APP   "https://app.example.com"
#define EVIL  "https://evil.example"

#define CRLF_OR_NUL(c)  ((c) == '\r' || (c) == '\n' || (c) == '\0')

static const char           *path;
static const cors_policies  *policies;


static const cors_policy *
policy(const char *name)
{
    return cors_policies_get(policies, name, strlen(name));
}


static int32_t
decide(const char *name, const test_request_t *r, cors_decision *decision)
{
    /* What stood there before does not matter. */
    memset(decision, 0xa5, sizeof(*decision));
    decision->size = sizeof(*decision);

    return cors_decide(policy(name), &r->request, decision);
}


static int32_t
parse(const char *text, const cors_policies **result,
    cors_diagnostics **problems)
{
    return cors_policies_parse(text, strlen(text), "test", 4,
                               CORS_FORMAT_AUTO, result, problems);
}


static int
versions(void)
{
    const char  *version;

    CHECK(cors_abi_version() == CORS_ABI_VERSION);

    version = cors_version();
    CHECK(version[0] >= '0' && version[0] <= '9');
    CHECK(strchr(version, '.') != NULL);
    CHECK(version == cors_version());

    return 0;
}


static int
status_words(void)
{
    int32_t      i;
    const char  *unknown;

    unknown = cors_status_str(-1);
    CHECK(strcmp(unknown, "unknown status") == 0);
    CHECK(strcmp(cors_status_str(1000000), unknown) == 0);
    CHECK(strcmp(cors_status_str(-2147483647), unknown) == 0);

    for (i = CORS_OK; i <= CORS_ERR_INTERNAL; i++) {
        CHECK(cors_status_str(i)[0] != '\0');
        CHECK(strcmp(cors_status_str(i), unknown) != 0);
    }

    return 0;
}


/* The words of numbers up to last; all others are unknown. */

static int
words(const char *(*word)(uint32_t), uint32_t first, uint32_t last)
{
    uint32_t     i;
    const char  *name;

    for (i = 0; i < 100; i++) {
        name = word(i);

        if (i < first || i > last) {
            CHECK(strcmp(name, "unknown") == 0);
            continue;
        }

        CHECK(strcmp(name, "unknown") != 0);
        CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
    }

    CHECK(strcmp(word(0xffffffffu), "unknown") == 0);

    return 0;
}


static int
kind_words(void)
{
    CHECK(strcmp(cors_kind_str(CORS_KIND_PREFLIGHT), "preflight") == 0);

    return words(cors_kind_str, CORS_KIND_NONE, CORS_KIND_WEBSOCKET);
}


static int
outcome_words(void)
{
    CHECK(strcmp(cors_outcome_str(CORS_OUTCOME_DENY), "deny") == 0);

    return words(cors_outcome_str, CORS_OUTCOME_NONE, CORS_OUTCOME_DENY);
}


static int
reason_words(void)
{
    CHECK(strcmp(cors_reason_str(CORS_REASON_ORIGIN_NOT_ALLOWED),
                 "origin_not_allowed") == 0);

    return words(cors_reason_str, CORS_REASON_ALLOWED, CORS_REASON_NO_POLICY);
}


static int
parse_toml(void)
{
    const cors_policies  *result;
    cors_diagnostics     *problems;

    CHECK(parse("[policy.a]\nallow_origins = ['" APP "']\n", &result,
                &problems) == CORS_OK);
    CHECK(result != NULL);
    CHECK(problems == NULL);
    CHECK(cors_policies_count(result) == 1);

    cors_policies_unref(result);

    return 0;
}


static int
parse_json(void)
{
    const char           *text;
    const cors_policies  *result;

    text = "{\"policy\": {\"a\": {\"allow_origins\": [\"" APP "\"]}}}";

    CHECK(parse(text, &result, NULL) == CORS_OK);
    CHECK(cors_policies_get(result, "a", 1) != NULL);
    cors_policies_unref(result);

    CHECK(cors_policies_parse(text, strlen(text), "test", 4, CORS_FORMAT_JSON,
                              &result, NULL) == CORS_OK);
    cors_policies_unref(result);

    CHECK(cors_policies_parse(text, strlen(text), "test", 4, CORS_FORMAT_TOML,
                              &result, NULL) == CORS_ERR_DOCUMENT);
    CHECK(result == NULL);

    return 0;
}


static int
parse_byte_order_mark(void)
{
    const cors_policies  *result;

    CHECK(parse("\xef\xbb\xbf[policy.a]\nallow_origins = []\n", &result, NULL)
          == CORS_OK);
    cors_policies_unref(result);

    return 0;
}


/* Each text is made of what the diagnostic holds, and has the right level. */
static int
texts_of(const cors_diagnostics *problems)
{
    char             expected[4096];
    size_t           i, count;
    cors_str         text;
    uint32_t         level, last;
    cors_diagnostic  d;

    last = 0;
    d.size = sizeof(d);
    count = cors_diagnostics_count(problems);

    for (i = 0; i < count; i++) {
        level = 0;
        text = cors_diagnostics_text(problems, i, &level);
        CHECK(cors_diagnostics_get(problems, i, &d) == CORS_OK);

        snprintf(expected, sizeof(expected), "%s:%u:%u: %s: %s%s%s",
                 d.source.data, (unsigned) d.line, (unsigned) d.column,
                 d.severity == CORS_SEVERITY_NOTE ? "note" : d.code.data,
                 d.message.data, d.hint.len ? "; " : "", d.hint.data);
        CHECK(same(text, expected));
        CHECK(text.data[text.len] == '\0');

        if (d.severity != CORS_SEVERITY_NOTE) {
            last = d.severity;
        }
        CHECK(level == last);
        CHECK(same(cors_diagnostics_text(problems, i, NULL), expected));
    }

    level = 77;
    text = cors_diagnostics_text(problems, count, &level);
    CHECK(text.len == 0 && text.data[0] == '\0' && level == 77);
    CHECK(cors_diagnostics_text(NULL, 0, NULL).len == 0);

    return 0;
}


static int
parse_errors(void)
{
    size_t                i;
    static const char    *texts[] = {
        "", "{", "[", "policy", "[policy.a]", "\xff\xfe", "{}", "[defaults]",
        "[policy.a]\nallow_origins = ['*']\nallow_credentials = true\n",
        "[policy.a]\nallow_origins = ['null']\n",
        "[policy.a]\nallow_origins = ['" APP "/']\n",
        "[policy.a]\nallow_origin = ['" APP "']\n",
        "[policy.a]\nallow_origins = []\nallow_origins = []\n",
        "{\"policy\": {\"a\": {\"allow_origins\": []},"
        " \"a\": {\"allow_origins\": []}}}"
    };
    cors_diagnostic       problem;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        result = policies;
        problems = NULL;

        CHECK(parse(texts[i], &result, &problems) == CORS_ERR_DOCUMENT);
        CHECK(result == NULL);
        CHECK(cors_diagnostics_count(problems) > 0);

        problem.size = sizeof(problem);
        CHECK(cors_diagnostics_get(problems, 0, &problem) == CORS_OK);
        CHECK(same(problem.source, "test"));
        CHECK(problem.message.len > 0);
        CHECK(problem.code.len > 0);
        CHECK(texts_of(problems) == 0);

        cors_diagnostics_free(problems);

        /* Who does not want them need not have them. */
        CHECK(parse(texts[i], &result, NULL) == CORS_ERR_DOCUMENT);
    }

    return 0;
}


static int
parse_arguments(void)
{
    cors_diagnostics     *problems;
    const cors_policies  *result;

    result = policies;
    problems = (cors_diagnostics *) &problems;

    CHECK(cors_policies_parse(NULL, 1, "test", 4, CORS_FORMAT_AUTO, &result,
                              &problems) == CORS_ERR_ARGUMENT);
    CHECK(result == NULL);
    CHECK(problems == NULL);

    CHECK(cors_policies_parse("", (size_t) -1, "test", 4, CORS_FORMAT_AUTO,
                              &result, &problems) == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_parse("", 0, NULL, 4, CORS_FORMAT_AUTO, &result,
                              &problems) == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_parse("", 0, "", (size_t) -1, CORS_FORMAT_AUTO,
                              &result, &problems) == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_parse("", 0, "test", 4, 3, &result, &problems)
          == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_parse("", 0, "test", 4, 0xffffffffu, &result,
                              &problems) == CORS_ERR_ARGUMENT);
    CHECK(problems == NULL);

    problems = (cors_diagnostics *) &problems;
    CHECK(cors_policies_parse("", 0, "test", 4, CORS_FORMAT_AUTO, NULL,
                              &problems) == CORS_ERR_ARGUMENT);
    CHECK(problems == NULL);

    /* The empty string may be NULL. */
    CHECK(cors_policies_parse(NULL, 0, NULL, 0, CORS_FORMAT_AUTO, &result,
                              NULL) == CORS_ERR_DOCUMENT);

    return 0;
}


static int
load(void)
{
    cors_diagnostics     *problems;
    const cors_policies  *result;

    CHECK(cors_policies_load(path, strlen(path), CORS_FORMAT_AUTO, &result,
                             &problems) == CORS_OK);
    CHECK(problems == NULL);
    CHECK(cors_policies_count(result) == cors_policies_count(policies));
    cors_policies_unref(result);

    CHECK(cors_policies_load(path, strlen(path), CORS_FORMAT_TOML, &result,
                             NULL) == CORS_OK);
    cors_policies_unref(result);

    CHECK(cors_policies_load(path, strlen(path), CORS_FORMAT_JSON, &result,
                             NULL) == CORS_ERR_DOCUMENT);
    CHECK(result == NULL);

    return 0;
}


static int
load_missing(void)
{
    size_t                i;
    cors_str              name;
    static const char    *names[] = { "/nonexistent/cors.toml", "/", "" };
    cors_diagnostic       problem;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        name = str(names[i]);
        result = policies;

        CHECK(cors_policies_load(name.data, name.len, CORS_FORMAT_AUTO,
                                 &result, &problems) == CORS_ERR_IO);
        CHECK(result == NULL);
        CHECK(cors_diagnostics_count(problems) == 1);

        problem.size = sizeof(problem);
        CHECK(cors_diagnostics_get(problems, 0, &problem) == CORS_OK);
        CHECK(problem.severity == CORS_SEVERITY_ERROR);
        CHECK(problem.line == 1);
        CHECK(problem.column == 1);
        CHECK(problem.length == 0);
        CHECK(same(problem.source, names[i]));
        CHECK(problem.message.len > 0);

        cors_diagnostics_free(problems);
    }

    return 0;
}


static int
load_arguments(void)
{
    cors_diagnostics     *problems;
    const cors_policies  *result;

    CHECK(cors_policies_load(NULL, 1, CORS_FORMAT_AUTO, &result, &problems)
          == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_load("\xff", 1, CORS_FORMAT_AUTO, &result, &problems)
          == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_load(path, (size_t) -1, CORS_FORMAT_AUTO, &result,
                             &problems) == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_load(path, strlen(path), 9, &result, &problems)
          == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_load(path, strlen(path), CORS_FORMAT_AUTO, NULL,
                             &problems) == CORS_ERR_ARGUMENT);
    CHECK(result == NULL);
    CHECK(problems == NULL);

    /* A NUL inside is no file's name. */
    CHECK(cors_policies_load("a\0b", 3, CORS_FORMAT_AUTO, &result, &problems)
          == CORS_ERR_IO);
    cors_diagnostics_free(problems);

    return 0;
}


static int
diagnostics_fields(void)
{
    const char           *text;
    cors_diagnostic       problem;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    /* The second line has two bytes in one character before the problem. */
    text = "[policy.a]\nallow_origins = ['" APP "']\n"
           "\"\xc3\xa9\" = 1\n";

    CHECK(parse(text, &result, &problems) == CORS_ERR_DOCUMENT);
    CHECK(cors_diagnostics_count(problems) >= 1);

    problem.size = sizeof(problem);
    CHECK(cors_diagnostics_get(problems, 0, &problem) == CORS_OK);

    CHECK(problem.size == sizeof(problem));
    CHECK(problem.severity == CORS_SEVERITY_ERROR);
    CHECK(problem.line == 3);
    CHECK(problem.column == 1);
    CHECK(problem.reserved == 0);
    CHECK(problem.offset == (size_t) (strchr(text, '\xc3') - text) - 1);
    CHECK(problem.length > 0);
    CHECK(problem.offset + problem.length <= strlen(text));
    CHECK(problem.code.len == strlen(problem.code.data));
    CHECK(problem.source.len == strlen(problem.source.data));
    CHECK(problem.key_path.len == strlen(problem.key_path.data));
    CHECK(problem.message.len == strlen(problem.message.data));
    CHECK(problem.hint.len == strlen(problem.hint.data));
    CHECK(problem.code.data[0] == 'E');

    cors_diagnostics_free(problems);

    return 0;
}


static int
diagnostics_all_at_once(void)
{
    size_t                i;
    uint32_t              line;
    cors_diagnostic       problem;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    CHECK(parse("[policy.a]\nallow_origins = ['" APP "/']\n"
                "max_age = 'x'\nwrong = 1\n", &result, &problems)
          == CORS_ERR_DOCUMENT);
    CHECK(cors_diagnostics_count(problems) >= 3);

    line = 0;
    problem.size = sizeof(problem);

    for (i = 0; i < cors_diagnostics_count(problems); i++) {
        CHECK(cors_diagnostics_get(problems, i, &problem) == CORS_OK);

        if (problem.severity != CORS_SEVERITY_NOTE) {
            CHECK(problem.line >= line);
            line = problem.line;
        }
    }

    CHECK(line == 4);
    cors_diagnostics_free(problems);

    return 0;
}


static int
diagnostics_warnings(void)
{
    cors_diagnostic       problem;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    CHECK(parse("[policy.a]\nallow_origins = ['" APP "', '" APP "']\n",
                &result, &problems) == CORS_OK);
    CHECK(result != NULL);
    CHECK(cors_diagnostics_count(problems) >= 1);

    problem.size = sizeof(problem);
    CHECK(cors_diagnostics_get(problems, 0, &problem) == CORS_OK);
    CHECK(problem.severity == CORS_SEVERITY_WARNING);

    cors_diagnostics_free(problems);
    cors_policies_unref(result);

    return 0;
}


/* Neither a document nor the name of one can write to somebody's terminal. */

static int
diagnostics_are_harmless(void)
{
    size_t                i, j, k;
    cors_str              strings[5];
    const char           *text, *source;
    cors_diagnostic       problem;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    text = "[policy.a]\nallow_origins = [\"https://\\u001b[2Ja\\u0000\\r\\n\"]"
           "\n\"b\\u001bad\\nkey\" = 1\n";
    source = "na\x1bme\n\r\x7f\xff";

    CHECK(cors_policies_parse(text, strlen(text), source, strlen(source),
                              CORS_FORMAT_AUTO, &result, &problems)
          == CORS_ERR_DOCUMENT);
    CHECK(cors_diagnostics_count(problems) >= 2);

    for (i = 0; i < cors_diagnostics_count(problems); i++) {
        problem.size = sizeof(problem);
        CHECK(cors_diagnostics_get(problems, i, &problem) == CORS_OK);

        strings[0] = problem.code;
        strings[1] = problem.source;
        strings[2] = problem.key_path;
        strings[3] = problem.message;
        strings[4] = problem.hint;

        for (j = 0; j < 5; j++) {
            CHECK(strings[j].data[strings[j].len] == '\0');

            for (k = 0; k < strings[j].len; k++) {
                CHECK((unsigned char) strings[j].data[k] >= 0x20);
                CHECK(strings[j].data[k] != 0x7f);
            }
        }
    }

    cors_diagnostics_free(problems);

    return 0;
}


static int
diagnostics_sizes(void)
{
    struct {
        cors_diagnostic  known;
        char             tail[24];
        char             after[8];
    } larger;
    size_t                i;
    cors_diagnostic       problem, before;
    cors_diagnostics     *problems;
    const cors_policies  *result;

    CHECK(parse("x", &result, &problems) == CORS_ERR_DOCUMENT);

    memset(&problem, 0x5a, sizeof(problem));

    for (i = 0; i < sizeof(problem); i += 7) {
        problem.size = i;
        before = problem;
        CHECK(cors_diagnostics_get(problems, 0, &problem) == CORS_ERR_ABI);
        CHECK(memcmp(&problem, &before, sizeof(problem)) == 0);
    }

    memset(&larger, 0x5a, sizeof(larger));
    larger.known.size = sizeof(larger.known) + sizeof(larger.tail);
    CHECK(cors_diagnostics_get(problems, 0, &larger.known) == CORS_OK);
    CHECK(larger.known.size == sizeof(larger.known) + sizeof(larger.tail));

    for (i = 0; i < sizeof(larger.tail); i++) {
        CHECK(larger.tail[i] == 0);
    }

    for (i = 0; i < sizeof(larger.after); i++) {
        CHECK(larger.after[i] == 0x5a);
    }

    problem.size = (size_t) -1;
    CHECK(cors_diagnostics_get(problems, 0, &problem) == CORS_ERR_ABI);

    problem.size = sizeof(problem);
    CHECK(cors_diagnostics_get(problems, cors_diagnostics_count(problems),
                               &problem) == CORS_ERR_ARGUMENT);
    CHECK(cors_diagnostics_get(problems, (size_t) -1, &problem)
          == CORS_ERR_ARGUMENT);
    CHECK(cors_diagnostics_get(problems, 0, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_diagnostics_get(NULL, 0, &problem) == CORS_ERR_ARGUMENT);
    CHECK(cors_diagnostics_count(NULL) == 0);

    cors_diagnostics_free(problems);
    cors_diagnostics_free(NULL);

    return 0;
}


static int
names(void)
{
    size_t       i;
    const char  *name;

    CHECK(cors_policies_count(policies) == 8);
    CHECK(strcmp(cors_policies_name(policies, 0), "site") == 0);
    CHECK(strcmp(cors_policies_name(policies, 7), "keep") == 0);
    CHECK(cors_policies_name(policies, 8) == NULL);
    CHECK(cors_policies_name(policies, (size_t) -1) == NULL);

    for (i = 0; i < cors_policies_count(policies); i++) {
        name = cors_policies_name(policies, i);
        CHECK(policy(name) != NULL);
    }

    CHECK(policy("nobody") == NULL);
    CHECK(policy("") == NULL);
    CHECK(policy("SITE") == NULL);
    CHECK(cors_policies_get(policies, "sitex", 4) != NULL);
    CHECK(cors_policies_get(policies, "\xff", 1) == NULL);
    CHECK(cors_policies_get(policies, NULL, 0) == NULL);
    CHECK(cors_policies_get(policies, NULL, 4) == NULL);
    CHECK(cors_policies_get(policies, "site", (size_t) -1) == NULL);

    CHECK(cors_policies_get(NULL, "site", 4) == NULL);
    CHECK(cors_policies_count(NULL) == 0);
    CHECK(cors_policies_name(NULL, 0) == NULL);

    return 0;
}


static int
references(void)
{
    cors_decision         decision;
    test_request_t        r;
    const cors_policy    *borrowed;
    const cors_policies  *result;

    CHECK(parse("[policy.a]\nallow_origins = ['" APP "']\n", &result, NULL)
          == CORS_OK);
    CHECK(cors_policies_ref(result) == result);
    cors_policies_unref(result);

    borrowed = cors_policies_get(result, "a", 1);
    test_request(&r, "GET", APP);
    decision.size = sizeof(decision);
    CHECK(cors_decide(borrowed, &r.request, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);

    cors_policies_unref(result);

    CHECK(cors_policies_ref(NULL) == NULL);
    cors_policies_unref(NULL);

    return 0;
}


static int
decide_none(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", NULL);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.size == sizeof(decision));
    CHECK(decision.kind == CORS_KIND_NONE);
    CHECK(decision.outcome == CORS_OUTCOME_NONE);
    CHECK(decision.reason == CORS_REASON_NOT_CORS);
    CHECK(decision.rule == CORS_RULE_NONE);
    CHECK(decision.status == 0);
    CHECK(decision.enforced == 1);
    CHECK(decision.header_count == 0);
    CHECK(decision.vary == CORS_VARY_ORIGIN);
    CHECK(same(decision.vary_value, "Origin"));

    CHECK(decide("public", &r, &decision) == CORS_OK);
    CHECK(decision.header_count == 2);
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_ORIGIN, "*"));
    CHECK(test_value(&decision, CORS_HEADER_TIMING_ALLOW_ORIGIN, "*"));
    CHECK(decision.vary == 0);
    CHECK(decision.vary_value.len == 0);

    return 0;
}


static int
decide_actual(void)
{
    size_t              i;
    cors_decision       decision;
    test_request_t      r;
    const cors_header  *header;

    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_ACTUAL);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);
    CHECK(decision.reason == CORS_REASON_ALLOWED);
    CHECK(decision.rule == 0);
    CHECK(decision.status == 0);
    CHECK(decision.upstream == CORS_UPSTREAM_REPLACE);
    CHECK(decision.header_count == 3);
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_ORIGIN, APP));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_CREDENTIALS, "true"));
    CHECK(test_value(&decision, CORS_HEADER_EXPOSE_HEADERS, "x-request-id"));
    CHECK(decision.vary == CORS_VARY_ORIGIN);

    for (i = 0; i < sizeof(decision.reserved) / sizeof(uint32_t); i++) {
        CHECK(decision.reserved[i] == 0);
    }

    /* The origin of an exact entry is the policy's own. */
    header = test_header(&decision, CORS_HEADER_ALLOW_ORIGIN);
    CHECK(header->source == CORS_SOURCE_FIXED);
    CHECK(header->value.data != r.origin.data);
    CHECK(header->value.data[header->value.len] == '\0');

    /* That of another entry is the request's. */
    test_request(&r, "GET", "https://a.example.net");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.rule == 1);
    header = test_header(&decision, CORS_HEADER_ALLOW_ORIGIN);
    CHECK(header->source == CORS_SOURCE_ORIGIN);
    CHECK(header->value.data == r.origin.data);

    return 0;
}


static int
decide_denied(void)
{
    size_t              i;
    cors_decision       decision;
    test_request_t      r;
    static const char  *origins[] = {
        EVIL, "http://app.example.com", APP ":444", "https://api.example.com",
        "https://example.net", APP "."
    };

    for (i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
        test_request(&r, "GET", origins[i]);
        CHECK(decide("site", &r, &decision) == CORS_OK);
        CHECK(decision.kind == CORS_KIND_ACTUAL);
        CHECK(decision.outcome == CORS_OUTCOME_DENY);
        CHECK(decision.reason == CORS_REASON_ORIGIN_NOT_ALLOWED);
        CHECK(decision.rule == CORS_RULE_NONE);
        CHECK(decision.status == 0);
        CHECK(decision.header_count == 0);
        CHECK(decision.vary == CORS_VARY_ORIGIN);
        CHECK(cors_header_owned(&decision, "access-control-allow-origin", 27));
    }

    test_request(&r, "GET", "null");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_NULL_ORIGIN_NOT_ALLOWED);

    test_request(&r, "GET", APP "/");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_ORIGIN_MALFORMED);

    return 0;
}


static int
decide_preflight(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_preflight(&r, APP, "PUT", "content-type,x-token");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_PREFLIGHT);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);
    CHECK(decision.status == 204);
    CHECK(decision.header_count == 5);
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_ORIGIN, APP));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_CREDENTIALS, "true"));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_METHODS, "PUT, DELETE"));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_HEADERS,
                     "content-type, x-token"));
    CHECK(test_value(&decision, CORS_HEADER_MAX_AGE, "600"));

    CHECK(decide("ok", &r, &decision) == CORS_OK);
    CHECK(decision.status == 200);

    test_preflight(&r, APP, "PATCH", NULL);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);
    CHECK(decision.reason == CORS_REASON_METHOD_NOT_ALLOWED);
    CHECK(decision.status == 204);
    CHECK(decision.rule == 0);

    test_preflight(&r, APP, "P T", NULL);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_METHOD_MALFORMED);

    test_preflight(&r, APP, "PUT", "x-other");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_HEADER_NOT_ALLOWED);

    test_preflight(&r, APP, "PUT", "x other");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_HEADERS_MALFORMED);
    CHECK(test_header(&decision, CORS_HEADER_ALLOW_HEADERS) == NULL);

    test_preflight(&r, EVIL, "PUT", NULL);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_ORIGIN_NOT_ALLOWED);
    CHECK(decision.status == 204);
    CHECK(decision.header_count == 0);

    test_preflight(&r, APP, "GET", NULL);
    CHECK(decide("forward", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);
    CHECK(decision.status == 0);

    return 0;
}


static int
decide_too_large(void)
{
    static char     headers[10000];
    cors_decision   decision;
    test_request_t  r;

    memset(headers, 'a', sizeof(headers) - 1);
    test_preflight(&r, APP, "PUT", headers);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);
    CHECK(decision.reason == CORS_REASON_HEADERS_TOO_LARGE);

    return 0;
}


static int
decide_echo(void)
{
    uint32_t        i, lists;
    cors_decision   decision;
    test_request_t  r;

    test_preflight(&r, APP, "PATCH", "x-a, x-b");
    r.request_headers[1] = str("x-c");
    r.request.request_headers.count = 2;

    CHECK(decide("echo", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_METHODS, "PATCH"));
    CHECK(test_header(&decision, CORS_HEADER_ALLOW_METHODS)->source
          == CORS_SOURCE_METHOD);
    CHECK(decision.vary == (CORS_VARY_ORIGIN | CORS_VARY_REQUEST_METHOD
                            | CORS_VARY_REQUEST_HEADERS));
    CHECK(same(decision.vary_value, "Origin, Access-Control-Request-Method, "
                                    "Access-Control-Request-Headers"));

    /* The lines of the request, one header each. */
    lists = 0;

    for (i = 0; i < decision.header_count; i++) {
        if (decision.headers[i].source == CORS_SOURCE_HEADER_LIST) {
            CHECK(decision.headers[i].id == CORS_HEADER_ALLOW_HEADERS);
            CHECK(decision.headers[i].value.data
                  == r.request_headers[lists].data);
            lists++;
        }
    }

    CHECK(lists == 2);

    return 0;
}


static int
decide_websocket(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", EVIL);
    r.upgrade = str("websocket");
    r.request.upgrade.lines = &r.upgrade;
    r.request.upgrade.count = 1;

    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_WEBSOCKET);
    CHECK(decision.status == 0);

    CHECK(decide("strict", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);
    CHECK(decision.status == 403);

    /* The same over HTTP/2. */
    test_request(&r, "CONNECT", EVIL);
    r.request.protocol = str("websocket");
    CHECK(decide("strict", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_WEBSOCKET);
    CHECK(decision.status == 403);

    return 0;
}


static int
decide_same_origin(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "POST", "https://own.example");
    r.request.scheme = str("https");
    r.request.host = str("Own.Example:443");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_NONE);
    CHECK(decision.reason == CORS_REASON_SAME_ORIGIN);

    r.request.sec_fetch_site = str("cross-site");
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);

    return 0;
}


static int
decide_report(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_preflight(&r, EVIL, "PUT", NULL);
    CHECK(decide("report", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_PREFLIGHT);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);
    CHECK(decision.reason == CORS_REASON_ORIGIN_NOT_ALLOWED);
    CHECK(decision.enforced == 0);
    CHECK(decision.status == 0);
    CHECK(decision.vary == 0);
    CHECK(decision.owned == 0);
    CHECK(decision.header_count == 0);

    return 0;
}


static int
decide_keep(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    CHECK(decide("keep", &r, &decision) == CORS_OK);
    CHECK(decision.upstream == CORS_UPSTREAM_KEEP);

    return 0;
}


/* A decision that closes: all owned headers go, none comes. */

static int
is_closed(const cors_decision *decision)
{
    return decision->outcome != CORS_OUTCOME_ALLOW
           && decision->header_count == 0
           && decision->vary == CORS_VARY_ORIGIN
           && decision->enforced == 1
           && decision->variant == 0
           && decision->upstream == CORS_UPSTREAM_REPLACE
           && cors_header_owned(decision, "Access-Control-Allow-Origin", 27)
           && cors_header_owned(decision, "Access-Control-Allow-Headers", 28)
           && cors_header_owned(decision, "Access-Control-Max-Age", 22);
}


static int
decide_without_policy(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    CHECK(decide("nobody", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);
    CHECK(decision.reason == CORS_REASON_NO_POLICY);
    CHECK(decision.status == 0);
    CHECK(is_closed(&decision));

    test_request(&r, "GET", NULL);
    CHECK(decide("nobody", &r, &decision) == CORS_OK);
    CHECK(is_closed(&decision));

    test_request(&r, "GET", APP);
    r.upgrade = str("websocket");
    r.request.upgrade.lines = &r.upgrade;
    r.request.upgrade.count = 1;
    CHECK(decide("nobody", &r, &decision) == CORS_OK);
    CHECK(decision.status == 403);
    CHECK(is_closed(&decision));

    return 0;
}


static int
decide_null_arguments(void)
{
    cors_decision   decision;
    test_request_t  r;

    memset(&decision, 0xa5, sizeof(decision));
    decision.size = sizeof(decision);
    CHECK(cors_decide(policy("site"), NULL, &decision) == CORS_ERR_ARGUMENT);
    CHECK(is_closed(&decision));

    test_request(&r, "GET", APP);
    CHECK(cors_decide(policy("site"), &r.request, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_decide(NULL, NULL, NULL) == CORS_ERR_ARGUMENT);

    return 0;
}


static int
decide_bad_strings(void)
{
    size_t          i;
    cors_str        bad[2];
    cors_str       *strings[5];
    cors_lines     *lines[5];
    cors_decision   decision;
    test_request_t  r;

    bad[0].data = NULL;
    bad[0].len = 1;
    bad[1].data = "x";
    bad[1].len = (size_t) -1;

    for (i = 0; i < 10; i++) {
        test_request(&r, "GET", APP);

        strings[0] = &r.request.method;
        strings[1] = &r.request.protocol;
        strings[2] = &r.request.scheme;
        strings[3] = &r.request.host;
        strings[4] = &r.request.sec_fetch_site;

        *strings[i % 5] = bad[i / 5];
        CHECK(decide("site", &r, &decision) == CORS_ERR_ARGUMENT);
        CHECK(is_closed(&decision));
    }

    for (i = 0; i < 20; i++) {
        test_request(&r, "GET", APP);

        lines[0] = &r.request.origin;
        lines[1] = &r.request.request_method;
        lines[2] = &r.request.request_headers;
        lines[3] = &r.request.request_private_network;
        lines[4] = &r.request.upgrade;

        lines[i % 5]->count = 1;

        switch (i / 5) {

        case 0:
            lines[i % 5]->lines = NULL;
            break;

        case 1:
            lines[i % 5]->lines = bad;
            lines[i % 5]->count = (size_t) -1;
            break;

        default:
            lines[i % 5]->lines = &bad[i / 5 - 2];
            break;
        }

        CHECK(decide("site", &r, &decision) == CORS_ERR_ARGUMENT);
        CHECK(is_closed(&decision));
    }

    return 0;
}


/* { NULL, 0 } is the empty string, and no lines may be NULL. */

static int
decide_empty_strings(void)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, NULL, NULL);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_NONE);

    /* Absent is not the same as empty. */
    r.origin = str(NULL);
    r.request.origin.lines = &r.origin;
    r.request.origin.count = 1;
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_ACTUAL);
    CHECK(decision.reason == CORS_REASON_ORIGIN_MALFORMED);

    return 0;
}


static int
request_sizes(void)
{
    struct {
        cors_request  known;
        char          tail[16];
    } larger;
    size_t          i;
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    decision.size = sizeof(decision);

    for (i = 0; i < sizeof(cors_request); i++) {
        r.request.size = i;
        CHECK(cors_decide(policy("site"), &r.request, &decision)
              == CORS_ERR_ABI);
        CHECK(is_closed(&decision));
    }

    r.request.size = (size_t) -1;
    CHECK(cors_decide(policy("site"), &r.request, &decision) == CORS_ERR_ABI);
    CHECK(is_closed(&decision));

    memset(&larger, 0, sizeof(larger));
    larger.known = r.request;
    larger.known.size = sizeof(larger);
    CHECK(cors_decide(policy("site"), &larger.known, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);

    for (i = 0; i < sizeof(larger.tail); i++) {
        larger.tail[i] = 1;
        CHECK(cors_decide(policy("site"), &larger.known, &decision)
              == CORS_ERR_ABI);
        CHECK(is_closed(&decision));
        larger.tail[i] = 0;
    }

    /* What is known of a request for a WebSocket is enough to refuse it. */
    r.upgrade = str("websocket");
    larger.known.upgrade.lines = &r.upgrade;
    larger.known.upgrade.count = 1;
    larger.tail[0] = 1;
    CHECK(cors_decide(policy("site"), &larger.known, &decision)
          == CORS_ERR_ABI);
    CHECK(decision.kind == CORS_KIND_WEBSOCKET && decision.status == 403);

    larger.tail[0] = 0;
    larger.known.host.len = (size_t) -1;
    CHECK(cors_decide(policy("site"), &larger.known, &decision)
          == CORS_ERR_ARGUMENT);
    CHECK(decision.kind == CORS_KIND_WEBSOCKET && decision.status == 403);

    return 0;
}


static int
decision_sizes(void)
{
    struct {
        cors_decision  known;
        char           tail[40];
        char           after[8];
    } larger;
    size_t          i;
    cors_decision   decision, before;
    test_request_t  r;

    test_request(&r, "GET", APP);
    memset(&decision, 0x5a, sizeof(decision));

    for (i = 0; i < sizeof(decision); i += 13) {
        decision.size = i;
        before = decision;
        CHECK(cors_decide(policy("site"), &r.request, &decision)
              == CORS_ERR_ABI);
        CHECK(memcmp(&decision, &before, sizeof(decision)) == 0);
    }

    decision.size = (size_t) -1;
    CHECK(cors_decide(policy("site"), &r.request, &decision) == CORS_ERR_ABI);

    memset(&larger, 0x5a, sizeof(larger));
    larger.known.size = sizeof(larger.known) + sizeof(larger.tail);
    CHECK(cors_decide(policy("site"), &r.request, &larger.known) == CORS_OK);
    CHECK(larger.known.size == sizeof(larger.known) + sizeof(larger.tail));
    CHECK(larger.known.outcome == CORS_OUTCOME_ALLOW);

    for (i = 0; i < sizeof(larger.tail); i++) {
        CHECK(larger.tail[i] == 0);
    }

    for (i = 0; i < sizeof(larger.after); i++) {
        CHECK(larger.after[i] == 0x5a);
    }

    return 0;
}


static int
detach(void)
{
    char            origin[] = "https://a.example.net", buffer[64], *copy;
    size_t          needed;
    cors_decision   decision, before;
    test_request_t  r;

    test_request(&r, "GET", origin);
    CHECK(decide("site", &r, &decision) == CORS_OK);

    memset(buffer, 'x', sizeof(buffer));
    before = decision;
    needed = 0;
    CHECK(cors_decision_detach(&decision, buffer, strlen(origin) - 1, &needed)
          == CORS_ERR_BUFFER);
    CHECK(needed == strlen(origin));
    CHECK(memcmp(&decision, &before, sizeof(decision)) == 0);
    CHECK(buffer[0] == 'x');

    CHECK(cors_decision_detach(&decision, NULL, 0, &needed)
          == CORS_ERR_BUFFER);
    CHECK(cors_decision_detach(&decision, NULL, 100, NULL) == CORS_ERR_BUFFER);
    CHECK(memcmp(&decision, &before, sizeof(decision)) == 0);

    copy = malloc(needed);
    CHECK(copy != NULL);
    CHECK(cors_decision_detach(&decision, copy, needed, &needed) == CORS_OK);
    CHECK(needed == strlen(origin));

    /* The request dies. */
    memset(origin, '!', sizeof(origin));
    memset(&r, 0x5a, sizeof(r));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_ORIGIN,
                     "https://a.example.net"));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_CREDENTIALS, "true"));
    free(copy);

    /* A decision that borrows nothing needs no buffer. */
    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(cors_decision_detach(&decision, NULL, 0, &needed) == CORS_OK);
    CHECK(needed == 0);
    CHECK(cors_decision_detach(&decision, NULL, 0, NULL) == CORS_OK);
    CHECK(cors_decision_detach(NULL, buffer, 1, NULL) == CORS_ERR_ARGUMENT);

    return 0;
}


static int
detach_several(void)
{
    char            method[] = "PATCH", first[] = "x-a", second[] = "x-b,x-c";
    char            buffer[64];
    size_t          needed;
    cors_decision   decision;
    test_request_t  r;

    test_preflight(&r, APP, method, first);
    r.request_headers[1] = str(second);
    r.request.request_headers.count = 2;
    CHECK(decide("echo", &r, &decision) == CORS_OK);

    CHECK(cors_decision_detach(&decision, buffer, sizeof(buffer), &needed)
          == CORS_OK);
    CHECK(needed == strlen("PATCH") + strlen("x-a") + strlen("x-b,x-c"));

    memset(method, '!', sizeof(method));
    memset(first, '!', sizeof(first));
    memset(second, '!', sizeof(second));

    CHECK(test_value(&decision, CORS_HEADER_ALLOW_METHODS, "PATCH"));
    CHECK(test_value(&decision, CORS_HEADER_ALLOW_HEADERS, "x-a"));
    CHECK(same(decision.headers[decision.header_count - 1].value, "x-b,x-c"));

    return 0;
}


/* The headers of a decision are those of its list, with the blanks filled in. */

static int
is_variant(const char *name, const cors_decision *decision)
{
    size_t       i, j, count;
    cors_header  list[CORS_HEADERS_MAX];

    CHECK(decision->variant < cors_variant_count(policy(name)));
    CHECK(cors_variant_headers(policy(name), decision->variant, list,
                               CORS_HEADERS_MAX, &count) == CORS_OK);
    CHECK(count <= CORS_HEADERS_MAX);

    for (i = 0, j = 0; i < decision->header_count; i++, j++) {

        if (i > 0 && decision->headers[i].source == CORS_SOURCE_HEADER_LIST
            && decision->headers[i - 1].source == CORS_SOURCE_HEADER_LIST)
        {
            j--;
        }

        CHECK(j < count);
        CHECK(list[j].id == decision->headers[i].id);
        CHECK(list[j].name.data == decision->headers[i].name.data);

        if (list[j].source == CORS_SOURCE_FIXED) {
            CHECK(decision->headers[i].source == CORS_SOURCE_FIXED);
            CHECK(list[j].value.data == decision->headers[i].value.data);
            CHECK(list[j].value.len == decision->headers[i].value.len);

        } else {
            CHECK(list[j].value.len == 0);
            CHECK(decision->headers[i].source == list[j].source
                  || decision->headers[i].source == CORS_SOURCE_FIXED);
        }
    }

    return 0;
}


static int
variants(void)
{
    size_t              i, j, k;
    const char         *name;
    cors_decision       decision;
    test_request_t      r;
    static const char  *origins[] = {
        APP, EVIL, "https://b.example.net", "null", "", NULL
    };
    static const char  *methods[] = { "GET", "PUT", "PATCH", " ", NULL };

    for (i = 0; i < cors_policies_count(policies); i++) {
        name = cors_policies_name(policies, i);
        CHECK(cors_variant_count(policy(name)) >= 1);

        for (j = 0; j < sizeof(origins) / sizeof(origins[0]); j++) {
            test_request(&r, "GET", origins[j]);
            CHECK(decide(name, &r, &decision) == CORS_OK);
            CHECK(is_variant(name, &decision) == 0);

            for (k = 0; methods[k] != NULL; k++) {
                test_preflight(&r, origins[j], methods[k], NULL);
                CHECK(decide(name, &r, &decision) == CORS_OK);
                CHECK(is_variant(name, &decision) == 0);

                test_preflight(&r, origins[j], methods[k], "x-a, X-Token");
                CHECK(decide(name, &r, &decision) == CORS_OK);
                CHECK(is_variant(name, &decision) == 0);
            }
        }
    }

    return 0;
}


static int
variant_arguments(void)
{
    size_t       i, count, total;
    cors_header  list[CORS_HEADERS_MAX], before[CORS_HEADERS_MAX];

    total = cors_variant_count(policy("site"));
    CHECK(cors_variant_count(NULL) == 0);

    /* The first is empty. */
    count = 99;
    CHECK(cors_variant_headers(policy("site"), 0, NULL, 0, &count) == CORS_OK);
    CHECK(count == 0);

    memset(list, 0x5a, sizeof(list));
    memcpy(before, list, sizeof(list));

    for (i = 1; i < total; i++) {
        CHECK(cors_variant_headers(policy("site"), (uint32_t) i, list,
                                   CORS_HEADERS_MAX, &count) == CORS_OK);

        if (count != 0) {
            memcpy(list, before, sizeof(list));
            CHECK(cors_variant_headers(policy("site"), (uint32_t) i, list,
                                       count - 1, &count) == CORS_ERR_BUFFER);
            CHECK(memcmp(list, before, sizeof(list)) == 0);
            CHECK(cors_variant_headers(policy("site"), (uint32_t) i, NULL,
                                       CORS_HEADERS_MAX, NULL)
                  == CORS_ERR_BUFFER);
        }
    }

    CHECK(cors_variant_headers(policy("site"), (uint32_t) total, list,
                               CORS_HEADERS_MAX, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_variant_headers(policy("site"), 0xffffffffu, list,
                               CORS_HEADERS_MAX, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_variant_headers(NULL, 0, list, CORS_HEADERS_MAX, NULL)
          == CORS_ERR_ARGUMENT);

    return 0;
}


/* As snprintf(): whatever the size, the start of the value, a NUL, and the length
 * of the whole. */

static int
merges(const cors_decision *decision, const cors_str *lines, size_t count,
    const char *expected)
{
    char    buffer[256];
    size_t  size, length, limit;

    length = strlen(expected);

    for (size = 0; size <= length + 2; size++) {
        memset(buffer, 'x', sizeof(buffer));
        CHECK(cors_vary_merge(decision, lines, count, buffer, size) == length);

        if (size == 0) {
            CHECK(buffer[0] == 'x');
            continue;
        }

        limit = length < size ? length : size - 1;
        CHECK(memcmp(buffer, expected, limit) == 0);
        CHECK(buffer[limit] == '\0');
        CHECK(buffer[limit + 1] == 'x');
    }

    CHECK(cors_vary_merge(decision, lines, count, NULL, 0) == length);

    for (limit = CORS_VARY_EXTRA, size = 0; size < count; size++) {
        limit += 2 * lines[size].len + 2;
    }

    CHECK(length < limit);

    return 0;
}


static int
vary_merge(void)
{
    cors_str        lines[3];
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(merges(&decision, NULL, 0, "Origin") == 0);

    lines[0] = str("Accept-Language,  origin");
    lines[1] = str(" Accept-Encoding ,, accept-language");
    lines[2] = str(NULL);
    CHECK(merges(&decision, lines, 3,
                 "Accept-Language, origin, Accept-Encoding") == 0);

    lines[0] = str("Accept-Encoding");
    CHECK(merges(&decision, lines, 1, "Accept-Encoding, Origin") == 0);

    lines[0] = str("*");
    CHECK(merges(&decision, lines, 1, "*") == 0);

    /* Without white space the value is longer than the lines. */
    lines[0] = str("A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z,"
                   "AA,AB,AC,AD,AE,AF,AG,AH,AI,AJ,AK,AL,AM,AN,AO,AP,AQ,AR,AS,"
                   "AT,AU,AV,AW,AX,AY,AZ,BA,BB,BC,BD,BE,BF,BG,BH,BI,BJ,BK,BL");
    CHECK(merges(&decision, lines, 1,
                 "A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, "
                 "U, V, W, X, Y, Z, AA, AB, AC, AD, AE, AF, AG, AH, AI, AJ, "
                 "AK, AL, AM, AN, AO, AP, AQ, AR, AS, AT, AU, AV, AW, AX, AY, "
                 "AZ, BA, BB, BC, BD, BE, BF, BG, BH, BI, BJ, BK, BL, Origin")
          == 0);

    test_preflight(&r, APP, "PATCH", "x-a");
    CHECK(decide("echo", &r, &decision) == CORS_OK);
    CHECK(merges(&decision, NULL, 0, "Origin, Access-Control-Request-Method, "
                                     "Access-Control-Request-Headers") == 0);

    test_request(&r, "GET", APP);
    CHECK(decide("public", &r, &decision) == CORS_OK);
    CHECK(merges(&decision, NULL, 0, "") == 0);

    lines[0] = str("Cookie");
    CHECK(merges(NULL, lines, 1, "Cookie") == 0);

    return 0;
}


static int
vary_merge_arguments(void)
{
    char            buffer[16];
    cors_str        lines[1];
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);

    /* Lines that cannot be read are as good as none. */
    CHECK(cors_vary_merge(&decision, NULL, 1, buffer, sizeof(buffer)) == 6);
    CHECK(strcmp(buffer, "Origin") == 0);

    lines[0].data = NULL;
    lines[0].len = 1;
    CHECK(cors_vary_merge(&decision, lines, 1, buffer, sizeof(buffer)) == 6);
    CHECK(cors_vary_merge(&decision, lines, (size_t) -1, buffer,
                          sizeof(buffer)) == 6);

    CHECK(cors_vary_merge(NULL, NULL, 0, buffer, sizeof(buffer)) == 0);
    CHECK(buffer[0] == '\0');

    /* The size of a buffer that is not there does not matter. */
    CHECK(cors_vary_merge(&decision, NULL, 0, NULL, 100) == 6);

    return 0;
}


static int
header_owned(void)
{
    size_t              i;
    cors_decision       decision;
    test_request_t      r;
    static const char  *owned[] = {
        "Access-Control-Allow-Origin", "access-control-allow-credentials",
        "ACCESS-CONTROL-ALLOW-METHODS", "Access-Control-Allow-Headers",
        "Access-Control-Expose-Headers", "Access-Control-Max-Age",
        "Access-Control-Allow-Private-Network"
    };
    static const char  *others[] = {
        "", "Vary", "Access-Control", "Access-Control-Allow-Origin ",
        "Access-Control-Allow-Origins", "Access_Control_Allow_Origin",
        "Access-Control-Request-Method", "Timing-Allow-Origin", "Content-Type"
    };

    test_request(&r, "GET", NULL);
    CHECK(decide("site", &r, &decision) == CORS_OK);

    for (i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        CHECK(strlen(owned[i]) >= CORS_OWNED_MIN);
        CHECK(cors_header_owned(&decision, owned[i], strlen(owned[i])) == 1);
        CHECK((decision.owned >> (i + 1) & 1) == 1);
    }

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK(cors_header_owned(&decision, others[i], strlen(others[i])) == 0);
    }

    /* Where the policy sets it, it is the policy's. */
    CHECK(decide("public", &r, &decision) == CORS_OK);
    CHECK(cors_header_owned(&decision, "Timing-Allow-Origin", 19) == 1);
    CHECK(strlen("Timing-Allow-Origin") >= CORS_OWNED_MIN);

    CHECK(cors_header_owned(&decision, NULL, 0) == 0);
    CHECK(cors_header_owned(&decision, NULL, 4) == 0);
    CHECK(cors_header_owned(&decision, "Vary", (size_t) -1) == 0);
    CHECK(cors_header_owned(NULL, "Access-Control-Allow-Origin", 27) == 0);

    return 0;
}


static int
header_names(void)
{
    uint32_t            i;
    size_t              j;
    char                c;
    cors_decision       decision;
    test_request_t      r;
    const cors_header  *header;

    test_preflight(&r, APP, "PUT", "x-token");
    CHECK(decide("site", &r, &decision) == CORS_OK);

    for (i = 0; i < decision.header_count; i++) {
        header = &decision.headers[i];
        CHECK(header->name.len == header->lower_name.len);
        CHECK(header->name.data[header->name.len] == '\0');
        CHECK(header->lower_name.data[header->name.len] == '\0');
        CHECK(header->value.data[header->value.len] == '\0');

        for (j = 0; j < header->name.len; j++) {
            c = header->name.data[j];

            if (c >= 'A' && c <= 'Z') {
                c = (char) (c + ('a' - 'A'));
            }

            CHECK(header->lower_name.data[j] == c);
        }

        CHECK(cors_header_owned(&decision, header->name.data,
                                header->name.len) == 1);
    }

    header = test_header(&decision, CORS_HEADER_MAX_AGE);
    CHECK(same(header->name, "Access-Control-Max-Age"));

    return 0;
}


static int
explain(void)
{
    char            whole[8192], part[8192];
    size_t          length, size, i;
    test_request_t  r;

    test_preflight(&r, EVIL, "PUT", "x-token");
    length = cors_explain(policy("site"), &r.request, whole, sizeof(whole));
    CHECK(length > 0 && length < sizeof(whole));
    CHECK(strlen(whole) == length);
    CHECK(strstr(whole, EVIL) != NULL);
    CHECK(whole[length - 1] == '\n');

    for (size = 1; size < length + 2; size++) {
        memset(part, 'x', size + 1);
        CHECK(cors_explain(policy("site"), &r.request, part, size) == length);
        CHECK(part[size] == 'x');
        CHECK(strncmp(part, whole, size - 1) == 0);
        CHECK(strlen(part) == (size - 1 < length ? size - 1 : length));
    }

    CHECK(cors_explain(policy("site"), &r.request, NULL, 0) == length);
    CHECK(cors_explain(NULL, &r.request, whole, sizeof(whole)) > 0);

    /* What a client sends cannot write to a terminal. */
    test_request(&r, "G\x1b[2JET\n", "https://\x1b]0;\a\r\n.example");
    length = cors_explain(policy("site"), &r.request, whole, sizeof(whole));
    CHECK(length > 0 && length < sizeof(whole));

    for (i = 0; i < length; i++) {
        CHECK((unsigned char) whole[i] >= 0x20 || whole[i] == '\n');
        CHECK(whole[i] != 0x7f);
    }

    CHECK(cors_explain(policy("site"), NULL, whole, sizeof(whole)) == 0);
    r.request.size = 1;
    CHECK(cors_explain(policy("site"), &r.request, whole, sizeof(whole)) == 0);
    CHECK(whole[0] == '\0');

    return 0;
}


/* Whatever a client sends, nothing comes back that is no header. */

static int
random_requests(void)
{
    char               bytes[4][40];
    size_t             i, j, k;
    uint32_t           state;
    cors_str           lines[4];
    cors_decision      decision;
    cors_request       request;
    const cors_header *header;
    static const char  alphabet[] =
        "https://app.example.com:443*,null \r\n\t\0\x1b\xff\xc3PUTx-";

    state = 1;

    for (i = 0; i < 20000; i++) {
        memset(&request, 0, sizeof(request));
        request.size = sizeof(request);

        for (j = 0; j < 4; j++) {
            for (k = 0; k < sizeof(bytes[j]); k++) {
                state = state * 1664525u + 1013904223u;
                bytes[j][k] = alphabet[(state >> 16) % sizeof(alphabet)];
            }

            lines[j].data = bytes[j];
            lines[j].len = (state >> 8) % (sizeof(bytes[j]) + 1);
        }

        request.method = i % 3 == 0 ? str("OPTIONS") : lines[3];
        request.origin.lines = i % 2 == 0 ? lines : &lines[1];
        request.origin.count = i % 7 == 0 ? 2 : 1;

        if (i % 5 != 0) {
            lines[0] = str(APP);
        }

        request.request_method.lines = &lines[1];
        request.request_method.count = (state >> 4) % 3;
        request.request_headers.lines = &lines[2];
        request.request_headers.count = (state >> 6) % 3;
        request.upgrade.lines = &lines[2];
        request.upgrade.count = (state >> 7) % 2;
        request.host = lines[2];
        request.scheme = lines[3];

        decision.size = sizeof(decision);
        CHECK(cors_decide(policy(cors_policies_name(policies, i % 8)),
                          &request, &decision) == CORS_OK);
        CHECK(decision.header_count <= CORS_HEADERS_MAX);

        for (j = 0; j < decision.header_count; j++) {
            header = &decision.headers[j];

            for (k = 0; k < header->value.len; k++) {
                CHECK(!CRLF_OR_NUL(header->value.data[k]));
            }
        }
    }

    return 0;
}


static void *
work(void *data)
{
    int                   i;
    cors_decision         decision;
    test_request_t        r;
    const cors_policies  *mine;

    (void) data;

    for (i = 0; i < 2000; i++) {
        mine = cors_policies_ref(policies);

        test_request(&r, "GET", i % 2 == 0 ? APP : EVIL);
        decision.size = sizeof(decision);

        if (cors_decide(cors_policies_get(mine, "site", 4), &r.request,
                        &decision) != CORS_OK
            || decision.header_count != (i % 2 == 0 ? 3 : 0))
        {
            return "wrong";
        }

        cors_policies_unref(mine);
    }

    return NULL;
}


static int
threads(void)
{
    int         i, failed;
    void       *result;
    pthread_t   ids[4];

    failed = 0;

    for (i = 0; i < 4; i++) {
        CHECK(pthread_create(&ids[i], NULL, work, NULL) == 0);
    }

    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(ids[i], &result) == 0);
        failed += result != NULL;
    }

    CHECK(failed == 0);

    return 0;
}


/* The last reference is given back by another thread than the one that made the
 * document. */

static void *
give_back(void *data)
{
    cors_policies_unref(data);

    return NULL;
}


static int
last_reference_elsewhere(void)
{
    pthread_t             id;
    const cors_policies  *result;

    CHECK(parse("[policy.a]\nallow_origins = []\n", &result, NULL) == CORS_OK);
    CHECK(pthread_create(&id, NULL, give_back, (void *) result) == 0);
    CHECK(pthread_join(id, NULL) == 0);

    return 0;
}


static int
after_fork(void)
{
    int                   status;
    pid_t                 pid;
    cors_decision         decision;
    test_request_t        r;
    const cors_policies  *result;

    fflush(stdout);
    pid = fork();
    CHECK(pid != -1);

    if (pid == 0) {
        test_request(&r, "GET", APP);

        if (decide("site", &r, &decision) != CORS_OK
            || decision.outcome != CORS_OUTCOME_ALLOW
            || parse("[policy.a]\nallow_origins = []\n", &result, NULL)
               != CORS_OK)
        {
            _exit(1);
        }

        cors_policies_unref(result);
        cors_policies_unref(policies);
        _exit(0);
    }

    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    /* What the child gave back was its own. */
    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);

    return 0;
}


static int
join(void)
{
    int32_t               status;
    cors_str              text;
    uint32_t              level;
    cors_diagnostics     *problems;
    const cors_policy    *found;
    const cors_policies  *a, *b, *again, *joined, *list[3];

    CHECK(parse("[policy.a]\nallow_origins = []\n", &a, NULL) == CORS_OK);
    CHECK(parse("[policy.b]\nallow_origins = []\n\n[policy.c]\n"
                "allow_origins = ['" APP "']\n", &b, NULL) == CORS_OK);
    CHECK(cors_policies_parse("[policy.x]\nallow_origins = []\n"
                              "[policy.c]\nallow_origins = []\n", 60, "again",
                              5, CORS_FORMAT_TOML, &again, NULL)
          == CORS_OK);

    list[0] = a;
    list[1] = b;
    CHECK(cors_policies_join(list, 2, &joined, &problems) == CORS_OK);
    CHECK(problems == NULL);
    CHECK(cors_policies_count(joined) == 3);
    CHECK(strcmp(cors_policies_name(joined, 0), "a") == 0);
    CHECK(strcmp(cors_policies_name(joined, 2), "c") == 0);
    CHECK(cors_policies_name(joined, 3) == NULL);

    /* a policy of a set is that of the file */
    found = cors_policies_get(joined, "c", 1);
    CHECK(found != NULL && found == cors_policies_get(b, "c", 1));

    /* which the set keeps alive */
    cors_policies_unref(a);
    cors_policies_unref(b);
    CHECK(cors_policies_get(joined, "a", 1) != NULL);

    list[0] = joined;
    list[1] = again;
    status = cors_policies_join(list, 2, &a, &problems);
    CHECK(status == CORS_ERR_DOCUMENT);
    CHECK(a == NULL);
    CHECK(cors_diagnostics_count(problems) == 2);
    text = cors_diagnostics_text(problems, 0, &level);
    CHECK(level == CORS_SEVERITY_ERROR);
    CHECK(strcmp(text.data, "again:3:9: E0107: duplicate policy `c`; give each "
                            "policy a name of its own") == 0);
    text = cors_diagnostics_text(problems, 1, &level);
    CHECK(level == CORS_SEVERITY_ERROR);
    CHECK(strcmp(text.data, "test:4:9: note: first defined here") == 0);
    cors_diagnostics_free(problems);

    list[1] = joined;
    CHECK(cors_policies_join(list, 2, &a, NULL) == CORS_ERR_DOCUMENT);

    list[1] = NULL;
    CHECK(cors_policies_join(list, 2, &a, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_join(NULL, 2, &a, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_policies_join(list, 1, NULL, NULL) == CORS_ERR_ARGUMENT);

    CHECK(cors_policies_join(NULL, 0, &a, NULL) == CORS_OK);
    CHECK(cors_policies_count(a) == 0);
    cors_policies_unref(a);

    cors_policies_unref(again);
    cors_policies_unref(joined);

    return 0;
}


static int
open_config(void)
{
    const char           *text;
    cors_diagnostics     *problems;
    const cors_policies  *set;

    text = " \"[policy.a]\\nallow_origins = []\" ";
    CHECK(cors_policies_open(text, strlen(text), "x", 1, &set, &problems)
          == CORS_OK);
    CHECK(cors_policies_get(set, "a", 1) != NULL);
    CHECK(problems == NULL);
    cors_policies_unref(set);

    text = "\nfile: no-such-file.toml\n";
    CHECK(cors_policies_open(text, strlen(text), "x", 1, &set, &problems)
          == CORS_ERR_IO);
    CHECK(set == NULL);
    CHECK(strstr(cors_diagnostics_text(problems, 0, NULL).data,
                 "no-such-file.toml:1:1: E0101") != NULL);
    cors_diagnostics_free(problems);

    CHECK(cors_policies_open(NULL, 0, "x", 1, &set, NULL)
          == CORS_ERR_DOCUMENT);
    CHECK(cors_policies_open(NULL, 1, "x", 1, &set, NULL)
          == CORS_ERR_ARGUMENT);

    return 0;
}


static int
choose(void)
{
    char                  buffer[CORS_UNKNOWN_SIZE], name[200];
    size_t                i, len;
    const cors_policy    *found;
    const cors_policies  *set;

    CHECK(parse("[policy.a]\nallow_origins = []\n[policy.b]\n"
                "allow_origins = []\n", &set, NULL) == CORS_OK);

    CHECK(cors_policies_choose(set, "b", 1, &found) == CORS_CHOICE_POLICY);
    CHECK(found == cors_policies_get(set, "b", 1));
    CHECK(cors_policies_choose(set, "off", 3, &found) == CORS_CHOICE_OFF);
    CHECK(found == NULL);
    CHECK(cors_policies_choose(set, "OFF", 3, &found) == CORS_CHOICE_UNKNOWN);
    CHECK(found == NULL);
    CHECK(cors_policies_choose(set, NULL, 0, &found) == CORS_CHOICE_UNKNOWN);
    CHECK(cors_policies_choose(NULL, "b", 1, &found) == CORS_CHOICE_UNKNOWN);
    CHECK(cors_policies_choose(set, "b", 1, NULL) == CORS_CHOICE_POLICY);

    len = cors_policies_unknown(set, "c\n\"d", 4, buffer, sizeof(buffer));
    CHECK(len == strlen(buffer));
    CHECK(strcmp(buffer, "unknown policy \"c\\n\\\"d\", expected \"a\" or \"b\"")
          == 0);
    CHECK(cors_policies_unknown(set, "c\n\"d", 4, NULL, 0) == len);

    memset(name, 1, sizeof(name));
    len = cors_policies_unknown(policies, name, sizeof(name), buffer,
                                sizeof(buffer));
    CHECK(len == strlen(buffer) && len < sizeof(buffer));
    CHECK(strstr(buffer, "...\"") != NULL);
    CHECK(strstr(buffer, " or \"keep\"") != NULL);

    for (i = 0; i < len; i++) {
        CHECK((unsigned char) buffer[i] >= ' ');
    }

    CHECK(cors_policies_unknown(NULL, "x", 1, buffer, sizeof(buffer)) == 18);
    CHECK(strcmp(buffer, "unknown policy \"x\"") == 0);

    cors_policies_unref(set);

    return 0;
}


static int32_t
add(cors_request_builder *builder, const char *name, const char *value)
{
    return cors_request_builder_add(builder, name, strlen(name), value,
                                    strlen(value));
}


static int
build_request(void)
{
    int                    i;
    cors_field             fields[5];
    cors_decision          decision;
    cors_request_builder   builder;

    memset(&builder, 0xa5, sizeof(builder));
    builder.size = sizeof(builder);
    CHECK(cors_request_builder_init(&builder) == CORS_OK);
    CHECK(builder.request.origin.count == 0);
    CHECK(builder.request.size == sizeof(cors_request));

    fields[0].name = str(":METHOD");
    fields[0].value = str("OPTIONS");
    fields[1].name = str("Cookie");
    fields[1].value = str("a=b");
    fields[2].name = str("ORIGIN");
    fields[2].value = str(APP);
    fields[3].name = str("access-control-request-method");
    fields[3].value = str("GET");
    fields[4].name = str("Sec-Fetch-Site");
    fields[4].value = str("cross-site");
    CHECK(cors_request_builder_add_all(&builder, fields, 5) == CORS_OK);

    CHECK(builder.request.method.len == 7);
    CHECK(builder.request.origin.count == 1);
    CHECK(builder.request.origin.lines[0].len == strlen(APP));
    CHECK(builder.request.sec_fetch_site.len == 10);

    decision.size = sizeof(decision);
    CHECK(cors_decide(policy("site"), &builder.request, &decision) == CORS_OK);
    CHECK(decision.kind == CORS_KIND_PREFLIGHT);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);

    /* several lines of what may be there once */
    CHECK(add(&builder, "sec-fetch-site", "same-origin") == CORS_OK);
    CHECK(builder.request.sec_fetch_site.len == 0);
    CHECK(add(&builder, "host", "a.example") == CORS_OK);
    CHECK(builder.request.host.len == 9);
    CHECK(add(&builder, "host", "b.example") == CORS_OK);
    CHECK(builder.request.host.len == 0);
    CHECK(add(&builder, ":authority", "c.example:81") == CORS_OK);
    CHECK(add(&builder, "host", "d") == CORS_OK);
    CHECK(builder.request.host.len == 12);

    for (i = 0; i < 1000; i++) {
        CHECK(add(&builder, "origin", APP) == CORS_OK);
        CHECK(add(&builder, "access-control-request-headers", "x-a")
              == CORS_OK);
        CHECK(add(&builder, "upgrade", i == 500 ? "websocket" : "h2c")
              == CORS_OK);
    }

    CHECK(builder.request.origin.count == 2);
    CHECK(builder.request.request_headers.count == 129);
    CHECK(builder.request.upgrade.count == 2);
    CHECK(builder.request.upgrade.lines[1].len == strlen("websocket"));

    CHECK(cors_decide(policy("site"), &builder.request, &decision) == CORS_OK);
    CHECK(decision.reason == CORS_REASON_ORIGIN_MALFORMED);

    builder.size = 8;
    CHECK(cors_request_builder_init(&builder) == CORS_ERR_ABI);
    CHECK(cors_request_builder_init(NULL) == CORS_ERR_ARGUMENT);
    CHECK(add(NULL, "origin", "x") == CORS_ERR_ARGUMENT);
    builder.size = sizeof(builder);
    CHECK(cors_request_builder_add_all(&builder, NULL, 1) == CORS_ERR_ARGUMENT);
    CHECK(cors_request_builder_add_all(&builder, NULL, 0) == CORS_OK);

    return 0;
}


static int32_t
line(cors_edits *edits, const char *name, const char *value)
{
    return cors_edits_line(edits, name, strlen(name), value, strlen(value));
}


static int
edit_response(void)
{
    char            buffer[256];
    uint8_t         actions[3];
    cors_field      fields[3];
    cors_edits      edits;
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);

    memset(&edits, 0xa5, sizeof(edits));
    edits.size = sizeof(edits);
    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);
    CHECK(edits.headers == decision.headers);
    CHECK(edits.header_count == decision.header_count);
    CHECK(edits.buffer_size == 0);

    /* no Vary line */
    CHECK(line(&edits, "Content-Type", "text/html") == CORS_LINE_KEEP);
    CHECK(line(&edits, "ACCESS-CONTROL-ALLOW-ORIGIN", "*")
          == CORS_LINE_REMOVE);
    CHECK(line(&edits, "access-control-max-age", "5") == CORS_LINE_REMOVE);
    CHECK(cors_edits_again(&edits) == 0);
    CHECK(edits.removed == ((1u << CORS_HEADER_ALLOW_ORIGIN)
                            | (1u << CORS_HEADER_MAX_AGE)));
    CHECK(cors_edits_finish(&edits, NULL, 0) == CORS_OK);
    CHECK(edits.set_vary == 1);
    CHECK(strcmp(edits.vary.data, "Origin") == 0);

    /* two Vary lines become one */
    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);
    CHECK(line(&edits, "Vary", "Accept") == CORS_LINE_VARY);
    CHECK(line(&edits, "vary", "origin") == CORS_LINE_VARY);
    CHECK(cors_edits_finish(&edits, NULL, 0) == CORS_ERR_BUFFER);
    CHECK(edits.set_vary == 0);
    CHECK(edits.buffer_size <= sizeof(buffer));
    CHECK(cors_edits_finish(&edits, buffer, edits.buffer_size - 1)
          == CORS_ERR_BUFFER);
    CHECK(cors_edits_finish(&edits, buffer, edits.buffer_size) == CORS_OK);
    CHECK(edits.set_vary == 1);
    CHECK(strcmp(edits.vary.data, "Accept, origin") == 0);

    /* one that says it all stays */
    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);
    CHECK(line(&edits, "vary", "Accept, Origin") == CORS_LINE_VARY);
    CHECK(cors_edits_finish(&edits, buffer, sizeof(buffer)) == CORS_OK);
    CHECK(edits.set_vary == 0);

    /* the application's own headers are kept where a policy says so */
    CHECK(decide("keep", &r, &decision) == CORS_OK);
    fields[0].name = str("access-control-max-age");
    fields[0].value = str("1");
    fields[1].name = str("vary");
    fields[1].value = str("A");
    fields[2].name = str("access-control-allow-origin");
    fields[2].value = str("*");
    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);
    CHECK(cors_edits_all(&edits, fields, 3, actions) == CORS_OK);
    CHECK(actions[0] == CORS_LINE_KEEP && actions[2] == CORS_LINE_KEEP);
    CHECK(actions[1] == CORS_LINE_VARY);
    CHECK(edits.header_count == 0 && edits.removed == 0);
    CHECK(cors_edits_finish(&edits, buffer, sizeof(buffer)) == CORS_OK);
    CHECK(strcmp(edits.vary.data, "A, Origin") == 0);

    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);
    CHECK(cors_edits_all(&edits, fields, 2, actions) == CORS_OK);
    CHECK(actions[0] == CORS_LINE_REMOVE);
    CHECK(edits.header_count == decision.header_count);
    CHECK(cors_edits_finish(&edits, buffer, sizeof(buffer)) == CORS_OK);
    CHECK(strcmp(edits.vary.data, "A, Origin") == 0);

    /* report mode changes nothing */
    CHECK(decide("report", &r, &decision) == CORS_OK);
    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);
    CHECK(cors_edits_all(&edits, fields, 3, NULL) == CORS_OK);
    CHECK(edits.removed == 0 && edits.header_count == 0);
    CHECK(cors_edits_finish(&edits, NULL, 0) == CORS_OK);
    CHECK(edits.set_vary == 0);

    CHECK(cors_edits_init(&edits, NULL) == CORS_ERR_ARGUMENT);
    CHECK(cors_edits_init(NULL, &decision) == CORS_ERR_ARGUMENT);
    CHECK(cors_edits_all(NULL, fields, 3, NULL) == CORS_ERR_ARGUMENT);
    CHECK(line(NULL, "vary", "x") == CORS_LINE_KEEP);
    CHECK(cors_edits_again(NULL) == 0);
    CHECK(cors_edits_finish(NULL, NULL, 0) == CORS_ERR_ARGUMENT);
    edits.size = 16;
    CHECK(cors_edits_init(&edits, &decision) == CORS_ERR_ABI);

    return 0;
}


static int
edit_many_vary_lines(void)
{
    int             i;
    char            buffer[4096];
    cors_edits      edits;
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", APP);
    CHECK(decide("site", &r, &decision) == CORS_OK);
    edits.size = sizeof(edits);
    CHECK(cors_edits_init(&edits, &decision) == CORS_OK);

    for (i = 0; i < CORS_VARY_LINES_MAX; i++) {
        CHECK(line(&edits, "vary", "a") == CORS_LINE_VARY);
    }

    CHECK(cors_edits_finish(&edits, buffer, sizeof(buffer)) == CORS_OK);
    CHECK(strcmp(edits.vary.data, "a, Origin") == 0);

    CHECK(line(&edits, "vary", "b") == CORS_LINE_VARY);
    CHECK(cors_edits_finish(&edits, buffer, sizeof(buffer)) == CORS_OK);
    CHECK(strcmp(edits.vary.data, "*") == 0);

    return 0;
}


static int
header_words(void)
{
    uint32_t  i;

    CHECK(strcmp(cors_header_str(CORS_HEADER_MAX_AGE),
                 "access-control-max-age") == 0);

    for (i = 0; i < 40; i++) {
        CHECK((strcmp(cors_header_str(i), "unknown") != 0)
              == (i >= CORS_HEADER_ALLOW_ORIGIN
                  && i <= CORS_HEADER_TIMING_ALLOW_ORIGIN));
    }

    return 0;
}


static int
reason_outcomes(void)
{
    uint32_t  kind, reason, outcome, count;

    count = 0;

    for (kind = 0; kind < 10; kind++) {
        for (reason = 0; reason < 20; reason++) {
            outcome = cors_reason_outcome(kind, reason);

            if (outcome != CORS_OUTCOME_NEVER) {
                CHECK(kind <= CORS_KIND_WEBSOCKET);
                CHECK(strcmp(cors_reason_str(reason), "unknown") != 0);
                CHECK(outcome <= CORS_OUTCOME_DENY);
                count++;
            }
        }
    }

    CHECK(count == 2 + 3 * 6 + 5);
    CHECK(cors_reason_outcome(CORS_KIND_NONE, CORS_REASON_NO_POLICY)
          == CORS_OUTCOME_NONE);
    CHECK(cors_reason_outcome(CORS_KIND_ACTUAL, CORS_REASON_METHOD_NOT_ALLOWED)
          == CORS_OUTCOME_NEVER);

    return 0;
}


static const test_t  tests[] = {
    { "versions", versions },
    { "status words", status_words },
    { "kind words", kind_words },
    { "outcome words", outcome_words },
    { "reason words", reason_words },
    { "parse TOML", parse_toml },
    { "parse JSON", parse_json },
    { "parse after a byte order mark", parse_byte_order_mark },
    { "parse errors", parse_errors },
    { "parse arguments", parse_arguments },
    { "load", load },
    { "load a missing file", load_missing },
    { "load arguments", load_arguments },
    { "diagnostics: fields", diagnostics_fields },
    { "diagnostics: all at once", diagnostics_all_at_once },
    { "diagnostics: warnings", diagnostics_warnings },
    { "diagnostics: no control characters", diagnostics_are_harmless },
    { "diagnostics: sizes", diagnostics_sizes },
    { "names", names },
    { "references", references },
    { "decide: no CORS", decide_none },
    { "decide: actual", decide_actual },
    { "decide: denied", decide_denied },
    { "decide: preflight", decide_preflight },
    { "decide: too large", decide_too_large },
    { "decide: echo", decide_echo },
    { "decide: WebSocket", decide_websocket },
    { "decide: same origin", decide_same_origin },
    { "decide: report", decide_report },
    { "decide: keep", decide_keep },
    { "decide: no policy", decide_without_policy },
    { "decide: NULL", decide_null_arguments },
    { "decide: bad strings", decide_bad_strings },
    { "decide: empty strings", decide_empty_strings },
    { "request sizes", request_sizes },
    { "decision sizes", decision_sizes },
    { "detach", detach },
    { "detach several values", detach_several },
    { "variants", variants },
    { "variants: arguments", variant_arguments },
    { "Vary", vary_merge },
    { "Vary: arguments", vary_merge_arguments },
    { "owned headers", header_owned },
    { "names of headers", header_names },
    { "join", join },
    { "open", open_config },
    { "choose", choose },
    { "build a request", build_request },
    { "edit a response", edit_response },
    { "edit many Vary lines", edit_many_vary_lines },
    { "header words", header_words },
    { "outcomes of reasons", reason_outcomes },
    { "explain", explain },
    { "random requests", random_requests },
    { "threads", threads },
    { "the last reference elsewhere", last_reference_elsewhere },
    { "after fork", after_fork }
};


int
main(int argc, char **argv)
{
    int               result;
    cors_diagnostics *problems;

    if (argc != 2) {
        fprintf(stderr, "usage: api POLICIES.TOML\n");
        return 2;
    }

    path = argv[1];

    if (cors_policies_load(path, strlen(path), CORS_FORMAT_AUTO, &policies,
                           &problems) != CORS_OK)
    {
        fprintf(stderr, "%s cannot be loaded\n", path);
        cors_diagnostics_free(problems);
        return 2;
    }

    result = test_main(tests, sizeof(tests) / sizeof(tests[0]));

    cors_policies_unref(policies);

    return result;
}
