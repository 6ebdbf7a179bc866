/*  Routes: how each session is reached, by the routing id that libzmq knows its peer by, and its
    connection if that is known.

    SPDX-License-Identifier: MPL-2.0

    A routing id comes with every message and is looked up by hash; a session's number (the slot in
    its id, common/base/pool.h) indexes an array. The connection is not known for peers older than
    ZMTP 3.0 and for REP workers, which are one session together: libzmq does not tell it.

    Cost: a lookup by routing id takes one hash and nearly always one comparison; 136 bytes per
    session. Thread-safety: none.
*/

#ifndef RP_ROUTES_H
#define RP_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/backlog.h"
#include "broker/transport/connection.h"
#include "broker/transport/reading.h"
#include "common/base/index.h"
#include "common/wire/ids.h"

typedef struct rp_route rp_route_t;

typedef struct {
    rp_index_t by_routing_id; /* numbers of routes */
    rp_route_t *list;
    size_t count;
    uint64_t seed;
} rp_routes_t;

/*  seed: secret, so that no peer can choose routing ids that collide.  */
void rp_routes_init (rp_routes_t *self, uint64_t seed);
void rp_routes_clear (rp_routes_t *self);

/*  Adds the route of a session whose number has none. bundles: the session reads bundles. False
    when out of memory: nothing has changed then.  */
bool rp_routes_add (
  rp_routes_t *self, rp_session_id_t session, const void *routing_id, size_t size, bool bundles);

/*  Removes the route of a session that is over. Its address is kept until its number is used
    again.  */
void rp_routes_remove (rp_routes_t *self, rp_session_id_t session);

/*  Finds the session of a routing id; 0 if there is none.  */
rp_session_id_t rp_routes_find (const rp_routes_t *self, const void *routing_id, size_t size);

bool rp_routes_has (const rp_routes_t *self, rp_session_id_t session);

/*  Returns the routing id of a session; NULL if it has no route.  */
const void *rp_routes_routing_id (const rp_routes_t *self, rp_session_id_t session, size_t *size);

/*  True if the session reads bundles.  */
bool rp_routes_bundles (const rp_routes_t *self, rp_session_id_t session);

/*  A number of the outbox's for a session, at first 0; NULL if the session has no route. Valid
    until the next rp_routes_add.  */
uint32_t *rp_routes_mark (const rp_routes_t *self, rp_session_id_t session);

/*  The bytes of small messages to a session that do not count yet; valid as rp_routes_mark.  */
uint32_t *rp_routes_small (const rp_routes_t *self, rp_session_id_t session);

/*  The backlog of a session, made by the first call. NULL if the session has no route, or when out
    of memory.  */
rp_backlog_t *rp_routes_backlog (
  const rp_routes_t *self, rp_session_id_t session, rp_backlog_total_t *total);

/*  What may be on its way to any session: small messages that count together, BYE among them.  */
#define RP_ROUTES_LITTLE 4096u

/*  Bytes that wait for a session to read them.  */
size_t rp_routes_unread (const rp_routes_t *self, rp_session_id_t session);

/*  True if they are more than RP_ROUTES_LITTLE.  */
bool rp_routes_is_unread (const rp_routes_t *self, rp_session_id_t session);

/*  Notes that the session's backlog exceeds its limit, until rp_routes_find_stalled sees that it does not any more.  */
void rp_routes_exceeds (const rp_routes_t *self, rp_session_id_t session);

typedef struct {
    size_t total; /* bytes that wait for all sessions */
    bool exceeds; /* the backlog of a session still exceeds its limit */
} rp_routes_waits_t;

/*  Finds, among the sessions that do not read (broker/transport/reading.h), the one with the largest backlog; 0 if all
    read. Looks at those that exceed their limit (bytes), or at all, which costs a system call or two for each.  */
rp_session_id_t rp_routes_find_stalled (
  const rp_routes_t *self, bool all, size_t limit, int64_t now, rp_routes_waits_t *waits);

/*  The foreign session of a session; NULL at first, and without a route.  */
void rp_routes_set_foreign (const rp_routes_t *self, rp_session_id_t session, void *foreign);
void *rp_routes_foreign (const rp_routes_t *self, rp_session_id_t session);

/*  The connection of a session; NULL if it is not known, or closed. The address is kept when the
    connection closes.  */
void rp_routes_set_connection (
  const rp_routes_t *self, rp_session_id_t session, rp_connection_t *connection);
rp_connection_t *rp_routes_connection (const rp_routes_t *self, rp_session_id_t session);

/*  The principal of the connection on which the session began; NULL: not known.  */
const char *rp_routes_principal (const rp_routes_t *self, rp_session_id_t session);

/*  The session's connection is closed; tells whether it is.  */
void rp_routes_lose_connection (const rp_routes_t *self, rp_session_id_t session);
bool rp_routes_is_lost (const rp_routes_t *self, rp_session_id_t session);

/*  True if the connection of a session still stands, as far as this machine knows.  */
bool rp_routes_stands (const rp_routes_t *self, rp_session_id_t session);

/*  Returns the address that a session came from.  */
rp_address_t rp_routes_whence (const rp_routes_t *self, rp_session_id_t session);

/*  Writes the address that a session came from, as rp_address_format does.  */
const char *rp_routes_address (const rp_routes_t *self, rp_session_id_t session, char *buffer);

#endif
