/*  SPDX-License-Identifier: MPL-2.0

    Shuffling a list: nothing is lost, and each order is as likely as another.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/shuffle.h"

static void every_order_comes_once_in_as_many_numbers_as_there_are_orders (void **state)
{
    (void) state;
    bool seen[4][4][4] = {0};
    for (uint64_t random = 0; random < 24; random++) {
        int items[] = {0, 1, 2, 3};
        rp_shuffle (items, 4, sizeof *items, random);
        assert_int_equal (1 << items[0] | 1 << items[1] | 1 << items[2] | 1 << items[3], 15);
        bool *place = &seen[items[0]][items[1]][items[2]];
        assert_false (*place);
        *place = true;
    }
}

static void items_stay_whole_whatever_their_size (void **state)
{
    (void) state;
    char items[3][5] = {"one_", "two_", "six_"};
    rp_shuffle (items, 3, sizeof *items, 3);
    assert_memory_not_equal (items, "one_", 5);
    const char *names[] = {"one_", "two_", "six_"};
    for (size_t name = 0; name < 3; name++) {
        int found = 0;
        for (size_t at = 0; at < 3; at++)
            found += strcmp (items[at], names[name]) == 0;
        assert_int_equal (found, 1);
    }
}

static void a_list_of_one_or_none_stays_as_it_is (void **state)
{
    (void) state;
    int item = 7;
    rp_shuffle (&item, 1, sizeof item, UINT64_MAX);
    rp_shuffle (NULL, 0, sizeof item, UINT64_MAX);
    assert_int_equal (item, 7);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_order_comes_once_in_as_many_numbers_as_there_are_orders),
      cmocka_unit_test (items_stay_whole_whatever_their_size),
      cmocka_unit_test (a_list_of_one_or_none_stays_as_it_is),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
