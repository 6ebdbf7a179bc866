/*  The header traceparent of W3C Trace Context: reads a value that a peer sent.

    SPDX-License-Identifier: MPL-2.0

        00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
        version, trace id, id of the parent's span, flags

    Source: W3C Trace Context, "traceparent Header". A version after 00 may have more behind the flags, after
    a dash; ff is none. Ids are in lower case, and not all zero.

    Thread-safety: a pure function of its arguments.
*/

#ifndef RP_TRACEPARENT_H
#define RP_TRACEPARENT_H

#include <stdbool.h>
#include <stddef.h>

#define RP_TRACEPARENT_TRACE_SIZE 32u
#define RP_TRACEPARENT_SPAN_SIZE 16u

typedef struct {
    char trace_id[RP_TRACEPARENT_TRACE_SIZE + 1];
    char span_id[RP_TRACEPARENT_SPAN_SIZE + 1]; /* of the parent */
    bool sampled;
} rp_traceparent_t;

/*  Reads a value. False, and nothing changed, if it is malformed: it is then as if there were none.  */
bool rp_traceparent_read (rp_traceparent_t *self, const char *value, size_t size);

#endif
