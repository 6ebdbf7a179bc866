/*  The broker's core: a pure state machine of sessions, services, requests and conversations.

    SPDX-License-Identifier: MPL-2.0

    Events go in with the time, actions come out. It reads no clock, socket, disk or random source,
    never calls outward, and is never re-entered: a send that failed comes back as an event. Time is
    in microseconds on any clock that only moves forward.

    Ownership: a payload passed in with an event belongs to the core until it comes out with an
    action (SEND without keep, DROP, ADMIN, JOB, REPLAY, the other of JOIN); the shell passes back what it could
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
#include "broker/core/figures.h"
#include "broker/core/limits.h"
#include "broker/core/stats.h"
#include "broker/core/terms.h"
#include "common/access/rules.h"
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
    /*  the key of `session` is not authorized any more: end the session, abort its connection  */
    RP_EVENT_REVOKED,
    RP_EVENT_RULES, /* `rules` are in force from now on */
    /*  no rule allows the request of the trusted client `session` with head's id any more: give it to no
        worker again  */
    RP_EVENT_BAR,
    RP_EVENT_TERMS, /* `terms` of services hold from now on; what was accepted stays */
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
/*  A client that takes a reply in parts (REPLYs with RP_FLAG_MORE, then one without), or a worker that
    sends such; neither knows grants. Those of the client are the shell's. See broker/core/stream.h.  */
#define RP_TRAIT_PARTS 0x08u
/*  A client whose protocol has no word for a failure.  */
#define RP_TRAIT_WORDLESS 0x10u
/*  A client that states no deadline: the time of its requests counts only while they wait, not
    while a worker has them. It does not know a limit on open requests either, so bytes bound
    them.  */
#define RP_TRAIT_UNTIMED 0x20u
/*  A session that the shell vouches for: it needs no rule, and no quota holds for it. A client is the
    broker's own, and has no place among the clients, nor the limit client_open. One is for executions of
    requests with a key, one for the copies of requests for all workers, each of which is for one worker and
    delivered once, if at all. The other is for the attempts of jobs; it has RP_TRAIT_UNTIMED too, so that others pay
    nothing for it, but its requests have deadlines. Its REQUEST says which attempt it is (`attempt` have been
    made, of `attempts`), and is delivered once; `key` of its REPLY is the name of the worker that had it
    (NULL: none), which is valid as long as the list.  */
#define RP_TRAIT_TRUSTED 0x40u

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
    union {
        rp_token_t token;
        rp_session_id_t
          worker; /* REQUEST with ALL of a trusted client: it is for this worker only */
    };
    /*  MESSAGE without a session: the principal of its connection; valid during the call. NULL:
        "anonymous"  */
    const char *principal;
    const rp_rules_t
      *rules; /* RULES: not owned; must stand until the next RULES has been handled */
    const rp_terms_list_t *terms; /* TERMS: likewise; of them only the list is kept */
} rp_event_t;

typedef struct {
    rp_limits_t limits;
    /*  secret and fresh: ids of an earlier broker match nothing, hashes cannot be predicted  */
    uint64_t seed;
    uint64_t instance;   /* fresh, not secret: names this run of the broker */
    const char *version; /* version of the software, for WELCOME; outlives the core */
    int64_t now;         /* the rejoin grace begins now */
    /*  in force from the start; not owned, as in an event. NULL: security is off, everybody may do
        everything  */
    const rp_rules_t *rules;
    rp_terms_list_t terms; /* of services, from the start; as in an event */
    bool history;          /* append RP_ACTION_HISTORY for every event of a session or request */
    bool exports; /* append RP_ACTION_EXPORT for every request of a sampled trace that ends */
    bool
      jobs; /* pass durable requests, and CANCELs of what is not open here, on with RP_ACTION_JOB */
    bool
      replays; /* the same for requests with a key, and RP_ACTION_REPLAY; if both are on, CANCELs too */
    bool surveys; /* the same for requests for all workers, and RP_ACTION_SURVEY, before both */
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

/*  Other limits hold from the next event on, of those that a running broker can take
    (RP_BROKER_LIMIT_MAP). What was accepted stays, if it is over a limit now.  */
void rp_dispatch_set_limits (rp_dispatch_t *self, const rp_limits_t *limits);

/*  Sets the number of bytes that clients have not read yet; they count in total_queue_bytes.  */
void rp_dispatch_set_backlog (rp_dispatch_t *self, uint64_t bytes);

/*  Counts a foreign client whose connection ended with replies that it had not read.  */
void rp_dispatch_count_unread (rp_dispatch_t *self);

/*  ---- What people see ----------------------------------------------------------------------- */

const rp_stats_t *rp_dispatch_stats (const rp_dispatch_t *self);
const rp_limits_t *rp_dispatch_limits (const rp_dispatch_t *self);
bool rp_dispatch_is_draining (const rp_dispatch_t *self);

/*  Counts a CANCEL that was passed on with RP_ACTION_JOB. known: what it names was open.  */
void rp_dispatch_count_cancel (rp_dispatch_t *self, bool known);

/*  A request that was passed on with RP_ACTION_SURVEY has ended: its client has the final, and may use its id
    again.  */
void rp_dispatch_survey_over (rp_dispatch_t *self, rp_session_id_t session, uint64_t id);

/*  Returns the name of this run of the broker, as in WELCOME.  */
const char *rp_dispatch_instance (const rp_dispatch_t *self);

/*  How many deliveries of an open request were made; 0 if it is not open.  */
unsigned rp_dispatch_attempts (const rp_dispatch_t *self, rp_session_id_t session, uint64_t id);

/*  The quota of a session's principal (UINT64_MAX: no limit), valid until the next event; NULL if there is no
    such session.  */
const rp_quota_t *rp_dispatch_quota (const rp_dispatch_t *self, rp_session_id_t session);

typedef struct {
    size_t clients;
    size_t workers;
    size_t services;
    size_t conversations;
    size_t streams; /* open requests with a body in parts */
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
    /*  its own figures; NULL: it shares those of _other  */
    const rp_figures_t *figures;
    uint32_t idle;     /* workers that hold nothing and take requests */
    uint32_t busy;     /* workers that hold something; with idle, closed and draining: all */
    uint32_t closed;   /* workers that hold nothing, with a window of 0 */
    uint64_t arrivals; /* requests accepted in 1000 seconds, of late */
    uint64_t failures; /* … that failed */
    int64_t age_us;    /* since it appeared */
    rp_terms_t terms;  /* all 0: none */
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
    const char *principal;
} rp_worker_info_t;

typedef struct {
    const char *name;  /* NUL-terminated */
    uint32_t sessions; /* of clients and workers */
    uint32_t workers;
    /*  what counts against the quotas; 0 while security is off  */
    uint64_t open;
    uint64_t open_bytes;
    uint64_t denied;     /* requests and workers that no rule allowed */
    uint64_t over_quota; /* … that were over a quota */
    uint64_t weight;     /* of the turns of its clients */
} rp_principal_info_t;

/*  Finds a service by name; false if there is none. Pointers in info are valid until the next
    event.  */
bool rp_dispatch_find_service (
  const rp_dispatch_t *self, int64_t now, const char *name, size_t size, rp_service_info_t *info);

/*  A worker that takes requests.  */
typedef struct {
    rp_session_id_t session;
    const char *name; /* NUL-terminated */
} rp_taker_t;

typedef void (rp_taker_fn) (const rp_taker_t *taker, void *arg);

/*  Calls function for each worker of a service that takes requests, now or when it has room, and returns how many
    there are. function: may be NULL. Pointers are valid until the next event.  */
size_t rp_dispatch_each_taker (
  const rp_dispatch_t *self, const char *name, size_t size, rp_taker_fn *function, void *arg);

typedef void (rp_service_info_fn) (const rp_service_info_t *info, void *arg);
typedef void (rp_worker_info_fn) (const rp_worker_info_t *info, void *arg);
typedef void (rp_principal_info_fn) (const rp_principal_info_t *info, void *arg);
typedef void (rp_figures_fn) (const rp_figures_t *figures, void *arg);

/*  Calls function for each service or worker. Pointers in info are valid during the call.  */
void rp_dispatch_each_service (
  const rp_dispatch_t *self, int64_t now, rp_service_info_fn *function, void *arg);
void rp_dispatch_each_worker (
  const rp_dispatch_t *self, int64_t now, rp_worker_info_fn *function, void *arg);

/*  Calls function for the figures of each service that has its own, gone or not, and last for those of
    _other. Pointers are valid until the next event or tick.  */
void rp_dispatch_each_figures (const rp_dispatch_t *self, rp_figures_fn *function, void *arg);

/*  Calls function for each principal that has a session, or had one since the rules were last
    read.  */
void rp_dispatch_each_principal (
  const rp_dispatch_t *self, rp_principal_info_fn *function, void *arg);

/*  The same in slices, between which there may be events: of those at `most` places from *place on, which moves
    behind them; 0 at first. False at the end. What is there all the time comes once. What comes or goes meanwhile
    may come, and a service that went and came again twice: age_us tells.  */
bool rp_dispatch_some_services (const rp_dispatch_t *self,
  int64_t now,
  uint32_t *place,
  uint32_t most,
  rp_service_info_fn *function,
  void *arg);
bool rp_dispatch_some_workers (const rp_dispatch_t *self,
  int64_t now,
  uint32_t *place,
  uint32_t most,
  rp_worker_info_fn *function,
  void *arg);
bool rp_dispatch_some_figures (
  const rp_dispatch_t *self, uint32_t *place, uint32_t most, rp_figures_fn *function, void *arg);
bool rp_dispatch_some_principals (const rp_dispatch_t *self,
  uint32_t *place,
  uint32_t most,
  rp_principal_info_fn *function,
  void *arg);

/*  True if the rules in force allow this to the principal of a session, or security is off. The
    core has asked the rules for every request that it passes on, except mmi.service: its body,
    which only the shell can read, names a service, and `observe`, or `call` for that service, is
    enough. name: as in rp_rules_allow.  */
bool rp_dispatch_allows (const rp_dispatch_t *self,
  rp_session_id_t session,
  rp_rule_t rule,
  const char *name,
  size_t size);

/*  The same of a principal by its name, which may have no session any more.  */
bool rp_dispatch_allows_principal (
  const rp_dispatch_t *self, const char *principal, rp_rule_t rule, const char *name, size_t size);

#endif
