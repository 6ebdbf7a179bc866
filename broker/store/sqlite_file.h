/*  A file of the store in SQLite's format: opens it and refuses what is not whole, with words.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SQLITE_FILE_H
#define RP_SQLITE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "broker/store/backend.h"

/*  Opens the file and locks it for this process: another broker, or `riposte store`, is refused. create:
    makes the file if it is not there, and brings an older one up to date. The write-ahead log that a
    killed broker left is looked at, and to be taken in before anything is written. NULL on failure: text
    says what is wrong and what to do; the file is unchanged then. errno is EBUSY if another process has it.  */
sqlite3 *rp_sqlite_file_open (const rp_store_settings_t *settings, bool create, char *text);

/*  Takes in the log, which waits for the disk. Returns SQLite's code; without space the log stays.  */
int rp_sqlite_file_take_in (sqlite3 *db);

/*  Closes the file. sound: what is in the log moves into the file; otherwise both stay as they are.  */
void rp_sqlite_file_close (sqlite3 *db, bool sound);

/*  Writes what is in the log into the file. SQLite would do it unasked, but then not tell of a sync
    that failed. whole: and truncates the log. Returns SQLite's code.  */
int rp_sqlite_file_checkpoint (sqlite3 *db, bool whole);

/*  True if an error of SQLite's is for want of space, so that nothing is lost by rolling back.  */
bool rp_sqlite_file_is_full (sqlite3 *db, int rc);

/*  Writes what went wrong, with the system's word where there is one, into text.  */
void rp_sqlite_file_explain (sqlite3 *db, int rc, char *text);

#endif
