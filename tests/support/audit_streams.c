/*  Bodies in parts: what their readers have granted, and what may and must be passed on.

    SPDX-License-Identifier: MPL-2.0

    The model hears grants and parts as the parties say them, before the core does.
*/

#include "tests/support/audit.h"

#include <stdlib.h>

#include "common/base/heap.h"
#include "common/wire/headers.h"

static uint64_t s_number (const rp_head_t *head, const char *key)
{
    uint64_t number = 0;
    return rp_headers_number (head->headers, head->headers_size, key, INT64_MAX, &number) ? number
                                                                                          : 0;
}

void audit_stream_begin (audit_t *self, audit_request_t *request, const rp_head_t *head)
{
    (void) self;
    request->stream = (head->flags & RP_FLAG_STREAM) != 0;
    request->more = (head->flags & RP_FLAG_MORE) != 0;
    request->window = request->stream ? s_number (head, RP_STREAM_WINDOW) : 0;
    request->reply.granted = request->window;
    if (request->stream || request->more)
        request->idle = (int64_t) s_number (head, RP_STREAM_IDLE) * 1000;
}

bool audit_stream_is_silent (const audit_t *self, const audit_request_t *request)
{
    return request->delivery && request->idle && self->now >= request->moved + request->idle;
}

/*  ---- Events -------------------------------------------------------------------------------- */

/*  True if this grant means anything, and is not over the limit.  */
static bool s_grant (audit_t *self, audit_flow_t *flow, const rp_head_t *head)
{
    if (head->granted <= flow->granted || head->granted - flow->granted < RP_PART_COST
        || head->granted - flow->granted < (flow->granted - flow->passed) / 4
        || head->granted - flow->passed > rp_dispatch_limits (self->core)->stream_window)
        return false;
    flow->granted = head->granted;
    return true;
}

static void s_hear_client_grant (audit_t *self, const audit_peer_t *client, const rp_head_t *head)
{
    audit_request_t *request = audit_find_request (self, client, head->id);
    if (request && request->stream && s_grant (self, &request->reply, head))
        request->moved = self->now;
}

static void s_hear_worker_grant (audit_t *self, const audit_peer_t *worker, const rp_head_t *head)
{
    audit_delivery_t *delivery = audit_find_delivery (self, (rp_token_t){head->id});
    audit_request_t *request = delivery && delivery->worker == worker ? delivery->request : NULL;
    if (!request || !request->more || request->body.over || !s_grant (self, &request->body, head))
        return;
    delivery->begun = true;
    request->moved = self->now;
}

static void s_hear_part (
  audit_t *self, const audit_peer_t *client, const rp_head_t *head, size_t size, bool oversized)
{
    audit_request_t *request = audit_find_request (self, client, head->id);
    bool more = head->flags & RP_FLAG_MORE;
    uint64_t cost = more ? rp_wire_part_cost (size) : 0;
    if (!request || !request->more || oversized || request->body.granted == 0 || request->body.over
        || cost > request->body.granted - request->body.passed)
        return;
    request->body.passed += cost;
    request->body.over = !more;
    request->body.count++;
    request->moved = self->now;
}

void audit_stream_hear (
  audit_t *self, const audit_peer_t *peer, const rp_head_t *head, size_t size, bool oversized)
{
    if (head->command == RP_COMMAND_PART && !peer->worker)
        s_hear_part (self, peer, head, size, oversized);
    if (head->command != RP_COMMAND_GRANT || size > 0)
        return;
    if (peer->worker)
        s_hear_worker_grant (self, peer, head);
    else
        s_hear_client_grant (self, peer, head);
}

bool audit_stream_passes (
  const audit_request_t *request, const audit_peer_t *worker, const rp_head_t *head, size_t size)
{
    bool foreign = worker->traits & RP_TRAIT_PARTS;
    if (foreign && request->client->traits & RP_TRAIT_PARTS)
        return true;
    uint64_t cost = rp_wire_part_cost (size + head->headers_size);
    return request->stream && !request->parts
           && cost <= request->reply.granted - request->reply.passed;
}

/*  ---- Actions ------------------------------------------------------------------------------- */

void audit_stream_reply (
  audit_t *self, const rp_action_t *action, audit_request_t *request, const rp_head_t *head)
{
    AUDIT_REQUIRE (self,
      self->event && self->part == request && action->payload == self->event->payload,
      "a part is passed on that is another stream's, or out of its order");
    AUDIT_REQUIRE (self, request->delivery && self->sender == request->delivery->worker,
      "a part of one that does not have the request");
    AUDIT_REQUIRE (
      self, head->status == RP_OK && head->attempt == request->starts, "a part with a status");
    unsigned traits = request->client->traits & request->delivery->worker->traits;
    bool unbounded = traits & RP_TRAIT_PARTS;
    AUDIT_REQUIRE (self, unbounded || request->stream, "a part for a client that takes none");
    request->reply.passed += rp_wire_part_cost (action->payload->body + head->headers_size);
    if (unbounded && request->reply.granted < request->reply.passed)
        request->reply.granted = request->reply.passed;
    AUDIT_REQUIRE (self, request->reply.passed <= request->reply.granted,
      "more of a reply is passed on than its client has granted");
    request->streamed = true;
    request->moved = self->now;
    self->part = NULL;
    self->passes = false;
}

void audit_stream_body (audit_t *self, const rp_action_t *action, const rp_head_t *head)
{
    audit_delivery_t *delivery = audit_find_delivery (self, (rp_token_t){head->id});
    const rp_event_t *event = self->event;
    AUDIT_REQUIRE (self, delivery && delivery->worker->id.v == action->session.v,
      "a PART for a worker that does not have the request");
    audit_request_t *request = delivery->request;
    AUDIT_REQUIRE (self,
      request && event && action->payload == event->payload && event->head->id == request->id
        && self->sender == request->client,
      "a PART is passed on that is another stream's, or out of its order");
    AUDIT_REQUIRE (self, head->flags == event->head->flags, "a PART with other flags");
    AUDIT_REQUIRE (self, !delivery->body_over, "a PART behind the end of the body");
    AUDIT_REQUIRE (self,
      ++delivery->parts == request->body.count && request->body.passed <= request->body.granted,
      "more of a request is passed on than its worker has granted");
    delivery->body_over = !(head->flags & RP_FLAG_MORE);
}

void audit_stream_grant (audit_t *self, const rp_action_t *action, const rp_head_t *head)
{
    audit_peer_t *peer = audit_find_peer (self, action->session);
    if (!peer->worker) {
        audit_request_t *request = audit_find_request (self, peer, head->id);
        AUDIT_REQUIRE (self,
          request && request->more && head->granted == request->body.granted && request->delivery
            && self->sender == request->delivery->worker,
          "a grant for a client that no worker gave");
        request->told = head->granted;
        request->streamed = true;
        return;
    }
    audit_delivery_t *delivery = audit_find_delivery (self, (rp_token_t){head->id});
    const audit_request_t *request =
      delivery && delivery->worker == peer ? delivery->request : NULL;
    // What comes for a client that is over is dropped, and may have been granted.
    AUDIT_REQUIRE (self,
      request && request->stream && peer->streams
        && (head->granted == request->reply.granted || request->client->over),
      "a grant for a worker that no client gave");
    delivery->told = head->granted;
}

void audit_stream_start (
  audit_t *self, audit_delivery_t *delivery, audit_request_t *request, const rp_head_t *head)
{
    const audit_peer_t *worker = delivery->worker;
    AUDIT_REQUIRE (self, !request->more || worker->streams,
      "a request in parts for a worker that does not read them");
    AUDIT_REQUIRE (self,
      (head->flags & RP_FLAG_STREAM) == (request->stream && worker->streams ? RP_FLAG_STREAM : 0)
        && (head->flags & RP_FLAG_MORE) == (request->more ? RP_FLAG_MORE : 0),
      "a delivery with other flags than its request");
    delivery->told = request->window;
    request->moved = self->now;
}

/*  ---- Checks -------------------------------------------------------------------------------- */

void audit_check_streams (audit_t *self)
{
    AUDIT_REQUIRE (self, !self->passes || !self->answered || self->answered->client->over,
      "a part that was granted is not passed on");
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        AUDIT_REQUIRE (self, request->client->over || request->told == request->body.granted,
          "a worker's grant is not passed on");
        const audit_delivery_t *delivery = request->delivery;
        if (!delivery || delivery->worker->over)
            continue;
        AUDIT_REQUIRE (self,
          !request->stream || !delivery->worker->streams || request->client->over
            || delivery->told == request->reply.granted,
          "a client's grant is not passed on");
        AUDIT_REQUIRE (
          self, delivery->parts == request->body.count, "a part of a request is not passed on");
    }
}
