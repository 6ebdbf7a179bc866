/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/admin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
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

/*  ---- riposte.status ------------------------------------------------------------------------ */

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

static json_t *s_foreign (const rp_foreign_t *foreign)
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
    s_set_number (object, "envelopes", rp_envelopes_count (&foreign->envelopes));
    s_set_number (object, "envelope_bytes", rp_envelopes_bytes (&foreign->envelopes));
    (void) json_object_set_new (object, "bad", bad);
    return object;
}

static json_t *s_limits (const rp_limits_t *limits)
{
    json_t *object = json_object ();
#define S_LIMIT(kind, name, value, smallest, largest, why)                                         \
    s_set_number (object, #name, limits->name);
    RP_BROKER_LIMIT_MAP (S_LIMIT)
#undef S_LIMIT
    return object;
}

static json_t *s_status (const rp_admin_t *self, int64_t now)
{
    const rp_stats_t *stats = rp_dispatch_stats (self->core);
    rp_dispatch_counts_t counts = rp_dispatch_counts (self->core);
    json_t *status = json_object ();
    s_set_text (status, "version", RP_VERSION);
    s_set_number (status, "pid", (uint64_t) getpid ());
    s_set_number (status, "uptime_us", (uint64_t) (now - self->started));
    s_set_text (status, "instance", rp_dispatch_instance (self->core));
    json_t *endpoints = json_array ();
    for (size_t index = 0; index < self->endpoint_count; index++)
        (void) json_array_append_new (endpoints, json_string (self->endpoints[index]));
    (void) json_object_set_new (status, "endpoints", endpoints);
    s_set_bool (status, "draining", rp_dispatch_is_draining (self->core));
    s_set_number (status, "clients", counts.clients);
    s_set_number (status, "workers", counts.workers);
    s_set_number (status, "services", counts.services);
    s_set_number (status, "conversations", counts.conversations);
    (void) json_object_set_new (status, "gauges", s_gauges (stats));
    json_t *counters = s_counters (stats);
    s_set_number (counters, "copied_bytes", self->pool->copied);
    (void) json_object_set_new (status, "counters", counters);
    (void) json_object_set_new (status, "finals", s_finals (stats));
    (void) json_object_set_new (status, "unanswered", s_unanswered (stats));
    (void) json_object_set_new (status, "bad", s_bad (stats));
    (void) json_object_set_new (status, "foreign", s_foreign (self->foreign));
    (void) json_object_set_new (status, "limits", s_limits (rp_dispatch_limits (self->core)));
    return status;
}

/*  ---- riposte.services, riposte.workers ----------------------------------------------------- */

static void s_add_service (const rp_service_info_t *info, void *arg)
{
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
    (void) json_array_append_new (arg, service);
}

static json_t *s_services (const rp_admin_t *self, int64_t now)
{
    json_t *services = json_array ();
    rp_dispatch_each_service (self->core, now, s_add_service, services);
    return json_pack ("{s:o}", "services", services);
}

/*  The state of a worker in one word. over: it has lowered its window and holds more.  */
static const char *s_state (const rp_worker_info_t *info)
{
    if (info->draining)
        return "draining";
    if (info->window == 0)
        return "unready";
    return info->running + info->abandoned > info->window ? "over" : "ready";
}

typedef struct {
    const rp_routes_t *routes;
    json_t *workers;
} s_add_worker_t;

static void s_add_worker (const rp_worker_info_t *info, void *arg)
{
    const s_add_worker_t *add = arg;
    char address[RP_ADDRESS_TEXT_MAX];
    json_t *worker = json_object ();
    s_set_text (worker, "name", info->name);
    s_set_text (worker, "service", info->service);
    s_set_text (worker, "address", rp_routes_address (add->routes, info->session, address));
    s_set_text (worker, "state", s_state (info));
    s_set_bool (worker, "draining", info->draining);
    s_set_number (worker, "window", info->window);
    s_set_number (worker, "running", info->running);
    s_set_number (worker, "abandoned", info->abandoned);
    s_set_number (worker, "conversations", info->conversations);
    s_set_number (worker, "replies", info->replies);
    s_set_number (worker, "age_us", (uint64_t) info->age_us);
    s_set_number (worker, "silent_us", (uint64_t) info->silent_us);
    s_set_number (worker, "oldest_us", (uint64_t) info->oldest_us);
    (void) json_array_append_new (add->workers, worker);
}

static json_t *s_workers (const rp_admin_t *self, int64_t now)
{
    s_add_worker_t add = {.routes = self->routes, .workers = json_array ()};
    rp_dispatch_each_worker (self->core, now, s_add_worker, &add);
    return json_pack ("{s:o}", "workers", add.workers);
}

/*  ---- Replies ------------------------------------------------------------------------------- */

/*  Makes a reply with room for a body of size bytes, at *body.  */
static rp_message_t *s_reply (const rp_admin_t *self, uint64_t id, size_t size, char **body)
{
    rp_head_t head = {
      .command = RP_COMMAND_REPLY, .status = RP_OK, .flags = RP_FLAG_INLINE, .id = id};
    size_t head_size = rp_wire_size (&head);
    rp_message_t *reply = rp_message_new (self->pool, head_size + size);
    if (!reply)
        return NULL;
    char *data = zmq_msg_data (&reply->first);
    rp_wire_encode (&head, data, head_size);
    *body = data + head_size;
    return reply;
}

static rp_message_t *s_json_reply (const rp_admin_t *self, uint64_t id, json_t *json)
{
    const size_t flags = JSON_COMPACT;
    char *body;
    size_t size = json ? json_dumpb (json, NULL, 0, flags) : 0;
    rp_message_t *reply = size ? s_reply (self, id, size, &body) : NULL;
    if (reply && json_dumpb (json, body, size, flags) != size)
        rp_message_destroy (self->pool, &reply);
    json_decref (json);
    return reply;
}

static rp_message_t *s_text_reply (const rp_admin_t *self, uint64_t id, const char *text)
{
    char *body;
    size_t size = strlen (text);
    rp_message_t *reply = s_reply (self, id, size, &body);
    if (reply)
        memcpy (body, text, size);
    return reply;
}

/*  ---- mmi. ---------------------------------------------------------------------------------- */

/*  The number of workers that take new requests; MMI counts only these.  */
static uint32_t s_taking (const rp_service_info_t *info)
{
    return info->workers - info->draining;
}

/*  Counts them for the service that the body of a request names.  */
static uint32_t s_count_taking (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t *request, int64_t now)
{
    const char *name = NULL;
    size_t size = 0;
    if (head->flags & RP_FLAG_INLINE) {
        name = (const char *) zmq_msg_data (&request->first) + head->size;
        size = zmq_msg_size (&request->first) - head->size;
    }
    else if (request->count > 1) {
        name = zmq_msg_data (&request->rest[0]);
        size = zmq_msg_size (&request->rest[0]);
    }
    rp_service_info_t info;
    if (size == 0 || !rp_dispatch_find_service (self->core, now, name, size, &info))
        return 0;
    return s_taking (&info);
}

typedef struct {
    size_t size;
    char *at; /* NULL: only compute the size */
} s_names_t;

static void s_add_name (const rp_service_info_t *info, void *arg)
{
    s_names_t *names = arg;
    if (s_taking (info) == 0)
        return;
    size_t size = strlen (info->name);
    names->size += size + 1;
    if (!names->at)
        return;
    memcpy (names->at, info->name, size);
    names->at[size] = '\n'; // a separator, since names have no control characters
    names->at += size + 1;
}

static rp_message_t *s_mmi_services (const rp_admin_t *self, uint64_t id, int64_t now)
{
    s_names_t names = {0};
    rp_dispatch_each_service (self->core, now, s_add_name, &names);
    rp_message_t *reply = s_reply (self, id, names.size, &names.at);
    if (reply)
        rp_dispatch_each_service (self->core, now, s_add_name, &names);
    return reply;
}

static bool s_is (const rp_head_t *head, const char *name)
{
    return head->name_size == strlen (name) && memcmp (head->name, name, head->name_size) == 0;
}

static rp_message_t *s_mmi (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t *request, int64_t now)
{
    if (s_is (head, "mmi.services"))
        return s_mmi_services (self, head->id, now);
    bool service = s_is (head, "mmi.service");
    if (!service && !s_is (head, "mmi.workers"))
        return s_text_reply (self, head->id, "501");
    uint32_t workers = s_count_taking (self, head, request, now);
    char text[16];
    snprintf (text, sizeof text, "%u", workers > 0 && service ? 200 : workers > 0 ? workers : 404);
    return s_text_reply (self, head->id, text);
}

/*  ---- riposte.ping -------------------------------------------------------------------------- */

/*  Turns the request into its reply: a new head, the same body.  */
static rp_message_t *s_ping (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t **request_p)
{
    rp_message_t *request = *request_p;
    rp_head_t reply = {.command = RP_COMMAND_REPLY,
      .status = RP_OK,
      .flags = head->flags & RP_FLAG_INLINE,
      .id = head->id};
    size_t head_size = rp_wire_size (&reply);
    size_t body_size = zmq_msg_size (&request->first) - head->size;
    zmq_msg_t first;
    if (zmq_msg_init_size (&first, head_size + body_size) != 0) {
        rp_message_destroy (self->pool, request_p);
        return NULL;
    }
    char *data = zmq_msg_data (&first);
    rp_wire_encode (&reply, data, head_size);
    memcpy (
      data + head_size, (const char *) zmq_msg_data (&request->first) + head->size, body_size);
    request->bytes = request->bytes - head->size + head_size;
    (void) zmq_msg_move (&request->first, &first); // cannot fail: both messages are valid
    (void) zmq_msg_close (&first);
    *request_p = NULL;
    return request;
}

rp_message_t *rp_admin_answer (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t **request_p, int64_t now)
{
    static const struct {
        const char *name;
        json_t *(*make) (const rp_admin_t *self, int64_t now);
    } services[] = {
      {"riposte.status", s_status},
      {"riposte.services", s_services},
      {"riposte.workers", s_workers},
    };
    if (s_is (head, "riposte.ping"))
        return s_ping (self, head, request_p);
    rp_message_t *reply = NULL;
    for (size_t index = 0; index < sizeof services / sizeof *services; index++)
        if (s_is (head, services[index].name))
            reply = s_json_reply (self, head->id, services[index].make (self, now));
    if (memcmp (head->name, "mmi.", 4) == 0) // names of the broker's own are at least this long
        reply = s_mmi (self, head, *request_p, now);
    rp_message_destroy (self->pool, request_p);
    return reply;
}
