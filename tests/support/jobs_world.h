/*  A world around broker/jobs: the real core, workers, a model of the store, and clients that are told things.

    SPDX-License-Identifier: MPL-2.0

    Does what broker/server_jobs.c does, without sockets, clocks or disks. Nothing happens by itself: the
    test commits operations, takes results, answers tasks, and lets both clocks go. A job's body is a number,
    its content, and so is a reply.

    There is one world at a time.
*/

#ifndef JOBS_WORLD_H
#define JOBS_WORLD_H

#include "broker/jobs/jobs.h"
#include "tests/support/model_store.h"

#define JOBS_WORLD_START INT64_C (1000000000)
#define JOBS_WORLD_WALL INT64_C (1700000000000000)
#define JOBS_WORLD_WORKERS 8u

/*  A message: a job's request, or a reply.  */
struct rp_payload {
    uint64_t content;
    char service[32];
    uint8_t headers[512];
    uint16_t headers_size;
    uint8_t attempts;
    char text[64]; /* of a reply */
};

typedef struct {
    rp_session_id_t session; /* 0: not there */
    char service[32];
    unsigned window;
} jobs_worker_t;

/*  A request that a worker has.  */
typedef struct {
    rp_token_t token;
    rp_session_id_t worker;
    uint64_t content;
    uint64_t job;
    unsigned attempt;
    unsigned attempts;
    int64_t given; /* now */
    uint32_t deadline_ms;
    bool cancelled;
} jobs_task_t;

/*  What a client was told: a head, or rows.  */
typedef struct {
    rp_session_id_t session;
    rp_head_t head; /* without what it points to */
    bool replayed;
    char text[96];
    bool has_content;
    uint64_t content;
    bool rows; /* answered with the result in hand */
    rp_jobs_what_t what;
    rp_store_kind_t kind;
    rp_stored_outcome_t outcome;
    size_t count;
    uint64_t job; /* of the first row */
    rp_job_state_t state;
    uint8_t status;
} jobs_told_t;

typedef struct jobs_world jobs_world_t;

/*  Looks at what passes, and may change it. A function returns false to keep it back. All may be NULL.  */
typedef struct {
    bool (*submit) (jobs_world_t *world, rp_store_op_t *op, rp_payload_t *payload);
    void (*result) (jobs_world_t *world, rp_stored_t *result);
    void (*start) (jobs_world_t *world, const jobs_task_t *task);
    void (*answer) (jobs_world_t *world, rp_head_t *head, uint64_t job);
    bool (*told) (jobs_world_t *world, jobs_told_t *told);
    void (*commit) (jobs_world_t *world,
      const rp_store_op_t *op,
      const rp_stored_t *result,
      const model_row_t *row);
} jobs_hooks_t;

struct jobs_world {
    rp_dispatch_t *core;
    rp_jobs_t *jobs;
    model_store_t store;
    rp_session_id_t client;
    rp_session_id_t admitted;
    rp_actions_t acts; /* of the core */
    rp_actions_t lists[2];
    rp_actions_t *wanted;
    rp_actions_t heard;
    const rp_stored_t *stored;
    jobs_worker_t workers[JOBS_WORLD_WORKERS];
    jobs_task_t *tasks;
    size_t task_count;
    size_t task_capacity;
    jobs_told_t *told;
    size_t told_count;
    size_t told_capacity;
    uint64_t *jobs_of; /* by content: the job */
    uint64_t jobs_of_capacity;
    int64_t now;
    int64_t wall;
    int64_t due;      /* when the jobs want their next tick */
    int64_t core_due; /* when the core does */
    uint32_t page;
    uint64_t bytes;
    uint64_t services;
    bool strict; /* no job of the store is ended or taken away without word to the broker */
    uint64_t most;
    uint64_t seed;
    size_t payloads;     /* that exist */
    size_t rows_refused; /* the next so many rows of LOADs find no memory */
    jobs_hooks_t hooks;
    void *arg;
    rp_limits_t limits;
};

/*  Makes the store. page, most and limits may be changed before jobs_world_begin.  */
void jobs_world_init (jobs_world_t *self);
/*  Ends everything; every payload must have come back.  */
void jobs_world_clear (jobs_world_t *self);

/*  Begins a broker over what is in the store.  */
void jobs_world_begin (jobs_world_t *self);
/*  The broker is lost, with all that was not committed.  */
void jobs_world_crash (jobs_world_t *self);

/*  ---- Events --------------------------------------------------------------------------------- */

unsigned jobs_world_join (jobs_world_t *self, const char *service, unsigned window);
/*  The worker's connection is lost.  */
void jobs_world_lose (jobs_world_t *self, unsigned worker);

/*  What a client states about its job; 0 or NULL: as usual. attempts: 5. Of delays in ms.  */
typedef struct {
    unsigned client;
    unsigned attempts;
    const char *key;
    uint64_t body; /* for the digest; 0: the content */
    const char *principal;
    int64_t delay_ms;
    int64_t instant_ms;  /* from now */
    int64_t deadline_ms; /* from now */
    int64_t backoff_ms;  /* -1: 0 */
    int64_t attempt_ms;
    int64_t keep_ms;
    uint64_t id; /* of the request; 0: the content */
} jobs_terms_t;

void jobs_world_submit (
  jobs_world_t *self, const char *service, uint64_t content, const jobs_terms_t *terms);

void jobs_world_ask (jobs_world_t *self,
  rp_jobs_what_t what,
  unsigned client,
  uint64_t request,
  uint64_t job,
  uint32_t wait_ms,
  const char *principal);

/*  True if the question waited.  */
bool jobs_world_withdraw (jobs_world_t *self, unsigned client, uint64_t request);
void jobs_world_end_client (jobs_world_t *self, unsigned client);

/*  Ends the task: with a reply that has this content, or without body.  */
void jobs_world_reply (jobs_world_t *self, size_t task, rp_status_t status, uint64_t content);
/*  Gives the task back unbegun.  */
void jobs_world_decline (jobs_world_t *self, size_t task);

/*  ---- Time ----------------------------------------------------------------------------------- */

/*  Does what is due, without the store.  */
void jobs_world_turn (jobs_world_t *self);
/*  Takes the next result of the store. False if there is none.  */
bool jobs_world_take (jobs_world_t *self);
/*  Checks what must hold when nothing is on its way to the store or back: every row that waits is in memory, or
    behind its service's horizon.  */
void jobs_world_check (const jobs_world_t *self);
/*  Commits and takes everything, until nothing more is asked.  */
void jobs_world_settle (jobs_world_t *self);
/*  Lets time pass in steps of what is due, everything committed at once.  */
void jobs_world_pass (jobs_world_t *self, int64_t us);
/*  Both clocks go, and nothing is done.  */
void jobs_world_slip (jobs_world_t *self, int64_t us);

/*  ---- What came of it ------------------------------------------------------------------------ */

/*  Returns the latest that was told about a request, or NULL.  */
const jobs_told_t *jobs_world_told (const jobs_world_t *self, unsigned client, uint64_t request);
/*  Returns how often something was.  */
size_t jobs_world_told_times (const jobs_world_t *self, unsigned client, uint64_t request);
/*  Returns the job of this content; 0: none.  */
uint64_t jobs_world_job (const jobs_world_t *self, uint64_t content);
/*  Returns the index of the task with this content; SIZE_MAX: none.  */
size_t jobs_world_task (const jobs_world_t *self, uint64_t content);
model_row_t *jobs_world_row (const jobs_world_t *self, uint64_t content);
rp_jobs_figures_t jobs_world_figures (const jobs_world_t *self);

#endif
