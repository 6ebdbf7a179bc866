/*  Fuzzer of bundles: a valid one is taken apart without a gap, and no message lies outside of it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/bundle.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_require (int condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "broken: %s\n", what);
    abort ();
}

/*  Takes a valid bundle apart, and writes another bundle of its messages.  */
static void s_copy (uint8_t *data, size_t size, uint8_t *copy)
{
    uint8_t *end = rp_bundle_write_head (copy);
    size_t offset = 0;
    size_t behind = RP_BUNDLE_HEAD;
    size_t message_size;
    const uint8_t *message;
    while ((message = rp_bundle_next (data, size, &offset, &message_size))) {
        s_require (message == data + behind + RP_BUNDLE_ENTRY_HEAD, "a gap before a message");
        s_require (message_size > 0, "an empty message");
        s_require (message_size <= size - (size_t) (message - data), "a message that lies outside");
        behind = (size_t) (message - data) + message_size;
        s_require (offset == behind, "an offset that is not behind the message");
        end = rp_bundle_write_entry_head (end, message_size);
        memcpy (end, message, message_size);
        end += message_size;
    }
    s_require (behind == size, "the last message does not end with the bundle");
    s_require ((size_t) (end - copy) == size, "a copy of another size");
    s_require (memcmp (copy, data, size) == 0, "what was read is written differently");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (!rp_bundle_is_valid (data, size))
        return 0;
    s_require (rp_bundle_is (data, size), "valid, and none");
    s_require (size <= RP_BUNDLE_MAX, "over the limit");
    uint8_t *mine = malloc (2 * size);
    s_require (mine != NULL, "out of memory");
    memcpy (mine, data, size);
    s_copy (mine, size, mine + size);
    free (mine);
    return 0;
}
