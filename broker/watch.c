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

/*  Counts a REP worker off, whoever found out that its connection has ended.  */
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

/*  Takes an accepted connection, or cuts it if too many descriptors are in use; by its own
    descriptor, since there may be none left for a copy. It is pending only on the open listener,
    whose peers speak first: REP workers do not, and REQ clients need not.  */
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
    rp_connection_t *connection = rp_connections_accept (
      self->connections, descriptor, listener->number, listener->kind == RP_LISTENER_OPEN, now);
    if (connection && listener->kind == RP_LISTENER_BACK)
        rp_listener_came (listener, connection);
}

/*  Logs why a connection ended without a session. The monitor does not tell whose handshake failed,
    so the connection that ends next is taken for it. For old peers libzmq reports a failure
    whenever they disconnect, long after their handshake: then the connection is no longer in the
    line of handshakes.  */
static void s_log_failure (
  rp_watch_t *self, rp_listener_t *listener, const rp_connection_t *connection, int64_t now)
{
    int failure = listener->failure;
    listener->failure = 0;
    if (!rp_handshakes_has (connection))
        return;
    char buffer[RP_ADDRESS_TEXT_MAX];
    const char *address = rp_address_format (&connection->address, buffer);
    if (failure == 0) // also how libzmq ends a connection over a frame that is too large
        rp_log_write (self->log, RP_LEVEL_DEBUG, RP_TOPIC_HANDSHAKE, now, address,
          "its connection ended before it began a session");
    else if (failure == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        rp_log_write (self->log, RP_LEVEL_INFO, RP_TOPIC_HANDSHAKE, now, address,
          "cut: it does not speak ZeroMQ, or speaks it wrongly (libzmq's code 0x%x)",
          (unsigned) listener->failure_value);
    else if (failure == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        rp_log_write (self->log, RP_LEVEL_WARNING, RP_TOPIC_HANDSHAKE, now, address,
          "cut: its security handshake was refused (code %u)", (unsigned) listener->failure_value);
    else
        rp_log_write (self->log, RP_LEVEL_INFO, RP_TOPIC_HANDSHAKE, now, address,
          "it closed its connection before the handshake was done, as health probes do");
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
