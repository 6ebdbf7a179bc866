/*  Store operations: what the core has written to and read from the store of jobs, and what the store
    answers.

    SPDX-License-Identifier: MPL-2.0

    Source: broker/store/store.h carries them out. A job is a request that the store keeps. It waits,
    is given to a worker (an attempt), waits again after an attempt that failed, and ends once, with
    its final. Plain data; the core reads no clock, so all times come with the operation: µs since
    1970 by the wall clock, which mean the same after a restart.

    An operation lies in an action, its body (of a job, or of a final) is that action's payload. What
    an operation points to must be valid until the action is carried out; the store copies it. The
    core numbers operations 1, 2, 3, …; results come back in that order, one for each operation.

    Thread-safety: none.
*/

#ifndef RP_STORE_OP_H
#define RP_STORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Bytes of a key that a client gives a job, so that asking again makes no second job.  */
#define RP_STORE_KEY_MAX 127u
/*  A digest of a body, by which another body under the same key is noticed.  */
#define RP_STORE_DIGEST 16u
/*  Rows that one LOAD or LIST may ask for.  */
#define RP_STORE_ROWS_MAX 10000u
/*  Bytes of a body, of all frames: no row of SQLite may have 10^9.  */
#define RP_STORE_BODY_MAX (768u << 20)
/*  What each frame of a body but the first takes in memory beside its bytes: libzmq's message, and often a block of
    its own.  */
#define RP_STORE_FRAME 128u
/*  A time that never comes.  */
#define RP_STORE_NEVER INT64_MAX

/*  Kinds of operations: name, whether it writes, text.

        PUT       a new job
        ATTEMPT   the job is given to a worker
        PARK      its attempt failed, or did not begin; the job waits until `due`
        FINAL     its one end
        RETRY     a new job like a dead one, which is dead no more. The new one has its key, and its
                  deadline as long after `at`. One row: the new job with its body
        REMOVE    removes a job that is done, with its final
        PURGE     removes dead jobs
        LOAD      this broker's jobs of a service that wait, and those that ran when the store was opened, with
                  bodies, by (due, id)
        FIND      one job, with its attempts, and body and final unless they are left out
        LIST      jobs by id, without bodies
        SERVICES  services with open jobs. After the opening of a store, before the first LOAD. With `news`:
                  only of jobs that were another broker's, and have been taken over since the last one; and the
                  jobs of this broker that another one has ended
        KEY       whether the key of a job has one already: as PUT, but for another key ABSENT
        BROKERS   those that have the database, or had it of late; of a file none
*/
#define RP_STORE_MAP(X)                                                                            \
    X (PUT, true, "put")                                                                           \
    X (ATTEMPT, true, "attempt")                                                                   \
    X (PARK, true, "park")                                                                         \
    X (FINAL, true, "final")                                                                       \
    X (RETRY, true, "retry")                                                                       \
    X (REMOVE, true, "remove")                                                                     \
    X (PURGE, true, "purge")                                                                       \
    X (LOAD, false, "load")                                                                        \
    X (FIND, false, "find")                                                                        \
    X (LIST, false, "list")                                                                        \
    X (SERVICES, false, "services")                                                                \
    X (KEY, false, "key")                                                                          \
    X (BROKERS, false, "brokers")

typedef enum {
#define RP_STORE_ENUM(name, writes, text) RP_STORE_##name,
    RP_STORE_MAP (RP_STORE_ENUM)
#undef RP_STORE_ENUM
      RP_STORE_KIND_COUNT
} rp_store_kind_t;

/*  How an operation came out.

        SAFE      done, and on disk if it writes
        KNOWN     PUT, KEY: the key has a job with the same digest. Nothing was written. PUT: one row, that
                  job as by FIND, without what that may leave out
        MISMATCH  PUT, KEY: the key has a job with another digest. Nothing was written. `id` is that job's
        ALREADY   ATTEMPT, PARK, FINAL: the job has ended before. Nothing was written
        ABSENT    no such job, or it is not dead (RETRY, PURGE) or done (REMOVE), or none has the key (KEY).
                  Nothing was written
        LOST      what this broker had is another's, since it could not be heard for too long. Nothing was
                  written. All operations draw it up to a SERVICES without `news`, with which the owner
                  begins again
        FULL      no space on the disk. Nothing was written; the same operation may be submitted again
        AWAY      the database is not reachable. Nothing was written; the same operation may be submitted again
        BUSY      too much waits to be written. Nothing was written; only for PUT and what reads
        TOO_LARGE PUT, FINAL: the body is over RP_STORE_BODY_MAX. Nothing was written
        BROKEN    the disk has failed. Whether it was written shows at the next start. All operations
                  after it are BROKEN too; the broker must end
*/
#define RP_STORED_MAP(X)                                                                           \
    X (SAFE, "safe")                                                                               \
    X (KNOWN, "known")                                                                             \
    X (MISMATCH, "mismatch")                                                                       \
    X (ALREADY, "already")                                                                         \
    X (ABSENT, "absent")                                                                           \
    X (LOST, "lost")                                                                               \
    X (FULL, "full")                                                                               \
    X (AWAY, "away")                                                                               \
    X (BUSY, "busy")                                                                               \
    X (TOO_LARGE, "too large")                                                                     \
    X (BROKEN, "broken")

typedef enum {
#define RP_STORED_ENUM(name, text) RP_STORED_##name,
    RP_STORED_MAP (RP_STORED_ENUM)
#undef RP_STORED_ENUM
      RP_STORED_COUNT
} rp_stored_outcome_t;

/*  True if nothing was written, and the same operation may be submitted again after a pause.  */
static inline bool rp_stored_is_for_later (rp_stored_outcome_t outcome)
{
    return outcome == RP_STORED_FULL || outcome == RP_STORED_AWAY;
}

/*  WAITING and RUNNING are open. Any: as a filter of LIST.  */
typedef enum {
    RP_JOB_ANY,
    RP_JOB_WAITING,
    RP_JOB_RUNNING, /* its latest attempt has not ended, as far as the store knows */
    RP_JOB_DONE,
    RP_JOB_DEAD,    /* ended without an answer, and kept with its attempts */
    RP_JOB_OVERDUE, /* as a filter of LIST: WAITING, and its deadline is `before` or earlier */
} rp_job_state_t;

/*  What FIND leaves out, where it is not wanted, since it may be large: the frames of the body, and of the final too.  */
typedef enum {
    RP_STORE_LEAVE_NOTHING,
    RP_STORE_LEAVE_BODY,
    RP_STORE_LEAVE_FRAMES
} rp_store_leave_t;

/*  Flags of a job. Its not_before is an instant by the wall clock; and, from this bit on, by how many seconds the
    times at which jobs are due were ahead of that clock when it was accepted (broker/jobs/jobs_state.h).  */
#define RP_JOB_FLAG_INSTANT 1u
#define RP_JOB_FLAG_AHEAD 2u

/*  What makes ids of the numbers of a store's jobs (broker/jobs/job_id.h).  */
typedef struct {
    uint32_t key[4];
    uint64_t plain; /* numbers up to this one were told before there was a secret */
} rp_store_secret_t;

/*  Bytes that somebody else owns.  */
typedef struct {
    const void *data;
    size_t size;
} rp_store_span_t;

/*  What does not change in a job. Texts need no NUL. A size that is too large for its field's limit
    is a bug of the caller.  */
typedef struct {
    rp_store_span_t service;   /* RP_WIRE_NAME_MAX */
    rp_store_span_t principal; /* RP_PRINCIPAL_MAX */
    /*  RP_STORE_KEY_MAX; of size 0: none. Unique for a service and a principal, as long as the job is
        kept.  */
    rp_store_span_t key;
    rp_store_span_t headers; /* RP_WIRE_HEADERS_MAX */
    uint8_t digest[RP_STORE_DIGEST];
    int64_t accepted;
    int64_t not_before; /* 0: at once */
    int64_t deadline;   /* RP_STORE_NEVER: none */
    uint64_t parent;    /* by RETRY: the job of which this is a new life; 0: none */
    uint32_t attempt_timeout_ms;
    uint32_t backoff_ms;
    uint64_t keep_ms; /* how long its final is kept */
    uint32_t flags;   /* of the jobs (RP_JOB_FLAG_…); the store keeps them */
    uint8_t attempts;
} rp_store_job_t;

/*  An operation. Fields that a kind does not name are 0.  */
typedef struct {
    uint64_t number;
    uint8_t kind; /* rp_store_kind_t */
    /*  ATTEMPT: its number, from 1. PUT: the same if the job is given to `worker` at once, so that
        PUT and ATTEMPT are one; otherwise 0. PARK: attempts that count from now on. FINAL: attempts
        made. RETRY: attempts allowed, or 0: as before  */
    uint8_t attempt;
    uint8_t status; /* PARK: why the attempt failed. FINAL. An rp_status_t */
    uint8_t state;  /* LIST: only jobs in this state, an rp_job_state_t */
    bool dead;      /* FINAL: the job is dead */
    /*  PARK: the attempt is not listed, because it never began  */
    bool unbegun;
    uint8_t leaves; /* FIND: an rp_store_leave_t */
    union {
        /*  LIST of what is RUNNING: only jobs of this broker that ran when SERVICES told of them. Those that are OVERDUE
            are always its own  */
        bool own;
        bool news;  /* SERVICES */
        bool other; /* FINAL: whoever has the job is told as news that it has ended */
    };
    uint16_t rows; /* LOAD, LIST, PURGE: at most so many; 0: RP_STORE_ROWS_MAX */
    /*  the job; PURGE: 0 is all dead ones of the service. LIST, LOAD: after this id (and `after`)  */
    uint64_t id;
    union {
        int64_t at;    /* ATTEMPT, PARK, FINAL, RETRY: when */
        int64_t after; /* LOAD: after this due time, and id */
    };
    union {
        /*  PUT, PARK, RETRY: when the job is due. PUT: 0 is its not_before, or when it was accepted  */
        int64_t due;
        int64_t until;  /* FINAL: when the job may be cleaned up */
        int64_t before; /* LOAD: due at this time at the latest. LIST: see RP_JOB_OVERDUE */
    };
    union {
        uint32_t code;  /* FINAL: of the worker's reply */
        uint32_t bytes; /* LOAD: of bodies and headers, at most; but one row at least */
    };
    uint16_t text_size;
    uint16_t headers_size;
    /*  PARK: why. FINAL: text of the reply, or why the job has no answer. LOAD, LIST, PURGE: the
        service; of size 0: all (LOAD needs one)  */
    const char *text;
    union {
        const rp_store_job_t *job; /* PUT; KEY: service, principal, key and digest */
        const uint8_t *headers;    /* FINAL: of the worker's reply */
    };
    /*  PUT, ATTEMPT, or once it is known, PARK, FINAL: its name for people, NUL-terminated; or NULL  */
    const char *worker;
} rp_store_op_t;

_Static_assert(sizeof (rp_store_op_t) <= 80, "an action has room for an rp_head_t");

/*  ---- Results --------------------------------------------------------------------------------- */

/*  One attempt that has failed, or of an open job the one that runs (ended is 0).  */
typedef struct {
    int64_t started;
    int64_t ended;
    rp_store_span_t worker;
    rp_store_span_t text; /* why */
    uint8_t number;
    uint8_t status;
} rp_store_attempt_t;

/*  A job as it is kept. Texts have a NUL behind them.  */
typedef struct {
    uint64_t id;
    rp_store_job_t job;
    rp_job_state_t state;
    uint8_t attempt;    /* attempts that count, with the one that runs */
    int64_t due;        /* open */
    uint64_t elsewhere; /* FIND: open, and of another broker, or not told of as news; otherwise 0 */
    uint64_t body_bytes;
    /*  frames of the body; not in LIST, nor where FIND leaves it out. A body of no frames has 0  */
    rp_store_span_t *body;
    uint32_t body_count;
    uint32_t reply_count;
    rp_store_span_t *reply; /* ended; not in LIST */
    /*  ended  */
    int64_t ended;
    int64_t until;
    uint64_t reply_bytes;
    uint64_t child; /* the job that RETRY made of it; 0: none */
    rp_store_span_t text;
    rp_store_span_t reply_headers;
    uint32_t code;
    uint8_t status;
    /*  FIND: attempts, oldest first. Otherwise the latest one of a job that runs, or none  */
    rp_store_attempt_t *attempts;
    size_t attempt_count;
} rp_store_row_t;

typedef struct {
    rp_store_span_t service;
    uint64_t waiting;
    uint64_t running;
    int64_t due; /* of the first that LOAD gives; RP_STORE_NEVER: none */
} rp_store_service_t;

/*  A job of this broker that another one has ended, with FINAL and `other`. Each is told once.  */
typedef struct {
    uint64_t id;
    rp_store_span_t service;
} rp_store_ended_t;

/*  A broker that has the database, as that tells: instants by the database's clock.  */
typedef struct {
    uint64_t id;
    uint64_t epoch;
    uint64_t holder;           /* the broker that has its jobs */
    uint64_t jobs;             /* that it accepted and that are open */
    rp_store_span_t endpoints; /* of size 0: not known */
    rp_store_span_t host;
    int64_t joined;
    int64_t lease_until;
    int64_t adopted; /* when its jobs were taken over; 0: never */
    bool more;       /* it has more jobs than were counted */
    bool alive;      /* its lease has not ended */
    bool self;       /* who was asked */
} rp_store_broker_t;

/*  Rows of a result, with everything that they point to.  */
typedef struct rp_store_rows {
    size_t count; /* of jobs */
    rp_store_row_t *jobs;
    size_t service_count;
    rp_store_service_t *services;
    size_t broker_count;
    rp_store_broker_t *brokers;
    size_t ended_count; /* of SERVICES with `news` */
    rp_store_ended_t *ended;
} rp_store_rows_t;

typedef struct {
    uint64_t number;
    rp_store_kind_t kind;
    rp_stored_outcome_t outcome;
    uint64_t id;    /* of the job */
    uint64_t count; /* PURGE: jobs removed */
    uint32_t flags; /* SERVICES: of the last job that was put */
    bool noted;     /* ALREADY, ABSENT: news tells that the job has ended, or has told it */
    bool adopted;   /* SERVICES: all jobs that it tells of were another broker's */
    /*  LOAD, LIST, PURGE: there is more. LOAD: `due` of the first row that was left, and of the first
        after `before` otherwise; RP_STORE_NEVER if there is none. LIST: ask on after `id`  */
    bool more;
    int64_t due;
    rp_store_rows_t *rows; /* KNOWN, RETRY, FIND, LOAD, LIST, SERVICES, BROKERS; otherwise NULL */
    void *kept;            /* what came with rp_store_submit */
} rp_stored_t;

#endif
