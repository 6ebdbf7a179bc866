/*  bench_load: jobs through beanstalkd, by its protocol over a Unix socket ("unix:PATH").

    SPDX-License-Identifier: MPL-2.0

    beanstalkd keeps no results, so a worker puts each into a tube of the client's before it deletes the job: both
    are on disk by then, where the server syncs each write. A client reserves a result and leaves it there: a delete
    would be one sync more, and Riposte keeps results too.

    What a worker has to say goes in one write: it puts the result, deletes its job, and reserves the next. Over TCP
    the answers to that would wait for each other, 40 ms at a time: the server writes each by itself, with Nagle's
    algorithm. A connection has one job at a time, so a worker has S_HANDS of them.
*/

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/load.h"

#define S_TO_RUN 3600 // seconds that a job may be reserved
#define S_HANDS 8     // connections of a worker

/*  A connection, and what was read of it and not yet understood.  */
typedef struct {
    int socket;
    size_t from;
    size_t to;
    char bytes[1 << 16];
} s_link_t;

static s_link_t *s_connect (const char *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    s_link_t *self = calloc (1, sizeof *self);
    if (!self || sscanf (endpoint, "unix:%107s", address.sun_path) != 1)
        load_die (endpoint);
    self->socket = socket (AF_UNIX, SOCK_STREAM, 0);
    if (connect (self->socket, (struct sockaddr *) &address, sizeof address) != 0)
        load_die (endpoint);
    return self;
}

static void s_close (s_link_t *self)
{
    close (self->socket);
    free (self);
}

static void s_write (s_link_t *self, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send (self->socket, bytes, size, MSG_NOSIGNAL);
        if (sent < 0)
            load_die ("send");
        bytes += sent;
        size -= (size_t) sent;
    }
}

static void s_read (s_link_t *self)
{
    memmove (self->bytes, self->bytes + self->from, self->to - self->from);
    self->to -= self->from;
    self->from = 0;
    ssize_t count = recv (self->socket, self->bytes + self->to, sizeof self->bytes - self->to, 0);
    if (count <= 0)
        load_die ("beanstalkd has closed a connection");
    self->to += (size_t) count;
}

/*  An answer: its line, of which the first word is checked, and a body if the line is RESERVED. False if it has not
    come whole.  */
typedef struct {
    unsigned long long id;
    const char *body;
    size_t size;
} s_answer_t;

static bool s_next (s_link_t *self, s_answer_t *answer)
{
    char *line = self->bytes + self->from;
    char *end = memmem (line, self->to - self->from, "\r\n", 2);
    if (!end)
        return false;
    *answer = (s_answer_t){0};
    size_t size = (size_t) (end + 2 - line);
    *end = 0;
    if (sscanf (line, "RESERVED %llu %zu", &answer->id, &answer->size) == 2) {
        if (self->to - self->from < size + answer->size + 2) {
            *end = '\r';
            return false;
        }
        answer->body = end + 2;
        size += answer->size + 2;
    }
    else if (strncmp (line, "INSERTED", 8) != 0 && strncmp (line, "USING", 5) != 0
             && strncmp (line, "WATCHING", 8) != 0 && strcmp (line, "DELETED") != 0)
        load_die (line);
    self->from += size;
    return true;
}

static size_t s_put (char *text, const char *body, size_t size)
{
    int head = sprintf (text, "put 0 0 %d %zu\r\n", S_TO_RUN, size);
    memcpy (text + head, body, size);
    memcpy (text + head + size, "\r\n", 2);
    return (size_t) head + size + 2;
}

/*  ---- Clients ---------------------------------------------------------------------------------- */

void *load_beanstalkd_client (void *arg)
{
    static atomic_uint count;
    load_client_t *load = arg;
    if (load->size < 2 * sizeof (int64_t))
        load->size = 2 * sizeof (int64_t);
    char *body = load_body (&load->size);
    char *text = malloc (load->size + 64);
    s_link_t *jobs = s_connect (load->endpoint);
    s_link_t *results = s_connect (load->endpoint);
    unsigned tube = (unsigned) getpid () * 100 + atomic_fetch_add (&count, 1);
    if (!text)
        load_die ("malloc");
    memcpy (body + sizeof (int64_t), &tube, sizeof tube);
    s_write (
      results, text, (size_t) sprintf (text, "watch r-%u\r\nignore default\r\nreserve\r\n", tube));
    s_write (jobs, "use bench\r\n", 11);
    load_begin (load);
    for (int index = 0; index < load->inflight; index++) {
        load_stamp (body, load_now ());
        s_write (jobs, text, s_put (text, body, load->size));
    }
    struct pollfd wait[] = {
      {.fd = jobs->socket, .events = POLLIN}, {.fd = results->socket, .events = POLLIN}};
    for (int open = load->inflight; open > 0;) {
        if (poll (wait, 2, -1) < 0)
            load_die ("poll");
        s_answer_t answer;
        if (wait[0].revents)
            for (s_read (jobs); s_next (jobs, &answer);)
                continue;
        if (!wait[1].revents)
            continue;
        for (s_read (results); s_next (results, &answer);) {
            if (!answer.body)
                continue;
            int64_t now = load_now ();
            bool again = load_count (load, load_stamped (answer.body, answer.size), now);
            s_write (results, "reserve\r\n", 9);
            if (!again)
                open--;
            else {
                load_stamp (body, now);
                s_write (jobs, text, s_put (text, body, load->size));
            }
        }
    }
    s_close (jobs);
    s_close (results);
    free (text);
    free (body);
    return NULL;
}

/*  ---- Workers ---------------------------------------------------------------------------------- */

static void *s_hand (void *endpoint)
{
    s_link_t *link = s_connect (endpoint);
    static const char first[] = "watch bench\r\nignore default\r\nreserve\r\n";
    s_write (link, first, sizeof first - 1);
    for (;;) {
        s_answer_t job;
        while (!s_next (link, &job))
            s_read (link);
        if (!job.body)
            continue;
        unsigned tube;
        memcpy (&tube, job.body + sizeof (int64_t), sizeof tube);
        char *text = malloc (job.size + 192);
        if (!text)
            load_die ("malloc");
        size_t size = (size_t) sprintf (text, "use r-%u\r\n", tube);
        size += s_put (text + size, job.body, job.size);
        size += (size_t) sprintf (text + size, "delete %llu\r\nreserve\r\n", job.id);
        s_write (link, text, size);
        free (text);
    }
    return NULL;
}

void *load_beanstalkd_worker (void *arg)
{
    const load_worker_t *self = arg;
    pthread_t hands[S_HANDS];
    for (int index = 0; index < S_HANDS; index++)
        if (pthread_create (&hands[index], NULL, s_hand, (void *) self->endpoint))
            load_die ("thread");
    load_ready ();
    for (int index = 0; index < S_HANDS; index++)
        pthread_join (hands[index], NULL);
    return NULL;
}
