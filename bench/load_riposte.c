/*  bench_load: Riposte's libraries on both sides, as an application uses them.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#include "bench/load.h"

#define CONNECT_MS 5000
#define COLLECT_MS 30000
#define DEADLINE_MS 30000

typedef struct {
    load_client_t *load;
    rp_client_t *client;
    const void *body;
    int service; /* the next to be asked */
} s_client_t;

static void s_submit (s_client_t *self, int64_t now)
{
    char name[32] = "bench";
    if (self->load->services > 0)
        snprintf (name, sizeof name, "bench-%d", self->service++ % self->load->services);
    rp_call_t *call = rp_call_new (name, self->body, self->load->size);
    if (!call)
        load_die ("rp_call_new");
    rp_call_set_tag (call, (void *) (intptr_t) now);
    int rc = rp_client_submit (self->client, &call, NULL);
    if (rc != RP_OK) {
        fprintf (stderr, "submit: %s\n", rp_strerror (rc));
        exit (1);
    }
}

static const char *s_server_key (void)
{
    return load_key_path (LOAD_BROKER_KEY, ".key");
}

static bool s_secure_client (rp_client_t *client)
{
    if (!s_server_key ())
        return true;
    return rp_client_set_server_key (client, s_server_key ()) == RP_OK
           && rp_client_set_key_file (client, load_key_path (LOAD_PEER_KEY, ".key_secret"))
                == RP_OK;
}

static bool s_secure_worker (rp_worker_t *worker)
{
    if (!s_server_key ())
        return true;
    return rp_worker_set_server_key (worker, s_server_key ()) == RP_OK
           && rp_worker_set_key_file (worker, load_key_path (LOAD_PEER_KEY, ".key_secret"))
                == RP_OK;
}

void *load_riposte_client (void *arg)
{
    load_client_t *load = arg;
    char *body = load_body (&load->size);
    s_client_t self = {.load = load, .client = rp_client_new (load->endpoint), .body = body};
    if (!self.client || !s_secure_client (self.client)
        || rp_client_set_timeout_ms (self.client, DEADLINE_MS) != RP_OK
        || rp_client_connect (self.client, CONNECT_MS) != RP_OK)
        load_die ("connect");
    for (int index = 0; index < load->inflight; index++)
        s_submit (&self, load_now ());
    for (int open = load->inflight; open > 0;) {
        rp_reply_t *reply = NULL;
        if (rp_client_collect (self.client, COLLECT_MS, &reply) != RP_OK)
            load_die ("collect");
        int64_t now = load_now ();
        bool ok = rp_reply_status (reply) == RP_OK && rp_reply_size (reply) == load->size;
        int64_t sent = (int64_t) (intptr_t) rp_reply_tag (reply);
        bool again = ok ? load_count (load, sent, now) : load_count_failed (load, now);
        rp_reply_destroy (&reply);
        if (again)
            s_submit (&self, now);
        else
            open--;
    }
    rp_client_destroy (&self.client);
    free (body);
    return NULL;
}

static void s_echo (rp_task_t **task_p, void *arg)
{
    const load_worker_t *self = arg;
    if (self->work > 0) {
        struct timespec work = {self->work / 1000000, self->work % 1000000 * 1000};
        (void) nanosleep (&work, NULL);
    }
    // The reply may fail because its client has gone; the worker need not care.
    (void) rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

static void s_notice (const char *text, void *arg)
{
    load_worker_t *self = arg;
    if (self->ready || strncmp (text, "registered ", 11) != 0)
        return;
    self->ready = true;
    load_ready ();
}

void *load_riposte_worker (void *arg)
{
    load_worker_t *self = arg;
    rp_worker_t *worker = rp_worker_new (self->endpoint, "bench");
    if (!worker || !s_secure_worker (worker) || rp_worker_set_slots (worker, self->window) != RP_OK)
        load_die ("worker");
    (void) rp_worker_on_notice (worker, s_notice, self);
    rp_worker_run (worker, s_echo, self);
    rp_worker_destroy (&worker);
    return NULL;
}
