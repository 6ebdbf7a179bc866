/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/spread.h"

#define S_WHOLE 100000u

const uint32_t rp_spread_bounds[RP_SPREAD_BOUNDS] = {50, 100, 250, 500, 1000, 2500, 5000, 10000,
  25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};

/*  2 to this power is the width of a bucket.  */
static unsigned s_shift (size_t bucket)
{
    return bucket < 2u << RP_SPREAD_BITS ? 0 : (unsigned) (bucket >> RP_SPREAD_BITS) - 1;
}

uint32_t rp_spread_lowest (size_t bucket)
{
    unsigned shift = s_shift (bucket);
    return (uint32_t) (bucket - ((size_t) shift << RP_SPREAD_BITS)) << shift;
}

/*  The value that a bucket stands for: its middle.  */
static uint32_t s_middle (size_t bucket)
{
    return rp_spread_lowest (bucket) + ((1u << s_shift (bucket)) - 1) / 2;
}

void rp_spread_merge (rp_spread_t *self, const rp_spread_t *other)
{
    self->sum += other->sum;
    for (size_t bucket = 0; bucket < RP_SPREAD_BUCKETS; bucket++)
        self->counts[bucket] += other->counts[bucket];
}

static uint64_t s_count (const uint64_t *buckets, size_t size)
{
    uint64_t count = 0;
    for (size_t bucket = 0; bucket < size; bucket++)
        count += buckets[bucket];
    return count;
}

uint64_t rp_spread_count (const rp_spread_t *self)
{
    return s_count (self->counts, RP_SPREAD_BUCKETS);
}

/*  Returns count * thousandths / S_WHOLE, rounded up, without overflow; at least 1.  */
static uint64_t s_rank (uint64_t count, uint32_t thousandths)
{
    uint64_t rank = count / S_WHOLE * thousandths;
    rank += (count % S_WHOLE * thousandths + S_WHOLE - 1) / S_WHOLE;
    return rank > 0 ? rank : 1;
}

void rp_spread_quantiles_part (const uint64_t *buckets,
  size_t first,
  size_t size,
  const uint32_t *thousandths,
  uint32_t *values,
  size_t count)
{
    uint64_t all = s_count (buckets, size);
    size_t bucket = 0;
    uint64_t seen = size > 0 ? buckets[bucket] : 0;
    for (size_t index = 0; index < count; index++) {
        uint64_t rank = s_rank (all, thousandths[index]);
        while (seen < rank && bucket + 1 < size)
            seen += buckets[++bucket];
        values[index] = all ? s_middle (first + bucket) : 0;
    }
}

void rp_spread_quantiles (
  const rp_spread_t *self, const uint32_t *thousandths, uint32_t *values, size_t count)
{
    rp_spread_quantiles_part (self->counts, 0, RP_SPREAD_BUCKETS, thousandths, values, count);
}

uint32_t rp_spread_quantile (const rp_spread_t *self, uint32_t thousandths)
{
    uint32_t value;
    rp_spread_quantiles (self, &thousandths, &value, 1);
    return value;
}

uint64_t rp_spread_up_to (const rp_spread_t *self, uint32_t bound)
{
    uint64_t count = 0;
    for (size_t bucket = 0; bucket < RP_SPREAD_BUCKETS && s_middle (bucket) <= bound; bucket++)
        count += self->counts[bucket];
    return count;
}

/*  The first bucket that stands for more than bound.  */
static size_t s_end (uint32_t bound)
{
    size_t bucket = rp_spread_bucket (bound);
    return bucket + (s_middle (bucket) <= bound);
}

uint64_t rp_spread_cumulate_part (
  const uint64_t *buckets, size_t first, size_t size, uint64_t counts[RP_SPREAD_BOUNDS])
{
    uint64_t count = 0;
    size_t bucket = 0;
    for (size_t bound = 0; bound < RP_SPREAD_BOUNDS; bound++) {
        size_t end = s_end (rp_spread_bounds[bound]);
        while (bucket < size && first + bucket < end)
            count += buckets[bucket++];
        counts[bound] = count;
    }
    while (bucket < size)
        count += buckets[bucket++];
    return count;
}

uint64_t rp_spread_cumulate (const rp_spread_t *self, uint64_t counts[RP_SPREAD_BOUNDS])
{
    return rp_spread_cumulate_part (self->counts, 0, RP_SPREAD_BUCKETS, counts);
}

/*  Powers of two: the octaves that end there.  */
static const unsigned s_octaves[RP_OCTAVES_BOUNDS] = {8, 12, 16, 20, 24};
const uint32_t rp_octaves_bounds[RP_OCTAVES_BOUNDS] = {
  1u << 8, 1u << 12, 1u << 16, 1u << 20, 1u << 24};

uint64_t rp_octaves_cumulate (const rp_octaves_t *self, uint64_t counts[RP_OCTAVES_BOUNDS])
{
    uint64_t count = 0;
    size_t octave = 0;
    for (size_t bound = 0; bound < RP_OCTAVES_BOUNDS; bound++) {
        while (octave <= s_octaves[bound])
            count += self->counts[octave++];
        counts[bound] = count;
    }
    while (octave < RP_OCTAVES)
        count += self->counts[octave++];
    return count;
}
