/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/sqlite_file.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/page_sums.h"
#include "broker/store/wal_check.h"
#include "common/io/clock.h"

#define S_DAMAGED "restore a backup, or see what `riposte store check` says; nothing was changed"

/*  Each brings a file from the version that is its index to the next.

    jobs and finals are only appended to, and cleaned up: what changes in an open job is in `open`, a
    small row, so a large body is written once. An attempt that runs is in `open`, the last one of a job
    that has ended in `finals`, those that failed before in `attempts`. `listed`: LOAD gives the job,
    because it waits, or because it ran when the broker before ended; a job that goes to an idle worker
    at once is never in that index. `keys` is apart, since most jobs have none.

    secret: what makes ids of the numbers. `plain`: the last number that was told as it is.

    open_due has all that LOAD wants of `open`: with a million jobs nearly each row would be a page more.  */
static const char *const s_steps[] = {
  "CREATE TABLE jobs (id INTEGER PRIMARY KEY, service TEXT NOT NULL, principal TEXT NOT NULL,"
  " accepted INTEGER NOT NULL, not_before INTEGER NOT NULL, deadline INTEGER NOT NULL,"
  " attempts INTEGER NOT NULL, attempt_timeout INTEGER NOT NULL, backoff INTEGER NOT NULL,"
  " keep INTEGER NOT NULL, flags INTEGER NOT NULL, parent INTEGER NOT NULL, key BLOB, digest BLOB,"
  " headers BLOB, frames BLOB, body BLOB) STRICT;"
  "CREATE TABLE open (id INTEGER PRIMARY KEY, service TEXT NOT NULL, due INTEGER NOT NULL,"
  " attempt INTEGER NOT NULL, listed INTEGER NOT NULL, started INTEGER, worker TEXT,"
  " deadline INTEGER) STRICT;"
  "CREATE INDEX open_due ON open (service, due) WHERE listed;"
  "CREATE INDEX open_deadline ON open (deadline) WHERE deadline IS NOT NULL;"
  "CREATE TABLE attempts (job INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL,"
  " started INTEGER NOT NULL, ended INTEGER NOT NULL, status INTEGER NOT NULL, worker TEXT,"
  " text TEXT, PRIMARY KEY (job, place)) STRICT, WITHOUT ROWID;"
  "CREATE TABLE finals (id INTEGER PRIMARY KEY, until INTEGER NOT NULL, ended INTEGER NOT NULL,"
  " status INTEGER NOT NULL, code INTEGER NOT NULL, attempt INTEGER NOT NULL,"
  " dead INTEGER NOT NULL, child INTEGER NOT NULL, started INTEGER, worker TEXT, text TEXT,"
  " headers BLOB, frames BLOB, body BLOB) STRICT;"
  "CREATE INDEX finals_until ON finals (until);"
  "CREATE INDEX finals_dead ON finals (id) WHERE dead;"
  "CREATE TABLE keys (key BLOB NOT NULL, service TEXT NOT NULL, principal TEXT NOT NULL,"
  " job INTEGER NOT NULL, PRIMARY KEY (key, service, principal)) STRICT, WITHOUT ROWID;"
  "CREATE TABLE last (id INTEGER NOT NULL) STRICT;"
  "INSERT INTO last VALUES (0);",
  "CREATE TABLE secret (key BLOB NOT NULL, plain INTEGER NOT NULL) STRICT;",
  ("DROP INDEX open_due;"
   "CREATE INDEX open_due ON open (service, due, id, attempt, started, worker) WHERE listed;"),
};
#define S_VERSION ((int) (sizeof s_steps / sizeof *s_steps))
/*  From this version on there is a secret.  */
#define S_SECRET_VERSION 2

bool rp_sqlite_file_is_full (sqlite3 *db, int rc)
{
    if (rc == SQLITE_FULL)
        return true;
    int error = sqlite3_system_errno (db);
    return rc == SQLITE_IOERR && sqlite3_extended_errcode (db) == SQLITE_IOERR_WRITE
           && (error == ENOSPC || error == EDQUOT || error == EFBIG);
}

void rp_sqlite_file_explain (sqlite3 *db, int rc, char *text)
{
    int error = sqlite3_system_errno (db);
    if (rc == SQLITE_FULL) {
        snprintf (text, RP_STORE_TEXT, "no space is left on the disk");
    }
    else if (sqlite3_extended_errcode (db) == SQLITE_IOERR_DATA) {
        snprintf (text, RP_STORE_TEXT, "a page has a wrong checksum: the file is damaged");
    }
    else {
        const char *why = sqlite3_errmsg (db);
        snprintf (
          text, RP_STORE_TEXT, "%s%s%s", why, error ? ": " : "", error ? strerror (error) : "");
    }
}

int rp_sqlite_file_checkpoint (sqlite3 *db, bool whole)
{
    return sqlite3_wal_checkpoint_v2 (
      db, NULL, whole ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

void rp_sqlite_file_close (sqlite3 *db, bool sound)
{
    if (!sound)
        (void) sqlite3_db_config (db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void) sqlite3_close_v2 (db);
}

/*  Returns the number that a PRAGMA or a query gives; *rc: SQLITE_OK, or what failed.  */
static int64_t s_ask (sqlite3 *db, const char *sql, int *rc)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    *rc = sqlite3_prepare_v2 (db, sql, -1, &statement, NULL);
    if (*rc != SQLITE_OK)
        return 0;
    if (sqlite3_step (statement) == SQLITE_ROW)
        value = sqlite3_column_int64 (statement, 0);
    *rc = sqlite3_finalize (statement);
    return value;
}

/*  Returns the errno for which a file cannot be written or made: SQLite tells that of its last try, which
    is to read it.  */
static int s_access_error (const char *path)
{
    char *copy = strdup (path);
    int error = 0;
    if (euidaccess (path, R_OK | W_OK) != 0)
        error = errno;
    if (error == ENOENT && copy && euidaccess (dirname (copy), W_OK | X_OK) != 0)
        error = errno;
    free (copy);
    return error;
}

/*  Writes why the file cannot be opened. rc: of the call that failed.  */
static void s_refuse (sqlite3 *db, int rc, const char *path, char *text)
{
    int error = sqlite3_system_errno (db);
    int denied = s_access_error (path);
    char why[RP_STORE_TEXT / 2];
    snprintf (why, sizeof why, "%s", sqlite3_errmsg (db));
    if (rc == SQLITE_BUSY)
        snprintf (text, RP_STORE_TEXT,
          "%s is in use by another process; each broker needs a file of its own", path);
    else if (rc == SQLITE_NOTADB)
        snprintf (text, RP_STORE_TEXT,
          "%s is not a store, or its first page is damaged; give another FILE, or restore a backup",
          path);
    else if (rc == SQLITE_CORRUPT || sqlite3_extended_errcode (db) == SQLITE_IOERR_DATA)
        snprintf (text, RP_STORE_TEXT, "%s is damaged (%s); " S_DAMAGED, path,
          rc == SQLITE_CORRUPT ? why : "a page has a wrong checksum");
    else if (rc == SQLITE_CANTOPEN || rc == SQLITE_PERM || rc == SQLITE_READONLY)
        snprintf (text, RP_STORE_TEXT,
          "%s cannot be opened for writing (%s); the broker needs the right to write it and its "
          "folder",
          path, denied ? strerror (denied) : why);
    else if (rc == SQLITE_FULL)
        snprintf (text, RP_STORE_TEXT, "%s cannot be opened: no space is left on the disk", path);
    else
        snprintf (text, RP_STORE_TEXT, "%s cannot be opened: %s%s%s", path, why, error ? ": " : "",
          error ? strerror (error) : "");
}

/*  Sets what is set anew at each opening. Takes the lock: with the first read.  */
static int s_set_up (sqlite3 *db, const rp_store_settings_t *settings)
{
    char sql[512];
    int bytes = RP_PAGE_SUM;
    // The lock's mode comes first: then no shared memory is asked for.
    int rc = sqlite3_file_control (db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
    if (rc == SQLITE_NOTFOUND)
        rc = SQLITE_OK;
    snprintf (sql, sizeof sql,
      "PRAGMA locking_mode = EXCLUSIVE;"
      "PRAGMA page_size = 4096;"
      "PRAGMA synchronous = %s;"
      "PRAGMA wal_autocheckpoint = 0;"
      "PRAGMA cache_size = -16384;"
      "PRAGMA temp_store = MEMORY;"
      "PRAGMA trusted_schema = OFF;"
      "PRAGMA cell_size_check = ON;",
      settings->unsynced ? "OFF" : "FULL");
    return rc == SQLITE_OK ? sqlite3_exec (db, sql, NULL, NULL, NULL) : rc;
}

/*  Draws the secret of a store that has none. Returns SQLite's code.  */
static int s_draw_secret (sqlite3 *db)
{
    const uint64_t key[2] = {rp_clock_entropy (), rp_clock_entropy ()};
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2 (db,
      "INSERT INTO secret SELECT ?1, max (last.id, ifnull ((SELECT max (id) FROM jobs), 0)) FROM "
      "last",
      -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    (void) sqlite3_bind_blob (statement, 1, key, sizeof key, SQLITE_STATIC);
    (void) sqlite3_step (statement);
    return sqlite3_finalize (statement);
}

/*  Makes the tables of a new file, or brings them up to date. In one transaction, with a rollback
    journal in a new file: a crash leaves it empty or whole.  */
static int s_migrate (sqlite3 *db, int64_t version)
{
    char sql[64];
    // Sets how pages are given back, in the transaction too: it must come before the first page.
    int rc = sqlite3_exec (db,
      version == 0 ? "BEGIN; PRAGMA auto_vacuum = INCREMENTAL" : "BEGIN IMMEDIATE", NULL, NULL,
      NULL);
    for (int64_t step = version; rc == SQLITE_OK && step < S_VERSION; step++)
        rc = sqlite3_exec (db, s_steps[step], NULL, NULL, NULL);
    if (rc == SQLITE_OK && version < S_SECRET_VERSION)
        rc = s_draw_secret (db);
    snprintf (sql, sizeof sql, "PRAGMA application_id = %d", RP_STORE_APPLICATION_ID);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec (db, sql, NULL, NULL, NULL);
    snprintf (sql, sizeof sql, "PRAGMA user_version = %d; COMMIT", S_VERSION);
    return rc == SQLITE_OK ? sqlite3_exec (db, sql, NULL, NULL, NULL) : rc;
}

/*  Looks at the write-ahead log. False: text says what is wrong with it.  */
static bool s_check_log (sqlite3 *db, char *text)
{
    const char *log = sqlite3_filename_wal (sqlite3_db_filename (db, "main"));
    uint64_t at = 0;
    rp_wal_state_t state = rp_wal_check (log, &at);
    if (state == RP_WAL_DAMAGED)
        snprintf (text, RP_STORE_TEXT,
          "%s is damaged at byte %" PRIu64 ", and what was written to it after that would be lost; "
          "restore a backup, or move it away to go on without it",
          log, at);
    else if (state == RP_WAL_UNREAD)
        snprintf (text, RP_STORE_TEXT, "%s cannot be read: %s", log, strerror (errno));
    return state == RP_WAL_SOUND;
}

/*  Finds out what the file is: *version is 0 if it is new. False with text if it is no store that this
    version knows.  */
static bool s_identify (sqlite3 *db, const char *path, int64_t *version, char *text)
{
    int rc;
    int64_t tables = s_ask (db, "SELECT count(*) FROM sqlite_schema", &rc);
    int64_t id = rc == SQLITE_OK ? s_ask (db, "PRAGMA application_id", &rc) : 0;
    *version = rc == SQLITE_OK ? s_ask (db, "PRAGMA user_version", &rc) : 0;
    if (rc != SQLITE_OK) {
        s_refuse (db, rc, path, text);
        return false;
    }
    if (id == 0 && *version == 0 && tables == 0)
        return true;
    if (id != RP_STORE_APPLICATION_ID) {
        snprintf (text, RP_STORE_TEXT,
          "%s is a database of another program, not a store of jobs; give another FILE", path);
        return false;
    }
    if (*version > S_VERSION) {
        snprintf (text, RP_STORE_TEXT,
          "%s was written by a newer riposte (format %" PRId64
          "; this one knows up to %d); install "
          "that one, or give another FILE",
          path, *version, S_VERSION);
        return false;
    }
    if (*version < 1) {
        snprintf (text, RP_STORE_TEXT, "%s has a format that never was (%" PRId64 "); " S_DAMAGED,
          path, *version);
        return false;
    }
    return true;
}

int rp_sqlite_file_take_in (sqlite3 *db)
{
    int rc = rp_sqlite_file_checkpoint (db, true);
    return rp_sqlite_file_is_full (db, rc) ? SQLITE_OK : rc;
}

/*  Makes a store of a new file, or brings an older one up to date. Returns SQLite's code.  */
static int s_take_over (sqlite3 *db, int64_t version)
{
    int rc = version < S_VERSION ? s_migrate (db, version) : SQLITE_OK;
    // Also takes the lock where nothing was read: an empty log.
    if (rc == SQLITE_OK)
        rc =
          sqlite3_exec (db, "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL);
    return rc;
}

static bool s_know (sqlite3 *db, const rp_store_settings_t *settings, bool create, char *text)
{
    const char *path = settings->path;
    int64_t version;
    if (!s_identify (db, path, &version, text))
        return false;
    if (version < S_VERSION && !create) {
        snprintf (text, RP_STORE_TEXT, "%s %s", path,
          version == 0 ? "is empty, and no store of jobs"
                       : "is of an older riposte; a broker that opens it brings it up to date");
        return false;
    }
    if (!s_check_log (db, text))
        return false;
    int rc = s_take_over (db, version);
    if (rc == SQLITE_OK && !create) // a broker does it while it serves
        rc = rp_sqlite_file_take_in (db);
    if (rc != SQLITE_OK)
        s_refuse (db, rc, path, text);
    return rc == SQLITE_OK;
}

sqlite3 *rp_sqlite_file_open (const rp_store_settings_t *settings, bool create, char *text)
{
    const char *vfs = rp_page_sums_vfs (settings->vfs);
    sqlite3 *db = NULL;
    text[0] = '\0';
    if (!vfs) {
        snprintf (text, RP_STORE_TEXT, "out of memory");
        return NULL;
    }
    int rc = sqlite3_open_v2 (settings->path, &db,
      SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX, vfs);
    if (!db) {
        snprintf (text, RP_STORE_TEXT, "out of memory");
        return NULL;
    }
    const char *file = sqlite3_db_filename (db, "main");
    if (rc == SQLITE_OK && (!file || file[0] == '\0')) {
        snprintf (
          text, RP_STORE_TEXT, "\"%s\" is no file; give a path, such as ./jobs.db", settings->path);
        rp_sqlite_file_close (db, false);
        return NULL;
    }
    if (rc == SQLITE_OK && sqlite3_db_readonly (db, "main") != 0)
        rc = SQLITE_READONLY;
    if (rc == SQLITE_OK)
        rc = s_set_up (db, settings);
    if (rc != SQLITE_OK)
        s_refuse (db, rc, settings->path, text);
    else if (s_know (db, settings, create, text))
        return db;
    bool busy = (sqlite3_errcode (db) & 0xff) == SQLITE_BUSY;
    rp_sqlite_file_close (db, false);
    errno = busy ? EBUSY : EIO;
    return NULL;
}
