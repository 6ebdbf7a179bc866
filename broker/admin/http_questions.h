/*  HTTP questions: reads which question (broker/admin/questions.h) a path and its query ask, and answers with
    what became of it.

    SPDX-License-Identifier: MPL-2.0

        GET /api/NAME?PARAMETERS, GET /api/NAME/ID     ID: as the parameter id; it may have slashes

        GET /api/jobs, /api/jobs/ID, /api/dead         riposte.jobs, riposte.job, riposte.dead.list
        POST /api/dead/retry, /api/dead/purge          riposte.dead.retry, riposte.dead.purge; parameters: a JSON object

    The answer is byte for byte that of the service riposte.NAME with the same parameters; 400 and a sentence
    if they are wrong, 404 if what they name is not there.

    Thread-safety: for the thread of broker/admin/http.h.
*/

#ifndef RP_HTTP_QUESTIONS_H
#define RP_HTTP_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>

#include "broker/admin/asking.h"

/*  The largest body, bytes.  */
#define RP_HTTP_QUESTION_BODY_MAX 8192u

/*  A path that asks a question.  */
typedef struct {
    const char *name; /* the question's */
    size_t size;
    const char *id;            /* a parameter in the path; NULL: none */
    const char *const *params; /* that it may have, then NULL; NULL: the question looks itself */
    bool changes;              /* it changes something: asked by POST, with a body */
} rp_http_question_t;

/*  False if a path is not that of a question. Valid as long as the path.  */
bool rp_http_question_find (rp_http_question_t *self, const char *path);

/*  Reads the question that a request asks, of one that changes something from its body. NULL if its parameters
    are wrong, which `wrong` tells, or, with wrong[0] = 0, when out of memory.  */
rp_asking_question_t *rp_http_question_read (const rp_http_question_t *self,
  struct MHD_Connection *connection,
  const char *body,
  size_t body_size,
  char wrong[RP_QUESTION_WRONG_MAX]);

/*  True if the answer has more than everybody may see who may observe: a body.  */
bool rp_http_question_reveals (const rp_asking_question_t *question);

/*  Answers a request whose question was answered. Takes its answer.  */
enum MHD_Result rp_http_question_tell (
  struct MHD_Connection *connection, rp_asking_question_t *question);

/*  Answers a request whose parameters are wrong.  */
enum MHD_Result rp_http_question_refuse (
  struct MHD_Connection *connection, const char wrong[RP_QUESTION_WRONG_MAX]);

/*  A MHD_OPTION_UNESCAPE_CALLBACK: as usual, but a NUL becomes a byte that no text has, so that it ends no
    text, and is refused.  */
size_t rp_http_question_unescape (void *arg, struct MHD_Connection *connection, char *text);

#endif
