/*  Hedges: when a request may be with two workers, and how many may.

    SPDX-License-Identifier: MPL-2.0
*/

#include "tests/support/audit.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/hedge.h"

#define S_MOST ((uint64_t) RP_HEDGES_FREE * 100)

static audit_earned_t *s_find (audit_t *self, const char *service)
{
    for (rp_list_node_t *node = rp_list_first (&self->earned); node;
         node = rp_list_next (&self->earned, node)) {
        audit_earned_t *earned = RP_CONTAINER (node, audit_earned_t, node);
        if (strcmp (earned->service, service) == 0)
            return earned;
    }
    audit_earned_t *earned = calloc (1, sizeof *earned);
    if (!earned)
        abort ();
    memcpy (earned->service, service, strlen (service));
    earned->earned = S_MOST;
    rp_list_append (&self->earned, &earned->node);
    return earned;
}

/*  Refused requests earn nothing in the core, so it may do no more than this.  */
void audit_hedge_earn (audit_t *self, const audit_request_t *request)
{
    audit_earned_t *earned = s_find (self, request->service);
    earned->earned += self->hedge_share;
    if (earned->earned > S_MOST)
        earned->earned = S_MOST;
}

/*  A service without workers may have been forgotten, with what its requests had earned.  */
void audit_hedge_join (audit_t *self, const audit_peer_t *worker)
{
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *other = RP_CONTAINER (node, audit_peer_t, node);
        if (other != worker && other->worker && strcmp (other->service, worker->service) == 0)
            return;
    }
    s_find (self, worker->service)->earned = S_MOST;
}

void audit_hedge_start (audit_t *self, const audit_request_t *request, const audit_peer_t *worker)
{
    const audit_delivery_t *first = request->delivery;
    AUDIT_REQUIRE (
      self, request->hedge && !request->other, "one request with two workers at a time");
    AUDIT_REQUIRE (self, first->worker != worker, "a hedge at the same worker");
    AUDIT_REQUIRE (self, !first->begun, "a hedge though a part of the reply has come");
    AUDIT_REQUIRE (
      self, self->now >= first->given + request->hedge_after, "a hedge before its time");
    audit_earned_t *earned = s_find (self, request->service);
    AUDIT_REQUIRE (self, self->hedge_share > 0 && earned->earned >= 100,
      "more hedges than the share of the service allows");
    earned->earned -= 100;
}

void audit_hedge_clear (audit_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->earned))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, audit_earned_t, node));
    }
}
