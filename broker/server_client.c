/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server_client.h"

#include <string.h>

rp_session_id_t rp_server_join_core (
  rp_server_t *self, const char *name, unsigned traits, int64_t now)
{
    rp_session_id_t client = {0};
    rp_head_t hello = {.command = RP_COMMAND_HELLO,
      .interval_ms = RP_HEARTBEAT_MAX_MS,
      .key = name,
      .key_size = (uint8_t) strlen (name)};
    rp_event_t event = {.kind = RP_EVENT_MESSAGE,
      .head = &hello,
      .traits = (uint8_t) (RP_TRAIT_MUTE | RP_TRAIT_TRUSTED | traits),
      .principal = "riposte"};
    rp_dispatch_handle (self->core, &event, now, &self->actions);
    for (size_t index = 0; index < self->actions.count; index++) {
        const rp_action_t *action = &self->actions.list[index];
        if (action->kind == RP_ACTION_ADMIT)
            client = action->session;
        if (action->kind == RP_ACTION_HISTORY && rp_history_is_kept (&self->history))
            rp_history_record (&self->history, now, action);
    }
    rp_actions_reset (&self->actions);
    return client;
}

rp_head_t rp_server_head_to_start (const rp_action_t *action)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head;
    (void) rp_wire_decode (&head, rp_message_data (message), rp_message_size (message));
    head.flags &= RP_FLAG_INLINE | RP_FLAG_TRACE;
    head.id = action->head.id;
    head.deadline_ms = action->head.deadline_ms;
    return head;
}

void rp_server_start (rp_server_t *self,
  rp_session_id_t client,
  rp_session_id_t worker,
  rp_payload_t *payload,
  const rp_head_t *head,
  int64_t now)
{
    rp_event_t event = {.kind = RP_EVENT_MESSAGE,
      .session = client,
      .worker = worker,
      .head = head,
      .payload = payload,
      .size = rp_outbox_message (payload)->bytes - head->size};
    rp_server_tell (self, &event, now);
}

static void s_withdraw (rp_server_t *self, rp_session_id_t client, uint64_t id, int64_t now)
{
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = id};
    rp_event_t event = {.kind = RP_EVENT_MESSAGE, .session = client, .head = &head};
    rp_server_tell (self, &event, now);
}

static void s_bar (rp_server_t *self, rp_session_id_t client, uint64_t id, int64_t now)
{
    rp_head_t head = {.id = id};
    rp_event_t event = {.kind = RP_EVENT_BAR, .session = client, .head = &head};
    rp_server_tell (self, &event, now);
}

void rp_server_client_carry_out (
  rp_server_t *self, rp_session_id_t client, const rp_action_t *action, int64_t now)
{
    switch (action->kind) {
        case RP_ACTION_WITHDRAW:
            s_withdraw (self, client, action->head.id, now);
            break;
        case RP_ACTION_BAR:
            s_bar (self, client, action->head.id, now);
            break;
        case RP_ACTION_SEND:
            rp_outbox_post (&self->outbox, action);
            break;
        case RP_ACTION_DROP:
            rp_outbox_drop (&self->outbox, action->payload);
            break;
        default: // of the core only
            break;
    }
}
