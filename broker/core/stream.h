/*  Streams: bodies in parts, of a reply or of a request, with what their readers grant.

    SPDX-License-Identifier: MPL-2.0

    A reply in parts is any number of REPLYs with RP_FLAG_MORE, then one without; a request in parts
    is a REQUEST with RP_FLAG_MORE, then PARTs, of which the last is without. Parts are passed on as
    they come, and nothing of them stays here: the reader has granted them. So a stream costs the
    broker one rp_request_stream_t, whatever travels in it.

    Foreign workers send parts but know no grants (RP_TRAIT_PARTS). What was not granted of theirs,
    and all of it if the client asked for no parts, is kept and joined, up to max_body, and goes out
    with the last part as one reply. Kept bytes count in open_bytes, so that total_queue_bytes bounds
    them. In the place of foreign clients that take parts the shell grants (broker/transport/grants.h), so the
    core sees a stream like any other; but parts of foreign workers they get as they come, granted or not.

    What its client has seen, or was granted by its worker, is not redelivered (rp_request_t,
    begun). Source: docs/PROTOCOL.md, section 11. Internal to the core.
*/

#ifndef RP_STREAM_H
#define RP_STREAM_H

#include "broker/core/state.h"

/*  A body in parts, one way. The costs of its parts, rp_wire_part_cost: passed <= granted. What a foreign worker sends
    to a foreign client beyond that counts as granted.  */
typedef struct {
    uint64_t granted;
    uint64_t passed;
    rp_trace_parts_t total; /* passed on so far */
} rp_flow_t;

/*  What a request has beside rp_request_t, if one of its bodies comes in parts.  */
struct rp_request_stream {
    rp_pooled_t pooled;
    rp_flow_t reply;
    rp_flow_t body;
    rp_payload_t *kept; /* parts of the reply so far, joined */
    int64_t moved;      /* when something was passed on last, or its worker got the request */
    uint32_t kept_bytes;
    uint32_t window;  /* granted at the start */
    uint32_t idle_ms; /* 0: it may be silent for as long as it likes */
    bool inlined;     /* the first kept part has RP_FLAG_INLINE */
    bool body_ended;  /* the last part of the body was passed on */
};

/*  Checks what a REQUEST with RP_FLAG_STREAM or RP_FLAG_MORE states. Returns what is wrong with it,
    or NULL.  */
const char *rp_stream_refuse (rp_dispatch_t *self, const rp_head_t *head);

/*  Makes the stream of a request that has just been accepted. False when out of memory.  */
bool rp_stream_open (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head);

/*  True if the worker can read the body of this request.  */
static inline bool rp_stream_fits (const rp_request_t *request, const rp_session_t *worker)
{
    return (request->flags & (unsigned) ~worker->reads & RP_FLAG_MORE) == 0;
}

/*  The worker has just been given the request: tells it what was granted meanwhile.  */
void rp_stream_start (rp_dispatch_t *self, rp_request_t *request);

/*  When the stream of a running request has been silent for too long; RP_NEVER: it may be.  */
int64_t rp_stream_due (const rp_request_t *request);

/*  Takes a part of a reply from the worker that holds the request.  */
void rp_stream_take (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event);

/*  Checks the size of a reply with its kept parts. Returns a text for the client, and counts the
    reply, if it is too large; otherwise NULL.  */
const char *rp_stream_excess (
  rp_dispatch_t *self, const rp_request_t *request, const rp_event_t *event);

/*  Takes the last part: answers with it, and with the kept ones. An error status goes alone, and the
    kept ones are dropped.  */
void rp_stream_answer (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event);

/*  Takes a PART of a client; consumes the payload.  */
void rp_stream_part (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event);

/*  Takes a GRANT of a client, or of a worker.  */
void rp_stream_grant (rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event);
void rp_stream_grant_body (rp_dispatch_t *self, rp_session_t *worker, const rp_event_t *event);

/*  A worker lost the request, which is to be given to another: drops the kept parts.  */
void rp_stream_restart (rp_dispatch_t *self, rp_request_t *request);

/*  What was passed on of a reply, or of a request, in parts.  */
static inline rp_trace_parts_t rp_stream_reply_total (const rp_request_t *request)
{
    return request->stream ? request->stream->reply.total : (rp_trace_parts_t){0};
}

static inline rp_trace_parts_t rp_stream_body_total (const rp_request_t *request)
{
    return request->stream ? request->stream->body.total : (rp_trace_parts_t){0};
}

/*  The request has its final status: frees the stream. Returns the reply to send: if it is a failure, it
    says in addition how much was passed on; to a foreign client, which did not ask for parts, only if it was something.  */
const rp_head_t *rp_stream_close (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply);

#endif
