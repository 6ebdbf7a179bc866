/*  Grants: what a client of MDP 0.2, whose protocol has none, would grant of its replies in parts, is granted in its
    place, as soon as libzmq has written what was sent to it before.

    SPDX-License-Identifier: MPL-2.0

    A client that does not read fills the buffers of the two kernels, and its own; then what is sent to it waits in
    libzmq, which the session's backlog shows (broker/transport/backlog.h). While more than a little waits, nothing is
    granted, so the worker that writes to this client stops. What one stream may have here is one window.

    libzmq does not say when a backlog has become small, so this looks: soon after a part went out, and again and again
    while nothing was written, with pauses that grow. See docs/adr/0054.

    Thread-safety: none.
*/

#ifndef RP_GRANTS_H
#define RP_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/dispatch.h"
#include "broker/protocol/foreign.h"
#include "broker/transport/routes.h"

/*  The shortest and the longest pause between two looks, us. The longest is short beside the time in which a client takes what
    the kernels hold for it.  */
#define RP_GRANTS_PAUSE_US INT64_C (50)
#define RP_GRANTS_PAUSE_MOST_US INT64_C (50000)

typedef struct {
    rp_foreign_t *foreign;     /* not owned */
    const rp_routes_t *routes; /* not owned */
    int64_t due;               /* the next look; INT64_MAX: nothing is owed */
    int64_t earliest;          /* no look before */
    int64_t pause;
    uint32_t left; /* envelopes that this look has not seen yet */
    uint32_t stopped;
    bool granted; /* in this look */
} rp_grants_t;

void rp_grants_init (rp_grants_t *self, rp_foreign_t *foreign, const rp_routes_t *routes);

/*  Begins a look, if it is time for one.  */
void rp_grants_look (rp_grants_t *self, int64_t now);

/*  Makes the next GRANT of this look, an event of the session that it is for; *head is its head. False: there is no more.  */
bool rp_grants_next (rp_grants_t *self, rp_event_t *event, rp_head_t *head);

/*  Ends the look. Returns when the next one is due.  */
int64_t rp_grants_due (rp_grants_t *self, int64_t now);

/*  True if there is something to look at, sooner or later.  */
static inline bool rp_grants_owed (const rp_grants_t *self)
{
    return self->foreign->envelopes.owed_count > 0;
}

#endif
