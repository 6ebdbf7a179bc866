/*  When a batch of spans is sent, sent again, and given up; and what the queue before it has room for.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/admin/span_batches.h"
#include "broker/admin/span_queue.h"
#include "broker/core/trace_log.h"

#define S_NOW INT64_C (1000000000)
#define S_SECOND INT64_C (1000000)

static rp_span_batches_t s_batches (uint32_t spans)
{
    rp_span_batches_t self;
    rp_span_batches_init (&self);
    if (spans)
        rp_span_batches_add (&self, spans, S_NOW);
    return self;
}

/*  random: the longest pause.  */
static rp_span_fate_t s_sent (
  rp_span_batches_t *self, rp_span_result_t result, int64_t now, rp_span_news_t expected)
{
    rp_span_news_t news;
    rp_span_fate_t fate = rp_span_batches_sent (self, result, 0, now, 0, &news);
    assert_int_equal (news, expected);
    return fate;
}

static void s_a_batch_is_sent_when_it_is_a_second_old (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (0);
    assert_int_equal (rp_span_batches_due (&self), INT64_MAX);
    rp_span_batches_add (&self, 2, S_NOW);
    rp_span_batches_add (&self, 2, S_NOW + 5000);
    assert_int_equal (rp_span_batches_due (&self), S_NOW + S_SECOND);
}

static void s_a_batch_that_has_no_room_is_sent_at_once (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (0);
    uint32_t spans = 0;
    for (; rp_span_batches_has_room (&self); spans += RP_SPAN_REQUEST_MAX)
        rp_span_batches_add (&self, RP_SPAN_REQUEST_MAX, S_NOW);
    assert_in_range (spans, RP_SPAN_BATCH_MAX - RP_SPAN_REQUEST_MAX + 1, RP_SPAN_BATCH_MAX);
    assert_true (rp_span_batches_due (&self) <= S_NOW);
}

static void s_a_batch_that_was_taken_makes_way_for_the_next (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (2);
    assert_int_equal (s_sent (&self, RP_SPAN_TAKEN, S_NOW, RP_SPAN_NO_NEWS), RP_SPAN_LET_GO);
    rp_span_batches_begin (&self);
    assert_int_equal (rp_span_batches_due (&self), INT64_MAX);
    assert_true (rp_span_batches_has_room (&self));
    rp_span_batches_add (&self, 2, S_NOW + S_SECOND);
    assert_int_equal (rp_span_batches_due (&self), S_NOW + 2 * S_SECOND);
}

static void s_a_batch_is_sent_again_after_pauses_that_grow (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (2);
    int64_t now = S_NOW, before = 0;
    for (int failure = 0; failure < 12; failure++) {
        rp_span_news_t news = failure ? RP_SPAN_NO_NEWS : RP_SPAN_FAILS;
        assert_int_equal (s_sent (&self, RP_SPAN_AGAIN, now, news), RP_SPAN_KEEP);
        assert_false (rp_span_batches_has_room (&self)); // what was sent is sent again as it is
        int64_t pause = rp_span_batches_due (&self) - now;
        assert_in_range (pause, RP_SPAN_PAUSE_US / 2, RP_SPAN_PAUSE_MAX_US);
        assert_true (pause >= before);
        before = pause;
        now += pause;
    }
    assert_true (before >= RP_SPAN_PAUSE_MAX_US / 2);
    assert_int_equal (s_sent (&self, RP_SPAN_TAKEN, now, RP_SPAN_WORKS_AGAIN), RP_SPAN_LET_GO);
}

static void s_a_collector_may_ask_for_a_longer_pause_up_to_a_limit (void **state)
{
    (void) state;
    rp_span_news_t news;
    rp_span_batches_t self = s_batches (2);
    rp_span_batches_sent (&self, RP_SPAN_AGAIN, 7 * S_SECOND, S_NOW, 0, &news);
    assert_int_equal (rp_span_batches_due (&self), S_NOW + 7 * S_SECOND);
    rp_span_batches_sent (&self, RP_SPAN_AGAIN, 86400 * S_SECOND, S_NOW, 0, &news);
    assert_int_equal (rp_span_batches_due (&self), S_NOW + RP_SPAN_PAUSE_MAX_US);
}

static void s_a_batch_that_was_refused_is_not_sent_again_and_the_next_waits (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (2);
    assert_int_equal (s_sent (&self, RP_SPAN_REFUSED, S_NOW, RP_SPAN_FAILS), RP_SPAN_LET_GO);
    rp_span_batches_begin (&self);
    rp_span_batches_add (&self, 2, S_NOW - 2 * S_SECOND);
    assert_true (rp_span_batches_due (&self) > S_NOW);
}

static void s_only_in_a_pause_a_batch_makes_room_for_a_queue_that_is_full (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (2);
    assert_false (rp_span_batches_must_yield (&self, true, S_NOW));
    s_sent (&self, RP_SPAN_AGAIN, S_NOW, RP_SPAN_FAILS);
    assert_false (rp_span_batches_must_yield (&self, false, S_NOW + 1));
    assert_true (rp_span_batches_must_yield (&self, true, S_NOW + 1));
    int64_t due = rp_span_batches_due (&self);
    rp_span_batches_begin (&self);
    assert_false (rp_span_batches_must_yield (&self, true, S_NOW + 1)); // there is none
    rp_span_batches_add (&self, 2, S_NOW + 1);
    assert_int_equal (
      rp_span_batches_due (&self), due > S_NOW + 1 + S_SECOND ? due : S_NOW + 1 + S_SECOND);
    assert_false (rp_span_batches_must_yield (&self, true, due));
}

static void s_at_the_end_all_is_sent_at_once_and_nothing_twice (void **state)
{
    (void) state;
    rp_span_batches_t self = s_batches (2);
    assert_false (rp_span_batches_is_over (&self, true, S_NOW));
    rp_span_batches_end (&self, S_NOW);
    assert_true (rp_span_batches_due (&self) <= S_NOW);
    assert_false (rp_span_batches_is_over (&self, true, S_NOW));
    assert_int_equal (s_sent (&self, RP_SPAN_AGAIN, S_NOW, RP_SPAN_FAILS), RP_SPAN_LET_GO);
    rp_span_batches_begin (&self);
    assert_false (rp_span_batches_is_over (&self, false, S_NOW));
    assert_true (rp_span_batches_is_over (&self, true, S_NOW));
    assert_true (rp_span_batches_is_over (&self, false, S_NOW + RP_SPAN_END_US));
}

/*  ---- The queue ------------------------------------------------------------------------------ */

static rp_trace_ended_t *s_ended (size_t size)
{
    rp_trace_ended_t *ended = calloc (1, sizeof *ended + size);
    assert_non_null (ended);
    ended->size = size;
    return ended;
}

static void s_the_queue_gives_out_in_order (void **state)
{
    (void) state;
    rp_span_queue_t queue;
    assert_true (rp_span_queue_init (&queue));
    assert_null (rp_span_queue_take (&queue));
    for (unsigned round = 0; round < 3 * RP_SPAN_QUEUE_COUNT; round++) {
        rp_trace_ended_t *one = s_ended (10), *other = s_ended (20);
        assert_true (rp_span_queue_put (&queue, one) && rp_span_queue_put (&queue, other));
        assert_int_equal (rp_span_queue_count (&queue), 2);
        assert_ptr_equal (rp_span_queue_take (&queue), one);
        assert_ptr_equal (rp_span_queue_take (&queue), other);
        free (one);
        free (other);
    }
    assert_int_equal (queue.bytes, 0);
    rp_span_queue_clear (&queue);
}

static void s_the_queue_refuses_one_too_many (void **state)
{
    (void) state;
    rp_span_queue_t queue;
    assert_true (rp_span_queue_init (&queue));
    for (unsigned count = 0; count < RP_SPAN_QUEUE_COUNT; count++)
        assert_true (rp_span_queue_put (&queue, s_ended (0)));
    rp_trace_ended_t *more = s_ended (0);
    assert_false (rp_span_queue_put (&queue, more));
    free (rp_span_queue_take (&queue));
    assert_true (rp_span_queue_put (&queue, more));
    rp_span_queue_clear (&queue);
}

static void s_the_queue_refuses_what_takes_too_much_memory (void **state)
{
    (void) state;
    rp_span_queue_t queue;
    assert_true (rp_span_queue_init (&queue));
    size_t quarter = RP_SPAN_QUEUE_BYTES / 4 - sizeof (rp_trace_ended_t);
    for (unsigned count = 0; count < 4; count++)
        assert_true (rp_span_queue_put (&queue, s_ended (quarter)));
    rp_trace_ended_t *more = s_ended (0);
    assert_false (rp_span_queue_put (&queue, more));
    free (rp_span_queue_take (&queue));
    assert_true (rp_span_queue_put (&queue, more));
    rp_span_queue_clear (&queue);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_batch_is_sent_when_it_is_a_second_old),
      cmocka_unit_test (s_a_batch_that_has_no_room_is_sent_at_once),
      cmocka_unit_test (s_a_batch_that_was_taken_makes_way_for_the_next),
      cmocka_unit_test (s_a_batch_is_sent_again_after_pauses_that_grow),
      cmocka_unit_test (s_a_collector_may_ask_for_a_longer_pause_up_to_a_limit),
      cmocka_unit_test (s_a_batch_that_was_refused_is_not_sent_again_and_the_next_waits),
      cmocka_unit_test (s_only_in_a_pause_a_batch_makes_room_for_a_queue_that_is_full),
      cmocka_unit_test (s_at_the_end_all_is_sent_at_once_and_nothing_twice),
      cmocka_unit_test (s_the_queue_gives_out_in_order),
      cmocka_unit_test (s_the_queue_refuses_one_too_many),
      cmocka_unit_test (s_the_queue_refuses_what_takes_too_much_memory),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
