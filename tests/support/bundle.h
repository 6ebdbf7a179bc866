/*  Bundles for the peers and brokers that tests play: written by hand, read message by message.

    SPDX-License-Identifier: MPL-2.0

    Every function fails the running cmocka test when something is wrong.
*/

#ifndef TEST_BUNDLE_H
#define TEST_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "common/wire/bundle.h"
#include "common/wire/head.h"

/*  A bundle that is being written; all zero is an empty one.  */
typedef struct {
    uint8_t bytes[2 * RP_BUNDLE_MAX]; /* large enough for a bundle over the limit */
    size_t size;
} bundle_t;

/*  Adds bytes as they are.  */
void bundle_add (bundle_t *self, const void *message, size_t size);

/*  Adds a message of a head and, if body is not NULL, a text after it.  */
void bundle_add_message (bundle_t *self, rp_head_t head, const char *body);

/*  A bundle that is being read; all zero is an empty one.  */
typedef struct {
    zmq_msg_t frame;
    size_t offset;
    bool open;
    unsigned count; /* bundles that were read */
} unbundler_t;

/*  Replaces a frame by the next message of the current bundle. Returns false if there is none.  */
bool unbundle_next (unbundler_t *self, zmq_msg_t *frame);

/*  Takes a received frame: if it is a bundle, it becomes the current one, and the frame its first
    message.  */
void unbundle (unbundler_t *self, zmq_msg_t *frame);

#endif
