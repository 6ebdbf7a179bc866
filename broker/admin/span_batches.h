/*  Span batches: decides when a batch of spans is sent to the collector, sent again, or given up. Pure: times
    and randomness are arguments (µs), and what is in the batch is the caller's.

    SPDX-License-Identifier: MPL-2.0

    A batch is sent when it is full or RP_SPAN_BATCH_US old. If the collector does not take it, it is kept and
    sent again after a pause that grows; meanwhile others wait in the queue. While there is no room for more,
    batches are given up, the oldest first, so that what is exported at last is what happened last.

    Thread-safety: none.
*/

#ifndef RP_SPAN_BATCHES_H
#define RP_SPAN_BATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/trace.h"

/*  Spans of one batch, at most; and of one request: for each attempt one at its worker and one in the queue before
    it, and one after the last loss.  */
#define RP_SPAN_BATCH_MAX 512u
#define RP_SPAN_REQUEST_MAX (2 * RP_TRACE_LOSSES_MAX + 2)
/*  The age at which a batch is sent, however small, µs.  */
#define RP_SPAN_BATCH_US 1000000
/*  The first pause after a failure, and the longest, µs; a collector that asks for a longer one than the first
    (Retry-After) gets it, up to the longest.  */
#define RP_SPAN_PAUSE_US 1000000
#define RP_SPAN_PAUSE_MAX_US 30000000
/*  How long the exporter may take to end, µs.  */
#define RP_SPAN_END_US 1000000

typedef enum {
    RP_SPAN_TAKEN, /* the collector has the batch */
    RP_SPAN_AGAIN, /* it may be sent again: no connection, or the collector says that it has no time */
    RP_SPAN_REFUSED, /* it must not be sent again */
} rp_span_result_t;

/*  What becomes of a batch.  */
typedef enum { RP_SPAN_KEEP, RP_SPAN_LET_GO } rp_span_fate_t;

/*  What is worth a line in the log: that the first batch was not taken, or that one was taken again.  */
typedef enum { RP_SPAN_NO_NEWS, RP_SPAN_FAILS, RP_SPAN_WORKS_AGAIN } rp_span_news_t;

typedef struct {
    uint32_t spans;    /* in the batch */
    int64_t first;     /* when the first of them came in */
    int64_t pause;     /* nothing is sent before then */
    int64_t end;       /* when the exporter has to have ended; INT64_MAX: it is not to end */
    uint32_t failures; /* in a row */
    bool closed;       /* the batch was sent, so it takes no more */
} rp_span_batches_t;

void rp_span_batches_init (rp_span_batches_t *self);

/*  True if the batch takes another request.  */
bool rp_span_batches_has_room (const rp_span_batches_t *self);

/*  A request with so many spans came into the batch, at most RP_SPAN_REQUEST_MAX.  */
void rp_span_batches_add (rp_span_batches_t *self, uint32_t spans, int64_t now);

/*  Returns when the batch is to be sent; INT64_MAX: there is none.  */
int64_t rp_span_batches_due (const rp_span_batches_t *self);

/*  The batch was sent. wanted: the pause that the collector asks for, µs; 0: none. *news: for the log.  */
rp_span_fate_t rp_span_batches_sent (rp_span_batches_t *self,
  rp_span_result_t result,
  int64_t wanted,
  int64_t now,
  uint64_t random,
  rp_span_news_t *news);

/*  The caller has let the batch go, and a new one begins. Done by it after RP_SPAN_LET_GO, and when the queue
    is full during a pause.  */
void rp_span_batches_begin (rp_span_batches_t *self);

/*  True if the batch has to make room because the queue is full: it waits for the end of a pause.  */
bool rp_span_batches_must_yield (const rp_span_batches_t *self, bool queue_full, int64_t now);

/*  The exporter is to end: what is there is sent now, and once.  */
void rp_span_batches_end (rp_span_batches_t *self, int64_t now);

/*  True if it has ended: nothing is left, or the time is up.  */
bool rp_span_batches_is_over (const rp_span_batches_t *self, bool queue_empty, int64_t now);

#endif
