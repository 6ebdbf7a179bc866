/*  Faults that a hostile review of the core found; each test failed before the fix.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/headers.h"
#include "tests/support/trace.h"

/*  ---- The end of a service's linger ---------------------------------------------------------- */

static void s_without_a_linger_what_waits_ends_when_the_last_worker_leaves (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    bye ("w1");
    pass (1);
    expect ("w1<r1 c1<r1:WORKER_LOST c1<r2:NO_WORKER");
    assert_int_equal (counts ().services, 0);
}

static void s_what_happens_just_when_the_linger_ends_does_not_prolong_it (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    bye ("w1");
    cancel ("c1", "r2"); // schedules the service again, before the next tick
    pass (1);
    expect ("c1<r2:CANCELLED c1<r1:NO_WORKER");
}

/*  ---- Conversations that share a worker ------------------------------------------------------ */

static void s_a_long_line_of_one_conversation_does_not_starve_another (void **state)
{
    (void) state;
    hello_worker ("w1", "shop", 1);
    hello_client ("c1");
    hello_client ("c2");
    open_in ("c1", "r1", "shop", "k1");
    reply ("w1", "r1", RP_OK);
    open_in ("c2", "r2", "shop", "k2");
    reply ("w1", "r2", RP_OK);
    expect ("w1<r1 c1<r1:OK w1<r2 c2<r2:OK");

    next_in ("c1", "r3", "shop", "k1");
    next_in ("c1", "r4", "shop", "k1");
    next_in ("c1", "r5", "shop", "k1");
    next_in ("c2", "r6", "shop", "k2");
    expect ("w1<r3");
    reply ("w1", "r3", RP_OK);
    expect ("c1<r3:OK w1<r6");
    reply ("w1", "r6", RP_OK);
    expect ("c2<r6:OK w1<r4");
    reply ("w1", "r4", RP_OK);
    expect ("c1<r4:OK w1<r5");
}

/*  ---- Bytes ---------------------------------------------------------------------------------- */

static void s_headers_count_for_the_limits_of_bytes (void **state)
{
    (void) state;
    limits ()->service_queue_bytes = 1024;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    static uint8_t block[1100];
    static char value[1001];
    memset (value, 'v', sizeof value - 1);
    size_t used = 0;
    assert_true (rp_headers_append (block, &used, sizeof block, "k", value));
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 1,
      .deadline_ms = 1000,
      .attempts = 1,
      .name = "upper",
      .name_size = 5,
      .headers = block,
      .headers_size = (uint16_t) used};
    message ("c1", &head, 0);
    assert_int_equal (stats ()->open_bytes, used);
    expect (NOTHING);
    head.id = 2;
    message ("c1", &head, 0);
    assert_int_equal (stats ()->final[RP_BUSY], 1);
    assert_int_equal (stats ()->waiting_bytes, used);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_without_a_linger_what_waits_ends_when_the_last_worker_leaves),
      S_TEST (s_what_happens_just_when_the_linger_ends_does_not_prolong_it),
      S_TEST (s_a_long_line_of_one_conversation_does_not_starve_another),
      S_TEST (s_headers_count_for_the_limits_of_bytes),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
