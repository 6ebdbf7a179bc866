/*  Load for the end-to-end benchmarks: what the files of bench_load share.

    SPDX-License-Identifier: MPL-2.0

    load.c is the program, load_riposte.c Riposte's libraries, load_native.c bare sockets that speak
    its protocol, load_zmq.c bare sockets around zmq_proxy or without a broker, load_mdp.c
    Majordomo 0.1, load_nats.c and load_gearman.c the others. Jobs, whose results are on disk before a client gets
    them, are in load_jobs.c, load_beanstalkd.c, load_jetstream.c, load_rabbitmq.c and load_gearman.c. All do the same:
    a client keeps a number of requests open and sends the next when one has ended; a worker sends each body back.

    Each client and each worker is a thread with a connection of its own.
*/

#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/tool/histogram.h"

typedef struct {
    const char *endpoint; /* direct: several, with commas */
    int inflight;
    size_t size;    /* of a body, bytes */
    int services;   /* asked in turn, "bench-0" and so on; 0: "bench" alone */
    int64_t begin;  /* counting starts after the warm-up, µs */
    int64_t end;    /* nothing new is sent from then on */
    uint64_t total; /* ended in all, counted or not */
    uint64_t done;  /* ended between begin and end */
    uint64_t failed;
    rp_histogram_t times; /* of the requests in done */
} load_client_t;

typedef struct {
    const char *endpoint;
    int index;
    uint32_t window; /* requests at once, where the protocol lets a worker say so */
    int64_t work;    /* time to sleep for each request, µs */
    bool ready;      /* load_ready was called */
} load_worker_t;

/*  The context of the bare sockets.  */
extern void *load_context;

int64_t load_now (void);
void load_die (const char *what) __attribute__ ((noreturn));

/*  With BENCH_KEYS in the environment, a directory that bench_load keys has filled, all connections
    of riposte, native, zmq, direct and mdp use CURVE: what binds has the broker's key, what connects
    the key of the peers.  */
#define LOAD_BROKER_KEY "broker"
#define LOAD_PEER_KEY "peer"

/*  The path of a key's file in that directory ("broker", ".key_secret"); NULL without CURVE. The
    text is overwritten by the next call in this thread.  */
const char *load_key_path (const char *name, const char *ending);

/*  A libzmq socket without a high-water mark, which would be part of what is measured.  */
void *load_socket (int type, const char *endpoint, bool bind);

/*  This client is ready to send. Waits until all are, and sets the time to measure, so that what a system takes to
    connect and to make queues is not measured. Those that do not call it are measured from their start.  */
void load_begin (load_client_t *self);

/*  A body that begins with its time of sending, for systems whose replies carry nothing else from
    the client. *size grows to what the time needs.  */
char *load_body (size_t *size);
void load_stamp (void *body, int64_t now);
int64_t load_stamped (const void *body, size_t size);

/*  A reply came to the request that was sent at this time. True if the next is to be sent.  */
bool load_count (load_client_t *self, int64_t sent, int64_t now);
bool load_count_failed (load_client_t *self, int64_t now);

/*  This worker gets requests from now on. The last worker that calls it prints "ready".  */
void load_ready (void);

void *load_riposte_client (void *arg);
void *load_riposte_worker (void *arg);
void *load_native_client (void *arg);
void *load_native_worker (void *arg);
void *load_zmq_client (void *arg);
void *load_zmq_worker (void *arg);
void *load_direct_client (void *arg);
void *load_direct_worker (void *arg);
void *load_mdp_client (void *arg);
void *load_mdp_worker (void *arg);
int load_zmq_proxy (const char *frontend, const char *backend);
void *load_jobs_client (void *arg);
void *load_beanstalkd_client (void *arg);
void *load_beanstalkd_worker (void *arg);
#ifdef HAVE_NATS
void *load_nats_client (void *arg);
void *load_nats_worker (void *arg);
void *load_jetstream_client (void *arg);
void *load_jetstream_worker (void *arg);
#endif
#ifdef HAVE_RABBITMQ
void *load_rabbitmq_client (void *arg);
void *load_rabbitmq_worker (void *arg);
#endif
#ifdef HAVE_GEARMAN
void *load_gearman_jobs_client (void *arg);
void *load_gearman_jobs_worker (void *arg);
void *load_gearman_client (void *arg);
void *load_gearman_worker (void *arg);
#endif

#endif
