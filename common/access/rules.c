/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/access/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/access/rules_table.h"
#include "common/wire/name.h"

/*  No peer chooses what is in the tables, so the seed need not be secret.  */
#define S_SEED UINT64_C (0x9ddfea08eb382d69)

/*  ---- Words --------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    bool has_pattern;
} s_rules[] = {
#define S_RULE(name, text, pattern, why) [RP_RULE_##name] = {text, pattern},
  RP_RULE_MAP (S_RULE)
#undef S_RULE
};

const char *rp_rule_name (rp_rule_t rule)
{
    return rule < RP_RULE_COUNT ? s_rules[rule].word : "?";
}

bool rp_rule_has_pattern (rp_rule_t rule)
{
    return rule < RP_RULE_COUNT && s_rules[rule].has_pattern;
}

bool rp_rule_find (const char *word, rp_rule_t *rule)
{
    for (rp_rule_t index = 0; index < RP_RULE_COUNT; index++)
        if (strcmp (word, s_rules[index].word) == 0) {
            *rule = index;
            return true;
        }
    return false;
}

bool rp_principal_is_valid (const char *name, size_t size)
{
    if (size == 0 || size > RP_PRINCIPAL_MAX)
        return false;
    for (size_t index = 0; index < size; index++)
        if (name[index] <= ' ' || name[index] > '~' || strchr ("\"'#", name[index]))
            return false;
    return true;
}

bool rp_principal_is_keyless (const char *name)
{
    return strcmp (name, RP_PRINCIPAL_ANONYMOUS) == 0 || strncmp (name, "uid:", 4) == 0;
}

/*  ---- The table ----------------------------------------------------------------------------- */

rp_rules_t *rp_rules_new (void)
{
    return calloc (1, sizeof (rp_rules_t));
}

static void s_free_set (rp_rule_set_t *set)
{
    while (set->lines) {
        rp_rule_line_t *next = set->lines->next;
        free (set->lines);
        set->lines = next;
    }
    free (set->uses);
    free (set);
}

void rp_rules_destroy (rp_rules_t **self_p)
{
    rp_rules_t *self = *self_p;
    if (!self)
        return;
    while (self->sets) {
        rp_rule_set_t *next = self->sets->next;
        s_free_set (self->sets);
        self->sets = next;
    }
    rp_table_clear (&self->named);
    rp_table_clear (&self->lines);
    free (self);
    *self_p = NULL;
}

static uint64_t s_hash_set (rp_set_kind_t kind, const char *name)
{
    return rp_hash_bytes (name, strlen (name), S_SEED + kind);
}

rp_rule_set_t *rp_rules_find_set (const rp_rules_t *self, rp_set_kind_t kind, const char *name)
{
    uint64_t hash = s_hash_set (kind, name);
    rp_table_cursor_t cursor;
    rp_rule_set_t *set = rp_table_first (&self->named, hash, &cursor);
    while (set && (set->kind != kind || strcmp (set->name, name) != 0))
        set = rp_table_next (&self->named, hash, &cursor);
    return set;
}

rp_rule_set_t *rp_rules_add_set (
  rp_rules_t *self, rp_set_kind_t kind, const char *name, size_t line)
{
    size_t size = strlen (name) + 1;
    rp_rule_set_t *set = calloc (1, sizeof *set + size);
    if (!set || !rp_table_insert (&self->named, s_hash_set (kind, name), set)) {
        free (set);
        return NULL;
    }
    memcpy (set->name, name, size);
    set->kind = kind;
    self->has_clients |= kind == RP_SET_CLIENT;
    set->line = line;
    set->number = self->set_count++;
    set->next = self->sets;
    self->sets = set;
    return set;
}

const rp_role_use_t *rp_rules_find_use (const rp_rule_set_t *principal, const rp_rule_set_t *role)
{
    for (size_t index = 0; index < principal->use_count; index++)
        if (principal->uses[index].role == role)
            return &principal->uses[index];
    return NULL;
}

bool rp_rules_add_use (rp_rule_set_t *principal, const rp_rule_set_t *role, size_t line)
{
    // One by one: most principals have few roles, and there may be many principals.
    rp_role_use_t *uses = realloc (principal->uses, (principal->use_count + 1) * sizeof *uses);
    if (!uses)
        return false;
    uses[principal->use_count++] = (rp_role_use_t){role, line};
    principal->uses = uses;
    return true;
}

/*  Returns the hash of a line, made from the hash of its pattern's text.  */
static uint64_t s_hash_line (
  uint64_t text_hash, const rp_rule_set_t *set, rp_rule_t rule, bool is_prefix)
{
    uint64_t kind = (uint64_t) rule << 1 | is_prefix;
    return rp_hash_pair (text_hash, (uint64_t) set->number << 8 | kind, S_SEED);
}

static const rp_rule_line_t *s_find_line (const rp_rules_t *self,
  const rp_rule_set_t *set,
  rp_rule_t rule,
  bool is_prefix,
  const char *text,
  size_t size,
  uint64_t text_hash)
{
    uint64_t hash = s_hash_line (text_hash, set, rule, is_prefix);
    rp_table_cursor_t cursor;
    const rp_rule_line_t *line = rp_table_first (&self->lines, hash, &cursor);
    while (line
           && (line->set != set || line->rule != rule || line->is_prefix != is_prefix
               || line->size != size || memcmp (line->text, text, size) != 0))
        line = rp_table_next (&self->lines, hash, &cursor);
    return line;
}

const rp_rule_line_t *rp_rules_find_line (const rp_rules_t *self,
  const rp_rule_set_t *set,
  rp_rule_t rule,
  bool is_prefix,
  const char *text,
  size_t size)
{
    uint64_t hash = rp_hash_bytes (text, size, S_SEED);
    return s_find_line (self, set, rule, is_prefix, text, size, hash);
}

bool rp_rules_add_line (rp_rules_t *self,
  rp_rule_set_t *set,
  rp_rule_t rule,
  bool is_prefix,
  const char *text,
  size_t size,
  size_t number)
{
    rp_rule_line_t *line = calloc (1, sizeof *line + size + 1);
    uint64_t hash = s_hash_line (rp_hash_bytes (text, size, S_SEED), set, rule, is_prefix);
    if (!line || !rp_table_insert (&self->lines, hash, line)) {
        free (line);
        return false;
    }
    memcpy (line->text, text, size);
    line->size = size;
    line->rule = rule;
    line->is_prefix = is_prefix;
    line->line = number;
    line->set = set;
    line->next = set->lines;
    set->lines = line;
    if (is_prefix && size > self->longest)
        self->longest = size;
    return true;
}

bool rp_rules_has_role (const rp_rules_t *self, const char *role)
{
    return rp_rules_find_set (self, RP_SET_ROLE, role) != NULL;
}

bool rp_rules_has_principal (const rp_rules_t *self, const char *principal)
{
    return rp_rules_find_set (self, RP_SET_PRINCIPAL, principal) != NULL;
}

bool rp_rules_grant (rp_rules_t *self, const char *principal, const char *role)
{
    rp_rule_set_t *set = rp_rules_find_set (self, RP_SET_PRINCIPAL, principal);
    if (!set)
        set = rp_rules_add_set (self, RP_SET_PRINCIPAL, principal, 0);
    if (!set)
        return false;
    const rp_rule_set_t *granted = rp_rules_find_set (self, RP_SET_ROLE, role);
    return !granted || rp_rules_find_use (set, granted) || rp_rules_add_use (set, granted, 0);
}

/*  ---- Decisions ----------------------------------------------------------------------------- */

/*  Finds the line with this pattern among those of a principal and of its roles.  */
static const rp_rule_line_t *s_find_pattern (const rp_rules_t *self,
  const rp_rule_set_t *principal,
  rp_rule_t rule,
  bool is_prefix,
  const char *text,
  size_t size)
{
    uint64_t hash = rp_hash_bytes (text, size, S_SEED);
    const rp_rule_line_t *line = s_find_line (self, principal, rule, is_prefix, text, size, hash);
    for (size_t index = 0; !line && index < principal->use_count; index++)
        line = s_find_line (self, principal->uses[index].role, rule, is_prefix, text, size, hash);
    return line;
}

/*  Finds the line that allows this; of several, the one with the longest pattern.  */
static const rp_rule_line_t *s_decide (const rp_rules_t *self,
  const rp_rule_set_t *principal,
  rp_rule_t rule,
  const char *name,
  size_t size)
{
    const rp_rule_line_t *line = NULL;
    if (rp_rule_has_pattern (rule)) {
        if (size == 0 || rp_name_is_reserved (name, size))
            return NULL;
        line = s_find_pattern (self, principal, rule, false, name, size);
        size_t prefix = self->longest < size - 1 ? self->longest : size - 1;
        for (; !line && prefix > 0; prefix--)
            if (name[prefix - 1] == '.')
                line = s_find_pattern (self, principal, rule, true, name, prefix);
    }
    return line ? line : s_find_pattern (self, principal, rule, true, "", 0);
}

bool rp_rules_allow (
  const rp_rules_t *self, const char *principal, rp_rule_t rule, const char *name, size_t size)
{
    const rp_rule_set_t *set = rp_rules_find_set (self, RP_SET_PRINCIPAL, principal);
    return set && s_decide (self, set, rule, name, size);
}

/*  Writes why nothing allows this.  */
static void s_explain_denial (const rp_rule_set_t *set,
  const char *principal,
  rp_rule_t rule,
  const char *name,
  size_t size,
  char *text,
  size_t text_size)
{
    bool has_pattern = rp_rule_has_pattern (rule);
    if (has_pattern && size > 0 && rp_name_is_reserved (name, size))
        snprintf (text, text_size,
          "no %s rule is about \"%.*s\": names that begin with riposte. or mmi. belong to the "
          "broker; "
          "see observe and admin",
          rp_rule_name (rule), (int) size, name);
    else if (!set)
        snprintf (text, text_size, "there are no rules for principal \"%s\"", principal);
    else
        snprintf (text, text_size,
          "no rule of principal \"%s\" or of its roles allows it; add: %s%s%.*s%s", principal,
          rp_rule_name (rule), has_pattern ? " = \"" : " = 1", has_pattern ? (int) size : 0,
          has_pattern ? name : "", has_pattern ? "\"" : "");
}

bool rp_rules_explain (const rp_rules_t *self,
  const char *principal,
  rp_rule_t rule,
  const char *name,
  size_t size,
  char *text,
  size_t text_size)
{
    const rp_rule_set_t *set = rp_rules_find_set (self, RP_SET_PRINCIPAL, principal);
    const rp_rule_line_t *line = set ? s_decide (self, set, rule, name, size) : NULL;
    if (!line) {
        s_explain_denial (set, principal, rule, name, size, text, text_size);
        return false;
    }
    const char *kind = line->set->kind == RP_SET_ROLE ? "role" : "principal";
    if (rp_rule_has_pattern (rule))
        snprintf (text, text_size, "line %zu: %s \"%s\": %s = \"%s%s\"", line->line, kind,
          line->set->name, rp_rule_name (rule), line->text, line->is_prefix ? "*" : "");
    else
        snprintf (text, text_size, "line %zu: %s \"%s\": %s = 1", line->line, kind, line->set->name,
          rp_rule_name (rule));
    return true;
}

static uint64_t s_smaller (uint64_t one, uint64_t other)
{
    return one == 0 || (other > 0 && other < one) ? other : one;
}

rp_quota_t rp_rules_quota (const rp_rules_t *self, const char *principal)
{
    const rp_rule_set_t *set = rp_rules_find_set (self, RP_SET_PRINCIPAL, principal);
    rp_quota_t quota = set ? set->quota : (rp_quota_t){0};
    for (size_t index = 0; set && index < set->use_count; index++) {
        const rp_quota_t *other = &set->uses[index].role->quota;
        quota.sessions = s_smaller (quota.sessions, other->sessions);
        quota.open = s_smaller (quota.open, other->open);
        quota.open_bytes = s_smaller (quota.open_bytes, other->open_bytes);
        quota.rate = s_smaller (quota.rate, other->rate);
        if (set->quota.weight == 0 && other->weight > quota.weight)
            quota.weight = other->weight;
    }
    return quota;
}

/*  Finds the section of a client by its name: its own, or that of the longest beginning. NULL if there is none.  */
static const rp_rule_set_t *s_find_client (const rp_rules_t *self, const char *name)
{
    char pattern[RP_PRINCIPAL_MAX + 2];
    size_t size = strlen (name);
    const rp_rule_set_t *set = rp_rules_find_set (self, RP_SET_CLIENT, name);
    if (size > RP_PRINCIPAL_MAX)
        size = RP_PRINCIPAL_MAX;
    memcpy (pattern, name, size);
    for (size_t kept = size + 1; !set && kept-- > 0;) {
        memcpy (pattern + kept, "*", 2);
        set = rp_rules_find_set (self, RP_SET_CLIENT, pattern);
    }
    return set;
}

/*  Finds the section that states the weight of a client; NULL: none does.  */
static const rp_rule_set_t *s_find_weight (
  const rp_rules_t *self, const char *principal, const char *client)
{
    const rp_rule_set_t *set = rp_rules_find_set (self, RP_SET_PRINCIPAL, principal);
    if (set && set->quota.weight > 0)
        return set;
    const rp_rule_set_t *most = NULL;
    for (size_t index = 0; set && index < set->use_count; index++) {
        const rp_rule_set_t *role = set->uses[index].role;
        if (role->quota.weight > (most ? most->quota.weight : 0))
            most = role;
    }
    if (!most && self->has_clients)
        most = s_find_client (self, client);
    return most && most->quota.weight > 0 ? most : NULL;
}

uint8_t rp_rules_weight (const rp_rules_t *self, const char *principal, const char *client)
{
    const rp_rule_set_t *set = s_find_weight (self, principal, client);
    return set ? (uint8_t) set->quota.weight : 1;
}

uint8_t rp_rules_explain_weight (
  const rp_rules_t *self, const char *principal, const char *client, char *text, size_t text_size)
{
    static const char *const kinds[] = {
      [RP_SET_PRINCIPAL] = "principal", [RP_SET_ROLE] = "role", [RP_SET_CLIENT] = "client"};
    const rp_rule_set_t *set = s_find_weight (self, principal, client);
    if (set)
        snprintf (text, text_size, "line %zu: %s \"%s\"", set->line, kinds[set->kind], set->name);
    else
        snprintf (text, text_size, "neither principal \"%s\" nor the name \"%s\" has one",
          principal, client);
    return set ? (uint8_t) set->quota.weight : 1;
}

bool rp_rules_has_weight (const rp_rules_t *self)
{
    for (const rp_rule_set_t *set = self->sets; set; set = set->next)
        if (set->quota.weight)
            return true;
    return false;
}

rp_rules_counts_t rp_rules_count (const rp_rules_t *self)
{
    rp_rules_counts_t counts = {.rules = self->lines.count};
    for (const rp_rule_set_t *set = self->sets; set; set = set->next)
        if (set->kind != RP_SET_CLIENT)
            *(set->kind == RP_SET_ROLE ? &counts.roles : &counts.principals) += 1;
    return counts;
}
