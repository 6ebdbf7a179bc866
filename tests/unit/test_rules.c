/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/access/rules.h"

typedef struct {
    char text[8192];
    size_t used;
} s_mistakes_t;

static void s_collect (const char *message, void *arg)
{
    s_mistakes_t *self = arg;
    int size = snprintf (self->text + self->used, sizeof self->text - self->used, "%s\n", message);
    assert_true (size > 0 && (size_t) size < sizeof self->text - self->used);
    self->used += (size_t) size;
}

/*  Reads a text that has no mistake.  */
static rp_rules_t *s_read (const char *text)
{
    s_mistakes_t mistakes = {0};
    rp_rules_t *rules = rp_rules_read (text, strlen (text), s_collect, &mistakes);
    assert_string_equal (mistakes.text, "");
    assert_non_null (rules);
    return rules;
}

/*  Reads a text that has these mistakes, a line each.  */
static void s_refuses (const char *text, const char *expected)
{
    s_mistakes_t mistakes = {0};
    // In a block of exactly this size the address sanitizer finds a read beyond the end.
    size_t size = strlen (text);
    char *copy = malloc (size);
    assert_non_null (copy);
    memcpy (copy, text, size);
    assert_null (rp_rules_read (copy, size, s_collect, &mistakes));
    free (copy);
    assert_string_equal (mistakes.text, expected);
}

/*  Returns the decision, and checks that the explanation agrees.  */
static bool s_allows (
  const rp_rules_t *rules, const char *principal, rp_rule_t rule, const char *name)
{
    char text[512] = "";
    size_t size = name ? strlen (name) : 0;
    bool allowed = rp_rules_allow (rules, principal, rule, name, size);
    assert_int_equal (
      rp_rules_explain (rules, principal, rule, name, size, text, sizeof text), allowed);
    assert_int_equal (strncmp (text, "line ", 5) == 0, allowed);
    return allowed;
}

static void s_explains (const rp_rules_t *rules,
  const char *principal,
  rp_rule_t rule,
  const char *name,
  const char *expected)
{
    char text[512];
    rp_rules_explain (rules, principal, rule, name, name ? strlen (name) : 0, text, sizeof text);
    assert_string_equal (text, expected);
}

/*  ---- Patterns ------------------------------------------------------------------------------ */

static void patterns_match_whole_names_prefixes_behind_a_dot_or_everything (void **state)
{
    (void) state;
    static const struct {
        const char *pattern;
        const char *matches[8];
        const char *differs[8];
    } rows[] = {
      {"upper", {"upper"}, {"uppe", "upper2", "Upper", "upper.x", " upper", "x.upper", "*"}},
      {"billing.*", {"billing.x", "billing.x.y", "billing..", "billing. ", "billing.*"},
        {"billing.", "billing", "billin.x", "xbilling.x", "Billing.x", "a.billing.x"}},
      {"a.b.*", {"a.b.c", "a.b.c.d"}, {"a.b.", "a.b", "a.c.b", "a.x.b.c", "a.bc.d"}},
      {"billing.", {"billing."}, {"billing.x", "billing"}},
      {"*", {"upper", "a.b", ".", "*", "rip", "riposte", "mmi"},
        {"riposte.status", "riposte.", "mmi.service"}},
      {"riposte", {"riposte"}, {"riposte.status"}},
      {"two words", {"two words"}, {"two", "words"}},
      {"Größe", {"Größe"}, {"Grö"}},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (rp_rule_t rule = RP_RULE_CALL; rule <= RP_RULE_SERVE; rule++) {
            char text[128];
            snprintf (text, sizeof text, "principal = ada\n    %s = \"%s\"\n", rp_rule_name (rule),
              rows[row].pattern);
            rp_rules_t *rules = s_read (text);
            for (size_t at = 0; rows[row].matches[at]; at++) {
                assert_true (s_allows (rules, "ada", rule, rows[row].matches[at]));
                // What allows one rule says nothing about the others.
                for (rp_rule_t other = 0; other < RP_RULE_COUNT; other++)
                    assert_int_equal (
                      s_allows (rules, "ada", other, rows[row].matches[at]), other == rule);
            }
            for (size_t at = 0; rows[row].differs[at]; at++)
                assert_false (s_allows (rules, "ada", rule, rows[row].differs[at]));
            rp_rules_destroy (&rules);
        }
}

static void a_rule_without_a_pattern_is_for_itself_only (void **state)
{
    (void) state;
    for (rp_rule_t rule = RP_RULE_OBSERVE; rule < RP_RULE_COUNT; rule++) {
        char text[128];
        snprintf (text, sizeof text, "principal = ops\n    %s = 1\n", rp_rule_name (rule));
        rp_rules_t *rules = s_read (text);
        for (rp_rule_t other = 0; other < RP_RULE_COUNT; other++) {
            assert_int_equal (s_allows (rules, "ops", other, NULL), other == rule);
            assert_false (s_allows (rules, "ada", other, NULL));
            if (other != rule)
                assert_false (s_allows (rules, "ops", other, "upper"));
        }
        rp_rules_destroy (&rules);
    }
}

static void a_name_is_taken_by_its_size (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("principal = ada\n    call = upper\n    call = a.*\n");
    assert_true (rp_rules_allow (rules, "ada", RP_RULE_CALL, "upperX", 5));
    assert_false (rp_rules_allow (rules, "ada", RP_RULE_CALL, "upper\0X", 7));
    assert_false (rp_rules_allow (rules, "ada", RP_RULE_CALL, "a.x", 2));
    assert_false (rp_rules_allow (rules, "ada", RP_RULE_CALL, "", 0));
    assert_false (rp_rules_allow (rules, "ada", RP_RULE_CALL, NULL, 0));
    rp_rules_destroy (&rules);
}

/*  ---- Principals and roles ------------------------------------------------------------------ */

static void nothing_is_allowed_that_no_line_allows (void **state)
{
    (void) state;
    static const char *const texts[] = {"", "# nothing\n", "principal = ada\n",
      "role = caller\n    call = \"*\"\n    serve = \"*\"\n    observe = 1\n    admin = 1\n"
      "principal = ada\n",
      "role = caller\nprincipal = ada\n    role = caller\n    open = 100\n",
      "principal = bob\n    call = \"*\"\n    serve = \"*\"\n    observe = 1\n    admin = 1\n"};
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        rp_rules_t *rules = s_read (texts[index]);
        for (rp_rule_t rule = 0; rule < RP_RULE_COUNT; rule++) {
            assert_false (s_allows (rules, "ada", rule, "upper"));
            assert_false (s_allows (rules, "ada", rule, NULL));
            assert_false (s_allows (rules, "caller", rule, "upper"));
            assert_false (s_allows (rules, "", rule, "upper"));
        }
        rp_rules_destroy (&rules);
    }
    rp_rules_t *rules = rp_rules_new ();
    assert_non_null (rules);
    assert_false (s_allows (rules, RP_PRINCIPAL_ANONYMOUS, RP_RULE_CALL, "upper"));
    rp_rules_destroy (&rules);
    assert_null (rules);
    rp_rules_destroy (&rules);
}

static void anonymous_and_uids_are_principals_like_others (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("principal = anonymous\n    call = hello\n"
                                "principal = \"uid:1000\"\n    serve = hello\n");
    assert_true (s_allows (rules, RP_PRINCIPAL_ANONYMOUS, RP_RULE_CALL, "hello"));
    assert_false (s_allows (rules, RP_PRINCIPAL_ANONYMOUS, RP_RULE_SERVE, "hello"));
    assert_true (s_allows (rules, "uid:1000", RP_RULE_SERVE, "hello"));
    assert_false (s_allows (rules, "uid:1000", RP_RULE_CALL, "hello"));
    assert_false (s_allows (rules, "uid:100", RP_RULE_SERVE, "hello"));
    // The rules of anonymous hold for no other principal.
    assert_false (s_allows (rules, "ada", RP_RULE_CALL, "hello"));
    rp_rules_destroy (&rules);
}

static void a_principal_has_its_own_rules_and_those_of_its_roles (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("principal = ada\n"
                                "    role = caller\n"
                                "    role = observer\n"
                                "    serve = resize\n"
                                "role = caller\n"
                                "    call = upper\n"
                                "    call = \"billing.*\"\n"
                                "role = observer\n"
                                "    observe = 1\n"
                                "role = operator\n"
                                "    admin = 1\n"
                                "principal = bob\n"
                                "    role = caller\n");
    assert_true (s_allows (rules, "ada", RP_RULE_CALL, "upper"));
    assert_true (s_allows (rules, "ada", RP_RULE_CALL, "billing.pay"));
    assert_true (s_allows (rules, "ada", RP_RULE_SERVE, "resize"));
    assert_true (s_allows (rules, "ada", RP_RULE_OBSERVE, NULL));
    assert_false (s_allows (rules, "ada", RP_RULE_ADMIN, NULL));
    assert_false (s_allows (rules, "ada", RP_RULE_CALL, "resize"));
    assert_true (s_allows (rules, "bob", RP_RULE_CALL, "upper"));
    assert_false (s_allows (rules, "bob", RP_RULE_SERVE, "resize"));
    assert_false (s_allows (rules, "bob", RP_RULE_OBSERVE, NULL));
    rp_rules_destroy (&rules);
}

static void a_role_and_a_principal_may_share_a_name (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("role = ada\n    call = x\nprincipal = ada\n    call = y\n");
    assert_false (s_allows (rules, "ada", RP_RULE_CALL, "x"));
    assert_true (s_allows (rules, "ada", RP_RULE_CALL, "y"));
    assert_true (rp_rules_grant (rules, "ada", "ada"));
    assert_true (s_allows (rules, "ada", RP_RULE_CALL, "x"));
    rp_rules_destroy (&rules);
}

static void a_certificate_grants_roles_to_principals_in_the_file_and_to_others (void **state)
{
    (void) state;
    rp_rules_t *rules =
      s_read ("role = caller\n    call = upper\n    open = 5\nprincipal = ada\n    serve = x\n");
    assert_false (rp_rules_has_principal (rules, "bob"));
    assert_true (rp_rules_grant (rules, "ada", "caller"));
    assert_true (rp_rules_grant (rules, "bob", "caller"));
    assert_true (rp_rules_grant (rules, "bob", "caller"));
    assert_true (rp_rules_has_principal (rules, "bob"));
    assert_true (s_allows (rules, "ada", RP_RULE_CALL, "upper"));
    assert_true (s_allows (rules, "ada", RP_RULE_SERVE, "x"));
    assert_true (s_allows (rules, "bob", RP_RULE_CALL, "upper"));
    assert_false (s_allows (rules, "bob", RP_RULE_SERVE, "x"));
    assert_int_equal (rp_rules_quota (rules, "bob").open, 5);
    rp_rules_destroy (&rules);
}

static void a_role_that_the_rules_do_not_name_allows_nothing (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("role = caller\n    call = upper\n");
    assert_true (rp_rules_has_role (rules, "caller"));
    assert_false (rp_rules_has_role (rules, "calle"));
    assert_false (rp_rules_has_principal (rules, "caller"));
    assert_true (rp_rules_grant (rules, "bob", "calle"));
    assert_false (rp_rules_has_role (rules, "calle"));
    assert_true (rp_rules_has_principal (rules, "bob"));
    assert_false (s_allows (rules, "bob", RP_RULE_CALL, "upper"));
    rp_rules_destroy (&rules);
}

static void many_principals_and_patterns_stay_apart (void **state)
{
    (void) state;
    static const unsigned count = 500;
    char *text = malloc (count * 80);
    assert_non_null (text);
    size_t used = 0;
    for (unsigned index = 0; index < count; index++)
        used += (size_t) sprintf (text + used,
          "principal = p%u\n    call = s%u\n    serve = s%u.*\n    open = %u\n", index, index,
          index, index + 1);
    rp_rules_t *rules = s_read (text);
    free (text);
    for (unsigned index = 0; index < count; index++)
        for (unsigned other = index < 2 ? 0 : index - 2; other < index + 3; other++) {
            char principal[16], name[16], inner[16];
            snprintf (principal, sizeof principal, "p%u", index);
            snprintf (name, sizeof name, "s%u", other);
            snprintf (inner, sizeof inner, "s%u.x", other);
            bool same = index == other;
            assert_int_equal (s_allows (rules, principal, RP_RULE_CALL, name), same);
            assert_int_equal (s_allows (rules, principal, RP_RULE_SERVE, inner), same);
            assert_false (s_allows (rules, principal, RP_RULE_CALL, inner));
            assert_int_equal (rp_rules_quota (rules, principal).open, index + 1);
        }
    rp_rules_destroy (&rules);
}

/*  ---- Quotas -------------------------------------------------------------------------------- */

static void s_assert_quota (rp_quota_t quota, const uint64_t expected[4])
{
    assert_int_equal (quota.sessions, expected[0]);
    assert_int_equal (quota.open, expected[1]);
    assert_int_equal (quota.open_bytes, expected[2]);
    assert_int_equal (quota.rate, expected[3]);
}

static void quotas_are_the_smallest_of_the_principal_and_its_roles (void **state)
{
    (void) state;
    rp_rules_t *rules =
      s_read ("role = few\n    open = 10\n    sessions = 2\n"
              "role = slow\n    rate = 5\n    open = 20\n    open_bytes = 1MiB\n"
              "principal = ada\n    role = few\n    role = slow\n    open = 15\n"
              "principal = bob\n    open = 1\n    role = few\n"
              "principal = cyd\n    rate = 1000000000\n    open_bytes = 1024TiB\n");
    s_assert_quota (rp_rules_quota (rules, "ada"), (uint64_t[]){2, 10, 1048576, 5});
    s_assert_quota (rp_rules_quota (rules, "bob"), (uint64_t[]){2, 1, 0, 0});
    s_assert_quota (
      rp_rules_quota (rules, "cyd"), (uint64_t[]){0, 0, UINT64_C (1) << 50, 1000000000});
    s_assert_quota (rp_rules_quota (rules, "nobody"), (uint64_t[]){0, 0, 0, 0});
    assert_true (rp_rules_grant (rules, "cyd", "slow"));
    s_assert_quota (rp_rules_quota (rules, "cyd"), (uint64_t[]){0, 20, 1048576, 5});
    rp_rules_destroy (&rules);
}

static void a_weight_is_the_principals_own_or_the_largest_of_its_roles (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("role = light\n    weight = 2\nrole = heavy\n    weight = 50\n"
                                "principal = ada\n    role = heavy\n    role = light\n"
                                "principal = bob\n    role = heavy\n    weight = 3\n"
                                "principal = cyd\n    call = x\n");
    assert_int_equal (rp_rules_quota (rules, "ada").weight, 50);
    assert_int_equal (rp_rules_quota (rules, "bob").weight, 3);
    assert_int_equal (rp_rules_quota (rules, "cyd").weight, 0);
    assert_true (rp_rules_has_weight (rules));
    rp_rules_destroy (&rules);
    rules = s_read ("principal = cyd\n    call = x\n");
    assert_false (rp_rules_has_weight (rules));
    rp_rules_destroy (&rules);
}

static void a_client_has_the_weight_of_its_name_if_its_principal_states_none (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("role = heavy\n    weight = 50\n"
                                "principal = anonymous\n    call = *\n"
                                "principal = ada\n    weight = 7\n"
                                "principal = bob\n    role = heavy\n"
                                "client = batch-*\n    weight = 2\n"
                                "client = batch-night*\n    weight = 3\n"
                                "client = batch-night\n    weight = 4\n"
                                "client = desk\n    weight = 9\n");
    static const struct {
        const char *principal, *client;
        unsigned weight;
    } wanted[] = {{"anonymous", "desk", 9}, {"anonymous", "desk2", 1}, {"anonymous", "", 1},
      {"anonymous", "batch-", 2}, {"anonymous", "batch-7", 2}, {"anonymous", "batch", 1},
      {"anonymous", "batch-night", 4}, {"anonymous", "batch-night-7", 3}, {"ada", "desk", 7},
      {"bob", "desk", 50}, {"nobody", "desk", 9}};
    for (size_t index = 0; index < sizeof wanted / sizeof *wanted; index++)
        assert_int_equal (rp_rules_weight (rules, wanted[index].principal, wanted[index].client),
          wanted[index].weight);
    assert_true (rp_rules_has_weight (rules));
    char text[80];
    assert_int_equal (rp_rules_explain_weight (rules, "ada", "desk", text, sizeof text), 7);
    assert_string_equal (text, "line 5: principal \"ada\"");
    assert_int_equal (rp_rules_explain_weight (rules, "bob", "desk", text, sizeof text), 50);
    assert_string_equal (text, "line 1: role \"heavy\"");
    assert_int_equal (rp_rules_explain_weight (rules, "x", "batch-7", text, sizeof text), 2);
    assert_string_equal (text, "line 9: client \"batch-*\"");
    assert_int_equal (rp_rules_explain_weight (rules, "x", "y", text, sizeof text), 1);
    assert_string_equal (text, "neither principal \"x\" nor the name \"y\" has one");
    assert_int_equal (rp_rules_count (rules).principals, 3);
    rp_rules_destroy (&rules);
    rules = s_read ("client = *\n    weight = 3\n");
    assert_int_equal (rp_rules_weight (rules, "anonymous", "any"), 3);
    rp_rules_destroy (&rules);
    s_refuses ("client = a*b\n    weight = 3\n", "1:10: client wants a name: 1 to 63 printable "
                                                 "characters without spaces, quotes and #, with a "
                                                 "\"*\" only at its end\n");
    s_refuses ("client = a\n    call = x\n",
      "2:5: a client has a weight only; give call to its principal\n");
}

/*  ---- Explanations -------------------------------------------------------------------------- */

static void an_explanation_names_the_line_that_decides (void **state)
{
    (void) state;
    rp_rules_t *rules = s_read ("role = \"caller\"\n"
                                "    call = \"upper\"\n"
                                "    call = \"billing.*\"\n"
                                "    call = \"billing.eu.*\"\n"
                                "principal = \"ada\"\n"
                                "    role = \"caller\"\n"
                                "    serve = \"*\"\n"
                                "    serve = resize\n"
                                "    admin = 1\n");
    s_explains (rules, "ada", RP_RULE_CALL, "upper", "line 2: role \"caller\": call = \"upper\"");
    s_explains (
      rules, "ada", RP_RULE_CALL, "billing.x", "line 3: role \"caller\": call = \"billing.*\"");
    s_explains (rules, "ada", RP_RULE_CALL, "billing.eu.x",
      "line 4: role \"caller\": call = \"billing.eu.*\"");
    s_explains (rules, "ada", RP_RULE_SERVE, "x", "line 7: principal \"ada\": serve = \"*\"");
    s_explains (
      rules, "ada", RP_RULE_SERVE, "resize", "line 8: principal \"ada\": serve = \"resize\"");
    s_explains (rules, "ada", RP_RULE_ADMIN, NULL, "line 9: principal \"ada\": admin = 1");
    s_explains (rules, "ada", RP_RULE_CALL, "pay",
      "no rule of principal \"ada\" or of its roles allows it; add: call = \"pay\"");
    s_explains (rules, "ada", RP_RULE_OBSERVE, NULL,
      "no rule of principal \"ada\" or of its roles allows it; add: observe = 1");
    s_explains (rules, "eve", RP_RULE_CALL, "upper", "there are no rules for principal \"eve\"");
    s_explains (rules, "ada", RP_RULE_SERVE, "mmi.service",
      "no serve rule is about \"mmi.service\": names that begin with riposte. or mmi. belong to "
      "the "
      "broker; see observe and admin");

    char text[12];
    assert_true (rp_rules_explain (rules, "ada", RP_RULE_CALL, "upper", 5, text, sizeof text));
    assert_string_equal (text, "line 2: rol");
    rp_rules_destroy (&rules);
}

/*  ---- Mistakes ------------------------------------------------------------------------------ */

/*  Checks that one line of a principal has this mistake, at line 2.  */
static void s_refuses_line (const char *line, const char *mistake)
{
    char text[512];
    char expected[640];
    snprintf (text, sizeof text, "principal = ada\n    %s\n", line);
    snprintf (expected, sizeof expected, "2:%s\n", mistake);
    s_refuses (text, expected);
}

#define S_STAR " wants a \"*\" alone or behind the last dot of a name, as in \"billing.*\", not "
#define S_PATTERN                                                                                  \
    " wants the name of a service (1 to 127 bytes), a prefix such as \"billing.*\", or \"*\""
#define S_RESERVED                                                                                 \
    ": names that begin with riposte. or mmi. belong to the broker; see observe and admin"
#define S_WORDS                                                                                    \
    "wants role, call, serve, observe, admin, sessions, open, open_bytes, rate or weight"
#define S_NAME " wants a name: 1 to 63 printable characters without spaces, quotes and #"

static void patterns_of_other_forms_are_mistakes (void **state)
{
    (void) state;
    s_refuses_line ("call = bill*", "12: call" S_STAR "\"bill*\"");
    s_refuses_line ("serve = *.x", "13: serve" S_STAR "\"*.x\"");
    s_refuses_line ("call = a.*.b", "12: call" S_STAR "\"a.*.b\"");
    s_refuses_line ("call = **", "12: call" S_STAR "\"**\"");
    s_refuses_line ("call = a.**", "12: call" S_STAR "\"a.**\"");
    s_refuses_line ("call = .*", "12: call" S_STAR "\".*\"");
    s_refuses_line ("call = riposte*", "12: call" S_STAR "\"riposte*\"");
    s_refuses_line ("call = \"\"", "12: call" S_PATTERN);
    char line[160] = "call = ";
    memset (line + 7, 'x', 128);
    s_refuses_line (line, "12: call" S_PATTERN);
}

static void names_of_the_broker_are_no_pattern (void **state)
{
    (void) state;
    s_refuses_line ("call = riposte.status", "12: call cannot have \"riposte.status\"" S_RESERVED);
    s_refuses_line ("serve = \"riposte.*\"", "13: serve cannot have \"riposte.*\"" S_RESERVED);
    s_refuses_line ("call = mmi.service", "12: call cannot have \"mmi.service\"" S_RESERVED);
    s_refuses_line ("call = 'mmi.*'", "12: call cannot have \"mmi.*\"" S_RESERVED);
}

static void unknown_words_are_mistakes (void **state)
{
    (void) state;
    s_refuses ("rol = a\n    call = x\n    anything\n",
      "1:1: unknown word \"rol\"; wants role = \"NAME\", "
      "principal = \"NAME\" or client = \"NAME\"\n");
    s_refuses ("limits\n    open = 1\n", "1:1: unknown word \"limits\"; wants role = \"NAME\", "
                                         "principal = \"NAME\" or client = \"NAME\"\n");
    s_refuses ("call = x\nopen = 1\n",
      "1:1: call belongs to a role or principal: below its line, indented by four spaces\n"
      "2:1: open belongs to a role or principal: below its line, indented by four spaces\n");
    s_refuses_line ("cal = x", "5: unknown word \"cal\"; " S_WORDS);
    s_refuses_line ("principal = x", "5: unknown word \"principal\"; " S_WORDS);
    s_refuses_line ("Open = 1", "5: unknown word \"Open\"; " S_WORDS);
    s_refuses_line ("call", "5: call wants a value");
    s_refuses ("principal = ada\n    call = x\n        serve = y\n    call = z\n        x\n",
      "3:9: nothing may be inside this line\n5:9: nothing may be inside this line\n");
}

static void quotas_are_numbers_from_one (void **state)
{
    (void) state;
    s_refuses_line ("open = 0", "12: open wants at least 1; without the line there is no limit");
    s_refuses_line (
      "open_bytes = 0", "18: open_bytes wants at least 1; without the line there is no limit");
    s_refuses_line ("sessions = few", "16: sessions wants a plain number such as 100, not \"few\"");
    s_refuses_line ("rate = -1", "12: rate wants a plain number such as 100, not \"-1\"");
    s_refuses_line ("rate = 10/s", "12: rate wants a plain number such as 100, not \"10/s\"");
    s_refuses_line ("open = 1KiB", "12: open wants a plain number such as 100, not \"1KiB\"");
    s_refuses_line ("open = 1000000001", "12: open wants at most 1000000000");
    s_refuses_line ("open = \"\"", "12: open wants a plain number such as 100, not \"\"");
    s_refuses_line (
      "open_bytes = x", "18: open_bytes wants a size such as 64KiB or 100B, not \"x\"");
    s_refuses_line ("weight = 0", "14: weight wants at least 1; without the line it is 1");
    s_refuses_line ("weight = 101", "14: weight wants at most 100");
    s_refuses_line ("open_bytes = 1025TiB", "18: open_bytes wants at most 1125899906842624");
}

static void observe_and_admin_are_1_or_not_there (void **state)
{
    (void) state;
    s_refuses_line ("observe = 0", "15: observe wants 1, not \"0\"; without the line it is denied");
    s_refuses_line ("admin = yes", "13: admin wants 1, not \"yes\"; without the line it is denied");
    s_refuses_line ("admin = \"*\"", "13: admin wants 1, not \"*\"; without the line it is denied");
    s_refuses_line (
      "observe = 01", "15: observe wants 1, not \"01\"; without the line it is denied");
}

static void names_of_roles_and_principals_are_checked (void **state)
{
    (void) state;
    s_refuses ("role\n", "1:1: role" S_NAME "\n");
    s_refuses ("role = ''\n", "1:8: role" S_NAME "\n");
    s_refuses ("principal = two words\n", "1:13: principal" S_NAME "\n");
    s_refuses ("principal = it's\n", "1:13: principal" S_NAME "\n");
    s_refuses ("principal = 'a#b'\n", "1:13: principal" S_NAME "\n");
    s_refuses ("principal = 'a\"b'\n", "1:13: principal" S_NAME "\n");
    s_refuses ("principal = Größe\n", "1:13: principal" S_NAME "\n");
    char name[RP_PRINCIPAL_MAX + 2];
    memset (name, 'n', sizeof name);
    assert_true (rp_principal_is_valid (name, RP_PRINCIPAL_MAX));
    assert_false (rp_principal_is_valid (name, RP_PRINCIPAL_MAX + 1));
    assert_false (rp_principal_is_valid (name, 0));
    assert_false (rp_principal_is_valid ("a\0b", 3));
    assert_false (rp_principal_is_valid ("a\x7f", 2));
    assert_true (rp_principal_is_valid ("uid:1000", 8));
    assert_true (rp_principal_is_valid ("ada@host.example,~!", 19));
}

static void the_lines_of_a_wrong_section_are_checked_too (void **state)
{
    (void) state;
    s_refuses ("role = 'a b'\n    call = x*\nprincipal\n    open = 0\n",
      "1:8: role" S_NAME "\n2:12: call" S_STAR "\"x*\"\n3:1: principal" S_NAME "\n"
      "4:12: open wants at least 1; without the line there is no limit\n");
}

static void what_is_there_twice_is_a_mistake_that_names_the_first (void **state)
{
    (void) state;
    s_refuses ("role = a\nrole = b\nrole = a\n    open = 0\n",
      "3:8: role \"a\" was there before, in line 1\n"
      "4:12: open wants at least 1; without the line there is no limit\n");
    s_refuses ("principal = a\nprincipal = b\nprincipal = a\n",
      "3:13: principal \"a\" was there before, in line 1\n");
    s_refuses ("role = a\nprincipal = b\n    role = a\n    role = a\n",
      "4:12: role \"a\" was there before, in line 3\n");
    s_refuses (
      "role = a\n    call = x\n    serve = x\n    call = 'x'\n    call = x.*\n    call = x.*\n",
      "4:12: call = \"x\" was there before, in line 2\n"
      "6:12: call = \"x.*\" was there before, in line 5\n");
    s_refuses (
      "role = a\n    observe = 1\n    admin = 1\n    observe = 1\n    open = 1\n    open = 1\n",
      "4:15: observe = \"1\" was there before, in line 2\n"
      "6:5: open was there before, in line 5\n");
}

static void roles_are_defined_in_the_file_and_have_none (void **state)
{
    (void) state;
    s_refuses_line ("role = b", "12: role \"b\" is not defined in this file");
    s_refuses_line ("role = ''", "12: role \"\" is not defined in this file");
    s_refuses ("role = a\nrole = b\n    role = a\n",
      "3:5: a role has no roles; give both to the principal\n");
    // A principal may stand above its roles.
    rp_rules_t *rules = s_read ("principal = p\n    role = a\nrole = a\n    call = x\n");
    assert_true (s_allows (rules, "p", RP_RULE_CALL, "x"));
    rp_rules_destroy (&rules);
}

static void mistakes_of_the_syntax_come_between_the_others_in_the_order_of_lines (void **state)
{
    (void) state;
    s_refuses ("principal = ada\n"
               "    role = none\n"
               "    open = 0\n"
               "    call = 'x\n"
               "  serve = y\n"
               "    rate = x\n"
               "\tcall = x\n",
      "2:12: role \"none\" is not defined in this file\n"
      "3:12: open wants at least 1; without the line there is no limit\n"
      "4:12: a quote that is not closed on its line\n"
      "5:3: indentation that is not a multiple of four spaces\n"
      "6:12: rate wants a plain number such as 100, not \"x\"\n"
      "7:1: a tab; indent and separate with spaces\n");
}

static void rules_are_found_by_their_words (void **state)
{
    (void) state;
    for (rp_rule_t rule = 0; rule < RP_RULE_COUNT; rule++) {
        rp_rule_t found = RP_RULE_COUNT;
        assert_true (rp_rule_find (rp_rule_name (rule), &found));
        assert_int_equal (found, rule);
    }
    rp_rule_t found = RP_RULE_COUNT;
    assert_false (rp_rule_find ("calls", &found));
    assert_false (rp_rule_find ("", &found));
    assert_int_equal (found, RP_RULE_COUNT);
    assert_string_equal (rp_rule_name (RP_RULE_COUNT), "?");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (patterns_match_whole_names_prefixes_behind_a_dot_or_everything),
      cmocka_unit_test (a_rule_without_a_pattern_is_for_itself_only),
      cmocka_unit_test (a_name_is_taken_by_its_size),
      cmocka_unit_test (nothing_is_allowed_that_no_line_allows),
      cmocka_unit_test (anonymous_and_uids_are_principals_like_others),
      cmocka_unit_test (a_principal_has_its_own_rules_and_those_of_its_roles),
      cmocka_unit_test (a_role_and_a_principal_may_share_a_name),
      cmocka_unit_test (a_certificate_grants_roles_to_principals_in_the_file_and_to_others),
      cmocka_unit_test (a_role_that_the_rules_do_not_name_allows_nothing),
      cmocka_unit_test (many_principals_and_patterns_stay_apart),
      cmocka_unit_test (quotas_are_the_smallest_of_the_principal_and_its_roles),
      cmocka_unit_test (a_weight_is_the_principals_own_or_the_largest_of_its_roles),
      cmocka_unit_test (a_client_has_the_weight_of_its_name_if_its_principal_states_none),
      cmocka_unit_test (an_explanation_names_the_line_that_decides),
      cmocka_unit_test (patterns_of_other_forms_are_mistakes),
      cmocka_unit_test (names_of_the_broker_are_no_pattern),
      cmocka_unit_test (unknown_words_are_mistakes),
      cmocka_unit_test (quotas_are_numbers_from_one),
      cmocka_unit_test (observe_and_admin_are_1_or_not_there),
      cmocka_unit_test (names_of_roles_and_principals_are_checked),
      cmocka_unit_test (the_lines_of_a_wrong_section_are_checked_too),
      cmocka_unit_test (what_is_there_twice_is_a_mistake_that_names_the_first),
      cmocka_unit_test (roles_are_defined_in_the_file_and_have_none),
      cmocka_unit_test (mistakes_of_the_syntax_come_between_the_others_in_the_order_of_lines),
      cmocka_unit_test (rules_are_found_by_their_words),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
