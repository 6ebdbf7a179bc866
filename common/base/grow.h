/*  Arrays that grow with the index that is asked for.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_GROW_H
#define RP_GROW_H

#include <stddef.h>

/*  Grows an array of items that are zero when new, so that index is inside; *count is how many it
    has, 0 and NULL at first. Returns the array, which may have moved, for free (); NULL when out of
    memory, and nothing changed.  */
void *rp_grown (void *items, size_t *count, size_t index, size_t item_size);

#endif
