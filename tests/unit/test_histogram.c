/*  SPDX-License-Identifier: MPL-2.0

    The histogram: its error for every kind of value, percentiles of known distributions, merging,
    its largest value, and the text that it writes.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/tool/histogram.h"

static rp_histogram_t s_one;
static rp_histogram_t s_other;
static char *s_text;

static int s_setup (void **state)
{
    (void) state;
    s_one = (rp_histogram_t){0};
    s_other = (rp_histogram_t){0};
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    free (s_text);
    s_text = NULL;
    return 0;
}

/*  Records a value and a larger one; returns the value that is read back for the first.  */
static uint64_t s_read_back (uint64_t value)
{
    s_one = (rp_histogram_t){0};
    rp_histogram_record (&s_one, value);
    rp_histogram_record (&s_one, UINT64_MAX);
    return rp_histogram_percentile (&s_one, 50000);
}

static void s_assert_within_one_percent (uint64_t value)
{
    uint64_t read = s_read_back (value);
    if (read < value || (read - value) * 100 > value)
        fail_msg (
          "%llu is read back as %llu", (unsigned long long) value, (unsigned long long) read);
}

static void what_is_read_back_is_at_most_one_percent_above_what_was_recorded (void **state)
{
    (void) state;
    for (uint64_t value = 1; value < 20000; value++)
        s_assert_within_one_percent (value);
    for (uint64_t value = 20000; value < RP_HISTOGRAM_LARGEST; value += value / 1500 + 1)
        s_assert_within_one_percent (value);
    for (uint64_t power = 1; power < RP_HISTOGRAM_LARGEST; power *= 2)
        for (uint64_t value = power > 2 ? power - 2 : 1; value <= power + 2; value++)
            s_assert_within_one_percent (value);
    s_assert_within_one_percent (RP_HISTOGRAM_LARGEST - 1);
    s_assert_within_one_percent (RP_HISTOGRAM_LARGEST);
}

static void what_is_read_back_grows_with_what_was_recorded (void **state)
{
    (void) state;
    uint64_t before = 0;
    for (uint64_t value = 0; value < RP_HISTOGRAM_LARGEST; value += value / 700 + 1) {
        uint64_t read = s_read_back (value);
        assert_true (read >= before);
        before = read;
    }
}

static void small_values_are_exact (void **state)
{
    (void) state;
    for (uint64_t value = 0; value < 256; value++)
        assert_int_equal (s_read_back (value), value);
}

static void an_empty_one_has_zeros (void **state)
{
    (void) state;
    assert_int_equal (s_one.count, 0);
    assert_int_equal (s_one.max, 0);
    assert_int_equal (rp_histogram_percentile (&s_one, 50000), 0);
    assert_int_equal (rp_histogram_percentile (&s_one, 100000), 0);
}

static void one_value_is_every_percentile_of_itself (void **state)
{
    (void) state;
    rp_histogram_record (&s_one, 123456);
    static const uint32_t shares[] = {0, 1, 50000, 99000, 99999, 100000};
    for (size_t index = 0; index < sizeof shares / sizeof *shares; index++)
        assert_int_equal (rp_histogram_percentile (&s_one, shares[index]), 123456);
}

static void percentiles_of_a_known_distribution (void **state)
{
    (void) state;
    for (uint64_t value = 100; value >= 1; value--)
        rp_histogram_record (&s_one, value);
    assert_int_equal (rp_histogram_percentile (&s_one, 0), 1);
    assert_int_equal (rp_histogram_percentile (&s_one, 1000), 1);
    assert_int_equal (rp_histogram_percentile (&s_one, 50000), 50);
    assert_int_equal (rp_histogram_percentile (&s_one, 50001), 51);
    assert_int_equal (rp_histogram_percentile (&s_one, 90000), 90);
    assert_int_equal (rp_histogram_percentile (&s_one, 99000), 99);
    assert_int_equal (rp_histogram_percentile (&s_one, 99900), 100);
    assert_int_equal (rp_histogram_percentile (&s_one, 100000), 100);
    assert_int_equal (s_one.count, 100);
    assert_int_equal (s_one.max, 100);
}

static void one_slow_request_in_a_thousand_is_in_the_p999_and_not_in_the_p99 (void **state)
{
    (void) state;
    for (int request = 0; request < 9989; request++)
        rp_histogram_record (&s_one, 200);
    for (int request = 0; request < 11; request++)
        rp_histogram_record (&s_one, 1000000);
    assert_int_equal (rp_histogram_percentile (&s_one, 99000), 200);
    assert_int_equal (rp_histogram_percentile (&s_one, 99900), 1000000);
}

static void counts_in_the_billions_do_not_overflow (void **state)
{
    (void) state;
    s_one.count = UINT64_C (1) << 62;
    s_one.buckets[10] = s_one.count / 2;
    s_one.buckets[20] = s_one.count / 2;
    s_one.max = 20;
    assert_int_equal (rp_histogram_percentile (&s_one, 50000), 10);
    assert_int_equal (rp_histogram_percentile (&s_one, 50001), 20);
}

static void merging_is_recording_all_in_one (void **state)
{
    (void) state;
    static rp_histogram_t all;
    all = (rp_histogram_t){0};
    for (uint64_t value = 1; value < 2 * RP_HISTOGRAM_LARGEST; value += value / 3 + 1) {
        rp_histogram_record (value % 2 ? &s_one : &s_other, value);
        rp_histogram_record (&all, value);
    }
    rp_histogram_merge (&s_one, &s_other);
    assert_memory_equal (&s_one, &all, sizeof all);

    static const rp_histogram_t empty;
    rp_histogram_merge (&s_one, &empty);
    assert_memory_equal (&s_one, &all, sizeof all);
}

static void more_than_an_hour_is_clamped_and_counted (void **state)
{
    (void) state;
    rp_histogram_record (&s_one, RP_HISTOGRAM_LARGEST);
    assert_int_equal (s_one.over, 0);
    rp_histogram_record (&s_one, RP_HISTOGRAM_LARGEST + 1);
    rp_histogram_record (&s_one, UINT64_MAX);
    assert_int_equal (s_one.count, 3);
    assert_int_equal (s_one.over, 2);
    assert_int_equal (s_one.max, UINT64_MAX);
    uint64_t read = rp_histogram_percentile (&s_one, 100000);
    assert_in_range (read, RP_HISTOGRAM_LARGEST, RP_HISTOGRAM_LARGEST + RP_HISTOGRAM_LARGEST / 100);
}

static const char *s_write (void)
{
    size_t size;
    FILE *out = open_memstream (&s_text, &size);
    assert_non_null (out);
    rp_histogram_write (&s_one, out);
    assert_int_equal (fclose (out), 0);
    return s_text;
}

/*  The text is that of HdrHistogram for the same values, recorded with two digits, at five
    ticks.  */
static void the_text_is_that_of_hdrhistogram (void **state)
{
    (void) state;
    for (uint64_t value = 1; value <= 8; value++)
        rp_histogram_record (&s_one, value);
    assert_string_equal (s_write (), "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                                     "\n"
                                     "       1.000 0.000000000000          1           1.00\n"
                                     "       1.000 0.100000000000          1           1.11\n"
                                     "       2.000 0.200000000000          2           1.25\n"
                                     "       3.000 0.300000000000          3           1.43\n"
                                     "       4.000 0.400000000000          4           1.67\n"
                                     "       4.000 0.500000000000          4           2.00\n"
                                     "       5.000 0.550000000000          5           2.22\n"
                                     "       5.000 0.600000000000          5           2.50\n"
                                     "       6.000 0.650000000000          6           2.86\n"
                                     "       6.000 0.700000000000          6           3.33\n"
                                     "       6.000 0.750000000000          6           4.00\n"
                                     "       7.000 0.775000000000          7           4.44\n"
                                     "       7.000 0.800000000000          7           5.00\n"
                                     "       7.000 0.825000000000          7           5.71\n"
                                     "       7.000 0.850000000000          7           6.67\n"
                                     "       7.000 0.875000000000          7           8.00\n"
                                     "       8.000 0.887500000000          8           8.89\n"
                                     "       8.000 1.000000000000          8\n"
                                     "#[Mean    =        4.500, StdDeviation   =        2.291]\n"
                                     "#[Max     =        8.000, Total count    =            8]\n"
                                     "#[Buckets =           25, SubBuckets     =          256]\n");
}

static void the_text_of_an_empty_one_has_no_line (void **state)
{
    (void) state;
    assert_string_equal (s_write (), "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                                     "\n"
                                     "#[Mean    =        0.000, StdDeviation   =        0.000]\n"
                                     "#[Max     =        0.000, Total count    =            0]\n"
                                     "#[Buckets =           25, SubBuckets     =          256]\n");
}

static void the_text_ends_however_large_the_counts (void **state)
{
    (void) state;
    s_one.count = UINT64_MAX;
    s_one.buckets[1] = UINT64_MAX - 1; // as a double, this equals the count
    s_one.buckets[2] = 1;
    s_one.max = 2;
    assert_non_null (strstr (s_write (), "       2.000 1.000000000000 "));
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (what_is_read_back_is_at_most_one_percent_above_what_was_recorded),
      S_TEST (what_is_read_back_grows_with_what_was_recorded),
      S_TEST (small_values_are_exact),
      S_TEST (an_empty_one_has_zeros),
      S_TEST (one_value_is_every_percentile_of_itself),
      S_TEST (percentiles_of_a_known_distribution),
      S_TEST (one_slow_request_in_a_thousand_is_in_the_p999_and_not_in_the_p99),
      S_TEST (counts_in_the_billions_do_not_overflow),
      S_TEST (merging_is_recording_all_in_one),
      S_TEST (more_than_an_hour_is_clamped_and_counted),
      S_TEST (the_text_is_that_of_hdrhistogram),
      S_TEST (the_text_of_an_empty_one_has_no_line),
      S_TEST (the_text_ends_however_large_the_counts),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
