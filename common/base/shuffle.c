/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/shuffle.h"

#include "common/base/check.h"

static void s_swap (unsigned char *one, unsigned char *other, size_t size)
{
    for (size_t index = 0; index < size; index++) {
        unsigned char byte = one[index];
        one[index] = other[index];
        other[index] = byte;
    }
}

void rp_shuffle (void *items, size_t count, size_t size, uint64_t random)
{
    RP_CHECK (count <= RP_SHUFFLE_MAX);
    unsigned char *first = items;
    for (size_t left = count; left > 1; left--) {
        s_swap (first + (left - 1) * size, first + random % left * size, size);
        random /= left;
    }
}
