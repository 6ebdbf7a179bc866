/*  A small web site as a worker: each conversation is a visit, with state of its own.

    SPDX-License-Identifier: MPL-2.0

        site [-s ENDPOINT[,ENDPOINT…]] [--slots N] [--delay MS]

    Requests are written as in HTTP, with the form after the path or after an empty line:

        GET /index.html                   the home page
        POST /login user=ada              logs in, and sends on to /user
        GET /user                         the user's page
        POST /update_profile city=London  changes the profile
        GET /settings                     shows it

    One thread handles everything, so no visit needs a lock. SIGTERM drains: present visits go on,
    new ones go to other workers. A second SIGTERM ends it.
*/

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <riposte/worker.h>

#define FIELD_MAX 128 /* bytes of a user's name or city, longer ones are cut */
#define PAGE_MAX 4096 /* all fields fit, with every character escaped */
#define BUCKETS 1024

typedef struct visit {
    uint64_t conversation;
    char user[FIELD_MAX]; /* "" before the login */
    char city[FIELD_MAX];
    struct visit *next;
} visit_t;

typedef struct {
    visit_t *buckets[BUCKETS];
    unsigned long delay_ms;
} site_t;

/*  ---- Visits ------------------------------------------------------------------------------  */

static visit_t **find (site_t *site, uint64_t conversation)
{
    visit_t **place = &site->buckets[conversation % BUCKETS];
    while (*place && (*place)->conversation != conversation)
        place = &(*place)->next;
    return place;
}

static visit_t *visit_of (site_t *site, uint64_t conversation)
{
    visit_t **place = find (site, conversation);
    if (!*place && (*place = calloc (1, sizeof **place)))
        (*place)->conversation = conversation;
    return *place;
}

static void forget (uint64_t conversation, void *site)
{
    visit_t **place = find (site, conversation);
    visit_t *visit = *place;
    if (visit)
        *place = visit->next;
    free (visit);
}

/*  ---- Pages -------------------------------------------------------------------------------  */

typedef struct {
    char text[PAGE_MAX];
    size_t size;
} page_t;

static void __attribute__ ((format (printf, 2, 3))) add (page_t *page, const char *format, ...)
{
    va_list list;
    va_start (list, format);
    int size = vsnprintf (page->text + page->size, PAGE_MAX - page->size, format, list);
    va_end (list);
    page->size += size > 0 ? (size_t) size : 0;
    if (page->size >= PAGE_MAX)
        page->size = PAGE_MAX - 1;
}

/*  A user's text must not become markup.  */
static void add_field (page_t *page, const char *label, const char *value)
{
    add (page, "<p>%s: ", label);
    for (; *value; value++)
        if (strchr ("<>&\"'", *value))
            add (page, "&#%d;", *value);
        else
            add (page, "%c", *value);
    add (page, "</p>\n");
}

static void add_page (page_t *page, const char *title, const visit_t *visit)
{
    add (page, "<!doctype html><title>%s</title>\n<h1>%s</h1>\n", title, title);
    if (*visit->user) {
        add_field (page, "User", visit->user);
        add_field (page, "City", *visit->city ? visit->city : "not said yet");
    }
    else
        add (page, "<p>Log in: POST /login user=NAME</p>\n");
}

/*  ---- Requests ----------------------------------------------------------------------------  */

/*  A route and its reply; a refusal has only the status.  */
typedef struct {
    const char *status, *title, *location;
    const char *method, *path;
    bool open;         /* allowed without a login */
    const char *field; /* a field that the form must have */
    size_t member;     /* offset of the field's value in the visit */
} route_t;

static const route_t routes[] = {
  {"200 OK", "Home", NULL, "GET", "/", true, NULL, 0},
  {"200 OK", "Home", NULL, "GET", "/index.html", true, NULL, 0},
  {"302 Found", "Welcome", "/user", "POST", "/login", true, "user=", offsetof (visit_t, user)},
  {"200 OK", "Your page", NULL, "GET", "/user", false, NULL, 0},
  {"200 OK", "Success: your profile is changed", NULL, "POST", "/update_profile", false,
    "city=", offsetof (visit_t, city)},
  {"200 OK", "Settings", NULL, "GET", "/settings", false, NULL, 0},
};
static const route_t bad_request = {.status = "400 Bad Request"};
static const route_t forbidden = {.status = "403 Forbidden"};
static const route_t not_found = {.status = "404 Not Found"};
static const route_t wrong_method = {.status = "405 Method Not Allowed"};

/*  Copies the value of a form's field. False if the form has no such field.  */
static bool take_field (const char *form, const char *field, char *value)
{
    const char *at = strstr (form, field);
    while (at && at > form && !strchr ("& \r\n", at[-1]))
        at = strstr (at + 1, field);
    if (!at)
        return false;
    at += strlen (field);
    snprintf (value, FIELD_MAX, "%.*s", (int) strcspn (at, "&\r\n"), at);
    return *value != '\0';
}

static const route_t *handle (
  visit_t *visit, const char *method, const char *path, const char *form)
{
    const route_t *refusal = &not_found;
    for (size_t index = 0; index < sizeof routes / sizeof *routes; index++) {
        const route_t *route = &routes[index];
        if (strcmp (route->path, path) != 0)
            continue;
        refusal = &wrong_method;
        if (strcmp (route->method, method) != 0)
            continue;
        if (!route->open && !*visit->user)
            return &forbidden;
        if (route->field && !take_field (form, route->field, (char *) visit + route->member))
            return &bad_request;
        return route;
    }
    return refusal;
}

/*  text: "POST /login user=ada", or "POST /login HTTP/1.1", lines, an empty one, and the form.  */
static void answer (visit_t *visit, const char *text, page_t *reply)
{
    char method[8];
    char path[64];
    int size = 0;
    const char *form = strstr (text, "\r\n\r\n");
    form = form ? form : strstr (text, "\n\n");
    const route_t *route = &bad_request;
    if (sscanf (text, "%7s %63s%n", method, path, &size) == 2)
        route = handle (visit, method, path, form ? form + strspn (form, "\r\n") : text + size);

    page_t page = {.size = 0};
    add_page (&page, route->title ? route->title : route->status, visit);
    add (reply, "HTTP/1.1 %s\r\n", route->status);
    if (route->location)
        add (reply, "Location: %s\r\n", route->location);
    add (reply, "Content-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
      page.size, page.text);
}

/*  The body as a string, which the caller frees; NULL when out of memory. A body has no zero byte
    at its end.  */
static char *text_of (const rp_task_t *task)
{
    size_t size = rp_task_size (task);
    char *text = malloc (size + 1);
    if (text) {
        memcpy (text, rp_task_body (task), size);
        text[size] = '\0';
    }
    return text;
}

static void serve (rp_task_t **task_p, void *arg)
{
    site_t *site = arg;
    struct timespec delay = {.tv_sec = (time_t) (site->delay_ms / 1000),
      .tv_nsec = (long) (site->delay_ms % 1000 * 1000000)};
    nanosleep (&delay, NULL);

    visit_t nobody = {0}; // outside a conversation nothing is kept
    uint64_t conversation = rp_task_conversation (*task_p);
    visit_t *visit = conversation ? visit_of (site, conversation) : &nobody;
    char *text = text_of (*task_p);
    page_t reply = {.size = 0};
    if (visit && text) {
        answer (visit, text, &reply);
        (void) rp_task_reply (task_p, reply.text, reply.size);
    }
    else
        (void) rp_task_fail (task_p, 500, "out of memory", NULL, 0);
    free (text);
}

/*  ---- The program -------------------------------------------------------------------------  */

static rp_worker_t *worker; // for on_signal

static void on_signal (int number)
{
    static volatile sig_atomic_t again;
    (void) number;
    if (again)
        rp_worker_stop (worker);
    else
        rp_worker_drain (worker);
    again = 1;
}

static void notice (const char *text, void *arg)
{
    (void) arg;
    fprintf (stderr, "site: %s\n", text);
}

/*  Uses the worker's key and the broker's that the environment names; without them it connects to a
    broker without security.  */
static int secure (rp_worker_t *self)
{
    const char *key_file = getenv ("RIPOSTE_KEY_FILE");
    const char *server_key = getenv ("RIPOSTE_SERVER_KEY");
    int rc = key_file ? rp_worker_set_key_file (self, key_file) : RP_OK;
    return rc == RP_OK && server_key ? rp_worker_set_server_key (self, server_key) : rc;
}

static int run (const char *server, uint32_t slots, site_t *site)
{
    char why[256];
    worker = rp_worker_new (server, "site");
    if (!worker || rp_worker_set_slots (worker, slots) != RP_OK) {
        fprintf (stderr, "site: cannot serve at %s with %u slots\n", server, slots);
        rp_worker_destroy (&worker);
        return RP_USAGE;
    }
    if (secure (worker) != RP_OK) {
        fprintf (stderr, "site: %s\n", rp_worker_last_error (worker, why, sizeof why));
        rp_worker_destroy (&worker);
        return RP_USAGE;
    }
    (void) rp_worker_on_conversation_end (worker, forget, site);
    (void) rp_worker_on_notice (worker, notice, NULL);
    signal (SIGTERM, on_signal);
    signal (SIGINT, on_signal);
    int rc = rp_worker_run (worker, serve, site);
    if (rc != RP_OK)
        fprintf (stderr, "site: %s: %s\n", rp_strerror (rc),
          rp_worker_last_error (worker, why, sizeof why));
    // From here on there is nothing to drain, and soon no worker that on_signal could ask to drain.
    signal (SIGTERM, SIG_IGN);
    signal (SIGINT, SIG_IGN);
    rp_worker_destroy (&worker);
    return rc;
}

int main (int argc, char **argv)
{
    static const struct option options[] = {{"server", required_argument, NULL, 's'},
      {"slots", required_argument, NULL, 'n'}, {"delay", required_argument, NULL, 'd'}, {0}};
    static site_t site;
    const char *server = getenv ("RIPOSTE_SERVER");
    unsigned long slots = 16;
    int option;
    for (;;) {
        int entry = -1;
        const char *token = optind < argc ? argv[optind] : "";
        if ((option = getopt_long (argc, argv, "+s:", options, &entry)) == -1)
            break;
        // getopt_long also accepts a prefix of a name, which may be another option than was meant.
        if (entry >= 0 && strcspn (token + 2, "=") != strlen (options[entry].name)) {
            fprintf (
              stderr, "site: unknown option %s (did you mean --%s?)\n", token, options[entry].name);
            return rp_status_exit_code (RP_USAGE);
        }
        if (option == 's')
            server = optarg;
        else if (option == 'n')
            slots = strtoul (optarg, NULL, 10);
        else if (option == 'd')
            site.delay_ms = strtoul (optarg, NULL, 10);
        else
            return rp_status_exit_code (RP_USAGE);
    }
    int rc = run (server ? server : "tcp://127.0.0.1:5555", (uint32_t) slots, &site);
    for (size_t index = 0; index < BUCKETS; index++)
        while (site.buckets[index])
            forget (site.buckets[index]->conversation, &site);
    return rp_status_exit_code (rc);
}
