/*  Overload: what the terms of a service say of requests that come faster than its workers take them.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core. How long a request will wait is estimated from how many go before it and how long it
    took of late from one start to the next while requests waited; what it takes at a worker, from what others
    took. Nothing here is asked for a service without such terms, except whether it has them, for a request that
    has to wait. docs/adr/0042.
*/

#ifndef RP_OVERLOAD_H
#define RP_OVERLOAD_H

#include "broker/core/state.h"

/*  admission=on: returns why a request of a client should not wait, since it would be late; NULL if it may.  */
const char *rp_overload_forecast (
  rp_dispatch_t *self, const rp_session_t *client, rp_service_t *service, const rp_head_t *head);

/*  admission=on: the same once it is a request's turn. True if that was too late for it, and has ended it.  */
bool rp_overload_is_too_late (rp_dispatch_t *self, rp_request_t *request);

/*  overload=drop_oldest: ends the request that has waited longest, of those with at most this priority. It
    leaves out what a worker has had, what the queue's bound does not count, and the broker's own clients.
    False if there is none, or the service has other terms.  */
bool rp_overload_drop_oldest (rp_dispatch_t *self, rp_service_t *service, unsigned priority);

/*  overload=lifo: true if a request that begins to wait goes first, since it would be late if it went last.  */
bool rp_overload_goes_first (rp_dispatch_t *self, const rp_request_t *request);

/*  A request of the queue has started.  */
void rp_overload_started (rp_service_t *service, int64_t now);

#endif
