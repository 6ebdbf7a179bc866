/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/prometheus.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <riposte/error.h>
#include <zmq.h>

#include "broker/admin/exposition.h"
#include "common/base/version.h"

/*  ---- Services ------------------------------------------------------------------------------- */

static void s_gauge_of_services (rp_exposition_t *out,
  const rp_snapshot_t *snapshot,
  const char *name,
  const char *help,
  uint64_t (*value) (const rp_service_info_t *info))
{
    char label[RP_EXPOSITION_LABEL_MAX];
    rp_exposition_head (out, name, "gauge", help);
    for (size_t index = 0; index < snapshot->service_count; index++) {
        const rp_service_info_t *info = &snapshot->services[index].info;
        rp_exposition_begin (out, name, "", rp_exposition_label (info->name, label));
        rp_exposition_end (out, value (info));
    }
}

static uint64_t s_waiting (const rp_service_info_t *info)
{
    return info->waiting;
}

static uint64_t s_running (const rp_service_info_t *info)
{
    return info->running;
}

static void s_oldest (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    char label[RP_EXPOSITION_LABEL_MAX];
    rp_exposition_head (
      out, "riposte_oldest_waiting_seconds", "gauge", "Age of the oldest waiting request.");
    for (size_t index = 0; index < snapshot->service_count; index++) {
        const rp_service_info_t *info = &snapshot->services[index].info;
        rp_exposition_begin (
          out, "riposte_oldest_waiting_seconds", "", rp_exposition_label (info->name, label));
        rp_exposition_end_seconds (out, (uint64_t) info->oldest_us);
    }
}

/*  The workers of a service by state. busy: it holds as many requests as its window.  */
typedef struct {
    const char *service;
    uint64_t idle;
    uint64_t busy;
    uint64_t draining;
} s_states_t;

static void s_count_worker (s_states_t *states, const rp_worker_info_t *info)
{
    if (info->draining)
        states->draining++;
    else if (info->running + info->abandoned >= info->window)
        states->busy++;
    else
        states->idle++;
}

static int s_by_service (const void *one, const void *other)
{
    const rp_snapshot_worker_t *const *a = one;
    const rp_snapshot_worker_t *const *b = other;
    return strcmp ((*a)->info.service, (*b)->info.service);
}

static void s_write_state (
  rp_exposition_t *out, const char *service, const char *state, uint64_t workers)
{
    char label[RP_EXPOSITION_LABEL_MAX];
    rp_exposition_begin (out, "riposte_workers", "", rp_exposition_label (service, label));
    rp_exposition_add (out, "state", state);
    rp_exposition_end (out, workers);
}

static void s_write_states (rp_exposition_t *out, const s_states_t *states)
{
    s_write_state (out, states->service, "idle", states->idle);
    s_write_state (out, states->service, "busy", states->busy);
    s_write_state (out, states->service, "draining", states->draining);
}

static void s_workers (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    const rp_snapshot_worker_t **sorted = calloc (snapshot->worker_count + 1, sizeof *sorted);
    rp_exposition_head (out, "riposte_workers", "gauge", "Workers by what they do.");
    if (!sorted)
        return;
    for (size_t index = 0; index < snapshot->worker_count; index++)
        sorted[index] = &snapshot->workers[index];
    qsort (sorted, snapshot->worker_count, sizeof *sorted, s_by_service);
    s_states_t states = {0};
    for (size_t index = 0; index < snapshot->worker_count; index++) {
        const rp_worker_info_t *info = &sorted[index]->info;
        if (states.service && strcmp (states.service, info->service) != 0) {
            s_write_states (out, &states);
            states = (s_states_t){0};
        }
        states.service = info->service;
        s_count_worker (&states, info);
    }
    if (states.service)
        s_write_states (out, &states);
    free (sorted);
}

/*  The bounds of a kind of histograms, as the values of labels with what follows them.  */
#define S_BOUNDS_MAX RP_SPREAD_BOUNDS
typedef struct {
    size_t count;
    struct {
        char text[24];
        size_t size;
    } of[S_BOUNDS_MAX];
} s_bounds_t;

/*  Fractional or with ".0", as OpenMetrics wants them.  */
static void s_write_bounds (s_bounds_t *bounds, const uint32_t *values, size_t count, double unit)
{
    bounds->count = count;
    for (size_t bound = 0; bound < count; bound++) {
        double value = (double) values[bound] / unit;
        const char *format = value == (double) (uint32_t) value ? "%.1f\"} " : "%g\"} ";
        bounds->of[bound].size =
          (size_t) snprintf (bounds->of[bound].text, sizeof bounds->of[bound].text, format, value);
    }
}

/*  Joins texts, of which there are thousands: printf takes ten times as long. Returns the size.  */
static size_t s_join (
  char *to, const char *one, const char *two, const char *three, const char *four)
{
    char *at = stpcpy (stpcpy (stpcpy (stpcpy (to, one), two), three), four);
    return (size_t) (at - to);
}

/*  Room for NAME_bucket{KEY="LABEL",le="  */
#define S_BUCKET_MAX (96 + RP_EXPOSITION_LABEL_MAX)

/*  Writes one histogram but for its sum: how many values there are up to each bound, and at all. These lines are
    nearly all that there are. labels: KEY="LABEL"  */
static void s_buckets (rp_exposition_t *out,
  const char *name,
  const char *labels,
  const uint64_t *counts,
  uint64_t all,
  const s_bounds_t *bounds)
{
    char bucket[S_BUCKET_MAX];
    size_t size = s_join (bucket, name, "_bucket{", labels, ",le=\"");
    for (size_t bound = 0; bound < bounds->count; bound++) {
        rp_sheet_write (&out->sheet, bucket, size);
        rp_sheet_write (&out->sheet, bounds->of[bound].text, bounds->of[bound].size);
        rp_sheet_number (&out->sheet, counts[bound]);
        rp_sheet_write (&out->sheet, "\n", 1);
    }
    rp_sheet_write (&out->sheet, bucket, size);
    rp_sheet_text (&out->sheet, "+Inf\"");
    rp_exposition_end (out, all);
    rp_sheet_text (&out->sheet, name);
    rp_sheet_text (&out->sheet, "_count{");
    rp_sheet_text (&out->sheet, labels);
    rp_exposition_end (out, all);
    rp_sheet_text (&out->sheet, name);
    rp_sheet_text (&out->sheet, "_sum{");
    rp_sheet_text (&out->sheet, labels);
}

static void s_spread (rp_exposition_t *out,
  const char *name,
  const char *labels,
  const rp_compact_spread_t *from,
  const s_bounds_t *bounds)
{
    uint64_t counts[RP_SPREAD_BOUNDS];
    uint64_t all = rp_spread_cumulate_part (from->counts, from->first, from->size, counts);
    s_buckets (out, name, labels, counts, all, bounds);
    rp_exposition_end_seconds (out, from->sum);
}

typedef struct {
    const char *name;
    const char *help;
    size_t offset; /* of what it shows in the figures */
} s_histogram_t;

static const s_histogram_t s_spreads[] = {
  {"riposte_request_duration_seconds", "Time from acceptance to the end of requests.",
    offsetof (rp_compact_figures_t, total)},
  {"riposte_queue_wait_seconds", "Time that requests waited for a worker.",
    offsetof (rp_compact_figures_t, queue)},
  {"riposte_worker_duration_seconds", "Time that requests were with a worker.",
    offsetof (rp_compact_figures_t, work)},
};

static const s_histogram_t s_octaves[] = {
  {"riposte_request_bytes", "Bodies and headers of requests that ended.",
    offsetof (rp_compact_figures_t, request_bytes)},
  {"riposte_reply_bytes",
    "Bodies of replies. One that was passed on in parts is in the bucket of its last part; the sum "
    "has all parts.",
    offsetof (rp_compact_figures_t, reply_bytes)},
};

/*  Room for service="LABEL"  */
#define S_LABELS_MAX (sizeof "service=\"\"" + RP_EXPOSITION_LABEL_MAX)

static const char *s_service (const char *name, char labels[S_LABELS_MAX])
{
    char label[RP_EXPOSITION_LABEL_MAX];
    (void) s_join (labels, "service=\"", rp_exposition_label (name, label), "\"", "");
    return labels;
}

static void s_durations (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    char labels[S_LABELS_MAX];
    s_bounds_t bounds;
    s_write_bounds (&bounds, rp_spread_bounds, RP_SPREAD_BOUNDS, 1e6);
    for (size_t which = 0; which < sizeof s_spreads / sizeof *s_spreads; which++) {
        const s_histogram_t *one = &s_spreads[which];
        rp_exposition_head (out, one->name, "histogram", one->help);
        for (size_t index = 0; index < snapshot->figure_count; index++) {
            const char *figures = (const char *) snapshot->figures[index];
            s_spread (out, one->name, s_service (snapshot->figures[index]->name, labels),
              (const rp_compact_spread_t *) (figures + one->offset), &bounds);
        }
    }
    rp_exposition_head (out, "riposte_loop_lag_seconds", "histogram",
      "Turns of the loop: how late it may look at what comes during one.");
    const rp_compact_spread_t turns = {
      .sum = snapshot->turns.sum, .counts = snapshot->turns.counts, .size = RP_SPREAD_BUCKETS};
    s_spread (out, "riposte_loop_lag_seconds", "thread=\"broker\"", &turns, &bounds);
}

static void s_sizes (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    char labels[S_LABELS_MAX];
    s_bounds_t bounds;
    s_write_bounds (&bounds, rp_octaves_bounds, RP_OCTAVES_BOUNDS, 1);
    for (size_t which = 0; which < sizeof s_octaves / sizeof *s_octaves; which++) {
        const s_histogram_t *one = &s_octaves[which];
        rp_exposition_head (out, one->name, "histogram", one->help);
        for (size_t index = 0; index < snapshot->figure_count; index++) {
            const char *figures = (const char *) snapshot->figures[index];
            const rp_compact_octaves_t *octaves =
              (const rp_compact_octaves_t *) (figures + one->offset);
            s_buckets (out, one->name, s_service (snapshot->figures[index]->name, labels),
              octaves->up_to, octaves->all, &bounds);
            rp_exposition_end (out, octaves->sum);
        }
    }
}

static void s_counter_of_services (rp_exposition_t *out,
  const rp_snapshot_t *snapshot,
  const char *name,
  const char *help,
  size_t offset)
{
    char label[RP_EXPOSITION_LABEL_MAX];
    rp_exposition_head (out, name, "counter", help);
    for (size_t index = 0; index < snapshot->figure_count; index++) {
        const rp_compact_figures_t *figures = snapshot->figures[index];
        rp_exposition_begin (out, name, "", rp_exposition_label (figures->name, label));
        rp_exposition_end (out, *(const uint64_t *) ((const char *) figures + offset));
    }
}

/*  What is counted for each service; services without a name of their own are _other.  */
static void s_figures (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    char label[RP_EXPOSITION_LABEL_MAX];
    rp_exposition_head (
      out, "riposte_requests_total", "counter", "Requests that ended, by service and status.");
    for (size_t index = 0; index < snapshot->figure_count; index++) {
        const rp_compact_figures_t *figures = snapshot->figures[index];
        for (int status = 0; status < RP_FINAL_COUNT; status++)
            if (figures->final[status] > 0 || status == RP_OK) {
                rp_exposition_begin (
                  out, "riposte_requests_total", "", rp_exposition_label (figures->name, label));
                rp_exposition_add (out, "status", rp_status_name (status));
                rp_exposition_end (out, figures->final[status]);
            }
    }
    s_durations (out, snapshot);
    s_sizes (out, snapshot);
    s_counter_of_services (out, snapshot, "riposte_workers_lost_total",
      "Workers whose sessions ended without a word.",
      offsetof (rp_compact_figures_t, workers_lost));
    s_counter_of_services (out, snapshot, "riposte_redeliveries_total",
      "Requests given to another worker after one was lost.",
      offsetof (rp_compact_figures_t, redeliveries));
}

static void s_services (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    s_gauge_of_services (
      out, snapshot, "riposte_requests_waiting", "Requests that wait for a worker.", s_waiting);
    s_gauge_of_services (
      out, snapshot, "riposte_requests_running", "Requests that workers have.", s_running);
    s_oldest (out, snapshot);
    s_workers (out, snapshot);
}

/*  ---- The broker ----------------------------------------------------------------------------- */

static void s_finals (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    rp_exposition_head (out, "riposte_finals_total", "counter", "Requests that ended, by status.");
    for (int status = 0; status < RP_FINAL_COUNT; status++)
        rp_sheet_print (&out->sheet, "riposte_finals_total{status=\"%s\"} %" PRIu64 "\n",
          rp_status_name (status), snapshot->stats.final[status]);
    rp_exposition_head (out, "riposte_unanswered_total", "counter",
      "Requests that ended without a word to their client.");
    for (int status = 0; status < RP_FINAL_COUNT; status++)
        rp_sheet_print (&out->sheet, "riposte_unanswered_total{status=\"%s\"} %" PRIu64 "\n",
          rp_status_name (status), snapshot->stats.unanswered[status]);
}

static void s_bad (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    rp_exposition_head (out, "riposte_bad_messages_total", "counter",
      "Messages that break a protocol, by what is wrong.");
#define S_BAD(name, text)                                                                          \
    if (RP_WIRE_ERROR_##name != RP_WIRE_ERROR_NONE)                                                \
        rp_sheet_print (&out->sheet, "riposte_bad_messages_total{kind=\"%s\"} %" PRIu64 "\n",      \
          #name, snapshot->stats.bad[RP_WIRE_ERROR_##name]);
    RP_WIRE_ERROR_MAP (S_BAD)
#undef S_BAD
}

/*  Foreign sessions that the core has not admitted yet are in no count of the core: then none is left over.  */
static uint64_t s_others (uint64_t all, uint64_t some)
{
    return all > some ? all - some : 0;
}

static void s_sessions (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    uint64_t clients[RP_DIALECT_COUNT], workers[RP_DIALECT_COUNT];
    clients[RP_DIALECT_NATIVE] = snapshot->counts.clients;
    workers[RP_DIALECT_NATIVE] = snapshot->counts.workers;
    for (int dialect = RP_DIALECT_NATIVE + 1; dialect < RP_DIALECT_COUNT; dialect++) {
        workers[dialect] = snapshot->foreign.workers[dialect];
        clients[dialect] = snapshot->foreign.there[dialect] - workers[dialect];
        workers[RP_DIALECT_NATIVE] = s_others (workers[RP_DIALECT_NATIVE], workers[dialect]);
        clients[RP_DIALECT_NATIVE] = s_others (clients[RP_DIALECT_NATIVE], clients[dialect]);
    }
    rp_exposition_head (out, "riposte_sessions", "gauge", "Sessions, by protocol and role.");
#define S_DIALECT(name, text)                                                                      \
    rp_sheet_print (&out->sheet,                                                                   \
      "riposte_sessions{protocol=\"" #name "\",role=\"client\"} %" PRIu64 "\n"                     \
      "riposte_sessions{protocol=\"" #name "\",role=\"worker\"} %" PRIu64 "\n",                    \
      clients[RP_DIALECT_##name], workers[RP_DIALECT_##name]);
    RP_DIALECT_MAP (S_DIALECT)
#undef S_DIALECT
}

/*  True for counters that are written for each service, which add up to the broker's own.  */
static bool s_is_by_service (const char *name)
{
    return strcmp (name, "requests") == 0 || strcmp (name, "workers_lost") == 0
           || strcmp (name, "redeliveries") == 0;
}

static void s_counters (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
#define S_COUNTER(name, text)                                                                      \
    if (!s_is_by_service (#name))                                                                  \
        rp_exposition_single (                                                                     \
          out, "riposte_" #name "_total", "counter", text, snapshot->stats.name);
    RP_COUNTER_MAP (S_COUNTER)
#undef S_COUNTER
    rp_exposition_single (out, "riposte_copied_bytes_total", "counter",
      "Bytes of bodies that were copied.", snapshot->copied_bytes);
    rp_exposition_head (
      out, "riposte_handshakes_total", "counter", "Security handshakes, by result.");
    rp_sheet_print (&out->sheet,
      "riposte_handshakes_total{mechanism=\"CURVE\",result=\"accepted\"} %" PRIu64 "\n"
      "riposte_handshakes_total{mechanism=\"CURVE\",result=\"refused\"} %" PRIu64 "\n",
      snapshot->security.accepted, snapshot->security.refused);
    rp_exposition_head (out, "riposte_otlp_spans_total", "counter",
      "Spans for the collector, by what became of them.");
    rp_sheet_print (&out->sheet,
      "riposte_otlp_spans_total{result=\"exported\"} %" PRIu64 "\n"
      "riposte_otlp_spans_total{result=\"dropped\"} %" PRIu64 "\n"
      "riposte_otlp_spans_total{result=\"failed\"} %" PRIu64 "\n",
      snapshot->spans.exported, snapshot->spans.dropped, snapshot->spans.failed);
    rp_exposition_head (
      out, "riposte_loop_busy_seconds_total", "counter", "Time for which the loop worked.");
    rp_sheet_print (&out->sheet, "riposte_loop_busy_seconds_total{thread=\"broker\"} %.6f\n",
      (double) snapshot->busy_us / 1e6);
}

/*  Requests with idempotency keys that are no jobs.  */
static void s_replays (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    const rp_replays_figures_t *replays = &snapshot->replays;
    if (!snapshot->remembers)
        return;
    rp_exposition_single (out, "riposte_replay_results", "gauge",
      "Results that are remembered by idempotency key.", replays->results);
    rp_exposition_single (out, "riposte_replay_bytes", "gauge",
      "Memory for results, and for requests with a key that are open (limit replay_bytes).",
      replays->bytes);
    rp_exposition_head (out, "riposte_replay_open", "gauge",
      "What is open: executions, and the requests with a key that wait for them.");
    rp_sheet_print (&out->sheet,
      "riposte_replay_open{what=\"execution\"} %" PRIu64
      "\nriposte_replay_open{what=\"request\"} %" PRIu64 "\n",
      replays->running, replays->waiting);
    rp_exposition_head (out, "riposte_replay_requests_total", "counter",
      "Requests with a key, by what became of them.");
#define S_RESULT(name)                                                                             \
    rp_sheet_print (&out->sheet,                                                                   \
      "riposte_replay_requests_total{result=\"" #name "\"} %" PRIu64 "\n", replays->name);
    S_RESULT (executed)
    S_RESULT (replayed)
    S_RESULT (mismatched)
    S_RESULT (refused)
#undef S_RESULT
    rp_exposition_single (out, "riposte_replay_failed_total", "counter",
      "Executions that ended without an answer, and are not remembered.", replays->failed);
    rp_exposition_single (out, "riposte_replay_evicted_total", "counter",
      "Results that were forgotten before their time, to make room.", replays->evicted);
}

/*  Brokers that share a store.  */
static void s_members (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    const rp_store_figures_t *store = &snapshot->store;
    int64_t left = store->lease_until - snapshot->taken;
    if (!store->away)
        rp_exposition_single (out, "riposte_store_brokers", "gauge",
          "Brokers that have the store, with this one, as far as it hears.", store->brokers);
    rp_exposition_head (out, "riposte_store_lease_seconds", "gauge",
      "What is left of this broker's lease on its jobs, at least; 0: others may take them over.");
    rp_sheet_print (
      &out->sheet, "riposte_store_lease_seconds %.3f\n", left > 0 ? (double) left / 1e6 : 0.0);
    rp_exposition_single (out, "riposte_store_adoptions_total", "counter",
      "Brokers whose jobs this one has taken over.", store->adopted);
    rp_exposition_single (out, "riposte_store_fenced_total", "counter",
      "How often another broker has taken this one's jobs over, so that it committed nothing more.",
      store->fenced);
    rp_exposition_single (out, "riposte_jobs_adopted_total", "counter",
      "Open jobs that this broker has taken over.", snapshot->jobs.adopted);
}

static void s_open_jobs (rp_exposition_t *out, const rp_jobs_figures_t *jobs)
{
    rp_exposition_head (out, "riposte_jobs", "gauge", "Jobs without a final, by where they are.");
    rp_sheet_print (&out->sheet,
      "riposte_jobs{state=\"waiting\"} %" PRIu64 "\nriposte_jobs{state=\"running\"} %" PRIu64 "\n",
      jobs->open > jobs->running ? jobs->open - jobs->running : 0, jobs->running);
}

/*  Jobs and their store, if there is one. What only the database knows stands still while that is away, and another
    broker may have changed it, so it is left out then.  */
static void s_jobs (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    const rp_jobs_figures_t *jobs = &snapshot->jobs;
    const rp_store_figures_t *store = &snapshot->store;
    if (!snapshot->keeps_jobs)
        return;
    if (!store->away)
        s_open_jobs (out, jobs);
    rp_exposition_single (out, "riposte_jobs_loaded", "gauge", "Jobs in memory.", jobs->loaded);
    rp_exposition_head (
      out, "riposte_job_results_total", "counter", "Jobs, by what became of them.");
#define S_RESULT(name)                                                                             \
    rp_sheet_print (                                                                               \
      &out->sheet, "riposte_job_results_total{result=\"" #name "\"} %" PRIu64 "\n", jobs->name);
    S_RESULT (accepted)
    S_RESULT (replayed)
    S_RESULT (refused)
    S_RESULT (done)
    S_RESULT (dead)
#undef S_RESULT
    rp_exposition_single (out, "riposte_job_attempts_failed_total", "counter",
      "Attempts that failed and were not the last.", jobs->retried);
    rp_exposition_head (
      out, "riposte_store_commit_seconds", "histogram", "Time of a transaction with its sync.");
    s_bounds_t bounds;
    uint64_t counts[RP_SPREAD_BOUNDS];
    uint64_t all = rp_spread_cumulate (&store->commit_us, counts);
    s_write_bounds (&bounds, rp_spread_bounds, RP_SPREAD_BOUNDS, 1e6);
    char backend[32];
    snprintf (backend, sizeof backend, "backend=\"%s\"", snapshot->store_kind);
    s_buckets (out, "riposte_store_commit_seconds", backend, counts, all, &bounds);
    rp_exposition_end_seconds (out, store->commit_us.sum);
    rp_exposition_head (out, "riposte_store_errors_total", "counter",
      "Operations of the store that came to nothing.");
    rp_sheet_print (&out->sheet,
      "riposte_store_errors_total{%s,kind=\"full\"} %" PRIu64 "\n"
      "riposte_store_errors_total{%s,kind=\"away\"} %" PRIu64 "\n"
      "riposte_store_errors_total{%s,kind=\"busy\"} %" PRIu64 "\n",
      backend, store->outcomes[RP_STORED_FULL], backend, store->outcomes[RP_STORED_AWAY], backend,
      store->outcomes[RP_STORED_BUSY]);
    rp_exposition_single (out, "riposte_store_reachable", "gauge",
      "1 if the store's database can be reached, as a file always can.", !store->away);
    if (!store->away)
        rp_exposition_single (out, "riposte_store_bytes", "gauge",
          "Size of the store, without its log.", store->file_bytes);
    rp_exposition_single (out, "riposte_store_cleaned_total", "counter",
      "Jobs that were kept long enough.", store->cleaned);
    if (store->brokers > 0 || store->fenced > 0)
        s_members (out, snapshot);
}

static void s_gauges (rp_exposition_t *out, const rp_snapshot_t *snapshot)
{
    const rp_stats_t *stats = &snapshot->stats;
    rp_exposition_single (
      out, "riposte_open_bytes", "gauge", "Bytes of open requests.", stats->open_bytes);
    rp_exposition_single (
      out, "riposte_waiting_bytes", "gauge", "Bytes of waiting requests.", stats->waiting_bytes);
    rp_exposition_single (out, "riposte_backlog_bytes", "gauge",
      "Bytes that peers have not read yet.", stats->backlog_bytes);
    rp_exposition_single (out, "riposte_memory_limit_bytes", "gauge",
      "What open requests and unread replies may take together.",
      snapshot->limits.total_queue_bytes);
    rp_exposition_single (out, "riposte_conversations_open", "gauge",
      "Conversations that are open.", snapshot->counts.conversations);
    rp_exposition_single (out, "riposte_streams_open", "gauge",
      "Open requests with a body in parts, or a reply that may come in parts.",
      snapshot->counts.streams);
    rp_exposition_single (out, "riposte_stream_granted_bytes", "gauge",
      "Bytes that readers of open streams have granted, and no part has used.",
      stats->granted_bytes);
    rp_exposition_single (
      out, "riposte_draining", "gauge", "1: it takes no new requests.", snapshot->draining);
    rp_exposition_single (out, "riposte_config_last_reload_success", "gauge",
      "1: the last reload was good, or there was none.", snapshot->reloads.ok);
    rp_exposition_head (out, "riposte_build_info", "gauge", "Always 1; the versions are labels.");
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    rp_sheet_print (&out->sheet, "riposte_build_info{version=\"%s\",libzmq=\"%d.%d.%d\"} 1\n",
      RP_VERSION, major, minor, patch);
}

/*  ---- The process ---------------------------------------------------------------------------- */

/*  Bytes in memory now; 0 if the kernel does not say.  */
static uint64_t s_resident (void)
{
    char line[128] = "";
    FILE *file = fopen ("/proc/self/statm", "re");
    if (!file || !fgets (line, sizeof line, file))
        line[0] = '\0';
    if (file)
        (void) fclose (file);
    // all pages, and those in memory
    const char *second = strchr (line, ' ');
    return second ? strtoull (second, NULL, 10) * (uint64_t) sysconf (_SC_PAGESIZE) : 0;
}

static void s_process (rp_exposition_t *out)
{
    struct rusage usage = {0};
    struct rlimit limit = {0};
    uint64_t resident = s_resident ();
    (void) getrusage (RUSAGE_SELF, &usage); // cannot fail with these arguments, nor can the next
    (void) getrlimit (RLIMIT_NOFILE, &limit);
    rp_exposition_head (
      out, "process_cpu_seconds_total", "counter", "Time of the processor, user and system.");
    rp_sheet_print (&out->sheet, "process_cpu_seconds_total %.6f\n",
      (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    rp_exposition_single (
      out, "process_resident_memory_bytes", "gauge", "Memory in use.", resident);
    rp_exposition_single (
      out, "process_max_fds", "gauge", "Descriptors that may be open.", limit.rlim_cur);
    rp_exposition_single (
      out, "riposte_memory_bytes", "gauge", "Memory in use by the broker.", resident);
}

char *rp_prometheus_write (const rp_snapshot_t *snapshot, bool open, size_t *size)
{
    rp_exposition_t page = {.open = open};
    s_services (&page, snapshot);
    s_figures (&page, snapshot);
    s_finals (&page, snapshot);
    s_bad (&page, snapshot);
    s_sessions (&page, snapshot);
    s_counters (&page, snapshot);
    s_jobs (&page, snapshot);
    s_replays (&page, snapshot);
    s_gauges (&page, snapshot);
    s_process (&page);
    return rp_exposition_finish (&page, size);
}
