/*
 * The library can be loaded and unloaded any number of times, and nothing stays
 * behind. It is opened by its name: this program is not linked to it.
 *
 *     unload LIBCORS.SO POLICIES.TOML
 */

#include <dlfcn.h>
#include <unistd.h>

#include "test.h"

static const char  *library;
static const char  *path;


/* ISO C has no conversion from an object pointer to a function pointer. */

#define RESOLVE(function, name)                                             \
    do {                                                                    \
        symbol = dlsym(handle, name);                                       \
        CHECK(symbol != NULL);                                              \
        memcpy(&function, &symbol, sizeof(symbol));                         \
    } while (0)


static int
use(void)
{
    void                 *handle, *symbol;
    cors_decision         decision;
    test_request_t        r;
    const cors_policies  *policies;

    uint32_t            (*abi_version)(void);
    int32_t             (*load)(const char *, size_t, uint32_t,
                                const cors_policies **, cors_diagnostics **);
    const cors_policy  *(*get)(const cors_policies *, const char *, size_t);
    int32_t             (*decide)(const cors_policy *, const cors_request *,
                                  cors_decision *);
    void                (*unref)(const cors_policies *);

    handle = dlopen(library, RTLD_NOW);

    if (handle == NULL) {
        printf("%s\n", dlerror());
        return 1;
    }

    RESOLVE(abi_version, "cors_abi_version");
    RESOLVE(load, "cors_policies_load");
    RESOLVE(get, "cors_policies_get");
    RESOLVE(decide, "cors_decide");
    RESOLVE(unref, "cors_policies_unref");

    CHECK(abi_version() == CORS_ABI_VERSION);
    CHECK(load(path, strlen(path), CORS_FORMAT_AUTO, &policies, NULL)
          == CORS_OK);

    test_request(&r, "GET", "https://app.example.com");
    decision.size = sizeof(decision);
    CHECK(decide(get(policies, "site", 4), &r.request, &decision) == CORS_OK);
    CHECK(decision.outcome == CORS_OUTCOME_ALLOW);

    /* A library that was built to do so panics here, and else does not. */
    test_request(&r, "GET", "https://panic.example");
    (void) decide(get(policies, "site", 4), &r.request, &decision);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);

    unref(policies);

    CHECK(dlclose(handle) == 0);
    CHECK(dlopen(library, RTLD_NOW | RTLD_NOLOAD) == NULL);

    return 0;
}


/* The memory of the process, in pages. */

static long
pages(void)
{
    long   total;
    FILE  *file;

    total = -1;
    file = fopen("/proc/self/statm", "r");

    if (file != NULL) {
        if (fscanf(file, "%ld", &total) != 1) {
            total = -1;
        }

        fclose(file);
    }

    return total;
}


static int
unload(void)
{
    int   i;
    long  before;

    for (i = 0; i < 20; i++) {
        CHECK(use() == 0);
    }

    before = pages();
    CHECK(before != -1);

    for (i = 0; i < 200; i++) {
        CHECK(use() == 0);
    }

    /* What the allocator keeps settles; a page for each time would not. */
    CHECK(pages() < before + 100);

    return 0;
}


static const test_t  tests[] = {
    { "load and unload 200 times", unload }
};


int
main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: unload LIBCORS.SO POLICIES.TOML\n");
        return 2;
    }

    library = argv[1];
    path = argv[2];

    return test_main(tests, sizeof(tests) / sizeof(tests[0]));
}
