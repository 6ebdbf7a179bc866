/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/sqlite_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/page_sums.h"
#include "broker/store/sqlite_file.h"
#include "common/io/clock.h"

#define S_ASKED "-copy"
#define S_DONE "-copied"
/*  Pages of a step: bounds the wait of others. As many are written again when the cache is full.  */
#define S_STEP 64
/*  Until the process that has the store takes notice of the file, and looks whether it is done, µs.  */
#define S_PATIENCE_US 10000000
#define S_LOOK_US 20000
/*  Until a file that asks is locked, seconds.  */
#define S_YOUNG 3

struct rp_sqlite_copy {
    sqlite3 *db;
    sqlite3_backup *backup;
    const char *path; /* of the store */
    char asked[PATH_MAX];
    char done[PATH_MAX];
};

static bool s_name (char *name, const char *path, const char *end)
{
    return (size_t) snprintf (name, PATH_MAX, "%s%s", path, end) < PATH_MAX;
}

/*  ---- The process that has the store ---------------------------------------------------------- */

/*  True if somebody waits for the file who may have it: in a folder that others write to, it may be anybody's.
    *young: it has only just been made.  */
static bool s_is_awaited (const char *path, const char *asked, bool *young)
{
    struct stat store, status;
    *young = false;
    int descriptor = open (asked, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return false;
    bool known = fstat (descriptor, &status) == 0 && S_ISREG (status.st_mode)
                 && status.st_nlink == 1 && stat (path, &store) == 0
                 && (status.st_uid == geteuid () || status.st_uid == store.st_uid);
    if (known)
        *young = labs (time (NULL) - status.st_ctime) < S_YOUNG;
    bool awaited = known && flock (descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close (descriptor);
    return awaited;
}

/*  Opens the file to be filled. Nothing is synced here: that waits for the disk, so who asked does it.  */
static bool s_open (rp_sqlite_copy_t *self, sqlite3 *source, const char *vfs)
{
    int bytes = RP_PAGE_SUM;
    if (sqlite3_open_v2 (self->asked, &self->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
          rp_page_sums_vfs (vfs))
        != SQLITE_OK)
        return false;
    int rc = sqlite3_file_control (self->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
    if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND)
        return false;
    if (sqlite3_exec (self->db,
          "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 4096; PRAGMA synchronous = OFF;"
          "PRAGMA journal_mode = OFF; PRAGMA cache_size = -1024",
          NULL, NULL, NULL)
        != SQLITE_OK)
        return false;
    self->backup = sqlite3_backup_init (self->db, "main", source, "main");
    return self->backup != NULL;
}

/*  Ends the copy: it is whole, or goes.  */
static void s_end (rp_sqlite_copy_t **self_p, bool whole)
{
    rp_sqlite_copy_t *self = *self_p;
    *self_p = NULL;
    if (self->backup)
        whole = sqlite3_backup_finish (self->backup) == SQLITE_OK && whole;
    whole = sqlite3_close (self->db) == SQLITE_OK && whole;
    bool young;
    if (!whole || !s_is_awaited (self->path, self->asked, &young)
        || rename (self->asked, self->done) != 0)
        (void) unlink (self->asked);
    free (self);
}

rp_sqlite_copy_t *rp_sqlite_copy_begin (sqlite3 *db, const char *vfs)
{
    const char *path = sqlite3_db_filename (db, "main");
    char asked[PATH_MAX];
    bool young;
    if (!path || !s_name (asked, path, S_ASKED) || access (asked, F_OK) != 0)
        return NULL;
    bool awaited = s_is_awaited (path, asked, &young);
    if (!awaited && young) // it is locked in a moment
        return NULL;
    rp_sqlite_copy_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->path = path;
    memcpy (self->asked, asked, sizeof asked);
    if (!awaited || !s_name (self->done, path, S_DONE) || !s_open (self, db, vfs))
        s_end (&self, false);
    return self;
}

bool rp_sqlite_copy_step (rp_sqlite_copy_t **self_p)
{
    int rc = sqlite3_backup_step ((*self_p)->backup, S_STEP);
    if (rc == SQLITE_OK)
        return true;
    s_end (self_p, rc == SQLITE_DONE);
    return false;
}

void rp_sqlite_copy_break (rp_sqlite_copy_t **self_p)
{
    if (*self_p)
        s_end (self_p, false);
}

/*  ---- The process that wants a copy ------------------------------------------------------------ */

/*  Makes the file that asks, for the owner of the store, and locks it. Returns its descriptor; -1 with errno.  */
static int s_make (const char *path, const char *asked)
{
    struct stat status;
    if (stat (path, &status) != 0)
        return -1;
    bool young;
    int descriptor = open (asked, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST && !s_is_awaited (path, asked, &young) && !young
        && unlink (asked) == 0)
        descriptor = open (asked, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return -1;
    if ((status.st_uid != geteuid () && fchown (descriptor, status.st_uid, status.st_gid) != 0)
        || flock (descriptor, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        (void) unlink (asked);
        close (descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

static bool s_is_same (int descriptor, const char *name)
{
    struct stat mine, other;
    return fstat (descriptor, &mine) == 0 && stat (name, &other) == 0 && mine.st_ino == other.st_ino
           && mine.st_dev == other.st_dev;
}

/*  Waits until the file has its other name. False with text.  */
static bool s_wait (
  int descriptor, const char *path, const char *asked, const char *done, char *text)
{
    int64_t until = rp_clock_us () + S_PATIENCE_US;
    struct stat status = {0};
    while (!s_is_same (descriptor, done)) {
        if (fstat (descriptor, &status) != 0 || status.st_nlink == 0) {
            snprintf (text, RP_STORE_TEXT,
              "the broker could not copy %.300s: there is no space left beside it, or it is "
              "damaged, or the broker ended; make room, or see the broker's log",
              path);
            return false;
        }
        if (status.st_size == 0 && rp_clock_us () > until) {
            (void) unlink (asked);
            snprintf (text, RP_STORE_TEXT,
              "%.300s is in use by another process, which does not copy it; a broker of this "
              "version does",
              path);
            return false;
        }
        usleep (S_LOOK_US);
    }
    return true;
}

/*  Looks whether there is space for a copy beside the store, so that the broker does not use up the last of its disk in
    finding out. It has the pages of the file and, at most, all of its log. False with text.  */
static bool s_has_space (const char *path, char *text)
{
    struct stat file, log;
    struct statvfs disk;
    char name[PATH_MAX];
    if (!s_name (name, path, "-wal") || stat (name, &log) != 0)
        log.st_size = 0;
    if (stat (path, &file) != 0 || statvfs (path, &disk) != 0) {
        snprintf (text, RP_STORE_TEXT, "%.300s: %s", path, strerror (errno));
        return false;
    }
    double space = (double) disk.f_bavail * (double) disk.f_frsize;
    double size = (double) file.st_size + (double) log.st_size;
    if (space >= size)
        return true;
    snprintf (text, RP_STORE_TEXT,
      "the broker makes the copy beside %.300s, which may take %.1f MB, and there is space for "
      "%.1f MB; "
      "make room, or end the broker to copy straight to another disk",
      path, size / 1e6, space / 1e6);
    return false;
}

/*  Copies the bytes of a file to a new one. False with errno.  */
static bool s_carry (int from, const char *target)
{
    char bytes[65536];
    int to = open (target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return false;
    ssize_t size, done = 0;
    off_t at = 0;
    while (done >= 0 && (size = pread (from, bytes, sizeof bytes, at)) != 0) {
        done = size > 0 ? write (to, bytes, (size_t) size) : -1;
        at += done; // a disk that is nearly full takes a part, and says why with the next write
    }
    int error = done < 0 ? errno : 0;
    if (close (to) != 0 && error == 0)
        error = errno;
    if (error != 0)
        (void) unlink (target);
    errno = error;
    return error == 0;
}

bool rp_sqlite_copy_ask (const char *path, const char *target, char *text)
{
    char asked[PATH_MAX], done[PATH_MAX];
    if (!s_name (asked, path, S_ASKED) || !s_name (done, path, S_DONE)) {
        snprintf (text, RP_STORE_TEXT, "the path of the store is too long");
        return false;
    }
    if (!s_has_space (path, text))
        return false;
    int descriptor = s_make (path, asked);
    if (descriptor < 0) {
        snprintf (text, RP_STORE_TEXT, "the broker cannot be asked for a copy: %.300s: %s", asked,
          errno == EEXIST ? "a copy is being made" : strerror (errno));
        return false;
    }
    bool copied = s_wait (descriptor, path, asked, done, text);
    if (copied && rename (done, target) != 0) {
        // Another file system, most likely.
        copied = s_carry (descriptor, target);
        if (!copied)
            snprintf (text, RP_STORE_TEXT,
              "%.300s cannot be written: %s; make room, or give another file", target,
              strerror (errno));
        (void) unlink (done);
    }
    close (descriptor);
    return copied;
}
