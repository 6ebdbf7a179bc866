/*  Peers: the connections of HTTP, how long each may take, and whether it has hung up.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_GATEWAY_PEERS_H
#define RP_GATEWAY_PEERS_H

#include "gateway/state.h"

/*  The MHD_NotifyConnectionCallback; arg: the gateway.  */
void rp_http_peer_on_connection (void *arg,
  struct MHD_Connection *connection,
  void **context,
  enum MHD_ConnectionNotificationCode what);

/*  The peer has to act from now on: it has the time of option --upload.  */
void rp_http_peer_await (rp_gateway_t *self, rp_http_peer_t *peer);

/*  The peer need not act any more.  */
void rp_http_peer_rest (rp_http_peer_t *peer);

/*  The peer has closed the connection, or its sending half, which counts as that. Returns its open exchange, which is to be
    cancelled; NULL: it has none.  */
rp_http_exchange_t *rp_http_peer_hang_up (rp_gateway_t *self, rp_http_peer_t *peer);

/*  Makes libmicrohttpd see the end of connections whose peers have hung up; to be called after it has
    read what came with it. It reads once for each edge of its epoll, and would otherwise keep a
    connection whose end came together with bytes until its time is over.  */
void rp_http_peers_end_gone (rp_gateway_t *self);

/*  Closes connections whose peers did not act in time. Returns when the next one is due, µs;
    INT64_MAX: none is.  */
int64_t rp_http_peers_close_late (rp_gateway_t *self, int64_t now);

#endif
