/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/io/clock.h"

#define S_INTERVAL_US 100000
#define S_BAR 30u

void rp_progress_begin (rp_progress_t *self, uint64_t total, bool refused)
{
    *self = (rp_progress_t){.on = !refused && isatty (STDERR_FILENO) && !isatty (STDOUT_FILENO),
      .total = total,
      .next_us = rp_clock_us () + S_INTERVAL_US};
}

void rp_progress_begin_alone (rp_progress_t *self, bool refused)
{
    rp_progress_begin (self, 0, refused);
    self->on = !refused && isatty (STDERR_FILENO);
}

/*  True if it is time to write the line again.  */
static bool s_is_due (rp_progress_t *self)
{
    if (!self->on || rp_clock_us () < self->next_us)
        return false;
    self->next_us = rp_clock_us () + S_INTERVAL_US;
    self->shown = true;
    return true;
}

void rp_progress_line (rp_progress_t *self, const char *line)
{
    if (s_is_due (self))
        fprintf (stderr, "\r%s\x1b[K", line);
}

void rp_progress_show (rp_progress_t *self, uint64_t ended, uint64_t failed)
{
    if (!s_is_due (self))
        return;
    if (self->total > 0) {
        unsigned full = (unsigned) ((double) ended / (double) self->total * S_BAR);
        fputs ("\r[", stderr);
        for (unsigned at = 0; at < S_BAR; at++)
            fputs (at < full ? "█" : "░", stderr);
        fprintf (stderr, "] %" PRIu64 "/%" PRIu64, ended, self->total);
    }
    else
        fprintf (stderr, "\r%" PRIu64 " calls", ended);
    if (failed > 0)
        fprintf (stderr, "  %" PRIu64 " failed", failed);
    fputs ("\x1b[K", stderr);
}

void rp_progress_clear (rp_progress_t *self)
{
    if (self->shown)
        fputs ("\r\x1b[K", stderr);
    self->shown = false;
}
