/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/trace.h"

/*  Sends requests rFIRST to rLAST of one client.  */
static void s_requests (const char *client, const char *service, unsigned first, unsigned last)
{
    for (unsigned id = first; id <= last; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request (client, name, service);
    }
}

static void s_a_client_with_too_much_open_draws_busy_and_others_go_on (void **state)
{
    (void) state;
    limits ()->client_open = 2;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    s_requests ("c1", "upper", 1, 3);
    expect ("w1<r1 c1<r3:BUSY");
    assert_true (answer_says ("r3", "client_open"));
    request ("c2", "r4", "upper");
    expect (NOTHING);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<r2");
    request ("c1", "r5", "upper");
    expect (NOTHING);
}

static void s_who_is_told_of_no_bound_is_bounded_by_bytes (void **state)
{
    (void) state;
    limits ()->client_open = limits ()->service_queue = 1;
    limits ()->foreign_open_bytes = 4096;
    hello_worker ("w1", "upper", 1);
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_WORDLESS, 60000);
    s_requests ("c1", "upper", 1, 7);
    expect ("w1<r1");
    assert_int_equal (stats ()->unanswered[RP_BUSY], 0);
    s_requests ("c1", "upper", 8, 9);
    expect ("c1<r9:BUSY");
    assert_int_equal (stats ()->unanswered[RP_BUSY], 1);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<r2");
    request ("c1", "r10", "upper");
    expect (NOTHING);
}

static void s_its_requests_take_no_place_of_others_in_the_queue (void **state)
{
    (void) state;
    limits ()->service_queue = 1;
    hello_worker ("w1", "upper", 1);
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_WORDLESS, 60000);
    s_requests ("c1", "upper", 1, 5);
    hello_client ("c2");
    s_requests ("c2", "upper", 6, 7);
    expect ("w1<r1 c2<r7:BUSY");
}

static void s_requests_of_a_wordless_client_that_is_cut_are_counted (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_WORDLESS, 60000);
    s_requests ("c1", "upper", 1, 3);
    unsent ("c1", NULL, true);
    tick ();
    assert_int_equal (stats ()->unanswered[RP_CANCELLED], 3);
    assert_int_equal (logged (RP_TOPIC_UNANSWERED), 3);
}

static void s_a_lower_limit_holds_from_the_next_request_and_ends_nothing (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_requests ("c1", "upper", 1, 3);
    expect ("w1<r1");
    rp_limits_t lower = *rp_dispatch_limits (audit ()->core);
    lower.client_open = lower.service_queue = 1;
    lower.max_clients = 1;
    lower.max_body = 1;
    rp_dispatch_set_limits (audit ()->core, &lower);
    request ("c1", "r4", "upper");
    expect ("c1<r4:BUSY");
    assert_true (answer_says ("r4", "client_open"));
    for (unsigned id = 1; id <= 3; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        reply ("w1", name, RP_OK);
    }
    expect ("c1<r1:OK w1<r2 c1<r2:OK w1<r3 c1<r3:OK");
    // Limits that need a restart do not change.
    assert_int_equal (rp_dispatch_limits (audit ()->core)->max_clients, 100000);
    hello_client ("c2");
}

static void s_a_higher_limit_holds_from_the_next_request (void **state)
{
    (void) state;
    limits ()->service_queue = 1;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    s_requests ("c1", "upper", 1, 3);
    expect ("w1<r1 c1<r3:BUSY");
    rp_limits_t higher = *rp_dispatch_limits (audit ()->core);
    higher.service_queue = 2;
    rp_dispatch_set_limits (audit ()->core, &higher);
    s_requests ("c1", "upper", 4, 5);
    expect ("c1<r5:BUSY");
}

static void s_the_limit_of_open_requests_is_in_the_welcome (void **state)
{
    (void) state;
    limits ()->client_open = 77;
    hello_client ("c1");
    assert_int_equal (last_greeting ()->max_open, 77);
}

static void s_a_full_service_queue_refuses_and_the_caller_keeps_the_request (void **state)
{
    (void) state;
    limits ()->service_queue = 2;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "lower", 1);
    hello_client ("c1");
    s_requests ("c1", "upper", 1, 4);
    expect ("w1<r1 c1<r4:BUSY");
    assert_true (answer_says ("r4", "service_queue"));
    assert_int_equal (answer_to ("r4")->attempt, 0);
    request ("c1", "r5", "lower");
    expect ("w2<r5");
}

static void s_a_request_that_a_worker_has_room_for_never_meets_the_queue (void **state)
{
    (void) state;
    limits ()->service_queue_bytes = 100;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.size = 5000});
    expect ("w1<r1");
    request_with ("c1", "r2", "upper", (with_t){.size = 60});
    request_with ("c1", "r3", "upper", (with_t){.size = 60});
    expect ("c1<r3:BUSY");
    assert_true (answer_says ("r3", "service_queue_bytes"));
    request_with ("c1", "r4", "upper", (with_t){.size = 40});
    expect (NOTHING);
}

/*  Another attempt could never help, so the text names the limit to raise or says that the body is
    too large.  */
static void s_what_could_never_wait_is_too_large_and_not_busy (void **state)
{
    (void) state;
    limits ()->service_queue_bytes = 100;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.size = 5000});
    request_with ("c1", "r2", "upper", (with_t){.size = 101});
    expect ("w1<r1 c1<r2:TOO_LARGE");
    assert_true (
      answer_says ("r2", "101 bytes") && answer_says ("r2", "100 (service_queue_bytes)"));
    assert_int_equal (stats ()->too_large, 1);
    request_with ("c1", "r3", "upper", (with_t){.size = 100});
    request_with ("c1", "r4", "upper", (with_t){.size = 1});
    expect ("c1<r4:BUSY");
    assert_true (answer_says ("r4", "service_queue_bytes"));
}

static void s_what_could_never_be_open_is_too_large_and_not_busy (void **state)
{
    (void) state;
    limits ()->total_queue_bytes = 1000;
    hello_worker ("w1", "upper", 9);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.size = 1001});
    expect ("c1<r1:TOO_LARGE");
    assert_true (answer_says ("r1", "1000 (total_queue_bytes)"));
    assert_int_equal (stats ()->too_large, 1);
    request_with ("c1", "r2", "upper", (with_t){.size = 1000});
    expect ("w1<r2");
}

static void s_what_waits_behind_in_a_conversation_counts_for_the_queue (void **state)
{
    (void) state;
    limits ()->service_queue = 2;
    hello_worker ("w1", "site", 9);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    next_in ("c1", "r4", "site", "k1");
    expect ("w1<r1 c1<r4:BUSY");
    request ("c1", "r5", "site");
    expect ("w1<r5");
}

static void s_a_full_queue_does_not_stop_a_conversation_whose_worker_has_room (void **state)
{
    (void) state;
    limits ()->service_queue = 1;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    reply ("w1", "r1", RP_OK);
    drain ("w1");
    request ("c1", "r2", "site");
    next_in ("c1", "r3", "site", "k1");
    expect ("w1<r1 c1<r1:OK w1<r3");
}

static void s_too_many_requests_in_the_broker_draw_busy (void **state)
{
    (void) state;
    limits ()->total_queue = 3;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "lower", 9);
    hello_client ("c1");
    hello_client ("c2");
    s_requests ("c1", "upper", 1, 3);
    request ("c2", "r4", "lower");
    expect ("w1<r1 c2<r4:BUSY");
    assert_true (answer_says ("r4", "total_queue"));
}

static void s_what_was_cancelled_is_not_open_any_more (void **state)
{
    (void) state;
    limits ()->total_queue = 2;
    hello_worker ("w1", "upper", 9);
    hello_client ("c1");
    s_requests ("c1", "upper", 1, 2);
    cancel ("c1", "r1");
    expect ("w1<r1 w1<r2 c1<r1:CANCELLED w1<cancel:r1");
    request ("c1", "r3", "upper");
    expect ("w1<r3");
}

static void s_too_many_bytes_in_the_broker_draw_busy (void **state)
{
    (void) state;
    limits ()->total_queue_bytes = 1000;
    hello_worker ("w1", "upper", 9);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.size = 600});
    request_with ("c1", "r2", "upper", (with_t){.size = 401});
    expect ("w1<r1 c1<r2:BUSY");
    assert_true (answer_says ("r2", "total_queue_bytes"));
    request_with ("c1", "r3", "upper", (with_t){.size = 400});
    expect ("w1<r3");
    reply ("w1", "r1", RP_OK);
    request_with ("c1", "r4", "upper", (with_t){.size = 600});
    expect ("c1<r1:OK w1<r4");
}

static void s_what_a_worker_may_not_have_read_counts_until_it_has_replied (void **state)
{
    (void) state;
    limits ()->total_queue_bytes = 1000;
    hello_worker ("w1", "upper", 9);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.size = 900});
    cancel ("c1", "r1");
    request_with ("c1", "r2", "upper", (with_t){.size = 200});
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1 c1<r2:BUSY");
    reply ("w1", "r1", RP_OK);
    request_with ("c1", "r3", "upper", (with_t){.size = 200});
    expect ("w1<r3");
}

static void s_replies_that_clients_have_not_read_are_bytes_in_the_broker (void **state)
{
    (void) state;
    limits ()->total_queue_bytes = 1000;
    hello_worker ("w1", "upper", 9);
    hello_client ("c1");
    rp_dispatch_set_backlog (audit ()->core, 401);
    request_with ("c1", "r1", "upper", (with_t){.size = 600});
    expect ("c1<r1:BUSY");
    assert_true (answer_says ("r1", "total_queue_bytes"));
    rp_dispatch_set_backlog (audit ()->core, 400);
    request_with ("c1", "r2", "upper", (with_t){.size = 600});
    expect ("w1<r2");
}

static void s_too_many_clients_draw_busy (void **state)
{
    (void) state;
    limits ()->max_clients = 1;
    hello_client ("c1");
    hello ("c2", &(rp_head_t){.interval_ms = 1000});
    expect ("c2<bye:BUSY");
    hello_worker ("w1", "upper", 1);
    bye ("c1");
    hello_client ("c2");
    expect (NOTHING);
    assert_int_equal (stats ()->hellos_refused, 1);
}

static void s_too_many_workers_draw_busy (void **state)
{
    (void) state;
    limits ()->max_workers = 1;
    hello_worker ("w1", "upper", 1);
    hello (
      "w2", &(rp_head_t){.flags = RP_FLAG_WORKER, .window = 1, .name = "lower", .name_size = 5});
    expect ("w2<bye:BUSY");
    assert_int_equal (counts ().services, 1);
    hello_client ("c1");
}

static void s_too_many_services_draw_busy (void **state)
{
    (void) state;
    limits ()->max_services = 1;
    hello_worker ("w1", "upper", 1);
    hello (
      "w2", &(rp_head_t){.flags = RP_FLAG_WORKER, .window = 1, .name = "lower", .name_size = 5});
    expect ("w2<bye:BUSY");
    hello_client ("c1");
    request_with ("c1", "r1", "lower", (with_t){.wait_ms = 1000});
    expect ("c1<r1:BUSY");
    assert_true (answer_says ("r1", "max_services"));
}

static void s_a_flood_of_unknown_names_stays_bounded_and_expires (void **state)
{
    (void) state;
    limits ()->max_services = 50;
    limits ()->rejoin_grace = 1000;
    hello_client ("c1");
    for (unsigned index = 1; index <= 2000; index++) {
        char name[16], service[16];
        snprintf (name, sizeof name, "r%u", index);
        snprintf (service, sizeof service, "s%u", index);
        request_with ("c1", name, service, (with_t){.wait_ms = index % 2 ? 5000 : 0});
        assert_true (counts ().services <= 50);
    }
    assert_int_equal (stats ()->final[RP_BUSY], 1950);
    pass (5000);
    assert_int_equal (stats ()->final[RP_NO_WORKER], 50);
    assert_int_equal (counts ().services, 0);
}

static void s_a_body_over_the_limit_draws_too_large_with_the_limit_in_its_text (void **state)
{
    (void) state;
    limits ()->max_body = 1024;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.size = 1025, .oversized = true});
    expect ("c1<r1:TOO_LARGE");
    assert_true (answer_says ("r1", "1025") && answer_says ("r1", "1024"));
    assert_int_equal (stats ()->too_large, 1);
    assert_true (is_there ("c1"));
}

static void s_a_reply_over_the_limit_ends_the_request_with_an_error_that_says_so (void **state)
{
    (void) state;
    limits ()->max_body = 1024;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    reply_with ("w1", "r1", &(rp_head_t){.status = RP_OK, .flags = RP_FLAG_INLINE}, true);
    expect ("w1<r1 c1<r1:APP_ERROR");
    assert_true (answer_says ("r1", "max_body"));
    assert_int_equal (stats ()->too_large, 1);
    request ("c1", "r2", "upper");
    expect ("w1<r2");
}

static void s_a_reply_over_the_limit_is_an_answer_in_its_conversation (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_worker ("w2", "site", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    reply_with ("w1", "r1", &(rp_head_t){.status = RP_OK}, true);
    request_with ("c1", "r2", "site", (with_t){.attempts = 2, .conversation = "k1"});
    expect ("w1<r1 c1<r1:APP_ERROR w1<r2");
    reply_with ("w1", "r2", &(rp_head_t){.flags = RP_FLAG_LAST}, true);
    expect ("c1<r2:APP_ERROR w1<end:k1");
}

static void s_a_late_reply_over_the_limit_is_only_late (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    reply_with ("w1", "r1", &(rp_head_t){.status = RP_OK}, true);
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    assert_int_equal (stats ()->late_replies, 1);
    assert_int_equal (stats ()->abandoned, 0);
}

/*  ---- Names of the broker's own -------------------------------------------------------------- */

static void s_reserved_names_are_denied_to_clients (void **state)
{
    (void) state;
    hello_client ("c1");
    request ("c1", "r1", "riposte.nothing");
    request ("c1", "r2", "riposte.");
    expect ("c1<r1:DENIED c1<r2:DENIED");
    assert_int_equal (stats ()->final[RP_DENIED], 2);
}

static void s_reserved_names_are_denied_to_workers (void **state)
{
    (void) state;
    static const char *const names[] = {"riposte.ping", "riposte.x", "mmi.service", "mmi."};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        hello ("w1", &(rp_head_t){.flags = RP_FLAG_WORKER,
                       .window = 1,
                       .name = names[index],
                       .name_size = (uint8_t) strlen (names[index])});
        expect ("w1<bye:DENIED");
    }
    assert_int_equal (counts ().workers + counts ().services, 0);
}

static void s_a_name_that_only_contains_a_reserved_one_is_routed_normally (void **state)
{
    (void) state;
    hello_worker ("w1", "xmmi.service", 1);
    hello_worker ("w2", "riposte", 1);
    hello_client ("c1");
    request ("c1", "r1", "xmmi.service");
    request ("c1", "r2", "riposte");
    expect ("w1<r1 w2<r2");
}

static void s_requests_for_the_brokers_own_services_go_to_the_broker (void **state)
{
    (void) state;
    hello_client ("c1");
    request ("c1", "r1", "riposte.ping");
    request ("c1", "r2", "riposte.status");
    request ("c1", "r3", "riposte.services");
    request ("c1", "r4", "riposte.workers");
    expect ("admin:riposte.ping admin:riposte.status admin:riposte.services "
            "admin:riposte.workers");
    assert_int_equal (stats ()->admin_requests, 4);
    assert_int_equal (stats ()->requests, 0);
}

static void s_every_name_of_mmi_goes_to_the_broker (void **state)
{
    (void) state;
    hello_client ("c1");
    request ("c1", "r1", "mmi.service");
    request ("c1", "r2", "mmi.nothing");
    request ("c1", "r3", "mmi.");
    expect ("admin:mmi.service admin:mmi.nothing admin:mmi.");
    assert_int_equal (stats ()->admin_requests, 3);
    drain_broker ();
    request ("c1", "r4", "mmi.service");
    expect ("c1<drain admin:mmi.service");
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_client_with_too_much_open_draws_busy_and_others_go_on),
      S_TEST (s_who_is_told_of_no_bound_is_bounded_by_bytes),
      S_TEST (s_its_requests_take_no_place_of_others_in_the_queue),
      S_TEST (s_requests_of_a_wordless_client_that_is_cut_are_counted),
      S_TEST (s_a_lower_limit_holds_from_the_next_request_and_ends_nothing),
      S_TEST (s_a_higher_limit_holds_from_the_next_request),
      S_TEST (s_the_limit_of_open_requests_is_in_the_welcome),
      S_TEST (s_a_full_service_queue_refuses_and_the_caller_keeps_the_request),
      S_TEST (s_a_request_that_a_worker_has_room_for_never_meets_the_queue),
      S_TEST (s_what_could_never_wait_is_too_large_and_not_busy),
      S_TEST (s_what_could_never_be_open_is_too_large_and_not_busy),
      S_TEST (s_what_waits_behind_in_a_conversation_counts_for_the_queue),
      S_TEST (s_a_full_queue_does_not_stop_a_conversation_whose_worker_has_room),
      S_TEST (s_too_many_requests_in_the_broker_draw_busy),
      S_TEST (s_what_was_cancelled_is_not_open_any_more),
      S_TEST (s_too_many_bytes_in_the_broker_draw_busy),
      S_TEST (s_what_a_worker_may_not_have_read_counts_until_it_has_replied),
      S_TEST (s_replies_that_clients_have_not_read_are_bytes_in_the_broker),
      S_TEST (s_too_many_clients_draw_busy),
      S_TEST (s_too_many_workers_draw_busy),
      S_TEST (s_too_many_services_draw_busy),
      S_TEST (s_a_flood_of_unknown_names_stays_bounded_and_expires),
      S_TEST (s_a_body_over_the_limit_draws_too_large_with_the_limit_in_its_text),
      S_TEST (s_a_reply_over_the_limit_ends_the_request_with_an_error_that_says_so),
      S_TEST (s_a_reply_over_the_limit_is_an_answer_in_its_conversation),
      S_TEST (s_a_late_reply_over_the_limit_is_only_late),
      S_TEST (s_reserved_names_are_denied_to_clients),
      S_TEST (s_reserved_names_are_denied_to_workers),
      S_TEST (s_a_name_that_only_contains_a_reserved_one_is_routed_normally),
      S_TEST (s_requests_for_the_brokers_own_services_go_to_the_broker),
      S_TEST (s_every_name_of_mmi_goes_to_the_broker),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
