/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/top_draw.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "client/cli/grid.h"
#include "client/cli/text.h"
#include "common/base/units.h"

/*  Bytes of a line before it is cut: names, addresses and problems are longer than a terminal.  */
#define S_LINE_MAX 4096u
/*  Bytes of a cell; a name, escaped, is the longest.  */
#define S_CELL_MAX 1280u
/*  Columns that the name of a service gets in any case; other columns go first.  */
#define S_NAME_MIN 12u
/*  The line about the broker, a blank one, the titles, the line about keys.  */
#define S_AROUND 4u

/*  ---- Cells --------------------------------------------------------------------------------- */

typedef struct {
    const char *title;
    size_t width;
    rp_top_order_t order;
    bool of_quantiles; /* only if the broker has them */
} s_column_t;

enum {
    S_NAME,
    S_RATE,
    S_WAITING,
    S_OLDEST,
    S_MINUTE,
    S_RUNNING,
    S_FAILED,
    S_WORKERS,
    S_P50,
    S_P99
};

/*  The last ones are left out first when a terminal is narrow; but for P50 and P99, all of them are
    in 80 columns.  */
static const s_column_t s_columns[] = {
  [S_NAME] = {"SERVICE", 0, RP_TOP_NAME, false},
  [S_RATE] = {"REQ/S", 7, RP_TOP_RATE, false},
  [S_WAITING] = {"WAITING", 8, RP_TOP_WAITING, false},
  [S_OLDEST] = {"OLDEST", 8, RP_TOP_OLDEST, false},
  [S_MINUTE] = {"LAST MINUTE", RP_TOP_PARTS, RP_TOP_ORDERS, false},
  [S_RUNNING] = {"RUNNING", 8, RP_TOP_RUNNING, false},
  [S_FAILED] = {"FAIL/S", 7, RP_TOP_FAILED, false},
  [S_WORKERS] = {"WORKERS", 8, RP_TOP_WORKERS, false},
  [S_P50] = {"P50", 8, RP_TOP_ORDERS, true},
  [S_P99] = {"P99", 8, RP_TOP_ORDERS, true},
};
#define S_COLUMNS (sizeof s_columns / sizeof *s_columns)

const char *rp_top_sparks (const rp_top_row_t *row, char buffer[RP_TOP_SPARKS_MAX])
{
    static const char *const levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    uint64_t most = 0;
    char *at = buffer;
    for (size_t part = 0; part < RP_TOP_PARTS; part++)
        if (row->parts[part] != RP_TOP_NOTHING && row->parts[part] > most)
            most = row->parts[part];
    for (size_t part = 0; part < RP_TOP_PARTS; part++) {
        uint64_t value = row->parts[part];
        size_t level = 0;
        if (value > 0 && value != RP_TOP_NOTHING)
            level = 1 + (size_t) ((double) value / (double) most * 6);
        const char *text = value == RP_TOP_NOTHING ? " " : levels[level];
        memcpy (at, text, strlen (text));
        at += strlen (text);
    }
    *at = '\0';
    return buffer;
}

static void s_write_rate (char *cell, double rate)
{
    snprintf (cell, S_CELL_MAX, rate >= 100 || rate == 0 ? "%.0f" : "%.1f", rate);
    if (rate < 0)
        snprintf (cell, S_CELL_MAX, "-");
}

static void s_write_time (char *cell, int64_t time)
{
    char text[RP_UNITS_TEXT_MAX];
    snprintf (cell, S_CELL_MAX, "%s", time > 0 ? rp_duration_format (text, time) : "-");
}

static void s_write_cell (const rp_top_row_t *row, size_t column, char *cell)
{
    switch (column) {
        case S_NAME:
            snprintf (cell, S_CELL_MAX, "%s", row->name);
            break;
        case S_RATE:
            s_write_rate (cell, row->rate);
            break;
        case S_WAITING:
            snprintf (cell, S_CELL_MAX, "%" PRIu64, row->waiting);
            break;
        case S_OLDEST:
            s_write_time (cell, row->oldest_us);
            break;
        case S_RUNNING:
            snprintf (cell, S_CELL_MAX, "%" PRIu64 "/%" PRIu64, row->running, row->window);
            break;
        case S_WORKERS:
            snprintf (cell, S_CELL_MAX, "%" PRIu64, row->workers);
            break;
        case S_FAILED:
            s_write_rate (cell, row->failed_rate);
            break;
        case S_P50:
            s_write_time (cell, row->p50_us);
            break;
        case S_P99:
            s_write_time (cell, row->p99_us);
            break;
        case S_MINUTE:
        default:
            rp_top_sparks (row, cell);
            break;
    }
}

/*  ---- A table ------------------------------------------------------------------------------- */

void rp_top_print (const rp_top_t *self, FILE *out, const rp_colours_t *colours)
{
    const char *titles[S_COLUMNS];
    bool right[S_COLUMNS];
    size_t shown[S_COLUMNS];
    size_t count = 0;
    for (size_t column = 0; column < S_COLUMNS; column++) {
        if (column == S_MINUTE || (s_columns[column].of_quantiles && !self->has_quantiles))
            continue;
        titles[count] = s_columns[column].title;
        right[count] = column != S_NAME;
        shown[count++] = column;
    }
    rp_grid_t *grid = rp_grid_new (titles, right, count);
    bool good = grid != NULL;
    for (size_t index = 0; index < self->count && good; index++) {
        char texts[S_COLUMNS][S_CELL_MAX];
        const char *cells[S_COLUMNS];
        for (size_t at = 0; at < count; at++) {
            s_write_cell (self->sorted[index], shown[at], texts[at]);
            cells[at] = texts[at];
        }
        good = rp_grid_add (grid, cells);
    }
    if (!good)
        rp_output_no_memory ();
    rp_grid_print (grid, out, colours->bold, colours->reset);
    rp_grid_destroy (&grid);
}

/*  ---- Lines --------------------------------------------------------------------------------- */

/*  The picture as far as it is drawn.  */
typedef struct {
    const rp_top_view_t *view;
    FILE *out;
    size_t lines;
    char line[S_LINE_MAX]; /* the next one */
    size_t used;
} s_picture_t;

static void __attribute__ ((format (printf, 2, 3)))
s_add (s_picture_t *self, const char *format, ...)
{
    va_list list;
    size_t room = S_LINE_MAX - self->used;
    va_start (list, format);
    int size = vsnprintf (self->line + self->used, room, format, list);
    va_end (list);
    if (size > 0)
        self->used += (size_t) size < room ? (size_t) size : room - 1;
}

/*  Adds a text with a width: cut, with "…", or filled with blanks.  */
static void s_add_cell (s_picture_t *self, const char *text, size_t width, bool right)
{
    size_t size = strlen (text);
    size_t columns = rp_text_width (text, size);
    bool cut = columns > width;
    if (cut && width > 0) {
        size = rp_text_fit (text, size, width - 1);
        columns = rp_text_width (text, size) + 1;
    }
    size_t blanks = columns < width ? width - columns : 0;
    s_add (self, "%*s%.*s%s%*s", right ? (int) blanks : 0, "", width > 0 ? (int) size : 0, text,
      cut && width > 0 ? "…" : "", right ? 0 : (int) blanks, "");
}

/*  Writes the line in a colour, cut to the terminal, and begins the next one. The last line of a
    terminal has no newline, which would scroll.  */
static void s_end_line (s_picture_t *self, const char *colour)
{
    const rp_top_view_t *view = self->view;
    self->line[self->used] = '\0';
    if (self->lines < view->height) {
        size_t size = rp_text_fit (self->line, self->used, view->width);
        const char *reset = *colour ? view->colours.reset : "";
        fprintf (self->out, "%s%.*s%s\x1b[K", colour, (int) size, self->line, reset);
        self->lines++;
        fputs (self->lines < view->height ? "\n" : "", self->out);
    }
    self->used = 0;
}

/*  ---- The line about the broker ------------------------------------------------------------- */

static const char *s_plural (uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void s_draw_broker (s_picture_t *picture, const rp_top_t *self)
{
    char text[S_CELL_MAX];
    const rp_top_view_t *view = picture->view;
    if (view->problem) {
        s_add (picture, "%s", view->problem);
        s_end_line (picture, view->colours.red);
        return;
    }
    s_add (picture, "%s%sriposte-broker %s at %s", view->frozen ? "FROZEN  " : "",
      self->draining ? "DRAINING  " : "", self->version, view->server);
    s_add (picture, "  up %s", rp_duration_format (text, self->uptime_us));
    s_add (picture, "  %zu service%s  %" PRIu64 " worker%s", self->count, s_plural (self->count),
      self->workers, s_plural (self->workers));
    s_write_rate (text, self->rate);
    s_add (picture, "  %s/s", text);
    s_add (picture, "  %" PRIu64 " waiting  %" PRIu64 " running", self->waiting, self->running);
    if (self->failed_rate > 0) {
        s_write_rate (text, self->failed_rate);
        s_add (picture, "  %s failed/s", text);
    }
    s_end_line (picture, view->colours.bold);
}

/*  ---- Services ------------------------------------------------------------------------------ */

/*  Chooses what fits this width. *name: the width that is left for the name.  */
static void s_choose_columns (
  const s_picture_t *picture, const rp_top_t *self, bool shown[S_COLUMNS], size_t *name)
{
    size_t used = 2; // the mark
    shown[S_NAME] = true;
    for (size_t column = 1; column < S_COLUMNS; column++) {
        bool has = !s_columns[column].of_quantiles || self->has_quantiles;
        shown[column] =
          has && used + s_columns[column].width + 1 + S_NAME_MIN <= picture->view->width;
        if (shown[column])
            used += s_columns[column].width + 1;
    }
    *name = picture->view->width > used ? picture->view->width - used : 0;
}

static void s_draw_titles (
  s_picture_t *picture, const rp_top_t *self, const bool shown[S_COLUMNS], size_t name)
{
    s_add (picture, "  ");
    for (size_t column = 0; column < S_COLUMNS; column++) {
        if (!shown[column])
            continue;
        char title[32];
        bool sorted = s_columns[column].order == self->order;
        bool down = self->reverse == (column == S_NAME);
        snprintf (title, sizeof title, "%s%s", s_columns[column].title,
          !sorted ? ""
          : down  ? "↓"
                  : "↑");
        s_add (picture, column > 0 ? " " : "");
        s_add_cell (picture, title, column == S_NAME ? name : s_columns[column].width,
          column != S_NAME && column != S_MINUTE);
    }
    s_end_line (picture, picture->view->colours.bold);
}

/*  True if somebody should look at it.  */
static bool s_is_bad (const rp_top_row_t *row)
{
    return row->failed_rate > 0 || (row->waiting > 0 && row->workers <= row->draining);
}

static void s_draw_row (
  s_picture_t *picture, const rp_top_row_t *row, bool selected, const bool *shown, size_t name)
{
    s_add (picture, "%s", selected ? "> " : "  ");
    for (size_t column = 0; column < S_COLUMNS; column++) {
        char cell[S_CELL_MAX];
        if (!shown[column])
            continue;
        s_write_cell (row, column, cell);
        s_add (picture, "%s", column > 0 ? " " : "");
        s_add_cell (picture, cell, column == S_NAME ? name : s_columns[column].width,
          column != S_NAME && column != S_MINUTE);
    }
    const rp_colours_t *colours = &picture->view->colours;
    s_end_line (picture, s_is_bad (row) ? colours->red : selected ? colours->bold : "");
}

static void s_draw_services (s_picture_t *picture, const rp_top_t *self)
{
    const rp_top_view_t *view = picture->view;
    bool shown[S_COLUMNS];
    size_t name;
    size_t room = view->height > S_AROUND ? view->height - S_AROUND : 0;
    size_t first = view->selected >= room ? view->selected - room + 1 : 0;
    s_choose_columns (picture, self, shown, &name);
    s_draw_titles (picture, self, shown, name);
    for (size_t index = first; index < self->count && index < first + room; index++)
        s_draw_row (picture, self->sorted[index], index == view->selected, shown, name);
    if (self->count == 0 && self->time > 0) {
        s_add (picture, "  no services; start a worker: riposte-worker upper -- tr a-z A-Z");
        s_end_line (picture, "");
    }
}

/*  ---- One service --------------------------------------------------------------------------- */

static const char *s_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "?";
}

static void s_draw_worker (s_picture_t *picture, const json_t *worker)
{
    char text[S_CELL_MAX];
    s_add (picture, "  ");
    s_add_cell (picture, s_text (worker, "name"), 24, false);
    s_add (picture, " ");
    s_add_cell (picture, s_text (worker, "state"), 8, false);
    snprintf (text, sizeof text, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
      rp_output_number (worker, "running"), rp_output_number (worker, "window"));
    s_add_cell (picture, text, 10, true);
    s_write_time (text, rp_output_number (worker, "oldest_us"));
    s_add_cell (picture, text, 10, true);
    snprintf (text, sizeof text, "%" JSON_INTEGER_FORMAT, rp_output_number (worker, "replies"));
    s_add_cell (picture, text, 12, true);
    s_write_time (text, rp_output_number (worker, "age_us"));
    s_add_cell (picture, text, 10, true);
    s_add (picture, "  %s", s_text (worker, "address"));
    s_end_line (
      picture, strcmp (s_text (worker, "state"), "ready") == 0 ? "" : picture->view->colours.dim);
}

static void s_draw_workers (s_picture_t *picture)
{
    size_t index;
    json_t *worker;
    size_t skipped = 0;
    const rp_top_view_t *view = picture->view;
    s_add (picture, "  %-24s %-8s%10s%10s%12s%10s  %s", "WORKER", "STATE", "RUNNING", "OLDEST",
      "REPLIES", "AGE", "ADDRESS");
    s_end_line (picture, view->colours.bold);
    json_array_foreach (json_object_get (view->workers, "workers"), index, worker)
    {
        if (strcmp (s_text (worker, "service"), view->service) != 0 || skipped++ < view->first)
            continue;
        if (picture->lines + 1 < view->height)
            s_draw_worker (picture, worker);
    }
    if (view->workers && skipped == 0) {
        s_add (picture, "  no worker");
        s_end_line (picture, view->colours.red);
    }
}

static void s_draw_service (s_picture_t *picture, const rp_top_t *self)
{
    bool shown[S_COLUMNS];
    size_t name;
    size_t index = rp_top_find (self, picture->view->service);
    s_choose_columns (picture, self, shown, &name);
    s_draw_titles (picture, self, shown, name);
    if (index < self->count)
        s_draw_row (picture, self->sorted[index], true, shown, name);
    else {
        s_add (picture, "> %s is not there any more", picture->view->service);
        s_end_line (picture, picture->view->colours.red);
    }
    s_end_line (picture, "");
    s_draw_workers (picture);
}

/*  ---- The picture --------------------------------------------------------------------------- */

static void s_draw_help (s_picture_t *picture)
{
    static const char *const lines[] = {
      "  up, down, PgUp, PgDn   select a service",
      "  enter, right           open it: its workers",
      "  left, escape           go back",
      "  s                      sort by the next column; first: the worst, WAITING × OLDEST",
      "  r                      the reverse",
      "  space                  freeze, and go on",
      "  q, Ctrl-C              quit",
      "",
      "  Rates are those of the last interval. LAST MINUTE is the queue, 5 s a character.",
      "  Red: requests fail, or wait for a service without a worker.",
    };
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        if (picture->lines + 1 >= picture->view->height)
            return;
        s_add (picture, "%s", lines[index]);
        s_end_line (picture, "");
    }
}

static void s_draw_keys (s_picture_t *picture, const rp_top_t *self)
{
    static const char *const names[] = {
      "worst", "service", "requests", "waiting", "oldest", "running", "failed", "workers"};
    while (picture->lines + 1 < picture->view->height)
        s_end_line (picture, "");
    if (picture->view->help)
        s_add (picture, "any key: back");
    else if (picture->view->service)
        s_add (picture, "left back   space freeze   q quit   ? help");
    else
        s_add (picture, "q quit   s sort (%s)   r reverse   space freeze   enter open   ? help",
          names[self->order]);
    s_end_line (picture, picture->view->colours.dim);
}

void rp_top_draw (const rp_top_t *self, const rp_top_view_t *view, FILE *out)
{
    s_picture_t picture = {.view = view, .out = out};
    fputs ("\x1b[H", out);
    s_draw_broker (&picture, self);
    if (view->height > 2)
        s_end_line (&picture, "");
    if (view->help)
        s_draw_help (&picture);
    else if (view->service)
        s_draw_service (&picture, self);
    else
        s_draw_services (&picture, self);
    s_draw_keys (&picture, self);
    fputs ("\x1b[J", out);
}
