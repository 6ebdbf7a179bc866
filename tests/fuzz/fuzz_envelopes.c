/*  Fuzzer of return envelopes: an envelope comes back as it was added, under its own id, until it
    is removed.

    SPDX-License-Identifier: MPL-2.0

    The bytes choose what is added, looked for and removed; the store is compared with a plain list
    of what it must hold.
*/

#include <string.h>

#include "broker/protocol/envelopes.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_LIMIT 12u
#define S_LISTS 2u
#define S_IDS 16u

typedef struct {
    uint64_t id; /* 0: none */
    unsigned list;
    uint8_t name_size;
    uint32_t count;
    uint8_t sizes[RP_ENVELOPE_FRAMES_MAX];
    uint8_t fill;
} s_kept_t;

typedef struct {
    bytes_t bytes;
    rp_envelopes_t envelopes;
    rp_list_t lists[S_LISTS];
    s_kept_t kept[S_LIMIT];
    uint64_t gone[S_IDS];
    unsigned gone_count;
} s_world_t;

static char s_bytes[256][256]; /* a row of 256 bytes for each value */

static void s_add (s_world_t *self)
{
    s_kept_t made = {.list = bytes_draw (&self->bytes, S_LISTS),
      .name_size = (uint8_t) (1 + bytes_draw (&self->bytes, 127)),
      .count = bytes_draw (&self->bytes, RP_ENVELOPE_FRAMES_MAX + 1),
      .fill = (uint8_t) bytes_draw (&self->bytes, 256)};
    rp_frame_t frames[RP_ENVELOPE_FRAMES_MAX];
    for (uint32_t index = 0; index < made.count; index++) {
        made.sizes[index] = (uint8_t) (1 + bytes_draw (&self->bytes, 255));
        frames[index] = (rp_frame_t){s_bytes[made.fill], made.sizes[index]};
    }
    made.id = rp_envelopes_add (&self->envelopes, &self->lists[made.list], frames, made.count,
      s_bytes[made.fill], made.name_size);
    for (unsigned index = 0; index < S_LIMIT; index++) {
        s_kept_t *kept = &self->kept[index];
        bytes_require (made.id == 0 || kept->id != made.id, "an id that is in use");
        if (kept->id == 0) {
            bytes_require (made.id != 0, "refused below the limit");
            *kept = made;
            return;
        }
    }
    bytes_require (made.id == 0, "one more than the limit");
}

static void s_forget (s_world_t *self, s_kept_t *kept)
{
    self->gone[self->gone_count++ % S_IDS] = kept->id;
    kept->id = 0;
}

static void s_remove (s_world_t *self)
{
    s_kept_t *kept = &self->kept[bytes_draw (&self->bytes, S_LIMIT)];
    bytes_require (
      rp_envelopes_remove (&self->envelopes, kept->id) == (kept->id != 0), "removed, or not");
    if (kept->id)
        s_forget (self, kept);
}

static void s_drop_all (s_world_t *self)
{
    unsigned list = bytes_draw (&self->bytes, S_LISTS);
    rp_envelopes_drop_all (&self->envelopes, &self->lists[list]);
    bytes_require (rp_list_is_empty (&self->lists[list]), "a list that was dropped has something");
    for (unsigned index = 0; index < S_LIMIT; index++)
        if (self->kept[index].id && self->kept[index].list == list)
            s_forget (self, &self->kept[index]);
}

static void s_check_kept (const s_world_t *self, const s_kept_t *kept)
{
    const rp_envelope_t *found = rp_envelopes_find (&self->envelopes, kept->id);
    const char *fill = s_bytes[kept->fill];
    bytes_require (found != NULL, "lost");
    bytes_require (
      found->name_size == kept->name_size && memcmp (found->name, fill, kept->name_size) == 0,
      "another name");
    bytes_require (found->count == kept->count, "another number of frames");
    for (uint32_t index = 0; index < kept->count; index++)
        bytes_require (found->frames[index].size == kept->sizes[index]
                         && memcmp (found->frames[index].data, fill, kept->sizes[index]) == 0,
          "another frame");
}

static void s_check (const s_world_t *self)
{
    uint32_t count = 0;
    for (unsigned index = 0; index < S_LIMIT; index++)
        if (self->kept[index].id) {
            s_check_kept (self, &self->kept[index]);
            count++;
        }
    for (unsigned index = 0; index < S_IDS; index++)
        bytes_require (
          !rp_envelopes_find (&self->envelopes, self->gone[index]), "found after its end");
    bytes_require (rp_envelopes_count (&self->envelopes) == count, "the count");
    bytes_require ((rp_envelopes_bytes (&self->envelopes) == 0) == (count == 0), "the bytes");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static s_world_t world;
    memset (&world, 0, sizeof world);
    for (unsigned value = 0; value < 256; value++)
        memset (s_bytes[value], (int) value, sizeof s_bytes[value]);
    world.bytes = (bytes_t){data, size};
    for (unsigned list = 0; list < S_LISTS; list++)
        rp_list_init (&world.lists[list]);
    rp_envelopes_init (&world.envelopes, S_LIMIT, 7);
    while (world.bytes.left > 0) {
        unsigned kind = bytes_draw (&world.bytes, 16);
        if (kind < 10)
            s_add (&world);
        else if (kind < 15)
            s_remove (&world);
        else
            s_drop_all (&world);
        s_check (&world);
    }
    rp_envelopes_clear (&world.envelopes);
    return 0;
}
