/*  SPDX-License-Identifier: MPL-2.0

    The link, as traces: what it orders, and when, for the events that it gets.

        open(a)@0     at millisecond 0 it wants a connection to endpoint a
        beat@500      it wants a heartbeat sent
        lost@1500     it gave the broker up

    Random bits are 0 unless a test says otherwise, so every pause is the shortest of its range:
    25, 50, 100, … ms.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/limits.h"
#include "common/wire/link.h"

#define MS 1000

enum { INTERVAL_MS = 500 };

typedef struct {
    rp_link_t link;
    int64_t now; /* ms */
    int64_t next;
    uint64_t random;
    char trace[1024];
} s_world_t;

static const char *const s_three[] = {"a", "b", "c"};
static const char *const s_names[] = {"tcp://name:1", "tcp://other:1"};

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static void s_begin (s_world_t *world, size_t endpoints)
{
    memset (world, 0, sizeof *world);
    rp_link_init (&world->link, s_three, endpoints, INTERVAL_MS, 100);
}

static void s_trace (s_world_t *world, const char *what)
{
    size_t used = strlen (world->trace);
    snprintf (world->trace + used, sizeof world->trace - used, "%s%s@%d", used ? " " : "", what,
      (int) world->now);
}

/*  Ticks until there is nothing to do.  */
static void s_tick (s_world_t *world)
{
    char what[64];
    for (int round = 0; round < 10; round++) {
        int64_t next = INT64_MIN;
        rp_link_order_t order = rp_link_tick (&world->link, world->now * MS, &next);
        world->next = next == INT64_MAX ? INT64_MAX : (next + MS - 1) / MS;
        switch (order) {
            case RP_LINK_NOTHING:
                assert_true (next > world->now * MS);
                return;
            case RP_LINK_OPEN:
                snprintf (what, sizeof what, "open(%s)", rp_link_where (&world->link));
                s_trace (world, what);
                break;
            case RP_LINK_LOST:
                rp_link_failed (&world->link, world->now * MS, world->random);
                assert_int_equal (world->link.state, RP_LINK_REST);
                s_trace (world, "lost");
                break;
            case RP_LINK_HEARTBEAT:
                s_trace (world, "beat");
                break;
        }
    }
    fail_msg ("the link never comes to rest: %s", world->trace);
}

/*  Lets time pass, ticking whenever the link asked for it.  */
static void s_run_until (s_world_t *world, int64_t until)
{
    s_tick (world);
    while (world->next <= until) {
        world->now = world->next;
        s_tick (world);
    }
    world->now = until;
}

/*  Lets time pass without a tick, as when the process is stopped.  */
static void s_stop_until (s_world_t *world, int64_t until)
{
    world->now = until;
}

static void s_fail (s_world_t *world)
{
    rp_link_failed (&world->link, world->now * MS, world->random);
}

static void s_deny (s_world_t *world)
{
    rp_link_denied (&world->link, world->now * MS, world->random);
}

static void s_connect (s_world_t *world)
{
    rp_link_connected (&world->link, world->now * MS);
}

static bool s_welcome (s_world_t *world, uint32_t interval_ms)
{
    rp_head_t head = {.command = RP_COMMAND_WELCOME, .interval_ms = interval_ms};
    return rp_link_welcomed (&world->link, &head, world->now * MS);
}

static void s_hear (s_world_t *world)
{
    rp_link_heard (&world->link, world->now * MS);
}

/*  Begins with a session at the first endpoint at time 0.  */
static void s_begin_up (s_world_t *world, size_t endpoints)
{
    s_begin (world, endpoints);
    s_tick (world);
    s_connect (world);
    assert_true (s_welcome (world, INTERVAL_MS));
    world->trace[0] = '\0';
}

#define assert_trace(world, expected) assert_string_equal ((world)->trace, expected)

/*  ---- Connecting ----------------------------------------------------------------------------- */

static void it_connects_at_once_to_the_first_endpoint (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 3);
    s_tick (&world);
    assert_trace (&world, "open(a)@0");
    assert_int_equal (world.link.state, RP_LINK_CONNECTING);
}

static void failures_go_through_the_list_with_growing_pauses_between_rounds (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 3);
    for (int attempt = 0; attempt < 9; attempt++) {
        s_run_until (&world, world.link.state == RP_LINK_REST ? world.link.due / MS : world.now);
        s_fail (&world);
    }
    assert_trace (&world,
      "open(a)@0 open(b)@0 open(c)@0 open(a)@25 open(b)@25 open(c)@25 open(a)@75 open(b)@75 "
      "open(c)@75");
}

static void the_pause_is_drawn_with_the_random_bits_given (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_tick (&world);
    world.random = 25000; // of the 25,001 values from 25 to 50 ms this is the last
    s_fail (&world);
    assert_int_equal (world.link.due, 50 * MS);
    assert_int_equal (rp_link_retry_ms (&world.link, 0), 50);
    assert_int_equal (rp_link_retry_ms (&world.link, 49 * MS + 1), 1);
    assert_int_equal (rp_link_retry_ms (&world.link, 50 * MS), 0);
    world.random = 25001;
    s_run_until (&world, 50);
    s_fail (&world);
    assert_int_equal (world.link.due, 50 * MS + 75001);
}

static void a_connection_that_never_stands_is_given_up (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_run_until (&world, RP_CONNECT_MS + 100);
    assert_trace (&world, "open(a)@0 lost@3000 open(a)@3025");
}

static void a_silent_endpoint_of_a_list_is_left_early_and_given_longer_each_round (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 2);
    s_run_until (&world, 6000);
    assert_trace (&world,
      "open(a)@0 lost@500 open(b)@500 lost@1000 open(a)@1025 lost@2025 open(b)@2025 "
      "lost@3025 open(a)@3075 lost@5075 open(b)@5075");
}

static void every_endpoint_is_tried_within_the_time_there_is (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 3);
    world.link.within = 400 * MS;
    s_run_until (&world, 399);
    assert_trace (
      &world, "open(a)@0 lost@100 open(b)@100 lost@200 open(c)@200 lost@300 open(a)@325");
    s_begin (&world, 3);
    s_run_until (&world, 100);
    world.link.wanted = 500 * MS; // a request came whose deadline is sooner
    s_run_until (&world, 499);
    assert_trace (&world,
      "open(a)@0 lost@200 open(b)@200 lost@300 open(c)@300 lost@400 open(a)@425 "
      "lost@475 open(b)@475");
}

/*  Begins with endpoints that have names.  */
static void s_begin_named (s_world_t *world, size_t endpoints)
{
    s_begin (world, 0);
    rp_link_init (&world->link, s_names, endpoints, INTERVAL_MS, 100);
    s_tick (world);
}

/*  Reports so many addresses for the name: 10.0.0.1, 10.0.0.2, …  */
static void s_find (s_world_t *world, unsigned count)
{
    rp_addresses_t found = {0};
    char address[16];
    for (unsigned number = 1; number <= count; number++) {
        snprintf (address, sizeof address, "10.0.0.%u", number);
        rp_addresses_add (&found, rp_link_endpoint (&world->link), address);
    }
    rp_link_found (&world->link, &found, world->now * MS);
    s_tick (world);
}

static void a_name_is_looked_up_and_its_addresses_tried_at_once (void **state)
{
    (void) state;
    s_world_t world;
    char label[RP_LINK_LABEL_MAX];
    s_begin_named (&world, 1);
    assert_true (rp_link_looks_up (&world.link));
    assert_string_equal (rp_link_label (&world.link, label), "tcp://name:1");
    s_run_until (&world, 200);
    s_find (&world, 2);
    assert_false (rp_link_looks_up (&world.link));
    assert_string_equal (rp_link_label (&world.link, label), "tcp://name:1 at 10.0.0.1");
    s_fail (&world);
    s_tick (&world);
    s_connect (&world);
    assert_true (s_welcome (&world, INTERVAL_MS));
    assert_string_equal (rp_link_label (&world.link, label), "tcp://name:1 at 10.0.0.2");
    assert_string_equal (rp_link_endpoint (&world.link), "tcp://name:1");
    assert_trace (
      &world, "open(tcp://name:1)@0 open(tcp://10.0.0.1:1)@200 open(tcp://10.0.0.2:1)@200");
}

static void a_name_is_looked_up_anew_in_each_round_and_after_each_session (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_named (&world, 1);
    s_find (&world, 2);
    s_fail (&world);
    s_tick (&world);
    s_fail (&world); // the last address: a pause, as after the last endpoint
    s_run_until (&world, 25);
    s_find (&world, 1);
    s_connect (&world);
    assert_true (s_welcome (&world, INTERVAL_MS));
    s_fail (&world);
    s_tick (&world);
    assert_true (rp_link_looks_up (&world.link));
    assert_trace (&world, "open(tcp://name:1)@0 open(tcp://10.0.0.1:1)@0 open(tcp://10.0.0.2:1)@0 "
                          "open(tcp://name:1)@25 open(tcp://10.0.0.1:1)@25 open(tcp://name:1)@25");
}

static void a_silent_address_is_left_after_its_share (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_named (&world, 1);
    s_find (&world, 2);
    s_run_until (&world, 500);
    s_connect (&world); // and no WELCOME
    s_run_until (&world, 1000);
    assert_trace (&world, "open(tcp://name:1)@0 open(tcp://10.0.0.1:1)@0 lost@500 "
                          "open(tcp://10.0.0.2:1)@500 lost@1000");

    s_begin_named (&world, 1);
    world.link.wanted = 400 * MS;
    s_find (&world, 3);
    s_run_until (&world, 399);
    assert_trace (&world,
      "open(tcp://name:1)@0 open(tcp://10.0.0.1:1)@0 lost@100 open(tcp://10.0.0.2:1)@100 lost@200 "
      "open(tcp://10.0.0.3:1)@200 lost@300 open(tcp://name:1)@325");
}

static void the_one_address_of_the_one_name_has_all_the_time_there_is (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_named (&world, 1);
    s_run_until (&world, 1000);
    s_find (&world, 1);
    s_run_until (&world, 4500);
    assert_trace (
      &world, "open(tcp://name:1)@0 open(tcp://10.0.0.1:1)@1000 lost@4000 open(tcp://name:1)@4025");
}

static void a_name_that_is_not_found_is_a_failure_like_another (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_named (&world, 2);
    s_fail (&world); // "name" does not resolve
    s_run_until (&world, 499);
    s_find (&world, 2); // "other" has two addresses, which both refuse
    s_fail (&world);
    s_tick (&world);
    s_fail (&world);
    s_tick (&world);
    s_run_until (&world, 525);
    assert_trace (&world, "open(tcp://name:1)@0 open(tcp://other:1)@0 open(tcp://10.0.0.1:1)@499 "
                          "open(tcp://10.0.0.2:1)@499 open(tcp://name:1)@524");

    s_begin_named (&world, 2);
    s_run_until (&world, 600); // the name server does not answer
    assert_trace (&world, "open(tcp://name:1)@0 lost@500 open(tcp://other:1)@500");
}

static void addresses_that_nobody_asked_for_change_nothing (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    s_find (&world, 1);
    assert_int_equal (world.link.state, RP_LINK_UP);
    s_begin_named (&world, 1);
    s_find (&world, 1);
    s_find (&world, 2);
    assert_int_equal (world.link.state, RP_LINK_CONNECTING);
    assert_int_equal (world.link.found.count, 1);
    s_fail (&world);
    s_find (&world, 2);
    assert_int_equal (world.link.state, RP_LINK_REST);
}

static void a_greeting_without_an_answer_is_given_up_within_the_same_bound (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_run_until (&world, 2900);
    s_connect (&world);
    assert_int_equal (world.link.state, RP_LINK_GREETING);
    s_run_until (&world, RP_CONNECT_MS + 100);
    assert_trace (&world, "open(a)@0 lost@3000 open(a)@3025");
}

static void a_welcome_nobody_waits_for_or_out_of_range_is_refused (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    assert_false (s_welcome (&world, INTERVAL_MS));
    s_tick (&world);
    assert_false (s_welcome (&world, INTERVAL_MS));
    s_connect (&world);
    assert_false (s_welcome (&world, RP_HEARTBEAT_MIN_MS - 1));
    assert_false (s_welcome (&world, RP_HEARTBEAT_MAX_MS + 1));
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .interval_ms = INTERVAL_MS};
    assert_false (rp_link_welcomed (&world.link, &reply, 0));
    assert_true (s_welcome (&world, RP_HEARTBEAT_MIN_MS));
    assert_int_equal (world.link.interval, RP_HEARTBEAT_MIN_MS * MS);
    assert_false (s_welcome (&world, INTERVAL_MS)); // a second WELCOME
}

/*  ---- Up ------------------------------------------------------------------------------------- */

static void heartbeats_go_out_an_interval_after_the_last_message (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    for (int64_t at = 200; at <= 2000; at += 200) {
        s_run_until (&world, at);
        s_hear (&world);
        if (at == 800)
            rp_link_said (&world.link, 800 * MS);
    }
    assert_trace (&world, "beat@500 beat@1300 beat@1800");
}

static void a_heartbeat_that_could_not_be_sent_is_not_asked_for_again_at_once (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    int64_t next;
    assert_int_equal (rp_link_tick (&world.link, 500 * MS, &next), RP_LINK_HEARTBEAT);
    assert_int_equal (rp_link_tick (&world.link, 500 * MS, &next), RP_LINK_NOTHING);
    assert_int_equal (next, 1000 * MS);
}

static void whoever_waits_for_nothing_announces_a_longer_interval (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    world.link.idle = true;
    s_run_until (&world, 300);
    assert_int_equal (rp_link_announced (&world.link), 0);
    s_hear (&world);
    s_run_until (&world, 500);
    assert_int_equal (rp_link_announced (&world.link), 5000);
    s_run_until (&world, 5400);
    s_hear (&world);
    s_run_until (&world, 15399);
    assert_trace (&world, "beat@500 beat@5500 beat@10500");
    s_run_until (&world, 15400);
    assert_int_equal (world.link.state, RP_LINK_CONNECTING); // silent for two long intervals
}

static void what_it_says_brings_the_shorter_interval_back (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    world.link.idle = true;
    s_run_until (&world, 100);
    s_hear (&world);
    s_run_until (&world, 4000);
    world.link.idle = false;
    assert_true (rp_link_said (&world.link, 4000 * MS)); // sooner than it had announced
    assert_false (rp_link_said (&world.link, 4000 * MS));
    assert_int_equal (rp_link_announced (&world.link), 0);
    s_tick (&world);
    s_run_until (&world, 5499); // the silence before does not count
    assert_int_equal (world.link.state, RP_LINK_UP);
    s_run_until (&world, 5500);
    assert_trace (&world, "beat@500 beat@4500 beat@5000 lost@5500 open(a)@5500");
}

/*  Begins with a session that waits for nothing, and was heard at 300 ms.  */
static void s_begin_idle (s_world_t *world)
{
    s_begin_up (world, 1);
    world->link.idle = true;
    s_run_until (world, 300);
    s_hear (world);
}

static void a_broker_that_missed_a_long_interval_has_two_short_ones (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_idle (&world);
    s_run_until (&world, 8000);
    world.link.idle = false;
    rp_link_said (&world.link, 8000 * MS);
    s_run_until (&world, 8999);
    assert_int_equal (world.link.state, RP_LINK_UP);
    s_run_until (&world, 9000);
    assert_int_equal (world.link.state, RP_LINK_CONNECTING);
}

static void a_process_that_was_stopped_and_then_speaks_first_reads_before_it_judges (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_idle (&world);
    s_run_until (&world, 1000);
    s_stop_until (&world, 10200); // for almost as long as the broker may be silent
    world.link.idle = false;
    rp_link_said (&world.link, 10200 * MS);
    s_run_until (&world, 10600);
    assert_int_equal (world.link.state, RP_LINK_UP);
}

static void a_broker_that_has_fallen_silent_is_not_given_longer (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    s_run_until (&world, 900);
    world.link.idle = true;
    s_run_until (&world, 1500);
    assert_trace (&world, "beat@500 beat@1000 lost@1500 open(a)@1500");
}

static void a_heartbeat_is_answered_if_one_is_as_good_as_due (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    s_run_until (&world, 249);
    s_hear (&world);
    assert_false (rp_link_beat (&world.link, 249 * MS));
    s_run_until (&world, 251);
    assert_true (rp_link_beat (&world.link, 251 * MS));
    s_tick (&world);
    s_run_until (&world, 751);
    assert_trace (&world, "beat@251 beat@751");
}

static void a_broker_silent_for_three_intervals_is_lost_and_the_next_tried_at_once (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 2);
    s_run_until (&world, 250);
    s_hear (&world);
    s_run_until (&world, 1749);
    assert_int_equal (world.link.state, RP_LINK_UP);
    s_run_until (&world, 1750);
    assert_trace (&world, "beat@500 beat@1000 beat@1500 lost@1750 open(b)@1750");
}

static void any_sign_of_life_counts (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    for (int64_t at = 1499; at < 20000; at += 1499) {
        s_run_until (&world, at);
        s_hear (&world);
    }
    assert_int_equal (world.link.state, RP_LINK_UP);
    assert_null (strstr (world.trace, "lost"));
}

static void a_process_that_was_stopped_reads_before_it_judges (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    s_run_until (&world, 100);
    s_stop_until (&world, 10000);
    s_tick (&world);
    assert_trace (&world, "beat@10000");
    s_run_until (&world, 10200);
    s_hear (&world); // a message that waited in the socket
    s_run_until (&world, 11000);
    assert_int_equal (world.link.state, RP_LINK_UP);
}

static void after_a_stop_the_broker_has_one_interval_more_and_no_longer (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    s_run_until (&world, 100);
    s_stop_until (&world, 10000);
    s_run_until (&world, 10499);
    assert_int_equal (world.link.state, RP_LINK_UP);
    s_run_until (&world, 10500);
    assert_trace (&world, "beat@10000 lost@10500 open(a)@10500");
}

static void ticks_that_come_a_little_late_are_no_stop (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    for (world.now = 0; world.now < 1700; world.now = world.next + 200)
        s_tick (&world);
    s_tick (&world);
    assert_non_null (strstr (world.trace, "lost@1700")); // 200 ms late, as the ticks are
}

/*  ---- Down ----------------------------------------------------------------------------------- */

static void the_first_failure_after_having_been_up_retries_at_once (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 2);
    s_tick (&world);
    s_fail (&world);
    s_run_until (&world, 100);
    s_fail (&world);
    s_run_until (&world, 150);
    s_connect (&world);
    assert_true (s_welcome (&world, INTERVAL_MS));
    s_run_until (&world, 200);
    s_fail (&world); // it had a session: retried at once
    s_tick (&world);
    s_fail (&world); // it had none: the pauses begin anew
    s_run_until (&world, 250);
    assert_trace (&world, "open(a)@0 open(b)@0 open(a)@125 open(b)@200 open(a)@225");
}

static void a_broker_that_welcomes_and_drops_us_is_not_tried_without_pause (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    for (int connection = 0; connection < 6; connection++) {
        s_run_until (&world, world.link.due / MS > world.now ? world.link.due / MS : world.now);
        s_connect (&world);
        assert_true (s_welcome (&world, INTERVAL_MS));
        s_fail (&world);
    }
    assert_trace (&world, "open(a)@0 open(a)@0 open(a)@25 open(a)@75 open(a)@175 open(a)@375");

    // A session that holds for an interval makes up for the short ones.
    s_run_until (&world, world.link.due / MS);
    s_connect (&world);
    assert_true (s_welcome (&world, INTERVAL_MS));
    world.now += INTERVAL_MS;
    s_fail (&world);
    assert_int_equal (world.link.due, world.now * MS);
}

static void late_news_of_a_connection_that_is_over_changes_nothing (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 3);
    s_tick (&world);
    s_fail (&world);
    rp_link_t before = world.link;
    s_fail (&world);
    s_connect (&world);
    assert_int_equal (world.link.due, before.due);
    assert_int_equal (world.link.failures, before.failures);
    assert_int_equal (world.link.state, RP_LINK_REST);
    assert_string_equal (rp_link_endpoint (&world.link), "b");
}

static void a_draining_broker_is_left_only_when_there_is_another (void **state)
{
    (void) state;
    s_world_t world;
    s_begin_up (&world, 1);
    assert_false (rp_link_move (&world.link, 0, 0));
    assert_int_equal (world.link.state, RP_LINK_UP);

    s_begin_up (&world, 2);
    world.now = INTERVAL_MS;
    assert_true (rp_link_move (&world.link, world.now * MS, 0));
    s_tick (&world);
    assert_trace (&world, "open(b)@500");
}

/*  ---- Keys ----------------------------------------------------------------------------------- */

static void a_key_that_is_denied_is_tried_again_like_a_broker_that_is_not_there (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 2);
    for (int attempt = 0; attempt < 4; attempt++) {
        s_run_until (&world, world.link.state == RP_LINK_REST ? world.link.due / MS : world.now);
        s_deny (&world);
    }
    assert_trace (&world, "open(a)@0 open(b)@0 open(a)@25 open(b)@25");
    assert_int_equal (world.link.state, RP_LINK_REST);
}

static void shut_out_is_who_no_broker_of_the_list_accepts (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 2);
    assert_false (rp_link_is_shut_out (&world.link));
    s_tick (&world);
    s_deny (&world);
    assert_false (rp_link_is_shut_out (&world.link)); // b has not been asked
    s_tick (&world);
    s_deny (&world);
    assert_true (rp_link_is_shut_out (&world.link));
    s_run_until (&world, 25);
    // a cannot be reached now, so nothing is known of what it would answer.
    s_fail (&world);
    assert_false (rp_link_is_shut_out (&world.link));
}

static void a_session_ends_being_shut_out (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_tick (&world);
    s_deny (&world);
    assert_true (rp_link_is_shut_out (&world.link));
    s_run_until (&world, 25);
    s_connect (&world);
    assert_true (s_welcome (&world, INTERVAL_MS));
    assert_false (rp_link_is_shut_out (&world.link));
    s_fail (&world); // the broker ends the session, as it does when a key is revoked
    assert_false (rp_link_is_shut_out (&world.link));
    s_tick (&world);
    s_deny (&world);
    assert_true (rp_link_is_shut_out (&world.link));
}

static void of_a_name_one_address_that_denies_is_enough (void **state)
{
    (void) state;
    s_world_t world;
    memset (&world, 0, sizeof world);
    rp_link_init (&world.link, s_names, 1, INTERVAL_MS, 100);
    s_tick (&world);
    rp_addresses_t found = {.count = 2};
    snprintf (found.endpoints[0], sizeof found.endpoints[0], "tcp://10.0.0.1:1");
    snprintf (found.endpoints[1], sizeof found.endpoints[1], "tcp://10.0.0.2:1");
    rp_link_found (&world.link, &found, 0);
    s_tick (&world);
    s_deny (&world);
    s_tick (&world);
    s_fail (&world); // the second address cannot be reached
    assert_true (rp_link_is_shut_out (&world.link));
}

static void news_of_a_key_after_the_end_change_nothing (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 1);
    s_deny (&world);
    assert_false (rp_link_is_shut_out (&world.link));
    assert_int_equal (world.link.failures, 0);
}

static void refused_and_closed_are_final (void **state)
{
    (void) state;
    s_world_t world;
    s_begin (&world, 2);
    s_tick (&world);
    s_connect (&world);
    rp_link_refused (&world.link);
    s_fail (&world);
    assert_false (rp_link_move (&world.link, 0, 0));
    world.now = 1000000;
    s_tick (&world);
    assert_int_equal (world.next, INT64_MAX);
    assert_int_equal (world.link.state, RP_LINK_REFUSED);
    assert_trace (&world, "open(a)@0");

    rp_link_close (&world.link);
    rp_link_refused (&world.link);
    s_tick (&world);
    assert_int_equal (world.link.state, RP_LINK_CLOSED);
    assert_int_equal (rp_link_retry_ms (&world.link, 0), 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (it_connects_at_once_to_the_first_endpoint),
      cmocka_unit_test (failures_go_through_the_list_with_growing_pauses_between_rounds),
      cmocka_unit_test (the_pause_is_drawn_with_the_random_bits_given),
      cmocka_unit_test (a_connection_that_never_stands_is_given_up),
      cmocka_unit_test (a_silent_endpoint_of_a_list_is_left_early_and_given_longer_each_round),
      cmocka_unit_test (every_endpoint_is_tried_within_the_time_there_is),
      cmocka_unit_test (a_name_is_looked_up_and_its_addresses_tried_at_once),
      cmocka_unit_test (a_name_is_looked_up_anew_in_each_round_and_after_each_session),
      cmocka_unit_test (a_silent_address_is_left_after_its_share),
      cmocka_unit_test (the_one_address_of_the_one_name_has_all_the_time_there_is),
      cmocka_unit_test (a_name_that_is_not_found_is_a_failure_like_another),
      cmocka_unit_test (addresses_that_nobody_asked_for_change_nothing),
      cmocka_unit_test (a_greeting_without_an_answer_is_given_up_within_the_same_bound),
      cmocka_unit_test (a_welcome_nobody_waits_for_or_out_of_range_is_refused),
      cmocka_unit_test (heartbeats_go_out_an_interval_after_the_last_message),
      cmocka_unit_test (a_heartbeat_that_could_not_be_sent_is_not_asked_for_again_at_once),
      cmocka_unit_test (whoever_waits_for_nothing_announces_a_longer_interval),
      cmocka_unit_test (what_it_says_brings_the_shorter_interval_back),
      cmocka_unit_test (a_broker_that_missed_a_long_interval_has_two_short_ones),
      cmocka_unit_test (a_process_that_was_stopped_and_then_speaks_first_reads_before_it_judges),
      cmocka_unit_test (a_broker_that_has_fallen_silent_is_not_given_longer),
      cmocka_unit_test (a_heartbeat_is_answered_if_one_is_as_good_as_due),
      cmocka_unit_test (a_broker_silent_for_three_intervals_is_lost_and_the_next_tried_at_once),
      cmocka_unit_test (any_sign_of_life_counts),
      cmocka_unit_test (a_process_that_was_stopped_reads_before_it_judges),
      cmocka_unit_test (after_a_stop_the_broker_has_one_interval_more_and_no_longer),
      cmocka_unit_test (ticks_that_come_a_little_late_are_no_stop),
      cmocka_unit_test (the_first_failure_after_having_been_up_retries_at_once),
      cmocka_unit_test (a_broker_that_welcomes_and_drops_us_is_not_tried_without_pause),
      cmocka_unit_test (late_news_of_a_connection_that_is_over_changes_nothing),
      cmocka_unit_test (a_draining_broker_is_left_only_when_there_is_another),
      cmocka_unit_test (a_key_that_is_denied_is_tried_again_like_a_broker_that_is_not_there),
      cmocka_unit_test (shut_out_is_who_no_broker_of_the_list_accepts),
      cmocka_unit_test (a_session_ends_being_shut_out),
      cmocka_unit_test (of_a_name_one_address_that_denies_is_enough),
      cmocka_unit_test (news_of_a_key_after_the_end_change_nothing),
      cmocka_unit_test (refused_and_closed_are_final),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
