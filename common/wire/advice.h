/*  The reasons why no broker was reached, as texts that several files share, with advice.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_ADVICE_H
#define RP_ADVICE_H

#include <stdbool.h>

#define RP_REASON_UNREACHED "nothing listens there, or it cannot be reached"
#define RP_REASON_UNRESOLVED "does not resolve"
#define RP_REASON_UNANSWERED "no name server answered"
#define RP_REASON_FORBIDDEN                                                                        \
    "not permitted: it wants the right to write to the socket and to enter its folders"
#define RP_REASON_DESCRIPTORS "too few descriptors are left"

/*  What the end of a handshake says about keys.  */
#define RP_REASON_KEY_DENIED "it does not accept this key"
#define RP_REASON_KEY_MADE "it does not accept the key that was made for want of a key file"
#define RP_REASON_KEY_MISSING "it wants a key, and none is given"
#define RP_REASON_KEY_NEEDLESS "it has no security, and a broker with a key is wanted"
#define RP_REASON_KEY_WRONG "it ended the handshake: its key is not the one that is given here"

/*  True if the text has one of these.  */
bool rp_reason_is_of_keys (const char *why);

/*  Returns the next step for a text with reasons of one endpoint or several; NULL: check that a
    broker runs there.  */
const char *rp_advice (const char *why);

#endif
