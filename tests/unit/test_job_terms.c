/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/job_terms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/headers.h"

#define S_WALL INT64_C (1700000000000000)

static uint8_t s_block[1024];
static size_t s_size;
static rp_job_terms_t s_terms;

static void s_add (const char *key, const char *value)
{
    assert_true (rp_headers_append (s_block, &s_size, sizeof s_block, key, value));
}

static const char *s_read (void)
{
    const rp_head_t head = {.attempts = 5, .headers = s_block, .headers_size = (uint16_t) s_size};
    s_size = 0;
    return rp_job_terms_read (&s_terms, &head, S_WALL);
}

static const char *s_read_one (const char *key, const char *value)
{
    s_add (key, value);
    return s_read ();
}

static void s_without_headers_all_is_as_usual (void **state)
{
    (void) state;
    assert_null (s_read ());
    assert_int_equal (s_terms.key_size, 0);
    assert_int_equal (s_terms.attempts, 5);
    assert_true (s_terms.not_before == S_WALL);
    assert_true (s_terms.deadline == INT64_MAX);
    assert_int_equal (s_terms.attempt_ms, 0);
    assert_int_equal (s_terms.backoff_ms, RP_JOB_BACKOFF_MS);
    assert_int_equal (s_terms.keep_ms, RP_JOB_KEEP_MS);
}

static void s_a_key_has_1_to_127_bytes (void **state)
{
    (void) state;
    char key[130] = "";
    memset (key, 'k', sizeof key - 1);
    key[127] = 0;
    assert_null (s_read_one (RP_JOB_KEY, key));
    assert_int_equal (s_terms.key_size, 127);
    assert_memory_equal (s_terms.key, key, 127);
    key[127] = 'k';
    key[128] = 0;
    assert_non_null (s_read_one (RP_JOB_KEY, key));
    assert_non_null (s_read_one (RP_JOB_KEY, ""));
    assert_null (s_read_one (RP_JOB_KEY, "k"));
}

static void s_of_delay_and_instant_the_later_counts (void **state)
{
    (void) state;
    assert_null (s_read_one (RP_JOB_DELAY, "1500"));
    assert_true (s_terms.not_before == S_WALL + 1500000);
    assert_null (s_read_one (RP_JOB_NOT_BEFORE, "1700000005000000"));
    assert_true (s_terms.not_before == S_WALL + 5000000);
    s_add (RP_JOB_DELAY, "6000");
    assert_null (s_read_one (RP_JOB_NOT_BEFORE, "1700000005000000"));
    assert_true (s_terms.not_before == S_WALL + 6000000);
    s_add (RP_JOB_DELAY, "4000");
    assert_null (s_read_one (RP_JOB_NOT_BEFORE, "1700000005000000"));
    assert_true (s_terms.not_before == S_WALL + 5000000);
    assert_null (s_read_one (RP_JOB_NOT_BEFORE, "1")); // is past
    assert_true (s_terms.not_before == S_WALL);
}

static void s_a_deadline_is_after_the_beginning (void **state)
{
    (void) state;
    assert_null (s_read_one (RP_JOB_DEADLINE, "1700000000000001"));
    assert_true (s_terms.deadline == S_WALL + 1);
    assert_non_null (s_read_one (RP_JOB_DEADLINE, "1700000000000000"));
    s_add (RP_JOB_DELAY, "1000");
    assert_non_null (s_read_one (RP_JOB_DEADLINE, "1700000001000000"));
    s_add (RP_JOB_DELAY, "1000");
    assert_null (s_read_one (RP_JOB_DEADLINE, "1700000001000001"));
}

static void s_an_instant_that_never_comes_is_one_that_can_be_added_to (void **state)
{
    (void) state;
    s_add (RP_JOB_NOT_BEFORE, "9223372036854775805");
    assert_null (s_read_one (RP_JOB_DEADLINE, "9223372036854775806"));
    assert_true (s_terms.not_before == RP_JOB_INSTANT_MAX && s_terms.instant);
    assert_true (s_terms.deadline == INT64_MAX);
    s_add (RP_JOB_NOT_BEFORE, "9223372036854775806");
    assert_non_null (s_read_one (RP_JOB_DEADLINE, "9223372036854775806"));
}

static void s_a_number_is_digits_within_its_bound (void **state)
{
    (void) state;
    static const struct {
        const char *key;
        const char *most;
        const char *over;
    } numbers[] = {
      {RP_JOB_DELAY, "31622400000", "31622400001"},
      {RP_JOB_BACKOFF, "300000", "300001"},
      {RP_JOB_KEEP, "31622400000", "31622400001"},
      {RP_JOB_PRIORITY, "9", "10"},
      {RP_JOB_ATTEMPT, "86400000", "86400001"},
      {RP_JOB_NOT_BEFORE, "9223372036854775806", "9223372036854775808"},
      {RP_JOB_DEADLINE, "9223372036854775807", "9999999999999999999"},
    };
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "1.5", "1e3", "0x10",
      "99999999999999999999", "18446744073709551617"};
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        assert_null (s_read_one (numbers[index].key, numbers[index].most));
        assert_non_null (s_read_one (numbers[index].key, numbers[index].over));
        for (size_t each = 0; each < sizeof wrong / sizeof *wrong; each++)
            assert_non_null (s_read_one (numbers[index].key, wrong[each]));
    }
}

static void s_pauses_double_up_to_five_minutes_and_differ_by_a_quarter (void **state)
{
    (void) state;
    uint64_t pause = 1000;
    for (unsigned attempts = 1; attempts < 200; attempts++) {
        uint32_t least = UINT32_MAX, most = 0;
        for (uint64_t chance = 0; chance < 200000; chance += 7) {
            uint32_t drawn = rp_job_pause (1000, attempts, chance);
            least = drawn < least ? drawn : least;
            most = drawn > most ? drawn : most;
        }
        assert_true (least >= pause * 3 / 4 && most <= pause * 5 / 4);
        assert_true (least < pause && most > pause);
        pause = pause * 2 < 300000 ? pause * 2 : 300000;
    }
    assert_int_equal (rp_job_pause (0, 9, 12345), 0);
    assert_int_equal (rp_job_pause (1, 1, UINT64_MAX), 1);
    assert_true (rp_job_pause (300000, 10, UINT64_MAX) <= 375000);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_without_headers_all_is_as_usual),
      cmocka_unit_test (s_a_key_has_1_to_127_bytes),
      cmocka_unit_test (s_of_delay_and_instant_the_later_counts),
      cmocka_unit_test (s_a_deadline_is_after_the_beginning),
      cmocka_unit_test (s_an_instant_that_never_comes_is_one_that_can_be_added_to),
      cmocka_unit_test (s_a_number_is_digits_within_its_bound),
      cmocka_unit_test (s_pauses_double_up_to_five_minutes_and_differ_by_a_quarter),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
