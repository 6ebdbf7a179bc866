/*  Jobs: durable requests, from acceptance to the one final. Decides what the store writes, and when a
    job's attempt is given to the core.

    SPDX-License-Identifier: MPL-2.0

    To the core, a job's attempt is an ordinary request of one trusted client, which lives here. To the
    store, a job is a row. In between, a job is in memory only while it is about to run, runs, or is
    being written; what waits longer is a row that is loaded shortly before its turn.

    Nothing is told, and no attempt begins, before the store has said that what it follows from is on
    disk: an action STORE is answered by rp_jobs_stored, in order.

    Two clocks: `now` only moves forward, and is for what ends with the process; `wall`, µs since 1970,
    may jump, and is for what a client has stated and the store keeps.

    Ownership: a payload passed in belongs here until it comes out with an action. The payload of STORE
    comes back with its result.

    Source: docs/PROTOCOL.md, section 9.
    Pure: reads no clock, socket or disk. Thread-safety: none.
*/

#ifndef RP_JOBS_H
#define RP_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "broker/core/dispatch.h"
#include "broker/core/explain.h"
#include "broker/core/store_op.h"

typedef struct rp_jobs rp_jobs_t;

typedef struct {
    int64_t now;
    int64_t wall;
} rp_jobs_time_t;

typedef struct {
    const rp_dispatch_t *core; /* asked which services have workers; not owned */
    uint64_t seed;             /* secret */
    uint64_t most;             /* open jobs */
    uint64_t services;         /* names that open jobs may be for; 0: any number */
    uint32_t page;             /* jobs of a service that are loaded at once; 0: as usual */
    uint64_t bytes;            /* of jobs that wait in memory; 0: as usual */
} rp_jobs_options_t;

/*  NULL when out of memory.  */
rp_jobs_t *rp_jobs_new (const rp_jobs_options_t *options);

/*  Frees it, and appends a DROP for each payload that is still inside. Payloads that are with the store
    come back by its results, as if nothing had been asked.  */
void rp_jobs_destroy (rp_jobs_t **self_p, rp_actions_t *actions);

/*  Begins: asks the store for what is open.  */
void rp_jobs_begin (rp_jobs_t *self, rp_jobs_time_t time, rp_actions_t *actions);

/*  The store has news: of jobs that have been taken over from another broker, or by one.  */
void rp_jobs_hear_news (rp_jobs_t *self, rp_jobs_time_t time, rp_actions_t *actions);

/*  A request that is to be a job. The principal is NUL-terminated. digest: RP_STORE_DIGEST bytes of the
    body's digest; may be NULL if it has no idempotency key.  */
typedef struct {
    rp_session_id_t session;
    const rp_head_t *head;
    rp_payload_t *payload;
    size_t bytes; /* that payload takes */
    const char *principal;
    const uint8_t *digest;
} rp_jobs_request_t;

void rp_jobs_submit (
  rp_jobs_t *self, const rp_jobs_request_t *request, rp_jobs_time_t time, rp_actions_t *actions);

typedef enum {
    RP_JOBS_RESULT, /* the final of the job, once there is one */
    RP_JOBS_STATE,  /* the job as it is now */
    RP_JOBS_CANCEL, /* end the job with CANCELLED; then as STATE */
    RP_JOBS_REMOVE, /* the same; then the job is removed, unless it is dead */
    RP_JOBS_RETRY,  /* begin a new life of the dead job; then as STATE, of the new one */
} rp_jobs_what_t;

/*  A question about one job.  */
typedef struct {
    rp_jobs_what_t what;
    rp_session_id_t session;
    uint64_t request; /* the client's id of the question */
    uint64_t job;
    uint32_t wait_ms;      /* RESULT: how long to wait for the final */
    bool body;             /* STATE: with the job's body */
    const char *principal; /* only its own jobs are there; NULL: all are */
} rp_jobs_question_t;

void rp_jobs_ask (
  rp_jobs_t *self, const rp_jobs_question_t *question, rp_jobs_time_t time, rp_actions_t *actions);

/*  A client withdraws its question: it is answered with CANCELLED. False if no question with this id waits.  */
bool rp_jobs_withdraw (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_actions_t *actions);

/*  The session has ended: its questions are dropped.  */
void rp_jobs_end_session (rp_jobs_t *self, rp_session_id_t session);

/*  Passes an operation on jobs that are at rest to the store: LIST, SERVICES, PURGE. Its result
    goes to the session with ROWS.  */
void rp_jobs_browse (rp_jobs_t *self,
  rp_session_id_t session,
  uint64_t request,
  const rp_store_op_t *op,
  rp_actions_t *actions);

/*  A result of the store. rows[]: for LOAD a payload, made of the job's head and body, for each row; NULL
    where there was no memory for it.  */
void rp_jobs_stored (rp_jobs_t *self,
  const rp_stored_t *stored,
  rp_payload_t *const *rows,
  rp_jobs_time_t time,
  rp_actions_t *actions);

/*  The core has answered an attempt: head is that of its REPLY.  */
void rp_jobs_answered (rp_jobs_t *self,
  const rp_head_t *head,
  rp_payload_t *payload,
  rp_jobs_time_t time,
  rp_actions_t *actions);

/*  Begins no further attempt.  */
void rp_jobs_drain (rp_jobs_t *self);

/*  Says whether the store is reachable. While it is not, submissions and questions are refused with BUSY at
    once, since it may be long before their operations have a result.  */
void rp_jobs_set_away (rp_jobs_t *self, bool away);

/*  Does what is due, and returns when to call again at the latest, by `now` (INT64_MAX: never). To be
    called after each batch of the calls above.  */
int64_t rp_jobs_tick (rp_jobs_t *self, rp_jobs_time_t time, rp_actions_t *actions);

/*  True while something waits for the store.  */
bool rp_jobs_is_writing (const rp_jobs_t *self);

/*  Figures: name, what it counts. The first three are as of now, the others count from the start.  */
#define RP_JOBS_FIGURE_MAP(X)                                                                      \
    X (open, "jobs without a final")                                                               \
    X (running, "jobs of which a worker has an attempt, or soon will")                             \
    X (loaded, "jobs in memory")                                                                   \
    X (accepted, "jobs accepted")                                                                  \
    X (replayed, "submissions whose key had a job already")                                        \
    X (refused, "submissions that were refused")                                                   \
    X (done, "jobs that ended with an answer, or were cancelled, or expired")                      \
    X (dead, "jobs whose last attempt failed")                                                     \
    X (retried, "attempts that failed and were not the last")                                      \
    X (adopted, "jobs that were another broker's, and were open when they were taken over")

typedef struct {
#define RP_JOBS_FIGURE_FIELD(name, text) uint64_t name;
    RP_JOBS_FIGURE_MAP (RP_JOBS_FIGURE_FIELD)
#undef RP_JOBS_FIGURE_FIELD
} rp_jobs_figures_t;

void rp_jobs_figures (const rp_jobs_t *self, rp_jobs_figures_t *figures);

/*  A service that has open jobs, or of which jobs have died of late.  */
typedef struct {
    const char *name; /* NUL-terminated, valid until the next call that is not const */
    size_t name_size;
    uint64_t waiting;
    uint64_t running; /* a worker has an attempt, or soon will, or its end is written */
    int64_t due;      /* wall: when the first that waits may be due; INT64_MAX: none waits */
    uint64_t died;    /* in the last hour, since the start */
} rp_jobs_service_info_t;

/*  False if there is no such service.  */
bool rp_jobs_find_service (
  const rp_jobs_t *self, const char *name, size_t size, int64_t now, rp_jobs_service_info_t *info);

typedef void (rp_jobs_service_fn) (const rp_jobs_service_info_t *info, void *arg);

/*  Calls function for each service, in no order.  */
void rp_jobs_each_service (
  const rp_jobs_t *self, int64_t now, rp_jobs_service_fn *function, void *arg);

/*  How many causes one service may have.  */
#define RP_JOBS_CAUSES_MAX 2u

/*  Writes why jobs of a service wait or have died, the worst first, and returns how many causes there are.
    workers: that the service has.  */
size_t rp_jobs_explain (const rp_jobs_service_info_t *info,
  uint32_t workers,
  int64_t wall,
  rp_cause_t causes[RP_JOBS_CAUSES_MAX]);

#endif
