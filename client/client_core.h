/*  The client's core: one session with a broker of a list, and every open request.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, sections 5 (sessions, the client's side) and 6 (requests), and
    docs/CONTRACT.md (what each status says).

    Pure: the shell reports events (connected, failed, a message, time, submit, cancel), and takes
    the core's orders with rp_client_core_next_order. A request is an rp_exchange_t, which the shell
    embeds in its own object; beside it the core allocates only places in tables, when it accepts
    the request. So every accepted request can be ended, even when memory is short.

                     ┌───────────────── lost, attempts are left ───────────────┐
                     ▼                                                         │
        submit ──► WAITING ──send──► RUNNING ──reply, lost, silent──► ENDED    │
                     ▲                  ├──────────────────────────────────────┘
                     └──time── PAUSED ◄─┘ BUSY or DRAINING, attempts are left

    WAITING requests are sent in order, as soon as a session has room. Each request ends exactly
    once, at the latest RP_DEADLINE_GRACE_MS after its deadline.

    A request with a stream gets parts before its reply, and may write some (docs/PROTOCOL.md, section 11). Once
    one has come or gone, the request is not sent again.

    A durable request ends with ACCEPTED, as others do with their REPLY. When it is lost and has a
    key, it is sent again to the same endpoint as often as its deadline allows: the key makes one job
    of all of them. Another endpoint may have another store, where the key is not known.

    Time is in microseconds.
    Thread-safety: none.
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
#include "common/wire/flow.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"
#include "common/wire/link.h"

/*  Retries that a new client has before its requests have earned any: enough for a program that
    makes a few calls, too few to trouble a broker.  */
#define RP_RETRY_RESERVE 10
/*  Retries that can be saved: as many as one burst of requests, lost together, may need.  */
#define RP_RETRY_CAP 1000
/*  First and largest pause before a request is submitted again after BUSY or DRAINING, ms.  */
#define RP_RETRY_FIRST_MS 20
#define RP_RETRY_LARGEST_MS 2000
/*  Pause when the transport takes no more messages, µs.  */
#define RP_SEND_PAUSE_US 1000

/*  Bytes of the reason for one endpoint, and of the reasons for a whole list.  */
#define RP_CLIENT_REASON_MAX 384u
#define RP_CLIENT_ERROR_MAX 2048u

typedef enum {
    RP_EXCHANGE_IDLE, /* not submitted, or ended */
    RP_EXCHANGE_WAITING,
    RP_EXCHANGE_PAUSED,
    RP_EXCHANGE_RUNNING,
    RP_EXCHANGE_ENDED, /* until the shell takes the order ENDED */
} rp_exchange_state_t;

#define RP_EXCHANGE_STATE_COUNT (RP_EXCHANGE_ENDED + 1u)

/*  The cause of a request's end; with the status, it makes the message for people.  */
typedef enum {
    RP_END_REPLY,             /* the broker's reply came */
    RP_END_UNREACHED,         /* NO_BROKER: no broker was reached by the deadline */
    RP_END_HELD,              /* EXPIRED: a broker was reached, but had no room for one more */
    RP_END_LOST,              /* UNKNOWN: the session was lost while the broker had the request */
    RP_END_BUDGET,            /* UNKNOWN: the same, and the retry budget is used up */
    RP_END_SILENT,            /* UNKNOWN: no reply came by the deadline and the grace */
    RP_END_TOO_LARGE,         /* TOO_LARGE: over the limit that the broker stated */
    RP_END_REFUSED,           /* DENIED, INVALID: a broker refused this client, or its key */
    RP_END_WITHDRAWN,         /* CANCELLED before a worker could get it, or the client was closed */
    RP_END_CONVERSATION_OVER, /* CONVERSATION_LOST: the conversation was over before it was sent */
    RP_END_NO_JOBS,           /* INVALID: durable, and the broker keeps no jobs */
    RP_END_NO_REPLAYS,        /* INVALID: with a key, and the broker remembers no results */
    RP_END_NO_STREAMS,        /* INVALID: with a stream, and the broker knows none */
    RP_END_NO_ALL,            /* INVALID: for all workers, and the broker cannot do that */
} rp_exchange_end_t;

typedef struct rp_exchange rp_exchange_t;

/*  A conversation; initialise it with zeros.  */
typedef struct {
    uint64_t key;          /* on the wire; 0: the next request draws a key and begins a
                              conversation */
    uint64_t session;      /* where key was last used */
    rp_exchange_t *opener; /* the RUNNING request with the flag OPEN */
    bool established;      /* a worker answered under this key */
    bool over;             /* destroyed by its owner */
} rp_client_conversation_t;

/*  The bodies of a request in parts.  */
typedef struct {
    /*  Set by the shell, before submit.  */
    uint64_t window; /* that the reader asks for */
    uint64_t most;   /* that it may grow to */
    bool writes;     /* more of the request's body follows */

    /*  Private to the core, but flows may be read.  */
    rp_flow_reader_t reader; /* of the reply */
    rp_flow_writer_t writer; /* of the request */
    bool passed;             /* a part came or went */
    bool written;            /* the end of the request's body went */
    bool grants;             /* GRANT is to be sent */
} rp_exchange_stream_t;

/*  One request.  */
struct rp_exchange {
    /*  Set by the shell, before submit.  */
    size_t size;                            /* of the body */
    rp_client_conversation_t *conversation; /* NULL: none */
    rp_exchange_stream_t *stream;           /* NULL: none */
    uint32_t timeout_ms;
    uint32_t wait_ms;
    uint8_t attempts;
    uint8_t priority; /* as a head states it */
    bool trace;
    bool durable; /* it asks for a job, and ends with ACCEPTED */
    bool keyed;   /* with an idempotency key: durable and sent twice, it is still one job */
    bool hedged;  /* it asks for a hedge; its header says when */
    bool all;     /* it is for all workers; parts of its reply are whole answers */

    /*  Valid once the request has ended.  */
    uint64_t id;   /* for the application: its first id on the wire */
    bool unseen;   /* a broker had the request, and its outcome is not known: it may have run */
    bool replayed; /* its reply is the result of another request with its key */
    int64_t submitted;
    int64_t ended;
    rp_status_t status;
    rp_exchange_end_t end;

    /*  Private to the core.  */
    rp_exchange_state_t state;
    uint8_t attempts_left; /* durable: 1, or 2 if keyed; its attempts are the job's */
    uint8_t retries;
    uint8_t endpoint; /* durable: of the list, where it was sent last */
    uint8_t asked;    /* brokers of the list that were busy or had no worker */
    bool cancelled;
    bool answered;             /* for all workers: an answer has come */
    uint64_t wire_id;          /* of this attempt */
    uint64_t cancel;           /* the id for a CANCEL that is to be sent; 0: none */
    uint64_t conversation_key; /* the key it was sent with or is meant for; 0: any */
    uint64_t sessions_before;  /* at submit; more sessions now mean: a broker was reached */
    int64_t deadline;
    rp_deadline_t timer;
    rp_list_node_t node; /* WAITING, RUNNING: in the list of that state */
    rp_list_node_t todo; /* in the list of requests with an order, if next is not NULL */
};

/*  False: once sent, the request is never sent again, whatever its outcome.  */
static inline bool rp_exchange_may_repeat (const rp_exchange_t *self)
{
    return self->attempts_left > 1 && !(self->stream && self->stream->passed);
}

typedef enum {
    RP_CLIENT_OPEN,  /* open a connection to order.endpoint */
    RP_CLIENT_CLOSE, /* close the connection; orderly: sent messages may still be transmitted */
    RP_CLIENT_SAY,   /* send order.head; the shell adds the name to HELLO */
    RP_CLIENT_SEND,  /* send order.exchange with order.head; the shell adds service, headers and
                        body. On failure: call rp_client_core_unsent */
    RP_CLIENT_ENDED, /* order.exchange has ended and belongs to the shell again */
} rp_client_order_kind_t;

typedef struct {
    rp_client_order_kind_t kind;
    bool orderly;
    const char *endpoint;
    rp_exchange_t *exchange;
    rp_head_t head;
} rp_client_order_t;

/*  The shell may change it until the first submit or start.  */
typedef struct {
    const char **endpoints; /* outlive the core, which shuffles them if spread is set */
    size_t endpoint_count;
    /*  endpoints, and the addresses of a name, but not those of SRV records, are tried in a random order of
        this client's  */
    bool spread;
    uint32_t timeout_ms; /* the default; the link tries every endpoint within it; 0: no limit */
    uint32_t heartbeat_ms;
    uint32_t max_open;
    uint32_t retry_percent; /* retries earned per 100 requests */
} rp_client_config_t;

typedef struct {
    rp_client_config_t config;
    rp_link_t link;
    rp_slots_t slots;
    rp_deadlines_t timers; /* of every open request; a timer of a RUNNING one may be early */
    rp_list_t waiting;
    rp_list_t running;
    rp_list_t todo;
    uint32_t open_count;
    uint32_t running_count;
    unsigned orders; /* orders about the session, S_ORDER_… */
    bool started;
    bool closed;
    /*  the broker drains or turned a request away, and the list has another: it gets nothing
        new  */
    bool draining;
    rp_status_t refusal;    /* the status, in RP_LINK_REFUSED */
    uint32_t broker_open;   /* requests that the broker allows this client to have open; 0: not
                             stated */
    uint64_t max_body;      /* 0: not stated */
    bool keeps_jobs;        /* the broker does */
    bool remembers;         /* … results by their keys */
    bool prioritises;       /* … knows priorities */
    bool streams;           /* … knows bodies in parts */
    bool hedges;            /* … makes hedges */
    bool asks_all;          /* … gives a request to all workers */
    uint64_t stream_window; /* the largest that it allows; 0: not stated */
    uint64_t sessions;      /* sessions so far */
    uint64_t denials; /* how often an attempt found that no broker accepts this client's key */
    uint64_t last_key;
    uint64_t random;
    int64_t budget;          /* hundredths of a retry */
    int64_t blocked_until;   /* no request is sent before */
    int64_t next;            /* no tick is needed before */
    uint64_t late;           /* replies to requests that had ended */
    uint64_t ignored;        /* messages that were not valid in their state */
    uint64_t error_sessions; /* value of sessions when error was begun */
    int64_t absence; /* how long this process stood still before the last session ended, µs */
    /*  for each endpoint that failed since the last session began: the last reason  */
    char error[RP_CLIENT_ERROR_MAX];
} rp_client_core_t;

/*  seed: for the jitter.  */
void rp_client_core_init (rp_client_core_t *self, const rp_client_config_t *config, uint64_t seed);

/*  Frees the tables. No request may be open.  */
void rp_client_core_clear (rp_client_core_t *self);

/*  Begins to connect; submit does it too.  */
void rp_client_core_start (rp_client_core_t *self, int64_t now);

/*  The look-up of the endpoint's name ended with these addresses.  */
void rp_client_core_found (rp_client_core_t *self, const rp_addresses_t *found, int64_t now);

/*  The connection stands; or it failed or broke, or the name does not resolve, and reason is a
    clause for people.  */
void rp_client_core_connected (rp_client_core_t *self, int64_t now);
void rp_client_core_failed (rp_client_core_t *self, const char *reason, int64_t now);

/*  The same: the broker did not accept this client's key. If no broker of the list does, the
    requests that wait end with RP_DENIED; the client goes on trying, because the key may be
    authorized at any time.  */
void rp_client_core_denied (rp_client_core_t *self, const char *reason, int64_t now);

/*  A message came. Returns the request that it ended with RP_END_REPLY, whose order ENDED follows; or that
    it brought a part (a REPLY with MORE) or a GRANT. Otherwise NULL.  */
rp_exchange_t *rp_client_core_message (rp_client_core_t *self, const rp_head_t *head, int64_t now);

/*  Does what is due. Returns when to call again; an earlier call costs one comparison.  */
int64_t rp_client_core_tick (rp_client_core_t *self, int64_t now);

/*  Accepts a request. RP_OK: the core owns it until its order ENDED is taken. RP_FULL,
    RP_NO_MEMORY, RP_CLOSED: the shell keeps it, untouched.  */
int rp_client_core_submit (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now);

/*  The order SEND could not be carried out now: the transport is full, or memory is short.  */
void rp_client_core_unsent (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now);

/*  Cancels an open request; it ends at once if the broker does not have it. False if no open
    request has this id.  */
bool rp_client_core_cancel (rp_client_core_t *self, uint64_t id, int64_t now);

/*  Ends an open request at once with RP_CANCELLED. CANCEL is sent, but its reply is not
    awaited.  */
void rp_client_core_abandon (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now);

/*  The application took a part of the reply; size: of its body and headers. GRANT may follow.  */
void rp_client_core_took (
  rp_client_core_t *self, rp_exchange_t *exchange, uint64_t size, int64_t now);

/*  More of the request's body is to go, size bytes: fills in the head of a PART, which the shell sends with
    the first bytes. Returns how many; 0: it has to wait, or the request does not run.  */
size_t rp_client_core_write (
  rp_client_core_t *self, rp_exchange_t *exchange, size_t size, rp_head_t *head, int64_t now);

/*  The same at the body's end, without bytes. False: it has to wait, or the request does not run.  */
bool rp_client_core_write_end (
  rp_client_core_t *self, rp_exchange_t *exchange, rp_head_t *head, int64_t now);

/*  The owner destroys its conversation. True: the shell sends *head. The memory of the conversation
    must stay until its last request has ended.  */
bool rp_client_core_end_conversation (
  rp_client_core_t *self, rp_client_conversation_t *conversation, rp_head_t *head, int64_t now);

/*  Ends the session with BYE, and open requests with RP_CANCELLED. No request is accepted
    afterwards.  */
void rp_client_core_close (rp_client_core_t *self, int64_t now);

/*  The cheapest check for orders. False if there is certainly none.  */
static inline bool rp_client_core_may_order (const rp_client_core_t *self)
{
    return self->orders || self->draining || !rp_list_is_empty (&self->todo)
           || !rp_list_is_empty (&self->waiting);
}

/*  Takes the next order; false if there is none. To be called after each of the functions
    above.  */
bool rp_client_core_next_order (rp_client_core_t *self, rp_client_order_t *order, int64_t now);

#endif
