/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/record.h"

#include "broker/core/stream.h"

static rp_action_t *s_add (rp_dispatch_t *self, rp_record_kind_t kind, rp_session_id_t session)
{
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_HISTORY, session);
    action->note.kind = kind;
    return action;
}

void rp_record_add_session (rp_dispatch_t *self, rp_record_kind_t kind, const rp_session_t *session)
{
    // Names stay valid as long as the list: no event ends a session that it began.
    rp_record_t *note = &s_add (self, kind, rp_session_id (session))->note;
    note->worker =
      (rp_session_id_t){session->role == RP_ROLE_WORKER ? rp_pool_handle (&session->pooled) : 0};
    note->window = session->window;
    note->name = session->name;
    note->service = session->service ? session->service->name : "";
    note->principal = session->principal->name;
}

void rp_record_add_request (
  rp_dispatch_t *self, rp_record_kind_t kind, const rp_request_t *request, unsigned status)
{
    const rp_session_t *client = rp_request_client (request);
    rp_action_t *action =
      s_add (self, kind, (rp_session_id_t){client ? rp_pool_handle (&client->pooled) : 0});
    if (request->worker) {
        action->token = (rp_token_t){rp_pool_handle (&request->pooled)};
        action->note.worker = rp_session_id (request->worker);
    }
    const rp_dispatch_conversation_t *conversation = request->conversation;
    action->note.id = request->client_id;
    action->note.status = (uint8_t) status;
    action->note.attempt = request->attempt;
    action->note.attempts = request->attempts;
    action->note.deadline = rp_request_deadline (request);
    action->note.conversation = conversation ? rp_pool_handle (&conversation->pooled) : 0;
    action->note.service = rp_request_service (request)->name;
    action->note.parts = rp_stream_reply_total (request).parts;
    action->note.part_bytes = rp_stream_reply_total (request).bytes;
}

void rp_record_add_refusal (
  rp_dispatch_t *self, const rp_session_t *client, uint64_t id, unsigned status)
{
    rp_record_t *note = &s_add (self, RP_RECORD_REFUSE, rp_session_id (client))->note;
    note->id = id;
    note->status = (uint8_t) status;
}

void rp_record_add_late (rp_dispatch_t *self, const rp_session_t *worker, uint64_t token)
{
    rp_action_t *action = s_add (self, RP_RECORD_LATE, (rp_session_id_t){0});
    action->note.worker = rp_session_id (worker);
    action->token = (rp_token_t){token};
}
