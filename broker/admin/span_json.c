/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/span_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <riposte/error.h>

#include "common/base/utf8.h"
#include "common/wire/head.h"

/*  Values of trace.proto.  */
#define S_KIND_INTERNAL 1
#define S_KIND_CONSUMER 5
#define S_STATUS_ERROR 2
/*  Sampled; it is known whether the parent is remote, and it is.  */
#define S_FLAGS 0x301

/*  ---- From timelines to spans ---------------------------------------------------------------- */

typedef struct {
    bool works; /* a worker has the request; otherwise it is in the queue */
    int64_t begin;
    int64_t end;
    const rp_trace_event_t *event; /* with which it ends */
    const rp_trace_event_t *wait;  /* in the queue: why; NULL: it did not wait */
} s_span_t;

typedef void (s_span_fn) (const rp_trace_t *trace, const s_span_t *span, void *arg);

/*  Ends what is under way with an event. A stay in a queue between two attempts that took no time is left out.  */
static void s_end_span (const rp_trace_t *trace,
  s_span_t *span,
  const rp_trace_event_t *event,
  s_span_fn *function,
  void *arg)
{
    span->end = event->at;
    span->event = event;
    bool first = span->begin == trace->accepted;
    if (span->works || first || span->end > span->begin || event->kind == RP_TRACE_ENDED)
        function (trace, span, arg);
    *span = (s_span_t){.works = event->kind == RP_TRACE_GIVEN, .begin = event->at};
}

static void s_each_span (const rp_trace_t *trace, s_span_fn *function, void *arg)
{
    s_span_t span = {.begin = trace->accepted};
    for (size_t index = 0; index < trace->count; index++) {
        const rp_trace_event_t *event = &trace->events[index];
        if (event->kind == RP_TRACE_WAITED)
            span.wait = event;
        else if (event->kind != RP_TRACE_ACCEPTED)
            s_end_span (trace, &span, event, function, arg);
    }
}

static void s_count_span (const rp_trace_t *trace, const s_span_t *span, void *arg)
{
    (void) trace;
    (void) span;
    ++*(uint32_t *) arg;
}

static void s_count_spans (const rp_trace_t *trace, void *arg)
{
    s_each_span (trace, s_count_span, arg);
}

uint32_t rp_span_json_count (const rp_trace_ended_t *ended)
{
    uint32_t count = 0;
    rp_trace_ended_read (ended, s_count_spans, &count);
    return count;
}

/*  ---- Text ----------------------------------------------------------------------------------- */

/*  JSON as it grows. A batch has half a thousand spans with ten attributes each, so it is written as text, and not
    made of objects first.  */
typedef struct {
    char *text;
    size_t size;
    size_t capacity;
    bool failed; /* out of memory: nothing more is written */
    bool more;   /* a comma comes before the next member */
} s_out_t;

static void s_put (s_out_t *out, const char *bytes, size_t size)
{
    if (!out->failed && size > out->capacity - out->size) {
        size_t capacity = (out->size + size) * 2;
        char *text = realloc (out->text, capacity);
        out->failed = !text;
        out->text = text ? text : out->text;
        out->capacity = text ? capacity : out->capacity;
    }
    if (out->failed)
        return;
    memcpy (out->text + out->size, bytes, size);
    out->size += size;
}

static void s_write (s_out_t *out, const char *text)
{
    s_put (out, text, strlen (text));
}

/*  Begins an object or array, or ends one.  */
static void s_open (s_out_t *out, const char *text)
{
    if (out->more)
        s_put (out, ",", 1);
    s_write (out, text);
    out->more = false;
}

static void s_close (s_out_t *out, const char *text)
{
    s_write (out, text);
    out->more = true;
}

/*  Writes a text in quotes. A peer's need not be UTF-8, and could be invisible.  */
static void s_quote (s_out_t *out, const char *text)
{
    char visible[4 * UINT8_MAX + 1];
    size_t size = rp_utf8_escape (text, strlen (text), visible, sizeof visible);
    s_put (out, "\"", 1);
    for (size_t at = 0; at < size;) {
        size_t plain = strcspn (visible + at, "\"\\");
        s_put (out, visible + at, plain);
        at += plain;
        if (at == size)
            break;
        s_put (out, "\\", 1);
        s_put (out, visible + at++, 1);
    }
    s_put (out, "\"", 1);
}

static void s_name (s_out_t *out, const char *name)
{
    s_open (out, "\"");
    s_write (out, name);
    s_write (out, "\":");
}

static void s_member (s_out_t *out, const char *name, const char *text)
{
    s_name (out, name);
    s_quote (out, text);
    out->more = true;
}

/*  The same with a text of our own, which needs no look.  */
static void s_member_plain (s_out_t *out, const char *name, const char *text)
{
    s_name (out, name);
    s_put (out, "\"", 1);
    s_write (out, text);
    s_close (out, "\"");
}

/*  Writes a number that has at most 32 bits.  */
static void s_member_number (s_out_t *out, const char *name, unsigned number)
{
    char text[16];
    s_name (out, name);
    s_put (out, text, (size_t) snprintf (text, sizeof text, "%u", number));
    out->more = true;
}

/*  Writes a number of 64 bits, which JSON of protobuf has in quotes.  */
static void s_member_long (s_out_t *out, const char *name, uint64_t number)
{
    char text[24];
    snprintf (text, sizeof text, "%" PRIu64, number);
    s_member_plain (out, name, text);
}

/*  ---- Attributes ----------------------------------------------------------------------------- */

static void s_open_attribute (s_out_t *out, const char *key)
{
    s_open (out, "{");
    s_member_plain (out, "key", key);
    s_name (out, "value");
    s_open (out, "{");
}

/*  Writes an attribute; an empty one is left out.  */
static void s_add_text (s_out_t *out, const char *key, const char *text)
{
    if (!*text)
        return;
    s_open_attribute (out, key);
    s_member (out, "stringValue", text);
    s_close (out, "}}");
}

/*  The same with a text of our own.  */
static void s_add_plain (s_out_t *out, const char *key, const char *text)
{
    s_open_attribute (out, key);
    s_member_plain (out, "stringValue", text);
    s_close (out, "}}");
}

static void s_add_number (s_out_t *out, const char *key, uint64_t number)
{
    s_open_attribute (out, key);
    s_member_long (out, "intValue", number);
    s_close (out, "}}");
}

/*  ---- Spans ---------------------------------------------------------------------------------- */

typedef struct {
    s_out_t out;
    const rp_span_json_options_t *options;
} s_writing_t;

/*  The kind of error with which a span ends; NULL: with none.  */
static const char *s_error (const rp_trace_event_t *event)
{
    switch (event->kind) {
        case RP_TRACE_LOST:
            return rp_status_name (RP_WORKER_LOST);
        case RP_TRACE_UNSENT:
            return "UNSENT";
        case RP_TRACE_ENDED:
            return event->status == RP_OK ? NULL : rp_status_name (event->status);
        default:
            return NULL;
    }
}

static void s_add_queue (s_out_t *out, const rp_trace_t *trace, const s_span_t *span)
{
    s_add_text (out, "messaging.client.id", trace->client);
    s_add_text (out, "riposte.principal", trace->principal);
    if (trace->attempts)
        s_add_number (out, "riposte.attempts", trace->attempts);
    if (!span->wait)
        return;
    s_add_plain (out, "riposte.wait", rp_wait_name (span->wait->wait));
    if (span->wait->workers)
        s_add_number (out, "riposte.workers", span->wait->workers);
}

static void s_add_work (s_out_t *out, const rp_trace_event_t *event)
{
    s_add_plain (out, "messaging.operation.type", "process");
    s_add_text (out, "riposte.worker", event->worker);
    s_add_number (out, "riposte.attempt", event->attempt);
    if (event->kind != RP_TRACE_ENDED)
        s_add_plain (out, "riposte.outcome", rp_trace_kind_name (event->kind));
}

static void s_add_attributes (
  s_out_t *out, const rp_trace_t *trace, const s_span_t *span, const char *error)
{
    char id[24];
    snprintf (id, sizeof id, "%" PRIu64, trace->token.v);
    s_add_plain (out, "messaging.system", "riposte");
    s_add_plain (out, "messaging.operation.name", span->works ? "work" : "queue");
    s_add_text (out, "messaging.destination.name", trace->service);
    s_add_plain (out, "messaging.message.id", id);
    s_add_text (out, "riposte.request_id", trace->request_id);
    if (span->works)
        s_add_work (out, span->event);
    else
        s_add_queue (out, trace, span);
    if (span->event->kind == RP_TRACE_ENDED) {
        s_add_plain (out, "riposte.status", rp_status_name (span->event->status));
        if (trace->omitted)
            s_add_number (out, "riposte.omitted_attempts", trace->omitted);
    }
    if (error)
        s_add_plain (out, "error.type", error);
}

static void s_add_status (s_out_t *out, const char *message)
{
    s_name (out, "status");
    s_open (out, "{");
    s_member_number (out, "code", S_STATUS_ERROR);
    if (*message)
        s_member (out, "message", message);
    s_close (out, "}");
}

static void s_member_id (s_out_t *out, uint64_t (*random) (void))
{
    char text[17];
    uint64_t id = 0;
    while (id == 0)
        id = random ();
    snprintf (text, sizeof text, "%016" PRIx64, id);
    s_member_plain (out, "spanId", text);
}

static void s_member_time (s_out_t *out, const char *name, int64_t us)
{
    s_member_long (out, name, us > 0 ? (uint64_t) us * 1000 : 0);
}

static void s_write_span (const rp_trace_t *trace, const s_span_t *span, void *arg)
{
    s_writing_t *writing = arg;
    s_out_t *out = &writing->out;
    int64_t wall_us = writing->options->wall_us;
    const char *error = s_error (span->event);
    char name[8 + RP_WIRE_NAME_MAX];
    snprintf (name, sizeof name, "%s %s", span->works ? "work" : "queue", trace->service);
    s_open (out, "{");
    s_member_plain (out, "traceId", trace->trace_id);
    s_member_id (out, writing->options->random);
    s_member_plain (out, "parentSpanId", trace->parent_id);
    s_member_number (out, "flags", S_FLAGS);
    s_member (out, "name", name);
    s_member_number (out, "kind", span->works ? S_KIND_INTERNAL : S_KIND_CONSUMER);
    s_member_time (out, "startTimeUnixNano", span->begin + wall_us);
    s_member_time (out, "endTimeUnixNano", span->end + wall_us);
    s_name (out, "attributes");
    s_open (out, "[");
    s_add_attributes (out, trace, span, error);
    s_close (out, "]");
    if (error)
        s_add_status (out, span->event->text);
    s_close (out, "}");
}

static void s_write_spans (const rp_trace_t *trace, void *arg)
{
    s_each_span (trace, s_write_span, arg);
}

/*  ---- The whole ------------------------------------------------------------------------------ */

char *rp_span_json_write (
  rp_trace_ended_t *const *ended, size_t count, const rp_span_json_options_t *options, size_t *size)
{
    s_writing_t writing = {.options = options};
    s_out_t *out = &writing.out;
    s_open (out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    s_add_plain (out, "service.name", "riposte-broker");
    s_add_plain (out, "service.version", options->version);
    s_add_plain (out, "service.instance.id", options->instance);
    s_close (out, "]}");
    s_open (out, "\"scopeSpans\":[{\"scope\":{");
    s_member_plain (out, "name", "riposte");
    s_member_plain (out, "version", options->version);
    s_close (out, "}");
    s_open (out, "\"spans\":[");
    for (size_t index = 0; index < count; index++)
        rp_trace_ended_read (ended[index], s_write_spans, &writing);
    s_write (out, "]}]}]}");
    *size = out->size;
    if (!out->failed)
        return out->text;
    free (out->text);
    return NULL;
}

uint32_t rp_span_json_refused (const char *answer, size_t size, uint32_t most)
{
    json_t *json = json_loadb (answer, size, 0, NULL);
    const json_t *refused =
      json_object_get (json_object_get (json, "partialSuccess"), "rejectedSpans");
    long long count = json_is_string (refused)    ? strtoll (json_string_value (refused), NULL, 10)
                      : json_is_integer (refused) ? json_integer_value (refused)
                                                  : 0;
    json_decref (json);
    return count <= 0 ? 0 : count < (long long) most ? (uint32_t) count : most;
}
