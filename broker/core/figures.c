/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/figures.h"

#include <stdlib.h>
#include <string.h>

/*  With fewer requests than this no time counts as slow by the p99, which then is the slowest.  */
#define S_ENOUGH 100u

static void s_name (rp_figures_t *self, uint64_t hash, const char *name, size_t size)
{
    self->slow_us = UINT32_MAX - 1;
    self->hash = hash;
    self->name_size = (uint8_t) size;
    memcpy (self->name, name, size);
}

void rp_figures_init (rp_figures_set_t *self)
{
    rp_table_init (&self->by_name);
    self->other.index = RP_FIGURES_MAX;
    s_name (&self->other, 0, RP_FIGURES_OTHER, sizeof RP_FIGURES_OTHER - 1);
}

void rp_figures_clear (rp_figures_set_t *self)
{
    for (uint32_t index = 0; index < self->count; index++)
        free (self->list[index]);
    self->count = 0;
    rp_table_clear (&self->by_name);
}

rp_figures_t *rp_figures_find (rp_figures_set_t *self, uint64_t hash, const char *name, size_t size)
{
    rp_table_cursor_t cursor;
    rp_figures_t *found = rp_table_first (&self->by_name, hash, &cursor);
    while (found && (found->name_size != size || memcmp (found->name, name, size) != 0))
        found = rp_table_next (&self->by_name, hash, &cursor);
    return found ? found : &self->other;
}

rp_figures_t *rp_figures_get (rp_figures_set_t *self, uint64_t hash, const char *name, size_t size)
{
    rp_figures_t *found = rp_figures_find (self, hash, name, size);
    bool shared = size == self->other.name_size && memcmp (name, self->other.name, size) == 0;
    if (found != &self->other || shared || self->count == RP_FIGURES_MAX)
        return found;
    rp_figures_t *made = calloc (1, sizeof *made);
    if (!made)
        return found;
    s_name (made, hash, name, size);
    if (!rp_table_insert (&self->by_name, hash, made)) {
        free (made);
        return found;
    }
    made->index = (uint16_t) self->count;
    self->list[self->count++] = made;
    return made;
}

uint64_t rp_figures_ended (const rp_figures_t *self)
{
    uint64_t ended = 0;
    for (unsigned status = 0; status < RP_FINAL_COUNT; status++)
        ended += self->final[status];
    return ended;
}

uint64_t rp_figures_version (const rp_figures_t *self)
{
    // A reply of a request that has ended for its client is in no final; one without bytes is in the first octave.
    return rp_figures_ended (self) + self->reply_bytes.sum + self->reply_bytes.counts[0]
           + self->workers_lost + self->redeliveries;
}

static void s_refresh (rp_figures_t *self, uint64_t limit_us)
{
    memcpy (self->older, self->newer, sizeof self->older);
    memcpy (self->newer, self->final, sizeof self->newer);
    uint64_t ended = rp_figures_ended (self);
    if (ended != self->ended && ended >= S_ENOUGH)
        self->p99_us = rp_spread_quantile (&self->total, 99000);
    self->ended = ended;
    uint64_t slow = self->p99_us ? self->p99_us : UINT32_MAX - 1;
    self->slow_us = (uint32_t) (limit_us && limit_us < slow ? limit_us : slow);
}

void rp_figures_refresh (rp_figures_set_t *self, uint64_t limit_us)
{
    for (uint32_t index = 0; index < self->count; index++)
        s_refresh (self->list[index], limit_us);
    s_refresh (&self->other, limit_us);
}
