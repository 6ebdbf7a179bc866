/*  Watch: handles what happens to connections apart from their messages. It reads the monitors of
    the listeners, looks at handshakes, and aborts connections that are too many, too slow or not
    from a ZeroMQ peer.

    SPDX-License-Identifier: MPL-2.0

    For each connection that ends without a session, one log line says why. Sessions that lost their
    connection come out of rp_connections_next_lost; listeners whose number of REP workers changed
    are marked (recount).

    Thread-safety: none.
*/

#ifndef RP_WATCH_H
#define RP_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/log.h"
#include "broker/transport/connections.h"
#include "broker/transport/listener.h"

/*  Monitor events that are read at once. Not all, because libzmq reports a failing accept without a
    pause.  */
#define RP_WATCH_BATCH 1024u

typedef struct {
    rp_connections_t *connections; /* not owned */
    rp_listener_t *listeners;      /* by number; not owned */
    rp_log_t *log;                 /* not owned */
    int descriptor_limit; /* connections with this descriptor or a higher one are aborted */
} rp_watch_t;

void rp_watch_init (
  rp_watch_t *self, rp_connections_t *connections, rp_listener_t *listeners, rp_log_t *log);

/*  Reads the events of a listener's monitor, until there are no more (monitor_unread is then false)
    or RP_WATCH_BATCH were read.  */
void rp_watch_read_monitor (rp_watch_t *self, rp_listener_t *listener, int64_t now);

/*  Looks at the connections that are due. Returns when to look again.  */
int64_t rp_watch_look (rp_watch_t *self, int64_t now);

#endif
