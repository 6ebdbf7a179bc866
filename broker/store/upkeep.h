/*  Upkeep: what people do with a store: check, backup, compact.

    SPDX-License-Identifier: MPL-2.0

    Each takes the lock of a file, so it is refused while a broker has it, as a broker is meanwhile; only
    backup then has that broker make the copy. A store in PostgreSQL is checked beside its broker; copies are
    made with the database's own tools.
    text (RP_STORE_TEXT bytes) says what was found or done, or what is wrong and what to do: a clause
    without a full stop.

    Thread-safety: any thread; one call for a file at a time.
*/

#ifndef RP_UPKEEP_H
#define RP_UPKEEP_H

#include <stdbool.h>

#include "broker/store/backend.h"

/*  Reads the whole file: every page, every index, and that the tables agree. True if it is whole.  */
bool rp_upkeep_check (const char *path, char *text);

/*  Copies the store to a file that is not there yet, which is whole and synced when it appears.  */
bool rp_upkeep_backup (const char *path, const char *target, char *text);

/*  Writes the file anew without free pages. It needs as much free space as the file has.  */
bool rp_upkeep_compact (const char *path, char *text);

/*  Makes the tables of a store in PostgreSQL, or brings those of an older riposte up to date.  */
bool rp_upkeep_init (const char *url, char *text);
bool rp_upkeep_migrate (const char *url, char *text);

#endif
