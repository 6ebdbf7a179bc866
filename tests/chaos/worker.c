/*  A worker of the chaos run: does as each request says, and records what it did.

    SPDX-License-Identifier: MPL-2.0

        chaos_worker --server ENDPOINTS --service NAME --name NAME --history FILE [--slots N]
                     [--key-file FILE --server-key FILE]
                     [--threads N] [--heartbeat MS]

    The body of a request is "REQUEST WORK_US WHAT" and then padding, with an idempotency key that key (and
    maybe more) instead of REQUEST, since all requests with one have one body: how long the work takes, and what
    to do then: "reply", "fail" (an APP_ERROR), or "abandon" (give the first attempt back as
    lost). The body of a reply is "REQUEST TASK CONVERSATION COUNT CRC", with the name that the
    conversation's first request stated, how many of its requests this worker has begun, and the CRC
    of the request's body. With "stream" the body states how many parts to write first; it may come in parts
    itself (tests/chaos/streams.h), and COUNT is the number of parts written. So no two starts have the same reply, and a reply with another visitor's
    state is noticed.
*/

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <riposte/worker.h>

#include "tests/chaos/history.h"
#include "tests/chaos/options.h"

#define S_NAME_MAX 96
#define S_BUCKETS 256
#define S_BODY_MAX 32768 /* of a request in parts */
#define S_PART_MAX 1000  /* at most half of the smallest window (tests/chaos/streams.c) */
#define S_STEP_US 5000   /* between two looks whether the request was cancelled */

typedef struct s_visit {
    uint64_t conversation;
    char name[S_NAME_MAX];
    unsigned count;
    struct s_visit *next;
} s_visit_t;

static struct {
    const char *endpoints, *service, *name, *history, *key_file, *server_key;
    unsigned slots, threads, heartbeat_ms;
} s_options = {.key_file = "", .server_key = "", .slots = 4, .threads = 4, .heartbeat_ms = 250};

static char s_party[S_NAME_MAX];
static s_visit_t *s_visits[S_BUCKETS];
static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint s_tasks;
static rp_worker_t *s_worker; // for s_on_signal

/*  ---- Conversations -------------------------------------------------------------------------- */

static s_visit_t **s_find (uint64_t conversation)
{
    s_visit_t **place = &s_visits[conversation % S_BUCKETS];
    while (*place && (*place)->conversation != conversation)
        place = &(*place)->next;
    return place;
}

/*  Counts a request of a conversation. name becomes the name that its first request stated.  */
static unsigned s_count (uint64_t conversation, char *name)
{
    pthread_mutex_lock (&s_mutex);
    s_visit_t **place = s_find (conversation);
    if (!*place && (*place = calloc (1, sizeof **place))) {
        (*place)->conversation = conversation;
        snprintf ((*place)->name, S_NAME_MAX, "%s", name);
    }
    if (!*place)
        abort ();
    snprintf (name, S_NAME_MAX, "%s", (*place)->name);
    unsigned count = ++(*place)->count;
    pthread_mutex_unlock (&s_mutex);
    return count;
}

static void s_forget (uint64_t conversation, void *arg)
{
    (void) arg;
    pthread_mutex_lock (&s_mutex);
    s_visit_t **place = s_find (conversation);
    s_visit_t *visit = *place;
    if (visit)
        *place = visit->next;
    pthread_mutex_unlock (&s_mutex);
    free (visit);
}

/*  ---- Requests ------------------------------------------------------------------------------- */

typedef struct {
    char request[S_NAME_MAX];
    char word[S_NAME_MAX]; /* the first of the body: the request, or its idempotency key */
    char what[16];
    char task[S_NAME_MAX + 16];
    char conversation[S_NAME_MAX];
    unsigned work_us, count;
    unsigned parts; /* to be written before the reply */
    uint32_t crc;
} s_job_t;

static void s_read (const rp_task_t *task, s_job_t *job)
{
    char line[256];
    size_t size = rp_task_size (task);
    size = size < sizeof line ? size : sizeof line - 1;
    memcpy (line, rp_task_body (task), size);
    line[size] = '\0';
    job->parts = 0;
    if (sscanf (line, "%95s %u %15s %u", job->word, &job->work_us, job->what, &job->parts) < 3) {
        fprintf (stderr, "chaos worker: a body of no meaning: %.60s\n", line);
        abort ();
    }
    // A request of a protocol without headers has its name in the body only.
    const char *header = rp_task_header (task, "request-id");
    const char *key = rp_task_key (task);
    if (key ? strncmp (job->word, key, strlen (key)) != 0
            : header && strcmp (header, job->word) != 0) {
        fprintf (
          stderr, "chaos worker: header %s with the body of %s\n", key ? key : header, job->word);
        abort ();
    }
    snprintf (job->request, sizeof job->request, "%s", header ? header : job->word);
    header = rp_task_header (task, "conversation");
    snprintf (job->conversation, sizeof job->conversation, "%s", header ? header : "-");
    snprintf (job->task, sizeof job->task, "%s/%u", s_options.name, atomic_fetch_add (&s_tasks, 1));
    job->crc = history_crc (rp_task_body (task), rp_task_size (task));
}

/*  Works for this long. Returns false if the request is cancelled meanwhile.  */
static bool s_work (const rp_task_t *task, unsigned work_us)
{
    int64_t until = history_now () + work_us;
    int64_t left;
    while ((left = until - history_now ()) > 0) {
        if (rp_task_cancelled (task))
            return false;
        long pause_us = (long) (left < S_STEP_US ? left : S_STEP_US);
        nanosleep (&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
    }
    return true;
}

/*  Reads the rest of a body that comes in parts. Returns false if the request is cancelled meanwhile.  */
static bool s_read_parts (rp_task_t *task, s_job_t *job)
{
    char body[S_BODY_MAX];
    const void *data = rp_task_body (task);
    size_t size = rp_task_size (task);
    size_t used = 0;
    for (int rc = RP_OK; rc == RP_OK || rc == RP_TIMED_OUT;) {
        if (size > sizeof body - used)
            abort ();
        memcpy (body + used, data, size);
        used += size;
        rc = rp_task_read (task, 100, &data, &size);
        if (rc == RP_TIMED_OUT)
            data = "";
        if (rc != RP_OK && rc != RP_TIMED_OUT && rc != RP_CLOSED)
            return false;
    }
    job->crc = history_crc (body, used);
    return true;
}

/*  Writes the parts of a reply, and works before each. Returns false if the request is cancelled meanwhile.  */
static bool s_write_parts (rp_task_t *task, s_job_t *job)
{
    char part[S_PART_MAX];
    memset (part, '.', sizeof part);
    for (; job->count < job->parts; job->count++) {
        int size = snprintf (part, sizeof part, "%s %s %u ", job->word, job->task, job->count);
        part[size] = '.';
        size_t whole = (size_t) size + job->count * 37 % (S_PART_MAX - S_NAME_MAX * 3);
        int rc = s_work (task, job->work_us / job->parts) ? RP_TIMED_OUT : RP_CANCELLED;
        while (rc == RP_TIMED_OUT)
            rc = rp_task_write (task, part, whole, 100, NULL);
        if (rc != RP_OK)
            return false;
    }
    return true;
}

static void s_handle (rp_task_t **task_p, void *arg)
{
    (void) arg;
    s_job_t job;
    s_read (*task_p, &job);
    const char *seq = rp_task_header (*task_p, "seq");
    const char *stated = rp_task_header (*task_p, "conversation");
    history_write (s_party, "start", "req=%s\tattempt=%" PRIu32 "\tconv=%s\tseq=%s\ttask=%s",
      job.request, rp_task_attempt (*task_p), stated ? stated : "-", seq ? seq : "-", job.task);
    uint64_t conversation = rp_task_conversation (*task_p);
    job.count = conversation ? s_count (conversation, job.conversation) : 0;
    bool awaited = (!rp_task_more (*task_p) || s_read_parts (*task_p, &job))
                   && (job.parts ? s_write_parts (*task_p, &job) : s_work (*task_p, job.work_us));
    if (awaited && strcmp (job.what, "abandon") == 0 && rp_task_attempt (*task_p) == 1) {
        (void) rp_task_abandon (task_p, "as it was told");
        return;
    }
    char body[512];
    int size = snprintf (body, sizeof body, "%s %s %s %u %08" PRIx32, job.word, job.task,
      job.conversation, job.count, job.crc);
    bool fails = !awaited || strcmp (job.what, "fail") == 0;
    if (!awaited)
        history_write (s_party, "cancelled", "req=%s\ttask=%s", job.request, job.task);
    // Whether the client still waits is for the history to show: a deadline that has passed here
    // may not have passed for a broker that read its clock a moment ago.
    history_write (s_party, "reply", "req=%s\ttask=%s\tstatus=%s\tbody=%08" PRIx32, job.request,
      job.task, fails ? "APP_ERROR" : "OK", history_crc (body, (size_t) size));
    if (fails)
        (void) rp_task_fail (task_p, 7, "as it was told", body, (size_t) size);
    else
        (void) rp_task_reply (task_p, body, (size_t) size);
}

/*  ---- The program ---------------------------------------------------------------------------- */

/*  A second signal ends the process without waiting for conversations.  */
static void s_on_signal (int number)
{
    static volatile sig_atomic_t asked;
    (void) number;
    if (asked)
        rp_worker_stop (s_worker);
    else
        rp_worker_drain (s_worker);
    asked = 1;
}

static void s_notice (const char *text, void *arg)
{
    (void) arg;
    fprintf (stderr, "%" PRId64 " %s: %s\n", history_now (), s_options.name, text);
}

static void s_parse (int argc, char **argv)
{
    static const chaos_option_t table[] = {
      {"server", &s_options.endpoints, NULL},
      {"service", &s_options.service, NULL},
      {"name", &s_options.name, NULL},
      {"history", &s_options.history, NULL},
      {"key-file", &s_options.key_file, NULL},
      {"server-key", &s_options.server_key, NULL},
      {"slots", NULL, &s_options.slots},
      {"threads", NULL, &s_options.threads},
      {"heartbeat", NULL, &s_options.heartbeat_ms},
    };
    chaos_options (table, sizeof table / sizeof *table, argc, argv);
}

int main (int argc, char **argv)
{
    s_parse (argc, argv);
    snprintf (s_party, sizeof s_party, "worker:%s", s_options.name);
    history_open (s_options.history);
    s_worker = rp_worker_new (s_options.endpoints, s_options.service);
    if (!s_worker || rp_worker_set_name (s_worker, s_options.name) != RP_OK
        || rp_worker_set_slots (s_worker, s_options.slots) != RP_OK
        || (*s_options.key_file && rp_worker_set_key_file (s_worker, s_options.key_file) != RP_OK)
        || (*s_options.server_key
            && rp_worker_set_server_key (s_worker, s_options.server_key) != RP_OK)
        || rp_worker_set_threads (s_worker, s_options.threads) != RP_OK
        || rp_worker_set_heartbeat_ms (s_worker, s_options.heartbeat_ms) != RP_OK
        || rp_worker_set_streams (s_worker, true) != RP_OK
        || rp_worker_on_conversation_end (s_worker, s_forget, NULL) != RP_OK
        || rp_worker_on_notice (s_worker, s_notice, NULL) != RP_OK) {
        perror ("chaos worker: no worker");
        return 2;
    }
    struct sigaction action = {.sa_handler = s_on_signal};
    sigaction (SIGTERM, &action, NULL);
    sigaction (SIGINT, &action, NULL);
    int rc = rp_worker_run (s_worker, s_handle, NULL);
    if (rc != RP_OK)
        fprintf (stderr, "chaos worker: %s\n", rp_strerror (rc));
    rp_worker_destroy (&s_worker);
    return rp_status_exit_code (rc);
}
