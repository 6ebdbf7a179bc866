/*  Checks the names of services and peers, and finds how near a mistyped name is to another.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_NAME_H
#define RP_NAME_H

#include <stdbool.h>
#include <stddef.h>

/*  A service name is 1 to RP_WIRE_NAME_MAX bytes without control characters (0 to 31, 127).  */
bool rp_name_is_valid (const char *name, size_t size);

/*  True for names that belong to the broker: they begin with "riposte." or "mmi.".  */
bool rp_name_is_reserved (const char *name, size_t size);

/*  True for the services of Titanic (9/TSP): titanic.request, titanic.reply and titanic.close. They belong to
    a broker that keeps jobs; to another they are names like any other.  */
bool rp_name_is_titanic (const char *name, size_t size);

/*  Returns the edit distance (insert, delete, replace, swap of neighbours) between two names,
    regardless of letter case; limit + 1 means "more than limit".  */
size_t rp_name_distance (
  const char *one, size_t one_size, const char *other, size_t other_size, size_t limit);

#endif
