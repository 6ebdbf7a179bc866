/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/broker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/server.h"
#include "common/io/clock.h"

struct test_broker {
    rp_server_t *server;
    pthread_t thread;
    int code; /* of rp_server_run */
    bool joined;
};

int64_t test_now_ms (void)
{
    return rp_clock_us () / 1000;
}

rp_limits_t test_broker_limits (void)
{
    rp_limits_t limits = RP_LIMITS_DEFAULT;
    limits.rejoin_grace = 0;
    limits.service_linger = 0;
    return limits;
}

static void *s_run (void *arg)
{
    test_broker_t *self = arg;
    self->code = rp_server_run (self->server);
    return NULL;
}

static test_broker_t *s_new_with_store (const rp_limits_t *limits, rp_store_t *store)
{
    test_broker_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    // RIPOSTE_TEST_LOG=1 shows the broker's log, for the search for a fault.
    rp_level_t level = getenv ("RIPOSTE_TEST_LOG") ? RP_LEVEL_DEBUG : RP_LEVEL_ERROR;
    self->server = rp_server_new (&(rp_server_options_t){
      .limits = *limits, .log_level = level, .log = STDERR_FILENO, .signals = -1, .store = store});
    assert_non_null (self->server);
    assert_int_equal (rp_server_bind (self->server, "tcp://127.0.0.1:*"), 0);
    return self;
}

static test_broker_t *s_new (const rp_limits_t *limits)
{
    return s_new_with_store (limits, NULL);
}

static test_broker_t *s_start (test_broker_t *self)
{
    assert_int_equal (pthread_create (&self->thread, NULL, s_run, self), 0);
    return self;
}

test_broker_t *test_broker_start_with (const rp_limits_t *limits)
{
    return s_start (s_new (limits));
}

test_broker_t *test_broker_start_plain (const rp_limits_t *limits, const char *service)
{
    static const char any[] = "tcp://127.0.0.1:*";
    test_broker_t *self = s_new (limits);
    assert_int_equal (rp_server_bind_plain (self->server, service, RP_PLAIN_FRONT, any), 0);
    assert_int_equal (rp_server_bind_plain (self->server, service, RP_PLAIN_BACK, any), 0);
    return s_start (self);
}

test_broker_t *test_broker_start (void)
{
    rp_limits_t limits = test_broker_limits ();
    return test_broker_start_with (&limits);
}

test_broker_t *test_broker_start_store (rp_store_t **store_p)
{
    rp_limits_t limits = test_broker_limits ();
    test_broker_t *self = s_new_with_store (&limits, *store_p);
    *store_p = NULL;
    return s_start (self);
}

test_broker_t *test_broker_start_http (unsigned *port)
{
    rp_limits_t limits = test_broker_limits ();
    test_broker_t *self = s_new (&limits);
    assert_int_equal (rp_server_open_http (self->server, "127.0.0.1:*", NULL, false), 0);
    *port = rp_server_http_port (self->server);
    return s_start (self);
}

const char *test_broker_endpoint (const test_broker_t *self)
{
    return test_broker_endpoint_at (self, 0);
}

const char *test_broker_endpoint_at (const test_broker_t *self, size_t index)
{
    return rp_server_endpoint (self->server, index);
}

void test_broker_drain (test_broker_t *self)
{
    rp_server_drain (self->server);
}

void test_broker_end_now (test_broker_t *self)
{
    rp_server_stop (self->server);
}

void test_broker_expect_end (test_broker_t *self)
{
    struct timespec until;
    assert_int_equal (clock_gettime (CLOCK_REALTIME, &until), 0);
    until.tv_sec += TEST_PATIENCE_MS / 1000;
    // The thread sanitizer does not know pthread_clockjoin_np.
    if (pthread_timedjoin_np (self->thread, NULL, &until) != 0)
        fail_msg ("the broker did not end");
    self->joined = true;
    assert_int_equal (self->code, 0);
}

void test_broker_stop (test_broker_t **self_p)
{
    test_broker_t *self = *self_p;
    *self_p = NULL;
    if (!self->joined) {
        rp_server_stop (self->server);
        test_broker_expect_end (self);
    }
    rp_server_destroy (&self->server);
    free (self);
}
