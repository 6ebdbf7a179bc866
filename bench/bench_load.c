/*  Load for the end-to-end benchmark: clients or echo workers, over Riposte's libraries, over bare
    libzmq sockets that speak the native protocol to its broker, or over bare sockets around zmq_proxy,
    with the same work and the same shape.

    SPDX-License-Identifier: MPL-2.0

        bench_load riposte worker  ENDPOINT THREADS WINDOW
        bench_load riposte client  ENDPOINT THREADS INFLIGHT SIZE SECONDS
        bench_load native  worker  ENDPOINT THREADS WINDOW
        bench_load native  client  ENDPOINT THREADS INFLIGHT SIZE SECONDS
        bench_load zmq     proxy   FRONTEND BACKEND
        bench_load zmq     worker  BACKEND  THREADS
        bench_load zmq     client  FRONTEND THREADS INFLIGHT SIZE SECONDS

    A client prints one line: requests per second, median and 99th percentile latency in µs, failures.
    bench/compare starts the processes and does the arithmetic.
*/

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#include "common/wire.h"

#define WARM_UP_US 500000
#define LATENCY_BUCKETS 20000 /* of 5 µs: up to 100 ms, the last takes the rest */
#define BUCKET_US 5

typedef struct {
    const char *endpoint;
    int inflight;
    size_t size;
    int64_t begin; /* counting starts after the warm-up */
    int64_t end;
    uint64_t done;
    uint64_t failed;
    uint32_t *latency;
} client_t;

static void *s_context;

static int64_t s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void s_die (const char *what)
{
    perror (what);
    exit (1);
}

static void s_count (client_t *self, int64_t sent, int64_t now)
{
    if (now < self->begin || now >= self->end)
        return;
    self->done++;
    int64_t bucket = (now - sent) / BUCKET_US;
    self->latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
}

/*  ---- Riposte ---------------------------------------------------------------------------------- */

static void s_submit (client_t *self, rp_client_t *client, const void *body, int64_t now)
{
    rp_call_t *call = rp_call_new ("bench", body, self->size);
    if (!call)
        s_die ("rp_call_new");
    rp_call_set_tag (call, (void *) (intptr_t) now);
    int rc = rp_client_submit (client, &call, NULL);
    if (rc != RP_OK) {
        fprintf (stderr, "submit: %s\n", rp_strerror (rc));
        exit (1);
    }
}

static void *s_riposte_client (void *arg)
{
    client_t *self = arg;
    rp_client_t *client = rp_client_new (self->endpoint);
    char *body = calloc (1, self->size + 1);
    if (!client || !body || rp_client_connect (client, 5000) != RP_OK)
        s_die ("connect");
    for (int index = 0; index < self->inflight; index++)
        s_submit (self, client, body, s_now ());
    for (int open = self->inflight; open > 0;) {
        rp_reply_t *reply = NULL;
        if (rp_client_collect (client, 10000, &reply) != RP_OK)
            s_die ("collect");
        int64_t now = s_now ();
        if (rp_reply_status (reply) == RP_OK && rp_reply_size (reply) == self->size)
            s_count (self, (int64_t) (intptr_t) rp_reply_tag (reply), now);
        else
            self->failed++;
        rp_reply_destroy (&reply);
        if (now < self->end)
            s_submit (self, client, body, now);
        else
            open--;
    }
    rp_client_destroy (&client);
    free (body);
    return NULL;
}

static void s_echo (rp_task_t **task_p, void *arg)
{
    (void) arg;
    rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

typedef struct {
    const char *endpoint;
    uint32_t window;
} worker_t;

static void *s_riposte_worker (void *arg)
{
    const worker_t *self = arg;
    rp_worker_t *worker = rp_worker_new (self->endpoint, "bench");
    if (!worker || rp_worker_set_slots (worker, self->window) != RP_OK)
        s_die ("worker");
    rp_worker_run (worker, s_echo, NULL);
    rp_worker_destroy (&worker);
    return NULL;
}

/*  ---- Bare sockets at Riposte's broker --------------------------------------------------------------
    As bare as those around zmq_proxy: what this costs beyond them is the broker's.  */

static void s_send_head (void *socket, const rp_head_t *head, const void *body, size_t size)
{
    zmq_msg_t frame;
    size_t head_size = rp_wire_size (head);
    if (zmq_msg_init_size (&frame, head_size + size) != 0)
        s_die ("zmq_msg_init_size");
    rp_wire_encode (head, zmq_msg_data (&frame), head_size);
    if (size)
        memcpy ((char *) zmq_msg_data (&frame) + head_size, body, size);
    if (zmq_msg_send (&frame, socket, 0) < 0)
        s_die ("zmq_msg_send");
}

/*  Receives a frame and its head; what has to be said to stay alive is said.  */
static void s_receive_head (void *socket, zmq_msg_t *frame, rp_head_t *head)
{
    for (;;) {
        zmq_msg_init (frame);
        if (zmq_msg_recv (frame, socket, 0) < 0)
            s_die ("zmq_msg_recv");
        if (rp_wire_decode (head, zmq_msg_data (frame), zmq_msg_size (frame)) != RP_WIRE_ERROR_NONE)
            s_die ("not a head of the native protocol");
        if (head->command != RP_COMMAND_HEARTBEAT)
            return;
        s_send_head (socket, &(rp_head_t) {.command = RP_COMMAND_HEARTBEAT}, NULL, 0);
        zmq_msg_close (frame);
    }
}

static void *s_socket (int type, const char *endpoint, bool bind);

static void *s_greet (const char *endpoint, uint16_t flags, uint32_t window)
{
    void *socket = s_socket (ZMQ_DEALER, endpoint, false);
    zmq_msg_t frame;
    rp_head_t head = {.command = RP_COMMAND_HELLO, .flags = flags, .time = 60000, .value = window};
    if (flags & RP_FLAG_WORKER) {
        head.name = "bench";
        head.name_size = 5;
    }
    s_send_head (socket, &head, NULL, 0);
    s_receive_head (socket, &frame, &head);
    if (head.command != RP_COMMAND_WELCOME)
        s_die ("no WELCOME");
    zmq_msg_close (&frame);
    return socket;
}

/*  The id is the time of sending, made unique.  */
static void s_request (client_t *self, void *socket, const void *body, int64_t now)
{
    static _Thread_local uint64_t last;
    uint64_t id = (uint64_t) now << 12;
    last = id > last ? id : last + 1;
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST,
      .flags = RP_FLAG_INLINE,
      .id = last,
      .time = 5000,
      .attempts = 1,
      .name = "bench",
      .name_size = 5};
    s_send_head (socket, &head, body, self->size);
}

static void *s_native_client (void *arg)
{
    client_t *self = arg;
    void *socket = s_greet (self->endpoint, 0, 0);
    char *body = calloc (1, self->size + 1);
    if (!body)
        s_die ("calloc");
    for (int index = 0; index < self->inflight; index++)
        s_request (self, socket, body, s_now ());
    for (int open = self->inflight; open > 0;) {
        zmq_msg_t frame;
        rp_head_t head;
        s_receive_head (socket, &frame, &head);
        int64_t now = s_now ();
        if (head.command == RP_COMMAND_REPLY && head.status == RP_OK)
            s_count (self, (int64_t) (head.id >> 12), now);
        else
            self->failed++;
        zmq_msg_close (&frame);
        if (now < self->end)
            s_request (self, socket, body, now);
        else
            open--;
    }
    zmq_close (socket);
    free (body);
    return NULL;
}

static void *s_native_worker (void *arg)
{
    const worker_t *self = arg;
    void *socket = s_greet (self->endpoint, RP_FLAG_WORKER, self->window);
    for (;;) {
        zmq_msg_t frame;
        rp_head_t head;
        s_receive_head (socket, &frame, &head);
        size_t size = zmq_msg_size (&frame) - head.size;
        rp_head_t reply = {
          .command = RP_COMMAND_REPLY, .id = head.id, .flags = size ? RP_FLAG_INLINE : 0};
        s_send_head (socket, &reply, (char *) zmq_msg_data (&frame) + head.size, size);
        zmq_msg_close (&frame);
    }
    return NULL;
}

/*  ---- Bare libzmq around zmq_proxy ----------------------------------------------------------------
    Clients are DEALERs that send one frame (the time, then padding); workers are DEALERs that send
    back what they got, address and all. The proxy has a ROUTER before and a DEALER behind it.  */

static void *s_socket (int type, const char *endpoint, bool bind)
{
    void *socket = zmq_socket (s_context, type);
    int unlimited = 0;
    if (
      !socket || zmq_setsockopt (socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited) != 0
      || zmq_setsockopt (socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) != 0
      || zmq_setsockopt (socket, ZMQ_LINGER, &unlimited, sizeof unlimited) != 0
      || (bind ? zmq_bind : zmq_connect) (socket, endpoint) != 0)
        s_die (endpoint);
    return socket;
}

static void *s_zmq_client (void *arg)
{
    client_t *self = arg;
    void *socket = s_socket (ZMQ_DEALER, self->endpoint, false);
    size_t size = self->size < sizeof (int64_t) ? sizeof (int64_t) : self->size;
    char *body = calloc (1, size);
    if (!body)
        s_die ("calloc");
    for (int index = 0; index < self->inflight; index++) {
        int64_t now = s_now ();
        memcpy (body, &now, sizeof now);
        zmq_send (socket, body, size, 0);
    }
    for (int open = self->inflight; open > 0;) {
        zmq_msg_t reply;
        zmq_msg_init (&reply);
        if (zmq_msg_recv (&reply, socket, 0) < 0)
            s_die ("recv");
        int64_t sent;
        memcpy (&sent, zmq_msg_data (&reply), sizeof sent);
        int64_t now = s_now ();
        s_count (self, sent, now);
        zmq_msg_close (&reply);
        memcpy (body, &now, sizeof now);
        if (now < self->end)
            zmq_send (socket, body, size, 0);
        else
            open--;
    }
    zmq_close (socket);
    free (body);
    return NULL;
}

static void *s_zmq_worker (void *arg)
{
    const worker_t *self = arg;
    void *socket = s_socket (ZMQ_DEALER, self->endpoint, false);
    for (;;) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        if (zmq_msg_recv (&frame, socket, 0) < 0)
            return NULL;
        int more = zmq_msg_more (&frame);
        if (zmq_msg_send (&frame, socket, more ? ZMQ_SNDMORE : 0) < 0)
            return NULL;
    }
}

static int s_proxy (const char *frontend, const char *backend)
{
    void *front = s_socket (ZMQ_ROUTER, frontend, true);
    void *back = s_socket (ZMQ_DEALER, backend, true);
    return zmq_proxy (front, back, NULL);
}

/*  ---- Command line --------------------------------------------------------------------------------- */

static int s_percentile (const uint32_t *latency, uint64_t count, double fraction)
{
    uint64_t sought = (uint64_t) ((double) count * fraction);
    uint64_t seen = 0;
    for (int bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        seen += latency[bucket];
        if (seen > sought)
            return bucket * BUCKET_US;
    }
    return LATENCY_BUCKETS * BUCKET_US;
}

static int s_run_clients (char **argv, void *(*function) (void *) )
{
    int threads = atoi (argv[4]);
    double seconds = atof (argv[7]);
    client_t *clients = calloc ((size_t) threads, sizeof *clients);
    pthread_t *ids = calloc ((size_t) threads, sizeof *ids);
    uint32_t *latency = calloc (LATENCY_BUCKETS, sizeof *latency);
    if (!clients || !ids || !latency)
        s_die ("calloc");
    int64_t begin = s_now () + WARM_UP_US;
    for (int index = 0; index < threads; index++) {
        clients[index] = (client_t) {
          .endpoint = argv[3],
          .inflight = atoi (argv[5]),
          .size = (size_t) atol (argv[6]),
          .begin = begin,
          .end = begin + (int64_t) (seconds * 1e6),
          .latency = calloc (LATENCY_BUCKETS, sizeof *latency)};
        if (!clients[index].latency || pthread_create (&ids[index], NULL, function, &clients[index]))
            s_die ("thread");
    }
    uint64_t done = 0;
    uint64_t failed = 0;
    for (int index = 0; index < threads; index++) {
        pthread_join (ids[index], NULL);
        done += clients[index].done;
        failed += clients[index].failed;
        for (int bucket = 0; bucket < LATENCY_BUCKETS; bucket++)
            latency[bucket] += clients[index].latency[bucket];
        free (clients[index].latency);
    }
    printf (
      "%.0f %d %d %llu\n", (double) done / seconds, s_percentile (latency, done, 0.5),
      s_percentile (latency, done, 0.99), (unsigned long long) failed);
    free (clients);
    free (ids);
    free (latency);
    return failed ? 1 : 0;
}

static int s_run_workers (char **argv, int argc, void *(*function) (void *) )
{
    int threads = atoi (argv[4]);
    worker_t worker = {.endpoint = argv[3], .window = argc > 5 ? (uint32_t) atoi (argv[5]) : 1};
    for (int index = 1; index < threads; index++) {
        pthread_t id;
        if (pthread_create (&id, NULL, function, &worker))
            s_die ("thread");
    }
    function (&worker);
    return 0;
}

int main (int argc, char **argv)
{
    if (argc < 5) {
        fprintf (stderr, "see the head of bench/bench_load.c; bench/compare runs it\n");
        return 2;
    }
    bool riposte = strcmp (argv[1], "riposte") == 0;
    bool native = strcmp (argv[1], "native") == 0;
    if (!riposte)
        s_context = zmq_ctx_new ();
    if (strcmp (argv[2], "proxy") == 0)
        return s_proxy (argv[3], argv[4]);
    if (strcmp (argv[2], "worker") == 0)
        return s_run_workers (argv, argc, riposte ? s_riposte_worker : native ? s_native_worker : s_zmq_worker);
    if (argc < 8)
        return 2;
    return s_run_clients (argv, riposte ? s_riposte_client : native ? s_native_client : s_zmq_client);
}
