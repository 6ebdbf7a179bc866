/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/builtin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/units.h"
#include "common/io/clock.h"
#include "worker/program/loop.h"

/*  How often sleep checks for its cancellation, µs.  */
#define S_LOOK 10000

/*  The body as a string without the newline that echo and editors leave at its end.  */
static const char *s_text (const rp_task_t *task, char *buffer, size_t size)
{
    size_t length = rp_task_size (task);
    if (length >= size)
        length = size - 1;
    memcpy (buffer, rp_task_body (task), length);
    buffer[length] = '\0';
    buffer[strcspn (buffer, "\r\n")] = '\0';
    return buffer;
}

static void s_echo (rp_task_t **task_p, void *arg)
{
    (void) arg;
    rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

static void s_upper (rp_task_t **task_p, void *arg)
{
    (void) arg;
    size_t size = rp_task_size (*task_p);
    const char *from = rp_task_body (*task_p);
    char *to = malloc (size ? size : 1);
    if (!to) {
        rp_task_abandon (task_p, "the worker is out of memory");
        return;
    }
    for (size_t index = 0; index < size; index++)
        to[index] =
          (char) (from[index] >= 'a' && from[index] <= 'z' ? from[index] - 'a' + 'A' : from[index]);
    rp_task_reply (task_p, to, size);
    free (to);
}

static void s_sleep (rp_task_t **task_p, void *arg)
{
    (void) arg;
    char text[64];
    char reply[96];
    int64_t duration;
    const char *reason;
    if (!rp_duration_parse (s_text (*task_p, text, sizeof text), &duration, &reason)) {
        snprintf (reply, sizeof reply, "the body %s", reason);
        rp_task_fail (task_p, 2, reply, NULL, 0);
        return;
    }
    int64_t end = rp_clock_us () + duration;
    for (int64_t left; (left = end - rp_clock_us ()) > 0 && !rp_task_cancelled (*task_p);) {
        int64_t step = left < S_LOOK ? left : S_LOOK;
        nanosleep (&(struct timespec){.tv_nsec = step * 1000}, NULL);
    }
    int size = snprintf (reply, sizeof reply, "slept %s", text);
    rp_task_reply (task_p, reply, (size_t) size);
}

static void s_fail (rp_task_t **task_p, void *arg)
{
    (void) arg;
    char text[64];
    uint64_t code = 1;
    const char *reason;
    if (rp_task_size (*task_p) > 0
        && (!rp_count_parse (s_text (*task_p, text, sizeof text), &code, &reason)
            || code > UINT32_MAX))
        code = 1;
    rp_task_fail (task_p, (uint32_t) code, "failed, as asked", NULL, 0);
}

static rp_handler_fn *const s_handlers[] = {
  [RP_BUILTIN_ECHO] = s_echo,
  [RP_BUILTIN_UPPER] = s_upper,
  [RP_BUILTIN_SLEEP] = s_sleep,
  [RP_BUILTIN_FAIL] = s_fail,
};

typedef struct {
    rp_worker_t *worker;
    rp_handler_fn *handler;
    int status;
    int done_fd;
} s_server_t;

static void *s_serve (void *arg)
{
    s_server_t *server = arg;
    server->status = rp_worker_run (server->worker, server->handler, NULL);
    eventfd_write (server->done_fd, 1); // cannot be full
    return NULL;
}

/*  Reads signals until the worker has ended: the first drains it, the second stops it. Returns how
    many came.  */
static int s_watch (const rp_worker_options_t *settings, const s_server_t *server, int signal_fd)
{
    int count = 0;
    for (;;) {
        struct pollfd entries[] = {
          {.fd = signal_fd, .events = POLLIN},
          {.fd = server->done_fd, .events = POLLIN},
        };
        if (poll (entries, 2, -1) < 0 && errno != EINTR)
            rp_worker_stop (server->worker);
        if (entries[1].revents)
            return count;
        struct signalfd_siginfo info;
        while (read (signal_fd, &info, sizeof info) == (ssize_t) sizeof info) {
            if (info.ssi_signo == SIGCHLD)
                continue;
            count++;
            if (count == 1) {
                rp_loop_say (settings, "is draining; once more to stop now");
                rp_worker_drain (server->worker);
            }
            else
                rp_worker_stop (server->worker);
        }
    }
}

int rp_builtin_run (const rp_worker_options_t *settings, rp_worker_t *worker, int signal_fd)
{
    s_server_t server = {
      .worker = worker,
      .handler = s_handlers[settings->builtin],
      .done_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    pthread_t thread;
    int error = server.done_fd < 0 ? errno : pthread_create (&thread, NULL, s_serve, &server);
    if (error) {
        fprintf (stderr, "riposte-worker: cannot start a thread: %s\n", strerror (error));
        if (server.done_fd >= 0)
            close (server.done_fd);
        return rp_status_exit_code (RP_SYSTEM);
    }
    int signals = s_watch (settings, &server, signal_fd);
    pthread_join (thread, NULL);
    close (server.done_fd);
    if (signals > 1)
        return rp_status_exit_code (RP_INTERRUPTED);
    if (server.status != RP_OK)
        rp_loop_refused (settings, worker);
    return rp_status_exit_code (server.status);
}
