/*  A histogram of times, log-linear and of constant size, for percentiles far in the tail.

    SPDX-License-Identifier: MPL-2.0

    Values are microseconds. Below 256 each value has a bucket; above, each power of two has 128
    buckets of equal width. So a value that is read back is never below the recorded value and at
    most 1/128 (0.8%) above it, from 1 µs to one hour. Recording is O(1) and allocates nothing.
    Buckets and written text are those of an HdrHistogram with two significant digits.

    Alternative: HdrHistogram_c itself, which Debian 12 does not package.
    Thread-safety: none; one histogram per thread, merged when the threads have ended.
*/

#ifndef RP_HISTOGRAM_H
#define RP_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

/*  One hour. A longer time counts as one hour, and is counted in `over` too.  */
#define RP_HISTOGRAM_LARGEST UINT64_C (3600000000)
#define RP_HISTOGRAM_BUCKETS 3328u

/*  All zeros is an empty histogram.  */
typedef struct {
    uint64_t count;
    uint64_t over; /* values above RP_HISTOGRAM_LARGEST */
    uint64_t max;  /* exact, also above RP_HISTOGRAM_LARGEST; 0 when empty */
    uint64_t buckets[RP_HISTOGRAM_BUCKETS];
} rp_histogram_t;

void rp_histogram_record (rp_histogram_t *self, uint64_t value);

/*  Adds all values of other.  */
void rp_histogram_merge (rp_histogram_t *self, const rp_histogram_t *other);

/*  Returns the value that this share of all values does not exceed. thousandths: of a percent, at
    most 100000; 50000 is the median, 99900 is p99.9. 0 when empty.  */
uint64_t rp_histogram_percentile (const rp_histogram_t *self, uint32_t thousandths);

/*  Writes the percentile distribution as HdrHistogram prints it: lines of value, percentile as a
    fraction, count up to it and 1/(1-percentile), then three lines that begin with "#".  */
void rp_histogram_write (const rp_histogram_t *self, FILE *out);

#endif
