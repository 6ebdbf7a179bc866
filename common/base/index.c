/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/index.h"

#include <stdlib.h>
#include <string.h>

/*  Places of the first page, and of a page of full size: powers of two.  */
#define S_FEW 8u
#define S_PLACES 512u

typedef struct {
    uint32_t hash;
    uint32_t number; /* plus 1; 0: empty */
} s_place_t;

struct rp_index_page {
    uint32_t mask; /* number of places - 1 */
    uint32_t count;
    uint8_t depth; /* leading bits that all its hashes share */
    s_place_t places[];
};

void rp_index_init (rp_index_t *self)
{
    *self = (rp_index_t){0};
}

static rp_index_page_t *s_page_new (uint32_t places, unsigned depth)
{
    rp_index_page_t *page = calloc (1, sizeof *page + places * sizeof (s_place_t));
    if (page) {
        page->mask = places - 1;
        page->depth = depth & 255u;
    }
    return page;
}

static size_t s_directory_size (const rp_index_t *self)
{
    return (size_t) 1 << self->depth;
}

/*  Position of a hash's page in a directory of this depth.  */
static size_t s_entry (uint32_t hash, unsigned depth)
{
    return (size_t) (((uint64_t) hash << depth) >> 32);
}

/*  How many entries of the directory, in a row, point to a page.  */
static size_t s_span (const rp_index_t *self, const rp_index_page_t *page)
{
    return (size_t) 1 << (self->depth - page->depth);
}

/*  The page for a hash; NULL in an index that never had an item.  */
static rp_index_page_t *s_page (const rp_index_t *self, uint32_t hash)
{
    return self->depth == 0 ? self->page : self->pages[s_entry (hash, self->depth)];
}

void rp_index_clear (rp_index_t *self)
{
    if (self->depth == 0) {
        free (self->page);
    }
    else {
        for (size_t entry = 0, span; entry < s_directory_size (self); entry += span) {
            span = s_span (self, self->pages[entry]);
            free (self->pages[entry]);
        }
        free (self->pages);
    }
    rp_index_init (self);
}

static void s_put (rp_index_page_t *page, s_place_t item)
{
    uint32_t place = item.hash & page->mask;
    while (page->places[place].number)
        place = (place + 1) & page->mask;
    page->places[place] = item;
    page->count++;
}

static bool s_begin (rp_index_t *self)
{
    self->page = s_page_new (S_FEW, 0);
    self->page_count = self->page ? 1 : 0;
    return self->page;
}

/*  Doubles the places of the only page.  */
static bool s_enlarge (rp_index_t *self)
{
    rp_index_page_t *page = self->page;
    rp_index_page_t *larger = s_page_new (2 * (page->mask + 1), 0);
    if (!larger)
        return false;
    for (uint32_t place = 0; place <= page->mask; place++)
        if (page->places[place].number)
            s_put (larger, page->places[place]);
    free (page);
    self->page = larger;
    return true;
}

/*  False when out of memory, or when many equal hashes, not many items, fill the pages.  */
static bool s_double_directory (rp_index_t *self)
{
    size_t size = s_directory_size (self);
    if (size > self->count)
        return false;
    rp_index_page_t **pages = realloc (self->depth ? self->pages : NULL, 2 * size * sizeof *pages);
    if (!pages)
        return false;
    if (self->depth == 0)
        pages[0] = self->page;
    for (size_t entry = size; entry-- > 0;)
        pages[2 * entry] = pages[2 * entry + 1] = pages[entry];
    self->pages = pages;
    self->depth++;
    return true;
}

/*  Splits the page for a hash in two.  */
static bool s_split (rp_index_t *self, uint32_t hash)
{
    rp_index_page_t *page = s_page (self, hash);
    if (page->depth == self->depth && !s_double_directory (self))
        return false;
    unsigned depth = page->depth + 1u;
    rp_index_page_t *halves[2] = {s_page_new (S_PLACES, depth), s_page_new (S_PLACES, depth)};
    if (!halves[0] || !halves[1]) {
        free (halves[0]);
        free (halves[1]);
        return false;
    }
    size_t span = s_span (self, page);
    size_t first = s_entry (hash, page->depth) * span;
    for (uint32_t place = 0; place < S_PLACES; place++)
        if (page->places[place].number)
            s_put (halves[s_entry (page->places[place].hash, depth) & 1], page->places[place]);
    for (size_t entry = 0; entry < span; entry++)
        self->pages[first + entry] = halves[entry >= span / 2];
    free (page);
    self->page_count++;
    return true;
}

bool rp_index_reserve (rp_index_t *self, uint32_t hash)
{
    if (self->page_count == 0 && !s_begin (self))
        return false;
    for (;;) {
        const rp_index_page_t *page = s_page (self, hash);
        if (page->count < (page->mask + 1) / 4 * 3)
            return true;
        if (!(page->mask + 1 < S_PLACES ? s_enlarge (self) : s_split (self, hash)))
            return false;
    }
}

bool rp_index_insert (rp_index_t *self, uint32_t hash, uint32_t number)
{
    if (!rp_index_reserve (self, hash))
        return false;
    s_put (s_page (self, hash), (s_place_t){hash, number + 1});
    self->count++;
    return true;
}

void rp_index_remove (rp_index_t *self, uint32_t hash, uint32_t number)
{
    rp_index_page_t *page = s_page (self, hash);
    if (!page)
        return;
    s_place_t *places = page->places;
    uint32_t mask = page->mask;
    uint32_t hole = hash & mask;
    while (places[hole].number != number + 1) {
        if (!places[hole].number)
            return;
        hole = (hole + 1) & mask;
    }
    page->count--;
    self->count--;

    // Shift back each item that a lookup would no longer find across the hole.
    for (uint32_t place = (hole + 1) & mask; places[place].number; place = (place + 1) & mask) {
        uint32_t home = places[place].hash & mask;
        if (((place - home) & mask) >= ((place - hole) & mask)) {
            places[hole] = places[place];
            hole = place;
        }
    }
    places[hole] = (s_place_t){0, 0};
}

static uint32_t s_walk (uint32_t hash, rp_index_cursor_t *cursor)
{
    for (;; cursor->place = (cursor->place + 1) & cursor->page->mask) {
        const s_place_t *place = &cursor->page->places[cursor->place];
        if (!place->number || place->hash == hash)
            return place->number - 1; // RP_INDEX_NONE if it is empty
    }
}

uint32_t rp_index_first (const rp_index_t *self, uint32_t hash, rp_index_cursor_t *cursor)
{
    cursor->page = s_page (self, hash);
    if (!cursor->page)
        return RP_INDEX_NONE;
    cursor->place = hash & cursor->page->mask;
    return s_walk (hash, cursor);
}

uint32_t rp_index_next (uint32_t hash, rp_index_cursor_t *cursor)
{
    cursor->place = (cursor->place + 1) & cursor->page->mask;
    return s_walk (hash, cursor);
}
