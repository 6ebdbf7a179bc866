/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/question_events.h"

#include "broker/admin/events.h"

json_t *rp_question_events (rp_asked_t *asked)
{
    size_t since = 0;
    size_t most = RP_EVENTS_USUAL;
    if (!rp_asked_count (asked, "since", 0, RP_EVENTS_NUMBER_MAX, &since)
        || !rp_asked_count (asked, "most", 0, RP_EVENTS_MOST, &most))
        return NULL;
    json_t *answer = rp_events_json (asked->sources->events, since, most);
    const char *instance = rp_dispatch_instance (asked->sources->core);
    if (answer && json_object_set_new (answer, "instance", json_string (instance)) != 0) {
        json_decref (answer);
        return NULL;
    }
    return answer;
}
