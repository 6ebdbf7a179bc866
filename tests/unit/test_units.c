/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/units.h"

typedef struct {
    const char *text;
    uint64_t value;
} s_good_t;

static void a_duration_needs_a_unit_and_comes_out_in_microseconds (void **state)
{
    (void) state;
    static const s_good_t good[] = {
      {"0", 0},
      {"0s", 0},
      {"90us", 90},
      {"90µs", 90},
      {"250ms", 250000},
      {"5s", 5000000},
      {"1.5s", 1500000},
      {"0.000001s", 1},
      {"2m", 120000000},
      {"1h", 3600000000},
      {"1.25h", 4500000000},
      {"1d", 86400000000},
      {"1m30s", 90000000},
      {"1d2h3m4s5ms6us", 93784005006},
      {"2h0.5s", 7200500000},
      {"2562047788h", 2562047788 * UINT64_C (3600000000)},
      {"9223372036854775807us", INT64_MAX},
    };
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        int64_t value = -1;
        const char *reason = NULL;
        assert_true (rp_duration_parse (good[index].text, &value, &reason));
        assert_int_equal (value, good[index].value);
    }
}

static void a_bad_duration_says_why_and_changes_nothing (void **state)
{
    (void) state;
    static const char *const bad[][2] = {
      {"", "wants a duration with a unit such as 250ms or 5s"},
      {"5", "wants a duration with a unit such as 250ms or 5s"},
      {"0.0", "wants a duration with a unit such as 250ms or 5s"},
      {"s", "wants a duration with a unit such as 250ms or 5s"},
      {"-5s", "wants a duration with a unit such as 250ms or 5s"},
      {"+5s", "wants a duration with a unit such as 250ms or 5s"},
      {" 5s", "wants a duration with a unit such as 250ms or 5s"},
      {"5 s", "wants a duration with a unit such as 250ms or 5s"},
      {"5sec", "wants a duration with a unit such as 250ms or 5s"},
      {"5S", "wants a duration with a unit such as 250ms or 5s"},
      {"1e3s", "wants a duration with a unit such as 250ms or 5s"},
      {".5s", "wants a duration with a unit such as 250ms or 5s"},
      {"5.s", "wants a duration with a unit such as 250ms or 5s"},
      {"1.2.3s", "wants a duration with a unit such as 250ms or 5s"},
      {"5KiB", "wants a duration with a unit such as 250ms or 5s"},
      {"1m30", "wants a duration with a unit such as 250ms or 5s"},
      {"30s1m", "wants a duration with a unit such as 250ms or 5s"},
      {"1m1m", "wants a duration with a unit such as 250ms or 5s"},
      {"1us1µs", "wants a duration with a unit such as 250ms or 5s"},
      {"1.5m30s", "wants a duration with a unit such as 250ms or 5s"},
      {"1m 30s", "wants a duration with a unit such as 250ms or 5s"},
      {"1m30s ", "wants a duration with a unit such as 250ms or 5s"},
      {"106751991167d2h", "wants a shorter duration"},
      {"213503982334d14400000000s", "wants a shorter duration"},
      {"1.5us", "wants a duration in whole microseconds"},
      {"0.0000001s", "wants a duration in whole microseconds"},
      {"0.99999999999999999999999s", "wants a duration in whole microseconds"},
      {"9223372036854775808us", "wants a shorter duration"},
      {"2562047789h", "wants a shorter duration"},
      {"18446744073709551616us", "wants a shorter duration"},
      {"18446744073709551615h", "wants a shorter duration"},
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        int64_t value = 42;
        const char *reason = NULL;
        assert_false (rp_duration_parse (bad[index][0], &value, &reason));
        assert_string_equal (reason, bad[index][1]);
        assert_int_equal (value, 42);
    }
}

static void a_size_comes_out_in_bytes_and_a_bare_number_is_bytes (void **state)
{
    (void) state;
    static const s_good_t good[] = {
      {"0", 0},
      {"64", 64},
      {"18446744073709551615", UINT64_MAX},
      {"100B", 100},
      {"1kB", 1000},
      {"64KiB", 65536},
      {"16MiB", 16777216},
      {"1.5MiB", 1572864},
      {"1.5MB", 1500000},
      {"1GiB", 1073741824},
      {"2TB", 2000000000000},
      {"16777215TiB", UINT64_C (16777215) << 40},
      {"0.999999TB", 999999000000},
      {"18446744073709551615B", UINT64_MAX},
    };
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        uint64_t value = 42;
        const char *reason = NULL;
        assert_true (rp_size_parse (good[index].text, &value, &reason));
        assert_true (value == good[index].value);
    }
}

static void a_bad_size_says_why_and_changes_nothing (void **state)
{
    (void) state;
    static const char *const bad[][2] = {
      {"", "wants a size such as 64KiB or 100B"},
      {"64.5", "wants a size such as 64KiB or 100B"},
      {"64.0", "wants a size such as 64KiB or 100B"},
      {"1MiB512KiB", "wants a size such as 64KiB or 100B"},
      {"18446744073709551616", "wants a smaller size"},
      {"64K", "wants a size such as 64KiB or 100B"},
      {"64kib", "wants a size such as 64KiB or 100B"},
      {"-1B", "wants a size such as 64KiB or 100B"},
      {"1.5B", "wants a size in whole bytes"},
      {"0.3KiB", "wants a size in whole bytes"},
      {"1.5000000TB", "wants a size in whole bytes"},
      {"16777216TiB", "wants a smaller size"},
      {"18446744073709551616B", "wants a smaller size"},
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        uint64_t value = 42;
        const char *reason = NULL;
        assert_false (rp_size_parse (bad[index][0], &value, &reason));
        assert_string_equal (reason, bad[index][1]);
        assert_int_equal (value, 42);
    }
}

static void a_count_is_digits_and_nothing_else (void **state)
{
    (void) state;
    uint64_t value = 42;
    const char *reason = NULL;
    static const char *const bad[] = {"", "10_000", "1k", "-1", "+1", "1.0", "0x10", " 1", "1 "};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        assert_false (rp_count_parse (bad[index], &value, &reason));
        assert_string_equal (reason, "wants a plain number such as 100");
    }
    assert_false (rp_count_parse ("18446744073709551616", &value, &reason));
    assert_string_equal (reason, "wants a smaller number");
    assert_int_equal (value, 42);

    assert_true (rp_count_parse ("10000", &value, &reason));
    assert_int_equal (value, 10000);
    assert_true (rp_count_parse ("18446744073709551615", &value, &reason));
    assert_true (value == UINT64_MAX);
}

typedef struct {
    uint64_t value;
    const char *text;
} s_text_t;

static void people_read_durations_rounded (void **state)
{
    (void) state;
    static const s_text_t texts[] = {
      {0, "0 µs"},
      {38, "38 µs"},
      {999, "999 µs"},
      {1000, "1 ms"},
      {1234, "1.2 ms"},
      {99940, "99.9 ms"},
      {99960, "100 ms"},
      {250400, "250 ms"},
      {999499, "999 ms"},
      {999500, "1 s"},
      {5000000, "5 s"},
      {5250000, "5.3 s"},
      {59949999, "59.9 s"},
      {59950000, "1 m"},
      {125000000, "2 m 5 s"},
      {3599499999, "59 m 59 s"},
      {3599500000, "1 h"},
      {5400000000, "1 h 30 m"},
      {INT64_MAX, "2562047788 h"},
    };
    char buffer[RP_UNITS_TEXT_MAX];
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++)
        assert_string_equal (
          rp_duration_format (buffer, (int64_t) texts[index].value), texts[index].text);
    assert_string_equal (rp_duration_format (buffer, -5), "0 µs");
}

static void people_read_sizes_rounded (void **state)
{
    (void) state;
    static const s_text_t texts[] = {
      {0, "0 B"},
      {2, "2 B"},
      {1023, "1023 B"},
      {1024, "1 KiB"},
      {1536, "1.5 KiB"},
      {1572864, "1.5 MiB"},
      {1048576 - 513, "1023 KiB"},
      {1048576 - 512, "1 MiB"},
      {UINT64_MAX, "16777216 TiB"},
    };
    char buffer[RP_UNITS_TEXT_MAX];
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++)
        assert_string_equal (rp_size_format (buffer, texts[index].value), texts[index].text);
}

static void what_is_written_reads_back_to_the_same_value (void **state)
{
    (void) state;
    char buffer[RP_UNITS_TEXT_MAX];
    assert_string_equal (rp_duration_write (buffer, 250000), "250ms");
    assert_string_equal (rp_duration_write (buffer, 1), "1us");
    assert_string_equal (rp_duration_write (buffer, 90000000), "90s");
    assert_string_equal (rp_duration_write (buffer, 0), "0s");
    assert_string_equal (rp_size_write (buffer, 65536), "64KiB");
    assert_string_equal (rp_size_write (buffer, 1000), "1000B");
    assert_string_equal (rp_size_write (buffer, 0), "0B");

    static const uint64_t values[] = {
      0, 1, 999, 1000, 1024, 1500, 3600, 3600000000, 123456789, 16777216, 120000000, INT64_MAX};
    for (size_t index = 0; index < sizeof values / sizeof *values; index++) {
        const char *reason = NULL;
        int64_t duration = -1;
        assert_true (rp_duration_parse (
          rp_duration_write (buffer, (int64_t) values[index]), &duration, &reason));
        assert_true (duration == (int64_t) values[index]);
        uint64_t size = 1;
        assert_true (rp_size_parse (rp_size_write (buffer, values[index]), &size, &reason));
        assert_true (size == values[index]);
    }
}

static void people_read_counts_and_rates (void **state)
{
    (void) state;
    char buffer[RP_UNITS_TEXT_MAX];
    assert_string_equal (rp_count_format (buffer, 0), "0");
    assert_string_equal (rp_count_format (buffer, 999), "999");
    assert_string_equal (rp_count_format (buffer, 1000), "1,000");
    assert_string_equal (rp_count_format (buffer, 1234567), "1,234,567");
    assert_string_equal (rp_count_format (buffer, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal (rp_rate_format (buffer, 0), "0/s");
    assert_string_equal (rp_rate_format (buffer, 2149), "2.1/s");
    assert_string_equal (rp_rate_format (buffer, 3000), "3/s");
    assert_string_equal (rp_rate_format (buffer, 9950), "10/s");
    assert_string_equal (rp_rate_format (buffer, 31200400), "31,200/s");
    assert_string_equal (rp_rate_format (buffer, UINT64_MAX), "18,446,744,073,709,552/s");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_duration_needs_a_unit_and_comes_out_in_microseconds),
      cmocka_unit_test (a_bad_duration_says_why_and_changes_nothing),
      cmocka_unit_test (a_size_comes_out_in_bytes_and_a_bare_number_is_bytes),
      cmocka_unit_test (a_bad_size_says_why_and_changes_nothing),
      cmocka_unit_test (a_count_is_digits_and_nothing_else),
      cmocka_unit_test (people_read_durations_rounded),
      cmocka_unit_test (people_read_sizes_rounded),
      cmocka_unit_test (people_read_counts_and_rates),
      cmocka_unit_test (what_is_written_reads_back_to_the_same_value),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
