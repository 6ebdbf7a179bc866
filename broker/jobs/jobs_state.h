/*  The state of jobs, which the files of broker/jobs share and nothing else sees.

    SPDX-License-Identifier: MPL-2.0

    References: a job → its service; an operation that the store has → its job or question, by handle, in
    the order in which results come. A service leads to its jobs that wait in memory; the others are on
    their way through the store or the core, and come back by handle.

    jobs_clock.c        what time it is for jobs
    jobs_tell.c         what is said to clients and to the store
    jobs_services.c     services, and what is known of the rows of each
    job.c               the way of one job
    jobs_turns.c        which jobs are in memory, and which one is next
    jobs_questions.c    who asks for a job, and waits for its final
    jobs_others.c       what was another broker's, or has become that
    jobs_results.c      what follows from each result of the store
    jobs_explain.c      what people see of services
    jobs.c              making, and what is due

    Each calls only those before it.

    Thread-safety: none.
*/

#ifndef RP_JOBS_STATE_H
#define RP_JOBS_STATE_H

#include "broker/jobs/job_deaths.h"
#include "broker/jobs/job_terms.h"
#include "broker/jobs/jobs.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/base/table.h"
#include "common/wire/limits.h"

#define RP_JOBS_NEVER INT64_MAX
/*  How many waiting jobs of a service are in memory at most.  */
#define RP_JOBS_PAGE 1000u
/*  How many bytes jobs that wait in memory have, of all services. Beyond, a service with nothing in memory
    has one job loaded at a time.  */
#define RP_JOBS_BYTES (UINT64_C (64) << 20)
/*  Rows that are due within this time are loaded, µs.  */
#define RP_JOBS_AHEAD_US 2000000

/*  Where a job is on its way. One that a worker can have at once goes from PUTTING to RUNNING. rp_job_set_state is the
    only function that changes it.

        NEW         is in memory, and nothing has been done with it
        PUTTING     is written, and not accepted yet
        WAITING     for its time, or for room
        CLAIMING    its next attempt is written
        RUNNING     the core has its attempt
        PARKING     that the attempt failed is written; then it is a row only
        FINISHING   its final is written; then it is gone from here
*/
typedef enum {
    RP_STEP_NEW,
    RP_STEP_PUTTING,
    RP_STEP_WAITING,
    RP_STEP_CLAIMING,
    RP_STEP_RUNNING,
    RP_STEP_PARKING,
    RP_STEP_FINISHING,
    RP_STEP_COUNT
} rp_job_step_t;

/*  When a job is due is a time of the jobs' own clock. It follows jumps of the wall clock forward but not back, and is
    ahead of that clock from then on; so what waits does not wait longer when the wall clock is set back. Only a job
    for an instant does: its due time comes before its instant then. And a pause seems to end early when the wall
    clock is set forward. Both are noticed when their turn has come (rp_job_true_due).

    A broker that starts sets the clock ahead by as much as it was when the last job was accepted.  */
#define RP_JOBS_JUMPS 8u
typedef struct {
    int64_t from; /* clock */
    int64_t by;
} rp_jobs_jump_t;

/*  Jobs of a service are in this order.  */
typedef struct {
    int64_t due; /* clock */
    uint64_t id;
} rp_job_key_t;

typedef struct {
    rp_pooled_t pooled;
    rp_heap_node_t look; /* in self->looks */
    rp_heap_t waiting;   /* by due */
    uint64_t hash;
    uint64_t open;   /* jobs without a final, in memory or not */
    uint32_t loaded; /* WAITING */
    uint32_t coming; /* PUTTING without an attempt */
    uint32_t active; /* CLAIMING to FINISHING, and PUTTING with an attempt */
    uint32_t room;   /* attempts that may be active, as of `asked` */
    int64_t asked;   /* now */
    /*  now: an attempt found no space, or no room in the core, so none is written before  */
    int64_t pause;
    /*  once the core had no room: attempts that may be written before the next pause, 0: all; and that are  */
    uint32_t share;
    uint32_t shared;
    rp_job_key_t horizon; /* unless whole: every row up to it is in memory */
    rp_job_key_t passed;  /* while it loads: the first row that was written and not kept */
    int64_t next_due;     /* unless whole: of the first row behind the horizon, or earlier */
    uint32_t load_bytes;  /* while it loads: what may come */
    bool whole;           /* every row is in memory */
    bool loads;
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1];
} rp_jobs_service_t;

/*  What the store is told of a new job, until its result.  */
typedef struct rp_jobs_put {
    rp_pooled_t pooled;
    rp_store_job_t job;
    char principal[RP_PRINCIPAL_MAX]; /* its session may be gone before the result */
} rp_jobs_put_t;

/*  A submission for which there is no room: what the store is asked about its key, until its result.  */
typedef struct {
    rp_pooled_t pooled;
    rp_store_job_t job;
    const char *refusal; /* unless its key has a job */
    char service[RP_WIRE_NAME_MAX];
    char principal[RP_PRINCIPAL_MAX];
    char key[RP_STORE_KEY_MAX];
} rp_jobs_look_t;

typedef struct {
    rp_pooled_t pooled; /* its handle is the request's id in the core */
    rp_heap_node_t turn;
    rp_list_node_t node; /* in self->again */
    rp_jobs_service_t *service;
    rp_payload_t *payload;
    uint64_t id;
    int64_t due;      /* clock */
    int64_t instant;  /* wall: before which it does not begin; 0: none */
    int64_t deadline; /* wall */
    uint64_t keep_ms;
    uint32_t attempt_ms;
    uint32_t backoff_ms;
    uint32_t bytes; /* WAITING: of head and body */
    uint8_t state;
    uint8_t attempt; /* noted, the one that runs included */
    uint8_t attempts;
    bool cancelled;
    /*  counted among the open jobs of its service for as long as it is here: it is another broker's, or has been ended
        by one, or what is open is not known yet  */
    bool other;
    /*  PARKING, FINISHING: what is written, in case that it has to be written again  */
    bool dead;
    bool unbegun;
    uint8_t status;
    uint16_t flags; /* of the worker's REPLY */
    uint32_t code;
    union {
        const char *text;        /* static, or in payload */
        struct rp_jobs_put *put; /* PUTTING */
    };
    uint16_t text_size;
    uint16_t headers_size;
    const uint8_t *headers;
    char worker[RP_PEER_NAME_MAX + 1];
} rp_job_t;

/*  How many questions wait for one job's final at most: they are looked through one by one. As many more that
    do not wait find room beside them, so that a crowd keeps nobody from cancelling.  */
#define RP_JOBS_WAITERS_OF_ONE 256u

/*  A session with questions that wait.  */
typedef struct {
    rp_pooled_t pooled;
    rp_session_id_t session;
    rp_list_t waiters;
    uint64_t count; /* of these */
} rp_jobs_asker_t;

/*  A question that waits for a job's final.  */
typedef struct {
    rp_pooled_t pooled;
    rp_list_node_t node; /* in asker->waiters */
    rp_jobs_asker_t *asker;
    rp_heap_node_t due; /* in self->patience, by now */
    /*  now: how long it waits; it may be due before, to look at another broker's job  */
    int64_t until;
    rp_jobs_question_t question;
    char principal[RP_PRINCIPAL_MAX + 1];
    /*  After this time, µs, it looks at another broker's job, for all who wait for it; 0: it does not  */
    uint32_t pause;
    bool found; /* the job is there, and its own */
} rp_jobs_waiter_t;

/*  Why rows are listed: somebody wants to see them; for services with jobs at the start, or that were another
    broker's, and the jobs that ran when that ended; to end those whose deadline has passed.  */
typedef enum {
    RP_JOBS_FOR_BROWSE,
    RP_JOBS_FOR_BEGIN,
    RP_JOBS_FOR_NEWS,
    RP_JOBS_FOR_RECOVER,
    RP_JOBS_FOR_EXPIRE
} rp_jobs_purpose_t;

/*  What is asked of the store, in order.  */
typedef struct {
    uint64_t job;    /* handle; 0: none */
    uint64_t waiter; /* handle; 0: none */
    rp_session_id_t session;
    uint64_t request; /* PUT, KEY, and what is browsed */
    uint64_t service; /* LOAD: handle */
    uint64_t look;    /* KEY: handle */
    uint64_t after;   /* LIST of what ran: the jobs behind this one */
    rp_store_kind_t kind;
    rp_jobs_purpose_t purpose; /* LIST, SERVICES, RETRY, PURGE */
} rp_jobs_pending_t;

struct rp_jobs {
    rp_jobs_options_t options;
    rp_pool_t services;
    rp_pool_t jobs;
    rp_pool_t puts;
    rp_pool_t looks_at_keys;
    rp_pool_t waiters;
    rp_pool_t askers;
    rp_table_t services_by_name;
    rp_table_t jobs_by_id;
    rp_table_t waiters_by_job;
    rp_table_t waiters_by_request; /* and session */
    rp_table_t askers_by_session;
    rp_heap_t looks;            /* services, by clock */
    rp_heap_t patience;         /* waiters, by now */
    uint64_t bytes;             /* of jobs that wait in memory, and of what LOADs may bring */
    rp_list_t again;            /* jobs whose operation found no space */
    int64_t again_at;           /* now */
    int64_t recovery;           /* when to list again what ran, where the store was busy; now */
    uint64_t recovered;         /* behind this job */
    int64_t services_at;        /* when to ask again which services have jobs; now */
    int64_t expiry;             /* when to look for overdue jobs next; now */
    rp_jobs_pending_t *pending; /* a ring */
    size_t pending_first;
    size_t pending_count;
    size_t pending_capacity; /* a power of two */
    uint64_t number;         /* of the latest operation */
    int64_t latest_due;      /* so that jobs without delay keep their order */
    bool begun;              /* it is known which services have jobs */
    bool lost;               /* what was there is another broker's, and it has not begun again */
    bool draining;
    bool away; /* the store is not reachable */
    rp_jobs_figures_t figures;
    rp_job_deaths_t deaths;
    rp_jobs_time_t time;
    int64_t clock;
    int64_t ahead;                       /* of the wall */
    rp_jobs_jump_t jumps[RP_JOBS_JUMPS]; /* a ring */
    uint32_t jump_count;
    rp_actions_t *actions;
};

/*  What is said while the store is not reachable.  */
#define RP_JOBS_AWAY "the store is not reachable"
/*  And when it turns out that another broker has taken over.  */
#define RP_JOBS_LOST "another broker has taken over the jobs of this one; ask again"

/*  Sets the time, and with it the jobs' own clock.  */
void rp_jobs_set_time (rp_jobs_t *self, rp_jobs_time_t time);

/*  Sets the clock ahead at least as it was when a job was accepted that has these flags: the last one, of this broker or
    of one whose jobs have been taken over.  */
void rp_jobs_set_ahead (rp_jobs_t *self, uint32_t flags);

/*  Returns the flags of a job that is accepted now.  */
uint32_t rp_jobs_flags (const rp_jobs_t *self, bool instant);

/*  Returns when a job that waits is due; later than job->due if the wall clock was set meanwhile.  */
int64_t rp_job_true_due (const rp_jobs_t *self, const rp_job_t *job);

/*  Appends an operation, and what to remember of it. The operation is valid until the next action. Out of
    memory ends the process, for the same reason as in rp_actions_add.  */
rp_store_op_t *rp_jobs_store (
  rp_jobs_t *self, rp_store_kind_t kind, rp_payload_t *body, rp_jobs_pending_t pending);

uint64_t rp_job_handle (const rp_job_t *job);

void rp_jobs_reply (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_status_t status, const char *text);

void rp_jobs_refuse (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_status_t status, const char *text);

void rp_jobs_accept (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, uint64_t job, bool replayed);

/*  Refuses a submission for which there is no room, unless its key has a job: then that is told, since it takes
    none. job: as for the store; everything is copied. refusal: static.  */
void rp_jobs_refuse_or_replay (rp_jobs_t *self,
  rp_session_id_t session,
  uint64_t request,
  const rp_store_job_t *job,
  const char *refusal);

bool rp_job_key_is_before (rp_job_key_t one, rp_job_key_t other);

/*  Returns a service with jobs; NULL: there is none of that name.  */
rp_jobs_service_t *rp_jobs_look_up (const rp_jobs_t *self, const char *name, size_t size);

/*  Returns the service, made if there is none; NULL when out of memory. A new one is whole: it has no
    job.  */
rp_jobs_service_t *rp_jobs_get_service (rp_jobs_t *self, const char *name, size_t size);

/*  Frees a service without jobs.  */
void rp_jobs_leave_service (rp_jobs_t *self, rp_jobs_service_t *service);

/*  Has the service looked at, at this time of the clock or before.  */
void rp_jobs_look_at (rp_jobs_t *self, rp_jobs_service_t *service, int64_t due);

/*  How many more attempts may be active.  */
uint32_t rp_jobs_room (rp_jobs_t *self, rp_jobs_service_t *service);

/*  A row that is not in memory is behind the horizon from now on.  */
void rp_jobs_leave_behind (rp_jobs_t *self, rp_jobs_service_t *service, rp_job_key_t key);

rp_job_t *rp_job_find (const rp_jobs_t *self, uint64_t id);

/*  Gives a job the id under which the store has it. False when out of memory.  */
bool rp_job_name (rp_jobs_t *self, rp_job_t *job, uint64_t id);

/*  Takes a job out of memory. Its row remains.  */
void rp_job_forget (rp_jobs_t *self, rp_job_t *job);

rp_job_t *rp_job_new (rp_jobs_t *self, rp_jobs_service_t *service);

/*  Changes the state, checks the transition, and keeps what is counted of jobs that wait and run. A job that begins to
    wait is among those of its service already.  */
void rp_job_set_state (rp_jobs_t *self, rp_job_t *job, rp_job_step_t state);

/*  Takes an active job out of memory, and lets the service go on.  */
void rp_job_leave (rp_jobs_t *self, rp_job_t *job);

/*  Puts a job, which has a payload and a row with this due time, among those that wait in memory. False
    when out of memory.  */
bool rp_job_keep (rp_jobs_t *self, rp_job_t *job);

/*  A job with its payload waits in memory; without room there, it is a row only. Its state is one without
    a place in a list.  */
void rp_job_wait (rp_jobs_t *self, rp_job_t *job);

/*  Gives the attempt that has been noted to the core.  */
void rp_job_start (rp_jobs_t *self, rp_job_t *job);

/*  Writes the final of a job that is waits, or has just been answered. Text and headers are static, or in
    the payload.  */
void rp_job_write_final (rp_jobs_t *self, rp_job_t *job);

/*  Writes that an attempt came to nothing, and when the next one is due.  */
void rp_job_write_park (rp_jobs_t *self, rp_job_t *job);

void rp_job_set_text (rp_job_t *job, const char *text);

/*  Ends a job that waits, with a status of the broker's own.  */
void rp_job_end_waiting (rp_jobs_t *self, rp_job_t *job, rp_status_t status, const char *text);

/*  Ends a job that is a row only, with a status of the broker's own. False when out of memory.  */
bool rp_job_end_row (
  rp_jobs_t *self, const rp_store_row_t *row, rp_status_t status, const char *text);

/*  Puts a job that waits off, until this time.  */
void rp_job_put_off (rp_jobs_t *self, rp_job_t *job, int64_t due);

/*  The core had no room for an attempt of the service, which wrote it for nothing: from now on few are tried at a
    time, twice as many after each pause in which none was refused.  */
void rp_jobs_hold_back (rp_jobs_t *self, rp_jobs_service_t *service);

/*  An attempt of the service is written while it is held back.  */
void rp_jobs_share (rp_jobs_t *self, rp_jobs_service_t *service);

/*  Notes the next attempt of a job that waits.  */
void rp_job_claim (rp_jobs_t *self, rp_job_t *job);

/*  An attempt has failed: another one follows after a pause, or the job is dead. job->status and text say
    why.  */
void rp_job_fail (rp_jobs_t *self, rp_job_t *job);

/*  Returns why no more jobs may be open for this service; NULL if they may.  */
const char *rp_jobs_over_limit (const rp_jobs_t *self, const char *service, size_t size);

void rp_jobs_find_for (rp_jobs_t *self, const rp_jobs_waiter_t *waiter);

/*  The row of a job that somebody asks for has come.  */
void rp_jobs_found (rp_jobs_t *self, rp_jobs_waiter_t *waiter, const rp_stored_t *stored);

/*  The store has removed the job of a question, or not.  */
void rp_jobs_removed (rp_jobs_t *self, rp_jobs_waiter_t *waiter, rp_stored_outcome_t outcome);

/*  A job has its final: answers those who wait for it, with the reply where there is one.  */
void rp_jobs_tell_waiters (rp_jobs_t *self, const rp_job_t *job, rp_payload_t *reply);

/*  Answers with the row in hand.  */
void rp_jobs_answer_rows (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_jobs_what_t what);

void rp_jobs_loaded (rp_jobs_t *self,
  const rp_jobs_pending_t *pending,
  const rp_stored_t *stored,
  rp_payload_t *const *payloads);

/*  Begins the attempts for which there is room, loads what comes next, and sets when to look again.  */
void rp_jobs_serve (rp_jobs_t *self, rp_jobs_service_t *service);

/*  Ends the wait of those who have waited long enough: they learn how the job is.  */
void rp_jobs_end_patience (rp_jobs_t *self);

/*  What this broker had is another's: forgets it, and begins again. Questions that wait go on waiting.  */
void rp_jobs_lose (rp_jobs_t *self);

/*  The store is about to say how many jobs are open: what was accepted before is among them. What it has not written yet,
    and what is counted for as long as it is here, is not.  */
void rp_jobs_count_anew (rp_jobs_t *self);

/*  News tells of jobs that another broker has ended: they are not open any more, and a worker that has one is stopped.  */
void rp_jobs_drop_ended (rp_jobs_t *self, const rp_store_rows_t *rows);

/*  Asks which services have jobs: at the beginning all that do, and for jobs that ran; then those that were another
    broker's.  */
void rp_jobs_list_services (rp_jobs_t *self);

/*  Asks for a page of the jobs behind this one that ran when the broker ended, or another that had them. Several lists
    may be on their way at once: a job that is in memory already is not taken twice.  */
void rp_jobs_list_running (rp_jobs_t *self, uint64_t after);

/*  What found no space is written again.  */
void rp_jobs_write_again (rp_jobs_t *self);

#endif
