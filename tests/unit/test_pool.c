/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    rp_pooled_t pooled;
    char bytes[37]; // an odd size
} s_item_t;

static rp_pool_t s_pool;

static int s_set_up (void **state)
{
    (void) state;
    rp_pool_init (&s_pool, sizeof (s_item_t), 1000, 0xabcdef01);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    rp_pool_clear (&s_pool);
    return 0;
}

static void s_an_item_is_zero_however_it_was_left (void **state)
{
    (void) state;
    for (unsigned round = 0; round < 3; round++) {
        s_item_t *item = rp_pool_take (&s_pool);
        for (size_t index = 0; index < sizeof item->bytes; index++)
            assert_int_equal (item->bytes[index], 0);
        memset (item->bytes, 0xff, sizeof item->bytes);
        rp_pool_give (&s_pool, item);
    }
}

static void s_slots_are_dense_and_addresses_stay (void **state)
{
    (void) state;
    static s_item_t *items[1000];
    for (uint32_t index = 0; index < 1000; index++) {
        items[index] = rp_pool_take (&s_pool);
        assert_non_null (items[index]);
        assert_int_equal (items[index]->pooled.slot, index);
        assert_int_equal ((uintptr_t) items[index] % 16, 0);
    }
    for (uint32_t index = 0; index < 1000; index++)
        assert_ptr_equal (rp_pool_at (&s_pool, index), items[index]);
    assert_int_equal (rp_pool_slots (&s_pool), 1024);
    assert_null (rp_pool_at (&s_pool, 1024));
}

static void s_a_pool_ends_at_its_limit (void **state)
{
    (void) state;
    s_item_t *last = NULL;
    for (uint32_t index = 0; index < 1000; index++)
        last = rp_pool_take (&s_pool);
    assert_null (rp_pool_take (&s_pool));
    assert_int_equal (s_pool.count, 1000);
    rp_pool_give (&s_pool, last);
    assert_ptr_equal (rp_pool_take (&s_pool), last);
}

static void s_a_handle_kept_too_long_finds_nothing (void **state)
{
    (void) state;
    s_item_t *item = rp_pool_take (&s_pool);
    uint64_t handle = rp_pool_handle (&item->pooled);
    assert_ptr_equal (rp_pool_find (&s_pool, handle), item);
    rp_pool_renew (&item->pooled);
    assert_null (rp_pool_find (&s_pool, handle));
    handle = rp_pool_handle (&item->pooled);
    assert_ptr_equal (rp_pool_find (&s_pool, handle), item);
    rp_pool_give (&s_pool, item);
    assert_null (rp_pool_find (&s_pool, handle));
    assert_null (rp_pool_find (&s_pool, rp_pool_handle (&item->pooled)));
    assert_ptr_equal (rp_pool_take (&s_pool), item);
    assert_null (rp_pool_find (&s_pool, handle));
}

static void s_handles_from_nowhere_find_nothing (void **state)
{
    (void) state;
    assert_null (rp_pool_find (&s_pool, 0));
    assert_non_null (rp_pool_take (&s_pool));
    assert_null (rp_pool_find (&s_pool, 0));
    assert_null (rp_pool_find (&s_pool, UINT64_MAX));
    assert_null (rp_pool_find (&s_pool, (uint64_t) 1 << 32 | 999999));
}

static void s_an_earlier_life_has_other_handles (void **state)
{
    (void) state;
    rp_pool_t other;
    rp_pool_init (&other, sizeof (s_item_t), 10, 0x12345678);
    const s_item_t *one = rp_pool_take (&s_pool);
    const s_item_t *two = rp_pool_take (&other);
    assert_int_equal (one->pooled.slot, two->pooled.slot);
    assert_null (rp_pool_find (&other, rp_pool_handle (&one->pooled)));
    rp_pool_clear (&other);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_an_item_is_zero_however_it_was_left),
      S_TEST (s_slots_are_dense_and_addresses_stay),
      S_TEST (s_a_pool_ends_at_its_limit),
      S_TEST (s_a_handle_kept_too_long_finds_nothing),
      S_TEST (s_handles_from_nowhere_find_nothing),
      S_TEST (s_an_earlier_life_has_other_handles),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
