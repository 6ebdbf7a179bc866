/*  Weights: clients that always have requests waiting get work in proportion, however long their requests are.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/share.h"
#include "broker/core/state.h"
#include "tests/support/trace.h"

#define S_CLIENTS 10u
/*  Names of a client's requests begin with its number.  */
#define S_EACH 100000u

typedef struct {
    unsigned weight;  /* 0: the rules state none */
    unsigned takes;   /* ms */
    unsigned waiting; /* requests, all the time */
    unsigned asked;
    unsigned started;
    unsigned worked; /* ms */
} s_client_t;

static void s_ask (s_client_t *clients, unsigned client)
{
    char peer[16], name[16];
    snprintf (peer, sizeof peer, "c%u", client);
    snprintf (name, sizeof name, "r%u", client * S_EACH + ++clients[client].asked);
    request_with (peer, name, "upper", (with_t){.time_ms = 3600000});
}

/*  Begins with a client of each principal, all of whose requests wait for a worker without room.  */
static void s_begin (s_client_t *clients, unsigned count)
{
    char text[2048] = "principal = worker\n    serve = upper\n", principal[16], name[16];
    for (unsigned client = 1; client <= count; client++) {
        size_t used = strlen (text);
        snprintf (text + used, sizeof text - used, "principal = p%u\n    call = upper\n", client);
        used = strlen (text);
        if (clients[client].weight)
            snprintf (text + used, sizeof text - used, "    weight = %u\n", clients[client].weight);
    }
    rules (text);
    as ("worker");
    hello_worker ("w1", "upper", 0);
    for (unsigned client = 1; client <= count; client++) {
        snprintf (principal, sizeof principal, "p%u", client);
        as (principal);
        snprintf (name, sizeof name, "c%u", client);
        hello_client (name);
    }
    for (unsigned client = 1; client <= count; client++)
        for (unsigned waiting = 0; waiting < clients[client].waiting; waiting++)
            s_ask (clients, client);
}

/*  The worker takes one request after the other for so many ms, and each client sends another one for one that
    starts.  */
static void s_work (s_client_t *clients, unsigned count, unsigned ms)
{
    credit ("w1", 1);
    int64_t until = audit ()->now + (int64_t) ms * 1000;
    while (audit ()->now < until) {
        const audit_delivery_t *delivery =
          RP_CONTAINER (rp_list_first (&audit ()->deliveries), audit_delivery_t, node);
        unsigned client = (unsigned) (delivery->request->id / S_EACH);
        char name[16];
        snprintf (name, sizeof name, "r%u", (unsigned) delivery->request->id);
        assert_true (client >= 1 && client <= count);
        clients[client].started++;
        clients[client].worked += clients[client].takes;
        s_ask (clients, client);
        pass (clients[client].takes);
        reply ("w1", name, RP_OK);
        forget ();
    }
}

static void s_assert_near (double value, double expected, double share)
{
    if (value < expected * (1 - share) || value > expected * (1 + share))
        fail_msg ("%g, and %g is expected", value, expected);
}

static void s_ten_clients_get_shares_by_their_weights (void **state)
{
    (void) state;
    s_client_t clients[S_CLIENTS + 1] = {0};
    for (unsigned client = 1; client <= S_CLIENTS; client++)
        clients[client] = (s_client_t){.weight = client, .takes = 10, .waiting = 20};
    s_begin (clients, S_CLIENTS);
    s_work (clients, S_CLIENTS, 8000);
    for (unsigned client = 1; client <= S_CLIENTS; client++)
        s_assert_near (clients[client].worked, 8000.0 * client / 55, 0.05);
}

/*  Without keys all clients have one principal.  */
static void s_clients_of_one_principal_get_shares_by_their_names (void **state)
{
    (void) state;
    s_client_t clients[4] = {{0}, {.takes = 10, .waiting = 20}, {.takes = 10, .waiting = 20},
      {.takes = 10, .waiting = 20}};
    rules ("principal = anonymous\n    serve = upper\n    call = upper\n"
           "client = c1\n    weight = 5\nclient = c2*\n    weight = 4\n");
    as ("anonymous");
    hello_worker ("w1", "upper", 0);
    static const char *const names[] = {NULL, "c1", "c2", "c3"};
    for (unsigned client = 1; client <= 3; client++) {
        hello_client (names[client]);
        for (unsigned waiting = 0; waiting < clients[client].waiting; waiting++)
            s_ask (clients, client);
    }
    s_work (clients, 3, 8000);
    s_assert_near (clients[1].worked, 4000, 0.05);
    s_assert_near (clients[2].worked, 3200, 0.05);
    s_assert_near (clients[3].worked, 800, 0.05);
}

static void s_long_requests_take_no_more_than_short_ones (void **state)
{
    (void) state;
    s_client_t clients[3] = {
      {0}, {.weight = 1, .takes = 500, .waiting = 3}, {.weight = 1, .takes = 10, .waiting = 100}};
    s_begin (clients, 2);
    s_work (clients, 2, 10000); // what they take has to be learned
    clients[1].worked = clients[2].worked = 0;
    s_work (clients, 2, 40000);
    s_assert_near (clients[1].worked, 20000, 0.05);
    s_assert_near (clients[2].worked, 20000, 0.05);
}

static void s_weights_and_work_hold_together (void **state)
{
    (void) state;
    s_client_t clients[4] = {{0}, {.weight = 3, .takes = 100, .waiting = 20},
      {.weight = 1, .takes = 20, .waiting = 20}, {.weight = 2, .takes = 50, .waiting = 20}};
    s_begin (clients, 3);
    s_work (clients, 3, 5000);
    clients[1].worked = clients[2].worked = clients[3].worked = 0;
    s_work (clients, 3, 60000);
    for (unsigned client = 1; client <= 3; client++)
        s_assert_near (clients[client].worked, 10000.0 * clients[client].weight, 0.05);
}

static void s_without_weights_clients_take_turns (void **state)
{
    (void) state;
    s_client_t clients[3] = {{0}, {.takes = 100, .waiting = 20}, {.takes = 10, .waiting = 20}};
    s_begin (clients, 2);
    s_work (clients, 2, 5000);
    s_assert_near (clients[1].started, clients[2].started, 0.05);
}

static void s_a_stated_weight_of_1_is_enough_for_turns_by_work (void **state)
{
    (void) state;
    s_client_t clients[3] = {
      {0}, {.weight = 1, .takes = 100, .waiting = 20}, {.takes = 10, .waiting = 30}};
    s_begin (clients, 2);
    s_work (clients, 2, 5000);
    clients[1].worked = clients[2].worked = 0;
    s_work (clients, 2, 20000);
    s_assert_near (clients[1].worked, clients[2].worked, 0.05);
}

/*  Whoever would have to save for its request is not kept waiting for nobody.  */
static void s_who_is_alone_starts_at_once (void **state)
{
    (void) state;
    s_client_t clients[3] = {
      {0}, {.weight = 1, .takes = 2000, .waiting = 2}, {.weight = 100, .takes = 10, .waiting = 40}};
    s_begin (clients, 2);
    s_work (clients, 2, 8000);
    while (!rp_list_is_empty (&audit ()->deliveries)) { // nobody asks any more
        const audit_delivery_t *delivery =
          RP_CONTAINER (rp_list_first (&audit ()->deliveries), audit_delivery_t, node);
        char name[16];
        snprintf (name, sizeof name, "r%u", (unsigned) delivery->request->id);
        reply ("w1", name, RP_OK);
    }
    assert_int_equal (stats ()->waiting, 0);
    forget ();
}

static void s_priorities_come_before_weights (void **state)
{
    (void) state;
    rules ("principal = worker\n    serve = upper\n"
           "principal = ada\n    call = upper\n    weight = 100\n"
           "principal = bob\n    call = upper\n");
    as ("worker");
    hello_worker ("w1", "upper", 0);
    as ("ada");
    hello_client ("c1");
    as ("bob");
    hello_client ("c2");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request_with ("c2", "r3", "upper", (with_t){.priority = 9});
    credit ("w1", 3);
    expect ("w1<r3 w1<r1 w1<r2");
}

static void s_a_turn_of_weight_2_is_two_requests (void **state)
{
    (void) state;
    const char *with =
      "principal = anonymous\n    call = upper\n    serve = upper\n    weight = 2\n";
    rules (with);
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    hello_client ("c2");
    for (unsigned id = 1; id <= 8; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request (id % 2 ? "c1" : "c2", name, "upper");
    }
    credit ("w1", 4);
    expect ("w1<r1 w1<r3 w1<r2 w1<r4");
    rules ("principal = anonymous\n    call = upper\n    serve = upper\n"); // from now on
    credit ("w1", 8);
    expect ("w1<r5 w1<r6 w1<r7 w1<r8");
}

static void s_a_mean_follows_what_is_measured (void **state)
{
    (void) state;
    uint32_t mean = 0;
    rp_share_learn (&mean, 800);
    assert_int_equal (mean, 800);
    rp_share_learn (&mean, 0);
    assert_int_equal (mean, 700);
    for (unsigned times = 0; times < 100; times++)
        rp_share_learn (&mean, 5000);
    s_assert_near (mean, 5000, 0.01);
    for (unsigned times = 0; times < 200; times++)
        rp_share_learn (&mean, 0);
    assert_true (mean > 0); // 0 is: not known
}

int main (void)
{
#define T(name) cmocka_unit_test_setup_teardown (s_##name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      T (ten_clients_get_shares_by_their_weights),
      T (clients_of_one_principal_get_shares_by_their_names),
      T (long_requests_take_no_more_than_short_ones),
      T (weights_and_work_hold_together),
      T (without_weights_clients_take_turns),
      T (a_stated_weight_of_1_is_enough_for_turns_by_work),
      T (who_is_alone_starts_at_once),
      T (priorities_come_before_weights),
      T (a_turn_of_weight_2_is_two_requests),
      T (a_mean_follows_what_is_measured),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
