/*  Foreign peers: sessions of other protocols, and their messages as native ones and back.

    SPDX-License-Identifier: MPL-2.0

    A foreign message becomes a native one as it comes in: a head in a frame of its own, and behind
    it the body frames as they are. What is for a foreign peer is made from a native one as it goes
    out. So the core, and all that lies between, know native messages only.

    A client's return envelope stays here while its request is open; the request's id is the
    envelope's. A worker's client address is the core's token.

    Source: docs/INTEROP.md; broker/protocol/dialect.h.
    Thread-safety: none.
*/

#ifndef RP_FOREIGN_H
#define RP_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/limits.h"
#include "broker/protocol/dialect.h"
#include "broker/protocol/envelopes.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/io/message.h"
#include "common/wire/limits.h"

typedef struct {
    rp_list_node_t node;
    rp_list_t envelopes;
    rp_dialect_t dialect;
    bool worker;
} rp_foreign_session_t;

typedef struct {
    rp_envelopes_t envelopes;
    rp_list_t sessions;
    rp_message_pool_t *pool;   /* not owned */
    const rp_limits_t *limits; /* not owned; the foreign_* of them */
    uint64_t bad[RP_DIALECT_ERROR_COUNT];
    uint64_t joined[RP_DIALECT_COUNT]; /* sessions ever */
    uint64_t there[RP_DIALECT_COUNT];  /* sessions now */
} rp_foreign_t;

void rp_foreign_init (
  rp_foreign_t *self, rp_message_pool_t *pool, const rp_limits_t *limits, uint64_t seed);
void rp_foreign_clear (rp_foreign_t *self);

/*  A new session; NULL when out of memory.  */
rp_foreign_session_t *rp_foreign_begin (rp_foreign_t *self, rp_dialect_t dialect, bool worker);

/*  It speaks another dialect from now on, or on the other side.  */
void rp_foreign_change (
  rp_foreign_t *self, rp_foreign_session_t *foreign_session, rp_dialect_t dialect, bool worker);

/*  Its end: its envelopes go too. Nulls *session_p; NULL is allowed.  */
void rp_foreign_end (rp_foreign_t *self, rp_foreign_session_t **session_p);

/*  The frames of a message, at most RP_FOREIGN_FRAMES_MAX. Returns how many.  */
uint32_t rp_foreign_frames (rp_message_t *message, rp_frame_t *frames);

/*  The HELLO that a foreign peer never said, for its first message.  */
void rp_foreign_hello (
  const rp_foreign_t *self, const rp_foreign_message_t *foreign, rp_head_t *head);
uint8_t rp_foreign_traits (const rp_foreign_t *self, const rp_foreign_message_t *foreign);

/*  Makes a foreign message, which was read, a native one. *head is its head, as rp_wire_decode
    would give it. A client's envelope is kept. False when out of memory; the message is then to be
    destroyed.  */
bool rp_foreign_take (rp_foreign_t *self,
  rp_foreign_session_t *foreign_session,
  const rp_foreign_message_t *foreign,
  rp_message_t *message,
  rp_head_t *head);

/*  Makes from a native message what is said to a foreign peer instead; the native one stays as it
    is, but for the envelope of a final reply, which is used up. NULL: errno is 0 if the dialect has
    no word for it, ENOMEM when out of memory.  */
rp_message_t *rp_foreign_translate (
  rp_foreign_t *self, const rp_foreign_session_t *foreign_session, rp_message_t *native);

#endif
