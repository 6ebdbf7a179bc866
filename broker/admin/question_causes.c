/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/question_causes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/narrative.h"
#include "broker/core/explain.h"
#include "common/base/grow.h"
#include "common/base/utf8.h"
#include "common/io/clock.h"
#include "common/wire/head.h"

/*  Causes of the core and of the jobs.  */
#define S_CAUSES (RP_CAUSE_COUNT + RP_JOBS_CAUSES_MAX)

/*  A service that has a cause, or open jobs.  */
typedef struct {
    char name[RP_WIRE_NAME_MAX + 1];
    uint64_t weight; /* of its worst cause */
    bool bad;        /* it has jobs, and no worker */
} s_troubled_t;

typedef struct {
    rp_asked_t *asked;
    s_troubled_t *list;
    size_t room;
    size_t count;
    bool no_memory;
} s_search_t;

/*  The causes why jobs of a service wait or have died. Returns how many there are.  */
static size_t s_job_causes (const rp_asked_t *asked, const char *name, rp_cause_t *causes)
{
    size_t size = strlen (name);
    rp_jobs_service_info_t info;
    rp_service_info_t service;
    const rp_snapshot_sources_t *sources = asked->sources;
    if (!sources->jobs || !rp_jobs_find_service (sources->jobs, name, size, asked->now, &info))
        return 0;
    bool there = rp_dispatch_find_service (sources->core, asked->now, name, size, &service);
    return rp_jobs_explain (&info, there ? service.workers : 0, rp_clock_wall_us (), causes);
}

/*  Returns how many causes there are.  */
static size_t s_causes (const rp_asked_t *asked, const char *name, rp_cause_t *causes)
{
    size_t count = 0;
    (void) rp_dispatch_explain (
      asked->sources->core, asked->now, name, strlen (name), causes, &count);
    return count + s_job_causes (asked, name, causes + count);
}

/*  What an answer says of one service.  */
static json_t *s_service (const char *name, const rp_cause_t *causes, size_t count)
{
    static const char joint[] = " · ";
    char shown[4 * RP_WIRE_NAME_MAX + 1];
    char text[S_CAUSES * (RP_NARRATIVE_MAX + sizeof joint)] = "nothing waits or fails";
    size_t size = 0;
    json_t *list = json_array ();
    for (size_t index = 0; index < count; index++) {
        char sentence[RP_NARRATIVE_MAX];
        size += (size_t) snprintf (text + size, sizeof text - size, "%s%s", index ? joint : "",
          rp_narrative_cause (&causes[index], sentence));
        (void) json_array_append_new (list, rp_narrative_cause_json (&causes[index]));
    }
    rp_utf8_escape (name, strlen (name), shown, sizeof shown);
    return json_pack ("{s:s, s:s, s:o}", "name", shown, "text", text, "causes", list);
}

/*  Adds a service that is found.  */
static void s_add (s_search_t *search, const char *name, uint64_t weight, bool bad)
{
    s_troubled_t *list =
      rp_grown (search->list, &search->room, search->count, sizeof *search->list);
    if (!list) {
        search->no_memory = true;
        return;
    }
    search->list = list;
    s_troubled_t *one = &list[search->count++];
    *one = (s_troubled_t){.weight = weight, .bad = bad};
    memcpy (one->name, name, strlen (name) + 1);
}

static uint64_t s_weight (const rp_cause_t *causes, size_t count)
{
    uint64_t weight = 0;
    for (size_t index = 0; index < count; index++)
        weight = causes[index].weight > weight ? causes[index].weight : weight;
    return weight;
}

static void s_look (const rp_service_info_t *info, void *arg)
{
    s_search_t *search = arg;
    rp_cause_t causes[S_CAUSES];
    size_t count = s_causes (search->asked, info->name, causes);
    if (count > 0)
        s_add (search, info->name, s_weight (causes, count), false);
}

/*  Of services with jobs: those that the core does not know.  */
static void s_look_at_jobs (const rp_jobs_service_info_t *info, void *arg)
{
    s_search_t *search = arg;
    rp_cause_t causes[S_CAUSES];
    rp_service_info_t service;
    if (rp_dispatch_find_service (
          search->asked->sources->core, search->asked->now, info->name, info->name_size, &service))
        return;
    size_t count = s_causes (search->asked, info->name, causes);
    if (count > 0)
        s_add (search, info->name, s_weight (causes, count), false);
}

/*  The worst first; services of the same weight by name.  */
static int s_compare (const void *one, const void *other)
{
    const s_troubled_t *left = one, *right = other;
    if (left->bad != right->bad)
        return left->bad ? -1 : 1;
    if (left->weight != right->weight)
        return left->weight > right->weight ? -1 : 1;
    return strcmp (left->name, right->name);
}

static json_t *s_explain_all (rp_asked_t *asked)
{
    s_search_t search = {.asked = asked};
    rp_dispatch_each_service (asked->sources->core, asked->now, s_look, &search);
    if (asked->sources->jobs)
        rp_jobs_each_service (asked->sources->jobs, asked->now, s_look_at_jobs, &search);
    if (search.count)
        qsort (search.list, search.count, sizeof *search.list, s_compare);
    json_t *services = search.no_memory ? NULL : json_array ();
    for (size_t index = 0; services && index < search.count && index < RP_EXPLAINED_MAX; index++) {
        rp_cause_t causes[S_CAUSES];
        size_t count = s_causes (asked, search.list[index].name, causes);
        (void) json_array_append_new (services, s_service (search.list[index].name, causes, count));
    }
    free (search.list);
    return services;
}

/*  True if the core or the jobs know a service.  */
static bool s_is_known (const rp_asked_t *asked, const char *name)
{
    size_t size = strlen (name);
    rp_service_info_t info;
    rp_jobs_service_info_t jobs;
    const rp_snapshot_sources_t *sources = asked->sources;
    return rp_dispatch_find_service (sources->core, asked->now, name, size, &info)
           || (sources->jobs
               && rp_jobs_find_service (sources->jobs, name, size, asked->now, &jobs));
}

json_t *rp_question_explain (rp_asked_t *asked)
{
    const char *service;
    if (!rp_asked_service (asked, "service", &service))
        return NULL;
    if (!service)
        return json_pack ("{s:o}", "services", s_explain_all (asked));
    if (!s_is_known (asked, service)) {
        rp_asked_wrong (asked,
          "the broker knows no service \"%s\": it has no worker, and no request waits for it",
          service);
        return NULL;
    }
    rp_cause_t causes[S_CAUSES];
    return json_pack (
      "{s:[o]}", "services", s_service (service, causes, s_causes (asked, service, causes)));
}

/*  ---- Services with jobs --------------------------------------------------------------------- */

static void s_list_jobs (const rp_jobs_service_info_t *info, void *arg)
{
    s_search_t *search = arg;
    rp_cause_t causes[RP_JOBS_CAUSES_MAX];
    size_t count = s_job_causes (search->asked, info->name, causes);
    bool bad = false;
    for (size_t index = 0; index < count; index++)
        bad |= causes[index].kind == RP_CAUSE_JOBS_UNSERVED;
    s_add (search, info->name, info->waiting + info->running + info->died, bad);
}

/*  What is told of one service with jobs. NULL if it has none any more.  */
static json_t *s_job_service (const rp_asked_t *asked, const s_troubled_t *one)
{
    rp_jobs_service_info_t info;
    rp_service_info_t service = {0};
    rp_cause_t causes[RP_JOBS_CAUSES_MAX];
    size_t size = strlen (one->name);
    if (!rp_jobs_find_service (asked->sources->jobs, one->name, size, asked->now, &info))
        return NULL;
    (void) rp_dispatch_find_service (asked->sources->core, asked->now, one->name, size, &service);
    json_t *object = s_service (one->name, causes, s_job_causes (asked, one->name, causes));
    json_t *numbers = json_pack ("{s:s, s:I, s:I, s:I, s:I}", "state",
      one->bad    ? "bad"
      : info.died ? "warn"
                  : "ok",
      "waiting", (json_int_t) info.waiting, "running", (json_int_t) info.running, "died",
      (json_int_t) info.died, "workers", (json_int_t) service.workers);
    (void) json_object_update (object, numbers);
    json_decref (numbers);
    return object;
}

json_t *rp_question_job_services (rp_asked_t *asked)
{
    s_search_t search = {.asked = asked};
    if (!asked->sources->jobs) {
        rp_asked_wrong (
          asked, "this broker keeps no jobs: it was started without a store (--store FILE)");
        return NULL;
    }
    rp_jobs_each_service (asked->sources->jobs, asked->now, s_list_jobs, &search);
    if (search.count)
        qsort (search.list, search.count, sizeof *search.list, s_compare);
    json_t *services = search.no_memory ? NULL : json_array ();
    size_t shown = search.count < RP_EXPLAINED_MAX ? search.count : RP_EXPLAINED_MAX;
    for (size_t index = 0; services && index < shown; index++)
        (void) json_array_append_new (services, s_job_service (asked, &search.list[index]));
    free (search.list);
    return json_pack (
      "{s:o, s:I}", "services", services, "services_left_out", (json_int_t) (search.count - shown));
}
