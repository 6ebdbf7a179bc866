/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/envelopes.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"

void rp_envelopes_init (rp_envelopes_t *self, uint32_t limit, uint32_t seed)
{
    *self = (rp_envelopes_t){.bytes = 0};
    rp_list_init (&self->owed);
    rp_pool_init (&self->pool, sizeof (rp_envelope_t), limit, seed);
}

void rp_envelopes_clear (rp_envelopes_t *self)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->pool); slot++) {
        rp_envelope_t *envelope = rp_pool_at (&self->pool, slot);
        if (envelope->pooled.generation & 1)
            free (envelope->frames);
    }
    rp_pool_clear (&self->pool);
    self->bytes = 0;
    self->owed_count = 0;
    rp_list_init (&self->owed);
}

static char *s_copy (char *at, const void *bytes, size_t size)
{
    if (size)
        memcpy (at, bytes, size);
    return at + size;
}

/*  Copies frames first, since they need alignment, then their bytes, then the name.  */
static bool s_fill (rp_envelope_t *envelope,
  const rp_frame_t *frames,
  uint32_t count,
  const char *name,
  uint8_t name_size)
{
    size_t size = count * sizeof *frames + name_size;
    for (uint32_t index = 0; index < count; index++)
        size += frames[index].size;
    envelope->frames = malloc (size > 0 ? size : 1);
    if (!envelope->frames)
        return false;
    char *at = (char *) (envelope->frames + count);
    for (uint32_t index = 0; index < count; index++) {
        envelope->frames[index] = (rp_frame_t){at, frames[index].size};
        at = s_copy (at, frames[index].data, frames[index].size);
    }
    s_copy (at, name, name_size);
    envelope->count = count;
    envelope->name = at;
    envelope->name_size = name_size;
    envelope->size = size;
    return true;
}

uint64_t rp_envelopes_add (rp_envelopes_t *self,
  rp_list_t *list,
  const rp_frame_t *frames,
  uint32_t count,
  const char *name,
  uint8_t name_size)
{
    rp_envelope_t *envelope = rp_pool_take (&self->pool);
    if (!envelope)
        return 0;
    if (!s_fill (envelope, frames, count, name, name_size)) {
        rp_pool_give (&self->pool, envelope);
        return 0;
    }
    self->bytes += envelope->size;
    rp_list_append (list, &envelope->node);
    return rp_pool_handle (&envelope->pooled);
}

rp_envelope_t *rp_envelopes_find (const rp_envelopes_t *self, uint64_t id)
{
    return rp_pool_find (&self->pool, id);
}

void rp_envelopes_owe (rp_envelopes_t *self, rp_envelope_t *envelope)
{
    rp_envelopes_settle (self, envelope);
    rp_list_append (&self->owed, &envelope->owed_node);
    self->owed_count++;
}

void rp_envelopes_settle (rp_envelopes_t *self, rp_envelope_t *envelope)
{
    if (!envelope->owed_node.next)
        return;
    rp_list_remove (&envelope->owed_node);
    self->owed_count--;
}

static void s_remove (rp_envelopes_t *self, rp_envelope_t *envelope)
{
    rp_envelopes_settle (self, envelope);
    rp_list_remove (&envelope->node);
    self->bytes -= envelope->size;
    free (envelope->frames);
    rp_pool_give (&self->pool, envelope);
}

bool rp_envelopes_remove (rp_envelopes_t *self, uint64_t id)
{
    rp_envelope_t *envelope = rp_pool_find (&self->pool, id);
    if (envelope)
        s_remove (self, envelope);
    return envelope != NULL;
}

void rp_envelopes_drop_all (rp_envelopes_t *self, rp_list_t *list)
{
    for (rp_list_node_t *node; (node = rp_list_first (list));)
        s_remove (self, RP_CONTAINER (node, rp_envelope_t, node));
}
