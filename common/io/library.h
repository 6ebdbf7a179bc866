/*  A shared library that is loaded when it is needed, so that programs which do not need it neither want it installed
    nor spend their start on it and on what it needs itself.

    SPDX-License-Identifier: MPL-2.0

    The header of the library gives the types: a list of names becomes a struct with one field for each function.

    Thread-safety: any thread; a struct is filled in once (pthread_once).
*/

#ifndef RP_LIBRARY_H
#define RP_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/*  Loads a library (its SONAME), for the rest of the process, and looks up its functions, in the order of names.
    False: why (size bytes) says what is wrong, and nothing may be called.  */
bool rp_library_load (const char *file,
  const char *const *names,
  void **functions,
  size_t count,
  char *why,
  size_t size);

#endif
