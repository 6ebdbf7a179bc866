/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/http_access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#define S_BEARER "Bearer "

/*  Returns whose token a header Authorization has; NULL: nobody's.  */
static const char *s_principal (const rp_snapshot_t *snapshot, const char *authorization)
{
    return snapshot->security.on && authorization
               && strncasecmp (authorization, S_BEARER, strlen (S_BEARER)) == 0
             ? rp_credentials_token (snapshot->credentials, authorization + strlen (S_BEARER))
             : NULL;
}

void rp_http_access_name (
  const rp_snapshot_t *snapshot, const char *authorization, char name[RP_PRINCIPAL_MAX + 1])
{
    const char *principal = s_principal (snapshot, authorization);
    snprintf (name, RP_PRINCIPAL_MAX + 1, "%s", principal ? principal : RP_PRINCIPAL_ANONYMOUS);
}

unsigned rp_http_access (
  const rp_snapshot_t *snapshot, const char *authorization, rp_rule_t rule, const char **why)
{
    if (!snapshot->security.on)
        return 0;
    if (!authorization || strncasecmp (authorization, S_BEARER, strlen (S_BEARER)) != 0) {
        *why = "a token is wanted; make one: riposte keys token --principal NAME --role ROLE";
        return MHD_HTTP_UNAUTHORIZED;
    }
    const char *principal = s_principal (snapshot, authorization);
    if (!principal) {
        *why = "this token is not known";
        return MHD_HTTP_UNAUTHORIZED;
    }
    *why = rule == RP_RULE_ADMIN ? "who has this token may not do it; ask for: admin"
                                 : "who has this token may not see it; ask for: observe";
    return rp_rules_allow (rp_credentials_rules (snapshot->credentials), principal, rule, NULL, 0)
             ? 0
             : MHD_HTTP_FORBIDDEN;
}

/*  True if a browser has sent it for a page of another host. Programs send no Origin.  */
static bool s_is_foreign_page (const rp_http_sender_t *sender)
{
    const char *host = sender->origin ? strstr (sender->origin, "://") : NULL;
    return sender->origin && (!host || !sender->host || strcasecmp (host + 3, sender->host) != 0);
}

unsigned rp_http_access_admin (const rp_snapshot_t *snapshot,
  const char *authorization,
  const rp_http_sender_t *sender,
  bool changes,
  const char **why)
{
    *why = "a page of another host changes nothing here";
    if (changes && s_is_foreign_page (sender))
        return MHD_HTTP_FORBIDDEN;
    *why = "the body has to be JSON, with the header Content-Type: application/json";
    if (changes && !sender->json) // which no page may send elsewhere without asking first
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    *why = "without keys only programs of this machine may do it; see: riposte-broker --key-file";
    if (!snapshot->security.on)
        return sender->here ? 0 : MHD_HTTP_FORBIDDEN;
    return rp_http_access (snapshot, authorization, RP_RULE_ADMIN, why);
}
