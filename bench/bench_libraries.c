/*  The instructions of a request in the client and the worker library, for bench/instructions.

    SPDX-License-Identifier: MPL-2.0

    There are no sockets: a peer in this process, which answers at once, replaces libzmq, and a
    clock that counts its readings replaces the system's, so that every run does the same.

        bench_libraries COUNT client|worker

    64 requests are open, and travel in bundles of 64. The peer's messages are copies of one, so
    that the peer itself costs little.
*/

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#include <zmq.h>

#include "common/base/cursor.h"
#include "common/wire/bundle.h"
#include "common/wire/head.h"

#define OPEN 64
#define BODY 64
#define AT_COMMAND 3 /* of a head, docs/PROTOCOL.md, section 3.1 */
#define AT_ID 8

static uint8_t s_template[RP_WIRE_HEAD_MAX + BODY]; /* the peer's message */
static size_t s_size;
static uint8_t s_waiting[RP_BUNDLE_MAX]; /* what the library has not read */
static size_t s_waiting_size;
static uint64_t s_last_id;
static bool s_connected;
static char s_dealer, s_monitor; /* their addresses stand for the sockets */
static int s_always, s_never;    /* descriptors: readable, not readable */

static void s_die (const char *what)
{
    perror (what);
    exit (1);
}

/*  ---- The peer ------------------------------------------------------------------------------- */

static void s_say (uint64_t id)
{
    if (s_waiting_size == 0)
        s_waiting_size = (size_t) (rp_bundle_write_head (s_waiting) - s_waiting);
    uint8_t *at = rp_bundle_write_entry_head (s_waiting + s_waiting_size, s_size);
    memcpy (at, s_template, s_size);
    rp_put_u64 (at + AT_ID, id);
    s_waiting_size += RP_BUNDLE_ENTRY_HEAD + s_size;
}

static void s_welcome (void)
{
    rp_head_t welcome = {.command = RP_COMMAND_WELCOME,
      .flags = RP_FLAG_BUNDLES,
      .interval_ms = 60000,
      .window = 1024};
    s_waiting_size = rp_wire_encode (&welcome, s_waiting, sizeof s_waiting);
}

static void s_hear (const uint8_t *message)
{
    switch (message[AT_COMMAND]) {
        case RP_COMMAND_HELLO:
            s_welcome ();
            break;
        case RP_COMMAND_REQUEST:
            s_say (rp_get_u64 (message + AT_ID));
            break;
        case RP_COMMAND_REPLY:
            s_say (++s_last_id);
            break;
        default:
            break;
    }
}

/*  ---- What the libraries take for libzmq and the clock --------------------------------------- */

void *zmq_socket (void *context, int type)
{
    (void) context;
    return type == ZMQ_PAIR ? &s_monitor : &s_dealer;
}

int zmq_close (void *socket)
{
    (void) socket;
    return 0;
}

int zmq_connect (void *socket, const char *endpoint)
{
    (void) socket, (void) endpoint;
    return 0;
}

int zmq_setsockopt (void *socket, int option, const void *value, size_t size)
{
    (void) socket, (void) option, (void) value, (void) size;
    return 0;
}

int zmq_getsockopt (void *socket, int option, void *value, size_t *size)
{
    if (option == ZMQ_FD && *size == sizeof (int))
        memcpy (value, socket == &s_dealer ? &s_always : &s_never, sizeof (int));
    return 0;
}

int zmq_socket_monitor (void *socket, const char *endpoint, int events)
{
    (void) socket, (void) endpoint, (void) events;
    return 0;
}

int zmq_msg_send (zmq_msg_t *frame, void *socket, int flags)
{
    (void) socket, (void) flags;
    uint8_t *data = zmq_msg_data (frame);
    size_t size = zmq_msg_size (frame);
    if (!rp_bundle_is (data, size))
        s_hear (data);
    else
        for (size_t offset = 0, each;
             (data = rp_bundle_next (zmq_msg_data (frame), size, &offset, &each));)
            s_hear (data);
    zmq_msg_close (frame);
    zmq_msg_init (frame);
    return (int) size;
}

static int s_receive (zmq_msg_t *frame, const void *data, size_t size)
{
    if (zmq_msg_init_size (frame, size) != 0)
        s_die ("zmq_msg_init_size");
    memcpy (zmq_msg_data (frame), data, size);
    return (int) size;
}

int zmq_msg_recv (zmq_msg_t *frame, void *socket, int flags)
{
    (void) flags;
    errno = EAGAIN;
    if (socket == &s_monitor) {
        if (s_connected)
            return -1;
        s_connected = true;
        uint8_t bytes[6] = {0};
        uint16_t event = ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        memcpy (bytes, &event, sizeof event);
        return s_receive (frame, bytes, sizeof bytes);
    }
    if (s_waiting_size == 0)
        return -1;
    int rc = s_receive (frame, s_waiting, s_waiting_size);
    s_waiting_size = 0;
    return rc;
}

int clock_gettime (clockid_t clock, struct timespec *time)
{
    (void) clock;
    static atomic_long readings = 1000000;
    long now = ++readings;
    *time = (struct timespec){.tv_sec = now / 1000000, .tv_nsec = now % 1000000 * 1000};
    return 0;
}

/*  ---- The application ------------------------------------------------------------------------ */

static void s_submit (rp_client_t *client)
{
    static const char body[BODY];
    rp_call_t *call = rp_call_new ("bench", body, sizeof body);
    if (!call || rp_client_submit (client, &call, NULL) != RP_OK)
        s_die ("submit");
}

static void s_run_client (long count)
{
    rp_head_t reply = {
      .command = RP_COMMAND_REPLY, .flags = RP_FLAG_INLINE, .id = 1, .attempt = 1, .queue_us = 5};
    s_size = rp_wire_encode (&reply, s_template, sizeof s_template) + BODY;
    rp_client_t *client = rp_client_new ("tcp://127.0.0.1:1");
    if (!client || rp_client_connect (client, 5000) != RP_OK)
        s_die ("connect");
    for (int index = 0; index < OPEN; index++)
        s_submit (client);
    for (; count > 0; count--) {
        rp_reply_t *one = NULL;
        if (rp_client_collect (client, 5000, &one) != RP_OK || rp_reply_status (one) != RP_OK
            || rp_reply_size (one) != BODY)
            s_die ("collect");
        rp_reply_destroy (&one);
        s_submit (client);
    }
    rp_client_destroy (&client);
}

typedef struct {
    rp_worker_t *worker;
    long left;
} s_echo_t;

static void s_echo (rp_task_t **task_p, void *arg)
{
    s_echo_t *self = arg;
    if (rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p)) != RP_OK)
        s_die ("reply");
    if (--self->left == 0)
        rp_worker_stop (self->worker);
}

static void s_first_requests (const char *text, void *arg)
{
    (void) arg;
    for (int index = 0; index < OPEN && strncmp (text, "registered ", 11) == 0; index++)
        s_say (++s_last_id);
}

static void s_run_worker (long count)
{
    rp_head_t request = {.command = RP_COMMAND_REQUEST,
      .flags = RP_FLAG_INLINE,
      .id = 1,
      .attempt = 1,
      .attempts = 1,
      .deadline_ms = 60000,
      .name = "bench",
      .name_size = 5};
    s_size = rp_wire_encode (&request, s_template, sizeof s_template) + BODY;
    s_echo_t self = {.worker = rp_worker_new ("tcp://127.0.0.1:1", "bench"), .left = count};
    if (!self.worker || rp_worker_set_slots (self.worker, 4 * OPEN) != RP_OK
        || rp_worker_on_notice (self.worker, s_first_requests, NULL) != RP_OK
        || rp_worker_run (self.worker, s_echo, &self) != RP_OK)
        s_die ("worker");
    rp_worker_destroy (&self.worker);
}

int main (int argc, char **argv)
{
    if (argc != 3) {
        fprintf (stderr, "bench_libraries COUNT client|worker\n");
        return 2;
    }
    s_always = eventfd (1, EFD_NONBLOCK);
    s_never = eventfd (0, EFD_NONBLOCK);
    if (s_always < 0 || s_never < 0)
        s_die ("eventfd");
    (strcmp (argv[2], "client") == 0 ? s_run_client : s_run_worker) (atol (argv[1]));
    return 0;
}
