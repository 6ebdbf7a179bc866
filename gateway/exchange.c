/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/http/daemon.h"
#include "common/io/clock.h"
#include "gateway/admit.h"
#include "gateway/all.h"
#include "gateway/answer.h"
#include "gateway/jobs.h"
#include "gateway/open.h"
#include "gateway/openapi.h"
#include "gateway/parts.h"
#include "gateway/peers.h"

/*  Notes that a request of its conversation has ended, if it has one.  */
static void s_leave_conversation (rp_http_exchange_t *self, int64_t now)
{
    // it may have ended meanwhile
    rp_held_t *held = self->held_id[0]
                        ? rp_held_find (&self->gateway->held, self->resource.service, self->held_id)
                        : NULL;
    if (held)
        rp_held_leave (&self->gateway->held, held, now);
}

static void s_free (rp_http_exchange_t *self)
{
    if (self->parts)
        s_leave_conversation (self, rp_clock_us ());
    rp_http_parts_destroy (self);
    self->gateway->bytes -= self->counted;
    self->gateway->busy -= self->is_submitted;
    rp_reply_destroy (&self->reply);
    free (self->body);
    free (self);
}

/*  Keeps a reply, or drops one for which no room is left: only requests are refused before they run.  */
static void s_keep_reply (rp_http_exchange_t *self, rp_reply_t *reply)
{
    if (!rp_http_exchange_count (self, rp_reply_size (reply))) {
        self->refusal = &rp_refusal_no_room;
        rp_reply_destroy (&reply);
        rp_http_exchange_recount (self, 0);
    }
    self->reply = reply;
}

/*  Asks for the final of a job once more. False if it cannot: what is known is the answer then.  */
static bool s_ask_again (rp_http_exchange_t *self)
{
    rp_call_t *call = rp_http_job_question (self);
    if (!call)
        return false;
    rp_call_set_tag (call, self);
    if (rp_client_submit (self->gateway->client, &call, &self->id) != RP_OK) {
        rp_call_destroy (&call);
        return false;
    }
    self->gateway->open++;
    rp_reply_destroy (&self->reply);
    rp_http_exchange_recount (self, 0);
    return true;
}

void rp_http_exchange_take (rp_http_exchange_t *self, rp_reply_t *reply, int64_t now)
{
    rp_gateway_t *gateway = self->gateway;
    self->id = 0;
    s_keep_reply (self, reply);
    gateway->open--;
    s_leave_conversation (self, now);
    if (!self->connection)
        s_free (self);
    else if (!rp_http_job_goes_on (self, now) || !s_ask_again (self))
        rp_http_exchange_resume (self);
}

/*  ---- Responses ------------------------------------------------------------------------------ */

static enum MHD_Result s_queue (
  rp_http_exchange_t *self, unsigned http_status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO; // out of memory: the connection is closed
    if (self->gateway->signal_count > 0)
        (void) rp_answer_header (response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response (self->connection, http_status, response);
    MHD_destroy_response (response);
    return result;
}

static enum MHD_Result s_refuse (rp_http_exchange_t *self, int status, const char *detail)
{
    unsigned code = rp_http_status (status);
    return s_queue (
      self, code, rp_answer_problem (code, status, NULL, detail, self->resource.service));
}

static enum MHD_Result s_refuse_as (rp_http_exchange_t *self, const rp_refusal_t *refusal)
{
    struct MHD_Response *response = rp_answer_problem (
      refusal->code, refusal->status, refusal->title, refusal->detail, self->resource.service);
    if (response && refusal->code == MHD_HTTP_UNAUTHORIZED)
        (void) rp_answer_header (response, "WWW-Authenticate", "Bearer realm=\"riposte\"");
    if (response && refusal->code == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void) rp_answer_header (response, "Allow", self->resource.allow);
    return s_queue (self, refusal->code, response);
}

/*  ---- Requests to services ------------------------------------------------------------------- */

/*  What goes wrong with the headers of a request.  */
typedef struct {
    rp_call_t *call;
    bool has_key;
    bool is_held; /* it belongs to a conversation */
    bool wants_parts;
    char fault[256]; /* "": nothing */
} s_headers_t;

/*  A second key would leave in doubt which of the two counts.  */
static void s_take_key (s_headers_t *headers, const char *value)
{
    char key[RP_IDEMPOTENCY_KEY_TEXT];
    const char *reason = NULL;
    if (headers->has_key)
        reason = "is there twice";
    else if (headers->is_held)
        reason = "is not for conversations, whose requests run once, in order";
    else if (headers->wants_parts)
        reason = "is not for replies in parts, nor of all workers, which nobody keeps";
    else if (rp_idempotency_key_parse (value, key, &reason))
        reason = rp_call_set_key (headers->call, key) == RP_OK ? NULL : "cannot be passed on";
    headers->has_key = true;
    if (reason)
        snprintf (headers->fault, sizeof headers->fault, "Idempotency-Key %s", reason);
}

static enum MHD_Result s_take_header (
  void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void) kind;
    s_headers_t *headers = arg;
    char buffer[RP_HEADER_KEY_MAX + 1];
    const char *key = rp_header_key (name, buffer);
    if (strcasecmp (name, "Idempotency-Key") == 0)
        s_take_key (headers, value ? value : "");
    else if (key && rp_call_add_header (headers->call, key, value ? value : "") != RP_OK)
        snprintf (headers->fault, sizeof headers->fault,
          "header %.64s cannot be passed on: its name is 1 to 63 of a-z 0-9 - _ . and its value at "
          "most 4 KiB without control characters, all at most 8 KiB",
          name);
    return headers->fault[0] ? MHD_NO : MHD_YES;
}

/*  Sets what the request's headers say. False with a fault.  */
static bool s_set_options (rp_http_exchange_t *self, s_headers_t *headers)
{
    const char *reason = NULL;
    bool is_job = self->resource.kind == RP_RESOURCE_JOB_SEND;
    if (rp_http_job_is_question (self))
        return true; // it has all that it needs
    const char *timeout = rp_http_header (self, "Riposte-Timeout");
    const char *attempts = rp_http_header (self, "Riposte-Attempts");
    const char *priority = rp_http_header (self, "Riposte-Priority");
    const char *hedge = is_job ? NULL : rp_http_header (self, "Riposte-Hedge");
    uint8_t rank = RP_PRIORITY_DEFAULT;
    uint32_t ms = (uint32_t) (self->gateway->options->timeout / 1000);
    uint8_t count = (uint8_t) self->gateway->options->attempts;
    if (timeout && !rp_timeout_parse (timeout, &ms, &reason))
        snprintf (headers->fault, sizeof headers->fault, "Riposte-Timeout %s", reason);
    else if (attempts && !rp_attempts_parse (attempts, &count, &reason))
        snprintf (headers->fault, sizeof headers->fault, "Riposte-Attempts %s", reason);
    else if (priority && !rp_priority_parse (priority, &rank, &reason))
        snprintf (headers->fault, sizeof headers->fault, "Riposte-Priority %s", reason);
    else if (self->wants_all)
        (void) rp_http_all_set_terms (self, headers->call, headers->fault, sizeof headers->fault);
    else if (is_job)
        (void) rp_http_job_set_terms (self, headers->call, headers->fault, sizeof headers->fault);
    else if (self->wants_parts)
        (void) rp_http_parts_set_terms (self, headers->call, headers->fault, sizeof headers->fault);
    if (headers->fault[0])
        return false;
    if (timeout || self->wants_all || !self->wants_parts)  // parts may come for a day
        (void) rp_call_set_timeout_ms (headers->call, ms); // in range
    if (priority && rp_call_set_priority (headers->call, rank) != RP_OK)
        snprintf (headers->fault, sizeof headers->fault, "Riposte-Priority finds no room");
    if (hedge && rp_call_set_hedge (headers->call, hedge) != RP_OK)
        snprintf (headers->fault, sizeof headers->fault,
          "Riposte-Hedge wants a time such as 20ms, or a percentile such as 95%%");
    if (attempts || !is_job)
        (void) rp_call_set_attempts (headers->call, count);
    (void) MHD_get_connection_values (self->connection, MHD_HEADER_KIND, s_take_header, headers);
    return headers->fault[0] == '\0';
}

/*  Gives a call to the client. Returns as rp_client_submit.  */
static int s_give (rp_http_exchange_t *self, rp_call_t **call_p)
{
    if (self->wants_parts)
        return rp_http_parts_begin (self, call_p);
    rp_call_set_tag (*call_p, self);
    int rc = rp_client_submit (self->gateway->client, call_p, &self->id);
    self->gateway->open += rc == RP_OK;
    return rc;
}

/*  Submits the request, which suspends the exchange until it ends.  */
static enum MHD_Result s_submit (rp_http_exchange_t *self, rp_call_t *call, rp_held_t *held)
{
    s_headers_t headers = {.call = call, .is_held = held != NULL, .wants_parts = self->wants_parts};
    if (!call)
        return s_refuse_as (self, &rp_refusal_no_memory);
    free (self->body); // the call has a copy, which still counts
    self->body = NULL;
    if (!s_set_options (self, &headers)) {
        rp_call_destroy (&headers.call);
        return s_refuse (self, RP_INVALID, headers.fault);
    }
    size_t window = self->wants_all ? 0 : RP_HTTP_PARTS_WINDOW; // answers count as they come
    if (self->wants_parts && !rp_http_exchange_count (self, self->counted + window)) {
        rp_call_destroy (&headers.call);
        return s_refuse_as (self, &rp_refusal_crowded);
    }
    int rc = s_give (self, &headers.call);
    if (rc != RP_OK) {
        char why[256];
        rp_call_destroy (&headers.call);
        if (self->wants_parts && rc == RP_BUSY)
            return s_refuse (self, rc, "too many replies come in parts here (option --streams)");
        return s_refuse (self, rc, rp_client_last_error (self->gateway->client, why, sizeof why));
    }
    self->gateway->busy++;
    self->is_submitted = true;
    self->is_keyed = headers.has_key && self->resource.kind != RP_RESOURCE_JOB_SEND;
    if (held) {
        memcpy (self->held_id, held->id, sizeof self->held_id);
        rp_held_enter (&self->gateway->held, held);
    }
    rp_http_exchange_suspend (self);
    return MHD_YES;
}

static enum MHD_Result s_call (rp_http_exchange_t *self, const char *service)
{
    self->wants_all = self->resource.kind != RP_RESOURCE_SERVICES && rp_http_all_is_wanted (self);
    self->wants_parts = self->resource.kind == RP_RESOURCE_CALL
                        && (self->wants_all || rp_http_parts_are_wanted (self));
    return s_submit (self, rp_call_new (service, self->body, self->size), NULL);
}

/*  ---- Conversations -------------------------------------------------------------------------- */

static enum MHD_Result s_begin (rp_http_exchange_t *self)
{
    rp_gateway_t *gateway = self->gateway;
    rp_held_t *held =
      rp_held_begin (&gateway->held, gateway->client, self->resource.service, rp_clock_us ());
    if (!held && errno == EAGAIN)
        return s_refuse (
          self, RP_BUSY, "too many conversations are open here (option --conversations)");
    if (!held)
        return s_refuse (self, RP_SYSTEM, strerror (errno));
    char location[3 * RP_WIRE_NAME_MAX + 64];
    rp_resource_write_conversation (held->service, held->id, location, sizeof location);
    struct MHD_Response *response = rp_answer_text ("", 0, "text/plain");
    if (response && !rp_answer_header (response, "Location", location)) {
        MHD_destroy_response (response);
        response = NULL;
    }
    if (!response)
        rp_held_end (&gateway->held, held);
    return s_queue (self, MHD_HTTP_CREATED, response);
}

static rp_held_t *s_find (const rp_http_exchange_t *self)
{
    return rp_held_find (&self->gateway->held, self->resource.service, self->resource.id);
}

static enum MHD_Result s_refuse_unknown (rp_http_exchange_t *self)
{
    return s_refuse (self, RP_CONVERSATION_LOST,
      "no such conversation of this service is open here; begin one with POST "
      "/conversations/SERVICE");
}

static enum MHD_Result s_continue (rp_http_exchange_t *self)
{
    rp_held_t *held = s_find (self);
    if (!held)
        return s_refuse_unknown (self);
    self->wants_all = rp_http_all_is_wanted (self);
    self->wants_parts = rp_http_parts_are_wanted (self);
    return s_submit (self, rp_call_new_in (held->conversation, self->body, self->size), held);
}

static enum MHD_Result s_end (rp_http_exchange_t *self)
{
    rp_held_t *held = s_find (self);
    if (!held)
        return s_refuse_unknown (self);
    rp_held_end (&self->gateway->held, held);
    return s_queue (self, MHD_HTTP_NO_CONTENT, rp_answer_text ("", 0, "text/plain"));
}

/*  ---- Requests of HTTP ----------------------------------------------------------------------- */

static enum MHD_Result s_ready (rp_http_exchange_t *self)
{
    char text[256];
    rp_client_t *client = self->gateway->client;
    if (self->gateway->signal_count > 0)
        return s_refuse_as (self, &rp_refusal_draining);
    if (*rp_client_broker (client, text, sizeof text) == '\0')
        return s_refuse (self, RP_NO_BROKER, rp_client_last_error (client, text, sizeof text));
    return s_queue (self, MHD_HTTP_OK, rp_answer_text ("ok\n", 3, "text/plain"));
}

static enum MHD_Result s_dispatch (rp_http_exchange_t *self)
{
    switch (self->resource.kind) {
        case RP_RESOURCE_CALL:
            return s_call (self, self->resource.service);
        case RP_RESOURCE_BEGIN:
            return s_begin (self);
        case RP_RESOURCE_CONTINUE:
            return s_continue (self);
        case RP_RESOURCE_END:
            return s_end (self);
        case RP_RESOURCE_JOB_SEND:
            return s_call (self, self->resource.service);
        case RP_RESOURCE_JOB_RESULT:
        case RP_RESOURCE_JOB_CANCEL:
            rp_http_job_prefer (self);
            return s_submit (self, rp_http_job_question (self), NULL);
        case RP_RESOURCE_SERVICES:
            return s_call (self, "riposte.services");
        case RP_RESOURCE_OPENAPI:
            return s_queue (
              self, MHD_HTTP_OK, rp_answer_text (rp_openapi, rp_openapi_size, "application/json"));
        case RP_RESOURCE_LIVE:
            return s_queue (self, MHD_HTTP_OK, rp_answer_text ("ok\n", 3, "text/plain"));
        case RP_RESOURCE_READY:
            return s_ready (self);
        case RP_RESOURCE_WRONG_METHOD:
        case RP_RESOURCE_NONE:
            break;
    }
    return MHD_NO; // they were refused
}

static void s_drop_body (rp_http_exchange_t *self, const rp_refusal_t *refusal)
{
    self->refusal = refusal;
    free (self->body);
    self->body = NULL;
    self->size = self->capacity = 0;
    rp_http_exchange_recount (self, 0);
}

/*  True if the body has room for so many bytes more. False with a refusal, and without a body.  */
static bool s_make_room (rp_http_exchange_t *self, size_t size)
{
    const rp_gateway_options_t *options = self->gateway->options;
    size_t wanted = self->size + size;
    size_t capacity = 2 * wanted < options->max_body ? 2 * wanted : options->max_body;
    char *grown = NULL;
    if (wanted > options->max_body)
        s_drop_body (self, &rp_refusal_too_large);
    else if (self->gateway->bytes + size > options->total_body)
        s_drop_body (self, &rp_refusal_crowded);
    else if (wanted <= self->capacity)
        return true;
    else if (!(grown = realloc (self->body, capacity)))
        s_drop_body (self, &rp_refusal_no_memory);
    if (!grown)
        return false;
    self->body = grown;
    self->capacity = capacity;
    return true;
}

static bool s_has_use_for_body (const rp_http_exchange_t *self)
{
    rp_resource_kind_t kind = self->resource.kind;
    return kind == RP_RESOURCE_CALL || kind == RP_RESOURCE_CONTINUE || kind == RP_RESOURCE_JOB_SEND;
}

/*  The rest of a body that is refused, or for which there is no use, is read, and dropped, so that the peer
    reads the response.  */
static void s_keep (rp_http_exchange_t *self, const char *data, size_t size)
{
    if (self->refusal || !s_has_use_for_body (self) || !s_make_room (self, size))
        return;
    memcpy (self->body + self->size, data, size);
    self->size += size;
    rp_http_exchange_recount (self, self->size);
}

static enum MHD_Result s_pass_on_job (rp_http_exchange_t *self)
{
    unsigned code = 0;
    struct MHD_Response *response = rp_http_job_answer (self, &code);
    return s_queue (self, code, response);
}

static enum MHD_Result s_pass_on (rp_http_exchange_t *self)
{
    if (self->resource.kind == RP_RESOURCE_JOB_SEND || rp_http_job_is_question (self))
        return s_pass_on_job (self);
    unsigned status = rp_http_status ((int) rp_reply_status (self->reply));
    bool is_list = self->resource.kind == RP_RESOURCE_SERVICES;
    return s_queue (self, status,
      rp_answer_reply (&self->reply, is_list ? "riposte.services" : self->resource.service,
        is_list ? "application/json" : "application/octet-stream"));
}

/*  Begins a response in parts, or waits until there is something to begin it with.  */
static enum MHD_Result s_begin_parts (rp_http_exchange_t *self)
{
    unsigned code;
    struct MHD_Response *response = rp_http_parts_answer (self, &code);
    return code == MHD_HTTP_PROCESSING ? MHD_YES : s_queue (self, code, response);
}

void rp_http_exchange_cancel (rp_http_exchange_t *self)
{
    if (self->id && !self->is_keyed)
        (void) rp_client_cancel (self->gateway->client, self->id);
    else if (self->parts)
        rp_http_parts_cancel (self);
}

static enum MHD_Result s_answer (rp_http_exchange_t *self)
{
    if (self->is_submitted)
        rp_http_daemon_resumed (self->connection, self->gateway->idle_s);
    if (self->reply)
        return s_pass_on (self);
    if (self->gateway->ending)
        return s_refuse_as (self, &rp_refusal_draining);
    if (self->refusal)
        return s_refuse_as (self, self->refusal);
    if (self->peer->has_hung_up) // perhaps just after news of its stream have resumed it
        return s_refuse (self, RP_CANCELLED, "the peer has closed its end of the connection");
    return self->parts ? s_begin_parts (self) : s_dispatch (self);
}

static rp_http_exchange_t *s_new (rp_gateway_t *gateway,
  struct MHD_Connection *connection,
  const char *path,
  const char *method,
  const char *version)
{
    rp_http_exchange_t *self = calloc (1, sizeof *self);
    const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (!self || !info || !info->socket_context) {
        free (self);
        return NULL;
    }
    self->gateway = gateway;
    self->connection = connection;
    self->peer = info->socket_context;
    rp_resource_find (&self->resource, method, path ? path : "");
    self->refusal = rp_admit (self, version);
    return self;
}

enum MHD_Result rp_http_exchange_on_request (void *arg,
  struct MHD_Connection *connection,
  const char *path,
  const char *method,
  const char *version,
  const char *data,
  size_t *size,
  void **context)
{
    rp_http_exchange_t *self = *context;
    if (!self) {
        *context = self = s_new (arg, connection, path, method, version);
        if (!self)
            return MHD_NO;
        rp_http_peer_await (arg, self->peer); // for the body it has as much time as for the headers
        return self->refusal && rp_admit_at_once (self) ? s_refuse_as (self, self->refusal)
                                                        : MHD_YES;
    }
    if (*size == 0)
        return s_answer (self);
    s_keep (self, data, *size);
    *size = 0;
    return MHD_YES;
}

void rp_http_exchange_on_completed (
  void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode how)
{
    (void) connection;
    (void) how;
    rp_http_exchange_t *self = *context;
    if (!self)
        return;
    *context = NULL;
    self->connection = NULL;
    self->peer->open = NULL;
    rp_http_peer_await (arg, self->peer);
    if (self->id)
        (void) rp_client_cancel (self->gateway->client, self->id);
    else
        s_free (self);
}
