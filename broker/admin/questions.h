/*  Questions: what people ask about requests and services beyond a snapshot, each a row of one table. A
    question is asked as the service riposte.NAME, or at /api/NAME, and has the same answer at both.

    SPDX-License-Identifier: MPL-2.0

    A question has parameters, a JSON object; members that it does not know are refused. Each may come as its
    own type or as text, so the query of a URL is such an object. Its answer is a JSON object;
    docs/OPERATIONS.md lists both.

    Thread-safety: none; questions are answered in the thread of the core.
*/

#ifndef RP_QUESTIONS_H
#define RP_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "broker/admin/asked.h"

/*  True if there is a question with this name, without "riposte.".  */
bool rp_question_is (const char *name, size_t size);

/*  Answers a question. params: borrowed; NULL: none. NULL if the parameters are wrong, which `wrong` tells, or,
    with wrong[0] = 0, when out of memory.  */
json_t *rp_question_answer (const rp_snapshot_sources_t *sources,
  const char *name,
  size_t size,
  json_t *params,
  int64_t now,
  char wrong[RP_QUESTION_WRONG_MAX]);

/*  The same with the parameters as text, as they come in the body of a request; empty: none.  */
json_t *rp_question_answer_text (const rp_snapshot_sources_t *sources,
  const char *name,
  size_t size,
  const char *text,
  size_t text_size,
  int64_t now,
  char wrong[RP_QUESTION_WRONG_MAX]);

#endif
