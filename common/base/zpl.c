/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/zpl.h"

#include <stdint.h>
#include <string.h>

#define S_INDENT 4u
/*  Deeper than any line: no line is skipped.  */
#define S_NOTHING SIZE_MAX

typedef struct {
    rp_zpl_item_fn *item;
    rp_zpl_error_fn *error;
    void *arg;
    bool named_sections; /* a "name = value" may have lines inside */

    /*  The current line, without its end, and the reader's position in it.  */
    const char *line;
    size_t size;
    size_t at;
    size_t number;

    char path[RP_ZPL_PATH_MAX + 1];
    size_t ends[RP_ZPL_DEPTH_MAX + 1]; /* ends[n]: size of the path of the n outer sections */
    size_t allowed;                    /* the greatest depth that the next line may have */
    size_t left_out;                   /* deeper lines are skipped, without an error */
} s_reader_t;

static void s_error (const s_reader_t *self, size_t at, const char *message)
{
    self->error ((rp_zpl_place_t){self->number, at + 1}, message, self->arg);
}

static bool s_is_name (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
           || (c != '\0' && strchr ("_-.@$&+", c));
}

static bool s_is_control (char c)
{
    return (unsigned char) c < 32 || c == 127;
}

static void s_skip_spaces (s_reader_t *self)
{
    while (self->at < self->size && self->line[self->at] == ' ')
        self->at++;
}

/*  True at the end of the line or at a comment.  */
static bool s_at_end (const s_reader_t *self)
{
    return self->at == self->size || self->line[self->at] == '#';
}

/*  Finds the value in the rest of the line. False after an error was reported.  */
static bool s_find_value (s_reader_t *self, const char **value, size_t *size)
{
    size_t begin = self->at;
    char quote = self->line[begin];
    if (quote == '"' || quote == '\'') {
        const char *close = memchr (self->line + begin + 1, quote, self->size - begin - 1);
        if (!close) {
            s_error (self, begin, "a quote that is not closed on its line");
            return false;
        }
        *value = self->line + begin + 1;
        *size = (size_t) (close - *value);
        self->at = begin + *size + 2;
        s_skip_spaces (self);
        if (!s_at_end (self))
            s_error (self, self->at, "text behind the closing quote");
        return s_at_end (self);
    }

    size_t end = begin;
    while (end < self->size && self->line[end] != '#')
        end++;
    if (end < self->size && self->line[end - 1] != ' ') {
        s_error (self, end, "a # inside a value; put the value in quotes, or a space before the #");
        return false;
    }
    while (self->line[end - 1] == ' ')
        end--;
    *value = self->line + begin;
    *size = end - begin;
    return true;
}

/*  Reads the value behind "=", and calls the item function.  */
static bool s_read_value (s_reader_t *self, rp_zpl_item_t *item)
{
    self->at++;
    s_skip_spaces (self);
    if (s_at_end (self)) {
        s_error (self, self->at, "a value is missing; an empty one is written \"\"");
        return false;
    }
    const char *value;
    size_t size;
    size_t begin = self->at;
    if (!s_find_value (self, &value, &size))
        return false;
    if (size > RP_ZPL_VALUE_MAX) {
        s_error (self, begin, "a value that is too long");
        return false;
    }
    for (size_t index = 0; index < size; index++)
        if (s_is_control (value[index])) {
            s_error (self, (size_t) (value + index - self->line), "a control character in a value");
            return false;
        }
    char copy[RP_ZPL_VALUE_MAX + 1];
    memcpy (copy, value, size);
    copy[size] = '\0';
    item->value = copy;
    item->value_at = (rp_zpl_place_t){self->number, begin + 1};
    self->item (item, self->arg);
    return true;
}

/*  The error for a character that no name has. The characters of other syntaxes are recognised: a
    section of INI, an object of JSON, a key of YAML.  */
static const char *s_explain_no_name (bool at_begin, char next)
{
    if (next == '\t')
        return "a tab; indent and separate with spaces";
    if ((at_begin && (next == '[' || next == '{')) || (!at_begin && next == ':'))
        return "not INI, YAML or JSON but ZPL: a section is a bare name on its line, and below it, "
               "indented by four spaces, \"max_body = 16MiB\"";
    return "a character that no name has";
}

/*  Reads a name and appends it to the path. False after an error was reported.  */
static bool s_read_name (s_reader_t *self, size_t depth)
{
    size_t begin = self->at;
    while (self->at < self->size && s_is_name (self->line[self->at]))
        self->at++;
    size_t size = self->at - begin;
    char next = self->at < self->size ? self->line[self->at] : ' ';
    if (size == 0 || (next != ' ' && next != '=')) {
        s_error (self, self->at, s_explain_no_name (size == 0, next));
        return false;
    }
    size_t end = self->ends[depth];
    if (end + 1 + size > RP_ZPL_PATH_MAX) {
        s_error (self, begin, "a name that is too long");
        return false;
    }
    if (end > 0)
        self->path[end++] = '/';
    memcpy (self->path + end, self->line + begin, size);
    self->path[end + size] = '\0';
    return true;
}

/*  Allows lines one deeper than depth, inside what the path names.  */
static void s_open_section (s_reader_t *self, size_t depth)
{
    self->ends[depth + 1] = strlen (self->path);
    self->allowed = depth + 1;
}

/*  Reads a line of the given depth that is not blank. False after an error was reported.  */
static bool s_read_item (s_reader_t *self, size_t depth)
{
    rp_zpl_item_t item = {.path = self->path, .name_at = {self->number, self->at + 1}};
    item.value_at = item.name_at;
    size_t begin = self->at;
    if (!s_read_name (self, depth))
        return false;
    s_skip_spaces (self);
    if (!s_at_end (self)) {
        if (self->line[self->at] == '=') {
            if (!s_read_value (self, &item))
                return false;
            if (self->named_sections && depth < RP_ZPL_DEPTH_MAX)
                s_open_section (self, depth);
            return true;
        }
        s_error (self, self->at, "neither \"=\" nor the end of the line behind the name");
        return false;
    }
    if (depth == RP_ZPL_DEPTH_MAX) {
        s_error (self, begin, "sections nested too deep");
        return false;
    }
    self->item (&item, self->arg);
    s_open_section (self, depth);
    return true;
}

static void s_read_line (s_reader_t *self)
{
    self->at = 0;
    s_skip_spaces (self);
    if (s_at_end (self))
        return;
    size_t depth = self->at / S_INDENT;
    if (self->at % S_INDENT != 0) {
        s_error (self, self->at, "indentation that is not a multiple of four spaces");
        return;
    }
    if (depth > self->left_out)
        return;
    self->left_out = S_NOTHING;
    if (depth > self->allowed) {
        s_error (self, self->at, "indented without a section above it");
        return;
    }
    self->allowed = depth;
    if (!s_read_item (self, depth))
        self->left_out = depth;
}

static void s_read (s_reader_t *self, const char *text, size_t size)
{
    self->left_out = S_NOTHING;
    for (size_t begin = 0; begin < size;) {
        const char *end = memchr (text + begin, '\n', size - begin);
        self->line = text + begin;
        self->size = end ? (size_t) (end - self->line) : size - begin;
        begin += self->size + 1;
        if (self->size > 0 && self->line[self->size - 1] == '\r')
            self->size--;
        self->number++;
        s_read_line (self);
    }
}

void rp_zpl_read (
  const char *text, size_t size, rp_zpl_item_fn *item, rp_zpl_error_fn *error, void *arg)
{
    s_read (&(s_reader_t){.item = item, .error = error, .arg = arg}, text, size);
}

void rp_zpl_read_named (
  const char *text, size_t size, rp_zpl_item_fn *item, rp_zpl_error_fn *error, void *arg)
{
    s_read (
      &(s_reader_t){.item = item, .error = error, .arg = arg, .named_sections = true}, text, size);
}
