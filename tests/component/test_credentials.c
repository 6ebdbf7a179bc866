/*  Credentials, which the broker reads at its start and at a reload, with the slips that an operator
    may make.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/auth/credentials.h"

static char s_folder[64];
static char s_rules[96];
static char s_error[1024];

static int s_setup (void **state)
{
    (void) state;
    *s_error = '\0';
    strcpy (s_folder, "/tmp/riposte-credentials-XXXXXX");
    if (!mkdtemp (s_folder))
        return -1;
    snprintf (s_rules, sizeof s_rules, "%s/rules", s_folder);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    (void) remove (s_rules);
    return rmdir (s_folder);
}

static void s_complain (const char *message, void *arg)
{
    (void) arg;
    snprintf (s_error, sizeof s_error, "%s", message);
}

static rp_credentials_t *s_load (void)
{
    return rp_credentials_load (&(rp_credentials_files_t){.rules = s_rules}, 0, s_complain, NULL);
}

static void s_has_error (const char *text)
{
    if (!strstr (s_error, text))
        fail_msg ("\"%s\" is not in:\n%s", text, s_error);
}

static void s_a_pipe_is_not_waited_for (void **state)
{
    (void) state;
    assert_int_equal (mkfifo (s_rules, 0600), 0);
    alarm (30); // the broker must not wait for a writer
    assert_null (s_load ());
    alarm (0);
    s_has_error ("/rules: cannot be read: not a regular file");
}

static void s_a_directory_and_nothing_are_refused (void **state)
{
    (void) state;
    assert_null (s_load ());
    s_has_error ("/rules: cannot be read: No such file");
    assert_int_equal (mkdir (s_rules, 0700), 0);
    assert_null (s_load ());
    s_has_error ("/rules: cannot be read: Is a directory");
}

static void s_rules_over_a_mebibyte_are_refused (void **state)
{
    (void) state;
    FILE *file = fopen (s_rules, "w");
    assert_non_null (file);
    assert_int_equal (fclose (file), 0);
    assert_int_equal (truncate (s_rules, (1 << 20) + 1), 0);
    assert_null (s_load ());
    s_has_error ("/rules: cannot be read: it is larger than rules can be");
}

static void s_no_rules_at_all_deny (void **state)
{
    (void) state;
    FILE *file = fopen (s_rules, "w");
    assert_non_null (file);
    assert_int_equal (fclose (file), 0);
    rp_credentials_t *credentials = s_load ();
    assert_non_null (credentials);
    assert_false (
      rp_rules_allow (rp_credentials_rules (credentials), "ada", RP_RULE_CALL, "upper", 5));
    rp_credentials_release (&credentials);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_pipe_is_not_waited_for),
      S_TEST (s_a_directory_and_nothing_are_refused),
      S_TEST (s_rules_over_a_mebibyte_are_refused),
      S_TEST (s_no_rules_at_all_deny),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
