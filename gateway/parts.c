/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/io/clock.h"
#include "gateway/admit.h"
#include "gateway/all.h"
#include "gateway/answer.h"
#include "gateway/event_text.h"
#include "gateway/open.h"
#include "gateway/peers.h"

/*  Bytes that libmicrohttpd asks for at once.  */
#define S_BLOCK ((size_t) 8192)
/*  Proxies commonly end a connection on which nothing happens for 30 or 60 s.  */
#define S_SILENCE_US INT64_C (15000000)
#define S_NEWS 64

struct rp_http_parts {
    rp_list_node_t node; /* in `silent` while events are wanted and its exchange is suspended */
    rp_http_exchange_t *exchange;
    rp_stream_t *stream;   /* NULL: there was no room for what it ended with */
    bool is_counted;       /* the body of the reply that ended it is */
    int64_t since;         /* when its exchange was suspended, µs */
    bool as_events;        /* otherwise as they are; answers of all workers as lines */
    rp_http_all_t answers; /* of all workers */
    bool is_late;          /* it was silent for too long */
    rp_event_text_t event; /* as_events: what is being written */
    const char *piece;     /* otherwise */
    size_t left;           /* of piece */
    char *end;             /* JSON of the last event; NULL: it has not come */
};

/*  ---- What is wanted -------------------------------------------------------------------------- */

static bool s_wants_events (const rp_http_exchange_t *self)
{
    const char *accept = rp_http_header (self, "Accept");
    return accept && rp_accept_has_events (accept);
}

bool rp_http_parts_are_wanted (const rp_http_exchange_t *self)
{
    const char *stream = rp_http_header (self, "Riposte-Stream");
    return s_wants_events (self) || (stream && strcasecmp (stream, "false") != 0);
}

bool rp_http_parts_set_terms (
  const rp_http_exchange_t *self, rp_call_t *call, char *fault, size_t size)
{
    const char *reason = NULL;
    const char *stream = rp_http_header (self, "Riposte-Stream");
    const char *idle = rp_http_header (self, "Riposte-Idle-Timeout");
    uint32_t ms = 0;
    if (stream && strcasecmp (stream, "true") != 0 && strcasecmp (stream, "false") != 0)
        snprintf (fault, size, "Riposte-Stream wants true or false");
    else if (idle && !rp_timeout_parse (idle, &ms, &reason))
        snprintf (fault, size, "Riposte-Idle-Timeout %s", reason);
    else if (rp_http_header (self, "Riposte-Hedge"))
        snprintf (fault, size, "Riposte-Hedge is not for replies in parts, which are one worker's");
    else if (rp_call_set_stream (call, (uint32_t) RP_HTTP_PARTS_WINDOW, ms) != RP_OK)
        snprintf (fault, size, "Riposte-Idle-Timeout finds no room");
    return *fault == '\0';
}

/*  ---- Beginning and end ----------------------------------------------------------------------- */

bool rp_http_parts_init (rp_gateway_t *gateway)
{
    rp_list_init (&gateway->silent);
    gateway->news = epoll_create1 (EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &gateway->news};
    return gateway->news >= 0
           && epoll_ctl (gateway->epoll, EPOLL_CTL_ADD, gateway->news, &event) == 0;
}

/*  Has the epoll say when the stream has news: at each edge, since a part stays in it until the peer takes it.  */
static bool s_watch (rp_http_parts_t *self)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = self};
    int descriptor = rp_stream_fd (self->stream);
    return descriptor >= 0
           && epoll_ctl (self->exchange->gateway->news, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

int rp_http_parts_begin (rp_http_exchange_t *self, rp_call_t **call_p)
{
    rp_gateway_t *gateway = self->gateway;
    if (gateway->streams >= gateway->options->streams)
        return RP_BUSY;
    rp_http_parts_t *parts = calloc (1, sizeof *parts);
    if (!parts)
        return RP_NO_MEMORY;
    int rc = rp_client_stream (gateway->client, call_p, &parts->stream);
    if (rc != RP_OK) {
        free (parts);
        return rc;
    }
    parts->exchange = self;
    rp_http_all_init (&parts->answers);
    parts->as_events = s_wants_events (self);
    self->parts = parts;
    gateway->streams++;
    return s_watch (parts) ? RP_OK : RP_SYSTEM;
}

static void s_be_heard (rp_http_parts_t *self)
{
    if (self->node.next)
        rp_list_remove (&self->node);
}

void rp_http_parts_destroy (rp_http_exchange_t *self)
{
    rp_http_parts_t *parts = self->parts;
    if (!parts)
        return;
    self->parts = NULL;
    self->gateway->streams--;
    s_be_heard (parts);
    rp_stream_destroy (&parts->stream); // which also takes its descriptor out of the epoll
    rp_http_all_clear (&parts->answers);
    free (parts->end);
    free (parts);
}

void rp_http_parts_cancel (rp_http_exchange_t *self)
{
    (void) rp_stream_cancel (self->parts->stream); // fails if it has just ended
}

/*  ---- The body of the response ---------------------------------------------------------------- */

static void s_wait (rp_http_parts_t *self)
{
    self->since = rp_clock_us ();
    s_be_heard (self);
    if (self->as_events)
        rp_list_append (&self->exchange->gateway->silent, &self->node);
    rp_http_exchange_suspend (self->exchange);
}

/*  Puts what is to be written next: a part, or with a name JSON, which ends with NUL.  */
static void s_put (rp_http_parts_t *self, const void *data, size_t size, const char *name)
{
    if (self->as_events)
        rp_event_text_begin (&self->event, data, size, name);
    self->piece = data;
    self->left = size;
}

static void s_put_json (rp_http_parts_t *self, char *text, const char *name)
{
    size_t size = strlen (text);
    if (!self->as_events)
        text[size++] = '\n';
    s_put (self, text, size, name);
}

/*  Writes what is left of the part, or of the last event. Returns how much; 0: nothing is left.  */
static size_t s_write (rp_http_parts_t *self, char *buffer, size_t most)
{
    if (self->as_events)
        return rp_event_text_write (&self->event, buffer, most);
    size_t size = self->left < most ? self->left : most;
    if (size == 0)
        return 0;
    memcpy (buffer, self->piece, size);
    self->piece += size;
    self->left -= size;
    return size;
}

/*  The stream has ended: as events it says how, otherwise a body that is not whole is broken off. Returns 0 if there
    is something to write.  */
static ssize_t s_end (rp_http_parts_t *self)
{
    const rp_reply_t *reply = rp_stream_reply (self->stream);
    if (!self->as_events && !self->exchange->wants_all)
        return rp_reply_status (reply) == RP_OK ? MHD_CONTENT_READER_END_OF_STREAM
                                                : MHD_CONTENT_READER_END_WITH_ERROR;
    if (self->end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    self->end = rp_answer_end (reply, self->exchange->resource.service);
    if (!self->end)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    s_put_json (self, self->end, "end");
    return 0;
}

/*  Puts the next answer of a worker. Returns as s_next.  */
static int s_next_answer (rp_http_parts_t *self)
{
    char *line;
    int rc = rp_http_all_next (&self->answers, self->exchange, &line);
    if (line)
        s_put_json (self, line, "answer");
    return rc;
}

/*  Puts the next part. Returns as rp_stream_read.  */
static int s_next (rp_http_parts_t *self)
{
    const void *data;
    size_t size;
    if (self->exchange->wants_all)
        return s_next_answer (self);
    int rc = rp_stream_read (self->stream, 0, &data, &size);
    if (rc == RP_OK)
        s_put (self, data, size, NULL);
    return rc;
}

/*  A MHD_ContentReaderCallback.  */
static ssize_t s_read (void *arg, uint64_t position, char *buffer, size_t most)
{
    (void) position;
    rp_http_parts_t *self = arg;
    rp_http_exchange_t *exchange = self->exchange;
    if (exchange->gateway->ending || exchange->peer->has_hung_up || exchange->refusal)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    rp_http_peer_await (exchange->gateway, exchange->peer); // it has taken something
    for (;;) {
        size_t size = s_write (self, buffer, most);
        if (size > 0)
            return (ssize_t) size;
        int rc = s_next (self);
        ssize_t end = rc == RP_CLOSED ? s_end (self) : 0;
        if (rc == RP_TIMED_OUT && self->is_late) {
            self->is_late = false;
            memcpy (buffer, ":\n\n", 3); // a block has more
            return 3;
        }
        else if (rc == RP_TIMED_OUT) {
            s_wait (self);
            return 0;
        }
        else if (rc != RP_CLOSED && rc != RP_OK)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        else if (end != 0)
            return end;
    }
}

/*  ---- The response ---------------------------------------------------------------------------- */

static const char *s_type (const rp_http_parts_t *self)
{
    if (self->as_events)
        return "text/event-stream";
    return self->exchange->wants_all ? "application/x-ndjson" : "application/octet-stream";
}

static struct MHD_Response *s_begin (rp_http_parts_t *self, unsigned *code)
{
    struct MHD_Response *response =
      MHD_create_response_from_callback (MHD_SIZE_UNKNOWN, S_BLOCK, s_read, self, NULL);
    if (!response)
        return NULL;
    (void) rp_answer_header (response, "Content-Type", s_type (self));
    (void) rp_answer_header (response, "Cache-Control", "no-store");
    (void) rp_answer_header (response, "X-Content-Type-Options", "nosniff");
    (void) rp_answer_header (
      response, "X-Accel-Buffering", "no"); // nginx collects bodies otherwise
    self->exchange->has_begun = true;
    *code = MHD_HTTP_OK;
    return response;
}

/*  The request has ended before a part was passed on, so its status can be that of the response.  */
static struct MHD_Response *s_whole (rp_http_parts_t *self, unsigned *code)
{
    const rp_reply_t *reply = rp_stream_reply (self->stream);
    *code = rp_http_status ((int) rp_reply_status (reply));
    return rp_answer_copy (reply, self->exchange->resource.service);
}

/*  True if the reply's own body is the only part.  */
static bool s_is_whole (rp_http_parts_t *self)
{
    const rp_reply_t *reply = rp_stream_reply (self->stream);
    return reply && !self->as_events && self->piece == rp_reply_body (reply);
}

struct MHD_Response *rp_http_parts_answer (rp_http_exchange_t *self, unsigned *code)
{
    rp_http_parts_t *parts = self->parts;
    int rc = s_next (parts);
    *code = 0;
    if (rc == RP_OK)
        return s_is_whole (parts) ? s_whole (parts, code) : s_begin (parts, code);
    if (rc == RP_TIMED_OUT && !parts->is_late) {
        *code = MHD_HTTP_PROCESSING;
        s_wait (parts);
        return NULL;
    }
    bool is_ok = rc == RP_CLOSED && rp_reply_status (rp_stream_reply (parts->stream)) == RP_OK
                 && parts->as_events;
    if (rc == RP_TIMED_OUT || is_ok) {
        parts->event.is_closed = true; // there is none yet
        return s_begin (parts, code);
    }
    return rc == RP_CLOSED ? s_whole (parts, code) : NULL;
}

/*  ---- Turns ----------------------------------------------------------------------------------- */

/*  Counts the body of the reply that ended the stream: its last part, which no window bounds. False if no room is left.  */
static bool s_count_last (rp_http_parts_t *self)
{
    rp_http_exchange_t *exchange = self->exchange;
    const rp_reply_t *reply = self->is_counted ? NULL : rp_stream_reply (self->stream);
    if (!reply)
        return true;
    self->is_counted = true;
    return rp_http_exchange_count (exchange, exchange->counted + rp_reply_size (reply));
}

/*  Counts what no window bounds: answers of all workers, too. If no room is left, drops the stream and refuses the
    exchange, whose response is broken off if it has begun.  */
static void s_count (rp_http_parts_t *self)
{
    rp_http_exchange_t *exchange = self->exchange;
    if (exchange->refusal)
        return;
    bool is_room =
      !exchange->wants_all || rp_http_all_gather (&self->answers, exchange, self->stream);
    if (is_room && s_count_last (self))
        return;
    exchange->refusal = &rp_refusal_no_room;
    rp_stream_destroy (&self->stream);
}

static void s_wake (rp_http_parts_t *self)
{
    s_be_heard (self);
    if (self->exchange->peer->open)
        rp_http_exchange_resume (self->exchange);
}

void rp_http_parts_take_news (rp_gateway_t *gateway)
{
    struct epoll_event events[S_NEWS];
    int count = epoll_wait (gateway->news, events, S_NEWS, 0); // the rest comes with the next turn
    for (int index = 0; index < count; index++) {
        s_count (events[index].data.ptr);
        s_wake (events[index].data.ptr);
    }
}

int64_t rp_http_parts_break_silence (rp_gateway_t *gateway, int64_t now)
{
    rp_list_node_t *node;
    int64_t due = INT64_MAX;
    while ((node = rp_list_first (&gateway->silent))) {
        rp_http_parts_t *parts = (rp_http_parts_t *) node;
        if (parts->since + S_SILENCE_US > now)
            return due == now ? due : parts->since + S_SILENCE_US;
        parts->is_late = true;
        s_wake (parts);
        due = now; // libmicrohttpd has to run at once
    }
    return due;
}
