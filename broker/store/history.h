/*  The history: a line for each thing that happens to a request, for proof.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/RELIABILITY.md, which describes the lines; tests/history/check.py holds them
    against the contract.

    A line is written before what it tells of leaves the broker: the outbox sees to that, for which
    the history is a journal (broker/store/journal.h). So a broker that is killed leaves a history that is complete up to
    what others have seen of it; only its last line may be torn.

    Thread-safety: none.
*/

#ifndef RP_HISTORY_H
#define RP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/action.h"
#include "broker/core/stats.h"
#include "broker/store/journal.h"

/*  The header whose value names a request through all histories.  */
#define RP_HISTORY_HEADER "request-id"

typedef struct {
    rp_journal_t journal;
    int descriptor; /* not owned; 0 or less: no history is kept (any more) */
    int given;      /* the descriptor that the history began with */
    int error;      /* errno of the write that failed, until rp_history_failure has told */
    char *buffer;
    size_t used;
    int64_t scraped;
    char party[32];
} rp_history_t;

/*  Opens a file to append to, and ends a line that a killed broker left torn. A descriptor, or -1
    with errno.  */
int rp_history_open (const char *path);

/*  Begins the history of one life of a broker. False when out of memory.  */
bool rp_history_begin (rp_history_t *self, int descriptor, const char *instance, int64_t now);

/*  Goes on in the file that has the path now, because somebody has moved the one that is open:
    writes out what is buffered, so that each line is whole and in one of them. The descriptor keeps
    its number. A history that had ended begins again, with the line `gap`. 0, or -1 with errno:
    then nothing has changed.  */
int rp_history_reopen (rp_history_t *self, const char *path, int64_t now);

/*  Says that the broker ended in good order; nothing comes after it.  */
void rp_history_end (rp_history_t *self, int64_t now);

/*  Frees the buffer; what is in it is lost.  */
void rp_history_clear (rp_history_t *self);

static inline bool rp_history_is_kept (const rp_history_t *self)
{
    return self->descriptor > 0;
}

/*  A message came in, from a session: REQUEST and CANCEL are noted before the core decides.  */
void rp_history_message (
  rp_history_t *self, int64_t now, rp_session_id_t session, const rp_head_t *head);

/*  What the core decided: an RP_ACTION_HISTORY.  */
void rp_history_record (rp_history_t *self, int64_t now, const rp_action_t *action);

/*  The counters, at most once in RP_HISTORY_SCRAPE_US.  */
#define RP_HISTORY_SCRAPE_US 1000000
void rp_history_scrape (rp_history_t *self, int64_t now, const rp_stats_t *stats);

/*  The port through which the outbox has what is buffered written out. If that fails, no history is
    kept any more.  */
static inline rp_journal_t *rp_history_journal (rp_history_t *self)
{
    return &self->journal;
}

/*  errno of the write that ended the history, once; 0 if there is nothing to tell.  */
int rp_history_failure (rp_history_t *self);

#endif
