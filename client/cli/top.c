/*  riposte top: shows the services of a broker until its user leaves, or writes tables.

    SPDX-License-Identifier: MPL-2.0

    The requests of one round (status, services, and workers while a service is open) follow each
    other; the loop waits for keys and for their replies at once, so that keys work while a broker
    is silent.
*/

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/listing.h"
#include "client/cli/terminal.h"
#include "client/cli/top_draw.h"
#include "client/cli/top_model.h"
#include "client/cli/top_tables.h"
#include "common/base/units.h"
#include "common/io/clock.h"

/*  A signal just before a wait does not end it, and is then seen this much later.  */
#define S_SLICE_MS 200
#define S_SECOND_US INT64_C (1000000)
/*  An error's line, and what is said around it.  */
#define S_PROBLEM_MAX (RP_ERROR_LINE_MAX + 512u)
#define S_WHY_MAX 1024u
/*  Rows that PgUp and PgDn move by.  */
#define S_PAGE 10

typedef enum { S_STATUS, S_SERVICES, S_WORKERS, S_STEPS } s_step_t;

static const char *const s_names[] = {[S_STATUS] = "riposte.status",
  [S_SERVICES] = "riposte.services",
  [S_WORKERS] = "riposte.workers"};

typedef struct {
    rp_cli_t *cli;
    rp_top_t top;
    rp_top_view_t view;
    char *selected; /* the name of the selected service; NULL: the first one */
    char *opened;
    json_t *workers;
    s_step_t step;               /* of this round: what is asked for */
    bool asking;                 /* a request is open */
    json_t *answers[S_STEPS];    /* of this round */
    int64_t next;                /* when the next round begins */
    int64_t answered;            /* when the last round was complete */
    char problem[S_PROBLEM_MAX]; /* the error of the last round; "": none */
    char shown[S_PROBLEM_MAX];
    bool changed; /* the picture has to be drawn again */
    bool quit;
} s_top_t;

/*  ---- A round ------------------------------------------------------------------------------- */

static void s_end_round (s_top_t *self)
{
    for (size_t step = 0; step < S_STEPS; step++) {
        json_decref (self->answers[step]);
        self->answers[step] = NULL;
    }
    self->asking = false;
    self->changed = true;
    self->next = rp_clock_us () + self->cli->options.interval;
}

static void s_fail (s_top_t *self, const rp_error_t *error)
{
    char line[RP_ERROR_LINE_MAX];
    snprintf (self->problem, sizeof self->problem, "trying again: %s", rp_error_line (error, line));
    s_end_round (self);
}

static void s_ask (s_top_t *self)
{
    int code = 0;
    rp_call_t *call = rp_cli_call_new (self->cli, s_names[self->step], NULL, 0, &code);
    int rc = call ? rp_client_submit (self->cli->client, &call, NULL) : RP_USAGE;
    self->asking = rc == RP_OK;
    if (rc == RP_OK)
        return;
    rp_call_destroy (&call);
    s_fail (self, &(rp_error_t){.status = rc, .why = "", .server = self->cli->options.server});
}

static void s_copy (char **place, const char *text)
{
    free (*place);
    *place = text ? strdup (text) : NULL;
    if (text && !*place)
        rp_output_no_memory ();
}

/*  Finds the selected service again after rows have moved. The first place stays the first.  */
static void s_follow (s_top_t *self)
{
    size_t found = self->selected ? rp_top_find (&self->top, self->selected) : 0;
    if (found < self->top.count)
        self->view.selected = found;
    else if (self->view.selected >= self->top.count)
        self->view.selected = self->top.count > 0 ? self->top.count - 1 : 0;
}

/*  All answers are here.  */
static void s_take_round (s_top_t *self)
{
    self->answered = rp_clock_us ();
    self->problem[0] = '\0';
    if (!self->view.frozen) {
        if (!rp_top_update (
              &self->top, self->answers[S_STATUS], self->answers[S_SERVICES], self->answered))
            rp_output_no_memory ();
        json_decref (self->workers);
        self->workers = json_incref (self->answers[S_WORKERS]);
        s_follow (self);
    }
    s_end_round (self);
}

static void s_take_reply (s_top_t *self, const rp_reply_t *reply)
{
    rp_error_t error = rp_error_of (reply, s_names[self->step], self->cli->options.server);
    json_t *answer = rp_listing_answer (reply, &error);
    self->asking = false;
    if (!answer) {
        s_fail (self, &error);
        return;
    }
    self->answers[self->step] = answer;
    self->step = (s_step_t) (self->step + 1);
    if (self->step == S_WORKERS + (self->opened ? 1 : 0))
        s_take_round (self);
    else
        s_ask (self);
}

/*  Takes the reply that has come, or begins the next round.  */
static void s_turn (s_top_t *self)
{
    rp_reply_t *reply = NULL;
    if (self->asking && rp_client_collect (self->cli->client, 0, &reply) == RP_OK) {
        s_take_reply (self, reply);
        rp_reply_destroy (&reply);
    }
    else if (!self->asking && rp_clock_us () >= self->next) {
        self->step = S_STATUS;
        s_ask (self);
    }
}

/*  Returns what the top line says instead of the broker's state; NULL if it answers.  */
static const char *s_problem (s_top_t *self)
{
    char why[S_WHY_MAX];
    char time[RP_UNITS_TEXT_MAX];
    int64_t silent = rp_clock_us () - self->answered;
    int64_t bound = self->cli->options.interval + S_SECOND_US;
    if (self->problem[0] == '\0' && silent <= bound)
        return NULL;
    if (self->problem[0] != '\0') {
        snprintf (self->shown, sizeof self->shown, "%s", self->problem);
        return self->shown;
    }
    rp_client_last_error (self->cli->client, why, sizeof why);
    snprintf (self->shown, sizeof self->shown, "trying again: no answer from %s for %s%s%s%s",
      self->cli->options.server, rp_duration_format (time, silent / S_SECOND_US * S_SECOND_US),
      *why ? " (" : "", why, *why ? ")" : "");
    return self->shown;
}

/*  ---- Keys ---------------------------------------------------------------------------------- */

static void s_select (s_top_t *self, int by)
{
    size_t last = self->top.count > 0 ? self->top.count - 1 : 0;
    size_t *place = self->opened ? &self->view.first : &self->view.selected;
    size_t step = (size_t) (by < 0 ? -by : by);
    if (by < 0)
        *place = *place > step ? *place - step : 0;
    else
        *place += step;
    if (self->opened)
        return; // drawing past the last worker shows none
    if (*place > last)
        *place = last;
    s_copy (&self->selected, *place > 0 ? self->top.sorted[*place]->name : NULL);
}

static void s_open (s_top_t *self)
{
    if (self->opened || self->view.selected >= self->top.count)
        return;
    s_copy (&self->opened, self->top.sorted[self->view.selected]->name);
    s_copy (&self->selected, self->opened);
    self->view.first = 0;
    if (!self->asking)
        self->next = 0; // its workers are wanted now
}

static void s_sort (s_top_t *self, rp_top_order_t order, bool reverse)
{
    rp_top_sort (&self->top, order, reverse);
    s_follow (self);
}

static void s_move (s_top_t *self, int key)
{
    switch (key) {
        case RP_KEY_UP:
        case 'k':
            s_select (self, -1);
            break;
        case RP_KEY_DOWN:
        case 'j':
            s_select (self, 1);
            break;
        case RP_KEY_PAGE_UP:
            s_select (self, -S_PAGE);
            break;
        case RP_KEY_PAGE_DOWN:
            s_select (self, S_PAGE);
            break;
        case RP_KEY_ENTER:
        case RP_KEY_RIGHT:
            s_open (self);
            break;
        case RP_KEY_LEFT:
        case RP_KEY_ESCAPE:
            s_copy (&self->opened, NULL);
            break;
        default:
            break;
    }
}

static void s_press (s_top_t *self, int key)
{
    bool helped = self->view.help;
    self->changed = true;
    self->view.help = false;
    if (key == 'q' || key == RP_KEY_END)
        self->quit = true;
    else if (helped)
        return; // any key ends the help
    else if (key == '?' || key == 'h')
        self->view.help = true;
    else if (key == ' ')
        self->view.frozen = !self->view.frozen;
    else if (key == 's')
        s_sort (self, (rp_top_order_t) ((self->top.order + 1) % RP_TOP_ORDERS), self->top.reverse);
    else if (key == 'r')
        s_sort (self, self->top.order, !self->top.reverse);
    else
        s_move (self, key);
}

/*  ---- On a terminal ------------------------------------------------------------------------- */

static void s_draw (s_top_t *self)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream (&text, &size);
    if (!out)
        rp_output_no_memory ();
    rp_terminal_size (&self->view.width, &self->view.height);
    self->view.service = self->opened;
    self->view.workers = self->workers;
    rp_top_draw (&self->top, &self->view, out);
    if (fclose (out) != 0)
        rp_output_no_memory ();
    self->changed = !rp_terminal_write (text, size); // a signal ended the write
    free (text);
}

static void s_wait (const s_top_t *self)
{
    struct pollfd items[] = {{.fd = STDIN_FILENO, .events = POLLIN},
      {.fd = rp_client_fd (self->cli->client), .events = POLLIN}};
    int64_t left = self->asking ? S_SLICE_MS : (self->next - rp_clock_us ()) / 1000 + 1;
    int wait = left < 0 ? 0 : left < S_SLICE_MS ? (int) left : S_SLICE_MS;
    (void) poll (items, 2, wait);
}

/*  True if the top line has to change: there is a problem, or there is none any more.  */
static bool s_look (s_top_t *self)
{
    const char *before = self->view.problem;
    char *old = before ? strdup (before) : NULL;
    self->view.problem = s_problem (self);
    bool same = (!before && !self->view.problem)
                || (old && self->view.problem && strcmp (old, self->view.problem) == 0);
    free (old);
    return !same;
}

static int s_watch (s_top_t *self)
{
    if (!rp_terminal_open ())
        return rp_cli_fail (
          "cannot use this terminal; write tables instead: riposte top --count 1");
    self->answered = rp_clock_us ();
    self->changed = true;
    while (!self->quit && !rp_cli_interrupted ()) {
        s_turn (self);
        if (s_look (self) || self->changed)
            s_draw (self);
        s_wait (self);
        if (rp_terminal_take_signals ())
            self->changed = true;
        for (int key = rp_terminal_key (); key != RP_KEY_NONE; key = rp_terminal_key ()) {
            s_press (self, key);
            if (self->quit)
                break;
        }
    }
    rp_terminal_restore ();
    return self->quit ? 0 : rp_status_exit_code (RP_INTERRUPTED);
}

/*  ---- The command --------------------------------------------------------------------------- */

static int s_run (rp_cli_t *cli)
{
    static s_top_t top; // large texts
    top.cli = cli;
    top.view.server = cli->options.server;
    top.view.colours = cli->out;
    int code = s_watch (&top);
    rp_top_clear (&top.top);
    for (size_t step = 0; step < S_STEPS; step++)
        json_decref (top.answers[step]);
    json_decref (top.workers);
    free (top.selected);
    free (top.opened);
    return code;
}

int rp_cli_top (rp_cli_t *cli)
{
    if (cli->arguments.count > 0)
        return rp_cli_usage ("top takes no argument, not \"%s\"; a service is opened with enter",
          cli->arguments.items[0]);
    int code = rp_cli_connect (cli, 1);
    if (code != 0)
        return code;
    bool tables = cli->options.output != RP_OUTPUT_TABLE || cli->options.count > 0;
    return tables || !rp_terminal_is_there () ? rp_top_tables (cli) : s_run (cli);
}
