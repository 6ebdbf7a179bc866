/*  bench_load: bare sockets that speak the native protocol to Riposte's broker.

    SPDX-License-Identifier: MPL-2.0

    They are as bare as those around zmq_proxy, so the cost above zmq_proxy's is the broker's.
*/

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <riposte/error.h>

#include "bench/load.h"
#include "common/wire/head.h"

#define DEADLINE_MS 30000
#define HEARTBEAT_MS 60000

static void s_send (void *socket, const rp_head_t *head, const void *body, size_t size)
{
    zmq_msg_t frame;
    size_t head_size = rp_wire_size (head);
    if (zmq_msg_init_size (&frame, head_size + size) != 0)
        load_die ("zmq_msg_init_size");
    rp_wire_encode (head, zmq_msg_data (&frame), head_size);
    if (size)
        memcpy ((char *) zmq_msg_data (&frame) + head_size, body, size);
    if (zmq_msg_send (&frame, socket, 0) < 0)
        load_die ("zmq_msg_send");
}

/*  Receives a frame and its head, and answers heartbeats meanwhile.  */
static void s_receive (void *socket, zmq_msg_t *frame, rp_head_t *head)
{
    for (;;) {
        zmq_msg_init (frame);
        if (zmq_msg_recv (frame, socket, 0) < 0)
            load_die ("zmq_msg_recv");
        if (rp_wire_decode (head, zmq_msg_data (frame), zmq_msg_size (frame)) != RP_WIRE_ERROR_NONE)
            load_die ("not a head of the native protocol");
        if (head->command != RP_COMMAND_HEARTBEAT)
            return;
        s_send (socket, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT}, NULL, 0);
        zmq_msg_close (frame);
    }
}

static void *s_greet (const char *endpoint, uint16_t flags, uint32_t window)
{
    void *socket = load_socket (ZMQ_DEALER, endpoint, false);
    zmq_msg_t frame;
    rp_head_t head = {
      .command = RP_COMMAND_HELLO, .flags = flags, .interval_ms = HEARTBEAT_MS, .window = window};
    if (flags & RP_FLAG_WORKER) {
        head.name = "bench";
        head.name_size = 5;
    }
    s_send (socket, &head, NULL, 0);
    s_receive (socket, &frame, &head);
    if (head.command != RP_COMMAND_WELCOME)
        load_die ("no WELCOME");
    zmq_msg_close (&frame);
    return socket;
}

/*  The id is the time of sending, made unique.  */
static void s_request (const load_client_t *self, void *socket, const void *body, int64_t now)
{
    static _Thread_local uint64_t last;
    uint64_t id = (uint64_t) now << 12;
    last = id > last ? id : last + 1;
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .flags = RP_FLAG_INLINE,
      .id = last,
      .deadline_ms = DEADLINE_MS,
      .attempts = 1,
      .name = "bench",
      .name_size = 5};
    s_send (socket, &head, body, self->size);
}

void *load_native_client (void *arg)
{
    load_client_t *self = arg;
    void *socket = s_greet (self->endpoint, 0, 0);
    char *body = load_body (&self->size);
    for (int index = 0; index < self->inflight; index++)
        s_request (self, socket, body, load_now ());
    for (int open = self->inflight; open > 0;) {
        zmq_msg_t frame;
        rp_head_t head;
        s_receive (socket, &frame, &head);
        int64_t now = load_now ();
        bool ok = head.command == RP_COMMAND_REPLY && head.status == RP_OK;
        bool again =
          ok ? load_count (self, (int64_t) (head.id >> 12), now) : load_count_failed (self, now);
        zmq_msg_close (&frame);
        if (again)
            s_request (self, socket, body, now);
        else
            open--;
    }
    zmq_close (socket);
    free (body);
    return NULL;
}

void *load_native_worker (void *arg)
{
    const load_worker_t *self = arg;
    void *socket = s_greet (self->endpoint, RP_FLAG_WORKER, self->window);
    load_ready ();
    for (;;) {
        zmq_msg_t frame;
        rp_head_t head;
        s_receive (socket, &frame, &head);
        size_t size = zmq_msg_size (&frame) - head.size;
        rp_head_t reply = {
          .command = RP_COMMAND_REPLY, .id = head.id, .flags = size ? RP_FLAG_INLINE : 0};
        s_send (socket, &reply, (char *) zmq_msg_data (&frame) + head.size, size);
        zmq_msg_close (&frame);
    }
    return NULL;
}
