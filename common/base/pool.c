/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/pool.h"

#include <stdlib.h>
#include <string.h>

void rp_pool_init (rp_pool_t *self, size_t item_size, uint32_t limit, uint32_t seed)
{
    *self = (rp_pool_t){.item_size = (item_size + 7) & ~(size_t) 7, .limit = limit};
    self->first_generation = seed & ~1u; // even: free
}

void rp_pool_clear (rp_pool_t *self)
{
    for (uint32_t index = 0; index < self->chunk_count; index++)
        free (self->chunks[index]);
    free (self->chunks);
    *self = (rp_pool_t){0};
}

/*  A free item points to the next free one.  */
static rp_pooled_t **s_next (rp_pooled_t *item)
{
    return (rp_pooled_t **) (void *) (item + 1);
}

static int s_grow (rp_pool_t *self)
{
    if ((self->chunk_count & (self->chunk_count - 1)) == 0) { // full at every power of two
        size_t capacity = self->chunk_count ? (size_t) self->chunk_count * 2 : 1;
        char **chunks = realloc (self->chunks, capacity * sizeof *chunks);
        if (!chunks)
            return -1;
        self->chunks = chunks;
    }
    char *chunk = calloc (RP_POOL_CHUNK, self->item_size);
    if (!chunk)
        return -1;
    self->chunks[self->chunk_count] = chunk;
    for (uint32_t index = RP_POOL_CHUNK; index-- > 0;) {
        rp_pooled_t *item = (rp_pooled_t *) (void *) (chunk + (size_t) index * self->item_size);
        item->slot = self->chunk_count * RP_POOL_CHUNK + index;
        item->generation = self->first_generation;
        *s_next (item) = self->free;
        self->free = item;
    }
    self->chunk_count++;
    return 0;
}

void *rp_pool_take (rp_pool_t *self)
{
    if (self->count >= self->limit || (!self->free && s_grow (self) != 0))
        return NULL;
    rp_pooled_t *item = self->free;
    self->free = *s_next (item);
    item->generation++;
    self->count++;
    memset (item + 1, 0, self->item_size - sizeof *item);
    return item;
}

void rp_pool_give (rp_pool_t *self, void *item)
{
    rp_pooled_t *pooled = item;
    pooled->generation++;
    *s_next (pooled) = self->free;
    self->free = pooled;
    self->count--;
}
