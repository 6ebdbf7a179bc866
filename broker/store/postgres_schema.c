/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/postgres_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/io/clock.h"

/*  Each brings a store from the version that is its index to the next; statements end with ";".

    The tables are those of SQLite (broker/store/sqlite_file.c says why they are as they are). What peers have
    named is bytes, so that no encoding or collation of a database refuses it, or sorts it otherwise after an
    upgrade. brokers: a row for each broker that has joined, with a number that is never given again; `instance` is
    drawn at random; `process` is how another on the same machine finds out whether it still runs; `commits` is
    written by each transaction (postgres_sql.h). `holder` is who has its jobs: itself, or a broker that has taken
    them over, which changes a row for each broker and none of its jobs; `listed`: the holder knows of them.
    open: `owner` is the broker that has accepted the job. ended: jobs that another broker has ended, until theirs hears
    of it. counters: what was given to brokers last, numbers and ids of
    jobs; a table by itself, since brokers need no right to change `store`.  */
static const struct {
    const char *sql;
    bool beside; /* brokers of the version before go on meanwhile, and afterwards */
} s_steps[] = {
  {"CREATE SCHEMA IF NOT EXISTS riposte;"
   "CREATE TABLE riposte.store (id bigint PRIMARY KEY, version bigint NOT NULL,"
   " secret bytea NOT NULL, plain bigint NOT NULL);"
   "CREATE TABLE riposte.brokers (id bigint PRIMARY KEY, epoch bigint NOT NULL,"
   " lease_until timestamptz NOT NULL, endpoints text NOT NULL, instance text NOT NULL,"
   " process text NOT NULL, commits bigint NOT NULL, last bigint NOT NULL);"
   "CREATE TABLE riposte.jobs (id bigint PRIMARY KEY, service bytea NOT NULL,"
   " principal bytea NOT NULL, accepted bigint NOT NULL, not_before bigint NOT NULL,"
   " deadline bigint NOT NULL, attempts bigint NOT NULL, attempt_timeout bigint NOT NULL,"
   " backoff bigint NOT NULL, keep bigint NOT NULL, flags bigint NOT NULL, parent bigint NOT NULL,"
   " key bytea, digest bytea, headers bytea, frames bytea, body bytea);"
   "CREATE TABLE riposte.open (id bigint PRIMARY KEY, service bytea NOT NULL, due bigint NOT NULL,"
   " attempt bigint NOT NULL, listed boolean NOT NULL, started bigint, worker bytea,"
   " deadline bigint);"
   "CREATE INDEX open_due ON riposte.open (service, due, id) WHERE listed;"
   "CREATE INDEX open_deadline ON riposte.open (deadline) WHERE deadline IS NOT NULL;"
   "CREATE TABLE riposte.attempts (job bigint NOT NULL, place bigint NOT NULL,"
   " number bigint NOT NULL, started bigint NOT NULL, ended bigint NOT NULL,"
   " status bigint NOT NULL, worker bytea, text bytea, PRIMARY KEY (job, place));"
   "CREATE TABLE riposte.finals (id bigint PRIMARY KEY, until bigint NOT NULL,"
   " ended bigint NOT NULL, status bigint NOT NULL, code bigint NOT NULL, attempt bigint NOT NULL,"
   " dead boolean NOT NULL, child bigint NOT NULL, started bigint, worker bytea, text bytea,"
   " headers bytea, frames bytea, body bytea);"
   "CREATE INDEX finals_until ON riposte.finals (until);"
   "CREATE INDEX finals_dead ON riposte.finals (id) WHERE dead;"
   "CREATE TABLE riposte.keys (key bytea NOT NULL, service bytea NOT NULL,"
   " principal bytea NOT NULL, job bigint NOT NULL, PRIMARY KEY (key, service, principal));"
   "INSERT INTO riposte.brokers VALUES (1, 0, now(), '', '', '', 0, 0);",
    false},
  // A broker of the version before loses its store.
  {"CREATE TABLE riposte.counters (id bigint PRIMARY KEY, joined bigint NOT NULL, ids bigint NOT "
   "NULL);"
   "INSERT INTO riposte.counters SELECT 1, (CASE WHEN max (epoch) > 0 THEN 1 ELSE 0 END),"
   " greatest (max (last), (SELECT max (id) FROM riposte.jobs)) FROM riposte.brokers;"
   "ALTER TABLE riposte.brokers DROP COLUMN last;"
   "ALTER TABLE riposte.brokers ADD COLUMN holder bigint NOT NULL DEFAULT 1;"
   "ALTER TABLE riposte.brokers ADD COLUMN listed boolean NOT NULL DEFAULT false;"
   "ALTER TABLE riposte.brokers ADD COLUMN joined timestamptz NOT NULL DEFAULT now();"
   "ALTER TABLE riposte.brokers ADD COLUMN adopted timestamptz;"
   "DELETE FROM riposte.brokers WHERE epoch = 0;"
   "UPDATE riposte.brokers SET epoch = epoch + 1, instance = '';"
   "ALTER TABLE riposte.open ADD COLUMN owner bigint NOT NULL DEFAULT 1;"
   "DROP INDEX riposte.open_due;"
   "CREATE INDEX open_due ON riposte.open (owner, service, due, id) WHERE listed;"
   "CREATE INDEX open_unlisted ON riposte.open (owner) WHERE NOT listed;",
    false},
  // No job that goes its usual way is in open_ran, so it costs nothing. One that was not made to its end is made anew;
  // whoever wants the table waits behind that DROP, which a long transaction holds up, so it waits for less than a lease.
  {"SET lock_timeout = '2s';"
   "DROP INDEX IF EXISTS riposte.open_ran;"
   "SET lock_timeout = '1min';"
   "CREATE INDEX CONCURRENTLY open_ran ON riposte.open (owner, id)"
   " WHERE listed AND started IS NOT NULL;"
   "CREATE TABLE IF NOT EXISTS riposte.ended (id bigint PRIMARY KEY, owner bigint NOT NULL,"
   " service bytea NOT NULL);"
   "CREATE INDEX IF NOT EXISTS ended_owner ON riposte.ended (owner);",
    true},
};
#define S_VERSION ((int64_t) (sizeof s_steps / sizeof *s_steps))
#define S_STATEMENT_MAX 1024u
/*  How long the database may be silent meanwhile, µs: an index of all open jobs takes its time.  */
#define S_MIGRATE_US INT64_C (3600000000)

/*  Runs one statement without rows. False with trouble.  */
static bool s_do (rp_postgres_t *postgres, const char *sql, int count, const char *const *values)
{
    PGresult *result;
    rp_postgres_answer_t answer = rp_postgres_run (postgres, sql, count, values, &result);
    if (result)
        postgres->pq->PQclear (result);
    return answer == RP_POSTGRES_DONE;
}

static bool s_step (rp_postgres_t *postgres, const char *step)
{
    char sql[S_STATEMENT_MAX];
    for (const char *at = step; *at;) {
        size_t size = strcspn (at, ";");
        snprintf (sql, sizeof sql, "%.*s", (int) size, at);
        if (size >= sizeof sql || !s_do (postgres, sql, 0, NULL))
            return false;
        at += size + (at[size] == ';');
    }
    return true;
}

/*  Returns the version; 0: there is no store; -1: it cannot be read, with trouble.  */
static int64_t s_read_version (rp_postgres_t *postgres)
{
    PGresult *result;
    int64_t version = 0;
    rp_postgres_answer_t answer =
      rp_postgres_run (postgres, "SELECT version FROM riposte.store", 0, NULL, &result);
    if (answer == RP_POSTGRES_DONE && postgres->pq->PQntuples (result) == 1)
        version = rp_postgres_number (postgres, result, 0, 0);
    if (result)
        postgres->pq->PQclear (result);
    bool absent = strcmp (postgres->state, "42P01") == 0 || strcmp (postgres->state, "3F000") == 0;
    return answer == RP_POSTGRES_DONE || (answer == RP_POSTGRES_WRONG && absent) ? version : -1;
}

/*  Says why a store cannot be used. Always false.  */
static bool s_refuse (const rp_postgres_t *postgres, int64_t version, char *text)
{
    if (version < 0)
        snprintf (text, RP_STORE_TEXT, "the store cannot be read: %.300s", postgres->trouble);
    else if (version == 0)
        snprintf (text, RP_STORE_TEXT,
          "this database has no store of jobs; make one with: riposte store init URL");
    else if (version < S_VERSION)
        snprintf (text, RP_STORE_TEXT,
          "the store is of an older riposte (version %" PRId64
          "); bring it up to date with: riposte store migrate URL",
          version);
    else
        snprintf (text, RP_STORE_TEXT,
          "the store is of a newer riposte (version %" PRId64 "; this one knows up to %" PRId64
          "); install that one",
          version, S_VERSION);
    return false;
}

/*  Notes the version that the tables have now; of new ones, draws the secret.  */
static bool s_note_version (rp_postgres_t *postgres, int64_t before, int64_t now)
{
    char version[24];
    char secret[33];
    snprintf (version, sizeof version, "%" PRId64, now);
    snprintf (
      secret, sizeof secret, "%016" PRIx64 "%016" PRIx64, rp_clock_entropy (), rp_clock_entropy ());
    const char *const values[] = {version, secret};
    return before == 0
             ? s_do (postgres,
               "INSERT INTO riposte.store VALUES (1, $1::bigint, decode ($2, 'hex'), 0)", 2, values)
             : s_do (postgres, "UPDATE riposte.store SET version = $1::bigint", 1, values);
}

/*  Has no broker write until the transaction ends, once none has the store: each of its transactions changes its row.
    False with text.  */
static bool s_claim (rp_postgres_t *postgres, char *text)
{
    PGresult *result = NULL;
    bool read = rp_postgres_run (postgres,
                  "SELECT (CASE WHEN lease_until > now() THEN 1 ELSE 0 END)::bigint"
                  " FROM riposte.brokers FOR UPDATE",
                  0, NULL, &result)
                == RP_POSTGRES_DONE;
    bool free = read;
    for (int row = 0; read && row < postgres->pq->PQntuples (result); row++)
        free = free && rp_postgres_number (postgres, result, row, 0) == 0;
    if (result)
        postgres->pq->PQclear (result);
    if (!read)
        snprintf (text, RP_STORE_TEXT, "the store cannot be claimed: %.300s; nothing was changed",
          postgres->trouble);
    else if (!free)
        snprintf (text, RP_STORE_TEXT,
          "a broker has the store; stop it, wait some seconds if it was killed, and try again");
    return free;
}

/*  Makes what no broker may use meanwhile, in one transaction: all steps up to the last such one. False with text.  */
static bool s_migrate_alone (rp_postgres_t *postgres, int64_t *version, char *text)
{
    int64_t before = *version, to = S_VERSION;
    while (to > before && s_steps[to - 1].beside)
        to--;
    if (to == before)
        return true;
    bool done = s_do (postgres, "BEGIN", 0, NULL);
    if (done && before > 0 && !s_claim (postgres, text))
        return false;
    for (int64_t step = before; done && step < to; step++)
        done = s_step (postgres, s_steps[step].sql);
    bool made = done && s_note_version (postgres, before, to);
    done = made && s_do (postgres, "COMMIT", 0, NULL);
    if (made && !postgres->connection)
        snprintf (text, RP_STORE_TEXT,
          "the database has not said whether the tables are made: %.300s; ask again",
          postgres->trouble);
    else if (!done)
        snprintf (text, RP_STORE_TEXT, "the tables cannot be made: %.300s; nothing was changed",
          postgres->trouble);
    *version = to;
    return done;
}

/*  Makes what brokers do not mind, statement by statement: an index of a table in use cannot be made within a
    transaction. A step that is begun again does the rest. False with text.  */
static bool s_migrate_beside (rp_postgres_t *postgres, int64_t *version, char *text)
{
    bool done = true;
    for (; done && *version < S_VERSION; (*version)++)
        done = s_step (postgres, s_steps[*version].sql)
               && s_note_version (postgres, *version, *version + 1);
    if (!done)
        snprintf (text, RP_STORE_TEXT,
          "the store cannot be brought up to date: %.300s; brokers that have it go on; ask again",
          postgres->trouble);
    return done;
}

bool rp_postgres_schema_migrate (rp_postgres_t *postgres, bool make, char *text)
{
    int64_t before = s_read_version (postgres), version = before;
    if (before < 0 || before > S_VERSION || (before == 0 && !make))
        return s_refuse (postgres, before, text);
    if (before == S_VERSION) {
        snprintf (text, RP_STORE_TEXT,
          "the store is there, of version %" PRId64 "; there is nothing to do", before);
        return true;
    }
    postgres->silent_us = S_MIGRATE_US;
    // Autovacuum takes a second to yield.
    if (!s_do (postgres, "SET lock_timeout = '1min'", 0, NULL)) {
        snprintf (
          text, RP_STORE_TEXT, "the store cannot be brought up to date: %.300s", postgres->trouble);
        return false;
    }
    if (!s_migrate_alone (postgres, &version, text) || !s_migrate_beside (postgres, &version, text))
        return false;
    snprintf (text, RP_STORE_TEXT,
      before == 0 ? "the store is made, of version %" PRId64
                  : "the store is up to date, of version %" PRId64,
      S_VERSION);
    return true;
}

bool rp_postgres_schema_read (rp_postgres_t *postgres, rp_store_secret_t *secret, char *text)
{
    int64_t version = s_read_version (postgres);
    PGresult *result = NULL;
    if (version == S_VERSION
        && rp_postgres_run (postgres, "SELECT secret, plain FROM riposte.store", 0, NULL, &result)
             != RP_POSTGRES_DONE)
        version = -1;
    if (version != S_VERSION) {
        if (result)
            postgres->pq->PQclear (result);
        return s_refuse (postgres, version, text);
    }
    rp_store_span_t key = rp_postgres_bytes (postgres, result, 0, 0);
    *secret = (rp_store_secret_t){.plain = (uint64_t) rp_postgres_number (postgres, result, 0, 1)};
    bool whole = key.size == sizeof secret->key;
    for (size_t index = 0; whole && index < key.size; index++)
        secret->key[index / 4] |= (uint32_t) ((const uint8_t *) key.data)[index]
                                  << 8 * (3 - index % 4);
    postgres->pq->PQclear (result);
    if (!whole)
        snprintf (text, RP_STORE_TEXT, "the store has no secret; restore a backup");
    return whole;
}
