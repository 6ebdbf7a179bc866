/*  Reading: whether a peer takes what waits for it.

    SPDX-License-Identifier: MPL-2.0

    What clients have not read takes memory that others need. While it is too much, those who do not
    read are to go, and those who read are not, however much waits for them. Who reads is judged over
    a second: enough bytes went over its connection that the rest would be gone in a minute. Where the
    kernel does not count them (ipc), that less waits than before, or that all that was written has
    been read.

    Pure: what the kernel says is an argument. Thread-safety: none.
*/

#ifndef RP_READING_H
#define RP_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/socket.h"

/*  How often readers are looked at while too much waits, and over what they are judged, µs.  */
#define RP_READING_LOOK_US INT64_C (100000)
#define RP_READING_WINDOW_US INT64_C (1000000)
/*  What waits should be gone in so many windows; and a reader takes at least so many bytes in
    one.  */
#define RP_READING_WINDOWS 60u
#define RP_READING_BYTES 4096u

/*  Zero: not looked at yet.  */
typedef struct {
    int64_t since;  /* beginning of the window, µs */
    int64_t looked; /* µs */
    uint64_t sent;  /* over the connection at its beginning */
    size_t waits;   /* at its beginning */
} rp_reading_t;

/*  A look at a peer for which so many bytes wait. traffic: of its connection; NULL if that is not
    known. True if a window has passed in which it did not read.  */
bool rp_reading_is_stalled (
  rp_reading_t *self, size_t waits, const rp_traffic_t *traffic, int64_t now);

#endif
