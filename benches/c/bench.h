/* What the C programs of the benches share. */

#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cors.h>

/* The compiler must take it that all memory has changed. */
#define BARRIER(pointer)  __asm__ volatile("" : : "g" (pointer) : "memory")


static void
fail(const char *what, const char *name)
{
    fprintf(stderr, "error: %s %s\n", what, name);
    exit(1);
}


/* A whole file, with a NUL behind it. */

static char *
read_file(const char *path)
{
    FILE   *file;
    long    size;
    char   *text;

    file = fopen(path, "rb");

    if (file == NULL || fseek(file, 0, SEEK_END) != 0
        || (size = ftell(file)) < 0)
    {
        fail("cannot read", path);
        return NULL;
    }

    rewind(file);
    text = malloc((size_t) size + 1);

    if (text == NULL || fread(text, 1, (size_t) size, file) != (size_t) size) {
        fail("cannot read", path);
        return NULL;
    }

    text[size] = '\0';
    fclose(file);

    return text;
}


/* Nanoseconds since some time. */

static double
now(void)
{
    struct timespec  time;

    clock_gettime(CLOCK_MONOTONIC, &time);

    return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

#endif /* BENCH_H */
