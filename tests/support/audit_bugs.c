/*  Bugs in streams, made inside the core, whose state nothing else here looks at.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/core/state.h"
#include "broker/core/stream.h"
#include "tests/support/audit.h"

void audit_bugs_spoil (audit_t *self)
{
    if (self->bug < AUDIT_BUG_IGNORE_GRANT)
        return;
    const rp_pool_t *requests = &self->core->requests;
    for (uint32_t slot = 0; slot < rp_pool_slots (requests); slot++) {
        rp_request_t *request = rp_pool_at (requests, slot);
        if (!(request->pooled.generation & 1) || !request->stream)
            continue;
        if (self->bug == AUDIT_BUG_PASS_UNGRANTED)
            request->stream->reply.passed = 0;
        if (self->bug == AUDIT_BUG_PART_BEHIND_END)
            request->stream->body_ended = false;
        if (self->bug == AUDIT_BUG_REDELIVER_BEGUN)
            request->begun = false;
        if (self->bug == AUDIT_BUG_NEVER_SILENT)
            request->stream->moved = self->now;
    }
}

void audit_bugs_bend (audit_t *self, rp_action_t *action)
{
    if (self->bug != AUDIT_BUG_PART_ASTRAY || action->kind != RP_ACTION_SEND
        || action->head.command != RP_COMMAND_REPLY || !(action->head.flags & RP_FLAG_MORE))
        return;
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (other->client->id.v == action->session.v && other->stream
            && other->id != action->head.id)
            action->head.id = other->id;
    }
}
