/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/answer.h"
#include "gateway/open.h"

typedef struct {
    rp_list_node_t node;
    char *text;
} s_line_t;

/*  ---- What is wanted -------------------------------------------------------------------------- */

bool rp_http_all_is_wanted (const rp_http_exchange_t *self)
{
    const char *all = rp_http_header (self, "Riposte-All");
    return (all && strcasecmp (all, "false") != 0) || rp_http_header (self, "Riposte-First")
           || rp_http_header (self, "Riposte-Quorum");
}

bool rp_http_all_set_terms (
  const rp_http_exchange_t *self, rp_call_t *call, char *fault, size_t size)
{
    const char *reason = NULL;
    const char *all = rp_http_header (self, "Riposte-All");
    const char *first = rp_http_header (self, "Riposte-First");
    const char *quorum = rp_http_header (self, "Riposte-Quorum");
    const char *goal = first ? first : quorum;
    uint32_t count = 0;
    if (self->resource.kind != RP_RESOURCE_CALL)
        snprintf (fault, size, "a request for all workers goes to /call/SERVICE");
    else if (all && strcasecmp (all, "true") != 0 && strcasecmp (all, "false") != 0)
        snprintf (fault, size, "Riposte-All wants true or false");
    else if (first && quorum)
        snprintf (
          fault, size, "Riposte-First and Riposte-Quorum do not go together: say one of them");
    else if (rp_http_header (self, "Riposte-Hedge"))
        snprintf (fault, size, "Riposte-Hedge is not for all workers, who get the request once");
    else if (goal && !rp_workers_parse (goal, &count, &reason))
        snprintf (fault, size, "Riposte-%s %s", first ? "First" : "Quorum", reason);
    else if ((first     ? rp_call_set_first (call, count)
               : quorum ? rp_call_set_quorum (call, count)
                        : rp_call_set_all (call))
             != RP_OK)
        snprintf (fault, size, "Riposte-%s finds no room", first ? "First" : "Quorum");
    return *fault == '\0';
}

/*  ---- Answers --------------------------------------------------------------------------------- */

void rp_http_all_init (rp_http_all_t *self)
{
    rp_list_init (&self->lines);
    self->rc = RP_TIMED_OUT;
}

/*  Frees the first line. False: there is none.  */
static bool s_drop (rp_http_all_t *self)
{
    s_line_t *line = (s_line_t *) rp_list_first (&self->lines);
    if (!line)
        return false;
    rp_list_remove (&line->node);
    free (line->text);
    free (line);
    return true;
}

void rp_http_all_clear (rp_http_all_t *self)
{
    while (s_drop (self))
        ;
}

int rp_http_all_next (rp_http_all_t *self, rp_http_exchange_t *exchange, char **text)
{
    if (self->given > 0) {
        rp_http_exchange_recount (exchange, exchange->counted - self->given);
        (void) s_drop (self);
    }
    const s_line_t *line = (s_line_t *) rp_list_first (&self->lines);
    self->given = line ? strlen (line->text) : 0;
    *text = line ? line->text : NULL;
    return line ? RP_OK : self->rc;
}

/*  Keeps an answer. False if there is no room for it.  */
static bool s_keep (rp_http_all_t *self, rp_http_exchange_t *exchange, const rp_reply_t *answer)
{
    char *text = rp_answer_one (answer, exchange->resource.service);
    s_line_t *line = text ? calloc (1, sizeof *line) : NULL;
    size_t counted = exchange->counted + (text ? strlen (text) : 0);
    if (!line || counted > exchange->gateway->options->total_body
        || !rp_http_exchange_count (exchange, counted)) {
        free (line);
        free (text);
        return false;
    }
    line->text = text;
    rp_list_append (&self->lines, &line->node);
    return true;
}

bool rp_http_all_gather (rp_http_all_t *self, rp_http_exchange_t *exchange, rp_stream_t *stream)
{
    rp_reply_t *answer;
    while ((self->rc = rp_stream_read_answer (stream, 0, &answer)) == RP_OK) {
        bool kept = s_keep (self, exchange, answer);
        rp_reply_destroy (&answer);
        if (!kept)
            return false;
    }
    return true;
}
