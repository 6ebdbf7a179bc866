/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S_ITEMS 500u

typedef struct {
    uint64_t key;
    bool in;
    rp_heap_node_t node;
} s_item_t;

static s_item_t s_items[S_ITEMS];

static uint64_t s_random (uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void s_check_first_and_second (const rp_heap_t *heap)
{
    uint64_t least = UINT64_MAX, second = UINT64_MAX;
    size_t count = 0;
    for (size_t index = 0; index < S_ITEMS; index++) {
        if (!s_items[index].in)
            continue;
        count++;
        if (s_items[index].key < least) {
            second = least;
            least = s_items[index].key;
        }
        else if (s_items[index].key < second) {
            second = s_items[index].key;
        }
    }
    uint64_t key = 0;
    rp_heap_node_t *first = rp_heap_first (heap, &key);
    assert_int_equal (first != NULL, count > 0);
    if (first) {
        assert_int_equal (key, least);
        assert_int_equal (RP_CONTAINER (first, s_item_t, node)->key, least);
    }
    rp_heap_node_t *next = rp_heap_second (heap);
    assert_int_equal (next != NULL, count > 1);
    if (next)
        assert_int_equal (RP_CONTAINER (next, s_item_t, node)->key, second);
    assert_int_equal (heap->count, count);
}

static void s_after_any_change_the_first_two_are_the_least (void **state)
{
    (void) state;
    rp_heap_t heap;
    rp_heap_init (&heap);
    uint64_t seed = 42;
    for (size_t index = 0; index < S_ITEMS; index++) {
        s_items[index].in = false;
        rp_heap_node_init (&s_items[index].node);
    }
    for (unsigned step = 0; step < 20000; step++) {
        s_item_t *item = &s_items[s_random (&seed) % (step < 10000 ? S_ITEMS : 5)];
        uint64_t key = s_random (&seed) % 1000;
        if (!item->in) {
            item->key = key;
            item->in = true;
            assert_true (rp_heap_push (&heap, &item->node, key));
        }
        else if (s_random (&seed) % 2) {
            item->key = key;
            rp_heap_update (&heap, &item->node, key);
        }
        else {
            item->in = false;
            rp_heap_remove (&heap, &item->node);
        }
        assert_int_equal (rp_heap_has (&item->node), item->in);
        s_check_first_and_second (&heap);
    }
    rp_heap_clear (&heap);
}

static void s_items_come_out_in_order (void **state)
{
    (void) state;
    rp_heap_t heap;
    rp_heap_init (&heap);
    uint64_t seed = 7;
    for (size_t index = 0; index < S_ITEMS; index++) {
        rp_heap_node_init (&s_items[index].node);
        assert_true (rp_heap_push (&heap, &s_items[index].node, s_random (&seed)));
    }
    uint64_t last = 0, key;
    rp_heap_node_t *node;
    while ((node = rp_heap_first (&heap, &key))) {
        assert_true (key >= last);
        last = key;
        rp_heap_remove (&heap, node);
    }
    assert_int_equal (heap.count, 0);
    rp_heap_clear (&heap);
}

static void s_removing_what_is_not_in_does_nothing (void **state)
{
    (void) state;
    rp_heap_t heap;
    rp_heap_init (&heap);
    rp_heap_node_t node;
    rp_heap_node_init (&node);
    rp_heap_remove (&heap, &node);
    assert_true (rp_heap_push (&heap, &node, 1));
    rp_heap_remove (&heap, &node);
    rp_heap_remove (&heap, &node);
    assert_null (rp_heap_first (&heap, NULL));
    assert_null (rp_heap_second (&heap));
    rp_heap_clear (&heap);
}

static void s_the_largest_key_is_a_key (void **state)
{
    (void) state;
    rp_heap_t heap;
    rp_heap_init (&heap);
    rp_heap_node_t never, soon;
    assert_true (rp_heap_push (&heap, &never, UINT64_MAX));
    assert_true (rp_heap_push (&heap, &soon, UINT64_MAX - 1));
    assert_ptr_equal (rp_heap_first (&heap, NULL), &soon);
    rp_heap_update (&heap, &soon, UINT64_MAX);
    rp_heap_update (&heap, &never, 0);
    assert_ptr_equal (rp_heap_first (&heap, NULL), &never);
    rp_heap_clear (&heap);
}

static void s_reserving_makes_pushes_certain (void **state)
{
    (void) state;
    rp_heap_t heap;
    rp_heap_init (&heap);
    assert_true (rp_heap_reserve (&heap, 10));
    const rp_heap_entry_t *entries = heap.entries;
    assert_true (rp_heap_reserve (&heap, 3));
    rp_heap_node_t nodes[10];
    for (size_t index = 0; index < 10; index++)
        assert_true (rp_heap_push (&heap, &nodes[index], index));
    assert_ptr_equal (heap.entries, entries);
    rp_heap_clear (&heap);
    assert_null (heap.entries);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_after_any_change_the_first_two_are_the_least),
      cmocka_unit_test (s_items_come_out_in_order),
      cmocka_unit_test (s_removing_what_is_not_in_does_nothing),
      cmocka_unit_test (s_the_largest_key_is_a_key),
      cmocka_unit_test (s_reserving_makes_pushes_certain),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
