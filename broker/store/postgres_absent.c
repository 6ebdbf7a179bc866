/*  In the place of the backend for PostgreSQL, where this was built without the headers of its library.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <string.h>

#include "broker/store/backend.h"

static bool s_refuse (char *text)
{
    snprintf (text, RP_STORE_TEXT,
      "this riposte was built without PostgreSQL; install libpq-dev and build it again, or give a "
      "file");
    return false;
}

bool rp_postgres_is_url (const char *path)
{
    return strncmp (path, "postgresql://", 13) == 0 || strncmp (path, "postgres://", 11) == 0;
}

rp_backend_t *rp_postgres_open (const rp_store_settings_t *settings, char *text)
{
    (void) settings;
    (void) s_refuse (text);
    return NULL;
}

bool rp_postgres_check (const char *url, char *text)
{
    (void) url;
    return s_refuse (text);
}

bool rp_postgres_migrate (const char *url, bool make, char *text)
{
    (void) url;
    (void) make;
    return s_refuse (text);
}
