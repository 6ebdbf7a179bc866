/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/pending.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/base/grow.h"
#include "common/base/heap.h"

struct rp_stranger {
    rp_list_node_t node;
    int64_t until;
    uint64_t cookie; /* of the socket behind the descriptor */
    int descriptor;
};

void rp_strangers_init (rp_strangers_t *self, int64_t patience, uint64_t left_alone)
{
    *self = (rp_strangers_t){.patience = patience, .left_alone = left_alone};
    rp_list_init (&self->line);
}

static rp_stranger_t *s_first (const rp_strangers_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->line);
    return node ? RP_CONTAINER (node, rp_stranger_t, node) : NULL;
}

void rp_strangers_clear (rp_strangers_t *self)
{
    for (rp_stranger_t *stranger; (stranger = s_first (self));)
        rp_strangers_remove (self, stranger->descriptor);
    free (self->by_descriptor);
    rp_strangers_init (self, self->patience, self->left_alone);
}

void rp_strangers_add (rp_strangers_t *self, int descriptor, int64_t now)
{
    uint64_t cookie = rp_peers_cookie (descriptor);
    if (cookie == 0)
        return;
    rp_stranger_t **grown =
      rp_grown (self->by_descriptor, &self->descriptor_count, (size_t) descriptor, sizeof *grown);
    if (!grown)
        return;
    self->by_descriptor = grown;
    rp_strangers_remove (self, descriptor);
    rp_stranger_t *stranger = malloc (sizeof *stranger);
    if (!stranger)
        return;
    stranger->until = now + self->patience;
    stranger->cookie = cookie;
    stranger->descriptor = descriptor;
    rp_list_append (&self->line, &stranger->node);
    self->by_descriptor[descriptor] = stranger;
    self->count++;
}

void rp_strangers_remove (rp_strangers_t *self, int descriptor)
{
    if (descriptor < 0 || (size_t) descriptor >= self->descriptor_count)
        return;
    rp_stranger_t *stranger = self->by_descriptor[descriptor];
    if (!stranger)
        return;
    rp_list_remove (&stranger->node);
    free (stranger);
    self->by_descriptor[descriptor] = NULL;
    self->count--;
}

size_t rp_strangers_tick (rp_strangers_t *self, const rp_peers_t *peers, int64_t now, int64_t *next)
{
    size_t cut = 0;
    const rp_stranger_t *stranger;
    *next = INT64_MAX;
    while (self->count > self->left_alone && (stranger = s_first (self))) {
        if (stranger->until > now) {
            *next = stranger->until;
            break;
        }
        rp_peer_id_t peer = rp_peers_by_descriptor (peers, stranger->descriptor);
        if (peer.v == 0 && rp_peers_cut_socket (stranger->descriptor, stranger->cookie))
            cut++;
        rp_strangers_remove (self, stranger->descriptor);
    }
    return cut;
}
