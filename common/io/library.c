/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/library.h"

#include <dlfcn.h>
#include <stdio.h>

bool rp_library_load (const char *file,
  const char *const *names,
  void **functions,
  size_t count,
  char *why,
  size_t size)
{
    void *library = dlopen (file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf (why, size, "%.200s", dlerror ());
        return false;
    }
    for (size_t index = 0; index < count; index++) {
        functions[index] = dlsym (library, names[index]);
        if (!functions[index]) {
            snprintf (why, size, "%s is too old: it has no %s", file, names[index]);
            return false;
        }
    }
    return true;
}
