/*  Params: makes the parameters of a question (broker/admin/questions.h), a JSON object, of what a URL says.
    Each is a text, which the question reads (broker/admin/asked.h).

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_PARAMS_H
#define RP_PARAMS_H

#include <stdbool.h>

#include <jansson.h>

/*  Bytes that a name may have, and a value.  */
#define RP_PARAM_NAME_MAX 32u
#define RP_PARAM_VALUE_MAX 1024u
/*  Room for why a parameter is wrong, as a sentence with its NUL.  */
#define RP_PARAM_WRONG_MAX 200u

/*  Adds a parameter to the object. value: NULL is "". False if it is wrong, which `wrong` tells, or, with
    wrong[0] = 0, when out of memory.  */
bool rp_params_add (
  json_t *params, const char *name, const char *value, char wrong[RP_PARAM_WRONG_MAX]);

#endif
