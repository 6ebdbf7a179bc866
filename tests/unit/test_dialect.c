/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/frames.h"

typedef void (s_read_fn) (rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  A good message, and what it must be read as.  */
typedef struct {
    const char *text;
    rp_dialect_t dialect;
    bool worker;
    uint8_t command;
    const char *name;
    uint64_t token;
    uint32_t envelope;
    uint32_t body;
    bool more;
} s_row_t;

static void s_check (const rp_foreign_message_t *foreign, const s_row_t *row)
{
    size_t name_size = row->name ? strlen (row->name) : 0;
    if (foreign->error != RP_DIALECT_ERROR_NONE || foreign->dialect != row->dialect
        || foreign->worker != row->worker || foreign->command != row->command
        || foreign->more != row->more || foreign->token != row->token
        || foreign->envelope != row->envelope || foreign->body != row->body
        || foreign->name_size != name_size)
        fail_msg (
          "\"%s\": error %d, dialect %d, worker %d, command %d, more %d, token %llx, envelope %u, "
          "body %u, name of %u",
          row->text, (int) foreign->error, (int) foreign->dialect, foreign->worker,
          foreign->command, foreign->more, (unsigned long long) foreign->token, foreign->envelope,
          foreign->body, foreign->name_size);
    assert_int_equal (foreign->name != NULL, name_size != 0);
    if (name_size)
        assert_memory_equal (foreign->name, row->name, name_size);
}

static void s_read_rows (s_read_fn *read, const s_row_t *rows, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        frames_t message = frames_of (rows[index].text);
        rp_foreign_message_t foreign;
        memset (&foreign, 0xee, sizeof foreign);
        read (&foreign, message.frames, message.count);
        s_check (&foreign, &rows[index]);
        frames_free (&message);
    }
}

#define S_READ(read, rows) s_read_rows (read, rows, sizeof (rows) / sizeof *(rows))

/*  A client's address as rp_dialect_write gives it, and its number.  */
#define S_ADDRESS "c-544f4b454e2d3031"
#define S_TOKEN 0x544f4b454e2d3031u

#define S_CLIENT(name) .dialect = RP_DIALECT_##name, .worker = false
#define S_WORKER(name) .dialect = RP_DIALECT_##name, .worker = true
#define S_SAYS(word) .command = RP_COMMAND_##word

static void s_a_request_is_read_in_every_dialect (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPC01|echo|a", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo", .body = 3},
      {"|MDPC01|echo|a|b|", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo", .body = 3},
      {"|MDPC01|echo|", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo", .body = 3},
      {"MDPC02|\x01|echo|a", S_CLIENT (MDP02), S_SAYS (REQUEST), .name = "echo", .body = 3},
      {"|MDPC02|\x01|echo|a", S_CLIENT (MDP02_EMPTY), S_SAYS (REQUEST), .name = "echo", .body = 4},
      {"|MDPC02|\x02|echo|a", S_CLIENT (MAJORTOMO), S_SAYS (REQUEST), .name = "echo", .body = 4},
      {"\xaa\xa4\x01\x06MDPC02\x01\x04"
       "echo|a",
        S_CLIENT (PACKED), S_SAYS (REQUEST), .name = "echo", .body = 1},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_ready_is_a_hello_in_every_dialect (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPW01|\x01|echo", S_WORKER (MDP01), S_SAYS (HELLO), .name = "echo"},
      {"MDPW02|\x01|echo", S_WORKER (MDP02), S_SAYS (HELLO), .name = "echo"},
      {"|MDPW02|\x01|echo", S_WORKER (MDP02_EMPTY), S_SAYS (HELLO), .name = "echo"},
      {"\xaa\xa4\x04\x06MDPW02\x01\x04"
       "echo",
        S_WORKER (PACKED), S_SAYS (HELLO), .name = "echo"},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_a_question_to_the_broker_needs_no_body (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPC01|mmi.services", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "mmi.services",
        .body = 3},
      {"1||MDPC01|mmi.services", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "mmi.services",
        .envelope = 1, .body = 4},
      {"MDPC02|\x01|mmi.service", S_CLIENT (MDP02), S_SAYS (REQUEST), .name = "mmi.service",
        .body = 3},
      {"|MDPC02|\x01|mmi.x", S_CLIENT (MDP02_EMPTY), S_SAYS (REQUEST), .name = "mmi.x", .body = 4},
      {"|MDPC02|\x02|mmi.x", S_CLIENT (MAJORTOMO), S_SAYS (REQUEST), .name = "mmi.x", .body = 4},
      {"\xaa\xa4\x01\x06MDPC02\x01\x05mmi.x", S_CLIENT (PACKED), S_SAYS (REQUEST), .name = "mmi.x",
        .body = 1},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_a_reply_is_read_in_every_dialect (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPW01|\x03|" S_ADDRESS "||a", S_WORKER (MDP01), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 5},
      {"MDPW02|\x03|" S_ADDRESS "||a", S_WORKER (MDP02), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 4, .more = true},
      {"MDPW02|\x04|" S_ADDRESS "||a", S_WORKER (MDP02), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 4},
      {"|MDPW02|\x03|" S_ADDRESS "||a", S_WORKER (MDP02_EMPTY), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 5, .more = true},
      {"|MDPW02|\x04|" S_ADDRESS "||a|b", S_WORKER (MDP02_EMPTY), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 5},
      {"\xaa\xa4\x06\x06MDPW02\x03|" S_ADDRESS "||a", S_WORKER (PACKED), S_SAYS (REPLY),
        .token = S_TOKEN, .body = 3, .more = true},
      {"\xaa\xa4\x07\x06MDPW02\x04|" S_ADDRESS "||a", S_WORKER (PACKED), S_SAYS (REPLY),
        .token = S_TOKEN, .body = 3},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_heartbeat_and_disconnect_are_read_in_every_dialect (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPW01|\x04", S_WORKER (MDP01), S_SAYS (HEARTBEAT)},
      {"|MDPW01|\x05", S_WORKER (MDP01), S_SAYS (BYE)},
      {"MDPW02|\x05", S_WORKER (MDP02), S_SAYS (HEARTBEAT)},
      {"MDPW02|\x06", S_WORKER (MDP02), S_SAYS (BYE)},
      {"|MDPW02|\x05", S_WORKER (MDP02_EMPTY), S_SAYS (HEARTBEAT)},
      {"|MDPW02|\x06", S_WORKER (MDP02_EMPTY), S_SAYS (BYE)},
      {"\xaa\xa4\x08\x06MDPW02\x05", S_WORKER (PACKED), S_SAYS (HEARTBEAT)},
      {"\xaa\xa4\x09\x06MDPW02\x06", S_WORKER (PACKED), S_SAYS (BYE)},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_frames_that_a_command_does_not_have_are_ignored (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPW01|\x01|echo|x||y", S_WORKER (MDP01), S_SAYS (HELLO), .name = "echo"},
      {"|MDPW01|\x04|", S_WORKER (MDP01), S_SAYS (HEARTBEAT)},
      {"MDPW02|\x06|x", S_WORKER (MDP02), S_SAYS (BYE)},
      {"\xaa\xa4\x08\x06MDPW02\x05|x", S_WORKER (PACKED), S_SAYS (HEARTBEAT)},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_the_envelope_ends_at_the_first_empty_frame (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"\x01\x02\x03\x04||MDPC01|echo|a", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo",
        .envelope = 1, .body = 4},
      {"route|\xaa\xa4zz||MDPC01|echo||a", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo",
        .envelope = 2, .body = 5},
      {"id||MDPC02|\x01|echo|a", S_CLIENT (MDP02_EMPTY), S_SAYS (REQUEST), .name = "echo",
        .envelope = 1, .body = 5},
      {"id||MDPC02|\x02|echo|a", S_CLIENT (MAJORTOMO), S_SAYS (REQUEST), .name = "echo",
        .envelope = 1, .body = 5},
      {"1|2|3|4|5|6|7|8||MDPC01|echo|a", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo",
        .envelope = 8, .body = 11},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_an_address_that_is_no_token_names_no_request (void **state)
{
    (void) state;
    static const char *const addresses[] = {"c-544f4b454e2d303", "c-544f4b454e2d30311",
      "c-544F4B454E2D3031", "c-544f4b454e2d303g", "@-544f4b454e2d3031", "TOKEN-01", "x", ""};
    for (size_t index = 0; index < sizeof addresses / sizeof *addresses; index++) {
        frames_t message = frames_of ("MDPW02|\x04");
        frames_add (&message, addresses[index], strlen (addresses[index]));
        frames_add_text (&message, "|a");
        rp_foreign_message_t foreign;
        rp_dialect_read (&foreign, message.frames, message.count);
        s_check (
          &foreign, &(s_row_t){addresses[index], S_WORKER (MDP02), S_SAYS (REPLY), .body = 4});
        frames_free (&message);
    }
    frames_t message = frames_of ("MDPW02|\x04");
    frames_add_text (&message, "c-8000000000000001||a");
    rp_foreign_message_t foreign;
    rp_dialect_read (&foreign, message.frames, message.count);
    assert_true (foreign.token == 0x8000000000000001u);
    frames_free (&message);
}

static void s_a_body_that_looks_like_a_header_is_a_body (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPC01|echo|MDPC02|\x01|other|x", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo",
        .body = 3},
      {"|MDPC01|echo||MDPC01|other|x", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "echo",
        .body = 3},
      {"MDPC02|\x01|echo||MDPC01|other|x", S_CLIENT (MDP02), S_SAYS (REQUEST), .name = "echo",
        .body = 3},
      {"MDPC02|\x01|echo|RP\x01\x03", S_CLIENT (MDP02), S_SAYS (REQUEST), .name = "echo",
        .body = 3},
      {"MDPW02|\x04|" S_ADDRESS "||MDPW02|\x06", S_WORKER (MDP02), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 4},
      {"MDPW02|\x04|" S_ADDRESS "|||", S_WORKER (MDP02), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 4},
      {"|MDPC01|MDPC01|MDPC01", S_CLIENT (MDP01), S_SAYS (REQUEST), .name = "MDPC01", .body = 3},
      {"\xaa\xa4\x01\x06MDPC02\x01\x06MDPC01||MDPC01", S_CLIENT (PACKED), S_SAYS (REQUEST),
        .name = "MDPC01", .body = 1},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_a_message_of_64_frames_is_read (void **state)
{
    (void) state;
    static const struct {
        const char *before;
        uint32_t body;
    } rows[] = {
      {"|MDPC01|echo", 3},
      {"MDPW02|\x04|" S_ADDRESS "|", 4},
      {"MDPW02|\x05", 0},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        frames_t message = frames_of (rows[row].before);
        while (message.count < RP_FRAMES_MAX)
            frames_add (&message, "x", 1);
        rp_foreign_message_t foreign;
        rp_dialect_read (&foreign, message.frames, message.count);
        assert_int_equal (foreign.error, RP_DIALECT_ERROR_NONE);
        assert_int_equal (foreign.body, rows[row].body);
        frames_free (&message);
    }
}

/*  The guide's worker in PHP leaves the empty frame out.  */
static void s_a_reply_of_mdp01_may_lack_its_empty_frame (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPW01|\x03|" S_ADDRESS "|a", S_WORKER (MDP01), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 4},
      {"|MDPW01|\x03|" S_ADDRESS "|a||b", S_WORKER (MDP01), S_SAYS (REPLY), .token = S_TOKEN,
        .body = 4},
    };
    S_READ (rp_dialect_read, rows);
}

static void s_a_plain_request_is_what_follows_the_first_empty_frame (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|a", S_CLIENT (PLAIN), S_SAYS (REQUEST), .body = 1},
      {"|a|b|", S_CLIENT (PLAIN), S_SAYS (REQUEST), .body = 1},
      {"||", S_CLIENT (PLAIN), S_SAYS (REQUEST), .body = 1},
      {"\x01\x02\x03\x04||a", S_CLIENT (PLAIN), S_SAYS (REQUEST), .envelope = 1, .body = 2},
      {"|MDPC01|echo|a", S_CLIENT (PLAIN), S_SAYS (REQUEST), .body = 1},
      {"1|2|3|4|5|6|7|8||a", S_CLIENT (PLAIN), S_SAYS (REQUEST), .envelope = 8, .body = 9},
    };
    S_READ (rp_dialect_read_plain_client, rows);
}

static void s_a_plain_reply_is_token_empty_body (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {S_ADDRESS "||a", S_WORKER (PLAIN), S_SAYS (REPLY), .token = S_TOKEN, .body = 2},
      {S_ADDRESS "|||b", S_WORKER (PLAIN), S_SAYS (REPLY), .token = S_TOKEN, .body = 2},
      {"other||a", S_WORKER (PLAIN), S_SAYS (REPLY), .body = 2},
    };
    S_READ (rp_dialect_read_plain_worker, rows);
}

static void s_a_native_message_is_told_by_its_head (void **state)
{
    (void) state;
    uint8_t bytes[RP_WIRE_HEAD_MAX];
    for (unsigned command = 1; command < RP_COMMAND_COUNT; command++) {
        rp_head_t head = {.command = (uint8_t) command};
        frames_t message = {.count = 0};
        frames_add (&message, bytes, rp_wire_encode (&head, bytes, sizeof bytes));
        assert_true (rp_dialect_is_native (message.frames, message.count));
        frames_add_text (&message, "|MDPC01|echo|a"); // a body that looks like a message of MDP
        assert_true (rp_dialect_is_native (message.frames, message.count));
        frames_free (&message);
    }
}

static void s_an_envelope_with_the_native_signature_is_not_native (void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool native;
    } rows[] = {
      {"RP\x01\x01||MDPC01|echo|a", false}, // the number that a REQ socket puts in front
      {"RPC-7||MDPC02|\x02|echo|a", false}, // a routing id as part of the envelope
      {"RPC-7|id||MDPC01|echo|a", false},
      {"RP", true}, // a native head that is cut short, or of another version
      {"RP\x01\x01", true},
      {"RP\x01\x01|a", true},
      {"RP\x01\x01|", true},
      {"RP\x01\x01||a", true},
      {"RP\x02\x03|a||b", true},
      {"R", false},
      {"PR", false},
      {"", false},
      {"MDPC02|\x01|echo|RP", false},
      {"|MDPC01|echo|a", false},
    };
    assert_false (rp_dialect_is_native (NULL, 0));
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        frames_t message = frames_of (rows[row].text);
        bool native = rp_dialect_is_native (message.frames, message.count);
        if (native != rows[row].native)
            fail_msg ("\"%s\": %d", rows[row].text, native);
        frames_free (&message);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_request_is_read_in_every_dialect),
      cmocka_unit_test (s_ready_is_a_hello_in_every_dialect),
      cmocka_unit_test (s_a_question_to_the_broker_needs_no_body),
      cmocka_unit_test (s_a_reply_is_read_in_every_dialect),
      cmocka_unit_test (s_heartbeat_and_disconnect_are_read_in_every_dialect),
      cmocka_unit_test (s_frames_that_a_command_does_not_have_are_ignored),
      cmocka_unit_test (s_the_envelope_ends_at_the_first_empty_frame),
      cmocka_unit_test (s_an_address_that_is_no_token_names_no_request),
      cmocka_unit_test (s_a_body_that_looks_like_a_header_is_a_body),
      cmocka_unit_test (s_a_message_of_64_frames_is_read),
      cmocka_unit_test (s_a_reply_of_mdp01_may_lack_its_empty_frame),
      cmocka_unit_test (s_a_plain_request_is_what_follows_the_first_empty_frame),
      cmocka_unit_test (s_a_plain_reply_is_token_empty_body),
      cmocka_unit_test (s_a_native_message_is_told_by_its_head),
      cmocka_unit_test (s_an_envelope_with_the_native_signature_is_not_native),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
