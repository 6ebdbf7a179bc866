/*  Drives the broker's core and checks, after every event, what must hold at any moment.

    SPDX-License-Identifier: MPL-2.0

    The auditor keeps a model of its own, made only of the core's events and actions: which peer has
    a session, which requests are open, which worker holds which delivery, where each payload is. So
    it finds faults that the core itself cannot see. Trace tests and the fuzzer use it.

    The checks are in audit_check.c, audit_actions.c, audit_turns.c, audit_shares.c, audit_terms.c and
    audit_access.c.
*/

#ifndef AUDIT_H
#define AUDIT_H

#include "broker/core/dispatch.h"
#include "common/base/list.h"
#include "common/wire/limits.h"

/*  A message: its head as bytes, as the shell would hold it. Owned by the core or by the auditor,
    never by both.  */
struct rp_payload {
    rp_list_node_t node;
    bool inside;                   /* the core owns it */
    struct audit_request *request; /* of whose body or kept reply it is */
    rp_token_t answers;            /* a reply: the delivery that it answers */
    size_t body;                   /* bytes after the head */
    size_t size;
    uint8_t bytes[]; /* the encoded head */
};

typedef struct {
    rp_list_node_t node;
    rp_session_id_t id;
    bool worker;
    bool draining;
    bool over;    /* BYE was sent to it, or a send to it failed: it must get nothing more */
    bool closing; /* a send to it failed: nothing it is owed is sent any more */
    uint8_t traits;
    uint32_t attempt_limit;
    int64_t agreed;   /* interval, us */
    int64_t patience; /* with its silence, now */
    int64_t heard;
    uint32_t window;
    uint32_t held;
    uint32_t work_us; /* as in its latest CREDIT */
    bool declines;    /* its HELLO says that it may give back a request at any time */
    bool streams;     /* its HELLO says that it knows bodies in parts */
    bool unproven;    /* it has answered no request since it came, or since it gave one back */
    bool barred;      /* a worker that lost its serve rule */
    char service[RP_WIRE_NAME_MAX + 1];
    char name[RP_PEER_NAME_MAX + 1];
    char principal[RP_PRINCIPAL_MAX + 1];
} audit_peer_t;

/*  A body in parts.  */
typedef struct {
    uint64_t granted; /* by its reader, as costs */
    uint64_t passed;
    uint64_t count;
    bool over;
} audit_flow_t;

/*  An open request: sent by a client, without a final status so far.  */
typedef struct audit_request {
    rp_list_node_t node;
    audit_peer_t *client;
    uint64_t id;
    uint64_t key;      /* its conversation */
    uint64_t sequence; /* order of arrival */
    uint64_t queued;   /* number of turns when it began to wait */
    int64_t queued_at; /* when that was */
    int64_t accepted;  /* when it came */
    unsigned priority;
    uint64_t loser;   /* the worker that lost it most recently */
    int64_t deadline; /* of an untimed request: later by the time for which workers had it */
    bool untimed;     /* RP_TRAIT_UNTIMED */
    size_t size;      /* body and headers */
    unsigned attempts;
    bool kept; /* the core has a copy of the latest delivery */
    unsigned starts;
    struct audit_delivery *delivery; /* the present delivery; of two, the later one */
    struct audit_delivery *other;    /* the earlier one of a hedged request */
    bool hedge;                      /* it asks for a hedge */
    int64_t hedge_after;             /* the time that it states, us; 0: a percentile */
    bool ending;                     /* one of its deliveries was cancelled, so it ends */
    rp_payload_t *parts;             /* kept by the core */
    size_t parts_size;               /* size of the parts that came with this delivery */
    bool streamed;                   /* its client has seen a part, or a GRANT */
    bool stream;                     /* RP_FLAG_STREAM */
    bool more;                       /* RP_FLAG_MORE */
    uint64_t window;                 /* granted from the start */
    int64_t idle;                    /* how long its streams may be silent, us; 0: for ever */
    int64_t moved;                   /* when something of them was passed on last */
    audit_flow_t reply;
    audit_flow_t body;
    uint64_t told; /* what its client knows of body.granted */
    struct audit_conversation *conversation;
    char service[RP_WIRE_NAME_MAX + 1];
} audit_request_t;

/*  A request in a worker's hands, until that worker replies or is gone.  */
typedef struct audit_delivery {
    rp_list_node_t node;
    rp_token_t token;
    audit_peer_t *worker;
    audit_request_t *request; /* NULL once its client has got a final status */
    struct audit_conversation *conversation;
    rp_payload_t *message;
    size_t size;    /* the request's */
    bool cancelled; /* the worker was told of it */
    bool begun;     /* a part of its reply came, or a GRANT */
    uint64_t told;  /* what its worker knows of reply.granted */
    uint64_t parts; /* PARTs that its worker got */
    bool body_over; /* … the last of them, too */
    bool overdue;   /* its limit has passed: the current tick takes it from its worker */
    int64_t due;    /* when its limit passes; INT64_MAX: never */
    int64_t given;  /* when the worker got it */
} audit_delivery_t;

/*  A conversation of which a worker was told.  */
typedef struct audit_conversation {
    rp_list_node_t node;
    uint64_t number;
    rp_session_id_t client;
    uint64_t key;
    rp_session_id_t worker;
    bool established;
    bool over;
    uint64_t latest; /* sequence of the request that started last */
    unsigned running;
} audit_conversation_t;

/*  When requests of a principal were accepted, since the rules last changed.  */
#define AUDIT_TIMES 32u
typedef struct {
    rp_list_node_t node;
    char name[RP_PRINCIPAL_MAX + 1];
    int64_t times[AUDIT_TIMES]; /* a ring */
    unsigned count;
} audit_rate_t;

/*  When a service has given out requests.  */
#define AUDIT_STARTS 64u
typedef struct {
    rp_list_node_t node;
    char service[RP_WIRE_NAME_MAX + 1];
    int64_t starts[AUDIT_STARTS]; /* a ring */
    unsigned count;
} audit_pace_t;

/*  What requests of a service have earned, by which they may be hedged.  */
typedef struct {
    rp_list_node_t node;
    char service[RP_WIRE_NAME_MAX + 1];
    uint64_t earned; /* hundredths of a hedge */
} audit_earned_t;

/*  A client that has asked a service, with one priority.  */
typedef struct {
    rp_list_node_t node;
    rp_session_id_t client;
    unsigned priority;
    char service[RP_WIRE_NAME_MAX + 1];
    uint64_t turn;     /* the latest turn with a request outside conversations */
    uint64_t latest;   /* the latest turn of all */
    int64_t latest_at; /* when that was */
    int64_t began;     /* it waits for its turn since then, or since later */
    bool returned;     /* the latest turn delivered nothing, so the next is no second turn */
    uint64_t shares;   /* it has waited without a pause since this turn, while weights held */
} audit_served_t;

/*  The latest turns, and what each was worth, us by weight.  */
#define AUDIT_TURNS 1024u
typedef struct {
    const audit_served_t *served;
    double worth;
} audit_turn_t;

/*  Bugs that a core could have, between it and the auditor, which must find them.
    name, what it does  */
#define AUDIT_BUG_MAP(X)                                                                           \
    X (INVERT_PRIORITY, "invert-priority")       /* the highest comes last */                      \
    X (IGNORE_PRIORITY, "ignore-priority")       /* all have the same */                           \
    X (NEVER_AGE, "never-age")                   /* who waits does not rise */                     \
    X (AGE_AT_ONCE, "age-at-once")               /* who waits rises at once */                     \
    X (IGNORE_CONCURRENCY, "ignore-concurrency") /* the terms say nothing of it */                 \
    X (IGNORE_RATE, "ignore-rate")               /* likewise */                                    \
    X (IGNORE_WEIGHT, "ignore-weight")           /* all have the same */                           \
    X (IGNORE_NAME, "ignore-name")               /* … that only names of clients give */         \
    X (DROP_UNASKED, "drop-unasked")             /* drops the oldest, though no terms say so */    \
    X (EXPIRE_UNASKED, "expire-unasked")         /* asks for admission, though no terms say so */  \
    X (IGNORE_GRANT, "ignore-grant")             /* a client's is not passed on */                 \
    X (PASS_UNGRANTED, "pass-ungranted")         /* parts go out beyond what is granted */         \
    X (PART_BEHIND_END, "part-behind-end")       /* … behind the end of the body */              \
    X (PART_ASTRAY, "part-astray")               /* … to another stream */                       \
    X (REDELIVER_BEGUN, "redeliver-begun")       /* though its client has seen a part */           \
    X (NEVER_SILENT, "never-silent")             /* a stream may be silent */                      \
    X (KEEP_LOSER, "keep-loser")                 /* a hedge's loser is not cancelled */            \
    X (HEDGE_EARLY, "hedge-early")               /* before the time that was asked for */          \
    X (HEDGE_ALWAYS, "hedge-always")             /* whatever share is allowed */

typedef enum {
    AUDIT_BUG_NONE,
#define AUDIT_BUG_ENUM(name, text) AUDIT_BUG_##name,
    AUDIT_BUG_MAP (AUDIT_BUG_ENUM)
#undef AUDIT_BUG_ENUM
      AUDIT_BUG_COUNT
} audit_bug_t;

typedef struct audit audit_t;
typedef void (audit_fail_fn) (const char *text);
typedef void (audit_observe_fn) (const rp_action_t *action, rp_payload_t *message, void *arg);
typedef void (audit_before_fn) (const rp_event_t *event, void *arg);

struct audit {
    rp_dispatch_t *core;
    rp_actions_t actions;
    audit_fail_fn *fail;
    audit_observe_fn *observe; /* sees each action, before it is carried out; may be NULL */
    audit_before_fn *before;   /* sees each event, before the core does; may be NULL */
    void *arg;
    int64_t now;
    int64_t ticked; /* when the latest tick was */
    int64_t next;   /* when the core wants the next tick */

    rp_list_t peers;
    rp_list_t requests;
    rp_list_t deliveries;
    rp_list_t conversations;
    rp_list_t inside; /* payloads that the core owns */
    rp_list_t served;
    rp_list_t rates;
    rp_rules_t *rules;     /* the rules in force; NULL: security is off */
    const char *principal; /* of the connection of the next HELLO; may be NULL */
    uint64_t turns;
    uint64_t sequence;
    rp_stats_t counted; /* the counters before the event */
    int64_t age_step;
    rp_terms_list_t terms; /* of one service, or none */
    rp_terms_t bent;       /* what the core has of them, if it has a bug */
    int64_t terms_since;
    rp_list_t paces;
    rp_list_t earned;
    uint64_t hedge_share;
    audit_bug_t bug;
    bool loose;   /* there were weights, or terms with lifo: the order is not by turns alone */
    bool weighed; /* the rules in force state weights */
    uint32_t units[64];            /* of weights, by the slot of a service */
    audit_turn_t log[AUDIT_TURNS]; /* a ring, by turn */
    bool stopped;

    /*  about the current event  */
    const rp_event_t *event;
    audit_peer_t *sender;
    audit_request_t *arriving; /* the request that the event brought, until it is answered */
    audit_request_t *answered; /* the request whose delivery the event's REPLY ends */
    audit_request_t *part; /* the request of whose reply it is a part, until the part is placed */
    bool joined;           /* the event's payload was joined to another */
    bool passes;           /* … is a part that is to be passed on */
    bool dropped;
};

/*  Takes *rules_p, which may be NULL.  */
void audit_init (
  audit_t *self, const rp_limits_t *limits, rp_rules_t **rules_p, int64_t now, audit_fail_fn *fail);

/*  The core has this bug from now on. To be called before the first request.  */
void audit_set_bug (audit_t *self, audit_bug_t bug);

/*  Destroys the core and checks that it gives everything back.  */
void audit_clear (audit_t *self);

/*  Events. `sender` 0 is a peer without a session. REQUEST and REPLY have a body of size bytes;
    other commands have one if size > 0.  */
void audit_message (
  audit_t *self, rp_session_id_t sender, const rp_head_t *head, size_t size, bool oversized);
void audit_bad (audit_t *self, rp_session_id_t sender, rp_wire_error_t error, bool too_many_frames);
/*  HELLO of a session of a foreign protocol.  */
void audit_foreign (audit_t *self, const rp_head_t *hello, uint8_t traits, uint32_t attempt_limit);
void audit_suspect (audit_t *self, rp_session_id_t peer);
/*  Puts other rules in force; takes *rules_p, which may be NULL.  */
void audit_change_rules (audit_t *self, rp_rules_t **rules_p);
/*  Other terms of services hold from now on; the list must stand.  */
void audit_change_terms (audit_t *self, rp_terms_list_t terms);
/*  Revokes the key of a session.  */
void audit_revoke (audit_t *self, rp_session_id_t peer);
void audit_drain (audit_t *self);
void audit_stop (audit_t *self);

/*  A send to this peer failed: this delivery's, if one is given, otherwise another message's.  */
void audit_unsent (audit_t *self, rp_session_id_t peer, audit_delivery_t *delivery, bool full);

/*  The reply to a request could not be sent to a client that does not read.  */
void audit_unsent_reply (audit_t *self, rp_session_id_t client, rp_status_t status);

/*  The shell dropped a request of this client.  */
void audit_dropped (audit_t *self, rp_session_id_t client, const char *why);

/*  Lets time pass up to `now`, with a tick whenever the core wants one; or one tick, if late.  */
void audit_pass (audit_t *self, int64_t now);
void audit_tick (audit_t *self, int64_t now);

audit_peer_t *audit_find_peer (const audit_t *self, rp_session_id_t id);
audit_delivery_t *audit_find_delivery (const audit_t *self, rp_token_t token);
audit_request_t *audit_find_request (const audit_t *self, const audit_peer_t *client, uint64_t id);

/*  Reports a fault (formatted) and does not return, or does what fail does.  */
void audit_fail (audit_t *self, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
#define AUDIT_REQUIRE(self, condition, ...)                                                        \
    do {                                                                                           \
        if (!(condition))                                                                          \
            audit_fail ((self), __VA_ARGS__);                                                      \
    } while (0)

/*  Parts of the auditor: the effects of actions on the model, and the checks between events.  */
void audit_take_actions (audit_t *self);
void audit_check (audit_t *self);
void audit_check_tick (audit_t *self);

/*  Turns of clients: a request comes, one begins; one delivered nothing; a client is gone (0: all are).  */
void audit_turn_awaited (audit_t *self, const audit_request_t *request);
void audit_turn_taken (audit_t *self, const audit_request_t *request);
void audit_turn_lost (audit_t *self, audit_request_t *request);
void audit_turns_forget (audit_t *self, rp_session_id_t client);
bool audit_turn_is_of (const audit_served_t *served, const audit_request_t *request);
audit_served_t *audit_turn_find (const audit_t *self, const audit_request_t *request);
void audit_check_client_queues (audit_t *self);

/*  Weights: other rules are in force; a turn begins; the check between events; what a bug does to the core.  */
void audit_shares_change (audit_t *self);
void audit_share_taken (audit_t *self, const audit_request_t *request, audit_served_t *served);
void audit_check_shares (audit_t *self);
void audit_shares_bend (const audit_t *self);

/*  Terms of services: a request is given out; whether the terms may keep one back; the end.  */
void audit_terms_start (audit_t *self, const char *service);
bool audit_terms_hold (const audit_t *self, const char *service);
/*  … whether they let a request that came end with this status.  */
void audit_terms_answer (audit_t *self, const audit_request_t *request, int status);
void audit_terms_clear (audit_t *self);

/*  Makes the core forget of its streams what it would need to have no bug.  */
void audit_bugs_spoil (audit_t *self);
/*  Changes an action of the core, as the bug does.  */
void audit_bugs_bend (audit_t *self, rp_action_t *action);

/*  Bodies in parts: a request comes; a message of a peer comes; whether a part of a reply may be passed on; a
    request is given out; the effects of actions.  */
void audit_stream_begin (audit_t *self, audit_request_t *request, const rp_head_t *head);
void audit_stream_hear (
  audit_t *self, const audit_peer_t *peer, const rp_head_t *head, size_t size, bool oversized);
bool audit_stream_passes (
  const audit_request_t *request, const audit_peer_t *worker, const rp_head_t *head, size_t size);
void audit_stream_start (
  audit_t *self, audit_delivery_t *delivery, audit_request_t *request, const rp_head_t *head);
void audit_stream_reply (
  audit_t *self, const rp_action_t *action, audit_request_t *request, const rp_head_t *head);
void audit_stream_body (audit_t *self, const rp_action_t *action, const rp_head_t *head);
void audit_stream_grant (audit_t *self, const rp_action_t *action, const rp_head_t *head);
bool audit_stream_is_silent (const audit_t *self, const audit_request_t *request);
void audit_check_streams (audit_t *self);

/*  Hedges: a request comes, a worker joins its service; a second delivery is made; the end.  */
void audit_hedge_earn (audit_t *self, const audit_request_t *request);
void audit_hedge_join (audit_t *self, const audit_peer_t *worker);
void audit_hedge_start (audit_t *self, const audit_request_t *request, const audit_peer_t *worker);
void audit_hedge_clear (audit_t *self);

/*  Access: the effects of an action or event, and the checks between events.  */
void audit_access_admit (audit_t *self, const audit_peer_t *peer);
void audit_access_accept (audit_t *self, const audit_request_t *request);
void audit_access_deliver (
  audit_t *self, const audit_request_t *request, const audit_peer_t *worker);
void audit_access_answer (audit_t *self, const audit_request_t *request, const rp_head_t *head);
void audit_access_bye (audit_t *self, const audit_peer_t *peer, const rp_head_t *head);
void audit_access_change (audit_t *self);
void audit_check_access (audit_t *self);
void audit_access_clear (audit_t *self);

rp_payload_t *audit_payload_new (audit_t *self, const void *bytes, size_t size);
void audit_payload_enter (audit_t *self, rp_payload_t *payload);
void audit_payload_leave (audit_t *self, rp_payload_t *payload);
void audit_delivery_close (audit_t *self, audit_delivery_t *delivery);
/*  Returns the latest time at which the request ends, as things are; INT64_MAX while its time does
    not count.  */
int64_t audit_request_deadline (const audit_request_t *request);
/*  The same, and another worker has precedence for its request.  */
void audit_delivery_lose (audit_t *self, audit_delivery_t *delivery);
void audit_request_close (audit_t *self, audit_request_t *request);

#endif
