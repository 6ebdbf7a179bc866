/*  SPDX-License-Identifier: MPL-2.0

    Flow control of a body in parts: reader and writer against each other.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/flow.h"

/*  A body between a writer and a reader that have the same window.  */
typedef struct {
    rp_flow_writer_t writer;
    rp_flow_reader_t reader;
} s_body_t;

static s_body_t s_begin (uint64_t window)
{
    s_body_t self = {0};
    rp_flow_begin (&self.reader, window, window);
    assert_true (rp_flow_granted (&self.writer, self.reader.granted));
    return self;
}

/*  Writes one piece of size bytes, which arrives. Returns its bytes.  */
static size_t s_write (s_body_t *self, size_t size)
{
    size_t piece = rp_flow_piece (&self->writer, size, 0);
    if (piece == 0)
        return 0;
    rp_flow_wrote (&self->writer, piece);
    assert_true (rp_flow_came (&self->reader, piece, 0));
    return piece;
}

static void s_take (s_body_t *self, size_t size)
{
    if (rp_flow_took (&self->reader, size, 0))
        assert_true (rp_flow_granted (&self->writer, self->reader.granted));
}

static void a_writer_stops_when_the_window_is_full (void **state)
{
    (void) state;
    s_body_t body = s_begin (1000);
    size_t written = 0;
    for (size_t piece; (piece = s_write (&body, 100)) > 0; written += piece)
        ;
    assert_int_equal (written, 600); // six parts of 164
    assert_int_equal (rp_flow_room (&body.writer), 0);
}

static void a_writer_goes_on_when_half_of_the_window_was_taken (void **state)
{
    (void) state;
    s_body_t body = s_begin (1000);
    while (s_write (&body, 100))
        ;
    s_take (&body, 100);
    s_take (&body, 100);
    s_take (&body, 100);
    assert_int_equal (s_write (&body, 100), 0);
    s_take (&body, 100); // 656 of 1000
    assert_int_equal (body.reader.granted, 1656);
    assert_int_equal (s_write (&body, 100), 100);
}

static void empty_parts_are_bounded_too (void **state)
{
    (void) state;
    rp_flow_reader_t reader;
    rp_flow_begin (&reader, 1000, 1000);
    for (int part = 0; part < 15; part++)
        assert_true (rp_flow_came (&reader, 0, 0));
    assert_false (rp_flow_came (&reader, 0, 0));
}

static void a_part_beyond_the_grant_is_noticed (void **state)
{
    (void) state;
    rp_flow_reader_t reader;
    rp_flow_begin (&reader, 1000, 1000);
    assert_true (rp_flow_came (&reader, 936, 0));
    assert_false (rp_flow_came (&reader, 0, 0));
}

static void a_grant_is_never_taken_back (void **state)
{
    (void) state;
    s_body_t body = s_begin (1000);
    assert_false (rp_flow_granted (&body.writer, 999));
    assert_false (rp_flow_granted (&body.writer, 1000));
    assert_int_equal (rp_flow_room (&body.writer), 936);
}

static void a_long_write_is_cut_at_half_of_the_window_and_at_the_largest_body (void **state)
{
    (void) state;
    s_body_t body = s_begin (1000);
    assert_int_equal (rp_flow_piece (&body.writer, 5000, 0), 436);
    assert_int_equal (rp_flow_piece (&body.writer, 436, 0), 436);
    assert_int_equal (rp_flow_piece (&body.writer, 5000, 50), 50);
}

/*  Whatever the window and the writes: a reader that takes everything lets everything through.  */
static void a_writer_and_a_reader_are_never_stuck (void **state)
{
    (void) state;
    static const uint64_t windows[] = {
      RP_STREAM_WINDOW_MIN, 66, 100, 127, 128, 129, 191, 192, 1000, 65536};
    for (size_t index = 0; index < sizeof windows / sizeof *windows; index++)
        for (size_t size = 1; size < 3000; size = size * 3 / 2 + 1) {
            s_body_t body = s_begin (windows[index]);
            size_t left = 3000;
            size_t unread[64];
            size_t count = 0;
            while (left > 0) {
                size_t piece = s_write (&body, size < left ? size : left);
                left -= piece;
                if (piece > 0 && count < 64) {
                    unread[count++] = piece;
                    if (count < 64)
                        continue;
                }
                assert_true (count > 0); // otherwise both wait for each other
                for (size_t part = 0; part < count; part++)
                    s_take (&body, unread[part]);
                count = 0;
            }
        }
}

/*  ---- A window that grows ---------------------------------------------------------------------- */

#define S_WINDOW 65536u
#define S_MOST 1048576u
#define S_PIECE 4000u
#define S_STEPS 4000 /* of a ms each */

/*  A way on which parts and grants take a while, ms, between a writer and a reader that take their time: so many parts
    in a ms at most.  */
typedef struct {
    int delay;
    int written;
    int taken;
    int taken_every; /* ms */
} s_way_t;

/*  Returns the window that the reader has in the end.  */
static uint64_t s_window_after (s_way_t way, uint64_t most)
{
    static int parts[S_STEPS + 100];       /* that arrive in each ms */
    static uint64_t grants[S_STEPS + 100]; /* likewise */
    memset (parts, 0, sizeof parts);
    memset (grants, 0, sizeof grants);
    s_body_t body = {0};
    rp_flow_begin (&body.reader, S_WINDOW, most);
    rp_flow_granted (&body.writer, S_WINDOW);
    int unread = 0;
    for (int ms = 0; ms < S_STEPS; ms++) {
        int64_t now = ms * INT64_C (1000);
        if (grants[ms])
            rp_flow_granted (&body.writer, grants[ms]);
        for (int part = 0; part < way.written && rp_flow_piece (&body.writer, S_PIECE, 0); part++) {
            rp_flow_wrote (&body.writer, S_PIECE);
            parts[ms + way.delay]++;
        }
        bool takes = ms % way.taken_every == 0;
        for (int part = 0; part < parts[ms]; part++, unread++)
            assert_true (rp_flow_came (&body.reader, S_PIECE, now));
        for (int part = 0; takes && part < way.taken && unread > 0; part++, unread--)
            if (rp_flow_took (&body.reader, S_PIECE, now))
                grants[ms + way.delay] = body.reader.granted;
        assert_true (body.reader.window <= most);
        assert_true (body.reader.granted <= body.reader.taken + most);
    }
    return body.reader.window;
}

static void a_window_that_is_too_small_for_the_way_grows_to_its_bound (void **state)
{
    (void) state;
    s_way_t far = {.delay = 10, .written = 1000, .taken = 1000, .taken_every = 1};
    assert_int_equal (s_window_after (far, S_MOST), S_MOST);
    assert_int_equal (s_window_after (far, 100000), 100000);
    assert_int_equal (s_window_after (far, S_WINDOW), S_WINDOW);
}

/*  4 MB a second over 20 ms need 80 kB.  */
static void it_grows_no_further_than_the_writer_needs (void **state)
{
    (void) state;
    s_way_t far = {.delay = 10, .written = 1, .taken = 1000, .taken_every = 1};
    assert_in_range (s_window_after (far, S_MOST), 80000, 4 * S_WINDOW);
    s_way_t near = {.delay = 1, .written = 1, .taken = 1000, .taken_every = 1};
    assert_in_range (s_window_after (near, S_MOST), S_WINDOW, 2 * S_WINDOW);
}

static void a_slow_reader_does_not_let_it_grow (void **state)
{
    (void) state;
    s_way_t far = {.delay = 10, .written = 1000, .taken = 1, .taken_every = 10};
    assert_int_equal (s_window_after (far, S_MOST), S_WINDOW);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_writer_stops_when_the_window_is_full),
      cmocka_unit_test (a_writer_goes_on_when_half_of_the_window_was_taken),
      cmocka_unit_test (empty_parts_are_bounded_too),
      cmocka_unit_test (a_part_beyond_the_grant_is_noticed),
      cmocka_unit_test (a_grant_is_never_taken_back),
      cmocka_unit_test (a_long_write_is_cut_at_half_of_the_window_and_at_the_largest_body),
      cmocka_unit_test (a_writer_and_a_reader_are_never_stuck),
      cmocka_unit_test (a_window_that_is_too_small_for_the_way_grows_to_its_bound),
      cmocka_unit_test (it_grows_no_further_than_the_writer_needs),
      cmocka_unit_test (a_slow_reader_does_not_let_it_grow),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
