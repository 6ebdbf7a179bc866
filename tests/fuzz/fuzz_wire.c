/*  Fuzzer of the head's decoder: a head that it accepts must be the same after it is encoded again.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/head.h"
#include "common/wire/headers.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_require (int condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "broken: %s\n", what);
    abort ();
}

/*  The broker patches heads that it passes on; no other field may change.  */
static void s_patch (const rp_head_t *head, const uint8_t *data)
{
    uint8_t bytes[RP_WIRE_HEAD_MAX];
    memcpy (bytes, data, head->size);
    rp_wire_patch (bytes, head);
    s_require (memcmp (bytes, data, head->size) == 0, "a patch with its own values changes a head");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    rp_head_t head;
    rp_wire_error_t error = rp_wire_decode (&head, data, size);
    s_require (error < RP_WIRE_ERROR_COUNT, "an error that there is not");
    s_require (rp_wire_error_text (error)[0] != '?', "an error without a text");
    if (error != RP_WIRE_ERROR_NONE)
        return 0;
    uint8_t bytes[RP_WIRE_HEAD_MAX];
    s_require (head.size <= size && head.size == rp_wire_size (&head), "a wrong size");
    s_require (
      rp_wire_encode (&head, bytes, sizeof bytes) == head.size, "what was decoded is not encoded");
    s_require (memcmp (bytes, data, head.size) == 0, "what was decoded is encoded differently");
    s_require (rp_wire_encode (&head, bytes, head.size - 1u) == 0, "too little room is enough");
    s_require (
      rp_headers_are_valid (head.headers, head.headers_size), "a bad header block was accepted");
    s_patch (&head, data);
    return 0;
}
