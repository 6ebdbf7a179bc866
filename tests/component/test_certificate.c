/*  Certificates on the disk: their modes, and CZMQ's reading and writing of them.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <czmq.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io/certificate.h"
#include "common/io/disk.h"

static char s_folder[64];
static char s_path[128];
static char s_reason[RP_CERTIFICATE_REASON_MAX];

static int s_setup (void **state)
{
    (void) state;
    strcpy (s_folder, "/tmp/riposte-certificate-XXXXXX");
    return mkdtemp (s_folder) ? 0 : -1;
}

static int s_teardown (void **state)
{
    char command[128];
    (void) state;
    snprintf (command, sizeof command, "rm -rf %s", s_folder);
    return system (command);
}

static const char *s_at (const char *name)
{
    snprintf (s_path, sizeof s_path, "%s/%s", s_folder, name);
    return s_path;
}

static rp_certificate_t s_new (void)
{
    rp_certificate_t certificate;
    assert_true (rp_certificate_new (&certificate));
    strcpy (certificate.name, "ada");
    strcpy (certificate.principal, "ada");
    strcpy (certificate.roles, "caller,ops");
    return certificate;
}

static void s_save (const rp_certificate_t *certificate, const char *name, bool secret)
{
    *s_reason = '\0';
    bool good = rp_certificate_save (certificate, s_at (name), secret, s_reason);
    assert_string_equal (s_reason, "");
    assert_true (good);
}

static void s_write (const char *name, const char *text, mode_t mode)
{
    assert_true (rp_disk_create (s_at (name), mode, text, strlen (text)));
}

static unsigned s_mode (const char *name)
{
    struct stat status;
    assert_int_equal (lstat (s_at (name), &status), 0);
    return (unsigned) status.st_mode & 07777;
}

static void s_refuses_to_load (const char *name, const char *reason)
{
    rp_certificate_t certificate;
    assert_false (rp_certificate_load (&certificate, s_at (name), s_reason));
    assert_false (certificate.has_secret);
    if (!strstr (s_reason, reason) || strncmp (s_reason, s_path, strlen (s_path)) != 0)
        fail_msg ("\"%s\" has no \"%s\"", s_reason, reason);
}

static void what_is_saved_is_loaded (void **state)
{
    rp_certificate_t saved = s_new ();
    rp_certificate_t loaded;
    (void) state;
    s_save (&saved, "ada.key", false);
    s_save (&saved, "ada.key_secret", true);
    assert_true (rp_certificate_load (&loaded, s_at ("ada.key_secret"), s_reason));
    assert_memory_equal (&loaded, &saved, sizeof saved);
    assert_true (rp_certificate_load (&loaded, s_at ("ada.key"), s_reason));
    assert_memory_equal (loaded.public_key, saved.public_key, RP_KEY_SIZE);
    assert_false (loaded.has_secret);
    assert_string_equal (loaded.roles, "caller,ops");
}

static void modes_do_not_depend_on_the_umask (void **state)
{
    static const mode_t masks[] = {0, 077, 0777};
    (void) state;
    for (size_t index = 0; index < 3; index++) {
        rp_certificate_t certificate = s_new ();
        char name[32];
        mode_t before = umask (masks[index]);
        snprintf (name, sizeof name, "%zu.key_secret", index);
        s_save (&certificate, name, true);
        assert_int_equal (s_mode (name), 0600);
        snprintf (name, sizeof name, "%zu.key", index);
        s_save (&certificate, name, false);
        assert_int_equal (s_mode (name), 0644);
        umask (before);
    }
}

static void a_file_that_exists_is_left_alone (void **state)
{
    rp_certificate_t certificate = s_new ();
    struct stat status;
    (void) state;
    s_write ("ada.key_secret", "mine", 0600);
    assert_false (rp_certificate_save (&certificate, s_at ("ada.key_secret"), true, s_reason));
    assert_non_null (strstr (s_reason, "exists already"));
    assert_int_equal (stat (s_path, &status), 0);
    assert_int_equal (status.st_size, 4);
}

static void a_symbolic_link_is_not_followed (void **state)
{
    rp_certificate_t certificate = s_new ();
    char target[128];
    (void) state;
    snprintf (target, sizeof target, "%s/elsewhere", s_folder);
    assert_int_equal (symlink (target, s_at ("ada.key_secret")), 0);
    assert_false (rp_certificate_save (&certificate, s_path, true, s_reason));
    assert_int_not_equal (access (target, F_OK), 0);
}

static void what_cannot_be_written_leaves_no_file (void **state)
{
    rp_certificate_t certificate = s_new ();
    (void) state;
    strcpy (certificate.name, "a \"b\" 'c'");
    assert_false (rp_certificate_save (&certificate, s_at ("ada.key"), false, s_reason));
    assert_non_null (strstr (s_reason, "both kinds of quotes"));
    strcpy (certificate.name, "a\nb");
    assert_false (rp_certificate_save (&certificate, s_at ("ada.key"), false, s_reason));
    assert_int_not_equal (access (s_path, F_OK), 0);
    rp_certificate_forget (&certificate);
    strcpy (certificate.name, "ada");
    assert_false (rp_certificate_save (&certificate, s_at ("ada.key_secret"), true, s_reason));
    assert_false (rp_certificate_save (&certificate, s_at ("none/ada.key"), false, s_reason));
    assert_non_null (strstr (s_reason, "No such file"));
}

static void a_secret_that_others_can_read_is_refused (void **state)
{
    static const mode_t bad[] = {0640, 0604, 0660, 0620, 0601, 0777};
    static const mode_t good[] = {0600, 0400, 0700};
    rp_certificate_t certificate = s_new ();
    (void) state;
    s_save (&certificate, "ada.key_secret", true);
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        assert_int_equal (chmod (s_at ("ada.key_secret"), bad[index]), 0);
        s_refuses_to_load ("ada.key_secret", "chmod 600 /tmp/riposte-certificate-");
    }
    for (size_t index = 0; index < sizeof good / sizeof *good; index++) {
        assert_int_equal (chmod (s_at ("ada.key_secret"), good[index]), 0);
        assert_true (rp_certificate_load (&certificate, s_path, s_reason));
    }
}

static void a_credential_of_systemd_may_look_readable_for_its_group (void **state)
{
    rp_certificate_t certificate = s_new ();
    (void) state;
    s_save (&certificate, "ada.key_secret", true);
    assert_int_equal (mkdir (s_at ("more"), 0700), 0);
    s_save (&certificate, "more/ada.key_secret", true);
    assert_int_equal (chmod (s_path, 0440), 0);
    assert_int_equal (setenv ("CREDENTIALS_DIRECTORY", s_folder, 1), 0);
    assert_int_equal (chmod (s_at ("ada.key_secret"), 0440), 0);
    assert_true (rp_certificate_load (&certificate, s_path, s_reason));
    s_refuses_to_load ("more/ada.key_secret", "others can read");
    assert_int_equal (chmod (s_at ("ada.key_secret"), 0444), 0);
    s_refuses_to_load ("ada.key_secret", "others can read");
    assert_int_equal (chmod (s_at ("ada.key_secret"), 0440), 0);
    assert_int_equal (unsetenv ("CREDENTIALS_DIRECTORY"), 0);
    s_refuses_to_load ("ada.key_secret", "others can read");
}

static void what_is_no_certificate_is_refused_with_its_path (void **state)
{
    (void) state;
    s_refuses_to_load ("none.key", "there is no such file; make one: riposte keys new NAME");
    s_write ("empty.key", "", 0644);
    s_refuses_to_load ("empty.key", "no certificate");
    s_write ("wrong.key", "curve\n    public-key = \"x\"\n", 0644);
    s_refuses_to_load ("wrong.key", ":2:18: the public key is not");
    assert_int_equal (mkdir (s_at ("folder.key"), 0700), 0);
    s_refuses_to_load ("folder.key", "Is a directory");
    assert_int_equal (mkfifo (s_at ("pipe.key"), 0600), 0);
    s_refuses_to_load ("pipe.key", "not a regular file");
    char *large = malloc (RP_CERTIFICATE_FILE_MAX + 2);
    assert_non_null (large);
    memset (large, '#', RP_CERTIFICATE_FILE_MAX + 1);
    large[RP_CERTIFICATE_FILE_MAX + 1] = '\0';
    s_write ("large.key", large, 0644);
    free (large);
    s_refuses_to_load ("large.key", "too large");
}

static void a_key_is_given_as_text_or_as_a_path (void **state)
{
    rp_certificate_t certificate = s_new ();
    uint8_t key[RP_KEY_SIZE];
    char text[RP_KEY_TEXT];
    (void) state;
    rp_key_format (certificate.public_key, text);
    assert_true (rp_key_find (key, text, s_reason));
    assert_memory_equal (key, certificate.public_key, RP_KEY_SIZE);

    memset (key, 0, sizeof key);
    s_save (&certificate, "ada.key", false);
    assert_true (rp_key_find (key, s_path, s_reason));
    assert_memory_equal (key, certificate.public_key, RP_KEY_SIZE);

    assert_false (rp_key_find (key, "abc", s_reason));
    assert_non_null (strstr (s_reason, "neither a key"));
    s_write ("bad.key", "", 0644);
    assert_false (rp_key_find (key, s_at ("bad.key"), s_reason));
    assert_non_null (strstr (s_reason, "no certificate"));
}

static void zcert_reads_ours (void **state)
{
    rp_certificate_t certificate = s_new ();
    char text[RP_KEY_TEXT];
    (void) state;
    s_save (&certificate, "public.key", false);
    zcert_t *read = zcert_load (s_at ("public.key"));
    assert_non_null (read);
    rp_key_format (certificate.public_key, text);
    assert_string_equal (zcert_public_txt (read), text);
    assert_string_equal (zcert_meta (read, "principal"), "ada");
    assert_string_equal (zcert_meta (read, "role"), "caller,ops");
    zcert_destroy (&read);

    s_save (&certificate, "ada.key_secret", true);
    read = zcert_load (s_at ("ada.key")); // zcert_load finds the secret file itself
    assert_non_null (read);
    rp_key_format (certificate.secret_key, text);
    assert_string_equal (zcert_secret_txt (read), text);
    zcert_destroy (&read);
}

static void ours_reads_what_zcert_writes (void **state)
{
    rp_certificate_t certificate;
    (void) state;
    zcert_t *written = zcert_new ();
    zcert_set_meta (written, "name", "%s", "ada lovelace");
    zcert_set_meta (written, "principal", "%s", "ada");
    zcert_set_meta (written, "role", "%s", "caller,ops");
    zcert_set_meta (written, "odd", "%s", "a # \"b\" 'c'");
    zcert_set_meta (written, "empty", "%s", "");
    assert_int_equal (zcert_save (written, s_at ("ada.key")), 0);
    static const char *const names[] = {"ada.key", "ada.key_secret"};
    for (size_t index = 0; index < 2; index++) {
        bool good = rp_certificate_load (&certificate, s_at (names[index]), s_reason);
        if (!good)
            fail_msg ("%s", s_reason);
        assert_memory_equal (certificate.public_key, zcert_public_key (written), RP_KEY_SIZE);
        assert_string_equal (certificate.name, "ada lovelace");
        assert_string_equal (certificate.principal, "ada");
        assert_string_equal (certificate.roles, "caller,ops");
        assert_int_equal (certificate.has_secret, index == 1);
    }
    assert_memory_equal (certificate.secret_key, zcert_secret_key (written), RP_KEY_SIZE);
    zcert_destroy (&written);
}

static void a_file_is_replaced_whole (void **state)
{
    struct stat status;
    char text[16];
    (void) state;
    assert_true (rp_disk_replace (s_at ("list"), 0600, "first", 5));
    assert_true (rp_disk_replace (s_at ("list"), 0640, "second", 6));
    assert_int_equal (rp_disk_read (s_path, text, sizeof text, &status), 6);
    assert_memory_equal (text, "second", 6);
    assert_int_equal (status.st_mode & 07777, 0640);
    assert_int_equal (rp_disk_read (s_path, text, 6, &status), -1);
    assert_int_equal (errno, EFBIG);
    assert_false (rp_disk_replace (s_at ("none/list"), 0600, "x", 1));
}

/*  The broker of the unit has a user of its own, and root adds a token to the file that only that user reads.  */
static void a_file_that_is_replaced_keeps_its_owner (void **state)
{
    struct stat status;
    (void) state;
    if (geteuid () != 0)
        skip ();
    assert_true (rp_disk_replace (s_at ("list"), 0600, "first", 5));
    assert_int_equal (chown (s_path, 65532, 65531), 0);
    assert_true (rp_disk_replace (s_path, 0600, "second", 6));
    assert_int_equal (stat (s_path, &status), 0);
    assert_int_equal (status.st_uid, 65532);
    assert_int_equal (status.st_gid, 65531);
    assert_int_equal (status.st_mode & 07777, 0600);
    assert_int_equal (status.st_size, 6);
}

static void a_directory_is_made_with_those_above_it (void **state)
{
    (void) state;
    mode_t before = umask (077);
    assert_true (rp_disk_make_directory (s_at ("a/b//c/"), 0755));
    umask (before);
    assert_int_equal (s_mode ("a"), 0700);
    assert_int_equal (s_mode ("a/b"), 0700);
    assert_int_equal (s_mode ("a/b/c"), 0755);
    assert_true (rp_disk_make_directory (s_at ("a/b/c"), 0700));
    assert_int_equal (s_mode ("a/b/c"), 0755);
    assert_true (rp_disk_make_directory ("/", 0700));
    s_write ("file", "", 0600);
    assert_false (rp_disk_make_directory (s_at ("file/x"), 0700));
    assert_int_equal (errno, ENOTDIR);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      FILE_TEST (what_is_saved_is_loaded),
      FILE_TEST (modes_do_not_depend_on_the_umask),
      FILE_TEST (a_file_that_exists_is_left_alone),
      FILE_TEST (a_symbolic_link_is_not_followed),
      FILE_TEST (what_cannot_be_written_leaves_no_file),
      FILE_TEST (a_secret_that_others_can_read_is_refused),
      FILE_TEST (a_credential_of_systemd_may_look_readable_for_its_group),
      FILE_TEST (what_is_no_certificate_is_refused_with_its_path),
      FILE_TEST (a_key_is_given_as_text_or_as_a_path),
      FILE_TEST (zcert_reads_ours),
      FILE_TEST (ours_reads_what_zcert_writes),
      FILE_TEST (a_file_is_replaced_whole),
      FILE_TEST (a_file_that_is_replaced_keeps_its_owner),
      FILE_TEST (a_directory_is_made_with_those_above_it),
    };
    zsys_handler_set (NULL);
    return cmocka_run_group_tests (tests, NULL, NULL);
}
