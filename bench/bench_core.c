/*  Micro-benchmark of the broker's core: submit, dispatch and reply of one request.

    SPDX-License-Identifier: MPL-2.0

    bench_core [-o json]   prints ns of CPU time per request (median of RUNS runs) for some
                           numbers of requests in flight and of workers, and how many allocations
                           a request costs once everything has grown. Exit status 1 if any.
    bench_core COUNT IN_FLIGHT WORKERS [MODE]
                           only does COUNT requests, for bench/instructions. rules: with rules that
                           allow them, and every quota. wait: ten clients, and half of the requests wait;
                           priorities: each of these clients has its own. weights: they wait with those
                           rules, which state a weight.

    One request here is two events (REQUEST, REPLY), their actions, and the tick that follows each
    batch of 64 events; no socket, no codec. Payloads are pointers that are never read.
*/

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/core/dispatch.h"

#define RUNS 9u
#define REQUESTS 400000u
#define WARM_UP 20000u
#define BATCH 64u
#define IN_FLIGHT_MAX 512u
#define CLIENTS 10u
/*  Between two events, so that who waits rises by some priorities: a step is 1 ms then.  */
#define AGEING_US 50

static const char s_rules[] = "role = \"caller\"\n"
                              "    call = \"echo\"\n"
                              "principal = \"anonymous\"\n"
                              "    role = \"caller\"\n"
                              "    serve = \"echo\"\n"
                              "    sessions = 1000\n"
                              "    open = 10000\n"
                              "    open_bytes = 1000000000\n"
                              "    rate = 100000000\n"
                              "    weight = 2\n";
/*  The size of those without the weight.  */
#define UNWEIGHED (sizeof s_rules - sizeof "    weight = 2\n")

/*  ---- Allocations, counted by standing in for the allocator ---------------------------------- */

static uint64_t s_allocations;

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t count, size_t size);
extern void *__libc_realloc (void *block, size_t size);
void *malloc (size_t size);
void *calloc (size_t count, size_t size);
void *realloc (void *block, size_t size);

void *malloc (size_t size)
{
    s_allocations++;
    return __libc_malloc (size);
}

void *calloc (size_t count, size_t size)
{
    s_allocations++;
    return __libc_calloc (count, size);
}

void *realloc (void *block, size_t size)
{
    s_allocations++;
    return __libc_realloc (block, size);
}

/*  ---- The load ------------------------------------------------------------------------------- */

typedef struct {
    rp_session_id_t worker;
    rp_token_t token;
} s_delivery_t;

typedef enum { PLAIN, RULES, WAIT, PRIORITIES, WEIGHTS } s_mode_t;

typedef struct {
    rp_dispatch_t *core;
    rp_rules_t *rules;
    rp_actions_t actions;
    int64_t now;
    unsigned batched;
    rp_session_id_t clients[CLIENTS];
    unsigned client_count;
    bool priorities;
    rp_session_id_t admitted;
    uint64_t id;
    uint64_t replies;
    s_delivery_t ring[IN_FLIGHT_MAX * 2];
    size_t first;
    size_t count;
} s_load_t;

static const char s_service[] = "echo";

/*  Acts as the shell: remembers deliveries, counts replies.  */
static void s_carry_out (s_load_t *self)
{
    for (size_t index = 0; index < self->actions.count; index++) {
        const rp_action_t *action = &self->actions.list[index];
        if (action->kind == RP_ACTION_ADMIT)
            self->admitted = action->session;
        if (action->kind != RP_ACTION_SEND)
            continue;
        if (action->token.v) {
            size_t slot = (self->first + self->count++) % (IN_FLIGHT_MAX * 2);
            self->ring[slot] = (s_delivery_t){action->session, action->token};
        }
        else if (action->head.command == RP_COMMAND_REPLY) {
            self->replies += action->head.status == RP_OK;
        }
    }
    rp_actions_reset (&self->actions);
}

static void s_event (s_load_t *self, rp_session_id_t peer, const rp_head_t *head)
{
    bool body = head->command == RP_COMMAND_REQUEST || head->command == RP_COMMAND_REPLY;
    self->now += self->priorities ? AGEING_US : 1;
    rp_dispatch_handle (self->core,
      &(rp_event_t){.kind = RP_EVENT_MESSAGE,
        .session = peer,
        .head = head,
        .payload = body ? (rp_payload_t *) (void *) self : NULL,
        .size = body ? 64 : 0},
      self->now, &self->actions);
    s_carry_out (self);
    if (++self->batched < BATCH)
        return;
    self->batched = 0;
    (void) rp_dispatch_tick (self->core, self->now, &self->actions);
    s_carry_out (self);
}

static void s_submit (s_load_t *self)
{
    unsigned client = (unsigned) (self->id % self->client_count);
    s_event (self, self->clients[client],
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = ++self->id,
        .priority = (uint8_t) (self->priorities ? client + 1 : 0),
        .deadline_ms = 5000,
        .attempts = 1,
        .name = s_service,
        .name_size = sizeof s_service - 1});
}

static void s_reply (s_load_t *self)
{
    s_delivery_t delivery = self->ring[self->first];
    self->first = (self->first + 1) % (IN_FLIGHT_MAX * 2);
    self->count--;
    s_event (self, delivery.worker,
      &(rp_head_t){.command = RP_COMMAND_REPLY, .id = delivery.token.v, .status = RP_OK});
}

static rp_session_id_t s_greet (s_load_t *self, const rp_head_t *hello)
{
    s_event (self, (rp_session_id_t){0}, hello);
    return self->admitted;
}

static void s_mistake (const char *message, void *arg)
{
    (void) arg;
    fprintf (stderr, "bench_core: rules:%s\n", message);
}

static bool s_begin (s_load_t *self, unsigned workers, unsigned in_flight, s_mode_t mode)
{
    memset (self, 0, sizeof *self);
    self->now = 1000000;
    rp_actions_init (&self->actions);
    self->client_count = mode >= WAIT ? CLIENTS : 1;
    self->priorities = mode == PRIORITIES;
    bool ruled = mode == RULES || mode == WEIGHTS;
    if (ruled)
        self->rules = rp_rules_read (
          s_rules, mode == WEIGHTS ? sizeof s_rules - 1 : UNWEIGHED, s_mistake, NULL);
    if (ruled && !self->rules)
        return false;
    rp_limits_t limits = RP_LIMITS_DEFAULT;
    if (self->priorities)
        limits.age_step = 1;
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = limits,
      .seed = 0x1234567890abcdefu,
      .version = "0",
      .now = self->now,
      .rules = self->rules});
    if (!self->core)
        return false;
    for (unsigned client = 0; client < self->client_count; client++)
        self->clients[client] =
          s_greet (self, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 60000});
    unsigned windows = self->client_count > 1 ? in_flight / 2 : in_flight;
    for (unsigned worker = 0; worker < workers; worker++)
        s_greet (self, &(rp_head_t){.command = RP_COMMAND_HELLO,
                         .flags = RP_FLAG_WORKER,
                         .interval_ms = 60000,
                         .window = (windows + workers - 1) / workers,
                         .name = s_service,
                         .name_size = sizeof s_service - 1});
    for (unsigned open = 0; open < in_flight; open++)
        s_submit (self);
    return true;
}

static void s_end (s_load_t *self)
{
    rp_dispatch_destroy (&self->core, &self->actions);
    rp_actions_clear (&self->actions);
    rp_rules_destroy (&self->rules);
}

/*  ---- The figures ---------------------------------------------------------------------------- */

/*  CPU time of this process alone, so that a busy machine does not look like a slow core.  */
static int64_t s_clock_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static int s_compare (const void *one, const void *other)
{
    double difference = *(const double *) one - *(const double *) other;
    return (difference > 0) - (difference < 0);
}

typedef struct {
    unsigned in_flight;
    unsigned workers;
    bool rules;
    double ns;
    double allocations;
} s_result_t;

static bool s_measure (s_result_t *result)
{
    static s_load_t load;
    double times[RUNS];
    uint64_t allocations = 0;
    for (unsigned run = 0; run < RUNS; run++) {
        if (!s_begin (&load, result->workers, result->in_flight, result->rules ? RULES : PLAIN))
            return false;
        for (unsigned request = 0; request < WARM_UP; request++) {
            s_reply (&load);
            s_submit (&load);
        }
        uint64_t allocated = s_allocations;
        uint64_t replies = load.replies;
        int64_t begin = s_clock_ns ();
        for (unsigned request = 0; request < REQUESTS; request++) {
            s_reply (&load);
            s_submit (&load);
        }
        times[run] = (double) (s_clock_ns () - begin) / REQUESTS;
        allocations += s_allocations - allocated;
        if (load.replies - replies != REQUESTS || load.count != result->in_flight) {
            fprintf (stderr, "bench_core: requests went astray; the figures would be wrong\n");
            return false;
        }
        s_end (&load);
    }
    qsort (times, RUNS, sizeof *times, s_compare);
    result->ns = times[RUNS / 2];
    result->allocations = (double) allocations / RUNS / REQUESTS;
    return true;
}

static void s_print (const s_result_t *result, bool json, bool last)
{
    if (json)
        printf ("  {\"in_flight\": %u, \"workers\": %u, \"rules\": %s, \"ns_per_request\": %.1f, "
                "\"allocations_per_request\": %g}%s\n",
          result->in_flight, result->workers, result->rules ? "true" : "false", result->ns,
          result->allocations, last ? "" : ",");
    else
        printf ("%9u in flight %4u workers %8s %8.1f ns/request %8g allocations/request\n",
          result->in_flight, result->workers, result->rules ? "rules" : "", result->ns,
          result->allocations);
}

static int s_only (uint64_t count, unsigned in_flight, unsigned workers, s_mode_t mode)
{
    static s_load_t load;
    if (in_flight > IN_FLIGHT_MAX || !s_begin (&load, workers, in_flight, mode))
        return 1;
    for (uint64_t request = 0; request < count; request++) {
        s_reply (&load);
        s_submit (&load);
    }
    s_end (&load);
    return 0;
}

int main (int argc, char **argv)
{
    static const char *const modes[] = {"", "rules", "wait", "priorities", "weights"};
    s_mode_t mode = PLAIN;
    while (argc == 5 && mode < WEIGHTS && strcmp (argv[4], modes[mode]) != 0)
        mode++;
    if (argc == 4 || (argc == 5 && strcmp (argv[4], modes[mode]) == 0))
        return s_only (
          strtoull (argv[1], NULL, 10), (unsigned) atoi (argv[2]), (unsigned) atoi (argv[3]), mode);
    bool json = argc == 3 && strcmp (argv[1], "-o") == 0 && strcmp (argv[2], "json") == 0;
    if (argc != 1 && !json) {
        fprintf (stderr, "usage: %s [-o json | COUNT IN_FLIGHT WORKERS [MODE]]\n", argv[0]);
        return 2;
    }
    s_result_t results[] = {{64, 1, false, 0, 0}, {64, 64, false, 0, 0}, {512, 1, false, 0, 0},
      {512, 64, false, 0, 0}, {64, 1, true, 0, 0}, {512, 64, true, 0, 0}};
    size_t count = sizeof results / sizeof *results;
    bool allocates = false;
    printf ("%s", json ? "[\n" : "");
    for (size_t index = 0; index < count; index++) {
        if (!s_measure (&results[index]))
            return 1;
        s_print (&results[index], json, index + 1 == count);
        allocates = allocates || results[index].allocations > 0;
    }
    printf ("%s", json ? "]\n" : "");
    return allocates ? 1 : 0;
}
