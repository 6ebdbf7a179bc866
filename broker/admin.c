/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin.h"

#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <riposte/error.h>

#include "common/version.h"

/*  Members are added without checks: jansson refuses a NULL member and takes what it is given in
    any case, so running out of memory leaves an answer with a gap.  */
static void s_set_number (json_t *object, const char *name, uint64_t value)
{
    (void) json_object_set_new (object, name, json_integer ((json_int_t) value));
}

/*  A name came from a peer, whose bytes need not be UTF-8: then those that are not ASCII show as
    ?.  */
static void s_set_text (json_t *object, const char *name, const char *value)
{
    char plain[RP_WIRE_NAME_MAX + 1];
    json_t *text = json_string (value);
    if (!text) {
        size_t size = 0;
        for (; value[size] && size < sizeof plain - 1; size++)
            plain[size] = (unsigned char) value[size] < 0x80 ? value[size] : '?';
        plain[size] = '\0';
        text = json_string (plain);
    }
    (void) json_object_set_new (object, name, text);
}

static void s_set_bool (json_t *object, const char *name, bool value)
{
    (void) json_object_set_new (object, name, json_boolean (value));
}

/*  ---- riposte.status ---------------------------------------------------------------------- */

static json_t *s_gauges (const rp_stats_t *stats)
{
    json_t *gauges = json_object ();
    s_set_number (gauges, "waiting", stats->waiting);
    s_set_number (gauges, "waiting_bytes", stats->waiting_bytes);
    s_set_number (gauges, "running", stats->running);
    s_set_number (gauges, "abandoned", stats->abandoned);
    s_set_number (gauges, "open_bytes", stats->open_bytes);
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
    (void) json_object_set_new (status, "counters", s_counters (stats));
    (void) json_object_set_new (status, "finals", s_finals (stats));
    (void) json_object_set_new (status, "bad", s_bad (stats));
    (void) json_object_set_new (status, "limits", s_limits (rp_dispatch_limits (self->core)));
    return status;
}

/*  ---- riposte.services, riposte.workers --------------------------------------------------- */

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

typedef struct {
    const rp_peers_t *peers;
    json_t *workers;
} s_add_worker_t;

static void s_add_worker (const rp_worker_info_t *info, void *arg)
{
    const s_add_worker_t *add = arg;
    char address[RP_PEERS_TEXT_MAX];
    json_t *worker = json_object ();
    s_set_text (worker, "name", info->name);
    s_set_text (worker, "service", info->service);
    s_set_text (worker, "address", rp_peers_address (add->peers, info->peer, address));
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
    s_add_worker_t add = {.peers = self->peers, .workers = json_array ()};
    rp_dispatch_each_worker (self->core, now, s_add_worker, &add);
    return json_pack ("{s:o}", "workers", add.workers);
}

/*  ---- Replies ----------------------------------------------------------------------------- */

static rp_message_t *s_json_reply (const rp_admin_t *self, uint64_t id, json_t *json)
{
    const size_t flags = JSON_COMPACT;
    rp_head_t head = {
      .command = RP_COMMAND_REPLY, .status = RP_OK, .flags = RP_FLAG_INLINE, .id = id};
    size_t head_size = rp_wire_size (&head);
    size_t size = json ? json_dumpb (json, NULL, 0, flags) : 0;
    rp_message_t *reply = size ? rp_message_new (self->pool, head_size + size) : NULL;
    if (reply) {
        char *data = zmq_msg_data (&reply->first);
        rp_wire_encode (&head, data, head_size);
        if (json_dumpb (json, data + head_size, size, flags) != size)
            rp_message_destroy (self->pool, &reply);
    }
    json_decref (json);
    return reply;
}

/*  The request itself becomes the reply: another head, the same body.  */
static rp_message_t *s_ping (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t **request_p)
{
    rp_message_t *request = *request_p;
    rp_head_t reply = {
      .command = RP_COMMAND_REPLY,
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
    (void) zmq_msg_move (&request->first, &first); // both are valid messages, so it cannot fail
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
    for (size_t index = 0; index < sizeof services / sizeof *services; index++) {
        if (
          head->name_size != strlen (services[index].name)
          || memcmp (head->name, services[index].name, head->name_size) != 0)
            continue;
        rp_message_t *reply =
          s_json_reply (self, head->id, services[index].make (self, now));
        rp_message_destroy (self->pool, request_p);
        return reply;
    }
    return s_ping (self, head, request_p);
}
