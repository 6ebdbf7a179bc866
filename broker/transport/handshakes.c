/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/handshakes.h"

#include <stdlib.h>

#include "broker/transport/connections.h"
#include "common/base/grow.h"
#include "common/base/heap.h"

/*  Bytes that libzmq 4.3.4 has sent to a peer: the signature; the version, once it has a signature;
    the socket type and an empty identity to one of ZMTP 2; a whole greeting and READY to one of
    ZMTP 3.  */
#define S_SIGNATURE 10u
#define S_VERSION 11u
#define S_GREETING 64u
#define S_READY (S_GREETING + 43u)
/*  Bytes that a peer sends at least: an empty identity in ZMTP 1; greeting and empty identity in
    ZMTP 2; greeting and a READY that has the shortest socket type in ZMTP 3.  */
#define S_FROM_1 2u
#define S_FROM_2 14u
#define S_FROM_3 (64u + 27u)

struct rp_handshake {
    rp_list_node_t node;
    int64_t look;
    int64_t until;
    uint64_t cookie; /* of the socket behind the descriptor */
    int descriptor;
    uint8_t listener;
    char address[RP_CONNECTIONS_TEXT_MAX];
};

rp_handshake_state_t rp_handshake_state (const rp_traffic_t *traffic)
{
    if (!traffic->counted)
        return traffic->unread ? RP_HANDSHAKE_OPEN : RP_HANDSHAKE_DONE;
    if (traffic->sent <= S_VERSION) {
        if (traffic->sent == S_VERSION || traffic->received < S_FROM_1)
            return RP_HANDSHAKE_OPEN;
        return traffic->received == S_FROM_1 ? RP_HANDSHAKE_OLD : RP_HANDSHAKE_NOISE;
    }
    if (traffic->sent < S_GREETING)
        return traffic->received >= S_FROM_2 ? RP_HANDSHAKE_OLD : RP_HANDSHAKE_OPEN;
    // More than a greeting and READY was sent only to one whose handshake was done.
    bool more = traffic->sent != S_GREETING && traffic->sent != S_READY;
    return more || traffic->received >= S_FROM_3 ? RP_HANDSHAKE_DONE : RP_HANDSHAKE_OPEN;
}

void rp_handshakes_init (rp_handshakes_t *self, int64_t patience)
{
    *self = (rp_handshakes_t){.patience = patience};
    rp_list_init (&self->line);
    for (size_t listener = 0; listener < RP_LISTENERS_MAX; listener++)
        self->spoke[listener] = INT64_MIN;
}

void rp_handshakes_spoke (rp_handshakes_t *self, uint8_t listener, int64_t now)
{
    self->spoke[listener] = now;
}

static rp_handshake_t *s_first (const rp_handshakes_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->line);
    return node ? RP_CONTAINER (node, rp_handshake_t, node) : NULL;
}

void rp_handshakes_clear (rp_handshakes_t *self)
{
    for (rp_handshake_t *one; (one = s_first (self));)
        rp_handshakes_remove (self, one->descriptor);
    free (self->by_descriptor);
    rp_handshakes_init (self, self->patience);
}

void rp_handshakes_add (rp_handshakes_t *self, int descriptor, uint8_t listener, int64_t now)
{
    if (descriptor < 0)
        return;
    rp_handshake_t **grown =
      rp_grown (self->by_descriptor, &self->descriptor_count, (size_t) descriptor, sizeof *grown);
    if (!grown)
        return;
    self->by_descriptor = grown;
    rp_handshakes_remove (self, descriptor);
    rp_handshake_t *one = malloc (sizeof *one);
    if (!one)
        return;
    *one = (rp_handshake_t){.look = now + RP_HANDSHAKES_LOOK_US,
      .until = now + self->patience,
      .cookie = rp_connections_cookie (descriptor), // 0: it is gone, which libzmq will tell
      .descriptor = descriptor,
      .listener = listener};
    rp_connections_descriptor_address (descriptor, one->address);
    rp_list_append (&self->line, &one->node);
    self->by_descriptor[descriptor] = one;
}

const char *rp_handshakes_address (const rp_handshakes_t *self, int descriptor)
{
    bool known = descriptor >= 0 && (size_t) descriptor < self->descriptor_count
                 && self->by_descriptor[descriptor];
    return known ? self->by_descriptor[descriptor]->address : NULL;
}

bool rp_handshakes_remove (rp_handshakes_t *self, int descriptor)
{
    if (descriptor < 0 || (size_t) descriptor >= self->descriptor_count)
        return false;
    rp_handshake_t *one = self->by_descriptor[descriptor];
    if (!one)
        return false;
    rp_list_remove (&one->node);
    free (one);
    self->by_descriptor[descriptor] = NULL;
    return true;
}

/*  True if it is to be looked at again. Of one that is gone, or cannot be seen, nothing is
    known.  */
static bool s_is_open (
  const rp_handshakes_t *self, const rp_handshake_t *one, int64_t now, rp_handshake_state_t *state)
{
    rp_traffic_t traffic;
    *state = RP_HANDSHAKE_DONE;
    if (rp_connections_cookie (one->descriptor) == one->cookie
        && rp_socket_traffic (one->descriptor, &traffic))
        *state = rp_handshake_state (&traffic);
    if (*state == RP_HANDSHAKE_NOISE && self->spoke[one->listener] >= one->until - self->patience)
        *state = RP_HANDSHAKE_DONE;
    if (*state != RP_HANDSHAKE_OPEN && *state != RP_HANDSHAKE_NOISE)
        return false;
    if (now < one->until)
        return true;
    *state = RP_HANDSHAKE_LATE;
    return false;
}

bool rp_handshakes_look (rp_handshakes_t *self, int64_t now, rp_handshake_end_t *end, int64_t *next)
{
    rp_handshake_t *one;
    *next = INT64_MAX;
    while ((one = s_first (self))) {
        if (one->look > now) {
            *next = one->look;
            return false;
        }
        if (!s_is_open (self, one, now, &end->state)) {
            end->descriptor = one->descriptor;
            end->cookie = one->cookie;
            end->listener = one->listener;
            rp_handshakes_remove (self, one->descriptor);
            return true;
        }
        one->look = now + RP_HANDSHAKES_LOOK_US;
        rp_list_remove (&one->node);
        rp_list_append (&self->line, &one->node);
    }
    return false;
}
