/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/log.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/utf8.h"

_Static_assert(RP_LOG_LINE_MAX <= PIPE_BUF, "a pipe must take a line whole");

typedef struct {
    const char *name;
    const char *journal; /* sd-daemon(3) */
    const char *color;
} s_style_t;

static const s_style_t s_styles[] = {
  [RP_LEVEL_ERROR] = {"error", "<3>", "\033[31m"},
  [RP_LEVEL_WARNING] = {"warning", "<4>", "\033[33m"},
  [RP_LEVEL_INFO] = {"info", "<6>", ""},
  [RP_LEVEL_DEBUG] = {"debug", "<7>", "\033[2m"},
};

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
}

void rp_log_clear (rp_log_t *self)
{
    rp_writer_destroy (&self->writer);
}

/*  A line in the making; what does not fit is cut.  */
typedef struct {
    char text[RP_LOG_LINE_MAX];
    size_t size;
} s_line_t;

static void s_append_list (s_line_t *line, const char *format, va_list arguments)
{
    size_t room = sizeof line->text - line->size;
    int size = vsnprintf (line->text + line->size, room, format, arguments);
    if (size > 0)
        line->size += (size_t) size < room ? (size_t) size : room - 1;
}

__attribute__ ((format (printf, 2, 3))) static void s_append (
  s_line_t *line, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    s_append_list (line, format, arguments);
    va_end (arguments);
}

static void s_append_time (s_line_t *line)
{
    struct timespec now;
    struct tm parts;
    char text[32];
    if (clock_gettime (CLOCK_REALTIME, &now) == 0 && gmtime_r (&now.tv_sec, &parts)
        && strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) > 0)
        s_append (line, "%s.%03ldZ ", text, now.tv_nsec / 1000000);
}

static void s_put (rp_log_t *self, s_line_t *line)
{
    // The last byte stays free for the newline.
    if (line->size == sizeof line->text - 1)
        line->size--;
    line->text[line->size++] = '\n';
    if (self->writer)
        rp_writer_put (self->writer, line->text, line->size);
}

void rp_log_write (rp_log_t *self,
  rp_level_t level,
  rp_topic_t topic,
  int64_t now,
  const char *source,
  const char *format,
  ...)
{
    uint64_t held_back;
    if (!rp_log_wants (self, level) || !rp_log_limit_pass (&self->limits[topic], now, &held_back))
        return;

    const s_style_t *style = &s_styles[level];
    s_line_t line = {.size = 0};
    if (self->journal)
        s_append (&line, "%s", style->journal);
    else
        s_append_time (&line);
    bool color = self->color && *style->color;
    s_append (&line, "%s%s%s ", color ? style->color : "", style->name, color ? "\033[0m" : "");
    if (source)
        s_append (&line, "%s: ", source);
    s_line_t text = {.size = 0}; // names in the text are as peers chose them
    va_list arguments;
    va_start (arguments, format);
    s_append_list (&text, format, arguments);
    va_end (arguments);
    line.size +=
      rp_utf8_escape (text.text, text.size, line.text + line.size, sizeof line.text - line.size);
    if (held_back > 0)
        s_append (&line, " (%" PRIu64 " more like it)", held_back);
    s_put (self, &line);
}
