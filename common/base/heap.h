/*  A binary min-heap of intrusive nodes: deadlines by time, workers by room.

    SPDX-License-Identifier: MPL-2.0

    An item embeds a node; RP_CONTAINER recovers the item. Push and remove cost O(log n), first
    O(1). Equal keys come out in any order. The heap owns its array of entries, not the items.
    Thread-safety: none.
*/

#ifndef RP_HEAP_H
#define RP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_HEAP_NOWHERE UINT32_MAX

/*  Recovers the item that embeds a node or list link as the given member.  */
#define RP_CONTAINER(pointer, type, member)                                                        \
    ((type *) (void *) ((char *) (pointer) -offsetof (type, member)))

typedef struct {
    uint32_t position;
} rp_heap_node_t;

typedef struct {
    uint64_t key;
    rp_heap_node_t *node;
} rp_heap_entry_t;

typedef struct {
    rp_heap_entry_t *entries;
    uint32_t count;
    uint32_t capacity;
} rp_heap_t;

void rp_heap_init (rp_heap_t *self);

/*  Frees the entries; the items are the caller's.  */
void rp_heap_clear (rp_heap_t *self);

/*  Makes room for this many items in all. False when out of memory.  */
bool rp_heap_reserve (rp_heap_t *self, uint32_t capacity);

/*  Adds an item that is not in a heap. False when out of memory, and nothing changed.  */
bool rp_heap_push (rp_heap_t *self, rp_heap_node_t *node, uint64_t key);

/*  Takes an item out; does nothing if it is in no heap.  */
void rp_heap_remove (rp_heap_t *self, rp_heap_node_t *node);

/*  Gives an item that is in the heap a new key.  */
void rp_heap_update (rp_heap_t *self, rp_heap_node_t *node, uint64_t key);

static inline void rp_heap_node_init (rp_heap_node_t *node)
{
    node->position = RP_HEAP_NOWHERE;
}

static inline bool rp_heap_has (const rp_heap_node_t *node)
{
    return node->position != RP_HEAP_NOWHERE;
}

/*  Returns the item with the smallest key, and the key in *key (may be NULL); NULL when empty.  */
static inline rp_heap_node_t *rp_heap_first (const rp_heap_t *self, uint64_t *key)
{
    if (self->count == 0)
        return NULL;
    if (key)
        *key = self->entries[0].key;
    return self->entries[0].node;
}

/*  Returns the item with the second smallest key; NULL when there are fewer than two.  */
static inline rp_heap_node_t *rp_heap_second (const rp_heap_t *self)
{
    if (self->count < 2)
        return NULL;
    if (self->count == 2 || self->entries[1].key <= self->entries[2].key)
        return self->entries[1].node;
    return self->entries[2].node;
}

#endif
