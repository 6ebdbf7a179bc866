/*  Conversations: requests of one client that go, one at a time and in order, to one worker.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 6.3. Internal to the core.

    The core does not remember conversations that ended. A request that names an unknown
    conversation, and may not open one, draws CONVERSATION_LOST; this covers a lost worker, the idle
    limit and a restart of the broker.
*/

#ifndef RP_CONVERSATION_H
#define RP_CONVERSATION_H

#include "broker/core/state.h"

rp_dispatch_conversation_t *rp_conversation_find (
  const rp_dispatch_t *self, const rp_session_t *client, uint64_t key);

/*  Begins a conversation. NULL at the limit or when out of memory.  */
rp_dispatch_conversation_t *rp_conversation_begin (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, uint64_t key);

/*  Sends a request of the conversation to the worker, or puts it in line.  */
void rp_conversation_add (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_request_t *request);

/*  The current request has ended: sends the next one in line.  */
void rp_conversation_advance (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation);

/*  Binds the conversation to a worker; unbinds it again, while no worker has answered it.  */
void rp_conversation_bind (
  rp_dispatch_t *self, rp_dispatch_conversation_t *conversation, rp_session_t *worker);
void rp_conversation_unbind (rp_dispatch_t *self, rp_dispatch_conversation_t *conversation);

/*  Ends the conversation. Requests that wait end with status; the worker, if it lives, gets
    END.  */
void rp_conversation_end (rp_dispatch_t *self,
  rp_dispatch_conversation_t *conversation,
  rp_status_t status,
  const char *text);

#endif
