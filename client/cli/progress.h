/*  Shows how far a command has come, in one line on standard error that is written over.

    SPDX-License-Identifier: MPL-2.0

    Only where standard error is a terminal and standard output is not, because both would mix.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_PROGRESS_H
#define RP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    bool on;
    bool shown;
    uint64_t total;  /* 0: not known */
    int64_t next_us; /* when the line is next written, so that more calls cost nothing */
} rp_progress_t;

void rp_progress_begin (rp_progress_t *self, uint64_t total, bool refused);
/*  For a command that writes nothing before the line is cleared: standard output may be a terminal
    too.  */
void rp_progress_begin_alone (rp_progress_t *self, bool refused);
void rp_progress_show (rp_progress_t *self, uint64_t ended, uint64_t failed);
/*  The same with the caller's own line.  */
void rp_progress_line (rp_progress_t *self, const char *line);
/*  Clears the line.  */
void rp_progress_clear (rp_progress_t *self);

#endif
