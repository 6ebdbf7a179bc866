/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/headers.h"
#include "tests/support/trace.h"

/*  ---- Greeting ------------------------------------------------------------------------------- */

static void s_a_client_is_welcome (void **state)
{
    (void) state;
    limits ()->max_body = 4096;
    hello ("c1", &(rp_head_t){.interval_ms = 1000});
    expect ("c1<welcome");
    const rp_head_t *welcome = last_greeting ();
    assert_int_equal (welcome->interval_ms, 1000);
    rp_header_t header;
    assert_true (rp_headers_find (welcome->headers, welcome->headers_size, "max-body", &header));
    assert_memory_equal (header.value, "4096", 4);
    assert_true (rp_headers_find (welcome->headers, welcome->headers_size, "version", &header));
    assert_int_equal (welcome->key_size, 16);
    assert_int_equal (counts ().clients, 1);
}

static void s_the_heartbeat_interval_is_clamped_to_the_brokers_range (void **state)
{
    (void) state;
    limits ()->heartbeat_min = 100;
    limits ()->heartbeat_max = 5000;
    hello ("c1", &(rp_head_t){.interval_ms = 0});
    assert_int_equal (last_greeting ()->interval_ms, 100);
    hello ("c2", &(rp_head_t){.interval_ms = UINT32_MAX});
    assert_int_equal (last_greeting ()->interval_ms, 5000);
    hello ("c3", &(rp_head_t){.interval_ms = 700});
    assert_int_equal (last_greeting ()->interval_ms, 700);
}

static void s_unknown_headers_of_a_greeting_are_ignored (void **state)
{
    (void) state;
    uint8_t block[64];
    size_t size = 0;
    assert_true (rp_headers_append (block, &size, sizeof block, "priority-queues", "yes"));
    hello ("c1", &(rp_head_t){.headers = block, .headers_size = (uint16_t) size});
    expect ("c1<welcome");
}

static void s_a_second_hello_ends_the_session_and_fails_what_it_held (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request ("c1", "r2", "upper");
    expect ("w1<r1 w2<r2");
    message ("w1",
      &(rp_head_t){
        .command = RP_COMMAND_HELLO, .flags = RP_FLAG_WORKER, .name = "upper", .name_size = 5},
      0);
    expect ("w1<bye:INVALID");
    assert_false (is_there ("w1"));
    message ("c1", &(rp_head_t){.command = RP_COMMAND_HELLO}, 0);
    expect ("c1<bye:INVALID w2<cancel:r2");
    assert_int_equal (counts ().workers, 1);
    assert_int_equal (counts ().clients, 0);
}

/*  ---- Command × role ------------------------------------------------------------------------- */

typedef enum { OUTSIDER, CLIENT, WORKER, DRAINING, ROLES } s_role_t;

/*  What the core sends for a message, by the sender's role ("": nothing). The sessions are c1, w1
    (which serves a) and x.  */
typedef struct {
    uint8_t command;
    const char *drawn[ROLES];
} s_cell_t;

#define S_UNKNOWN "x<bye:INVALID"
#define S_NOT_CLIENT "c1<bye:INVALID"
#define S_NOT_WORKER "w1<bye:INVALID"

static const s_cell_t s_cells[] = {
  {RP_COMMAND_HELLO, {"x<welcome", S_NOT_CLIENT, S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_WELCOME, {S_UNKNOWN, S_NOT_CLIENT, S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_REQUEST, {S_UNKNOWN, "c1<r7:NO_WORKER", S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_REPLY, {S_UNKNOWN, S_NOT_CLIENT, "", ""}},
  {RP_COMMAND_CANCEL, {S_UNKNOWN, "", S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_CREDIT, {S_UNKNOWN, S_NOT_CLIENT, "", ""}},
  {RP_COMMAND_HEARTBEAT, {S_UNKNOWN, "", "", ""}},
  {RP_COMMAND_DRAIN, {S_UNKNOWN, "", "", ""}},
  {RP_COMMAND_BYE, {"", "", "", ""}},
  {RP_COMMAND_END, {S_UNKNOWN, "", S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_ACCEPTED, {S_UNKNOWN, S_NOT_CLIENT, S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_PART, {S_UNKNOWN, "", S_NOT_WORKER, S_NOT_WORKER}},
  {RP_COMMAND_GRANT, {S_UNKNOWN, "", "", ""}},
};

static rp_head_t s_message_for (uint8_t command)
{
    rp_head_t head = {.command = command};
    if (command == RP_COMMAND_REQUEST)
        head = (rp_head_t){
          .command = command, .id = 7, .time = 1000, .attempts = 1, .name = "b", .name_size = 1};
    if (command == RP_COMMAND_REPLY || command == RP_COMMAND_CANCEL || command == RP_COMMAND_PART
        || command == RP_COMMAND_GRANT)
        head.id = 7;
    if (command == RP_COMMAND_END || command == RP_COMMAND_GRANT)
        head.conversation = 7;
    return head;
}

static void s_check_cell (const s_cell_t *cell, s_role_t role)
{
    static const char *const senders[ROLES] = {"x", "c1", "w1", "w1"};
    void *fixture = NULL;
    trace_setup (&fixture);
    hello_client ("c1");
    hello_worker ("w1", "a", 0);
    open_in ("c1", "r1", "a", "k1");
    credit ("w1", 1); // it holds a request, so it is not told to leave when it drains
    if (role == DRAINING)
        drain ("w1");
    expect ("w1<r1");
    rp_head_t head = s_message_for (cell->command);
    message (senders[role], &head, 0);
    bool ends = strstr (cell->drawn[role], "bye") || cell->command == RP_COMMAND_BYE;
    char text[100] = "";
    strcpy (text, cell->drawn[role]);
    if (role == CLIENT && ends) // its session is over, and so are its requests
        strcat (text, *text ? " w1<end:k1 w1<cancel:r1" : "w1<end:k1 w1<cancel:r1");
    if (role >= WORKER && ends)
        strcat (text, *text ? " c1<r1:WORKER_LOST" : "c1<r1:WORKER_LOST");
    expect (text);
    if (role != OUTSIDER)
        assert_int_equal (is_there (senders[role]), !ends);
    if (role == OUTSIDER && ends)
        assert_int_equal (stats ()->unknown_peers, 1);
    assert_int_equal (
      stats ()->protocol_errors, role != OUTSIDER && strstr (cell->drawn[role], "bye") != NULL);
    trace_teardown (&fixture);
}

static void s_every_command_of_every_role_draws_what_the_table_says (void **state)
{
    trace_teardown (state); // a trace for each cell
    size_t cells = sizeof s_cells / sizeof *s_cells;
    assert_int_equal (cells, RP_COMMAND_COUNT - 1);
    for (size_t index = 0; index < cells; index++)
        for (s_role_t role = OUTSIDER; role < ROLES; role++)
            s_check_cell (&s_cells[index], role);
    trace_setup (state);
}

static void s_a_body_behind_a_command_that_has_none_ends_the_session (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker ("w1", "a", 1);
    message ("c1", &(rp_head_t){.command = RP_COMMAND_HEARTBEAT}, 1);
    expect ("c1<bye:INVALID");
    message ("w1", &(rp_head_t){.command = RP_COMMAND_CREDIT, .window = 9}, 1);
    expect ("w1<bye:INVALID");
}

static void s_nothing_follows_bye (void **state)
{
    (void) state;
    hello_client ("c1");
    bye ("c1");
    expect (NOTHING);
    assert_false (is_there ("c1"));
    request ("c1", "r1", "a");
    expect ("c1<bye:INVALID");
    assert_int_equal (stats ()->clients_lost, 0);
}

static void s_a_peer_that_the_broker_does_not_know_is_told_to_greet (void **state)
{
    (void) state;
    heartbeat ("w1");
    expect ("w1<bye:INVALID");
    assert_string_equal (last_greeting ()->text, "say HELLO first");
    assert_int_equal (stats ()->unknown_peers, 1);
    assert_int_equal (counts ().workers + counts ().clients + counts ().services, 0);
}

/*  ---- Bad messages --------------------------------------------------------------------------- */

static void s_a_bad_message_from_a_session_ends_it (void **state)
{
    (void) state;
    for (unsigned error = 1; error < RP_WIRE_ERROR_COUNT; error++) {
        hello_client ("c1");
        hello_worker ("w1", "a", 1);
        request ("c1", "r1", "a");
        expect ("w1<r1");
        bad ("w1", (rp_wire_error_t) error);
        expect ("w1<bye:INVALID c1<r1:WORKER_LOST");
        assert_string_equal (last_greeting ()->text, rp_wire_error_text ((rp_wire_error_t) error));
        bad ("c1", (rp_wire_error_t) error);
        expect ("c1<bye:INVALID");
        assert_int_equal (stats ()->bad[error], 2);
    }
}

static void s_a_bad_message_from_a_pending_draws_bye_if_it_speaks_the_protocol (void **state)
{
    (void) state;
    for (unsigned error = 1; error < RP_WIRE_ERROR_COUNT; error++) {
        bad ("x", (rp_wire_error_t) error);
        expect (error == RP_WIRE_ERROR_NOT_NATIVE ? "" : "x<bye:INVALID");
        assert_int_equal (stats ()->bad[error], 1);
        assert_int_equal (stats ()->unknown_peers, error);
    }
    bad ("x", RP_WIRE_ERROR_VERSION);
    assert_non_null (strstr (last_greeting ()->text, "speaks version 1"));
    expect ("x<bye:INVALID");
}

static void s_too_many_frames_are_dropped_or_end_the_session (void **state)
{
    (void) state;
    too_many_frames ("x");
    expect (NOTHING);
    hello_client ("c1");
    too_many_frames ("c1");
    expect ("c1<bye:INVALID");
    assert_int_equal (stats ()->too_many_frames, 2);
}

static void s_a_body_over_the_limit_from_a_pending_draws_bye (void **state)
{
    (void) state;
    request_with ("x", "r1", "a", (with_t){.oversized = true, .size = 99});
    expect ("x<bye:INVALID");
}

static void s_every_bad_message_is_logged (void **state)
{
    (void) state;
    hello_client ("c1");
    bad ("x", RP_WIRE_ERROR_NOT_NATIVE);
    bad ("c1", RP_WIRE_ERROR_FLAGS);
    heartbeat ("y");
    assert_int_equal (logged (RP_TOPIC_BAD), 3);
}

/*  ---- Signs of life -------------------------------------------------------------------------- */

static void s_a_peer_that_is_silent_for_three_intervals_is_cut_off (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    hello_client ("c1");
    request ("c1", "r1", "a");
    pass (2999);
    expect ("w1<r1 w1<beat w1<beat");
    pass (1);
    expect ("cut:w1 c1<r1:WORKER_LOST");
    assert_int_equal (stats ()->workers_lost, 1);
}

static void s_any_message_is_a_sign_of_life (void **state)
{
    (void) state;
    hello_client_beating ("c1", 1000);
    hello_worker_beating ("w1", "a", 1, 1000);
    for (unsigned second = 0; second < 10; second++) {
        pass (2000);
        cancel ("c1", "r1");
        credit ("w1", second);
    }
    assert_true (is_there ("c1") && is_there ("w1"));
    pass (3000);
    assert_false (is_there ("c1") || is_there ("w1"));
}

static void s_a_quiet_session_gets_heartbeats_busy_or_idle (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    hello_client ("c1");
    pass (1000);
    expect ("w1<beat");
    request ("c1", "r1", "a");
    heartbeat ("w1");
    pass (999);
    expect ("w1<r1");
    pass (1);
    expect ("w1<beat");
    pass (1000);
    expect ("w1<beat");
}

static void s_sessions_of_one_interval_are_told_at_the_same_moment (void **state)
{
    (void) state; // the order of the heartbeats does not matter
    pass (100);
    hello_worker_beating ("w1", "a", 1, 1000);
    pass (140);
    hello_worker_beating ("w2", "a", 1, 1000);
    pass (759);
    expect ("");
    pass (1);
    expect ("w1<beat w2<beat");
    pass (999);
    expect ("");
    pass (1);
    expect ("w2<beat w1<beat");
}

static void s_wherever_they_begin_sessions_meet_after_a_few_intervals (void **state)
{
    (void) state; // no heartbeat comes more than half an interval too soon
    pass (100);
    hello_worker_beating ("w1", "a", 1, 1000);
    pass (600);
    hello_worker_beating ("w2", "a", 1, 1000);
    pass (300);
    expect ("w1<beat");
    pass (249);
    expect ("");
    pass (1);
    expect ("w2<beat"); // at 1250
    pass (749);
    expect ("");
    pass (1);
    expect ("w2<beat w1<beat"); // in any order
}

static void s_a_client_is_waited_for_as_long_as_it_announced (void **state)
{
    (void) state;
    hello_client_beating ("c1", 1000);
    announce ("c1", 10000);
    pass (4000);
    announce ("c1", 10000); // sent early: the time until the broker's heartbeat stays as long
    pass (5999);
    expect ("");
    pass (1);
    expect ("c1<beat");
    // Here c1 has been silent for almost two of the intervals that it announced.
    pass (13999);
    assert_true (is_there ("c1"));
    pass (1);
    assert_false (is_there ("c1"));
}

static void s_until_it_says_anything_else (void **state)
{
    (void) state;
    hello_client_beating ("c1", 1000);
    announce ("c1", 10000);
    pass (5000);
    cancel ("c1", "r1");
    pass (1000);
    expect ("c1<beat");
    pass (1999);
    assert_true (is_there ("c1"));
    pass (1);
    assert_false (is_there ("c1"));
}

static void s_less_than_was_agreed_cannot_be_announced (void **state)
{
    (void) state;
    hello_client_beating ("c1", 1000);
    announce ("c1", 50);
    pass (2999);
    assert_true (is_there ("c1"));
    pass (1);
    assert_false (is_there ("c1"));
}

static void s_a_worker_announces_one_and_a_half_and_is_lost_after_three_all_the_same (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    announce ("w1", 60000); // one and a half intervals are granted at most
    // The broker may send its heartbeat up to half an interval early, to meet those of other
    // sessions.
    pass (874);
    expect ("");
    pass (1);
    expect ("w1<beat");
    pass (2124);
    assert_true (is_there ("w1"));
    pass (1);
    assert_false (is_there ("w1"));
}

static void s_its_next_word_does_not_put_off_that_of_the_broker (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    hello_client ("c1");
    announce ("w1", 1500);
    request ("c1", "r1", "a");
    pass (1100);
    heartbeat ("w1");
    pass (400);
    expect ("w1<r1 w1<beat");
}

static void s_a_heartbeat_of_a_busy_worker_does_not_make_it_ready (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request ("c1", "r1", "a");
    heartbeat ("w1");
    request ("c1", "r2", "a");
    expect ("w1<r1");
}

static void s_a_worker_whose_job_is_long_stays_if_its_heart_beats (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 100);
    hello_client ("c1");
    request ("c1", "r1", "a");
    for (unsigned round = 0; round < 200; round++) {
        pass (100);
        heartbeat ("w1");
    }
    reply ("w1", "r1", RP_OK);
    assert_int_equal (stats ()->final[RP_OK], 1);
}

static void s_an_older_worker_that_lives_does_not_keep_younger_silent_ones (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    hello_worker_beating ("w2", "a", 1, 1000);
    hello_worker_beating ("w3", "a", 1, 1000);
    for (unsigned second = 0; second < 4; second++) {
        pass (1000);
        heartbeat ("w1");
    }
    assert_true (is_there ("w1"));
    assert_false (is_there ("w2") || is_there ("w3"));
    assert_int_equal (counts ().workers, 1);
}

static void s_a_worker_that_fell_silent_gets_nothing_more (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 5, 1000);
    hello_worker ("w2", "a", 1);
    hello_client ("c1");
    pass (3000);
    expect ("w1<beat w1<beat cut:w1");
    request ("c1", "r1", "a");
    expect ("w2<r1");
}

static void s_after_a_stall_the_broker_reads_before_it_expires_anyone (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    hello_worker_beating ("w2", "a", 1, 1000);
    pass (0);
    stall (3600 * 1000);
    assert_true (is_there ("w1") && is_there ("w2"));
    heartbeat ("w1");
    pass (499);
    assert_true (is_there ("w2"));
    pass (1);
    assert_true (is_there ("w1"));
    assert_false (is_there ("w2"));
}

static void s_a_suspect_is_probed_at_once_and_then_at_its_pauses (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    suspect ("w1");
    expect ("w1<beat");
    static const unsigned pauses[] = {2, 10, 50, 250};
    for (size_t index = 0; index < sizeof pauses / sizeof *pauses; index++) {
        pass (pauses[index] - 1);
        expect (NOTHING);
        pass (1);
        expect ("w1<beat");
    }
    pass (30000);
    expect (NOTHING);
    assert_int_equal (stats ()->probes, 5);
    assert_true (is_there ("w1"));
}

static void s_a_probe_that_cannot_be_sent_ends_the_session (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_worker ("w2", "a", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "a", (with_t){.attempts = 2});
    suspect ("w1");
    expect ("w1<r1 w1<beat");
    pass (2);
    unsent ("w1", NULL, false);
    tick ();
    expect ("w1<beat w2<r1#2");
}

static void s_suspecting_nobody_does_no_harm (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    bye ("w1");
    suspect ("w1");
    suspect ("x");
    expect (NOTHING);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_client_is_welcome),
      S_TEST (s_the_heartbeat_interval_is_clamped_to_the_brokers_range),
      S_TEST (s_unknown_headers_of_a_greeting_are_ignored),
      S_TEST (s_a_second_hello_ends_the_session_and_fails_what_it_held),
      S_TEST (s_every_command_of_every_role_draws_what_the_table_says),
      S_TEST (s_a_body_behind_a_command_that_has_none_ends_the_session),
      S_TEST (s_nothing_follows_bye),
      S_TEST (s_a_peer_that_the_broker_does_not_know_is_told_to_greet),
      S_TEST (s_a_bad_message_from_a_session_ends_it),
      S_TEST (s_a_bad_message_from_a_pending_draws_bye_if_it_speaks_the_protocol),
      S_TEST (s_too_many_frames_are_dropped_or_end_the_session),
      S_TEST (s_a_body_over_the_limit_from_a_pending_draws_bye),
      S_TEST (s_every_bad_message_is_logged),
      S_TEST (s_a_peer_that_is_silent_for_three_intervals_is_cut_off),
      S_TEST (s_any_message_is_a_sign_of_life),
      S_TEST (s_a_quiet_session_gets_heartbeats_busy_or_idle),
      S_TEST (s_sessions_of_one_interval_are_told_at_the_same_moment),
      S_TEST (s_wherever_they_begin_sessions_meet_after_a_few_intervals),
      S_TEST (s_a_client_is_waited_for_as_long_as_it_announced),
      S_TEST (s_until_it_says_anything_else),
      S_TEST (s_less_than_was_agreed_cannot_be_announced),
      S_TEST (s_a_worker_announces_one_and_a_half_and_is_lost_after_three_all_the_same),
      S_TEST (s_its_next_word_does_not_put_off_that_of_the_broker),
      S_TEST (s_a_heartbeat_of_a_busy_worker_does_not_make_it_ready),
      S_TEST (s_a_worker_whose_job_is_long_stays_if_its_heart_beats),
      S_TEST (s_an_older_worker_that_lives_does_not_keep_younger_silent_ones),
      S_TEST (s_a_worker_that_fell_silent_gets_nothing_more),
      S_TEST (s_after_a_stall_the_broker_reads_before_it_expires_anyone),
      S_TEST (s_a_suspect_is_probed_at_once_and_then_at_its_pauses),
      S_TEST (s_a_probe_that_cannot_be_sent_ends_the_session),
      S_TEST (s_suspecting_nobody_does_no_harm),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
