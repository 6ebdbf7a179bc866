/*  The backend for a database of PostgreSQL, or of another engine that speaks its protocol and SQL.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/adr/0030-jobs-in-postgresql.md.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/store/backend.h"
#include "broker/store/membership.h"
#include "broker/store/postgres_items.h"
#include "broker/store/postgres_lease.h"
#include "broker/store/postgres_schema.h"
#include "broker/store/rows.h"
#include "common/base/heap.h"
#include "common/io/clock.h"

/*  How often the database is looked for at most while it is not reachable, and after it has refused a statement,
    µs.  */
#define S_TRY_US 100000
#define S_TRY_REFUSED_US 800000
/*  How many ids of jobs are taken from the store at once, and how few may be left when a transaction begins: more
    than it has operations.  */
#define S_IDS 65536u
#define S_IDS_LEAST 8192u
/*  How often brokers that are long gone are forgotten, µs.  */
#define S_FORGET_US 60000000
/*  How often the size of the tables is asked for, µs.  */
#define S_SIZE_US 10000000
/*  What is read at once, as s_reads counts: four bodies.  */
#define S_READ_MOST 16u
/*  How often a transaction is run again that conflicts with another, and the first pause, ns.  */
#define S_AGAIN_MOST 8u
#define S_AGAIN_NS 1000000L

typedef struct {
    rp_backend_t backend;
    rp_postgres_t postgres;
    char *url;
    rp_postgres_lease_t lease;
    rp_store_secret_t secret;
    rp_store_bug_t bug;
    rp_postgres_item_t *items; /* of the transaction */
    size_t count;
    size_t room;
    bool writes;
    uint64_t last;   /* the last id that was given */
    uint64_t end;    /* the last that may be given */
    uint64_t begun;  /* the same when the transaction began */
    int64_t mark;    /* `commits` of the store after the latest transaction that was sent */
    int64_t asked;   /* when the latest was: the lease is no younger */
    bool sent;       /* the latest commit was sent, and not answered */
    bool open;       /* BEGIN was sent */
    size_t done;     /* items of the transaction that have a result */
    size_t read;     /* items since then that may read a body, and what they count for */
    size_t held;     /* bytes of rows that the transaction has read */
    bool lost;       /* another broker has taken over; not rejoined yet */
    uint64_t fenced; /* how often that was so */
    bool news;       /* jobs of others have become this broker's */
    char taken[RP_STORE_TEXT]; /* of which brokers */
    char *endpoints;           /* NULL: not known */
    int64_t again;             /* when the database may be looked for again */
    rp_membership_t membership;
    int64_t forgot; /* when brokers that are long gone were */
    int64_t sized;
    rp_backend_size_t size;
    char trouble[RP_STORE_TEXT];
} s_postgres_t;

static s_postgres_t *s_of (rp_backend_t *backend)
{
    return RP_CONTAINER (backend, s_postgres_t, backend);
}

static void s_keep_trouble (s_postgres_t *self)
{
    snprintf (self->trouble, sizeof self->trouble, "%s", self->postgres.trouble);
}

/*  ---- The connection -------------------------------------------------------------------------- */

/*  Ends the connection, and for so long does not try again.  */
static rp_backend_result_t s_leave (s_postgres_t *self, int64_t us)
{
    s_keep_trouble (self);
    rp_postgres_disconnect (&self->postgres);
    self->again = rp_clock_us () + us;
    return RP_BACKEND_AWAY;
}

/*  Another broker has taken over.  */
static rp_backend_result_t s_lose (s_postgres_t *self)
{
    snprintf (self->trouble, sizeof self->trouble,
      "another broker has taken over, because this one could not be heard");
    self->lost = true;
    self->fenced++;
    return RP_BACKEND_LOST;
}

/*  Sees to it that there is a connection. *made: there was none, and it is not known whether the jobs are ours.  */
static rp_backend_result_t s_connect (s_postgres_t *self, bool *made)
{
    rp_postgres_t *postgres = &self->postgres;
    *made = !rp_postgres_is_alive (postgres);
    if (!*made)
        return RP_BACKEND_OK;
    if (rp_clock_us () < self->again)
        return RP_BACKEND_AWAY;
    return rp_postgres_connect (postgres, self->url) && rp_postgres_items_prepare (postgres)
             ? RP_BACKEND_OK
             : s_leave (self, S_TRY_US);
}

/*  Sees to it that there is a connection, and that the jobs are ours.  */
static rp_backend_result_t s_reach (s_postgres_t *self)
{
    bool made;
    if (self->lost)
        return RP_BACKEND_LOST;
    rp_backend_result_t rc = s_connect (self, &made);
    if (rc != RP_BACKEND_OK || !made)
        return rc;
    int64_t asked = rp_clock_us ();
    rp_postgres_answer_t answer = rp_postgres_lease_take_again (&self->postgres, &self->lease);
    if (answer == RP_POSTGRES_FENCED && self->bug != RP_STORE_BUG_NO_FENCE)
        return s_lose (self);
    // Without an epoch of its own, this connection does not know what became of the latest commit.
    if (answer != RP_POSTGRES_DONE && answer != RP_POSTGRES_FENCED)
        return s_leave (self, answer == RP_POSTGRES_LOST ? S_TRY_US : S_TRY_REFUSED_US);
    self->membership.renewed = asked;
    self->news = true; // whether the latest take-over was committed is not known
    return RP_BACKEND_OK;
}

/*  Takes over the jobs of brokers that are gone, and looks whether others have ended jobs of this one.  */
static rp_backend_result_t s_adopt (s_postgres_t *self)
{
    rp_postgres_answer_t answer =
      rp_postgres_lease_adopt (&self->postgres, &self->lease, &self->membership, self->taken);
    bool ended = false;
    if (answer == RP_POSTGRES_DONE)
        answer = rp_postgres_lease_look_for_ended (&self->postgres, &self->lease, &ended);
    self->news = self->news || self->taken[0] || ended;
    if (answer == RP_POSTGRES_DONE && rp_clock_us () - self->forgot >= S_FORGET_US) {
        self->forgot = rp_clock_us ();
        answer = rp_postgres_lease_forget (&self->postgres, &self->lease);
    }
    return answer == RP_POSTGRES_FENCED ? s_lose (self)
           : answer == RP_POSTGRES_LOST
             ? s_leave (self, S_TRY_US)
             : RP_BACKEND_OK; // what was refused is tried again at the next look
}

/*  Sees to it that there are ids for a transaction. Those that are left over are never given.  */
static rp_backend_result_t s_reserve (s_postgres_t *self)
{
    if (self->end - self->last >= S_IDS_LEAST)
        return RP_BACKEND_OK;
    PGresult *result;
    char count[24];
    snprintf (count, sizeof count, "%u", S_IDS);
    rp_postgres_answer_t answer = rp_postgres_run (&self->postgres,
      "UPDATE riposte.counters SET ids = ids + $1::bigint RETURNING ids", 1,
      (const char *const[]){count}, &result);
    if (answer == RP_POSTGRES_DONE) {
        self->end = (uint64_t) rp_postgres_number (&self->postgres, result, 0, 0);
        self->last = self->begun = self->end - S_IDS;
    }
    if (result)
        self->postgres.pq->PQclear (result);
    return answer == RP_POSTGRES_DONE ? RP_BACKEND_OK : s_leave (self, S_TRY_US);
}

/*  ---- A transaction --------------------------------------------------------------------------- */

/*  Sends the statement that fails unless the store is still ours.  */
static bool s_send_fence (s_postgres_t *self)
{
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_number (&values, self->lease.id);
    rp_postgres_add_number (&values, self->lease.epoch);
    rp_postgres_add_number (&values, self->mark);
    return rp_postgres_send (&self->postgres, "FENCE", &values);
}

/*  Gives the jobs of the transaction their ids, in the order of their operations. It does so again for each
    part that is sent, with the same ids.  */
static void s_number (s_postgres_t *self)
{
    self->last = self->begun;
    for (size_t index = 0; index < self->count; index++)
        if (self->items[index].kind == RP_STORE_PUT || self->items[index].kind == RP_STORE_RETRY)
            self->items[index].id = ++self->last;
}

static bool s_fences (const s_postgres_t *self)
{
    return self->writes && self->bug != RP_STORE_BUG_NO_FENCE;
}

/*  Sends the items that have no result yet, and if it is the end of what writes, the look at the epoch: so its lock
    is held for no longer than the commit takes. With the sync, the database knows when it waits for us. False with
    trouble.  */
static bool s_send (s_postgres_t *self, bool end)
{
    rp_postgres_t *postgres = &self->postgres;
    const rp_postgres_values_t none = {.count = 0};
    bool begins = !self->open && (self->writes || !end);
    bool sent = !begins || rp_postgres_send (postgres, "BEGIN", &none);
    for (size_t index = self->done; sent && index < self->count; index++)
        sent = rp_postgres_item_send (postgres, &self->items[index]);
    return sent && (!end || !s_fences (self) || s_send_fence (self)) && rp_postgres_sync (postgres);
}

/*  Notes the first answer that is not DONE.  */
static void s_note (rp_postgres_answer_t *first, rp_postgres_answer_t answer)
{
    if (*first == RP_POSTGRES_DONE || answer == RP_POSTGRES_LOST)
        *first = answer;
}

static void s_clear (const s_postgres_t *self, PGresult *result)
{
    if (result)
        self->postgres.pq->PQclear (result);
}

/*  Takes the answer to a statement whose rows nobody needs.  */
static void s_take (s_postgres_t *self, rp_postgres_answer_t *first)
{
    PGresult *result;
    s_note (first, rp_postgres_take (&self->postgres, &result));
    s_clear (self, result);
}

/*  Takes the answers to an item, and reads its result if all is well so far.  */
static void s_take_item (
  s_postgres_t *self, const rp_postgres_item_t *item, rp_postgres_answer_t *first)
{
    PGresult *answers[RP_POSTGRES_STATEMENTS] = {NULL};
    for (unsigned place = 0; place < item->places && *first != RP_POSTGRES_LOST; place++)
        s_note (first, rp_postgres_take (&self->postgres, &answers[place]));
    if (*first == RP_POSTGRES_DONE) {
        rp_stored_t *result = item->result;
        rp_rows_destroy (&result->rows); // of a transaction that is run again
        result->outcome = RP_STORED_SAFE;
        result->id = item->work.op ? item->work.op->id : 0;
        *first = rp_postgres_item_read (&self->postgres, item, answers) ? RP_POSTGRES_DONE
                 : result->outcome == RP_STORED_ABSENT                  ? RP_POSTGRES_AGAIN
                                                                        : RP_POSTGRES_WRONG;
        self->held += rp_rows_bytes (result->rows);
    }
    for (unsigned place = 0; place < item->places; place++)
        s_clear (self, answers[place]);
}

/*  Runs one more statement by itself, such as COMMIT. *done: the database did that.  */
static rp_postgres_answer_t s_finish (s_postgres_t *self, const char *name, bool *done)
{
    const rp_postgres_values_t none = {.count = 0};
    PGresult *result = NULL;
    *done = false;
    if (!rp_postgres_send (&self->postgres, name, &none) || !rp_postgres_sync (&self->postgres))
        return RP_POSTGRES_LOST;
    rp_postgres_answer_t answer = rp_postgres_take (&self->postgres, &result);
    if (answer == RP_POSTGRES_DONE)
        *done = strcmp (self->postgres.pq->PQcmdStatus (result), name) == 0;
    s_clear (self, result);
    // When it was answered, it is done, whatever becomes of the connection.
    if (answer != RP_POSTGRES_LOST && !rp_postgres_take_sync (&self->postgres) && !*done)
        answer = RP_POSTGRES_LOST;
    return answer;
}

/*  Commits. An error is of a transaction that was rolled back only where it says so.  */
static rp_postgres_answer_t s_commit_sent (s_postgres_t *self)
{
    bool done;
    self->sent = self->writes;
    rp_postgres_answer_t answer = s_finish (self, "COMMIT", &done);
    if (done || answer == RP_POSTGRES_AGAIN || answer == RP_POSTGRES_FULL
        || answer == RP_POSTGRES_DONE) // ROLLBACK, it says
        self->sent = false;
    if (answer == RP_POSTGRES_DONE && !done) {
        snprintf (self->postgres.trouble, sizeof self->postgres.trouble,
          "the database has rolled the transaction back");
        return RP_POSTGRES_WRONG;
    }
    return answer;
}

/*  Takes the answers to that.  */
static rp_postgres_answer_t s_take_all (s_postgres_t *self, bool end)
{
    rp_postgres_answer_t first = RP_POSTGRES_DONE;
    if (!self->open && (self->writes || !end))
        s_take (self, &first); // BEGIN
    self->open = self->open || self->writes || !end;
    for (; self->done < self->count && first != RP_POSTGRES_LOST; self->done++)
        s_take_item (self, &self->items[self->done], &first);
    self->read = 0;
    if (end && s_fences (self))
        s_take (self, &first);
    return rp_postgres_take_sync (&self->postgres) ? first : RP_POSTGRES_LOST;
}

/*  Sends what has gathered, and takes the answers. After an error the transaction is rolled back, and is as if
    nothing of it had been sent. What only reads may be a transaction by itself, up to the sync.  */
static rp_postgres_answer_t s_exchange (s_postgres_t *self, bool end)
{
    rp_postgres_t *postgres = &self->postgres;
    s_number (self);
    self->mark = self->lease.commits + s_fences (self);
    if (!s_send (self, end))
        return postgres->connection ? RP_POSTGRES_WRONG : RP_POSTGRES_LOST;
    rp_postgres_answer_t first = s_take_all (self, end);
    if (first == RP_POSTGRES_DONE)
        return first;
    char trouble[RP_STORE_TEXT];
    bool done;
    memcpy (trouble, postgres->trouble, sizeof trouble);
    if (self->open && first != RP_POSTGRES_LOST
        && s_finish (self, "ROLLBACK", &done) == RP_POSTGRES_LOST && first == RP_POSTGRES_AGAIN)
        first = RP_POSTGRES_LOST; // nothing of it was committed
    memcpy (postgres->trouble, trouble, sizeof trouble);
    self->open = false;
    self->done = self->held = 0;
    return first;
}

/*  Runs the transaction, or the rest of it, to its end.  */
static rp_postgres_answer_t s_run_once (s_postgres_t *self)
{
    self->asked = rp_clock_us ();
    rp_postgres_answer_t first = s_exchange (self, true);
    if (first != RP_POSTGRES_DONE || !self->open)
        return first;
    self->open = false;
    return s_commit_sent (self);
}

/*  Makes of the answer what the store does about it.  */
static rp_backend_result_t s_result (s_postgres_t *self, rp_postgres_answer_t answer)
{
    switch (answer) {
        case RP_POSTGRES_DONE:
            self->lease.commits = self->mark;
            if (self->writes) {
                self->membership.renewed = self->asked;
                self->membership.took = rp_clock_us () - self->asked;
            }
            return RP_BACKEND_OK;
        case RP_POSTGRES_FULL:
            s_keep_trouble (self);
            return RP_BACKEND_FULL;
        case RP_POSTGRES_FENCED:
            return s_lose (self);
        default: // a new connection is a new beginning, whatever was wrong
            (void) s_leave (self, answer == RP_POSTGRES_LOST ? S_TRY_US : S_TRY_REFUSED_US);
            return self->sent ? RP_BACKEND_UNKNOWN : RP_BACKEND_AWAY;
    }
}

static rp_backend_result_t s_run_items (s_postgres_t *self)
{
    rp_postgres_answer_t answer = s_run_once (self);
    for (unsigned time = 0; answer == RP_POSTGRES_AGAIN && time < S_AGAIN_MOST; time++) {
        long most = S_AGAIN_NS << time;
        long pause = most / 2 + (long) (rp_clock_entropy () % (uint64_t) (most / 2));
        (void) nanosleep (&(struct timespec){.tv_nsec = pause}, NULL);
        answer = s_run_once (self);
    }
    return s_result (self, answer);
}

static bool s_add (s_postgres_t *self, const rp_postgres_item_t *item)
{
    if (self->count == self->room) {
        size_t room = self->room ? 2 * self->room : 64;
        rp_postgres_item_t *items = realloc (self->items, room * sizeof *items);
        if (!items) {
            snprintf (self->trouble, sizeof self->trouble, "out of memory");
            return false;
        }
        self->items = items;
        self->room = room;
    }
    self->items[self->count++] = *item;
    self->writes = self->writes || rp_postgres_item_writes (item);
    return true;
}

/*  ---- The port -------------------------------------------------------------------------------- */

static rp_backend_result_t s_begin (rp_backend_t *backend)
{
    s_postgres_t *self = s_of (backend);
    self->count = self->done = self->read = self->held = 0;
    self->writes = self->sent = self->open = false;
    self->begun = self->last;
    self->postgres.silent_us = RP_POSTGRES_SILENT_US;
    rp_backend_result_t rc = s_reach (self);
    return rc == RP_BACKEND_OK ? s_reserve (self) : rc;
}

/*  What an operation counts for that may read a body, in parts of S_READ_MOST.  */
static size_t s_reads (const rp_store_op_t *op)
{
    bool has_key = op->kind == RP_STORE_PUT && op->job->key.size > 0;
    return op->kind == RP_STORE_FIND || op->kind == RP_STORE_LOAD ? S_READ_MOST / 4
           : has_key || op->kind == RP_STORE_RETRY                ? S_READ_MOST / 16
                                                                  : 0;
}

/*  Everything is sent when it is committed: then all of it takes one round trip. But bodies are read a few at a time,
    since nobody knows yet how large they are.  */
static rp_backend_result_t s_run (
  rp_backend_t *backend, const rp_store_work_t *work, rp_stored_t *result)
{
    s_postgres_t *self = s_of (backend);
    const rp_postgres_item_t item = {
      .kind = work->op->kind, .work = *work, .result = result, .broker = self->lease.id};
    if (item.kind == RP_STORE_SERVICES && !self->open
        && rp_postgres_lease_lengthen (&self->postgres, &self->lease) == RP_POSTGRES_LOST)
        return s_leave (self, S_TRY_US);
    if (!s_add (self, &item))
        return RP_BACKEND_BROKEN;
    self->read += s_reads (work->op);
    if (self->read < S_READ_MOST)
        return RP_BACKEND_OK;
    rp_postgres_answer_t answer = s_exchange (self, false);
    // After a conflict, all of it is run again at the end.
    return answer == RP_POSTGRES_DONE || answer == RP_POSTGRES_AGAIN ? RP_BACKEND_OK
                                                                     : s_result (self, answer);
}

static size_t s_held (const rp_backend_t *backend)
{
    return RP_CONTAINER (backend, const s_postgres_t, backend)->held;
}

static rp_backend_result_t s_commit (rp_backend_t *backend)
{
    return s_run_items (s_of (backend));
}

/*  A new epoch is taken, by this broker or by another one, so the commit is either in the row or will never be.  */
static rp_backend_result_t s_resolve (rp_backend_t *backend)
{
    s_postgres_t *self = s_of (backend);
    if (self->bug == RP_STORE_BUG_UNKNOWN_IS_DONE || self->bug == RP_STORE_BUG_UNKNOWN_IS_NOT) {
        return self->bug == RP_STORE_BUG_UNKNOWN_IS_DONE ? RP_BACKEND_OK : RP_BACKEND_AWAY;
    }
    rp_backend_result_t rc = s_reach (self);
    if (rc == RP_BACKEND_AWAY)
        return RP_BACKEND_UNKNOWN;
    self->sent = false;
    if (rc == RP_BACKEND_LOST && self->lease.gone) {
        snprintf (self->trouble, sizeof self->trouble,
          "this broker was away for so long that nobody knows what became of its latest commit");
        return RP_BACKEND_BROKEN;
    }
    if (self->lease.commits == self->mark)
        return RP_BACKEND_OK;
    return rc == RP_BACKEND_LOST ? rc : RP_BACKEND_AWAY;
}

/*  What this broker had is another's. Whoever is gone is looked for at once: it may be the only broker.  */
static rp_backend_result_t s_rejoin (rp_backend_t *backend)
{
    s_postgres_t *self = s_of (backend);
    bool made;
    rp_backend_result_t rc = s_connect (self, &made);
    if (rc != RP_BACKEND_OK)
        return rc;
    int64_t asked = rp_clock_us ();
    if (rp_postgres_lease_join (&self->postgres, &self->lease, self->endpoints) != RP_POSTGRES_DONE)
        return s_leave (self, S_TRY_US);
    self->lost = false;
    self->membership.renewed = asked;
    self->membership.took = rp_clock_us () - asked;
    if (!backend->leaves)
        (void) s_adopt (self); // it has joined, whatever comes of this; the next look is soon
    return self->lost ? RP_BACKEND_LOST : RP_BACKEND_OK;
}

static bool s_has_news (rp_backend_t *backend)
{
    s_postgres_t *self = s_of (backend);
    bool news = self->news;
    if (news)
        snprintf (self->trouble, sizeof self->trouble, "%s", self->taken);
    self->news = false;
    self->taken[0] = 0;
    return news;
}

static void s_roll_back (rp_backend_t *backend)
{
    s_postgres_t *self = s_of (backend);
    self->last = self->begun;
    self->count = 0;
}

static rp_backend_result_t s_clean (
  rp_backend_t *backend, int64_t now, uint64_t *cleaned, bool *more)
{
    s_postgres_t *self = s_of (backend);
    rp_stored_t result = {.rows = NULL};
    PGresult *past = NULL;
    *cleaned = 0;
    *more = false;
    rp_backend_result_t rc = s_begin (backend);
    if (rc != RP_BACKEND_OK)
        return rc;
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_number (&values, now);
    if (!rp_postgres_send (&self->postgres, "PAST", &values) || !rp_postgres_sync (&self->postgres)
        || rp_postgres_take (&self->postgres, &past) != RP_POSTGRES_DONE
        || !rp_postgres_take_sync (&self->postgres)) {
        s_clear (self, past);
        return s_leave (self, S_TRY_US);
    }
    bool any = self->postgres.pq->PQntuples (past) > 0;
    s_clear (self, past);
    const rp_postgres_item_t item = {.kind = RP_POSTGRES_CLEAN, .result = &result, .now = now};
    if (!any)
        return RP_BACKEND_OK;
    rc = s_add (self, &item) ? s_run_items (self) : RP_BACKEND_BROKEN;
    if (rc == RP_BACKEND_OK) {
        *cleaned = result.count;
        *more = result.count == RP_POSTGRES_CLEAN_JOBS;
    }
    // Whether it was done need not be known: what is left is removed next time. The mark is read again.
    return rc == RP_BACKEND_UNKNOWN ? RP_BACKEND_AWAY : rc;
}

/*  Writes where this broker is to be found. Until it is written, it is written again.  */
static rp_backend_result_t s_rename (s_postgres_t *self)
{
    char **name = &self->backend.renamed;
    rp_postgres_answer_t answer = rp_postgres_lease_rename (&self->postgres, &self->lease, *name);
    if (answer == RP_POSTGRES_DONE) {
        free (self->endpoints);
        self->endpoints = *name;
        *name = NULL;
    }
    return answer == RP_POSTGRES_LOST ? s_leave (self, S_TRY_US) : RP_BACKEND_OK;
}

/*  Renews the lease, unless what was written has done so, and looks at the other brokers.  */
static rp_backend_result_t s_tidy (rp_backend_t *backend, bool idle, bool *did)
{
    s_postgres_t *self = s_of (backend);
    (void) idle;
    *did = false;
    int64_t now = rp_clock_us ();
    bool looks = !backend->leaves && rp_membership_looks (&self->membership, now);
    bool renews = !self->postgres.connection || rp_membership_renews (&self->membership, now);
    rp_backend_result_t rc = renews || looks ? s_begin (backend) : RP_BACKEND_OK;
    if (rc == RP_BACKEND_OK && renews) {
        self->writes = true;
        rc = s_run_items (self);
    }
    if (rc == RP_BACKEND_OK && renews && backend->renamed)
        rc = s_rename (self);
    if (rc == RP_BACKEND_OK && looks)
        rc = s_adopt (self);
    backend->due = rp_membership_due (&self->membership);
    return rc == RP_BACKEND_UNKNOWN ? RP_BACKEND_AWAY : rc; // likewise
}

static void s_size (rp_backend_t *backend, rp_backend_size_t *size)
{
    s_postgres_t *self = s_of (backend);
    if (rp_postgres_is_alive (&self->postgres)
        && (self->sized == 0 || rp_clock_us () - self->sized > S_SIZE_US)) {
        PGresult *result;
        self->sized = rp_clock_us ();
        if (rp_postgres_run (&self->postgres,
              "SELECT coalesce (sum (pg_total_relation_size (c.oid)), 0)::bigint FROM pg_class c"
              " JOIN pg_namespace n ON n.oid = c.relnamespace"
              " WHERE n.nspname = 'riposte' AND c.relkind = 'r'",
              0, NULL, &result)
            == RP_POSTGRES_DONE) // not every engine knows it
            self->size.file_bytes = (uint64_t) rp_postgres_number (&self->postgres, result, 0, 0);
        s_clear (self, result);
        if (rp_postgres_run (&self->postgres,
              "SELECT count(*) FROM riposte.brokers WHERE holder = id AND lease_until > now()", 0,
              NULL, &result)
            == RP_POSTGRES_DONE)
            self->size.brokers = (uint64_t) rp_postgres_number (&self->postgres, result, 0, 0);
        s_clear (self, result);
    }
    self->size.adopted = self->membership.adopted;
    self->size.fenced = self->fenced;
    self->size.lease_until = self->lost ? 0 : self->membership.renewed + RP_MEMBERSHIP_LEASE_US;
    *size = self->size;
}

static const rp_store_secret_t *s_secret (const rp_backend_t *backend)
{
    return &RP_CONTAINER (backend, const s_postgres_t, backend)->secret;
}

static const char *s_trouble (const rp_backend_t *backend)
{
    return RP_CONTAINER (backend, const s_postgres_t, backend)->trouble;
}

static void s_close (rp_backend_t *backend)
{
    s_postgres_t *self = s_of (backend);
    if (self->postgres.connection && self->lease.epoch && !self->lost)
        rp_postgres_lease_end (&self->postgres, &self->lease);
    rp_postgres_disconnect (&self->postgres);
    free (self->items);
    free (self->endpoints);
    free (self->url);
    free (self);
}

static const rp_backend_class_t s_class = {
  .name = "postgresql",
  .close = s_close,
  .begin = s_begin,
  .run = s_run,
  .held = s_held,
  .commit = s_commit,
  .resolve = s_resolve,
  .rejoin = s_rejoin,
  .has_news = s_has_news,
  .roll_back = s_roll_back,
  .clean = s_clean,
  .tidy = s_tidy,
  .size = s_size,
  .secret = s_secret,
  .trouble = s_trouble,
};

/*  Connects, joins the brokers of the store, and takes over what those that are gone have left. False with text.  */
static bool s_begin_first (s_postgres_t *self, char *text)
{
    rp_postgres_t *postgres = &self->postgres;
    if (!rp_postgres_check_url (self->url, text))
        return false;
    if (!rp_postgres_connect (postgres, self->url)) {
        snprintf (text, RP_STORE_TEXT, "the store cannot be reached: %.400s", postgres->trouble);
        return false;
    }
    if (!rp_postgres_schema_read (postgres, &self->secret, text))
        return false;
    if (!rp_postgres_items_prepare (postgres) || s_rejoin (&self->backend) != RP_BACKEND_OK
        || s_reserve (self) != RP_BACKEND_OK) {
        snprintf (text, RP_STORE_TEXT, "the store cannot be used: %.400s", postgres->trouble);
        return false;
    }
    return true;
}

rp_backend_t *rp_postgres_open (const rp_store_settings_t *settings, char *text)
{
    s_postgres_t *self = calloc (1, sizeof *self);
    if (self) {
        self->backend.functions = &s_class;
        self->bug = settings->bug;
        self->url = strdup (settings->path);
        self->endpoints = settings->endpoints ? strdup (settings->endpoints) : NULL;
    }
    if (!self || !self->url || (settings->endpoints && !self->endpoints)) {
        if (self)
            free (self->url);
        free (self);
        snprintf (text, RP_STORE_TEXT, "out of memory");
        return NULL;
    }
    if (s_begin_first (self, text))
        return &self->backend;
    s_close (&self->backend);
    return NULL;
}
