/*  Bodies in parts, with what their readers grant. Parts of foreign workers: test_dispatch_parts.c.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/core/stream.h"
#include "common/wire/headers.h"
#include "tests/support/trace.h"

#define COST(size) ((size) + RP_PART_COST)

/*  A worker that knows streams, and a client with a request for it.  */
static void s_begin (with_t with)
{
    hello_streaming_worker ("w1", "upper", 4);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", with);
    expect ("w1<r1");
}

/*  ---- A reply in parts ---------------------------------------------------------------------- */

static void s_parts_come_in_order_and_the_last_one_ends_the_request (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 1000});
    assert_int_equal (delivery_of ("r1")->flags, RP_FLAG_STREAM);
    assert_int_equal (counts ().streams, 1);
    part ("w1", "r1", 10);
    expect ("c1<r1:part");
    assert_int_equal (answer_size ("r1"), 10);
    assert_int_equal (stats ()->granted_bytes, 1000 - COST (10));
    part ("w1", "r1", 0);
    last_part ("w1", "r1", 500);
    expect ("c1<r1:part c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 500);
    assert_int_equal (stats ()->open_bytes, 0);
    assert_int_equal (stats ()->granted_bytes, 0);
    assert_int_equal (counts ().streams, 0);
    assert_int_equal (stats ()->streams, 1);
    assert_int_equal (stats ()->parts, 2);
    assert_int_equal (stats ()->part_bytes, 10);
}

static void s_a_worker_may_write_what_was_granted_and_no_byte_more (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 2 * COST (100)});
    part ("w1", "r1", 100);
    part ("w1", "r1", 100);
    expect ("c1<r1:part c1<r1:part");
    part ("w1", "r1", 0);
    expect ("w1<bye:INVALID c1<r1:WORKER_LOST");
    assert_true (answer_says ("r1", "200 bytes of the reply had been passed on"));
    assert_int_equal (stats ()->protocol_errors, 1);
}

static void s_a_grant_lets_the_worker_write_more (void **state)
{
    (void) state;
    s_begin ((with_t){.window = COST (100)});
    part ("w1", "r1", 100);
    grant ("c1", "r1", 2 * COST (100));
    part ("w1", "r1", 100);
    expect ("c1<r1:part w1<r1:grant=328 c1<r1:part");
}

static void s_a_grant_of_less_than_64_more_means_nothing (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 100});
    grant ("c1", "r1", 100);
    grant ("c1", "r1", 1);
    grant ("c1", "r1", 163);
    expect (NOTHING);
    grant ("c1", "r1", 164);
    part ("w1", "r1", 164 - RP_PART_COST);
    expect ("w1<r1:grant=164 c1<r1:part");
}

static void s_a_grant_of_less_than_a_quarter_of_what_is_unwritten_means_nothing (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 1000});
    grant ("c1", "r1", 1249);
    expect (NOTHING);
    grant ("c1", "r1", 1250);
    expect ("w1<r1:grant=1250");
    part ("w1", "r1", 850 - RP_PART_COST); // 400 are unwritten
    expect ("c1<r1:part");
    grant ("c1", "r1", 1349);
    expect (NOTHING);
    grant ("c1", "r1", 1350);
    expect ("w1<r1:grant=1350");
}

/*  The writer may be a worker that reads nothing.  */
static void s_a_reader_cannot_fill_its_writers_backlog_with_grants (void **state)
{
    (void) state;
    limits ()->stream_window = 2000;
    s_begin ((with_t){.window = RP_STREAM_WINDOW_MIN});
    for (uint64_t bytes = RP_STREAM_WINDOW_MIN; bytes <= 2000; bytes += RP_PART_COST)
        grant ("c1", "r1", bytes);
    expect ("w1<r1:grant=129 w1<r1:grant=193 w1<r1:grant=257 w1<r1:grant=321 w1<r1:grant=449 "
            "w1<r1:grant=577 w1<r1:grant=769 w1<r1:grant=961 w1<r1:grant=1217 w1<r1:grant=1537 "
            "w1<r1:grant=1921");
}

static void s_the_last_part_needs_no_grant (void **state)
{
    (void) state;
    s_begin ((with_t){.window = RP_STREAM_WINDOW_MIN});
    last_part ("w1", "r1", 5000);
    expect ("c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 5000);
}

static void s_headers_of_a_part_count_in_its_cost (void **state)
{
    (void) state;
    s_begin ((with_t){.window = COST (100)});
    rp_head_t head = {
      .flags = RP_FLAG_MORE, .headers = (const uint8_t *) "\x01k\0\0", .headers_size = 4};
    reply_sized ("w1", "r1", &head, 97, false);
    expect ("w1<bye:INVALID c1<r1:WORKER_LOST");
}

static void s_a_grant_over_the_limit_ends_the_clients_session (void **state)
{
    (void) state;
    limits ()->stream_window = 1000;
    s_begin ((with_t){.window = 1000});
    part ("w1", "r1", 300 - RP_PART_COST);
    grant ("c1", "r1", 1300);
    expect ("c1<r1:part w1<r1:grant=1300");
    grant ("c1", "r1", 1301);
    expect ("c1<bye:INVALID w1<cancel:r1");
}

static void s_a_window_out_of_its_range_is_refused_and_the_limit_named (void **state)
{
    (void) state;
    limits ()->stream_window = 1000;
    hello_streaming_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 1001});
    expect ("c1<r1:INVALID");
    assert_true (answer_says ("r1", "at most 1000 (limit stream_window)"));
    request_with ("c1", "r1", "upper", (with_t){.window = RP_STREAM_WINDOW_MIN - 1});
    expect ("c1<r1:INVALID");
    assert_true (answer_says ("r1", "65 bytes or more"));
    request_with ("c1", "r1", "upper", (with_t){.window = 65, .idle_ms = RP_DEADLINE_MAX_MS + 1});
    expect ("c1<r1:INVALID");
    assert_true (answer_says ("r1", "stream-idle"));
}

static void s_a_grant_for_a_request_that_waits_follows_it_to_its_worker (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 100});
    grant ("c1", "r1", 200);
    grant ("c1", "r1", 300);
    credit ("w1", 1);
    expect ("w1<r1 w1<r1:grant=300");
    part ("w1", "r1", 300 - RP_PART_COST);
    expect ("c1<r1:part");
}

static void s_a_grant_for_what_was_not_asked_in_parts_ends_the_clients_session (void **state)
{
    (void) state;
    s_begin ((with_t){0});
    grant ("c1", "r1", 200);
    expect ("c1<bye:INVALID w1<cancel:r1");
}

static void s_a_part_that_nobody_asked_for_ends_the_workers_session (void **state)
{
    (void) state;
    s_begin ((with_t){0});
    part ("w1", "r1", 1);
    expect ("w1<bye:INVALID c1<r1:WORKER_LOST");
}

static void s_a_part_has_neither_text_nor_code_nor_last (void **state)
{
    (void) state;
    static const rp_head_t heads[] = {{.flags = RP_FLAG_MORE, .text = "t", .text_size = 1},
      {.flags = RP_FLAG_MORE, .code = 1}, {.flags = RP_FLAG_MORE | RP_FLAG_LAST},
      {.flags = RP_FLAG_MORE, .status = RP_APP_ERROR}};
    hello_client ("c1");
    for (size_t index = 0; index < sizeof heads / sizeof *heads; index++) {
        hello_streaming_worker ("w1", "upper", 1);
        request_with ("c1", "r1", "upper", (with_t){.window = 1000});
        reply_with ("w1", "r1", &heads[index], false);
        expect ("w1<r1 w1<bye:INVALID c1<r1:WORKER_LOST");
    }
}

static void s_a_part_over_max_body_ends_the_request (void **state)
{
    (void) state;
    limits ()->max_body = 1024;
    s_begin ((with_t){.window = 5000});
    part ("w1", "r1", 1024);
    part ("w1", "r1", 1025);
    expect ("c1<r1:part c1<r1:APP_ERROR w1<cancel:r1");
}

static void s_a_stream_keeps_its_place_of_the_window_to_its_end (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 1000});
    request ("c1", "r2", "upper");
    part ("w1", "r1", 1);
    expect ("w1<r1 c1<r1:part");
    last_part ("w1", "r1", 1);
    expect ("c1<r1:OK w1<r2");
}

/*  ---- Ends ---------------------------------------------------------------------------------- */

static void s_a_cancel_tells_the_worker_and_what_follows_is_dropped (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 1000});
    part ("w1", "r1", 5);
    cancel ("c1", "r1");
    expect ("c1<r1:part c1<r1:CANCELLED w1<cancel:r1");
    assert_true (answer_says ("r1", "5 bytes of the reply had been passed on"));
    part ("w1", "r1", 5000); // it may not have read the CANCEL
    grant ("c1", "r1", 2000);
    last_part ("w1", "r1", 5);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 2);
    assert_int_equal (stats ()->late_parts, 1);
    request ("c1", "r2", "upper");
    expect ("w1<r2");
}

static void s_a_request_is_redelivered_until_its_client_has_seen_a_part (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_streaming_worker ("w1", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.window = 1000, .attempts = 3});
    grant ("c1", "r1", 1250);
    hello_streaming_worker ("w2", "upper", 1);
    bye ("w1");
    expect ("w1<r1 w1<r1:grant=1250 w2<r1#2 w2<r1:grant=1250");
    part ("w2", "r1", 1000); // the grant holds anew
    hello_streaming_worker ("w3", "upper", 1);
    bye ("w2");
    expect ("c1<r1:part c1<r1:WORKER_LOST");
    assert_true (answer_says ("r1", "1000 bytes of the reply had been passed on"));
}

static void s_silence_ends_a_stream_and_whatever_is_passed_on_breaks_it (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 1000, .idle_ms = 100, .more = true});
    pass (99);
    part ("w1", "r1", 1);
    pass (99);
    grant ("c1", "r1", 1250);
    pass (99);
    grant_body ("w1", "r1", 1000);
    pass (99);
    body_part ("c1", "r1", 1);
    pass (99);
    expect ("c1<r1:part w1<r1:grant=1250 c1<r1:grant=1000 w1<r1:more");
    pass (1);
    expect ("c1<r1:DEADLINE w1<cancel:r1");
    assert_true (answer_says ("r1", "stream-idle"));
}

static void s_a_request_that_waits_is_not_silent (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 1000, .idle_ms = 100});
    pass (1000);
    credit ("w1", 1);
    pass (99);
    expect ("w1<r1");
    pass (1);
    expect ("c1<r1:DEADLINE w1<cancel:r1");
}

static void s_the_deadline_holds_for_a_stream_that_moves (void **state)
{
    (void) state;
    s_begin ((with_t){.window = 1000, .idle_ms = 100, .time_ms = 150});
    pass (90);
    part ("w1", "r1", 1);
    pass (60);
    expect ("c1<r1:part c1<r1:DEADLINE w1<cancel:r1");
    assert_false (answer_says ("r1", "stream-idle"));
}

/*  ---- A request in parts -------------------------------------------------------------------- */

static void s_parts_of_a_request_go_to_its_worker_once_it_has_granted_them (void **state)
{
    (void) state;
    s_begin ((with_t){.more = true, .size = 7});
    assert_int_equal (delivery_of ("r1")->flags, RP_FLAG_MORE);
    grant_body ("w1", "r1", COST (10));
    body_part ("c1", "r1", 10);
    grant_body ("w1", "r1", 2 * COST (10));
    body_part ("c1", "r1", 10);
    end_body ("c1", "r1", 1000); // needs no grant
    expect ("c1<r1:grant=74 w1<r1:more c1<r1:grant=148 w1<r1:more w1<r1:end");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_both_bodies_may_come_in_parts_at_once (void **state)
{
    (void) state;
    s_begin ((with_t){.more = true, .window = 1000});
    assert_int_equal (delivery_of ("r1")->flags, RP_FLAG_MORE | RP_FLAG_STREAM);
    grant_body ("w1", "r1", 1000);
    body_part ("c1", "r1", 10);
    part ("w1", "r1", 10);
    body_part ("c1", "r1", 10);
    part ("w1", "r1", 10);
    expect ("c1<r1:grant=1000 w1<r1:more c1<r1:part w1<r1:more c1<r1:part");
}

/*  Each is sent to a request with MORE whose worker has granted 74, or to another.  */
static void s_a_part_that_breaks_the_rules_ends_the_clients_session (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 8);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.more = true});
    grant_body ("w1", "r1", COST (10));
    body_part ("c1", "r1", 11); // beyond the grant
    expect ("w1<r1 c1<r1:grant=74 c1<bye:INVALID w1<cancel:r1");
    hello_client ("c2");
    request_with ("c2", "r2", "upper", (with_t){.more = true});
    body_part ("c2", "r2", 0); // before any
    expect ("w1<r2 c2<bye:INVALID w1<cancel:r2");
    hello_client ("c3");
    request_with ("c3", "r3", "upper", (with_t){.window = 1000});
    body_part ("c3", "r3", 0); // its body is whole
    expect ("w1<r3 c3<bye:INVALID w1<cancel:r3");
    hello_client ("c4");
    request_with ("c4", "r4", "upper", (with_t){.more = true});
    grant_body ("w1", "r4", 1000);
    end_body ("c4", "r4", 1);
    end_body ("c4", "r4", 1); // behind the end
    expect ("w1<r4 c4<r4:grant=1000 w1<r4:end c4<bye:INVALID w1<cancel:r4");
}

static void s_a_part_before_a_worker_has_the_request_ends_the_clients_session (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.more = true});
    end_body ("c1", "r1", 1);
    expect ("c1<bye:INVALID");
}

static void s_a_part_over_max_body_ends_the_clients_session (void **state)
{
    (void) state;
    limits ()->max_body = 1024;
    s_begin ((with_t){.more = true});
    grant_body ("w1", "r1", 5000);
    expect ("c1<r1:grant=5000");
    audit_message (audit (),
      audit_find_delivery (audit (), (rp_token_t){delivery_of ("r1")->id})->request->client->id,
      &(rp_head_t){.command = RP_COMMAND_PART, .id = 1}, 1025, true);
    expect ("c1<bye:INVALID w1<cancel:r1");
}

static void s_grants_of_workers_that_break_the_rules_end_their_sessions (void **state)
{
    (void) state;
    limits ()->stream_window = 1000;
    hello_client ("c1");
    hello_streaming_worker ("w1", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.window = 1000});
    grant_body ("w1", "r1", 1); // its body is whole
    expect ("w1<r1 w1<bye:INVALID c1<r1:WORKER_LOST");
    hello_streaming_worker ("w2", "upper", 1);
    request_with ("c1", "r2", "upper", (with_t){.more = true});
    grant_body ("w2", "r2", 1001);
    expect ("w2<r2 w2<bye:INVALID c1<r2:WORKER_LOST");
}

static void s_what_comes_for_a_request_that_is_over_is_dropped_and_counted (void **state)
{
    (void) state;
    s_begin ((with_t){.more = true, .window = 1000});
    grant_body ("w1", "r1", 1000);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:grant=1000 c1<r1:OK");
    body_part ("c1", "r1", 1);
    grant ("c1", "r1", 2000);
    grant_body ("w1", "r1", 2000);
    expect (NOTHING);
    assert_int_equal (stats ()->late_parts, 3);
}

static void s_a_grant_behind_the_end_of_the_body_is_dropped (void **state)
{
    (void) state;
    s_begin ((with_t){.more = true});
    grant_body ("w1", "r1", 1000);
    end_body ("c1", "r1", 1);
    grant_body ("w1", "r1", 2000);
    expect ("c1<r1:grant=1000 w1<r1:end");
    assert_int_equal (stats ()->late_parts, 1);
}

static void s_a_request_whose_client_may_have_written_is_not_redelivered (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_streaming_worker ("w1", "upper", 1);
    hello_streaming_worker ("w2", "upper", 1);
    request_with ("c1", "r1", "upper", (with_t){.more = true, .attempts = 3});
    bye ("w1");
    expect ("w1<r1 w2<r1#2");
    grant_body ("w2", "r1", 1000);
    hello_streaming_worker ("w1", "upper", 1);
    bye ("w2");
    expect ("c1<r1:grant=1000 c1<r1:WORKER_LOST");
    body_part ("c1", "r1", 1); // was on its way
    assert_int_equal (stats ()->late_parts, 1);
}

static void s_a_request_given_back_unbegun_after_a_grant_has_begun (void **state)
{
    (void) state;
    s_begin ((with_t){.more = true, .attempts = 3});
    hello_streaming_worker ("w2", "upper", 1);
    grant_body ("w1", "r1", 1000);
    give_back ("w1", "r1");
    expect ("c1<r1:grant=1000 c1<r1:WORKER_LOST");
}

/*  ---- Peers that know no streams ------------------------------------------------------------ */

static void s_an_older_worker_gets_the_request_without_the_flag (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 1000});
    assert_int_equal (delivery_of ("r1")->flags, 0);
    grant ("c1", "r1", 2000);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1 c1<r1:OK");
}

static void s_an_older_worker_gets_no_request_in_parts (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.more = true});
    expect ("c1<r1:NO_WORKER");
    assert_true (answer_says ("r1", "too old"));
    request ("c1", "r2", "upper");
    request_with ("c1", "r3", "upper", (with_t){.more = true});
    request ("c1", "r4", "upper");
    expect ("w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK c1<r3:NO_WORKER w1<r4");
}

static void s_a_line_of_requests_that_a_worker_cannot_read_ends (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "upper", "k1");
    for (unsigned id = 2; id < 5; id++) {
        char name[8];
        snprintf (name, sizeof name, "r%u", id);
        request_with ("c1", name, "upper", (with_t){.more = true, .conversation = "k1"});
    }
    next_in ("c1", "r5", "upper", "k1");
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK c1<r2:NO_WORKER c1<r3:NO_WORKER c1<r4:NO_WORKER w1<r5");
}

static void s_a_conversation_with_an_idle_worker_that_cannot_read_a_request_goes_on (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    open_in ("c1", "r1", "upper", "k1");
    reply ("w1", "r1", RP_OK);
    open_in ("c2", "r2", "upper", "k2");
    reply ("w1", "r2", RP_OK);
    forget ();
    request_with ("c1", "r3", "upper", (with_t){.more = true, .conversation = "k1"});
    expect ("c1<r3:NO_WORKER");
    assert_true (answer_says ("r3", "too old"));
    next_in ("c2", "r4", "upper", "k2");
    next_in ("c1", "r5", "upper", "k1");
    expect ("w1<r4");
    reply ("w1", "r4", RP_OK);
    expect ("c2<r4:OK w1<r5");
}

static void s_a_line_that_a_worker_cannot_read_ends_behind_a_cancelled_request_too (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "upper", "k1");
    reply ("w1", "r1", RP_OK);
    credit ("w1", 0);
    forget ();
    next_in ("c1", "r2", "upper", "k1");
    request_with ("c1", "r3", "upper", (with_t){.more = true, .conversation = "k1"});
    request_with ("c1", "r4", "upper", (with_t){.more = true, .conversation = "k1"});
    expect (NOTHING);
    cancel ("c1", "r2");
    expect ("c1<r2:CANCELLED c1<r3:NO_WORKER c1<r4:NO_WORKER");
    next_in ("c1", "r5", "upper", "k1");
    credit ("w1", 1);
    expect ("w1<r5");
}

static void s_parts_of_a_foreign_worker_are_passed_on_while_granted_and_then_joined (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper", (foreign_t){.traits = RP_TRAIT_PARTS});
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = COST (100)});
    part ("w1", "r1", 100);
    part ("w1", "r1", 10);
    grant ("c1", "r1", 1000);
    part ("w1", "r1", 20); // stays behind the one that is kept
    last_part ("w1", "r1", 30);
    expect ("w1<r1 c1<r1:part c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 60);
    assert_int_equal (stats ()->open_bytes, 0);
}

static void s_the_broker_says_that_it_knows_streams_and_how_much_may_be_granted (void **state)
{
    (void) state;
    limits ()->stream_window = 4711;
    hello_client ("c1");
    rp_header_t header;
    const rp_head_t *welcome = last_greeting ();
    assert_true (
      rp_headers_find (welcome->headers, welcome->headers_size, RP_WELCOME_STREAMS, &header));
    assert_memory_equal (header.value, "1", header.value_size);
    uint64_t window = 0;
    assert_true (rp_headers_number (
      welcome->headers, welcome->headers_size, RP_WELCOME_STREAM_WINDOW, INT64_MAX, &window));
    assert_int_equal (window, 4711);
}

static void s_the_broker_itself_reads_no_request_in_parts (void **state)
{
    (void) state;
    hello_client ("c1");
    request_with ("c1", "r1", "riposte.ping", (with_t){.more = true});
    expect ("c1<r1:INVALID");
    request_with ("c1", "r2", "riposte.ping", (with_t){.window = 1000});
    expect ("admin:riposte.ping");
}

static void s_a_stream_takes_little (void **state)
{
    (void) state;
    assert_in_range (sizeof (rp_request_stream_t) + sizeof (rp_request_t), 1, 256);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_parts_come_in_order_and_the_last_one_ends_the_request),
      S_TEST (s_a_worker_may_write_what_was_granted_and_no_byte_more),
      S_TEST (s_a_grant_lets_the_worker_write_more),
      S_TEST (s_a_grant_of_less_than_64_more_means_nothing),
      S_TEST (s_a_grant_of_less_than_a_quarter_of_what_is_unwritten_means_nothing),
      S_TEST (s_a_reader_cannot_fill_its_writers_backlog_with_grants),
      S_TEST (s_the_last_part_needs_no_grant),
      S_TEST (s_headers_of_a_part_count_in_its_cost),
      S_TEST (s_a_grant_over_the_limit_ends_the_clients_session),
      S_TEST (s_a_window_out_of_its_range_is_refused_and_the_limit_named),
      S_TEST (s_a_grant_for_a_request_that_waits_follows_it_to_its_worker),
      S_TEST (s_a_grant_for_what_was_not_asked_in_parts_ends_the_clients_session),
      S_TEST (s_a_part_that_nobody_asked_for_ends_the_workers_session),
      S_TEST (s_a_part_has_neither_text_nor_code_nor_last),
      S_TEST (s_a_part_over_max_body_ends_the_request),
      S_TEST (s_a_stream_keeps_its_place_of_the_window_to_its_end),
      S_TEST (s_a_cancel_tells_the_worker_and_what_follows_is_dropped),
      S_TEST (s_a_request_is_redelivered_until_its_client_has_seen_a_part),
      S_TEST (s_silence_ends_a_stream_and_whatever_is_passed_on_breaks_it),
      S_TEST (s_a_request_that_waits_is_not_silent),
      S_TEST (s_the_deadline_holds_for_a_stream_that_moves),
      S_TEST (s_parts_of_a_request_go_to_its_worker_once_it_has_granted_them),
      S_TEST (s_both_bodies_may_come_in_parts_at_once),
      S_TEST (s_a_part_that_breaks_the_rules_ends_the_clients_session),
      S_TEST (s_a_part_before_a_worker_has_the_request_ends_the_clients_session),
      S_TEST (s_a_part_over_max_body_ends_the_clients_session),
      S_TEST (s_grants_of_workers_that_break_the_rules_end_their_sessions),
      S_TEST (s_what_comes_for_a_request_that_is_over_is_dropped_and_counted),
      S_TEST (s_a_grant_behind_the_end_of_the_body_is_dropped),
      S_TEST (s_a_request_whose_client_may_have_written_is_not_redelivered),
      S_TEST (s_a_request_given_back_unbegun_after_a_grant_has_begun),
      S_TEST (s_an_older_worker_gets_the_request_without_the_flag),
      S_TEST (s_an_older_worker_gets_no_request_in_parts),
      S_TEST (s_a_line_of_requests_that_a_worker_cannot_read_ends),
      S_TEST (s_a_conversation_with_an_idle_worker_that_cannot_read_a_request_goes_on),
      S_TEST (s_a_line_that_a_worker_cannot_read_ends_behind_a_cancelled_request_too),
      S_TEST (s_parts_of_a_foreign_worker_are_passed_on_while_granted_and_then_joined),
      S_TEST (s_the_broker_says_that_it_knows_streams_and_how_much_may_be_granted),
      S_TEST (s_the_broker_itself_reads_no_request_in_parts),
      S_TEST (s_a_stream_takes_little),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
