/*  Requests that wait for one service go by priority, clients in turn within one; and who waits rises.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/state.h"
#include "tests/support/trace.h"

static void s_ask (const char *client, const char *name, unsigned priority)
{
    request_with (client, name, "upper", (with_t){.priority = priority + 1});
}

/*  Begins with a worker that has no room and this many clients.  */
static void s_begin (unsigned clients)
{
    hello_worker ("w1", "upper", 0);
    for (unsigned index = 1; index <= clients; index++) {
        char name[16];
        snprintf (name, sizeof name, "c%u", index);
        hello_client (name);
    }
}

/*  ---- Order ---------------------------------------------------------------------------------- */

static void s_the_highest_priority_comes_first (void **state)
{
    (void) state;
    s_begin (3);
    s_ask ("c1", "r1", 0);
    s_ask ("c2", "r2", 9);
    s_ask ("c3", "r3", 5);
    expect (NOTHING);
    credit ("w1", 3);
    expect ("w1<r2 w1<r3 w1<r1");
}

static void s_a_request_without_a_priority_has_4 (void **state)
{
    (void) state;
    s_begin (4);
    s_ask ("c1", "r1", 3);
    request ("c2", "r2", "upper");
    s_ask ("c3", "r3", 4);
    s_ask ("c4", "r4", 5);
    credit ("w1", 4);
    expect ("w1<r4 w1<r2 w1<r3 w1<r1");
}

static void s_a_client_overtakes_itself (void **state)
{
    (void) state;
    s_begin (1);
    s_ask ("c1", "r1", 2);
    s_ask ("c1", "r2", 2);
    s_ask ("c1", "r3", 7);
    credit ("w1", 3);
    expect ("w1<r3 w1<r1 w1<r2");
}

static void s_clients_take_turns_within_a_priority (void **state)
{
    (void) state;
    s_begin (3);
    s_ask ("c1", "r1", 6);
    s_ask ("c1", "r2", 6);
    s_ask ("c1", "r3", 6);
    s_ask ("c2", "r4", 6);
    s_ask ("c2", "r5", 6);
    s_ask ("c3", "r6", 2);
    credit ("w1", 6);
    expect ("w1<r1 w1<r4 w1<r2 w1<r5 w1<r3 w1<r6");
}

/*  Otherwise a client would have more turns than others if it stated the default with some requests.  */
static void s_stating_the_default_gives_no_second_turn (void **state)
{
    (void) state;
    s_begin (2);
    request ("c1", "r1", "upper");
    s_ask ("c1", "r2", 4);
    request ("c2", "r3", "upper");
    s_ask ("c2", "r4", 4);
    assert_int_equal (audit ()->core->client_queues.count, 0);
    credit ("w1", 4);
    expect ("w1<r1 w1<r3 w1<r2 w1<r4");
}

static void s_what_can_go_at_once_does_whatever_its_priority (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", "r1", 0);
    expect ("w1<r1");
}

static void s_a_worker_sees_no_priority (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", "r1", 9);
    assert_int_equal (delivery_of ("r1")->priority, 0);
    forget ();
}

static void s_services_do_not_look_at_each_other (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_worker ("w2", "lower", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "lower", (with_t){.priority = 1});
    s_ask ("c1", "r2", 9);
    credit ("w2", 1);
    expect ("w2<r1");
    credit ("w1", 1);
    expect ("w1<r2");
}

/*  ---- Ageing --------------------------------------------------------------------------------- */

static void s_a_step_of_waiting_is_a_priority_more (void **state)
{
    (void) state;
    s_begin (2);
    s_ask ("c1", "r1", 3);
    pass (1000);
    s_ask ("c2", "r2", 4);
    credit ("w1", 1); // both are of class 4, and r1 has waited longer
    expect ("w1<r1");
    credit ("w1", 2);
    expect ("w1<r2");
}

static void s_less_than_a_step_is_nothing (void **state)
{
    (void) state;
    s_begin (2);
    s_ask ("c1", "r1", 3);
    pass (999);
    s_ask ("c2", "r2", 4);
    credit ("w1", 2);
    expect ("w1<r2 w1<r1");
}

static void s_the_length_of_a_step_can_be_set (void **state)
{
    (void) state;
    limits ()->age_step = 20;
    s_begin (2);
    s_ask ("c1", "r1", 2);
    pass (40);
    s_ask ("c2", "r2", 4);
    credit ("w1", 2);
    expect ("w1<r1 w1<r2");
}

/*  One worker, which is never idle: another client always has requests of the highest priority.  */
static void s_the_lowest_priority_waits_nine_steps_and_a_turn (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    s_ask ("c2", "r1", 9);
    s_ask ("c1", "r999", 0);
    unsigned id = 1;
    char name[16], next[16];
    for (unsigned turn = 0; turn < 89; turn++) { // of 100 ms each
        snprintf (next, sizeof next, "r%u", ++id);
        s_ask ("c2", next, 9);
        pass (100);
        snprintf (name, sizeof name, "r%u", id - 1);
        reply ("w1", name, RP_OK);
        assert_non_null (delivery_of (next));
    }
    forget ();
    pass (100);
    s_ask ("c2", "r500", 9);
    snprintf (name, sizeof name, "r%u", id);
    reply ("w1", name, RP_OK);
    char text[64];
    snprintf (text, sizeof text, "c2<%s:OK w1<r999", name);
    expect (text);
}

/*  A client that floods a service does not rise by that: of its requests only the next one ages, so those
    that wait behind it cost others nothing.  */
static void s_only_the_next_request_of_a_client_ages (void **state)
{
    (void) state;
    s_begin (2);
    s_ask ("c1", "r1", 4);
    s_ask ("c1", "r2", 4);
    s_ask ("c1", "r3", 4);
    pass (2000);
    s_ask ("c2", "r4", 5);
    credit ("w1", 4);
    expect ("w1<r1 w1<r4 w1<r2 w1<r3");
}

static void s_with_one_priority_waiting_changes_nothing (void **state)
{
    (void) state;
    s_begin (2);
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    pass (20000);
    request ("c2", "r4", "upper");
    credit ("w1", 4);
    expect ("w1<r1 w1<r4 w1<r2 w1<r3");
}

static void s_the_highest_class_is_9 (void **state)
{
    (void) state;
    s_begin (2);
    s_ask ("c1", "r1", 8);
    pass (5000); // class 9, not 13
    s_ask ("c2", "r2", 9);
    pass (20000);
    credit ("w1", 2);
    expect ("w1<r1 w1<r2"); // of one class, in the order in which they began to wait
}

/*  ---- Ends and redeliveries ------------------------------------------------------------------ */

static void s_a_redelivered_request_is_the_next_of_its_priority (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 0);
    hello_client ("c1");
    hello_client ("c2");
    request_with ("c1", "r1", "upper", (with_t){.priority = 3, .attempts = 2});
    s_ask ("c2", "r2", 2);
    s_ask ("c2", "r3", 8);
    forget ();
    bye ("w1");
    expect (NOTHING);
    credit ("w2", 3);
    expect ("w2<r3 w2<r1#2 w2<r2");
}

static void s_what_ends_while_it_waits_leaves_its_queue (void **state)
{
    (void) state;
    s_begin (1);
    s_ask ("c1", "r1", 7);
    s_ask ("c1", "r2", 1);
    s_ask ("c1", "r3", 9);
    cancel ("c1", "r3");
    expect ("c1<r3:CANCELLED");
    request_with ("c1", "r4", "upper", (with_t){.priority = 10, .time_ms = 10});
    pass (10);
    expect ("c1<r4:EXPIRED");
    credit ("w1", 2);
    expect ("w1<r1 w1<r2");
    assert_int_equal (audit ()->core->client_queues.count, 1);
    bye ("c1");
    assert_int_equal (audit ()->core->client_queues.count, 0);
    forget ();
}

static void s_the_end_of_a_linger_ends_what_waits_with_all_priorities (void **state)
{
    (void) state;
    limits ()->service_linger = 100;
    s_begin (1);
    s_ask ("c1", "r1", 7);
    s_ask ("c1", "r2", 1);
    s_ask ("c1", "r3", 4);
    bye ("w1");
    pass (200);
    expect ("c1<r2:NO_WORKER c1<r3:NO_WORKER c1<r1:NO_WORKER");
}

/*  Nobody else can take them, so there is nothing to choose.  */
static void s_a_conversation_goes_on_before_what_waits_for_any_worker (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    open_in ("c1", "r1", "upper", "k1");
    reply ("w1", "r1", RP_OK);
    request ("c2", "r2", "upper");
    next_in ("c1", "r3", "upper", "k1");
    s_ask ("c2", "r4", 9);
    forget ();
    reply ("w1", "r2", RP_OK);
    expect ("c2<r2:OK w1<r3");
    reply ("w1", "r3", RP_OK);
    expect ("c1<r3:OK w1<r4");
}

int main (void)
{
#define T(name) cmocka_unit_test_setup_teardown (s_##name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      T (the_highest_priority_comes_first),
      T (a_request_without_a_priority_has_4),
      T (a_client_overtakes_itself),
      T (clients_take_turns_within_a_priority),
      T (stating_the_default_gives_no_second_turn),
      T (what_can_go_at_once_does_whatever_its_priority),
      T (a_worker_sees_no_priority),
      T (services_do_not_look_at_each_other),
      T (a_step_of_waiting_is_a_priority_more),
      T (less_than_a_step_is_nothing),
      T (the_length_of_a_step_can_be_set),
      T (the_lowest_priority_waits_nine_steps_and_a_turn),
      T (only_the_next_request_of_a_client_ages),
      T (with_one_priority_waiting_changes_nothing),
      T (the_highest_class_is_9),
      T (a_redelivered_request_is_the_next_of_its_priority),
      T (what_ends_while_it_waits_leaves_its_queue),
      T (the_end_of_a_linger_ends_what_waits_with_all_priorities),
      T (a_conversation_goes_on_before_what_waits_for_any_worker),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
