/*  Flow control of a body in parts: how much its reader grants, and how much its writer may write.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 11. Both count in costs, a part's bytes with its headers and RP_PART_COST, from the start of
    the body. The reader lets its window be written beyond what the application has taken; it grants again when
    half of the window was taken, so that a GRANT is rare and the writer need not stop meanwhile.

    A window that is less than what the way holds makes the writer wait, and so the reader. The reader sees it, and doubles its
    window, up to a bound: the first part that only its latest GRANT allowed comes when the application has taken everything,
    and as soon after that GRANT as any such part ever did. Of a writer that is slow, that part comes later the larger the
    window is; a reader that is slow has not taken everything. See docs/adr/0052.

    The writer cuts what is longer than half of the window into pieces. So a piece always fits into what a reader
    that has taken everything has granted, and a writer that waits for a whole piece is never stuck.

    Pure. Thread-safety: none.
*/

#ifndef RP_FLOW_H
#define RP_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/head.h"

/*  The window of a reader that asks for none: enough for 1 GiB a second over a round trip of 0.25 ms; and what it may grow to,
    at a broker that allows it.  */
#define RP_FLOW_WINDOW 262144u
#define RP_FLOW_WINDOW_MOST 4194304u
/*  A part that comes later than this after its GRANT, us, says nothing about the way.  */
#define RP_FLOW_ROUND_TRIP_MOST 1000000

typedef struct {
    uint64_t window;
    uint64_t most;    /* that the window may grow to */
    uint64_t granted; /* as last stated; 0: it has not begun to read */
    uint64_t came;
    uint64_t taken; /* by the application */
    uint64_t
      before;      /* what was granted before the GRANT whose round trip is measured; 0: none is */
    int64_t asked; /* when that GRANT was made */
    int64_t shortest; /* round trip, us; 0: none is known */
    bool grows;       /* the window is too small */
} rp_flow_reader_t;

typedef struct {
    uint64_t granted;
    uint64_t written;
    uint64_t window; /* the first grant: the reader's window */
} rp_flow_writer_t;

/*  A window that the broker allows; limit: what its WELCOME says, 0: nothing.  */
static inline uint64_t rp_flow_window (uint64_t wanted, uint64_t limit)
{
    return limit && limit < wanted ? limit : wanted;
}

/*  Begins to read: the window is granted. most: what it may grow to; the same for one that stays as it is.  */
static inline void rp_flow_begin (rp_flow_reader_t *self, uint64_t window, uint64_t most)
{
    *self = (rp_flow_reader_t){.window = window, .most = most, .granted = window};
}

/*  The first part came that the latest GRANT allowed. starved: the application had taken everything.  */
static inline void rp_flow_measure (rp_flow_reader_t *self, bool starved, int64_t now)
{
    int64_t trip = now > self->asked ? now - self->asked : 1;
    self->before = 0;
    if (trip > RP_FLOW_ROUND_TRIP_MOST)
        return;
    if (self->shortest == 0 || trip < self->shortest)
        self->shortest = trip;
    self->grows = starved && trip <= self->shortest + self->shortest / 2;
}

/*  A part came; size: of its body and headers. False if it was not granted.  */
static inline bool rp_flow_came (rp_flow_reader_t *self, uint64_t size, int64_t now)
{
    bool starved = self->came == self->taken;
    self->came += rp_wire_part_cost (size);
    if (self->before && self->came > self->before)
        rp_flow_measure (self, starved, now);
    return self->came <= self->granted;
}

/*  The application took a part. True if self->granted has risen, and is to be sent.  */
static inline bool rp_flow_took (rp_flow_reader_t *self, uint64_t size, int64_t now)
{
    self->taken += rp_wire_part_cost (size);
    bool grew = self->grows;
    if (grew) {
        self->grows = false;
        self->window = rp_flow_window (2 * self->window, self->most);
    }
    uint64_t grant = self->taken + self->window;
    if (grant - self->granted < (self->window + 1) / 2)
        return false;
    if (self->before == 0 && !grew) { // the writer waits for the larger one in any case
        self->before = self->granted;
        self->asked = now;
    }
    self->granted = grant;
    return true;
}

/*  A grant came. True if it allows more than those before.  */
static inline bool rp_flow_granted (rp_flow_writer_t *self, uint64_t granted)
{
    if (granted <= self->granted)
        return false;
    if (self->granted == 0)
        self->window = granted;
    self->granted = granted;
    return true;
}

/*  Bytes of a part that may be written now.  */
static inline uint64_t rp_flow_room (const rp_flow_writer_t *self)
{
    uint64_t left = self->granted - self->written;
    return left > RP_PART_COST ? left - RP_PART_COST : 0;
}

/*  Bytes of the next part, of so many that are to be written; max_body: the largest body that the broker takes.
    0: the writer has to wait.  */
static inline size_t rp_flow_piece (const rp_flow_writer_t *self, size_t size, uint64_t max_body)
{
    uint64_t largest = self->window / 2 > RP_PART_COST ? self->window / 2 - RP_PART_COST : 1;
    if (max_body && largest > max_body)
        largest = max_body;
    uint64_t piece = size < largest ? size : largest;
    return piece <= rp_flow_room (self) ? (size_t) piece : 0;
}

static inline void rp_flow_wrote (rp_flow_writer_t *self, uint64_t size)
{
    self->written += rp_wire_part_cost (size);
}

#endif
