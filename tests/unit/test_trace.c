/*  What traces, the slowest requests and the latest failures show of requests.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/trace.h"
#include "broker/core/trace_log.h"
#include "common/wire/headers.h"
#include "tests/support/trace.h"

#define S_PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static char s_text[8192];

static void s_print (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
static void s_print (const char *format, ...)
{
    size_t size = strlen (s_text);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (s_text + size, sizeof s_text - size, format, arguments);
    va_end (arguments);
}

/*  Times in ms: "accepted waited38:busy4 given:w1#1 lost2100 given:w2#2 ended311:OK".  */
static void s_see (const rp_trace_t *trace, void *arg)
{
    (void) arg;
    s_print ("%s%s:", *s_text ? " | " : "", trace->service);
    for (size_t index = 0; index < trace->count; index++) {
        const rp_trace_event_t *event = &trace->events[index];
        s_print (" %s", rp_trace_kind_name (event->kind));
        if (event->us)
            s_print ("%lld", (long long) event->us / 1000);
        if (event->wait)
            s_print (":%s%u", rp_wait_name (event->wait), event->workers);
        if (event->kind == RP_TRACE_GIVEN)
            s_print (":#%u", event->attempt);
        if (event->kind == RP_TRACE_LOST || event->status == RP_WORKER_LOST)
            s_print ("(%s)", event->text);
        if (event->kind == RP_TRACE_ENDED)
            s_print (":%s", rp_status_name (event->status));
    }
}

static const char *s_trace (const char *id)
{
    rp_trace_query_t query;
    char buffer[RP_TRACE_ID_SIZE + 1];
    forget ();
    s_text[0] = 0;
    rp_trace_query_read (&query, id, buffer);
    rp_trace_find (audit ()->core, audit ()->now, &query, 10, s_see, NULL);
    return s_text;
}

static void s_request_with_header (
  const char *client, uint64_t id, const char *key, const char *value)
{
    uint8_t block[256];
    size_t size = 0;
    assert_true (rp_headers_append (block, &size, sizeof block, key, value));
    message (client,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = id,
        .deadline_ms = 60000,
        .attempts = 2,
        .name = "upper",
        .name_size = 5,
        .headers = block,
        .headers_size = (uint16_t) size},
      10);
}

static void s_a_request_that_goes_out_at_once_has_no_waiting (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    pass (311);
    reply ("w1", "r1", RP_OK);
    assert_string_equal (s_trace ("0/1"), "upper: accepted given:#1 ended311:OK");
}

static rp_trace_t s_seen;

static void s_keep_trace (const rp_trace_t *trace, void *arg)
{
    (void) arg;
    s_seen = *trace;
}

static void s_look (uint64_t client_id)
{
    rp_trace_query_t query = {.by_client = true, .client_id = client_id};
    assert_int_equal (
      rp_trace_find (audit ()->core, audit ()->now, &query, 1, s_keep_trace, NULL), 1);
}

static void s_what_a_stream_has_passed_on_is_known_while_it_is_open_and_after (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_streaming_worker ("w1", "upper", 2);
    request_with ("c1", "r1", "upper", (with_t){.window = 1000, .more = true});
    part ("w1", "r1", 10);
    part ("w1", "r1", 20);
    grant_body ("w1", "r1", 1000);
    body_part ("c1", "r1", 5);
    forget ();
    s_look (1);
    assert_true (s_seen.open && s_seen.reply.parts == 2 && s_seen.reply.bytes == 30);
    assert_true (s_seen.body.parts == 1 && s_seen.body.bytes == 5);
    last_part ("w1", "r1", 100);
    expect ("c1<r1:OK");
    s_look (1);
    assert_true (!s_seen.open && s_seen.reply.parts == 2 && s_seen.reply.bytes == 30);
    assert_true (s_seen.body.parts == 1 && s_seen.body.bytes == 5);
    request ("c1", "r2", "upper");
    reply ("w1", "r2", RP_OK);
    expect ("w1<r2 c1<r2:OK");
    s_look (2);
    assert_true (s_seen.reply.parts == 0 && s_seen.body.parts == 0);
}

static void s_waiting_says_how_many_workers_were_busy (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    pass (38);
    assert_string_equal (s_trace ("0/3"), "upper: accepted waits38:busy2");
    reply ("w1", "r1", RP_OK);
    assert_string_equal (s_trace ("0/3"), "upper: accepted waited38:busy2 given:#1 runs");
    pass (2);
    reply ("w1", "r3", RP_APP_ERROR);
    assert_string_equal (
      s_trace ("0/3"), "upper: accepted waited38:busy2 given:#1 ended2:APP_ERROR");
}

static void s_a_loss_is_in_the_timeline_with_its_reason (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    pass (2100);
    bye ("w1");
    pass (10);
    hello_worker ("w2", "upper", 1);
    pass (311);
    reply ("w2", "r1", RP_OK);
    assert_string_equal (s_trace ("0/1"),
      "upper: accepted given:#1 lost2100(it left) waited10:no_worker1 given:#2 ended311:OK");
}

static void s_a_request_lost_with_its_worker_says_what_became_of_the_worker (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    pass (2100);
    suspect ("w1");
    unsent ("w1", NULL, false);
    tick ();
    assert_string_equal (
      s_trace ("0/1"), "upper: accepted given:#1 ended2100(its connection broke):WORKER_LOST");
}

static void s_a_client_is_found_by_its_name_or_its_session (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_client ("c2/3");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    request ("c2/3", "r2", "upper");
    assert_string_equal (s_trace ("c1/1"), "upper: accepted given:#1 ended:OK");
    assert_string_equal (s_trace ("c1/2"), "");
    assert_string_equal (s_trace ("c2/3/2"), "upper: accepted given:#1 runs");
    assert_string_equal (s_trace ("c2/2"), "");
    assert_string_equal (s_trace ("1/1"), "");
    assert_string_equal (s_trace ("/1"), "");
    assert_string_equal (s_trace ("c1/"), "");
    assert_string_equal (s_trace ("c1/x"), "");
    hello_client ("c4");
    request ("c4", "r1", "upper");
    cancel ("c4", "r1");
    bye ("c1");
    bye ("c4");
    assert_string_equal (s_trace ("c1/1"), "upper: accepted given:#1 ended:OK");
    assert_string_equal (s_trace ("c3/1"), "");
}

static void s_a_request_that_no_worker_got_has_its_reason_and_status (void **state)
{
    (void) state;
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.wait_ms = 40, .time_ms = 100});
    pass (5000);
    assert_string_equal (s_trace ("0/1"), "upper: accepted waited40:no_worker0 ended:NO_WORKER");
}

static void s_a_conversation_shows_what_its_requests_wait_for (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    open_in ("c1", "r1", "upper", "k1");
    next_in ("c1", "r2", "upper", "k1");
    pass (5);
    assert_string_equal (s_trace ("0/2"), "upper: accepted waits5:line1");
    reply ("w1", "r1", RP_OK);
    pass (1);
    reply ("w1", "r2", RP_OK);
    assert_string_equal (s_trace ("0/2"), "upper: accepted waited5:line1 given:#1 ended1:OK");
}

static void s_what_a_worker_gives_back_is_no_attempt (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    pass (1);
    hello_worker ("w2", "upper", 1);
    give_back ("w1", "r1");
    pass (1);
    reply ("w2", "r1", RP_OK);
    assert_string_equal (s_trace ("0/1"), "upper: accepted given:#1 returned1 given:#1 ended1:OK");
}

static void s_a_request_is_found_by_its_headers (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request_with_header ("c1", 1, "request-id", "order-17");
    assert_string_equal (s_trace ("order-17"), "upper: accepted given:#1 runs");
    reply ("w1", "r1", RP_OK);
    s_request_with_header ("c1", 2, "traceparent", S_PARENT);
    reply ("w1", "r2", RP_OK);
    assert_string_equal (s_trace ("order-17"), "upper: accepted given:#1 ended:OK");
    assert_string_equal (
      s_trace ("4bf92f3577b34da6a3ce929d0e0e4736"), "upper: accepted given:#1 ended:OK");
    assert_string_equal (s_trace (S_PARENT), "upper: accepted given:#1 ended:OK");
    assert_string_equal (s_trace ("order-18"), "");
}

static void s_a_request_is_found_by_a_long_id_too_of_which_the_beginning_is_kept (void **state)
{
    (void) state;
    char id[201];
    memset (id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request_with_header ("c1", 1, "request-id", id);
    assert_string_equal (s_trace (id), "upper: accepted given:#1 runs");
    id[RP_TRACE_REQUEST_ID_MAX - 1] = 0;
    assert_string_equal (s_trace (id), "");
}

static void s_what_is_no_trace_id_is_not_kept (void **state)
{
    (void) state;
    static const char *const parents[] = {"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"};
    hello_client ("c1");
    hello_worker ("w1", "upper", 4);
    for (unsigned index = 0; index < 3; index++) {
        s_request_with_header ("c1", index + 1, "traceparent", parents[index]);
        assert_string_equal (s_trace (parents[index]), "");
    }
}

static void s_keep_queue_time (const rp_trace_t *trace, void *arg)
{
    *(uint32_t *) arg = trace->queue_us;
}

static void s_a_time_over_an_hour_stays_over_an_hour (void **state)
{
    (void) state;
    uint32_t time = 0;
    hello_client ("c1");
    hello_worker ("w1", "upper", 0);
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 86400000});
    rp_trace_query_t query = {.by_client = true, .client_id = 1};
    int64_t later = audit ()->now + INT64_C (4294967296) + 5;
    rp_trace_find (audit ()->core, later, &query, 1, s_keep_queue_time, &time);
    assert_int_equal (time, UINT32_MAX);
    forget ();
}

static void s_a_request_is_found_by_the_token_of_each_of_its_deliveries (void **state)
{
    (void) state;
    char first[32], second[32];
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    snprintf (first, sizeof first, "%llu", (unsigned long long) delivery_of ("r1")->id);
    bye ("w1");
    hello_worker ("w2", "upper", 1);
    snprintf (second, sizeof second, "%llu", (unsigned long long) delivery_of ("r1")->id);
    reply ("w2", "r1", RP_OK);
    static const char line[] = "upper: accepted given:#1 lost(it left) given:#2 ended:OK";
    assert_string_equal (s_trace (first), line);
    assert_string_equal (s_trace (second), line);
}

static void s_see_names (const rp_trace_t *trace, void *arg)
{
    (void) arg;
    s_print ("%s %s %s %s", trace->client, trace->worker, trace->service, trace->principal);
}

static void s_names_outlive_their_sessions (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    bye ("w1");
    bye ("c1");
    tick ();
    forget ();
    s_text[0] = 0;
    rp_trace_find (audit ()->core, audit ()->now,
      &(rp_trace_query_t){.by_client = true, .client_id = 1}, 1, s_see_names, NULL);
    assert_string_equal (s_text, "c1 w1 upper anonymous");
}

static void s_serve (unsigned id, unsigned ms)
{
    char name[16];
    snprintf (name, sizeof name, "r%u", id);
    request ("c1", name, "upper");
    slip (ms);
    reply ("w1", name, RP_OK);
    forget ();
}

static void s_the_slowest_are_told_first (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    for (unsigned id = 1; id <= 9; id++)
        s_serve (id, id * 7 % 10);
    s_text[0] = 0;
    assert_int_equal (rp_trace_slowest (audit ()->core, "upper", false, 2, s_see, NULL), 2);
    assert_string_equal (
      s_text, "upper: accepted given:#1 ended9:OK | upper: accepted given:#1 ended8:OK");
    assert_int_equal (rp_trace_slowest (audit ()->core, "lower", false, 2, s_see, NULL), 0);
}

static void s_failures_stay_when_ordinary_requests_have_gone (void **state)
{
    (void) state;
    limits ()->trace_bytes = 8192;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    reply ("w1", "r1", RP_OK);
    for (unsigned id = 2; id <= 500; id++)
        s_serve (id, 0);
    assert_string_equal (s_trace ("0/2"), "");
    assert_string_equal (s_trace ("0/500"), "upper: accepted given:#1 ended:OK");
    assert_string_equal (s_trace ("0/1"), "upper: accepted given:#1 ended:CANCELLED");
    s_text[0] = 0;
    assert_int_equal (rp_trace_failures (audit ()->core, "upper", 10, s_see, NULL), 1);
    assert_int_equal (rp_trace_slowest (audit ()->core, NULL, false, 100, s_see, NULL), 65);
}

static void s_slow_ones_stay_too (void **state)
{
    (void) state;
    limits ()->trace_bytes = 8192;
    limits ()->slow = 5;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    pass (5001);
    s_serve (1, 6);
    for (unsigned id = 2; id <= 500; id++)
        s_serve (id, 0);
    assert_string_equal (s_trace ("0/1"), "upper: accepted given:#1 ended6:OK");
}

static void s_count_losses (const rp_trace_t *trace, void *arg)
{
    unsigned *counts = arg;
    counts[0] += trace->omitted;
    for (size_t index = 0; index < trace->count; index++)
        counts[1] += trace->events[index].kind == RP_TRACE_RETURNED;
}

/*  Gives a request back so often, and counts losses: omitted ones, and those in the timelines of all.  */
static void s_give_back_often (const char *request, unsigned times, unsigned counts[2])
{
    for (unsigned time = 0; time < times; time++) {
        credit ("w1", 4);
        give_back ("w1", request);
    }
    rp_trace_query_t query = {.by_client = true, .client_id = 1};
    counts[0] = counts[1] = 0;
    rp_trace_find (audit ()->core, audit ()->now, &query, 10, s_count_losses, counts);
    query.client_id = 2;
    rp_trace_find (audit ()->core, audit ()->now, &query, 10, s_count_losses, counts);
    forget ();
}

static void s_losses_take_no_more_memory_than_traces_may (void **state)
{
    (void) state;
    limits ()->trace_bytes = 32768;
    limits ()->service_linger = 3600000;
    unsigned counts[2], most = 32768 / 8 / sizeof (rp_trace_noted_loss_t);
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 0);
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 60000});
    s_give_back_often ("r1", 14, counts);
    assert_int_equal (counts[0] + counts[1], 14);
    assert_int_equal (counts[1], 14);
    request_with ("c1", "r2", "upper", (with_t){.time_ms = 60000});
    s_give_back_often ("r2", 10, counts);
    assert_int_equal (counts[0] + counts[1], 24);
    assert_int_equal (counts[1], most);
}

static void s_without_memory_for_it_nothing_is_kept (void **state)
{
    (void) state;
    limits ()->trace_bytes = 0;
    hello_client ("c1");
    hello_worker ("w1", "upper", 1);
    s_request_with_header ("c1", 1, "request-id", "order-17");
    assert_string_equal (s_trace ("0/1"), "upper: accepted given:#1 runs");
    reply ("w1", "r1", RP_OK);
    assert_string_equal (s_trace ("0/1"), "");
    assert_string_equal (s_trace ("order-17"), "");
}

/*  ---- A ring --------------------------------------------------------------------------------- */

#define S_RING_MAX 64u

/*  What a ring has: whose each cell is. A record is whole while all of its cells are its own.  */
typedef struct {
    unsigned owners[S_RING_MAX]; /* number of the record; 0: none */
    unsigned begins[5000];       /* by number */
    unsigned sizes[5000];
    unsigned count;
} s_ring_model_t;

static bool s_is_whole (const s_ring_model_t *self, unsigned number)
{
    for (unsigned cell = 0; cell < self->sizes[number]; cell++)
        if (self->owners[self->begins[number] + cell] != number)
            return false;
    return number > 0;
}

/*  Writes a record, each cell of which has its number.  */
static void s_write (rp_trace_ring_t *ring, s_ring_model_t *model, unsigned cells)
{
    rp_trace_cell_t *cell = rp_trace_ring_take (ring, cells);
    assert_int_equal (cell != NULL, cells <= ring->size);
    if (!cell)
        return;
    unsigned number = ++model->count;
    assert_int_equal (cell->cells, cells);
    model->begins[number] = (unsigned) (cell - ring->cells);
    model->sizes[number] = cells;
    assert_true (model->begins[number] + cells <= ring->size);
    for (unsigned at = 0; at < cells; at++) {
        model->owners[model->begins[number] + at] = number;
        cell[at].client_id = number;
        if (at > 0)
            cell[at].back = cell[at].cells = 0xffff; // as texts have it
    }
}

static void s_a_ring_is_read_from_its_newest_record_to_the_first_that_is_not_whole (void **state)
{
    (void) state;
    rp_trace_cell_t cells[S_RING_MAX];
    uint64_t seed = 1;
    for (unsigned round = 0; round < 2000; round++) {
        s_ring_model_t model = {.count = 0};
        rp_trace_ring_t ring = {.cells = cells, .size = 1 + round % S_RING_MAX};
        for (unsigned step = 0; step < 200; step++) {
            seed = seed * UINT64_C (6364136223846793005) + 1442695040888963407;
            s_write (
              &ring, &model, 1 + (unsigned) (seed >> 33) % (ring.size < 20 ? ring.size + 1 : 20));
            uint32_t walked = 0;
            unsigned number = model.count;
            const rp_trace_cell_t *cell;
            for (; (cell = rp_trace_ring_next (&ring, &walked)); number--) {
                assert_true (s_is_whole (&model, number));
                assert_int_equal (cell - cells, model.begins[number]);
                assert_int_equal (cell->client_id, number);
            }
            assert_false (s_is_whole (&model, number));
        }
    }
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_that_goes_out_at_once_has_no_waiting),
      S_TEST (s_what_a_stream_has_passed_on_is_known_while_it_is_open_and_after),
      S_TEST (s_waiting_says_how_many_workers_were_busy),
      S_TEST (s_a_loss_is_in_the_timeline_with_its_reason),
      S_TEST (s_a_request_lost_with_its_worker_says_what_became_of_the_worker),
      S_TEST (s_a_client_is_found_by_its_name_or_its_session),
      S_TEST (s_a_request_that_no_worker_got_has_its_reason_and_status),
      S_TEST (s_a_conversation_shows_what_its_requests_wait_for),
      S_TEST (s_what_a_worker_gives_back_is_no_attempt),
      S_TEST (s_a_request_is_found_by_its_headers),
      S_TEST (s_a_request_is_found_by_a_long_id_too_of_which_the_beginning_is_kept),
      S_TEST (s_what_is_no_trace_id_is_not_kept),
      S_TEST (s_a_time_over_an_hour_stays_over_an_hour),
      S_TEST (s_a_request_is_found_by_the_token_of_each_of_its_deliveries),
      S_TEST (s_names_outlive_their_sessions),
      S_TEST (s_the_slowest_are_told_first),
      S_TEST (s_failures_stay_when_ordinary_requests_have_gone),
      S_TEST (s_slow_ones_stay_too),
      S_TEST (s_losses_take_no_more_memory_than_traces_may),
      S_TEST (s_without_memory_for_it_nothing_is_kept),
      S_TEST (s_a_ring_is_read_from_its_newest_record_to_the_first_that_is_not_whole),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
