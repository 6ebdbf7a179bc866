/*  Flow control of a body in parts: how much its reader grants, and how much its writer may write.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 11. Both count in costs, a part's bytes with its headers and RP_PART_COST, from the start of
    the body. The reader lets its window be written beyond what the application has taken; it grants again when
    half of the window was taken, so that a GRANT is rare and the writer need not stop meanwhile.

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

/*  The window of a reader that asks for none: enough for 1 GiB a second over a round trip of 0.25 ms.  */
#define RP_FLOW_WINDOW 262144u

typedef struct {
    uint64_t window;
    uint64_t granted; /* as last stated; 0: it has not begun to read */
    uint64_t came;
    uint64_t taken; /* by the application */
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

/*  A part came; size: of its body and headers. False if it was not granted.  */
static inline bool rp_flow_came (rp_flow_reader_t *self, uint64_t size)
{
    self->came += rp_wire_part_cost (size);
    return self->came <= self->granted;
}

/*  Begins to read: the window is granted.  */
static inline void rp_flow_begin (rp_flow_reader_t *self, uint64_t window)
{
    *self = (rp_flow_reader_t){.window = window, .granted = window};
}

/*  The application took a part. True if self->granted has risen, and is to be sent.  */
static inline bool rp_flow_took (rp_flow_reader_t *self, uint64_t size)
{
    self->taken += rp_wire_part_cost (size);
    uint64_t grant = self->taken + self->window;
    if (grant - self->granted < (self->window + 1) / 2)
        return false;
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
