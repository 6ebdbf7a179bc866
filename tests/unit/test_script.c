/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/cli/script.h"

/*  Reads one line with user=ada and empty= set; returns the body, "-" for nothing, or
    "!reason".  */
static const char *s_line (const char *text, size_t size)
{
    static char result[RP_SCRIPT_REASON_MAX + 1024];
    char reason[RP_SCRIPT_REASON_MAX] = "";
    rp_script_variable_t items[2];
    assert_true (rp_script_variable ("user=ada", &items[0]));
    assert_true (rp_script_variable ("empty=", &items[1]));
    rp_script_variables_t variables = {.items = items, .count = 2};
    rp_script_request_t request;
    // A sanitizer finds a read beyond the copy's last byte.
    char *copy = malloc (size + 1);
    assert_non_null (copy);
    memcpy (copy + 1, text, size);
    rp_script_outcome_t outcome =
      rp_script_read_line (copy + 1, size, &variables, &request, reason);
    free (copy);
    memset (result, 0, sizeof result);
    if (outcome == RP_SCRIPT_NOTHING)
        return "-";
    if (outcome == RP_SCRIPT_WRONG) {
        result[0] = '!';
        strcpy (result + 1, reason);
        return result;
    }
    assert_int_equal (outcome, RP_SCRIPT_REQUEST);
    memcpy (result, request.body, request.size);
    free (request.body);
    return result;
}

static void s_gives (const char *line, const char *body)
{
    assert_string_equal (s_line (line, strlen (line)), body);
}

static void s_is_wrong (const char *line, const char *part)
{
    const char *result = s_line (line, strlen (line));
    assert_int_equal (*result, '!');
    assert_non_null (strstr (result, part));
}

static void a_line_is_a_request_byte_for_byte (void **state)
{
    (void) state;
    s_gives ("GET /index.html", "GET /index.html");
    s_gives ("  two  blanks  \n", "  two  blanks  ");
    s_gives ("{\"price\": 5}", "{\"price\": 5}");
    s_gives ("caf\xc3\xa9", "caf\xc3\xa9");
}

static void the_end_of_a_line_is_no_part_of_it (void **state)
{
    (void) state;
    s_gives ("a\n", "a");
    s_gives ("a\r\n", "a");
    s_gives ("a\r", "a");
    s_gives ("a\rb\n", "a\rb");
}

static void blank_lines_and_comments_say_nothing (void **state)
{
    (void) state;
    s_gives ("", "-");
    s_gives ("\n", "-");
    s_gives (" \t\r\n", "-");
    s_gives ("# a comment", "-");
    s_gives ("   # another, $nothing \\q in it is looked at", "-");
    s_gives ("a # is no comment", "a # is no comment");
    s_gives ("\\# is a request", "# is a request");
}

static void escapes_stand_for_bytes (void **state)
{
    (void) state;
    s_gives ("a\\nb\\r\\tc\\\\d\\$user\\#", "a\nb\r\tc\\d$user#");
    s_gives ("\\x41\\x7a\\xC3\\xa9", "Az\xc3\xa9");
    const char nul[] = "a\0b";
    assert_memory_equal (s_line ("a\\x00b", 6), nul, 4);
}

static void an_unknown_escape_is_wrong (void **state)
{
    (void) state;
    s_is_wrong ("a\\q", "not \"\\q\"");
    s_is_wrong ("a\\", "ends with a backslash");
    s_is_wrong ("a\\\n", "ends with a backslash");
    s_is_wrong ("\\x4", "\\xHH");
    s_is_wrong ("\\xg0", "\\xHH");
    s_is_wrong ("\\\x1b[2J", "not \"\\?\"");
}

static void variables_are_put_in (void **state)
{
    (void) state;
    s_gives ("user=$user", "user=ada");
    s_gives ("user=${user}&x=1", "user=ada&x=1");
    s_gives ("$user$user/$user.txt", "adaada/ada.txt");
    s_gives ("[$empty]", "[]");
    s_gives ("$empty", "");
}

static void a_value_may_be_longer_than_its_line (void **state)
{
    (void) state;
    char text[1002] = "v=";
    memset (text + 2, 'x', 999);
    rp_script_variable_t item;
    assert_true (rp_script_variable (text, &item));
    rp_script_variables_t variables = {.items = &item, .count = 1};
    rp_script_request_t request;
    char reason[RP_SCRIPT_REASON_MAX];
    assert_int_equal (
      rp_script_read_line ("$v-$v-$v", 8, &variables, &request, reason), RP_SCRIPT_REQUEST);
    assert_int_equal (request.size, 2999);
    assert_memory_equal (request.body + 1998, "x-x", 3);
    free (request.body);
}

static void a_default_stands_in_for_what_is_not_set (void **state)
{
    (void) state;
    s_gives ("city=${city:-New York}!", "city=New York!");
    s_gives ("user=${user:-bob}", "user=ada");
    s_gives ("[${city:-}]", "[]");
    s_gives ("[${empty:-full}]", "[]");
}

static void a_dollar_without_a_name_is_a_dollar (void **state)
{
    (void) state;
    s_gives ("$5 or $", "$5 or $");
    s_gives ("${5}", "${5}");
    s_gives ("$$user", "$ada");
}

static void a_variable_that_is_not_set_is_wrong (void **state)
{
    (void) state;
    s_is_wrong ("POST /login user=$usr", "$usr");
    s_is_wrong ("POST /login user=$usr", "--set usr=VALUE");
    s_is_wrong ("$users", "$users");
    s_is_wrong ("${user", "${NAME:-DEFAULT}");
    s_is_wrong ("${user:bob}", "${NAME:-DEFAULT}");
    s_is_wrong ("${user-bob}", "${NAME:-DEFAULT}");
}

static void a_variable_needs_a_name (void **state)
{
    (void) state;
    rp_script_variable_t variable;
    assert_true (rp_script_variable ("_a1=b=c", &variable));
    assert_int_equal (variable.name_size, 3);
    assert_string_equal (variable.value, "b=c");
    assert_false (variable.used);
    assert_false (rp_script_variable ("=b", &variable));
    assert_false (rp_script_variable ("1a=b", &variable));
    assert_false (rp_script_variable ("a", &variable));
    assert_false (rp_script_variable ("a b=c", &variable));
}

static void a_variable_knows_that_it_was_used (void **state)
{
    (void) state;
    rp_script_variable_t items[2];
    assert_true (rp_script_variable ("user=ada", &items[0]));
    assert_true (rp_script_variable ("usr=bob", &items[1]));
    rp_script_variables_t variables = {.items = items, .count = 2};
    rp_script_request_t request;
    char reason[RP_SCRIPT_REASON_MAX];
    assert_int_equal (
      rp_script_read_line ("$user", 5, &variables, &request, reason), RP_SCRIPT_REQUEST);
    free (request.body);
    assert_true (items[0].used);
    assert_false (items[1].used);
}

static void a_script_gives_its_requests_in_order (void **state)
{
    (void) state;
    static const char text[] = "# title\n\nfirst\r\n\n  # more\nsecond\\n2\nthird";
    rp_script_t script = {0};
    rp_script_variables_t none = {0};
    size_t line;
    char reason[RP_SCRIPT_REASON_MAX];
    assert_int_equal (
      rp_script_read (&script, text, sizeof text - 1, &none, &line, reason), RP_SCRIPT_REQUEST);
    assert_int_equal (script.count, 3);
    assert_memory_equal (script.requests[0].body, "first", 5);
    assert_memory_equal (script.requests[1].body, "second\n2", 8);
    assert_int_equal (script.requests[1].size, 8);
    assert_int_equal (script.requests[2].size, 5);
    rp_script_free (&script);
    assert_int_equal (script.count, 0);
}

static void a_script_says_which_line_is_wrong (void **state)
{
    (void) state;
    static const char text[] = "good\n# \\q\n\nbad \\q\ngood\n";
    rp_script_t script = {0};
    rp_script_variables_t none = {0};
    size_t line;
    char reason[RP_SCRIPT_REASON_MAX];
    assert_int_equal (
      rp_script_read (&script, text, sizeof text - 1, &none, &line, reason), RP_SCRIPT_WRONG);
    assert_int_equal (line, 4);
    rp_script_free (&script);
}

static void a_script_of_many_lines_is_read (void **state)
{
    (void) state;
    char text[2000];
    for (size_t at = 0; at < sizeof text; at += 2)
        memcpy (text + at, "x\n", 2);
    rp_script_t script = {0};
    rp_script_variables_t none = {0};
    size_t line;
    char reason[RP_SCRIPT_REASON_MAX];
    assert_int_equal (
      rp_script_read (&script, text, sizeof text, &none, &line, reason), RP_SCRIPT_REQUEST);
    assert_int_equal (script.count, 1000);
    rp_script_free (&script);
}

static void an_empty_script_has_no_request (void **state)
{
    (void) state;
    rp_script_t script = {0};
    rp_script_variables_t none = {0};
    size_t line;
    char reason[RP_SCRIPT_REASON_MAX];
    assert_int_equal (rp_script_read (&script, NULL, 0, &none, &line, reason), RP_SCRIPT_REQUEST);
    assert_int_equal (script.count, 0);
    rp_script_free (&script);
}

int main (void)
{
    static const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_line_is_a_request_byte_for_byte),
      cmocka_unit_test (the_end_of_a_line_is_no_part_of_it),
      cmocka_unit_test (blank_lines_and_comments_say_nothing),
      cmocka_unit_test (escapes_stand_for_bytes),
      cmocka_unit_test (an_unknown_escape_is_wrong),
      cmocka_unit_test (variables_are_put_in),
      cmocka_unit_test (a_value_may_be_longer_than_its_line),
      cmocka_unit_test (a_default_stands_in_for_what_is_not_set),
      cmocka_unit_test (a_dollar_without_a_name_is_a_dollar),
      cmocka_unit_test (a_variable_that_is_not_set_is_wrong),
      cmocka_unit_test (a_variable_needs_a_name),
      cmocka_unit_test (a_variable_knows_that_it_was_used),
      cmocka_unit_test (a_script_gives_its_requests_in_order),
      cmocka_unit_test (a_script_says_which_line_is_wrong),
      cmocka_unit_test (a_script_of_many_lines_is_read),
      cmocka_unit_test (an_empty_script_has_no_request),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
