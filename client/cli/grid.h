/*  Writes a table with aligned columns.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; one thread owns a grid.
*/

#ifndef RP_GRID_H
#define RP_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct rp_grid rp_grid_t;

/*  titles: count strings, which must outlive the grid. right: for each column, whether it is
    aligned to the right. NULL when out of memory.  */
rp_grid_t *rp_grid_new (const char *const *titles, const bool *right, size_t count);

/*  Nulls *self_p; NULL is allowed.  */
void rp_grid_destroy (rp_grid_t **self_p);

/*  Adds a row: copies count cells. False when out of memory.  */
bool rp_grid_add (rp_grid_t *self, const char *const *cells);

/*  Writes titles and rows, with two blanks between columns and none at the end of a line. before
    and after surround the titles (a colour; "" for none).  */
void rp_grid_print (const rp_grid_t *self, FILE *out, const char *before, const char *after);

#endif
