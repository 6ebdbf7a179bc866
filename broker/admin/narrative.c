/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/narrative.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/units.h"
#include "common/base/utf8.h"
#include "common/wire/head.h"

/*  Between two events of a sentence.  */
#define S_JOINT " · "

/*  A peer's name, or a text, of at most so many bytes, escaped.  */
#define S_SHOWN_MAX (4u * RP_WIRE_NAME_MAX + 1)
#define S_TEXT_MAX 800u

/*  ---- Pieces -------------------------------------------------------------------------------- */

typedef struct {
    char *at; /* RP_NARRATIVE_MAX bytes */
    size_t size;
} s_words_t;

static void s_say (s_words_t *words, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));
static void s_say (s_words_t *words, const char *format, ...)
{
    va_list list;
    va_start (list, format);
    int size = vsnprintf (words->at + words->size, RP_NARRATIVE_MAX - words->size, format, list);
    va_end (list);
    if (size > 0)
        words->size += (size_t) size;
    if (words->size >= RP_NARRATIVE_MAX)
        words->size = RP_NARRATIVE_MAX - 1; // cannot be: everything said is bounded
}

static void s_say_duration (s_words_t *words, const char *before, int64_t us)
{
    char text[RP_UNITS_TEXT_MAX];
    s_say (words, "%s%s", before, rp_duration_format (text, us));
}

/*  Says a name; otherwise if the broker has forgotten it.  */
static void s_say_name (s_words_t *words, const char *name, const char *otherwise)
{
    char shown[S_SHOWN_MAX];
    if (name && *name)
        rp_utf8_escape (name, strlen (name), shown, sizeof shown);
    s_say (words, "%s", name && *name ? shown : otherwise);
}

/*  Says ": " and a text, if there is one.  */
static void s_say_why (s_words_t *words, const char *text)
{
    char shown[S_TEXT_MAX];
    if (!*text)
        return;
    rp_utf8_escape (text, strlen (text), shown, sizeof shown);
    s_say (words, ": %s", shown);
}

static const char *s_plural (uint64_t count)
{
    return count == 1 ? "" : "s";
}

/*  The ending of a verb that belongs to so many.  */
static const char *s_verb (uint64_t count)
{
    return count == 1 ? "s" : "";
}

/*  ---- Traces -------------------------------------------------------------------------------- */

/*  Says for what a request waits, or has waited.  */
static void s_say_wait (s_words_t *words, const char *service, const rp_trace_event_t *event)
{
    switch (event->wait) {
        case RP_WAIT_BUSY:
            if (event->workers == 1)
                s_say (words, ": the one worker of ");
            else if (event->workers > 1)
                s_say (words, ": all %" PRIu32 " workers of ", event->workers);
            else
                s_say (words, ": all workers of ");
            s_say_name (words, service, "its service");
            s_say (words, event->workers == 1 ? " was busy" : " were busy");
            break;
        case RP_WAIT_NO_WORKER:
            s_say (words, ": ");
            s_say_name (words, service, "its service");
            s_say (words, " had no worker");
            break;
        case RP_WAIT_LINE:
            s_say (words, ": another request of its conversation was before it");
            break;
        case RP_WAIT_PINNED:
            s_say (words, ": the one worker that may have it had no room");
            break;
        case RP_WAIT_NOT:
        default:
            s_say_why (words, event->text);
            break;
    }
}

/*  Says how much of a stream was passed on.  */
static void s_say_parts (s_words_t *words, const rp_trace_t *trace)
{
    char bytes[RP_UNITS_TEXT_MAX], count[RP_UNITS_TEXT_MAX];
    if (trace->reply.parts)
        s_say (words, "; %s part%s of its reply (%s) passed on",
          rp_count_format (count, trace->reply.parts), s_plural (trace->reply.parts),
          rp_size_format (bytes, trace->reply.bytes));
    if (trace->body.parts)
        s_say (words, "; %s part%s of the request (%s) passed on",
          rp_count_format (count, trace->body.parts), s_plural (trace->body.parts),
          rp_size_format (bytes, trace->body.bytes));
}

static void s_say_end (s_words_t *words, const rp_trace_t *trace, const rp_trace_event_t *event)
{
    bool replied = event->status == RP_OK || event->status == RP_APP_ERROR;
    s_say (words, "%s %s", replied ? "replied" : "ended with", rp_status_name (event->status));
    if (event->us > 0 || *event->worker)
        s_say_duration (words, " after ", event->us);
    if (!replied)
        s_say_why (words, *event->text ? event->text : rp_strerror (event->status));
    s_say_parts (words, trace);
}

/*  Says what happens to jobs only.  */
static void s_say_of_job (s_words_t *words, const rp_trace_event_t *event)
{
    if (event->kind == RP_TRACE_FAILED) {
        s_say_duration (words, "failed after ", event->us);
        s_say_why (words, *event->text ? event->text : rp_strerror (event->status));
    }
    else if (event->kind == RP_TRACE_DIED)
        s_say (words, "dead: that was its last attempt");
    else {
        s_say (words, "retried as job ");
        s_say_name (words, event->text, "?");
    }
}

static void s_say_of_delivery (s_words_t *words, const rp_trace_event_t *event)
{
    const char *what = event->kind == RP_TRACE_LOST       ? "lost after "
                       : event->kind == RP_TRACE_RETURNED ? "handed back after "
                                                          : "still running after ";
    s_say_duration (words, what, event->us);
    s_say_why (words, event->text);
}

const char *rp_narrative_event (
  const rp_trace_t *trace, size_t index, char buffer[RP_NARRATIVE_MAX])
{
    const rp_trace_event_t *event = &trace->events[index];
    s_words_t words = {.at = buffer};
    buffer[0] = 0;
    switch (event->kind) {
        case RP_TRACE_ACCEPTED:
            s_say (&words, "accepted");
            break;
        case RP_TRACE_WAITED:
            s_say_duration (&words, "waited ", event->us);
            s_say_wait (&words, trace->service, event);
            break;
        case RP_TRACE_GIVEN:
            s_say (&words, "given to ");
            s_say_name (&words, event->worker, "a worker");
            s_say (&words, " (attempt %u)", event->attempt);
            break;
        case RP_TRACE_LOST:
        case RP_TRACE_RETURNED:
        case RP_TRACE_HEDGED:
            s_say_of_delivery (&words, event);
            break;
        case RP_TRACE_UNSENT:
            s_say (&words, "did not reach ");
            s_say_name (&words, event->worker, "the worker");
            break;
        case RP_TRACE_ENDED:
            s_say_end (&words, trace, event);
            break;
        case RP_TRACE_WAITS:
            s_say_duration (&words, "waiting for ", event->us);
            s_say_wait (&words, trace->service, event);
            break;
        case RP_TRACE_RUNS:
            s_say_duration (&words, "running for ", event->us);
            s_say_parts (&words, trace);
            break;
        case RP_TRACE_FAILED:
        case RP_TRACE_DIED:
        case RP_TRACE_RETRIED:
            s_say_of_job (&words, event);
            break;
        case RP_TRACE_EVENT_COUNT:
        default:
            break;
    }
    return buffer;
}

static bool s_came_to_nothing (rp_trace_kind_t kind)
{
    return kind == RP_TRACE_LOST || kind == RP_TRACE_RETURNED || kind == RP_TRACE_UNSENT
           || kind == RP_TRACE_HEDGED;
}

/*  The event behind which losses are omitted: the last that came to nothing.  */
static size_t s_last_loss (const rp_trace_t *trace)
{
    size_t last = 0;
    for (size_t index = 0; index < trace->count; index++)
        if (s_came_to_nothing (trace->events[index].kind))
            last = index;
    return last;
}

char *rp_narrative_trace (const rp_trace_t *trace)
{
    char buffer[RP_NARRATIVE_MAX];
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream (&text, &size);
    if (!out)
        return NULL;
    size_t last = s_last_loss (trace);
    for (size_t index = 0; index < trace->count; index++) {
        fprintf (out, "%s%s", index ? S_JOINT : "", rp_narrative_event (trace, index, buffer));
        if (index == last && trace->omitted)
            fprintf (out, S_JOINT "%" PRIu32 " more attempt%s came to nothing", trace->omitted,
              s_plural (trace->omitted));
    }
    bool good = ferror (out) == 0;
    if (fclose (out) == 0 && good)
        return text;
    free (text);
    return NULL;
}

/*  ---- Causes -------------------------------------------------------------------------------- */

/*  Says how many requests come, in the unit in which the number is easy to read. arrivals: in 1000
    seconds.  */
static void s_say_arrivals (s_words_t *words, uint64_t arrivals)
{
    uint64_t tenths = arrivals >= 1000 ? (arrivals + 50) / 100 : (arrivals * 600 + 500) / 1000;
    const char *unit = arrivals >= 1000 ? "second" : "minute";
    if (arrivals == 0)
        return;
    char number[RP_UNITS_TEXT_MAX];
    if (tenths < 10)
        s_say (words, ", less than one request a minute arrives");
    else if (tenths >= 100 || tenths % 10 == 0)
        s_say (words, ", %s request%s a %s arrive%s", rp_count_format (number, (tenths + 5) / 10),
          s_plural ((tenths + 5) / 10), unit, s_verb ((tenths + 5) / 10));
    else
        s_say (
          words, ", %" PRIu64 ".%" PRIu64 " requests a %s arrive", tenths / 10, tenths % 10, unit);
}

static void s_say_busy (s_words_t *words, const rp_cause_t *cause)
{
    s_say_duration (words, cause->more ? "queue growing for " : "queue for ", cause->since_us);
    if (cause->workers == 1)
        s_say (words, ": the one worker is busy");
    else if (cause->concerned == cause->workers)
        s_say (words, ": %" PRIu32 " workers all busy", cause->workers);
    else
        s_say (words, ": %" PRIu32 " of %" PRIu32 " workers busy, the others take no requests",
          cause->concerned, cause->workers);
    if (cause->p50_us)
        s_say_duration (words, ", each request takes ", cause->p50_us);
    if (cause->p50_us)
        s_say (words, " (p50)");
    s_say_arrivals (words, cause->arrivals);
    if (cause->more)
        s_say (words, "; %" PRIu32 " more worker%s would do", cause->more, s_plural (cause->more));
    else if (cause->p50_us)
        s_say (words, "; they can do more than that, so it should pass");
}

static void s_say_no_worker (s_words_t *words, const rp_cause_t *cause)
{
    uint64_t unserved = cause->weight > cause->waiting ? cause->weight - cause->waiting : 0;
    s_say (words, "no worker");
    if (cause->waiting) {
        s_say_duration (words, "; for ", cause->since_us);
        s_say (words, " %" PRIu64 " request%s %s waited", cause->waiting, s_plural (cause->waiting),
          cause->waiting == 1 ? "has" : "have");
    }
    if (unserved)
        s_say (words, "; %" PRIu64 " request%s ended with NO_WORKER of late", unserved,
          s_plural (unserved));
}

static void s_say_closed (s_words_t *words, const rp_cause_t *cause)
{
    if (cause->workers == 1)
        s_say (words, "the one worker, ");
    else
        s_say (words, "%" PRIu32 " of %" PRIu32 " workers%s", cause->concerned, cause->workers,
          cause->concerned == 1 ? ", " : ", one of which is ");
    s_say_name (words, cause->worker, "one without a name");
    s_say (words, ", take%s no requests: window 0; look at %s", s_verb (cause->concerned),
      cause->concerned == 1 ? "its log" : "their logs");
}

static void s_say_pinned (s_words_t *words, const rp_cause_t *cause)
{
    uint64_t count = cause->weight;
    s_say (words, "%" PRIu64 " request%s wait%s for the one worker that may have %s, ", count,
      s_plural (count), s_verb (count), count == 1 ? "it" : "each");
    s_say (words, "%s", count == 1 ? "" : "such as ");
    s_say_name (words, cause->worker, "one without a name");
}

static void s_say_rules (s_words_t *words, const rp_cause_t *cause)
{
    uint64_t denied = cause->weight > cause->concerned ? cause->weight - cause->concerned : 0;
    if (denied)
        s_say (words,
          "%" PRIu64 " request%s of late %s DENIED: no rule allows the client%s to call", denied,
          s_plural (denied), denied == 1 ? "was" : "were", s_plural (denied));
    if (cause->concerned)
        s_say (words, "%s%" PRIu32 " worker%s must leave: no rule allows %s to serve",
          denied ? "; " : "", cause->concerned, s_plural (cause->concerned),
          cause->concerned == 1 ? "it" : "them");
}

static void s_say_lost (s_words_t *words, uint64_t count)
{
    s_say (words, "%" PRIu64 " request%s ended with WORKER_LOST of late: %s had %s", count,
      s_plural (count), count == 1 ? "a worker was lost that" : "workers were lost that",
      count == 1 ? "it" : "them");
}

static void s_say_draining (s_words_t *words, const rp_cause_t *cause)
{
    if (cause->concerned == 1)
        s_say (words, "the one worker is leaving");
    else
        s_say (words, "all %" PRIu32 " workers are leaving", cause->concerned);
    s_say (words, ", and %" PRIu64 " request%s wait%s for another", cause->weight,
      s_plural (cause->weight), s_verb (cause->weight));
}

static void s_say_terms (s_words_t *words, uint64_t count)
{
    s_say (words,
      "%" PRIu64
      " request%s wait%s, though workers have room: the broker's setting \"service\" says "
      "how many may run, or start",
      count, s_plural (count), s_verb (count));
}

static void s_say_overload (s_words_t *words, uint64_t count)
{
    s_say (words,
      "%" PRIu64
      " request%s ended with EXPIRED or BUSY of late, since more came than workers take: the "
      "broker's setting \"service\" says which (admission, overload)",
      count, s_plural (count));
}

/*  Says why jobs wait, or that some have died.  */
static void s_say_jobs (s_words_t *words, const rp_cause_t *cause)
{
    char number[RP_UNITS_TEXT_MAX];
    uint64_t count = cause->weight;
    if (cause->kind == RP_CAUSE_JOBS_UNSERVED)
        s_say (words, "no worker; ");
    s_say (words, "%s job%s", rp_count_format (number, count), s_plural (count));
    if (cause->kind == RP_CAUSE_JOBS_DEAD)
        s_say (
          words, " died in the last hour; riposte dead list shows %s", count == 1 ? "it" : "them");
    else
        s_say (words, " wait%s%s", s_verb (count),
          cause->kind == RP_CAUSE_JOBS_WAIT ? " while its workers have others" : "");
}

const char *rp_narrative_cause (const rp_cause_t *cause, char buffer[RP_NARRATIVE_MAX])
{
    s_words_t words = {.at = buffer};
    uint64_t weight = cause->weight;
    buffer[0] = 0;
    switch (cause->kind) {
        case RP_CAUSE_STOPPING:
            s_say (&words, "the broker drains and takes no new requests");
            if (cause->waiting)
                s_say (
                  &words, "; %" PRIu64 " still wait%s", cause->waiting, s_verb (cause->waiting));
            break;
        case RP_CAUSE_NO_WORKER:
            s_say_no_worker (&words, cause);
            break;
        case RP_CAUSE_DRAINING:
            s_say_draining (&words, cause);
            break;
        case RP_CAUSE_CLOSED:
            s_say_closed (&words, cause);
            break;
        case RP_CAUSE_BUSY:
            s_say_busy (&words, cause);
            break;
        case RP_CAUSE_TERMS:
            s_say_terms (&words, weight);
            break;
        case RP_CAUSE_OVERLOAD:
            s_say_overload (&words, weight);
            break;
        case RP_CAUSE_PINNED:
            s_say_pinned (&words, cause);
            break;
        case RP_CAUSE_RULES:
            s_say_rules (&words, cause);
            break;
        case RP_CAUSE_LOST:
            s_say_lost (&words, weight);
            break;
        case RP_CAUSE_JOBS_UNSERVED:
        case RP_CAUSE_JOBS_WAIT:
        case RP_CAUSE_JOBS_DEAD:
            s_say_jobs (&words, cause);
            break;
        case RP_CAUSE_COUNT:
        default:
            break;
    }
    return buffer;
}

/*  ---- JSON ---------------------------------------------------------------------------------- */

/*  jansson refuses a NULL member and takes ownership in any case, so out of memory leaves an object with
    a gap.  */
static void s_set (json_t *object, const char *name, json_t *value)
{
    (void) json_object_set_new (object, name, value);
}

static void s_set_number (json_t *object, const char *name, uint64_t value)
{
    s_set (object, name, json_integer ((json_int_t) value));
}

static void s_set_text (json_t *object, const char *name, const char *value)
{
    char shown[S_TEXT_MAX];
    rp_utf8_escape (value ? value : "", value ? strlen (value) : 0, shown, sizeof shown);
    s_set (object, name, json_string (shown));
}

/*  An id as text: numbers of JSON have 53 bits at many readers.  */
static void s_set_id (json_t *object, const char *name, uint64_t id)
{
    char text[24];
    snprintf (text, sizeof text, "%" PRIu64, id);
    s_set (object, name, json_string (text));
}

static json_t *s_event_json (const rp_trace_t *trace, size_t index)
{
    const rp_trace_event_t *event = &trace->events[index];
    char text[RP_NARRATIVE_MAX];
    json_t *object = json_object ();
    s_set_text (object, "kind", rp_trace_kind_name (event->kind));
    s_set_number (object, "at_us", (uint64_t) (event->at - trace->accepted));
    s_set_number (object, "us", (uint64_t) event->us);
    s_set_text (object, "wait", rp_wait_name (event->wait));
    s_set_number (object, "workers", event->workers);
    s_set_number (object, "attempt", event->attempt);
    s_set_text (object, "worker", event->worker);
    s_set_text (
      object, "status", event->kind == RP_TRACE_ENDED ? rp_status_name (event->status) : "");
    s_set (object, "text", json_string (rp_narrative_event (trace, index, text)));
    return object;
}

json_t *rp_narrative_trace_json (const rp_trace_t *trace, int64_t now)
{
    char *text = rp_narrative_trace (trace);
    json_t *object = json_object ();
    s_set_id (object, "id", trace->token.v);
    s_set_text (object, "client", trace->client);
    s_set_id (object, "client_request", trace->client_id);
    s_set_text (object, "principal", trace->principal);
    s_set_text (object, "service", trace->service);
    s_set_text (object, "request_id", trace->request_id);
    s_set_text (object, "trace_id", trace->trace_id);
    s_set (object, "open", json_boolean (trace->open));
    s_set_text (object, "status", trace->open ? "" : rp_status_name (trace->status));
    s_set_number (object, "attempt", trace->attempt);
    s_set_number (object, "attempts", trace->attempts);
    s_set_number (object, "accepted_us_ago", (uint64_t) (now - trace->accepted));
    s_set_number (object, "ended_us_ago", trace->open ? 0 : (uint64_t) (now - trace->ended));
    s_set_number (object, "total_us", (uint64_t) (trace->ended - trace->accepted));
    s_set_number (object, "queue_us", trace->queue_us);
    s_set_number (object, "work_us", trace->work_us);
    s_set_text (object, "worker", trace->worker);
    s_set_number (object, "reply_parts", trace->reply.parts);
    s_set_number (object, "reply_part_bytes", trace->reply.bytes);
    s_set_number (object, "request_parts", trace->body.parts);
    s_set_number (object, "request_part_bytes", trace->body.bytes);
    s_set_number (object, "omitted", trace->omitted);
    json_t *events = json_array ();
    for (size_t index = 0; index < trace->count; index++)
        (void) json_array_append_new (events, s_event_json (trace, index));
    s_set (object, "events", events);
    s_set (object, "text", text ? json_string (text) : NULL);
    free (text);
    return object;
}

json_t *rp_narrative_cause_json (const rp_cause_t *cause)
{
    char text[RP_NARRATIVE_MAX];
    json_t *object = json_object ();
    s_set_text (object, "kind", rp_cause_name (cause->kind));
    s_set (object, "text", json_string (rp_narrative_cause (cause, text)));
    s_set_number (object, "weight", cause->weight);
    s_set_number (object, "waiting", cause->waiting);
    s_set_number (object, "since_us", (uint64_t) cause->since_us);
    s_set_number (object, "oldest_us", (uint64_t) cause->oldest_us);
    s_set_number (object, "workers", cause->workers);
    s_set_number (object, "concerned", cause->concerned);
    s_set_number (object, "p50_us", cause->p50_us);
    s_set (object, "arrivals_per_s", json_real ((double) cause->arrivals / 1000));
    s_set_number (object, "more", cause->more);
    s_set_text (object, "worker", cause->worker);
    return object;
}
