/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/watch.h"

#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <zmq.h>

#include "common/base/earlier.h"
#include "common/io/clock.h"
#include "common/io/socket.h"

/*  Returns nine tenths of the descriptor limit, up to which connections may take descriptors.
    Without a free descriptor accept fails, and the listener spins. Descriptors are given out lowest
    first, so the number of a new one shows how many are in use.  */
static int s_descriptor_limit (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int) (limit.rlim_cur - limit.rlim_cur / 10);
}

/*  A connection has ended: if it was that of a REP worker, one REP worker fewer is connected.  */
static void s_ended (void *arg, rp_connection_t *connection)
{
    rp_watch_t *self = arg;
    rp_listener_t *listener = &self->listeners[connection->listener];
    if (listener->kind == RP_LISTENER_BACK
        && rp_listener_went (listener, connection, rp_clock_us ()))
        listener->recount = true;
}

void rp_watch_init (
  rp_watch_t *self, rp_connections_t *connections, rp_listener_t *listeners, rp_log_t *log)
{
    *self = (rp_watch_t){.connections = connections,
      .listeners = listeners,
      .log = log,
      .descriptor_limit = s_descriptor_limit ()};
    connections->ended = s_ended;
    connections->ended_arg = self;
}

/*  ---- Monitors ------------------------------------------------------------------------------ */

/*  Takes an accepted connection. If too many descriptors are in use, cuts it by its own descriptor,
    since there may be none left for a copy. It is pending only on the open listener, whose peers
    must speak first: REP workers never do, and REQ clients may wait.  */
static void s_accepted (rp_watch_t *self, rp_listener_t *listener, int descriptor, int64_t now)
{
    if (descriptor >= self->descriptor_limit) {
        shutdown (descriptor, SHUT_RDWR);
        rp_log_write (self->log, RP_LEVEL_WARNING, RP_TOPIC_REFUSED, now, NULL,
          "a connection was cut: nearly all file descriptors are in use; raise LimitNOFILE or "
          "ulimit -n");
        return;
    }
    rp_socket_accepted (descriptor);
    rp_connection_t *connection = rp_connections_accept (self->connections, descriptor,
      listener->number, listener->kind == RP_LISTENER_OPEN, listener->secure, now);
    if (connection && listener->kind == RP_LISTENER_BACK)
        rp_listener_came (listener, connection);
}

/*  Returns what a failed handshake says of the peer, and the level at which to log it. failure: the
    monitor's event; 0: none came, which is also how libzmq ends a connection over a frame that is
    too large.  */
static const char *s_explain_failure (const rp_listener_t *listener, rp_level_t *level)
{
    *level = RP_LEVEL_INFO;
    if (listener->failure == 0) {
        *level = RP_LEVEL_DEBUG;
        return "its connection ended before it began a session";
    }
    if (listener->failure == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        *level = RP_LEVEL_WARNING;
        return "refused: its key is not authorized";
    }
    if (listener->failure != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        return "it closed its connection before the handshake was done, as health probes do";
    if (listener->failure_value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        return listener->secure ? "refused: it came without a key"
                                : "refused: it wants a key of the broker, "
                                  "which has none";
    if (listener->failure_value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
        return "refused: it knows another key than the broker's";
    return "cut: it does not speak ZeroMQ, or speaks it wrongly";
}

/*  Logs why a connection ended without a session. The monitor does not tell whose handshake failed,
    so the connection that ends next is taken for it. For old peers libzmq reports a failure
    whenever they disconnect, long after their handshake: so nothing is logged of a connection that
    has left the line of handshakes. Those of secure listeners are never in that line; of them
    nothing is logged once a message has come.  */
static void s_log_failure (
  rp_watch_t *self, rp_listener_t *listener, const rp_connection_t *connection, int64_t now)
{
    rp_level_t level;
    const char *why = s_explain_failure (listener, &level);
    listener->failure = 0;
    if (listener->secure ? connection->heard : !rp_handshakes_has (connection))
        return;
    char buffer[RP_ADDRESS_TEXT_MAX];
    rp_log_write (self->log, level, RP_TOPIC_HANDSHAKE, now,
      rp_address_format (&connection->address, buffer), "%s", why);
}

/*  A connection that a message revealed before its accept was read is not the one that ended: an
    earlier one had its descriptor.  */
static void s_disconnected (rp_watch_t *self, rp_listener_t *listener, int descriptor, int64_t now)
{
    rp_connection_t *connection = rp_connections_at (self->connections, descriptor);
    if (!connection || !connection->accepted || connection->listener != listener->number) {
        listener->failure = 0;
        listener->failed = false;
        return;
    }
    s_log_failure (self, listener, connection, now);
    rp_connections_disconnect (self->connections, connection);
}

static void s_monitored (
  rp_watch_t *self, rp_listener_t *listener, int event, uint32_t value, int64_t now)
{
    switch (event) {
        case ZMQ_EVENT_ACCEPTED:
            s_accepted (self, listener, (int) value, now);
            break;
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            if (listener->kind == RP_LISTENER_BACK && rp_listener_shook_hands (listener))
                listener->recount = true;
            break;
        case ZMQ_EVENT_DISCONNECTED:
        case ZMQ_EVENT_CLOSED:
            s_disconnected (self, listener, (int) value, now);
            break;
        case ZMQ_EVENT_ACCEPT_FAILED:
            rp_log_write (self->log, RP_LEVEL_ERROR, RP_TOPIC_REFUSED, now, NULL,
              "cannot accept a connection: %s", strerror ((int) value));
            break;
        default:
            rp_listener_failed (listener);
            listener->failure = event;
            listener->failure_value = value;
    }
}

void rp_watch_read_monitor (rp_watch_t *self, rp_listener_t *listener, int64_t now)
{
    listener->monitor_unread = true;
    for (unsigned count = 0; count < RP_WATCH_BATCH; count++) {
        uint32_t value;
        int event = rp_socket_next_event (listener->monitor, &value);
        if (event == 0) {
            listener->monitor_unread = false;
            return;
        }
        s_monitored (self, listener, event, value, now);
    }
}

/*  ---- Time ---------------------------------------------------------------------------------- */

/*  Aborts connections that began no session in time. Returns when to look again.  */
static int64_t s_look_at_pending (rp_watch_t *self, int64_t now)
{
    int64_t next;
    size_t count = rp_pending_tick (&self->connections->pending, now, &next);
    if (count > 0)
        rp_log_write (self->log, RP_LEVEL_INFO, RP_TOPIC_REFUSED, now, NULL,
          "%zu connections were cut: they began no session in time (limits pending_connections, "
          "pending_timeout)",
          count);
    return next;
}

static void s_abort_late (rp_watch_t *self, const rp_connection_t *connection, int64_t now)
{
    char buffer[RP_ADDRESS_TEXT_MAX];
    rp_log_write (self->log, RP_LEVEL_INFO, RP_TOPIC_HANDSHAKE, now,
      rp_address_format (&connection->address, buffer),
      "cut: it said nothing that ends a ZeroMQ handshake in %d ms", RP_SOCKET_HANDSHAKE_MS);
    (void) rp_connection_abort (connection);
}

/*  Looks at new connections, and aborts those that are too slow or speak no ZeroMQ. Returns when to
    look again.  */
static int64_t s_look_at_handshakes (rp_watch_t *self, int64_t now)
{
    int64_t next;
    rp_handshake_state_t state;
    rp_connection_t *connection;
    while ((connection = rp_handshakes_look (&self->connections->handshakes, now, &state, &next))) {
        rp_listener_t *listener = &self->listeners[connection->listener];
        if (state == RP_HANDSHAKE_LATE)
            s_abort_late (self, connection, now);
        else if (listener->kind == RP_LISTENER_BACK
                 && rp_listener_saw (listener, connection, state == RP_HANDSHAKE_OLD))
            listener->recount = true;
        else if (listener->kind != RP_LISTENER_BACK && state == RP_HANDSHAKE_DONE
                 && !connection->heard)
            rp_unheard_add (&self->connections->unheard, connection, now);
    }
    return next;
}

/*  Aborts connections whose messages do not arrive. Returns when to look again.  */
static int64_t s_look_at_unheard (rp_watch_t *self, int64_t now)
{
    int64_t next;
    char buffer[RP_ADDRESS_TEXT_MAX];
    const rp_connection_t *connection;
    while ((connection = rp_unheard_look (&self->connections->unheard, now, &next))) {
        rp_log_write (self->log, RP_LEVEL_WARNING, RP_TOPIC_REFUSED, now,
          rp_address_format (&connection->address, buffer),
          "cut: its messages do not arrive, as if another connection had the same routing id; "
          "give each socket its own (ZMQ_ROUTING_ID, ZMQ_IDENTITY), or none");
        (void) rp_connection_abort (connection);
    }
    return next;
}

int64_t rp_watch_look (rp_watch_t *self, int64_t now)
{
    int64_t next = s_look_at_pending (self, now);
    next = rp_earlier (next, s_look_at_handshakes (self, now));
    return rp_earlier (next, s_look_at_unheard (self, now));
}
