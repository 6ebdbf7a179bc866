/*  Fuzzer of the broker's core: bytes are read as a sequence of events (tests/support/sequence.h).

    SPDX-License-Identifier: MPL-2.0

    After every event the auditor (tests/support/audit.h) checks what must hold.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/sequence.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_EVENTS_MAX 600u

typedef struct {
    const uint8_t *at;
    size_t left;
} s_input_t;

static void s_fail (const char *text)
{
    fprintf (stderr, "broken: %s\n", text);
    abort ();
}

/*  From the input; 0 when that is used up.  */
static unsigned s_draw (unsigned below, void *arg)
{
    s_input_t *input = arg;
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++ % below;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    s_input_t input = {.at = data, .left = size};
    sequence_t sequence;
    sequence_begin (&sequence, s_draw, NULL, &input, s_fail);
    for (unsigned event = 0; event < S_EVENTS_MAX && input.left > 0; event++)
        sequence_step (&sequence);
    sequence_end (&sequence);
    return 0;
}
