/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*  value: one unit, in base units (µs, bytes).  */
typedef struct {
    const char *name;
    uint64_t value;
} s_unit_t;

/*  Ascending; of two names for one unit, the last is written. Days are only read.  */
static const s_unit_t s_durations[] = {
  {"µs", 1},
  {"us", 1},
  {"ms", 1000},
  {"s", 1000000},
  {"m", UINT64_C (60000000)},
  {"h", UINT64_C (3600000000)},
  {"d", UINT64_C (86400000000)},
};
#define S_DURATIONS (sizeof s_durations / sizeof *s_durations)
#define S_DURATIONS_WRITTEN (S_DURATIONS - 1)

/*  First the units that are written, ascending; then those that are only read.  */
static const s_unit_t s_sizes[] = {
  {"B", 1},
  {"KiB", UINT64_C (1) << 10},
  {"MiB", UINT64_C (1) << 20},
  {"GiB", UINT64_C (1) << 30},
  {"TiB", UINT64_C (1) << 40},
  {"kB", 1000},
  {"MB", 1000000},
  {"GB", UINT64_C (1000000000)},
  {"TB", UINT64_C (1000000000000)},
};
#define S_SIZES (sizeof s_sizes / sizeof *s_sizes)
#define S_SIZES_WRITTEN 5

/*  Most decimals that are read. With more, the largest unit times the fraction would overflow.  */
#define S_DECIMALS_MAX 6

/*  A number as read: whole + fraction / scale.  */
typedef struct {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
} s_number_t;

typedef enum { S_NUMBER, S_NOT_A_NUMBER, S_NUMBER_TOO_LARGE, S_NUMBER_TOO_FINE } s_outcome_t;

static const char *const s_duration_reasons[] = {
  [S_NOT_A_NUMBER] = "wants a duration with a unit such as 250ms or 5s",
  [S_NUMBER_TOO_LARGE] = "wants a shorter duration",
  [S_NUMBER_TOO_FINE] = "wants a duration in whole microseconds",
};
static const char *const s_size_reasons[] = {
  [S_NOT_A_NUMBER] = "wants a size such as 64KiB or 100B",
  [S_NUMBER_TOO_LARGE] = "wants a smaller size",
  [S_NUMBER_TOO_FINE] = "wants a size in whole bytes",
};
static const char *const s_count_reasons[] = {
  [S_NOT_A_NUMBER] = "wants a plain number such as 100",
  [S_NUMBER_TOO_LARGE] = "wants a smaller number",
};

static bool s_is_digit (char c)
{
    return c >= '0' && c <= '9';
}

/*  Reads digits, and moves *text behind them.  */
static s_outcome_t s_read_digits (const char **text, uint64_t *value)
{
    if (!s_is_digit (**text))
        return S_NOT_A_NUMBER;
    *value = 0;
    for (; s_is_digit (**text); (*text)++)
        if (__builtin_mul_overflow (*value, 10u, value)
            || __builtin_add_overflow (*value, (uint64_t) (**text - '0'), value))
            return S_NUMBER_TOO_LARGE;
    return S_NUMBER;
}

static s_outcome_t s_read_number (const char **text, s_number_t *number)
{
    *number = (s_number_t){.scale = 1};
    s_outcome_t outcome = s_read_digits (text, &number->whole);
    if (outcome != S_NUMBER || **text != '.')
        return outcome;

    (*text)++;
    const char *decimals = *text;
    outcome = s_read_digits (text, &number->fraction);
    if (outcome == S_NUMBER_TOO_LARGE || *text - decimals > S_DECIMALS_MAX)
        return S_NUMBER_TOO_FINE;
    for (const char *at = decimals; at < *text; at++)
        number->scale *= 10;
    return outcome;
}

static s_outcome_t s_multiply (const s_number_t *number, uint64_t unit, uint64_t *value)
{
    uint64_t part = number->fraction * unit; // < 10^6 × 10^12
    if (part % number->scale != 0)
        return S_NUMBER_TOO_FINE;
    if (__builtin_mul_overflow (number->whole, unit, value)
        || __builtin_add_overflow (*value, part / number->scale, value))
        return S_NUMBER_TOO_LARGE;
    return S_NUMBER;
}

/*  Reads one number with its unit, and moves *text behind it. The unit ends at a digit or at the
    end of the text.  */
static s_outcome_t s_read_part (
  const char **text, const s_unit_t *units, size_t count, uint64_t *unit, uint64_t *value)
{
    s_number_t number;
    s_outcome_t outcome = s_read_number (text, &number);
    if (outcome != S_NUMBER)
        return outcome;
    size_t size = strcspn (*text, "0123456789");
    for (size_t index = 0; index < count; index++)
        if (strlen (units[index].name) == size && memcmp (units[index].name, *text, size) == 0) {
            *text += size;
            // Only the last part may have decimals: "1.5m30s" is more likely a mistake.
            if (number.scale > 1 && **text != '\0')
                return S_NOT_A_NUMBER;
            *unit = units[index].value;
            return s_multiply (&number, *unit, value);
        }
    return S_NOT_A_NUMBER;
}

/*  Reads "1m30s": parts from the largest unit to the smallest, each unit once.  */
static s_outcome_t s_read_duration (const char *text, uint64_t *value)
{
    if (strcmp (text, "0") == 0) {
        *value = 0;
        return S_NUMBER;
    }
    *value = 0;
    uint64_t largest = UINT64_MAX;
    do {
        uint64_t unit = 0;
        uint64_t part = 0;
        s_outcome_t outcome = s_read_part (&text, s_durations, S_DURATIONS, &unit, &part);
        if (outcome != S_NUMBER)
            return outcome;
        if (unit >= largest)
            return S_NOT_A_NUMBER;
        if (__builtin_add_overflow (*value, part, value) || *value > INT64_MAX)
            return S_NUMBER_TOO_LARGE;
        largest = unit;
    } while (*text != '\0');
    return S_NUMBER;
}

/*  Reads one number with its unit; a number without one is in bytes.  */
static s_outcome_t s_read_size (const char *text, uint64_t *value)
{
    const char *end = text;
    s_outcome_t outcome = s_read_digits (&end, value);
    if (*end == '\0')
        return outcome;
    uint64_t unit = 0;
    outcome = s_read_part (&text, s_sizes, S_SIZES, &unit, value);
    return outcome == S_NUMBER && *text != '\0' ? S_NOT_A_NUMBER : outcome;
}

bool rp_duration_parse (const char *text, int64_t *value, const char **reason)
{
    uint64_t result = 0;
    s_outcome_t outcome = s_read_duration (text, &result);
    if (outcome == S_NUMBER)
        *value = (int64_t) result;
    else
        *reason = s_duration_reasons[outcome];
    return outcome == S_NUMBER;
}

bool rp_size_parse (const char *text, uint64_t *value, const char **reason)
{
    uint64_t result = 0;
    s_outcome_t outcome = s_read_size (text, &result);
    if (outcome == S_NUMBER)
        *value = result;
    else
        *reason = s_size_reasons[outcome];
    return outcome == S_NUMBER;
}

bool rp_count_parse (const char *text, uint64_t *value, const char **reason)
{
    uint64_t result = 0;
    s_outcome_t outcome = s_read_digits (&text, &result);
    if (outcome == S_NUMBER && *text != '\0')
        outcome = S_NOT_A_NUMBER;
    if (outcome == S_NUMBER)
        *value = result;
    else
        *reason = s_count_reasons[outcome];
    return outcome == S_NUMBER;
}

/*  One decimal below a hundred units, unless it is 0: "1.2", "5", "138".  */
static const char *s_format (char *buffer, uint64_t value, uint64_t unit, const char *name)
{
    uint64_t tenths = value / unit * 10 + (value % unit * 10 + unit / 2) / unit;
    uint64_t whole = value / unit + (value % unit + unit / 2) / unit;
    if (tenths >= 1000)
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 " %s", whole, name);
    else if (tenths % 10 == 0)
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 " %s", tenths / 10, name);
    else
        snprintf (
          buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, name);
    return buffer;
}

const char *rp_duration_format (char *buffer, int64_t value)
{
    if (value < 0)
        value = 0; // a difference of two clocks, for people; a negative one is shown as 0
    uint64_t us = (uint64_t) value;
    uint64_t seconds = us / 1000000 + (us % 1000000 >= 500000);
    // Each bound is where rounding reaches the next unit.
    if (us < 1000)
        return s_format (buffer, us, 1, "µs");
    if (us < 999500)
        return s_format (buffer, us, 1000, "ms");
    if (us < 59950000)
        return s_format (buffer, us, 1000000, "s");

    uint64_t large = seconds < 3600 ? seconds / 60 : seconds / 3600;
    uint64_t small = seconds < 3600 ? seconds % 60 : seconds % 3600 / 60;
    const char *large_unit = seconds < 3600 ? "m" : "h";
    const char *small_unit = seconds < 3600 ? "s" : "m";
    if (small == 0)
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 " %s", large, large_unit);
    else
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 " %s %" PRIu64 " %s", large, large_unit,
          small, small_unit);
    return buffer;
}

const char *rp_size_format (char *buffer, uint64_t value)
{
    const s_unit_t *unit = s_sizes;
    // A value that would round up to the next unit is written in it.
    while (unit + 1 < s_sizes + S_SIZES_WRITTEN && value >= unit[1].value - unit->value / 2)
        unit++;
    return s_format (buffer, value, unit->value, unit->name);
}

static const char *s_write (
  char *buffer, const s_unit_t *units, size_t count, const char *zero, uint64_t value)
{
    if (value == 0) {
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%s", zero);
        return buffer;
    }
    const s_unit_t *unit = units + count - 1;
    while (value % unit->value != 0)
        unit--;
    snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 "%s", value / unit->value, unit->name);
    return buffer;
}

const char *rp_duration_write (char *buffer, int64_t value)
{
    return s_write (
      buffer, s_durations, S_DURATIONS_WRITTEN, "0s", value < 0 ? 0 : (uint64_t) value);
}

const char *rp_size_write (char *buffer, uint64_t value)
{
    return s_write (buffer, s_sizes, S_SIZES_WRITTEN, "0B", value);
}

const char *rp_count_format (char *buffer, uint64_t value)
{
    char digits[RP_UNITS_TEXT_MAX];
    int length = snprintf (digits, sizeof digits, "%" PRIu64, value);
    char *at = buffer;
    for (int index = 0; index < length; index++) {
        if (index > 0 && (length - index) % 3 == 0)
            *at++ = ',';
        *at++ = digits[index];
    }
    *at = '\0';
    return buffer;
}

/*  One decimal below ten, unless it is 0.  */
const char *rp_rate_format (char *buffer, uint64_t in_1000_s)
{
    uint64_t tenths = in_1000_s / 100 + (in_1000_s % 100 >= 50);
    char count[RP_UNITS_TEXT_MAX];
    if (tenths < 100 && tenths % 10 != 0)
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64 ".%" PRIu64 "/s", tenths / 10, tenths % 10);
    else
        snprintf (buffer, RP_UNITS_TEXT_MAX, "%.29s/s",
          rp_count_format (count, in_1000_s / 1000 + (in_1000_s % 1000 >= 500)));
    return buffer;
}
