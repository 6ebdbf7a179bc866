/*  A poller: one thread waits in it for descriptors and deadlines, and it calls their functions.

    SPDX-License-Identifier: MPL-2.0

    The thread that owns the poller waits in rp_poller_wait, which makes all calls. Far deadlines
    are an alarm (common/io/alarm.h), so that a wait sets no timer of the kernel.

    Cost: a wait is one ppoll; to move a deadline costs O(log n) of the deadlines.
    Thread-safety: none.
*/

#ifndef RP_POLLER_H
#define RP_POLLER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/heap.h"
#include "common/io/alarm.h"

/*  now: µs on the monotonic clock, read after the wait.  */
typedef void (rp_poller_fn) (void *arg, int64_t now);

typedef struct {
    rp_poller_fn *function;
    void *arg;
} rp_poller_callee_t;

typedef struct {
    struct pollfd *polled; /* the first is the alarm */
    rp_poller_callee_t *callees;
    size_t count;
    size_t polled_capacity;
    size_t callee_capacity;
    rp_alarm_t alarm;
    rp_heap_t deadlines;
    uint32_t deadline_count; /* deadlines added */
} rp_poller_t;

/*  A deadline; its memory is the caller's, and it is added once.  */
typedef struct {
    rp_heap_node_t node;
    rp_poller_callee_t callee;
} rp_poller_deadline_t;

/*  False with errno (EMFILE, ENFILE, ENOMEM); self may be cleared all the same.  */
bool rp_poller_init (rp_poller_t *self);
void rp_poller_clear (rp_poller_t *self);

/*  Calls function whenever the descriptor is readable; if function is NULL, the descriptor only
    ends a wait. The descriptor stays the caller's, and open until rp_poller_clear. False when out
    of memory.  */
bool rp_poller_add (rp_poller_t *self, int descriptor, rp_poller_fn *function, void *arg);

/*  Adds a deadline, which is not set yet. When it has come, function is called; if function is
    NULL, the deadline only ends a wait. False when out of memory.  */
bool rp_poller_add_deadline (
  rp_poller_t *self, rp_poller_deadline_t *deadline, rp_poller_fn *function, void *arg);

/*  Sets an added deadline. INT64_MAX: never. Once it has come, it is no longer set.  */
void rp_poller_set_deadline (rp_poller_t *self, rp_poller_deadline_t *deadline, int64_t when);

/*  Waits until something happens (if wait is false: only looks), then calls the functions of all
    that happened. Returns the time at which it began to call them; 0 if it had none to look at.  */
int64_t rp_poller_wait (rp_poller_t *self, bool wait);

#endif
