/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/replay/replays.h"

#include <stdlib.h>
#include <string.h>

#include "broker/replay/replays_state.h"
#include "common/base/earlier.h"
#include "common/wire/headers.h"

/*  ---- Telling clients ------------------------------------------------------------------------ */

static void s_refuse (
  rp_replays_t *self, const rp_replays_request_t *request, rp_status_t status, const char *text)
{
    if (status == RP_KEY_MISMATCH)
        self->figures.mismatched++;
    else
        self->figures.refused++;
    rp_actions_add (self->actions, RP_ACTION_SEND, request->session)->head =
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .status = (uint8_t) status,
        .id = request->head->id,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
    rp_actions_drop (self->actions, request->payload);
}

/*  Answers a request with a result.  */
static void s_replay (rp_replays_t *self,
  const rp_replay_t *replay,
  rp_session_id_t session,
  uint64_t request,
  bool replayed)
{
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_SEND, session);
    action->payload = replay->result;
    action->keep = true;
    action->head = (rp_head_t){.command = RP_COMMAND_REPLY,
      .flags = (uint16_t) (replay->flags | (replayed ? RP_FLAG_REPLAYED : 0)),
      .status = replay->status,
      .attempt = replay->attempt,
      .queue_us = replay->queue_us,
      .work_us = replay->work_us,
      .id = request,
      .job = rp_pool_handle (&replay->pooled)};
    self->figures.replayed += replayed;
}

/*  ---- Requests that wait --------------------------------------------------------------------- */

static uint64_t s_client_hash (const rp_replays_t *self, rp_session_id_t session)
{
    return rp_hash_pair (session.v, 0, self->options.seed);
}

static uint64_t s_waiter_hash (const rp_replays_t *self, rp_session_id_t session, uint64_t request)
{
    return rp_hash_pair (session.v, request, self->options.seed + 1);
}

static rp_replay_client_t *s_find_client (const rp_replays_t *self, rp_session_id_t session)
{
    uint64_t hash = s_client_hash (self, session);
    rp_table_cursor_t cursor;
    rp_replay_client_t *client = rp_table_first (&self->clients_by_session, hash, &cursor);
    while (client && client->session.v != session.v)
        client = rp_table_next (&self->clients_by_session, hash, &cursor);
    return client;
}

/*  Returns the client of a session, made if there is none. NULL when out of memory.  */
static rp_replay_client_t *s_get_client (rp_replays_t *self, rp_session_id_t session)
{
    rp_replay_client_t *client = s_find_client (self, session);
    if (client || !(client = rp_pool_take (&self->clients)))
        return client;
    client->session = session;
    if (rp_table_insert (&self->clients_by_session, s_client_hash (self, session), client))
        return client;
    rp_pool_give (&self->clients, client);
    return NULL;
}

/*  Frees a client for which nothing waits.  */
static void s_leave_client (rp_replays_t *self, rp_replay_client_t *client)
{
    if (client->waiting > 0)
        return;
    rp_table_remove (&self->clients_by_session, s_client_hash (self, client->session), client);
    rp_pool_give (&self->clients, client);
}

static rp_replay_waiter_t *s_find_waiter (
  const rp_replays_t *self, rp_session_id_t session, uint64_t request)
{
    uint64_t hash = s_waiter_hash (self, session, request);
    rp_table_cursor_t cursor;
    rp_replay_waiter_t *waiter = rp_table_first (&self->waiters_by_request, hash, &cursor);
    while (waiter && (waiter->client->session.v != session.v || waiter->request != request))
        waiter = rp_table_next (&self->waiters_by_request, hash, &cursor);
    return waiter;
}

/*  Has a request wait for an execution. NULL when out of memory.  */
static rp_replay_waiter_t *s_wait (
  rp_replays_t *self, const rp_replays_request_t *request, rp_replay_t *replay)
{
    const rp_head_t *head = request->head;
    int64_t deadline = self->now + (int64_t) head->deadline_ms * 1000;
    rp_replay_client_t *client = s_get_client (self, request->session);
    rp_replay_waiter_t *waiter = client ? rp_pool_take (&self->waiters) : NULL;
    if (waiter) {
        rp_heap_node_init (&waiter->due);
        waiter->client = client;
        waiter->request = head->id;
    }
    uint64_t hash = s_waiter_hash (self, request->session, head->id);
    if (!waiter || !rp_heap_push (&self->due, &waiter->due, (uint64_t) deadline)
        || !rp_table_insert (&self->waiters_by_request, hash, waiter)) {
        if (waiter) {
            rp_heap_remove (&self->due, &waiter->due);
            rp_pool_give (&self->waiters, waiter);
        }
        if (client)
            s_leave_client (self, client);
        return NULL;
    }
    client->waiting++;
    waiter->replay = replay;
    waiter->bytes = request->bytes;
    rp_list_append (&replay->waiters, &waiter->node);
    replay->owner->waiting++;
    replay->owner->waiting_bytes += waiter->bytes;
    self->figures.waiting++;
    rp_replay_grow (self, replay, RP_REPLAY_WAITER_COST);
    return waiter;
}

static void s_leave (rp_replays_t *self, rp_replay_waiter_t *waiter)
{
    rp_replay_t *replay = waiter->replay;
    rp_replay_client_t *client = waiter->client;
    rp_heap_remove (&self->due, &waiter->due);
    rp_table_remove (
      &self->waiters_by_request, s_waiter_hash (self, client->session, waiter->request), waiter);
    rp_list_remove (&waiter->node);
    replay->owner->waiting--;
    replay->owner->waiting_bytes -= waiter->bytes;
    self->figures.waiting--;
    rp_replay_shrink (self, replay, RP_REPLAY_WAITER_COST);
    rp_pool_give (&self->waiters, waiter);
    client->waiting--;
    s_leave_client (self, client);
}

/*  Ends a request that waits, without the result. Withdraws the execution if it was the last one; its key is
    free from then on.  */
static void s_end (
  rp_replays_t *self, rp_replay_waiter_t *waiter, rp_status_t status, const char *text)
{
    rp_replay_t *replay = waiter->replay;
    uint64_t execution = rp_pool_handle (&replay->pooled);
    rp_actions_add (self->actions, RP_ACTION_SEND, waiter->client->session)->head =
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .status = (uint8_t) status,
        .attempt =
          (uint8_t) rp_dispatch_attempts (self->options.core, self->options.client, execution),
        .id = waiter->request,
        .job = execution,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
    s_leave (self, waiter);
    if (!rp_list_is_empty (&replay->waiters))
        return;
    rp_replay_forget_key (self, replay);
    rp_actions_add (self->actions, RP_ACTION_WITHDRAW, (rp_session_id_t){0})->head.id = execution;
}

/*  ---- Submission ----------------------------------------------------------------------------- */

/*  Returns why a request cannot be taken, and the status; NULL if it can.  */
static const char *s_door (rp_replays_t *self,
  const rp_replays_request_t *request,
  const rp_replay_owner_t *owner,
  rp_status_t *status)
{
    const rp_head_t *head = request->head;
    const rp_replay_client_t *client = s_find_client (self, request->session);
    *status = RP_INVALID;
    if (s_find_waiter (self, request->session, head->id))
        return "a request with this id is open already; use a new id for each";
    *status = RP_EXPIRED;
    if (head->deadline_ms == 0)
        return "the deadline had passed when the request came";
    *status = RP_BUSY;
    if (client && client->waiting >= self->options.limits->client_open)
        return "too many requests of this client are open (limit client_open)";
    if (request->quota && owner->waiting >= request->quota->open)
        return "too many requests with keys of this principal are open (quota open)";
    if (request->quota && owner->waiting_bytes + request->bytes > request->quota->open_bytes)
        return "open requests with keys of this principal take too many bytes (quota open_bytes)";
    return NULL;
}

/*  Begins an execution, for which the request waits.  */
static void s_begin (rp_replays_t *self,
  const rp_replays_request_t *request,
  rp_replay_owner_t *owner,
  const rp_header_t *key)
{
    const rp_head_t *head = request->head;
    uint8_t key_size = (uint8_t) key->value_size;
    uint64_t bytes = RP_REPLAY_COST + RP_REPLAY_WAITER_COST + head->name_size + key_size;
    if (!rp_replay_make_room (self, owner, bytes)) {
        s_refuse (
          self, request, RP_BUSY, "too many requests with keys are open (limit replay_bytes)");
        return;
    }
    rp_replay_t *replay = rp_replay_new (self, owner, head, key->value, key_size);
    rp_replay_waiter_t *waiter = replay ? s_wait (self, request, replay) : NULL;
    if (!waiter) {
        owner->executions++; // rp_replay_free would free it, which the caller still uses
        if (replay)
            rp_replay_free (self, replay);
        owner->executions--;
        s_refuse (self, request, RP_BUSY, "the broker is out of memory");
        return;
    }
    waiter->first = true;
    memcpy (replay->digest, request->digest, RP_REPLAYS_DIGEST);
    self->figures.running++;
    self->figures.executed++;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_START, (rp_session_id_t){0});
    action->payload = request->payload;
    // Another request may come that waits for longer, so only withdrawing ends it.
    action->head =
      (rp_head_t){.id = rp_pool_handle (&replay->pooled), .deadline_ms = RP_DEADLINE_MAX_MS};
}

static void s_submit (
  rp_replays_t *self, const rp_replays_request_t *request, rp_replay_owner_t *owner)
{
    const rp_head_t *head = request->head;
    rp_header_t key;
    if (!rp_headers_find (head->headers, head->headers_size, RP_JOB_KEY, &key)
        || key.value_size == 0 || key.value_size > RP_STORE_KEY_MAX) {
        s_refuse (self, request, RP_INVALID,
          "a request with the flag KEYED has a header idempotency-key of 1 to 127 bytes");
        return;
    }
    rp_status_t status;
    const char *refusal = s_door (self, request, owner, &status);
    rp_replay_t *replay = rp_replay_find (self, owner, head, key.value, (uint8_t) key.value_size);
    if (refusal) {
        s_refuse (self, request, status, refusal);
    }
    else if (!replay) {
        s_begin (self, request, owner, &key);
    }
    else if (memcmp (replay->digest, request->digest, RP_REPLAYS_DIGEST) != 0) {
        s_refuse (self, request, RP_KEY_MISMATCH,
          "this idempotency key belongs to a request with another body");
    }
    else if (replay->result) {
        replay->wanted = self->turn;
        s_replay (self, replay, request->session, head->id, true);
        rp_actions_drop (self->actions, request->payload);
    }
    else if (!rp_replay_make_room (self, owner, RP_REPLAY_WAITER_COST)
             || !s_wait (self, request, replay)) {
        s_refuse (
          self, request, RP_BUSY, "too many requests with keys are open (limit replay_bytes)");
    }
    else {
        rp_actions_drop (self->actions, request->payload);
    }
}

void rp_replays_submit (
  rp_replays_t *self, const rp_replays_request_t *request, int64_t now, rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
    rp_replay_owner_t *owner = rp_replay_owner (self, request->principal);
    if (!owner) {
        s_refuse (self, request, RP_BUSY, "the broker is out of memory");
        return;
    }
    s_submit (self, request, owner);
    rp_replay_leave_owner (self, owner);
}

bool rp_replays_cancel (
  rp_replays_t *self, rp_session_id_t session, uint64_t request, int64_t now, rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
    rp_replay_waiter_t *waiter = s_find_waiter (self, session, request);
    if (waiter)
        s_end (self, waiter, RP_CANCELLED, "cancelled while it waited for the result of its key");
    return waiter != NULL;
}

/*  ---- Ends ----------------------------------------------------------------------------------- */

/*  Tells all who wait for an execution that it ended without an answer.  */
static void s_fail (rp_replays_t *self, rp_replay_t *replay, const rp_head_t *head)
{
    rp_list_node_t *node;
    self->figures.failed += !replay->withdrawn;
    while ((node = rp_list_first (&replay->waiters))) {
        rp_replay_waiter_t *waiter = RP_CONTAINER (node, rp_replay_waiter_t, node);
        rp_action_t *action =
          rp_actions_add (self->actions, RP_ACTION_SEND, waiter->client->session);
        action->head = *head;
        action->head.id = waiter->request;
        action->head.job = rp_pool_handle (&replay->pooled);
        s_leave (self, waiter);
    }
    rp_replay_free (self, replay);
}

void rp_replays_answered (rp_replays_t *self,
  const rp_head_t *head,
  rp_payload_t *payload,
  size_t bytes,
  int64_t now,
  rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
    rp_replay_t *replay = rp_pool_find (&self->replays, head->id);
    if (!replay || replay->result) {
        rp_actions_drop (actions, payload);
        return;
    }
    self->figures.running--;
    bool answered = (head->status == RP_OK || head->status == RP_APP_ERROR) && payload;
    if (!answered || replay->withdrawn) {
        rp_actions_drop (actions, payload);
        s_fail (self, replay, head);
        return;
    }
    replay->flags = head->flags & RP_FLAG_INLINE;
    replay->status = head->status;
    replay->attempt = head->attempt;
    replay->queue_us = head->queue_us;
    replay->work_us = head->work_us;
    replay->result = payload;
    rp_list_node_t *node;
    while ((node = rp_list_first (&replay->waiters))) {
        rp_replay_waiter_t *waiter = RP_CONTAINER (node, rp_replay_waiter_t, node);
        s_replay (self, replay, waiter->client->session, waiter->request, !waiter->first);
        s_leave (self, waiter);
    }
    rp_replay_remember (self, replay, payload, RP_REPLAY_RESULT_COST + bytes);
}

/*  The deadline of a request has passed, before the execution that it waits for has ended.  */
static void s_expire (rp_replays_t *self, rp_replay_waiter_t *waiter)
{
    const rp_replay_t *replay = waiter->replay;
    const rp_dispatch_t *core = self->options.core;
    rp_service_info_t service;
    if (rp_dispatch_attempts (core, self->options.client, rp_pool_handle (&replay->pooled)) > 0)
        s_end (self, waiter, RP_DEADLINE, "the deadline passed while a worker had the request");
    else if (rp_dispatch_find_service (
               core, self->now, replay->name, replay->service_size, &service)
             && service.workers > 0)
        s_end (self, waiter, RP_EXPIRED, "the deadline passed before a worker had room");
    else
        s_end (self, waiter, RP_NO_WORKER, "no worker offers its service");
}

/*  Has the core give an execution to no worker again, if no rule allows it any more. The rules of its principal count,
    since some who wait may have gone.  */
static void s_recheck (rp_replays_t *self, const rp_replay_t *replay)
{
    if (!replay->result
        && !rp_dispatch_allows_principal (self->options.core, replay->owner->name, RP_RULE_CALL,
          replay->name, replay->service_size))
        rp_actions_add (self->actions, RP_ACTION_BAR, (rp_session_id_t){0})->head.id =
          rp_pool_handle (&replay->pooled);
}

void rp_replays_recheck (rp_replays_t *self, rp_actions_t *actions)
{
    self->actions = actions;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->replays); slot++) {
        const rp_replay_t *replay = rp_pool_at (&self->replays, slot);
        if (replay->pooled.generation & 1)
            s_recheck (self, replay);
    }
}

/*  ---- Time ----------------------------------------------------------------------------------- */

int64_t rp_replays_tick (rp_replays_t *self, int64_t now, rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
    self->turn++;
    uint64_t due;
    rp_heap_node_t *node;
    while ((node = rp_heap_first (&self->due, &due)) && (int64_t) due <= now)
        s_expire (self, RP_CONTAINER (node, rp_replay_waiter_t, due));
    int64_t next = rp_replay_tidy (self);
    return node ? rp_earlier (next, (int64_t) due) : next;
}

void rp_replays_figures (const rp_replays_t *self, rp_replays_figures_t *figures)
{
    *figures = self->figures;
}

/*  ---- Making --------------------------------------------------------------------------------- */

rp_replays_t *rp_replays_new (const rp_replays_options_t *options)
{
    rp_replays_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->options = *options;
    self->turn = 2;
    uint32_t seed = (uint32_t) options->seed;
    rp_pool_init (&self->owners, sizeof (rp_replay_owner_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->replays, sizeof (rp_replay_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->waiters, sizeof (rp_replay_waiter_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->clients, sizeof (rp_replay_client_t), UINT32_MAX / 2, seed);
    rp_table_init (&self->owners_by_name);
    rp_table_init (&self->replays_by_key);
    rp_table_init (&self->waiters_by_request);
    rp_table_init (&self->clients_by_session);
    rp_heap_init (&self->largest);
    rp_heap_init (&self->due);
    rp_list_init (&self->results);
    return self;
}

void rp_replays_destroy (rp_replays_t **self_p, rp_actions_t *actions)
{
    rp_replays_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->replays); slot++) {
        rp_replay_t *replay = rp_pool_at (&self->replays, slot);
        if (!(replay->pooled.generation & 1))
            continue;
        rp_actions_drop (actions, replay->result);
        free (replay->name);
    }
    rp_pool_clear (&self->owners);
    rp_pool_clear (&self->replays);
    rp_pool_clear (&self->waiters);
    rp_pool_clear (&self->clients);
    rp_table_clear (&self->owners_by_name);
    rp_table_clear (&self->replays_by_key);
    rp_table_clear (&self->waiters_by_request);
    rp_table_clear (&self->clients_by_session);
    rp_heap_clear (&self->largest);
    rp_heap_clear (&self->due);
    free (self);
}
