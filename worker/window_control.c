/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/window_control.h"

/*  The factor by which a window grows: from 1 to 256 within four round trips.  */
#define S_GROWTH 4u

void rp_window_control_init (rp_window_control_t *self, uint32_t slots, uint32_t threads)
{
    uint32_t least = threads ? threads : 1;
    *self = (rp_window_control_t){.slots = slots, .threads = least < slots ? least : slots};
    self->window = self->threads;
}

static uint32_t s_most (uint32_t one, uint32_t other)
{
    return one > other ? one : other;
}

static uint32_t s_least (uint64_t one, uint32_t other)
{
    return one < other ? (uint32_t) one : other;
}

/*  How long, us, the requests of a window should keep the application busy: until more can be
    here.  */
static int64_t s_wait (const rp_window_control_t *self)
{
    bool known = self->gap_before && (!self->gap || self->gap > self->gap_before);
    int64_t gap = known ? self->gap_before : self->gap;
    if (gap < RP_WINDOW_CONTROL_WAIT_US)
        return RP_WINDOW_CONTROL_WAIT_US;
    return gap < RP_WINDOW_CONTROL_WAIT_MAX_US ? gap : RP_WINDOW_CONTROL_WAIT_MAX_US;
}

/*  What the window should be if a request takes work_us.  */
static uint32_t s_limit (const rp_window_control_t *self, uint32_t work_us)
{
    uint32_t at_once = s_most (self->threads, s_most (self->peak, self->peak_before));
    return s_least ((uint64_t) at_once + (uint64_t) s_wait (self) / work_us, self->slots);
}

/*  What a request took in the span so far, in which this number was done.  */
static uint32_t s_work_us (const rp_window_control_t *self, uint32_t done)
{
    int64_t each = self->busy_us / done;
    return each < 1 ? 1 : each < UINT32_MAX ? (uint32_t) each : UINT32_MAX;
}

static bool s_tell (rp_window_control_t *self, uint32_t window, uint32_t work_us, int64_t now)
{
    self->window = window;
    self->work_us = work_us;
    self->told = now;
    return true;
}

/*  Asks for a larger window after a full one.  */
static bool s_grow (rp_window_control_t *self, uint32_t work_us, uint32_t limit, int64_t now)
{
    uint32_t window = s_least ((uint64_t) self->window * S_GROWTH, limit);
    if (window <= self->window || (window < self->window * 2 && window < self->slots))
        return false;
    return s_tell (self, window, work_us, now);
}

/*  Tells the brokers if window or time have changed enough. work_us is what a request takes
    exactly, or at least.  */
static bool s_judge (rp_window_control_t *self, uint32_t work_us, bool exactly, int64_t now)
{
    uint32_t limit = s_limit (self, work_us);
    uint64_t before = self->work_us;
    if (self->window >= (uint64_t) limit * 2)
        return s_tell (self, limit, work_us, now);
    bool slower = work_us >= before * 2;
    bool faster = exactly && (uint64_t) work_us * 2 <= before;
    // Below this time, a difference does not matter to a broker.
    bool urgent = slower && work_us > RP_WINDOW_CONTROL_SLOW_US;
    bool news = before == 0 || urgent
                || ((slower || faster) && now - self->told >= RP_WINDOW_CONTROL_NEWS_US);
    return news && !self->several && s_tell (self, self->window, work_us, now);
}

/*  Ends a span that is long enough. Requests that are not done yet count in the next.  */
static bool s_end_span (rp_window_control_t *self, uint32_t unfinished, int64_t now)
{
    if (self->taken <= unfinished)
        return self->taken > 0 && s_judge (self, s_work_us (self, self->taken), false, now);
    uint32_t done = self->taken - unfinished;
    uint32_t work_us = s_work_us (self, done);
    // Requests that come one after the other are never here at once, and yet may fill the window on
    // their way.
    bool small = self->full || done > self->window;
    bool tell = (small && s_grow (self, work_us, s_limit (self, work_us), now))
                || s_judge (self, work_us, true, now);
    self->peak_before = self->peak;
    self->peak = 0;
    // A pause without requests looks like a longer way to the broker, so the gap may only double.
    if (self->gap_before && self->gap > self->gap_before * 2)
        self->gap = self->gap_before * 2;
    if (self->gap)
        self->gap_before = self->gap;
    self->gap = 0;
    self->taken = self->carried = unfinished;
    self->busy_us = 0;
    self->begin = now;
    return tell;
}

static void s_count (rp_window_control_t *self, int64_t now)
{
    self->busy_us += now - self->counted;
    self->counted = self->active = now;
}

/*  Notes how long the application was idle after a full window: the way to the broker and back.  */
static void s_note_gap (rp_window_control_t *self, int64_t now)
{
    int64_t gap = now - self->idle;
    if (self->idle && (!self->gap || gap < self->gap))
        self->gap = gap;
    self->idle = 0;
}

bool rp_window_control_tick (rp_window_control_t *self, rp_window_control_view_t view, int64_t now)
{
    bool ended = self->busy && self->hungry;
    bool tell = false;
    if (self->busy)
        s_count (self, now);
    if (ended)
        self->idle = self->full ? now : 0;
    if (ended && view.out > 0 && !self->several) {
        self->several = true;
        tell = self->work_us > 0 && s_tell (self, self->window, 0, now);
    }
    self->busy = self->busy && !self->hungry;
    self->hungry = false;
    // Only requests that began and were done in this span count. But an application that holds the
    // whole window and still asks for more answers later: then all that it has taken counts as
    // done.
    uint32_t open = view.spent ? 0 : view.out + self->carried;
    if (ended && self->full && self->taken > open) {
        uint32_t work_us = s_work_us (self, self->taken - open);
        tell |= s_grow (self, work_us, view.spent ? self->slots : s_limit (self, work_us), now);
    }
    if (ended)
        self->full = false;
    if (!tell && (ended || self->busy) && now - self->begin >= RP_WINDOW_CONTROL_SPAN_US)
        tell = s_end_span (self, ended && view.spent ? 0 : view.out, now);
    if (!self->busy && view.waiting) {
        self->busy = true;
        self->counted = self->active = now;
        s_note_gap (self, now);
        if (self->taken == 0) {
            self->begin = now;
            self->busy_us = 0;
        }
    }
    if (view.out > 0)
        self->active = now; // also during a long job
    if (!self->busy && self->work_us > RP_WINDOW_CONTROL_SLOW_US
        && now - self->active >= RP_WINDOW_CONTROL_FORGET_US)
        tell = s_tell (self, self->window, 0, now);
    return tell;
}

int64_t rp_window_control_next (const rp_window_control_t *self)
{
    if (self->busy)
        return self->counted + s_most (RP_WINDOW_CONTROL_SPAN_US, self->work_us);
    return self->work_us > RP_WINDOW_CONTROL_SLOW_US ? self->active + RP_WINDOW_CONTROL_FORGET_US
                                                     : INT64_MAX;
}
