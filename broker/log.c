/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(RP_LOG_RECORD_MAX <= PIPE_BUF, "a pipe must take a line whole");
_Static_assert(RP_LOG_RECORD_MAX <= RP_WRITER_GAP_MAX, "a line about a gap must fit");

/*  Bytes for the time of a line.  */
#define S_TIME_MAX 40u

/*  Checks the descriptor too, because a child inherits the variable even if its stderr goes
    elsewhere.  */
static bool s_is_journal (int descriptor)
{
    const char *stream = getenv ("JOURNAL_STREAM");
    struct stat stat;
    char *rest;
    uintmax_t device = stream ? strtoumax (stream, &rest, 10) : 0;
    if (!stream || *rest != ':' || fstat (descriptor, &stat) != 0)
        return false;
    return stat.st_dev == device && stat.st_ino == strtoumax (rest + 1, NULL, 10);
}

void rp_log_init (rp_log_t *self, int descriptor, rp_level_t level)
{
    const char *no_color = getenv ("NO_COLOR");
    *self = (rp_log_t){
      .writer = rp_writer_new (descriptor),
      .level = level,
      .journal = s_is_journal (descriptor),
      .color = isatty (descriptor) && !(no_color && *no_color),
    };
    rp_events_init (&self->events);
}

void rp_log_clear (rp_log_t *self)
{
    rp_writer_destroy (&self->journal_writer);
    rp_writer_destroy (&self->writer);
    rp_events_clear (&self->events);
}

/*  ---- Lines --------------------------------------------------------------------------------- */

static rp_writer_t *s_sink (const rp_log_t *self)
{
    return self->format == RP_LOG_JOURNALD ? self->journal_writer : self->writer;
}

/*  Writes the time as of now. "": it is not known.  */
static void s_format_time (char text[S_TIME_MAX])
{
    struct timespec now;
    struct tm parts;
    size_t size = 0;
    *text = '\0';
    if (clock_gettime (CLOCK_REALTIME, &now) == 0 && gmtime_r (&now.tv_sec, &parts))
        size = strftime (text, S_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
    if (size > 0)
        snprintf (text + size, S_TIME_MAX - size, ".%03ldZ", now.tv_nsec / 1000000);
}

/*  Completes a line with what the log itself knows, and writes it to a buffer.  */
static size_t s_render (const rp_log_t *self, rp_log_line_t *line, char *buffer)
{
    char time[S_TIME_MAX] = "";
    if (self->format != RP_LOG_TEXT || !self->journal)
        s_format_time (time);
    line->time = time;
    line->color = self->color;
    return rp_log_line_write (line, self->format, buffer);
}

static void s_keep (rp_log_t *self, const rp_log_line_t *line, uint64_t more)
{
    char time[S_TIME_MAX];
    s_format_time (time);
    rp_events_add (&self->events, &(rp_events_line_t){.time = time,
                                    .level = rp_log_level_name (line->level),
                                    .topic = rp_log_topic_name (line->topic),
                                    .peer = line->about.peer,
                                    .principal = line->about.principal,
                                    .service = line->about.service,
                                    .request_id = line->about.request_id,
                                    .more = more,
                                    .text = line->text,
                                    .size = line->size});
}

static void s_write (
  rp_log_t *self, rp_log_line_t *line, int64_t now, const char *format, va_list arguments)
{
    uint64_t more = 0;
    bool written = line->level <= self->level
                   && rp_log_limit_pass (&self->limits[line->topic], now, &line->more);
    bool kept = line->level <= RP_LEVEL_INFO
                && rp_log_limit_pass (&self->event_limits[line->topic], now, &more);
    if (!written && !kept)
        return;
    char text[RP_LOG_LINE_MAX], buffer[RP_LOG_RECORD_MAX];
    int size = vsnprintf (text, sizeof text, format, arguments);
    line->text = text;
    line->size = size < 0 ? 0 : (size_t) size < sizeof text ? (size_t) size : sizeof text - 1;
    if (kept)
        s_keep (self, line, more);
    if (written && s_sink (self))
        rp_writer_put (s_sink (self), buffer, s_render (self, line, buffer));
}

void rp_log_write (rp_log_t *self,
  rp_level_t level,
  rp_topic_t topic,
  int64_t now,
  const char *source,
  const char *format,
  ...)
{
    rp_log_line_t line = {.level = level, .topic = topic, .about.peer = source};
    va_list arguments;
    va_start (arguments, format);
    s_write (self, &line, now, format, arguments);
    va_end (arguments);
}

void rp_log_write_about (rp_log_t *self,
  rp_level_t level,
  rp_topic_t topic,
  int64_t now,
  const rp_log_about_t *about,
  const char *format,
  ...)
{
    rp_log_line_t line = {.level = level, .topic = topic, .about = *about};
    va_list arguments;
    va_start (arguments, format);
    s_write (self, &line, now, format, arguments);
    va_end (arguments);
}

/*  ---- Formats ------------------------------------------------------------------------------- */

/*  A rp_writer_gap_fn for formats that programs read.  */
static size_t s_tell_gap (void *arg, uint64_t lost, char buffer[RP_WRITER_GAP_MAX])
{
    const rp_log_t *self = arg;
    char text[80];
    int size =
      snprintf (text, sizeof text, "%" PRIu64 " lines are missing here: nothing took them", lost);
    rp_log_line_t line = {.level = RP_LEVEL_WARNING,
      .topic = RP_TOPIC_BROKER,
      .text = text,
      .size = size > 0 ? (size_t) size : 0};
    return s_render (self, &line, buffer);
}

/*  True if the journal takes datagrams at a path. Otherwise errno is the reason.  */
static bool s_reach_journal (rp_log_t *self, const char *socket)
{
    if (access (socket, W_OK) != 0)
        return false;
    if (!self->journal_writer)
        self->journal_writer = rp_writer_new_datagrams (socket);
    if (self->journal_writer)
        rp_writer_set_gap (self->journal_writer, s_tell_gap, self);
    return self->journal_writer != NULL;
}

void rp_log_set_format (rp_log_t *self, rp_log_format_t format, const char *socket, int64_t now)
{
    bool unreached = false;
    if (format == RP_LOG_AUTO)
        format = self->journal && s_reach_journal (self, socket) ? RP_LOG_JOURNALD : RP_LOG_TEXT;
    else if (format == RP_LOG_JOURNALD)
        unreached = !s_reach_journal (self, socket);
    int error = errno;
    self->format = unreached ? RP_LOG_TEXT : format;
    if (self->writer)
        rp_writer_set_gap (self->writer, self->format == RP_LOG_TEXT ? NULL : s_tell_gap, self);
    if (unreached)
        rp_log_write (self, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "cannot reach the journal at %s: %s; the log is text on stderr, choose another "
          "--log-format",
          socket, strerror (error));
}
