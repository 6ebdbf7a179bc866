/*  Return envelopes: the frames with which a foreign client wants its replies addressed, kept while
    its requests are open.

    SPDX-License-Identifier: MPL-2.0

    The core knows a client's request by a number that the client chose. A foreign client chooses
    none, so the id of the envelope takes its place: slot and generation, never 0, and valid in this
    process only.

    Each envelope is in the list of its session, so that they can be dropped together.

    Here is also what a client would know of a reply in parts if its protocol had grants: how much was sent to it,
    and of how much of that it is known that libzmq has written it. See broker/transport/grants.h.

    Cost: one allocation per envelope. Thread-safety: none.
*/

#ifndef RP_ENVELOPES_H
#define RP_ENVELOPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/protocol/dialect.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/wire/ids.h"

typedef struct {
    rp_pooled_t pooled;
    rp_list_node_t node; /* in its session's list */
    rp_frame_t *frames;  /* `count` frames; they, their bytes and the name are one allocation */
    uint32_t count;
    uint8_t name_size;
    const char *name;         /* the service, not NUL-terminated */
    size_t size;              /* of the allocation */
    rp_list_node_t owed_node; /* in the list `owed`; not linked: next is NULL */
    rp_session_id_t session;  /* its client, once a part was sent */
    uint64_t sent;            /* costs of the parts that were sent */
    uint64_t written;         /* of these, for what a grant was made: they have left the broker */
} rp_envelope_t;

typedef struct {
    rp_pool_t pool;
    size_t bytes;
    rp_list_t owed; /* those for which a grant is due, once what was sent is written */
    uint32_t owed_count;
    bool owed_anew; /* one was added; who looks at the list says that it has seen it */
} rp_envelopes_t;

/*  limit: number of envelopes. seed: see rp_pool_init.  */
void rp_envelopes_init (rp_envelopes_t *self, uint32_t limit, uint32_t seed);

/*  Removes all envelopes. The lists must not be used any more.  */
void rp_envelopes_clear (rp_envelopes_t *self);

/*  Appends a copy of an envelope and of the service's name to a list. Returns its id; 0 at the
    limit or when out of memory: nothing has changed then.  */
uint64_t rp_envelopes_add (rp_envelopes_t *self,
  rp_list_t *list,
  const rp_frame_t *frames,
  uint32_t count,
  const char *name,
  uint8_t name_size);

/*  Finds an envelope by id; NULL if there is none.  */
rp_envelope_t *rp_envelopes_find (const rp_envelopes_t *self, uint64_t id);

/*  Puts an envelope at the end of the list `owed`, in which it is once; takes it out.  */
void rp_envelopes_owe (rp_envelopes_t *self, rp_envelope_t *envelope);
void rp_envelopes_settle (rp_envelopes_t *self, rp_envelope_t *envelope);

/*  Removes an envelope by id; false if there is none.  */
bool rp_envelopes_remove (rp_envelopes_t *self, uint64_t id);

/*  Removes all envelopes of a list, which is empty then.  */
void rp_envelopes_drop_all (rp_envelopes_t *self, rp_list_t *list);

/*  The number of envelopes, and the bytes of their allocations.  */
static inline uint32_t rp_envelopes_count (const rp_envelopes_t *self)
{
    return self->pool.count;
}

static inline size_t rp_envelopes_bytes (const rp_envelopes_t *self)
{
    return self->bytes;
}

#endif
