/*  Histories of what a simulation does: the broker's, and those of its peers.

    SPDX-License-Identifier: MPL-2.0

    A peer is named by its session. A worker's start is recorded together with its reply, since only
    the reply shows that the delivery reached the worker. Events that excuse a broken promise are
    recorded too: clients that are gone, and times in which no process ran.
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

/*  Begins the files DIRECTORY/SEED.broker and DIRECTORY/SEED.peers. Returns false and sets errno if
    it cannot.  */
bool record_begin (record_t *self, sequence_t *sequence, const char *directory, uint64_t seed);

/*  Ends the files, after every client has its final status. Returns false if not all could be
    written.  */
bool record_end (record_t *self);

/*  Records an event before the core gets it, and an action that the core orders.  */
void record_event (record_t *self, const rp_event_t *event);
void record_action (record_t *self, const rp_action_t *action, const rp_payload_t *message);

#endif
