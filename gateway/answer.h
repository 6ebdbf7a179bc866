/*  Answers: the responses of HTTP that the gateway makes.

    SPDX-License-Identifier: MPL-2.0

    Source: RFC 9457 (application/problem+json); docs/HTTP.md.
    Ownership: each returns a response that the caller destroys after it was queued; NULL when out of
    memory. Thread-safety: none.
*/

#ifndef RP_ANSWER_H
#define RP_ANSWER_H

#include <stdint.h>

#include <microhttpd.h>
#include <riposte/client.h>

#include "gateway/translate.h"

/*  The end of a request. Takes *reply_p: the body of a reply is not copied. type: of a body without a
    content-type of its own.  */
struct MHD_Response *rp_answer_reply (rp_reply_t **reply_p, const char *service, const char *type);

/*  The same of a reply that stays the caller's, which is copied.  */
struct MHD_Response *rp_answer_copy (const rp_reply_t *reply, const char *service);

/*  An answer of one of all workers: JSON as of rp_answer_end, with the worker's name, and the body of an OK, too. From
    malloc.  */
char *rp_answer_one (const rp_reply_t *answer, const char *service);

/*  The last event of a reply in parts: JSON with the members of a problem, whatever the status; its
    headers; and the body of an APP_ERROR. From malloc.  */
char *rp_answer_end (const rp_reply_t *reply, const char *service);

/*  The final of a job, by its own path. Takes *reply_p. It comes with Riposte-Job, by which it is told from
    what went wrong with the question.  */
struct MHD_Response *rp_answer_final (rp_reply_t **reply_p);

/*  The JSON that a reply of the broker is. Takes *reply_p.  */
struct MHD_Response *rp_answer_json (rp_reply_t **reply_p);

/*  A job was accepted: its id, and its place.  */
struct MHD_Response *rp_answer_accepted (const rp_reply_t *reply);

/*  What the gateway itself refuses. status: of Riposte; 0: only HTTP has a status, title is its
    name.  */
struct MHD_Response *rp_answer_problem (
  unsigned http_status, int status, const char *title, const char *detail, const char *service);

/*  A static text.  */
struct MHD_Response *rp_answer_text (const char *text, size_t size, const char *type);

/*  Adds a header. False when out of memory, or if the value cannot be in a header.  */
bool rp_answer_header (struct MHD_Response *response, const char *name, const char *value);

#endif
