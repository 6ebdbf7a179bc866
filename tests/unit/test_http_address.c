/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "common/http/address.h"

static void an_address_is_numeric_or_localhost_with_a_port (void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int family;
        const char *numeric;
        uint16_t port;
        bool is_loopback;
    } good[] = {
      {"127.0.0.1:8080", AF_INET, "127.0.0.1", 8080, true},
      {"127.8.9.1:1", AF_INET, "127.8.9.1", 1, true},
      {"localhost:65535", AF_INET, "127.0.0.1", 65535, true},
      {"10.0.0.1:80", AF_INET, "10.0.0.1", 80, false},
      {"*:80", AF_INET, "0.0.0.0", 80, false},
      {"0.0.0.0:0", AF_INET, "0.0.0.0", 0, false},
      {"127.0.0.1:*", AF_INET, "127.0.0.1", 0, true},
      {"[::1]:8080", AF_INET6, "::1", 8080, true},
      {"[::]:8080", AF_INET6, "::", 8080, false},
      {"[fe80::1]:*", AF_INET6, "fe80::1", 0, false},
    };
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        rp_http_address_t address;
        const char *reason = NULL;
        char text[INET6_ADDRSTRLEN];
        assert_true (rp_http_address_parse (good[index].text, &address, &reason));
        assert_int_equal (address.any.sa_family, good[index].family);
        const void *binary = good[index].family == AF_INET ? (const void *) &address.v4.sin_addr
                                                           : (const void *) &address.v6.sin6_addr;
        assert_non_null (inet_ntop (good[index].family, binary, text, sizeof text));
        assert_string_equal (text, good[index].numeric);
        in_port_t port = good[index].family == AF_INET ? address.v4.sin_port : address.v6.sin6_port;
        assert_int_equal (ntohs (port), good[index].port);
        assert_int_equal (rp_http_address_is_loopback (&address), good[index].is_loopback);
    }
}

static void a_wrong_address_says_why (void **state)
{
    (void) state;
    static const char form[] = "wants ADDRESS:PORT, such as 127.0.0.1:5580";
    static const char port[] = "has no port; give ADDRESS:PORT, such as 127.0.0.1:5580";
    static const char host[] =
      "has no numeric address; give one of this machine, localhost, or * for all";
    static const char *const bad[][2] = {
      {"", port},
      {"127.0.0.1", port},
      {"127.0.0.1:", port},
      {"127.0.0.1:x", port},
      {"127.0.0.1:65536", port},
      {"127.0.0.1:-1", port},
      {"127.0.0.1:+1", port},
      {"127.0.0.1: 1", port},
      {"127.0.0.1:1 ", port},
      {"127.0.0.1:99999999999999999999", port},
      {"[::1]", port},
      {"[::1", form},
      {"[::1]8080", form},
      {"::1:8080", port},
      {"example.com:80", host},
      {":80", host},
      {"127.1:80", host},
      {"[127.0.0.1]x:80", form},
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        rp_http_address_t address;
        const char *reason = NULL;
        assert_false (rp_http_address_parse (bad[index][0], &address, &reason));
        assert_string_equal (reason, bad[index][1]);
    }
}

static void a_host_header_is_local_if_it_names_this_machine (void **state)
{
    (void) state;
    static const char *const local[] = {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:80",
      "127.255.0.1", "[::1]", "[::1]:80", "a.localhost", "a.b.LOCALHOST:1"};
    static const char *const others[] = {"", ":80", ".localhost", "localhost.example", "localhost.",
      "notlocalhost", "127.0.0.1.example", "128.0.0.1", "[::2]", "[::1", "[::1]x", "0.0.0.0",
      "[::]", "[::ffff:10.0.0.1]", "a@localhost@b", "1"};
    for (size_t index = 0; index < sizeof local / sizeof *local; index++)
        assert_true (rp_http_host_is_local (local[index]));
    for (size_t index = 0; index < sizeof others / sizeof *others; index++)
        assert_false (rp_http_host_is_local (others[index]));
}

static void a_host_header_may_be_an_address (void **state)
{
    (void) state;
    static const char *const addresses[] = {
      "10.0.0.1", "10.0.0.1:80", "127.0.0.1", "[2001:db8::1]:80", "[fe80::1]"};
    static const char *const others[] = {"", ":80", "localhost", "10.0.0.1.example", "10.0.0.1x",
      "10.1", "1", "0.0.0.0", "0.0.0.0:80", "[::]", "[::1", "[fe80::1%eth0]", "a@10.0.0.1"};
    for (size_t index = 0; index < sizeof addresses / sizeof *addresses; index++)
        assert_true (rp_http_host_is_address (addresses[index]));
    for (size_t index = 0; index < sizeof others / sizeof *others; index++)
        assert_false (rp_http_host_is_address (others[index]));
}

static void a_host_is_listed_if_a_whole_entry_is_its_name (void **state)
{
    (void) state;
    static const struct {
        const char *host;
        const char *list;
        bool listed;
    } rows[] = {
      {"broker.example", "broker.example", true},
      {"Broker.Example:5580", "other,broker.example", true},
      {"other", ",,other,", true},
      {"broker", "broker.example", false},
      {"broker.example.evil", "broker.example", false},
      {"example", "broker.example", false},
      {"", "", false},
      {"", ",", false},
      {":80", ",", false},
      {"a,b", "a,b", false},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        assert_int_equal (
          rp_http_host_is_listed (rows[index].host, rows[index].list), rows[index].listed);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_address_is_numeric_or_localhost_with_a_port),
      cmocka_unit_test (a_wrong_address_says_why),
      cmocka_unit_test (a_host_header_is_local_if_it_names_this_machine),
      cmocka_unit_test (a_host_header_may_be_an_address),
      cmocka_unit_test (a_host_is_listed_if_a_whole_entry_is_its_name),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
