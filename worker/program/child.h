/*  A child process with pipes to its three standard streams, in a process group of its own.

    SPDX-License-Identifier: MPL-2.0

    Source: posix_spawn(3), waitid(2). The pipes' ends here do not block. posix_spawn instead of
    fork, because this process has threads (libzmq's).

    Thread-safety: none.
*/

#ifndef RP_CHILD_H
#define RP_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/program/buffer.h"

/*  The bytes kept of a child's stderr: the last ones.  */
#define RP_CHILD_ERRORS_MAX 4096u

typedef struct {
    pid_t pid; /* 0: none */
    int input; /* -1: closed */
    int output;
    int errors;
    int64_t kill_at; /* when KILL follows TERM; 0: it was not told to end */
    bool killed;     /* KILL was sent */
    bool signalled;  /* a signal ended it */
    char tail[RP_CHILD_ERRORS_MAX];
    size_t tail_size;
} rp_child_t;

/*  How much a read found.  */
typedef enum {
    RP_CHILD_MORE, /* nothing more now */
    RP_CHILD_END,  /* end of file; the pipe is closed here too */
    RP_CHILD_FULL, /* over the limit, or out of memory */
} rp_child_read_t;

void rp_child_init (rp_child_t *self);

/*  True if execvp would find the command.  */
bool rp_child_is_found (const char *command);

/*  Starts a command, found along PATH. environment ends with NULL. 0, or an errno.  */
int rp_child_spawn (rp_child_t *self, char *const *command, char *const *environment);

/*  Closes the pipes that are open.  */
void rp_child_close (rp_child_t *self);

/*  Sends TERM to the process group, and sets kill_at to now + kill_after (µs). Only the first call
    counts.  */
void rp_child_end (rp_child_t *self, int64_t now, int64_t kill_after);

/*  Sends KILL to the process group.  */
void rp_child_kill (rp_child_t *self);

/*  If it has exited: its exit status, or 128 + the signal that ended it (signalled), and pid is 0. Otherwise
    -1. If the child was told to end, the rest of its process group is killed.  */
int rp_child_reap (rp_child_t *self);

/*  Writes what can be written; closes stdin when the child does not read it any more.  */
void rp_child_write (rp_child_t *self, rp_buffer_t *from);

/*  Reads stdout, at most limit bytes in the buffer.  */
rp_child_read_t rp_child_read (rp_child_t *self, rp_buffer_t *into, size_t limit);

/*  The same once, and at most so many bytes.  */
rp_child_read_t rp_child_read_some (rp_child_t *self, rp_buffer_t *into, size_t most);

/*  Reads stderr and keeps its end; with echo, writes it to the stderr of this process too.  */
void rp_child_read_errors (rp_child_t *self, bool echo);

/*  The last line of stderr that is not empty, in buffer; "" if there is none.  */
const char *rp_child_last_line (const rp_child_t *self, char *buffer, size_t size);

#endif
