/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

#include "common/io/alarm.h"
#include "common/io/clock.h"

#define MS 1000
#define SECOND 1000000
#define FOREVER (3600LL * SECOND)

static int s_begin (void **state)
{
    static rp_alarm_t alarm;
    assert_true (rp_alarm_init (&alarm));
    *state = &alarm;
    return 0;
}

static int s_end (void **state)
{
    rp_alarm_close (*state);
    return 0;
}

/*  Polls with the timeout of rp_alarm_set; returns how long that took. rings: whether the alarm
    must ring.  */
static int64_t s_sleep (rp_alarm_t *alarm, int64_t until, bool rings)
{
    struct timespec near;
    int64_t begin = rp_clock_us ();
    const struct timespec *timeout = rp_alarm_set (alarm, until, &near);
    struct pollfd polled = {.fd = alarm->descriptor, .events = POLLIN};
    assert_int_equal (ppoll (&polled, 1, timeout, NULL), rings ? 1 : 0);
    if (polled.revents)
        rp_alarm_rang (alarm);
    return rp_clock_us () - begin;
}

static void what_is_near_is_a_timeout (void **state)
{
    assert_in_range (s_sleep (*state, rp_clock_us () + 5 * MS, false), 4 * MS, 5 * SECOND);
    assert_in_range (s_sleep (*state, rp_clock_us () - SECOND, false), 0, 5 * SECOND);
    assert_in_range (s_sleep (*state, 0, false), 0, 5 * SECOND);
}

static void what_is_far_rings_once (void **state)
{
    assert_in_range (s_sleep (*state, rp_clock_us () + 300 * MS, true), 299 * MS, 5 * SECOND);
    assert_in_range (s_sleep (*state, rp_clock_us (), false), 0, 5 * SECOND);
}

static void a_time_that_moves_away_rings_too_soon_and_then_in_time (void **state)
{
    rp_alarm_t *alarm = *state;
    struct timespec near;
    int64_t now = rp_clock_us ();
    assert_null (rp_alarm_set (alarm, now + 300 * MS, &near));
    s_sleep (alarm, now + 2 * SECOND, true);
    assert_in_range (rp_clock_us () - now, 299 * MS, 1900 * MS);
    s_sleep (alarm, now + 2 * SECOND, true);
    assert_true (rp_clock_us () >= now + 2 * SECOND - MS);
}

static void a_time_that_comes_nearer_is_not_missed (void **state)
{
    rp_alarm_t *alarm = *state;
    struct timespec near;
    int64_t now = rp_clock_us ();
    assert_null (rp_alarm_set (alarm, now + FOREVER, &near));
    s_sleep (alarm, now + 300 * MS, true);
    assert_true (rp_clock_us () >= now + 299 * MS);
}

static void never_sets_nothing (void **state)
{
    rp_alarm_t *alarm = *state;
    struct timespec near;
    assert_null (rp_alarm_set (alarm, INT64_MAX, &near));
    assert_int_equal (alarm->due, INT64_MAX);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (what_is_near_is_a_timeout, s_begin, s_end),
      cmocka_unit_test_setup_teardown (what_is_far_rings_once, s_begin, s_end),
      cmocka_unit_test_setup_teardown (
        a_time_that_moves_away_rings_too_soon_and_then_in_time, s_begin, s_end),
      cmocka_unit_test_setup_teardown (a_time_that_comes_nearer_is_not_missed, s_begin, s_end),
      cmocka_unit_test_setup_teardown (never_sets_nothing, s_begin, s_end),
    };
    return cmocka_run_group_tests_name ("alarm", tests, NULL, NULL);
}
