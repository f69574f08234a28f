/*
 * A bug in the library does not end the process. Linked to a library that was
 * built with the feature test-panic, which panics for one origin.
 *
 *     panic POLICIES.TOML
 */

#include "test.h"

static const cors_policies  *policies;


static int
panics(const cors_policy *policy, uint32_t status, int upgrade)
{
    cors_decision   decision;
    test_request_t  r;

    test_request(&r, "GET", "https://panic.example");

    if (upgrade) {
        r.upgrade = str("websocket");
        r.request.upgrade.lines = &r.upgrade;
        r.request.upgrade.count = 1;
    }

    memset(&decision, 0xa5, sizeof(decision));
    decision.size = sizeof(decision);
    CHECK(cors_decide(policy, &r.request, &decision) == CORS_ERR_INTERNAL);
    CHECK(decision.outcome == CORS_OUTCOME_DENY);
    CHECK(decision.reason == CORS_REASON_NO_POLICY);
    CHECK(decision.status == status);
    CHECK(decision.enforced == 1);
    CHECK(decision.header_count == 0);
    CHECK(decision.vary == CORS_VARY_ORIGIN);
    CHECK(cors_header_owned(&decision, "Access-Control-Allow-Origin", 27));

    return 0;
}


static int
closes(void)
{
    return panics(cors_policies_get(policies, "public", 6), 0, 0);
}


static int
closes_a_websocket(void)
{
    return panics(cors_policies_get(policies, "public", 6), 403, 1);
}


static int
closes_without_policy(void)
{
    return panics(NULL, 0, 0);
}


static int
goes_on(void)
{
    int             i;
    cors_decision   decision;
    test_request_t  r;

    for (i = 0; i < 20; i++) {
        CHECK(closes() == 0);

        test_request(&r, "GET", "https://app.example.com");
        decision.size = sizeof(decision);
        CHECK(cors_decide(cors_policies_get(policies, "site", 4), &r.request,
                          &decision) == CORS_OK);
        CHECK(decision.outcome == CORS_OUTCOME_ALLOW);
    }

    return 0;
}


static const test_t  tests[] = {
    { "a panic closes", closes },
    { "a panic closes a WebSocket", closes_a_websocket },
    { "a panic closes without a policy", closes_without_policy },
    { "after panics all goes on", goes_on }
};


int
main(int argc, char **argv)
{
    int  result;

    if (argc != 2
        || cors_policies_load(argv[1], strlen(argv[1]), CORS_FORMAT_AUTO,
                              &policies, NULL) != CORS_OK)
    {
        fprintf(stderr, "usage: panic POLICIES.TOML\n");
        return 2;
    }

    result = test_main(tests, sizeof(tests) / sizeof(tests[0]));

    cors_policies_unref(policies);

    return result;
}
