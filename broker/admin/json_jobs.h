/*  JSON of jobs: the answers of riposte.job, jobs, cancel and dead.*.

    SPDX-License-Identifier: MPL-2.0

    A job is an object: id (a text, since JSON's numbers are not exact everywhere), service, principal, state
    (waiting, running, done, dead), attempt, attempts, accepted_us, due_us, deadline_us, ended_us (µs since
    1970; those that do not apply are missing), key, status, text, parent, child, body_bytes, reply_bytes, and
    of one job attempt_list [ { number, started_us, ended_us, worker, status, text } ], its timeline `events`,
    which is `told` in one sentence, too (broker/admin/job_trace.h), and, if it is asked for, body: as much of it
    as is wanted, as a text in which all but lines and tabs is escaped (common/base/utf8.h).

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_JSON_JOBS_H
#define RP_JSON_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "broker/core/store_op.h"
#include "common/wire/head.h"

/*  Bytes of a body that are told at most.  */
#define RP_JSON_JOBS_BODY_MAX 4096u

/*  How rows are told.  */
typedef struct {
    const rp_store_secret_t *secret; /* of their ids */
    int64_t wall;                    /* now */
    size_t body;                     /* bytes of the body of one job, at most */
} rp_json_jobs_manner_t;

/*  Returns the rows of a result that is SAFE: of FIND and RETRY one job; of LIST { jobs [ ], more, next }; of PURGE
    { purged, more }. NULL when out of memory.  */
json_t *rp_json_jobs (const rp_stored_t *stored, const rp_json_jobs_manner_t *manner);

/*  The same as a text, which is the caller's to free; NULL when out of memory.  */
char *rp_json_jobs_write (const rp_stored_t *stored, const rp_json_jobs_manner_t *manner);

/*  The largest question, bytes.  */
#define RP_JSON_JOBS_MAX 8192u

/*  A question about jobs; what it does not state is 0.  */
typedef struct {
    uint64_t id;
    uint32_t wait_ms;
    uint16_t most; /* jobs to list, 1 to 1000; 100 if it is not stated */
    uint16_t body; /* bytes of it that are wanted */
    uint8_t state; /* rp_job_state_t */
    bool all;      /* all of them are meant, and no id or service left out by mistake */
    char service[RP_WIRE_NAME_MAX + 1];
} rp_json_jobs_question_t;

/*  Reads a question, a JSON object, whose numbers may be texts, as in a URL. Returns NULL, or what is wrong with
    it.  */
const char *rp_json_jobs_read (rp_json_jobs_question_t *self, json_t *object);

/*  Reads its text; empty: nothing is stated.  */
const char *rp_json_jobs_read_text (rp_json_jobs_question_t *self, const void *text, size_t size);

#endif
