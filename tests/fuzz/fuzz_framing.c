/*  Fuzzer of the framing of persistent children: whatever a child writes, the parser stays within
    its bytes.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/headers.h"
#include "worker/program/framing.h"

#define S_MAX_BODY 4096u

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_check (bool holds)
{
    if (!holds)
        abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    // A block of exactly this size, so that a sanitizer finds a read beyond its end.
    char *bytes = malloc (size ? size : 1);
    if (!bytes)
        return 0;
    if (size > 0)
        memcpy (bytes, data, size);

    static rp_framing_answer_t answer;
    rp_framing_result_t whole = rp_framing_parse (bytes, size, S_MAX_BODY, &answer);
    if (whole == RP_FRAMING_ANSWER) {
        s_check (answer.size <= size && answer.body_size <= S_MAX_BODY);
        s_check (answer.body + answer.body_size == bytes + answer.size);
        s_check (rp_headers_are_valid (answer.headers, answer.headers_size));
        // A part of an answer is not an answer yet, and is not broken.
        size_t part = answer.size;
        while (part-- > 0)
            s_check (rp_framing_parse (bytes, part, S_MAX_BODY, &answer) == RP_FRAMING_MORE);
    }
    else if (whole == RP_FRAMING_BROKEN)
        s_check (answer.reason != NULL);
    free (bytes);
    return 0;
}
