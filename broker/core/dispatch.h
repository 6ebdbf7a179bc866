/*  The broker's core: a pure state machine of sessions, services, requests and conversations.

    SPDX-License-Identifier: MPL-2.0

    Events go in with the time, actions come out. It reads no clock, socket, disk or random source,
    never calls outward, and is never re-entered: a send that failed comes back as an event. Time is
    in microseconds on any clock that only moves forward.

    Ownership: a payload passed in with an event belongs to the core until it comes out with an
    action (SEND without keep, DROP, ADMIN, the other of JOIN); the shell passes back what it could
    not send.

    Source: docs/PROTOCOL.md, sections 5 and 6; docs/CONTRACT.md.
    Thread-safety: none; one thread owns it.
*/

#ifndef RP_DISPATCH_H
#define RP_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "broker/core/limits.h"
#include "broker/core/stats.h"
#include "common/wire/head.h"

typedef struct rp_dispatch rp_dispatch_t;

typedef enum {
    RP_EVENT_MESSAGE, /* peer (0: no session) sent a well-formed head, and payload of `size` bytes of
                         body; oversized: the body was over max_body and the payload is not whole  */
    RP_EVENT_BAD, /* peer (or nobody's) message was malformed: error; or too_many_frames        */
    RP_EVENT_UNSENT,  /* a SEND failed; token and payload if it was a REQUEST. full: its backlog is
                         full, otherwise it is gone                                                */
    RP_EVENT_SUSPECT, /* peer's connection may be broken: find out                                 */
    RP_EVENT_DROPPED, /* peer's request was dropped (why) before the core could see it, and its client
                         cannot be told: count it and log it */
    RP_EVENT_DRAIN, /* take nothing new, finish what runs, then STOP                             */
    RP_EVENT_STOP,  /* end now                                                                   */
} rp_event_kind_t;

/*  What a session of another protocol cannot do, or does otherwise. 0 for those of Riposte's
    own.  */
#define RP_TRAIT_MUTE 0x01u      /* says nothing unasked: its silence is no sign of its death */
#define RP_TRAIT_BUSY_MUTE 0x02u /* a worker that may be silent while it holds a request */
#define RP_TRAIT_LEARN                                                                             \
    0x04u /* its heartbeat interval is not known: the time in HELLO is a first
                                    guess, and the gaps between its HEARTBEATs tell */
#define RP_TRAIT_PARTS                                                                             \
    0x08u /* a client that takes a reply in parts: REPLYs with RP_FLAG_MORE, then
                                    one without. For others parts are joined. */
#define RP_TRAIT_WORDLESS 0x10u /* a client that cannot be told of a failure */
#define RP_TRAIT_UNTIMED                                                                           \
    0x20u /* a client that states no deadline: the time of its requests counts while they wait,
                                    and not while a worker has them; nor is it told how many it
                                    may have open, so bytes bound that and not counts */

typedef struct {
    rp_event_kind_t kind;
    uint32_t attempt_limit; /* HELLO of a worker: ms that one attempt may take; 0: any time */
    rp_session_id_t session;
    const rp_head_t *head;
    rp_payload_t *payload;
    size_t size;
    bool oversized;
    bool too_many_frames;
    bool full;
    uint8_t traits; /* HELLO: RP_TRAIT_… */
    rp_wire_error_t error;
    const char *why; /* BAD: in words, where error says less */
    rp_token_t token;
} rp_event_t;

typedef struct {
    rp_limits_t limits;
    uint64_t seed;       /* secret and fresh: ids of an earlier life find nothing, hashes cannot be
                            foretold */
    uint64_t instance;   /* fresh, and not secret: names this life of the broker */
    const char *version; /* of the software, for WELCOME; outlives the core */
    int64_t now;         /* start of the rejoin grace */
    bool history; /* append RP_ACTION_HISTORY for whatever happens to sessions and requests */
} rp_dispatch_options_t;

/*  NULL when out of memory.  */
rp_dispatch_t *rp_dispatch_new (const rp_dispatch_options_t *options);

/*  Frees everything but the payloads still inside, which it appends to actions as DROP.  */
void rp_dispatch_destroy (rp_dispatch_t **self_p, rp_actions_t *actions);

/*  Takes an event; appends what is to be done.  */
void rp_dispatch_handle (
  rp_dispatch_t *self, const rp_event_t *event, int64_t now, rp_actions_t *actions);

/*  Where the payload of the request that the event just handled brought is kept while it waits;
    NULL if it does not wait. Something else that means the same may be put there, and is passed on
    instead.  */
rp_payload_t **rp_dispatch_kept (rp_dispatch_t *self);

/*  Does what is due; returns when to call again at the latest (INT64_MAX: never). To be called
    after each batch of events, and when that time has come.  */
int64_t rp_dispatch_tick (rp_dispatch_t *self, int64_t now, rp_actions_t *actions);

/*  Says how many bytes wait for clients to read them; they count in total_queue_bytes.  */
void rp_dispatch_set_backlog (rp_dispatch_t *self, uint64_t bytes);

/*  ---- What people see ----------------------------------------------------------------------- */

const rp_stats_t *rp_dispatch_stats (const rp_dispatch_t *self);
const rp_limits_t *rp_dispatch_limits (const rp_dispatch_t *self);
bool rp_dispatch_is_draining (const rp_dispatch_t *self);

/*  The name of this life of the broker, as WELCOME carries it.  */
const char *rp_dispatch_instance (const rp_dispatch_t *self);

typedef struct {
    size_t clients;
    size_t workers;
    size_t services;
    size_t conversations;
} rp_dispatch_counts_t;

rp_dispatch_counts_t rp_dispatch_counts (const rp_dispatch_t *self);

typedef struct {
    const char *name; /* NUL-terminated */
    uint32_t workers;
    uint32_t draining; /* of the workers */
    uint64_t window;   /* of all workers */
    uint64_t held;     /* of all windows */
    uint64_t waiting;
    uint64_t waiting_bytes;
    uint64_t running;
    uint64_t conversations;
    uint64_t requests; /* accepted since the service appeared */
    uint64_t ended;
    uint64_t failed;   /* ended with anything but OK and APP_ERROR */
    int64_t oldest_us; /* age of the request that waits longest in the queue, 0 if none */
} rp_service_info_t;

typedef struct {
    rp_session_id_t session;
    const char *name; /* NUL-terminated */
    const char *service;
    bool draining;
    uint32_t window;
    uint32_t running;
    uint32_t abandoned;
    uint64_t conversations;
    uint64_t replies;
    int64_t age_us;
    int64_t silent_us;
    int64_t oldest_us; /* age of the delivery it has held longest, 0 if none */
} rp_worker_info_t;

/*  By name; false if there is none. What info points to is valid until the next event.  */
bool rp_dispatch_find_service (
  const rp_dispatch_t *self, int64_t now, const char *name, size_t size, rp_service_info_t *info);

typedef void (rp_service_info_fn) (const rp_service_info_t *info, void *arg);
typedef void (rp_worker_info_fn) (const rp_worker_info_t *info, void *arg);

/*  Call back for each service or worker; what info points to is valid during the call.  */
void rp_dispatch_each_service (
  const rp_dispatch_t *self, int64_t now, rp_service_info_fn *function, void *arg);
void rp_dispatch_each_worker (
  const rp_dispatch_t *self, int64_t now, rp_worker_info_fn *function, void *arg);

#endif
