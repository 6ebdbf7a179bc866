/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/client_queue.h"

static uint64_t s_hash (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  unsigned priority)
{
    return rp_hash_pair (rp_pool_handle (&client->pooled),
      rp_pool_handle (&service->pooled) ^ (uint64_t) priority << 60, self->seed);
}

/*  True if this is the client queue of the service for the priority.  */
static inline bool s_is (
  const rp_client_queue_t *client_queue, const rp_service_t *service, unsigned priority)
{
    return client_queue->service == service && client_queue->priority == priority;
}

static void s_begin (
  rp_client_queue_t *client_queue, rp_session_t *client, rp_service_t *service, unsigned priority)
{
    rp_list_init (&client_queue->requests);
    client_queue->client = client;
    client_queue->service = service;
    client_queue->priority = (uint8_t) priority;
    client_queue->work_us = 0;
}

/*  Takes a client queue from the pool, for a client that uses several services or priorities at a
    time.  */
static rp_client_queue_t *s_take (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, unsigned priority)
{
    rp_client_queue_t *client_queue = rp_pool_take (&self->client_queues);
    if (!client_queue)
        return NULL;
    if (!rp_table_insert (
          &self->client_queues_by_user, s_hash (self, client, service, priority), client_queue)) {
        rp_pool_give (&self->client_queues, client_queue);
        return NULL;
    }
    s_begin (client_queue, client, service, priority);
    return client_queue;
}

/*  Finds a client queue that is not the one in the session; NULL if there is none.  */
static rp_client_queue_t *s_look_up (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  unsigned priority)
{
    uint64_t hash = s_hash (self, client, service, priority);
    rp_table_cursor_t cursor;
    rp_client_queue_t *client_queue = rp_table_first (&self->client_queues_by_user, hash, &cursor);
    while (
      client_queue && (client_queue->client != client || !s_is (client_queue, service, priority)))
        client_queue = rp_table_next (&self->client_queues_by_user, hash, &cursor);
    return client_queue;
}

uint32_t rp_client_queue_waiting (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  unsigned priority)
{
    const rp_client_queue_t *client_queue = &client->client_queue;
    if (client_queue->open == 0 || !s_is (client_queue, service, priority))
        client_queue = s_look_up (self, client, service, priority);
    return client_queue ? client_queue->waiting : 0;
}

/*  Finds or begins a client queue, if the one in the session is another. Not inline: most requests do
    without it.  */
static __attribute__ ((noinline)) rp_client_queue_t *s_find (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, unsigned priority)
{
    rp_client_queue_t *client_queue = s_look_up (self, client, service, priority);
    if (client_queue)
        return client_queue;
    if (client->client_queue.open > 0)
        return s_take (self, client, service, priority);
    s_begin (&client->client_queue, client, service, priority);
    return &client->client_queue;
}

rp_client_queue_t *rp_client_queue_open (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, unsigned priority)
{
    // A client queue without open requests may have the address of a service that is gone. If
    // another service is there now, the client queue is taken over for it.
    rp_client_queue_t *client_queue = &client->client_queue;
    if (!s_is (client_queue, service, priority))
        client_queue = s_find (self, client, service, priority);
    if (client_queue)
        client_queue->open++;
    return client_queue;
}

void rp_client_queue_close (rp_dispatch_t *self, rp_client_queue_t *client_queue)
{
    rp_session_t *client = client_queue->client;
    if (--client_queue->open > 0 || client_queue == &client->client_queue)
        return;
    rp_table_remove (&self->client_queues_by_user,
      s_hash (self, client, client_queue->service, client_queue->priority), client_queue);
    rp_pool_give (&self->client_queues, client_queue);
}

void rp_client_queue_put (rp_request_t *request, bool front, int64_t now)
{
    rp_client_queue_t *client_queue = request->client_queue;
    rp_queue_t *queue = &client_queue->service->queue;
    bool idle = client_queue->waiting++ == 0;
    if (front)
        rp_list_prepend (&client_queue->requests, &request->node);
    else
        rp_list_append (&client_queue->requests, &request->node);
    if (!idle)
        return;
    client_queue->credit = 0; // who had nothing to start has saved nothing
    if (front)
        rp_queue_prepend (queue, client_queue, request->accepted);
    else
        rp_queue_append (queue, client_queue, now);
}

void rp_client_queue_take (rp_request_t *request)
{
    rp_client_queue_t *client_queue = request->client_queue;
    rp_list_remove (&request->node);
    if (--client_queue->waiting == 0)
        rp_queue_remove (&client_queue->service->queue, client_queue);
}

void rp_client_queue_end_turn (rp_client_queue_t *client_queue, int64_t now)
{
    rp_queue_t *queue = &client_queue->service->queue;
    if (rp_list_is_empty (&client_queue->requests))
        return;
    rp_queue_remove (queue, client_queue);
    rp_queue_append (queue, client_queue, now);
}
