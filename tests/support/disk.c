/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "common/base/check.h"

test_disk_t test_disk;

/*  A write that is not synced; without data: the file was made larger or smaller.  */
typedef struct s_write {
    struct s_write *next;
    sqlite3_int64 offset;
    int size; /* -1: truncation to offset */
    unsigned char data[];
} s_write_t;

typedef struct {
    sqlite3_file base;
    s_write_t *first;
    s_write_t **last;
    sqlite3_int64 size; /* with what is not synced */
    bool main;          /* the database itself */
} s_file_t;

static sqlite3_vfs *s_below;

static sqlite3_file *s_real (sqlite3_file *file)
{
    return (sqlite3_file *) ((s_file_t *) file + 1);
}

static uint64_t s_chance (uint64_t bound)
{
    test_disk.chance ^= test_disk.chance << 13;
    test_disk.chance ^= test_disk.chance >> 7;
    test_disk.chance ^= test_disk.chance << 17;
    return test_disk.chance % bound;
}

/*  Counts a call; true if it is the one that fails.  */
static bool s_fails (void)
{
    return ++test_disk.calls == test_disk.fails;
}

static int s_apply (sqlite3_file *real, const s_write_t *write)
{
    return write->size < 0 ? real->pMethods->xTruncate (real, write->offset)
                           : real->pMethods->xWrite (real, write->data, write->size, write->offset);
}

static s_write_t *s_add (s_file_t *self, const void *data, int size, sqlite3_int64 offset)
{
    s_write_t *write = malloc (sizeof *write + (size > 0 ? (size_t) size : 0));
    RP_CHECK (write != NULL);
    *write = (s_write_t){.offset = offset, .size = size};
    if (size > 0)
        memcpy (write->data, data, (size_t) size);
    *self->last = write;
    self->last = &write->next;
    return write;
}

/*  Gives everything to the file, or forgets it.  */
static int s_flush (s_file_t *self, sqlite3_file *real, bool give)
{
    int rc = SQLITE_OK;
    while (self->first) {
        s_write_t *write = self->first;
        if (rc == SQLITE_OK && give)
            rc = s_apply (real, write);
        self->first = write->next;
        free (write);
    }
    self->last = &self->first;
    return rc;
}

static int s_close (sqlite3_file *file)
{
    s_file_t *self = (s_file_t *) file;
    // A process that ends in good order loses nothing.
    (void) s_flush (self, s_real (file), true);
    return s_real (file)->pMethods->xClose (s_real (file));
}

static int s_read (sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
    s_file_t *self = (s_file_t *) file;
    int rc = s_real (file)->pMethods->xRead (s_real (file), buffer, size, offset);
    if (!self->first || (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ))
        return rc;
    sqlite3_int64 end = offset + size;
    for (s_write_t *write = self->first; write; write = write->next) {
        sqlite3_int64 from = write->offset > offset ? write->offset : offset;
        sqlite3_int64 to = write->size < 0 ? end : write->offset + write->size;
        to = to < end ? to : end;
        if (from >= to)
            continue;
        if (write->size < 0)
            memset ((char *) buffer + (from - offset), 0, (size_t) (to - from));
        else
            memcpy ((char *) buffer + (from - offset), write->data + (from - write->offset),
              (size_t) (to - from));
    }
    return end <= self->size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int s_fail_write (sqlite3_file *file, const void *buffer, int size, sqlite3_int64 offset)
{
    if (test_disk.fault == TEST_DISK_SHORT)
        (void) s_real (file)->pMethods->xWrite (s_real (file), buffer, size / 2, offset);
    return test_disk.fault == TEST_DISK_EIO || test_disk.fault == TEST_DISK_LOST
             ? SQLITE_IOERR_WRITE
             : SQLITE_FULL;
}

static int s_write (sqlite3_file *file, const void *buffer, int size, sqlite3_int64 offset)
{
    s_file_t *self = (s_file_t *) file;
    if (s_fails ())
        return s_fail_write (file, buffer, size, offset);
    if (test_disk.full) {
        sqlite3_int64 now = 0;
        (void) s_real (file)->pMethods->xFileSize (s_real (file), &now);
        if (offset + size > now)
            return SQLITE_FULL;
    }
    if (!test_disk.forgetful)
        return s_real (file)->pMethods->xWrite (s_real (file), buffer, size, offset);
    const s_write_t *write = s_add (self, buffer, size, offset);
    if (offset + size > self->size)
        self->size = offset + size;
    return s_chance (4) == 0 ? s_apply (s_real (file), write) : SQLITE_OK;
}

static int s_truncate (sqlite3_file *file, sqlite3_int64 size)
{
    s_file_t *self = (s_file_t *) file;
    if (s_fails ())
        return SQLITE_IOERR_TRUNCATE;
    if (!test_disk.forgetful)
        return s_real (file)->pMethods->xTruncate (s_real (file), size);
    (void) s_add (self, NULL, -1, size);
    self->size = size;
    return SQLITE_OK;
}

static int s_sync (sqlite3_file *file, int flags)
{
    s_file_t *self = (s_file_t *) file;
    (void) flags; // the process is killed, not the machine
    bool fails = s_fails ();
    if (self->main)
        fails |= ++test_disk.checkpoint_syncs == test_disk.fails_checkpoint;
    if (fails) {
        if (test_disk.fault == TEST_DISK_LOST) {
            (void) s_flush (self, s_real (file), false);
            (void) s_real (file)->pMethods->xFileSize (s_real (file), &self->size);
        }
        return SQLITE_IOERR_FSYNC;
    }
    test_disk.syncs++;
    return s_flush (self, s_real (file), true);
}

static int s_file_size (sqlite3_file *file, sqlite3_int64 *size)
{
    s_file_t *self = (s_file_t *) file;
    if (!test_disk.forgetful)
        return s_real (file)->pMethods->xFileSize (s_real (file), size);
    *size = self->size;
    return SQLITE_OK;
}

static int s_lock (sqlite3_file *file, int level)
{
    return s_real (file)->pMethods->xLock (s_real (file), level);
}

static int s_unlock (sqlite3_file *file, int level)
{
    return s_real (file)->pMethods->xUnlock (s_real (file), level);
}

static int s_check_lock (sqlite3_file *file, int *reserved)
{
    return s_real (file)->pMethods->xCheckReservedLock (s_real (file), reserved);
}

static int s_control (sqlite3_file *file, int op, void *arg)
{
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK;
    return s_real (file)->pMethods->xFileControl (s_real (file), op, arg);
}

static int s_sector_size (sqlite3_file *file)
{
    return s_real (file)->pMethods->xSectorSize (s_real (file));
}

static int s_traits (sqlite3_file *file)
{
    return s_real (file)->pMethods->xDeviceCharacteristics (s_real (file));
}

static const sqlite3_io_methods s_methods = {
  .iVersion = 1,
  .xClose = s_close,
  .xRead = s_read,
  .xWrite = s_write,
  .xTruncate = s_truncate,
  .xSync = s_sync,
  .xFileSize = s_file_size,
  .xLock = s_lock,
  .xUnlock = s_unlock,
  .xCheckReservedLock = s_check_lock,
  .xFileControl = s_control,
  .xSectorSize = s_sector_size,
  .xDeviceCharacteristics = s_traits,
};

static int s_open (sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out)
{
    s_file_t *self = (s_file_t *) file;
    (void) vfs;
    *self = (s_file_t){.last = &self->first, .main = flags & SQLITE_OPEN_MAIN_DB};
    int rc = s_below->xOpen (s_below, name, s_real (file), flags, out);
    if (rc != SQLITE_OK)
        return rc;
    self->base.pMethods = &s_methods;
    (void) s_real (file)->pMethods->xFileSize (s_real (file), &self->size);
    return SQLITE_OK;
}

void test_disk_reset (void)
{
    static sqlite3_vfs vfs;
    test_disk = (test_disk_t){.chance = 0x2545f4914f6cdd1du};
    if (s_below)
        return;
    RP_CHECK (sqlite3_initialize () == SQLITE_OK);
    s_below = sqlite3_vfs_find (NULL);
    vfs = *s_below;
    vfs.iVersion = 1;
    vfs.szOsFile = (int) sizeof (s_file_t) + s_below->szOsFile;
    vfs.pNext = NULL;
    vfs.zName = TEST_DISK;
    vfs.xOpen = s_open;
    RP_CHECK (sqlite3_vfs_register (&vfs, 0) == SQLITE_OK);
}
