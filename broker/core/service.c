/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/service.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/client_queue.h"
#include "broker/core/copy.h"
#include "broker/core/overload.h"
#include "broker/core/request.h"
#include "broker/core/share.h"
#include "broker/core/stream.h"
#include "common/wire/headers.h"
#include "common/wire/name.h"

#define S_NS_PER_S INT64_C (1000000000)
/*  How many names a search for a suggestion looks at, which bounds its cost.  */
#define S_NEAREST_SERVICES 256u
/*  How many edits apart two names may be to count as near.  */
#define S_NEAREST_EDITS 2u

static uint64_t s_hash (const rp_dispatch_t *self, const char *name, size_t size)
{
    return rp_hash_bytes (name, size, self->seed);
}

rp_service_t *rp_service_find (const rp_dispatch_t *self, const char *name, size_t size)
{
    uint64_t hash = s_hash (self, name, size);
    rp_table_cursor_t cursor;
    rp_service_t *service = rp_table_first (&self->services_by_name, hash, &cursor);
    while (service && (service->name_size != size || memcmp (service->name, name, size) != 0))
        service = rp_table_next (&self->services_by_name, hash, &cursor);
    return service;
}

rp_figures_t *rp_service_figures (rp_dispatch_t *self, const char *name, size_t size)
{
    return rp_figures_find (&self->figures, s_hash (self, name, size), name, size);
}

/*  Lets the requests of a service without workers wait until a time, when rp_service_due ends
    them.  */
static void s_linger (rp_dispatch_t *self, rp_service_t *service, int64_t until)
{
    service->linger_until = until;
    rp_timer_set (self, &service->timer, until);
}

rp_service_t *rp_service_get (rp_dispatch_t *self, const char *name, size_t size)
{
    rp_service_t *service = rp_service_find (self, name, size);
    if (service)
        return service;
    service = rp_pool_take (&self->services);
    if (!service)
        return NULL;
    service->hash = s_hash (self, name, size);
    if (!rp_timer_begin (self, &service->timer, RP_TIMER_SERVICE)) {
        rp_pool_give (&self->services, service);
        return NULL;
    }
    if (!rp_table_insert (&self->services_by_name, service->hash, service)) {
        rp_timer_end (self, &service->timer);
        rp_pool_give (&self->services, service);
        return NULL;
    }
    rp_queue_init (&service->queue);
    rp_list_init (&service->workers);
    rp_heap_init (&service->room);
    rp_list_init (&service->offered);
    service->unit_us = 1;
    s_linger (self, service, self->rejoin_until);
    service->name_size = (uint8_t) size;
    memcpy (service->name, name, size);
    rp_service_take_terms (self, service);
    service->figures = rp_figures_find (&self->figures, service->hash, name, size);
    service->newer.at = service->older.at = service->made = self->now;
    rp_service_touch (self, service);
    return service;
}

void rp_service_take_terms (rp_dispatch_t *self, rp_service_t *service)
{
    const rp_terms_t *terms = rp_terms_find (&self->terms, service->name, service->name_size);
    service->terms = terms;
    // 0: whether a request may wait is asked for each.
    service->most = rp_terms_admit (terms) ? 0 : rp_service_most (self, service);
    rp_queue_set_special (
      &service->queue, self->weighed || rp_terms_throttle (terms) || rp_terms_estimate (terms));
}

uint64_t rp_service_most (const rp_dispatch_t *self, const rp_service_t *service)
{
    const rp_terms_t *terms = service->terms;
    return terms && terms->queue ? terms->queue : self->limits.service_queue;
}

void rp_service_learn (rp_client_queue_t *client_queue, uint32_t work_us, bool finished)
{
    if (!finished && work_us <= client_queue->work_us)
        return; // it would have taken longer
    rp_service_t *service = client_queue->service;
    rp_share_learn (&client_queue->work_us, work_us);
    rp_share_learn (&service->work_us, work_us);
    if (service->unit_us == 1 || service->work_us < service->unit_us / 2)
        service->unit_us = service->work_us; // the first ones may have been slow
}

static void s_remove (rp_dispatch_t *self, rp_service_t *service)
{
    rp_timer_end (self, &service->timer);
    rp_table_remove (&self->services_by_name, service->hash, service);
    rp_heap_clear (&service->room);
    free (service->hedging);
    rp_pool_give (&self->services, service);
}

void rp_service_touch (rp_dispatch_t *self, rp_service_t *service)
{
    if (service->dirty)
        return;
    service->dirty = true;
    rp_list_append (&self->dirty, &service->dirty_node);
}

void rp_service_enqueue (
  rp_dispatch_t *self, rp_service_t *service, rp_request_t *request, bool front)
{
    rp_request_set_wait (request, service->worker_count ? RP_WAIT_BUSY : RP_WAIT_NO_WORKER);
    rp_request_set_state (self, request, RP_REQUEST_QUEUED);
    front = front
            || (rp_terms_overload (service->terms, RP_OVERLOAD_LIFO)
                && rp_overload_goes_first (self, request));
    rp_client_queue_put (request, front, self->now);
    rp_request_watch (self, request);
    rp_service_touch (self, service);
}

/*  Chooses the worker whose turn it is; if that worker has just lost this request, the next one, if
    there is one.  */
static rp_session_t *s_choose (const rp_service_t *service, const rp_request_t *request)
{
    rp_heap_node_t *node = rp_heap_first (&service->room, NULL);
    if (!node)
        return NULL;
    rp_session_t *worker = RP_CONTAINER (node, rp_session_t, room_node);
    if (request->excluded == rp_session_mark (worker)) {
        node = rp_heap_second (&service->room);
        if (node)
            worker = RP_CONTAINER (node, rp_session_t, room_node);
    }
    return worker;
}

rp_session_t *rp_service_other (const rp_service_t *service, const rp_session_t *worker)
{
    rp_heap_node_t *node = rp_heap_first (&service->room, NULL);
    if (node == &worker->room_node)
        node = rp_heap_second (&service->room);
    return node ? RP_CONTAINER (node, rp_session_t, room_node) : NULL;
}

/*  How many requests the workers of a service have, those that nobody waits for any more included.  */
static uint64_t s_held (const rp_service_t *service)
{
    uint64_t held = 0;
    for (rp_list_node_t *node = rp_list_first (&service->workers); node;
         node = rp_list_next (&service->workers, node))
        held += RP_CONTAINER (node, rp_session_t, service_node)->held;
    return held;
}

bool rp_service_pass (rp_dispatch_t *self, rp_service_t *service)
{
    const rp_terms_t *terms = service->terms;
    if (terms->concurrency && s_held (service) >= terms->concurrency)
        return false;
    if (terms->rate == 0)
        return true;
    int64_t now = self->now * 1000, pause = S_NS_PER_S / (int64_t) terms->rate;
    int64_t paid = service->paid > now - S_NS_PER_S ? service->paid : now - S_NS_PER_S;
    if (paid + pause > now) {
        rp_timer_set (self, &service->timer, (paid + pause) / 1000 + 1);
        return false;
    }
    service->paid = paid + pause;
    return true;
}

void rp_service_refill (rp_dispatch_t *self, rp_service_t *service)
{
    for (rp_list_node_t *node = rp_list_first (&service->workers), *next; node; node = next) {
        next = rp_list_next (&service->workers, node);
        rp_session_t *worker = RP_CONTAINER (node, rp_session_t, service_node);
        if (worker->wanted)
            rp_request_refill (self, worker);
    }
}

void rp_service_submit (rp_dispatch_t *self, rp_service_t *service, rp_request_t *request)
{
    rp_session_t *worker = rp_queue_is_open (&service->queue) ? s_choose (service, request) : NULL;
    if (!worker) {
        rp_service_enqueue (self, service, request, false);
        return;
    }
    (void) rp_request_start (self, request, worker);
    rp_service_room_changed (self, worker);
}

/*  Gives a waiting request to a worker; there are both.  */
static inline void s_serve (rp_dispatch_t *self, rp_service_t *service)
{
    rp_client_queue_t *client_queue =
      rp_queue_next (&service->queue, self->now, self->limits.age_step);
    rp_request_t *request = rp_client_queue_next (client_queue);
    if (self->now >= rp_request_deadline (request)) {
        rp_request_due (self, request); // this was not a turn
        return;
    }
    rp_session_t *worker = s_choose (service, request);
    if (!rp_request_start (self, request, worker))
        return; // likewise
    rp_client_queue_end_turn (client_queue, self->now);
    rp_service_room_changed (self, worker);
}

/*  The same as s_serve, with weights, estimates and copies. Returns false if the terms keep the request back.  */
static inline __attribute__ ((always_inline)) bool s_serve_special (
  rp_dispatch_t *self, rp_service_t *service, bool shared)
{
    rp_queue_t *queue = &service->queue;
    uint64_t age_step = self->limits.age_step;
    rp_client_queue_t *client_queue =
      self->weighed ? rp_share_next (queue, self->now, age_step, service->unit_us)
                    : rp_queue_next (queue, self->now, age_step);
    rp_request_t *request = rp_client_queue_next (client_queue);
    if (self->now >= rp_request_deadline (request)) {
        rp_request_due (self, request); // this was not a turn
        return true;
    }
    if (rp_terms_admit (service->terms) && rp_overload_is_too_late (self, request))
        return true; // nor was this
    rp_session_t *worker = s_choose (service, request);
    if (rp_terms_throttle (service->terms) && rp_stream_fits (request, worker)
        && !rp_service_pass (self, service))
        return false;
    if (!rp_request_start (self, request, worker))
        return true; // nor this
    if (self->weighed)
        rp_share_started (queue, client_queue, self->now, service->unit_us);
    else
        rp_client_queue_end_turn (client_queue, self->now);
    if (rp_terms_estimate (service->terms))
        rp_overload_started (service, self->now);
    if (shared)
        rp_copy_queue_had_turn (self, worker);
    else
        rp_service_room_changed (self, worker);
    return true;
}

/*  The same as s_schedule, of a service that has copies waiting for workers.  */
static __attribute__ ((noinline)) void s_schedule_shared (
  rp_dispatch_t *self, rp_service_t *service)
{
    do {
        while (!rp_queue_is_empty (&service->queue) && rp_heap_first (&service->room, NULL))
            if (!s_serve_special (self, service, true))
                return;
    } while (rp_copy_take_offer (self, service));
}

/*  The same as s_schedule, of a service whose queue is special.  */
static __attribute__ ((noinline)) void s_schedule_special (
  rp_dispatch_t *self, rp_service_t *service)
{
    // The place that has become free may have been another worker's.
    if (rp_terms_throttle (service->terms))
        rp_service_refill (self, service);
    if (rp_queue_is_shared (&service->queue)) {
        s_schedule_shared (self, service);
        return;
    }
    while (!rp_queue_is_empty (&service->queue) && rp_heap_first (&service->room, NULL))
        if (!s_serve_special (self, service, false))
            return;
}

static void s_schedule (rp_dispatch_t *self, rp_service_t *service)
{
    if (rp_queue_is_special (&service->queue)) {
        s_schedule_special (self, service);
        return;
    }
    while (!rp_queue_is_empty (&service->queue) && rp_heap_first (&service->room, NULL))
        s_serve (self, service);
}

static bool s_is_needed (const rp_dispatch_t *self, const rp_service_t *service)
{
    return service->worker_count || service->waiting || service->running || service->conversations
           || self->now < service->linger_until;
}

void rp_service_settle (rp_dispatch_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->dirty))) {
        rp_service_t *service = RP_CONTAINER (node, rp_service_t, dirty_node);
        rp_list_remove (node);
        service->dirty = false;
        s_schedule (self, service);
        if (!s_is_needed (self, service))
            s_remove (self, service);
    }
}

static void s_end_impatient (rp_dispatch_t *self, rp_client_queue_t *client_queue)
{
    client_queue->open++; // keeps the client queue until the loop has ended
    // When a request ends, the next one of its conversation may join the back of the client queue.
    rp_list_node_t *node, *kept = NULL;
    while ((node = kept ? rp_list_next (&client_queue->requests, kept)
                        : rp_list_first (&client_queue->requests))) {
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        if (rp_request_is_patient (self, request)) {
            rp_request_watch (self, request);
            kept = node;
        }
        else {
            rp_request_no_worker (self, request);
        }
    }
    rp_client_queue_close (self, client_queue);
}

void rp_service_due (rp_dispatch_t *self, rp_service_t *service)
{
    rp_timer_set (self, &service->timer, RP_NEVER);
    if (service->worker_count) {
        rp_service_touch (self, service);
        return;
    }
    rp_client_queue_t *client_queue = rp_queue_first (&service->queue);
    while (client_queue) {
        rp_client_queue_t *next = rp_queue_after (&service->queue, client_queue);
        s_end_impatient (self, client_queue);
        client_queue = next;
    }
    rp_service_touch (self, service);
}

bool rp_service_join (rp_dispatch_t *self, rp_service_t *service, rp_session_t *worker)
{
    if (!rp_heap_reserve (&service->room, service->worker_count + 1))
        return false;
    service->figures =
      rp_figures_get (&self->figures, service->hash, service->name, service->name_size);
    service->counted = self->now;
    worker->service = service;
    rp_list_append (&service->workers, &worker->service_node);
    service->worker_count++;
    rp_timer_set (self, &service->timer, RP_NEVER);
    rp_heap_node_init (&worker->room_node);
    rp_service_room_changed (self, worker);
    rp_service_touch (self, service);
    return true;
}

void rp_service_leave (rp_dispatch_t *self, rp_session_t *worker)
{
    rp_service_t *service = worker->service;
    rp_heap_remove (&service->room, &worker->room_node);
    rp_list_remove (&worker->service_node);
    service->worker_count--;
    rp_copy_leave (worker);
    service->counted = self->now;
    if (service->worker_count == 0) {
        int64_t until = self->now + (int64_t) self->limits.service_linger * 1000;
        s_linger (self, service, until < self->rejoin_until ? self->rejoin_until : until);
    }
    rp_service_touch (self, service);
}

void rp_service_refresh (rp_dispatch_t *self, rp_service_t *service)
{
    // After a pause the time before it says nothing about now.
    bool pause = self->now - service->newer.at > 2 * RP_REFRESH_US;
    if (!pause)
        service->older = service->newer;
    // Not at each request: turns of one round are worth the same.
    service->unit_us = service->work_us ? service->work_us : 1;
    service->newer.at = self->now;
    service->newer.requests = service->requests;
    service->newer.failed = service->failed;
    if (pause)
        service->older = service->newer;
    if (service->waiting == 0)
        service->waits_since = 0;
    else if (service->waits_since == 0)
        service->waits_since = self->now;
}

/*  How many in 1000 seconds. A first request is no rate.  */
static uint64_t s_rate (const rp_service_t *service, int64_t now, uint64_t count)
{
    uint64_t time = (uint64_t) (now - service->older.at);
    return count * UINT64_C (1000000000) / (time < 1000000 ? 1000000 : time);
}

uint64_t rp_service_arrivals (const rp_service_t *service, int64_t now)
{
    return s_rate (service, now, service->requests - service->older.requests);
}

uint64_t rp_service_failures (const rp_service_t *service, int64_t now)
{
    return s_rate (service, now, service->failed - service->older.failed);
}

/*  The order in which workers get requests, as a key: the time that a worker's requests will take
    in the upper 16 bits, its last use in the lower 48. Giving or freeing a place is a use.

    0               known: done within one step, one more request included
    1 to 4096       not known: most room first
    S_BUSY and on   known to take longer: shortest first

    Workers with equal upper bits: the one that was idle longest comes first. But if a request takes
    far less than a step, the one used last comes first, until it has a step's work, because each
    message to another worker costs more than such a request.  */
#define S_STEP_BITS 7 /* of 128 us */
#define S_BUSY 4097u
#define S_USES 0xffffffffffffu

/*  Compresses to 15 bits, in order: exact below 2048, to a thousandth above.  */
static uint64_t s_compress (uint64_t steps)
{
    uint64_t shift = 0;
    while (steps >> shift >= 2048)
        shift++;
    return (shift << 10) + (steps >> shift);
}

static uint64_t s_order (const rp_session_t *worker, uint64_t use)
{
    uint64_t time = worker->work_us;
    if (time == 0)
        return (uint64_t) (RP_WINDOW_MAX + 1 - (worker->window - worker->held)) << 48
               | (use & S_USES);
    uint64_t steps = time * (worker->held + 1) >> S_STEP_BITS;
    bool many = time * 2 <= 1u << S_STEP_BITS;
    return (steps ? S_BUSY + s_compress (steps) : 0) << 48 | ((many ? ~use : use) & S_USES);
}

void rp_service_room_changed (rp_dispatch_t *self, rp_session_t *worker)
{
    rp_heap_t *room = &worker->service->room;
    if (!rp_worker_has_room (worker) || worker->draining) {
        rp_heap_remove (room, &worker->room_node);
        return;
    }
    uint64_t key = s_order (worker, ++self->uses);
    if (rp_heap_has (&worker->room_node))
        rp_heap_update (room, &worker->room_node, key);
    else
        (void) rp_heap_push (room, &worker->room_node, key); // cannot fail: reserved by join
}

/*  Finds the nearest name that has workers; NULL if none is near.  */
static const rp_service_t *s_nearest (const rp_dispatch_t *self, const char *name, size_t size)
{
    const rp_service_t *best = NULL;
    size_t edits = size / 3 < S_NEAREST_EDITS ? size / 3 : S_NEAREST_EDITS;
    uint32_t slots = rp_pool_slots (&self->services);
    for (uint32_t slot = 0; slot < slots && slot < S_NEAREST_SERVICES; slot++) {
        const rp_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1) || service->worker_count == 0)
            continue;
        size_t distance = rp_name_distance (service->name, service->name_size, name, size, edits);
        if (distance <= edits && (!best || distance < edits)) {
            best = service;
            edits = distance;
        }
    }
    return best;
}

void rp_service_explain_absence (
  rp_dispatch_t *self, const char *name, size_t size, rp_head_t *reply)
{
    static const char brief[] = "no worker offers the service";
    if (RP_ACTIONS_TEXT - self->actions->text_used < RP_WIRE_TEXT_MAX) {
        // A whole queue ends at once: only the first replies are worth a search.
        reply->text = brief;
        reply->text_size = sizeof brief - 1;
        return;
    }
    const rp_service_t *near = s_nearest (self, name, size);
    reply->text =
      near ? rp_actions_format (self->actions, "no worker offers \"%.*s\" (did you mean \"%s\"?)",
        (int) size, name, near->name)
           : rp_actions_format (self->actions, "no worker offers \"%.*s\"", (int) size, name);
    reply->text_size = (uint16_t) strlen (reply->text);
    if (!near)
        return;
    size_t capacity = 1 + sizeof "hint" + 2 + sizeof near->name;
    size_t used = 0;
    uint8_t *block = rp_actions_room (self->actions, capacity);
    if (block && rp_headers_append (block, &used, capacity, "hint", near->name)) {
        reply->headers = block;
        reply->headers_size = (uint16_t) used;
    }
}
