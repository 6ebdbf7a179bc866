/*  SPDX-License-Identifier: MPL-2.0

    Clients that spread: each tries the brokers of its list in an order of its own, and the addresses of a
    name likewise. Each client here has another seed, so what comes out is the same each time.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client/client_core.h"

enum { CLIENTS = 300, BROKERS = 3 };

static const char *const s_list[BROKERS] = {
  "tcp://10.0.0.1:1", "tcp://10.0.0.2:1", "tcp://10.0.0.3:1"};

typedef struct {
    const char *list[BROKERS];
    rp_client_core_t core;
    int64_t now;
} s_client_t;

static void s_begin (s_client_t *self, size_t count, bool spread, uint64_t seed)
{
    memcpy (self->list, s_list, sizeof s_list);
    const rp_client_config_t config = {.endpoints = self->list,
      .endpoint_count = count,
      .spread = spread,
      .heartbeat_ms = 2000,
      .max_open = 1};
    rp_client_core_init (&self->core, &config, seed);
    self->now = 1000000;
    rp_client_core_start (&self->core, self->now);
}

/*  Returns what the client connects to next.  */
static const char *s_opens (s_client_t *self)
{
    rp_client_order_t order = {0};
    rp_client_core_tick (&self->core, self->now);
    while (rp_client_core_next_order (&self->core, &order, self->now))
        if (order.kind == RP_CLIENT_OPEN)
            return order.endpoint;
    fail_msg ("it does not connect");
    return NULL;
}

/*  Returns the number of an endpoint in the list.  */
static int s_number (const char *endpoint)
{
    return endpoint[strlen ("tcp://10.0.0.")] - '1';
}

static void s_assert_shared (const int counts[BROKERS])
{
    for (int broker = 0; broker < BROKERS; broker++) {
        assert_true (counts[broker] >= CLIENTS / 5);
        assert_true (counts[broker] <= CLIENTS / 2);
    }
}

static void clients_share_the_brokers_and_those_of_a_lost_one_share_the_others (void **state)
{
    (void) state;
    int first[BROKERS] = {0}, then[BROKERS] = {0};
    for (uint64_t seed = 1; seed <= CLIENTS; seed++) {
        s_client_t client;
        s_begin (&client, BROKERS, true, seed);
        int number = s_number (s_opens (&client));
        first[number]++;
        rp_client_core_failed (&client.core, "it is lost", client.now);
        int next = s_number (s_opens (&client));
        if (number == 0)
            then[next]++;
        rp_client_core_failed (&client.core, "so is that", client.now);
        assert_int_equal (number + next + s_number (s_opens (&client)), 0 + 1 + 2);
        rp_client_core_clear (&client.core);
    }
    s_assert_shared (first);
    assert_int_equal (then[0], 0);
    assert_true (then[1] > first[0] / 4 && then[2] > first[0] / 4);
}

static void clients_share_the_addresses_of_a_name (void **state)
{
    (void) state;
    rp_addresses_t found = {0};
    for (int broker = 0; broker < BROKERS; broker++)
        strcpy (found.endpoints[found.count++], s_list[broker]);
    int counts[BROKERS] = {0};
    for (uint64_t seed = 1; seed <= CLIENTS; seed++) {
        s_client_t client;
        s_begin (&client, 1, true, seed);
        client.list[0] = "tcp://brokers:1";
        assert_string_equal (s_opens (&client), "tcp://brokers:1");
        rp_client_core_found (&client.core, &found, client.now);
        counts[s_number (s_opens (&client))]++;
        rp_client_core_clear (&client.core);
    }
    s_assert_shared (counts);
}

static void a_client_that_does_not_spread_begins_with_the_first (void **state)
{
    (void) state;
    for (uint64_t seed = 1; seed <= CLIENTS; seed++) {
        s_client_t client;
        s_begin (&client, BROKERS, false, seed);
        for (int broker = 0; broker < BROKERS; broker++) {
            assert_int_equal (s_number (s_opens (&client)), broker);
            rp_client_core_failed (&client.core, "it is lost", client.now);
        }
        rp_client_core_clear (&client.core);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (clients_share_the_brokers_and_those_of_a_lost_one_share_the_others),
      cmocka_unit_test (clients_share_the_addresses_of_a_name),
      cmocka_unit_test (a_client_that_does_not_spread_begins_with_the_first),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
