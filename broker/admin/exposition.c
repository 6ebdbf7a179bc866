/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/exposition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/utf8.h"

/*  ---- Which format --------------------------------------------------------------------------- */

#define S_OPEN "application/openmetrics-text"
#define S_TEXT "text/plain"
#define S_SPACE " \t"

/*  True if a text of this size is the word, of any case, apart from space around it.  */
static bool s_is (const char *text, size_t size, const char *word)
{
    size_t before = strspn (text, S_SPACE);
    if (before > size)
        return false;
    text += before;
    size -= before;
    while (size > 0 && strchr (S_SPACE, text[size - 1]))
        size--;
    return size == strlen (word) && strncasecmp (text, word, size) == 0;
}

/*  Reads the parameters of one entry of Accept, up to its end. Returns how much it is wanted, 0 to 1; 0 too if it
    has another version than this one.  */
static double s_weight (const char *at, const char *end, const char *version)
{
    double weight = 1;
    while (at < end) {
        const char *name = at + 1; // behind the semicolon
        size_t size = strcspn (name, ",;");
        size_t value = strcspn (name, "=,;") + 1;
        if (value <= size && s_is (name, value - 1, "q"))
            weight = strtod (name + value, NULL);
        else if (value <= size && s_is (name, value - 1, "version")
                 && !s_is (name + value, size - value, version))
            return 0;
        at = name + size;
    }
    return weight;
}

/*  How much an Accept header wants a type by its name, 0 to 1.  */
static double s_wanted (const char *accept, const char *type, const char *version)
{
    double most = 0;
    for (const char *at = accept; *at;) {
        const char *end = at + strcspn (at, ",");
        size_t size = strcspn (at, ",;");
        double weight = s_is (at, size, type) ? s_weight (at + size, end, version) : 0;
        most = weight > most ? weight : most;
        at = *end ? end + 1 : end;
    }
    return most;
}

bool rp_exposition_is_open (const char *accept)
{
    double open = s_wanted (accept, S_OPEN, "1.0.0");
    return open > 0 && open >= s_wanted (accept, S_TEXT, "0.0.4");
}

/*  ---- Lines ---------------------------------------------------------------------------------- */

static bool s_ends_with (const char *name, size_t size, const char *end)
{
    size_t length = strlen (end);
    return size > length && memcmp (name + size - length, end, length) == 0;
}

void rp_exposition_head (
  rp_exposition_t *self, const char *name, const char *type, const char *help)
{
    size_t size = strlen (name);
    if (self->open && s_ends_with (name, size, "_total"))
        size -= strlen ("_total");
    rp_sheet_print (&self->sheet, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int) size, name, help,
      (int) size, name, type);
    const char *unit = s_ends_with (name, size, "_seconds") ? "seconds"
                       : s_ends_with (name, size, "_bytes") ? "bytes"
                                                            : NULL;
    if (self->open && unit)
        rp_sheet_print (&self->sheet, "# UNIT %.*s %s\n", (int) size, name, unit);
}

void rp_exposition_single (
  rp_exposition_t *self, const char *name, const char *type, const char *help, uint64_t value)
{
    rp_exposition_head (self, name, type, help);
    rp_sheet_print (&self->sheet, "%s %" PRIu64 "\n", name, value);
}

void rp_exposition_begin (
  rp_exposition_t *self, const char *name, const char *part, const char *label)
{
    rp_sheet_text (&self->sheet, name);
    rp_sheet_text (&self->sheet, part);
    rp_sheet_text (&self->sheet, "{service=\"");
    rp_sheet_text (&self->sheet, label);
    rp_sheet_write (&self->sheet, "\"", 1);
}

void rp_exposition_add (rp_exposition_t *self, const char *key, const char *text)
{
    rp_sheet_write (&self->sheet, ",", 1);
    rp_sheet_text (&self->sheet, key);
    rp_sheet_text (&self->sheet, "=\"");
    rp_sheet_text (&self->sheet, text);
    rp_sheet_write (&self->sheet, "\"", 1);
}

void rp_exposition_end (rp_exposition_t *self, uint64_t value)
{
    rp_sheet_text (&self->sheet, "} ");
    rp_sheet_number (&self->sheet, value);
    rp_sheet_write (&self->sheet, "\n", 1);
}

void rp_exposition_end_seconds (rp_exposition_t *self, uint64_t micros)
{
    rp_sheet_text (&self->sheet, "} ");
    rp_sheet_seconds (&self->sheet, micros);
    rp_sheet_write (&self->sheet, "\n", 1);
}

const char *rp_exposition_label (const char *text, char buffer[RP_EXPOSITION_LABEL_MAX])
{
    const char *plain = text;
    while (*plain >= ' ' && *plain <= '~' && *plain != '\\' && *plain != '"')
        plain++;
    if (!*plain)
        return text;
    char visible[4 * RP_WIRE_NAME_MAX + 1];
    rp_utf8_escape (text, strlen (text), visible, sizeof visible);
    char *at = buffer;
    for (const char *from = visible; *from; from++) {
        if (*from == '\\' || *from == '"')
            *at++ = '\\';
        *at++ = *from;
    }
    *at = '\0';
    return buffer;
}

char *rp_exposition_finish (rp_exposition_t *self, size_t *size)
{
    if (self->open)
        rp_sheet_text (&self->sheet, "# EOF\n");
    return rp_sheet_finish (&self->sheet, size);
}
