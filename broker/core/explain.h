/*  Explain: why requests of a service wait or fail now, as causes with numbers, the worst first. Words
    are made of them elsewhere.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: rp_explain is a pure function of its arguments; names in causes are those of the
    facts.
*/

#ifndef RP_EXPLAIN_H
#define RP_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/dispatch.h"

/*  What is known of a service.  */
typedef struct {
    bool stops;                /* the broker drains */
    uint32_t workers;          /* all of these … */
    uint32_t draining;         /* … of which these leave, */
    uint32_t barred;           /* because no rule allows them to serve, */
    uint32_t closed;           /* these have a window of 0, */
    uint32_t full;             /* and these hold as much as their windows allow */
    uint64_t window;           /* of the workers that take requests, sum */
    uint64_t held;             /* of the same */
    uint64_t waiting;          /* requests */
    bool throttled;            /* terms of the service say when a request may start */
    uint64_t shed;             /* by its terms: requests that ended with EXPIRED or BUSY, of late */
    uint64_t pinned;           /* of these, for one worker only */
    int64_t oldest_us;         /* age of the oldest that waits */
    int64_t waiting_us;        /* how long there have been some without a pause */
    uint32_t p50_us;           /* of the time at the worker; 0: not known */
    uint32_t mean_us;          /* likewise */
    uint64_t arrivals;         /* requests accepted in 1000 seconds, of late */
    uint64_t denied;           /* requests that no rule allowed, of late */
    uint64_t unserved;         /* requests that ended with NO_WORKER, of late */
    uint64_t lost;             /* … with WORKER_LOST */
    const char *closed_worker; /* one of each; NULL: none */
    const char *pinned_worker;
} rp_explain_facts_t;

typedef enum {
    RP_CAUSE_STOPPING,  /* the broker drains and takes nothing new */
    RP_CAUSE_NO_WORKER, /* no worker is there */
    RP_CAUSE_DRAINING,  /* all workers leave: concerned */
    RP_CAUSE_CLOSED, /* workers cannot start requests, so their windows are 0: concerned, worker */
    RP_CAUSE_BUSY,   /* all workers that take requests are full: concerned, us, arrivals, more */
    RP_CAUSE_TERMS,  /* the service's terms keep requests back, though workers have room */
    RP_CAUSE_OVERLOAD, /* more arrive than workers take, and the terms say what becomes of them: arrivals */
    RP_CAUSE_PINNED, /* conversations wait for the worker that holds them: worker */
    RP_CAUSE_RULES,  /* no rule allows clients to call, or workers (concerned) to serve */
    RP_CAUSE_LOST,   /* workers were lost while they had requests */
    /*  of jobs (broker/jobs)  */
    RP_CAUSE_JOBS_UNSERVED, /* jobs wait, and no worker is there */
    RP_CAUSE_JOBS_WAIT,     /* jobs wait for workers that have others */
    RP_CAUSE_JOBS_DEAD,     /* jobs have died in the last hour */
    RP_CAUSE_COUNT
} rp_cause_kind_t;

/*  A name for JSON: "no_worker" …  */
const char *rp_cause_name (rp_cause_kind_t kind);

/*  Members that do not apply are 0 or NULL.  */
typedef struct {
    rp_cause_kind_t kind;
    uint64_t weight;  /* requests that wait or failed because of it */
    uint64_t waiting; /* requests of the service that wait */
    int64_t since_us; /* how long there have been some without a pause */
    int64_t oldest_us;
    uint32_t workers;   /* of the service */
    uint32_t concerned; /* of these */
    uint32_t p50_us;    /* BUSY: that a request takes */
    uint64_t arrivals;  /* BUSY: requests in 1000 seconds */
    uint32_t more;      /* BUSY: how many more workers would do; 0: those there are will catch up */
    const char *worker; /* CLOSED, PINNED: one of them */
} rp_cause_t;

/*  Writes the causes, by weight, and returns how many: 0 if nothing waits or fails.  */
size_t rp_explain (const rp_explain_facts_t *facts, rp_cause_t causes[RP_CAUSE_COUNT]);

/*  The same for a service by name; false if the broker does not know the service. *count causes, whose
    names are valid until the next event.  */
bool rp_dispatch_explain (const rp_dispatch_t *self,
  int64_t now,
  const char *name,
  size_t size,
  rp_cause_t causes[RP_CAUSE_COUNT],
  size_t *count);

/*  The same for a service as rp_dispatch_each_service gives it, during that call. Returns how many.  */
size_t rp_dispatch_explain_service (const rp_dispatch_t *self,
  int64_t now,
  const rp_service_info_t *info,
  rp_cause_t causes[RP_CAUSE_COUNT]);

#endif
