/*  Replays: one execution and one result for all requests with the same idempotency key, as long as the broker
    remembers it.

    SPDX-License-Identifier: MPL-2.0

    To the core, an execution is an ordinary request of one trusted client, which lives here. Requests with its
    key wait here, each with its own deadline, and all get its reply. An answer of a worker (OK, APP_ERROR) is
    remembered, within replay_bytes and for replay_keep. Any other end goes to those who wait and is forgotten:
    nobody has seen a result, so the next request with the key is executed anew.

    A request whose client has gone waits on, until its deadline: its client may come back and ask again. When
    nobody waits any more, the execution is withdrawn.

    When memory is short, the principal that takes the most loses its oldest result, so no principal can push
    out the results of one that takes less.

    Ownership: a payload passed in belongs here until it comes out with an action. SEND has `keep`, so the
    payload remains here.

    Source: docs/PROTOCOL.md, section 10. Time as in broker/core/dispatch.h.
    Pure: reads no clock, socket or disk. Thread-safety: none.
*/

#ifndef RP_REPLAYS_H
#define RP_REPLAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "broker/core/dispatch.h"

typedef struct rp_replays rp_replays_t;

/*  A digest of a body, by which another body with the same key is noticed.  */
#define RP_REPLAYS_DIGEST 16u

typedef struct {
    const rp_dispatch_t *core; /* asked how far an execution is, and for rules; not owned */
    const rp_limits_t *limits; /* as of each call; not owned */
    rp_session_id_t client;    /* in the core, of the executions */
    uint64_t seed;             /* secret */
} rp_replays_options_t;

/*  NULL when out of memory.  */
rp_replays_t *rp_replays_new (const rp_replays_options_t *options);

/*  Frees it, and appends a DROP for each payload that is still inside.  */
void rp_replays_destroy (rp_replays_t **self_p, rp_actions_t *actions);

/*  A request with RP_FLAG_KEYED. digest: RP_REPLAYS_DIGEST bytes. The principal is NUL-terminated.  */
typedef struct {
    rp_session_id_t session;
    const rp_head_t *head;
    rp_payload_t *payload;
    size_t bytes; /* of headers and body */
    const char *principal;
    const rp_quota_t *quota; /* of that principal; its requests that wait here are counted apart */
    const uint8_t *digest;
} rp_replays_request_t;

void rp_replays_submit (
  rp_replays_t *self, const rp_replays_request_t *request, int64_t now, rp_actions_t *actions);

/*  A client withdraws a request that the core does not have. The execution goes on if another waits. False if
    there is no such request here.  */
bool rp_replays_cancel (rp_replays_t *self,
  rp_session_id_t session,
  uint64_t request,
  int64_t now,
  rp_actions_t *actions);

/*  The core has answered an execution: head is that of its REPLY, bytes the memory that payload takes. Only SEND
    and DROP follow, of this payload: they may be carried out before what was wanted earlier. Without a payload no
    answer is remembered.  */
void rp_replays_answered (rp_replays_t *self,
  const rp_head_t *head,
  rp_payload_t *payload,
  size_t bytes,
  int64_t now,
  rp_actions_t *actions);

/*  Other rules are in force: what they do not allow, no worker gets again. What was wanted before has to be carried
    out.  */
void rp_replays_recheck (rp_replays_t *self, rp_actions_t *actions);

/*  Does what is due, and returns when to call again at the latest (INT64_MAX: never). To be called after each
    batch of the calls above.  */
int64_t rp_replays_tick (rp_replays_t *self, int64_t now, rp_actions_t *actions);

/*  Figures: name, what it counts. The first four are as of now, the others count from the start.  */
#define RP_REPLAYS_FIGURE_MAP(X)                                                                   \
    X (results, "results that are remembered")                                                     \
    X (bytes, "what results, executions and requests that wait for them take")                     \
    X (running, "executions that have not ended")                                                  \
    X (waiting, "requests that wait for one")                                                      \
    X (executed, "executions begun")                                                               \
    X (replayed, "requests that got the result of another with their key")                         \
    X (mismatched, "requests whose key had another body")                                          \
    X (refused, "requests that were refused for another reason")                                   \
    X (failed, "executions that ended without an answer, and are not remembered")                  \
    X (evicted, "results that were forgotten before their time, to make room")

typedef struct {
#define RP_REPLAYS_FIGURE_FIELD(name, text) uint64_t name;
    RP_REPLAYS_FIGURE_MAP (RP_REPLAYS_FIGURE_FIELD)
#undef RP_REPLAYS_FIGURE_FIELD
} rp_replays_figures_t;

void rp_replays_figures (const rp_replays_t *self, rp_replays_figures_t *figures);

#endif
