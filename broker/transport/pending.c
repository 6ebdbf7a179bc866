/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/pending.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/base/grow.h"
#include "common/base/heap.h"

struct rp_pending_connection {
    rp_list_node_t node;
    int64_t until;
    uint64_t cookie; /* of the socket behind the descriptor */
    int descriptor;
};

void rp_pending_init (rp_pending_t *self, int64_t patience, uint64_t left_alone)
{
    *self = (rp_pending_t){.patience = patience, .left_alone = left_alone};
    rp_list_init (&self->line);
}

static rp_pending_connection_t *s_first (const rp_pending_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->line);
    return node ? RP_CONTAINER (node, rp_pending_connection_t, node) : NULL;
}

void rp_pending_clear (rp_pending_t *self)
{
    for (rp_pending_connection_t *pending; (pending = s_first (self));)
        rp_pending_remove (self, pending->descriptor);
    free (self->by_descriptor);
    rp_pending_init (self, self->patience, self->left_alone);
}

void rp_pending_add (rp_pending_t *self, int descriptor, int64_t now)
{
    uint64_t cookie = rp_connections_cookie (descriptor);
    if (cookie == 0)
        return;
    rp_pending_connection_t **grown =
      rp_grown (self->by_descriptor, &self->descriptor_count, (size_t) descriptor, sizeof *grown);
    if (!grown)
        return;
    self->by_descriptor = grown;
    rp_pending_remove (self, descriptor);
    rp_pending_connection_t *pending = malloc (sizeof *pending);
    if (!pending)
        return;
    pending->until = now + self->patience;
    pending->cookie = cookie;
    pending->descriptor = descriptor;
    rp_list_append (&self->line, &pending->node);
    self->by_descriptor[descriptor] = pending;
    self->count++;
}

void rp_pending_remove (rp_pending_t *self, int descriptor)
{
    if (descriptor < 0 || (size_t) descriptor >= self->descriptor_count)
        return;
    rp_pending_connection_t *pending = self->by_descriptor[descriptor];
    if (!pending)
        return;
    rp_list_remove (&pending->node);
    free (pending);
    self->by_descriptor[descriptor] = NULL;
    self->count--;
}

size_t rp_pending_tick (
  rp_pending_t *self, const rp_connections_t *connections, int64_t now, int64_t *next)
{
    size_t aborted = 0;
    const rp_pending_connection_t *pending;
    *next = INT64_MAX;
    while (self->count > self->left_alone && (pending = s_first (self))) {
        if (pending->until > now) {
            *next = pending->until;
            break;
        }
        rp_session_id_t session = rp_connections_by_descriptor (connections, pending->descriptor);
        if (session.v == 0 && rp_connections_abort_socket (pending->descriptor, pending->cookie))
            aborted++;
        rp_pending_remove (self, pending->descriptor);
    }
    return aborted;
}
