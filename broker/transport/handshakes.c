/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/handshakes.h"

#include "common/base/heap.h"

/*  Bytes that libzmq 4.3.4 has sent to a peer: the signature; the version, after the peer's
    signature; to ZMTP 2, the socket type and an empty identity; to ZMTP 3, a whole greeting and
    READY.  */
#define S_SIGNATURE 10u
#define S_VERSION 11u
#define S_GREETING 64u
#define S_READY (S_GREETING + 43u)
/*  Bytes that a peer sends at least: in ZMTP 1 an empty identity; in ZMTP 2 a greeting and an empty
    identity; in ZMTP 3 a greeting and a READY with the shortest socket type.  */
#define S_FROM_1 2u
#define S_FROM_2 14u
#define S_FROM_3 (64u + 27u)

rp_handshake_state_t rp_handshake_state (const rp_traffic_t *traffic)
{
    if (!traffic->counted)
        return traffic->unread ? RP_HANDSHAKE_OPEN : RP_HANDSHAKE_DONE;
    if (traffic->sent <= S_VERSION) {
        if (traffic->sent == S_VERSION || traffic->received < S_FROM_1)
            return RP_HANDSHAKE_OPEN;
        return traffic->received == S_FROM_1 ? RP_HANDSHAKE_OLD : RP_HANDSHAKE_NOISE;
    }
    if (traffic->sent < S_GREETING)
        return traffic->received >= S_FROM_2 ? RP_HANDSHAKE_OLD : RP_HANDSHAKE_OPEN;
    // libzmq sends more than a greeting and READY only when the handshake is done.
    bool more = traffic->sent != S_GREETING && traffic->sent != S_READY;
    return more || traffic->received >= S_FROM_3 ? RP_HANDSHAKE_DONE : RP_HANDSHAKE_OPEN;
}

void rp_handshakes_init (rp_handshakes_t *self, int64_t patience)
{
    *self = (rp_handshakes_t){.patience = patience};
    rp_list_init (&self->line);
    for (size_t listener = 0; listener < RP_LISTENERS_MAX; listener++)
        self->spoke[listener] = INT64_MIN;
}

void rp_handshakes_spoke (rp_handshakes_t *self, uint8_t listener, int64_t now)
{
    self->spoke[listener] = now;
}

void rp_handshakes_add (rp_handshakes_t *self, rp_connection_t *connection, int64_t now)
{
    (void) rp_handshakes_remove (connection);
    connection->look = now + RP_HANDSHAKES_LOOK_US;
    connection->handshake_until = now + self->patience;
    rp_list_append (&self->line, &connection->handshake_node);
}

bool rp_handshakes_has (const rp_connection_t *connection)
{
    return connection->handshake_node.next != NULL;
}

bool rp_handshakes_remove (rp_connection_t *connection)
{
    if (!rp_handshakes_has (connection))
        return false;
    rp_list_remove (&connection->handshake_node);
    return true;
}

/*  Returns the state of a connection. A connection that is gone, or whose bytes cannot be seen,
    counts as done.  */
static rp_handshake_state_t s_state (
  const rp_handshakes_t *self, const rp_connection_t *connection, int64_t now)
{
    rp_traffic_t traffic;
    if (connection->heard || !rp_connection_stands (connection)
        || !rp_socket_traffic (connection->descriptor, &traffic))
        return RP_HANDSHAKE_DONE;
    rp_handshake_state_t state = rp_handshake_state (&traffic);
    if (state == RP_HANDSHAKE_NOISE
        && self->spoke[connection->listener] >= connection->handshake_until - self->patience)
        return RP_HANDSHAKE_DONE;
    bool open = state == RP_HANDSHAKE_OPEN || state == RP_HANDSHAKE_NOISE;
    return open && now >= connection->handshake_until ? RP_HANDSHAKE_LATE : state;
}

rp_connection_t *rp_handshakes_look (
  rp_handshakes_t *self, int64_t now, rp_handshake_state_t *state, int64_t *next)
{
    *next = INT64_MAX;
    for (rp_list_node_t *node; (node = rp_list_first (&self->line));) {
        rp_connection_t *connection = RP_CONTAINER (node, rp_connection_t, handshake_node);
        if (connection->look > now) {
            *next = connection->look;
            return NULL;
        }
        *state = s_state (self, connection, now);
        (void) rp_handshakes_remove (connection);
        if (*state != RP_HANDSHAKE_OPEN && *state != RP_HANDSHAKE_NOISE)
            return connection;
        connection->look = now + RP_HANDSHAKES_LOOK_US;
        rp_list_append (&self->line, &connection->handshake_node);
    }
    return NULL;
}
