/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/stream.h"

#include <string.h>

#include "broker/core/hedge.h"
#include "broker/core/record.h"
#include "broker/core/request.h"
#include "broker/core/session.h"
#include "common/wire/headers.h"

/*  ---- Begin and end ------------------------------------------------------------------------- */

const char *rp_stream_refuse (rp_dispatch_t *self, const rp_head_t *head)
{
    uint64_t window = 0, idle = 0;
    if (!rp_headers_number (
          head->headers, head->headers_size, RP_STREAM_IDLE, RP_DEADLINE_MAX_MS, &idle))
        return "stream-idle is a number of ms, at most a day";
    if (!(head->flags & RP_FLAG_STREAM))
        return NULL;
    if (!rp_headers_number (
          head->headers, head->headers_size, RP_STREAM_WINDOW, self->limits.stream_window, &window))
        return rp_actions_format (self->actions,
          "stream-window is a number of bytes, at most %llu (limit stream_window)",
          (unsigned long long) self->limits.stream_window);
    if (window < RP_STREAM_WINDOW_MIN)
        return "a request with STREAM has the header stream-window, of 65 bytes or more";
    return NULL;
}

/*  What was granted and not used yet.  */
static uint64_t s_left (const rp_flow_t *flow)
{
    return flow->granted - flow->passed;
}

static rp_request_stream_t *s_make (rp_dispatch_t *self, rp_request_t *request)
{
    if (!request->stream)
        request->stream = rp_pool_take (&self->streams);
    return request->stream;
}

bool rp_stream_open (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head)
{
    rp_request_stream_t *stream = s_make (self, request);
    if (!stream)
        return false;
    uint64_t window = 0, idle = 0;
    (void) rp_headers_number (
      head->headers, head->headers_size, RP_STREAM_WINDOW, UINT32_MAX, &window);
    (void) rp_headers_number (head->headers, head->headers_size, RP_STREAM_IDLE, UINT32_MAX, &idle);
    stream->window = head->flags & RP_FLAG_STREAM ? (uint32_t) window : 0;
    stream->reply.granted = stream->window;
    self->stats.granted_bytes += stream->window;
    stream->idle_ms = (uint32_t) idle;
    self->stats.streams++;
    return true;
}

void rp_stream_start (rp_dispatch_t *self, rp_request_t *request)
{
    rp_request_stream_t *stream = request->stream;
    stream->moved = self->now;
    if (request->worker->reads & RP_FLAG_STREAM && stream->reply.granted > stream->window)
        rp_session_tell (self, request->worker,
          &(rp_head_t){.command = RP_COMMAND_GRANT,
            .id = rp_pool_handle (&request->pooled),
            .granted = stream->reply.granted});
}

int64_t rp_stream_due (const rp_request_t *request)
{
    const rp_request_stream_t *stream = request->stream;
    return stream && stream->idle_ms ? stream->moved + (int64_t) stream->idle_ms * 1000 : RP_NEVER;
}

/*  Takes the kept parts from a stream.  */
static rp_payload_t *s_release (rp_dispatch_t *self, rp_request_stream_t *stream)
{
    rp_payload_t *kept = stream->kept;
    self->stats.open_bytes -= stream->kept_bytes;
    stream->kept = NULL;
    stream->kept_bytes = 0;
    return kept;
}

void rp_stream_restart (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->stream)
        rp_actions_drop (self->actions, s_release (self, request->stream));
}

const rp_head_t *rp_stream_close (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply)
{
    rp_request_stream_t *stream = request->stream;
    rp_actions_drop (self->actions, s_release (self, stream));
    self->stats.granted_bytes -= s_left (&stream->reply) + s_left (&stream->body);
    bool failed = reply->status != RP_OK && reply->status != RP_APP_ERROR;
    bool asked = !(request->client_queue->client->traits & RP_TRAIT_PARTS);
    const char *text = "";
    if (failed && request->flags & RP_FLAG_STREAM && (asked || stream->reply.total.parts))
        text = rp_actions_format (self->actions, "%.*s; %llu bytes of the reply had been passed on",
          (int) reply->text_size, reply->text_size ? reply->text : "",
          (unsigned long long) stream->reply.total.bytes);
    if (*text) {
        self->changed = *reply;
        self->changed.text = text;
        self->changed.text_size = (uint16_t) strlen (text);
        reply = &self->changed;
    }
    request->stream = NULL;
    rp_pool_give (&self->streams, stream);
    return reply;
}

/*  ---- Parts of a reply ---------------------------------------------------------------------- */

static size_t s_kept_bytes (const rp_request_t *request)
{
    return request->stream ? request->stream->kept_bytes : 0;
}

static void s_join (rp_dispatch_t *self, rp_payload_t *payload, rp_payload_t *other)
{
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_JOIN, (rp_session_id_t){0});
    action->payload = payload;
    action->other = other;
}

static void s_keep (rp_dispatch_t *self, rp_request_stream_t *stream, const rp_event_t *event)
{
    if (stream->kept) {
        s_join (self, stream->kept, event->payload);
    }
    else {
        stream->kept = event->payload;
        stream->inlined = (event->head->flags & RP_FLAG_INLINE) != 0;
    }
    stream->kept_bytes += (uint32_t) event->size;
    self->stats.open_bytes += event->size;
}

/*  Counts a part that is passed on. One of a foreign worker may be more than was granted.  */
static void s_count (
  rp_dispatch_t *self, rp_request_stream_t *stream, rp_flow_t *flow, size_t size, uint64_t cost)
{
    self->stats.granted_bytes -= s_left (flow);
    flow->passed += cost;
    if (flow->granted < flow->passed)
        flow->granted = flow->passed;
    self->stats.granted_bytes += s_left (flow);
    flow->total.parts++;
    flow->total.bytes += size;
    stream->moved = self->now;
    self->stats.parts++;
    self->stats.part_bytes += size;
}

static void s_pass_on (
  rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event, uint64_t cost)
{
    rp_request_stream_t *stream = request->stream;
    rp_head_t head = *event->head;
    head.flags &= RP_FLAG_INLINE | RP_FLAG_MORE;
    rp_request_send_part (self, request, &head, event->payload);
    request->begun = true;
    s_count (self, stream, &stream->reply, event->size, cost);
    request->worker->service->figures->reply_bytes.sum += event->size; // its last part counts it
}

const char *rp_stream_excess (
  rp_dispatch_t *self, const rp_request_t *request, const rp_event_t *event)
{
    size_t size = event->size;
    if (event->head->status == RP_OK)
        size += s_kept_bytes (request);
    if (!event->oversized && size <= self->limits.max_body)
        return NULL;
    self->stats.too_large++;
    return rp_actions_format (self->actions,
      "the reply of %zu bytes is over the limit of %llu (max_body)", size,
      (unsigned long long) self->limits.max_body);
}

/*  Ends the request with this text; the rest of its reply then comes too late.  */
static void s_end (
  rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event, const char *text)
{
    rp_actions_drop (self->actions, event->payload);
    request->worker->replies++;
    rp_record_request (self, RP_RECORD_ANSWER, request, RP_APP_ERROR);
    rp_request_abandon (self, request, RP_APP_ERROR, text);
}

/*  What is wrong with a part; NULL: nothing.  */
static const char *s_fault (const rp_head_t *head)
{
    if (head->status != RP_OK)
        return "a part of a reply whose status is not OK";
    if (head->text_size || head->code || head->flags & RP_FLAG_LAST)
        return "a part of a reply with a text, a code or LAST, which the last one has";
    return NULL;
}

/*  Passes a part on if it was granted. What a foreign worker sends beyond that is kept.  */
static void s_place (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    rp_session_t *worker = request->worker;
    rp_request_stream_t *stream = s_make (self, request);
    bool foreign = worker->traits & RP_TRAIT_PARTS;
    uint64_t cost = rp_wire_part_cost (rp_request_weight (event));
    bool unbounded = request->client_queue->client->traits & RP_TRAIT_PARTS;
    if (foreign && !stream) {
        s_end (self, request, event, "the broker is out of memory for the parts of the reply");
    }
    else if ((foreign && unbounded)
             || (stream && !stream->kept && cost <= s_left (&stream->reply))) {
        s_pass_on (self, request, event, cost);
    }
    else if (!foreign) {
        rp_actions_drop (self->actions, event->payload);
        rp_session_close_invalid (self, worker,
          request->flags & RP_FLAG_STREAM
            ? "a part of a reply beyond what its client has granted"
            : "a part of a reply whose client does not read it in parts");
    }
    else if (self->stats.open_bytes + self->stats.backlog_bytes + event->size
             > self->limits.total_queue_bytes) {
        s_end (self, request, event,
          "open requests and the parts of their replies take too many bytes in the broker (limit "
          "total_queue_bytes)");
    }
    else {
        s_keep (self, stream, event);
    }
}

void rp_stream_take (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    if (!request->answered && self->now >= rp_request_deadline (request))
        rp_request_due (self, request);
    if (request->answered) {
        self->stats.late_replies++;
        rp_record_late (self, request->worker, event->head->id);
        rp_actions_drop (self->actions, event->payload);
        return;
    }
    if (request->hedged)
        rp_hedge_settle (self, request);
    const char *fault = s_fault (event->head), *excess;
    if (fault) {
        rp_actions_drop (self->actions, event->payload);
        rp_session_close_invalid (self, request->worker, fault);
    }
    else if ((excess = rp_stream_excess (self, request, event))) {
        s_end (self, request, event, excess);
    }
    else {
        s_place (self, request, event);
    }
}

void rp_stream_answer (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    rp_request_stream_t *stream = request->stream;
    rp_octaves_t *bytes = &request->worker->service->figures->reply_bytes;
    bool alone = event->head->status != RP_OK || !stream->kept;
    rp_octaves_add (bytes, event->size + (alone ? 0 : stream->kept_bytes));
    if (alone) {
        rp_request_answer (self, request, event->head, event->payload);
        return;
    }
    // The head of the first part goes out, with the values of the last part's head.
    rp_head_t head = *event->head;
    head.flags &= (uint16_t) ~RP_FLAG_INLINE;
    if (stream->inlined)
        head.flags |= RP_FLAG_INLINE;
    rp_payload_t *kept = s_release (self, stream);
    s_join (self, kept, event->payload);
    rp_request_answer (self, request, &head, kept);
}

/*  ---- Parts of a request -------------------------------------------------------------------- */

/*  What is wrong with a PART for an open request; NULL: nothing.  */
static const char *s_part_fault (
  const rp_request_t *request, const rp_event_t *event, uint64_t cost)
{
    const rp_request_stream_t *stream = request->stream;
    if (!(request->flags & RP_FLAG_MORE))
        return "a PART for a request whose body is whole";
    if (event->oversized)
        return "a PART over the limit max_body";
    if (stream->body.granted == 0)
        return "a PART before the worker has granted any";
    if (stream->body_ended)
        return "a PART behind the end of the body";
    if (cost > stream->body.granted - stream->body.passed)
        return "a PART beyond what the worker has granted";
    return NULL;
}

/*  Drops a PART or GRANT for a request that is over, or that nobody knows.  */
static void s_late (rp_dispatch_t *self, rp_payload_t *payload)
{
    self->stats.late_parts++;
    rp_actions_drop (self->actions, payload);
}

void rp_stream_part (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    rp_request_t *request = rp_request_find (self, client, event->head->id);
    if (!request) {
        s_late (self, event->payload);
        return;
    }
    bool more = event->head->flags & RP_FLAG_MORE;
    uint64_t cost = more ? rp_wire_part_cost (event->size) : 0;
    const char *fault = s_part_fault (request, event, cost);
    if (fault) {
        rp_actions_drop (self->actions, event->payload);
        rp_session_close_invalid (self, client, fault);
        return;
    }
    rp_session_t *worker = request->worker; // that has granted it, so it has the request
    rp_request_stream_t *stream = request->stream;
    s_count (self, stream, &stream->body, event->size, cost);
    stream->body_ended = !more;
    if (worker->ending) {
        rp_actions_drop (self->actions, event->payload);
        return;
    }
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_SEND, rp_session_id (worker));
    action->payload = event->payload;
    action->head = (rp_head_t){.command = RP_COMMAND_PART,
      .flags = event->head->flags,
      .id = rp_pool_handle (&request->pooled)};
    worker->said = self->now;
}

/*  ---- Grants -------------------------------------------------------------------------------- */

/*  Takes a grant. False if it means nothing, or is over the limit, which ends its sender's session. Without the
    smallest steps a reader could fill its writer's memory with grants of a byte; or the backlog of a writer that does not
    read, which would cost it its session.  */
static bool s_grant (
  rp_dispatch_t *self, rp_session_t *sender, rp_flow_t *flow, const rp_head_t *head)
{
    if (head->granted <= flow->granted)
        return false;
    if (head->granted - flow->passed > self->limits.stream_window) {
        rp_session_close_invalid (self, sender,
          rp_actions_format (self->actions,
            "a GRANT of more than %llu bytes beyond what was passed on (limit stream_window)",
            (unsigned long long) self->limits.stream_window));
        return false;
    }
    uint64_t more = head->granted - flow->granted;
    if (more < RP_PART_COST || more < (flow->granted - flow->passed) / 4)
        return false;
    self->stats.granted_bytes += head->granted - flow->granted;
    flow->granted = head->granted;
    return true;
}

void rp_stream_grant (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event)
{
    rp_request_t *request = rp_request_find (self, client, event->head->id);
    if (!request) {
        s_late (self, NULL);
        return;
    }
    if (!(request->flags & RP_FLAG_STREAM)) {
        rp_session_close_invalid (self, client, "a GRANT for a request without STREAM");
        return;
    }
    rp_request_stream_t *stream = request->stream;
    if (!s_grant (self, client, &stream->reply, event->head))
        return;
    stream->moved = self->now;
    const rp_session_t *worker = request->worker;
    if (worker && worker->reads & RP_FLAG_STREAM)
        rp_session_tell (self, request->worker,
          &(rp_head_t){.command = RP_COMMAND_GRANT,
            .id = rp_pool_handle (&request->pooled),
            .granted = stream->reply.granted});
}

void rp_stream_grant_body (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event)
{
    rp_request_t *request = rp_pool_find (&self->requests, event->head->id);
    if (!request || request->worker != worker || request->answered) {
        s_late (self, NULL);
        return;
    }
    if (!(request->flags & RP_FLAG_MORE)) {
        rp_session_close_invalid (self, worker, "a GRANT for a request whose body is whole");
        return;
    }
    rp_request_stream_t *stream = request->stream;
    if (stream->body_ended) {
        s_late (self, NULL);
        return;
    }
    if (!s_grant (self, worker, &stream->body, event->head))
        return;
    request->begun = true;
    stream->moved = self->now;
    rp_session_tell (self, request->client_queue->client,
      &(rp_head_t){
        .command = RP_COMMAND_GRANT, .id = request->client_id, .granted = stream->body.granted});
}
