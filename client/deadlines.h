/*  Keeps the deadlines of open requests, and finds the next one.

    SPDX-License-Identifier: MPL-2.0

    Most requests have the same timeout, so most deadlines come in ascending order: these stand in a
    list, which costs O(1). Only the others cost a heap.

    Time is in microseconds.
    Thread-safety: none.
*/

#ifndef RP_DEADLINES_H
#define RP_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/heap.h"
#include "common/base/list.h"

typedef struct {
    rp_list_node_t node;  /* in the list, if next is not NULL */
    rp_heap_node_t place; /* otherwise in the heap */
    int64_t due;
} rp_deadline_t;

typedef struct {
    rp_list_t line;
    rp_heap_t heap; /* has room for all timers, so that a change cannot fail */
    uint32_t count;
} rp_deadlines_t;

void rp_deadlines_init (rp_deadlines_t *self);
void rp_deadlines_clear (rp_deadlines_t *self);

/*  Adds a timer that was not added yet. False when out of memory, and nothing changed.  */
bool rp_deadlines_add (rp_deadlines_t *self, rp_deadline_t *timer, int64_t due);

/*  Moves or removes a timer that was added.  */
void rp_deadlines_set (rp_deadlines_t *self, rp_deadline_t *timer, int64_t due);
void rp_deadlines_remove (rp_deadlines_t *self, rp_deadline_t *timer);

/*  Returns the timer that is due first, or NULL.  */
rp_deadline_t *rp_deadlines_first (const rp_deadlines_t *self);

#endif
