/*  The codec alone, for bench/instructions.

    SPDX-License-Identifier: MPL-2.0

        bench_codec COUNT CASE

    decode   the head of a REQUEST with a service of 5 bytes and a body of 64 in its frame
    encode   the same
    patch    what a broker changes in a head that it passes on
    bundle   such a message written into a bundle and read again; 16 in each

    Prints a sum over the results, so that no compiler leaves the work out.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/bundle.h"
#include "common/base/uninitialized.h"
#include "common/wire/head.h"

#define BODY 64u
#define BUNDLED 16u

static rp_head_t s_request = {.command = RP_COMMAND_REQUEST,
  .flags = RP_FLAG_INLINE,
  .deadline_ms = 5000,
  .attempts = 1,
  .name = "bench",
  .name_size = 5};
static uint8_t s_message[256];
static size_t s_size;

static uint64_t s_decode (uint64_t number)
{
    RP_UNINITIALIZED rp_head_t head; // as where messages are received
    s_message[15] = (uint8_t) (number | 1);
    return rp_wire_decode (&head, s_message, s_size) == RP_WIRE_ERROR_NONE ? head.id : 0;
}

static uint64_t s_encode (uint64_t number)
{
    s_request.id = number + 1;
    return rp_wire_encode (&s_request, s_message, sizeof s_message);
}

static uint64_t s_patch (uint64_t number)
{
    s_request.id = number + 1;
    rp_wire_patch (s_message, &s_request);
    return s_message[15];
}

/*  Writes one message; the last message of a bundle also reads the whole bundle.  */
static uint64_t s_bundle (uint64_t number)
{
    static uint8_t bundle[RP_BUNDLE_MAX];
    static uint8_t *at = bundle;
    if (number % BUNDLED == 0)
        at = rp_bundle_write_head (bundle);
    at = rp_bundle_write_entry_head (at, s_size);
    memcpy (at, s_message, s_size);
    at += s_size;
    if (number % BUNDLED != BUNDLED - 1)
        return 0;
    size_t size = (size_t) (at - bundle);
    size_t offset = 0;
    size_t message_size = 0;
    uint64_t sum = 0;
    if (!rp_bundle_is (bundle, size) || !rp_bundle_is_valid (bundle, size))
        return 0;
    while (rp_bundle_next (bundle, size, &offset, &message_size))
        sum += message_size;
    return sum;
}

int main (int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t (*function) (uint64_t number);
    } cases[] = {
      {"decode", s_decode}, {"encode", s_encode}, {"patch", s_patch}, {"bundle", s_bundle}};
    s_request.id = 1;
    s_size = rp_wire_encode (&s_request, s_message, sizeof s_message) + BODY;
    for (size_t index = 0; argc == 3 && index < sizeof cases / sizeof *cases; index++) {
        if (strcmp (argv[2], cases[index].name) != 0)
            continue;
        uint64_t sum = 0;
        uint64_t count = strtoull (argv[1], NULL, 10);
        for (uint64_t number = 0; number < count; number++)
            sum += cases[index].function (number);
        printf ("%llu\n", (unsigned long long) sum);
        return sum > 0 ? 0 : 1;
    }
    fprintf (stderr, "usage: %s COUNT decode|encode|patch|bundle\n", argv[0]);
    return 2;
}
