/*
 * The least that an answer to W1 takes: to compare the bytes of an origin, and
 * to write the names and values of two headers as pointers and lengths.
 */

#ifndef FLOOR_H
#define FLOOR_H

#include <cors.h>

typedef struct {
    cors_str  name;
    cors_str  value;
} floor_header_t;

typedef struct {
    cors_str        allowed;
    cors_str        origin;
    floor_header_t  headers[2];
} floor_t;

/* Nothing: what a call costs. */
void floor_call(floor_t *floor);
/* memcmp() alone. */
int floor_compare(floor_t *floor);
/* The pointers alone. */
void floor_write(floor_t *floor);
/* Both. */
int floor_both(floor_t *floor);
/* Both, comparing by words instead of calling memcmp(). */
int floor_words(floor_t *floor);

#endif /* FLOOR_H */
