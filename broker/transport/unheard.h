/*  Unheard connections: finds peers whose messages do not arrive, because another connection has
    the same routing id.

    SPDX-License-Identifier: MPL-2.0

    A ROUTER knows its peers by routing id. If a second connection has the routing id of a first,
    libzmq reads its messages but never delivers them, not even when the first connection has ended;
    and it reports nothing. So a peer with a routing id of its own that restarts at once could be
    unheard for good. (ZMQ_ROUTER_HANDOVER would give the second connection the replies of the
    first: ADR 0013.)

    So connections are looked at whose handshake is done and over which no message has come. If such
    a peer has said something, and was then quiet for so long that no large message can be under
    way, its connection is to be aborted: a libzmq peer connects again by itself, and is heard if
    the first connection has ended. Only bytes can be seen. A peer has said something if more bytes
    came with its handshake than that takes with the longest routing id seen so far; or if bytes
    came and nothing was sent since, so that they are no PING. A silent peer with a longer routing
    id looks as if it had said something in the first way; so that way counts only once for each
    length.

    TCP only: the kernel does not count the bytes of other connections. Cost: two system calls a
    second for each connection without a message. Thread-safety: none.
*/

#ifndef RP_UNHEARD_H
#define RP_UNHEARD_H

#include <stdint.h>

#include "broker/transport/connection.h"
#include "common/base/list.h"
#include "common/io/socket.h"

/*  How often to look at a connection, and how long it has to be quiet, µs. With a reconnect, both
    together are less than two heartbeat intervals.  */
#define RP_UNHEARD_LOOK_US 1000000
#define RP_UNHEARD_QUIET_US 2000000
/*  More bytes than this between two looks are a large message under way.  */
#define RP_UNHEARD_QUIET_BYTES 1024u

typedef struct {
    rp_list_t line;   /* in order of the next look */
    uint64_t longest; /* longest routing id that a peer chose, bytes */
} rp_unheard_t;

void rp_unheard_init (rp_unheard_t *self);

/*  A peer has chosen a routing id of this many bytes.  */
void rp_unheard_saw_id (rp_unheard_t *self, size_t size);

/*  Adds a connection whose handshake is done and over which no message has come.  */
void rp_unheard_add (rp_unheard_t *self, rp_connection_t *connection, int64_t now);

/*  Removes a connection that was heard or is gone; nothing if it is not in the line.  */
void rp_unheard_remove (rp_connection_t *connection);

/*  Begins to judge a connection by its traffic.  */
void rp_unheard_begin (
  const rp_unheard_t *self, rp_connection_t *connection, const rp_traffic_t *traffic, int64_t now);

/*  True if the connection's peer has said something and is quiet now. To be called at each look,
    since it compares with the look before.  */
bool rp_unheard_judge (rp_connection_t *connection, const rp_traffic_t *traffic, int64_t now);

/*  Looks at the connections that are due, until one is to be aborted; removes that one from the
    line. NULL if there is none; *next is then when to call again (INT64_MAX: after the next
    rp_unheard_add).  */
rp_connection_t *rp_unheard_look (rp_unheard_t *self, int64_t now, int64_t *next);

#endif
