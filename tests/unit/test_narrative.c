/*  What is said of requests and of causes, as tables: each kind of event and of cause, with one and with
    several, and with names that are not known or not harmless.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/admin/narrative.h"
#include "common/wire/head.h"

#define S_MS 1000
#define S_S INT64_C (1000000)

#define S_HOSTILE "a\x1b[31m\xff\xe2\x80\xae\\"
#define S_ESCAPED "a\\x1b[31m\\xff\\xe2\\x80\\xae\\\\"

/*  ---- Events --------------------------------------------------------------------------------- */

typedef struct {
    const char *service;
    rp_trace_event_t event;
    const char *text;
} s_event_row_t;

static const s_event_row_t s_events[] = {
  {"resize", {.kind = RP_TRACE_ACCEPTED}, "accepted"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = 38 * S_MS, .wait = RP_WAIT_BUSY, .workers = 4},
    "waited 38 ms: all 4 workers of resize were busy"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = 38 * S_MS, .wait = RP_WAIT_BUSY, .workers = 1},
    "waited 38 ms: the one worker of resize was busy"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = 700, .wait = RP_WAIT_BUSY},
    "waited 700 µs: all workers of resize were busy"},
  {"", {.kind = RP_TRACE_WAITED, .us = S_S, .wait = RP_WAIT_BUSY, .workers = 2},
    "waited 1 s: all 2 workers of its service were busy"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = 2 * S_S, .wait = RP_WAIT_NO_WORKER},
    "waited 2 s: resize had no worker"},
  {"", {.kind = RP_TRACE_WAITED, .us = 2 * S_S, .wait = RP_WAIT_NO_WORKER},
    "waited 2 s: its service had no worker"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = S_MS, .wait = RP_WAIT_LINE, .workers = 1},
    "waited 1 ms: another request of its conversation was before it"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = S_MS, .wait = RP_WAIT_PINNED, .workers = 1},
    "waited 1 ms: the one worker that may have it had no room"},
  {S_HOSTILE, {.kind = RP_TRACE_WAITED, .us = S_MS, .wait = RP_WAIT_NO_WORKER},
    "waited 1 ms: " S_ESCAPED " had no worker"},
  {"resize", {.kind = RP_TRACE_GIVEN, .attempt = 2, .worker = "host-815"},
    "given to host-815 (attempt 2)"},
  {"resize", {.kind = RP_TRACE_GIVEN, .attempt = 1}, "given to a worker (attempt 1)"},
  {"resize", {.kind = RP_TRACE_GIVEN, .attempt = 1, .worker = S_HOSTILE},
    "given to " S_ESCAPED " (attempt 1)"},
  {"resize",
    {.kind = RP_TRACE_LOST,
      .us = 2100 * S_MS,
      .attempt = 1,
      .worker = "host-812",
      .text = "its connection broke"},
    "lost after 2.1 s: its connection broke"},
  {"resize", {.kind = RP_TRACE_LOST, .us = 2100 * S_MS}, "lost after 2.1 s"},
  {"resize", {.kind = RP_TRACE_LOST, .us = 1, .text = "died: " S_HOSTILE},
    "lost after 1 µs: died: " S_ESCAPED},
  {"resize", {.kind = RP_TRACE_RETURNED, .us = 3 * S_MS, .text = "its worker could not begin it"},
    "handed back after 3 ms: its worker could not begin it"},
  {"resize", {.kind = RP_TRACE_HEDGED, .us = 20 * S_MS, .text = "another one gets it, too"},
    "still running after 20 ms: another one gets it, too"},
  {"resize", {.kind = RP_TRACE_UNSENT, .worker = "host-812"}, "did not reach host-812"},
  {"resize", {.kind = RP_TRACE_UNSENT}, "did not reach the worker"},
  {"resize", {.kind = RP_TRACE_ENDED, .us = 311 * S_MS, .status = RP_OK, .worker = "host-815"},
    "replied OK after 311 ms"},
  {"resize", {.kind = RP_TRACE_ENDED, .us = 0, .status = RP_OK, .worker = "host-815"},
    "replied OK after 0 µs"},
  {"resize", {.kind = RP_TRACE_ENDED, .us = 5 * S_MS, .status = RP_APP_ERROR, .worker = "host-815"},
    "replied APP_ERROR after 5 ms"},
  {"resize",
    {.kind = RP_TRACE_ENDED,
      .us = 5 * S_S,
      .status = RP_WORKER_LOST,
      .worker = "host-815",
      .text = "silent for too long"},
    "ended with WORKER_LOST after 5 s: silent for too long"},
  {"resize", {.kind = RP_TRACE_ENDED, .status = RP_EXPIRED},
    "ended with EXPIRED: the deadline passed before a worker had room; it never ran"},
  {"resize", {.kind = RP_TRACE_ENDED, .status = RP_NO_WORKER, .text = "no worker came"},
    "ended with NO_WORKER: no worker came"},
  {"resize", {.kind = RP_TRACE_WAITS, .us = 3 * S_S, .wait = RP_WAIT_BUSY, .workers = 4},
    "waiting for 3 s: all 4 workers of resize were busy"},
  {"resize", {.kind = RP_TRACE_WAITS, .us = 90 * S_S}, "waiting for 1 m 30 s"},
  {"resize", {.kind = RP_TRACE_RUNS, .us = 3 * S_S, .worker = "host-815", .attempt = 1},
    "running for 3 s"},
  {"resize", {.kind = RP_TRACE_WAITED, .us = S_S, .text = "it was sent to begin later"},
    "waited 1 s: it was sent to begin later"},
  {"resize", {.kind = RP_TRACE_WAITS, .us = 3 * S_S, .text = "no worker has taken it yet"},
    "waiting for 3 s: no worker has taken it yet"},
  {"resize",
    {.kind = RP_TRACE_FAILED, .us = 2100 * S_MS, .status = RP_WORKER_LOST, .text = S_HOSTILE},
    "failed after 2.1 s: " S_ESCAPED},
  {"resize", {.kind = RP_TRACE_FAILED, .us = S_S, .status = RP_EXPIRED},
    "failed after 1 s: the deadline passed before a worker had room; it never ran"},
  {"resize", {.kind = RP_TRACE_DIED}, "dead: that was its last attempt"},
  {"resize", {.kind = RP_TRACE_RETRIED, .text = "18"}, "retried as job 18"},
};

static rp_trace_t s_trace (void)
{
    return (rp_trace_t){.service = "resize",
      .client = "",
      .principal = "",
      .worker = "",
      .request_id = "",
      .trace_id = ""};
}

/*  Adds an event; members that it lacks are empty.  */
static void s_add (rp_trace_t *trace, rp_trace_event_t event)
{
    event.worker = event.worker ? event.worker : "";
    event.text = event.text ? event.text : "";
    trace->events[trace->count++] = event;
}

static void s_each_event_has_its_words (void **state)
{
    (void) state;
    unsigned kinds = 0;
    for (size_t index = 0; index < sizeof s_events / sizeof *s_events; index++) {
        char buffer[RP_NARRATIVE_MAX];
        rp_trace_t trace = s_trace ();
        trace.service = s_events[index].service;
        s_add (&trace, s_events[index].event);
        kinds |= 1u << trace.events[0].kind;
        assert_string_equal (rp_narrative_event (&trace, 0, buffer), s_events[index].text);
    }
    assert_int_equal (kinds, (1u << RP_TRACE_EVENT_COUNT) - 1);
}

/*  The example of the README.  */
static rp_trace_t s_redelivered (void)
{
    rp_trace_t trace = s_trace ();
    trace.token.v = UINT64_C (18446744073709551615);
    trace.client = "host-1";
    trace.client_id = 4294967296;
    trace.principal = "ada";
    trace.worker = "host-815";
    trace.request_id = "order-17";
    trace.accepted = 10 * S_S;
    trace.ended = trace.accepted + 2449 * S_MS;
    trace.queue_us = 2138 * S_MS;
    trace.work_us = 311 * S_MS;
    trace.attempt = 2;
    trace.attempts = 3;
    int64_t at = trace.accepted;
    s_add (&trace, (rp_trace_event_t){.kind = RP_TRACE_ACCEPTED, .at = at});
    s_add (&trace, (rp_trace_event_t){.kind = RP_TRACE_WAITED,
                     .at = at += 38 * S_MS,
                     .us = 38 * S_MS,
                     .wait = RP_WAIT_BUSY,
                     .workers = 4});
    s_add (&trace,
      (rp_trace_event_t){.kind = RP_TRACE_GIVEN, .at = at, .attempt = 1, .worker = "host-812"});
    s_add (&trace, (rp_trace_event_t){.kind = RP_TRACE_LOST,
                     .at = at += 2100 * S_MS,
                     .us = 2100 * S_MS,
                     .attempt = 1,
                     .worker = "host-812",
                     .text = "its connection broke"});
    s_add (&trace,
      (rp_trace_event_t){.kind = RP_TRACE_GIVEN, .at = at, .attempt = 2, .worker = "host-815"});
    s_add (&trace, (rp_trace_event_t){.kind = RP_TRACE_ENDED,
                     .at = at += 311 * S_MS,
                     .us = 311 * S_MS,
                     .attempt = 2,
                     .worker = "host-815"});
    return trace;
}

static void s_a_timeline_is_one_sentence (void **state)
{
    (void) state;
    rp_trace_t trace = s_redelivered ();
    char *text = rp_narrative_trace (&trace);
    assert_string_equal (text,
      "accepted · waited 38 ms: all 4 workers of resize were busy · given to host-812 (attempt 1)"
      " · lost after 2.1 s: its connection broke · given to host-815 (attempt 2)"
      " · replied OK after 311 ms");
    free (text);
}

static void s_what_was_passed_on_of_a_stream_is_told (void **state)
{
    (void) state;
    char buffer[RP_NARRATIVE_MAX];
    rp_trace_t trace = s_redelivered ();
    trace.reply = (rp_trace_parts_t){.parts = 12, .bytes = 3072};
    trace.body = (rp_trace_parts_t){.parts = 1, .bytes = 5};
    assert_string_equal (rp_narrative_event (&trace, 5, buffer),
      "replied OK after 311 ms; 12 parts of its reply (3 KiB) passed on; 1 part of the request (5 "
      "B) passed on");
    json_t *object = rp_narrative_trace_json (&trace, trace.ended);
    assert_int_equal (json_integer_value (json_object_get (object, "reply_parts")), 12);
    assert_int_equal (json_integer_value (json_object_get (object, "reply_part_bytes")), 3072);
    assert_int_equal (json_integer_value (json_object_get (object, "request_parts")), 1);
    assert_int_equal (json_integer_value (json_object_get (object, "request_part_bytes")), 5);
    json_decref (object);
}

static void s_losses_that_are_not_kept_are_counted_behind_the_last_one (void **state)
{
    (void) state;
    rp_trace_t trace = s_redelivered ();
    for (trace.omitted = 1; trace.omitted <= 3; trace.omitted += 2) {
        char *text = rp_narrative_trace (&trace);
        assert_non_null (strstr (text,
          trace.omitted == 1 ? "its connection broke · 1 more attempt came to nothing · given"
                             : "its connection broke · 3 more attempts came to nothing · given"));
        free (text);
    }
}

static void s_the_longest_names_and_texts_fit (void **state)
{
    (void) state;
    char name[RP_WIRE_NAME_MAX + 1], text[160], buffer[RP_NARRATIVE_MAX];
    memset (name, '\x1b', sizeof name - 1);
    memset (text, '\x1b', sizeof text - 1);
    name[sizeof name - 1] = text[sizeof text - 1] = 0;
    rp_trace_t trace = s_trace ();
    trace.service = name;
    s_add (&trace,
      (rp_trace_event_t){.kind = RP_TRACE_WAITED, .wait = RP_WAIT_BUSY, .workers = UINT32_MAX});
    s_add (&trace,
      (rp_trace_event_t){.kind = RP_TRACE_ENDED, .status = RP_WORKER_LOST, .us = 1, .text = text});
    assert_non_null (strstr (rp_narrative_event (&trace, 0, buffer), "\\x1b were busy"));
    const char *said = rp_narrative_event (&trace, 1, buffer);
    assert_int_equal (strlen (said), strlen ("ended with WORKER_LOST after 1 µs: ") + 4 * 159);
}

static const char *s_member (const json_t *object, const char *name)
{
    return json_string_value (json_object_get (object, name));
}

static json_int_t s_number (const json_t *object, const char *name)
{
    assert_true (json_is_integer (json_object_get (object, name)));
    return json_integer_value (json_object_get (object, name));
}

static void s_a_trace_as_json_has_times_from_its_acceptance_and_ids_as_text (void **state)
{
    (void) state;
    rp_trace_t trace = s_redelivered ();
    json_t *object = rp_narrative_trace_json (&trace, trace.ended + 7);
    assert_int_equal (json_object_size (object), 24);
    assert_string_equal (s_member (object, "id"), "18446744073709551615");
    assert_string_equal (s_member (object, "client"), "host-1");
    assert_string_equal (s_member (object, "client_request"), "4294967296");
    assert_string_equal (s_member (object, "principal"), "ada");
    assert_string_equal (s_member (object, "service"), "resize");
    assert_string_equal (s_member (object, "request_id"), "order-17");
    assert_string_equal (s_member (object, "trace_id"), "");
    assert_true (json_is_false (json_object_get (object, "open")));
    assert_string_equal (s_member (object, "status"), "OK");
    assert_int_equal (s_number (object, "attempt"), 2);
    assert_int_equal (s_number (object, "attempts"), 3);
    assert_int_equal (s_number (object, "accepted_us_ago"), 2449 * S_MS + 7);
    assert_int_equal (s_number (object, "ended_us_ago"), 7);
    assert_int_equal (s_number (object, "total_us"), 2449 * S_MS);
    assert_int_equal (s_number (object, "queue_us"), 2138 * S_MS);
    assert_int_equal (s_number (object, "work_us"), 311 * S_MS);
    assert_string_equal (s_member (object, "worker"), "host-815");
    assert_int_equal (s_number (object, "reply_parts"), 0);
    assert_int_equal (s_number (object, "reply_part_bytes"), 0);
    assert_int_equal (s_number (object, "request_parts"), 0);
    assert_int_equal (s_number (object, "request_part_bytes"), 0);
    assert_int_equal (s_number (object, "omitted"), 0);
    assert_non_null (strstr (s_member (object, "text"), "accepted · waited 38 ms"));

    const json_t *events = json_object_get (object, "events");
    assert_int_equal (json_array_size (events), 6);
    const json_t *event = json_array_get (events, 1);
    assert_int_equal (json_object_size (event), 9);
    assert_string_equal (s_member (event, "kind"), "waited");
    assert_int_equal (s_number (event, "at_us"), 38 * S_MS);
    assert_int_equal (s_number (event, "us"), 38 * S_MS);
    assert_string_equal (s_member (event, "wait"), "busy");
    assert_int_equal (s_number (event, "workers"), 4);
    assert_string_equal (s_member (event, "status"), "");
    assert_string_equal (
      s_member (event, "text"), "waited 38 ms: all 4 workers of resize were busy");
    event = json_array_get (events, 5);
    assert_int_equal (s_number (event, "at_us"), 2449 * S_MS);
    assert_int_equal (s_number (event, "attempt"), 2);
    assert_string_equal (s_member (event, "worker"), "host-815");
    assert_string_equal (s_member (event, "status"), "OK");
    json_decref (object);
}

static void s_an_open_request_as_json_has_no_end (void **state)
{
    (void) state;
    rp_trace_t trace = s_trace ();
    trace.open = true;
    trace.client = S_HOSTILE;
    trace.accepted = S_S;
    trace.ended = 4 * S_S;
    s_add (&trace, (rp_trace_event_t){.kind = RP_TRACE_ACCEPTED, .at = S_S});
    s_add (
      &trace, (rp_trace_event_t){
                .kind = RP_TRACE_WAITS, .at = 4 * S_S, .us = 3 * S_S, .wait = RP_WAIT_NO_WORKER});
    json_t *object = rp_narrative_trace_json (&trace, 4 * S_S);
    assert_true (json_is_true (json_object_get (object, "open")));
    assert_string_equal (s_member (object, "client"), S_ESCAPED);
    assert_string_equal (s_member (object, "status"), "");
    assert_int_equal (s_number (object, "ended_us_ago"), 0);
    assert_string_equal (
      s_member (object, "text"), "accepted · waiting for 3 s: resize had no worker");
    json_decref (object);
}

/*  ---- Causes --------------------------------------------------------------------------------- */

typedef struct {
    rp_cause_t cause;
    const char *text;
} s_cause_row_t;

static const s_cause_row_t s_causes[] = {
  {{.kind = RP_CAUSE_STOPPING, .weight = 1}, "the broker drains and takes no new requests"},
  {{.kind = RP_CAUSE_STOPPING, .weight = 1, .waiting = 1},
    "the broker drains and takes no new requests; 1 still waits"},
  {{.kind = RP_CAUSE_STOPPING, .weight = 3, .waiting = 3},
    "the broker drains and takes no new requests; 3 still wait"},
  {{.kind = RP_CAUSE_NO_WORKER, .weight = 1, .waiting = 1, .since_us = 90 * S_S},
    "no worker; for 1 m 30 s 1 request has waited"},
  {{.kind = RP_CAUSE_NO_WORKER, .weight = 7, .waiting = 3, .since_us = S_S},
    "no worker; for 1 s 3 requests have waited; 4 requests ended with NO_WORKER of late"},
  {{.kind = RP_CAUSE_NO_WORKER, .weight = 1}, "no worker; 1 request ended with NO_WORKER of late"},
  {{.kind = RP_CAUSE_DRAINING, .weight = 1, .waiting = 1, .workers = 1, .concerned = 1},
    "the one worker is leaving, and 1 request waits for another"},
  {{.kind = RP_CAUSE_DRAINING, .weight = 5, .waiting = 5, .workers = 2, .concerned = 2},
    "all 2 workers are leaving, and 5 requests wait for another"},
  {{.kind = RP_CAUSE_TERMS, .weight = 1, .waiting = 1},
    "1 request waits, though workers have room: the broker's setting \"service\" says how many may "
    "run, or start"},
  {{.kind = RP_CAUSE_OVERLOAD, .weight = 12, .waiting = 3},
    "12 requests ended with EXPIRED or BUSY of late, since more came than workers take: the "
    "broker's "
    "setting \"service\" says which (admission, overload)"},
  {{.kind = RP_CAUSE_CLOSED, .weight = 5, .workers = 1, .concerned = 1, .worker = "host-812"},
    "the one worker, host-812, takes no requests: window 0; look at its log"},
  {{.kind = RP_CAUSE_CLOSED, .weight = 5, .workers = 3, .concerned = 1, .worker = "host-812"},
    "1 of 3 workers, host-812, takes no requests: window 0; look at its log"},
  {{.kind = RP_CAUSE_CLOSED, .weight = 5, .workers = 3, .concerned = 2, .worker = S_HOSTILE},
    "2 of 3 workers, one of which is " S_ESCAPED
    ", take no requests: window 0; look at their logs"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 9,
     .waiting = 9,
     .since_us = 300 * S_S,
     .workers = 4,
     .concerned = 4,
     .p50_us = 1900 * S_MS,
     .arrivals = 2100,
     .more = 1},
    "queue growing for 5 m: 4 workers all busy, each request takes 1.9 s (p50), 2.1 requests a "
    "second arrive; 1 more worker would do"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 9,
     .since_us = 300 * S_S,
     .workers = 1,
     .concerned = 1,
     .p50_us = 5 * S_MS,
     .arrivals = 1000,
     .more = 2},
    "queue growing for 5 m: the one worker is busy, each request takes 5 ms (p50), 1 request a "
    "second arrives; 2 more workers would do"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 9,
     .since_us = 3 * S_S,
     .workers = 4,
     .concerned = 3,
     .p50_us = 5 * S_MS,
     .arrivals = 31234567},
    "queue for 3 s: 3 of 4 workers busy, the others take no requests, each request takes 5 ms "
    "(p50), 31,235 requests a second arrive; they can do more than that, so it should pass"},
  {{.kind = RP_CAUSE_BUSY, .weight = 1, .since_us = 3 * S_S, .workers = 2, .concerned = 2},
    "queue for 3 s: 2 workers all busy"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 1,
     .since_us = 3 * S_S,
     .workers = 2,
     .concerned = 2,
     .arrivals = 60},
    "queue for 3 s: 2 workers all busy, 3.6 requests a minute arrive"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 1,
     .since_us = 3 * S_S,
     .workers = 2,
     .concerned = 2,
     .arrivals = 16},
    "queue for 3 s: 2 workers all busy, 1 request a minute arrives"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 1,
     .since_us = 3 * S_S,
     .workers = 2,
     .concerned = 2,
     .arrivals = 1},
    "queue for 3 s: 2 workers all busy, less than one request a minute arrives"},
  {{.kind = RP_CAUSE_BUSY,
     .weight = 1,
     .since_us = 3 * S_S,
     .workers = 2,
     .concerned = 2,
     .arrivals = 999},
    "queue for 3 s: 2 workers all busy, 60 requests a minute arrive"},
  {{.kind = RP_CAUSE_PINNED, .weight = 1, .worker = "host-812"},
    "1 request waits for the one worker that may have it, host-812"},
  {{.kind = RP_CAUSE_PINNED, .weight = 4, .worker = "host-812"},
    "4 requests wait for the one worker that may have each, such as host-812"},
  {{.kind = RP_CAUSE_PINNED, .weight = 1},
    "1 request waits for the one worker that may have it, one without a name"},
  {{.kind = RP_CAUSE_RULES, .weight = 1},
    "1 request of late was DENIED: no rule allows the client to call"},
  {{.kind = RP_CAUSE_RULES, .weight = 9, .concerned = 2},
    "7 requests of late were DENIED: no rule allows the clients to call; 2 workers must leave: no "
    "rule allows them to serve"},
  {{.kind = RP_CAUSE_RULES, .weight = 1, .concerned = 1},
    "1 worker must leave: no rule allows it to serve"},
  {{.kind = RP_CAUSE_LOST, .weight = 1},
    "1 request ended with WORKER_LOST of late: a worker was lost that had it"},
  {{.kind = RP_CAUSE_LOST, .weight = 2},
    "2 requests ended with WORKER_LOST of late: workers were lost that had them"},
  {{.kind = RP_CAUSE_JOBS_UNSERVED, .weight = 1, .waiting = 1}, "no worker; 1 job waits"},
  {{.kind = RP_CAUSE_JOBS_UNSERVED, .weight = 12000, .waiting = 12000},
    "no worker; 12,000 jobs wait"},
  {{.kind = RP_CAUSE_JOBS_WAIT, .weight = 1, .waiting = 1, .workers = 1},
    "1 job waits while its workers have others"},
  {{.kind = RP_CAUSE_JOBS_WAIT, .weight = 4, .waiting = 4, .workers = 2},
    "4 jobs wait while its workers have others"},
  {{.kind = RP_CAUSE_JOBS_DEAD, .weight = 1},
    "1 job died in the last hour; riposte dead list shows it"},
  {{.kind = RP_CAUSE_JOBS_DEAD, .weight = 3},
    "3 jobs died in the last hour; riposte dead list shows them"},
};

static void s_each_cause_has_its_words (void **state)
{
    (void) state;
    unsigned kinds = 0;
    for (size_t index = 0; index < sizeof s_causes / sizeof *s_causes; index++) {
        char buffer[RP_NARRATIVE_MAX];
        kinds |= 1u << s_causes[index].cause.kind;
        assert_string_equal (
          rp_narrative_cause (&s_causes[index].cause, buffer), s_causes[index].text);
    }
    assert_int_equal (kinds, (1u << RP_CAUSE_COUNT) - 1);
}

static void s_a_cause_as_json_has_its_numbers (void **state)
{
    (void) state;
    rp_cause_t cause = {.kind = RP_CAUSE_BUSY,
      .weight = 8,
      .waiting = 9,
      .since_us = 300 * S_S,
      .oldest_us = 4 * S_S,
      .workers = 5,
      .concerned = 4,
      .p50_us = 1900 * S_MS,
      .arrivals = 2100,
      .more = 1};
    json_t *object = rp_narrative_cause_json (&cause);
    assert_int_equal (json_object_size (object), 12);
    assert_string_equal (s_member (object, "kind"), "busy");
    assert_int_equal (s_number (object, "weight"), 8);
    assert_int_equal (s_number (object, "waiting"), 9);
    assert_int_equal (s_number (object, "since_us"), 300 * S_S);
    assert_int_equal (s_number (object, "oldest_us"), 4 * S_S);
    assert_int_equal (s_number (object, "workers"), 5);
    assert_int_equal (s_number (object, "concerned"), 4);
    assert_int_equal (s_number (object, "p50_us"), 1900 * S_MS);
    assert_true (json_real_value (json_object_get (object, "arrivals_per_s")) == 2.1);
    assert_int_equal (s_number (object, "more"), 1);
    assert_string_equal (s_member (object, "worker"), "");
    assert_non_null (strstr (s_member (object, "text"), "1 more worker would do"));
    json_decref (object);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_each_event_has_its_words),
      cmocka_unit_test (s_a_timeline_is_one_sentence),
      cmocka_unit_test (s_what_was_passed_on_of_a_stream_is_told),
      cmocka_unit_test (s_losses_that_are_not_kept_are_counted_behind_the_last_one),
      cmocka_unit_test (s_the_longest_names_and_texts_fit),
      cmocka_unit_test (s_a_trace_as_json_has_times_from_its_acceptance_and_ids_as_text),
      cmocka_unit_test (s_an_open_request_as_json_has_no_end),
      cmocka_unit_test (s_each_cause_has_its_words),
      cmocka_unit_test (s_a_cause_as_json_has_its_numbers),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
