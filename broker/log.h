/*  The broker's log: one line per event on a descriptor, limited in rate by topic.

    SPDX-License-Identifier: MPL-2.0

    Names in a line are whatever a peer chose: what could steer a terminal or hide is escaped, so
    that different names stay different (common/base/utf8.h).

    It never waits, because the thread that logs is the one that serves everybody: another one writes
    the lines (common/io/writer.h). To the journal a line goes with
    its priority and without the time, which the journal adds.

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

/*  Longer lines are cut. At most PIPE_BUF, so that a pipe takes one whole.  */
#define RP_LOG_LINE_MAX 2048u

typedef struct {
    rp_writer_t *writer; /* NULL: out of memory, and nothing is written */
    rp_level_t level;    /* lines above it are left out */
    bool journal;
    bool color;
    rp_log_limit_t limits[RP_TOPIC_COUNT];
} rp_log_t;

/*  The descriptor stays the caller's.  */
void rp_log_init (rp_log_t *self, int descriptor, rp_level_t level);

/*  Waits a moment for what was not written yet (RP_WRITER_LAST_MS).  */
void rp_log_clear (rp_log_t *self);

/*  True if a line of this level would be written, so that nobody prepares one for nothing.  */
static inline bool rp_log_wants (const rp_log_t *self, rp_level_t level)
{
    return level <= self->level;
}

/*  Writes a line. now: microseconds, for the limiter. source: who it is about, or NULL.  */
void rp_log_write (rp_log_t *self,
  rp_level_t level,
  rp_topic_t topic,
  int64_t now,
  const char *source,
  const char *format,
  ...) __attribute__ ((format (printf, 6, 7)));

#endif
