/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <zmq.h>

#include "broker/notify.h"
#include "broker/server_state.h"
#include "broker/transport/reading.h"
#include "common/base/version.h"
#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/socket.h"
#include "common/program/bell.h"

/*  Messages kept for reuse, at about 150 bytes each: enough for a burst.  */
#define S_SPARE_MESSAGES 65536u

/*  Commands of other threads go through an eventfd, which adds them up.  */
#define S_COMMAND_DRAIN 1u
#define S_COMMAND_STOP ((uint64_t) 1 << 32)

static void s_read_commands (void *arg, int64_t now);
static void s_read_signals (void *arg, int64_t now);
static void s_count_rep (void *arg, int64_t now);
static void s_end_relief (void *arg, int64_t now);
static void s_publish (void *arg, int64_t now);
static void s_tell_of_spans (void *arg, int64_t now);
static void s_answer_asked (void *arg, int64_t now);

/*  ---- Making, binding, ending --------------------------------------------------------------- */

static void s_mark_unread (void *arg, int64_t now)
{
    (void) now;
    ((rp_listener_t *) arg)->monitor_unread = true;
}

/*  Tells the poller of listeners that were opened. False when out of memory.  */
static bool s_poll_listeners (rp_server_t *self)
{
    for (; self->polled < self->listeners.count; self->polled++) {
        rp_listener_t *listener = &self->listeners.list[self->polled];
        if (!rp_poller_add (&self->poller, rp_listener_descriptor (listener), NULL, NULL)
            || !rp_poller_add (
              &self->poller, rp_listener_monitor_descriptor (listener), s_mark_unread, listener))
            return false;
    }
    return true;
}

static bool s_open_poller (rp_server_t *self)
{
    self->commands = rp_bell_open ();
    return self->commands >= 0 && rp_poller_init (&self->poller)
           && rp_poller_add (&self->poller, self->commands, s_read_commands, self)
           && rp_poller_add (&self->poller, self->signals, s_read_signals, self)
           && rp_poller_add_deadline (&self->poller, &self->tick, NULL, NULL)
           && rp_poller_add_deadline (&self->poller, &self->look, NULL, NULL)
           && rp_poller_add_deadline (&self->poller, &self->revive, s_count_rep, self)
           && rp_poller_add_deadline (&self->poller, &self->grant, NULL, NULL)
           && rp_poller_add_deadline (&self->poller, &self->relieve, s_end_relief, self)
           && rp_poller_add_deadline (&self->poller, &self->publish, s_publish, self)
           && rp_poller_add_deadline (&self->poller, &self->answer, s_answer_asked, self);
}

static bool s_open_listeners (rp_server_t *self, const rp_server_options_t *options)
{
    const rp_certificate_t *own =
      options->credentials ? rp_credentials_own (options->credentials) : NULL;
    const rp_certificate_t *next =
      options->credentials ? rp_credentials_next (options->credentials) : NULL;
    return rp_listeners_init (
      &self->listeners, &(rp_listeners_options_t){.context = self->context,
                          .secret_key = own ? own->secret_key : NULL,
                          .next_secret_key = next ? next->secret_key : NULL,
                          .domain = RP_ZAP_DOMAIN,
                          .serve_domain = RP_ZAP_SERVE,
                          .max_frame = (int64_t) rp_receive_max_bytes (&self->limits),
                          .backlog = (int) self->limits.connection_backlog,
                          .ipc_mode = options->ipc_mode > 0 ? options->ipc_mode : -1});
}

/*  Begins to export spans, if they are wanted.  */
static bool s_open_otlp (rp_server_t *self, const char *url)
{
    if (!url)
        return true;
    self->otlp = rp_otlp_new (url, rp_dispatch_instance (self->core));
    return self->otlp
           && rp_poller_add (&self->poller, rp_otlp_descriptor (self->otlp), s_tell_of_spans, self);
}

static bool s_make (rp_server_t *self, const rp_server_options_t *options, int64_t now)
{
    errno = ENOMEM;
    if (options->history_path && !(self->history_path = strdup (options->history_path)))
        return false;
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = options->limits,
      .seed = rp_clock_entropy (),
      .instance = rp_clock_entropy (),
      .version = RP_VERSION,
      .now = now,
      .rules = options->credentials ? rp_credentials_rules (options->credentials) : NULL,
      .terms = options->services,
      .history = options->history > 0,
      .exports = options->otlp != NULL,
      .jobs = options->store != NULL,
      .replays = options->limits.replay_bytes > 0,
      .surveys = true});
    errno = ENOMEM;
    if (!self->core
        || (options->history > 0
            && !rp_history_begin (
              &self->history, options->history, rp_dispatch_instance (self->core), now)))
        return false;
    if (options->history > 0)
        rp_history_ages (&self->history, now, options->limits.age_step);
    if (options->history > 0)
        rp_history_terms (&self->history, now, &options->services);
    const rp_rules_t *rules =
      options->credentials ? rp_credentials_rules (options->credentials) : NULL;
    if (options->history > 0 && rules && rp_rules_has_weight (rules))
        rp_history_weights (&self->history, now);
    return s_open_poller (self) && s_open_otlp (self, options->otlp)
           && (self->context = rp_context_new ())
           && zmq_ctx_set (self->context, ZMQ_IO_THREADS,
                options->io_threads > 0 ? (int) options->io_threads : 1)
                == 0
           && rp_admission_init (&self->admission, self->context, options->credentials)
           && s_open_listeners (self, options) && s_poll_listeners (self);
}

/*  Tells the parts of the server of each other.  */
static void s_join (rp_server_t *self, const rp_settings_t *settings, int64_t now)
{
    rp_watch_init (&self->watch, &self->connections, self->listeners.list, &self->log);
    self->receive.connections = &self->connections;
    self->receive.admission = &self->admission;
    self->receive.foreign = &self->foreign;
    self->receive.pool = &self->pool;
    self->receive.limits = &self->limits;
    self->receive.log = &self->log;
    self->admin = (rp_admin_t){.pool = &self->pool,
      .sources = {.core = self->core,
        .routes = &self->connections.routes,
        .foreign = &self->foreign,
        .copied = &self->pool.copied,
        .busy = &self->busy,
        .turns = &self->turns,
        .jobs = self->jobs.jobs,
        .store = self->jobs.store,
        .replays = self->replays.replays,
        .reloads = &self->reloads,
        .settings = *settings,
        .otlp = self->otlp,
        .events = &self->log.events,
        .figures = &self->compact,
        .started = now}};
    rp_outbox_init (&self->outbox, self->listeners.list[0].socket, &self->connections.routes,
      &self->pool, rp_history_journal (&self->history),
      (size_t) self->limits.connection_backlog_bytes,
      (size_t) rp_limits_unread_most (&self->limits));
    rp_outbox_serve_foreign (&self->outbox, &self->foreign, self->listeners.list);
}

rp_server_t *rp_server_new (const rp_server_options_t *options)
{
    rp_server_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    int64_t now = rp_clock_us ();
    self->commands = self->poller.alarm.descriptor = -1;
    self->publisher.asked = self->publisher.told = -1;
    self->asking.asking = self->asking.told = -1;
    self->signals = options->signals;
    self->limits = options->limits;
    self->reload = options->reload;
    self->reload_arg = options->reload_arg;
    self->reloads.ok = true;
    self->pool.largest = S_SPARE_MESSAGES;
    rp_actions_init (&self->actions);
    rp_actions_init (&self->jobs.heard);
    rp_actions_init (&self->jobs.lists[0]);
    rp_actions_init (&self->jobs.lists[1]);
    self->jobs.wanted = self->jobs.lists;
    rp_actions_init (&self->replays.wanted);
    rp_actions_init (&self->replays.told);
    rp_actions_init (&self->surveys.wanted);
    rp_actions_init (&self->surveys.told);
    rp_receive_init (&self->receive);
    rp_log_init (&self->log, options->log, options->log_level);
    rp_log_set_format (&self->log, options->log_format, RP_LOG_JOURNAL, now);
    rp_connections_init (
      &self->connections, &(rp_connections_options_t){.seed = rp_clock_entropy (),
                            .handshake = (int64_t) RP_SOCKET_HANDSHAKE_MS * 1000,
                            .pending = (int64_t) options->limits.pending_timeout * 1000,
                            .pending_free = options->limits.pending_connections});
    rp_foreign_init (&self->foreign, &self->pool, &self->limits, rp_clock_entropy ());
    rp_grants_init (&self->grants, &self->foreign, &self->connections.routes);
    self->jobs.store = options->store;
    self->foreign.titanic = options->store != NULL;
    bool made = s_make (self, options, now) && rp_server_jobs_begin (self, now)
                && rp_server_replays_begin (self, now) && rp_server_surveys_begin (self, now);
    int error = errno;
    s_join (self, &options->settings, now);
    if (!made)
        rp_server_destroy (&self);
    errno = error;
    return self;
}

static void s_end_spans (rp_server_t *self)
{
    uint64_t lost = rp_otlp_destroy (&self->otlp);
    if (lost > 0)
        rp_log_write (&self->log, RP_LEVEL_WARNING, RP_TOPIC_BROKER, rp_clock_us (), NULL,
          "spans: %" PRIu64 " were dropped at the end", lost);
}

void rp_server_destroy (rp_server_t **self_p)
{
    rp_server_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    s_end_spans (self);
    rp_http_destroy (&self->http);
    rp_publisher_clear (&self->publisher);
    rp_compact_cache_clear (&self->compact);
    rp_asking_clear (&self->asking);
    rp_server_jobs_clear (self);
    rp_server_replays_clear (self);
    rp_server_surveys_clear (self);
    rp_dispatch_destroy (&self->core, &self->actions);
    rp_server_carry_out (self, &(rp_sender_t){0}, 0);
    rp_actions_clear (&self->actions);
    rp_receive_clear (&self->receive);
    rp_outbox_clear (&self->outbox);
    rp_foreign_clear (&self->foreign);
    rp_connections_clear (&self->connections);
    rp_message_pool_clear (&self->pool);
    rp_history_clear (&self->history);
    rp_poller_clear (&self->poller);
    rp_listeners_clear (&self->listeners, RP_SERVER_LINGER_MS);
    rp_admission_clear (&self->admission);
    while (self->context && zmq_ctx_term (self->context) != 0 && errno == EINTR)
        continue;
    if (self->commands >= 0)
        close (self->commands);
    rp_log_clear (&self->log);
    free (self->reloads.problems);
    free (self->reloads.restart);
    free (self->history_path);
    free (self);
}

/*  Goes on after an endpoint was bound, or could not be.  */
static int s_bound (rp_server_t *self, int rc)
{
    self->admin.sources.endpoints = self->listeners.endpoints;
    self->admin.sources.endpoint_count = self->listeners.endpoint_count;
    if (rc == 0 && !s_poll_listeners (self)) {
        errno = ENOMEM;
        return -1;
    }
    return rc;
}

int rp_server_bind (rp_server_t *self, const char *endpoint)
{
    return s_bound (self, rp_listeners_bind (&self->listeners, endpoint));
}

int rp_server_bind_next (rp_server_t *self, const char *endpoint)
{
    return s_bound (self, rp_listeners_bind_next (&self->listeners, endpoint));
}

int rp_server_bind_plain (
  rp_server_t *self, const char *service, rp_plain_side_t side, const char *endpoint)
{
    rp_listener_kind_t kind = side == RP_PLAIN_FRONT ? RP_LISTENER_FRONT : RP_LISTENER_BACK;
    return s_bound (self, rp_listeners_bind_plain (&self->listeners, service, kind, endpoint));
}

const char *rp_server_endpoint (const rp_server_t *self, size_t index)
{
    return rp_listeners_endpoint (&self->listeners, index);
}

/*  ---- What people see ----------------------------------------------------------------------- */

/*  Goes on with what the thread of HTTP has asked for.  */
static void s_publish (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    rp_server_count_security (self);
    int64_t due = rp_publisher_go_on (&self->publisher, &self->admin.sources, now);
    rp_poller_set_deadline (&self->poller, &self->publish, due);
}

static void s_publish_asked (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    rp_publisher_hear (&self->publisher, rp_dispatch_is_draining (self->core), now);
    s_publish (self, now);
}

/*  Something was asked, or may be answered now: answers one question, so that requests are never behind
    more than that.  */
static void s_answer_asked (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    rp_asking_question_t *question = rp_asking_hear (&self->asking, now);
    if (question) {
        rp_server_count_security (self);
        bool kept;
        if (rp_server_jobs_is_question (question))
            kept = rp_server_jobs_ask (self, question, now);
        else {
            question->answer = rp_question_answer (&self->admin.sources, question->name,
              strlen (question->name), question->params, now, question->wrong);
            kept = rp_server_jobs_ask_trace (self, question, now);
        }
        if (kept)
            rp_asking_keep (&self->asking, now, rp_clock_us () - now);
        else
            rp_asking_tell (&self->asking, now, rp_clock_us () - now);
    }
    rp_poller_set_deadline (&self->poller, &self->answer, rp_asking_due (&self->asking));
}

int rp_server_open_http (rp_server_t *self, const char *listen, const char *hosts, bool open)
{
    self->http_options = (rp_http_options_t){.listen = listen,
      .hosts = hosts,
      .open = open,
      .publisher = &self->publisher,
      .asking = &self->asking};
    if (!rp_publisher_init (&self->publisher) || !rp_asking_init (&self->asking)
        || !rp_poller_add (&self->poller, self->publisher.asked, s_publish_asked, self)
        || !rp_poller_add (&self->poller, self->asking.asking, s_answer_asked, self))
        return -1;
    self->http = rp_http_new (&self->http_options);
    return self->http ? 0 : -1;
}

unsigned rp_server_http_port (const rp_server_t *self)
{
    return self->http ? rp_http_port (self->http) : 0;
}

static void s_command (rp_server_t *self, uint64_t command)
{
    rp_bell_ring (self->commands, command);
}

void rp_server_drain (rp_server_t *self)
{
    s_command (self, S_COMMAND_DRAIN);
}

void rp_server_stop (rp_server_t *self)
{
    s_command (self, S_COMMAND_STOP);
}

/*  ---- Commands and signals ------------------------------------------------------------------ */

/*  Ends the broker after an error; errno is the reason.  */
static void s_fail (rp_server_t *self, const char *what, int64_t now)
{
    rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
      "cannot %s: %s; the broker ends, start it again", what, zmq_strerror (errno));
    self->failed = self->ended = true;
}

static void s_read_commands (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    uint64_t commands = rp_bell_hear (self->commands);
    if (commands == 0)
        return;
    rp_event_kind_t kind = commands >= S_COMMAND_STOP ? RP_EVENT_STOP : RP_EVENT_DRAIN;
    rp_server_tell (self, &(rp_event_t){.kind = kind}, now);
}

static void s_read_signals (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    struct signalfd_siginfo info;
    while (read (self->signals, &info, sizeof info) == (ssize_t) sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            rp_server_reload (self, now);
            continue;
        }
        rp_notify ("STOPPING=1");
        rp_event_kind_t kind = self->signal_count++ ? RP_EVENT_STOP : RP_EVENT_DRAIN;
        rp_server_tell (self, &(rp_event_t){.kind = kind}, now);
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
            rp_server_handle (self, &self->receive.event, &self->receive.sender, *now);
        if (self->asker.v)
            rp_server_reload_for_asker (self, *now);
        if (result == RP_RECEIVE_FAILED)
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
    for (size_t index = 0; index < self->listeners.count && !self->ended; index++)
        more |= s_receive_batch (self, &self->listeners.list[index], now);
    return more;
}

/*  Reads the monitors that have events. True if a monitor may have more, which its descriptor does
    not show.  */
static bool s_read_monitors (rp_server_t *self, int64_t now)
{
    bool more = false;
    for (size_t index = 0; index < self->listeners.count; index++) {
        rp_listener_t *listener = &self->listeners.list[index];
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
    for (size_t index = 0; index < self->listeners.count; index++) {
        rp_listener_t *listener = &self->listeners.list[index];
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

/*  Messages that clients have not read take room from requests. When those of a client take more than
    connection_backlog_bytes, or those of all take half of total_queue_bytes, this cuts off, of the clients that do not
    read, the one with the largest backlog.  */
static void s_relieve (rp_server_t *self, int64_t now)
{
    uint64_t most = rp_limits_unread_most (&self->limits);
    bool together = rp_outbox_backlog (&self->outbox) > most;
    if (self->relieved || (!together && !self->outbox.exceeded))
        return;
    self->relieved = true;
    rp_poller_set_deadline (&self->poller, &self->relieve, now + RP_READING_LOOK_US);
    rp_routes_waits_t waits;
    rp_event_t event = {.kind = RP_EVENT_UNSENT,
      .full = true,
      .session = rp_routes_find_stalled (&self->connections.routes, together,
        (size_t) self->limits.connection_backlog_bytes, now, &waits)};
    self->outbox.exceeded = waits.exceeds;
    // The rest of what waits for all belongs to sessions that have ended, and is freed soon.
    if (event.session.v && (!together || waits.total > most))
        rp_server_tell (self, &event, now);
}

/*  Reports sessions that lost their connection to the core. The probe that the core sends goes out
    only after the batch: libzmq reports a broken connection a moment before it refuses messages for
    it.  */
static void s_tell_lost (rp_server_t *self, int64_t now)
{
    rp_event_t event = {.kind = RP_EVENT_SUSPECT};
    while (rp_connections_next_lost (&self->connections, &event.session))
        rp_server_tell (self, &event, now);
}

/*  Grants in the place of foreign clients for what was written to them. True if there was such a thing.  */
static bool s_grant (rp_server_t *self, int64_t now)
{
    if (!rp_grants_owed (&self->grants))
        return false;
    rp_event_t event;
    rp_head_t head;
    bool any = false;
    rp_grants_look (&self->grants, now);
    while (rp_grants_next (&self->grants, &event, &head)) {
        rp_server_tell (self, &event, now);
        any = true;
    }
    rp_poller_set_deadline (&self->poller, &self->grant, rp_grants_due (&self->grants, now));
    return any;
}

/*  Sends waiting messages, and reports to the core what could not be sent. True if a socket was
    used: then it has to be asked again before the wait.  */
static bool s_settle (rp_server_t *self, int64_t now)
{
    rp_event_t event;
    bool any = rp_outbox_flush (&self->outbox);
    while (rp_outbox_next_event (&self->outbox, &event)) {
        rp_server_tell (self, &event, now);
        rp_outbox_flush (&self->outbox);
        any = true;
    }
    if (s_grant (self, now))
        any |= rp_outbox_flush (&self->outbox);
    return any || rp_connections_have_lost (&self->connections);
}

/*  Lets the core and the watch do what is due. True if the core had something to do.  */
static bool s_tick (rp_server_t *self, int64_t now)
{
    bool any = rp_server_jobs_tick (self, now);
    any |= rp_server_replays_tick (self, now);
    any |= rp_server_surveys_tick (self, now);
    int64_t next = rp_dispatch_tick (self->core, now, &self->actions);
    any |= self->actions.count > 0;
    rp_server_carry_out (self, &(rp_sender_t){0}, now);
    rp_poller_set_deadline (&self->poller, &self->tick, next);
    rp_poller_set_deadline (&self->poller, &self->look, rp_watch_look (&self->watch, now));
    if (rp_history_is_kept (&self->history))
        rp_history_scrape (&self->history, now, rp_dispatch_stats (self->core));
    for (size_t index = 0; index < self->listeners.count; index++)
        any |= self->listeners.list[index].recount; // marked after its batch
    return any;
}

static void s_tell_of_history (rp_server_t *self, int64_t now)
{
    int error = rp_history_failure (&self->history);
    if (error)
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "cannot write the history: %s; it ends here, the broker goes on", strerror (error));
}

static void s_tell_of_spans (void *arg, int64_t now)
{
    rp_server_t *self = arg;
    rp_otlp_news_t *news = rp_otlp_news (self->otlp);
    if (news)
        rp_log_write (&self->log, news->works ? RP_LEVEL_INFO : RP_LEVEL_WARNING, RP_TOPIC_BROKER,
          now, NULL, "%s", news->text);
    free (news);
}

/*  Counts a turn of the loop: from when it had waited until it waits again, which is how late it may look at
    what comes meanwhile.  */
static void s_count_turn (rp_server_t *self, int64_t began)
{
    int64_t took = rp_clock_us () - began;
    self->busy += (uint64_t) took;
    rp_spread_add (&self->turns, (uint32_t) (took < UINT32_MAX ? took : UINT32_MAX));
}

/*  The descriptor of a libzmq socket shows only what came after the socket said that it has no
    more. So no socket may be used between that answer and the wait.  */
int rp_server_run (rp_server_t *self)
{
    s_count_rep (self, rp_clock_us ());
    int64_t called = 0;
    while (!self->ended) {
        int64_t now = rp_clock_us ();
        const int64_t began = called ? called : now;
        bool busy = s_read_monitors (self, now);
        s_tell_lost (self, now);
        rp_dispatch_set_backlog (self->core, rp_outbox_backlog (&self->outbox));
        busy |= s_receive_all (self, &now);
        s_relieve (self, now);
        busy |= s_settle (self, now);
        busy |= s_tick (self, now);
        s_tell_of_history (self, now);
        s_count_turn (self, began);
        if (!self->ended)
            called = rp_poller_wait (&self->poller, !busy);
    }
    rp_server_jobs_end (self);
    if (rp_history_is_kept (&self->history) && !self->failed)
        rp_history_end (&self->history, rp_clock_us ());
    rp_outbox_flush (&self->outbox);
    s_tell_of_history (self, rp_clock_us ());
    return self->failed ? -1 : 0;
}
