/*  OTLP: sends the spans of requests that have ended to a collector of OpenTelemetry, over HTTP, in a thread of
    its own. The broker's thread never waits for it: what the queue has no room for is dropped, and counted.

    SPDX-License-Identifier: MPL-2.0

    broker/admin/span_queue takes requests to the thread, span_batches decides when it sends, span_json writes what.
    There is one connection to the collector, which is kept, and one request at a time.

    Source: docs/OPERATIONS.md, "Spans".
    Thread-safety: functions are for the thread that made it.
*/

#ifndef RP_OTLP_H
#define RP_OTLP_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/trace.h"

typedef struct rp_otlp rp_otlp_t;

/*  What became of spans.  */
typedef struct {
    uint64_t exported; /* the collector has them */
    uint64_t dropped;  /* there was no room for them, or no time at the end */
    uint64_t failed;   /* the collector refused them */
} rp_otlp_counts_t;

/*  A line for the log.  */
typedef struct {
    bool works; /* again; otherwise it has begun to fail */
    char text[512];
} rp_otlp_news_t;

/*  Returns what is wrong with the URL of a collector, as a clause that follows it; NULL if nothing is.  */
const char *rp_otlp_fault (const char *url);

/*  Starts the thread. url: without fault; instance: of the broker. Both are copied. NULL with errno.  */
rp_otlp_t *rp_otlp_new (const char *url, const char *instance);

/*  Sends what is left, and ends the thread, within RP_SPAN_END_US (broker/admin/span_batches.h). Nulls *self_p;
    NULL is allowed. Returns how many spans were dropped meanwhile.  */
uint64_t rp_otlp_destroy (rp_otlp_t **self_p);

/*  Takes an ended request for the export, and frees it. NULL: one that nobody had memory for.  */
void rp_otlp_export (rp_otlp_t *self, rp_trace_ended_t *ended);

rp_otlp_counts_t rp_otlp_counts (const rp_otlp_t *self);

/*  A descriptor that is readable when there is news.  */
int rp_otlp_descriptor (const rp_otlp_t *self);

/*  Takes the latest news, which the caller frees; NULL: there is none.  */
rp_otlp_news_t *rp_otlp_news (rp_otlp_t *self);

#endif
