/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/span_batches.h"

#include "common/base/backoff.h"

void rp_span_batches_init (rp_span_batches_t *self)
{
    *self = (rp_span_batches_t){.end = INT64_MAX};
}

bool rp_span_batches_has_room (const rp_span_batches_t *self)
{
    return !self->closed && self->spans + RP_SPAN_REQUEST_MAX <= RP_SPAN_BATCH_MAX;
}

void rp_span_batches_add (rp_span_batches_t *self, uint32_t spans, int64_t now)
{
    if (self->spans == 0)
        self->first = now;
    self->spans += spans;
}

int64_t rp_span_batches_due (const rp_span_batches_t *self)
{
    if (self->spans == 0)
        return INT64_MAX;
    if (self->end != INT64_MAX)
        return 0;
    int64_t due = rp_span_batches_has_room (self) ? self->first + RP_SPAN_BATCH_US : 0;
    return due < self->pause ? self->pause : due;
}

rp_span_fate_t rp_span_batches_sent (rp_span_batches_t *self,
  rp_span_result_t result,
  int64_t wanted,
  int64_t now,
  uint64_t random,
  rp_span_news_t *news)
{
    *news = RP_SPAN_NO_NEWS;
    self->closed = true;
    if (result == RP_SPAN_TAKEN) {
        if (self->failures > 0)
            *news = RP_SPAN_WORKS_AGAIN;
        self->failures = 0;
        self->pause = 0;
        return RP_SPAN_LET_GO;
    }
    if (self->failures++ == 0)
        *news = RP_SPAN_FAILS;
    if (self->end != INT64_MAX)
        return RP_SPAN_LET_GO;
    int64_t pause = rp_backoff_us (self->failures, RP_SPAN_PAUSE_US, RP_SPAN_PAUSE_MAX_US, random);
    if (wanted > RP_SPAN_PAUSE_MAX_US)
        wanted = RP_SPAN_PAUSE_MAX_US;
    self->pause = now + (wanted > pause ? wanted : pause);
    return result == RP_SPAN_AGAIN ? RP_SPAN_KEEP : RP_SPAN_LET_GO;
}

void rp_span_batches_begin (rp_span_batches_t *self)
{
    self->spans = 0;
    self->closed = false;
}

bool rp_span_batches_must_yield (const rp_span_batches_t *self, bool queue_full, int64_t now)
{
    return queue_full && self->spans > 0 && now < self->pause;
}

void rp_span_batches_end (rp_span_batches_t *self, int64_t now)
{
    self->end = now + RP_SPAN_END_US;
}

bool rp_span_batches_is_over (const rp_span_batches_t *self, bool queue_empty, int64_t now)
{
    return (self->end != INT64_MAX && queue_empty && self->spans == 0) || now >= self->end;
}
