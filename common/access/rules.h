/*  Rules: who may do what.

    SPDX-License-Identifier: MPL-2.0

    Every connection belongs to a principal: the one its key was authorized for, "uid:N" over ipc,
    or "anonymous". What the rules do not allow is denied. A principal's rules are its own, and
    those of its roles; a role is a name for rules. Roles come from the rules file and from the
    certificate of a key (rp_rules_grant); a principal with several keys has the roles of all of
    them.

    The file is ZPL (common/base/zpl.h); lines repeat where there is more than one of a kind:

        role = "caller"
            call = "upper"
            call = "billing.*"
        principal = "ada"
            role = "caller"
            serve = "resize"
            open = 100

    A pattern is a literal name, a prefix whose last character but the "*" is a dot ("billing.*",
    which matches "billing.x" and "billing.x.y", not "billing." itself), or "*". Rules: call, serve
    (patterns); observe, admin (1). The broker's own names (riposte.*, mmi.*) are in no pattern, not
    even in "*". Quotas, of all sessions of a principal together: sessions, open (requests),
    open_bytes, rate (requests a second). weight (1 to 100): what the turns of each of its clients are worth. Of clients whose
    principal states none, as where there are no keys, the name may:

        client = "batch-*"
            weight = 2

    The name is what the client says of itself; with a "*" at its end, it is how the name begins.

    Thread-safety: rules that nobody changes any more may be read by any thread. Pure: no clock, no
    file.
*/

#ifndef RP_RULES_H
#define RP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Longest name of a principal or role, bytes: printable ASCII without spaces and quotes.  */
#define RP_PRINCIPAL_MAX 63u
#define RP_PRINCIPAL_ANONYMOUS "anonymous"

/*  Largest quotas: large enough for anybody, and small enough to be multiplied by microseconds.  */
#define RP_QUOTA_MAX UINT64_C (1000000000)
#define RP_QUOTA_BYTES_MAX (UINT64_C (1) << 50)
#define RP_WEIGHT_MAX UINT64_C (100)

/*  name, whether it has a pattern, what it allows  */
#define RP_RULE_MAP(X)                                                                             \
    X (CALL, "call", true, "send requests to a service")                                           \
    X (SERVE, "serve", true, "be a worker of a service")                                           \
    X (OBSERVE, "observe", false, "see services, workers and the broker's state")                  \
    X (ADMIN, "admin", false, "change the broker's state: reload")

typedef enum {
#define RP_RULE_ENUM(name, text, pattern, why) RP_RULE_##name,
    RP_RULE_MAP (RP_RULE_ENUM)
#undef RP_RULE_ENUM
      RP_RULE_COUNT
} rp_rule_t;

/*  0: no limit of the principal's own.  */
typedef struct {
    uint64_t sessions;
    uint64_t open;       /* requests */
    uint64_t open_bytes; /* bodies and headers of open requests */
    uint64_t rate;       /* requests a second; a burst of one second is allowed */
    uint64_t weight;     /* of its clients' turns; 0: not stated, which is 1 */
} rp_quota_t;

typedef struct rp_rules rp_rules_t;

/*  message: "LINE:COLUMN: what is wrong"; valid during the call.  */
typedef void (rp_rules_error_fn) (const char *message, void *arg);

/*  Makes rules without any principal: everything is denied. NULL when out of memory.  */
rp_rules_t *rp_rules_new (void);

/*  Reads the text of a rules file. NULL if anything is wrong: error was called for each mistake,
    or once when out of memory.  */
rp_rules_t *rp_rules_read (const char *text, size_t size, rp_rules_error_fn *error, void *arg);

/*  Frees rules. Nulls *self_p; NULL is allowed.  */
void rp_rules_destroy (rp_rules_t **self_p);

/*  Gives a principal, which is made if there is none, a role. A role that the rules do not name
    allows nothing, and rp_rules_has_role tells. False when out of memory.  */
bool rp_rules_grant (rp_rules_t *self, const char *principal, const char *role);

bool rp_rules_has_role (const rp_rules_t *self, const char *role);
bool rp_rules_has_principal (const rp_rules_t *self, const char *principal);

/*  True if a rule allows the principal this. name: the service, not NUL-terminated; NULL and 0 for
    rules without a pattern.  */
bool rp_rules_allow (
  const rp_rules_t *self, const char *principal, rp_rule_t rule, const char *name, size_t size);

/*  As rp_rules_allow, and writes which line decides: `line 3: role "caller": call = "billing.*"`,
    or that no rule allows it. Cut to size, NUL-terminated.  */
bool rp_rules_explain (const rp_rules_t *self,
  const char *principal,
  rp_rule_t rule,
  const char *name,
  size_t size,
  char *text,
  size_t text_size);

/*  Returns a principal's quota; of its own and its roles' limits, the smallest of each. Its weight is its own, or
    without one the largest of its roles.  */
rp_quota_t rp_rules_quota (const rp_rules_t *self, const char *principal);

/*  Returns the weight of a principal's client of this name: the principal's; without one that of the name, if it has a
    section, or else of its longest beginning that has one; otherwise 1.  */
uint8_t rp_rules_weight (const rp_rules_t *self, const char *principal, const char *client);

/*  As rp_rules_weight, and writes which section states it: `line 3: client "batch-*"`, or that none does. Cut to size,
    NUL-terminated.  */
uint8_t rp_rules_explain_weight (
  const rp_rules_t *self, const char *principal, const char *client, char *text, size_t text_size);

/*  True if a line states a weight.  */
bool rp_rules_has_weight (const rp_rules_t *self);

typedef struct {
    size_t principals;
    size_t roles;
    size_t rules; /* lines of call, serve, observe and admin */
} rp_rules_counts_t;

rp_rules_counts_t rp_rules_count (const rp_rules_t *self);

/*  Returns the rule's word ("call").  */
const char *rp_rule_name (rp_rule_t rule);

/*  Finds a rule by its word. False if there is none.  */
bool rp_rule_find (const char *word, rp_rule_t *rule);

/*  True if the rule has a pattern: it is about services.  */
bool rp_rule_has_pattern (rp_rule_t rule);

/*  A name of a principal or a role is 1 to RP_PRINCIPAL_MAX printable characters of ASCII without
    spaces, quotes and "#".  */
bool rp_principal_is_valid (const char *name, size_t size);

/*  True for the names of those who have no key: "anonymous", and "uid:N".  */
bool rp_principal_is_keyless (const char *name);

#endif
