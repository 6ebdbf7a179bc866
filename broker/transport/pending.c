/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/pending.h"

#include <stdbool.h>

#include "common/base/earlier.h"
#include "common/base/heap.h"

void rp_pending_init (rp_pending_t *self, int64_t patience, uint64_t left_alone)
{
    *self = (rp_pending_t){.patience = patience, .left_alone = left_alone};
    rp_list_init (&self->line);
}

void rp_pending_change (rp_pending_t *self, int64_t patience, uint64_t left_alone, int64_t now)
{
    self->patience = patience;
    self->left_alone = left_alone;
    // None is due later than one that comes now, so the line stays in order.
    for (rp_list_node_t *node = rp_list_first (&self->line); node;
         node = rp_list_next (&self->line, node)) {
        rp_connection_t *connection = RP_CONTAINER (node, rp_connection_t, pending_node);
        connection->pending_until = rp_earlier (connection->pending_until, now + patience);
    }
}

void rp_pending_add (rp_pending_t *self, rp_connection_t *connection, int64_t now)
{
    rp_pending_remove (self, connection);
    connection->pending_until = now + self->patience;
    rp_list_append (&self->line, &connection->pending_node);
    self->count++;
}

void rp_pending_remove (rp_pending_t *self, rp_connection_t *connection)
{
    if (!connection->pending_node.next)
        return;
    rp_list_remove (&connection->pending_node);
    self->count--;
}

static rp_connection_t *s_first (const rp_pending_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->line);
    return node ? RP_CONTAINER (node, rp_connection_t, pending_node) : NULL;
}

size_t rp_pending_tick (rp_pending_t *self, int64_t now, int64_t *next)
{
    size_t aborted = 0;
    rp_connection_t *connection;
    *next = INT64_MAX;
    while (self->count > self->left_alone && (connection = s_first (self))) {
        if (connection->pending_until > now) {
            *next = connection->pending_until;
            break;
        }
        aborted += rp_connection_abort (connection);
        rp_pending_remove (self, connection);
    }
    return aborted;
}
