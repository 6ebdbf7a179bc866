/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/utf8.h"

#include <string.h>

typedef struct {
    uint32_t first, last;
} s_range_t;

static const s_range_t s_controls[] = {
  {0x00, 0x1F},
  {0x7F, 0x9F},
  {0x061C, 0x061C},
  {0x200E, 0x200F},
  {0x2028, 0x202E},
  {0x2066, 0x2069},
};
/*  Characters without width: names with and without them look the same.  */
static const s_range_t s_invisible[] = {
  {0xAD, 0xAD},
  {0x034F, 0x034F},
  {0x115F, 0x1160},
  {0x17B4, 0x17B5},
  {0x180B, 0x180F},
  {0x200B, 0x200D},
  {0x2060, 0x206F},
  {0x3164, 0x3164},
  {0xFE00, 0xFE0F},
  {0xFEFF, 0xFEFF},
  {0xFFA0, 0xFFA0},
  {0xFFF0, 0xFFFB},
  {0xE0000, 0xE0FFF},
};

static bool s_is_in (const s_range_t *ranges, size_t count, uint32_t point)
{
    for (size_t index = 0; index < count; index++)
        if (point >= ranges[index].first && point <= ranges[index].last)
            return true;
    return false;
}

size_t rp_utf8_decode (const void *data, size_t size, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = data;
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xC0 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (length == 0 || length > size || at[0] > 0xF4)
        return 0;
    uint32_t value = length == 1 ? at[0] : at[0] & (0x7Fu >> length);
    for (size_t index = 1; index < length; index++) {
        if ((at[index] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (at[index] & 0x3Fu);
    }
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *point = value;
    return length;
}

bool rp_utf8_is_control (uint32_t point)
{
    return s_is_in (s_controls, sizeof s_controls / sizeof *s_controls, point);
}

static bool s_is_shown (uint32_t point)
{
    return !rp_utf8_is_control (point)
           && !s_is_in (s_invisible, sizeof s_invisible / sizeof *s_invisible, point);
}

/*  Writes how one character, or a byte that is not UTF-8, is shown. Returns the bytes written, at
    most 16.  */
static size_t s_show (const unsigned char *at, size_t length, bool shown, char *to)
{
    static const char digits[] = "0123456789abcdef";
    if (shown && *at == '\\') {
        memcpy (to, "\\\\", 2);
        return 2;
    }
    if (shown) {
        memcpy (to, at, length);
        return length;
    }
    for (size_t byte = 0; byte < length; byte++) {
        char escape[4] = {'\\', 'x', digits[at[byte] >> 4], digits[at[byte] & 15]};
        memcpy (to + 4 * byte, escape, sizeof escape);
    }
    return 4 * length;
}

size_t rp_utf8_escape (const void *data, size_t size, char *buffer, size_t room)
{
    const unsigned char *from = data;
    size_t written = 0;
    for (size_t at = 0; at < size;) {
        char shown[16];
        uint32_t point = 0;
        size_t length = rp_utf8_decode (from + at, size - at, &point);
        size_t taken = length ? length : 1;
        size_t more = s_show (from + at, taken, length && s_is_shown (point), shown);
        if (more >= room - written)
            break;
        memcpy (buffer + written, shown, more);
        written += more;
        at += taken;
    }
    buffer[written] = '\0';
    return written;
}
