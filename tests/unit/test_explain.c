/*  Causes by what is known of a service, as a table.

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

typedef struct {
    const char *what;
    rp_explain_facts_t facts;
    const char *causes; /* name:weight/concerned+more … */
} s_row_t;

static const s_row_t s_rows[] = {
  {"nothing waits", {.workers = 2, .window = 2}, ""},
  {"no worker", {.waiting = 3}, "no_worker:3/0+0"},
  {"no worker, and nothing may wait", {.unserved = 4}, "no_worker:4/0+0"},
  {"all busy, and one more would do",
    {.workers = 4,
      .full = 4,
      .window = 4,
      .held = 4,
      .waiting = 9,
      .mean_us = 1900000,
      .arrivals = 2200},
    "busy:9/4+1"},
  {"all busy, and they catch up",
    {.workers = 4,
      .full = 4,
      .window = 4,
      .held = 4,
      .waiting = 9,
      .mean_us = 1900000,
      .arrivals = 2100},
    "busy:9/4+0"},
  {"all busy, of which each holds ten",
    {.workers = 2,
      .full = 2,
      .window = 20,
      .held = 20,
      .waiting = 1,
      .mean_us = 1000000,
      .arrivals = 45000},
    "busy:1/2+3"},
  {"not all are full: it goes out at once",
    {.workers = 2, .full = 1, .window = 2, .held = 1, .waiting = 1}, ""},
  {"all leave", {.workers = 2, .draining = 2, .waiting = 5}, "draining:5/2+0"},
  {"none can start", {.workers = 2, .closed = 2, .waiting = 5}, "closed:5/2+0"},
  {"one of two cannot start",
    {.workers = 2,
      .closed = 1,
      .full = 1,
      .window = 1,
      .held = 1,
      .waiting = 6,
      .mean_us = 100000,
      .arrivals = 20000},
    "busy:6/1+1 closed:3/1+0"},
  {"conversations are worse than the queue",
    {.workers = 1, .full = 1, .window = 1, .held = 1, .waiting = 5, .pinned = 4},
    "pinned:4/0+0 busy:1/1+0"},
  {"rules", {.workers = 1, .window = 1, .denied = 7}, "rules:7/0+0"},
  {"a worker that may not serve", {.workers = 1, .draining = 1, .barred = 1}, "rules:1/1+0"},
  {"workers were lost", {.workers = 1, .window = 1, .lost = 2}, "lost:2/0+0"},
  {"the broker leaves", {.stops = true, .workers = 1, .waiting = 2}, "stopping:2/0+0"},
};

static const char *s_print (const rp_cause_t *causes, size_t count)
{
    static char text[512];
    size_t size = 0;
    text[0] = 0;
    for (size_t index = 0; index < count; index++)
        size += (size_t) snprintf (text + size, sizeof text - size, "%s%s:%llu/%u+%u",
          index ? " " : "", rp_cause_name (causes[index].kind),
          (unsigned long long) causes[index].weight, causes[index].concerned, causes[index].more);
    return text;
}

static void s_causes_follow_from_the_facts_and_the_worst_is_first (void **state)
{
    (void) state;
    for (size_t index = 0; index < sizeof s_rows / sizeof *s_rows; index++) {
        rp_cause_t causes[RP_CAUSE_COUNT];
        const char *text = s_print (causes, rp_explain (&s_rows[index].facts, causes));
        if (strcmp (text, s_rows[index].causes) != 0)
            fail_msg ("%s: \"%s\", not \"%s\"", s_rows[index].what, text, s_rows[index].causes);
    }
}

static const char *s_explain (const char *service, rp_cause_t causes[RP_CAUSE_COUNT])
{
    size_t count = 0;
    assert_true (rp_dispatch_explain (
      audit ()->core, audit ()->now, service, strlen (service), causes, &count));
    return s_print (causes, count);
}

static void s_a_queue_before_busy_workers_is_explained (void **state)
{
    (void) state;
    rp_cause_t causes[RP_CAUSE_COUNT];
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    pass (20);
    reply ("w1", "r1", RP_OK);
    assert_string_equal (s_explain ("upper", causes), "");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    request ("c1", "r4", "upper");
    pass (7);
    forget ();
    assert_string_equal (s_explain ("upper", causes), "busy:2/1+0");
    assert_in_range (causes[0].p50_us, 19200, 20800);
    assert_int_equal (causes[0].oldest_us, 7000);
    assert_int_equal (causes[0].since_us, 7000);
    assert_int_equal (causes[0].workers, 1);
}

static void s_a_queue_without_workers_is_explained (void **state)
{
    (void) state;
    rp_cause_t causes[RP_CAUSE_COUNT];
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.wait_ms = 60000});
    assert_string_equal (s_explain ("upper", causes), "no_worker:1/0+0");
    forget ();
}

static void s_a_worker_that_cannot_start_is_named (void **state)
{
    (void) state;
    rp_cause_t causes[RP_CAUSE_COUNT];
    hello_client ("c1");
    hello_worker ("w1", "upper", 0);
    request ("c1", "r1", "upper");
    assert_string_equal (s_explain ("upper", causes), "closed:1/1+0");
    assert_non_null (causes[0].worker);
    forget ();
}

static void s_a_service_that_is_not_there_is_not_explained (void **state)
{
    (void) state;
    rp_cause_t causes[RP_CAUSE_COUNT];
    size_t count;
    assert_false (rp_dispatch_explain (audit ()->core, audit ()->now, "upper", 5, causes, &count));
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_causes_follow_from_the_facts_and_the_worst_is_first),
      S_TEST (s_a_queue_before_busy_workers_is_explained),
      S_TEST (s_a_queue_without_workers_is_explained),
      S_TEST (s_a_worker_that_cannot_start_is_named),
      S_TEST (s_a_service_that_is_not_there_is_not_explained),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
