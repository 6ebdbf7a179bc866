/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/heap.h"
#include "common/wire/head.h"
#include "common/wire/headers.h"

#define S_BUFFER (1u << 18)
/*  How a line ends that a killed broker did not finish.  */
#define S_TORN "\ttorn\n"
/*  The longest line: times and numbers, a service's name, and a header's value.  */
#define S_LINE_MAX (1024u + RP_HEADER_VALUE_MAX)

static const char *const s_names[] = {
#define S_NAME(name, text) text,
  RP_RECORD_MAP (S_NAME)
#undef S_NAME
};

int rp_history_open (const char *path)
{
    int descriptor = open (path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return -1;
    char last;
    off_t size = lseek (descriptor, 0, SEEK_END);
    if (size > 0 && pread (descriptor, &last, 1, size - 1) == 1 && last != '\n'
        && write (descriptor, S_TORN, sizeof S_TORN - 1) != sizeof S_TORN - 1) {
        int error = errno;
        close (descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

static void s_flush (rp_history_t *self)
{
    size_t written = 0;
    while (rp_history_is_kept (self) && written < self->used) {
        ssize_t size = write (self->descriptor, self->buffer + written, self->used - written);
        if (size > 0) {
            written += (size_t) size;
        }
        else if (size == 0 || errno != EINTR) {
            self->error = size == 0 ? ENOSPC : errno;
            self->descriptor = 0;
        }
    }
    self->used = 0;
    self->journal.written = self->journal.appended;
}

static void s_write (rp_journal_t *journal)
{
    s_flush (RP_CONTAINER (journal, rp_history_t, journal));
}

/*  Begins a line: time, instance of the broker, event.  */
static void s_begin (rp_history_t *self, int64_t now, const char *event)
{
    if (S_BUFFER - self->used < S_LINE_MAX)
        s_flush (self);
    self->used += (size_t) snprintf (self->buffer + self->used, S_BUFFER - self->used,
      "%" PRId64 "\t%s\t%s", now, self->party, event);
}

__attribute__ ((format (printf, 2, 3))) static void s_add (
  rp_history_t *self, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    self->used +=
      (size_t) vsnprintf (self->buffer + self->used, S_BUFFER - self->used, format, arguments);
    va_end (arguments);
}

static void s_number (rp_history_t *self, const char *key, uint64_t value)
{
    s_add (self, "\t%s=%" PRIu64, key, value);
}

/*  Appends a name or header value as it is: neither has control characters, so no tab and no
    newline.  */
static void s_text (rp_history_t *self, const char *key, const char *text, size_t size)
{
    s_add (self, "\t%s=%.*s", key, size ? (int) size : 1, size ? text : "-");
}

static void s_status (rp_history_t *self, unsigned status)
{
    s_add (self, "\tstatus=%s", rp_status_name ((int) status));
}

static void s_end_line (rp_history_t *self)
{
    self->buffer[self->used++] = '\n';
    self->journal.appended++;
}

bool rp_history_begin (rp_history_t *self, int descriptor, const char *instance, int64_t now)
{
    *self = (rp_history_t){.journal = {.write = s_write},
      .descriptor = descriptor,
      .given = descriptor,
      .buffer = malloc (S_BUFFER),
      .scraped = now};
    if (!self->buffer) {
        self->descriptor = 0;
        return false;
    }
    snprintf (self->party, sizeof self->party, "broker:%s", instance);
    s_begin (self, now, "begin");
    s_number (self, "pid", (uint64_t) getpid ());
    s_end_line (self);
    return true;
}

int rp_history_reopen (rp_history_t *self, const char *path, int64_t now)
{
    s_flush (self);
    int fresh = rp_history_open (path);
    if (fresh < 0)
        return -1;
    int rc = dup3 (fresh, self->given, O_CLOEXEC);
    int error = errno;
    close (fresh);
    errno = error;
    if (rc < 0)
        return -1;
    if (!rp_history_is_kept (self)) {
        self->descriptor = self->given;
        self->error = 0; // what was not told yet is over
        s_begin (self, now, "gap");
        s_end_line (self);
    }
    return 0;
}

void rp_history_end (rp_history_t *self, int64_t now)
{
    s_begin (self, now, "end");
    s_end_line (self);
    s_flush (self);
}

void rp_history_clear (rp_history_t *self)
{
    free (self->buffer);
    *self = (rp_history_t){0};
}

void rp_history_message (
  rp_history_t *self, int64_t now, rp_session_id_t session, const rp_head_t *head)
{
    if (session.v == 0
        || (head->command != RP_COMMAND_REQUEST && head->command != RP_COMMAND_CANCEL))
        return;
    bool request = head->command == RP_COMMAND_REQUEST;
    s_begin (self, now, request ? "request" : "cancel");
    s_number (self, "session", session.v);
    s_number (self, "id", head->id);
    if (request) {
        rp_header_t name;
        if (!rp_headers_find (head->headers, head->headers_size, RP_HISTORY_HEADER, &name))
            name.value_size = 0; // it has been written nevertheless
        s_text (self, "req", name.value, name.value_size);
        s_text (self, "service", head->name, head->name_size);
        s_number (self, "conv", head->conversation);
        if (head->flags & RP_FLAG_KEYED)
            s_number (self, "keyed", 1);
        if (head->flags & RP_FLAG_DURABLE)
            s_number (self, "job", 1);
        if (head->attempt)
            s_number (self, "made", head->attempt);
        if (head->flags & RP_FLAG_HEDGE)
            s_number (self, "hedge", 1);
        if (head->flags & RP_FLAG_ALL)
            s_number (self, "all", 1);
        if (head->priority)
            s_number (self, "priority", rp_wire_priority (head));
    }
    s_end_line (self);
}

void rp_history_terms (rp_history_t *self, int64_t now, const rp_terms_list_t *terms)
{
    for (size_t index = 0; index < terms->count; index++) {
        const rp_terms_t *each = &terms->list[index];
        if (rp_terms_throttle (each)) {
            s_begin (self, now, "throttled");
            s_text (self, "service", each->name, each->name_size);
            s_end_line (self);
        }
        if (rp_terms_overload (each, RP_OVERLOAD_LIFO)) {
            s_begin (self, now, "unordered");
            s_text (self, "service", each->name, each->name_size);
            s_end_line (self);
        }
    }
}

void rp_history_weights (rp_history_t *self, int64_t now)
{
    s_begin (self, now, "unordered");
    s_end_line (self);
}

void rp_history_ages (rp_history_t *self, int64_t now, uint64_t age_step_ms)
{
    s_begin (self, now, "ages");
    s_number (self, "step", age_step_ms * 1000);
    s_end_line (self);
}

static void s_record_session (rp_history_t *self, const rp_action_t *action)
{
    const rp_record_t *note = &action->note;
    s_number (self, "session", action->session.v);
    if (note->kind == RP_RECORD_JOIN) {
        s_add (self, "\trole=%s", note->worker.v ? "worker" : "client");
        s_text (self, "name", note->name, strlen (note->name));
        s_text (self, "service", note->service, strlen (note->service));
        s_text (self, "principal", note->principal, strlen (note->principal));
    }
    if (note->worker.v && (note->kind == RP_RECORD_JOIN || note->kind == RP_RECORD_WINDOW))
        s_number (self, "window", note->window);
}

static void s_record_request (rp_history_t *self, const rp_action_t *action)
{
    const rp_record_t *note = &action->note;
    s_number (self, "session", action->session.v);
    s_number (self, "id", note->id);
    if (note->kind == RP_RECORD_ACCEPT)
        s_text (self, "service", note->service, strlen (note->service));
    if (action->token.v) {
        s_number (self, "token", action->token.v);
        s_number (self, "worker", note->worker.v);
    }
    if (note->kind == RP_RECORD_ACCEPT || note->kind == RP_RECORD_FINAL)
        s_number (self, "attempts", note->kind == RP_RECORD_FINAL ? note->attempt : note->attempts);
    else if (note->kind != RP_RECORD_REFUSE)
        s_number (self, "attempt", note->attempt);
    if (note->kind == RP_RECORD_DISPATCH)
        s_number (self, "conv", note->conversation);
    if (note->kind == RP_RECORD_ACCEPT || note->kind == RP_RECORD_DISPATCH)
        s_add (self, "\tdeadline=%" PRId64, note->deadline);
    if (note->kind == RP_RECORD_REFUSE || note->kind == RP_RECORD_ANSWER
        || note->kind == RP_RECORD_FINAL)
        s_status (self, note->status);
    if (note->kind == RP_RECORD_FINAL && note->parts) {
        s_number (self, "parts", note->parts);
        s_number (self, "part_bytes", note->part_bytes);
    }
}

void rp_history_record (rp_history_t *self, int64_t now, const rp_action_t *action)
{
    s_begin (self, now, s_names[action->note.kind]);
    if (action->note.kind <= RP_RECORD_LEAVE) {
        s_record_session (self, action);
    }
    else if (action->note.kind == RP_RECORD_LATE) {
        s_number (self, "worker", action->note.worker.v);
        s_number (self, "token", action->token.v);
    }
    else {
        s_record_request (self, action);
    }
    s_end_line (self);
}

void rp_history_scrape (rp_history_t *self, int64_t now, const rp_stats_t *stats)
{
    if (now - self->scraped < RP_HISTORY_SCRAPE_US)
        return;
    self->scraped = now;
    uint64_t finals = 0;
    for (unsigned status = 0; status < RP_FINAL_COUNT; status++)
        finals += stats->final[status];
    s_begin (self, now, "scrape");
    s_number (self, "accepted", stats->requests);
    s_number (self, "finals", finals);
    s_number (self, "queued", stats->waiting);
    s_number (self, "running", stats->running);
    s_number (self, "late", stats->late_replies);
    s_end_line (self);
}

int rp_history_failure (rp_history_t *self)
{
    int error = self->error;
    self->error = 0;
    return error;
}
