/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/http_peers.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/io/clock.h"

typedef struct {
    rp_list_node_t node; /* not in the list: it is being closed */
    int64_t since;       /* µs, of its latest progress */
    int descriptor;
    size_t bytes; /* of the answer that it reads */
    rp_http_peers_t *peers;
} s_peer_t;

void rp_http_peers_init (rp_http_peers_t *self)
{
    rp_list_init (&self->by_progress);
    self->count = 0;
    self->bytes = 0;
    self->most = RP_HTTP_PEERS_MAX;
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 20 < self->most)
        self->most = limit.rlim_cur < 20 ? 1 : (unsigned) (limit.rlim_cur / 20);
}

static s_peer_t *s_find (struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void s_let_go (s_peer_t *peer)
{
    peer->peers->bytes -= peer->bytes;
    peer->bytes = 0;
}

static void s_close (s_peer_t *peer)
{
    rp_list_remove (&peer->node);
    peer->peers->count--;
    (void) shutdown (peer->descriptor, SHUT_RDWR); // libmicrohttpd sees its end
}

static void s_end (rp_http_peers_t *self, s_peer_t *peer)
{
    if (!peer)
        return;
    if (peer->node.next) {
        rp_list_remove (&peer->node);
        self->count--;
    }
    s_let_go (peer);
    free (peer);
}

static void s_begin (rp_http_peers_t *self, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    s_peer_t *peer = info ? calloc (1, sizeof *peer) : NULL;
    if (!peer)
        return; // out of memory: it is closed only when it has been silent
    peer->peers = self;
    peer->descriptor = info->connect_fd;
    peer->since = rp_clock_us ();
    rp_list_append (&self->by_progress, &peer->node);
    self->count++;
    *context = peer;
}

void rp_http_peers_on_connection (void *arg,
  struct MHD_Connection *connection,
  void **context,
  enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        s_begin (arg, connection, context);
        return;
    }
    s_end (arg, *context);
    *context = NULL;
}

void rp_http_peers_progress (rp_http_peers_t *self, struct MHD_Connection *connection)
{
    s_peer_t *peer = s_find (connection);
    if (!peer)
        return;
    s_let_go (peer);
    if (!peer->node.next)
        return;
    peer->since = rp_clock_us ();
    rp_list_remove (&peer->node);
    rp_list_append (&self->by_progress, &peer->node);
}

/*  Closes the connections that have not read their answers.  */
static void s_close_readers (rp_http_peers_t *self, int64_t now)
{
    rp_list_node_t *node = rp_list_first (&self->by_progress);
    for (rp_list_node_t *next; node; node = next) {
        s_peer_t *peer = (s_peer_t *) node;
        if (peer->since + RP_HTTP_PEERS_GRACE_US > now)
            return;
        next = rp_list_next (&self->by_progress, node);
        if (peer->bytes > 0)
            s_close (peer);
    }
}

bool rp_http_peers_has_room (struct MHD_Connection *connection, size_t bytes)
{
    s_peer_t *peer = s_find (connection);
    if (!peer || peer->peers->bytes == 0 || peer->peers->bytes + bytes <= RP_HTTP_PEERS_BYTES)
        return true;
    s_close_readers (peer->peers, rp_clock_us ());
    return false;
}

bool rp_http_peers_hold (struct MHD_Connection *connection, size_t bytes)
{
    s_peer_t *peer = s_find (connection);
    if (!peer)
        return true;
    if (!rp_http_peers_has_room (connection, bytes))
        return false;
    peer->bytes += bytes;
    peer->peers->bytes += bytes;
    return true;
}

int64_t rp_http_peers_make_room (rp_http_peers_t *self, int64_t now)
{
    unsigned spare = self->most / RP_HTTP_PEERS_FREE + 1;
    while (self->count > 0 && self->count > self->most - spare) {
        s_peer_t *peer = (s_peer_t *) rp_list_first (&self->by_progress);
        if (peer->since + RP_HTTP_PEERS_GRACE_US > now)
            return peer->since + RP_HTTP_PEERS_GRACE_US;
        s_close (peer);
    }
    return INT64_MAX;
}
