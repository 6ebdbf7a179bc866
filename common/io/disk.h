/*  Small files that are never half there: read whole, made new, or replaced whole.

    SPDX-License-Identifier: MPL-2.0

    A function that writes returns when the disk has the file and its name (fsync), and leaves
    nothing behind when it fails. Modes are as given, whatever the umask.

    Functions return false, or -1, with errno.

    Thread-safety: functions of their arguments and the disk.
*/

#ifndef RP_DISK_H
#define RP_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/*  Reads a regular file into text, and what fstat says about it into status. Returns its size;
    EFBIG if it is larger than capacity - 1, EISDIR, or EINVAL if it is a pipe or a device.  */
ssize_t rp_disk_read (const char *path, char *text, size_t capacity, struct stat *status);

/*  Writes a new file. EEXIST if the path exists, also as a symbolic link.  */
bool rp_disk_create (const char *path, mode_t mode, const char *text, size_t size);

/*  Writes a file in place of the one at path, if there is one: a temporary file beside it is
    renamed. It has the owner of the old file, if the caller may give files away.  */
bool rp_disk_replace (const char *path, mode_t mode, const char *text, size_t size);

/*  Makes a directory, and those above it that are missing, which have mode 0700. True if it exists
    already; its mode is left alone.  */
bool rp_disk_make_directory (const char *path, mode_t mode);

/*  Waits until the disk has the directory that path is in: its names.  */
bool rp_disk_sync_directory (const char *path);

#endif
