/*  The broker's log: writes one line per event to a descriptor, at a limited rate per topic, and keeps the
    latest as events (broker/admin/events.h).

    SPDX-License-Identifier: MPL-2.0

    A peer chooses the names in a line. So bytes that could control a terminal, or be invisible, are
    escaped, and different names stay different (common/base/utf8.h).

    Logging never blocks, because the thread that logs serves all peers: another thread writes the
    lines (common/program/writer.h). broker/log_lines.h has the formats. Those of the format journald go to
    the journal's socket, as datagrams; all others to the descriptor. A line of text for the systemd
    journal has its priority and no time, which that journal adds.

    Thread-safety: none.
*/

#ifndef RP_LOG_H
#define RP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admin/events.h"
#include "broker/core/action.h"
#include "broker/log_lines.h"
#include "common/program/writer.h"
#include "common/tool/log_limit.h"

/*  The socket of the systemd journal (systemd.io/JOURNAL_NATIVE_PROTOCOL).  */
#define RP_LOG_JOURNAL "/run/systemd/journal/socket"

typedef struct {
    rp_writer_t *writer;         /* NULL: out of memory, nothing is written */
    rp_writer_t *journal_writer; /* NULL: not needed so far */
    rp_level_t level;            /* less severe lines are left out */
    rp_log_format_t format;      /* not AUTO */
    bool journal;                /* the descriptor is the journal */
    bool color;
    rp_log_limit_t limits[RP_TOPIC_COUNT];
    /*  What is kept, whatever the level: RP_LEVEL_INFO and worse, at a rate of its own, so that neither
        holds the other's lines back.  */
    rp_events_t events;
    rp_log_limit_t event_limits[RP_TOPIC_COUNT];
} rp_log_t;

/*  Begins a log, of text; the descriptor stays the caller's.  */
void rp_log_init (rp_log_t *self, int descriptor, rp_level_t level);

/*  Ends a log, after waiting up to RP_WRITER_LAST_MS for lines to be written.  */
void rp_log_clear (rp_log_t *self);

/*  Lines of this level and worse are written from now on.  */
static inline void rp_log_set_level (rp_log_t *self, rp_level_t level)
{
    self->level = level;
}

/*  Lines have this format from now on. socket: RP_LOG_JOURNAL, or a test's. If the journal cannot be
    reached there, they are text, and unless it is AUTO, a first line says so.  */
void rp_log_set_format (rp_log_t *self, rp_log_format_t format, const char *socket, int64_t now);

/*  True if a line of this level is written, or kept; otherwise its text need not be made.  */
static inline bool rp_log_wants (const rp_log_t *self, rp_level_t level)
{
    return level <= self->level || level <= RP_LEVEL_INFO;
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

/*  Likewise, a line about more than an address.  */
void rp_log_write_about (rp_log_t *self,
  rp_level_t level,
  rp_topic_t topic,
  int64_t now,
  const rp_log_about_t *about,
  const char *format,
  ...) __attribute__ ((format (printf, 6, 7)));

#endif
