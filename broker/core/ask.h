/*  Asks: the ids of requests for all workers that are open, so that no other request of their client has one.

    SPDX-License-Identifier: MPL-2.0

    Such a request is not the core's (docs/adr/0050): it is handed over, and its copies have other clients and ids. Of it
    the core keeps this, from the hand-over until its client has the final. A client that has such ids has a trait, so
    that the requests of others are not looked up here.

    Internal to the core.
*/

#ifndef RP_ASK_H
#define RP_ASK_H

#include "broker/core/state.h"

void rp_ask_init (rp_dispatch_t *self);
void rp_ask_clear (rp_dispatch_t *self);

/*  A request for all workers is handed over. False when out of memory.  */
bool rp_ask_begin (rp_dispatch_t *self, rp_session_t *client, uint64_t id);

/*  True if the client has a request for all workers with this id open.  */
bool rp_ask_is_open (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id);

/*  It has ended for its client; all of a client's have.  */
void rp_ask_end (rp_dispatch_t *self, rp_session_t *client, uint64_t id);
void rp_ask_end_all (rp_dispatch_t *self, rp_session_t *client);

#endif
