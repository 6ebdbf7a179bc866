/*  Calls for all workers of a service: what they ask for. They are submitted as streams (stream.c).

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/client_state.h"

static void s_set (rp_call_t *self)
{
    if (!self->exchange.all)
        rp_list_init (&self->answers);
    self->exchange.all = self->streams = true;
}

int rp_call_set_all (rp_call_t *self)
{
    if (self->conversation)
        return RP_USAGE;
    s_set (self);
    return RP_OK;
}

static int s_set_goal (rp_call_t *self, const char *key, uint32_t count)
{
    if (self->conversation || count == 0 || count > RP_ALL_MOST)
        return RP_USAGE;
    int rc = rp_call_put_number (self, key, count);
    if (rc == RP_OK)
        s_set (self);
    return rc;
}

int rp_call_set_first (rp_call_t *self, uint32_t count)
{
    return s_set_goal (self, RP_ALL_FIRST, count);
}

int rp_call_set_quorum (rp_call_t *self, uint32_t count)
{
    return s_set_goal (self, RP_ALL_QUORUM, count);
}
