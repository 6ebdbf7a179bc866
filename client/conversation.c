/*  Conversations: the public functions that begin and end one. Its requests go to one worker, in
    order.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_state.h"
#include "common/io/clock.h"
#include "common/wire/name.h"

rp_conversation_t *rp_conversation_new (rp_client_t *client, const char *service)
{
    size_t size = service ? strlen (service) : 0;
    if (!client || !service || !rp_name_is_valid (service, size)) {
        errno = EINVAL;
        return NULL;
    }
    rp_conversation_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->client = client;
    self->references = 1;
    self->name_size = (uint8_t) size;
    memcpy (self->name, service, size);
    return self;
}

void rp_conversation_release (rp_conversation_t *self)
{
    if (--self->references == 0)
        free (self);
}

void rp_conversation_destroy (rp_conversation_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    rp_conversation_t *self = *self_p;
    rp_client_t *client = self->client;
    *self_p = NULL;
    rp_head_t end;
    if (rp_pump_lock (client->pump)) {
        if (rp_client_core_end_conversation (
              &client->core, &self->conversation, &end, rp_clock_us ()))
            rp_channel_send_head (client->channel, &end); // if lost, the broker's idle limit acts
        rp_pump_unlock (client->pump);
    }
    rp_conversation_release (self);
}
