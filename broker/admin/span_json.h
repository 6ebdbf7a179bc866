/*  Span JSON: the spans of ended requests as OTLP/JSON, for a collector of OpenTelemetry.

    SPDX-License-Identifier: MPL-2.0

    A request has these spans, whose parent is the span of its traceparent:

        queue SERVICE   (CONSUMER) from acceptance, or from the loss of a worker, until it is given to a worker or ends
        work SERVICE    (INTERNAL) one for each attempt: from then until the reply, the loss, or the end

    The span in which the request ends has its status. A loss, and an end with anything but OK, is an error
    (status 2, error.type).

    Source: OpenTelemetry, "OTLP Specification" (JSON Protobuf Encoding), trace.proto, "Semantic Conventions for
    Messaging Spans"; attributes of our own begin with riposte.
    Thread-safety: pure functions of their arguments; randomness comes from a function.
*/

#ifndef RP_SPAN_JSON_H
#define RP_SPAN_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "broker/core/trace.h"

/*  Returns how many spans a request has, at most RP_SPAN_REQUEST_MAX (broker/admin/span_batches.h).  */
uint32_t rp_span_json_count (const rp_trace_ended_t *ended);

typedef struct {
    const char *version;  /* service.version */
    const char *instance; /* service.instance.id: of this run of the broker */
    int64_t wall_us;      /* what is to be added to a time of the core for the time since 1970 */
    uint64_t (*random) (void); /* ids of spans; they are not 0 */
} rp_span_json_options_t;

/*  Writes a request of OTLP with the spans of these requests, without a NUL. The caller frees it; NULL when out of
    memory.  */
char *rp_span_json_write (rp_trace_ended_t *const *ended,
  size_t count,
  const rp_span_json_options_t *options,
  size_t *size);

/*  Reads the answer of a collector: returns how many spans it refused (partialSuccess), at most `most`.  */
uint32_t rp_span_json_refused (const char *answer, size_t size, uint32_t most);

#endif
