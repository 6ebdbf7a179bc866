/*  Which requests are exported, as which spans, and how these are written as OTLP/JSON.

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
#include <jansson.h>

#include "broker/admin/span_batches.h"
#include "broker/admin/span_json.h"
#include "common/wire/headers.h"
#include "tests/support/trace.h"

#define S_TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define S_SPAN "00f067aa0ba902b7"
#define S_SAMPLED "00-" S_TRACE "-" S_SPAN "-01"

/*  What is added to times of the core, µs.  */
#define S_WALL INT64_C (1700000000000000)

typedef struct {
    const char *service; /* NULL: upper */
    const char *id;      /* value of request-id */
    const char *parent;  /* value of traceparent; NULL: S_SAMPLED */
    unsigned attempts;   /* 0: 3 */
    unsigned time_ms;    /* 0: a minute */
} s_with_t;

static void s_request (uint64_t id, s_with_t with)
{
    uint8_t block[512];
    size_t size = 0;
    const char *service = with.service ? with.service : "upper";
    assert_true (rp_headers_append (
      block, &size, sizeof block, "traceparent", with.parent ? with.parent : S_SAMPLED));
    if (with.id)
        assert_true (rp_headers_append (block, &size, sizeof block, "request-id", with.id));
    message ("c1",
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = id,
        .deadline_ms = with.time_ms ? with.time_ms : 60000,
        .wait_ms = 60000,
        .attempts = (uint8_t) (with.attempts ? with.attempts : 3),
        .name = service,
        .name_size = (uint8_t) strlen (service),
        .headers = block,
        .headers_size = (uint16_t) size},
      10);
}

static uint64_t s_random (void)
{
    static uint64_t last;
    return last++; // the first is not taken
}

static json_t *s_document;

/*  Returns the spans of the latest export.  */
static json_t *s_spans (void)
{
    size_t size = 0;
    rp_trace_ended_t *ended = (rp_trace_ended_t *) last_export ();
    assert_non_null (ended);
    char *text = rp_span_json_write (&ended, 1,
      &(rp_span_json_options_t){
        .version = "0.1", .instance = "abc", .wall_us = S_WALL, .random = s_random},
      &size);
    assert_non_null (text);
    json_decref (s_document);
    s_document = json_loadb (text, size, JSON_REJECT_DUPLICATES, NULL);
    free (text);
    assert_non_null (s_document);
    json_t *of_resource = json_array_get (json_object_get (s_document, "resourceSpans"), 0);
    json_t *scoped = json_array_get (json_object_get (of_resource, "scopeSpans"), 0);
    json_t *spans = json_object_get (scoped, "spans");
    assert_int_equal (json_array_size (spans), rp_span_json_count (ended));
    return spans;
}

static const char *s_of (const json_t *span, const char *member)
{
    const char *text = json_string_value (json_object_get (span, member));
    return text ? text : "";
}

static const char *s_attribute (const json_t *span, const char *key)
{
    size_t index;
    json_t *attribute;
    json_array_foreach (json_object_get (span, "attributes"), index, attribute)
    {
        json_t *value = json_object_get (attribute, "value");
        if (strcmp (s_of (attribute, "key"), key) != 0)
            continue;
        const char *text = s_of (value, "stringValue");
        return *text ? text : s_of (value, "intValue");
    }
    return "";
}

/*  A time of a span, µs after this one in ms.  */
static long long s_ms (const json_t *span, const char *member)
{
    long long first = (S_WALL + INT64_C (1000000000)) * 1000; // where traces of tests begin
    return (atoll (s_of (span, member)) - first) / 1000000;
}

/*  The spans in short: "queue upper 0-38 | work upper 38-40 OK".  */
static const char *s_in_short (void)
{
    static char text[8192];
    size_t index, at = 0;
    json_t *span, *spans = s_spans ();
    text[0] = 0;
    json_array_foreach (spans, index, span)
    {
        const char *error = s_attribute (span, "error.type");
        long long code =
          json_integer_value (json_object_get (json_object_get (span, "status"), "code"));
        assert_int_equal (code, *error ? 2 : 0);
        at += (size_t) snprintf (text + at, sizeof text - at, "%s%s %lld-%lld%s%s%s%s",
          index ? " | " : "", s_of (span, "name"), s_ms (span, "startTimeUnixNano"),
          s_ms (span, "endTimeUnixNano"), *error ? " !" : "", error,
          *s_attribute (span, "riposte.status") ? " " : "", s_attribute (span, "riposte.status"));
    }
    return text;
}

static void s_a_request_is_a_span_in_the_queue_and_one_at_its_worker (void **state)
{
    (void) state;
    hello_client ("c1");
    s_request (1, (s_with_t){.id = "order-17"});
    pass (38);
    hello_worker ("w1", "upper", 1);
    pass (311);
    reply ("w1", "r1", RP_OK);
    assert_string_equal (s_in_short (), "queue upper 0-38 | work upper 38-349 OK");
    const json_t *spans = s_spans ();
    const json_t *queue = json_array_get (spans, 0), *work = json_array_get (spans, 1);
    assert_string_equal (s_attribute (queue, "messaging.system"), "riposte");
    assert_string_equal (s_attribute (queue, "messaging.destination.name"), "upper");
    assert_string_equal (s_attribute (queue, "messaging.operation.name"), "queue");
    assert_string_equal (s_attribute (queue, "messaging.operation.type"), "");
    assert_string_equal (s_attribute (queue, "riposte.request_id"), "order-17");
    assert_string_equal (s_attribute (queue, "riposte.wait"), "no_worker");
    assert_string_equal (s_attribute (queue, "riposte.attempts"), "3");
    assert_string_equal (s_attribute (work, "messaging.operation.name"), "work");
    assert_string_equal (s_attribute (work, "messaging.operation.type"), "process");
    assert_string_equal (s_attribute (work, "riposte.attempt"), "1");
    assert_string_equal (s_attribute (work, "riposte.request_id"), "order-17");
    assert_true (*s_attribute (work, "messaging.message.id"));
}

static void s_spans_belong_to_the_trace_and_have_ids_of_their_own (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request (1, (s_with_t){.id = NULL});
    reply ("w1", "r1", RP_OK);
    const char *before = "";
    size_t index;
    json_t *span, *spans = s_spans ();
    json_array_foreach (spans, index, span)
    {
        assert_string_equal (s_of (span, "traceId"), S_TRACE);
        assert_string_equal (s_of (span, "parentSpanId"), S_SPAN);
        assert_int_equal (strlen (s_of (span, "spanId")), 16);
        assert_string_not_equal (s_of (span, "spanId"), "0000000000000000");
        assert_string_not_equal (s_of (span, "spanId"), before);
        before = s_of (span, "spanId");
    }
    json_t *resource = json_object_get (
      json_array_get (json_object_get (s_document, "resourceSpans"), 0), "resource");
    assert_string_equal (s_attribute (resource, "service.name"), "riposte-broker");
    assert_string_equal (s_attribute (resource, "service.version"), "0.1");
    assert_string_equal (s_attribute (resource, "service.instance.id"), "abc");
}

static void s_each_attempt_is_a_span_and_a_loss_is_an_error (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request (1, (s_with_t){.attempts = 3});
    pass (2100);
    bye ("w1");
    pass (10);
    hello_worker ("w2", "upper", 1);
    pass (311);
    reply ("w2", "r1", RP_OK);
    assert_string_equal (s_in_short (),
      "queue upper 0-0 | work upper 0-2100 !WORKER_LOST | queue upper 2100-2110 | "
      "work upper 2110-2421 OK");
    json_t *lost = json_array_get (s_spans (), 1);
    assert_string_equal (s_attribute (lost, "riposte.outcome"), "lost");
    assert_true (*s_of (json_object_get (lost, "status"), "message"));
    assert_string_equal (s_attribute (json_array_get (s_spans (), 3), "riposte.attempt"), "2");
}

static void s_what_a_worker_gives_back_is_no_error (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    s_request (1, (s_with_t){.attempts = 2});
    pass (5);
    give_back ("w1", "r1");
    pass (7);
    reply ("w2", "r1", RP_OK);
    assert_string_equal (s_in_short (), "queue upper 0-0 | work upper 0-5 | work upper 5-12 OK");
}

static void s_the_span_in_which_it_ends_has_the_failure (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request (1, (s_with_t){.time_ms = 500});
    s_request (2, (s_with_t){.time_ms = 100});
    pass (100);
    assert_string_equal (s_in_short (), "queue upper 0-100 !EXPIRED EXPIRED");
    pass (400);
    assert_string_equal (s_in_short (), "queue upper 0-0 | work upper 0-500 !DEADLINE DEADLINE");
    s_request (3, (s_with_t){.id = NULL});
    reply ("w1", "r1", RP_OK); // too late
    pass (1);
    reply ("w1", "r3", RP_APP_ERROR);
    assert_string_equal (
      s_in_short (), "queue upper 500-500 | work upper 500-501 !APP_ERROR APP_ERROR");
    s_request (4, (s_with_t){.attempts = 1});
    bye ("w1");
    assert_string_equal (
      s_in_short (), "queue upper 501-501 | work upper 501-501 !WORKER_LOST WORKER_LOST");
}

static void s_a_request_that_is_lost_as_often_as_is_kept_fits_into_a_batch (void **state)
{
    (void) state;
    hello_client ("c1");
    s_request (1, (s_with_t){.attempts = 10});
    for (unsigned count = 0; count < 30; count++) { // given back is no attempt
        hello_worker ("w1", "upper", 1);
        pass (1);
        give_back ("w1", "r1");
        bye ("w1");
        pass (1);
    }
    cancel ("c1", "r1");
    uint32_t spans = rp_span_json_count (last_export ());
    assert_in_range (spans, 2 * RP_TRACE_LOSSES_MAX, RP_SPAN_REQUEST_MAX);
    json_t *last = json_array_get (s_spans (), spans - 1);
    assert_string_equal (s_attribute (last, "error.type"), "CANCELLED");
    assert_string_equal (s_attribute (last, "riposte.omitted_attempts"), "14");
}

static void s_only_what_is_sampled_is_exported (void **state)
{
    (void) state;
    static const char *const not [] = {"00-" S_TRACE "-" S_SPAN "-00", "00-" S_TRACE "-" S_SPAN,
      "ff-" S_TRACE "-" S_SPAN "-01", "00-" S_TRACE "-0000000000000000-01", "x", ""};
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    for (unsigned index = 0; index < sizeof not / sizeof *not ; index++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", index + 1);
        s_request (index + 1, (s_with_t){.parent = not [index]});
        reply ("w1", name, RP_OK);
    }
    request ("c1", "r90", "upper");
    reply ("w1", "r90", RP_OK);
    assert_int_equal (export_count (), 0);
    s_request (91, (s_with_t){.parent = S_SAMPLED});
    assert_int_equal (export_count (), 0); // it has not ended
    reply ("w1", "r91", RP_OK);
    assert_int_equal (export_count (), 1);
}

static void s_a_request_for_which_there_is_no_room_is_told_as_unknown (void **state)
{
    (void) state;
    limits ()->trace_bytes = 0;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request (1, (s_with_t){.id = NULL});
    assert_int_equal (export_count (), 1);
    assert_null (last_export ());
    reply ("w1", "r1", RP_OK);
    assert_int_equal (export_count (), 1);
}

static void s_names_that_are_not_text_are_escaped (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "a\"\\\xff\xe2\x80\xae", 1);
    s_request (1, (s_with_t){.service = "a\"\\\xff\xe2\x80\xae", .id = "\xf0\x9f\x98\x80 \xc3"});
    reply ("w1", "r1", RP_OK);
    json_t *span = json_array_get (s_spans (), 0);
    assert_string_equal (s_of (span, "name"), "queue a\"\\\\\\xff\\xe2\\x80\\xae");
    assert_string_equal (
      s_attribute (span, "messaging.destination.name"), "a\"\\\\\\xff\\xe2\\x80\\xae");
    assert_string_equal (s_attribute (span, "riposte.request_id"), "\xf0\x9f\x98\x80 \\xc3");
}

static void s_a_collector_says_how_many_it_refused (void **state)
{
    (void) state;
    static const struct {
        const char *answer;
        uint32_t refused;
    } answers[] = {{"{}", 0}, {"", 0}, {"[]", 0}, {"{\"partialSuccess\":{}}", 0},
      {"{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no\"}}", 3},
      {"{\"partialSuccess\":{\"rejectedSpans\":4}}", 4},
      {"{\"partialSuccess\":{\"rejectedSpans\":\"900\"}}", 10},
      {"{\"partialSuccess\":{\"rejectedSpans\":-1}}", 0},
      {"{\"partialSuccess\":{\"rejectedSpans\":\"x\"}}", 0},
      {"{\"partialSuccess\":{\"rejectedSpans\":", 0}, {"\xff\x00", 0}};
    for (size_t index = 0; index < sizeof answers / sizeof *answers; index++)
        assert_int_equal (
          rp_span_json_refused (answers[index].answer, strlen (answers[index].answer), 10),
          answers[index].refused);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_is_a_span_in_the_queue_and_one_at_its_worker),
      S_TEST (s_spans_belong_to_the_trace_and_have_ids_of_their_own),
      S_TEST (s_each_attempt_is_a_span_and_a_loss_is_an_error),
      S_TEST (s_what_a_worker_gives_back_is_no_error),
      S_TEST (s_the_span_in_which_it_ends_has_the_failure),
      S_TEST (s_a_request_that_is_lost_as_often_as_is_kept_fits_into_a_batch),
      S_TEST (s_only_what_is_sampled_is_exported),
      S_TEST (s_a_request_for_which_there_is_no_room_is_told_as_unknown),
      S_TEST (s_names_that_are_not_text_are_escaped),
      S_TEST (s_a_collector_says_how_many_it_refused),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    json_decref (s_document);
    return failed;
}
