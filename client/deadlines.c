/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/deadlines.h"

#define S_FIRST_CAPACITY 64u

void rp_deadlines_init (rp_deadlines_t *self)
{
    rp_list_init (&self->line);
    rp_heap_init (&self->heap);
    self->count = 0;
}

void rp_deadlines_clear (rp_deadlines_t *self)
{
    rp_heap_clear (&self->heap);
    rp_deadlines_init (self);
}

static void s_put (rp_deadlines_t *self, rp_deadline_t *timer, int64_t due)
{
    timer->due = due;
    const rp_deadline_t *last = (const rp_deadline_t *) rp_list_last (&self->line);
    if (!last || last->due <= due)
        rp_list_append (&self->line, &timer->node);
    else
        (void) rp_heap_push (&self->heap, &timer->place, (uint64_t) due); // there is room
}

static void s_take (rp_deadlines_t *self, rp_deadline_t *timer)
{
    if (timer->node.next)
        rp_list_remove (&timer->node);
    else
        rp_heap_remove (&self->heap, &timer->place);
}

bool rp_deadlines_add (rp_deadlines_t *self, rp_deadline_t *timer, int64_t due)
{
    uint32_t capacity = self->heap.capacity;
    if (self->count == capacity
        && !rp_heap_reserve (&self->heap, capacity ? capacity * 2 : S_FIRST_CAPACITY))
        return false;
    self->count++;
    timer->node = (rp_list_node_t){0};
    rp_heap_node_init (&timer->place);
    s_put (self, timer, due);
    return true;
}

void rp_deadlines_set (rp_deadlines_t *self, rp_deadline_t *timer, int64_t due)
{
    if (timer->due == due)
        return;
    s_take (self, timer);
    s_put (self, timer, due);
}

void rp_deadlines_remove (rp_deadlines_t *self, rp_deadline_t *timer)
{
    s_take (self, timer);
    self->count--;
}

rp_deadline_t *rp_deadlines_first (const rp_deadlines_t *self)
{
    rp_deadline_t *timer = (rp_deadline_t *) rp_list_first (&self->line);
    uint64_t due;
    rp_heap_node_t *node = rp_heap_first (&self->heap, &due);
    if (node && (!timer || (int64_t) due < timer->due))
        timer = RP_CONTAINER (node, rp_deadline_t, place);
    return timer;
}
