/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/text.h"

void rp_answers_begin (rp_answers_t *self, const rp_cli_t *cli, const char *service, bool several)
{
    *self = (rp_answers_t){.cli = cli, .service = service, .several = several};
    if (several && rp_cli_writes_json (cli))
        rp_output_list_begin (&self->list, (rp_output_t) cli->options.output);
    if (cli->options.output == RP_OUTPUT_CSV && cli->sends)
        puts ("number,status,id,replayed,message");
    else if (cli->options.output == RP_OUTPUT_CSV)
        puts ("number,status,code,message,attempts,queue_us,work_us,total_us,worker,body");
}

/*  What to do about a job that was not taken; NULL: the usual.  */
static const char *s_next (const rp_answers_t *self, const rp_reply_t *reply)
{
    return self->cli->sends && rp_reply_status (reply) == RP_INVALID ? "see: riposte send --help"
                                                                     : NULL;
}

static json_t *s_job_json (const rp_answers_t *self, const rp_reply_t *reply)
{
    json_t *object = json_object ();
    char id[24];
    snprintf (id, sizeof id, "%" PRIu64, rp_reply_job (reply));
    rp_output_set (object, "status", json_string (rp_status_name ((int) rp_reply_status (reply))));
    if (rp_reply_status (reply) == RP_OK) {
        rp_output_set (object, "id", json_string (id)); // JSON's numbers are not exact everywhere
        rp_output_set (object, "replayed", json_boolean (rp_reply_is_replayed (reply)));
    }
    else {
        rp_error_t error = rp_error_of (reply, self->service, self->cli->options.server);
        error.next = s_next (self, reply);
        rp_output_set (object, "error", rp_error_json (&error));
    }
    rp_output_set (object, "total_us", json_integer ((json_int_t) rp_reply_total_us (reply)));
    return object;
}

static void s_add_json (rp_answers_t *self, const rp_reply_t *reply)
{
    json_t *object = self->cli->sends ? s_job_json (self, reply)
                                      : rp_cli_reply_json (self->cli, reply, self->service);
    if (!self->several) {
        rp_output_json ((rp_output_t) self->cli->options.output, object);
        return;
    }
    rp_output_set (object, "number", json_integer ((json_int_t) self->ended));
    rp_output_list_add (&self->list, object);
}

/*  Writes the id, as a table or as CSV.  */
static void s_add_id (const rp_answers_t *self, const rp_reply_t *reply)
{
    bool accepted = rp_reply_status (reply) == RP_OK;
    const char *message = rp_reply_message (reply);
    bool csv = self->cli->options.output == RP_OUTPUT_CSV;
    if (csv)
        printf ("%" PRIu64 ",%s,", self->ended, rp_status_name ((int) rp_reply_status (reply)));
    if (accepted)
        printf ("%" PRIu64, rp_reply_job (reply));
    else if (!csv && self->several)
        putchar ('-');
    if (csv) {
        printf (",%s,", rp_reply_is_replayed (reply) ? "true" : "false");
        rp_text_csv (stdout, message, strlen (message));
    }
    if (csv || accepted || self->several)
        putchar ('\n');
}

static void s_add_csv (const rp_answers_t *self, const rp_reply_t *reply)
{
    const char *message = rp_reply_message (reply);
    const char *worker = rp_reply_worker (reply);
    printf ("%" PRIu64 ",%s,%u,", self->ended, rp_status_name ((int) rp_reply_status (reply)),
      rp_reply_code (reply));
    rp_text_csv (stdout, message, strlen (message));
    printf (",%u,%u,%u,%" PRIu64 ",", rp_reply_attempts (reply), rp_reply_queue_us (reply),
      rp_reply_work_us (reply), rp_reply_total_us (reply));
    rp_text_csv (stdout, worker, strlen (worker));
    putchar (',');
    rp_text_csv (stdout, rp_reply_body (reply), rp_reply_size (reply));
    putchar ('\n');
}

void rp_answers_add (rp_answers_t *self, const rp_reply_t *reply)
{
    int status = (int) rp_reply_status (reply);
    self->ended++;
    self->failed += status != RP_OK;
    if (status >= 0 && status < RP_ANSWERS_STATUSES)
        self->by_status[status]++;
    if (rp_cli_writes_json (self->cli)) {
        s_add_json (self, reply);
        return;
    }
    if (self->cli->sends)
        s_add_id (self, reply);
    else if (self->cli->options.output == RP_OUTPUT_CSV)
        s_add_csv (self, reply);
    else
        fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);
    fflush (stdout); // keeps the order of both outputs on one terminal
    if (status != RP_OK) {
        char prefix[32] = "";
        if (self->several)
            snprintf (prefix, sizeof prefix, "%s %" PRIu64 ": ", self->cli->sends ? "job" : "call",
              self->ended);
        rp_error_t error = rp_error_of (reply, self->service, self->cli->options.server);
        error.next = s_next (self, reply);
        rp_cli_tell_line (self->cli, prefix, &error);
    }
}

void rp_answers_end (rp_answers_t *self)
{
    if (self->several && rp_cli_writes_json (self->cli))
        rp_output_list_end (&self->list);
    if (!self->several || self->failed == 0 || self->cli->options.quiet)
        return;
    fprintf (stderr, "riposte: %" PRIu64 " of %" PRIu64 " %s:", self->failed, self->ended,
      self->cli->sends ? "jobs were not accepted" : "calls failed");
    for (int status = 1; status < RP_ANSWERS_STATUSES; status++)
        if (self->by_status[status] > 0)
            fprintf (stderr, " %s %" PRIu64, rp_status_name (status), self->by_status[status]);
    fputc ('\n', stderr);
}
