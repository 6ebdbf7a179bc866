/*  A broker that a test of the client library directs message by message; it can stop and start
    again at the same endpoint.

    SPDX-License-Identifier: MPL-2.0

    Every function fails the running cmocka test when something is wrong.
*/

#ifndef TEST_PUPPET_BROKER_H
#define TEST_PUPPET_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>
#include <zmq.h>

#include "common/wire/head.h"
#include "tests/support/bundle.h"

/*  Bound for everything that must happen, ms. It is generous: only a failing test waits for it.  */
#define PUPPET_PATIENCE_MS 10000

typedef struct {
    void *context;
    void *router; /* NULL while it is down */
    char endpoint[128];
    zmq_msg_t address; /* the sender of the latest message */
    zmq_msg_t first;
    unbundler_t unbundler; /* messages of a bundle are received one by one */
    unsigned received;     /* messages of ZeroMQ, of which a bundle is one; HEARTBEATs included */
    rp_head_t head;        /* of that message; points into first */
    char *body;            /* all its body frames, and a NUL */
    size_t size;
    size_t frames; /* body frames that are not inline */
} puppet_t;

/*  Binds a free port.  */
puppet_t *puppet_new (void);
void puppet_destroy (puppet_t **self_p);

/*  Closes the socket as a crash does; binds the same endpoint again.  */
void puppet_stop (puppet_t *self);
void puppet_start (puppet_t *self);

/*  Receives the next message that is no HEARTBEAT. Returns false if none comes in time.  */
bool puppet_receive (puppet_t *self, int timeout_ms);

/*  The same; the message must be this command.  */
void puppet_expect (puppet_t *self, rp_command_t command);

/*  Sends a head to the sender of the latest message, with a body (INLINE) if size is not 0.  */
void puppet_send (puppet_t *self, rp_head_t head, const void *body, size_t size);

/*  Sends a frame as it is. begins: it is the first of its message.  */
void puppet_send_frame (puppet_t *self, const void *data, size_t size, bool begins, bool more);

/*  WELCOME, with heartbeats every two seconds.  */
void puppet_welcome (puppet_t *self, const char *max_body, uint32_t open);

/*  Expects HELLO and sends WELCOME: a thousand requests at once, bodies of a million bytes.  */
void puppet_greet (puppet_t *self);

/*  The same, as a broker that reads bundles, with heartbeats so rare that nothing is sent because
    of them.  */
void puppet_greet_with_bundles (puppet_t *self);

/*  Sends a bundle.  */
void puppet_send_bundle (puppet_t *self, const bundle_t *bundle);

/*  Replies to the latest request.  */
void puppet_reply (puppet_t *self, rp_status_t status, const char *body);

#endif
