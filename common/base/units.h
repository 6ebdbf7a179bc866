/*  Durations, sizes and counts, as people write and read them.

    SPDX-License-Identifier: MPL-2.0

    Durations are in microseconds, sizes in bytes. A duration needs its unit ("250ms"), so that
    nobody has to remember the unit of a setting; only "0" stands alone. A duration may have several
    parts, each of a smaller unit than the part before ("1m30s"). A size has one unit; without a
    unit it is in bytes. The last part may have up to six decimals if the result is whole ("1.5s").

        durations   us (or µs), ms, s, m, h, d (24 hours)
        sizes       B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024)
        counts      digits only

    On a mistake the parsers return false, leave *value alone and set *reason to a static clause for
    people that follows the name of the setting ("wants a duration with a unit such as 250ms or
    5s").

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_UNITS_H
#define RP_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Microseconds, in which times are, of a millisecond, in which the protocol states them.  */
#define RP_US_PER_MS INT64_C (1000)

/*  Large enough for every text that the functions below write.  */
#define RP_UNITS_TEXT_MAX 32u

bool rp_duration_parse (const char *text, int64_t *value, const char **reason);
bool rp_size_parse (const char *text, uint64_t *value, const char **reason);
bool rp_count_parse (const char *text, uint64_t *value, const char **reason);

/*  For people, rounded: "38 µs", "1.2 ms", "5 s", "2 m 5 s"; "2 B", "1.5 MiB". Return buffer, which
    holds at least RP_UNITS_TEXT_MAX bytes.  */
const char *rp_duration_format (char *buffer, int64_t value);
const char *rp_size_format (char *buffer, uint64_t value);

/*  The same for a count, exact ("31,200"), and for how often something happens, of a count in 1000 seconds
    ("2.1/s", "31,200/s").  */
const char *rp_count_format (char *buffer, uint64_t value);
const char *rp_rate_format (char *buffer, uint64_t in_1000_s);

/*  Exact, in the largest unit that leaves a whole number ("250ms", "36h", "64KiB", "0s"); never in
    days. The parsers read it back to the same value. Return buffer, of at least RP_UNITS_TEXT_MAX
    bytes.  */
const char *rp_duration_write (char *buffer, int64_t value);
const char *rp_size_write (char *buffer, uint64_t value);

#endif
