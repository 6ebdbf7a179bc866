/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/question_traces.h"

#include "broker/admin/narrative.h"
#include "broker/core/trace.h"

#define S_TRACES 10u
#define S_SLOWEST 20u

typedef struct {
    json_t *list;
    int64_t now;
} s_traces_t;

static void s_add (const rp_trace_t *trace, void *arg)
{
    s_traces_t *traces = arg;
    (void) json_array_append_new (traces->list, rp_narrative_trace_json (trace, traces->now));
}

json_t *rp_question_trace (rp_asked_t *asked)
{
    const char *id;
    size_t most = S_TRACES;
    if (!rp_asked_text (asked, "id", &id)
        || !rp_asked_count (asked, "most", 1, RP_TRACE_SLOWEST_MAX, &most))
        return NULL;
    if (!id || !*id) {
        rp_asked_wrong (asked,
          "\"id\" has to be the id of a request, the value of its header %s or a trace id",
          RP_TRACE_REQUEST_ID);
        return NULL;
    }
    char buffer[RP_TRACE_ID_SIZE + 1];
    rp_trace_query_t query;
    rp_trace_query_read (&query, id, buffer);
    s_traces_t traces = {.list = json_array (), .now = asked->now};
    rp_trace_find (asked->sources->core, asked->now, &query, most, s_add, &traces);
    return json_pack ("{s:o}", "traces", traces.list);
}

json_t *rp_question_slow (rp_asked_t *asked)
{
    const char *service;
    size_t most = S_SLOWEST;
    bool failed = false;
    if (!rp_asked_service (asked, "service", &service)
        || !rp_asked_count (asked, "most", 1, RP_TRACE_SLOWEST_MAX, &most)
        || !rp_asked_flag (asked, "failed", &failed))
        return NULL;
    s_traces_t traces = {.list = json_array (), .now = asked->now};
    rp_trace_slowest (asked->sources->core, service, failed, most, s_add, &traces);
    return json_pack ("{s:o}", "traces", traces.list);
}
