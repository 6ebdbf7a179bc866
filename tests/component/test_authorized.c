/*  A directory of authorized keys.

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

#include "common/access/authorized.h"
#include "common/io/disk.h"

/*  The beginning of 2027-01-31, UTC.  */
#define S_TODAY 1801353600

static char s_folder[64];
static char s_errors[4096];
static size_t s_error_count;

static int s_setup (void **state)
{
    (void) state;
    strcpy (s_folder, "/tmp/riposte-authorized-XXXXXX");
    *s_errors = '\0';
    s_error_count = 0;
    return mkdtemp (s_folder) ? 0 : -1;
}

static int s_teardown (void **state)
{
    char command[128];
    (void) state;
    snprintf (command, sizeof command, "rm -rf %s", s_folder);
    return system (command);
}

static void s_error (const char *message, void *arg)
{
    assert_ptr_equal (arg, s_folder);
    assert_int_equal (strncmp (message, s_folder, strlen (s_folder)), 0);
    size_t used = strlen (s_errors);
    snprintf (s_errors + used, sizeof s_errors - used, "%s\n", message + strlen (s_folder));
    s_error_count++;
}

static void s_has_error (const char *text)
{
    if (!strstr (s_errors, text))
        fail_msg ("\"%s\" is not in:\n%s", text, s_errors);
}

/*  Writes a new certificate, and returns it.  */
static rp_certificate_t s_put (
  const char *name, const char *principal, const char *roles, const char *expires)
{
    char path[128];
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t certificate;
    assert_true (rp_certificate_new (&certificate));
    snprintf (certificate.principal, sizeof certificate.principal, "%s", principal);
    snprintf (certificate.roles, sizeof certificate.roles, "%s", roles);
    snprintf (certificate.expires, sizeof certificate.expires, "%s", expires);
    snprintf (path, sizeof path, "%s/%s", s_folder, name);
    assert_true (rp_certificate_save (&certificate, path, false, reason));
    return certificate;
}

static rp_authorized_t *s_load (void)
{
    return rp_authorized_load (s_folder, S_TODAY, s_error, s_folder);
}

static void keys_are_found_with_their_principals (void **state)
{
    (void) state;
    rp_certificate_t ada = s_put ("ada.key", "ada", "caller,ops", "");
    rp_certificate_t bob = s_put ("bob.key", "bob", "", "");
    rp_certificate_t eve = s_put ("eve.other", "eve", "", "");
    s_put (".hidden.key", "eve", "", "");
    rp_authorized_t *keys = s_load ();
    assert_non_null (keys);
    assert_int_equal (rp_authorized_count (keys), 2);
    assert_string_equal (rp_authorized_at (keys, 0)->file, "ada.key");
    const rp_authorized_key_t *found = rp_authorized_find (keys, ada.public_key);
    assert_non_null (found);
    assert_string_equal (found->principal, "ada");
    assert_string_equal (found->roles, "caller,ops");
    found = rp_authorized_find (keys, bob.public_key);
    assert_non_null (found);
    assert_string_equal (found->principal, "bob");
    assert_null (rp_authorized_find (keys, eve.public_key));
    rp_authorized_destroy (&keys);
    assert_null (keys);
    rp_authorized_destroy (&keys);
    assert_int_equal (s_error_count, 0);
}

static void an_empty_directory_authorizes_nobody (void **state)
{
    static const uint8_t key[RP_KEY_SIZE];
    (void) state;
    rp_authorized_t *keys = s_load ();
    assert_non_null (keys);
    assert_int_equal (rp_authorized_count (keys), 0);
    assert_null (rp_authorized_find (keys, key));
    rp_authorized_destroy (&keys);
}

static void a_directory_that_is_missing_is_a_mistake (void **state)
{
    (void) state;
    assert_int_equal (rmdir (s_folder), 0);
    assert_null (s_load ());
    assert_int_equal (mkdir (s_folder, 0700), 0);
    s_has_error (": No such file or directory; riposte keys authorize makes it");
}

static void a_key_past_its_expiry_is_not_authorized (void **state)
{
    (void) state;
    rp_certificate_t late = s_put ("late.key", "ada", "", "2027-01-31");
    rp_certificate_t later = s_put ("later.key", "ada", "", "2027-01-31T00:00:01Z");
    rp_authorized_t *keys = s_load ();
    assert_non_null (keys);
    assert_int_equal (rp_authorized_count (keys), 2);
    assert_null (rp_authorized_find (keys, late.public_key));
    assert_non_null (rp_authorized_find (keys, later.public_key));
    assert_true (rp_authorized_at (keys, 0)->expired);
    rp_authorized_destroy (&keys);
}

static void the_next_expiry_is_the_earliest_to_come (void **state)
{
    (void) state;
    s_put ("always.key", "ada", "", "");
    s_put ("late.key", "ada", "", "2027-01-30");
    rp_authorized_t *keys = s_load ();
    assert_non_null (keys);
    assert_true (rp_authorized_next_expiry (keys) == INT64_MAX);
    rp_authorized_destroy (&keys);
    s_put ("soon.key", "ada", "", "2027-01-31T00:00:05Z");
    s_put ("sooner.key", "bob", "", "2027-01-31T00:00:02Z");
    keys = s_load ();
    assert_non_null (keys);
    assert_true (rp_authorized_next_expiry (keys) == S_TODAY + 2);
    rp_authorized_destroy (&keys);
}

static void all_mistakes_are_reported (void **state)
{
    char path[128];
    char reason[RP_CERTIFICATE_REASON_MAX];
    (void) state;
    rp_certificate_t ada = s_put ("ada.key", "ada", "", "");
    s_put ("nobody.key", "", "", "");
    s_put ("space.key", "a b", "", "");
    s_put ("role.key", "bob", "caller,two words", "");
    snprintf (path, sizeof path, "%s/twice.key", s_folder);
    assert_true (rp_certificate_save (&ada, path, false, reason));
    snprintf (path, sizeof path, "%s/broken.key", s_folder);
    assert_true (rp_disk_create (path, 0644, "x", 1));
    snprintf (path, sizeof path, "%s/secret.key", s_folder);
    assert_true (rp_certificate_save (&ada, path, true, reason));
    assert_null (s_load ());
    assert_int_equal (s_error_count, 6);
    s_has_error ("/nobody.key: it has no principal");
    s_has_error ("/space.key: its principal is not");
    s_has_error ("/role.key: a role is not");
    s_has_error ("/twice.key: the same key as ada.key, of \"ada\"");
    s_has_error ("/broken.key: no certificate");
    s_has_error ("/secret.key: a secret key");
}

/*  Such a key would get the rules of peers without a key, or of a local user such as root.  */
static void a_key_is_nobody_who_has_none (void **state)
{
    (void) state;
    s_put ("nobody.key", "anonymous", "", "");
    s_put ("root.key", "uid:0", "", "");
    assert_null (s_load ());
    assert_int_equal (s_error_count, 2);
    s_has_error ("/nobody.key: its principal \"anonymous\" is who has no key");
    s_has_error ("/root.key: its principal \"uid:0\" is who has no key");
}

static void a_principal_has_the_roles_of_its_keys (void **state)
{
    static const char text[] =
      "role = \"caller\"\n    call = \"*\"\nrole = \"ops\"\n    admin = 1\n"
      "role = \"watcher\"\n    observe = 1\n";
    (void) state;
    s_put ("ada.key", "ada", "caller", "");
    s_put ("ada2.key", "ada", " watcher , caller", "");
    s_put ("old.key", "ada", "ops", "2020-01-01");
    rp_rules_t *rules = rp_rules_read (text, sizeof text - 1, s_error, s_folder);
    rp_authorized_t *keys = s_load ();
    assert_non_null (rules);
    assert_non_null (keys);
    assert_true (rp_authorized_grant (keys, rules, s_error, s_folder));
    assert_true (rp_rules_allow (rules, "ada", RP_RULE_CALL, "upper", 5));
    assert_true (rp_rules_allow (rules, "ada", RP_RULE_OBSERVE, NULL, 0));
    assert_false (rp_rules_allow (rules, "ada", RP_RULE_ADMIN, NULL, 0));
    rp_authorized_destroy (&keys);
    rp_rules_destroy (&rules);
    assert_int_equal (s_error_count, 0);
}

static void a_role_without_rules_is_a_mistake (void **state)
{
    (void) state;
    s_put ("ada.key", "ada", "caller,ops", "");
    rp_rules_t *rules = rp_rules_new ();
    rp_authorized_t *keys = s_load ();
    assert_non_null (rules);
    assert_non_null (keys);
    assert_false (rp_authorized_grant (keys, rules, s_error, s_folder));
    assert_int_equal (s_error_count, 2);
    s_has_error ("/ada.key: the rules have no role \"caller\"");
    s_has_error ("/ada.key: the rules have no role \"ops\"");
    rp_authorized_destroy (&keys);
    rp_rules_destroy (&rules);
}

#define DIRECTORY_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      DIRECTORY_TEST (keys_are_found_with_their_principals),
      DIRECTORY_TEST (an_empty_directory_authorizes_nobody),
      DIRECTORY_TEST (a_directory_that_is_missing_is_a_mistake),
      DIRECTORY_TEST (a_key_past_its_expiry_is_not_authorized),
      DIRECTORY_TEST (the_next_expiry_is_the_earliest_to_come),
      DIRECTORY_TEST (all_mistakes_are_reported),
      DIRECTORY_TEST (a_key_is_nobody_who_has_none),
      DIRECTORY_TEST (a_principal_has_the_roles_of_its_keys),
      DIRECTORY_TEST (a_role_without_rules_is_a_mistake),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
