/*  Span queue: takes ended requests from the broker's thread to the one that exports their spans. Neither
    ever waits for the other; what does not fit is refused.

    SPDX-License-Identifier: MPL-2.0

    Bounds: RP_SPAN_QUEUE_COUNT requests, RP_SPAN_QUEUE_BYTES of memory.
    Thread-safety: one thread puts, one takes. Counts may be asked for by both, and are of a moment.
*/

#ifndef RP_SPAN_QUEUE_H
#define RP_SPAN_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/trace.h"

/*  Requests in the queue, at most. A power of two.  */
#define RP_SPAN_QUEUE_COUNT 8192u
/*  Bytes of requests in the queue, at most; one takes some 300.  */
#define RP_SPAN_QUEUE_BYTES ((size_t) 8 << 20)

typedef struct {
    rp_trace_ended_t **slots;
    _Atomic uint32_t put; /* how many were ever put, and taken; both wrap around */
    _Atomic uint32_t taken;
    _Atomic size_t bytes;
} rp_span_queue_t;

/*  False when out of memory; self may be cleared all the same.  */
bool rp_span_queue_init (rp_span_queue_t *self);

/*  Frees what is in it. Both threads are done with it.  */
void rp_span_queue_clear (rp_span_queue_t *self);

/*  Puts an ended request, which is the queue's from now on. False if there is no room: it stays the
    caller's.  */
bool rp_span_queue_put (rp_span_queue_t *self, rp_trace_ended_t *ended);

/*  Takes the oldest one, which the caller frees; NULL: there is none.  */
rp_trace_ended_t *rp_span_queue_take (rp_span_queue_t *self);

uint32_t rp_span_queue_count (const rp_span_queue_t *self);

#endif
