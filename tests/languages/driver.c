/*  The driver of the C library, as README.md says.

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#define S_NAMES 256
#define S_REFUSED 6 /* the exit status of a worker that every broker refuses */
#define S_LONG_MS 60000
#define S_STEP_MS 5 /* how often `sleep` looks whether it is cancelled */

static pthread_mutex_t s_output = PTHREAD_MUTEX_INITIALIZER;

static void s_require (int condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "driver: %s\n", what);
    exit (1);
}

/*  Writes a line; takes the reference.  */
static void s_say (json_t *line)
{
    char *text = json_dumps (line, JSON_COMPACT);
    s_require (text != NULL, "a line that is no JSON");
    pthread_mutex_lock (&s_output);
    puts (text);
    fflush (stdout);
    pthread_mutex_unlock (&s_output);
    free (text);
    json_decref (line);
}

static void s_say_ok (json_int_t n)
{
    s_say (json_pack ("{s:I, s:s}", "n", n, "status", "OK"));
}

/*  ---- Base64 -------------------------------------------------------------------------------- */

static const char s_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *s_encoded (const void *body, size_t size)
{
    const unsigned char *bytes = body;
    char *text = malloc ((size + 2) / 3 * 4 + 1), *end = text;
    s_require (text != NULL, "no memory");
    for (size_t at = 0; at < size; at += 3) {
        unsigned group = (unsigned) bytes[at] << 16;
        if (at + 1 < size)
            group |= (unsigned) bytes[at + 1] << 8;
        if (at + 2 < size)
            group |= bytes[at + 2];
        *end++ = s_digits[group >> 18];
        *end++ = s_digits[group >> 12 & 63];
        *end++ = at + 1 < size ? s_digits[group >> 6 & 63] : '=';
        *end++ = at + 2 < size ? s_digits[group & 63] : '=';
    }
    *end = '\0';
    json_t *encoded = json_string (text);
    free (text);
    return encoded;
}

/*  Returns the bytes of a text, for the caller to free.  */
static unsigned char *s_decoded (const json_t *encoded, size_t *size)
{
    const char *text = json_string_value (encoded);
    unsigned char *bytes = malloc (strlen (text ? text : "") + 1);
    s_require (bytes != NULL, "no memory");
    *size = 0;
    unsigned group = 0, bits = 0;
    for (; text && *text && *text != '='; text++) {
        const char *digit = strchr (s_digits, *text);
        s_require (digit != NULL, "a body that is not base64");
        group = (group << 6 | (unsigned) (digit - s_digits)) & 0xFFFFFF;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[(*size)++] = (unsigned char) (group >> bits);
        }
    }
    return bytes;
}

/*  Returns the body of a command, for the caller to free.  */
static unsigned char *s_body (json_t *command, size_t *size)
{
    return s_decoded (json_object_get (command, "body"), size);
}

/*  ---- The client ---------------------------------------------------------------------------- */

typedef struct {
    rp_client_t *client;
    struct {
        char name[64];
        rp_conversation_t *conversation;
    } conversations[S_NAMES];
    struct {
        json_int_t n;
        uint64_t id;
    } calls[S_NAMES]; /* the latest, to be cancelled */
    size_t call_count;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned asking; /* threads that wait for the final of a job */
} s_driver_t;

static void s_add_header (const char *key, const char *value, void *headers)
{
    json_array_append_new (headers, json_pack ("[s, s]", key, value));
}

static bool s_may_have_run (rp_status_t status, unsigned attempts)
{
    switch ((int) status) {
        case RP_OK:
        case RP_APP_ERROR:
        case RP_WORKER_LOST:
        case RP_DEADLINE:
        case RP_UNKNOWN:
            return true;
        case RP_CANCELLED:
            return attempts > 0;
        default:
            return false;
    }
}

static void s_say_final (json_int_t n, rp_reply_t *reply)
{
    json_t *headers = json_array ();
    rp_reply_each_header (reply, s_add_header, headers);
    rp_status_t status = rp_reply_status (reply);
    s_say (json_pack ("{s:I, s:s, s:I, s:I, s:b, s:I, s:s, s:o, s:o, s:b}", "n", n, "status",
      rp_status_name (status), "id", (json_int_t) rp_reply_id (reply), "attempt",
      (json_int_t) rp_reply_attempts (reply), "may_have_run",
      s_may_have_run (status, rp_reply_attempts (reply)), "code",
      (json_int_t) rp_reply_code (reply), "text", rp_reply_message (reply), "body",
      s_encoded (rp_reply_body (reply), rp_reply_size (reply)), "headers", headers, "replayed",
      rp_reply_is_replayed (reply)));
}

static void s_on_reply (rp_reply_t *reply, void *n)
{
    s_say_final ((json_int_t) (intptr_t) n, reply);
    rp_reply_destroy (&reply);
}

static void s_on_accepted (rp_reply_t *reply, void *n)
{
    if (rp_reply_status (reply) == RP_OK) {
        char job[32];
        snprintf (job, sizeof job, "%" PRIu64, rp_reply_job (reply));
        s_say (json_pack ("{s:I, s:s, s:s, s:b}", "n", (json_int_t) (intptr_t) n, "status", "OK",
          "job", job, "replayed", rp_reply_is_replayed (reply)));
    }
    else
        s_say_final ((json_int_t) (intptr_t) n, reply);
    rp_reply_destroy (&reply);
}

static uint32_t s_number (json_t *command, const char *name)
{
    return (uint32_t) json_integer_value (json_object_get (command, name));
}

static const char *s_text (json_t *command, const char *name)
{
    return json_string_value (json_object_get (command, name));
}

static rp_conversation_t **s_conversation (s_driver_t *self, const char *name)
{
    for (size_t at = 0; at < S_NAMES; at++)
        if (self->conversations[at].conversation
            && strcmp (self->conversations[at].name, name) == 0)
            return &self->conversations[at].conversation;
    for (size_t at = 0; at < S_NAMES; at++)
        if (!self->conversations[at].conversation) {
            snprintf (
              self->conversations[at].name, sizeof self->conversations[at].name, "%s", name);
            return &self->conversations[at].conversation;
        }
    s_require (0, "too many conversations");
    return NULL;
}

static void s_submit (s_driver_t *self, json_t *command, json_int_t n, bool durable)
{
    size_t size;
    unsigned char *body = s_body (command, &size);
    const char *name = s_text (command, "conversation");
    rp_call_t *call;
    if (name) {
        rp_conversation_t **conversation = s_conversation (self, name);
        if (!*conversation)
            *conversation = rp_conversation_new (self->client, s_text (command, "service"));
        call = rp_call_new_in (*conversation, body, size);
    }
    else
        call = rp_call_new (s_text (command, "service"), body, size);
    free (body);
    s_require (call != NULL, "a call that cannot be");
    int rc = durable ? rp_call_set_durable (call, true) : RP_OK;
    if (s_number (command, "timeout_ms"))
        rc |= rp_call_set_timeout_ms (call, s_number (command, "timeout_ms"));
    if (s_number (command, "attempts"))
        rc |= rp_call_set_attempts (call, (uint8_t) s_number (command, "attempts"));
    if (json_object_get (command, "priority"))
        rc |= rp_call_set_priority (call, (uint8_t) s_number (command, "priority"));
    if (json_object_get (command, "hedge_ms")) {
        char hedge[24];
        snprintf (hedge, sizeof hedge, "%ums", s_number (command, "hedge_ms"));
        rc |= rp_call_set_hedge (call, hedge);
    }
    rc |= rp_call_set_wait_worker_ms (call, s_number (command, "wait_worker_ms"));
    if (s_number (command, "delay_ms"))
        rc |= rp_call_set_delay_ms (call, s_number (command, "delay_ms"));
    if (s_text (command, "key"))
        rc |= rp_call_set_key (call, s_text (command, "key"));
    size_t at;
    json_t *header;
    json_array_foreach (json_object_get (command, "headers"), at, header) rc |=
      rp_call_add_header (call, json_string_value (json_array_get (header, 0)),
        json_string_value (json_array_get (header, 1)));
    rc |= rp_call_set_callback (call, durable ? s_on_accepted : s_on_reply, (void *) (intptr_t) n);
    s_require (rc == RP_OK, "an option that cannot be");
    uint64_t id;
    s_require (rp_client_submit (self->client, &call, &id) == RP_OK, "submit failed");
    self->calls[self->call_count % S_NAMES].n = n;
    self->calls[self->call_count++ % S_NAMES].id = id;
}

typedef struct {
    s_driver_t *driver;
    json_int_t n;
    uint64_t job;
    uint32_t wait_ms;
} s_question_t;

static void *s_ask (void *arg)
{
    s_question_t *question = arg;
    s_driver_t *driver = question->driver;
    rp_reply_t *reply = NULL;
    int rc = rp_client_result (driver->client, question->job, question->wait_ms, &reply);
    if (rc == RP_OK)
        s_say_final (question->n, reply);
    else
        s_say (json_pack ("{s:I, s:s}", "n", question->n, "status",
          rc == RP_TIMED_OUT ? "NOT_DONE" : rp_status_name (rc)));
    rp_reply_destroy (&reply);
    free (question);
    pthread_mutex_lock (&driver->lock);
    driver->asking--;
    pthread_cond_signal (&driver->ended);
    pthread_mutex_unlock (&driver->lock);
    return NULL;
}

static void s_result (s_driver_t *self, json_t *command, json_int_t n)
{
    s_question_t *question = malloc (sizeof *question);
    s_require (question != NULL, "no memory");
    *question = (s_question_t){
      self, n, strtoull (s_text (command, "job"), NULL, 10), s_number (command, "wait_ms")};
    pthread_mutex_lock (&self->lock);
    self->asking++;
    pthread_mutex_unlock (&self->lock);
    pthread_t thread;
    s_require (pthread_create (&thread, NULL, s_ask, question) == 0, "no thread");
    pthread_detach (thread);
}

/*  The parts of a stream.  */
typedef struct {
    char *bytes;
    size_t size;
    unsigned count;
} s_parts_t;

static bool s_on_part (const void *data, size_t size, void *arg)
{
    s_parts_t *parts = arg;
    parts->bytes = realloc (parts->bytes, parts->size + size + 1);
    s_require (parts->bytes != NULL, "no memory");
    memcpy (parts->bytes + parts->size, data, size);
    parts->size += size;
    parts->count++;
    return true;
}

/*  What one thread writes of a stream while another reads it.  */
typedef struct {
    rp_stream_t *stream;
    const json_t *more;
    bool open;
} s_writer_t;

static void *s_write (void *arg)
{
    s_writer_t *self = arg;
    size_t at, size, written;
    json_t *part;
    int rc = RP_OK;
    json_array_foreach (self->more, at, part)
    {
        unsigned char *bytes = s_decoded (part, &size);
        if (rc == RP_OK)
            rc = rp_stream_write (self->stream, bytes, size, S_LONG_MS, &written);
        free (bytes);
    }
    if (rc == RP_OK && !self->open)
        rp_stream_write_end (self->stream, S_LONG_MS);
    return NULL;
}

/*  Reads a stream while its body is written. Returns its status.  */
static int s_dialogue (s_driver_t *self, rp_call_t *call, json_t *command, s_parts_t *parts)
{
    s_writer_t writer = {.more = json_object_get (command, "more"),
      .open = json_is_true (json_object_get (command, "open"))};
    rp_call_set_more (call, true);
    s_require (rp_client_stream (self->client, &call, &writer.stream) == RP_OK, "no stream");
    pthread_t thread;
    s_require (pthread_create (&thread, NULL, s_write, &writer) == 0, "no thread");
    const void *part;
    size_t size;
    int rc;
    while ((rc = rp_stream_read (writer.stream, S_LONG_MS, &part, &size)) == RP_OK)
        s_on_part (part, size, parts);
    s_require (rc == RP_CLOSED && pthread_join (thread, NULL) == 0, "a stream without an end");
    int status = (int) rp_reply_status (rp_stream_reply (writer.stream));
    rp_stream_destroy (&writer.stream);
    return status;
}

static int s_perform (s_driver_t *self, rp_call_t *call, s_parts_t *parts)
{
    rp_reply_t *reply;
    s_require (rp_client_perform_parts (self->client, &call, s_on_part, parts, &reply) == RP_OK,
      "a stream that was not performed");
    int status = (int) rp_reply_status (reply);
    rp_reply_destroy (&reply);
    return status;
}

/*  The call that a command names, without options.  */
static rp_call_t *s_call (json_t *command)
{
    size_t size;
    unsigned char *body = s_body (command, &size);
    rp_call_t *call = rp_call_new (s_text (command, "service"), body, size);
    free (body);
    s_require (call != NULL, "a call that cannot be");
    return call;
}

static void s_stream (s_driver_t *self, json_t *command, json_int_t n)
{
    rp_call_t *call = s_call (command);
    int rc = rp_call_set_stream (
      call, s_number (command, "window"), s_number (command, "idle_timeout_ms"));
    rc |= rp_call_set_wait_worker_ms (call, s_number (command, "wait_worker_ms"));
    if (s_number (command, "timeout_ms"))
        rc |= rp_call_set_timeout_ms (call, s_number (command, "timeout_ms"));
    s_require (rc == RP_OK, "an option that cannot be");
    s_parts_t parts = {0};
    int status = json_object_get (command, "more") ? s_dialogue (self, call, command, &parts)
                                                   : s_perform (self, call, &parts);
    s_say (json_pack ("{s:I, s:s, s:I, s:o}", "n", n, "status", rp_status_name (status), "parts",
      (json_int_t) parts.count, "body", s_encoded (parts.bytes ? parts.bytes : "", parts.size)));
    free (parts.bytes);
}

static bool s_on_answer (const rp_reply_t *reply, void *arg)
{
    json_array_append_new (arg, json_pack ("[s, s, o]", rp_reply_worker (reply),
                                  rp_status_name ((int) rp_reply_status (reply)),
                                  s_encoded (rp_reply_body (reply), rp_reply_size (reply))));
    return true;
}

static void s_all (s_driver_t *self, json_t *command, json_int_t n)
{
    rp_call_t *call = s_call (command);
    uint32_t first = s_number (command, "first"), quorum = s_number (command, "quorum");
    int rc = first    ? rp_call_set_first (call, first)
             : quorum ? rp_call_set_quorum (call, quorum)
                      : rp_call_set_all (call);
    if (s_number (command, "timeout_ms"))
        rc |= rp_call_set_timeout_ms (call, s_number (command, "timeout_ms"));
    s_require (rc == RP_OK, "an option that cannot be");
    json_t *answers = json_array ();
    rp_reply_t *reply;
    s_require (rp_client_perform_all (self->client, &call, s_on_answer, answers, &reply) == RP_OK,
      "a call for all that was not performed");
    const char *summary = rp_reply_header (reply, "all-statuses");
    s_say (json_pack ("{s:I, s:s, s:o, s:s}", "n", n, "status",
      rp_status_name ((int) rp_reply_status (reply)), "answers", answers, "summary",
      summary ? summary : ""));
    rp_reply_destroy (&reply);
}

static void s_cancel (s_driver_t *self, json_int_t of)
{
    for (size_t at = 0; at < S_NAMES; at++)
        if (self->calls[at].n == of && self->calls[at].id)
            rp_client_cancel (self->client, self->calls[at].id); /* it may have ended already */
}

static int s_client (const char *endpoints)
{
    s_driver_t self = {.client = rp_client_new (endpoints),
      .lock = PTHREAD_MUTEX_INITIALIZER,
      .ended = PTHREAD_COND_INITIALIZER};
    s_require (self.client != NULL, "the endpoints are wrong");
    const char *key_file = getenv ("RIPOSTE_KEY_FILE"), *server_key = getenv ("RIPOSTE_SERVER_KEY");
    s_require ((!key_file || rp_client_set_key_file (self.client, key_file) == RP_OK)
                 && (!server_key || rp_client_set_server_key (self.client, server_key) == RP_OK),
      "a key is wrong");
    s_say (json_pack ("{s:b}", "ready", true));
    json_int_t closing = -1;
    char *line = NULL;
    size_t room = 0;
    while (closing < 0 && getline (&line, &room, stdin) > 0) {
        json_t *command = json_loads (line, 0, NULL);
        s_require (command != NULL, "a command that is no JSON");
        const char *what = s_text (command, "do");
        json_int_t n = json_integer_value (json_object_get (command, "n"));
        if (strcmp (what, "call") == 0 || strcmp (what, "send") == 0)
            s_submit (&self, command, n, what[0] == 's');
        else if (strcmp (what, "stream") == 0)
            s_stream (&self, command, n);
        else if (strcmp (what, "all") == 0)
            s_all (&self, command, n);
        else if (strcmp (what, "result") == 0)
            s_result (&self, command, n);
        else if (strcmp (what, "cancel") == 0) {
            s_cancel (&self, json_integer_value (json_object_get (command, "of")));
            s_say_ok (n);
        }
        else if (strcmp (what, "end") == 0) {
            rp_conversation_destroy (s_conversation (&self, s_text (command, "conversation")));
            s_say_ok (n);
        }
        else if (strcmp (what, "close") == 0)
            closing = n;
        json_decref (command);
    }
    free (line);
    pthread_mutex_lock (&self.lock);
    while (self.asking > 0)
        pthread_cond_wait (&self.ended, &self.lock);
    pthread_mutex_unlock (&self.lock);
    for (size_t at = 0; at < S_NAMES; at++)
        rp_conversation_destroy (&self.conversations[at].conversation);
    rp_client_destroy (&self.client);
    if (closing >= 0)
        s_say_ok (closing);
    return 0;
}

/*  ---- The worker ---------------------------------------------------------------------------- */

static rp_worker_t *s_worker;
static const char *s_handler;
static struct {
    uint64_t conversation;
    unsigned count;
} s_visits[S_NAMES];
static pthread_mutex_t s_visits_lock = PTHREAD_MUTEX_INITIALIZER;

static void s_on_signal (int number)
{
    (void) number;
    rp_worker_drain (s_worker);
}

static unsigned s_visit (uint64_t conversation, bool over)
{
    unsigned count = 0;
    pthread_mutex_lock (&s_visits_lock);
    size_t free_place = S_NAMES;
    for (size_t at = 0; at < S_NAMES && count == 0; at++) {
        if (s_visits[at].conversation == conversation) {
            count = ++s_visits[at].count;
            if (over)
                s_visits[at].conversation = s_visits[at].count = 0;
        }
        else if (!s_visits[at].conversation && free_place == S_NAMES)
            free_place = at;
    }
    if (count == 0 && !over) {
        s_require (free_place < S_NAMES, "too many conversations");
        s_visits[free_place].conversation = conversation;
        count = s_visits[free_place].count = 1;
    }
    pthread_mutex_unlock (&s_visits_lock);
    return count;
}

static void s_on_end (uint64_t conversation, void *arg)
{
    (void) arg;
    s_visit (conversation, true);
}

static void s_copy_header (const char *key, const char *value, void *task)
{
    rp_task_add_header (task, key, value);
}

static void s_sleep (rp_task_t **task_p, const char *body)
{
    for (long left = strtol (body, NULL, 10); left > 0; left -= S_STEP_MS) {
        nanosleep (&(struct timespec){.tv_nsec = S_STEP_MS * 1000000L}, NULL);
        if (rp_task_cancelled (*task_p)) {
            s_say (json_pack ("{s:s}", "event", "cancelled"));
            break;
        }
    }
    char reply[64];
    snprintf (reply, sizeof reply, "slept %s", body);
    rp_task_reply (task_p, reply, strlen (reply));
}

static void s_site (rp_task_t **task_p, const char *body)
{
    char reply[256] = "400 no conversation";
    if (rp_task_conversation (*task_p) && strcmp (body, "BYE") == 0) {
        s_visit (rp_task_conversation (*task_p), true);
        rp_task_end_conversation (*task_p);
        snprintf (reply, sizeof reply, "200 bye");
    }
    else if (rp_task_conversation (*task_p))
        snprintf (reply, sizeof reply, "200 %s visit %u of %d",
          strchr (body, ' ') ? strchr (body, ' ') + 1 : "",
          s_visit (rp_task_conversation (*task_p), false), (int) getpid ());
    rp_task_reply (task_p, reply, strlen (reply));
}

static void s_upper (char *body, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (body[at] >= 'a' && body[at] <= 'z')
            body[at] = (char) (body[at] - 'a' + 'A');
}

/*  Answers each part of the body with one.  */
static void s_answer_parts (rp_task_t **task_p, const void *part, size_t size)
{
    int rc = RP_OK;
    while (rc == RP_OK) {
        char *answer = malloc (size + 1);
        s_require (answer != NULL, "no memory");
        memcpy (answer, part, size);
        s_upper (answer, size);
        rc = rp_task_write (*task_p, answer, size, S_LONG_MS, NULL);
        free (answer);
        if (rc == RP_OK)
            rc = rp_task_read (*task_p, S_LONG_MS, &part, &size);
    }
    if (rc != RP_CLOSED)
        s_say (json_pack ("{s:s}", "event", "cancelled"));
    rp_task_reply (task_p, NULL, 0);
}

static void s_handle (rp_task_t **task_p, void *arg)
{
    (void) arg;
    rp_task_t *task = *task_p;
    size_t size = rp_task_size (task);
    char *body = malloc (size + 1);
    s_require (body != NULL, "no memory");
    memcpy (body, rp_task_body (task), size);
    body[size] = '\0';
    const char *key = rp_task_key (task);
    s_say (json_pack ("{s:s, s:o, s:i, s:I, s:s, s:b}", "event", "start", "body",
      s_encoded (body, size), "attempt", (int) rp_task_attempt (task), "conversation",
      (json_int_t) rp_task_conversation (task), "key", key ? key : "", "durable",
      rp_task_is_durable (task)));
    if (strcmp (s_handler, "echo") == 0) {
        rp_task_each_header (task, s_copy_header, task);
        rp_task_reply (task_p, body, size);
    }
    else if (strcmp (s_handler, "upper") == 0) {
        s_upper (body, size);
        rp_task_reply (task_p, body, size);
    }
    else if (strcmp (s_handler, "parts") == 0)
        s_answer_parts (task_p, body, size);
    else if (strcmp (s_handler, "sleep") == 0)
        s_sleep (task_p, body);
    else if (strcmp (s_handler, "fail") == 0)
        rp_task_fail (task_p, 7, body, NULL, 0);
    else if (strcmp (s_handler, "site") == 0)
        s_site (task_p, body);
    else if (strcmp (s_handler, "retry") == 0) {
        char reply[64];
        snprintf (reply, sizeof reply, "done at attempt %u", (unsigned) rp_task_attempt (task));
        if (rp_task_attempt (task) < 3)
            rp_task_retry (task_p, "not yet");
        else
            rp_task_reply (task_p, reply, strlen (reply));
    }
    else
        s_require (0, "no such handler");
    free (body);
}

static int s_serve (const char *endpoints, const char *service, const char *handler, uint32_t slots)
{
    s_worker = rp_worker_new (endpoints, service);
    s_handler = handler;
    s_require (s_worker != NULL, "the endpoints or the service are wrong");
    const char *key_file = getenv ("RIPOSTE_KEY_FILE"), *server_key = getenv ("RIPOSTE_SERVER_KEY");
    s_require ((!key_file || rp_worker_set_key_file (s_worker, key_file) == RP_OK)
                 && (!server_key || rp_worker_set_server_key (s_worker, server_key) == RP_OK)
                 && rp_worker_set_slots (s_worker, slots) == RP_OK
                 && rp_worker_set_streams (s_worker, strcmp (handler, "parts") == 0) == RP_OK
                 && rp_worker_set_threads (s_worker, slots) == RP_OK
                 && rp_worker_on_conversation_end (s_worker, s_on_end, NULL) == RP_OK,
      "a setting is wrong");
    struct sigaction action = {.sa_handler = s_on_signal};
    s_require (sigaction (SIGTERM, &action, NULL) == 0, "no handler for SIGTERM");
    int rc = rp_worker_run (s_worker, s_handle, NULL);
    rp_worker_destroy (&s_worker);
    return rc == RP_DENIED ? S_REFUSED : rc == RP_OK ? 0 : 1;
}

int main (int argc, char **argv)
{
    if (argc == 3 && strcmp (argv[1], "client") == 0)
        return s_client (argv[2]);
    if (argc >= 5 && strcmp (argv[1], "worker") == 0)
        return s_serve (
          argv[2], argv[3], argv[4], argc > 5 ? (uint32_t) strtoul (argv[5], NULL, 10) : 1);
    fprintf (stderr, "usage: driver client ENDPOINTS | worker ENDPOINTS SERVICE HANDLER [SLOTS]\n");
    return 2;
}
