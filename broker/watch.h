/*  Watch: what becomes of connections besides their messages.

    SPDX-License-Identifier: MPL-2.0

    Reads what the listeners' monitors tell, looks at handshakes, and aborts connections that are too
    many, too slow or no ZeroMQ peer's. Each that ends before it began a session is one line of the
    log that says why. Sessions whose connection has ended come out of rp_connections_next_lost, and
    changes of REP workers are marked at their listener.

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

/*  Events of a monitor that are read at once: while accept fails, libzmq reports it without a
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

/*  Reads what the monitor of a listener tells, until there is nothing more (then its monitor_unread
    is false) or a batch has been read.  */
void rp_watch_read_monitor (rp_watch_t *self, rp_listener_t *listener, int64_t now);

/*  Looks at connections whose time has come. Returns when to look again.  */
int64_t rp_watch_look (rp_watch_t *self, int64_t now);

#endif
