/*  A hash table of 64-bit hashes to pointers, for items that hold their keys.

    SPDX-License-Identifier: MPL-2.0

    Items may share a hash: a lookup visits all of them, and the caller compares keys. Open
    addressing with linear probing, at most half full; removing shifts items back, so there are no
    tombstones, and a table with many inserts and removes stays fast.

    Why not uthash: it costs 56 bytes in each item and four times the time (docs/adr/0003).
    Thread-safety: none.
*/

#ifndef RP_TABLE_H
#define RP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t hash;
    void *item; /* NULL: empty */
} rp_table_slot_t;

typedef struct {
    rp_table_slot_t *slots;
    uint32_t count;
    uint32_t mask; /* number of slots - 1; 0 before the first insert */
} rp_table_t;

/*  The position of a lookup.  */
typedef struct {
    uint32_t slot;
} rp_table_cursor_t;

void rp_table_init (rp_table_t *self);
void rp_table_clear (rp_table_t *self);

/*  Makes room so that the next insert cannot fail. False when out of memory.  */
bool rp_table_reserve (rp_table_t *self);

/*  Inserts an item (not NULL). False when out of memory, and nothing changed.  */
bool rp_table_insert (rp_table_t *self, uint64_t hash, void *item);

/*  Removes an item that is in the table under this hash.  */
void rp_table_remove (rp_table_t *self, uint64_t hash, const void *item);

/*  Returns the first item with this hash, then each next one; NULL at the end.  */
void *rp_table_first (const rp_table_t *self, uint64_t hash, rp_table_cursor_t *cursor);
void *rp_table_next (const rp_table_t *self, uint64_t hash, rp_table_cursor_t *cursor);

/*  Hash functions. The seed is secret, so that a peer cannot choose keys that collide.  */
uint64_t rp_hash_bytes (const void *data, size_t size, uint64_t seed);

static inline uint64_t rp_hash_pair (uint64_t one, uint64_t other, uint64_t seed)
{
    uint64_t hash = (one ^ seed) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    hash = (hash ^ other ^ (seed >> 17)) * 0xbf58476d1ce4e5b9u;
    hash ^= hash >> 29;
    hash *= 0x94d049bb133111ebu;
    return hash ^ (hash >> 32);
}

#endif
