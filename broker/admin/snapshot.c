/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/grow.h"

/*  Places of a list that a step looks at: a service takes 1 to 5 µs.  */
#define S_PLACES 4u
/*  Bytes of a block: less than what malloc gets from the kernel, page by page.  */
#define S_BLOCK ((size_t) 65536)

struct rp_snapshot_block {
    struct rp_snapshot_block *next;
    uint64_t bytes[]; /* aligned for all that is there */
};

/*  What steps are for, in this order.  */
typedef enum {
    S_SERVICES,
    S_WORKERS,
    S_PRINCIPALS,
    S_FIGURES,
    S_BROKER,
    S_WHOLE,
} s_phase_t;

struct rp_snapshot_taking {
    rp_snapshot_t *snapshot;
    const rp_snapshot_sources_t *sources;
    s_phase_t phase;
    uint32_t place; /* in the list of the phase */
    int64_t now;    /* of the step */
    bool with_figures;
    bool at_once; /* nothing comes between its steps */
    bool failed;  /* out of memory */
    size_t service_room;
    size_t worker_room;
    size_t principal_room;
    char *at; /* the free rest of the latest block */
    size_t left;
};

/*  ---- Memory --------------------------------------------------------------------------------- */

/*  Returns room in a block, which does not move; NULL when out of memory.  */
static void *s_reserve (rp_snapshot_taking_t *self, size_t size)
{
    size = (size + sizeof (uint64_t) - 1) / sizeof (uint64_t) * sizeof (uint64_t);
    if (size > self->left) {
        size_t bytes = size > S_BLOCK ? size : S_BLOCK;
        struct rp_snapshot_block *block = malloc (sizeof *block + bytes);
        if (!block) {
            self->failed = true;
            return NULL;
        }
        block->next = self->snapshot->blocks;
        self->snapshot->blocks = block;
        self->at = (char *) block->bytes;
        self->left = bytes;
    }
    char *room = self->at;
    self->at += size;
    self->left -= size;
    return room;
}

static void *s_copy (rp_snapshot_taking_t *self, const void *from, size_t size)
{
    void *copy = s_reserve (self, size);
    return copy ? memcpy (copy, from, size) : NULL;
}

/*  NULL stays NULL.  */
static char *s_copy_text (rp_snapshot_taking_t *self, const char *text)
{
    return text ? s_copy (self, text, strlen (text) + 1) : NULL;
}

/*  Returns a list with room for one more. It has been made with room for what there was at the beginning, so that
    it grows, which takes time, only when much has come since.  */
static void *s_grow (
  rp_snapshot_taking_t *self, void *items, size_t *room, size_t count, size_t size)
{
    void *grown = rp_grown (items, room, count, size);
    self->failed |= !grown;
    return grown;
}

/*  Makes a list for what there is, and some more. It is not set to zero, which would take time at once.  */
static void *s_make_list (size_t *room, size_t count, size_t size)
{
    *room = count + count / 8 + 16;
    return malloc (*room * size);
}

/*  ---- Lists ---------------------------------------------------------------------------------- */

/*  Takes the causes of a service.  */
static void s_take_causes (
  rp_snapshot_taking_t *self, const rp_service_info_t *info, rp_snapshot_service_t *service)
{
    rp_cause_t causes[RP_CAUSE_COUNT];
    size_t count = 0;
    if (self->with_figures)
        count = rp_dispatch_explain_service (self->sources->core, self->now, info, causes);
    if (count == 0)
        return;
    for (size_t index = 0; index < count; index++)
        causes[index].worker = s_copy_text (self, causes[index].worker);
    service->causes = s_copy (self, causes, count * sizeof *causes);
    service->cause_count = service->causes ? count : 0;
}

/*  Takes figures, unless their service has had them taken. Returns them; NULL when out of memory.  */
static rp_compact_figures_t *s_take_figures (
  rp_snapshot_taking_t *self, const rp_figures_t *figures)
{
    rp_compact_figures_t **place = &self->snapshot->figures[figures->index];
    if (!*place)
        *place = rp_compact_hold (self->sources->figures, figures);
    self->failed |= !*place;
    return *place;
}

/*  True if something came after the beginning. A service that went and came again would be there twice.  */
static bool s_is_new (const rp_snapshot_taking_t *self, int64_t age_us)
{
    return !self->at_once && self->now - age_us >= self->snapshot->taken;
}

static void s_take_service (const rp_service_info_t *info, void *arg)
{
    rp_snapshot_taking_t *self = arg;
    rp_snapshot_t *snapshot = self->snapshot;
    rp_snapshot_service_t *list =
      s_grow (self, snapshot->services, &self->service_room, snapshot->service_count, sizeof *list);
    if (!list)
        return;
    snapshot->services = list;
    if (s_is_new (self, info->age_us))
        return;
    rp_snapshot_service_t *service = &list[snapshot->service_count++];
    *service = (rp_snapshot_service_t){.info = *info};
    service->info.name = s_copy_text (self, info->name);
    service->info.figures = NULL;
    s_take_causes (self, info, service);
    const rp_compact_figures_t *figures =
      info->figures ? s_take_figures (self, info->figures) : NULL;
    if (figures) {
        service->p50_us = figures->p50_us;
        service->p99_us = figures->p99_us;
    }
}

static void s_take_worker (const rp_worker_info_t *info, void *arg)
{
    rp_snapshot_taking_t *self = arg;
    rp_snapshot_t *snapshot = self->snapshot;
    rp_snapshot_worker_t *list =
      s_grow (self, snapshot->workers, &self->worker_room, snapshot->worker_count, sizeof *list);
    if (!list)
        return;
    snapshot->workers = list;
    if (s_is_new (self, info->age_us))
        return;
    rp_snapshot_worker_t *worker = &list[snapshot->worker_count++];
    *worker = (rp_snapshot_worker_t){.info = *info};
    worker->info.name = s_copy_text (self, info->name);
    worker->info.service = s_copy_text (self, info->service);
    worker->info.principal = s_copy_text (self, info->principal);
    worker->address = rp_routes_whence (self->sources->routes, info->session);
}

static void s_take_principal (const rp_principal_info_t *info, void *arg)
{
    rp_snapshot_taking_t *self = arg;
    rp_snapshot_t *snapshot = self->snapshot;
    rp_principal_info_t *list = s_grow (
      self, snapshot->principals, &self->principal_room, snapshot->principal_count, sizeof *list);
    if (!list)
        return;
    snapshot->principals = list;
    list[snapshot->principal_count] = *info;
    list[snapshot->principal_count++].name = s_copy_text (self, info->name);
}

static void s_see_figures (const rp_figures_t *figures, void *arg)
{
    (void) s_take_figures (arg, figures);
}

/*  ---- The broker ----------------------------------------------------------------------------- */

static void s_take_foreign (rp_snapshot_foreign_t *self, const rp_foreign_t *foreign)
{
    memcpy (self->there, foreign->there, sizeof self->there);
    memcpy (self->workers, foreign->workers, sizeof self->workers);
    memcpy (self->joined, foreign->joined, sizeof self->joined);
    memcpy (self->bad, foreign->bad, sizeof self->bad);
    self->envelopes = rp_envelopes_count (&foreign->envelopes);
    self->envelope_bytes = rp_envelopes_bytes (&foreign->envelopes);
}

static void s_take_texts (rp_snapshot_taking_t *self)
{
    rp_snapshot_t *snapshot = self->snapshot;
    size_t count = self->sources->endpoint_count;
    snapshot->endpoints = s_reserve (self, count * sizeof *snapshot->endpoints);
    for (size_t index = 0; snapshot->endpoints && index < count; index++)
        snapshot->endpoints[index] = s_copy_text (self, self->sources->endpoints[index]);
    snapshot->endpoint_count = count;
    snapshot->reloads = *self->sources->reloads;
    snapshot->reloads.problems = s_copy_text (self, self->sources->reloads->problems);
    snapshot->reloads.restart = s_copy_text (self, self->sources->reloads->restart);
}

static void s_take_broker (rp_snapshot_taking_t *taking)
{
    rp_snapshot_t *self = taking->snapshot;
    const rp_snapshot_sources_t *sources = taking->sources;
    self->uptime_us = taking->now - sources->started;
    strncpy (self->instance, rp_dispatch_instance (sources->core), sizeof self->instance - 1);
    self->draining = rp_dispatch_is_draining (sources->core);
    self->last_event = sources->events->last;
    self->stats = *rp_dispatch_stats (sources->core);
    self->counts = rp_dispatch_counts (sources->core);
    self->limits = *rp_dispatch_limits (sources->core);
    self->security = sources->security;
    if (sources->credentials)
        self->credentials = rp_credentials_hold (sources->credentials);
    if (sources->otlp)
        self->spans = rp_otlp_counts (sources->otlp);
    if (sources->jobs) {
        self->keeps_jobs = true;
        rp_jobs_figures (sources->jobs, &self->jobs);
        rp_store_figures (sources->store, &self->store);
        self->store_kind = rp_store_kind (sources->store);
    }
    if (sources->replays) {
        self->remembers = true;
        rp_replays_figures (sources->replays, &self->replays);
    }
    self->copied_bytes = *sources->copied;
    self->busy_us = *sources->busy;
    self->turns = *sources->turns;
    s_take_foreign (&self->foreign, sources->foreign);
    s_take_texts (taking);
}

/*  Puts the figures one after the other, of which those of services that came too late are not there.  */
static void s_close_ranks (rp_snapshot_t *self)
{
    for (size_t index = 0; self->figures && index <= RP_FIGURES_MAX; index++)
        if (self->figures[index])
            self->figures[self->figure_count++] = self->figures[index];
}

/*  ---- Steps ---------------------------------------------------------------------------------- */

rp_snapshot_taking_t *rp_snapshot_begin (
  const rp_snapshot_sources_t *sources, bool figures, int64_t now)
{
    rp_dispatch_counts_t counts = rp_dispatch_counts (sources->core);
    rp_snapshot_taking_t *self = calloc (1, sizeof *self);
    rp_snapshot_t *snapshot = calloc (1, sizeof *snapshot);
    if (!self || !snapshot) {
        free (self);
        free (snapshot);
        return NULL;
    }
    *self =
      (rp_snapshot_taking_t){.snapshot = snapshot, .sources = sources, .with_figures = figures};
    snapshot->taken = now;
    snapshot->services =
      s_make_list (&self->service_room, counts.services, sizeof *snapshot->services);
    snapshot->workers = s_make_list (&self->worker_room, counts.workers, sizeof *snapshot->workers);
    snapshot->principals = s_make_list (&self->principal_room, 0, sizeof *snapshot->principals);
    snapshot->figures = calloc (RP_FIGURES_MAX + 1, sizeof (rp_compact_figures_t *));
    self->failed =
      !snapshot->services || !snapshot->workers || !snapshot->principals || !snapshot->figures;
    return self;
}

/*  Takes some of a list. False at its end.  */
static bool s_take_some (rp_snapshot_taking_t *self)
{
    const rp_dispatch_t *core = self->sources->core;
    switch (self->phase) {
        case S_SERVICES:
            return rp_dispatch_some_services (
              core, self->now, &self->place, S_PLACES, s_take_service, self);
        case S_WORKERS:
            return rp_dispatch_some_workers (
              core, self->now, &self->place, S_PLACES, s_take_worker, self);
        case S_PRINCIPALS:
            return rp_dispatch_some_principals (
              core, &self->place, S_PLACES, s_take_principal, self);
        case S_FIGURES:
            return self->with_figures
                   && rp_dispatch_some_figures (core, &self->place, S_PLACES, s_see_figures, self);
        case S_BROKER:
            s_take_broker (self);
            return false;
        case S_WHOLE:
            break;
    }
    return true;
}

bool rp_snapshot_step (rp_snapshot_taking_t *self, int64_t now)
{
    self->now = now;
    if (self->failed || self->phase == S_WHOLE)
        return true;
    if (!s_take_some (self)) {
        self->phase++;
        self->place = 0;
    }
    return self->failed || self->phase == S_WHOLE;
}

rp_snapshot_t *rp_snapshot_end (rp_snapshot_taking_t **self_p)
{
    rp_snapshot_taking_t *self = *self_p;
    if (!self)
        return NULL;
    *self_p = NULL;
    rp_snapshot_t *snapshot = self->snapshot;
    s_close_ranks (snapshot);
    if (self->failed || self->phase != S_WHOLE)
        rp_snapshot_destroy (&snapshot);
    free (self);
    return snapshot;
}

rp_snapshot_t *rp_snapshot_take (const rp_snapshot_sources_t *sources, bool figures, int64_t now)
{
    rp_snapshot_taking_t *taking = rp_snapshot_begin (sources, figures, now);
    if (!taking)
        return NULL;
    taking->at_once = true;
    while (!rp_snapshot_step (taking, now))
        continue;
    return rp_snapshot_end (&taking);
}

void rp_snapshot_destroy (rp_snapshot_t **self_p)
{
    rp_snapshot_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_credentials_release (&self->credentials);
    for (size_t index = 0; index < self->figure_count; index++)
        rp_compact_release (self->figures[index]);
    for (struct rp_snapshot_block *block = self->blocks, *next; block; block = next) {
        next = block->next;
        free (block);
    }
    free (self->services);
    free (self->workers);
    free (self->principals);
    free (self->figures);
    free (self);
}

const char *rp_snapshot_worker_state (const rp_worker_info_t *info)
{
    if (info->draining)
        return "draining";
    if (info->window == 0)
        return "unready";
    return info->running + info->abandoned > info->window ? "over" : "ready";
}
