/*  Checks who may do what, against the rules in force and against the model's own counts.

    SPDX-License-Identifier: MPL-2.0
*/

#include "tests/support/audit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"
#include "common/wire/name.h"

static bool s_allows (const audit_t *self, const char *principal, rp_rule_t rule, const char *name)
{
    return !self->rules
           || rp_rules_allow (self->rules, principal, rule, name, name ? strlen (name) : 0);
}

static bool s_is_trusted (const audit_peer_t *peer)
{
    return peer->worker && peer->traits & RP_TRAIT_TRUSTED;
}

static bool s_may_serve (const audit_t *self, const audit_peer_t *worker)
{
    return s_is_trusted (worker)
           || s_allows (self, worker->principal, RP_RULE_SERVE, worker->service);
}

/*  Returns whether the client may use this name of the broker's own, which must exist.  */
static bool s_may_ask (const audit_t *self, const audit_request_t *request)
{
    static const struct {
        const char *name;
        rp_rule_t rule; /* RP_RULE_COUNT: none */
    } names[] = {
      {"riposte.ping", RP_RULE_COUNT},
      {"mmi.service", RP_RULE_COUNT},
      {"riposte.status", RP_RULE_OBSERVE},
      {"riposte.services", RP_RULE_OBSERVE},
      {"riposte.trace", RP_RULE_OBSERVE},
      {"riposte.slow", RP_RULE_OBSERVE},
      {"riposte.explain", RP_RULE_OBSERVE},
      {"riposte.workers", RP_RULE_OBSERVE},
      {"riposte.explain", RP_RULE_OBSERVE},
      {"riposte.config", RP_RULE_OBSERVE},
      {"riposte.events", RP_RULE_OBSERVE},
      {"riposte.overview", RP_RULE_OBSERVE},
      {"riposte.job_services", RP_RULE_OBSERVE},
      {"riposte.reload", RP_RULE_ADMIN},
    };
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        if (strcmp (request->service, names[index].name) == 0)
            return names[index].rule == RP_RULE_COUNT
                   || s_allows (self, request->client->principal, names[index].rule, NULL);
    return strncmp (request->service, "mmi.", 4) == 0
           && s_allows (self, request->client->principal, RP_RULE_OBSERVE, NULL);
}

/*  Returns whether the client may use the service, or the name of the broker's own.  */
static bool s_may_send (const audit_t *self, const audit_request_t *request)
{
    if (rp_name_is_reserved (request->service, strlen (request->service)))
        return s_may_ask (self, request);
    return s_allows (self, request->client->principal, RP_RULE_CALL, request->service);
}

/*  ---- Counts --------------------------------------------------------------------------------- */

static rp_principal_info_t s_count (const audit_t *self, const char *principal)
{
    rp_principal_info_t count = {.name = principal};
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        count.sessions += strcmp (peer->principal, principal) == 0;
        count.workers += peer->worker && strcmp (peer->principal, principal) == 0;
    }
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        // Requests of a session that is ending get no answer any more.
        if (strcmp (request->client->principal, principal) != 0 || request->client->over)
            continue;
        count.open++;
        count.open_bytes += request->size;
    }
    return count;
}

static audit_rate_t *s_rate (audit_t *self, const char *principal)
{
    for (rp_list_node_t *node = rp_list_first (&self->rates); node;
         node = rp_list_next (&self->rates, node)) {
        audit_rate_t *rate = RP_CONTAINER (node, audit_rate_t, node);
        if (strcmp (rate->name, principal) == 0)
            return rate;
    }
    audit_rate_t *rate = calloc (1, sizeof *rate);
    if (!rate)
        abort ();
    memcpy (rate->name, principal, strlen (principal));
    rp_list_append (&self->rates, &rate->node);
    return rate;
}

/*  In each second at most the rate, plus what was saved in the second before.  */
static void s_check_rate (audit_t *self, const char *principal, uint64_t most)
{
    audit_rate_t *rate = s_rate (self, principal);
    uint64_t back = 2 * most;
    if (most > 0 && back < AUDIT_TIMES && rate->count >= back)
        AUDIT_REQUIRE (self, self->now - rate->times[(rate->count - back) % AUDIT_TIMES] >= 1000000,
          "%s sends more than %llu requests a second", principal, (unsigned long long) most);
    rate->times[rate->count++ % AUDIT_TIMES] = self->now;
}

/*  ---- Events and actions --------------------------------------------------------------------- */

void audit_access_admit (audit_t *self, const audit_peer_t *peer)
{
    AUDIT_REQUIRE (self, !peer->worker || s_may_serve (self, peer),
      "%s has a worker of %s that it may not have", peer->principal, peer->service);
    if (!self->rules || s_is_trusted (peer))
        return;
    rp_quota_t quota = rp_rules_quota (self->rules, peer->principal);
    AUDIT_REQUIRE (self,
      quota.sessions == 0 || s_count (self, peer->principal).sessions <= quota.sessions,
      "%s has more sessions than its quota", peer->principal);
}

void audit_access_accept (audit_t *self, const audit_request_t *request)
{
    const char *principal = request->client->principal;
    AUDIT_REQUIRE (self, s_may_send (self, request), "%s may not call %s, and does", principal,
      request->service);
    if (!self->rules || rp_name_is_reserved (request->service, strlen (request->service)))
        return;
    rp_quota_t quota = rp_rules_quota (self->rules, principal);
    rp_principal_info_t count = s_count (self, principal);
    AUDIT_REQUIRE (self, quota.open == 0 || count.open <= quota.open,
      "%s has more requests open than its quota", principal);
    AUDIT_REQUIRE (self, quota.open_bytes == 0 || count.open_bytes <= quota.open_bytes,
      "%s has more bytes open than its quota", principal);
    s_check_rate (self, principal, quota.rate);
}

void audit_access_deliver (
  audit_t *self, const audit_request_t *request, const audit_peer_t *worker)
{
    AUDIT_REQUIRE (self, s_may_send (self, request),
      "a request of %s for %s is delivered without a rule", request->client->principal,
      request->service);
    AUDIT_REQUIRE (self, s_may_serve (self, worker),
      "%s gets a request for %s, which it may not serve", worker->principal, worker->service);
}

void audit_access_answer (audit_t *self, const audit_request_t *request, const rp_head_t *head)
{
    bool quota = head->text_size && memmem (head->text, head->text_size, "(quota ", 7);
    AUDIT_REQUIRE (self, head->status != RP_DENIED || !s_may_send (self, request),
      "%s may call %s, and is denied it", request->client->principal, request->service);
    AUDIT_REQUIRE (self, self->rules || !quota, "a quota without rules");
}

/*  peer: NULL if it was not admitted.  */
void audit_access_bye (audit_t *self, const audit_peer_t *peer, const rp_head_t *head)
{
    if (head->status != RP_DENIED)
        return;
    if (peer) {
        AUDIT_REQUIRE (self, peer->barred, "a session ends with DENIED that did not lose a rule");
        return;
    }
    const rp_head_t *hello = self->event->head;
    char name[RP_WIRE_NAME_MAX + 1] = "";
    memcpy (name, hello->name, hello->name_size);
    AUDIT_REQUIRE (self,
      hello->flags & RP_FLAG_WORKER
        && (rp_name_is_reserved (name, hello->name_size)
            || !s_allows (self, self->principal ? self->principal : RP_PRINCIPAL_ANONYMOUS,
              RP_RULE_SERVE, name)),
      "a HELLO is denied that is allowed");
}

void audit_access_change (audit_t *self)
{
    audit_access_clear (self);
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        if (peer->worker && !peer->over && !s_may_serve (self, peer))
            peer->barred = peer->draining = true;
    }
}

void audit_access_clear (audit_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->rates))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, audit_rate_t, node));
    }
}

/*  ---- Between events ------------------------------------------------------------------------- */

static void s_check_principal (const rp_principal_info_t *info, void *arg)
{
    audit_t *self = arg;
    rp_principal_info_t count = s_count (self, info->name);
    AUDIT_REQUIRE (self, info->sessions == count.sessions && info->workers == count.workers,
      "%s is said to have %u sessions, %u of them workers, and has %u and %u", info->name,
      info->sessions, info->workers, count.sessions, count.workers);
    bool certain = true; // none of its sessions is about to end
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        certain = certain && !(peer->over && strcmp (peer->principal, info->name) == 0);
    }
    if (!self->rules)
        count.open = count.open_bytes = 0;
    AUDIT_REQUIRE (self,
      !certain || (info->open == count.open && info->open_bytes == count.open_bytes),
      "%s is said to have %llu requests and %llu bytes open, and has %llu and %llu", info->name,
      (unsigned long long) info->open, (unsigned long long) info->open_bytes,
      (unsigned long long) count.open, (unsigned long long) count.open_bytes);
}

static void s_sum (const rp_principal_info_t *info, void *arg)
{
    *(uint64_t *) arg += info->sessions;
}

/*  Checks that each waiting request may be delivered, each session may exist, and the counts are
    right.  */
void audit_check_access (audit_t *self)
{
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        AUDIT_REQUIRE (self,
          request->delivery || request->client->over || s_may_send (self, request),
          "a request of %s for %s waits, and no rule allows it", request->client->principal,
          request->service);
    }
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        AUDIT_REQUIRE (self, !peer->worker || peer->over || !peer->barred || peer->held > 0,
          "a worker that may not serve holds nothing, and stays");
    }
    uint64_t sessions = 0;
    rp_dispatch_counts_t counts = rp_dispatch_counts (self->core);
    rp_dispatch_each_principal (self->core, s_check_principal, self);
    rp_dispatch_each_principal (self->core, s_sum, &sessions);
    AUDIT_REQUIRE (self, sessions == counts.clients + counts.workers,
      "the principals' sessions do not add up to the whole");
}
