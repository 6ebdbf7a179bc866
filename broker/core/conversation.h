/*  A conversation: requests of one client that go, one at a time and in order, to one worker.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 6.3. Internal to the core.

    There is no memory of conversations that ended: a request that names one which the broker does
    not know draws CONVERSATION_LOST unless it may open it. That covers a lost worker, the idle
    limit, and a broker's restart alike.
*/

#ifndef RP_CONVERSATION_H
#define RP_CONVERSATION_H

#include "broker/core/state.h"

rp_dispatch_conversation_t *rp_conversation_find (
  const rp_dispatch_t *self, const rp_session_t *client, uint64_t key);

/*  Begins one. NULL when there are too many or memory is out.  */
rp_dispatch_conversation_t *rp_conversation_begin (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, uint64_t key);

/*  Sends a request of the conversation on its way, now or in its turn.  */
void rp_conversation_add (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_request_t *request);

/*  Its current request is over: the next one goes.  */
void rp_conversation_advance (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation);

/*  It now belongs to this worker; or to none, while it was not established.  */
void rp_conversation_bind (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_session_t *worker);
void rp_conversation_unbind (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation);

/*  Ends it: requests that wait end with status; the worker, if it lives, is told.  */
void rp_conversation_end (rp_dispatch_t *self,
  rp_dispatch_conversation_t *conversation,
  rp_status_t status,
  const char *text);

#endif
