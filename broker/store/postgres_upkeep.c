/*  SPDX-License-Identifier: MPL-2.0  */

#include <inttypes.h>
#include <stdio.h>

#include "broker/store/postgres_connection.h"
#include "broker/store/postgres_schema.h"

/*  What the tables have to agree on: what contradicts it, and where.  */
static const struct {
    const char *from;
    const char *what;
} s_rules[] = {
  {"riposte.open o WHERE NOT EXISTS (SELECT 1 FROM riposte.jobs j WHERE j.id = o.id)",
    "open jobs without content"},
  {"riposte.finals f WHERE NOT EXISTS (SELECT 1 FROM riposte.jobs j WHERE j.id = f.id)",
    "finals without a job"},
  {"riposte.open o WHERE EXISTS (SELECT 1 FROM riposte.finals f WHERE f.id = o.id)",
    "jobs both open and ended"},
  {"riposte.jobs j WHERE NOT EXISTS (SELECT 1 FROM riposte.open o WHERE o.id = j.id)"
   " AND NOT EXISTS (SELECT 1 FROM riposte.finals f WHERE f.id = j.id)",
    "jobs neither open nor ended"},
  {"riposte.keys k WHERE NOT EXISTS (SELECT 1 FROM riposte.jobs j WHERE j.id = k.job)",
    "keys without a job"},
};

/*  Returns how many rows there are; -1 with trouble if it cannot be read.  */
static int64_t s_count (rp_postgres_t *postgres, const char *from)
{
    char sql[512];
    PGresult *result;
    int64_t count = -1;
    snprintf (sql, sizeof sql, "SELECT count(*) FROM %s", from);
    if (rp_postgres_run (postgres, sql, 0, NULL, &result) == RP_POSTGRES_DONE)
        count = rp_postgres_number (postgres, result, 0, 0);
    if (result)
        postgres->pq->PQclear (result);
    return count;
}

static bool s_check (rp_postgres_t *postgres, char *text)
{
    PGresult *result;
    rp_store_secret_t secret;
    postgres->silent_us = RP_POSTGRES_SILENT_LONG_US;
    if (!rp_postgres_schema_read (postgres, &secret, text))
        return false;
    // All counts are of one moment, since its broker goes on meanwhile.
    (void) rp_postgres_run (
      postgres, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, &result);
    if (result)
        postgres->pq->PQclear (result);
    for (size_t rule = 0; rule < sizeof s_rules / sizeof *s_rules; rule++) {
        int64_t count = s_count (postgres, s_rules[rule].from);
        if (count < 0)
            snprintf (text, RP_STORE_TEXT, "the store cannot be read: %.400s", postgres->trouble);
        else if (count > 0)
            snprintf (text, RP_STORE_TEXT, "the store is damaged: %" PRId64 " %s; restore a backup",
              count, s_rules[rule].what);
        if (count != 0)
            return false;
    }
    int64_t brokers = s_count (postgres, "riposte.brokers WHERE lease_until > now()");
    snprintf (text, RP_STORE_TEXT,
      "the store is whole: %" PRId64 " waiting, %" PRId64 " running, %" PRId64 " ended, %" PRId64
      " dead; %.0" PRId64 "%s",
      s_count (postgres, "riposte.open WHERE started IS NULL"),
      s_count (postgres, "riposte.open WHERE started IS NOT NULL"),
      s_count (postgres, "riposte.finals WHERE NOT dead"),
      s_count (postgres, "riposte.finals WHERE dead"), brokers > 1 ? brokers : 0,
      brokers > 1    ? " brokers have it"
      : brokers == 1 ? "a broker has it"
                     : "no broker has it");
    return true;
}

static bool s_connect (rp_postgres_t *postgres, const char *url, char *text)
{
    if (!rp_postgres_check_url (url, text))
        return false;
    if (rp_postgres_connect (postgres, url))
        return true;
    snprintf (text, RP_STORE_TEXT, "the store cannot be reached: %.400s", postgres->trouble);
    return false;
}

bool rp_postgres_check (const char *url, char *text)
{
    rp_postgres_t postgres = {.connection = NULL};
    bool whole = s_connect (&postgres, url, text) && s_check (&postgres, text);
    rp_postgres_disconnect (&postgres);
    return whole;
}

bool rp_postgres_migrate (const char *url, bool make, char *text)
{
    rp_postgres_t postgres = {.connection = NULL};
    bool done =
      s_connect (&postgres, url, text) && rp_postgres_schema_migrate (&postgres, make, text);
    rp_postgres_disconnect (&postgres);
    return done;
}
