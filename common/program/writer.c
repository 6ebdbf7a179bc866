/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/program/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/io/clock.h"

/*  The longest wait for a terminal, ms.  */
#define S_TERMINAL_MS 10u
/*  How often the last wait is repeated for a thread that has had no processor yet.  */
#define S_LAST_ROUNDS 25
/*  Pause between two checks that all is written, ns.  */
#define S_LOOK_NS 50000

struct rp_writer {
    int descriptor;
    char end;                   /* of a line: newline; NUL: each line is a datagram to address */
    struct sockaddr_un address; /* with each datagram, so that the receiver may start again */
    rp_writer_gap_fn *gap;      /* NULL: no line says how many are missing */
    void *gap_arg;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t thread;
    bool started;
    bool ending;
    bool abandoned;          /* the thread frees the writer */
    atomic_size_t unwritten; /* bytes in the queue, or taken from it by the thread */
    uint64_t lost;           /* lines lost since a line last found room */
    size_t begin;
    size_t size;
    char queue[RP_WRITER_QUEUE];
};

static bool s_is_datagrams (const rp_writer_t *self)
{
    return self->end == '\0';
}

static uint64_t s_count_lines (const rp_writer_t *self, const char *bytes, size_t size)
{
    uint64_t count = 0;
    for (size_t at = 0; at < size; at++)
        count += bytes[at] == self->end;
    return count;
}

/*  The caller has checked that there is room.  */
static void s_append (rp_writer_t *self, const char *bytes, size_t size)
{
    size_t end = (self->begin + self->size) % RP_WRITER_QUEUE;
    size_t first = size < RP_WRITER_QUEUE - end ? size : RP_WRITER_QUEUE - end;
    memcpy (self->queue + end, bytes, first);
    memcpy (self->queue, bytes + first, size - first);
    self->size += size;
    self->unwritten += size;
}

/*  Takes whole lines if possible, at most PIPE_BUF bytes: a pipe does not mix those with the writes
    of others. Takes one datagram.  */
static size_t s_take (rp_writer_t *self, char *chunk)
{
    size_t size = self->size < PIPE_BUF ? self->size : PIPE_BUF;
    size_t first = size < RP_WRITER_QUEUE - self->begin ? size : RP_WRITER_QUEUE - self->begin;
    memcpy (chunk, self->queue + self->begin, first);
    memcpy (chunk + first, self->queue, size - first);
    const char *end =
      s_is_datagrams (self) ? memchr (chunk, '\0', size) : memrchr (chunk, '\n', size);
    size = end ? (size_t) (end - chunk) + 1 : size;
    self->begin = (self->begin + size) % RP_WRITER_QUEUE;
    self->size -= size;
    return size;
}

/*  Sends a datagram, which ends before its NUL.  */
static bool s_send (const rp_writer_t *self, const char *bytes, size_t size, int flags)
{
    ssize_t sent;
    do
        sent = sendto (self->descriptor, bytes, size - 1, flags,
          (const struct sockaddr *) &self->address, sizeof self->address);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/*  Writes for as long as it takes. Returns how many bytes could not be written.  */
static size_t s_write (const rp_writer_t *self, const char *bytes, size_t size)
{
    int descriptor = self->descriptor;
    if (s_is_datagrams (self))
        return s_send (self, bytes, size, 0) ? 0 : size;
    while (size > 0) {
        ssize_t written = write (descriptor, bytes, size);
        if (written >= 0) {
            bytes += written;
            size -= (size_t) written;
        }
        else if (errno == EAGAIN) // another user of the descriptor set O_NONBLOCK
            (void) poll (&(struct pollfd){.fd = descriptor, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            return size;
    }
    return 0;
}

static void s_free (rp_writer_t *self)
{
    pthread_cond_destroy (&self->filled);
    pthread_mutex_destroy (&self->lock);
    if (s_is_datagrams (self))
        close (self->descriptor);
    free (self);
}

static void *s_run (void *arg)
{
    rp_writer_t *self = arg;
    char chunk[PIPE_BUF];
    pthread_mutex_lock (&self->lock);
    for (;;) {
        while (self->size == 0 && !self->ending)
            pthread_cond_wait (&self->filled, &self->lock);
        if (self->abandoned || self->size == 0)
            break;
        size_t size = s_take (self, chunk);
        pthread_mutex_unlock (&self->lock);
        size_t left = s_write (self, chunk, size);
        pthread_mutex_lock (&self->lock);
        self->lost += s_count_lines (self, chunk + size - left, left);
        self->unwritten -= size;
    }
    bool abandoned = self->abandoned;
    pthread_mutex_unlock (&self->lock);
    if (abandoned)
        s_free (self);
    return NULL;
}

/*  Starts the thread with every signal blocked: signals are for the program's own threads.  */
static bool s_start (rp_writer_t *self)
{
    sigset_t all, before;
    sigfillset (&all);
    if (self->started)
        return true;
    if (pthread_sigmask (SIG_SETMASK, &all, &before) != 0)
        return false;
    self->started = pthread_create (&self->thread, NULL, s_run, self) == 0;
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    return self->started;
}

/*  A rp_writer_gap_fn.  */
static size_t s_tell_gap (void *arg, uint64_t lost, char buffer[RP_WRITER_GAP_MAX])
{
    (void) arg;
    int size = snprintf (
      buffer, RP_WRITER_GAP_MAX, "(%" PRIu64 " lines are missing here: nothing took them)\n", lost);
    return size > 0 ? (size_t) size : 0;
}

rp_writer_t *rp_writer_new (int descriptor)
{
    rp_writer_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->descriptor = descriptor;
    self->end = '\n';
    self->gap = s_tell_gap;
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->filled, NULL);
    return self;
}

rp_writer_t *rp_writer_new_datagrams (const char *path)
{
    size_t size = strlen (path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (size >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    memcpy (address.sun_path, path, size);
    int descriptor = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    rp_writer_t *self = descriptor >= 0 ? rp_writer_new (descriptor) : NULL;
    if (!self) {
        if (descriptor >= 0)
            close (descriptor);
        return NULL;
    }
    self->end = '\0';
    self->address = address;
    self->gap = NULL;
    return self;
}

void rp_writer_set_gap (rp_writer_t *self, rp_writer_gap_fn *gap, void *arg)
{
    pthread_mutex_lock (&self->lock);
    self->gap = gap ? gap : s_tell_gap;
    self->gap_arg = arg;
    pthread_mutex_unlock (&self->lock);
}

/*  Without a thread: bytes that the descriptor does not take at once are lost.  */
static bool s_write_now (const rp_writer_t *self, const char *bytes, size_t size)
{
    struct pollfd ready = {.fd = self->descriptor, .events = POLLOUT};
    if (s_is_datagrams (self))
        return s_send (self, bytes, size, MSG_DONTWAIT);
    return poll (&ready, 1, 0) == 1 && ready.revents == POLLOUT
           && write (self->descriptor, bytes, size) == (ssize_t) size;
}

bool rp_writer_put (rp_writer_t *self, const char *bytes, size_t size)
{
    char gap[RP_WRITER_GAP_MAX];
    pthread_mutex_lock (&self->lock);
    bool empty = self->unwritten == 0;
    size_t gap_size = self->lost > 0 && self->gap ? self->gap (self->gap_arg, self->lost, gap) : 0;
    if (!s_start (self))
        self->lost += s_write_now (self, bytes, size) ? 0 : s_count_lines (self, bytes, size);
    else if (size + gap_size > RP_WRITER_QUEUE - self->size)
        self->lost += s_count_lines (self, bytes, size);
    else {
        s_append (self, gap, gap_size);
        s_append (self, bytes, size);
        self->lost = 0;
    }
    pthread_cond_signal (&self->filled);
    pthread_mutex_unlock (&self->lock);
    return empty;
}

void rp_writer_flush (const rp_writer_t *self, unsigned wait_ms)
{
    int64_t end = rp_clock_us () + (int64_t) wait_ms * 1000;
    while (self->unwritten > 0 && rp_clock_us () < end)
        nanosleep (&(struct timespec){.tv_nsec = S_LOOK_NS}, NULL);
}

/*  A reader that does not read is not waited for; but while a descriptor takes bytes, it is the thread that is late,
    on a machine that is busy. Of datagrams that cannot be told.  */
static void s_flush_last (const rp_writer_t *self)
{
    struct pollfd ready = {.fd = self->descriptor, .events = POLLOUT};
    int round = 0;
    do
        rp_writer_flush (self, RP_WRITER_LAST_MS);
    while (self->unwritten > 0 && !s_is_datagrams (self) && poll (&ready, 1, 0) == 1
           && ++round < S_LAST_ROUNDS);
}

void rp_writer_destroy (rp_writer_t **self_p)
{
    rp_writer_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    s_flush_last (self);
    pthread_mutex_lock (&self->lock);
    bool started = self->started;
    self->ending = true;
    self->abandoned = started && self->unwritten > 0;
    bool abandoned = self->abandoned;
    pthread_t thread = self->thread;
    pthread_cond_signal (&self->filled);
    pthread_mutex_unlock (&self->lock);
    if (abandoned) {
        pthread_detach (thread);
        return;
    }
    if (started)
        pthread_join (thread, NULL);
    s_free (self);
}

/*  ---- stderr --------------------------------------------------------------------------------- */

static rp_writer_t *s_stderr;
static bool s_stderr_is_terminal;

static ssize_t s_put_stderr (void *cookie, const char *bytes, size_t size)
{
    (void) cookie;
    if (rp_writer_put (s_stderr, bytes, size) && s_stderr_is_terminal)
        rp_writer_flush (s_stderr, S_TERMINAL_MS);
    return (ssize_t) size;
}

void rp_writer_flush_stderr (void)
{
    if (s_stderr)
        s_flush_last (s_stderr);
}

/*  At abort, the reason for it is still in the queue.  */
static void s_abort (int number)
{
    (void) number;
    rp_writer_flush_stderr ();
}

void rp_writer_take_stderr (void)
{
    rp_writer_t *writer = rp_writer_new (STDERR_FILENO);
    FILE *stream = fopencookie (NULL, "w", (cookie_io_functions_t){.write = s_put_stderr});
    if (!writer || !stream || setvbuf (stream, NULL, _IONBF, 0) != 0
        || atexit (rp_writer_flush_stderr) != 0) {
        if (stream)
            fclose (stream);
        rp_writer_destroy (&writer);
        return; // stderr is left as it was
    }
    s_stderr = writer;
    s_stderr_is_terminal = isatty (STDERR_FILENO);
    stderr = stream;
    signal (SIGABRT, s_abort);
}
