/*  A sheet: numbers as they are read, texts longer than it has room for, and what is lost.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/admin/sheet.h"

// A sanitizer's allocator ends the process where malloc has no memory, but for this.
__attribute__ ((visibility ("default"))) const char *__asan_default_options (void);
const char *__asan_default_options (void)
{
    return "allocator_may_return_null=1";
}

static void s_assert_finished (rp_sheet_t *sheet, const char *expected)
{
    size_t size;
    char *text = rp_sheet_finish (sheet, &size);
    assert_non_null (text);
    assert_string_equal (text, expected);
    assert_int_equal (size, strlen (expected));
    free (text);
}

static void an_empty_sheet_is_an_empty_text (void **state)
{
    (void) state;
    rp_sheet_t sheet = {0};
    rp_sheet_write (&sheet, "", 0);
    s_assert_finished (&sheet, "");
}

static void numbers_have_all_their_digits_and_no_more (void **state)
{
    (void) state;
    rp_sheet_t sheet = {0};
    static const uint64_t numbers[] = {0, 9, 10, 1000000, UINT64_MAX};
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        rp_sheet_number (&sheet, numbers[index]);
        rp_sheet_write (&sheet, " ", 1);
    }
    s_assert_finished (&sheet, "0 9 10 1000000 18446744073709551615 ");
}

static void seconds_have_six_places (void **state)
{
    (void) state;
    rp_sheet_t sheet = {0};
    static const uint64_t micros[] = {0, 1, 999999, 1000000, 60000010, UINT64_MAX};
    for (size_t index = 0; index < sizeof micros / sizeof *micros; index++) {
        rp_sheet_seconds (&sheet, micros[index]);
        rp_sheet_write (&sheet, " ", 1);
    }
    s_assert_finished (
      &sheet, "0.000000 0.000001 0.999999 1.000000 60.000010 18446744073709.551615 ");
}

/*  Each of these sizes is printed beside a text of the same size; among them are those at which room ends.  */
static void what_is_printed_is_there_at_any_size (void **state)
{
    (void) state;
    static char line[40000];
    memset (line, 'x', sizeof line);
    for (size_t size = 0; size < sizeof line; size += size < 1000 || size > 1100 ? 499 : 1) {
        rp_sheet_t sheet = {0};
        rp_sheet_print (&sheet, "%.*s", (int) size, line);
        rp_sheet_text (&sheet, "|");
        rp_sheet_print (&sheet, "%.*s", (int) size, line);
        size_t got;
        char *text = rp_sheet_finish (&sheet, &got);
        assert_int_equal (got, 2 * size + 1);
        assert_int_equal (strlen (text), got);
        assert_memory_equal (text, line, size);
        assert_memory_equal (text + size + 1, line, size);
        free (text);
    }
}

static void nothing_is_left_of_a_sheet_that_has_failed (void **state)
{
    (void) state;
    rp_sheet_t sheet = {0};
    size_t size;
    rp_sheet_text (&sheet, "some");
    assert_null (rp_sheet_reserve (&sheet, SIZE_MAX / 4)); // more than there is
    rp_sheet_text (&sheet, "more");
    rp_sheet_print (&sheet, "%d", 1);
    assert_null (rp_sheet_finish (&sheet, &size));
    rp_sheet_text (&sheet, "another");
    s_assert_finished (&sheet, "another");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_empty_sheet_is_an_empty_text),
      cmocka_unit_test (numbers_have_all_their_digits_and_no_more),
      cmocka_unit_test (seconds_have_six_places),
      cmocka_unit_test (what_is_printed_is_there_at_any_size),
      cmocka_unit_test (nothing_is_left_of_a_sheet_that_has_failed),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
