/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/compact_figures.h"

#include <stdlib.h>
#include <string.h>

/*  Empty buckets are left out by so many.  */
#define S_STEP ((size_t) 8)
_Static_assert(RP_SPREAD_BUCKETS % S_STEP == 0, "a spread is whole steps");

/*  True if S_STEP buckets are empty: a spread has hundreds of them, which one by one take four times as long.  */
static bool s_is_empty (const uint64_t *counts)
{
    uint64_t any = 0;
    for (size_t index = 0; index < S_STEP; index++)
        any |= counts[index];
    return any == 0;
}

/*  Finds the buckets of a spread that are in use. counts: still those of the figures.  */
static rp_compact_spread_t s_look (const rp_spread_t *from)
{
    size_t first = 0;
    size_t end = RP_SPREAD_BUCKETS;
    while (first < end && s_is_empty (from->counts + first))
        first += S_STEP;
    while (end > first && s_is_empty (from->counts + end - S_STEP))
        end -= S_STEP;
    return (rp_compact_spread_t){.sum = from->sum,
      .counts = from->counts + first,
      .first = (uint16_t) first,
      .size = (uint16_t) (end - first)};
}

/*  Copies the counts to *room, which moves behind them.  */
static rp_compact_spread_t s_copy (rp_compact_spread_t spread, uint64_t **room)
{
    memcpy (*room, spread.counts, spread.size * sizeof **room);
    spread.counts = *room;
    *room += spread.size;
    return spread;
}

static rp_compact_octaves_t s_octaves (const rp_octaves_t *from)
{
    rp_compact_octaves_t to = {.sum = from->sum};
    to.all = rp_octaves_cumulate (from, to.up_to);
    return to;
}

/*  NULL when out of memory.  */
static rp_compact_figures_t *s_make (const rp_figures_t *from, uint64_t version)
{
    static const uint32_t shares[] = {50000, 99000};
    uint32_t times[2];
    rp_compact_spread_t queue = s_look (&from->queue);
    rp_compact_spread_t work = s_look (&from->work);
    rp_compact_spread_t total = s_look (&from->total);
    size_t counts = (size_t) queue.size + work.size + total.size;
    rp_compact_figures_t *self =
      malloc (sizeof *self + counts * sizeof (uint64_t) + from->name_size + 1);
    if (!self)
        return NULL;
    uint64_t *room = (uint64_t *) (self + 1);
    *self = (rp_compact_figures_t){.queue = s_copy (queue, &room),
      .work = s_copy (work, &room),
      .total = s_copy (total, &room),
      .request_bytes = s_octaves (&from->request_bytes),
      .reply_bytes = s_octaves (&from->reply_bytes),
      .workers_lost = from->workers_lost,
      .redeliveries = from->redeliveries,
      .version = version};
    self->name = memcpy (room, from->name, (size_t) from->name_size + 1);
    memcpy (self->final, from->final, sizeof self->final);
    rp_spread_quantiles_part (self->total.counts, total.first, total.size, shares, times, 2);
    self->p50_us = times[0];
    self->p99_us = times[1];
    atomic_init (&self->holders, 1);
    return self;
}

void rp_compact_release (rp_compact_figures_t *self)
{
    if (self && atomic_fetch_sub (&self->holders, 1) == 1)
        free (self);
}

rp_compact_figures_t *rp_compact_hold (rp_compact_cache_t *self, const rp_figures_t *figures)
{
    rp_compact_figures_t **kept = &self->of[figures->index];
    uint64_t version = rp_figures_version (figures);
    if (!*kept || (*kept)->version != version) {
        rp_compact_figures_t *fresh = s_make (figures, version);
        if (!fresh)
            return NULL;
        rp_compact_release (*kept);
        *kept = fresh;
    }
    atomic_fetch_add (&(*kept)->holders, 1);
    return *kept;
}

void rp_compact_cache_clear (rp_compact_cache_t *self)
{
    for (size_t index = 0; index <= RP_FIGURES_MAX; index++) {
        rp_compact_release (self->of[index]);
        self->of[index] = NULL;
    }
}

void rp_compact_expand (const rp_compact_spread_t *self, rp_spread_t *spread)
{
    *spread = (rp_spread_t){.sum = self->sum};
    if (self->size > 0)
        memcpy (spread->counts + self->first, self->counts, self->size * sizeof *spread->counts);
}
