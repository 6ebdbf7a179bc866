/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/acl.h"

#include <string.h>

#include "common/base/check.h"

/*  ---- Principals ---------------------------------------------------------------------------- */

static uint64_t s_limit (uint64_t quota)
{
    return quota ? quota : UINT64_MAX;
}

static void s_set_quota (const rp_dispatch_t *self, rp_principal_t *principal)
{
    rp_quota_t quota = {0};
    if (self->rules)
        quota = rp_rules_quota (self->rules, principal->name);
    principal->quota = (rp_quota_t){.sessions = s_limit (quota.sessions),
      .open = s_limit (quota.open),
      .open_bytes = s_limit (quota.open_bytes),
      .rate = s_limit (quota.rate),
      .weight = quota.weight ? quota.weight : 1};
    principal->pause = 0;
    if (quota.rate)
        principal->pause =
          (int64_t) ((uint64_t) RP_ACL_BURST_NS / quota.rate); // over 10^9 a second: no limit
}

static void s_forget (rp_dispatch_t *self, rp_principal_t *principal)
{
    rp_table_remove (&self->principals_by_name, principal->hash, principal);
    rp_pool_give (&self->principals, principal);
}

/*  Frees the principals that have no session.  */
static void s_forget_unused (rp_dispatch_t *self)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->principals); slot++) {
        rp_principal_t *principal = rp_pool_at (&self->principals, slot);
        if (principal->pooled.generation & 1 && principal->sessions == 0)
            s_forget (self, principal);
    }
}

static rp_principal_t *s_make (rp_dispatch_t *self, const char *name, size_t size, uint64_t hash)
{
    rp_principal_t *principal = rp_pool_take (&self->principals);
    if (!principal) {
        s_forget_unused (self);
        principal = rp_pool_take (&self->principals);
    }
    if (!principal)
        return NULL;
    if (!rp_table_insert (&self->principals_by_name, hash, principal)) {
        rp_pool_give (&self->principals, principal);
        return NULL;
    }
    principal->hash = hash;
    memcpy (principal->name, name, size);
    s_set_quota (self, principal);
    return principal;
}

rp_principal_t *rp_acl_principal (rp_dispatch_t *self, const char *name)
{
    if (!name)
        name = RP_PRINCIPAL_ANONYMOUS;
    size_t size = strlen (name);
    RP_CHECK (size <= RP_PRINCIPAL_MAX);
    uint64_t hash = rp_hash_bytes (name, size, self->seed);
    rp_table_cursor_t cursor;
    rp_principal_t *principal = rp_table_first (&self->principals_by_name, hash, &cursor);
    while (principal && strcmp (principal->name, name) != 0)
        principal = rp_table_next (&self->principals_by_name, hash, &cursor);
    return principal ? principal : s_make (self, name, size, hash);
}

void rp_acl_mark_measured (rp_dispatch_t *self, rp_session_t *session)
{
    if (session->role != RP_ROLE_CLIENT)
        return;
    session->traits &= (uint16_t) ~RP_TRAIT_MEASURED;
    if (self->measured)
        session->traits |= RP_TRAIT_MEASURED;
}

/*  Marks a session if there are rules, takes its weight, and forgets what earlier rules allowed it.  */
static void s_set_ruled (const rp_dispatch_t *self, rp_session_t *session)
{
    session->traits &= (uint16_t) ~RP_TRAIT_RULED;
    bool trusted_client = session->role == RP_ROLE_CLIENT && session->traits & RP_TRAIT_TRUSTED;
    if (self->rules && !trusted_client)
        session->traits |= RP_TRAIT_RULED;
    session->weight = 1;
    if (self->weighed && !trusted_client)
        session->weight = rp_rules_weight (self->rules, session->principal->name, session->name);
    memset (session->may_call, 0, sizeof session->may_call);
}

void rp_acl_join (rp_dispatch_t *self, rp_session_t *session, rp_principal_t *principal)
{
    session->principal = principal;
    s_set_ruled (self, session);
    rp_acl_mark_measured (self, session);
    principal->sessions++;
    principal->workers += session->role == RP_ROLE_WORKER;
}

void rp_acl_leave (rp_session_t *session)
{
    session->principal->sessions--;
    session->principal->workers -= session->role == RP_ROLE_WORKER;
}

/*  ---- Rules --------------------------------------------------------------------------------- */

bool rp_acl_allows (const rp_dispatch_t *self,
  const rp_principal_t *principal,
  rp_rule_t rule,
  const char *name,
  size_t size)
{
    return !self->rules || rp_rules_allow (self->rules, principal->name, rule, name, size);
}

bool rp_acl_ask_call (
  const rp_dispatch_t *self, rp_session_t *client, const rp_service_t *service, uint64_t *place)
{
    if (!rp_acl_allows (self, client->principal, RP_RULE_CALL, service->name, service->name_size))
        return false;
    *place = rp_pool_handle (&service->pooled);
    return true;
}

static const char *s_describe (rp_dispatch_t *self,
  const rp_principal_t *principal,
  rp_rule_t rule,
  const char *name,
  size_t size)
{
    const char *word = rp_rule_name (rule);
    // When many requests end at once, only the first texts have room.
    if (RP_ACTIONS_TEXT - self->actions->text_used < RP_WIRE_TEXT_MAX)
        return "no rule allows this to its principal";
    if (rp_rule_has_pattern (rule))
        return rp_actions_format (self->actions, "\"%s\" may not %s \"%.*s\"; ask for: %s %.*s",
          principal->name, word, (int) size, name, word, (int) size, name);
    return rp_actions_format (self->actions, "\"%s\" may not use \"%.*s\"; ask for: %s",
      principal->name, (int) size, name, word);
}

/*  True if this denial is not in the log yet, as far as is known.  */
static bool s_is_new (rp_dispatch_t *self,
  const rp_principal_t *principal,
  rp_rule_t rule,
  const char *name,
  size_t size)
{
    uint64_t hash = rp_hash_bytes (name, size, self->seed ^ principal->hash ^ (uint64_t) rule);
    uint64_t *place = &self->denials[hash % RP_ACL_DENIALS];
    bool is_new = *place != hash;
    *place = hash;
    return is_new;
}

const char *rp_acl_deny (rp_dispatch_t *self,
  rp_principal_t *principal,
  rp_rule_t rule,
  const rp_head_t *asked,
  rp_session_id_t session)
{
    const char *name = asked->name;
    size_t size = asked->name_size;
    self->stats.denied++;
    principal->denied++;
    const char *text = s_describe (self, principal, rule, name, size);
    if (s_is_new (self, principal, rule, name, size))
        rp_actions_log_request (self->actions,
          rp_actions_log (self->actions, RP_LEVEL_WARNING, RP_TOPIC_DENIED, session, text), asked);
    return text;
}

/*  ---- Quotas -------------------------------------------------------------------------------- */

static void s_count_over (rp_dispatch_t *self, rp_principal_t *principal)
{
    self->stats.over_quota++;
    principal->over_quota++;
}

const char *rp_acl_refuse_session (rp_dispatch_t *self, rp_principal_t *principal)
{
    if (principal->sessions < principal->quota.sessions)
        return NULL;
    s_count_over (self, principal);
    return rp_actions_format (self->actions,
      "\"%s\" has %u sessions (quota sessions = %llu); end one, or try again later",
      principal->name, (unsigned) principal->sessions,
      (unsigned long long) principal->quota.sessions);
}

static const char *s_over_bytes (
  rp_dispatch_t *self, const rp_principal_t *principal, size_t bytes, rp_status_t *status)
{
    unsigned long long most = principal->quota.open_bytes;
    if (bytes <= most)
        return rp_actions_format (self->actions,
          "open requests of \"%s\" take %llu bytes, and this one would take %zu (quota "
          "open_bytes = %llu); try again when one has ended",
          principal->name, (unsigned long long) principal->open_bytes, bytes, most);
    self->stats.too_large++;
    *status = RP_TOO_LARGE;
    return rp_actions_format (self->actions,
      "body and headers of %zu bytes are over what \"%s\" may have open (quota open_bytes = %llu)",
      bytes, principal->name, most);
}

static const char *s_over_rate (rp_dispatch_t *self, const rp_principal_t *principal)
{
    int64_t wait = principal->paid + principal->pause - RP_ACL_BURST_NS - self->now * 1000;
    return rp_actions_format (self->actions,
      "\"%s\" may send %llu requests a second (quota rate); try again in %llu ms", principal->name,
      (unsigned long long) principal->quota.rate, (unsigned long long) (wait + 999999) / 1000000);
}

const char *rp_acl_refuse_request (
  rp_dispatch_t *self, const rp_session_t *client, size_t bytes, rp_status_t *status)
{
    rp_principal_t *principal = client->principal;
    const rp_quota_t *quota = &principal->quota;
    s_count_over (self, principal);
    *status = RP_BUSY;
    if (principal->open >= quota->open)
        return rp_actions_format (self->actions,
          "\"%s\" has %llu requests open (quota open = %llu); try again when one has ended",
          principal->name, (unsigned long long) principal->open, (unsigned long long) quota->open);
    if (principal->open_bytes + bytes > quota->open_bytes)
        return s_over_bytes (self, principal, bytes, status);
    return s_over_rate (self, principal);
}

/*  ---- Change -------------------------------------------------------------------------------- */

void rp_acl_change (rp_dispatch_t *self, const rp_rules_t *rules)
{
    self->rules = rules;
    self->weighed = rules && rp_rules_has_weight (rules);
    memset (self->denials, 0, sizeof self->denials);
    s_forget_unused (self);
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->principals); slot++) {
        rp_principal_t *principal = rp_pool_at (&self->principals, slot);
        if (!(principal->pooled.generation & 1))
            continue;
        principal->open = principal->open_bytes = 0;
        s_set_quota (self, principal);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->sessions); slot++) {
        rp_session_t *session = rp_pool_at (&self->sessions, slot);
        if (session->pooled.generation & 1)
            s_set_ruled (self, session);
    }
}
