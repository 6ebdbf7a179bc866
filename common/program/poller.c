/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/program/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/grow.h"
#include "common/io/clock.h"

static void s_rang (void *arg, int64_t now)
{
    (void) now;
    rp_alarm_rang (arg);
}

bool rp_poller_init (rp_poller_t *self)
{
    *self = (rp_poller_t){.alarm.descriptor = -1};
    rp_heap_init (&self->deadlines);
    if (!rp_alarm_init (&self->alarm))
        return false;
    errno = ENOMEM;
    return rp_poller_add (self, self->alarm.descriptor, s_rang, &self->alarm);
}

void rp_poller_clear (rp_poller_t *self)
{
    rp_alarm_close (&self->alarm);
    rp_heap_clear (&self->deadlines);
    free (self->polled);
    free (self->callees);
    *self = (rp_poller_t){.alarm.descriptor = -1};
}

bool rp_poller_add (rp_poller_t *self, int descriptor, rp_poller_fn *function, void *arg)
{
    struct pollfd *polled =
      rp_grown (self->polled, &self->polled_capacity, self->count, sizeof *polled);
    if (!polled)
        return false;
    self->polled = polled;
    rp_poller_callee_t *callees =
      rp_grown (self->callees, &self->callee_capacity, self->count, sizeof *callees);
    if (!callees)
        return false;
    self->callees = callees;
    polled[self->count] = (struct pollfd){.fd = descriptor, .events = POLLIN};
    callees[self->count++] = (rp_poller_callee_t){.function = function, .arg = arg};
    return true;
}

bool rp_poller_add_deadline (
  rp_poller_t *self, rp_poller_deadline_t *deadline, rp_poller_fn *function, void *arg)
{
    *deadline = (rp_poller_deadline_t){.callee = {.function = function, .arg = arg}};
    rp_heap_node_init (&deadline->node);
    if (!rp_heap_reserve (&self->deadlines, self->deadline_count + 1))
        return false;
    self->deadline_count++;
    return true;
}

void rp_poller_set_deadline (rp_poller_t *self, rp_poller_deadline_t *deadline, int64_t when)
{
    uint64_t key = when > 0 ? (uint64_t) when : 0;
    if (when == INT64_MAX)
        rp_heap_remove (&self->deadlines, &deadline->node);
    else if (rp_heap_has (&deadline->node))
        rp_heap_update (&self->deadlines, &deadline->node, key);
    else
        (void) rp_heap_push (&self->deadlines, &deadline->node, key); // there is room for all
}

static int64_t s_next_deadline (const rp_poller_t *self)
{
    uint64_t key;
    return rp_heap_first (&self->deadlines, &key) ? (int64_t) key : INT64_MAX;
}

static void s_call (const rp_poller_callee_t *callee, int64_t now)
{
    if (callee->function)
        callee->function (callee->arg, now);
}

int64_t rp_poller_wait (rp_poller_t *self, bool wait)
{
    static const struct timespec at_once = {0};
    struct timespec near;
    const struct timespec *timeout =
      wait ? rp_alarm_set (&self->alarm, s_next_deadline (self), &near) : &at_once;
    int ready = ppoll (self->polled, self->count, timeout, NULL);
    int64_t next = s_next_deadline (self);
    if (ready <= 0 && next == INT64_MAX)
        return 0;
    int64_t now = rp_clock_us ();
    for (size_t index = 0; ready > 0 && index < self->count; index++)
        if (self->polled[index].revents)
            s_call (&self->callees[index], now);
    while (s_next_deadline (self) <= now) {
        rp_heap_node_t *node = rp_heap_first (&self->deadlines, NULL);
        rp_heap_remove (&self->deadlines, node);
        s_call (&RP_CONTAINER (node, rp_poller_deadline_t, node)->callee, now);
    }
    return now;
}
