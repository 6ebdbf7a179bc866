/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/session.h"

#include <stdio.h>
#include <string.h>

#include "broker/core/conversation.h"
#include "broker/core/record.h"
#include "broker/core/request.h"
#include "broker/core/service.h"
#include "common/wire/name.h"

/*  A connection that looks broken is tried at once and then after these pauses: libzmq notices a
    closed connection in its own thread, a moment after it reports it.  */
static const int64_t s_probe_pauses_us[] = {2000, 10000, 50000, 250000};
#define S_PROBES (sizeof s_probe_pauses_us / sizeof *s_probe_pauses_us)

/*  Moments in an interval at which a session may be told.  */
#define S_MOMENTS 4
/*  Sessions that are told at the same moment, and what lies between those of two such groups: so
    many cost a millisecond.  */
#define S_TOGETHER 128u
#define S_APART_US 5000

rp_peer_t *rp_peer_find (const rp_dispatch_t *self, rp_peer_id_t id)
{
    return id.v ? rp_pool_find (&self->peers, id.v) : NULL;
}

void rp_peer_tell (rp_dispatch_t *self, rp_peer_t *peer, const rp_head_t *head)
{
    if (peer->ending)
        return;
    peer->said = self->now;
    rp_actions_add (self->actions, RP_ACTION_SEND, rp_peer_id (peer))->head = *head;
}

static void s_bye (rp_dispatch_t *self, rp_peer_id_t peer, rp_status_t status, const char *text)
{
    rp_actions_add (self->actions, RP_ACTION_SEND, peer)->head =
      (rp_head_t){.command = RP_COMMAND_BYE,
        .status = (uint8_t) status,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
}

/*  A worker that is refused needs somebody's attention; a client is told, and tries again.  */
static void s_refuse (
  rp_dispatch_t *self, const rp_head_t *hello, rp_status_t status, const char *text)
{
    bool worker = (hello->flags & RP_FLAG_WORKER) != 0;
    self->stats.hellos_refused++;
    s_bye (self, (rp_peer_id_t){0}, status, text);
    rp_actions_log (self->actions, worker ? RP_LEVEL_WARNING : RP_LEVEL_DEBUG, RP_TOPIC_REFUSED,
      (rp_peer_id_t){0},
      rp_actions_format (
        self->actions, "a %s was refused: %s", worker ? "worker" : "client", text));
}

static uint32_t s_agree (const rp_dispatch_t *self, uint32_t proposed_ms)
{
    if (proposed_ms < self->limits.heartbeat_min)
        return (uint32_t) self->limits.heartbeat_min;
    if (proposed_ms > self->limits.heartbeat_max)
        return (uint32_t) self->limits.heartbeat_max;
    return proposed_ms;
}

static int64_t s_earlier (int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t s_later (int64_t one, int64_t other)
{
    return one > other ? one : other;
}

/*  When its silence says that it is dead.  */
static int64_t s_silent_at (const rp_dispatch_t *self, const rp_peer_t *peer)
{
    if (peer->traits & RP_TRAIT_MUTE)
        return RP_NEVER;
    int64_t since = peer->heard;
    if (peer->traits & RP_TRAIT_BUSY_MUTE) {
        if (peer->held > 0)
            return RP_NEVER;
        since = s_later (since, peer->freed);
    }
    return s_later (since + peer->patience, self->grace_until);
}

/*  When it is to be told that the broker lives. Not each at its own moment, which would wake the
    whole process for each, but some together; and not all, which would hold up everybody else. So
    at one of a group's moments, up to half an interval too soon: it is rounded down to one, and is
    one sooner than that until it is the group's first, where all who are idle meet after a few
    intervals.  */
static int64_t s_speak_at (const rp_peer_t *peer)
{
    int64_t due = peer->said + peer->interval;
    int64_t step = peer->interval / S_MOMENTS;
    int64_t phase = (int64_t) (peer->pooled.slot / S_TOGETHER) * S_APART_US % peer->interval;
    int64_t late =
      (due + peer->interval - phase) % peer->interval; // since the group's first moment
    return due - late % step - (late >= step ? step : 0);
}

static void s_set_timer (rp_dispatch_t *self, rp_peer_t *peer)
{
    int64_t due = s_earlier (s_speak_at (peer), s_silent_at (self, peer));
    rp_timer_set (self, &peer->timer, s_earlier (due, peer->probe_at));
}

static void s_set_interval (rp_peer_t *peer, uint32_t ms)
{
    peer->interval = (int64_t) ms * 1000;
    peer->patience =
      s_later ((int64_t) peer->agreed * 1000 * RP_LIVENESS, peer->interval * RP_IDLE_LIVENESS);
}

static rp_peer_t *s_admit (rp_dispatch_t *self, const rp_event_t *event, rp_role_t role)
{
    rp_peer_t *peer = rp_pool_take (&self->peers);
    if (!peer)
        return NULL;
    if (!rp_timer_begin (self, &peer->timer, RP_TIMER_PEER)) {
        rp_pool_give (&self->peers, peer);
        return NULL;
    }
    peer->role = role;
    peer->traits = event->traits;
    peer->agreed = s_agree (self, event->head->time);
    s_set_interval (peer, peer->agreed);
    for (unsigned index = 0; index < RP_PEER_GAPS; index++)
        peer->gaps[index] = (uint32_t) peer->interval;
    peer->beat = RP_NEVER;
    peer->heard = peer->said = peer->joined = self->now;
    peer->probe_at = RP_NEVER;
    if (event->head->key_size)
        memcpy (peer->name, event->head->key, event->head->key_size);
    rp_list_init (&peer->conversations);
    rp_list_init (&peer->requests);
    rp_index_init (&peer->by_id);
    rp_list_init (&peer->running);
    rp_list_init (&peer->pinned);
    s_set_timer (self, peer);
    return peer;
}

static void s_welcome (rp_dispatch_t *self, rp_peer_t *peer, const rp_head_t *hello, uint32_t value)
{
    rp_note_peer (self, RP_NOTE_JOIN, peer);
    rp_actions_add (self->actions, RP_ACTION_ADMIT, rp_peer_id (peer));
    rp_peer_tell (self, peer,
      &(rp_head_t){.command = RP_COMMAND_WELCOME,
        .flags = hello->flags & RP_FLAG_BUNDLES,
        .time = peer->agreed,
        .value = value,
        .key = self->instance,
        .key_size = (uint8_t) strlen (self->instance),
        .headers = self->welcome,
        .headers_size = (uint16_t) self->welcome_size});
}

static void s_hello_client (rp_dispatch_t *self, const rp_event_t *event)
{
    const rp_head_t *hello = event->head;
    rp_peer_t *peer = NULL;
    if (self->clients < self->limits.max_clients)
        peer = s_admit (self, event, RP_ROLE_CLIENT);
    if (!peer) {
        s_refuse (self, hello, RP_BUSY, "too many clients (limit max_clients); try again later");
        return;
    }
    self->clients++;
    self->stats.clients_joined++;
    s_welcome (self, peer, hello, (uint32_t) self->limits.client_open);
    rp_actions_log (self->actions, RP_LEVEL_DEBUG, RP_TOPIC_CLIENT, rp_peer_id (peer),
      rp_actions_format (self->actions, "client %s joined", peer->name));
}

static void s_hello_worker (rp_dispatch_t *self, const rp_event_t *event)
{
    const rp_head_t *hello = event->head;
    if (rp_name_is_reserved (hello->name, hello->name_size)) {
        s_refuse (self, hello, RP_DENIED,
          "names beginning with riposte. and mmi. belong to the broker; choose another");
        return;
    }
    if (hello->value > RP_WINDOW_MAX) {
        s_refuse (self, hello, RP_INVALID, "a window over 4096; ask for fewer requests at once");
        return;
    }
    rp_service_t *service = NULL;
    rp_peer_t *peer = NULL;
    if (self->workers < self->limits.max_workers)
        service = rp_service_get (self, hello->name, hello->name_size);
    if (service)
        peer = s_admit (self, event, RP_ROLE_WORKER);
    if (!peer) {
        s_refuse (self, hello, RP_BUSY,
          "too many workers or services (limits max_workers, max_services); try again later");
        return;
    }
    peer->window = hello->value;
    peer->attempt_limit = event->attempt_limit;
    if (!rp_service_join (self, service, peer)) {
        rp_timer_end (self, &peer->timer);
        rp_pool_give (&self->peers, peer);
        s_refuse (self, hello, RP_BUSY, "the broker is out of memory; try again later");
        return;
    }
    self->workers++;
    self->stats.workers_joined++;
    s_welcome (self, peer, hello, peer->window);
    rp_actions_log (self->actions, RP_LEVEL_INFO, RP_TOPIC_WORKER, rp_peer_id (peer),
      rp_actions_format (self->actions, "worker %s joined \"%s\" with a window of %u", peer->name,
        service->name, peer->window));
}

void rp_peer_hello (rp_dispatch_t *self, const rp_event_t *event)
{
    if (self->draining)
        s_refuse (self, event->head, RP_DRAINING, "the broker is going away; try another");
    else if (event->head->flags & RP_FLAG_WORKER)
        s_hello_worker (self, event);
    else
        s_hello_client (self, event);
}

void rp_peer_expel (rp_dispatch_t *self, rp_peer_t *peer, const char *text)
{
    if (peer->ending)
        return;
    self->stats.protocol_errors++;
    rp_actions_log (self->actions, RP_LEVEL_WARNING, RP_TOPIC_BAD, rp_peer_id (peer),
      rp_actions_format (self->actions, "%s %s broke the protocol and was dismissed: %s",
        peer->role == RP_ROLE_WORKER ? "worker" : "client", peer->name, text));
    s_bye (self, rp_peer_id (peer), RP_INVALID, text);
    rp_peer_end (self, peer, RP_ACTION_FORGET);
}

void rp_peer_condemn (rp_dispatch_t *self, rp_peer_t *peer, const char *why, bool cut)
{
    if (peer->ending)
        return;
    peer->ending = why;
    peer->cut = cut;
    rp_note_peer (self, RP_NOTE_DRAIN, peer);
    rp_list_append (&self->ending, &peer->ending_node);
    if (peer->role == RP_ROLE_WORKER)
        rp_service_room_changed (self, peer);
    if (peer->role == RP_ROLE_WORKER)
        self->stats.workers_lost++;
    else
        self->stats.clients_lost++;
    rp_actions_log (self->actions, peer->role == RP_ROLE_WORKER ? RP_LEVEL_WARNING : RP_LEVEL_DEBUG,
      RP_TOPIC_LOST, rp_peer_id (peer),
      peer->role == RP_ROLE_WORKER
        ? rp_actions_format (self->actions, "worker %s of \"%s\" lost: %s; it held %u", peer->name,
          peer->service->name, why, peer->held)
        : rp_actions_format (
          self->actions, "client %s lost: %s; it had %u open", peer->name, why, peer->open));
}

static void s_end_client (rp_dispatch_t *self, rp_peer_t *client)
{
    // Lines of conversations first, so that withdrawing one request does not start the next.
    rp_list_node_t *node;
    while ((node = rp_list_first (&client->conversations)))
        rp_conversation_end (self, RP_CONTAINER (node, rp_conversation_t, client_node),
          RP_CANCELLED, "its client went away");
    while ((node = rp_list_first (&client->requests)))
        rp_request_cancel (self, RP_CONTAINER (node, rp_request_t, client_node));
    rp_index_clear (&client->by_id);
    self->clients--;
}

static void s_end_worker (rp_dispatch_t *self, rp_peer_t *worker)
{
    rp_list_node_t *node;
    // Newest first, each to the front of its lane: so their order stays.
    while ((node = rp_list_last (&worker->running))) {
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        if (request->state == RP_REQUEST_ABANDONED)
            rp_request_free (self, request);
        else
            rp_request_lost (self, request, "the worker was lost while it had the request");
    }
    while ((node = rp_list_first (&worker->conversations))) {
        self->stats.conversations_lost++;
        rp_conversation_end (self, RP_CONTAINER (node, rp_conversation_t, worker_node),
          RP_CONVERSATION_LOST, "the worker that held the conversation is gone; begin it anew");
    }
    rp_service_leave (self, worker);
    self->workers--;
}

void rp_peer_end (rp_dispatch_t *self, rp_peer_t *peer, rp_action_kind_t forget_or_cut)
{
    if (!peer->ending) {
        peer->ending = "it left";
        rp_note_peer (self, RP_NOTE_DRAIN, peer);
    }
    bool dismissed = peer->ending_node.next != NULL;
    if (dismissed)
        rp_list_remove (&peer->ending_node);
    rp_actions_add (self->actions, forget_or_cut, rp_peer_id (peer))->keep = dismissed;
    if (peer->role == RP_ROLE_WORKER)
        s_end_worker (self, peer);
    else
        s_end_client (self, peer);
    rp_note_peer (self, RP_NOTE_LEAVE, peer);
    rp_timer_end (self, &peer->timer);
    rp_pool_give (&self->peers, peer);
}

void rp_peer_end_condemned (rp_dispatch_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->ending))) {
        rp_peer_t *peer = RP_CONTAINER (node, rp_peer_t, ending_node);
        rp_peer_end (self, peer, peer->cut ? RP_ACTION_CUT : RP_ACTION_FORGET);
    }
}

void rp_peer_dismiss (rp_dispatch_t *self, rp_peer_t *peer, rp_status_t status, const char *text)
{
    if (peer->ending)
        return;
    s_bye (self, rp_peer_id (peer), status, text);
    peer->ending = text;
    peer->cut = false;
    rp_note_peer (self, RP_NOTE_DRAIN, peer);
    rp_list_append (&self->ending, &peer->ending_node);
    if (peer->role == RP_ROLE_WORKER)
        rp_service_room_changed (self, peer);
}

void rp_peer_check_drained (rp_dispatch_t *self, rp_peer_t *worker)
{
    if (!worker->draining || worker->ending || worker->held > 0
        || !rp_list_is_empty (&worker->conversations))
        return;
    rp_peer_dismiss (self, worker, RP_OK, "drained");
}

void rp_peer_probe (rp_dispatch_t *self, rp_peer_t *peer)
{
    if (peer->ending)
        return;
    self->stats.probes++;
    rp_peer_tell (self, peer, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT});
    peer->probes_left = S_PROBES;
    peer->probe_at = self->now + s_probe_pauses_us[0];
    rp_timer_set (self, &peer->timer, peer->probe_at);
}

void rp_peer_slow_down (rp_dispatch_t *self, rp_peer_t *peer, uint32_t interval_ms)
{
    uint32_t most =
      peer->role == RP_ROLE_WORKER ? peer->agreed * RP_IDLE_TENTHS_WORKER / 10 : UINT32_MAX;
    uint32_t granted = interval_ms < most ? interval_ms : most;
    peer->slow = true;
    s_set_interval (peer, granted > peer->agreed ? granted : peer->agreed);
    s_set_timer (self, peer);
}

void rp_peer_wake (rp_dispatch_t *self, rp_peer_t *peer)
{
    // From when it may expect the next word: never later than it could before.
    int64_t later = peer->interval - (int64_t) peer->agreed * 1000;
    peer->said = s_earlier (self->now, peer->said + later);
    peer->slow = false;
    s_set_interval (peer, peer->agreed);
    s_set_timer (self, peer);
}

void rp_peer_beat (rp_dispatch_t *self, rp_peer_t *peer)
{
    // In between it may have been busy, or have put off its HEARTBEAT because it said something
    // else.
    bool in_a_row = peer->beat == peer->heard && peer->held == 0 && peer->freed <= peer->beat;
    int64_t gap = self->now - peer->beat;
    peer->beat = self->now;
    // A gap that nobody asks for: the network, or the broker, held the first of the two up.
    if (!in_a_row || gap < (int64_t) self->limits.heartbeat_min * 1000 || peer->ending)
        return;
    int64_t most = (int64_t) self->limits.heartbeat_max * 1000;
    peer->gaps[peer->gap] = (uint32_t) s_earlier (gap, most);
    peer->gap = (uint8_t) ((peer->gap + 1) % RP_PEER_GAPS);
    int64_t smallest = peer->gaps[0], largest = peer->gaps[0];
    for (unsigned index = 1; index < RP_PEER_GAPS; index++) {
        smallest = s_earlier (smallest, peer->gaps[index]);
        largest = s_later (largest, peer->gaps[index]);
    }
    peer->interval = smallest;
    peer->patience = largest * RP_LIVENESS;
    s_set_timer (self, peer);
}

void rp_peer_due (rp_dispatch_t *self, rp_peer_t *peer)
{
    int64_t silent_at = s_silent_at (self, peer);
    if (!peer->ending && self->now >= silent_at)
        rp_peer_condemn (self, peer, "silent for too long", true);
    if (peer->ending) {
        rp_timer_set (self, &peer->timer, RP_NEVER);
        return;
    }
    if (self->now >= peer->probe_at) {
        self->stats.probes++;
        rp_peer_tell (self, peer, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT});
        peer->probes_left--;
        peer->probe_at = peer->probes_left
                           ? self->now + s_probe_pauses_us[S_PROBES - peer->probes_left]
                           : RP_NEVER;
    }
    else if (self->now >= s_speak_at (peer)) {
        rp_peer_tell (self, peer, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT});
    }
    s_set_timer (self, peer);
}
