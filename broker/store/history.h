/*  The history: a file with a journal record per line, which proves what happened to every request.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/RELIABILITY.md, which describes the lines; tests/history/check.py holds them
    against the contract.

    The history is a journal (broker/store/journal.h): the outbox has a line written before anything
    that follows from it leaves the broker. So the history of a killed broker is complete up to what
    its peers have seen; only the last line may be torn.

    Thread-safety: none.
*/

#ifndef RP_HISTORY_H
#define RP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "broker/core/stats.h"
#include "broker/core/terms.h"
#include "broker/store/journal.h"

/*  The header whose value names a request in the histories of all brokers.  */
#define RP_HISTORY_HEADER "request-id"

typedef struct {
    rp_journal_t journal;
    int descriptor; /* not owned; 0 or less: no history is kept (any more) */
    int given;      /* the descriptor at the beginning of the history */
    int error;      /* errno of the failed write, until rp_history_failure has returned it */
    char *buffer;
    size_t used;
    int64_t scraped;
    char party[32]; /* who writes the lines: "broker:" and the instance */
} rp_history_t;

/*  Opens a file for appending, and ends a line that a killed broker left torn. Returns a
    descriptor, or -1 with errno.  */
int rp_history_open (const char *path);

/*  Begins the history of one run of a broker. False when out of memory.  */
bool rp_history_begin (rp_history_t *self, int descriptor, const char *instance, int64_t now);

/*  Goes on in the file that has the path now, because the open one was moved. Writes the buffer out
    first, so that each line is whole and in one file. The descriptor keeps its number. A history
    that had ended begins again, with the line `gap`. 0, or -1 with errno: nothing has changed
    then.  */
int rp_history_reopen (rp_history_t *self, const char *path, int64_t now);

/*  Appends that the broker ended in good order, as the last line.  */
void rp_history_end (rp_history_t *self, int64_t now);

/*  Records which services have terms that may keep a request back though a worker has room, or put one first.  */
void rp_history_terms (rp_history_t *self, int64_t now, const rp_terms_list_t *terms);

/*  Records that there are weights from now on, so that who comes first is not a matter of time alone.  */
void rp_history_weights (rp_history_t *self, int64_t now);

/*  Records how long a step of ageing takes from now on (limit age_step).  */
void rp_history_ages (rp_history_t *self, int64_t now, uint64_t age_step_ms);

/*  Frees the buffer; lines in it are lost.  */
void rp_history_clear (rp_history_t *self);

static inline bool rp_history_is_kept (const rp_history_t *self)
{
    return self->descriptor > 0;
}

/*  Appends a REQUEST or CANCEL from a session, before the core has decided on it.  */
void rp_history_message (
  rp_history_t *self, int64_t now, rp_session_id_t session, const rp_head_t *head);

/*  Appends a decision of the core: an RP_ACTION_HISTORY.  */
void rp_history_record (rp_history_t *self, int64_t now, const rp_action_t *action);

/*  Appends the counters, at most once in RP_HISTORY_SCRAPE_US.  */
#define RP_HISTORY_SCRAPE_US 1000000
void rp_history_scrape (rp_history_t *self, int64_t now, const rp_stats_t *stats);

/*  Returns the port through which the outbox has the buffer written. If a write fails, the history
    ends.  */
static inline rp_journal_t *rp_history_journal (rp_history_t *self)
{
    return &self->journal;
}

/*  Returns, once, the errno of the write that ended the history; otherwise 0.  */
int rp_history_failure (rp_history_t *self);

#endif
