/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <zmq.h>

#include "broker/admin.h"
#include "broker/core/dispatch.h"
#include "broker/egress.h"
#include "broker/endpoint.h"
#include "broker/log.h"
#include "broker/notify.h"
#include "broker/peers.h"
#include "broker/strangers.h"
#include "common/io/clock.h"
#include "common/io/message.h"
#include "common/io/socket.h"
#include "common/version.h"
#include "common/wire.h"

/*  Messages kept for reuse: what a burst has in flight, at about 150 bytes each.  */
#define S_SPARE_MESSAGES 65536u

#define S_MONITOR_EVENTS                                                                           \
    (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED      \
     | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL                  \
     | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

enum { POLL_ROUTER, POLL_MONITOR, POLL_WISHES, POLL_SIGNALS, POLL_COUNT };

/*  What other threads wish goes through an eventfd, which adds up.  */
#define S_WISH_DRAIN 1u
#define S_WISH_STOP ((uint64_t) 1 << 32)

struct rp_server {
    void *context;
    void *router;
    void *monitor;
    struct pollfd polled[POLL_COUNT];
    rp_dispatch_t *core;
    rp_actions_t actions;
    rp_peers_t peers;
    rp_strangers_t strangers;
    rp_message_pool_t pool;
    rp_egress_t egress;
    rp_admin_t admin;
    rp_log_t log;
    zmq_msg_t routing_id; /* of the message in hand */
    char **endpoints;
    size_t endpoint_count;
    size_t max_body;
    int descriptor_limit; /* connections with a higher descriptor are cut */
    unsigned signal_count;
    bool monitor_unread; /* its descriptor tells nothing until it has been read to its end */
    bool ended;
    bool failed;
};

/*  Connections take at most nine tenths of the descriptors: accept fails when there are none left,
    and the listener then spins. Descriptors are given out lowest first, so the number of a new one
    says how many are in use.  */
static int s_descriptor_limit (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int) (limit.rlim_cur - limit.rlim_cur / 10);
}

static int s_zmq_descriptor (void *socket)
{
    int descriptor = -1;
    size_t size = sizeof descriptor;
    return zmq_getsockopt (socket, ZMQ_FD, &descriptor, &size) == 0 ? descriptor : -1;
}

/*  The largest message that is received whole, bytes.  */
static size_t s_max_bytes (const rp_server_t *self)
{
    return self->max_body + RP_WIRE_HEAD_MAX + RP_SERVER_SLACK;
}

static bool s_open_sockets (rp_server_t *self, const rp_server_options_t *options)
{
    int64_t max_frame = (int64_t) s_max_bytes (self);
    self->context = zmq_ctx_new ();
    if (self->context)
        self->router =
          rp_socket_router (self->context, max_frame, (int) options->limits.peer_backlog);
    if (self->router)
        self->monitor = rp_socket_monitor (self->context, self->router, S_MONITOR_EVENTS, 1);
    if (!self->monitor)
        return false;
    int wishes = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->polled[POLL_ROUTER].fd = s_zmq_descriptor (self->router);
    self->polled[POLL_MONITOR].fd = s_zmq_descriptor (self->monitor);
    self->polled[POLL_WISHES].fd = wishes;
    self->polled[POLL_SIGNALS].fd = options->signals;
    for (size_t index = 0; index < POLL_COUNT; index++)
        self->polled[index].events = POLLIN;
    return wishes >= 0;
}

rp_server_t *rp_server_new (const rp_server_options_t *options)
{
    rp_server_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->polled[POLL_WISHES].fd = -1;
    self->max_body = options->limits.max_body;
    self->descriptor_limit = s_descriptor_limit ();
    self->pool.largest = S_SPARE_MESSAGES;
    zmq_msg_init (&self->routing_id);
    rp_actions_init (&self->actions);
    rp_log_init (&self->log, options->log, options->log_level);
    rp_peers_init (&self->peers, rp_clock_entropy ());
    int64_t now = rp_clock_us ();
    self->core = rp_dispatch_new (&(rp_dispatch_options_t) {
      .limits = options->limits,
      .seed = rp_clock_entropy (),
      .instance = rp_clock_entropy (),
      .version = RP_VERSION,
      .now = now});
    if (!self->core || !s_open_sockets (self, options)) {
        int error = self->core ? errno : ENOMEM;
        rp_server_destroy (&self);
        errno = error;
        return NULL;
    }
    rp_strangers_init (&self->strangers, (int64_t) options->limits.greeting * 1000);
    rp_egress_init (&self->egress, self->router, &self->peers, &self->pool);
    self->admin = (rp_admin_t) {
      .core = self->core, .peers = &self->peers, .pool = &self->pool, .started = now};
    return self;
}

static void s_carry_out (rp_server_t *self, const rp_sender_t *sender, int64_t now);

void rp_server_destroy (rp_server_t **self_p)
{
    rp_server_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_dispatch_destroy (&self->core, &self->actions);
    s_carry_out (self, &(rp_sender_t) {0}, 0);
    rp_actions_clear (&self->actions);
    rp_egress_clear (&self->egress);
    rp_strangers_clear (&self->strangers);
    rp_peers_clear (&self->peers);
    rp_message_pool_clear (&self->pool);
    zmq_msg_close (&self->routing_id);
    if (self->router) {
        int linger = RP_SERVER_LINGER_MS;
        zmq_setsockopt (self->router, ZMQ_LINGER, &linger, sizeof linger);
    }
    rp_socket_close (self->router, self->monitor);
    while (self->context && zmq_ctx_term (self->context) != 0 && errno == EINTR)
        continue;
    if (self->polled[POLL_WISHES].fd >= 0)
        close (self->polled[POLL_WISHES].fd);
    for (size_t index = 0; index < self->endpoint_count; index++)
        free (self->endpoints[index]);
    free (self->endpoints);
    free (self);
}

int rp_server_bind (rp_server_t *self, const char *endpoint)
{
    char **grown =
      realloc (self->endpoints, (self->endpoint_count + 1) * sizeof *self->endpoints);
    if (!grown)
        return -1;
    self->endpoints = grown;
    char *real = rp_endpoint_bind (self->router, endpoint);
    if (!real)
        return -1;
    self->endpoints[self->endpoint_count++] = real;
    self->admin.endpoints = self->endpoints;
    self->admin.endpoint_count = self->endpoint_count;
    return 0;
}

const char *rp_server_endpoint (const rp_server_t *self, size_t index)
{
    return index < self->endpoint_count ? self->endpoints[index] : NULL;
}

static void s_wish (rp_server_t *self, uint64_t wish)
{
    // Fails only when wishes without number have been made and not been read.
    if (write (self->polled[POLL_WISHES].fd, &wish, sizeof wish) != (ssize_t) sizeof wish)
        return;
}

void rp_server_drain (rp_server_t *self)
{
    s_wish (self, S_WISH_DRAIN);
}

void rp_server_stop (rp_server_t *self)
{
    s_wish (self, S_WISH_STOP);
}

/*  ---- Actions ----------------------------------------------------------------------------- */

static void s_log (
  rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender, int64_t now)
{
    if (!rp_log_wants (&self->log, action->level))
        return;
    char buffer[RP_PEERS_TEXT_MAX];
    const char *source = NULL;
    if (action->peer.v)
        source = rp_peers_address (&self->peers, action->peer, buffer);
    else if (sender->routing_id)
        source = rp_peers_descriptor_address (sender->descriptor, buffer);
    rp_log_write (
      &self->log, action->level, action->topic, now, source, "%.*s", (int) action->head.text_size,
      action->head.text);
}

static void s_answer (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *request = rp_egress_message (action->payload);
    rp_message_t *reply = rp_admin_answer (&self->admin, &action->head, &request, now);
    if (reply)
        rp_egress_send (&self->egress, action->peer, &reply);
}

static void s_carry_out (rp_server_t *self, const rp_sender_t *sender, int64_t now)
{
    for (size_t index = 0; index < self->actions.count; index++) {
        const rp_action_t *action = &self->actions.list[index];
        switch (action->kind) {
            case RP_ACTION_LOG:
                s_log (self, action, sender, now);
                break;
            case RP_ACTION_ADMIN:
                s_answer (self, action, now);
                break;
            case RP_ACTION_STOP:
                self->ended = true;
                break;
            default:
                if (action->kind == RP_ACTION_FORGET)
                    rp_strangers_add (
                      &self->strangers, rp_peers_descriptor (&self->peers, action->peer), now);
                rp_egress_carry_out (&self->egress, action, sender);
        }
    }
    rp_actions_reset (&self->actions);
}

/*  Tells the core of something that nobody sent.  */
static void s_tell (rp_server_t *self, const rp_event_t *event, int64_t now)
{
    static const rp_sender_t nobody = {.descriptor = -1};
    rp_dispatch_handle (self->core, event, now, &self->actions);
    s_carry_out (self, &nobody, now);
}

/*  Sends what waits, and tells the core what could not be sent. True if there was something: then the
    socket has to be asked again before it is waited for.  */
static bool s_settle (rp_server_t *self, int64_t now)
{
    rp_event_t event;
    bool any = rp_egress_flush (&self->egress);
    while (rp_egress_next_event (&self->egress, &event)) {
        s_tell (self, &event, now);
        rp_egress_flush (&self->egress);
        any = true;
    }
    return any;
}

/*  ---- Messages ---------------------------------------------------------------------------- */

/*  True if the core did not pass the payload on: it waits.  */
static bool s_is_kept (const rp_server_t *self, const rp_payload_t *payload)
{
    for (size_t index = 0; index < self->actions.count; index++)
        if (self->actions.list[index].payload == payload)
            return false;
    return true;
}

static void s_take (rp_server_t *self, rp_message_t *message, bool whole, int64_t now)
{
    rp_sender_t sender = {
      .routing_id = zmq_msg_data (&self->routing_id),
      .size = zmq_msg_size (&self->routing_id),
      .descriptor = -1};
    rp_head_t head;
    rp_event_t event = {
      .kind = RP_EVENT_MESSAGE,
      .peer = rp_peers_by_routing_id (&self->peers, sender.routing_id, sender.size),
      .head = &head,
      .payload = rp_egress_payload (message),
      .too_many_frames = !whole && message->bytes <= s_max_bytes (self),
      .error = rp_wire_decode (
        &head, zmq_msg_data (&message->first), zmq_msg_size (&message->first))};
    if (event.peer.v == 0)
        sender.descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
    if (event.error != RP_WIRE_ERROR_NONE || event.too_many_frames) {
        event.kind = RP_EVENT_BAD;
    } else {
        event.size = message->bytes - head.size;
        event.oversized = event.size > self->max_body;
    }
    rp_dispatch_handle (self->core, &event, now, &self->actions);
    if (head.command == RP_COMMAND_REQUEST && s_is_kept (self, event.payload))
        rp_message_compact (message);
    s_carry_out (self, &sender, now);
}

static void s_fail (rp_server_t *self, const char *what, int64_t now)
{
    rp_log_write (
      &self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
      "cannot %s: %s; the broker ends, start it again", what, zmq_strerror (errno));
    self->failed = self->ended = true;
}

/*  Receives and handles one message. False when there is none.  */
static bool s_receive (rp_server_t *self, int64_t now)
{
    if (zmq_msg_recv (&self->routing_id, self->router, ZMQ_DONTWAIT) < 0) {
        if (errno == EINTR)
            return true;
        if (errno != EAGAIN)
            s_fail (self, "receive", now);
        return false;
    }
    rp_message_t *message;
    rp_received_t received = rp_message_receive (
      &self->pool, self->router, RP_FRAMES_MAX, s_max_bytes (self), &message);
    if (received == RP_RECEIVED_ERROR)
        s_fail (self, "receive", now);
    else if (message)
        s_take (self, message, received == RP_RECEIVED, now);
    return !self->ended;
}

/*  True if there may be more.  */
static bool s_receive_batch (rp_server_t *self, int64_t *now)
{
    for (unsigned count = 0; count < RP_SERVER_BATCH; count++) {
        if (count % RP_SERVER_CLOCK_EVERY == 0)
            *now = rp_clock_us ();
        if (!s_receive (self, *now))
            return false;
    }
    return true;
}

/*  ---- Everything else --------------------------------------------------------------------- */

static void s_accepted (rp_server_t *self, int descriptor, int64_t now)
{
    if (descriptor < self->descriptor_limit) {
        rp_strangers_add (&self->strangers, descriptor, now);
        return;
    }
    rp_peers_cut_descriptor (descriptor);
    rp_log_write (
      &self->log, RP_LEVEL_WARNING, RP_TOPIC_REFUSED, now, NULL,
      "a connection was cut: nearly all file descriptors are in use; raise LimitNOFILE or "
      "ulimit -n");
}

static void s_monitored (rp_server_t *self, int event, uint32_t value, int64_t now)
{
    switch (event) {
        case ZMQ_EVENT_ACCEPTED:
            s_accepted (self, (int) value, now);
            break;
        case ZMQ_EVENT_DISCONNECTED:
        case ZMQ_EVENT_CLOSED:
            s_tell (
              self,
              &(rp_event_t) {
                .kind = RP_EVENT_SUSPECT,
                .peer = rp_peers_by_descriptor (&self->peers, (int) value)},
              now);
            break;
        case ZMQ_EVENT_ACCEPT_FAILED:
            rp_log_write (
              &self->log, RP_LEVEL_ERROR, RP_TOPIC_REFUSED, now, NULL,
              "cannot accept a connection: %s", strerror ((int) value));
            break;
        default:
            rp_log_write (
              &self->log, RP_LEVEL_INFO, RP_TOPIC_BAD, now, NULL,
              "a connection ended before its handshake was done: not ZeroMQ, or too slow");
    }
}

/*  In batches too: while accept fails, libzmq reports it without a pause.  */
static void s_read_monitor (rp_server_t *self, int64_t now)
{
    self->monitor_unread = true;
    for (unsigned count = 0; count < RP_SERVER_BATCH; count++) {
        uint32_t value;
        int event = rp_socket_next_event (self->monitor, &value);
        if (event == 0) {
            self->monitor_unread = false;
            return;
        }
        s_monitored (self, event, value, now);
    }
}

static void s_read_wishes (rp_server_t *self, int64_t now)
{
    uint64_t wishes;
    if (read (self->polled[POLL_WISHES].fd, &wishes, sizeof wishes) != (ssize_t) sizeof wishes)
        return;
    rp_event_kind_t kind = wishes >= S_WISH_STOP ? RP_EVENT_STOP : RP_EVENT_DRAIN;
    s_tell (self, &(rp_event_t) {.kind = kind}, now);
}

static void s_read_signals (rp_server_t *self, int64_t now)
{
    struct signalfd_siginfo info;
    while (
      read (self->polled[POLL_SIGNALS].fd, &info, sizeof info) == (ssize_t) sizeof info) {
        rp_notify ("STOPPING=1");
        rp_event_kind_t kind = self->signal_count++ ? RP_EVENT_STOP : RP_EVENT_DRAIN;
        s_tell (self, &(rp_event_t) {.kind = kind}, now);
    }
}

/*  Cuts connections that nobody greeted on. Returns when to look again.  */
static int64_t s_cut_strangers (rp_server_t *self, int64_t now)
{
    int64_t next;
    size_t count = rp_strangers_tick (&self->strangers, &self->peers, now, &next);
    if (count > 0)
        rp_log_write (
          &self->log, RP_LEVEL_INFO, RP_TOPIC_REFUSED, now, NULL,
          "%zu connections were cut: they said no HELLO in time (limit greeting)", count);
    return next;
}

/*  Waits for something to happen, at most until the time given. A libzmq socket's descriptor tells
    only of what has come since the socket said that there is nothing more, so nobody may use the
    socket between that and this.  */
static void s_wait (rp_server_t *self, int64_t until)
{
    struct timespec timeout = {0};
    int64_t pause = until - rp_clock_us ();
    if (pause > 0) {
        timeout.tv_sec = pause / 1000000;
        timeout.tv_nsec = pause % 1000000 * 1000;
    }
    if (ppoll (self->polled, POLL_COUNT, &timeout, NULL) <= 0 && !self->monitor_unread)
        return;
    int64_t now = rp_clock_us ();
    if (self->polled[POLL_MONITOR].revents || self->monitor_unread)
        s_read_monitor (self, now);
    if (self->polled[POLL_WISHES].revents)
        s_read_wishes (self, now);
    if (self->polled[POLL_SIGNALS].revents)
        s_read_signals (self, now);
}

int rp_server_run (rp_server_t *self)
{
    static const rp_sender_t nobody = {.descriptor = -1};
    self->monitor_unread = true;
    while (!self->ended) {
        int64_t now = 0;
        bool busy = s_receive_batch (self, &now);
        busy |= s_settle (self, now) || self->monitor_unread;
        int64_t next = rp_dispatch_tick (self->core, now, &self->actions);
        busy |= self->actions.count > 0;
        s_carry_out (self, &nobody, now);
        int64_t look = s_cut_strangers (self, now);
        if (!self->ended)
            s_wait (self, busy ? now : look < next ? look : next);
    }
    rp_egress_flush (&self->egress);
    return self->failed ? -1 : 0;
}
