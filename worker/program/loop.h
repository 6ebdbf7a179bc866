/*  The event loop of riposte-worker: tasks, child processes and signals on one thread.

    SPDX-License-Identifier: MPL-2.0

    A slot runs one task at a time with a child process. What differs between a process per request
    (exec.c) and one that stays (persistent.c) is a runner: a table of functions.

    The loop ends a child whose task is cancelled, with TERM and later KILL, and reaps it. It waits
    only in poll.
*/

#ifndef RP_LOOP_H
#define RP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/worker.h>

#include "common/tool/log_limit.h"
#include "worker/program/buffer.h"
#include "worker/program/child.h"
#include "worker/program/life.h"
#include "worker/program/trial.h"
#include "worker/program/worker_options.h"

typedef struct {
    rp_child_t child;
    rp_buffer_t input;  /* what the child's stdin is to get */
    rp_buffer_t output; /* what its stdout gave */
    rp_task_t *task;    /* NULL: idle */
    uint64_t lives;     /* how many children that stay have ended */
    rp_life_t life;     /* of a child that stays */
    uint64_t owed;      /* id of a request that has ended and that the child has still to answer */
    bool broke;         /* the child was ended for what it said */
} rp_slot_t;

typedef struct rp_loop rp_loop_t;

typedef struct {
    /*  True if the slot can run the task now.  */
    bool (*suits) (rp_loop_t *loop, const rp_slot_t *slot, const rp_task_t *task);
    /*  Begins slot->task.  */
    void (*begin) (rp_loop_t *loop, rp_slot_t *slot);
    /*  stdout has given something, or has ended.  */
    void (*output) (rp_loop_t *loop, rp_slot_t *slot, rp_child_read_t how);
    /*  How many bytes of stdout may be read now, SIZE_MAX: to the limit of a reply; may be NULL: the same. What the
        child has written before it exited is read in any case.  */
    size_t (*room) (const rp_loop_t *loop, const rp_slot_t *slot);
    /*  stdin has taken all of slot->input.  */
    void (*written) (rp_loop_t *loop, rp_slot_t *slot);
    /*  The child has exited; everything it said was read.  */
    void (*exited) (rp_loop_t *loop, rp_slot_t *slot, int status);
    /*  How many requests can be begun now; *fails: the pending tasks are to be given back, since
        none can begin soon.  */
    uint32_t (*ready) (const rp_loop_t *loop, bool *fails);
    /*  Without a child: starts one if that is due. With a child: checks its limit. May be NULL.  */
    void (*tick) (rp_loop_t *loop, rp_slot_t *slot);
    /*  slot->task is cancelled. True if the runner has ended the task and the child lives on; may
        be NULL.  */
    bool (*outlives) (rp_loop_t *loop, rp_slot_t *slot);
    /*  When tick is due for a slot; may be NULL.  */
    int64_t (*next) (const rp_loop_t *loop, const rp_slot_t *slot);
    /*  True if a task has no slot that could ever run it: the runner has ended it.  */
    bool (*orphaned) (rp_loop_t *loop, rp_task_t **task_p);
    /*  A conversation has ended.  */
    void (*ended) (rp_loop_t *loop, uint64_t conversation);
    size_t output_extra; /* bytes that stdout may have besides a reply's body */
} rp_runner_t;

struct rp_loop {
    const rp_worker_options_t *settings;
    const rp_runner_t *runner;
    void *state; /* the runner's own */
    rp_worker_t *worker;
    rp_slot_t *slots; /* settings->slots of them */
    rp_task_t **pending;
    size_t pending_count;
    size_t pending_capacity;
    size_t output_limit;
    rp_trial_t trial;     /* of a command per request */
    rp_log_limit_t limit; /* of lines about what failed */
    uint32_t ready;       /* as the worker was told */
    char why[256];        /* what failed last */
    int64_t now;
    int signal_fd;
    int worker_fd;
    int signals; /* how many asked it to end */
    int status;  /* how the worker ended; RP_TIMED_OUT while it has not */
    bool broken; /* out of memory or descriptors: this process ends */
};

/*  Serves until drained, stopped or refused. brokers is how many the worker can be registered with. Returns
    the program's exit code.  */
int rp_loop_run (const rp_worker_options_t *settings,
  const rp_runner_t *runner,
  void *state,
  rp_worker_t *worker,
  size_t brokers,
  int signal_fd);

/*  Ends slot->task with a reply, an error of the application, or by giving it back.  */
void rp_loop_reply (rp_loop_t *loop, rp_slot_t *slot, const void *body, size_t size);
void rp_loop_fail (
  rp_loop_t *loop, rp_slot_t *slot, uint32_t code, const char *text, const void *body, size_t size);
void rp_loop_abandon (rp_loop_t *loop, rp_task_t **task_p, const char *text);

/*  The exit status of a command, and the number of an error, that asks for another attempt of a job:
    EX_TEMPFAIL of sysexits.h. To other requests it is an error like any.  */
#define RP_LOOP_RETRY 75u

/*  Ends slot->task with an error of the application; or, of a job, with another attempt if code is
    RP_LOOP_RETRY.  */
void rp_loop_fail_or_retry (
  rp_loop_t *loop, rp_slot_t *slot, uint32_t code, const char *text, const void *body, size_t size);

/*  Gives back a task that never began: its broker gives it to another worker.  */
void rp_loop_decline (rp_loop_t *loop, rp_task_t **task_p, const char *text);

/*  One line about something that failed, at a bounded rate.  */
void rp_loop_complain (rp_loop_t *loop, const char *text);

/*  Only with -q: says why the worker could not serve. Without -q, a notice has said it.  */
void rp_loop_refused (const rp_worker_options_t *settings, rp_worker_t *worker);

/*  One line on stderr, unless -q was given.  */
void rp_loop_say (const rp_worker_options_t *settings, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

#endif
