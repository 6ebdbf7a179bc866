/*  bench_streams: a long reply in parts, through Riposte's libraries; and the same frames through zmq_proxy,
    where nobody grants.

    SPDX-License-Identifier: MPL-2.0

    A side that writes prints "ready" and then waits; the side that reads prints its figures as JSON. zmq_proxy has
    PULL before and PUSH behind it: pipes that are full hold the writer up, and no address is looked at. A message is
    of two frames, as long as those of a part of Riposte.
*/

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#define PART 65536
#define HEAD 40 /* bytes before a part on the wire, docs/PROTOCOL.md */
#define WAIT_MS 60000
#define DAY_MS 86400000

static char s_part[PART];

static void s_die (const char *what)
{
    perror (what);
    exit (1);
}

static double s_seconds (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static int s_report (uint64_t bytes, double seconds)
{
    printf ("{\"bytes\": %llu, \"mib_s\": %.1f}\n", (unsigned long long) bytes,
      (double) bytes / 1048576 / seconds);
    return 0;
}

static void s_ready (void)
{
    puts ("ready");
    fflush (stdout);
}

/*  ---- Riposte ---------------------------------------------------------------------------------- */

static void s_write (rp_task_t **task_p, void *arg)
{
    (void) arg;
    uint64_t left = strtoull (rp_task_body (*task_p), NULL, 10);
    for (; left > 0; left -= PART)
        if (rp_task_write (*task_p, s_part, PART, WAIT_MS, NULL) != RP_OK)
            break;
    (void) rp_task_reply (task_p, "", 0);
}

static void s_notice (const char *text, void *arg)
{
    (void) arg;
    if (strncmp (text, "registered ", 11) == 0)
        s_ready ();
}

static int s_worker (const char *endpoint)
{
    rp_worker_t *worker = rp_worker_new (endpoint, "bench");
    if (!worker || rp_worker_set_streams (worker, true) != RP_OK)
        s_die ("worker");
    (void) rp_worker_on_notice (worker, s_notice, NULL);
    rp_worker_run (worker, s_write, NULL);
    rp_worker_destroy (&worker);
    return 0;
}

static bool s_take (const void *data, size_t size, void *arg)
{
    (void) data;
    *(uint64_t *) arg += size;
    return true;
}

static int s_client (const char *endpoint, const char *bytes)
{
    rp_client_t *client = rp_client_new (endpoint);
    rp_call_t *call = rp_call_new ("bench", bytes, strlen (bytes) + 1);
    if (!client || !call || rp_client_connect (client, WAIT_MS) != RP_OK)
        s_die ("connect");
    rp_call_set_timeout_ms (call, DAY_MS);
    rp_reply_t *reply = NULL;
    uint64_t taken = 0;
    double begin = s_seconds ();
    int rc = rp_client_perform_parts (client, &call, s_take, &taken, &reply);
    if (rc != RP_OK || taken != strtoull (bytes, NULL, 10)) {
        fprintf (stderr, "stream: %s, %llu bytes\n", rp_strerror (rc), (unsigned long long) taken);
        return 1;
    }
    double end = s_seconds ();
    rp_reply_destroy (&reply);
    rp_client_destroy (&client);
    return s_report (taken, end - begin);
}

/*  ---- zmq_proxy -------------------------------------------------------------------------------- */

static void *s_socket (void *context, int type, const char *endpoint, bool binds)
{
    void *socket = zmq_socket (context, type);
    if (!socket || (binds ? zmq_bind : zmq_connect) (socket, endpoint) != 0)
        s_die (endpoint);
    return socket;
}

static int s_proxy (void *context, const char *front, const char *back)
{
    void *pull = s_socket (context, ZMQ_PULL, front, true);
    void *push = s_socket (context, ZMQ_PUSH, back, true);
    s_ready ();
    return zmq_proxy (pull, push, NULL);
}

static int s_source (void *context, const char *front, const char *bytes)
{
    void *push = s_socket (context, ZMQ_PUSH, front, false);
    char head[HEAD] = {0};
    for (uint64_t left = strtoull (bytes, NULL, 10); left > 0; left -= PART)
        if (zmq_send (push, head, sizeof head, ZMQ_SNDMORE) < 0
            || zmq_send (push, s_part, PART, 0) < 0)
            s_die ("zmq_send");
    zmq_close (push);
    zmq_ctx_term (context);
    return 0;
}

static int s_sink (void *context, const char *back, const char *bytes)
{
    void *pull = s_socket (context, ZMQ_PULL, back, false);
    uint64_t taken = 0, wanted = strtoull (bytes, NULL, 10);
    double begin = 0;
    while (taken < wanted) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        if (zmq_msg_recv (&frame, pull, 0) < 0)
            s_die ("zmq_msg_recv");
        if (begin == 0)
            begin = s_seconds ();
        if (!zmq_msg_more (&frame))
            taken += zmq_msg_size (&frame);
        zmq_msg_close (&frame);
    }
    return s_report (taken, s_seconds () - begin);
}

int main (int argc, char **argv)
{
    const char *what = argc >= 3 ? argv[1] : "";
    const char *more = argc >= 4 ? argv[3] : "";
    memset (s_part, 'x', sizeof s_part);
    if (strcmp (what, "worker") == 0)
        return s_worker (argv[2]);
    if (strcmp (what, "client") == 0)
        return s_client (argv[2], more);
    void *context = zmq_ctx_new ();
    if (!context)
        s_die ("zmq_ctx_new");
    if (strcmp (what, "proxy") == 0)
        return s_proxy (context, argv[2], more);
    if (strcmp (what, "source") == 0)
        return s_source (context, argv[2], more);
    if (strcmp (what, "sink") == 0)
        return s_sink (context, argv[2], more);
    fputs ("usage: bench_streams worker ENDPOINT | client ENDPOINT BYTES | proxy FRONT BACK |\n"
           "       source FRONT BYTES | sink BACK BYTES\n",
      stderr);
    return 2;
}
