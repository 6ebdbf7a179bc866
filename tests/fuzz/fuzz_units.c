/*  Fuzzer of durations, sizes and counts: a value that was read can be written, and is read again
    as the same value.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>

#include "common/base/units.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_check_reason (const char *reason)
{
    bytes_require (reason && reason[0] && !strchr (reason, '\n'), "wrong without a clause");
}

static void s_check_text (const char *text)
{
    bytes_require (text[0] && strlen (text) < RP_UNITS_TEXT_MAX, "a text that does not fit");
}

static void s_durations (const char *text)
{
    char written[RP_UNITS_TEXT_MAX], shown[RP_UNITS_TEXT_MAX];
    int64_t value = -77, again = -78;
    const char *reason = NULL;
    if (!rp_duration_parse (text, &value, &reason)) {
        s_check_reason (reason);
        bytes_require (value == -77, "wrong, and a value");
        return;
    }
    bytes_require (value >= 0, "a duration before its beginning");
    s_check_text (rp_duration_format (shown, value));
    s_check_text (rp_duration_write (written, value));
    bytes_require (rp_duration_parse (written, &again, &reason) && again == value,
      "a duration read differently");
}

static void s_sizes (const char *text)
{
    char written[RP_UNITS_TEXT_MAX], shown[RP_UNITS_TEXT_MAX];
    uint64_t value = 77, again = 78;
    const char *reason = NULL;
    if (!rp_size_parse (text, &value, &reason)) {
        s_check_reason (reason);
        bytes_require (value == 77, "wrong, and a value");
        return;
    }
    s_check_text (rp_size_format (shown, value));
    s_check_text (rp_size_write (written, value));
    bytes_require (
      rp_size_parse (written, &again, &reason) && again == value, "a size read differently");
}

static void s_counts (const char *text)
{
    char written[RP_UNITS_TEXT_MAX];
    uint64_t value = 77, again = 78;
    const char *reason = NULL;
    if (!rp_count_parse (text, &value, &reason)) {
        s_check_reason (reason);
        bytes_require (value == 77, "wrong, and a value");
        return;
    }
    snprintf (written, sizeof written, "%llu", (unsigned long long) value);
    bytes_require (
      rp_count_parse (written, &again, &reason) && again == value, "a count read differently");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    char *text = malloc (size + 1);
    bytes_require (text != NULL, "out of memory");
    if (size > 0)
        memcpy (text, data, size);
    text[size] = '\0';
    s_durations (text);
    s_sizes (text);
    s_counts (text);
    free (text);
    return 0;
}
