/*  A TCP relay that misbehaves as it is told to: the network of the chaos run.

    SPDX-License-Identifier: MPL-2.0

        chaos_proxy TARGET_PORT

    Listens on a free port of 127.0.0.1, says "ready PORT" on standard output, and passes bytes on
    to TARGET_PORT and back. Commands come on standard input, one on a line; their end ends the
    proxy.

        delay MS         every byte is held up for so long, in both directions
        throttle KIB     so many KiB a second at most, in each direction; 0: as fast as it goes
        reset            every connection is reset
        cut              every connection passes on one half of what comes next, and ends
        blackhole WHICH  nothing passes: up (towards the target), down, or both; connections stand, as
                         they do when a network drops packets without a word
        heal             all faults end; bytes that a blackhole held up come after all

    Each command is answered by a line with its name once it is in force.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define S_CHUNK 65536
#define S_HELD_MAX (4 * 1024 * 1024) /* per direction; a sender that fills it has to wait */

/*  Bytes that have come and must not leave before their time.  */
typedef struct s_chunk {
    int64_t due;
    size_t size, sent;
    struct s_chunk *next;
    char data[];
} s_chunk_t;

typedef struct {
    s_chunk_t *first, **last;
    size_t held;
    bool ended, half; /* the sender has closed; the pair is closed after half of the next chunk */
} s_direction_t;

/*  Direction 0 is what came from the client and goes up; socket 1 is the target's.  */
typedef struct s_pair {
    int sockets[2];
    s_direction_t directions[2];
    bool dead;
    struct s_pair *next;
} s_pair_t;

static struct {
    int epoll, listener;
    struct sockaddr_in target;
    s_pair_t *pairs;
    int64_t delay_us;
    int64_t rate; /* bytes a second; 0: no limit */
    int64_t budget[2], filled_at;
    bool black[2];
    bool ends;
} s_proxy;

/*  Events of a connection carry its pair, the others one of these.  */
enum { S_LISTEN, S_STDIN };
static char s_marks[2];

static int64_t s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

__attribute__ ((noreturn)) static void s_die (const char *what)
{
    perror (what);
    exit (1);
}

/*  ---- Connections ---------------------------------------------------------------------------- */

static void s_watch (int socket, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl (s_proxy.epoll, EPOLL_CTL_ADD, socket, &event) != 0)
        s_die ("chaos proxy: epoll");
}

static void s_close (s_pair_t *pair)
{
    for (int side = 0; side < 2 && !pair->dead; side++)
        close (pair->sockets[side]);
    pair->dead = true;
}

/*  Closes with RST, so that neither end takes it for an orderly close.  */
static void s_reset (s_pair_t *pair)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    for (int side = 0; side < 2 && !pair->dead; side++)
        setsockopt (pair->sockets[side], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    s_close (pair);
}

/*  Ends a broken pair. After a cut it is closed, since a reset might take back the half that was
    sent.  */
static void s_break (s_pair_t *pair)
{
    if (pair->directions[0].half)
        s_close (pair);
    else
        s_reset (pair);
}

static void s_bury (void)
{
    for (s_pair_t **place = &s_proxy.pairs; *place;) {
        s_pair_t *pair = *place;
        if (!pair->dead) {
            place = &pair->next;
            continue;
        }
        for (int way = 0; way < 2; way++)
            for (s_chunk_t *chunk = pair->directions[way].first, *next; chunk; chunk = next) {
                next = chunk->next;
                free (chunk);
            }
        *place = pair->next;
        free (pair);
    }
}

static void s_accept (void)
{
    int one = 1;
    int near = accept4 (s_proxy.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (near < 0)
        return;
    int far = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s_pair_t *pair = calloc (1, sizeof *pair);
    if (far < 0 || !pair)
        s_die ("chaos proxy: a connection");
    *pair = (s_pair_t){.sockets = {near, far}, .next = s_proxy.pairs};
    s_proxy.pairs = pair;
    for (int way = 0; way < 2; way++)
        pair->directions[way].last = &pair->directions[way].first;
    // On loopback connect does not wait: the connection is made or refused at once.
    if (connect (far, (struct sockaddr *) &s_proxy.target, sizeof s_proxy.target) != 0
        || fcntl (far, F_SETFL, O_NONBLOCK) != 0) {
        s_reset (pair);
        return;
    }
    for (int side = 0; side < 2; side++) {
        setsockopt (pair->sockets[side], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        s_watch (pair->sockets[side], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, pair);
    }
}

/*  ---- Passing on ----------------------------------------------------------------------------- */

/*  Reads what there is, unless too much is held already. Returns false if the connection is
    broken.  */
static bool s_read (s_pair_t *pair, int way, int64_t now)
{
    s_direction_t *direction = &pair->directions[way];
    while (!direction->ended && direction->held < S_HELD_MAX) {
        s_chunk_t *chunk = malloc (sizeof *chunk + S_CHUNK);
        if (!chunk)
            s_die ("chaos proxy");
        ssize_t size = recv (pair->sockets[way], chunk->data, S_CHUNK, 0);
        if (size <= 0) {
            free (chunk);
            direction->ended = size == 0;
            return size == 0 || errno == EAGAIN;
        }
        chunk = realloc (chunk, sizeof *chunk + (size_t) size);
        if (!chunk)
            s_die ("chaos proxy");
        *chunk = (s_chunk_t){.due = now + s_proxy.delay_us, .size = (size_t) size};
        *direction->last = chunk;
        direction->last = &chunk->next;
        direction->held += (size_t) size;
    }
    return true;
}

/*  Sends one chunk, or as much of it as may go. Returns bytes sent; -1 if the connection broke.  */
static ssize_t s_send_chunk (s_pair_t *pair, int way, s_chunk_t *chunk)
{
    s_direction_t *direction = &pair->directions[way];
    size_t size = chunk->size - chunk->sent;
    if (direction->half)
        size = (size + 1) / 2;
    if (s_proxy.rate > 0 && size > (size_t) s_proxy.budget[way])
        size = (size_t) s_proxy.budget[way];
    ssize_t sent = send (pair->sockets[!way], chunk->data + chunk->sent, size, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    chunk->sent += (size_t) sent;
    direction->held -= (size_t) sent;
    if (s_proxy.rate > 0)
        s_proxy.budget[way] -= sent;
    return direction->half ? -1 : sent;
}

/*  Sends what is due. Returns false if the connection is to be reset.  */
static bool s_write (s_pair_t *pair, int way, int64_t now)
{
    s_direction_t *direction = &pair->directions[way];
    s_chunk_t *chunk;
    while ((chunk = direction->first) && chunk->due <= now && !s_proxy.black[way]) {
        if (s_proxy.rate > 0 && s_proxy.budget[way] <= 0)
            return true;
        ssize_t sent = s_send_chunk (pair, way, chunk);
        if (sent <= 0)
            return sent == 0;
        if (chunk->sent < chunk->size)
            return true;
        direction->first = chunk->next;
        if (!direction->first)
            direction->last = &direction->first;
        free (chunk);
    }
    if (direction->ended && !direction->first && !s_proxy.black[way])
        shutdown (pair->sockets[!way], SHUT_WR);
    return true;
}

/*  Moves what can be moved on one connection. Events are edges, so both ways are tried until there
    is nothing to read or no room to write.  */
static void s_serve (s_pair_t *pair, int64_t now)
{
    for (int way = 0; way < 2 && !pair->dead; way++) {
        size_t before;
        do {
            before = pair->directions[way].held;
            if (!s_read (pair, way, now) || !s_write (pair, way, now)) {
                s_break (pair);
                return;
            }
        } while (before >= S_HELD_MAX && pair->directions[way].held < before);
    }
    s_direction_t *both = pair->directions;
    if (!pair->dead && both[0].ended && both[1].ended && !both[0].first && !both[1].first)
        s_close (pair);
}

/*  ---- Commands ------------------------------------------------------------------------------- */

static void s_obey (const char *word, const char *argument)
{
    if (strcmp (word, "delay") == 0)
        s_proxy.delay_us = atoll (argument) * 1000;
    else if (strcmp (word, "throttle") == 0)
        s_proxy.rate = atoll (argument) * 1024;
    else if (strcmp (word, "blackhole") == 0) {
        s_proxy.black[0] = strcmp (argument, "down") != 0;
        s_proxy.black[1] = strcmp (argument, "up") != 0;
    }
    else if (strcmp (word, "heal") == 0) {
        s_proxy.delay_us = s_proxy.rate = 0;
        s_proxy.black[0] = s_proxy.black[1] = false;
    }
    else if (strcmp (word, "reset") == 0 || strcmp (word, "cut") == 0)
        for (s_pair_t *pair = s_proxy.pairs; pair; pair = pair->next)
            if (*word == 'r')
                s_reset (pair);
            else
                pair->directions[0].half = pair->directions[1].half = true;
    else {
        fprintf (stderr, "chaos proxy: no such command: %s\n", word);
        exit (2);
    }
    puts (word);
    fflush (stdout);
}

static void s_read_commands (void)
{
    static char buffer[4096];
    static size_t size;
    ssize_t more = read (STDIN_FILENO, buffer + size, sizeof buffer - 1 - size);
    if (more < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (more <= 0) {
        s_proxy.ends = true;
        return;
    }
    size += (size_t) more;
    buffer[size] = '\0';
    char *line = buffer;
    for (char *end; (end = strchr (line, '\n')); line = end + 1) {
        char word[16];
        char argument[16] = "";
        *end = '\0';
        if (sscanf (line, "%15s %15s", word, argument) >= 1)
            s_obey (word, argument);
    }
    size = (size_t) (buffer + size - line);
    memmove (buffer, line, size);
}

/*  ---- The program ---------------------------------------------------------------------------- */

static void s_open (uint16_t target)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    s_proxy.target = own;
    s_proxy.target.sin_port = htons (target);
    s_proxy.epoll = epoll_create1 (EPOLL_CLOEXEC);
    s_proxy.listener = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s_proxy.epoll < 0 || s_proxy.listener < 0
        || bind (s_proxy.listener, (struct sockaddr *) &own, size) != 0
        || listen (s_proxy.listener, 1024) != 0
        || getsockname (s_proxy.listener, (struct sockaddr *) &own, &size) != 0)
        s_die ("chaos proxy");
    s_watch (s_proxy.listener, EPOLLIN, &s_marks[S_LISTEN]);
    s_watch (STDIN_FILENO, EPOLLIN, &s_marks[S_STDIN]);
    printf ("ready %u\n", ntohs (own.sin_port));
    fflush (stdout);
}

/*  Adds the bytes that the limit, if there is one, allows by now; at most those of a tenth of a
    second.  */
static void s_fill_budgets (int64_t now)
{
    int64_t gain = (now - s_proxy.filled_at) * s_proxy.rate / 1000000;
    for (int way = 0; way < 2; way++) {
        s_proxy.budget[way] += gain;
        if (s_proxy.budget[way] > s_proxy.rate / 10)
            s_proxy.budget[way] = s_proxy.rate / 10;
    }
    s_proxy.filled_at = now;
}

/*  True if bytes are held, which leave by the clock and not by an event.  */
static bool s_holds (void)
{
    for (s_pair_t *pair = s_proxy.pairs; pair; pair = pair->next)
        if (pair->directions[0].first || pair->directions[1].first)
            return true;
    return false;
}

static void s_run (void)
{
    struct epoll_event events[64];
    while (!s_proxy.ends) {
        int count = epoll_wait (s_proxy.epoll, events, 64, s_holds () ? 1 : -1);
        int64_t now = s_now ();
        s_fill_budgets (now);
        for (int index = 0; index < count; index++)
            if (events[index].data.ptr == &s_marks[S_LISTEN])
                s_accept ();
            else if (events[index].data.ptr == &s_marks[S_STDIN])
                s_read_commands ();
        for (s_pair_t *pair = s_proxy.pairs; pair; pair = pair->next)
            if (!pair->dead)
                s_serve (pair, now);
        s_bury ();
    }
}

int main (int argc, char **argv)
{
    int port = argc == 2 ? atoi (argv[1]) : 0;
    if (port <= 0 || port > UINT16_MAX) {
        fputs ("usage: chaos_proxy TARGET_PORT\n", stderr);
        return 2;
    }
    s_open ((uint16_t) port);
    s_run ();
    return 0;
}
