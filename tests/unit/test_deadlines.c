/*  SPDX-License-Identifier: MPL-2.0

    The client's timers, compared with a search through all of them.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "client/deadlines.h"

#define COUNT 300

static void test_those_in_order_stand_in_the_line (void **state)
{
    (void) state;
    rp_deadlines_t timers;
    rp_deadlines_init (&timers);
    rp_deadline_t some[3];
    for (int index = 0; index < 3; index++)
        assert_true (rp_deadlines_add (&timers, &some[index], 10 + index));
    assert_int_equal (timers.heap.count, 0);
    assert_ptr_equal (rp_deadlines_first (&timers), &some[0]);
    rp_deadlines_remove (&timers, &some[0]);
    assert_ptr_equal (rp_deadlines_first (&timers), &some[1]);
    rp_deadlines_clear (&timers);
}

static void test_an_earlier_one_comes_first (void **state)
{
    (void) state;
    rp_deadlines_t timers;
    rp_deadlines_init (&timers);
    rp_deadline_t late, early;
    assert_true (rp_deadlines_add (&timers, &late, 20));
    assert_true (rp_deadlines_add (&timers, &early, 10));
    assert_ptr_equal (rp_deadlines_first (&timers), &early);
    rp_deadlines_set (&timers, &early, 30);
    assert_ptr_equal (rp_deadlines_first (&timers), &late);
    rp_deadlines_remove (&timers, &late);
    rp_deadlines_remove (&timers, &early);
    assert_null (rp_deadlines_first (&timers));
    rp_deadlines_clear (&timers);
}

static void test_the_first_is_the_earliest_whatever_happens (void **state)
{
    (void) state;
    srand (1);
    rp_deadlines_t timers;
    rp_deadlines_init (&timers);
    static rp_deadline_t all[COUNT];
    static bool in[COUNT];
    for (int step = 0; step < 20000; step++) {
        int index = rand () % COUNT;
        int64_t due = step / 10 + rand () % 50;
        bool stays = in[index] && rand () % 2;
        if (!in[index])
            assert_true (rp_deadlines_add (&timers, &all[index], due));
        else if (stays)
            rp_deadlines_set (&timers, &all[index], due);
        else
            rp_deadlines_remove (&timers, &all[index]);
        in[index] = stays || !in[index];
        const rp_deadline_t *earliest = NULL;
        for (int other = 0; other < COUNT; other++)
            if (in[other] && (!earliest || all[other].due < earliest->due))
                earliest = &all[other];
        const rp_deadline_t *first = rp_deadlines_first (&timers);
        assert_int_equal (!first, !earliest);
        if (first)
            assert_int_equal (first->due, earliest->due);
    }
    rp_deadlines_clear (&timers);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_those_in_order_stand_in_the_line),
      cmocka_unit_test (test_an_earlier_one_comes_first),
      cmocka_unit_test (test_the_first_is_the_earliest_whatever_happens),
    };
    return cmocka_run_group_tests_name ("timers", tests, NULL, NULL);
}
