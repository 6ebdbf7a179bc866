/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/simulator/timeline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/trace.h"

#define S_OPEN 1024u
#define S_LINE 1024u

/*  An open request, and what the records say of it.  */
typedef struct {
    uint64_t session;
    uint64_t id;
    char line[S_LINE];
} s_story_t;

static s_story_t s_open[S_OPEN];

void timeline_begin (void)
{
    memset (s_open, 0, sizeof s_open);
}

static s_story_t *s_find (uint64_t session, uint64_t id)
{
    for (unsigned index = 0; index < S_OPEN; index++)
        if (s_open[index].session == session && s_open[index].id == id)
            return &s_open[index];
    return NULL;
}

static void s_add (char *line, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
static void s_add (char *line, const char *format, ...)
{
    size_t size = strlen (line);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (line + size, S_LINE - size, format, arguments);
    va_end (arguments);
}

typedef struct {
    const char *line;
    char told[S_LINE];
    bool found;
} s_search_t;

/*  Compares what is told with the records. Of two deliveries under way, one that its worker did not begin takes one
    off the number of the other.  */
static bool s_is_same (const char *told, const char *line, bool numbers)
{
    for (; *told && *line; told++, line++) {
        while (!numbers && told[0] == '#' && line[0] == '#' && told[1] && line[1])
            told += 2, line += 2;
        if (*told != *line)
            return false;
    }
    return *told == *line;
}

static void s_see (const rp_trace_t *trace, void *arg)
{
    s_search_t *search = arg;
    if (trace->open || search->found)
        return;
    search->told[0] = 0;
    bool hedged = false;
    for (size_t index = 0; index < trace->count; index++) {
        const rp_trace_event_t *event = &trace->events[index];
        if (event->kind == RP_TRACE_ACCEPTED)
            s_add (search->told, "accepted %" PRId64, event->at);
        if (event->kind == RP_TRACE_GIVEN)
            s_add (search->told, " given %" PRId64 " #%u", event->at, event->attempt);
        hedged = hedged || event->kind == RP_TRACE_HEDGED;
        if (event->kind == RP_TRACE_ENDED)
            s_add (
              search->told, " ended %" PRId64 " %s", event->at, rp_status_name (event->status));
    }
    search->found = trace->omitted > 0 || s_is_same (search->told, search->line, !hedged);
}

static void s_compare (audit_t *audit, s_story_t *story)
{
    // An id may have been used before, so one of those found has to be the one.
    s_search_t search = {.line = story->line};
    rp_trace_query_t query = {
      .by_client = true, .session = {story->session}, .client_id = story->id};
    rp_trace_find (audit->core, audit->now, &query, 1000, s_see, &search);
    AUDIT_REQUIRE (
      audit, search.found, "a trace tells \"%s\", the records \"%s\"", search.told, story->line);
    *story = (s_story_t){0};
}

void timeline_action (audit_t *audit, const rp_action_t *action)
{
    if (action->kind != RP_ACTION_HISTORY)
        return;
    const rp_record_t *note = &action->note;
    bool accept = note->kind == RP_RECORD_ACCEPT;
    s_story_t *story = accept ? s_find (0, 0) : s_find (action->session.v, note->id);
    if (!story)
        return; // more are open than are looked at, or it is of no request
    if (accept) {
        story->session = action->session.v;
        story->id = note->id;
        s_add (story->line, "accepted %" PRId64, audit->now);
    }
    if (note->kind == RP_RECORD_DISPATCH)
        s_add (story->line, " given %" PRId64 " #%u", audit->now, note->attempt);
    if (note->kind == RP_RECORD_FINAL) {
        s_add (story->line, " ended %" PRId64 " %s", audit->now, rp_status_name (note->status));
        s_compare (audit, story);
    }
}
