/*  riposte reload: has the broker read its settings, keys and rules again.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"

static const char s_service[] = "riposte.reload";

/*  Writes what the broker took, and what needs a restart.  */
static void s_tell_done (const rp_cli_t *self, json_t *answer)
{
    size_t index;
    json_t *path;
    const json_t *paths = json_object_get (answer, "needs_restart");
    if (rp_cli_writes_json (self)) {
        rp_output_json ((rp_output_t) self->options.output, json_incref (answer));
        return;
    }
    if (self->options.output == RP_OUTPUT_CSV)
        puts ("needs_restart");
    else if (!self->options.quiet)
        puts ("reloaded");
    json_array_foreach (paths, index, path)
    {
        const char *text = json_string_value (path);
        const char *title = self->options.output == RP_OUTPUT_CSV ? "" : "needs a restart: ";
        printf ("%s%s\n", title, text ? text : "?");
    }
}

/*  Writes a line for each mistake that the broker found. Returns the exit code.  */
static int s_tell_mistakes (const rp_cli_t *self, rp_error_t *error, const char *text)
{
    char *copy = strdup (text);
    char *rest = copy;
    if (!copy)
        rp_output_no_memory ();
    json_t *problems = json_array ();
    for (char *line = strtok_r (copy, "\n", &rest); line; line = strtok_r (NULL, "\n", &rest)) {
        error->why = line;
        if (!rp_cli_writes_json (self))
            rp_cli_tell_line (self, "", error);
        else if (!problems || json_array_append_new (problems, rp_output_text (line)) != 0)
            rp_output_no_memory ();
    }
    if (rp_cli_writes_json (self)) {
        json_t *object = json_object ();
        json_t *told = rp_error_json (error);
        rp_output_set (told, "problems", json_incref (problems));
        rp_output_set (object, "error", told);
        rp_output_json ((rp_output_t) self->options.output, object);
    }
    json_decref (problems);
    free (copy);
    return rp_status_exit_code (error->status);
}

static int s_tell_reply (const rp_cli_t *self, const rp_reply_t *reply)
{
    rp_error_t error = rp_error_of (reply, s_service, self->options.server);
    size_t size = rp_reply_size (reply);
    if (error.status == RP_APP_ERROR && size > 0) {
        char *text = malloc (size + 1);
        if (!text)
            rp_output_no_memory ();
        memcpy (text, rp_reply_body (reply), size);
        text[size] = '\0';
        int code = s_tell_mistakes (self, &error, text);
        free (text);
        return code;
    }
    if (error.status != RP_OK)
        return rp_cli_tell (self, &error);
    json_t *answer = json_loadb (rp_reply_body (reply), size, 0, NULL);
    if (json_is_object (answer))
        s_tell_done (self, answer);
    else {
        error.status = RP_INVALID;
        error.why = "its answer is not JSON that this program understands";
        rp_cli_tell (self, &error);
    }
    json_decref (answer);
    return error.status == RP_OK ? 0 : rp_status_exit_code (error.status);
}

int rp_cli_reload (rp_cli_t *self)
{
    if (self->arguments.count > 0)
        return rp_cli_usage (
          "reload takes no argument, not \"%s\"; the broker is named by --server",
          self->arguments.items[0]);
    int code = rp_cli_connect (self, 1);
    rp_call_t *call = code == 0 ? rp_cli_call_new (self, s_service, NULL, 0, &code) : NULL;
    rp_reply_t *reply = call ? rp_cli_perform (self, s_service, 0, &call, &code) : NULL;
    if (!reply)
        return code;
    code = s_tell_reply (self, reply);
    rp_reply_destroy (&reply);
    return code;
}
