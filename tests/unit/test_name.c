/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void s_a_name_has_1_to_127_bytes (void **state)
{
    (void) state;
    char name[200];
    memset (name, 'n', sizeof name);
    assert_false (rp_name_is_valid (name, 0));
    assert_true (rp_name_is_valid (name, 1));
    assert_true (rp_name_is_valid (name, 127));
    assert_false (rp_name_is_valid (name, 128));
}

static void s_a_name_has_no_control_characters (void **state)
{
    (void) state;
    for (unsigned c = 0; c < 256; c++) {
        char name = (char) c;
        assert_int_equal (rp_name_is_valid (&name, 1), c >= 32 && c != 127);
    }
}

static bool s_reserved (const char *name)
{
    return rp_name_is_reserved (name, strlen (name));
}

static void s_names_of_the_broker_begin_with_its_prefixes (void **state)
{
    (void) state;
    assert_true (s_reserved ("riposte.ping") && s_reserved ("mmi.service"));
    assert_true (s_reserved ("riposte.") && s_reserved ("mmi."));
    assert_false (s_reserved ("riposte") || s_reserved ("mmi") || s_reserved (""));
    assert_false (s_reserved ("xmmi.service") || s_reserved ("my.riposte."));
    assert_false (s_reserved ("MMI.service") || s_reserved ("Riposte.ping"));
}

static void s_titanic_has_three_names (void **state)
{
    (void) state;
    static const char *const names[] = {"titanic.request", "titanic.reply", "titanic.close"};
    for (int index = 0; index < 3; index++) {
        assert_true (rp_name_is_titanic (names[index], strlen (names[index])));
        assert_false (rp_name_is_titanic (names[index], strlen (names[index]) - 1));
    }
    assert_false (rp_name_is_titanic ("titanic.status", 14) || rp_name_is_titanic (NULL, 0));
    assert_false (rp_name_is_titanic ("Titanic.reply", 13) || rp_name_is_titanic ("titanic.", 8));
}

static size_t s_distance (const char *one, const char *other, size_t limit)
{
    size_t there = rp_name_distance (one, strlen (one), other, strlen (other), limit);
    size_t back = rp_name_distance (other, strlen (other), one, strlen (one), limit);
    assert_int_equal (there, back);
    return there;
}

static void s_each_kind_of_slip_counts_one (void **state)
{
    (void) state;
    assert_int_equal (s_distance ("upper", "upper", 9), 0);
    assert_int_equal (s_distance ("upper", "uper", 9), 1);
    assert_int_equal (s_distance ("upper", "uppper", 9), 1);
    assert_int_equal (s_distance ("upper", "upfer", 9), 1);
    assert_int_equal (s_distance ("upper", "uppre", 9), 1);
    assert_int_equal (s_distance ("upper", "pupper", 9), 1);
    assert_int_equal (s_distance ("upper", "puper", 9), 1);
    assert_int_equal (s_distance ("kitten", "sitting", 9), 3);
    assert_int_equal (s_distance ("", "abc", 9), 3);
    assert_int_equal (s_distance ("", "", 0), 0);
}

static void s_case_counts_for_nothing (void **state)
{
    (void) state;
    assert_int_equal (s_distance ("Upper", "uPPER", 0), 0);
    assert_int_equal (s_distance ("[", "{", 9), 1);
}

static void s_what_is_farther_than_the_limit_is_limit_plus_one (void **state)
{
    (void) state;
    assert_int_equal (s_distance ("kitten", "sitting", 2), 3);
    assert_int_equal (s_distance ("kitten", "sitting", 3), 3);
    assert_int_equal (s_distance ("a", "bcdefgh", 1), 2);
    assert_int_equal (s_distance ("upper", "lower", 0), 1);
    char name[300];
    memset (name, 'n', sizeof name);
    assert_int_equal (rp_name_distance (name, 300, name, 300, 2), 3);
    assert_int_equal (rp_name_distance (name, 127, name, 127, 2), 0);
    assert_int_equal (rp_name_distance (name, 127, name, 126, 2), 1);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_name_has_1_to_127_bytes),
      cmocka_unit_test (s_a_name_has_no_control_characters),
      cmocka_unit_test (s_names_of_the_broker_begin_with_its_prefixes),
      cmocka_unit_test (s_titanic_has_three_names),
      cmocka_unit_test (s_each_kind_of_slip_counts_one),
      cmocka_unit_test (s_case_counts_for_nothing),
      cmocka_unit_test (s_what_is_farther_than_the_limit_is_limit_plus_one),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
