/*  SPDX-License-Identifier: MPL-2.0

    The text of the file of contexts.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/program/contexts.h"

static rp_contexts_t s_contexts;
static char s_reason[RP_CONTEXTS_REASON_MAX];

static bool s_parse (const char *text)
{
    return rp_contexts_parse (&s_contexts, text, strlen (text), s_reason);
}

static void s_expect_mistake (const char *text, const char *reason)
{
    assert_false (s_parse (text));
    assert_string_equal (s_reason, reason);
}

static void what_is_written_is_read_again (void **state)
{
    (void) state;
    assert_true (s_parse (""));
    rp_named_context_t *one = rp_contexts_add (&s_contexts, "one");
    rp_named_context_t *two = rp_contexts_add (&s_contexts, "two.test");
    strcpy (one->values[RP_CONTEXT_SERVER], "tcp://a:1,tcp://b:2");
    strcpy (two->values[RP_CONTEXT_SERVER_KEY], "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI#");
    strcpy (two->values[RP_CONTEXT_KEY_FILE], "/a b/it's mine.key_secret");
    strcpy (two->values[RP_CONTEXT_TIMEOUT], "30s");
    strcpy (two->values[RP_CONTEXT_SPREAD], RP_CONTEXT_YES);
    strcpy (s_contexts.use, "two.test");
    size_t size;
    char *text = rp_contexts_format (&s_contexts, &size);
    assert_non_null (text);
    rp_contexts_t *before = malloc (sizeof *before);
    assert_non_null (before);
    *before = s_contexts;
    assert_true (rp_contexts_parse (&s_contexts, text, size, s_reason));
    assert_int_equal (s_contexts.count, 2);
    assert_string_equal (s_contexts.use, "two.test");
    for (size_t index = 0; index < 2; index++)
        for (size_t value = 0; value < RP_CONTEXT_VALUES; value++)
            assert_string_equal (
              s_contexts.items[index].values[value], before->items[index].values[value]);
    free (before);
    free (text);
}

static void mistakes_are_told_with_their_place (void **state)
{
    (void) state;
    s_expect_mistake (
      "context = \"a\"\n    colour = red\n", "2:5: context/colour is not known here");
    s_expect_mistake (
      "context = \"a\"\ncontext = \"a\"\n", "2:11: there is another context of this name");
    s_expect_mistake (
      "context = \"a b\"\n", "1:11: a context's name has 1 to 63 of letters, digits, - _ .");
    s_expect_mistake ("server = tcp://a:1\n", "1:1: server is not known here");
    s_expect_mistake ("context\n", "1:1: context wants a value");
    assert_false (s_parse ("context = \"a\"\n  server = x\n"));
}

static void removing_the_context_in_use_leaves_none_in_use (void **state)
{
    (void) state;
    assert_true (s_parse ("use = b\ncontext = a\ncontext = b\ncontext = c\n"));
    rp_contexts_remove (&s_contexts, rp_contexts_find (&s_contexts, "b"));
    assert_string_equal (s_contexts.use, "");
    assert_int_equal (s_contexts.count, 2);
    assert_null (rp_contexts_find (&s_contexts, "b"));
    assert_ptr_equal (rp_contexts_find (&s_contexts, "c"), &s_contexts.items[1]);
}

static void there_is_room_for_so_many_and_no_more (void **state)
{
    (void) state;
    char name[] = "x00";
    assert_true (s_parse (""));
    for (unsigned index = 0; index < RP_CONTEXTS_MAX; index++) {
        name[1] = (char) ('0' + index / 10);
        name[2] = (char) ('0' + index % 10);
        assert_non_null (rp_contexts_add (&s_contexts, name));
    }
    assert_null (rp_contexts_add (&s_contexts, "one-more"));
}

static void what_cannot_be_written_is_not_valid (void **state)
{
    (void) state;
    assert_true (rp_context_value_is_valid ("/a'b"));
    assert_false (rp_context_value_is_valid (""));
    assert_false (rp_context_value_is_valid ("a\"b"));
    assert_false (rp_context_value_is_valid ("a\nb"));
    assert_true (rp_context_name_is_valid ("A-z_0.9"));
    assert_false (rp_context_name_is_valid (""));
    assert_false (rp_context_name_is_valid ("a/b"));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (what_is_written_is_read_again),
      cmocka_unit_test (mistakes_are_told_with_their_place),
      cmocka_unit_test (removing_the_context_in_use_leaves_none_in_use),
      cmocka_unit_test (there_is_room_for_so_many_and_no_more),
      cmocka_unit_test (what_cannot_be_written_is_not_valid),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
