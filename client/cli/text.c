/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

typedef struct {
    uint32_t first, last;
} s_range_t;

/*  Characters without a column: combining marks, joiners, variation selectors.  */
static const s_range_t s_zero[] = {
  {0x0300, 0x036F},
  {0x0483, 0x0489},
  {0x0591, 0x05BD},
  {0x0610, 0x061A},
  {0x064B, 0x065F},
  {0x200B, 0x200F},
  {0x2028, 0x202E},
  {0x2060, 0x2064},
  {0x2066, 0x206F},
  {0x20D0, 0x20F0},
  {0xFE00, 0xFE0F},
  {0xFE20, 0xFE2F},
  {0xFEFF, 0xFEFF},
  {0xE0100, 0xE01EF},
};
/*  Characters with two columns: East Asian wide, and pictures.  */
static const s_range_t s_wide[] = {
  {0x1100, 0x115F},
  {0x231A, 0x231B},
  {0x2E80, 0x303E},
  {0x3041, 0xA4CF},
  {0xAC00, 0xD7A3},
  {0xF900, 0xFAFF},
  {0xFE30, 0xFE6F},
  {0xFF00, 0xFF60},
  {0xFFE0, 0xFFE6},
  {0x1F300, 0x1F64F},
  {0x1F680, 0x1F6FF},
  {0x1F900, 0x1F9FF},
  {0x20000, 0x3FFFD},
};

static bool s_is_in (const s_range_t *ranges, size_t count, uint32_t point)
{
    for (size_t index = 0; index < count; index++)
        if (point >= ranges[index].first && point <= ranges[index].last)
            return true;
    return false;
}

static size_t s_columns (uint32_t point)
{
    if (s_is_in (s_zero, sizeof s_zero / sizeof *s_zero, point))
        return 0;
    return s_is_in (s_wide, sizeof s_wide / sizeof *s_wide, point) ? 2 : 1;
}

/*  Moves *at behind one character. Returns its columns.  */
static size_t s_step (const char *text, size_t size, size_t *at)
{
    uint32_t point = '?';
    size_t length = rp_utf8_decode (text + *at, size - *at, &point);
    *at += length > 0 ? length : 1;
    return s_columns (point);
}

size_t rp_text_width (const char *text, size_t size)
{
    size_t width = 0;
    for (size_t at = 0; at < size;)
        width += s_step (text, size, &at);
    return width;
}

size_t rp_text_fit (const char *text, size_t size, size_t width)
{
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t next = at;
        used += s_step (text, size, &next);
        if (used > width)
            return at;
        at = next;
    }
    return size;
}

char *rp_text_visible (const void *data, size_t size)
{
    const unsigned char *from = data;
    if (size > (SIZE_MAX - 1) / 4)
        return NULL;
    char *copy = malloc (4 * size + 1); // worst case: "\x1b" for each byte
    if (!copy)
        return NULL;
    char *to = copy;
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t length = rp_utf8_decode (from + at, size - at, &point);
        bool control = rp_utf8_is_control (point);
        if (from[at] == '\t') {
            memset (to, ' ', 4);
            to += 4;
        }
        else if (length > 0 && !control) {
            memcpy (to, from + at, length);
            to += length;
        }
        else
            for (size_t byte = 0; byte < (length > 0 ? length : 1); byte++)
                to += sprintf (to, "\\x%02x", from[at + byte]);
        at += length > 0 ? length : 1;
    }
    *to = '\0';
    return copy;
}

char *rp_text_base64 (const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = data;
    if (size > SIZE_MAX / 4 * 3 - 4)
        return NULL;
    char *copy = malloc ((size + 2) / 3 * 4 + 1);
    if (!copy)
        return NULL;
    char *to = copy;
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t) from[at] << 16;
        bits |= left > 1 ? (uint32_t) from[at + 1] << 8 : 0;
        bits |= left > 2 ? from[at + 2] : 0;
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[bits & 63] : '=';
    }
    *to = '\0';
    return copy;
}

void rp_text_csv (FILE *out, const char *text, size_t size)
{
    bool quote = false;
    for (size_t at = 0; at < size && !quote; at++)
        quote = text[at] == '"' || text[at] == ',' || text[at] == '\n' || text[at] == '\r';
    if (!quote) {
        fwrite (text, 1, size, out);
        return;
    }
    fputc ('"', out);
    for (size_t at = 0; at < size; at++) {
        if (text[at] == '"')
            fputc ('"', out);
        fputc (text[at], out);
    }
    fputc ('"', out);
}
