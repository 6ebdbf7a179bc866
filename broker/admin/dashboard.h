/*  Dashboard: the page at /. It is one file without references to elsewhere, made of broker/admin/page when the
    broker is built; what a reader without JavaScript sees is written into it here, of an overview.

    SPDX-License-Identifier: MPL-2.0

    The page has marks, comments such as <!--services-->, which texts replace. Every text is escaped.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_DASHBOARD_H
#define RP_DASHBOARD_H

#include <stddef.h>

#include <jansson.h>

/*  The value of Content-Security-Policy: the page's own style and script by their hashes, answers of this broker,
    nothing else.  */
extern const char rp_dashboard_policy[];

/*  Writes the page. overview: of rp_overview_json, borrowed; NULL: the reader may not see it, so the page has
    no data. Returns a text that the caller frees; NULL when out of memory.  */
char *rp_dashboard_write (json_t *overview, size_t *size);

#endif
