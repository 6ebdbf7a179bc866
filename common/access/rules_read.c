/*  The reader of rules files. It reads the text twice: first to find the roles, so that a principal
    may stand above its roles; then everything, so that mistakes come in the order of their lines.

    SPDX-License-Identifier: MPL-2.0
*/

#include "common/access/rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/access/rules_table.h"
#include "common/base/units.h"
#include "common/base/zpl.h"
#include "common/wire/head.h"
#include "common/wire/name.h"

#define S_MESSAGE_MAX 512u

#define S_NAME_FORM "1 to 63 printable characters without spaces, quotes and #"

static const struct {
    const char *word;
    size_t offset;
    bool (*parse) (const char *text, uint64_t *value, const char **reason);
    uint64_t largest;
} s_quotas[] = {
  {"sessions", offsetof (rp_quota_t, sessions), rp_count_parse, RP_QUOTA_MAX},
  {"open", offsetof (rp_quota_t, open), rp_count_parse, RP_QUOTA_MAX},
  {"open_bytes", offsetof (rp_quota_t, open_bytes), rp_size_parse, RP_QUOTA_BYTES_MAX},
  {"rate", offsetof (rp_quota_t, rate), rp_count_parse, RP_QUOTA_MAX},
  {"weight", offsetof (rp_quota_t, weight), rp_count_parse, RP_WEIGHT_MAX},
};
#define S_QUOTAS (sizeof s_quotas / sizeof *s_quotas)

typedef struct {
    rp_rules_t *rules;
    rp_rules_error_fn *error;
    void *arg;
    rp_rule_set_t *set;           /* of the section that is being read; NULL: it is skipped */
    size_t quota_lines[S_QUOTAS]; /* of that section */
    bool is_wrong;
    bool is_out_of_memory; /* which was reported; the rest is skipped */
} s_reader_t;

static void __attribute__ ((format (printf, 3, 4)))
s_complain (s_reader_t *self, rp_zpl_place_t place, const char *format, ...)
{
    char message[S_MESSAGE_MAX];
    size_t used =
      (size_t) snprintf (message, sizeof message, "%zu:%zu: ", place.line, place.column);
    va_list list;
    va_start (list, format);
    vsnprintf (message + used, sizeof message - used, format, list);
    va_end (list);
    self->is_wrong = true;
    self->error (message, self->arg);
}

static void s_complain_memory (s_reader_t *self, rp_zpl_place_t place)
{
    s_complain (self, place, "does not fit into memory");
    self->is_out_of_memory = true;
}

static void s_take_error (rp_zpl_place_t place, const char *message, void *arg)
{
    s_reader_t *self = arg;
    if (!self->is_out_of_memory)
        s_complain (self, place, "%s", message);
}

static void s_skip_error (rp_zpl_place_t place, const char *message, void *arg)
{
    (void) place;
    (void) message;
    (void) arg;
}

/*  ---- Sections ------------------------------------------------------------------------------ */

/*  Finds the index of a quota's word; S_QUOTAS if it is none.  */
static size_t s_find_quota (const char *word)
{
    size_t index = 0;
    while (index < S_QUOTAS && strcmp (word, s_quotas[index].word) != 0)
        index++;
    return index;
}

/*  Adds the roles only.  */
static void s_take_role_name (const rp_zpl_item_t *item, void *arg)
{
    s_reader_t *self = arg;
    if (self->is_out_of_memory || strcmp (item->path, "role") != 0 || !item->value
        || !rp_principal_is_valid (item->value, strlen (item->value))
        || rp_rules_find_set (self->rules, RP_SET_ROLE, item->value))
        return;
    if (!rp_rules_add_set (self->rules, RP_SET_ROLE, item->value, item->name_at.line))
        s_complain_memory (self, item->value_at);
}

static void s_complain_section (s_reader_t *self, const rp_zpl_item_t *item)
{
    rp_rule_t rule;
    if (rp_rule_find (item->path, &rule) || s_find_quota (item->path) < S_QUOTAS)
        s_complain (self, item->name_at,
          "%s belongs to a role or principal: below its line, indented by four spaces", item->path);
    else
        s_complain (self, item->name_at,
          "unknown word \"%s\"; wants role = \"NAME\", principal = \"NAME\" or client = \"NAME\"",
          item->path);
}

static bool s_find_kind (const char *word, rp_set_kind_t *kind)
{
    static const char *const words[] = {"principal", "role", "client"};
    for (*kind = RP_SET_PRINCIPAL; *kind <= RP_SET_CLIENT; ++*kind)
        if (strcmp (word, words[*kind]) == 0)
            return true;
    return false;
}

/*  True if a section may have this name. A "*" ends that of a client, where it is a beginning.  */
static bool s_name_is_valid (rp_set_kind_t kind, const char *name)
{
    const char *star = kind == RP_SET_CLIENT && name ? strchr (name, '*') : NULL;
    return name && rp_principal_is_valid (name, strlen (name)) && (!star || !star[1]);
}

/*  Begins a section. A wrong one gets a set of no name, so that its lines are checked too.  */
static void s_take_section (s_reader_t *self, const rp_zpl_item_t *item)
{
    rp_set_kind_t kind;
    self->set = NULL;
    memset (self->quota_lines, 0, sizeof self->quota_lines);
    if (!s_find_kind (item->path, &kind)) {
        s_complain_section (self, item);
        return;
    }
    bool is_valid = s_name_is_valid (kind, item->value);
    rp_rule_set_t *set = is_valid ? rp_rules_find_set (self->rules, kind, item->value) : NULL;
    size_t line = item->name_at.line;
    if (!is_valid)
        s_complain (self, item->value_at, "%s wants a name: " S_NAME_FORM "%s", item->path,
          kind == RP_SET_CLIENT ? ", with a \"*\" only at its end" : "");
    else if (set && set->line != line)
        s_complain (self, item->value_at, "%s \"%s\" was there before, in line %zu", item->path,
          item->value, set->line);
    if (set && set->line == line)
        self->set = set; // a role, which the first reading added
    else
        self->set = rp_rules_add_set (self->rules, kind, is_valid && !set ? item->value : "", line);
    if (!self->set)
        s_complain_memory (self, item->value_at);
}

/*  ---- Lines of a section -------------------------------------------------------------------- */

/*  Reports what is wrong with a pattern. Returns true if nothing is.  */
static bool s_check_pattern (s_reader_t *self, const rp_zpl_item_t *item, const char *word)
{
    const char *text = item->value;
    size_t size = strlen (text);
    const char *star = strchr (text, '*');
    bool is_any = strcmp (text, "*") == 0;
    bool is_prefix = size > 2 && star == text + size - 1 && star[-1] == '.';
    if (star && !is_any && !is_prefix)
        s_complain (self, item->value_at,
          "%s wants a \"*\" alone or behind the last dot of a name, as in \"billing.*\", not "
          "\"%s\"",
          word, text);
    else if (!is_any && !rp_name_is_valid (text, size))
        s_complain (self, item->value_at,
          "%s wants the name of a service (1 to %u bytes), a prefix such as \"billing.*\", or "
          "\"*\"",
          word, (unsigned) RP_WIRE_NAME_MAX);
    else if (rp_name_is_reserved (text, size))
        s_complain (self, item->value_at,
          "%s cannot have \"%s\": names that begin with riposte. or mmi. belong to the broker; "
          "see observe and admin",
          word, text);
    else
        return true;
    return false;
}

static void s_take_rule (s_reader_t *self, const rp_zpl_item_t *item, rp_rule_t rule)
{
    const char *word = rp_rule_name (rule);
    const char *text = item->value;
    if (!rp_rule_has_pattern (rule) && strcmp (text, "1") != 0) {
        s_complain (self, item->value_at, "%s wants 1, not \"%s\"; without the line it is denied",
          word, text);
        return;
    }
    if (rp_rule_has_pattern (rule) && !s_check_pattern (self, item, word))
        return;
    size_t size = strlen (text);
    bool is_prefix = !rp_rule_has_pattern (rule) || text[size - 1] == '*';
    if (is_prefix)
        size--;
    const rp_rule_line_t *before =
      rp_rules_find_line (self->rules, self->set, rule, is_prefix, text, size);
    if (before)
        s_complain (self, item->value_at, "%s = \"%s\" was there before, in line %zu", word, text,
          before->line);
    else if (!rp_rules_add_line (
               self->rules, self->set, rule, is_prefix, text, size, item->name_at.line))
        s_complain_memory (self, item->value_at);
}

static void s_take_quota (s_reader_t *self, const rp_zpl_item_t *item, size_t index)
{
    const char *word = s_quotas[index].word;
    const char *reason;
    uint64_t value = 0;
    if (!s_quotas[index].parse (item->value, &value, &reason))
        s_complain (self, item->value_at, "%s %s, not \"%s\"", word, reason, item->value);
    else if (value == 0)
        s_complain (self, item->value_at, "%s wants at least 1; without the line %s", word,
          s_quotas[index].offset == offsetof (rp_quota_t, weight) ? "it is 1"
                                                                  : "there is no limit");
    else if (value > s_quotas[index].largest)
        s_complain (
          self, item->value_at, "%s wants at most %" PRIu64, word, s_quotas[index].largest);
    else if (self->quota_lines[index])
        s_complain (
          self, item->name_at, "%s was there before, in line %zu", word, self->quota_lines[index]);
    else {
        self->quota_lines[index] = item->name_at.line;
        memcpy ((char *) &self->set->quota + s_quotas[index].offset, &value, sizeof value);
    }
}

static void s_take_role (s_reader_t *self, const rp_zpl_item_t *item)
{
    if (self->set->kind == RP_SET_ROLE) {
        s_complain (self, item->name_at, "a role has no roles; give both to the principal");
        return;
    }
    const rp_rule_set_t *role = rp_rules_find_set (self->rules, RP_SET_ROLE, item->value);
    const rp_role_use_t *before = role ? rp_rules_find_use (self->set, role) : NULL;
    if (!role)
        s_complain (self, item->value_at, "role \"%s\" is not defined in this file", item->value);
    else if (before)
        s_complain (self, item->value_at, "role \"%s\" was there before, in line %zu", item->value,
          before->line);
    else if (!rp_rules_add_use (self->set, role, item->name_at.line))
        s_complain_memory (self, item->value_at);
}

static void s_take_line (s_reader_t *self, const rp_zpl_item_t *item, const char *word)
{
    rp_rule_t rule;
    size_t quota = s_find_quota (word);
    bool is_rule = rp_rule_find (word, &rule);
    bool is_role = strcmp (word, "role") == 0;
    if (strchr (word, '/'))
        s_complain (self, item->name_at, "nothing may be inside this line");
    else if (!is_rule && !is_role && quota == S_QUOTAS)
        s_complain (self, item->name_at,
          "unknown word \"%s\"; wants role, call, serve, observe, admin, sessions, open, "
          "open_bytes, rate "
          "or weight",
          word);
    else if (!item->value)
        s_complain (self, item->name_at, "%s wants a value", word);
    else if (self->set->kind == RP_SET_CLIENT && strcmp (word, "weight") != 0)
        s_complain (
          self, item->name_at, "a client has a weight only; give %s to its principal", word);
    else if (is_rule)
        s_take_rule (self, item, rule);
    else if (is_role)
        s_take_role (self, item);
    else
        s_take_quota (self, item, quota);
}

static void s_take_item (const rp_zpl_item_t *item, void *arg)
{
    s_reader_t *self = arg;
    const char *slash = strchr (item->path, '/');
    if (self->is_out_of_memory)
        return;
    if (!slash)
        s_take_section (self, item);
    else if (self->set)
        s_take_line (self, item, slash + 1);
}

rp_rules_t *rp_rules_read (const char *text, size_t size, rp_rules_error_fn *error, void *arg)
{
    s_reader_t self = {.rules = rp_rules_new (), .error = error, .arg = arg};
    if (!self.rules) {
        s_complain_memory (&self, (rp_zpl_place_t){1, 1});
        return NULL;
    }
    rp_zpl_read_named (text, size, s_take_role_name, s_skip_error, &self);
    rp_zpl_read_named (text, size, s_take_item, s_take_error, &self);
    if (self.is_wrong)
        rp_rules_destroy (&self.rules);
    return self.rules;
}
