/*  The journal: where records are written before anything that follows from them may leave the
    broker. So no peer has ever seen a result of which no record is left.

    SPDX-License-Identifier: MPL-2.0

    This is the port between the writer of records (the history) and the outbox, which is the only
    way out. Records are numbered in the order in which they are appended; the outbox has all of
    them written before it gives libzmq a message.

    Thread-safety: none.
*/

#ifndef RP_JOURNAL_H
#define RP_JOURNAL_H

#include <stdint.h>

typedef struct rp_journal rp_journal_t;

/*  Writes all appended records. Afterwards `written` is `appended`, also if writing has failed for
    good; the journal itself reports that.  */
typedef void (rp_journal_write_fn) (rp_journal_t *self);

struct rp_journal {
    uint64_t appended; /* number of the last record; the first is 1 */
    uint64_t written;  /* number of the last record that was written */
    rp_journal_write_fn *write;
};

/*  Has all records written that were appended so far. NULL: no journal.  */
static inline void rp_journal_reach_last (rp_journal_t *self)
{
    if (self && self->written < self->appended)
        self->write (self);
}

#endif
