/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/top_tables.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cli/listing.h"
#include "client/cli/text.h"
#include "client/cli/top_draw.h"
#include "client/cli/top_model.h"
#include "common/io/clock.h"

/*  A signal just before a wait does not end it, and is then seen this much later.  */
#define S_SLICE_US INT64_C (200000)
#define S_TIME_MAX 40u

/*  Writes the time of day in UTC, with milliseconds.  */
static const char *s_time (char buffer[S_TIME_MAX])
{
    struct timespec now;
    struct tm parts;
    char seconds[S_TIME_MAX / 2];
    clock_gettime (CLOCK_REALTIME, &now);
    gmtime_r (&now.tv_sec, &parts);
    strftime (seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf (buffer, S_TIME_MAX, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    return buffer;
}

/*  ---- Writing ------------------------------------------------------------------------------- */

static json_t *s_rate_json (double rate)
{
    return rate >= 0 ? json_real (rate) : json_null ();
}

static json_t *s_row_json (const rp_top_row_t *row)
{
    json_t *object = json_object ();
    rp_output_set (object, "name", rp_output_text (row->name));
    rp_output_set (object, "requests_per_second", s_rate_json (row->rate));
    rp_output_set (object, "failed_per_second", s_rate_json (row->failed_rate));
    rp_output_set (object, "waiting", json_integer ((json_int_t) row->waiting));
    rp_output_set (object, "oldest_us", json_integer ((json_int_t) row->oldest_us));
    rp_output_set (object, "running", json_integer ((json_int_t) row->running));
    rp_output_set (object, "window", json_integer ((json_int_t) row->window));
    rp_output_set (object, "workers", json_integer ((json_int_t) row->workers));
    rp_output_set (object, "draining", json_integer ((json_int_t) row->draining));
    if (row->p50_us >= 0)
        rp_output_set (object, "p50_us", json_integer ((json_int_t) row->p50_us));
    if (row->p99_us >= 0)
        rp_output_set (object, "p99_us", json_integer ((json_int_t) row->p99_us));
    return object;
}

static json_t *s_json (const rp_top_t *top)
{
    char time[S_TIME_MAX];
    json_t *services = json_array ();
    for (size_t index = 0; index < top->count; index++)
        if (json_array_append_new (services, s_row_json (top->sorted[index])) != 0)
            rp_output_no_memory ();
    json_t *object = json_object ();
    rp_output_set (object, "time", json_string (s_time (time)));
    rp_output_set (object, "services", services);
    return object;
}

static void s_write_csv_rate (double rate)
{
    if (rate >= 0)
        printf ("%.3f", rate);
    putchar (',');
}

static void s_write_csv (const rp_top_t *top)
{
    char time[S_TIME_MAX];
    s_time (time);
    for (size_t index = 0; index < top->count; index++) {
        const rp_top_row_t *row = top->sorted[index];
        printf ("%s,", time);
        rp_text_csv (stdout, row->name, strlen (row->name));
        putchar (',');
        s_write_csv_rate (row->rate);
        s_write_csv_rate (row->failed_rate);
        printf ("%" PRIu64 ",%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
          row->waiting, row->oldest_us, row->running, row->window, row->workers, row->draining);
    }
}

static void s_write (const rp_cli_t *cli, const rp_top_t *top, rp_output_list_t *list)
{
    char time[S_TIME_MAX];
    if (rp_cli_writes_json (cli))
        rp_output_list_add (list, s_json (top));
    else if (cli->options.output == RP_OUTPUT_CSV)
        s_write_csv (top);
    else {
        if (!cli->options.quiet)
            printf ("%s\n", s_time (time));
        rp_top_print (top, stdout, &cli->out);
        putchar ('\n');
    }
    fflush (stdout);
}

/*  ---- Rounds -------------------------------------------------------------------------------- */

/*  Asks for one answer. NULL after a line on standard error: a list of JSON may be open.  */
static json_t *s_ask (rp_cli_t *cli, const char *service, int *code)
{
    rp_call_t *call = rp_cli_call_new (cli, service, NULL, 0, code);
    rp_reply_t *reply = call ? rp_cli_perform (cli, service, 0, &call, code) : NULL;
    if (!reply)
        return NULL;
    rp_error_t error = rp_error_of (reply, service, cli->options.server);
    json_t *answer = rp_listing_answer (reply, &error);
    *code = rp_status_exit_code (error.status);
    if (!answer && error.status != RP_CANCELLED)
        rp_cli_tell_line (cli, "", &error);
    rp_reply_destroy (&reply);
    return answer;
}

/*  Returns 0, or the exit code after an error was written.  */
static int s_update (rp_cli_t *cli, rp_top_t *top)
{
    int code = 0;
    json_t *status = s_ask (cli, "riposte.status", &code);
    json_t *services = status ? s_ask (cli, "riposte.services", &code) : NULL;
    if (services && !rp_top_update (top, status, services, rp_clock_us ()))
        rp_output_no_memory ();
    json_decref (services);
    json_decref (status);
    return code;
}

static void s_wait_until (int64_t when)
{
    for (int64_t left = 1; left > 0 && !rp_cli_interrupted ();) {
        left = when - rp_clock_us ();
        int64_t part = left < S_SLICE_US ? left : S_SLICE_US;
        if (part > 0)
            (void) poll (NULL, 0, (int) ((part + 999) / 1000));
    }
}

int rp_top_tables (rp_cli_t *cli)
{
    rp_top_t top = {0};
    rp_output_list_t list = {.count = 0};
    int64_t next = rp_clock_us ();
    int code = s_update (cli, &top); // the rates of the first table need it
    if (rp_cli_writes_json (cli))
        rp_output_list_begin (&list, (rp_output_t) cli->options.output);
    if (cli->options.output == RP_OUTPUT_CSV)
        puts ("time,name,requests_per_second,failed_per_second,waiting,oldest_us,running,window,"
              "workers,draining");
    uint64_t rounds = 0;
    while (!ferror (stdout) && (cli->options.count == 0 || rounds < cli->options.count)) {
        next += cli->options.interval;
        s_wait_until (next);
        if (rp_cli_interrupted ())
            break;
        code = s_update (cli, &top);
        if (code == 0)
            s_write (cli, &top, &list);
        rounds++;
    }
    if (rp_cli_writes_json (cli))
        rp_output_list_end (&list);
    rp_top_clear (&top);
    return rp_cli_interrupted () ? rp_status_exit_code (RP_INTERRUPTED) : code;
}
