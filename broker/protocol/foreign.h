/*  Foreign sessions: turns the messages of foreign peers into native ones, and native ones into
    theirs. So the core, and everything between, sees native messages only.

    SPDX-License-Identifier: MPL-2.0

    On the way in, a foreign message gets a native head as its first frame; its body frames follow
    unchanged. On the way out, a foreign message is made from a native one.

    A client's requests for Titanic are made into native ones about jobs (broker/protocol/titanic.h), where the
    broker keeps jobs.

    A client's return envelope is kept here while its request is open; the id of the request is the
    id of the envelope. The client address that a worker sees is the core's token.

    A client of MDP 0.2 takes a reply in parts, and its protocol has no grants. So its request becomes one with
    RP_FLAG_STREAM, and the broker grants in its place (broker/transport/grants.h); counted here is what it was sent.

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
    rp_session_id_t session; /* 0: the core has not admitted it yet */
    rp_dialect_t dialect;
    bool worker;
} rp_foreign_session_t;

typedef struct {
    rp_envelopes_t envelopes;
    rp_list_t sessions;
    rp_message_pool_t *pool;   /* not owned */
    const rp_limits_t *limits; /* not owned */
    uint64_t window;           /* bytes of a reply that are granted beyond what was written */
    size_t streams_size;
    uint8_t streams[40]; /* the headers of a request whose client takes parts */
    bool titanic;        /* its services are the broker's own: it keeps jobs */
    uint64_t bad[RP_DIALECT_ERROR_COUNT];
    uint64_t joined[RP_DIALECT_COUNT];  /* sessions so far */
    uint64_t there[RP_DIALECT_COUNT];   /* sessions now */
    uint64_t workers[RP_DIALECT_COUNT]; /* of those, of workers */
} rp_foreign_t;

void rp_foreign_init (
  rp_foreign_t *self, rp_message_pool_t *pool, const rp_limits_t *limits, uint64_t seed);
void rp_foreign_clear (rp_foreign_t *self);

/*  The limits may have changed: the window follows them. A stream that is open is granted by the new one.  */
void rp_foreign_fit (rp_foreign_t *self);

/*  Begins a foreign session; NULL when out of memory.  */
rp_foreign_session_t *rp_foreign_begin (rp_foreign_t *self, rp_dialect_t dialect, bool worker);

/*  The session speaks another dialect from now on, or has the other role.  */
void rp_foreign_change (
  rp_foreign_t *self, rp_foreign_session_t *foreign_session, rp_dialect_t dialect, bool worker);

/*  Ends a foreign session and drops its envelopes. Nulls *session_p; NULL is allowed.  */
void rp_foreign_end (rp_foreign_t *self, rp_foreign_session_t **session_p);

/*  Lists the frames of a message, at most RP_FOREIGN_FRAMES_MAX. Returns their number.  */
uint32_t rp_foreign_frames (rp_message_t *message, rp_frame_t *frames);

/*  Writes the HELLO that a foreign peer does not send itself, from its first message; and the
    traits of its session.  */
void rp_foreign_hello (
  const rp_foreign_t *self, const rp_foreign_message_t *foreign, rp_head_t *head);
uint8_t rp_foreign_traits (const rp_foreign_t *self, const rp_foreign_message_t *foreign);

/*  Turns a foreign message, which has been read, into a native one. *head is as rp_wire_decode
    would give it. Keeps a client's envelope. False when out of memory: destroy the message
    then.  */
bool rp_foreign_take (rp_foreign_t *self,
  rp_foreign_session_t *foreign_session,
  const rp_foreign_message_t *foreign,
  rp_message_t *message,
  rp_head_t *head);

/*  Makes a foreign message from a native one, which is unchanged; the envelope of a final reply is
    used up. NULL: errno is 0 if the dialect has no word for the message, ENOMEM when out of
    memory.  */
rp_message_t *rp_foreign_translate (
  rp_foreign_t *self, const rp_foreign_session_t *foreign_session, rp_message_t *native);

#endif
