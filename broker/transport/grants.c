/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/grants.h"

#include "common/base/earlier.h"
#include "common/base/heap.h"

/*  A look at a client that has stopped takes less than a tenth of this, us: so looks take less than a tenth of the time,
    however many have stopped.  */
#define S_LOOK_US INT64_C (1)

void rp_grants_init (rp_grants_t *self, rp_foreign_t *foreign, const rp_routes_t *routes)
{
    *self = (rp_grants_t){.foreign = foreign, .routes = routes, .due = INT64_MAX};
}

void rp_grants_look (rp_grants_t *self, int64_t now)
{
    rp_envelopes_t *envelopes = &self->foreign->envelopes;
    if (envelopes->owed_anew) {
        envelopes->owed_anew = false;
        self->pause = RP_GRANTS_PAUSE_US;
        self->due = rp_later (rp_earlier (self->due, now + self->pause), self->earliest);
    }
    self->left = now >= self->due ? envelopes->owed_count : 0;
    self->stopped = 0;
    self->granted = false;
}

bool rp_grants_next (rp_grants_t *self, rp_event_t *event, rp_head_t *head)
{
    rp_envelopes_t *envelopes = &self->foreign->envelopes;
    rp_list_node_t *node;
    for (; self->left > 0 && (node = rp_list_first (&envelopes->owed)); self->left--) {
        rp_envelope_t *envelope = RP_CONTAINER (node, rp_envelope_t, owed_node);
        if (rp_routes_is_unread (self->routes, envelope->session)) {
            rp_envelopes_owe (envelopes, envelope); // behind the others
            self->stopped++;
            continue;
        }
        rp_envelopes_settle (envelopes, envelope);
        envelope->written = envelope->sent;
        self->left--;
        self->granted = true;
        *head = (rp_head_t){.command = RP_COMMAND_GRANT,
          .id = rp_pool_handle (&envelope->pooled),
          .granted = envelope->written + self->foreign->window};
        *event = (rp_event_t){.kind = RP_EVENT_MESSAGE, .session = envelope->session, .head = head};
        return true;
    }
    return false;
}

int64_t rp_grants_due (rp_grants_t *self, int64_t now)
{
    if (!rp_grants_owed (self)) {
        self->due = INT64_MAX;
    }
    else if (now >= self->due) {
        self->pause = self->granted ? RP_GRANTS_PAUSE_US
                                    : rp_earlier (2 * self->pause, RP_GRANTS_PAUSE_MOST_US);
        self->earliest = now + self->stopped * S_LOOK_US;
        self->due = rp_later (now + self->pause, self->earliest);
    }
    return self->due;
}
