/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/request.h"

#include <string.h>

#include "broker/core/client_queue.h"
#include "broker/core/conversation.h"
#include "broker/core/parts.h"
#include "broker/core/record.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "common/base/check.h"

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
  [RP_REQUEST_ABANDONED] = {[RP_REQUEST_DONE] = true},
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

static void s_count (rp_dispatch_t *self, const rp_request_t *request, uint64_t one)
{
    rp_service_t *service = rp_request_service (request);
    if (s_waits (request->state)) {
        self->stats.waiting += one;
        self->stats.waiting_bytes += one * request->bytes;
        service->waiting += one;
        if (request->untimed)
            service->untimed += one;
        service->waiting_bytes += one * request->bytes;
    }
    else if (request->state == RP_REQUEST_RUNNING) {
        self->stats.running += one;
        service->running += one;
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
        || !(request->client_queue = rp_client_queue_open (self, client, service))) {
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
    request->wait = head->wait_ms;
    rp_list_append (&client->requests, &request->client_node);
    client->open++;
    if (client->traits & RP_TRAIT_UNTIMED) {
        request->untimed = true;
        client->open_bytes += request->bytes + RP_REQUEST_COST;
    }
    service->requests++;
    self->stats.requests++;
    self->stats.open_bytes += request->bytes;
    self->newest = rp_pool_handle (&request->pooled);
    rp_record_request (self, RP_RECORD_ACCEPT, request, 0);
    return request;
}

/*  Fits a time into 32 bits of µs; more than an hour stays more than an hour.  */
static uint32_t s_us (int64_t time)
{
    return time < 0 ? 0 : time > UINT32_MAX ? UINT32_MAX : (uint32_t) time;
}

/*  Counts and logs a request that ends without its client being told. This is the only place that
    does.  */
static void s_count_unanswered (
  rp_dispatch_t *self, rp_session_id_t client, rp_status_t status, const char *text)
{
    self->stats.unanswered[status]++;
    rp_actions_log (self->actions, RP_LEVEL_WARNING, RP_TOPIC_UNANSWERED, client,
      *text ? text : "a request ended, and its client is not told");
}

/*  Counts a final status that the client's protocol has no word for. A client that left by itself
    does not wait for it.  */
static void s_note_unanswered (rp_dispatch_t *self,
  const rp_session_t *client,
  const char *service,
  int size,
  const rp_head_t *reply)
{
    bool answered = reply->status == RP_OK || reply->status == RP_APP_ERROR;
    bool wordless = client->traits & RP_TRAIT_WORDLESS && !answered;
    if (client->ending ? client->cut : wordless)
        s_count_unanswered (self, rp_session_id (client), (rp_status_t) reply->status,
          rp_actions_format (self->actions,
            "a request for \"%.*s\" ended with %s (%.*s), and its client is not told: %s", size,
            service, rp_status_name (reply->status), (int) reply->text_size,
            reply->text_size ? reply->text : "",
            client->ending ? "it is cut off"
                           : "its protocol has no word for it, and foreign_errors is 0"));
}

void rp_request_dropped (rp_dispatch_t *self, const rp_event_t *event)
{
    s_count_unanswered (self, event->session, self->draining ? RP_DRAINING : RP_BUSY,
      rp_actions_format (
        self->actions, "a request was dropped, and its client is not told: %s", event->why));
    rp_actions_drop (self->actions, event->payload);
}

void rp_request_reply_unsent (rp_dispatch_t *self, const rp_session_t *client, uint8_t status)
{
    bool told = status == RP_OK || status == RP_APP_ERROR || !(client->traits & RP_TRAIT_WORDLESS);
    if (client->traits & RP_TRAIT_UNTIMED && told)
        s_count_unanswered (self, rp_session_id (client), (rp_status_t) status,
          rp_actions_format (self->actions,
            "a reply with %s could not be sent, and its client, which is cut off, is not told",
            rp_status_name (status)));
}

/*  Sends the client a reply, or a part of one.  */
static inline void s_send_reply (
  rp_dispatch_t *self, const rp_request_t *request, const rp_head_t *reply, rp_payload_t *payload)
{
    rp_session_t *client = request->client_queue->client;
    if (client->ending) {
        rp_actions_drop (self->actions, payload);
        return;
    }
    bool running = request->state == RP_REQUEST_RUNNING;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_SEND, rp_session_id (client));
    action->payload = payload;
    action->head = *reply;
    action->head.command = RP_COMMAND_REPLY;
    action->head.id = request->client_id;
    action->head.conversation = 0;
    action->head.attempt = request->attempt;
    action->head.queue_us = s_us ((running ? request->dispatched : self->now) - request->accepted);
    action->head.work_us = running ? s_us (self->now - request->dispatched) : 0;
    client->said = self->now;
}

void rp_request_send_part (
  rp_dispatch_t *self, const rp_request_t *request, const rp_head_t *part, rp_payload_t *payload)
{
    s_send_reply (self, request, part, payload);
}

void rp_request_answer (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply, rp_payload_t *payload)
{
    rp_client_queue_t *client_queue = request->client_queue;
    rp_session_t *client = client_queue->client;
    rp_service_t *service = client_queue->service;
    bool failed = reply->status != RP_OK && reply->status != RP_APP_ERROR;
    rp_record_request (self, RP_RECORD_FINAL, request, reply->status);
    self->stats.final[reply->status]++;
    service->ended++;
    service->failed += failed;
    rp_parts_drop (self, request);
    if (client->traits & (RP_TRAIT_WORDLESS | RP_TRAIT_UNTIMED))
        s_note_unanswered (self, client, service->name, service->name_size, reply);
    s_send_reply (self, request, reply, payload);
    rp_list_remove (&request->client_node);
    client->open--;
    if (request->untimed)
        client->open_bytes -= request->bytes + RP_REQUEST_COST;
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

void rp_request_refill (rp_dispatch_t *self, rp_session_t *worker)
{
    rp_list_node_t *node;
    while (rp_worker_has_room (worker) && (node = rp_list_first (&worker->pinned))) {
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        if (self->now < rp_request_deadline (request))
            rp_request_start (self, request, worker);
        else
            rp_request_due (self, request);
    }
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

void rp_request_finish (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text)
{
    rp_head_t reply = {
      .status = (uint8_t) status, .text = text, .text_size = (uint16_t) strlen (text)};
    rp_request_answer (self, request, &reply, NULL);
    rp_request_free (self, request);
}

/*  When the limit of the attempt ends.  */
static int64_t s_limit_end (const rp_request_t *request)
{
    uint32_t limit = request->worker->attempt_limit;
    return limit ? request->dispatched + (int64_t) limit * 1000 : RP_NEVER;
}

void rp_request_abandon (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text)
{
    rp_head_t reply = {
      .status = (uint8_t) status, .text = text, .text_size = (uint16_t) strlen (text)};
    rp_request_answer (self, request, &reply, NULL);
    rp_request_set_state (self, request, RP_REQUEST_ABANDONED);
    rp_request_set_due (self, request, s_limit_end (request));
    rp_session_tell (self, request->worker,
      &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = rp_pool_handle (&request->pooled)});
}

void rp_request_start (rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker)
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
    int64_t limit_end = s_limit_end (request);
    int64_t deadline = rp_request_deadline (request);
    rp_request_set_due (self, request, deadline < limit_end ? deadline : limit_end);

    rp_record_request (self, RP_RECORD_DISPATCH, request, 0);
    self->stats.deliveries++;
    self->stats.redeliveries += request->attempt > 1;
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
    action->head = (rp_head_t){
      .command = RP_COMMAND_REQUEST,
      .flags = request->flags,
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

/*  Puts the request back to the front of its client queue; if its conversation is established, of
    its worker's pinned line.  */
static void s_requeue (rp_dispatch_t *self, rp_request_t *request)
{
    rp_session_t *worker = request->worker;
    rp_dispatch_conversation_t *conversation = request->conversation;
    rp_parts_drop (self, request);
    s_detach (self, request);
    request->worker = NULL;
    if (request->untimed)
        request->accepted += self->now - request->dispatched;
    if (conversation && conversation->established) {
        rp_request_set_state (self, request, RP_REQUEST_PINNED);
        rp_list_prepend (&conversation->worker->pinned, &request->node);
        rp_request_watch (self, request);
    }
    else {
        if (conversation)
            rp_conversation_unbind (self, conversation);
        rp_service_enqueue (self, rp_request_service (request), request, true);
    }
    rp_request_refill (self, worker);
}

void rp_request_lost (rp_dispatch_t *self, rp_request_t *request, const char *text)
{
    bool bound = request->orphaned || (request->conversation && request->conversation->established);
    if (request->attempt >= request->attempts || !request->payload || bound || request->streamed
        || self->draining) {
        rp_request_finish (self, request, RP_WORKER_LOST, text);
        return;
    }
    rp_parts_drop (self, request);
    request->excluded = rp_session_mark (request->worker);
    s_requeue (self, request);
}

/*  Takes back the count of a delivery that did not run.  */
static void s_uncount (rp_dispatch_t *self, rp_request_t *request)
{
    self->stats.deliveries--;
    self->stats.redeliveries -= request->attempt > 1;
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
        rp_request_free (self, request);
        return;
    }
    s_uncount (self, request);
    request->excluded = rp_session_mark (request->worker);
    bool bound = request->conversation && request->conversation->established;
    bool waits = request->payload && !request->orphaned
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
        rp_request_free (self, request);
        return;
    }
    if (request->payload)
        rp_actions_drop (self->actions, payload);
    else
        request->payload = payload;
    s_uncount (self, request);
    if (request->orphaned)
        rp_request_finish (self, request,
          request->attempt > 0 ? RP_WORKER_LOST : RP_CONVERSATION_LOST,
          "the conversation ended before the request reached its worker");
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
    rp_actions_log ( // texts run out when very many are due at once
      self->actions, RP_LEVEL_WARNING, RP_TOPIC_LOST, rp_session_id (worker),
      *text
        ? text
        : "a worker did not answer within the limit of an attempt (foreign_attempt, mdp_attempt)");
    if (!request->answered)
        rp_request_lost (self, request, "the worker did not answer within the limit of an attempt");
    else
        rp_request_free (self, request);
}

void rp_request_due (rp_dispatch_t *self, rp_request_t *request)
{
    bool running = request->state == RP_REQUEST_RUNNING;
    int64_t deadline = rp_request_deadline (request);
    if (request->answered || (running && self->now < deadline)) {
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
    self->stats.requests++;
    self->stats.final[reply->status]++;
    rp_record_refusal (self, client, event->head->id, reply->status);
    if (client->traits & (RP_TRAIT_WORDLESS | RP_TRAIT_UNTIMED))
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
