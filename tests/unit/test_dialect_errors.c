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

/*  A bad message and the error that it must give. All fields that are not here must be empty.  */
typedef struct {
    const char *text; /* NULL: no frame at all */
    rp_dialect_error_t error;
    rp_dialect_t dialect;
    bool worker;
} s_row_t;

static void s_check (const rp_foreign_message_t *foreign, const s_row_t *row)
{
    if (foreign->error != row->error || foreign->dialect != row->dialect
        || foreign->worker != row->worker)
        fail_msg ("\"%s\": error %d, dialect %d, worker %d", row->text ? row->text : "no frame",
          (int) foreign->error, (int) foreign->dialect, foreign->worker);
    assert_int_equal (foreign->command, 0);
    assert_false (foreign->more);
    assert_null (foreign->name);
    assert_int_equal (foreign->name_size, 0);
    assert_true (foreign->token == 0);
    assert_int_equal (foreign->envelope, 0);
    assert_int_equal (foreign->body, 0);
}

static void s_refuse_rows (s_read_fn *read, const s_row_t *rows, size_t count)
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

#define S_REFUSE(read, rows) s_refuse_rows (read, rows, sizeof (rows) / sizeof *(rows))

#define S_ADDRESS "c-544f4b454e2d3031"

#define S_BAD(kind) .error = RP_DIALECT_ERROR_##kind
#define S_CLIENT(name) .dialect = RP_DIALECT_##name, .worker = false
#define S_WORKER(name) .dialect = RP_DIALECT_##name, .worker = true

static void s_what_is_of_no_protocol_is_unknown (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {NULL, S_BAD (UNKNOWN)},
      {"", S_BAD (UNKNOWN)},
      {"|", S_BAD (UNKNOWN)},
      {"|||", S_BAD (UNKNOWN)},
      {"||MDPC01|echo|a", S_BAD (UNKNOWN)},
      {"id|||MDPC01|echo|a", S_BAD (UNKNOWN)},
      {"hello", S_BAD (UNKNOWN)},
      {"hello|", S_BAD (UNKNOWN)},
      {"hello||world", S_BAD (UNKNOWN)},
      {"id|MDPC02|\x01|echo|a", S_BAD (UNKNOWN)}, // 0.2 has no envelope without an empty frame
      {"|mdpc01|echo|a", S_BAD (UNKNOWN)},
      {"|MDPc01|echo|a", S_BAD (UNKNOWN)},
      {"mdpw02|\x01|echo", S_BAD (UNKNOWN)},
      {"|MDPC0|echo|a", S_BAD (UNKNOWN)},
      {"|MDPC011|echo|a", S_BAD (UNKNOWN)},
      {"|MDPC00|echo|a", S_BAD (UNKNOWN)},
      {"|MDPC11|echo|a", S_BAD (UNKNOWN)},
      {"|MDPX01|echo|a", S_BAD (UNKNOWN)},
      {"|MDPC03|\x01|echo|a", S_BAD (UNKNOWN)}, // OpenCMW
      {"MDPC03|\x01|echo|a", S_BAD (UNKNOWN)},
      {"MDPW03|\x01|echo", S_BAD (UNKNOWN)},
      {"|MDPC0X|echo|a", S_BAD (UNKNOWN)}, // libmdp since August 2012
      {"|MDPW0X|\x01|echo", S_BAD (UNKNOWN)},
      {"|\xaa\xa4\x01\x06MDPC02\x01\x04"
       "echo|a",
        S_BAD (UNKNOWN)},
      {"\xaa\xa4", S_BAD (UNKNOWN)},
      {"\xaa\xa4\x01\x06MD", S_BAD (UNKNOWN)},
      {"\xaa\xa5\x01\x06MDPC02\x01\x04"
       "echo|a",
        S_BAD (UNKNOWN)},
      {"\xaa\xa4\x01\x06MDPC01\x01\x04"
       "echo|a",
        S_BAD (UNKNOWN)},
      {"\xaa\xa4\x04\x06MDPW03\x01\x04"
       "echo",
        S_BAD (UNKNOWN)},
      {"\xaa\xa4\x04\x06MDPX02\x01\x04"
       "echo",
        S_BAD (UNKNOWN)},
    };
    S_REFUSE (rp_dialect_read, rows);
}

static void s_frames_that_are_missing_are_told (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"|MDPC01", S_BAD (FRAMES), S_CLIENT (MDP01)},
      {"|MDPC01|echo", S_BAD (FRAMES), S_CLIENT (MDP01)},
      {"MDPC01|echo|a", S_BAD (FRAMES), S_CLIENT (MDP01)}, // a DEALER without the empty frame
      {"MDPC01|echo||a", S_BAD (FRAMES), S_CLIENT (MDP01)},
      {"MDPW01|\x01|echo", S_BAD (FRAMES), S_WORKER (MDP01)},
      {"MDPC02", S_BAD (FRAMES), S_CLIENT (MDP02)},
      {"MDPC02|\x01", S_BAD (FRAMES), S_CLIENT (MDP02)},
      {"MDPC02|\x01|echo", S_BAD (FRAMES), S_CLIENT (MDP02)},
      {"|MDPC02", S_BAD (FRAMES), S_CLIENT (MDP02_EMPTY)},
      {"|MDPC02|\x01|echo", S_BAD (FRAMES), S_CLIENT (MDP02_EMPTY)},
      {"|MDPC02|\x02|echo", S_BAD (FRAMES), S_CLIENT (MAJORTOMO)},
      {"|MDPW01", S_BAD (FRAMES), S_WORKER (MDP01)},
      {"|MDPW01|\x01", S_BAD (FRAMES), S_WORKER (MDP01)},
      {"|MDPW01|\x03", S_BAD (FRAMES), S_WORKER (MDP01)},
      {"|MDPW01|\x03|" S_ADDRESS, S_BAD (FRAMES), S_WORKER (MDP01)},
      {"|MDPW01|\x03|" S_ADDRESS "|", S_BAD (FRAMES), S_WORKER (MDP01)},
      {"|MDPW01|\x03|other|a|b", S_BAD (FRAMES), S_WORKER (MDP01)}, // no address of ours
      {"|MDPW01|\x03|other|" S_ADDRESS "||b", S_BAD (FRAMES), S_WORKER (MDP01)}, // two addresses
      {"MDPW02", S_BAD (FRAMES), S_WORKER (MDP02)},
      {"MDPW02|\x01", S_BAD (FRAMES), S_WORKER (MDP02)},
      {"MDPW02|\x03|" S_ADDRESS "|", S_BAD (FRAMES), S_WORKER (MDP02)},
      {"MDPW02|\x04|" S_ADDRESS "|a", S_BAD (FRAMES), S_WORKER (MDP02)},
      {"|MDPW02|\x04|" S_ADDRESS "|", S_BAD (FRAMES), S_WORKER (MDP02_EMPTY)},
      {"|MDPW02|\x04|" S_ADDRESS "|a", S_BAD (FRAMES), S_WORKER (MDP02_EMPTY)},
      {"id||MDPW01|\x01|echo", S_BAD (FRAMES), S_WORKER (MDP01)}, // a worker has no envelope
      {"id||MDPW02|\x05", S_BAD (FRAMES), S_WORKER (MDP02_EMPTY)},
      {"\xaa\xa4\x01\x06MDPC02\x01\x04"
       "echo",
        S_BAD (FRAMES), S_CLIENT (PACKED)},
      {"\xaa\xa4\x07\x06MDPW02\x04", S_BAD (FRAMES), S_WORKER (PACKED)},
      {"\xaa\xa4\x07\x06MDPW02\x04|" S_ADDRESS "|", S_BAD (FRAMES), S_WORKER (PACKED)},
      {"\xaa\xa4\x07\x06MDPW02\x04|" S_ADDRESS "|a|b", S_BAD (FRAMES), S_WORKER (PACKED)},
    };
    S_REFUSE (rp_dialect_read, rows);
}

/*  Tries each one-byte command number that the sender's side does not have, and numbers of other
    sizes.  */
static void s_unknown_command_numbers_are_told (void **state)
{
    (void) state;
    static const struct {
        const char *before;
        const char *known;
        rp_dialect_t dialect;
        bool worker;
    } sides[] = {
      {"|MDPW01", "\x01\x03\x04\x05", RP_DIALECT_MDP01, true},
      {"MDPC02", "\x01", RP_DIALECT_MDP02, false},
      {"MDPW02", "\x01\x03\x04\x05\x06", RP_DIALECT_MDP02, true},
      {"|MDPC02", "\x01\x02", RP_DIALECT_MDP02_EMPTY, false},
      {"|MDPW02", "\x01\x03\x04\x05\x06", RP_DIALECT_MDP02_EMPTY, true},
    };
    for (size_t side = 0; side < sizeof sides / sizeof *sides; side++)
        for (unsigned number = 0; number < 256 + 3; number++) {
            frames_t message = frames_of (sides[side].before);
            const char bytes[] = {(char) number, 1};
            bool known = number && number < 256 && strchr (sides[side].known, (int) number);
            frames_add (&message, bytes, number < 256 ? 1 : number == 256 ? 0 : 2);
            frames_add_text (&message, S_ADDRESS "||a");
            rp_foreign_message_t foreign;
            rp_dialect_read (&foreign, message.frames, message.count);
            if (known)
                assert_int_equal (foreign.error, RP_DIALECT_ERROR_NONE);
            else
                s_check (&foreign, &(s_row_t){sides[side].before, RP_DIALECT_ERROR_COMMAND,
                                     sides[side].dialect, sides[side].worker});
            frames_free (&message);
        }
}

static void s_bad_service_names_are_told (void **state)
{
    (void) state;
    static const struct {
        const char *before;
        rp_dialect_t dialect;
        bool worker;
    } places[] = {
      {"|MDPC01", RP_DIALECT_MDP01, false},
      {"|MDPW01|\x01", RP_DIALECT_MDP01, true},
      {"MDPC02|\x01", RP_DIALECT_MDP02, false},
      {"MDPW02|\x01", RP_DIALECT_MDP02, true},
      {"|MDPC02|\x01", RP_DIALECT_MDP02_EMPTY, false},
      {"|MDPW02|\x01", RP_DIALECT_MDP02_EMPTY, true},
      {"|MDPC02|\x02", RP_DIALECT_MAJORTOMO, false},
      {"\xaa\xa4\x01\x06MDPC02\x01", RP_DIALECT_PACKED, false},
      {"\xaa\xa4\x04\x06MDPW02\x01", RP_DIALECT_PACKED, true},
    };
    char longest[RP_WIRE_NAME_MAX + 1];
    memset (longest, 'n', sizeof longest);
    const rp_frame_t names[] = {{"n", 1}, {longest, RP_WIRE_NAME_MAX},
      {"\xc3\xa9", 2}, // these are good
      {"", 0}, {longest, RP_WIRE_NAME_MAX + 1}, {"a\nb", 3}, {"a\0b", 3}, {"\x7f", 1}};
    for (size_t place = 0; place < sizeof places / sizeof *places; place++)
        for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
            frames_t message = frames_of (places[place].before);
            rp_frame_t *last = &message.frames[message.count - 1];
            if (places[place].dialect == RP_DIALECT_PACKED) {
                char packed[256];
                size_t size = last->size;
                memcpy (packed, last->data, size);
                packed[size++] = (char) names[index].size;
                memcpy (packed + size, names[index].data, names[index].size);
                frames_free (&message);
                frames_add (&message, packed, size + names[index].size);
            }
            else
                frames_add (&message, names[index].data, names[index].size);
            frames_add_text (&message, "a");
            rp_foreign_message_t foreign;
            rp_dialect_read (&foreign, message.frames, message.count);
            assert_int_equal (
              foreign.error, index < 3 ? RP_DIALECT_ERROR_NONE : RP_DIALECT_ERROR_NAME);
            assert_int_equal (foreign.dialect, places[place].dialect);
            assert_int_equal (foreign.worker, places[place].worker);
            if (index < 3) {
                assert_int_equal (foreign.name_size, names[index].size);
                assert_memory_equal (foreign.name, names[index].data, foreign.name_size);
            }
            frames_free (&message);
        }
}

static void s_an_envelope_has_at_most_8_frames (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"1|2|3|4|5|6|7|8|9||MDPC01|echo|a", S_BAD (ENVELOPE), S_CLIENT (MDP01)},
      {"1|2|3|4|5|6|7|8|9||MDPC02|\x01|echo|a", S_BAD (ENVELOPE), S_CLIENT (MDP02_EMPTY)},
      {"1|2|3|4|5|6|7|8|9||MDPC02|\x02|echo|a", S_BAD (ENVELOPE), S_CLIENT (MAJORTOMO)},
    };
    S_REFUSE (rp_dialect_read, rows);
    static const s_row_t plain[] = {
      {"1|2|3|4|5|6|7|8|9||a", S_BAD (ENVELOPE), S_CLIENT (PLAIN)},
    };
    S_REFUSE (rp_dialect_read_plain_client, plain);
}

static void s_an_envelope_has_at_most_1024_bytes (void **state)
{
    (void) state;
    static const uint8_t bytes[RP_ENVELOPE_BYTES_MAX + 1] = {1};
    for (size_t more = 0; more < 2; more++)
        for (size_t frames = 1; frames <= 2; frames++) {
            frames_t message = {.count = 0};
            size_t size = RP_ENVELOPE_BYTES_MAX + more;
            frames_add (&message, bytes, frames == 1 ? size : 24);
            if (frames == 2)
                frames_add (&message, bytes, size - 24);
            frames_add_text (&message, "|MDPC01|echo|a");
            rp_foreign_message_t foreign;
            rp_dialect_error_t expected = more ? RP_DIALECT_ERROR_ENVELOPE : RP_DIALECT_ERROR_NONE;
            rp_dialect_read (&foreign, message.frames, message.count);
            assert_int_equal (foreign.error, expected);
            assert_int_equal (foreign.envelope, more ? 0 : frames);
            rp_dialect_read_plain_client (&foreign, message.frames, message.count);
            assert_int_equal (foreign.error, expected);
            assert_int_equal (foreign.dialect, RP_DIALECT_PLAIN);
            frames_free (&message);
        }
}

static void s_a_packed_command_has_its_own_message_id (void **state)
{
    (void) state;
    for (unsigned worker = 0; worker < 2; worker++)
        for (unsigned id = 0; id < 256; id++)
            for (unsigned number = 0; number < 256; number++) {
                const char header[] = {(char) 0xaa, (char) 0xa4, (char) id, 6, 'M', 'D', 'P',
                  worker ? 'W' : 'C', '0', '2', (char) number, 1, 'n'};
                bool named = number == 1;
                const rp_frame_t frames[] = {
                  {header, named ? 13 : 11}, {S_ADDRESS, 8}, {NULL, 0}, {"a", 1}};
                rp_foreign_message_t foreign;
                rp_dialect_read (&foreign, frames, 4);
                assert_int_equal (foreign.dialect, RP_DIALECT_PACKED);
                assert_int_equal (foreign.worker, worker);
                bool known = worker ? number == 1 || (number >= 3 && number <= 6) : number == 1;
                if (id != number + (worker ? 3 : 0))
                    assert_int_equal (foreign.error, RP_DIALECT_ERROR_PACKED);
                else
                    assert_int_equal (
                      foreign.error, known ? RP_DIALECT_ERROR_NONE : RP_DIALECT_ERROR_COMMAND);
            }
}

static void s_a_packed_header_that_lies_is_refused (void **state)
{
    (void) state;
    static const s_row_t rows[] = {
      {"\xaa\xa4\x01\x05MDPC02\x01\x04"
       "echo|a",
        S_BAD (PACKED), S_CLIENT (PACKED)},
      {"\xaa\xa4\x01\x07MDPC02\x01\x04"
       "echo|a",
        S_BAD (PACKED), S_CLIENT (PACKED)},
      {"\xaa\xa4\x01\xffMDPC02\x01\x04"
       "echo|a",
        S_BAD (PACKED), S_CLIENT (PACKED)},
      {"\xaa\xa4\x01\x06MDPC02\x01\x03"
       "echo|a",
        S_BAD (PACKED), S_CLIENT (PACKED)},
      {"\xaa\xa4\x01\x06MDPC02\x01\x05"
       "echo|a",
        S_BAD (PACKED), S_CLIENT (PACKED)},
      {"\xaa\xa4\x01\x06MDPC02\x01\xff"
       "echo|a",
        S_BAD (PACKED), S_CLIENT (PACKED)},
      {"\xaa\xa4\x04\x06MDPW02\x01\x03"
       "echo",
        S_BAD (PACKED), S_WORKER (PACKED)},
      {"\xaa\xa4\x08\x06MDPW02\x05\x01", S_BAD (PACKED), S_WORKER (PACKED)},
      {"\xaa\xa4\x07\x06MDPW02\x04\x04"
       "echo|" S_ADDRESS "||a",
        S_BAD (PACKED), S_WORKER (PACKED)},
      {"\xaa\xa4\x04\x06MDPW02|\x01|echo", S_BAD (PACKED), S_WORKER (PACKED)},
    };
    S_REFUSE (rp_dialect_read, rows);
}

static void s_a_packed_header_that_is_cut_is_refused_at_every_length (void **state)
{
    (void) state;
    static const char header[] = "\xaa\xa4\x04\x06MDPW02\x01\x04"
                                 "echo";
    for (size_t size = 0; size < sizeof header - 1; size++) {
        frames_t message = {.count = 0};
        frames_add (&message, header, size);
        rp_foreign_message_t foreign;
        rp_dialect_read (&foreign, message.frames, 1);
        assert_int_equal (
          foreign.error, size < 8 ? RP_DIALECT_ERROR_UNKNOWN : RP_DIALECT_ERROR_PACKED);
        frames_free (&message);
    }
}

static void s_plain_messages_without_their_frames_are_refused (void **state)
{
    (void) state;
    static const s_row_t requests[] = {
      {NULL, S_BAD (FRAMES), S_CLIENT (PLAIN)},
      {"", S_BAD (FRAMES), S_CLIENT (PLAIN)},
      {"a", S_BAD (FRAMES), S_CLIENT (PLAIN)},
      {"a|b", S_BAD (FRAMES), S_CLIENT (PLAIN)},
      {"a|", S_BAD (FRAMES), S_CLIENT (PLAIN)},
    };
    S_REFUSE (rp_dialect_read_plain_client, requests);
    static const s_row_t replies[] = {
      {NULL, S_BAD (FRAMES), S_WORKER (PLAIN)},
      {"", S_BAD (FRAMES), S_WORKER (PLAIN)},
      {S_ADDRESS, S_BAD (FRAMES), S_WORKER (PLAIN)},
      {S_ADDRESS "|", S_BAD (FRAMES), S_WORKER (PLAIN)},
      {S_ADDRESS "|a|b", S_BAD (FRAMES), S_WORKER (PLAIN)},
      {S_ADDRESS "|more||b", S_BAD (FRAMES), S_WORKER (PLAIN)},
    };
    S_REFUSE (rp_dialect_read_plain_worker, replies);
}

static void s_errors_have_texts (void **state)
{
    (void) state;
    for (unsigned error = 0; error < RP_DIALECT_ERROR_COUNT; error++)
        assert_true (strlen (rp_dialect_error_text ((rp_dialect_error_t) error)) > 1);
    assert_string_equal (rp_dialect_error_text (RP_DIALECT_ERROR_COUNT), "?");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_what_is_of_no_protocol_is_unknown),
      cmocka_unit_test (s_frames_that_are_missing_are_told),
      cmocka_unit_test (s_unknown_command_numbers_are_told),
      cmocka_unit_test (s_bad_service_names_are_told),
      cmocka_unit_test (s_an_envelope_has_at_most_8_frames),
      cmocka_unit_test (s_an_envelope_has_at_most_1024_bytes),
      cmocka_unit_test (s_a_packed_command_has_its_own_message_id),
      cmocka_unit_test (s_a_packed_header_that_lies_is_refused),
      cmocka_unit_test (s_a_packed_header_that_is_cut_is_refused_at_every_length),
      cmocka_unit_test (s_plain_messages_without_their_frames_are_refused),
      cmocka_unit_test (s_errors_have_texts),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
