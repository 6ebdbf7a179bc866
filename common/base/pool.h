/*  A pool of equal items with stable addresses, small numbers and generations.

    SPDX-License-Identifier: MPL-2.0

    Memory grows in chunks, and is freed with the pool. An item's number (slot) is dense, so it can
    index arrays elsewhere. Slot and generation together (a handle) name one use of an item: a
    handle that is kept too long finds nothing instead of the slot's next item.

    Cost: take and give O(1); only a new chunk needs an allocation.
    Thread-safety: none.
*/

#ifndef RP_POOL_H
#define RP_POOL_H

#include <stddef.h>
#include <stdint.h>

#define RP_POOL_CHUNK 256u

/*  The first member of every pooled item. While an item is free, the pool uses the eight bytes
    behind this member.  */
typedef struct {
    uint32_t slot;
    uint32_t generation; /* odd while taken, even while free */
} rp_pooled_t;

typedef struct {
    rp_pooled_t *free;
    char **chunks;
    size_t item_size;
    uint32_t chunk_count;
    uint32_t count; /* taken items */
    uint32_t limit; /* most items taken at once */
    uint32_t first_generation;
} rp_pool_t;

/*  item_size: at least 16 bytes. seed makes generations differ from those of an earlier run of the
    process.  */
void rp_pool_init (rp_pool_t *self, size_t item_size, uint32_t limit, uint32_t seed);
void rp_pool_clear (rp_pool_t *self);

/*  Takes an item, zero behind its rp_pooled_t. NULL at the limit or when out of memory.  */
void *rp_pool_take (rp_pool_t *self);

/*  Gives an item back.  */
void rp_pool_give (rp_pool_t *self, void *item);

/*  Gives an item that stays taken a new generation: its earlier handles find nothing.  */
static inline void rp_pool_renew (rp_pooled_t *item)
{
    item->generation += 2;
}

static inline uint64_t rp_pool_handle (const rp_pooled_t *item)
{
    return ((uint64_t) item->generation << 32) | item->slot;
}

/*  The item in a slot, taken or not; NULL when there is no such slot.  */
static inline void *rp_pool_at (const rp_pool_t *self, uint32_t slot)
{
    uint32_t chunk = slot / RP_POOL_CHUNK;
    if (chunk >= self->chunk_count)
        return NULL;
    return self->chunks[chunk] + (size_t) (slot % RP_POOL_CHUNK) * self->item_size;
}

/*  The item that a handle names; NULL when the item was given back or renewed since.  */
static inline void *rp_pool_find (const rp_pool_t *self, uint64_t handle)
{
    rp_pooled_t *item = rp_pool_at (self, (uint32_t) handle);
    return item && item->generation == (uint32_t) (handle >> 32) && (item->generation & 1) ? item
                                                                                           : NULL;
}

/*  The number of slots, taken or not: a walk over all items calls rp_pool_at for each slot below
    it.  */
static inline uint32_t rp_pool_slots (const rp_pool_t *self)
{
    return self->chunk_count * RP_POOL_CHUNK;
}

#endif
