/*  libpq, PostgreSQL's client library: loaded when a store is a URL, so that programs which keep none there
    neither need it nor wait for it.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: any thread.
*/

#ifndef RP_LIBPQ_H
#define RP_LIBPQ_H

#include <libpq-fe.h>

/*  The functions that are used.  */
#define RP_LIBPQ_MAP(X)                                                                            \
    X (PQclear)                                                                                    \
    X (PQcmdStatus)                                                                                \
    X (PQcmdTuples)                                                                                \
    X (PQconnectdbParams)                                                                          \
    X (PQconninfoFree)                                                                             \
    X (PQconninfoParse)                                                                            \
    X (PQconsumeInput)                                                                             \
    X (PQenterPipelineMode)                                                                        \
    X (PQerrorMessage)                                                                             \
    X (PQfinish)                                                                                   \
    X (PQflush)                                                                                    \
    X (PQfreemem)                                                                                  \
    X (PQgetResult)                                                                                \
    X (PQgetisnull)                                                                                \
    X (PQgetlength)                                                                                \
    X (PQgetvalue)                                                                                 \
    X (PQisBusy)                                                                                   \
    X (PQntuples)                                                                                  \
    X (PQpipelineSync)                                                                             \
    X (PQresultErrorField)                                                                         \
    X (PQresultErrorMessage)                                                                       \
    X (PQresultStatus)                                                                             \
    X (PQsendPrepare)                                                                              \
    X (PQsendQueryParams)                                                                          \
    X (PQsendQueryPrepared)                                                                        \
    X (PQsetNoticeProcessor)                                                                       \
    X (PQsetnonblocking)                                                                           \
    X (PQsocket)                                                                                   \
    X (PQstatus)

typedef struct {
#define RP_LIBPQ_FIELD(name) __typeof__ (&(name)) name;
    RP_LIBPQ_MAP (RP_LIBPQ_FIELD)
#undef RP_LIBPQ_FIELD
} rp_libpq_t;

/*  Loads it, once for the process. NULL on failure: text (RP_STORE_TEXT bytes) says what to do.  */
const rp_libpq_t *rp_libpq (char *text);

#endif
