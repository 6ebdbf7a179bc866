/*  Ingress: handles each message that arrives at the core, by a table of command and role. A
    command that the role has no handler for breaks the protocol.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, sections 5.5 and 7. Internal to the core.
*/

#ifndef RP_INGRESS_H
#define RP_INGRESS_H

#include "broker/core/state.h"

void rp_ingress_message (rp_dispatch_t *self, const rp_event_t *event);
void rp_ingress_bad (rp_dispatch_t *self, const rp_event_t *event);

#endif
