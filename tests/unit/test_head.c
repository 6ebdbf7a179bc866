/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <riposte/error.h>

#include "common/wire/limits.h"

/*  Returns a head of this command with every field that it may have.  */
static rp_head_t s_full (unsigned command)
{
    static const uint8_t headers[] = {1, 'k', 0, 2, 'v', 'w'};
    rp_head_t head = {.command = (uint8_t) command};
    switch (command) {
        case RP_COMMAND_HELLO:
            head.flags = RP_FLAG_WORKER;
            head.interval_ms = 1000;
            head.window = RP_WINDOW_MAX;
            head.name = "upper";
            head.name_size = 5;
            head.key = "host-1";
            head.key_size = 6;
            break;
        case RP_COMMAND_WELCOME:
            head.interval_ms = 1000;
            head.max_open = 10;
            head.key = "0123456789abcdef";
            head.key_size = 16;
            break;
        case RP_COMMAND_REQUEST:
            head.flags = RP_FLAG_INLINE | RP_FLAG_OPEN | RP_FLAG_TRACE;
            head.id = 0x0102030405060708u;
            head.conversation = 0x1112131415161718u;
            head.deadline_ms = 0x01020304;
            head.wait_ms = 0x00112233;
            head.attempt = 2;
            head.attempts = 3;
            head.name = "upper";
            head.name_size = 5;
            break;
        case RP_COMMAND_REPLY:
            head.flags = RP_FLAG_INLINE | RP_FLAG_LAST;
            head.id = 7;
            head.queue_us = 8;
            head.work_us = 9;
            head.status = RP_APP_ERROR;
            head.attempt = 1;
            head.code = 0xdeadbeef;
            head.text = "a\ttext";
            head.text_size = 6;
            break;
        case RP_COMMAND_CANCEL:
            head.id = 5;
            break;
        case RP_COMMAND_CREDIT:
            head.takes_us = 3;
            head.window = 64;
            break;
        case RP_COMMAND_BYE:
            head.status = RP_DRAINING;
            head.text = "bye";
            head.text_size = 3;
            break;
        case RP_COMMAND_END:
            head.conversation = 6;
            break;
        case RP_COMMAND_ACCEPTED:
            head.id = 5;
            head.job = 6;
            break;
        case RP_COMMAND_PART:
            head.flags = RP_FLAG_INLINE | RP_FLAG_MORE;
            head.id = 5;
            break;
        case RP_COMMAND_GRANT:
            head.id = 5;
            head.granted = UINT64_MAX;
            break;
        default:
            break;
    }
    if (command <= RP_COMMAND_REPLY) {
        head.headers = headers;
        head.headers_size = sizeof headers;
    }
    return head;
}

/*  Encodes into a block of exactly its size, so that a sanitizer finds a write beyond its end.  */
static uint8_t *s_encode (const rp_head_t *head, size_t *size)
{
    *size = rp_wire_size (head);
    uint8_t *bytes = malloc (*size);
    assert_non_null (bytes);
    assert_int_equal (rp_wire_encode (head, bytes, *size), *size);
    return bytes;
}

static rp_wire_error_t s_decode (const uint8_t *bytes, size_t size)
{
    rp_head_t head;
    uint8_t *copy = malloc (size ? size : 1);
    assert_non_null (copy);
    if (size)
        memcpy (copy, bytes, size);
    rp_wire_error_t error = rp_wire_decode (&head, copy, size);
    free (copy);
    return error;
}

static rp_wire_error_t s_round (const rp_head_t *head)
{
    size_t size;
    uint8_t *bytes = s_encode (head, &size);
    rp_wire_error_t error = s_decode (bytes, size);
    free (bytes);
    return error;
}

static void s_every_command_comes_back_as_it_was (void **state)
{
    (void) state;
    for (unsigned command = 1; command < RP_COMMAND_COUNT; command++) {
        rp_head_t sent = s_full (command);
        size_t size;
        uint8_t *bytes = s_encode (&sent, &size);
        rp_head_t got;
        assert_int_equal (rp_wire_decode (&got, bytes, size), RP_WIRE_ERROR_NONE);
        assert_int_equal (got.size, size);
        assert_int_equal (got.command, sent.command);
        assert_int_equal (got.flags, sent.flags);
        assert_true (got.id == sent.id && got.conversation == sent.conversation);
        assert_true (got.time == sent.time && got.value == sent.value && got.code == sent.code);
        assert_true (got.status == sent.status && got.priority == 0);
        assert_true (got.attempt == sent.attempt && got.attempts == sent.attempts);
        assert_int_equal (got.name_size, sent.name_size);
        assert_int_equal (got.key_size, sent.key_size);
        assert_int_equal (got.text_size, sent.text_size);
        assert_int_equal (got.headers_size, sent.headers_size);
        if (sent.name_size)
            assert_memory_equal (got.name, sent.name, sent.name_size);
        if (sent.key_size)
            assert_memory_equal (got.key, sent.key, sent.key_size);
        if (sent.text_size)
            assert_memory_equal (got.text, sent.text, sent.text_size);
        if (sent.headers_size)
            assert_memory_equal (got.headers, sent.headers, sent.headers_size);
        free (bytes);
    }
}

static void s_the_layout_is_the_documented_one (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    static const uint8_t expected[] = {0x52, 0x50, 1, 3, 0, 59, 0, 0x15, 1, 2, 3, 4, 5, 6, 7, 8,
      0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 1, 2, 3, 4, 0, 0x11, 0x22, 0x33, 0, 2, 3, 0,
      5, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 'u', 'p', 'p', 'e', 'r', 1, 'k', 0, 2, 'v', 'w'};
    size_t size;
    uint8_t *bytes = s_encode (&head, &size);
    assert_int_equal (size, sizeof expected);
    assert_memory_equal (bytes, expected, sizeof expected);
    free (bytes);
    head = s_full (RP_COMMAND_REPLY);
    bytes = s_encode (&head, &size);
    assert_memory_equal (bytes + 44, "\xde\xad\xbe\xef", 4);
    assert_int_equal (bytes[32], RP_APP_ERROR);
    assert_int_equal (bytes[39], 6);
    free (bytes);
}

static void s_a_head_that_is_cut_is_refused_at_every_length (void **state)
{
    (void) state;
    for (unsigned command = 1; command < RP_COMMAND_COUNT; command++) {
        rp_head_t head = s_full (command);
        size_t size;
        uint8_t *bytes = s_encode (&head, &size);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal (
              s_decode (bytes, cut), cut < 2 ? RP_WIRE_ERROR_NOT_NATIVE : RP_WIRE_ERROR_TRUNCATED);
        free (bytes);
    }
}

static void s_bytes_behind_the_head_need_the_inline_flag (void **state)
{
    (void) state;
    uint8_t bytes[RP_WIRE_FIXED + 16];
    rp_head_t head = {.command = RP_COMMAND_HEARTBEAT};
    assert_int_equal (rp_wire_encode (&head, bytes, sizeof bytes), RP_WIRE_FIXED);
    assert_int_equal (s_decode (bytes, RP_WIRE_FIXED + 1), RP_WIRE_ERROR_SIZES);
    head = (rp_head_t){.command = RP_COMMAND_REPLY, .id = 1, .flags = RP_FLAG_INLINE};
    assert_int_equal (rp_wire_encode (&head, bytes, sizeof bytes), RP_WIRE_FIXED);
    assert_int_equal (s_decode (bytes, RP_WIRE_FIXED), RP_WIRE_ERROR_NONE);
    assert_int_equal (s_decode (bytes, RP_WIRE_FIXED + 16), RP_WIRE_ERROR_NONE);
}

static void s_other_protocols_and_versions_are_told_apart (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    size_t size;
    uint8_t *bytes = s_encode (&head, &size);
    bytes[2] = 2;
    assert_int_equal (s_decode (bytes, size), RP_WIRE_ERROR_VERSION);
    assert_int_equal (s_decode (bytes, 4), RP_WIRE_ERROR_VERSION);
    bytes[2] = 1;
    bytes[3] = 0;
    assert_int_equal (s_decode (bytes, size), RP_WIRE_ERROR_COMMAND);
    bytes[3] = RP_COMMAND_COUNT;
    assert_int_equal (s_decode (bytes, size), RP_WIRE_ERROR_COMMAND);
    bytes[1] = 'Q';
    assert_int_equal (s_decode (bytes, size), RP_WIRE_ERROR_NOT_NATIVE);
    assert_int_equal (s_decode ((const uint8_t *) "MDPC01", 6), RP_WIRE_ERROR_NOT_NATIVE);
    assert_int_equal (s_decode (NULL, 0), RP_WIRE_ERROR_NOT_NATIVE);
    free (bytes);
}

static void s_sizes_that_do_not_add_up_are_refused (void **state)
{
    (void) state;
    static const size_t places[] = {5, 36, 37, 39, 41};
    for (size_t index = 0; index < sizeof places / sizeof *places; index++)
        for (int step = -1; step <= 1; step += 2) {
            rp_head_t head = s_full (RP_COMMAND_REPLY);
            head.flags |= RP_FLAG_INLINE;
            uint8_t bytes[200] = {0};
            size_t size = rp_wire_encode (&head, bytes, sizeof bytes);
            bytes[places[index]] = (uint8_t) (bytes[places[index]] + step);
            assert_int_not_equal (s_decode (bytes, size + 20), RP_WIRE_ERROR_NONE);
        }
}

/*  Sets one field of a command and says whether that is allowed.  */
typedef void (s_set_fn) (rp_head_t *head);
static void s_set_id (rp_head_t *head)
{
    head->id = 1;
}
static void s_set_conversation (rp_head_t *head)
{
    head->conversation = 1;
}
static void s_set_time (rp_head_t *head)
{
    head->time = 1;
}
static void s_set_value (rp_head_t *head)
{
    head->value = 1;
}
static void s_set_status (rp_head_t *head)
{
    head->status = 1;
}
static void s_set_attempt (rp_head_t *head)
{
    head->attempt = 1;
}
static void s_set_attempts (rp_head_t *head)
{
    head->attempts = 1;
}
static void s_set_priority (rp_head_t *head)
{
    head->priority = 1;
}
static void s_set_name (rp_head_t *head)
{
    head->name = "n";
    head->name_size = 1;
}
static void s_set_key (rp_head_t *head)
{
    head->key = "k";
    head->key_size = 1;
}
static void s_set_text (rp_head_t *head)
{
    head->text = "t";
    head->text_size = 1;
}
static void s_set_headers (rp_head_t *head)
{
    head->headers = (const uint8_t *) "\x01k\0\0";
    head->headers_size = 4;
}
static void s_set_code (rp_head_t *head)
{
    head->code = 1;
}

static void s_a_field_that_a_command_does_not_have_is_refused (void **state)
{
    (void) state;
    // One row per field, one column per command: HELLO WELCOME REQUEST REPLY CANCEL CREDIT
    // HEARTBEAT DRAIN BYE END ACCEPTED PART GRANT.
    static const struct {
        s_set_fn *set;
        const char *allowed;
    } rows[] = {
      {s_set_id, "..xxx.....xxx"},
      {s_set_conversation, "..xx.....xx.x"},
      {s_set_time, "xxxx.xx......"},
      {s_set_value, "xxxx.x......."},
      {s_set_status, "...x....x...."},
      {s_set_attempt, "..xx........."},
      {s_set_attempts, "..x.........."},
      {s_set_priority, "..x.........."},
      {s_set_name, "x.x.........."},
      {s_set_key, "xx..........."},
      {s_set_text, "...x....x...."},
      {s_set_headers, "xxxx......x.."},
      {s_set_code, "...x........."},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (unsigned command = 1; command < RP_COMMAND_COUNT; command++) {
            rp_head_t head = s_full (command);
            rows[row].set (&head);
            bool allowed = rows[row].allowed[command - 1] == 'x';
            assert_int_equal (s_round (&head), allowed ? RP_WIRE_ERROR_NONE : RP_WIRE_ERROR_FIELD);
        }
}

static void s_a_flag_that_a_command_does_not_have_is_refused (void **state)
{
    (void) state;
    static const uint16_t allowed[RP_COMMAND_COUNT] = {
      [RP_COMMAND_HELLO] = RP_FLAG_WORKER | RP_FLAG_BUNDLES,
      [RP_COMMAND_WELCOME] = RP_FLAG_BUNDLES,
      [RP_COMMAND_REQUEST] = RP_FLAG_INLINE | RP_FLAG_OPEN | RP_FLAG_TRACE | RP_FLAG_MORE
                             | RP_FLAG_DURABLE | RP_FLAG_KEYED | RP_FLAG_STREAM | RP_FLAG_HEDGE
                             | RP_FLAG_ALL,
      [RP_COMMAND_REPLY] = RP_FLAG_INLINE | RP_FLAG_LAST | RP_FLAG_MORE | RP_FLAG_REPLAYED,
      [RP_COMMAND_PART] = RP_FLAG_INLINE | RP_FLAG_MORE};
    for (unsigned command = 1; command < RP_COMMAND_COUNT; command++)
        for (unsigned bit = 0; bit < 16; bit++) {
            rp_head_t head = s_full (command);
            head.flags |= (uint16_t) (1u << bit);
            // not in a conversation
            if (head.flags & (RP_FLAG_DURABLE | RP_FLAG_KEYED | RP_FLAG_HEDGE | RP_FLAG_ALL)) {
                head.conversation = 0;
                head.flags &= (uint16_t) ~RP_FLAG_OPEN;
            }
            assert_int_equal (s_round (&head),
              allowed[command] & 1u << bit ? RP_WIRE_ERROR_NONE : RP_WIRE_ERROR_FLAGS);
        }
}

static void s_reserved_bytes_are_zero (void **state)
{
    (void) state;
    rp_head_t head = {.command = RP_COMMAND_DRAIN};
    size_t size;
    uint8_t *bytes = s_encode (&head, &size);
    bytes[42] = 1;
    assert_int_equal (s_decode (bytes, size), RP_WIRE_ERROR_FIELD);
    bytes[42] = 0;
    bytes[43] = 1;
    assert_int_equal (s_decode (bytes, size), RP_WIRE_ERROR_FIELD);
    free (bytes);
}

static void s_what_the_broker_keeps_has_no_body_in_parts (void **state)
{
    (void) state;
    static const uint16_t kept[] = {RP_FLAG_DURABLE, RP_FLAG_KEYED};
    static const uint16_t parted[] = {RP_FLAG_STREAM, RP_FLAG_MORE};
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    head.flags = RP_FLAG_OPEN | RP_FLAG_STREAM | RP_FLAG_MORE; // a conversation may have them
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    head.conversation = 0;
    for (size_t index = 0; index < 4; index++) {
        head.flags = parted[index / 2];
        assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
        head.flags |= kept[index % 2];
        assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    }
}

static void s_numbers_out_of_their_range_are_refused (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    head.attempts = RP_ATTEMPTS_MAX;
    head.deadline_ms = RP_DEADLINE_MAX_MS;
    head.wait_ms = RP_DEADLINE_MAX_MS;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    head.attempts++;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head.attempts = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head.attempts = 1;
    head.deadline_ms++;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head.deadline_ms--;
    head.wait_ms++;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head.wait_ms--;
    head.conversation = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD); // OPEN without a conversation
    head.flags = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    head.id = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);

    static const uint8_t with_id[] = {
      RP_COMMAND_REPLY, RP_COMMAND_CANCEL, RP_COMMAND_PART, RP_COMMAND_GRANT};
    for (size_t index = 0; index < sizeof with_id; index++) {
        head = s_full (with_id[index]);
        head.id = 0;
        assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    }
    head = (rp_head_t){.command = RP_COMMAND_END};
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head = (rp_head_t){.command = RP_COMMAND_ACCEPTED, .id = 5};
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head = (rp_head_t){.command = RP_COMMAND_GRANT, .id = 5}; // nothing granted
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head = (rp_head_t){.command = RP_COMMAND_ACCEPTED, .job = 6};
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head = s_full (RP_COMMAND_REQUEST);
    head.attempts = 1;
    head.flags = RP_FLAG_DURABLE;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD); // in a conversation
    head.flags = RP_FLAG_KEYED;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    head.conversation = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    static const uint8_t with_status[] = {RP_COMMAND_REPLY, RP_COMMAND_BYE};
    for (size_t index = 0; index < 2; index++) {
        head = s_full (with_status[index]);
        head.status = RP_STATUS_LAST;
        assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
        head.status = RP_STATUS_LAST + 1;
        assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
    }
    head = (rp_head_t){.command = RP_COMMAND_HELLO, .window = 1};
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD); // a client has no window
}

static void s_names_and_texts_have_no_control_characters (void **state)
{
    (void) state;
    for (unsigned c = 0; c < 256; c++) {
        char byte[] = {'a', (char) c, 'b'};
        bool control = c < 32 || c == 127;
        rp_head_t head = s_full (RP_COMMAND_REQUEST);
        head.name = byte;
        head.name_size = 3;
        assert_int_equal (s_round (&head), control ? RP_WIRE_ERROR_NAME : RP_WIRE_ERROR_NONE);
        head = s_full (RP_COMMAND_HELLO);
        head.name = byte;
        head.name_size = 3;
        assert_int_equal (s_round (&head), control ? RP_WIRE_ERROR_NAME : RP_WIRE_ERROR_NONE);
        control = control && c != '\t';
        head = s_full (RP_COMMAND_REPLY);
        head.text = byte;
        head.text_size = 3;
        assert_int_equal (s_round (&head), control ? RP_WIRE_ERROR_NAME : RP_WIRE_ERROR_NONE);
        head = s_full (RP_COMMAND_BYE);
        head.text = byte;
        head.text_size = 3;
        assert_int_equal (s_round (&head), control ? RP_WIRE_ERROR_NAME : RP_WIRE_ERROR_NONE);
    }
}

static void s_names_are_there_where_they_must_and_no_longer_than_they_may (void **state)
{
    (void) state;
    char long_name[256];
    memset (long_name, 'x', sizeof long_name);
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    head.name_size = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NAME);
    head.name = long_name;
    head.name_size = 127;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    head.name_size = 128;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_SIZES);
    head = s_full (RP_COMMAND_HELLO);
    head.flags = 0;
    head.window = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NAME); // a client offers no service
    head = s_full (RP_COMMAND_HELLO);
    head.name_size = 0;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NAME);
    head = s_full (RP_COMMAND_HELLO);
    head.key = long_name;
    head.key_size = RP_PEER_NAME_MAX;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    head.key_size++;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NAME);
}

static void s_headers_are_looked_through (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REPLY);
    head.headers = (const uint8_t *) "\x01K\0\0";
    head.headers_size = 4;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_HEADERS);
}

static void s_the_largest_head_fits_and_a_larger_one_does_not (void **state)
{
    (void) state;
    static uint8_t headers[RP_WIRE_HEADERS_MAX];
    static char text[RP_WIRE_TEXT_MAX + 1];
    memset (text, 't', sizeof text);
    // Two headers that fill the block to its last byte.
    static const size_t value = 4096;
    for (size_t at = 0, index = 0; index < 2; index++) {
        size_t size = index ? RP_WIRE_HEADERS_MAX - at - 4 : value;
        headers[at] = 1;
        headers[at + 1] = 'k';
        headers[at + 2] = (uint8_t) (size >> 8);
        headers[at + 3] = (uint8_t) size;
        memset (headers + at + 4, 'v', size);
        at += 4 + size;
    }
    rp_head_t head = {.command = RP_COMMAND_REPLY,
      .id = 1,
      .text = text,
      .text_size = RP_WIRE_TEXT_MAX,
      .headers = headers,
      .headers_size = RP_WIRE_HEADERS_MAX};
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    head.text_size++;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_SIZES);
}

static void s_encoding_into_too_little_room_writes_nothing (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_HELLO);
    uint8_t bytes[200] = {0};
    for (size_t room = 0; room < rp_wire_size (&head); room++)
        assert_int_equal (rp_wire_encode (&head, bytes, room), 0);
    for (size_t index = 0; index < sizeof bytes; index++)
        assert_int_equal (bytes[index], 0);
}

static void s_patching_changes_what_it_says_and_nothing_else (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REPLY);
    size_t size;
    uint8_t *bytes = s_encode (&head, &size);
    rp_head_t patch = {.command = RP_COMMAND_END, // not patched
      .flags = RP_FLAG_LAST,
      .id = 0xa1a2a3a4a5a6a7a8u,
      .time = 0xb1b2b3b4,
      .value = 0xc1c2c3c4,
      .status = RP_OK,
      .attempt = 9,
      .code = 1};
    rp_wire_patch (bytes, &patch);
    rp_head_t got;
    assert_int_equal (rp_wire_decode (&got, bytes, size), RP_WIRE_ERROR_NONE);
    assert_int_equal (got.command, RP_COMMAND_REPLY);
    assert_int_equal (got.flags, RP_FLAG_LAST);
    assert_true (got.id == patch.id && got.time == patch.time && got.value == patch.value);
    assert_true (got.status == RP_OK && got.attempt == 9 && got.attempts == 0);
    assert_true (got.code == 0xdeadbeef);
    assert_memory_equal (got.text, head.text, head.text_size);
    free (bytes);
}

static void s_a_priority_is_0_to_9_or_none (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    head.priority = 0;
    assert_int_equal (rp_wire_priority (&head), RP_PRIORITY_DEFAULT);
    for (unsigned priority = 0; priority <= RP_PRIORITY_MAX; priority++) {
        head.priority = rp_wire_stated_priority (priority);
        assert_int_equal (rp_wire_priority (&head), priority);
        assert_int_equal (s_round (&head), RP_WIRE_ERROR_NONE);
    }
    assert_int_equal (rp_wire_stated_priority (RP_PRIORITY_DEFAULT), 0);
    head.priority = RP_PRIORITY_MAX + 2;
    assert_int_equal (s_round (&head), RP_WIRE_ERROR_FIELD);
}

static void s_patching_takes_the_priority_out (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    head.priority = RP_PRIORITY_MAX + 1;
    size_t size;
    uint8_t *bytes = s_encode (&head, &size);
    rp_head_t got, patch = head;
    patch.priority = 0;
    rp_wire_patch (bytes, &patch);
    assert_int_equal (rp_wire_decode (&got, bytes, size), RP_WIRE_ERROR_NONE);
    assert_true (got.priority == 0 && got.attempts == head.attempts);
    free (bytes);
}

static void s_what_was_understood_of_a_bad_head_is_told (void **state)
{
    (void) state;
    rp_head_t head = s_full (RP_COMMAND_REQUEST);
    head.attempts = 99;
    size_t size;
    uint8_t *bytes = s_encode (&head, &size);
    rp_head_t got;
    assert_int_equal (rp_wire_decode (&got, bytes, size), RP_WIRE_ERROR_FIELD);
    assert_int_equal (got.command, RP_COMMAND_REQUEST);
    assert_true (got.id == head.id);
    bytes[3] = 99;
    assert_int_equal (rp_wire_decode (&got, bytes, size), RP_WIRE_ERROR_COMMAND);
    assert_true (got.command == 0 && got.id == 0);
    free (bytes);
}

static void s_names_for_people_exist_for_everything (void **state)
{
    (void) state;
    for (int command = 1; command < RP_COMMAND_COUNT; command++)
        assert_string_not_equal (rp_command_name (command), "?");
    assert_string_equal (rp_command_name (RP_COMMAND_HEARTBEAT), "HEARTBEAT");
    assert_string_equal (rp_command_name (0), "?");
    assert_string_equal (rp_command_name (RP_COMMAND_COUNT), "?");
    assert_string_equal (rp_command_name (-1), "?");
    for (unsigned error = 0; error < RP_WIRE_ERROR_COUNT; error++)
        assert_true (strlen (rp_wire_error_text ((rp_wire_error_t) error)) > 5);
    assert_string_equal (rp_wire_error_text (RP_WIRE_ERROR_COUNT), "?");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_every_command_comes_back_as_it_was),
      cmocka_unit_test (s_the_layout_is_the_documented_one),
      cmocka_unit_test (s_a_head_that_is_cut_is_refused_at_every_length),
      cmocka_unit_test (s_bytes_behind_the_head_need_the_inline_flag),
      cmocka_unit_test (s_other_protocols_and_versions_are_told_apart),
      cmocka_unit_test (s_sizes_that_do_not_add_up_are_refused),
      cmocka_unit_test (s_a_field_that_a_command_does_not_have_is_refused),
      cmocka_unit_test (s_a_flag_that_a_command_does_not_have_is_refused),
      cmocka_unit_test (s_reserved_bytes_are_zero),
      cmocka_unit_test (s_what_the_broker_keeps_has_no_body_in_parts),
      cmocka_unit_test (s_numbers_out_of_their_range_are_refused),
      cmocka_unit_test (s_names_and_texts_have_no_control_characters),
      cmocka_unit_test (s_names_are_there_where_they_must_and_no_longer_than_they_may),
      cmocka_unit_test (s_headers_are_looked_through),
      cmocka_unit_test (s_the_largest_head_fits_and_a_larger_one_does_not),
      cmocka_unit_test (s_encoding_into_too_little_room_writes_nothing),
      cmocka_unit_test (s_patching_changes_what_it_says_and_nothing_else),
      cmocka_unit_test (s_a_priority_is_0_to_9_or_none),
      cmocka_unit_test (s_patching_takes_the_priority_out),
      cmocka_unit_test (s_what_was_understood_of_a_bad_head_is_told),
      cmocka_unit_test (s_names_for_people_exist_for_everything),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
