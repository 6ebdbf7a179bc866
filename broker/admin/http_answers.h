/*  HTTP answers: what every answer of the broker's HTTP has in common.

    SPDX-License-Identifier: MPL-2.0

    Each queues an answer for a connection. MHD_NO when out of memory; libmicrohttpd then closes the
    connection.
    Thread-safety: for the thread of broker/admin/http.h.
*/

#ifndef RP_HTTP_ANSWERS_H
#define RP_HTTP_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <microhttpd.h>

/*  Answers with a response, which it takes; NULL: out of memory.  */
enum MHD_Result rp_http_queue (struct MHD_Connection *connection,
  unsigned status,
  struct MHD_Response *response,
  const char *type);

/*  Answers with a text that was allocated, which it takes; NULL: out of memory. Answers 503 if others read too
    much (broker/admin/http_peers.h).  */
enum MHD_Result rp_http_queue_text (
  struct MHD_Connection *connection, unsigned status, char *text, size_t size, const char *type);

/*  Answers 200 with a page for browsers, which it takes; NULL: out of memory. policy: its Content-Security-Policy.
    No other page may frame it, or learn from where a reader has come.  */
enum MHD_Result rp_http_queue_page (
  struct MHD_Connection *connection, char *text, size_t size, const char *policy);

/*  Answers 200 with an object, which it takes; NULL: out of memory.  */
enum MHD_Result rp_http_queue_json (struct MHD_Connection *connection, json_t *json);

/*  A text that answers many requests, so that a crowd of readers costs one text. All zeros: there is none yet.  */
typedef struct {
    struct MHD_Response *response; /* NULL: none */
    size_t size;                   /* bytes; without a response those of the one before */
} rp_http_shared_t;

/*  False if others read too much for another reader of such a text: it need not be made then.  */
bool rp_http_shared_fits (struct MHD_Connection *connection, const rp_http_shared_t *self);

/*  Makes it of a text that was allocated, which it takes; NULL: out of memory, and there is none.  */
void rp_http_shared_set (rp_http_shared_t *self, char *text, size_t size, const char *type);

/*  Answers 200 with it, or 503 if others read too much.  */
enum MHD_Result rp_http_shared_queue (
  struct MHD_Connection *connection, const rp_http_shared_t *self);

/*  There is none any more. Who reads it has it to the end.  */
void rp_http_shared_drop (rp_http_shared_t *self);

/*  Answers 405 with a line of text. allow: the methods that there are.  */
enum MHD_Result rp_http_say_allowed (
  struct MHD_Connection *connection, const char *allow, const char *sentence);

/*  Answers with a line of text.  */
enum MHD_Result rp_http_say (
  struct MHD_Connection *connection, unsigned status, const char *sentence);

#endif
