/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/translate.h"

#define S_ID "0123456789abcdef0123456789abcdef"

static void a_path_and_its_method_name_a_resource (void **state)
{
    (void) state;
    static const struct {
        const char *method;
        const char *path;
        rp_resource_kind_t kind;
        const char *service;
        const char *id;
    } cases[] = {
      {"POST", "/call/upper", RP_RESOURCE_CALL, "upper", ""},
      {"POST", "/call/a%2Fb%20c", RP_RESOURCE_CALL, "a/b c", ""},
      {"POST", "/call/%41%7e", RP_RESOURCE_CALL, "A~", ""},
      {"POST", "/call/a+b", RP_RESOURCE_CALL, "a+b", ""},
      {"POST", "/conversations/upper", RP_RESOURCE_BEGIN, "upper", ""},
      {"POST", "/conversations/upper/" S_ID, RP_RESOURCE_CONTINUE, "upper", S_ID},
      {"DELETE", "/conversations/upper/" S_ID, RP_RESOURCE_END, "upper", S_ID},
      {"POST", "/jobs/a%2Fb", RP_RESOURCE_JOB_SEND, "a/b", ""},
      {"POST", "/jobs/4711", RP_RESOURCE_JOB_SEND, "4711", ""},
      {"GET", "/services", RP_RESOURCE_SERVICES, "", ""},
      {"HEAD", "/services", RP_RESOURCE_SERVICES, "", ""},
      {"GET", "/openapi.json", RP_RESOURCE_OPENAPI, "", ""},
      {"GET", "/livez", RP_RESOURCE_LIVE, "", ""},
      {"GET", "/readyz", RP_RESOURCE_READY, "", ""},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        rp_resource_t resource;
        rp_resource_find (&resource, cases[index].method, cases[index].path);
        assert_int_equal (resource.kind, cases[index].kind);
        assert_string_equal (resource.service, cases[index].service);
        assert_string_equal (resource.id, cases[index].id);
    }
}

static void other_paths_are_not_there (void **state)
{
    (void) state;
    static const char *const paths[] = {"", "/", "*", "call/a", "/call", "/call/", "/call/a/",
      "/call//a", "//call/a", "/call/a/b", "/Call/a", "/call/a%", "/call/a%2", "/call/a%2g",
      "/call/a%00b", "/call/%0a", "/call/%7f", "http://localhost/call/a",
      "/conversations/a/" S_ID "0", "/conversations/a/0123456789abcdef0123456789abcdeg",
      "/conversations/a/" S_ID "/", "/conversations/a/" S_ID "/b", "/servicesx", "/services/a",
      "/livez/"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        rp_resource_t resource;
        rp_resource_find (&resource, "POST", paths[index]);
        assert_int_equal (resource.kind, RP_RESOURCE_NONE);
    }
}

static void a_job_has_one_path (void **state)
{
    (void) state;
    static const char *const none[] = {"/jobs/", "/jobs/0", "/jobs/01", "/jobs/-1", "/jobs/+1",
      "/jobs/x", "/jobs/1x", "/jobs/%31", "/jobs/10000000000000000000", "/jobs/1/", "/jobs"};
    rp_resource_t resource;
    rp_resource_find (&resource, "GET", "/jobs/9999999999999999999");
    assert_int_equal (resource.kind, RP_RESOURCE_JOB_RESULT);
    assert_true (resource.job == UINT64_C (9999999999999999999));
    rp_resource_find (&resource, "HEAD", "/jobs/7");
    assert_int_equal (resource.kind, RP_RESOURCE_JOB_RESULT);
    rp_resource_find (&resource, "DELETE", "/jobs/7");
    assert_int_equal (resource.kind, RP_RESOURCE_JOB_CANCEL);
    assert_true (resource.job == 7);
    for (size_t index = 0; index < sizeof none / sizeof *none; index++) {
        rp_resource_find (&resource, "GET", none[index]);
        assert_int_equal (resource.kind, RP_RESOURCE_NONE);
    }
}

static void an_idempotency_key_has_quotes_or_none (void **state)
{
    (void) state;
    static const char *const good[][2] = {{"a", "a"}, {"\"a\"", "a"}, {"\"a b\"", "a b"},
      {"a b", "a b"}, {"\"\\\"\\\\\"", "\"\\"}, {"a\"b", "a\"b"}, {"\xc3\xa9", "\xc3\xa9"}};
    static const char *const bad[] = {"", "\"", "\"\"", "\"a", "\"a\"b", "\"a\" ", "\"\\a\"",
      "\"a\\", "a\tb", "a\x7f", "\"a\tb\"", "\"\xc3\xa9\""};
    char key[RP_IDEMPOTENCY_KEY_TEXT];
    char text[RP_IDEMPOTENCY_KEY_TEXT + 3];
    const char *reason = NULL;
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        assert_true (rp_idempotency_key_parse (good[index][0], key, &reason));
        assert_string_equal (key, good[index][1]);
    }
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        reason = NULL;
        assert_false (rp_idempotency_key_parse (bad[index], key, &reason));
        assert_non_null (reason);
    }
    for (size_t size = 127; size <= 128; size++) {
        memset (text, 'x', sizeof text);
        text[size] = '\0';
        assert_int_equal (rp_idempotency_key_parse (text, key, &reason), size == 127);
        text[0] = text[size + 1] = '"';
        text[size] = 'x';
        text[size + 2] = '\0';
        assert_int_equal (rp_idempotency_key_parse (text, key, &reason), size == 127);
    }
}

static void a_preference_to_wait_is_found_among_others (void **state)
{
    (void) state;
    static const struct {
        const char *text;
        unsigned seconds;
    } good[] = {{"wait=30", 30}, {"Wait = 30 ", 30}, {"wait=\"30\"", 30}, {"wait=0", 0},
      {"wait=60", 60}, {"wait=61", 60}, {"wait=99999999999999999999", 60}, {"wait=007", 7},
      {"respond-async, wait=10;x", 10}, {"a=\"b\",,wait=1,wait=2", 1}};
    static const char *const bad[] = {"", ",", "wait", "wait=", "wait=x", "wait=1x", "wait=-1",
      "wait=1.5", "wait=\"1", "awaits=1", "waits=1", "return=minimal"};
    unsigned seconds = 0;
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        assert_true (rp_prefer_wait_parse (good[index].text, &seconds));
        assert_int_equal (seconds, good[index].seconds);
    }
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++)
        assert_false (rp_prefer_wait_parse (bad[index], &seconds));
}

static void a_name_of_127_bytes_is_one_and_no_longer_one (void **state)
{
    (void) state;
    for (unsigned size = 126; size <= 129; size++) {
        char path[512] = "/call/";
        for (unsigned at = 0; at < size; at++)
            strcat (path, "%78");
        rp_resource_t resource;
        rp_resource_find (&resource, "POST", path);
        assert_int_equal (resource.kind, size <= 127 ? RP_RESOURCE_CALL : RP_RESOURCE_NONE);
        assert_int_equal (
          strlen (resource.service), size <= 127 ? size : strlen (resource.service));
    }
}

static void another_method_is_told_which_ones_there_are (void **state)
{
    (void) state;
    static const char *const cases[][3] = {
      {"GET", "/call/a", "POST"},
      {"HEAD", "/call/a", "POST"},
      {"post", "/call/a", "POST"},
      {"GET", "/conversations/a", "POST"},
      {"DELETE", "/conversations/a", "POST"},
      {"GET", "/conversations/a/" S_ID, "POST, DELETE"},
      {"PUT", "/jobs/a", "GET, POST, DELETE"},
      {"POST", "/services", "GET"},
      {"OPTIONS", "/livez", "GET"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        rp_resource_t resource;
        rp_resource_find (&resource, cases[index][0], cases[index][1]);
        assert_int_equal (resource.kind, RP_RESOURCE_WRONG_METHOD);
        assert_string_equal (resource.allow, cases[index][2]);
    }
}

static void the_path_of_a_conversation_leads_back_to_it (void **state)
{
    (void) state;
    static const char *const services[] = {"a", "a/b", "%", "a b?c#d", "\xc3\xa9", "A-._~"};
    for (size_t index = 0; index < sizeof services / sizeof *services; index++) {
        char path[512];
        rp_resource_t resource;
        rp_resource_write_conversation (services[index], S_ID, path, sizeof path);
        rp_resource_find (&resource, "POST", path);
        assert_int_equal (resource.kind, RP_RESOURCE_CONTINUE);
        assert_string_equal (resource.service, services[index]);
        assert_string_equal (resource.id, S_ID);
    }
    char name[RP_WIRE_NAME_MAX + 1];
    char path[512];
    memset (name, '/', RP_WIRE_NAME_MAX);
    name[RP_WIRE_NAME_MAX] = '\0';
    rp_resource_write_conversation (name, S_ID, path, sizeof path);
    assert_int_equal (strlen (path), strlen ("/conversations/") + 3 * RP_WIRE_NAME_MAX + 33);
}

static void the_status_map_is_that_of_the_document (void **state)
{
    (void) state;
    static const struct {
        int status;
        unsigned code;
        bool may_retry;
    } rows[] = {
      {RP_OK, 200, false},
      {RP_APP_ERROR, 422, false},
      {RP_KEY_MISMATCH, 422, false},
      {RP_NO_WORKER, 503, true},
      {RP_BUSY, 429, true},
      {RP_DRAINING, 503, true},
      {RP_DENIED, 403, false},
      {RP_INVALID, 400, false},
      {RP_TOO_LARGE, 413, false},
      {RP_EXPIRED, 504, false},
      {RP_CANCELLED, 499, false},
      {RP_WORKER_LOST, 502, false},
      {RP_DEADLINE, 504, false},
      {RP_CONVERSATION_LOST, 410, false},
      {RP_NO_BROKER, 503, true},
      {RP_UNKNOWN, 502, false},
      {RP_FULL, 429, true},
      {RP_USAGE, 400, false},
      {RP_NO_MEMORY, 500, false},
      {RP_SYSTEM, 500, false},
      {RP_CLOSED, 500, false},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        assert_int_equal (rp_http_status (rows[index].status), rows[index].code);
        assert_int_equal (rp_http_retry_after (rows[index].status) != NULL, rows[index].may_retry);
    }
}

static void timeouts_and_attempts_have_ranges (void **state)
{
    (void) state;
    static const struct {
        const char *text;
        uint32_t ms;
    } good[] = {
      {"1ms", 1}, {"250ms", 250}, {"5s", 5000}, {"1.5s", 1500}, {"24h", 86400000}, {"1999us", 1}};
    static const char *const bad[] = {"", "0s", "999us", "5", "24h1ms", "-5s", "5s ", "soon"};
    const char *reason = NULL;
    uint32_t ms = 0;
    uint8_t attempts = 0;
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        assert_true (rp_timeout_parse (good[index].text, &ms, &reason));
        assert_int_equal (ms, good[index].ms);
    }
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        reason = NULL;
        assert_false (rp_timeout_parse (bad[index], &ms, &reason));
        assert_non_null (reason);
    }
    assert_true (rp_attempts_parse ("1", &attempts, &reason) && attempts == 1);
    assert_true (rp_attempts_parse ("10", &attempts, &reason) && attempts == 10);
    static const char *const wrong[] = {"", "0", "11", "257", "-1", "1.5", "one"};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++)
        assert_false (rp_attempts_parse (wrong[index], &attempts, &reason));
}

static void workers_are_1_to_65535 (void **state)
{
    (void) state;
    uint32_t count;
    const char *reason = NULL;
    assert_true (rp_workers_parse ("1", &count, &reason) && count == 1);
    assert_true (rp_workers_parse ("65535", &count, &reason) && count == 65535);
    static const char *const wrong[] = {"", "0", "65536", "-1", "1.5", "true"};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++)
        assert_false (rp_workers_parse (wrong[index], &count, &reason));
}

static void a_bearer_token_is_64_digits_behind_its_scheme (void **state)
{
    (void) state;
#define S_TOKEN S_ID S_ID
    static const char *const good[] = {"Bearer " S_TOKEN, "bearer " S_TOKEN, "BEARER   " S_TOKEN};
    static const char *const bad[] = {"", "Bearer", "Bearer ", S_TOKEN, "Bearer" S_TOKEN,
      "Bearer " S_TOKEN " ", "Bearer " S_TOKEN "0", "Bearer " S_ID, "Basic " S_TOKEN,
      "Bearer\t" S_TOKEN, "Bearer 0123456789ABCDEF0123456789abcdef" S_ID};
    char token[RP_TOKEN_TEXT];
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        assert_true (rp_bearer_parse (good[index], token));
        assert_string_equal (token, S_TOKEN);
    }
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++)
        assert_false (rp_bearer_parse (bad[index], token));
}

static void events_are_accepted_by_their_type (void **state)
{
    (void) state;
    static const char *const good[] = {"text/event-stream", "TEXT/Event-Stream; q=0.5",
      "application/json, text/event-stream", "a/b,text/event-stream,*/*",
      "text/event-stream;q=0.001", "text/event-stream, a/b;q=0",
      "text/event-stream;q=0, text/event-stream", "text/event-stream;sq=0"};
    static const char *const bad[] = {"", "*/*", "text/*", "text/event-streams", "text/event",
      "a/b; c=text/event-stream", ",,", "text/event-stream;q=0", "text/event-stream ;\tQ=0.000",
      "text/event-stream;q=0.;a=b, */*", "text/event-stream;level=1;q=0,a/b"};
    for (size_t index = 0; index < sizeof good / sizeof *good; index++)
        assert_true (rp_accept_has_events (good[index]));
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++)
        assert_false (rp_accept_has_events (bad[index]));
}

static void headers_that_travel_have_a_key_and_the_others_none (void **state)
{
    (void) state;
    static const char *const travelling[][2] = {
      {"Content-Type", "content-type"},
      {"traceparent", "traceparent"},
      {"TraceState", "tracestate"},
      {"X-Request-Id", "request-id"},
      {"Riposte-Header-Colour", "colour"},
      {"riposte-header-a.b_c-d", "a.b_c-d"},
    };
    static const char *const staying[] = {"", "Cookie", "Host", "Content-Length", "Content-Types",
      "Content-Typ", "X-Request-Id2", "Riposte-Header-", "Riposte-Header", "Riposte-Timeout",
      "Riposte-Header-0123456789012345678901234567890123456789012345678901234567890123"};
    char buffer[RP_HEADER_KEY_MAX + 1];
    char name[128];
    for (size_t index = 0; index < sizeof travelling / sizeof *travelling; index++)
        assert_string_equal (rp_header_key (travelling[index][0], buffer), travelling[index][1]);
    for (size_t index = 0; index < sizeof staying / sizeof *staying; index++)
        assert_null (rp_header_key (staying[index], buffer));
    assert_string_equal (rp_header_name ("request-id", name, sizeof name), "x-request-id");
    assert_string_equal (rp_header_name ("content-type", name, sizeof name), "content-type");
    // A worker must not set headers that frame a response or that the gateway itself writes.
    static const char *const keys[] = {
      "content-length", "transfer-encoding", "connection", "date", "riposte-status", "set-cookie"};
    for (size_t index = 0; index < sizeof keys / sizeof *keys; index++) {
        char expected[128];
        snprintf (expected, sizeof expected, "riposte-header-%s", keys[index]);
        assert_string_equal (rp_header_name (keys[index], name, sizeof name), expected);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_path_and_its_method_name_a_resource),
      cmocka_unit_test (other_paths_are_not_there),
      cmocka_unit_test (a_job_has_one_path),
      cmocka_unit_test (an_idempotency_key_has_quotes_or_none),
      cmocka_unit_test (a_preference_to_wait_is_found_among_others),
      cmocka_unit_test (a_name_of_127_bytes_is_one_and_no_longer_one),
      cmocka_unit_test (another_method_is_told_which_ones_there_are),
      cmocka_unit_test (the_path_of_a_conversation_leads_back_to_it),
      cmocka_unit_test (the_status_map_is_that_of_the_document),
      cmocka_unit_test (timeouts_and_attempts_have_ranges),
      cmocka_unit_test (workers_are_1_to_65535),
      cmocka_unit_test (events_are_accepted_by_their_type),
      cmocka_unit_test (a_bearer_token_is_64_digits_behind_its_scheme),
      cmocka_unit_test (headers_that_travel_have_a_key_and_the_others_none),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
