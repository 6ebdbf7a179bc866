/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/session.h"

#include <stdio.h>
#include <string.h>

#include "broker/core/acl.h"
#include "broker/core/ask.h"
#include "broker/core/conversation.h"
#include "broker/core/copy.h"
#include "broker/core/record.h"
#include "broker/core/request.h"
#include "broker/core/service.h"
#include "common/base/earlier.h"
#include "common/wire/headers.h"
#include "common/wire/name.h"

/*  Pauses between probes of a connection that looks broken. libzmq's own thread reports a closed
    connection a moment before it acts on it, so one probe is not enough.  */
static const int64_t s_probe_pauses_us[] = {2000, 10000, 50000, 250000};
#define S_PROBES (sizeof s_probe_pauses_us / sizeof *s_probe_pauses_us)

/*  Heartbeats go out only at this many moments of an interval.  */
#define S_MOMENTS 4
/*  How many sessions make a group, which shares its moments; and how much later the moments of the
    next group are: a group's heartbeats take about a millisecond.  */
#define S_TOGETHER 128u
#define S_APART_US 5000

rp_session_t *rp_session_find (const rp_dispatch_t *self, rp_session_id_t id)
{
    return id.v ? rp_pool_find (&self->sessions, id.v) : NULL;
}

void rp_session_tell (rp_dispatch_t *self, rp_session_t *session, const rp_head_t *head)
{
    if (session->ending)
        return;
    session->said = self->now;
    rp_actions_add (self->actions, RP_ACTION_SEND, rp_session_id (session))->head = *head;
}

static void s_bye (
  rp_dispatch_t *self, rp_session_id_t session, rp_status_t status, const char *text)
{
    rp_actions_add (self->actions, RP_ACTION_SEND, session)->head =
      (rp_head_t){.command = RP_COMMAND_BYE,
        .status = (uint8_t) status,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
}

void rp_session_log (rp_dispatch_t *self,
  rp_level_t level,
  rp_topic_t topic,
  const rp_session_t *session,
  const char *text)
{
    rp_action_t *line = rp_actions_log (self->actions, level, topic, rp_session_id (session), text);
    if (session->role == RP_ROLE_WORKER)
        rp_actions_log_service (
          self->actions, line, session->service->name, session->service->name_size);
}

/*  Refuses a HELLO. For a worker somebody has to act, so that is a warning; a client learns why,
    and tries again.  */
static void s_refuse (
  rp_dispatch_t *self, const rp_head_t *hello, rp_status_t status, const char *text)
{
    bool worker = (hello->flags & RP_FLAG_WORKER) != 0;
    self->stats.hellos_refused++;
    s_bye (self, (rp_session_id_t){0}, status, text);
    rp_action_t *line = rp_actions_log (self->actions, worker ? RP_LEVEL_WARNING : RP_LEVEL_DEBUG,
      RP_TOPIC_REFUSED, (rp_session_id_t){0},
      rp_actions_format (
        self->actions, "a %s was refused: %s", worker ? "worker" : "client", text));
    if (worker)
        rp_actions_log_service (self->actions, line, hello->name, hello->name_size);
}

static uint32_t s_agree (const rp_dispatch_t *self, uint32_t proposed_ms)
{
    if (proposed_ms < self->limits.heartbeat_min)
        return (uint32_t) self->limits.heartbeat_min;
    if (proposed_ms > self->limits.heartbeat_max)
        return (uint32_t) self->limits.heartbeat_max;
    return proposed_ms;
}

/*  When the session counts as dead, because of its silence.  */
static int64_t s_silent_at (const rp_dispatch_t *self, const rp_session_t *session)
{
    if (session->traits & RP_TRAIT_MUTE)
        return RP_NEVER;
    int64_t since = session->heard;
    if (session->traits & RP_TRAIT_BUSY_MUTE) {
        if (session->held > 0)
            return RP_NEVER;
        since = rp_later (since, session->freed);
    }
    return rp_later (since + session->patience, self->grace_until);
}

/*  When to send the next heartbeat to a session. One moment per session would wake the process too
    often; one for all would hold up everything else. So sessions are in groups, and each group has
    S_MOMENTS moments in an interval. The time due is rounded down to a moment, and one moment
    further unless that moment is the first: so after a few intervals all idle sessions of a group
    speak at the first one. A heartbeat is thus up to half an interval early.  */
static int64_t s_speak_at (const rp_session_t *session)
{
    int64_t due = session->said + session->interval;
    int64_t step = session->interval / S_MOMENTS;
    int64_t phase = (int64_t) (session->pooled.slot / S_TOGETHER) * S_APART_US % session->interval;
    int64_t late =
      (due + session->interval - phase) % session->interval; // time since the group's first moment
    return due - late % step - (late >= step ? step : 0);
}

static void s_set_timer (rp_dispatch_t *self, rp_session_t *session)
{
    int64_t due = rp_earlier (s_speak_at (session), s_silent_at (self, session));
    rp_timer_set (self, &session->timer, rp_earlier (due, session->probe_at));
}

static void s_set_interval (rp_session_t *session, uint32_t ms)
{
    session->interval = (int64_t) ms * 1000;
    session->patience = rp_later (
      (int64_t) session->agreed * 1000 * RP_LIVENESS, session->interval * RP_IDLE_LIVENESS);
}

static rp_session_t *s_admit (rp_dispatch_t *self, const rp_event_t *event, rp_role_t role)
{
    rp_session_t *session = rp_pool_take (&self->sessions);
    if (!session)
        return NULL;
    if (!rp_timer_begin (self, &session->timer, RP_TIMER_SESSION)) {
        rp_pool_give (&self->sessions, session);
        return NULL;
    }
    session->role = role;
    session->traits = event->traits;
    session->agreed = s_agree (self, event->head->interval_ms);
    s_set_interval (session, session->agreed);
    for (unsigned index = 0; index < RP_SESSION_GAPS; index++)
        session->gaps[index] = (uint32_t) session->interval;
    session->beat = RP_NEVER;
    session->heard = session->said = session->joined = self->now;
    session->probe_at = RP_NEVER;
    if (event->head->key_size)
        memcpy (session->name, event->head->key, event->head->key_size);
    rp_list_init (&session->conversations);
    rp_list_init (&session->requests);
    rp_index_init (&session->by_id);
    rp_list_init (&session->running);
    rp_list_init (&session->pinned);
    rp_list_init (&session->copies);
    s_set_timer (self, session);
    return session;
}

static void s_welcome (rp_dispatch_t *self, rp_session_t *session, const rp_head_t *hello)
{
    rp_head_t welcome = {.command = RP_COMMAND_WELCOME,
      .flags = hello->flags & RP_FLAG_BUNDLES,
      .interval_ms = session->agreed,
      .key = self->instance,
      .key_size = (uint8_t) strlen (self->instance),
      .headers = self->welcome,
      .headers_size = (uint16_t) self->welcome_size};
    if (session->role == RP_ROLE_WORKER)
        welcome.window = session->window;
    else
        welcome.max_open = (uint32_t) self->limits.client_open;
    rp_record_session (self, RP_RECORD_JOIN, session);
    rp_actions_add (self->actions, RP_ACTION_ADMIT, rp_session_id (session));
    rp_session_tell (self, session, &welcome);
}

/*  Returns what a log line says of whose a session is; nothing without rules.  */
static const char *s_as (rp_dispatch_t *self, const rp_principal_t *principal)
{
    return self->rules ? rp_actions_format (self->actions, " as \"%s\"", principal->name) : "";
}

static void s_hello_client (rp_dispatch_t *self, const rp_event_t *event, rp_principal_t *principal)
{
    const rp_head_t *hello = event->head;
    bool trusted = (event->traits & RP_TRAIT_TRUSTED) != 0;
    const char *refusal = trusted ? NULL : rp_acl_refuse_session (self, principal);
    if (refusal) {
        s_refuse (self, hello, RP_BUSY, refusal);
        return;
    }
    rp_session_t *session = NULL;
    if (trusted || self->clients < self->limits.max_clients)
        session = s_admit (self, event, RP_ROLE_CLIENT);
    if (!session) {
        s_refuse (self, hello, RP_BUSY, "too many clients (limit max_clients); try again later");
        return;
    }
    rp_acl_join (self, session, principal);
    self->clients += !trusted;
    self->stats.clients_joined += !trusted;
    s_welcome (self, session, hello);
    rp_session_log (self, RP_LEVEL_DEBUG, RP_TOPIC_CLIENT, session,
      rp_actions_format (
        self->actions, "client %s joined%s", session->name, s_as (self, principal)));
}

/*  Refuses a worker that no rule allows to serve. The log has each such denial once.  */
static void s_deny_worker (rp_dispatch_t *self, const rp_head_t *hello, rp_principal_t *principal)
{
    self->stats.hellos_refused++;
    s_bye (self, (rp_session_id_t){0}, RP_DENIED,
      rp_acl_deny (self, principal, RP_RULE_SERVE, hello, (rp_session_id_t){0}));
}

/*  Refuses a HELLO of a worker that may not be one; true if it did.  */
static bool s_refuse_worker (
  rp_dispatch_t *self, const rp_event_t *event, rp_principal_t *principal)
{
    const rp_head_t *hello = event->head;
    bool trusted = (event->traits & RP_TRAIT_TRUSTED) != 0;
    const char *over;
    if (rp_name_is_reserved (hello->name, hello->name_size))
        s_refuse (self, hello, RP_DENIED,
          "names beginning with riposte. and mmi. belong to the broker; choose another");
    else if (self->jobs && rp_name_is_titanic (hello->name, hello->name_size))
        s_refuse (self, hello, RP_DENIED,
          "titanic.* belongs to a broker with a store, which keeps jobs itself; run no Titanic "
          "beside it");
    else if (!trusted
             && !rp_acl_allows (self, principal, RP_RULE_SERVE, hello->name, hello->name_size))
        s_deny_worker (self, hello, principal);
    else if (hello->window > RP_WINDOW_MAX)
        s_refuse (self, hello, RP_INVALID, "a window over 4096; ask for fewer requests at once");
    else if (!trusted && (over = rp_acl_refuse_session (self, principal)))
        s_refuse (self, hello, RP_BUSY, over);
    else
        return false;
    return true;
}

/*  Begins the session of a worker; NULL at a limit or when out of memory.  */
static rp_session_t *s_admit_worker (rp_dispatch_t *self, const rp_event_t *event)
{
    const rp_head_t *hello = event->head;
    rp_service_t *service = NULL;
    rp_session_t *session = NULL;
    if (self->workers < self->limits.max_workers)
        service = rp_service_get (self, hello->name, hello->name_size);
    if (service)
        session = s_admit (self, event, RP_ROLE_WORKER);
    if (!session)
        return NULL;
    session->window = hello->window;
    session->attempt_limit = event->attempt_limit;
    rp_header_t header;
    session->declines =
      rp_headers_find (hello->headers, hello->headers_size, RP_HELLO_DECLINES, &header);
    bool streams = rp_headers_find (hello->headers, hello->headers_size, RP_HELLO_STREAMS, &header);
    session->reads = streams ? UINT16_MAX : (uint16_t) ~(RP_FLAG_STREAM | RP_FLAG_MORE);
    // a foreign worker cannot give a request back
    session->unproven = event->traits == 0 && event->attempt_limit == 0;
    if (rp_service_join (self, service, session))
        return session;
    rp_timer_end (self, &session->timer);
    rp_pool_give (&self->sessions, session);
    return NULL;
}

static void s_hello_worker (rp_dispatch_t *self, const rp_event_t *event, rp_principal_t *principal)
{
    if (s_refuse_worker (self, event, principal))
        return;
    rp_session_t *session = s_admit_worker (self, event);
    if (!session) {
        s_refuse (self, event->head, RP_BUSY,
          "too many workers or services (limits max_workers, max_services); try again later");
        return;
    }
    rp_acl_join (self, session, principal);
    self->workers++;
    self->stats.workers_joined++;
    s_welcome (self, session, event->head);
    rp_session_log (self, RP_LEVEL_INFO, RP_TOPIC_WORKER, session,
      rp_actions_format (self->actions, "worker %s joined \"%s\"%s with a window of %u",
        session->name, session->service->name, s_as (self, principal), session->window));
}

void rp_session_hello (rp_dispatch_t *self, const rp_event_t *event)
{
    if (self->draining) {
        s_refuse (self, event->head, RP_DRAINING, "the broker is going away; try another");
        return;
    }
    rp_principal_t *principal = rp_acl_principal (self, event->principal);
    if (!principal)
        s_refuse (self, event->head, RP_BUSY, "the broker is out of memory; try again later");
    else if (event->head->flags & RP_FLAG_WORKER)
        s_hello_worker (self, event, principal);
    else
        s_hello_client (self, event, principal);
}

void rp_session_close_invalid (rp_dispatch_t *self, rp_session_t *session, const char *text)
{
    if (session->ending)
        return;
    self->stats.protocol_errors++;
    rp_session_log (self, RP_LEVEL_WARNING, RP_TOPIC_BAD, session,
      rp_actions_format (self->actions, "%s %s broke the protocol, its session ends: %s",
        session->role == RP_ROLE_WORKER ? "worker" : "client", session->name, text));
    s_bye (self, rp_session_id (session), RP_INVALID, text);
    session->cut = true;
    rp_session_end (self, session, RP_ACTION_UNBIND);
}

void rp_session_close_later (
  rp_dispatch_t *self, rp_session_t *session, const char *why, bool abort)
{
    if (session->ending)
        return;
    session->ending = why;
    session->abort = session->cut = abort;
    rp_record_session (self, RP_RECORD_DRAIN, session);
    rp_list_append (&self->ending, &session->ending_node);
    if (session->role == RP_ROLE_WORKER)
        rp_service_room_changed (self, session);
    if (session->role == RP_ROLE_WORKER) {
        self->stats.workers_lost++;
        session->service->figures->workers_lost++;
    }
    else {
        self->stats.clients_lost++;
    }
    rp_session_log (self, session->role == RP_ROLE_WORKER ? RP_LEVEL_WARNING : RP_LEVEL_DEBUG,
      RP_TOPIC_LOST, session,
      session->role == RP_ROLE_WORKER
        ? rp_actions_format (self->actions, "worker %s of \"%s\" lost: %s; it held %u",
          session->name, session->service->name, why, session->held)
        : rp_actions_format (
          self->actions, "client %s lost: %s; it had %u open", session->name, why, session->open));
}

static void s_end_client (rp_dispatch_t *self, rp_session_t *client)
{
    // Conversations first: otherwise each cancelled request would start the next one in line.
    rp_list_node_t *node;
    while ((node = rp_list_first (&client->conversations)))
        rp_conversation_end (self, RP_CONTAINER (node, rp_dispatch_conversation_t, client_node),
          RP_CANCELLED, "its client went away");
    while ((node = rp_list_first (&client->requests)))
        rp_request_cancel (self, RP_CONTAINER (node, rp_request_t, client_node));
    rp_index_clear (&client->by_id);
    rp_ask_end_all (self, client);
    self->clients -= !(client->traits & RP_TRAIT_TRUSTED);
}

static void s_end_worker (rp_dispatch_t *self, rp_session_t *worker)
{
    rp_list_node_t *node;
    // Newest first, each to the front of its client queue: this keeps their order.
    while ((node = rp_list_last (&worker->running))) {
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        if (request->state == RP_REQUEST_ABANDONED)
            rp_request_let_go (self, request, true);
        else
            rp_request_lost (self, request, "the worker was lost while it had the request");
    }
    while ((node = rp_list_first (&worker->conversations))) {
        self->stats.conversations_lost++;
        rp_conversation_end (self, RP_CONTAINER (node, rp_dispatch_conversation_t, worker_node),
          RP_CONVERSATION_LOST, "the worker that held the conversation is gone; begin it anew");
    }
    rp_copy_end_waiting (self, worker, "the worker left before it was given the request");
    rp_service_leave (self, worker);
    self->workers--;
}

void rp_session_end (rp_dispatch_t *self, rp_session_t *session, rp_action_kind_t unbind_or_abort)
{
    if (!session->ending) {
        session->ending = "it left";
        rp_record_session (self, RP_RECORD_DRAIN, session);
    }
    bool closed = session->ending_node.next != NULL;
    if (closed)
        rp_list_remove (&session->ending_node);
    rp_actions_add (self->actions, unbind_or_abort, rp_session_id (session))->keep = closed;
    if (session->role == RP_ROLE_WORKER)
        s_end_worker (self, session);
    else
        s_end_client (self, session);
    rp_record_session (self, RP_RECORD_LEAVE, session);
    rp_trace_session (self, session);
    rp_acl_leave (session);
    rp_timer_end (self, &session->timer);
    rp_pool_give (&self->sessions, session);
}

void rp_session_end_closing (rp_dispatch_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->ending))) {
        rp_session_t *session = RP_CONTAINER (node, rp_session_t, ending_node);
        rp_session_end (self, session, session->abort ? RP_ACTION_ABORT : RP_ACTION_UNBIND);
    }
}

void rp_session_close (
  rp_dispatch_t *self, rp_session_t *session, rp_status_t status, const char *text)
{
    if (session->ending)
        return;
    s_bye (self, rp_session_id (session), status, text);
    session->ending = text;
    session->abort = false;
    rp_record_session (self, RP_RECORD_DRAIN, session);
    rp_list_append (&self->ending, &session->ending_node);
    if (session->role == RP_ROLE_WORKER)
        rp_service_room_changed (self, session);
    rp_session_log_left (self, session, text);
}

void rp_session_log_left (rp_dispatch_t *self, const rp_session_t *session, const char *why)
{
    bool worker = session->role == RP_ROLE_WORKER;
    rp_session_log (self, worker ? RP_LEVEL_INFO : RP_LEVEL_DEBUG,
      worker ? RP_TOPIC_WORKER : RP_TOPIC_CLIENT, session,
      worker ? rp_actions_format (self->actions, "worker %s of \"%s\" left: %s; it held %u",
        session->name, session->service->name, why, session->held)
             : rp_actions_format (self->actions, "client %s left: %s", session->name, why));
}

void rp_session_check_drained (rp_dispatch_t *self, rp_session_t *worker)
{
    if (!worker->draining || worker->ending || worker->held > 0
        || !rp_list_is_empty (&worker->conversations))
        return;
    if (worker->barred) {
        const rp_head_t asked = {
          .name = worker->service->name, .name_size = worker->service->name_size};
        rp_session_close (self, worker, RP_DENIED,
          rp_acl_deny (self, worker->principal, RP_RULE_SERVE, &asked, rp_session_id (worker)));
    }
    else
        rp_session_close (self, worker, RP_OK, "drained");
}

void rp_session_bar (rp_dispatch_t *self, rp_session_t *worker)
{
    if (worker->barred || worker->ending)
        return;
    worker->barred = true;
    rp_list_node_t *node;
    while ((node = rp_list_first (&worker->conversations))) {
        self->stats.conversations_lost++;
        rp_conversation_end (self, RP_CONTAINER (node, rp_dispatch_conversation_t, worker_node),
          RP_CONVERSATION_LOST, "the worker that held the conversation may not serve any more");
    }
    rp_copy_end_waiting (self, worker, "the worker may not serve any more");
    if (!worker->draining) {
        worker->draining = true;
        rp_record_session (self, RP_RECORD_DRAIN, worker);
        rp_service_room_changed (self, worker);
    }
    rp_session_check_drained (self, worker);
}

void rp_session_revoke (rp_dispatch_t *self, rp_session_t *session)
{
    rp_session_close_later (self, session, "its key was revoked", true);
    rp_session_end (self, session, RP_ACTION_ABORT);
}

void rp_session_probe (rp_dispatch_t *self, rp_session_t *session)
{
    if (session->ending)
        return;
    self->stats.probes++;
    rp_session_tell (self, session, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT});
    session->probes_left = S_PROBES;
    session->probe_at = self->now + s_probe_pauses_us[0];
    rp_timer_set (self, &session->timer, session->probe_at);
}

void rp_session_slow_down (rp_dispatch_t *self, rp_session_t *session, uint32_t interval_ms)
{
    uint32_t most =
      session->role == RP_ROLE_WORKER ? session->agreed * RP_IDLE_TENTHS_WORKER / 10 : UINT32_MAX;
    uint32_t granted = interval_ms < most ? interval_ms : most;
    session->slow = true;
    s_set_interval (session, granted > session->agreed ? granted : session->agreed);
    s_set_timer (self, session);
}

void rp_session_wake (rp_dispatch_t *self, rp_session_t *session)
{
    // Sets `said` so that the next heartbeat is due no later than it was before.
    int64_t later = session->interval - (int64_t) session->agreed * 1000;
    session->said = rp_earlier (self->now, session->said + later);
    session->slow = false;
    s_set_interval (session, session->agreed);
    s_set_timer (self, session);
}

void rp_session_beat (rp_dispatch_t *self, rp_session_t *session)
{
    // Between the two HEARTBEATs the worker may have been busy, or have put one off because it sent
    // something else.
    bool in_a_row =
      session->beat == session->heard && session->held == 0 && session->freed <= session->beat;
    int64_t gap = self->now - session->beat;
    session->beat = self->now;
    // A gap shorter than any interval: the network or the broker delayed the first of the two
    // HEARTBEATs.
    if (!in_a_row || gap < (int64_t) self->limits.heartbeat_min * 1000 || session->ending)
        return;
    int64_t most = (int64_t) self->limits.heartbeat_max * 1000;
    session->gaps[session->gap] = (uint32_t) rp_earlier (gap, most);
    session->gap = (uint8_t) ((session->gap + 1) % RP_SESSION_GAPS);
    int64_t smallest = session->gaps[0], largest = session->gaps[0];
    for (unsigned index = 1; index < RP_SESSION_GAPS; index++) {
        smallest = rp_earlier (smallest, session->gaps[index]);
        largest = rp_later (largest, session->gaps[index]);
    }
    session->interval = smallest;
    session->patience = largest * RP_LIVENESS;
    s_set_timer (self, session);
}

void rp_session_due (rp_dispatch_t *self, rp_session_t *session)
{
    int64_t silent_at = s_silent_at (self, session);
    if (!session->ending && self->now >= silent_at)
        rp_session_close_later (self, session, "silent for too long", true);
    if (session->ending) {
        rp_timer_set (self, &session->timer, RP_NEVER);
        return;
    }
    if (self->now >= session->probe_at) {
        self->stats.probes++;
        rp_session_tell (self, session, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT});
        session->probes_left--;
        session->probe_at = session->probes_left
                              ? self->now + s_probe_pauses_us[S_PROBES - session->probes_left]
                              : RP_NEVER;
    }
    else if (self->now >= s_speak_at (session)) {
        rp_session_tell (self, session, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT});
    }
    s_set_timer (self, session);
}
