/*  The world's random numbers, and its queue of events.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdlib.h>

#include "tests/history/world.h"

uint64_t world_draw (world_t *self, uint64_t below)
{
    uint64_t value = self->random += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return (value ^ (value >> 31)) % below;
}

static bool s_before (const world_event_t *one, const world_event_t *other)
{
    return one->time != other->time ? one->time < other->time : one->order < other->order;
}

static void s_swap (world_event_t *one, world_event_t *other)
{
    world_event_t event = *one;
    *one = *other;
    *other = event;
}

void world_later (world_t *self, int64_t pause, const world_event_t *event)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 1024;
        self->queue = realloc (self->queue, self->capacity * sizeof *self->queue);
        if (!self->queue)
            abort ();
    }
    size_t at = self->count++;
    self->queue[at] = *event;
    self->queue[at].time = self->now + pause;
    self->queue[at].order = ++self->order;
    for (; at > 0 && s_before (&self->queue[at], &self->queue[(at - 1) / 2]); at = (at - 1) / 2)
        s_swap (&self->queue[at], &self->queue[(at - 1) / 2]);
}

world_event_t world_next (world_t *self)
{
    world_event_t first = self->queue[0];
    self->queue[0] = self->queue[--self->count];
    for (size_t at = 0, child; (child = 2 * at + 1) < self->count; at = child) {
        if (child + 1 < self->count && s_before (&self->queue[child + 1], &self->queue[child]))
            child++;
        if (!s_before (&self->queue[child], &self->queue[at]))
            break;
        s_swap (&self->queue[at], &self->queue[child]);
    }
    return first;
}
