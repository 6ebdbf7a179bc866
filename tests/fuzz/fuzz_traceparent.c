/*  Fuzzer of the header traceparent: a value that is read has its ids where they were, and is read the same
    when it is written again.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <string.h>

#include "common/wire/traceparent.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const char zeros[] = "00000000000000000000000000000000";
    rp_traceparent_t parent, again;
    char *value = malloc (size + 1); // of its exact size, so that a byte too far is seen
    bytes_require (value != NULL, "out of memory");
    if (size > 0)
        memcpy (value, data, size);
    value = realloc (value, size ? size : 1);
    if (rp_traceparent_read (&parent, value, size)) {
        char text[64];
        bytes_require (memcmp (parent.trace_id, value + 3, RP_TRACEPARENT_TRACE_SIZE) == 0
                         && memcmp (parent.span_id, value + 36, RP_TRACEPARENT_SPAN_SIZE) == 0,
          "an id from elsewhere");
        bytes_require (strspn (parent.trace_id, "0123456789abcdef") == RP_TRACEPARENT_TRACE_SIZE
                         && strspn (parent.span_id, "0123456789abcdef") == RP_TRACEPARENT_SPAN_SIZE,
          "an id that is no number");
        bytes_require (strcmp (parent.trace_id, zeros) != 0
                         && strncmp (parent.span_id, zeros, RP_TRACEPARENT_SPAN_SIZE) != 0,
          "an id that is none");
        snprintf (text, sizeof text, "00-%s-%s-%02x", parent.trace_id, parent.span_id,
          parent.sampled ? 1 : 0);
        bytes_require (rp_traceparent_read (&again, text, strlen (text))
                         && memcmp (&again, &parent, sizeof again) == 0,
          "read differently");
    }
    free (value);
    return 0;
}
