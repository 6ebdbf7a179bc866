/*  Publisher: hands snapshots from the broker's thread to the one thread that writes pages and metrics.

    SPDX-License-Identifier: MPL-2.0

    The reader asks; the broker's thread takes a snapshot when it comes to it, at most every
    RP_PUBLISHER_PAUSE_US, and only when asked. It does so in slices of RP_PUBLISHER_SLICE_US, one in a turn of its
    loop, so that requests wait for a slice at most. A whole snapshot lies in one slot, which both exchange, so neither
    waits for the other.

    Thread-safety: one owner (the broker's thread) and one reader, as stated.
*/

#ifndef RP_PUBLISHER_H
#define RP_PUBLISHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/admin/snapshot.h"

/*  Shortest time between two snapshots, µs.  */
#define RP_PUBLISHER_PAUSE_US 250000
/*  How long the owner works for a snapshot in one turn, µs.  */
#define RP_PUBLISHER_SLICE_US 100

typedef struct {
    _Atomic (rp_snapshot_t *) fresh; /* published, and not taken yet; NULL: none */
    int asked;                       /* an eventfd that the owner polls */
    int told;                        /* an eventfd that the reader polls */
    rp_snapshot_taking_t *taking;    /* owner: the snapshot that is being taken; NULL: none */
    int64_t began;                   /* owner: when that was, or the one before, was begun, µs */
    int64_t due;                     /* owner: when it may go on, µs */
    bool wanted;                     /* owner: another one is asked for */
    _Atomic int64_t heard;           /* when the owner has heard the reader last, µs */
    _Atomic bool draining;           /* what the owner said then */
} rp_publisher_t;

/*  False with errno; self may be cleared all the same.  */
bool rp_publisher_init (rp_publisher_t *self);
void rp_publisher_clear (rp_publisher_t *self);

/*  Reader: asks for a snapshot.  */
void rp_publisher_ask (rp_publisher_t *self);

/*  Reader: asks only whether the owner lives and drains. rp_publisher_heard says so soon, and `told` is readable
    then.  */
void rp_publisher_knock (rp_publisher_t *self);

/*  Owner: takes note of what was asked, and says whether it drains.  */
void rp_publisher_hear (rp_publisher_t *self, bool draining, int64_t now);

/*  Reader: when the owner has heard it last, µs; and what it said then, or later.  */
int64_t rp_publisher_heard (rp_publisher_t *self);
bool rp_publisher_is_draining (rp_publisher_t *self);

/*  Owner: begins a snapshot if one is wanted, or goes on with it, and publishes it once it is whole; the one before,
    if nobody took it, is freed. Returns when to call again, µs; INT64_MAX: not before something was heard. Out of
    memory there is no snapshot: the reader learns it by waiting.  */
int64_t rp_publisher_go_on (
  rp_publisher_t *self, const rp_snapshot_sources_t *sources, int64_t now);

/*  Reader: takes the latest snapshot, which is the reader's from now on. NULL if there is no newer
    one.  */
rp_snapshot_t *rp_publisher_take (rp_publisher_t *self);

#endif
