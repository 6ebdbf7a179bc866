/*  Log lines: writes one line of the log in each of its formats.

    SPDX-License-Identifier: MPL-2.0

    A peer chooses the names in a line. In every format, bytes that could control a terminal, or be
    invisible, are escaped as in the broker's other answers (common/base/utf8.h), so a name is the
    same text everywhere, no value has a newline, and different names stay different. A value that is
    too long is cut; the line stays well-formed.

    docs/OPERATIONS.md has the keys (tests/arch/documents.py compares).

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_LOG_LINES_H
#define RP_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"

/*  AUTO: journald if stderr is the journal, otherwise text.  */
typedef enum {
    RP_LOG_TEXT,
    RP_LOG_LOGFMT,
    RP_LOG_JSON,
    RP_LOG_JOURNALD,
    RP_LOG_AUTO,
} rp_log_format_t;

/*  The length at which a line of text is cut, with its end.  */
#define RP_LOG_LINE_MAX 2048u
/*  The largest line of another format, with its end.  */
#define RP_LOG_RECORD_MAX 4096u
/*  Bytes at which a message is cut in those formats, and each other value.  */
#define RP_LOG_MESSAGE_MAX 2000u
#define RP_LOG_VALUE_MAX 400u

/*  name, key in logfmt and JSON, field of the journal.  */
#define RP_LOG_FIELD_MAP(X)                                                                        \
    X (TIME, "time", "")                                                                           \
    X (LEVEL, "level", "PRIORITY")                                                                 \
    X (TOPIC, "topic", "RIPOSTE_TOPIC")                                                            \
    X (PEER, "peer", "RIPOSTE_PEER")                                                               \
    X (PRINCIPAL, "principal", "RIPOSTE_PRINCIPAL")                                                \
    X (SERVICE, "service", "RIPOSTE_SERVICE")                                                      \
    X (REQUEST_ID, "request_id", "RIPOSTE_REQUEST_ID")                                             \
    X (MORE, "more", "RIPOSTE_MORE")                                                               \
    X (MESSAGE, "message", "MESSAGE")

/*  Whom and what a line is about; a member that does not apply is NULL or "".  */
typedef struct {
    const char *peer; /* its address */
    const char *principal;
    const char *service;
    const char *request_id; /* the value of the request's header request-id */
} rp_log_about_t;

typedef struct {
    rp_level_t level;
    rp_topic_t topic;
    rp_log_about_t about;
    uint64_t more;    /* lines of this topic that were held back before this one */
    const char *time; /* for formats that have it; "": text for a reader that adds the time, and
                         wants the priority */
    const char *text;
    size_t size;
    bool color; /* of the level, in text */
} rp_log_line_t;

/*  The word for a level, and for a topic: "warning", "denied" …  */
const char *rp_log_level_name (rp_level_t level);
const char *rp_log_topic_name (rp_topic_t topic);

/*  Writes a line and its end into buffer: a newline, or for the journal, whose datagrams need no
    end, NUL. Not AUTO. Returns the number of bytes.  */
size_t rp_log_line_write (
  const rp_log_line_t *self, rp_log_format_t format, char buffer[RP_LOG_RECORD_MAX]);

#endif
