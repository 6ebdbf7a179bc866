/*  Clients of the core that are parts of the broker (jobs, replays, surveys): how one joins the core, gives it a request,
    and carries out what it wants of its requests.

    SPDX-License-Identifier: MPL-2.0

    Sources: docs/adr/0018, docs/adr/0021 and docs/adr/0050.
*/

#ifndef RP_SERVER_CLIENT_H
#define RP_SERVER_CLIENT_H

#include "broker/server_state.h"

/*  Joins the core as a trusted client, to which the core sends no signs of life. traits: others that it has
    (RP_TRAIT_…). The server's actions have to be empty. A session of 0 says that it failed.  */
rp_session_id_t rp_server_join_core (
  rp_server_t *self, const char *name, unsigned traits, int64_t now);

/*  Returns the head for the payload of a START: as it was sent or made, with the action's id and deadline. The payload
    was decoded before.  */
rp_head_t rp_server_head_to_start (const rp_action_t *action);

/*  Gives the core a request, and carries out what follows. worker: the only one that may have it; 0: any. The payload is
    the core's then.  */
void rp_server_start (rp_server_t *self,
  rp_session_id_t client,
  rp_session_id_t worker,
  rp_payload_t *payload,
  const rp_head_t *head,
  int64_t now);

/*  Carries out what each such client may want, and what follows: WITHDRAW and BAR (no rule allows it any more) of its
    request, SEND and DROP. Others are of the core only, and nothing here.  */
void rp_server_client_carry_out (
  rp_server_t *self, rp_session_id_t client, const rp_action_t *action, int64_t now);

#endif
