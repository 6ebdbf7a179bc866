/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/streams.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/http_access.h"
#include "broker/admin/http_answers.h"
#include "broker/admin/overview.h"
#include "common/io/clock.h"

/*  Bytes that libmicrohttpd asks for at once.  */
#define S_BLOCK ((size_t) 8192)

typedef struct {
    rp_list_node_t node;
    rp_streams_t *owner;
    struct MHD_Connection *connection;
    int descriptor;
    bool suspended;
    bool ended;
    int64_t spoke;                  /* when something was given to it last, µs */
    uint64_t edition;               /* of the overview that it has */
    uint64_t since;                 /* number of the last event that it has */
    rp_asking_question_t *question; /* on its way; NULL: none */
    char *text;                     /* what its reader has not taken yet; NULL: nothing */
    size_t size;
    size_t taken;
    char authorization[RP_HTTP_AUTHORIZATION_MAX];
} s_stream_t;

/*  ---- What is written to a stream ------------------------------------------------------------ */

/*  Lets libmicrohttpd take what there is.  */
static void s_wake (s_stream_t *stream)
{
    if (stream->suspended)
        MHD_resume_connection (stream->connection);
    stream->suspended = false;
}

static void s_end (s_stream_t *stream)
{
    stream->ended = true;
    s_wake (stream);
}

/*  Gives a stream more. Out of memory ends it; its reader comes again.  */
static void s_give (s_stream_t *stream, const char *text, size_t size, int64_t now)
{
    char *longer = realloc (stream->text, stream->size + size);
    if (longer) {
        memcpy (longer + stream->size, text, size);
        stream->text = longer;
        stream->size += size;
    }
    stream->ended |= !longer;
    stream->spoke = now;
    s_wake (stream);
}

__attribute__ ((format (printf, 3, 4))) static void s_say (
  s_stream_t *stream, int64_t now, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start (arguments, format);
    int size = vasprintf (&text, format, arguments);
    va_end (arguments);
    if (size < 0)
        s_end (stream);
    else {
        s_give (stream, text, (size_t) size, now);
        free (text);
    }
}

static void s_say_event (s_stream_t *stream, const char *instance, json_t *event, int64_t now)
{
    char *text = json_dumps (event, JSON_COMPACT);
    if (text)
        s_say (stream, now, "id: %s.%" JSON_INTEGER_FORMAT "\nevent: event\ndata: %s\n\n", instance,
          json_integer_value (json_object_get (event, "number")), text);
    else
        s_end (stream);
    free (text);
}

/*  Writes the answer to a stream's question for events.  */
static void s_say_events (s_stream_t *stream, const json_t *answer, int64_t now)
{
    size_t index;
    json_t *event;
    const char *instance = json_string_value (json_object_get (answer, "instance"));
    json_int_t missed = json_integer_value (json_object_get (answer, "missed"));
    if (missed > 0)
        s_say (
          stream, now, "event: missed\ndata: {\"missed\":%" JSON_INTEGER_FORMAT "}\n\n", missed);
    json_array_foreach (json_object_get (answer, "events"), index, event)
      s_say_event (stream, instance, event, now);
    stream->since = (uint64_t) json_integer_value (json_object_get (answer, "last"));
}

/*  The question of a stream, which may have left, was answered.  */
static void s_take_events (rp_asking_question_t *question)
{
    s_stream_t *stream = question->asker;
    if (stream) {
        stream->question = NULL;
        if (question->answer)
            s_say_events (stream, question->answer, rp_clock_us ());
    }
    rp_asking_question_destroy (&question);
}

/*  Asks for the events that a stream does not have. If there is no room now, the next turn asks.  */
static void s_ask_events (s_stream_t *stream)
{
    json_t *params = json_pack ("{s:I}", "since", (json_int_t) stream->since);
    rp_asking_question_t *question =
      params ? rp_asking_question_new ("events", strlen ("events"), params) : NULL;
    if (!question) {
        json_decref (params);
        return;
    }
    question->told = s_take_events;
    question->asker = stream;
    if (rp_asking_ask (stream->owner->asking, question))
        stream->question = question;
    else
        rp_asking_question_destroy (&question);
}

/*  ---- Turns ---------------------------------------------------------------------------------- */

/*  libmicrohttpd does not look at suspended connections.  */
static bool s_has_left (const s_stream_t *stream)
{
    struct pollfd item = {.fd = stream->descriptor, .events = POLLRDHUP};
    return stream->suspended && poll (&item, 1, 0) > 0;
}

static bool s_may_stay (const s_stream_t *stream, const rp_snapshot_t *snapshot)
{
    const char *why;
    return stream->owner->open
           || rp_http_access (snapshot, *stream->authorization ? stream->authorization : NULL,
                RP_RULE_OBSERVE, &why)
                == 0;
}

static void s_feed_one (s_stream_t *stream, const rp_snapshot_t *snapshot, int64_t now)
{
    const rp_streams_t *self = stream->owner;
    if (s_has_left (stream) || !s_may_stay (stream, snapshot)) {
        s_end (stream);
        return;
    }
    if (stream->text) // its reader has not taken it yet
        return;
    if (self->overview && stream->edition != self->edition) {
        stream->edition = self->edition;
        s_say (stream, now, "event: overview\ndata: %s\n\n", self->overview);
    }
    if (stream->since != snapshot->last_event && !stream->question)
        s_ask_events (stream);
    if (now - stream->spoke >= RP_STREAMS_SILENCE_US)
        s_say (stream, now, ":\n\n");
}

/*  Writes the overview anew. Out of memory the one before stays.  */
static void s_renew (rp_streams_t *self, const rp_snapshot_t *snapshot)
{
    json_t *json = rp_overview_json (snapshot);
    char *overview = json ? json_dumps (json, JSON_COMPACT) : NULL;
    json_decref (json);
    bool same = !overview || (self->overview && strcmp (overview, self->overview) == 0);
    if (same) {
        free (overview);
        return;
    }
    free (self->overview);
    self->overview = overview;
    self->edition++;
}

void rp_streams_feed (rp_streams_t *self, const rp_snapshot_t *snapshot, int64_t now)
{
    if (!self->asked)
        return;
    self->asked = false;
    s_renew (self, snapshot);
    for (rp_list_node_t *node = rp_list_first (&self->list); node;
         node = rp_list_next (&self->list, node))
        s_feed_one ((s_stream_t *) node, snapshot, now);
}

bool rp_streams_want (rp_streams_t *self, int64_t now)
{
    if (now < self->due)
        return false;
    self->due = now + RP_STREAMS_TURN_US;
    self->asked = true;
    return true;
}

int64_t rp_streams_due (const rp_streams_t *self)
{
    return self->due;
}

/*  ---- Beginning and end ---------------------------------------------------------------------- */

/*  A MHD_ContentReaderCallback.  */
static ssize_t s_read (void *arg, uint64_t position, char *buffer, size_t most)
{
    s_stream_t *stream = arg;
    (void) position;
    if (stream->ended || stream->owner->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t size = stream->size - stream->taken;
    if (size > most)
        size = most;
    if (size > 0) {
        memcpy (buffer, stream->text + stream->taken, size);
        stream->taken += size;
        return (ssize_t) size;
    }
    rp_http_peers_progress (stream->owner->peers, stream->connection);
    free (stream->text);
    stream->text = NULL;
    stream->size = stream->taken = 0;
    stream->suspended = true;
    MHD_suspend_connection (stream->connection);
    return 0;
}

/*  A MHD_ContentReaderFreeCallback.  */
static void s_free (void *arg)
{
    s_stream_t *stream = arg;
    rp_streams_t *self = stream->owner;
    rp_list_remove (&stream->node);
    if (--self->count == 0)
        self->due = INT64_MAX;
    if (stream->question)
        stream->question->asker = NULL;
    free (stream->text);
    free (stream);
}

/*  Returns the number of the last event that a reader has, by its header Last-Event-ID.  */
static uint64_t s_since (const char *header, const rp_snapshot_t *snapshot)
{
    if (!header)
        return snapshot->last_event;
    size_t size = strlen (snapshot->instance);
    char *rest;
    if (strncmp (header, snapshot->instance, size) != 0 || header[size] != '.')
        return 0;
    uint64_t number = strtoull (header + size + 1, &rest, 10);
    return *rest || number > snapshot->last_event ? 0 : number;
}

static s_stream_t *s_new (
  rp_streams_t *self, struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    s_stream_t *stream = info ? calloc (1, sizeof *stream) : NULL;
    if (!stream)
        return NULL;
    stream->owner = self;
    stream->connection = connection;
    stream->descriptor = info->connect_fd;
    stream->spoke = snapshot->taken;
    stream->since = s_since (
      MHD_lookup_connection_value (connection, MHD_HEADER_KIND, "Last-Event-ID"), snapshot);
    const char *authorization =
      MHD_lookup_connection_value (connection, MHD_HEADER_KIND, "Authorization");
    if (authorization)
        strncpy (stream->authorization, authorization, sizeof stream->authorization - 1);
    return stream;
}

enum MHD_Result rp_streams_open (
  rp_streams_t *self, struct MHD_Connection *connection, const rp_snapshot_t *snapshot)
{
    if (self->count == RP_STREAMS_MAX || self->count >= self->peers->most / 4)
        return rp_http_say (connection, MHD_HTTP_SERVICE_UNAVAILABLE,
          "too many readers follow this broker; close one of them");
    s_stream_t *stream = s_new (self, connection, snapshot);
    struct MHD_Response *response =
      stream ? MHD_create_response_from_callback (MHD_SIZE_UNKNOWN, S_BLOCK, s_read, stream, s_free)
             : NULL;
    if (!response) {
        free (stream);
        return MHD_NO; // out of memory: the connection is closed
    }
    rp_list_append (&self->list, &stream->node);
    self->count++;
    self->due = INT64_MIN; // it gets something now
    return rp_http_queue (connection, MHD_HTTP_OK, response, "text/event-stream");
}

void rp_streams_end (rp_streams_t *self)
{
    self->ending = true;
    for (rp_list_node_t *node = rp_list_first (&self->list); node;
         node = rp_list_next (&self->list, node))
        s_wake ((s_stream_t *) node);
}

void rp_streams_init (rp_streams_t *self, rp_http_peers_t *peers, rp_asking_t *asking, bool open)
{
    *self = (rp_streams_t){.peers = peers, .asking = asking, .open = open, .due = INT64_MAX};
    rp_list_init (&self->list);
}

void rp_streams_clear (rp_streams_t *self)
{
    free (self->overview);
    self->overview = NULL;
}
