/*  riposte bench: the types and functions that its files share.

    SPDX-License-Identifier: MPL-2.0

    bench.c is the command; bench_load.c runs the phases, and has the native clients, bench_mdp.c
    those of Majordomo; bench_phase.c has what both ask and count during a phase. bench_workers.c
    has the command's own workers, bench_report.c the report, bench_plot.c the plot.

    A run has two phases: one to warm up, then the one that counts. Each client has a thread per
    phase, and a connection that both phases share. A phase ends when every request sent in it has
    ended, so that slow requests count.

    Thread-safety: the functions are for the main thread. While a phase runs, a client belongs to
    its thread, and with --rate its counts to its callbacks; other threads use only the atomic
    members.
*/

#ifndef RP_BENCH_H
#define RP_BENCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "client/cli/answers.h"
#include "client/cli/cli.h"
#include "common/tool/histogram.h"

/*  Statuses of requests are smaller than this.  */
#define RP_BENCH_STATUSES RP_ANSWERS_STATUSES

/*  The counts of one client in a phase, or of all clients.  */
typedef struct {
    rp_histogram_t times; /* of requests that ended with OK */
    uint64_t failed[RP_BENCH_STATUSES];
    uint64_t unsent;    /* requests that were due, and not sent before the end */
    int64_t last;       /* when the last request ended, µs; 0: none did */
    rp_error_t failure; /* the first error; status RP_OK: none. Owns hint and why */
} rp_bench_counts_t;

typedef struct rp_bench rp_bench_t;
typedef struct rp_bench_mdp rp_bench_mdp_t;

/*  The protocol of the clients: the index in the choices of --protocol.  */
typedef enum {
    RP_BENCH_NATIVE,
    RP_BENCH_MDP01,
} rp_bench_protocol_t;

typedef struct {
    rp_bench_t *bench;
    size_t number;
    rp_client_t *client; /* NULL: not connected, or another protocol */
    rp_bench_mdp_t *mdp; /* NULL: not connected, or the native protocol */
    pthread_t thread;
    sem_t room; /* with --rate: how many requests may still be opened */
    rp_bench_counts_t counts;
    atomic_uint_fast64_t ended; /* requests ended in this phase; for the progress */
} rp_bench_client_t;

struct rp_bench {
    rp_cli_t *cli;
    const char *service;
    char *body;
    size_t size;
    uint32_t inflight; /* requests that one client may have open */
    uint64_t rate;     /* requests due per second, of all clients; 0: closed loop */
    size_t client_count;
    rp_bench_client_t *clients;

    /*  The phase.  */
    int64_t begin;
    int64_t end;    /* no request is due from then on; INT64_MAX: count ends the phase */
    uint64_t count; /* requests of all clients; 0: end ends the phase */
    int64_t elapsed;
    atomic_uint_fast64_t taken; /* requests taken off count, in a closed loop */
    atomic_bool stop;           /* an interrupt: requests still open do not count */
    sem_t over;                 /* posted by each client's thread at its end */
};

/*  Takes the values of the options; does not connect. To be cleared with rp_bench_clear.  */
void rp_bench_init (rp_bench_t *self, rp_cli_t *cli, const char *service);
void rp_bench_clear (rp_bench_t *self);

/*  Connects every client. Returns 0, or the exit code after an error was written.  */
int rp_bench_connect (rp_bench_t *self);

/*  Runs one phase for duration (µs) or, if count is not 0, for that many requests; resets the
    counts first. what names the phase in the progress. Returns 0, also after an interrupt, or the
    exit code after an error was written.  */
int rp_bench_run (rp_bench_t *self, int64_t duration, uint64_t count, const char *what);

/*  Closes the connections; open requests are cancelled, and not counted. After an interrupt, the
    counts may be read only after this.  */
void rp_bench_disconnect (rp_bench_t *self);

/*  ---- The phase, for the clients of all protocols (bench_phase.c) -------------------------  */

/*  True if the phase has to end at once.  */
bool rp_bench_stops (const rp_bench_t *self);

/*  Sleeps until the given time, or until the run stops. Returns the time.  */
int64_t rp_bench_sleep (const rp_bench_t *self, int64_t until);

/*  Closed loop: true if one more request is due. To be called once for each request.  */
bool rp_bench_may_begin (rp_bench_t *self, int64_t now);

/*  Open loop: when a request is due: number / rate seconds after the begin. The clients take the
    numbers in turns.  */
int64_t rp_bench_due (const rp_bench_t *self, uint64_t number);

/*  Open loop: true if overdue requests are not to be sent any more.  */
bool rp_bench_is_too_late (const rp_bench_t *self, int64_t now);

/*  A request has ended. start: when it was due, or sent. error is copied.  */
void rp_bench_note_ok (rp_bench_client_t *self, int64_t start, int64_t now);
void rp_bench_note_failure (rp_bench_client_t *self, const rp_error_t *error, int64_t now);

/*  ---- MDP 0.1 (bench_mdp.c) ---------------------------------------------------------------  */

/*  Connects a client that can have `inflight` requests open. NULL after an error was written: *code
    is the exit code.  */
rp_bench_mdp_t *rp_bench_mdp_new (const rp_cli_t *cli, uint32_t inflight, int *code);
void rp_bench_mdp_destroy (rp_bench_mdp_t **self_p);

/*  The thread of a client; arg is an rp_bench_client_t.  */
void *rp_bench_mdp_run (void *arg);

/*  ---- Report (bench_report.c) -------------------------------------------------------------  */

/*  Adds the counts of all clients in the last phase. The clients go on owning hint and why.  */
void rp_bench_sum (const rp_bench_t *self, rp_bench_counts_t *sum);

/*  Returns the number of requests that failed.  */
uint64_t rp_bench_failed (const rp_bench_counts_t *counts);

/*  Writes the result in the format of the options.  */
void rp_bench_report (const rp_bench_t *self, const rp_bench_counts_t *counts);

/*  ---- Workers (bench_workers.c) -----------------------------------------------------------  */

typedef struct rp_bench_workers rp_bench_workers_t;

/*  Starts count workers that return each body, each in a thread of its own, and waits until a
    broker has registered all of them. NULL after an error was written: *code is the exit code.  */
rp_bench_workers_t *rp_bench_workers_start (
  const rp_cli_t *cli, const char *service, size_t count, int *code);

/*  Ends the workers. Nulls *self_p; NULL is allowed.  */
void rp_bench_workers_stop (rp_bench_workers_t **self_p);

/*  ---- Plot (bench_plot.c) -----------------------------------------------------------------  */

/*  True if gnuplot can be run.  */
bool rp_bench_can_plot (void);

/*  Makes gnuplot draw the latency by percentile into an open file. Returns 0, or the exit code
    after an error was written.  */
int rp_bench_plot (int file, const char *title, const rp_histogram_t *times);

#endif
