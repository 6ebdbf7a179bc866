/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/histogram.h"

#include <inttypes.h>
#include <stddef.h>

/*  Buckets per power of two; the first two times this many have width 1.  */
#define S_HALF 128u
#define S_EXACT (S_HALF << 1)
#define S_HALF_BITS 7
/*  Lines for each halving of the distance to 100%, as HdrHistogram writes by default.  */
#define S_TICKS 5u
/*  Percent; beyond it, lines would be equal in all twelve decimals.  */
#define S_LEVEL_END 99.9999999999
#define S_WHOLE 100000u

static size_t s_bucket (uint64_t value)
{
    if (value < S_EXACT)
        return (size_t) value;
    int shift = 63 - __builtin_clzll (value) - S_HALF_BITS; // leaves S_HALF to S_EXACT - 1
    return (size_t) shift * S_HALF + (size_t) (value >> shift);
}

static int s_shift (size_t bucket)
{
    return bucket < S_EXACT ? 0 : (int) (bucket / S_HALF) - 1;
}

static uint64_t s_lowest (size_t bucket)
{
    int shift = s_shift (bucket);
    return (uint64_t) (bucket - (size_t) shift * S_HALF) << shift;
}

static uint64_t s_highest (size_t bucket)
{
    return s_lowest (bucket) + (UINT64_C (1) << s_shift (bucket)) - 1;
}

/*  The value that a bucket stands for: its largest, but not above the largest recorded.  */
static uint64_t s_value (const rp_histogram_t *self, size_t bucket)
{
    uint64_t value = s_highest (bucket);
    return value < self->max ? value : self->max;
}

void rp_histogram_record (rp_histogram_t *self, uint64_t value)
{
    self->count++;
    if (value > self->max)
        self->max = value;
    if (value > RP_HISTOGRAM_LARGEST) {
        self->over++;
        value = RP_HISTOGRAM_LARGEST;
    }
    self->buckets[s_bucket (value)]++;
}

void rp_histogram_merge (rp_histogram_t *self, const rp_histogram_t *other)
{
    self->count += other->count;
    self->over += other->over;
    if (other->max > self->max)
        self->max = other->max;
    for (size_t bucket = 0; bucket < RP_HISTOGRAM_BUCKETS; bucket++)
        self->buckets[bucket] += other->buckets[bucket];
}

/*  Returns count * thousandths / S_WHOLE, rounded up, without overflow; at least 1.  */
static uint64_t s_rank (uint64_t count, uint32_t thousandths)
{
    uint64_t rank = count / S_WHOLE * thousandths;
    rank += (count % S_WHOLE * thousandths + S_WHOLE - 1) / S_WHOLE;
    return rank > 0 ? rank : 1;
}

uint64_t rp_histogram_percentile (const rp_histogram_t *self, uint32_t thousandths)
{
    if (self->count == 0)
        return 0;
    uint64_t rank = s_rank (self->count, thousandths);
    size_t bucket = 0;
    uint64_t seen = self->buckets[bucket];
    while (seen < rank && bucket + 1 < RP_HISTOGRAM_BUCKETS)
        seen += self->buckets[++bucket];
    return s_value (self, bucket);
}

/*  ---- Text ----------------------------------------------------------------------------------- */

/*  The step is halved for each halving of the distance to 100.  */
static double s_next_level (double level)
{
    double step = 100.0 / (2 * S_TICKS);
    for (double distance = 100.0 - level; distance <= 50.0; distance *= 2)
        step /= 2;
    return level + step;
}

/*  Newton's method; pure code does not use libm.  */
static double s_root (double square)
{
    double root = square > 1 ? square : 1;
    for (double next = (root + square / root) / 2; next < root; next = (root + square / root) / 2)
        root = next;
    return square > 0 ? root : 0;
}

static double s_middle (size_t bucket)
{
    return ((double) s_lowest (bucket) + (double) s_highest (bucket)) / 2;
}

static void s_write_summary (const rp_histogram_t *self, FILE *out)
{
    double count = self->count > 0 ? (double) self->count : 1;
    double mean = 0;
    double variance = 0;
    for (size_t bucket = 0; bucket < RP_HISTOGRAM_BUCKETS; bucket++)
        mean += (double) self->buckets[bucket] * s_middle (bucket) / count;
    for (size_t bucket = 0; bucket < RP_HISTOGRAM_BUCKETS; bucket++) {
        double distance = s_middle (bucket) - mean;
        variance += (double) self->buckets[bucket] * distance * distance / count;
    }
    fprintf (out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean, s_root (variance));
    fprintf (out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n", (double) self->max,
      self->count);
    fprintf (out, "#[Buckets = %12u, SubBuckets     = %12u]\n", RP_HISTOGRAM_BUCKETS / S_HALF - 1,
      S_EXACT);
}

void rp_histogram_write (const rp_histogram_t *self, FILE *out)
{
    fprintf (
      out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    double level = 0;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < RP_HISTOGRAM_BUCKETS && seen < self->count; bucket++) {
        if (self->buckets[bucket] == 0)
            continue;
        seen += self->buckets[bucket];
        double reached = 100.0 * (double) seen / (double) self->count;
        while (reached >= level && level < S_LEVEL_END) {
            fprintf (out, "%12.3f %14.12f %10" PRIu64 " %14.2f\n", (double) s_value (self, bucket),
              level / 100, seen, 100 / (100 - level));
            level = s_next_level (level);
            if (seen == self->count)
                break; // every further level is the same: the line of 100%
        }
    }
    if (self->count > 0)
        fprintf (out, "%12.3f %14.12f %10" PRIu64 "\n", (double) self->max, 1.0, self->count);
    s_write_summary (self, out);
}
