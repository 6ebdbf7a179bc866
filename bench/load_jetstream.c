/*  bench_load: jobs through NATS JetStream, with its C client.

    SPDX-License-Identifier: MPL-2.0

    Streams on disk, in pairs: of jobs, and of results with a subject for each client. A worker publishes the result and
    acknowledges the job once the stream has acknowledged the result, without waiting in between. The server syncs what
    it acknowledges only with `sync_interval: always`, and then each message by itself; but streams do so at the same
    time, so there are S_STREAMS of each kind. Jobs stay in their streams once they are done: to remove them is a
    write more.
*/

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nats/nats.h>

#include "bench/load.h"

#define S_OPEN_MAX 4096 // jobs that a worker has at once
#define S_STREAMS 8u

static void s_check (natsStatus status, const char *what)
{
    if (status == NATS_OK)
        return;
    fprintf (stderr, "%s: %s\n", what, natsStatus_GetText (status));
    exit (1);
}

/*  A job's body begins with the time of sending and the number of its client.  */
typedef struct {
    int64_t sent;
    uint32_t client;
} s_head_t;

static natsConnection *s_connect (const char *endpoint, jsCtx **stream)
{
    natsConnection *connection = NULL;
    jsOptions options;
    s_check (natsConnection_ConnectTo (&connection, endpoint), "natsConnection_ConnectTo");
    jsOptions_Init (&options);
    options.PublishAsync.MaxPending = S_OPEN_MAX;
    s_check (natsConnection_JetStream (stream, connection, &options), "natsConnection_JetStream");
    return connection;
}

/*  Of a kind's name, "jobs" or "results", and the number of the stream.  */
static void s_add (jsCtx *stream, const char *kind, unsigned number)
{
    char name[16];
    char subject[32];
    snprintf (name, sizeof name, "%s-%u", kind, number);
    snprintf (subject, sizeof subject, "%s.%u.*", kind, number);
    jsStreamConfig config;
    jsStreamConfig_Init (&config);
    config.Name = name;
    config.Subjects = (const char *[]){subject};
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    jsErrCode code = 0;
    natsStatus status = js_AddStream (NULL, stream, &config, NULL, &code);
    if (code != JSStreamNameExistErr)
        s_check (status, "js_AddStream");
}

static void s_subject (char *subject, size_t size, const char *kind, uint32_t client)
{
    snprintf (subject, size, "%s.%u.%u", kind, (unsigned) (client % S_STREAMS), (unsigned) client);
}

/*  ---- Clients ---------------------------------------------------------------------------------- */

typedef struct {
    load_client_t *load;
    natsConnection *connection;
    char *body;
    char jobs[32]; // subject
    uint32_t number;
    int open;
    sem_t over;
} s_client_t;

/*  What the stream acknowledges comes to a subject to which nobody listens: a job counts when its result has come.  */
static void s_send (s_client_t *self, char *body, int64_t now)
{
    s_head_t head = {.sent = now, .client = self->number};
    memcpy (body, &head, sizeof head);
    s_check (natsConnection_PublishRequest (
               self->connection, self->jobs, "bench.accepted", body, (int) self->load->size),
      "publish");
}

static void s_result (
  natsConnection *connection, natsSubscription *sub, natsMsg *message, void *arg)
{
    (void) connection;
    (void) sub;
    s_client_t *self = arg;
    int64_t now = load_now ();
    size_t size = (size_t) natsMsg_GetDataLength (message);
    bool again = load_count (self->load, load_stamped (natsMsg_GetData (message), size), now);
    natsMsg_Destroy (message);
    if (again)
        s_send (self, self->body, now);
    else if (--self->open == 0)
        sem_post (&self->over);
}

void *load_jetstream_client (void *arg)
{
    static atomic_uint count;
    s_client_t self = {.load = arg};
    if (self.load->size < sizeof (s_head_t))
        self.load->size = sizeof (s_head_t);
    self.body = load_body (&self.load->size);
    self.open = self.load->inflight;
    self.number = (uint32_t) getpid () * 100 + atomic_fetch_add (&count, 1);
    sem_init (&self.over, 0, 0);
    jsCtx *stream = NULL;
    self.connection = s_connect (self.load->endpoint, &stream);
    char subject[32];
    s_subject (self.jobs, sizeof self.jobs, "jobs", self.number);
    s_subject (subject, sizeof subject, "results", self.number);
    jsSubOptions options;
    jsSubOptions_Init (&options);
    options.Config.AckPolicy = js_AckNone;
    natsSubscription *sub = NULL;
    s_check (
      js_Subscribe (&sub, stream, subject, s_result, &self, NULL, &options, NULL), "js_Subscribe");
    load_begin (self.load);
    char *first = load_body (&self.load->size);
    for (int index = 0; index < self.load->inflight; index++)
        s_send (&self, first, load_now ());
    while (sem_wait (&self.over) != 0)
        continue;
    natsSubscription_Destroy (sub);
    jsCtx_Destroy (stream);
    natsConnection_Destroy (self.connection);
    free (first);
    free (self.body);
    return NULL;
}

/*  ---- Workers ---------------------------------------------------------------------------------- */

/*  The stream has the result of this job.  */
static void s_stored (jsCtx *stream, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *arg)
{
    (void) stream;
    (void) arg;
    (void) ack;
    if (error) {
        fprintf (stderr, "result: %s\n", error->ErrText);
        exit (1);
    }
    natsMsg *job = NULL;
    memcpy (&job, natsMsg_GetData (message) + sizeof (s_head_t), sizeof job);
    s_check (natsMsg_Ack (job, NULL), "natsMsg_Ack");
    natsMsg_Destroy (job);
    natsMsg_Destroy (message);
}

static void s_job (natsConnection *connection, natsSubscription *sub, natsMsg *job, void *arg)
{
    (void) connection;
    (void) sub;
    jsCtx *stream = arg;
    char body[256];
    size_t size = (size_t) natsMsg_GetDataLength (job);
    if (size > sizeof body || size < sizeof (s_head_t) + sizeof job)
        load_die ("bodies are 24 to 256 bytes");
    memcpy (body, natsMsg_GetData (job), size);
    s_head_t head;
    memcpy (&head, body, sizeof head);
    memcpy (body + sizeof head, &job, sizeof job); // s_stored acknowledges it
    char subject[32];
    s_subject (subject, sizeof subject, "results", head.client);
    s_check (js_PublishAsync (stream, subject, body, (int) size, NULL), "js_PublishAsync");
}

void *load_jetstream_worker (void *arg)
{
    const load_worker_t *self = arg;
    natsConnection *connection = NULL;
    jsCtx *stream = NULL;
    s_check (natsConnection_ConnectTo (&connection, self->endpoint), "natsConnection_ConnectTo");
    jsOptions options;
    jsOptions_Init (&options);
    options.PublishAsync.MaxPending = S_OPEN_MAX;
    options.PublishAsync.AckHandler = s_stored;
    s_check (natsConnection_JetStream (&stream, connection, &options), "natsConnection_JetStream");
    for (unsigned number = 0; number < S_STREAMS; number++) {
        s_add (stream, "jobs", number);
        s_add (stream, "results", number);
        char jobs[32];
        char workers[32];
        snprintf (jobs, sizeof jobs, "jobs.%u.*", number);
        snprintf (workers, sizeof workers, "workers-%u", number);
        jsSubOptions sub_options;
        jsSubOptions_Init (&sub_options);
        sub_options.Queue = workers;
        sub_options.ManualAck = true;
        sub_options.Config.Durable = workers;
        sub_options.Config.AckPolicy = js_AckExplicit;
        sub_options.Config.MaxAckPending = S_OPEN_MAX;
        natsSubscription *sub = NULL;
        s_check (js_Subscribe (&sub, stream, jobs, s_job, stream, NULL, &sub_options, NULL),
          "js_Subscribe");
    }
    load_ready ();
    for (;;)
        pause ();
    return NULL;
}
