/*  riposte bench: the phase that every client runs in, and the counts of each client.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>
#include <time.h>

#include "client/cli/bench.h"
#include "common/io/clock.h"

/*  An interrupt is seen this much later.  */
#define S_SLICE_US 100000
/*  With --rate and a duration: how late a request may still be sent after the end.  */
#define S_LATE_US 1000000
#define S_SECOND_US 1000000

bool rp_bench_stops (const rp_bench_t *self)
{
    return atomic_load (&self->stop);
}

int64_t rp_bench_sleep (const rp_bench_t *self, int64_t until)
{
    int64_t now;
    while ((now = rp_clock_us ()) < until && !rp_bench_stops (self)) {
        int64_t next = until - now > S_SLICE_US ? now + S_SLICE_US : until;
        struct timespec at = {.tv_sec = next / S_SECOND_US, .tv_nsec = next % S_SECOND_US * 1000};
        (void) clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    return now;
}

bool rp_bench_may_begin (rp_bench_t *self, int64_t now)
{
    if (self->count > 0)
        return atomic_fetch_add_explicit (&self->taken, 1, memory_order_relaxed) < self->count;
    return now < self->end;
}

int64_t rp_bench_due (const rp_bench_t *self, uint64_t number)
{
    return self->begin + (int64_t) ((double) number * S_SECOND_US / (double) self->rate);
}

bool rp_bench_is_too_late (const rp_bench_t *self, int64_t now)
{
    return self->count == 0 && now >= self->end + S_LATE_US;
}

static char *s_copy (const char *text)
{
    char *copy = text ? strdup (text) : NULL;
    if (text && !copy)
        rp_output_no_memory ();
    return copy;
}

static void s_note_end (rp_bench_client_t *self, int64_t now)
{
    self->counts.last = now;
    atomic_fetch_add_explicit (&self->ended, 1, memory_order_release);
}

void rp_bench_note_ok (rp_bench_client_t *self, int64_t start, int64_t now)
{
    rp_histogram_record (&self->counts.times, (uint64_t) (now - start));
    s_note_end (self, now);
}

void rp_bench_note_failure (rp_bench_client_t *self, const rp_error_t *error, int64_t now)
{
    rp_bench_counts_t *counts = &self->counts;
    int status = error->status;
    counts->failed[status >= 0 && status < RP_BENCH_STATUSES ? status : 0]++;
    s_note_end (self, now);
    if (counts->failure.status != RP_OK)
        return;
    counts->failure = *error;
    counts->failure.hint = s_copy (error->hint);
    counts->failure.why = s_copy (error->why);
}
