/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/http.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <microhttpd.h>

#include "broker/admin/http_access.h"
#include "broker/admin/http_answers.h"
#include "broker/admin/http_peers.h"
#include "broker/admin/http_questions.h"
#include "broker/admin/pages.h"
#include "broker/admin/streams.h"
#include "common/base/check.h"
#include "common/base/earlier.h"
#include "common/base/list.h"
#include "common/http/address.h"
#include "common/http/daemon.h"
#include "common/io/clock.h"

/*  A snapshot that is younger than this answers a request at once, µs.  */
#define S_FRESH_US 250000
/*  A broker that has published nothing for so long does not live, µs.  */
#define S_PATIENCE_US 2000000
#define S_HEADER_BYTES ((size_t) 16384)
#define S_IDLE_S 30u
#define S_STREAM "/events"

struct rp_http {
    const rp_http_options_t *options;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    rp_snapshot_t *snapshot;   /* the latest; NULL: none yet */
    rp_page_metrics_t metrics; /* of that */
    rp_list_t waiting;         /* requests that wait for a snapshot, the longest first */
    rp_list_t knocking;        /* requests that wait for a sign of life, the longest first */
    rp_http_peers_t peers;
    rp_list_t asking; /* requests that wait for an answer, the longest first */
    rp_streams_t streams;
    int epoll;
    int stop; /* an eventfd */
    bool ending;
};

typedef struct {
    rp_list_node_t node; /* while it waits */
    struct MHD_Connection *connection;
    int64_t began;
    bool waited; /* for a snapshot or a sign of life; it got one, or none came */
    bool asked;  /* a question */
    bool posted; /* by POST, with a body */
    bool large;  /* the body is larger than a question's */
    size_t size; /* of the body */
    char *body;  /* room for RP_HTTP_QUESTION_BODY_MAX bytes; NULL: none */
    rp_asking_question_t
      *question; /* that it waits for, or that is answered; NULL: none, or too late */
} s_request_t;

/*  ---- Who asks ------------------------------------------------------------------------------- */

static const char *s_header (struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value (connection, MHD_HEADER_KIND, name);
}

static bool s_is_host_known (const rp_http_t *self, struct MHD_Connection *connection)
{
    const char *host = s_header (connection, "Host");
    const char *hosts = self->options->hosts;
    return host
           && (rp_http_host_is_local (host) || rp_http_host_is_address (host)
               || (hosts && rp_http_host_is_listed (host, hosts)));
}

/*  Returns 0 if a request may see what the snapshot says; otherwise the status, and *why.  */
static unsigned s_refusal (
  const rp_http_t *self, struct MHD_Connection *connection, const char **why)
{
    if (self->options->open)
        return 0;
    return rp_http_access (
      self->snapshot, s_header (connection, "Authorization"), RP_RULE_OBSERVE, why);
}

/*  True if the other end is on this machine, and says of nobody else that he asks through it.  */
static bool s_is_here (struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    rp_http_address_t address = {0};
    if (!info || !info->client_addr)
        return false;
    if (info->client_addr->sa_family == AF_INET6)
        memcpy (&address.v6, info->client_addr, sizeof address.v6);
    else
        memcpy (&address.v4, info->client_addr, sizeof address.v4);
    return rp_http_address_is_loopback (&address) && !s_header (connection, "Forwarded")
           && !s_header (connection, "X-Forwarded-For") && !s_header (connection, "Via");
}

/*  The same of a request that changes something, or sees a body.  */
static unsigned s_admin_refusal (
  const rp_http_t *self, struct MHD_Connection *connection, bool changes, const char **why)
{
    const char *type = s_header (connection, "Content-Type");
    static const char json[] = "application/json";
    return rp_http_access_admin (self->snapshot, s_header (connection, "Authorization"),
      &(rp_http_sender_t){.host = s_header (connection, "Host"),
        .origin = s_header (connection, "Origin"),
        .json = type && strncasecmp (type, json, sizeof json - 1) == 0
                && (!type[sizeof json - 1] || strchr ("; ", type[sizeof json - 1])),
        .here = s_is_here (connection)},
      changes, why);
}

/*  ---- Questions ------------------------------------------------------------------------------ */

static void s_resume (s_request_t *request)
{
    rp_list_remove (&request->node);
    rp_http_daemon_resume (request->connection, S_IDLE_S);
}

/*  A question was answered. If its request has given up, nobody else has it.  */
static void s_take_answer (rp_asking_question_t *question)
{
    s_request_t *request = question->asker;
    if (request)
        s_resume (request);
    else
        rp_asking_question_destroy (&question);
}

/*  Asks the question of a request, which waits for the answer.  */
static enum MHD_Result s_ask (
  rp_http_t *self, s_request_t *request, const rp_http_question_t *what, int64_t now)
{
    const char *why;
    char wrong[RP_QUESTION_WRONG_MAX];
    rp_asking_question_t *question =
      rp_http_question_read (what, request->connection, request->body, request->size, wrong);
    if (!question)
        return rp_http_question_refuse (request->connection, wrong);
    unsigned refusal = rp_http_question_reveals (question)
                         ? s_admin_refusal (self, request->connection, false, &why)
                         : 0;
    if (refusal) {
        rp_asking_question_destroy (&question);
        return rp_http_say (request->connection, refusal, why);
    }
    if (what->changes)
        rp_http_access_name (
          self->snapshot, s_header (request->connection, "Authorization"), question->who);
    question->told = s_take_answer;
    question->asker = request;
    if (self->ending || !rp_asking_ask (self->options->asking, question)) {
        rp_asking_question_destroy (&question);
        return rp_http_say (request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
          "too many questions wait for the broker; ask again");
    }
    request->asked = true;
    request->question = question;
    request->began = now;
    rp_list_append (&self->asking, &request->node);
    MHD_suspend_connection (request->connection);
    return MHD_YES;
}

/*  Answers a request whose question was answered, or was not within S_PATIENCE_US.  */
static enum MHD_Result s_tell_answer (s_request_t *request)
{
    return request->question
             ? rp_http_question_tell (request->connection, request->question)
             : rp_http_say (request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
               request->posted
                 ? "the broker has not answered for 2 s; it may have been done: look first"
                 : "the broker has not answered this question for 2 s; ask again");
}

/*  ---- Answers -------------------------------------------------------------------------------- */

/*  When the broker's loop turned last, as far as is known. life: any sign of that will do; otherwise a snapshot
    has to be of that time.  */
static int64_t s_known (const rp_http_t *self, bool life)
{
    if (life)
        return rp_publisher_heard (self->options->publisher);
    return self->snapshot ? self->snapshot->taken : INT64_MIN / 2;
}

/*  Lets a request wait until more is known. A sign of life costs the broker next to nothing, a snapshot does.  */
static enum MHD_Result s_wait (rp_http_t *self, s_request_t *request, bool life)
{
    rp_list_append (life ? &self->knocking : &self->waiting, &request->node);
    MHD_suspend_connection (request->connection);
    if (life)
        rp_publisher_knock (self->options->publisher);
    else
        rp_publisher_ask (self->options->publisher);
    return MHD_YES;
}

/*  Answers a request with a method that its path does not have.  */
static enum MHD_Result s_refuse_method (
  struct MHD_Connection *connection, const rp_http_question_t *question)
{
    return question && question->changes
             ? rp_http_say_allowed (connection, "POST", "this changes something: POST it, as JSON")
             : rp_http_say_allowed (connection, "GET, HEAD", "this is read with GET");
}

static enum MHD_Result s_answer (
  rp_http_t *self, s_request_t *request, const char *path, int64_t now)
{
    struct MHD_Connection *connection = request->connection;
    rp_http_question_t what;
    const rp_page_t *page = rp_page_find (path);
    const rp_http_question_t *question =
      !page && rp_http_question_find (&what, path) ? &what : NULL;
    if (request->asked)
        return s_tell_answer (request);
    if (request->posted != (question && question->changes))
        return s_refuse_method (connection, question);
    if (!s_is_host_known (self, connection))
        return rp_http_say (connection, MHD_HTTP_FORBIDDEN,
          "this Host is not known here; name it in the setting http_hosts");
    if (!page && !question && strcmp (path, S_STREAM) != 0)
        return rp_http_say (connection, MHD_HTTP_NOT_FOUND,
          "there are /, /metrics, /livez, /readyz, /events, and /api/ with status, services, "
          "workers, overview, service?name=NAME, trace/ID, slow, explain, events, config, jobs, "
          "jobs/ID and dead");
    bool life = page && page->life != NULL;
    if (!request->waited && now - s_known (self, life) >= S_FRESH_US && !self->ending)
        return s_wait (self, request, life);
    if (now - s_known (self, life) >= S_PATIENCE_US)
        return rp_http_say (
          connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the broker's loop has not answered for 2 s");
    if (life)
        return page->life (connection, rp_publisher_is_draining (self->options->publisher));
    const char *why;
    unsigned refusal = request->posted ? s_admin_refusal (self, connection, true, &why)
                                       : s_refusal (self, connection, &why);
    if (refusal && !(page && page->bare))
        return rp_http_say (connection, refusal, why);
    if (request->large)
        return rp_http_say (
          connection, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than 8 KiB");
    if (question)
        return s_ask (self, request, question, now);
    if (page && page->share)
        return page->share (connection, self->snapshot, &self->metrics);
    return page ? page->answer (connection, refusal ? NULL : self->snapshot)
                : rp_streams_open (&self->streams, connection, self->snapshot);
}

/*  Keeps what has come of a body, as far as a question may have one.  */
static enum MHD_Result s_take_body (s_request_t *request, const char *data, size_t *size)
{
    if (request->posted && !request->body && !(request->body = malloc (RP_HTTP_QUESTION_BODY_MAX)))
        return MHD_NO;
    request->large |= request->posted && *size > RP_HTTP_QUESTION_BODY_MAX - request->size;
    if (request->posted && !request->large) {
        memcpy (request->body + request->size, data, *size);
        request->size += *size;
    }
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result s_on_request (void *arg,
  struct MHD_Connection *connection,
  const char *path,
  const char *method,
  const char *version,
  const char *data,
  size_t *size,
  void **context)
{
    (void) version;
    s_request_t *request = *context;
    if (!request) { // its headers; a body would come next
        if (!(*context = request = calloc (1, sizeof *request)))
            return MHD_NO;
        request->connection = connection;
        request->began = rp_clock_us ();
        request->posted = strcmp (method, "POST") == 0;
        return MHD_YES;
    }
    if (*size > 0)
        return s_take_body (request, data, size);
    rp_http_t *self = arg;
    rp_http_peers_progress (&self->peers, connection);
    if (request->waited || request->asked)
        rp_http_daemon_resumed (connection, S_IDLE_S);
    if (!request->posted && strcmp (method, "GET") != 0 && strcmp (method, "HEAD") != 0) {
        rp_http_question_t question;
        return s_refuse_method (
          connection, rp_http_question_find (&question, path) ? &question : NULL);
    }
    return s_answer (self, request, path, rp_clock_us ());
}

static void s_on_completed (
  void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode how)
{
    (void) how;
    rp_http_t *self = arg;
    s_request_t *request = *context; // it does not wait: a suspended request does not end
    rp_http_peers_progress (&self->peers, connection);
    if (request) {
        rp_asking_question_destroy (&request->question);
        free (request->body);
    }
    free (request);
    *context = NULL;
}

/*  ---- The thread ----------------------------------------------------------------------------- */

/*  Lets those go on who wait for an answer and have waited too long. Returns when to look again.  */
static int64_t s_give_up (rp_http_t *self, int64_t now)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->asking))) {
        s_request_t *request = (s_request_t *) node;
        if (!self->ending && now < request->began + S_PATIENCE_US)
            return request->began + S_PATIENCE_US;
        request->question->asker = NULL;
        request->question = NULL;
        s_resume (request);
    }
    return INT64_MAX;
}

/*  Lets those go on who have what they waited for, or have waited too long. Returns when to look
    again.  */
static int64_t s_resume_due (rp_http_t *self, bool life, int64_t now)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (life ? &self->knocking : &self->waiting))) {
        s_request_t *request = (s_request_t *) node;
        bool fresh = s_known (self, life) >= request->began - S_FRESH_US;
        if (!fresh && !self->ending && now < request->began + S_PATIENCE_US)
            return request->began + S_PATIENCE_US;
        request->waited = true;
        s_resume (request);
    }
    return INT64_MAX;
}

static void s_take_answers (rp_http_t *self)
{
    rp_asking_question_t *question;
    while ((question = rp_asking_take (self->options->asking)))
        question->told (question);
}

static void s_take_snapshot (rp_http_t *self)
{
    rp_snapshot_t *fresh = rp_publisher_take (self->options->publisher);
    if (!fresh)
        return;
    rp_page_metrics_drop (&self->metrics);
    rp_snapshot_destroy (&self->snapshot);
    self->snapshot = fresh;
    rp_streams_feed (&self->streams, fresh, rp_clock_us ());
}

/*  Lets those go on who have what they waited for, or have waited too long. Returns when something is due
    next.  */
static int64_t s_look (rp_http_t *self, int64_t now)
{
    if (rp_streams_want (&self->streams, now))
        rp_publisher_ask (self->options->publisher);
    int64_t due = rp_streams_due (&self->streams);
    due = rp_earlier (due, s_resume_due (self, false, now));
    due = rp_earlier (due, s_resume_due (self, true, now));
    return rp_earlier (due, s_give_up (self, now));
}

static void *s_serve (void *arg)
{
    rp_http_t *self = arg;
    struct epoll_event events[4];
    while (!self->ending) {
        int64_t now = rp_clock_us ();
        int64_t due = s_look (self, now);
        int64_t room = rp_http_peers_make_room (&self->peers, now);
        due = room < due ? room : due;
        int count =
          epoll_wait (self->epoll, events, 4, rp_http_daemon_wait_ms (self->daemon, due, now));
        for (int index = 0; index < count; index++)
            self->ending |= events[index].data.ptr == &self->stop;
        s_take_answers (self);
        s_take_snapshot (self);
        (void) s_look (self, rp_clock_us ());
        if (!rp_http_daemon_run (self->daemon))
            break; // nothing is left that could serve; /livez fails to answer
    }
    return NULL;
}

/*  ---- Making --------------------------------------------------------------------------------- */

static bool s_watch (rp_http_t *self, int descriptor, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    return epoll_ctl (self->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static struct MHD_Daemon *s_listen (rp_http_t *self, const rp_http_address_t *address)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    if (address->any.sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon (flags, 0, NULL, NULL, s_on_request, self, MHD_OPTION_SOCK_ADDR,
      &address->any, MHD_OPTION_NOTIFY_COMPLETED, s_on_completed, self, MHD_OPTION_CONNECTION_LIMIT,
      self->peers.most, MHD_OPTION_NOTIFY_CONNECTION, rp_http_peers_on_connection, &self->peers,
      MHD_OPTION_UNESCAPE_CALLBACK, rp_http_question_unescape, NULL,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, S_HEADER_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, S_IDLE_S,
      MHD_OPTION_END);
}

/*  Starts the thread with every signal blocked: signals are for the server's thread.  */
static bool s_start (rp_http_t *self)
{
    sigset_t all;
    sigset_t before;
    sigfillset (&all);
    if (pthread_sigmask (SIG_SETMASK, &all, &before) != 0)
        return false;
    int rc = pthread_create (&self->thread, NULL, s_serve, self);
    RP_CHECK (pthread_sigmask (SIG_SETMASK, &before, NULL) == 0);
    errno = rc;
    return rc == 0;
}

static bool s_make (rp_http_t *self, const rp_http_address_t *address)
{
    self->epoll = epoll_create1 (EPOLL_CLOEXEC);
    self->stop = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->epoll < 0 || self->stop < 0 || !(self->daemon = s_listen (self, address)))
        return false;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info && s_watch (self, info->epoll_fd, self->daemon)
           && s_watch (self, self->stop, &self->stop)
           && s_watch (self, self->options->publisher->told, self->options->publisher)
           && s_watch (self, self->options->asking->told, self->options->asking);
}

static void s_free (rp_http_t *self)
{
    int reason = errno;
    if (self->daemon)
        MHD_stop_daemon (self->daemon);
    rp_streams_clear (&self->streams);
    rp_page_metrics_drop (&self->metrics);
    rp_snapshot_destroy (&self->snapshot);
    if (self->epoll >= 0)
        close (self->epoll);
    if (self->stop >= 0)
        close (self->stop);
    free (self);
    errno = reason;
}

rp_http_t *rp_http_new (const rp_http_options_t *options)
{
    rp_http_address_t address;
    const char *reason;
    errno = EINVAL;
    if (!rp_http_address_parse (options->listen, &address, &reason))
        return NULL;
    rp_http_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->options = options;
    self->epoll = self->stop = -1;
    rp_list_init (&self->waiting);
    rp_list_init (&self->knocking);
    rp_http_peers_init (&self->peers);
    rp_list_init (&self->asking);
    rp_streams_init (&self->streams, &self->peers, options->asking, options->open);
    if (s_make (self, &address) && s_start (self))
        return self;
    s_free (self);
    return NULL;
}

unsigned rp_http_port (const rp_http_t *self)
{
    const union MHD_DaemonInfo *info =
      MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void rp_http_destroy (rp_http_t **self_p)
{
    rp_http_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    uint64_t one = 1;
    RP_CHECK (write (self->stop, &one, sizeof one) == (ssize_t) sizeof one);
    RP_CHECK (pthread_join (self->thread, NULL) == 0);
    // libmicrohttpd cannot stop while connections are suspended.
    self->ending = true;
    rp_streams_end (&self->streams);
    (void) s_look (self, rp_clock_us ());
    (void) MHD_run (self->daemon);
    s_free (self);
}
