/*  Bugs that a broker could have, between the core and the world.

    SPDX-License-Identifier: MPL-2.0

    Each strikes only a few times in a run, so that its effect is not lost among others.
*/

#include <string.h>

#include "tests/history/world.h"

#define S_BITES 5u

/*  name, what it does  */
#define S_BUG_MAP(X)                                                                               \
    X (DROP_REPLY, "drop-reply")                    /* a reply is not sent */                      \
    X (FORGET_FINAL, "forget-final")                /* a request never ends */                     \
    X (LOSE_REQUEST, "lose-request")                /* a request is read and forgotten */          \
    X (LATE_FINAL, "late-final")                    /* the end comes long after the deadline */    \
    X (SWAP_REPLIES, "swap-replies")                /* two replies have each other's body */       \
    X (REPLY_TWICE, "reply-twice")                  /* a client gets an end twice */               \
    X (FINAL_TWICE, "final-twice")                  /* a request ends twice */                     \
    X (DELIVER_TWICE, "deliver-twice")              /* two workers get one delivery */             \
    X (REDELIVER_ONCE_ONLY, "redeliver-attempts-1") /* attempts = 1 is taken for 2 */              \
    X (TOO_MANY_STARTS, "too-many-starts")          /* more attempts than allowed */               \
    X (NEVER_GIVEN, "never-given")                  /* NO_WORKER of one that ran */                \
    X (ACCEPT_LATE, "accept-late")                  /* a reply of an earlier delivery is taken */  \
    X (ACCEPT_FORGED, "accept-forged")              /* a reply is taken twice */                   \
    X (OTHER_CLIENT, "other-client")                /* a reply goes to another client */           \
    X (AFTER_DEADLINE, "after-deadline")            /* deadlines are taken for later ones */       \
    X (WRONG_ATTEMPT, "wrong-attempt")              /* the worker gets a wrong number */           \
    X (MISCOUNT_WAITING, "miscount-waiting")        /* one of those that wait is not counted */    \
    X (MISCOUNT_FINALS, "miscount-finals")          /* an end that was none is counted */          \
    X (IDLE_WORKER, "idle-worker")                  /* a request waits while a worker has room */  \
    X (FORGET_TALK, "forget-conversation") /* a request is taken out of its conversation */        \
    X (MOVE_TALK, "move-conversation")     /* a request goes to a worker without its state */      \
    X (IGNORE_CANCEL, "ignore-cancel")     /* a cancel is read and forgotten */                    \
    X (MADE_UP_ANSWER, "made-up-answer")   /* the broker answers by itself */                      \
    X (IGNORE_RULE, "ignore-rule")         /* everybody may call everything */                     \
    X (MADE_UP_DENIAL, "made-up-denial")   /* what is allowed is denied */                         \
    X (OTHER_PRINCIPAL, "other-principal") /* a session gets that of another */                    \
    X (KEEP_RULES, "keep-rules")           /* the former rules stay in force */                    \
    X (KEEP_REVOKED, "keep-revoked")       /* a session outlives its key */                        \
    X (FORGET_RESULT, "forget-result")     /* a result is not remembered for its key */            \
    X (OTHER_REPLAY, "other-replay")       /* a replay is of another key */                        \
    X (RUN_MISMATCH, "run-mismatch")       /* what ran draws KEY_MISMATCH */                       \
    X (INVERT_PRIORITY, "invert-priority") /* the highest comes last */                            \
    X (IGNORE_PRIORITY, "ignore-priority") /* all have the same */                                 \
    X (NEVER_AGE, "never-age")             /* who waits does not rise */                           \
    X (AGE_AT_ONCE, "age-at-once")         /* who waits rises at once */

typedef enum {
#define S_BUG_ENUM(name, text) S_##name,
    S_BUG_MAP (S_BUG_ENUM)
#undef S_BUG_ENUM
      S_BUG_COUNT
} s_bug_t;

static const char *const s_names[] = {
#define S_BUG_NAME(name, text) text,
  S_BUG_MAP (S_BUG_NAME)
#undef S_BUG_NAME
};

int world_bug (const char *name)
{
    for (int bug = 0; bug < S_BUG_COUNT; bug++)
        if (strcmp (name, s_names[bug]) == 0)
            return bug;
    return -1;
}

const char *world_bug_name (int bug)
{
    return bug < S_BUG_COUNT ? s_names[bug] : NULL;
}

/*  Returns true a few times, at random.  */
static bool s_bites (world_t *self)
{
    if (self->bites >= S_BITES || world_draw (self, 4) != 0)
        return false;
    self->bites++;
    return true;
}

static world_request_t *s_request (world_t *self, uint64_t id)
{
    return id > 0 && id <= self->id_count ? &self->requests[self->ids[id]] : NULL;
}

/*  ---- Events for the core -------------------------------------------------------------------- */

/*  Turns a reply of an earlier delivery into one of the latest.  */
static void s_take_late (world_t *self, rp_event_t *event, rp_head_t *head)
{
    const world_request_t *request =
      event->payload ? &self->requests[event->payload->request] : NULL;
    if (!request || request->token.v == 0 || request->token.v == head->id
        || !world_peer (self, request->worker) || !s_bites (self))
        return;
    head->id = request->token.v;
    event->session = request->worker;
}

static bool s_take_request (world_t *self, rp_head_t *head)
{
    switch ((s_bug_t) self->bug) {
        case S_LOSE_REQUEST:
            return !s_bites (self);
        case S_REDELIVER_ONCE_ONLY:
            if (head->attempts == 1 && !head->conversation)
                head->attempts = 2;
            self->bites++;
            break;
        case S_TOO_MANY_STARTS:
            if (head->attempts > 1 && !head->conversation)
                head->attempts = (uint8_t) (head->attempts + 3);
            self->bites++;
            break;
        case S_AFTER_DEADLINE:
            head->deadline_ms += 2500;
            self->bites++;
            break;
        case S_INVERT_PRIORITY:
            self->bites += head->priority != 0;
            head->priority = (uint8_t) (RP_PRIORITY_MAX + 1 - rp_wire_priority (head));
            break;
        case S_IGNORE_PRIORITY:
            self->bites += head->priority != 0;
            head->priority = 0;
            break;
        case S_FORGET_TALK:
            if (head->conversation && !(head->flags & RP_FLAG_OPEN) && s_bites (self))
                head->conversation = 0;
            break;
        default:
            break;
    }
    return true;
}

/*  Gives a session the principal of another.  */
static void s_take_hello (world_t *self, rp_event_t *event)
{
    if (self->bug == S_OTHER_PRINCIPAL && event->principal && s_bites (self))
        event->principal = strcmp (event->principal, "ada") == 0 ? "bob" : "ada";
}

uint64_t world_bug_age_step (world_t *self, uint64_t age_step)
{
    if (self->bug != S_NEVER_AGE && self->bug != S_AGE_AT_ONCE)
        return age_step;
    self->bites += self->prioritised;
    return self->bug == S_NEVER_AGE ? 3600000 : 1;
}

bool world_bug_allows (world_t *self, const char *rule, bool allowed)
{
    bool call = strcmp (rule, "call") == 0;
    if (call && self->bug == S_IGNORE_RULE) {
        self->bites++;
        return true;
    }
    if (call && self->bug == S_MADE_UP_DENIAL && allowed && s_bites (self))
        return false;
    return allowed;
}

bool world_bug_event (world_t *self, rp_event_t *event, rp_head_t *head)
{
    if (event->kind == RP_EVENT_RULES && self->bug == S_KEEP_RULES)
        return !s_bites (self);
    if (event->kind == RP_EVENT_REVOKED && self->bug == S_KEEP_REVOKED)
        return !s_bites (self);
    if (event->kind != RP_EVENT_MESSAGE || (self->keyed.v && event->session.v == self->keyed.v))
        return true;
    if (head->command == RP_COMMAND_HELLO)
        s_take_hello (self, event);
    if (head->command == RP_COMMAND_REQUEST)
        return s_take_request (self, head);
    if (head->command == RP_COMMAND_CANCEL && self->bug == S_IGNORE_CANCEL) {
        const world_request_t *request = s_request (self, head->id);
        return !(request && request->open && s_bites (self));
    }
    if (head->command == RP_COMMAND_REPLY && self->bug == S_ACCEPT_LATE)
        s_take_late (self, event, head);
    return true;
}

/*  ---- Actions from the core ------------------------------------------------------------------ */

static void s_hold (world_t *self, const rp_action_t *action, int64_t pause)
{
    world_later (self, pause,
      &(world_event_t){.kind = WORLD_ACTION, .instance = self->instance, .action = *action});
}

/*  Returns another peer of the same kind, if possible of the same service.  */
static rp_session_id_t s_other (const world_t *self, rp_session_id_t session)
{
    rp_session_id_t found = {0};
    const world_peer_t *one = world_peer ((world_t *) self, session);
    for (unsigned peer = 0; one && peer < WORLD_PEERS; peer++) {
        const world_peer_t *other = &self->peers[peer];
        if (other != one && other->worker == one->worker && other->session.v
            && (!one->worker || other->service == one->service))
            found = other->session;
    }
    return found;
}

static void s_swap_replies (world_t *self, rp_action_t *action)
{
    if (!self->holds) {
        self->kept = action->payload;
        self->holds = s_bites (self);
    }
    else if (self->kept->request != action->payload->request) {
        action->payload = self->kept;
        self->holds = false;
    }
}

static bool s_send_reply (world_t *self, rp_action_t *action)
{
    bool ok = action->head.status == RP_OK && action->payload;
    switch ((s_bug_t) self->bug) {
        case S_DROP_REPLY:
            return !(ok && s_bites (self));
        case S_FORGET_FINAL:
            return action->head.id != (uint64_t) self->held.number || !self->holds;
        case S_LATE_FINAL:
            if (!ok || !s_bites (self))
                break;
            s_hold (self, action, 9000000);
            return false;
        case S_SWAP_REPLIES:
            if (ok)
                s_swap_replies (self, action);
            break;
        case S_REPLY_TWICE:
            if (s_bites (self))
                world_do (self, action);
            break;
        case S_NEVER_GIVEN:
            if (ok && s_bites (self)) {
                action->head.status = RP_NO_WORKER;
                action->payload = NULL;
            }
            break;
        case S_OTHER_CLIENT:
            if (ok && s_bites (self))
                action->session = s_other (self, action->session);
            break;
        case S_MADE_UP_ANSWER:
            if (!ok && s_bites (self))
                action->head.status = RP_OK;
            break;
        default:
            break;
    }
    return true;
}

static bool s_send_request (world_t *self, rp_action_t *action)
{
    rp_session_id_t other = s_other (self, action->session);
    rp_action_t copy = *action;
    switch ((s_bug_t) self->bug) {
        case S_DELIVER_TWICE:
            if (!other.v || !s_bites (self))
                break;
            copy.session = other;
            world_do (self, &copy);
            break;
        case S_WRONG_ATTEMPT:
            if (s_bites (self))
                action->head.attempt++;
            break;
        case S_MOVE_TALK:
            if (action->head.conversation && !(action->head.flags & RP_FLAG_OPEN) && other.v
                && s_bites (self))
                action->session = other;
            break;
        case S_IDLE_WORKER:
            if (!self->holds)
                break;
            self->holds = false;
            s_hold (self, action, 2000);
            return false;
        default:
            break;
    }
    return true;
}

static bool s_note (world_t *self, rp_action_t *action)
{
    rp_record_kind_t kind = action->note.kind;
    const world_request_t *request = s_request (self, action->note.id);
    switch ((s_bug_t) self->bug) {
        case S_FORGET_FINAL:
            self->holds = kind == RP_RECORD_FINAL && s_bites (self);
            self->held.number = (unsigned) action->note.id;
            return !self->holds;
        case S_FINAL_TWICE:
            if (kind == RP_RECORD_FINAL && s_bites (self))
                world_do (self, action);
            break;
        case S_ACCEPT_FORGED:
            if (kind == RP_RECORD_ANSWER && s_bites (self))
                world_do (self, action);
            break;
        case S_IDLE_WORKER:
            if (kind != RP_RECORD_DISPATCH || !request || request->key || self->holds
                || !s_bites (self))
                break;
            self->holds = true;
            s_hold (self, action, 2000);
            return false;
        default:
            break;
    }
    return true;
}

void world_bug_keyed (world_t *self, rp_replays_request_t *request)
{
    if (self->bug == S_FORGET_RESULT && s_bites (self))
        request->principal = "nobody"; // of whom there is no result
}

void world_bug_told (world_t *self, rp_action_t *action)
{
    const world_request_t *request = s_request (self, action->head.id);
    if (self->bug == S_OTHER_REPLAY && action->head.flags & RP_FLAG_REPLAYED) {
        rp_payload_t *payload = action->payload;
        if (self->kept
            && strcmp (self->requests[self->kept->request].idempotency, request->idempotency) != 0
            && s_bites (self))
            action->payload = self->kept;
        self->kept = payload;
    }
    if (self->bug == S_RUN_MISMATCH && action->head.status == RP_OK
        && !(action->head.flags & RP_FLAG_REPLAYED) && s_bites (self)) {
        action->head.status = RP_KEY_MISMATCH;
        action->payload = NULL;
    }
}

bool world_bug_action (world_t *self, rp_action_t *action)
{
    if (action->session.v == self->keyed.v && self->keyed.v)
        return true; // executions for keys, which have bugs of their own
    if (action->kind == RP_ACTION_HISTORY)
        return s_note (self, action);
    if (action->kind != RP_ACTION_SEND)
        return true;
    if (action->head.command == RP_COMMAND_REPLY)
        return s_send_reply (self, action);
    if (action->head.command == RP_COMMAND_REQUEST)
        return s_send_request (self, action);
    return true;
}

void world_bug_stats (world_t *self, rp_stats_t *stats)
{
    if (self->bug == S_MISCOUNT_WAITING && stats->waiting > 0) {
        stats->waiting--;
        self->bites++;
    }
    else if (self->bug == S_MISCOUNT_FINALS && self->now > 1000500000) {
        stats->final[RP_OK]++;
        self->bites++;
    }
}
