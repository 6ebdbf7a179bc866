/*  A model of the store of jobs, in memory: what broker/core/store_op.h says, and nothing of how a disk does it.

    SPDX-License-Identifier: MPL-2.0

    Operations wait until the test commits them, one by one; results wait until the test takes them. A crash
    loses both, and keeps what was committed. Outcomes that a test orders come instead of what an
    operation would have done.
*/

#ifndef MODEL_STORE_H
#define MODEL_STORE_H

#include "broker/core/store_op.h"
#include "common/base/list.h"

typedef struct {
    void *data;
    size_t size;
} model_blob_t;

#define MODEL_ATTEMPTS 64u

typedef struct {
    uint64_t id;
    rp_store_job_t job; /* its spans point to the blobs */
    model_blob_t service, principal, key, headers, body;
    rp_job_state_t state;
    uint8_t attempt;
    int64_t due;
    rp_store_attempt_t attempts[MODEL_ATTEMPTS]; /* that failed; texts point to the blobs */
    model_blob_t texts[MODEL_ATTEMPTS];
    unsigned attempt_count;
    int64_t started; /* of a job that runs */
    /*  of its final  */
    uint8_t status;
    uint8_t made;
    uint32_t code;
    int64_t ended;
    int64_t until;
    model_blob_t text, reply, reply_headers;
    bool has_reply;
    uint64_t child;
    uint64_t elsewhere; /* the broker that has the job, while it is open; 0: the one of the test */
    bool news;          /* it was another one's, and SERVICES has not told of it */
    bool taken;         /* another one has ended it */
} model_row_t;

/*  What is noted of a job that was ended for whoever has it.  */
typedef struct {
    uint64_t id;
    model_blob_t service;
    bool told; /* or is nobody's business any more */
} model_note_t;

/*  An operation that waits, with its result once it is committed.  */
typedef struct {
    rp_list_node_t node;
    rp_store_op_t op;
    rp_store_job_t job;
    model_blob_t text, headers, worker, service, principal, key, body;
    bool has_body;
    rp_stored_t result;
} model_op_t;

typedef struct model_store model_store_t;

/*  Decides an operation's outcome before it is carried out: SAFE lets it be.  */
typedef rp_stored_outcome_t (model_outcome_fn) (const rp_store_op_t *op, void *arg);
/*  Sees each operation when it is committed, with its result and (where it is about one) its job as it is
    now.  */
typedef void (model_commit_fn) (
  const rp_store_op_t *op, const rp_stored_t *result, const model_row_t *row, void *arg);

struct model_store {
    model_row_t **rows; /* by id, from 1 */
    uint64_t last;
    uint64_t row_capacity;
    rp_list_t queue;
    rp_list_t results;
    size_t queued;
    size_t result_count;
    model_outcome_fn *outcome; /* may be NULL */
    model_commit_fn *commit;   /* may be NULL */
    void *arg;
    /*  outcomes to come, by kind: so many of the next operations  */
    rp_stored_outcome_t ordered[RP_STORE_KIND_COUNT];
    unsigned ordered_count[RP_STORE_KIND_COUNT];
    uint64_t number;        /* of the last operation that was submitted */
    bool keys_of_everybody; /* a bug: keys have no principal */
    bool lost;              /* what the broker had is another's, and it has not begun again */
    bool unfenced;          /* a bug: it goes on writing nevertheless */
    model_note_t *notes;
    size_t note_count;
    uint64_t looks; /* ids that a LIST of the broker's own jobs looks at, at most; 0: all */
};

void model_store_init (model_store_t *self);
void model_store_clear (model_store_t *self);

/*  The next `count` operations of a kind come out so.  */
void model_store_order (
  model_store_t *self, rp_store_kind_t kind, rp_stored_outcome_t outcome, unsigned count);

/*  Open jobs become another broker's: from then on operations are LOST, until the broker begins again. Or all open ones
    become this one's, which is news.  */
void model_store_lose (model_store_t *self, uint64_t to);
void model_store_adopt (model_store_t *self);

/*  Another broker cancels an open job of this one, of which that hears by news.  */
void model_store_end (model_store_t *self, uint64_t id);

/*  Everything is copied.  */
void model_store_submit (model_store_t *self,
  const rp_store_op_t *op,
  const void *body,
  size_t size,
  bool has_body,
  void *kept);

/*  Commits the oldest operation. False if none waits.  */
bool model_store_commit (model_store_t *self);

/*  Returns the oldest result, which the test gives back with model_store_free; NULL if there is none.  */
model_op_t *model_store_take (model_store_t *self);
void model_store_free (model_op_t *op);

/*  Takes all jobs out of a result.  */
void model_store_drop_rows (rp_store_rows_t *rows);

/*  Loses what waits, and the results. Calls lost for each `kept` that was given.  */
void model_store_crash (model_store_t *self, void (*lost) (void *kept));

/*  Returns a job; NULL if it is not there.  */
model_row_t *model_store_row (const model_store_t *self, uint64_t id);

/*  Commits a job as if somebody had put it there before.  */
uint64_t model_store_put (
  model_store_t *self, const rp_store_job_t *job, const void *body, size_t size);

#endif
