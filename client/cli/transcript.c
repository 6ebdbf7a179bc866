/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/text.h"
#include "common/base/units.h"

/*  The width where standard output is no terminal.  */
#define S_WIDTH 100u
/*  The columns before and behind the content: " #  party   kind     " and "  1234.5 ms".  */
#define S_LEFT 22u
#define S_RIGHT 10u
/*  Lines of one reply in a table; -v shows all.  */
#define S_LINES 16u

void rp_transcript_begin (rp_transcript_t *self, const rp_cli_t *cli, const char *service)
{
    *self = (rp_transcript_t){
      .cli = cli, .service = service, .width = rp_output_width (STDOUT_FILENO, S_WIDTH)};
    rp_output_t format = (rp_output_t) cli->options.output;
    if (rp_cli_writes_json (cli))
        rp_output_list_begin (&self->list, format);
    else if (format == RP_OUTPUT_CSV)
        puts ("round,number,request,status,code,message,attempts,total_us,worker,body");
    else
        printf ("%s%3s  %-7s %-8s %-*s%*s%s\n", cli->out.bold, "#", "party", "kind",
          (int) (self->width - S_LEFT - S_RIGHT), "content", (int) S_RIGHT, "time", cli->out.reset);
    fflush (stdout);
}

void rp_transcript_round (rp_transcript_t *self)
{
    if (++self->round > 1 && self->cli->options.output == RP_OUTPUT_TABLE)
        printf ("%s     begun again%s\n", self->cli->out.dim, self->cli->out.reset);
    self->steps = 0;
}

/*  Takes the first line off a text, without its end.  */
static size_t s_line (const char *text, size_t size, size_t *next)
{
    const char *newline = memchr (text, '\n', size);
    size_t length = newline ? (size_t) (newline - text) : size;
    *next = newline ? length + 1 : size;
    return length > 0 && text[length - 1] == '\r' ? length - 1 : length;
}

/*  Writes one line of content, cut to the width unless -v; pad: a time follows, so pad with
    blanks.  */
static void s_write_content (const rp_transcript_t *self, const char *text, size_t size, bool pad)
{
    size_t room = self->width - S_LEFT - (pad ? S_RIGHT : 0);
    char *visible = rp_text_visible (text, size);
    if (!visible)
        rp_output_no_memory ();
    size_t length = strlen (visible);
    size_t width = rp_text_width (visible, length);
    if (width > room && !self->cli->options.verbose) {
        length = rp_text_fit (visible, length, room - 1);
        printf ("%.*s…", (int) length, visible);
        width = rp_text_width (visible, length) + 1;
    }
    else
        fputs (visible, stdout);
    if (pad && width < room)
        printf ("%*s", (int) (room - width), "");
    free (visible);
}

/*  Writes a row, and the further lines of its content below. time: "" for none.  */
static void s_write_row (rp_transcript_t *self,
  const char *party,
  const char *kind,
  const char *text,
  size_t size,
  const char *time)
{
    const rp_colours_t *out = &self->cli->out;
    size_t next;
    size_t length = s_line (text, size, &next);
    printf ("%3zu  %-7s %-8s ", ++self->steps, party, kind);
    fputs (out->bold, stdout);
    s_write_content (self, text, length, *time != '\0');
    fputs (out->reset, stdout);
    if (*time) // "µs" has one byte more than columns
        printf ("%*s%s", (int) (S_RIGHT - rp_text_width (time, strlen (time))), "", time);
    putchar ('\n');

    size_t lines = 1;
    while (next < size) {
        text += next;
        size -= next;
        length = s_line (text, size, &next);
        if (length == 0)
            continue; // blank lines only make the table longer
        printf ("%*s", (int) S_LEFT, "");
        if (++lines > S_LINES && !self->cli->options.verbose) {
            printf ("%s… %zu more bytes; -v shows all%s\n", out->dim, size, out->reset);
            break;
        }
        s_write_content (self, text, length, false);
        putchar ('\n');
    }
}

void rp_transcript_request (rp_transcript_t *self, const char *body, size_t size)
{
    if (self->cli->options.output != RP_OUTPUT_TABLE)
        return;
    s_write_row (self, "client", "request", body, size, "");
    fflush (stdout);
}

static void s_write_csv (
  const rp_transcript_t *self, const char *body, size_t size, const rp_reply_t *reply)
{
    const char *message = rp_reply_message (reply);
    const char *worker = rp_reply_worker (reply);
    printf ("%zu,%zu,", self->round, self->steps);
    rp_text_csv (stdout, body, size);
    printf (",%s,%u,", rp_status_name ((int) rp_reply_status (reply)), rp_reply_code (reply));
    rp_text_csv (stdout, message, strlen (message));
    printf (",%u,%" PRIu64 ",", rp_reply_attempts (reply), rp_reply_total_us (reply));
    rp_text_csv (stdout, worker, strlen (worker));
    putchar (',');
    rp_text_csv (stdout, rp_reply_body (reply), rp_reply_size (reply));
    putchar ('\n');
}

static void s_add_json (
  rp_transcript_t *self, const char *body, size_t size, const rp_reply_t *reply)
{
    json_t *step = json_object ();
    rp_output_set (step, "round", json_integer ((json_int_t) self->round));
    rp_output_set (step, "number", json_integer ((json_int_t) self->steps));
    char *visible = rp_text_visible (body, size);
    json_t *request = json_stringn (body, size);
    rp_output_set (step, "request", request ? request : json_string (visible ? visible : ""));
    free (visible);
    json_t *rest = rp_cli_reply_json (self->cli, reply, self->service);
    if (json_object_update (step, rest) != 0)
        rp_output_no_memory ();
    json_decref (rest);
    rp_output_list_add (&self->list, step);
}

static void s_write_end (rp_transcript_t *self, const rp_reply_t *reply)
{
    int status = (int) rp_reply_status (reply);
    char time[RP_UNITS_TEXT_MAX];
    rp_duration_format (time, (int64_t) rp_reply_total_us (reply));
    if (status == RP_OK) {
        s_write_row (self, "server", "reply", rp_reply_body (reply), rp_reply_size (reply), time);
        return;
    }
    char text[RP_ERROR_LINE_MAX];
    snprintf (text, sizeof text, "%s %s", rp_status_name (status), rp_reply_message (reply));
    // The party that gave the status: the worker, the broker, or the client library.
    const char *party = status == RP_APP_ERROR   ? "server"
                        : status >= RP_NO_BROKER ? "client"
                                                 : "broker";
    s_write_row (
      self, party, status == RP_APP_ERROR ? "reply" : "status", text, strlen (text), time);
}

void rp_transcript_reply (
  rp_transcript_t *self, const char *body, size_t size, const rp_reply_t *reply)
{
    self->total_us += rp_reply_total_us (reply);
    if (self->cli->options.output == RP_OUTPUT_TABLE)
        s_write_end (self, reply);
    else {
        self->steps++;
        if (self->cli->options.output == RP_OUTPUT_CSV)
            s_write_csv (self, body, size, reply);
        else
            s_add_json (self, body, size, reply);
    }
    fflush (stdout);
}

void rp_transcript_end (rp_transcript_t *self, size_t wanted, size_t answered)
{
    if (rp_cli_writes_json (self->cli)) {
        rp_output_list_end (&self->list);
        return;
    }
    if (self->cli->options.output != RP_OUTPUT_TABLE || self->cli->options.quiet)
        return;
    char time[RP_UNITS_TEXT_MAX];
    printf ("%s%zu of %zu requests answered", self->cli->out.dim, answered, wanted);
    if (self->round > 1)
        printf (", begun %zu times", self->round);
    printf (
      "; %s in all%s\n", rp_duration_format (time, (int64_t) self->total_us), self->cli->out.reset);
}

void rp_transcript_show (const rp_reply_t *reply)
{
    const char *text = rp_reply_body (reply);
    size_t size = rp_reply_size (reply);
    size_t next;
    for (; size > 0; text += next, size -= next) {
        size_t length = s_line (text, size, &next);
        char *visible = rp_text_visible (text, length);
        if (!visible)
            rp_output_no_memory ();
        puts (visible);
        free (visible);
    }
}
