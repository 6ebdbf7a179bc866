/*  Simulator of jobs: broker/jobs with the real core, over a store that forgets what it has not committed, under random
    events from a seed.

    SPDX-License-Identifier: MPL-2.0

    simulator_jobs SEED [COUNT]   runs COUNT seeds (1), from SEED on
    simulator_jobs --bugs COUNT   runs seeds with each bug that it knows until one is caught; COUNT seeds at
                                  most

    Clients submit jobs, ask for results, cancel, and remove what is done; dead ones are purged; workers answer, fail, decline, are slow and are lost; the
    store is full or busy; the clock of the wall jumps; the broker is lost between any two commits, and begins again
    over the same store. Then all is well for a while, and what docs/CONTRACT.md promises is checked.

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

#include "broker/jobs/jobs_state.h"
#include "tests/support/jobs_world.h"

#define S_MS 1000
#define S_SECOND INT64_C (1000000)
#define S_HOUR (3600 * S_SECOND)
#define S_JOBS 160u
#define S_CLIENTS 3u
#define S_OTHER 2u /* the number of another broker */
#define S_SERVICES 2u
#define S_REPLIES 4096u
/*  A reply's content: of which job, and which of its replies.  */
#define S_REPLY(content, number) ((content) *1000 + (number))

/*  name, what it does. Each is between the jobs and the world, or in the store.  */
#define S_BUG_MAP(X)                                                                               \
    X (EARLY_ACCEPT, "accept-before-commit")  /* ACCEPTED before the job is on disk */             \
    X (LOST_COMMIT, "lose-commit")            /* what was said to be on disk is not */             \
    X (FORGET_FINAL, "forget-final")          /* a final is not written */                         \
    X (RUN_AFTER_FINAL, "run-after-final")    /* a job that has ended is given to a worker */      \
    X (EARLY_START, "start-before-commit")    /* an attempt begins before it is noted */           \
    X (COUNT_UNBEGUN, "count-unbegun")        /* an attempt that never began counts */             \
    X (LOSE_ROW, "lose-row-in-load")          /* a row that was passed is not loaded */            \
    X (HORIZON, "horizon-off-by-one")         /* a LOAD begins one place too far */                \
    X (SWAP_RESULTS, "other-result")          /* a client gets the result of another job */        \
    X (NO_PAUSE, "retry-without-pause")       /* the next attempt follows at once */               \
    X (EARLY_DEATH, "dead-too-early")         /* the last attempt is not made */                   \
    X (SHARED_KEYS, "keys-without-principal") /* all principals share keys */                      \
    X (SKIP_RUNNING, "skip-running-at-start") /* what ran is not taken up after a start */         \
    X (REPLAY_OTHER, "replay-another")        /* a key is answered with another job */             \
    X (REORDER, "overtake")                   /* a later job begins first */                       \
    X (DEAF_CANCEL, "cancel-unheard")         /* a question that is cancelled goes on waiting */   \
    X (REPLAY_REFUSED, "refuse-a-replay")     /* a key that has a job finds no room */             \
    X (JUMP_CUTS, "pause-cut-by-a-jump")      /* a pause ends when the clock is set forward */     \
    X (JUMP_WAITS, "wait-for-the-clock")      /* what is due waits when the clock is set back */   \
    X (REMOVE_DEAD, "remove-a-dead-job")      /* which only a purge may */                         \
    X (REMOVE_OTHER, "remove-another")        /* than the one that was asked for */                \
    X (KEEP_REMOVED, "keep-what-is-removed")  /* a job is said to be removed, and is not */        \
    X (PURGE_DONE, "purge-a-done-job")        /* a purge takes what is not dead */                 \
    X (NO_FENCE, "commit-without-epoch")      /* a broker that was not heard goes on writing */    \
    X (DEAF_TO_NEWS, "adopt-and-forget")      /* jobs that were taken over are not begun */        \
    X (DEAF_TO_LOSS, "keep-what-was-lost")    /* a broker takes a loss for an outage */            \
    X (DEAF_TO_ENDS, "end-unheard")           /* what others have ended stays open */              \
    X (COUNT_TWICE, "end-counted-twice")      /* or ends once as news, and once by itself */

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

/*  A job that a client has submitted, by content.  */
typedef struct {
    bool submitted;
    bool clean; /* nothing happened to it that changes its place */
    unsigned client;
    unsigned service;
    unsigned key; /* 0: none */
    unsigned body;
    jobs_terms_t terms;
    uint64_t accepted; /* the job that its client was told; 0: none */
    unsigned spent;    /* attempts on disk that were not given back */
    bool given_back;   /* the latest never began; it is not on disk yet that it did not */
    uint64_t begun;    /* turn in which it was submitted */
    uint64_t known;    /* turn in which it was accepted */
    uint64_t claimed;  /* turn in which its attempt was ordered */
    unsigned replies;
    int64_t failed_at; /* now: when the latest failure was noted; 0: none */
    unsigned failed;   /* after so many attempts */
} s_job_t;

/*  A question of a client.  */
typedef struct {
    uint64_t job;
    unsigned client;
    unsigned answers;
    bool waits;
    bool withdrawn;
    bool foreign; /* about a job of another principal */
    bool late;    /* asked after somebody was told that the job is removed */
} s_asked_t;

/*  A job as it was before the latest operation that removes any.  */
typedef struct {
    rp_job_state_t state;
    uint64_t content;
    uint64_t reply;
    bool has_reply;
    bool asked;   /* its principal has asked for its removal */
    bool removed; /* it is not on disk any more */
    bool told;    /* that it is removed */
} s_gone_t;

typedef struct {
    uint64_t random;
    uint64_t seed;
    int bug; /* -1: none */
    unsigned bites;
    bool jumps;
    bool set_back; /* the clock was, by a jump */
    bool
      astray; /* and a broker that began after it may not know it, if it had accepted no job since */
    bool fulls;
    bool shared;  /* other brokers have the store too */
    bool bad;     /* workers mostly fail */
    bool crowded; /* few jobs may be open */
    bool healed;
    jobs_world_t world;
    s_job_t jobs[S_JOBS + 1];
    unsigned count;
    uint64_t request;           /* of questions */
    s_asked_t asked[S_REPLIES]; /* by request of a question */
    s_gone_t gone[S_JOBS + 1];  /* by job; each is a submission that was written */
    uint64_t purges;
    uint64_t turn;
    int64_t last_due[S_SERVICES];      /* of jobs that have begun: the latest */
    uint64_t last_claimed[S_SERVICES]; /* the turn in which that was ordered */
    uint64_t held_content;             /* a bug's */
    int64_t clock_most;                /* of the jobs */
} s_simulation_t;

static s_simulation_t s_self;
static bool s_quiet;

__attribute__ ((noreturn, format (printf, 1, 2))) static void s_fail (const char *format, ...)
{
    if (!s_quiet) {
        va_list arguments;
        va_start (arguments, format);
        printf ("seed %" PRIu64 ": ", s_self.seed);
        vprintf (format, arguments);
        printf ("\nagain: simulator_jobs %" PRIu64 "\n", s_self.seed);
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
    if (s_self.bug != (int) bug || s_self.healed || s_draw (3) != 0)
        return false;
    s_self.bites++;
    return true;
}

static const char *const s_services[] = {"a", "b"};
static const char *const s_keys[] = {NULL, "k1", "k2", "k3"};
static const char *const s_principals[] = {"ada", "bob", "eve"};

static s_job_t *s_job (uint64_t content)
{
    return content > 0 && content <= s_self.count ? &s_self.jobs[content] : NULL;
}

static uint64_t s_content (const model_row_t *row)
{
    uint64_t content = 0;
    memcpy (&content, row->body.data, sizeof content);
    return content;
}

/*  ---- What passes ---------------------------------------------------------------------------- */

static bool s_ended (const model_row_t *row)
{
    return row->state == RP_JOB_DONE || row->state == RP_JOB_DEAD;
}

static void s_see_start (jobs_world_t *world, const jobs_task_t *task)
{
    const model_row_t *row = model_store_row (&world->store, task->job);
    const s_job_t *job = s_job (task->content);
    if (!row || !job)
        s_fail ("a worker gets %" PRIu64 ", which is not on disk", task->content);
    if (row->taken)
        return; // since its attempt was noted
    if (s_ended (row))
        s_fail ("job %" PRIu64 " begins after its final", row->id);
    if (row->state != RP_JOB_RUNNING || row->attempt != task->attempt)
        s_fail ("attempt %u of job %" PRIu64 " begins, and on disk is %u", task->attempt, row->id,
          row->attempt);
    if (task->attempt > job->terms.attempts)
        s_fail ("job %" PRIu64 " begins too often", row->id);
    if (job->failed_at) {
        int64_t pause = job->terms.backoff_ms << (job->failed - 1);
        if (world->now - job->failed_at < pause * S_MS * 3 / 4)
            s_fail ("job %" PRIu64 " begins again without a pause", row->id);
    }
}

static void s_see_order (const rp_store_op_t *op, const model_row_t *row)
{
    s_job_t *job = s_job (s_content (row));
    unsigned service = row->service.size == 1 && *(const char *) row->service.data == 'b';
    if (s_self.jumps || s_self.fulls || !job->clean || op->attempt != 1)
        return;
    if (row->due < s_self.last_due[service] && job->known
        && job->known < s_self.last_claimed[service])
        s_fail ("job %" PRIu64 " begins after one that was due later", row->id);
    if (row->due > s_self.last_due[service]) {
        s_self.last_due[service] = row->due;
        s_self.last_claimed[service] = job->claimed;
    }
}

static uint64_t s_reply_of (const model_row_t *row)
{
    uint64_t reply = 0;
    if (row->reply.size == sizeof reply)
        memcpy (&reply, row->reply.data, sizeof reply);
    return reply;
}

/*  Bugs of a final that has just been written.  */
static void s_spoil_final (jobs_world_t *world, const model_row_t *row)
{
    if (s_bites (S_FORGET_FINAL))
        world->store.rows[row->id]->state = RP_JOB_RUNNING;
    if (s_bites (S_RUN_AFTER_FINAL))
        s_see_start (world,
          &(jobs_task_t){.job = row->id, .content = s_content (row), .attempt = row->attempt});
}

/*  Notes the jobs before an operation that removes some.  */
static void s_note_jobs (void)
{
    for (uint64_t id = 1; id <= S_JOBS; id++) {
        const model_row_t *row = model_store_row (&s_self.world.store, id);
        s_gone_t *gone = &s_self.gone[id];
        if (!row)
            continue;
        gone->state = row->state;
        gone->content = s_content (row);
        gone->has_reply = row->has_reply;
        gone->reply = s_reply_of (row);
    }
}

/*  A bug: a job vanishes that should not.  */
static void s_spoil_removal (jobs_world_t *world, const rp_store_op_t *op)
{
    for (uint64_t id = 1; id <= S_JOBS; id++) {
        const model_row_t *row = model_store_row (&world->store, id);
        bool dead = row && row->state == RP_JOB_DEAD && id == op->id && op->kind == RP_STORE_REMOVE
                    && s_bites (S_REMOVE_DEAD);
        bool done =
          row && row->state == RP_JOB_DONE && op->kind == RP_STORE_PURGE && s_bites (S_PURGE_DONE);
        if (dead || done)
            world->store.rows[id] = NULL;
    }
}

/*  Checks what an operation has removed.  */
static void s_see_removal (jobs_world_t *world, const rp_store_op_t *op, const rp_stored_t *result)
{
    uint64_t count = 0;
    s_spoil_removal (world, op);
    for (uint64_t id = 1; id <= S_JOBS; id++) {
        s_gone_t *gone = &s_self.gone[id];
        if (gone->content == 0 || gone->removed || model_store_row (&world->store, id))
            continue;
        const s_job_t *job = s_job (gone->content);
        gone->removed = true;
        count++;
        bool removes = op->kind == RP_STORE_REMOVE && op->id == id && gone->asked;
        bool purges = op->kind == RP_STORE_PURGE
                      && (op->id ? op->id == id : *op->text == *s_services[job->service]);
        if (!removes && !purges)
            s_fail ("job %" PRIu64 " is removed, and nobody asked for that", id);
        if (gone->state != (removes ? RP_JOB_DONE : RP_JOB_DEAD))
            s_fail ("job %" PRIu64 " is removed, and is not %s", id, removes ? "done" : "dead");
    }
    uint64_t said = result->outcome != RP_STORED_SAFE ? 0
                    : op->kind == RP_STORE_PURGE      ? result->count
                                                      : 1;
    if (count != said)
        s_fail ("%" PRIu64 " jobs are said to be removed, and %" PRIu64 " are", said, count);
}

static void s_see_commit (
  jobs_world_t *world, const rp_store_op_t *op, const rp_stored_t *result, const model_row_t *row)
{
    if (op->kind == RP_STORE_REMOVE || op->kind == RP_STORE_PURGE)
        s_see_removal (world, op, result);
    if (result->outcome != RP_STORED_SAFE || !row)
        return;
    s_job_t *job = s_job (s_content (row));
    if (!job)
        return;
    bool runs = op->kind == RP_STORE_ATTEMPT || op->kind == RP_STORE_PARK
                || (op->kind == RP_STORE_FINAL && op->status != RP_CANCELLED);
    if (runs && row->elsewhere)
        s_fail ("job %" PRIu64 " is another broker's, and is written", row->id);
    switch ((rp_store_kind_t) op->kind) {
        case RP_STORE_PUT:
        case RP_STORE_ATTEMPT:
            if (op->attempt == 0)
                break;
            job->spent++;
            s_see_order (op, row);
            break;
        case RP_STORE_PARK:
            job->clean = false;
            if (job->given_back && !op->unbegun)
                s_fail ("an attempt of job %" PRIu64 " counts, and never began", row->id);
            job->spent -= op->unbegun && op->attempt < job->spent; // or it is put off
            job->given_back = false;
            break;
        case RP_STORE_FINAL:
            if ((op->status == RP_OK || op->status == RP_APP_ERROR)
                && (!row->has_reply || s_reply_of (row) / 1000 != s_content (row)
                    || s_reply_of (row) % 1000 >= job->replies))
                s_fail ("the final of job %" PRIu64 " is no reply of its workers", row->id);
            if (op->dead && job->spent - job->given_back < job->terms.attempts)
                s_fail ("job %" PRIu64 " is dead after %u attempts of %u", row->id, job->spent,
                  job->terms.attempts);
            s_spoil_final (world, row);
            break;
        default:
            break;
    }
}

static void s_note_failure (s_job_t *job, unsigned attempt, int64_t now)
{
    if (job->failed_at && job->failed == attempt)
        return; // it is written again
    job->failed_at = now;
    job->failed = attempt;
}

static void s_see_answer (jobs_world_t *world, rp_head_t *head, uint64_t unused)
{
    (void) world;
    (void) unused;
    const rp_job_t *attempt = rp_pool_find (&world->jobs->jobs, head->id);
    if (!attempt || head->status == RP_OK || head->status == RP_APP_ERROR)
        return;
    const model_row_t *row = model_store_row (&world->store, attempt->id);
    s_job_t *job = row ? s_job (s_content (row)) : NULL;
    if (job && head->attempt >= attempt->attempt)
        s_note_failure (job, attempt->attempt, world->now);
    if (!job || head->attempt >= attempt->attempt)
        return; // it began
    job->given_back = true;
    job->failed_at = 0;
    if (s_bites (S_COUNT_UNBEGUN))
        head->attempt = attempt->attempt;
}

/*  A client learns which job its request is.  */
static void s_see_accepted (jobs_world_t *world, uint64_t content, uint64_t id)
{
    s_job_t *job = s_job (content);
    const model_row_t *row = model_store_row (&world->store, id);
    bool removed = id <= S_JOBS && s_self.gone[id].removed; // since it was looked up
    if (!job || (!row && !removed))
        s_fail ("%" PRIu64 " is accepted as job %" PRIu64 ", which is not on disk", content, id);
    const s_job_t *kept = s_job (row ? s_content (row) : s_self.gone[id].content);
    if (kept != job
        && (!kept || job->key == 0 || kept->key != job->key || kept->body != job->body
            || kept->client != job->client || kept->service != job->service))
        s_fail ("%" PRIu64 " is accepted as job %" PRIu64 ", which is another", content, id);
    if (job->accepted && job->accepted != id)
        s_fail ("%" PRIu64 " is accepted as two jobs", content);
    job->accepted = id;
    if (kept == job)
        job->known = ++s_self.turn;
}

/*  True if the key of a submission has had a job since before it was submitted, which the store still has.  */
static bool s_find_kept (uint64_t content)
{
    const s_job_t *job = s_job (content);
    for (uint64_t earlier = 1; job && job->key && earlier < content; earlier++) {
        const s_job_t *other = s_job (earlier);
        if (other->accepted && !s_self.gone[other->accepted].removed && other->known < job->begun
            && other->key == job->key && other->client == job->client
            && other->service == job->service)
            return true;
    }
    return false;
}

/*  A client is told that its job is removed, or that there is none.  */
static void s_see_gone (
  const jobs_world_t *world, const s_asked_t *question, const jobs_told_t *told)
{
    bool kept = model_store_row (&world->store, question->job) != NULL;
    s_gone_t *gone = &s_self.gone[question->job];
    if (told->head.status == RP_OK && question->foreign)
        s_fail ("job %" PRIu64 " is removed for another principal", question->job);
    if (told->head.status == RP_OK && kept)
        s_fail ("job %" PRIu64 " is said to be removed, and is on disk", question->job);
    gone->told |= told->head.status == RP_OK;
    if (told->head.status == RP_APP_ERROR && strstr (told->text, "no such job") && kept
        && !question->foreign)
        s_fail ("job %" PRIu64 " is said not to be there, and is on disk", question->job);
}

static bool s_see_told (jobs_world_t *world, jobs_told_t *told)
{
    uint64_t id = told->head.id;
    if (told->head.command == RP_COMMAND_ACCEPTED) {
        s_see_accepted (world, id, told->head.job);
        return true;
    }
    if (id <= S_JOBS && told->head.status == RP_BUSY && strstr (told->text, "limit jobs")
        && s_find_kept (id))
        s_fail ("there is no room for %" PRIu64 ", whose key has a job", id);
    s_asked_t *question = id - 100000 < S_REPLIES ? &s_self.asked[id - 100000] : NULL;
    if (question && question->answers++ > 0)
        s_fail ("a client gets two answers to one question");
    if (question && question->withdrawn && told->head.status != RP_CANCELLED)
        s_fail ("a client gets an answer to a question that it has cancelled");
    if (question && !told->rows && told->head.job == 0)
        s_see_gone (world, question, told);
    if (told->head.job == 0)
        return true;
    if (told->has_content && !told->rows && s_self.bug == S_SWAP_RESULTS) {
        uint64_t content = told->content;
        if (s_self.held_content && s_self.held_content != content) {
            told->content = s_self.held_content;
            s_self.bites += told->content != content;
        }
        s_self.held_content = content;
    }
    if (!question || question->job != told->head.job || question->foreign)
        s_fail ("a client gets the result of another job");
    const s_gone_t *gone = &s_self.gone[question->job];
    const model_row_t *row = model_store_row (&world->store, question->job);
    if (!row && (!gone->removed || question->late))
        s_fail ("a client gets a result of job %" PRIu64 ", which is gone", question->job);
    if (row && !s_ended (row))
        s_fail ("a client gets a result that is not on disk");
    bool has_reply = row ? row->has_reply : gone->has_reply;
    if (told->has_content != has_reply
        || (has_reply && told->content != (row ? s_reply_of (row) : gone->reply)))
        s_fail ("a client gets another result of job %" PRIu64, question->job);
    return true;
}

static void s_see_park (jobs_world_t *world, rp_store_op_t *op)
{
    const model_row_t *row = model_store_row (&world->store, op->id);
    if (op->unbegun || !row)
        return;
    s_note_failure (s_job (s_content (row)), op->attempt, world->now);
    if (s_bites (S_NO_PAUSE))
        op->due = op->at;
}

static bool s_see_submit (jobs_world_t *world, rp_store_op_t *op, rp_payload_t *payload)
{
    switch ((rp_store_kind_t) op->kind) {
        case RP_STORE_PUT:
            s_job (payload->content)->claimed = ++s_self.turn;
            if (op->job->flags >= RP_JOB_FLAG_AHEAD && s_bites (S_JUMP_WAITS))
                op->due += S_HOUR;
            if (s_bites (S_EARLY_ACCEPT))
                s_see_accepted (
                  world, payload->content, world->store.last + world->store.queued + 1);
            break;
        case RP_STORE_ATTEMPT: {
            const model_row_t *row = model_store_row (&world->store, op->id);
            if (row)
                s_job (s_content (row))->claimed = ++s_self.turn;
            if (row && s_bites (S_EARLY_START))
                s_see_start (
                  world, &(jobs_task_t){
                           .job = op->id, .content = s_content (row), .attempt = op->attempt});
            break;
        }
        case RP_STORE_PARK:
            s_see_park (world, op);
            break;
        case RP_STORE_REMOVE:
            if (op->id > 1 && s_bites (S_REMOVE_OTHER))
                op->id--;
            break;
        case RP_STORE_LOAD:
            if (op->after > 0 && s_bites (S_HORIZON)) {
                op->after++;
                op->id = INT64_MAX;
            }
            break;
        default:
            break;
    }
    return true;
}

static void s_see_result (jobs_world_t *world, rp_stored_t *result)
{
    (void) world;
    rp_store_rows_t *rows = result->rows;
    size_t count = rows ? rows->count : 0;
    if (result->outcome == RP_STORED_LOST && result->kind != RP_STORE_SERVICES
        && s_bites (S_DEAF_TO_LOSS))
        result->outcome = RP_STORED_AWAY;
    if (result->kind == RP_STORE_SERVICES && rows && result->number > 1 && s_bites (S_DEAF_TO_NEWS))
        rows->service_count = 0;
    if (result->kind == RP_STORE_SERVICES && rows && rows->ended_count > 0
        && s_bites (S_DEAF_TO_ENDS))
        rows->ended_count = 0;
    if (result->noted && s_bites (S_COUNT_TWICE))
        result->noted = false;
    if (result->kind == RP_STORE_PUT && result->outcome == RP_STORED_KNOWN && result->id > 1
        && s_bites (S_REPLAY_OTHER))
        result->id--;
    if (result->kind == RP_STORE_KEY && result->outcome == RP_STORED_KNOWN
        && s_bites (S_REPLAY_REFUSED))
        result->outcome = RP_STORED_ABSENT;
    if (result->kind == RP_STORE_REMOVE && result->outcome == RP_STORED_ABSENT
        && s_bites (S_KEEP_REMOVED))
        result->outcome = RP_STORED_SAFE;
    if (count == 0)
        return;
    if (result->kind == RP_STORE_LIST && rows->jobs[0].state == RP_JOB_RUNNING
        && s_bites (S_SKIP_RUNNING))
        model_store_drop_rows (rows);
    if (result->kind != RP_STORE_LOAD)
        return;
    rp_store_row_t *last = &rows->jobs[count - 1];
    if (last->state == RP_JOB_WAITING && s_bites (S_LOSE_ROW))
        last->state = RP_JOB_RUNNING; // as if it was in memory
    for (size_t index = 0; index < count; index++)
        if (rows->jobs[index].job.attempts > 1 && s_bites (S_EARLY_DEATH))
            rows->jobs[index].job.attempts--;
    if (count > 1 && s_bites (S_REORDER)) {
        int64_t due = last->due;
        last->due = rows->jobs[0].due;
        rows->jobs[0].due = due;
    }
}

/*  What the store does with an operation.  */
static rp_stored_outcome_t s_outcome (const rp_store_op_t *op, void *arg)
{
    (void) arg;
    bool writes = op->kind <= RP_STORE_PURGE;
    if (op->kind == RP_STORE_REMOVE || op->kind == RP_STORE_PURGE)
        s_note_jobs ();
    if (s_self.world.store.lost && !s_self.healed && op->kind == RP_STORE_SERVICES
        && s_draw (4) == 0)
        return RP_STORED_LOST;
    if (!s_self.fulls || s_self.healed || op->number == 1)
        return RP_STORED_SAFE;
    if (writes && s_draw (12) == 0)
        return s_draw (2) ? RP_STORED_FULL : RP_STORED_AWAY;
    bool may_be_busy = !writes || op->kind == RP_STORE_PUT;
    if (may_be_busy && s_draw (12) == 0)
        return RP_STORED_BUSY;
    return !writes && s_draw (24) == 0 ? RP_STORED_AWAY : RP_STORED_SAFE;
}

/*  ---- Events --------------------------------------------------------------------------------- */

static void s_submit (void)
{
    jobs_world_t *world = &s_self.world;
    uint64_t content;
    s_job_t *job;
    bool again = s_self.count > 0 && s_draw (6) == 0;
    if (!again && s_self.count == S_JOBS)
        return;
    s_job_t *before = again ? s_job (1 + s_draw (s_self.count)) : NULL;
    if (again && (before->key == 0 || s_self.count == S_JOBS))
        return; // only with a key may it be asked for again
    content = ++s_self.count;
    job = &s_self.jobs[content];
    *job = (s_job_t){.submitted = true,
      .clean = true,
      .client = (unsigned) s_draw (S_CLIENTS),
      .service = (unsigned) s_draw (S_SERVICES),
      .key = s_draw (3) == 0 ? 1 + (unsigned) s_draw (3) : 0,
      .body = 1 + (unsigned) s_draw (2)};
    job->terms = (jobs_terms_t){.attempts = 1 + (unsigned) s_draw (4),
      .backoff_ms = 50 + (int64_t) s_draw (500),
      .delay_ms = s_draw (3) == 0 ? (int64_t) s_draw (9000) : 0,
      .attempt_ms = s_draw (4) == 0 ? 500 : 0};
    if (s_draw (8) == 0)
        job->terms.deadline_ms = job->terms.delay_ms + 1 + (int64_t) s_draw (4000);
    if (again) {
        job->client = before->client;
        job->service = before->service;
        job->key = before->key;
        job->body = s_draw (8) == 0 ? 3 - before->body : before->body;
    }
    job->begun = ++s_self.turn;
    job->terms.client = job->client;
    job->terms.principal = s_principals[job->client];
    job->terms.key = s_keys[job->key];
    job->terms.body = job->body;
    jobs_world_submit (world, s_services[job->service], content, &job->terms);
}

static void s_ask_for (s_job_t *job, rp_jobs_what_t what)
{
    if (!job->accepted || s_self.request == S_REPLIES)
        return;
    uint32_t wait_ms = s_draw (2) ? (uint32_t) s_draw (20000) : 0;
    s_gone_t *gone = &s_self.gone[job->accepted];
    s_asked_t *question = &s_self.asked[s_self.request];
    *question = (s_asked_t){.job = job->accepted,
      .client = job->client,
      .waits = what == RP_JOBS_RESULT && wait_ms > 0,
      .foreign = what == RP_JOBS_REMOVE && s_draw (6) == 0,
      .late = gone->told};
    if (question->foreign)
        question->client = (job->client + 1) % S_CLIENTS;
    gone->asked |= what == RP_JOBS_REMOVE && !question->foreign;
    jobs_world_ask (&s_self.world, what, question->client, 100000 + s_self.request++, job->accepted,
      wait_ms, s_principals[question->client]);
}

static void s_ask (void)
{
    if (s_self.count == 0)
        return;
    s_ask_for (s_job (1 + s_draw (s_self.count)), s_draw (12) == 0   ? RP_JOBS_CANCEL
                                                  : s_draw (30) == 0 ? RP_JOBS_REMOVE
                                                  : s_draw (4)       ? RP_JOBS_RESULT
                                                                     : RP_JOBS_STATE);
}

/*  Removes a dead job, or all of a service.  */
static void s_purge (void)
{
    jobs_world_t *world = &s_self.world;
    rp_store_op_t op = {
      .kind = RP_STORE_PURGE, .text = s_services[s_draw (S_SERVICES)], .text_size = 1};
    if (s_draw (3))
        op.id = 1 + s_draw (S_JOBS);
    rp_jobs_browse (
      world->jobs, (rp_session_id_t){1}, 200000 + s_self.purges++, &op, world->wanted);
}

/*  Cancels a question, or all of a client that leaves.  */
static void s_withdraw (void)
{
    uint64_t request = s_self.request > 0 ? s_draw (s_self.request) : 0;
    s_asked_t *question = &s_self.asked[request];
    if (!question->waits || question->answers > 0 || question->withdrawn)
        return;
    if (s_draw (4) > 0) {
        question->withdrawn =
          s_bites (S_DEAF_CANCEL)
          || jobs_world_withdraw (&s_self.world, question->client, 100000 + request);
        return;
    }
    jobs_world_end_client (&s_self.world, question->client);
    for (request = 0; request < s_self.request; request++)
        if (s_self.asked[request].client == question->client)
            s_self.asked[request].waits = false;
}

static void s_answer (bool well)
{
    jobs_world_t *world = &s_self.world;
    if (world->task_count == 0)
        return;
    size_t task = s_draw (world->task_count);
    uint64_t content = world->tasks[task].content;
    s_job_t *job = s_job (content);
    unsigned what = (unsigned) s_draw (10);
    if (well || what < (s_self.bad ? 2 : 6)) {
        unsigned number = job->replies++;
        jobs_world_reply (
          world, task, s_draw (4) ? RP_OK : RP_APP_ERROR, S_REPLY (content, number));
    }
    else if (what < 8) {
        jobs_world_reply (world, task, RP_WORKER_LOST, 0);
    }
    else {
        jobs_world_decline (world, task);
    }
}

static unsigned s_workers (unsigned service)
{
    unsigned count = 0;
    for (unsigned index = 0; index < JOBS_WORLD_WORKERS; index++)
        count += s_self.world.workers[index].session.v
                 && strcmp (s_self.world.workers[index].service, s_services[service]) == 0;
    return count;
}

static void s_change_workers (void)
{
    unsigned service = (unsigned) s_draw (S_SERVICES);
    if (s_workers (service) < 3 && s_draw (3)) {
        jobs_world_join (&s_self.world, s_services[service], 1 + (unsigned) s_draw (3));
        return;
    }
    unsigned worker = (unsigned) s_draw (JOBS_WORLD_WORKERS);
    if (s_self.world.workers[worker].session.v)
        jobs_world_lose (&s_self.world, worker);
}

static void s_begin (void)
{
    for (uint64_t content = 1; content <= s_self.count; content++) {
        s_self.jobs[content].given_back = false;
        s_self.jobs[content].failed_at = 0;
        s_self.jobs[content].known = ++s_self.turn;
    }
    for (uint64_t request = 0; request < s_self.request; request++)
        s_self.asked[request].waits = false;
    jobs_world_begin (&s_self.world);
    for (unsigned service = 0; service < S_SERVICES; service++)
        s_self.last_due[service] = INT64_MIN;
}

static void s_crash (void)
{
    jobs_world_t *world = &s_self.world;
    for (uint64_t commits = s_draw (4); commits > 0; commits--)
        model_store_commit (&world->store);
    if (world->store.last > 0 && s_bites (S_LOST_COMMIT)) {
        model_row_t *row = world->store.rows[world->store.last];
        s_job_t *job = row ? s_job (s_content (row)) : NULL;
        if (row && job)
            row->state = RP_JOB_ANY; // as if it was not there
    }
    jobs_world_crash (world);
    jobs_world_slip (world, (int64_t) s_draw (2000) * S_MS);
    s_self.astray |= s_self.set_back;
    s_begin ();
}

static void s_jump (void)
{
    jobs_world_t *world = &s_self.world;
    bool back = s_draw (2) == 0;
    world->wall += back ? -S_HOUR : S_HOUR;
    s_self.set_back |= back;
    if (!back && s_self.bug == S_JUMP_CUTS && !s_self.healed)
        world->jobs->time.wall += S_HOUR; // as if it had not jumped
}

/*  Forgets what was expected of the jobs that one broker has, as far as it goes with that broker.  */
static void s_change_hands (uint64_t from)
{
    for (uint64_t id = 1; id <= s_self.world.store.last; id++) {
        const model_row_t *row = model_store_row (&s_self.world.store, id);
        if (!row || row->elsewhere != from)
            continue;
        s_job_t *job = s_job (s_content (row));
        job->given_back = job->clean = false;
        job->failed_at = 0;
    }
    for (unsigned service = 0; service < S_SERVICES; service++)
        s_self.last_due[service] = INT64_MIN;
}

/*  Another broker has given some of its jobs to workers.  */
static void s_run_elsewhere (void)
{
    for (uint64_t id = 1; id <= s_self.world.store.last; id++) {
        model_row_t *row = model_store_row (&s_self.world.store, id);
        if (!row || !row->elsewhere || row->state != RP_JOB_WAITING
            || row->attempt >= row->job.attempts || s_draw (3) != 0)
            continue;
        row->state = RP_JOB_RUNNING;
        row->attempt++;
        s_job (s_content (row))->spent++;
    }
}

static void s_hear_news (void)
{
    jobs_world_t *world = &s_self.world;
    rp_jobs_hear_news (
      world->jobs, (rp_jobs_time_t){.now = world->now, .wall = world->wall}, world->wanted);
}

static void s_adopt (void)
{
    jobs_world_t *world = &s_self.world;
    s_run_elsewhere ();
    s_change_hands (S_OTHER);
    model_store_adopt (&world->store);
    s_hear_news ();
}

/*  Another broker cancels jobs of this one, which may hear of it at once, or later.  */
static void s_end_jobs (void)
{
    jobs_world_t *world = &s_self.world;
    for (uint64_t id = 1; id <= world->store.last; id++) {
        const model_row_t *row = model_store_row (&world->store, id);
        if (row && !s_ended (row) && !row->elsewhere && s_draw (4) == 0)
            model_store_end (&world->store, id);
    }
    if (s_draw (2))
        s_hear_news ();
}

/*  Another broker cancels jobs of this one; or takes all of them, which begins again; or gives it its own.  */
static void s_share (void)
{
    uint64_t what = s_draw (4);
    if (s_self.world.store.lost)
        return;
    if (what < 2) {
        s_end_jobs ();
        return;
    }
    if (what == 2) {
        s_adopt ();
        return;
    }
    s_change_hands (0);
    model_store_lose (&s_self.world.store, S_OTHER);
}

static void s_step (void)
{
    jobs_world_t *world = &s_self.world;
    unsigned what = (unsigned) s_draw (100);
    if (what < 25)
        s_submit ();
    else if (what < 40)
        s_answer (false);
    else if (what < 47)
        s_ask ();
    else if (what < 48)
        s_purge ();
    else if (what < 50)
        s_withdraw ();
    else if (what < 65)
        (void) model_store_commit (&world->store);
    else if (what < 80)
        (void) jobs_world_take (world);
    else if (what < 86)
        s_change_workers ();
    else if (what < 97)
        jobs_world_slip (world, (int64_t) s_draw (s_draw (6) ? 60 : 3000) * S_MS);
    else if (what < 98)
        s_crash ();
    else if (s_self.shared && s_draw (2))
        s_share ();
    else if (s_self.jumps)
        s_jump ();
    if (world->jobs->clock > s_self.clock_most)
        s_self.clock_most = world->jobs->clock;
    if (s_draw (4))
        jobs_world_turn (world);
}

/*  ---- A seed --------------------------------------------------------------------------------- */

/*  Most jobs have ended: clients remove some and ask for others, dead ones are purged, and the broker is lost
    meanwhile.  */
static void s_tidy_up (void)
{
    jobs_world_t *world = &s_self.world;
    s_self.healed = false;
    for (uint64_t steps = s_self.count; steps > 0; steps--) {
        uint64_t what = s_draw (40);
        s_job_t *job = s_job (1 + s_draw (s_self.count));
        if (what < 20)
            s_ask_for (job, what < 14 ? RP_JOBS_REMOVE : RP_JOBS_RESULT);
        else if (what < 22)
            s_purge ();
        else if (what < 38)
            (void) (what % 2 ? model_store_commit (&world->store) : jobs_world_take (world));
        else if (what < 39 && !s_self.jumps)
            s_crash ();
        jobs_world_turn (world);
    }
    s_self.healed = true;
    jobs_world_settle (world);
}

/*  All is well from now on; every job that was accepted has its final within 30 s.  */
static void s_heal (void)
{
    jobs_world_t *world = &s_self.world;
    s_self.healed = true;
    if (s_self.astray) { // what was written on a clock that nobody remembers waits for it
        jobs_world_crash (world);
        world->wall = world->wall > s_self.clock_most ? world->wall : s_self.clock_most;
        s_begin ();
    }
    for (unsigned index = 0; index < JOBS_WORLD_WORKERS; index++)
        if (world->workers[index].session.v)
            jobs_world_lose (world, index);
    for (unsigned service = 0; service < S_SERVICES; service++)
        jobs_world_join (world, s_services[service], 4);
    if (s_self.shared) {
        s_hear_news (); // of a loss, too
        jobs_world_pass (world, S_SECOND);
        if (world->store.lost)
            s_fail ("the broker does not begin again");
        s_adopt ();
    }
    for (int64_t until = world->now + 30 * S_SECOND; world->now < until;) {
        jobs_world_pass (world, 250 * S_MS);
        while (world->task_count > 0)
            s_answer (true);
    }
    jobs_world_settle (world);
    s_tidy_up ();
    for (uint64_t content = 1; content <= s_self.count; content++) {
        const s_job_t *job = s_job (content);
        const model_row_t *row = model_store_row (&world->store, job->accepted);
        const s_gone_t *gone = &s_self.gone[job->accepted];
        if (job->accepted && !gone->removed && (!row || !s_ended (row)))
            s_fail ("job %" PRIu64 " was accepted, and has no final", job->accepted);
        if (row && gone->told)
            s_fail ("job %" PRIu64 " is there, and was said to be removed", job->accepted);
    }
    rp_jobs_figures_t figures = jobs_world_figures (world);
    if (figures.open || figures.running || figures.loaded || world->payloads)
        s_fail ("%" PRIu64 " jobs are open and %" PRIu64 " in memory after all have ended",
          figures.open, figures.loaded);
    if (world->jobs->services.count || world->jobs->jobs.count || world->jobs->puts.count
        || world->jobs->waiters.count || world->jobs->askers.count)
        s_fail ("something is left in memory");
}

static void s_run (uint64_t seed, int bug)
{
    memset (&s_self, 0, sizeof s_self);
    s_self.seed = seed;
    s_self.random = seed * 0xd1342543de82ef95u;
    s_self.bug = bug;
    s_self.jumps = s_draw (4) == 0 || bug == S_JUMP_CUTS; // which bites at few jumps
    s_self.fulls = s_draw (3) == 0;
    s_self.bad = s_draw (3) == 0 || bug == S_JUMP_CUTS;
    s_self.crowded = !s_self.fulls && s_draw (3) == 0;
    s_self.shared = s_draw (2) == 0;
    jobs_world_t *world = &s_self.world;
    jobs_world_init (world);
    world->page = 1 + (uint32_t) s_draw (12);
    if (s_self.crowded)
        world->most = 2 + s_draw (12);
    world->hooks = (jobs_hooks_t){.submit = s_see_submit,
      .result = s_see_result,
      .start = s_see_start,
      .answer = s_see_answer,
      .told = s_see_told,
      .commit = s_see_commit};
    world->strict = true;
    world->store.outcome = s_outcome;
    world->store.keys_of_everybody = bug == S_SHARED_KEYS;
    world->store.unfenced = bug == S_NO_FENCE;
    world->store.looks = 1 + s_draw (40);
    s_begin ();
    for (uint64_t steps = 100 + s_draw (900); steps > 0; steps--)
        s_step ();
    s_heal ();
    jobs_world_clear (world);
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
        perror ("simulator_jobs");
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
    bool bugs = argc == 3 && strcmp (argv[1], "--bugs") == 0;
    if (argc < 2 || argc > 3 || (!bugs && !s_number (argv[1], &first))
        || (argc > 2 && !s_number (argv[2], &count))) {
        fprintf (
          stderr, "usage: simulator_jobs SEED [COUNT]\n       simulator_jobs --bugs COUNT\n");
        return 2;
    }
    if (bugs)
        return s_run_bugs (count) > 0;
    clock_t begin = clock ();
    for (uint64_t seed = first; seed - first < count; seed++)
        s_run (seed, -1);
    printf ("%" PRIu64 " seeds, nothing wrong, %.1f s\n", count,
      (double) (clock () - begin) / CLOCKS_PER_SEC);
    return 0;
}
