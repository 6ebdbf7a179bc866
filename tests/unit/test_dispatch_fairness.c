/*  Clients that wait for one service take turns, however many requests each of them has waiting.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/state.h"
#include "tests/support/trace.h"

/*  Sends requests rFIRST to rLAST of one client.  */
static void s_requests (const char *client, const char *service, unsigned first, unsigned last)
{
    for (unsigned id = first; id <= last; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request (client, name, service);
    }
}

static void s_hello_clients (unsigned count)
{
    for (unsigned index = 1; index <= count; index++) {
        char name[16];
        snprintf (name, sizeof name, "c%u", index);
        hello_client (name);
    }
}

/*  ---- Turns ---------------------------------------------------------------------------------- */

static void s_a_single_request_waits_one_turn_of_a_client_that_floods (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    s_hello_clients (2);
    s_requests ("c1", "upper", 1, 2000);
    request ("c2", "r2001", "upper");
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<r2001");
    reply ("w1", "r2001", RP_OK);
    expect ("c2<r2001:OK w1<r3");
}

static void s_clients_with_different_depths_share_evenly (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    s_hello_clients (3);
    s_requests ("c1", "upper", 1, 5);
    s_requests ("c2", "upper", 6, 7);
    s_requests ("c3", "upper", 8, 10);
    credit ("w1", 10);
    expect ("w1<r1 w1<r6 w1<r8 w1<r2 w1<r7 w1<r9 w1<r3 w1<r10 w1<r4 w1<r5");
}

static void s_turns_go_on_from_one_reply_to_the_next (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    s_hello_clients (3);
    s_requests ("c1", "upper", 1, 3);
    s_requests ("c2", "upper", 4, 5);
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r1:OK w1<r2 c1<r2:OK w1<r4");
    request ("c3", "r6", "upper");
    reply ("w1", "r4", RP_OK);
    reply ("w1", "r3", RP_OK);
    reply ("w1", "r5", RP_OK);
    expect ("c2<r4:OK w1<r3 c1<r3:OK w1<r5 c2<r5:OK w1<r6");
}

static void s_a_client_whose_line_was_empty_comes_last (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    s_hello_clients (2);
    s_requests ("c1", "upper", 1, 2);
    s_requests ("c2", "upper", 3, 4);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1 c1<r1:OK w1<r2");
    request ("c1", "r5", "upper");
    reply ("w1", "r2", RP_OK);
    reply ("w1", "r3", RP_OK);
    reply ("w1", "r5", RP_OK);
    expect ("c1<r2:OK w1<r3 c2<r3:OK w1<r5 c1<r5:OK w1<r4");
}

static void s_requests_of_one_client_go_in_the_order_in_which_they_came (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    s_hello_clients (2);
    request ("c1", "r1", "upper");
    request ("c2", "r2", "upper");
    request ("c1", "r3", "upper");
    request ("c1", "r4", "upper");
    request ("c2", "r5", "upper");
    credit ("w1", 9);
    expect ("w1<r1 w1<r2 w1<r3 w1<r5 w1<r4");
}

static void s_what_opens_a_conversation_waits_its_turn (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 0);
    s_hello_clients (2);
    s_requests ("c1", "site", 1, 3);
    open_in ("c2", "r4", "site", "k1");
    next_in ("c2", "r5", "site", "k1");
    credit ("w1", 2);
    expect ("w1<r1 w1<r4");
}

/*  ---- Leaving from the middle of a queue ----------------------------------------------------- */

static void s_a_cancelled_request_leaves_its_line_wherever_it_is (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    s_hello_clients (3);
    s_requests ("c1", "upper", 1, 4);
    s_requests ("c2", "upper", 5, 6);
    request ("c3", "r7", "upper");
    cancel ("c1", "r1");
    cancel ("c1", "r3");
    cancel ("c2", "r6");
    cancel ("c3", "r7");
    expect ("c1<r1:CANCELLED c1<r3:CANCELLED c2<r6:CANCELLED c3<r7:CANCELLED");
    credit ("w1", 9);
    expect ("w1<r2 w1<r5 w1<r4");
}

static void s_an_expired_request_leaves_its_line_wherever_it_is (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    s_hello_clients (3);
    request ("c1", "r1", "upper");
    request_with ("c1", "r2", "upper", (with_t){.time_ms = 10});
    request ("c1", "r3", "upper");
    request_with ("c2", "r4", "upper", (with_t){.time_ms = 11});
    request ("c3", "r5", "upper");
    pass (20);
    expect ("c1<r2:EXPIRED c2<r4:EXPIRED");
    credit ("w1", 9);
    expect ("w1<r1 w1<r5 w1<r3");
}

static void s_a_request_that_expired_unnoticed_takes_no_turn (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    s_hello_clients (2);
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 10});
    request ("c1", "r2", "upper");
    request ("c2", "r3", "upper");
    slip (20);
    credit ("w1", 1);
    expect ("c1<r1:EXPIRED w1<r2");
}

static void s_a_client_that_goes_takes_its_line_along (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_worker ("w2", "lower", 0);
    s_hello_clients (3);
    s_requests ("c1", "upper", 1, 3);
    s_requests ("c1", "lower", 4, 6);
    s_requests ("c2", "upper", 7, 8);
    request ("c3", "r9", "lower");
    bye ("c1");
    assert_int_equal (audit ()->core->client_queues.count, 0);
    credit ("w1", 9);
    credit ("w2", 9);
    expect ("w1<r7 w1<r8 w2<r9");
}

static void s_a_client_that_was_lost_with_a_request_running_leaves_nothing_behind (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "lower", 1);
    s_hello_clients (2);
    s_requests ("c1", "upper", 1, 2);
    s_requests ("c1", "lower", 3, 4);
    unsent ("c1", NULL, true);
    tick ();
    expect ("w1<r1 w2<r3 cut:c1 w1<cancel:r1 w2<cancel:r3");
    assert_int_equal (audit ()->core->client_queues.count, 0);
    request ("c2", "r5", "upper");
    reply ("w1", "r1", RP_OK);
    expect ("w1<r5");
}

static void s_without_workers_each_line_loses_its_impatient_requests (void **state)
{
    (void) state;
    limits ()->service_linger = 100;
    hello_worker ("w1", "site", 0);
    s_hello_clients (3);
    request ("c1", "r1", "site");
    request_with ("c1", "r2", "site", (with_t){.wait_ms = 50000});
    request ("c1", "r3", "site");
    open_in ("c2", "r4", "site", "k1");
    next_in ("c2", "r5", "site", "k1");
    request_with ("c3", "r6", "site", (with_t){.wait_ms = 50000});
    bye ("w1");
    pass (100);
    expect ("c1<r1:NO_WORKER c1<r3:NO_WORKER c2<r4:NO_WORKER c2<r5:NO_WORKER");
    hello_worker ("w2", "site", 9);
    expect ("w2<r2 w2<r6");
}

static void s_a_drain_ends_what_waits_in_every_line (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_worker ("w2", "lower", 0);
    s_hello_clients (2);
    request ("c1", "r1", "upper");
    request ("c1", "r2", "lower");
    request ("c2", "r3", "upper");
    drain_broker ();
    expect ("w1<drain w2<drain c1<drain c2<drain c1<r1:DRAINING c1<r2:DRAINING c2<r3:DRAINING");
    assert_int_equal (audit ()->core->client_queues.count, 0);
}

/*  ---- Redelivery ----------------------------------------------------------------------------- */

static void s_a_redelivered_request_is_its_clients_next (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 2);
    s_hello_clients (2);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request_with ("c1", "r2", "upper", (with_t){.attempts = 2});
    s_requests ("c1", "upper", 3, 4);
    s_requests ("c2", "upper", 5, 6);
    bye ("w1");
    hello_worker ("w2", "upper", 9);
    expect ("w1<r1 w1<r2 w2<r1#2 w2<r5 w2<r2#2 w2<r6 w2<r3 w2<r4");
}

static void s_a_redelivered_request_goes_before_others_if_its_client_waits_for_nothing_else (
  void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 2);
    s_hello_clients (4);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request_with ("c2", "r2", "upper", (with_t){.attempts = 2});
    s_requests ("c3", "upper", 3, 4);
    request ("c4", "r5", "upper");
    bye ("w1");
    hello_worker ("w2", "upper", 9);
    expect ("w1<r1 w1<r2 w2<r1#2 w2<r2#2 w2<r3 w2<r5 w2<r4");
}

static void s_a_delivery_that_never_left_is_its_clients_next (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    s_hello_clients (2);
    s_requests ("c1", "upper", 1, 2);
    s_requests ("c2", "upper", 3, 4);
    unsent ("w1", "r1", false);
    tick ();
    hello_worker ("w2", "upper", 9);
    expect ("w1<r1 w2<r1 w2<r3 w2<r2 w2<r4");
}

static void s_a_flood_of_requests_that_break_their_worker_keeps_nobody_waiting (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    s_hello_clients (2);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 10});
    request_with ("c1", "r2", "upper", (with_t){.attempts = 10});
    request_with ("c1", "r3", "upper", (with_t){.attempts = 10});
    request ("c2", "r4", "upper");
    reply ("w1", "r1", RP_WORKER_LOST);
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 w1<r1#2 w1<r4");
    reply ("w1", "r4", RP_OK);
    expect ("c2<r4:OK w1<r1#3");
}

/*  ---- Several services ----------------------------------------------------------------------- */

static void s_each_service_has_turns_of_its_own (void **state)
{
    (void) state;
    static const char *const services[] = {"a", "b", "c", "d"};
    hello_worker ("w1", "a", 0);
    hello_worker ("w2", "b", 0);
    hello_worker ("w3", "c", 0);
    hello_worker ("w4", "d", 0);
    s_hello_clients (2);
    for (unsigned index = 0; index < 4; index++) {
        s_requests ("c1", services[index], 10 * index + 1, 10 * index + 3);
        s_requests ("c2", services[index], 10 * index + 5, 10 * index + 6);
    }
    // Eight pairs of client and service, less two: each client's first queue lies in its session.
    assert_int_equal (audit ()->core->client_queues.count, 6);
    credit ("w2", 9);
    expect ("w2<r11 w2<r15 w2<r12 w2<r16 w2<r13");
    credit ("w4", 3);
    expect ("w4<r31 w4<r35 w4<r32");
    credit ("w1", 2);
    expect ("w1<r1 w1<r5");
    credit ("w3", 5);
    expect ("w3<r21 w3<r25 w3<r22 w3<r26 w3<r23");
}

static void s_a_client_may_wait_for_very_many_services (void **state)
{
    (void) state;
    s_hello_clients (2);
    for (unsigned index = 1; index <= 500; index++) {
        char name[16], service[16];
        snprintf (service, sizeof service, "s%u", index);
        snprintf (name, sizeof name, "r%u", index);
        request_with ("c1", name, service, (with_t){.wait_ms = 1000});
        snprintf (name, sizeof name, "r%u", index + 500);
        request_with ("c1", name, service, (with_t){.wait_ms = 1000});
        snprintf (name, sizeof name, "r%u", index + 1000);
        request_with ("c2", name, service, (with_t){.wait_ms = 1000});
    }
    assert_int_equal (audit ()->core->client_queues.count, 998);
    hello_worker ("w1", "s1", 9);
    hello_worker ("w2", "s250", 9);
    hello_worker ("w3", "s500", 9);
    expect ("w1<r1 w1<r1001 w1<r501 w2<r250 w2<r1250 w2<r750 w3<r500 w3<r1500 w3<r1000");
    bye ("c1");
    bye ("c2");
    assert_int_equal (audit ()->core->client_queues.count, 0);
}

static void s_lines_do_not_outlive_their_requests (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "lower", 1);
    s_hello_clients (1);
    request ("c1", "r1", "upper");
    s_requests ("c1", "lower", 2, 3);
    assert_int_equal (audit ()->core->client_queues.count, 1);
    reply ("w2", "r2", RP_OK);
    reply ("w2", "r3", RP_OK);
    assert_int_equal (audit ()->core->client_queues.count, 0);
    reply ("w1", "r1", RP_OK);
    request ("c1", "r4", "lower");
    assert_int_equal (audit ()->core->client_queues.count, 0);
    expect ("w1<r1 w2<r2 c1<r2:OK w2<r3 c1<r3:OK c1<r1:OK w2<r4");
}

static void s_out_of_memory_for_a_line_is_busy_and_harms_nobody (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "lower", 1);
    s_hello_clients (2);
    audit ()->core->client_queues.limit = 0;
    s_requests ("c1", "upper", 1, 2);
    request ("c1", "r3", "lower");
    expect ("w1<r1 c1<r3:BUSY");
    assert_true (answer_says ("r3", "out of memory"));
    request ("c2", "r3", "lower");
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r2", RP_OK);
    request ("c1", "r3", "lower");
    reply ("w2", "r3", RP_OK);
    expect ("w2<r3 c1<r1:OK w1<r2 c1<r2:OK c2<r3:OK w2<r3");
}

static void s_note_oldest (const rp_service_info_t *info, void *arg)
{
    *(int64_t *) arg = info->oldest_us;
}

static void s_the_oldest_of_all_lines_is_the_one_that_people_see (void **state)
{
    (void) state;
    int64_t oldest = -1;
    hello_worker ("w1", "upper", 0);
    s_hello_clients (2);
    rp_dispatch_each_service (audit ()->core, audit ()->now, s_note_oldest, &oldest);
    assert_int_equal (oldest, 0);
    s_requests ("c1", "upper", 1, 2);
    pass (5);
    request ("c2", "r3", "upper");
    credit ("w1", 1); // now it is c2's turn
    expect ("w1<r1");
    pass (3);
    rp_dispatch_each_service (audit ()->core, audit ()->now, s_note_oldest, &oldest);
    assert_int_equal (oldest, 8000);
}

/*  ---- Random events -------------------------------------------------------------------------- */

#define S_EVENTS 100000u

typedef struct {
    audit_t audit;
    uint64_t random;
    uint64_t id;
} s_storm_t;

static void s_fail (const char *text)
{
    fail_msg ("%s", text);
}

static unsigned s_draw (s_storm_t *self, unsigned below)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (unsigned) (self->random >> 33) % below;
}

static rp_list_node_t *s_draw_node (s_storm_t *self, const rp_list_t *list)
{
    unsigned count = 0;
    rp_list_node_t *node;
    for (node = rp_list_first (list); node; node = rp_list_next (list, node))
        count++;
    if (count == 0)
        return NULL;
    node = rp_list_first (list);
    for (unsigned skip = s_draw (self, count); skip > 0; skip--)
        node = rp_list_next (list, node);
    return node;
}

/*  Draws a client or a worker; returns no session if none is found in a few tries.  */
static rp_session_id_t s_draw_peer (s_storm_t *self, bool worker)
{
    for (unsigned tries = 0; tries < 8; tries++) {
        rp_list_node_t *node = s_draw_node (self, &self->audit.peers);
        if (node && RP_CONTAINER (node, audit_peer_t, node)->worker == worker)
            return RP_CONTAINER (node, audit_peer_t, node)->id;
    }
    return (rp_session_id_t){0};
}

static const char *const s_services[] = {"a", "b", "c"};

static void s_storm_hello (s_storm_t *self, bool worker)
{
    rp_head_t head = {.command = RP_COMMAND_HELLO, .interval_ms = 60000};
    if (worker) {
        head.flags = RP_FLAG_WORKER;
        head.window = s_draw (self, 4);
        head.name = s_services[s_draw (self, 3)];
        head.name_size = 1;
    }
    audit_message (&self->audit, (rp_session_id_t){0}, &head, 0, false);
}

static void s_storm_request (s_storm_t *self)
{
    static const unsigned times[] = {5, 50, 60000, 60000, 60000};
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = ++self->id,
      .conversation = s_draw (self, 8) ? 0 : 1 + s_draw (self, 3),
      .deadline_ms = times[s_draw (self, 5)],
      .wait_ms = s_draw (self, 3) ? 1000 : 0,
      .attempts = (uint8_t) (1 + s_draw (self, 3)),
      .name = s_services[s_draw (self, 3)],
      .name_size = 1};
    head.flags = head.conversation ? RP_FLAG_OPEN : 0;
    audit_message (&self->audit, s_draw_peer (self, false), &head, 10, false);
}

static void s_storm_reply (s_storm_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    if (!node)
        return;
    const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = delivery->token.v};
    head.status = s_draw (self, 5) ? RP_OK : RP_WORKER_LOST;
    audit_message (&self->audit, delivery->worker->id, &head, 10, false);
}

static void s_storm_cancel (s_storm_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.requests);
    if (!node)
        return;
    const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = request->id};
    audit_message (&self->audit, request->client->id, &head, 0, false);
}

static void s_storm_unsent (s_storm_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    if (!node)
        return;
    audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
    audit_unsent (&self->audit, delivery->worker->id, delivery, false);
    audit_tick (&self->audit, self->audit.now);
}

static void s_storm_step (s_storm_t *self)
{
    unsigned kind = s_draw (self, 100);
    rp_head_t head = {.command = kind < 92 ? RP_COMMAND_CREDIT : RP_COMMAND_BYE};
    if (kind < 42) {
        s_storm_request (self);
    }
    else if (kind < 74) {
        s_storm_reply (self);
    }
    else if (kind < 80) {
        s_storm_cancel (self);
    }
    else if (kind < 84) {
        audit_pass (&self->audit, self->audit.now + s_draw (self, 20000));
    }
    else if (kind < 86) {
        self->audit.now += s_draw (self, 20000);
    }
    else if (kind < 92) {
        head.window = s_draw (self, 5);
        head.takes_us = s_draw (self, 3) * s_draw (self, 70);
        audit_message (&self->audit, s_draw_peer (self, true), &head, 0, false);
    }
    else if (kind < 94) {
        audit_message (&self->audit, s_draw_peer (self, kind == 92), &head, 0, false);
    }
    else if (kind < 95) {
        s_storm_unsent (self);
    }
    else {
        s_storm_hello (self, s_draw (self, 2));
    }
}

static void s_any_sequence_of_events_keeps_lines_and_turns (void **state)
{
    (void) state;
    static s_storm_t storm;
    storm = (s_storm_t){.random = 0x9e3779b97f4a7c15u};
    rp_limits_t limits = RP_LIMITS_DEFAULT;
    limits.max_clients = 6;
    limits.max_workers = 5;
    limits.client_open = 24;
    limits.rejoin_grace = 0;
    limits.service_linger = 20;
    limits.conversation_idle = 200;
    rp_rules_t *rules = NULL;
    audit_init (&storm.audit, &limits, &rules, 1000000000, s_fail);
    for (unsigned event = 0; event < S_EVENTS; event++)
        s_storm_step (&storm);
    const rp_stats_t *stats = rp_dispatch_stats (storm.audit.core);
    assert_true (storm.audit.turns > S_EVENTS / 10 && stats->redeliveries > 1000);
    assert_true (stats->final[RP_CANCELLED] > 1000 && stats->final[RP_EXPIRED] > 1000);
    audit_clear (&storm.audit);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_single_request_waits_one_turn_of_a_client_that_floods),
      S_TEST (s_clients_with_different_depths_share_evenly),
      S_TEST (s_turns_go_on_from_one_reply_to_the_next),
      S_TEST (s_a_client_whose_line_was_empty_comes_last),
      S_TEST (s_requests_of_one_client_go_in_the_order_in_which_they_came),
      S_TEST (s_what_opens_a_conversation_waits_its_turn),
      S_TEST (s_a_cancelled_request_leaves_its_line_wherever_it_is),
      S_TEST (s_an_expired_request_leaves_its_line_wherever_it_is),
      S_TEST (s_a_request_that_expired_unnoticed_takes_no_turn),
      S_TEST (s_a_client_that_goes_takes_its_line_along),
      S_TEST (s_a_client_that_was_lost_with_a_request_running_leaves_nothing_behind),
      S_TEST (s_without_workers_each_line_loses_its_impatient_requests),
      S_TEST (s_a_drain_ends_what_waits_in_every_line),
      S_TEST (s_a_redelivered_request_is_its_clients_next),
      S_TEST (s_a_redelivered_request_goes_before_others_if_its_client_waits_for_nothing_else),
      S_TEST (s_a_delivery_that_never_left_is_its_clients_next),
      S_TEST (s_a_flood_of_requests_that_break_their_worker_keeps_nobody_waiting),
      S_TEST (s_each_service_has_turns_of_its_own),
      S_TEST (s_a_client_may_wait_for_very_many_services),
      S_TEST (s_lines_do_not_outlive_their_requests),
      S_TEST (s_out_of_memory_for_a_line_is_busy_and_harms_nobody),
      S_TEST (s_the_oldest_of_all_lines_is_the_one_that_people_see),
      cmocka_unit_test (s_any_sequence_of_events_keeps_lines_and_turns),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
