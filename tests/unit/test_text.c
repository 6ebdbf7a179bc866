/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/errors.h"
#include "client/cli/grid.h"
#include "client/cli/output.h"
#include "client/cli/text.h"

static size_t s_width (const char *text)
{
    return rp_text_width (text, strlen (text));
}

static void width_counts_columns_not_bytes (void **state)
{
    (void) state;
    assert_int_equal (s_width (""), 0);
    assert_int_equal (s_width ("abc"), 3);
    assert_int_equal (s_width ("38 µs"), 5);
    assert_int_equal (s_width ("→…"), 2);
    assert_int_equal (s_width ("日本"), 4);
    assert_int_equal (s_width ("e\xcc\x81"), 1); // e and a combining accent
    assert_int_equal (s_width ("🎉"), 2);
}

static void bytes_that_are_not_utf8_take_a_column_each (void **state)
{
    (void) state;
    assert_int_equal (s_width ("\xff\xfe"), 2);
    assert_int_equal (s_width ("a\xc3"), 2);            // cut short
    assert_int_equal (s_width ("\xc0\xaf"), 2);         // overlong
    assert_int_equal (s_width ("\xed\xa0\x80"), 3);     // a surrogate
    assert_int_equal (s_width ("\xf5\x80\x80\x80"), 4); // beyond the last code point
}

static void fitting_never_cuts_a_character (void **state)
{
    (void) state;
    assert_int_equal (rp_text_fit ("abc", 3, 5), 3);
    assert_int_equal (rp_text_fit ("abc", 3, 2), 2);
    assert_int_equal (rp_text_fit ("aµb", 4, 2), 3);
    assert_int_equal (rp_text_fit ("日本", 6, 3), 3);
    assert_int_equal (rp_text_fit ("abc", 3, 0), 0);
}

static void s_shows (const char *data, size_t size, const char *expected)
{
    char *visible = rp_text_visible (data, size);
    assert_non_null (visible);
    assert_string_equal (visible, expected);
    free (visible);
}

static void what_could_steer_a_terminal_is_made_visible (void **state)
{
    (void) state;
    s_shows ("a\x1b[2Jb", 6, "a\\x1b[2Jb");
    s_shows ("a\0b", 3, "a\\x00b");
    s_shows ("\x7f", 1, "\\x7f");
    s_shows ("\xc2\x9b", 2, "\\xc2\\x9b");          // a C1 control: it also begins a sequence
    s_shows ("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); // reverses the direction of text
    s_shows ("\xff", 1, "\\xff");
    s_shows ("a\tb", 3, "a    b");
    s_shows ("grün 日本 🎉", strlen ("grün 日本 🎉"), "grün 日本 🎉");
}

static void s_encodes (const char *data, const char *expected)
{
    char *encoded = rp_text_base64 (data, strlen (data));
    assert_non_null (encoded);
    assert_string_equal (encoded, expected);
    free (encoded);
}

static void base64_is_as_in_the_rfc (void **state)
{
    (void) state;
    s_encodes ("", "");
    s_encodes ("f", "Zg==");
    s_encodes ("fo", "Zm8=");
    s_encodes ("foo", "Zm9v");
    s_encodes ("foob", "Zm9vYg==");
    s_encodes ("fooba", "Zm9vYmE=");
    s_encodes ("foobar", "Zm9vYmFy");
    s_encodes ("\xff\xfe\xfd", "//79");
}

static void s_quotes (const char *text, const char *expected)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream (&written, &size);
    assert_non_null (out);
    rp_text_csv (out, text, strlen (text));
    assert_int_equal (fclose (out), 0);
    assert_string_equal (written, expected);
    free (written);
}

static void csv_is_quoted_only_where_it_must_be (void **state)
{
    (void) state;
    s_quotes ("plain text", "plain text");
    s_quotes ("", "");
    s_quotes ("a,b", "\"a,b\"");
    s_quotes ("say \"hi\"", "\"say \"\"hi\"\"\"");
    s_quotes ("two\nlines", "\"two\nlines\"");
    s_quotes ("two\r\nlines", "\"two\r\nlines\"");
}

static void s_prints (rp_grid_t *grid, const char *before, const char *after, const char *expected)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream (&written, &size);
    assert_non_null (out);
    rp_grid_print (grid, out, before, after);
    assert_int_equal (fclose (out), 0);
    assert_string_equal (written, expected);
    free (written);
}

static void a_grid_aligns_by_columns_of_the_terminal (void **state)
{
    (void) state;
    static const char *const titles[] = {"NAME", "TIME", "NOTE"};
    static const bool right[] = {false, true, false};
    rp_grid_t *grid = rp_grid_new (titles, right, 3);
    assert_non_null (grid);
    assert_true (rp_grid_add (grid, (const char *const[]){"grün", "38 µs", "x"}));
    assert_true (rp_grid_add (grid, (const char *const[]){"日本語", "1 s", ""}));
    assert_true (rp_grid_add (grid, (const char *const[]){"a", "1200 ms", "long note"}));
    s_prints (grid, "", "",
      "NAME       TIME  NOTE\n"
      "grün      38 µs  x\n"
      "日本語      1 s  \n"
      "a       1200 ms  long note\n");
    rp_grid_destroy (&grid);
    assert_null (grid);
    rp_grid_destroy (&grid);
}

static void a_grid_of_many_rows_keeps_them_all (void **state)
{
    (void) state;
    static const char *const titles[] = {"N"};
    static const bool right[] = {true};
    rp_grid_t *grid = rp_grid_new (titles, right, 1);
    assert_non_null (grid);
    for (int row = 0; row < 1000; row++)
        assert_true (rp_grid_add (grid, (const char *const[]){row == 999 ? "last" : "x"}));
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream (&written, &size);
    assert_non_null (out);
    rp_grid_print (grid, out, "<", ">");
    assert_int_equal (fclose (out), 0);
    assert_int_equal (size, strlen ("<   N>\n") + 1000 * 5);
    assert_memory_equal (written, "<   N>\n   x\n", 12);
    assert_string_equal (written + size - 5, "last\n");
    free (written);
    rp_grid_destroy (&grid);
}

static void a_cell_cannot_break_the_grid (void **state)
{
    (void) state;
    static const char *const titles[] = {"A", "B"};
    static const bool right[] = {false, false};
    rp_grid_t *grid = rp_grid_new (titles, right, 2);
    assert_non_null (grid);
    assert_true (rp_grid_add (grid, (const char *const[]){"x\n\x1b[0m", "y"}));
    s_prints (grid, "", "", "A             B\nx\\x0a\\x1b[0m  y\n");
    rp_grid_destroy (&grid);
}

static void s_tells (rp_error_t error, const char *expected)
{
    char line[RP_ERROR_LINE_MAX];
    assert_string_equal (rp_error_line (&error, line), expected);
}

static void an_error_says_what_why_and_the_next_step (void **state)
{
    (void) state;
    s_tells ((rp_error_t){.status = RP_NO_WORKER, .service = "uper", .hint = "upper", .why = "x"},
      "no worker offers \"uper\" (did you mean \"upper\"?); list them: riposte services");
    s_tells ((rp_error_t){.status = RP_NO_WORKER, .service = "uper", .why = ""},
      "no worker offers \"uper\"; list them: riposte services");
    s_tells (
      (rp_error_t){
        .status = RP_NO_BROKER, .why = "connection refused", .server = "tcp://127.0.0.1:5555"},
      "no broker at tcp://127.0.0.1:5555 (connection refused); start one: riposte-broker");
    s_tells ((rp_error_t){.status = RP_APP_ERROR, .service = "upper", .why = "boom", .code = 3},
      "\"upper\" failed: boom (code 3)");
    s_tells (
      (rp_error_t){.status = RP_APP_ERROR, .service = "upper", .why = ""}, "\"upper\" failed");
    s_tells ((rp_error_t){.status = RP_BUSY, .service = "upper", .why = "the queue is full"},
      "\"upper\" was not taken: the queue is full; try again later, or with --attempts 5");
}

static void a_reason_that_says_what_to_do_needs_no_next_step (void **state)
{
    (void) state;
    s_tells ((rp_error_t){.status = RP_BUSY, .service = "upper", .why = "it is full; come back"},
      "\"upper\" was not taken: it is full; come back");
    s_tells ((rp_error_t){.status = RP_NO_BROKER, .why = "none reached; go on", .server = "s"},
      "none reached; go on");
}

static void the_endpoint_is_not_said_twice (void **state)
{
    (void) state;
    s_tells (
      (rp_error_t){.status = RP_NO_BROKER, .why = "tcp://a:1: refused", .server = "tcp://a:1"},
      "no broker at tcp://a:1 (refused); start one: riposte-broker");
    s_tells (
      (rp_error_t){
        .status = RP_NO_BROKER, .why = "tcp://b:1: refused", .server = "tcp://a:1,tcp://b:1"},
      "no broker at tcp://a:1,tcp://b:1 (tcp://b:1: refused); start one: riposte-broker");
}

static void every_status_has_a_line_without_control_characters (void **state)
{
    (void) state;
    for (int status = 1; status < 120; status++) {
        rp_error_t error = {
          .status = status, .service = "a\x1b", .why = "b\nc", .hint = "\x07", .server = "s"};
        char line[RP_ERROR_LINE_MAX];
        rp_error_line (&error, line);
        assert_true (*line != '\0');
        for (const char *at = line; *at; at++)
            assert_true ((unsigned char) *at >= ' ');
    }
}

static void the_longest_error_is_cut_not_overrun (void **state)
{
    (void) state;
    static char why[20000];
    memset (why, 'x', sizeof why - 1);
    rp_error_t error = {.status = RP_BUSY, .service = "s", .why = why};
    char line[RP_ERROR_LINE_MAX];
    assert_int_equal (strlen (rp_error_line (&error, line)), RP_ERROR_LINE_MAX - 1);
}

static void an_error_in_json_has_code_service_and_hint (void **state)
{
    (void) state;
    rp_error_t error = {.status = RP_NO_WORKER, .service = "uper", .hint = "upper", .why = ""};
    json_t *object = rp_error_json (&error);
    assert_string_equal (json_string_value (json_object_get (object, "code")), "NO_WORKER");
    assert_string_equal (json_string_value (json_object_get (object, "service")), "uper");
    assert_string_equal (json_string_value (json_object_get (object, "hint")), "upper");
    assert_non_null (json_object_get (object, "message"));
    json_decref (object);
}

static void a_body_in_json_is_text_or_base64 (void **state)
{
    (void) state;
    json_t *object = json_object ();
    rp_output_set_body (object, "a\0µ", 4);
    assert_int_equal (json_string_length (json_object_get (object, "body")), 4);
    assert_null (json_object_get (object, "body_base64"));
    json_object_clear (object);
    rp_output_set_body (object, "\xff\xfe\xfd", 3);
    assert_null (json_object_get (object, "body"));
    assert_string_equal (json_string_value (json_object_get (object, "body_base64")), "//79");
    json_decref (object);
}

int main (void)
{
    static const struct CMUnitTest tests[] = {
      cmocka_unit_test (width_counts_columns_not_bytes),
      cmocka_unit_test (bytes_that_are_not_utf8_take_a_column_each),
      cmocka_unit_test (fitting_never_cuts_a_character),
      cmocka_unit_test (what_could_steer_a_terminal_is_made_visible),
      cmocka_unit_test (base64_is_as_in_the_rfc),
      cmocka_unit_test (csv_is_quoted_only_where_it_must_be),
      cmocka_unit_test (a_grid_aligns_by_columns_of_the_terminal),
      cmocka_unit_test (a_grid_of_many_rows_keeps_them_all),
      cmocka_unit_test (a_cell_cannot_break_the_grid),
      cmocka_unit_test (an_error_says_what_why_and_the_next_step),
      cmocka_unit_test (a_reason_that_says_what_to_do_needs_no_next_step),
      cmocka_unit_test (the_endpoint_is_not_said_twice),
      cmocka_unit_test (every_status_has_a_line_without_control_characters),
      cmocka_unit_test (the_longest_error_is_cut_not_overrun),
      cmocka_unit_test (an_error_in_json_has_code_service_and_hint),
      cmocka_unit_test (a_body_in_json_is_text_or_base64),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
