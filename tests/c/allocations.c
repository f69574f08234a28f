/*
 * Deciding allocates nothing: the functions of the C library that do are counted
 * here. (They are those of glibc; its own are called by other names.)
 *
 *     allocations POLICIES.TOML
 */

#include <errno.h>

#include "test.h"

static unsigned long         allocations;
static const cors_policies  *policies;

extern void  *__libc_malloc(size_t size);
extern void  *__libc_calloc(size_t count, size_t size);
extern void  *__libc_realloc(void *data, size_t size);
extern void  *__libc_memalign(size_t alignment, size_t size);

int           posix_memalign(void **data, size_t alignment, size_t size);
void         *aligned_alloc(size_t alignment, size_t size);


void *
malloc(size_t size)
{
    allocations++;

    return __libc_malloc(size);
}


void *
calloc(size_t count, size_t size)
{
    allocations++;

    return __libc_calloc(count, size);
}


void *
realloc(void *data, size_t size)
{
    allocations++;

    return __libc_realloc(data, size);
}


int
posix_memalign(void **data, size_t alignment, size_t size)
{
    allocations++;
    *data = __libc_memalign(alignment, size);

    return *data == NULL ? ENOMEM : 0;
}


void *
aligned_alloc(size_t alignment, size_t size)
{
    allocations++;

    return __libc_memalign(alignment, size);
}


static int
counting(void)
{
    unsigned long         before;
    const cors_policies  *result;

    before = allocations;
    CHECK(cors_policies_parse("[policy.a]\nallow_origins = []\n", 29, "a", 1,
                              CORS_FORMAT_AUTO, &result, NULL) == CORS_OK);
    CHECK(allocations > before);
    cors_policies_unref(result);

    return 0;
}


/* 100,000 decisions of all kinds, carried out as a host does. */

static int
deciding(void)
{
    int                   i;
    char                  buffer[512];
    size_t                count;
    cors_str              vary;
    cors_header           headers[CORS_HEADERS_MAX];
    unsigned long         before;
    cors_decision         decision;
    test_request_t        requests[6];
    const cors_policy    *policy;

    test_request(&requests[0], "GET", NULL);
    test_request(&requests[1], "GET", "https://app.example.com");
    test_request(&requests[2], "GET", "https://a.b.c.example.net");
    test_request(&requests[3], "GET", "https://evil.example");
    test_preflight(&requests[4], "https://app.example.com", "PATCH",
                   "x-a, x-b, authorization, content-type");
    test_preflight(&requests[5], "https://app.example.com", "BAD METHOD",
                   "x a");

    vary = str("Accept-Encoding, Cookie");
    before = allocations;

    for (i = 0; i < 100000; i++) {
        policy = cors_policies_get(policies, i % 2 == 0 ? "site" : "echo", 4);
        decision.size = sizeof(decision);

        CHECK(cors_decide(policy, &requests[i % 6].request, &decision)
              == CORS_OK);
        CHECK(cors_variant_headers(policy, decision.variant, headers,
                                   CORS_HEADERS_MAX, &count) == CORS_OK);
        CHECK(cors_decision_detach(&decision, buffer, sizeof(buffer), NULL)
              == CORS_OK);
        CHECK(cors_vary_merge(&decision, &vary, 1, buffer, sizeof(buffer)) != 0);
        CHECK(cors_header_owned(&decision, "Access-Control-Max-Age", 22));
        CHECK(cors_reason_str(decision.reason)[0] != '\0');
    }

    CHECK(allocations == before);

    return 0;
}


static const test_t  tests[] = {
    { "allocations are counted", counting },
    { "decisions do not allocate", deciding }
};


int
main(int argc, char **argv)
{
    int  result;

    if (argc != 2
        || cors_policies_load(argv[1], strlen(argv[1]), CORS_FORMAT_AUTO,
                              &policies, NULL) != CORS_OK)
    {
        fprintf(stderr, "usage: allocations POLICIES.TOML\n");
        return 2;
    }

    result = test_main(tests, sizeof(tests) / sizeof(tests[0]));

    cors_policies_unref(policies);

    return result;
}
