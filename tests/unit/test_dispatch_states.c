/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/core/request.h"
#include "broker/core/state.h"

/*  Which state may follow which, from row to column. Columns:
    NEW QUEUED HELD PINNED RUNNING ABANDONED DONE.  */
static const char *const s_allowed[RP_REQUEST_STATE_COUNT] = {
  [RP_REQUEST_NEW] = ".xxxx.x",
  [RP_REQUEST_QUEUED] = "....x.x",
  [RP_REQUEST_HELD] = ".x.xx.x",
  [RP_REQUEST_PINNED] = "....x.x",
  [RP_REQUEST_RUNNING] = ".x.x.xx",
  [RP_REQUEST_ABANDONED] = "....x.x",
  [RP_REQUEST_DONE] = ".......",
};

/*  A request in a state, with everything that the counters need.  */
typedef struct {
    rp_dispatch_t core;
    rp_service_t service;
    rp_session_t worker;
    rp_request_t request;
} s_world_t;

static void s_prepare (s_world_t *world, unsigned state)
{
    *world = (s_world_t){.request = {.service = &world->service,
                           .worker = &world->worker,
                           .bytes = 100,
                           .state = state & 7u,
                           .answered = true}};
    rp_stats_t *stats = &world->core.stats;
    bool waits =
      state == RP_REQUEST_QUEUED || state == RP_REQUEST_HELD || state == RP_REQUEST_PINNED;
    stats->waiting = world->service.waiting = waits;
    stats->waiting_bytes = world->service.waiting_bytes = waits ? 100 : 0;
    stats->running = world->service.running = state == RP_REQUEST_RUNNING;
    stats->abandoned = state == RP_REQUEST_ABANDONED;
    world->worker.abandoned = state == RP_REQUEST_ABANDONED;
}

/*  Runs the change in a child process, because a bug of our own ends the process.  */
static bool s_ends_the_process (s_world_t *world, unsigned to)
{
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        (void) close (STDERR_FILENO);
        rp_request_set_state (&world->core, &world->request, (rp_request_state_t) to);
        _exit (0);
    }
    int status = 0;
    assert_int_equal (waitpid (child, &status, 0), child);
    return WIFSIGNALED (status);
}

static void s_every_cell_is_allowed_or_ends_the_process (void **state)
{
    (void) state;
    static s_world_t world;
    for (unsigned from = 0; from < RP_REQUEST_STATE_COUNT; from++)
        for (unsigned to = 0; to < RP_REQUEST_STATE_COUNT; to++) {
            s_prepare (&world, from);
            assert_int_equal (s_ends_the_process (&world, to), s_allowed[from][to] != 'x');
        }
}

static void s_counters_follow_every_transition (void **state)
{
    (void) state;
    static s_world_t world, expected;
    for (unsigned from = 0; from < RP_REQUEST_STATE_COUNT; from++)
        for (unsigned to = 0; to < RP_REQUEST_STATE_COUNT; to++) {
            if (s_allowed[from][to] != 'x')
                continue;
            s_prepare (&world, from);
            s_prepare (&expected, to);
            rp_request_set_state (&world.core, &world.request, (rp_request_state_t) to);
            assert_int_equal (world.request.state, to);
            assert_memory_equal (&world.core.stats, &expected.core.stats, sizeof (rp_stats_t));
            assert_int_equal (world.service.waiting, expected.service.waiting);
            assert_int_equal (world.service.waiting_bytes, expected.service.waiting_bytes);
            assert_int_equal (world.service.running, expected.service.running);
            assert_int_equal (world.worker.abandoned, expected.worker.abandoned);
        }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_every_cell_is_allowed_or_ends_the_process),
      cmocka_unit_test (s_counters_follow_every_transition),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
