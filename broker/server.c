/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <zmq.h>

#include "broker/admin/admin.h"
#include "broker/core/dispatch.h"
#include "broker/log.h"
#include "broker/notify.h"
#include "broker/protocol/foreign.h"
#include "broker/receive.h"
#include "broker/store/history.h"
#include "broker/transport/connections.h"
#include "broker/transport/endpoint.h"
#include "broker/transport/listener.h"
#include "broker/transport/outbox.h"
#include "broker/transport/reading.h"
#include "broker/watch.h"
#include "common/base/table.h"
#include "common/base/version.h"
#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/message.h"
#include "common/io/poller.h"
#include "common/io/socket.h"

/*  Messages kept for reuse, at about 150 bytes each: enough for a burst.  */
#define S_SPARE_MESSAGES 65536u

/*  Commands of other threads go through an eventfd, which adds them up.  */
#define S_COMMAND_DRAIN 1u
#define S_COMMAND_STOP ((uint64_t) 1 << 32)

struct rp_server {
    void *context;
    rp_listener_t listeners[RP_LISTENERS_MAX];
    size_t listener_count;
    rp_dispatch_t *core;
    rp_actions_t actions;
    rp_connections_t connections;
    rp_watch_t watch;
    rp_foreign_t foreign;
    rp_message_pool_t pool;
    rp_receive_t receive;
    rp_outbox_t outbox;
    rp_admin_t admin;
    rp_log_t log;
    rp_history_t history;
    const char *history_path; /* NULL: SIGHUP does not open it again */
    rp_poller_t poller;
    rp_deadline_t tick;    /* when the core is due */
    rp_deadline_t look;    /* when connections are due for a look */
    rp_deadline_t revive;  /* when to count REP workers again */
    rp_deadline_t relieve; /* when to look again for clients that do not read */
    int commands;          /* an eventfd; -1: none */
    int signals;           /* a signalfd, not owned; -1: none */
    char **endpoints;
    size_t endpoint_count;
    rp_limits_t limits;
    unsigned signal_count;
    bool relieved; /* waits for the deadline relieve */
    bool ended;
    bool failed;
};

static void s_read_commands (void *arg, int64_t now);
static void s_read_signals (void *arg, int64_t now);
static void s_count_rep (void *arg, int64_t now);
static void s_end_relief (void *arg, int64_t now);
static void s_carry_out (rp_server_t *self, rp_sender_t *sender, int64_t now);

/*  ---- Making, binding, ending --------------------------------------------------------------- */

static void s_mark_unread (void *arg, int64_t now)
{
    (void) now;
    ((rp_listener_t *) arg)->monitor_unread = true;
}

static bool s_open_listener (rp_server_t *self, rp_listener_kind_t kind, const char *service)
{
    if (self->listener_count == RP_LISTENERS_MAX) {
        errno = EMFILE;
        return false;
    }
    uint8_t number = (uint8_t) self->listener_count;
    rp_listener_t *listener = &self->listeners[self->listener_count++];
    return rp_listener_open (listener, self->context, kind, number, service,
             (int64_t) rp_receive_max_bytes (&self->limits), (int) self->limits.connection_backlog)
           && rp_poller_add (&self->poller, rp_listener_descriptor (listener), NULL, NULL)
           && rp_poller_add (
             &self->poller, rp_listener_monitor_descriptor (listener), s_mark_unread, listener);
}

static bool s_open_poller (rp_server_t *self)
{
    self->commands = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->commands >= 0 && rp_poller_init (&self->poller)
           && rp_poller_add (&self->poller, self->commands, s_read_commands, self)
           && rp_poller_add (&self->poller, self->signals, s_read_signals, self)
           && rp_poller_add_deadline (&self->poller, &self->tick, NULL, NULL)
           && rp_poller_add_deadline (&self->poller, &self->look, NULL, NULL)
           && rp_poller_add_deadline (&self->poller, &self->revive, s_count_rep, self)
           && rp_poller_add_deadline (&self->poller, &self->relieve, s_end_relief, self);
}

static bool s_make (rp_server_t *self, const rp_server_options_t *options, int64_t now)
{
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = options->limits,
      .seed = rp_clock_entropy (),
      .instance = rp_clock_entropy (),
      .version = RP_VERSION,
      .now = now,
      .history = options->history > 0});
    errno = ENOMEM;
    if (!self->core
        || (options->history > 0
            && !rp_history_begin (
              &self->history, options->history, rp_dispatch_instance (self->core), now)))
        return false;
    return s_open_poller (self) && (self->context = rp_context_new ())
           && s_open_listener (self, RP_LISTENER_OPEN, "");
}

/*  Tells the parts of the server of each other.  */
static void s_join (rp_server_t *self, int64_t now)
{
    rp_watch_init (&self->watch, &self->connections, self->listeners, &self->log);
    self->receive.connections = &self->connections;
    self->receive.foreign = &self->foreign;
    self->receive.pool = &self->pool;
    self->receive.limits = &self->limits;
    self->receive.log = &self->log;
    self->admin = (rp_admin_t){.core = self->core,
      .routes = &self->connections.routes,
      .foreign = &self->foreign,
      .pool = &self->pool,
      .started = now};
    rp_outbox_init (&self->outbox, self->listeners[0].socket, &self->connections.routes,
      &self->pool, rp_history_journal (&self->history),
      (size_t) self->limits.connection_backlog_bytes);
    rp_outbox_serve_foreign (&self->outbox, &self->foreign, self->listeners);
}

rp_server_t *rp_server_new (const rp_server_options_t *options)
{
    rp_server_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    int64_t now = rp_clock_us ();
    self->commands = self->poller.alarm.descriptor = -1;
    self->signals = options->signals;
    self->limits = options->limits;
    self->history_path = options->history_path;
    self->pool.largest = S_SPARE_MESSAGES;
    rp_actions_init (&self->actions);
    rp_receive_init (&self->receive);
    rp_log_init (&self->log, options->log, options->log_level);
    rp_connections_init (
      &self->connections, &(rp_connections_options_t){.seed = rp_clock_entropy (),
                            .handshake = (int64_t) RP_SOCKET_HANDSHAKE_MS * 1000,
                            .pending = (int64_t) options->limits.pending_timeout * 1000,
                            .pending_free = options->limits.pending_connections});
    rp_foreign_init (&self->foreign, &self->pool, &self->limits, rp_clock_entropy ());
    bool made = s_make (self, options, now);
    int error = errno;
    s_join (self, now);
    if (!made)
        rp_server_destroy (&self);
    errno = error;
    return self;
}

void rp_server_destroy (rp_server_t **self_p)
{
    rp_server_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_dispatch_destroy (&self->core, &self->actions);
    s_carry_out (self, &(rp_sender_t){0}, 0);
    rp_actions_clear (&self->actions);
    rp_receive_clear (&self->receive);
    rp_outbox_clear (&self->outbox);
    rp_foreign_clear (&self->foreign);
    rp_connections_clear (&self->connections);
    rp_message_pool_clear (&self->pool);
    rp_history_clear (&self->history);
    rp_poller_clear (&self->poller);
    for (size_t index = 0; index < self->listener_count; index++)
        rp_listener_close (&self->listeners[index], RP_SERVER_LINGER_MS);
    while (self->context && zmq_ctx_term (self->context) != 0 && errno == EINTR)
        continue;
    if (self->commands >= 0)
        close (self->commands);
    for (size_t index = 0; index < self->endpoint_count; index++)
        free (self->endpoints[index]);
    free (self->endpoints);
    rp_log_clear (&self->log);
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
    // Fails only if the eventfd is full of unread commands, which is as good.
    if (write (self->commands, &command, sizeof command) != (ssize_t) sizeof command)
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

/*  ---- Actions ------------------------------------------------------------------------------- */

/*  Returns how often an error of a connection without a session has happened, or 0 if it is not to
    be logged: such a peer is not cut off, and may repeat its error for ever.  */
static uint64_t s_count_error (const rp_action_t *action, const rp_sender_t *sender)
{
    if (action->topic != RP_TOPIC_BAD || action->session.v || !sender->connection)
        return 1;
    return rp_connection_count_error (
      sender->connection, rp_hash_bytes (action->head.text, action->head.text_size, 0));
}

static void s_log (
  rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender, int64_t now)
{
    if (!rp_log_wants (&self->log, action->level))
        return;
    uint64_t count = s_count_error (action, sender);
    if (count == 0)
        return;
    char buffer[RP_ADDRESS_TEXT_MAX], again[64] = "";
    if (count > 1)
        snprintf (again, sizeof again, " (%" PRIu64 " times so far)", count);
    const rp_address_t unknown = {0};
    const char *source = NULL;
    if (action->session.v)
        source = rp_routes_address (&self->connections.routes, action->session, buffer);
    else if (sender->routing_id)
        source =
          rp_address_format (sender->connection ? &sender->connection->address : &unknown, buffer);
    rp_log_write (&self->log, action->level, action->topic, now, source, "%.*s%s",
      (int) action->head.text_size, action->head.text, again);
}

static void s_answer (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *request = rp_outbox_message (action->payload);
    rp_message_t *reply = NULL;
    if (rp_message_leave_bundle (&self->pool, request))
        reply = rp_admin_answer (&self->admin, &action->head, &request, now);
    rp_message_destroy (&self->pool, &request);
    if (reply)
        rp_outbox_send (&self->outbox, action->session, &reply);
    else
        rp_outbox_report_dropped (
          &self->outbox, action->session, "the broker has no memory to answer it");
}

/*  Binds a new session to its route. Out of memory leaves a session without a route, which ends by
    its silence.  */
static void s_admit (rp_server_t *self, rp_session_id_t session, rp_sender_t *sender, int64_t now)
{
    if (!sender->routing_id
        || !rp_connections_bind (&self->connections, session, sender->routing_id, sender->size,
          sender->connection, sender->bundles, now))
        return;
    rp_routes_set_foreign (&self->connections.routes, session, sender->foreign);
    sender->foreign = NULL;
}

/*  Logs that a foreign client's connection ends with replies unread, since its protocol cannot tell
    the client. libzmq does not tell how many replies they are.  */
static void s_log_unread (rp_server_t *self, rp_session_id_t session, int64_t now)
{
    char buffer[RP_ADDRESS_TEXT_MAX];
    if (rp_routes_is_unread (&self->connections.routes, session))
        rp_log_write (&self->log, RP_LEVEL_WARNING, RP_TOPIC_UNANSWERED, now,
          rp_routes_address (&self->connections.routes, session, buffer),
          "replies that it had not read were dropped with its connection (not counted: it is not "
          "known how many)");
}

/*  Ends a session; messages that were sent to it before go out first.  */
static void s_end_session (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_unbind_t how = action->kind == RP_ACTION_ABORT ? RP_UNBIND_ABORT
                      : action->keep                  ? RP_UNBIND_TOLD
                                                      : RP_UNBIND_LEFT;
    rp_outbox_empty (&self->outbox);
    rp_foreign_session_t *foreign = rp_routes_foreign (&self->connections.routes, action->session);
    if (foreign && !foreign->worker)
        s_log_unread (self, action->session, now);
    rp_foreign_end (&self->foreign, &foreign);
    rp_connections_unbind (&self->connections, action->session, how, now);
}

static void s_carry_out_one (
  rp_server_t *self, const rp_action_t *action, rp_sender_t *sender, int64_t now)
{
    switch (action->kind) {
        case RP_ACTION_ADMIT:
            s_admit (self, action->session, sender, now);
            break;
        case RP_ACTION_SEND:
            if (action->session.v)
                rp_outbox_post (&self->outbox, action);
            else
                rp_outbox_answer (&self->outbox, action, sender);
            break;
        case RP_ACTION_UNBIND:
        case RP_ACTION_ABORT:
            s_end_session (self, action, now);
            break;
        case RP_ACTION_DROP:
            rp_outbox_drop (&self->outbox, action->payload);
            break;
        case RP_ACTION_JOIN:
            rp_outbox_join (&self->outbox, action->payload, action->other);
            break;
        case RP_ACTION_ADMIN:
            s_answer (self, action, now);
            break;
        case RP_ACTION_LOG:
            s_log (self, action, sender, now);
            break;
        case RP_ACTION_HISTORY:
            if (rp_history_is_kept (&self->history))
                rp_history_record (&self->history, now, action);
            break;
        case RP_ACTION_STOP:
            self->ended = true;
    }
}

static void s_carry_out (rp_server_t *self, rp_sender_t *sender, int64_t now)
{
    for (size_t index = 0; index < self->actions.count; index++)
        s_carry_out_one (self, &self->actions.list[index], sender, now);
    rp_actions_reset (&self->actions);
}

/*  Gives the core an event from a sender, and carries out the actions.  */
static void s_handle (rp_server_t *self, const rp_event_t *event, rp_sender_t *sender, int64_t now)
{
    if (rp_history_is_kept (&self->history) && event->kind == RP_EVENT_MESSAGE)
        rp_history_message (&self->history, now, event->session, event->head);
    rp_dispatch_handle (self->core, event, now, &self->actions);
    rp_payload_t **kept = rp_dispatch_kept (self->core);
    if (kept)
        rp_outbox_keep (&self->outbox, event->head, kept);
    s_carry_out (self, sender, now);
}

/*  Gives the core an event without a sender.  */
static void s_tell (rp_server_t *self, const rp_event_t *event, int64_t now)
{
    s_handle (self, event, &(rp_sender_t){0}, now);
}

/*  Ends the broker after an error; errno is the reason.  */
static void s_fail (rp_server_t *self, const char *what, int64_t now)
{
    rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
      "cannot %s: %s; the broker ends, start it again", what, zmq_strerror (errno));
    self->failed = self->ended = true;
}

/*  ---- Commands and signals ------------------------------------------------------------------ */

static void s_read_commands (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    uint64_t commands;
    if (read (self->commands, &commands, sizeof commands) != (ssize_t) sizeof commands)
        return;
    rp_event_kind_t kind = commands >= S_COMMAND_STOP ? RP_EVENT_STOP : RP_EVENT_DRAIN;
    s_tell (self, &(rp_event_t){.kind = kind}, now);
}

/*  Opens the history again, because its file was moved.  */
static void s_reopen_history (rp_server_t *self, int64_t now)
{
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

/*  On SIGHUP. A place for reading settings again.  */
static void s_reload (rp_server_t *self, int64_t now)
{
    if (self->history_path)
        s_reopen_history (self, now);
    rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
      "SIGHUP: settings are read at the start only; restart the broker to change them");
}

static void s_read_signals (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    struct signalfd_siginfo info;
    while (read (self->signals, &info, sizeof info) == (ssize_t) sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            s_reload (self, now);
            continue;
        }
        rp_notify ("STOPPING=1");
        rp_event_kind_t kind = self->signal_count++ ? RP_EVENT_STOP : RP_EVENT_DRAIN;
        s_tell (self, &(rp_event_t){.kind = kind}, now);
    }
}

/*  ---- The loop ------------------------------------------------------------------------------ */

/*  Receives a batch from one listener. True if there may be more. Each message of a bundle counts,
    so that the clock is read often enough.  */
static bool s_receive_batch (rp_server_t *self, rp_listener_t *listener, int64_t *now)
{
    for (unsigned taken = 0; taken < RP_SERVER_BATCH && !self->ended; taken++) {
        if (taken % RP_SERVER_CLOCK_EVERY == 0)
            *now = rp_clock_us ();
        rp_receive_result_t result = rp_receive_next (&self->receive, listener, *now);
        if (result == RP_RECEIVE_NOTHING)
            return false;
        if (result == RP_RECEIVE_EVENT)
            s_handle (self, &self->receive.event, &self->receive.sender, *now);
        else if (result == RP_RECEIVE_FAILED)
            s_fail (self, "receive", *now);
        if (rp_outbox_is_urgent (&self->outbox))
            rp_outbox_empty (&self->outbox);
    }
    return true;
}

/*  Receives a batch from every listener. True if there may be more.  */
static bool s_receive_all (rp_server_t *self, int64_t *now)
{
    bool more = false;
    for (size_t index = 0; index < self->listener_count && !self->ended; index++)
        more |= s_receive_batch (self, &self->listeners[index], now);
    return more;
}

/*  Reads the monitors that have events. True if a monitor may have more, which its descriptor does
    not show.  */
static bool s_read_monitors (rp_server_t *self, int64_t now)
{
    bool more = false;
    for (size_t index = 0; index < self->listener_count; index++) {
        rp_listener_t *listener = &self->listeners[index];
        if (listener->monitor_unread)
            rp_watch_read_monitor (&self->watch, listener, now);
        more |= listener->monitor_unread;
    }
    return more;
}

/*  How often to count REP workers without an event of their monitor, µs.  */
#define S_REVIVE_US 1000000

/*  Marks the REP workers of every listener for counting. Their session may have ended while they
    are connected (a DEALER that did not know them yet took nothing); they never speak first, so the
    broker begins a session for them again.  */
static void s_count_rep (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    for (size_t index = 0; index < self->listener_count; index++) {
        rp_listener_t *listener = &self->listeners[index];
        if (listener->kind == RP_LISTENER_BACK && listener->connected > 0
            && !rp_dispatch_is_draining (self->core))
            listener->recount = true;
    }
    rp_poller_set_deadline (&self->poller, &self->revive, now + S_REVIVE_US);
}

static void s_end_relief (void *arg, int64_t now)
{
    (void) now;
    ((rp_server_t *) arg)->relieved = false;
}

/*  Messages that clients have not read take room from requests. When they take half of
    total_queue_bytes, this cuts off, of the clients that do not read, the one with the largest
    backlog.  */
static void s_relieve (rp_server_t *self, int64_t now)
{
    uint64_t most = self->limits.total_queue_bytes / 2;
    if (rp_outbox_backlog (&self->outbox) <= most || self->relieved)
        return;
    self->relieved = true;
    rp_poller_set_deadline (&self->poller, &self->relieve, now + RP_READING_LOOK_US);
    // of all sessions; the rest of the backlog belongs to ended ones and is freed soon
    size_t total;
    rp_event_t event = {.kind = RP_EVENT_UNSENT,
      .full = true,
      .session = rp_routes_find_stalled (&self->connections.routes, now, &total)};
    if (total > most && event.session.v)
        s_tell (self, &event, now);
}

/*  Reports sessions that lost their connection to the core. The probe that the core sends goes out
    only after the batch: libzmq reports a broken connection a moment before it refuses messages for
    it.  */
static void s_tell_lost (rp_server_t *self, int64_t now)
{
    rp_event_t event = {.kind = RP_EVENT_SUSPECT};
    while (rp_connections_next_lost (&self->connections, &event.session))
        s_tell (self, &event, now);
}

/*  Sends waiting messages, and reports to the core what could not be sent. True if a socket was
    used: then it has to be asked again before the wait.  */
static bool s_settle (rp_server_t *self, int64_t now)
{
    rp_event_t event;
    bool any = rp_outbox_flush (&self->outbox);
    while (rp_outbox_next_event (&self->outbox, &event)) {
        s_tell (self, &event, now);
        rp_outbox_flush (&self->outbox);
        any = true;
    }
    return any || rp_connections_have_lost (&self->connections);
}

/*  Lets the core and the watch do what is due. True if the core had something to do.  */
static bool s_tick (rp_server_t *self, int64_t now)
{
    int64_t next = rp_dispatch_tick (self->core, now, &self->actions);
    bool any = self->actions.count > 0;
    s_carry_out (self, &(rp_sender_t){0}, now);
    rp_poller_set_deadline (&self->poller, &self->tick, next);
    rp_poller_set_deadline (&self->poller, &self->look, rp_watch_look (&self->watch, now));
    if (rp_history_is_kept (&self->history))
        rp_history_scrape (&self->history, now, rp_dispatch_stats (self->core));
    for (size_t index = 0; index < self->listener_count; index++)
        any |= self->listeners[index].recount; // marked after its batch
    return any;
}

static void s_tell_of_history (rp_server_t *self, int64_t now)
{
    int error = rp_history_failure (&self->history);
    if (error)
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "cannot write the history: %s; it ends here, the broker goes on", strerror (error));
}

/*  The descriptor of a libzmq socket shows only what came after the socket said that it has no
    more. So no socket may be used between that answer and the wait.  */
int rp_server_run (rp_server_t *self)
{
    s_count_rep (self, rp_clock_us ());
    while (!self->ended) {
        int64_t now = rp_clock_us ();
        bool busy = s_read_monitors (self, now);
        s_tell_lost (self, now);
        rp_dispatch_set_backlog (self->core, rp_outbox_backlog (&self->outbox));
        busy |= s_receive_all (self, &now);
        s_relieve (self, now);
        busy |= s_settle (self, now);
        busy |= s_tick (self, now);
        s_tell_of_history (self, now);
        if (!self->ended)
            rp_poller_wait (&self->poller, !busy);
    }
    if (rp_history_is_kept (&self->history) && !self->failed)
        rp_history_end (&self->history, rp_clock_us ());
    rp_outbox_flush (&self->outbox);
    s_tell_of_history (self, rp_clock_us ());
    return self->failed ? -1 : 0;
}
