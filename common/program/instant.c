/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/program/instant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define S_SECOND_US INT64_C (1000000)
/*  "2027-01-31T18:30:00".  */
#define S_SECONDS_SIZE 19u

/*  True if text begins as the pattern says: 0 is a digit, everything else itself.  */
static bool s_looks_like (const char *text, const char *pattern)
{
    for (; *pattern; pattern++, text++) {
        bool digit = *text >= '0' && *text <= '9';
        if (*pattern == '0' ? !digit : *text != *pattern)
            return false;
    }
    return true;
}

static int s_two (const char *text)
{
    return 10 * (text[0] - '0') + (text[1] - '0');
}

/*  Reads ".25" at *text, if it is there, and moves behind it. Returns µs.  */
static int64_t s_decimals (const char **text)
{
    if (**text != '.')
        return 0;
    int64_t us = 0;
    const char *at = *text + 1;
    for (int64_t worth = S_SECOND_US / 10; *at >= '0' && *at <= '9'; at++, worth /= 10)
        us += worth * (*at - '0');
    if (at == *text + 1 || at > *text + 10)
        return 0;
    *text = at;
    return us;
}

/*  Reads "Z" or "+01:00", to the end of the text. False if it is neither.  */
static bool s_offset (const char *text, int64_t *seconds)
{
    *seconds = 0;
    if (strcmp (text, "Z") == 0 || strcmp (text, "z") == 0)
        return true;
    if ((*text != '+' && *text != '-') || !s_looks_like (text + 1, "00:00") || text[6] != '\0'
        || s_two (text + 1) > 23 || s_two (text + 4) > 59)
        return false;
    *seconds = s_two (text + 1) * 3600 + s_two (text + 4) * 60;
    if (*text == '-')
        *seconds = -*seconds;
    return true;
}

bool rp_instant_parse (const char *text, int64_t *unix_us)
{
    int64_t offset;
    if (!s_looks_like (text, "0000-00-00") || (text[10] != 'T' && text[10] != 't')
        || !s_looks_like (text + 11, "00:00:00"))
        return false;
    struct tm parts = {.tm_year = s_two (text) * 100 + s_two (text + 2) - 1900,
      .tm_mon = s_two (text + 5) - 1,
      .tm_mday = s_two (text + 8),
      .tm_hour = s_two (text + 11),
      .tm_min = s_two (text + 14),
      .tm_sec = s_two (text + 17)};
    struct tm asked = parts;
    time_t seconds = timegm (&parts);
    // timegm takes a 31st of April for the 1st of May.
    if (parts.tm_mday != asked.tm_mday || parts.tm_mon != asked.tm_mon
        || parts.tm_hour != asked.tm_hour || parts.tm_min != asked.tm_min || asked.tm_sec > 59)
        return false;
    const char *rest = text + S_SECONDS_SIZE;
    int64_t us = s_decimals (&rest);
    if (!s_offset (rest, &offset) || (int64_t) seconds - offset < 0)
        return false;
    *unix_us = ((int64_t) seconds - offset) * S_SECOND_US + us;
    return true;
}

const char *rp_instant_format (char *buffer, size_t size, int64_t unix_us)
{
    struct tm parts;
    time_t seconds = (time_t) (unix_us / S_SECOND_US);
    size_t used = 0;
    if (unix_us > 0 && gmtime_r (&seconds, &parts))
        used = strftime (buffer, size, "%Y-%m-%dT%H:%M:%S", &parts);
    if (used > 0)
        snprintf (
          buffer + used, size - used, ".%03" PRId64 "Z", unix_us % S_SECOND_US / INT64_C (1000));
    else
        snprintf (buffer, size, "-");
    return buffer;
}
