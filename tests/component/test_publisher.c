/*  Snapshots and their publisher: what is in a snapshot that is taken in steps while the broker works, and for how long
    a step keeps it from that.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/admin/publisher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/trace.h"

/*  More than a step takes.  */
#define S_SERVICES 20u

static rp_routes_t s_routes;
static rp_foreign_t s_foreign;
static rp_events_t s_events;
static rp_snapshot_reloads_t s_reloads;
static rp_spread_t s_turns;
static rp_compact_cache_t s_cache;
static uint64_t s_zero;
static rp_snapshot_sources_t s_sources;
static rp_snapshot_taking_t *s_taking;
static rp_snapshot_t *s_snapshot;

static int s_setup (void **state)
{
    if (trace_setup (state) != 0)
        return -1;
    limits ()->service_linger = 0;
    rp_events_init (&s_events);
    return 0;
}

/*  Adds services s0, s1 …, each with a worker w0, w1 …, and lets some time pass.  */
static void s_begin (unsigned services)
{
    char worker[16], service[16];
    hello_client ("c1");
    for (unsigned index = 0; index < services; index++) {
        snprintf (worker, sizeof worker, "w%u", index);
        snprintf (service, sizeof service, "s%u", index);
        hello_worker (worker, service, 4);
    }
    pass (1);
    forget ();
    s_sources = (rp_snapshot_sources_t){.core = audit ()->core,
      .routes = &s_routes,
      .foreign = &s_foreign,
      .copied = &s_zero,
      .busy = &s_zero,
      .turns = &s_turns,
      .reloads = &s_reloads,
      .events = &s_events,
      .figures = &s_cache};
}

static int s_teardown (void **state)
{
    rp_snapshot_destroy (&s_snapshot);
    s_snapshot = rp_snapshot_end (&s_taking);
    rp_snapshot_destroy (&s_snapshot);
    rp_compact_cache_clear (&s_cache);
    rp_events_clear (&s_events);
    return trace_teardown (state);
}

static void s_request (const char *service, const char *worker)
{
    request ("c1", "r1", service);
    reply (worker, "r1", RP_OK);
    forget ();
}

static bool s_step (void)
{
    return rp_snapshot_step (s_taking, audit ()->now);
}

static void s_take_first_step (void)
{
    s_taking = rp_snapshot_begin (&s_sources, true, audit ()->now);
    assert_non_null (s_taking);
    assert_false (s_step ());
}

static void s_take_the_rest (void)
{
    while (!s_step ())
        continue;
    s_snapshot = rp_snapshot_end (&s_taking);
    assert_non_null (s_snapshot);
}

static unsigned s_count (const char *name)
{
    unsigned count = 0;
    for (size_t index = 0; index < s_snapshot->service_count; index++)
        count += strcmp (s_snapshot->services[index].info.name, name) == 0;
    return count;
}

static const rp_compact_figures_t *s_figures (const rp_snapshot_t *snapshot, const char *name)
{
    for (size_t index = 0; index < snapshot->figure_count; index++)
        if (strcmp (snapshot->figures[index]->name, name) == 0)
            return snapshot->figures[index];
    fail_msg ("%s has no figures", name);
    return NULL;
}

/*  ---- Steps ---------------------------------------------------------------------------------- */

static void s_a_snapshot_is_not_to_be_had_before_it_is_whole (void **state)
{
    (void) state;
    s_begin (S_SERVICES);
    s_take_first_step ();
    assert_null (rp_snapshot_end (&s_taking));
    s_take_first_step ();
    s_take_the_rest ();
    assert_int_equal (s_snapshot->service_count, S_SERVICES);
    assert_int_equal (s_snapshot->worker_count, S_SERVICES);
    assert_int_equal (s_snapshot->figure_count, S_SERVICES + 1);
    assert_string_equal (s_snapshot->figures[S_SERVICES]->name, RP_FIGURES_OTHER);
}

static void s_the_broker_is_that_of_the_last_step (void **state)
{
    (void) state;
    s_begin (S_SERVICES);
    s_take_first_step ();
    s_request ("s19", "w19");
    s_request ("s0", "w0"); // this service was taken
    int64_t begun = audit ()->now;
    pass (1);
    s_take_the_rest ();
    assert_true (s_snapshot->taken <= begun);
    assert_int_equal (s_snapshot->stats.final[RP_OK], 2);
    assert_int_equal (s_figures (s_snapshot, "s19")->final[RP_OK], 1);
    assert_int_equal (s_figures (s_snapshot, "s0")->final[RP_OK], 0);
}

static void s_a_service_that_went_and_came_again_is_there_once (void **state)
{
    (void) state;
    s_begin (S_SERVICES);
    s_take_first_step ();
    pass (1);
    bye ("w3");
    pass (1);
    bye ("w15");
    pass (1);
    hello_worker ("x3", "s3", 4); // in the place of s15, which was not taken yet
    pass (1);
    forget ();
    s_take_the_rest ();
    assert_int_equal (s_count ("s3"), 1);
    assert_int_equal (s_count ("s15"), 0);
    assert_int_equal (s_count ("s19"), 1);
    assert_int_equal (s_snapshot->service_count, S_SERVICES - 1);
}

static void s_what_came_later_is_not_in_it (void **state)
{
    (void) state;
    s_begin (S_SERVICES);
    s_take_first_step ();
    pass (1);
    hello_worker ("x1", "later", 4);
    forget ();
    s_take_the_rest ();
    assert_int_equal (s_count ("later"), 0);
    assert_int_equal (s_snapshot->worker_count, S_SERVICES);
    rp_snapshot_destroy (&s_snapshot);
    s_snapshot = rp_snapshot_take (&s_sources, true, audit ()->now);
    assert_int_equal (s_count ("later"), 1);
    assert_int_equal (s_snapshot->worker_count, S_SERVICES + 1);
}

/*  ---- Figures -------------------------------------------------------------------------------- */

static void s_figures_are_copied_anew_only_if_they_have_changed (void **state)
{
    (void) state;
    s_begin (2);
    s_request ("s0", "w0");
    s_request ("s1", "w1");
    rp_snapshot_t *before = rp_snapshot_take (&s_sources, true, audit ()->now);
    s_request ("s1", "w1");
    s_snapshot = rp_snapshot_take (&s_sources, true, audit ()->now);
    assert_ptr_equal (s_figures (before, "s0"), s_figures (s_snapshot, "s0"));
    assert_ptr_not_equal (s_figures (before, "s1"), s_figures (s_snapshot, "s1"));
    assert_int_equal (s_figures (before, "s1")->final[RP_OK], 1);
    rp_snapshot_destroy (&before);
    assert_int_equal (s_figures (s_snapshot, "s1")->final[RP_OK], 2);
    assert_int_equal (s_figures (s_snapshot, "s0")->final[RP_OK], 1);
}

static void s_each_thing_that_is_counted_is_a_change (void **state)
{
    (void) state;
    s_begin (2);
    s_snapshot = rp_snapshot_take (&s_sources, true, audit ()->now);
    uint64_t version = s_figures (s_snapshot, "s0")->version;
    const rp_figures_t base = {.name_size = 1, .name = "x"};
    rp_figures_t figures = base;
#define S_CHANGES(member)                                                                          \
    figures = base;                                                                                \
    figures.member = 1;                                                                            \
    assert_true (rp_figures_version (&figures) > rp_figures_version (&base))
    S_CHANGES (final[RP_OK]);
    S_CHANGES (final[RP_STATUS_LAST]);
    S_CHANGES (reply_bytes.sum);
    S_CHANGES (reply_bytes.counts[0]);
    S_CHANGES (workers_lost);
    S_CHANGES (redeliveries);
    assert_int_equal (version, 0);
}

static void s_a_compact_spread_is_the_whole (void **state)
{
    (void) state;
    s_begin (1);
    request ("c1", "r1", "s0");
    request ("c1", "r2", "s0");
    pass (3);
    reply ("w0", "r1", RP_OK);
    pass (4000);
    reply ("w0", "r2", RP_OK);
    forget ();
    s_snapshot = rp_snapshot_take (&s_sources, true, audit ()->now);
    rp_spread_t work;
    rp_compact_expand (&s_figures (s_snapshot, "s0")->work, &work);
    assert_int_equal (work.sum, 4006000);
    assert_int_equal (rp_spread_count (&work), 2);
    assert_int_equal (rp_spread_up_to (&work, 4000), 1);
    rp_compact_expand (&s_figures (s_snapshot, RP_FIGURES_OTHER)->work, &work);
    assert_int_equal (rp_spread_count (&work), 0);
}

/*  ---- Slices --------------------------------------------------------------------------------- */

static int64_t s_cpu_us (void)
{
    struct timespec time;
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t) time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/*  Five times what a slice is to take, and less than half of the whole: this many services that all had requests. Time
    of the processor, since others may run meanwhile; the best of some rounds, since even that has outliers on a busy
    machine.  */
#define S_ROUNDS 5u
#define S_MANY 400u
#ifdef __SANITIZE_ADDRESS__
#define S_LONGEST_US (20 * RP_PUBLISHER_SLICE_US) // whose pages are many
#else
#define S_LONGEST_US (5 * RP_PUBLISHER_SLICE_US)
#endif

/*  Takes a snapshot in slices, for the publisher's reader. Returns how long the longest took, in us.  */
static int64_t s_publish (rp_publisher_t *publisher, unsigned *slices_p)
{
    unsigned slices = 0;
    int64_t longest = 0, all = 0;
    rp_publisher_ask (publisher);
    rp_publisher_hear (publisher, false, audit ()->now);
    publisher->due = INT64_MIN;
    for (int64_t due = audit ()->now + 1; due != INT64_MAX; slices++) {
        int64_t began = s_cpu_us ();
        due = rp_publisher_go_on (publisher, &s_sources, due);
        int64_t took = s_cpu_us () - began;
        longest = took > longest ? took : longest;
        all += took;
    }
    print_message ("%u slices, the longest %d us, all %d us\n", slices, (int) longest, (int) all);
    *slices_p = slices;
    return longest;
}

static void s_many_services_hold_the_broker_for_a_slice_at_a_time (void **state)
{
    (void) state;
    char worker[16], service[16];
    rp_publisher_t publisher;
    assert_true (rp_publisher_init (&publisher));
    s_begin (S_MANY);
    unsigned rounds = 0, slices;
    int64_t changed = INT64_MAX, unchanged = INT64_MAX;
    do {
        rounds++;
        for (unsigned index = 0; index < S_MANY; index++) {
            snprintf (worker, sizeof worker, "w%u", index);
            snprintf (service, sizeof service, "s%u", index);
            s_request (service, worker);
        }
        int64_t longest = s_publish (&publisher, &slices);
        changed = longest < changed ? longest : changed;
        assert_true (slices > 3);
        longest = s_publish (&publisher, &slices);
        unchanged = longest < unchanged ? longest : unchanged;
    } while (rounds < S_ROUNDS && (changed >= S_LONGEST_US || unchanged >= S_LONGEST_US));
    assert_true (changed < S_LONGEST_US);
    assert_true (unchanged < S_LONGEST_US);
    s_snapshot = rp_publisher_take (&publisher);
    assert_int_equal (s_snapshot->service_count, S_MANY);
    assert_int_equal (s_snapshot->stats.final[RP_OK], rounds * S_MANY);
    rp_publisher_clear (&publisher);
}

static void s_who_asks_while_one_is_taken_gets_that_one (void **state)
{
    (void) state;
    rp_publisher_t publisher;
    assert_true (rp_publisher_init (&publisher));
    s_begin (1);
    rp_publisher_ask (&publisher);
    rp_publisher_hear (&publisher, false, 1);
    publisher.taking = rp_snapshot_begin (&s_sources, true, 1);
    publisher.began = 1;
    publisher.wanted = false;
    rp_publisher_ask (&publisher);
    rp_publisher_hear (&publisher, false, RP_PUBLISHER_PAUSE_US);
    assert_false (publisher.wanted);
    rp_publisher_ask (&publisher);
    rp_publisher_hear (&publisher, false, 1 + RP_PUBLISHER_PAUSE_US);
    assert_true (publisher.wanted); // it would be too old
    rp_publisher_clear (&publisher);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_snapshot_is_not_to_be_had_before_it_is_whole),
      S_TEST (s_the_broker_is_that_of_the_last_step),
      S_TEST (s_a_service_that_went_and_came_again_is_there_once),
      S_TEST (s_what_came_later_is_not_in_it),
      S_TEST (s_figures_are_copied_anew_only_if_they_have_changed),
      S_TEST (s_each_thing_that_is_counted_is_a_change),
      S_TEST (s_a_compact_spread_is_the_whole),
      S_TEST (s_many_services_hold_the_broker_for_a_slice_at_a_time),
      S_TEST (s_who_asks_while_one_is_taken_gets_that_one),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
