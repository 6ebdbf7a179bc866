/*  Simulator of replays: broker/replay with the real core, under random events from a seed.

    SPDX-License-Identifier: MPL-2.0

    simulator_replays SEED [COUNT]   runs COUNT seeds (1), from SEED on
    simulator_replays --bugs COUNT   runs seeds with each bug that it knows until one is caught; COUNT seeds at
                                     most

    Clients of several principals ask with few keys and bodies, cancel, and go; workers answer, fail and are
    lost; in some seeds there is hardly any memory. What docs/CONTRACT.md promises of keys is checked at each
    step; at the end every request has its one final, and nothing is left.

    Exit code 0: no fault (--bugs: each was caught); 1: a fault; 2: wrong usage.
*/

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/replay/replays_state.h"
#include "tests/support/replays_world.h"

#define S_MS INT64_C (1000)
#define S_SECOND INT64_C (1000000)
#define S_REQUESTS 400u
#define S_CLIENTS 4u
#define S_KEEP_MS 4000
/*  A reply's content: of whose execution, and which of its replies.  */
#define S_REPLY(content, number) ((content) *1000 + (number))

/*  name, what it does. Each is between the replays and the world.  */
#define S_BUG_MAP(X)                                                                               \
    X (SHARED_KEYS, "keys-without-principal")   /* all principals share keys */                    \
    X (RUN_MISMATCH, "ignore-the-body")         /* another body gets the result */                 \
    X (FORGET_WAITER, "forget-a-waiter")        /* one who waits is not told */                    \
    X (TELL_TWICE, "tell-twice")                /* … or twice */                                 \
    X (RUN_TWICE, "second-execution")           /* begins while the first one runs */              \
    X (OTHER_RESULT, "other-result")            /* the result of another execution */              \
    X (UNMARKED, "unmarked-replay")             /* a replay looks like a reply of its own */       \
    X (TAKE_AWAY, "cancel-for-all")             /* one cancels, and all are cancelled */           \
    X (FIRST_DEADLINE, "deadline-of-the-first") /* the first one's deadline ends it for all */     \
    X (KEEP_FAILURE, "remember-a-failure")      /* what nobody answered is remembered */           \
    X (FORGET_EARLY, "forget-early")            /* a result is forgotten before its time */        \
    X (KEEP_LONG, "remember-too-long")          /* … or after */                                 \
    X (NO_WITHDRAW, "run-for-nobody")           /* what nobody waits for goes on */                \
    X (NO_BAR, "run-without-a-rule")            /* a rule that has gone keeps nothing back */      \
    X (LEAK, "leak-a-result")                   /* memory that is not given back */

typedef enum {
#define S_BUG_ENUM(name, text) S_##name,
    S_BUG_MAP (S_BUG_ENUM)
#undef S_BUG_ENUM
      S_BUG_COUNT
} s_bug_t;

static const char *const s_bug_names[] = {
#define S_BUG_NAME(name, text) text,
  S_BUG_MAP (S_BUG_NAME)
#undef S_BUG_NAME
};

/*  A request, by content.  */
typedef struct {
    unsigned client; /* of the world, or the place of one that has gone */
    unsigned principal;
    unsigned service;
    unsigned key;
    unsigned body;
    unsigned attempts;
    int64_t deadline;
    bool cancelled;
    bool ended;
    bool gone; /* its client is */
    /*  of its own execution  */
    uint64_t execution; /* 0: none */
    bool open;
    unsigned starts;
    unsigned replies;
    uint64_t result; /* content; 0: none */
    int64_t answered;
} s_request_t;

typedef struct {
    uint64_t random;
    uint64_t seed;
    int bug; /* -1: none */
    bool tight;
    bool healed;
    replays_world_t world;
    s_request_t requests[S_REQUESTS + 1];
    unsigned count;
    unsigned principals[S_CLIENTS]; /* of the world's clients */
    const char *forbidden;          /* the principal that no rule allows anything; NULL: none */
} s_simulation_t;

static s_simulation_t s_self;
static bool s_quiet;
static rp_rules_t *s_rules[2]; /* of all but this principal */

__attribute__ ((noreturn, format (printf, 1, 2))) static void s_fail (const char *format, ...)
{
    if (!s_quiet) {
        va_list arguments;
        va_start (arguments, format);
        printf ("seed %" PRIu64 ": ", s_self.seed);
        vprintf (format, arguments);
        printf ("\nagain: simulator_replays %" PRIu64 "\n", s_self.seed);
        va_end (arguments);
        exit (1);
    }
    _exit (1);
}

static uint64_t s_draw (uint64_t below)
{
    uint64_t value = s_self.random += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return (value ^ (value >> 31)) % below;
}

static bool s_bites (s_bug_t bug)
{
    return s_self.bug == (int) bug && !s_self.healed && s_draw (3) == 0;
}

static const char *const s_services[] = {"a", "b"};
static const char *const s_keys[] = {NULL, "k1", "k2", "k3"};
static const char *const s_principals[] = {"ada", "bob"};

static s_request_t *s_request (uint64_t content)
{
    if (content == 0 || content > s_self.count)
        s_fail ("request %" PRIu64 " is nobody's", content);
    return &s_self.requests[content];
}

/*  The request whose execution this is; NULL: none's.  */
static s_request_t *s_execution (uint64_t execution)
{
    for (unsigned content = 1; content <= s_self.count; content++)
        if (execution && s_self.requests[content].execution == execution)
            return &s_self.requests[content];
    return NULL;
}

static uint64_t s_content (const s_request_t *request)
{
    return (uint64_t) (request - s_self.requests);
}

static bool s_same_key (const s_request_t *one, const s_request_t *other)
{
    return one->key > 0 && one->key == other->key && one->service == other->service
           && one->principal == other->principal;
}

static bool s_is_remembered (const s_request_t *first, int64_t now)
{
    return first->result && now < first->answered + S_KEEP_MS * S_MS;
}

/*  ---- What passes ---------------------------------------------------------------------------- */

static bool s_see_submit (replays_world_t *world, rp_replays_request_t *request)
{
    static uint8_t digest[RP_REPLAYS_DIGEST];
    if (s_self.bug == S_SHARED_KEYS)
        request->principal = "all";
    if (s_self.bug == S_RUN_MISMATCH)
        request->digest = digest;
    for (uint32_t slot = 0; slot < rp_pool_slots (&world->replays->replays); slot++) {
        rp_replay_t *replay = rp_pool_at (&world->replays->replays, slot);
        if (replay->pooled.generation & 1 && !replay->result && s_bites (S_RUN_TWICE))
            rp_replay_forget_key (world->replays, replay);
    }
    return true;
}

static void s_check_start (const replays_world_t *world, const s_request_t *request)
{
    for (unsigned content = 1; content <= s_self.count; content++) {
        const s_request_t *other = &s_self.requests[content];
        if (other == request || !s_same_key (other, request))
            continue;
        if (other->open)
            s_fail ("request %" PRIu64 " begins while that of %u with its key runs",
              s_content (request), content);
        if (!s_self.tight && s_is_remembered (other, world->now))
            s_fail ("request %" PRIu64 " begins, and the result of %u with its key is remembered",
              s_content (request), content);
    }
}

static bool s_see_start (replays_world_t *world, rp_action_t *action)
{
    s_request_t *request = s_request (action->payload->content);
    s_check_start (world, request);
    if (request->execution)
        s_fail ("request %" PRIu64 " begins twice", s_content (request));
    request->execution = action->head.id;
    request->open = true;
    if (s_self.bug == S_FIRST_DEADLINE)
        action->head.deadline_ms = (uint32_t) ((request->deadline - world->now) / S_MS) + 1;
    return true;
}

/*  True if somebody waits for an execution.  */
static bool s_is_wanted (const replays_world_t *world, const s_request_t *first)
{
    for (unsigned content = 1; content <= s_self.count; content++) {
        const s_request_t *request = &s_self.requests[content];
        if (s_same_key (request, first) && request->body == first->body && !request->cancelled
            && !request->ended && request->deadline > world->now && content >= s_content (first))
            return true;
    }
    return false;
}

static void s_see_withdraw (replays_world_t *world, uint64_t execution)
{
    const s_request_t *first = s_execution (execution);
    if (!first)
        s_fail ("what was never begun is withdrawn");
    if (s_is_wanted (world, first))
        s_fail ("the execution of %" PRIu64 " is withdrawn, and somebody waits for it",
          s_content (first));
}

/*  True if no rule allows the request now.  */
static bool s_is_forbidden (const s_request_t *request)
{
    return s_self.forbidden == s_principals[request->principal];
}

/*  False if the core is not told that an execution lost its rule.  */
static bool s_see_bar (replays_world_t *world)
{
    (void) world;
    return !s_bites (S_NO_BAR);
}

static void s_see_task (replays_world_t *world, const replays_task_t *task)
{
    s_request_t *first = s_request (task->content);
    if (!first->key)
        return;
    if (!first->open)
        s_fail ("a worker gets request %" PRIu64 ", which has ended", task->content);
    if (!s_is_wanted (world, first))
        s_fail ("a worker gets request %" PRIu64 ", and nobody waits", task->content);
    if (s_is_forbidden (first))
        s_fail ("a worker gets request %" PRIu64 ", which no rule allows", task->content);
    if (++first->starts > first->attempts || task->attempt != first->starts)
        s_fail ("request %" PRIu64 " begins too often", task->content);
}

static void s_see_answer (replays_world_t *world, rp_head_t *head, rp_payload_t **payload)
{
    s_request_t *first = s_execution (head->id);
    if (!first || !first->open)
        s_fail ("an execution ends that is not open");
    first->open = false;
    if (head->status == RP_OK || head->status == RP_APP_ERROR) {
        first->result = (*payload)->content;
        first->answered = world->now;
    }
    else if (head->status == RP_WORKER_LOST && s_bites (S_KEEP_FAILURE)) {
        head->status = RP_OK;
        *payload = calloc (1, sizeof **payload);
        (*payload)->content = 1;
        world->payloads++;
    }
}

/*  Spoils what a client is told. False if it is told nothing.  */
static bool s_spoil (replays_world_t *world, replays_told_t *told)
{
    static uint64_t held;
    if (s_bites (S_OTHER_RESULT) && told->content) {
        uint64_t content = told->content;
        told->content = held ? held : content;
        held = content;
    }
    if (s_self.bug == S_UNMARKED)
        told->replayed = false;
    if (s_bites (S_TELL_TWICE))
        s_request (told->request)->ended = true;
    (void) world;
    return !(told->replayed && s_bites (S_FORGET_WAITER));
}

static void s_check_result (
  const replays_world_t *world, const s_request_t *request, const replays_told_t *told)
{
    const s_request_t *first = s_execution (told->execution);
    if (!first)
        s_fail ("request %" PRIu64 " gets a result of nothing", told->request);
    if (first != request && (!s_same_key (first, request) || first->body != request->body))
        s_fail ("request %" PRIu64 " gets the result of %" PRIu64 ", which is another",
          told->request, s_content (first));
    if (told->content != first->result || told->content / 1000 != s_content (first))
        s_fail ("request %" PRIu64 " gets another result than its worker gave", told->request);
    if (told->replayed != (first != request))
        s_fail ("request %" PRIu64 ": whether it is a replay is told wrongly", told->request);
    if (!s_is_remembered (first, world->now) && first->answered != world->now)
        s_fail ("request %" PRIu64 " gets a result that is too old", told->request);
}

/*  Checks an end without a result.  */
static void s_check_failure (
  const replays_world_t *world, const s_request_t *request, const replays_told_t *told)
{
    const s_request_t *first = s_execution (told->execution);
    bool early = world->now < request->deadline;
    switch (told->status) {
        case RP_EXPIRED:
        case RP_NO_WORKER:
            if (first && first->starts > 0)
                s_fail ("request %" PRIu64 " ends with %s, and began", told->request,
                  rp_status_name ((int) told->status));
            if (told->status == RP_EXPIRED && early)
                s_fail ("request %" PRIu64 " expires early", told->request);
            break;
        case RP_DEADLINE:
            if (early)
                s_fail ("the deadline of request %" PRIu64 " has not come", told->request);
            break;
        case RP_CANCELLED:
            if (!request->cancelled)
                s_fail ("request %" PRIu64 " was not cancelled", told->request);
            break;
        case RP_DENIED:
            if (!s_is_forbidden (request) || (first && first->starts > 0))
                s_fail ("request %" PRIu64 " is denied, and was allowed or began", told->request);
            break;
        case RP_KEY_MISMATCH:
            for (unsigned content = 1; content <= s_self.count; content++) {
                const s_request_t *other = &s_self.requests[content];
                if (s_same_key (other, request) && other->body != request->body
                    && (other->open || s_is_remembered (other, world->now)))
                    return;
            }
            s_fail ("request %" PRIu64 " has no other body than its key", told->request);
        default:
            break;
    }
}

static bool s_see_told (replays_world_t *world, replays_told_t *told)
{
    if (!s_spoil (world, told))
        return false;
    s_request_t *request = s_request (told->request);
    if (request->ended)
        s_fail ("request %" PRIu64 " ends twice", told->request);
    request->ended = true;
    if (world->now > request->deadline + S_MS)
        s_fail ("request %" PRIu64 " ends after its deadline", told->request);
    if (request->key == 0)
        return true;
    if (told->status == RP_OK || told->status == RP_APP_ERROR)
        s_check_result (world, request, told);
    else
        s_check_failure (world, request, told);
    return true;
}

/*  ---- Events --------------------------------------------------------------------------------- */

static void s_submit (void)
{
    replays_world_t *world = &s_self.world;
    unsigned client = (unsigned) s_draw (S_CLIENTS);
    if (s_self.count == S_REQUESTS)
        return;
    if (!world->clients[client].session.v) {
        s_self.principals[client] = (unsigned) s_draw (2);
        client = replays_world_join_client (world, s_principals[s_self.principals[client]]);
    }
    s_request_t *request = &s_self.requests[++s_self.count];
    *request = (s_request_t){.client = client,
      .service = (unsigned) s_draw (2),
      .key = (unsigned) s_draw (4),
      .body = 1 + (unsigned) (s_draw (6) == 0),
      .attempts = 1 + (unsigned) s_draw (3)};
    // Joining took the first free place.
    for (unsigned index = 0; index < 2; index++)
        if (strcmp (world->clients[client].name, s_principals[index]) == 0)
            request->principal = index;
    unsigned timeout = 1 + (unsigned) s_draw (s_draw (3) ? 3000 : 60);
    request->deadline = world->now + timeout * S_MS;
    (void) replays_world_submit (world, client,
      &(replays_request_t){.service = s_services[request->service],
        .key = s_keys[request->key],
        .body = request->body,
        .timeout_ms = timeout,
        .attempts = request->attempts});
}

static void s_cancel (void)
{
    uint64_t content = s_self.count > 0 ? 1 + s_draw (s_self.count) : 0;
    s_request_t *request = content ? s_request (content) : NULL;
    if (!request || request->gone || request->ended)
        return;
    request->cancelled = true;
    replays_world_cancel (&s_self.world, request->client, content);
    for (unsigned other = 1; other <= s_self.count && s_self.bug == S_TAKE_AWAY; other++)
        if (s_same_key (&s_self.requests[other], request) && !s_self.requests[other].gone)
            replays_world_cancel (&s_self.world, s_self.requests[other].client, other);
}

static void s_go (void)
{
    unsigned client = (unsigned) s_draw (S_CLIENTS);
    if (!s_self.world.clients[client].session.v)
        return;
    for (unsigned content = 1; content <= s_self.count; content++) {
        s_request_t *request = &s_self.requests[content];
        if (request->client != client || request->gone)
            continue;
        request->gone = true;
        if (request->key == 0)
            request->ended = true; // withdrawn
    }
    replays_world_lose_client (&s_self.world, client);
}

static void s_answer (bool well)
{
    replays_world_t *world = &s_self.world;
    if (world->task_count == 0)
        return;
    size_t task = s_draw (world->task_count);
    s_request_t *first = s_request (world->tasks[task].content);
    unsigned what = (unsigned) s_draw (10);
    rp_status_t status = well || what < 6 ? RP_OK : what < 8 ? RP_APP_ERROR : RP_WORKER_LOST;
    uint64_t content = S_REPLY (s_content (first), first->replies++);
    size_t bytes = s_draw (20) == 0 ? 5000 : (size_t) s_draw (200);
    replays_world_reply (world, task, status, content, bytes);
}

static void s_change_workers (void)
{
    replays_world_t *world = &s_self.world;
    unsigned worker = (unsigned) s_draw (4);
    if (world->workers[worker].session.v)
        replays_world_lose_worker (world, worker);
    else
        (void) replays_world_join_worker (world, s_services[s_draw (2)], 1 + (unsigned) s_draw (3));
}

/*  Other rules: of everybody, or of all but one principal.  */
static void s_change_rules (void)
{
    unsigned which = (unsigned) s_draw (3);
    s_self.forbidden = which < 2 ? s_principals[which] : NULL;
    replays_world_rules (&s_self.world, which < 2 ? s_rules[which] : NULL);
}

static void s_check_memory (void)
{
    const replays_world_t *world = &s_self.world;
    rp_replays_figures_t figures = replays_world_figures (world);
    if (figures.bytes > world->limits.replay_bytes)
        s_fail ("%" PRIu64 " bytes are over the limit", figures.bytes);
    if (figures.evicted && !s_self.tight)
        s_fail ("a result was forgotten, and there was room");
}

/*  True if nothing is wanted but to send results that are remembered.  */
static bool s_has_results_only (const replays_world_t *world)
{
    for (size_t index = 0; index < world->wanted.count; index++) {
        const rp_action_t *action = &world->wanted.list[index];
        if (action->kind != RP_ACTION_DROP && (action->kind != RP_ACTION_SEND || !action->keep))
            return false;
    }
    return world->wanted.count > 0;
}

static void s_step (void)
{
    replays_world_t *world = &s_self.world;
    unsigned what = (unsigned) s_draw (100);
    if (what < 35)
        s_submit ();
    else if (what < 60)
        s_answer (false);
    else if (what < 66)
        s_cancel ();
    else if (what < 68)
        s_go ();
    else if (what < 74)
        s_change_workers ();
    else if (what < 76)
        s_change_rules ();
    else
        replays_world_pass (world, (int64_t) s_draw (s_draw (8) ? 100 : 5000) * S_MS);
    if (s_bites (S_FORGET_EARLY)) {
        world->now += S_KEEP_MS * S_MS;
        (void) rp_replay_tidy ((world->replays->now = world->now, world->replays));
        world->now -= S_KEEP_MS * S_MS;
    }
    for (size_t index = 0; index < world->wanted.count; index++)
        if (world->wanted.list[index].kind == RP_ACTION_WITHDRAW && s_bites (S_NO_WITHDRAW))
            world->wanted.list[index--] = world->wanted.list[--world->wanted.count];
    if (s_bites (S_LEAK))
        world->replays->figures.bytes++;
    if (s_has_results_only (world) && s_draw (2))
        return; // more is read before the turn
    replays_world_turn (world);
    s_check_memory ();
}

/*  ---- A seed --------------------------------------------------------------------------------- */

/*  All is well from now on; then nothing is left.  */
static void s_heal (void)
{
    replays_world_t *world = &s_self.world;
    s_self.healed = true;
    s_self.forbidden = NULL;
    replays_world_rules (world, NULL);
    for (unsigned index = 0; index < 2; index++)
        (void) replays_world_join_worker (world, s_services[index], 100);
    for (unsigned round = 0; round < 40; round++) {
        replays_world_pass (world, 100 * S_MS);
        while (world->task_count > 0)
            s_answer (true);
    }
    for (unsigned content = 1; content <= s_self.count; content++)
        if (!s_self.requests[content].ended)
            s_fail ("request %u has no end", content);
    replays_world_pass (world, 20 * S_SECOND);
    rp_replays_figures_t figures = replays_world_figures (world);
    if (figures.running || figures.waiting || figures.results || figures.bytes || world->payloads
        || world->replays->owners.count || world->replays->clients.count)
        s_fail (
          "something is left: %" PRIu64 " bytes, %zu payloads", figures.bytes, world->payloads);
}

static void s_run (uint64_t seed, int bug)
{
    memset (&s_self, 0, sizeof s_self);
    s_self.seed = seed;
    s_self.random = seed * 0xd1342543de82ef95u;
    s_self.bug = bug;
    s_self.tight = s_draw (3) == 0;
    replays_world_t *world = &s_self.world;
    replays_world_init (world);
    world->limits.replay_keep = bug == S_KEEP_LONG ? S_KEEP_MS * 3 : S_KEEP_MS;
    if (s_self.tight)
        world->limits.replay_bytes = 1000 + s_draw (5000);
    world->hooks = (replays_hooks_t){.submit = s_see_submit,
      .start = s_see_start,
      .withdraw = s_see_withdraw,
      .bar = s_see_bar,
      .task = s_see_task,
      .answer = s_see_answer,
      .told = s_see_told};
    replays_world_begin (world);
    for (uint64_t steps = 50 + s_draw (600); steps > 0; steps--)
        s_step ();
    s_heal ();
    replays_world_clear (world);
}

/*  Runs a seed with a bug in a process of its own, which ends where it is caught: by a check here, or by a broken
    invariant.  */
static bool s_is_caught (uint64_t seed, int bug)
{
    fflush (stdout);
    pid_t child = fork ();
    if (child == 0) {
        s_quiet = true;
        if (!freopen ("/dev/null", "w", stderr))
            _exit (0);
        s_run (seed, bug);
        _exit (0);
    }
    int status = 0;
    if (child < 0 || waitpid (child, &status, 0) != child) {
        perror ("simulator_replays");
        exit (2);
    }
    return !WIFEXITED (status) || WEXITSTATUS (status) != 0;
}

/*  Runs seeds with each bug until one is caught. Returns how many are not.  */
static unsigned s_run_bugs (uint64_t most)
{
    unsigned missed = 0;
    for (int bug = 0; bug < S_BUG_COUNT; bug++) {
        uint64_t seed = 1;
        while (seed <= most && !s_is_caught (seed, bug))
            seed++;
        if (seed > most) {
            printf ("%s: not caught in %" PRIu64 " seeds\n", s_bug_names[bug], most);
            missed++;
        }
        else {
            printf ("%s: caught with seed %" PRIu64 "\n", s_bug_names[bug], seed);
        }
    }
    return missed;
}

static bool s_number (const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull (text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

int main (int argc, char **argv)
{
    uint64_t first, count = 1;
    static const char *const texts[] = {
      "principal = \"worker\"\n    serve = \"*\"\nprincipal = \"bob\"\n    call = \"*\"\n",
      "principal = \"worker\"\n    serve = \"*\"\nprincipal = \"ada\"\n    call = \"*\"\n"};
    bool bugs = argc == 3 && strcmp (argv[1], "--bugs") == 0;
    if (argc < 2 || argc > 3 || (!bugs && !s_number (argv[1], &first))
        || (argc > 2 && !s_number (argv[2], &count))) {
        fprintf (
          stderr, "usage: simulator_replays SEED [COUNT]\n       simulator_replays --bugs COUNT\n");
        return 2;
    }
    for (unsigned index = 0; index < 2; index++)
        if (!(s_rules[index] = rp_rules_read (texts[index], strlen (texts[index]), NULL, NULL)))
            return 2;
    if (bugs)
        return s_run_bugs (count) > 0;
    clock_t begin = clock ();
    for (uint64_t seed = first; seed - first < count; seed++)
        s_run (seed, -1);
    printf ("%" PRIu64 " seeds, nothing wrong, %.1f s\n", count,
      (double) (clock () - begin) / CLOCKS_PER_SEC);
    for (unsigned index = 0; index < 2; index++)
        rp_rules_destroy (&s_rules[index]);
    return 0;
}
