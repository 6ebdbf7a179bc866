/*  Writes a conversation: each request and its outcome.

    SPDX-License-Identifier: MPL-2.0

    As a table, request and reply are two rows, with further lines of the reply below; as JSON and
    CSV, one item each.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_TRANSCRIPT_H
#define RP_TRANSCRIPT_H

#include "client/cli/cli.h"

typedef struct {
    const rp_cli_t *cli;
    const char *service;
    rp_output_list_t list;
    size_t width;      /* of the terminal */
    size_t round;      /* of the script, from 1 */
    size_t steps;      /* of this round */
    uint64_t total_us; /* of all requests, in all rounds */
} rp_transcript_t;

void rp_transcript_begin (rp_transcript_t *self, const rp_cli_t *cli, const char *service);

/*  The script begins, or begins again: steps are numbered from 1.  */
void rp_transcript_round (rp_transcript_t *self);

/*  A request is sent.  */
void rp_transcript_request (rp_transcript_t *self, const char *body, size_t size);

/*  The request has ended.  */
void rp_transcript_reply (
  rp_transcript_t *self, const char *body, size_t size, const rp_reply_t *reply);

/*  wanted: requests of the script; answered: requests of the last round that got a reply.  */
void rp_transcript_end (rp_transcript_t *self, size_t wanted, size_t answered);

/*  Writes a reply's body for a person at a terminal: complete, escaped, with a newline.  */
void rp_transcript_show (const rp_reply_t *reply);

#endif
