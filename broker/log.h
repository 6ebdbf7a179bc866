/*  The broker's log: writes one line per event to a descriptor, at a limited rate per topic.

    SPDX-License-Identifier: MPL-2.0

    A peer chooses the names in a line. So bytes that could control a terminal, or be invisible, are
    escaped, and different names stay different (common/base/utf8.h).

    Logging never blocks, because the thread that logs serves all peers: another thread writes the
    lines (common/io/writer.h). A line for the systemd journal has its priority and no time, which
    that journal adds.

    Thread-safety: none.
*/

#ifndef RP_LOG_H
#define RP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "common/io/writer.h"
#include "common/tool/log_limit.h"

/*  The length at which a line is cut; at most PIPE_BUF, so that a pipe takes it whole.  */
#define RP_LOG_LINE_MAX 2048u

typedef struct {
    rp_writer_t *writer; /* NULL: out of memory, nothing is written */
    rp_level_t level;    /* less severe lines are left out */
    bool journal;
    bool color;
    rp_log_limit_t limits[RP_TOPIC_COUNT];
} rp_log_t;

/*  Begins a log; the descriptor stays the caller's.  */
void rp_log_init (rp_log_t *self, int descriptor, rp_level_t level);

/*  Ends a log, after waiting up to RP_WRITER_LAST_MS for lines to be written.  */
void rp_log_clear (rp_log_t *self);

/*  True if a line of this level is written; otherwise its text need not be made.  */
static inline bool rp_log_wants (const rp_log_t *self, rp_level_t level)
{
    return level <= self->level;
}

/*  Writes a line. now: µs, for the rate limit. source: the address that the line is about, or
    NULL.  */
void rp_log_write (rp_log_t *self,
  rp_level_t level,
  rp_topic_t topic,
  int64_t now,
  const char *source,
  const char *format,
  ...) __attribute__ ((format (printf, 6, 7)));

#endif
