/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/core/conversation.h"
#include "broker/core/ingress.h"
#include "broker/core/request.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "broker/core/state.h"
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

static void s_write_welcome (rp_dispatch_t *self, const char *version, uint64_t instance)
{
    char number[24];
    snprintf (self->instance, sizeof self->instance, "%016llx", (unsigned long long) instance);
    snprintf (number, sizeof number, "%llu", (unsigned long long) self->limits.max_body);
    size_t capacity = sizeof self->welcome;
    (void) rp_headers_append (self->welcome, &self->welcome_size, capacity, "max-body", number);
    (void) rp_headers_append (self->welcome, &self->welcome_size, capacity, "version", version);
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
    uint32_t seed = (uint32_t) options->seed;
    rp_pool_init (&self->sessions, sizeof (rp_session_t),
      (uint32_t) (limits->max_clients + limits->max_workers), seed);
    rp_pool_init (&self->services, sizeof (rp_service_t), (uint32_t) limits->max_services, seed);
    rp_pool_init (&self->requests, sizeof (rp_request_t),
      // Abandoned requests are not open, but have a place here too.
      (uint32_t) (limits->total_queue + limits->max_workers * 64), seed);
    rp_pool_init (&self->conversations, sizeof (rp_dispatch_conversation_t),
      (uint32_t) limits->max_conversations, seed);
    rp_pool_init (
      &self->client_queues, sizeof (rp_client_queue_t), (uint32_t) limits->total_queue, seed);
    rp_table_init (&self->services_by_name);
    rp_table_init (&self->conversations_by_key);
    rp_table_init (&self->client_queues_by_pair);
    rp_heap_init (&self->timers);
    rp_heap_init (&self->due);
    rp_list_init (&self->dirty);
    rp_list_init (&self->ending);
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
        rp_actions_drop (actions, request->parts);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->sessions); slot++) {
        rp_session_t *session = rp_pool_at (&self->sessions, slot);
        if (session->pooled.generation & 1)
            rp_index_clear (&session->by_id);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_service_t *service = rp_pool_at (&self->services, slot);
        if (service->pooled.generation & 1)
            rp_heap_clear (&service->room);
    }
    rp_pool_clear (&self->sessions);
    rp_pool_clear (&self->services);
    rp_pool_clear (&self->requests);
    rp_pool_clear (&self->conversations);
    rp_pool_clear (&self->client_queues);
    rp_table_clear (&self->services_by_name);
    rp_table_clear (&self->conversations_by_key);
    rp_table_clear (&self->client_queues_by_pair);
    rp_heap_clear (&self->timers);
    rp_heap_clear (&self->due);
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
          event->full ? "it does not read what is sent to it" : "its connection broke",
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

int64_t rp_dispatch_tick (rp_dispatch_t *self, int64_t now, rp_actions_t *actions)
{
    self->now = now;
    self->actions = actions;
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

/*  ---- What people see ----------------------------------------------------------------------- */

void rp_dispatch_set_backlog (rp_dispatch_t *self, uint64_t bytes)
{
    self->stats.backlog_bytes = bytes;
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

const char *rp_dispatch_instance (const rp_dispatch_t *self)
{
    return self->instance;
}

rp_dispatch_counts_t rp_dispatch_counts (const rp_dispatch_t *self)
{
    return (rp_dispatch_counts_t){.clients = self->clients,
      .workers = self->workers,
      .services = self->services.count,
      .conversations = self->conversations.count};
}

/*  Age of the oldest waiting request; the first of each client queue is looked at.  */
static int64_t s_oldest_waiting (const rp_service_t *service, int64_t now)
{
    int64_t oldest = now;
    for (rp_list_node_t *node = rp_list_first (&service->queue); node;
         node = rp_list_next (&service->queue, node)) {
        const rp_client_queue_t *client_queue = RP_CONTAINER (node, rp_client_queue_t, node);
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

static rp_service_info_t s_service_info (const rp_service_t *service, int64_t now)
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
      .oldest_us = s_oldest_waiting (service, now)};
    for (rp_list_node_t *node = rp_list_first (&service->workers); node;
         node = rp_list_next (&service->workers, node)) {
        const rp_session_t *worker = RP_CONTAINER (node, rp_session_t, service_node);
        info.draining += worker->draining;
        info.window += worker->window;
        info.held += worker->held;
    }
    return info;
}

bool rp_dispatch_find_service (
  const rp_dispatch_t *self, int64_t now, const char *name, size_t size, rp_service_info_t *info)
{
    const rp_service_t *service = rp_service_find (self, name, size);
    if (service)
        *info = s_service_info (service, now);
    return service != NULL;
}

void rp_dispatch_each_service (
  const rp_dispatch_t *self, int64_t now, rp_service_info_fn *function, void *arg)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        const rp_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1))
            continue;
        rp_service_info_t info = s_service_info (service, now);
        function (&info, arg);
    }
}

void rp_dispatch_each_worker (
  const rp_dispatch_t *self, int64_t now, rp_worker_info_fn *function, void *arg)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->sessions); slot++) {
        const rp_session_t *session = rp_pool_at (&self->sessions, slot);
        if (!(session->pooled.generation & 1) || session->role != RP_ROLE_WORKER)
            continue;
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
          .oldest_us = s_oldest_running (session, now)};
        for (rp_list_node_t *node = rp_list_first (&session->conversations); node;
             node = rp_list_next (&session->conversations, node))
            info.conversations++;
        function (&info, arg);
    }
}
