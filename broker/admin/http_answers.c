/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/http_answers.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/http_peers.h"
#include "broker/admin/json.h"

/*  Adds the headers that every answer has.  */
static void s_dress (struct MHD_Response *response, unsigned status, const char *type)
{
    // Without one of these a page would only be less strict.
    (void) MHD_add_response_header (response, "Content-Type", type);
    (void) MHD_add_response_header (response, "Cache-Control", "no-store");
    (void) MHD_add_response_header (response, "X-Content-Type-Options", "nosniff");
    (void) MHD_add_response_header (response, "Cross-Origin-Resource-Policy", "same-origin");
    if (status == MHD_HTTP_UNAUTHORIZED)
        (void) MHD_add_response_header (response, "WWW-Authenticate", "Bearer realm=\"riposte\"");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void) MHD_add_response_header (response, "Retry-After", "1");
}

enum MHD_Result rp_http_queue (struct MHD_Connection *connection,
  unsigned status,
  struct MHD_Response *response,
  const char *type)
{
    if (!response)
        return MHD_NO; // out of memory: the connection is closed
    s_dress (response, status, type);
    enum MHD_Result result = MHD_queue_response (connection, status, response);
    MHD_destroy_response (response);
    return result;
}

/*  Makes a response of a text, which it takes. *full: there is no room for it now. NULL then, and when out
    of memory.  */
static struct MHD_Response *s_respond (
  struct MHD_Connection *connection, char *text, size_t size, bool *full)
{
    *full = text && !rp_http_peers_hold (connection, size);
    struct MHD_Response *response =
      text && !*full ? MHD_create_response_from_buffer (size, text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response)
        free (text);
    return response;
}

static enum MHD_Result s_say_full (struct MHD_Connection *connection)
{
    return rp_http_say (connection, MHD_HTTP_SERVICE_UNAVAILABLE,
      "others read so many answers that there is no room for this one; ask again");
}

enum MHD_Result rp_http_queue_text (
  struct MHD_Connection *connection, unsigned status, char *text, size_t size, const char *type)
{
    bool full;
    struct MHD_Response *response = s_respond (connection, text, size, &full);
    return full ? s_say_full (connection) : rp_http_queue (connection, status, response, type);
}

enum MHD_Result rp_http_queue_page (
  struct MHD_Connection *connection, char *text, size_t size, const char *policy)
{
    const char *const headers[][2] = {{"Content-Security-Policy", policy},
      {"X-Frame-Options", "DENY"}, {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"}};
    bool full;
    struct MHD_Response *response = s_respond (connection, text, size, &full);
    for (size_t index = 0; response && index < sizeof headers / sizeof *headers; index++)
        if (MHD_add_response_header (response, headers[index][0], headers[index][1]) != MHD_YES) {
            MHD_destroy_response (response); // never without them
            response = NULL;
        }
    return full ? s_say_full (connection)
                : rp_http_queue (connection, MHD_HTTP_OK, response, "text/html; charset=utf-8");
}

static struct MHD_Response *s_line (const char *sentence)
{
    char line[256];
    int size = snprintf (line, sizeof line, "%s\n", sentence);
    return MHD_create_response_from_buffer ((size_t) size, line, MHD_RESPMEM_MUST_COPY);
}

enum MHD_Result rp_http_say (
  struct MHD_Connection *connection, unsigned status, const char *sentence)
{
    return rp_http_queue (connection, status, s_line (sentence), "text/plain; charset=utf-8");
}

enum MHD_Result rp_http_say_allowed (
  struct MHD_Connection *connection, const char *allow, const char *sentence)
{
    struct MHD_Response *response = s_line (sentence);
    if (response)
        (void) MHD_add_response_header (response, "Allow", allow);
    return rp_http_queue (
      connection, MHD_HTTP_METHOD_NOT_ALLOWED, response, "text/plain; charset=utf-8");
}

enum MHD_Result rp_http_queue_json (struct MHD_Connection *connection, json_t *json)
{
    char *text = json ? json_dumps (json, RP_JSON_FLAGS) : NULL;
    json_decref (json);
    return rp_http_queue_text (
      connection, MHD_HTTP_OK, text, text ? strlen (text) : 0, "application/json");
}

bool rp_http_shared_fits (struct MHD_Connection *connection, const rp_http_shared_t *self)
{
    return rp_http_peers_has_room (connection, self->size);
}

void rp_http_shared_set (rp_http_shared_t *self, char *text, size_t size, const char *type)
{
    struct MHD_Response *response =
      text ? MHD_create_response_from_buffer (size, text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free (text);
        return;
    }
    s_dress (response, MHD_HTTP_OK, type);
    self->response = response;
    self->size = size;
}

enum MHD_Result rp_http_shared_queue (
  struct MHD_Connection *connection, const rp_http_shared_t *self)
{
    if (!rp_http_shared_fits (connection, self))
        return s_say_full (connection);
    if (!self->response)
        return MHD_NO; // out of memory: the connection is closed
    (void) rp_http_peers_hold (connection, self->size);
    return MHD_queue_response (connection, MHD_HTTP_OK, self->response);
}

void rp_http_shared_drop (rp_http_shared_t *self)
{
    if (self->response)
        MHD_destroy_response (self->response); // its readers have it until they are done
    self->response = NULL;
}
