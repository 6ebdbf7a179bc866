/*  Tells the service manager the broker's state: that it is ready, or stopping.

    SPDX-License-Identifier: MPL-2.0

    Source: sd_notify(3), "Notes", which describes the protocol for programs without libsystemd: one
    datagram to the socket that NOTIFY_SOCKET names.
*/

#ifndef RP_NOTIFY_H
#define RP_NOTIFY_H

/*  Sends "READY=1" or the like; does nothing without a service manager.  */
void rp_notify (const char *state);

#endif
