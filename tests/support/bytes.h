/*  A fuzzer's bytes as a source of choices, and the report of a fault.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef BYTES_H
#define BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const uint8_t *at;
    size_t left;
} bytes_t;

/*  Returns a number below `below`, which is at most 256; 0 when the bytes are used up.  */
static inline unsigned bytes_draw (bytes_t *self, unsigned below)
{
    if (self->left == 0)
        return 0;
    self->left--;
    return *self->at++ % below;
}

static inline void bytes_require (int condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "broken: %s\n", what);
    abort ();
}

#endif
