/*  One request's way through the client's core: begin, send, end, retry. Shared by the parts of the core.

    SPDX-License-Identifier: MPL-2.0

    rp_exchange_set_state is the one that changes rp_exchange_t.state.
*/

#ifndef RP_CLIENT_EXCHANGE_H
#define RP_CLIENT_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client_core.h"
#include "common/base/check.h"

/*  64 random bits, all from the seed (splitmix64).  */
uint64_t rp_client_core_random (rp_client_core_t *core);

/*  Takes a new one, which is WAITING then. RP_FULL, RP_NO_MEMORY: it was not taken.  */
int rp_exchange_accept (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now);

/*  Which state may follow which, from row to column.  */
extern const bool rp_exchange_allowed[RP_EXCHANGE_STATE_COUNT][RP_EXCHANGE_STATE_COUNT];

/*  The one setter of the state: checks the transition and counts who is RUNNING. Lists and timers
    are the caller's.  */
static inline void rp_exchange_set_state (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_exchange_state_t state)
{
    RP_CHECK (rp_exchange_allowed[exchange->state][state]);
    if (exchange->state == RP_EXCHANGE_RUNNING)
        core->running_count--;
    if (state == RP_EXCHANGE_RUNNING)
        core->running_count++;
    exchange->state = state;
}

/*  Ends a request that is open.  */
void rp_exchange_finish (rp_client_core_t *core,
  rp_exchange_t *exchange,
  rp_status_t status,
  rp_exchange_end_t end,
  int64_t now);

/*  The session went while the broker had it: it ends, or waits again, in front of place.  */
void rp_exchange_lost (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_list_node_t *place, int64_t now);

/*  Its reply came. True if it has ended with it.  */
bool rp_exchange_replied (
  rp_client_core_t *core, rp_exchange_t *exchange, const rp_head_t *reply, int64_t now);

/*  Its timer fired.  */
void rp_exchange_timed (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now);

/*  A WAITING one, and a session with room: fills in the head and makes it RUNNING. False if it
    ended instead.  */
bool rp_exchange_send (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now);

#endif
