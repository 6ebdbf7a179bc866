/*  Terms of services: what may start, and what must.

    SPDX-License-Identifier: MPL-2.0
*/

#include "tests/support/audit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"

#define S_SECOND INT64_C (1000000)

static audit_pace_t *s_find (const audit_t *self, const char *service)
{
    for (rp_list_node_t *node = rp_list_first (&self->paces); node;
         node = rp_list_next (&self->paces, node)) {
        audit_pace_t *pace = RP_CONTAINER (node, audit_pace_t, node);
        if (strcmp (pace->service, service) == 0)
            return pace;
    }
    return NULL;
}

static const rp_terms_t *s_terms (const audit_t *self, const char *service)
{
    return rp_terms_find (&self->terms, service, strlen (service));
}

/*  How many requests were given out since a time. The ring holds twice the largest rate of a test.  */
static uint64_t s_starts_since (const audit_pace_t *pace, int64_t since)
{
    uint64_t starts = 0;
    unsigned known = pace && pace->count < AUDIT_STARTS ? pace->count : AUDIT_STARTS;
    for (unsigned index = 0; pace && index < known; index++)
        starts += pace->starts[index] > since;
    return starts;
}

/*  How many the workers of a service have; delivered: at least, since a tick may take some first.  */
static uint64_t s_held (const audit_t *self, const char *service, bool least)
{
    uint64_t held = 0;
    for (rp_list_node_t *node = rp_list_first (&self->deliveries); node;
         node = rp_list_next (&self->deliveries, node)) {
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        held += strcmp (delivery->worker->service, service) == 0
                && !(least && (delivery->overdue || delivery->worker->closing || !self->event));
    }
    return held;
}

void audit_terms_start (audit_t *self, const char *service)
{
    audit_pace_t *pace = s_find (self, service);
    if (!pace) {
        pace = calloc (1, sizeof *pace);
        if (!pace)
            abort ();
        memcpy (pace->service, service, strlen (service));
        rp_list_append (&self->paces, &pace->node);
    }
    pace->starts[pace->count++ % AUDIT_STARTS] = self->now;
    const rp_terms_t *terms = s_terms (self, service);
    if (terms && terms->concurrency)
        AUDIT_REQUIRE (self, s_held (self, service, true) < terms->concurrency,
          "more requests of a service run than its terms allow");
    int64_t since = self->now - S_SECOND;
    if (since < self->terms_since)
        since = self->terms_since;
    if (terms && terms->rate) // a burst of one second, and what came in that second
        AUDIT_REQUIRE (self, s_starts_since (pace, since) <= 2 * terms->rate,
          "more requests of a service start in a second than its terms allow");
}

bool audit_terms_hold (const audit_t *self, const char *service)
{
    const rp_terms_t *terms = s_terms (self, service);
    if (!terms)
        return false;
    if (terms->concurrency && s_held (self, service, false) >= terms->concurrency)
        return true;
    // Time passes for a rate with a tick only. Another rate takes over what the one before left of the
    // second.
    if (terms->rate && (self->ticked < self->now || self->now - self->terms_since <= S_SECOND))
        return true;
    // A start uses the rate for a part of the second before it; and a timer may be late by 1 us.
    return terms->rate
           && s_starts_since (s_find (self, service), self->now - S_SECOND - 2) + 1 >= terms->rate;
}

/*  Checks that the request which made room for another is the one that had waited longest, of those that may.  */
static void s_check_dropped (audit_t *self, const audit_request_t *request)
{
    const rp_terms_t *terms = s_terms (self, request->service);
    AUDIT_REQUIRE (self, rp_terms_overload (terms, RP_OVERLOAD_DROP_OLDEST) && self->arriving,
      "a request that waits is dropped, though no terms say so");
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (other->delivery || other->client->over || other->key || other->starts > 0
            || other->untimed || other->client->traits & RP_TRAIT_TRUSTED || other == self->arriving
            || other->priority > self->arriving->priority
            || strcmp (other->service, request->service) != 0)
            continue;
        AUDIT_REQUIRE (self, other->accepted >= request->accepted,
          "a request is dropped while another has waited longer");
    }
}

void audit_terms_answer (audit_t *self, const audit_request_t *request, int status)
{
    if (status == RP_BUSY && request != self->arriving)
        s_check_dropped (self, request);
    bool overdue = request == self->arriving && self->event->head->deadline_ms == 0;
    if (status == RP_EXPIRED && self->now < request->deadline && !overdue)
        AUDIT_REQUIRE (self, rp_terms_admit (s_terms (self, request->service)),
          "a request expires before its deadline, though no terms say so");
}

void audit_terms_clear (audit_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->paces))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, audit_pace_t, node));
    }
}
