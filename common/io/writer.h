/*  Writes lines for people without waiting: a thread of its own does what may block.

    SPDX-License-Identifier: MPL-2.0

    A log, a terminal or a pipe may stop taking what it is given, for ever, and poll cannot tell: a
    terminal is ready and has room for less than a line, and another process fills a pipe after it
    was asked about. So what is written waits in a bounded queue for a thread, which is started with
    the first line. What the queue has no room for is lost; when there is room again, a line in that
    place says how many lines were.

    Thread-safety: put and flush may be called by any thread.
*/

#ifndef RP_WRITER_H
#define RP_WRITER_H

#include <stdbool.h>
#include <stddef.h>

/*  Bytes that may wait: a burst of some hundred lines.  */
#define RP_WRITER_QUEUE 65536u

/*  The longest that a program waits at its end for what nobody may be reading.  */
#define RP_WRITER_LAST_MS 200u

typedef struct rp_writer rp_writer_t;

/*  The descriptor stays the caller's, and may block. NULL when out of memory.  */
rp_writer_t *rp_writer_new (int descriptor);

/*  Never waits. Takes the bytes whole, or loses them. True if the queue was empty before.  */
bool rp_writer_put (rp_writer_t *self, const char *bytes, size_t size);

/*  Waits until everything was written, at most that long. May be called by a signal handler.  */
void rp_writer_flush (const rp_writer_t *self, unsigned wait_ms);

/*  Flushes for RP_WRITER_LAST_MS at most. A thread that is held up then is left behind, with its
    memory, until the write returns.  */
void rp_writer_destroy (rp_writer_t **self_p);

/*  For a program, at its start: from now on stderr is written to like that, and flushed at exit and
    at abort. What a terminal gets keeps its place among what is written to standard output: the
    writer waits a moment for it, unless it has stopped.  */
void rp_writer_take_stderr (void);

/*  Flushes what take_stderr has taken.  */
void rp_writer_flush_stderr (void);

#endif
