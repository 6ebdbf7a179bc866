/*  The life of a process that stays: when to start it, to give it requests, and to end it.

    SPDX-License-Identifier: MPL-2.0

    Pure. A process shows that it can serve by an answer, or by the line RP/1 READY. Until then:

        REST ──started──► LOADING ──given──► TRIED ──answered──► READY
                             │                 │ the request ended       ▲
                             │                 ▼                         │
                             │               OWES ──answered─────────────┤
                             └──said ready───────────────────────────────┘

    A process that announces itself (it says READY) is offered no sooner. Any other gets one request
    when it has lived for a while: longer after failures, so that a program that ends at once
    gets none. A process that has not answered yet may still be loading, so it outlives that
    request: it owes the answer, which is dropped, and gets no other request before. Only the
    limit ends it then. Time is in microseconds.

    Thread-safety: none.
*/

#ifndef RP_LIFE_H
#define RP_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#define RP_LIFE_NEVER INT64_MAX
/*  Pauses before another process is started, us: a program that cannot run must not be started in a
    loop, and a program that crashed once should be back at once.  */
#define RP_LIFE_PAUSE_FIRST 100000
#define RP_LIFE_PAUSE_LARGEST 10000000
/*  How long a process that does not announce itself has to live before its first request, us.  */
#define RP_LIFE_SETTLE 200000

typedef enum {
    RP_LIFE_REST,
    RP_LIFE_LOADING,
    RP_LIFE_TRIED,
    RP_LIFE_OWES,
    RP_LIFE_READY,
} rp_life_state_t;

#define RP_LIFE_STATE_COUNT (RP_LIFE_READY + 1u)

typedef struct {
    rp_life_state_t state;
    bool announces;    /* it says when it is ready */
    bool proven;       /* a process of this program has served before */
    uint32_t failures; /* in a row */
    int64_t limit;     /* to get ready, us; 0: any time */
    int64_t start_at;  /* REST: when to start the next; RP_LIFE_NEVER: not */
    int64_t offer_at;  /* LOADING: when it may have a request */
    int64_t late_at;   /* LOADING, TRIED, OWES: when it has taken too long */
} rp_life_t;

/*  The one setter of the state: any transition that its table does not allow is our own bug. For
    life.c and its tests.  */
void rp_life_set_state (rp_life_t *self, rp_life_state_t state);

void rp_life_init (rp_life_t *self, bool announces, int64_t limit);

/*  A process was started; could not be started; has ended (expected: for no fault of its own).  */
void rp_life_started (rp_life_t *self, int64_t now);
void rp_life_not_started (rp_life_t *self, int64_t now, uint64_t random);
void rp_life_ended (rp_life_t *self, bool expected, int64_t now, uint64_t random);

/*  It said READY; got a request; answered one.  */
void rp_life_said_ready (rp_life_t *self);
void rp_life_given (rp_life_t *self, int64_t now);
void rp_life_answered (rp_life_t *self);

/*  Its request has ended without its answer. True if the process lives on, since it may still be
    loading; it owes the answer then.  */
bool rp_life_outlives_request (rp_life_t *self);

/*  True if it may have a request, or is working on one.  */
bool rp_life_is_offered (const rp_life_t *self, int64_t now);

/*  True if it has taken too long to get ready.  */
bool rp_life_is_late (const rp_life_t *self, int64_t now);

/*  When to look again.  */
int64_t rp_life_next (const rp_life_t *self, int64_t now);

#endif
