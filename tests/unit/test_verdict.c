/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/verdict.h"

static const char s_fine[] =
  "{\"draining\": false, \"gauges\": {\"open_bytes\": 600, \"backlog_bytes\": 200},"
  " \"limits\": {\"total_queue_bytes\": 1000}, \"counters\": {\"requests\": 7},"
  " \"reload\": {\"ok\": true}}";

static const char s_two[] =
  "{\"services\": ["
  "{\"name\": \"a\", \"workers\": 3, \"draining\": 1, \"waiting\": 12, \"running\": 2,"
  " \"oldest_us\": 2000000},"
  "{\"name\": \"b\", \"workers\": 1, \"draining\": 0, \"waiting\": 200, \"running\": 1,"
  " \"oldest_us\": 9000000}]}";

static json_t *s_parse (const char *text)
{
    json_t *value = json_loads (text, 0, NULL);
    assert_non_null (value);
    return value;
}

static rp_threshold_t s_threshold (rp_threshold_kind_t kind, bool minimum, const char *text)
{
    rp_threshold_t threshold;
    const char *reason = NULL;
    assert_true (rp_threshold_parse (&threshold, kind, minimum, text, &reason));
    return threshold;
}

/*  Judges, and expects the state and the line.  */
static void s_expect (const rp_verdict_wants_t *wants,
  const char *status_text,
  const char *services_text,
  rp_verdict_state_t state,
  const char *line)
{
    char buffer[4096] = "";
    rp_verdict_t verdict;
    json_t *status = s_parse (status_text);
    json_t *services = s_parse (services_text);
    rp_verdict_judge (&verdict, wants, status, services);
    FILE *out = fmemopen (buffer, sizeof buffer, "w");
    rp_verdict_write (&verdict, out);
    fclose (out);
    assert_string_equal (buffer, line);
    assert_int_equal (verdict.state, state);
    json_decref (status);
    json_decref (services);
}

static void a_threshold_has_one_bound_or_two (void **state)
{
    (void) state;
    rp_threshold_t two = s_threshold (RP_THRESHOLD_COUNT, false, "10:100");
    assert_true (two.warning.on && two.critical.on);
    assert_int_equal (two.warning.value, 10);
    assert_int_equal (two.critical.value, 100);
    rp_threshold_t one = s_threshold (RP_THRESHOLD_TIME, false, "1m30s");
    assert_false (one.warning.on);
    assert_int_equal (one.critical.value, 90000000);
    rp_threshold_t warning = s_threshold (RP_THRESHOLD_SIZE, false, "80%:");
    assert_true (warning.warning.percent && !warning.critical.on);
}

static void a_wrong_threshold_has_its_reason (void **state)
{
    (void) state;
    static const struct {
        rp_threshold_kind_t kind;
        bool minimum;
        const char *text;
    } wrong[] = {
      {RP_THRESHOLD_COUNT, false, ""},
      {RP_THRESHOLD_COUNT, false, ":"},
      {RP_THRESHOLD_COUNT, false, "1:2:3"},
      {RP_THRESHOLD_COUNT, false, "100:10"},
      {RP_THRESHOLD_COUNT, true, "1:3"},
      {RP_THRESHOLD_COUNT, false, "ten"},
      {RP_THRESHOLD_TIME, false, "5"},
      {RP_THRESHOLD_SIZE, false, "101%"},
      {RP_THRESHOLD_SIZE, false, "%"},
    };
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        rp_threshold_t threshold;
        const char *reason = NULL;
        assert_false (rp_threshold_parse (
          &threshold, wrong[index].kind, wrong[index].minimum, wrong[index].text, &reason));
        assert_non_null (reason);
    }
}

static void all_is_well_without_thresholds (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {.services = NULL};
    s_expect (&wants, s_fine, s_two, RP_VERDICT_OK,
      "RIPOSTE OK - 2 services, 3 workers, 212 waiting, 3 running");
    s_expect (&wants, s_fine, "{}", RP_VERDICT_OK,
      "RIPOSTE OK - 0 services, 0 workers, 0 waiting, 0 running");
}

static void the_worst_cause_is_first (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {
      .max_waiting = s_threshold (RP_THRESHOLD_COUNT, false, "10:100")};
    s_expect (&wants, s_fine, s_two, RP_VERDICT_CRITICAL,
      "RIPOSTE CRITICAL - b: 200 requests wait (over 100); a: 12 requests wait (over 10)");
    const rp_verdict_wants_t both = {.max_oldest = s_threshold (RP_THRESHOLD_TIME, false, "1s:")};
    s_expect (&both, s_fine, s_two, RP_VERDICT_WARNING,
      "RIPOSTE WARNING - b: a request has waited 9 s (over 1 s); "
      "a: a request has waited 2 s (over 1 s)");
}

static void a_value_at_its_bound_is_fine (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {.services = "b",
      .max_waiting = s_threshold (RP_THRESHOLD_COUNT, false, "200"),
      .max_oldest = s_threshold (RP_THRESHOLD_TIME, false, "9s"),
      .min_workers = s_threshold (RP_THRESHOLD_COUNT, true, "1"),
      .max_memory = s_threshold (RP_THRESHOLD_SIZE, false, "80%")};
    s_expect (&wants, s_fine, s_two, RP_VERDICT_OK,
      "RIPOSTE OK - 1 service, 1 worker, 200 waiting, 1 running");
}

static void a_named_service_has_to_have_a_worker (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {.services = "a,c|d"};
    s_expect (&wants, s_fine, s_two, RP_VERDICT_CRITICAL, "RIPOSTE CRITICAL - c\\x7cd: no worker");
    const rp_verdict_wants_t all = {.services = NULL};
    s_expect (&all, s_fine,
      "{\"services\": [{\"name\": \"idle\", \"workers\": 0, \"waiting\": 0},"
      "{\"name\": \"mail\", \"workers\": 1, \"draining\": 1, \"waiting\": 1}]}",
      RP_VERDICT_CRITICAL, "RIPOSTE CRITICAL - mail: no worker, and 1 request waits");
}

static void draining_workers_do_not_count (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {
      .services = "a", .min_workers = s_threshold (RP_THRESHOLD_COUNT, true, "3:1")};
    s_expect (
      &wants, s_fine, s_two, RP_VERDICT_WARNING, "RIPOSTE WARNING - a: 2 workers (under 3)");
}

static void memory_is_of_requests_and_unread_replies (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {
      .max_memory = s_threshold (RP_THRESHOLD_SIZE, false, "50%:70%")};
    s_expect (&wants, s_fine, s_two, RP_VERDICT_CRITICAL,
      "RIPOSTE CRITICAL - requests and replies take 800 B (over 700 B)");
    s_expect (&wants, "{\"gauges\": {\"open_bytes\": 600}}", s_two, RP_VERDICT_OK,
      "RIPOSTE OK - 2 services, 3 workers, 212 waiting, 3 running"); // without its limit
}

static void a_draining_broker_and_a_failed_reload_are_warnings (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {.services = NULL};
    s_expect (&wants, "{\"draining\": true, \"reload\": {\"ok\": false}}", "{}", RP_VERDICT_WARNING,
      "RIPOSTE WARNING - the broker is draining; the last reload failed; see: riposte status");
}

static void many_causes_are_counted (void **state)
{
    (void) state;
    const rp_verdict_wants_t wants = {.services = "c,d,e,f,g,h,i"};
    s_expect (&wants, s_fine, s_two, RP_VERDICT_CRITICAL,
      "RIPOSTE CRITICAL - c: no worker; d: no worker; e: no worker; f: no worker; g: no worker; "
      "and 2 more");
}

static void performance_data_have_nagios_syntax (void **state)
{
    (void) state;
    char buffer[4096] = "";
    rp_verdict_t verdict;
    const rp_verdict_wants_t wants = {.services = "b,it's=1",
      .max_waiting = s_threshold (RP_THRESHOLD_COUNT, false, "10:100"),
      .max_oldest = s_threshold (RP_THRESHOLD_TIME, false, "1500ms:"),
      .min_workers = s_threshold (RP_THRESHOLD_COUNT, true, "2:1"),
      .max_memory = s_threshold (RP_THRESHOLD_SIZE, false, "70%:90%")};
    json_t *status = s_parse (s_fine);
    json_t *services = s_parse (s_two);
    rp_verdict_judge (&verdict, &wants, status, services);
    FILE *out = fmemopen (buffer, sizeof buffer, "w");
    rp_verdict_write_perfdata (&verdict, &wants, status, services, out);
    fclose (out);
    assert_string_equal (buffer,
      "'services'=2;;;0 'workers'=1;;;0 'waiting'=200;;;0 'running'=1;;;0 "
      "'oldest'=9.000000s;1.500000;;0 'memory'=800B;700;900;0;1000 'requests'=7c;;;0 "
      "'b waiting'=200;10;100;0 'b oldest'=9.000000s;1.500000;;0 'b workers'=1;2:;1:;0 "
      "'b running'=1;;;0 "
      "'it''s\\x3d1 waiting'=0;10;100;0 'it''s\\x3d1 oldest'=0.000000s;1.500000;;0 "
      "'it''s\\x3d1 workers'=0;2:;1:;0 'it''s\\x3d1 running'=0;;;0");
    json_decref (status);
    json_decref (services);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_threshold_has_one_bound_or_two),
      cmocka_unit_test (a_wrong_threshold_has_its_reason),
      cmocka_unit_test (all_is_well_without_thresholds),
      cmocka_unit_test (the_worst_cause_is_first),
      cmocka_unit_test (a_value_at_its_bound_is_fine),
      cmocka_unit_test (a_named_service_has_to_have_a_worker),
      cmocka_unit_test (draining_workers_do_not_count),
      cmocka_unit_test (memory_is_of_requests_and_unread_replies),
      cmocka_unit_test (a_draining_broker_and_a_failed_reload_are_warnings),
      cmocka_unit_test (many_causes_are_counted),
      cmocka_unit_test (performance_data_have_nagios_syntax),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
