/*  Unheard connections: peers that speak and cannot be heard, because another has their routing id.

    SPDX-License-Identifier: MPL-2.0

    A ROUTER knows its peers by their routing ids. When a second connection has the id of one that it
    knows, libzmq reads what it says, keeps it, and never gives it to the ROUTER; nor does it when the
    first one has gone, so a peer with an id of its own that restarts at once may be out for good.
    Nobody is told. (With ZMQ_ROUTER_HANDOVER the second would take the first one's place, and its
    replies; ADR 0013.)

    So connections are looked at whose handshake is done and over which no message has come. One that
    has said something, and has then been quiet long enough that no large message can be under way, is
    to be aborted: a libzmq peer connects again by itself, and is heard if the first has gone. What
    is seen are bytes. A peer has said something if more came than a handshake takes with the longest
    routing id that was seen, or if more came while nothing was sent to it, as a PONG would be.

    Only of TCP, since the kernel does not count the bytes of other connections.
    Cost: two system calls a second for each connection that has not spoken. Thread-safety: none.
*/

#ifndef RP_UNHEARD_H
#define RP_UNHEARD_H

#include <stdint.h>

#include "broker/transport/connection.h"
#include "common/base/list.h"
#include "common/io/socket.h"

/*  How often a connection is looked at, and how long it has to be quiet, µs. Together with a
    reconnect they are less than two heartbeat intervals.  */
#define RP_UNHEARD_LOOK_US 1000000
#define RP_UNHEARD_QUIET_US 2000000
/*  More bytes than this in one look are a large message under way.  */
#define RP_UNHEARD_QUIET_BYTES 1024u

typedef struct {
    rp_list_t line;   /* in the order of the next look */
    uint64_t longest; /* of the routing ids that peers have chosen, bytes */
} rp_unheard_t;

void rp_unheard_init (rp_unheard_t *self);

/*  A peer has chosen a routing id of so many bytes.  */
void rp_unheard_saw_id (rp_unheard_t *self, size_t size);

/*  A connection's handshake is done, and no message has come over it.  */
void rp_unheard_add (rp_unheard_t *self, rp_connection_t *connection, int64_t now);

/*  A message came over a connection, or it is gone. Nothing happens if it is not in the line.  */
void rp_unheard_remove (rp_connection_t *connection);

/*  What is to be thought of a connection over which nothing was heard: true if its peer has said
    something and is quiet now. Updates what is kept in it.  */
bool rp_unheard_judge (
  const rp_unheard_t *self, rp_connection_t *connection, const rp_traffic_t *traffic, int64_t now);

/*  Looks at those whose turn it is, until one is to be aborted, which is in the line no more. NULL if
    there is none; *next is when to call again then (INT64_MAX: when one was added).  */
rp_connection_t *rp_unheard_look (rp_unheard_t *self, int64_t now, int64_t *next);

#endif
