/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/span_queue.h"

#include <stdlib.h>

bool rp_span_queue_init (rp_span_queue_t *self)
{
    atomic_init (&self->put, 0);
    atomic_init (&self->taken, 0);
    atomic_init (&self->bytes, 0);
    self->slots = calloc (RP_SPAN_QUEUE_COUNT, sizeof (rp_trace_ended_t *));
    return self->slots != NULL;
}

void rp_span_queue_clear (rp_span_queue_t *self)
{
    rp_trace_ended_t *ended;
    while (self->slots && (ended = rp_span_queue_take (self)))
        free (ended);
    free (self->slots);
    self->slots = NULL;
}

uint32_t rp_span_queue_count (const rp_span_queue_t *self)
{
    uint32_t taken = atomic_load (&self->taken); // first, so that it is not over what was put
    return atomic_load (&self->put) - taken;
}

bool rp_span_queue_put (rp_span_queue_t *self, rp_trace_ended_t *ended)
{
    size_t size = rp_trace_ended_size (ended);
    if (rp_span_queue_count (self) >= RP_SPAN_QUEUE_COUNT
        || atomic_load (&self->bytes) + size > RP_SPAN_QUEUE_BYTES)
        return false;
    uint32_t put = atomic_load (&self->put);
    self->slots[put % RP_SPAN_QUEUE_COUNT] = ended;
    atomic_fetch_add (&self->bytes, size);
    atomic_store (&self->put, put + 1);
    return true;
}

rp_trace_ended_t *rp_span_queue_take (rp_span_queue_t *self)
{
    uint32_t taken = atomic_load (&self->taken);
    if (atomic_load (&self->put) == taken)
        return NULL;
    rp_trace_ended_t *ended = self->slots[taken % RP_SPAN_QUEUE_COUNT];
    atomic_fetch_sub (&self->bytes, rp_trace_ended_size (ended));
    atomic_store (&self->taken, taken + 1);
    return ended;
}
