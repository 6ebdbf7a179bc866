/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/settings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/units.h"
#include "common/base/zpl.h"
#include "common/wire/name.h"

#define S_MESSAGE_MAX 2048u
/*  Bytes of a place in words: the name of a file (cut if it is long), line and column, a path.  */
#define S_PLACE_MAX 1536u
_Static_assert(RP_SETTING_TEXT_MAX == RP_ZPL_VALUE_MAX + 1, "a file can say what an option can");
/*  Most mistakes in typing are one or two letters.  */
#define S_DISTANCE_MAX 2u

static void *s_at (const rp_setting_t *row, void *values)
{
    return (char *) values + row->offset;
}

/*  ---- Errors --------------------------------------------------------------------------------  */

static void s_blot_control (char *text)
{
    for (char *at = text; *at; at++)
        if ((unsigned char) *at < 32 || *at == 127)
            *at = '?';
}

void rp_settings_complain (rp_settings_reader_t *self, const char *format, ...)
{
    char message[S_MESSAGE_MAX];
    if (self->errors++ > RP_SETTINGS_ERRORS_MAX)
        return;
    if (self->errors > RP_SETTINGS_ERRORS_MAX)
        snprintf (message, sizeof message, "%s%smore is wrong; correct what is above first",
          self->file ? self->file : "", self->file ? ": " : "");
    else {
        va_list list;
        va_start (list, format);
        vsnprintf (message, sizeof message, format, list);
        va_end (list);
    }
    s_blot_control (message);
    self->error (message, self->arg);
}

/*  Writes the place of a row's value, in words.  */
static const char *s_place (
  const rp_setting_source_t *source, const char *path, char place[S_PLACE_MAX])
{
    char variable[RP_SETTING_VARIABLE_MAX];
    if (source->line > 0)
        snprintf (
          place, S_PLACE_MAX, "%.1024s:%zu:%zu", source->name, source->line, source->column);
    else
        snprintf (place, S_PLACE_MAX, "%s%.1024s", source->name ? source->dashes : "",
          source->name ? source->name : rp_setting_variable (path, variable));
    return place;
}

/*  Writes the beginning of an error about a value: its place, and its path unless the place has
    it.  */
static const char *s_subject (
  const rp_setting_source_t *source, const char *path, char subject[S_PLACE_MAX])
{
    s_place (source, path, subject);
    size_t used = strlen (subject);
    if (!source->names_setting)
        snprintf (subject + used, S_PLACE_MAX - used, ": %s", path);
    return subject;
}

void rp_settings_complain_pair (
  rp_settings_reader_t *self, size_t one, size_t other, const char *format, ...)
{
    char place[S_PLACE_MAX] = "";
    char message[S_MESSAGE_MAX];
    size_t index = self->sources[other].round > self->sources[one].round ? other : one;
    if (self->sources[index].round > 0)
        s_place (&self->sources[index], self->table->rows[index].path, place);
    va_list list;
    va_start (list, format);
    vsnprintf (message, sizeof message, format, list);
    va_end (list);
    rp_settings_complain (self, "%s%s%s", place, *place ? ": " : "", message);
}

/*  ---- One value -----------------------------------------------------------------------------  */

const char *rp_setting_write_number (
  const rp_setting_t *row, uint64_t value, char buffer[RP_UNITS_TEXT_MAX])
{
    if (row->kind == RP_SETTING_TIME)
        return rp_duration_write (buffer, (int64_t) value * RP_US_PER_MS);
    if (row->kind == RP_SETTING_BYTES)
        return rp_size_write (buffer, value);
    if (row->kind == RP_SETTING_CHOICE)
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%s", row->choices[value]);
    else
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64, value);
    return buffer;
}

const char *rp_setting_range (const rp_setting_t *row, char buffer[RP_SETTING_REASON_MAX])
{
    char low[RP_UNITS_TEXT_MAX];
    char high[RP_UNITS_TEXT_MAX];
    if (row->form)
        snprintf (buffer, RP_SETTING_REASON_MAX, "%s", row->form);
    else if (row->kind != RP_SETTING_CHOICE)
        snprintf (buffer, RP_SETTING_REASON_MAX, "%s to %s",
          rp_setting_write_number (row, row->smallest, low),
          rp_setting_write_number (row, row->largest, high));
    else {
        size_t used = 0;
        for (size_t index = 0; row->choices[index]; index++) {
            const char *joint = index == 0 ? "" : row->choices[index + 1] ? ", " : " or ";
            int size = snprintf (
              buffer + used, RP_SETTING_REASON_MAX - used, "%s%s", joint, row->choices[index]);
            // Choices are few and short.
            RP_CHECK (size >= 0 && (size_t) size < RP_SETTING_REASON_MAX - used);
            used += (size_t) size;
        }
    }
    return buffer;
}

uint64_t rp_setting_number (const rp_setting_t *row, const void *values)
{
    const char *at = (const char *) values + row->offset;
    if (row->kind == RP_SETTING_CHOICE)
        return (uint64_t) * (const int *) (const void *) at;
    return *(const uint64_t *) (const void *) at;
}

static void s_set_number (const rp_setting_t *row, void *values, uint64_t value)
{
    if (row->kind == RP_SETTING_CHOICE)
        *(int *) s_at (row, values) = (int) value;
    else
        *(uint64_t *) s_at (row, values) = value;
}

static bool s_parse_choice (const rp_setting_t *row, const char *text, uint64_t *value)
{
    for (size_t index = 0; row->choices[index]; index++)
        if (strcmp (row->choices[index], text) == 0) {
            *value = index;
            return true;
        }
    return false;
}

/*  False if the text is no value of the row; reason is then a clause that follows the setting.  */
static bool s_parse_number (
  const rp_setting_t *row, const char *text, uint64_t *value, char reason[RP_SETTING_REASON_MAX])
{
    const char *why = NULL;
    int64_t duration = 0;
    bool parsed;
    if (row->kind == RP_SETTING_TIME) {
        parsed = rp_duration_parse (text, &duration, &why);
        *value = (uint64_t) (duration / RP_US_PER_MS);
        if (parsed && duration % RP_US_PER_MS != 0) {
            parsed = false;
            why = "wants a duration in whole milliseconds";
        }
    }
    else if (row->kind == RP_SETTING_BYTES)
        parsed = rp_size_parse (text, value, &why);
    else
        parsed = rp_count_parse (text, value, &why);
    if (!parsed) {
        snprintf (reason, RP_SETTING_REASON_MAX, "%s", why);
        return false;
    }
    return *value >= row->smallest && *value <= row->largest;
}

static bool s_store_number (
  const rp_setting_t *row, void *values, const char *text, char reason[RP_SETTING_REASON_MAX])
{
    uint64_t value = 0;
    char range[RP_SETTING_REASON_MAX];
    *reason = '\0';
    bool good = row->kind == RP_SETTING_CHOICE ? s_parse_choice (row, text, &value)
                                               : s_parse_number (row, text, &value, reason);
    if (good)
        s_set_number (row, values, value);
    else if (*reason == '\0')
        snprintf (reason, RP_SETTING_REASON_MAX, "wants %.240s", rp_setting_range (row, range));
    return good;
}

static bool s_store_text (
  const rp_setting_t *row, void *values, const char *text, char reason[RP_SETTING_REASON_MAX])
{
    char **at = s_at (row, values);
    size_t size = strlen (text) + 1;
    char *copy = size > 1 ? malloc (size) : NULL;
    if (size > 1 && !copy) {
        snprintf (reason, RP_SETTING_REASON_MAX, "does not fit into memory");
        return false;
    }
    if (copy)
        memcpy (copy, text, size);
    free (*at);
    *at = copy;
    return true;
}

/*  True if a file could contain this text; otherwise reason is a clause that says why not.  */
static bool s_can_be_written (const char *text, char reason[RP_SETTING_REASON_MAX])
{
    const char *why = strlen (text) >= RP_SETTING_TEXT_MAX ? "is too long"
                      : strchr (text, '"')                 ? "has a quote"
                                                           : NULL;
    for (const char *at = text; !why && *at; at++)
        if ((unsigned char) *at < 32 || *at == 127)
            why = "has a control character";
    if (why)
        snprintf (reason, RP_SETTING_REASON_MAX, "%s", why);
    return !why;
}

static bool s_store (
  const rp_setting_t *row, void *values, const char *text, char reason[RP_SETTING_REASON_MAX])
{
    if (row->kind == RP_SETTING_LIST)
        return s_can_be_written (text, reason) && row->list->add (values, text, reason);
    if (row->kind == RP_SETTING_TEXT)
        return s_can_be_written (text, reason) && s_store_text (row, values, text, reason);
    return s_store_number (row, values, text, reason);
}

static bool s_is_text (const rp_setting_t *row)
{
    return row->kind == RP_SETTING_TEXT || row->kind == RP_SETTING_LIST;
}

/*  ---- All of them ---------------------------------------------------------------------------  */

bool rp_settings_init (const rp_setting_table_t *table, void *values)
{
    char reason[RP_SETTING_REASON_MAX];
    RP_CHECK (table->count <= RP_SETTINGS_MAX);
    for (size_t index = 0; index < table->count; index++) {
        const rp_setting_t *row = &table->rows[index];
        if (!s_is_text (row))
            s_set_number (row, values, row->initial);
        else if (row->text && !s_store (row, values, row->text, reason))
            return false;
    }
    return true;
}

void rp_settings_clear (const rp_setting_table_t *table, void *values)
{
    for (size_t index = 0; index < table->count; index++) {
        const rp_setting_t *row = &table->rows[index];
        if (row->kind == RP_SETTING_LIST)
            row->list->clear (values);
        else if (row->kind == RP_SETTING_TEXT) {
            char **at = s_at (row, values);
            free (*at);
            *at = NULL;
        }
    }
}

size_t rp_settings_find (const rp_setting_table_t *table, const char *path)
{
    size_t index = 0;
    while (index < table->count && strcmp (table->rows[index].path, path) != 0)
        index++;
    return index;
}

static const char *s_text_of (const rp_setting_t *row, const void *values)
{
    const char *text = *(char *const *) (const void *) ((const char *) values + row->offset);
    return text ? text : "";
}

const char *rp_setting_text (
  const rp_setting_t *row, const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX])
{
    if (row->kind == RP_SETTING_LIST)
        return row->list->at (values, index, buffer);
    if (index > 0)
        return NULL;
    if (row->kind != RP_SETTING_TEXT)
        return rp_setting_write_number (row, rp_setting_number (row, values), buffer);
    const char *text = s_text_of (row, values);
    return *text ? text : NULL;
}

const char *rp_setting_default (const rp_setting_t *row, char buffer[RP_UNITS_TEXT_MAX])
{
    return s_is_text (row) ? row->text : rp_setting_write_number (row, row->initial, buffer);
}

static bool s_lists_differ (const rp_setting_t *row, const void *one, const void *other)
{
    char buffers[2][RP_SETTING_TEXT_MAX];
    for (size_t index = 0;; index++) {
        const char *left = row->list->at (one, index, buffers[0]);
        const char *right = row->list->at (other, index, buffers[1]);
        if (!left || !right)
            return left != right;
        if (strcmp (left, right) != 0)
            return true;
    }
}

bool rp_setting_differs (const rp_setting_t *row, const void *one, const void *other)
{
    if (row->kind == RP_SETTING_LIST)
        return s_lists_differ (row, one, other);
    if (row->kind == RP_SETTING_TEXT)
        return strcmp (s_text_of (row, one), s_text_of (row, other)) != 0;
    return rp_setting_number (row, one) != rp_setting_number (row, other);
}

bool rp_setting_copy (const rp_setting_t *row, void *to, const void *from)
{
    char buffer[RP_SETTING_TEXT_MAX];
    char reason[RP_SETTING_REASON_MAX];
    if (!s_is_text (row)) {
        s_set_number (row, to, rp_setting_number (row, from));
        return true;
    }
    if (row->kind == RP_SETTING_TEXT)
        return s_store_text (row, to, s_text_of (row, from), reason);
    row->list->clear (to);
    const char *text;
    for (size_t index = 0; (text = row->list->at (from, index, buffer)); index++)
        if (!row->list->add (to, text, reason))
            return false;
    return true;
}

static bool s_is_section (const rp_setting_table_t *table, const char *path)
{
    size_t size = strlen (path);
    for (size_t index = 0; index < table->count; index++)
        if (strncmp (table->rows[index].path, path, size) == 0
            && table->rows[index].path[size] == '/')
            return true;
    return false;
}

const char *rp_setting_variable (const char *path, char buffer[RP_SETTING_VARIABLE_MAX])
{
    int size = snprintf (buffer, RP_SETTING_VARIABLE_MAX, "RIPOSTE_%s", path);
    RP_CHECK (size >= 0 && (size_t) size < RP_SETTING_VARIABLE_MAX); // the program's own paths fit
    for (char *at = buffer; *at; at++)
        if (*at == '/')
            *at = '_';
        else if (*at >= 'a' && *at <= 'z')
            *at = (char) (*at - 'a' + 'A');
    return buffer;
}

const char *rp_setting_source_write (
  const rp_setting_source_t *source, const char *path, char buffer[RP_SETTING_SOURCE_MAX])
{
    char variable[RP_SETTING_VARIABLE_MAX];
    if (source->round == 0)
        snprintf (buffer, RP_SETTING_SOURCE_MAX, "default");
    else if (source->line > 0)
        snprintf (buffer, RP_SETTING_SOURCE_MAX, "file %.1024s:%zu", source->name, source->line);
    else if (source->name && *source->dashes)
        snprintf (buffer, RP_SETTING_SOURCE_MAX, "option %s%.1024s", source->dashes, source->name);
    else
        snprintf (buffer, RP_SETTING_SOURCE_MAX, "environment %.1024s",
          source->name ? source->name : rp_setting_variable (path, variable));
    s_blot_control (buffer);
    return buffer;
}

/*  ---- Reading -------------------------------------------------------------------------------  */

/*  Finds the path nearest to a mistyped one; for a path without a section, the nearest section.
    *size is the size of the part that matched. NULL if none is near.  */
static const char *s_find_nearest (const rp_setting_table_t *table, const char *path, size_t *size)
{
    const char *nearest = NULL;
    size_t best = S_DISTANCE_MAX + 1;
    for (size_t index = 0; index < table->count; index++) {
        const char *other = table->rows[index].path;
        size_t length = strchr (path, '/') ? strlen (other) : strcspn (other, "/");
        size_t distance = rp_name_distance (path, strlen (path), other, length, best - 1);
        if (distance < best) {
            best = distance;
            nearest = other;
            *size = length;
        }
    }
    return nearest;
}

static void s_complain_unknown (
  rp_settings_reader_t *self, const rp_setting_source_t *source, const char *path)
{
    const rp_setting_table_t *table = self->table;
    char place[S_PLACE_MAX];
    s_place (source, path, place);
    for (size_t index = 0; index < table->renamed_count; index++)
        if (strcmp (path, table->renamed[index][0]) == 0) {
            rp_settings_complain (
              self, "%s: %s is called %s now", place, path, table->renamed[index][1]);
            return;
        }
    size_t size = 0;
    const char *nearest = s_find_nearest (table, path, &size);
    if (nearest)
        rp_settings_complain (
          self, "%s: unknown setting %s (did you mean %.*s?)", place, path, (int) size, nearest);
    else
        rp_settings_complain (
          self, "%s: unknown setting %s; see: %s --print-config", place, path, table->program);
}

/*  Stores text as the value of a row, or reports why not. A later text replaces an earlier one; in
    a LIST, the texts of a later source replace those of an earlier one.  */
static void s_set (
  rp_settings_reader_t *self, size_t index, const char *text, const rp_setting_source_t *source)
{
    const rp_setting_t *row = &self->table->rows[index];
    rp_setting_source_t before = self->sources[index];
    char subject[S_PLACE_MAX];
    char reason[RP_SETTING_REASON_MAX];
    self->sources[index] = *source;
    if (row->kind == RP_SETTING_LIST && before.round != source->round)
        row->list->clear (self->values);
    if (s_store (row, self->values, text, reason))
        return;
    s_subject (source, row->path, subject);
    if (s_is_text (row))
        rp_settings_complain (self, "%s: \"%s\" %s", subject, text, reason);
    else
        rp_settings_complain (self, "%s %s, not \"%s\"", subject, reason, text);
}

static void s_take_item (const rp_zpl_item_t *item, void *arg)
{
    rp_settings_reader_t *self = arg;
    const rp_setting_table_t *table = self->table;
    size_t index = rp_settings_find (table, item->path);
    rp_setting_source_t name = {.name = self->file,
      .line = item->name_at.line,
      .column = item->name_at.column,
      .round = self->round};
    rp_setting_source_t value = name;
    value.line = item->value_at.line;
    value.column = item->value_at.column;
    char subject[S_PLACE_MAX];

    if (index == table->count && !s_is_section (table, item->path))
        s_complain_unknown (self, &name, item->path);
    else if (index == table->count && item->value)
        rp_settings_complain (
          self, "%s is a section and takes no value", s_subject (&value, item->path, subject));
    else if (index < table->count && !item->value)
        rp_settings_complain (self, "%s wants a value", s_subject (&name, item->path, subject));
    else if (index < table->count && table->rows[index].kind != RP_SETTING_LIST
             && self->sources[index].round == self->round)
        rp_settings_complain (self, "%s was set before, in line %zu",
          s_subject (&name, item->path, subject), self->sources[index].line);
    else if (index < table->count)
        s_set (self, index, item->value, &value);
}

static void s_take_error (rp_zpl_place_t place, const char *message, void *arg)
{
    rp_settings_reader_t *self = arg;
    rp_settings_complain (
      self, "%.1024s:%zu:%zu: %s", self->file, place.line, place.column, message);
}

void rp_settings_read_file (
  rp_settings_reader_t *self, const char *text, size_t size, const char *name)
{
    self->round++;
    self->file = name;
    rp_zpl_read (text, size, s_take_item, s_take_error, self);
    self->file = NULL;
}

void rp_settings_read_environment (rp_settings_reader_t *self, char *(*lookup) (const char *name))
{
    char variable[RP_SETTING_VARIABLE_MAX];
    rp_setting_source_t source = {.names_setting = true, .round = ++self->round};
    for (size_t index = 0; index < self->table->count; index++) {
        const char *text = lookup (rp_setting_variable (self->table->rows[index].path, variable));
        if (text && *text)
            s_set (self, index, text, &source);
    }
}

/*  Reads NAME=VALUE as a setting of a section.  */
static void s_read_section (
  rp_settings_reader_t *self, const rp_setting_given_t *given, const rp_setting_source_t *source)
{
    const char *equals = strchr (given->text, '=');
    if (!equals) {
        rp_settings_complain (self, "%s%s wants NAME=VALUE, not \"%s\"; see: %s --help settings",
          given->dashes, given->name, given->text, self->table->program);
        return;
    }
    char path[RP_ZPL_PATH_MAX + 1];
    snprintf (path, sizeof path, "%s%.*s", given->path, (int) (equals - given->text), given->text);
    size_t index = rp_settings_find (self->table, path);
    if (index < self->table->count)
        s_set (self, index, equals + 1, source);
    else
        s_complain_unknown (self, source, path);
}

static void s_read_one (rp_settings_reader_t *self, const rp_setting_given_t *given)
{
    size_t size = strlen (given->path);
    rp_setting_source_t source = {
      .name = given->name, .dashes = given->dashes, .round = self->round};
    if (size > 0 && given->path[size - 1] == '/') {
        s_read_section (self, given, &source);
        return;
    }
    size_t index = rp_settings_find (self->table, given->path);
    RP_CHECK (index < self->table->count); // the row is in the program's own table
    source.names_setting = true;
    s_set (self, index, given->text, &source);
}

void rp_settings_read_given (
  rp_settings_reader_t *self, const rp_setting_given_t *given, size_t count)
{
    for (int is_option = 0; is_option <= 1; is_option++) {
        self->round++;
        for (size_t index = 0; index < count; index++)
            if ((*given[index].dashes != '\0') == is_option)
                s_read_one (self, &given[index]);
    }
}
