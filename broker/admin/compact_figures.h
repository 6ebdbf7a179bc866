/*  Compact figures: immutable copies of the figures of services, without empty buckets, which snapshots share. A copy
    is made anew only when its figures have changed, so a service that nobody calls costs the next snapshot a sum of
    some counters.

    SPDX-License-Identifier: MPL-2.0

    Cost: a copy takes the broker's thread some 3 µs, and as many bytes as its spreads have buckets in use, times 8.
    Thread-safety: the cache is for the broker's thread; copies may be read and released by any thread.
*/

#ifndef RP_COMPACT_FIGURES_H
#define RP_COMPACT_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

#include "broker/core/figures.h"

/*  A spread without the empty buckets at both ends; rp_compact_expand gives the whole.  */
typedef struct {
    uint64_t sum;
    const uint64_t *counts; /* of `size` buckets */
    uint16_t first;         /* bucket of these */
    uint16_t size;
} rp_compact_spread_t;

/*  Octaves, as Prometheus wants them.  */
typedef struct {
    uint64_t sum;
    uint64_t all;                      /* values */
    uint64_t up_to[RP_OCTAVES_BOUNDS]; /* of those, at most rp_octaves_bounds */
} rp_compact_octaves_t;

/*  The figures of one service, as in rp_figures_t, all of one moment.  */
typedef struct {
    const char *name;
    rp_compact_spread_t queue;
    rp_compact_spread_t work;
    rp_compact_spread_t total;
    rp_compact_octaves_t request_bytes;
    rp_compact_octaves_t reply_bytes;
    uint64_t final[RP_FINAL_COUNT];
    uint64_t workers_lost;
    uint64_t redeliveries;
    uint32_t p50_us; /* of the total time; 0: no request has ended */
    uint32_t p99_us;
    uint64_t version;      /* rp_figures_version */
    atomic_size_t holders; /* snapshots, and the cache */
} rp_compact_figures_t;

/*  The latest copy of each. All zeros is an empty cache.  */
typedef struct {
    rp_compact_figures_t *of[RP_FIGURES_MAX + 1]; /* by index; NULL: none yet */
} rp_compact_cache_t;

void rp_compact_cache_clear (rp_compact_cache_t *self);

/*  Returns a copy of figures as they are now, for rp_compact_release. NULL when out of memory.  */
rp_compact_figures_t *rp_compact_hold (rp_compact_cache_t *self, const rp_figures_t *figures);

/*  NULL is allowed.  */
void rp_compact_release (rp_compact_figures_t *self);

/*  Writes a spread in full.  */
void rp_compact_expand (const rp_compact_spread_t *self, rp_spread_t *spread);

#endif
