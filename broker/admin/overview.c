/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/overview.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/error.h>

#include "broker/admin/json.h"
#include "broker/admin/narrative.h"
#include "broker/core/explain.h"
#include "common/base/units.h"
#include "common/base/utf8.h"
#include "common/base/version.h"

/*  A queue before busy workers is nothing to tell of while no request waits longer than the first, and a fault
    once it has been there for longer than the second and will not pass, µs.  */
#define S_WAIT_OK_US 1000000
#define S_GROWS_US 10000000

typedef enum { S_OK, S_WARN, S_BAD } s_state_t;

static const char *const s_state_names[] = {"ok", "warn", "bad"};

/*  A service with why it does not do well.  */
typedef struct {
    const rp_snapshot_service_t *service;
    const rp_compact_figures_t *figures; /* NULL: it shares those of _other */
    s_state_t state;
} s_row_t;

static void s_set_number (json_t *object, const char *name, uint64_t value)
{
    (void) json_object_set_new (object, name, json_integer ((json_int_t) value));
}

/*  ---- Numbers for people --------------------------------------------------------------------- */

/*  "1 worker", "2,000 workers".  */
static void s_count (FILE *out, uint64_t count, const char *noun)
{
    char number[RP_UNITS_TEXT_MAX];
    fprintf (out, "%s %s%s", rp_count_format (number, count), noun, count == 1 ? "" : "s");
}

/*  ---- Causes --------------------------------------------------------------------------------- */

/*  What a cause means for those who look.  */
static s_state_t s_severity (const rp_cause_t *cause)
{
    switch (cause->kind) {
        case RP_CAUSE_BUSY:
            return cause->oldest_us < S_WAIT_OK_US                    ? S_OK
                   : cause->more == 0 || cause->since_us < S_GROWS_US ? S_WARN
                                                                      : S_BAD;
        case RP_CAUSE_STOPPING:
        case RP_CAUSE_TERMS:
        case RP_CAUSE_OVERLOAD:
        case RP_CAUSE_PINNED:
        case RP_CAUSE_JOBS_DEAD:
            return S_WARN;
        default:
            return S_BAD;
    }
}

static json_t *s_causes (const s_row_t *row)
{
    json_t *list = json_array ();
    for (size_t index = 0; index < row->service->cause_count; index++) {
        const rp_cause_t *cause = &row->service->causes[index];
        json_t *object = rp_narrative_cause_json (cause);
        (void) json_object_set_new (
          object, "state", json_string (s_state_names[s_severity (cause)]));
        (void) json_array_append_new (list, object);
    }
    return list;
}

/*  ---- Rows ----------------------------------------------------------------------------------- */

/*  The services of a snapshot, the worst first.  */
typedef struct {
    const rp_snapshot_t *snapshot;
    const rp_compact_figures_t **figures; /* by name */
    s_row_t *list;
    size_t count;
} s_rows_t;

static int s_compare_figures (const void *left, const void *right)
{
    const rp_compact_figures_t *one = *(const rp_compact_figures_t *const *) left;
    const rp_compact_figures_t *other = *(const rp_compact_figures_t *const *) right;
    return strcmp (one->name, other->name);
}

static int s_compare_name (const void *key, const void *member)
{
    return strcmp (key, (*(const rp_compact_figures_t *const *) member)->name);
}

/*  How much a row weighs, in powers of two, so that rows do not change their places all the time.  */
static unsigned s_weight (const s_row_t *row)
{
    uint64_t weight = row->state == S_OK ? 0 : row->service->causes[0].weight;
    return weight ? 64 - (unsigned) __builtin_clzll (weight) : 0;
}

static int s_compare_rows (const void *left, const void *right)
{
    const s_row_t *one = left;
    const s_row_t *other = right;
    if (one->state != other->state)
        return one->state > other->state ? -1 : 1;
    if (s_weight (one) != s_weight (other))
        return s_weight (one) > s_weight (other) ? -1 : 1;
    return strcmp (one->service->info.name, other->service->info.name);
}

/*  Finds figures by the name of their service; NULL: there are none of its own.  */
static const rp_compact_figures_t *s_find_figures (const s_rows_t *self, const char *name)
{
    const rp_compact_figures_t **found =
      self->figures ? bsearch (
        name, self->figures, self->snapshot->figure_count, sizeof *self->figures, s_compare_name)
                    : NULL;
    return found ? *found : NULL;
}

static void s_see (const s_rows_t *self, s_row_t *row, const rp_snapshot_service_t *service)
{
    row->service = service;
    row->figures = s_find_figures (self, service->info.name);
    for (size_t index = 0; index < service->cause_count; index++) {
        s_state_t state = s_severity (&service->causes[index]);
        if (state > row->state)
            row->state = state;
    }
}

static void s_clear (s_rows_t *self)
{
    free (self->figures);
    free (self->list);
}

/*  False when out of memory; cleared all the same.  */
static bool s_init (s_rows_t *self, const rp_snapshot_t *snapshot)
{
    *self = (s_rows_t){.snapshot = snapshot, .count = snapshot->service_count};
    self->figures = calloc (snapshot->figure_count + 1, sizeof *self->figures);
    self->list = calloc (snapshot->service_count + 1, sizeof *self->list);
    if (!self->figures || !self->list)
        return false;
    for (size_t index = 0; index < snapshot->figure_count; index++)
        self->figures[index] = snapshot->figures[index];
    qsort (self->figures, snapshot->figure_count, sizeof *self->figures, s_compare_figures);
    for (size_t index = 0; index < self->count; index++)
        s_see (self, &self->list[index], &snapshot->services[index]);
    qsort (self->list, self->count, sizeof *self->list, s_compare_rows);
    return true;
}

static double s_per_second (uint64_t in_1000_s)
{
    return (double) in_1000_s / 1000;
}

/*  The members of riposte.services, and more.  */
static json_t *s_service (const s_row_t *row)
{
    const rp_service_info_t *info = &row->service->info;
    json_t *service = rp_json_service (row->service);
    (void) json_object_set_new (service, "state", json_string (s_state_names[row->state]));
    s_set_number (service, "idle", info->idle);
    s_set_number (service, "busy", info->busy);
    s_set_number (service, "closed", info->closed);
    (void) json_object_set_new (service, "causes", s_causes (row));
    return service;
}

/*  ---- The whole ------------------------------------------------------------------------------ */

typedef struct {
    uint64_t arrivals; /* in 1000 s */
    uint64_t workers;
    uint32_t p50_us;
    uint32_t p99_us;
    size_t troubled; /* services that do not do well */
    s_state_t state;
} s_sums_t;

static s_sums_t s_sum (const s_rows_t *rows)
{
    s_sums_t sums = {.workers = rows->snapshot->counts.workers};
    rp_spread_t total = {0};
    for (size_t index = 0; index < rows->count; index++) {
        const s_row_t *row = &rows->list[index];
        sums.arrivals += row->service->info.arrivals;
        sums.troubled += row->state != S_OK;
        if (row->state > sums.state)
            sums.state = row->state;
        if (row->figures) {
            rp_spread_t spread;
            rp_compact_expand (&row->figures->total, &spread);
            rp_spread_merge (&total, &spread);
        }
    }
    sums.p50_us = rp_spread_quantile (&total, 50000);
    sums.p99_us = rp_spread_quantile (&total, 99000);
    return sums;
}

/*  Says how many jobs wait, if any do: some may have no worker, so no service would show them.  */
static void s_write_jobs (FILE *out, const rp_snapshot_t *snapshot)
{
    const rp_jobs_figures_t *jobs = &snapshot->jobs;
    if (snapshot->keeps_jobs && snapshot->store.away)
        fputs (", the store of jobs is not reachable", out);
    if (!snapshot->keeps_jobs || snapshot->store.away || jobs->open <= jobs->running)
        return;
    fputs (", ", out);
    s_count (out, jobs->open - jobs->running, "job");
    fputs (jobs->open - jobs->running == 1 ? " waits" : " wait", out);
}

static void s_write_healthy (FILE *out, const s_rows_t *rows, const s_sums_t *sums)
{
    char text[RP_UNITS_TEXT_MAX];
    char time[RP_UNITS_TEXT_MAX];
    if (rows->count == 0) {
        fputs ("Ready: no worker has come yet", out);
        s_write_jobs (out, rows->snapshot);
        return;
    }
    fputs ("Healthy: ", out);
    s_count (out, rows->count, "service");
    fputs (", ", out);
    s_count (out, sums->workers, "worker");
    fprintf (out, ", %s", rp_rate_format (text, sums->arrivals));
    if (sums->p99_us)
        fprintf (out, ", p99 %s", rp_duration_format (time, sums->p99_us));
    s_write_jobs (out, rows->snapshot);
}

static void s_write_trouble (FILE *out, const s_rows_t *rows, const s_sums_t *sums)
{
    const s_row_t *worst = &rows->list[0];
    char name[4 * RP_WIRE_NAME_MAX + 1];
    char text[RP_NARRATIVE_MAX];
    rp_utf8_escape (
      worst->service->info.name, strlen (worst->service->info.name), name, sizeof name);
    fprintf (out, "%s: %s", name, rp_narrative_cause (&worst->service->causes[0], text));
    if (sums->troubled > 1) {
        fputs (" · and ", out);
        s_count (out, sums->troubled - 1, "other service");
    }
}

/*  Writes the sentence at the top.  */
static char *s_sentence (const s_rows_t *rows, const s_sums_t *sums)
{
    char *text = NULL;
    size_t size;
    char number[RP_UNITS_TEXT_MAX];
    FILE *out = open_memstream (&text, &size);
    if (!out)
        return NULL;
    if (rows->snapshot->draining)
        fprintf (out, "Draining: takes nothing new; %s running",
          rp_count_format (number, rows->snapshot->stats.running));
    else if (sums->state == S_OK)
        s_write_healthy (out, rows, sums);
    else
        s_write_trouble (out, rows, sums);
    if (fclose (out) == 0)
        return text;
    free (text);
    return NULL;
}

static void s_set_sums (json_t *overview, const s_rows_t *rows)
{
    const rp_snapshot_t *snapshot = rows->snapshot;
    s_sums_t sums = s_sum (rows);
    s_state_t state = snapshot->draining && sums.state == S_OK ? S_WARN : sums.state;
    char *text = s_sentence (rows, &sums);
    (void) json_object_set_new (overview, "text", json_string (text ? text : ""));
    free (text);
    (void) json_object_set_new (overview, "state", json_string (s_state_names[state]));
    (void) json_object_set_new (overview, "rate_per_s", json_real (s_per_second (sums.arrivals)));
    s_set_number (overview, "p50_us", sums.p50_us);
    s_set_number (overview, "p99_us", sums.p99_us);
    s_set_number (overview, "clients", snapshot->counts.clients);
    s_set_number (overview, "workers", snapshot->counts.workers);
    s_set_number (overview, "conversations", snapshot->counts.conversations);
    s_set_number (overview, "waiting", snapshot->stats.waiting);
    s_set_number (overview, "running", snapshot->stats.running);
    s_set_number (overview, "open_bytes", snapshot->stats.open_bytes);
    s_set_number (overview, "backlog_bytes", snapshot->stats.backlog_bytes);
    s_set_number (overview, "memory_limit_bytes", snapshot->limits.total_queue_bytes);
}

static void s_set_broker (json_t *overview, const rp_snapshot_t *snapshot)
{
    json_t *endpoints = json_array ();
    for (size_t index = 0; index < snapshot->endpoint_count; index++)
        (void) json_array_append_new (endpoints, json_string (snapshot->endpoints[index]));
    (void) json_object_set_new (overview, "version", json_string (RP_VERSION));
    (void) json_object_set_new (overview, "instance", json_string (snapshot->instance));
    (void) json_object_set_new (overview, "endpoints", endpoints);
    (void) json_object_set_new (overview, "security", json_boolean (snapshot->security.on));
    (void) json_object_set_new (overview, "draining", json_boolean (snapshot->draining));
    s_set_number (overview, "uptime_us", (uint64_t) snapshot->uptime_us);
}

static size_t s_least (size_t one, size_t other)
{
    return one < other ? one : other;
}

json_t *rp_overview_json (const rp_snapshot_t *snapshot)
{
    s_rows_t rows;
    if (!s_init (&rows, snapshot)) {
        s_clear (&rows);
        return NULL;
    }
    json_t *overview = json_object ();
    s_set_sums (overview, &rows);
    s_set_broker (overview, snapshot);
    (void) json_object_set_new (overview, "jobs", rp_json_kept (snapshot));
    json_t *services = json_array ();
    size_t shown = s_least (rows.count, RP_OVERVIEW_SERVICES_MAX);
    for (size_t index = 0; index < shown; index++)
        (void) json_array_append_new (services, s_service (&rows.list[index]));
    (void) json_object_set_new (overview, "services", services);
    s_set_number (overview, "services_left_out", rows.count - shown);
    json_t *principals = json_array ();
    shown = s_least (snapshot->principal_count, RP_OVERVIEW_PRINCIPALS_MAX);
    for (size_t index = 0; index < shown; index++)
        (void) json_array_append_new (principals, rp_json_principal (&snapshot->principals[index]));
    (void) json_object_set_new (overview, "principals", principals);
    s_set_number (overview, "principals_left_out", snapshot->principal_count - shown);
    s_clear (&rows);
    return overview;
}

/*  ---- One service ---------------------------------------------------------------------------- */

/*  So many buckets of a spread make a bar: four bars for each power of two.  */
#define S_BAR 4u

static uint64_t s_bar (const rp_spread_t *spread, size_t bar)
{
    uint64_t count = 0;
    for (size_t bucket = bar * S_BAR; bucket < (bar + 1) * S_BAR; bucket++)
        count += spread->counts[bucket];
    return count;
}

/*  Bars from the first that counts to the last: [least time, in the queue, at the worker].  */
static json_t *s_bars (const rp_spread_t *queue, const rp_spread_t *work)
{
    json_t *bars = json_array ();
    size_t first = 0;
    size_t last = 0; // behind it
    for (size_t bar = 0; bar < RP_SPREAD_BUCKETS / S_BAR; bar++)
        if (s_bar (queue, bar) || s_bar (work, bar)) {
            first = last ? first : bar;
            last = bar + 1;
        }
    for (size_t bar = first; bar < last; bar++)
        (void) json_array_append_new (
          bars, json_pack ("[I, I, I]", (json_int_t) rp_spread_lowest (bar * S_BAR),
                  (json_int_t) s_bar (queue, bar), (json_int_t) s_bar (work, bar)));
    return bars;
}

static void s_set_figures (json_t *service, const rp_compact_figures_t *figures)
{
    json_t *finals = json_object ();
    for (int status = 0; figures && status < RP_FINAL_COUNT; status++)
        if (figures->final[status])
            s_set_number (finals, rp_status_name (status), figures->final[status]);
    (void) json_object_set_new (service, "finals", finals);
    rp_spread_t queue = {0};
    rp_spread_t work = {0};
    if (figures) {
        rp_compact_expand (&figures->queue, &queue);
        rp_compact_expand (&figures->work, &work);
    }
    (void) json_object_set_new (service, "bars", s_bars (&queue, &work));
    s_set_number (service, "queue_p50_us", rp_spread_quantile (&queue, 50000));
    s_set_number (service, "queue_p99_us", rp_spread_quantile (&queue, 99000));
    s_set_number (service, "work_p50_us", rp_spread_quantile (&work, 50000));
    s_set_number (service, "work_p99_us", rp_spread_quantile (&work, 99000));
    s_set_number (service, "workers_lost", figures ? figures->workers_lost : 0);
    s_set_number (service, "redeliveries", figures ? figures->redeliveries : 0);
}

static void s_set_workers (json_t *service, const rp_snapshot_t *snapshot, const char *name)
{
    json_t *workers = json_array ();
    size_t left_out = 0;
    for (size_t index = 0; index < snapshot->worker_count; index++) {
        const rp_snapshot_worker_t *worker = &snapshot->workers[index];
        if (strcmp (worker->info.service, name) != 0)
            continue;
        if (json_array_size (workers) < RP_OVERVIEW_WORKERS_MAX)
            (void) json_array_append_new (workers, rp_json_worker (worker));
        else
            left_out++;
    }
    (void) json_object_set_new (service, "worker_list", workers);
    s_set_number (service, "workers_left_out", left_out);
}

static bool s_is_shown_as (const char *name, const char *shown)
{
    char escaped[4 * RP_WIRE_NAME_MAX + 1];
    rp_utf8_escape (name, strlen (name), escaped, sizeof escaped);
    return strcmp (escaped, shown) == 0;
}

json_t *rp_overview_service_json (const rp_snapshot_t *snapshot, const char *name, bool *found)
{
    s_rows_t rows;
    json_t *service = NULL;
    *found = true;
    if (s_init (&rows, snapshot)) {
        size_t index = 0;
        while (index < rows.count && !s_is_shown_as (rows.list[index].service->info.name, name))
            index++;
        *found = index < rows.count;
        if (*found && (service = s_service (&rows.list[index]))) {
            s_set_figures (service, rows.list[index].figures);
            s_set_workers (service, snapshot, rows.list[index].service->info.name);
        }
    }
    s_clear (&rows);
    return service;
}
