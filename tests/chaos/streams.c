/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/chaos/streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/chaos/history.h"

#define S_NAME_MAX 96
#define S_BODY_MAX 20000u
#define S_PIECE_MAX 900u
#define S_PARTS_MAX 40u
#define S_EVERY_US 2000000u /* between two streams, at most */
#define S_READS 16          /* in one turn */

struct chaos_streams {
    rp_client_t *client;
    const char *party;
    char prefix[S_NAME_MAX];
    unsigned (*draw) (void *, unsigned);
    void *arg;
    int64_t due;
    unsigned begun;

    rp_stream_t *stream; /* NULL: none is open. What follows is of this one */
    char request[S_NAME_MAX];
    char task[S_NAME_MAX]; /* that the parts name; "-": none has come */
    unsigned wanted;       /* parts that its worker is to write */
    unsigned parts;        /* that have come */
    uint64_t bytes;
    int64_t pause_until, cancel_at; /* cancel_at 0: never */
    size_t size, written;
    bool writes; /* there is more of its body, or its end */
    bool wrong;
    char body[S_BODY_MAX];
};

static unsigned s_draw (chaos_streams_t *self, unsigned bound)
{
    return self->draw (self->arg, bound);
}

static void s_check (int rc, const char *what)
{
    if (rc == RP_OK)
        return;
    fprintf (stderr, "chaos load: a stream %s: %s\n", what, rp_strerror (rc));
    exit (2);
}

chaos_streams_t *chaos_streams_new (rp_client_t *client,
  const char *party,
  const char *prefix,
  unsigned (*draw) (void *, unsigned),
  void *arg)
{
    chaos_streams_t *self = calloc (1, sizeof *self);
    if (!self)
        abort ();
    self->client = client;
    self->party = party;
    self->draw = draw;
    self->arg = arg;
    snprintf (self->prefix, sizeof self->prefix, "%.80s", prefix);
    return self;
}

void chaos_streams_destroy (chaos_streams_t **self_p)
{
    rp_stream_destroy (&(*self_p)->stream);
    free (*self_p);
    *self_p = NULL;
}

/*  ---- Begin and end --------------------------------------------------------------------------- */

static rp_call_t *s_make (chaos_streams_t *self)
{
    snprintf (self->request, sizeof self->request, "%.70s-s%u", self->prefix, self->begun++);
    snprintf (self->task, sizeof self->task, "-");
    self->wanted = s_draw (self, S_PARTS_MAX);
    self->parts = 0;
    self->bytes = 0;
    self->wrong = false;
    memset (self->body, '.', sizeof self->body);
    int size = snprintf (self->body, sizeof self->body, "%s %u stream %u ", self->request,
      s_draw (self, 2) ? 0 : s_draw (self, 600000), self->wanted);
    self->body[size] = '.';
    self->writes = s_draw (self, 2) == 0;
    self->written = (size_t) size;
    self->size = (size_t) size + (self->writes ? s_draw (self, S_BODY_MAX - S_NAME_MAX) : 0);
    rp_call_t *call = rp_call_new (CHAOS_STREAM_SERVICE, self->body, self->written);
    if (!call)
        abort ();
    s_check (rp_call_add_header (call, "request-id", self->request), "has no header");
    rp_call_set_more (call, self->writes);
    // Small windows, so that grants are frequent.
    s_check (rp_call_set_stream (call, 2048 << s_draw (self, 4), 0), "has no window");
    return call;
}

static void s_begin (chaos_streams_t *self, int64_t now)
{
    rp_call_t *call = s_make (self);
    uint32_t timeout_ms = 2000 + s_draw (self, 4000);
    uint8_t attempts = (uint8_t) (1 + s_draw (self, 3));
    s_check (rp_call_set_timeout_ms (call, timeout_ms), "has no deadline");
    s_check (rp_call_set_attempts (call, attempts), "has no attempts");
    history_write (self->party, "submit",
      "req=%s\tservice=" CHAOS_STREAM_SERVICE "\tdeadline=%" PRId64 "\tattempts=%u\tconv=-\tseq=0",
      self->request, now + (int64_t) timeout_ms * 1000, attempts);
    s_check (rp_client_stream (self->client, &call, &self->stream), "was not taken");
    self->cancel_at = s_draw (self, 5) ? 0 : now + s_draw (self, 200000);
    self->pause_until = 0;
}

/*  The last part: true if it is the reply to this request, of the start that wrote the parts.  */
static bool s_is_right (chaos_streams_t *self, const rp_reply_t *reply)
{
    char text[512];
    char request[S_NAME_MAX], task[S_NAME_MAX];
    unsigned count;
    uint32_t crc;
    snprintf (
      text, sizeof text, "%.*s", (int) rp_reply_size (reply), (const char *) rp_reply_body (reply));
    return sscanf (text, "%95s %95s %*s %u %" SCNx32, request, task, &count, &crc) == 4
           && strcmp (request, self->request) == 0 && count == self->parts && count == self->wanted
           && crc == history_crc (self->body, self->size)
           && (self->parts == 0 || strcmp (task, self->task) == 0);
}

static int s_end (chaos_streams_t *self, unsigned *wrong)
{
    const rp_reply_t *reply = rp_stream_reply (self->stream);
    rp_status_t status = rp_reply_status (reply);
    char crc[16] = "-";
    if (rp_reply_size (reply) > 0)
        snprintf (crc, sizeof crc, "%08" PRIx32,
          history_crc (rp_reply_body (reply), rp_reply_size (reply)));
    history_write (self->party, "final",
      "req=%s\tstatus=%s\tmade=%" PRIu32 "\tbody=%s\tparts=%u\tpart_bytes=%" PRIu64
      "\ttask=%s\ttext=%.300s",
      self->request, rp_status_name ((int) status), rp_reply_attempts (reply), crc, self->parts,
      self->bytes, self->task, rp_reply_message (reply));
    if (self->wrong || (status == RP_OK && !s_is_right (self, reply))) {
        fprintf (stderr, "chaos load: not the reply to %s, after %u parts of %s: %.*s\n",
          self->request, self->parts, self->task, (int) rp_reply_size (reply),
          (const char *) rp_reply_body (reply));
        ++*wrong;
    }
    rp_stream_destroy (&self->stream);
    self->due = history_now () + s_draw (self, S_EVERY_US);
    return (int) status;
}

/*  ---- Parts ----------------------------------------------------------------------------------- */

static void s_take_part (chaos_streams_t *self, const void *data, size_t size)
{
    char text[2 * S_NAME_MAX + 16];
    char request[S_NAME_MAX], task[S_NAME_MAX];
    unsigned index;
    snprintf (text, sizeof text, "%.*s", (int) size, (const char *) data);
    if (sscanf (text, "%95s %95s %u", request, task, &index) != 3
        || strcmp (request, self->request) != 0 || index != self->parts
        || (self->parts > 0 && strcmp (task, self->task) != 0))
        self->wrong = true;
    else
        snprintf (self->task, sizeof self->task, "%s", task);
    self->parts++;
    self->bytes += size;
}

/*  Takes parts that are there. Returns false once the stream has ended.  */
static bool s_read (chaos_streams_t *self, int64_t now)
{
    const void *data;
    size_t size;
    if (now < self->pause_until)
        return true;
    for (int count = 0; count < S_READS; count++) {
        int rc = rp_stream_read (self->stream, 0, &data, &size);
        if (rc == RP_CLOSED)
            return false;
        if (rc == RP_TIMED_OUT)
            return true;
        s_check (rc, "cannot be read");
        const rp_reply_t *reply = rp_stream_reply (self->stream);
        if (!reply || data != rp_reply_body (reply))
            s_take_part (self, data, size);
    }
    if (s_draw (self, 3) == 0)
        self->pause_until = now + s_draw (self, 300000);
    return true;
}

static void s_write (chaos_streams_t *self)
{
    size_t size = self->size - self->written;
    size_t count = 0;
    if (size > S_PIECE_MAX)
        size = 1 + s_draw (self, S_PIECE_MAX);
    int rc = size ? rp_stream_write (self->stream, self->body + self->written, size, 0, &count)
                  : rp_stream_write_end (self->stream, 0);
    self->written += count;
    if ((rc == RP_OK && size == 0) || rc == RP_CLOSED)
        self->writes = false;
    else if (rc != RP_TIMED_OUT)
        s_check (rc, "cannot be written");
}

bool chaos_streams_turn (chaos_streams_t *self, bool may_begin, int *status, unsigned *wrong)
{
    int64_t now = history_now ();
    *status = -1;
    if (!self->stream && (!may_begin || now < self->due))
        return false;
    if (!self->stream)
        s_begin (self, now);
    if (self->cancel_at && now >= self->cancel_at) {
        self->cancel_at = 0;
        history_write (self->party, "cancel", "req=%s", self->request);
        (void) rp_stream_cancel (self->stream); // it may have ended just now
    }
    if (self->writes)
        s_write (self);
    if (s_read (self, now))
        return true;
    *status = s_end (self, wrong);
    return false;
}
