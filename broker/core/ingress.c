/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/ingress.h"

#include <string.h>

#include "broker/core/acl.h"
#include "broker/core/ask.h"
#include "broker/core/conversation.h"
#include "broker/core/copy.h"
#include "broker/core/hedge.h"
#include "broker/core/overload.h"
#include "broker/core/record.h"
#include "broker/core/request.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "broker/core/stream.h"
#include "common/wire/name.h"

/*  ---- REQUEST ------------------------------------------------------------------------------- */

/*  A name that the broker itself answers to, and the rule that it needs.  */
typedef struct {
    const char *name;
    bool free; /* everybody may ask */
    rp_rule_t rule;
} s_own_name_t;

static const s_own_name_t *s_find_name (
  const s_own_name_t *names, size_t count, const rp_head_t *head)
{
    for (size_t index = 0; index < count; index++)
        if (head->name_size == strlen (names[index].name)
            && memcmp (head->name, names[index].name, head->name_size) == 0)
            return &names[index];
    return NULL;
}

/*  The same of the names about jobs, of which everybody may see its own.  */
static const s_own_name_t *s_jobs_name (const rp_head_t *head)
{
    static const s_own_name_t names[] = {
      {"riposte.result", true, 0},
      {"riposte.job", true, 0},
      {"riposte.cancel", true, 0},
      {"riposte.remove", true, 0},
      {"riposte.jobs", false, RP_RULE_OBSERVE},
      {"riposte.brokers", false, RP_RULE_OBSERVE},
      {"riposte.dead.list", false, RP_RULE_OBSERVE},
      {"riposte.dead.retry", false, RP_RULE_ADMIN},
      {"riposte.dead.purge", false, RP_RULE_ADMIN},
    };
    return s_find_name (names, sizeof names / sizeof *names, head);
}

/*  Returns what is known of one of the broker's own names; NULL: it answers to no such name.  */
static const s_own_name_t *s_own_name (const rp_head_t *head)
{
    static const s_own_name_t names[] = {
      {"riposte.ping", true, 0}, {"riposte.status", false, RP_RULE_OBSERVE},
      {"riposte.services", false, RP_RULE_OBSERVE}, {"riposte.workers", false, RP_RULE_OBSERVE},
      {"riposte.explain", false, RP_RULE_OBSERVE}, {"riposte.config", false, RP_RULE_OBSERVE},
      {"riposte.slow", false, RP_RULE_OBSERVE}, {"riposte.trace", false, RP_RULE_OBSERVE},
      {"riposte.events", false, RP_RULE_OBSERVE}, {"riposte.overview", false, RP_RULE_OBSERVE},
      {"riposte.job_services", false, RP_RULE_OBSERVE}, {"riposte.reload", false, RP_RULE_ADMIN},
      {"mmi.service", true, 0}, // the shell asks rp_dispatch_allows
    };
    static const s_own_name_t mmi = {"mmi.", false, RP_RULE_OBSERVE};
    const s_own_name_t *found = s_find_name (names, sizeof names / sizeof *names, head);
    if (!found && head->name_size >= 4 && memcmp (head->name, mmi.name, 4) == 0)
        return &mmi; // 8/MMI: the broker answers unknown names too
    return found;
}

/*  Refuses a request that no rule allows.  */
static void s_deny (
  rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event, rp_rule_t rule)
{
    rp_request_refuse (self, client, event, RP_DENIED,
      rp_acl_deny (self, client->principal, rule, event->head, rp_session_id (client)));
}

/*  Hands over a request that is to be a job, or is about jobs: the shell answers. What a job may take is
    the store's to say.  */
static void s_hand_over (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    if (!self->jobs) {
        rp_request_refuse (self, client, event, RP_INVALID,
          "this broker keeps no jobs: it was started without a store (--store FILE)");
        return;
    }
    bool durable = event->head->flags & RP_FLAG_DURABLE;
    if (durable && rp_name_is_titanic (event->head->name, event->head->name_size)) {
        rp_request_refuse (self, client, event, RP_INVALID,
          "titanic.request wants the name of a service as its first frame, and titanic.* is none");
        return;
    }
    if (durable)
        self->stats.durable_requests++;
    else
        self->stats.admin_requests++;
    client->said = self->now;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_JOB, rp_session_id (client));
    action->head = *event->head;
    action->payload = event->payload;
}

/*  Hands over a request that shares its execution with all that have its key.  */
static void s_hand_over_keyed (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    if (!self->replays) {
        rp_request_refuse (self, client, event, RP_INVALID,
          "this broker remembers no results by their keys (replay_bytes is 0)");
        return;
    }
    self->stats.keyed_requests++;
    client->said = self->now;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_REPLAY, rp_session_id (client));
    action->head = *event->head;
    action->payload = event->payload;
}

/*  Handles a request for one of the broker's own names: the shell answers it, or it is refused.  */
static void s_admin (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    const s_own_name_t *jobs = s_jobs_name (event->head);
    const s_own_name_t *own = jobs ? jobs : s_own_name (event->head);
    if (!own) {
        rp_request_refuse (
          self, client, event, RP_DENIED, "names beginning with riposte. belong to the broker");
        return;
    }
    if (!own->free && !rp_acl_allows (self, client->principal, own->rule, NULL, 0)) {
        s_deny (self, client, event, own->rule);
        return;
    }
    if (event->head->flags & RP_FLAG_MORE) {
        rp_request_refuse (
          self, client, event, RP_INVALID, "the broker itself reads no request in parts");
        return;
    }
    if (jobs && event->head->flags & RP_FLAG_DURABLE) {
        rp_request_refuse (
          self, client, event, RP_INVALID, "a question about jobs cannot be a job");
        return;
    }
    if (jobs) {
        s_hand_over (self, client, event);
        return;
    }
    self->stats.admin_requests++;
    client->said = self->now;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_ADMIN, rp_session_id (client));
    action->head = *event->head;
    action->payload = event->payload;
}

/*  Counts a request that can never be accepted, and returns the reason.  */
static const char *s_never_fits (
  rp_dispatch_t *self, size_t bytes, uint64_t limit, const char *name)
{
    self->stats.too_large++;
    return rp_actions_format (self->actions,
      "body and headers of %zu bytes are over the limit of %llu (%s)", bytes,
      (unsigned long long) limit, name);
}

static const char s_client_open[] = "too many requests of this client are open (limit client_open)";
static const char s_same_id[] = "a request with this id is open already; use a new id for each";

/*  The part of s_door for clients with requests for all workers, or of foreign protocols.  */
static __attribute__ ((noinline)) const char *s_door_special (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_event_t *event,
  rp_status_t *status)
{
    if (client->traits & RP_TRAIT_ASKS && rp_ask_is_open (self, client, event->head->id)) {
        *status = RP_INVALID;
        return s_same_id;
    }
    if (!(client->traits & RP_TRAIT_UNTIMED))
        return client->open >= self->limits.client_open ? s_client_open : NULL;
    uint64_t takes = client->open_bytes + rp_request_weight (event) + RP_REQUEST_COST;
    if (client->open > 0 && takes > self->limits.foreign_open_bytes)
        return "the open requests of this client take too many bytes (limit foreign_open_bytes)";
    return NULL;
}

/*  Checks the limits that do not depend on the service. NULL if the request passes; otherwise the
    reason, and *status. Inline, as each request comes here, and copies would make a call of it.  */
static inline __attribute__ ((always_inline)) const char *s_door (
  rp_dispatch_t *self, const rp_session_t *client, const rp_event_t *event, rp_status_t *status)
{
    size_t weight = rp_request_weight (event);
    *status = RP_TOO_LARGE;
    if (weight > self->limits.total_queue_bytes)
        return s_never_fits (self, weight, self->limits.total_queue_bytes, "total_queue_bytes");
    *status = RP_BUSY;
    if (client->traits & (RP_TRAIT_UNTIMED | RP_TRAIT_ASKS)) {
        const char *refusal = s_door_special (self, client, event, status);
        if (refusal)
            return refusal;
    }
    else if (client->open >= self->limits.client_open && !(client->traits & RP_TRAIT_TRUSTED)) {
        return s_client_open;
    }
    if (self->stats.waiting + self->stats.running >= self->limits.total_queue)
        return "too many requests are open in the broker (limit total_queue)";
    uint64_t bytes = self->stats.open_bytes + self->stats.backlog_bytes + weight;
    if (bytes > self->limits.total_queue_bytes)
        return "open requests and unread replies take too many bytes in the broker (limit "
               "total_queue_bytes)";
    *status = RP_INVALID;
    if (rp_request_find (self, client, event->head->id))
        return s_same_id;
    *status = RP_EXPIRED;
    if (event->head->deadline_ms == 0)
        return "the deadline had passed when the request came";
    return NULL;
}

/*  True if the request can go to a worker without waiting.  */
static bool s_goes_at_once (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  const rp_head_t *head)
{
    const rp_dispatch_conversation_t *conversation =
      head->conversation ? rp_conversation_find (self, client, head->conversation) : NULL;
    if (conversation && conversation->current)
        return false;
    if (conversation && conversation->worker)
        return rp_worker_has_room (conversation->worker);
    return rp_heap_first (&service->room, NULL) && rp_queue_is_open (&service->queue);
}

/*  True if the service has no room for another waiting request, of which so many may wait.  */
static inline bool s_is_full (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  const rp_event_t *event,
  uint64_t most)
{
    if (service->waiting_bytes + rp_request_weight (event) > self->limits.service_queue_bytes)
        return true;
    return service->waiting >= most && !(client->traits & RP_TRAIT_UNTIMED)
           && service->waiting - service->untimed >= most;
}

/*  True if there is room for another waiting request, or is made by the terms of the service.  */
static bool s_find_room (
  rp_dispatch_t *self, const rp_session_t *client, rp_service_t *service, const rp_event_t *event)
{
    uint64_t most = rp_service_most (self, service);
    while (s_is_full (self, client, service, event, most))
        if (!rp_overload_drop_oldest (self, service, rp_wire_priority (event->head)))
            return false;
    return true;
}

/*  True if the request may wait in the queue of the service; otherwise refuses it.  */
static bool s_may_wait (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, const rp_event_t *event)
{
    size_t weight = rp_request_weight (event);
    uint64_t most = self->limits.service_queue_bytes;
    const char *late;
    if (weight > most)
        rp_request_refuse (self, client, event, RP_TOO_LARGE,
          s_never_fits (self, weight, most, "service_queue_bytes"));
    else if ((late = rp_overload_forecast (self, client, service, event->head)))
        rp_request_refuse (self, client, event, RP_EXPIRED, late);
    else if (s_find_room (self, client, service, event))
        return true;
    else if (service->terms && service->terms->queue)
        rp_request_refuse (self, client, event, RP_BUSY,
          rp_actions_format (self->actions,
            "the queue of the service is full (setting service, %s: queue=%llu)", service->name,
            (unsigned long long) service->terms->queue));
    else
        rp_request_refuse (self, client, event, RP_BUSY,
          "the queue of the service is full (limits service_queue, service_queue_bytes)");
    return false;
}

/*  True if a rule allows the client to send this request. service: NULL if there is none.  */
static bool s_may_call (const rp_dispatch_t *self,
  rp_session_t *client,
  const rp_service_t *service,
  const rp_head_t *head)
{
    return service
             ? rp_acl_may_call (self, client, service)
             : rp_acl_allows (self, client->principal, RP_RULE_CALL, head->name, head->name_size);
}

/*  True if the rules and the quota of its principal admit the request; otherwise refuses it.
    service: NULL if there is none.  */
static bool s_admit (
  rp_dispatch_t *self, rp_session_t *client, const rp_service_t *service, const rp_event_t *event)
{
    size_t weight = rp_request_weight (event);
    if (!s_may_call (self, client, service, event->head)) {
        s_deny (self, client, event, RP_RULE_CALL);
        return false;
    }
    if (self->draining || rp_acl_is_within_quota (self, client, weight))
        return true;
    rp_status_t status;
    const char *refusal = rp_acl_refuse_request (self, client, weight, &status);
    rp_request_refuse (self, client, event, status, refusal);
    return false;
}

/*  Returns the service of a request, or makes it (service: NULL if there is none yet); refuses the
    request, and returns NULL, if it can neither start nor wait.  */
static rp_service_t *s_enter_service (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, const rp_event_t *event)
{
    const rp_head_t *head = event->head;
    if (!service && self->jobs && rp_name_is_titanic (head->name, head->name_size)) {
        rp_request_refuse (self, client, event, RP_INVALID,
          "titanic.* is for clients of Majordomo; a client of Riposte makes a job, and asks for it "
          "with riposte.result");
        return NULL;
    }
    if (!service && (head->wait_ms > 0 || self->now < self->rejoin_until)) {
        service = rp_service_get (self, head->name, head->name_size);
        if (!service) {
            rp_request_refuse (
              self, client, event, RP_BUSY, "too many services are known (limit max_services)");
            return NULL;
        }
    }
    if (!service
        || (service->worker_count == 0 && head->wait_ms == 0
            && self->now >= service->linger_until)) {
        rp_head_t reply = {.status = RP_NO_WORKER};
        rp_service_explain_absence (self, head->name, head->name_size, &reply);
        rp_request_refuse_with (self, client, event, &reply);
        return NULL;
    }
    if (s_is_full (self, client, service, event, service->most)
        && !s_goes_at_once (self, client, service, head)
        && !s_may_wait (self, client, service, event))
        return NULL;
    return service;
}

/*  Finds or begins the conversation that the request names. False if that refused the request.  */
static bool s_find_conversation (rp_dispatch_t *self,
  rp_session_t *client,
  rp_service_t *service,
  const rp_event_t *event,
  rp_dispatch_conversation_t **conversation)
{
    const rp_head_t *head = event->head;
    *conversation = NULL;
    if (head->conversation == 0)
        return true;
    *conversation = rp_conversation_find (self, client, head->conversation);
    if (*conversation && (*conversation)->service != service) {
        rp_request_refuse (
          self, client, event, RP_INVALID, "the conversation belongs to another service");
        return false;
    }
    if (*conversation)
        return true;
    if (client->conversation_count < self->limits.client_conversations)
        *conversation = rp_conversation_begin (self, client, service, head->conversation);
    if (!*conversation)
        rp_request_refuse (self, client, event, RP_BUSY,
          "too many conversations are open (limits client_conversations, max_conversations)");
    return *conversation != NULL;
}

/*  True if the request names a conversation that is gone. Checked before the service, so that the
    client learns this whatever became of the service.  */
static bool s_conversation_is_gone (
  const rp_dispatch_t *self, const rp_session_t *client, const rp_head_t *head)
{
    return head->conversation != 0 && !(head->flags & RP_FLAG_OPEN)
           && !rp_conversation_find (self, client, head->conversation);
}

/*  Hands over a request for all workers.  */
static void s_hand_over_all (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    uint64_t id = event->head->id;
    if (rp_request_find (self, client, id) || rp_ask_is_open (self, client, id)) {
        rp_request_refuse (self, client, event, RP_INVALID, s_same_id);
        return;
    }
    if (!rp_ask_begin (self, client, id)) {
        rp_request_refuse (self, client, event, RP_BUSY, "the broker is out of memory");
        return;
    }
    self->stats.survey_requests++;
    client->said = self->now;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_SURVEY, rp_session_id (client));
    action->head = *event->head;
    action->payload = event->payload;
}

/*  Returns why a copy may not wait for its worker; NULL if it may.  */
static const char *s_refuse_wait (rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  const rp_event_t *event,
  rp_status_t *status)
{
    size_t weight = rp_request_weight (event);
    uint64_t most = self->limits.service_queue_bytes;
    *status = RP_TOO_LARGE;
    if (weight > most)
        return s_never_fits (self, weight, most, "service_queue_bytes");
    *status = RP_BUSY;
    if (s_is_full (self, client, service, event, rp_service_most (self, service)))
        return "the queue of the service is full (limits service_queue, service_queue_bytes)";
    return NULL;
}

/*  Handles a request for all workers of its service: hands it over, and takes the copy that comes back for each.  */
static void s_all (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    if (!self->surveys) {
        rp_request_refuse (
          self, client, event, RP_INVALID, "this broker gives no request to all workers");
        return;
    }
    if (!(client->traits & RP_TRAIT_TRUSTED)) {
        s_hand_over_all (self, client, event);
        return;
    }
    rp_status_t status = RP_NO_WORKER;
    rp_session_t *worker = rp_session_find (self, event->worker);
    const char *refusal = "the worker left before it was given the request";
    if (worker && rp_copy_may_take (worker))
        refusal = s_door (self, client, event, &status);
    if (!refusal && !rp_copy_goes_at_once (worker))
        refusal = s_refuse_wait (self, client, worker->service, event, &status);
    if (refusal)
        rp_request_refuse (self, client, event, status, refusal);
    else
        rp_copy_submit (self, client, worker, event);
}

/*  Handles the flags that few requests have. True if that was the end of it: it was handed over, or refused.  */
static __attribute__ ((noinline)) bool s_special (
  rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    unsigned flags = event->head->flags;
    const char *refusal = flags & RP_FLAG_HEDGE ? rp_hedge_refuse (event->head) : NULL;
    if (!refusal && flags & RP_FLAG_ALL)
        refusal = rp_copy_refuse (event->head);
    if (!refusal)
        refusal = rp_stream_refuse (self, event->head);
    if (refusal)
        rp_request_refuse (self, client, event, RP_INVALID, refusal);
    else if (flags & RP_FLAG_DURABLE)
        s_hand_over (self, client, event);
    else if (flags & RP_FLAG_KEYED)
        s_hand_over_keyed (self, client, event);
    else if (flags & RP_FLAG_ALL)
        s_all (self, client, event);
    else
        return false;
    return true;
}

#define S_SPECIAL                                                                                  \
    (RP_FLAG_DURABLE | RP_FLAG_KEYED | RP_FLAG_STREAM | RP_FLAG_MORE | RP_FLAG_HEDGE | RP_FLAG_ALL)
#define S_IN_PARTS (RP_FLAG_STREAM | RP_FLAG_MORE)

/*  Handles a request for a service. A denial comes before anything that would tell whether the
    service exists.  */
static void s_route (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    const rp_head_t *head = event->head;
    rp_service_t *service = rp_service_find (self, head->name, head->name_size);
    rp_status_t status;
    const char *refusal;
    if (client->traits & RP_TRAIT_RULED && !s_admit (self, client, service, event))
        return;
    if (self->draining) {
        self->asked = self->now;
        rp_request_refuse (
          self, client, event, RP_DRAINING, "the broker is going away; try another");
    }
    else if (head->flags & S_SPECIAL && s_special (self, client, event)) {
        return;
    }
    else if ((refusal = s_door (self, client, event, &status))) {
        rp_request_refuse (self, client, event, status, refusal);
    }
    else if (s_conversation_is_gone (self, client, head)) {
        rp_request_refuse (self, client, event, RP_CONVERSATION_LOST,
          "the broker does not know this conversation (any more); begin it anew");
    }
    else {
        rp_dispatch_conversation_t *conversation;
        service = s_enter_service (self, client, service, event);
        if (!service || !s_find_conversation (self, client, service, event, &conversation))
            return;
        rp_request_t *request = rp_request_accept (self, client, service, event);
        if (!request)
            rp_request_refuse (self, client, event, RP_BUSY, "the broker is out of memory");
        else if (head->flags & S_IN_PARTS && !rp_stream_open (self, request, head))
            rp_request_finish (self, request, RP_BUSY, "the broker is out of memory");
        else if (conversation)
            rp_conversation_add (self, conversation, request);
        else
            rp_service_submit (self, service, request);
    }
}

static void s_request (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    if (event->oversized) {
        self->stats.too_large++;
        rp_request_refuse (self, client, event, RP_TOO_LARGE,
          rp_actions_format (self->actions,
            "the body of %zu bytes is over the limit of %llu (max_body)", event->size,
            (unsigned long long) self->limits.max_body));
    }
    else if (rp_name_is_reserved (event->head->name, event->head->name_size)) {
        s_admin (self, client, event);
    }
    else {
        s_route (self, client, event);
    }
}

/*  ---- REPLY --------------------------------------------------------------------------------- */

/*  Frees a request that its worker has answered, even if its client no longer waits. Its
    conversation stays with that worker, or is over if the reply says so.  */
static void s_complete (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply)
{
    rp_dispatch_conversation_t *conversation = request->conversation;
    if (conversation)
        conversation->established = true;
    if (conversation && reply->flags & RP_FLAG_LAST)
        rp_conversation_end (
          self, conversation, RP_CONVERSATION_LOST, "the worker ended the conversation");
    rp_request_free (self, request);
}

static void s_answer (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    bool plain = !event->oversized && !request->stream;
    const char *excess = plain ? NULL : rp_stream_excess (self, request, event);
    request->worker->replies++;
    request->worker->unproven = request->worker->declines;
    rp_record_request (
      self, RP_RECORD_ANSWER, request, excess ? RP_APP_ERROR : event->head->status);
    if (plain) {
        rp_octaves_add (&request->worker->service->figures->reply_bytes, event->size);
        rp_request_answer (self, request, event->head, event->payload);
        return;
    }
    if (!excess) {
        rp_stream_answer (self, request, event);
        return;
    }
    rp_actions_drop (self->actions, event->payload);
    rp_head_t reply = {.status = RP_APP_ERROR,
      .flags = event->head->flags & RP_FLAG_LAST,
      .text = excess,
      .text_size = (uint16_t) strlen (excess)};
    rp_request_answer (self, request, &reply, NULL);
}

/*  Closes the window of a worker that could not begin a request, until its next CREDIT: its place
    is free again at once, so it would get most of the requests.  */
static void s_close_window (rp_dispatch_t *self, rp_session_t *worker)
{
    self->stats.unbegun++;
    worker->unproven = true;
    if (worker->window == 0)
        return;
    worker->window = 0;
    rp_record_session (self, RP_RECORD_WINDOW, worker);
    rp_session_log (self, RP_LEVEL_WARNING, RP_TOPIC_LOST, worker,
      rp_actions_format (self->actions,
        "worker %s of \"%s\" could not begin a request, and gets none until its next CREDIT",
        worker->name, worker->service->name));
}

/*  The worker lives, but the program that ran the request is lost. With LAST, the state of the
    conversation is lost too.  */
static void s_give_up (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head)
{
    rp_dispatch_conversation_t *conversation = request->conversation;
    bool begun =
      head->lost != RP_LOST_UNBEGUN || request->begun || (request->stream && request->stream->kept);
    const char *what = begun ? "the worker gave it up" : "its worker could not begin it";
    const char *text = head->text_size ? rp_actions_format (
                         self->actions, "%s: %.*s", what, (int) head->text_size, head->text)
                                       : what;
    if (conversation && conversation->established && head->flags & RP_FLAG_LAST) {
        self->stats.conversations_lost++;
        rp_conversation_end (self, conversation, RP_CONVERSATION_LOST,
          "the worker lost the conversation; begin it anew");
    }
    if (head->lost == RP_LOST_UNBEGUN)
        s_close_window (self, request->worker);
    if (!begun)
        rp_request_unbegun (self, request, text);
    else if (!request->answered)
        rp_request_lost (self, request, text);
    else
        rp_request_let_go (self, request, true);
}

/*  Ends a request whose reply came after its deadline, but before its timer was handled.  */
static void s_miss (rp_dispatch_t *self, rp_request_t *request)
{
    static const char text[] = "the deadline passed while a worker had the request";
    rp_head_t reply = {.status = RP_DEADLINE, .text = text, .text_size = sizeof text - 1};
    rp_request_answer (self, request, &reply, NULL);
}

/*  Refuses a reply to a request that the worker does not have; mostly the reply is late. But a
    foreign worker that takes one request at a time, and has none, was never asked: its session ends
    (7/MDP, 18/MDP: DISCONNECT). An attempt limit may have taken its request; then it is late
    too.  */
static void s_refuse_reply (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event)
{
    self->stats.late_replies++;
    rp_record_late (self, worker, event->head->id);
    rp_actions_drop (self->actions, event->payload);
    bool unasked = worker->held == 0 && worker->attempt_limit == 0;
    if (unasked && worker->traits & RP_TRAIT_BUSY_MUTE) {
        rp_session_close_invalid (self, worker, "a REPLY from a worker that holds no request");
        return;
    }
    rp_session_log (self, RP_LEVEL_INFO, RP_TOPIC_BAD, worker,
      rp_actions_format (self->actions,
        "worker %s of \"%s\" replied to a request that it does not have", worker->name,
        worker->service->name));
}

/*  Takes a part of a reply; refuses what only the broker may say.  */
static void s_reply_special (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    if (event->head->flags & RP_FLAG_MORE) {
        rp_stream_take (self, request, event);
        return;
    }
    rp_actions_drop (self->actions, event->payload);
    rp_session_close_invalid (
      self, request->worker, "a REPLY with the flag REPLAYED, which only the broker sets");
}

/*  Takes a reply for which its client no longer waits.  */
static __attribute__ ((noinline)) void s_reply_late (
  rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    self->stats.late_replies++;
    rp_record_late (self, request->worker, event->head->id);
    rp_actions_drop (self->actions, event->payload);
    if (event->head->status == RP_WORKER_LOST)
        s_give_up (self, request, event->head);
    else
        s_complete (self, request, event->head);
}

static void s_refuse_status (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    rp_actions_drop (self->actions, event->payload);
    rp_session_close_invalid (
      self, request->worker, "a REPLY with a status that only the broker gives");
}

/*  Takes a reply for which its client waits.  */
static inline void s_reply_awaited (
  rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    const rp_head_t *head = event->head;
    if (head->flags & (RP_FLAG_MORE | RP_FLAG_REPLAYED)) {
        s_reply_special (self, request, event);
    }
    else if (self->now >= rp_request_deadline (request)) {
        s_miss (self, request);
        s_reply_late (self, request, event);
    }
    else if (head->status == RP_WORKER_LOST) {
        rp_actions_drop (self->actions, event->payload);
        s_give_up (self, request, head);
    }
    else if (head->status == RP_OK || head->status == RP_APP_ERROR) {
        s_answer (self, request, event);
        s_complete (self, request, head);
    }
    else {
        s_refuse_status (self, request, event);
    }
}

static void s_reply (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event);

/*  Takes a reply of a delivery that has no client: its client waits at the other one of a hedge, or not any
    more.  */
static __attribute__ ((noinline)) void s_reply_apart (
  rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    const rp_head_t *head = event->head;
    bool answer =
      head->status == RP_OK || (head->status == RP_APP_ERROR && !(head->flags & RP_FLAG_MORE));
    if (request->hedged && answer && !(head->flags & RP_FLAG_REPLAYED)) {
        rp_hedge_win (self, request);
        s_reply (self, request->worker, event);
    }
    else if (head->flags & (RP_FLAG_MORE | RP_FLAG_REPLAYED)) {
        s_reply_special (self, request, event);
    }
    else if (!request->hedged) {
        s_reply_late (self, request, event);
    }
    else if (head->status == RP_WORKER_LOST) {
        rp_actions_drop (self->actions, event->payload);
        s_give_up (self, request, head);
    }
    else {
        s_refuse_status (self, request, event);
    }
}

static void s_reply (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event)
{
    rp_request_t *request = rp_pool_find (&self->requests, event->head->id);
    if (!request || request->worker != worker)
        s_refuse_reply (self, worker, event);
    else if (request->answered)
        s_reply_apart (self, request, event);
    else
        s_reply_awaited (self, request, event);
}

/*  ---- The rest ------------------------------------------------------------------------------ */

static void s_cancel (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    rp_request_t *request = rp_request_find (self, client, event->head->id);
    if (request) {
        self->stats.cancels++;
        rp_request_cancel (self, request);
    }
    else if (self->surveys || self->replays || self->jobs) { // it may be there
        rp_action_kind_t kind = self->surveys   ? RP_ACTION_SURVEY
                                : self->replays ? RP_ACTION_REPLAY
                                                : RP_ACTION_JOB;
        rp_actions_add (self->actions, kind, rp_session_id (client))->head = *event->head;
    }
    else {
        self->stats.unknown_cancels++;
    }
}

static void s_end (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    rp_dispatch_conversation_t *conversation =
      rp_conversation_find (self, client, event->head->conversation);
    if (!conversation)
        self->stats.unknown_cancels++;
    else
        rp_conversation_end (
          self, conversation, RP_CONVERSATION_LOST, "its client ended the conversation");
}

static void s_credit (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event)
{
    if (event->head->window > RP_WINDOW_MAX) {
        rp_session_close_invalid (self, worker, "a window over 4096");
        return;
    }
    worker->window = event->head->window;
    worker->work_us = event->head->takes_us;
    rp_record_session (self, RP_RECORD_WINDOW, worker);
    rp_request_refill (self, worker);
    rp_service_touch (self, worker->service);
}

/*  A heartbeat has an effect only if it announces a longer interval; `heard` is set for every
    message.  */
static void s_heartbeat (rp_dispatch_t *self, rp_session_t *session, const rp_event_t *event)
{
    if (event->head->interval_ms > 0)
        rp_session_slow_down (self, session, event->head->interval_ms);
}

static void s_drain (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event)
{
    (void) event;
    if (worker->draining)
        return;
    worker->draining = true;
    rp_record_session (self, RP_RECORD_DRAIN, worker);
    rp_session_log (self, RP_LEVEL_INFO, RP_TOPIC_WORKER, worker,
      rp_actions_format (
        self->actions, "worker %s of \"%s\" drains", worker->name, worker->service->name));
    rp_copy_end_waiting (self, worker, "the worker drains, and was not given the request before");
    rp_service_room_changed (self, worker);
    rp_session_check_drained (self, worker);
}

static void s_bye (rp_dispatch_t *self, rp_session_t *session, const rp_event_t *event)
{
    (void) event;
    if (!session->ending)
        rp_session_log_left (self, session, "it said BYE");
    rp_session_end (self, session, RP_ACTION_UNBIND);
}

typedef void (s_handler_fn) (rp_dispatch_t *, rp_session_t *, const rp_event_t *);

/*  Handlers by command and role; no handler: breaks the protocol. HELLO without a session goes to
    s_pending.  */
static s_handler_fn *const s_handlers[RP_COMMAND_COUNT][RP_ROLE_COUNT] = {
  [RP_COMMAND_REQUEST] = {[RP_ROLE_CLIENT] = s_request},
  [RP_COMMAND_REPLY] = {[RP_ROLE_WORKER] = s_reply},
  [RP_COMMAND_CANCEL] = {[RP_ROLE_CLIENT] = s_cancel},
  [RP_COMMAND_CREDIT] = {[RP_ROLE_WORKER] = s_credit},
  [RP_COMMAND_HEARTBEAT] = {[RP_ROLE_CLIENT] = s_heartbeat, [RP_ROLE_WORKER] = s_heartbeat},
  [RP_COMMAND_DRAIN] = {[RP_ROLE_CLIENT] = s_heartbeat, [RP_ROLE_WORKER] = s_drain},
  [RP_COMMAND_BYE] = {[RP_ROLE_CLIENT] = s_bye, [RP_ROLE_WORKER] = s_bye},
  [RP_COMMAND_END] = {[RP_ROLE_CLIENT] = s_end},
  [RP_COMMAND_PART] = {[RP_ROLE_CLIENT] = rp_stream_part},
  [RP_COMMAND_GRANT] =
    {[RP_ROLE_CLIENT] = rp_stream_grant, [RP_ROLE_WORKER] = rp_stream_grant_body},
};

static void s_close_pending (rp_dispatch_t *self, const char *text)
{
    rp_actions_add (self->actions, RP_ACTION_SEND, (rp_session_id_t){0})->head =
      (rp_head_t){.command = RP_COMMAND_BYE,
        .status = RP_INVALID,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
}

static void s_pending (rp_dispatch_t *self, const rp_event_t *event)
{
    rp_actions_drop (self->actions, event->payload);
    if (event->head->command == RP_COMMAND_HELLO && event->size == 0) {
        rp_session_hello (self, event);
        return;
    }
    self->stats.unknown_peers++;
    if (event->head->command == RP_COMMAND_BYE)
        return;
    rp_actions_log (self->actions, RP_LEVEL_INFO, RP_TOPIC_BAD, (rp_session_id_t){0},
      rp_actions_format (
        self->actions, "%s from a peer without a session", rp_command_name (event->head->command)));
    s_close_pending (self, "say HELLO first");
}

/*  The commands with a body, a bit each.  */
#define S_WITH_BODY (1u << RP_COMMAND_REQUEST | 1u << RP_COMMAND_REPLY | 1u << RP_COMMAND_PART)

void rp_ingress_message (rp_dispatch_t *self, const rp_event_t *event)
{
    rp_session_t *session = rp_session_find (self, event->session);
    if (!session) {
        s_pending (self, event);
        return;
    }
    unsigned command = event->head->command;
    if (command == RP_COMMAND_HEARTBEAT && session->traits & RP_TRAIT_LEARN)
        rp_session_beat (self, session);
    session->heard = self->now;
    if (session->slow && (command != RP_COMMAND_HEARTBEAT || event->head->interval_ms == 0))
        rp_session_wake (self, session);
    s_handler_fn *handler = command < RP_COMMAND_COUNT ? s_handlers[command][session->role] : NULL;
    bool has_body = command < RP_COMMAND_COUNT && S_WITH_BODY >> command & 1;
    if (!has_body || !handler)
        rp_actions_drop (self->actions, event->payload);
    if (handler && (has_body || event->size == 0))
        handler (self, session, event);
    else
        rp_session_close_invalid (self, session,
          !handler ? rp_actions_format (
            self->actions, "%s is not for this role to send", rp_command_name ((int) command))
                   : "a body after a command that takes none");
}

void rp_ingress_bad (rp_dispatch_t *self, const rp_event_t *event)
{
    rp_session_t *session = rp_session_find (self, event->session);
    rp_actions_drop (self->actions, event->payload);
    const char *what = event->why               ? event->why
                       : event->too_many_frames ? "more frames than the 64 allowed"
                                                : rp_wire_error_text (event->error);
    if (event->too_many_frames)
        self->stats.too_many_frames++;
    else
        self->stats.bad[event->error]++;
    if (session) {
        session->heard = self->now;
        rp_session_close_invalid (self, session, what);
        return;
    }
    self->stats.unknown_peers++;
    rp_actions_log (self->actions, RP_LEVEL_WARNING, RP_TOPIC_BAD, (rp_session_id_t){0},
      rp_actions_format (
        self->actions, "a message from a peer without a session was dropped: %s", what));
    if (event->too_many_frames || event->error == RP_WIRE_ERROR_NOT_NATIVE)
        return;
    s_close_pending (
      self, event->error == RP_WIRE_ERROR_VERSION ? "this broker speaks version 1" : what);
}
