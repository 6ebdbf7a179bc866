/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char s_wrong[RP_PARAM_WRONG_MAX];

/*  Returns the parameters that one of them makes, as JSON, or "wrong".  */
static const char *s_read (const char *name, const char *value)
{
    static char text[4 * RP_PARAM_VALUE_MAX];
    json_t *params = json_object ();
    bool good = rp_params_add (params, name, value, s_wrong);
    size_t size = json_dumpb (params, text, sizeof text - 1, JSON_COMPACT);
    text[size] = '\0';
    json_decref (params);
    if (good)
        return text;
    assert_string_not_equal (s_wrong, "");
    return "wrong";
}

static void s_every_value_is_a_text (void **state)
{
    (void) state;
    assert_string_equal (s_read ("id", "20"), "{\"id\":\"20\"}");
    assert_string_equal (s_read ("failed", "true"), "{\"failed\":\"true\"}");
    assert_string_equal (s_read ("service", ""), "{\"service\":\"\"}");
    assert_string_equal (s_read ("service", NULL), "{\"service\":\"\"}");
}

static void s_texts_are_utf8_and_not_long (void **state)
{
    (void) state;
    char text[RP_PARAM_VALUE_MAX + 2];
    assert_string_equal (s_read ("id", "\xff"), "wrong");
    assert_string_equal (s_read ("id", "\xed\xa0\x80"), "wrong");
    memset (text, 'a', sizeof text);
    text[RP_PARAM_VALUE_MAX + 1] = '\0';
    assert_string_equal (s_read ("id", text), "wrong");
    text[RP_PARAM_VALUE_MAX] = '\0';
    assert_string_not_equal (s_read ("id", text), "wrong");
}

static void s_names_that_nothing_has_are_refused (void **state)
{
    (void) state;
    assert_string_equal (s_read ("", "x"), "wrong");
    assert_string_equal (s_read ("\xff", "x"), "wrong");
    assert_string_equal (s_read ("a_name_that_is_much_too_long_for_one", "x"), "wrong");
}

static void s_a_parameter_that_is_there_twice_is_refused (void **state)
{
    (void) state;
    json_t *params = json_object ();
    assert_true (rp_params_add (params, "id", "1", s_wrong));
    assert_false (rp_params_add (params, "id", "1", s_wrong));
    assert_string_equal (s_wrong, "\"id\" is there twice");
    json_decref (params);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_every_value_is_a_text),
      cmocka_unit_test (s_texts_are_utf8_and_not_long),
      cmocka_unit_test (s_names_that_nothing_has_are_refused),
      cmocka_unit_test (s_a_parameter_that_is_there_twice_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
