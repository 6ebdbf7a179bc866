/*  Copies of a store that are made while a broker has it open. Another process cannot read the file then, so
    it asks the one that has it, by a file beside the store.

    SPDX-License-Identifier: MPL-2.0

    `FILE-copy` is made, and locked with flock, by the process that wants a copy. The store's thread finds
    it, fills it some pages at a time between transactions, with what is written meanwhile, and renames it to
    `FILE-copied`; or removes it if that fails or nobody waits any more. Who may write to the store's folder
    may ask; nobody else can.

    Thread-safety: none.
*/

#ifndef RP_SQLITE_COPY_H
#define RP_SQLITE_COPY_H

#include <stdbool.h>

#include <sqlite3.h>

typedef struct rp_sqlite_copy rp_sqlite_copy_t;

/*  Begins the copy that is asked for; NULL if there is none, or it cannot be made: then it is refused. vfs: that
    of the store's file.  */
rp_sqlite_copy_t *rp_sqlite_copy_begin (sqlite3 *db, const char *vfs);

/*  Copies some pages. False when that was the end, and *self_p is freed and NULL.  */
bool rp_sqlite_copy_step (rp_sqlite_copy_t **self_p);

/*  Breaks the copy off. NULL is allowed.  */
void rp_sqlite_copy_break (rp_sqlite_copy_t **self_p);

/*  Asks for a copy of a store that another process has open, waits for it, and gives it the name target. False
    with text (RP_STORE_TEXT bytes).  */
bool rp_sqlite_copy_ask (const char *path, const char *target, char *text);

#endif
