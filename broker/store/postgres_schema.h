/*  The tables of a store in PostgreSQL: made, brought up to date, and known by their version.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_POSTGRES_SCHEMA_H
#define RP_POSTGRES_SCHEMA_H

#include "broker/store/postgres_connection.h"

/*  Makes the tables (make), or brings them from an older version up to date. True if they are now as this program
    knows them: text says what was done. False with text; nothing has changed then.  */
bool rp_postgres_schema_migrate (rp_postgres_t *postgres, bool make, char *text);

/*  Reads the store's secret. False with text if there is no store, or not one of this version.  */
bool rp_postgres_schema_read (rp_postgres_t *postgres, rp_store_secret_t *secret, char *text);

#endif
