/*  The load of the chaos run: clients that send requests of every kind, and record how each ended.

    SPDX-License-Identifier: MPL-2.0

    chaos_load --server ENDPOINTS --name NAME --history FILE [--clients N] [--seconds N] [--rate N]
    [--seed N] [--heartbeat MS] [--streams 1]

    Each client is an rp_client_t and a thread. It sends requests of the kinds in the table below,
    at random times with a mean of --rate a second, unless too many are open, and continues
    conversations. Some requests have an idempotency key that other clients of the process use, too, a few of
    them with another body. With --streams, each has a stream open most of the time. After --seconds, or at SIGTERM, it sends no more, waits until every request has
    its final status, and writes "end". Then standard output gets a line of JSON: how many requests
    ended with each status.
*/

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <riposte/client.h>

#include "tests/chaos/history.h"
#include "common/wire/limits.h"
#include "tests/chaos/options.h"
#include "tests/chaos/streams.h"

#define S_NAME_MAX 96
#define S_OPEN_MAX 24
#define S_VISITS 2
#define S_BODY_MAX (100 * 1024)
#define S_ECHO "echo"

/*  A kind of request: its share in percent, and what is in it. Times are drawn from a range.  */
typedef struct {
    unsigned weight;
    const char *service, *what;
    unsigned work_us[2];
    unsigned size;
    unsigned timeout_ms[2];
    uint8_t attempts;
    bool cancelled;
} s_kind_t;

static const s_kind_t s_kinds[] = {
  {28, S_ECHO, "reply", {0, 2000}, 60, {3000, 5000}, 1, false},
  {20, S_ECHO, "reply", {0, 5000}, 300, {3000, 6000}, 3, false},
  {4, S_ECHO, "reply", {50000, 400000}, 60, {2000, 4000}, 1, false},
  {4, S_ECHO, "reply", {50000, 400000}, 60, {3000, 5000}, 3, false},
  {5, S_ECHO, "reply", {0, 5000}, S_BODY_MAX, {3000, 6000}, 3, false},
  {8, S_ECHO, "reply", {10000, 200000}, 60, {2000, 4000}, 3, true},
  {4, S_ECHO, "reply", {10000, 60000}, 60, {10, 60}, 1, false},
  {2, S_ECHO, "fail", {0, 2000}, 60, {3000, 5000}, 1, false},
  {2, S_ECHO, "abandon", {0, 2000}, 60, {3000, 5000}, 3, false},
  {1, "nobody", "reply", {0, 0}, 60, {500, 1000}, 1, false},
  {10, "mdp", "reply", {0, 5000}, 200, {3000, 6000}, 3, false},
};
static const s_kind_t s_visit_kind = {12, "visit", "reply", {0, 5000}, 80, {3000, 5000}, 1, false};
/*  With an idempotency key, which says how long the work takes.  */
static const s_kind_t s_keyed_kind = {6, S_ECHO, "reply", {0, 60000}, 80, {3000, 6000}, 3, false};
/*  Keys in use at a time.  */
#define S_KEYS 4u

typedef struct {
    rp_conversation_t *conversation;
    char name[S_NAME_MAX];
    unsigned asked, left, open;
    unsigned count; /* the worker's count in the last OK; 0: not known */
    bool ending;    /* a request failed: no more requests until all have ended */
} s_visit_t;

typedef struct {
    uint64_t id;
    char request[S_NAME_MAX];
    char word[S_NAME_MAX]; /* the first of the body: the request, or its key */
    char key[S_NAME_MAX];  /* "": none */
    int64_t cancel_at;     /* 0: never */
    s_visit_t *visit;
    uint32_t crc; /* of the request's body */
    bool used;
} s_slot_t;

typedef struct {
    char party[S_NAME_MAX];
    unsigned number, sent, begun;
    uint64_t random;
    rp_client_t *client;
    chaos_streams_t *streams; /* NULL: none */
    s_slot_t slots[S_OPEN_MAX];
    unsigned open;
    s_visit_t visits[S_VISITS];
    int64_t due;
    unsigned long statuses[RP_UNKNOWN + 1];
    unsigned wrong;
    char body[S_BODY_MAX + 1];
} s_client_t;

static struct {
    const char *endpoints, *name, *history, *key_file, *server_key;
    unsigned clients, seconds, rate, seed, heartbeat_ms, streams;
} s_options = {.key_file = "",
  .server_key = "",
  .clients = 4,
  .seconds = 10,
  .rate = 25,
  .seed = 1,
  .heartbeat_ms = 500};

static atomic_bool s_ends;
static atomic_uint s_keys; /* how many there were */

/*  ---- Chance --------------------------------------------------------------------------------- */

/*  splitmix64. A number of [0, bound).  */
static unsigned s_draw (s_client_t *self, unsigned bound)
{
    uint64_t value = self->random += UINT64_C (0x9E3779B97F4A7C15);
    value = (value ^ (value >> 30)) * UINT64_C (0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C (0x94D049BB133111EB);
    return (unsigned) ((value ^ (value >> 31)) % bound);
}

static unsigned s_between (s_client_t *self, const unsigned ends[2])
{
    return ends[0] + s_draw (self, ends[1] - ends[0] + 1);
}

static const s_kind_t *s_draw_kind (s_client_t *self)
{
    unsigned count = sizeof s_kinds / sizeof *s_kinds;
    unsigned total = 0;
    for (unsigned index = 0; index < count; index++)
        total += s_kinds[index].weight;
    total += s_visit_kind.weight + s_keyed_kind.weight;
    unsigned at = s_draw (self, total);
    for (unsigned index = 0; index < count; index++) {
        if (at < s_kinds[index].weight)
            return &s_kinds[index];
        at -= s_kinds[index].weight;
    }
    return at < s_visit_kind.weight ? &s_visit_kind : &s_keyed_kind;
}

/*  ---- Sending -------------------------------------------------------------------------------- */

__attribute__ ((noreturn)) static void s_die (const char *what, int rc)
{
    fprintf (stderr, "chaos load: %s: %s\n", what, rp_strerror (rc));
    exit (2);
}

/*  Returns a conversation that may have another request, or a new one in a free place; NULL if all
    are busy. A conversation may have two open requests, of which the second waits for the
    first.  */
static s_visit_t *s_take_visit (s_client_t *self)
{
    for (unsigned index = 0; index < S_VISITS; index++) {
        s_visit_t *visit = &self->visits[(self->sent + index) % S_VISITS];
        if (visit->conversation && visit->open == 0 && (visit->left == 0 || visit->ending)) {
            // The contract also covers what follows a failure, so half of the conversations go on.
            if (visit->left > 0 && s_draw (self, 2) == 0)
                visit->ending = false;
            else
                rp_conversation_destroy (&visit->conversation);
        }
        if (!visit->conversation) {
            *visit = (s_visit_t){.left = 2 + s_draw (self, 8)};
            visit->conversation = rp_conversation_new (self->client, s_visit_kind.service);
            snprintf (visit->name, sizeof visit->name, "%s-%u-v%u", s_options.name, self->number,
              self->begun++);
            if (!visit->conversation)
                s_die ("no conversation", RP_NO_MEMORY);
        }
        if (visit->open < 2 && visit->left > 0 && !visit->ending)
            return visit;
    }
    return NULL;
}

static s_slot_t *s_free_slot (s_client_t *self)
{
    for (unsigned index = 0; index < S_OPEN_MAX; index++)
        if (!self->slots[index].used)
            return &self->slots[index];
    return NULL;
}

static void s_check_rc (int rc)
{
    if (rc != RP_OK)
        s_die ("a request could not be made", rc);
}

/*  Draws the idempotency key of a request, which says what is in its body: mostly one that was used a moment
    ago. Returns the time of the work.  */
static unsigned s_draw_key (s_client_t *self, s_slot_t *slot)
{
    unsigned number = atomic_load (&s_keys);
    if (number == 0 || s_draw (self, 3) == 0)
        number = atomic_fetch_add (&s_keys, 1) + 1;
    else if (number > S_KEYS)
        number -= s_draw (self, S_KEYS);
    const char *end = s_draw (self, 8) ? "" : "-other";
    snprintf (slot->key, sizeof slot->key, "%s-k%u", s_options.name, number);
    snprintf (slot->word, sizeof slot->word, "%s-k%u%s", s_options.name, number, end);
    return number * 7919 % s_keyed_kind.work_us[1];
}

/*  Makes the body of a request and its call, without the limits of its kind.  */
static rp_call_t *s_make (s_client_t *self, const s_kind_t *kind, s_slot_t *slot)
{
    char number[16];
    snprintf (
      slot->request, sizeof slot->request, "%s-%u-%u", s_options.name, self->number, self->sent++);
    memcpy (slot->word, slot->request, sizeof slot->word);
    unsigned work_us =
      kind == &s_keyed_kind ? s_draw_key (self, slot) : s_between (self, kind->work_us);
    int size =
      snprintf (self->body, sizeof self->body, "%s %u %s ", slot->word, work_us, kind->what);
    memset (self->body + size, '.', sizeof self->body - (size_t) size);
    size_t whole = kind->size > (unsigned) size ? kind->size : (size_t) size;
    slot->crc = history_crc (self->body, whole);
    rp_call_t *call = slot->visit ? rp_call_new_in (slot->visit->conversation, self->body, whole)
                                  : rp_call_new (kind->service, self->body, whole);
    if (!call)
        s_die ("no call", RP_NO_MEMORY);
    s_check_rc (rp_call_add_header (call, "request-id", slot->request));
    if (slot->visit) {
        s_check_rc (rp_call_add_header (call, "conversation", slot->visit->name));
        snprintf (number, sizeof number, "%u", slot->visit->asked);
        s_check_rc (rp_call_add_header (call, "seq", number));
    }
    if (*slot->key)
        s_check_rc (rp_call_set_key (call, slot->key));
    rp_call_set_tag (call, slot);
    return call;
}

static void s_send (s_client_t *self)
{
    const s_kind_t *kind = s_draw_kind (self);
    s_visit_t *visit = kind == &s_visit_kind ? s_take_visit (self) : NULL;
    s_slot_t *slot = s_free_slot (self);
    if (!slot || (kind == &s_visit_kind && !visit))
        return;
    *slot = (s_slot_t){.used = true, .visit = visit};
    rp_call_t *call = s_make (self, kind, slot);
    unsigned timeout_ms = s_between (self, kind->timeout_ms);
    s_check_rc (rp_call_set_timeout_ms (call, timeout_ms));
    s_check_rc (rp_call_set_attempts (call, kind->attempts));
    if (kind->attempts > 1 && s_draw (self, 2) == 0)
        s_check_rc (rp_call_set_wait_worker_ms (call, 2000));
    if (s_draw (self, 4) == 0)
        s_check_rc (rp_call_set_priority (call, (uint8_t) s_draw (self, RP_PRIORITY_MAX + 1)));
    if (kind->attempts > 1 && !visit && !*slot->key && s_draw (self, 4) == 0)
        s_check_rc (rp_call_set_hedge (call, s_draw (self, 2) ? "5ms" : "90%"));
    history_write (self->party, "submit",
      "req=%s\tservice=%s\tdeadline=%" PRId64 "\tattempts=%u\tconv=%s\tseq=%u%s%s", slot->request,
      kind->service, history_now () + (int64_t) timeout_ms * 1000, kind->attempts,
      visit ? visit->name : "-", visit ? visit->asked : 0, *slot->key ? "\tkey=" : "", slot->key);
    int rc = rp_client_submit (self->client, &call, &slot->id);
    if (rc != RP_OK)
        s_die ("a request was not taken", rc);
    if (kind->cancelled)
        slot->cancel_at = history_now () + s_draw (self, 120000);
    self->open++;
    if (visit) {
        visit->asked++;
        visit->left--;
        visit->open++;
    }
}

/*  ---- Replies -------------------------------------------------------------------------------- */

/*  Returns false if the reply is not to this request, or shows another conversation's state.  */
static bool s_is_right (s_slot_t *slot, const rp_reply_t *reply)
{
    char text[512];
    char request[S_NAME_MAX], conversation[S_NAME_MAX];
    unsigned count;
    uint32_t crc;
    snprintf (
      text, sizeof text, "%.*s", (int) rp_reply_size (reply), (const char *) rp_reply_body (reply));
    if (sscanf (text, "%95s %*s %95s %u %" SCNx32, request, conversation, &count, &crc) != 4
        || strcmp (request, slot->word) != 0 || crc != slot->crc)
        return false;
    s_visit_t *visit = slot->visit;
    if (!visit)
        return strcmp (conversation, "-") == 0;
    bool follows = visit->count == 0 || count == visit->count + 1;
    visit->count = count;
    return follows && strcmp (conversation, visit->name) == 0;
}

static void s_take (s_client_t *self, rp_reply_t *reply)
{
    s_slot_t *slot = rp_reply_tag (reply);
    rp_status_t status = rp_reply_status (reply);
    char crc[16] = "-";
    if (rp_reply_size (reply) > 0)
        snprintf (crc, sizeof crc, "%08" PRIx32,
          history_crc (rp_reply_body (reply), rp_reply_size (reply)));
    history_write (self->party, "final",
      "req=%s\tstatus=%s\tmade=%" PRIu32 "\tbody=%s\treplayed=%d\ttext=%.300s", slot->request,
      rp_status_name ((int) status), rp_reply_attempts (reply), crc, rp_reply_is_replayed (reply),
      rp_reply_message (reply));
    self->statuses[status]++;
    s_visit_t *visit = slot->visit;
    if (visit) {
        visit->open--;
        if (status != RP_OK) {
            visit->count = 0;
            visit->ending = true;
        }
    }
    if (status == RP_OK && !s_is_right (slot, reply)) {
        self->wrong++;
        fprintf (stderr, "chaos load: not the reply to %s in %s: %.*s\n", slot->request,
          visit ? visit->name : "no conversation", (int) rp_reply_size (reply),
          (const char *) rp_reply_body (reply));
    }
    slot->used = false;
    self->open--;
    rp_reply_destroy (&reply);
}

static void s_cancel_due (s_client_t *self, int64_t now)
{
    for (unsigned index = 0; index < S_OPEN_MAX; index++) {
        s_slot_t *slot = &self->slots[index];
        if (!slot->used || slot->cancel_at == 0 || now < slot->cancel_at)
            continue;
        slot->cancel_at = 0;
        history_write (self->party, "cancel", "req=%s", slot->request);
        (void) rp_client_cancel (self->client, slot->id); // it may have ended just now
    }
}

/*  ---- A client ------------------------------------------------------------------------------- */

/*  Takes replies, for at most a few milliseconds.  */
static void s_collect (s_client_t *self)
{
    rp_reply_t *reply;
    uint32_t wait_ms = 5;
    while (self->open > 0) {
        int rc = rp_client_collect (self->client, wait_ms, &reply);
        if (rc == RP_TIMED_OUT || rc == RP_INTERRUPTED)
            return;
        if (rc != RP_OK)
            s_die ("nothing to collect", rc);
        s_take (self, reply);
        wait_ms = 0;
    }
    nanosleep (&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static unsigned s_draw_for_streams (void *arg, unsigned bound)
{
    return s_draw (arg, bound);
}

/*  Goes on with the client's stream. True if it is open.  */
static bool s_stream (s_client_t *self, bool may_begin)
{
    int status;
    if (!self->streams)
        return false;
    bool is_open = chaos_streams_turn (self->streams, may_begin, &status, &self->wrong);
    if (status >= 0)
        self->statuses[status]++;
    return is_open;
}

static void *s_run (void *arg)
{
    s_client_t *self = arg;
    char name[S_NAME_MAX];
    snprintf (name, sizeof name, "%.50s-%u", s_options.name, self->number);
    self->client = rp_client_new (s_options.endpoints);
    if (!self->client || rp_client_set_name (self->client, name) != RP_OK
        || (*s_options.key_file
            && rp_client_set_key_file (self->client, s_options.key_file) != RP_OK)
        || (*s_options.server_key
            && rp_client_set_server_key (self->client, s_options.server_key) != RP_OK)
        || rp_client_set_heartbeat_ms (self->client, s_options.heartbeat_ms) != RP_OK)
        s_die ("no client", RP_SYSTEM);
    if (s_options.streams)
        self->streams =
          chaos_streams_new (self->client, self->party, name, s_draw_for_streams, self);

    int64_t until = history_now () + (int64_t) s_options.seconds * 1000000;
    unsigned mean_us = 1000000 / s_options.rate;
    self->due = history_now ();
    for (int64_t now; (now = history_now ()) < until && !s_ends;) {
        // Requests that were due while this process stood still are never sent.
        if (now - self->due > 1000000)
            self->due = now;
        for (; self->due <= now; self->due += s_draw (self, 2 * mean_us + 1))
            s_send (self);
        s_cancel_due (self, now);
        (void) s_stream (self, true);
        s_collect (self);
    }
    while (s_stream (self, false) || self->open > 0) {
        s_cancel_due (self, history_now ());
        s_collect (self);
    }
    for (unsigned index = 0; index < S_VISITS; index++)
        rp_conversation_destroy (&self->visits[index].conversation);
    if (self->streams)
        chaos_streams_destroy (&self->streams);
    rp_client_destroy (&self->client);
    history_write (self->party, "end", NULL);
    return NULL;
}

/*  ---- The program ---------------------------------------------------------------------------- */

/*  A second signal ends the process without waiting for open requests.  */
static void s_on_signal (int number)
{
    (void) number;
    if (s_ends)
        _exit (1);
    s_ends = true;
}

static void s_parse (int argc, char **argv)
{
    static const chaos_option_t table[] = {
      {"server", &s_options.endpoints, NULL},
      {"name", &s_options.name, NULL},
      {"history", &s_options.history, NULL},
      {"key-file", &s_options.key_file, NULL},
      {"server-key", &s_options.server_key, NULL},
      {"clients", NULL, &s_options.clients},
      {"seconds", NULL, &s_options.seconds},
      {"rate", NULL, &s_options.rate},
      {"seed", NULL, &s_options.seed},
      {"heartbeat", NULL, &s_options.heartbeat_ms},
      {"streams", NULL, &s_options.streams},
    };
    chaos_options (table, sizeof table / sizeof *table, argc, argv);
    if (s_options.rate == 0)
        s_options.rate = 1;
}

/*  Prints how many requests ended with each status. Returns how many replies were wrong.  */
static unsigned s_report (const s_client_t *clients)
{
    unsigned long sums[RP_UNKNOWN + 1] = {0};
    unsigned wrong = 0;
    for (unsigned number = 0; number < s_options.clients; number++) {
        for (int status = 0; status <= RP_UNKNOWN; status++)
            sums[status] += clients[number].statuses[status];
        wrong += clients[number].wrong;
    }
    const char *comma = "";
    printf ("{\"wrong\": %u, \"statuses\": {", wrong);
    for (int status = 0; status <= RP_UNKNOWN; status++)
        if (sums[status] > 0) {
            printf ("%s\"%s\": %lu", comma, rp_status_name (status), sums[status]);
            comma = ", ";
        }
    printf ("}}\n");
    return wrong;
}

int main (int argc, char **argv)
{
    s_parse (argc, argv);
    history_open (s_options.history);
    s_client_t *clients = calloc (s_options.clients, sizeof *clients);
    pthread_t *threads = calloc (s_options.clients, sizeof *threads);
    if (!clients || !threads)
        return 2;
    struct sigaction action = {.sa_handler = s_on_signal};
    sigaction (SIGTERM, &action, NULL);
    for (unsigned number = 0; number < s_options.clients; number++) {
        s_client_t *client = &clients[number];
        client->number = number;
        client->random = ((uint64_t) s_options.seed << 32) + number;
        snprintf (client->party, sizeof client->party, "client:%s-%u", s_options.name, number);
        if (pthread_create (&threads[number], NULL, s_run, client) != 0)
            s_die ("no thread", RP_SYSTEM);
    }
    for (unsigned number = 0; number < s_options.clients; number++)
        pthread_join (threads[number], NULL);
    unsigned wrong = s_report (clients);
    free (threads);
    free (clients);
    return wrong > 0;
}
