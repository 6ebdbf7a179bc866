/*  Overload: what the terms of a service say of requests that come faster than its workers take them.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/explain.h"
#include "common/base/heap.h"
#include "tests/support/trace.h"

static void s_ask (const char *client, unsigned first, unsigned last, unsigned time_ms)
{
    for (unsigned id = first; id <= last; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request_with (client, name, "upper", (with_t){.time_ms = time_ms});
    }
}

/*  The worker is done with what it has for longest, and takes the next.  */
static bool s_finish (unsigned after_ms)
{
    rp_list_node_t *node = rp_list_first (&audit ()->deliveries);
    if (!node)
        return false;
    const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
    if (audit ()->now < delivery->given + (int64_t) after_ms * 1000)
        return false;
    audit_message (audit (), delivery->worker->id,
      &(rp_head_t){.command = RP_COMMAND_REPLY, .id = delivery->token.v}, 1, false);
    forget ();
    return true;
}

/*  A worker that takes 20 ms for each request, and has 10 of a client already, of which it is done with 8: so it
    is known how fast it is.  */
static void s_begin_known (const char *with)
{
    terms (with);
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    s_ask ("c1", 101, 110, 60000);
    for (unsigned done = 0; done < 8; done++) {
        pass (20);
        assert_true (s_finish (20));
    }
    forget ();
}

/*  ---- drop_oldest ---------------------------------------------------------------------------- */

static void s_a_full_queue_drops_what_has_waited_longest (void **state)
{
    (void) state;
    terms ("upper: queue=2 overload=drop_oldest");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    s_ask ("c1", 1, 1, 0);
    pass (1);
    s_ask ("c2", 2, 2, 0);
    pass (1);
    s_ask ("c1", 3, 3, 0);
    expect ("w1<r1");
    pass (8);
    s_ask ("c1", 4, 4, 0);
    expect ("c2<r2:BUSY");
    assert_true (answer_says ("r2", "dropped after 9 ms, since the queue is full and it had waited "
                                    "longest (setting service, upper: overload=drop_oldest)"));
    assert_int_equal (stats ()->dropped, 1);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<r3");
}

static void s_what_has_room_at_once_drops_nothing (void **state)
{
    (void) state;
    terms ("upper: queue=1 overload=drop_oldest");
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    s_ask ("c1", 1, 3, 0);
    expect ("w1<r1 w1<r2");
    reply ("w1", "r1", RP_OK);
    s_ask ("c1", 4, 4, 0);
    expect ("c1<r1:OK w1<r3");
}

static void s_a_higher_priority_is_not_dropped_for_a_lower_one (void **state)
{
    (void) state;
    terms ("upper: queue=1 overload=drop_oldest");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 1, 0);
    request_with ("c1", "r2", "upper", (with_t){.priority = 8});
    request_with ("c1", "r3", "upper", (with_t){.priority = 7});
    expect ("w1<r1 c1<r3:BUSY");
    assert_true (answer_says ("r3", "the queue of the service is full"));
    request_with ("c1", "r4", "upper", (with_t){.priority = 8});
    expect ("c1<r2:BUSY");
}

/*  BUSY says that no worker was given it.  */
static void s_what_a_worker_has_had_is_not_dropped (void **state)
{
    (void) state;
    terms ("upper: queue=1 overload=drop_oldest");
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    bye ("w1");
    expect ("w1<r1");
    s_ask ("c1", 2, 2, 0);
    expect ("c1<r2:BUSY");
    credit ("w2", 1);
    expect ("w2<r1#2");
}

/*  ---- admission ------------------------------------------------------------------------------ */

static void s_what_would_be_late_is_refused_with_the_estimate (void **state)
{
    (void) state;
    s_begin_known ("upper: admission=on");
    s_ask ("c1", 1, 1, 500);
    expect (NOTHING); // one runs and one waits: it is done in 80 ms
    s_ask ("c1", 2, 2, 50);
    expect ("c1<r2:EXPIRED");
    assert_true (answer_says ("r2", "ms, take 20 ms, and has 50 ms (setting service, upper: "
                                    "admission=on)"));
    assert_int_equal (stats ()->not_admitted, 1);
    rp_cause_t causes[RP_CAUSE_COUNT];
    size_t count;
    assert_true (rp_dispatch_explain (audit ()->core, audit ()->now, "upper", 5, causes, &count));
    bool explained = false;
    for (size_t index = 0; index < count; index++)
        explained = explained || causes[index].kind == RP_CAUSE_OVERLOAD;
    assert_true (explained);
}

static void s_a_flood_of_another_client_is_not_in_the_way (void **state)
{
    (void) state;
    s_begin_known ("upper: admission=on");
    s_ask ("c1", 1, 50, 60000);
    s_ask ("c2", 51, 51, 100); // its turn comes next
    expect (NOTHING);
    s_ask ("c1", 52, 52, 100); // behind 50 of its own
    expect ("c1<r52:EXPIRED");
}

static void s_nothing_is_refused_before_anything_is_known (void **state)
{
    (void) state;
    terms ("upper: admission=on");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 20, 10);
    expect ("w1<r1");
}

static void s_what_is_too_late_at_its_turn_ends_then (void **state)
{
    (void) state;
    terms ("upper: admission=on");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 1, 60000);
    s_ask ("c1", 2, 2, 25);
    s_ask ("c1", 3, 3, 60000);
    expect ("w1<r1");
    pass (20);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK c1<r2:EXPIRED w1<r3");
    assert_true (answer_says ("r2", "at its turn it had 5 ms left and would take 20 ms"));
}

/*  If nothing ran, it would never be learned that requests take less now.  */
static void s_a_free_worker_gets_what_seems_too_long_for_it (void **state)
{
    (void) state;
    terms ("upper: admission=on");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 1, 60000);
    pass (10000);
    reply ("w1", "r1", RP_OK);
    forget ();
    s_ask ("c1", 2, 3, 1000); // r3 would have to wait
    expect ("w1<r2 c1<r3:EXPIRED");
    pass (20);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK");
}

static void s_a_bound_of_the_queue_holds_beside_it (void **state)
{
    (void) state;
    terms ("upper: queue=1 admission=on");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 3, 60000);
    expect ("w1<r1 c1<r3:BUSY");
    assert_true (answer_says ("r3", "setting service, upper: queue=1"));
}

static void s_who_states_no_deadline_is_admitted (void **state)
{
    (void) state;
    s_begin_known ("upper: admission=on deadline=30ms");
    hello_foreign_client ("c3", RP_TRAIT_UNTIMED, 60000);
    s_ask ("c3", 1, 1, 0);
    expect (NOTHING);
}

/*  ---- lifo ----------------------------------------------------------------------------------- */

static void s_what_would_be_late_at_the_end_goes_first (void **state)
{
    (void) state;
    s_begin_known ("upper: overload=lifo");
    s_ask ("c1", 1, 5, 60000);
    s_ask ("c1", 6, 6, 50);
    pass (20);
    expect (NOTHING);
    s_finish (20);
    s_ask ("c2", 7, 7, 60000); // not late: goes last
    pass (20);
    assert_int_equal (stats ()->put_first, 1);
    forget ();
    reply ("w1", "r6", RP_OK);
    forget ();
    reply ("w1", "r110", RP_OK);
    expect ("c1<r110:OK w1<r7");
}

/*  ---- Goodput -------------------------------------------------------------------------------- */

#define S_WORKERS 4u
#define S_TAKES 20u
#define S_SECONDS 10u

/*  Three times as many requests come for ten seconds as four workers take; returns the share of what they could
    have done that came in time.  */
static double s_goodput (const char *with)
{
    terms (with);
    static const char *const workers[S_WORKERS] = {"w1", "w2", "w3", "w4"};
    for (unsigned index = 0; index < S_WORKERS; index++)
        hello_worker (workers[index], "upper", 1);
    static const char *const clients[] = {"c1", "c2", "c3", "c4", "c5"};
    for (unsigned index = 0; index < 5; index++)
        hello_client (clients[index]);
    unsigned id = 0;
    for (unsigned ms = 0; ms < S_SECONDS * 1000; ms++) {
        for (; id < ms * 3 * S_WORKERS / S_TAKES; id++)
            s_ask (clients[id * 7 % 5], id + 1, id + 1, 200);
        pass (1);
        while (s_finish (S_TAKES))
            continue;
        forget ();
    }
    return (double) stats ()->final[RP_OK] / (S_SECONDS * 1000.0 * S_WORKERS / S_TAKES);
}

static void s_with_admission_workers_do_what_is_in_time (void **state)
{
    (void) state;
    double share = s_goodput ("upper: admission=on");
    print_message ("admission: %.3f of capacity\n", share);
    assert_true (share >= 0.9);
}

static void s_with_lifo_too (void **state)
{
    (void) state;
    double share = s_goodput ("upper: overload=lifo");
    print_message ("lifo: %.3f of capacity\n", share);
    assert_true (share >= 0.9);
}

/*  What the terms are for.  */
static void s_without_terms_most_work_is_for_nothing (void **state)
{
    (void) state;
    double share = s_goodput ("upper: queue=100000");
    print_message ("neither: %.3f of capacity\n", share);
    assert_true (share < 0.5);
}

int main (void)
{
#define T(name) cmocka_unit_test_setup_teardown (s_##name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      T (a_full_queue_drops_what_has_waited_longest),
      T (what_has_room_at_once_drops_nothing),
      T (a_higher_priority_is_not_dropped_for_a_lower_one),
      T (what_a_worker_has_had_is_not_dropped),
      T (what_would_be_late_is_refused_with_the_estimate),
      T (a_flood_of_another_client_is_not_in_the_way),
      T (nothing_is_refused_before_anything_is_known),
      T (what_is_too_late_at_its_turn_ends_then),
      T (a_free_worker_gets_what_seems_too_long_for_it),
      T (a_bound_of_the_queue_holds_beside_it),
      T (who_states_no_deadline_is_admitted),
      T (what_would_be_late_at_the_end_goes_first),
      T (with_admission_workers_do_what_is_in_time),
      T (with_lifo_too),
      T (without_terms_most_work_is_for_nothing),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
