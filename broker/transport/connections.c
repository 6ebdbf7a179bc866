/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/grow.h"
#include "common/base/table.h"

/*  libzmq's own routing ids have 5 bytes; a peer that chose one, which the protocol forbids, may
    have up to 255, and gets memory of its own for them. The broker may put a few bytes before
    them.  */
#define S_SHORT_ID 8u

/*  An address in few bytes.  */
typedef struct {
    struct in6_addr ip; /* IPv4 as mapped into IPv6 */
    in_port_t port;     /* network order */
    sa_family_t family; /* AF_INET6, AF_UNIX or AF_UNSPEC */
} s_address_t;

struct rp_connection {
    rp_session_id_t session;
    uint64_t cookie; /* of the socket; 0: not known */
    union {
        uint8_t bytes[S_SHORT_ID];
        uint8_t *heap; /* when size > S_SHORT_ID */
    } routing_id;
    int descriptor;
    s_address_t address;
    void *foreign;
    rp_backlog_t *backlog;
    uint32_t note;
    uint16_t size; /* of the routing id; 0: not bound */
    bool bundles;
};

void rp_connections_init (rp_connections_t *self, uint64_t seed)
{
    *self = (rp_connections_t){.seed = seed};
    rp_index_init (&self->by_routing_id);
}

void rp_connections_clear (rp_connections_t *self)
{
    for (size_t number = 0; number < self->entry_count; number++) {
        rp_backlog_destroy (&self->entries[number].backlog);
        if (self->entries[number].size > S_SHORT_ID)
            free (self->entries[number].routing_id.heap);
    }
    free (self->entries);
    free (self->by_descriptor);
    rp_index_clear (&self->by_routing_id);
    rp_connections_init (self, self->seed);
}

static const uint8_t *s_routing_id (const rp_connection_t *entry)
{
    return entry->size > S_SHORT_ID ? entry->routing_id.heap : entry->routing_id.bytes;
}

/*  The entry of a session that is or was bound last under its number.  */
static rp_connection_t *s_entry (const rp_connections_t *self, rp_session_id_t session)
{
    uint32_t number = (uint32_t) session.v;
    if (session.v == 0 || number >= self->entry_count
        || self->entries[number].session.v != session.v)
        return NULL;
    return &self->entries[number];
}

static rp_connection_t *s_bound_entry (const rp_connections_t *self, rp_session_id_t session)
{
    rp_connection_t *entry = s_entry (self, session);
    return entry && entry->size > 0 ? entry : NULL;
}

/*  Moves the entries, which is why the index holds their numbers and not their addresses.  */
static bool s_make_room (rp_connections_t *self, uint32_t number, int descriptor)
{
    rp_connection_t *entries =
      rp_grown (self->entries, &self->entry_count, number, sizeof *entries);
    if (!entries)
        return false;
    self->entries = entries;
    if (descriptor < 0)
        return true;
    uint32_t *descriptors = rp_grown (
      self->by_descriptor, &self->descriptor_count, (size_t) descriptor, sizeof *descriptors);
    if (!descriptors)
        return false;
    self->by_descriptor = descriptors;
    return true;
}

static uint32_t s_hash (const rp_connections_t *self, const void *routing_id, size_t size)
{
    return (uint32_t) rp_hash_bytes (routing_id, size, self->seed);
}

uint64_t rp_connections_cookie (int descriptor)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt (descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

static s_address_t s_address (int descriptor)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    s_address_t address = {.family = AF_UNSPEC};
    if (getpeername (descriptor, (struct sockaddr *) &storage, &size) != 0)
        return address;
    if (storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) &storage;
        address.family = AF_INET6;
        address.port = in->sin_port;
        address.ip.s6_addr[10] = address.ip.s6_addr[11] = 0xff;
        memcpy (&address.ip.s6_addr[12], &in->sin_addr, sizeof in->sin_addr);
    }
    else if (storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) &storage;
        address.family = AF_INET6;
        address.port = in->sin6_port;
        address.ip = in->sin6_addr;
    }
    else {
        address.family = storage.ss_family;
    }
    return address;
}

static const char *s_address_text (const s_address_t *address, char *buffer)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->family == AF_UNIX) {
        snprintf (buffer, RP_CONNECTIONS_TEXT_MAX, "local");
    }
    else if (address->family != AF_INET6) {
        snprintf (buffer, RP_CONNECTIONS_TEXT_MAX, "?");
    }
    else if (IN6_IS_ADDR_V4MAPPED (&address->ip)) {
        inet_ntop (AF_INET, &address->ip.s6_addr[12], ip, sizeof ip);
        snprintf (buffer, RP_CONNECTIONS_TEXT_MAX, "%s:%u", ip, ntohs (address->port));
    }
    else {
        inet_ntop (AF_INET6, &address->ip, ip, sizeof ip);
        snprintf (buffer, RP_CONNECTIONS_TEXT_MAX, "[%s]:%u", ip, ntohs (address->port));
    }
    return buffer;
}

static bool s_set_routing_id (rp_connection_t *entry, const void *routing_id, size_t size)
{
    if (size == 0 || size > UINT16_MAX)
        return false;
    if (size > S_SHORT_ID) {
        entry->routing_id.heap = malloc (size);
        if (!entry->routing_id.heap)
            return false;
        memcpy (entry->routing_id.heap, routing_id, size);
    }
    else {
        memcpy (entry->routing_id.bytes, routing_id, size);
    }
    entry->size = (uint16_t) size;
    return true;
}

/*  A descriptor for which there is room.  */
static void s_connect (rp_connections_t *self, rp_connection_t *entry, int descriptor)
{
    entry->descriptor = descriptor;
    if (descriptor >= 0)
        self->by_descriptor[descriptor] = (uint32_t) entry->session.v + 1;
    entry->cookie = rp_connections_cookie (descriptor);
    entry->address = s_address (descriptor);
}

rp_session_id_t rp_connections_move (
  rp_connections_t *self, rp_session_id_t session, int descriptor)
{
    rp_connection_t *entry = s_bound_entry (self, session);
    if (!entry || !s_make_room (self, (uint32_t) session.v, descriptor))
        return (rp_session_id_t){0};
    entry = s_bound_entry (self, session);
    if (entry->descriptor == descriptor) { // which may be another connection's by now
        if (rp_connections_cookie (descriptor) != entry->cookie)
            s_connect (self, entry, descriptor);
        return (rp_session_id_t){0};
    }
    if (entry->descriptor >= 0
        && self->by_descriptor[entry->descriptor] == (uint32_t) session.v + 1)
        self->by_descriptor[entry->descriptor] = 0;
    rp_session_id_t displaced = rp_connections_by_descriptor (self, descriptor);
    s_connect (self, entry, descriptor);
    return displaced;
}

bool rp_connections_bind (rp_connections_t *self,
  rp_session_id_t session,
  const void *routing_id,
  size_t size,
  int descriptor,
  bool bundles,
  rp_session_id_t *displaced)
{
    uint32_t number = (uint32_t) session.v;
    *displaced = (rp_session_id_t){0};
    uint32_t hash = s_hash (self, routing_id, size);
    if (!rp_index_reserve (&self->by_routing_id, hash) || !s_make_room (self, number, descriptor))
        return false;
    rp_connection_t *entry = &self->entries[number];
    if (!s_set_routing_id (entry, routing_id, size))
        return false;
    (void) rp_index_insert (&self->by_routing_id, hash, number);
    entry->session = session;
    entry->bundles = bundles;
    entry->note = 0;
    entry->foreign = NULL;
    *displaced = rp_connections_by_descriptor (self, descriptor);
    s_connect (self, entry, descriptor);
    return true;
}

void rp_connections_unbind (rp_connections_t *self, rp_session_id_t session)
{
    rp_connection_t *entry = s_bound_entry (self, session);
    if (!entry)
        return;
    uint32_t number = (uint32_t) session.v;
    rp_index_remove (
      &self->by_routing_id, s_hash (self, s_routing_id (entry), entry->size), number);
    if (entry->descriptor >= 0 && self->by_descriptor[entry->descriptor] == number + 1)
        self->by_descriptor[entry->descriptor] = 0;
    if (entry->size > S_SHORT_ID)
        free (entry->routing_id.heap);
    rp_backlog_destroy (&entry->backlog);
    entry->size = 0;
}

rp_session_id_t rp_connections_by_routing_id (
  const rp_connections_t *self, const void *routing_id, size_t size)
{
    uint32_t hash = s_hash (self, routing_id, size);
    rp_index_cursor_t cursor;
    for (uint32_t number = rp_index_first (&self->by_routing_id, hash, &cursor);
         number != RP_INDEX_NONE; number = rp_index_next (hash, &cursor)) {
        const rp_connection_t *entry = &self->entries[number];
        if (entry->size == size && memcmp (s_routing_id (entry), routing_id, size) == 0)
            return entry->session;
    }
    return (rp_session_id_t){0};
}

rp_session_id_t rp_connections_by_descriptor (const rp_connections_t *self, int descriptor)
{
    if (descriptor < 0 || (size_t) descriptor >= self->descriptor_count
        || self->by_descriptor[descriptor] == 0)
        return (rp_session_id_t){0};
    return self->entries[self->by_descriptor[descriptor] - 1].session;
}

bool rp_connections_is_bound (const rp_connections_t *self, rp_session_id_t session)
{
    return s_bound_entry (self, session) != NULL;
}

const void *rp_connections_routing_id (
  const rp_connections_t *self, rp_session_id_t session, size_t *size)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    if (!entry)
        return NULL;
    *size = entry->size;
    return s_routing_id (entry);
}

bool rp_connections_bundles (const rp_connections_t *self, rp_session_id_t session)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    return entry && entry->bundles;
}

void rp_connections_set_foreign (
  const rp_connections_t *self, rp_session_id_t session, void *foreign)
{
    rp_connection_t *entry = s_bound_entry (self, session);
    if (entry)
        entry->foreign = foreign;
}

void *rp_connections_foreign (const rp_connections_t *self, rp_session_id_t session)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    return entry ? entry->foreign : NULL;
}

bool rp_connections_stands (const rp_connections_t *self, rp_session_id_t session)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    if (!entry || entry->descriptor < 0)
        return entry != NULL;
    // Without a cookie its connection was gone already when it was bound.
    return entry->cookie != 0 && rp_connections_cookie (entry->descriptor) == entry->cookie;
}

uint32_t *rp_connections_mark (const rp_connections_t *self, rp_session_id_t session)
{
    rp_connection_t *entry = s_bound_entry (self, session);
    return entry ? &entry->note : NULL;
}

bool rp_connections_is_unread (const rp_connections_t *self, rp_session_id_t session)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    return entry && entry->backlog && rp_backlog_bytes (entry->backlog) > 0;
}

rp_session_id_t rp_connections_most_unread (const rp_connections_t *self, size_t *total)
{
    rp_session_id_t most = {0};
    size_t largest = 0;
    *total = 0;
    for (uint32_t number = 0; number < self->entry_count; number++) {
        const rp_connection_t *entry = &self->entries[number];
        size_t bytes = entry->size && entry->backlog ? rp_backlog_bytes (entry->backlog) : 0;
        *total += bytes;
        if (bytes > largest) {
            largest = bytes;
            most = entry->session;
        }
    }
    return most;
}

rp_backlog_t *rp_connections_backlog (
  const rp_connections_t *self, rp_session_id_t session, rp_backlog_total_t *total)
{
    rp_connection_t *entry = s_bound_entry (self, session);
    if (entry && !entry->backlog)
        entry->backlog = rp_backlog_new (total);
    return entry ? entry->backlog : NULL;
}

/*  cookie: not 0. Works on a copy of the descriptor, which keeps its socket whatever libzmq does
    meanwhile. Where no descriptor is left for one, cutting matters more than the moment in which it
    may be another's.  */
static bool s_cut (int descriptor, uint64_t cookie)
{
    int copy = fcntl (descriptor, F_DUPFD_CLOEXEC, 0);
    int one = copy < 0 ? descriptor : copy;
    bool same = rp_connections_cookie (one) == cookie;
    if (same)
        shutdown (one, SHUT_RDWR);
    if (copy >= 0)
        close (copy);
    return same;
}

bool rp_connections_abort_socket (int descriptor, uint64_t cookie)
{
    return cookie != 0 && s_cut (descriptor, cookie);
}

int rp_connections_descriptor (const rp_connections_t *self, rp_session_id_t session)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    return entry ? entry->descriptor : -1;
}

void rp_connections_abort (const rp_connections_t *self, rp_session_id_t session)
{
    const rp_connection_t *entry = s_bound_entry (self, session);
    if (entry && entry->cookie != 0)
        s_cut (entry->descriptor, entry->cookie);
}

void rp_connections_abort_descriptor (int descriptor)
{
    shutdown (descriptor, SHUT_RDWR); // not of a copy, for which there may be no descriptor left
}

const char *rp_connections_address (
  const rp_connections_t *self, rp_session_id_t session, char *buffer)
{
    static const s_address_t unknown = {.family = AF_UNSPEC};
    const rp_connection_t *entry = s_entry (self, session);
    return s_address_text (entry ? &entry->address : &unknown, buffer);
}

const char *rp_connections_descriptor_address (int descriptor, char *buffer)
{
    s_address_t address = s_address (descriptor);
    return s_address_text (&address, buffer);
}
