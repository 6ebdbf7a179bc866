/*  How often the log tells of a connection that errs again and again.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void s_one_reason_of_a_connection_is_told_at_each_power_of_ten (void **state)
{
    (void) state;
    rp_told_t told = {0};
    unsigned lines = 0;
    for (uint64_t count = 1; count <= 1000; count++) {
        uint64_t said = rp_told_count (&told, 7, 70, 1);
        assert_true (said == 0 || said == count);
        lines += said != 0;
    }
    assert_int_equal (lines, 4);
    rp_told_clear (&told);
}

static void s_another_reason_or_connection_is_told_at_once (void **state)
{
    (void) state;
    rp_told_t told = {0};
    assert_int_equal (rp_told_count (&told, 7, 70, 1), 1);
    assert_int_equal (rp_told_count (&told, 7, 70, 1), 0);
    assert_int_equal (rp_told_count (&told, 7, 70, 2), 1);
    assert_int_equal (rp_told_count (&told, 7, 71, 2), 1); // the descriptor is used again
    assert_int_equal (rp_told_count (&told, 8, 80, 2), 1);
    assert_int_equal (rp_told_count (&told, -1, 0, 1), 1);
    assert_int_equal (rp_told_count (&told, -1, 0, 1), 1);
    rp_told_clear (&told);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_one_reason_of_a_connection_is_told_at_each_power_of_ten),
      cmocka_unit_test (s_another_reason_or_connection_is_told_at_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
