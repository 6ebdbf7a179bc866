/*  Translate: what a request of HTTP asks for, and what a status of Riposte is in HTTP.

    SPDX-License-Identifier: MPL-2.0

    Source: RFC 9110 (HTTP), RFC 9457 (problem details), RFC 3986 (percent-encoding), RFC 7240
    (Prefer), draft-ietf-httpapi-idempotency-key-header; docs/HTTP.md.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_TRANSLATE_H
#define RP_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>

#include "common/access/tokens.h"
#include "common/wire/head.h"
#include "common/wire/headers.h"

/*  What a path asks for: method, first part, number of further parts, name  */
#define RP_RESOURCE_MAP(X)                                                                         \
    X (CALL, "POST", "call", 1)                                                                    \
    X (BEGIN, "POST", "conversations", 1)                                                          \
    X (CONTINUE, "POST", "conversations", 2)                                                       \
    X (END, "DELETE", "conversations", 2)                                                          \
    X (JOB_SEND, "POST", "jobs", 1)                                                                \
    X (JOB_RESULT, "GET", "jobs", 1)                                                               \
    X (JOB_CANCEL, "DELETE", "jobs", 1)                                                            \
    X (SERVICES, "GET", "services", 0)                                                             \
    X (OPENAPI, "GET", "openapi.json", 0)                                                          \
    X (LIVE, "GET", "livez", 0)                                                                    \
    X (READY, "GET", "readyz", 0)

typedef enum {
#define RP_RESOURCE_ENUM(name, method, part, count) RP_RESOURCE_##name,
    RP_RESOURCE_MAP (RP_RESOURCE_ENUM)
#undef RP_RESOURCE_ENUM
      RP_RESOURCE_NONE,      /* no such path: 404 */
    RP_RESOURCE_WRONG_METHOD /* 405, with `allow` */
} rp_resource_kind_t;

/*  An id of a conversation in a path: 32 hexadecimal digits.  */
#define RP_CONVERSATION_ID 32u

typedef struct {
    rp_resource_kind_t kind;
    char service[RP_WIRE_NAME_MAX + 1]; /* CALL, BEGIN, CONTINUE, END, JOB_SEND */
    char id[RP_CONVERSATION_ID + 1];    /* CONTINUE, END */
    uint64_t job;                       /* JOB_RESULT, JOB_CANCEL */
    const char *allow;                  /* RP_RESOURCE_WRONG_METHOD: what the path allows */
} rp_resource_t;

/*  Finds the resource of a request. path: as in the request line, without the query, still
    percent-encoded. HEAD counts as GET.  */
void rp_resource_find (rp_resource_t *resource, const char *method, const char *path);

/*  Writes the path of a conversation, percent-encoded and cut to size.  */
void rp_resource_write_conversation (const char *service, const char *id, char *path, size_t size);

/*  The HTTP status of an end; 500 for errors of functions.  */
unsigned rp_http_status (int status);

/*  Seconds after which the same request may succeed (Retry-After), as text; NULL: not stated.  */
const char *rp_http_retry_after (int status);

/*  Reads the value of Riposte-Timeout ("5s"; at most a day). False with a reason for people.  */
bool rp_timeout_parse (const char *text, uint32_t *ms, const char **reason);

/*  Reads the value of Riposte-Attempts (1 to 10). False with a reason for people.  */
bool rp_attempts_parse (const char *text, uint8_t *attempts, const char **reason);

/*  Reads a priority, 0 to 9. False with a reason, a clause for people.  */
bool rp_priority_parse (const char *text, uint8_t *priority, const char **reason);

/*  Bytes of an idempotency key, and its NUL.  */
#define RP_IDEMPOTENCY_KEY_TEXT 128u

/*  Reads a number of workers, 1 to RP_ALL_MOST. False with a reason, a clause for people.  */
bool rp_workers_parse (const char *text, uint32_t *count, const char **reason);

/*  Reads the value of Idempotency-Key: a quoted string of RFC 9651, as its draft has it, or the key
    itself, as most programs send it. 1 to 127 bytes. False with a reason for people.  */
bool rp_idempotency_key_parse (
  const char *text, char key[RP_IDEMPOTENCY_KEY_TEXT], const char **reason);

/*  True if a value of Accept has text/event-stream with another weight than 0 (RFC 9110, 12.4.2 and 12.5.1).  */
bool rp_accept_has_events (const char *text);

/*  The longest that a peer may wait for the final of a job, seconds.  */
#define RP_PREFER_WAIT_MAX 60u

/*  Reads the value of Prefer (RFC 7240). True if it has a preference "wait", whose seconds are then
    RP_PREFER_WAIT_MAX at most; others are ignored, as are malformed ones.  */
bool rp_prefer_wait_parse (const char *text, unsigned *seconds);

/*  Copies the token of an Authorization header: "Bearer" in any case, a space, 64 of 0-9 a-f. False if
    it has another form.  */
bool rp_bearer_parse (const char *value, char token[RP_TOKEN_TEXT]);

/*  Returns the key of a header that travels with the request or reply, written to buffer of
    RP_HEADER_KEY_MAX + 1 bytes: "riposte-header-colour" is "colour", content-type, traceparent and
    tracestate are themselves, x-request-id is "request-id". NULL: the header stays here. name: of
    any case.  */
const char *rp_header_key (const char *name, char *buffer);

/*  The reverse: returns the name in HTTP of a reply's header, in buffer.  */
const char *rp_header_name (const char *key, char *buffer, size_t size);

#endif
