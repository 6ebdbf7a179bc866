/*  A random sequence of events for the broker's core, checked by the auditor.

    SPDX-License-Identifier: MPL-2.0

    The caller chooses the source of chance: the fuzzer's bytes, or the simulator's seed. The first
    draws choose small limits, so that they are reached; each step then takes one draw for its kind
    and a few for its details. Any sequence is allowed: replies that are late or forged, sends that
    fail, clocks that jump.
*/

#ifndef SEQUENCE_H
#define SEQUENCE_H

#include "tests/support/audit.h"

/*  Returns a number below `below`.  */
typedef unsigned (sequence_draw_fn) (unsigned below, void *arg);

#define SEQUENCE_LATE 16u
/*  The limit stream_window.  */
#define SEQUENCE_GRANT 1000u
/*  Room for the headers of a request.  */
#define SEQUENCE_HEADERS 64u

typedef struct {
    audit_t audit;
    sequence_draw_fn *draw;
    audit_observe_fn *observe;
    void *arg;
    rp_token_t late[SEQUENCE_LATE]; /* tokens of past and present deliveries */
    unsigned late_count;
    bool ruled;       /* rules are in force and change, and keys are revoked */
    rp_terms_t terms; /* of a service, or none */
    bool weighed;     /* with rules: they state weights */
    bool named;       /* … mostly of clients by their names */
    bool throttled;   /* it has some, which change */
    bool hedging;     /* many requests ask for hedges */
    bool prioritised; /* requests have priorities of all kinds */
    bool streams;     /* bodies come in parts, whose readers grant */
} sequence_t;

/*  observe sees each action of the core, and may be NULL; fail gets the fault, and does not
    return.  */
void sequence_begin (sequence_t *self,
  sequence_draw_fn *draw,
  audit_observe_fn *observe,
  void *arg,
  audit_fail_fn *fail);

/*  Makes one event and, mostly, a tick.  */
void sequence_step (sequence_t *self);

/*  Ends all sessions, then the core and everything else.  */
void sequence_end (sequence_t *self);

#endif
