/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void s_an_empty_list_has_no_ends (void **state)
{
    (void) state;
    rp_list_t list;
    rp_list_init (&list);
    assert_true (rp_list_is_empty (&list));
    assert_null (rp_list_first (&list));
    assert_null (rp_list_last (&list));
}

static void s_nodes_keep_their_order (void **state)
{
    (void) state;
    rp_list_t list;
    rp_list_node_t a, b, c;
    rp_list_init (&list);
    rp_list_append (&list, &b);
    rp_list_append (&list, &c);
    rp_list_prepend (&list, &a);
    assert_ptr_equal (rp_list_first (&list), &a);
    assert_ptr_equal (rp_list_next (&list, &a), &b);
    assert_ptr_equal (rp_list_next (&list, &b), &c);
    assert_null (rp_list_next (&list, &c));
    assert_ptr_equal (rp_list_last (&list), &c);
}

static void s_a_node_can_be_taken_from_anywhere_and_put_back (void **state)
{
    (void) state;
    rp_list_t list;
    rp_list_node_t a, b, c;
    rp_list_init (&list);
    rp_list_append (&list, &a);
    rp_list_append (&list, &b);
    rp_list_append (&list, &c);
    rp_list_remove (&b);
    assert_null (b.next);
    assert_null (b.previous);
    assert_ptr_equal (rp_list_next (&list, &a), &c);
    rp_list_insert_before (&a, &b);
    assert_ptr_equal (rp_list_first (&list), &b);
    rp_list_remove (&b);
    rp_list_remove (&c);
    rp_list_remove (&a);
    assert_true (rp_list_is_empty (&list));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_an_empty_list_has_no_ends),
      cmocka_unit_test (s_nodes_keep_their_order),
      cmocka_unit_test (s_a_node_can_be_taken_from_anywhere_and_put_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
