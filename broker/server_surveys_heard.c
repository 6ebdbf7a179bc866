/*  What the core has for the surveys. It is apart from broker/server_surveys.c, which calls the core.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>

#include "broker/kept_message.h"
#include "broker/server_state.h"
#include "common/wire/headers.h"

/*  Tells a client an answer, or the final of its request.  */
static void s_tell (rp_server_t *self, const rp_action_t *action)
{
    if (!(action->head.flags & RP_FLAG_MORE))
        rp_dispatch_survey_over (self->core, action->session, action->head.id);
    rp_outbox_post (&self->outbox, action);
}

static void s_submit (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head;
    if (!rp_kept_read (&self->pool, message, &head)) {
        rp_message_destroy (&self->pool, &message);
        rp_action_t refusal = rp_kept_refusal (action->session, action->head.id);
        s_tell (self, &refusal);
        return;
    }
    const char *principal = rp_routes_principal (&self->connections.routes, action->session);
    rp_surveys_submit (self->surveys.surveys,
      &(rp_surveys_request_t){.session = action->session,
        .head = &head,
        .payload = action->payload,
        .bytes = message->bytes - head.size + head.headers_size,
        .principal = principal ? principal : RP_PRINCIPAL_ANONYMOUS,
        .quota = rp_dispatch_quota (self->core, action->session)},
      now, &self->surveys.wanted);
}

/*  Withdraws a request here, or lets those look for it who may have it.  */
static void s_cancel (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    bool known = rp_surveys_cancel (
      self->surveys.surveys, action->session, action->head.id, &self->surveys.wanted);
    if (known || (!self->replays.replays && !self->jobs.jobs)) {
        rp_dispatch_count_cancel (self->core, known);
        return;
    }
    rp_action_t other = *action;
    other.kind = self->replays.replays ? RP_ACTION_REPLAY : RP_ACTION_JOB;
    if (self->replays.replays)
        rp_server_replays_take (self, &other, now);
    else
        rp_server_jobs_hear (&self->jobs, &other, NULL); // a CANCEL goes by session and id
}

void rp_server_surveys_take (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    if (action->head.command == RP_COMMAND_CANCEL)
        s_cancel (self, action, now);
    else
        s_submit (self, action, now);
}

/*  Makes a reply anew, with the worker's name among its headers, unless they have one or no room. NULL when out of
    memory.  */
static rp_message_t *s_name (
  rp_server_t *self, rp_message_t *message, rp_head_t *head, const char *worker)
{
    uint8_t headers[RP_WIRE_HEADERS_MAX];
    rp_store_span_t frames[RP_FRAMES_MAX];
    rp_header_t header;
    size_t size = head->headers_size;
    if (size)
        memcpy (headers, head->headers, size);
    if (rp_headers_find (headers, size, RP_REPLY_WORKER, &header)
        || !rp_headers_append (headers, &size, sizeof headers, RP_REPLY_WORKER, worker))
        return message;
    rp_head_t named = *head;
    named.headers = headers;
    named.headers_size = (uint16_t) size;
    named.flags &= (uint16_t) ~RP_FLAG_INLINE;
    size_t count = rp_kept_frames (message, head, frames);
    rp_message_t *other = rp_kept_message (&self->pool, &named, frames, count);
    rp_message_destroy (&self->pool, &message);
    head->flags = named.flags;
    return other;
}

void rp_server_surveys_answered (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head = action->head;
    const char *worker = rp_surveys_worker (self->surveys.surveys, head.id);
    bool answer = head.command == RP_COMMAND_REPLY && worker;
    bool whole = !message;
    if (message && answer && rp_kept_read_reply (&self->pool, message, &action->head, &head)) {
        message = s_name (self, message, &head, worker);
        whole = message != NULL;
    }
    if (message && !whole)
        rp_message_destroy (&self->pool, &message);
    if (!answer) // WELCOME, heartbeats, BYE
        return;
    if (!whole) {
        static const char text[] = "the broker had no memory for the reply";
        head = (rp_head_t){.command = RP_COMMAND_REPLY,
          .status = RP_WORKER_LOST,
          .attempt = action->head.attempt,
          .id = action->head.id,
          .text = text,
          .text_size = sizeof text - 1};
    }
    rp_actions_t *told = &self->surveys.told;
    rp_surveys_answered (
      self->surveys.surveys, &head, rp_outbox_payload (message), now, told, &self->surveys.wanted);
    for (size_t index = 0; index < told->count; index++) {
        if (told->list[index].kind == RP_ACTION_SEND)
            s_tell (self, &told->list[index]);
        else
            rp_outbox_drop (&self->outbox, told->list[index].payload);
    }
    rp_actions_reset (told);
}
