/*
 * How cost grows with a document.
 *
 *     growth DOCUMENT ORIGINS [fixed|random|touched TIMES]
 *
 * The document has policies of ORIGINS origins each,
 * "https://shop-00000.example.org" and so on. Printed are, on one line: the
 * milliseconds of compiling it, the bytes that it keeps allocated, and the
 * nanoseconds of finding the policy in the middle by its name, of deciding about
 * the origin in the middle over and over, about all origins in random order, and
 * about one that is not listed.
 *
 * With the last two arguments it decides so many times, for callgrind, which
 * collects in the function measured() alone; "touched" only reads the origins in
 * random order, as any server has before it decides.
 */

#include <malloc.h>
#include <stdint.h>

#include "bench.h"

/* "https://shop-" , up to seven digits, ".example.org", and a NUL. */
#define ORIGIN_SIZE  40
/* So many decisions are in a batch. */
#define BATCH        4000
#define BATCHES      200

static const cors_policy    *policy;
static const cors_policies  *policies;
static cors_decision         decision;
static char                (*origins)[ORIGIN_SIZE];
static int                   touch;

void measured(const uint32_t *order, size_t times);


static size_t
allocated(void)
{
    struct mallinfo2  info;

    info = mallinfo2();

    return info.uordblks + info.hblkhd;
}


/* Decides about origins by their numbers. */

__attribute__((noinline)) void
measured(const uint32_t *order, size_t times)
{
    size_t        i;
    cors_str      origin;
    cors_request  request;

    memset(&request, 0, sizeof(request));
    request.size = sizeof(request);
    request.method.data = "GET";
    request.method.len = 3;
    request.origin.lines = &origin;
    request.origin.count = 1;
    decision.size = sizeof(decision);

    for (i = 0; i < times; i++) {
        origin.data = origins[order[i]];
        /* All are of one length, so that no request is read before. */
        origin.len = strlen(origins[0]);

        if (touch) {
            BARRIER(origin.data[0] + origin.data[origin.len - 1]);
            continue;
        }

        cors_decide(policy, &request, &decision);
        BARRIER(&decision);
    }
}


static int
compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


static double
median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);

    return values[count / 2];
}


/* Nanoseconds per decision; each batch goes on where the last one ended. */

static double
time_order(const uint32_t *order, size_t count, uint32_t wanted)
{
    size_t         i, at;
    double         start;
    static double  samples[BATCHES];

    at = 0;

    for (i = 0; i < BATCHES; i++) {
        if (at + BATCH > count) {
            at = 0;
        }

        start = now();
        measured(order + at, BATCH);
        samples[i] = (now() - start) / BATCH;
        at += BATCH;

        if (decision.outcome != wanted) {
            fail("wrong:", cors_outcome_str(decision.outcome));
        }
    }

    return median(samples, BATCHES);
}


static double
time_name(void)
{
    size_t         i, j, len;
    double         start;
    const char    *name;
    static double  samples[BATCHES];

    name = cors_policies_name(policies, cors_policies_count(policies) / 2);
    len = strlen(name);

    for (i = 0; i < BATCHES; i++) {
        start = now();

        for (j = 0; j < BATCH; j++) {
            BARRIER(name);
            policy = cors_policies_get(policies, name, len);
            BARRIER(&policy);
        }

        samples[i] = (now() - start) / BATCH;
    }

    return median(samples, BATCHES);
}


int
main(int argc, char **argv)
{
    char      *document;
    size_t     i, count, before, bytes, length;
    double     start, compiled, named;
    uint32_t   swap, *order, *fixed, *missing;
    uint64_t   random;

    if (argc != 3 && argc != 5) {
        fail("usage: growth", "DOCUMENT ORIGINS [fixed|random|touched TIMES]");
    }

    document = read_file(argv[1]);
    count = strtoul(argv[2], NULL, 10);
    /* Whole batches, which go round if there are fewer origins. */
    length = count < BATCH ? BATCH : count / BATCH * BATCH;

    before = allocated();
    start = now();

    if (cors_policies_parse(document, strlen(document), "growth", 6,
                            CORS_FORMAT_TOML, &policies, NULL) != CORS_OK)
    {
        fail("cannot compile", argv[1]);
    }

    compiled = (now() - start) / 1e6;
    bytes = allocated() - before;

    origins = malloc((count + 1) * sizeof(*origins));
    order = malloc(length * sizeof(*order));
    fixed = malloc(length * sizeof(*fixed));
    missing = malloc(length * sizeof(*missing));

    if (origins == NULL || order == NULL || fixed == NULL || missing == NULL) {
        fail("no memory for", argv[1]);
        return 1;
    }

    /* The last one is not listed. */
    for (i = 0; i <= count; i++) {
        snprintf(origins[i], ORIGIN_SIZE, "https://shop-%07lu.example.org",
                 (unsigned long) i);
    }

    random = 88172645463325252;

    for (i = 0; i < length; i++) {
        order[i] = (uint32_t) (i % count);
        fixed[i] = (uint32_t) (count / 2);
        missing[i] = (uint32_t) count;
    }

    for (i = length - 1; i > 0; i--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        swap = order[i];
        order[i] = order[random % (i + 1)];
        order[random % (i + 1)] = swap;
    }

    named = time_name();

    if (argc == 5) {
        length = strtoul(argv[4], NULL, 10);
        touch = strcmp(argv[3], "touched") == 0;
        measured(strcmp(argv[3], "fixed") == 0 ? fixed : order, length);
        return 0;
    }

    printf("%.3f %lu %.2f %.2f %.2f %.2f\n", compiled, (unsigned long) bytes,
           named, time_order(fixed, length, CORS_OUTCOME_ALLOW),
           time_order(order, length, CORS_OUTCOME_ALLOW),
           time_order(missing, length, CORS_OUTCOME_DENY));

    cors_policies_unref(policies);

    return 0;
}
