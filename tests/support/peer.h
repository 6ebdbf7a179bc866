/*  A raw peer: a DEALER that sends messages of the protocol by hand, right or wrong.

    SPDX-License-Identifier: MPL-2.0

    It uses the codec of common/wire/head.h and nothing of the client or worker library. Every
    function fails the running cmocka test when something is wrong.
*/

#ifndef TEST_PEER_H
#define TEST_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <riposte/error.h>
#include <zmq.h>

#include "common/wire/head.h"
#include "common/wire/limits.h"
#include "tests/support/bundle.h"

/*  The heartbeat interval that test peers ask for by default, ms: they never send one, so the
    interval must be longer than the test.  */
#define TEST_PEER_INTERVAL_MS 30000u

typedef struct {
    void *context;
    void *socket;                    /* for all that the functions below do not do */
    zmq_msg_t frames[RP_FRAMES_MAX]; /* of the latest message */
    size_t frame_count;
    unbundler_t unbundler; /* messages of a bundle are received one by one */
    rp_head_t head;        /* likewise; points into frames */
    const char *body;
    size_t body_size; /* of its first body frame, inline or not */
} test_peer_t;

/*  Makes a peer and begins to connect. Destroying it closes the connection without BYE, as a crash
    does.  */
test_peer_t *test_peer_new (const char *endpoint);
void test_peer_destroy (test_peer_t **self_p);

/*  The same with HELLO: returns once WELCOME has come.  */
test_peer_t *test_client_new (const char *endpoint);
test_peer_t *test_worker_new (const char *endpoint, const char *service, uint32_t window);

/*  The same, as peers that read bundles.  */
test_peer_t *test_client_new_with_bundles (const char *endpoint);
test_peer_t *test_worker_new_with_bundles (
  const char *endpoint, const char *service, uint32_t window);

/*  A worker of "upper" that reads and writes bodies in parts, with these flags beside WORKER.  */
test_peer_t *test_worker_new_with_streams (const char *endpoint, uint16_t flags);

/*  Sends a head, with a body (INLINE) if body is not NULL.  */
void test_peer_send (test_peer_t *self, const rp_head_t *head, const void *body, size_t size);

/*  Sends bytes as a frame as they are.  */
void test_peer_send_frame (test_peer_t *self, const void *data, size_t size, bool more);

/*  Receives the next message, which must be this command. HEARTBEATs are passed over unless one is
    what is expected.  */
const rp_head_t *test_peer_expect (test_peer_t *self, rp_command_t command);

/*  Receives the next message, which must be the REPLY to id with this status.  */
const rp_head_t *test_peer_expect_reply (test_peer_t *self, uint64_t id, rp_status_t status);

/*  Receives the next message, which must be a BYE with this status.  */
void test_peer_expect_bye (test_peer_t *self, rp_status_t status);

/*  A client's request with one attempt and ten seconds, as text.  */
void test_client_request (test_peer_t *self, uint64_t id, const char *service, const char *body);

/*  A worker's OK to what it received last.  */
void test_worker_reply (test_peer_t *self, uint64_t token, const char *body);

/*  Asks the broker for its status (riposte.status); the caller frees it. What this client sent
    before is in it. Fails if another message comes before the answer.  */
json_t *test_client_status (test_peer_t *self);

/*  A number of the status, by the path of its member ("counters", "probes"); group may be NULL.  */
int64_t test_client_count (test_peer_t *self, const char *group, const char *name);

/*  Waits until that number has the expected value.  */
void test_client_await_count (
  test_peer_t *self, const char *group, const char *name, int64_t value);

#endif
