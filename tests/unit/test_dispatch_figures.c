/*  Figures of services: times, finals and bytes, and whose they are.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/trace.h"

typedef struct {
    const char *name;
    rp_figures_t found;
    unsigned count;
    uint64_t final[RP_FINAL_COUNT];
} s_search_t;

static s_search_t s_search;

static void s_see (const rp_figures_t *figures, void *arg)
{
    s_search_t *search = arg;
    search->count++;
    if (strcmp (figures->name, search->name) == 0)
        search->found = *figures;
    for (unsigned status = 0; status < RP_FINAL_COUNT; status++)
        search->final[status] += figures->final[status];
}

static const rp_figures_t *s_figures (const char *name)
{
    s_search = (s_search_t){.name = name};
    rp_dispatch_each_figures (audit ()->core, s_see, &s_search);
    return &s_search.found;
}

static void s_assert_near (uint64_t value, uint64_t expected)
{
    assert_in_range (value, expected - expected / 25, expected + expected / 25);
}

static void s_a_request_counts_with_its_times_and_bytes (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.size = 1000});
    request ("c1", "r2", "upper");
    pass (20);
    reply_sized ("w1", "r1", &(rp_head_t){.status = RP_OK}, 300, false);
    pass (5);
    reply ("w1", "r2", RP_APP_ERROR);
    forget ();
    const rp_figures_t *upper = s_figures ("upper");
    assert_int_equal (upper->final[RP_OK], 1);
    assert_int_equal (upper->final[RP_APP_ERROR], 1);
    assert_int_equal (rp_spread_count (&upper->work), 2);
    assert_int_equal (upper->queue.sum, 20000);
    assert_int_equal (upper->work.sum, 25000);
    assert_int_equal (upper->total.sum, 45000);
    s_assert_near (rp_spread_quantile (&upper->total, 99000), 25000);
    assert_int_equal (upper->request_bytes.counts[10], 1);
    assert_int_equal (upper->reply_bytes.counts[9], 1);
}

static void s_a_request_that_no_worker_had_has_no_time_at_a_worker (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 0);
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 10});
    pass (10);
    expect ("c1<r1:EXPIRED");
    const rp_figures_t *upper = s_figures ("upper");
    assert_int_equal (upper->final[RP_EXPIRED], 1);
    assert_int_equal (rp_spread_count (&upper->work), 0);
    assert_int_equal (upper->queue.sum, 10000);
    assert_int_equal (upper->total.sum, 10000);
}

static void s_lost_workers_and_redeliveries_count_for_their_service (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    hello_worker ("w2", "upper", 1);
    unsent ("w1", NULL, false);
    tick ();
    reply ("w2", "r1", RP_OK);
    forget ();
    const rp_figures_t *upper = s_figures ("upper");
    assert_int_equal (upper->workers_lost, 1);
    assert_int_equal (upper->redeliveries, 1);
    assert_int_equal (stats ()->redeliveries, 1);
}

static void s_a_service_that_comes_again_goes_on_counting (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    hello_client ("c1");
    for (unsigned time = 0; time < 2; time++) {
        hello_worker ("w1", "upper", 1);
        request ("c1", "r1", "upper");
        reply ("w1", "r1", RP_OK);
        bye ("w1");
        tick ();
        assert_int_equal (counts ().services, 0);
    }
    forget ();
    assert_int_equal (s_figures ("upper")->final[RP_OK], 2);
}

static void s_names_that_were_only_asked_for_share_the_figures_of_other (void **state)
{
    (void) state;
    hello_client ("c1");
    request ("c1", "r1", "uper");
    request ("c1", "r2", "lower");
    expect ("c1<r1:NO_WORKER c1<r2:NO_WORKER");
    assert_int_equal (s_figures (RP_FIGURES_OTHER)->final[RP_NO_WORKER], 2);
    assert_int_equal (s_search.count, 1);
}

static void s_services_beyond_the_bound_share_the_figures_of_other (void **state)
{
    (void) state;
    char name[16], worker[16];
    for (unsigned index = 0; index <= RP_FIGURES_MAX; index++) {
        snprintf (name, sizeof name, "s%u", index);
        snprintf (worker, sizeof worker, "w%u", index);
        hello_worker (worker, name, 1);
    }
    hello_client ("c1");
    request ("c1", "r1", name);
    reply (worker, "r1", RP_OK);
    forget ();
    assert_int_equal (s_figures (RP_FIGURES_OTHER)->final[RP_OK], 1);
    assert_int_equal (s_search.count, RP_FIGURES_MAX + 1);
}

static void s_a_service_that_is_named_like_the_shared_figures_has_none_of_its_own (void **state)
{
    (void) state;
    hello_worker ("w1", RP_FIGURES_OTHER, 1);
    (void) s_figures (RP_FIGURES_OTHER);
    assert_int_equal (s_search.count, 1);
}

static void s_finals_of_all_figures_are_those_of_the_broker (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "nowhere");
    request_with ("c1", "r3", "upper", (with_t){.overdue = true});
    request ("c1", "r4", "upper");
    cancel ("c1", "r4");
    forget ();
    (void) s_figures ("upper");
    for (unsigned status = 0; status < RP_FINAL_COUNT; status++)
        assert_int_equal (s_search.final[status], stats ()->final[status]);
}

static void s_slow_is_what_takes_longer_than_the_p99_or_than_the_limit (void **state)
{
    (void) state;
    limits ()->slow = 3;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    assert_int_equal (s_figures ("upper")->slow_us, UINT32_MAX - 1);
    for (unsigned count = 0; count < 100; count++) {
        request ("c1", "r1", "upper");
        slip (2);
        reply ("w1", "r1", RP_OK);
        forget ();
    }
    pass (6000);
    s_assert_near (s_figures ("upper")->slow_us, 2000);
    s_assert_near (s_figures (RP_FIGURES_OTHER)->slow_us, 3000);
    forget ();
}

static void s_take (const rp_service_info_t *info, void *arg)
{
    *(rp_service_info_t *) arg = *info;
}

static void s_rates_are_those_of_the_last_seconds (void **state)
{
    (void) state;
    rp_service_info_t info = {0};
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    for (unsigned second = 0; second < 20; second++) {
        for (unsigned count = 0; count < 3; count++) {
            request ("c1", "r1", "upper");
            reply ("w1", "r1", RP_OK);
        }
        request ("c1", "r1", "upper");
        cancel ("c1", "r1");
        reply ("w1", "r1", RP_OK);
        pass (1000);
        forget ();
    }
    rp_dispatch_each_service (audit ()->core, audit ()->now, s_take, &info);
    s_assert_near (info.arrivals, 4000);
    s_assert_near (info.failures, 1000);
    assert_int_equal (info.idle, 1);
    assert_non_null (info.figures);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_counts_with_its_times_and_bytes),
      S_TEST (s_a_request_that_no_worker_had_has_no_time_at_a_worker),
      S_TEST (s_lost_workers_and_redeliveries_count_for_their_service),
      S_TEST (s_a_service_that_comes_again_goes_on_counting),
      S_TEST (s_names_that_were_only_asked_for_share_the_figures_of_other),
      S_TEST (s_services_beyond_the_bound_share_the_figures_of_other),
      S_TEST (s_a_service_that_is_named_like_the_shared_figures_has_none_of_its_own),
      S_TEST (s_finals_of_all_figures_are_those_of_the_broker),
      S_TEST (s_slow_is_what_takes_longer_than_the_p99_or_than_the_limit),
      S_TEST (s_rates_are_those_of_the_last_seconds),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
