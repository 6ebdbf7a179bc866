/*  The statements of the backend for SQLite. Each finds its rows by an index, but for SERVICES and LOST,
    which look at all open jobs.

    SPDX-License-Identifier: MPL-2.0

    Source: the tables are in broker/store/sqlite_file.c.
*/

#ifndef RP_SQLITE_SQL_H
#define RP_SQLITE_SQL_H

#include "broker/store/sqlite_rows.h"

#define RP_SQLITE_JOIN                                                                             \
    " FROM jobs j LEFT JOIN open o ON o.id = j.id LEFT JOIN finals f ON f.id = j.id"

/*  Statements: name, SQL.  */
#define RP_SQLITE_MAP(X)                                                                           \
    X (BEGIN, "BEGIN IMMEDIATE")                                                                   \
    X (COMMIT, "COMMIT")                                                                           \
    X (PUT_JOB,                                                                                    \
      "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15," \
      " ?16, ?17)")                                                                                \
    X (PUT_OPEN, "INSERT INTO open VALUES (?1, ?2, ?3, ?4, ?5 IS NULL, ?5, ?6, ?7)")               \
    X (PUT_KEY, "INSERT INTO keys VALUES (?1, ?2, ?3, ?4)")                                        \
    X (KEY, "SELECT job FROM keys WHERE key = ?1 AND service = ?2 AND principal = ?3")             \
    X (ATTEMPT,                                                                                    \
      "UPDATE open SET attempt = ?2, started = ?3, worker = ?4, listed = 0 WHERE id = ?1")         \
    X (OPEN, "SELECT attempt, started, worker FROM open WHERE id = ?1")                            \
    X (ENDED, "SELECT dead FROM finals WHERE id = ?1")                                             \
    X (PARK, "UPDATE open SET due = ?2, attempt = ?3, started = NULL, worker = NULL, listed = 1 "  \
             "WHERE id = ?1")                                                                      \
    X (PUT_ATTEMPT,                                                                                \
      "INSERT INTO attempts VALUES (?1, (SELECT ifnull (max (place), 0) + 1 FROM attempts"         \
      " WHERE job = ?1), ?2, ?3, ?4, ?5, ?6, ?7)")                                                 \
    X (PUT_FINAL,                                                                                  \
      "INSERT INTO finals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?12, ?13)")     \
    X (CLOSE, "DELETE FROM open WHERE id = ?1")                                                    \
    X (COPY_JOB,                                                                                   \
      "INSERT INTO jobs SELECT ?2, service, principal, ?3, ?4,"                                    \
      " CASE WHEN deadline > 1 << 62 THEN deadline ELSE deadline - accepted + ?3 END,"             \
      " CASE ?5 WHEN 0 THEN attempts ELSE ?5 END, attempt_timeout, backoff, keep, flags, id, key," \
      " digest, headers, frames, body FROM jobs WHERE id = ?1")                                    \
    X (COPY_OPEN, "INSERT INTO open SELECT id, service, max (not_before, accepted), 0, 1, NULL, "  \
                  "NULL, CASE WHEN deadline > 1 << 62 THEN NULL ELSE deadline END FROM jobs"       \
                  " WHERE id = ?1")                                                                \
    X (MOVE_KEY, "UPDATE keys SET job = ?2 WHERE job = ?1 AND (key, service, principal) ="         \
                 " (SELECT key, service, principal FROM jobs WHERE id = ?1)")                      \
    X (RETRIED, "UPDATE finals SET dead = 0, child = ?2 WHERE id = ?1")                            \
    X (FIND, "SELECT " RP_COLUMNS_JOB RP_COLUMNS_CONTENT RP_SQLITE_JOIN " WHERE j.id = ?1")        \
    X (FIND_FINAL,                                                                                 \
      "SELECT " RP_COLUMNS_JOB                                                                     \
      ", j.headers, NULL, NULL, f.headers, f.frames, f.body" RP_SQLITE_JOIN " WHERE j.id = ?1")    \
    X (FIND_STATE, "SELECT " RP_COLUMNS_JOB                                                        \
                   ", j.headers, NULL, NULL, NULL, NULL, NULL" RP_SQLITE_JOIN " WHERE j.id = ?1")  \
    X (FIND_ATTEMPTS,                                                                              \
      "SELECT number, started, ended, status, worker, text FROM attempts WHERE job = ?1"           \
      " ORDER BY place")                                                                           \
    X (LOAD_SAME, "SELECT " RP_COLUMNS_WAITING " FROM open o CROSS JOIN jobs j ON j.id = o.id"     \
                  " WHERE o.listed AND o.service = ?1 AND o.due = ?2 AND o.id > ?3 ORDER BY o.id") \
    X (LOAD,                                                                                       \
      "SELECT " RP_COLUMNS_WAITING " FROM open o CROSS JOIN jobs j ON j.id = o.id"                 \
      " WHERE o.listed AND o.service = ?1 AND o.due > ?2 AND o.due <= ?3 ORDER BY o.due, o.id")    \
    X (NEXT_DUE, "SELECT min (due) FROM open WHERE listed AND service = ?1 AND due > ?2")          \
    X (LIST, "SELECT " RP_COLUMNS_JOB RP_SQLITE_JOIN " WHERE j.id > ?1 ORDER BY j.id")             \
    X (LIST_OPEN, "SELECT " RP_COLUMNS_JOB " FROM open o CROSS JOIN jobs j ON j.id = o.id"         \
                  " LEFT JOIN finals f ON f.id = 0 WHERE o.id > ?1 ORDER BY o.id")                 \
    X (LIST_RUNNING,                                                                               \
      "SELECT " RP_COLUMNS_JOB " FROM (SELECT * FROM open WHERE id > ?1 ORDER BY id"               \
      " LIMIT ?2) o CROSS JOIN jobs j ON j.id = o.id LEFT JOIN finals f ON f.id = 0"               \
      " WHERE o.started IS NOT NULL ORDER BY o.id")                                                \
    X (OPEN_BEHIND, "SELECT id FROM open WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2")             \
    X (LIST_OVERDUE, "SELECT " RP_COLUMNS_JOB " FROM open o CROSS JOIN jobs j ON j.id = o.id"      \
                     " LEFT JOIN finals f ON f.id = 0 WHERE o.deadline <= ?1"                      \
                     " AND o.started IS NULL ORDER BY o.deadline")                                 \
    X (LIST_DEAD, "SELECT " RP_COLUMNS_JOB " FROM finals f CROSS JOIN jobs j ON j.id = f.id"       \
                  " LEFT JOIN open o ON o.id = 0 WHERE f.dead AND f.id > ?1 ORDER BY f.id")        \
    X (LIST_DONE, "SELECT " RP_COLUMNS_JOB " FROM finals f CROSS JOIN jobs j ON j.id = f.id"       \
                  " LEFT JOIN open o ON o.id = 0 WHERE f.id > ?1 ORDER BY f.id")                   \
    X (LOST, "UPDATE open SET listed = 1 WHERE started IS NOT NULL AND NOT listed")                \
    X (SERVICES,                                                                                   \
      "SELECT service, sum (w), sum (r), min (due) FROM"                                           \
      " (SELECT service, count (*) AS w, 0 AS r, min (due) AS due FROM open WHERE listed"          \
      " GROUP BY service UNION ALL"                                                                \
      " SELECT service, -sum (listed), count (*), NULL FROM open WHERE started IS NOT NULL"        \
      " GROUP BY service) GROUP BY service ORDER BY service")                                      \
    X (LAST_FLAGS, "SELECT flags FROM jobs ORDER BY id DESC LIMIT 1")                              \
    X (PURGE, "SELECT f.id FROM finals f CROSS JOIN jobs j ON j.id = f.id"                         \
              " WHERE f.dead AND (?1 = '' OR j.service = ?1) ORDER BY f.id LIMIT ?2")              \
    X (PAST, "SELECT id FROM finals WHERE until <= ?1 ORDER BY until LIMIT ?2")                    \
    X (REMOVE_KEY, "DELETE FROM keys WHERE job = ?1 AND (key, service, principal) ="               \
                   " (SELECT key, service, principal FROM jobs WHERE id = ?1)")                    \
    X (REMOVE_ATTEMPTS, "DELETE FROM attempts WHERE job = ?1")                                     \
    X (REMOVE_JOB, "DELETE FROM jobs WHERE id = ?1")                                               \
    X (REMOVE_FINAL, "DELETE FROM finals WHERE id = ?1")                                           \
    X (LAST, "UPDATE last SET id = ?1")                                                            \
    X (PAGES, "PRAGMA page_count")                                                                 \
    X (SPARE, "PRAGMA freelist_count")

#endif
