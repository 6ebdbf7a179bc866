/*  SPDX-License-Identifier: MPL-2.0

    The client's core, as traces: what happens goes in, the orders come out as one line.

        open(a) close close(orderly) HELLO HEARTBEAT BYE CANCEL(r1)
        r1>           request r1 is sent
        r1+k1>        the same, in conversation 1, with the flag OPEN; r1.k1> without it
        r1=OK         request r1 ended
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/core.h"

#define MS 1000
#define SECOND 1000000

enum { REQUESTS = 32 };

typedef struct {
    rp_client_core_t core;
    rp_exchange_t exchanges[REQUESTS];
    rp_talk_t talk;
    int64_t now;
    char trace[2048];
} s_world_t;

static const char *const s_endpoints[] = {"a", "b"};

/*  ---- Vocabulary ------------------------------------------------------------------------------ */

static void s_add (s_world_t *world, const char *format, ...)
{
    size_t used = strlen (world->trace);
    va_list arguments;
    va_start (arguments, format);
    if (used)
        world->trace[used++] = ' ';
    vsnprintf (world->trace + used, sizeof world->trace - used, format, arguments);
    va_end (arguments);
}

static int s_number (const s_world_t *world, const rp_exchange_t *exchange)
{
    return (int) (exchange - world->exchanges);
}

static void s_add_head (s_world_t *world, const rp_head_t *head)
{
    if (head->command != RP_COMMAND_CANCEL) {
        s_add (world, "%s", rp_command_name (head->command));
        return;
    }
    for (int number = 0; number < REQUESTS; number++)
        if (world->exchanges[number].wire_id == head->id)
            s_add (world, "CANCEL(r%d)", number);
}

static void s_take_orders (s_world_t *world)
{
    rp_client_order_t order;
    while (rp_client_core_next_order (&world->core, &order, world->now))
        switch (order.kind) {
            case RP_CLIENT_OPEN:
                s_add (world, "open(%s)", order.endpoint);
                break;
            case RP_CLIENT_CLOSE:
                s_add (world, order.orderly ? "close(orderly)" : "close");
                break;
            case RP_CLIENT_SAY:
                s_add_head (world, &order.head);
                break;
            case RP_CLIENT_SEND:
                assert_int_equal (order.head.id, order.exchange->wire_id);
                if (order.head.conversation)
                    s_add (
                      world, "r%d%sk%u>", s_number (world, order.exchange),
                      order.head.flags & RP_FLAG_OPEN ? "+" : ".",
                      (unsigned) order.head.conversation);
                else
                    s_add (world, "r%d>", s_number (world, order.exchange));
                break;
            case RP_CLIENT_ENDED:
                s_add (
                  world, "r%d=%s", s_number (world, order.exchange),
                  rp_status_name ((int) order.exchange->status));
                break;
        }
}

/*  Lets time pass, waking the core whenever it asked for it.  */
static void s_pass (s_world_t *world, int64_t us)
{
    int64_t end = world->now + us;
    for (;;) {
        rp_client_core_tick (&world->core, world->now);
        s_take_orders (world);
        int64_t next = rp_client_core_tick (&world->core, world->now);
        if (next > end)
            break;
        assert_true (next > world->now);
        world->now = next;
    }
    world->now = end;
}

static void s_expect (s_world_t *world, const char *trace)
{
    s_pass (world, 0);
    assert_string_equal (world->trace, trace);
    world->trace[0] = '\0';
}

static void s_begin (s_world_t *world, size_t endpoints)
{
    memset (world, 0, sizeof *world);
    world->now = 100 * SECOND;
    rp_client_config_t config = {
      .endpoints = s_endpoints,
      .endpoint_count = endpoints,
      .heartbeat_ms = 2000,
      .max_open = 20,
      .retry_percent = 20,
    };
    rp_client_core_init (&world->core, &config, 1);
}

static void s_end (s_world_t *world)
{
    rp_client_core_close (&world->core, world->now);
    s_take_orders (world);
    assert_int_equal (world->core.open_count, 0);
    assert_int_equal (world->core.timers.count, 0);
    rp_client_core_clear (&world->core);
}

static void s_submit_with (s_world_t *world, int number, uint8_t attempts, rp_talk_t *talk)
{
    world->exchanges[number] = (rp_exchange_t) {
      .size = 100, .timeout_ms = 5000, .attempts = attempts, .talk = talk};
    assert_int_equal (
      rp_client_core_submit (&world->core, &world->exchanges[number], world->now), RP_OK);
    s_take_orders (world);
}

static void s_submit (s_world_t *world, int number)
{
    s_submit_with (world, number, 1, NULL);
}

static bool s_hear (s_world_t *world, rp_head_t head)
{
    bool kept = rp_client_core_message (&world->core, &head, world->now) != NULL;
    s_take_orders (world);
    return kept;
}

static bool s_reply_with (s_world_t *world, int number, rp_status_t status, uint16_t flags)
{
    return s_hear (
      world, (rp_head_t) {
               .command = RP_COMMAND_REPLY,
               .id = world->exchanges[number].wire_id,
               .status = (uint8_t) status,
               .flags = flags,
             });
}

static void s_reply (s_world_t *world, int number, rp_status_t status)
{
    s_reply_with (world, number, status, 0);
}

static void s_say (s_world_t *world, rp_command_t command)
{
    s_hear (world, (rp_head_t) {.command = (uint8_t) command});
}

static void s_bye (s_world_t *world, rp_status_t status, const char *text)
{
    s_hear (
      world, (rp_head_t) {
               .command = RP_COMMAND_BYE,
               .status = (uint8_t) status,
               .text = text,
               .text_size = (uint16_t) strlen (text),
             });
}

static void s_fail (s_world_t *world)
{
    rp_client_core_failed (&world->core, "connection refused", world->now);
    s_take_orders (world);
}

static bool s_cancel (s_world_t *world, int number)
{
    bool found = rp_client_core_cancel (&world->core, world->exchanges[number].id, world->now);
    s_take_orders (world);
    return found;
}

static void s_connect_only (s_world_t *world)
{
    rp_client_core_connected (&world->core, world->now);
    s_take_orders (world);
}

static void s_welcome (s_world_t *world, uint32_t open)
{
    static const uint8_t headers[] = "\x08max-body\x00\x04"
                                     "1000";
    s_hear (
      world, (rp_head_t) {
               .command = RP_COMMAND_WELCOME,
               .time = 2000,
               .value = open,
               .headers = headers,
               .headers_size = sizeof headers - 1,
             });
}

/*  From rest to a session, whatever it says meanwhile.  */
static void s_connect (s_world_t *world)
{
    rp_client_core_start (&world->core, world->now);
    for (int tries = 0; tries < 100 && world->core.link.state != RP_LINK_CONNECTING; tries++)
        s_pass (world, 50 * MS);
    s_connect_only (world);
    s_welcome (world, 10);
    assert_int_equal (world->core.link.state, RP_LINK_UP);
}

static void s_begin_connected (s_world_t *world, size_t endpoints)
{
    s_begin (world, endpoints);
    s_connect (world);
    world->trace[0] = '\0';
}

/*  ---- The session ----------------------------------------------------------------------------- */

static void a_client_connects_with_its_first_request_and_not_before (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_pass (&world, 10 * SECOND);
    s_expect (&world, "");
    s_submit (&world, 1);
    s_expect (&world, "open(a)");
    s_connect_only (&world);
    s_expect (&world, "HELLO");
    s_welcome (&world, 10);
    s_expect (&world, "r1>");
    assert_true (s_reply_with (&world, 1, RP_OK, 0));
    s_expect (&world, "r1=OK");
    s_end (&world);
}

static void requests_go_in_the_order_in_which_they_were_submitted (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    for (int number = 1; number <= 4; number++)
        s_submit (&world, number);
    s_connect (&world);
    s_expect (&world, "open(a) HELLO r1> r2> r3> r4>");
    s_end (&world);
}

static void the_time_left_on_the_wire_is_what_is_left_when_it_is_sent (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1);
    s_pass (&world, 1200 * MS);
    rp_client_core_connected (&world.core, world.now);
    rp_head_t welcome = {.command = RP_COMMAND_WELCOME, .time = 2000, .value = 10};
    rp_client_core_message (&world.core, &welcome, world.now);
    rp_client_order_t order;
    while (rp_client_core_next_order (&world.core, &order, world.now))
        if (order.kind == RP_CLIENT_SEND)
            break;
    assert_int_equal (order.kind, RP_CLIENT_SEND);
    assert_int_equal (order.head.time, 3800);
    assert_int_equal (order.head.attempts, 1);
    s_end (&world);
}

static void an_idle_session_sends_heartbeats_and_a_silent_broker_is_lost (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    s_pass (&world, 2100 * MS);
    s_expect (&world, "r1> HEARTBEAT");
    s_say (&world, RP_COMMAND_HEARTBEAT);
    s_pass (&world, 2100 * MS);
    s_expect (&world, "HEARTBEAT");
    s_pass (&world, 3800 * MS); // since the broker's last word: 5.9 s, just under three intervals
    assert_int_equal (world.core.link.state, RP_LINK_UP);
    s_pass (&world, 200 * MS);
    assert_int_equal (world.core.link.state, RP_LINK_CONNECTING);
    assert_non_null (strstr (world.core.error, "a: the broker said nothing"));
    assert_int_equal (world.exchanges[1].status, RP_UNKNOWN);
    s_end (&world);
}

static void a_refusal_for_good_ends_what_waits_and_what_comes_later (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1);
    s_pass (&world, 0);
    s_connect_only (&world);
    s_bye (&world, RP_DENIED, "go away");
    s_expect (&world, "open(a) HELLO close r1=DENIED");
    assert_int_equal (world.exchanges[1].end, RP_END_REFUSED);
    assert_string_equal (world.core.error, "a: the broker refused with DENIED: go away");
    s_submit (&world, 2);
    s_pass (&world, 60 * SECOND);
    s_expect (&world, "r2=DENIED");
    s_end (&world);
}

static void a_broker_that_is_full_at_the_greeting_is_tried_again (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1);
    s_pass (&world, 0);
    s_connect_only (&world);
    s_bye (&world, RP_BUSY, "too many clients");
    s_expect (&world, "open(a) HELLO close");
    s_pass (&world, 100 * MS);
    s_expect (&world, "open(a)");
    s_end (&world);
}

static void the_next_endpoint_is_tried_when_one_fails (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 2);
    s_submit (&world, 1);
    s_expect (&world, "open(a)");
    s_fail (&world);
    s_pass (&world, 100 * MS);
    s_expect (&world, "close open(b)");
    s_connect_only (&world);
    s_welcome (&world, 10);
    s_expect (&world, "HELLO r1>");
    s_end (&world);
}

static void a_draining_broker_finishes_what_it_has_before_the_client_moves (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 2);
    s_submit (&world, 1);
    s_say (&world, RP_COMMAND_DRAIN);
    s_submit (&world, 2);
    s_expect (&world, "r1>");
    s_reply (&world, 1, RP_OK);
    s_pass (&world, 100 * MS);
    s_expect (&world, "BYE close(orderly) r1=OK open(b)");
    s_connect_only (&world);
    s_welcome (&world, 10);
    s_expect (&world, "HELLO r2>");
    s_end (&world);
}

static void a_draining_broker_without_another_is_still_asked (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_say (&world, RP_COMMAND_DRAIN);
    s_submit (&world, 1);
    s_reply (&world, 1, RP_DRAINING);
    s_expect (&world, "r1> r1=DRAINING");
    s_end (&world);
}

static void what_makes_no_sense_is_ignored_and_counted (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_say (&world, RP_COMMAND_WELCOME);
    s_say (&world, RP_COMMAND_REQUEST);
    s_say (&world, RP_COMMAND_CREDIT);
    s_expect (&world, "");
    assert_int_equal (world.core.ignored, 3);
    assert_int_equal (world.core.link.state, RP_LINK_UP);
    s_end (&world);
}

/*  ---- Statuses -------------------------------------------------------------------------------- */

static void without_any_broker_a_request_ends_at_its_deadline_with_no_broker (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1);
    s_pass (&world, 0);
    s_fail (&world);
    world.trace[0] = '\0';
    for (int step = 0; step < 50; step++) {
        assert_int_equal (world.core.open_count, 1);
        s_pass (&world, 100 * MS);
        s_fail (&world);
    }
    s_pass (&world, 0);
    assert_int_equal (world.core.open_count, 0);
    assert_int_equal (world.exchanges[1].status, RP_NO_BROKER);
    assert_int_equal (world.exchanges[1].ended - world.exchanges[1].submitted, 5 * SECOND);
    assert_string_equal (world.core.error, "a: connection refused");
    s_end (&world);
}

static void a_request_that_was_held_back_until_its_deadline_expired (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1);
    s_submit (&world, 2);
    s_pass (&world, 0);
    s_connect_only (&world);
    s_welcome (&world, 1);
    s_expect (&world, "open(a) HELLO r1>");
    for (int step = 0; step < 5; step++) {
        s_pass (&world, SECOND);
        s_say (&world, RP_COMMAND_HEARTBEAT);
    }
    s_expect (&world, "HEARTBEAT HEARTBEAT r2=EXPIRED");
    assert_int_equal (world.exchanges[2].end, RP_END_HELD);
    s_end (&world);
}

static void more_than_the_broker_allows_waits_for_room (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    for (int number = 1; number <= 4; number++)
        s_submit (&world, number);
    s_pass (&world, 0);
    s_connect_only (&world);
    s_welcome (&world, 2);
    s_expect (&world, "open(a) HELLO r1> r2>");
    s_reply (&world, 2, RP_OK);
    s_expect (&world, "r2=OK r3>");
    s_reply (&world, 1, RP_APP_ERROR);
    s_expect (&world, "r1=APP_ERROR r4>");
    s_end (&world);
}

static void more_than_the_client_allows_is_full (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    for (int number = 0; number < 20; number++)
        s_submit (&world, number);
    rp_exchange_t one = {.timeout_ms = 1000, .attempts = 1};
    assert_int_equal (rp_client_core_submit (&world.core, &one, world.now), RP_FULL);
    s_end (&world);
}

static void a_body_over_the_brokers_limit_is_too_large_and_not_sent (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    world.exchanges[1] = (rp_exchange_t) {.size = 1001, .timeout_ms = 1000, .attempts = 3};
    world.exchanges[2] = (rp_exchange_t) {.size = 1000, .timeout_ms = 1000, .attempts = 3};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    rp_client_core_submit (&world.core, &world.exchanges[2], world.now);
    s_expect (&world, "r1=TOO_LARGE r2>");
    assert_int_equal (world.core.max_body, 1000);
    s_end (&world);
}

static void a_broker_that_keeps_a_request_too_long_makes_it_unknown (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    for (int step = 0; step < 12; step++) {
        assert_int_equal (world.core.open_count, 1);
        s_pass (&world, 500 * MS);
        s_say (&world, RP_COMMAND_HEARTBEAT);
    }
    s_expect (&world, "r1> HEARTBEAT HEARTBEAT HEARTBEAT CANCEL(r1) r1=UNKNOWN");
    assert_int_equal (world.exchanges[1].end, RP_END_SILENT);
    assert_int_equal (world.exchanges[1].ended - world.exchanges[1].submitted, 6 * SECOND);
    s_reply (&world, 1, RP_OK);
    s_expect (&world, "");
    assert_int_equal (world.core.late, 1);
    s_end (&world);
}

static void a_lost_broker_leaves_a_single_attempt_unknown (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    s_fail (&world);
    s_expect (&world, "r1> close r1=UNKNOWN open(a)");
    assert_int_equal (world.exchanges[1].end, RP_END_LOST);
    s_end (&world);
}

static void byes_leave_a_single_attempt_unknown (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    s_bye (&world, RP_DRAINING, "");
    s_expect (&world, "r1> close r1=UNKNOWN open(a)");
    assert_string_equal (world.core.error, "a: the broker said BYE with DRAINING");
    s_end (&world);
}

static void a_reply_ends_a_request_once (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    assert_true (s_reply_with (&world, 1, RP_OK, 0));
    assert_false (s_reply_with (&world, 1, RP_OK, 0));
    s_expect (&world, "r1> r1=OK");
    assert_int_equal (world.core.late, 1);
    s_end (&world);
}

static void a_foreign_reply_is_dropped_and_counted (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    uint64_t id = world.exchanges[1].wire_id;
    uint64_t foreign[] = {0, 1, id + 1, id + RP_SLOTS_MAX, id - RP_SLOTS_MAX, UINT64_MAX};
    for (size_t index = 0; index < sizeof foreign / sizeof *foreign; index++)
        s_hear (&world, (rp_head_t) {.command = RP_COMMAND_REPLY, .id = foreign[index]});
    s_expect (&world, "r1>");
    assert_int_equal (world.core.late, sizeof foreign / sizeof *foreign);
    s_end (&world);
}

static void ids_are_never_zero_and_never_used_again (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    uint64_t seen[200];
    for (size_t count = 0; count < 200; count++) {
        s_submit (&world, 1);
        seen[count] = world.exchanges[1].id;
        assert_true (seen[count] != 0);
        for (size_t earlier = 0; earlier < count; earlier++)
            assert_true (seen[earlier] != seen[count]);
        s_reply (&world, 1, RP_OK);
    }
    s_end (&world);
}

static void a_request_that_the_transport_did_not_take_is_sent_a_little_later (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    rp_client_order_t order;
    world.exchanges[1] = (rp_exchange_t) {.timeout_ms = 1000, .attempts = 1};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    assert_true (rp_client_core_next_order (&world.core, &order, world.now));
    assert_int_equal (order.kind, RP_CLIENT_SEND);
    rp_client_core_unsent (&world.core, order.exchange, world.now);
    s_submit (&world, 2);
    s_expect (&world, "");
    s_pass (&world, RP_SEND_PAUSE_US);
    s_expect (&world, "r1> r2>");
    s_end (&world);
}

/*  ---- Trying again ---------------------------------------------------------------------------- */

static void a_lost_broker_draws_another_attempt_under_a_new_id (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 2, NULL);
    s_submit_with (&world, 2, 2, NULL);
    uint64_t first = world.exchanges[1].wire_id;
    s_fail (&world);
    s_submit (&world, 3);
    s_connect (&world);
    s_expect (&world, "r1> r2> close open(a) HELLO r1> r2> r3>");
    assert_true (world.exchanges[1].wire_id != first);
    assert_true (world.exchanges[1].id == first);
    assert_int_equal (world.exchanges[1].attempts_left, 1);
    s_hear (&world, (rp_head_t) {.command = RP_COMMAND_REPLY, .id = first});
    assert_int_equal (world.core.late, 1);
    s_reply (&world, 1, RP_OK);
    s_expect (&world, "r1=OK");
    s_fail (&world);
    s_expect (&world, "close r2=UNKNOWN r3=UNKNOWN");
    s_end (&world);
}

static void busy_is_tried_again_after_a_pause_while_attempts_are_left (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 3, NULL);
    assert_false (s_reply_with (&world, 1, RP_BUSY, 0));
    s_expect (&world, "r1>");
    s_pass (&world, RP_RETRY_FIRST_MS * MS / 2 - 1);
    s_expect (&world, "");
    s_pass (&world, RP_RETRY_FIRST_MS * MS / 2 + 1);
    s_expect (&world, "r1>");
    s_reply (&world, 1, RP_DRAINING);
    s_pass (&world, 2 * RP_RETRY_FIRST_MS * MS);
    s_expect (&world, "r1>");
    s_reply (&world, 1, RP_BUSY);
    s_expect (&world, "r1=BUSY");
    s_end (&world);
}

static void busy_ends_a_single_attempt (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    assert_true (s_reply_with (&world, 1, RP_BUSY, 0));
    s_expect (&world, "r1> r1=BUSY");
    s_end (&world);
}

static void busy_so_late_that_a_pause_would_pass_the_deadline_is_final (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    world.exchanges[1] = (rp_exchange_t) {.timeout_ms = 5, .attempts = 3};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    s_expect (&world, "r1>");
    s_reply (&world, 1, RP_BUSY);
    s_expect (&world, "r1=BUSY");
    s_end (&world);
}

static void no_worker_is_not_tried_again (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 3, NULL);
    s_reply (&world, 1, RP_NO_WORKER);
    s_expect (&world, "r1> r1=NO_WORKER");
    s_end (&world);
}

static void the_retry_budget_is_a_reserve_and_what_requests_earn (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    // Each of these earns a fifth of a retry: ten in reserve, and two more.
    for (int number = 0; number < 10; number++)
        s_submit_with (&world, number, 10, NULL);
    unsigned sent = 0;
    for (int round = 0; round < 2; round++) {
        s_fail (&world);
        s_connect (&world);
    }
    for (const char *at = world.trace; (at = strchr (at, '>')); at++)
        sent++;
    assert_int_equal (sent, 10 + 12);
    for (int number = 0; number < 10; number++)
        if (world.exchanges[number].state == RP_EXCHANGE_IDLE) {
            assert_int_equal (world.exchanges[number].status, RP_UNKNOWN);
            assert_int_equal (world.exchanges[number].end, RP_END_BUDGET);
        }
    assert_int_equal (world.core.open_count, 2);
    s_end (&world);
}

static void a_budget_of_nothing_forbids_retries (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    world.core.config.retry_percent = 0;
    s_connect (&world);
    s_submit_with (&world, 1, 3, NULL);
    s_reply (&world, 1, RP_BUSY);
    s_expect (&world, "open(a) HELLO r1> r1=BUSY");
    s_end (&world);
}

static void after_a_lost_attempt_nothing_claims_that_it_never_ran (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 2, NULL);
    s_submit_with (&world, 2, 2, NULL);
    s_fail (&world);
    s_connect (&world);
    world.trace[0] = '\0';
    assert_false (s_reply_with (&world, 1, RP_NO_WORKER, 0));
    assert_true (s_reply_with (&world, 2, RP_WORKER_LOST, 0));
    s_expect (&world, "r1=UNKNOWN r2=WORKER_LOST");
    s_end (&world);
}

static void a_retry_that_finds_no_broker_until_the_deadline_is_unknown (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 2, NULL);
    s_fail (&world);
    s_pass (&world, 5 * SECOND);
    assert_int_equal (world.exchanges[1].status, RP_UNKNOWN);
    assert_int_equal (world.core.open_count, 0);
    s_end (&world);
}

/*  ---- Cancelling ------------------------------------------------------------------------------ */

static void cancelling_what_was_not_sent_ends_it_at_once (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1);
    assert_true (s_cancel (&world, 1));
    s_expect (&world, "r1=CANCELLED open(a)");
    assert_false (s_cancel (&world, 1));
    s_end (&world);
}

static void cancelling_what_runs_waits_for_what_was_faster (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    s_submit_with (&world, 2, 3, NULL);
    assert_true (s_cancel (&world, 1));
    assert_true (s_cancel (&world, 1));
    assert_true (s_cancel (&world, 2));
    s_expect (&world, "r1> r2> CANCEL(r1) CANCEL(r2)");
    s_reply (&world, 1, RP_OK);
    s_reply (&world, 2, RP_CANCELLED);
    s_expect (&world, "r1=OK r2=CANCELLED");
    s_end (&world);
}

static void a_cancelled_request_is_not_tried_again (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 3, NULL);
    s_submit_with (&world, 2, 3, NULL);
    s_cancel (&world, 1);
    s_cancel (&world, 2);
    s_reply (&world, 1, RP_BUSY);
    s_fail (&world);
    s_expect (&world, "r1> r2> CANCEL(r1) CANCEL(r2) r1=BUSY close r2=UNKNOWN open(a)");
    s_end (&world);
}

static void an_id_of_a_retry_still_cancels_by_its_first_name (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 3, NULL);
    uint64_t id = world.exchanges[1].id;
    s_reply (&world, 1, RP_BUSY);
    assert_false (rp_client_core_cancel (&world.core, world.exchanges[1].wire_id, world.now));
    assert_true (rp_client_core_cancel (&world.core, id, world.now));
    s_expect (&world, "r1> r1=CANCELLED");
    s_end (&world);
}

static void an_abandoned_request_ends_at_once_and_the_broker_is_told (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    rp_client_core_abandon (&world.core, &world.exchanges[1], world.now);
    s_expect (&world, "r1> CANCEL(r1) r1=CANCELLED");
    s_reply (&world, 1, RP_CANCELLED);
    s_expect (&world, "");
    s_end (&world);
}

static void closing_says_bye_and_ends_everything_with_cancelled (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit (&world, 1);
    s_submit_with (&world, 2, 3, NULL);
    s_reply (&world, 2, RP_BUSY);
    rp_client_core_close (&world.core, world.now);
    s_expect (&world, "r1> r2> BYE close(orderly) r1=CANCELLED r2=CANCELLED");
    rp_exchange_t one = {.timeout_ms = 1000, .attempts = 1};
    assert_int_equal (rp_client_core_submit (&world.core, &one, world.now), RP_CLOSED);
    s_end (&world);
}

/*  ---- Conversations --------------------------------------------------------------------------- */

static void only_the_first_request_in_flight_may_open_a_conversation (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 1, &world.talk);
    s_submit_with (&world, 2, 1, &world.talk);
    s_expect (&world, "r1+k1> r2.k1>");
    s_reply (&world, 1, RP_OK);
    s_submit_with (&world, 3, 1, &world.talk);
    s_expect (&world, "r1=OK r3.k1>");
    s_end (&world);
}

static void a_conversation_that_no_worker_answered_is_opened_again (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 1, &world.talk);
    s_reply (&world, 1, RP_NO_WORKER);
    s_submit_with (&world, 2, 1, &world.talk);
    s_expect (&world, "r1+k1> r1=NO_WORKER r2+k1>");
    s_reply (&world, 2, RP_APP_ERROR);
    s_submit_with (&world, 3, 1, &world.talk);
    s_expect (&world, "r2=APP_ERROR r3.k1>");
    s_end (&world);
}

static void after_conversation_lost_the_next_request_begins_anew_once (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 1, &world.talk);
    s_reply (&world, 1, RP_OK);
    s_submit_with (&world, 2, 1, &world.talk);
    s_submit_with (&world, 3, 1, &world.talk);
    s_reply (&world, 2, RP_CONVERSATION_LOST);
    s_submit_with (&world, 4, 1, &world.talk);
    s_reply (&world, 3, RP_CONVERSATION_LOST); // of the old one: says nothing about the new
    s_submit_with (&world, 5, 1, &world.talk);
    s_expect (
      &world, "r1+k1> r1=OK r2.k1> r3.k1> r2=CONVERSATION_LOST r4+k2> r3=CONVERSATION_LOST r5.k2>");
    s_end (&world);
}

static void after_a_last_reply_the_next_request_begins_anew (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 1, &world.talk);
    s_reply_with (&world, 1, RP_OK, RP_FLAG_LAST);
    s_submit_with (&world, 2, 1, &world.talk);
    s_expect (&world, "r1+k1> r1=OK r2+k2>");
    s_end (&world);
}

static void a_new_session_learns_that_an_answered_conversation_is_gone (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 1, &world.talk);
    s_reply (&world, 1, RP_OK);
    s_fail (&world);
    s_connect (&world);
    s_submit_with (&world, 2, 1, &world.talk);
    s_expect (&world, "r1+k1> r1=OK close open(a) HELLO r2.k1>");
    s_reply (&world, 2, RP_CONVERSATION_LOST);
    s_submit_with (&world, 3, 1, &world.talk);
    s_expect (&world, "r2=CONVERSATION_LOST r3+k2>");
    s_end (&world);
}

static void a_new_session_opens_a_conversation_that_was_never_answered (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 2, &world.talk);
    s_submit_with (&world, 2, 2, &world.talk);
    s_fail (&world);
    s_connect (&world);
    s_expect (&world, "r1+k1> r2.k1> close open(a) HELLO r1+k1> r2.k1>");
    s_end (&world);
}

static void a_request_of_an_answered_conversation_is_not_sent_again (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_connected (&world, 1);
    s_submit_with (&world, 1, 3, &world.talk);
    s_reply (&world, 1, RP_OK);
    s_submit_with (&world, 2, 3, &world.talk);
    s_fail (&world);
    s_expect (&world, "r1+k1> r1=OK r2.k1> close r2=UNKNOWN open(a)");
    s_end (&world);
}

static void destroying_a_conversation_tells_the_broker_that_knows_it (void **state)
{
    (void) state;
    s_world_t world;
    rp_head_t head;
    s_begin_connected (&world, 1);
    rp_talk_t unused = {0};
    assert_false (rp_client_core_end_talk (&world.core, &unused, &head));
    s_submit_with (&world, 1, 1, &world.talk);
    s_reply (&world, 1, RP_OK);
    rp_talk_t copy = world.talk;
    assert_true (rp_client_core_end_talk (&world.core, &world.talk, &head));
    assert_int_equal (head.command, RP_COMMAND_END);
    assert_int_equal (head.conversation, 1);
    s_fail (&world);
    s_connect (&world);
    assert_false (rp_client_core_end_talk (&world.core, &copy, &head));
    s_end (&world);
}

static void what_waits_in_a_destroyed_conversation_is_not_sent (void **state)
{
    (void) state;
    s_world_t world;
    rp_head_t head;
    s_begin (&world, 1);
    s_submit_with (&world, 1, 1, &world.talk);
    assert_false (rp_client_core_end_talk (&world.core, &world.talk, &head));
    s_connect (&world);
    s_expect (&world, "open(a) HELLO r1=CONVERSATION_LOST");
    assert_int_equal (world.exchanges[1].end, RP_END_TALK_OVER);
    s_end (&world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_client_connects_with_its_first_request_and_not_before),
      cmocka_unit_test (requests_go_in_the_order_in_which_they_were_submitted),
      cmocka_unit_test (the_time_left_on_the_wire_is_what_is_left_when_it_is_sent),
      cmocka_unit_test (an_idle_session_sends_heartbeats_and_a_silent_broker_is_lost),
      cmocka_unit_test (a_refusal_for_good_ends_what_waits_and_what_comes_later),
      cmocka_unit_test (a_broker_that_is_full_at_the_greeting_is_tried_again),
      cmocka_unit_test (the_next_endpoint_is_tried_when_one_fails),
      cmocka_unit_test (a_draining_broker_finishes_what_it_has_before_the_client_moves),
      cmocka_unit_test (a_draining_broker_without_another_is_still_asked),
      cmocka_unit_test (what_makes_no_sense_is_ignored_and_counted),
      cmocka_unit_test (without_any_broker_a_request_ends_at_its_deadline_with_no_broker),
      cmocka_unit_test (a_request_that_was_held_back_until_its_deadline_expired),
      cmocka_unit_test (more_than_the_broker_allows_waits_for_room),
      cmocka_unit_test (more_than_the_client_allows_is_full),
      cmocka_unit_test (a_body_over_the_brokers_limit_is_too_large_and_not_sent),
      cmocka_unit_test (a_broker_that_keeps_a_request_too_long_makes_it_unknown),
      cmocka_unit_test (a_lost_broker_leaves_a_single_attempt_unknown),
      cmocka_unit_test (byes_leave_a_single_attempt_unknown),
      cmocka_unit_test (a_reply_ends_a_request_once),
      cmocka_unit_test (a_foreign_reply_is_dropped_and_counted),
      cmocka_unit_test (ids_are_never_zero_and_never_used_again),
      cmocka_unit_test (a_request_that_the_transport_did_not_take_is_sent_a_little_later),
      cmocka_unit_test (a_lost_broker_draws_another_attempt_under_a_new_id),
      cmocka_unit_test (busy_is_tried_again_after_a_pause_while_attempts_are_left),
      cmocka_unit_test (busy_ends_a_single_attempt),
      cmocka_unit_test (busy_so_late_that_a_pause_would_pass_the_deadline_is_final),
      cmocka_unit_test (no_worker_is_not_tried_again),
      cmocka_unit_test (the_retry_budget_is_a_reserve_and_what_requests_earn),
      cmocka_unit_test (a_budget_of_nothing_forbids_retries),
      cmocka_unit_test (after_a_lost_attempt_nothing_claims_that_it_never_ran),
      cmocka_unit_test (a_retry_that_finds_no_broker_until_the_deadline_is_unknown),
      cmocka_unit_test (cancelling_what_was_not_sent_ends_it_at_once),
      cmocka_unit_test (cancelling_what_runs_waits_for_what_was_faster),
      cmocka_unit_test (a_cancelled_request_is_not_tried_again),
      cmocka_unit_test (an_id_of_a_retry_still_cancels_by_its_first_name),
      cmocka_unit_test (an_abandoned_request_ends_at_once_and_the_broker_is_told),
      cmocka_unit_test (closing_says_bye_and_ends_everything_with_cancelled),
      cmocka_unit_test (only_the_first_request_in_flight_may_open_a_conversation),
      cmocka_unit_test (a_conversation_that_no_worker_answered_is_opened_again),
      cmocka_unit_test (after_conversation_lost_the_next_request_begins_anew_once),
      cmocka_unit_test (after_a_last_reply_the_next_request_begins_anew),
      cmocka_unit_test (a_new_session_learns_that_an_answered_conversation_is_gone),
      cmocka_unit_test (a_new_session_opens_a_conversation_that_was_never_answered),
      cmocka_unit_test (a_request_of_an_answered_conversation_is_not_sent_again),
      cmocka_unit_test (destroying_a_conversation_tells_the_broker_that_knows_it),
      cmocka_unit_test (what_waits_in_a_destroyed_conversation_is_not_sent),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
