/*  Which worker gets a request, when workers say how long one takes.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/trace.h"

#define S_MS 1000u

static void s_requests (unsigned first, unsigned last)
{
    for (unsigned id = first; id <= last; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request ("c1", name, "upper");
    }
}

/*  Registers a worker that has said how long a request takes there.  */
static void s_worker (const char *name, unsigned window, uint32_t time)
{
    hello_worker (name, "upper", window);
    credit_time (name, window, time);
}

static void s_short_ones_go_to_one_worker_until_it_has_work_for_a_while (void **state)
{
    (void) state;
    s_worker ("w1", 9, 40);
    s_worker ("w2", 9, 40);
    s_worker ("w3", 9, 40);
    hello_client ("c1");
    s_requests (1, 9);
    expect ("w3<r1 w3<r2 w3<r3 w2<r4 w2<r5 w2<r6 w1<r7 w1<r8 w1<r9");
}

static void s_what_was_answered_makes_place_for_the_next_at_the_same_worker (void **state)
{
    (void) state;
    s_worker ("w1", 9, 40);
    s_worker ("w2", 9, 40);
    hello_client ("c1");
    s_requests (1, 4);
    expect ("w2<r1 w2<r2 w2<r3 w1<r4");
    reply ("w2", "r1", RP_OK);
    reply ("w2", "r2", RP_OK);
    s_requests (5, 7);
    expect ("c1<r1:OK c1<r2:OK w2<r5 w2<r6 w1<r7");
}

static void s_long_ones_go_round_as_if_no_time_was_known (void **state)
{
    (void) state;
    s_worker ("w1", 9, 1000);
    s_worker ("w2", 9, 1000);
    s_worker ("w3", 9, 1000);
    hello_client ("c1");
    s_requests (1, 6);
    expect ("w1<r1 w2<r2 w3<r3 w1<r4 w2<r5 w3<r6");
}

static void s_a_slow_worker_gets_one_when_the_others_would_take_as_long (void **state)
{
    (void) state;
    s_worker ("w1", 9, 20 * S_MS);
    s_worker ("w2", 9, 5 * S_MS);
    hello_client ("c1");
    s_requests (1, 6);
    // At 20 ms both are equal, and the worker that was used less recently gets the request.
    expect ("w2<r1 w2<r2 w2<r3 w1<r4 w2<r5 w2<r6");
}

static void s_a_slow_worker_does_not_wait_when_the_others_are_full (void **state)
{
    (void) state;
    s_worker ("w1", 2, 10000 * S_MS);
    s_worker ("w2", 2, 10);
    hello_client ("c1");
    s_requests (1, 5);
    expect ("w2<r1 w2<r2 w1<r3 w1<r4");
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK w2<r5");
}

static void s_the_slowest_are_told_apart (void **state)
{
    (void) state;
    s_worker ("w1", 4096, UINT32_MAX);
    s_worker ("w2", 4096, UINT32_MAX / 2);
    hello_client ("c1");
    s_requests (1, 3);
    expect ("w2<r1 w1<r2 w2<r3");
}

static void s_a_worker_of_which_nothing_is_known_comes_before_those_with_work (void **state)
{
    (void) state;
    s_worker ("w1", 9, 100);
    hello_client ("c1");
    s_requests (1, 2);
    expect ("w1<r1 w1<r2");
    hello_worker ("w2", "upper", 2);
    s_requests (3, 5);
    expect ("w2<r3 w2<r4 w1<r5");
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r2", RP_OK);
    reply ("w1", "r5", RP_OK);
    reply ("w2", "r3", RP_OK);
    s_requests (6, 7);
    expect ("c1<r1:OK c1<r2:OK c1<r5:OK c1<r3:OK w1<r6 w2<r7");
}

static void s_a_time_that_is_not_known_any_more_is_forgotten (void **state)
{
    (void) state;
    s_worker ("w1", 9, 10000 * S_MS);
    s_worker ("w2", 9, 5 * S_MS);
    hello_client ("c1");
    s_requests (1, 1);
    credit ("w1", 9);
    s_requests (2, 2);
    expect ("w2<r1 w1<r2");
}

static void s_a_redelivery_avoids_the_worker_that_lost_it_even_if_that_comes_first (void **state)
{
    (void) state;
    s_worker ("w1", 9, 10000 * S_MS);
    s_worker ("w2", 9, 10);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    reply ("w2", "r1", RP_WORKER_LOST);
    expect ("w2<r1 w1<r1#2");
    s_requests (2, 2);
    expect ("w2<r2");
}

static void s_a_conversation_stays_with_its_worker_whatever_its_time (void **state)
{
    (void) state;
    s_worker ("w1", 9, 10);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.conversation = "k1", .open = true});
    reply ("w1", "r1", RP_OK);
    s_worker ("w2", 9, 1);
    credit_time ("w1", 9, 10000 * S_MS);
    request_with ("c1", "r2", "upper", (with_t){.conversation = "k1"});
    s_requests (3, 3);
    expect ("w1<r1 c1<r1:OK w1<r2 w2<r3");
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_short_ones_go_to_one_worker_until_it_has_work_for_a_while),
      S_TEST (s_what_was_answered_makes_place_for_the_next_at_the_same_worker),
      S_TEST (s_long_ones_go_round_as_if_no_time_was_known),
      S_TEST (s_a_slow_worker_gets_one_when_the_others_would_take_as_long),
      S_TEST (s_a_slow_worker_does_not_wait_when_the_others_are_full),
      S_TEST (s_the_slowest_are_told_apart),
      S_TEST (s_a_worker_of_which_nothing_is_known_comes_before_those_with_work),
      S_TEST (s_a_time_that_is_not_known_any_more_is_forgotten),
      S_TEST (s_a_redelivery_avoids_the_worker_that_lost_it_even_if_that_comes_first),
      S_TEST (s_a_conversation_stays_with_its_worker_whatever_its_time),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
