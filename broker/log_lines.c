/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/log_lines.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

typedef struct {
    const char *name;
    const char *priority; /* syslog(3) */
    const char *color;
} s_style_t;

static const s_style_t s_styles[] = {
  [RP_LEVEL_ERROR] = {"error", "3", "\033[31m"},
  [RP_LEVEL_WARNING] = {"warning", "4", "\033[33m"},
  [RP_LEVEL_INFO] = {"info", "6", ""},
  [RP_LEVEL_DEBUG] = {"debug", "7", "\033[2m"},
};

static const char *const s_topics[] = {
  [RP_TOPIC_BROKER] = "broker",
  [RP_TOPIC_CLIENT] = "client",
  [RP_TOPIC_WORKER] = "worker",
  [RP_TOPIC_LOST] = "lost",
  [RP_TOPIC_REFUSED] = "refused",
  [RP_TOPIC_BAD] = "bad",
  [RP_TOPIC_HANDSHAKE] = "handshake",
  [RP_TOPIC_UNANSWERED] = "unanswered",
  [RP_TOPIC_DENIED] = "denied",
};
_Static_assert(sizeof s_topics / sizeof *s_topics == RP_TOPIC_COUNT, "each topic has a name");

const char *rp_log_level_name (rp_level_t level)
{
    return s_styles[level].name;
}

const char *rp_log_topic_name (rp_topic_t topic)
{
    return s_topics[topic];
}

typedef enum {
#define S_FIELD_ENUM(name, key, journal) S_FIELD_##name,
    RP_LOG_FIELD_MAP (S_FIELD_ENUM)
#undef S_FIELD_ENUM
      S_FIELD_COUNT
} s_field_t;

static const char *const s_keys[] = {
#define S_FIELD_KEY(name, key, journal) [S_FIELD_##name] = (key),
  RP_LOG_FIELD_MAP (S_FIELD_KEY)
#undef S_FIELD_KEY
};

static const char *const s_journal_fields[] = {
#define S_FIELD_JOURNAL(name, key, journal) [S_FIELD_##name] = (journal),
  RP_LOG_FIELD_MAP (S_FIELD_JOURNAL)
#undef S_FIELD_JOURNAL
};

/*  All values at their longest, with keys, quotes, and the fields that are always the same.  */
_Static_assert(RP_LOG_MESSAGE_MAX + 4 * RP_LOG_VALUE_MAX + 400 <= RP_LOG_RECORD_MAX,
  "the longest line must fit");

/*  A line in the making; what does not fit into room is cut.  */
typedef struct {
    char *text;
    size_t size;
    size_t room;
} s_out_t;

__attribute__ ((format (printf, 2, 3))) static void s_append (s_out_t *out, const char *format, ...)
{
    va_list arguments;
    size_t room = out->room - out->size;
    va_start (arguments, format);
    int size = vsnprintf (out->text + out->size, room, format, arguments);
    va_end (arguments);
    if (size > 0)
        out->size += (size_t) size < room ? (size_t) size : room - 1;
}

static void s_append_escaped (s_out_t *out, const char *text, size_t size)
{
    out->size += rp_utf8_escape (text, size, out->text + out->size, out->room - out->size);
}

/*  ---- Text ---------------------------------------------------------------------------------- */

/*  Appends what a line says, for people.  */
static void s_append_sentence (s_out_t *out, const rp_log_line_t *line)
{
    if (line->about.peer)
        s_append (out, "%s: ", line->about.peer);
    s_append_escaped (out, line->text, line->size);
    if (line->more > 0)
        s_append (out, " (%" PRIu64 " more like it)", line->more);
}

static size_t s_write_text (const rp_log_line_t *line, char *buffer)
{
    const s_style_t *style = &s_styles[line->level];
    s_out_t out = {.text = buffer, .room = RP_LOG_LINE_MAX - 1}; // and the newline
    bool color = line->color && *style->color;
    if (*line->time)
        s_append (&out, "%s ", line->time);
    else
        s_append (&out, "<%s>", style->priority); // sd-daemon(3)
    s_append (&out, "%s%s%s ", color ? style->color : "", style->name, color ? "\033[0m" : "");
    s_append_sentence (&out, line);
    out.text[out.size++] = '\n';
    return out.size;
}

/*  ---- Values -------------------------------------------------------------------------------- */

/*  Returns a field's value, in scratch or elsewhere; NULL if it does not apply.  */
static const char *s_value (const rp_log_line_t *line, s_field_t field, char scratch[24])
{
    switch (field) {
        case S_FIELD_TIME:
            return line->time;
        case S_FIELD_LEVEL:
            return s_styles[line->level].name;
        case S_FIELD_TOPIC:
            return s_topics[line->topic];
        case S_FIELD_PEER:
            return line->about.peer;
        case S_FIELD_PRINCIPAL:
            return line->about.principal;
        case S_FIELD_SERVICE:
            return line->about.service;
        case S_FIELD_REQUEST_ID:
            return line->about.request_id;
        case S_FIELD_MORE:
            snprintf (scratch, 24, "%" PRIu64, line->more);
            return line->more > 0 ? scratch : NULL;
        case S_FIELD_MESSAGE:
        case S_FIELD_COUNT:
            break;
    }
    return NULL;
}

/*  Appends text between quotes. It is escaped already, so quotes and backslashes are all that can
    need an escape more. Cuts between two characters at limit bytes.  */
static void s_append_quoted (s_out_t *out, const char *text, size_t size, size_t limit)
{
    char *to = out->text + out->size;
    size_t used = 0;
    to[used++] = '"';
    for (size_t at = 0; at < size;) {
        uint32_t point;
        size_t length = rp_utf8_decode (text + at, size - at, &point);
        bool special = text[at] == '"' || text[at] == '\\';
        if (length == 0 || used + length + special >= limit)
            break;
        if (special)
            to[used++] = '\\';
        memcpy (to + used, text + at, length);
        used += length;
        at += length;
    }
    to[used++] = '"';
    out->size += used;
}

/*  A logfmt value may stand without quotes if nothing in it could end it.  */
static bool s_is_bare (const char *text)
{
    return *text && text[strcspn (text, " \"=\\")] == '\0';
}

/*  ---- logfmt and JSON ----------------------------------------------------------------------- */

static void s_append_field (
  s_out_t *out, s_field_t field, const char *value, size_t size, bool json)
{
    char escaped[RP_LOG_LINE_MAX];
    size_t limit = field == S_FIELD_MESSAGE ? RP_LOG_MESSAGE_MAX : RP_LOG_VALUE_MAX;
    size = rp_utf8_escape (value, size, escaped, limit);
    if (json)
        s_append (out, "%s\"%s\":", out->size > 1 ? "," : "", s_keys[field]);
    else
        s_append (out, "%s%s=", out->size > 0 ? " " : "", s_keys[field]);
    if (json ? field == S_FIELD_MORE : s_is_bare (escaped))
        s_append (out, "%s", escaped);
    else
        s_append_quoted (out, escaped, size, limit);
}

static size_t s_write_keys (const rp_log_line_t *line, bool json, char *buffer)
{
    s_out_t out = {.text = buffer, .room = RP_LOG_RECORD_MAX};
    char scratch[24];
    if (json)
        s_append (&out, "{");
    for (s_field_t field = 0; field < S_FIELD_MESSAGE; field++) {
        const char *value = s_value (line, field, scratch);
        if (value && *value)
            s_append_field (&out, field, value, strlen (value), json);
    }
    s_append_field (&out, S_FIELD_MESSAGE, line->text, line->size, json);
    s_append (&out, json ? "}\n" : "\n");
    return out.size;
}

/*  ---- The journal's native protocol ---------------------------------------------------------- */

/*  Fields "NAME=value", a line each: values are escaped, so none needs the form with a length. The
    message is the whole sentence, because it is what journalctl shows.  */
static size_t s_write_journal (const rp_log_line_t *line, char *buffer)
{
    s_out_t out = {.text = buffer, .room = RP_LOG_MESSAGE_MAX};
    char scratch[24];
    s_append (&out, "MESSAGE=");
    s_append_sentence (&out, line);
    out.room = RP_LOG_RECORD_MAX;
    s_append (
      &out, "\nSYSLOG_IDENTIFIER=riposte-broker\nPRIORITY=%s\n", s_styles[line->level].priority);
    for (s_field_t field = S_FIELD_TOPIC; field < S_FIELD_MESSAGE; field++) {
        const char *value = s_value (line, field, scratch);
        if (!value || !*value)
            continue;
        char escaped[RP_LOG_VALUE_MAX];
        rp_utf8_escape (value, strlen (value), escaped, sizeof escaped);
        s_append (&out, "%s=%s\n", s_journal_fields[field], escaped);
    }
    out.text[out.size++] = '\0';
    return out.size;
}

size_t rp_log_line_write (
  const rp_log_line_t *self, rp_log_format_t format, char buffer[RP_LOG_RECORD_MAX])
{
    switch (format) {
        case RP_LOG_LOGFMT:
        case RP_LOG_JSON:
            return s_write_keys (self, format == RP_LOG_JSON, buffer);
        case RP_LOG_JOURNALD:
            return s_write_journal (self, buffer);
        case RP_LOG_TEXT:
        case RP_LOG_AUTO:
            break;
    }
    return s_write_text (self, buffer);
}
