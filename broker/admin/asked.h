/*  Asked: one question in hand, with its parameters read and checked.

    SPDX-License-Identifier: MPL-2.0

    A parameter may come as its own JSON type or as text ("20", "true"), as from the query of a URL. The
    functions return false after saying in `wrong` what the parameter has to be.

    Thread-safety: none; questions are answered in the thread of the core.
*/

#ifndef RP_ASKED_H
#define RP_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "broker/admin/snapshot.h"

/*  Room for why parameters are wrong, as a sentence with its NUL.  */
#define RP_QUESTION_WRONG_MAX 200u

typedef struct {
    const rp_snapshot_sources_t *sources;
    json_t *params; /* an object; NULL: none */
    int64_t now;
    char *wrong; /* of RP_QUESTION_WRONG_MAX */
} rp_asked_t;

/*  Says what is wrong, with names escaped; always false.  */
bool rp_asked_wrong (rp_asked_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  *text is NULL if the parameter is not there. Valid as long as the parameters.  */
bool rp_asked_text (rp_asked_t *self, const char *name, const char **text);

/*  *value stays as it is if the parameter is not there.  */
bool rp_asked_count (
  rp_asked_t *self, const char *name, size_t smallest, size_t largest, size_t *value);
bool rp_asked_flag (rp_asked_t *self, const char *name, bool *value);

/*  The name of a service: one that could be one.  */
bool rp_asked_service (rp_asked_t *self, const char *name, const char **service);

#endif
