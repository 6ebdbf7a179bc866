/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/slots.h"

#include <stdlib.h>

#define S_FIRST_CAPACITY 64u

void rp_slots_clear (rp_slots_t *self)
{
    free (self->items);
    free (self->spare);
    *self = (rp_slots_t){0};
}

bool rp_slots_grow (rp_slots_t *self)
{
    if (self->capacity == RP_SLOTS_MAX)
        return false;
    uint32_t capacity = self->capacity ? self->capacity * 2 : S_FIRST_CAPACITY;
    void **items = realloc (self->items, capacity * sizeof *items);
    if (!items)
        return false;
    self->items = items;
    uint32_t *spare = realloc (self->spare, capacity * sizeof *spare);
    if (!spare)
        return false;
    self->spare = spare;
    for (uint32_t slot = capacity; slot-- > self->capacity;) {
        self->items[slot] = NULL;
        self->spare[self->spare_count++] = slot;
    }
    self->capacity = capacity;
    return true;
}

uint64_t rp_slots_take (rp_slots_t *self, void *item)
{
    uint32_t slot = self->spare[--self->spare_count];
    self->items[slot] = item;
    return rp_slots_renew (self, slot);
}

uint64_t rp_slots_renew (rp_slots_t *self, uint64_t id)
{
    return ++self->serial << RP_SLOT_BITS | (id & (RP_SLOTS_MAX - 1));
}
