/*  Files that are no whole store of jobs: each is refused with words, and none is read as if it were
    whole. And what people do with a store that is.

    SPDX-License-Identifier: MPL-2.0

    With RIPOSTE_LONG=1 many more bytes are changed.
*/

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <riposte/error.h>

#include "broker/store/store.h"
#include "broker/store/upkeep.h"
#include "common/base/cursor.h"
#include "common/io/clock.h"
#include "tests/support/disk.h"
#include "tests/support/shelf.h"

#define S_JOBS 80
#define S_BEFORE_COPY 1000

static test_shelf_t s_shelf;
static test_shelf_t *const shelf = &s_shelf;
static char s_text[RP_STORE_TEXT];
static uint64_t s_random = 88172645463325252u;

static int s_setup (void **state)
{
    (void) state;
    test_disk_reset ();
    test_shelf_init (shelf);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_shelf_clear (shelf);
    return 0;
}

static uint64_t s_chance (uint64_t bound)
{
    s_random ^= s_random << 13;
    s_random ^= s_random >> 7;
    s_random ^= s_random << 17;
    return s_random % bound;
}

/*  ---- Files ------------------------------------------------------------------------------------ */

typedef struct {
    size_t size;
    unsigned char *bytes;
} s_content_t;

static const char *s_log_path (void)
{
    static char path[128];
    snprintf (path, sizeof path, "%s-wal", shelf->path);
    return path;
}

static s_content_t s_read_file (const char *path)
{
    s_content_t content;
    struct stat status;
    int descriptor = open (path, O_RDONLY);
    assert_true (descriptor >= 0);
    assert_int_equal (fstat (descriptor, &status), 0);
    content.size = (size_t) status.st_size;
    content.bytes = malloc (content.size + 1);
    assert_non_null (content.bytes);
    assert_int_equal (read (descriptor, content.bytes, content.size), content.size);
    close (descriptor);
    return content;
}

static void s_write_file (const char *path, const s_content_t *content)
{
    int descriptor = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true (descriptor >= 0);
    assert_int_equal (write (descriptor, content->bytes, content->size), content->size);
    close (descriptor);
}

static void s_want_content (const char *path, const s_content_t *content)
{
    s_content_t now = s_read_file (path);
    assert_int_equal (now.size, content->size);
    assert_memory_equal (now.bytes, content->bytes, content->size);
    free (now.bytes);
}

static void s_run_sql (const char *sql)
{
    sqlite3 *db;
    assert_int_equal (sqlite3_open (shelf->path, &db), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal (sqlite3_close (db), SQLITE_OK);
}

/*  The broker is refused with these words, and the file stays as it is.  */
static void s_want_refused (const char *words)
{
    s_content_t before = s_read_file (shelf->path);
    assert_null (rp_store_open (&shelf->settings, s_text));
    if (!strstr (s_text, words))
        fail_msg ("\"%s\" does not say \"%s\"", s_text, words);
    s_want_content (shelf->path, &before);
    assert_false (rp_upkeep_check (shelf->path, s_text));
    assert_string_not_equal (s_text, "");
    free (before.bytes);
}

/*  ---- What is no store ------------------------------------------------------------------------- */

static void test_another_programs_database_is_refused (void **state)
{
    (void) state;
    s_run_sql ("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    s_want_refused ("a database of another program");
}

static void test_a_file_of_something_else_is_refused (void **state)
{
    (void) state;
    static unsigned char text[10000];
    memset (text, 'x', sizeof text);
    s_write_file (shelf->path, &(s_content_t){.size = sizeof text, .bytes = text});
    s_want_refused ("not a store");
}

static void test_a_newer_format_is_refused (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    test_shelf_close (shelf);
    shelf->settings.vfs = TEST_DISK; // any; it registers the layer for page sums above
    sqlite3 *db;
    assert_int_equal (
      sqlite3_open_v2 (shelf->path, &db, SQLITE_OPEN_READWRITE, "riposte-sums-unix"), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA user_version = 99",
                        NULL, NULL, NULL),
      SQLITE_OK);
    sqlite3_close (db);
    s_want_refused ("written by a newer riposte (format 99");
}

/*  Makes the file what a riposte before the secret would have written.  */
static void s_make_old (void)
{
    sqlite3 *db;
    assert_int_equal (
      sqlite3_open_v2 (shelf->path, &db, SQLITE_OPEN_READWRITE, "riposte-sums-unix"), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db,
                        "PRAGMA locking_mode = EXCLUSIVE; DROP TABLE secret;"
                        "DROP INDEX open_due;"
                        "CREATE INDEX open_due ON open (service, due) WHERE listed;"
                        "PRAGMA user_version = 1",
                        NULL, NULL, NULL),
      SQLITE_OK);
    assert_int_equal (sqlite3_close (db), SQLITE_OK);
}

static void test_an_older_file_is_brought_up_to_date (void **state)
{
    (void) state;
    const rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    uint64_t first = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "one");
    uint64_t last = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "two");
    test_shelf_close (shelf);
    s_make_old ();
    assert_false (rp_upkeep_check (shelf->path, s_text));
    assert_non_null (strstr (s_text, "is of an older riposte"));
    test_shelf_open (shelf);
    // Its numbers were told, and go on to hold.
    assert_int_equal (rp_store_secret (shelf->store)->plain, last);
    test_shelf_want_state (shelf, first, RP_JOB_WAITING);
    test_shelf_want_state (shelf, last, RP_JOB_WAITING);
    assert_true (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "three") > last);
    test_shelf_reopen (shelf);
    assert_int_equal (rp_store_secret (shelf->store)->plain, last);
    test_shelf_close (shelf);
    assert_true (rp_upkeep_check (shelf->path, s_text));
}

static void test_a_store_has_a_secret_of_its_own_for_good (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    rp_store_secret_t secret = *rp_store_secret (shelf->store);
    assert_int_equal (secret.plain, 0);
    test_shelf_reopen (shelf);
    assert_memory_equal (&secret, rp_store_secret (shelf->store), sizeof secret);
    test_shelf_close (shelf);
    unlink (shelf->path);
    test_shelf_open (shelf);
    assert_memory_not_equal (&secret, rp_store_secret (shelf->store), sizeof secret);
}

static void test_a_format_that_never_was_is_refused (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    test_shelf_close (shelf);
    sqlite3 *db;
    assert_int_equal (
      sqlite3_open_v2 (shelf->path, &db, SQLITE_OPEN_READWRITE, "riposte-sums-unix"), SQLITE_OK);
    assert_int_equal (sqlite3_exec (db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA user_version = 0",
                        NULL, NULL, NULL),
      SQLITE_OK);
    sqlite3_close (db);
    s_want_refused ("a format that never was");
}

static void test_no_file_at_all_is_refused (void **state)
{
    (void) state;
    const char *const paths[] = {
      "", ":memory:", "/nonexistent/jobs.db", "/tmp", "/dev/null/jobs.db"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        const rp_store_settings_t settings = {.path = paths[index]};
        assert_null (rp_store_open (&settings, s_text));
        assert_string_not_equal (s_text, "");
    }
    assert_false (rp_upkeep_check (shelf->path, s_text));
    assert_int_equal (access (shelf->path, F_OK), -1); // looking makes no file
}

/*  Opens the store as a user without rights. Returns 0 if it was refused with words about rights.  */
static int s_open_without_rights (void)
{
    if (geteuid () == 0 && (setgid (65534) != 0 || setuid (65534) != 0))
        return 2;
    return !rp_store_open (&shelf->settings, s_text)
               && strstr (s_text, "cannot be opened for writing (Permission denied)")
             ? 0
             : 1;
}

static void s_want_no_rights (void)
{
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0)
        _exit (s_open_without_rights ());
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFEXITED (status));
    assert_int_equal (WEXITSTATUS (status), 0);
}

static void test_a_folder_without_rights_is_refused (void **state)
{
    (void) state;
    assert_int_equal (chmod (shelf->folder, 0555), 0);
    s_want_no_rights ();
    assert_int_equal (chmod (shelf->folder, 0755), 0);
}

static void test_a_file_without_rights_is_refused (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    test_shelf_close (shelf);
    assert_int_equal (chmod (shelf->path, 0444), 0);
    assert_int_equal (chmod (shelf->folder, 0777), 0);
    s_want_no_rights ();
}

static void test_a_file_in_use_is_refused (void **state)
{
    (void) state;
    int ready[2];
    char byte = 0;
    assert_int_equal (pipe (ready), 0);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        if (!rp_store_open (&shelf->settings, s_text) || write (ready[1], &byte, 1) != 1)
            _exit (1);
        for (;;)
            pause ();
    }
    close (ready[1]);
    assert_int_equal (read (ready[0], &byte, 1), 1);
    close (ready[0]);
    assert_null (rp_store_open (&shelf->settings, s_text));
    assert_non_null (strstr (s_text, "is in use by another process"));
    assert_false (rp_upkeep_check (shelf->path, s_text));
    assert_non_null (strstr (s_text, "is in use"));
    assert_false (rp_upkeep_compact (shelf->path, s_text));
    assert_int_equal (kill (child, SIGKILL), 0);
    assert_int_equal (waitpid (child, NULL, 0), child);
    test_shelf_open (shelf); // a dead process holds no lock
}

/*  ---- Damage ----------------------------------------------------------------------------------- */

static rp_store_span_t s_body (uint64_t place)
{
    static char bytes[256 + 3000];
    if (bytes[0] == 0)
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (char) (1 + at * 37 % 251);
    return (rp_store_span_t){.data = bytes + place % 251, .size = place * 7919 % 3000};
}

/*  Puts jobs, each in a transaction of its own, and ends every second one.  */
static bool s_fill (void)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    for (uint64_t place = 1; place <= S_JOBS; place++) {
        rp_store_span_t body = s_body (place);
        rp_store_op_t op = test_put (&job);
        op.number = ++shelf->number;
        if (!rp_store_submit (shelf->store, &op, &body, 1, NULL)
            || !test_shelf_take (shelf, &result) || result.id != place)
            return false;
        if (place % 2 != 0)
            continue;
        op = test_final (place, RP_OK);
        op.number = ++shelf->number;
        if (!rp_store_submit (shelf->store, &op, &body, 1, NULL)
            || !test_shelf_take (shelf, &result))
            return false;
    }
    return true;
}

static bool s_is_body (const rp_store_span_t *frames, size_t count, uint64_t place)
{
    rp_store_span_t body = s_body (place);
    return count == 1 && frames[0].size == body.size
           && memcmp (frames[0].data, body.data, body.size) == 0;
}

typedef enum { S_REFUSED, S_NOTICED, S_WHOLE, S_SHORTER, S_OUTCOMES } s_outcome_t;

/*  Opens the store and reads everything. Nothing may be other than it was; only the last transaction
    may be missing.  */
static s_outcome_t s_read_all (void)
{
    shelf->number = 0;
    shelf->store = rp_store_open (&shelf->settings, s_text);
    if (!shelf->store) {
        assert_string_not_equal (s_text, "");
        return S_REFUSED;
    }
    s_outcome_t outcome = S_WHOLE;
    for (uint64_t place = 1; place <= S_JOBS && outcome == S_WHOLE; place++) {
        rp_stored_t result =
          test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_FIND, .id = place}, NULL);
        if (result.outcome == RP_STORED_BROKEN) {
            outcome = S_NOTICED;
            break;
        }
        assert_int_equal (result.outcome, RP_STORED_SAFE);
        const rp_store_row_t *row = &result.rows->jobs[0];
        assert_true (s_is_body (row->body, row->body_count, place));
        if (place == S_JOBS && row->state == RP_JOB_WAITING) {
            outcome = S_SHORTER;
        }
        else {
            assert_int_equal (row->state, place % 2 ? RP_JOB_WAITING : RP_JOB_DONE);
            assert_true (place % 2 != 0 || s_is_body (row->reply, row->reply_count, place));
        }
        rp_stored_clear (&result);
    }
    if (outcome == S_NOTICED)
        assert_non_null (strstr (rp_store_trouble (shelf->store), "checksum"));
    test_shelf_close (shelf);
    return outcome;
}

/*  Changes a byte of one of the two files, reads everything, and restores both.  */
static s_outcome_t s_change (const char *path, size_t at, s_content_t *file, s_content_t *log)
{
    s_write_file (shelf->path, file);
    if (log)
        s_write_file (s_log_path (), log);
    else
        (void) unlink (s_log_path ());
    int descriptor = open (path, O_WRONLY);
    s_content_t *changed = path == shelf->path ? file : log;
    unsigned char byte = changed->bytes[at] ^ (unsigned char) (1 + s_chance (255));
    assert_int_equal (pwrite (descriptor, &byte, 1, (off_t) at), 1);
    close (descriptor);
    return s_read_all ();
}

static void test_a_changed_byte_of_the_file_is_noticed (void **state)
{
    (void) state;
    unsigned outcomes[S_OUTCOMES] = {0};
    shelf->settings.vfs = TEST_DISK; // without real syncs
    test_shelf_open (shelf);
    assert_true (s_fill ());
    test_shelf_close (shelf);
    s_content_t file = s_read_file (shelf->path);
    unsigned runs = getenv ("RIPOSTE_LONG") ? 10000 : 300;
    for (unsigned run = 0; run < runs; run++) {
        size_t at = run < 100 ? run : s_chance (file.size); // each byte of the header
        outcomes[s_change (shelf->path, at, &file, NULL)]++;
    }
    print_message ("%u changes: %u refused, %u noticed when read, %u of no consequence\n", runs,
      outcomes[S_REFUSED], outcomes[S_NOTICED], outcomes[S_WHOLE]);
    assert_int_equal (outcomes[S_SHORTER], 0);
    assert_true (outcomes[S_REFUSED] >= 100); // all of the header
    assert_true (outcomes[S_NOTICED] > runs / 4);
    free (file.bytes);
}

static void test_a_changed_byte_of_the_log_is_noticed (void **state)
{
    (void) state;
    unsigned outcomes[S_OUTCOMES] = {0};
    shelf->settings.vfs = TEST_DISK;
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        shelf->store = rp_store_open (&shelf->settings, s_text);
        _exit (shelf->store && s_fill () ? 0 : 1); // leaves the log behind
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    s_content_t file = s_read_file (shelf->path);
    s_content_t log = s_read_file (s_log_path ());
    assert_true (log.size > 500000);
    unsigned runs = getenv ("RIPOSTE_LONG") ? 10000 : 300;
    for (unsigned run = 0; run < runs; run++) {
        size_t at = run < 60 ? run : s_chance (log.size);
        outcomes[s_change (s_log_path (), at, &file, &log)]++;
    }
    print_message ("%u changes: %u refused, %u took the last transaction, %u of no consequence\n",
      runs, outcomes[S_REFUSED], outcomes[S_SHORTER], outcomes[S_WHOLE]);
    assert_int_equal (outcomes[S_NOTICED], 0);
    assert_true (
      outcomes[S_SHORTER] < runs / 20); // as many as the last of 120 has bytes, or some more
    assert_true (outcomes[S_WHOLE] < runs / 20);
    // And as it was, it is read.
    s_write_file (shelf->path, &file);
    s_write_file (s_log_path (), &log);
    assert_int_equal (s_read_all (), S_WHOLE);
    free (file.bytes);
    free (log.bytes);
}

static void test_a_torn_end_of_the_log_is_no_damage (void **state)
{
    (void) state;
    shelf->settings.vfs = TEST_DISK;
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        shelf->store = rp_store_open (&shelf->settings, s_text);
        _exit (shelf->store && s_fill () ? 0 : 1);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    // What a crash in the last write leaves: a part of the frame that commits.
    s_content_t log = s_read_file (s_log_path ());
    log.size -= 1000;
    s_write_file (s_log_path (), &log);
    free (log.bytes);
    assert_int_equal (s_read_all (), S_SHORTER);
}

/*  ---- Upkeep ----------------------------------------------------------------------------------- */

static void test_a_whole_store_passes_the_check (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    assert_true (s_fill ());
    test_shelf_close (shelf);
    assert_true (rp_upkeep_check (shelf->path, s_text));
    assert_non_null (strstr (s_text, "is whole: 40 waiting, 0 running, 40 ended, 0 dead"));
}

static void test_the_check_finds_tables_that_disagree (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    assert_true (s_fill ());
    test_shelf_close (shelf);
    sqlite3 *db;
    assert_int_equal (
      sqlite3_open_v2 (shelf->path, &db, SQLITE_OPEN_READWRITE, "riposte-sums-unix"), SQLITE_OK);
    assert_int_equal (
      sqlite3_exec (
        db, "PRAGMA locking_mode = EXCLUSIVE; DELETE FROM open WHERE id = 7", NULL, NULL, NULL),
      SQLITE_OK);
    sqlite3_close (db);
    assert_false (rp_upkeep_check (shelf->path, s_text));
    assert_non_null (strstr (s_text, "1 jobs neither open nor ended"));
}

static void test_a_backup_has_everything (void **state)
{
    (void) state;
    char copy[128];
    snprintf (copy, sizeof copy, "%s/copy", shelf->folder);
    test_shelf_open (shelf);
    assert_true (s_fill ());
    test_shelf_close (shelf);
    assert_true (rp_upkeep_backup (shelf->path, copy, s_text));
    assert_non_null (strstr (s_text, "80 jobs"));
    assert_false (rp_upkeep_backup (shelf->path, copy, s_text));
    assert_non_null (strstr (s_text, "is there already"));
    assert_true (rp_upkeep_check (copy, s_text));
    assert_int_equal (rename (copy, shelf->path), 0);
    assert_int_equal (s_read_all (), S_WHOLE);
}

/*  Puts jobs, and ends each, until the pipe is closed; after so many the other one gets a byte.  */
static void s_go_on (int told, int until)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    struct pollfd closed = {.fd = until, .events = POLLIN};
    for (uint64_t place = S_JOBS + 1; poll (&closed, 1, 0) == 0; place++) {
        rp_store_span_t body = s_body (place);
        rp_store_op_t ops[] = {test_put (&job), test_final (place, RP_OK)};
        for (unsigned step = 0; step < 2; step++) {
            ops[step].number = ++shelf->number;
            if (!rp_store_submit (shelf->store, &ops[step], &body, 1, NULL)
                || !test_shelf_take (shelf, &result) || result.outcome != RP_STORED_SAFE)
                return;
        }
        if (place == S_JOBS + S_BEFORE_COPY && write (told, "", 1) != 1)
            return;
    }
}

/*  A process that has the store and writes to it. *until: to be closed at its end. Returns when it has put so
    many jobs.  */
static pid_t s_begin_writer (int *until)
{
    int told[2], stop[2];
    char byte;
    assert_int_equal (pipe (told), 0);
    assert_int_equal (pipe (stop), 0);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        close (stop[1]);
        shelf->store = rp_store_open (&shelf->settings, s_text);
        if (!shelf->store || !s_fill ())
            _exit (1);
        s_go_on (told[1], stop[0]);
        rp_store_close (&shelf->store);
        _exit (0);
    }
    close (told[1]);
    close (stop[0]);
    assert_int_equal (read (told[0], &byte, 1), 1);
    close (told[0]);
    *until = stop[1];
    return child;
}

static void test_a_backup_is_made_while_the_store_is_written (void **state)
{
    (void) state;
    char copy[128];
    int until, status;
    snprintf (copy, sizeof copy, "%s/copy", shelf->folder);
    shelf->settings.unsynced = true;
    pid_t child = s_begin_writer (&until);
    assert_true (rp_upkeep_backup (shelf->path, copy, s_text));
    close (until);
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    assert_true (rp_upkeep_check (shelf->path, s_text));
    assert_true (rp_upkeep_check (copy, s_text));
    shelf->settings.path = copy;
    assert_int_equal (s_read_all (), S_WHOLE);
    test_shelf_open (shelf);
    rp_stored_t result;
    const rp_store_row_t *row;
    uint64_t place = S_JOBS + 1;
    for (; (row = test_shelf_find (shelf, place, &result)); place++) {
        assert_true (s_is_body (row->body, row->body_count, place));
        rp_stored_clear (&result);
    }
    assert_true (place > S_JOBS + S_BEFORE_COPY);
}

/*  Waits until there is no such file.  */
static void s_want_gone (const char *path)
{
    for (int64_t end = rp_clock_us () + INT64_C (1000) * TEST_SHELF_MS; access (path, F_OK) == 0;) {
        assert_true (rp_clock_us () < end);
        usleep (10000);
    }
}

static void test_a_backup_that_nobody_waits_for_is_not_made (void **state)
{
    (void) state;
    char asked[128], copied[128];
    snprintf (asked, sizeof asked, "%s-copy", shelf->path);
    snprintf (copied, sizeof copied, "%s-copied", shelf->path);
    test_shelf_open (shelf);
    close (open (asked, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    s_want_gone (asked);
    assert_int_equal (access (copied, F_OK), -1);
}

/*  SQLite's file format, 1.3: the pages of the free list, big-endian at byte 36.  */
static uint32_t s_free_pages (const s_content_t *file)
{
    return rp_get_u32 (file->bytes + 36);
}

/*  A store that has nothing else to do frees space, too, a little at a time; so how much is left to free is a matter of
    the machine.  */
static void test_compacting_frees_space (void **state)
{
    (void) state;
    test_shelf_open (shelf);
    assert_true (s_fill ());
    for (uint64_t id = 1; id <= S_JOBS; id += 2) {
        rp_store_op_t op = test_final (id, RP_WORKER_LOST);
        op.dead = true;
        test_shelf_want (shelf, RP_STORED_SAFE, op, NULL);
    }
    test_shelf_want (shelf, RP_STORED_SAFE, (rp_store_op_t){.kind = RP_STORE_PURGE}, NULL);
    test_shelf_close (shelf);
    s_content_t before = s_read_file (shelf->path);
    assert_true (rp_upkeep_compact (shelf->path, s_text));
    s_content_t after = s_read_file (shelf->path);
    assert_true (after.size < before.size || s_free_pages (&before) == 0);
    assert_int_equal (s_free_pages (&after), 0);
    free (before.bytes);
    free (after.bytes);
    assert_true (rp_upkeep_check (shelf->path, s_text));
    assert_non_null (strstr (s_text, "40 ended"));
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (test_another_programs_database_is_refused),
      S_TEST (test_a_file_of_something_else_is_refused),
      S_TEST (test_a_newer_format_is_refused),
      S_TEST (test_an_older_file_is_brought_up_to_date),
      S_TEST (test_a_store_has_a_secret_of_its_own_for_good),
      S_TEST (test_a_format_that_never_was_is_refused),
      S_TEST (test_no_file_at_all_is_refused),
      S_TEST (test_a_folder_without_rights_is_refused),
      S_TEST (test_a_file_without_rights_is_refused),
      S_TEST (test_a_file_in_use_is_refused),
      S_TEST (test_a_changed_byte_of_the_file_is_noticed),
      S_TEST (test_a_changed_byte_of_the_log_is_noticed),
      S_TEST (test_a_torn_end_of_the_log_is_no_damage),
      S_TEST (test_a_whole_store_passes_the_check),
      S_TEST (test_the_check_finds_tables_that_disagree),
      S_TEST (test_a_backup_has_everything),
      S_TEST (test_a_backup_is_made_while_the_store_is_written),
      S_TEST (test_a_backup_that_nobody_waits_for_is_not_made),
      S_TEST (test_compacting_frees_space),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
