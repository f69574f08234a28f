/* Compiled apart, as a library is, so that calls are calls. */

#include <stdint.h>
#include <string.h>

#include "floor.h"

static const char  allow_origin[] = "Access-Control-Allow-Origin";
static const char  vary[] = "Vary";
static const char  vary_value[] = "Origin";


void
floor_call(floor_t *floor)
{
    (void) floor;
}


int
floor_compare(floor_t *floor)
{
    return floor->allowed.len == floor->origin.len
           && memcmp(floor->allowed.data, floor->origin.data,
                     floor->origin.len) == 0;
}


void
floor_write(floor_t *floor)
{
    floor->headers[0].name.data = allow_origin;
    floor->headers[0].name.len = sizeof(allow_origin) - 1;
    floor->headers[0].value = floor->allowed;
    floor->headers[1].name.data = vary;
    floor->headers[1].name.len = sizeof(vary) - 1;
    floor->headers[1].value.data = vary_value;
    floor->headers[1].value.len = sizeof(vary_value) - 1;
}


int
floor_both(floor_t *floor)
{
    if (!floor_compare(floor)) {
        return 0;
    }

    floor_write(floor);

    return 1;
}


static uint64_t
word(const char *data)
{
    uint64_t  result;

    memcpy(&result, data, sizeof(result));

    return result;
}


int
floor_words(floor_t *floor)
{
    size_t       i, len;
    uint64_t     differs;
    const char  *a, *b;

    len = floor->origin.len;

    if (len != floor->allowed.len || len < 8) {
        return 0;
    }

    a = floor->allowed.data;
    b = floor->origin.data;
    /* The last word may overlap the one before. */
    differs = word(a + len - 8) ^ word(b + len - 8);

    for (i = 0; i + 8 < len; i += 8) {
        differs |= word(a + i) ^ word(b + i);
    }

    if (differs != 0) {
        return 0;
    }

    floor_write(floor);

    return 1;
}
