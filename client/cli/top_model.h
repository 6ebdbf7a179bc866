/*  The services that `riposte top` shows: made from the broker's answers and the time.

    SPDX-License-Identifier: MPL-2.0

    Rates are differences of counters of two answers, divided by the time between them; of a
    broker that was started again there are none until its second answer. Times are in µs.

    Thread-safety: none; one thread owns a model. No clock: the time is an argument.
*/

#ifndef RP_TOP_MODEL_H
#define RP_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  The last minute of a queue: the most requests that waited in each of these parts of it.  */
#define RP_TOP_PARTS 12u
#define RP_TOP_PART_US INT64_C (5000000)
/*  A part of which nothing is known.  */
#define RP_TOP_NOTHING UINT64_MAX

#define RP_TOP_TEXT_MAX 128u

typedef enum {
    RP_TOP_WORST, /* waiting × age of the oldest */
    RP_TOP_NAME,
    RP_TOP_RATE,
    RP_TOP_WAITING,
    RP_TOP_OLDEST,
    RP_TOP_RUNNING,
    RP_TOP_FAILED,
    RP_TOP_WORKERS,
    RP_TOP_ORDERS,
} rp_top_order_t;

typedef struct {
    char *name; /* as the broker has escaped it */
    uint64_t workers;
    uint64_t draining;
    uint64_t running;
    uint64_t window;
    uint64_t waiting;
    uint64_t requests;
    uint64_t failed;
    int64_t oldest_us;
    int64_t p50_us; /* -1: the broker does not say */
    int64_t p99_us;
    double rate;                  /* requests per second; negative: not known yet */
    double failed_rate;           /* likewise */
    uint64_t parts[RP_TOP_PARTS]; /* the last minute, oldest first */
} rp_top_row_t;

/*  The members may be read.  */
typedef struct {
    rp_top_row_t *rows; /* by name */
    const rp_top_row_t **sorted;
    size_t count;
    rp_top_order_t order;
    bool reverse;
    bool has_quantiles; /* a row has p50_us */
    int64_t time;       /* of the last answers; 0: none yet */
    char version[RP_TOP_TEXT_MAX];
    char instance[RP_TOP_TEXT_MAX];
    int64_t uptime_us;
    bool draining;
    uint64_t workers; /* sums over the services */
    uint64_t waiting;
    uint64_t running;
    double rate; /* negative: not known yet */
    double failed_rate;
} rp_top_t;

/*  Takes the answers of riposte.status and riposte.services at a time (not 0). self is {0} before
    the first. False when out of memory: self is unchanged.  */
bool rp_top_update (rp_top_t *self, const json_t *status, const json_t *services, int64_t now);

/*  Sorts rows: numbers with the largest first and names from A to Z, or the reverse. Equal rows
    are in the order of their names.  */
void rp_top_sort (rp_top_t *self, rp_top_order_t order, bool reverse);

/*  Returns the place of a service in sorted; count if there is none.  */
size_t rp_top_find (const rp_top_t *self, const char *name);

/*  Frees what self holds.  */
void rp_top_clear (rp_top_t *self);

#endif
