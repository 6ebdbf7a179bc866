/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/connections.h"

#include <stdlib.h>

#include "broker/transport/listener.h"
#include "common/base/cursor.h"
#include "common/base/grow.h"

void rp_connections_init (rp_connections_t *self, const rp_connections_options_t *options)
{
    *self = (rp_connections_t){0};
    rp_routes_init (&self->routes, options->seed);
    rp_handshakes_init (&self->handshakes, options->handshake);
    rp_pending_init (&self->pending, options->pending, options->pending_free);
    rp_unheard_init (&self->unheard);
}

void rp_connections_clear (rp_connections_t *self)
{
    for (size_t descriptor = 0; descriptor < self->descriptor_count; descriptor++)
        if (self->by_descriptor[descriptor])
            rp_connection_destroy (&self->by_descriptor[descriptor]);
    free (self->by_descriptor);
    free (self->lost);
    rp_routes_clear (&self->routes);
    self->by_descriptor = NULL;
    self->lost = NULL;
    self->descriptor_count = self->lost_count = self->lost_capacity = 0;
}

rp_connection_t *rp_connections_at (const rp_connections_t *self, int descriptor)
{
    bool known = descriptor >= 0 && (size_t) descriptor < self->descriptor_count;
    return known ? self->by_descriptor[descriptor] : NULL;
}

/*  Remembers a lost session. If there is no memory for that, its silence or the next message to it
    shows that it is lost.  */
static void s_add_lost (rp_connections_t *self, rp_session_id_t session)
{
    rp_session_id_t *lost =
      rp_grown (self->lost, &self->lost_capacity, self->lost_count, sizeof *lost);
    if (!lost)
        return;
    self->lost = lost;
    lost[self->lost_count++] = session;
}

static void s_lose_connection (rp_connections_t *self, rp_session_id_t session)
{
    rp_routes_lose_connection (&self->routes, session);
    s_add_lost (self, session);
}

bool rp_connections_next_lost (rp_connections_t *self, rp_session_id_t *session)
{
    while (self->lost_count > 0) {
        *session = self->lost[--self->lost_count];
        // it may have ended, or have a new connection, since
        const rp_connection_t *connection = rp_routes_connection (&self->routes, *session);
        if (rp_routes_is_lost (&self->routes, *session) || (connection && connection->doubted))
            return true;
    }
    return false;
}

/*  The monitor has reported the connection's end, or its successor is known.  */
static void s_stop_watching (rp_connections_t *self, rp_connection_t *connection)
{
    if (connection->accepted && self->ended)
        self->ended (self->ended_arg, connection);
    connection->accepted = false;
    (void) rp_handshakes_remove (connection);
    rp_unheard_remove (connection);
    rp_pending_remove (&self->pending, connection);
}

void rp_connections_close (rp_connections_t *self, rp_connection_t *connection)
{
    self->by_descriptor[connection->descriptor] = NULL;
    s_stop_watching (self, connection);
    if (connection->session.v)
        s_lose_connection (self, connection->session);
    rp_connection_destroy (&connection);
}

void rp_connections_disconnect (rp_connections_t *self, rp_connection_t *connection)
{
    if (!rp_connection_stands (connection)) {
        rp_connections_close (self, connection);
        return;
    }
    s_stop_watching (self, connection);
    connection->doubted = true;
    if (connection->session.v)
        s_add_lost (self, connection->session);
}

/*  Makes the connection of a descriptor. A connection that had the descriptor before is gone.  */
static rp_connection_t *s_open (rp_connections_t *self, int descriptor, uint8_t listener)
{
    rp_connection_t *before = rp_connections_at (self, descriptor);
    if (before)
        rp_connections_close (self, before);
    rp_connection_t **grown =
      rp_grown (self->by_descriptor, &self->descriptor_count, (size_t) descriptor, sizeof *grown);
    if (!grown)
        return NULL;
    self->by_descriptor = grown;
    return grown[descriptor] = rp_connection_new (descriptor, listener);
}

rp_connection_t *rp_connections_accept (
  rp_connections_t *self, int descriptor, uint8_t listener, bool speaks, bool secure, int64_t now)
{
    if (descriptor < 0)
        return NULL;
    rp_connection_t *connection = rp_connections_at (self, descriptor);
    bool same = connection && rp_connection_stands (connection);
    if (same && (connection->accepted || connection->listener != listener))
        return NULL; // the news of a predecessor with the same descriptor
    if (!same)
        connection = s_open (self, descriptor, listener);
    if (!connection)
        return NULL;
    connection->accepted = true;
    connection->doubted = false;
    connection->accepted_at = now;
    if (connection->cookie == 0) // its socket is gone, which the monitor reports next
        return connection;
    if (!connection->heard && !secure)
        rp_handshakes_add (&self->handshakes, connection, now);
    if (speaks && connection->session.v == 0)
        rp_pending_add (&self->pending, connection, now);
    return connection;
}

rp_connection_t *rp_connections_hear (
  rp_connections_t *self, int descriptor, uint8_t listener, bool *first)
{
    if (first)
        *first = false;
    if (descriptor < 0)
        return NULL;
    rp_connection_t *connection = rp_connections_at (self, descriptor);
    uint64_t cookie = rp_connection_cookie (descriptor);
    if (!connection || (cookie != 0 && cookie != connection->cookie))
        connection = s_open (self, descriptor, listener);
    if (!connection)
        return NULL;
    connection->listener = listener;
    if (first)
        *first = !connection->heard;
    connection->heard = true;
    return connection;
}

/*  Takes a connection from its session, which is over or goes on elsewhere: it is pending
    again.  */
static void s_leave (rp_connections_t *self, rp_session_id_t session, int64_t now)
{
    rp_connection_t *connection = rp_routes_connection (&self->routes, session);
    if (!connection || connection->session.v != session.v)
        return;
    connection->session = (rp_session_id_t){0};
    if (rp_connection_stands (connection))
        rp_pending_add (&self->pending, connection, now);
}

static void s_enter (rp_connections_t *self, rp_session_id_t session, rp_connection_t *connection)
{
    if (connection->session.v) // that session has another routing id, so it lost its connection
        s_lose_connection (self, connection->session);
    connection->session = session;
    (void) rp_handshakes_remove (connection);
    rp_pending_remove (&self->pending, connection);
    rp_routes_set_connection (&self->routes, session, connection);
}

/*  Returns the number that libzmq has given to the peer of a session of this listener; false if the peer chose its
    routing id, or is another listener's.  */
static bool s_number (
  const rp_connections_t *self, rp_session_id_t session, uint8_t listener, uint32_t *number)
{
    size_t size;
    const void *key = rp_routes_routing_id (&self->routes, session, &size);
    if (!key || rp_listener_of_key (key, size) != listener)
        return false;
    const uint8_t *id = rp_listener_routing_id (key, &size);
    if (!id || rp_listener_id_is_chosen (id, size))
        return false;
    *number = rp_get_u32 (id + 1);
    return true;
}

/*  True if the session is that of a peer which had the connection's descriptor before: libzmq reads its peers in turn, so
    the last message of one that is gone may come after the first of the next one. A connection has one routing id, and
    libzmq numbers those that it makes (ROUTER), so the peer with the smaller number came first.  */
static bool s_is_predecessor (
  const rp_connections_t *self, rp_session_id_t session, const rp_connection_t *connection)
{
    uint32_t number, present;
    return connection->session.v != 0 && s_number (self, session, connection->listener, &number)
           && s_number (self, connection->session, connection->listener, &present)
           && (int32_t) (number - present) < 0;
}

/*  Notes the length of a routing id that a peer chose.  */
static void s_see_id (rp_connections_t *self, const void *key, size_t size)
{
    const void *id = rp_listener_routing_id (key, &size);
    if (id && rp_listener_id_is_chosen (id, size))
        rp_unheard_saw_id (&self->unheard, size);
}

bool rp_connections_bind (rp_connections_t *self,
  rp_session_id_t session,
  const void *routing_id,
  size_t size,
  rp_connection_t *connection,
  bool bundles,
  int64_t now)
{
    if (!rp_routes_add (&self->routes, session, routing_id, size, bundles))
        return false;
    s_see_id (self, routing_id, size);
    if (connection && s_is_predecessor (self, session, connection))
        s_lose_connection (self, session);
    else if (connection)
        s_enter (self, session, connection);
    else
        rp_handshakes_spoke (&self->handshakes, rp_listener_of_key (routing_id, size), now);
    return true;
}

void rp_connections_unbind (
  rp_connections_t *self, rp_session_id_t session, rp_unbind_t how, int64_t now)
{
    const rp_connection_t *connection = rp_routes_connection (&self->routes, session);
    bool unread = how == RP_UNBIND_LEFT && rp_routes_is_unread (&self->routes, session);
    if (connection && (unread || how == RP_UNBIND_ABORT))
        (void) rp_connection_abort (connection);
    s_leave (self, session, now);
    rp_routes_remove (&self->routes, session);
}

void rp_connections_move (
  rp_connections_t *self, rp_session_id_t session, rp_connection_t *connection, int64_t now)
{
    if (connection->session.v == session.v || s_is_predecessor (self, session, connection))
        return;
    s_leave (self, session, now);
    s_enter (self, session, connection);
}
