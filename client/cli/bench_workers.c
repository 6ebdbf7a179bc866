/*  riposte bench: the command's own workers.

    SPDX-License-Identifier: MPL-2.0

    Each worker has a thread, a connection, and enough slots to hide a round trip. Workers and
    clients share the one I/O thread of the process, so the most that a broker can do shows only
    with workers in other processes.
*/

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <riposte/worker.h>

#include "client/cli/bench.h"
#include "common/base/check.h"
#include "common/io/clock.h"

#define S_SLOTS 256u
#define S_SECOND_US 1000000
/*  An interrupt is seen this much later.  */
#define S_SLICE_US 100000

typedef struct {
    rp_bench_workers_t *all;
    rp_worker_t *worker;
    pthread_t thread;
    bool ready;
} s_worker_t;

struct rp_bench_workers {
    size_t count;
    size_t started;
    sem_t ready;        /* posted by each worker when it is registered */
    atomic_int refusal; /* what rp_worker_run returned when the first worker ended; RP_OK: none
                           has */
    s_worker_t items[];
};

static void s_notice (const char *text, void *arg)
{
    s_worker_t *self = arg;
    if (self->ready || strncmp (text, "registered ", 11) != 0)
        return;
    self->ready = true;
    sem_post (&self->all->ready);
}

static void s_echo (rp_task_t **task_p, void *arg)
{
    (void) arg;
    // RP_CLOSED means that the reply is no longer wanted; after any other error the library ends
    // the task.
    (void) rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

static void *s_run (void *arg)
{
    s_worker_t *self = arg;
    int rc = rp_worker_run (self->worker, s_echo, NULL);
    if (rc != RP_OK)
        atomic_store (&self->all->refusal, rc);
    return NULL;
}

/*  Returns 0 or an errno.  */
static int s_start (s_worker_t *self, const rp_cli_options_t *options, const char *service)
{
    self->worker = rp_worker_new (options->server, service);
    if (!self->worker)
        return errno;
    // The clients have taken the same keys, so a file can only have changed meanwhile.
    if ((options->key_file && rp_worker_set_key_file (self->worker, options->key_file) != RP_OK)
        || (options->server_key
            && rp_worker_set_server_key (self->worker, options->server_key) != RP_OK)) {
        rp_worker_destroy (&self->worker);
        return EINVAL;
    }
    (void) rp_worker_set_slots (self->worker, S_SLOTS);
    (void) rp_worker_on_notice (self->worker, s_notice, self);
    sigset_t all;
    sigset_t before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    int error = pthread_create (&self->thread, NULL, s_run, self);
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    if (error != 0)
        rp_worker_destroy (&self->worker);
    return error;
}

/*  RP_OK when every worker is registered; otherwise the first error.  */
static int s_wait (rp_bench_workers_t *self, int64_t until)
{
    for (size_t ready = 0; ready < self->count;) {
        if (rp_cli_interrupted ())
            return RP_INTERRUPTED;
        int refusal = atomic_load (&self->refusal);
        if (refusal != RP_OK)
            return refusal;
        int64_t now = rp_clock_us ();
        if (now >= until)
            return RP_TIMED_OUT;
        int64_t slice = until - now > S_SLICE_US ? now + S_SLICE_US : until;
        struct timespec at = {.tv_sec = slice / S_SECOND_US, .tv_nsec = slice % S_SECOND_US * 1000};
        ready += sem_clockwait (&self->ready, CLOCK_MONOTONIC, &at) == 0;
    }
    return RP_OK;
}

/*  Writes that not all workers were registered, and why. Returns the exit code.  */
static int s_tell_failure (const rp_cli_t *cli, rp_bench_workers_t *self, int status, int reason)
{
    char why[512] = "";
    if (status == RP_SYSTEM)
        snprintf (why, sizeof why, "%s", strerror (reason));
    for (size_t index = 0; index < self->started && *why == '\0'; index++)
        (void) rp_worker_last_error (self->items[index].worker, why, sizeof why);
    rp_error_t error = {.status = status,
      .why = *why ? why : "not all of --workers were registered",
      .server = cli->options.server,
      .next = "use fewer --workers, or see the broker's log"};
    return rp_cli_tell (cli, &error);
}

rp_bench_workers_t *rp_bench_workers_start (
  const rp_cli_t *cli, const char *service, size_t count, int *code)
{
    rp_bench_workers_t *self = calloc (1, sizeof *self + count * sizeof *self->items);
    if (!self)
        rp_output_no_memory ();
    self->count = count;
    RP_CHECK (sem_init (&self->ready, 0, 0) == 0);
    int error = 0;
    while (self->started < count && error == 0) {
        self->items[self->started].all = self;
        error = s_start (&self->items[self->started], &cli->options, service);
        self->started += error == 0;
    }
    int status = error ? RP_SYSTEM : s_wait (self, rp_clock_us () + cli->options.timeout);
    if (status == RP_OK)
        return self;
    *code = s_tell_failure (cli, self, status, error);
    rp_bench_workers_stop (&self);
    return NULL;
}

void rp_bench_workers_stop (rp_bench_workers_t **self_p)
{
    rp_bench_workers_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    for (size_t index = 0; index < self->started; index++)
        rp_worker_stop (self->items[index].worker);
    for (size_t index = 0; index < self->started; index++) {
        pthread_join (self->items[index].thread, NULL);
        rp_worker_destroy (&self->items[index].worker);
    }
    sem_destroy (&self->ready);
    free (self);
}
