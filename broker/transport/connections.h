/*  Connections: all that the listeners have accepted, each from its accept to its end.

    SPDX-License-Identifier: MPL-2.0

    A connection is made when a listener's monitor tells of it, or when a message comes over it that
    was read before that. It ends in one place, when the monitor says that it is closed, or when
    another one turns out to have its descriptor. In between it waits to be known: its handshake is
    looked at, it is pending until it has a session, and again afterwards.

    A session whose connection has ended is not over: its peer may still have said something, and a
    foreign peer may come back with the same routing id. So the core is told to find out, and asks
    by rp_connections_next_lost.

    Cost: 280 bytes per connection, 8 for each descriptor. Thread-safety: none.
*/

#ifndef RP_CONNECTIONS_H
#define RP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/connection.h"
#include "broker/transport/handshakes.h"
#include "broker/transport/pending.h"
#include "broker/transport/routes.h"
#include "broker/transport/unheard.h"

typedef struct {
    rp_routes_t routes;
    rp_connection_t **by_descriptor; /* NULL: none that is known */
    size_t descriptor_count;
    rp_handshakes_t handshakes;
    rp_pending_t pending;
    rp_unheard_t unheard;
    rp_session_id_t *lost; /* sessions whose connection has ended, lost_count of them */
    size_t lost_count;
    size_t lost_capacity;
} rp_connections_t;

typedef struct {
    uint64_t seed;         /* for the routing ids, see rp_routes_init */
    int64_t handshake;     /* how long a handshake may take, µs */
    int64_t pending;       /* how long a connection may be pending, µs … */
    uint64_t pending_free; /* … if more than so many are */
} rp_connections_options_t;

void rp_connections_init (rp_connections_t *self, const rp_connections_options_t *options);
void rp_connections_clear (rp_connections_t *self);

/*  A listener has accepted a connection. speaks: its peer has to speak, so it is pending until then.
    Returns it; NULL without memory: then it is left alone.  */
rp_connection_t *rp_connections_accept (
  rp_connections_t *self, int descriptor, uint8_t listener, bool speaks, int64_t now);

/*  The connection that a message came over, which takes a system call to tell. *first: it is the
    first one. NULL if the connection is not known (descriptor under 0), or without memory.  */
rp_connection_t *rp_connections_hear (
  rp_connections_t *self, int descriptor, uint8_t listener, bool *first);

/*  The connection behind a descriptor of which a monitor tells, or NULL.  */
rp_connection_t *rp_connections_at (const rp_connections_t *self, int descriptor);

/*  A connection that rp_connections_at found is closed.  */
void rp_connections_close (rp_connections_t *self, rp_connection_t *connection);

/*  A session begins, which is reached by a routing id over a connection; NULL: not known, as of
    peers older than ZMTP 3.0. False when out of memory, and nothing changed.  */
bool rp_connections_bind (rp_connections_t *self,
  rp_session_id_t session,
  const void *routing_id,
  size_t size,
  rp_connection_t *connection,
  bool bundles,
  int64_t now);

typedef enum {
    RP_UNBIND_LEFT,  /* its peer left by itself: it is aborted if something was unread, which nobody
                        would count if the peer greeted again on the same connection */
    RP_UNBIND_TOLD,  /* its peer is told why, and may read that */
    RP_UNBIND_ABORT, /* its connection is broken */
} rp_unbind_t;

/*  A session is over. Its connection, if it still stands, is pending again.  */
void rp_connections_unbind (
  rp_connections_t *self, rp_session_id_t session, rp_unbind_t how, int64_t now);

/*  A session goes on over another connection: a peer that chose its routing id came back.  */
void rp_connections_move (
  rp_connections_t *self, rp_session_id_t session, rp_connection_t *connection, int64_t now);

/*  Takes a session whose connection has ended. False if there is none.  */
bool rp_connections_next_lost (rp_connections_t *self, rp_session_id_t *session);

/*  True if rp_connections_next_lost may have one.  */
static inline bool rp_connections_have_lost (const rp_connections_t *self)
{
    return self->lost_count > 0;
}

#endif
