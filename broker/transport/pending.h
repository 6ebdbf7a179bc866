/*  Pending connections: connections without a session, and how long they may stay.

    SPDX-License-Identifier: MPL-2.0

    Somebody who connects and never begins a session would hold a descriptor for ever, and so might
    somebody whose session is over. But clients of other protocols have no session before their
    first request, which may come any time. So a number of pending connections is left alone; if
    there are more, those that came first are aborted, each after some time. They wait in a line, in
    the order in which they came, since all have the same time.

    Thread-safety: none.
*/

#ifndef RP_PENDING_H
#define RP_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "broker/transport/connection.h"
#include "common/base/list.h"

typedef struct {
    rp_list_t line;
    uint64_t count;
    uint64_t left_alone;
    int64_t patience; /* µs */
} rp_pending_t;

/*  left_alone: so many are never aborted.  */
void rp_pending_init (rp_pending_t *self, int64_t patience, uint64_t left_alone);

/*  A connection came, or its session ended: it goes to the end of the line.  */
void rp_pending_add (rp_pending_t *self, rp_connection_t *connection, int64_t now);

/*  A connection has a session, or is gone. Nothing happens if it is not in the line.  */
void rp_pending_remove (rp_pending_t *self, rp_connection_t *connection);

/*  Aborts those whose time is over, and who are too many. Returns how many; *next is when to call
    again (INT64_MAX: when one was added).  */
size_t rp_pending_tick (rp_pending_t *self, int64_t now, int64_t *next);

#endif
