/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/parts.h"

#include "broker/core/record.h"
#include "broker/core/request.h"
#include "broker/core/session.h"

static size_t s_bytes (const rp_request_t *request)
{
    return request->parts ? request->parts_bytes : 0;
}

/*  Takes the kept parts from a request.  */
static rp_payload_t *s_release (rp_dispatch_t *self, rp_request_t *request)
{
    rp_payload_t *parts = request->parts;
    self->stats.open_bytes -= s_bytes (request);
    request->parts = NULL;
    request->excluded = 0;
    return parts;
}

void rp_parts_clear (rp_dispatch_t *self, rp_request_t *request)
{
    rp_actions_drop (self->actions, s_release (self, request));
}

static void s_join (rp_dispatch_t *self, rp_payload_t *payload, rp_payload_t *other)
{
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_JOIN, (rp_session_id_t){0});
    action->payload = payload;
    action->other = other;
}

static void s_keep (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    if (request->parts) {
        s_join (self, request->parts, event->payload);
    }
    else {
        request->parts = event->payload;
        request->parts_bytes = 0;
        request->inlined = (event->head->flags & RP_FLAG_INLINE) != 0;
    }
    request->parts_bytes += (uint32_t) event->size;
    self->stats.open_bytes += event->size;
}

static void s_pass_on (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    rp_head_t head = *event->head;
    head.flags &= RP_FLAG_INLINE | RP_FLAG_MORE;
    rp_request_send_part (self, request, &head, event->payload);
    request->streamed = true;
    request->worker->service->figures->reply_bytes.sum += event->size; // its last part counts it
}

const char *rp_parts_excess (
  rp_dispatch_t *self, const rp_request_t *request, const rp_event_t *event)
{
    size_t size = event->size;
    if (event->head->status == RP_OK)
        size += s_bytes (request);
    if (!event->oversized && size <= self->limits.max_body)
        return NULL;
    self->stats.too_large++;
    return rp_actions_format (self->actions,
      "the reply of %zu bytes is over the limit of %llu (max_body)", size,
      (unsigned long long) self->limits.max_body);
}

/*  Ends the request with this text; the rest of its reply then comes too late.  */
static void s_end (rp_dispatch_t *self, rp_request_t *request, const char *text)
{
    request->worker->replies++;
    rp_record_request (self, RP_RECORD_ANSWER, request, RP_APP_ERROR);
    rp_request_abandon (self, request, RP_APP_ERROR, text);
}

void rp_parts_take (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    if (!request->answered && self->now >= rp_request_deadline (request))
        rp_request_due (self, request);
    if (request->answered) {
        self->stats.late_replies++;
        rp_record_late (self, request->worker, event->head->id);
        rp_actions_drop (self->actions, event->payload);
        return;
    }
    const char *excess;
    if (event->head->status != RP_OK) {
        rp_actions_drop (self->actions, event->payload);
        rp_session_close_invalid (
          self, request->worker, "a part of a reply whose status is not OK");
    }
    else if ((excess = rp_parts_excess (self, request, event))) {
        rp_actions_drop (self->actions, event->payload);
        s_end (self, request, excess);
    }
    else if (request->client_queue->client->traits & RP_TRAIT_PARTS) {
        s_pass_on (self, request, event);
    }
    else if (self->stats.open_bytes + self->stats.backlog_bytes + event->size
             > self->limits.total_queue_bytes) {
        rp_actions_drop (self->actions, event->payload);
        s_end (self, request,
          "open requests and the parts of their replies take too many bytes in the broker (limit "
          "total_queue_bytes)");
    }
    else {
        s_keep (self, request, event);
    }
}

void rp_parts_answer (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event)
{
    rp_octaves_t *bytes = &request->worker->service->figures->reply_bytes;
    if (event->head->status != RP_OK) {
        rp_octaves_add (bytes, event->size);
        rp_request_answer (self, request, event->head, event->payload);
        return;
    }
    rp_octaves_add (bytes, event->size + s_bytes (request));
    // The head of the first part goes out, with the values of the last part's head.
    rp_head_t head = *event->head;
    head.flags &= (uint16_t) ~RP_FLAG_INLINE;
    if (request->inlined)
        head.flags |= RP_FLAG_INLINE;
    rp_payload_t *parts = s_release (self, request);
    s_join (self, parts, event->payload);
    rp_request_answer (self, request, &head, parts);
}
