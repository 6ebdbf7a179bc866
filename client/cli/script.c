/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*  The line being read, and the body being made.  */
typedef struct {
    const char *at;
    const char *end;
    const rp_script_variables_t *variables;
    char *body;
    size_t size;
    size_t room;
    char *reason;
} s_reader_t;

static bool s_begins_name (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t s_name_size (const char *text, const char *end)
{
    const char *at = text;
    if (at < end && s_begins_name (*at))
        while (at < end && (s_begins_name (*at) || (*at >= '0' && *at <= '9')))
            at++;
    return (size_t) (at - text);
}

bool rp_script_variable (const char *text, rp_script_variable_t *variable)
{
    size_t size = s_name_size (text, text + strlen (text));
    if (size == 0 || text[size] != '=')
        return false;
    *variable = (rp_script_variable_t){.name = text, .name_size = size, .value = text + size + 1};
    return true;
}

static rp_script_outcome_t s_add (s_reader_t *self, const char *data, size_t size)
{
    if (size > self->room - self->size) {
        size_t room = 2 * self->room + size;
        char *body = realloc (self->body, room);
        if (!body)
            return RP_SCRIPT_NO_MEMORY;
        self->body = body;
        self->room = room;
    }
    memcpy (self->body + self->size, data, size);
    self->size += size;
    return RP_SCRIPT_REQUEST;
}

static int s_hex_digit (char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*  Reads the part behind a backslash.  */
static rp_script_outcome_t s_read_escape (s_reader_t *self)
{
    static const char letters[] = "nrt\\$#";
    static const char bytes[] = "\n\r\t\\$#";
    if (self->at == self->end) {
        snprintf (self->reason, RP_SCRIPT_REASON_MAX, "ends with a backslash; write \\\\");
        return RP_SCRIPT_WRONG;
    }
    char letter = *self->at++;
    const char *found = letter == '\0' ? NULL : strchr (letters, letter);
    if (found)
        return s_add (self, bytes + (found - letters), 1);
    if (letter == 'x' && self->end - self->at >= 2) {
        int high = s_hex_digit (self->at[0]);
        int low = s_hex_digit (self->at[1]);
        if (high >= 0 && low >= 0) {
            self->at += 2;
            char byte = (char) (high * 16 + low);
            return s_add (self, &byte, 1);
        }
    }
    snprintf (self->reason, RP_SCRIPT_REASON_MAX,
      "knows \\n \\r \\t \\\\ \\$ \\# \\xHH, not \"\\%c\"; write \\\\ for a backslash",
      letter >= ' ' && letter < 127 ? letter : '?');
    return RP_SCRIPT_WRONG;
}

static rp_script_variable_t *s_find (const s_reader_t *self, const char *name, size_t size)
{
    for (size_t index = 0; index < self->variables->count; index++) {
        rp_script_variable_t *variable = &self->variables->items[index];
        if (variable->name_size == size && memcmp (variable->name, name, size) == 0)
            return variable;
    }
    return NULL;
}

/*  Adds the value of a variable, or fallback (NULL: none).  */
static rp_script_outcome_t s_add_value (
  s_reader_t *self, const char *name, size_t size, const char *fallback, size_t fallback_size)
{
    rp_script_variable_t *variable = s_find (self, name, size);
    if (variable) {
        variable->used = true;
        return s_add (self, variable->value, strlen (variable->value));
    }
    if (fallback)
        return s_add (self, fallback, fallback_size);
    int shown = size < 64 ? (int) size : 64;
    snprintf (self->reason, RP_SCRIPT_REASON_MAX,
      "uses $%.*s, which is not set; give it: --set %.*s=VALUE", shown, name, shown, name);
    return RP_SCRIPT_WRONG;
}

/*  Reads the part behind a dollar sign.  */
static rp_script_outcome_t s_read_variable (s_reader_t *self)
{
    bool braces = self->at < self->end && *self->at == '{';
    const char *name = self->at + braces;
    size_t size = s_name_size (name, self->end);
    if (size == 0)
        return s_add (self, "$", 1);
    const char *rest = name + size;
    if (!braces) {
        self->at = rest;
        return s_add_value (self, name, size, NULL, 0);
    }
    const char *close = memchr (rest, '}', (size_t) (self->end - rest));
    bool has_default = close && close - rest >= 2 && rest[0] == ':' && rest[1] == '-';
    if (!close || (close != rest && !has_default)) {
        snprintf (self->reason, RP_SCRIPT_REASON_MAX,
          "has a \"${\" that is neither ${NAME} nor ${NAME:-DEFAULT}; "
          "write \\$ for a dollar");
        return RP_SCRIPT_WRONG;
    }
    self->at = close + 1;
    return s_add_value (self, name, size, has_default ? rest + 2 : NULL,
      has_default ? (size_t) (close - rest - 2) : 0);
}

static rp_script_outcome_t s_read_all (s_reader_t *self)
{
    while (self->at < self->end) {
        const char *from = self->at;
        while (self->at < self->end && *self->at != '\\' && *self->at != '$')
            self->at++;
        rp_script_outcome_t outcome = s_add (self, from, (size_t) (self->at - from));
        if (outcome == RP_SCRIPT_REQUEST && self->at < self->end)
            outcome = *self->at++ == '$' ? s_read_variable (self) : s_read_escape (self);
        if (outcome != RP_SCRIPT_REQUEST)
            return outcome;
    }
    return RP_SCRIPT_REQUEST;
}

rp_script_outcome_t rp_script_read_line (const char *line,
  size_t size,
  const rp_script_variables_t *variables,
  rp_script_request_t *request,
  char *reason)
{
    if (size > 0 && line[size - 1] == '\n')
        size--;
    if (size > 0 && line[size - 1] == '\r')
        size--;
    size_t blanks = 0;
    while (blanks < size && (line[blanks] == ' ' || line[blanks] == '\t'))
        blanks++;
    if (blanks == size || line[blanks] == '#')
        return RP_SCRIPT_NOTHING;

    // size + 1 bytes, so that an empty body (an empty variable) has an address too.
    s_reader_t reader = {.at = line,
      .end = line + size,
      .variables = variables,
      .body = malloc (size + 1),
      .room = size + 1,
      .reason = reason};
    rp_script_outcome_t outcome = reader.body ? s_read_all (&reader) : RP_SCRIPT_NO_MEMORY;
    if (outcome == RP_SCRIPT_REQUEST)
        *request = (rp_script_request_t){.body = reader.body, .size = reader.size};
    else
        free (reader.body);
    return outcome;
}

static rp_script_outcome_t s_append (rp_script_t *self, rp_script_request_t *request)
{
    if (self->count == self->room) {
        size_t room = 2 * self->room + 16;
        rp_script_request_t *requests = realloc (self->requests, room * sizeof *requests);
        if (!requests) {
            free (request->body);
            return RP_SCRIPT_NO_MEMORY;
        }
        self->requests = requests;
        self->room = room;
    }
    self->requests[self->count++] = *request;
    return RP_SCRIPT_REQUEST;
}

rp_script_outcome_t rp_script_read (rp_script_t *self,
  const char *text,
  size_t size,
  const rp_script_variables_t *variables,
  size_t *line,
  char *reason)
{
    *line = 1;
    if (size == 0)
        return RP_SCRIPT_REQUEST; // text may be NULL now
    const char *end = text + size;
    for (; text < end; ++*line) {
        const char *newline = memchr (text, '\n', (size_t) (end - text));
        const char *next = newline ? newline + 1 : end;
        rp_script_request_t request;
        rp_script_outcome_t outcome =
          rp_script_read_line (text, (size_t) (next - text), variables, &request, reason);
        if (outcome == RP_SCRIPT_REQUEST)
            outcome = s_append (self, &request);
        if (outcome == RP_SCRIPT_WRONG || outcome == RP_SCRIPT_NO_MEMORY)
            return outcome;
        text = next;
    }
    return RP_SCRIPT_REQUEST;
}

void rp_script_free (rp_script_t *self)
{
    for (size_t index = 0; index < self->count; index++)
        free (self->requests[index].body);
    free (self->requests);
    *self = (rp_script_t){0};
}
