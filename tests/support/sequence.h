/*  A random sequence of events for the broker's core, under the auditor's eyes.

    SPDX-License-Identifier: MPL-2.0

    Whoever begins it says where chance comes from: the fuzzer's bytes, the simulator's seed. The
    first draws choose small limits, so that they are hit; then each step takes one for its kind and
    a few for its details. Any sequence is allowed: replies that are late or forged, sends that
    fail, clocks that jump.
*/

#ifndef SEQUENCE_H
#define SEQUENCE_H

#include "tests/support/audit.h"

/*  A number below this.  */
typedef unsigned (sequence_draw_fn) (unsigned below, void *arg);

#define SEQUENCE_LATE 16u

typedef struct {
    audit_t audit;
    sequence_draw_fn *draw;
    audit_observe_fn *observe;
    void *arg;
    rp_token_t late[SEQUENCE_LATE]; /* of deliveries past and present */
    unsigned late_count;
} sequence_t;

/*  observe sees what the core wants done, and may be NULL; fail is told what is wrong, and does not
    return.  */
void sequence_begin (sequence_t *self,
  sequence_draw_fn *draw,
  audit_observe_fn *observe,
  void *arg,
  audit_fail_fn *fail);

/*  One event, and mostly a tick.  */
void sequence_step (sequence_t *self);

/*  Ends the core and everything else.  */
void sequence_end (sequence_t *self);

#endif
