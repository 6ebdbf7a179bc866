/*  A snapshot: an immutable copy of what people may see of a broker at one moment. Answers, metrics and
    pages are all written from it (broker/admin/{json,prometheus,page}).

    SPDX-License-Identifier: MPL-2.0

    The broker's thread takes a snapshot, at once or in steps between which it does other work; any thread may read it
    afterwards. In steps, each service with its figures, each worker and each principal is of one moment, and what the
    broker counts as a whole is of the last; all of them are not earlier than `taken`. A service or a worker that came
    later is not in it.
    Cost: some 400 bytes and a microsecond for each service, worker and principal; more for a service that had requests
    since the snapshot before (broker/admin/compact_figures.h).
    Thread-safety: as stated.
*/

#ifndef RP_SNAPSHOT_H
#define RP_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admin/compact_figures.h"
#include "broker/admin/events.h"
#include "broker/admin/otlp.h"
#include "broker/auth/credentials.h"
#include "broker/core/dispatch.h"
#include "broker/core/explain.h"
#include "broker/core/figures.h"
#include "broker/jobs/jobs.h"
#include "broker/replay/replays.h"
#include "broker/protocol/foreign.h"
#include "broker/store/store.h"
#include "broker/transport/connection.h"
#include "broker/transport/routes.h"
#include "common/tool/settings.h"

/*  What became of reloads. Texts have a line for each entry, with its newline; NULL: none.  */
typedef struct {
    uint64_t count; /* of all, failed ones included */
    uint64_t failed;
    bool ok;        /* of the last one, as are problems; true before the first */
    char *problems; /* what was wrong */
    char *restart;  /* paths of settings whose values in the sources need a restart */
} rp_snapshot_reloads_t;

/*  Who is let in.  */
typedef struct {
    bool on;       /* rules are in force */
    uint64_t keys; /* that are authorized */
    uint64_t accepted;
    uint64_t refused; /* handshakes */
} rp_snapshot_security_t;

/*  Where a snapshot is taken from; owns none of it.  */
typedef struct {
    const rp_dispatch_t *core;
    const rp_routes_t *routes;
    const rp_foreign_t *foreign;
    const uint64_t *copied;   /* bytes copied so far */
    const uint64_t *busy;     /* µs that the loop has worked so far */
    const rp_spread_t *turns; /* µs that each of its turns took */
    char *const *endpoints;
    size_t endpoint_count;
    const rp_snapshot_reloads_t *reloads;
    const rp_otlp_t *otlp;       /* NULL: no spans are exported */
    const rp_jobs_t *jobs;       /* NULL: no jobs are kept, as is the store */
    const rp_replays_t *replays; /* NULL: no results are remembered */
    rp_store_t *store;
    rp_snapshot_security_t security;
    rp_credentials_t *credentials; /* in force; NULL: security is off */
    rp_settings_t settings;        /* in force; table NULL: not known */
    const rp_events_t *events;
    rp_compact_cache_t *figures; /* copies that snapshots share */
    int64_t started;             /* µs, on the clock of the core */
} rp_snapshot_sources_t;

typedef struct {
    rp_service_info_t info; /* its figures are NULL */
    uint32_t p50_us;        /* of the total time of its requests; 0: none has ended */
    uint32_t p99_us;
    rp_cause_t *causes; /* why requests wait or fail, the worst first; if figures were asked for */
    size_t cause_count;
} rp_snapshot_service_t;

typedef struct {
    rp_worker_info_t info;
    rp_address_t address;
} rp_snapshot_worker_t;

/*  Foreign sessions and envelopes, by dialect and by kind of error.  */
typedef struct {
    uint64_t there[RP_DIALECT_COUNT];
    uint64_t workers[RP_DIALECT_COUNT]; /* of those there */
    uint64_t joined[RP_DIALECT_COUNT];
    uint64_t bad[RP_DIALECT_ERROR_COUNT];
    uint64_t envelopes;
    uint64_t envelope_bytes;
} rp_snapshot_foreign_t;

typedef struct {
    int64_t taken; /* µs, on the clock of the core; when it was begun */
    int64_t uptime_us;
    char instance[32];
    bool draining;
    uint64_t last_event; /* its number */
    rp_stats_t stats;
    rp_dispatch_counts_t counts;
    rp_limits_t limits;
    rp_snapshot_foreign_t foreign;
    rp_snapshot_security_t security;
    rp_credentials_t *credentials; /* held; NULL: security is off */
    rp_snapshot_reloads_t reloads;
    rp_otlp_counts_t spans;
    bool keeps_jobs;
    rp_jobs_figures_t jobs;
    bool remembers;
    rp_replays_figures_t replays;
    rp_store_figures_t store;
    const char *store_kind; /* constant */
    uint64_t copied_bytes;
    uint64_t busy_us;
    rp_spread_t turns;
    char **endpoints;
    size_t endpoint_count;
    rp_snapshot_service_t *services;
    size_t service_count;
    rp_compact_figures_t **figures; /* held; all, those of _other last, if they were asked for */
    size_t figure_count;
    rp_snapshot_worker_t *workers;
    size_t worker_count;
    rp_principal_info_t *principals;
    size_t principal_count;
    struct rp_snapshot_block *blocks; /* of the texts and causes */
} rp_snapshot_t;

/*  Takes a snapshot at once. figures: with the spreads, and causes. NULL when out of memory.  */
rp_snapshot_t *rp_snapshot_take (const rp_snapshot_sources_t *sources, bool figures, int64_t now);

typedef struct rp_snapshot_taking rp_snapshot_taking_t;

/*  Begins to take a snapshot in steps. sources: not copied, and to outlive it. NULL when out of memory.  */
rp_snapshot_taking_t *rp_snapshot_begin (
  const rp_snapshot_sources_t *sources, bool figures, int64_t now);

/*  Takes a step, which is some microseconds' work; more only for a service with thousands of workers or of clients
    that wait. True once nothing is left to do.  */
bool rp_snapshot_step (rp_snapshot_taking_t *self, int64_t now);

/*  Returns the snapshot; NULL if it is not whole, or when out of memory. Nulls *self_p; NULL is allowed.  */
rp_snapshot_t *rp_snapshot_end (rp_snapshot_taking_t **self_p);

/*  Frees a snapshot. Nulls *self_p; NULL is allowed.  */
void rp_snapshot_destroy (rp_snapshot_t **self_p);

/*  The state of a worker in one word: draining, unready, over (it has lowered its window and holds
    more), ready.  */
const char *rp_snapshot_worker_state (const rp_worker_info_t *info);

#endif
