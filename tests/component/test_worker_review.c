/*  Faults that a hostile review of the worker library found.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <riposte/worker.h>

#include "tests/support/fake_broker.h"

enum { PATIENCE_MS = 10000 };

static void an_endpoint_that_nobody_can_connect_to_is_refused (void **state)
{
    (void) state;
    const char *const wrong[] = {"tcp://*:5555", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*"};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        errno = 0;
        assert_null (rp_worker_new (wrong[index], "upper"));
        assert_int_equal (errno, EINVAL);
    }
}

static void misuse_is_refused_and_the_task_can_still_be_answered (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = rp_worker_new (broker->endpoint, "upper");
    assert_non_null (worker);
    assert_int_equal (rp_worker_set_name (worker, NULL), RP_USAGE);
    rp_task_t *task = NULL;
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome (broker, 1);
    fake_broker_request (broker, 7, "x");
    assert_int_equal (rp_worker_receive (worker, PATIENCE_MS, &task), RP_OK);

    assert_int_equal (rp_task_add_header (task, NULL, "x"), RP_USAGE);
    assert_int_equal (rp_task_add_header (task, "x", NULL), RP_USAGE);
    assert_int_equal (rp_task_reply (&task, NULL, 1), RP_USAGE);
    assert_non_null (task);
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    fake_broker_expect_reply (broker, 7, RP_OK);
    assert_null (task);
    assert_int_equal (rp_task_reply (&task, "again", 5), RP_USAGE);
    assert_int_equal (rp_task_abandon (&task, "again"), RP_USAGE);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_endpoint_that_nobody_can_connect_to_is_refused),
      cmocka_unit_test (misuse_is_refused_and_the_task_can_still_be_answered),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
