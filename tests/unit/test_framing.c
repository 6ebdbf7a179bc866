/*  The framing of persistent children.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/wire/headers.h"
#include "worker/program/framing.h"

#define S_MAX_BODY 100u

static rp_framing_answer_t s_answer;

static rp_framing_result_t s_parse (const char *text)
{
    return rp_framing_parse (text, strlen (text), S_MAX_BODY, &s_answer);
}

static void an_answer_is_read_whole (void **state)
{
    (void) state;
    assert_int_equal (s_parse ("RP/1 OK 7 5\n\nhelloRP/1"), RP_FRAMING_ANSWER);
    assert_true (s_answer.ok);
    assert_int_equal (s_answer.id, 7);
    assert_int_equal (s_answer.body_size, 5);
    assert_memory_equal (s_answer.body, "hello", 5);
    assert_int_equal (s_answer.size, strlen ("RP/1 OK 7 5\n\nhello"));
}

static void an_error_has_a_code_and_a_message (void **state)
{
    (void) state;
    assert_int_equal (s_parse ("RP/1 ERROR 7 0 42 no such page\n\n"), RP_FRAMING_ANSWER);
    assert_false (s_answer.ok);
    assert_int_equal (s_answer.code, 42);
    assert_int_equal (s_answer.message_size, strlen ("no such page"));
    assert_memory_equal (s_answer.message, "no such page", s_answer.message_size);

    assert_int_equal (s_parse ("RP/1 ERROR 7 0\n\n"), RP_FRAMING_ANSWER);
    assert_int_equal (s_answer.code, 0);
    assert_int_equal (s_answer.message_size, 0);
    assert_int_equal (s_parse ("RP/1 ERROR 7 0 3\n\n"), RP_FRAMING_ANSWER);
    assert_int_equal (s_answer.code, 3);
}

static void headers_become_a_block (void **state)
{
    (void) state;
    assert_int_equal (
      s_parse ("RP/1 OK 1 0\ncontent-type: text/html\nempty:\n\n"), RP_FRAMING_ANSWER);
    rp_header_t header;
    assert_true (
      rp_headers_find (s_answer.headers, s_answer.headers_size, "content-type", &header));
    assert_int_equal (header.value_size, strlen ("text/html"));
    assert_true (rp_headers_find (s_answer.headers, s_answer.headers_size, "empty", &header));
    assert_int_equal (header.value_size, 0);
}

static void a_part_of_an_answer_waits_for_the_rest (void **state)
{
    (void) state;
    const char *whole = "RP/1 ERROR 7 5 3 sorry\nkey: value\n\nhello";
    for (size_t size = 0; size < strlen (whole); size++)
        assert_int_equal (rp_framing_parse (whole, size, S_MAX_BODY, &s_answer), RP_FRAMING_MORE);
    assert_int_equal (s_parse (whole), RP_FRAMING_ANSWER);
}

static void what_is_not_an_answer_is_broken (void **state)
{
    (void) state;
    static const char *const broken[] = {
      "hello\n",
      "\n",
      "RP/2 OK 1 0\n\n",
      "RP/1 MAYBE 1 0\n\n",
      "RP/1 OK\n\n",
      "RP/1 OK 1\n\n",
      "RP/1 OK one 0\n\n",
      "RP/1 OK -1 0\n\n",
      "RP/1 OK 1 0 0\n\n",
      "RP/1 OK 1 0 \n\n",
      "RP/1 OK 1  0\n\n",
      "RP/1 OK 1 101\n\n",
      "RP/1 OK 18446744073709551616 0\n\n",
      "RP/1 OK 1 99999999999999999999\n\n",
      "RP/1 ERROR 1 0 4294967296\n\n",
      "RP/1 ERROR 1 0 1x\n\n",
      "RP/1 OK 1 0\nno colon\n\n",
      "RP/1 OK 1 0\nUpper: case\n\n",
      "RP/1 OK 1 0\n: no key\n\n",
      "RP/1 OK 1 0\nkey: \x01\n\n",
    };
    for (size_t index = 0; index < sizeof broken / sizeof broken[0]; index++) {
        s_answer.reason = NULL;
        if (s_parse (broken[index]) != RP_FRAMING_BROKEN)
            fail_msg ("not broken: %s", broken[index]);
        assert_non_null (s_answer.reason);
    }
}

static void the_largest_numbers_are_read (void **state)
{
    (void) state;
    assert_int_equal (
      s_parse ("RP/1 ERROR 18446744073709551615 0 4294967295\n\n"), RP_FRAMING_ANSWER);
    assert_true (s_answer.id == UINT64_MAX);
    assert_true (s_answer.code == UINT32_MAX);
}

static void a_head_without_an_end_is_broken_not_waited_for (void **state)
{
    (void) state;
    static char endless[RP_FRAMING_HEAD_MAX];
    memset (endless, 'x', sizeof endless);
    assert_int_equal (
      rp_framing_parse (endless, sizeof endless - 1, S_MAX_BODY, &s_answer), RP_FRAMING_MORE);
    assert_int_equal (
      rp_framing_parse (endless, sizeof endless, S_MAX_BODY, &s_answer), RP_FRAMING_BROKEN);
}

static void more_headers_than_a_reply_may_have_are_broken (void **state)
{
    (void) state;
    char text[2048] = "RP/1 OK 1 0\n";
    for (unsigned count = 0; count <= RP_HEADERS_COUNT_MAX; count++)
        strcat (text, "k: v\n");
    strcat (text, "\n");
    assert_int_equal (s_parse (text), RP_FRAMING_BROKEN);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_answer_is_read_whole),
      cmocka_unit_test (an_error_has_a_code_and_a_message),
      cmocka_unit_test (headers_become_a_block),
      cmocka_unit_test (a_part_of_an_answer_waits_for_the_rest),
      cmocka_unit_test (what_is_not_an_answer_is_broken),
      cmocka_unit_test (the_largest_numbers_are_read),
      cmocka_unit_test (a_head_without_an_end_is_broken_not_waited_for),
      cmocka_unit_test (more_headers_than_a_reply_may_have_are_broken),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
