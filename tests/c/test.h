/*
 * What the C tests share. A test is a function that returns 0 if it passed;
 * main() has a table of them, and prints a line for each.
 */

#ifndef TEST_H
#define TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cors.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);  \
            return 1;                                                       \
        }                                                                   \
    } while (0)

typedef struct {
    const char  *name;
    int        (*run)(void);
} test_t;

/* A request, with room for what tests put into it. */
typedef struct {
    cors_request  request;
    cors_str      origin;
    cors_str      request_method;
    cors_str      request_headers[2];
    cors_str      upgrade;
} test_request_t;


static cors_str
str(const char *text)
{
    cors_str  result;

    result.data = text;
    result.len = text == NULL ? 0 : strlen(text);

    return result;
}


static int
same(cors_str string, const char *text)
{
    return string.len == strlen(text)
           && memcmp(string.data, text, string.len) == 0;
}


/* A request with a method and an origin; NULL is a request without Origin. */

static void
test_request(test_request_t *r, const char *method, const char *origin)
{
    memset(r, 0, sizeof(*r));
    r->request.size = sizeof(r->request);
    r->request.method = str(method);

    if (origin != NULL) {
        r->origin = str(origin);
        r->request.origin.lines = &r->origin;
        r->request.origin.count = 1;
    }
}


/* A preflight; without headers it asks for none. */

static void
test_preflight(test_request_t *r, const char *origin, const char *method,
    const char *headers)
{
    test_request(r, "OPTIONS", origin);

    r->request_method = str(method);
    r->request.request_method.lines = &r->request_method;
    r->request.request_method.count = 1;

    if (headers != NULL) {
        r->request_headers[0] = str(headers);
        r->request.request_headers.lines = r->request_headers;
        r->request.request_headers.count = 1;
    }
}


/* The header of a decision with an id, or NULL. */

static const cors_header *
test_header(const cors_decision *decision, uint32_t id)
{
    uint32_t  i;

    for (i = 0; i < decision->header_count; i++) {
        if (decision->headers[i].id == id) {
            return &decision->headers[i];
        }
    }

    return NULL;
}


static int
test_value(const cors_decision *decision, uint32_t id, const char *value)
{
    const cors_header  *header;

    header = test_header(decision, id);

    return header != NULL && same(header->value, value);
}


static int
test_main(const test_t *tests, size_t count)
{
    size_t  i, failed;

    failed = 0;

    for (i = 0; i < count; i++) {
        if (tests[i].run() == 0) {
            printf("ok      %s\n", tests[i].name);

        } else {
            printf("FAILED  %s\n", tests[i].name);
            failed++;
        }
    }

    printf("%lu tests, %lu failed\n", (unsigned long) count,
           (unsigned long) failed);

    return failed == 0 ? 0 : 1;
}

#endif /* TEST_H */
