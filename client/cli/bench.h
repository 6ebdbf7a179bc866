/*  riposte bench: what its files share.

    SPDX-License-Identifier: MPL-2.0

    bench.c is the command, bench_load.c the clients, bench_mdp.c those of another protocol,
    bench_phase.c what both ask of the phase,
    bench_workers.c the workers of its own, bench_report.c what is written, bench_plot.c the
    picture.

    A run is a phase that warms up, then the phase that counts. In a phase every client has a thread
    of its own and a connection of its own, which both phases share; it ends when every request that
    was sent in it has ended, so that nothing slow is left out.

    Thread-safety: the functions are for the main thread. While a phase runs, a client is its
    thread's, and with --rate what it counts its callbacks'; only what is atomic is for others.
*/

#ifndef RP_BENCH_H
#define RP_BENCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "client/cli/answers.h"
#include "client/cli/cli.h"
#include "common/tool/histogram.h"

/*  Statuses of requests are smaller.  */
#define RP_BENCH_STATUSES RP_ANSWERS_STATUSES

/*  What one client has seen in a phase, or all of them.  */
typedef struct {
    rp_histogram_t times; /* of requests that ended with OK */
    uint64_t failed[RP_BENCH_STATUSES];
    uint64_t unsent;    /* were due, and the end came first */
    int64_t last;       /* when the last one ended, µs; 0: none did */
    rp_error_t failure; /* the first; status RP_OK: there is none. It owns hint and why */
} rp_bench_counts_t;

typedef struct rp_bench rp_bench_t;
typedef struct rp_bench_mdp rp_bench_mdp_t;

/*  What the clients speak: the index in the choices of --protocol.  */
typedef enum {
    RP_BENCH_NATIVE,
    RP_BENCH_MDP01,
} rp_bench_protocol_t;

typedef struct {
    rp_bench_t *bench;
    size_t number;
    rp_client_t *client; /* NULL: not connected, or of another protocol */
    rp_bench_mdp_t *mdp; /* NULL: not connected, or native */
    pthread_t thread;
    sem_t room; /* with --rate: as many as may still be opened */
    rp_bench_counts_t counts;
    atomic_uint_fast64_t ended; /* in this phase; for the progress */
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
    int64_t end;    /* no request is due from then on; INT64_MAX: the count says when */
    uint64_t count; /* requests of all clients; 0: the end says when */
    int64_t elapsed;
    atomic_uint_fast64_t taken; /* of the count, in a closed loop */
    atomic_bool stop;           /* an interrupt: whatever is open does not count any more */
    sem_t over;                 /* once for each client's thread that has ended */
};

/*  Takes what the options say; to be cleared. Connects nothing yet.  */
void rp_bench_init (rp_bench_t *self, rp_cli_t *cli, const char *service);
void rp_bench_clear (rp_bench_t *self);

/*  Connects every client. Returns 0, or the exit code after it has told why.  */
int rp_bench_connect (rp_bench_t *self);

/*  Runs one phase, of that duration (µs) or, if it is not 0, that count; what the phase before it
    counted is forgotten. what says for the progress what it does. Returns 0, also after an
    interrupt, or the exit code after it has told why.  */
int rp_bench_run (rp_bench_t *self, int64_t duration, uint64_t count, const char *what);

/*  Ends the connections; what is open is withdrawn, and not counted. Only then may what the clients
    counted be read after an interrupt.  */
void rp_bench_disconnect (rp_bench_t *self);

/*  ---- The phase, for the clients of all protocols (bench_phase.c) -------------------------  */

/*  Whether the phase is to end at once.  */
bool rp_bench_stops (const rp_bench_t *self);

/*  Returns the time, which is not before until, unless the run stops.  */
int64_t rp_bench_sleep (const rp_bench_t *self, int64_t until);

/*  Closed loop: whether one more request is due. To be asked once for each.  */
bool rp_bench_may_begin (rp_bench_t *self, int64_t now);

/*  Open loop: the clients take the schedule in turns. Request number n is due n / rate seconds
    after the begin.  */
int64_t rp_bench_due (const rp_bench_t *self, uint64_t number);

/*  Open loop: whether what is due and was not sent is not to be sent any more.  */
bool rp_bench_is_too_late (const rp_bench_t *self, int64_t now);

/*  A request has ended. error is copied; start: when it was due, or sent.  */
void rp_bench_note_ok (rp_bench_client_t *self, int64_t start, int64_t now);
void rp_bench_note_failure (rp_bench_client_t *self, const rp_error_t *error, int64_t now);

/*  ---- MDP 0.1 (bench_mdp.c) ---------------------------------------------------------------  */

/*  Connects a client that has so many requests open. NULL after it has told why: *code is the exit
    code.  */
rp_bench_mdp_t *rp_bench_mdp_new (const rp_cli_t *cli, uint32_t inflight, int *code);
void rp_bench_mdp_destroy (rp_bench_mdp_t **self_p);

/*  The thread of a client, an rp_bench_client_t.  */
void *rp_bench_mdp_run (void *arg);

/*  ---- Report (bench_report.c) -------------------------------------------------------------  */

/*  What all clients counted in the last phase. hint and why stay theirs.  */
void rp_bench_sum (const rp_bench_t *self, rp_bench_counts_t *sum);

/*  How many requests failed.  */
uint64_t rp_bench_failed (const rp_bench_counts_t *counts);

/*  Writes the result as the options want it.  */
void rp_bench_report (const rp_bench_t *self, const rp_bench_counts_t *counts);

/*  ---- Workers (bench_workers.c) -----------------------------------------------------------  */

typedef struct rp_bench_workers rp_bench_workers_t;

/*  Starts count workers that send back what they get, each in a thread of its own, and waits until
    a broker has registered them. NULL after it has told why: *code is the exit code.  */
rp_bench_workers_t *rp_bench_workers_start (
  const rp_cli_t *cli, const char *service, size_t count, int *code);

/*  Ends them. Nulls *self_p; NULL is allowed.  */
void rp_bench_workers_stop (rp_bench_workers_t **self_p);

/*  ---- Plot (bench_plot.c) -----------------------------------------------------------------  */

/*  True if gnuplot can be run.  */
bool rp_bench_can_plot (void);

/*  Has gnuplot draw latency by percentile into an open file. Returns 0, or the exit code after it
    has told why.  */
int rp_bench_plot (int file, const char *title, const rp_histogram_t *times);

#endif
