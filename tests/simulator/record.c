/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/simulator/record.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/base/heap.h"
#include "common/wire/headers.h"
#include "common/wire/name.h"

/*  A longer time without a tick is recorded as one in which no process ran.  */
#define S_STILL_US 100000

bool record_begin (record_t *self, sequence_t *sequence, const char *directory, uint64_t seed)
{
    char path[4096];
    memset (self, 0, sizeof *self);
    self->sequence = sequence;
    self->seed = seed;
    self->seen = sequence->audit.now;
    snprintf (path, sizeof path, "%s/%" PRIu64 ".peers", directory, seed);
    self->peers = fopen (path, "we");
    snprintf (path, sizeof path, "%s/%" PRIu64 ".broker", directory, seed);
    int descriptor = self->peers ? rp_history_open (path) : -1;
    char name[24];
    snprintf (name, sizeof name, "%" PRIu64, seed);
    if (descriptor <= 0 || !rp_history_begin (&self->history, descriptor, name, self->seen))
        return false;
    rp_history_ages (
      &self->history, self->seen, rp_dispatch_limits (sequence->audit.core)->age_step);
    if (sequence->audit.weighed)
        rp_history_weights (&self->history, self->seen);
    return true;
}

static int64_t s_now (const record_t *self)
{
    return self->sequence->audit.now;
}

static void s_begin (record_t *self, const char *role, rp_session_id_t peer, const char *event)
{
    fprintf (self->peers, "%" PRId64 "\t%s:%" PRIu64 ".%" PRIu64 "\t%s", s_now (self), role,
      self->seed, peer.v, event);
}

static void s_name (const record_t *self, uint64_t request, char *name, size_t size)
{
    snprintf (name, size, "s%" PRIu64 ".%" PRIu64, self->seed, request);
}

static void s_request (
  record_t *self, const char *role, rp_session_id_t peer, const char *event, uint64_t request)
{
    char name[48];
    s_name (self, request, name, sizeof name);
    s_begin (self, role, peer, event);
    fprintf (self->peers, "\treq=%s", name);
}

static record_start_t *s_start (record_t *self, uint64_t token)
{
    for (unsigned index = 0; index < self->start_count; index++)
        if (self->starts[index].token.v == token)
            return &self->starts[index];
    return NULL;
}

/*  ---- Events --------------------------------------------------------------------------------- */

static void s_take_request (record_t *self, const rp_event_t *event, const audit_request_t *request)
{
    const rp_head_t *head = event->head;
    uint8_t headers[80];
    char name[48];
    size_t size = 0;
    s_name (self, request->sequence, name, sizeof name);
    (void) rp_headers_append (headers, &size, sizeof headers, RP_HISTORY_HEADER, name);
    rp_head_t named = *head;
    named.headers = headers;
    named.headers_size = (uint16_t) size;
    rp_history_message (&self->history, s_now (self), event->session, &named);
    if (rp_name_is_reserved (head->name, head->name_size))
        return; // the broker's shell answers this request
    s_request (self, "client", event->session, "submit", request->sequence);
    fprintf (self->peers, "\tservice=%.*s\tdeadline=%" PRId64 "\tattempts=%u\tconv=-\tseq=0\n",
      (int) head->name_size, head->name, request->deadline, request->attempts);
}

static void s_take_reply (record_t *self, const rp_event_t *event)
{
    record_start_t *start = s_start (self, event->head->id);
    if (!start || event->session.v == 0 || start->worker.v != event->session.v)
        return; // this worker never had the request, so it would not send this
    bool unbegun = event->head->status == RP_WORKER_LOST && event->head->lost == RP_LOST_UNBEGUN;
    if (unbegun && !start->told) {
        start->worker.v = 0; // the request did not start there
        return;
    }
    if (!start->told) {
        s_request (self, "worker", event->session, "start", start->request);
        fprintf (
          self->peers, "\tattempt=%u\tconv=0\ttask=%" PRIu64 "\n", start->attempt, start->token.v);
    }
    start->told = true;
    s_request (self, "worker", event->session, "reply", start->request);
    fprintf (self->peers, "\ttask=%" PRIu64 "\tstatus=%s\tbody=%" PRIu64 "\n", start->token.v,
      rp_status_name (event->head->status), start->token.v);
}

void record_event (record_t *self, const rp_event_t *event)
{
    const audit_t *audit = &self->sequence->audit;
    if (s_now (self) > self->seen + S_STILL_US)
        fprintf (self->peers, "%" PRId64 "\tchaos\tfault\tkind=still\tparty=*\tuntil=%" PRId64 "\n",
          self->seen, s_now (self));
    self->seen = s_now (self);
    rp_history_scrape (&self->history, s_now (self), rp_dispatch_stats (audit->core));
    record_start_t *start = event->kind == RP_EVENT_UNSENT ? s_start (self, event->token.v) : NULL;
    if (start)
        start->worker.v = 0; // no worker has it
    if (event->kind == RP_EVENT_TERMS)
        rp_history_terms (&self->history, s_now (self), event->terms);
    if (event->kind == RP_EVENT_RULES && event->rules && rp_rules_has_weight (event->rules))
        rp_history_weights (&self->history, s_now (self));
    if (event->kind != RP_EVENT_MESSAGE)
        return;
    if (event->head->command == RP_COMMAND_REQUEST && audit->arriving)
        s_take_request (self, event, audit->arriving);
    else
        rp_history_message (&self->history, s_now (self), event->session, event->head);
    if (event->head->command == RP_COMMAND_REPLY)
        s_take_reply (self, event);
}

/*  ---- Actions -------------------------------------------------------------------------------- */

static void s_add_start (record_t *self, const rp_action_t *action, const audit_request_t *request)
{
    if (self->start_count == RECORD_STARTS || !request)
        return;
    self->starts[self->start_count++] = (record_start_t){.token = action->token,
      .worker = action->session,
      .request = request->sequence,
      .attempt = action->head.attempt};
}

static void s_take_final (record_t *self, const rp_action_t *action, const rp_payload_t *message)
{
    const audit_t *audit = &self->sequence->audit;
    const audit_peer_t *client = audit_find_peer (audit, action->session);
    const audit_request_t *request = audit->arriving;
    if (!request || request->client != client || request->id != action->head.id)
        request = audit_find_request (audit, client, action->head.id);
    if (!request || rp_name_is_reserved (request->service, strlen (request->service)))
        return;
    s_request (self, "client", action->session, "final", request->sequence);
    fprintf (self->peers, "\tstatus=%s\tmade=%u\tbody=", rp_status_name (action->head.status),
      action->head.attempt);
    if (message)
        fprintf (self->peers, "%" PRIu64 "\n", message->answers.v);
    else
        fputs ("-\n", self->peers);
}

void record_action (record_t *self, const rp_action_t *action, const rp_payload_t *message)
{
    const audit_peer_t *peer = audit_find_peer (&self->sequence->audit, action->session);
    switch (action->kind) {
        case RP_ACTION_HISTORY:
            rp_history_record (&self->history, s_now (self), action);
            break;
        case RP_ACTION_SEND:
            if (action->token.v)
                s_add_start (self, action, message->request);
            else if (peer && action->head.command == RP_COMMAND_REPLY
                     && !(action->head.flags & RP_FLAG_MORE))
                s_take_final (self, action, message);
            break;
        case RP_ACTION_UNBIND:
        case RP_ACTION_ABORT:
            if (peer && !peer->worker)
                fprintf (self->peers,
                  "%" PRId64 "\tchaos\tkill\tparty=client:%" PRIu64 ".%" PRIu64 "\n", s_now (self),
                  self->seed, action->session.v);
            break;
        default:
            break;
    }
}

bool record_end (record_t *self)
{
    rp_history_end (&self->history, s_now (self));
    bool written = rp_history_failure (&self->history) == 0;
    close (self->history.descriptor);
    rp_history_clear (&self->history);
    FILE *peers = self->peers;
    self->peers = NULL;
    return fclose (peers) == 0 && written;
}
