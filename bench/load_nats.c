/*  bench_load: NATS request and reply with its C client.

    SPDX-License-Identifier: MPL-2.0

    The fastest setting of those tried: an inbox of the client's own with an asynchronous
    subscription, whose callback sends the next request; a queue subscription for the workers,
    whose callback replies. The client library gathers what is sent while it writes; with one
    request open at a time there is nothing to gather, and the library is set to send at once
    (natsOptions_SetSendAsap), which is faster there.
*/

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nats/nats.h>

#include "bench/load.h"

static void s_check (natsStatus status, const char *what)
{
    if (status == NATS_OK)
        return;
    fprintf (stderr, "%s: %s\n", what, natsStatus_GetText (status));
    exit (1);
}

static natsConnection *s_connect (const char *endpoint, bool at_once)
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    s_check (natsOptions_Create (&options), "natsOptions_Create");
    s_check (natsOptions_SetURL (options, endpoint), "natsOptions_SetURL");
    s_check (natsOptions_SetSendAsap (options, at_once), "natsOptions_SetSendAsap");
    s_check (natsConnection_Connect (&connection, options), "natsConnection_Connect");
    natsOptions_Destroy (options);
    return connection;
}

typedef struct {
    load_client_t *load;
    natsInbox *inbox;
    char *body;
    int open;
    sem_t over;
} s_client_t;

static void s_ask (s_client_t *self, natsConnection *connection, int64_t now)
{
    load_stamp (self->body, now);
    s_check (natsConnection_PublishRequest (
               connection, "bench", self->inbox, self->body, (int) self->load->size),
      "natsConnection_PublishRequest");
}

static void s_replied (
  natsConnection *connection, natsSubscription *sub, natsMsg *message, void *arg)
{
    (void) sub;
    s_client_t *self = arg;
    int64_t now = load_now ();
    size_t size = (size_t) natsMsg_GetDataLength (message);
    bool again = size == self->load->size
                   ? load_count (self->load, load_stamped (natsMsg_GetData (message), size), now)
                   : load_count_failed (self->load, now);
    natsMsg_Destroy (message);
    if (again)
        s_ask (self, connection, now);
    else if (--self->open == 0)
        sem_post (&self->over);
}

void *load_nats_client (void *arg)
{
    s_client_t self = {.load = arg};
    self.body = load_body (&self.load->size);
    self.open = self.load->inflight;
    sem_init (&self.over, 0, 0);
    natsConnection *connection = s_connect (self.load->endpoint, self.load->inflight == 1);
    natsSubscription *sub = NULL;
    s_check (natsInbox_Create (&self.inbox), "natsInbox_Create");
    // The callback runs only after something was sent, and the body is then its own.
    char *body = self.body;
    s_check (
      natsConnection_Subscribe (&sub, connection, self.inbox, s_replied, &self), "subscribe");
    s_check (natsConnection_Flush (connection), "natsConnection_Flush");
    char *first = load_body (&self.load->size);
    for (int index = 0; index < self.load->inflight; index++) {
        load_stamp (first, load_now ());
        s_check (natsConnection_PublishRequest (
                   connection, "bench", self.inbox, first, (int) self.load->size),
          "natsConnection_PublishRequest");
    }
    while (sem_wait (&self.over) != 0)
        continue;
    natsSubscription_Destroy (sub);
    natsConnection_Destroy (connection);
    natsInbox_Destroy (self.inbox);
    free (first);
    free (body);
    return NULL;
}

static void s_asked (natsConnection *connection, natsSubscription *sub, natsMsg *message, void *arg)
{
    (void) sub;
    (void) arg;
    s_check (natsConnection_Publish (connection, natsMsg_GetReply (message),
               natsMsg_GetData (message), natsMsg_GetDataLength (message)),
      "natsConnection_Publish");
    natsMsg_Destroy (message);
}

/*  window 1 says that requests come one by one.  */
void *load_nats_worker (void *arg)
{
    const load_worker_t *self = arg;
    natsConnection *connection = s_connect (self->endpoint, self->window == 1);
    natsSubscription *sub = NULL;
    s_check (natsConnection_QueueSubscribe (&sub, connection, "bench", "workers", s_asked, NULL),
      "natsConnection_QueueSubscribe");
    s_check (natsConnection_Flush (connection), "natsConnection_Flush");
    load_ready ();
    for (;;)
        pause ();
    return NULL;
}
