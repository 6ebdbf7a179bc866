/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server_replays.h"

#include "broker/server_client.h"
#include "common/io/clock.h"

/*  ---- Carrying out --------------------------------------------------------------------------- */

static void s_carry_out_one (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    if (action->kind != RP_ACTION_START) {
        rp_server_client_carry_out (self, self->replays.client, action, now);
        return;
    }
    rp_head_t head = rp_server_head_to_start (action); // the rest is as its first client sent it
    rp_server_start (self, self->replays.client, (rp_session_id_t){0}, action->payload, &head, now);
}

bool rp_server_replays_tick (rp_server_t *self, int64_t now)
{
    if (!self->replays.replays)
        return false;
    rp_actions_t *wanted = &self->replays.wanted;
    int64_t due = rp_replays_tick (self->replays.replays, now, wanted);
    bool any = wanted->count > 0;
    // Nothing that the core answers wants more done here, so the list stays as it is.
    for (size_t index = 0; index < wanted->count; index++)
        s_carry_out_one (self, &wanted->list[index], now);
    rp_actions_reset (wanted);
    rp_poller_set_deadline (&self->poller, &self->replays.due, due);
    return any;
}

void rp_server_replays_recheck (rp_server_t *self, int64_t now)
{
    if (!self->replays.replays)
        return;
    rp_replays_recheck (self->replays.replays, &self->replays.wanted);
    (void) rp_server_replays_tick (self, now);
}

/*  ---- Making --------------------------------------------------------------------------------- */

bool rp_server_replays_begin (rp_server_t *self, int64_t now)
{
    if (self->limits.replay_bytes == 0)
        return true;
    if (!rp_poller_add_deadline (&self->poller, &self->replays.due, NULL, NULL))
        return false;
    self->replays.client = rp_server_join_core (self, "keyed", 0, now);
    if (self->replays.client.v == 0)
        return false;
    self->replays.replays = rp_replays_new (&(rp_replays_options_t){.core = self->core,
      .limits = &self->limits,
      .client = self->replays.client,
      .seed = rp_clock_entropy ()});
    return self->replays.replays != NULL;
}

void rp_server_replays_clear (rp_server_t *self)
{
    rp_actions_t *wanted = &self->replays.wanted;
    for (size_t index = 0; index < wanted->count; index++) // what is kept is dropped below
        if (!wanted->list[index].keep)
            rp_outbox_drop (&self->outbox, wanted->list[index].payload);
    rp_actions_reset (wanted);
    rp_replays_destroy (&self->replays.replays, wanted);
    for (size_t index = 0; index < wanted->count; index++)
        rp_outbox_drop (&self->outbox, wanted->list[index].payload);
    rp_actions_clear (wanted);
    rp_actions_clear (&self->replays.told);
}
