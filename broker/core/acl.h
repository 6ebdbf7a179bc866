/*  Access: finds the principal of a session, and asks the rules in force what it may do and what
    its quota leaves. Without rules everything is allowed, and nothing here is called for a request.

    SPDX-License-Identifier: MPL-2.0

    A client's permission to call a service is remembered in its session, by the service's handle,
    and forgotten when the rules change. Denials are not remembered, since each costs a message
    anyway. Internal to the core.
*/

#ifndef RP_ACL_H
#define RP_ACL_H

#include "broker/core/state.h"

/*  Returns the principal with this name (NULL: "anonymous"), made if there is none. NULL when out
    of memory.  */
rp_principal_t *rp_acl_principal (rp_dispatch_t *self, const char *name);

/*  True if a rule allows this. name: as in rp_rules_allow.  */
bool rp_acl_allows (const rp_dispatch_t *self,
  const rp_principal_t *principal,
  rp_rule_t rule,
  const char *name,
  size_t size);

/*  Counts a denial, logs it if it is a new one, and returns its text. asked: the HELLO or request that
    is denied; of another head only name is set: the service, or the broker's own name that was asked
    for.  */
const char *rp_acl_deny (rp_dispatch_t *self,
  rp_principal_t *principal,
  rp_rule_t rule,
  const rp_head_t *asked,
  rp_session_id_t session);

/*  Returns the reason why the principal may not have another session; NULL if it may.  */
const char *rp_acl_refuse_session (rp_dispatch_t *self, rp_principal_t *principal);

/*  Counts a request of so many bytes that is over a quota, and returns the reason, and *status.  */
const char *rp_acl_refuse_request (
  rp_dispatch_t *self, const rp_session_t *client, size_t bytes, rp_status_t *status);

/*  Counts a session that begins, or ends.  */
void rp_acl_join (rp_dispatch_t *self, rp_session_t *session, rp_principal_t *principal);
void rp_acl_leave (rp_session_t *session);

/*  Marks a client if work is measured.  */
void rp_acl_mark_measured (rp_dispatch_t *self, rp_session_t *session);

/*  Puts other rules in force (NULL: security is off): forgets decisions, sets quotas, and frees
    principals without sessions. Open requests are to be counted anew with rp_acl_open.  */
void rp_acl_change (rp_dispatch_t *self, const rp_rules_t *rules);

/*  Asks the rules, and remembers a permission at *place.  */
bool rp_acl_ask_call (
  const rp_dispatch_t *self, rp_session_t *client, const rp_service_t *service, uint64_t *place);

/*  True if a client may call a service. Only to be called while there are rules.  */
static inline bool rp_acl_may_call (
  const rp_dispatch_t *self, rp_session_t *client, const rp_service_t *service)
{
    uint64_t *place = &client->may_call[service->pooled.slot % RP_ACL_SERVICES];
    return *place == rp_pool_handle (&service->pooled)
           || rp_acl_ask_call (self, client, service, place);
}

/*  The time for which a principal that was idle may go ahead of its rate, ns.  */
#define RP_ACL_BURST_NS INT64_C (1000000000)

/*  True if a principal may send another request now; then the request counts against the rate.  */
static inline bool rp_acl_pay (const rp_dispatch_t *self, rp_principal_t *principal)
{
    int64_t now = self->now * 1000;
    int64_t paid = principal->paid > now ? principal->paid : now;
    paid += principal->pause;
    if (paid > now + RP_ACL_BURST_NS)
        return false;
    principal->paid = paid;
    return true;
}

/*  True if a request of so many bytes is within the quotas of its client's principal; then it
    counts against the rate.  */
static inline bool rp_acl_is_within_quota (
  const rp_dispatch_t *self, const rp_session_t *client, size_t bytes)
{
    rp_principal_t *principal = client->principal;
    return principal->open < principal->quota.open
           && principal->open_bytes + bytes <= principal->quota.open_bytes
           && (principal->pause == 0 || rp_acl_pay (self, principal));
}

/*  Counts one open request more, or less, of the client's principal, if there are rules.  */
static inline void rp_acl_open (const rp_session_t *client, const rp_request_t *request)
{
    if (!(client->traits & RP_TRAIT_RULED))
        return;
    client->principal->open++;
    client->principal->open_bytes += request->bytes;
}

static inline void rp_acl_close (const rp_session_t *client, const rp_request_t *request)
{
    if (!(client->traits & RP_TRAIT_RULED))
        return;
    client->principal->open--;
    client->principal->open_bytes -= request->bytes;
}

#endif
