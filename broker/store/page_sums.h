/*  Page sums: a checksum in each page of a file of SQLite's, so that a page that has changed on disk is
    noticed when it is read. SQLite itself has checksums in its write-ahead log only.

    SPDX-License-Identifier: MPL-2.0

    This is a layer between SQLite and the operating system (a VFS). The last RP_PAGE_SUM bytes of each
    page are reserved for it. A wrong sum makes a read fail with SQLITE_IOERR_DATA. Only files with the
    application id are touched, and new ones.

    Thread-safety: any thread may call; each file belongs to one thread at a time.
*/

#ifndef RP_PAGE_SUMS_H
#define RP_PAGE_SUMS_H

#include <stddef.h>
#include <stdint.h>

#define RP_PAGE_SUM 8u
/*  "RPst", in the header of every file of the store.  */
#define RP_STORE_APPLICATION_ID 0x52507374

/*  Returns the name of the layer above another VFS (NULL: SQLite's own), for sqlite3_open_v2. NULL if
    there is no such VFS, or no memory.  */
const char *rp_page_sums_vfs (const char *below);

#endif
