/*  The windows of the broker's core and of the workers' cores together: how the requests are shared
    out, and how long they wait.

    SPDX-License-Identifier: MPL-2.0

    There is one client. Each worker works on one request at a time, then asks for the next;
    messages take equally long between broker and each worker. Time is simulated.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "broker/core/dispatch.h"
#include "worker/worker_core.h"

#define S_MS 1000
#define S_SECOND 1000000
#define S_WAY 100 /* us, by default */
#define S_WORKERS 4u
#define S_SLOTS 256u
#define S_MESSAGES 8192u  /* on their way at once, at most */
#define S_REQUESTS 65536u /* that a test may send */

static const char *const s_endpoints[] = {"tcp://127.0.0.1:1"};

typedef struct {
    rp_worker_core_t core;
    rp_work_t works[S_SLOTS];
    bool used[S_SLOTS];
    rp_work_t *out; /* the request that it works on */
    rp_session_id_t id;
    int64_t job;  /* us that a request takes */
    int64_t done; /* when the current request is done */
    int64_t next; /* when the core wants its tick */
    uint64_t served;
} s_worker_t;

/*  A message on its way. All take equally long, so they arrive in the order in which they were
    sent.  */
typedef struct {
    int64_t at;
    s_worker_t *worker;
    bool to_worker; /* otherwise from the worker */
    rp_head_t head;
} s_message_t;

typedef struct {
    rp_dispatch_t *core;
    rp_actions_t actions;
    int64_t next; /* when the core wants its tick */
    rp_session_id_t client;
    s_worker_t workers[S_WORKERS];
    s_message_t messages[S_MESSAGES];
    uint64_t sent, arrived;
    int64_t now;
    int64_t way;   /* us, from broker to worker */
    int64_t every; /* us from one request to the next; 0: `open` requests are always open */
    int64_t due;   /* when the next request comes, unless `every` is 0 */
    uint64_t open;
    uint64_t asked, ended;
    int64_t begun[S_REQUESTS];
    int64_t took[S_REQUESTS]; /* in the order in which they ended */
} s_world_t;

static void s_send (s_world_t *self, s_worker_t *worker, bool to_worker, const rp_head_t *head)
{
    assert_true (self->sent - self->arrived < S_MESSAGES);
    s_message_t *message = &self->messages[self->sent++ % S_MESSAGES];
    *message = (s_message_t){self->now + self->way, worker, to_worker, *head};
    message->head.headers_size = message->head.text_size = 0; // these soon dangle
}

/*  ---- The broker ----------------------------------------------------------------------------- */

static s_worker_t *s_find (s_world_t *self, rp_session_id_t id)
{
    for (s_worker_t *worker = self->workers; worker < self->workers + S_WORKERS; worker++)
        if (worker->id.v == id.v)
            return worker;
    fail_msg ("nobody has this id");
    return NULL;
}

static void s_answered (s_world_t *self, const rp_head_t *reply)
{
    if (reply->command != RP_COMMAND_REPLY)
        return;
    assert_int_equal (reply->status, RP_OK);
    self->took[self->ended++] = self->now - self->begun[reply->id];
}

/*  Carries out the core's actions; *sender becomes the session that was admitted, if one was.  */
static void s_obey (s_world_t *self, rp_session_id_t *sender)
{
    for (size_t index = 0; index < self->actions.count; index++) {
        const rp_action_t *action = &self->actions.list[index];
        if (action->kind == RP_ACTION_ADMIT)
            *sender = action->session;
        else if (action->kind == RP_ACTION_SEND && action->session.v == self->client.v)
            s_answered (self, &action->head);
        else if (action->kind == RP_ACTION_SEND)
            s_send (self, s_find (self, action->session), true, &action->head);
    }
    rp_actions_reset (&self->actions);
}

static void s_tell (s_world_t *self, rp_session_id_t *sender, const rp_head_t *head)
{
    rp_event_t event = {.kind = RP_EVENT_MESSAGE, .session = *sender, .head = head};
    rp_dispatch_handle (self->core, &event, self->now, &self->actions);
    s_obey (self, sender);
    self->next = self->now;
}

static void s_ask (s_world_t *self)
{
    assert_true (self->asked < S_REQUESTS);
    self->begun[self->asked] = self->now;
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = self->asked++,
      .deadline_ms = 60000,
      .attempts = 1,
      .name = "work",
      .name_size = 4};
    s_tell (self, &self->client, &head);
}

/*  ---- The workers ---------------------------------------------------------------------------- */

static void s_tick (s_world_t *self, s_worker_t *worker)
{
    worker->next = rp_worker_core_tick (&worker->core, self->now, 7);
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&worker->core));)
        if (order->kind == RP_WORKER_SEND)
            s_send (self, worker, false, &order->head);
}

static void s_answer (s_world_t *self, s_worker_t *worker)
{
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .id = worker->out->token};
    assert_true (rp_worker_core_finish (&worker->core, worker->out, RP_OK, self->now));
    worker->used[worker->out - worker->works] = false;
    worker->out = NULL;
    worker->served++;
    s_send (self, worker, false, &reply);
    s_tick (self, worker);
}

static void s_work (s_world_t *self, s_worker_t *worker)
{
    if (worker->out && worker->done <= self->now)
        s_answer (self, worker);
    if (worker->out)
        return;
    worker->out = rp_worker_core_take (&worker->core, self->now);
    worker->done = self->now + worker->job;
    if (!worker->out)
        s_tick (self, worker);
}

static void s_hear (s_world_t *self, s_worker_t *worker, const rp_head_t *head)
{
    uint32_t slot = 0;
    if (head->command == RP_COMMAND_REQUEST) {
        while (worker->used[slot])
            slot++;
        worker->used[slot] = true;
        rp_work_t *work = &worker->works[slot];
        assert_true (rp_worker_core_request (&worker->core, 0, head, work, NULL, self->now));
    }
    else {
        rp_worker_core_message (&worker->core, 0, head, self->now, 7);
    }
    s_tick (self, worker);
}

static s_worker_t *s_join (s_world_t *self, unsigned number, int64_t job)
{
    s_worker_t *worker = &self->workers[number];
    rp_worker_config_t config = {.endpoints = s_endpoints,
      .count = 1,
      .service = "work",
      .name = "test",
      .slots = S_SLOTS,
      .threads = 1,
      .heartbeat_ms = 60000,
      .drain_us = S_SECOND,
      .seed = 42};
    assert_true (rp_worker_core_init (&worker->core, &config));
    worker->job = job;
    s_tick (self, worker); // this opens the connection
    rp_worker_core_connected (&worker->core, 0, self->now);
    s_tick (self, worker);
    return worker;
}

/*  ---- The world ------------------------------------------------------------------------------ */

static s_world_t *s_begin (void)
{
    s_world_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    self->now = 1000 * (int64_t) S_SECOND;
    self->way = S_WAY;
    rp_actions_init (&self->actions);
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){
      .limits = RP_LIMITS_DEFAULT, .seed = 42, .version = "0", .now = self->now});
    assert_non_null (self->core);
    s_tell (self, &self->client, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 60000});
    return self;
}

static void s_end (s_world_t *self)
{
    for (unsigned number = 0; number < S_WORKERS; number++)
        if (self->workers[number].core.sessions)
            rp_worker_core_clear (&self->workers[number].core);
    rp_dispatch_destroy (&self->core, &self->actions);
    rp_actions_clear (&self->actions);
    free (self);
}

static int64_t s_least (int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/*  Returns when something happens next.  */
static int64_t s_next (const s_world_t *self)
{
    int64_t next = self->every ? s_least (self->next, self->due) : self->next;
    if (self->arrived < self->sent)
        next = s_least (next, self->messages[self->arrived % S_MESSAGES].at);
    for (const s_worker_t *worker = self->workers; worker < self->workers + S_WORKERS; worker++)
        if (worker->core.sessions)
            next =
              s_least (next, worker->out ? s_least (worker->done, worker->next) : worker->next);
    return next;
}

static void s_deliver (s_world_t *self)
{
    while (self->arrived < self->sent) {
        s_message_t *message = &self->messages[self->arrived % S_MESSAGES];
        if (message->at > self->now)
            return;
        if (message->to_worker)
            s_hear (self, message->worker, &message->head);
        else
            s_tell (self, &message->worker->id, &message->head);
        self->arrived++;
    }
}

static void s_pass (s_world_t *self, int64_t time)
{
    int64_t end = self->now + time;
    for (int64_t next; (next = s_next (self)) < end;) {
        self->now = next > self->now ? next : self->now;
        s_deliver (self);
        for (; self->every && self->due <= self->now; self->due += self->every)
            s_ask (self);
        while (self->asked - self->ended < self->open)
            s_ask (self);
        self->next = rp_dispatch_tick (self->core, self->now, &self->actions);
        s_obey (self, &self->client);
        for (s_worker_t *worker = self->workers; worker < self->workers + S_WORKERS; worker++) {
            if (!worker->core.sessions)
                continue;
            if (worker->next <= self->now)
                s_tick (self, worker);
            s_work (self, worker);
        }
    }
    self->now = end;
}

static int s_compare (const void *one, const void *other)
{
    int64_t difference = *(const int64_t *) one - *(const int64_t *) other;
    return (difference > 0) - (difference < 0);
}

typedef struct {
    int64_t p99;
    int64_t most;
} s_latency_t;

/*  Measures, for 30 s, requests that come at three fifths of the rate that the workers can
    serve.  */
static s_latency_t s_measure (const int64_t *jobs)
{
    s_world_t *self = s_begin ();
    double capacity = 0;
    for (unsigned number = 0; number < S_WORKERS; number++) {
        s_join (self, number, jobs[number]);
        capacity += 1.0 / (double) jobs[number];
    }
    s_pass (self, S_MS);
    self->every = (int64_t) (1 / (0.6 * capacity));
    self->due = self->now;
    s_pass (self, S_SECOND);
    uint64_t before = self->ended;
    s_pass (self, 30 * (int64_t) S_SECOND);
    uint64_t count = self->ended - before;
    int64_t *took = self->took + before;
    qsort (took, count, sizeof *took, s_compare);
    s_latency_t latency = {.p99 = took[count * 99 / 100], .most = took[count - 1]};
    s_end (self);
    return latency;
}

/*  Three workers take 5 ms and one takes 500 ms; the four even ones have the same capacity.  */
static void a_slow_worker_among_fast_ones_costs_nobody_but_whom_it_serves (void **state)
{
    (void) state;
    const int64_t skewed[] = {5 * S_MS, 5 * S_MS, 5 * S_MS, 500 * S_MS},
                  even[] = {6645, 6645, 6645, 6645};
    s_latency_t one = s_measure (skewed), other = s_measure (even);
    print_message ("p99 %lld us, at most %lld; even %lld, %lld\n", (long long) one.p99,
      (long long) one.most, (long long) other.p99, (long long) other.most);
    assert_true (other.p99 < 2 * even[0]); // at three fifths of the capacity no request need wait
    assert_true (one.p99 <= other.p99 * 12 / 10);
    assert_true (one.most < 510 * S_MS); // no request waits behind the slow worker's
}

/*  With more requests than all can serve, a late worker gets as many as the others and all that it
    can serve.  */
static void s_check_share (int64_t job, uint64_t open)
{
    s_world_t *self = s_begin ();
    for (unsigned number = 0; number < S_WORKERS - 1; number++)
        s_join (self, number, job);
    self->open = open;
    s_pass (self, 300 * S_MS);
    const s_worker_t *late = s_join (self, S_WORKERS - 1, job);
    s_pass (self, 100 * S_MS);
    uint64_t before[S_WORKERS];
    for (unsigned number = 0; number < S_WORKERS; number++)
        before[number] = self->workers[number].served;
    s_pass (self, 200 * S_MS);
    for (unsigned number = 0; number < S_WORKERS - 1; number++) {
        uint64_t other = self->workers[number].served - before[number];
        assert_true (late->served - before[S_WORKERS - 1] >= other * 9 / 10);
    }
    assert_true (late->served - before[S_WORKERS - 1] >= (uint64_t) (200 * S_MS / job) * 9 / 10);
    s_end (self);
}

static void a_new_worker_has_its_share_within_100_ms (void **state)
{
    (void) state;
    s_check_share (5 * S_MS, 64);
    s_check_share (50, 256);
}

/*  The simulated client sends a request for each reply, so requests reach the worker one by
    one.  */
static void a_worker_that_is_some_way_off_is_kept_busy (void **state)
{
    (void) state;
    s_world_t *self = s_begin ();
    self->way = 2 * S_MS;
    const s_worker_t *worker = s_join (self, 0, 100);
    self->open = 512;
    s_pass (self, S_SECOND);
    uint64_t before = worker->served;
    s_pass (self, S_SECOND);
    assert_true (worker->served - before > 9000); // of 10,000
    s_end (self);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_slow_worker_among_fast_ones_costs_nobody_but_whom_it_serves),
      cmocka_unit_test (a_new_worker_has_its_share_within_100_ms),
      cmocka_unit_test (a_worker_that_is_some_way_off_is_kept_busy),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
