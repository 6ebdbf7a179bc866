/*  Simulator of surveys: broker/survey with the real core, under random events from a seed.

    SPDX-License-Identifier: MPL-2.0

    simulator_surveys SEED [COUNT]   runs COUNT seeds (1), from SEED on
    simulator_surveys --bugs COUNT   runs seeds with each bug that it knows until one is caught; COUNT seeds at
                                     most

    Clients ask all workers of a service, for all answers, the first ones or a quorum; they cancel, and go. Others send
    it ordinary requests. Workers come, answer, fail, drain and are lost; rules change; a service may have terms.
    Invariants 11, 42 to 44 and 47 of docs/CONTRACT.md are checked at each step; at the end each request has its one final,
    and nothing is left.

    Exit code 0: no fault (--bugs: each was caught); 1: a fault; 2: wrong usage.
*/

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/core/state.h"
#include "broker/survey/surveys.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"

#define S_MS INT64_C (1000)
#define S_ASKS 60u
#define S_CLIENTS 3u
#define S_WORKERS 6u           /* at a time */
#define S_JOINS 64u            /* in all: each has a bit */
#define S_TASKS 1024u          /* in all */
#define S_CALLS 400u           /* ordinary requests, in all */
#define S_CALL UINT64_C (1000) /* their ids are from here on */

/*  name, what it does. Each is between the surveys and the world, but for those of turns, which are in the core.  */
#define S_BUG_MAP(X)                                                                               \
    X (ASTRAY, "copy-astray")          /* a copy goes to another worker */                         \
    X (NO_WITHDRAW, "ask-for-nobody")  /* what is open at the end goes on */                       \
    X (LOSE_PART, "lose-an-answer")    /* one who answered is not told of */                       \
    X (TELL_TWICE, "second-final")     /* the final comes twice */                                 \
    X (PART_BEHIND, "answer-behind")   /* an answer comes behind the final */                      \
    X (IGNORE_QUORUM, "ignore-quorum") /* a quorum is not looked at */                             \
    X (IGNORE_FIRST, "ignore-first")   /* … nor how many are enough */                           \
    X (OVER_LIMIT, "ignore-the-limit") /* client_open does not count copies */                     \
    X (NO_BAR, "ask-without-a-rule")   /* a rule that has gone keeps nothing back */               \
    X (MISCOUNT, "ask-one-less")       /* a worker that is there is not asked */                   \
    X (COPIES_FIRST, "copies-first")   /* the queue has no turns */                                \
    X (QUEUE_FIRST, "queue-first")     /* copies have none while it has something */

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

/*  A message: a request, or an answer.  */
struct rp_payload {
    unsigned ask;
    char worker[16]; /* an answer: whose, as its header says */
};

/*  Who had the latest place, of copies and the queue.  */
typedef struct {
    bool copy;
    unsigned at; /* how many had been given out by then; 0: none */
} s_turn_t;

typedef struct {
    rp_session_id_t session; /* 0: not there */
    unsigned service;
    unsigned number; /* its bit */
    uint32_t window;
    bool draining;
    s_turn_t turn;
} s_worker_t;

typedef struct {
    rp_token_t token; /* 0: ended */
    rp_session_id_t worker;
    unsigned number;
    unsigned ask;
    bool cancelled;
} s_task_t;

/*  An ordinary request.  */
typedef struct {
    rp_session_id_t client;
    unsigned service;
    unsigned since; /* how many had been given out when it came */
    bool given;
    bool over;
} s_call_t;

/*  A request for all workers.  */
typedef struct {
    rp_session_id_t client;
    unsigned service;
    unsigned since; /* how many had been given out when its copies were made */
    unsigned first; /* 0: not stated, as quorum */
    unsigned quorum;
    int64_t deadline;
    uint64_t asked; /* workers, a bit each */
    uint64_t got;   /* who was asked so far */
    uint64_t given; /* … and did not give it back unbegun */
    uint64_t told;  /* whose end the client has heard */
    unsigned open;
    unsigned ended[RP_FINAL_COUNT];
    bool cancelled;
    bool forbidden; /* the rules changed while it was open */
    bool over;
    bool gone; /* its client is */
} s_ask_t;

typedef struct {
    uint64_t random;
    uint64_t seed;
    int bug; /* -1: none */
    rp_dispatch_t *core;
    rp_surveys_t *surveys;
    rp_limits_t limits;
    rp_limits_t bent; /* what the surveys have of them */
    rp_session_id_t client, admitted;
    rp_actions_t acts, wanted, told;
    rp_session_id_t clients[S_CLIENTS];
    s_worker_t workers[S_WORKERS];
    unsigned joins;
    s_task_t tasks[S_TASKS];
    unsigned task_count; /* given out */
    s_call_t calls[S_CALLS];
    unsigned call_count;
    rp_terms_t terms; /* of the second service */
    bool throttled; /* … which has some: its places are given in turn, not those of each worker */
    s_turn_t throttled_turn;
    s_ask_t asks[S_ASKS + 1]; /* by id, from 1 on */
    unsigned count;
    size_t payloads;
    int64_t now, due;
    bool ruled; /* no rule allows anything */
} s_simulation_t;

static s_simulation_t s_self;
static bool s_quiet;
static rp_rules_t *s_rules[2]; /* all may call, nobody may */
static const char *const s_services[] = {"a", "b"};

__attribute__ ((noreturn, format (printf, 1, 2))) static void s_fail (const char *format, ...)
{
    if (s_quiet)
        _exit (1);
    va_list arguments;
    va_start (arguments, format);
    printf ("seed %" PRIu64 ": ", s_self.seed);
    vprintf (format, arguments);
    printf ("\nagain: simulator_surveys %" PRIu64 "\n", s_self.seed);
    va_end (arguments);
    exit (1);
}

#define S_REQUIRE(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            s_fail (__VA_ARGS__);                                                                  \
    } while (0)

static unsigned s_draw (unsigned below)
{
    uint64_t value = s_self.random += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return (unsigned) ((value ^ (value >> 31)) % below);
}

static bool s_bites (s_bug_t bug)
{
    return s_self.bug == (int) bug && s_draw (2) == 0;
}

static rp_payload_t *s_payload (unsigned ask)
{
    rp_payload_t *payload = calloc (1, sizeof *payload);
    if (!payload)
        abort ();
    payload->ask = ask;
    s_self.payloads++;
    return payload;
}

static void s_free (rp_payload_t *payload)
{
    s_self.payloads -= payload != NULL;
    free (payload);
}

/*  ---- What clients are told ------------------------------------------------------------------ */

static s_ask_t *s_ask (uint64_t id)
{
    S_REQUIRE (id > 0 && id <= s_self.count, "request %" PRIu64 " is nobody's", id);
    return &s_self.asks[id];
}

/*  Returns the bit of the worker that an answer names.  */
static uint64_t s_whose (const rp_action_t *action)
{
    char name[16] = "";
    rp_header_t header;
    if (action->payload)
        memcpy (name, action->payload->worker, sizeof name);
    else if (rp_headers_find (
               action->head.headers, action->head.headers_size, RP_REPLY_WORKER, &header))
        snprintf (name, sizeof name, "%.*s", (int) header.value_size, header.value);
    S_REQUIRE (name[0] == 'w', "an answer names no worker");
    return UINT64_C (1) << strtoul (name + 1, NULL, 10);
}

/*  42: an answer comes before the final, once from each that was asked.  */
static void s_hear_part (s_ask_t *ask, const rp_action_t *action)
{
    uint64_t who = s_whose (action);
    unsigned status = action->head.status;
    S_REQUIRE (!ask->over, "an answer behind the final");
    S_REQUIRE (ask->asked & who, "an answer of a worker that was not asked");
    S_REQUIRE (!(ask->told & who), "two answers of one worker");
    S_REQUIRE (action->head.flags & RP_FLAG_MORE, "an answer without MORE");
    S_REQUIRE (
      (status != RP_OK && status != RP_APP_ERROR) || action->payload, "an answer without a body");
    ask->told |= who;
    ask->open--;
    ask->ended[status]++;
}

static unsigned s_wanted (const s_ask_t *ask)
{
    unsigned asked = (unsigned) __builtin_popcountll (ask->asked);
    if (ask->quorum)
        return ask->quorum;
    return ask->first && ask->first < asked ? ask->first : asked;
}

/*  42: the summary is of what the client was told.  */
static void s_check_summary (const s_ask_t *ask, const rp_head_t *head)
{
    uint64_t asked = 0, answered = 0;
    (void) rp_headers_number (head->headers, head->headers_size, RP_ALL_WORKERS, 1000, &asked);
    (void) rp_headers_number (head->headers, head->headers_size, RP_ALL_ANSWERED, 1000, &answered);
    S_REQUIRE (
      asked == (unsigned) __builtin_popcountll (ask->asked), "%" PRIu64 " were asked?", asked);
    S_REQUIRE (
      answered == ask->ended[RP_OK] + ask->ended[RP_APP_ERROR], "%" PRIu64 " answered?", answered);
}

/*  44: OK if and only if as many as wanted were OK; an end before all have ended has its reason.  */
static void s_hear_final (s_ask_t *ask, const rp_action_t *action)
{
    const rp_head_t *head = &action->head;
    unsigned status = head->status, ok = ask->ended[RP_OK], wanted = s_wanted (ask);
    S_REQUIRE (!ask->over, "a second final");
    ask->over = true;
    if (ask->asked == 0) {
        S_REQUIRE (rp_status_is_safe_to_retry ((int) status), "%s of what nobody was asked",
          rp_status_name ((int) status));
        return;
    }
    s_check_summary (ask, head);
    S_REQUIRE ((status == RP_OK) == (ok >= wanted), "%s, with %u OK of %u wanted",
      rp_status_name ((int) status), ok, wanted);
    S_REQUIRE (ask->open == 0 || ok >= wanted || (ask->quorum && ok + ask->open < wanted),
      "the final comes while %u are open", ask->open);
    S_REQUIRE (status != RP_CANCELLED || ask->cancelled, "cancelled by nobody");
    S_REQUIRE (!rp_status_is_safe_to_retry ((int) status) || ask->given == 0,
      "%s, though a worker was given it", rp_status_name ((int) status));
}

/*  The end of an ordinary request.  */
static void s_hear_call (const rp_action_t *action)
{
    S_REQUIRE (action->head.id - S_CALL < s_self.call_count, "nobody asked");
    s_call_t *call = &s_self.calls[action->head.id - S_CALL];
    S_REQUIRE (call->client.v == action->session.v && !call->over, "an end that is no end");
    call->over = true;
}

static void s_tell (const rp_action_t *action)
{
    if (action->head.command == RP_COMMAND_REPLY && action->head.id >= S_CALL) {
        s_hear_call (action);
    }
    else if (action->head.command == RP_COMMAND_REPLY) {
        s_ask_t *ask = s_ask (action->head.id);
        S_REQUIRE (ask->client.v == action->session.v, "somebody else is told");
        S_REQUIRE (!ask->gone, "a client that has gone is told");
        if (action->head.flags & RP_FLAG_MORE)
            s_hear_part (ask, action);
        else
            s_hear_final (ask, action);
        if (!(action->head.flags & RP_FLAG_MORE))
            rp_dispatch_survey_over (s_self.core, action->session, action->head.id);
    }
    if (!action->keep)
        s_free (action->payload);
}

/*  Tells a client, as the bug wants.  */
static void s_tell_bent (const rp_action_t *action)
{
    bool part = action->head.flags & RP_FLAG_MORE;
    if (part && s_bites (S_LOSE_PART)) {
        s_free (action->payload);
        return;
    }
    s_tell (action);
    if (!part && s_bites (S_TELL_TWICE))
        s_tell (action);
    if (!part && s_bites (S_PART_BEHIND)) {
        rp_action_t late = *action;
        late.payload = s_payload (0);
        late.head.flags = RP_FLAG_MORE;
        s_tell (&late);
    }
}

/*  ---- The core ------------------------------------------------------------------------------- */

static s_worker_t *s_find_worker (rp_session_id_t session)
{
    for (unsigned index = 0; index < S_WORKERS; index++)
        if (session.v && s_self.workers[index].session.v == session.v)
            return &s_self.workers[index];
    return NULL;
}

static bool s_has_room (const s_worker_t *worker)
{
    unsigned held = 0;
    for (unsigned index = 0; index < s_self.task_count; index++)
        held += s_self.tasks[index].token.v && s_self.tasks[index].worker.v == worker->session.v;
    return held < worker->window;
}

/*  How many requests the workers of a service hold.  */
static unsigned s_held (unsigned service)
{
    unsigned held = 0;
    for (unsigned index = 0; index < s_self.task_count; index++) {
        const s_worker_t *worker = s_find_worker (s_self.tasks[index].worker);
        held += s_self.tasks[index].token.v && worker && worker->service == service;
    }
    return held;
}

/*  True if an ordinary request for a service has waited since before a turn.  */
static bool s_call_waited (unsigned service, const s_turn_t *turn)
{
    for (unsigned index = 0; index < s_self.call_count; index++) {
        const s_call_t *call = &s_self.calls[index];
        if (call->service == service && !call->given && !call->over && call->client.v
            && call->since < turn->at)
            return true;
    }
    return false;
}

/*  True if a copy has waited for a worker since before a turn.  */
static bool s_copy_waited (const s_worker_t *worker, const s_turn_t *turn)
{
    uint64_t who = UINT64_C (1) << worker->number;
    for (unsigned index = 1; index <= s_self.count; index++) {
        const s_ask_t *ask = &s_self.asks[index];
        if (ask->asked & who && !((ask->got | ask->told) & who) && !ask->over && !ask->gone
            && !ask->cancelled && ask->since < turn->at)
            return true;
    }
    return false;
}

/*  47: of copies and the queue, none has two places while the other, which waited at the first of them, has none.  */
static void s_check_turn (s_worker_t *worker, bool copy)
{
    bool throttled = s_self.throttled && worker->service == 1;
    s_turn_t *turn = throttled ? &s_self.throttled_turn : &worker->turn;
    bool again = turn->at > 0 && turn->copy == copy;
    S_REQUIRE (!again || !copy || !s_call_waited (worker->service, turn),
      "a second copy, while an ordinary request waits");
    for (unsigned index = 0; again && !copy && index < S_WORKERS; index++) {
        const s_worker_t *other = &s_self.workers[index];
        if (throttled ? other->session.v && other->service == 1 && s_has_room (other)
                      : other == worker)
            S_REQUIRE (
              !s_copy_waited (other, turn), "a second ordinary request, while a copy waits");
    }
    *turn = (s_turn_t){.copy = copy, .at = s_self.task_count + 1};
}

/*  A worker gets an ordinary request.  */
static void s_give_call (const rp_action_t *action, s_worker_t *worker)
{
    s_call_t *call = &s_self.calls[action->payload->ask - S_CALL];
    s_check_turn (worker, false);
    call->given = true;
    S_REQUIRE (s_self.task_count < S_TASKS, "too many tasks for this simulator");
    s_self.tasks[s_self.task_count++] =
      (s_task_t){.token = action->token, .worker = action->session, .ask = action->payload->ask};
}

/*  43: a worker gets a request once, and only if it was there when it came.  */
static void s_give (const rp_action_t *action)
{
    s_worker_t *worker = s_find_worker (action->session);
    S_REQUIRE (worker && !worker->draining, "a worker that takes nothing is asked");
    if (action->payload->ask >= S_CALL) {
        s_give_call (action, worker);
        return;
    }
    s_ask_t *ask = s_ask (action->payload->ask);
    uint64_t who = UINT64_C (1) << worker->number;
    s_check_turn (worker, true);
    S_REQUIRE (ask->asked & who, "a worker is asked that was not there");
    S_REQUIRE (!(ask->got & who), "a worker is asked twice");
    // The place that an answer frees may be another worker's, by the terms; the withdrawal comes behind.
    bool just_over = s_self.throttled && ask->service == 1;
    S_REQUIRE (just_over || (!ask->over && !ask->gone), "a worker is asked for nobody");
    S_REQUIRE (!s_self.ruled, "a worker is asked that no rule allows");
    S_REQUIRE (!(action->head.flags & RP_FLAG_ALL), "a worker is told of ALL");
    ask->got |= who;
    ask->given |= who;
    S_REQUIRE (s_self.task_count < S_TASKS, "too many tasks for this simulator");
    s_self.tasks[s_self.task_count++] = (s_task_t){.token = action->token,
      .worker = action->session,
      .number = worker->number,
      .ask = action->payload->ask};
}

static void s_answered (const rp_action_t *action)
{
    const char *worker = rp_surveys_worker (s_self.surveys, action->head.id);
    if (action->head.command != RP_COMMAND_REPLY)
        return;
    if (action->payload && worker)
        snprintf (action->payload->worker, sizeof action->payload->worker, "%s", worker);
    rp_surveys_answered (
      s_self.surveys, &action->head, action->payload, s_self.now, &s_self.told, &s_self.wanted);
    for (size_t index = 0; index < s_self.told.count; index++)
        if (s_self.told.list[index].kind == RP_ACTION_SEND)
            s_tell_bent (&s_self.told.list[index]);
        else
            s_free (s_self.told.list[index].payload);
    rp_actions_reset (&s_self.told);
}

static void s_send (const rp_action_t *action)
{
    if (action->session.v == s_self.client.v) {
        s_answered (action);
        return;
    }
    if (action->token.v && action->payload)
        s_give (action);
    for (unsigned index = 0; action->head.command == RP_COMMAND_CANCEL && index < s_self.task_count;
         index++)
        s_self.tasks[index].cancelled |= s_self.tasks[index].token.v == action->head.id;
    if (action->token.v || !action->payload) {
        if (action->head.command == RP_COMMAND_REPLY)
            s_tell (action);
        else if (!action->keep)
            s_free (action->payload);
        return;
    }
    s_tell (action);
}

static void s_forget (rp_session_id_t session)
{
    s_worker_t *worker = s_find_worker (session);
    if (worker)
        worker->session.v = 0;
    for (unsigned index = 0; index < s_self.task_count; index++)
        if (s_self.tasks[index].worker.v == session.v)
            s_self.tasks[index].token.v = 0;
    for (unsigned index = 0; index < S_CLIENTS; index++)
        if (s_self.clients[index].v == session.v)
            s_self.clients[index].v = 0;
    for (unsigned index = 1; index <= s_self.count; index++)
        s_self.asks[index].gone |= s_self.asks[index].client.v == session.v;
    for (unsigned index = 0; index < s_self.call_count; index++)
        if (s_self.calls[index].client.v == session.v)
            s_self.calls[index].client.v = 0;
}

/*  How many copies of a client are open.  */
static unsigned s_open (rp_session_id_t client)
{
    unsigned open = 0;
    for (unsigned index = 1; index <= s_self.count; index++)
        if (s_self.asks[index].client.v == client.v && !s_self.asks[index].over)
            open += s_self.asks[index].open;
    return open;
}

static void s_survey (const rp_action_t *action)
{
    if (action->head.command == RP_COMMAND_CANCEL) {
        (void) rp_surveys_cancel (s_self.surveys, action->session, action->head.id, &s_self.wanted);
        return;
    }
    rp_head_t head = action->head;
    if ((s_ask (head.id)->quorum && s_self.bug == S_IGNORE_QUORUM)
        || (s_ask (head.id)->first && s_self.bug == S_IGNORE_FIRST))
        head.headers_size = 0;
    rp_surveys_submit (s_self.surveys,
      &(rp_surveys_request_t){.session = action->session,
        .head = &head,
        .payload = action->payload,
        .bytes = 8,
        .principal = "ada",
        .quota = rp_dispatch_quota (s_self.core, action->session)},
      s_self.now, &s_self.wanted);
}

static void s_carry_out_core (void)
{
    for (size_t index = 0; index < s_self.acts.count; index++) {
        const rp_action_t *action = &s_self.acts.list[index];
        switch (action->kind) {
            case RP_ACTION_ADMIT:
                s_self.admitted = action->session;
                break;
            case RP_ACTION_SEND:
                s_send (action);
                break;
            case RP_ACTION_SURVEY:
                s_survey (action);
                break;
            case RP_ACTION_DROP:
                s_free (action->payload);
                break;
            case RP_ACTION_UNBIND:
            case RP_ACTION_ABORT:
                s_forget (action->session);
                rp_surveys_left (s_self.surveys, action->session, &s_self.wanted);
                break;
            default:
                break;
        }
    }
    rp_actions_reset (&s_self.acts);
}

/*  Makes a bug of turns, inside the core: it forgets whose the next one is.  */
static void s_spoil (void)
{
    if (s_self.bug != S_COPIES_FIRST && s_self.bug != S_QUEUE_FIRST)
        return;
    bool copied = s_self.bug == S_QUEUE_FIRST;
    for (uint32_t slot = 0; slot < rp_pool_slots (&s_self.core->sessions); slot++)
        ((rp_session_t *) rp_pool_at (&s_self.core->sessions, slot))->copied = copied;
    for (uint32_t slot = 0; slot < rp_pool_slots (&s_self.core->services); slot++)
        ((rp_service_t *) rp_pool_at (&s_self.core->services, slot))->copied = copied;
}

static void s_event (const rp_event_t *event)
{
    s_spoil ();
    rp_dispatch_handle (s_self.core, event, s_self.now, &s_self.acts);
    s_carry_out_core ();
}

static void s_message (rp_session_id_t session, const rp_head_t *head, rp_payload_t *payload)
{
    s_event (&(rp_event_t){.kind = RP_EVENT_MESSAGE,
      .session = session,
      .head = head,
      .payload = payload,
      .size = payload ? 8 : 0});
}

/*  ---- The surveys ---------------------------------------------------------------------------- */

static void s_start (const rp_action_t *action)
{
    rp_payload_t *payload = action->payload;
    unsigned ask = payload->ask;
    if (action->keep)
        payload = s_payload (ask);
    rp_session_id_t worker = action->session;
    if (s_bites (S_ASTRAY) && s_self.workers[0].session.v)
        worker = s_self.workers[0].session;
    s_event (&(rp_event_t){.kind = RP_EVENT_MESSAGE,
      .session = s_self.client,
      .worker = worker,
      .head = &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .flags = RP_FLAG_ALL,
        .id = action->head.id,
        .deadline_ms = action->head.deadline_ms,
        .attempts = 1,
        .name = s_services[s_self.asks[ask].service],
        .name_size = 1},
      .payload = payload,
      .size = 8});
}

static void s_carry_out (const rp_action_t *action)
{
    switch (action->kind) {
        case RP_ACTION_START:
            s_start (action);
            break;
        case RP_ACTION_WITHDRAW:
            if (!s_bites (S_NO_WITHDRAW))
                s_message (s_self.client,
                  &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = action->head.id}, NULL);
            break;
        case RP_ACTION_BAR:
            if (s_self.bug != S_NO_BAR)
                s_event (&(rp_event_t){.kind = RP_EVENT_BAR,
                  .session = s_self.client,
                  .head = &(rp_head_t){.id = action->head.id}});
            break;
        case RP_ACTION_SEND:
            s_tell (action);
            break;
        default:
            s_free (action->payload);
            break;
    }
}

/*  11: nothing waits for a worker that has room, unless terms keep it back.  */
static void s_check_room (void)
{
    static const s_turn_t now = {.at = UINT_MAX};
    for (unsigned index = 0; index < S_WORKERS; index++) {
        const s_worker_t *worker = &s_self.workers[index];
        bool full =
          s_self.throttled && worker->service == 1 && s_held (1) >= s_self.terms.concurrency;
        if (!worker->session.v || worker->draining || full || !s_has_room (worker))
            continue;
        S_REQUIRE (!s_copy_waited (worker, &now), "a copy waits while its worker has room");
        S_REQUIRE (
          !s_call_waited (worker->service, &now), "a request waits while a worker has room");
    }
}

/*  43: no worker is left that is still asked for nobody.  */
static void s_check (void)
{
    s_check_room ();
    for (unsigned index = 0; index < s_self.task_count; index++) {
        const s_task_t *task = &s_self.tasks[index];
        if (task->ask >= S_CALL)
            continue;
        const s_ask_t *ask = &s_self.asks[task->ask];
        S_REQUIRE (!task->token.v || task->cancelled || !(ask->over || ask->gone),
          "a worker goes on for nobody");
    }
    for (unsigned index = 0; index < S_CLIENTS; index++)
        S_REQUIRE (s_open (s_self.clients[index]) <= s_self.limits.client_open,
          "more copies than client_open");
}

static void s_turn (void)
{
    for (size_t index = 0; index < s_self.wanted.count; index++) {
        rp_action_t action = s_self.wanted.list[index];
        s_carry_out (&action);
    }
    rp_actions_reset (&s_self.wanted);
    s_self.due = rp_dispatch_tick (s_self.core, s_self.now, &s_self.acts);
    s_carry_out_core ();
    if (s_self.wanted.count > 0)
        s_turn ();
    else
        s_check ();
}

static void s_pass (int64_t us)
{
    int64_t until = s_self.now + us;
    for (s_turn (); s_self.now < until; s_turn ()) {
        int64_t next = s_self.due > s_self.now ? s_self.due : s_self.now + 1;
        s_self.now = next < until ? next : until;
    }
}

/*  ---- Events --------------------------------------------------------------------------------- */

static rp_session_id_t s_hello (const rp_head_t *head, unsigned traits)
{
    s_self.admitted.v = 0;
    s_event (&(rp_event_t){.kind = RP_EVENT_MESSAGE,
      .head = head,
      .traits = (uint8_t) (RP_TRAIT_MUTE | traits),
      .principal = "ada"});
    return s_self.admitted;
}

static void s_join_worker (void)
{
    s_worker_t *worker = &s_self.workers[s_draw (S_WORKERS)];
    if (worker->session.v || s_self.joins == S_JOINS)
        return;
    char name[16];
    *worker =
      (s_worker_t){.service = s_draw (4) == 3, .window = s_draw (3), .number = s_self.joins++};
    snprintf (name, sizeof name, "w%u", worker->number);
    worker->session = s_hello (&(rp_head_t){.command = RP_COMMAND_HELLO,
                                 .flags = RP_FLAG_WORKER,
                                 .interval_ms = RP_HEARTBEAT_MAX_MS,
                                 .name = s_services[worker->service],
                                 .name_size = 1,
                                 .key = name,
                                 .key_size = (uint8_t) strlen (name)},
      0);
    // Only now is it known here, when it may get what waits.
    s_message (
      worker->session, &(rp_head_t){.command = RP_COMMAND_CREDIT, .window = worker->window}, NULL);
}

/*  Something about a worker: it gets room, drains, goes.  */
static void s_disturb (void)
{
    s_worker_t *worker = &s_self.workers[s_draw (S_WORKERS)];
    if (!worker->session.v)
        return;
    unsigned kind = s_draw (8);
    if (kind < 5)
        s_message (worker->session,
          &(rp_head_t){.command = RP_COMMAND_CREDIT, .window = worker->window = s_draw (4)}, NULL);
    else if (kind < 6) {
        worker->draining = true;
        s_message (worker->session, &(rp_head_t){.command = RP_COMMAND_DRAIN}, NULL);
    }
    else {
        rp_session_id_t session = worker->session;
        s_forget (session);
        s_message (session, &(rp_head_t){.command = RP_COMMAND_BYE}, NULL);
    }
}

static unsigned s_draw_client (void)
{
    unsigned client = s_draw (S_CLIENTS);
    if (!s_self.clients[client].v)
        s_self.clients[client] = s_hello (
          &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = RP_HEARTBEAT_MAX_MS}, 0);
    return client;
}

/*  An ordinary request.  */
static void s_call (void)
{
    rp_session_id_t client = s_self.clients[s_draw_client ()];
    if (s_self.call_count == S_CALLS || !client.v)
        return;
    unsigned number = s_self.call_count++;
    s_call_t *call = &s_self.calls[number];
    *call = (s_call_t){.client = client, .service = s_draw (4) == 3, .since = s_self.task_count};
    s_message (client,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = S_CALL + number,
        .deadline_ms = 1 + s_draw (200),
        .attempts = 1,
        .name = s_services[call->service],
        .name_size = 1},
      s_payload ((unsigned) S_CALL + number));
}

static void s_submit (void)
{
    unsigned client = s_draw_client ();
    if (s_self.count == S_ASKS || !s_self.clients[client].v)
        return;
    s_turn (); // what waits begins before, so that who is there now is asked
    char number[16];
    uint8_t headers[64];
    size_t size = 0;
    uint32_t timeout = 1 + s_draw (200);
    s_ask_t *ask = &s_self.asks[++s_self.count];
    unsigned goal = s_draw (4);
    *ask = (s_ask_t){.client = s_self.clients[client],
      .service = s_draw (4) == 3,
      .since = UINT_MAX, // until the core has its copies
      .first = goal == 1 ? 1 + s_draw (4) : 0,
      .quorum = goal == 2 ? 1 + s_draw (4) : 0,
      .deadline = s_self.now + timeout * S_MS};
    snprintf (number, sizeof number, "%u", ask->first + ask->quorum);
    if (goal == 1 || goal == 2)
        (void) rp_headers_append (
          headers, &size, sizeof headers, goal == 1 ? RP_ALL_FIRST : RP_ALL_QUORUM, number);
    for (unsigned index = 0; index < S_WORKERS; index++) {
        const s_worker_t *worker = &s_self.workers[index];
        if (worker->session.v && !worker->draining && worker->service == ask->service)
            ask->asked |= UINT64_C (1) << worker->number;
    }
    unsigned workers = (unsigned) __builtin_popcountll (ask->asked);
    if (s_self.ruled || ask->quorum > workers
        || s_open (ask->client) + workers > s_self.limits.client_open)
        ask->asked = 0; // it is refused
    ask->open = ask->asked ? workers : 0;
    s_message (ask->client,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .flags = RP_FLAG_ALL,
        .id = s_self.count,
        .deadline_ms = timeout,
        .attempts = 1,
        .name = s_services[ask->service],
        .name_size = 1,
        .headers = headers,
        .headers_size = (uint16_t) size},
      s_payload (s_self.count));
    if (s_bites (S_MISCOUNT) && s_self.wanted.count > 1
        && s_self.wanted.list[0].kind == RP_ACTION_START)
        s_self.wanted.list[0].kind = RP_ACTION_LOG; // nothing is done
    s_turn ();
    ask->since = s_self.task_count;
}

static void s_answer (void)
{
    static const uint8_t statuses[] = {RP_OK, RP_OK, RP_OK, RP_APP_ERROR, RP_WORKER_LOST};
    unsigned place = s_draw (s_self.task_count + 1);
    if (place == s_self.task_count || !s_self.tasks[place].token.v)
        return;
    s_task_t task = s_self.tasks[place];
    s_self.tasks[place].token.v = 0;
    rp_head_t head = {
      .command = RP_COMMAND_REPLY, .id = task.token.v, .status = statuses[s_draw (5)]};
    if (head.status == RP_WORKER_LOST && s_draw (2)) {
        head.lost = RP_LOST_UNBEGUN;
        s_find_worker (task.worker)->window = 0; // it gets nothing until its next CREDIT
        if (task.ask < S_CALL)
            s_self.asks[task.ask].given &= ~(UINT64_C (1) << task.number);
    }
    s_message (task.worker, &head, s_payload (task.ask));
}

static void s_cancel (void)
{
    unsigned id = s_draw (s_self.count + 1);
    if (id == 0 || s_self.asks[id].gone)
        return;
    s_self.asks[id].cancelled = true;
    s_message (s_self.asks[id].client, &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = id}, NULL);
}

static void s_leave (void)
{
    rp_session_id_t session = s_self.clients[s_draw (S_CLIENTS)];
    if (!session.v)
        return;
    s_forget (session);
    s_message (session, &(rp_head_t){.command = RP_COMMAND_BYE}, NULL);
}

static void s_change_rules (void)
{
    s_turn ();
    s_self.ruled = !s_self.ruled;
    s_event (&(rp_event_t){.kind = RP_EVENT_RULES, .rules = s_rules[s_self.ruled]});
    rp_surveys_recheck (s_self.surveys, &s_self.wanted);
    s_turn ();
}

static void s_step (void)
{
    unsigned kind = s_draw (64);
    if (kind < 10)
        s_submit ();
    else if (kind < 18)
        s_call ();
    else if (kind < 22)
        s_join_worker ();
    else if (kind < 27)
        s_disturb ();
    else if (kind < 50)
        s_answer ();
    else if (kind < 52)
        s_cancel ();
    else if (kind < 53)
        s_leave ();
    else if (kind < 54)
        s_change_rules ();
    else
        s_pass ((int64_t) s_draw (20) * S_MS);
    s_turn ();
}

/*  ---- All of it ------------------------------------------------------------------------------ */

static void s_begin (void)
{
    rp_actions_init (&s_self.acts);
    rp_actions_init (&s_self.wanted);
    rp_actions_init (&s_self.told);
    s_self.now = 1000000000;
    s_self.limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    s_self.limits.rejoin_grace = s_self.limits.service_linger = 0;
    s_self.limits.client_open = 2 + s_draw (10);
    s_self.bent = s_self.limits;
    if (s_self.bug == S_OVER_LIMIT)
        s_self.bent.client_open = 1000;
    s_self.throttled = s_draw (2);
    s_self.terms = (rp_terms_t){.concurrency = 1 + s_draw (3), .name = "b", .name_size = 1};
    s_self.core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = s_self.limits,
      .seed = 31,
      .instance = 7,
      .version = "0",
      .now = s_self.now,
      .rules = s_rules[0],
      .terms = {&s_self.terms, s_self.throttled},
      .surveys = true});
    s_self.surveys = rp_surveys_new (
      &(rp_surveys_options_t){.core = s_self.core, .limits = &s_self.bent, .seed = 77});
    if (!s_self.core || !s_self.surveys)
        abort ();
    s_self.client =
      s_hello (&(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = RP_HEARTBEAT_MAX_MS},
        RP_TRAIT_TRUSTED);
    for (unsigned index = 0; index < 3; index++)
        s_join_worker ();
}

static void s_end (void)
{
    s_pass (250 * S_MS);
    for (unsigned index = 1; index <= s_self.count; index++)
        S_REQUIRE (
          s_self.asks[index].over || s_self.asks[index].gone, "request %u has no final", index);
    while (s_self.task_count > 0 && !s_self.tasks[s_self.task_count - 1].token.v)
        s_self.task_count--;
    S_REQUIRE (rp_surveys_open (s_self.surveys) == 0, "a survey is left");
    rp_dispatch_destroy (&s_self.core, &s_self.acts);
    for (size_t index = 0; index < s_self.acts.count; index++)
        s_free (s_self.acts.list[index].payload);
    rp_surveys_destroy (&s_self.surveys);
    S_REQUIRE (s_self.payloads == 0, "%zu messages are left", s_self.payloads);
    rp_actions_clear (&s_self.acts);
    rp_actions_clear (&s_self.wanted);
    rp_actions_clear (&s_self.told);
}

static void s_run (uint64_t seed, int bug)
{
    memset (&s_self, 0, sizeof s_self);
    s_self.seed = seed;
    s_self.random = seed * 0xd1342543de82ef95u;
    s_self.bug = bug;
    s_begin ();
    for (unsigned steps = 50 + s_draw (250); steps > 0; steps--)
        s_step ();
    s_end ();
}

static bool s_is_caught (int bug, uint64_t most)
{
    fflush (stdout);
    for (uint64_t seed = 1; seed <= most; seed++) {
        pid_t child = fork ();
        if (child == 0) {
            s_quiet = true;
            s_run (seed, bug);
            _exit (0);
        }
        int status = 0;
        if (child < 0 || waitpid (child, &status, 0) != child)
            exit (2);
        if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
            continue;
        printf ("%s: caught with seed %" PRIu64 "\n", s_bug_names[bug], seed);
        return true;
    }
    printf ("%s: not caught in %" PRIu64 " seeds\n", s_bug_names[bug], most);
    return false;
}

static void s_mistake (const char *message, void *arg)
{
    (void) arg;
    printf ("%s\n", message);
    exit (2);
}

static rp_rules_t *s_read (const char *text)
{
    rp_rules_t *rules = rp_rules_read (text, strlen (text), s_mistake, NULL);
    if (!rules)
        exit (2);
    return rules;
}

int main (int argc, char **argv)
{
    bool bugs = argc == 3 && strcmp (argv[1], "--bugs") == 0;
    if (argc < 2 || argc > 3) {
        fprintf (
          stderr, "usage: simulator_surveys SEED [COUNT]\n       simulator_surveys --bugs COUNT\n");
        return 2;
    }
    uint64_t first = strtoull (argv[1], NULL, 10);
    uint64_t count = argc > 2 ? strtoull (argv[2], NULL, 10) : 1;
    s_rules[0] = s_read ("principal = \"ada\"\n    call = \"*\"\n    serve = \"*\"\n");
    s_rules[1] = s_read ("principal = \"ada\"\n    serve = \"*\"\n");
    int missed = 0;
    for (int bug = 0; bugs && bug < S_BUG_COUNT; bug++)
        missed += !s_is_caught (bug, count);
    clock_t begin = clock ();
    for (uint64_t seed = first; !bugs && seed - first < count; seed++)
        s_run (seed, -1);
    if (!bugs)
        printf ("%" PRIu64 " seeds, nothing wrong, %.1f s\n", count,
          (double) (clock () - begin) / CLOCKS_PER_SEC);
    rp_rules_destroy (&s_rules[0]);
    rp_rules_destroy (&s_rules[1]);
    return missed > 0;
}
