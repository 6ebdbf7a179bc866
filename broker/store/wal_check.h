/*  WAL check: finds damage in a write-ahead log of SQLite's that SQLite takes for its end.

    SPDX-License-Identifier: MPL-2.0

    SQLite reads the log up to the first frame whose checksum is wrong, because a crash leaves a torn end.
    So a changed byte in the middle would make it lose every later transaction without a word. But the
    broker begins a transaction only when the one before is synced: where frames of a later transaction
    are sound, the torn frame is no end, but damage. Damage in the last transaction cannot be told from
    a torn end, by this or any other reader.

    Source: https://www.sqlite.org/fileformat2.html, section 4.
    Thread-safety: none.
*/

#ifndef RP_WAL_CHECK_H
#define RP_WAL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    RP_WAL_SOUND,   /* or not there, or empty */
    RP_WAL_DAMAGED, /* *at: the byte from which SQLite would not read on */
    RP_WAL_UNREAD,  /* errno */
} rp_wal_state_t;

/*  Reads the log at path.  */
rp_wal_state_t rp_wal_check (const char *path, uint64_t *at);

#endif
