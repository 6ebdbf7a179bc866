/*  riposte check: a Nagios plugin. Says in one line whether the broker and its services are well.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <string.h>

#include "client/cli/listing.h"
#include "client/cli/verdict.h"

/*  Reads an option; NULL leaves the threshold off. Returns 0, or the exit code after an error was
    written.  */
static int s_read (rp_threshold_t *threshold,
  rp_threshold_kind_t kind,
  bool minimum,
  const char *option,
  const char *text)
{
    const char *reason = "";
    if (!text || rp_threshold_parse (threshold, kind, minimum, text, &reason))
        return 0;
    return rp_cli_usage ("%s %s, not \"%s\"", option, reason, text);
}

static int s_read_wants (const rp_cli_options_t *options, rp_verdict_wants_t *wants)
{
    wants->services = options->services;
    if (options->services && options->services[strspn (options->services, ",")] == '\0')
        return rp_cli_usage ("--services wants names, with commas, not \"%s\"", options->services);
    int code = s_read (
      &wants->max_waiting, RP_THRESHOLD_COUNT, false, "--max-waiting", options->max_waiting);
    if (code == 0)
        code = s_read (
          &wants->max_oldest, RP_THRESHOLD_TIME, false, "--max-oldest", options->max_oldest);
    if (code == 0)
        code = s_read (
          &wants->min_workers, RP_THRESHOLD_COUNT, true, "--min-workers", options->min_workers);
    if (code == 0)
        code = s_read (
          &wants->max_memory, RP_THRESHOLD_SIZE, false, "--max-memory", options->max_memory);
    return code;
}

static json_t *s_json (const rp_verdict_t *verdict)
{
    json_t *causes = json_array ();
    for (size_t index = 0; index < verdict->count && index < RP_VERDICT_CAUSES; index++) {
        json_t *cause = json_object ();
        rp_output_set (
          cause, "state", json_string (rp_verdict_name (verdict->causes[index].state)));
        rp_output_set (cause, "text", rp_output_text (verdict->causes[index].text));
        if (json_array_append_new (causes, cause) != 0)
            rp_output_no_memory ();
    }
    json_t *object = json_object ();
    rp_output_set (object, "state", json_string (rp_verdict_name (verdict->state)));
    rp_output_set (object, "causes", causes);
    rp_output_set (object, "cause_count", json_integer ((json_int_t) verdict->count));
    rp_output_set (object, "services", json_integer ((json_int_t) verdict->services));
    rp_output_set (object, "workers", json_integer ((json_int_t) verdict->workers));
    rp_output_set (object, "waiting", json_integer ((json_int_t) verdict->waiting));
    rp_output_set (object, "running", json_integer ((json_int_t) verdict->running));
    rp_output_set (object, "oldest_us", json_integer ((json_int_t) verdict->oldest_us));
    rp_output_set (object, "memory", json_integer ((json_int_t) verdict->memory));
    return object;
}

static int s_check (
  const rp_cli_t *self, const rp_verdict_wants_t *wants, json_t *status, json_t *services)
{
    rp_verdict_t verdict;
    rp_verdict_judge (&verdict, wants, status, services);
    if (rp_cli_writes_json (self))
        rp_output_json ((rp_output_t) self->options.output, s_json (&verdict));
    else {
        rp_verdict_write (&verdict, stdout);
        if (self->options.perfdata) {
            fputs (" | ", stdout);
            rp_verdict_write_perfdata (&verdict, wants, status, services, stdout);
        }
        putchar ('\n');
    }
    return (int) verdict.state;
}

int rp_cli_check (rp_cli_t *self)
{
    rp_verdict_wants_t wants = {.services = NULL};
    int code = s_read_wants (&self->options, &wants);
    json_t *status = code == 0 ? rp_listing_ask (self, "riposte.status", &code) : NULL;
    json_t *services = status ? rp_listing_ask_again (self, "riposte.services", &code) : NULL;
    if (services)
        code = s_check (self, &wants, status, services);
    json_decref (services);
    json_decref (status);
    return code;
}
