/*  The statements of the backend for PostgreSQL, within what CockroachDB and YugabyteDB take too. Each says by
    itself what came of it, since all of a transaction are sent before the first is answered.

    SPDX-License-Identifier: MPL-2.0

    Source: the tables are in broker/store/postgres_schema.c.
*/

#ifndef RP_POSTGRES_SQL_H
#define RP_POSTGRES_SQL_H

#include "broker/store/columns.h"
#include "broker/store/membership.h"

/*  Open jobs, or others, that one LIST looks at.  */
#define RP_POSTGRES_LOOKS "4000"

#define RP_POSTGRES_JOIN                                                                           \
    " FROM riposte.jobs j"                                                                         \
    " LEFT JOIN riposte.open o ON o.id = j.id LEFT JOIN riposte.finals f ON f.id = j.id"

/*  A job without the frames of its body and of its final.  */
#define RP_POSTGRES_STATE                                                                          \
    "SELECT " RP_COLUMNS_JOB ", j.headers, NULL, NULL, NULL, NULL, NULL" RP_POSTGRES_JOIN

/*  Who has an open job now, behind the columns of a job with content. Until its holder knows of it, it is the broker's
    that accepted it.  */
#define RP_POSTGRES_HOLDER                                                                         \
    ", (SELECT CASE WHEN b.listed THEN b.holder ELSE b.id END FROM riposte.brokers b"              \
    " WHERE b.id = o.owner)"
#define RP_POSTGRES_HOLDER_COLUMN 36

/*  The brokers whose jobs are this one's, and known to it: its own, and those that it has taken over and been told of.  */
#define RP_POSTGRES_HELD(self) "SELECT id FROM riposte.brokers WHERE listed AND holder = " self
/*  Those of which SERVICES tells. $1: this broker; $2: 0, of all; 1, of news.  */
#define RP_POSTGRES_TOLD                                                                           \
    "SELECT id FROM riposte.brokers WHERE holder = $1 AND ($2 = 0 OR NOT listed)"

/*  Their open jobs, by the indexes, which each have one half of a broker's.  */
#define RP_POSTGRES_OPEN_TOLD                                                                      \
    " FROM (" RP_POSTGRES_TOLD ") b CROSS JOIN LATERAL"                                            \
    " (SELECT id, service, started, due AS listed_due FROM riposte.open"                           \
    " WHERE listed AND owner = b.id UNION ALL SELECT id, service, started, NULL FROM riposte.open" \
    " WHERE NOT listed AND owner = b.id) o"

/*  How many open jobs of a broker `b` there are, up to a number that takes no time to count, and one more.  */
#define RP_POSTGRES_COUNTED 10000
#define RP_POSTGRES_OPEN_OF(which)                                                                 \
    "(SELECT count(*) FROM (SELECT 1 FROM riposte.open WHERE owner = b.id AND " which              \
    " LIMIT 10001) c)"

/*  What came of the statement that changes an open job: 0, it was one; 1, it has ended; 2, there is none.  */
#define RP_POSTGRES_CAME(changed)                                                                  \
    "SELECT (CASE WHEN EXISTS (SELECT 1 FROM " changed                                             \
    ") THEN 0 WHEN EXISTS (SELECT 1 FROM riposte.finals WHERE id = $1) THEN 1 ELSE 2 END)::bigint"

/*  Removes jobs that have ended, with everything about them; says how many.  */
#define RP_POSTGRES_REMOVE(victims)                                                                \
    "WITH gone AS (DELETE FROM riposte.finals WHERE id IN (" victims ") RETURNING id),"            \
    " k AS (DELETE FROM riposte.keys WHERE job IN (SELECT id FROM gone)"                           \
    " AND (key, service, principal) IN (SELECT key, service, principal FROM riposte.jobs"          \
    " WHERE key IS NOT NULL AND id IN (SELECT id FROM gone)) RETURNING job),"                      \
    " a AS (DELETE FROM riposte.attempts WHERE job IN (SELECT id FROM gone) RETURNING job),"       \
    " j AS (DELETE FROM riposte.jobs WHERE id IN (SELECT id FROM gone) RETURNING id)"              \
    " SELECT count(*) FROM gone"

/*  A page of jobs by id: of so many candidates, those of a service and in a state. $1: after this id; $2: the
    service, or ''; $3: how many. And the last of so many candidates, with a second row if there are more.  */
#define RP_POSTGRES_PAGE(candidates, state)                                                        \
    "SELECT " RP_COLUMNS_JOB " FROM (" candidates " ORDER BY id LIMIT " RP_POSTGRES_LOOKS          \
    ") c JOIN riposte.jobs j ON j.id = c.id LEFT JOIN riposte.open o ON o.id = j.id"               \
    " LEFT JOIN riposte.finals f ON f.id = j.id"                                                   \
    " WHERE (length ($2) = 0 OR j.service = $2) AND " state " ORDER BY j.id LIMIT $3"
#define RP_POSTGRES_BEHIND(candidates)                                                             \
    "SELECT id FROM (" candidates " ORDER BY id LIMIT " RP_POSTGRES_LOOKS                          \
    " + 1) c ORDER BY id OFFSET " RP_POSTGRES_LOOKS " - 1"

#define RP_POSTGRES_OF_JOBS "SELECT id FROM riposte.jobs WHERE id > $1"
#define RP_POSTGRES_OF_OPEN "SELECT id FROM riposte.open WHERE id > $1"
#define RP_POSTGRES_OF_FINALS "SELECT id FROM riposte.finals WHERE id > $1"
/*  Jobs of this broker that ran when SERVICES told of them: it says that they wait.  */
#define RP_POSTGRES_OF_RAN(self)                                                                   \
    "SELECT o.id FROM (" RP_POSTGRES_HELD (                                                        \
      self) ") b CROSS JOIN LATERAL (SELECT id FROM riposte.open"                                  \
            " WHERE listed AND started IS NOT NULL AND owner = b.id AND id > $1"                   \
            " ORDER BY id LIMIT " RP_POSTGRES_LOOKS " + 1) o"
#define RP_POSTGRES_OF_DEAD "SELECT id FROM riposte.finals WHERE dead AND id > $1"

/*  Statements: name, types of the parameters (n: number, b: bytes), SQL.

    FENCE fails, by a division by zero, unless the broker's epoch is still that; its row stays locked until
    the transaction ends. `commits` is the mark by which a commit without an answer is found out about. The lease
    runs from then on, which may be long after now (), the beginning of the transaction.

    LOAD: $4 due at the latest, $5 rows, $6 bytes. The first row that does not fit comes with those that do.  */
#define RP_POSTGRES_MAP(X)                                                                         \
    X (BEGIN, "", "BEGIN")                                                                         \
    X (COMMIT, "", "COMMIT")                                                                       \
    X (ROLLBACK, "", "ROLLBACK")                                                                   \
    X (FENCE, "nnn",                                                                               \
      "WITH own AS (UPDATE riposte.brokers SET commits = $3, lease_until = clock_timestamp() +"    \
      " interval '" RP_MEMBERSHIP_LEASE "' WHERE id = $1 AND epoch = $2 RETURNING id)"             \
      " SELECT 1 / (SELECT count(*) FROM own)")                                                    \
    X (PUT_JOB, "nbbnnnnnnnnnbbbbb",                                                               \
      "INSERT INTO riposte.jobs (id, service, principal, accepted, not_before, deadline, "         \
      "attempts,"                                                                                  \
      " attempt_timeout, backoff, keep, flags, parent, key, digest, headers, frames, body)"        \
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)")      \
    X (PUT_OPEN, "nbnnnbnn",                                                                       \
      "INSERT INTO riposte.open (id, service, due, attempt, listed, started, worker, deadline,"    \
      " owner) VALUES ($1, $2, $3, $4, $5 IS NULL, $5, $6, $7, $8)")                               \
    X (PUT_KEY, "bbbn",                                                                            \
      "INSERT INTO riposte.keys (key, service, principal, job) VALUES ($1, $2, $3, $4)"            \
      " ON CONFLICT (key, service, principal) DO NOTHING")                                         \
    X (PUT_JOB_WITH_KEY, "nbbnnnnnnnnnbbbbb",                                                      \
      "INSERT INTO riposte.jobs (id, service, principal, accepted, not_before, deadline, "         \
      "attempts,"                                                                                  \
      " attempt_timeout, backoff, keep, flags, parent, key, digest, headers, frames, body)"        \
      " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17"         \
      " WHERE EXISTS (SELECT 1 FROM riposte.keys WHERE key = $13 AND service = $2"                 \
      " AND principal = $3 AND job = $1)")                                                         \
    X (PUT_OPEN_WITH_KEY, "nbnnnbnn",                                                              \
      "INSERT INTO riposte.open (id, service, due, attempt, listed, started, worker, deadline,"    \
      " owner) SELECT $1, $2, $3, $4, $5 IS NULL, $5, $6, $7, $8"                                  \
      " WHERE EXISTS (SELECT 1 FROM riposte.jobs WHERE id = $1)")                                  \
    X (KNOWN, "bbbn",                                                                              \
      RP_POSTGRES_STATE " WHERE j.id = (SELECT job FROM riposte.keys WHERE key = $1"               \
                        " AND service = $2 AND principal = $3 AND job <> $4)")                     \
    X (KEY, "bbb",                                                                                 \
      "SELECT k.job, j.digest FROM riposte.keys k JOIN riposte.jobs j ON j.id = k.job"             \
      " WHERE k.key = $1 AND k.service = $2 AND k.principal = $3")                                 \
    X (ATTEMPT, "nnnb",                                                                            \
      "WITH u AS (UPDATE riposte.open SET attempt = $2, started = $3, worker = $4, listed = false" \
      " WHERE id = $1 RETURNING id) " RP_POSTGRES_CAME ("u"))                                      \
    X (PARK, "nnnnnbb",                                                                            \
      "WITH a AS (INSERT INTO riposte.attempts (job, place, number, started, ended, status,"       \
      " worker, text) SELECT id, (SELECT coalesce (max (place), 0) + 1 FROM riposte.attempts"      \
      " WHERE job = $1), attempt, started, $4, $5, coalesce ($6, worker), $7 FROM riposte.open"    \
      " WHERE id = $1 AND started IS NOT NULL RETURNING job), u AS (UPDATE riposte.open"           \
      " SET due = $2, attempt = $3, started = NULL, worker = NULL, listed = true WHERE id = $1"    \
      " RETURNING id) " RP_POSTGRES_CAME ("u"))                                                    \
    X (PARK_UNBEGUN, "nnn",                                                                        \
      "WITH u AS (UPDATE riposte.open SET due = $2, attempt = $3, started = NULL, worker = NULL,"  \
      " listed = true WHERE id = $1 RETURNING id) " RP_POSTGRES_CAME ("u"))                        \
    X (FINAL, "nnnnnnnbbbbb",                                                                      \
      "WITH d AS (DELETE FROM riposte.open WHERE id = $1 RETURNING id, started, worker),"          \
      " f AS (INSERT INTO riposte.finals (id, until, ended, status, code, attempt, dead, child,"   \
      " started, worker, text, headers, frames, body) SELECT id, $2, $3, $4, $5, $6, $7 <> 0, 0,"  \
      " started, coalesce ($8, worker), $9, $10, $11, $12 FROM d RETURNING "                       \
      "id) " RP_POSTGRES_CAME ("d"))                                                               \
    X (FINAL_OF_OTHER, "nnnnnnnbbbbb",                                                             \
      "WITH d AS (DELETE FROM riposte.open WHERE id = $1 RETURNING id, started, worker, owner,"    \
      " service), f AS (INSERT INTO riposte.finals (id, until, ended, status, code, attempt,"      \
      " dead, child, started, worker, text, headers, frames, body) SELECT id, $2, $3, $4, $5, $6," \
      " $7 <> 0, 0, started, coalesce ($8, worker), $9, $10, $11, $12 FROM d RETURNING id),"       \
      " e AS (INSERT INTO riposte.ended (id, owner, service) SELECT id, owner, service FROM d"     \
      " RETURNING id) " RP_POSTGRES_CAME ("d"))                                                    \
    X (RETRY_FINAL, "nn",                                                                          \
      "UPDATE riposte.finals SET dead = false, child = $2 WHERE id = $1 AND dead")                 \
    X (RETRY_JOB, "nnnnn",                                                                         \
      "INSERT INTO riposte.jobs (id, service, principal, accepted, not_before, deadline, "         \
      "attempts,"                                                                                  \
      " attempt_timeout, backoff, keep, flags, parent, key, digest, headers, frames, body)"        \
      " SELECT $2, service, principal, $3, $4, CASE WHEN deadline > 4611686018427387904"           \
      " THEN deadline ELSE deadline - accepted + $3 END, CASE WHEN $5 = 0 THEN attempts ELSE $5"   \
      " END, attempt_timeout, backoff, keep, flags, id, key, digest, headers, frames, body"        \
      " FROM riposte.jobs WHERE id = $1"                                                           \
      " AND EXISTS (SELECT 1 FROM riposte.finals WHERE id = $1 AND child = $2)")                   \
    X (RETRY_OPEN, "nn",                                                                           \
      "INSERT INTO riposte.open (id, service, due, attempt, listed, started, worker, deadline,"    \
      " owner) SELECT id, service, greatest (not_before, accepted), 0, true, NULL, NULL, CASE"     \
      " WHEN deadline > 4611686018427387904 THEN NULL ELSE deadline END, $2 FROM riposte.jobs"     \
      " WHERE id = $1")                                                                            \
    X (RETRY_KEY, "nn",                                                                            \
      "UPDATE riposte.keys SET job = $2 WHERE job = $1 AND (key, service, principal) IN"           \
      " (SELECT key, service, principal FROM riposte.jobs WHERE id = $2 AND key IS NOT NULL)")     \
    X (FIND, "n",                                                                                  \
      "SELECT " RP_COLUMNS_JOB RP_COLUMNS_CONTENT RP_POSTGRES_HOLDER RP_POSTGRES_JOIN              \
      " WHERE j.id = $1")                                                                          \
    X (FIND_FINAL, "n",                                                                            \
      "SELECT " RP_COLUMNS_JOB                                                                     \
      ", j.headers, NULL, NULL, f.headers, f.frames, f.body" RP_POSTGRES_HOLDER RP_POSTGRES_JOIN   \
      " WHERE j.id = $1")                                                                          \
    X (FIND_STATE, "n",                                                                            \
      "SELECT " RP_COLUMNS_JOB                                                                     \
      ", j.headers, NULL, NULL, NULL, NULL, NULL" RP_POSTGRES_HOLDER RP_POSTGRES_JOIN              \
      " WHERE j.id = $1")                                                                          \
    X (FIND_ATTEMPTS, "n",                                                                         \
      "SELECT number, started, ended, status, worker, text FROM riposte.attempts WHERE job = $1"   \
      " ORDER BY place")                                                                           \
    X (REMOVE, "nn",                                                                               \
      RP_POSTGRES_REMOVE ("SELECT id FROM riposte.finals WHERE id = $1 AND dead = ($2 <> 0)"))     \
    X (PURGE, "bn",                                                                                \
      RP_POSTGRES_REMOVE (                                                                         \
        "SELECT f.id FROM riposte.finals f JOIN riposte.jobs j ON j.id = f.id"                     \
        " WHERE f.dead AND (length ($1) = 0 OR j.service = $1) ORDER BY f.id LIMIT $2"))           \
    X (CLEAN, "nn",                                                                                \
      RP_POSTGRES_REMOVE (                                                                         \
        "SELECT id FROM riposte.finals WHERE until <= $1 ORDER BY until LIMIT $2"))                \
    X (PAST, "n", "SELECT id FROM riposte.finals WHERE until <= $1 ORDER BY until LIMIT 1")        \
    X (LOAD, "bnnnnnn",                                                                            \
      "SELECT " RP_COLUMNS_JOB RP_COLUMNS_CONTENT " FROM (SELECT id, due, weight,"                 \
      " sum (weight) OVER (ORDER BY due, id) AS total FROM (SELECT o.id, o.due,"                   \
      " least (greatest (coalesce (length (j.body), 0) + coalesce (length (j.headers), 0), 1),"    \
      " $6) AS weight FROM riposte.brokers b CROSS JOIN LATERAL (SELECT id, due FROM riposte.open" \
      " WHERE listed AND owner = b.id AND service = $1 AND (due, id) > ($2, $3) AND due <= $4"     \
      " ORDER BY due, id LIMIT $5) o JOIN riposte.jobs j ON j.id = o.id WHERE b.holder = $7"       \
      " AND b.listed ORDER BY o.due, o.id LIMIT $5) c) w"                                          \
      " JOIN riposte.open o ON o.id = w.id JOIN riposte.jobs j ON j.id = o.id"                     \
      " LEFT JOIN riposte.finals f ON f.id = 0 WHERE w.total - w.weight <= $6"                     \
      " ORDER BY w.due, w.id")                                                                     \
    X (LOAD_DUE, "bnn",                                                                            \
      "SELECT min (o.due) FROM riposte.brokers b CROSS JOIN LATERAL (SELECT min (due) AS due"      \
      " FROM riposte.open WHERE listed AND owner = b.id AND service = $1 AND due > $2) o"          \
      " WHERE b.holder = $3 AND b.listed")                                                         \
    X (LIST, "nbn", RP_POSTGRES_PAGE (RP_POSTGRES_OF_JOBS, "true"))                                \
    X (LIST_WAITING, "nbn", RP_POSTGRES_PAGE (RP_POSTGRES_OF_OPEN, "o.started IS NULL"))           \
    X (LIST_RUNNING, "nbn", RP_POSTGRES_PAGE (RP_POSTGRES_OF_OPEN, "o.started IS NOT NULL"))       \
    X (LIST_DONE, "nbn", RP_POSTGRES_PAGE (RP_POSTGRES_OF_FINALS, "NOT f.dead"))                   \
    X (LIST_DEAD, "nbn", RP_POSTGRES_PAGE (RP_POSTGRES_OF_DEAD, "f.dead"))                         \
    X (LIST_OWN_RUNNING, "nbnn",                                                                   \
      RP_POSTGRES_PAGE (RP_POSTGRES_OF_RAN ("$4"), "o.started IS NOT NULL"))                       \
    X (LIST_OVERDUE, "nbnn",                                                                       \
      "SELECT " RP_COLUMNS_JOB " FROM riposte.open o JOIN riposte.jobs j ON j.id = o.id"           \
      " LEFT JOIN riposte.finals f ON f.id = 0 WHERE o.deadline <= $1 AND o.started IS NULL"       \
      " AND (length ($2) = 0 OR j.service = $2) AND o.owner IN (" RP_POSTGRES_HELD (               \
        "$4") ") ORDER BY o.deadline LIMIT $3")                                                    \
    X (BEHIND_JOBS, "n", RP_POSTGRES_BEHIND (RP_POSTGRES_OF_JOBS))                                 \
    X (BEHIND_OPEN, "n", RP_POSTGRES_BEHIND (RP_POSTGRES_OF_OPEN))                                 \
    X (BEHIND_RAN, "nn", RP_POSTGRES_BEHIND (RP_POSTGRES_OF_RAN ("$2")))                           \
    X (BEHIND_FINALS, "n", RP_POSTGRES_BEHIND (RP_POSTGRES_OF_FINALS))                             \
    X (BEHIND_DEAD, "n", RP_POSTGRES_BEHIND (RP_POSTGRES_OF_DEAD))                                 \
    X (LOST, "nn",                                                                                 \
      "UPDATE riposte.open SET listed = true WHERE NOT listed AND owner IN (" RP_POSTGRES_TOLD     \
      ")")                                                                                         \
    X (LAST_FLAGS, "nn",                                                                           \
      "SELECT flags FROM riposte.jobs WHERE id = (SELECT max (o.id)" RP_POSTGRES_OPEN_TOLD ")")    \
    X (SERVICES, "nn",                                                                             \
      "WITH gone AS (DELETE FROM riposte.ended WHERE owner IN (" RP_POSTGRES_TOLD                  \
      ") RETURNING id) SELECT service, count(*) FILTER (WHERE started IS NULL), count(*) FILTER"   \
      " (WHERE started IS NOT NULL), min (listed_due)" RP_POSTGRES_OPEN_TOLD                       \
      " GROUP BY service ORDER BY service")                                                        \
    X (ENDED, "n",                                                                                 \
      "DELETE FROM riposte.ended WHERE id IN (SELECT id FROM riposte.ended"                        \
      " WHERE owner IN (" RP_POSTGRES_HELD ("$1") ") LIMIT 10000) RETURNING id, service")          \
    X (BROKERS, "",                                                                                \
      "SELECT id, epoch, holder, endpoints, process,"                                              \
      " (extract (epoch FROM joined) * 1000000)::bigint,"                                          \
      " (extract (epoch FROM lease_until) * 1000000)::bigint,"                                     \
      " coalesce ((extract (epoch FROM adopted) * 1000000)::bigint, 0),"                           \
      " (CASE WHEN lease_until > now() THEN 1 ELSE 0 END)::bigint, " RP_POSTGRES_OPEN_OF (         \
        "listed") ", " RP_POSTGRES_OPEN_OF ("NOT listed") " FROM riposte.brokers b"                \
                                                          " ORDER BY id DESC LIMIT 1000")          \
    X (TOLD, "n", "UPDATE riposte.brokers SET listed = true WHERE holder = $1 AND NOT listed")

#endif
