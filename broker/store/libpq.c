/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/backend.h"

#define S_NAME "libpq.so.5"

static rp_libpq_t s_libpq;
static char s_wrong[RP_STORE_TEXT]; /* "": it is loaded */
static pthread_once_t s_once = PTHREAD_ONCE_INIT;

static void s_load (void)
{
    static const char *const names[] = {
#define S_STRING(name) #name,
      RP_LIBPQ_MAP (S_STRING)
#undef S_STRING
    };
    void **fields = (void **) (void *) &s_libpq; // as dlsym's results, of one size
    _Static_assert(sizeof s_libpq == sizeof names, "one field for each name");
    void *library = dlopen (S_NAME, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf (s_wrong, sizeof s_wrong,
          "a store in PostgreSQL needs its client library (%.200s); install it: apt-get install "
          "libpq5",
          dlerror ());
        return;
    }
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        fields[index] = dlsym (library, names[index]);
        if (!fields[index]) {
            snprintf (s_wrong, sizeof s_wrong,
              S_NAME " is too old: it has no %s; install that of PostgreSQL 14 or newer",
              names[index]);
            return;
        }
    }
}

const rp_libpq_t *rp_libpq (char *text)
{
    (void) pthread_once (&s_once, s_load);
    if (!s_wrong[0])
        return &s_libpq;
    snprintf (text, RP_STORE_TEXT, "%s", s_wrong);
    return NULL;
}
