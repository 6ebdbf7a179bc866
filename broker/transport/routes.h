/*  Routes: how each session of the core is reached, by the routing id that libzmq knows its peer by.

    SPDX-License-Identifier: MPL-2.0

    A routing id comes with every message and is looked up by hash; a session's number (the slot in
    its id, common/base/pool.h) indexes an array. A route knows its connection while that stands;
    of peers older than ZMTP 3.0, and of REP workers, which are one session together, libzmq does
    not tell the connection.

    Cost: a lookup by routing id one hash and, nearly always, one comparison; 128 bytes per session.
    Thread-safety: none.
*/

#ifndef RP_ROUTES_H
#define RP_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/connection.h"
#include "broker/transport/reading.h"
#include "common/base/index.h"
#include "common/io/backlog.h"
#include "common/wire/ids.h"

typedef struct rp_route rp_route_t;

typedef struct {
    rp_index_t by_routing_id; /* numbers of routes */
    rp_route_t *list;
    size_t count;
    uint64_t seed;
} rp_routes_t;

/*  seed: secret, so that nobody can choose routing ids that collide.  */
void rp_routes_init (rp_routes_t *self, uint64_t seed);
void rp_routes_clear (rp_routes_t *self);

/*  A session, whose number has no route, is reached by this routing id. bundles: it reads bundles.
    False when out of memory, and nothing changed.  */
bool rp_routes_add (
  rp_routes_t *self, rp_session_id_t session, const void *routing_id, size_t size, bool bundles);

/*  The session is over. Its address can still be told until its number is used again.  */
void rp_routes_remove (rp_routes_t *self, rp_session_id_t session);

/*  The session whose routing id this is, or nobody.  */
rp_session_id_t rp_routes_find (const rp_routes_t *self, const void *routing_id, size_t size);

bool rp_routes_has (const rp_routes_t *self, rp_session_id_t session);

/*  The routing id of a session; NULL if it has no route.  */
const void *rp_routes_routing_id (const rp_routes_t *self, rp_session_id_t session, size_t *size);

/*  Whether a session reads bundles.  */
bool rp_routes_bundles (const rp_routes_t *self, rp_session_id_t session);

/*  A number that the outbox keeps for a session, 0 at first; NULL if it has no route. Valid until
    the next rp_routes_add.  */
uint32_t *rp_routes_mark (const rp_routes_t *self, rp_session_id_t session);

/*  Bytes of small messages that were sent to a session and do not count yet; otherwise as
    rp_routes_mark.  */
uint32_t *rp_routes_small (const rp_routes_t *self, rp_session_id_t session);

/*  What waits for a session; begun with the first call. NULL if it has no route, or when out of
    memory.  */
rp_backlog_t *rp_routes_backlog (
  const rp_routes_t *self, rp_session_id_t session, rp_backlog_total_t *total);

/*  What may be on its way to anybody: small messages that count together, BYE among them.  */
#define RP_ROUTES_LITTLE 4096u

/*  True if more than that waits for a session to read it.  */
bool rp_routes_is_unread (const rp_routes_t *self, rp_session_id_t session);

/*  Of the sessions that do not read (broker/transport/reading.h), the one for which most waits; 0 if
    all do. *total is what waits for all. Looks at each of them, with a system call or two.  */
rp_session_id_t rp_routes_find_stalled (const rp_routes_t *self, int64_t now, size_t *total);

/*  What its user keeps for a session that speaks another protocol; NULL at first, and if it has no
    route.  */
void rp_routes_set_foreign (const rp_routes_t *self, rp_session_id_t session, void *foreign);
void *rp_routes_foreign (const rp_routes_t *self, rp_session_id_t session);

/*  The connection that a session is on; NULL if it is not known, or closed. The address stays when
    the connection closes.  */
void rp_routes_set_connection (
  const rp_routes_t *self, rp_session_id_t session, rp_connection_t *connection);
rp_connection_t *rp_routes_connection (const rp_routes_t *self, rp_session_id_t session);

/*  The session's connection is closed; and whether it is.  */
void rp_routes_lose_connection (const rp_routes_t *self, rp_session_id_t session);
bool rp_routes_is_lost (const rp_routes_t *self, rp_session_id_t session);

/*  True if the connection that a session is on still stands, as far as this side knows.  */
bool rp_routes_stands (const rp_routes_t *self, rp_session_id_t session);

/*  Writes the address that a session came from, as rp_address_format.  */
const char *rp_routes_address (const rp_routes_t *self, rp_session_id_t session, char *buffer);

#endif
