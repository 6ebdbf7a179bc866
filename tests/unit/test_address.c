/*  SPDX-License-Identifier: MPL-2.0

    Endpoints with host names: which hosts are names, and the endpoints that the addresses of a name
    give.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/address.h"

static void an_address_a_path_and_a_star_are_no_names (void **state)
{
    (void) state;
    static const struct {
        const char *endpoint;
        bool name;
    } cases[] = {
      {"tcp://localhost:5555", true},
      {"tcp://broker.example.org:5555", true},
      {"tcp://10-0-0-1.example.org:5555", true},
      {"tcp://eth0:5555", true},
      {"tcp://127.1:5555", true}, // the system's resolver reads it
      {"tcp://1.2.3.4.5:5555", true},
      {"tcp://1.2.3.256:5555", true},
      {"tcp://1.2..4:5555", true},
      {"tcp://1.2.3.:5555", true},
      {"tcp://127.0.0.1:5555", false},
      {"tcp://255.255.255.255:1", false},
      {"tcp://[::1]:5555", false},
      {"tcp://[fe80::1%eth0]:5555", false},
      {"tcp://*:5555", false},
      {"tcp://*:*", false},
      {"ipc:///run/riposte.sock", false},
      {"ipc://@riposte", false},
      {"srv:_riposte._tcp.example.org", true},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++)
        if (rp_address_is_name (cases[index].endpoint) != cases[index].name)
            fail_msg ("%s", cases[index].endpoint);
}

static void the_host_lies_between_the_scheme_and_the_port (void **state)
{
    (void) state;
    size_t size;
    const char *host = rp_address_host ("tcp://broker.example.org:5555", &size);
    assert_int_equal (size, strlen ("broker.example.org"));
    assert_memory_equal (host, "broker.example.org", size);
}

static void an_address_gets_the_port_and_brackets_if_it_has_colons (void **state)
{
    (void) state;
    rp_addresses_t addresses = {0};
    rp_addresses_add (&addresses, "tcp://broker:5555", "fe80::1%eth0");
    rp_addresses_add (&addresses, "tcp://broker:5555", "10.0.0.1");
    rp_addresses_add (&addresses, "tcp://broker:*", "10.0.0.1");
    assert_int_equal (addresses.count, 3);
    assert_string_equal (addresses.endpoints[0], "tcp://[fe80::1%eth0]:5555");
    assert_string_equal (addresses.endpoints[1], "tcp://10.0.0.1:5555");
    assert_string_equal (addresses.endpoints[2], "tcp://10.0.0.1:*");
}

static void the_same_address_twice_is_one (void **state)
{
    (void) state;
    rp_addresses_t addresses = {0};
    rp_addresses_add (&addresses, "tcp://localhost:5555", "127.0.0.1");
    rp_addresses_add (&addresses, "tcp://localhost:5555", "::1");
    rp_addresses_add (&addresses, "tcp://localhost:5555", "127.0.0.1");
    assert_int_equal (addresses.count, 2);
}

static void what_is_too_long_or_too_many_is_left_out (void **state)
{
    (void) state;
    rp_addresses_t addresses = {0};
    char text[RP_ADDRESS_MAX + 1];
    memset (text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rp_addresses_add (&addresses, "tcp://broker:5555", text);
    assert_int_equal (addresses.count, 0);
    for (unsigned number = 0; number < RP_ADDRESSES_MAX + 5; number++) {
        snprintf (text, sizeof text, "10.0.0.%u", number);
        rp_addresses_add (&addresses, "tcp://broker:5555", text);
    }
    assert_int_equal (addresses.count, RP_ADDRESSES_MAX);
    assert_string_equal (addresses.endpoints[RP_ADDRESSES_MAX - 1], "tcp://10.0.0.15:5555");
}

static void ipv4_goes_first_and_the_order_stays_otherwise (void **state)
{
    (void) state;
    rp_addresses_t addresses = {0};
    rp_addresses_add (&addresses, "tcp://broker:1", "::1");
    rp_addresses_add (&addresses, "tcp://broker:1", "10.0.0.2");
    rp_addresses_add (&addresses, "tcp://broker:1", "::2");
    rp_addresses_add (&addresses, "tcp://broker:1", "10.0.0.1");
    rp_addresses_ipv4_first (&addresses);
    assert_int_equal (addresses.count, 4);
    assert_string_equal (addresses.endpoints[0], "tcp://10.0.0.2:1");
    assert_string_equal (addresses.endpoints[1], "tcp://10.0.0.1:1");
    assert_string_equal (addresses.endpoints[2], "tcp://[::1]:1");
    assert_string_equal (addresses.endpoints[3], "tcp://[::2]:1");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_address_a_path_and_a_star_are_no_names),
      cmocka_unit_test (the_host_lies_between_the_scheme_and_the_port),
      cmocka_unit_test (an_address_gets_the_port_and_brackets_if_it_has_colons),
      cmocka_unit_test (the_same_address_twice_is_one),
      cmocka_unit_test (what_is_too_long_or_too_many_is_left_out),
      cmocka_unit_test (ipv4_goes_first_and_the_order_stays_otherwise),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
