/*  The journal: what has to be written before anything that follows from it may leave the broker.

    SPDX-License-Identifier: MPL-2.0

    The port between those who write records (the history) and the outbox, which is the only way out:
    records have numbers in the order in which they are appended, and the outbox asks for the number
    of the last one to be reached before it gives libzmq a message. So nobody has ever seen something
    of which no record is left.

    Thread-safety: none.
*/

#ifndef RP_JOURNAL_H
#define RP_JOURNAL_H

#include <stdint.h>

typedef struct rp_journal rp_journal_t;

/*  Writes all records that were appended. Afterwards `written` is `appended`; also where that has
    failed for good, which the journal tells by itself.  */
typedef void (rp_journal_write_fn) (rp_journal_t *self);

struct rp_journal {
    uint64_t appended; /* number of the last record; the first has 1 */
    uint64_t written;  /* number of the last one that was written */
    rp_journal_write_fn *write;
};

/*  Returns when everything that was appended so far has been written. NULL: there is no journal.  */
static inline void rp_journal_reach_last (rp_journal_t *self)
{
    if (self && self->written < self->appended)
        self->write (self);
}

#endif
