/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/postgres_connection.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"
#include "common/io/clock.h"

/*  Types of PostgreSQL.  */
#define S_BYTEA 17u
#define S_INT8 20u

/*  ---- Words ----------------------------------------------------------------------------------- */

/*  Writes a message of libpq, which has several lines, as one.  */
static void s_set_trouble (rp_postgres_t *self, const char *message)
{
    size_t size = 0;
    bool pause = false;
    for (const char *at = message; *at && size + 2 < sizeof self->trouble; at++) {
        if (*at == '\n' || *at == '\t' || *at == ' ') {
            pause = size > 0;
            continue;
        }
        if (pause)
            self->trouble[size++] = ' ';
        pause = false;
        self->trouble[size++] = *at;
    }
    self->trouble[size] = 0;
}

/*  The connection can be used no more.  */
static bool s_lose (rp_postgres_t *self, const char *why)
{
    if (why)
        snprintf (self->trouble, sizeof self->trouble, "%s", why);
    else
        s_set_trouble (self, self->pq->PQerrorMessage (self->connection));
    rp_postgres_disconnect (self);
    return false;
}

/*  Notices of the database are for people at a terminal.  */
static void s_notice (void *arg, const char *message)
{
    (void) arg;
    (void) message;
}

/*  ---- Connecting ------------------------------------------------------------------------------ */

bool rp_postgres_is_url (const char *path)
{
    return strncmp (path, "postgresql://", 13) == 0 || strncmp (path, "postgres://", 11) == 0;
}

bool rp_postgres_check_url (const char *url, char *text)
{
    char *wrong = NULL;
    const rp_libpq_t *pq = rp_libpq (text);
    if (!pq)
        return false;
    PQconninfoOption *options = pq->PQconninfoParse (url, &wrong);
    if (!options) {
        size_t size = wrong ? strcspn (wrong, "\n") : 0;
        snprintf (text, RP_STORE_TEXT, "the URL of the store is wrong: %.*s", (int) size,
          wrong ? wrong : "");
        pq->PQfreemem (wrong);
        return false;
    }
    bool told = false;
    for (const PQconninfoOption *option = options; option->keyword; option++)
        told = told || (strstr (option->keyword, "password") && option->val && *option->val);
    pq->PQconninfoFree (options);
    if (told)
        snprintf (text, RP_STORE_TEXT,
          "the URL of the store has a password, which everybody on this machine could read; put it "
          "into a file instead (~/.pgpass, or ?passfile=FILE), and leave it out of the URL");
    return !told;
}

/*  What is set for our connections, where the database has such a setting. Commits are synced. Plans are those
    that stay good while tables grow from nothing, whose statistics are always late: by indexes. A connection
    of which we have gone without a word does not keep its locks, nor does a thread wait for another broker's
    so long that its own lease ends.  */
static const char s_settings[] =
  "SELECT set_config (s.name, s.value, false) FROM (VALUES"
  " ('synchronous_commit', CASE current_setting ('synchronous_commit', true)"
  " WHEN 'off' THEN 'on' ELSE current_setting ('synchronous_commit', true) END),"
  " ('default_transaction_isolation', 'read committed'),"
  " ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),"
  " ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'),"
  " ('idle_in_transaction_session_timeout', '2000'), ('lock_timeout', '1000'),"
  " ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),"
  " ('tcp_user_timeout', '10000')"
  ") s (name, value) WHERE current_setting (s.name, true) IS NOT NULL";

bool rp_postgres_connect (rp_postgres_t *self, const char *url)
{
    // What the URL says comes last, and wins.
    static const char *const names[] = {"fallback_application_name", "connect_timeout",
      "target_session_attrs", "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
      "keepalives_count", "dbname", NULL};
    const char *const values[] = {"riposte", "3", "read-write", "10000", "5", "2", "3", url, NULL};
    self->pq = rp_libpq (self->trouble);
    if (!self->pq)
        return false;
    self->silent_us = RP_POSTGRES_SILENT_US;
    self->connection = self->pq->PQconnectdbParams (names, values, 1);
    if (!self->connection) {
        snprintf (self->trouble, sizeof self->trouble, "out of memory");
        return false;
    }
    if (self->pq->PQstatus (self->connection) != CONNECTION_OK
        || self->pq->PQsetnonblocking (self->connection, 1) != 0
        || self->pq->PQenterPipelineMode (self->connection) != 1)
        return s_lose (self, NULL);
    (void) self->pq->PQsetNoticeProcessor (self->connection, s_notice, NULL);
    PGresult *result;
    rp_postgres_answer_t answer = rp_postgres_run (self, s_settings, 0, NULL, &result);
    self->pq->PQclear (result);
    if (answer != RP_POSTGRES_DONE)
        rp_postgres_disconnect (self);
    return answer == RP_POSTGRES_DONE;
}

void rp_postgres_disconnect (rp_postgres_t *self)
{
    if (self->connection)
        self->pq->PQfinish (self->connection);
    self->connection = NULL;
}

bool rp_postgres_is_alive (rp_postgres_t *self)
{
    if (!self->connection)
        return false;
    struct pollfd poller = {
      .fd = self->pq->PQsocket (self->connection), .events = POLLIN | POLLRDHUP};
    // Between transactions it has nothing to say but that it ends, or that a setting has changed.
    if (poll (&poller, 1, 0) > 0
        && ((poller.revents & (POLLRDHUP | POLLHUP | POLLERR))
            || !self->pq->PQconsumeInput (self->connection)))
        return s_lose (self, "the database has closed the connection");
    return self->pq->PQstatus (self->connection) == CONNECTION_OK || s_lose (self, NULL);
}

/*  ---- Sending --------------------------------------------------------------------------------- */

void rp_postgres_add_number (rp_postgres_values_t *self, int64_t value)
{
    RP_CHECK (self->count < RP_POSTGRES_PARAMETERS);
    self->are_numbers[self->count] = true;
    self->numbers[self->count] = htobe64 ((uint64_t) value);
    self->sizes[self->count++] = sizeof value;
}

void rp_postgres_add_bytes (rp_postgres_values_t *self, const void *data, size_t size)
{
    RP_CHECK (self->count < RP_POSTGRES_PARAMETERS);
    self->bytes[self->count] = size > 0 ? data : "";
    self->sizes[self->count++] = (int) size;
}

void rp_postgres_add_null (rp_postgres_values_t *self)
{
    RP_CHECK (self->count < RP_POSTGRES_PARAMETERS);
    self->sizes[self->count++] = 0;
}

/*  rc: of a call that queues something.  */
static bool s_sent (rp_postgres_t *self, int rc)
{
    return rc == 1 || s_lose (self, NULL);
}

bool rp_postgres_prepare (rp_postgres_t *self, const char *name, const char *types, const char *sql)
{
    Oid oids[RP_POSTGRES_PARAMETERS];
    size_t count = strlen (types);
    RP_CHECK (count <= RP_POSTGRES_PARAMETERS);
    for (size_t index = 0; index < count; index++)
        oids[index] = types[index] == 'n' ? S_INT8 : S_BYTEA;
    return s_sent (self, self->pq->PQsendPrepare (self->connection, name, sql, (int) count, oids));
}

bool rp_postgres_send (rp_postgres_t *self, const char *name, const rp_postgres_values_t *values)
{
    static const int binary[RP_POSTGRES_PARAMETERS] = {
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const char *all[RP_POSTGRES_PARAMETERS];
    for (int index = 0; index < values->count; index++)
        all[index] = values->are_numbers[index] ? (const char *) &values->numbers[index]
                                                : values->bytes[index];
    return s_sent (self, self->pq->PQsendQueryPrepared (
                           self->connection, name, values->count, all, values->sizes, binary, 1));
}

bool rp_postgres_send_sql (
  rp_postgres_t *self, const char *sql, int count, const char *const *values)
{
    return s_sent (self,
      self->pq->PQsendQueryParams (self->connection, sql, count, NULL, values, NULL, NULL, 1));
}

bool rp_postgres_sync (rp_postgres_t *self)
{
    return s_sent (self, self->pq->PQpipelineSync (self->connection));
}

/*  ---- Answers --------------------------------------------------------------------------------- */

/*  Sends what is queued and reads, until libpq has the next result.  */
static bool s_wait (rp_postgres_t *self)
{
    int64_t until = rp_clock_us () + self->silent_us;
    for (;;) {
        int left = self->pq->PQflush (self->connection);
        if (left < 0)
            return s_lose (self, NULL);
        if (!self->pq->PQisBusy (self->connection))
            return true;
        int64_t now = rp_clock_us ();
        struct pollfd poller = {.fd = self->pq->PQsocket (self->connection),
          .events = (short) (POLLIN | (left ? POLLOUT : 0))};
        int rc = poll (&poller, 1, now < until ? (int) ((until - now) / 1000 + 1) : 0);
        if (rc < 0 && errno != EINTR)
            return s_lose (self, strerror (errno));
        if (rc == 0)
            return s_lose (self, "the database does not answer");
        if (rc > 0) // also when it can only be written: it is far from silent
            until = rp_clock_us () + self->silent_us;
        if (rc > 0 && poller.revents & ~POLLOUT && !self->pq->PQconsumeInput (self->connection))
            return s_lose (self, NULL);
    }
}

static bool s_is (const char *state, const char *prefix)
{
    return strncmp (state, prefix, strlen (prefix)) == 0;
}

/*  Makes of an error what the store does about it; keeps the words.  */
static rp_postgres_answer_t s_classify (rp_postgres_t *self, const PGresult *result)
{
    const char *state = self->pq->PQresultErrorField (result, PG_DIAG_SQLSTATE);
    const char *text = self->pq->PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY);
    s_set_trouble (self, text ? text : self->pq->PQresultErrorMessage (result));
    snprintf (self->state, sizeof self->state, "%s", state ? state : "");
    if (!state) // libpq's own: the connection is gone
        return RP_POSTGRES_LOST;
    if (s_is (state, "40001") || s_is (state, "40P01") || s_is (state, "55P03")) // a lock's time
        return RP_POSTGRES_AGAIN;
    if (s_is (state, "53100"))
        return RP_POSTGRES_FULL;
    if (s_is (state, "22012"))
        return RP_POSTGRES_FENCED;
    // The database ends, or lets nobody write: perhaps another host does.
    if (s_is (state, "57P") || s_is (state, "08") || s_is (state, "25006"))
        return RP_POSTGRES_LOST;
    return RP_POSTGRES_WRONG;
}

rp_postgres_answer_t rp_postgres_take (rp_postgres_t *self, PGresult **result)
{
    *result = NULL;
    if (!self->connection || !s_wait (self))
        return RP_POSTGRES_LOST;
    *result = self->pq->PQgetResult (self->connection);
    if (!*result) {
        (void) s_lose (self, NULL);
        return RP_POSTGRES_LOST;
    }
    rp_postgres_answer_t answer = RP_POSTGRES_DONE;
    switch (self->pq->PQresultStatus (*result)) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
            break;
        case PGRES_PIPELINE_ABORTED:
            answer = RP_POSTGRES_WRONG;
            break;
        default:
            answer = s_classify (self, *result);
    }
    if (answer == RP_POSTGRES_LOST) {
        self->pq->PQclear (*result);
        *result = NULL;
        rp_postgres_disconnect (self);
        return answer;
    }
    // Each statement's results end with none.
    PGresult *end = s_wait (self) ? self->pq->PQgetResult (self->connection) : NULL;
    self->pq->PQclear (end);
    if (self->connection)
        return answer;
    self->pq->PQclear (*result);
    *result = NULL;
    return RP_POSTGRES_LOST;
}

bool rp_postgres_take_sync (rp_postgres_t *self)
{
    if (!self->connection || !s_wait (self))
        return false;
    PGresult *result = self->pq->PQgetResult (self->connection);
    bool synced = self->pq->PQresultStatus (result) == PGRES_PIPELINE_SYNC;
    self->pq->PQclear (result);
    return synced || s_lose (self, "the database answers out of turn");
}

rp_postgres_answer_t rp_postgres_run (
  rp_postgres_t *self, const char *sql, int count, const char *const *values, PGresult **result)
{
    *result = NULL;
    if (!self->connection || !rp_postgres_send_sql (self, sql, count, values)
        || !rp_postgres_sync (self))
        return RP_POSTGRES_LOST;
    rp_postgres_answer_t answer = rp_postgres_take (self, result);
    if (answer == RP_POSTGRES_LOST || rp_postgres_take_sync (self))
        return answer;
    self->pq->PQclear (*result);
    *result = NULL;
    return RP_POSTGRES_LOST;
}

/*  ---- Values ---------------------------------------------------------------------------------- */

rp_store_span_t rp_postgres_bytes (
  const rp_postgres_t *self, const PGresult *result, int row, int column)
{
    if (self->pq->PQgetisnull (result, row, column))
        return (rp_store_span_t){NULL, 0};
    return (rp_store_span_t){self->pq->PQgetvalue (result, row, column),
      (size_t) self->pq->PQgetlength (result, row, column)};
}

int64_t rp_postgres_number (const rp_postgres_t *self, const PGresult *result, int row, int column)
{
    rp_store_span_t bytes = rp_postgres_bytes (self, result, row, column);
    uint64_t value = 0;
    for (size_t index = 0; index < bytes.size && index < sizeof value; index++)
        value = value << 8 | ((const uint8_t *) bytes.data)[index];
    // Narrower types have a sign of their own; none of ours is negative there.
    return (int64_t) value;
}
