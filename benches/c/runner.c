/*
 * The C ABI, and the floor, as a runner: benches/src/runner.rs says how one is
 * spoken to.
 *
 *     runner WORKLOADS
 *     runner WORKLOADS count CONTENDER WORKLOAD TIMES
 *
 * WORKLOADS is a folder that `cargo bench-libcors` writes: for each workload a
 * policy in NAME.toml, and a request in NAME.request; and in "all" their names.
 */

#include "bench.h"
#include "floor.h"

#define MAX_WORKLOADS  64

typedef struct {
    char                  id[64];
    char                 *text;
    cors_str              origin;
    cors_str              request_method;
    cors_str              request_headers;
    cors_request          request;
    const cors_policies  *policies;
    const cors_policy    *policy;
    floor_t               floor;
} workload_t;

typedef struct {
    const char  *name;
    void       (*run)(workload_t *workload, unsigned long times);
} contender_t;

static const char    *folder;
static size_t         loaded;
static workload_t     workloads[MAX_WORKLOADS];
static cors_decision  decision;

void measured(const contender_t *contender, workload_t *workload,
    unsigned long times);


static void
decide(workload_t *workload, unsigned long times)
{
    unsigned long  i;

    decision.size = sizeof(decision);

    for (i = 0; i < times; i++) {
        BARRIER(workload);
        cors_decide(workload->policy, &workload->request, &decision);
        BARRIER(&decision);
    }
}


static void
loop(workload_t *workload, unsigned long times)
{
    unsigned long  i;

    for (i = 0; i < times; i++) {
        BARRIER(workload);
        BARRIER(&decision);
    }
}


#define FLOOR(function)                                                      \
    static void                                                              \
    run_ ## function(workload_t *workload, unsigned long times)              \
    {                                                                        \
        unsigned long  i;                                                    \
                                                                             \
        for (i = 0; i < times; i++) {                                        \
            BARRIER(workload);                                               \
            function(&workload->floor);                                      \
            BARRIER(&decision);                                              \
        }                                                                    \
    }

FLOOR(floor_call)
FLOOR(floor_compare)
FLOOR(floor_write)
FLOOR(floor_both)
FLOOR(floor_words)

/* The first is ours; the others are for w1 alone. */
static const contender_t  contenders[] = {
    { CONTENDER, decide },
    { "loop", loop },
    { "floor-call", run_floor_call },
    { "floor-compare", run_floor_compare },
    { "floor-write", run_floor_write },
    { "floor", run_floor_both },
    { "floor-words", run_floor_words }
};

#define CONTENDERS  (sizeof(contenders) / sizeof(contenders[0]))


/* What callgrind collects. */

__attribute__((noinline)) void
measured(const contender_t *contender, workload_t *workload,
    unsigned long times)
{
    contender->run(workload, times);
}


static char *
read_workload(const char *id, const char *ending)
{
    char  path[4096];

    if (snprintf(path, sizeof(path), "%s/%s%s", folder, id, ending)
        >= (int) sizeof(path))
    {
        fail("too long:", folder);
    }

    return read_file(path);
}


static void
set_line(workload_t *workload, char *name, char *value)
{
    cors_str    *line;
    cors_lines  *lines;

    if (strcmp(name, "Origin") == 0) {
        line = &workload->origin;
        lines = &workload->request.origin;

    } else if (strcmp(name, "Access-Control-Request-Method") == 0) {
        line = &workload->request_method;
        lines = &workload->request.request_method;

    } else if (strcmp(name, "Access-Control-Request-Headers") == 0) {
        line = &workload->request_headers;
        lines = &workload->request.request_headers;

    } else {
        fail("cannot set", name);
        return;
    }

    line->data = value;
    line->len = strlen(value);
    lines->lines = line;
    lines->count = 1;
}


static workload_t *
load(const char *id)
{
    char        *document, *next, *colon, *line;
    size_t       i;
    int32_t      status;
    workload_t  *workload;

    for (i = 0; i < loaded; i++) {
        if (strcmp(workloads[i].id, id) == 0) {
            return &workloads[i];
        }
    }

    if (loaded == MAX_WORKLOADS || strlen(id) >= sizeof(workload->id)) {
        fail("no room for", id);
    }

    workload = &workloads[loaded++];
    strcpy(workload->id, id);

    document = read_workload(id, ".toml");
    status = cors_policies_parse(document, strlen(document), id, strlen(id),
                                 CORS_FORMAT_TOML, &workload->policies, NULL);
    free(document);

    if (status != CORS_OK) {
        fail(cors_status_str(status), id);
    }

    workload->policy = cors_policies_get(workload->policies, "bench", 5);
    workload->text = read_workload(id, ".request");
    workload->request.size = sizeof(workload->request);

    next = strchr(workload->text, '\n');
    workload->request.method.data = workload->text;
    workload->request.method.len = (size_t) (next - workload->text);

    while (next[1] != '\0') {
        line = next + 1;
        next = strchr(line, '\n');
        *next = '\0';
        colon = strchr(line, ':');
        *colon = '\0';
        set_line(workload, line, colon + 2);
    }

    /* The only origin of w1 is the one that is asked for. */
    workload->floor.origin = workload->origin;
    workload->floor.allowed.len = workload->origin.len;
    document = malloc(workload->origin.len + 1);

    if (document == NULL) {
        fail("no memory for", id);
        return NULL;
    }

    if (workload->origin.len != 0) {
        memcpy(document, workload->origin.data, workload->origin.len);
    }

    workload->floor.allowed.data = document;

    return workload;
}


static const contender_t *
find(const char *name)
{
    size_t  i;

    for (i = 0; i < CONTENDERS; i++) {
        if (strcmp(contenders[i].name, name) == 0) {
            return &contenders[i];
        }
    }

    fail("no contender", name);

    return NULL;
}


/* Runs one workload, or all. */

static void
count(const contender_t *contender, const char *id, unsigned long times)
{
    char  *text, *name;

    if (strcmp(id, "all") != 0) {
        measured(contender, load(id), times);
        return;
    }

    text = read_workload("all", "");

    for (name = strtok(text, "\n"); name != NULL; name = strtok(NULL, "\n")) {
        measured(contender, load(name), times);
    }

    free(text);
}


static void
answer(const contender_t *contender, workload_t *workload)
{
    uint32_t        i;
    cors_header    *header;
    const floor_t  *floor;

    if (contender->run == decide) {
        decide(workload, 1);
        printf("%u\n", decision.status == 0 ? 200u
                                            : (unsigned) decision.status);

        for (i = 0; i < decision.header_count; i++) {
            header = &decision.headers[i];
            printf("%s: %.*s\n", header->name.data, (int) header->value.len,
                   header->value.data);
        }

        if (decision.vary != 0) {
            printf("Vary: %s\n", decision.vary_value.data);
        }

        printf("\n");
        return;
    }

    if (strcmp(workload->id, "w1") != 0) {
        printf("none\n");
        return;
    }

    /* So that what "floor" writes is checked as well. */
    memset(workload->floor.headers, 0, sizeof(workload->floor.headers));
    contender->run(workload, 1);
    floor = &workload->floor;
    printf("200\n");

    for (i = 0; i < 2; i++) {
        if (floor->headers[i].name.data != NULL) {
            printf("%s: %.*s\n", floor->headers[i].name.data,
                   (int) floor->headers[i].value.len,
                   floor->headers[i].value.data);
        }
    }

    printf("\n");
}


static double
batch(const contender_t *contender, workload_t *workload, unsigned long times)
{
    double  start;

    start = now();
    measured(contender, workload, times);

    return now() - start;
}


static void
time_batches(const contender_t *contender, workload_t *workload,
    unsigned long batches, double length)
{
    double         took;
    unsigned long  i, times;

    /* As many as fill a batch; finding that out warms up. */
    for (times = 1; ; times *= 2) {
        took = batch(contender, workload, times);

        if (took * 2 >= length) {
            break;
        }
    }

    times = (unsigned long) ((double) times * length / took);

    if (times == 0) {
        times = 1;
    }

    for (i = 0; i < batches; i++) {
        printf("%s%.3f", i == 0 ? "" : " ",
               batch(contender, workload, times) / (double) times);
    }

    printf("\n");
}


int
main(int argc, char **argv)
{
    char           line[512], command[64], contender[64], id[64];
    int            words;
    size_t         i;
    double         length;
    unsigned long  batches;

    if (argc == 6 && strcmp(argv[2], "count") == 0) {
        folder = argv[1];
        count(find(argv[3]), argv[4], strtoul(argv[5], NULL, 10));
        return 0;
    }

    if (argc != 2) {
        fail("usage: runner WORKLOADS", "[count CONTENDER WORKLOAD TIMES]");
    }

    folder = argv[1];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        words = sscanf(line, "%63s %63s %63s %lu %lf", command, contender, id,
                       &batches, &length);

        if (words == 1 && strcmp(command, "contenders") == 0) {
            for (i = 0; i < CONTENDERS; i++) {
                printf("%s%s", i == 0 ? "" : " ", contenders[i].name);
            }

            printf("\n");

        } else if (words == 3 && strcmp(command, "answer") == 0) {
            answer(find(contender), load(id));

        } else if (words == 5 && strcmp(command, "time") == 0) {
            time_batches(find(contender), load(id), batches, length);

        } else {
            fail("cannot do", line);
        }

        fflush(stdout);
    }

    return 0;
}
