/*  Pending connections: bounds how many connections without a session there are, and for how long.

    SPDX-License-Identifier: MPL-2.0

    A connection without a session would hold a descriptor for ever. But a foreign client has no
    session before its first request, which may come at any time. So a number of pending connections
    is left alone; if there are more, the oldest are aborted, each after a time limit. All have the
    same limit, so they wait in a line in the order in which they came.

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

/*  patience: time limit, µs. left_alone: how many are never aborted.  */
void rp_pending_init (rp_pending_t *self, int64_t patience, uint64_t left_alone);

/*  Changes both, for the connections in the line too.  */
void rp_pending_change (rp_pending_t *self, int64_t patience, uint64_t left_alone, int64_t now);

/*  Puts a connection, which is new or whose session has ended, at the end of the line.  */
void rp_pending_add (rp_pending_t *self, rp_connection_t *connection, int64_t now);

/*  Removes a connection that has a session or is gone; nothing if it is not in the line.  */
void rp_pending_remove (rp_pending_t *self, rp_connection_t *connection);

/*  Aborts connections over their time limit, while there are too many. Returns how many; *next is
    when to call again (INT64_MAX: after the next rp_pending_add).  */
size_t rp_pending_tick (rp_pending_t *self, int64_t now, int64_t *next);

#endif
