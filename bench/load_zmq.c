/*  bench_load: bare libzmq.

    SPDX-License-Identifier: MPL-2.0

    Clients are DEALERs that send one frame (the time, then padding); workers send back what they
    got, address and all. Between them is zmq_proxy with a ROUTER before and a DEALER behind it, or
    nothing: each worker then binds a ROUTER, and clients take them in turn.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench/load.h"

/*  The endpoint with this index in a list with commas. False past its end.  */
static bool s_endpoint (const char *list, int index, char *endpoint, size_t size)
{
    for (; list && index > 0; index--)
        if ((list = strchr (list, ',')))
            list++;
    if (!list)
        return false;
    snprintf (endpoint, size, "%.*s", (int) strcspn (list, ","), list);
    return true;
}

static void s_send (void *socket, char *body, size_t size, int64_t now)
{
    load_stamp (body, now);
    if (zmq_send (socket, body, size, 0) < 0)
        load_die ("zmq_send");
}

static void *s_client (load_client_t *self, void *socket)
{
    char *body = load_body (&self->size);
    for (int index = 0; index < self->inflight; index++)
        s_send (socket, body, self->size, load_now ());
    for (int open = self->inflight; open > 0;) {
        zmq_msg_t reply;
        zmq_msg_init (&reply);
        if (zmq_msg_recv (&reply, socket, 0) < 0)
            load_die ("zmq_msg_recv");
        int64_t now = load_now ();
        int64_t sent = load_stamped (zmq_msg_data (&reply), zmq_msg_size (&reply));
        zmq_msg_close (&reply);
        if (load_count (self, sent, now))
            s_send (socket, body, self->size, now);
        else
            open--;
    }
    zmq_close (socket);
    free (body);
    return NULL;
}

static void *s_echo (void *socket)
{
    load_ready ();
    for (;;) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        if (zmq_msg_recv (&frame, socket, 0) < 0)
            return NULL;
        int more = zmq_msg_more (&frame);
        if (zmq_msg_send (&frame, socket, more ? ZMQ_SNDMORE : 0) < 0)
            return NULL;
    }
}

void *load_zmq_client (void *arg)
{
    load_client_t *self = arg;
    return s_client (self, load_socket (ZMQ_DEALER, self->endpoint, false));
}

void *load_zmq_worker (void *arg)
{
    const load_worker_t *self = arg;
    return s_echo (load_socket (ZMQ_DEALER, self->endpoint, false));
}

void *load_direct_client (void *arg)
{
    load_client_t *self = arg;
    void *socket = load_socket (ZMQ_DEALER, NULL, false);
    char endpoint[256];
    for (int index = 0; s_endpoint (self->endpoint, index, endpoint, sizeof endpoint); index++)
        if (zmq_connect (socket, endpoint) != 0)
            load_die (endpoint);
    return s_client (self, socket);
}

void *load_direct_worker (void *arg)
{
    const load_worker_t *self = arg;
    char endpoint[256];
    if (!s_endpoint (self->endpoint, self->index, endpoint, sizeof endpoint))
        load_die ("an endpoint for each worker");
    return s_echo (load_socket (ZMQ_ROUTER, endpoint, true));
}

int load_zmq_proxy (const char *frontend, const char *backend)
{
    void *front = load_socket (ZMQ_ROUTER, frontend, true);
    void *back = load_socket (ZMQ_DEALER, backend, true);
    return zmq_proxy (front, back, NULL);
}
