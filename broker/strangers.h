/*  Strangers: connections without a session, and how long they may stay.

    SPDX-License-Identifier: MPL-2.0

    Somebody who connects and never says HELLO would hold a descriptor for ever, and so might somebody
    whose session is over. Both have a limited time to greet; then their connection is cut. They wait
    in a line, in the order in which they came, since all have the same time.

    Cost: 24 bytes per connection that came within the limit. Thread-safety: none.
*/

#ifndef RP_STRANGERS_H
#define RP_STRANGERS_H

#include <stddef.h>
#include <stdint.h>

#include "broker/peers.h"

typedef struct {
    int64_t until;
    uint64_t cookie; /* of the socket behind the descriptor */
    int descriptor;
} rp_stranger_t;

typedef struct {
    rp_stranger_t *line; /* a ring */
    size_t first;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
    int64_t patience; /* µs */
} rp_strangers_t;

void rp_strangers_init (rp_strangers_t *self, int64_t patience);
void rp_strangers_clear (rp_strangers_t *self);

/*  A connection came, or its session ended. Without memory it is left alone.  */
void rp_strangers_add (rp_strangers_t *self, int descriptor, int64_t now);

/*  Cuts those whose time is over and who have no session. Returns how many; *next is when to call
    again (INT64_MAX: never).  */
size_t rp_strangers_tick (
  rp_strangers_t *self, const rp_peers_t *peers, int64_t now, int64_t *next);

#endif
