/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/admin/dashboard.h"
#include "broker/admin/overview.h"

#define S_MAX 1100

/*  The snapshot of a test, its services and their figures.  */
static rp_snapshot_t s_snapshot;
static rp_snapshot_service_t s_services[S_MAX];
static rp_compact_figures_t s_figures[S_MAX];
static rp_compact_figures_t *s_figure_list[S_MAX];
static uint64_t s_buckets[4 * RP_SPREAD_BUCKETS];
static size_t s_bucket_count;
static rp_snapshot_worker_t s_workers[300];
static char s_names[S_MAX][40];
static rp_cause_t s_causes[S_MAX];

static int s_setup (void **state)
{
    (void) state;
    memset (&s_snapshot, 0, sizeof s_snapshot);
    memset (s_services, 0, sizeof s_services);
    memset (s_figures, 0, sizeof s_figures);
    s_snapshot.services = s_services;
    s_snapshot.figures = s_figure_list;
    s_bucket_count = 0;
    s_snapshot.workers = s_workers;
    return 0;
}

/*  Adds a service with idle workers, and figures of its own.  */
static rp_snapshot_service_t *s_add (const char *name, uint32_t workers)
{
    size_t index = s_snapshot.service_count++;
    snprintf (s_names[index], sizeof s_names[index], "%s", name);
    s_figures[index].name = s_names[index];
    s_services[index].info = (rp_service_info_t){
      .name = s_names[index], .workers = workers, .idle = workers, .window = workers};
    s_snapshot.counts.workers += workers;
    s_figure_list[s_snapshot.figure_count++] = &s_figures[index];
    return &s_services[index];
}

/*  Gives figures a spread.  */
static void s_spread (rp_compact_spread_t *to, const rp_spread_t *from)
{
    *to = (rp_compact_spread_t){
      .sum = from->sum, .counts = s_buckets + s_bucket_count, .size = RP_SPREAD_BUCKETS};
    memcpy (s_buckets + s_bucket_count, from->counts, sizeof from->counts);
    s_bucket_count += RP_SPREAD_BUCKETS;
}

static void s_blame (rp_snapshot_service_t *service, rp_cause_t cause)
{
    service->causes = &s_causes[service - s_services];
    service->cause_count = 1;
    service->causes[0] = cause;
}

/*  Makes all workers of a service busy, with requests that wait.  */
static void s_load (rp_snapshot_service_t *service, uint64_t waiting, int64_t oldest_us)
{
    s_blame (service, (rp_cause_t){.kind = RP_CAUSE_BUSY,
                        .weight = waiting,
                        .waiting = waiting,
                        .oldest_us = oldest_us,
                        .since_us = oldest_us,
                        .workers = 4,
                        .concerned = 4,
                        .more = 1});
}

static json_t *s_overview;

static const char *s_text (void)
{
    json_decref (s_overview);
    s_overview = rp_overview_json (&s_snapshot);
    assert_non_null (s_overview);
    return json_string_value (json_object_get (s_overview, "text"));
}

static int s_teardown (void **state)
{
    (void) state;
    json_decref (s_overview);
    s_overview = NULL;
    return 0;
}

static const char *s_member (const char *name)
{
    return json_string_value (json_object_get (s_overview, name));
}

static const json_t *s_service (size_t index)
{
    return json_array_get (json_object_get (s_overview, "services"), index);
}

static const char *s_service_text (size_t index, const char *name)
{
    return json_string_value (json_object_get (s_service (index), name));
}

static void a_broker_without_services_is_ready (void **state)
{
    (void) state;
    assert_string_equal (s_text (), "Ready: no worker has come yet");
    assert_string_equal (s_member ("state"), "ok");
}

static void all_that_does_well_is_one_sentence (void **state)
{
    (void) state;
    s_add ("a", 1);
    s_add ("b", 47)->info.arrivals = 31200000;
    rp_spread_t total = {0};
    for (int count = 0; count < 1000; count++)
        rp_spread_add (&total, 900);
    s_spread (&s_figures[1].total, &total);
    assert_string_equal (s_text (), "Healthy: 2 services, 48 workers, 31,200/s, p99 911 µs");
    assert_string_equal (s_member ("state"), "ok");
}

static void jobs_that_wait_are_in_the_sentence (void **state)
{
    (void) state;
    s_snapshot.jobs = (rp_jobs_figures_t){.open = 12008, .running = 8};
    assert_string_equal (s_text (), "Ready: no worker has come yet"); // without a store
    assert_true (json_is_null (json_object_get (s_overview, "jobs")));
    s_snapshot.keeps_jobs = true;
    assert_string_equal (s_text (), "Ready: no worker has come yet, 12,000 jobs wait");
    assert_int_equal (
      json_integer_value (json_object_get (json_object_get (s_overview, "jobs"), "open")), 12008);
    s_add ("a", 1);
    s_snapshot.jobs.open = 9;
    assert_string_equal (s_text (), "Healthy: 1 service, 1 worker, 0/s, 1 job waits");
    s_snapshot.jobs.open = 8;
    assert_string_equal (s_text (), "Healthy: 1 service, 1 worker, 0/s");
}

static void the_worst_is_first_and_in_the_sentence (void **state)
{
    (void) state;
    s_add ("fine", 1);
    s_load (s_add ("slow", 4), 10, 30000000);
    s_load (s_add ("slower", 4), 20, 30000000);
    assert_memory_equal (s_text (), "slower: ", 8);
    assert_non_null (strstr (s_text (), " · and 1 other service"));
    assert_string_equal (s_member ("state"), "bad");
    assert_string_equal (s_service_text (0, "name"), "slower");
    assert_string_equal (s_service_text (1, "name"), "slow");
    assert_string_equal (s_service_text (2, "name"), "fine");
    assert_string_equal (s_service_text (2, "state"), "ok");
    const json_t *cause = json_array_get (json_object_get (s_service (0), "causes"), 0);
    assert_string_equal (json_string_value (json_object_get (cause, "kind")), "busy");
    assert_string_equal (json_string_value (json_object_get (cause, "state")), "bad");
}

static void a_short_queue_before_busy_workers_is_no_fault (void **state)
{
    (void) state;
    rp_snapshot_service_t *service = s_add ("upper", 4);
    s_load (service, 3, 20000);
    (void) s_text ();
    assert_string_equal (s_member ("state"), "ok");
    s_load (service, 3, 5000000);
    (void) s_text ();
    assert_string_equal (s_member ("state"), "warn");
}

static void a_service_that_nobody_serves_is_bad_at_once (void **state)
{
    (void) state;
    s_blame (s_add ("gone", 0), (rp_cause_t){.kind = RP_CAUSE_NO_WORKER, .weight = 1});
    assert_memory_equal (s_text (), "gone: ", 6);
    assert_string_equal (s_member ("state"), "bad");
}

static void a_broker_that_drains_says_so (void **state)
{
    (void) state;
    s_add ("upper", 1);
    s_snapshot.draining = true;
    s_snapshot.stats.running = 5;
    assert_string_equal (s_text (), "Draining: takes nothing new; 5 running");
    assert_string_equal (s_member ("state"), "warn");
}

static void the_list_of_services_is_bounded_and_has_the_worst (void **state)
{
    (void) state;
    char name[16];
    for (int index = 0; index < S_MAX; index++) {
        snprintf (name, sizeof name, "s%04d", index);
        s_add (name, 1);
    }
    s_blame (&s_services[S_MAX - 1], (rp_cause_t){.kind = RP_CAUSE_NO_WORKER, .weight = 1});
    (void) s_text ();
    assert_int_equal (
      json_array_size (json_object_get (s_overview, "services")), RP_OVERVIEW_SERVICES_MAX);
    assert_int_equal (json_integer_value (json_object_get (s_overview, "services_left_out")),
      S_MAX - RP_OVERVIEW_SERVICES_MAX);
    assert_string_equal (s_service_text (0, "name"), "s1099");
}

static void one_service_has_its_workers_and_both_histograms (void **state)
{
    (void) state;
    s_add ("other", 1);
    s_add ("upper\x1b", 300);
    for (size_t index = 0; index < 300; index++)
        s_workers[index].info = (rp_worker_info_t){
          .name = "w", .service = index < 250 ? s_names[1] : s_names[0], .principal = "p"};
    s_snapshot.worker_count = 300;
    rp_spread_t queue = {0};
    rp_spread_t work = {0};
    rp_spread_add (&queue, 40);
    rp_spread_add (&queue, 41);
    rp_spread_add (&work, 100000);
    s_spread (&s_figures[1].queue, &queue);
    s_spread (&s_figures[1].work, &work);
    bool found;
    json_t *service = rp_overview_service_json (&s_snapshot, "upper\\x1b", &found);
    assert_true (found);
    assert_int_equal (
      json_array_size (json_object_get (service, "worker_list")), RP_OVERVIEW_WORKERS_MAX);
    assert_int_equal (json_integer_value (json_object_get (service, "workers_left_out")), 50);
    const json_t *bars = json_object_get (service, "bars");
    const json_t *first = json_array_get (bars, 0);
    const json_t *last = json_array_get (bars, json_array_size (bars) - 1);
    assert_int_equal (json_integer_value (json_array_get (first, 0)), 40);
    assert_int_equal (json_integer_value (json_array_get (first, 1)), 2);
    assert_in_range (json_integer_value (json_array_get (last, 0)), 80000, 100000);
    assert_int_equal (json_integer_value (json_array_get (last, 2)), 1);
    json_decref (service);
    assert_null (rp_overview_service_json (&s_snapshot, "nothing", &found));
    assert_false (found);
}

static void the_page_has_texts_for_readers_without_javascript (void **state)
{
    (void) state;
    size_t size;
    s_add ("<b>&\"'", 1);
    (void) s_text ();
    char *page = rp_dashboard_write (s_overview, &size);
    assert_int_equal (strlen (page), size);
    assert_non_null (strstr (page, "<bdi>&lt;b&gt;&amp;&quot;&#39;</bdi>"));
    assert_non_null (strstr (page, "Healthy: 1 service, 1 worker"));
    assert_null (strstr (page, "<!--services-->"));
    assert_non_null (strstr (page, "</html>"));
    free (page);
}

static void a_page_for_those_who_may_not_see_it_has_no_data (void **state)
{
    (void) state;
    size_t size;
    char *page = rp_dashboard_write (NULL, &size);
    assert_non_null (strstr (page, "A token is wanted"));
    assert_null (strstr (page, "<bdi>"));
    assert_null (strstr (page, "<!--broker-->"));
    free (page);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (a_broker_without_services_is_ready),
      S_TEST (all_that_does_well_is_one_sentence),
      S_TEST (jobs_that_wait_are_in_the_sentence),
      S_TEST (the_worst_is_first_and_in_the_sentence),
      S_TEST (a_short_queue_before_busy_workers_is_no_fault),
      S_TEST (a_service_that_nobody_serves_is_bad_at_once),
      S_TEST (a_broker_that_drains_says_so),
      S_TEST (the_list_of_services_is_bounded_and_has_the_worst),
      S_TEST (one_service_has_its_workers_and_both_histograms),
      S_TEST (the_page_has_texts_for_readers_without_javascript),
      S_TEST (a_page_for_those_who_may_not_see_it_has_no_data),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
