/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*  Bytes read at once.  */
#define S_CHUNK 65536u
/*  The most reads of stderr in one go, so that a child that writes without end cannot hold up the
    loop.  */
#define S_ERROR_READS 16

void rp_child_init (rp_child_t *self)
{
    memset (self, 0, sizeof *self);
    self->input = self->output = self->errors = -1;
}

static void s_close (int *descriptor)
{
    if (*descriptor >= 0)
        close (*descriptor);
    *descriptor = -1;
}

void rp_child_close (rp_child_t *self)
{
    s_close (&self->input);
    s_close (&self->output);
    s_close (&self->errors);
}

/*  Sets signals as a shell would: under nohup the child ignores SIGHUP too.  */
static void s_set_signals (posix_spawnattr_t *attributes)
{
    sigset_t none, reset;
    sigemptyset (&none);
    sigfillset (&reset);
    struct sigaction hangup;
    if (sigaction (SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN)
        sigdelset (&reset, SIGHUP);
    posix_spawnattr_setsigmask (attributes, &none);
    posix_spawnattr_setsigdefault (attributes, &reset);
}

/*  The child inherits no descriptors but the three streams.  */
static int s_spawn (pid_t *pid, char *const *command, char *const *environment, const int *streams)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init (&actions);
    if (error)
        return error;
    error = posix_spawnattr_init (&attributes);
    if (error) {
        posix_spawn_file_actions_destroy (&actions);
        return error;
    }
    for (int stream = 0; stream < 3 && !error; stream++)
        error = posix_spawn_file_actions_adddup2 (&actions, streams[stream], stream);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np (&actions, 3);

    s_set_signals (&attributes);
    posix_spawnattr_setpgroup (&attributes, 0);
    posix_spawnattr_setflags (
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (!error)
        error = posix_spawnp (pid, command[0], &actions, &attributes, command, environment);
    posix_spawnattr_destroy (&attributes);
    posix_spawn_file_actions_destroy (&actions);
    return error;
}

int rp_child_spawn (rp_child_t *self, char *const *command, char *const *environment)
{
    int input[2] = {-1, -1};
    int output[2] = {-1, -1};
    int errors[2] = {-1, -1};
    rp_child_init (self);
    int error = 0;
    if (pipe2 (input, O_CLOEXEC) != 0 || pipe2 (output, O_CLOEXEC) != 0
        || pipe2 (errors, O_CLOEXEC) != 0 || fcntl (input[1], F_SETFL, O_NONBLOCK) != 0
        || fcntl (output[0], F_SETFL, O_NONBLOCK) != 0
        || fcntl (errors[0], F_SETFL, O_NONBLOCK) != 0)
        error = errno;
    pid_t pid = 0;
    if (!error)
        error = s_spawn (&pid, command, environment, (int[]){input[0], output[1], errors[1]});
    s_close (&input[0]);
    s_close (&output[1]);
    s_close (&errors[1]);
    self->input = input[1];
    self->output = output[0];
    self->errors = errors[0];
    if (error)
        rp_child_close (self);
    else
        self->pid = pid;
    return error;
}

static bool s_is_program (const char *path)
{
    struct stat status;
    return stat (path, &status) == 0 && S_ISREG (status.st_mode) && access (path, X_OK) == 0;
}

bool rp_child_is_found (const char *command)
{
    if (strchr (command, '/'))
        return s_is_program (command);
    const char *at = getenv ("PATH");
    if (!at)
        at = "/bin:/usr/bin";
    for (;;) {
        char path[4096];
        size_t size = strcspn (at, ":");
        int written =
          snprintf (path, sizeof path, "%.*s/%s", size ? (int) size : 1, size ? at : ".", command);
        if (written > 0 && (size_t) written < sizeof path && s_is_program (path))
            return true;
        if (at[size] == '\0')
            return false;
        at += size + 1;
    }
}

/*  The child leads its process group and is not reaped yet, so the pid is still its own.  */
void rp_child_end (rp_child_t *self, int64_t now, int64_t kill_after)
{
    if (self->pid == 0 || self->kill_at)
        return;
    self->kill_at = now + kill_after;
    kill (-self->pid, SIGTERM);
}

void rp_child_kill (rp_child_t *self)
{
    if (self->pid == 0 || self->killed)
        return;
    self->killed = true;
    kill (-self->pid, SIGKILL);
}

int rp_child_reap (rp_child_t *self)
{
    siginfo_t info = {.si_pid = 0};
    if (self->pid == 0 || waitid (P_PID, (id_t) self->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0
        || info.si_pid == 0)
        return -1;
    if (self->kill_at)
        rp_child_kill (self);
    self->signalled = info.si_code != CLD_EXITED;
    int status = self->signalled ? 128 + info.si_status : info.si_status;
    (void) waitpid (self->pid, NULL, WNOHANG);
    self->pid = 0;
    return status;
}

void rp_child_write (rp_child_t *self, rp_buffer_t *from)
{
    while (self->input >= 0 && rp_buffer_size (from) > 0) {
        ssize_t size = write (self->input, rp_buffer_data (from), rp_buffer_size (from));
        if (size >= 0)
            rp_buffer_use (from, (size_t) size);
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR) {
            rp_buffer_use (from, rp_buffer_size (from));
            s_close (&self->input);
        }
    }
}

rp_child_read_t rp_child_read (rp_child_t *self, rp_buffer_t *into, size_t limit)
{
    while (self->output >= 0) {
        if (!rp_buffer_reserve (into, S_CHUNK))
            return RP_CHILD_FULL;
        ssize_t size = read (self->output, into->bytes + into->end, S_CHUNK);
        if (size > 0)
            into->end += (size_t) size;
        else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            s_close (&self->output);
            return RP_CHILD_END;
        }
        else if (errno == EAGAIN)
            return RP_CHILD_MORE;
        if (rp_buffer_size (into) > limit)
            return RP_CHILD_FULL;
    }
    return RP_CHILD_END;
}

rp_child_read_t rp_child_read_some (rp_child_t *self, rp_buffer_t *into, size_t most)
{
    if (self->output < 0)
        return RP_CHILD_END;
    if (most > S_CHUNK)
        most = S_CHUNK;
    if (!rp_buffer_reserve (into, most))
        return RP_CHILD_FULL;
    ssize_t size = most ? read (self->output, into->bytes + into->end, most) : -1;
    if (size > 0)
        into->end += (size_t) size;
    if (size > 0 || most == 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
        return RP_CHILD_MORE;
    s_close (&self->output);
    return RP_CHILD_END;
}

static void s_keep_tail (rp_child_t *self, const char *bytes, size_t size)
{
    if (size > sizeof self->tail) {
        bytes += size - sizeof self->tail;
        size = sizeof self->tail;
    }
    size_t kept = sizeof self->tail - size;
    if (kept > self->tail_size)
        kept = self->tail_size;
    memmove (self->tail, self->tail + self->tail_size - kept, kept);
    memcpy (self->tail + kept, bytes, size);
    self->tail_size = kept + size;
}

void rp_child_read_errors (rp_child_t *self, bool echo)
{
    char bytes[RP_CHILD_ERRORS_MAX];
    for (int reads = 0; self->errors >= 0 && reads < S_ERROR_READS; reads++) {
        ssize_t size = read (self->errors, bytes, sizeof bytes);
        if (size > 0) {
            s_keep_tail (self, bytes, (size_t) size);
            if (echo)
                fwrite (bytes, 1, (size_t) size, stderr);
        }
        else if (size < 0 && errno == EAGAIN)
            return;
        else if (size == 0 || errno != EINTR)
            s_close (&self->errors);
    }
}

const char *rp_child_last_line (const rp_child_t *self, char *buffer, size_t size)
{
    size_t end = self->tail_size;
    while (
      end > 0
      && (self->tail[end - 1] == '\n' || self->tail[end - 1] == '\r' || self->tail[end - 1] == ' '))
        end--;
    size_t start = end;
    while (start > 0 && self->tail[start - 1] != '\n')
        start--;
    if (end - start >= size)
        start = end - size + 1;
    memcpy (buffer, self->tail + start, end - start);
    buffer[end - start] = '\0';
    return buffer;
}
