/*  Clients of the core that are parts of the broker (jobs, replays): how one joins the core, gives it a request and
    withdraws one.

    SPDX-License-Identifier: MPL-2.0

    Sources: docs/adr/0018 and docs/adr/0021.
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

/*  Gives the core a request, and carries out what follows. The payload is the core's then.  */
void rp_server_start (rp_server_t *self,
  rp_session_id_t client,
  rp_payload_t *payload,
  const rp_head_t *head,
  int64_t now);

/*  Withdraws the client's request with this id, and carries out what follows.  */
void rp_server_withdraw (rp_server_t *self, rp_session_id_t client, uint64_t id, int64_t now);

/*  Tells the core that no rule allows the client's request with this id any more, and carries out what follows.  */
void rp_server_bar (rp_server_t *self, rp_session_id_t client, uint64_t id, int64_t now);

#endif
