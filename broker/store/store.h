/*  The store: keeps jobs on disk, so that they outlive every process. A thread of its own does what
    waits for a disk.

    SPDX-License-Identifier: MPL-2.0

    The thread takes the operations that have gathered since its last commit as one transaction, syncs
    it, and then makes the descriptor readable. So many operations share a sync, and nothing that
    follows from one may be told before its result is taken. Results come in the order of the
    operations. Operations see those before them.

    When the disk is full, operations that write draw FULL, and what reads goes on; the next one that
    finds space succeeds. When a write or a sync has failed otherwise, the transaction may be on disk
    or not, and no later sync can tell. So that one and all later operations draw BROKEN, until
    another process opens the file and reads what is there.

    While a database of another process is not reachable, operations draw AWAY. What a commit without an
    answer has done is found out before anything that follows it is told: until then no result comes,
    so the owner looks at rp_store_is_away, and submits no more than it has to.

    A database may be that of several brokers, each with jobs of its own. Those of one that is not heard are taken over
    by another, which is news: SERVICES tells of them. If it is this one that was not heard, its operations draw
    LOST until it begins again, with nothing.

    The thread also removes jobs whose final has been kept long enough, in small batches between
    transactions.

    Thread-safety: a store belongs to one thread, besides its own; rp_store_figures may be called by
    any.
*/

#ifndef RP_STORE_H
#define RP_STORE_H

#include "broker/core/store_op.h"
#include "broker/store/backend.h"
#include "common/base/spread.h"

/*  Bytes and number of operations that may wait for the disk: at 100 MB/s a second's work. More PUTs
    draw BUSY, and so does what reads. Others are always taken: they concern jobs that are open, of
    which there is a limit.  */
#define RP_STORE_QUEUE_BYTES (64u << 20)
#define RP_STORE_QUEUE_OPS 65536u
/*  Operations in a transaction: bounds the time to the first result.  */
#define RP_STORE_GROUP_OPS 4096u
#define RP_STORE_GROUP_BYTES (16u << 20)

/*  Bytes of rows that a transaction reads before it ends, and those that wait to be taken before another one begins:
    one large body may be asked for thousands of times at once. What is read last may go beyond.  */
#define RP_STORE_READ_BYTES (16u << 20)

typedef struct rp_store rp_store_t;

/*  What the store has done since it was opened. Times in µs.  */
typedef struct {
    uint64_t ops[RP_STORE_KIND_COUNT];
    uint64_t outcomes[RP_STORED_COUNT];
    uint64_t commits;
    uint64_t cleaned;      /* jobs */
    uint64_t queued;       /* operations without result, now */
    uint64_t queued_bytes; /* now */
    uint64_t file_bytes;   /* now, with free pages, without the write-ahead log */
    uint64_t free_bytes;   /* of these; they are used again first */
    uint64_t brokers;    /* that have the store, with itself, counted each 10 s; 0: it is a file */
    uint64_t adopted;    /* others whose jobs it has taken over */
    uint64_t fenced;     /* how often another one has taken over its own */
    int64_t lease_until; /* of this broker on its jobs, by rp_clock_us; 0: it has none */
    bool full;           /* the latest transaction found no space */
    bool away;           /* the database is not reachable */
    bool broken;
    rp_spread_t commit_us; /* of a transaction: from its first operation to the end of its sync */
    rp_spread_t checkpoint_us;
} rp_store_figures_t;

/*  Opens the store, or makes it, and starts its thread. NULL on failure: text (RP_STORE_TEXT bytes)
    says what is wrong and what to do.  */
rp_store_t *rp_store_open (const rp_store_settings_t *settings, char *text);

/*  Finishes what was submitted, closes the store, frees it with results that were not taken, and
    nulls *self_p. NULL is allowed. Values `kept` of such results are lost: take all results first
    where they own something.  */
void rp_store_close (rp_store_t **self_p);

/*  The secret of the store's ids. Any thread, until it is closed.  */
const rp_store_secret_t *rp_store_secret (const rp_store_t *self);

/*  To be polled for reading: there are results. It stays readable until rp_store_take has found
    none.  */
int rp_store_descriptor (const rp_store_t *self);

/*  Submits an operation and never waits. Everything in op is copied. The frames of a body (PUT, FINAL;
    otherwise count is 0) are not: they must be valid and unchanged until the operation's result is
    taken, which gives kept back. False when out of memory; nothing has changed then, but an operation
    must not be left out: end the broker.  */
bool rp_store_submit (rp_store_t *self,
  const rp_store_op_t *op,
  const rp_store_span_t *frames,
  size_t count,
  void *kept);

/*  Takes the next result. False if there is none yet. The rows are the caller's: rp_stored_clear.  */
bool rp_store_take (rp_store_t *self, rp_stored_t *result);

/*  Frees the rows of a result.  */
void rp_stored_clear (rp_stored_t *result);

/*  Waits for results, at most ms. For tests and programs without a loop. True if the
    descriptor is readable.  */
bool rp_store_wait (const rp_store_t *self, unsigned ms);

/*  True while the database is not reachable. The descriptor becomes readable when that changes.  */
bool rp_store_is_away (const rp_store_t *self);

/*  True once if there is news, of jobs that have been taken over or lost: SERVICES with `news` tells which. taken
    (RP_STORE_TEXT bytes): from which brokers, for people, or "". The descriptor becomes readable when there is.  */
bool rp_store_take_news (rp_store_t *self, char *taken);

/*  Says where this broker is to be found, for people who look for brokers: as its endpoints are once they are bound. Out of
    memory, it stays as it was.  */
void rp_store_rename (rp_store_t *self, const char *endpoints);

/*  Takes over no jobs of other brokers from now on, since this one is about to end.  */
void rp_store_leave (rp_store_t *self);

/*  The name of its kind of database.  */
const char *rp_store_kind (const rp_store_t *self);

/*  Why the store is broken, not reachable, or found no space; "" if it is well. The text is valid until the next
    call.  */
const char *rp_store_trouble (rp_store_t *self);

void rp_store_figures (rp_store_t *self, rp_store_figures_t *figures);

#endif
