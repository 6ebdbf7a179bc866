/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t s_number (const json_t *object, const char *key)
{
    json_int_t number = json_integer_value (json_object_get (object, key));
    return number > 0 ? (uint64_t) number : 0;
}

static const char *s_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}

static int64_t s_optional (const json_t *object, const char *key)
{
    const json_t *value = json_object_get (object, key);
    return json_is_integer (value) ? (int64_t) json_integer_value (value) : -1;
}

static int s_compare_names (const void *one, const void *other)
{
    return strcmp (((const rp_top_row_t *) one)->name, ((const rp_top_row_t *) other)->name);
}

/*  ---- Rows ---------------------------------------------------------------------------------- */

static void s_free_rows (rp_top_row_t *rows, size_t count)
{
    for (size_t index = 0; index < count; index++)
        free (rows[index].name);
    free (rows);
}

/*  Fills a row without what depends on the answer before. False when out of memory.  */
static bool s_read_row (rp_top_row_t *row, const json_t *service)
{
    *row = (rp_top_row_t){.name = strdup (s_text (service, "name")),
      .workers = s_number (service, "workers"),
      .draining = s_number (service, "draining"),
      .running = s_number (service, "running"),
      .window = s_number (service, "window"),
      .waiting = s_number (service, "waiting"),
      .requests = s_number (service, "requests"),
      .failed = s_number (service, "failed"),
      .oldest_us = (int64_t) s_number (service, "oldest_us"),
      .p50_us = s_optional (service, "p50_us"),
      .p99_us = s_optional (service, "p99_us"),
      .rate = -1,
      .failed_rate = -1};
    for (size_t part = 0; part < RP_TOP_PARTS; part++)
        row->parts[part] = RP_TOP_NOTHING;
    row->parts[RP_TOP_PARTS - 1] = row->waiting;
    return row->name != NULL;
}

/*  Returns the rows of an answer by name; NULL when out of memory.  */
static rp_top_row_t *s_read_rows (const json_t *list, size_t *count)
{
    size_t index;
    json_t *service;
    rp_top_row_t *rows = calloc (json_array_size (list) + 1, sizeof *rows);
    *count = 0;
    json_array_foreach (list, index, service)
    {
        if (rows && !s_read_row (&rows[(*count)++], service)) {
            s_free_rows (rows, *count);
            rows = NULL;
        }
    }
    if (rows)
        qsort (rows, *count, sizeof *rows, s_compare_names);
    return rows;
}

static double s_rate (uint64_t now, uint64_t before, int64_t elapsed)
{
    return now >= before && elapsed > 0 ? (double) (now - before) * 1e6 / (double) elapsed : -1;
}

/*  Moves the last minute by a number of parts. A part without an answer has the value before it.  */
static void s_move_parts (rp_top_row_t *row, const rp_top_row_t *before, int64_t moved)
{
    size_t shift = moved < RP_TOP_PARTS ? (size_t) moved : RP_TOP_PARTS;
    uint64_t last = before->parts[RP_TOP_PARTS - 1];
    for (size_t part = 0; part + shift < RP_TOP_PARTS; part++)
        row->parts[part] = before->parts[part + shift];
    for (size_t part = RP_TOP_PARTS - shift; part < RP_TOP_PARTS; part++)
        row->parts[part] = last;
    if (shift > 0 || last < row->waiting)
        row->parts[RP_TOP_PARTS - 1] = row->waiting;
}

/*  Completes new rows with the rows before. Both are by name.  */
static void s_join (
  rp_top_row_t *rows, size_t count, const rp_top_t *before, int64_t now, bool same)
{
    size_t at = 0;
    for (size_t index = 0; index < count; index++) {
        rp_top_row_t *row = &rows[index];
        while (at < before->count && strcmp (before->rows[at].name, row->name) < 0)
            at++;
        const rp_top_row_t *old = at < before->count ? &before->rows[at] : NULL;
        if (!old || strcmp (old->name, row->name) != 0) {
            if (!same)
                continue;
            row->rate = s_rate (row->requests, 0, now - before->time); // it is new
            row->failed_rate = s_rate (row->failed, 0, now - before->time);
            continue;
        }
        s_move_parts (row, old, now / RP_TOP_PART_US - before->time / RP_TOP_PART_US);
        // A service that has gone and come back has begun to count again.
        bool again = row->requests < old->requests;
        if (same) {
            row->rate = s_rate (row->requests, again ? 0 : old->requests, now - before->time);
            row->failed_rate = s_rate (row->failed, again ? 0 : old->failed, now - before->time);
        }
    }
}

/*  ---- The model ----------------------------------------------------------------------------- */

static void s_sum (rp_top_t *self)
{
    self->workers = self->waiting = self->running = 0;
    self->rate = self->failed_rate = self->count > 0 ? -1 : 0;
    self->has_quantiles = false;
    for (size_t index = 0; index < self->count; index++) {
        const rp_top_row_t *row = &self->rows[index];
        self->workers += row->workers;
        self->waiting += row->waiting;
        self->running += row->running;
        self->has_quantiles = self->has_quantiles || row->p50_us >= 0;
        if (row->rate >= 0)
            self->rate = (self->rate > 0 ? self->rate : 0) + row->rate;
        if (row->failed_rate >= 0)
            self->failed_rate = (self->failed_rate > 0 ? self->failed_rate : 0) + row->failed_rate;
    }
}

bool rp_top_update (rp_top_t *self, const json_t *status, const json_t *services, int64_t now)
{
    size_t count = 0;
    const json_t *list = json_object_get (services, "services");
    rp_top_row_t *rows = s_read_rows (list, &count);
    const rp_top_row_t **sorted = rows ? calloc (count + 1, sizeof *sorted) : NULL;
    if (!sorted) {
        s_free_rows (rows, count);
        return false;
    }
    const char *instance = s_text (status, "instance");
    s_join (rows, count, self, now, self->time > 0 && strcmp (instance, self->instance) == 0);
    s_free_rows (self->rows, self->count);
    free (self->sorted);
    self->rows = rows;
    self->sorted = sorted;
    self->count = count;
    self->time = now;
    self->uptime_us = (int64_t) s_number (status, "uptime_us");
    self->draining = json_is_true (json_object_get (status, "draining"));
    snprintf (self->version, sizeof self->version, "%s", s_text (status, "version"));
    snprintf (self->instance, sizeof self->instance, "%s", instance);
    s_sum (self);
    rp_top_sort (self, self->order, self->reverse);
    return true;
}

void rp_top_clear (rp_top_t *self)
{
    s_free_rows (self->rows, self->count);
    free (self->sorted);
    *self = (rp_top_t){0};
}

size_t rp_top_find (const rp_top_t *self, const char *name)
{
    size_t index = 0;
    while (index < self->count && strcmp (self->sorted[index]->name, name) != 0)
        index++;
    return index;
}

/*  ---- Orders -------------------------------------------------------------------------------- */

static double s_key (const rp_top_row_t *row, rp_top_order_t order)
{
    switch (order) {
        case RP_TOP_WORST:
            return (double) row->waiting * (double) row->oldest_us;
        case RP_TOP_RATE:
            return row->rate;
        case RP_TOP_WAITING:
            return (double) row->waiting;
        case RP_TOP_OLDEST:
            return (double) row->oldest_us;
        case RP_TOP_RUNNING:
            return (double) row->running;
        case RP_TOP_WORKERS:
            return (double) row->workers;
        case RP_TOP_FAILED:
            return row->failed_rate;
        case RP_TOP_NAME:
        case RP_TOP_ORDERS:
        default:
            return 0;
    }
}

typedef struct {
    const rp_top_row_t *row;
    double key;
} s_keyed_t;

/*  Rows lie by name, so the address of a row says which name comes first.  */
static int s_compare_keys (const void *one, const void *other)
{
    const s_keyed_t *first = one;
    const s_keyed_t *second = other;
    if (first->key != second->key)
        return first->key > second->key ? -1 : 1;
    return first->row < second->row ? -1 : first->row > second->row;
}

void rp_top_sort (rp_top_t *self, rp_top_order_t order, bool reverse)
{
    self->order = order;
    self->reverse = reverse;
    s_keyed_t *keyed = self->count > 0 ? calloc (self->count, sizeof *keyed) : NULL;
    for (size_t index = 0; index < self->count; index++) {
        const rp_top_row_t *row = &self->rows[index];
        double key = s_key (row, order);
        self->sorted[index] = row; // in the order of names if memory is out
        if (keyed)
            keyed[index] = (s_keyed_t){row, reverse ? -key : key};
    }
    if (keyed)
        qsort (keyed, self->count, sizeof *keyed, s_compare_keys);
    for (size_t index = 0; keyed && index < self->count; index++) {
        bool back = order == RP_TOP_NAME && reverse;
        self->sorted[back ? self->count - 1 - index : index] = keyed[index].row;
    }
    free (keyed);
}
