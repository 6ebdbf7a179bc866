/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/frames.h"

/*  A client's address as rp_dialect_write gives it, and its number.  */
#define S_ADDRESS "c-544f4b454e2d3031"
#define S_TOKEN 0x544f4b454e2d3031u

/*  expected: NULL if the dialect has no message for this head.  */
static void s_expect (
  rp_dialect_t dialect, bool worker, const rp_head_t *head, const char *expected)
{
    rp_prefix_t prefix;
    memset (&prefix, 0xee, sizeof prefix);
    bool said = rp_dialect_write (&prefix, dialect, worker, head);
    if (said != (expected != NULL))
        fail_msg ("%s, worker %d, command %d", rp_dialect_name (dialect), worker, head->command);
    if (!said) {
        assert_int_equal (prefix.count, 0);
        return;
    }
    frames_t message = frames_of (expected);
    if (prefix.count != message.count)
        fail_msg ("\"%s\": %u frames", expected, prefix.count);
    for (uint32_t index = 0; index < prefix.count; index++) {
        assert_int_equal (prefix.frames[index].size, message.frames[index].size);
        if (prefix.frames[index].size)
            assert_memory_equal (
              prefix.frames[index].data, message.frames[index].data, prefix.frames[index].size);
    }
    frames_free (&message);
}

static void s_a_reply_is_written_in_every_dialect (void **state)
{
    (void) state;
    static const struct {
        rp_dialect_t dialect;
        const char *partial;
        const char *final;
    } rows[] = {
      {RP_DIALECT_NATIVE, NULL, NULL},
      {RP_DIALECT_MDP01, NULL, "|MDPC01|echo"},
      {RP_DIALECT_MDP02, "MDPC02|\x02|echo", "MDPC02|\x03|echo"},
      {RP_DIALECT_MDP02_EMPTY, "|MDPC02|\x02|echo", "|MDPC02|\x03|echo"},
      {RP_DIALECT_MAJORTOMO, "|MDPC02|\x03", "|MDPC02|\x04"},
      {RP_DIALECT_PACKED,
        "\xaa\xa4\x02\x06MDPC02\x02\x04"
        "echo",
        "\xaa\xa4\x03\x06MDPC02\x03\x04"
        "echo"},
      {RP_DIALECT_PLAIN, NULL, ""},
    };
    assert_int_equal (sizeof rows / sizeof *rows, RP_DIALECT_COUNT);
    for (size_t row = 0; row < RP_DIALECT_COUNT; row++) {
        rp_head_t head = {.command = RP_COMMAND_REPLY, .name = "echo", .name_size = 4, .id = 7};
        s_expect (rows[row].dialect, false, &head, rows[row].final);
        s_expect (rows[row].dialect, true, &head, NULL);
        head.flags = RP_FLAG_MORE;
        s_expect (rows[row].dialect, false, &head, rows[row].partial);
        s_expect (rows[row].dialect, true, &head, NULL);
    }
}

static void s_a_request_is_written_in_every_dialect (void **state)
{
    (void) state;
    static const char *const expected[RP_DIALECT_COUNT] = {
      [RP_DIALECT_MDP01] = "|MDPW01|\x02|" S_ADDRESS "|",
      [RP_DIALECT_MDP02] = "MDPW02|\x02|" S_ADDRESS "|",
      [RP_DIALECT_MDP02_EMPTY] = "|MDPW02|\x02|" S_ADDRESS "|",
      [RP_DIALECT_PACKED] = "\xaa\xa4\x05\x06MDPW02\x02|" S_ADDRESS "|",
      [RP_DIALECT_PLAIN] = S_ADDRESS "|",
    };
    const rp_head_t head = {
      .command = RP_COMMAND_REQUEST, .id = S_TOKEN, .name = "echo", .name_size = 4};
    for (unsigned dialect = 0; dialect < RP_DIALECT_COUNT; dialect++) {
        s_expect ((rp_dialect_t) dialect, true, &head, expected[dialect]);
        s_expect ((rp_dialect_t) dialect, false, &head, NULL);
    }
}

static void s_a_worker_is_told_heartbeat_and_disconnect (void **state)
{
    (void) state;
    static const char *const expected[RP_DIALECT_COUNT][2] = {
      [RP_DIALECT_MDP01] = {"|MDPW01|\x04", "|MDPW01|\x05"},
      [RP_DIALECT_MDP02] = {"MDPW02|\x05", "MDPW02|\x06"},
      [RP_DIALECT_MDP02_EMPTY] = {"|MDPW02|\x05", "|MDPW02|\x06"},
      [RP_DIALECT_PACKED] = {"\xaa\xa4\x08\x06MDPW02\x05", "\xaa\xa4\x09\x06MDPW02\x06"},
    };
    for (unsigned dialect = 0; dialect < RP_DIALECT_COUNT; dialect++)
        for (unsigned bye = 0; bye < 2; bye++) {
            rp_head_t head = {.command = bye ? RP_COMMAND_BYE : RP_COMMAND_HEARTBEAT};
            s_expect ((rp_dialect_t) dialect, true, &head, expected[dialect][bye]);
            s_expect ((rp_dialect_t) dialect, false, &head, NULL);
        }
}

static void s_what_a_dialect_has_no_word_for_is_not_said (void **state)
{
    (void) state;
    static const uint8_t commands[] = {0, RP_COMMAND_HELLO, RP_COMMAND_WELCOME, RP_COMMAND_CANCEL,
      RP_COMMAND_CREDIT, RP_COMMAND_DRAIN, RP_COMMAND_END, RP_COMMAND_COUNT, 255};
    for (size_t index = 0; index < sizeof commands; index++)
        for (unsigned dialect = 0; dialect < RP_DIALECT_COUNT; dialect++)
            for (unsigned worker = 0; worker < 2; worker++) {
                rp_head_t head = {.command = commands[index], .id = 1};
                s_expect ((rp_dialect_t) dialect, worker, &head, NULL);
            }
}

static void s_the_longest_name_is_written (void **state)
{
    (void) state;
    char name[RP_WIRE_NAME_MAX];
    memset (name, 'n', sizeof name);
    const rp_head_t head = {
      .command = RP_COMMAND_REPLY, .name = name, .name_size = RP_WIRE_NAME_MAX};
    rp_prefix_t *prefix = malloc (sizeof *prefix);
    assert_non_null (prefix);
    assert_true (rp_dialect_write (prefix, RP_DIALECT_PACKED, false, &head));
    assert_int_equal (prefix->frames[0].size, 12 + RP_WIRE_NAME_MAX);
    assert_memory_equal ((const char *) prefix->frames[0].data + 12, name, sizeof name);
    free (prefix);
}

/*  A worker sends back the address that it got, so its reply brings the token back.  */
static void s_a_token_comes_back_in_every_dialect (void **state)
{
    (void) state;
    static const struct {
        rp_dialect_t dialect;
        const char *reply;
    } rows[] = {
      {RP_DIALECT_MDP01, "|MDPW01|\x03"},
      {RP_DIALECT_MDP02, "MDPW02|\x04"},
      {RP_DIALECT_MDP02_EMPTY, "|MDPW02|\x04"},
      {RP_DIALECT_PACKED, "\xaa\xa4\x07\x06MDPW02\x04"},
      {RP_DIALECT_PLAIN, NULL},
    };
    static const uint64_t tokens[] = {1, 0x0123456789abcdefu, UINT64_MAX};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (size_t index = 0; index < 3; index++) {
            const rp_head_t head = {.command = RP_COMMAND_REQUEST, .id = tokens[index]};
            rp_prefix_t prefix;
            assert_true (rp_dialect_write (&prefix, rows[row].dialect, true, &head));
            const rp_frame_t *address = &prefix.frames[prefix.count - 2];
            frames_t message = frames_of (rows[row].reply);
            frames_add (&message, address->data, address->size);
            frames_add_text (&message, "|a");
            rp_foreign_message_t foreign;
            if (rows[row].reply)
                rp_dialect_read (&foreign, message.frames, message.count);
            else
                rp_dialect_read_plain_worker (&foreign, message.frames, message.count);
            assert_int_equal (foreign.error, RP_DIALECT_ERROR_NONE);
            assert_int_equal (foreign.dialect, rows[row].dialect);
            assert_true (foreign.token == tokens[index]);
            frames_free (&message);
        }
}

/*  Programs in C++, PHP and Perl keep the address as text: a NUL would cut it, and the guide's
    programs take an @ before 32 hexadecimal digits for an address in binary.  */
static void s_a_client_address_is_printable_text (void **state)
{
    (void) state;
    static const uint64_t tokens[] = {1, 0x0000000100000000u, 0x4000000000000000u, UINT64_MAX};
    for (unsigned dialect = 0; dialect < RP_DIALECT_COUNT; dialect++)
        for (size_t index = 0; index < sizeof tokens / sizeof *tokens; index++) {
            rp_prefix_t prefix;
            const rp_head_t head = {.command = RP_COMMAND_REQUEST, .id = tokens[index]};
            if (!rp_dialect_write (&prefix, (rp_dialect_t) dialect, true, &head))
                continue;
            const rp_frame_t *address = &prefix.frames[prefix.count - 2];
            const uint8_t *bytes = address->data;
            assert_in_range (address->size, 1, 33);
            assert_int_not_equal (bytes[0], '@');
            for (size_t at = 0; at < address->size; at++)
                assert_in_range (bytes[at], 0x21, 0x7e);
        }
}

/*  HEARTBEAT and DISCONNECT are the same in both directions.  */
static void s_what_both_sides_say_is_read_as_it_was_written (void **state)
{
    (void) state;
    static const uint8_t commands[] = {RP_COMMAND_HEARTBEAT, RP_COMMAND_BYE};
    for (unsigned dialect = 0; dialect < RP_DIALECT_COUNT; dialect++)
        for (size_t index = 0; index < 2; index++) {
            rp_prefix_t prefix;
            const rp_head_t head = {.command = commands[index]};
            if (!rp_dialect_write (&prefix, (rp_dialect_t) dialect, true, &head))
                continue;
            rp_foreign_message_t foreign;
            rp_dialect_read (&foreign, prefix.frames, prefix.count);
            assert_int_equal (foreign.error, RP_DIALECT_ERROR_NONE);
            assert_int_equal (foreign.dialect, dialect);
            assert_true (foreign.worker);
            assert_int_equal (foreign.command, commands[index]);
        }
}

static void s_dialects_have_names (void **state)
{
    (void) state;
    for (unsigned dialect = 0; dialect < RP_DIALECT_COUNT; dialect++)
        assert_true (strlen (rp_dialect_name ((rp_dialect_t) dialect)) > 1);
    assert_string_equal (rp_dialect_name (RP_DIALECT_MDP01), "MDP 0.1");
    assert_string_equal (rp_dialect_name (RP_DIALECT_COUNT), "?");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_reply_is_written_in_every_dialect),
      cmocka_unit_test (s_a_request_is_written_in_every_dialect),
      cmocka_unit_test (s_a_worker_is_told_heartbeat_and_disconnect),
      cmocka_unit_test (s_what_a_dialect_has_no_word_for_is_not_said),
      cmocka_unit_test (s_the_longest_name_is_written),
      cmocka_unit_test (s_a_token_comes_back_in_every_dialect),
      cmocka_unit_test (s_a_client_address_is_printable_text),
      cmocka_unit_test (s_what_both_sides_say_is_read_as_it_was_written),
      cmocka_unit_test (s_dialects_have_names),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
