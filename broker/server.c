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

#include "broker/notify.h"
#include "broker/server_state.h"
#include "broker/transport/endpoint.h"
#include "common/base/version.h"
#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/socket.h"

/*  Messages kept for reuse: what a burst has in flight, at about 150 bytes each.  */
#define S_SPARE_MESSAGES 65536u

/*  What other threads wish goes through an eventfd, which adds up.  */
#define S_WISH_DRAIN 1u
#define S_WISH_STOP ((uint64_t) 1 << 32)

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

static bool s_open_gate (rp_server_t *self, rp_gate_kind_t kind, const char *service)
{
    uint8_t number = (uint8_t) self->gate_count;
    if (self->gate_count == RP_GATES_MAX) {
        errno = EMFILE;
        return false;
    }
    rp_gate_t *gate = &self->gates[self->gate_count++];
    if (!rp_gate_open (gate, self->context, kind, number, service,
          (int64_t) rp_server_max_bytes (self), (int) self->limits.peer_backlog))
        return false;
    struct pollfd *polled = &self->polled[RP_POLL_GATES + 2 * number];
    polled[0] = (struct pollfd){.fd = rp_gate_descriptor (gate), .events = POLLIN};
    polled[1] = (struct pollfd){.fd = rp_gate_monitor_descriptor (gate), .events = POLLIN};
    return true;
}

static bool s_open_sockets (rp_server_t *self, const rp_server_options_t *options)
{
    int wishes = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->polled[RP_POLL_WISHES] = (struct pollfd){.fd = wishes, .events = POLLIN};
    self->polled[RP_POLL_SIGNALS] = (struct pollfd){.fd = options->signals, .events = POLLIN};
    bool alarm = rp_alarm_init (&self->alarm);
    self->polled[RP_POLL_ALARM] = (struct pollfd){.fd = self->alarm.descriptor, .events = POLLIN};
    self->context = rp_context_new ();
    return wishes >= 0 && alarm && self->context && s_open_gate (self, RP_GATE_OPEN, "");
}

rp_server_t *rp_server_new (const rp_server_options_t *options)
{
    rp_server_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->polled[RP_POLL_WISHES].fd = self->alarm.descriptor = -1;
    self->limits = options->limits;
    self->descriptor_limit = s_descriptor_limit ();
    self->pool.largest = S_SPARE_MESSAGES;
    zmq_msg_init (&self->routing_id);
    rp_actions_init (&self->actions);
    rp_log_init (&self->log, options->log, options->log_level);
    rp_peers_init (&self->peers, rp_clock_entropy ());
    rp_guests_init (&self->guests, &self->pool, &self->limits, rp_clock_entropy ());
    int64_t now = rp_clock_us ();
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = options->limits,
      .seed = rp_clock_entropy (),
      .instance = rp_clock_entropy (),
      .version = RP_VERSION,
      .now = now,
      .history = options->history > 0});
    bool made = self->core
                && (options->history <= 0
                    || rp_history_begin (
                      &self->history, options->history, rp_dispatch_instance (self->core), now));
    if (!made || !s_open_sockets (self, options)) {
        int error = made ? errno : ENOMEM;
        rp_server_destroy (&self);
        errno = error;
        return NULL;
    }
    rp_strangers_init (
      &self->strangers, (int64_t) options->limits.greeting * 1000, options->limits.strangers);
    rp_egress_init (&self->egress, self->gates[0].socket, &self->peers, &self->pool,
      (size_t) options->limits.peer_backlog_bytes);
    rp_egress_serve_guests (&self->egress, &self->guests, self->gates);
    self->admin = (rp_admin_t){.core = self->core,
      .peers = &self->peers,
      .guests = &self->guests,
      .pool = &self->pool,
      .started = now};
    return self;
}

static void s_carry_out (rp_server_t *self, rp_sender_t *sender, int64_t now);

void rp_server_destroy (rp_server_t **self_p)
{
    rp_server_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_dispatch_destroy (&self->core, &self->actions);
    s_carry_out (self, &(rp_sender_t){.descriptor = -1}, 0);
    rp_actions_clear (&self->actions);
    rp_egress_clear (&self->egress);
    rp_strangers_clear (&self->strangers);
    rp_guests_clear (&self->guests);
    rp_peers_clear (&self->peers);
    rp_message_pool_clear (&self->pool);
    rp_history_clear (&self->history);
    zmq_msg_close (&self->routing_id);
    for (size_t index = 0; index < self->gate_count; index++)
        rp_gate_close (&self->gates[index], RP_SERVER_LINGER_MS);
    while (self->context && zmq_ctx_term (self->context) != 0 && errno == EINTR)
        continue;
    if (self->polled[RP_POLL_WISHES].fd >= 0)
        close (self->polled[RP_POLL_WISHES].fd);
    rp_alarm_close (&self->alarm);
    for (size_t index = 0; index < self->endpoint_count; index++)
        free (self->endpoints[index]);
    free (self->endpoints);
    free (self);
}

static int s_bind (rp_server_t *self, rp_gate_t *gate, const char *endpoint)
{
    char **grown = realloc (self->endpoints, (self->endpoint_count + 1) * sizeof *self->endpoints);
    if (!grown)
        return -1;
    self->endpoints = grown;
    char *real = rp_endpoint_bind (gate->socket, endpoint);
    if (!real)
        return -1;
    self->endpoints[self->endpoint_count++] = real;
    self->admin.endpoints = self->endpoints;
    self->admin.endpoint_count = self->endpoint_count;
    return 0;
}

int rp_server_bind (rp_server_t *self, const char *endpoint)
{
    return s_bind (self, &self->gates[0], endpoint);
}

int rp_server_bind_plain (
  rp_server_t *self, const char *service, rp_plain_side_t side, const char *endpoint)
{
    rp_gate_kind_t kind = side == RP_PLAIN_FRONT ? RP_GATE_FRONT : RP_GATE_BACK;
    if (!s_open_gate (self, kind, service))
        return -1;
    return s_bind (self, &self->gates[self->gate_count - 1], endpoint);
}

const char *rp_server_endpoint (const rp_server_t *self, size_t index)
{
    return index < self->endpoint_count ? self->endpoints[index] : NULL;
}

static void s_wish (rp_server_t *self, uint64_t wish)
{
    // Fails only when wishes without number have been made and not been read.
    if (write (self->polled[RP_POLL_WISHES].fd, &wish, sizeof wish) != (ssize_t) sizeof wish)
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
    rp_log_write (&self->log, action->level, action->topic, now, source, "%.*s",
      (int) action->head.text_size, action->head.text);
}

/*  Writes what has been told so far, before any of it is sent.  */
static void s_write_history (rp_server_t *self, int64_t now)
{
    rp_history_flush (&self->history);
    int error = rp_history_failure (&self->history);
    if (error)
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "cannot write the history: %s; it ends here, the broker goes on", strerror (error));
}

static void s_answer (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *request = rp_egress_message (action->payload);
    if (!rp_message_leave_bundle (&self->pool, request)) {
        rp_message_destroy (&self->pool, &request);
        return; // its client waits until its deadline
    }
    rp_message_t *reply = rp_admin_answer (&self->admin, &action->head, &request, now);
    if (rp_egress_is_to_send (&self->egress, action))
        s_write_history (self, now);
    if (reply)
        rp_egress_send (&self->egress, action->peer, &reply);
}

/*  Who gets a session is no stranger any more, and who is forgotten becomes one, unless his
    descriptor is another's by now.  */
static void s_note_stranger (
  rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender, int64_t now)
{
    if (action->kind == RP_ACTION_ADMIT)
        rp_strangers_remove (&self->strangers, sender->descriptor);
    if (action->kind != RP_ACTION_FORGET)
        return;
    int descriptor = rp_peers_descriptor (&self->peers, action->peer);
    if (rp_peers_by_descriptor (&self->peers, descriptor).v == action->peer.v)
        rp_strangers_add (&self->strangers, descriptor, now);
}

static void s_pass_on (
  rp_server_t *self, const rp_action_t *action, rp_sender_t *sender, int64_t now)
{
    if (rp_egress_is_to_send (&self->egress, action))
        s_write_history (self, now);
    s_note_stranger (self, action, sender, now);
    rp_egress_carry_out (&self->egress, action, sender);
}

static void s_carry_out (rp_server_t *self, rp_sender_t *sender, int64_t now)
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
            case RP_ACTION_HISTORY:
                if (rp_history_is_kept (&self->history))
                    rp_history_note (&self->history, now, action);
                break;
            default:
                s_pass_on (self, action, sender, now);
        }
    }
    rp_actions_reset (&self->actions);
}

void rp_server_handle (rp_server_t *self, const rp_event_t *event, rp_sender_t *sender, int64_t now)
{
    if (rp_history_is_kept (&self->history) && event->kind == RP_EVENT_MESSAGE)
        rp_history_message (&self->history, now, event->peer, event->head);
    rp_dispatch_handle (self->core, event, now, &self->actions);
    rp_payload_t **kept = rp_dispatch_kept (self->core);
    if (kept)
        rp_egress_keep (&self->egress, event->head, kept);
    s_carry_out (self, sender, now);
}

void rp_server_tell (rp_server_t *self, const rp_event_t *event, int64_t now)
{
    rp_sender_t nobody = {.descriptor = -1};
    rp_server_handle (self, event, &nobody, now);
}

void rp_server_fail (rp_server_t *self, const char *what, int64_t now)
{
    rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
      "cannot %s: %s; the broker ends, start it again", what, zmq_strerror (errno));
    self->failed = self->ended = true;
}

/*  Sends what waits, and tells the core what could not be sent. True if there was something: then
    the socket has to be asked again before it is waited for.  */
static bool s_settle (rp_server_t *self, int64_t now)
{
    rp_event_t event;
    s_write_history (self, now);
    bool any = rp_egress_flush (&self->egress);
    while (rp_egress_next_event (&self->egress, &event)) {
        rp_server_tell (self, &event, now);
        s_write_history (self, now);
        rp_egress_flush (&self->egress);
        any = true;
    }
    return any;
}

/*  Receives what has come through one gate. True if there may be more. A bundle counts for what is
    in it, so that time passes for all.  */
static bool s_receive_batch (rp_server_t *self, rp_gate_t *gate, int64_t *now)
{
    unsigned clock = 0;
    for (self->taken = 0; self->taken < RP_SERVER_BATCH; self->taken++) {
        if (self->taken >= clock) {
            *now = rp_clock_us ();
            clock = self->taken + RP_SERVER_CLOCK_EVERY;
        }
        if (!rp_server_receive (self, gate, *now))
            return false;
        if (rp_egress_is_urgent (&self->egress)) {
            s_write_history (self, *now);
            rp_egress_empty (&self->egress);
        }
    }
    return true;
}

/*  ---- Everything else --------------------------------------------------------------------- */

/*  Whoever speaks first has to: REP workers do not, and REQ clients when they like.  */
static void s_accepted (rp_server_t *self, rp_gate_t *gate, int descriptor, int64_t now)
{
    if (gate->kind == RP_GATE_BACK)
        rp_gate_came (gate, descriptor, now);
    if (descriptor < self->descriptor_limit) {
        rp_socket_accepted (descriptor);
        // What it said may have been read before the news that it came.
        rp_peer_id_t peer = rp_peers_by_descriptor (&self->peers, descriptor);
        if (gate->kind == RP_GATE_OPEN && !rp_peers_stands (&self->peers, peer))
            rp_strangers_add (&self->strangers, descriptor, now);
        return;
    }
    rp_peers_cut_descriptor (descriptor);
    rp_log_write (&self->log, RP_LEVEL_WARNING, RP_TOPIC_REFUSED, now, NULL,
      "a connection was cut: nearly all file descriptors are in use; raise LimitNOFILE or "
      "ulimit -n");
}

static void s_disconnected (rp_server_t *self, rp_gate_t *gate, int descriptor, int64_t now)
{
    if (gate->kind == RP_GATE_BACK) {
        if (rp_gate_went (gate, descriptor, now))
            rp_server_count_rep (self, gate, now);
        return;
    }
    rp_strangers_remove (&self->strangers, descriptor);
    rp_event_t event = {
      .kind = RP_EVENT_SUSPECT, .peer = rp_peers_by_descriptor (&self->peers, descriptor)};
    rp_server_tell (self, &event, now);
}

static void s_monitored (rp_server_t *self, rp_gate_t *gate, int event, uint32_t value, int64_t now)
{
    switch (event) {
        case ZMQ_EVENT_ACCEPTED:
            s_accepted (self, gate, (int) value, now);
            break;
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            if (gate->kind == RP_GATE_BACK && rp_gate_shook_hands (gate))
                rp_server_count_rep (self, gate, now);
            break;
        case ZMQ_EVENT_DISCONNECTED:
            s_disconnected (self, gate, (int) value, now);
            break;
        case ZMQ_EVENT_CLOSED:
            if (gate->kind != RP_GATE_BACK)
                s_disconnected (self, gate, (int) value, now);
            break;
        case ZMQ_EVENT_ACCEPT_FAILED:
            rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_REFUSED, now, NULL,
              "cannot accept a connection: %s", strerror ((int) value));
            break;
        default:
            rp_gate_failed (gate);
            rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BAD, now, NULL,
              "a connection ended before its handshake was done: not ZeroMQ, or too slow");
    }
}

/*  In batches too: while accept fails, libzmq reports it without a pause.  */
static void s_read_monitor (rp_server_t *self, rp_gate_t *gate, int64_t now)
{
    gate->monitor_unread = true;
    for (unsigned count = 0; count < RP_SERVER_BATCH; count++) {
        uint32_t value;
        int event = rp_socket_next_event (gate->monitor, &value);
        if (event == 0) {
            gate->monitor_unread = false;
            return;
        }
        s_monitored (self, gate, event, value, now);
    }
}

static void s_read_wishes (rp_server_t *self, int64_t now)
{
    uint64_t wishes;
    if (read (self->polled[RP_POLL_WISHES].fd, &wishes, sizeof wishes) != (ssize_t) sizeof wishes)
        return;
    rp_event_kind_t kind = wishes >= S_WISH_STOP ? RP_EVENT_STOP : RP_EVENT_DRAIN;
    rp_server_tell (self, &(rp_event_t){.kind = kind}, now);
}

static void s_read_signals (rp_server_t *self, int64_t now)
{
    struct signalfd_siginfo info;
    while (read (self->polled[RP_POLL_SIGNALS].fd, &info, sizeof info) == (ssize_t) sizeof info) {
        rp_notify ("STOPPING=1");
        rp_event_kind_t kind = self->signal_count++ ? RP_EVENT_STOP : RP_EVENT_DRAIN;
        rp_server_tell (self, &(rp_event_t){.kind = kind}, now);
    }
}

/*  Cuts connections that nobody greeted on. Returns when to look again.  */
static int64_t s_cut_strangers (rp_server_t *self, int64_t now)
{
    int64_t next;
    size_t count = rp_strangers_tick (&self->strangers, &self->peers, now, &next);
    if (count > 0)
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_REFUSED, now, NULL,
          "%zu connections were cut: they began no session in time (limits strangers, greeting)",
          count);
    return next;
}

/*  True if a monitor may have more to tell, of which its descriptor says nothing.  */
static bool s_is_unread (const rp_server_t *self)
{
    for (size_t index = 0; index < self->gate_count; index++)
        if (self->gates[index].monitor_unread)
            return true;
    return false;
}

/*  Waits for something to happen, at most until the time given. A libzmq socket's descriptor tells
    only of what has come since the socket said that there is nothing more, so nobody may use the
    socket between that and this.  */
static void s_wait (rp_server_t *self, int64_t until)
{
    struct timespec near;
    const struct timespec *timeout = rp_alarm_set (&self->alarm, until, &near);
    nfds_t count = RP_POLL_GATES + 2 * self->gate_count;
    if (ppoll (self->polled, count, timeout, NULL) <= 0 && !s_is_unread (self))
        return;
    if (self->polled[RP_POLL_ALARM].revents)
        rp_alarm_rang (&self->alarm);
    int64_t now = rp_clock_us ();
    for (size_t index = 0; index < self->gate_count; index++)
        if (self->polled[RP_POLL_GATES + 2 * index + 1].revents
            || self->gates[index].monitor_unread)
            s_read_monitor (self, &self->gates[index], now);
    if (self->polled[RP_POLL_WISHES].revents)
        s_read_wishes (self, now);
    if (self->polled[RP_POLL_SIGNALS].revents)
        s_read_signals (self, now);
}

static int64_t s_earlier (int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/*  Receives from every gate. True if there may be more.  */
static bool s_receive_all (rp_server_t *self, int64_t *now)
{
    bool more = false;
    for (size_t index = 0; index < self->gate_count && !self->ended; index++)
        more |= s_receive_batch (self, &self->gates[index], now);
    return more;
}

/*  How often it is looked who it is for whom most waits, while too much does, us.  */
#define S_RELIEVE_US 10000

/*  What clients have not read is kept from those who ask. When it is half of what there may be,
    whoever has most of it is cut off.  */
static void s_relieve (rp_server_t *self, int64_t now)
{
    uint64_t most = self->limits.total_queue_bytes / 2;
    if (rp_egress_backlog (&self->egress) <= most || now < self->relieved + S_RELIEVE_US)
        return;
    self->relieved = now;
    size_t total; // of those that have a session; what others left behind is about to be freed
    rp_event_t event = {
      .kind = RP_EVENT_UNSENT, .full = true, .peer = rp_peers_most_unread (&self->peers, &total)};
    if (total > most)
        rp_server_tell (self, &event, now);
}

int rp_server_run (rp_server_t *self)
{
    rp_sender_t nobody = {.descriptor = -1};
    while (!self->ended) {
        int64_t now = 0;
        rp_dispatch_set_backlog (self->core, rp_egress_backlog (&self->egress));
        bool busy = s_receive_all (self, &now);
        s_relieve (self, now);
        int64_t revive = rp_server_revive_rep (self, now);
        busy |= s_settle (self, now) || s_is_unread (self);
        int64_t next = rp_dispatch_tick (self->core, now, &self->actions);
        busy |= self->actions.count > 0;
        s_carry_out (self, &nobody, now);
        if (rp_history_is_kept (&self->history))
            rp_history_scrape (&self->history, now, rp_dispatch_stats (self->core));
        next = s_earlier (next, s_cut_strangers (self, now));
        next = s_earlier (next, revive);
        if (!self->ended)
            s_wait (self, busy ? now : next);
    }
    if (rp_history_is_kept (&self->history) && !self->failed)
        rp_history_end (&self->history, rp_clock_us ());
    s_write_history (self, rp_clock_us ());
    rp_egress_flush (&self->egress);
    return self->failed ? -1 : 0;
}
