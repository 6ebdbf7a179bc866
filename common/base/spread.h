/*  Spreads: how 32-bit times are spread, as counts in buckets of constant number. The broker keeps some
    for each service, so adding a value takes a dozen instructions and allocates nothing.

    SPDX-License-Identifier: MPL-2.0

    Values are microseconds. Below 32 each value has a bucket; above, each power of two has 16 buckets
    of equal width. A bucket stands for its middle, which is at most 1/32 (3.2%) off any of its values.
    rp_octaves_t does the same for bytes, with one bucket for each power of two.

    common/tool/histogram is finer (0.8%) and seven times as large.
    Thread-safety: none.
*/

#ifndef RP_SPREAD_H
#define RP_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#define RP_SPREAD_BITS 4
#define RP_SPREAD_BUCKETS 464u

/*  All zeros is an empty spread.  */
typedef struct {
    uint64_t sum; /* of the values, exact */
    uint64_t counts[RP_SPREAD_BUCKETS];
} rp_spread_t;

/*  The upper bounds, in microseconds, for which rp_spread_cumulate counts: 50 us to 60 s.  */
#define RP_SPREAD_BOUNDS 19u
extern const uint32_t rp_spread_bounds[RP_SPREAD_BOUNDS];

static inline size_t rp_spread_bucket (uint32_t value)
{
    unsigned shift =
      31u - (unsigned) __builtin_clz (value | 1u << RP_SPREAD_BITS) - (unsigned) RP_SPREAD_BITS;
    return ((size_t) shift << RP_SPREAD_BITS) + (value >> shift);
}

static inline void rp_spread_add (rp_spread_t *self, uint32_t value)
{
    self->sum += value;
    self->counts[rp_spread_bucket (value)]++;
}

/*  Adds all values of other.  */
void rp_spread_merge (rp_spread_t *self, const rp_spread_t *other);

/*  Returns how many values there are.  */
uint64_t rp_spread_count (const rp_spread_t *self);

/*  Returns the value that this share of all values does not exceed, within 4%. thousandths: of a
    percent, at most 100000; 50000 is the median, 99000 is p99. 0 when empty.  */
uint32_t rp_spread_quantile (const rp_spread_t *self, uint32_t thousandths);

/*  Returns the least value that falls into a bucket.  */
uint32_t rp_spread_lowest (size_t bucket);

/*  The same for several shares, each at least the one before, in one pass.  */
void rp_spread_quantiles (
  const rp_spread_t *self, const uint32_t *thousandths, uint32_t *values, size_t count);

/*  The same for a spread whose buckets are empty but for `size` of them from `first` on.  */
void rp_spread_quantiles_part (const uint64_t *buckets,
  size_t first,
  size_t size,
  const uint32_t *thousandths,
  uint32_t *values,
  size_t count);

/*  Returns how many values are at most bound. Values within 4% of bound may be on either side.  */
uint64_t rp_spread_up_to (const rp_spread_t *self, uint32_t bound);

/*  The same for each of rp_spread_bounds, in one pass. Returns how many values there are.  */
uint64_t rp_spread_cumulate (const rp_spread_t *self, uint64_t counts[RP_SPREAD_BOUNDS]);

/*  The same for a spread whose buckets are empty but for `size` of them from `first` on.  */
uint64_t rp_spread_cumulate_part (
  const uint64_t *buckets, size_t first, size_t size, uint64_t counts[RP_SPREAD_BOUNDS]);

/*  ---- Bytes ---------------------------------------------------------------------------------- */

#define RP_OCTAVES 33u

/*  counts[n]: values above 2^(n-1) and at most 2^n; counts[0]: 0 and 1. All zeros is empty.  */
typedef struct {
    uint64_t sum;
    uint64_t counts[RP_OCTAVES];
} rp_octaves_t;

/*  The upper bounds, in bytes, for which rp_octaves_cumulate counts: 256 B to 16 MiB. They are few, because each
    is two lines more for each service in each scrape.  */
#define RP_OCTAVES_BOUNDS 5u
extern const uint32_t rp_octaves_bounds[RP_OCTAVES_BOUNDS];

/*  Counts the values that are at most each of rp_octaves_bounds, exactly. Returns how many values there are.  */
uint64_t rp_octaves_cumulate (const rp_octaves_t *self, uint64_t counts[RP_OCTAVES_BOUNDS]);

/*  Adds a value below 2^32.  */
static inline void rp_octaves_add (rp_octaves_t *self, uint64_t value)
{
    uint64_t below = value - (value > 0);
    self->sum += value;
    self->counts[63 - __builtin_clzll (below << 1 | 1)]++;
}

#endif
