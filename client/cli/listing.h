/*  Asks the broker about itself, and writes the lists that it answers with.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; for the main thread.
*/

#ifndef RP_LISTING_H
#define RP_LISTING_H

#include <jansson.h>

#include "client/cli/cli.h"

typedef enum {
    RP_CELL_TEXT,
    RP_CELL_COUNT,
    RP_CELL_SHARE,    /* two numbers: "2/3" */
    RP_CELL_DURATION, /* microseconds; 0 is written as "-" */
    RP_CELL_RATE,     /* a second; 0 is written as "-" */
    RP_CELL_FLAG,     /* true or false: "yes" or "no" */
    RP_CELL_INSTANT,  /* microseconds since 1970; 0 is written as "-" */
} rp_cell_t;

typedef struct {
    const char *title;
    rp_cell_t cell;
    const char *field; /* member of the object, and name of the CSV column */
    const char *
      second; /* with RP_CELL_SHARE; with RP_CELL_COUNT a flag, or NULL: the number is a least one, "20000+" */
} rp_column_t;

#define RP_LISTING_COLUMNS_MAX 16u

typedef struct {
    const char *service;        /* "riposte.workers"; of rp_listing_run */
    const char *list;           /* the member of the answer with the list: "workers" */
    const char *empty;          /* the text for an empty list: what, and the next step */
    const rp_column_t *columns; /* at most RP_LISTING_COLUMNS_MAX */
    size_t column_count;
} rp_listing_t;

/*  For a command without arguments. Returns 0, or the exit code after an error was written.  */
int rp_listing_check (const rp_cli_t *self);

/*  Connects, asks the broker and returns its answer, an object. NULL after an error was written;
    *code is the exit code.  */
json_t *rp_listing_ask (rp_cli_t *self, const char *service, int *code);

/*  Likewise, of a client that is connected.  */
json_t *rp_listing_ask_again (rp_cli_t *self, const char *service, int *code);

/*  As rp_listing_ask, with parameters, an object; whether there are arguments is the command's to check. Takes
    over the reference; NULL means that there was no memory for them.  */
json_t *rp_listing_ask_with (rp_cli_t *self, const char *service, json_t *params, int *code);

/*  Reads the answer of a reply, whose error rp_error_of has made. NULL if it is not OK, or no JSON
    object: error says which.  */
json_t *rp_listing_answer (const rp_reply_t *reply, rp_error_t *error);

/*  Writes the list of an answer in the format of the options. Takes over the reference.  */
void rp_listing_write (const rp_cli_t *self, const rp_listing_t *listing, json_t *answer);

/*  Runs a whole command: asks, and writes the list in the format of the options. Returns the exit
    code.  */
int rp_listing_run (rp_cli_t *self, const rp_listing_t *listing);

#endif
