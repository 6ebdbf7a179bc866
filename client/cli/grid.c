/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/grid.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/text.h"

struct rp_grid {
    const char *const *titles;
    const bool *right;
    size_t count;
    char **cells; /* row after row */
    size_t used;
    size_t size;
    size_t widths[]; /* of the widest text in each column */
};

static size_t s_width (const char *text)
{
    return rp_text_width (text, strlen (text));
}

rp_grid_t *rp_grid_new (const char *const *titles, const bool *right, size_t count)
{
    rp_grid_t *self = calloc (1, sizeof *self + count * sizeof *self->widths);
    if (!self)
        return NULL;
    self->titles = titles;
    self->right = right;
    self->count = count;
    for (size_t column = 0; column < count; column++)
        self->widths[column] = s_width (titles[column]);
    return self;
}

void rp_grid_destroy (rp_grid_t **self_p)
{
    rp_grid_t *self = *self_p;
    if (!self)
        return;
    for (size_t index = 0; index < self->used; index++)
        free (self->cells[index]);
    free (self->cells);
    free (self);
    *self_p = NULL;
}

static bool s_make_room (rp_grid_t *self)
{
    if (self->used + self->count <= self->size)
        return true;
    size_t size = 2 * self->size + 8 * self->count;
    char **cells = realloc (self->cells, size * sizeof *cells);
    if (!cells)
        return false;
    self->cells = cells;
    self->size = size;
    return true;
}

bool rp_grid_add (rp_grid_t *self, const char *const *cells)
{
    if (!s_make_room (self))
        return false;
    size_t before = self->used;
    for (size_t column = 0; column < self->count; column++) {
        char *copy = rp_text_visible (cells[column], strlen (cells[column]));
        if (!copy) {
            while (self->used > before)
                free (self->cells[--self->used]);
            return false;
        }
        self->cells[self->used++] = copy;
        if (s_width (copy) > self->widths[column])
            self->widths[column] = s_width (copy);
    }
    return true;
}

static void s_print_cell (const rp_grid_t *self, FILE *out, const char *text, size_t column)
{
    int blanks = (int) (self->widths[column] - s_width (text));
    bool last = column + 1 == self->count;
    if (self->right[column])
        fprintf (out, "%*s%s", blanks, "", text);
    else
        fprintf (out, "%s%*s", text, last ? 0 : blanks, "");
    if (!last)
        fputs ("  ", out);
}

void rp_grid_print (const rp_grid_t *self, FILE *out, const char *before, const char *after)
{
    fputs (before, out);
    for (size_t column = 0; column < self->count; column++)
        s_print_cell (self, out, self->titles[column], column);
    fprintf (out, "%s\n", after);
    for (size_t at = 0; at < self->used; at++) {
        s_print_cell (self, out, self->cells[at], at % self->count);
        if (at % self->count + 1 == self->count)
            fputc ('\n', out);
    }
}
