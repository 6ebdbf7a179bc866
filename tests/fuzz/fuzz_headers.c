/*  Fuzzer of header blocks: reading never leaves the block, and a valid one can be built again.

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

/*  Appends each pair of a valid block to an empty one.  */
static void s_rebuild (const uint8_t *data, size_t size)
{
    static uint8_t block[RP_WIRE_HEADERS_MAX];
    char key[RP_HEADER_KEY_MAX + 1];
    static char value[RP_HEADER_VALUE_MAX + 1];
    size_t rebuilt = 0;
    size_t offset = 0;
    rp_header_t header;
    while (rp_headers_next (data, size, &offset, &header)) {
        memcpy (key, header.key, header.key_size);
        memcpy (value, header.value, header.value_size);
        key[header.key_size] = 0;
        value[header.value_size] = 0;
        rp_header_t found;
        s_require (rp_headers_find (data, size, key, &found), "a key that is there is not found");
        s_require (
          rp_headers_append (block, &rebuilt, sizeof block, key, value), "a valid pair is refused");
    }
    s_require (offset == size && rebuilt == size, "a valid block is not read to its end");
    s_require (memcmp (block, data, size) == 0, "a block is built differently");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (rp_headers_are_valid (data, size)) {
        if (size <= RP_WIRE_HEADERS_MAX)
            s_rebuild (data, size);
        return 0;
    }
    // Reading a block that is not valid must also end, inside the block.
    size_t offset = 0;
    rp_header_t header;
    while (rp_headers_next (data, size, &offset, &header))
        s_require (offset <= size, "a header beyond the block");
    (void) rp_headers_find (data, size, "key", &header);
    return 0;
}
