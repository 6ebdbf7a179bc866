/*  bench_load: clients or echo workers of one system, with the same work and the same shape.

    SPDX-License-Identifier: MPL-2.0

        bench_load SYSTEM worker ENDPOINT THREADS [WINDOW [WORK_US]]
        bench_load SYSTEM client ENDPOINT THREADS INFLIGHT SIZE SECONDS [SERVICES]
        bench_load zmq    proxy  FRONTEND BACKEND
        bench_load keys   DIRECTORY
        bench_load systems

    SYSTEM is one of those that the last line prints: of others the library was missing when this
    was built. keys makes the pairs for CURVE (load.h). Workers print "ready" once. A client prints
    one line of JSON: requests a second, how many ended in all, how many failed, percentiles of
    latency in µs. bench/compare and bench/jobs start the processes and do the arithmetic.
*/

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <riposte/error.h>
#include <zmq.h>

#include "bench/load.h"
#include "common/io/certificate.h"
#include "common/io/curve.h"
#include "common/io/socket.h"

#define WARM_UP_US 500000

typedef struct {
    const char *name;
    void *(*client) (void *arg);
    void *(*worker) (void *arg);
} s_system_t;

static const s_system_t s_systems[] = {
  {"riposte", load_riposte_client, load_riposte_worker},
  {"native", load_native_client, load_native_worker},
  {"zmq", load_zmq_client, load_zmq_worker},
  {"direct", load_direct_client, load_direct_worker},
  {"mdp", load_mdp_client, load_mdp_worker},
  {"jobs", load_jobs_client, load_riposte_worker},
  {"beanstalkd", load_beanstalkd_client, load_beanstalkd_worker},
#ifdef HAVE_NATS
  {"nats", load_nats_client, load_nats_worker},
  {"jetstream", load_jetstream_client, load_jetstream_worker},
#endif
#ifdef HAVE_RABBITMQ
  {"rabbitmq", load_rabbitmq_client, load_rabbitmq_worker},
#endif
#ifdef HAVE_GEARMAN
  {"gearman", load_gearman_client, load_gearman_worker},
  {"gearman-jobs", load_gearman_jobs_client, load_gearman_jobs_worker},
#endif
};

void *load_context;
static atomic_int s_unready;
static pthread_barrier_t s_clients;

/*  ---- What the systems share ----------------------------------------------------------------- */

int64_t load_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void load_die (const char *what)
{
    perror (what);
    exit (1);
}

const char *load_key_path (const char *name, const char *ending)
{
    static _Thread_local char path[512];
    const char *folder = getenv ("BENCH_KEYS");
    if (!folder)
        return NULL;
    snprintf (path, sizeof path, "%s/%s%s", folder, name, ending);
    return path;
}

/*  What connects has the key of the peers, what binds that of the broker.  */
static void s_secure (void *socket, bool bind)
{
    static const int on = 1;
    rp_curve_t keys = {0};
    if (!load_key_path ("", ""))
        return;
    const char *own = load_key_path (bind ? LOAD_BROKER_KEY : LOAD_PEER_KEY, ".key_secret");
    bool set = rp_curve_set_key_file (&keys, own) == RP_OK
               && rp_curve_set_server_key (&keys, load_key_path (LOAD_BROKER_KEY, ".key")) == RP_OK;
    if (set && bind)
        set =
          zmq_setsockopt (socket, ZMQ_CURVE_SERVER, &on, sizeof on) == 0
          && zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, keys.secret_key, sizeof keys.secret_key)
               == 0;
    else if (set)
        set = rp_socket_use_curve (socket, &keys) == 0;
    if (!set)
        load_die (keys.problem);
}

void *load_socket (int type, const char *endpoint, bool bind)
{
    void *socket = zmq_socket (load_context, type);
    if (socket)
        s_secure (socket, bind);
    int unlimited = 0;
    int buffer = RP_SOCKET_LOCAL_SEND_BUFFER; // as in Riposte: other systems are faster with it too
    if (!socket || zmq_setsockopt (socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited) != 0
        || zmq_setsockopt (socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) != 0
        || zmq_setsockopt (socket, ZMQ_SNDBUF, &buffer, sizeof buffer) != 0
        || zmq_setsockopt (socket, ZMQ_LINGER, &unlimited, sizeof unlimited) != 0
        || (endpoint && (bind ? zmq_bind : zmq_connect) (socket, endpoint) != 0))
        load_die (endpoint);
    return socket;
}

char *load_body (size_t *size)
{
    if (*size < sizeof (int64_t))
        *size = sizeof (int64_t);
    char *body = calloc (1, *size);
    if (!body)
        load_die ("calloc");
    return body;
}

void load_stamp (void *body, int64_t now)
{
    memcpy (body, &now, sizeof now);
}

int64_t load_stamped (const void *body, size_t size)
{
    int64_t sent;
    if (size < sizeof sent)
        load_die ("a reply that is not what was sent");
    memcpy (&sent, body, sizeof sent);
    return sent;
}

bool load_count (load_client_t *self, int64_t sent, int64_t now)
{
    self->total++;
    if (now >= self->begin && now < self->end) {
        self->done++;
        rp_histogram_record (&self->times, (uint64_t) (now - sent));
    }
    return now < self->end;
}

bool load_count_failed (load_client_t *self, int64_t now)
{
    self->total++;
    self->failed++;
    return now < self->end;
}

static void s_set_times (load_client_t *self, int64_t length)
{
    self->begin = load_now () + WARM_UP_US;
    self->end = self->begin + length;
}

void load_begin (load_client_t *self)
{
    (void) pthread_barrier_wait (&s_clients);
    s_set_times (self, self->end - self->begin);
}

void load_ready (void)
{
    if (atomic_fetch_sub (&s_unready, 1) == 1) {
        puts ("ready");
        fflush (stdout);
    }
}

/*  ---- Command line --------------------------------------------------------------------------- */

static void s_print (const load_client_t *sum, double seconds)
{
    const rp_histogram_t *times = &sum->times;
    printf ("{\"rate\": %.1f, \"total\": %llu, \"failed\": %llu, \"p50\": %llu, \"p90\": %llu, "
            "\"p99\": %llu, \"p999\": %llu, \"max\": %llu}\n",
      (double) sum->done / seconds, (unsigned long long) sum->total,
      (unsigned long long) sum->failed, (unsigned long long) rp_histogram_percentile (times, 50000),
      (unsigned long long) rp_histogram_percentile (times, 90000),
      (unsigned long long) rp_histogram_percentile (times, 99000),
      (unsigned long long) rp_histogram_percentile (times, 99900), (unsigned long long) times->max);
}

/*  Returns a list of endpoints that begins with another one for each client.  */
static char *s_rotate (const char *list, int turns)
{
    char *rotated = strdup (list);
    for (; rotated && turns > 0 && strchr (list, ','); turns--) {
        const char *rest = strchr (rotated, ',') + 1;
        char *next = malloc (strlen (list) + 1);
        if (next)
            sprintf (next, "%s,%.*s", rest, (int) (rest - rotated - 1), rotated);
        free (rotated);
        rotated = next;
    }
    if (!rotated)
        load_die ("malloc");
    return rotated;
}

static int s_run_clients (int argc, char **argv, const s_system_t *system)
{
    int threads = atoi (argv[4]);
    double seconds = atof (argv[7]);
    load_client_t *clients = calloc ((size_t) threads + 1, sizeof *clients);
    pthread_t *ids = calloc ((size_t) threads, sizeof *ids);
    if (!clients || !ids)
        load_die ("calloc");
    if (pthread_barrier_init (&s_clients, NULL, (unsigned) threads) != 0)
        load_die ("pthread_barrier_init");
    for (int index = 0; index < threads; index++) {
        load_client_t *client = &clients[index];
        client->endpoint = s_rotate (argv[3], index);
        client->inflight = atoi (argv[5]);
        client->size = (size_t) atol (argv[6]);
        client->services = argc > 8 ? atoi (argv[8]) : 0;
        s_set_times (client, (int64_t) (seconds * 1e6));
        if (pthread_create (&ids[index], NULL, system->client, client))
            load_die ("thread");
    }
    load_client_t *sum = &clients[threads];
    for (int index = 0; index < threads; index++) {
        pthread_join (ids[index], NULL);
        sum->total += clients[index].total;
        sum->done += clients[index].done;
        sum->failed += clients[index].failed;
        rp_histogram_merge (&sum->times, &clients[index].times);
    }
    s_print (sum, seconds);
    free (clients);
    free (ids);
    return 0;
}

static int s_run_workers (int argc, char **argv, const s_system_t *system)
{
    int threads = atoi (argv[4]);
    load_worker_t *workers = calloc ((size_t) threads, sizeof *workers);
    if (!workers)
        load_die ("calloc");
    atomic_store (&s_unready, threads);
    for (int index = 0; index < threads; index++) {
        workers[index] = (load_worker_t){.endpoint = argv[3],
          .index = index,
          .window = argc > 5 ? (uint32_t) atoi (argv[5]) : 1,
          .work = argc > 6 ? atol (argv[6]) : 0};
        pthread_t id;
        if (index + 1 < threads && pthread_create (&id, NULL, system->worker, &workers[index]))
            load_die ("thread");
    }
    system->worker (&workers[threads - 1]);
    return 0;
}

static int s_make_keys (const char *folder)
{
    static const char *const names[] = {LOAD_BROKER_KEY, LOAD_PEER_KEY};
    char path[512];
    char reason[RP_CERTIFICATE_REASON_MAX];
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        for (int secret = 0; secret < 2; secret++) {
            static rp_certificate_t pair;
            if (!secret && !rp_certificate_new (&pair))
                load_die ("no CURVE in this libzmq");
            snprintf (pair.principal, sizeof pair.principal, "%s", names[index]);
            snprintf (
              path, sizeof path, "%s/%s.key%s", folder, names[index], secret ? "_secret" : "");
            if (!rp_certificate_save (&pair, path, secret, reason))
                load_die (reason);
        }
    return 0;
}

static const s_system_t *s_find (const char *name)
{
    for (size_t index = 0; index < sizeof s_systems / sizeof *s_systems; index++)
        if (strcmp (s_systems[index].name, name) == 0)
            return &s_systems[index];
    return NULL;
}

int main (int argc, char **argv)
{
    if (argc == 2 && strcmp (argv[1], "systems") == 0) {
        for (size_t index = 0; index < sizeof s_systems / sizeof *s_systems; index++)
            puts (s_systems[index].name);
        return 0;
    }
    if (argc == 3 && strcmp (argv[1], "keys") == 0)
        return s_make_keys (argv[2]);
    const s_system_t *system = argc > 3 ? s_find (argv[1]) : NULL;
    bool client = system && strcmp (argv[2], "client") == 0;
    if (!system || (client && argc < 8)) {
        fprintf (stderr, "see the head of bench/load.c; bench/compare and bench/jobs run it\n");
        return 2;
    }
    load_context = zmq_ctx_new ();
    if (!load_context)
        load_die ("zmq_ctx_new");
    if (strcmp (argv[2], "proxy") == 0)
        return load_zmq_proxy (argv[3], argv[4]);
    return client ? s_run_clients (argc, argv, system) : s_run_workers (argc, argv, system);
}
