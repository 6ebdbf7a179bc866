/*  Why no broker was reached, in the words that several files use, and what to do about it.

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

/*  The next step for people who read a text with such reasons in it, of one endpoint or several;
    NULL: to see that a broker runs there.  */
const char *rp_advice (const char *why);

#endif
