/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/held.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/io/clock.h"

void rp_held_init (rp_held_all_t *self, uint64_t most)
{
    rp_table_init (&self->by_id);
    rp_list_init (&self->by_use);
    rp_list_init (&self->in_use);
    self->seed = rp_clock_entropy ();
    self->most = most;
}

void rp_held_end (rp_held_all_t *self, rp_held_t *held)
{
    rp_table_remove (&self->by_id, held->hash, held);
    rp_list_remove (&held->node);
    rp_conversation_destroy (&held->conversation);
    free (held);
}

void rp_held_clear (rp_held_all_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->by_use)) || (node = rp_list_first (&self->in_use)))
        rp_held_end (self, (rp_held_t *) node);
    rp_table_clear (&self->by_id);
}

/*  Whoever knows the id may go on with the conversation, so it is as long as a key.  */
static bool s_draw_id (rp_held_t *held)
{
    uint8_t bytes[RP_CONVERSATION_ID / 2];
    if (getrandom (bytes, sizeof bytes, 0) != (ssize_t) sizeof bytes)
        return false;
    for (size_t index = 0; index < sizeof bytes; index++)
        snprintf (held->id + 2 * index, 3, "%02x", bytes[index]);
    return true;
}

rp_held_t *rp_held_begin (
  rp_held_all_t *self, rp_client_t *client, const char *service, int64_t now)
{
    if (self->by_id.count >= self->most) {
        errno = EAGAIN;
        return NULL;
    }
    rp_held_t *held = calloc (1, sizeof *held);
    if (!held)
        return NULL;
    snprintf (held->service, sizeof held->service, "%s", service);
    held->used = now;
    errno = EIO;
    if (!s_draw_id (held) || !(held->conversation = rp_conversation_new (client, service))) {
        free (held);
        return NULL;
    }
    held->hash = rp_hash_bytes (held->id, RP_CONVERSATION_ID, self->seed);
    if (!rp_table_insert (&self->by_id, held->hash, held)) {
        rp_conversation_destroy (&held->conversation);
        free (held);
        errno = ENOMEM;
        return NULL;
    }
    rp_list_append (&self->by_use, &held->node);
    return held;
}

rp_held_t *rp_held_find (const rp_held_all_t *self, const char *service, const char *id)
{
    rp_table_cursor_t cursor;
    uint64_t hash = rp_hash_bytes (id, RP_CONVERSATION_ID, self->seed);
    rp_held_t *held = rp_table_first (&self->by_id, hash, &cursor);
    while (held && (strcmp (held->id, id) != 0 || strcmp (held->service, service) != 0))
        held = rp_table_next (&self->by_id, hash, &cursor);
    return held;
}

void rp_held_enter (rp_held_all_t *self, rp_held_t *held)
{
    held->open++;
    rp_list_remove (&held->node);
    rp_list_append (&self->in_use, &held->node);
}

void rp_held_leave (rp_held_all_t *self, rp_held_t *held, int64_t now)
{
    held->used = now;
    if (--held->open > 0)
        return;
    rp_list_remove (&held->node);
    rp_list_append (&self->by_use, &held->node);
}

int64_t rp_held_expire (rp_held_all_t *self, int64_t idle, int64_t now)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->by_use))) {
        rp_held_t *held = (rp_held_t *) node;
        if (held->used + idle > now)
            return held->used + idle;
        rp_held_end (self, held);
    }
    return INT64_MAX;
}
