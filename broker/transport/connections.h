/*  Who is where: sessions of the core on one side, routing ids and descriptors of libzmq on the
    other.

    SPDX-License-Identifier: MPL-2.0

    A routing id comes with every message and is looked up by hash; a session's number (the slot in
    its id, common/base/pool.h) indexes an array, and so does a descriptor. A descriptor is reused
    as soon as libzmq has closed it, so a session is cut only if the kernel's cookie says that the
    socket behind its descriptor is still the same.

    Cost: a lookup by routing id one hash and, nearly always, one comparison; 80 bytes per session.
    Thread-safety: none.
*/

#ifndef RP_CONNECTIONS_H
#define RP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/index.h"
#include "common/io/backlog.h"
#include "common/wire/ids.h"

/*  Large enough for any address as text, port included.  */
#define RP_CONNECTIONS_TEXT_MAX 64u

typedef struct rp_connection rp_connection_t;

typedef struct {
    rp_index_t by_routing_id; /* numbers of entries */
    rp_connection_t *entries;
    uint32_t *by_descriptor; /* number of the entry, plus 1; 0: none */
    size_t entry_count;
    size_t descriptor_count;
    uint64_t seed;
} rp_connections_t;

/*  seed: secret, so that nobody can choose routing ids that collide.  */
void rp_connections_init (rp_connections_t *self, uint64_t seed);
void rp_connections_clear (rp_connections_t *self);

/*  Binds a session, whose number is not bound, to where it is. descriptor: of its connection, or
    -1. bundles: it reads bundles. *displaced is a session that was on the same descriptor, whose
    connection must therefore be gone, or nobody. False when out of memory, and nothing changed.  */
bool rp_connections_bind (rp_connections_t *self,
  rp_session_id_t session,
  const void *routing_id,
  size_t size,
  int descriptor,
  bool bundles,
  rp_session_id_t *displaced);

/*  The session is over. Its address can still be told until its number is used again.  */
void rp_connections_unbind (rp_connections_t *self, rp_session_id_t session);

/*  Whose routing id, or nobody.  */
rp_session_id_t rp_connections_by_routing_id (
  const rp_connections_t *self, const void *routing_id, size_t size);

/*  Who was last bound on this descriptor, or nobody.  */
rp_session_id_t rp_connections_by_descriptor (const rp_connections_t *self, int descriptor);

bool rp_connections_is_bound (const rp_connections_t *self, rp_session_id_t session);

/*  The routing id of a session; NULL if it is not bound.  */
const void *rp_connections_routing_id (
  const rp_connections_t *self, rp_session_id_t session, size_t *size);

/*  Whether a session reads bundles.  */
bool rp_connections_bundles (const rp_connections_t *self, rp_session_id_t session);

/*  A number that its user keeps for a bound session, 0 at first; NULL if it is not bound. Valid
    until the next bind.  */
uint32_t *rp_connections_mark (const rp_connections_t *self, rp_session_id_t session);

/*  What waits for a bound session; begun with the first call. NULL if it is not bound, or when out
    of memory.  */
rp_backlog_t *rp_connections_backlog (
  const rp_connections_t *self, rp_session_id_t session, rp_backlog_total_t *total);

/*  True if something of what counts waits for a session to read it.  */
bool rp_connections_is_unread (const rp_connections_t *self, rp_session_id_t session);

/*  The session for which most waits, and what waits for all; 0 if nothing does. Looks at each of
    them.  */
rp_session_id_t rp_connections_most_unread (const rp_connections_t *self, size_t *total);

/*  What its user keeps for a bound session that speaks another protocol; NULL at first, and if it
    is not bound.  */
void rp_connections_set_foreign (
  const rp_connections_t *self, rp_session_id_t session, void *foreign);
void *rp_connections_foreign (const rp_connections_t *self, rp_session_id_t session);

/*  A bound session is on another connection now: a peer that chose its routing id came back.
    Returns who was displaced, as rp_connections_bind, or nobody.  */
rp_session_id_t rp_connections_move (
  rp_connections_t *self, rp_session_id_t session, int descriptor);

/*  True if the connection that a session is on still stands, as far as this side knows.  */
bool rp_connections_stands (const rp_connections_t *self, rp_session_id_t session);

/*  Breaks a session's connection, if it still has it.  */
void rp_connections_abort (const rp_connections_t *self, rp_session_id_t session);

/*  Writes the address that the session came from, "127.0.0.1:40312"; "local" for ipc, "?" if it is
    not known. Returns buffer, of RP_CONNECTIONS_TEXT_MAX bytes.  */
const char *rp_connections_address (
  const rp_connections_t *self, rp_session_id_t session, char *buffer);

/*  The same for whoever is connected on a descriptor.  */
const char *rp_connections_descriptor_address (int descriptor, char *buffer);

/*  Breaks the connection on a descriptor, whoever has it.  */
void rp_connections_abort_descriptor (int descriptor);

/*  The descriptor of a session's connection, or -1.  */
int rp_connections_descriptor (const rp_connections_t *self, rp_session_id_t session);

/*  The kernel's cookie of the socket behind a descriptor, 0 if there is none; and breaks a
    connection if the socket is still the one with this cookie. False if it is not.  */
uint64_t rp_connections_cookie (int descriptor);
bool rp_connections_abort_socket (int descriptor, uint64_t cookie);

#endif
