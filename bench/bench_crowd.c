/*  Very many peers in one thread, for the benchmarks of growth and tests/limits.

    SPDX-License-Identifier: MPL-2.0

    They speak ZMTP on plain sockets, since libzmq takes two descriptors and much memory for each.

        bench_crowd client     ENDPOINT COUNT                    native clients that ask nothing
        bench_crowd worker     ENDPOINT COUNT SERVICES [WINDOW [WORK_US]]  native workers that echo
        bench_crowd queue      ENDPOINT COUNT SIZE SERVICE       a client that asks COUNT times
        bench_crowd zmq-client ENDPOINT COUNT                    DEALERs that ask nothing
        bench_crowd zmq-worker ENDPOINT COUNT                    DEALERs that echo

    SERVICES 0: all workers offer "bench"; otherwise worker n offers "bench-m", m being n modulo
    SERVICES. Prints "ready" when all are greeted, or everything was sent. Native peers send
    heartbeats as Riposte's libraries do: once in HEARTBEAT_MS, or, when they have nothing to
    wait for, in WORKER_IDLE_MS or CLIENT_IDLE_MS, which they announce; and when the broker's
    HEARTBEAT comes while theirs is almost due. Messages of the other side are taken for
    well-formed.

    Source: RFC 23/ZMTP (3.0, NULL), docs/PROTOCOL.md.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/wire/head.h"

#define HEARTBEAT_MS 1000
#define WORKER_IDLE_MS 1500
#define CLIENT_IDLE_MS 10000
#define WAIT_MS 600000u
/*  What a request takes at a worker by default: as Riposte's library states it for an echo.  */
#define WORK_US 2u
/*  Requests between two pauses: 250,000 a second, which a broker takes as they come. A flood would
    measure the memory of libzmq's queues, not that of waiting requests.  */
#define PACED 500
#define PACE_NS 2000000
#define CHUNK (4u << 20)
#define GREETING 64u
#define FLAG_MORE 1u
#define FLAG_LONG 2u
#define FLAG_COMMAND 4u

typedef struct {
    int fd;
    bool greeted; /* the 64 bytes before the first frame were skipped */
    bool ready;
    int64_t said;  /* its latest HEARTBEAT, us */
    uint8_t *rest; /* the beginning of an incomplete frame */
    size_t rest_size;
} s_peer_t;

typedef struct {
    bool native;
    bool worker;
    uint32_t beat_ms;
    uint32_t window;
    uint32_t work_us;
    int services;
    size_t count;
    size_t connected;
    size_t next;   /* index of the peer whose heartbeat is due next */
    int64_t owed;  /* heartbeats due, each µs of an interval */
    int64_t until; /* when next and owed were set */
    s_peer_t *peers;
    uint8_t *in;
    uint8_t *out; /* output for the peer that is being served */
    size_t out_size;
} s_crowd_t;

static void s_die (const char *what)
{
    perror (what);
    exit (1);
}

static void *s_new (size_t size)
{
    void *block = calloc (1, size);
    if (!block)
        s_die ("calloc");
    return block;
}

static int64_t s_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*  ---- Writing -------------------------------------------------------------------------------- */

static void s_flush (s_crowd_t *self, int fd)
{
    for (size_t done = 0; done < self->out_size;) {
        ssize_t sent = write (fd, self->out + done, self->out_size - done);
        if (sent >= 0)
            done += (size_t) sent;
        else if (errno == EAGAIN)
            (void) poll (&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else
            s_die ("write");
    }
    self->out_size = 0;
}

static uint8_t *s_frame (s_crowd_t *self, uint8_t flags, size_t size)
{
    if (self->out_size + size + 9 > CHUNK)
        s_die ("more at once than there is room for");
    uint8_t *at = self->out + self->out_size;
    *at++ = size > 255 ? flags | FLAG_LONG : flags;
    if (size > 255)
        for (int shift = 56; shift >= 0; shift -= 8)
            *at++ = (uint8_t) (size >> shift);
    else
        *at++ = (uint8_t) size;
    self->out_size = (size_t) (at - self->out) + size;
    return at;
}

static void s_say (s_crowd_t *self, const rp_head_t *head, const void *body, size_t size)
{
    size_t head_size = rp_wire_size (head);
    uint8_t *at = s_frame (self, 0, head_size + size);
    rp_wire_encode (head, at, head_size);
    if (size)
        memcpy (at + head_size, body, size);
}

static void s_greet (s_crowd_t *self)
{
    static const uint8_t greeting[GREETING] = {
      [0] = 0xff, [9] = 0x7f, [10] = 3, [12] = 'N', [13] = 'U', [14] = 'L', [15] = 'L'};
    static const char ready[] = "\5READY\13Socket-Type\0\0\0\6DEALER";
    memcpy (self->out, greeting, sizeof greeting);
    self->out_size = sizeof greeting;
    memcpy (s_frame (self, FLAG_COMMAND, sizeof ready - 1), ready, sizeof ready - 1);
}

/*  Only after the other side's READY: libzmq takes nothing else before it has sent its own.  */
static void s_hello (s_crowd_t *self, size_t index)
{
    char name[32] = "bench";
    if (self->services > 0)
        snprintf (name, sizeof name, "bench-%zu", index % (size_t) self->services);
    rp_head_t hello = {.command = RP_COMMAND_HELLO, .interval_ms = HEARTBEAT_MS};
    if (self->worker) {
        hello.flags = RP_FLAG_WORKER;
        hello.window = self->window;
        hello.name = name;
        hello.name_size = (uint8_t) strlen (name);
    }
    s_say (self, &hello, NULL, 0);
}

static void s_beat (s_crowd_t *self, s_peer_t *peer)
{
    int64_t now = s_now_us ();
    if (now - peer->said < (int64_t) self->beat_ms * 1000 / 2)
        return;
    peer->said = now;
    uint32_t announced = self->beat_ms == HEARTBEAT_MS ? 0 : self->beat_ms;
    s_say (self, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT, .interval_ms = announced}, NULL, 0);
}

/*  ---- Reading -------------------------------------------------------------------------------- */

static void s_native (s_crowd_t *self, s_peer_t *peer, const uint8_t *data, size_t size)
{
    rp_head_t head;
    if (rp_wire_decode (&head, data, size) != RP_WIRE_ERROR_NONE
        || head.command == RP_COMMAND_BYE) {
        fprintf (stderr, "the broker said BYE, or nothing known\n");
        exit (1);
    }
    peer->ready = peer->ready || head.command == RP_COMMAND_WELCOME;
    if (head.command == RP_COMMAND_HEARTBEAT || head.command == RP_COMMAND_WELCOME)
        s_beat (self, peer);
    if (head.command == RP_COMMAND_WELCOME && self->worker)
        s_say (self,
          &(rp_head_t){
            .command = RP_COMMAND_CREDIT, .takes_us = self->work_us, .window = self->window},
          NULL, 0);
    if (head.command != RP_COMMAND_REQUEST)
        return;
    rp_head_t reply = {
      .command = RP_COMMAND_REPLY, .id = head.id, .flags = size > head.size ? RP_FLAG_INLINE : 0};
    s_say (self, &reply, data + head.size, size - head.size);
}

static void s_connected (s_crowd_t *self, s_peer_t *peer)
{
    if (self->native)
        s_hello (self, (size_t) (peer - self->peers));
    else
        peer->ready = true;
}

/*  Returns how many bytes of data were whole frames.  */
static size_t s_frames (s_crowd_t *self, s_peer_t *peer, const uint8_t *data, size_t size)
{
    size_t at = 0;
    if (!peer->greeted && size >= GREETING) {
        peer->greeted = true;
        at = GREETING;
    }
    while (peer->greeted && at + 2 <= size) {
        uint8_t flags = data[at];
        size_t head = flags & FLAG_LONG ? 9 : 2;
        if (at + head > size)
            break;
        size_t length = 0;
        for (size_t index = 1; index < head; index++)
            length = length << 8 | data[at + index];
        if (length > size - at - head)
            break;
        const uint8_t *body = data + at + head;
        if (flags & FLAG_COMMAND)
            s_connected (self, peer);
        else if (self->native)
            s_native (self, peer, body, length);
        else if (self->worker)
            memcpy (s_frame (self, flags & FLAG_MORE, length), body, length);
        at += head + length;
    }
    return at;
}

static void s_read (s_crowd_t *self, s_peer_t *peer)
{
    size_t size = peer->rest_size;
    if (size)
        memcpy (self->in, peer->rest, size);
    ssize_t got = read (peer->fd, self->in + size, CHUNK / 2 - size);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        fprintf (stderr, "the other side has closed a connection\n");
        exit (1);
    }
    size += (size_t) got;
    size_t used = s_frames (self, peer, self->in, size);
    free (peer->rest);
    peer->rest_size = size - used;
    peer->rest = peer->rest_size ? s_new (peer->rest_size) : NULL;
    if (peer->rest)
        memcpy (peer->rest, self->in + used, peer->rest_size);
    s_flush (self, peer->fd);
}

/*  ---- The crowd ------------------------------------------------------------------------------ */

/*  Sends the heartbeats that are due, spread over the interval.  */
static void s_beat_all (s_crowd_t *self)
{
    int64_t now = s_now_us ();
    int64_t interval = (int64_t) self->beat_ms * 1000;
    if (self->native && self->until)
        self->owed += (now - self->until) * (int64_t) self->connected;
    self->until = now;
    for (; self->owed >= interval; self->owed -= interval) {
        s_beat (self, &self->peers[self->next]);
        s_flush (self, self->peers[self->next].fd);
        self->next = (self->next + 1) % self->connected;
    }
}

static void s_connect (s_crowd_t *self, size_t index, const struct sockaddr_in *address)
{
    s_peer_t *peer = &self->peers[index];
    peer->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (peer->fd < 0)
        s_die ("socket; is the limit of descriptors too low (ulimit -n)?");
    if (connect (peer->fd, (const struct sockaddr *) address, sizeof *address) != 0
        || setsockopt (peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        s_die ("connect");
    s_greet (self);
    s_flush (self, peer->fd);
    while (!peer->ready)
        s_read (self, peer);
    self->connected++;
    s_beat_all (self);
}

static void s_parse (const char *endpoint, struct sockaddr_in *address)
{
    char host[64];
    unsigned short port;
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf (endpoint, "tcp://%63[0-9.]:%hu", host, &port) != 2
        || inet_pton (AF_INET, host, &address->sin_addr) != 1)
        s_die (endpoint);
    address->sin_port = htons (port);
}

static void s_ready (void)
{
    puts ("ready");
    fflush (stdout);
}

/*  Serves the peers for ever.  */
static void s_serve (s_crowd_t *self)
{
    int set = epoll_create1 (EPOLL_CLOEXEC);
    for (size_t index = 0; index < self->count; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &self->peers[index]};
        if (epoll_ctl (set, EPOLL_CTL_ADD, self->peers[index].fd, &event) != 0)
            s_die ("epoll_ctl");
    }
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait (set, events, 256, 10);
        for (int index = 0; index < count; index++)
            s_read (self, events[index].data.ptr);
        s_beat_all (self);
    }
}

static void s_fill (s_crowd_t *self, uint64_t count, size_t size, const char *service)
{
    uint8_t *body = s_new (size + 1);
    for (uint64_t id = 1; id <= count; id++) {
        rp_head_t request = {.command = RP_COMMAND_REQUEST,
          .flags = size ? RP_FLAG_INLINE : 0,
          .id = id,
          .deadline_ms = WAIT_MS,
          .wait_ms = WAIT_MS,
          .attempts = 1,
          .name = service,
          .name_size = (uint8_t) strlen (service)};
        s_say (self, &request, body, size);
        if (id % PACED == 0 || id == count) {
            s_flush (self, self->peers[0].fd);
            (void) nanosleep (&(struct timespec){.tv_nsec = PACE_NS}, NULL);
        }
    }
    free (body);
}

int main (int argc, char **argv)
{
    bool queue = argc == 6 && strcmp (argv[1], "queue") == 0;
    if (argc < 4) {
        fprintf (stderr, "see the head of bench/bench_crowd.c; bench/compare runs it\n");
        return 2;
    }
    s_crowd_t self = {.native = strncmp (argv[1], "zmq-", 4) != 0,
      .worker = strstr (argv[1], "worker") != NULL,
      .count = queue ? 1 : (size_t) atol (argv[3]),
      .services = argc > 4 && !queue ? atoi (argv[4]) : 0,
      .window = argc > 5 && !queue ? (uint32_t) atoi (argv[5]) : 256,
      .work_us = argc > 6 ? (uint32_t) atoi (argv[6]) : WORK_US,
      .in = s_new (CHUNK),
      .out = s_new (CHUNK)};
    self.beat_ms = self.worker ? WORKER_IDLE_MS : queue ? HEARTBEAT_MS : CLIENT_IDLE_MS;
    struct sockaddr_in address;
    s_parse (argv[2], &address);
    self.peers = s_new (self.count * sizeof *self.peers);
    for (size_t index = 0; index < self.count; index++)
        s_connect (&self, index, &address);
    if (queue)
        s_fill (&self, (uint64_t) atol (argv[3]), (size_t) atol (argv[4]), argv[5]);
    s_ready ();
    s_serve (&self);
}
