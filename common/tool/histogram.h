/*  A histogram of times: log-linear, of constant size, for percentiles far out in the tail.

    SPDX-License-Identifier: MPL-2.0

    Values are microseconds. Below 256 each has a bucket of its own; above, each power of two has
    128 of the same width, so what is read back is never below what was recorded and at most 1/128
    (0.8%) above it, from 1 µs to one hour. Recording is O(1) and allocates nothing. The geometry is
    that of an HdrHistogram with two significant digits, and so is the text it writes.

    Alternative: HdrHistogram_c itself, which Debian 12 does not package.

    Thread-safety: none; one per thread, merged when they have ended.
*/

#ifndef RP_HISTOGRAM_H
#define RP_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

/*  One hour. What is longer counts as this, and is counted apart.  */
#define RP_HISTOGRAM_LARGEST UINT64_C (3600000000)
#define RP_HISTOGRAM_BUCKETS 3328u

/*  All zeros is an empty one.  */
typedef struct {
    uint64_t count;
    uint64_t over; /* of them above RP_HISTOGRAM_LARGEST */
    uint64_t max;  /* exact, also above RP_HISTOGRAM_LARGEST; 0 when empty */
    uint64_t buckets[RP_HISTOGRAM_BUCKETS];
} rp_histogram_t;

void rp_histogram_record (rp_histogram_t *self, uint64_t value);

/*  Adds all that other has recorded.  */
void rp_histogram_merge (rp_histogram_t *self, const rp_histogram_t *other);

/*  The value that this share of all values does not exceed, in thousandths of a percent: 50000 is
    the median, 99900 is p99.9, at most 100000. 0 when empty.  */
uint64_t rp_histogram_percentile (const rp_histogram_t *self, uint32_t thousandths);

/*  Writes the percentile distribution as HdrHistogram prints it: lines of value, percentile as a
    fraction, count up to it and 1/(1-percentile), then three lines that begin with "#".  */
void rp_histogram_write (const rp_histogram_t *self, FILE *out);

#endif
