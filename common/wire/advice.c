/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/advice.h"

#include <stddef.h>
#include <string.h>

/*  Of several reasons the first in this order counts. Without descriptors none of the others could
    be found out; and to start a broker where one could listen is the simplest step.  */
static const struct {
    const char *reason;
    const char *advice;
} s_advices[] = {
  {RP_REASON_DESCRIPTORS, "raise the limit: ulimit -n"},
  {RP_REASON_UNREACHED, NULL},
  {RP_REASON_UNRESOLVED, "check the name, or write an address in its place"},
  {RP_REASON_UNANSWERED, "check the name servers, or write an address in the place of the name"},
  {RP_REASON_FORBIDDEN, "ask for that right, or name another endpoint"},
};

const char *rp_advice (const char *why)
{
    for (size_t index = 0; index < sizeof s_advices / sizeof *s_advices; index++)
        if (strstr (why, s_advices[index].reason))
            return s_advices[index].advice;
    return NULL;
}
