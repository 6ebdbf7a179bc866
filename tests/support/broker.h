/*  A real broker in a thread of the test, on a free port.

    SPDX-License-Identifier: MPL-2.0

    Every function fails the running cmocka test when something is wrong.
*/

#ifndef TEST_BROKER_H
#define TEST_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "broker/core/limits.h"
#include "broker/store/store.h"

/*  Bound for everything that must happen, ms. It is generous: only a failing test waits for it.  */
#define TEST_PATIENCE_MS 60000

typedef struct test_broker test_broker_t;

/*  Limits for tests: the defaults, but no grace after a start for workers to come back.  */
rp_limits_t test_broker_limits (void);

/*  Starts a broker with test_broker_limits (), or with others.  */
test_broker_t *test_broker_start (void);
test_broker_t *test_broker_start_with (const rp_limits_t *limits);

/*  The same, with a plain service, whose frontend and backend are endpoints 1 and 2.  */
test_broker_t *test_broker_start_plain (const rp_limits_t *limits, const char *service);

/*  The same as the first, with a store of jobs, which it takes.  */
test_broker_t *test_broker_start_store (rp_store_t **store_p);

/*  The same as the first, with HTTP at a free port.  */
test_broker_t *test_broker_start_http (unsigned *port);

/*  Stops it unless it has ended, and checks that it ended without a fault.  */
void test_broker_stop (test_broker_t **self_p);

const char *test_broker_endpoint (const test_broker_t *self);
const char *test_broker_endpoint_at (const test_broker_t *self, size_t index);

/*  Drains it, as SIGTERM does.  */
void test_broker_drain (test_broker_t *self);

/*  Ends it at once, as a second SIGTERM does.  */
void test_broker_end_now (test_broker_t *self);

/*  Waits until it has ended by itself.  */
void test_broker_expect_end (test_broker_t *self);

/*  Milliseconds on the monotonic clock.  */
int64_t test_now_ms (void);

#endif
