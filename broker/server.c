/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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
#include "common/base/table.h"
#include "common/base/version.h"
#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/socket.h"

/*  Messages kept for reuse: what a burst has in flight, at about 150 bytes each.  */
#define S_SPARE_MESSAGES 65536u

/*  Commands of other threads go through an eventfd, which adds up.  */
#define S_COMMAND_DRAIN 1u
#define S_COMMAND_STOP ((uint64_t) 1 << 32)

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

static bool s_open_listener (rp_server_t *self, rp_listener_kind_t kind, const char *service)
{
    uint8_t number = (uint8_t) self->listener_count;
    if (self->listener_count == RP_LISTENERS_MAX) {
        errno = EMFILE;
        return false;
    }
    rp_listener_t *listener = &self->listeners[self->listener_count++];
    if (!rp_listener_open (listener, self->context, kind, number, service,
          (int64_t) rp_server_max_bytes (self), (int) self->limits.connection_backlog))
        return false;
    struct pollfd *polled = &self->polled[RP_POLL_LISTENERS + 2 * number];
    polled[0] = (struct pollfd){.fd = rp_listener_descriptor (listener), .events = POLLIN};
    polled[1] = (struct pollfd){.fd = rp_listener_monitor_descriptor (listener), .events = POLLIN};
    return true;
}

static bool s_open_sockets (rp_server_t *self, const rp_server_options_t *options)
{
    int commands = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->polled[RP_POLL_COMMANDS] = (struct pollfd){.fd = commands, .events = POLLIN};
    self->polled[RP_POLL_SIGNALS] = (struct pollfd){.fd = options->signals, .events = POLLIN};
    bool alarm = rp_alarm_init (&self->alarm);
    self->polled[RP_POLL_ALARM] = (struct pollfd){.fd = self->alarm.descriptor, .events = POLLIN};
    self->context = rp_context_new ();
    return commands >= 0 && alarm && self->context && s_open_listener (self, RP_LISTENER_OPEN, "");
}

rp_server_t *rp_server_new (const rp_server_options_t *options)
{
    rp_server_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->polled[RP_POLL_COMMANDS].fd = self->alarm.descriptor = -1;
    self->limits = options->limits;
    self->history_path = options->history_path;
    self->descriptor_limit = s_descriptor_limit ();
    self->pool.largest = S_SPARE_MESSAGES;
    zmq_msg_init (&self->routing_id);
    rp_actions_init (&self->actions);
    rp_log_init (&self->log, options->log, options->log_level);
    rp_connections_init (&self->connections, rp_clock_entropy ());
    rp_foreign_init (&self->foreign, &self->pool, &self->limits, rp_clock_entropy ());
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
    rp_pending_init (&self->pending, (int64_t) options->limits.pending_timeout * 1000,
      options->limits.pending_connections);
    rp_handshakes_init (&self->handshakes, (int64_t) RP_SOCKET_HANDSHAKE_MS * 1000);
    rp_outbox_init (&self->outbox, self->listeners[0].socket, &self->connections, &self->pool,
      (size_t) options->limits.connection_backlog_bytes);
    rp_outbox_serve_foreign (&self->outbox, &self->foreign, self->listeners);
    self->admin = (rp_admin_t){.core = self->core,
      .connections = &self->connections,
      .foreign = &self->foreign,
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
    rp_outbox_clear (&self->outbox);
    rp_pending_clear (&self->pending);
    rp_handshakes_clear (&self->handshakes);
    rp_told_clear (&self->told);
    rp_foreign_clear (&self->foreign);
    rp_connections_clear (&self->connections);
    rp_message_pool_clear (&self->pool);
    rp_history_clear (&self->history);
    zmq_msg_close (&self->routing_id);
    for (size_t index = 0; index < self->listener_count; index++)
        rp_listener_close (&self->listeners[index], RP_SERVER_LINGER_MS);
    while (self->context && zmq_ctx_term (self->context) != 0 && errno == EINTR)
        continue;
    if (self->polled[RP_POLL_COMMANDS].fd >= 0)
        close (self->polled[RP_POLL_COMMANDS].fd);
    rp_alarm_close (&self->alarm);
    for (size_t index = 0; index < self->endpoint_count; index++)
        free (self->endpoints[index]);
    free (self->endpoints);
    free (self);
}

static int s_bind (rp_server_t *self, rp_listener_t *listener, const char *endpoint)
{
    char **grown = realloc (self->endpoints, (self->endpoint_count + 1) * sizeof *self->endpoints);
    if (!grown)
        return -1;
    self->endpoints = grown;
    char *real = rp_endpoint_bind (listener->socket, endpoint);
    if (!real)
        return -1;
    self->endpoints[self->endpoint_count++] = real;
    self->admin.endpoints = self->endpoints;
    self->admin.endpoint_count = self->endpoint_count;
    return 0;
}

int rp_server_bind (rp_server_t *self, const char *endpoint)
{
    return s_bind (self, &self->listeners[0], endpoint);
}

int rp_server_bind_plain (
  rp_server_t *self, const char *service, rp_plain_side_t side, const char *endpoint)
{
    rp_listener_kind_t kind = side == RP_PLAIN_FRONT ? RP_LISTENER_FRONT : RP_LISTENER_BACK;
    if (!s_open_listener (self, kind, service))
        return -1;
    return s_bind (self, &self->listeners[self->listener_count - 1], endpoint);
}

const char *rp_server_endpoint (const rp_server_t *self, size_t index)
{
    return index < self->endpoint_count ? self->endpoints[index] : NULL;
}

static void s_command (rp_server_t *self, uint64_t command)
{
    // Fails only when commands without number were given and not read.
    if (write (self->polled[RP_POLL_COMMANDS].fd, &command, sizeof command)
        != (ssize_t) sizeof command)
        return;
}

void rp_server_drain (rp_server_t *self)
{
    s_command (self, S_COMMAND_DRAIN);
}

void rp_server_stop (rp_server_t *self)
{
    s_command (self, S_COMMAND_STOP);
}

/*  ---- Actions ----------------------------------------------------------------------------- */

/*  Errors of somebody without a session, who is not told to leave for them and may repeat them for
    ever. Returns how many there were, 0 if it need not be said.  */
static uint64_t s_count_error (
  rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender)
{
    if (action->topic != RP_TOPIC_BAD || action->session.v || !sender->routing_id)
        return 1;
    uint64_t reason = rp_hash_bytes (action->head.text, action->head.text_size, 0);
    uint64_t cookie = sender->descriptor < 0 ? 0 : rp_connections_cookie (sender->descriptor);
    return rp_told_count (&self->told, sender->descriptor, cookie, reason);
}

static void s_log (
  rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender, int64_t now)
{
    if (!rp_log_wants (&self->log, action->level))
        return;
    uint64_t count = s_count_error (self, action, sender);
    if (count == 0)
        return;
    char buffer[RP_CONNECTIONS_TEXT_MAX], again[64] = "";
    if (count > 1)
        snprintf (again, sizeof again, " (%" PRIu64 " times so far)", count);
    const char *source = NULL;
    if (action->session.v)
        source = rp_connections_address (&self->connections, action->session, buffer);
    else if (sender->routing_id)
        source = rp_connections_descriptor_address (sender->descriptor, buffer);
    rp_log_write (&self->log, action->level, action->topic, now, source, "%.*s%s",
      (int) action->head.text_size, action->head.text, again);
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
    rp_message_t *request = rp_outbox_message (action->payload);
    if (!rp_message_leave_bundle (&self->pool, request)) {
        rp_message_destroy (&self->pool, &request);
        return; // its client waits until its deadline
    }
    rp_message_t *reply = rp_admin_answer (&self->admin, &action->head, &request, now);
    if (rp_outbox_is_to_send (&self->outbox, action))
        s_write_history (self, now);
    if (reply)
        rp_outbox_send (&self->outbox, action->session, &reply);
}

/*  Who gets a session is no pending connection any more, and who is forgotten becomes one, unless
    his descriptor is another's by now.  */
static void s_track_pending (
  rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender, int64_t now)
{
    if (action->kind == RP_ACTION_ADMIT) {
        rp_pending_remove (&self->pending, sender->descriptor);
        rp_handshakes_remove (&self->handshakes, sender->descriptor);
        if (sender->descriptor < 0)
            rp_handshakes_spoke (
              &self->handshakes, rp_listener_of_key (sender->routing_id, sender->size), now);
    }
    if (action->kind != RP_ACTION_UNBIND)
        return;
    int descriptor = rp_connections_descriptor (&self->connections, action->session);
    if (rp_connections_by_descriptor (&self->connections, descriptor).v == action->session.v)
        rp_pending_add (&self->pending, descriptor, now);
}

static void s_pass_on (
  rp_server_t *self, const rp_action_t *action, rp_sender_t *sender, int64_t now)
{
    if (rp_outbox_is_to_send (&self->outbox, action))
        s_write_history (self, now);
    s_track_pending (self, action, sender, now);
    rp_outbox_carry_out (&self->outbox, action, sender);
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
                    rp_history_record (&self->history, now, action);
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
        rp_history_message (&self->history, now, event->session, event->head);
    rp_dispatch_handle (self->core, event, now, &self->actions);
    rp_payload_t **kept = rp_dispatch_kept (self->core);
    if (kept)
        rp_outbox_keep (&self->outbox, event->head, kept);
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
    bool any = rp_outbox_flush (&self->outbox);
    while (rp_outbox_next_event (&self->outbox, &event)) {
        rp_server_tell (self, &event, now);
        s_write_history (self, now);
        rp_outbox_flush (&self->outbox);
        any = true;
    }
    return any;
}

/*  Receives what has come through one listener. True if there may be more. A bundle counts for what
    is in it, so that time passes for all.  */
static bool s_receive_batch (rp_server_t *self, rp_listener_t *listener, int64_t *now)
{
    unsigned clock = 0;
    for (self->taken = 0; self->taken < RP_SERVER_BATCH; self->taken++) {
        if (self->taken >= clock) {
            *now = rp_clock_us ();
            clock = self->taken + RP_SERVER_CLOCK_EVERY;
        }
        if (!rp_server_receive (self, listener, *now))
            return false;
        if (rp_outbox_is_urgent (&self->outbox)) {
            s_write_history (self, *now);
            rp_outbox_empty (&self->outbox);
        }
    }
    return true;
}

/*  ---- Everything else --------------------------------------------------------------------- */

/*  Whoever speaks first has to: REP workers do not, and REQ clients when they like.  */
static void s_accepted (rp_server_t *self, rp_listener_t *listener, int descriptor, int64_t now)
{
    if (listener->kind == RP_LISTENER_BACK)
        rp_listener_came (listener, descriptor, now);
    if (descriptor < self->descriptor_limit) {
        rp_socket_accepted (descriptor);
        rp_handshakes_add (&self->handshakes, descriptor, listener->number, now);
        // What it said may have been read before the news that it came.
        rp_session_id_t session = rp_connections_by_descriptor (&self->connections, descriptor);
        if (listener->kind == RP_LISTENER_OPEN
            && !rp_connections_stands (&self->connections, session))
            rp_pending_add (&self->pending, descriptor, now);
        return;
    }
    rp_connections_abort_descriptor (descriptor);
    rp_log_write (&self->log, RP_LEVEL_WARNING, RP_TOPIC_REFUSED, now, NULL,
      "a connection was cut: nearly all file descriptors are in use; raise LimitNOFILE or "
      "ulimit -n");
}

/*  Which handshake failed is told by who goes next. Of old peers it is told whenever they go, long
    after they were seen to be there.  */
static void s_log_failure (rp_server_t *self, rp_listener_t *listener, int descriptor, int64_t now)
{
    int failure = listener->failure;
    const char *address = rp_handshakes_address (&self->handshakes, descriptor);
    listener->failure = 0;
    if (!address)
        return;
    if (failure == 0) // which is how libzmq ends one with a frame that is too large, too
        rp_log_write (&self->log, RP_LEVEL_DEBUG, RP_TOPIC_HANDSHAKE, now, address,
          "its connection ended before it began a session");
    else if (failure == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_HANDSHAKE, now, address,
          "cut: it does not speak ZeroMQ, or not as it should (libzmq's code 0x%x)",
          (unsigned) listener->failure_value);
    else if (failure == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        rp_log_write (&self->log, RP_LEVEL_WARNING, RP_TOPIC_HANDSHAKE, now, address,
          "cut: its security handshake was refused (code %u)", (unsigned) listener->failure_value);
    else
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_HANDSHAKE, now, address,
          "it closed its connection before the handshake was done, as health probes do");
}

static void s_disconnected (rp_server_t *self, rp_listener_t *listener, int descriptor, int64_t now)
{
    s_log_failure (self, listener, descriptor, now);
    rp_handshakes_remove (&self->handshakes, descriptor);
    if (listener->kind == RP_LISTENER_BACK) {
        if (rp_listener_went (listener, descriptor, now))
            rp_server_count_rep (self, listener, now);
        return;
    }
    rp_pending_remove (&self->pending, descriptor);
    rp_event_t event = {.kind = RP_EVENT_SUSPECT,
      .session = rp_connections_by_descriptor (&self->connections, descriptor)};
    rp_server_tell (self, &event, now);
}

static void s_monitored (
  rp_server_t *self, rp_listener_t *listener, int event, uint32_t value, int64_t now)
{
    switch (event) {
        case ZMQ_EVENT_ACCEPTED:
            s_accepted (self, listener, (int) value, now);
            break;
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            if (listener->kind == RP_LISTENER_BACK && rp_listener_shook_hands (listener))
                rp_server_count_rep (self, listener, now);
            break;
        case ZMQ_EVENT_DISCONNECTED:
            s_disconnected (self, listener, (int) value, now);
            break;
        case ZMQ_EVENT_CLOSED:
            if (listener->kind != RP_LISTENER_BACK)
                s_disconnected (self, listener, (int) value, now);
            break;
        case ZMQ_EVENT_ACCEPT_FAILED:
            rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_REFUSED, now, NULL,
              "cannot accept a connection: %s", strerror ((int) value));
            break;
        default:
            rp_listener_failed (listener);
            listener->failure = event;
            listener->failure_value = value;
    }
}

/*  In batches too: while accept fails, libzmq reports it without a pause.  */
void rp_server_read_monitor (rp_server_t *self, rp_listener_t *listener, int64_t now)
{
    listener->monitor_unread = true;
    for (unsigned count = 0; count < RP_SERVER_BATCH; count++) {
        uint32_t value;
        int event = rp_socket_next_event (listener->monitor, &value);
        if (event == 0) {
            listener->monitor_unread = false;
            return;
        }
        s_monitored (self, listener, event, value, now);
    }
}

static void s_read_commands (rp_server_t *self, int64_t now)
{
    uint64_t commands;
    if (read (self->polled[RP_POLL_COMMANDS].fd, &commands, sizeof commands)
        != (ssize_t) sizeof commands)
        return;
    rp_event_kind_t kind = commands >= S_COMMAND_STOP ? RP_EVENT_STOP : RP_EVENT_DRAIN;
    rp_server_tell (self, &(rp_event_t){.kind = kind}, now);
}

/*  Whoever rotates the history has moved its file away.  */
static void s_reopen_history (rp_server_t *self, int64_t now)
{
    s_write_history (self, now);
    bool kept = rp_history_is_kept (&self->history);
    if (rp_history_reopen (&self->history, self->history_path, now) == 0)
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
          "SIGHUP: the history goes on in %s%s", self->history_path,
          kept ? "" : "; what happened since it ended is missing");
    else
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "SIGHUP: cannot write %s: %s; %s, make it writable and send SIGHUP again",
          self->history_path, strerror (errno),
          kept ? "the history goes on in the file that was open" : "no history is kept");
}

/*  Settings will be read again here.  */
static void s_reload (rp_server_t *self, int64_t now)
{
    if (self->history_path)
        s_reopen_history (self, now);
    rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
      "SIGHUP: settings are read at the start only; restart the broker to change them");
}

static void s_read_signals (rp_server_t *self, int64_t now)
{
    struct signalfd_siginfo info;
    while (read (self->polled[RP_POLL_SIGNALS].fd, &info, sizeof info) == (ssize_t) sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            s_reload (self, now);
            continue;
        }
        rp_notify ("STOPPING=1");
        rp_event_kind_t kind = self->signal_count++ ? RP_EVENT_STOP : RP_EVENT_DRAIN;
        rp_server_tell (self, &(rp_event_t){.kind = kind}, now);
    }
}

/*  Cuts connections that nobody greeted on. Returns when to look again.  */
static int64_t s_abort_pending (rp_server_t *self, int64_t now)
{
    int64_t next;
    size_t count = rp_pending_tick (&self->pending, &self->connections, now, &next);
    if (count > 0)
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_REFUSED, now, NULL,
          "%zu connections were cut: they began no session in time (limits pending_connections, "
          "pending_timeout)",
          count);
    return next;
}

static void s_cut_late (rp_server_t *self, const rp_handshake_end_t *end, int64_t now)
{
    char buffer[RP_CONNECTIONS_TEXT_MAX];
    rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_HANDSHAKE, now,
      rp_connections_descriptor_address (end->descriptor, buffer),
      "cut: it said nothing that ends a ZeroMQ handshake in %d ms", RP_SOCKET_HANDSHAKE_MS);
    rp_connections_abort_socket (end->descriptor, end->cookie);
}

/*  Looks at connections that are new, and cuts those that are not ZeroMQ's, or too slow. Returns
    when to look again.  */
static int64_t s_look_at_handshakes (rp_server_t *self, int64_t now)
{
    int64_t next;
    rp_handshake_end_t end;
    while (rp_handshakes_look (&self->handshakes, now, &end, &next)) {
        rp_listener_t *listener = &self->listeners[end.listener];
        if (end.state == RP_HANDSHAKE_LATE)
            s_cut_late (self, &end, now);
        else if (listener->kind == RP_LISTENER_BACK
                 && rp_listener_saw (listener, end.descriptor, end.state == RP_HANDSHAKE_OLD))
            rp_server_count_rep (self, listener, now);
    }
    return next;
}

/*  True if a monitor may have more to tell, of which its descriptor says nothing.  */
static bool s_is_unread (const rp_server_t *self)
{
    for (size_t index = 0; index < self->listener_count; index++)
        if (self->listeners[index].monitor_unread)
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
    nfds_t count = RP_POLL_LISTENERS + 2 * self->listener_count;
    if (ppoll (self->polled, count, timeout, NULL) <= 0 && !s_is_unread (self))
        return;
    if (self->polled[RP_POLL_ALARM].revents)
        rp_alarm_rang (&self->alarm);
    int64_t now = rp_clock_us ();
    for (size_t index = 0; index < self->listener_count; index++)
        if (self->polled[RP_POLL_LISTENERS + 2 * index + 1].revents
            || self->listeners[index].monitor_unread)
            rp_server_read_monitor (self, &self->listeners[index], now);
    if (self->polled[RP_POLL_COMMANDS].revents)
        s_read_commands (self, now);
    if (self->polled[RP_POLL_SIGNALS].revents)
        s_read_signals (self, now);
}

static int64_t s_earlier (int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/*  Receives from every listener. True if there may be more.  */
static bool s_receive_all (rp_server_t *self, int64_t *now)
{
    bool more = false;
    for (size_t index = 0; index < self->listener_count && !self->ended; index++)
        more |= s_receive_batch (self, &self->listeners[index], now);
    return more;
}

/*  How often it is looked who it is for whom most waits, while too much does, us.  */
#define S_RELIEVE_US 10000

/*  What clients have not read is kept from those who ask. When it is half of what there may be,
    whoever has most of it is cut off.  */
static void s_relieve (rp_server_t *self, int64_t now)
{
    uint64_t most = self->limits.total_queue_bytes / 2;
    if (rp_outbox_backlog (&self->outbox) <= most || now < self->relieved + S_RELIEVE_US)
        return;
    self->relieved = now;
    size_t total; // of those that have a session; what others left behind is about to be freed
    rp_event_t event = {.kind = RP_EVENT_UNSENT,
      .full = true,
      .session = rp_connections_most_unread (&self->connections, &total)};
    if (total > most)
        rp_server_tell (self, &event, now);
}

int rp_server_run (rp_server_t *self)
{
    rp_sender_t nobody = {.descriptor = -1};
    while (!self->ended) {
        int64_t now = 0;
        rp_dispatch_set_backlog (self->core, rp_outbox_backlog (&self->outbox));
        bool busy = s_receive_all (self, &now);
        s_relieve (self, now);
        int64_t revive = rp_server_revive_rep (self, now);
        busy |= s_settle (self, now) || s_is_unread (self);
        int64_t next = rp_dispatch_tick (self->core, now, &self->actions);
        busy |= self->actions.count > 0;
        s_carry_out (self, &nobody, now);
        if (rp_history_is_kept (&self->history))
            rp_history_scrape (&self->history, now, rp_dispatch_stats (self->core));
        next = s_earlier (next, s_abort_pending (self, now));
        next = s_earlier (next, revive);
        next = s_earlier (next, s_look_at_handshakes (self, now));
        if (!self->ended)
            s_wait (self, busy ? now : next);
    }
    if (rp_history_is_kept (&self->history) && !self->failed)
        rp_history_end (&self->history, rp_clock_us ());
    s_write_history (self, rp_clock_us ());
    rp_outbox_flush (&self->outbox);
    return self->failed ? -1 : 0;
}
