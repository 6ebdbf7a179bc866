/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/open.h"

#include "common/http/daemon.h"
#include "gateway/peers.h"

void rp_http_exchange_recount (rp_http_exchange_t *self, size_t bytes)
{
    self->gateway->bytes += bytes - self->counted;
    self->counted = bytes;
}

void rp_http_exchange_suspend (rp_http_exchange_t *self)
{
    rp_http_peer_rest (self->peer);
    self->peer->open = self;
    rp_list_append (&self->gateway->suspended, &self->node);
    MHD_suspend_connection (self->connection);
}

void rp_http_exchange_resume (rp_http_exchange_t *self)
{
    rp_list_remove (&self->node);
    self->peer->open = NULL;
    rp_http_peer_await (self->gateway, self->peer);
    if (self->has_begun)
        MHD_resume_connection (self->connection); // it is asked for the body, not called as handler
    else
        rp_http_daemon_resume (self->connection, self->gateway->idle_s);
}

bool rp_http_exchange_count (rp_http_exchange_t *self, size_t bytes)
{
    uint64_t others = self->gateway->bytes - self->counted;
    if (bytes > self->counted && others > 0 && others + bytes > self->gateway->options->total_body)
        return false;
    rp_http_exchange_recount (self, bytes);
    return true;
}
