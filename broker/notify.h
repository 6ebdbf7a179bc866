/*  Tells the service manager how the broker is.

    SPDX-License-Identifier: MPL-2.0

    Source: sd_notify(3), "Notes", which describes the protocol for programs that do without
    libsystemd: one datagram to the socket that NOTIFY_SOCKET names.
*/

#ifndef RP_NOTIFY_H
#define RP_NOTIFY_H

/*  Sends "READY=1" or the like; does nothing when nobody wants to know.  */
void rp_notify (const char *state);

#endif
