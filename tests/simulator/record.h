/*  Histories of what a simulation does: the broker's, and those of its peers.

    SPDX-License-Identifier: MPL-2.0

    A peer is named by its session. Workers write down a start together with its reply, since only
    that shows that the delivery reached them. What makes nobody keep a promise is written down too:
    clients that are gone, and times at which nobody got to run.
*/

#ifndef RECORD_H
#define RECORD_H

#include <stdio.h>

#include "broker/store/history.h"
#include "tests/support/sequence.h"

#define RECORD_STARTS 1024u

typedef struct {
    rp_token_t token;
    rp_session_id_t worker;
    uint64_t request;
    unsigned attempt;
    bool told;
} record_start_t;

typedef struct {
    sequence_t *sequence;
    rp_history_t history;
    FILE *peers;
    uint64_t seed;
    int64_t seen; /* the time of the latest event */
    record_start_t starts[RECORD_STARTS];
    unsigned start_count;
} record_t;

/*  Begins the files DIRECTORY/SEED.broker and DIRECTORY/SEED.peers. False with errno.  */
bool record_begin (record_t *self, sequence_t *sequence, const char *directory, uint64_t seed);

/*  Everybody has been told. False if not all of it could be written.  */
bool record_end (record_t *self);

/*  What happens: before the core sees it, and what it wants done.  */
void record_event (record_t *self, const rp_event_t *event);
void record_action (record_t *self, const rp_action_t *action, const rp_payload_t *message);

#endif
