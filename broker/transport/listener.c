/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/listener.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "common/io/socket.h"

#define S_MONITOR_EVENTS                                                                           \
    (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED      \
      | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL                       \
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

/*  Its last byte is the listener's number.  */
static const uint8_t s_prefix[RP_LISTENER_PREFIX - 1] = {0, 'g', 'a', 't', 'e', 0, 0};

bool rp_listener_open (rp_listener_t *self,
  void *context,
  rp_listener_kind_t kind,
  uint8_t number,
  const char *service,
  int64_t max_frame,
  int backlog)
{
    *self = (rp_listener_t){.kind = kind, .number = number, .monitor_unread = true};
    memcpy (self->service, service, strlen (service) + 1);
    self->socket = kind == RP_LISTENER_BACK ? rp_socket_backend (context, max_frame, backlog)
                                            : rp_socket_router (context, max_frame, backlog);
    if (self->socket)
        self->monitor = rp_socket_monitor (context, self->socket, S_MONITOR_EVENTS, number + 1u);
    return self->monitor != NULL;
}

void rp_listener_close (rp_listener_t *self, int linger_ms)
{
    if (self->socket)
        zmq_setsockopt (self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    rp_socket_close (self->socket, self->monitor);
    free (self->undecided);
    self->socket = self->monitor = NULL;
    self->undecided = NULL;
    self->undecided_count = self->undecided_capacity = self->ready = 0;
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

/*  ---- REP peers ------------------------------------------------------------------------------ */

void rp_listener_came (rp_listener_t *self, int descriptor, int64_t now)
{
    if (self->undecided_count == self->undecided_capacity) {
        uint32_t capacity = self->undecided_capacity ? self->undecided_capacity * 2 : 16;
        rp_newcomer_t *grown = realloc (self->undecided, capacity * sizeof *grown);
        if (!grown)
            return; // it does not count
        self->undecided = grown;
        self->undecided_capacity = capacity;
    }
    self->undecided[self->undecided_count++] = (rp_newcomer_t){
      .descriptor = descriptor, .until = now + (int64_t) RP_SOCKET_HANDSHAKE_MS * 1000};
}

bool rp_listener_shook_hands (rp_listener_t *self)
{
    bool counts = self->ready < self->undecided_count; // if not, one who went before had counted
    if (counts) {
        self->connected++;
        self->ready++;
    }
    if (self->ready == self->undecided_count)
        self->ready = self->undecided_count = 0;
    return counts;
}

void rp_listener_failed (rp_listener_t *self)
{
    self->failed = true;
}

/*  Takes out one of whom it was not known whether it counted. False if it did not, as far as can be
    seen: if it went at once and others are not known either, it was of the wrong type. Should that
    be wrong, there is one too many until another of them goes or its handshake is done.  */
static bool s_decide (rp_listener_t *self, uint32_t index, int64_t now)
{
    bool at_once = now < self->undecided[index].until;
    self->undecided[index] = self->undecided[--self->undecided_count];
    bool counted = self->ready > 0 && !at_once && !self->failed;
    counted |= self->ready > self->undecided_count; // of those who are left, not all can be
    self->ready -= counted;
    return counted;
}

static uint32_t s_find (const rp_listener_t *self, int descriptor)
{
    uint32_t index = 0;
    while (index < self->undecided_count && self->undecided[index].descriptor != descriptor)
        index++;
    return index;
}

bool rp_listener_saw (rp_listener_t *self, int descriptor, bool old)
{
    uint32_t index = s_find (self, descriptor);
    if (index == self->undecided_count || (!old && self->ready > 0))
        return false;
    self->undecided[index] = self->undecided[--self->undecided_count];
    self->connected++;
    if (self->ready == self->undecided_count)
        self->ready = self->undecided_count = 0;
    return true;
}

bool rp_listener_went (rp_listener_t *self, int descriptor, int64_t now)
{
    uint32_t index = s_find (self, descriptor);
    bool counted = index == self->undecided_count || s_decide (self, index, now);
    self->failed = false;
    counted &= self->connected > 0;
    self->connected -= counted;
    return counted;
}

/*  ---- Keys ----------------------------------------------------------------------------------- */

static bool s_is_prefixed (const void *key, size_t size)
{
    return size >= RP_LISTENER_PREFIX && memcmp (key, s_prefix, sizeof s_prefix) == 0;
}

const void *rp_listener_key (const rp_listener_t *self,
  const void *routing_id,
  size_t *size,
  uint8_t buffer[RP_LISTENER_KEY_MAX])
{
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
