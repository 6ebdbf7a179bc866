/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_FIRST_ROOM ((size_t) 16384)
/*  Most of what is printed takes less.  */
#define S_LINE ((size_t) 1024)
/*  2^64 has twenty digits.  */
#define S_DIGITS 20u

static void s_fail (rp_sheet_t *self)
{
    free (self->bytes);
    *self = (rp_sheet_t){.failed = true};
}

char *rp_sheet_reserve (rp_sheet_t *self, size_t size)
{
    if (self->failed)
        return NULL;
    if (self->room - self->size >= size && self->bytes)
        return self->bytes + self->size;
    size_t room = self->room ? self->room : S_FIRST_ROOM;
    while (room - self->size < size)
        room *= 2;
    char *bytes = realloc (self->bytes, room);
    if (!bytes) {
        s_fail (self);
        return NULL;
    }
    self->bytes = bytes;
    self->room = room;
    return bytes + self->size;
}

/*  Puts at least `places` digits in front of end. Returns the first.  */
static char *s_digits (char *end, uint64_t number, unsigned places)
{
    char *at = end;
    for (; number > 0 || end - at < (ptrdiff_t) places; number /= 10)
        *--at = (char) ('0' + number % 10);
    return at;
}

void rp_sheet_number (rp_sheet_t *self, uint64_t number)
{
    char digits[S_DIGITS];
    char *end = digits + sizeof digits;
    char *first = s_digits (end, number, 1);
    rp_sheet_write (self, first, (size_t) (end - first));
}

void rp_sheet_seconds (rp_sheet_t *self, uint64_t micros)
{
    char places[6];
    rp_sheet_number (self, micros / 1000000);
    rp_sheet_write (self, ".", 1);
    rp_sheet_write (
      self, s_digits (places + sizeof places, micros % 1000000, sizeof places), sizeof places);
}

void rp_sheet_print (rp_sheet_t *self, const char *format, ...)
{
    va_list arguments, again;
    va_start (arguments, format);
    va_copy (again, arguments);
    char *at = rp_sheet_reserve (self, S_LINE);
    int size = at ? vsnprintf (at, S_LINE, format, arguments) : 0;
    if (size >= (int) S_LINE) {
        at = rp_sheet_reserve (self, (size_t) size + 1);
        size = at ? vsnprintf (at, (size_t) size + 1, format, again) : 0;
    }
    if (size < 0)
        s_fail (self);
    else
        self->size += (size_t) size;
    va_end (again);
    va_end (arguments);
}

char *rp_sheet_finish (rp_sheet_t *self, size_t *size)
{
    char *at = rp_sheet_reserve (self, 1);
    char *text = self->bytes;
    if (at)
        *at = '\0';
    *size = self->size;
    *self = (rp_sheet_t){0};
    return text;
}
