/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/peers.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/heap.h"
#include "common/io/clock.h"

void rp_http_peer_rest (rp_http_peer_t *peer)
{
    if (peer->node.next)
        rp_list_remove (&peer->node);
}

void rp_http_peer_await (rp_gateway_t *self, rp_http_peer_t *peer)
{
    peer->since = rp_clock_us ();
    rp_http_peer_rest (peer);
    rp_list_append (&self->awaited, &peer->node);
}

void rp_http_peer_on_connection (void *arg,
  struct MHD_Connection *connection,
  void **context,
  enum MHD_ConnectionNotificationCode what)
{
    rp_gateway_t *self = arg;
    rp_http_peer_t *peer = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (peer)
            rp_http_peer_rest (peer);
        if (peer && peer->gone.next)
            rp_list_remove (&peer->gone);
        free (peer);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = peer = calloc (1, sizeof *peer);
    if (!peer || !info)
        return; // without it every request is refused
    peer->descriptor = info->connect_fd;
    // libmicrohttpd does not look at suspended connections. Without this a peer that hangs up has its
    // request run to its end.
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = peer};
    (void) epoll_ctl (self->epoll, EPOLL_CTL_ADD, peer->descriptor, &event);
    rp_http_peer_await (self, peer);
}

rp_http_exchange_t *rp_http_peer_hang_up (rp_gateway_t *self, rp_http_peer_t *peer)
{
    if (peer->has_hung_up)
        return NULL;
    peer->has_hung_up = true; // perhaps before its request was read
    rp_list_append (&self->gone, &peer->gone);
    return peer->open;
}

void rp_http_peers_end_gone (rp_gateway_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->gone))) {
        rp_list_remove (node);
        (void) shutdown (RP_CONTAINER (node, rp_http_peer_t, gone)->descriptor, SHUT_RD);
    }
}

int64_t rp_http_peers_close_late (rp_gateway_t *self, int64_t now)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->awaited))) {
        rp_http_peer_t *peer = (rp_http_peer_t *) node;
        if (peer->since + self->options->upload > now)
            return peer->since + self->options->upload;
        (void) shutdown (peer->descriptor, SHUT_RDWR); // libmicrohttpd sees its end
        rp_http_peer_await (self, peer);
    }
    return INT64_MAX;
}
