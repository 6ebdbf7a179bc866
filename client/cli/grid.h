/*  A table with aligned columns.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; one thread owns a grid.
*/

#ifndef RP_GRID_H
#define RP_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct rp_grid rp_grid_t;

/*  titles: count of them, kept by the caller while the grid lives. right: which columns are aligned
    to the right, a bool per column. NULL when out of memory.  */
rp_grid_t *rp_grid_new (const char *const *titles, const bool *right, size_t count);

/*  Nulls *self_p; NULL is allowed.  */
void rp_grid_destroy (rp_grid_t **self_p);

/*  Adds a row: a copy of count cells. False when out of memory.  */
bool rp_grid_add (rp_grid_t *self, const char *const *cells);

/*  Writes titles and rows, two blanks between columns, none at the end of a line. before and after
    stand around the titles (a colour; "" for none).  */
void rp_grid_print (const rp_grid_t *self, FILE *out, const char *before, const char *after);

#endif
