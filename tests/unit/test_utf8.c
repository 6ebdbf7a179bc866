/*  How names that peers chose are shown.

    SPDX-License-Identifier: MPL-2.0
*/

#include "common/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void s_shows (const char *name, const char *expected)
{
    char buffer[128];
    size_t size = rp_utf8_escape (name, strlen (name), buffer, sizeof buffer);
    assert_string_equal (buffer, expected);
    assert_int_equal (size, strlen (expected));
}

static void s_text_that_can_be_read_stays (void **state)
{
    (void) state;
    s_shows ("", "");
    s_shows ("billing.v2 (\"x\")", "billing.v2 (\"x\")");
    s_shows ("größe 寸法 \xF0\x9F\x98\x80", "größe 寸法 \xF0\x9F\x98\x80");
}

static void s_what_steers_a_terminal_is_escaped (void **state)
{
    (void) state;
    s_shows ("a\x1b[2J", "a\\x1b[2J");
    s_shows ("\x7f\n", "\\x7f\\x0a");
    s_shows ("\xc2\x9b", "\\xc2\\x9b");
    s_shows ("\xe2\x80\xae", "\\xe2\\x80\\xae"); // U+202E
    s_shows ("\xe2\x81\xa6", "\\xe2\\x81\\xa6"); // U+2066
    s_shows ("\xd8\x9c", "\\xd8\\x9c");          // U+061C
    s_shows ("\xe2\x80\x8f", "\\xe2\\x80\\x8f"); // U+200F
}

static void s_different_names_stay_different (void **state)
{
    (void) state;
    s_shows ("\x80", "\\x80");
    s_shows ("\x81", "\\x81");
    s_shows ("\\x80", "\\\\x80");
    s_shows ("\xe2\x80", "\\xe2\\x80");
    s_shows ("up\xe2\x80\x8bper", "up\\xe2\\x80\\x8bper"); // a space of no width
    s_shows ("\xed\xa0\x80", "\\xed\\xa0\\x80");           // a surrogate
}

static void s_what_does_not_fit_is_cut_between_characters (void **state)
{
    (void) state;
    char buffer[8];
    assert_int_equal (rp_utf8_escape ("abcd\x80z", 6, buffer, sizeof buffer), 4);
    assert_string_equal (buffer, "abcd");
    assert_int_equal (rp_utf8_escape ("abcdefgh", 8, buffer, sizeof buffer), 7);
    assert_int_equal (rp_utf8_escape ("abc", 3, buffer, 1), 0);
    assert_string_equal (buffer, "");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_text_that_can_be_read_stays),
      cmocka_unit_test (s_what_steers_a_terminal_is_escaped),
      cmocka_unit_test (s_different_names_stay_different),
      cmocka_unit_test (s_what_does_not_fit_is_cut_between_characters),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
