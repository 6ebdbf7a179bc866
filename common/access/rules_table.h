/*  The table behind common/access/rules.h, for rules.c and its reader rules_read.c only.

    SPDX-License-Identifier: MPL-2.0

    A set is what the lines below one "role = NAME", "principal = NAME" or "client = NAME" say. The patterns of all
    sets are in one hash table, under set, rule and text. A decision hashes the name, and each
    prefix of it that ends with a dot, and looks for them in the principal's sets. A prefix has its
    text without the "*"; "*" itself is the prefix "", and so is a rule that has no pattern.

    Ownership: the rules own all of it. Thread-safety: as rules.h.
*/

#ifndef RP_RULES_TABLE_H
#define RP_RULES_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/access/rules.h"
#include "common/base/table.h"

typedef struct rp_rule_set rp_rule_set_t;
typedef struct rp_rule_line rp_rule_line_t;

struct rp_rule_line {
    rp_rule_line_t *next; /* of the set */
    const rp_rule_set_t *set;
    rp_rule_t rule;
    bool is_prefix;
    size_t line;
    size_t size;
    char text[]; /* NUL-terminated */
};

/*  A role of a principal, and the line that gives it; 0: a certificate did.  */
typedef struct {
    const rp_rule_set_t *role;
    size_t line;
} rp_role_use_t;

typedef enum { RP_SET_PRINCIPAL, RP_SET_ROLE, RP_SET_CLIENT } rp_set_kind_t;

struct rp_rule_set {
    rp_rule_set_t *next; /* of the rules */
    rp_set_kind_t kind;
    uint32_t number; /* no two sets have the same */
    size_t line;     /* 0: not from the file */
    rp_quota_t quota;
    rp_rule_line_t *lines;
    rp_role_use_t *uses; /* of a principal */
    size_t use_count;
    char name[];
};

struct rp_rules {
    rp_rule_set_t *sets;
    rp_table_t named; /* sets by kind and name */
    rp_table_t lines; /* of all sets */
    size_t longest;   /* size of the longest prefix */
    uint32_t set_count;
    bool has_clients;
};

/*  Finds a set. NULL if there is none.  */
rp_rule_set_t *rp_rules_find_set (const rp_rules_t *self, rp_set_kind_t kind, const char *name);

/*  Adds a set that is not there yet. NULL when out of memory.  */
rp_rule_set_t *rp_rules_add_set (
  rp_rules_t *self, rp_set_kind_t kind, const char *name, size_t line);

/*  Finds the role among the roles of a principal. NULL if it is not there.  */
const rp_role_use_t *rp_rules_find_use (const rp_rule_set_t *principal, const rp_rule_set_t *role);

/*  Gives a principal a role that it does not have. False when out of memory.  */
bool rp_rules_add_use (rp_rule_set_t *principal, const rp_rule_set_t *role, size_t line);

/*  Finds the line of a set that has exactly this pattern. NULL if there is none.  */
const rp_rule_line_t *rp_rules_find_line (const rp_rules_t *self,
  const rp_rule_set_t *set,
  rp_rule_t rule,
  bool is_prefix,
  const char *text,
  size_t size);

/*  Adds a line to a set. False when out of memory.  */
bool rp_rules_add_line (rp_rules_t *self,
  rp_rule_set_t *set,
  rp_rule_t rule,
  bool is_prefix,
  const char *text,
  size_t size,
  size_t line);

#endif
