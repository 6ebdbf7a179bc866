/*  riposte bench: connects the clients of all protocols and runs their phases; the clients of the
    native protocol.

    SPDX-License-Identifier: MPL-2.0

    Closed loop: each client keeps a number of requests open, and sends the next when one has ended.
    Its latency hides a stall, during which no request is sent.

    Open loop (--rate): requests are due on a schedule that does not depend on replies. Latency
    counts from the time a request was due, not from the time it was sent, so a stall counts in
    full. Replies go to callbacks, so that the client's thread only keeps the schedule.
*/

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "client/cli/bench.h"
#include "client/cli/progress.h"
#include "common/base/check.h"
#include "common/base/units.h"
#include "common/io/clock.h"

/*  An interrupt is seen this much later.  */
#define S_SLICE_US 100000
#define S_SLICE_MS 100
/*  Time from the start of a phase to its first request, in which all threads start.  */
#define S_LEAD_US 5000
#define S_SECOND_US 1000000

/*  Takes a permit, if there is one within S_SLICE_MS.  */
static bool s_take (sem_t *permits)
{
    if (sem_trywait (permits) == 0)
        return true;
    int64_t until = rp_clock_us () + S_SLICE_US;
    struct timespec at = {.tv_sec = until / S_SECOND_US, .tv_nsec = until % S_SECOND_US * 1000};
    return sem_clockwait (permits, CLOCK_MONOTONIC, &at) == 0;
}

/*  ---- One request ---------------------------------------------------------------------------- */

/*  start: when the request was due, or sent.  */
static void s_submit (rp_bench_client_t *self, int64_t start, rp_callback_fn *callback)
{
    const rp_bench_t *bench = self->bench;
    rp_call_t *call = rp_call_new (bench->service, bench->body, bench->size);
    if (!call)
        rp_output_no_memory ();                 // rp_cli_service has checked the name
    (void) rp_cli_set_terms (bench->cli, call); // they were looked at
    rp_call_set_tag (call, (void *) (uintptr_t) (start - bench->begin));
    if (callback)
        (void) rp_call_set_callback (call, callback, self);
    if (rp_client_submit (self->client, &call, NULL) != RP_OK)
        rp_output_no_memory (); // never RP_FULL: at most max_open requests are open
}

static void s_note (rp_bench_client_t *self, rp_reply_t *reply, int64_t now)
{
    const rp_bench_t *bench = self->bench;
    if (rp_reply_status (reply) == RP_OK) {
        // A pointer need not have 64 bits; the difference is right for at least an hour.
        uintptr_t took = (uintptr_t) (now - bench->begin) - (uintptr_t) rp_reply_tag (reply);
        rp_bench_note_ok (self, now - (int64_t) took, now);
    }
    else {
        rp_error_t error = rp_error_of (reply, bench->service, bench->cli->options.server);
        rp_bench_note_failure (self, &error, now);
    }
    rp_reply_destroy (&reply);
}

/*  ---- Closed loop ---------------------------------------------------------------------------- */

static void *s_closed (void *arg)
{
    rp_bench_client_t *self = arg;
    rp_bench_t *bench = self->bench;
    uint32_t open = 0;
    int64_t now = rp_bench_sleep (bench, bench->begin);
    for (; open < bench->inflight && rp_bench_may_begin (bench, now); open++) {
        s_submit (self, now, NULL);
        now = rp_clock_us ();
    }
    while (open > 0 && !rp_bench_stops (bench)) {
        rp_reply_t *reply = NULL;
        if (rp_client_collect (self->client, S_SLICE_MS, &reply) != RP_OK)
            continue;
        now = rp_clock_us ();
        s_note (self, reply, now);
        if (rp_bench_may_begin (bench, now))
            s_submit (self, now, NULL);
        else
            open--;
    }
    sem_post (&bench->over);
    return NULL;
}

/*  ---- Open loop ------------------------------------------------------------------------------ */

static void s_ended (rp_reply_t *reply, void *arg)
{
    rp_bench_client_t *self = arg;
    if (rp_bench_stops (self->bench))
        rp_reply_destroy (&reply);
    else
        s_note (self, reply, rp_clock_us ());
    sem_post (&self->room);
}

/*  Waits until all permits are back: then no request is open.  */
static void s_wait_for_all (rp_bench_client_t *self)
{
    rp_bench_t *bench = self->bench;
    uint32_t taken = 0;
    while (taken < bench->inflight && !rp_bench_stops (bench))
        taken += s_take (&self->room);
    while (taken-- > 0)
        sem_post (&self->room);
    // The semaphore orders the callbacks before this, but gcc's thread sanitizer cannot see it.
    (void) atomic_load_explicit (&self->ended, memory_order_acquire);
}

static void *s_open (void *arg)
{
    rp_bench_client_t *self = arg;
    rp_bench_t *bench = self->bench;
    // By default the kernel wakes threads up to 50 µs late, which would be in every latency.
    (void) prctl (PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    for (uint64_t number = self->number; bench->count == 0 || number < bench->count;
         number += bench->client_count) {
        int64_t due = rp_bench_due (bench, number);
        if (due >= bench->end)
            break;
        int64_t now = rp_bench_sleep (bench, due);
        bool room = false;
        while (!rp_bench_stops (bench) && !rp_bench_is_too_late (bench, now)
               && !(room = s_take (&self->room)))
            now = rp_clock_us ();
        if (rp_bench_stops (bench))
            break;
        if (room)
            s_submit (self, due, s_ended);
        else
            self->counts.unsent++;
    }
    s_wait_for_all (self);
    sem_post (&bench->over);
    return NULL;
}

/*  ---- A phase -------------------------------------------------------------------------------- */

static uint64_t s_sum_ended (const rp_bench_t *self)
{
    uint64_t sum = 0;
    for (size_t index = 0; index < self->client_count; index++)
        sum += atomic_load_explicit (&self->clients[index].ended, memory_order_relaxed);
    return sum;
}

static void s_show_progress (const rp_bench_t *self, rp_progress_t *progress, const char *what)
{
    int64_t passed = rp_clock_us () - self->begin;
    if (passed <= 0)
        return;
    char line[160];
    char time[RP_UNITS_TEXT_MAX];
    uint64_t ended = s_sum_ended (self);
    snprintf (line, sizeof line, "%s  %s  %" PRIu64 " requests  %.0f/s", what,
      rp_duration_format (time, passed), ended, (double) ended * S_SECOND_US / (double) passed);
    rp_progress_line (progress, line);
}

/*  Waits for this many threads to end, and passes an interrupt on to them.  */
static void s_wait_for_threads (rp_bench_t *self, size_t count, const char *what)
{
    rp_progress_t progress;
    rp_progress_begin_alone (&progress, self->cli->options.quiet);
    while (count > 0) {
        count -= s_take (&self->over);
        if (rp_cli_interrupted ())
            atomic_store (&self->stop, true);
        s_show_progress (self, &progress, what);
    }
    rp_progress_clear (&progress);
}

static void s_forget (rp_bench_client_t *self)
{
    free ((char *) (uintptr_t) self->counts.failure.hint); // made by s_copy
    free ((char *) (uintptr_t) self->counts.failure.why);
    memset (&self->counts, 0, sizeof self->counts);
    atomic_store (&self->ended, 0);
}

/*  Starts the threads, with every signal blocked. Returns how many; *error is 0 or an errno.  */
static size_t s_start_threads (rp_bench_t *self, int *error)
{
    sigset_t all;
    sigset_t before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    size_t count = 0;
    *error = 0;
    while (count < self->client_count && *error == 0) {
        rp_bench_client_t *client = &self->clients[count];
        void *(*run) (void *) = self->rate > 0 ? s_open : s_closed;
        *error =
          pthread_create (&client->thread, NULL, client->mdp ? rp_bench_mdp_run : run, client);
        count += *error == 0;
    }
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    return count;
}

/*  Returns how long the phase took, including the time until the next request would have been
    due.  */
static int64_t s_elapsed (const rp_bench_t *self)
{
    if (rp_bench_stops (self))
        return rp_clock_us () - self->begin;
    int64_t last = self->end;
    if (self->count > 0)
        last = self->rate > 0 ? rp_bench_due (self, self->count) : self->begin;
    for (size_t index = 0; index < self->client_count; index++)
        if (self->clients[index].counts.last > last)
            last = self->clients[index].counts.last;
    return last - self->begin;
}

int rp_bench_run (rp_bench_t *self, int64_t duration, uint64_t count, const char *what)
{
    for (size_t index = 0; index < self->client_count; index++)
        s_forget (&self->clients[index]);
    self->begin = rp_clock_us () + S_LEAD_US;
    self->end = count > 0 ? INT64_MAX : self->begin + duration;
    self->count = count;
    atomic_store (&self->taken, 0);

    int error;
    size_t started = s_start_threads (self, &error);
    if (error != 0)
        atomic_store (&self->stop, true);
    s_wait_for_threads (self, started, what);
    for (size_t index = 0; index < started; index++)
        pthread_join (self->clients[index].thread, NULL);
    self->elapsed = s_elapsed (self);
    if (error == 0)
        return 0;
    rp_error_t failure = {.status = RP_SYSTEM,
      .why = strerror (error),
      .server = self->cli->options.server,
      .next = "use fewer --clients"};
    return rp_cli_tell (self->cli, &failure);
}

/*  ---- Connections ---------------------------------------------------------------------------- */

int rp_bench_connect (rp_bench_t *self)
{
    rp_cli_t *cli = self->cli;
    int code = 0;
    for (size_t index = 0; index < self->client_count && code == 0; index++) {
        rp_bench_client_t *client = &self->clients[index];
        if (cli->options.protocol == RP_BENCH_MDP01) {
            client->mdp = rp_bench_mdp_new (cli, self->inflight, &code);
            continue;
        }
        code = rp_cli_connect (cli, self->inflight);
        client->client = cli->client;
        cli->client = NULL;
    }
    return code;
}

void rp_bench_disconnect (rp_bench_t *self)
{
    for (size_t index = 0; index < self->client_count; index++) {
        rp_client_destroy (&self->clients[index].client);
        rp_bench_mdp_destroy (&self->clients[index].mdp);
    }
}

/*  ---- Life ----------------------------------------------------------------------------------- */

void rp_bench_init (rp_bench_t *self, rp_cli_t *cli, const char *service)
{
    const rp_cli_options_t *options = &cli->options;
    *self = (rp_bench_t){.cli = cli,
      .service = service,
      .size = options->size,
      .inflight = (uint32_t) options->inflight,
      .rate = options->rate,
      .client_count = options->clients};
    self->body = malloc (self->size + 1);
    self->clients = calloc (self->client_count, sizeof *self->clients);
    if (!self->body || !self->clients)
        rp_output_no_memory ();
    memset (self->body, 'x', self->size);
    RP_CHECK (sem_init (&self->over, 0, 0) == 0);
    for (size_t index = 0; index < self->client_count; index++) {
        self->clients[index].bench = self;
        self->clients[index].number = index;
        RP_CHECK (sem_init (&self->clients[index].room, 0, self->inflight) == 0);
    }
}

void rp_bench_clear (rp_bench_t *self)
{
    rp_bench_disconnect (self);
    for (size_t index = 0; index < self->client_count; index++) {
        s_forget (&self->clients[index]);
        sem_destroy (&self->clients[index].room);
    }
    sem_destroy (&self->over);
    free (self->clients);
    free (self->body);
}
