/*  Handshakes: finds connections that have not shown in time that a ZeroMQ peer is behind them.
    This replaces libzmq's own handshake timer (ZMQ_HANDSHAKE_IVL).

    SPDX-License-Identifier: MPL-2.0

    libzmq 4.3.4 never stops its timer for peers older than ZMTP 3.0, which have no security
    handshake: it would cut them in the middle of their work. So the broker's sockets go without
    that timer, and the state of a handshake is read from the number of bytes that went over the
    connection. The events of libzmq's monitor do not do: they name no connection, and peers older
    than 3.0 cause none.

    Only for connections without a security mechanism. With one, a handshake has other numbers of
    bytes; but there libzmq's timer is right, since no old peer gets in.

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

/*  How often to look at a connection, µs.  */
#define RP_HANDSHAKES_LOOK_US 250000

typedef enum {
    RP_HANDSHAKE_OPEN,  /* not done, as far as its bytes show */
    RP_HANDSHAKE_NOISE, /* no ZeroMQ, or a peer of ZMTP 1 that has said more than its identity */
    RP_HANDSHAKE_OLD,   /* done, peer older than ZMTP 3.0 */
    RP_HANDSHAKE_DONE,  /* done, any peer; ipc: the peer has read what was sent to it */
    RP_HANDSHAKE_LATE,  /* not done within its time limit */
} rp_handshake_state_t;

/*  Returns the state that the bytes of a connection show.  */
rp_handshake_state_t rp_handshake_state (const rp_traffic_t *traffic);

typedef struct {
    rp_list_t line;                  /* in order of the next look */
    int64_t spoke[RP_LISTENERS_MAX]; /* time of the latest session without a known connection, µs */
    int64_t patience;                /* µs */
} rp_handshakes_t;

void rp_handshakes_init (rp_handshakes_t *self, int64_t patience);

/*  Adds a new connection to the line.  */
void rp_handshakes_add (rp_handshakes_t *self, rp_connection_t *connection, int64_t now);

/*  True if the connection is in the line.  */
bool rp_handshakes_has (const rp_connection_t *connection);

/*  Removes a connection, which has spoken or is gone. False if it is not in the line.  */
bool rp_handshakes_remove (rp_connection_t *connection);

/*  A session began whose connection is not known, as with all peers older than ZMTP 3.0. An older
    connection that looks like noise may be that session's, and is not cut.  */
void rp_handshakes_spoke (rp_handshakes_t *self, uint8_t listener, int64_t now);

/*  Looks at the connections that are due, until one is done or late; removes that one from the
    line, and sets *state. NULL if there is none; *next is then when to call again (INT64_MAX: after
    the next rp_handshakes_add).  */
rp_connection_t *rp_handshakes_look (
  rp_handshakes_t *self, int64_t now, rp_handshake_state_t *state, int64_t *next);

#endif
