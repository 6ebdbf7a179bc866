/*  SPDX-License-Identifier: MPL-2.0

    Spreads: their error for every kind of value, quantiles against exact ones, merging, and the counts
    that Prometheus wants.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/spread.h"

#define S_VALUES 20000u

static rp_spread_t s_one;
static rp_spread_t s_other;
static uint32_t s_values[S_VALUES];

static int s_setup (void **state)
{
    (void) state;
    s_one = s_other = (rp_spread_t){0};
    return 0;
}

static uint64_t s_random;

static uint32_t s_draw (void)
{
    s_random = s_random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t) (s_random >> 32);
}

static void s_assert_close (uint32_t read, uint32_t value)
{
    uint64_t off = read > value ? read - value : value - read;
    if (off * 100 > (uint64_t) value * 4)
        fail_msg ("%u is read back as %u", value, read);
}

static void s_assert_read_back (uint32_t value)
{
    s_one = (rp_spread_t){0};
    rp_spread_add (&s_one, value);
    s_assert_close (rp_spread_quantile (&s_one, 50000), value);
    assert_int_equal (s_one.sum, value);
    assert_int_equal (rp_spread_count (&s_one), 1);
}

static void what_is_read_back_is_at_most_four_percent_off (void **state)
{
    (void) state;
    for (uint32_t value = 0; value < 5000; value++)
        s_assert_read_back (value);
    for (unsigned bit = 5; bit < 32; bit++) {
        s_assert_read_back ((1u << bit) - 1);
        s_assert_read_back (1u << bit);
        s_assert_read_back ((1u << bit) + 1);
    }
    s_assert_read_back (UINT32_MAX);
}

static int s_compare (const void *one, const void *other)
{
    uint32_t left = *(const uint32_t *) one, right = *(const uint32_t *) other;
    return (left > right) - (left < right);
}

/*  Draws values over the whole range, about equally many of each number of bits.  */
static void s_fill (void)
{
    for (size_t index = 0; index < S_VALUES; index++) {
        s_values[index] = s_draw () >> (s_draw () >> 27);
        rp_spread_add (&s_one, s_values[index]);
    }
    qsort (s_values, S_VALUES, sizeof *s_values, s_compare);
}

static void quantiles_are_within_four_percent_of_exact_ones (void **state)
{
    (void) state;
    static const uint32_t shares[] = {1, 1000, 25000, 50000, 90000, 99000, 99900, 99990, 100000};
    s_fill ();
    for (size_t index = 0; index < sizeof shares / sizeof *shares; index++) {
        size_t rank = ((size_t) S_VALUES * shares[index] + 99999) / 100000;
        s_assert_close (rp_spread_quantile (&s_one, shares[index]), s_values[rank - 1]);
    }
}

static void an_empty_spread_has_no_quantiles (void **state)
{
    (void) state;
    assert_int_equal (rp_spread_quantile (&s_one, 99000), 0);
    assert_int_equal (rp_spread_count (&s_one), 0);
}

static void a_merged_spread_has_the_values_of_both (void **state)
{
    (void) state;
    for (uint32_t value = 0; value < 100; value++)
        rp_spread_add (value < 50 ? &s_one : &s_other, value < 50 ? 10 : 1000);
    rp_spread_merge (&s_one, &s_other);
    assert_int_equal (rp_spread_count (&s_one), 100);
    assert_int_equal (s_one.sum, 50 * 10 + 50 * 1000);
    s_assert_close (rp_spread_quantile (&s_one, 50000), 10);
    s_assert_close (rp_spread_quantile (&s_one, 51000), 1000);
}

static size_t s_exact_up_to (uint32_t bound)
{
    size_t count = 0;
    while (count < S_VALUES && s_values[count] <= bound)
        count++;
    return count;
}

static void counts_up_to_a_bound_are_those_of_a_bound_within_four_percent (void **state)
{
    (void) state;
    uint64_t counts[RP_SPREAD_BOUNDS];
    s_fill ();
    assert_int_equal (rp_spread_cumulate (&s_one, counts), S_VALUES);
    for (size_t index = 0; index < RP_SPREAD_BOUNDS; index++) {
        uint32_t bound = rp_spread_bounds[index];
        assert_in_range (
          counts[index], s_exact_up_to (bound - bound / 25), s_exact_up_to (bound + bound / 25));
        assert_int_equal (counts[index], rp_spread_up_to (&s_one, bound));
        assert_true (index == 0 || counts[index] >= counts[index - 1]);
    }
    assert_int_equal (rp_spread_bounds[0], 50);
    assert_int_equal (rp_spread_bounds[RP_SPREAD_BOUNDS - 1], 60000000);
}

static void a_count_of_bytes_is_in_the_first_power_of_two_that_is_not_less (void **state)
{
    (void) state;
    rp_octaves_t octaves = {0};
    static const struct {
        uint64_t value;
        size_t bucket;
    } rows[] = {{0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {1024, 10}, {1025, 11},
      {1u << 30, 30}, {UINT32_MAX, 32}};
    uint64_t sum = 0;
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        uint64_t before = octaves.counts[rows[index].bucket];
        rp_octaves_add (&octaves, rows[index].value);
        assert_int_equal (octaves.counts[rows[index].bucket], before + 1);
        sum += rows[index].value;
    }
    assert_int_equal (octaves.sum, sum);
}

static void counts_of_bytes_up_to_a_bound_are_exact (void **state)
{
    (void) state;
    rp_octaves_t octaves = {0};
    uint64_t counts[RP_OCTAVES_BOUNDS];
    assert_int_equal (rp_octaves_cumulate (&octaves, counts), 0);
    for (size_t bound = 0; bound < RP_OCTAVES_BOUNDS; bound++) {
        rp_octaves_add (&octaves, rp_octaves_bounds[bound]);
        rp_octaves_add (&octaves, rp_octaves_bounds[bound] + 1);
    }
    assert_int_equal (rp_octaves_cumulate (&octaves, counts), 2 * RP_OCTAVES_BOUNDS);
    for (size_t bound = 0; bound < RP_OCTAVES_BOUNDS; bound++)
        assert_int_equal (counts[bound], 2 * bound + 1);
}

static void a_part_with_all_that_is_not_empty_counts_as_the_whole (void **state)
{
    (void) state;
    uint64_t whole[RP_SPREAD_BOUNDS], part[RP_SPREAD_BOUNDS];
    rp_spread_add (&s_one, 300);
    rp_spread_add (&s_one, 70000);
    size_t first = rp_spread_bucket (300);
    size_t size = rp_spread_bucket (70000) - first + 1;
    assert_int_equal (rp_spread_cumulate (&s_one, whole), 2);
    assert_int_equal (rp_spread_cumulate_part (s_one.counts + first, first, size, part), 2);
    assert_memory_equal (part, whole, sizeof whole);
    assert_int_equal (rp_spread_cumulate_part (NULL, 0, 0, part), 0);
}

static void buckets_follow_each_other_without_a_gap (void **state)
{
    (void) state;
    assert_int_equal (rp_spread_lowest (0), 0);
    for (size_t bucket = 1; bucket < RP_SPREAD_BUCKETS; bucket++) {
        assert_int_equal (rp_spread_bucket (rp_spread_lowest (bucket)), bucket);
        assert_int_equal (rp_spread_bucket (rp_spread_lowest (bucket) - 1), bucket - 1);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup (what_is_read_back_is_at_most_four_percent_off, s_setup),
      cmocka_unit_test_setup (quantiles_are_within_four_percent_of_exact_ones, s_setup),
      cmocka_unit_test_setup (an_empty_spread_has_no_quantiles, s_setup),
      cmocka_unit_test_setup (a_merged_spread_has_the_values_of_both, s_setup),
      cmocka_unit_test_setup (
        counts_up_to_a_bound_are_those_of_a_bound_within_four_percent, s_setup),
      cmocka_unit_test_setup (a_part_with_all_that_is_not_empty_counts_as_the_whole, s_setup),
      cmocka_unit_test (counts_of_bytes_up_to_a_bound_are_exact),
      cmocka_unit_test (buckets_follow_each_other_without_a_gap),
      cmocka_unit_test (a_count_of_bytes_is_in_the_first_power_of_two_that_is_not_less),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
