/*  A Majordomo 0.1 broker in textbook form, to measure beside Riposte's.

    SPDX-License-Identifier: MPL-2.0

        textbook_majordomo ENDPOINT

    As in the guide to ZeroMQ: one message, a list of frames, for each poll; for each service a
    request queue and its idle workers, the longest idle first; one request at a time for a
    worker; heartbeats to the idle workers. No limits, no redelivery, no MMI. Workers are found
    by a hash of their address.

    Source: RFC 7/MDP.
*/

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include "common/base/list.h"
#include "common/base/table.h"

#define HEARTBEAT_MS 2500
#define LIVENESS 3

/*  ---- Messages: lists of frames -------------------------------------------------------------- */

typedef struct {
    rp_list_node_t node;
    zmq_msg_t data;
} s_frame_t;

typedef struct {
    rp_list_node_t node; /* of the service's queue */
    rp_list_t frames;
} s_msg_t;

typedef struct {
    rp_list_t waiting;
    rp_list_t requests;
    char *name;
    size_t name_size;
} s_service_t;

typedef struct {
    rp_list_node_t node;        /* of its service's waiting */
    rp_list_node_t node_of_all; /* of the broker's idle */
    bool idle;
    s_service_t *service;
    int64_t expiry;
    size_t size;
    uint8_t address[256];
} s_worker_t;

typedef struct {
    void *socket;
    rp_table_t services;
    rp_table_t workers;
    rp_list_t idle; /* of all services, the longest idle first */
} s_broker_t;

static void s_die (const char *what)
{
    perror (what);
    exit (1);
}

static void *s_new (size_t size)
{
    void *block = calloc (1, size);
    if (!block)
        s_die ("calloc");
    return block;
}

static int64_t s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static s_frame_t *s_frame_new (const void *data, size_t size)
{
    s_frame_t *frame = s_new (sizeof *frame);
    if (zmq_msg_init_size (&frame->data, size) != 0)
        s_die ("zmq_msg_init_size");
    if (size)
        memcpy (zmq_msg_data (&frame->data), data, size);
    return frame;
}

static void s_frame_destroy (s_frame_t *frame)
{
    zmq_msg_close (&frame->data);
    free (frame);
}

static void s_push (s_msg_t *self, const void *data, size_t size)
{
    rp_list_prepend (&self->frames, &s_frame_new (data, size)->node);
}

/*  NULL when there are no more.  */
static s_frame_t *s_pop (s_msg_t *self)
{
    s_frame_t *frame = (s_frame_t *) (void *) rp_list_first (&self->frames);
    if (frame)
        rp_list_remove (&frame->node);
    return frame;
}

static void s_msg_destroy (s_msg_t *self)
{
    for (s_frame_t *frame; (frame = s_pop (self));)
        s_frame_destroy (frame);
    free (self);
}

static s_msg_t *s_msg_new (void)
{
    s_msg_t *self = s_new (sizeof *self);
    rp_list_init (&self->frames);
    return self;
}

static s_msg_t *s_msg_receive (void *socket)
{
    s_msg_t *self = s_msg_new ();
    for (int more = 1; more;) {
        s_frame_t *frame = s_new (sizeof *frame);
        zmq_msg_init (&frame->data);
        if (zmq_msg_recv (&frame->data, socket, 0) < 0)
            s_die ("zmq_msg_recv");
        more = zmq_msg_more (&frame->data);
        rp_list_append (&self->frames, &frame->node);
    }
    return self;
}

/*  Takes the message.  */
static void s_msg_send (s_msg_t *self, void *socket)
{
    for (s_frame_t *frame; (frame = s_pop (self));) {
        int flags = rp_list_is_empty (&self->frames) ? 0 : ZMQ_SNDMORE;
        if (zmq_msg_send (&frame->data, socket, flags) < 0)
            s_die ("zmq_msg_send");
        s_frame_destroy (frame);
    }
    s_msg_destroy (self);
}

/*  ---- Services and workers ------------------------------------------------------------------- */

static s_service_t *s_require_service (s_broker_t *self, const void *name, size_t size)
{
    rp_table_cursor_t cursor;
    uint64_t hash = rp_hash_bytes (name, size, 1);
    for (s_service_t *service = rp_table_first (&self->services, hash, &cursor); service;
         service = rp_table_next (&self->services, hash, &cursor))
        if (service->name_size == size && memcmp (service->name, name, size) == 0)
            return service;
    s_service_t *service = s_new (sizeof *service);
    service->name = s_new (size + 1);
    service->name_size = size;
    memcpy (service->name, name, size);
    rp_list_init (&service->waiting);
    rp_list_init (&service->requests);
    if (!rp_table_insert (&self->services, hash, service))
        s_die ("rp_table_insert");
    return service;
}

static s_worker_t *s_require_worker (s_broker_t *self, const zmq_msg_t *address)
{
    rp_table_cursor_t cursor;
    size_t size = zmq_msg_size (address);
    const void *data = zmq_msg_data ((zmq_msg_t *) (uintptr_t) address);
    uint64_t hash = rp_hash_bytes (data, size, 1);
    for (s_worker_t *worker = rp_table_first (&self->workers, hash, &cursor); worker;
         worker = rp_table_next (&self->workers, hash, &cursor))
        if (worker->size == size && memcmp (worker->address, data, size) == 0)
            return worker;
    s_worker_t *worker = s_new (sizeof *worker);
    worker->size = size;
    memcpy (worker->address, data, size);
    if (!rp_table_insert (&self->workers, hash, worker))
        s_die ("rp_table_insert");
    return worker;
}

static s_worker_t *s_worker_of_all (rp_list_node_t *node)
{
    return node ? (s_worker_t *) (void *) ((char *) node - offsetof (s_worker_t, node_of_all))
                : NULL;
}

static void s_worker_busy (s_worker_t *worker)
{
    rp_list_remove (&worker->node);
    rp_list_remove (&worker->node_of_all);
    worker->idle = false;
}

static void s_worker_delete (s_broker_t *self, s_worker_t *worker)
{
    if (worker->idle)
        s_worker_busy (worker);
    rp_table_remove (&self->workers, rp_hash_bytes (worker->address, worker->size, 1), worker);
    free (worker);
}

/*  Takes the message, which may be NULL.  */
static void s_worker_send (s_broker_t *self, const s_worker_t *worker, char command, s_msg_t *msg)
{
    if (!msg)
        msg = s_msg_new ();
    s_push (msg, &command, 1);
    s_push (msg, "MDPW01", 6);
    s_push (msg, NULL, 0);
    s_push (msg, worker->address, worker->size);
    s_msg_send (msg, self->socket);
}

static void s_purge (s_broker_t *self)
{
    int64_t now = s_now_ms ();
    for (s_worker_t *worker; (worker = s_worker_of_all (rp_list_first (&self->idle)));) {
        if (worker->expiry > now)
            return;
        s_worker_delete (self, worker);
    }
}

static void s_dispatch (s_broker_t *self, s_service_t *service)
{
    s_purge (self);
    while (!rp_list_is_empty (&service->waiting) && !rp_list_is_empty (&service->requests)) {
        s_worker_t *worker = (s_worker_t *) (void *) rp_list_first (&service->waiting);
        s_msg_t *msg = (s_msg_t *) (void *) rp_list_first (&service->requests);
        rp_list_remove (&msg->node);
        s_worker_busy (worker);
        s_worker_send (self, worker, 2, msg);
    }
}

static void s_worker_idle (s_broker_t *self, s_worker_t *worker)
{
    rp_list_append (&worker->service->waiting, &worker->node);
    rp_list_append (&self->idle, &worker->node_of_all);
    worker->idle = true;
    worker->expiry = s_now_ms () + HEARTBEAT_MS * LIVENESS;
    s_dispatch (self, worker->service);
}

/*  ---- Messages of peers ---------------------------------------------------------------------- */

static void s_from_client (s_broker_t *self, const s_frame_t *sender, s_msg_t *msg)
{
    s_frame_t *name = s_pop (msg);
    if (!name) {
        s_msg_destroy (msg);
        return;
    }
    s_service_t *service =
      s_require_service (self, zmq_msg_data (&name->data), zmq_msg_size (&name->data));
    s_frame_destroy (name);
    zmq_msg_t *address = (zmq_msg_t *) (uintptr_t) &sender->data;
    s_push (msg, NULL, 0);
    s_push (msg, zmq_msg_data (address), zmq_msg_size (address));
    rp_list_append (&service->requests, &msg->node);
    s_dispatch (self, service);
}

/*  Replaces the frames with client address and delimiter by the client's envelope.  */
static void s_reply (s_broker_t *self, s_worker_t *worker, s_msg_t *msg)
{
    s_frame_t *client = s_pop (msg);
    s_frame_t *empty = s_pop (msg);
    if (client && empty) {
        s_push (msg, worker->service->name, worker->service->name_size);
        s_push (msg, "MDPC01", 6);
        s_push (msg, NULL, 0);
        s_push (msg, zmq_msg_data (&client->data), zmq_msg_size (&client->data));
        s_msg_send (msg, self->socket);
    }
    else
        s_msg_destroy (msg);
    if (client)
        s_frame_destroy (client);
    if (empty)
        s_frame_destroy (empty);
    s_worker_idle (self, worker);
}

static void s_from_worker (s_broker_t *self, const s_frame_t *sender, s_msg_t *msg)
{
    s_frame_t *frame = s_pop (msg);
    char command = 0;
    if (frame && zmq_msg_size (&frame->data) == 1)
        command = *(char *) zmq_msg_data (&frame->data);
    if (frame)
        s_frame_destroy (frame);
    s_worker_t *worker = s_require_worker (self, &sender->data);
    if (command == 1 && !worker->service && (frame = s_pop (msg))) {
        worker->service =
          s_require_service (self, zmq_msg_data (&frame->data), zmq_msg_size (&frame->data));
        s_frame_destroy (frame);
        s_worker_idle (self, worker);
    }
    else if (command == 3 && worker->service && !worker->idle) {
        s_reply (self, worker, msg);
        return;
    }
    else if (command == 4 && worker->service) {
        worker->expiry = s_now_ms () + HEARTBEAT_MS * LIVENESS;
    }
    else {
        if (command != 5)
            s_worker_send (self, worker, 5, NULL);
        s_worker_delete (self, worker);
    }
    s_msg_destroy (msg);
}

static void s_handle (s_broker_t *self)
{
    s_msg_t *msg = s_msg_receive (self->socket);
    s_frame_t *sender = s_pop (msg);
    s_frame_t *empty = s_pop (msg);
    s_frame_t *header = s_pop (msg);
    bool named = header && zmq_msg_size (&header->data) == 6;
    if (named && memcmp (zmq_msg_data (&header->data), "MDPC01", 6) == 0)
        s_from_client (self, sender, msg);
    else if (named && memcmp (zmq_msg_data (&header->data), "MDPW01", 6) == 0)
        s_from_worker (self, sender, msg);
    else
        s_msg_destroy (msg);
    s_frame_t *frames[] = {sender, empty, header};
    for (size_t index = 0; index < 3; index++)
        if (frames[index])
            s_frame_destroy (frames[index]);
}

static void s_heartbeats (s_broker_t *self)
{
    s_purge (self);
    for (rp_list_node_t *node = rp_list_first (&self->idle); node;
         node = rp_list_next (&self->idle, node))
        s_worker_send (self, s_worker_of_all (node), 4, NULL);
}

int main (int argc, char **argv)
{
    if (argc != 2) {
        fprintf (stderr, "usage: %s ENDPOINT\n", argv[0]);
        return 2;
    }
    s_broker_t self = {.socket = zmq_socket (zmq_ctx_new (), ZMQ_ROUTER)};
    int unlimited = 0;
    if (!self.socket || zmq_setsockopt (self.socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited) != 0
        || zmq_setsockopt (self.socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) != 0
        || zmq_bind (self.socket, argv[1]) != 0)
        s_die (argv[1]);
    rp_table_init (&self.services);
    rp_table_init (&self.workers);
    rp_list_init (&self.idle);
    int64_t heartbeat = s_now_ms () + HEARTBEAT_MS;
    for (;;) {
        zmq_pollitem_t item = {self.socket, 0, ZMQ_POLLIN, 0};
        if (zmq_poll (&item, 1, HEARTBEAT_MS) < 0)
            return 1;
        if (item.revents & ZMQ_POLLIN)
            s_handle (&self);
        if (s_now_ms () > heartbeat) {
            s_heartbeats (&self);
            heartbeat = s_now_ms () + HEARTBEAT_MS;
        }
    }
}
