/*  The worker's core: sessions with every broker of a list, the requests held, what to do next.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, sections 5 (sessions, the worker's side) and 6.3 (conversations).

    Pure: the shell calls it with what happened (connected, failed, a message, time) and takes its
    orders (open, close, send, notice) with rp_worker_core_next_order. A request is an
    rp_work_t, which the shell embeds in its task, so that the core allocates nothing per
    request.

        REQUEST ──► ready ──take──► out ──finish──►     the shell sends the REPLY
                      │                      ▲
                      └──► returned ─────────┘           ended here: cancelled, expired, refused

    An endpoint may name SRV records. Its session only looks them up, again and again: each broker that they name gets a
    session of its own, as if the list had named it. One whose record is gone is kept while it stands, since
    clients of its broker stay there as long; it is not made again.

    A session's epoch changes when the session is over. A work of an older epoch gets no reply, and
    finish says so: that alone keeps replies from a broker that did not ask.

    Time is in microseconds. Thread-safety: none, but rp_work_t.cancelled may be read from anywhere.
*/

#ifndef RP_WORKER_CORE_H
#define RP_WORKER_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/table.h"
#include "common/wire/flow.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"
#include "common/wire/link.h"
#include "common/wire/srv.h"
#include "worker/window_control.h"

#define RP_WORKER_NOTICE_MAX 320u
/*  From the BYE at the limit of drain or stop, which cancels the requests that are out, until
    handlers that have not returned are given up: long enough for a handler that checks
    rp_task_cancelled.  */
#define RP_WORKER_GRACE_US 1000000
/*  How long after SRV records were found they are looked up again, since a broker may have been added, µs: up to a
    tenth less, at random. Sooner if a session with one of their brokers has failed, but not sooner than the second.  */
#define RP_WORKER_RECORDS_US 10000000
#define RP_WORKER_RECORDS_LEAST_US 1000000
/*  Bytes of tcp://HOST:PORT.  */
#define RP_WORKER_PLACE_MAX (RP_SRV_HOST_MAX + 12u)

/*  A conversation of which this worker has had a request.  */
typedef struct {
    rp_list_node_t node; /* in its session's list, or in the core's list of ended ones */
    uint64_t wire;       /* the broker's number for it, unique within its session */
    uint64_t local;      /* ours, unique in this worker */
    uint32_t session;
    uint32_t works; /* ready or out */
    bool answered;  /* until then the broker may give it to another worker without an END */
    bool seen;      /* the application was given one of its requests */
    bool over;      /* ends with the last of its works */
} rp_worker_conversation_t;

typedef enum {
    RP_WORK_IDLE,     /* the shell's: not taken, or finished */
    RP_WORK_READY,    /* waits for a thread */
    RP_WORK_OUT,      /* in the application's hands */
    RP_WORK_RETURNED, /* ended here; waits for the shell to reply */
} rp_work_state_t;

#define RP_WORK_STATE_COUNT (RP_WORK_RETURNED + 1u)

/*  The bodies of a request in parts (docs/PROTOCOL.md, section 11).  */
typedef struct {
    bool reads;              /* the client reads the reply in parts */
    bool more;               /* the request's body is not over with the REQUEST */
    bool ended;              /* its end came */
    rp_flow_writer_t writer; /* of the reply */
    rp_flow_reader_t reader; /* of the request */
} rp_work_stream_t;

/*  One request held.  */
typedef struct {
    rp_list_node_t queue; /* READY or RETURNED: in the list of its state */
    rp_list_node_t held;  /* in its session's list, while is_held */
    rp_worker_conversation_t *conversation;
    rp_work_stream_t *stream; /* the shell's; NULL: no bodies in parts */
    const char *text;         /* RETURNED: what the reply says */
    uint64_t token;
    uint64_t hash; /* of session and token */
    uint64_t epoch;
    int64_t deadline;
    uint32_t session;
    rp_work_state_t state;
    rp_status_t status; /* RETURNED: what the reply says */
    bool is_held;       /* takes a place in the window */
    atomic_bool cancelled;
} rp_work_t;

typedef struct {
    rp_link_t link;
    const char *endpoint; /* NULL: there is no such session; for a record that is found */
    uint64_t epoch;
    uint32_t finder; /* the session that looks up its records; itself, if it is of none */
    bool has_found;  /* a finder: there are sessions for its records */
    char place[RP_WORKER_PLACE_MAX]; /* the endpoint of a record */
    uint64_t max_body;
    uint64_t stream_window; /* the largest that it allows; 0: not stated */
    uint32_t slots; /* most that may be held: what the broker granted, even while window is lower */
    uint32_t window; /* as last told to the broker */
    uint32_t held_count;
    rp_list_t held;
    rp_list_t conversations;
    rp_status_t refusal; /* in RP_LINK_REFUSED */
    bool told;           /* its present trouble was reported */
    bool told_of_keys;   /* the same, of a trouble with keys */
} rp_worker_session_t;

typedef enum {
    RP_WORKER_OPEN,
    RP_WORKER_CLOSE, /* when everything sent before is out */
    RP_WORKER_SEND,
    RP_WORKER_NOTICE,
} rp_worker_order_kind_t;

typedef struct {
    rp_worker_order_kind_t kind;
    uint32_t session;
    rp_head_t head;                    /* SEND */
    char notice[RP_WORKER_NOTICE_MAX]; /* NOTICE */
} rp_worker_order_t;

typedef struct {
    const char *const
      *endpoints; /* outlive the core; NULL: room for the session of an SRV record */
    uint32_t count;
    const char *service;
    const char *name; /* for people */
    uint32_t slots;   /* the most to be held at once */
    uint32_t threads; /* that work on requests at once; 0 is 1 */
    bool declines;    /* it may give back requests that never began */
    bool streams;     /* it reads requests in parts */
    uint32_t heartbeat_ms;
    int64_t drain_us;
    uint64_t seed; /* of the hash tables; secret */
} rp_worker_config_t;

typedef struct {
    rp_worker_config_t config;
    rp_worker_session_t *sessions;      /* config.count */
    rp_window_control_t window_control; /* the window in all of them */
    uint8_t hello[32];                  /* headers of HELLO */
    size_t hello_size;
    uint32_t able; /* requests that the application can take now, at most */
    rp_worker_order_t *orders;
    size_t order_count;
    size_t order_taken;
    size_t order_capacity;
    rp_list_t ready;
    rp_list_t returned;
    rp_list_t ended;          /* conversations whose end the application does not know yet */
    rp_table_t works;         /* held, by session and token */
    rp_table_t conversations; /* going on, by session and wire number */
    uint64_t last_local;
    uint64_t ignored; /* messages that were malformed or not expected */
    uint32_t out;
    int64_t drain_until; /* while draining or stopping: when every broker gets BYE; 0: not set */
    bool draining;
    bool stopping;
    bool given_up;  /* RP_WORKER_GRACE_US after drain_until: handlers are left behind */
    bool cancelled; /* a work that is out was cancelled; the shell clears it */
    char error[RP_WORKER_NOTICE_MAX];
} rp_worker_core_t;

/*  False when out of memory; then nothing is left to be freed.  */
bool rp_worker_core_init (rp_worker_core_t *self, const rp_worker_config_t *config);

/*  Frees what is left. Works belong to the shell, which must have taken back those that it
    needs.  */
void rp_worker_core_clear (rp_worker_core_t *self);

/*  The name of a session's endpoint was looked up.  */
void rp_worker_core_found (
  rp_worker_core_t *self, uint32_t index, const rp_addresses_t *found, int64_t now);

/*  The same, of SRV records: begins a session for each new one that there is room for, and ends those whose record is gone
    unless they stand.  */
void rp_worker_core_found_records (
  rp_worker_core_t *self, uint32_t index, const rp_srv_t *records, int64_t now, uint64_t random);

/*  What happened to the connection of the session with this index. connected: it stands; failed: it
    could not be made, it broke, or the name does not resolve.  */
void rp_worker_core_connected (rp_worker_core_t *self, uint32_t index, int64_t now);
void rp_worker_core_failed (
  rp_worker_core_t *self, uint32_t index, const char *reason, int64_t now, uint64_t random);

/*  A message other than REQUEST came.  */
void rp_worker_core_message (
  rp_worker_core_t *self, uint32_t index, const rp_head_t *head, int64_t now, uint64_t random);

/*  A REQUEST came. False: ignored, work is still the shell's. True: work is in ready or returned;
    why_not (may be NULL) is the shell's reason to refuse the request, which puts work into
    returned.  */
bool rp_worker_core_request (rp_worker_core_t *self,
  uint32_t session,
  const rp_head_t *head,
  rp_work_t *work,
  const char *why_not,
  int64_t now);

/*  Begins the bodies of a request in parts, as its REQUEST says. The shell sets rp_work_t.stream.  */
void rp_work_stream_begin (rp_work_stream_t *self, const rp_head_t *request);

/*  A PART with so many bytes of body, or a GRANT, came. Returns the work that it is for, which keeps the part; NULL:
    ignored.  */
rp_work_t *rp_worker_core_part (
  rp_worker_core_t *self, uint32_t index, const rp_head_t *head, uint64_t size, int64_t now);

/*  More of the reply, size bytes, is to go: fills in the head of a part, which the shell sends with the first bytes.
    Returns how many; 0: it has to wait, or nobody wants it (cancelled).  */
size_t rp_worker_core_write (
  rp_worker_core_t *self, rp_work_t *work, size_t size, rp_head_t *head, int64_t now);

/*  The application begins to read the rest of the request's body, or took a part of it, of so many bytes. An order for
    GRANT may follow.  */
void rp_worker_core_read (rp_worker_core_t *self, rp_work_t *work, int64_t now);
void rp_worker_core_took (rp_worker_core_t *self, rp_work_t *work, uint64_t size, int64_t now);

/*  Does what is due. Returns when to be called again.  */
int64_t rp_worker_core_tick (rp_worker_core_t *self, int64_t now, uint64_t random);

/*  Sets how many requests the application can take from now on, and tells the brokers; 0 closes the
    window.  */
void rp_worker_core_set_ready (rp_worker_core_t *self, uint32_t ready, int64_t now);

/*  Takes no new requests; ends when the requests held and the conversations have ended, or after
    drain_us.  */
void rp_worker_core_drain (rp_worker_core_t *self, int64_t now);

/*  Hands no more requests out; ends when none is out, at the latest at the limit of a drain under
    way, or else drain_us after the next tick.  */
void rp_worker_core_stop (rp_worker_core_t *self);

/*  Sends BYE to every broker at once.  */
void rp_worker_core_leave (rp_worker_core_t *self);

/*  The next request for the application, or NULL.  */
rp_work_t *rp_worker_core_take (rp_worker_core_t *self, int64_t now);

/*  A work that is out goes back to the broker, which may redeliver it; it moves to returned.  */
void rp_worker_core_give_back (rp_worker_core_t *self, rp_work_t *work, const char *text);

/*  The next work that ended here, or NULL: the shell replies with its status and text, if finish
    says so.  */
rp_work_t *rp_worker_core_next_returned (rp_worker_core_t *self);

/*  Ends a work, which belongs to the shell alone again. status is that of the reply. True if the
    reply is to be sent; false if its session is over.  */
bool rp_worker_core_finish (
  rp_worker_core_t *self, rp_work_t *work, rp_status_t status, int64_t now);

/*  The next conversation whose end the application is to be told; false if there is none.  */
bool rp_worker_core_next_ended (rp_worker_core_t *self, uint64_t *conversation);

/*  The next order, valid until the next call of any function; NULL if there is none.  */
const rp_worker_order_t *rp_worker_core_next_order (rp_worker_core_t *self);

/*  True when there is nothing more to serve, and why: RP_OK after drain or stop, or the status with
    which every broker refused.  */
bool rp_worker_core_is_over (const rp_worker_core_t *self, int *status);

#endif
