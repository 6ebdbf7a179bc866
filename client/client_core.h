/*  The client's core: one session with a broker of a list, and every request that is open.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, sections 5 (sessions, the client's side) and 6 (requests), and
    docs/CONTRACT.md (what each status says).

    Pure: it is told what happened (connected, failed, a message, time, submit, cancel) and leaves
    orders for its shell to take with rp_client_core_next_order. It knows a request as an
    rp_exchange_t, which the shell embeds in what it keeps of it, and allocates nothing for one but
    its place in the tables; so a request that was accepted can always be ended.

                     ┌───────────────── lost, attempts are left ───────────────┐
                     ▼                                                         │
        submit ──► WAITING ──send──► RUNNING ──reply, lost, silent──► ENDED    │
                     ▲                  ├──────────────────────────────────────┘
                     └──time── PAUSED ◄─┘ BUSY or DRAINING, attempts are left

    WAITING requests go in order, as soon as there is a session with room. Each request ends exactly
    once, by its deadline plus RP_DEADLINE_GRACE_MS.

    Time is in microseconds. Thread-safety: none.
*/

#ifndef RP_CLIENT_CORE_H
#define RP_CLIENT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>

#include "client/deadlines.h"
#include "client/slots.h"
#include "common/base/list.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"
#include "common/wire/link.h"

/*  Retries that a new client may make before its first requests have earned any. Enough for a
    program that makes a few calls; too few to matter to a broker in trouble.  */
#define RP_RETRY_RESERVE 10
/*  Retries that may be saved up: what one burst of requests, lost together, may need.  */
#define RP_RETRY_CAP 1000
/*  Pause before a request is submitted again after BUSY or DRAINING, ms: first and largest.  */
#define RP_RETRY_FIRST_MS 20
#define RP_RETRY_LARGEST_MS 2000
/*  Pause after the transport took no more, µs.  */
#define RP_SEND_PAUSE_US 1000

/*  What is said of one endpoint, and of all of a list.  */
#define RP_CLIENT_REASON_MAX 384u
#define RP_CLIENT_ERROR_MAX 2048u

typedef enum {
    RP_EXCHANGE_IDLE, /* not submitted, or ended */
    RP_EXCHANGE_WAITING,
    RP_EXCHANGE_PAUSED,
    RP_EXCHANGE_RUNNING,
    RP_EXCHANGE_ENDED, /* its order ENDED has not been taken yet */
} rp_exchange_state_t;

#define RP_EXCHANGE_STATE_COUNT (RP_EXCHANGE_ENDED + 1u)

/*  What ended a request; together with the status it makes the message for people.  */
typedef enum {
    RP_END_REPLY,     /* the broker's reply has it all */
    RP_END_UNREACHED, /* NO_BROKER: no broker was reached by the deadline */
    RP_END_HELD,      /* EXPIRED: a broker was reached, but had no room for one more */
    RP_END_LOST,      /* UNKNOWN: the session was lost while the broker had it */
    RP_END_BUDGET,    /* UNKNOWN: the same, and the retry budget is spent */
    RP_END_SILENT,    /* UNKNOWN: the broker said nothing by the deadline and the grace */
    RP_END_TOO_LARGE, /* TOO_LARGE: over what the broker said it takes */
    RP_END_REFUSED,   /* DENIED, INVALID: every broker refused this client */
    RP_END_WITHDRAWN, /* CANCELLED before a worker could have it, or the client was closed */
    RP_END_CONVERSATION_OVER, /* CONVERSATION_LOST: the conversation was over before it was sent */
} rp_exchange_end_t;

typedef struct rp_exchange rp_exchange_t;

/*  A conversation. Zero it to begin with.  */
typedef struct {
    uint64_t key;          /* its name on the wire; 0: the next request draws one and begins it */
    uint64_t session;      /* the session in which key was last used */
    rp_exchange_t *opener; /* RUNNING with the flag OPEN */
    bool established;      /* a worker answered under this key */
    bool over;             /* destroyed by its owner */
} rp_client_conversation_t;

/*  One request.  */
struct rp_exchange {
    /*  The shell's, before submit.  */
    size_t size;                            /* of the body */
    rp_client_conversation_t *conversation; /* NULL: none */
    uint32_t timeout_ms;
    uint32_t wait_ms;
    uint8_t attempts;
    bool trace;

    /*  Read it when it has ended.  */
    uint64_t id; /* for the application: the first id it had on the wire */
    bool unseen; /* a broker had it, and did not say what became of it: it may have run */
    int64_t submitted;
    int64_t ended;
    rp_status_t status;
    rp_exchange_end_t end;

    /*  The core's own.  */
    rp_exchange_state_t state;
    uint8_t attempts_left;
    uint8_t retries;
    uint8_t asked; /* brokers of the list that turned it away, before anything ran */
    bool cancelled;
    uint64_t wire_id; /* of this attempt */
    uint64_t cancel;  /* a CANCEL to be sent for this id; 0: none */
    uint64_t
      conversation_key; /* the conversation's key that it was sent under or is meant for; 0: any */
    uint64_t sessions_before; /* submit; more since then: a broker was reached */
    int64_t deadline;
    rp_deadline_t timer;
    rp_list_node_t node; /* WAITING or RUNNING: in the list of its state */
    rp_list_node_t todo; /* in the list of those with an order, if next is not NULL */
};

/*  False: once it was sent it is never sent again, whatever becomes of it.  */
static inline bool rp_exchange_may_repeat (const rp_exchange_t *self)
{
    return self->attempts_left > 1;
}

typedef enum {
    RP_CLIENT_OPEN,  /* open a connection to order.endpoint */
    RP_CLIENT_CLOSE, /* close it; orderly: what was sent may still go */
    RP_CLIENT_SAY,   /* send order.head; the name in HELLO is the shell's to add */
    RP_CLIENT_SEND,  /* send order.exchange with order.head; service, headers and body are the
                        shell's to add. If it cannot: rp_client_core_unsent */
    RP_CLIENT_ENDED, /* order.exchange has ended and is the shell's again */
} rp_client_order_kind_t;

typedef struct {
    rp_client_order_kind_t kind;
    bool orderly;
    const char *endpoint;
    rp_exchange_t *exchange;
    rp_head_t head;
} rp_client_order_t;

/*  Change it until the first submit or start.  */
typedef struct {
    const char *const *endpoints; /* outlive the core */
    size_t endpoint_count;
    uint32_t timeout_ms; /* of a request that says nothing else; 0: any */
    uint32_t heartbeat_ms;
    uint32_t max_open;
    uint32_t retry_percent; /* retries earned per 100 requests */
} rp_client_config_t;

typedef struct {
    rp_client_config_t config;
    rp_link_t link;
    rp_slots_t slots;
    rp_deadlines_t timers; /* of every request that is open; may be early for RUNNING ones */
    rp_list_t waiting;
    rp_list_t running;
    rp_list_t todo;
    uint32_t open_count;
    uint32_t running_count;
    unsigned orders; /* those about the session, S_ORDER_… */
    bool started;
    bool closed;
    bool draining; /* the broker does, or turned a request away, and there is another: nothing new
                             goes to it */
    rp_status_t refusal;  /* in RP_LINK_REFUSED */
    uint32_t broker_open; /* requests that the broker lets this client have open; 0: not said */
    uint64_t max_body;    /* 0: not said */
    uint64_t sessions;    /* how many there have been */
    uint64_t last_key;
    uint64_t random;
    int64_t budget;          /* hundredths of a retry */
    int64_t blocked_until;   /* nothing is sent before */
    int64_t next;            /* no tick has anything to do before */
    uint64_t late;           /* replies that nobody waits for */
    uint64_t ignored;        /* messages that made no sense where they came */
    uint64_t error_sessions; /* sessions when error was begun */
    int64_t absence; /* how long this process had stood still when the last session ended, µs */
    char
      error[RP_CLIENT_ERROR_MAX]; /* of each endpoint that failed: why the last attempt did, or the
                                        session ended; those of before the last session are left out */
} rp_client_core_t;

/*  seed is of the jitter.  */
void rp_client_core_init (rp_client_core_t *self, const rp_client_config_t *config, uint64_t seed);

/*  Frees the tables. No request may be open.  */
void rp_client_core_clear (rp_client_core_t *self);

/*  Begins to connect; submit does it too.  */
void rp_client_core_start (rp_client_core_t *self, int64_t now);

/*  The name of the endpoint was looked up.  */
void rp_client_core_found (rp_client_core_t *self, const rp_addresses_t *found, int64_t now);

/*  The connection stands; could not be made or broke, or the name does not resolve. reason is a
    clause for people.  */
void rp_client_core_connected (rp_client_core_t *self, int64_t now);
void rp_client_core_failed (rp_client_core_t *self, const char *reason, int64_t now);

/*  A message came. Returns the request that ended with it, whose reply it is (RP_END_REPLY), and
    whose order ENDED follows; otherwise NULL.  */
rp_exchange_t *rp_client_core_message (rp_client_core_t *self, const rp_head_t *head, int64_t now);

/*  What time brings. Returns when to be called again. Costs a comparison before that.  */
int64_t rp_client_core_tick (rp_client_core_t *self, int64_t now);

/*  Takes a request. RP_OK: it is the core's until its order ENDED was taken. RP_FULL, RP_NO_MEMORY,
    RP_CLOSED: it is the shell's, untouched.  */
int rp_client_core_submit (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now);

/*  The order SEND could not be carried out now (the transport is full, no memory).  */
void rp_client_core_unsent (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now);

/*  Asks for an open request to be withdrawn: it ends at once if the broker does not have it. False
    if nothing open has this id.  */
bool rp_client_core_cancel (rp_client_core_t *self, uint64_t id, int64_t now);

/*  Ends an open request now with RP_CANCELLED; the broker is told, its answer is not awaited.  */
void rp_client_core_abandon (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now);

/*  The conversation's owner destroys it. True: the shell sends *head. The talk itself must stay
    until the last request in it has ended.  */
bool rp_client_core_end_conversation (
  rp_client_core_t *self, rp_client_conversation_t *conversation, rp_head_t *head, int64_t now);

/*  Ends everything: BYE, and RP_CANCELLED for what is open. Nothing can be submitted any more.  */
void rp_client_core_close (rp_client_core_t *self, int64_t now);

/*  False if there is certainly no order: what costs least to ask.  */
static inline bool rp_client_core_may_order (const rp_client_core_t *self)
{
    return self->orders || self->draining || !rp_list_is_empty (&self->todo)
           || !rp_list_is_empty (&self->waiting);
}

/*  Takes the next order; false if there is none. To be called after any of the above.  */
bool rp_client_core_next_order (rp_client_core_t *self, rp_client_order_t *order, int64_t now);

#endif
