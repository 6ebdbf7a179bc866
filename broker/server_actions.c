/*  SPDX-License-Identifier: MPL-2.0  */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/server_state.h"
#include "common/base/table.h"
#include "common/base/units.h"

/*  Returns how often an error of a connection without a session has happened, or 0 if it is not to
    be logged: such a peer is not cut off, and may repeat its error for ever.  */
static uint64_t s_count_error (const rp_action_t *action, const rp_sender_t *sender)
{
    if (action->topic != RP_TOPIC_BAD || action->session.v || !sender->connection)
        return 1;
    return rp_connection_count_error (
      sender->connection, rp_hash_bytes (action->head.text, action->head.text_size, 0));
}

/*  Returns whom and what a line is about. buffer: RP_ADDRESS_TEXT_MAX bytes. Without keys, whose a
    session is says nothing.  */
static rp_log_about_t s_find_about (
  const rp_server_t *self, const rp_action_t *action, const rp_sender_t *sender, char *buffer)
{
    const rp_address_t unknown = {0};
    const rp_connection_t *connection = sender->connection;
    const rp_routes_t *routes = &self->connections.routes;
    rp_log_about_t about = {.service = action->head.name, .request_id = action->head.key};
    if (action->session.v) {
        about.peer = rp_routes_address (routes, action->session, buffer);
        about.principal = rp_routes_principal (routes, action->session);
    }
    else if (sender->routing_id) {
        about.peer = rp_address_format (connection ? &connection->address : &unknown, buffer);
        about.principal = connection ? connection->principal : NULL;
    }
    if (!self->admission.credentials)
        about.principal = NULL;
    return about;
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
    rp_log_about_t about = s_find_about (self, action, sender, buffer);
    rp_log_write_about (&self->log, action->level, action->topic, now, &about, "%.*s%s",
      (int) action->head.text_size, action->head.text, again);
}

void rp_server_count_security (rp_server_t *self)
{
    const rp_credentials_t *credentials = self->admission.credentials;
    rp_zap_counts_t counts = {0};
    if (self->admission.zap)
        counts = rp_zap_counts (self->admission.zap);
    self->admin.sources.credentials = self->admission.credentials;
    self->admin.sources.security = (rp_snapshot_security_t){.on = credentials != NULL,
      .keys = credentials ? rp_credentials_count (credentials) : 0,
      .accepted = counts.accepted,
      .refused = counts.refused};
}

static void s_answer (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    if (self->jobs.jobs && rp_admin_is_trace (&action->head)) {
        rp_server_jobs_hear (&self->jobs, action, NULL);
        return;
    }
    rp_message_t *request = rp_outbox_message (action->payload);
    rp_message_t *reply = NULL;
    if (rp_admin_is_reload (&action->head)) { // when these actions are carried out
        rp_message_destroy (&self->pool, &request);
        self->asker = action->session;
        self->asked = action->head.id;
        return;
    }
    rp_server_count_security (self);
    if (rp_message_leave_bundle (&self->pool, request))
        reply = rp_admin_answer (&self->admin, action->session, &action->head, &request, now);
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
    if (sender->foreign)
        sender->foreign->session = session;
    rp_routes_set_foreign (&self->connections.routes, session, sender->foreign);
    sender->foreign = NULL;
}

/*  Tells that a foreign client's connection ends with replies unread, since its protocol cannot tell the client. libzmq
    does not tell how many replies they are, so the client is counted.  */
static void s_tell_unread (rp_server_t *self, rp_session_id_t session, int64_t now)
{
    char buffer[RP_ADDRESS_TEXT_MAX];
    char size[RP_UNITS_TEXT_MAX];
    if (!rp_routes_is_unread (&self->connections.routes, session))
        return;
    rp_dispatch_count_unread (self->core);
    rp_log_write (&self->log, RP_LEVEL_WARNING, RP_TOPIC_UNANSWERED, now,
      rp_routes_address (&self->connections.routes, session, buffer),
      "replies that it had not read, %s of them, were dropped with its connection (it is not known "
      "how many)",
      rp_size_format (size, rp_routes_unread (&self->connections.routes, session)));
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
        s_tell_unread (self, action->session, now);
    rp_foreign_end (&self->foreign, &foreign);
    rp_connections_unbind (&self->connections, action->session, how, now);
}

static void s_export (rp_server_t *self, rp_trace_ended_t *ended)
{
    if (self->otlp)
        rp_otlp_export (self->otlp, ended);
    else
        free (ended); // the server ends
}

/*  Sends a message: to the sender of the event in hand, to a client of the broker's own, or to a session.  */
static void s_send (rp_server_t *self, const rp_action_t *action, rp_sender_t *sender, int64_t now)
{
    if (action->session.v == 0)
        rp_outbox_answer (&self->outbox, action, sender);
    else if (action->session.v == self->jobs.client.v)
        rp_server_jobs_hear (&self->jobs, action, NULL);
    else if (action->session.v == self->replays.client.v)
        rp_server_replays_answered (self, action, now);
    else if (action->session.v == self->surveys.client.v)
        rp_server_surveys_answered (self, action, now);
    else
        rp_outbox_post (&self->outbox, action);
}

/*  Gives a request to the part of the broker that is its client in the core.  */
static void s_hand_over (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    if (action->kind == RP_ACTION_JOB)
        rp_server_jobs_hear (
          &self->jobs, action, rp_routes_principal (&self->connections.routes, action->session));
    else if (action->kind == RP_ACTION_REPLAY)
        rp_server_replays_take (self, action, now);
    else
        rp_server_surveys_take (self, action, now);
}

static void s_carry_out_one (
  rp_server_t *self, const rp_action_t *action, rp_sender_t *sender, int64_t now)
{
    switch (action->kind) {
        case RP_ACTION_ADMIT:
            s_admit (self, action->session, sender, now);
            break;
        case RP_ACTION_SEND:
            s_send (self, action, sender, now);
            break;
        case RP_ACTION_UNBIND:
        case RP_ACTION_ABORT:
            s_end_session (self, action, now);
            if (self->jobs.jobs)
                rp_server_jobs_hear (&self->jobs, action, NULL);
            rp_surveys_left (self->surveys.surveys, action->session, &self->surveys.wanted);
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
        case RP_ACTION_JOB:
        case RP_ACTION_REPLAY:
        case RP_ACTION_SURVEY:
            s_hand_over (self, action, now);
            break;
        case RP_ACTION_LOG:
            s_log (self, action, sender, now);
            break;
        case RP_ACTION_HISTORY:
            if (rp_history_is_kept (&self->history))
                rp_history_record (&self->history, now, action);
            break;
        case RP_ACTION_EXPORT:
            s_export (self, action->ended);
            break;
        case RP_ACTION_STOP:
            self->ended = true;
            break;
        case RP_ACTION_STORE: // of the jobs, replays and surveys (broker/server_jobs.c, …)
        case RP_ACTION_START:
        case RP_ACTION_WITHDRAW:
        case RP_ACTION_BAR:
        case RP_ACTION_ROWS:
            break;
    }
}

void rp_server_carry_out (rp_server_t *self, rp_sender_t *sender, int64_t now)
{
    for (size_t index = 0; index < self->actions.count; index++)
        s_carry_out_one (self, &self->actions.list[index], sender, now);
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
    rp_server_carry_out (self, sender, now);
}

void rp_server_tell (rp_server_t *self, const rp_event_t *event, int64_t now)
{
    rp_server_handle (self, event, &(rp_sender_t){0}, now);
}

void rp_server_fail (rp_server_t *self, const char *text, int64_t now)
{
    rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
      "%s; the broker ends, start it again", text);
    self->failed = self->ended = true;
}
