/*  Hedges: a request goes to a second worker while the first one still has it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/core/hedge.h"
#include "tests/support/trace.h"

static const with_t s_after_20_ms = {.attempts = 2, .hedge = "20"};

/*  Two workers with room, and a request that w1 has had for 20 ms.  */
static void s_begin_hedged (void)
{
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    hello_worker ("w2", "upper", 1);
    pass (19);
    expect ("w1<r1");
    pass (1);
    expect ("w2<r1#2");
}

static void s_the_second_worker_answers_first (void **state)
{
    (void) state;
    s_begin_hedged ();
    reply ("w2", "r1", RP_OK);
    expect ("w1<cancel:r1 c1<r1:OK");
    assert_int_equal (answer_to ("r1")->attempt, 2);
    reply ("w1", "r1", RP_OK);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1);
    assert_int_equal (stats ()->hedges, 1);
    assert_int_equal (stats ()->redeliveries, 1);
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_the_first_worker_answers_first (void **state)
{
    (void) state;
    s_begin_hedged ();
    reply ("w1", "r1", RP_APP_ERROR);
    expect ("w2<cancel:r1 c1<r1:APP_ERROR");
    assert_int_equal (answer_to ("r1")->attempt, 2);
    reply ("w2", "r1", RP_WORKER_LOST);
    expect (NOTHING);
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_a_request_that_is_answered_in_time_is_not_hedged (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    pass (19);
    reply ("w1", "r1", RP_OK);
    pass (100);
    expect ("w1<r1 c1<r1:OK");
    assert_int_equal (stats ()->hedges, 0);
}

static void s_when_one_of_two_workers_is_lost_the_other_one_goes_on (void **state)
{
    (void) state;
    s_begin_hedged ();
    bye ("w1");
    expect (NOTHING);
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK");
    forget ();

    request_with ("c1", "r2", "upper", s_after_20_ms);
    hello_worker ("w3", "upper", 1);
    pass (20);
    expect ("w2<r2 w3<r2#2");
    bye ("w3");
    expect (NOTHING);
    reply ("w2", "r2", RP_OK);
    expect ("c1<r2:OK");
    assert_int_equal (answer_to ("r2")->attempt, 2);
}

static void s_when_both_are_lost_what_is_left_of_the_attempts_counts (void **state)
{
    (void) state;
    s_begin_hedged ();
    bye ("w2");
    bye ("w1");
    expect ("c1<r1:WORKER_LOST");
    assert_int_equal (answer_to ("r1")->attempt, 2);

    hello_worker ("w3", "upper", 1);
    hello_worker ("w4", "upper", 1);
    request_with ("c1", "r2", "upper", (with_t){.attempts = 3, .hedge = "20"});
    pass (20);
    expect ("w3<r2 w4<r2#2");
    bye ("w4");
    bye ("w3");
    hello_worker ("w5", "upper", 1);
    expect ("w5<r2#3");
    reply ("w5", "r2", RP_OK);
    expect ("c1<r2:OK");
}

static void s_a_delivery_that_its_worker_did_not_begin_is_no_attempt (void **state)
{
    (void) state;
    s_begin_hedged ();
    give_back ("w2", "r1");
    expect (NOTHING);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
    assert_int_equal (answer_to ("r1")->attempt, 1);
    forget ();

    credit ("w2", 1);
    request_with ("c1", "r2", "upper", s_after_20_ms);
    pass (20);
    forget ();
    unsent ("w1", "r2", false);
    reply ("w2", "r2", RP_OK);
    expect ("c1<r2:OK");
    assert_int_equal (answer_to ("r2")->attempt, 1);
}

static void s_its_deadline_and_CANCEL_end_both (void **state)
{
    (void) state;
    s_begin_hedged ();
    cancel ("c1", "r1");
    expect ("w1<cancel:r1 c1<r1:CANCELLED w2<cancel:r1");
    reply ("w1", "r1", RP_OK);
    reply ("w2", "r1", RP_OK);
    expect (NOTHING);
    request_with ("c1", "r2", "upper", (with_t){.attempts = 2, .hedge = "20", .time_ms = 50});
    pass (20);
    forget ();
    pass (30);
    expect ("w1<cancel:r2 c1<r2:DEADLINE w2<cancel:r2");
}

static void s_an_answer_after_the_deadline_ends_with_DEADLINE (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .hedge = "20", .time_ms = 50});
    pass (20);
    forget ();
    slip (30);
    reply ("w1", "r1", RP_OK);
    expect ("w2<cancel:r1 c1<r1:DEADLINE");
}

static void s_its_client_leaves (void **state)
{
    (void) state;
    s_begin_hedged ();
    bye ("c1");
    expect ("w1<cancel:r1 w2<cancel:r1");
    assert_int_equal (stats ()->abandoned, 2);
}

static void s_without_another_worker_with_room_it_waits_as_long_again (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    pass (20);
    hello_worker ("w2", "upper", 1);
    pass (19);
    expect ("w1<r1");
    pass (1);
    expect ("w2<r1#2");
}

/*  Or a request of an hour with a percentile of 1 ms would keep the broker busy.  */
static void s_a_hedge_that_cannot_be_made_is_tried_less_and_less_often (void **state)
{
    (void) state;
    limits ()->hedge_share = 0;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    pass (320);
    assert_int_equal (stats ()->hedges_withheld, 1 + 4); // 20, 40, 80, 160 and 320 ms
    pass (320);
    assert_int_equal (stats ()->hedges_withheld, 1 + 5);
    expect ("w1<r1");
}

static void s_there_is_one_hedge_however_long_it_takes (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_worker ("w3", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 9, .hedge = "20"});
    pass (1000);
    expect ("w1<r1 w2<r1#2");
}

static void s_many_are_hedged_at_once (void **state)
{
    (void) state;
    limits ()->hedge_share = 100;
    hello_worker ("w1", "upper", 64);
    hello_client ("c1");
    char name[8];
    for (unsigned round = 0; round < 9; round++) {
        for (unsigned number = 1; number <= RP_HEDGES_FREE; number++) {
            snprintf (name, sizeof name, "r%u", number);
            request_with ("c1", name, "upper", s_after_20_ms);
        }
        if (round == 0)
            hello_worker ("w2", "upper", 64);
        pass (20);
        for (unsigned number = 1; number <= RP_HEDGES_FREE; number++) {
            snprintf (name, sizeof name, "r%u", number);
            reply (number % 3 ? "w1" : "w2", name, RP_OK);
        }
        assert_int_equal (stats ()->final[RP_OK], RP_HEDGES_FREE * (round + 1));
        bye ("w2");
        hello_worker ("w2", "upper", 64);
        bye ("w1");
        hello_worker ("w1", "upper", 64);
    }
    assert_int_equal (stats ()->hedges, 9 * RP_HEDGES_FREE);
    forget ();
}

static void s_what_waits_comes_before_a_hedge (void **state)
{
    (void) state;
    terms ("upper: concurrency=1");
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    pass (100);
    expect ("w1<r1"); // the terms allow no second one
    request ("c1", "r2", "upper");
    terms (NULL);
    expect ("w2<r2");
}

static void s_a_part_of_the_reply_decides (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper", (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_PARTS});
    hello_foreign_worker ("w2", "upper", (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_PARTS});
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    pass (20);
    part ("w1", "r1", 10);
    expect ("w1<r1 w2<r1#2 w2<cancel:r1");
    last_part ("w1", "r1", 10);
    expect ("c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 20);
    last_part ("w2", "r1", 5);
    expect (NOTHING);

    request_with ("c1", "r2", "upper", s_after_20_ms);
    pass (20);
    forget ();
    part ("w2", "r2", 10); // whichever it was
    bool second = stats ()->hedges == 2;
    assert_true (second);
}

static void s_once_a_part_has_come_there_is_no_hedge (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper", (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_PARTS});
    hello_foreign_worker ("w2", "upper", (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_PARTS});
    hello_client ("c1");
    request_with ("c1", "r1", "upper", s_after_20_ms);
    part ("w1", "r1", 10);
    pass (100);
    expect ("w1<r1");
}

/*  ---- Percentiles ---------------------------------------------------------------------------- */

static void s_ask (unsigned ms)
{
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .hedge = "90%"});
    pass (ms);
    reply ("w1", "r1", RP_OK);
    forget ();
}

static void s_a_percentile_is_of_the_requests_that_asked_for_hedges (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    for (unsigned count = 0; count < 100; count++)
        s_ask (count % 20 ? 10 : 200); // 5 of a hundred take long
    assert_int_equal (stats ()->hedges, 0);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .hedge = "90%"});
    hello_worker ("w2", "upper", 1);
    pass (9);
    expect ("w1<r1");
    pass (2); // times are kept within 4%
    expect ("w2<r1#2");
    reply ("w2", "r1", RP_OK);
    reply ("w1", "r1", RP_OK);
    forget ();
    request_with ("c1", "r2", "upper", (with_t){.attempts = 2, .hedge = "99%"});
    pass (150);
    forget ();
    pass (60);
    assert_int_equal (stats ()->hedges, 2);
}

static void s_a_percentile_of_few_requests_is_not_known (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .hedge = "50%"});
    pass (10000);
    expect ("w1<r1");
}

/*  ---- The share ------------------------------------------------------------------------------ */

/*  Sends a request that w1 keeps for 20 ms; returns whether it was hedged.  */
static bool s_is_hedged (const with_t *with)
{
    uint64_t before = stats ()->hedges;
    request_with ("c1", "r1", "upper", *with);
    pass (20);
    bool hedged = stats ()->hedges > before;
    reply ("w1", "r1", RP_OK);
    if (hedged)
        reply ("w2", "r1", RP_OK);
    forget ();
    return hedged;
}

static void s_hedges_are_a_share_of_the_requests (void **state)
{
    (void) state;
    limits ()->hedge_share = 10;
    hello_worker ("w1", "upper", 4);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    unsigned hedges = 0;
    for (unsigned count = 0; count < 200; count++)
        hedges += s_is_hedged (&s_after_20_ms);
    assert_int_equal (hedges, RP_HEDGES_FREE + 19); // the first found no room for what it earned
    assert_int_equal (stats ()->hedges_withheld, 200 - hedges);
    // Requests that ask for none earn some, too, but not more than the free ones are saved up.
    for (unsigned count = 0; count < 1000; count++) {
        request ("c1", "r2", "upper");
        reply ("w1", "r2", RP_OK);
    }
    forget ();
    for (hedges = 0; s_is_hedged (&s_after_20_ms); hedges++) {
    }
    assert_in_range (hedges, RP_HEDGES_FREE, RP_HEDGES_FREE + 2);
}

static void s_a_share_of_0_allows_none (void **state)
{
    (void) state;
    limits ()->hedge_share = 0;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    assert_false (s_is_hedged (&s_after_20_ms));
}

/*  ---- At the edge ---------------------------------------------------------------------------- */

static void s_a_hedge_that_cannot_be_is_INVALID (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 1, .hedge = "20"});
    expect ("c1<r1:INVALID");
    assert_true (answer_says ("r1", "attempts"));
    static const char *const wrong[] = {"", "0", "20ms", "100%", "0%", "1.2345%", "%", "86400001"};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .hedge = wrong[index]});
        expect ("c1<r1:INVALID");
        assert_true (answer_says ("r1", "95%"));
    }
    static const char *const right[] = {"1", "86400000", "0.001%", "50%", "99.999%", "95.5%"};
    for (size_t index = 0; index < sizeof right / sizeof *right; index++) {
        request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .hedge = right[index]});
        expect ("w1<r1");
        reply ("w1", "r1", RP_OK);
        expect ("c1<r1:OK");
    }
    message ("c1",
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .flags = RP_FLAG_HEDGE | RP_FLAG_KEYED,
        .id = 1,
        .attempts = 2,
        .deadline_ms = 1000,
        .name = "upper",
        .name_size = 5},
      0);
    expect ("c1<r1:INVALID");
}

static void s_the_worker_is_not_told (void **state)
{
    (void) state;
    s_begin_hedged ();
    assert_int_equal (delivery_of ("r1")->flags & RP_FLAG_HEDGE, 0);
}

static const rp_trace_t *s_found;

static void s_find (const rp_trace_t *trace, void *arg)
{
    static rp_trace_t copy;
    (void) arg;
    copy = *trace;
    s_found = &copy;
}

static void s_its_trace_says_so (void **state)
{
    (void) state;
    s_begin_hedged ();
    reply ("w2", "r1", RP_OK);
    assert_int_equal (rp_trace_slowest (audit ()->core, NULL, false, 1, s_find, NULL), 1);
    static const rp_trace_kind_t kinds[] = {
      RP_TRACE_ACCEPTED, RP_TRACE_GIVEN, RP_TRACE_HEDGED, RP_TRACE_GIVEN, RP_TRACE_ENDED};
    assert_int_equal (s_found->count, 5);
    for (size_t index = 0; index < 5; index++)
        assert_int_equal (s_found->events[index].kind, kinds[index]);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_the_second_worker_answers_first),
      S_TEST (s_the_first_worker_answers_first),
      S_TEST (s_a_request_that_is_answered_in_time_is_not_hedged),
      S_TEST (s_when_one_of_two_workers_is_lost_the_other_one_goes_on),
      S_TEST (s_when_both_are_lost_what_is_left_of_the_attempts_counts),
      S_TEST (s_a_delivery_that_its_worker_did_not_begin_is_no_attempt),
      S_TEST (s_its_deadline_and_CANCEL_end_both),
      S_TEST (s_an_answer_after_the_deadline_ends_with_DEADLINE),
      S_TEST (s_its_client_leaves),
      S_TEST (s_without_another_worker_with_room_it_waits_as_long_again),
      S_TEST (s_a_hedge_that_cannot_be_made_is_tried_less_and_less_often),
      S_TEST (s_there_is_one_hedge_however_long_it_takes),
      S_TEST (s_many_are_hedged_at_once),
      S_TEST (s_what_waits_comes_before_a_hedge),
      S_TEST (s_a_part_of_the_reply_decides),
      S_TEST (s_once_a_part_has_come_there_is_no_hedge),
      S_TEST (s_a_percentile_is_of_the_requests_that_asked_for_hedges),
      S_TEST (s_a_percentile_of_few_requests_is_not_known),
      S_TEST (s_hedges_are_a_share_of_the_requests),
      S_TEST (s_a_share_of_0_allows_none),
      S_TEST (s_a_hedge_that_cannot_be_is_INVALID),
      S_TEST (s_the_worker_is_not_told),
      S_TEST (s_its_trace_says_so),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
