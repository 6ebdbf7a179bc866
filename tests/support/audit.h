/*  Drives the broker's core and checks, after every event, what must hold at any moment.

    SPDX-License-Identifier: MPL-2.0

    The auditor keeps a model of its own, made of nothing but what went in and what came out: who
    has a session, which requests are open, who holds which delivery, where each payload is. So it
    finds what the core itself does not know to be wrong. Trace tests and the fuzzer stand on it.

    What is checked is listed in audit_check.c, audit_actions.c and audit_turns.c, next to the code
    that does it.
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
    struct audit_request *request; /* whose body, or kept part of a reply, it is */
    rp_token_t answers;            /* a reply: to which delivery */
    size_t body;                   /* bytes that come behind the head */
    size_t size;
    uint8_t bytes[]; /* the encoded head */
};

typedef struct {
    rp_list_node_t node;
    rp_session_id_t id;
    bool worker;
    bool draining;
    bool over;    /* BYE was sent to it, or a send to it failed: it gets nothing any more */
    bool closing; /* a send to it failed: what it is owed is not told any more */
    uint8_t traits;
    uint32_t attempt_limit;
    int64_t agreed;   /* interval, us */
    int64_t patience; /* with its silence, now */
    int64_t heard;
    uint32_t window;
    uint32_t held;
    uint32_t work_us; /* as its latest CREDIT says */
    bool declines;    /* its HELLO says that it may give back at any time */
    bool unproven;    /* it has answered nothing since it came, or since it gave something back */
    char service[RP_WIRE_NAME_MAX + 1];
    char name[RP_PEER_NAME_MAX + 1];
} audit_peer_t;

/*  An open request: sent by a client, without a final status so far.  */
typedef struct audit_request {
    rp_list_node_t node;
    audit_peer_t *client;
    uint64_t id;
    uint64_t key;      /* of its conversation */
    uint64_t sequence; /* order of arrival */
    uint64_t queued;   /* turns there had been when it began to wait */
    uint64_t loser;    /* the worker that lost it last */
    int64_t deadline;  /* of an untimed one: later by the time for which workers had it */
    bool untimed;      /* RP_TRAIT_UNTIMED */
    size_t size;       /* of body and headers */
    unsigned attempts;
    bool kept; /* the core has a copy of what was delivered last */
    unsigned starts;
    struct audit_delivery *delivery; /* the one under way */
    rp_payload_t *parts;             /* kept by the core */
    size_t parts_size;               /* of those that came with this delivery */
    bool streamed;                   /* its client has seen a part */
    struct audit_conversation *conversation;
    char service[RP_WIRE_NAME_MAX + 1];
} audit_request_t;

/*  A request in a worker's hands, until that worker replies or is gone.  */
typedef struct audit_delivery {
    rp_list_node_t node;
    rp_token_t token;
    audit_peer_t *worker;
    audit_request_t *request; /* NULL once its client has a final status */
    struct audit_conversation *conversation;
    rp_payload_t *message;
    size_t size;    /* of the request */
    bool cancelled; /* the worker was told */
    bool begun;     /* a part of its reply came */
    bool overdue;   /* its limit has passed: the tick under way takes it from its worker */
    int64_t due;    /* when that is; INT64_MAX: never */
    int64_t given;  /* when it was given out */
} audit_delivery_t;

/*  A conversation that a worker was told of.  */
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

/*  A client that a service has served.  */
typedef struct {
    rp_list_node_t node;
    rp_session_id_t client;
    char service[RP_WIRE_NAME_MAX + 1];
    uint64_t turn;   /* the latest with a request outside conversations */
    uint64_t latest; /* the latest of all */
    bool returned;   /* it came to nothing, so the next one is no second turn */
} audit_served_t;

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
    int64_t next; /* when the core wants the next tick */

    rp_list_t peers;
    rp_list_t requests;
    rp_list_t deliveries;
    rp_list_t conversations;
    rp_list_t inside; /* payloads that the core owns */
    rp_list_t served;
    uint64_t turns;
    uint64_t sequence;
    bool stopped;

    /*  of the event being handled  */
    const rp_event_t *event;
    audit_peer_t *sender;
    audit_request_t *arriving; /* the request that the event brought, until it is answered */
    audit_request_t *answered; /* the request whose delivery the event's REPLY ends */
    audit_request_t *part; /* the request of which it is a part, until that is where it belongs */
    bool joined;           /* the event's payload is now behind another */
    bool dropped;
};

void audit_init (audit_t *self, const rp_limits_t *limits, int64_t now, audit_fail_fn *fail);

/*  Destroys the core and checks that it gives everything back.  */
void audit_clear (audit_t *self);

/*  Events. `sender` 0 is somebody without a session. A body of size bytes comes with REQUEST and
    REPLY, and with others if size > 0.  */
void audit_message (
  audit_t *self, rp_session_id_t sender, const rp_head_t *head, size_t size, bool oversized);
void audit_bad (audit_t *self, rp_session_id_t sender, rp_wire_error_t error, bool too_many_frames);
/*  HELLO of a session of another protocol.  */
void audit_foreign (audit_t *self, const rp_head_t *hello, uint8_t traits, uint32_t attempt_limit);
void audit_suspect (audit_t *self, rp_session_id_t peer);
void audit_drain (audit_t *self);
void audit_stop (audit_t *self);

/*  A send to this peer failed: of this delivery if there is one, otherwise of something else.  */
void audit_unsent (audit_t *self, rp_session_id_t peer, audit_delivery_t *delivery, bool full);

/*  The reply to a request could not be sent to a client that does not read.  */
void audit_unsent_reply (audit_t *self, rp_session_id_t client, rp_status_t status);

/*  The shell dropped a request of this client's.  */
void audit_dropped (audit_t *self, rp_session_id_t client, const char *why);

/*  Lets time pass up to `now`, with a tick whenever the core wants one; or one tick, if late.  */
void audit_pass (audit_t *self, int64_t now);
void audit_tick (audit_t *self, int64_t now);

audit_peer_t *audit_find_peer (const audit_t *self, rp_session_id_t id);
audit_delivery_t *audit_find_delivery (const audit_t *self, rp_token_t token);
audit_request_t *audit_find_request (const audit_t *self, const audit_peer_t *client, uint64_t id);

/*  Says what is wrong (formatted) and does not return, or what fail does.  */
void audit_fail (audit_t *self, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
#define AUDIT_REQUIRE(self, condition, ...)                                                        \
    do {                                                                                           \
        if (!(condition))                                                                          \
            audit_fail ((self), __VA_ARGS__);                                                      \
    } while (0)

/*  Parts of the auditor: what one action means for the model, and what holds between events.  */
void audit_take_actions (audit_t *self);
void audit_check (audit_t *self);
void audit_check_tick (audit_t *self);

/*  Turns of clients: one starts; one came to nothing; a client is gone (0: all are).  */
void audit_turn_taken (audit_t *self, const audit_request_t *request);
void audit_turn_lost (audit_t *self, audit_request_t *request);
void audit_turns_forget (audit_t *self, rp_session_id_t client);
void audit_check_client_queues (audit_t *self);

rp_payload_t *audit_payload_new (audit_t *self, const void *bytes, size_t size);
void audit_payload_enter (audit_t *self, rp_payload_t *payload);
void audit_payload_leave (audit_t *self, rp_payload_t *payload);
void audit_delivery_close (audit_t *self, audit_delivery_t *delivery);
/*  When the request ends at the latest as things are; INT64_MAX while its time stands still.  */
int64_t audit_request_deadline (const audit_request_t *request);
/*  The same, and another worker comes first for its request.  */
void audit_delivery_lose (audit_t *self, audit_delivery_t *delivery);
void audit_request_close (audit_t *self, audit_request_t *request);

#endif
