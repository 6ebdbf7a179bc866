/*  The poller, with pipes and the clock.

    SPDX-License-Identifier: MPL-2.0
*/

#include "common/program/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io/clock.h"

#define MS 1000

static rp_poller_t s_poller;
static unsigned s_calls;
static int64_t s_called_at;

static int s_begin (void **state)
{
    (void) state;
    s_calls = 0;
    return rp_poller_init (&s_poller) ? 0 : -1;
}

static int s_end (void **state)
{
    (void) state;
    rp_poller_clear (&s_poller);
    rp_poller_clear (&s_poller);
    return 0;
}

static void s_count (void *arg, int64_t now)
{
    s_calls += arg ? *(unsigned *) arg : 1;
    s_called_at = now;
}

static void s_read_one (void *arg, int64_t now)
{
    char byte;
    assert_int_equal (read (*(int *) arg, &byte, 1), 1);
    s_count (NULL, now);
}

static void who_is_readable_is_called_and_nobody_else (void **state)
{
    (void) state;
    int quiet[2], busy[2];
    unsigned ten = 10;
    assert_int_equal (pipe (quiet), 0);
    assert_int_equal (pipe (busy), 0);
    assert_true (rp_poller_add (&s_poller, quiet[0], s_count, &ten));
    assert_true (rp_poller_add (&s_poller, busy[0], s_read_one, &busy[0]));
    assert_int_equal (write (busy[1], "xx", 2), 2);
    rp_poller_wait (&s_poller, true);
    assert_int_equal (s_calls, 1);
    rp_poller_wait (&s_poller, false);
    assert_int_equal (s_calls, 2);
    rp_poller_wait (&s_poller, false);
    assert_int_equal (s_calls, 2);
    for (int end = 0; end < 2; end++) {
        close (quiet[end]);
        close (busy[end]);
    }
}

static void a_descriptor_without_a_function_ends_the_wait (void **state)
{
    (void) state;
    int ends[2];
    assert_int_equal (pipe (ends), 0);
    assert_true (rp_poller_add (&s_poller, ends[0], NULL, NULL));
    assert_int_equal (write (ends[1], "x", 1), 1);
    rp_poller_wait (&s_poller, true);
    assert_int_equal (s_calls, 0);
    close (ends[0]);
    close (ends[1]);
}

/*  A near deadline becomes a timeout, a far one uses the alarm.  */
static void a_deadline_is_called_once_when_it_has_come (void **state)
{
    (void) state;
    rp_poller_deadline_t deadline;
    assert_true (rp_poller_add_deadline (&s_poller, &deadline, s_count, NULL));
    for (unsigned far = 0; far < 2; far++) {
        int64_t when = rp_clock_us () + (far ? 60 * MS : 5 * MS);
        rp_poller_set_deadline (&s_poller, &deadline, when);
        while (s_calls == far)
            rp_poller_wait (&s_poller, true);
        assert_true (s_called_at >= when);
        rp_poller_wait (&s_poller, false);
        assert_int_equal (s_calls, far + 1);
    }
}

static void a_deadline_moves_and_is_taken_back (void **state)
{
    (void) state;
    rp_poller_deadline_t first, second;
    unsigned ten = 10;
    assert_true (rp_poller_add_deadline (&s_poller, &first, s_count, &ten));
    assert_true (rp_poller_add_deadline (&s_poller, &second, s_count, NULL));
    int64_t now = rp_clock_us ();
    rp_poller_set_deadline (&s_poller, &first, now);
    rp_poller_set_deadline (&s_poller, &second, now + 5 * MS);
    rp_poller_set_deadline (&s_poller, &first, INT64_MAX);
    rp_poller_set_deadline (&s_poller, &first, INT64_MAX);
    while (s_calls == 0)
        rp_poller_wait (&s_poller, true);
    assert_int_equal (s_calls, 1);
    rp_poller_set_deadline (&s_poller, &first, rp_clock_us () + 3600000 * (int64_t) MS);
    rp_poller_set_deadline (&s_poller, &first, 0);
    rp_poller_wait (&s_poller, true);
    assert_int_equal (s_calls, 11);
}

static void s_again (void *arg, int64_t now)
{
    s_calls++;
    rp_poller_set_deadline (&s_poller, arg, now + 2 * MS);
}

static void a_deadline_may_set_itself_again (void **state)
{
    (void) state;
    rp_poller_deadline_t deadline;
    assert_true (rp_poller_add_deadline (&s_poller, &deadline, s_again, &deadline));
    rp_poller_set_deadline (&s_poller, &deadline, 0);
    while (s_calls < 3)
        rp_poller_wait (&s_poller, true);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_begin, s_end)
    const struct CMUnitTest tests[] = {
      S_TEST (who_is_readable_is_called_and_nobody_else),
      S_TEST (a_descriptor_without_a_function_ends_the_wait),
      S_TEST (a_deadline_is_called_once_when_it_has_come),
      S_TEST (a_deadline_moves_and_is_taken_back),
      S_TEST (a_deadline_may_set_itself_again),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
