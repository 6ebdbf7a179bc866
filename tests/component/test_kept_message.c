/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/kept_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static rp_message_pool_t s_pool = {.largest = 10};

/*  Makes a message of these frames, and reads it back: it has to be one that a peer takes, with the same frames.  */
static void s_make_and_read (const rp_store_span_t *frames, size_t count)
{
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 1,
      .attempts = 1,
      .deadline_ms = 1000,
      .name = "upper",
      .name_size = 5};
    rp_message_t *message = rp_kept_message (&s_pool, &head, frames, count);
    assert_non_null (message);
    assert_true (message->count <= RP_FRAMES_MAX);
    rp_head_t read;
    assert_true (rp_kept_read (&s_pool, message, &read));
    assert_int_equal (read.id, 1);
    rp_store_span_t again[RP_FRAMES_MAX];
    assert_int_equal (rp_kept_frames (message, &read, again), count);
    size_t bytes = read.size;
    for (size_t index = 0; index < count; index++) {
        assert_int_equal (again[index].size, frames[index].size);
        assert_memory_equal (again[index].data, frames[index].data, frames[index].size);
        bytes += frames[index].size;
    }
    assert_int_equal (message->bytes, bytes);
    rp_message_destroy (&s_pool, &message);
}

static void s_the_frames_of_a_body_come_back (void **state)
{
    (void) state;
    static const char large[RP_INLINE_MAX + 1] = "large";
    const rp_store_span_t small = {"x", 1}, most = {large, RP_INLINE_MAX},
                          more = {large, sizeof large};
    s_make_and_read (NULL, 0);
    s_make_and_read (&small, 1);
    s_make_and_read (&most, 1);
    s_make_and_read (&more, 1);
    s_make_and_read ((rp_store_span_t[]){small, more, small}, 3);
    s_make_and_read ((rp_store_span_t[]){more, small, more}, 3);
}

/*  A peer sends one with a large frame behind its head: no frame is left for the head alone.  */
static void s_a_body_of_the_most_frames_makes_no_message_with_more (void **state)
{
    (void) state;
    static const char large[RP_INLINE_MAX + 1] = "large";
    rp_store_span_t frames[RP_FRAMES_MAX];
    for (size_t index = 0; index < RP_FRAMES_MAX; index++)
        frames[index] = (rp_store_span_t){"x", 1};
    s_make_and_read (frames, RP_FRAMES_MAX);
    frames[0] = (rp_store_span_t){large, sizeof large};
    s_make_and_read (frames, RP_FRAMES_MAX);
    s_make_and_read (frames, RP_FRAMES_MAX - 1);
}

/*  As many as a peer may send, all empty, take kilobytes.  */
static void s_frames_count_beside_their_bytes (void **state)
{
    (void) state;
    rp_store_span_t frames[RP_FRAMES_MAX];
    for (size_t index = 0; index < RP_FRAMES_MAX; index++)
        frames[index] = (rp_store_span_t){"", 0};
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = 1};
    rp_message_t *message = rp_kept_message (&s_pool, &head, frames, 1);
    assert_non_null (message);
    assert_int_equal (rp_kept_bytes (message), message->bytes);
    rp_message_destroy (&s_pool, &message);
    message = rp_kept_message (&s_pool, &head, frames, RP_FRAMES_MAX);
    assert_non_null (message);
    assert_true (rp_kept_bytes (message) >= (RP_FRAMES_MAX - 1) * sizeof (zmq_msg_t));
    rp_message_destroy (&s_pool, &message);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_the_frames_of_a_body_come_back),
      cmocka_unit_test (s_a_body_of_the_most_frames_makes_no_message_with_more),
      cmocka_unit_test (s_frames_count_beside_their_bytes),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    rp_message_pool_clear (&s_pool);
    return failed;
}
