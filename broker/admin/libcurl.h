/*  libcurl, loaded when spans are exported (broker/admin/otlp.h): with it come the libraries of a dozen protocols,
    which were a third of the time in which a broker starts.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: any thread.
*/

#ifndef RP_LIBCURL_H
#define RP_LIBCURL_H

#include <curl/curl.h>

/*  The functions that are used, without curl_.  */
#define RP_LIBCURL_MAP(X)                                                                          \
    X (easy_cleanup)                                                                               \
    X (easy_getinfo)                                                                               \
    X (easy_init)                                                                                  \
    X (easy_setopt)                                                                                \
    X (easy_strerror)                                                                              \
    X (free)                                                                                       \
    X (global_init)                                                                                \
    X (multi_add_handle)                                                                           \
    X (multi_cleanup)                                                                              \
    X (multi_info_read)                                                                            \
    X (multi_init)                                                                                 \
    X (multi_perform)                                                                              \
    X (multi_poll)                                                                                 \
    X (multi_remove_handle)                                                                        \
    X (slist_append)                                                                               \
    X (slist_free_all)                                                                             \
    X (url)                                                                                        \
    X (url_cleanup)                                                                                \
    X (url_get)                                                                                    \
    X (url_set)                                                                                    \
    X (version_info)

typedef struct {
#define RP_LIBCURL_FIELD(name) __typeof__ (&(curl_##name)) name;
    RP_LIBCURL_MAP (RP_LIBCURL_FIELD)
#undef RP_LIBCURL_FIELD
} rp_libcurl_t;

/*  Loads it, once for the process. NULL: it is missing, or too old.  */
const rp_libcurl_t *rp_libcurl (void);

#endif
