/*  bench_load: Majordomo 0.1 with bare sockets, for Riposte's broker and the textbook's.

    SPDX-License-Identifier: MPL-2.0

    Clients are DEALERs, which may keep many requests open; workers answer requests as they come.

    Source: RFC 7/MDP.
*/

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench/load.h"

#define HEARTBEAT_MS 1000
#define FRAMES_MAX 8

static const char s_ready = 1, s_request = 2, s_reply = 3, s_heartbeat = 4;

static void s_part (void *socket, const void *data, size_t size, int flags)
{
    if (zmq_send (socket, data, size, flags) < 0)
        load_die ("zmq_send");
}

/*  Returns how many frames came; 0: none within the socket's timeout.  */
static int s_receive (void *socket, zmq_msg_t *frames)
{
    for (int count = 0; count < FRAMES_MAX; count++) {
        zmq_msg_init (&frames[count]);
        if (zmq_msg_recv (&frames[count], socket, 0) < 0)
            return 0;
        if (!zmq_msg_more (&frames[count]))
            return count + 1;
    }
    load_die ("a message of too many frames");
}

static void s_close (zmq_msg_t *frames, int count)
{
    for (int index = 0; index < count; index++)
        zmq_msg_close (&frames[index]);
}

/*  ---- Client --------------------------------------------------------------------------------- */

static void s_ask (void *socket, char *body, size_t size, int64_t now)
{
    load_stamp (body, now);
    s_part (socket, NULL, 0, ZMQ_SNDMORE);
    s_part (socket, "MDPC01", 6, ZMQ_SNDMORE);
    s_part (socket, "bench", 5, ZMQ_SNDMORE);
    s_part (socket, body, size, 0);
}

void *load_mdp_client (void *arg)
{
    load_client_t *self = arg;
    void *socket = load_socket (ZMQ_DEALER, self->endpoint, false);
    char *body = load_body (&self->size);
    for (int index = 0; index < self->inflight; index++)
        s_ask (socket, body, self->size, load_now ());
    for (int open = self->inflight; open > 0;) {
        zmq_msg_t frames[FRAMES_MAX];
        int count = s_receive (socket, frames);
        if (count != 4)
            load_die ("a reply of MDP/Client");
        int64_t now = load_now ();
        int64_t sent = load_stamped (zmq_msg_data (&frames[3]), zmq_msg_size (&frames[3]));
        s_close (frames, count);
        if (load_count (self, sent, now))
            s_ask (socket, body, self->size, now);
        else
            open--;
    }
    zmq_close (socket);
    free (body);
    return NULL;
}

/*  ---- Worker --------------------------------------------------------------------------------- */

static void s_command (void *socket, const char *command, int flags)
{
    s_part (socket, NULL, 0, ZMQ_SNDMORE);
    s_part (socket, "MDPW01", 6, ZMQ_SNDMORE);
    s_part (socket, command, 1, flags);
}

/*  The frames of a request from the client's address on are those of its reply.  */
static void s_answer (void *socket, zmq_msg_t *frames, int count)
{
    s_command (socket, &s_reply, ZMQ_SNDMORE);
    for (int index = 3; index < count; index++)
        if (zmq_msg_send (&frames[index], socket, index + 1 < count ? ZMQ_SNDMORE : 0) < 0)
            load_die ("zmq_msg_send");
}

void *load_mdp_worker (void *arg)
{
    const load_worker_t *self = arg;
    void *socket = load_socket (ZMQ_DEALER, self->endpoint, false);
    int heartbeat = HEARTBEAT_MS;
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &heartbeat, sizeof heartbeat);
    s_command (socket, &s_ready, ZMQ_SNDMORE);
    s_part (socket, "bench", 5, 0);
    load_ready ();
    int64_t said = load_now ();
    for (;;) {
        zmq_msg_t frames[FRAMES_MAX];
        int count = s_receive (socket, frames);
        if (count >= 6 && memcmp (zmq_msg_data (&frames[2]), &s_request, 1) == 0)
            s_answer (socket, frames, count);
        s_close (frames, count);
        int64_t now = load_now ();
        if (now - said > HEARTBEAT_MS * 1000) {
            s_command (socket, &s_heartbeat, 0);
            said = now;
        }
    }
    return NULL;
}
