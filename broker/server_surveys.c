/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server_surveys.h"

#include "broker/kept_message.h"
#include "broker/server_client.h"
#include "common/io/clock.h"

/*  ---- Carrying out --------------------------------------------------------------------------- */

/*  Gives the core a copy of a survey, for one worker. Out of memory, the copy ends before it began.  */
static void s_start (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_head_t head = rp_server_head_to_start (action);
    rp_message_t *message = rp_outbox_message (action->payload);
    if (action->keep)
        message = rp_message_share (&self->pool, message);
    head.flags = (head.flags & RP_FLAG_INLINE) | RP_FLAG_ALL; // the broker names the workers itself
    head.attempts = 1;
    head.wait_ms = 0;
    if (message) {
        rp_server_start (
          self, self->surveys.client, action->session, rp_outbox_payload (message), &head, now);
        return;
    }
    rp_action_t refusal = rp_kept_refusal (self->surveys.client, action->head.id);
    rp_server_surveys_answered (self, &refusal, now);
}

bool rp_server_surveys_tick (rp_server_t *self, int64_t now)
{
    if (self->surveys.wanted.count == 0)
        return false;
    // What the core answers may want more withdrawn, which is appended and done in the same turn. The list may move.
    for (size_t index = 0; index < self->surveys.wanted.count; index++) {
        rp_action_t action = self->surveys.wanted.list[index];
        if (action.kind == RP_ACTION_SEND) // the final of a request that was refused
            rp_dispatch_survey_over (self->core, action.session, action.head.id);
        if (action.kind == RP_ACTION_START)
            s_start (self, &action, now);
        else
            rp_server_client_carry_out (self, self->surveys.client, &action, now);
    }
    rp_actions_reset (&self->surveys.wanted);
    return true;
}

void rp_server_surveys_recheck (rp_server_t *self, int64_t now)
{
    rp_surveys_recheck (self->surveys.surveys, &self->surveys.wanted);
    (void) rp_server_surveys_tick (self, now);
}

/*  ---- Making --------------------------------------------------------------------------------- */

bool rp_server_surveys_begin (rp_server_t *self, int64_t now)
{
    self->surveys.client = rp_server_join_core (self, "all", 0, now);
    if (self->surveys.client.v == 0)
        return false;
    self->surveys.surveys = rp_surveys_new (&(rp_surveys_options_t){
      .core = self->core, .limits = &self->limits, .seed = rp_clock_entropy ()});
    return self->surveys.surveys != NULL;
}

void rp_server_surveys_clear (rp_server_t *self)
{
    rp_actions_t *wanted = &self->surveys.wanted;
    for (size_t index = 0; index < wanted->count; index++)
        if (!wanted->list[index].keep)
            rp_outbox_drop (&self->outbox, wanted->list[index].payload);
    rp_actions_clear (wanted);
    rp_actions_clear (&self->surveys.told);
    rp_surveys_destroy (&self->surveys.surveys);
}
