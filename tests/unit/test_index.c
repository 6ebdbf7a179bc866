/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S_ITEMS 3000u

typedef struct {
    uint32_t hash;
    bool in;
} s_item_t;

static s_item_t s_items[S_ITEMS];

static uint64_t s_random (uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static bool s_finds (const rp_index_t *index, uint32_t number)
{
    uint32_t hash = s_items[number].hash;
    rp_index_cursor_t cursor;
    for (uint32_t found = rp_index_first (index, hash, &cursor); found != RP_INDEX_NONE;
         found = rp_index_next (hash, &cursor)) {
        assert_int_equal (s_items[found].hash, hash);
        if (found == number)
            return true;
    }
    return false;
}

/*  Hashes from a small range share places, so that runs collide, wrap around and are cut; hashes
    from a large range fill pages until they are split.  */
static void s_churn (uint64_t seed, uint64_t hashes)
{
    rp_index_t index;
    rp_index_init (&index);
    uint32_t count = 0;
    for (uint32_t number = 0; number < S_ITEMS; number++)
        s_items[number] =
          (s_item_t){(uint32_t) (s_random (&seed) % hashes) * 0x9e3779b1u + 0x1ffu, false};
    for (unsigned step = 0; step < 40000; step++) {
        uint32_t number = (uint32_t) (s_random (&seed) % S_ITEMS);
        s_item_t *item = &s_items[number];
        if (item->in)
            rp_index_remove (&index, item->hash, number);
        else
            assert_true (rp_index_insert (&index, item->hash, number));
        item->in = !item->in;
        count += item->in ? 1u : (uint32_t) -1;
        assert_int_equal (index.count, count);
        if (step % 1024 == 0)
            for (uint32_t each = 0; each < S_ITEMS; each++)
                assert_int_equal (s_finds (&index, each), s_items[each].in);
    }
    rp_index_clear (&index);
}

static void s_what_is_in_is_found_and_nothing_else_under_any_churn (void **state)
{
    (void) state;
    s_churn (1, 50);
    s_churn (2, 1000);
    s_churn (3, UINT32_MAX);
}

static void s_an_empty_index_finds_and_removes_nothing (void **state)
{
    (void) state;
    rp_index_t index;
    rp_index_init (&index);
    rp_index_cursor_t cursor;
    assert_int_equal (rp_index_first (&index, 5, &cursor), RP_INDEX_NONE);
    rp_index_remove (&index, 5, 0);
    assert_true (rp_index_insert (&index, 5, 0));
    rp_index_remove (&index, 6, 0);
    rp_index_remove (&index, 5, 1);
    assert_int_equal (index.count, 1);
    rp_index_clear (&index);
}

static void s_no_insert_moves_more_than_one_page (void **state)
{
    (void) state;
    rp_index_t index;
    rp_index_init (&index);
    for (uint32_t number = 0; number < 100000; number++) {
        uint32_t hash = number * 0x9e3779b1u;
        size_t pages = index.page_count;
        assert_true (rp_index_insert (&index, hash, number));
        assert_in_range (index.page_count - pages, 0, 1);
    }
    // A page is at most three quarters full, and at least three eighths when all have just been
    // split.
    assert_in_range (index.page_count, 100000 / 384, 100000 / 192 + 1);
    rp_index_clear (&index);
}

static void s_reserving_makes_the_next_insert_certain (void **state)
{
    (void) state;
    rp_index_t index;
    rp_index_init (&index);
    for (uint32_t number = 0; number < 2000; number++) {
        uint32_t hash = number * 0x9e3779b1u;
        assert_true (rp_index_reserve (&index, hash));
        size_t pages = index.page_count;
        assert_true (rp_index_insert (&index, hash, number));
        assert_int_equal (index.page_count, pages);
    }
    rp_index_clear (&index);
}

static void s_more_than_a_page_of_one_hash_is_refused_and_costs_little (void **state)
{
    (void) state;
    rp_index_t index;
    rp_index_init (&index);
    uint32_t number = 0;
    while (number < 1000 && rp_index_insert (&index, 7, number))
        number++;
    assert_in_range (number, 100, 512);
    assert_false (rp_index_reserve (&index, 7));
    assert_in_range (index.page_count, 1, 20);
    assert_true (rp_index_insert (&index, ~7u, number)); // another hash still has room
    assert_int_equal (index.count, number + 1);
    rp_index_clear (&index);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_what_is_in_is_found_and_nothing_else_under_any_churn),
      cmocka_unit_test (s_an_empty_index_finds_and_removes_nothing),
      cmocka_unit_test (s_no_insert_moves_more_than_one_page),
      cmocka_unit_test (s_reserving_makes_the_next_insert_certain),
      cmocka_unit_test (s_more_than_a_page_of_one_hash_is_refused_and_costs_little),
    };
    return cmocka_run_group_tests_name ("index", tests, NULL, NULL);
}
