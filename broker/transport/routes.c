/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/routes.h"

#include <stdlib.h>
#include <string.h>

#include "broker/transport/reading.h"
#include "common/base/grow.h"
#include "common/base/table.h"
#include "common/io/socket.h"

/*  Room for a routing id without an allocation. libzmq's own have 5 bytes, and the broker may put a
    prefix before them; a peer that chose its routing id, which the protocol forbids, may have up to
    255.  */
#define S_SHORT_ID 8u

struct rp_route {
    rp_session_id_t session;
    union {
        uint8_t bytes[S_SHORT_ID];
        uint8_t *heap; /* when size > S_SHORT_ID */
    } routing_id;
    void *foreign;
    rp_backlog_t *backlog;
    rp_connection_t *connection;
    rp_address_t address;
    const char *principal;
    rp_reading_t reading;
    uint32_t mark;
    uint32_t small;
    uint16_t size; /* of the routing id; 0: the session is over */
    bool bundles;
    bool lost;    /* its connection is closed */
    bool exceeds; /* its backlog exceeds its limit */
};

void rp_routes_init (rp_routes_t *self, uint64_t seed)
{
    *self = (rp_routes_t){.seed = seed};
    rp_index_init (&self->by_routing_id);
}

void rp_routes_clear (rp_routes_t *self)
{
    for (size_t number = 0; number < self->count; number++) {
        rp_backlog_destroy (&self->list[number].backlog);
        if (self->list[number].size > S_SHORT_ID)
            free (self->list[number].routing_id.heap);
    }
    free (self->list);
    rp_index_clear (&self->by_routing_id);
    rp_routes_init (self, self->seed);
}

static const uint8_t *s_routing_id (const rp_route_t *route)
{
    return route->size > S_SHORT_ID ? route->routing_id.heap : route->routing_id.bytes;
}

/*  Returns the route of a session; if that is over, the last route with the session's number.  */
static rp_route_t *s_last_route (const rp_routes_t *self, rp_session_id_t session)
{
    uint32_t number = (uint32_t) session.v;
    if (session.v == 0 || number >= self->count || self->list[number].session.v != session.v)
        return NULL;
    return &self->list[number];
}

static rp_route_t *s_route (const rp_routes_t *self, rp_session_id_t session)
{
    rp_route_t *route = s_last_route (self, session);
    return route && route->size > 0 ? route : NULL;
}

static uint32_t s_hash (const rp_routes_t *self, const void *routing_id, size_t size)
{
    return (uint32_t) rp_hash_bytes (routing_id, size, self->seed);
}

static bool s_set_routing_id (rp_route_t *route, const void *routing_id, size_t size)
{
    if (size == 0 || size > UINT16_MAX)
        return false;
    if (size > S_SHORT_ID) {
        route->routing_id.heap = malloc (size);
        if (!route->routing_id.heap)
            return false;
        memcpy (route->routing_id.heap, routing_id, size);
    }
    else {
        memcpy (route->routing_id.bytes, routing_id, size);
    }
    route->size = (uint16_t) size;
    return true;
}

/*  The index holds numbers, not addresses, because the list moves when it grows.  */
bool rp_routes_add (
  rp_routes_t *self, rp_session_id_t session, const void *routing_id, size_t size, bool bundles)
{
    uint32_t number = (uint32_t) session.v;
    uint32_t hash = s_hash (self, routing_id, size);
    if (!rp_index_reserve (&self->by_routing_id, hash))
        return false;
    rp_route_t *list = rp_grown (self->list, &self->count, number, sizeof *list);
    if (!list)
        return false;
    self->list = list;
    rp_route_t *route = &list[number];
    if (!s_set_routing_id (route, routing_id, size))
        return false;
    (void) rp_index_insert (&self->by_routing_id, hash, number);
    route->session = session;
    route->bundles = bundles;
    route->mark = 0;
    route->small = 0;
    route->foreign = NULL;
    route->connection = NULL;
    route->address = (rp_address_t){0};
    route->principal = NULL;
    route->reading = (rp_reading_t){0};
    route->exceeds = false;
    route->lost = false;
    return true;
}

void rp_routes_remove (rp_routes_t *self, rp_session_id_t session)
{
    rp_route_t *route = s_route (self, session);
    if (!route)
        return;
    rp_index_remove (
      &self->by_routing_id, s_hash (self, s_routing_id (route), route->size), (uint32_t) session.v);
    if (route->size > S_SHORT_ID)
        free (route->routing_id.heap);
    rp_backlog_destroy (&route->backlog);
    route->size = 0;
}

rp_session_id_t rp_routes_find (const rp_routes_t *self, const void *routing_id, size_t size)
{
    uint32_t hash = s_hash (self, routing_id, size);
    rp_index_cursor_t cursor;
    for (uint32_t number = rp_index_first (&self->by_routing_id, hash, &cursor);
         number != RP_INDEX_NONE; number = rp_index_next (hash, &cursor)) {
        const rp_route_t *route = &self->list[number];
        if (route->size == size && memcmp (s_routing_id (route), routing_id, size) == 0)
            return route->session;
    }
    return (rp_session_id_t){0};
}

bool rp_routes_has (const rp_routes_t *self, rp_session_id_t session)
{
    return s_route (self, session) != NULL;
}

const void *rp_routes_routing_id (const rp_routes_t *self, rp_session_id_t session, size_t *size)
{
    const rp_route_t *route = s_route (self, session);
    if (!route)
        return NULL;
    *size = route->size;
    return s_routing_id (route);
}

bool rp_routes_bundles (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    return route && route->bundles;
}

uint32_t *rp_routes_mark (const rp_routes_t *self, rp_session_id_t session)
{
    rp_route_t *route = s_route (self, session);
    return route ? &route->mark : NULL;
}

uint32_t *rp_routes_small (const rp_routes_t *self, rp_session_id_t session)
{
    rp_route_t *route = s_route (self, session);
    return route ? &route->small : NULL;
}

rp_backlog_t *rp_routes_backlog (
  const rp_routes_t *self, rp_session_id_t session, rp_backlog_total_t *total)
{
    rp_route_t *route = s_route (self, session);
    if (route && !route->backlog)
        route->backlog = rp_backlog_new (total);
    return route ? route->backlog : NULL;
}

size_t rp_routes_unread (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    return route && route->backlog ? rp_backlog_bytes (route->backlog) : 0;
}

bool rp_routes_is_unread (const rp_routes_t *self, rp_session_id_t session)
{
    return rp_routes_unread (self, session) > RP_ROUTES_LITTLE;
}

void rp_routes_exceeds (const rp_routes_t *self, rp_session_id_t session)
{
    rp_route_t *route = s_route (self, session);
    if (route)
        route->exceeds = true;
}

static bool s_is_stalled (rp_route_t *route, size_t waits, int64_t now)
{
    rp_traffic_t traffic;
    bool seen = route->connection && rp_connection_stands (route->connection)
                && rp_socket_traffic (route->connection->descriptor, &traffic);
    return rp_reading_is_stalled (&route->reading, waits, seen ? &traffic : NULL, now);
}

rp_session_id_t rp_routes_find_stalled (
  const rp_routes_t *self, bool all, size_t limit, int64_t now, rp_routes_waits_t *waits)
{
    rp_session_id_t found = {0};
    size_t largest = 0;
    *waits = (rp_routes_waits_t){0};
    for (size_t number = 0; number < self->count; number++) {
        rp_route_t *route = &self->list[number];
        size_t bytes = route->size && route->backlog ? rp_backlog_bytes (route->backlog) : 0;
        waits->total += bytes;
        route->exceeds &= bytes > limit;
        waits->exceeds |= route->exceeds;
        if (bytes > 0 && (all || route->exceeds) && s_is_stalled (route, bytes, now)
            && bytes > largest) {
            largest = bytes;
            found = route->session;
        }
    }
    return found;
}

void rp_routes_set_foreign (const rp_routes_t *self, rp_session_id_t session, void *foreign)
{
    rp_route_t *route = s_route (self, session);
    if (route)
        route->foreign = foreign;
}

void *rp_routes_foreign (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    return route ? route->foreign : NULL;
}

void rp_routes_set_connection (
  const rp_routes_t *self, rp_session_id_t session, rp_connection_t *connection)
{
    rp_route_t *route = s_route (self, session);
    if (!route)
        return;
    route->connection = connection;
    route->address = connection->address;
    route->principal = connection->principal;
    route->lost = false;
}

rp_connection_t *rp_routes_connection (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    return route ? route->connection : NULL;
}

const char *rp_routes_principal (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    return route ? route->principal : NULL;
}

void rp_routes_lose_connection (const rp_routes_t *self, rp_session_id_t session)
{
    rp_route_t *route = s_route (self, session);
    if (!route)
        return;
    route->connection = NULL;
    route->lost = true;
}

bool rp_routes_is_lost (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    return route && route->lost;
}

bool rp_routes_stands (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_route (self, session);
    if (!route || route->lost)
        return false;
    return !route->connection || rp_connection_stands (route->connection);
}

rp_address_t rp_routes_whence (const rp_routes_t *self, rp_session_id_t session)
{
    const rp_route_t *route = s_last_route (self, session);
    return route ? route->address : (rp_address_t){.family = AF_UNSPEC};
}

const char *rp_routes_address (const rp_routes_t *self, rp_session_id_t session, char *buffer)
{
    rp_address_t address = rp_routes_whence (self, session);
    return rp_address_format (&address, buffer);
}
