/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/libpq.h"

#include <pthread.h>
#include <stdio.h>

#include "broker/store/backend.h"
#include "common/io/library.h"

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
    _Static_assert(sizeof s_libpq == sizeof names, "one field for each name");
    char why[256];
    if (!rp_library_load ("libpq.so.5", names, (void **) (void *) &s_libpq,
          sizeof names / sizeof *names, why, sizeof why))
        snprintf (s_wrong, sizeof s_wrong,
          "a store in PostgreSQL needs its client library, of version 14 or newer (%s): "
          "apt-get install libpq5",
          why);
}

const rp_libpq_t *rp_libpq (char *text)
{
    (void) pthread_once (&s_once, s_load);
    if (!s_wrong[0])
        return &s_libpq;
    snprintf (text, RP_STORE_TEXT, "%s", s_wrong);
    return NULL;
}
