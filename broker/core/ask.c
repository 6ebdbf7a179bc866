/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/ask.h"

typedef struct {
    rp_pooled_t pooled;
    rp_list_node_t node; /* in its client's asks */
    rp_session_t *client;
    uint64_t id;
} s_ask_t;

static uint64_t s_hash (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id)
{
    return rp_hash_pair (rp_pool_handle (&client->pooled), id, self->seed + 1);
}

static s_ask_t *s_find (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id)
{
    uint64_t hash = s_hash (self, client, id);
    rp_table_cursor_t cursor;
    s_ask_t *ask = rp_table_first (&self->asks_by_id, hash, &cursor);
    while (ask && (ask->client != client || ask->id != id))
        ask = rp_table_next (&self->asks_by_id, hash, &cursor);
    return ask;
}

bool rp_ask_begin (rp_dispatch_t *self, rp_session_t *client, uint64_t id)
{
    s_ask_t *ask = rp_pool_take (&self->asks);
    if (!ask)
        return false;
    if (!rp_table_insert (&self->asks_by_id, s_hash (self, client, id), ask)) {
        rp_pool_give (&self->asks, ask);
        return false;
    }
    ask->client = client;
    ask->id = id;
    rp_list_append (&client->asks, &ask->node);
    client->traits |= RP_TRAIT_ASKS;
    return true;
}

bool rp_ask_is_open (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id)
{
    return s_find (self, client, id) != NULL;
}

static void s_free (rp_dispatch_t *self, s_ask_t *ask)
{
    rp_table_remove (&self->asks_by_id, s_hash (self, ask->client, ask->id), ask);
    rp_list_remove (&ask->node);
    if (rp_list_is_empty (&ask->client->asks))
        ask->client->traits &= (uint16_t) ~RP_TRAIT_ASKS;
    rp_pool_give (&self->asks, ask);
}

void rp_ask_end (rp_dispatch_t *self, rp_session_t *client, uint64_t id)
{
    s_ask_t *ask = s_find (self, client, id);
    if (ask)
        s_free (self, ask);
}

void rp_ask_end_all (rp_dispatch_t *self, rp_session_t *client)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&client->asks)))
        s_free (self, RP_CONTAINER (node, s_ask_t, node));
}

void rp_ask_init (rp_dispatch_t *self)
{
    rp_pool_init (
      &self->asks, sizeof (s_ask_t), (uint32_t) self->limits.total_queue, (uint32_t) self->seed);
    rp_table_init (&self->asks_by_id);
}

void rp_ask_clear (rp_dispatch_t *self)
{
    rp_pool_clear (&self->asks);
    rp_table_clear (&self->asks_by_id);
}
