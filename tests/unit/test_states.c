/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/jobs/jobs_state.h"
#include "client/exchange.h"
#include "common/wire/link.h"
#include "worker/program/life.h"
#include "worker/works.h"

/*  Which state may follow which, from row to column. What requests of the broker may do is in
    test_dispatch_states.c.  */

/*  Columns: REST CONNECTING GREETING UP REFUSED CLOSED.  */
static const char *const s_link_allowed[RP_LINK_STATE_COUNT] = {
  [RP_LINK_REST] = ".x...x",
  [RP_LINK_CONNECTING] = "x.x..x",
  [RP_LINK_GREETING] = "x..xxx",
  [RP_LINK_UP] = "x....x",
  [RP_LINK_REFUSED] = ".....x",
  [RP_LINK_CLOSED] = "......",
};

/*  Columns: IDLE WAITING PAUSED RUNNING ENDED.  */
static const char *const s_exchange_allowed[RP_EXCHANGE_STATE_COUNT] = {
  [RP_EXCHANGE_IDLE] = ".x...",
  [RP_EXCHANGE_WAITING] = "...xx",
  [RP_EXCHANGE_PAUSED] = ".x..x",
  [RP_EXCHANGE_RUNNING] = ".xx.x",
  [RP_EXCHANGE_ENDED] = "x....",
};

/*  Columns: IDLE READY OUT RETURNED.  */
static const char *const s_work_allowed[RP_WORK_STATE_COUNT] = {
  [RP_WORK_IDLE] = ".x.x",
  [RP_WORK_READY] = "..xx",
  [RP_WORK_OUT] = "x..x",
  [RP_WORK_RETURNED] = "x...",
};

/*  Columns: REST LOADING TRIED OWES READY.  */
static const char *const s_life_allowed[RP_LIFE_STATE_COUNT] = {
  [RP_LIFE_REST] = ".x...",
  [RP_LIFE_LOADING] = "x.x.x",
  [RP_LIFE_TRIED] = "x..xx",
  [RP_LIFE_OWES] = "x...x",
  [RP_LIFE_READY] = "x....",
};

/*  Columns: NEW PUTTING WAITING CLAIMING RUNNING PARKING FINISHING.  */
static const char *const s_job_allowed[RP_STEP_COUNT] = {
  [RP_STEP_NEW] = ".xx..xx",
  [RP_STEP_PUTTING] = "..x.x..",
  [RP_STEP_WAITING] = "...x.xx",
  [RP_STEP_CLAIMING] = "..x.x.x",
  [RP_STEP_RUNNING] = ".....xx",
  [RP_STEP_PARKING] = ".....xx",
  [RP_STEP_FINISHING] = "......x",
};

/*  Puts an object into one state, changes it to another with the setter, and returns the state that
    it has then. The counters must agree.  */
typedef unsigned s_move_fn (unsigned from, unsigned to);

static unsigned s_move_link (unsigned from, unsigned to)
{
    rp_link_t link = {.state = (rp_link_state_t) from};
    rp_link_set_state (&link, (rp_link_state_t) to);
    return link.state;
}

static unsigned s_move_exchange (unsigned from, unsigned to)
{
    static rp_client_core_t core;
    rp_exchange_t exchange = {.state = (rp_exchange_state_t) from};
    core.running_count = from == RP_EXCHANGE_RUNNING;
    rp_exchange_set_state (&core, &exchange, (rp_exchange_state_t) to);
    assert_int_equal (core.running_count, to == RP_EXCHANGE_RUNNING);
    return exchange.state;
}

static unsigned s_move_work (unsigned from, unsigned to)
{
    rp_worker_core_t core = {.out = from == RP_WORK_OUT};
    rp_work_t work = {.state = (rp_work_state_t) from};
    rp_work_set_state (&core, &work, (rp_work_state_t) to);
    assert_int_equal (core.out, to == RP_WORK_OUT);
    return work.state;
}

static unsigned s_move_life (unsigned from, unsigned to)
{
    rp_life_t life = {.state = (rp_life_state_t) from};
    rp_life_set_state (&life, (rp_life_state_t) to);
    return life.state;
}

static unsigned s_move_job (unsigned from, unsigned to)
{
    static rp_jobs_t jobs;
    static rp_jobs_service_t service;
    rp_job_t job = {.service = &service, .bytes = 100, .state = (uint8_t) from};
    rp_heap_node_init (&job.turn);
    if (from == RP_STEP_WAITING || to == RP_STEP_WAITING)
        assert_true (rp_heap_push (&service.waiting, &job.turn, 1));
    service.loaded = from == RP_STEP_WAITING;
    jobs.bytes = from == RP_STEP_WAITING ? 100 : 0;
    jobs.figures.running = from == RP_STEP_RUNNING;
    rp_job_set_state (&jobs, &job, (rp_job_step_t) to);
    assert_int_equal (rp_heap_has (&job.turn), to == RP_STEP_WAITING);
    assert_int_equal (service.loaded, to == RP_STEP_WAITING);
    assert_int_equal (jobs.bytes, to == RP_STEP_WAITING ? 100 : 0);
    assert_int_equal (jobs.figures.running, to == RP_STEP_RUNNING);
    rp_heap_clear (&service.waiting);
    return job.state;
}

/*  Runs the change in a child process, because a bug of our own ends the process.  */
static bool s_ends_the_process (s_move_fn *move, unsigned from, unsigned to)
{
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        (void) close (STDERR_FILENO);
        (void) move (from, to);
        _exit (0);
    }
    int status = 0;
    assert_int_equal (waitpid (child, &status, 0), child);
    return WIFSIGNALED (status);
}

static void s_visit_every_cell (s_move_fn *move, const char *const *allowed, unsigned count)
{
    for (unsigned from = 0; from < count; from++) {
        assert_int_equal (strlen (allowed[from]), count);
        for (unsigned to = 0; to < count; to++)
            if (allowed[from][to] == 'x')
                assert_int_equal (move (from, to), to);
            else
                assert_true (s_ends_the_process (move, from, to));
    }
}

static void every_transition_of_a_link_is_allowed_or_ends_the_process (void **state)
{
    (void) state;
    s_visit_every_cell (s_move_link, s_link_allowed, RP_LINK_STATE_COUNT);
}

static void every_transition_of_an_exchange_is_allowed_or_ends_the_process (void **state)
{
    (void) state;
    s_visit_every_cell (s_move_exchange, s_exchange_allowed, RP_EXCHANGE_STATE_COUNT);
}

static void every_transition_of_a_work_is_allowed_or_ends_the_process (void **state)
{
    (void) state;
    s_visit_every_cell (s_move_work, s_work_allowed, RP_WORK_STATE_COUNT);
}

static void every_transition_of_a_life_is_allowed_or_ends_the_process (void **state)
{
    (void) state;
    s_visit_every_cell (s_move_life, s_life_allowed, RP_LIFE_STATE_COUNT);
}

static void every_transition_of_a_job_is_allowed_or_ends_the_process (void **state)
{
    (void) state;
    s_visit_every_cell (s_move_job, s_job_allowed, RP_STEP_COUNT);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_transition_of_a_link_is_allowed_or_ends_the_process),
      cmocka_unit_test (every_transition_of_an_exchange_is_allowed_or_ends_the_process),
      cmocka_unit_test (every_transition_of_a_work_is_allowed_or_ends_the_process),
      cmocka_unit_test (every_transition_of_a_life_is_allowed_or_ends_the_process),
      cmocka_unit_test (every_transition_of_a_job_is_allowed_or_ends_the_process),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
