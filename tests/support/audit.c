/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"
#include "common/wire/headers.h"
#include "common/wire/hedge.h"

static void *s_new (size_t size)
{
    void *block = calloc (1, size);
    if (!block)
        abort ();
    return block;
}

void audit_fail (audit_t *self, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    self->fail (text);
}

/*  ---- The model's items ---------------------------------------------------------------------- */

audit_peer_t *audit_find_peer (const audit_t *self, rp_session_id_t id)
{
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        if (peer->id.v == id.v)
            return peer;
    }
    return NULL;
}

audit_delivery_t *audit_find_delivery (const audit_t *self, rp_token_t token)
{
    for (rp_list_node_t *node = rp_list_first (&self->deliveries); node;
         node = rp_list_next (&self->deliveries, node)) {
        audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        if (delivery->token.v == token.v)
            return delivery;
    }
    return NULL;
}

audit_request_t *audit_find_request (const audit_t *self, const audit_peer_t *client, uint64_t id)
{
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        if (request->client == client && request->id == id)
            return request;
    }
    return NULL;
}

rp_payload_t *audit_payload_new (audit_t *self, const void *bytes, size_t size)
{
    (void) self;
    rp_payload_t *payload = s_new (sizeof *payload + size);
    payload->size = size;
    memcpy (payload->bytes, bytes, size);
    return payload;
}

void audit_payload_enter (audit_t *self, rp_payload_t *payload)
{
    payload->inside = true;
    rp_list_append (&self->inside, &payload->node);
}

void audit_payload_leave (audit_t *self, rp_payload_t *payload)
{
    AUDIT_REQUIRE (self, payload->inside, "a payload came out of the core that it did not own");
    payload->inside = false;
    rp_list_remove (&payload->node);
}

void audit_delivery_close (audit_t *self, audit_delivery_t *delivery)
{
    AUDIT_REQUIRE (self, delivery->worker->held > 0, "a worker's count of deliveries is off");
    delivery->worker->held--;
    if (delivery->conversation)
        delivery->conversation->running--;
    audit_request_t *request = delivery->request;
    if (request && request->delivery == delivery)
        request->delivery = request->other;
    if (request)
        request->other = NULL;
    if (request && request->untimed)
        request->deadline += self->now - delivery->given;
    free (delivery->message);
    rp_list_remove (&delivery->node);
    free (delivery);
}

int64_t audit_request_deadline (const audit_request_t *request)
{
    return request->untimed && request->delivery ? INT64_MAX : request->deadline;
}

void audit_delivery_lose (audit_t *self, audit_delivery_t *delivery)
{
    if (delivery->request && !delivery->request->other) {
        delivery->request->loser = delivery->worker->id.v;
        audit_turn_lost (self, delivery->request);
    }
    audit_delivery_close (self, delivery);
}

void audit_request_close (audit_t *self, audit_request_t *request)
{
    if (request->delivery)
        request->delivery->request = NULL;
    if (request->other)
        request->other->request = NULL;
    if (self->arriving == request)
        self->arriving = NULL;
    if (self->answered == request)
        self->answered = NULL;
    if (self->part == request)
        self->part = NULL;
    for (rp_list_node_t *node = rp_list_first (&self->inside); node;
         node = rp_list_next (&self->inside, node)) {
        rp_payload_t *payload = RP_CONTAINER (node, rp_payload_t, node);
        if (payload->request == request)
            payload->request = NULL;
    }
    rp_list_remove (&request->node);
    free (request);
}

/*  ---- Life ----------------------------------------------------------------------------------- */

void audit_init (
  audit_t *self, const rp_limits_t *limits, rp_rules_t **rules_p, int64_t now, audit_fail_fn *fail)
{
    *self = (audit_t){.fail = fail,
      .now = now,
      .age_step = (int64_t) limits->age_step * 1000,
      .hedge_share = limits->hedge_share,
      .rules = *rules_p};
    *rules_p = NULL;
    rp_actions_init (&self->actions);
    rp_list_init (&self->peers);
    rp_list_init (&self->requests);
    rp_list_init (&self->deliveries);
    rp_list_init (&self->conversations);
    rp_list_init (&self->inside);
    rp_list_init (&self->served);
    rp_list_init (&self->rates);
    rp_list_init (&self->paces);
    rp_list_init (&self->earned);
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = *limits,
      .seed = 0x5eed5eed12345678u,
      .version = "0.0.0",
      .now = now,
      .rules = self->rules,
      .history = true,
      .exports = true});
    if (!self->core)
        abort ();
    audit_shares_change (self);
    audit_tick (self, now);
}

void audit_set_bug (audit_t *self, audit_bug_t bug)
{
    self->bug = bug;
    if (bug == AUDIT_BUG_HEDGE_ALWAYS) {
        rp_limits_t limits = *rp_dispatch_limits (self->core);
        limits.hedge_share = 100;
        rp_dispatch_set_limits (self->core, &limits);
    }
    if (bug != AUDIT_BUG_NEVER_AGE && bug != AUDIT_BUG_AGE_AT_ONCE)
        return;
    rp_limits_t limits = *rp_dispatch_limits (self->core);
    limits.age_step = bug == AUDIT_BUG_NEVER_AGE ? 3600000 : 1;
    rp_dispatch_set_limits (self->core, &limits);
}

/*  The header of a hedge after 1 ms, of the same size as the one of sequences.  */
static const uint8_t s_early[] = {5, 'h', 'e', 'd', 'g', 'e', 0, 2, '0', '1'};

/*  Changes what a request says to the core, as the bug does.  */
static void s_bend (const audit_t *self, rp_head_t *head)
{
    if (head->command == RP_COMMAND_REQUEST && self->bug == AUDIT_BUG_INVERT_PRIORITY)
        head->priority = (uint8_t) (RP_PRIORITY_MAX + 1 - rp_wire_priority (head));
    if (head->command == RP_COMMAND_REQUEST && self->bug == AUDIT_BUG_IGNORE_PRIORITY)
        head->priority = 0;
    if (head->command == RP_COMMAND_GRANT && self->bug == AUDIT_BUG_IGNORE_GRANT)
        *head = (rp_head_t){.command = RP_COMMAND_HEARTBEAT};
    if (head->command == RP_COMMAND_REQUEST && self->bug == AUDIT_BUG_HEDGE_EARLY
        && head->headers_size == sizeof s_early) {
        head->headers = s_early;
    }
}

void audit_clear (audit_t *self)
{
    rp_dispatch_destroy (&self->core, &self->actions);
    for (size_t index = 0; index < self->actions.count; index++) {
        rp_action_t *action = &self->actions.list[index];
        AUDIT_REQUIRE (self, action->kind == RP_ACTION_DROP && action->payload,
          "destroying the core wants more than payloads dropped");
        audit_payload_leave (self, action->payload);
        free (action->payload);
    }
    AUDIT_REQUIRE (self, rp_list_is_empty (&self->inside), "destroying the core leaked a payload");
    rp_actions_clear (&self->actions);
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->deliveries)))
        audit_delivery_close (self, RP_CONTAINER (node, audit_delivery_t, node));
    while ((node = rp_list_first (&self->requests)))
        audit_request_close (self, RP_CONTAINER (node, audit_request_t, node));
    while ((node = rp_list_first (&self->conversations))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, audit_conversation_t, node));
    }
    audit_turns_forget (self, (rp_session_id_t){0});
    audit_access_clear (self);
    audit_terms_clear (self);
    audit_hedge_clear (self);
    rp_rules_destroy (&self->rules);
    while ((node = rp_list_first (&self->peers))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, audit_peer_t, node));
    }
}

/*  ---- Events --------------------------------------------------------------------------------- */

/*  A part that was neither passed on nor joined to others is the first kept part of its reply.  */
static void s_keep_part (audit_t *self, rp_payload_t *payload)
{
    audit_request_t *request = self->part;
    if (!request || (request->client->over && self->dropped))
        return;
    AUDIT_REQUIRE (self, !self->dropped && !request->parts && !self->passes,
      "a part of a reply is not where it belongs");
    request->parts = payload;
    payload->request = request;
}

static void s_handle (audit_t *self, const rp_event_t *event)
{
    self->event = event;
    self->joined = self->dropped = false;
    if (self->before)
        self->before (event, self->arg);
    audit_bugs_spoil (self);
    if (self->bug == AUDIT_BUG_IGNORE_WEIGHT || self->bug == AUDIT_BUG_IGNORE_NAME)
        audit_shares_bend (self);
    rp_dispatch_handle (self->core, event, self->now, &self->actions);
    audit_take_actions (self);
    s_keep_part (self, event->payload);
    if (self->arriving && !self->arriving->client->over) // otherwise its refusal is not sent
        audit_access_accept (self, self->arriving);
    audit_check (self);
    self->event = NULL;
    self->sender = NULL;
    self->arriving = NULL;
    self->answered = NULL;
    self->part = NULL;
    self->passes = false;
}

/*  A request from a client: open until its final status comes out.  */
static void s_record_request (
  audit_t *self, audit_peer_t *client, const rp_head_t *head, size_t size, rp_payload_t *payload)
{
    audit_request_t *request = s_new (sizeof *request);
    request->client = client;
    request->id = head->id;
    memcpy (request->service, head->name, head->name_size);
    request->key = head->conversation;
    request->sequence = ++self->sequence;
    request->queued = self->turns;
    request->deadline = self->now + (int64_t) head->deadline_ms * 1000;
    request->untimed = (client->traits & RP_TRAIT_UNTIMED) != 0;
    request->size = size + head->headers_size;
    request->attempts = head->attempts;
    const rp_terms_t *terms = rp_terms_find (&self->terms, head->name, head->name_size);
    bool unstated = request->untimed && !(client->traits & RP_TRAIT_TRUSTED);
    if (terms && unstated && terms->attempts)
        request->attempts = (unsigned) terms->attempts;
    if (terms && unstated && terms->deadline)
        request->deadline = self->now + (int64_t) terms->deadline * 1000;
    request->priority = rp_wire_priority (head);
    rp_header_t header;
    rp_hedge_terms_t hedge;
    request->hedge =
      head->flags & RP_FLAG_HEDGE
      && rp_headers_find (head->headers, head->headers_size, RP_REQUEST_HEDGE, &header)
      && rp_hedge_read (&hedge, header.value, header.value_size);
    if (request->hedge)
        request->hedge_after = (int64_t) hedge.ms * 1000;
    audit_hedge_earn (self, request);
    request->queued_at = request->accepted = self->now;
    audit_turn_awaited (self, request);
    audit_stream_begin (self, request, head);
    rp_list_append (&self->requests, &request->node);
    self->arriving = request;
    payload->request = request;
}

/*  A part of a reply does not end its delivery.  */
static void s_note_part (
  audit_t *self, audit_delivery_t *delivery, const rp_head_t *head, size_t size, bool oversized)
{
    audit_request_t *request = delivery->request;
    const audit_peer_t *worker = delivery->worker;
    delivery->begun = true;
    if (!request || self->now >= audit_request_deadline (request) || head->status != RP_OK
        || head->text_size || head->code || head->flags & RP_FLAG_LAST)
        return;
    self->answered = request;
    self->passes = !oversized && audit_stream_passes (request, worker, head, size);
    if (self->passes || worker->traits & RP_TRAIT_PARTS)
        self->part = request; // otherwise it ends the worker's session
    if (!self->passes)
        request->parts_size += size;
}

/*  A reply from the worker that holds the delivery ends it, so that worker has room again.  */
static void s_note_reply (
  audit_t *self, audit_peer_t *worker, const rp_head_t *head, rp_payload_t *payload, bool oversized)
{
    payload->answers = (rp_token_t){head->id};
    audit_delivery_t *delivery = audit_find_delivery (self, payload->answers);
    if (!delivery || delivery->worker != worker)
        return;
    if (head->flags & RP_FLAG_MORE) {
        s_note_part (self, delivery, head, payload->body, oversized);
        return;
    }
    bool wanted = delivery->request && self->now < audit_request_deadline (delivery->request);
    if (head->status > RP_APP_ERROR && head->status != RP_WORKER_LOST && wanted)
        return; // this ends the worker's session, which loses its deliveries
    bool answer = head->status != RP_WORKER_LOST;
    self->answered = delivery->request;
    if (self->answered && !answer) {
        if (!self->answered->other) {
            self->answered->loser = worker->id.v;
            audit_turn_lost (self, self->answered);
        }
        if (head->lost == RP_LOST_UNBEGUN && !delivery->begun && wanted)
            self->answered->starts--;
    }
    if (!answer && head->lost == RP_LOST_UNBEGUN)
        worker->window = 0;
    if (!answer && head->lost == RP_LOST_UNBEGUN)
        worker->unproven = true;
    else if (answer && wanted)
        worker->unproven = worker->declines;
    if (delivery->conversation && answer)
        delivery->conversation->established = true;
    audit_delivery_close (self, delivery);
}

/*  A client may announce that it will be silent for longer, until its next other message. A worker
    may do so too, but gets no more time than before.  */
static void s_note_life (audit_peer_t *peer, const rp_head_t *head, int64_t now)
{
    peer->heard = now;
    bool announces = head->command == RP_COMMAND_HEARTBEAT && head->interval_ms > 0;
    int64_t announced = peer->worker ? 0 : (int64_t) head->interval_ms * 1000;
    int64_t agreed = RP_LIVENESS * peer->agreed;
    peer->patience = announces && 2 * announced > agreed ? 2 * announced : agreed;
}

void audit_message (
  audit_t *self, rp_session_id_t sender, const rp_head_t *head, size_t size, bool oversized)
{
    uint8_t bytes[RP_WIRE_HEAD_MAX];
    size_t head_size = rp_wire_encode (head, bytes, sizeof bytes);
    bool body = head->command == RP_COMMAND_REQUEST || head->command == RP_COMMAND_REPLY
                || head->command == RP_COMMAND_PART || size;
    rp_payload_t *payload = body ? audit_payload_new (self, bytes, head_size) : NULL;
    audit_peer_t *peer = audit_find_peer (self, sender);
    if (payload) {
        payload->body = size;
        audit_payload_enter (self, payload);
    }
    if (peer)
        s_note_life (peer, head, self->now);
    self->sender = peer;
    if (peer && !peer->worker && head->command == RP_COMMAND_REQUEST)
        s_record_request (self, peer, head, size, payload);
    if (peer && peer->worker && head->command == RP_COMMAND_REPLY)
        s_note_reply (self, peer, head, payload, oversized);
    if (peer)
        audit_stream_hear (self, peer, head, size, oversized);
    if (peer && peer->worker && size == 0) {
        if (head->command == RP_COMMAND_CREDIT && head->window <= RP_WINDOW_MAX) {
            peer->window = head->window;
            peer->work_us = head->takes_us;
        }
        if (head->command == RP_COMMAND_DRAIN)
            peer->draining = true;
    }
    rp_head_t told = *head;
    s_bend (self, &told);
    // A session's principal is that of its HELLO, whatever its later events say.
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                      .session = sender,
                      .principal = peer ? "mallory" : self->principal,
                      .head = &told,
                      .payload = payload,
                      .size = size,
                      .oversized = oversized});
}

void audit_foreign (audit_t *self, const rp_head_t *hello, uint8_t traits, uint32_t attempt_limit)
{
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                      .head = hello,
                      .principal = self->principal,
                      .traits = traits,
                      .attempt_limit = attempt_limit});
}

void audit_bad (audit_t *self, rp_session_id_t sender, rp_wire_error_t error, bool too_many_frames)
{
    rp_payload_t *payload = audit_payload_new (self, "?", 1);
    audit_payload_enter (self, payload);
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_BAD,
                      .session = sender,
                      .payload = payload,
                      .error = error,
                      .too_many_frames = too_many_frames});
}

void audit_suspect (audit_t *self, rp_session_id_t peer)
{
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_SUSPECT, .session = peer});
}

void audit_change_rules (audit_t *self, rp_rules_t **rules_p)
{
    rp_rules_t *former = self->rules;
    self->rules = *rules_p;
    *rules_p = NULL;
    audit_access_change (self);
    audit_shares_change (self);
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_RULES, .rules = self->rules});
    rp_rules_destroy (&former);
}

void audit_change_terms (audit_t *self, rp_terms_list_t terms)
{
    self->terms = terms;
    rp_terms_list_t told = terms;
    if (terms.count) {
        self->loose = self->loose || rp_terms_overload (terms.list, RP_OVERLOAD_LIFO);
        self->bent = *terms.list;
        if (self->bug == AUDIT_BUG_IGNORE_CONCURRENCY)
            self->bent.concurrency = 0;
        if (self->bug == AUDIT_BUG_IGNORE_RATE)
            self->bent.rate = 0;
        if (self->bug == AUDIT_BUG_DROP_UNASKED && self->bent.overload != RP_OVERLOAD_LIFO)
            self->bent.overload = RP_OVERLOAD_DROP_OLDEST;
        if (self->bug == AUDIT_BUG_EXPIRE_UNASKED && self->bent.overload != RP_OVERLOAD_LIFO)
            self->bent.admission = RP_SWITCH_ON;
        told.list = &self->bent;
    }
    self->terms_since = self->now;
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_TERMS, .terms = &told});
}

void audit_revoke (audit_t *self, rp_session_id_t id)
{
    audit_peer_t *peer = audit_find_peer (self, id);
    if (peer)
        peer->over = peer->closing = true;
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_REVOKED, .session = id});
    AUDIT_REQUIRE (self, !audit_find_peer (self, id), "a session with a revoked key is kept");
}

void audit_drain (audit_t *self)
{
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_DRAIN});
}

void audit_stop (audit_t *self)
{
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_STOP});
}

void audit_unsent (audit_t *self, rp_session_id_t id, audit_delivery_t *delivery, bool full)
{
    audit_peer_t *peer = audit_find_peer (self, id);
    if (peer)
        peer->over = peer->closing = true;
    rp_event_t event = {.kind = RP_EVENT_UNSENT, .session = id, .full = full};
    if (delivery) {
        event.token = delivery->token;
        event.payload = delivery->message;
        delivery->message = NULL;
        event.payload->request = delivery->request;
        audit_payload_enter (self, event.payload);
        if (delivery->request) {
            delivery->request->starts--;
            if (!delivery->request->other)
                audit_turn_lost (self, delivery->request);
            else if (delivery == delivery->request->delivery)
                delivery->request->kept = true;
        }
        audit_delivery_close (self, delivery);
    }
    else { // a reply, or a request whose delivery has ended
        event.payload = audit_payload_new (self, "?", 1);
        audit_payload_enter (self, event.payload);
    }
    s_handle (self, &event);
}

void audit_unsent_reply (audit_t *self, rp_session_id_t id, rp_status_t status)
{
    audit_peer_t *peer = audit_find_peer (self, id);
    if (peer)
        peer->over = peer->closing = true;
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_UNSENT,
                      .session = id,
                      .full = true,
                      .reply = true,
                      .status = (uint8_t) status});
}

void audit_dropped (audit_t *self, rp_session_id_t id, const char *why)
{
    s_handle (self, &(rp_event_t){.kind = RP_EVENT_DROPPED, .session = id, .why = why});
}

/*  From here to the tick's end only the core can tell which of the overdue deliveries are lost.  */
static void s_begin_overdue (audit_t *self)
{
    for (rp_list_node_t *node = rp_list_first (&self->deliveries); node;
         node = rp_list_next (&self->deliveries, node)) {
        audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        delivery->overdue = delivery->due <= self->now;
    }
}

static void s_end_overdue (audit_t *self)
{
    for (rp_list_node_t *node = rp_list_first (&self->deliveries), *next; node; node = next) {
        next = rp_list_next (&self->deliveries, node);
        audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        if (delivery->overdue)
            audit_delivery_lose (self, delivery);
    }
}

void audit_tick (audit_t *self, int64_t now)
{
    self->now = now;
    s_begin_overdue (self);
    self->ticked = now;
    audit_bugs_spoil (self);
    self->next = rp_dispatch_tick (self->core, now, &self->actions);
    audit_take_actions (self);
    s_end_overdue (self);
    audit_check (self);
    audit_check_tick (self);
}

void audit_pass (audit_t *self, int64_t now)
{
    audit_tick (self, self->now);
    while (self->next < now)
        audit_tick (self, self->next);
    audit_tick (self, now);
}
