/*  Terms of services: how many requests run, how many start in a second, how many wait.

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
#include "tests/support/trace.h"

static void s_ask (const char *client, unsigned first, unsigned last)
{
    for (unsigned id = first; id <= last; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request (client, name, "upper");
    }
}

/*  ---- Concurrency ---------------------------------------------------------------------------- */

static void s_no_more_run_than_the_terms_say (void **state)
{
    (void) state;
    terms ("upper: concurrency=3");
    hello_worker ("w1", "upper", 2);
    hello_worker ("w2", "upper", 2);
    hello_client ("c1");
    s_ask ("c1", 1, 5);
    expect ("w1<r1 w2<r2 w1<r3");
    reply ("w2", "r2", RP_OK);
    expect ("c1<r2:OK w2<r4");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w2<r5");
    reply ("w1", "r3", RP_OK);
    expect ("c1<r3:OK");
}

static void s_other_services_are_not_concerned (void **state)
{
    (void) state;
    terms ("lower: concurrency=1");
    hello_worker ("w1", "upper", 3);
    hello_client ("c1");
    s_ask ("c1", 1, 3);
    expect ("w1<r1 w1<r2 w1<r3");
}

/*  The worker still works on it.  */
static void s_an_abandoned_request_keeps_its_place (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    s_ask ("c1", 1, 2);
    cancel ("c1", "r1");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    reply ("w1", "r1", RP_OK);
    expect ("w1<r2");
}

static void s_conversations_count_and_wait_too (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 2);
    hello_worker ("w2", "upper", 2);
    hello_client ("c1");
    hello_client ("c2");
    open_in ("c1", "r1", "upper", "k1");
    reply ("w1", "r1", RP_OK);
    request ("c2", "r2", "upper");
    expect ("w1<r1 c1<r1:OK w2<r2");
    next_in ("c1", "r3", "upper", "k1");
    expect (NOTHING);
    reply ("w2", "r2", RP_OK); // the place is another worker's
    expect ("c2<r2:OK w1<r3");
}

static void s_priorities_hold_among_those_that_wait (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 4);
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request_with ("c2", "r3", "upper", (with_t){.priority = 8});
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<r3");
    reply ("w1", "r3", RP_OK);
    expect ("c2<r3:OK w1<r2");
}

static void s_a_lost_worker_gives_its_places_back (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 2);
    expect ("w1<r1");
    bye ("w1");
    expect ("c1<r1:WORKER_LOST w2<r2");
}

/*  ---- Rate ----------------------------------------------------------------------------------- */

static void s_after_a_burst_of_a_second_starts_are_paced (void **state)
{
    (void) state;
    terms ("upper: rate=4");
    hello_worker ("w1", "upper", 100);
    hello_client ("c1");
    pass (1000);
    s_ask ("c1", 1, 7);
    expect ("w1<r1 w1<r2 w1<r3 w1<r4");
    pass (249);
    expect (NOTHING);
    pass (2);
    expect ("w1<r5");
    pass (250);
    expect ("w1<r6");
    pass (5000);
    expect ("w1<r7");
    s_ask ("c1", 8, 12);
    expect ("w1<r8 w1<r9 w1<r10 w1<r11");
}

static void s_a_request_that_waits_for_the_rate_expires (void **state)
{
    (void) state;
    terms ("upper: rate=1");
    hello_worker ("w1", "upper", 100);
    hello_client ("c1");
    pass (1000);
    request ("c1", "r1", "upper");
    request_with ("c1", "r2", "upper", (with_t){.time_ms = 100});
    expect ("w1<r1");
    pass (2000);
    expect ("c1<r2:EXPIRED");
}

static void s_a_request_that_its_worker_cannot_read_takes_nothing_of_the_rate (void **state)
{
    (void) state;
    terms ("upper: rate=1");
    hello_worker ("w1", "upper", 100);
    hello_client ("c1");
    pass (1000);
    request_with ("c1", "r1", "upper", (with_t){.more = true});
    request ("c1", "r2", "upper");
    expect ("c1<r1:NO_WORKER w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK");
}

static void s_a_request_that_its_worker_cannot_read_takes_no_turn (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    hello_client ("c2");
    request_with ("c1", "r1", "upper", (with_t){.more = true});
    request ("c1", "r2", "upper");
    request ("c2", "r3", "upper");
    credit ("w1", 1);
    expect ("c1<r1:NO_WORKER w1<r2");
}

/*  ---- Queue ---------------------------------------------------------------------------------- */

static void s_a_full_queue_names_its_setting (void **state)
{
    (void) state;
    terms ("upper: queue=1");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 3);
    expect ("w1<r1 c1<r3:BUSY");
    assert_true (answer_says ("r3", "setting service, upper: queue=1"));
}

static void s_a_queue_may_be_longer_than_that_of_others (void **state)
{
    (void) state;
    limits ()->service_queue = 1;
    terms ("upper: queue=2");
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_ask ("c1", 1, 4);
    expect ("w1<r1 c1<r4:BUSY");
}

/*  ---- Deadline, attempts --------------------------------------------------------------------- */

static void s_one_behind_another_of_its_conversation_has_it_too (void **state)
{
    (void) state;
    terms ("upper: deadline=50ms");
    hello_worker ("w1", "upper", 1);
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_UNTIMED, 1000);
    open_in ("c1", "r1", "upper", "k1");
    next_in ("c1", "r2", "upper", "k1");
    pass (50);
    expect ("w1<r1 c1<r2:EXPIRED");
}

static void s_a_request_without_a_deadline_of_its_own_has_that_of_the_terms (void **state)
{
    (void) state;
    terms ("upper: deadline=50ms");
    hello_worker ("w1", "upper", 1);
    hello_foreign_client ("c1", RP_TRAIT_UNTIMED, 60000);
    hello_client ("c2");
    s_ask ("c2", 1, 2);
    request ("c1", "r3", "upper");
    expect ("w1<r1");
    pass (60);
    expect ("c1<r3:EXPIRED"); // that of c2 has stated a minute
}

static void s_a_request_without_attempts_of_its_own_has_those_of_the_terms (void **state)
{
    (void) state;
    terms ("upper: attempts=1");
    hello_worker ("w1", "upper", 1);
    hello_foreign_client ("c1", RP_TRAIT_UNTIMED, 60000);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    assert_int_equal (delivery_of ("r1")->attempts, 1);
    forget ();
}

/*  ---- Changes -------------------------------------------------------------------------------- */

static void s_changed_terms_hold_at_once (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 10);
    hello_client ("c1");
    terms ("upper: concurrency=1");
    s_ask ("c1", 1, 4);
    expect ("w1<r1");
    terms ("upper: concurrency=3");
    expect ("w1<r2 w1<r3");
    terms ("upper: concurrency=1");
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r1:OK c1<r2:OK");
    terms (NULL);
    expect ("w1<r4");
}

static void s_what_waits_in_conversations_starts_when_the_terms_are_gone (void **state)
{
    (void) state;
    static const char *const each[] = {"upper: concurrency=1", "upper: rate=1"};
    hello_worker ("w1", "upper", 10);
    hello_client ("c1");
    open_in ("c1", "r1", "upper", "k1");
    reply ("w1", "r1", RP_OK);
    forget ();
    for (size_t index = 0; index < 2; index++) {
        pass (2000);
        terms (each[index]);
        request ("c1", "r2", "upper");
        next_in ("c1", "r3", "upper", "k1");
        expect ("w1<r2");
        terms ("upper: queue=5");
        expect ("w1<r3");
        reply ("w1", "r2", RP_OK);
        reply ("w1", "r3", RP_OK);
        forget ();
    }
}

static void s_people_see_the_terms_and_why_requests_wait (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    s_ask ("c1", 1, 3);
    rp_service_info_t info;
    assert_true (rp_dispatch_find_service (audit ()->core, audit ()->now, "upper", 5, &info));
    assert_int_equal (info.terms.concurrency, 1);
    rp_cause_t causes[RP_CAUSE_COUNT];
    size_t count;
    assert_true (rp_dispatch_explain (audit ()->core, audit ()->now, "upper", 5, causes, &count));
    assert_true (count == 1 && causes[0].kind == RP_CAUSE_TERMS && causes[0].weight == 2);
    forget ();
}

int main (void)
{
#define T(name) cmocka_unit_test_setup_teardown (s_##name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      T (no_more_run_than_the_terms_say),
      T (other_services_are_not_concerned),
      T (an_abandoned_request_keeps_its_place),
      T (conversations_count_and_wait_too),
      T (priorities_hold_among_those_that_wait),
      T (a_lost_worker_gives_its_places_back),
      T (after_a_burst_of_a_second_starts_are_paced),
      T (a_request_that_waits_for_the_rate_expires),
      T (a_request_that_its_worker_cannot_read_takes_nothing_of_the_rate),
      T (a_request_that_its_worker_cannot_read_takes_no_turn),
      T (a_full_queue_names_its_setting),
      T (a_queue_may_be_longer_than_that_of_others),
      T (a_request_without_a_deadline_of_its_own_has_that_of_the_terms),
      T (one_behind_another_of_its_conversation_has_it_too),
      T (a_request_without_attempts_of_its_own_has_those_of_the_terms),
      T (changed_terms_hold_at_once),
      T (what_waits_in_conversations_starts_when_the_terms_are_gone),
      T (people_see_the_terms_and_why_requests_wait),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
