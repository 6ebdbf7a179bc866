/*  A link: the session of a client or worker with a broker, as a pure state machine.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 5 (sessions), the peer's side of the state tables.

        REST ──tick──► CONNECTING ──connected──► GREETING ──WELCOME──► UP
         ▲                 │ failed, timeout         │ BYE, timeout      │ BYE, lost, silent
         └──── backoff ◄───┴─────────────────────────┴───────────────────┘
         ▲    found        │
         └─────────────────┘
        GREETING ──refused for good──► REFUSED     any ──close──► CLOSED

    It knows which endpoint of a list to try when: each in turn, the next at once, with exponential
    backoff and jitter between rounds through the list. In the first round each is given a share of
    the time that there is, so that one that accepts and says nothing costs no more than that. An
    endpoint with a host name is looked up each time its turn comes, and each address that was found
    is tried like an endpoint of the list. What interval was agreed; when to send a heartbeat; when the broker has been silent for too long. It
    owns no socket and reads no clock: its owner passes time and randomness in, and does what it
    says.

    An owner that waits for nothing says so (idle). Its next HEARTBEAT then announces a longer
    interval, which counts for both sides until it says anything else.

    Time is in microseconds. Thread-safety: none.
*/

#ifndef RP_LINK_H
#define RP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/address.h"
#include "common/wire/head.h"

/*  Bytes for the longest endpoint, and which of its addresses.  */
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

/*  What the owner is to do now.  */
typedef enum {
    RP_LINK_NOTHING,
    RP_LINK_OPEN,      /* open a connection to rp_link_where; if that has a name, look it up */
    RP_LINK_LOST,      /* the broker fell silent or did not answer: close the connection, and say
                          rp_link_failed; sessions and requests with it are over */
    RP_LINK_HEARTBEAT, /* send HEARTBEAT, with rp_link_announced as its time */
} rp_link_order_t;

typedef struct {
    rp_link_state_t state;
    const char *const *endpoints; /* the owner's, outlives the link */
    size_t count;
    size_t current; /* the endpoint in use, or to be tried next */
    uint32_t proposed_ms;
    uint32_t idle_tenths; /* of the interval agreed that are one while slow */
    size_t tried;         /* endpoints that failed in this round through the list */
    uint32_t failures;    /* rounds in a row in which all failed; drives the backoff */
    uint32_t brief;       /* connections in a row that broke within an interval of standing */
    int64_t
      within; /* the owner's to set: the time in which every endpoint is to have been tried; 0: any */
    int64_t
      wanted; /* the owner's to set: when something that waits for a session expires; INT64_MAX: never */
    bool idle;        /* the owner's to set: it waits for nothing */
    bool slow;        /* the last that was said is a HEARTBEAT that announced a longer interval */
    bool prompted;    /* the broker's HEARTBEAT came, and ours is as good as due */
    int64_t interval; /* agreed */
    int64_t woke;     /* when the interval agreed counted again */
    int64_t since;    /* UP: from when */
    int64_t planned;  /* UP: when it wants to be asked at the latest what time brings */
    int64_t absent;   /* how long this process did not run when that was seen last */
    int64_t returned; /* when it was seen */
    int64_t heard;
    int64_t said;
    int64_t opened;       /* when the connection in use began */
    int64_t due;          /* REST: when to try; CONNECTING, GREETING: when to give up */
    size_t address;       /* of those found, the one in use, or to be tried next */
    rp_addresses_t found; /* of the name of the endpoint in use; none: no name, or not known */
} rp_link_t;

/*  Starts in REST, due at once.  */
void rp_link_init (rp_link_t *self,
  const char *const *endpoints,
  size_t count,
  uint32_t heartbeat_ms,
  uint32_t idle_tenths);

const char *rp_link_endpoint (const rp_link_t *self);

/*  What to connect to: the endpoint in use, or the address that was found for its name.  */
const char *rp_link_where (const rp_link_t *self);

/*  True while the owner looks up a name.  */
bool rp_link_looks_up (const rp_link_t *self);

/*  The same in words for people: "tcp://broker:5555 at 10.0.0.2" if there are several addresses.
    Returns buffer, of RP_LINK_LABEL_MAX bytes.  */
const char *rp_link_label (const rp_link_t *self, char *buffer);

/*  What time brings; *next is when to call again. Call it until it says RP_LINK_NOTHING. If it was not called for much longer than an interval, because the process
    was stopped, the broker has one interval more: what it said meanwhile is to be read first.  */
rp_link_order_t rp_link_tick (rp_link_t *self, int64_t now, int64_t *next);

/*  The name of the endpoint was looked up: its addresses are tried in turn, the first at the next
    tick. At least one. Nothing if no look-up was ordered.  */
void rp_link_found (rp_link_t *self, const rp_addresses_t *found, int64_t now);

/*  UP: how long this process has just stood still (it was stopped, the machine slept), in which the
    broker may have given it up; 0 if it did not.  */
int64_t rp_link_absence (const rp_link_t *self, int64_t now);

/*  The connection stands: the owner sends HELLO with self->proposed_ms.  */
void rp_link_connected (rp_link_t *self, int64_t now);

/*  WELCOME came. False if none was due, or its interval is out of range: treat it as failed.  */
bool rp_link_welcomed (rp_link_t *self, const rp_head_t *welcome, int64_t now);

/*  The connection failed or broke, the name does not resolve, or BYE came. Plans the next attempt:
    the next address of the endpoint, or the next endpoint of the list, at once if it was not tried
    yet since the last session, else with backoff. random is 64 fresh random bits.
    A connection that broke within an interval of standing, like the one before it, counts as a
    failure to connect. Nothing in REST, REFUSED and CLOSED: the connection was over already.  */
void rp_link_failed (rp_link_t *self, int64_t now, uint64_t random);

/*  BYE with DENIED or INVALID to our HELLO: no use in trying again. Nothing in any state but
    GREETING.  */
void rp_link_refused (rp_link_t *self);

/*  Moves on to another endpoint because this broker drains: as failed, but only when the list has
    another. False if it has not.  */
bool rp_link_move (rp_link_t *self, int64_t now, uint64_t random);

void rp_link_close (rp_link_t *self);

/*  The one setter of the state: checks the transition. For link.c and its tests.  */
void rp_link_set_state (rp_link_t *self, rp_link_state_t state);

/*  A message came.  */
static inline void rp_link_heard (rp_link_t *self, int64_t now)
{
    self->heard = now;
}

/*  HEARTBEAT came, which was heard. True if the next tick answers it.  */
bool rp_link_beat (rp_link_t *self, int64_t now);

/*  The interval agreed counts again.  */
void rp_link_wake (rp_link_t *self, int64_t now);

/*  A message went, but HEARTBEAT. True if the next tick is sooner now than the last one said.  */
static inline bool rp_link_said (rp_link_t *self, int64_t now)
{
    bool woken = self->slow;
    self->said = now;
    self->prompted = false;
    if (woken)
        rp_link_wake (self, now);
    return woken;
}

/*  What HEARTBEAT says as its time: the ms until the next, or 0 if that is the interval agreed.  */
uint32_t rp_link_announced (const rp_link_t *self);

/*  When the next attempt is due, in ms from now, for messages to people; 0 outside REST.  */
uint32_t rp_link_retry_ms (const rp_link_t *self, int64_t now);

#endif
