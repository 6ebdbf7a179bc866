/*  bench_load: gearmand with libgearman.

    SPDX-License-Identifier: MPL-2.0

    Meant to be the library's fastest way, though no other was measured: clients keep all tasks in
    one gearman_client_run_tasks, and add the next from the callback of a complete one; each
    task has a short unique name, so that the library need not make one. Workers take one job at
    a time; the protocol has no other way.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libgearman/gearman.h>

#include "bench/load.h"

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
