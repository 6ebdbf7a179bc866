/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/libcurl.h"

#include <pthread.h>

#include "common/io/library.h"

/*  7.87, of which CURLOPT_QUICK_EXIT is. Older ones have all the functions.  */
#define S_VERSION 0x075700u

static rp_libcurl_t s_libcurl;
static bool s_loaded;
static pthread_once_t s_once = PTHREAD_ONCE_INIT;

static void s_load (void)
{
    static const char *const names[] = {
#define S_STRING(name) "curl_" #name,
      RP_LIBCURL_MAP (S_STRING)
#undef S_STRING
    };
    _Static_assert(sizeof s_libcurl == sizeof names, "one field for each name");
    char why[256];
    s_loaded = rp_library_load ("libcurl.so.4", names, (void **) (void *) &s_libcurl,
                 sizeof names / sizeof *names, why, sizeof why)
               && s_libcurl.version_info (CURLVERSION_FIRST)->version_num >= S_VERSION;
}

const rp_libcurl_t *rp_libcurl (void)
{
    (void) pthread_once (&s_once, s_load);
    return s_loaded ? &s_libcurl : NULL;
}
