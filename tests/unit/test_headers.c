/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S_ROOM 8192u

typedef struct {
    uint8_t bytes[S_ROOM];
    size_t size;
} s_block_t;

static bool s_append (s_block_t *block, const char *key, const char *value)
{
    return rp_headers_append (block->bytes, &block->size, sizeof block->bytes, key, value);
}

static void s_pairs_come_back_in_order_and_keys_may_repeat (void **state)
{
    (void) state;
    static s_block_t block;
    block.size = 0;
    assert_true (s_append (&block, "one", "1"));
    assert_true (s_append (&block, "two", ""));
    assert_true (s_append (&block, "one", "again \xc3\xa9"));
    assert_true (rp_headers_are_valid (block.bytes, block.size));
    static const char *const expected[] = {"one", "1", "two", "", "one", "again \xc3\xa9"};
    size_t offset = 0;
    rp_header_t header;
    for (size_t index = 0; index < 6; index += 2) {
        assert_true (rp_headers_next (block.bytes, block.size, &offset, &header));
        assert_int_equal (header.key_size, strlen (expected[index]));
        assert_memory_equal (header.key, expected[index], header.key_size);
        assert_int_equal (header.value_size, strlen (expected[index + 1]));
        assert_memory_equal (header.value, expected[index + 1], header.value_size);
    }
    assert_false (rp_headers_next (block.bytes, block.size, &offset, &header));
    assert_int_equal (offset, block.size);
}

static void s_find_gives_the_first_of_a_key (void **state)
{
    (void) state;
    static s_block_t block;
    block.size = 0;
    rp_header_t header;
    assert_false (rp_headers_find (block.bytes, 0, "a", &header));
    assert_true (s_append (&block, "ab", "x") && s_append (&block, "a", "first"));
    assert_true (s_append (&block, "a", "second"));
    assert_true (rp_headers_find (block.bytes, block.size, "a", &header));
    assert_memory_equal (header.value, "first", 5);
    assert_false (rp_headers_find (block.bytes, block.size, "abc", &header));
    assert_false (rp_headers_find (block.bytes, block.size, "", &header));
}

static void s_keys_are_lower_case_letters_digits_and_three_signs (void **state)
{
    (void) state;
    for (int c = 1; c < 256; c++) {
        char key[] = {(char) c, 0};
        static s_block_t block;
        block.size = 0;
        bool allowed = strchr ("abcdefghijklmnopqrstuvwxyz0123456789-_.", c) != NULL;
        assert_int_equal (s_append (&block, key, ""), allowed);
        uint8_t raw[] = {1, (uint8_t) c, 0, 0};
        assert_int_equal (rp_headers_are_valid (raw, sizeof raw), allowed);
    }
}

static void s_values_have_no_control_characters (void **state)
{
    (void) state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t raw[] = {1, 'k', 0, 1, (uint8_t) c};
        assert_int_equal (rp_headers_are_valid (raw, sizeof raw), c >= 32 && c != 127);
    }
    static s_block_t block;
    assert_false (s_append (&block, "k", "a\nb"));
    assert_int_equal (block.size, 0);
}

static void s_sizes_are_bounded (void **state)
{
    (void) state;
    static char text[RP_HEADER_VALUE_MAX + 2];
    static s_block_t block;
    block.size = 0;
    memset (text, 'x', sizeof text - 1);
    assert_false (s_append (&block, "k", text)); // 4097 bytes, one too many
    assert_false (s_append (&block, "", "v"));
    text[64] = 0;
    assert_false (s_append (&block, text, "v")); // a key of 64 bytes, one too many
    text[63] = 0;
    assert_true (s_append (&block, text, "v"));
    memset (text, 'x', sizeof text - 1);
    text[RP_HEADER_VALUE_MAX] = 0;
    assert_true (s_append (&block, "k", text));
    assert_true (rp_headers_are_valid (block.bytes, block.size));
}

static void s_a_pair_that_does_not_fit_changes_nothing (void **state)
{
    (void) state;
    uint8_t small[8];
    size_t size = 0;
    memset (small, 0xee, sizeof small);
    assert_false (rp_headers_append (small, &size, 6, "key", "v"));
    assert_int_equal (size, 0);
    assert_int_equal (small[0], 0xee);
    assert_true (rp_headers_append (small, &size, 7, "key", "v"));
    assert_int_equal (size, 7);
    assert_int_equal (small[7], 0xee);
}

static void s_at_most_64_pairs (void **state)
{
    (void) state;
    static s_block_t block;
    block.size = 0;
    for (unsigned index = 0; index < RP_HEADERS_COUNT_MAX; index++)
        assert_true (s_append (&block, "k", "v"));
    assert_false (s_append (&block, "k", "v"));
    assert_true (rp_headers_are_valid (block.bytes, block.size));
    memcpy (block.bytes + block.size, "\x01k\0\0", 4);
    assert_false (rp_headers_are_valid (block.bytes, block.size + 4));
}

static void s_a_block_that_is_cut_is_refused_unless_a_pair_ends_there (void **state)
{
    (void) state;
    static s_block_t block;
    block.size = 0;
    assert_true (s_append (&block, "one", "1") && s_append (&block, "two", "22"));
    for (size_t cut = 0; cut <= block.size; cut++) {
        uint8_t *copy = malloc (cut ? cut : 1);
        assert_non_null (copy);
        if (cut)
            memcpy (copy, block.bytes, cut);
        bool whole = cut == 0 || cut == 7 || cut == block.size;
        assert_int_equal (rp_headers_are_valid (copy, cut), whole);
        free (copy);
    }
}

static void s_a_key_of_no_bytes_is_refused (void **state)
{
    (void) state;
    static const uint8_t raw[] = {0, 0, 0};
    assert_false (rp_headers_are_valid (raw, sizeof raw));
}

static void s_a_block_becomes_strings_where_it_lies (void **state)
{
    (void) state;
    static s_block_t block;
    block.size = 0;
    static char longest[RP_HEADER_VALUE_MAX + 1];
    memset (longest, 'v', RP_HEADER_VALUE_MAX);
    assert_true (s_append (&block, "one", "1") && s_append (&block, "two", ""));
    assert_true (s_append (&block, "one", "again") && s_append (&block, "four", longest));
    uint8_t *exact = malloc (block.size); // so that a sanitizer finds a read beyond the end
    assert_non_null (exact);
    memcpy (exact, block.bytes, block.size);
    rp_headers_make_strings (exact, block.size);

    const char *strings = (const char *) exact;
    const char *const expected[] = {"one", "1", "two", "", "one", "again", "four", longest};
    size_t offset = 0;
    const char *key;
    const char *value;
    for (size_t index = 0; index < 8; index += 2) {
        assert_true (rp_headers_next_strings (strings, block.size, &offset, &key, &value));
        assert_string_equal (key, expected[index]);
        assert_string_equal (value, expected[index + 1]);
    }
    assert_false (rp_headers_next_strings (strings, block.size, &offset, &key, &value));
    assert_string_equal (rp_headers_find_string (strings, block.size, "one"), "1");
    assert_null (rp_headers_find_string (strings, block.size, "on"));
    assert_null (rp_headers_find_string (NULL, 0, "one"));
    free (exact);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_pairs_come_back_in_order_and_keys_may_repeat),
      cmocka_unit_test (s_find_gives_the_first_of_a_key),
      cmocka_unit_test (s_keys_are_lower_case_letters_digits_and_three_signs),
      cmocka_unit_test (s_values_have_no_control_characters),
      cmocka_unit_test (s_sizes_are_bounded),
      cmocka_unit_test (s_a_pair_that_does_not_fit_changes_nothing),
      cmocka_unit_test (s_at_most_64_pairs),
      cmocka_unit_test (s_a_block_that_is_cut_is_refused_unless_a_pair_ends_there),
      cmocka_unit_test (s_a_key_of_no_bytes_is_refused),
      cmocka_unit_test (s_a_block_becomes_strings_where_it_lies),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
