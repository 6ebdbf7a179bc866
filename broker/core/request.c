/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/request.h"

#include <string.h>

#include "broker/core/acl.h"
#include "broker/core/client_queue.h"
#include "broker/core/conversation.h"
#include "broker/core/copy.h"
#include "broker/core/hedge.h"
#include "broker/core/record.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "broker/core/stream.h"
#include "common/base/check.h"
#include "common/base/earlier.h"

/*  The allowed transitions, from row to column.  */
static const bool s_allowed[RP_REQUEST_STATE_COUNT][RP_REQUEST_STATE_COUNT] = {
  [RP_REQUEST_NEW] = {[RP_REQUEST_QUEUED] = true,
    [RP_REQUEST_HELD] = true,
    [RP_REQUEST_PINNED] = true,
    [RP_REQUEST_RUNNING] = true,
    [RP_REQUEST_DONE] = true},
  [RP_REQUEST_QUEUED] = {[RP_REQUEST_RUNNING] = true, [RP_REQUEST_DONE] = true},
  [RP_REQUEST_HELD] = {[RP_REQUEST_QUEUED] = true,
    [RP_REQUEST_PINNED] = true,
    [RP_REQUEST_RUNNING] = true,
    [RP_REQUEST_DONE] = true},
  [RP_REQUEST_PINNED] = {[RP_REQUEST_RUNNING] = true, [RP_REQUEST_DONE] = true},
  [RP_REQUEST_RUNNING] = {[RP_REQUEST_QUEUED] = true,
    [RP_REQUEST_PINNED] = true,
    [RP_REQUEST_ABANDONED] = true,
    [RP_REQUEST_DONE] = true},
  [RP_REQUEST_ABANDONED] = {[RP_REQUEST_RUNNING] = true, [RP_REQUEST_DONE] = true},
};

static bool s_waits (unsigned state)
{
    static const bool waits[] = {
#define S_WAITS(name, waits) waits,
      RP_REQUEST_STATE_MAP (S_WAITS)
#undef S_WAITS
    };
    return waits[state];
}

static inline void s_count (rp_dispatch_t *self, const rp_request_t *request, uint64_t one)
{
    if (request->state == RP_REQUEST_RUNNING) { // first, since every request does
        self->stats.running += one;
        rp_request_service (request)->running += one;
    }
    else if (s_waits (request->state)) {
        rp_service_t *service = rp_request_service (request);
        self->stats.waiting += one;
        self->stats.waiting_bytes += one * request->bytes;
        service->waiting += one;
        if (request->untimed)
            service->untimed += one;
        service->waiting_bytes += one * request->bytes;
    }
    else if (request->state == RP_REQUEST_ABANDONED) {
        self->stats.abandoned += one;
        request->worker->abandoned += (uint32_t) one;
    }
}

void rp_request_set_state (rp_dispatch_t *self, rp_request_t *request, rp_request_state_t state)
{
    RP_CHECK (s_allowed[request->state][state]);
    s_count (self, request, (uint64_t) -1);
    request->state = state & 7u;
    s_count (self, request, 1);
}

static uint32_t s_hash (const rp_dispatch_t *self, uint64_t id)
{
    return (uint32_t) rp_hash_pair (id, 0, self->seed);
}

rp_request_t *rp_request_find (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id)
{
    uint32_t hash = s_hash (self, id);
    rp_index_cursor_t cursor;
    for (uint32_t slot = rp_index_first (&client->by_id, hash, &cursor); slot != RP_INDEX_NONE;
         slot = rp_index_next (hash, &cursor)) {
        rp_request_t *request = rp_pool_at (&self->requests, slot);
        if (request->client_id == id)
            return request;
    }
    return NULL;
}

/*  Takes what the terms of the service say of a request whose protocol does not. Its timer is set when it
    starts or waits.  */
static void s_take_terms (rp_request_t *request)
{
    const rp_terms_t *terms = request->client_queue->service->terms;
    if (terms && terms->attempts)
        request->attempts = terms->attempts & 15u;
    if (!terms || !terms->deadline)
        return;
    request->time = (uint32_t) terms->deadline;
    request->wait = request->time & 0x7ffffffu;
}

/*  Counts an open request of a foreign client. Of a trusted one it is a later attempt.  */
static __attribute__ ((noinline)) void s_charge_special (
  rp_session_t *client, rp_request_t *request, const rp_head_t *head)
{
    if (client->traits & RP_TRAIT_TRUSTED) {
        request->attempt = head->attempt & 15u;
        return;
    }
    request->untimed = true;
    s_take_terms (request);
    client->open_bytes += request->bytes + RP_REQUEST_COST;
}

/*  Counts an open request against what holds for its client, and against quotas.  */
static void s_charge (rp_session_t *client, rp_request_t *request, const rp_head_t *head)
{
    rp_acl_open (client, request);
    if (!(client->traits & RP_TRAIT_UNTIMED))
        return;
    s_charge_special (client, request, head);
}

static void s_discharge (rp_session_t *client, const rp_request_t *request)
{
    rp_acl_close (client, request);
    if (request->untimed)
        client->open_bytes -= request->bytes + RP_REQUEST_COST;
}

/*  Takes what headers say of a request to its broker.  */
static __attribute__ ((noinline)) void s_take_headers (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head)
{
    rp_trace_headers (self, request, head);
    if (head->flags & RP_FLAG_HEDGE)
        rp_hedge_accept (self, request, head);
}

rp_request_t *rp_request_accept (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, const rp_event_t *event)
{
    const rp_head_t *head = event->head;
    rp_request_t *request = rp_pool_take (&self->requests);
    if (!request)
        return NULL;
    rp_heap_node_init (&request->due);
    int64_t deadline = self->now + (int64_t) event->head->deadline_ms * 1000;
    if (!rp_heap_push (&self->due, &request->due, (uint64_t) deadline)) {
        rp_pool_give (&self->requests, request);
        return NULL;
    }
    uint32_t hash = s_hash (self, head->id);
    if (!rp_index_reserve (&client->by_id, hash)
        || !(request->client_queue =
               rp_client_queue_open (self, client, service, rp_wire_priority (head)))) {
        rp_heap_remove (&self->due, &request->due);
        rp_pool_give (&self->requests, request);
        return NULL;
    }
    (void) rp_index_insert (&client->by_id, hash, request->pooled.slot);
    request->payload = event->payload;
    request->client_id = head->id;
    request->accepted = self->now;
    request->time = head->deadline_ms;
    request->bytes = (uint32_t) rp_request_weight (event);
    request->flags = head->flags;
    request->attempts = head->attempts & 15u;
    uint32_t wait = head->wait_ms < RP_DEADLINE_MAX_MS ? head->wait_ms : RP_DEADLINE_MAX_MS;
    request->wait = wait & 0x7ffffffu;
    rp_list_append (&client->requests, &request->client_node);
    client->open++;
    if (client->traits & (RP_TRAIT_UNTIMED | RP_TRAIT_RULED))
        s_charge (client, request, head);
    service->requests++;
    self->stats.requests++;
    self->stats.open_bytes += request->bytes;
    self->newest = rp_pool_handle (&request->pooled);
    if (head->headers_size)
        s_take_headers (self, request, head);
    rp_record_request (self, RP_RECORD_ACCEPT, request, 0);
    return request;
}

/*  Fits a time into 32 bits of µs; more than an hour stays more than an hour.  */
static uint32_t s_us (int64_t time)
{
    if (__builtin_expect ((uint64_t) time > UINT32_MAX, false))
        return time < 0 ? 0 : UINT32_MAX;
    return (uint32_t) time;
}

/*  Counts and logs a request that ends without its client being told. This is the only place that
    does. Returns the line.  */
static rp_action_t *s_count_unanswered (
  rp_dispatch_t *self, rp_session_id_t client, rp_status_t status, const char *text)
{
    self->stats.unanswered[status]++;
    return rp_actions_log (self->actions, RP_LEVEL_WARNING, RP_TOPIC_UNANSWERED, client,
      *text ? text : "a request ended, and its client is not told");
}

/*  Counts a final status that a foreign client's protocol has no word for. A client that left by
    itself does not wait for it.  */
static void s_note_unanswered (rp_dispatch_t *self,
  const rp_session_t *client,
  const char *service,
  int size,
  const rp_head_t *reply)
{
    bool answered = reply->status == RP_OK || reply->status == RP_APP_ERROR;
    bool wordless = client->traits & RP_TRAIT_WORDLESS && !answered;
    if (client->ending ? client->cut : wordless) {
        rp_action_t *line =
          s_count_unanswered (self, rp_session_id (client), (rp_status_t) reply->status,
            rp_actions_format (self->actions,
              "a request for \"%.*s\" ended with %s (%.*s), and its client is not told: %s", size,
              service, rp_status_name (reply->status), (int) reply->text_size,
              reply->text_size ? reply->text : "",
              client->ending ? "it is cut off"
                             : "its protocol has no word for it, and foreign_errors is 0"));
        rp_actions_log_service (self->actions, line, service, (size_t) size);
    }
}

void rp_request_dropped (rp_dispatch_t *self, const rp_event_t *event)
{
    (void) s_count_unanswered (self, event->session, self->draining ? RP_DRAINING : RP_BUSY,
      rp_actions_format (
        self->actions, "a request was dropped, and its client is not told: %s", event->why));
    rp_actions_drop (self->actions, event->payload);
}

void rp_request_reply_unsent (rp_dispatch_t *self, const rp_session_t *client, uint8_t status)
{
    bool told = status == RP_OK || status == RP_APP_ERROR || !(client->traits & RP_TRAIT_WORDLESS);
    if (client->traits & RP_TRAIT_UNTIMED && told)
        (void) s_count_unanswered (self, rp_session_id (client), (rp_status_t) status,
          rp_actions_format (self->actions,
            "a reply with %s could not be sent, and its client, which is cut off, is not told",
            rp_status_name (status)));
}

/*  What a request has taken so far, us.  */
typedef struct {
    uint32_t queue;
    uint32_t work; /* 0: no worker has it */
    uint32_t total;
    bool running;
} s_times_t;

static inline s_times_t s_times (const rp_dispatch_t *self, const rp_request_t *request)
{
    bool running = request->state == RP_REQUEST_RUNNING;
    int64_t total = self->now - request->accepted;
    int64_t work = running ? self->now - request->dispatched : 0;
    return (s_times_t){s_us (total - work), s_us (work), s_us (total), running};
}

/*  Sends the client a reply, or a part of one.  */
static inline void s_send_reply (rp_dispatch_t *self,
  const rp_request_t *request,
  const rp_head_t *reply,
  rp_payload_t *payload,
  s_times_t times)
{
    rp_session_t *client = request->client_queue->client;
    if (client->ending) {
        rp_actions_drop (self->actions, payload);
        return;
    }
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_SEND, rp_session_id (client));
    action->payload = payload;
    action->head = *reply;
    action->head.command = RP_COMMAND_REPLY;
    action->head.id = request->client_id;
    action->head.conversation = 0;
    action->head.attempt = request->attempt;
    action->head.queue_us = times.queue;
    action->head.work_us = times.work;
    client->said = self->now;
}

void rp_request_send_part (
  rp_dispatch_t *self, const rp_request_t *request, const rp_head_t *part, rp_payload_t *payload)
{
    s_send_reply (self, request, part, payload, s_times (self, request));
}

/*  Keeps what happened to a request that ends. An ordinary one is written here.  */
static inline void s_trace (rp_dispatch_t *self,
  rp_request_t *request,
  const rp_figures_t *figures,
  const rp_head_t *reply,
  s_times_t times,
  bool special)
{
    bool slow = times.total > figures->slow_us;
    if (special | slow | (request->noted || request->hedged)) {
        if (request->hedged)
            rp_hedge_end (self, request, reply->status);
        rp_trace_keep (self, request, reply, times.queue, times.work, slow);
        return;
    }
    rp_trace_cell_t *cell = rp_trace_ring_take (&self->trace.ordinary, 1);
    if (!cell)
        return; // trace_bytes is 0
    cell->session = rp_pool_handle (&request->client_queue->client->pooled);
    cell->client_id = request->client_id;
    cell->token = rp_pool_handle (&request->pooled);
    cell->worker = rp_pool_handle (&request->worker->pooled);
    cell->ended = self->now;
    cell->queue_us = times.queue;
    cell->work_us = times.work;
    cell->kind = RP_TRACE_CELL_PLAIN;
    cell->status = reply->status;
    cell->attempt = request->attempt;
    cell->figures = figures->index;
    cell->wait = RP_WAIT_NOT;
    if (request->waited != RP_WAIT_NOT) {
        cell->wait = request->waited;
        const rp_service_t *service = request->client_queue->service;
        bool then = service->counted <= request->dispatched;
        cell->workers = (uint16_t) (then ? service->worker_count : 0);
    }
}

static inline void s_count_final (
  rp_figures_t *figures, const rp_request_t *request, s_times_t times, unsigned status)
{
    figures->final[status]++;
    rp_spread_add (&figures->queue, times.queue);
    rp_spread_add (&figures->total, times.total);
    if (times.running)
        rp_spread_add (&figures->work, times.work);
    rp_octaves_add (&figures->request_bytes, request->bytes);
}

/*  What a reply to a foreign, trusted or measured client takes besides; returns the reply to send.  */
static __attribute__ ((noinline)) const rp_head_t *s_reply_special (rp_dispatch_t *self,
  const rp_request_t *request,
  const rp_session_t *client,
  const rp_head_t *reply)
{
    const rp_service_t *service = request->client_queue->service;
    if (client->traits & RP_TRAIT_MEASURED && request->state == RP_REQUEST_RUNNING)
        rp_service_learn (request->client_queue, s_us (self->now - request->dispatched),
          reply->status == RP_OK || reply->status == RP_APP_ERROR);
    if (!(client->traits & (RP_TRAIT_WORDLESS | RP_TRAIT_UNTIMED)))
        return reply;
    if (!(client->traits & RP_TRAIT_TRUSTED)) {
        s_note_unanswered (self, client, service->name, service->name_size, reply);
        return reply;
    }
    self->changed = *reply;
    self->changed.key = request->worker ? request->worker->name : NULL;
    return &self->changed;
}

void rp_request_answer (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply, rp_payload_t *payload)
{
    rp_client_queue_t *client_queue = request->client_queue;
    rp_session_t *client = client_queue->client;
    rp_service_t *service = client_queue->service;
    bool failed = reply->status != RP_OK && reply->status != RP_APP_ERROR;
    rp_record_request (self, RP_RECORD_FINAL, request, reply->status);
    s_times_t times = s_times (self, request);
    self->stats.final[reply->status]++;
    rp_figures_t *figures = service->figures;
    s_count_final (figures, request, times, reply->status);
    s_trace (self, request, figures, reply, times, failed || request->stream);
    service->ended++;
    service->failed += failed;
    if (request->stream)
        reply = rp_stream_close (self, request, reply);
    const unsigned special = RP_TRAIT_WORDLESS | RP_TRAIT_UNTIMED | RP_TRAIT_MEASURED;
    if (client->traits & (special | RP_TRAIT_RULED)) {
        if (client->traits & special)
            reply = s_reply_special (self, request, client, reply);
        s_discharge (client, request);
    }
    s_send_reply (self, request, reply, payload, times);
    rp_list_remove (&request->client_node);
    client->open--;
    rp_index_remove (&client->by_id, s_hash (self, request->client_id), request->pooled.slot);
    if (client->open == 0 && client->by_id.page_count > 1)
        rp_index_clear (&client->by_id); // free memory, so that many clients in turn do not add up
    if (request->state == RP_REQUEST_QUEUED)
        rp_client_queue_take (request);
    rp_client_queue_close (self, client_queue);
    request->service = service;
    request->answered = true;
    rp_actions_drop (self->actions, request->payload);
    request->payload = NULL;
}

void rp_request_move_client (rp_dispatch_t *self, rp_request_t *from, rp_request_t *to)
{
    rp_session_t *client = from->client_queue->client;
    uint32_t hash = s_hash (self, from->client_id);
    to->client_queue = from->client_queue;
    rp_list_insert_before (&from->client_node, &to->client_node);
    rp_list_remove (&from->client_node);
    // A place in the index becomes free before it is taken again, so the second cannot fail.
    rp_index_remove (&client->by_id, hash, from->pooled.slot);
    (void) rp_index_insert (&client->by_id, hash, to->pooled.slot);
}

/*  Takes the request out of its list, if it is in one, and counts it off its worker.  */
static void s_detach (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->node.next && request->state == RP_REQUEST_QUEUED)
        rp_client_queue_take (request);
    else if (request->node.next)
        rp_list_remove (&request->node);
    rp_session_t *worker = request->worker;
    if (!worker)
        return;
    worker->held--;
    rp_record_request (self, RP_RECORD_FREE, request, 0);
}

/*  Starts a request that waits for this worker only, or ends it if it is too late. False if the terms of
    the service keep it back.  */
static __attribute__ ((noinline)) bool s_unpin (
  rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker)
{
    if (self->now >= rp_request_deadline (request))
        rp_request_due (self, request);
    else if (rp_terms_throttle (worker->service->terms) && !rp_service_pass (self, worker->service))
        return false;
    else if (request->copy)
        rp_copy_start (self, request, worker);
    else
        (void) rp_request_start (self, request, worker);
    return true;
}

/*  Gives a worker's room to what waits for it only: its conversations first, then copies, whose turns they are.  */
static __attribute__ ((noinline)) void s_give_room (rp_dispatch_t *self, rp_session_t *worker)
{
    rp_list_node_t *node;
    rp_copy_take_back (worker);
    while (rp_worker_has_room (worker)
           && ((node = rp_list_first (&worker->pinned)) || (node = rp_copy_next (worker))))
        if (!s_unpin (self, RP_CONTAINER (node, rp_request_t, node), worker))
            break;
    rp_copy_settle (worker);
    worker->wanted = worker->asked || !rp_list_is_empty (&worker->pinned);
}

void rp_request_refill (rp_dispatch_t *self, rp_session_t *worker)
{
    if (worker->wanted)
        s_give_room (self, worker);
    rp_service_room_changed (self, worker);
    rp_session_check_drained (self, worker);
}

void rp_request_free (rp_dispatch_t *self, rp_request_t *request)
{
    RP_CHECK (request->answered);
    rp_session_t *worker = request->worker;
    rp_dispatch_conversation_t *conversation = request->conversation;
    rp_service_touch (self, rp_request_service (request));
    s_detach (self, request);
    rp_request_set_state (self, request, RP_REQUEST_DONE);
    self->stats.open_bytes -= request->bytes; // only now, since its worker may not have read it
    bool current = conversation && conversation->current == request;
    rp_heap_remove (&self->due, &request->due);
    rp_pool_give (&self->requests, request);
    if (current)
        rp_conversation_advance (self, conversation);
    if (worker)
        rp_request_refill (self, worker);
}

void rp_request_let_go (rp_dispatch_t *self, rp_request_t *request, bool begun)
{
    if (request->hedged)
        rp_hedge_leave (self, request, begun);
    rp_request_free (self, request);
}

void rp_request_finish (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text)
{
    rp_head_t reply = {
      .status = (uint8_t) status, .text = text, .text_size = (uint16_t) strlen (text)};
    rp_request_answer (self, request, &reply, NULL);
    rp_request_free (self, request);
}

void rp_request_abandon (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text)
{
    rp_head_t reply = {
      .status = (uint8_t) status, .text = text, .text_size = (uint16_t) strlen (text)};
    rp_request_answer (self, request, &reply, NULL);
    rp_request_set_state (self, request, RP_REQUEST_ABANDONED);
    rp_request_set_due (self, request, rp_request_limit_end (request));
    rp_session_tell (self, request->worker,
      &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = rp_pool_handle (&request->pooled)});
}

static inline void s_start (rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker)
{
    s_detach (self, request);
    request->worker = worker;
    request->dispatched = self->now;
    request->attempt = (request->attempt + 1u) & 15u;
    rp_pool_renew (&request->pooled);
    rp_request_set_state (self, request, RP_REQUEST_RUNNING);
    rp_list_append (&worker->running, &request->node);
    worker->held++;
    if (request->conversation && !request->conversation->worker)
        rp_conversation_bind (self, request->conversation, worker);
    int64_t limit_end = rp_request_limit_end (request);
    int64_t deadline = rp_request_deadline (request);
    rp_request_set_due (self, request, deadline < limit_end ? deadline : limit_end);

    rp_record_request (self, RP_RECORD_DISPATCH, request, 0);
    self->stats.deliveries++;
    if (request->attempt > 1) {
        self->stats.redeliveries++;
        worker->service->figures->redeliveries++;
    }
    worker->said = self->now;
    // Rounded up: if the worker's deadline passed before the broker's, a late answer of the worker
    // could arrive in time and count as the reply.
    const rp_service_t *service = worker->service;
    int64_t left = (deadline - self->now - 1) / 1000 + 1;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_SEND, rp_session_id (worker));
    action->payload = request->payload;
    action->token = (rp_token_t){rp_pool_handle (&request->pooled)};
    action->keep = request->attempt < request->attempts || worker->unproven;
    if (!action->keep)
        request->payload = NULL;
    else if (request->hedged)
        rp_hedge_await (self, request);
    action->head = (rp_head_t){
      .command = RP_COMMAND_REQUEST,
      .flags = request->flags & worker->reads,
      .id = action->token.v,
      .conversation = request->conversation ? rp_pool_handle (&request->conversation->pooled) : 0,
      .deadline_ms = left < 1                    ? 1
                     : left > RP_DEADLINE_MAX_MS ? RP_DEADLINE_MAX_MS
                                                 : (uint32_t) left,
      .attempt = request->attempt,
      .attempts = request->attempts,
      .name = service->name,
      .name_size = service->name_size,
    };
}

void rp_request_unread (rp_dispatch_t *self, rp_request_t *request)
{
    rp_request_finish (self, request, request->attempt > 0 ? RP_WORKER_LOST : RP_NO_WORKER,
      "the worker whose turn it was does not read a request in parts; it is too old");
}

/*  The same of a request with a body in parts. False, and the request has ended, if the worker cannot read it.  */
static __attribute__ ((noinline)) bool s_start_stream (
  rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker)
{
    if (!rp_stream_fits (request, worker)) {
        rp_request_unread (self, request);
        return false;
    }
    s_start (self, request, worker);
    rp_stream_start (self, request);
    rp_request_set_due (
      self, request, rp_earlier (rp_request_run_end (request), rp_stream_due (request)));
    return true;
}

bool rp_request_start (rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker)
{
    if (request->stream)
        return s_start_stream (self, request, worker);
    s_start (self, request, worker);
    return true;
}

/*  Ends a request that may not be given to a worker again, since its client may not call the
    service any more.  */
static void s_end_denied (rp_dispatch_t *self, rp_request_t *request)
{
    rp_session_t *client = request->client_queue->client;
    const rp_service_t *service = request->client_queue->service;
    const rp_head_t asked = {.name = service->name, .name_size = service->name_size};
    const char *text = request->barred ? "no rule allows this to its principal any more"
                                       : rp_acl_deny (self, client->principal, RP_RULE_CALL, &asked,
                                         rp_session_id (client));
    if (request->attempt > 0)
        rp_request_finish (self, request, RP_WORKER_LOST,
          "the worker that had the request was lost, and no rule allows another attempt");
    else
        rp_request_finish (self, request, RP_DENIED, text);
}

/*  True if no rule allows another delivery of a request.  */
static bool s_is_denied (const rp_dispatch_t *self, const rp_request_t *request)
{
    rp_client_queue_t *client_queue = request->client_queue;
    return request->barred
           || (client_queue->client->traits & RP_TRAIT_RULED
               && !rp_acl_may_call (self, client_queue->client, client_queue->service));
}

void rp_request_recheck (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->state != RP_REQUEST_RUNNING && s_is_denied (self, request))
        s_end_denied (self, request);
}

void rp_request_bar (rp_dispatch_t *self, rp_request_t *request)
{
    request->barred = true;
    rp_request_recheck (self, request);
}

/*  Puts a request back to the front of its client queue or, if its conversation is established, to
    the front of the pinned line of that conversation's worker. Ends it if no rule allows another
    delivery any more.  */
static void s_requeue (rp_dispatch_t *self, rp_request_t *request)
{
    if (s_is_denied (self, request)) {
        s_end_denied (self, request);
        return;
    }
    rp_session_t *worker = request->worker;
    rp_dispatch_conversation_t *conversation = request->conversation;
    rp_stream_restart (self, request);
    s_detach (self, request);
    request->worker = NULL;
    if (request->untimed)
        request->accepted += self->now - request->dispatched;
    if (conversation && conversation->established) {
        rp_request_set_wait (request, RP_WAIT_PINNED);
        rp_request_set_state (self, request, RP_REQUEST_PINNED);
        rp_list_prepend (&conversation->worker->pinned, &request->node);
        conversation->worker->wanted = true;
        rp_request_watch (self, request);
        rp_service_touch (self, worker->service); // its terms may let another start
    }
    else {
        if (conversation)
            rp_conversation_unbind (self, conversation);
        if (worker->ending && worker->service->worker_count == 1)
            rp_request_set_wait (request, RP_WAIT_NO_WORKER); // the only one is on its way out
        rp_service_enqueue (self, rp_request_service (request), request, true);
    }
    rp_request_refill (self, worker);
}

/*  True of an attempt of a job, which the jobs make again themselves.  */
static bool s_is_of_job (const rp_request_t *request)
{
    const unsigned both = RP_TRAIT_TRUSTED | RP_TRAIT_UNTIMED;
    return (request->client_queue->client->traits & both) == both;
}

void rp_request_lost (rp_dispatch_t *self, rp_request_t *request, const char *text)
{
    if (request->hedged && rp_hedge_survive (self, request, RP_TRACE_LOST, text))
        return;
    bool bound = request->orphaned || (request->conversation && request->conversation->established)
                 || s_is_of_job (request);
    if (request->attempt >= request->attempts || !request->payload || bound || request->begun
        || self->draining) {
        rp_request_finish (self, request, RP_WORKER_LOST, text);
        return;
    }
    rp_trace_lost (self, request, RP_TRACE_LOST, text);
    request->excluded = rp_session_mark (request->worker);
    s_requeue (self, request);
}

/*  A delivery that did not run is no attempt. Counters keep it, since they never go down.  */
static void s_uncount (rp_request_t *request)
{
    request->attempt = (request->attempt - 1u) & 15u;
}

/*  True if another worker of the service takes requests, now or when it has room.  */
static bool s_has_alternative (const rp_service_t *service, const rp_session_t *worker)
{
    for (rp_list_node_t *node = rp_list_first (&service->workers); node;
         node = rp_list_next (&service->workers, node)) {
        const rp_session_t *other = RP_CONTAINER (node, rp_session_t, service_node);
        if (other != worker && !other->draining)
            return true;
    }
    return false;
}

void rp_request_unbegun (rp_dispatch_t *self, rp_request_t *request, const char *text)
{
    rp_record_request (self, RP_RECORD_UNSENT, request, 0);
    if (request->answered) {
        rp_request_let_go (self, request, false);
        return;
    }
    if (request->hedged && rp_hedge_survive (self, request, RP_TRACE_RETURNED, text))
        return;
    rp_trace_lost (self, request, RP_TRACE_RETURNED, text);
    s_uncount (request);
    request->excluded = rp_session_mark (request->worker);
    bool bound = request->conversation && request->conversation->established;
    bool waits = request->payload && !request->orphaned && !request->copy
                 && (bound || self->now < request->accepted + (int64_t) request->wait * 1000
                     || s_has_alternative (request->client_queue->service, request->worker));
    if (waits)
        s_requeue (self, request);
    else if (request->attempt > 0)
        rp_request_finish (self, request, RP_WORKER_LOST, text);
    else
        rp_request_finish (
          self, request, request->orphaned ? RP_CONVERSATION_LOST : RP_NO_WORKER, text);
}

void rp_request_unsent (rp_dispatch_t *self, rp_request_t *request, rp_payload_t *payload)
{
    rp_record_request (self, RP_RECORD_UNSENT, request, 0);
    if (request->state == RP_REQUEST_ABANDONED) {
        rp_actions_drop (self->actions, payload);
        rp_request_let_go (self, request, false);
        return;
    }
    if (request->payload)
        rp_actions_drop (self->actions, payload);
    else
        request->payload = payload;
    if (request->hedged && rp_hedge_survive (self, request, RP_TRACE_UNSENT, ""))
        return;
    rp_trace_lost (self, request, RP_TRACE_UNSENT, "");
    if (request->begun) { // by a GRANT of a worker that guessed its token
        rp_request_finish (
          self, request, RP_WORKER_LOST, "its worker granted what it was never given");
        return;
    }
    s_uncount (request);
    if (request->orphaned)
        rp_request_finish (self, request,
          request->attempt > 0 ? RP_WORKER_LOST : RP_CONVERSATION_LOST,
          "the conversation ended before the request reached its worker");
    else if (request->copy)
        rp_request_finish (
          self, request, RP_NO_WORKER, "the worker was lost before the request reached it");
    else
        s_requeue (self, request);
}

void rp_request_no_worker (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->attempt > 0) {
        rp_request_finish (self, request, RP_WORKER_LOST,
          "the worker that had the request was lost, and no other came");
        return;
    }
    rp_head_t reply = {.status = RP_NO_WORKER};
    const rp_service_t *service = request->client_queue->service;
    rp_service_explain_absence (self, service->name, service->name_size, &reply);
    rp_request_answer (self, request, &reply, NULL);
    rp_request_free (self, request);
}

/*  When the request stops waiting for a service without workers.  */
static int64_t s_patience_end (const rp_request_t *request)
{
    int64_t end = request->accepted + (int64_t) request->wait * 1000;
    int64_t linger_until = rp_request_service (request)->linger_until;
    return end < linger_until ? linger_until : end;
}

bool rp_request_is_patient (const rp_dispatch_t *self, const rp_request_t *request)
{
    return self->now < s_patience_end (request);
}

void rp_request_watch (rp_dispatch_t *self, rp_request_t *request)
{
    int64_t due = rp_request_deadline (request);
    if (rp_request_service (request)->worker_count == 0 && s_patience_end (request) < due)
        due = s_patience_end (request);
    rp_request_set_due (self, request, due);
}

/*  The timer of a running request came before its deadline. True if it was that of its stream, whose silence
    ends the request.  */
static bool s_stream_was_due (rp_dispatch_t *self, rp_request_t *request)
{
    int64_t silent = rp_stream_due (request);
    if (silent == RP_NEVER || self->now >= rp_request_limit_end (request))
        return false;
    if (self->now < silent)
        rp_request_set_due (self, request, rp_earlier (silent, rp_request_run_end (request)));
    else
        rp_request_abandon (self, request, RP_DEADLINE,
          "no part and no grant came for longer than the request allows (stream-idle)");
    return true;
}

/*  The worker did not answer within the limit of the attempt. Its place is free again; an answer
    would be late, since the next delivery has another token.  */
static void s_overdue (rp_dispatch_t *self, rp_request_t *request)
{
    rp_session_t *worker = request->worker;
    worker->freed = self->now;
    self->stats.overdue_attempts++;
    const char *text = rp_actions_format (self->actions,
      "a worker of \"%s\" did not answer attempt %u of %u within %u ms; raise the limit "
      "%s if its work takes longer",
      worker->service->name, (unsigned) request->attempt, (unsigned) request->attempts,
      (unsigned) worker->attempt_limit,
      worker->traits & RP_TRAIT_MUTE ? "foreign_attempt" : "mdp_attempt");
    rp_session_log (self, RP_LEVEL_WARNING, RP_TOPIC_LOST, worker,
      *text // texts run out when very many are due at once
        ? text
        : "a worker did not answer within the limit of an attempt (foreign_attempt, mdp_attempt)");
    if (!request->answered)
        rp_request_lost (self, request, "the worker did not answer within the limit of an attempt");
    else
        rp_request_let_go (self, request, true);
}

void rp_request_due (rp_dispatch_t *self, rp_request_t *request)
{
    bool running = request->state == RP_REQUEST_RUNNING;
    int64_t deadline = rp_request_deadline (request);
    if (request->answered || (running && self->now < deadline)) {
        if (!request->answered && request->hedged && rp_hedge_due (self, request))
            return;
        if (request->answered || !s_stream_was_due (self, request))
            s_overdue (self, request);
        return;
    }
    if (self->now < deadline) { // its wait for a worker may be over
        if (request->client_queue->service->worker_count == 0
            && !rp_request_is_patient (self, request))
            rp_request_no_worker (self, request);
        else
            rp_request_watch (self, request);
        return;
    }
    if (running)
        rp_request_abandon (
          self, request, RP_DEADLINE, "the deadline passed while a worker had the request");
    else if (request->attempt > 0)
        rp_request_finish (self, request, RP_DEADLINE,
          "the deadline passed while the request waited to be given to another worker");
    else if (request->client_queue->service->worker_count
             == 0) // EXPIRED would suggest that there are workers
        rp_request_no_worker (self, request);
    else
        rp_request_finish (
          self, request, RP_EXPIRED, "the deadline passed before a worker had room");
}

void rp_request_cancel (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->state == RP_REQUEST_RUNNING)
        rp_request_abandon (self, request, RP_CANCELLED, "cancelled while a worker had it");
    else if (request->attempt > 0)
        rp_request_finish (self, request, RP_CANCELLED, "cancelled between two deliveries");
    else
        rp_request_finish (self, request, RP_CANCELLED, "cancelled before a worker had it");
}

void rp_request_refuse_with (
  rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event, const rp_head_t *reply)
{
    const rp_head_t *asked = event->head;
    self->stats.requests++;
    self->stats.final[reply->status]++;
    rp_service_figures (self, asked->name, asked->name_size)->final[reply->status]++;
    rp_record_refusal (self, client, event->head->id, reply->status);
    // a foreign client's durable request is one of Titanic's, which has a word for it
    if (client->traits & (RP_TRAIT_WORDLESS | RP_TRAIT_UNTIMED)
        && !(asked->flags & RP_FLAG_DURABLE))
        s_note_unanswered (self, client, event->head->name, event->head->name_size, reply);
    rp_actions_drop (self->actions, event->payload);
    rp_head_t head = *reply;
    head.command = RP_COMMAND_REPLY;
    head.id = event->head->id;
    rp_session_tell (self, client, &head);
}

void rp_request_refuse (rp_dispatch_t *self,
  rp_session_t *client,
  const rp_event_t *event,
  rp_status_t status,
  const char *text)
{
    rp_head_t reply = {
      .status = (uint8_t) status, .text = text, .text_size = (uint16_t) strlen (text)};
    rp_request_refuse_with (self, client, event, &reply);
}
