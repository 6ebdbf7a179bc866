/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/job_trace.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/admin/narrative.h"
#include "broker/jobs/job_id.h"
#include "common/program/instant.h"
#include "common/wire/headers.h"

static const char *s_text (rp_store_span_t span)
{
    return span.size ? span.data : "";
}

static int64_t s_since (int64_t from, int64_t to)
{
    return to > from ? to - from : 0;
}

static rp_trace_event_t *s_add (rp_trace_t *trace, rp_trace_kind_t kind, int64_t at)
{
    rp_trace_event_t *event = &trace->events[trace->count++];
    *event = (rp_trace_event_t){
      .kind = kind, .at = at > trace->accepted ? at : trace->accepted, .worker = "", .text = ""};
    return event;
}

static void s_add_wait (
  rp_trace_t *trace, rp_trace_kind_t kind, int64_t from, int64_t to, const char *why)
{
    rp_trace_event_t *event = s_add (trace, kind, to);
    event->us = s_since (from, to);
    event->text = why;
    trace->queue_us +=
      (uint32_t) (event->us < UINT32_MAX - trace->queue_us ? event->us
                                                           : UINT32_MAX - trace->queue_us);
}

/*  True if it died, and was perhaps retried since.  */
static bool s_has_died (const rp_store_row_t *row)
{
    return row->state == RP_JOB_DEAD || row->child != 0;
}

static bool s_is_over (const rp_store_row_t *row)
{
    return row->state == RP_JOB_DONE || row->state == RP_JOB_DEAD;
}

/*  Returns the attempt that ended with the job; NULL: none was running then.  */
static const rp_store_attempt_t *s_final_attempt (const rp_store_row_t *row)
{
    const rp_store_attempt_t *last =
      row->attempt_count ? &row->attempts[row->attempt_count - 1] : NULL;
    return last && s_is_over (row) && last->ended == row->ended ? last : NULL;
}

/*  Adds an attempt: how long it was waited for, to whom it was given, and that it came to nothing, unless it is the
    one that runs, or has answered.  */
static void s_add_attempt (rp_trace_t *trace, const rp_store_row_t *row, size_t index, int64_t from)
{
    static const char pause[] = "the pause after an attempt that failed";
    static const char delay[] = "it was sent to begin later";
    const rp_store_attempt_t *attempt = &row->attempts[index];
    bool delayed = index == 0 && row->job.not_before > row->job.accepted;
    if (attempt->started > from)
        s_add_wait (trace, RP_TRACE_WAITED, from, attempt->started,
          index > 0 ? pause
          : delayed ? delay
                    : "");
    rp_trace_event_t *given = s_add (trace, RP_TRACE_GIVEN, attempt->started);
    given->attempt = attempt->number;
    given->worker = trace->worker = s_text (attempt->worker);
    if (!attempt->ended || (attempt == s_final_attempt (row) && !s_has_died (row)))
        return;
    rp_trace_event_t *failed = s_add (trace, RP_TRACE_FAILED, attempt->ended);
    failed->us = s_since (attempt->started, attempt->ended);
    failed->attempt = attempt->number;
    failed->worker = given->worker;
    failed->status = attempt->status;
    failed->text = s_text (attempt->text);
}

/*  Adds the attempts, of many the latest. Returns when the last of them ended, or the job was accepted.  */
static int64_t s_add_attempts (rp_trace_t *trace, const rp_store_row_t *row)
{
    size_t most = RP_TRACE_LOSSES_MAX;
    size_t first = row->attempt_count > most ? row->attempt_count - most : 0;
    int64_t from = first ? row->attempts[first - 1].ended : row->job.accepted;
    trace->omitted = (uint32_t) first;
    for (size_t index = first; index < row->attempt_count; index++) {
        s_add_attempt (trace, row, index, from);
        from = row->attempts[index].ended;
    }
    return from;
}

static void s_add_open (rp_job_trace_t *self, const rp_store_row_t *row, int64_t from, int64_t wall)
{
    char instant[RP_INSTANT_TEXT_MAX];
    rp_trace_t *trace = &self->trace;
    if (row->state == RP_JOB_RUNNING) {
        const rp_store_attempt_t *last =
          row->attempt_count ? &row->attempts[row->attempt_count - 1] : NULL;
        rp_trace_event_t *runs = s_add (trace, RP_TRACE_RUNS, wall);
        runs->us = last ? s_since (last->started, wall) : 0;
        runs->worker = trace->worker;
        return;
    }
    if (row->due > wall)
        snprintf (self->text, sizeof self->text, "it is not to begin before %s",
          rp_instant_format (instant, sizeof instant, row->due));
    else
        snprintf (self->text, sizeof self->text, "no worker has taken it yet");
    s_add_wait (trace, RP_TRACE_WAITS, from, wall, self->text);
}

static void s_add_end (
  rp_job_trace_t *self, const rp_store_row_t *row, const rp_store_secret_t *secret)
{
    rp_trace_t *trace = &self->trace;
    const rp_store_attempt_t *last = s_final_attempt (row);
    bool dead = s_has_died (row);
    rp_trace_event_t *end = s_add (trace, dead ? RP_TRACE_DIED : RP_TRACE_ENDED, row->ended);
    end->status = row->status;
    end->attempt = row->attempt;
    end->text = s_text (row->text);
    if (last && !dead) {
        end->us = s_since (last->started, row->ended);
        end->worker = trace->worker;
        trace->work_us = (uint32_t) (end->us < UINT32_MAX ? end->us : UINT32_MAX);
    }
    if (dead)
        end->text = "";
    if (row->child) {
        snprintf (self->text, sizeof self->text, "%" PRIu64, rp_job_id_tell (secret, row->child));
        s_add (trace, RP_TRACE_RETRIED, row->ended)->text = self->text;
    }
}

static void s_find_request_id (rp_job_trace_t *self, const rp_store_row_t *row)
{
    rp_header_t header;
    if (!rp_headers_find (
          row->job.headers.data, row->job.headers.size, RP_TRACE_REQUEST_ID, &header))
        return;
    size_t size =
      header.value_size < RP_TRACE_REQUEST_ID_MAX ? header.value_size : RP_TRACE_REQUEST_ID_MAX;
    memcpy (self->request_id, header.value, size);
}

void rp_job_trace (
  rp_job_trace_t *self, const rp_store_row_t *row, const rp_store_secret_t *secret, int64_t wall)
{
    bool over = s_is_over (row);
    memset (self, 0, sizeof *self);
    rp_trace_t *trace = &self->trace;
    trace->token.v = rp_job_id_tell (secret, row->id);
    trace->open = !over;
    trace->status = row->status;
    trace->attempt = row->attempt;
    trace->attempts = row->job.attempts;
    trace->accepted = row->job.accepted;
    trace->ended = over ? row->ended : wall;
    if (trace->ended < trace->accepted)
        trace->ended = trace->accepted;
    trace->service = s_text (row->job.service);
    trace->principal = s_text (row->job.principal);
    trace->client = trace->worker = trace->trace_id = trace->parent_id = "";
    trace->request_id = self->request_id;
    s_find_request_id (self, row);
    (void) s_add (trace, RP_TRACE_ACCEPTED, trace->accepted);
    int64_t from = s_add_attempts (trace, row);
    if (over)
        s_add_end (self, row, secret);
    else
        s_add_open (self, row, from, wall);
}

json_t *rp_job_trace_json (const rp_store_row_t *row, const rp_store_secret_t *secret, int64_t wall)
{
    rp_job_trace_t self;
    char id[24];
    rp_job_trace (&self, row, secret, wall);
    snprintf (id, sizeof id, "%" PRIu64, self.trace.token.v);
    json_t *object =
      rp_narrative_trace_json (&self.trace, wall > self.trace.ended ? wall : self.trace.ended);
    if (object)
        (void) json_object_set_new (object, "job", json_string (id));
    return object;
}
