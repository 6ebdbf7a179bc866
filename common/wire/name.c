/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/name.h"

#include <stdint.h>
#include <string.h>

#include "common/wire/head.h"

static const bool s_is_control[256] = {[0 ... 31] = true, [127] = true};

bool rp_name_is_valid (const char *name, size_t size)
{
    if (size == 0 || size > RP_WIRE_NAME_MAX)
        return false;
    bool control = false; // no branch per byte: nearly every name is valid
    for (size_t index = 0; index < size; index++)
        control |= s_is_control[(unsigned char) name[index]];
    return !control;
}

static bool s_begins_with (const char *name, size_t size, const char *prefix)
{
    size_t prefix_size = strlen (prefix);
    return size >= prefix_size && memcmp (name, prefix, prefix_size) == 0;
}

bool rp_name_is_reserved (const char *name, size_t size)
{
    return s_begins_with (name, size, "riposte.") || s_begins_with (name, size, "mmi.");
}

static bool s_is (const char *name, size_t size, const char *other)
{
    return size == strlen (other) && memcmp (name, other, size) == 0;
}

bool rp_name_is_titanic (const char *name, size_t size)
{
    return s_is (name, size, "titanic.request") || s_is (name, size, "titanic.reply")
           || s_is (name, size, "titanic.close");
}

static char s_lower (char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static size_t s_min (size_t one, size_t other)
{
    return one < other ? one : other;
}

/*  Optimal string alignment (Damerau-Levenshtein without repeated edits), three rows.  */
size_t rp_name_distance (
  const char *one, size_t one_size, const char *other, size_t other_size, size_t limit)
{
    if (one_size > RP_WIRE_NAME_MAX || other_size > RP_WIRE_NAME_MAX)
        return limit + 1;
    size_t gap = one_size > other_size ? one_size - other_size : other_size - one_size;
    if (gap > limit)
        return limit + 1;

    size_t rows[3][RP_WIRE_NAME_MAX + 1];
    for (size_t column = 0; column <= other_size; column++)
        rows[0][column] = column;
    for (size_t line = 1; line <= one_size; line++) {
        size_t *now = rows[line % 3];
        const size_t *before = rows[(line + 2) % 3];
        const size_t *earlier = rows[(line + 1) % 3];
        size_t best = now[0] = line;
        char left = s_lower (one[line - 1]);
        for (size_t column = 1; column <= other_size; column++) {
            char right = s_lower (other[column - 1]);
            size_t cost = before[column - 1] + (left == right ? 0 : 1);
            cost = s_min (cost, before[column] + 1);
            cost = s_min (cost, now[column - 1] + 1);
            if (line > 1 && column > 1 && left == s_lower (other[column - 2])
                && s_lower (one[line - 2]) == right)
                cost = s_min (cost, earlier[column - 2] + 1);
            now[column] = cost;
            best = s_min (best, cost);
        }
        if (best > limit)
            return limit + 1;
    }
    return s_min (rows[one_size % 3][other_size], limit + 1);
}
