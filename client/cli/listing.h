/*  What the broker says about itself, and lists of it.

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
    RP_CELL_DURATION, /* microseconds; 0 is nothing: "-" */
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
    const char *list;           /* the member of its answer: "workers" */
    const char *empty;          /* what to say when there is none: what, and the next step */
    const rp_column_t *columns; /* at most RP_LISTING_COLUMNS_MAX */
    size_t column_count;
} rp_listing_t;

/*  Connects, asks the broker and returns its answer, an object. NULL after it has told why.  */
json_t *rp_listing_ask (rp_cli_t *self, const char *service, int *code);

/*  A whole command: asks, and writes the list as the options want it. Returns the exit code.  */
int rp_listing_run (rp_cli_t *self, const rp_listing_t *listing);

#endif
