/*  Writes lines for people without waiting: a thread of its own does the writes that may block.

    SPDX-License-Identifier: MPL-2.0

    A log, a terminal or a pipe may stop taking bytes for ever, and poll cannot tell: a terminal is
    ready but has room for less than a line, and another process may fill a pipe after the poll. So
    lines wait in a bounded queue for the thread, which starts with the first line. A line without
    room in the queue is lost; when there is room again, a line in its place says how many were
    lost.

    A writer of datagrams takes lines that end with NUL, and sends each, without that, as a datagram
    to a socket. Those that the socket cannot take are lost as well.

    Thread-safety: put and flush may be called by any thread.
*/

#ifndef RP_WRITER_H
#define RP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Bytes that may wait: some hundred lines at once.  */
#define RP_WRITER_QUEUE 65536u

/*  The longest wait at the end of a program for a reader that may not exist. While there is room for what it would read,
    the wait is for a processor, and up to 25 times as long.  */
#define RP_WRITER_LAST_MS 200u

typedef struct rp_writer rp_writer_t;

/*  The descriptor stays the caller's, and may block. NULL when out of memory.  */
rp_writer_t *rp_writer_new (int descriptor);

/*  Makes a writer of datagrams to the Unix socket at path, which need not be there yet. NULL with
    errno.  */
rp_writer_t *rp_writer_new_datagrams (const char *path);

/*  Writes the line, with its end, that says how many lines are missing. Returns its size. It may not
    use the writer.  */
#define RP_WRITER_GAP_MAX 4096u
typedef size_t (rp_writer_gap_fn) (void *arg, uint64_t lost, char buffer[RP_WRITER_GAP_MAX]);

/*  Sets the function for such lines, which put calls; NULL: the one that writes for people, as at
    first. A writer of datagrams has none at first, and says nothing.  */
void rp_writer_set_gap (rp_writer_t *self, rp_writer_gap_fn *gap, void *arg);

/*  Queues the bytes whole, or loses them; never waits. True if the queue was empty before.  */
bool rp_writer_put (rp_writer_t *self, const char *bytes, size_t size);

/*  Waits until everything is written, at most wait_ms. A signal handler may call it.  */
void rp_writer_flush (const rp_writer_t *self, unsigned wait_ms);

/*  Flushes for at most RP_WRITER_LAST_MS. If the thread is still blocked then, thread and memory
    stay until its write returns.  */
void rp_writer_destroy (rp_writer_t **self_p);

/*  For the start of a program: from now on stderr goes through a writer, which is flushed at exit
    and at abort. So that lines on a terminal keep their order with standard output, each waits a
    moment to be written, unless the terminal has stopped.  */
void rp_writer_take_stderr (void);

/*  Flushes the writer of rp_writer_take_stderr.  */
void rp_writer_flush_stderr (void);

#endif
