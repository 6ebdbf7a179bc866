/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/sqlite_rows.h"

#include "common/base/heap.h"

typedef struct {
    rp_columns_t columns;
    sqlite3_stmt *statement;
} s_columns_t;

static sqlite3_stmt *s_statement (const rp_columns_t *columns)
{
    return RP_CONTAINER (columns, const s_columns_t, columns)->statement;
}

static bool s_is_null (const rp_columns_t *columns, int column)
{
    return sqlite3_column_type (s_statement (columns), column) == SQLITE_NULL;
}

static int64_t s_number (const rp_columns_t *columns, int column)
{
    return sqlite3_column_int64 (s_statement (columns), column);
}

static rp_store_span_t s_bytes (const rp_columns_t *columns, int column)
{
    sqlite3_stmt *statement = s_statement (columns);
    const void *data = sqlite3_column_blob (statement, column);
    return (rp_store_span_t){data, (size_t) sqlite3_column_bytes (statement, column)};
}

static s_columns_t s_columns (sqlite3_stmt *statement)
{
    return (s_columns_t){.columns = {.is_null = s_is_null, .number = s_number, .bytes = s_bytes},
      .statement = statement};
}

rp_store_row_t *rp_sqlite_rows_read (rp_store_rows_t *rows, sqlite3_stmt *statement, bool content)
{
    s_columns_t columns = s_columns (statement);
    return rp_columns_read_job (rows, &columns.columns, content);
}

int rp_sqlite_rows_read_attempts (
  rp_store_rows_t *rows, rp_store_row_t *row, sqlite3_stmt *statement)
{
    s_columns_t columns = s_columns (statement);
    rp_columns_attempts_t attempts = {.list = NULL};
    int rc;
    while ((rc = sqlite3_step (statement)) == SQLITE_ROW)
        if (!rp_columns_read_attempt (rows, row, &columns.columns, &attempts))
            return SQLITE_NOMEM;
    rp_columns_set_attempts (row, &attempts);
    return rc;
}

bool rp_sqlite_rows_read_service (rp_store_rows_t *rows, sqlite3_stmt *statement)
{
    s_columns_t columns = s_columns (statement);
    return rp_columns_read_service (rows, &columns.columns);
}
