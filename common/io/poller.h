/*  A poller: what one thread waits for, and who is called when it happens.

    SPDX-License-Identifier: MPL-2.0

    Descriptors that become readable and deadlines that have come each call a function. The thread
    that owns the poller waits in rp_poller_wait, and all calls come from there.

    Far deadlines are an alarm (common/io/alarm.h), so that a wait sets no timer of the kernel's.

    Cost: a wait is one ppoll; a deadline that moves costs O(log n) of the deadlines.
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
    uint32_t deadline_count; /* that were added */
} rp_poller_t;

/*  Belongs to its user, who adds it once.  */
typedef struct {
    rp_heap_node_t node;
    rp_poller_callee_t callee;
} rp_deadline_t;

/*  False with errno (EMFILE, ENFILE, ENOMEM); self may be cleared all the same.  */
bool rp_poller_init (rp_poller_t *self);
void rp_poller_clear (rp_poller_t *self);

/*  Calls function whenever the descriptor is readable; NULL: that only ends a wait. The descriptor
    stays the caller's and open until rp_poller_clear. False when out of memory.  */
bool rp_poller_add (rp_poller_t *self, int descriptor, rp_poller_fn *function, void *arg);

/*  A deadline that calls function when it has come (NULL: that only ends a wait); it is not set
    yet. False when out of memory.  */
bool rp_poller_add_deadline (
  rp_poller_t *self, rp_deadline_t *deadline, rp_poller_fn *function, void *arg);

/*  Sets a deadline that was added, once: when it has come it is not set any more. INT64_MAX:
    never.  */
void rp_poller_set_deadline (rp_poller_t *self, rp_deadline_t *deadline, int64_t when);

/*  Waits until something happens, or looks only, if it is not to wait; then calls whom that
    concerns.  */
void rp_poller_wait (rp_poller_t *self, bool wait);

#endif
