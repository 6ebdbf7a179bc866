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
} rp_cell_t;

typedef struct {
    const char *title;
    rp_cell_t cell;
    const char *field;  /* member of the object, and name of the CSV column */
    const char *second; /* with RP_CELL_SHARE */
} rp_column_t;

#define RP_LISTING_COLUMNS_MAX 16u

typedef struct {
    const char *service;        /* "riposte.workers" */
    const char *list;           /* the member of the answer with the list: "workers" */
    const char *empty;          /* the text for an empty list: what, and the next step */
    const rp_column_t *columns; /* at most RP_LISTING_COLUMNS_MAX */
    size_t column_count;
} rp_listing_t;

/*  Connects, asks the broker and returns its answer, an object. NULL after an error was written;
    *code is the exit code.  */
json_t *rp_listing_ask (rp_cli_t *self, const char *service, int *code);

/*  Runs a whole command: asks, and writes the list in the format of the options. Returns the exit
    code.  */
int rp_listing_run (rp_cli_t *self, const rp_listing_t *listing);

#endif
