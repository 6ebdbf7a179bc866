/*  riposte bench: writes the result.

    SPDX-License-Identifier: MPL-2.0

    The keys of the JSON object are documented in the manual page and docs/OPERATIONS.md, and stay.
*/

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/bench.h"
#include "common/base/units.h"

#define S_SECOND_US 1e6
/*  Below this rate, its decimals matter.  */
#define S_WHOLE_RATE 100

typedef struct {
    const char *key;
    const char *title;
    uint32_t thousandths; /* of a percent; 0: the largest */
} s_percentile_t;

static const s_percentile_t s_percentiles[] = {
  {"p50", "p50", 50000},
  {"p90", "p90", 90000},
  {"p99", "p99", 99000},
  {"p999", "p99.9", 99900},
  {"max", "max", 0},
};
#define S_PERCENTILES (sizeof s_percentiles / sizeof *s_percentiles)

void rp_bench_sum (const rp_bench_t *self, rp_bench_counts_t *sum)
{
    memset (sum, 0, sizeof *sum);
    for (size_t index = 0; index < self->client_count; index++) {
        const rp_bench_counts_t *counts = &self->clients[index].counts;
        rp_histogram_merge (&sum->times, &counts->times);
        for (int status = 0; status < RP_BENCH_STATUSES; status++)
            sum->failed[status] += counts->failed[status];
        sum->unsent += counts->unsent;
        if (sum->failure.status == RP_OK)
            sum->failure = counts->failure;
    }
}

uint64_t rp_bench_failed (const rp_bench_counts_t *counts)
{
    uint64_t sum = 0;
    for (int status = 0; status < RP_BENCH_STATUSES; status++)
        sum += counts->failed[status];
    return sum;
}

static double s_rate (const rp_bench_t *self, const rp_bench_counts_t *counts)
{
    return self->elapsed > 0 ? (double) counts->times.count * S_SECOND_US / (double) self->elapsed
                             : 0;
}

static uint64_t s_time (const rp_bench_counts_t *counts, const s_percentile_t *percentile)
{
    return percentile->thousandths > 0
             ? rp_histogram_percentile (&counts->times, percentile->thousandths)
             : counts->times.max;
}

static uint64_t s_requests (const rp_bench_counts_t *counts)
{
    return counts->times.count + rp_bench_failed (counts);
}

/*  ---- JSON ----------------------------------------------------------------------------------- */

static void s_set_count (json_t *object, const char *key, uint64_t value)
{
    rp_output_set (object, key, json_integer ((json_int_t) value));
}

static void s_write_json (const rp_bench_t *self, const rp_bench_counts_t *counts)
{
    json_t *object = json_object ();
    json_t *failed = json_object ();
    json_t *times = json_object ();
    for (int status = 0; status < RP_BENCH_STATUSES; status++)
        if (counts->failed[status] > 0)
            s_set_count (failed, rp_status_name (status), counts->failed[status]);
    for (size_t index = 0; index < S_PERCENTILES; index++) {
        uint64_t time = s_time (counts, &s_percentiles[index]);
        rp_output_set (times, s_percentiles[index].key,
          counts->times.count > 0 ? json_integer ((json_int_t) time) : json_null ());
    }
    rp_output_set (object, "service", rp_output_text (self->service));
    bool native = self->cli->options.protocol == RP_BENCH_NATIVE;
    rp_output_set (object, "protocol", json_string (native ? "native" : "mdp01"));
    rp_output_set (object, "loop", json_string (self->rate > 0 ? "open" : "closed"));
    s_set_count (object, "clients", self->client_count);
    s_set_count (object, "inflight", self->inflight);
    rp_output_set (
      object, "asked_rate", self->rate > 0 ? json_integer ((json_int_t) self->rate) : json_null ());
    s_set_count (object, "workers", self->cli->options.workers);
    s_set_count (object, "size", self->size);
    rp_output_set (object, "duration_s", json_real ((double) self->elapsed / S_SECOND_US));
    rp_output_set (object, "rate", json_real (s_rate (self, counts)));
    s_set_count (object, "requests", s_requests (counts));
    rp_output_set (object, "failed", failed);
    s_set_count (object, "unsent", counts->unsent);
    rp_output_set (object, "latency_us", times);
    if (counts->failure.status != RP_OK)
        rp_output_set (object, "error", rp_error_json (&counts->failure));
    rp_output_json ((rp_output_t) self->cli->options.output, object);
}

/*  ---- CSV and table -------------------------------------------------------------------------- */

static void s_write_csv (const rp_bench_t *self, const rp_bench_counts_t *counts)
{
    puts ("duration_s,rate,requests,failed,unsent,p50_us,p90_us,p99_us,p999_us,max_us");
    printf ("%.6f,%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64, (double) self->elapsed / S_SECOND_US,
      s_rate (self, counts), s_requests (counts), rp_bench_failed (counts), counts->unsent);
    for (size_t index = 0; index < S_PERCENTILES; index++)
        if (counts->times.count > 0)
            printf (",%" PRIu64, s_time (counts, &s_percentiles[index]));
        else
            putchar (',');
    putchar ('\n');
}

static void s_write_failures (const rp_bench_counts_t *counts)
{
    uint64_t failed = rp_bench_failed (counts);
    printf ("failed    %" PRIu64, failed);
    const char *joint = ": ";
    for (int status = 0; status < RP_BENCH_STATUSES; status++)
        if (counts->failed[status] > 0) {
            printf ("%s%s %" PRIu64, joint, rp_status_name (status), counts->failed[status]);
            joint = ", ";
        }
    putchar ('\n');
}

static void s_write_table (const rp_bench_t *self, const rp_bench_counts_t *counts)
{
    char text[RP_UNITS_TEXT_MAX];
    double rate = s_rate (self, counts);
    printf (
      "%srate      %.*f/s%s", self->cli->out.bold, rate < S_WHOLE_RATE, rate, self->cli->out.reset);
    if (self->rate > 0)
        printf (" of %" PRIu64 "/s asked for", self->rate);
    printf ("  (%" PRIu64 " requests in %s)\n", s_requests (counts),
      rp_duration_format (text, self->elapsed));
    fputs ("latency ", stdout);
    for (size_t index = 0; index < S_PERCENTILES; index++) {
        int64_t time = (int64_t) s_time (counts, &s_percentiles[index]);
        printf ("  %s %s", s_percentiles[index].title,
          counts->times.count > 0 ? rp_duration_format (text, time) : "-");
    }
    putchar ('\n');
    s_write_failures (counts);
}

/*  ---- All ------------------------------------------------------------------------------------ */

void rp_bench_report (const rp_bench_t *self, const rp_bench_counts_t *counts)
{
    if (rp_cli_writes_json (self->cli))
        s_write_json (self, counts);
    else if (self->cli->options.output == RP_OUTPUT_CSV)
        s_write_csv (self, counts);
    else
        s_write_table (self, counts);
    fflush (stdout); // keeps the order of both outputs on one terminal
    if (counts->unsent > 0)
        fprintf (stderr,
          "riposte: %" PRIu64 " more requests were due, and no time was left for them; "
          "ask for a lower --rate\n",
          counts->unsent);
    if (counts->failure.status != RP_OK && !rp_cli_writes_json (self->cli))
        rp_cli_tell_line (self->cli, "the first that failed: ", &counts->failure);
}
