/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/admit.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/http/address.h"

/*  The role that a token needs.  */
#define S_ROLE "call"

static const rp_refusal_t s_framing = {400, 0, "Bad Request",
  "more than one Host, Content-Length, Transfer-Encoding or Authorization, Content-Length and "
  "Transfer-Encoding, another coding than chunked, or a header that is none"};
static const rp_refusal_t s_foreign = {
  403, 0, "Forbidden", "a page of another host asks, or Host is not a name of this machine"};
static const rp_refusal_t s_no_token = {401, 0, "Unauthorized",
  "wants the header Authorization: Bearer TOKEN, with a token that is known here"};
static const rp_refusal_t s_no_role = {
  403, 0, "Forbidden", "this token does not have the role \"" S_ROLE "\""};
static const rp_refusal_t s_reserved = {
  403, RP_DENIED, NULL, "the broker's own services are not called over HTTP; see GET /services"};
static const rp_refusal_t s_not_found = {
  404, 0, "Not Found", "see /openapi.json for what there is"};
static const rp_refusal_t s_method = {405, 0, "Method Not Allowed", "see the header Allow"};

const rp_refusal_t rp_refusal_draining = {503, RP_DRAINING, NULL, "this gateway ends"};
const rp_refusal_t rp_refusal_too_large = {
  413, RP_TOO_LARGE, NULL, "the body is over the limit (option --max-body)"};
const rp_refusal_t rp_refusal_crowded = {
  429, RP_BUSY, NULL, "the bodies of all requests are over the limit (option --total-body)"};
const rp_refusal_t rp_refusal_no_room = {500, RP_NO_MEMORY, NULL,
  "the service has answered, but there is no room for its reply (option --total-body)"};
const rp_refusal_t rp_refusal_no_memory = {500, RP_NO_MEMORY, NULL, ""};

/*  ---- Framing -------------------------------------------------------------------------------  */

/*  Headers of which a second one, or another reading, lets a proxy see another request than this
    program does.  */
typedef struct {
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    unsigned authorizations;
    bool
      is_strange; /* a coding that is not chunked, a length that is no number, or no header at all */
} s_framing_t;

static bool s_is_token (const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (text[at] <= ' ' || text[at] > '~' || strchr ("\"(),/:;<=>?@[\\]{}", text[at]))
            return false;
    return size > 0;
}

/*  True if name and value are of one line, between whose ends libmicrohttpd has put NULs. Before 1.0 it
    appends a line that begins with a blank to the name before it, in another place: "Content-: 5" and
    " Length" are Content-Length then.  */
static bool s_is_one_line (const char *name, size_t size, const char *value)
{
    const char *at = name + size;
    while (at < value && (*at == '\0' || *at == ' ' || *at == '\t'))
        at++;
    return at == value || MHD_VERSION >= 0x01000000;
}

static enum MHD_Result s_count (void *arg,
  enum MHD_ValueKind kind,
  const char *name,
  size_t name_size,
  const char *value,
  size_t value_size)
{
    (void) kind;
    (void) value_size;
    s_framing_t *self = arg;
    const char *text = value ? value : "";
    self->is_strange |= !s_is_token (name, name_size) || strchr (text, '\r')
                        || (value && !s_is_one_line (name, name_size, value));
    if (strcasecmp (name, "host") == 0)
        self->hosts++;
    else if (strcasecmp (name, "authorization") == 0)
        self->authorizations++;
    else if (strcasecmp (name, "content-length") == 0) {
        self->lengths++;
        self->is_strange |= *text == '\0' || text[strspn (text, "0123456789")] != '\0';
    }
    else if (strcasecmp (name, "transfer-encoding") == 0) {
        self->codings++;
        self->is_strange |= strcasecmp (text, "chunked") != 0;
    }
    return MHD_YES;
}

/*  Nothing older than HTTP/1.1 has codings.  */
static bool s_is_framed_well (const rp_http_exchange_t *self, const char *version)
{
    s_framing_t count = {0};
    (void) MHD_get_connection_values_n (self->connection, MHD_HEADER_KIND, s_count, &count);
    if (count.codings > 0 && strcmp (version, MHD_HTTP_VERSION_1_1) < 0)
        return false;
    return count.hosts <= 1 && count.authorizations <= 1 && count.lengths + count.codings <= 1
           && !count.is_strange;
}

/*  ---- Who asks ------------------------------------------------------------------------------  */

/*  Browsers send requests on behalf of any page that they show, and resolve its name to any address
    (DNS rebinding). So a request with an origin of another host is refused, and at a loopback address
    a Host that is not this machine.  */
static bool s_is_foreign_page (const rp_http_exchange_t *self)
{
    const char *host = rp_http_header (self, "Host");
    const char *origin = rp_http_header (self, "Origin");
    if (self->gateway->loopback && (!host || !rp_http_host_is_local (host)))
        return true;
    const char *of_origin = origin ? strstr (origin, "://") : NULL;
    return origin && (!host || !of_origin || strcasecmp (of_origin + 3, host) != 0);
}

/*  Probes of health need no token.  */
static const rp_refusal_t *s_check_token (const rp_http_exchange_t *self)
{
    rp_resource_kind_t kind = self->resource.kind;
    if (!self->gateway->tokens || kind == RP_RESOURCE_LIVE || kind == RP_RESOURCE_READY)
        return NULL;
    char token[RP_TOKEN_TEXT];
    const char *value = rp_http_header (self, "Authorization");
    if (!value || !rp_bearer_parse (value, token))
        return &s_no_token;
    const rp_token_holder_t *holder = rp_tokens_find (self->gateway->tokens, token);
    if (!holder)
        return &s_no_token;
    return rp_token_has_role (holder, S_ROLE) ? NULL : &s_no_role;
}

/*  ---- What is asked -------------------------------------------------------------------------  */

/*  The broker knows the gateway only, whose rights may be larger than those of whoever asks it.  */
static bool s_is_reserved (const char *service)
{
    return strncmp (service, "riposte.", 8) == 0 || strncmp (service, "mmi.", 4) == 0;
}

static bool s_is_too_large (const rp_http_exchange_t *self)
{
    const char *length = rp_http_header (self, "Content-Length"); // digits
    return length
           && (strlen (length) > 19
               || strtoull (length, NULL, 10) > self->gateway->options->max_body);
}

static const rp_refusal_t *s_check_resource (const rp_http_exchange_t *self)
{
    const rp_resource_t *resource = &self->resource;
    bool is_probe = resource->kind == RP_RESOURCE_LIVE || resource->kind == RP_RESOURCE_READY;
    if (resource->kind == RP_RESOURCE_NONE)
        return &s_not_found;
    if (resource->kind == RP_RESOURCE_WRONG_METHOD)
        return &s_method;
    if (s_is_reserved (resource->service))
        return &s_reserved;
    if (s_is_too_large (self))
        return &rp_refusal_too_large;
    if (self->gateway->signal_count > 0 && !is_probe)
        return &rp_refusal_draining;
    if (self->gateway->bytes > self->gateway->options->total_body && !is_probe)
        return &rp_refusal_crowded;
    return NULL;
}

const rp_refusal_t *rp_admit (const rp_http_exchange_t *self, const char *version)
{
    if (!s_is_framed_well (self, version))
        return &s_framing;
    if (s_is_foreign_page (self))
        return &s_foreign;
    const rp_refusal_t *refusal = s_check_token (self);
    return refusal ? refusal : s_check_resource (self);
}

bool rp_admit_at_once (const rp_http_exchange_t *self)
{
    const char *expect = rp_http_header (self, "Expect");
    return self->refusal == &s_framing || (expect && strcasecmp (expect, "100-continue") == 0);
}
