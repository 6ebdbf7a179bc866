/*  One request in the client's core: accepts, sends, retries and ends it. Private to the core.

    SPDX-License-Identifier: MPL-2.0

    rp_exchange_set_state is the only function that changes rp_exchange_t.state.
*/

#ifndef RP_CLIENT_EXCHANGE_H
#define RP_CLIENT_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client_core.h"
#include "common/base/check.h"

/*  64 random bits, all from the seed (splitmix64).  */
uint64_t rp_client_core_random (rp_client_core_t *core);

/*  Accepts a new request, which is then WAITING. RP_FULL, RP_NO_MEMORY: not accepted.  */
int rp_exchange_accept (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now);

/*  The allowed transitions, from row to column.  */
extern const bool rp_exchange_allowed[RP_EXCHANGE_STATE_COUNT][RP_EXCHANGE_STATE_COUNT];

/*  The only setter of the state: checks the transition, and counts the RUNNING requests. Lists and
    timers are the caller's.  */
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

/*  Ends an open request.  */
void rp_exchange_finish (rp_client_core_t *core,
  rp_exchange_t *exchange,
  rp_status_t status,
  rp_exchange_end_t end,
  int64_t now);

/*  The session was lost while the broker had the request: the request ends, or waits again before
    place.  */
void rp_exchange_lost (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_list_node_t *place, int64_t now);

/*  The reply came. True if it ended the request.  */
bool rp_exchange_replied (
  rp_client_core_t *core, rp_exchange_t *exchange, const rp_head_t *reply, int64_t now);

/*  ACCEPTED came: the request is a job of the broker's now. True if it ended the request.  */
bool rp_exchange_accepted (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now);

/*  A part of the reply, or a GRANT, came. False if it makes no sense.  */
bool rp_exchange_part (rp_exchange_t *exchange, const rp_head_t *head);
bool rp_exchange_granted (rp_exchange_t *exchange, const rp_head_t *head);

/*  The timer fired.  */
void rp_exchange_timed (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now);

/*  Fills in the head for a WAITING request, when a session has room, and makes the request RUNNING.
    False if it ended instead.  */
bool rp_exchange_send (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now);

#endif
