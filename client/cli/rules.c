/*  riposte rules: checks a rules file, and says what it allows.

    SPDX-License-Identifier: MPL-2.0
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/cli.h"
#include "client/cli/input.h"
#include "client/cli/keys.h"
#include "client/cli/text.h"
#include "common/access/authorized.h"
#include "common/access/rules.h"
#include "common/wire/head.h"
#include "common/wire/name.h"

#define S_TEXT_MAX 512u

/*  ---- Mistakes ------------------------------------------------------------------------------ */

typedef struct {
    const rp_cli_t *cli;
    const char *file; /* the rules file */
    json_t *list;
} s_mistakes_t;

static s_mistakes_t s_mistakes (const rp_cli_t *cli, const char *file)
{
    s_mistakes_t self = {.cli = cli, .file = file, .list = json_array ()};
    if (!self.list)
        rp_output_no_memory ();
    return self;
}

/*  Writes PREFIX MESSAGE to standard error, or keeps the object for s_end_mistakes. Takes over
    the object.  */
static void s_tell_mistake (
  s_mistakes_t *self, const char *prefix, const char *message, json_t *object)
{
    if (!object || json_array_append_new (self->list, object) != 0)
        rp_output_no_memory ();
    if (rp_cli_writes_json (self->cli))
        return;
    char *text = rp_text_visible (message, strlen (message));
    if (!text)
        rp_output_no_memory ();
    fprintf (stderr, "%s%s\n", prefix, text);
    free (text);
}

/*  Takes "LINE:COLUMN: message" of the rules file.  */
static void s_take_mistake (const char *message, void *arg)
{
    s_mistakes_t *self = arg;
    char *end = NULL;
    unsigned long long line = strtoull (message, &end, 10);
    unsigned long long column = strtoull (end + 1, &end, 10);
    json_t *object = json_object ();
    rp_output_set (object, "line", json_integer ((json_int_t) line));
    rp_output_set (object, "column", json_integer ((json_int_t) column));
    rp_output_set (object, "message", rp_output_text (end + 2));
    char prefix[PATH_MAX + 1];
    snprintf (prefix, sizeof prefix, "%.*s:", PATH_MAX - 1, self->file);
    s_tell_mistake (self, prefix, message, object);
}

/*  Takes "PATH: message" of the authorized keys.  */
static void s_take_key_mistake (const char *message, void *arg)
{
    json_t *object = json_object ();
    rp_output_set (object, "message", rp_output_text (message));
    s_tell_mistake (arg, "", message, object);
}

/*  Returns the exit code: that of a usage error if there were mistakes.  */
static int s_end_mistakes (s_mistakes_t *self)
{
    bool is_good = json_array_size (self->list) == 0;
    if (is_good || !rp_cli_writes_json (self->cli))
        json_decref (self->list);
    else {
        json_t *object = json_object ();
        rp_output_set (object, "file", rp_output_text (self->file));
        rp_output_set (object, "mistakes", self->list);
        rp_output_json ((rp_output_t) self->cli->options.output, object);
    }
    return is_good ? 0 : rp_status_exit_code (RP_USAGE);
}

/*  ---- The files ----------------------------------------------------------------------------- */

/*  Returns the rules file of --rules, or the usual one, which is beside the keys. NULL after an
    error was written.  */
static const char *s_file (const rp_cli_t *cli)
{
    static char path[RP_KEYS_PATH_MAX];
    if (cli->options.rules)
        return cli->options.rules;
    const char *directory = rp_keys_directory (cli);
    return directory && rp_keys_path (path, directory, "rules", "") ? path : NULL;
}

/*  Reads a rules file. NULL after what is wrong was written; *code is the exit code.  */
static rp_rules_t *s_read (const rp_cli_t *cli, const char *file, int *code)
{
    rp_input_t input = {0};
    rp_input_outcome_t outcome = rp_input_read (&input, file);
    rp_rules_t *rules = NULL;
    if (outcome == RP_INPUT_INTERRUPTED)
        *code = rp_status_exit_code (RP_INTERRUPTED);
    else if (outcome != RP_INPUT_OK)
        *code = rp_cli_usage ("cannot read %s (%s); the rules file is named by --rules", file,
          rp_input_reason (outcome));
    else {
        s_mistakes_t mistakes = s_mistakes (cli, file);
        const char *text = input.size > 0 ? input.data : "";
        rules = rp_rules_read (text, input.size, s_take_mistake, &mistakes);
        *code = s_end_mistakes (&mistakes);
    }
    rp_input_free (&input);
    return rules;
}

/*  Gives the principals the roles of the authorized keys. Returns 0, or the exit code after what is
    wrong was written.  */
static int s_grant (const rp_cli_t *cli, const char *file, rp_rules_t *rules)
{
    const char *directory = cli->options.from;
    if (!directory)
        return 0;
    s_mistakes_t mistakes = s_mistakes (cli, file);
    rp_authorized_t *authorized =
      rp_authorized_load (directory, (int64_t) time (NULL), s_take_key_mistake, &mistakes);
    if (authorized && !rp_authorized_grant (authorized, rules, s_take_key_mistake, &mistakes)
        && json_array_size (mistakes.list) == 0)
        rp_output_no_memory ();
    rp_authorized_destroy (&authorized);
    return s_end_mistakes (&mistakes);
}

/*  ---- check --------------------------------------------------------------------------------- */

static void s_write_counts (const rp_cli_t *cli, const char *file, rp_rules_counts_t counts)
{
    json_t *object;
    switch (cli->options.output) {
        case RP_OUTPUT_TABLE:
            if (!cli->options.quiet)
                printf ("%s: %zu principal%s, %zu role%s, %zu rule%s\n", file, counts.principals,
                  counts.principals == 1 ? "" : "s", counts.roles, counts.roles == 1 ? "" : "s",
                  counts.rules, counts.rules == 1 ? "" : "s");
            break;
        case RP_OUTPUT_CSV:
            printf ("principals,roles,rules\n%zu,%zu,%zu\n", counts.principals, counts.roles,
              counts.rules);
            break;
        default:
            object = json_object ();
            rp_output_set (object, "file", rp_output_text (file));
            rp_output_set (object, "principals", json_integer ((json_int_t) counts.principals));
            rp_output_set (object, "roles", json_integer ((json_int_t) counts.roles));
            rp_output_set (object, "rules", json_integer ((json_int_t) counts.rules));
            rp_output_set (object, "mistakes", json_array ());
            rp_output_json ((rp_output_t) cli->options.output, object);
    }
}

int rp_cli_rules_check (rp_cli_t *cli)
{
    if (cli->arguments.count > 1)
        return rp_cli_usage ("rules check takes one file, not \"%s\" too", cli->arguments.items[1]);
    const char *file = cli->arguments.count > 0 ? cli->arguments.items[0] : s_file (cli);
    int code = rp_status_exit_code (RP_USAGE);
    rp_rules_t *rules = file ? s_read (cli, file, &code) : NULL;
    if (rules)
        s_write_counts (cli, file, rp_rules_count (rules));
    rp_rules_destroy (&rules);
    return code;
}

/*  ---- explain ------------------------------------------------------------------------------- */

typedef struct {
    const char *principal;
    rp_rule_t rule;      /* RP_RULE_COUNT: the weight of a client */
    const char *service; /* or the client's name; NULL: the rule has no pattern */
} s_question_t;

/*  Reads the arguments of explain behind the principal. Returns 0, or the exit code after an error was written.  */
static int s_read_rule (const rp_arguments_t *arguments, s_question_t *question)
{
    const char *rule = arguments->items[1];
    question->service = arguments->items[2]; // NULL behind the last
    size_t size = question->service ? strlen (question->service) : 0;
    question->rule = RP_RULE_COUNT;
    if (strcmp (rule, "weight") == 0)
        return arguments->count == 3
                 ? 0
                 : rp_cli_usage ("weight wants the name of a client behind it, and no more");
    if (!rp_rule_find (rule, &question->rule))
        return rp_cli_usage (
          "\"%s\" is no rule; wants call, serve, observe, admin or weight", rule);
    bool has_pattern = rp_rule_has_pattern (question->rule);
    if (has_pattern && !question->service)
        return rp_cli_usage ("%s wants the name of a service behind it", rule);
    if (has_pattern && !rp_name_is_valid (question->service, size))
        return rp_cli_usage (
          "a service has 1 to %u bytes without control characters", RP_WIRE_NAME_MAX);
    size_t most = has_pattern ? 3 : 2;
    if (arguments->count > most)
        return rp_cli_usage ("\"%s\" is one argument too many", arguments->items[most]);
    return 0;
}

/*  Reads the arguments of explain; returns as s_read_rule.  */
static int s_read_question (const rp_cli_t *cli, s_question_t *question)
{
    const rp_arguments_t *arguments = &cli->arguments;
    if (arguments->count < 2)
        return rp_cli_usage ("rules explain wants PRINCIPAL RULE [SERVICE], such as: ada call "
                             "upper; or PRINCIPAL weight CLIENT");
    question->principal = arguments->items[0];
    if (!rp_principal_is_valid (question->principal, strlen (question->principal)))
        return rp_cli_usage ("\"%s\" is no principal: 1 to %u printable characters without spaces, "
                             "quotes and #",
          question->principal, RP_PRINCIPAL_MAX);
    return s_read_rule (arguments, question);
}

static void s_write_answer (
  const rp_cli_t *cli, const s_question_t *question, bool allowed, const char *why)
{
    json_t *object;
    switch (cli->options.output) {
        case RP_OUTPUT_TABLE:
            printf ("%s: %s%s\n", allowed ? "yes" : "no", why,
              allowed || cli->options.from ? "" : "; with --from, the roles of keys count too");
            break;
        case RP_OUTPUT_CSV:
            printf ("allowed,why\n%s,", allowed ? "true" : "false");
            rp_text_csv (stdout, why, strlen (why));
            putchar ('\n');
            break;
        default:
            object = json_object ();
            rp_output_set (object, "allowed", json_boolean (allowed));
            rp_output_set (object, "principal", rp_output_text (question->principal));
            rp_output_set (object, "rule", json_string (rp_rule_name (question->rule)));
            rp_output_set (object, "service",
              question->service ? rp_output_text (question->service) : json_null ());
            rp_output_set (object, "why", rp_output_text (why));
            rp_output_json ((rp_output_t) cli->options.output, object);
    }
}

static void s_write_weight (
  const rp_cli_t *cli, const s_question_t *question, unsigned weight, const char *why)
{
    json_t *object;
    switch (cli->options.output) {
        case RP_OUTPUT_TABLE:
            printf ("%u: %s%s\n", weight, why,
              cli->options.from ? "" : "; with --from, the roles of keys count too");
            break;
        case RP_OUTPUT_CSV:
            printf ("weight,why\n%u,", weight);
            rp_text_csv (stdout, why, strlen (why));
            putchar ('\n');
            break;
        default:
            object = json_object ();
            rp_output_set (object, "weight", json_integer ((json_int_t) weight));
            rp_output_set (object, "principal", rp_output_text (question->principal));
            rp_output_set (object, "client", rp_output_text (question->service));
            rp_output_set (object, "why", rp_output_text (why));
            rp_output_json ((rp_output_t) cli->options.output, object);
    }
}

static int s_answer_weight (
  const rp_cli_t *cli, const s_question_t *question, const rp_rules_t *rules)
{
    char why[S_TEXT_MAX];
    unsigned weight =
      rp_rules_explain_weight (rules, question->principal, question->service, why, sizeof why);
    char *text = rp_text_visible (why, strlen (why));
    if (!text)
        rp_output_no_memory ();
    s_write_weight (cli, question, weight, text);
    free (text);
    return 0;
}

static int s_answer (const rp_cli_t *cli, const s_question_t *question, const rp_rules_t *rules)
{
    char why[S_TEXT_MAX];
    bool allowed = rp_rules_explain (rules, question->principal, question->rule, question->service,
      question->service ? strlen (question->service) : 0, why, sizeof why);
    char *text = rp_text_visible (why, strlen (why));
    if (!text)
        rp_output_no_memory ();
    s_write_answer (cli, question, allowed, text);
    free (text);
    return allowed ? 0 : rp_status_exit_code (RP_DENIED);
}

int rp_cli_rules_explain (rp_cli_t *cli)
{
    s_question_t question;
    int code = s_read_question (cli, &question);
    if (code != 0)
        return code;
    const char *file = s_file (cli);
    code = rp_status_exit_code (RP_USAGE);
    rp_rules_t *rules = file ? s_read (cli, file, &code) : NULL;
    if (rules)
        code = s_grant (cli, file, rules);
    if (rules && code == 0)
        code = question.rule == RP_RULE_COUNT ? s_answer_weight (cli, &question, rules)
                                              : s_answer (cli, &question, rules);
    rp_rules_destroy (&rules);
    return code;
}
