/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/explain.h"

#include "broker/core/service.h"
#include "broker/core/state.h"

const char *rp_cause_name (rp_cause_kind_t kind)
{
    static const char *const names[RP_CAUSE_COUNT] = {"stopping", "no_worker", "draining", "closed",
      "busy", "terms", "overload", "pinned", "rules", "lost", "jobs_unserved", "jobs_wait",
      "jobs_dead"};
    return names[kind];
}

/*  How many more workers would keep up: those that hold what is at work at once at this rate (Little's
    law), and one at least while the queue lasts; 0 if those that there are take more than arrives.  */
static uint32_t s_more (const rp_explain_facts_t *facts, uint32_t serving)
{
    if (serving == 0 || facts->window == 0)
        return 1;
    uint64_t needed = facts->arrivals * facts->mean_us; // in 10^-9 requests at work at once
    uint64_t held = facts->window * UINT64_C (1000000000);
    if (needed <= held)
        return 0;
    uint64_t each = held / serving;
    return (uint32_t) ((needed - held + each - 1) / each);
}

/*  Adds a cause at its place by weight.  */
static size_t s_add (
  rp_cause_t *causes, size_t count, const rp_explain_facts_t *facts, rp_cause_t cause)
{
    if (cause.weight == 0)
        return count;
    cause.waiting = facts->waiting;
    cause.since_us = facts->waiting_us > facts->oldest_us
                       ? facts->waiting_us
                       : facts->oldest_us; // looked at less often
    cause.oldest_us = facts->oldest_us;
    cause.workers = facts->workers;
    size_t at = count;
    for (; at > 0 && causes[at - 1].weight < cause.weight; at--)
        causes[at] = causes[at - 1];
    causes[at] = cause;
    return count + 1;
}

/*  The cause for which requests wait that no conversation holds.  */
static rp_cause_t s_queue (const rp_explain_facts_t *facts)
{
    uint64_t queued = facts->waiting - facts->pinned;
    uint32_t serving = facts->workers - facts->draining - facts->closed;
    if (facts->workers == 0)
        return (rp_cause_t){.kind = RP_CAUSE_NO_WORKER, .weight = queued + facts->unserved};
    if (facts->workers == facts->draining)
        return (rp_cause_t){
          .kind = RP_CAUSE_DRAINING, .weight = queued, .concerned = facts->draining};
    if (serving == 0)
        return (rp_cause_t){.kind = RP_CAUSE_CLOSED,
          .weight = queued,
          .concerned = facts->closed,
          .worker = facts->closed_worker};
    if (facts->throttled && facts->full < serving)
        return (rp_cause_t){.kind = RP_CAUSE_TERMS, .weight = facts->waiting};
    return (rp_cause_t){.kind = RP_CAUSE_BUSY,
      .weight = facts->full >= serving ? queued : 0, // otherwise they go out at once
      .concerned = facts->full,
      .p50_us = facts->p50_us,
      .arrivals = facts->arrivals,
      .more = s_more (facts, serving)};
}

size_t rp_explain (const rp_explain_facts_t *facts, rp_cause_t causes[RP_CAUSE_COUNT])
{
    size_t count = 0;
    rp_cause_t queue = s_queue (facts);
    if (facts->stops) // whatever else there is follows from it
        return s_add (causes, 0, facts,
          (rp_cause_t){.kind = RP_CAUSE_STOPPING, .weight = facts->waiting ? facts->waiting : 1});
    count = s_add (causes, count, facts, queue);
    if (queue.kind != RP_CAUSE_CLOSED) // a part of the workers, and thus of the reason
        count = s_add (causes, count, facts,
          (rp_cause_t){.kind = RP_CAUSE_CLOSED,
            .weight =
              facts->closed ? (facts->waiting - facts->pinned) * facts->closed / facts->workers : 0,
            .concerned = facts->closed,
            .worker = facts->closed_worker});
    count = s_add (causes, count, facts,
      (rp_cause_t){.kind = RP_CAUSE_OVERLOAD,
        .weight = facts->shed,
        .arrivals = facts->arrivals,
        .p50_us = facts->p50_us});
    count = s_add (causes, count, facts,
      (rp_cause_t){
        .kind = RP_CAUSE_PINNED, .weight = facts->pinned, .worker = facts->pinned_worker});
    count = s_add (causes, count, facts,
      (rp_cause_t){.kind = RP_CAUSE_RULES,
        .weight = facts->denied + facts->barred,
        .concerned = facts->barred});
    return s_add (causes, count, facts, (rp_cause_t){.kind = RP_CAUSE_LOST, .weight = facts->lost});
}

/*  ---- Facts ---------------------------------------------------------------------------------- */

/*  How many requests that only this worker may have wait for it, or behind each other.  */
static uint64_t s_pinned (const rp_session_t *worker)
{
    uint64_t count = 0;
    for (rp_list_node_t *node = rp_list_first (&worker->pinned); node;
         node = rp_list_next (&worker->pinned, node))
        count++;
    for (rp_list_node_t *node = rp_list_first (&worker->copies); node;
         node = rp_list_next (&worker->copies, node))
        count++;
    for (rp_list_node_t *node = rp_list_first (&worker->conversations); node;
         node = rp_list_next (&worker->conversations, node)) {
        const rp_dispatch_conversation_t *conversation =
          RP_CONTAINER (node, rp_dispatch_conversation_t, worker_node);
        for (rp_list_node_t *held = rp_list_first (&conversation->line); held;
             held = rp_list_next (&conversation->line, held))
            count++;
    }
    return count;
}

static void s_see_worker (rp_explain_facts_t *facts, const rp_session_t *worker)
{
    uint64_t pinned = facts->waiting ? s_pinned (worker) : 0; // they are among those that wait
    facts->pinned += pinned;
    if (pinned)
        facts->pinned_worker = worker->name;
    if (worker->draining || worker->ending) {
        facts->draining++;
        facts->barred += worker->barred;
    }
    else if (worker->window == 0) {
        facts->closed++;
        facts->closed_worker = worker->name;
    }
    else {
        facts->full += worker->held >= worker->window;
        facts->window += worker->window;
        facts->held += worker->held;
    }
}

static uint64_t s_recent (const rp_figures_t *figures, rp_status_t status)
{
    return figures->final[status] - figures->older[status];
}

static void s_see_figures (rp_explain_facts_t *facts, const rp_figures_t *figures)
{
    if (facts->waiting) { // only a queue is explained by times, and these take a microsecond
        uint64_t count = rp_spread_count (&figures->work);
        facts->p50_us = rp_spread_quantile (&figures->work, 50000);
        facts->mean_us = count ? (uint32_t) (figures->work.sum / count) : 0;
    }
    facts->denied = s_recent (figures, RP_DENIED);
    facts->unserved = s_recent (figures, RP_NO_WORKER);
    facts->lost = s_recent (figures, RP_WORKER_LOST);
}

size_t rp_dispatch_explain_service (const rp_dispatch_t *self,
  int64_t now,
  const rp_service_info_t *info,
  rp_cause_t causes[RP_CAUSE_COUNT])
{
    const rp_service_t *service = RP_CONTAINER (info->name, rp_service_t, name);
    rp_explain_facts_t facts = {.stops = self->draining,
      .workers = service->worker_count,
      .waiting = service->waiting,
      .oldest_us = info->oldest_us,
      .waiting_us = service->waits_since ? now - service->waits_since : 0,
      .arrivals = info->arrivals,
      .throttled = rp_terms_throttle (service->terms)};
    // Workers that serve are a reason only while something waits for them.
    rp_list_node_t *node =
      service->waiting || info->draining ? rp_list_first (&service->workers) : NULL;
    for (; node; node = rp_list_next (&service->workers, node))
        s_see_worker (&facts, RP_CONTAINER (node, rp_session_t, service_node));
    if (info->figures)
        s_see_figures (&facts, info->figures);
    if (info->figures && rp_terms_sheds (service->terms))
        facts.shed = s_recent (info->figures, RP_EXPIRED) + s_recent (info->figures, RP_BUSY);
    return rp_explain (&facts, causes);
}

bool rp_dispatch_explain (const rp_dispatch_t *self,
  int64_t now,
  const char *name,
  size_t size,
  rp_cause_t causes[RP_CAUSE_COUNT],
  size_t *count)
{
    rp_service_info_t info;
    if (!rp_dispatch_find_service (self, now, name, size, &info))
        return false;
    *count = rp_dispatch_explain_service (self, now, &info, causes);
    return true;
}
