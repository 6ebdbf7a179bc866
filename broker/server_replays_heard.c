/*  What the core has for the replays. It is apart from broker/server_replays.c, which calls the core.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/kept_message.h"
#include "broker/server_state.h"

static void s_submit (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head;
    if (!rp_kept_read (&self->pool, message, &head)) {
        rp_message_destroy (&self->pool, &message);
        rp_action_t refusal = rp_kept_refusal (action->session, action->head.id);
        rp_outbox_post (&self->outbox, &refusal);
        return;
    }
    uint8_t digest[RP_REPLAYS_DIGEST];
    rp_kept_digest (message, &head, digest, sizeof digest);
    const char *principal = rp_routes_principal (&self->connections.routes, action->session);
    rp_replays_submit (self->replays.replays,
      &(rp_replays_request_t){.session = action->session,
        .head = &head,
        .payload = action->payload,
        .bytes = message->bytes - head.size + head.headers_size,
        .principal = principal ? principal : RP_PRINCIPAL_ANONYMOUS,
        .quota = rp_dispatch_quota (self->core, action->session),
        .digest = digest},
      now, &self->replays.wanted);
}

/*  Withdraws a request here, or else a question about a job.  */
static void s_cancel (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    bool known = rp_replays_cancel (
      self->replays.replays, action->session, action->head.id, now, &self->replays.wanted);
    if (known || !self->jobs.jobs) {
        rp_dispatch_count_cancel (self->core, known);
        return;
    }
    rp_action_t other = *action;
    other.kind = RP_ACTION_JOB;
    rp_server_jobs_hear (&self->jobs, &other, NULL); // a CANCEL goes by session and id
}

void rp_server_replays_take (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    if (action->head.command == RP_COMMAND_CANCEL)
        s_cancel (self, action, now);
    else
        s_submit (self, action, now);
}

void rp_server_replays_answered (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head = action->head;
    rp_head_t read;
    bool answer = head.command == RP_COMMAND_REPLY;
    if (answer && !message && (head.status == RP_OK || head.status == RP_APP_ERROR))
        message =
          rp_kept_message (&self->pool, &head, NULL, 0); // the core's own: a reply over max_body
    if (message && (!answer || !rp_kept_read_reply (&self->pool, message, &action->head, &read)))
        rp_message_destroy (&self->pool, &message);
    if (!answer) // WELCOME, heartbeats, BYE
        return;
    if (!message && (head.status == RP_OK || head.status == RP_APP_ERROR)) {
        static const char text[] = "the broker had no memory for the reply";
        head = (rp_head_t){.command = RP_COMMAND_REPLY,
          .status = RP_WORKER_LOST,
          .attempt = head.attempt,
          .id = head.id,
          .text = text,
          .text_size = sizeof text - 1};
    }
    rp_actions_t *told = &self->replays.told;
    rp_replays_answered (self->replays.replays, &head, rp_outbox_payload (message),
      message ? rp_kept_bytes (message) : 0, now, told);
    for (size_t index = 0; index < told->count; index++) {
        if (told->list[index].kind == RP_ACTION_SEND)
            rp_outbox_post (&self->outbox, &told->list[index]);
        else
            rp_outbox_drop (&self->outbox, told->list[index].payload);
    }
    rp_actions_reset (told);
}
