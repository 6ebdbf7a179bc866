/*  bench_load: jobs of Riposte, with its client library; the workers are those of load_riposte.c.

    SPDX-License-Identifier: MPL-2.0

    A client sends a durable call, asks for the result once it is accepted, and sends the next when that has come. The
    broker gives a result only when it is on disk.
*/

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/client.h>

#include "bench/load.h"

#define S_WAIT_MS 30000

static void s_submit (rp_client_t *client, rp_call_t *call)
{
    int rc = call ? rp_client_submit (client, &call, NULL) : RP_NO_MEMORY;
    if (rc != RP_OK)
        load_die (rp_strerror (rc));
}

static void s_send (rp_client_t *client, char *body, size_t size, int64_t now)
{
    load_stamp (body, now);
    rp_call_t *call = rp_call_new ("bench", body, size);
    if (call && rp_call_set_durable (call, true) != RP_OK)
        load_die ("rp_call_set_durable");
    s_submit (client, call);
}

static void s_ask (rp_client_t *client, uint64_t job)
{
    char question[80];
    int size = snprintf (
      question, sizeof question, "{\"id\":\"%" PRIu64 "\",\"wait_ms\":%d}", job, S_WAIT_MS);
    s_submit (client, rp_call_new ("riposte.result", question, (size_t) size));
}

void *load_jobs_client (void *arg)
{
    load_client_t *load = arg;
    char *body = load_body (&load->size);
    rp_client_t *client = rp_client_new (load->endpoint);
    if (!client || rp_client_set_timeout_ms (client, S_WAIT_MS) != RP_OK
        || rp_client_connect (client, S_WAIT_MS) != RP_OK)
        load_die ("connect");
    load_begin (load);
    for (int index = 0; index < load->inflight; index++)
        s_send (client, body, load->size, load_now ());
    for (int open = load->inflight; open > 0;) {
        rp_reply_t *reply = NULL;
        if (rp_client_collect (client, S_WAIT_MS, &reply) != RP_OK)
            load_die ("collect");
        int64_t now = load_now ();
        bool done = rp_reply_size (reply) == load->size;
        if (rp_reply_status (reply) == RP_OK && !done)
            s_ask (client, rp_reply_job (reply));
        else if (done ? load_count (load, load_stamped (rp_reply_body (reply), load->size), now)
                      : load_count_failed (load, now))
            s_send (client, body, load->size, now);
        else
            open--;
        rp_reply_destroy (&reply);
    }
    rp_client_destroy (&client);
    free (body);
    return NULL;
}
