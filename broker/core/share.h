/*  Shares: turns by work, where the rules state weights. Deficit round robin (Shreedhar and Varghese) on
    the rings of queue.h.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core. A turn gives its client queue credit for as much work as its client's weight says,
    in units of what a request of the service takes. It starts requests while its credit pays for the next
    one, as far as is known what that takes, and then goes behind the others of its ring with what is left.
    Whose request takes more than a turn gives saves for some turns; so of clients that always have requests
    waiting, each gets work in proportion to its weight, however long its requests are. With requests
    that all take the same, a turn of weight N is N requests.

    Whose turn it is among the rings is as without weights (docs/adr/0040, 0041). While a turn goes on, its
    client queue has waited for no longer than the one behind it: only what others have waited raises it.

    Cost: O(1) on average, while what a request of the service takes is known about; O(client queues) if
    nobody in a ring can pay.
*/

#ifndef RP_SHARE_H
#define RP_SHARE_H

#include "broker/core/queue.h"

/*  Returns the client queue that starts the next request; the queue is not empty. age_step: ms; unit_us: what
    a request of the service takes, at least 1. It may change, but not so often that it differs from turn to turn
    of a round: that would favour those whose turns come after long requests.  */
rp_client_queue_t *rp_share_next (
  rp_queue_t *self, int64_t now, uint64_t age_step, uint32_t unit_us);

/*  The client queue that rp_share_next returned has started a request, which is not in it any more: it pays
    for that, and its turn ends, unless it can pay for the next one.  */
void rp_share_started (
  rp_queue_t *self, rp_client_queue_t *client_queue, int64_t now, uint32_t unit_us);

/*  Takes the time of another request into a mean, us, which follows it by an eighth. The first one is the mean.  */
static inline void rp_share_learn (uint32_t *mean, uint32_t work_us)
{
    uint32_t learned = *mean ? (uint32_t) ((UINT64_C (7) * *mean + work_us) / 8) : work_us;
    *mean = learned ? learned : 1;
}

#endif
