/*  A link: the session of a client or worker with a broker, as a pure state machine.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 5 (sessions), the peer's side of the state tables.

        REST ──tick──► CONNECTING ──connected──► GREETING ──WELCOME──► UP
         ▲                 │ failed, timeout         │ BYE, timeout      │ BYE, lost, silent
         └──── backoff ◄───┴─────────────────────────┴───────────────────┘
         ▲    found        │
         └─────────────────┘

        GREETING ──refused for good──► REFUSED     any ──close──► CLOSED

    The link decides which endpoint of a list to try when: each in turn, without a pause within a
    round, with exponential backoff and jitter between rounds. In the first round each endpoint gets
    a share of the time available, so that a broker that accepts and then says nothing leaves time
    for the others. A host name is looked up each time its endpoint is tried, and each address found
    is tried like an endpoint of the list.

    A broker that does not accept this side's key is tried again like a broker that cannot be
    reached, because the key may be authorized at any time. Only when no broker of the list accepts
    it, the link is shut out, so that its owner can end what waits.

    The link also keeps the agreed heartbeat interval, says when to send a heartbeat, and when the
    broker has been silent for too long. It owns no socket and reads no clock: its owner passes time
    and randomness in, and carries out the link's orders.

    An owner that waits for nothing sets idle. The next HEARTBEAT then announces a longer interval,
    which holds for both sides until the link sends any other message.

    Time is in microseconds.
    Thread-safety: none.
*/

#ifndef RP_LINK_H
#define RP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/address.h"
#include "common/wire/head.h"

/*  Bytes for the longest endpoint with one of its addresses.  */
#define RP_LINK_LABEL_MAX 384u

typedef enum {
    RP_LINK_REST,
    RP_LINK_CONNECTING,
    RP_LINK_GREETING,
    RP_LINK_UP,
    RP_LINK_REFUSED,
    RP_LINK_CLOSED,
} rp_link_state_t;

#define RP_LINK_STATE_COUNT (RP_LINK_CLOSED + 1u)

/*  What the owner has to do now.  */
typedef enum {
    RP_LINK_NOTHING,
    RP_LINK_OPEN,      /* open a connection to rp_link_where; if it is a name, look the name up */
    RP_LINK_LOST,      /* the broker fell silent or did not answer: close the connection and call
                          rp_link_failed; its sessions and requests are over */
    RP_LINK_HEARTBEAT, /* send HEARTBEAT, with rp_link_announced as its time */
} rp_link_order_t;

typedef struct {
    rp_link_state_t state;
    const char *const *endpoints; /* the owner's; they outlive the link */
    size_t count;
    size_t current; /* the endpoint in use, or to be tried next */
    uint32_t proposed_ms;
    uint32_t idle_tenths; /* the interval while slow, in tenths of the agreed interval */
    size_t tried;         /* endpoints that failed in this round */
    uint64_t denied;      /* a bit per endpoint: when last tried, it did not accept our key */
    uint32_t failures;    /* rounds in a row in which every endpoint failed; drives the backoff */
    uint32_t brief;       /* connections in a row that broke within one interval of WELCOME */
    int64_t
      within; /* set by the owner: the time in which every endpoint is to be tried; 0: no limit */
    int64_t
      wanted;  /* set by the owner: first deadline of what waits for a session; INT64_MAX: none */
    bool idle; /* set by the owner: it waits for nothing */
    bool slow; /* the last message sent is a HEARTBEAT that announced a longer interval */
    bool prompted;    /* the broker's HEARTBEAT came, and ours is due soon enough to answer it */
    int64_t interval; /* as agreed */
    int64_t woke;     /* when the agreed interval began to hold again */
    int64_t since;    /* UP: when that began */
    int64_t planned;  /* UP: the latest time for the next tick */
    int64_t absent;   /* how long this process stood still when that was last seen */
    int64_t returned; /* when that was seen */
    int64_t heard;
    int64_t said;
    int64_t opened;       /* when the current attempt began */
    int64_t due;          /* REST: when to try next; CONNECTING, GREETING: when to give up */
    size_t address;       /* index in found: the address in use, or to be tried next */
    rp_addresses_t found; /* addresses of the endpoint in use; none: not a name, or not looked up */
} rp_link_t;

/*  Begins in REST, with the first attempt due at once.  */
void rp_link_init (rp_link_t *self,
  const char *const *endpoints,
  size_t count,
  uint32_t heartbeat_ms,
  uint32_t idle_tenths);

const char *rp_link_endpoint (const rp_link_t *self);

/*  Returns what to connect to: the endpoint in use, or the address found for its name.  */
const char *rp_link_where (const rp_link_t *self);

/*  True while the owner has to look up a name.  */
bool rp_link_looks_up (const rp_link_t *self);

/*  Ends a look-up that has found what the owner wanted, which is not to connect to it; the next one comes when it is
    due.  */
void rp_link_look_up_again (rp_link_t *self, int64_t due);

/*  Returns rp_link_where for people: "tcp://broker:5555 at 10.0.0.2" if the name has several
    addresses, "srv:_riposte._tcp.example.org at 10.0.0.2:5555". Writes to buffer, of RP_LINK_LABEL_MAX bytes.  */
const char *rp_link_label (const rp_link_t *self, char *buffer);

/*  Returns what is due at this time; *next is when to call again. Call it until it returns
    RP_LINK_NOTHING. If the call comes more than half an interval late, because the process stood
    still, the broker gets one more interval: what it sent meanwhile is to be read first.  */
rp_link_order_t rp_link_tick (rp_link_t *self, int64_t now, int64_t *next);

/*  Takes the addresses of the endpoint's name, at least one; they are tried in turn, the first at
    the next tick. Does nothing if no look-up was ordered.  */
void rp_link_found (rp_link_t *self, const rp_addresses_t *found, int64_t now);

/*  UP: how long this process has just stood still (it was stopped, or the machine slept), so that
    the broker may have closed the session; 0 if it has not.  */
int64_t rp_link_absence (const rp_link_t *self, int64_t now);

/*  The connection stands: the owner now sends HELLO with self->proposed_ms.  */
void rp_link_connected (rp_link_t *self, int64_t now);

/*  Takes WELCOME. False if none was due, or its interval is out of range: call rp_link_failed.  */
bool rp_link_welcomed (rp_link_t *self, const rp_head_t *welcome, int64_t now);

/*  The connection failed or broke, the name does not resolve, or BYE came. Plans the next
    attempt: the next address of the endpoint or the next endpoint, at once if it has not been
    tried since the last session, otherwise with backoff. random is 64 fresh random bits.

    A connection that broke within one interval of WELCOME, like the one before it, counts as a
    failure to connect. Does nothing in REST, REFUSED and CLOSED: the connection was over
    already.  */
void rp_link_failed (rp_link_t *self, int64_t now, uint64_t random);

/*  Like rp_link_failed: the broker did not accept this side's key in the handshake. A list has at
    most 64 endpoints.  */
void rp_link_denied (rp_link_t *self, int64_t now, uint64_t random);

/*  True if, when last tried, no endpoint of the list accepted this side's key. WELCOME, or another
    failure of an endpoint, ends that.  */
bool rp_link_is_shut_out (const rp_link_t *self);

/*  BYE with DENIED or INVALID came as the answer to HELLO: the link does not try again. Does
    nothing outside GREETING.  */
void rp_link_refused (rp_link_t *self);

/*  Leaves a broker that drains for the next endpoint, like rp_link_failed. False, and nothing is
    done, if the list has no other endpoint.  */
bool rp_link_move (rp_link_t *self, int64_t now, uint64_t random);

void rp_link_close (rp_link_t *self);

/*  The one setter of the state: checks the transition. For link.c and its tests.  */
void rp_link_set_state (rp_link_t *self, rp_link_state_t state);

/*  A message came from the broker.  */
static inline void rp_link_heard (rp_link_t *self, int64_t now)
{
    self->heard = now;
}

/*  HEARTBEAT came; call rp_link_heard as well. True if the next tick answers it.  */
bool rp_link_beat (rp_link_t *self, int64_t now);

/*  Ends the longer interval of an idle link: the agreed interval holds again.  */
void rp_link_wake (rp_link_t *self, int64_t now);

/*  A message other than HEARTBEAT was sent. True if the next tick is now due earlier than
    planned.  */
static inline bool rp_link_said (rp_link_t *self, int64_t now)
{
    bool woken = self->slow;
    self->said = now;
    self->prompted = false;
    if (woken)
        rp_link_wake (self, now);
    return woken;
}

/*  Returns the time field for HEARTBEAT: ms until the next one; 0: the agreed interval.  */
uint32_t rp_link_announced (const rp_link_t *self);

/*  Returns the ms until the next attempt, for messages to people; 0 outside REST.  */
uint32_t rp_link_retry_ms (const rp_link_t *self, int64_t now);

#endif
