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
    /*  `session` (0: a sender without one) sent a well-formed head, and a payload with `size` bytes
        of body; oversized: the body is over max_body and the payload not whole  */
    RP_EVENT_MESSAGE,
    RP_EVENT_BAD, /* a message of `session` (or 0) was malformed: error; or too_many_frames */
    /*  a SEND failed; token and payload if it was a REQUEST; reply and status if it was the last
        REPLY to a request. full: the session's backlog is full, otherwise its peer is gone  */
    RP_EVENT_UNSENT,
    RP_EVENT_SUSPECT, /* the connection of `session` may be broken: find out */
    /*  a request of `session` was dropped (why) before the core saw it, and its client cannot be
        told: count and log it  */
    RP_EVENT_DROPPED,
    RP_EVENT_DRAIN, /* take nothing new, finish what runs, then STOP */
    RP_EVENT_STOP,  /* end now                                                                   */
} rp_event_kind_t;

/*  Traits: how a foreign session differs from a session of Riposte's own protocol, which has
    none.  */

/*  It sends nothing unasked, so silence is no sign of death.  */
#define RP_TRAIT_MUTE 0x01u
/*  A worker that may be silent while it holds a request.  */
#define RP_TRAIT_BUSY_MUTE 0x02u
/*  The heartbeat interval is not known: the time in HELLO is a first guess, and the gaps between
    HEARTBEATs correct it.  */
#define RP_TRAIT_LEARN 0x04u
/*  A client that takes a reply in parts: REPLYs with RP_FLAG_MORE, then one without. For other
    clients the core joins the parts.  */
#define RP_TRAIT_PARTS 0x08u
/*  A client whose protocol has no word for a failure.  */
#define RP_TRAIT_WORDLESS 0x10u
/*  A client that states no deadline: the time of its requests counts only while they wait, not while
    a worker has them. It does not know a limit on open requests either, so bytes bound them.  */
#define RP_TRAIT_UNTIMED 0x20u

typedef struct {
    rp_event_kind_t kind;
    uint32_t attempt_limit; /* HELLO of a worker: ms that one attempt may take; 0: no limit */
    rp_session_id_t session;
    const rp_head_t *head;
    rp_payload_t *payload;
    size_t size;
    bool oversized : 1;
    bool too_many_frames : 1;
    bool full : 1;
    bool reply : 1;
    uint8_t status;
    uint8_t traits; /* HELLO: RP_TRAIT_… */
    rp_wire_error_t error;
    const char *why; /* BAD: the reason in words, if error does not give it */
    rp_token_t token;
} rp_event_t;

typedef struct {
    rp_limits_t limits;
    /*  secret and fresh: ids of an earlier broker match nothing, hashes cannot be predicted  */
    uint64_t seed;
    uint64_t instance;   /* fresh, not secret: names this run of the broker */
    const char *version; /* version of the software, for WELCOME; outlives the core */
    int64_t now;         /* the rejoin grace begins now */
    bool history;        /* append RP_ACTION_HISTORY for every event of a session or request */
} rp_dispatch_options_t;

/*  NULL when out of memory.  */
rp_dispatch_t *rp_dispatch_new (const rp_dispatch_options_t *options);

/*  Frees the core, and appends a DROP for each payload that is still inside.  */
void rp_dispatch_destroy (rp_dispatch_t **self_p, rp_actions_t *actions);

/*  Handles one event and appends the actions that follow from it.  */
void rp_dispatch_handle (
  rp_dispatch_t *self, const rp_event_t *event, int64_t now, rp_actions_t *actions);

/*  Returns where the core keeps the payload of the request in the last event; NULL if that request
    does not wait. The caller may replace the payload with an equivalent one, which is then passed
    on instead.  */
rp_payload_t **rp_dispatch_kept (rp_dispatch_t *self);

/*  Does what is due, and returns when to call again at the latest (INT64_MAX: never). Call it after
    each batch of events, and at that time.  */
int64_t rp_dispatch_tick (rp_dispatch_t *self, int64_t now, rp_actions_t *actions);

/*  Sets the number of bytes that clients have not read yet; they count in total_queue_bytes.  */
void rp_dispatch_set_backlog (rp_dispatch_t *self, uint64_t bytes);

/*  ---- What people see ----------------------------------------------------------------------- */

const rp_stats_t *rp_dispatch_stats (const rp_dispatch_t *self);
const rp_limits_t *rp_dispatch_limits (const rp_dispatch_t *self);
bool rp_dispatch_is_draining (const rp_dispatch_t *self);

/*  Returns the name of this run of the broker, as in WELCOME.  */
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
    uint32_t draining; /* how many of the workers */
    uint64_t window;   /* sum over the workers */
    uint64_t held;     /* sum over the workers */
    uint64_t waiting;
    uint64_t waiting_bytes;
    uint64_t running;
    uint64_t conversations;
    uint64_t requests; /* accepted since the service appeared */
    uint64_t ended;
    uint64_t failed;   /* ended with anything but OK and APP_ERROR */
    int64_t oldest_us; /* age of the oldest waiting request, 0 if none */
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
    int64_t oldest_us; /* age of the oldest delivery that the worker holds, 0 if none */
} rp_worker_info_t;

/*  Finds a service by name; false if there is none. Pointers in info are valid until the next
    event.  */
bool rp_dispatch_find_service (
  const rp_dispatch_t *self, int64_t now, const char *name, size_t size, rp_service_info_t *info);

typedef void (rp_service_info_fn) (const rp_service_info_t *info, void *arg);
typedef void (rp_worker_info_fn) (const rp_worker_info_t *info, void *arg);

/*  Calls function for each service or worker. Pointers in info are valid during the call.  */
void rp_dispatch_each_service (
  const rp_dispatch_t *self, int64_t now, rp_service_info_fn *function, void *arg);
void rp_dispatch_each_worker (
  const rp_dispatch_t *self, int64_t now, rp_worker_info_fn *function, void *arg);

#endif
