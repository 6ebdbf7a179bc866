/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/grow.h"

#include <stdlib.h>
#include <string.h>

#define S_FIRST 64u

void *rp_grown (void *items, size_t *count, size_t index, size_t item_size)
{
    if (index < *count)
        return items;
    size_t larger = *count ? *count * 2 : S_FIRST;
    while (larger <= index)
        larger *= 2;
    char *grown = realloc (items, larger * item_size);
    if (!grown)
        return NULL;
    memset (grown + *count * item_size, 0, (larger - *count) * item_size);
    *count = larger;
    return grown;
}
