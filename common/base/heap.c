/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/heap.h"

#include <stdlib.h>

void rp_heap_init (rp_heap_t *self)
{
    *self = (rp_heap_t){0};
}

void rp_heap_clear (rp_heap_t *self)
{
    free (self->entries);
    rp_heap_init (self);
}

bool rp_heap_reserve (rp_heap_t *self, uint32_t capacity)
{
    if (capacity <= self->capacity)
        return true;
    rp_heap_entry_t *entries = realloc (self->entries, (size_t) capacity * sizeof *entries);
    if (!entries)
        return false;
    self->entries = entries;
    self->capacity = capacity;
    return true;
}

static void s_place (rp_heap_t *self, uint32_t position, rp_heap_entry_t entry)
{
    self->entries[position] = entry;
    entry.node->position = position;
}

static void s_up (rp_heap_t *self, uint32_t position, rp_heap_entry_t entry)
{
    while (position > 0) {
        uint32_t parent = (position - 1) / 2;
        if (self->entries[parent].key <= entry.key)
            break;
        s_place (self, position, self->entries[parent]);
        position = parent;
    }
    s_place (self, position, entry);
}

static void s_down (rp_heap_t *self, uint32_t position, rp_heap_entry_t entry)
{
    for (;;) {
        uint32_t child = position * 2 + 1;
        if (child >= self->count)
            break;
        if (child + 1 < self->count && self->entries[child + 1].key < self->entries[child].key)
            child++;
        if (entry.key <= self->entries[child].key)
            break;
        s_place (self, position, self->entries[child]);
        position = child;
    }
    s_place (self, position, entry);
}

static void s_settle (rp_heap_t *self, uint32_t position, rp_heap_entry_t entry)
{
    if (position > 0 && self->entries[(position - 1) / 2].key > entry.key)
        s_up (self, position, entry);
    else
        s_down (self, position, entry);
}

bool rp_heap_push (rp_heap_t *self, rp_heap_node_t *node, uint64_t key)
{
    if (self->count == self->capacity
        && !rp_heap_reserve (self, self->capacity ? self->capacity * 2 : 64))
        return false;
    s_up (self, self->count++, (rp_heap_entry_t){key, node});
    return true;
}

void rp_heap_remove (rp_heap_t *self, rp_heap_node_t *node)
{
    if (!rp_heap_has (node))
        return;
    uint32_t position = node->position;
    rp_heap_node_init (node);
    rp_heap_entry_t last = self->entries[--self->count];
    if (position != self->count)
        s_settle (self, position, last);
}

void rp_heap_update (rp_heap_t *self, rp_heap_node_t *node, uint64_t key)
{
    if (self->entries[node->position].key != key)
        s_settle (self, node->position, (rp_heap_entry_t){key, node});
}
