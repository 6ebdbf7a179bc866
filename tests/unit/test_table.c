/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S_ITEMS 400u

typedef struct {
    uint64_t hash;
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

static bool s_finds (const rp_table_t *table, const s_item_t *item)
{
    rp_table_cursor_t cursor;
    for (s_item_t *found = rp_table_first (table, item->hash, &cursor); found;
         found = rp_table_next (table, item->hash, &cursor)) {
        assert_int_equal (found->hash, item->hash);
        if (found == item)
            return true;
    }
    return false;
}

/*  Hashes from a small range share homes, so that runs collide, wrap around and are cut.  */
static void s_churn (uint64_t seed, uint64_t hashes)
{
    rp_table_t table;
    rp_table_init (&table);
    uint32_t count = 0;
    for (size_t index = 0; index < S_ITEMS; index++)
        s_items[index] = (s_item_t){(s_random (&seed) % hashes) * 0x100000001u + 0x3c, false};
    for (unsigned step = 0; step < 6000; step++) {
        s_item_t *item = &s_items[s_random (&seed) % S_ITEMS];
        if (item->in) {
            rp_table_remove (&table, item->hash, item);
            count--;
        }
        else {
            assert_true (rp_table_insert (&table, item->hash, item));
            count++;
        }
        item->in = !item->in;
        assert_int_equal (table.count, count);
        if (step % 16 == 0)
            for (size_t index = 0; index < S_ITEMS; index++)
                assert_int_equal (s_finds (&table, &s_items[index]), s_items[index].in);
    }
    rp_table_clear (&table);
}

static void s_what_is_in_is_found_and_nothing_else_under_any_churn (void **state)
{
    (void) state;
    s_churn (1, 3);
    s_churn (2, 50);
    s_churn (3, 100000);
}

static void s_an_empty_table_finds_and_removes_nothing (void **state)
{
    (void) state;
    rp_table_t table;
    rp_table_init (&table);
    rp_table_cursor_t cursor;
    assert_null (rp_table_first (&table, 5, &cursor));
    rp_table_remove (&table, 5, &s_items[0]);
    assert_true (rp_table_insert (&table, 5, &s_items[0]));
    rp_table_remove (&table, 6, &s_items[0]);
    rp_table_remove (&table, 5, &s_items[1]);
    assert_int_equal (table.count, 1);
    rp_table_clear (&table);
}

static void s_a_table_is_at_most_half_full (void **state)
{
    (void) state;
    rp_table_t table;
    rp_table_init (&table);
    for (uint64_t index = 0; index < 5000; index++) {
        assert_true (rp_table_insert (&table, index * 7, &s_items[0]));
        assert_true (table.count * 2 <= table.mask + 1);
    }
    rp_table_clear (&table);
}

static void s_reserving_makes_the_next_insert_certain (void **state)
{
    (void) state;
    rp_table_t table;
    rp_table_init (&table);
    for (uint64_t index = 0; index < 200; index++) {
        assert_true (rp_table_reserve (&table));
        const rp_table_slot_t *slots = table.slots;
        assert_true (rp_table_insert (&table, index, &s_items[0]));
        assert_ptr_equal (table.slots, slots);
    }
    rp_table_clear (&table);
}

static void s_hashes_depend_on_every_byte_the_size_and_the_seed (void **state)
{
    (void) state;
    char text[] = "a name of some length";
    uint64_t hash = rp_hash_bytes (text, sizeof text - 1, 1);
    assert_true (hash == rp_hash_bytes (text, sizeof text - 1, 1));
    assert_true (hash != rp_hash_bytes (text, sizeof text - 1, 2));
    assert_true (rp_hash_bytes ("a\0", 1, 1) != rp_hash_bytes ("a\0", 2, 1));
    for (size_t index = 0; index + 1 < sizeof text; index++) {
        text[index] ^= 1;
        assert_true (hash != rp_hash_bytes (text, sizeof text - 1, 1));
        text[index] ^= 1;
    }
    assert_true (rp_hash_pair (1, 2, 3) != rp_hash_pair (2, 1, 3));
    assert_true (rp_hash_pair (1, 2, 3) != rp_hash_pair (1, 2, 4));
}

static void s_hashes_of_neighbours_spread_over_the_slots (void **state)
{
    (void) state;
    unsigned used[64] = {0};
    for (uint64_t index = 0; index < 6400; index++)
        used[rp_hash_pair (index, 7, 9) & 63]++;
    for (size_t slot = 0; slot < 64; slot++)
        assert_in_range (used[slot], 50, 150);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_what_is_in_is_found_and_nothing_else_under_any_churn),
      cmocka_unit_test (s_an_empty_table_finds_and_removes_nothing),
      cmocka_unit_test (s_a_table_is_at_most_half_full),
      cmocka_unit_test (s_reserving_makes_the_next_insert_certain),
      cmocka_unit_test (s_hashes_depend_on_every_byte_the_size_and_the_seed),
      cmocka_unit_test (s_hashes_of_neighbours_spread_over_the_slots),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
