/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/store.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/rows.h"
#include "common/base/check.h"
#include "common/base/earlier.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/io/clock.h"

/*  How often the thread looks for jobs to clean up, and at the size of the file.  */
#define S_LOOK_US 1000000
/*  How often it looks for a database that is not reachable.  */
#define S_AGAIN_US 200000

static bool s_has_job (const rp_store_op_t *op)
{
    return op->kind == RP_STORE_PUT || op->kind == RP_STORE_KEY;
}

static const bool s_writes[] = {
#define S_WRITES(name, writes, text) writes,
  RP_STORE_MAP (S_WRITES)
#undef S_WRITES
};

/*  An operation from its submission to its result. What it points to lies behind
    it, but for the bytes of its frames.  */
typedef struct {
    rp_list_node_t node;
    rp_store_op_t op;
    rp_store_job_t job;
    rp_stored_t result;
    rp_store_span_t *frames;
    size_t count;
    size_t bytes;
    rp_stored_outcome_t refused; /* BUSY, TOO_LARGE or LOST: it is not run; SAFE: it is */
} s_item_t;

struct rp_store {
    rp_backend_t *backend;
    int descriptor;
    pthread_t thread;
    atomic_bool away;
    atomic_bool news;
    atomic_bool leaves;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t filled;
    rp_list_t queue;   /* submitted */
    rp_list_t done;    /* with result */
    size_t done_bytes; /* of their rows */
    bool ending;
    char *renamed; /* where the broker is to be found, until the backend is told */
    rp_store_figures_t figures;
    char trouble[RP_STORE_TEXT];
    char trouble_copy[RP_STORE_TEXT]; /* the owner's */
    char taken[RP_STORE_TEXT];        /* from whom jobs have been taken over */
};

static void s_lock (rp_store_t *self)
{
    RP_CHECK (pthread_mutex_lock (&self->lock) == 0);
}

static void s_unlock (rp_store_t *self)
{
    RP_CHECK (pthread_mutex_unlock (&self->lock) == 0);
}

static void s_item_free (s_item_t *item)
{
    rp_rows_destroy (&item->result.rows);
    free (item);
}

static s_item_t *s_item_of (rp_list_node_t *node)
{
    return RP_CONTAINER (node, s_item_t, node);
}

/*  ---- Transactions, by the store's thread ------------------------------------------------------ */

/*  What to run of a group. A full disk may still have room for what is small, or at least be read.  */
typedef enum { S_ALL, S_WITHOUT_PUTS, S_READS, S_NOTHING } s_pass_t;

static bool s_is_run (const s_item_t *item, s_pass_t pass)
{
    rp_store_kind_t kind = item->op.kind;
    if (item->refused != RP_STORED_SAFE || pass == S_NOTHING)
        return false;
    return !s_writes[kind] || pass == S_ALL || (pass == S_WITHOUT_PUTS && kind != RP_STORE_PUT);
}

static void s_reset_result (s_item_t *item, rp_stored_outcome_t outcome)
{
    rp_rows_destroy (&item->result.rows);
    item->result = (rp_stored_t){.number = item->op.number,
      .kind = item->op.kind,
      .outcome = item->refused != RP_STORED_SAFE ? item->refused : outcome,
      .id = item->op.id,
      .due = RP_STORE_NEVER,
      .kept = item->result.kept};
}

static void s_wake (rp_store_t *self)
{
    const uint64_t one = 1;
    RP_CHECK (write (self->descriptor, &one, sizeof one) == sizeof one);
}

/*  Notes how the latest transaction ended.  */
static void s_note (rp_store_t *self, rp_backend_result_t rc)
{
    bool away = rc == RP_BACKEND_AWAY || rc == RP_BACKEND_UNKNOWN;
    s_lock (self);
    bool changed = self->figures.away != away;
    self->figures.full = rc == RP_BACKEND_FULL;
    self->figures.away = away;
    if (rc == RP_BACKEND_BROKEN)
        self->figures.broken = true;
    snprintf (self->trouble, sizeof self->trouble, "%s",
      rc == RP_BACKEND_OK ? "" : self->backend->functions->trouble (self->backend));
    s_unlock (self);
    if (!changed)
        return;
    atomic_store (&self->away, away);
    s_wake (self);
}

/*  Tells the owner that SERVICES has something to tell.  */
static void s_tell_news (rp_store_t *self)
{
    if (!atomic_exchange (&self->news, true))
        s_wake (self);
}

/*  The same if jobs have been taken over.  */
static void s_look_for_news (rp_store_t *self)
{
    const rp_backend_class_t *functions = self->backend->functions;
    if (!functions->has_news || !functions->has_news (self->backend))
        return;
    s_lock (self);
    snprintf (self->taken, sizeof self->taken, "%s", functions->trouble (self->backend));
    s_unlock (self);
    s_tell_news (self);
}

/*  Waits before the database is looked for again. False if the store is to be closed.  */
static bool s_pause (rp_store_t *self)
{
    struct timespec until = rp_clock_timespec (rp_clock_us () + S_AGAIN_US);
    int rc = 0;
    s_lock (self);
    while (!self->ending && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait (&self->filled, &self->lock, &until);
    bool ending = self->ending;
    s_unlock (self);
    return !ending;
}

/*  Finds out what a commit without an answer has done. Whether it did is not guessed: when the store is
    closed before it is known, the operations are BROKEN, and are read at the next start.  */
static rp_backend_result_t s_resolve (rp_store_t *self)
{
    rp_backend_result_t rc = RP_BACKEND_UNKNOWN;
    while (rc == RP_BACKEND_UNKNOWN) {
        s_note (self, rc);
        if (!s_pause (self))
            return RP_BACKEND_BROKEN;
        rc = self->backend->functions->resolve (self->backend);
    }
    return rc;
}

/*  Gives what is behind an operation back to the queue, which had it before all others.  */
static void s_postpone (rp_store_t *self, rp_list_t *group, const rp_list_node_t *last)
{
    rp_list_node_t *node;
    s_lock (self);
    while ((node = rp_list_last (group)) != last) {
        rp_list_remove (node);
        rp_list_prepend (&self->queue, node);
    }
    s_unlock (self);
}

/*  Runs the group in one transaction, or as much of it as may be read at once.  */
static rp_backend_result_t s_run_pass (rp_store_t *self, rp_list_t *group, s_pass_t pass)
{
    rp_backend_t *backend = self->backend;
    const rp_backend_class_t *functions = backend->functions;
    rp_backend_result_t rc = functions->begin (backend);
    for (rp_list_node_t *node = rp_list_first (group); node && rc == RP_BACKEND_OK;
         node = rp_list_next (group, node)) {
        s_item_t *item = s_item_of (node);
        bool run = s_is_run (item, pass);
        s_reset_result (item, run ? RP_STORED_BROKEN : RP_STORED_FULL);
        if (run)
            rc = functions->run (backend,
              &(rp_store_work_t){.op = &item->op, .frames = item->frames, .count = item->count},
              &item->result);
        if (rc == RP_BACKEND_OK && functions->held (backend) >= RP_STORE_READ_BYTES)
            s_postpone (self, group, node);
    }
    if (rc == RP_BACKEND_OK)
        rc = functions->commit (backend);
    if (rc == RP_BACKEND_UNKNOWN)
        rc = s_resolve (self);
    if (rc != RP_BACKEND_OK)
        functions->roll_back (backend);
    return rc;
}

static void s_spread_add (rp_spread_t *spread, int64_t us)
{
    rp_spread_add (spread, us < UINT32_MAX ? (uint32_t) us : UINT32_MAX);
}

static bool s_is_broken (rp_store_t *self)
{
    s_lock (self);
    bool broken = self->figures.broken;
    s_unlock (self);
    return broken;
}

/*  True of the question with which the owner begins, without whose answer it does nothing.  */
static bool s_is_begin (const s_item_t *item)
{
    return item->op.kind == RP_STORE_SERVICES && !item->op.news;
}

/*  True if the group has that question. It is asked until there is an answer.  */
static bool s_begins (rp_list_t *group)
{
    rp_list_node_t *node = rp_list_first (group);
    while (node && !s_is_begin (s_item_of (node)))
        node = rp_list_next (group, node);
    return node != NULL;
}

/*  Of a broker that has lost what it had: what is before its new beginning is not run. False if that is not among
    the group.  */
static bool s_skip_to_begin (rp_list_t *group)
{
    rp_list_node_t *node = rp_list_first (group);
    for (; node && !s_is_begin (s_item_of (node)); node = rp_list_next (group, node))
        s_item_of (node)->refused = RP_STORED_LOST;
    return node != NULL;
}

/*  Begins again, also if the new beginning is lost at once. False if the owner does not, or the store is to be
    closed.  */
static bool s_rejoin (rp_store_t *self, rp_list_t *group)
{
    if (!s_skip_to_begin (group))
        return false;
    rp_backend_result_t rc;
    while ((rc = self->backend->functions->rejoin (self->backend)) == RP_BACKEND_AWAY
           || rc == RP_BACKEND_LOST) {
        s_note (self, rc);
        if (!s_pause (self))
            return false;
    }
    return rc == RP_BACKEND_OK;
}

/*  Runs the group, or as much of it as finds space.  */
static rp_backend_result_t s_run_passes (rp_store_t *self, rp_list_t *group)
{
    s_pass_t pass = S_ALL;
    rp_backend_result_t first = s_run_pass (self, group, pass);
    rp_backend_result_t rc = first;
    while (rc == RP_BACKEND_FULL && pass < S_NOTHING)
        rc = s_run_pass (self, group, ++pass);
    s_note (self, rc == RP_BACKEND_OK ? first : rc);
    return rc;
}

/*  Gives every operation of the group its result.  */
static void s_run_group (rp_store_t *self, rp_list_t *group)
{
    int64_t begun = rp_clock_us ();
    rp_backend_result_t rc = s_is_broken (self) ? RP_BACKEND_BROKEN : s_run_passes (self, group);
    while ((rc == RP_BACKEND_AWAY && s_begins (group) && s_pause (self))
           || (rc == RP_BACKEND_LOST && s_rejoin (self, group)))
        rc = s_run_passes (self, group);
    if (rc != RP_BACKEND_OK) // also FULL, should even an empty transaction find no space
        for (rp_list_node_t *node = rp_list_first (group); node; node = rp_list_next (group, node))
            s_reset_result (s_item_of (node), rc == RP_BACKEND_FULL   ? RP_STORED_FULL
                                              : rc == RP_BACKEND_AWAY ? RP_STORED_AWAY
                                              : rc == RP_BACKEND_LOST ? RP_STORED_LOST
                                                                      : RP_STORED_BROKEN);
    s_lock (self);
    if (rc == RP_BACKEND_OK) {
        self->figures.commits++;
        s_spread_add (&self->figures.commit_us, rp_clock_us () - begun);
    }
    s_unlock (self);
}

/*  True if the owner first has to take what was read.  */
static bool s_is_ahead (const rp_store_t *self)
{
    return self->done_bytes >= RP_STORE_READ_BYTES && !self->ending;
}

/*  Moves the first operations of the queue into a group.  */
static void s_take_group (rp_store_t *self, rp_list_t *group)
{
    size_t bytes = 0;
    if (s_is_ahead (self))
        return;
    for (size_t count = 0; count < RP_STORE_GROUP_OPS && bytes < RP_STORE_GROUP_BYTES; count++) {
        rp_list_node_t *node = rp_list_first (&self->queue);
        if (!node)
            break;
        rp_list_remove (node);
        rp_list_append (group, node);
        bytes += s_item_of (node)->bytes;
    }
}

/*  Moves the results to the owner, who is woken without the lock, which it wants first. So it may take
    them before the descriptor is readable, and find nothing then.  */
static void s_give_results (rp_store_t *self, rp_list_t *group)
{
    s_lock (self);
    rp_list_node_t *node;
    while ((node = rp_list_first (group))) {
        s_item_t *item = s_item_of (node);
        rp_list_remove (node);
        rp_list_append (&self->done, node);
        self->done_bytes += rp_rows_bytes (item->result.rows);
        self->figures.ops[item->result.kind]++;
        self->figures.outcomes[item->result.outcome]++;
        self->figures.queued--;
        self->figures.queued_bytes -= item->bytes;
    }
    s_unlock (self);
    s_wake (self);
}

/*  ---- Upkeep, by the store's thread ------------------------------------------------------------ */

static int64_t s_wall_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*  Removes a batch. True if there is more.  */
static bool s_clean (rp_store_t *self)
{
    uint64_t cleaned = 0;
    bool more = false;
    rp_backend_result_t rc =
      self->backend->functions->clean (self->backend, s_wall_us (), &cleaned, &more);
    if (rc != RP_BACKEND_OK || rp_store_is_away (self))
        s_note (self, rc);
    s_lock (self);
    self->figures.cleaned += cleaned;
    s_unlock (self);
    return more && rc == RP_BACKEND_OK;
}

/*  True if it should be called again soon.  */
static bool s_tidy (rp_store_t *self, bool idle)
{
    bool did = false;
    int64_t begun = rp_clock_us ();
    self->backend->leaves = atomic_load (&self->leaves);
    s_lock (self);
    if (self->renamed) {
        free (self->backend->renamed);
        self->backend->renamed = self->renamed;
        self->renamed = NULL;
    }
    s_unlock (self);
    rp_backend_result_t rc = self->backend->functions->tidy (self->backend, idle, &did);
    if (rc != RP_BACKEND_OK || rp_store_is_away (self))
        s_note (self, rc);
    if (rc == RP_BACKEND_LOST)
        s_tell_news (self);
    s_look_for_news (self);
    s_lock (self);
    if (did)
        s_spread_add (&self->figures.checkpoint_us, rp_clock_us () - begun);
    s_unlock (self);
    return did && rc == RP_BACKEND_OK;
}

static void s_note_size (rp_store_t *self, const rp_backend_size_t *size)
{
    self->figures.file_bytes = size->file_bytes;
    self->figures.free_bytes = size->free_bytes;
    self->figures.brokers = size->brokers;
    self->figures.adopted = size->adopted;
    self->figures.fenced = size->fenced;
    self->figures.lease_until = size->lease_until;
}

static void s_look_size (rp_store_t *self)
{
    rp_backend_size_t size = {0};
    self->backend->functions->size (self->backend, &size);
    s_lock (self);
    s_note_size (self, &size);
    s_unlock (self);
}

/*  When the thread looks for upkeep next, and when it only tidies; whether there is some at once.  */
typedef struct {
    int64_t at;
    int64_t tidies;
    bool more;
} s_upkeep_t;

/*  Does one step of it. idle: the queue is empty.  */
static void s_keep_up (rp_store_t *self, s_upkeep_t *upkeep, bool idle)
{
    if (s_is_broken (self)) {
        *upkeep = (s_upkeep_t){.at = INT64_MAX, .tidies = INT64_MAX};
        return;
    }
    bool look = rp_clock_us () >= upkeep->at;
    bool more = (look || upkeep->more) && s_clean (self);
    more = s_tidy (self, idle && (look || upkeep->more)) || more;
    if (look) {
        s_look_size (self);
        upkeep->at = rp_clock_us () + (rp_store_is_away (self) ? S_AGAIN_US : S_LOOK_US);
    }
    upkeep->more = more;
    // What could not be done in time is tried again at the next look.
    upkeep->tidies = self->backend->due > rp_clock_us () ? self->backend->due : INT64_MAX;
}

/*  Waits for operations until the time of the next upkeep. The lock is held.  */
static void s_wait (rp_store_t *self, const s_upkeep_t *upkeep)
{
    while (
      (rp_list_is_empty (&self->queue) || s_is_ahead (self)) && !self->ending && !upkeep->more) {
        int64_t at = rp_earlier (upkeep->at, upkeep->tidies);
        if (at == INT64_MAX) {
            pthread_cond_wait (&self->filled, &self->lock);
            continue;
        }
        struct timespec until = rp_clock_timespec (at);
        if (pthread_cond_timedwait (&self->filled, &self->lock, &until) == ETIMEDOUT)
            return;
    }
}

static void *s_thread (void *arg)
{
    rp_store_t *self = arg;
    s_upkeep_t upkeep = {.at = rp_clock_us () + S_LOOK_US, .tidies = INT64_MAX, .more = true};
    bool ended = false;
    while (!ended) {
        rp_list_t group;
        rp_list_init (&group);
        s_lock (self);
        s_wait (self, &upkeep);
        s_take_group (self, &group);
        bool idle = rp_list_is_empty (&group);
        ended = self->ending && idle;
        s_unlock (self);
        if (!idle) {
            s_run_group (self, &group);
            s_give_results (self, &group);
        }
        if (!ended)
            s_keep_up (self, &upkeep, idle);
    }
    return NULL;
}

/*  ---- The owner ------------------------------------------------------------------------------- */

static bool s_start (rp_store_t *self)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    self->descriptor = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->descriptor < 0)
        return false;
    RP_CHECK (pthread_mutex_init (&self->lock, NULL) == 0);
    RP_CHECK (pthread_condattr_init (&monotonic) == 0);
    RP_CHECK (pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC) == 0);
    RP_CHECK (pthread_cond_init (&self->filled, &monotonic) == 0);
    pthread_condattr_destroy (&monotonic);
    // Signals are the owner's.
    sigfillset (&all);
    RP_CHECK (pthread_sigmask (SIG_SETMASK, &all, &before) == 0);
    int rc = pthread_create (&self->thread, NULL, s_thread, self);
    RP_CHECK (pthread_sigmask (SIG_SETMASK, &before, NULL) == 0);
    if (rc != 0) {
        close (self->descriptor);
        errno = rc;
    }
    return rc == 0;
}

rp_store_t *rp_store_open (const rp_store_settings_t *settings, char *text)
{
    rp_store_t *self = calloc (1, sizeof *self);
    if (!self) {
        snprintf (text, RP_STORE_TEXT, "out of memory");
        return NULL;
    }
    rp_list_init (&self->queue);
    rp_list_init (&self->done);
    self->backend = rp_postgres_is_url (settings->path) ? rp_postgres_open (settings, text)
                                                        : rp_sqlite_open (settings, text);
    if (!self->backend) {
        free (self);
        return NULL;
    }
    rp_backend_size_t size = {0};
    self->backend->functions->size (self->backend, &size);
    s_note_size (self, &size);
    if (!s_start (self)) {
        snprintf (
          text, RP_STORE_TEXT, "the store's thread cannot be started: %s", strerror (errno));
        self->backend->functions->close (self->backend);
        free (self);
        return NULL;
    }
    return self;
}

void rp_store_close (rp_store_t **self_p)
{
    rp_store_t *self = *self_p;
    if (!self)
        return;
    s_lock (self);
    self->ending = true;
    pthread_cond_signal (&self->filled);
    s_unlock (self);
    RP_CHECK (pthread_join (self->thread, NULL) == 0);
    free (self->backend->renamed);
    self->backend->functions->close (self->backend);
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->done))) {
        rp_list_remove (node);
        s_item_free (s_item_of (node));
    }
    pthread_cond_destroy (&self->filled);
    pthread_mutex_destroy (&self->lock);
    close (self->descriptor);
    free (self->renamed);
    free (self);
    *self_p = NULL;
}

bool rp_store_is_away (const rp_store_t *self)
{
    return atomic_load (&self->away);
}

bool rp_store_take_news (rp_store_t *self, char *taken)
{
    if (!atomic_exchange (&self->news, false))
        return false;
    s_lock (self);
    memcpy (taken, self->taken, sizeof self->taken);
    self->taken[0] = 0;
    s_unlock (self);
    return true;
}

void rp_store_rename (rp_store_t *self, const char *endpoints)
{
    char *copy = strdup (endpoints);
    s_lock (self);
    if (copy) {
        free (self->renamed);
        self->renamed = copy;
    }
    s_unlock (self);
}

void rp_store_leave (rp_store_t *self)
{
    atomic_store (&self->leaves, true);
}

const char *rp_store_kind (const rp_store_t *self)
{
    return self->backend->functions->name;
}

const rp_store_secret_t *rp_store_secret (const rp_store_t *self)
{
    return self->backend->functions->secret (self->backend);
}

int rp_store_descriptor (const rp_store_t *self)
{
    return self->descriptor;
}

/*  A pointer in an item, and the size of what it points to.  */
typedef struct {
    const void **pointer;
    size_t size;
} s_piece_t;

/*  Lists what an item points to. Returns how many.  */
#define S_PIECES 6u
static size_t s_list_pieces (s_item_t *item, s_piece_t pieces[S_PIECES])
{
    rp_store_op_t *op = &item->op;
    rp_store_job_t *job = &item->job;
    size_t count = 0;
    pieces[count++] = (s_piece_t){(const void **) &op->text, op->text_size};
    pieces[count++] =
      (s_piece_t){(const void **) &op->worker, op->worker ? strlen (op->worker) + 1 : 0};
    if (op->kind == RP_STORE_FINAL)
        pieces[count++] = (s_piece_t){(const void **) &op->headers, op->headers_size};
    if (s_has_job (op)) {
        pieces[count++] = (s_piece_t){&job->service.data, job->service.size};
        pieces[count++] = (s_piece_t){&job->principal.data, job->principal.size};
        pieces[count++] = (s_piece_t){&job->key.data, job->key.size};
        pieces[count++] = (s_piece_t){&job->headers.data, job->headers.size};
    }
    return count;
}

/*  Copies an operation with all that it points to, but its frames' bytes. NULL when out of memory.  */
static s_item_t *s_item_new (
  const rp_store_op_t *op, const rp_store_span_t *frames, size_t count, void *kept)
{
    s_item_t sketch = {.op = *op, .count = count};
    s_piece_t pieces[S_PIECES];
    if (s_has_job (op))
        sketch.job = *op->job;
    size_t copied = s_list_pieces (&sketch, pieces);
    size_t size = sizeof sketch + count * sizeof *frames;
    for (size_t index = 0; index < copied; index++)
        size += pieces[index].size;
    s_item_t *item = malloc (size);
    if (!item)
        return NULL;
    *item = sketch;
    item->result.kept = kept;
    item->bytes = size;
    item->frames = (rp_store_span_t *) (item + 1);
    for (size_t index = 0; index < count; index++) {
        item->frames[index] = frames[index];
        item->bytes += frames[index].size;
    }
    char *at = (char *) (item->frames + count);
    copied = s_list_pieces (item, pieces);
    for (size_t index = 0; index < copied; index++) {
        if (pieces[index].size > 0)
            memcpy (at, *pieces[index].pointer, pieces[index].size);
        *pieces[index].pointer = pieces[index].size > 0 ? at : NULL;
        at += pieces[index].size;
    }
    if (s_has_job (op))
        item->op.job = &item->job;
    return item;
}

/*  Returns why an operation is not to be run; it takes its place in the order nevertheless.  */
static rp_stored_outcome_t s_refusal (const rp_store_t *self, const s_item_t *item)
{
    const rp_store_figures_t *figures = &self->figures;
    uint64_t body = 0;
    for (size_t index = 0; index < item->count; index++)
        body += item->frames[index].size;
    if (body > RP_STORE_BODY_MAX)
        return RP_STORED_TOO_LARGE;
    if (item->op.kind != RP_STORE_PUT && s_writes[item->op.kind])
        return RP_STORED_SAFE;
    bool busy =
      figures->queued >= RP_STORE_QUEUE_OPS
      || (figures->queued > 0 && figures->queued_bytes + item->bytes > RP_STORE_QUEUE_BYTES);
    return busy ? RP_STORED_BUSY : RP_STORED_SAFE;
}

bool rp_store_submit (rp_store_t *self,
  const rp_store_op_t *op,
  const rp_store_span_t *frames,
  size_t count,
  void *kept)
{
    RP_CHECK (op->kind < RP_STORE_KIND_COUNT);
    s_item_t *item = s_item_new (op, frames, count, kept);
    if (!item)
        return false;
    s_lock (self);
    item->refused = s_refusal (self, item);
    rp_list_append (&self->queue, &item->node);
    self->figures.queued++;
    self->figures.queued_bytes += item->bytes;
    s_unlock (self);
    pthread_cond_signal (&self->filled);
    return true;
}

bool rp_store_take (rp_store_t *self, rp_stored_t *result)
{
    uint64_t counted;
    s_lock (self);
    rp_list_node_t *node = rp_list_first (&self->done);
    bool ahead = s_is_ahead (self);
    if (node) {
        rp_list_remove (node);
        self->done_bytes -= rp_rows_bytes (s_item_of (node)->result.rows);
    }
    else // with the lock: results that come now make it readable again
        (void) !read (self->descriptor, &counted, sizeof counted);
    if (ahead && !s_is_ahead (self))
        pthread_cond_signal (&self->filled);
    s_unlock (self);
    if (!node)
        return false;
    s_item_t *item = s_item_of (node);
    *result = item->result;
    item->result.rows = NULL;
    s_item_free (item);
    return true;
}

void rp_stored_clear (rp_stored_t *result)
{
    rp_rows_destroy (&result->rows);
}

bool rp_store_wait (const rp_store_t *self, unsigned ms)
{
    int rc;
    do
        rc = poll (&(struct pollfd){.fd = self->descriptor, .events = POLLIN}, 1, (int) ms);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

const char *rp_store_trouble (rp_store_t *self)
{
    s_lock (self);
    memcpy (self->trouble_copy, self->trouble, sizeof self->trouble);
    s_unlock (self);
    return self->trouble_copy;
}

void rp_store_figures (rp_store_t *self, rp_store_figures_t *figures)
{
    s_lock (self);
    *figures = self->figures;
    s_unlock (self);
}
