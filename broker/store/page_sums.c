/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/page_sums.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "common/base/cursor.h"

/*  Sizes of pages: SQLite's bounds. Smaller reads are parts of a header.  */
#define S_PAGE_MIN 512
#define S_PAGE_MAX 65536
/*  Where SQLite's header has the application id, and the bytes that it reads of it.  */
#define S_APPLICATION_AT 68
#define S_HEADER 100

/*  A file: this, and behind it the file of the VFS below.  */
typedef struct {
    sqlite3_file base;
    bool ours; /* it has the application id, or is new */
    uint8_t page[S_PAGE_MAX];
} s_file_t;

typedef struct {
    sqlite3_vfs vfs;
    char name[64];
} s_layer_t;

static sqlite3_file *s_below (sqlite3_file *file)
{
    return (sqlite3_file *) ((s_file_t *) file + 1);
}

static sqlite3_vfs *s_vfs_below (sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/*  The sum knows its page's place, so a page that was written elsewhere is noticed; a page of zeros has
    another sum. Four chains that do not wait for each other take a quarter of the time of one.  */
#define S_CHAINS ((size_t) 4)
#define S_BLOCK (8 * S_CHAINS)
static inline void s_add_block (uint64_t chains[S_CHAINS], const uint8_t block[S_BLOCK])
{
    uint64_t words[S_CHAINS];
    memcpy (words, block, S_BLOCK);
#pragma GCC unroll 4
    for (size_t chain = 0; chain < S_CHAINS; chain++) {
        chains[chain] = (chains[chain] ^ words[chain]) * 0x94d049bb133111ebu;
        chains[chain] ^= chains[chain] >> 29;
    }
}

static uint64_t s_sum (const uint8_t *page, size_t size, uint64_t offset)
{
    uint64_t chains[S_CHAINS] = {
      0x9e3779b97f4a7c15u ^ offset, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0x2545f4914f6cdd1du};
    uint8_t last[S_BLOCK] = {0};
    size_t at = 0;
    for (; size - at >= S_BLOCK; at += S_BLOCK)
        s_add_block (chains, page + at);
    memcpy (last, page + at, size - at);
    s_add_block (chains, last);
    uint64_t sum = size;
    for (size_t chain = 0; chain < S_CHAINS; chain++) {
        sum = (sum ^ chains[chain]) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    return sum;
}

static bool s_is_page (int size, sqlite3_int64 offset)
{
    return size >= S_PAGE_MIN && size <= S_PAGE_MAX && offset % size == 0;
}

static int s_close (sqlite3_file *file)
{
    return s_below (file)->pMethods->xClose (s_below (file));
}

static int s_read (sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
    s_file_t *self = (s_file_t *) file;
    int rc = s_below (file)->pMethods->xRead (s_below (file), buffer, size, offset);
    if (rc != SQLITE_OK)
        return rc;
    if (offset == 0 && size >= S_HEADER) {
        const uint8_t *id = (const uint8_t *) buffer + S_APPLICATION_AT;
        self->ours = rp_get_u32 (id) == RP_STORE_APPLICATION_ID;
    }
    if (self->ours && s_is_page (size, offset)) {
        uint64_t sum;
        memcpy (&sum, (const uint8_t *) buffer + size - RP_PAGE_SUM, RP_PAGE_SUM);
        if (sum != s_sum (buffer, (size_t) size - RP_PAGE_SUM, (uint64_t) offset))
            return SQLITE_IOERR_DATA;
    }
    return SQLITE_OK;
}

static int s_write (sqlite3_file *file, const void *buffer, int size, sqlite3_int64 offset)
{
    s_file_t *self = (s_file_t *) file;
    if (self->ours && s_is_page (size, offset)) {
        uint64_t sum = s_sum (buffer, (size_t) size - RP_PAGE_SUM, (uint64_t) offset);
        memcpy (self->page, buffer, (size_t) size - RP_PAGE_SUM);
        memcpy (self->page + size - RP_PAGE_SUM, &sum, RP_PAGE_SUM);
        buffer = self->page;
    }
    return s_below (file)->pMethods->xWrite (s_below (file), buffer, size, offset);
}

static int s_truncate (sqlite3_file *file, sqlite3_int64 size)
{
    if (size == 0) // new again: SQLite has rolled back the beginning of a file
        ((s_file_t *) file)->ours = true;
    return s_below (file)->pMethods->xTruncate (s_below (file), size);
}

static int s_sync (sqlite3_file *file, int flags)
{
    return s_below (file)->pMethods->xSync (s_below (file), flags);
}

static int s_file_size (sqlite3_file *file, sqlite3_int64 *size)
{
    return s_below (file)->pMethods->xFileSize (s_below (file), size);
}

static int s_lock (sqlite3_file *file, int level)
{
    return s_below (file)->pMethods->xLock (s_below (file), level);
}

static int s_unlock (sqlite3_file *file, int level)
{
    return s_below (file)->pMethods->xUnlock (s_below (file), level);
}

static int s_check_lock (sqlite3_file *file, int *reserved)
{
    return s_below (file)->pMethods->xCheckReservedLock (s_below (file), reserved);
}

static int s_control (sqlite3_file *file, int op, void *arg)
{
    return s_below (file)->pMethods->xFileControl (s_below (file), op, arg);
}

static int s_sector_size (sqlite3_file *file)
{
    return s_below (file)->pMethods->xSectorSize (s_below (file));
}

static int s_traits (sqlite3_file *file)
{
    return s_below (file)->pMethods->xDeviceCharacteristics (s_below (file));
}

/*  Version 1: without shared memory, which a log with one user does not need, and without mapped files,
    whose reads would not come through here.  */
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

/*  Logs and temporary files are those of the VFS below.  */
static int s_open (sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out)
{
    sqlite3_vfs *below = s_vfs_below (vfs);
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return below->xOpen (below, name, file, flags, out);
    s_file_t *self = (s_file_t *) file;
    self->base.pMethods = NULL;
    self->ours = false;
    int rc = below->xOpen (below, name, s_below (file), flags, out);
    if (rc != SQLITE_OK)
        return rc;
    self->base.pMethods = &s_methods;
    sqlite3_int64 size = 0;
    rc = s_file_size (file, &size);
    self->ours = rc == SQLITE_OK && size == 0;
    return SQLITE_OK;
}

static int s_remove (sqlite3_vfs *vfs, const char *name, int sync)
{
    return s_vfs_below (vfs)->xDelete (s_vfs_below (vfs), name, sync);
}

static int s_access (sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    return s_vfs_below (vfs)->xAccess (s_vfs_below (vfs), name, flags, out);
}

static int s_full_path (sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return s_vfs_below (vfs)->xFullPathname (s_vfs_below (vfs), name, size, out);
}

static int s_randomness (sqlite3_vfs *vfs, int size, char *out)
{
    return s_vfs_below (vfs)->xRandomness (s_vfs_below (vfs), size, out);
}

static int s_sleep (sqlite3_vfs *vfs, int us)
{
    return s_vfs_below (vfs)->xSleep (s_vfs_below (vfs), us);
}

static int s_time (sqlite3_vfs *vfs, double *days)
{
    return s_vfs_below (vfs)->xCurrentTime (s_vfs_below (vfs), days);
}

static int s_error (sqlite3_vfs *vfs, int size, char *text)
{
    return s_vfs_below (vfs)->xGetLastError (s_vfs_below (vfs), size, text);
}

static const char *s_register (sqlite3_vfs *below)
{
    s_layer_t *layer = calloc (1, sizeof *layer); // for the rest of the process
    if (!layer)
        return NULL;
    snprintf (layer->name, sizeof layer->name, "riposte-sums-%s", below->zName);
    sqlite3_vfs *found = sqlite3_vfs_find (layer->name);
    if (found) {
        free (layer);
        return found->zName;
    }
    layer->vfs = (sqlite3_vfs){
      .iVersion = 1,
      .szOsFile = (int) sizeof (s_file_t) + below->szOsFile,
      .mxPathname = below->mxPathname,
      .zName = layer->name,
      .pAppData = below,
      .xOpen = s_open,
      .xDelete = s_remove,
      .xAccess = s_access,
      .xFullPathname = s_full_path,
      .xRandomness = s_randomness,
      .xSleep = s_sleep,
      .xCurrentTime = s_time,
      .xGetLastError = s_error,
    };
    if (sqlite3_vfs_register (&layer->vfs, 0) != SQLITE_OK) {
        free (layer);
        return NULL;
    }
    return layer->name;
}

const char *rp_page_sums_vfs (const char *below)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (sqlite3_initialize () != SQLITE_OK)
        return NULL;
    sqlite3_vfs *vfs = sqlite3_vfs_find (below);
    if (!vfs)
        return NULL;
    pthread_mutex_lock (&lock);
    const char *name = s_register (vfs);
    pthread_mutex_unlock (&lock);
    return name;
}
