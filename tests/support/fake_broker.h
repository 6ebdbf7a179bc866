/*  A scripted broker: a ROUTER in the test's own thread that sends what the test tells it, right or
    wrong.

    SPDX-License-Identifier: MPL-2.0

    It sends to the peer that it heard last. Every function fails the running cmocka test when
    something is wrong.
*/

#ifndef TEST_FAKE_BROKER_H
#define TEST_FAKE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>
#include <zmq.h>

#include "common/wire/head.h"
#include "common/wire/limits.h"
#include "tests/support/bundle.h"

/*  The interval that WELCOME agrees on by default, ms: the fake broker sends no heartbeats, so the
    interval must be longer than the test.  */
#define FAKE_BROKER_INTERVAL_MS 30000u

typedef struct {
    uint8_t id[256];
    size_t size;
} fake_peer_t;

typedef struct {
    void *context;
    void *socket;
    char endpoint[128];
    fake_peer_t peer; /* the peer heard last; the test may set it */
    zmq_msg_t frames[RP_FRAMES_MAX];
    size_t frame_count;
    unbundler_t unbundler; /* messages of a bundle are received one by one */
    unsigned received;     /* messages of ZeroMQ, of which a bundle is one; HEARTBEATs included */
    unsigned aside;        /* HEARTBEATs and CREDITs that came unasked */
    rp_head_t head;        /* of the latest message; points into frames */
    const char *body;
    size_t body_size; /* of its first body frame, inline or not */
} fake_broker_t;

fake_broker_t *fake_broker_new (void);
/*  Closes every connection at once.  */
void fake_broker_destroy (fake_broker_t **self_p);

/*  Receives the next message, which must be this command. HEARTBEATs are ignored unless one is
    expected.  */
const rp_head_t *fake_broker_expect (fake_broker_t *self, rp_command_t command);

/*  The same, for the REPLY to a token.  */
const rp_head_t *fake_broker_expect_reply (fake_broker_t *self, uint64_t token, rp_status_t status);

/*  Sends a head, with a body (INLINE) if body is not NULL.  */
void fake_broker_send (fake_broker_t *self, const rp_head_t *head, const void *body, size_t size);

/*  Sends a head and body frames of their own.  */
void fake_broker_send_frames (fake_broker_t *self,
  const rp_head_t *head,
  const void *const *frames,
  const size_t *sizes,
  size_t count);

/*  Waits for a HELLO and answers WELCOME.  */
void fake_broker_welcome (fake_broker_t *self, uint32_t window);
void fake_broker_welcome_with (
  fake_broker_t *self, uint32_t window, uint32_t interval_ms, const char *max_body);

/*  The same, as a broker that reads bundles, with heartbeats so rare that nothing is sent because
    of them.  */
void fake_broker_welcome_with_bundles (fake_broker_t *self, uint32_t window);

/*  Sends a bundle.  */
void fake_broker_send_bundle (fake_broker_t *self, const bundle_t *bundle);

/*  A request with ten seconds and one attempt.  */
void fake_broker_request (fake_broker_t *self, uint64_t token, const char *body);
void fake_broker_request_in (
  fake_broker_t *self, uint64_t token, uint64_t conversation, const char *body);

/*  A message that is only a command, with an id, a conversation or a status.  */
void fake_broker_cancel (fake_broker_t *self, uint64_t token);
void fake_broker_end (fake_broker_t *self, uint64_t conversation);
void fake_broker_bye (fake_broker_t *self, rp_status_t status);

#endif
