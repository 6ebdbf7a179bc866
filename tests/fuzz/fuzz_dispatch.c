/*  Fuzzer of the broker's core: bytes are read as a sequence of events (tests/support/sequence.h).

    SPDX-License-Identifier: MPL-2.0

    After every event the auditor (tests/support/audit.h) checks what must hold.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/bytes.h"
#include "tests/support/sequence.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_EVENTS_MAX 600u

static void s_fail (const char *text)
{
    fprintf (stderr, "broken: %s\n", text);
    abort ();
}

static unsigned s_draw (unsigned below, void *arg)
{
    return bytes_draw (arg, below);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    bytes_t input = {.at = data, .left = size};
    sequence_t sequence;
    sequence_begin (&sequence, s_draw, NULL, &input, s_fail);
    for (unsigned event = 0; event < S_EVENTS_MAX && input.left > 0; event++)
        sequence_step (&sequence);
    sequence_end (&sequence);
    return 0;
}
