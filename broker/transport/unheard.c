/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/unheard.h"

#include "common/base/heap.h"

/*  The most bytes that come from a peer which has said nothing, without its routing id: the
    greeting of ZMTP 3, and a READY with the longest socket type.  */
#define S_SILENT 107u
/*  What goes to a peer during its handshake, and the heartbeats of ZMTP: each PING is answered by a PONG.  */
#define S_OWN 107u
#define S_PING 9u
#define S_PONG 7u
/*  The assumed length of routing ids, until a peer has shown one that it chose.  */
#define S_LONGEST 255u
/*  A look may fall between a PING and its PONG; two do not.  */
#define S_LOOKS 2u

void rp_unheard_init (rp_unheard_t *self)
{
    *self = (rp_unheard_t){0};
    rp_list_init (&self->line);
}

void rp_unheard_saw_id (rp_unheard_t *self, size_t size)
{
    if (size > self->longest)
        self->longest = size;
}

/*  The most bytes that may be heartbeats: those that were answered, and one that was not yet. libzmq sends them by itself,
    and a slow broker has its first look after some have come.  */
static uint64_t s_heartbeats (const rp_traffic_t *traffic)
{
    return traffic->sent > S_OWN ? ((traffic->sent - S_OWN) / S_PONG + 1) * S_PING : 0;
}

void rp_unheard_begin (
  const rp_unheard_t *self, rp_connection_t *connection, const rp_traffic_t *traffic, int64_t now)
{
    uint64_t longest = self->longest ? self->longest : S_LONGEST;
    connection->traffic = *traffic;
    connection->quiet_since = now;
    connection->spoke = traffic->received > S_SILENT + longest + s_heartbeats (traffic);
    connection->unanswered = 0;
}

void rp_unheard_add (rp_unheard_t *self, rp_connection_t *connection, int64_t now)
{
    rp_traffic_t traffic;
    rp_unheard_remove (connection);
    if (!rp_socket_traffic (connection->descriptor, &traffic) || !traffic.counted)
        return;
    rp_unheard_begin (self, connection, &traffic, now);
    connection->look = now + RP_UNHEARD_LOOK_US;
    rp_list_append (&self->line, &connection->unheard_node);
}

void rp_unheard_remove (rp_connection_t *connection)
{
    if (connection->unheard_node.next)
        rp_list_remove (&connection->unheard_node);
}

bool rp_unheard_judge (rp_connection_t *connection, const rp_traffic_t *traffic, int64_t now)
{
    uint64_t more = traffic->received - connection->traffic.received;
    if (traffic->sent != connection->traffic.sent)
        connection->unanswered = 0;
    else if ((more > 0 || connection->unanswered > 0) && connection->unanswered < S_LOOKS)
        connection->unanswered++;
    if (more > RP_UNHEARD_QUIET_BYTES)
        connection->quiet_since = now;
    connection->traffic = *traffic;
    return (connection->spoke || connection->unanswered == S_LOOKS)
           && now - connection->quiet_since >= RP_UNHEARD_QUIET_US;
}

/*  Remembers the routing id that a peer has if it was silent during its handshake: it may have been
    aborted only because that routing id is longer than those seen before. Then the next peer with
    that length is left alone.  */
static void s_learn (rp_unheard_t *self, const rp_connection_t *connection)
{
    if (connection->spoke && connection->traffic.received <= S_SILENT + S_LONGEST)
        rp_unheard_saw_id (self, connection->traffic.received - S_SILENT);
}

rp_connection_t *rp_unheard_look (rp_unheard_t *self, int64_t now, int64_t *next)
{
    *next = INT64_MAX;
    for (rp_list_node_t *node; (node = rp_list_first (&self->line));) {
        rp_connection_t *connection = RP_CONTAINER (node, rp_connection_t, unheard_node);
        if (!connection->heard && connection->look > now) {
            *next = connection->look;
            return NULL;
        }
        rp_unheard_remove (connection);
        rp_traffic_t traffic;
        if (connection->heard || !rp_connection_stands (connection)
            || !rp_socket_traffic (connection->descriptor, &traffic))
            continue;
        if (rp_unheard_judge (connection, &traffic, now)) {
            s_learn (self, connection);
            return connection;
        }
        connection->look = now + RP_UNHEARD_LOOK_US;
        rp_list_append (&self->line, &connection->unheard_node);
    }
    return NULL;
}
