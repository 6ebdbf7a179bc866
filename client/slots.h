/*  Slots: finds an open request by its id, without a hash.

    SPDX-License-Identifier: MPL-2.0

    An id has a slot number in its low bits and a serial number above them. So the id of a reply
    leads straight to its slot, and an id that is too late or unknown finds a slot that is empty or
    has another id. The serial counts every id ever made, so no id is made twice, and none is 0.

    Thread-safety: none.
*/

#ifndef RP_SLOTS_H
#define RP_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_SLOT_BITS 20u
#define RP_SLOTS_MAX (1u << RP_SLOT_BITS)

typedef struct {
    void **items;    /* by slot; NULL: free */
    uint32_t *spare; /* stack of free slots: the last used is used again first */
    uint32_t spare_count;
    uint32_t capacity;
    uint64_t serial;
} rp_slots_t;

void rp_slots_clear (rp_slots_t *self);

/*  Makes room, when no slot is free. False when out of memory, or all RP_SLOTS_MAX are taken.  */
bool rp_slots_grow (rp_slots_t *self);

/*  Makes sure that the next take succeeds. False as rp_slots_grow.  */
static inline bool rp_slots_reserve (rp_slots_t *self)
{
    return self->spare_count || rp_slots_grow (self);
}

/*  Puts an item (not NULL) into a free slot, after rp_slots_reserve. Returns its id.  */
uint64_t rp_slots_take (rp_slots_t *self, void *item);

/*  Returns a new id for the item with this id. All ids of an item lead to its slot, so give takes
    any of them.  */
uint64_t rp_slots_renew (rp_slots_t *self, uint64_t id);

/*  Frees the slot of this id.  */
static inline void rp_slots_give (rp_slots_t *self, uint64_t id)
{
    uint32_t slot = (uint32_t) id & (RP_SLOTS_MAX - 1);
    self->items[slot] = NULL;
    self->spare[self->spare_count++] = slot;
}

/*  Returns the item in the slot of this id, or NULL. The caller checks that the id is the item's
    own.  */
static inline void *rp_slots_at (const rp_slots_t *self, uint64_t id)
{
    uint32_t slot = (uint32_t) id & (RP_SLOTS_MAX - 1);
    return slot < self->capacity ? self->items[slot] : NULL;
}

#endif
