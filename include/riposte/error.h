/*  Riposte: the one list of statuses and errors.

    SPDX-License-Identifier: MPL-2.0

    A request ends with exactly one status. Statuses of the first block travel on the wire; they are
    the delivery contract (docs/CONTRACT.md says what a client may conclude from each). The client
    library itself gives the statuses of the second block, when it has no broker's reply. Functions
    return the errors of the third block when they could not do what they should.

    This list makes the enum, the strings, the values on the wire, the exit codes of the programs
    and the table in docs/CONTRACT.md. Numbers never change and are never reused.

    Source: docs/CONTRACT.md.
    Thread-safety: any thread may call any function.
*/

#ifndef RIPOSTE_ERROR_H
#define RIPOSTE_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RP_STATIC) || !defined(__GNUC__)
#define RP_EXPORT
#else
#define RP_EXPORT __attribute__ ((visibility ("default")))
#endif

/*  name, number, exit code of a program that ends with the status, meaning  */
#define RP_STATUS_MAP(X)                                                                           \
    /*  final statuses, on the wire  */                                                            \
    X (OK, 0, 0, "a worker ran it and replied")                                                    \
    X (APP_ERROR, 1, 1, "the worker ran it and replied with an error")                             \
    X (NO_WORKER, 2, 4, "no worker offers the service")                                            \
    X (BUSY, 3, 7, "a queue or a limit is full; it was not given to a worker")                     \
    X (DRAINING, 4, 7, "the broker takes no new requests; it was not given to a worker")           \
    X (DENIED, 5, 6, "not allowed; it was not given to a worker")                                  \
    X (INVALID, 6, 2, "the message breaks the protocol; it was not given to a worker")             \
    X (TOO_LARGE, 7, 7, "the body is over the limit; it was not given to a worker")                \
    X (EXPIRED, 8, 5, "the deadline passed before a worker had room; it never ran")                \
    X (CANCELLED, 9, 130, "withdrawn by the client")                                               \
    X (WORKER_LOST, 10, 9, "the worker was lost; the outcome was not seen")                        \
    X (DEADLINE, 11, 5, "the deadline passed while a worker had it; the outcome was not seen")     \
    X (CONVERSATION_LOST, 12, 9, "the conversation is gone, and its state with it")                \
    X (KEY_MISMATCH, 13, 2, "its idempotency key has another body already; it never ran")          \
    /*  final statuses that only the client library gives  */                                      \
    X (NO_BROKER, 64, 3, "no broker was reached; it was never sent")                               \
    X (UNKNOWN, 65, 3, "the broker was lost or fell silent; the outcome is unknown")               \
    /*  errors of functions  */                                                                    \
    X (USAGE, 96, 2, "a wrong argument")                                                           \
    X (NO_MEMORY, 97, 1, "out of memory")                                                          \
    X (TIMED_OUT, 98, 5, "nothing happened in the time given")                                     \
    X (CLOSED, 99, 3, "the object is closing or has ended")                                        \
    X (FULL, 100, 7, "too many requests are open here; collect some first")                        \
    X (INTERRUPTED, 101, 130, "a signal arrived")                                                  \
    X (SYSTEM, 102, 1, "the operating system refused; see errno")

typedef enum {
#define RP_STATUS_ENUM(name, number, exit_code, text) RP_##name = number,
    RP_STATUS_MAP (RP_STATUS_ENUM)
#undef RP_STATUS_ENUM
} rp_status_t;

/*  The last status that travels on the wire.  */
#define RP_STATUS_LAST RP_KEY_MISMATCH

/*  Returns the meaning of a status, a clause without a full stop. Never NULL: "unknown status" for
    an unknown number. The string is static.  */
RP_EXPORT const char *rp_strerror (int status);

/*  Returns the name of a status as documents and JSON write it ("NO_WORKER"). Never NULL: "?" for
    an unknown number. The string is static.  */
RP_EXPORT const char *rp_status_name (int status);

/*  Returns the exit code of a program that ends with this status; 1 for an unknown number.  */
RP_EXPORT int rp_status_exit_code (int status);

/*  True if the status proves that no worker was given the request under this id, so that another
    attempt cannot run it twice.  */
RP_EXPORT bool rp_status_is_safe_to_retry (int status);

#ifdef __cplusplus
}
#endif

#endif
