/*  Draws what `riposte top` shows: a picture for a terminal, or a table.

    SPDX-License-Identifier: MPL-2.0

    A picture fills the terminal: a line about the broker, the services or one of them, a line about
    keys. No line is wider than the terminal, so that none wraps.

    Thread-safety: pure functions of their arguments, except for the stream.
*/

#ifndef RP_TOP_DRAW_H
#define RP_TOP_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "client/cli/output.h"
#include "client/cli/top_model.h"

typedef struct {
    size_t width; /* of the terminal, at least 1 */
    size_t height;
    const char *server;
    const char *problem; /* why there are no new answers; NULL: there are */
    bool frozen;
    bool help;             /* shows the keys instead of services */
    size_t selected;       /* the place of a service in sorted */
    const char *service;   /* the name of the one that is open; NULL: none */
    const json_t *workers; /* of it: the answer of riposte.workers; NULL: not yet there */
    size_t first;          /* of its workers: the first one to show */
    rp_colours_t colours;
} rp_top_view_t;

/*  Writes the picture, over the one before: with height - 1 newlines, the cursor first at the top
    left.  */
void rp_top_draw (const rp_top_t *self, const rp_top_view_t *view, FILE *out);

/*  Writes all services as a table. bold and reset surround its titles.  */
void rp_top_print (const rp_top_t *self, FILE *out, const rp_colours_t *colours);

/*  Bytes for a queue's last minute.  */
#define RP_TOP_SPARKS_MAX (4 * RP_TOP_PARTS + 1)

/*  Writes a queue's last minute in as many characters as it has parts, and returns buffer. The
    tallest is the most that waited in that minute.  */
const char *rp_top_sparks (const rp_top_row_t *row, char buffer[RP_TOP_SPARKS_MAX]);

#endif
