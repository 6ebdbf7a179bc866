/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/sqlite_copy.h"
#include "broker/store/sqlite_file.h"

/*  What the tables have to agree on: SQL that counts what does not, and what that is.  */
static const struct {
    const char *sql;
    const char *what;
} s_rules[] = {
  {"SELECT count(*) FROM open WHERE id NOT IN (SELECT id FROM jobs)", "open jobs without content"},
  {"SELECT count(*) FROM finals WHERE id NOT IN (SELECT id FROM jobs)", "finals without a job"},
  {"SELECT count(*) FROM open WHERE id IN (SELECT id FROM finals)", "jobs both open and ended"},
  {"SELECT count(*) FROM jobs WHERE id NOT IN (SELECT id FROM open)"
   " AND id NOT IN (SELECT id FROM finals)",
    "jobs neither open nor ended"},
  {"SELECT count(*) FROM keys WHERE job NOT IN (SELECT id FROM jobs)", "keys without a job"},
};

/*  Returns the number that a query gives; -1 if it fails.  */
static int64_t s_count (sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t count = -1;
    if (sqlite3_prepare_v2 (db, sql, -1, &statement, NULL) == SQLITE_OK
        && sqlite3_step (statement) == SQLITE_ROW)
        count = sqlite3_column_int64 (statement, 0);
    return sqlite3_finalize (statement) == SQLITE_OK ? count : -1;
}

static void s_say_error (sqlite3 *db, const char *path, char *text)
{
    char why[RP_STORE_TEXT];
    rp_sqlite_file_explain (db, sqlite3_errcode (db), why);
    snprintf (text, RP_STORE_TEXT, "%s: %.200s", path, why);
}

/*  SQLite's own check. False with text.  */
static bool s_check_pages (sqlite3 *db, const char *path, char *text)
{
    sqlite3_stmt *statement = NULL;
    bool whole = false;
    if (sqlite3_prepare_v2 (db, "PRAGMA integrity_check (1)", -1, &statement, NULL) == SQLITE_OK
        && sqlite3_step (statement) == SQLITE_ROW) {
        const char *word = (const char *) sqlite3_column_text (statement, 0);
        whole = word && strcmp (word, "ok") == 0;
        if (!whole)
            snprintf (text, RP_STORE_TEXT, "%s is damaged (%.200s); restore a backup", path,
              word ? word : "out of memory");
    }
    if (sqlite3_finalize (statement) != SQLITE_OK) {
        whole = false;
        s_say_error (db, path, text);
    }
    return whole;
}

static bool s_check (sqlite3 *db, const char *path, char *text)
{
    if (!s_check_pages (db, path, text))
        return false;
    for (size_t rule = 0; rule < sizeof s_rules / sizeof *s_rules; rule++) {
        int64_t count = s_count (db, s_rules[rule].sql);
        if (count < 0)
            s_say_error (db, path, text);
        else if (count > 0)
            snprintf (text, RP_STORE_TEXT, "%s is damaged: %" PRId64 " %s; restore a backup", path,
              count, s_rules[rule].what);
        if (count != 0)
            return false;
    }
    snprintf (text, RP_STORE_TEXT,
      "%s is whole: %" PRId64 " waiting, %" PRId64 " running, %" PRId64 " ended, %" PRId64
      " dead; %.1f MB, %.1f MB of them free",
      path, s_count (db, "SELECT count(*) FROM open WHERE started IS NULL"),
      s_count (db, "SELECT count(*) FROM open WHERE started IS NOT NULL"),
      s_count (db, "SELECT count(*) FROM finals WHERE NOT dead"),
      s_count (db, "SELECT count(*) FROM finals WHERE dead"),
      (double) s_count (db, "PRAGMA page_count") * 4096 / 1e6,
      (double) s_count (db, "PRAGMA freelist_count") * 4096 / 1e6);
    return true;
}

bool rp_upkeep_check (const char *path, char *text)
{
    if (rp_postgres_is_url (path))
        return rp_postgres_check (path, text);
    const rp_store_settings_t settings = {.path = path};
    sqlite3 *db = rp_sqlite_file_open (&settings, false, text);
    if (!db)
        return false;
    bool whole = s_check (db, path, text);
    rp_sqlite_file_close (db, whole);
    return whole;
}

/*  Syncs a file or a folder. False with errno.  */
static bool s_sync (const char *path)
{
    int descriptor = open (path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    int rc = fsync (descriptor);
    int error = errno;
    close (descriptor);
    errno = error;
    return rc == 0;
}

static bool s_sync_folder (const char *path)
{
    char *copy = strdup (path);
    bool synced = copy && s_sync (dirname (copy));
    free (copy);
    return synced;
}

static bool s_copy (sqlite3 *db, const char *path, const char *part, char *text)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2 (db, "VACUUM INTO ?1", -1, &statement, NULL) == SQLITE_OK) {
        (void) sqlite3_bind_text (statement, 1, part, -1, SQLITE_STATIC);
        (void) sqlite3_step (statement);
        if (sqlite3_finalize (statement) == SQLITE_OK)
            return true;
    }
    s_say_error (db, path, text);
    return false;
}

/*  Copies to a new file: itself, or by way of the broker that has the store.  */
static bool s_copy_any (const char *path, const char *part, char *text)
{
    const rp_store_settings_t settings = {.path = path};
    errno = 0;
    sqlite3 *db = rp_sqlite_file_open (&settings, false, text);
    if (!db) // a broker that copies reads pages, and not whether they agree
        return errno == EBUSY && rp_sqlite_copy_ask (path, part, text)
               && rp_upkeep_check (part, text);
    bool copied = s_copy (db, path, part, text);
    rp_sqlite_file_close (db, true);
    return copied;
}

/*  Says how many jobs a new copy has. False with text.  */
static bool s_count_copied (const char *path, const char *part, const char *target, char *text)
{
    const rp_store_settings_t settings = {.path = part};
    sqlite3 *db = rp_sqlite_file_open (&settings, false, text);
    if (!db)
        return false;
    snprintf (text, RP_STORE_TEXT, "%s is a copy of %s: %" PRId64 " jobs", target, path,
      s_count (db, "SELECT count(*) FROM jobs"));
    rp_sqlite_file_close (db, true);
    return true;
}

/*  What PostgreSQL has its own tools for. Always false.  */
static bool s_leave_it (const char *what, char *text)
{
    snprintf (text, RP_STORE_TEXT, "a store in PostgreSQL is kept by PostgreSQL: %s", what);
    return false;
}

/*  Copies under another name, and gives the copy its name when it is on disk.  */
bool rp_upkeep_backup (const char *path, const char *target, char *text)
{
    char part[PATH_MAX];
    struct stat status;
    if (rp_postgres_is_url (path))
        return s_leave_it (
          "copy it with the database's own tools, such as: pg_dump --schema=riposte", text);
    if ((size_t) snprintf (part, sizeof part, "%s.part", target) >= sizeof part) {
        snprintf (text, RP_STORE_TEXT, "the path of the backup is too long");
        return false;
    }
    if (lstat (target, &status) == 0) {
        snprintf (text, RP_STORE_TEXT, "%s is there already; give another file", target);
        return false;
    }
    (void) unlink (part); // of a backup that was broken off
    bool copied = s_copy_any (path, part, text) && s_count_copied (path, part, target, text);
    // link, not rename: it does not take the place of a file.
    if (copied && (!s_sync (part) || link (part, target) != 0 || !s_sync_folder (target))) {
        snprintf (text, RP_STORE_TEXT, "%s: %s", target, strerror (errno));
        copied = false;
    }
    (void) unlink (part);
    return copied;
}

bool rp_upkeep_compact (const char *path, char *text)
{
    const rp_store_settings_t settings = {.path = path};
    if (rp_postgres_is_url (path))
        return s_leave_it (
          "its autovacuum frees space; VACUUM FULL gives it back, and stops the jobs meanwhile",
          text);
    sqlite3 *db = rp_sqlite_file_open (&settings, false, text);
    if (!db)
        return false;
    double before = (double) s_count (db, "PRAGMA page_count") * 4096 / 1e6;
    bool sound = sqlite3_exec (db, "VACUUM", NULL, NULL, NULL) == SQLITE_OK
                 && rp_sqlite_file_checkpoint (db, true) == SQLITE_OK;
    if (sound)
        snprintf (text, RP_STORE_TEXT, "%s has %.1f MB now, and had %.1f", path,
          (double) s_count (db, "PRAGMA page_count") * 4096 / 1e6, before);
    else
        s_say_error (db, path, text);
    rp_sqlite_file_close (db, sound);
    return sound;
}

bool rp_upkeep_init (const char *url, char *text)
{
    if (rp_postgres_is_url (url))
        return rp_postgres_migrate (url, true, text);
    snprintf (text, RP_STORE_TEXT,
      "\"%s\" is no URL, such as postgresql://host/database; a file is made by the broker that "
      "opens it",
      url);
    return false;
}

bool rp_upkeep_migrate (const char *url, char *text)
{
    if (rp_postgres_is_url (url))
        return rp_postgres_migrate (url, false, text);
    snprintf (text, RP_STORE_TEXT,
      "\"%s\" is no URL, such as postgresql://host/database; a file is brought up to date by the "
      "broker that opens it",
      url);
    return false;
}
