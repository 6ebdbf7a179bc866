/*  The reasons why no broker was reached, as texts that several files share, with advice.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_ADVICE_H
#define RP_ADVICE_H

#define RP_REASON_UNREACHED "nothing listens there, or it cannot be reached"
#define RP_REASON_UNRESOLVED "does not resolve"
#define RP_REASON_UNANSWERED "no name server answered"
#define RP_REASON_FORBIDDEN                                                                        \
    "not permitted: it wants the right to write to the socket and to enter its folders"
#define RP_REASON_DESCRIPTORS "too few descriptors are left"

/*  Returns the next step for a text with reasons of one endpoint or several; NULL: check that a
    broker runs there.  */
const char *rp_advice (const char *why);

#endif
