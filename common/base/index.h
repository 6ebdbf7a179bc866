/*  A hash table of 32-bit hashes to small numbers, which grows page by page.

    SPDX-License-Identifier: MPL-2.0

    It is for very many items that are known by number (common/base/pool.h): a place takes 8 bytes,
    and no insert moves more than one page. Numbers may share a hash: a lookup visits all of them,
    and the caller compares keys.

    Extendible hashing: the first bits of a hash choose an entry of the directory, which points to a
    page; several entries may point to one page. A page that is three quarters full is split in two
    by the next bit; if a single entry points to it, the directory is doubled first (8 bytes an
    entry). Within a page, open addressing with linear probing; removing shifts items back, as in
    common/base/table.h, which is for few items known by address. The first page is small, and is
    doubled until it has the size of all others.

    Cost: 11 to 22 bytes for each item, but some 90 with the first; nothing before that. The memory
    of pages is freed with the index. Thread-safety: none.
*/

#ifndef RP_INDEX_H
#define RP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Stands for "no number".  */
#define RP_INDEX_NONE UINT32_MAX

typedef struct rp_index_page rp_index_page_t;

typedef struct {
    union {
        rp_index_page_t *page;   /* at depth 0; NULL before the first insert */
        rp_index_page_t **pages; /* at any other depth: 2 to the power of depth entries */
    };
    size_t page_count;
    uint32_t count;
    uint8_t depth;
} rp_index_t;

/*  The position of a lookup.  */
typedef struct {
    const rp_index_page_t *page;
    uint32_t place;
} rp_index_cursor_t;

void rp_index_init (rp_index_t *self);
void rp_index_clear (rp_index_t *self);

/*  Makes room so that the next insert with this hash cannot fail. False when out of memory, or when
    more items share a hash than a page has places.  */
bool rp_index_reserve (rp_index_t *self, uint32_t hash);

/*  Inserts a number below RP_INDEX_NONE. False as rp_index_reserve, and nothing changed.  */
bool rp_index_insert (rp_index_t *self, uint32_t hash, uint32_t number);

/*  Removes a number that is in the index under this hash.  */
void rp_index_remove (rp_index_t *self, uint32_t hash, uint32_t number);

/*  Returns the first number with this hash, then each next one; RP_INDEX_NONE at the end.  */
uint32_t rp_index_first (const rp_index_t *self, uint32_t hash, rp_index_cursor_t *cursor);
uint32_t rp_index_next (uint32_t hash, rp_index_cursor_t *cursor);

#endif
