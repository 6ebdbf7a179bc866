/*  bench_load: gearmand with libgearman.

    SPDX-License-Identifier: MPL-2.0

    Meant to be the library's fastest way, though no other was measured: clients keep all tasks in
    one gearman_client_run_tasks, and add the next from the callback of a complete one; each
    task has a short unique name, so that the library need not make one. Workers take one job at
    a time; the protocol has no other way.

    As jobs: gearmand's queue keeps background jobs only, and no results, so a worker hands the result in as a
    background job for the client, which is a worker for these. A connection has one job at a time, and waits for the
    server's answer to each job that it hands in, so clients and workers have S_HANDS of both.
*/

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libgearman/gearman.h>

#include "bench/load.h"

#define S_HANDS 8 // of a client or a worker of jobs

typedef struct {
    load_client_t *load;
    gearman_client_st *client;
    uint64_t number;
} s_client_t;

/*  An open task. The library does not copy its body.  */
typedef struct {
    s_client_t *client;
    char *body;
} s_task_t;

static void s_parse (const char *endpoint, char *host, size_t size, in_port_t *port)
{
    const char *colon = strrchr (endpoint, ':');
    const char *slash = strrchr (endpoint, '/');
    if (!colon || !slash)
        load_die (endpoint);
    snprintf (host, size, "%.*s", (int) (colon - slash - 1), slash + 1);
    *port = (in_port_t) atoi (colon + 1);
}

static void s_add (s_task_t *task, int64_t now)
{
    s_client_t *self = task->client;
    char unique[32];
    snprintf (unique, sizeof unique, "%p-%llu", (void *) self, (unsigned long long) ++self->number);
    load_stamp (task->body, now);
    gearman_return_t rc = GEARMAN_SUCCESS;
    gearman_client_add_task (
      self->client, NULL, task, "bench", unique, task->body, self->load->size, &rc);
    if (gearman_failed (rc)) {
        fprintf (stderr, "add task: %s\n", gearman_client_error (self->client));
        exit (1);
    }
}

static gearman_return_t s_complete (gearman_task_st *done)
{
    s_task_t *task = gearman_task_context (done);
    load_client_t *load = task->client->load;
    int64_t now = load_now ();
    size_t size = gearman_task_data_size (done);
    bool again = size == load->size
                   ? load_count (load, load_stamped (gearman_task_data (done), size), now)
                   : load_count_failed (load, now);
    if (again)
        s_add (task, now);
    return GEARMAN_SUCCESS;
}

void *load_gearman_client (void *arg)
{
    load_client_t *load = arg;
    s_client_t self = {.load = load, .client = gearman_client_create (NULL)};
    char host[128];
    in_port_t port;
    s_parse (load->endpoint, host, sizeof host, &port);
    s_task_t *tasks = calloc ((size_t) load->inflight, sizeof *tasks);
    if (!self.client || !tasks
        || gearman_failed (gearman_client_add_server (self.client, host, port)))
        load_die ("gearman_client");
    gearman_client_set_complete_fn (self.client, s_complete);
    gearman_client_add_options (self.client, GEARMAN_CLIENT_FREE_TASKS);
    for (int index = 0; index < load->inflight; index++) {
        tasks[index] = (s_task_t){.client = &self, .body = load_body (&load->size)};
        s_add (&tasks[index], load_now ());
    }
    if (gearman_failed (gearman_client_run_tasks (self.client))) {
        fprintf (stderr, "run tasks: %s\n", gearman_client_error (self.client));
        exit (1);
    }
    gearman_client_free (self.client);
    for (int index = 0; index < load->inflight; index++)
        free (tasks[index].body);
    free (tasks);
    return NULL;
}

static gearman_return_t s_work (gearman_job_st *job, void *context)
{
    (void) context;
    return gearman_job_send_complete (
      job, gearman_job_workload (job), gearman_job_workload_size (job));
}

void *load_gearman_worker (void *arg)
{
    const load_worker_t *self = arg;
    gearman_worker_st *worker = gearman_worker_create (NULL);
    char host[128];
    in_port_t port;
    s_parse (self->endpoint, host, sizeof host, &port);
    if (!worker || gearman_failed (gearman_worker_add_server (worker, host, port))
        || gearman_failed (gearman_worker_define_function (
          worker, "bench", 5, gearman_function_create (s_work), 0, NULL)))
        load_die ("gearman_worker");
    load_ready ();
    while (gearman_success (gearman_worker_work (worker)))
        continue;
    fprintf (stderr, "work: %s\n", gearman_worker_error (worker));
    exit (1);
}

/*  ---- Jobs ------------------------------------------------------------------------------------- */

static gearman_client_st *s_new_client (const char *endpoint)
{
    char host[128];
    in_port_t port;
    s_parse (endpoint, host, sizeof host, &port);
    gearman_client_st *client = gearman_client_create (NULL);
    if (!client || gearman_failed (gearman_client_add_server (client, host, port)))
        load_die ("gearman_client");
    return client;
}

static gearman_worker_st *s_new_worker (
  const char *endpoint, const char *name, gearman_function_fn *function, void *arg)
{
    char host[128];
    in_port_t port;
    s_parse (endpoint, host, sizeof host, &port);
    gearman_worker_st *worker = gearman_worker_create (NULL);
    if (!worker || gearman_failed (gearman_worker_add_server (worker, host, port))
        || gearman_failed (gearman_worker_define_function (
          worker, name, strlen (name), gearman_function_create (function), 0, arg)))
        load_die ("gearman_worker");
    return worker;
}

/*  Hands a job in, and waits until the server has it.  */
static void s_hand_in (gearman_client_st *client, const char *name, const void *body, size_t size)
{
    static atomic_ulong count;
    char unique[48];
    gearman_job_handle_t handle;
    snprintf (unique, sizeof unique, "%d-%lu", (int) getpid (), atomic_fetch_add (&count, 1));
    if (gearman_failed (gearman_client_do_background (client, name, unique, body, size, handle)))
        load_die (gearman_client_error (client));
}

typedef struct {
    load_client_t *load;
    gearman_client_st *client;
    char *body;
    int open;
} s_jobs_t;

static gearman_return_t s_result (gearman_job_st *job, void *arg)
{
    s_jobs_t *self = arg;
    int64_t now = load_now ();
    int64_t sent = load_stamped (gearman_job_workload (job), gearman_job_workload_size (job));
    if (load_count (self->load, sent, now)) {
        load_stamp (self->body, now);
        s_hand_in (self->client, "bench", self->body, self->load->size);
    }
    else
        self->open--;
    return GEARMAN_SUCCESS;
}

static void *s_run_client_hand (void *arg)
{
    static atomic_uint count;
    load_client_t *load = arg;
    s_jobs_t self = {.load = load,
      .client = s_new_client (load->endpoint),
      .body = load_body (&load->size),
      .open = load->inflight};
    unsigned number = (unsigned) getpid () * 1000 + atomic_fetch_add (&count, 1);
    char results[32];
    snprintf (results, sizeof results, "r-%u", number);
    memcpy (self.body + sizeof (int64_t), &number, sizeof number);
    gearman_worker_st *worker = s_new_worker (load->endpoint, results, s_result, &self);
    for (int index = 0; index < load->inflight; index++) {
        load_stamp (self.body, load_now ());
        s_hand_in (self.client, "bench", self.body, load->size);
    }
    while (self.open > 0)
        if (gearman_failed (gearman_worker_work (worker)))
            load_die (gearman_worker_error (worker));
    gearman_worker_free (worker);
    gearman_client_free (self.client);
    free (self.body);
    return NULL;
}

void *load_gearman_jobs_client (void *arg)
{
    load_client_t *load = arg;
    load_client_t *hands = calloc (S_HANDS, sizeof *hands);
    pthread_t ids[S_HANDS];
    if (!hands)
        load_die ("calloc");
    if (load->size < 2 * sizeof (int64_t))
        load->size = 2 * sizeof (int64_t);
    load_begin (load);
    for (int index = 0; index < S_HANDS; index++) {
        hands[index] = *load;
        hands[index].inflight = (load->inflight + index) / S_HANDS;
        if (pthread_create (&ids[index], NULL, s_run_client_hand, &hands[index]))
            load_die ("thread");
    }
    for (int index = 0; index < S_HANDS; index++) {
        pthread_join (ids[index], NULL);
        load->total += hands[index].total;
        load->done += hands[index].done;
        load->failed += hands[index].failed;
        rp_histogram_merge (&load->times, &hands[index].times);
    }
    free (hands);
    return NULL;
}

static gearman_return_t s_work_on_job (gearman_job_st *job, void *client)
{
    const char *body = gearman_job_workload (job);
    unsigned number;
    char results[32];
    memcpy (&number, body + sizeof (int64_t), sizeof number);
    snprintf (results, sizeof results, "r-%u", number);
    s_hand_in (client, results, body, gearman_job_workload_size (job));
    return GEARMAN_SUCCESS;
}

static void *s_run_worker_hand (void *endpoint)
{
    gearman_worker_st *worker =
      s_new_worker (endpoint, "bench", s_work_on_job, s_new_client (endpoint));
    while (gearman_success (gearman_worker_work (worker)))
        continue;
    load_die (gearman_worker_error (worker));
}

void *load_gearman_jobs_worker (void *arg)
{
    const load_worker_t *self = arg;
    pthread_t ids[S_HANDS];
    for (int index = 0; index < S_HANDS; index++)
        if (pthread_create (&ids[index], NULL, s_run_worker_hand, (void *) self->endpoint))
            load_die ("thread");
    load_ready ();
    for (int index = 0; index < S_HANDS; index++)
        pthread_join (ids[index], NULL);
    return NULL;
}
