/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/hedge.h"

#include <stdlib.h>

#include "broker/core/acl.h"
#include "broker/core/request.h"
#include "broker/core/service.h"
#include "broker/core/session.h"
#include "common/base/earlier.h"
#include "common/wire/hedge.h"
#include "common/wire/headers.h"

typedef struct s_hedge s_hedge_t;

/*  Leads from a delivery to its hedge. A table has each of its items once.  */
typedef struct {
    s_hedge_t *hedge;
    rp_request_t *delivery; /* NULL: the place is free */
} s_place_t;

/*  A hedge that a request asked for, from acceptance to final status.  */
struct s_hedge {
    rp_pooled_t pooled;
    s_place_t places[2];
    rp_request_t *request; /* the delivery that has the client; or it waits */
    rp_request_t *other;   /* NULL: there is none */
    rp_hedge_terms_t terms;
    int64_t first; /* when the first of the deliveries under way began */
    int64_t at;    /* when the hedge is to be made */
};

/*  What is known of the requests of a service that ask for hedges. After so many the older ones count half, so
    that their times follow what the service does now.  */
#define S_TIMES_MOST 10000u
/*  Fewer say nothing of a percentile.  */
#define S_TIMES_ENOUGH 100u
/*  A percentile holds for so many further requests.  */
#define S_TIMES_STEP 100u
/*  The parts of a hedge, since the limit is a percentage.  */
#define S_HEDGE UINT64_C (100)

struct rp_hedging {
    rp_spread_t times; /* from first delivery to answer, us */
    uint64_t count;    /* of times */
    uint64_t looked;   /* count when the percentile was computed; 0: never */
    uint32_t thousandths;
    uint32_t us;
    uint64_t seen;   /* requests of the service when its hedges were last counted */
    uint64_t earned; /* in parts of a hedge: each request earns hedge_share of them */
};

/*  ---- Finding -------------------------------------------------------------------------------- */

static uint64_t s_hash (const rp_dispatch_t *self, const rp_request_t *request)
{
    return rp_hash_pair (request->pooled.slot, 2, self->seed);
}

static s_hedge_t *s_find (const rp_dispatch_t *self, const rp_request_t *request)
{
    uint64_t hash = s_hash (self, request);
    rp_table_cursor_t cursor;
    const s_place_t *place = rp_table_first (&self->hedges_by_slot, hash, &cursor);
    while (place->delivery != request) // a delivery that is hedged is there
        place = rp_table_next (&self->hedges_by_slot, hash, &cursor);
    return place->hedge;
}

/*  False when out of memory.  */
static bool s_link (rp_dispatch_t *self, s_hedge_t *hedge, rp_request_t *delivery)
{
    s_place_t *place = &hedge->places[hedge->places[0].delivery != NULL];
    if (!rp_table_insert (&self->hedges_by_slot, s_hash (self, delivery), place))
        return false;
    place->hedge = hedge;
    place->delivery = delivery;
    delivery->hedged = true;
    return true;
}

static void s_unlink (rp_dispatch_t *self, s_hedge_t *hedge, rp_request_t *delivery)
{
    s_place_t *place = &hedge->places[hedge->places[0].delivery != delivery];
    rp_table_remove (&self->hedges_by_slot, s_hash (self, delivery), place);
    place->delivery = NULL;
    delivery->hedged = false;
}

/*  ---- When ----------------------------------------------------------------------------------- */

static rp_hedging_t *s_hedging (rp_service_t *service)
{
    if (!service->hedging && (service->hedging = calloc (1, sizeof *service->hedging))) {
        service->hedging->seen = service->requests;
        service->hedging->earned = RP_HEDGES_FREE * S_HEDGE;
    }
    return service->hedging;
}

static void s_count_time (rp_hedging_t *self, int64_t us)
{
    rp_spread_add (&self->times, us < UINT32_MAX ? (uint32_t) us : UINT32_MAX);
    if (++self->count < S_TIMES_MOST)
        return;
    self->count = self->looked = 0;
    for (size_t bucket = 0; bucket < RP_SPREAD_BUCKETS; bucket++)
        self->count += self->times.counts[bucket] /= 2;
}

/*  Returns the time that so many of the requests do not exceed, us; RP_NEVER while that is not known.  */
static int64_t s_percentile (rp_hedging_t *self, uint32_t thousandths)
{
    if (self->count < S_TIMES_ENOUGH)
        return RP_NEVER;
    if (self->looked == 0 || self->thousandths != thousandths
        || self->count >= self->looked + S_TIMES_STEP) {
        self->us = rp_spread_quantile (&self->times, thousandths);
        self->thousandths = thousandths;
        self->looked = self->count;
    }
    return self->us;
}

/*  True if the requests of the service have earned a hedge.  */
static bool s_has_earned (const rp_dispatch_t *self, const rp_service_t *service)
{
    rp_hedging_t *hedging = service->hedging;
    hedging->earned += (service->requests - hedging->seen) * self->limits.hedge_share;
    hedging->seen = service->requests;
    if (hedging->earned > RP_HEDGES_FREE * S_HEDGE)
        hedging->earned = RP_HEDGES_FREE * S_HEDGE;
    return hedging->earned >= S_HEDGE && self->limits.hedge_share > 0;
}

/*  ---- The client changes over ---------------------------------------------------------------- */

/*  Moves the client, and all that is the request's and not the delivery's, to another delivery.  */
static void s_move (rp_dispatch_t *self, s_hedge_t *hedge, rp_request_t *to)
{
    rp_request_t *from = hedge->request;
    rp_service_t *service = from->client_queue->service;
    to->client_id = from->client_id;
    to->flags = from->flags;
    to->accepted = from->accepted;
    to->time = from->time;
    to->wait = from->wait;
    to->waited = from->waited;
    to->attempt = from->attempt;
    to->attempts = from->attempts;
    to->bytes = from->bytes;
    to->payload = from->payload;
    to->answered = false;
    from->payload = NULL;
    rp_trace_move (self, from, to);
    rp_request_move_client (self, from, to);
    from->service = service;
    from->answered = true;
    hedge->request = to;
    hedge->other = from;
}

/*  The other delivery becomes the request, which was at one that goes on without a client.  */
static void s_change_over (rp_dispatch_t *self, s_hedge_t *hedge)
{
    rp_request_t *from = hedge->request, *to = hedge->other;
    rp_request_set_state (self, from, RP_REQUEST_ABANDONED);
    s_move (self, hedge, to);
    rp_request_set_state (self, to, RP_REQUEST_RUNNING);
    rp_request_set_due (self, from, rp_request_limit_end (from));
    rp_request_set_due (self, to, rp_request_run_end (to));
}

/*  Tells the worker of the other delivery that nobody waits for it any more.  */
static void s_cancel_other (rp_dispatch_t *self, s_hedge_t *hedge)
{
    rp_request_t *other = hedge->other;
    hedge->other = NULL;
    s_unlink (self, hedge, other);
    rp_session_tell (self, other->worker,
      &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = rp_pool_handle (&other->pooled)});
}

/*  ---- The hedge ------------------------------------------------------------------------------ */

/*  Returns the worker for a hedge; NULL if there is none now, or its terms keep it back.  */
static rp_session_t *s_choose (rp_dispatch_t *self, const rp_request_t *request)
{
    rp_service_t *service = request->client_queue->service;
    rp_session_t *client = request->client_queue->client;
    rp_session_t *worker = rp_service_other (service, request->worker);
    bool allowed = !(client->traits & RP_TRAIT_RULED) || rp_acl_may_call (self, client, service);
    if (!worker || !allowed || self->draining || !rp_queue_is_empty (&service->queue))
        return NULL;
    if (!s_has_earned (self, service)) {
        self->stats.hedges_withheld++;
        return NULL;
    }
    if (rp_terms_throttle (service->terms) && !rp_service_pass (self, service))
        return NULL;
    return worker;
}

/*  Makes a delivery for the hedge; NULL when out of memory.  */
static rp_request_t *s_new_delivery (rp_dispatch_t *self, s_hedge_t *hedge)
{
    rp_request_t *delivery = rp_pool_take (&self->requests);
    if (!delivery)
        return NULL;
    rp_heap_node_init (&delivery->due);
    if (!rp_heap_push (&self->due, &delivery->due, (uint64_t) RP_NEVER)) {
        rp_pool_give (&self->requests, delivery);
        return NULL;
    }
    if (!s_link (self, hedge, delivery)) {
        rp_heap_remove (&self->due, &delivery->due);
        rp_pool_give (&self->requests, delivery);
        return NULL;
    }
    return delivery;
}

static void s_make (rp_dispatch_t *self, s_hedge_t *hedge)
{
    rp_request_t *first = hedge->request;
    rp_session_t *worker = s_choose (self, first);
    rp_request_t *second = worker ? s_new_delivery (self, hedge) : NULL;
    if (!second)
        return;
    rp_trace_lost (self, first, RP_TRACE_HEDGED, "another one gets it, too");
    rp_request_set_state (self, first, RP_REQUEST_ABANDONED);
    s_move (self, hedge, second);
    self->stats.open_bytes += second->bytes;
    self->stats.hedges++;
    worker->service->hedging->earned -= S_HEDGE;
    rp_request_set_due (self, first, rp_request_limit_end (first));
    (void) rp_request_start (self, second, worker);
    first->attempt = second->attempt;
    rp_service_room_changed (self, worker);
}

/*  Its client must not have seen anything of the reply.  */
static bool s_may_be_hedged (const rp_request_t *request)
{
    return request->attempt < request->attempts && request->payload && !request->stream;
}

bool rp_hedge_due (rp_dispatch_t *self, rp_request_t *request)
{
    s_hedge_t *hedge = s_find (self, request);
    if (hedge->request != request || self->now < hedge->at)
        return false;
    hedge->at = RP_NEVER;
    if (self->now >= rp_request_limit_end (request))
        return false;
    bool can = s_may_be_hedged (request);
    if (can)
        s_make (self, hedge);
    if (hedge->other)
        return true;
    // If no worker has room, or the share is used up. The time waited doubles, so that tries stay few.
    if (can)
        hedge->at = self->now + rp_later (self->now - hedge->first, 1000);
    rp_request_set_due (self, request, rp_earlier (rp_request_run_end (request), hedge->at));
    return true;
}

void rp_hedge_await (rp_dispatch_t *self, rp_request_t *request)
{
    s_hedge_t *hedge = s_find (self, request);
    hedge->at = RP_NEVER;
    if (hedge->other || !s_may_be_hedged (request))
        return;
    hedge->first = self->now;
    int64_t pause = hedge->terms.ms ? (int64_t) hedge->terms.ms * 1000
                                    : s_percentile (request->client_queue->service->hedging,
                                      hedge->terms.thousandths);
    if (pause == RP_NEVER)
        return;
    hedge->at = self->now + pause;
    rp_request_set_due (self, request, rp_earlier (rp_request_run_end (request), hedge->at));
}

void rp_hedge_win (rp_dispatch_t *self, rp_request_t *request)
{
    s_hedge_t *hedge = s_find (self, request);
    rp_trace_lost (self, hedge->request, RP_TRACE_HEDGED, "the other one answered first");
    s_change_over (self, hedge);
    s_cancel_other (self, hedge);
}

void rp_hedge_settle (rp_dispatch_t *self, rp_request_t *request)
{
    s_hedge_t *hedge = s_find (self, request);
    if (hedge->other)
        s_cancel_other (self, hedge);
}

bool rp_hedge_survive (
  rp_dispatch_t *self, rp_request_t *request, rp_trace_kind_t kind, const char *text)
{
    s_hedge_t *hedge = s_find (self, request);
    if (!hedge->other)
        return false;
    rp_trace_lost (self, request, kind, text);
    s_change_over (self, hedge);
    rp_hedge_leave (self, request, kind == RP_TRACE_LOST);
    rp_request_free (self, request);
    return true;
}

void rp_hedge_leave (rp_dispatch_t *self, rp_request_t *request, bool begun)
{
    s_hedge_t *hedge = s_find (self, request);
    if (!begun)
        hedge->request->attempt = (hedge->request->attempt - 1u) & 15u;
    hedge->other = NULL;
    s_unlink (self, hedge, request);
}

void rp_hedge_end (rp_dispatch_t *self, rp_request_t *request, unsigned status)
{
    s_hedge_t *hedge = s_find (self, request);
    if (status == RP_OK || status == RP_APP_ERROR)
        s_count_time (request->client_queue->service->hedging, self->now - hedge->first);
    if (hedge->other)
        s_cancel_other (self, hedge);
    s_unlink (self, hedge, request);
    rp_pool_give (&self->hedges, hedge);
}

/*  ---- Life ----------------------------------------------------------------------------------- */

void rp_hedge_init (rp_dispatch_t *self)
{
    rp_pool_init (&self->hedges, sizeof (s_hedge_t), (uint32_t) self->limits.total_queue,
      (uint32_t) self->seed);
    rp_table_init (&self->hedges_by_slot);
}

void rp_hedge_clear (rp_dispatch_t *self)
{
    rp_pool_clear (&self->hedges);
    rp_table_clear (&self->hedges_by_slot);
}

/*  ---- Acceptance ----------------------------------------------------------------------------- */

static bool s_read_terms (rp_hedge_terms_t *terms, const rp_head_t *head)
{
    rp_header_t header;
    return rp_headers_find (head->headers, head->headers_size, RP_REQUEST_HEDGE, &header)
           && rp_hedge_read (terms, header.value, header.value_size);
}

const char *rp_hedge_refuse (const rp_head_t *head)
{
    rp_hedge_terms_t terms;
    if (head->flags & (RP_FLAG_DURABLE | RP_FLAG_KEYED))
        return "a job, or a request with an idempotency key, cannot be hedged";
    if (head->attempts < 2)
        return "a hedge may run twice, so it wants attempts of 2 or more";
    if (!s_read_terms (&terms, head))
        return "a request with the flag HEDGE has a header hedge: ms, as in 20, or a percentile, "
               "as in 95%";
    return NULL;
}

void rp_hedge_accept (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head)
{
    request->flags &= (uint16_t) ~RP_FLAG_HEDGE; // not every worker knows it
    if (request->client_queue->client->traits & RP_TRAIT_UNTIMED)
        return; // no time of theirs counts while a worker has the request
    s_hedge_t *hedge =
      s_hedging (request->client_queue->service) ? rp_pool_take (&self->hedges) : NULL;
    if (!hedge)
        return;
    hedge->request = request;
    hedge->at = RP_NEVER;
    (void) s_read_terms (&hedge->terms, head); // they were read at the door
    if (!s_link (self, hedge, request))
        rp_pool_give (&self->hedges, hedge);
}
