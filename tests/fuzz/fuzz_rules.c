/*  Fuzzes the rules: any text gives rules, or mistakes with their places. Rules that were read
    decide for any principal, and the decision agrees with its explanation and with a plain reading
    of the text.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/access/rules.h"
#include "common/base/check.h"
#include "common/base/zpl.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_WORDS_MAX 24u

/*  Texts to use as principals, roles and services: values of the file, whole and changed.  */
typedef struct {
    char items[S_WORDS_MAX][RP_ZPL_VALUE_MAX + 4];
    size_t count;
} s_words_t;

static void s_count (const char *message, void *arg)
{
    size_t *count = arg;
    size_t line = 0;
    size_t column = 0;
    int used = 0;
    RP_CHECK (sscanf (message, "%zu:%zu: %n", &line, &column, &used) == 2);
    RP_CHECK (line > 0 && column > 0 && used > 0 && message[used] != '\0');
    RP_CHECK (!strchr (message, '\n'));
    ++*count;
}

static void s_add (s_words_t *self, const char *text, const char *tail)
{
    if (self->count < S_WORDS_MAX)
        snprintf (self->items[self->count++], sizeof self->items[0], "%s%s", text, tail);
}

static void s_take_word (const rp_zpl_item_t *item, void *arg)
{
    if (!item->value)
        return;
    char text[RP_ZPL_VALUE_MAX + 1];
    snprintf (text, sizeof text, "%s", item->value);
    size_t size = strlen (text);
    if (size > 0 && text[size - 1] == '*')
        text[--size] = '\0';
    s_add (arg, text, "");
    if (size > 0 && text[size - 1] == '.')
        s_add (arg, text, "x.y");
}

static void s_skip (rp_zpl_place_t place, const char *message, void *arg)
{
    (void) place;
    (void) message;
    (void) arg;
}

/*  ---- A plain reading: every line of the file is held against one question ------------------- */

typedef struct {
    const char *principal;
    const char *rule;
    const char *name; /* NULL: the rule has no pattern */
    const char *role; /* the role whose lines count; NULL: the principal's own lines */
    const char *text;
    size_t size;
    bool is_inside; /* the current line belongs to that role or principal */
    bool allowed;
} s_question_t;

static bool s_matches (const char *pattern, const char *name)
{
    size_t size = strlen (pattern);
    if (strcmp (pattern, "*") == 0)
        return *name != '\0';
    if (pattern[size - 1] != '*')
        return strcmp (pattern, name) == 0;
    return strlen (name) > size - 1 && strncmp (pattern, name, size - 1) == 0;
}

static void s_hold (const rp_zpl_item_t *item, void *arg)
{
    s_question_t *self = arg;
    const char *word = strchr (item->path, '/');
    if (!word) {
        const char *kind = self->role ? "role" : "principal";
        const char *name = self->role ? self->role : self->principal;
        self->is_inside = strcmp (item->path, kind) == 0 && strcmp (item->value, name) == 0;
    }
    else if (self->is_inside && strcmp (word + 1, self->rule) == 0)
        self->allowed |= !self->name || s_matches (item->value, self->name);
    else if (self->is_inside && !self->role && strcmp (word + 1, "role") == 0) {
        s_question_t inner = *self;
        inner.role = item->value;
        inner.is_inside = false;
        rp_zpl_read_named (self->text, self->size, s_hold, s_skip, &inner);
        self->allowed |= inner.allowed;
    }
}

static bool s_is_reserved (const char *name)
{
    return strncmp (name, "riposte.", 8) == 0 || strncmp (name, "mmi.", 4) == 0;
}

static bool s_expect (
  const char *text, size_t size, const char *principal, rp_rule_t rule, const char *name)
{
    bool has_pattern = rule == RP_RULE_CALL || rule == RP_RULE_SERVE;
    if (has_pattern && s_is_reserved (name))
        return false;
    s_question_t question = {.principal = principal,
      .rule = rp_rule_name (rule),
      .name = has_pattern ? name : NULL,
      .text = text,
      .size = size};
    rp_zpl_read_named (text, size, s_hold, s_skip, &question);
    return question.allowed;
}

/*  ---- The questions ------------------------------------------------------------------------- */

static void s_ask (
  const rp_rules_t *rules, const char *principal, rp_rule_t rule, const char *name, bool expected)
{
    // In a block of exactly this size the address sanitizer finds a read beyond the end.
    size_t size = strlen (name);
    char *copy = malloc (size + 1);
    RP_CHECK (copy);
    memcpy (copy, name, size);
    copy = realloc (copy, size > 0 ? size : 1);
    RP_CHECK (copy);
    char text[256];
    RP_CHECK (rp_rules_allow (rules, principal, rule, copy, size) == expected);
    RP_CHECK (rp_rules_explain (rules, principal, rule, copy, size, text, sizeof text) == expected);
    RP_CHECK ((strncmp (text, "line ", 5) == 0) == expected);
    RP_CHECK (!expected || rp_rules_has_principal (rules, principal));
    free (copy);
}

static void s_check_quota (rp_quota_t quota)
{
    RP_CHECK (quota.sessions <= RP_QUOTA_MAX && quota.open <= RP_QUOTA_MAX);
    RP_CHECK (quota.rate <= RP_QUOTA_MAX && quota.open_bytes <= RP_QUOTA_BYTES_MAX);
    RP_CHECK (quota.weight <= RP_WEIGHT_MAX);
}

static void s_try (rp_rules_t *rules, const char *text, size_t size)
{
    static s_words_t words; // too large for the stack
    words.count = 0;
    s_add (&words, "", "");
    s_add (&words, "x", "");
    s_add (&words, "riposte.status", "");
    s_add (&words, RP_PRINCIPAL_ANONYMOUS, "");
    rp_zpl_read_named (text, size, s_take_word, s_skip, &words);
    for (size_t who = 0; who < words.count; who++) {
        const char *principal = words.items[who];
        for (rp_rule_t rule = 0; rule < RP_RULE_COUNT; rule++)
            for (size_t what = 0; what < words.count; what++) {
                const char *name = words.items[what];
                s_ask (rules, principal, rule, name, s_expect (text, size, principal, rule, name));
            }
        s_check_quota (rp_rules_quota (rules, principal));
    }
    // A further role never takes a permission away.
    for (size_t who = 0; who < words.count; who++) {
        const char *name = words.items[words.count - 1];
        size_t name_size = strlen (name);
        bool before = rp_rules_allow (rules, words.items[who], RP_RULE_CALL, name, name_size);
        for (size_t role = 0; role < words.count; role++)
            RP_CHECK (rp_rules_grant (rules, words.items[who], words.items[role]));
        RP_CHECK (rp_rules_has_principal (rules, words.items[who]));
        RP_CHECK (
          !before || rp_rules_allow (rules, words.items[who], RP_RULE_CALL, name, name_size));
        s_check_quota (rp_rules_quota (rules, words.items[who]));
    }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    size_t mistakes = 0;
    rp_rules_t *rules = rp_rules_read ((const char *) data, size, s_count, &mistakes);
    RP_CHECK (!rules == (mistakes > 0));
    if (rules)
        s_try (rules, (const char *) data, size);
    rp_rules_destroy (&rules);
    return 0;
}
