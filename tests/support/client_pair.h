/*  A client and a scripted broker, for tests of the client library.

    SPDX-License-Identifier: MPL-2.0

    Every function fails the running cmocka test when something is wrong.
*/

#ifndef TEST_CLIENT_PAIR_H
#define TEST_CLIENT_PAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/client.h>

#include "tests/support/puppet_broker.h"

typedef struct {
    puppet_t *broker;
    rp_client_t *client;
} client_pair_t;

void pair_begin (client_pair_t *pair);
/*  The same, and the client's first request, "first", waits for its reply.  */
void pair_begin_connected (client_pair_t *pair);
void pair_end (client_pair_t *pair);

/*  Submits a request to "echo"; returns its id.  */
uint64_t pair_submit (rp_client_t *client, const char *body);

/*  Collects the next reply, which the second destroys after it has looked at the status.  */
rp_reply_t *pair_collect (rp_client_t *client);
void pair_collect_status (rp_client_t *client, rp_status_t status);

/*  Writes an endpoint where nothing listens.  */
void pair_dead_endpoint (char *endpoint, size_t size);

/*  A blocking call in a thread of its own, so that the test can play the broker.  */
typedef struct {
    rp_client_t *client;
    rp_call_t *call;
    rp_reply_t *reply;
    int rc;
    atomic_bool over;
    pthread_t thread;
} caller_t;

void caller_start (caller_t *self, rp_client_t *client, rp_call_t *call);

/*  Waits until the call has returned RP_OK. The caller owns the reply.  */
rp_reply_t *caller_end (caller_t *self);

#endif
