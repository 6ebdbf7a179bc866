/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/publisher.h"

#include <unistd.h>

#include "common/io/clock.h"
#include "common/program/bell.h"

/*  What the reader rings, which the eventfd adds up.  */
#define S_ASK ((uint64_t) 1)
#define S_KNOCK ((uint64_t) 1 << 32)

bool rp_publisher_init (rp_publisher_t *self)
{
    atomic_init (&self->fresh, NULL);
    self->taking = NULL;
    self->began = self->due = INT64_MIN / 2;
    self->wanted = false;
    atomic_init (&self->heard, INT64_MIN / 2);
    atomic_init (&self->draining, false);
    self->asked = rp_bell_open ();
    self->told = self->asked < 0 ? -1 : rp_bell_open ();
    return self->told >= 0;
}

void rp_publisher_clear (rp_publisher_t *self)
{
    rp_snapshot_t *fresh = atomic_exchange (&self->fresh, NULL);
    rp_snapshot_destroy (&fresh);
    fresh = rp_snapshot_end (&self->taking);
    rp_snapshot_destroy (&fresh);
    if (self->asked >= 0)
        close (self->asked);
    if (self->told >= 0)
        close (self->told);
    self->asked = self->told = -1;
}

void rp_publisher_ask (rp_publisher_t *self)
{
    rp_bell_ring (self->asked, S_ASK);
}

void rp_publisher_knock (rp_publisher_t *self)
{
    rp_bell_ring (self->asked, S_KNOCK);
}

void rp_publisher_hear (rp_publisher_t *self, bool draining, int64_t now)
{
    uint64_t asked = rp_bell_hear (self->asked);
    atomic_store (&self->draining, draining);
    atomic_store (&self->heard, now);
    if (asked >= S_KNOCK)
        rp_bell_ring (self->told, 1);
    // One that was begun just now is fresh enough, too, for who asks while it is being taken.
    if (asked % S_KNOCK > 0 && (!self->taking || now >= self->began + RP_PUBLISHER_PAUSE_US))
        self->wanted = true;
}

int64_t rp_publisher_heard (rp_publisher_t *self)
{
    return atomic_load (&self->heard);
}

bool rp_publisher_is_draining (rp_publisher_t *self)
{
    return atomic_load (&self->draining);
}

static void s_publish (rp_publisher_t *self, rp_snapshot_t *snapshot)
{
    rp_snapshot_t *before = atomic_exchange (&self->fresh, snapshot);
    rp_snapshot_destroy (&before);
    rp_bell_ring (self->told, 1);
}

/*  Takes steps for a slice. True if the snapshot is whole.  */
static bool s_work (rp_publisher_t *self)
{
    int64_t now = rp_clock_us ();
    int64_t end = now + RP_PUBLISHER_SLICE_US;
    while (!rp_snapshot_step (self->taking, now))
        if ((now = rp_clock_us ()) >= end)
            return false;
    return true;
}

int64_t rp_publisher_go_on (rp_publisher_t *self, const rp_snapshot_sources_t *sources, int64_t now)
{
    if (!self->taking && !self->wanted)
        return INT64_MAX;
    if (now < self->due)
        return self->due;
    if (!self->taking) {
        self->wanted = false;
        self->began = now;
        self->due = now + RP_PUBLISHER_PAUSE_US;
        if (!(self->taking = rp_snapshot_begin (sources, true, now)))
            return INT64_MAX;
    }
    if (!s_work (self))
        return self->due = rp_clock_us (); // in the next turn
    self->due = self->began + RP_PUBLISHER_PAUSE_US;
    rp_snapshot_t *snapshot = rp_snapshot_end (&self->taking);
    if (snapshot)
        s_publish (self, snapshot);
    return self->wanted ? self->due : INT64_MAX;
}

rp_snapshot_t *rp_publisher_take (rp_publisher_t *self)
{
    (void) rp_bell_hear (self->told);
    return atomic_exchange (&self->fresh, NULL);
}
