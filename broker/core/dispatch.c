/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/core/acl.h"
#include "broker/core/ask.h"
#include "broker/core/conversation.h"
#include "broker/core/copy.h"
#include "broker/core/hedge.h"
#include "broker/core/ingress.h"
#include "broker/core/request.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"
#include "common/base/earlier.h"
#include "common/wire/headers.h"

/*  A tick that comes this much later than asked for shows that the process was stopped or starved.
    Sessions then get a grace, in which messages that came meanwhile are read.  */
#define S_STALL_US 200000
#define S_STALL_GRACE_US 500000

/*  Clients are told of a drain while requests of theirs are on the way. So a broker that drains and
    has nothing running stops only when nobody asked it for this long: its end would leave those
    requests without an answer. A client that asks again and again delays it no longer than the
    second.  */
#define S_QUIET_US 150000
#define S_QUIET_MOST_US 1000000

/*  Clients of the broker's own: for jobs, for requests with keys, and for those to all workers.  */
#define S_OWN_CLIENTS 3u

static void s_write_welcome (rp_dispatch_t *self, const char *version, uint64_t instance)
{
    char number[24];
    snprintf (self->instance, sizeof self->instance, "%016llx", (unsigned long long) instance);
    snprintf (number, sizeof number, "%llu", (unsigned long long) self->limits.max_body);
    size_t capacity = sizeof self->welcome;
    (void) rp_headers_append (self->welcome, &self->welcome_size, capacity, "max-body", number);
    (void) rp_headers_append (self->welcome, &self->welcome_size, capacity, "version", version);
    (void) rp_headers_append (
      self->welcome, &self->welcome_size, capacity, RP_WELCOME_PRIORITIES, "1");
    (void) rp_headers_append (
      self->welcome, &self->welcome_size, capacity, RP_WELCOME_STREAMS, "1");
    snprintf (number, sizeof number, "%llu", (unsigned long long) self->limits.stream_window);
    (void) rp_headers_append (
      self->welcome, &self->welcome_size, capacity, RP_WELCOME_STREAM_WINDOW, number);
    (void) rp_headers_append (
      self->welcome, &self->welcome_size, capacity, RP_WELCOME_HEDGING, "1");
    if (self->jobs)
        (void) rp_headers_append (
          self->welcome, &self->welcome_size, capacity, RP_WELCOME_JOBS, "1");
    if (self->replays)
        (void) rp_headers_append (
          self->welcome, &self->welcome_size, capacity, RP_WELCOME_REPLAYS, "1");
    if (self->surveys)
        (void) rp_headers_append (
          self->welcome, &self->welcome_size, capacity, RP_WELCOME_ALL, "1");
}

/*  True if weights or estimates are made of what requests take.  */
static bool s_measures (const rp_dispatch_t *self)
{
    bool measures = self->weighed;
    for (size_t index = 0; index < self->terms.count; index++)
        measures = measures || rp_terms_estimate (&self->terms.list[index]);
    return measures;
}

rp_dispatch_t *rp_dispatch_new (const rp_dispatch_options_t *options)
{
    rp_dispatch_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    const rp_limits_t *limits = &options->limits;
    self->limits = *limits;
    self->seed = options->seed;
    self->history = options->history;
    self->exports = options->exports;
    self->jobs = options->jobs;
    self->replays = options->replays;
    self->surveys = options->surveys;
    self->rules = options->rules;
    self->weighed = self->rules && rp_rules_has_weight (self->rules);
    self->terms = options->terms;
    self->measured = s_measures (self);
    uint32_t seed = (uint32_t) options->seed;
    rp_pool_init (&self->sessions, sizeof (rp_session_t),
      (uint32_t) (limits->max_clients + limits->max_workers + S_OWN_CLIENTS), seed);
    rp_pool_init (&self->services, sizeof (rp_service_t), (uint32_t) limits->max_services, seed);
    rp_pool_init (&self->requests, sizeof (rp_request_t),
      // Abandoned requests are not open, but have a place here too.
      (uint32_t) (limits->total_queue + limits->max_workers * 64), seed);
    rp_pool_init (
      &self->streams, sizeof (rp_request_stream_t), (uint32_t) limits->total_queue, seed);
    rp_pool_init (&self->conversations, sizeof (rp_dispatch_conversation_t),
      (uint32_t) limits->max_conversations, seed);
    rp_pool_init (
      &self->client_queues, sizeof (rp_client_queue_t), (uint32_t) limits->total_queue, seed);
    rp_pool_init (&self->principals, sizeof (rp_principal_t),
      (uint32_t) (limits->max_clients + limits->max_workers + 1), seed);
    rp_hedge_init (self);
    rp_ask_init (self);
    rp_table_init (&self->services_by_name);
    rp_table_init (&self->conversations_by_key);
    rp_table_init (&self->client_queues_by_user);
    rp_table_init (&self->principals_by_name);
    rp_heap_init (&self->timers);
    rp_heap_init (&self->due);
    rp_list_init (&self->dirty);
    rp_list_init (&self->ending);
    rp_figures_init (&self->figures);
    rp_trace_log_init (&self->trace, limits->trace_bytes);
    self->refreshed = options->now;
    self->rejoin_until = options->now + (int64_t) limits->rejoin_grace * 1000;
    self->expected = RP_NEVER;
    s_write_welcome (self, options->version, options->instance);
    return self;
}

void rp_dispatch_destroy (rp_dispatch_t **self_p, rp_actions_t *actions)
{
    rp_dispatch_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->requests); slot++) {
        rp_request_t *request = rp_pool_at (&self->requests, slot);
        if (!(request->pooled.generation & 1))
            continue;
        rp_actions_drop (actions, request->payload);
        if (request->stream)
            rp_actions_drop (actions, request->stream->kept);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->sessions); slot++) {
        rp_session_t *session = rp_pool_at (&self->sessions, slot);
        if (session->pooled.generation & 1)
            rp_index_clear (&session->by_id);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1))
            continue;
        rp_heap_clear (&service->room);
        free (service->hedging);
    }
    rp_pool_clear (&self->sessions);
    rp_pool_clear (&self->services);
    rp_pool_clear (&self->requests);
    rp_pool_clear (&self->conversations);
    rp_pool_clear (&self->client_queues);
    rp_pool_clear (&self->streams);
    rp_pool_clear (&self->principals);
    rp_hedge_clear (self);
    rp_ask_clear (self);
    rp_table_clear (&self->services_by_name);
    rp_table_clear (&self->conversations_by_key);
    rp_table_clear (&self->client_queues_by_user);
    rp_table_clear (&self->principals_by_name);
    rp_heap_clear (&self->timers);
    rp_heap_clear (&self->due);
    rp_figures_clear (&self->figures);
    rp_trace_log_clear (&self->trace);
    free (self);
}

/*  ---- Events -------------------------------------------------------------------------------- */

static void s_unsent (rp_dispatch_t *self, const rp_event_t *event)
{
    rp_request_t *request = event->token.v ? rp_pool_find (&self->requests, event->token.v) : NULL;
    rp_session_t *session = rp_session_find (self, event->session);
    // The session ends first, so that it has no room and the request goes elsewhere. The connection
    // is not aborted if it broke: its descriptor may have belonged to another connection when the
    // session was bound to it.
    if (session)
        rp_session_close_later (self, session,
          event->full ? "it does not read what is sent to it, or too slowly"
                      : "its connection broke",
          event->full);
    if (session && event->reply && event->full)
        rp_request_reply_unsent (self, session, event->status);
    if (request && session && request->worker == session)
        rp_request_unsent (self, request, event->payload);
    else
        rp_actions_drop (self->actions, event->payload);
}

/*  Calls function for every session.  */
static void s_each_peer (rp_dispatch_t *self, void (*function) (rp_dispatch_t *, rp_session_t *))
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->sessions); slot++) {
        rp_session_t *session = rp_pool_at (&self->sessions, slot);
        if (session->pooled.generation & 1)
            function (self, session);
    }
}

static void s_tell_drain (rp_dispatch_t *self, rp_session_t *session)
{
    rp_session_tell (self, session, &(rp_head_t){.command = RP_COMMAND_DRAIN});
}

/*  Calls function for every request without a final status.  */
static void s_each_request (rp_dispatch_t *self, void (*function) (rp_dispatch_t *, rp_request_t *))
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->requests); slot++) {
        rp_request_t *request = rp_pool_at (&self->requests, slot);
        if (request->pooled.generation & 1 && !request->answered)
            function (self, request);
    }
}

/*  Ends a waiting request: with DRAINING, so that its client tries another broker at once, unless a
    worker had it.  */
static void s_flush_waiting (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->state == RP_REQUEST_RUNNING)
        return;
    if (request->attempt > 0)
        rp_request_finish (self, request, RP_WORKER_LOST,
          "the worker that had the request was lost, and the broker is going away");
    else
        rp_request_finish (self, request, RP_DRAINING, "the broker is going away; try another");
}

/*  Requests in a conversation's line end first: otherwise the end of the one before would start
    them.  */
static void s_flush_held (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->state == RP_REQUEST_HELD)
        s_flush_waiting (self, request);
}

static void s_flush_running (rp_dispatch_t *self, rp_request_t *request)
{
    rp_request_abandon (
      self, request, RP_WORKER_LOST, "the broker ended while a worker had the request");
}

static void s_count_open (rp_dispatch_t *self, rp_request_t *request)
{
    (void) self;
    rp_acl_open (request->client_queue->client, request);
}

/*  Bars a worker that may not serve any more.  */
static void s_recheck_worker (rp_dispatch_t *self, rp_session_t *session)
{
    if (session->role != RP_ROLE_WORKER || session->traits & RP_TRAIT_TRUSTED)
        return;
    const rp_service_t *service = session->service;
    if (!rp_acl_allows (self, session->principal, RP_RULE_SERVE, service->name, service->name_size))
        rp_session_bar (self, session);
}

static void s_bar (rp_dispatch_t *self, const rp_event_t *event)
{
    const rp_session_t *client = rp_session_find (self, event->session);
    rp_request_t *request = client ? rp_request_find (self, client, event->head->id) : NULL;
    if (request)
        rp_request_bar (self, request);
}

/*  Calls function for every service.  */
static void s_each_service (rp_dispatch_t *self, void (*function) (rp_dispatch_t *, rp_service_t *))
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_service_t *service = rp_pool_at (&self->services, slot);
        if (service->pooled.generation & 1)
            function (self, service);
    }
}

static void s_take_terms (rp_dispatch_t *self, rp_service_t *service)
{
    rp_service_take_terms (self, service);
    rp_service_touch (self, service);
}

/*  Takes other terms, or the same when there may be weights now.  */
static void s_change_terms (rp_dispatch_t *self, const rp_terms_list_t *terms)
{
    self->terms = *terms;
    self->measured = s_measures (self);
    s_each_peer (self, rp_acl_mark_measured);
    s_each_service (self, s_take_terms);
}

static void s_change_rules (rp_dispatch_t *self, const rp_rules_t *rules)
{
    rp_acl_change (self, rules);
    s_change_terms (self, &self->terms);
    s_each_request (self, s_count_open);
    if (!rules)
        return;
    s_each_peer (self, s_recheck_worker);
    s_each_request (self, rp_request_recheck);
}

static void s_drain (rp_dispatch_t *self)
{
    if (self->draining)
        return;
    self->draining = true;
    self->drained = self->asked = self->now;
    rp_actions_log (self->actions, RP_LEVEL_INFO, RP_TOPIC_BROKER, (rp_session_id_t){0},
      rp_actions_format (self->actions, "draining: %llu running, %llu waiting",
        (unsigned long long) self->stats.running, (unsigned long long) self->stats.waiting));
    s_each_peer (self, s_tell_drain);
    s_each_request (self, s_flush_held);
    s_each_request (self, s_flush_waiting);
}

static void s_say_bye (rp_dispatch_t *self, rp_session_t *session)
{
    rp_session_close (self, session, RP_DRAINING, "the broker is going away");
}

/*  Ends all requests, says BYE to all sessions, and stops.  */
static void s_stop (rp_dispatch_t *self)
{
    if (self->stopped)
        return;
    s_drain (self);
    self->stopped = true;
    s_each_request (self, s_flush_held); // a failed delivery may have queued a request again
    s_each_request (self, s_flush_waiting);
    s_each_request (self, s_flush_running);
    s_each_peer (self, s_say_bye);
    rp_actions_add (self->actions, RP_ACTION_STOP, (rp_session_id_t){0});
}

void rp_dispatch_handle (
  rp_dispatch_t *self, const rp_event_t *event, int64_t now, rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
    self->newest = 0;
    rp_session_t *session;
    switch (event->kind) {
        case RP_EVENT_MESSAGE:
            rp_ingress_message (self, event);
            break;
        case RP_EVENT_BAD:
            rp_ingress_bad (self, event);
            break;
        case RP_EVENT_UNSENT:
            s_unsent (self, event);
            break;
        case RP_EVENT_SUSPECT:
            if ((session = rp_session_find (self, event->session)))
                rp_session_probe (self, session);
            break;
        case RP_EVENT_DROPPED:
            rp_request_dropped (self, event);
            break;
        case RP_EVENT_REVOKED:
            if ((session = rp_session_find (self, event->session)))
                rp_session_revoke (self, session);
            break;
        case RP_EVENT_RULES:
            s_change_rules (self, event->rules);
            break;
        case RP_EVENT_BAR:
            s_bar (self, event);
            break;
        case RP_EVENT_TERMS:
            s_change_terms (self, event->terms);
            s_each_service (self, rp_service_refill); // the terms before may have held some back
            break;
        case RP_EVENT_DRAIN:
            s_drain (self);
            break;
        case RP_EVENT_STOP:
            s_stop (self);
            break;
    }
    rp_service_settle (self);
    self->actions = NULL;
}

rp_payload_t **rp_dispatch_kept (rp_dispatch_t *self)
{
    // A delivery would have renewed the handle, so the request found has had none.
    rp_request_t *request = self->newest ? rp_pool_find (&self->requests, self->newest) : NULL;
    return request ? &request->payload : NULL;
}

/*  ---- Time ---------------------------------------------------------------------------------- */

static void s_ring (rp_dispatch_t *self, rp_heap_node_t *node)
{
    rp_timer_t *timer = RP_CONTAINER (node, rp_timer_t, node);
    switch (timer->kind) {
        case RP_TIMER_SESSION:
            rp_session_due (self, RP_CONTAINER (timer, rp_session_t, timer));
            break;
        case RP_TIMER_SERVICE:
            rp_service_due (self, RP_CONTAINER (timer, rp_service_t, timer));
            break;
        case RP_TIMER_CONVERSATION:
            rp_conversation_end (self, RP_CONTAINER (timer, rp_dispatch_conversation_t, timer),
              RP_CONVERSATION_LOST, "the conversation was idle for too long");
            break;
    }
}

/*  When the first timer is due.  */
static int64_t s_first_due (const rp_dispatch_t *self)
{
    uint64_t timer = (uint64_t) RP_NEVER, request = (uint64_t) RP_NEVER;
    (void) rp_heap_first (&self->timers, &timer);
    (void) rp_heap_first (&self->due, &request);
    return (int64_t) (timer < request ? timer : request);
}

/*  Handles the timer that is due first; at equal times a service before its requests, since it ends
    them in order. False if none is due.  */
static bool s_ring_first (rp_dispatch_t *self)
{
    uint64_t key;
    int64_t first = s_first_due (self);
    if (first > self->now || first == RP_NEVER)
        return false;
    rp_heap_node_t *node = rp_heap_first (&self->timers, &key);
    if (node && (int64_t) key == first)
        s_ring (self, node);
    else
        rp_request_due (self, RP_CONTAINER (rp_heap_first (&self->due, NULL), rp_request_t, due));
    return true;
}

/*  When a broker that drains stops.  */
static int64_t s_stops_at (const rp_dispatch_t *self)
{
    int64_t limit = self->drained + (int64_t) self->limits.drain_limit * 1000;
    if (self->stats.running > 0)
        return limit;
    int64_t quiet = rp_earlier (self->asked + S_QUIET_US, self->drained + S_QUIET_MOST_US);
    return rp_earlier (quiet, limit);
}

static void s_refresh (rp_dispatch_t *self)
{
    self->refreshed = self->now;
    rp_figures_refresh (&self->figures, self->limits.slow * 1000);
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_service_t *service = rp_pool_at (&self->services, slot);
        if (service->pooled.generation & 1)
            rp_service_refresh (self, service);
    }
}

int64_t rp_dispatch_tick (rp_dispatch_t *self, int64_t now, rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
    if (now - self->refreshed >= RP_REFRESH_US)
        s_refresh (self);
    if (self->expected != RP_NEVER && now > self->expected + S_STALL_US)
        self->grace_until = now + S_STALL_GRACE_US;

    do { // the end of a session may let a timer act, and the other way round
        rp_session_end_closing (self);
        rp_service_settle (self);
        while (s_ring_first (self))
            rp_service_settle (self);
    } while (!rp_list_is_empty (&self->ending));

    int64_t next = s_first_due (self);
    if (self->draining && !self->stopped) {
        if (now >= s_stops_at (self))
            s_stop (self);
        else
            next = rp_earlier (next, s_stops_at (self));
    }
    self->expected = next;
    self->actions = NULL;
    return next;
}

void rp_dispatch_set_limits (rp_dispatch_t *self, const rp_limits_t *limits)
{
    rp_limits_take (&self->limits, limits);
    s_each_service (self, rp_service_take_terms);
}

/*  ---- What people see ----------------------------------------------------------------------- */

void rp_dispatch_set_backlog (rp_dispatch_t *self, uint64_t bytes)
{
    self->stats.backlog_bytes = bytes;
}

void rp_dispatch_count_unread (rp_dispatch_t *self)
{
    self->stats.clients_unread++;
}

const rp_stats_t *rp_dispatch_stats (const rp_dispatch_t *self)
{
    return &self->stats;
}

const rp_limits_t *rp_dispatch_limits (const rp_dispatch_t *self)
{
    return &self->limits;
}

bool rp_dispatch_is_draining (const rp_dispatch_t *self)
{
    return self->draining;
}

void rp_dispatch_count_cancel (rp_dispatch_t *self, bool known)
{
    self->stats.cancels += known;
    self->stats.unknown_cancels += !known;
}

void rp_dispatch_survey_over (rp_dispatch_t *self, rp_session_id_t session, uint64_t id)
{
    rp_session_t *client = rp_session_find (self, session);
    if (client)
        rp_ask_end (self, client, id);
}

const char *rp_dispatch_instance (const rp_dispatch_t *self)
{
    return self->instance;
}

rp_dispatch_counts_t rp_dispatch_counts (const rp_dispatch_t *self)
{
    return (rp_dispatch_counts_t){.clients = self->clients,
      .workers = self->workers,
      .services = self->services.count,
      .conversations = self->conversations.count,
      .streams = self->streams.count};
}

/*  Age of the oldest waiting request; the first of each client queue is looked at.  */
static int64_t s_oldest_waiting (const rp_service_t *service, int64_t now)
{
    int64_t oldest = now;
    for (const rp_client_queue_t *client_queue = rp_queue_first (&service->queue); client_queue;
         client_queue = rp_queue_after (&service->queue, client_queue)) {
        const rp_request_t *request =
          RP_CONTAINER (rp_list_first (&client_queue->requests), rp_request_t, node);
        if (request->accepted < oldest)
            oldest = request->accepted;
    }
    return now - oldest;
}

static int64_t s_oldest_running (const rp_session_t *worker, int64_t now)
{
    rp_list_node_t *node = rp_list_first (&worker->running);
    return node ? now - RP_CONTAINER (node, rp_request_t, node)->dispatched : 0;
}

static rp_service_info_t s_service_info (
  const rp_dispatch_t *self, const rp_service_t *service, int64_t now)
{
    rp_service_info_t info = {.name = service->name,
      .workers = service->worker_count,
      .waiting = service->waiting,
      .waiting_bytes = service->waiting_bytes,
      .running = service->running,
      .conversations = service->conversations,
      .requests = service->requests,
      .ended = service->ended,
      .failed = service->failed,
      .oldest_us = s_oldest_waiting (service, now),
      .figures = service->figures == &self->figures.other ? NULL : service->figures,
      .arrivals = rp_service_arrivals (service, now),
      .failures = rp_service_failures (service, now),
      .age_us = now - service->made,
      .terms = service->terms ? *service->terms : (rp_terms_t){0}};
    for (rp_list_node_t *node = rp_list_first (&service->workers); node;
         node = rp_list_next (&service->workers, node)) {
        const rp_session_t *worker = RP_CONTAINER (node, rp_session_t, service_node);
        if (worker->draining)
            info.draining++;
        else if (worker->held)
            info.busy++;
        else if (worker->window)
            info.idle++;
        else
            info.closed++;
        info.window += worker->window;
        info.held += worker->held;
    }
    return info;
}

size_t rp_dispatch_each_taker (
  const rp_dispatch_t *self, const char *name, size_t size, rp_taker_fn *function, void *arg)
{
    const rp_service_t *service = rp_service_find (self, name, size);
    size_t count = 0;
    for (rp_list_node_t *node = service ? rp_list_first (&service->workers) : NULL; node;
         node = rp_list_next (&service->workers, node)) {
        const rp_session_t *worker = RP_CONTAINER (node, rp_session_t, service_node);
        if (!rp_copy_may_take (worker))
            continue;
        count++;
        if (function)
            function (&(rp_taker_t){.session = rp_session_id (worker), .name = worker->name}, arg);
    }
    return count;
}

bool rp_dispatch_find_service (
  const rp_dispatch_t *self, int64_t now, const char *name, size_t size, rp_service_info_t *info)
{
    const rp_service_t *service = rp_service_find (self, name, size);
    if (service)
        *info = s_service_info (self, service, now);
    return service != NULL;
}

/*  Moves *place behind `most` more of all places. Returns where that is.  */
static uint32_t s_move (uint32_t *place, uint32_t most, uint32_t all)
{
    uint32_t end = *place < all && most < all - *place ? *place + most : all;
    *place = end;
    return end;
}

bool rp_dispatch_some_services (const rp_dispatch_t *self,
  int64_t now,
  uint32_t *place,
  uint32_t most,
  rp_service_info_fn *function,
  void *arg)
{
    uint32_t slot = *place;
    for (uint32_t end = s_move (place, most, rp_pool_slots (&self->services)); slot < end; slot++) {
        const rp_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1))
            continue;
        rp_service_info_t info = s_service_info (self, service, now);
        function (&info, arg);
    }
    return *place < rp_pool_slots (&self->services);
}

void rp_dispatch_each_service (
  const rp_dispatch_t *self, int64_t now, rp_service_info_fn *function, void *arg)
{
    (void) rp_dispatch_some_services (self, now, &(uint32_t){0}, UINT32_MAX, function, arg);
}

static rp_worker_info_t s_worker_info (const rp_session_t *session, int64_t now)
{
    rp_worker_info_t info = {.session = rp_session_id (session),
      .name = session->name,
      .service = session->service->name,
      .draining = session->draining,
      .window = session->window,
      .running = session->held - session->abandoned,
      .abandoned = session->abandoned,
      .replies = session->replies,
      .age_us = now - session->joined,
      .silent_us = now - session->heard,
      .oldest_us = s_oldest_running (session, now),
      .principal = session->principal->name};
    for (rp_list_node_t *node = rp_list_first (&session->conversations); node;
         node = rp_list_next (&session->conversations, node))
        info.conversations++;
    return info;
}

bool rp_dispatch_some_workers (const rp_dispatch_t *self,
  int64_t now,
  uint32_t *place,
  uint32_t most,
  rp_worker_info_fn *function,
  void *arg)
{
    uint32_t slot = *place;
    for (uint32_t end = s_move (place, most, rp_pool_slots (&self->sessions)); slot < end; slot++) {
        const rp_session_t *session = rp_pool_at (&self->sessions, slot);
        if (!(session->pooled.generation & 1) || session->role != RP_ROLE_WORKER)
            continue;
        rp_worker_info_t info = s_worker_info (session, now);
        function (&info, arg);
    }
    return *place < rp_pool_slots (&self->sessions);
}

void rp_dispatch_each_worker (
  const rp_dispatch_t *self, int64_t now, rp_worker_info_fn *function, void *arg)
{
    (void) rp_dispatch_some_workers (self, now, &(uint32_t){0}, UINT32_MAX, function, arg);
}

bool rp_dispatch_some_figures (
  const rp_dispatch_t *self, uint32_t *place, uint32_t most, rp_figures_fn *function, void *arg)
{
    uint32_t index = *place;
    for (uint32_t end = s_move (place, most, self->figures.count + 1); index < end; index++)
        function (
          index < self->figures.count ? self->figures.list[index] : &self->figures.other, arg);
    return *place <= self->figures.count;
}

void rp_dispatch_each_figures (const rp_dispatch_t *self, rp_figures_fn *function, void *arg)
{
    (void) rp_dispatch_some_figures (self, &(uint32_t){0}, UINT32_MAX, function, arg);
}

bool rp_dispatch_some_principals (const rp_dispatch_t *self,
  uint32_t *place,
  uint32_t most,
  rp_principal_info_fn *function,
  void *arg)
{
    uint32_t slot = *place;
    for (uint32_t end = s_move (place, most, rp_pool_slots (&self->principals)); slot < end;
         slot++) {
        const rp_principal_t *principal = rp_pool_at (&self->principals, slot);
        if (!(principal->pooled.generation & 1))
            continue;
        rp_principal_info_t info = {.name = principal->name,
          .sessions = principal->sessions,
          .workers = principal->workers,
          .open = principal->open,
          .open_bytes = principal->open_bytes,
          .denied = principal->denied,
          .over_quota = principal->over_quota,
          .weight = principal->quota.weight};
        function (&info, arg);
    }
    return *place < rp_pool_slots (&self->principals);
}

void rp_dispatch_each_principal (
  const rp_dispatch_t *self, rp_principal_info_fn *function, void *arg)
{
    (void) rp_dispatch_some_principals (self, &(uint32_t){0}, UINT32_MAX, function, arg);
}

bool rp_dispatch_allows (
  const rp_dispatch_t *self, rp_session_id_t session, rp_rule_t rule, const char *name, size_t size)
{
    const rp_session_t *found = rp_session_find (self, session);
    return found && rp_acl_allows (self, found->principal, rule, name, size);
}

bool rp_dispatch_allows_principal (
  const rp_dispatch_t *self, const char *principal, rp_rule_t rule, const char *name, size_t size)
{
    return !self->rules || rp_rules_allow (self->rules, principal, rule, name, size);
}

unsigned rp_dispatch_attempts (const rp_dispatch_t *self, rp_session_id_t session, uint64_t id)
{
    const rp_session_t *client = rp_session_find (self, session);
    const rp_request_t *request = client ? rp_request_find (self, client, id) : NULL;
    return request ? request->attempt : 0;
}

const rp_quota_t *rp_dispatch_quota (const rp_dispatch_t *self, rp_session_id_t session)
{
    const rp_session_t *found = rp_session_find (self, session);
    return found ? &found->principal->quota : NULL;
}
