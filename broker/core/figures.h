/*  Figures: what the broker counts for each service, for people and for monitoring. They outlive the
    service itself, so one that goes and comes again goes on counting.

    SPDX-License-Identifier: MPL-2.0

    The first RP_FIGURES_MAX services that had a worker have figures of their own; all others, and the
    names that clients only asked for, share those of "_other". So neither a flood of names nor a typing
    mistake takes memory, or a series of the monitoring.

    Over all figures, the finals by status are those of rp_stats_t.
    Thread-safety: none; pointers given to others are valid until the next event or tick.
*/

#ifndef RP_FIGURES_H
#define RP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/stats.h"
#include "common/base/spread.h"
#include "common/base/table.h"
#include "common/wire/head.h"

#define RP_FIGURES_MAX 1000u
#define RP_FIGURES_OTHER "_other"

typedef struct {
    /*  Times of requests with a final status, us, as in REPLY: from acceptance to the latest delivery,
        or to the end if there was none under way; from the latest delivery to the end, if a worker had
        it then; from acceptance to the end. Refused requests are in none of them.  */
    rp_spread_t queue;
    rp_spread_t work;
    rp_spread_t total;
    uint64_t final[RP_FINAL_COUNT]; /* by status, refused requests included */
    rp_octaves_t request_bytes;     /* body and headers of the requests in total */
    /*  Bodies of the workers' replies. The sum has every part that came; one that went to its client in parts
        counts once, at its end, by the size of its last part.  */
    rp_octaves_t reply_bytes;
    uint64_t workers_lost;
    uint64_t redeliveries;
    /*  times over this count as slow, us: the p99 of total at the latest refresh, or the limit `slow`  */
    uint32_t slow_us;
    uint32_t p99_us;                /* 0: too few requests to say */
    uint64_t ended;                 /* sum of the finals at the latest refresh */
    uint64_t newer[RP_FINAL_COUNT]; /* finals at the latest refresh */
    uint64_t older[RP_FINAL_COUNT]; /* finals at the refresh before */
    uint64_t hash;
    uint16_t index; /* in the list; RP_FIGURES_MAX of the shared ones */
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1]; /* NUL-terminated; RP_FIGURES_OTHER of the shared ones */
} rp_figures_t;

/*  All figures of one broker. Internal to the core.  */
typedef struct {
    rp_figures_t *list[RP_FIGURES_MAX]; /* in the order in which services came */
    uint32_t count;
    rp_table_t by_name;
    rp_figures_t other;
} rp_figures_set_t;

void rp_figures_init (rp_figures_set_t *self);
void rp_figures_clear (rp_figures_set_t *self);

/*  Returns the figures for a name; those of _other if it has none of its own.  */
rp_figures_t *rp_figures_find (
  rp_figures_set_t *self, uint64_t hash, const char *name, size_t size);

/*  The same, but makes them; those of _other at the limit or when out of memory.  */
rp_figures_t *rp_figures_get (rp_figures_set_t *self, uint64_t hash, const char *name, size_t size);

/*  Looks again which times are slow; to be called every few seconds. limit_us: a bound beside the p99;
    0: none.  */
void rp_figures_refresh (rp_figures_set_t *self, uint64_t limit_us);

/*  Sum of the finals.  */
uint64_t rp_figures_ended (const rp_figures_t *self);

/*  Returns a number that has grown if anything that people see of the figures has changed. Counting costs nothing
    more for it: it is a sum of counters of which one goes up with every change.  */
uint64_t rp_figures_version (const rp_figures_t *self);

#endif
