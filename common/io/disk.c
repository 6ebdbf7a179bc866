/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define S_PATH_MAX 4096u

/*  Closes a descriptor, and leaves errno alone. Returns good.  */
static bool s_close (int descriptor, bool good)
{
    int error = errno;
    if (close (descriptor) != 0 && good)
        return false;
    errno = error;
    return good;
}

ssize_t rp_disk_read (const char *path, char *text, size_t capacity, struct stat *status)
{
    size_t used = 0;
    // Without O_NONBLOCK, the open of a pipe that nobody writes to would not return.
    int descriptor = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return -1;
    bool good = fstat (descriptor, status) == 0;
    if (good && !S_ISREG (status->st_mode)) {
        errno = S_ISDIR (status->st_mode) ? EISDIR : EINVAL;
        good = false;
    }
    for (ssize_t more = 1; good && more != 0;) {
        more = read (descriptor, text + used, capacity - used);
        good = more >= 0 || errno == EINTR;
        used += more > 0 ? (size_t) more : 0;
        if (used == capacity) {
            errno = EFBIG;
            good = false;
        }
    }
    return s_close (descriptor, good) ? (ssize_t) used : -1;
}

/*  Writes the whole content of a new file, and closes it.  */
static bool s_fill (int descriptor, mode_t mode, const char *text, size_t size)
{
    bool good = true;
    for (size_t done = 0; good && done < size;) {
        ssize_t more = write (descriptor, text + done, size - done);
        good = more >= 0 || errno == EINTR;
        done += more > 0 ? (size_t) more : 0;
    }
    good = good && fchmod (descriptor, mode) == 0 && fsync (descriptor) == 0;
    return s_close (descriptor, good);
}

static bool s_remove (const char *path)
{
    int error = errno;
    unlink (path);
    errno = error;
    return false;
}

bool rp_disk_create (const char *path, mode_t mode, const char *text, size_t size)
{
    int descriptor = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return false;
    return (s_fill (descriptor, mode, text, size) && rp_disk_sync_directory (path))
           || s_remove (path);
}

/*  Gives a file the owner of the one that it will replace. Without the right to, it stays the caller's, as a new
    file is.  */
static void s_keep_owner (int descriptor, const char *path)
{
    struct stat before;
    if (lstat (path, &before) != 0 || before.st_uid == geteuid ())
        return;
    int given = fchown (descriptor, before.st_uid, before.st_gid);
    (void) given;
}

bool rp_disk_replace (const char *path, mode_t mode, const char *text, size_t size)
{
    char temporary[S_PATH_MAX];
    int length = snprintf (temporary, sizeof temporary, "%s.XXXXXX", path);
    if (length < 0 || (size_t) length >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    int descriptor = mkostemp (temporary, O_CLOEXEC);
    if (descriptor < 0)
        return false;
    s_keep_owner (descriptor, path);
    if (!s_fill (descriptor, mode, text, size) || rename (temporary, path) != 0)
        return s_remove (temporary);
    return rp_disk_sync_directory (path);
}

bool rp_disk_make_directory (const char *path, mode_t mode)
{
    char part[S_PATH_MAX];
    size_t size = strlen (path);
    if (size >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    while (size > 1 && path[size - 1] == '/')
        size--;
    for (size_t at = 1; at <= size; at++) {
        if (path[at] != '/' && at < size)
            continue;
        memcpy (part, path, at);
        part[at] = '\0';
        bool made = mkdir (part, 0700) == 0;
        if (!made && errno != EEXIST)
            return false;
        if (made && at == size && chmod (part, mode) != 0)
            return false;
    }
    return true;
}

bool rp_disk_sync_directory (const char *path)
{
    char directory[S_PATH_MAX] = ".";
    const char *slash = strrchr (path, '/');
    if (slash) {
        size_t size = slash == path ? 1 : (size_t) (slash - path);
        if (size >= sizeof directory) {
            errno = ENAMETOOLONG;
            return false;
        }
        memcpy (directory, path, size);
        directory[size] = '\0';
    }
    int descriptor = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return descriptor >= 0 && s_close (descriptor, fsync (descriptor) == 0);
}
