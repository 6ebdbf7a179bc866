/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/conversation.h"

#include "broker/core/request.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "broker/core/stream.h"

static uint64_t s_hash (const rp_dispatch_t *self, const rp_session_t *client, uint64_t key)
{
    return rp_hash_pair (key, rp_pool_handle (&client->pooled), ~self->seed);
}

rp_dispatch_conversation_t *rp_conversation_find (
  const rp_dispatch_t *self, const rp_session_t *client, uint64_t key)
{
    uint64_t hash = s_hash (self, client, key);
    rp_table_cursor_t cursor;
    rp_dispatch_conversation_t *conversation =
      rp_table_first (&self->conversations_by_key, hash, &cursor);
    while (conversation && (conversation->client != client || conversation->key != key))
        conversation = rp_table_next (&self->conversations_by_key, hash, &cursor);
    return conversation;
}

static void s_set_idle (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation)
{
    rp_timer_set (
      self, &conversation->timer, self->now + (int64_t) self->limits.conversation_idle * 1000);
}

rp_dispatch_conversation_t *rp_conversation_begin (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, uint64_t key)
{
    rp_dispatch_conversation_t *conversation = rp_pool_take (&self->conversations);
    if (!conversation)
        return NULL;
    conversation->hash = s_hash (self, client, key);
    if (!rp_timer_begin (self, &conversation->timer, RP_TIMER_CONVERSATION)) {
        rp_pool_give (&self->conversations, conversation);
        return NULL;
    }
    if (!rp_table_insert (&self->conversations_by_key, conversation->hash, conversation)) {
        rp_timer_end (self, &conversation->timer);
        rp_pool_give (&self->conversations, conversation);
        return NULL;
    }
    client->conversation_count++;
    conversation->client = client;
    conversation->service = service;
    conversation->key = key;
    rp_list_init (&conversation->line);
    rp_list_append (&client->conversations, &conversation->client_node);
    service->conversations++;
    self->stats.conversations++;
    s_set_idle (self, conversation);
    return conversation;
}

/*  Makes a request the current one, and starts, pins or queues it. Ends it instead, and none is the current one, if
    the worker of the conversation cannot read it.  */
static void s_go (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_request_t *request)
{
    rp_session_t *worker = conversation->worker;
    if (worker && !rp_stream_fits (request, worker)) {
        request->conversation = NULL; // so that its end does not advance it, once per one in line
        rp_request_unread (self, request);
        return;
    }
    conversation->current = request;
    rp_timer_set (self, &conversation->timer, RP_NEVER);
    if (!worker) {
        rp_service_enqueue (self, conversation->service, request, false);
        return;
    }
    // Requests that wait for this worker go first, or one long line would block them.
    if (rp_worker_has_room (worker) && rp_list_is_empty (&worker->pinned)
        && self->now < rp_request_deadline (request)
        && (!rp_terms_throttle (conversation->service->terms)
            || rp_service_pass (self, conversation->service))) {
        (void) rp_request_start (self, request, worker);
        rp_service_room_changed (self, worker);
        return;
    }
    rp_request_set_wait (request, RP_WAIT_PINNED);
    rp_request_set_state (self, request, RP_REQUEST_PINNED);
    rp_list_append (&worker->pinned, &request->node);
    worker->wanted = true;
}

void rp_conversation_add (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_request_t *request)
{
    request->conversation = conversation;
    rp_request_set_due (self, request, rp_request_deadline (request)); // terms may have changed it
    if (!conversation->current) {
        s_go (self, conversation, request);
        return;
    }
    rp_request_set_wait (request, RP_WAIT_LINE);
    rp_request_set_state (self, request, RP_REQUEST_HELD);
    rp_list_append (&conversation->line, &request->node);
}

void rp_conversation_advance (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation)
{
    conversation->current = NULL;
    rp_list_node_t *node;
    while (!conversation->current && (node = rp_list_first (&conversation->line))) {
        rp_list_remove (node);
        s_go (self, conversation, RP_CONTAINER (node, rp_request_t, node));
    }
    if (!conversation->current)
        s_set_idle (self, conversation);
}

void rp_conversation_bind (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_session_t *worker)
{
    (void) self;
    conversation->worker = worker;
    rp_list_append (&worker->conversations, &conversation->worker_node);
}

void rp_conversation_unbind (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation)
{
    rp_session_t *worker = conversation->worker;
    if (!worker)
        return;
    rp_list_remove (&conversation->worker_node);
    conversation->worker = NULL;
    rp_session_check_drained (self, worker);
}

/*  Ends the requests that wait. A request that runs goes on without the conversation.  */
static void s_end_requests (rp_dispatch_t *self,
  rp_dispatch_conversation_t *conversation,
  rp_status_t status,
  const char *text)
{
    rp_request_t *current = conversation->current;
    conversation->current = NULL;
    if (current) {
        current->conversation = NULL;
        current->orphaned = true;
        if (current->state == RP_REQUEST_QUEUED || current->state == RP_REQUEST_PINNED)
            rp_request_finish (self, current,
              status == RP_CONVERSATION_LOST && current->attempt > 0 ? RP_WORKER_LOST : status,
              text);
    }
    rp_list_node_t *node;
    while ((node = rp_list_first (&conversation->line))) {
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        request->conversation = NULL;
        rp_request_finish (self, request, status, text);
    }
}

void rp_conversation_end (rp_dispatch_t *self,
  rp_dispatch_conversation_t *conversation,
  rp_status_t status,
  const char *text)
{
    s_end_requests (self, conversation, status, text);
    rp_session_t *worker = conversation->worker;
    if (worker && !worker->ending)
        rp_session_tell (self, worker,
          &(rp_head_t){
            .command = RP_COMMAND_END, .conversation = rp_pool_handle (&conversation->pooled)});
    rp_conversation_unbind (self, conversation);
    rp_list_remove (&conversation->client_node);
    conversation->client->conversation_count--;
    conversation->service->conversations--;
    rp_service_touch (self, conversation->service);
    rp_table_remove (&self->conversations_by_key, conversation->hash, conversation);
    rp_timer_end (self, &conversation->timer);
    rp_pool_give (&self->conversations, conversation);
}
