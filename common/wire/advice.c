/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/advice.h"

#include <stddef.h>
#include <string.h>

/*  Of several reasons the first in this order counts. Without descriptors none of the others could
    be found out; a broker that answered is nearer than one that did not; and to start a broker
    where one could listen is the simplest step.  */
static const struct {
    const char *reason;
    const char *advice;
} s_advices[] = {
  {RP_REASON_DESCRIPTORS, "raise the limit: ulimit -n"},
  {RP_REASON_KEY_DENIED,
    "authorize it there: riposte keys authorize NAME.key --principal NAME, then riposte reload"},
  {RP_REASON_KEY_MADE, "name a key file (--key-file) whose key that broker has authorized"},
  {RP_REASON_KEY_MISSING, "name your key file and the broker's key: --key-file, --server-key"},
  {RP_REASON_KEY_NEEDLESS, "leave out --server-key and --key-file, or name a secure endpoint"},
  {RP_REASON_KEY_WRONG, "compare --server-key with what riposte keys show says there"},
  {RP_REASON_UNREACHED, NULL},
  {RP_REASON_UNRESOLVED, "check the name, or write an address in its place"},
  {RP_REASON_UNANSWERED, "check the name servers, or write an address in the place of the name"},
  {RP_REASON_FORBIDDEN, "ask for that right, or name another endpoint"},
};

bool rp_reason_is_of_keys (const char *why)
{
    static const char *const reasons[] = {RP_REASON_KEY_DENIED, RP_REASON_KEY_MADE,
      RP_REASON_KEY_MISSING, RP_REASON_KEY_NEEDLESS, RP_REASON_KEY_WRONG};
    for (size_t index = 0; index < sizeof reasons / sizeof *reasons; index++)
        if (strstr (why, reasons[index]))
            return true;
    return false;
}

const char *rp_advice (const char *why)
{
    for (size_t index = 0; index < sizeof s_advices / sizeof *s_advices; index++)
        if (strstr (why, s_advices[index].reason))
            return s_advices[index].advice;
    return NULL;
}
