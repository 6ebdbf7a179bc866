/*  Parts: what came of a body in parts and was not read yet, in order.

    SPDX-License-Identifier: MPL-2.0

    A small part is copied, since it may lie in a bundle, or in a buffer that is much larger; a large one keeps its
    message.

    Thread-safety: none; the owner's lock guards lists and message pools.
*/

#ifndef RP_PART_H
#define RP_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/io/channel.h"
#include "common/io/message.h"

typedef struct {
    rp_list_node_t node;   /* first: a node is its part */
    rp_message_t *message; /* that has the body; NULL: data has it */
    const void *body;
    size_t size;
    size_t weight; /* of body and headers: what a grant counts */
    char data[];
} rp_part_t;

/*  Makes a part of the message whose first frame this is, with this head, and puts it behind the
    others. message_p: NULL if the message lies in a bundle; otherwise *message_p is NULL afterwards if the part keeps
    the message. NULL when out of memory.  */
rp_part_t *rp_part_add (rp_list_t *list,
  const uint8_t *frame,
  size_t frame_size,
  const rp_head_t *head,
  rp_message_t **message_p);

/*  Sends a part: head, and a body that the caller keeps. 0, or -1 with errno, as rp_channel_send; ENOMEM.  */
int rp_part_send (
  rp_channel_t *channel, rp_message_pool_t *pool, rp_head_t *head, const void *data, size_t size);

/*  Takes the first part out of the list; NULL if there is none.  */
rp_part_t *rp_part_take (rp_list_t *list);

/*  Nulls *self_p; NULL is allowed.  */
void rp_part_destroy (rp_message_pool_t *pool, rp_part_t **self_p);

/*  Destroys all.  */
void rp_part_clear (rp_message_pool_t *pool, rp_list_t *list);

#endif
