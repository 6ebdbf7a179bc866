/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/table.h"

#include <stdlib.h>
#include <string.h>

#define S_FIRST_SLOTS 64u

void rp_table_init (rp_table_t *self)
{
    *self = (rp_table_t){0};
}

void rp_table_clear (rp_table_t *self)
{
    free (self->slots);
    rp_table_init (self);
}

static void s_put (rp_table_slot_t *slots, uint32_t mask, uint64_t hash, void *item)
{
    uint32_t slot = (uint32_t) hash & mask;
    while (slots[slot].item)
        slot = (slot + 1) & mask;
    slots[slot] = (rp_table_slot_t){hash, item};
}

bool rp_table_reserve (rp_table_t *self)
{
    if (self->mask && self->count < (self->mask + 1) / 2)
        return true;
    uint32_t size = self->mask ? (self->mask + 1) * 2 : S_FIRST_SLOTS;
    if (size == 0)
        return false;
    rp_table_slot_t *slots = calloc (size, sizeof *slots);
    if (!slots)
        return false;
    if (self->mask)
        for (uint32_t slot = 0; slot <= self->mask; slot++)
            if (self->slots[slot].item)
                s_put (slots, size - 1, self->slots[slot].hash, self->slots[slot].item);
    free (self->slots);
    self->slots = slots;
    self->mask = size - 1;
    return true;
}

bool rp_table_insert (rp_table_t *self, uint64_t hash, void *item)
{
    bool has_room = self->mask && self->count < (self->mask + 1) / 2; // most often saves a call
    if (!has_room && !rp_table_reserve (self))
        return false;
    s_put (self->slots, self->mask, hash, item);
    self->count++;
    return true;
}

void rp_table_remove (rp_table_t *self, uint64_t hash, const void *item)
{
    if (!self->mask)
        return;
    uint32_t hole = (uint32_t) hash & self->mask;
    while (self->slots[hole].item != item) {
        if (!self->slots[hole].item)
            return;
        hole = (hole + 1) & self->mask;
    }
    self->count--;

    // Shift back each item that a lookup would no longer find across the hole.
    for (uint32_t slot = (hole + 1) & self->mask; self->slots[slot].item;
         slot = (slot + 1) & self->mask) {
        uint32_t home = (uint32_t) self->slots[slot].hash & self->mask;
        if (((slot - home) & self->mask) >= ((slot - hole) & self->mask)) {
            self->slots[hole] = self->slots[slot];
            hole = slot;
        }
    }
    self->slots[hole] = (rp_table_slot_t){0, NULL};
}

static void *s_walk (const rp_table_t *self, uint64_t hash, rp_table_cursor_t *cursor)
{
    for (;; cursor->slot = (cursor->slot + 1) & self->mask) {
        const rp_table_slot_t *slot = &self->slots[cursor->slot];
        if (!slot->item || slot->hash == hash)
            return slot->item;
    }
}

void *rp_table_first (const rp_table_t *self, uint64_t hash, rp_table_cursor_t *cursor)
{
    if (!self->mask)
        return NULL;
    cursor->slot = (uint32_t) hash & self->mask;
    return s_walk (self, hash, cursor);
}

void *rp_table_next (const rp_table_t *self, uint64_t hash, rp_table_cursor_t *cursor)
{
    cursor->slot = (cursor->slot + 1) & self->mask;
    return s_walk (self, hash, cursor);
}

/*  Mixes eight bytes at a time; names are short.  */
uint64_t rp_hash_bytes (const void *data, size_t size, uint64_t seed)
{
    const unsigned char *at = data;
    uint64_t hash = seed ^ size;
    while (size > 0) {
        uint64_t word = 0;
        size_t step = size < sizeof word ? size : sizeof word;
        memcpy (&word, at, step);
        hash = rp_hash_pair (word, hash, seed);
        at += step;
        size -= step;
    }
    return hash;
}
