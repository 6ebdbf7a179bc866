/*  HTTP access: says whether a request may see what is not open to everyone, or change something.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_HTTP_ACCESS_H
#define RP_HTTP_ACCESS_H

#include <stdbool.h>

#include "broker/admin/snapshot.h"

/*  Bytes of a header Authorization, with its NUL, above which no token is known.  */
#define RP_HTTP_AUTHORIZATION_MAX 128u

/*  Returns 0 if the sender of this header Authorization (NULL: none) may do what needs the rule, OBSERVE or
    ADMIN; otherwise the status to answer with, and *why, a sentence.  */
unsigned rp_http_access (
  const rp_snapshot_t *snapshot, const char *authorization, rp_rule_t rule, const char **why);

/*  What else a request says of who has sent it; NULL: nothing.  */
typedef struct {
    const char *host;
    const char *origin; /* the header */
    bool json;          /* its body is said to be JSON */
    bool here;          /* it comes from this machine, through no proxy */
} rp_http_sender_t;

/*  The same of a request that changes something, or sees a body: it needs a token with ADMIN, or, where nobody
    needs a key, has to come from this machine. changes: and no page of another host may have made a browser
    send it.  */
unsigned rp_http_access_admin (const rp_snapshot_t *snapshot,
  const char *authorization,
  const rp_http_sender_t *sender,
  bool changes,
  const char **why);

/*  Writes the principal of the sender of this header Authorization; anonymous if it is nobody's.  */
void rp_http_access_name (
  const rp_snapshot_t *snapshot, const char *authorization, char name[RP_PRINCIPAL_MAX + 1]);

#endif
