/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/hedge.h"

#include "common/wire/limits.h"

#define S_DECIMALS 3u
#define S_ALL 100000u /* 100%, in thousandths */

/*  Reads digits from *at on, of at most RP_DEADLINE_MAX_MS, and moves *at behind them.  */
static bool s_read_digits (const char *value, size_t size, size_t *at, uint32_t *number)
{
    size_t first = *at;
    for (*number = 0; *at < size && value[*at] >= '0' && value[*at] <= '9'; ++*at) {
        *number = *number * 10 + (uint32_t) (value[*at] - '0');
        if (*number > RP_DEADLINE_MAX_MS)
            return false;
    }
    return *at > first;
}

bool rp_hedge_read (rp_hedge_terms_t *self, const char *value, size_t size)
{
    size_t at = 0;
    uint32_t whole, fraction = 0;
    *self = (rp_hedge_terms_t){0};
    if (!s_read_digits (value, size, &at, &whole))
        return false;
    if (at == size) {
        self->ms = whole;
        return whole > 0;
    }
    if (value[at] == '.') {
        size_t first = ++at;
        if (!s_read_digits (value, size, &at, &fraction) || at - first > S_DECIMALS)
            return false;
        for (size_t missing = S_DECIMALS - (at - first); missing > 0; missing--)
            fraction *= 10;
    }
    if (at + 1 != size || value[at] != '%' || whole >= 100)
        return false;
    self->thousandths = whole * 1000 + fraction;
    return self->thousandths > 0 && self->thousandths < S_ALL;
}
