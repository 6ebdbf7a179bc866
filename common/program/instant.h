/*  Instants, as people write and read them: RFC 3339.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_INSTANT_H
#define RP_INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Reads "2027-01-31T18:30:00Z", with up to nine decimals, of which six count, and Z or an offset such
    as +01:00. *unix_us: µs since 1970. False, and *unix_us is left alone, if it is nothing of the
    kind, or before 1970.  */
bool rp_instant_parse (const char *text, int64_t *unix_us);

/*  Bytes of an instant as text, at most.  */
#define RP_INSTANT_TEXT_MAX 40u

/*  Writes an instant in UTC, with milliseconds: "2027-01-31T18:30:00.250Z"; "-" for 0. Returns
    buffer.  */
const char *rp_instant_format (char *buffer, size_t size, int64_t unix_us);

#endif
