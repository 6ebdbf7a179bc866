/*  bench_load: jobs through RabbitMQ's quorum queues, with librabbitmq.

    SPDX-License-Identifier: MPL-2.0

    A quorum queue gives a message away once it is on disk, so a client whose result has come knows that job and
    result are. A worker publishes each result with confirms, and acknowledges the job once it is confirmed, without
    waiting in between.
*/

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "bench/load.h"

#define S_CHANNEL 1
#define S_PREFETCH 1024

static void s_check (amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    fprintf (stderr, "%s: %s\n", what,
      reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? amqp_error_string2 (reply.library_error)
                                                          : "the server refuses it");
    exit (1);
}

static amqp_connection_state_t s_connect (const char *endpoint)
{
    char host[64];
    int port;
    if (sscanf (endpoint, "tcp://%63[^:]:%d", host, &port) != 2)
        load_die (endpoint);
    amqp_connection_state_t link = amqp_new_connection ();
    amqp_socket_t *socket = amqp_tcp_socket_new (link);
    if (!socket || amqp_socket_open (socket, host, port) != AMQP_STATUS_OK)
        load_die (endpoint);
    s_check (amqp_login (
               link, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
      "login");
    amqp_channel_open (link, S_CHANNEL);
    s_check (amqp_get_rpc_reply (link), "channel.open");
    return link;
}

/*  One at a time: until the thread that makes a quorum queue has its answer, the queue is declared to others but cannot
    be consumed, and the server closes their connections.  */
static void s_consume (amqp_connection_state_t link, const char *queue, bool no_ack)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    amqp_table_entry_t kind = {
      .key = amqp_cstring_bytes ("x-queue-type"), .value = {.kind = AMQP_FIELD_KIND_UTF8}};
    kind.value.value.bytes = amqp_cstring_bytes ("quorum");
    amqp_table_t terms = {.num_entries = 1, .entries = &kind};
    pthread_mutex_lock (&mutex);
    amqp_queue_declare (link, S_CHANNEL, amqp_cstring_bytes (queue), 0, 1, 0, 0, terms);
    s_check (amqp_get_rpc_reply (link), "queue.declare");
    amqp_basic_qos (link, S_CHANNEL, 0, S_PREFETCH, 0);
    s_check (amqp_get_rpc_reply (link), "basic.qos");
    amqp_basic_consume (link, S_CHANNEL, amqp_cstring_bytes (queue), amqp_empty_bytes, 0, no_ack, 0,
      amqp_empty_table);
    s_check (amqp_get_rpc_reply (link), "basic.consume");
    pthread_mutex_unlock (&mutex);
}

static void s_publish (amqp_connection_state_t link, const char *queue, void *body, size_t size)
{
    amqp_basic_properties_t persistent = {
      ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    int rc = amqp_basic_publish (link, S_CHANNEL, amqp_empty_bytes, amqp_cstring_bytes (queue), 0,
      0, &persistent, (amqp_bytes_t){.len = size, .bytes = body});
    if (rc != AMQP_STATUS_OK)
        load_die (amqp_error_string2 (rc));
}

void *load_rabbitmq_client (void *arg)
{
    static atomic_uint count;
    load_client_t *load = arg;
    if (load->size < 2 * sizeof (int64_t))
        load->size = 2 * sizeof (int64_t);
    char *body = load_body (&load->size);
    unsigned number = (unsigned) getpid () * 100 + atomic_fetch_add (&count, 1);
    memcpy (body + sizeof (int64_t), &number, sizeof number);
    char results[32];
    snprintf (results, sizeof results, "r-%u", number);
    amqp_connection_state_t link = s_connect (load->endpoint);
    s_consume (link, results, true);
    load_begin (load);
    for (int index = 0; index < load->inflight; index++) {
        load_stamp (body, load_now ());
        s_publish (link, "bench", body, load->size);
    }
    for (int open = load->inflight; open > 0;) {
        amqp_envelope_t result;
        amqp_maybe_release_buffers (link);
        s_check (amqp_consume_message (link, &result, NULL, 0), "consume");
        int64_t now = load_now ();
        bool again =
          load_count (load, load_stamped (result.message.body.bytes, result.message.body.len), now);
        amqp_destroy_envelope (&result);
        if (!again)
            open--;
        else {
            load_stamp (body, now);
            s_publish (link, "bench", body, load->size);
        }
    }
    amqp_destroy_connection (link);
    free (body);
    return NULL;
}

/*  The result of each job is published in the order of the jobs, and both are numbered from 1, so a confirmed result
    has the number of its job.  */
static void s_confirmed (amqp_connection_state_t link)
{
    amqp_frame_t frame;
    if (amqp_simple_wait_frame (link, &frame) != AMQP_STATUS_OK)
        load_die ("wait for a frame");
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
        load_die ("a result was not confirmed");
    const amqp_basic_ack_t *ack = frame.payload.method.decoded;
    if (amqp_basic_ack (link, S_CHANNEL, ack->delivery_tag, ack->multiple) != AMQP_STATUS_OK)
        load_die ("basic.ack");
}

void *load_rabbitmq_worker (void *arg)
{
    const load_worker_t *self = arg;
    amqp_connection_state_t link = s_connect (self->endpoint);
    amqp_confirm_select (link, S_CHANNEL);
    s_check (amqp_get_rpc_reply (link), "confirm.select");
    s_consume (link, "bench", false);
    load_ready ();
    for (;;) {
        amqp_envelope_t job;
        amqp_maybe_release_buffers (link);
        amqp_rpc_reply_t reply = amqp_consume_message (link, &job, NULL, 0);
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION
            && reply.library_error == AMQP_STATUS_UNEXPECTED_STATE) {
            s_confirmed (link);
            continue;
        }
        s_check (reply, "consume");
        unsigned number;
        memcpy (&number, (char *) job.message.body.bytes + sizeof (int64_t), sizeof number);
        char results[32];
        snprintf (results, sizeof results, "r-%u", number);
        s_publish (link, results, job.message.body.bytes, job.message.body.len);
        amqp_destroy_envelope (&job);
    }
    return NULL;
}
