/*  Connections: all that the listeners have accepted, each from its accept to its end.

    SPDX-License-Identifier: MPL-2.0

    A connection is made when a listener's monitor reports it, or when a message from it is read
    before that. It ends when the monitor reports its end, or when another connection turns out to
    have its descriptor. Until its handshake is done it is looked at; while it has no session it is
    pending.

    A session is not over when its connection has ended: messages of its peer may still be unread,
    and a foreign peer may come back with the same routing id. So rp_connections_next_lost gives
    such a session to the core, which finds out.

    Cost: 280 bytes per connection, 8 per descriptor. Thread-safety: none.
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

/*  Called when an accepted connection has ended.  */
typedef void (rp_connections_ended_fn) (void *arg, rp_connection_t *connection);

typedef struct {
    rp_routes_t routes;
    rp_connection_t **by_descriptor; /* NULL: no known connection */
    size_t descriptor_count;
    rp_handshakes_t handshakes;
    rp_pending_t pending;
    rp_unheard_t unheard;
    rp_session_id_t *lost; /* sessions whose connection has ended; lost_count of them */
    size_t lost_count;
    size_t lost_capacity;
    rp_connections_ended_fn *ended; /* may be NULL */
    void *ended_arg;
} rp_connections_t;

typedef struct {
    uint64_t seed;         /* for routing ids; see rp_routes_init */
    int64_t handshake;     /* time limit of a handshake, µs */
    int64_t pending;       /* time limit of a pending connection, µs … */
    uint64_t pending_free; /* … if more than this many are pending */
} rp_connections_options_t;

void rp_connections_init (rp_connections_t *self, const rp_connections_options_t *options);
void rp_connections_clear (rp_connections_t *self);

/*  A listener has accepted a connection. speaks: its peer must speak first, so the connection is
    pending until then. secure: libzmq itself limits the time of its handshake. Returns the
    connection; NULL when out of memory: then it is not watched.  */
rp_connection_t *rp_connections_accept (
  rp_connections_t *self, int descriptor, uint8_t listener, bool speaks, bool secure, int64_t now);

/*  Returns the connection that a message came over. *first: this is its first message; first may be
    NULL. NULL if the connection is not known (descriptor < 0), or when out of memory. Costs a
    system call.  */
rp_connection_t *rp_connections_hear (
  rp_connections_t *self, int descriptor, uint8_t listener, bool *first);

/*  Returns the connection of a descriptor that a monitor reports, or NULL.  */
rp_connection_t *rp_connections_at (const rp_connections_t *self, int descriptor);

/*  Ends a connection, because its socket is closed.  */
void rp_connections_close (rp_connections_t *self, rp_connection_t *connection);

/*  The monitor reports the end of a connection. If its socket still stands, that may have been a
    predecessor with the same descriptor, or libzmq has yet to close it: then its session is lost
    (rp_connections_next_lost), which finds out.  */
void rp_connections_disconnect (rp_connections_t *self, rp_connection_t *connection);

/*  Begins a session that is reached by a routing id. connection: NULL if not known, as with peers
    older than ZMTP 3.0. If the connection has the session of a peer that came later, this session's peer had only its
    descriptor, and is gone: the session is lost. False when out of memory: nothing has changed then.  */
bool rp_connections_bind (rp_connections_t *self,
  rp_session_id_t session,
  const void *routing_id,
  size_t size,
  rp_connection_t *connection,
  bool bundles,
  int64_t now);

typedef enum {
    /*  the peer left by itself. The connection is aborted if messages to it are unread: they would
        no longer count if the peer began another session on it  */
    RP_UNBIND_LEFT,
    RP_UNBIND_TOLD,  /* the peer was told why, and may still read that */
    RP_UNBIND_ABORT, /* the connection is aborted */
} rp_unbind_t;

/*  Ends a session. Its connection, if it still stands, is pending again.  */
void rp_connections_unbind (
  rp_connections_t *self, rp_session_id_t session, rp_unbind_t how, int64_t now);

/*  Moves a session to another connection, because a peer that chose its routing id came back. Does nothing if the
    connection has the session of a peer that came later.  */
void rp_connections_move (
  rp_connections_t *self, rp_session_id_t session, rp_connection_t *connection, int64_t now);

/*  Takes a session whose connection has ended. False if there is none.  */
bool rp_connections_next_lost (rp_connections_t *self, rp_session_id_t *session);

/*  True if rp_connections_next_lost may return a session.  */
static inline bool rp_connections_have_lost (const rp_connections_t *self)
{
    return self->lost_count > 0;
}

#endif
