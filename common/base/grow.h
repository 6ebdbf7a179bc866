/*  Grows an array so that an index lies inside it.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_GROW_H
#define RP_GROW_H

#include <stddef.h>

/*  Grows an array until index lies inside; new items are zero. *count is the number of items; an
    empty array is NULL. Returns the array, which may have moved, for free (); NULL when out of
    memory, and nothing changed.  */
void *rp_grown (void *items, size_t *count, size_t index, size_t item_size);

#endif
