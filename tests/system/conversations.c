/*  Many clients at once, each in the ten-step exchange with the service "site" under a name of its
    own. Checks that each sees its own data, and reports the results as a line of JSON.

    SPDX-License-Identifier: MPL-2.0

    Each client is an rp_client_t with a thread; it uses the public library alone. A step that does
    not end with OK is sent again; after CONVERSATION_LOST the conversation begins anew with its
    first step. With --hold N every client stops before its Nth request: the program writes
    "holding" to standard error, and goes on after a line on standard input, so that a test can kill
    a process when every client is at a known step.
*/

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <riposte/client.h>

#define S_STEPS 5
/*  Beginnings of a visitor's name and of the text that step 4 writes; nothing else uses these
    words, so that data of another visitor is noticed.  */
#define S_VISITOR "visitor-"
#define S_NAME_MAX 64
/*  Troubles of one conversation, as text ("WORKER_LOST CONVERSATION_LOST").  */
#define S_TROUBLE_MAX 256
#define S_TROUBLES_MAX 32

typedef struct {
    const char *endpoints;
    const char *service;
    unsigned clients;
    unsigned rounds;
    unsigned pause_ms;
    unsigned timeout_ms;
    unsigned heartbeat_ms;
    unsigned patience_ms; /* for one conversation, with all its new beginnings */
    unsigned hold;        /* 0: none */
} s_options_t;

typedef struct {
    char text[S_TROUBLE_MAX];
    unsigned count;
} s_trouble_t;

typedef struct {
    s_options_t options;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    unsigned held; /* clients that wait before the step to hold at, or that gave up */
    bool released;
    /*  results  */
    unsigned complete;
    unsigned own_data;
    unsigned disturbed;
    unsigned begun_anew;
    unsigned gave_up;
    unsigned long statuses[RP_UNKNOWN + 1];
    s_trouble_t troubles[S_TROUBLES_MAX];
    size_t trouble_count;
    int64_t longest_call_us;
    int64_t longest_trouble_us;
    char example[512]; /* a wrong page */
} s_run_t;

typedef struct {
    s_run_t *run;
    unsigned number;
    rp_client_t *client;
    rp_conversation_t *conversation;
    /*  about the current conversation  */
    char name[S_NAME_MAX];
    char trouble[S_TROUBLE_MAX];
    int64_t trouble_since; /* 0: none */
    int64_t until;
    bool wrong;
} s_visitor_t;

static int64_t s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void s_sleep_ms (unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long) (ms % 1000) * 1000000};
    nanosleep (&pause, NULL);
}

/*  ---- The requests, and their right pages ---------------------------------------------------- */

static void s_request (const s_visitor_t *self, unsigned step, char *body, size_t size)
{
    switch (step) {
        case 0:
            snprintf (body, size, "GET /index.html");
            break;
        case 1:
            snprintf (body, size, "POST /login user=%s", self->name);
            break;
        case 2:
            snprintf (body, size, "GET /user");
            break;
        case 3:
            snprintf (body, size, "POST /update_profile city=city-of-%s", self->name);
            break;
        default:
            snprintf (body, size, "GET /settings");
            break;
    }
}

/*  Returns whether every visitor that the page names is this one.  */
static bool s_names_nobody_else (const s_visitor_t *self, const char *page)
{
    size_t size = strlen (self->name);
    for (const char *at = page; (at = strstr (at, S_VISITOR)); at += size)
        if (strncmp (at, self->name, size) != 0)
            return false;
    return true;
}

static bool s_is_right (const s_visitor_t *self, unsigned step, const char *page)
{
    static const char *const first[S_STEPS] = {"200", "302", "200", "200", "200"};
    char city[S_NAME_MAX + 16];
    const char *line_end = page + strcspn (page, "\r\n");
    const char *status = strstr (page, first[step]);
    if (!status || status > line_end || !s_names_nobody_else (self, page))
        return false;
    snprintf (city, sizeof city, "city-of-%s", self->name);
    if (step == 1)
        return strstr (page, "/user") != NULL;
    if (step == 2)
        return strstr (page, self->name) != NULL;
    return step != 4 || strstr (page, city) != NULL;
}

/*  ---- One conversation ----------------------------------------------------------------------- */

static void s_note_trouble (s_visitor_t *self, rp_status_t status, int64_t now)
{
    size_t used = strlen (self->trouble);
    snprintf (self->trouble + used, sizeof self->trouble - used, "%s%s", used ? " " : "",
      rp_status_name ((int) status));
    if (!self->trouble_since)
        self->trouble_since = now;
}

/*  Sends one step; returns its status.  */
static rp_status_t s_step (s_visitor_t *self, unsigned step)
{
    s_run_t *run = self->run;
    char body[256];
    char page[4096];
    rp_reply_t *reply = NULL;
    s_request (self, step, body, sizeof body);

    int64_t begin = s_now ();
    int rc = rp_conversation_call (self->conversation, body, strlen (body), &reply);
    int64_t end = s_now ();
    if (rc != RP_OK) {
        fprintf (stderr, "conversations: a call failed here: %s\n", rp_strerror (rc));
        exit (1);
    }
    rp_status_t status = rp_reply_status (reply);
    snprintf (
      page, sizeof page, "%.*s", (int) rp_reply_size (reply), (const char *) rp_reply_body (reply));

    pthread_mutex_lock (&run->mutex);
    run->statuses[status]++;
    if (end - begin > run->longest_call_us)
        run->longest_call_us = end - begin;
    if (status == RP_OK && self->trouble_since) {
        if (end - self->trouble_since > run->longest_trouble_us)
            run->longest_trouble_us = end - self->trouble_since;
        self->trouble_since = 0;
    }
    if ((status == RP_OK || status == RP_APP_ERROR) && !s_is_right (self, step, page)) {
        self->wrong = true;
        if (!*run->example)
            snprintf (run->example, sizeof run->example, "%s, step %u: %.300s", self->name,
              2 * step + 2, page);
    }
    pthread_mutex_unlock (&run->mutex);
    if (status != RP_OK)
        s_note_trouble (self, status, end);
    rp_reply_destroy (&reply);
    return status;
}

static void s_hold (s_run_t *run)
{
    pthread_mutex_lock (&run->mutex);
    run->held++;
    pthread_cond_broadcast (&run->moved);
    while (!run->released)
        pthread_cond_wait (&run->moved, &run->mutex);
    pthread_mutex_unlock (&run->mutex);
}

static void s_count_trouble (s_run_t *run, const char *text)
{
    size_t index = 0;
    while (index < run->trouble_count && strcmp (run->troubles[index].text, text) != 0)
        index++;
    if (index == S_TROUBLES_MAX)
        return;
    if (index == run->trouble_count)
        snprintf (run->troubles[run->trouble_count++].text, S_TROUBLE_MAX, "%s", text);
    run->troubles[index].count++;
}

static void s_converse (s_visitor_t *self, unsigned round)
{
    s_run_t *run = self->run;
    const s_options_t *options = &run->options;
    bool may_hold = options->hold > 0 && round == 0;
    unsigned begun = 1;
    unsigned step = 0;
    snprintf (self->name, sizeof self->name, S_VISITOR "%u-%u.", self->number, round);
    *self->trouble = '\0';
    self->trouble_since = 0;
    self->wrong = false;
    self->until = s_now () + (int64_t) options->patience_ms * 1000;

    while (step < S_STEPS && !self->wrong && s_now () < self->until) {
        if (may_hold && step + 1 == options->hold) {
            may_hold = false;
            s_hold (run);
            self->until = s_now () + (int64_t) options->patience_ms * 1000;
        }
        rp_status_t status = s_step (self, step);
        if (status == RP_OK)
            step++;
        else if (status == RP_CONVERSATION_LOST) {
            begun++;
            step = 0;
        }
        else
            s_sleep_ms (20);
        s_sleep_ms (options->pause_ms);
    }
    if (may_hold)
        s_hold (run);

    pthread_mutex_lock (&run->mutex);
    run->complete += step == S_STEPS;
    run->own_data += step == S_STEPS && !self->wrong;
    run->gave_up += step < S_STEPS && !self->wrong;
    run->begun_anew += begun > 1;
    if (*self->trouble) {
        run->disturbed++;
        s_count_trouble (run, self->trouble);
    }
    pthread_mutex_unlock (&run->mutex);
}

/*  Sets the keys that the environment names, with the variables of riposte.  */
static bool s_take_keys (rp_client_t *client)
{
    const char *key_file = getenv ("RIPOSTE_KEY_FILE");
    const char *server_key = getenv ("RIPOSTE_SERVER_KEY");
    return (!key_file || rp_client_set_key_file (client, key_file) == RP_OK)
           && (!server_key || rp_client_set_server_key (client, server_key) == RP_OK);
}

static void *s_visit (void *arg)
{
    s_visitor_t *self = arg;
    const s_options_t *options = &self->run->options;
    self->client = rp_client_new (options->endpoints);
    if (!self->client || rp_client_set_timeout_ms (self->client, options->timeout_ms) != RP_OK
        || rp_client_set_heartbeat_ms (self->client, options->heartbeat_ms) != RP_OK
        || !s_take_keys (self->client)) {
        perror ("conversations: no client");
        exit (1);
    }
    for (unsigned round = 0; round < options->rounds; round++) {
        self->conversation = rp_conversation_new (self->client, options->service);
        if (!self->conversation) {
            perror ("conversations: no conversation");
            exit (1);
        }
        s_converse (self, round);
        rp_conversation_destroy (&self->conversation);
    }
    rp_client_destroy (&self->client);
    return NULL;
}

/*  ---- The program ---------------------------------------------------------------------------- */

static void s_report (const s_run_t *run, int64_t took_us)
{
    const s_options_t *options = &run->options;
    const char *comma = "";
    printf ("{\"clients\": %u, \"rounds\": %u, \"conversations\": %u, ", options->clients,
      options->rounds, options->clients * options->rounds);
    printf ("\"complete\": %u, \"own_data\": %u, \"gave_up\": %u, \"disturbed\": %u, "
            "\"begun_anew\": %u, \"statuses\": {",
      run->complete, run->own_data, run->gave_up, run->disturbed, run->begun_anew);
    for (int status = 0; status <= RP_UNKNOWN; status++)
        if (run->statuses[status]) {
            printf ("%s\"%s\": %lu", comma, rp_status_name (status), run->statuses[status]);
            comma = ", ";
        }
    printf ("}, \"troubles\": {");
    for (size_t index = 0; index < run->trouble_count; index++)
        printf (
          "%s\"%s\": %u", index ? ", " : "", run->troubles[index].text, run->troubles[index].count);
    printf ("}, \"longest_call_us\": %" PRId64 ", \"longest_trouble_us\": %" PRId64
            ", \"took_us\": %" PRId64 "}\n",
      run->longest_call_us, run->longest_trouble_us, took_us);
    if (*run->example)
        fprintf (stderr, "conversations: wrong page: %s\n", run->example);
}

/*  Waits until every client is before the step to hold at, and then for a line.  */
static void s_wait_for_release (s_run_t *run)
{
    char line[16];
    pthread_mutex_lock (&run->mutex);
    while (run->held < run->options.clients)
        pthread_cond_wait (&run->moved, &run->mutex);
    pthread_mutex_unlock (&run->mutex);
    fputs ("holding\n", stderr);
    if (!fgets (line, sizeof line, stdin) && ferror (stdin))
        perror ("conversations: standard input");
    pthread_mutex_lock (&run->mutex);
    run->released = true;
    pthread_cond_broadcast (&run->moved);
    pthread_mutex_unlock (&run->mutex);
}

static unsigned s_number (const char *text)
{
    char *end;
    unsigned long number = strtoul (text, &end, 10);
    if (*end || end == text || number > 1000000) {
        fprintf (stderr, "conversations: \"%s\" is not a number up to 1000000\n", text);
        exit (2);
    }
    return (unsigned) number;
}

static void s_parse (s_options_t *options, int argc, char **argv)
{
    static const struct option table[] = {
      {"server", required_argument, NULL, 's'},
      {"service", required_argument, NULL, 'S'},
      {"clients", required_argument, NULL, 'c'},
      {"rounds", required_argument, NULL, 'r'},
      {"pause", required_argument, NULL, 'p'},
      {"timeout", required_argument, NULL, 't'},
      {"heartbeat", required_argument, NULL, 'b'},
      {"patience", required_argument, NULL, 'w'},
      {"hold", required_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
    };
    for (;;) {
        int entry = -1;
        const char *token = optind < argc ? argv[optind] : "";
        int letter = getopt_long (argc, argv, "+s:c:r:", table, &entry);
        if (letter == -1)
            break;
        if (entry >= 0 && strcspn (token + 2, "=") != strlen (table[entry].name))
            letter = '?'; // a shortened name is refused
        if (letter == 's')
            options->endpoints = optarg;
        else if (letter == 'S')
            options->service = optarg;
        else if (letter == 'c')
            options->clients = s_number (optarg);
        else if (letter == 'r')
            options->rounds = s_number (optarg);
        else if (letter == 'p')
            options->pause_ms = s_number (optarg);
        else if (letter == 't')
            options->timeout_ms = s_number (optarg);
        else if (letter == 'b')
            options->heartbeat_ms = s_number (optarg);
        else if (letter == 'w')
            options->patience_ms = s_number (optarg);
        else if (letter == 'h')
            options->hold = s_number (optarg);
        else {
            fputs ("usage: conversations --server ENDPOINTS [--service NAME] [--clients N]\n"
                   "       [--rounds N] [--hold N] [--pause MS] [--timeout MS] [--heartbeat MS] "
                   "[--patience MS]\n",
              stderr);
            exit (2);
        }
    }
}

int main (int argc, char **argv)
{
    static s_run_t run = {
      .options = {.endpoints = "tcp://127.0.0.1:5555",
        .service = "site",
        .clients = 100,
        .rounds = 1,
        .timeout_ms = 5000,
        .heartbeat_ms = 2000,
        .patience_ms = 30000},
      .mutex = PTHREAD_MUTEX_INITIALIZER,
      .moved = PTHREAD_COND_INITIALIZER,
    };
    s_parse (&run.options, argc, argv);

    // Every client has a context of its own, which takes a dozen descriptors.
    struct rlimit files;
    if (getrlimit (RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void) setrlimit (RLIMIT_NOFILE, &files);
    }
    s_visitor_t *visitors = calloc (run.options.clients, sizeof *visitors);
    pthread_t *threads = calloc (run.options.clients, sizeof *threads);
    if (!visitors || !threads)
        return 1;

    int64_t begin = s_now ();
    for (unsigned index = 0; index < run.options.clients; index++) {
        visitors[index] = (s_visitor_t){.run = &run, .number = index};
        if (pthread_create (&threads[index], NULL, s_visit, &visitors[index]) != 0) {
            fputs ("conversations: no thread\n", stderr);
            return 1;
        }
    }
    if (run.options.hold > 0)
        s_wait_for_release (&run);
    for (unsigned index = 0; index < run.options.clients; index++)
        pthread_join (threads[index], NULL);
    s_report (&run, s_now () - begin);
    free (visitors);
    free (threads);
    return run.own_data == run.options.clients * run.options.rounds ? 0 : 1;
}
