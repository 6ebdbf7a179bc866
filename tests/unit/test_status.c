/*  SPDX-License-Identifier: MPL-2.0  */

#include <riposte/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/*  Numbers travel on the wire and in scripts: they never change.  */
static const struct {
    int number;
    const char *name;
    int exit_code;
    bool safe;
} s_expected[] = {
  {0, "OK", 0, false},
  {1, "APP_ERROR", 1, false},
  {2, "NO_WORKER", 4, true},
  {3, "BUSY", 7, true},
  {4, "DRAINING", 7, true},
  {5, "DENIED", 6, true},
  {6, "INVALID", 2, true},
  {7, "TOO_LARGE", 7, true},
  {8, "EXPIRED", 5, true},
  {9, "CANCELLED", 130, false},
  {10, "WORKER_LOST", 9, false},
  {11, "DEADLINE", 5, false},
  {12, "CONVERSATION_LOST", 9, false},
  {13, "KEY_MISMATCH", 2, true},
  {64, "NO_BROKER", 3, true},
  {65, "UNKNOWN", 3, false},
  {96, "USAGE", 2, false},
  {97, "NO_MEMORY", 1, false},
  {98, "TIMED_OUT", 5, false},
  {99, "CLOSED", 3, false},
  {100, "FULL", 7, false},
  {101, "INTERRUPTED", 130, false},
  {102, "SYSTEM", 1, false},
};

static void s_every_status_has_its_number_name_text_and_exit_code (void **state)
{
    (void) state;
    size_t known = 0;
    for (int number = -10; number < 300; number++)
        known += strcmp (rp_status_name (number), "?") != 0;
    assert_int_equal (known, sizeof s_expected / sizeof *s_expected);
    for (size_t index = 0; index < known; index++) {
        int number = s_expected[index].number;
        assert_string_equal (rp_status_name (number), s_expected[index].name);
        assert_int_equal (rp_status_exit_code (number), s_expected[index].exit_code);
        const char *text = rp_strerror (number);
        assert_true (strlen (text) > 4);
        assert_int_not_equal (text[strlen (text) - 1], '.');
        assert_string_not_equal (text, "unknown status");
    }
}

static void s_only_what_no_worker_was_given_is_safe_to_try_again (void **state)
{
    (void) state;
    for (size_t index = 0; index < sizeof s_expected / sizeof *s_expected; index++)
        assert_int_equal (
          rp_status_is_safe_to_retry (s_expected[index].number), s_expected[index].safe);
    assert_false (rp_status_is_safe_to_retry (63));
}

static void s_an_unknown_number_is_told_as_such (void **state)
{
    (void) state;
    assert_string_equal (rp_strerror (14), "unknown status");
    assert_string_equal (rp_strerror (-1), "unknown status");
    assert_string_equal (rp_status_name (1000), "?");
    assert_int_equal (rp_status_exit_code (1000), 1);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_every_status_has_its_number_name_text_and_exit_code),
      cmocka_unit_test (s_only_what_no_worker_was_given_is_safe_to_try_again),
      cmocka_unit_test (s_an_unknown_number_is_told_as_such),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
