/*  The effect of each action on the model, and the check that the action is allowed.

    SPDX-License-Identifier: MPL-2.0
*/

#include "tests/support/audit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"
#include "common/wire/headers.h"

/*  Encodes the message as the shell does, and decodes it as the receiver would.  */
static rp_head_t s_on_the_wire (audit_t *self, const rp_action_t *action, uint8_t *bytes)
{
    size_t size;
    if (action->payload) {
        size = action->payload->size;
        memcpy (bytes, action->payload->bytes, size);
        rp_head_t head;
        (void) rp_wire_decode (&head, bytes, size);
        AUDIT_REQUIRE (self, (head.flags & RP_FLAG_INLINE) == (action->head.flags & RP_FLAG_INLINE),
          "INLINE says something else than the payload");
        rp_wire_patch (bytes, &action->head);
    }
    else {
        AUDIT_REQUIRE (
          self, !(action->head.flags & RP_FLAG_MORE), "a part of a body without a payload");
        size = rp_wire_encode (&action->head, bytes, RP_WIRE_HEAD_MAX);
        AUDIT_REQUIRE (
          self, !(action->head.flags & RP_FLAG_INLINE), "INLINE in a message without a body");
    }
    rp_head_t head;
    rp_wire_error_t error = rp_wire_decode (&head, bytes, size);
    AUDIT_REQUIRE (self, error == RP_WIRE_ERROR_NONE, "the broker sends a %s with %s",
      rp_command_name (action->head.command), rp_wire_error_text (error));
    AUDIT_REQUIRE (self, head.command == action->head.command, "the wrong message goes out");
    return head;
}

/*  ---- REQUEST to a worker -------------------------------------------------------------------- */

static audit_conversation_t *s_conversation (
  audit_t *self, uint64_t number, const audit_request_t *request)
{
    for (rp_list_node_t *node = rp_list_first (&self->conversations); node;
         node = rp_list_next (&self->conversations, node)) {
        audit_conversation_t *conversation = RP_CONTAINER (node, audit_conversation_t, node);
        if (conversation->number == number)
            return conversation;
    }
    audit_conversation_t *conversation = calloc (1, sizeof *conversation);
    if (!conversation)
        abort ();
    conversation->number = number;
    conversation->client = request->client->id;
    conversation->key = request->key;
    rp_list_append (&self->conversations, &conversation->node);
    return conversation;
}

/*  A conversation's requests run one at a time, in order, on one worker once it has answered.  */
static audit_conversation_t *s_check_conversation (audit_t *self,
  uint64_t number,
  const audit_request_t *request,
  const audit_peer_t *worker,
  bool *bound)
{
    AUDIT_REQUIRE (
      self, (number != 0) == (request->key != 0), "a conversation appears or disappears");
    if (number == 0)
        return NULL;
    audit_conversation_t *conversation = s_conversation (self, number, request);
    AUDIT_REQUIRE (self,
      conversation->client.v == request->client->id.v && conversation->key == request->key,
      "one number for two conversations");
    AUDIT_REQUIRE (self, !conversation->over, "a request in a conversation that is over");
    AUDIT_REQUIRE (self, conversation->running == 0, "two of a conversation at a time");
    AUDIT_REQUIRE (
      self, request->sequence >= conversation->latest, "a conversation out of its order");
    AUDIT_REQUIRE (self, !conversation->established || conversation->worker.v == worker->id.v,
      "a conversation moved to another worker");
    // If the request that opens a conversation is delivered again, the conversation moves with it.
    *bound = conversation->worker.v == worker->id.v
             && (conversation->established || request->sequence != conversation->latest);
    conversation->latest = request->sequence;
    conversation->worker = worker->id;
    conversation->running++;
    return conversation;
}

/*  Returns how much a worker holds at least: the current tick may take the rest from it.  */
static uint32_t s_held_at_least (const audit_t *self, const audit_peer_t *worker)
{
    uint32_t held = worker->held;
    for (rp_list_node_t *node = rp_list_first (&self->deliveries); node;
         node = rp_list_next (&self->deliveries, node)) {
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        held -= delivery->overdue && delivery->worker == worker;
    }
    return held;
}

/*  Takes an overdue delivery for lost if the action would not be possible otherwise.  */
static void s_lose_overdue (audit_t *self, const audit_request_t *request, uint64_t conversation)
{
    for (rp_list_node_t *node = rp_list_first (&self->deliveries), *next; node; node = next) {
        next = rp_list_next (&self->deliveries, node);
        audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        bool same = delivery->conversation && delivery->conversation->number == conversation;
        if (delivery->overdue && (same || delivery->request == request))
            audit_delivery_lose (self, delivery);
    }
}

/*  Returns whether the peer may be lost by its silence.  */
static bool s_is_silent (const audit_t *self, const audit_peer_t *peer)
{
    bool learned = (peer->traits & RP_TRAIT_LEARN) != 0;
    int64_t shortest =
      RP_LIVENESS * (int64_t) rp_dispatch_limits (self->core)->heartbeat_min * 1000;
    return self->now >= peer->heard + (learned ? shortest : peer->patience);
}

/*  Returns whether a worker must come before another (docs/PROTOCOL.md, section 6.1); the other may
    hold less than it seems. Known times come in steps of 128 us, and large ones are rough.  */
static bool s_comes_before (const audit_peer_t *one, const audit_peer_t *other, uint32_t other_held)
{
    uint64_t steps = (uint64_t) one->work_us * (one->held + 1) / 128;
    uint64_t other_steps = (uint64_t) other->work_us * (other_held + 1) / 128;
    if (one->work_us && other->work_us)
        return steps < other_steps - other_steps / 1000;
    if (one->work_us)
        return steps < 1;
    if (other->work_us)
        return other_steps >= 1;
    return one->window - one->held > other->window - other_held;
}

/*  Checks that no other worker came first, and that the worker which lost the request gets it again
    only if there is no other.  */
static void s_check_choice (
  audit_t *self, const audit_request_t *request, const audit_peer_t *chosen)
{
    // That of a hedge goes to any other worker than the first.
    uint64_t excluded = request->delivery ? request->delivery->worker->id.v : request->loser;
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *other = RP_CONTAINER (node, audit_peer_t, node);
        if (other == chosen || !other->worker || other->over || other->draining
            || other->held >= other->window || strcmp (other->service, chosen->service) != 0)
            continue;
        if (!self->event && s_is_silent (self, other))
            continue; // the current tick may have lost it, which shows at its end
        AUDIT_REQUIRE (
          self, chosen->id.v != excluded, "redelivered to the worker that has just lost it");
        AUDIT_REQUIRE (self,
          other->id.v == excluded
            || !s_comes_before (other, chosen, s_held_at_least (self, chosen)),
          "another worker came first");
    }
}

static void s_take_request (audit_t *self, const rp_action_t *action, const rp_head_t *head)
{
    audit_peer_t *worker = audit_find_peer (self, action->session);
    audit_request_t *request = action->payload->request;
    AUDIT_REQUIRE (self, worker->worker, "a request for a client");
    AUDIT_REQUIRE (self, request != NULL && action->payload->answers.v == 0,
      "a request that is over is delivered, or a reply instead of it");
    s_lose_overdue (self, request, head->conversation);
    bool hedge = request->delivery != NULL;
    if (hedge)
        audit_hedge_start (self, request, worker);
    AUDIT_REQUIRE (
      self, s_held_at_least (self, worker) < worker->window, "a worker gets more than its window");
    AUDIT_REQUIRE (
      self, !request->streamed && !request->parts, "redelivered after a part of its reply");
    AUDIT_REQUIRE (
      self, strcmp (worker->service, request->service) == 0, "a request for another service");
    AUDIT_REQUIRE (self, self->now < request->deadline, "a delivery after the deadline");
    AUDIT_REQUIRE (self,
      request->untimed
        ? head->deadline_ms == RP_DEADLINE_MAX_MS
        : head->deadline_ms >= 1
            && head->deadline_ms <= (uint64_t) (request->deadline - self->now) / 1000 + 1,
      "a wrong time left");
    AUDIT_REQUIRE (self, ++request->starts <= request->attempts, "more starts than attempts");
    AUDIT_REQUIRE (self, head->attempt == request->starts && head->attempts == request->attempts,
      "a wrong number of the attempt");
    AUDIT_REQUIRE (
      self, head->id == action->token.v && head->id != 0, "the token and the id differ");
    AUDIT_REQUIRE (
      self, !audit_find_delivery (self, action->token), "one token for two deliveries");
    audit_access_deliver (self, request, worker);
    bool bound = false; // its conversation binds it to this worker
    audit_conversation_t *conversation =
      s_check_conversation (self, head->conversation, request, worker, &bound);
    AUDIT_REQUIRE (self, !worker->draining || bound, "a draining worker gets something new");
    if (!bound)
        s_check_choice (self, request, worker);
    if (!hedge)
        audit_turn_taken (self, request);
    audit_terms_start (self, request->service);

    audit_delivery_t *delivery = calloc (1, sizeof *delivery);
    if (!delivery)
        abort ();
    delivery->token = action->token;
    delivery->worker = worker;
    delivery->given = self->now;
    delivery->due =
      worker->attempt_limit ? self->now + (int64_t) worker->attempt_limit * 1000 : INT64_MAX;
    delivery->request = request;
    request->kept = request->starts < request->attempts || worker->unproven;
    AUDIT_REQUIRE (self, action->keep == request->kept, "a delivery is kept for nothing, or lost");
    delivery->size = request->size;
    delivery->conversation = conversation;
    delivery->message = audit_payload_new (self, action->payload->bytes, action->payload->size);
    delivery->message->request = request;
    request->other = request->delivery;
    request->delivery = delivery;
    request->parts_size = 0;
    audit_stream_start (self, delivery, request, head);
    request->conversation = conversation;
    worker->held++;
    rp_list_append (&self->deliveries, &delivery->node);
}

/*  ---- REPLY to a client ---------------------------------------------------------------------- */

/*  By the contract some statuses prove that no worker got the request, and others that one did.  */
static void s_check_status (audit_t *self, const audit_request_t *request, const rp_head_t *head)
{
    const char *name = rp_status_name (head->status);
    AUDIT_REQUIRE (self, head->attempt == request->starts, "%s after %u deliveries says %u", name,
      request->starts, head->attempt);
    if (rp_status_is_safe_to_retry (head->status))
        AUDIT_REQUIRE (self, request->starts == 0, "%s, though a worker was given it", name);
    audit_access_answer (self, request, head);
    audit_terms_answer (self, request, head->status);
    switch (head->status) {
        case RP_OK:
        case RP_APP_ERROR:
            AUDIT_REQUIRE (self, self->answered == request, "%s without a worker's reply", name);
            break;
        case RP_DEADLINE:
            AUDIT_REQUIRE (self,
              self->now >= audit_request_deadline (request)
                || audit_stream_is_silent (self, request),
              "%s too early", name);
            // fall through
        case RP_WORKER_LOST:
            AUDIT_REQUIRE (self, request->starts > 0, "%s of one that never started", name);
            break;
        case RP_CONVERSATION_LOST:
            AUDIT_REQUIRE (self, request->key != 0, "%s without a conversation", name);
            AUDIT_REQUIRE (self, request->starts == 0, "%s of one that a worker was given", name);
            break;
        default:
            break;
    }
}

/*  Checks that the body is all that the latest worker has sent for it.  */
static void s_check_body (
  audit_t *self, const rp_action_t *action, const audit_request_t *request, const rp_head_t *head)
{
    const rp_payload_t *payload = action->payload;
    bool parts = payload == request->parts && self->joined;
    AUDIT_REQUIRE (self,
      self->event && self->answered == request && (parts || payload == self->event->payload),
      "a reply that is another request's");
    if (parts)
        AUDIT_REQUIRE (
          self, payload->body == request->parts_size, "a part of a reply is lost, or not its own");
    else
        AUDIT_REQUIRE (self, head->status != RP_OK || (!request->parts && request->parts_size == 0),
          "a reply goes out without its parts");
}

static void s_take_reply (audit_t *self, const rp_action_t *action, const rp_head_t *head)
{
    audit_peer_t *client = audit_find_peer (self, action->session);
    AUDIT_REQUIRE (self, !client->worker, "a reply for a worker");
    audit_request_t *request = self->arriving;
    if (!request || request->client != client || request->id != head->id)
        request = audit_find_request (self, client, head->id);
    AUDIT_REQUIRE (self, request != NULL, "a second final status, or one that nobody asked for");
    if (head->flags & RP_FLAG_MORE) {
        audit_stream_reply (self, action, request, head);
        return;
    }
    s_check_status (self, request, head);
    if (action->payload)
        s_check_body (self, action, request, head);
    audit_request_close (self, request);
}

/*  ---- The rest ------------------------------------------------------------------------------- */

static void s_take_cancel (audit_t *self, const rp_action_t *action, const rp_head_t *head)
{
    audit_delivery_t *delivery = audit_find_delivery (self, (rp_token_t){head->id});
    AUDIT_REQUIRE (self, delivery && delivery->worker->id.v == action->session.v,
      "CANCEL of something that the worker does not hold");
    AUDIT_REQUIRE (self, !delivery->cancelled, "CANCEL twice");
    audit_request_t *request = delivery->request;
    if (self->bug == AUDIT_BUG_KEEP_LOSER && request
        && (request->other || self->answered == request))
        return;
    delivery->cancelled = true;
    if (!request)
        return;
    if (!request->client->over && (request->other || self->answered == request)) { // of a hedge
        request->ending = !self->part;
        if (request->delivery == delivery)
            request->delivery = request->other;
        request->other = NULL;
        delivery->request = NULL;
        return;
    }
    // Without a REPLY to its client, the client's session must be about to end.
    audit_peer_t *client = delivery->request->client;
    AUDIT_REQUIRE (self, client->over || !self->event, "CANCEL of what is wanted");
    client->over = client->closing = true;
    audit_request_close (self, delivery->request);
}

static void s_take_end (audit_t *self, const rp_action_t *action, const rp_head_t *head)
{
    for (rp_list_node_t *node = rp_list_first (&self->conversations); node;
         node = rp_list_next (&self->conversations, node)) {
        audit_conversation_t *conversation = RP_CONTAINER (node, audit_conversation_t, node);
        if (conversation->number != head->conversation)
            continue;
        AUDIT_REQUIRE (self, conversation->worker.v == action->session.v && !conversation->over,
          "END for the wrong worker, or twice");
        conversation->over = true;
        return;
    }
    audit_fail (self, "END of a conversation that the worker was never told of");
}

static void s_take_send (audit_t *self, const rp_action_t *action)
{
    uint8_t bytes[RP_WIRE_HEAD_MAX];
    rp_head_t head = s_on_the_wire (self, action, bytes);
    if (action->session.v == 0) {
        AUDIT_REQUIRE (self, self->event && !self->sender && head.command == RP_COMMAND_BYE,
          "something other than BYE for a peer without a session");
        audit_access_bye (self, NULL, &head);
        return;
    }
    audit_peer_t *peer = audit_find_peer (self, action->session);
    AUDIT_REQUIRE (self, peer != NULL, "something is sent to a session that is over");
    AUDIT_REQUIRE (self, !peer->over, "%s is sent after BYE, or after a send failed",
      rp_command_name (head.command));
    switch (head.command) {
        case RP_COMMAND_REQUEST:
            s_take_request (self, action, &head);
            break;
        case RP_COMMAND_REPLY:
            s_take_reply (self, action, &head);
            break;
        case RP_COMMAND_CANCEL:
            s_take_cancel (self, action, &head);
            break;
        case RP_COMMAND_END:
            s_take_end (self, action, &head);
            break;
        case RP_COMMAND_PART:
            audit_stream_body (self, action, &head);
            break;
        case RP_COMMAND_GRANT:
            audit_stream_grant (self, action, &head);
            break;
        case RP_COMMAND_BYE:
            audit_access_bye (self, peer, &head);
            peer->over = true;
            break;
        default:
            AUDIT_REQUIRE (self,
              head.command == RP_COMMAND_WELCOME || head.command == RP_COMMAND_HEARTBEAT
                || head.command == RP_COMMAND_DRAIN,
              "a broker sends no %s", rp_command_name (head.command));
    }
}

static void s_take_admit (audit_t *self, const rp_action_t *action)
{
    const rp_head_t *hello = self->event ? self->event->head : NULL;
    AUDIT_REQUIRE (self, hello && hello->command == RP_COMMAND_HELLO && !self->sender,
      "somebody is admitted who did not greet");
    AUDIT_REQUIRE (self, !audit_find_peer (self, action->session), "one id for two sessions");
    audit_peer_t *peer = calloc (1, sizeof *peer);
    if (!peer)
        abort ();
    peer->id = action->session;
    peer->worker = (hello->flags & RP_FLAG_WORKER) != 0;
    peer->window = hello->window;
    rp_header_t header;
    peer->declines =
      rp_headers_find (hello->headers, hello->headers_size, RP_HELLO_DECLINES, &header);
    peer->streams =
      rp_headers_find (hello->headers, hello->headers_size, RP_HELLO_STREAMS, &header);
    peer->unproven = self->event->traits == 0 && self->event->attempt_limit == 0;
    peer->traits = self->event->traits;
    peer->attempt_limit = self->event->attempt_limit;
    peer->heard = self->now;
    const rp_limits_t *limits = rp_dispatch_limits (self->core);
    uint64_t interval = hello->interval_ms < limits->heartbeat_min   ? limits->heartbeat_min
                        : hello->interval_ms > limits->heartbeat_max ? limits->heartbeat_max
                                                                     : hello->interval_ms;
    peer->agreed = (int64_t) interval * 1000;
    peer->patience = RP_LIVENESS * peer->agreed;
    if (hello->name_size)
        memcpy (peer->service, hello->name, hello->name_size);
    if (hello->key_size)
        memcpy (peer->name, hello->key, hello->key_size);
    if (self->principal)
        memcpy (peer->principal, self->principal, strlen (self->principal));
    else
        memcpy (peer->principal, RP_PRINCIPAL_ANONYMOUS, sizeof RP_PRINCIPAL_ANONYMOUS);
    rp_list_append (&self->peers, &peer->node);
    if (peer->worker)
        audit_hedge_join (self, peer);
    audit_access_admit (self, peer);
}

/*  Checks that a session which is ended without a fault of its connection was silent for too
    long.  */
static void s_check_silence (audit_t *self, const audit_peer_t *peer)
{
    AUDIT_REQUIRE (self, s_is_silent (self, peer), "a session is lost too early");
    AUDIT_REQUIRE (
      self, !(peer->traits & RP_TRAIT_MUTE), "a session is lost that says nothing unasked");
    AUDIT_REQUIRE (self, !(peer->traits & RP_TRAIT_BUSY_MUTE) || s_held_at_least (self, peer) == 0,
      "a busy worker is lost by its silence");
}

/*  The session is over: its peer gets nothing more, and it holds nothing.  */
static void s_take_forget (audit_t *self, const rp_action_t *action)
{
    audit_peer_t *peer = audit_find_peer (self, action->session);
    AUDIT_REQUIRE (self, peer != NULL, "a session ends twice");
    if (action->kind == RP_ACTION_ABORT && !peer->over)
        s_check_silence (self, peer);
    for (rp_list_node_t *node = rp_list_first (&self->deliveries), *next; node; node = next) {
        next = rp_list_next (&self->deliveries, node);
        audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        if (delivery->worker == peer)
            audit_delivery_lose (self, delivery);
    }
    for (rp_list_node_t *node = rp_list_first (&self->requests), *next; node; node = next) {
        next = rp_list_next (&self->requests, node);
        audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        if (request->client == peer)
            audit_request_close (self, request);
    }
    for (rp_list_node_t *node = rp_list_first (&self->conversations); node;
         node = rp_list_next (&self->conversations, node)) {
        audit_conversation_t *conversation = RP_CONTAINER (node, audit_conversation_t, node);
        if (conversation->worker.v == peer->id.v && conversation->established)
            conversation->over = true;
    }
    if (self->sender == peer)
        self->sender = NULL;
    audit_turns_forget (self, peer->id);
    rp_list_remove (&peer->node);
    free (peer);
}

/*  Joins the event's part to the kept parts of the same reply.  */
static void s_take_join (audit_t *self, const rp_action_t *action)
{
    rp_payload_t *other = action->other;
    AUDIT_REQUIRE (self,
      self->event && other == self->event->payload && other->inside && self->answered,
      "something else than a part of a reply is joined");
    AUDIT_REQUIRE (self, action->payload && action->payload == self->answered->parts,
      "a part is joined to something else than its reply");
    if (!self->part)
        self->answered->parts_size += other->body;
    action->payload->body += other->body;
    self->joined = true;
    self->part = NULL;
    audit_payload_leave (self, other);
    free (other);
}

/*  Kept parts are dropped when their request ends, or is to be delivered again.  */
static void s_take_drop (audit_t *self, const rp_payload_t *payload)
{
    self->dropped = self->dropped || (self->event && payload == self->event->payload);
    if (payload->request && payload->request->parts == payload)
        payload->request->parts = NULL;
}

static void s_take (audit_t *self, const rp_action_t *action)
{
    switch (action->kind) {
        case RP_ACTION_ADMIT:
            s_take_admit (self, action);
            break;
        case RP_ACTION_SEND:
            s_take_send (self, action);
            break;
        case RP_ACTION_UNBIND:
        case RP_ACTION_ABORT:
            s_take_forget (self, action);
            break;
        case RP_ACTION_ADMIN:
        case RP_ACTION_JOB:
        case RP_ACTION_REPLAY:
        case RP_ACTION_SURVEY:
            if (action->head.command == RP_COMMAND_CANCEL)
                break; // of what the core does not have
            AUDIT_REQUIRE (self, self->arriving && action->payload, "a request from nowhere");
            audit_access_accept (self, self->arriving);
            audit_request_close (self, self->arriving);
            break;
        case RP_ACTION_STOP:
            AUDIT_REQUIRE (self, !self->stopped, "STOP twice");
            self->stopped = true;
            break;
        case RP_ACTION_JOIN:
            s_take_join (self, action);
            break;
        case RP_ACTION_DROP:
            s_take_drop (self, action->payload);
            break;
        case RP_ACTION_EXPORT:
            free (action->ended);
            break;
        case RP_ACTION_LOG:
        case RP_ACTION_HISTORY: // tests/history/check.py checks these
            break;
        case RP_ACTION_STORE:
        case RP_ACTION_START:
        case RP_ACTION_WITHDRAW:
        case RP_ACTION_BAR:
        case RP_ACTION_ROWS:
            AUDIT_REQUIRE (self, false, "an action that only jobs have");
    }
}

void audit_take_actions (audit_t *self)
{
    for (size_t index = 0; index < self->actions.count; index++) {
        rp_action_t *action = &self->actions.list[index];
        rp_payload_t *payload = action->payload;
        audit_bugs_bend (self, action);
        AUDIT_REQUIRE (self, !payload || payload->inside, "a payload of nobody's, or used twice");
        AUDIT_REQUIRE (
          self, action->kind != RP_ACTION_DROP || payload, "DROP without anything to drop");
        if (self->observe)
            self->observe (action, payload, self->arg);
        s_take (self, action);
        bool stays =
          action->kind == RP_ACTION_JOIN || (action->kind == RP_ACTION_SEND && action->keep);
        if (payload && !stays) {
            audit_payload_leave (self, payload);
            free (payload);
        }
    }
    rp_actions_reset (&self->actions);
}
