/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/otlp.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/admin/libcurl.h"
#include "broker/admin/span_batches.h"
#include "broker/admin/span_json.h"
#include "broker/admin/span_queue.h"
#include "common/base/check.h"
#include "common/base/version.h"
#include "common/io/clock.h"
#include "common/program/bell.h"

/*  How long the collector may take for a batch, and for a connection, ms.  */
#define S_TIMEOUT_MS 10000L
#define S_CONNECT_MS 5000L
/*  What is kept of an answer, bytes; one that is longer says nothing that matters.  */
#define S_ANSWER_MAX 65536u
#define S_INSTANCE_MAX 32u

struct rp_otlp {
    char *url;
    char instance[S_INSTANCE_MAX];
    pthread_t thread;
    int wake; /* an eventfd: there is something for the thread */
    int told; /* an eventfd: there is news */
    rp_span_queue_t queue;
    _Atomic uint32_t
      wake_at; /* wake the thread when so many are in the queue; 0: it does not wait */
    _Atomic bool ending;
    _Atomic (rp_otlp_news_t *) news;
    _Atomic uint64_t exported;
    _Atomic uint64_t dropped;
    _Atomic uint64_t failed;

    /*  of the thread  */
    rp_span_batches_t batches;
    rp_trace_ended_t *batch[RP_SPAN_BATCH_MAX];
    size_t count;
    char *body; /* of the batch; NULL: it was not sent yet */
    size_t body_size;
    uint64_t lost_before; /* spans that were lost when it began to fail */
    const rp_libcurl_t *curl;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char answer[S_ANSWER_MAX];
    size_t answer_size;
    char error[CURL_ERROR_SIZE];
};

/*  ---- URLs ----------------------------------------------------------------------------------- */

static const char *s_part_fault (const rp_libcurl_t *curl, CURLU *url)
{
    char *scheme = NULL, *user = NULL, *path = NULL, *fragment = NULL;
    const char *fault = NULL;
    (void) curl->url_get (url, CURLUPART_SCHEME, &scheme, 0); // absent parts stay NULL
    (void) curl->url_get (url, CURLUPART_USER, &user, 0);
    (void) curl->url_get (url, CURLUPART_PATH, &path, 0);
    (void) curl->url_get (url, CURLUPART_FRAGMENT, &fragment, 0);
    if (!scheme || (strcmp (scheme, "http") != 0 && strcmp (scheme, "https") != 0))
        fault = "wants http:// or https://";
    else if (user)
        fault = "must not have a user: it would be in the log";
    else if (!path || strcmp (path, "/") == 0)
        fault = "wants a path; that of a collector is /v1/traces";
    else if (fragment)
        fault = "must not have a fragment";
    curl->free (scheme);
    curl->free (user);
    curl->free (path);
    curl->free (fragment);
    return fault;
}

const char *rp_otlp_fault (const char *url)
{
    const rp_libcurl_t *curl = rp_libcurl ();
    if (!curl)
        return "needs libcurl, of version 7.87 or newer; install it: apt-get install libcurl4";
    CURLU *parsed = curl->url ();
    if (!parsed)
        return "does not fit into memory";
    // without a scheme libcurl would guess one
    CURLUcode code = curl->url_set (parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    const char *fault = code == CURLUE_OK ? s_part_fault (curl, parsed)
                                          : "is no URL; one is http://HOST:4318/v1/traces";
    curl->url_cleanup (parsed);
    return fault;
}

/*  ---- News, for the broker's thread ----------------------------------------------------------- */

/*  why: of a failure.  */
static void s_tell (rp_otlp_t *self, rp_span_news_t what, const char *why)
{
    rp_otlp_news_t *news = what == RP_SPAN_NO_NEWS ? NULL : calloc (1, sizeof *news);
    if (!news)
        return;
    uint64_t lost = atomic_load (&self->dropped) + atomic_load (&self->failed);
    news->works = what == RP_SPAN_WORKS_AGAIN;
    int size = (int) strcspn (self->url, "?"); // a query may be a secret
    size = size < 256 ? size : 256;
    if (news->works)
        snprintf (news->text, sizeof news->text,
          "spans: %.*s takes them again; lost meanwhile: %" PRIu64, size, self->url,
          lost - self->lost_before);
    else
        snprintf (news->text, sizeof news->text,
          "spans: %.*s does not take them: %.128s; they wait, and are dropped when too many do",
          size, self->url, why);
    self->lost_before = lost;
    free (atomic_exchange (&self->news, news));
    rp_bell_ring (self->told, 1);
}

/*  ---- Batches -------------------------------------------------------------------------------- */

static void s_let_go (rp_otlp_t *self)
{
    for (size_t index = 0; index < self->count; index++)
        free (self->batch[index]);
    self->count = 0;
    free (self->body);
    self->body = NULL;
    rp_span_batches_begin (&self->batches);
}

/*  Lets the batch go without the collector's having it.  */
static void s_give_up (rp_otlp_t *self, _Atomic uint64_t *counter)
{
    atomic_fetch_add (counter, self->batches.spans);
    s_let_go (self);
}

/*  Takes requests from the queue into the batch.  */
static void s_gather (rp_otlp_t *self, int64_t now)
{
    rp_trace_ended_t *ended;
    while (self->count < RP_SPAN_BATCH_MAX && rp_span_batches_has_room (&self->batches)
           && (ended = rp_span_queue_take (&self->queue))) {
        self->batch[self->count++] = ended;
        rp_span_batches_add (&self->batches, rp_span_json_count (ended), now);
    }
}

/*  Writes the batch, if that was not done yet. False when out of memory.  */
static bool s_write (rp_otlp_t *self)
{
    struct timespec wall;
    if (self->body)
        return true;
    if (clock_gettime (CLOCK_REALTIME, &wall) != 0)
        return false;
    int64_t wall_us = (int64_t) wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
    self->body = rp_span_json_write (self->batch, self->count,
      &(rp_span_json_options_t){.version = RP_VERSION,
        .instance = self->instance,
        .wall_us = wall_us - rp_clock_us (),
        .random = rp_clock_entropy},
      &self->body_size);
    return self->body != NULL;
}

/*  ---- HTTP ----------------------------------------------------------------------------------- */

static size_t s_on_answer (char *data, size_t one, size_t size, void *arg)
{
    (void) one;
    rp_otlp_t *self = arg;
    size_t room = sizeof self->answer - self->answer_size;
    size_t kept = size < room ? size : room;
    memcpy (self->answer + self->answer_size, data, kept);
    self->answer_size += kept;
    return size;
}

/*  Waits until there is something to do, of libcurl, of the queue, or of the time.  */
static void s_wait (rp_otlp_t *self, int64_t until)
{
    struct curl_waitfd wake = {.fd = self->wake, .events = CURL_WAIT_POLLIN};
    int64_t now = rp_clock_us ();
    int64_t ms = until <= now ? 0 : (until - now) / 1000 + 1;
    (void) self->curl->multi_poll (self->multi, &wake, 1, ms > 60000 ? 60000 : (int) ms, NULL);
    if (wake.revents)
        (void) rp_bell_hear (self->wake);
}

static void s_check_ending (rp_otlp_t *self)
{
    if (self->batches.end == INT64_MAX && atomic_load (&self->ending))
        rp_span_batches_end (&self->batches, rp_clock_us ());
}

/*  Lets libcurl work until the request has ended, or the exporter has to. Returns how it ended.  */
static CURLcode s_transfer (rp_otlp_t *self)
{
    int running = 1;
    while (self->curl->multi_perform (self->multi, &running) == CURLM_OK && running > 0) {
        s_check_ending (self);
        if (rp_clock_us () >= self->batches.end)
            return CURLE_OPERATION_TIMEDOUT;
        s_wait (self, self->batches.end);
    }
    int left;
    const CURLMsg *message = self->curl->multi_info_read (self->multi, &left);
    return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_OUT_OF_MEMORY;
}

/*  Says what the collector said: the result, why in words, and the pause that it wants.  */
static rp_span_result_t s_read_answer (rp_otlp_t *self, CURLcode code, char *why, int64_t *wanted)
{
    long status = 0;
    curl_off_t seconds = 0;
    if (code != CURLE_OK) {
        snprintf (why, CURL_ERROR_SIZE, "%s",
          *self->error ? self->error : self->curl->easy_strerror (code));
        return RP_SPAN_AGAIN;
    }
    (void) self->curl->easy_getinfo (self->easy, CURLINFO_RESPONSE_CODE, &status);
    (void) self->curl->easy_getinfo (self->easy, CURLINFO_RETRY_AFTER, &seconds);
    *wanted = seconds > 0 && seconds < 86400 ? (int64_t) seconds * 1000000 : 0;
    snprintf (why, CURL_ERROR_SIZE, "it answers with status %ld", status);
    if (status == 429 || status == 502 || status == 503 || status == 504)
        return RP_SPAN_AGAIN;
    return status >= 200 && status < 300 ? RP_SPAN_TAKEN : RP_SPAN_REFUSED;
}

static rp_span_result_t s_post (rp_otlp_t *self, char *why, int64_t *wanted)
{
    self->answer_size = 0;
    self->error[0] = '\0';
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (s_write (self)
        && self->curl->easy_setopt (self->easy, CURLOPT_POSTFIELDS, self->body) == CURLE_OK
        && self->curl->easy_setopt (
             self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) self->body_size)
             == CURLE_OK
        && self->curl->multi_add_handle (self->multi, self->easy) == CURLM_OK) {
        code = s_transfer (self);
        (void) self->curl->multi_remove_handle (self->multi, self->easy);
    }
    return s_read_answer (self, code, why, wanted);
}

static void s_send (rp_otlp_t *self)
{
    char why[CURL_ERROR_SIZE];
    int64_t wanted = 0;
    rp_span_news_t news;
    rp_span_result_t result = s_post (self, why, &wanted);
    rp_span_fate_t fate = rp_span_batches_sent (
      &self->batches, result, wanted, rp_clock_us (), rp_clock_entropy (), &news);
    s_tell (self, news, why);
    if (fate == RP_SPAN_KEEP)
        return;
    if (result != RP_SPAN_TAKEN) {
        s_give_up (self, result == RP_SPAN_REFUSED ? &self->failed : &self->dropped);
        return;
    }
    uint32_t refused = rp_span_json_refused (self->answer, self->answer_size, self->batches.spans);
    atomic_fetch_add (&self->failed, refused);
    atomic_fetch_add (&self->exported, self->batches.spans - refused);
    s_let_go (self);
}

/*  ---- The thread ----------------------------------------------------------------------------- */

static bool s_is_full (const rp_otlp_t *self)
{
    return rp_span_queue_count (&self->queue) >= RP_SPAN_QUEUE_COUNT
           || atomic_load (&self->queue.bytes) > RP_SPAN_QUEUE_BYTES - RP_SPAN_QUEUE_BYTES / 8;
}

/*  Waits for the batch to be due, or for what the thread has to see earlier: the first request of a batch, enough
    for a whole one, or that the queue is full.  */
static void s_rest (rp_otlp_t *self, int64_t due)
{
    bool gathers = rp_span_batches_has_room (&self->batches);
    uint32_t wake_at = !gathers           ? RP_SPAN_QUEUE_COUNT
                       : due == INT64_MAX ? 1
                                          : RP_SPAN_BATCH_MAX / 4;
    atomic_store (&self->wake_at, wake_at);
    if (rp_span_queue_count (&self->queue) < wake_at)
        s_wait (self, due < self->batches.end ? due : self->batches.end);
    atomic_store (&self->wake_at, 0);
}

static void *s_run (void *arg)
{
    rp_otlp_t *self = arg;
    for (;;) {
        int64_t now = rp_clock_us ();
        s_check_ending (self);
        if (rp_span_batches_must_yield (&self->batches, s_is_full (self), now))
            s_give_up (self, &self->dropped);
        s_gather (self, now);
        int64_t due = rp_span_batches_due (&self->batches);
        if (rp_span_batches_is_over (&self->batches, rp_span_queue_count (&self->queue) == 0, now))
            break;
        if (due <= now)
            s_send (self);
        else
            s_rest (self, due);
    }
    return NULL;
}

/*  ---- Making --------------------------------------------------------------------------------- */

static bool s_set_up (rp_otlp_t *self)
{
    const rp_libcurl_t *curl = self->curl;
    CURL *easy = self->easy;
    self->headers = curl->slist_append (NULL, "Content-Type: application/json");
    struct curl_slist *more = curl->slist_append (self->headers, "Expect:"); // no wait for 100
    return self->headers && more && curl->easy_setopt (easy, CURLOPT_URL, self->url) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_USERAGENT, "riposte-broker/" RP_VERSION) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_POST, 1L) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_WRITEFUNCTION, s_on_answer) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_WRITEDATA, self) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_ERRORBUFFER, self->error) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_TIMEOUT_MS, S_TIMEOUT_MS) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_CONNECTTIMEOUT_MS, S_CONNECT_MS) == CURLE_OK
           && curl->easy_setopt (easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
           // a name server that does not answer must not hold up the end
           && curl->easy_setopt (easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
}

/*  Starts the thread with every signal blocked: signals are for the server's thread.  */
static bool s_start (rp_otlp_t *self)
{
    sigset_t all;
    sigset_t before;
    sigfillset (&all);
    if (pthread_sigmask (SIG_SETMASK, &all, &before) != 0)
        return false;
    int rc = pthread_create (&self->thread, NULL, s_run, self);
    RP_CHECK (pthread_sigmask (SIG_SETMASK, &before, NULL) == 0);
    errno = rc;
    return rc == 0;
}

static void s_free (rp_otlp_t *self)
{
    int reason = errno;
    s_let_go (self);
    rp_span_queue_clear (&self->queue);
    if (self->curl) {
        self->curl->easy_cleanup (self->easy);
        (void) self->curl->multi_cleanup (self->multi);
        self->curl->slist_free_all (self->headers);
    }
    if (self->wake >= 0)
        close (self->wake);
    if (self->told >= 0)
        close (self->told);
    free (atomic_load (&self->news));
    free (self->url);
    free (self);
    errno = reason;
}

rp_otlp_t *rp_otlp_new (const char *url, const char *instance)
{
    rp_otlp_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    rp_span_batches_init (&self->batches);
    snprintf (self->instance, sizeof self->instance, "%s", instance);
    self->wake = rp_bell_open ();
    self->told = rp_bell_open ();
    bool made = self->wake >= 0 && self->told >= 0;
    if (made) {
        errno = ENOMEM;
        made = rp_span_queue_init (&self->queue) && (self->url = strdup (url))
               && (self->curl = rp_libcurl ())
               && self->curl->global_init (CURL_GLOBAL_DEFAULT) == CURLE_OK
               && (self->multi = self->curl->multi_init ())
               && (self->easy = self->curl->easy_init ()) && s_set_up (self);
    }
    if (made && s_start (self))
        return self;
    s_free (self);
    return NULL;
}

uint64_t rp_otlp_destroy (rp_otlp_t **self_p)
{
    rp_otlp_t *self = *self_p;
    if (!self)
        return 0;
    *self_p = NULL;
    uint64_t before = atomic_load (&self->dropped) + atomic_load (&self->failed);
    atomic_store (&self->ending, true);
    rp_bell_ring (self->wake, 1);
    RP_CHECK (pthread_join (self->thread, NULL) == 0);
    uint64_t lost = atomic_load (&self->dropped) + atomic_load (&self->failed) - before;
    lost += self->batches.spans;
    rp_trace_ended_t *ended;
    while ((ended = rp_span_queue_take (&self->queue))) {
        lost += rp_span_json_count (ended);
        free (ended);
    }
    s_free (self);
    return lost;
}

/*  ---- For the broker's thread ----------------------------------------------------------------- */

void rp_otlp_export (rp_otlp_t *self, rp_trace_ended_t *ended)
{
    bool kept = ended && rp_span_queue_put (&self->queue, ended);
    if (!kept) {
        atomic_fetch_add (&self->dropped, ended ? rp_span_json_count (ended) : 1);
        free (ended);
    }
    uint32_t wake_at = atomic_load (&self->wake_at);
    if (wake_at && (!kept || rp_span_queue_count (&self->queue) >= wake_at)
        && atomic_exchange (&self->wake_at, 0))
        rp_bell_ring (self->wake, 1);
}

rp_otlp_counts_t rp_otlp_counts (const rp_otlp_t *self)
{
    return (rp_otlp_counts_t){.exported = atomic_load (&self->exported),
      .dropped = atomic_load (&self->dropped),
      .failed = atomic_load (&self->failed)};
}

int rp_otlp_descriptor (const rp_otlp_t *self)
{
    return self->told;
}

rp_otlp_news_t *rp_otlp_news (rp_otlp_t *self)
{
    (void) rp_bell_hear (self->told);
    return atomic_exchange (&self->news, NULL);
}
