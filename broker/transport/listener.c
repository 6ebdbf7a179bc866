/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/listener.h"

#include <string.h>

#include <zmq.h>

#include "common/base/check.h"
#include "common/io/socket.h"

#define S_MONITOR_EVENTS                                                                           \
    (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED      \
      | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL                       \
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

/*  The listener's number follows as the last byte of a prefix.  */
static const uint8_t s_prefix[RP_LISTENER_PREFIX - 1] = {0, 'g', 'a', 't', 'e', 0, 0};

bool rp_listener_open (rp_listener_t *self,
  void *context,
  rp_listener_kind_t kind,
  uint8_t number,
  const char *service,
  int64_t max_frame,
  int backlog,
  const rp_socket_security_t *security)
{
    *self = (rp_listener_t){
      .kind = kind, .number = number, .secure = security != NULL, .monitor_unread = true};
    memcpy (self->service, service, strlen (service) + 1);
    self->socket = kind == RP_LISTENER_BACK
                     ? rp_socket_backend (context, max_frame, backlog, security)
                     : rp_socket_router (context, max_frame, backlog, security);
    if (self->socket)
        self->monitor = rp_socket_monitor (context, self->socket, S_MONITOR_EVENTS, number + 1u);
    return self->monitor != NULL;
}

void rp_listener_close (rp_listener_t *self, int linger_ms)
{
    if (self->socket)
        (void) zmq_setsockopt (self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    rp_socket_close (self->socket, self->monitor);
    self->socket = self->monitor = NULL;
}

static int s_descriptor (void *socket)
{
    int descriptor = -1;
    size_t size = sizeof descriptor;
    return socket && zmq_getsockopt (socket, ZMQ_FD, &descriptor, &size) == 0 ? descriptor : -1;
}

int rp_listener_descriptor (const rp_listener_t *self)
{
    return s_descriptor (self->socket);
}

int rp_listener_monitor_descriptor (const rp_listener_t *self)
{
    return s_descriptor (self->monitor);
}

/*  ---- REP peers ----------------------------------------------------------------------------- */

/*  Begins a new round when all undecided connections are ready.  */
static void s_begin_round (rp_listener_t *self)
{
    if (self->ready != self->undecided)
        return;
    self->ready = self->undecided = 0;
    self->round++;
}

static bool s_is_undecided (const rp_listener_t *self, const rp_connection_t *connection)
{
    return self->undecided > 0 && connection->undecided == self->round;
}

static void s_decide (rp_listener_t *self, rp_connection_t *connection)
{
    connection->undecided = self->round - 1;
    self->undecided--;
}

void rp_listener_came (rp_listener_t *self, rp_connection_t *connection)
{
    connection->undecided = self->round;
    self->undecided++;
}

bool rp_listener_shook_hands (rp_listener_t *self)
{
    // otherwise a connection that ended was counted too early
    bool counts = self->ready < self->undecided;
    if (counts) {
        self->connected++;
        self->ready++;
    }
    s_begin_round (self);
    return counts;
}

void rp_listener_failed (rp_listener_t *self)
{
    self->failed = true;
}

bool rp_listener_saw (rp_listener_t *self, rp_connection_t *connection, bool old)
{
    if (!s_is_undecided (self, connection) || (!old && self->ready > 0))
        return false;
    s_decide (self, connection);
    self->connected++;
    s_begin_round (self);
    return true;
}

/*  Takes out an undecided connection that has ended. True if it is taken for a REP worker that was
    counted: a connection that ends at once is taken for a peer of the wrong type, unless more are
    ready than are left. If that is wrong, one REP worker too many is counted until another
    undecided connection ends, or its handshake is done.  */
static bool s_take_out (rp_listener_t *self, rp_connection_t *connection, int64_t now)
{
    bool at_once = now < connection->accepted_at + (int64_t) RP_SOCKET_HANDSHAKE_MS * 1000;
    s_decide (self, connection);
    bool counted = self->ready > 0 && !at_once && !self->failed;
    counted |= self->ready > self->undecided; // more are ready than are left
    self->ready -= counted;
    return counted;
}

bool rp_listener_went (rp_listener_t *self, rp_connection_t *connection, int64_t now)
{
    bool counted = !s_is_undecided (self, connection) || s_take_out (self, connection, now);
    self->failed = false;
    counted &= self->connected > 0;
    self->connected -= counted;
    return counted;
}

/*  ---- Keys ---------------------------------------------------------------------------------- */

static bool s_is_prefixed (const void *key, size_t size)
{
    return size >= RP_LISTENER_PREFIX && memcmp (key, s_prefix, sizeof s_prefix) == 0;
}

const void *rp_listener_key (const rp_listener_t *self,
  const void *routing_id,
  size_t *size,
  uint8_t buffer[RP_LISTENER_KEY_MAX])
{
    RP_CHECK (*size <= RP_LISTENER_ID_MAX);
    if (self->number == 0 && !s_is_prefixed (routing_id, *size))
        return routing_id;
    memcpy (buffer, s_prefix, sizeof s_prefix);
    buffer[sizeof s_prefix] = self->number;
    if (*size)
        memcpy (buffer + RP_LISTENER_PREFIX, routing_id, *size);
    *size += RP_LISTENER_PREFIX;
    return buffer;
}

uint8_t rp_listener_of_key (const void *key, size_t size)
{
    return s_is_prefixed (key, size) ? ((const uint8_t *) key)[sizeof s_prefix] : 0;
}

const void *rp_listener_routing_id (const void *key, size_t *size)
{
    if (!s_is_prefixed (key, *size))
        return key;
    *size -= RP_LISTENER_PREFIX;
    return *size ? (const uint8_t *) key + RP_LISTENER_PREFIX : NULL;
}
