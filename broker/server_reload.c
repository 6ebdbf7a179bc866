/*  SPDX-License-Identifier: MPL-2.0  */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/server_state.h"
#include "common/io/clock.h"

/*  ---- Credentials --------------------------------------------------------------------------- */

/*  Cuts the connection of somebody whose key was revoked, or is another principal's now. REP workers
    share a session, and who is who among them is not known: if one of them may not serve any more, all
    have to come again.  */
static void s_cut_revoked (
  rp_server_t *self, const rp_connection_t *connection, const bool *lost_server, int64_t now)
{
    const rp_listener_t *listener = &self->listeners.list[connection->listener];
    if (!listener->secure)
        return;
    bool stands = !connection->principal
                  || rp_admission_stands (&self->admission, connection->key, connection->principal);
    if (listener->kind == RP_LISTENER_BACK ? !lost_server[listener->number] : stands)
        return;
    if (connection->session.v)
        rp_server_tell (
          self, &(rp_event_t){.kind = RP_EVENT_REVOKED, .session = connection->session}, now);
    else
        (void) rp_connection_abort (connection);
}

/*  Takes what a monitor has reported so far: libzmq reports a connection before it asks whether its key is
    authorized, so each one that came in by credentials of before is known then.  */
static void s_learn_connections (rp_server_t *self, rp_listener_t *listener, int64_t now)
{
    do
        rp_watch_read_monitor (&self->watch, listener, now);
    while (listener->monitor_unread);
}

void rp_server_set_credentials (rp_server_t *self, rp_credentials_t *credentials, int64_t now)
{
    bool lost_server[RP_LISTENERS_MAX] = {0};
    rp_credentials_t *before = rp_credentials_hold (self->admission.credentials);
    for (size_t index = 0; index < self->listeners.count; index++) {
        const rp_listener_t *listener = &self->listeners.list[index];
        if (listener->secure && listener->kind == RP_LISTENER_BACK)
            lost_server[index] = rp_admission_lost_server (before, credentials, listener->service);
    }
    (void) rp_server_replays_tick (
      self, now); // what was taken by the rules of before begins by them
    (void) rp_server_surveys_tick (self, now);
    rp_admission_change (&self->admission, credentials);
    const rp_rules_t *rules = rp_credentials_rules (credentials);
    if (rp_history_is_kept (&self->history) && rules && rp_rules_has_weight (rules))
        rp_history_weights (&self->history, now);
    rp_server_tell (self, &(rp_event_t){.kind = RP_EVENT_RULES, .rules = rules}, now);
    rp_server_replays_recheck (self, now);
    rp_server_surveys_recheck (self, now);
    rp_credentials_release (&before); // the core has asked its rules until now
    for (size_t index = 0; index < self->listeners.count; index++)
        if (lost_server[index]) // REP workers do not speak, so nobody asks who they are later
            s_learn_connections (self, &self->listeners.list[index], now);
    for (size_t descriptor = 0; descriptor < self->connections.descriptor_count; descriptor++) {
        const rp_connection_t *connection =
          rp_connections_at (&self->connections, (int) descriptor);
        if (connection)
            s_cut_revoked (self, connection, lost_server, now);
    }
}

/*  ---- History ------------------------------------------------------------------------------- */

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

/*  ---- Reload -------------------------------------------------------------------------------- */

/*  Puts what was read in force, in the order of the parts that pass requests on.  */
static void s_apply (rp_server_t *self, const rp_reloaded_t *fresh, int64_t now)
{
    rp_limits_take (&self->limits, &fresh->limits);
    // First, because the terms that the core has until then were those of the old settings.
    rp_server_tell (self, &(rp_event_t){.kind = RP_EVENT_TERMS, .terms = &fresh->services}, now);
    rp_dispatch_set_limits (self->core, &fresh->limits);
    if (rp_history_is_kept (&self->history)) {
        rp_history_ages (&self->history, now, self->limits.age_step);
        rp_history_terms (&self->history, now, &fresh->services);
    }
    rp_pending_change (&self->connections.pending, (int64_t) self->limits.pending_timeout * 1000,
      self->limits.pending_connections, now);
    rp_outbox_set_backlog (&self->outbox, (size_t) self->limits.connection_backlog_bytes,
      (size_t) rp_limits_unread_most (&self->limits));
    rp_foreign_fit (&self->foreign);
    rp_log_set_level (&self->log, fresh->log_level);
    rp_log_set_format (&self->log, fresh->log_format, RP_LOG_JOURNAL, now);
    if (fresh->credentials)
        rp_server_set_credentials (self, fresh->credentials, now);
}

/*  Writes a log line for each line of a text.  */
static void s_log_lines (
  rp_server_t *self, rp_level_t level, const char *why, const char *text, int64_t now)
{
    for (const char *line = text; line && *line; line += strcspn (line, "\n") + 1)
        rp_log_write (&self->log, level, RP_TOPIC_BROKER, now, NULL, "%s%.*s", why,
          (int) strcspn (line, "\n"), line);
}

void rp_server_log (rp_server_t *self, const char *text)
{
    int64_t now = rp_clock_us ();
    for (const char *line = text; *line; line += strspn (line, "\n")) {
        line += strspn (line, " ");
        bool warns = strncmp (line, "warning: ", 9) == 0;
        line += warns ? 9 : 0;
        size_t size = strcspn (line, "\n");
        rp_log_write (&self->log, warns ? RP_LEVEL_WARNING : RP_LEVEL_INFO, RP_TOPIC_BROKER, now,
          NULL, "%.*s", (int) size, line);
        line += size;
    }
}

static void s_log_reloaded (rp_server_t *self, const char *by, int64_t now)
{
    const rp_credentials_t *credentials = self->admission.credentials;
    char also[64] = "";
    if (credentials)
        snprintf (also, sizeof also, " and rules; authorized keys: %zu",
          rp_credentials_count (credentials));
    rp_log_write (
      &self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL, "%s: reloaded settings%s", by, also);
}

/*  Reads everything again. by: who asked, for the log. False if anything was wrong: nothing has
    changed.  */
static bool s_reload (rp_server_t *self, const char *by, int64_t now)
{
    rp_reloaded_t fresh;
    rp_snapshot_reloads_t *reloads = &self->reloads;
    reloads->ok = self->reload (self->reload_arg, &fresh);
    reloads->count++;
    reloads->failed += !reloads->ok;
    free (reloads->problems);
    reloads->problems = fresh.problems.text;
    fresh.problems.text = NULL;
    if (!reloads->ok) {
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "%s: reload failed, nothing has changed; mistakes: %u", by, fresh.problems.count);
        s_log_lines (self, RP_LEVEL_ERROR, "reload: ", reloads->problems, now);
    }
    else {
        free (reloads->restart); // a failed reload leaves it as it is
        reloads->restart = fresh.restart.text;
        fresh.restart.text = NULL;
        s_apply (self, &fresh, now);
        s_log_reloaded (self, by, now);
        s_log_lines (self, RP_LEVEL_WARNING, "reload: needs a restart: ", reloads->restart, now);
    }
    rp_reloaded_clear (&fresh);
    return reloads->ok;
}

void rp_server_reload (rp_server_t *self, int64_t now)
{
    if (self->history_path)
        s_reopen_history (self, now);
    if (self->reload)
        (void) s_reload (self, "SIGHUP", now);
}

void rp_server_reload_for_asker (rp_server_t *self, int64_t now)
{
    char address[RP_ADDRESS_TEXT_MAX];
    char by[RP_ADDRESS_TEXT_MAX + 32];
    rp_session_id_t asker = self->asker;
    self->asker = (rp_session_id_t){0};
    snprintf (by, sizeof by, "riposte.reload from %s",
      rp_routes_address (&self->connections.routes, asker, address));
    if (self->reload)
        (void) s_reload (self, by, now);
    rp_message_t *reply = rp_admin_answer_reload (&self->admin, self->asked, self->reload != NULL);
    if (reply)
        rp_outbox_send (&self->outbox, asker, &reply);
    else
        rp_outbox_report_dropped (&self->outbox, asker, "the broker has no memory to answer it");
}
