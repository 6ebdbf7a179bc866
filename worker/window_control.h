/*  A worker's window: how many requests it asks the brokers for, by how fast it takes them.

    SPDX-License-Identifier: MPL-2.0

    Pure; the part of worker/worker_core.h that decides on CREDIT. A window that is too small costs
    a round trip per request; one that is too large keeps requests waiting here that another
    worker could begin. So the window is the number of requests that the application works on at
    once, plus those that it takes within RP_WINDOW_CONTROL_WAIT_US.

    A stretch begins when a request comes and ends when the application asks for one in vain. What a
    request takes is the length of a stretch, divided by the number of requests taken in it. With
    one handler thread that is the time of a job; with several threads, the time of a job divided by
    their number. An application that takes all requests and answers later needs nearly no time for
    each, so it gets all its slots.

        grows      when it was full, or more requests than it holds were done in a span: at the end
                   of a stretch, or after RP_WINDOW_CONTROL_SPAN_US
        shrinks    when it is more than twice what it should be, over RP_WINDOW_CONTROL_SPAN_US at
                   least

    Time is in microseconds. It costs an addition per request; the rest is done once a turn.
    Thread-safety: none.
*/

#ifndef RP_WINDOW_CONTROL_H
#define RP_WINDOW_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

/*  How long a request may wait here behind others: as long as the way to the broker and back,
    within these bounds.  */
#define RP_WINDOW_CONTROL_WAIT_US 5000
#define RP_WINDOW_CONTROL_WAIT_MAX_US 200000
/*  A span. In a shorter one, a pause of the machine would look like a slow worker.  */
#define RP_WINDOW_CONTROL_SPAN_US 20000
/*  The least time between two reports of what a request takes, unless it became much slower.  */
#define RP_WINDOW_CONTROL_NEWS_US 100000
/*  A slow worker that was idle for so long withdraws its time, so that it is tried again.  */
#define RP_WINDOW_CONTROL_FORGET_US 1000000
/*  A worker is slow if a request takes longer: below, differences do not matter to a broker.  */
#define RP_WINDOW_CONTROL_SLOW_US 128

typedef struct {
    uint32_t slots;   /* at most */
    uint32_t threads; /* at least, if there are so many slots */
    uint32_t window;
    uint32_t work_us;     /* what a request takes, as last told; 0: not known */
    uint32_t taken;       /* in this span, with those carried over from the last */
    uint32_t carried;     /* of those, taken in the last span and not done at its end */
    uint32_t peak;        /* most that were out at once, in this span */
    uint32_t peak_before; /* in the one before */
    bool hungry;          /* the application asked in vain, since the last tick */
    bool full;            /* the window was full in this stretch */
    bool busy;            /* in a stretch */
    /*  the application asks for more while it has some: what a request takes is not the time of a
        job  */
    bool several;
    int64_t idle; /* when the last stretch with a full window ended; 0: none */
    int64_t gap; /* shortest time from idle to the next stretch in this span: the way to a broker */
    int64_t gap_before; /* in the one before */
    int64_t counted;    /* busy: time up to this is in busy_us */
    int64_t begin;      /* of the span */
    int64_t busy_us;    /* in this span */
    int64_t told;       /* when the brokers were told anything */
    int64_t active;     /* when it last had something to do */
} rp_window_control_t;

/*  What the core sees at a tick.  */
typedef struct {
    bool waiting; /* a request that was not taken yet */
    bool spent;   /* the application has all that the window allows */
    uint32_t out;
} rp_window_control_view_t;

void rp_window_control_init (rp_window_control_t *self, uint32_t slots, uint32_t threads);

/*  The application took a request; out is how many it holds with this one.  */
static inline void rp_window_control_took (rp_window_control_t *self, uint32_t out)
{
    self->taken++;
    if (out > self->peak)
        self->peak = out;
}

/*  What a request takes, us, as the brokers are told; 0: not known.  */
static inline uint32_t rp_window_control_time (const rp_window_control_t *self)
{
    return self->several ? 0 : self->work_us;
}

/*  True if the brokers are to be told of window and rp_window_control_time.  */
bool rp_window_control_tick (rp_window_control_t *self, rp_window_control_view_t view, int64_t now);

/*  When the next tick is to be, at the latest: later than the last one.  */
int64_t rp_window_control_next (const rp_window_control_t *self);

#endif
