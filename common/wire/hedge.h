/*  When a request may be given to a second worker, as its header `hedge` states it.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 12. Thread-safety: pure functions of their arguments.
*/

#ifndef RP_WIRE_HEDGE_H
#define RP_WIRE_HEDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t ms;          /* after so long; 0: the next */
    uint32_t thousandths; /* of a percent: once it has taken longer than so many of its service's */
} rp_hedge_terms_t;

/*  Reads "20" (ms, up to a day), "95%" or "99.9%" (up to three decimals, above 0 and below 100).  */
bool rp_hedge_read (rp_hedge_terms_t *self, const char *value, size_t size);

#endif
