/*  Handshakes: connections that came and have not shown yet that a ZeroMQ peer is behind them.

    SPDX-License-Identifier: MPL-2.0

    libzmq has a timer of its own for that (ZMQ_HANDSHAKE_IVL), but 4.3.4 never stops it for peers
    older than ZMTP 3.0, which have no security handshake: it would cut them in the middle of their
    work. So the broker's sockets go without it, and this takes its place. It looks now and then at
    how many bytes went over a connection, from which the state of its handshake follows, and cuts
    who is not done in time. What libzmq tells does not say of whom it is told, and nothing of peers
    older than 3.0.

    Only for connections without a security mechanism: with one, a handshake has more bytes than
    these, and libzmq's timer is right, since no old peer gets in.

    Thread-safety: none.
*/

#ifndef RP_HANDSHAKES_H
#define RP_HANDSHAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/connection.h"
#include "broker/transport/listener.h"
#include "common/base/list.h"
#include "common/io/socket.h"

/*  How often a connection is looked at, µs.  */
#define RP_HANDSHAKES_LOOK_US 250000

typedef enum {
    RP_HANDSHAKE_OPEN,  /* not done, as far as can be seen */
    RP_HANDSHAKE_NOISE, /* noise, or a peer of ZMTP 1 that said more than that it is there */
    RP_HANDSHAKE_OLD,   /* done, of a peer older than ZMTP 3.0 */
    RP_HANDSHAKE_DONE,  /* done, of any peer; over ipc: what was sent to it has been read */
    RP_HANDSHAKE_LATE,  /* not done when its time was over */
} rp_handshake_state_t;

/*  What the bytes of a connection say.  */
rp_handshake_state_t rp_handshake_state (const rp_traffic_t *traffic);

typedef struct {
    rp_list_t line; /* in the order of the next look */
    int64_t
      spoke[RP_LISTENERS_MAX]; /* when a session began of which the connection is not known, µs */
    int64_t patience;          /* µs */
} rp_handshakes_t;

void rp_handshakes_init (rp_handshakes_t *self, int64_t patience);

/*  A connection came.  */
void rp_handshakes_add (rp_handshakes_t *self, rp_connection_t *connection, int64_t now);

/*  True if a connection is in the line.  */
bool rp_handshakes_has (const rp_connection_t *connection);

/*  A connection has spoken, or is gone. False if it is not in the line.  */
bool rp_handshakes_remove (rp_connection_t *connection);

/*  A session began of which libzmq does not tell the connection, as of all peers older than ZMTP
    3.0. What came before it and looks like noise may be its connection, and is left alone.  */
void rp_handshakes_spoke (rp_handshakes_t *self, uint8_t listener, int64_t now);

/*  Looks at those whose turn it is, until one is done, or late: it is in the line no more, and
    *state says which. NULL if there is none (any more); *next is when to call again then
    (INT64_MAX: when one was added).  */
rp_connection_t *rp_handshakes_look (
  rp_handshakes_t *self, int64_t now, rp_handshake_state_t *state, int64_t *next);

#endif
