/*  Reading: tells whether a client reads what waits for it.

    SPDX-License-Identifier: MPL-2.0

    Messages that clients have not read take memory that others need. When they take too much,
    clients that do not read are cut off; a client that reads is not, however much waits for it. A
    client reads if, in the last second, enough bytes went over its connection that the rest would
    be gone in a minute. Where the kernel does not count bytes (ipc), it reads if less waits than
    before, or if it has read everything that was written.

    Pure: the kernel's numbers are an argument. Thread-safety: none.
*/

#ifndef RP_READING_H
#define RP_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/socket.h"

/*  How often to look at clients while too much waits, and the window in which they are judged,
    µs.  */
#define RP_READING_LOOK_US INT64_C (100000)
#define RP_READING_WINDOW_US INT64_C (1000000)
/*  A client reads if what waits would be gone in this many windows; and if it read at least this
    many bytes in one.  */
#define RP_READING_WINDOWS 60u
#define RP_READING_BYTES 4096u

/*  Zero: no look yet.  */
typedef struct {
    int64_t since;  /* beginning of the window, µs */
    int64_t looked; /* time of the latest look, µs */
    uint64_t sent;  /* bytes over the connection, at the beginning */
    size_t waits;   /* bytes that waited, at the beginning */
} rp_reading_t;

/*  Looks at a client for which `waits` bytes wait. traffic: of its connection; NULL if not known.
    True if a window has ended in which the client did not read.  */
bool rp_reading_is_stalled (
  rp_reading_t *self, size_t waits, const rp_traffic_t *traffic, int64_t now);

#endif
