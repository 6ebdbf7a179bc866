/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/json.h"

#include <string.h>
#include <unistd.h>

#include <riposte/error.h>

#include "common/base/utf8.h"
#include "common/base/version.h"

/*  Adds members without checks. jansson refuses a NULL member and takes ownership in any case, so
    out of memory leaves an answer with a gap.  */
static void s_set_number (json_t *object, const char *name, uint64_t value)
{
    (void) json_object_set_new (object, name, json_integer ((json_int_t) value));
}

/*  Escapes a peer's text: it need not be UTF-8, and could control a terminal or be invisible.  */
static void s_set_text (json_t *object, const char *name, const char *value)
{
    char escaped[4 * UINT8_MAX + 1];
    rp_utf8_escape (value, strlen (value), escaped, sizeof escaped);
    (void) json_object_set_new (object, name, json_string (escaped));
}

static void s_set_bool (json_t *object, const char *name, bool value)
{
    (void) json_object_set_new (object, name, json_boolean (value));
}

/*  count: in 1000 seconds.  */
static void s_set_rate (json_t *object, const char *name, uint64_t count)
{
    (void) json_object_set_new (object, name, json_real ((double) count / 1000));
}

/*  ---- Status -------------------------------------------------------------------------------- */

static json_t *s_gauges (const rp_stats_t *stats)
{
    json_t *gauges = json_object ();
    s_set_number (gauges, "waiting", stats->waiting);
    s_set_number (gauges, "waiting_bytes", stats->waiting_bytes);
    s_set_number (gauges, "running", stats->running);
    s_set_number (gauges, "abandoned", stats->abandoned);
    s_set_number (gauges, "open_bytes", stats->open_bytes);
    s_set_number (gauges, "backlog_bytes", stats->backlog_bytes);
    return gauges;
}

static json_t *s_counters (const rp_stats_t *stats)
{
    json_t *counters = json_object ();
#define S_COUNTER(name, text) s_set_number (counters, #name, stats->name);
    RP_COUNTER_MAP (S_COUNTER)
#undef S_COUNTER
    return counters;
}

static json_t *s_finals (const rp_stats_t *stats)
{
    json_t *finals = json_object ();
    for (int status = 0; status < RP_FINAL_COUNT; status++)
        s_set_number (finals, rp_status_name (status), stats->final[status]);
    return finals;
}

static json_t *s_unanswered (const rp_stats_t *stats)
{
    json_t *unanswered = json_object ();
    for (int status = 0; status < RP_FINAL_COUNT; status++)
        if (stats->unanswered[status])
            s_set_number (unanswered, rp_status_name (status), stats->unanswered[status]);
    return unanswered;
}

static json_t *s_bad (const rp_stats_t *stats)
{
    json_t *bad = json_object ();
#define S_BAD(name, text)                                                                          \
    if (RP_WIRE_ERROR_##name != RP_WIRE_ERROR_NONE)                                                \
        s_set_number (bad, #name, stats->bad[RP_WIRE_ERROR_##name]);
    RP_WIRE_ERROR_MAP (S_BAD)
#undef S_BAD
    return bad;
}

static json_t *s_dialects (const uint64_t *sessions)
{
    json_t *object = json_object ();
#define S_DIALECT(name, text)                                                                      \
    if (RP_DIALECT_##name != RP_DIALECT_NATIVE)                                                    \
        s_set_number (object, #name, sessions[RP_DIALECT_##name]);
    RP_DIALECT_MAP (S_DIALECT)
#undef S_DIALECT
    return object;
}

static json_t *s_foreign (const rp_snapshot_foreign_t *foreign)
{
    json_t *bad = json_object ();
#define S_BAD(name, text)                                                                          \
    if (RP_DIALECT_ERROR_##name != RP_DIALECT_ERROR_NONE)                                          \
        s_set_number (bad, #name, foreign->bad[RP_DIALECT_ERROR_##name]);
    RP_DIALECT_ERROR_MAP (S_BAD)
#undef S_BAD
    json_t *object = json_object ();
    (void) json_object_set_new (object, "now", s_dialects (foreign->there));
    (void) json_object_set_new (object, "ever", s_dialects (foreign->joined));
    s_set_number (object, "envelopes", foreign->envelopes);
    s_set_number (object, "envelope_bytes", foreign->envelope_bytes);
    (void) json_object_set_new (object, "bad", bad);
    return object;
}

static json_t *s_limits (const rp_limits_t *limits)
{
    json_t *object = json_object ();
#define S_LIMIT(kind, name, value, smallest, largest, applies, why)                                \
    s_set_number (object, #name, limits->name);
    RP_BROKER_LIMIT_MAP (S_LIMIT)
#undef S_LIMIT
    return object;
}

json_t *rp_json_lines (const char *text)
{
    json_t *lines = json_array ();
    for (const char *line = text; line && *line; line += strcspn (line, "\n") + 1) {
        char escaped[4 * RP_WIRE_TEXT_MAX + 1];
        rp_utf8_escape (line, strcspn (line, "\n"), escaped, sizeof escaped);
        (void) json_array_append_new (lines, json_string (escaped));
    }
    return lines;
}

static json_t *s_reloads (const rp_snapshot_reloads_t *reloads)
{
    json_t *object = json_object ();
    s_set_number (object, "count", reloads->count);
    s_set_number (object, "failed", reloads->failed);
    s_set_bool (object, "ok", reloads->ok);
    (void) json_object_set_new (object, "problems", rp_json_lines (reloads->problems));
    (void) json_object_set_new (object, "needs_restart", rp_json_lines (reloads->restart));
    return object;
}

json_t *rp_json_principal (const rp_principal_info_t *info)
{
    json_t *principal = json_object ();
    s_set_text (principal, "name", info->name);
    s_set_number (principal, "sessions", info->sessions);
    s_set_number (principal, "workers", info->workers);
    s_set_number (principal, "open", info->open);
    s_set_number (principal, "open_bytes", info->open_bytes);
    s_set_number (principal, "denied", info->denied);
    s_set_number (principal, "over_quota", info->over_quota);
    s_set_number (principal, "weight", info->weight);
    return principal;
}

static json_t *s_handshakes (const rp_snapshot_security_t *security)
{
    json_t *object = json_object ();
    s_set_number (object, "accepted", security->accepted);
    s_set_number (object, "refused", security->refused);
    return object;
}

json_t *rp_json_kept (const rp_snapshot_t *snapshot)
{
    if (!snapshot->keeps_jobs)
        return json_null ();
    json_t *object = json_object ();
#define S_FIGURE(name, text) s_set_number (object, #name, snapshot->jobs.name);
    RP_JOBS_FIGURE_MAP (S_FIGURE)
#undef S_FIGURE
    s_set_number (object, "commits", snapshot->store.commits);
    s_set_number (object, "cleaned", snapshot->store.cleaned);
    s_set_number (object, "queued", snapshot->store.queued);
    s_set_number (object, "file_bytes", snapshot->store.file_bytes);
    s_set_bool (object, "full", snapshot->store.full);
    s_set_bool (object, "reachable", !snapshot->store.away);
    return object;
}

/*  Results that are remembered by their keys; null without.  */
static json_t *s_replays (const rp_snapshot_t *snapshot)
{
    if (!snapshot->remembers)
        return json_null ();
    json_t *object = json_object ();
#define S_FIGURE(name, text) s_set_number (object, #name, snapshot->replays.name);
    RP_REPLAYS_FIGURE_MAP (S_FIGURE)
#undef S_FIGURE
    return object;
}

static json_t *s_spans (const rp_otlp_counts_t *spans)
{
    json_t *object = json_object ();
    s_set_number (object, "exported", spans->exported);
    s_set_number (object, "dropped", spans->dropped);
    s_set_number (object, "failed", spans->failed);
    return object;
}

json_t *rp_json_status (const rp_snapshot_t *snapshot)
{
    json_t *status = json_object ();
    s_set_text (status, "version", RP_VERSION);
    s_set_number (status, "pid", (uint64_t) getpid ());
    s_set_number (status, "uptime_us", (uint64_t) snapshot->uptime_us);
    s_set_text (status, "instance", snapshot->instance);
    json_t *endpoints = json_array ();
    for (size_t index = 0; index < snapshot->endpoint_count; index++)
        (void) json_array_append_new (endpoints, json_string (snapshot->endpoints[index]));
    (void) json_object_set_new (status, "endpoints", endpoints);
    s_set_bool (status, "draining", snapshot->draining);
    s_set_number (status, "clients", snapshot->counts.clients);
    s_set_number (status, "workers", snapshot->counts.workers);
    s_set_number (status, "services", snapshot->counts.services);
    s_set_number (status, "conversations", snapshot->counts.conversations);
    (void) json_object_set_new (status, "gauges", s_gauges (&snapshot->stats));
    json_t *counters = s_counters (&snapshot->stats);
    s_set_number (counters, "copied_bytes", snapshot->copied_bytes);
    (void) json_object_set_new (status, "counters", counters);
    (void) json_object_set_new (status, "finals", s_finals (&snapshot->stats));
    (void) json_object_set_new (status, "unanswered", s_unanswered (&snapshot->stats));
    (void) json_object_set_new (status, "bad", s_bad (&snapshot->stats));
    (void) json_object_set_new (status, "foreign", s_foreign (&snapshot->foreign));
    (void) json_object_set_new (status, "limits", s_limits (&snapshot->limits));
    json_t *principals = json_array ();
    for (size_t index = 0; index < snapshot->principal_count; index++)
        (void) json_array_append_new (principals, rp_json_principal (&snapshot->principals[index]));
    (void) json_object_set_new (status, "principals", principals);
    (void) json_object_set_new (status, "security",
      json_pack (
        "{s:b, s:I}", "on", snapshot->security.on, "keys", (json_int_t) snapshot->security.keys));
    (void) json_object_set_new (status, "handshakes", s_handshakes (&snapshot->security));
    (void) json_object_set_new (status, "reload", s_reloads (&snapshot->reloads));
    (void) json_object_set_new (status, "jobs", rp_json_kept (snapshot));
    (void) json_object_set_new (status, "replays", s_replays (snapshot));
    (void) json_object_set_new (status, "spans", s_spans (&snapshot->spans));
    return status;
}

/*  ---- Services, workers --------------------------------------------------------------------- */

json_t *rp_json_service (const rp_snapshot_service_t *self)
{
    const rp_service_info_t *info = &self->info;
    json_t *service = json_object ();
    s_set_text (service, "name", info->name);
    s_set_number (service, "workers", info->workers);
    s_set_number (service, "draining", info->draining);
    s_set_number (service, "window", info->window);
    s_set_number (service, "held", info->held);
    s_set_number (service, "waiting", info->waiting);
    s_set_number (service, "waiting_bytes", info->waiting_bytes);
    s_set_number (service, "running", info->running);
    s_set_number (service, "conversations", info->conversations);
    s_set_number (service, "requests", info->requests);
    s_set_number (service, "ended", info->ended);
    s_set_number (service, "failed", info->failed);
    s_set_number (service, "oldest_us", (uint64_t) info->oldest_us);
    s_set_rate (service, "rate_per_s", info->arrivals);
    s_set_rate (service, "failed_per_s", info->failures);
    s_set_number (service, "p50_us", self->p50_us);
    s_set_number (service, "p99_us", self->p99_us);
    char terms[RP_TERMS_TEXT_MAX];
    s_set_text (service, "terms", rp_terms_write (&info->terms, false, terms));
    return service;
}

json_t *rp_json_services (const rp_snapshot_t *snapshot)
{
    json_t *services = json_array ();
    for (size_t index = 0; index < snapshot->service_count; index++)
        (void) json_array_append_new (services, rp_json_service (&snapshot->services[index]));
    return json_pack ("{s:o}", "services", services);
}

json_t *rp_json_worker (const rp_snapshot_worker_t *self)
{
    char address[RP_ADDRESS_TEXT_MAX];
    const rp_worker_info_t *info = &self->info;
    json_t *worker = json_object ();
    s_set_text (worker, "name", info->name);
    s_set_text (worker, "service", info->service);
    s_set_text (worker, "address", rp_address_format (&self->address, address));
    s_set_text (worker, "state", rp_snapshot_worker_state (info));
    s_set_bool (worker, "draining", info->draining);
    s_set_number (worker, "window", info->window);
    s_set_number (worker, "running", info->running);
    s_set_number (worker, "abandoned", info->abandoned);
    s_set_number (worker, "conversations", info->conversations);
    s_set_number (worker, "replies", info->replies);
    s_set_number (worker, "age_us", (uint64_t) info->age_us);
    s_set_number (worker, "silent_us", (uint64_t) info->silent_us);
    s_set_number (worker, "oldest_us", (uint64_t) info->oldest_us);
    s_set_text (worker, "principal", info->principal);
    return worker;
}

json_t *rp_json_workers (const rp_snapshot_t *snapshot)
{
    json_t *workers = json_array ();
    for (size_t index = 0; index < snapshot->worker_count; index++)
        (void) json_array_append_new (workers, rp_json_worker (&snapshot->workers[index]));
    return json_pack ("{s:o}", "workers", workers);
}
