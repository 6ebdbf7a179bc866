/*  A hash table of 32-bit hashes to small numbers, which grows page by page.

    SPDX-License-Identifier: MPL-2.0

    For whoever has very many items and knows them by number (common/base/pool.h): it takes 8 bytes
    a place, and no insert moves more than one page. Numbers may share a hash: a lookup walks over
    all with the same one, and the caller compares keys.

    Extendible hashing: the first bits of a hash choose a page, by a directory in which a page may
    stand several times. A page that is three quarters full is split in two by the next bit; when it
    stands in only one place, the directory is doubled first (8 bytes a page). Within a page, open
    addressing with linear probing; removing shifts back, as in common/base/table.h, which is for
    few items known by address. An index begins with one small page, which is doubled until it has
    the size of all.

    Cost: 11 to 22 bytes an item, some 90 at least, nothing while it has never had one. Pages are
    given back with the index. Thread-safety: none.
*/

#ifndef RP_INDEX_H
#define RP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  No number.  */
#define RP_INDEX_NONE UINT32_MAX

typedef struct rp_index_page rp_index_page_t;

typedef struct {
    union {
        rp_index_page_t *page;   /* depth 0; NULL before the first insert */
        rp_index_page_t **pages; /* otherwise: 2 to the power of depth */
    };
    size_t page_count;
    uint32_t count;
    uint8_t depth;
} rp_index_t;

/*  Where a lookup stands.  */
typedef struct {
    const rp_index_page_t *page;
    uint32_t place;
} rp_index_cursor_t;

void rp_index_init (rp_index_t *self);
void rp_index_clear (rp_index_t *self);

/*  Makes room so that the next insert with this hash cannot fail. False when out of memory, or when
    more than a page's worth of items share a hash.  */
bool rp_index_reserve (rp_index_t *self, uint32_t hash);

/*  Inserts a number below RP_INDEX_NONE. False as rp_index_reserve, and nothing changed.  */
bool rp_index_insert (rp_index_t *self, uint32_t hash, uint32_t number);

/*  Removes a number that is in the index under this hash.  */
void rp_index_remove (rp_index_t *self, uint32_t hash, uint32_t number);

/*  The first number with this hash, or RP_INDEX_NONE; then the next, or RP_INDEX_NONE.  */
uint32_t rp_index_first (const rp_index_t *self, uint32_t hash, rp_index_cursor_t *cursor);
uint32_t rp_index_next (uint32_t hash, rp_index_cursor_t *cursor);

#endif
