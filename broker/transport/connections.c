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

struct rp_peers_entry {
    rp_peer_id_t peer;
    uint64_t cookie; /* of the socket; 0: not known */
    union {
        uint8_t bytes[S_SHORT_ID];
        uint8_t *heap; /* when size > S_SHORT_ID */
    } routing_id;
    int descriptor;
    s_address_t address;
    void *guest;
    rp_backlog_t *backlog;
    uint32_t note;
    uint16_t size; /* of the routing id; 0: not bound */
    bool bundles;
};

void rp_peers_init (rp_peers_t *self, uint64_t seed)
{
    *self = (rp_peers_t){.seed = seed};
    rp_index_init (&self->by_routing_id);
}

void rp_peers_clear (rp_peers_t *self)
{
    for (size_t number = 0; number < self->entry_count; number++) {
        rp_backlog_destroy (&self->entries[number].backlog);
        if (self->entries[number].size > S_SHORT_ID)
            free (self->entries[number].routing_id.heap);
    }
    free (self->entries);
    free (self->by_descriptor);
    rp_index_clear (&self->by_routing_id);
    rp_peers_init (self, self->seed);
}

static const uint8_t *s_routing_id (const rp_peers_entry_t *entry)
{
    return entry->size > S_SHORT_ID ? entry->routing_id.heap : entry->routing_id.bytes;
}

/*  The entry of a session that is or was bound last under its number.  */
static rp_peers_entry_t *s_entry (const rp_peers_t *self, rp_peer_id_t peer)
{
    uint32_t number = (uint32_t) peer.v;
    if (peer.v == 0 || number >= self->entry_count || self->entries[number].peer.v != peer.v)
        return NULL;
    return &self->entries[number];
}

static rp_peers_entry_t *s_bound_entry (const rp_peers_t *self, rp_peer_id_t peer)
{
    rp_peers_entry_t *entry = s_entry (self, peer);
    return entry && entry->size > 0 ? entry : NULL;
}

/*  Moves the entries, which is why the index holds their numbers and not their addresses.  */
static bool s_make_room (rp_peers_t *self, uint32_t number, int descriptor)
{
    rp_peers_entry_t *entries =
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

static uint32_t s_hash (const rp_peers_t *self, const void *routing_id, size_t size)
{
    return (uint32_t) rp_hash_bytes (routing_id, size, self->seed);
}

uint64_t rp_peers_cookie (int descriptor)
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
        snprintf (buffer, RP_PEERS_TEXT_MAX, "local");
    }
    else if (address->family != AF_INET6) {
        snprintf (buffer, RP_PEERS_TEXT_MAX, "?");
    }
    else if (IN6_IS_ADDR_V4MAPPED (&address->ip)) {
        inet_ntop (AF_INET, &address->ip.s6_addr[12], ip, sizeof ip);
        snprintf (buffer, RP_PEERS_TEXT_MAX, "%s:%u", ip, ntohs (address->port));
    }
    else {
        inet_ntop (AF_INET6, &address->ip, ip, sizeof ip);
        snprintf (buffer, RP_PEERS_TEXT_MAX, "[%s]:%u", ip, ntohs (address->port));
    }
    return buffer;
}

static bool s_set_routing_id (rp_peers_entry_t *entry, const void *routing_id, size_t size)
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
static void s_connect (rp_peers_t *self, rp_peers_entry_t *entry, int descriptor)
{
    entry->descriptor = descriptor;
    if (descriptor >= 0)
        self->by_descriptor[descriptor] = (uint32_t) entry->peer.v + 1;
    entry->cookie = rp_peers_cookie (descriptor);
    entry->address = s_address (descriptor);
}

rp_peer_id_t rp_peers_move (rp_peers_t *self, rp_peer_id_t peer, int descriptor)
{
    rp_peers_entry_t *entry = s_bound_entry (self, peer);
    if (!entry || !s_make_room (self, (uint32_t) peer.v, descriptor))
        return (rp_peer_id_t){0};
    entry = s_bound_entry (self, peer);
    if (entry->descriptor == descriptor) { // which may be another connection's by now
        if (rp_peers_cookie (descriptor) != entry->cookie)
            s_connect (self, entry, descriptor);
        return (rp_peer_id_t){0};
    }
    if (entry->descriptor >= 0 && self->by_descriptor[entry->descriptor] == (uint32_t) peer.v + 1)
        self->by_descriptor[entry->descriptor] = 0;
    rp_peer_id_t displaced = rp_peers_by_descriptor (self, descriptor);
    s_connect (self, entry, descriptor);
    return displaced;
}

bool rp_peers_bind (rp_peers_t *self,
  rp_peer_id_t peer,
  const void *routing_id,
  size_t size,
  int descriptor,
  bool bundles,
  rp_peer_id_t *displaced)
{
    uint32_t number = (uint32_t) peer.v;
    *displaced = (rp_peer_id_t){0};
    uint32_t hash = s_hash (self, routing_id, size);
    if (!rp_index_reserve (&self->by_routing_id, hash) || !s_make_room (self, number, descriptor))
        return false;
    rp_peers_entry_t *entry = &self->entries[number];
    if (!s_set_routing_id (entry, routing_id, size))
        return false;
    (void) rp_index_insert (&self->by_routing_id, hash, number);
    entry->peer = peer;
    entry->bundles = bundles;
    entry->note = 0;
    entry->guest = NULL;
    *displaced = rp_peers_by_descriptor (self, descriptor);
    s_connect (self, entry, descriptor);
    return true;
}

void rp_peers_unbind (rp_peers_t *self, rp_peer_id_t peer)
{
    rp_peers_entry_t *entry = s_bound_entry (self, peer);
    if (!entry)
        return;
    uint32_t number = (uint32_t) peer.v;
    rp_index_remove (
      &self->by_routing_id, s_hash (self, s_routing_id (entry), entry->size), number);
    if (entry->descriptor >= 0 && self->by_descriptor[entry->descriptor] == number + 1)
        self->by_descriptor[entry->descriptor] = 0;
    if (entry->size > S_SHORT_ID)
        free (entry->routing_id.heap);
    rp_backlog_destroy (&entry->backlog);
    entry->size = 0;
}

rp_peer_id_t rp_peers_by_routing_id (const rp_peers_t *self, const void *routing_id, size_t size)
{
    uint32_t hash = s_hash (self, routing_id, size);
    rp_index_cursor_t cursor;
    for (uint32_t number = rp_index_first (&self->by_routing_id, hash, &cursor);
         number != RP_INDEX_NONE; number = rp_index_next (hash, &cursor)) {
        const rp_peers_entry_t *entry = &self->entries[number];
        if (entry->size == size && memcmp (s_routing_id (entry), routing_id, size) == 0)
            return entry->peer;
    }
    return (rp_peer_id_t){0};
}

rp_peer_id_t rp_peers_by_descriptor (const rp_peers_t *self, int descriptor)
{
    if (descriptor < 0 || (size_t) descriptor >= self->descriptor_count
        || self->by_descriptor[descriptor] == 0)
        return (rp_peer_id_t){0};
    return self->entries[self->by_descriptor[descriptor] - 1].peer;
}

bool rp_peers_is_bound (const rp_peers_t *self, rp_peer_id_t peer)
{
    return s_bound_entry (self, peer) != NULL;
}

const void *rp_peers_routing_id (const rp_peers_t *self, rp_peer_id_t peer, size_t *size)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    if (!entry)
        return NULL;
    *size = entry->size;
    return s_routing_id (entry);
}

bool rp_peers_bundles (const rp_peers_t *self, rp_peer_id_t peer)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    return entry && entry->bundles;
}

void rp_peers_set_guest (const rp_peers_t *self, rp_peer_id_t peer, void *guest)
{
    rp_peers_entry_t *entry = s_bound_entry (self, peer);
    if (entry)
        entry->guest = guest;
}

void *rp_peers_guest (const rp_peers_t *self, rp_peer_id_t peer)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    return entry ? entry->guest : NULL;
}

bool rp_peers_stands (const rp_peers_t *self, rp_peer_id_t peer)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    if (!entry || entry->descriptor < 0)
        return entry != NULL;
    // Without a cookie its connection was gone already when it was bound.
    return entry->cookie != 0 && rp_peers_cookie (entry->descriptor) == entry->cookie;
}

uint32_t *rp_peers_note (const rp_peers_t *self, rp_peer_id_t peer)
{
    rp_peers_entry_t *entry = s_bound_entry (self, peer);
    return entry ? &entry->note : NULL;
}

bool rp_peers_is_unread (const rp_peers_t *self, rp_peer_id_t peer)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    return entry && entry->backlog && rp_backlog_bytes (entry->backlog) > 0;
}

rp_peer_id_t rp_peers_most_unread (const rp_peers_t *self, size_t *total)
{
    rp_peer_id_t most = {0};
    size_t largest = 0;
    *total = 0;
    for (uint32_t number = 0; number < self->entry_count; number++) {
        const rp_peers_entry_t *entry = &self->entries[number];
        size_t bytes = entry->size && entry->backlog ? rp_backlog_bytes (entry->backlog) : 0;
        *total += bytes;
        if (bytes > largest) {
            largest = bytes;
            most = entry->peer;
        }
    }
    return most;
}

rp_backlog_t *rp_peers_backlog (
  const rp_peers_t *self, rp_peer_id_t peer, rp_backlog_total_t *total)
{
    rp_peers_entry_t *entry = s_bound_entry (self, peer);
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
    bool same = rp_peers_cookie (one) == cookie;
    if (same)
        shutdown (one, SHUT_RDWR);
    if (copy >= 0)
        close (copy);
    return same;
}

bool rp_peers_cut_socket (int descriptor, uint64_t cookie)
{
    return cookie != 0 && s_cut (descriptor, cookie);
}

int rp_peers_descriptor (const rp_peers_t *self, rp_peer_id_t peer)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    return entry ? entry->descriptor : -1;
}

void rp_peers_cut (const rp_peers_t *self, rp_peer_id_t peer)
{
    const rp_peers_entry_t *entry = s_bound_entry (self, peer);
    if (entry && entry->cookie != 0)
        s_cut (entry->descriptor, entry->cookie);
}

void rp_peers_cut_descriptor (int descriptor)
{
    shutdown (descriptor, SHUT_RDWR); // not of a copy, for which there may be no descriptor left
}

const char *rp_peers_address (const rp_peers_t *self, rp_peer_id_t peer, char *buffer)
{
    static const s_address_t unknown = {.family = AF_UNSPEC};
    const rp_peers_entry_t *entry = s_entry (self, peer);
    return s_address_text (entry ? &entry->address : &unknown, buffer);
}

const char *rp_peers_descriptor_address (int descriptor, char *buffer)
{
    s_address_t address = s_address (descriptor);
    return s_address_text (&address, buffer);
}
