/*  Which clients count as readers, with figures made by hand.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((size_t) 1 << 20)

static rp_reading_t s_reading;
static int64_t s_now;

static int s_setup (void **state)
{
    (void) state;
    s_reading = (rp_reading_t){0};
    s_now = 1000000000;
    return 0;
}

/*  Looks for a second, while `waits` bytes wait and `each` bytes are sent between looks. Returns
    how often the client was found to be stalled.  */
static unsigned s_second (size_t waits, size_t *sent, size_t each)
{
    unsigned stalled = 0;
    for (int64_t end = s_now + RP_READING_WINDOW_US; s_now < end; s_now += RP_READING_LOOK_US) {
        rp_traffic_t traffic = {.counted = true, .sent = *sent += each};
        stalled += rp_reading_is_stalled (&s_reading, waits, &traffic, s_now);
    }
    return stalled;
}

static void who_takes_nothing_for_a_second_is_stalled (void **state)
{
    (void) state;
    size_t sent = 7 * MIB;
    assert_int_equal (s_second (40 * MIB, &sent, 0), 0);
    assert_int_equal (s_second (40 * MIB, &sent, 0), 1);
}

static void who_reads_is_not_stalled_though_its_one_large_reply_still_waits (void **state)
{
    (void) state;
    size_t sent = 0;
    for (unsigned second = 0; second < 50; second++)
        assert_int_equal (s_second (40 * MIB, &sent, MIB / 10), 0);
}

static void who_would_need_more_than_a_minute_is_stalled (void **state)
{
    (void) state;
    size_t sent = 0;
    assert_int_equal (s_second (60 * MIB, &sent, MIB / 11), 0);
    assert_int_equal (s_second (60 * MIB, &sent, MIB / 11), 1);
    sent = 0;
    s_now += 10 * RP_READING_LOOK_US;
    assert_int_equal (s_second (1000, &sent, 100), 0); // or reads hardly anything
    assert_int_equal (s_second (1000, &sent, 100), 1);
}

static void a_window_begins_anew_when_nobody_had_to_look (void **state)
{
    (void) state;
    size_t sent = 0;
    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal (s_second (40 * MIB, &sent, 0), 0);
        s_now += 3 * RP_READING_LOOK_US;
    }
}

/*  Over ipc the kernel gives no counts.  */
static void without_counts_it_reads_if_less_waits_or_all_that_was_written_is_read (void **state)
{
    (void) state;
    rp_traffic_t full = {.unread = true}, empty = {0};
    assert_false (rp_reading_is_stalled (&s_reading, 9 * MIB, &full, s_now));
    for (unsigned second = 1; second < 10; second++)
        for (unsigned look = 0; look < 10; look++)
            assert_false (rp_reading_is_stalled (
              &s_reading, (9 - second) * MIB, &full, s_now += RP_READING_LOOK_US));
    for (unsigned look = 0; look < 30; look++)
        assert_false (rp_reading_is_stalled (&s_reading, 0, &empty, s_now += RP_READING_LOOK_US));
    unsigned stalled = 0;
    for (unsigned look = 0; look < 30; look++)
        stalled += rp_reading_is_stalled (&s_reading, MIB, &full, s_now += RP_READING_LOOK_US);
    assert_in_range (stalled, 2, 3);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup (name, s_setup)
    const struct CMUnitTest tests[] = {
      S_TEST (who_takes_nothing_for_a_second_is_stalled),
      S_TEST (who_reads_is_not_stalled_though_its_one_large_reply_still_waits),
      S_TEST (who_would_need_more_than_a_minute_is_stalled),
      S_TEST (a_window_begins_anew_when_nobody_had_to_look),
      S_TEST (without_counts_it_reads_if_less_waits_or_all_that_was_written_is_read),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
