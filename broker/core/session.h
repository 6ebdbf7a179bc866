/*  Sessions: how they begin, stay alive and end.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 5. Internal to the core.
*/

#ifndef RP_SESSION_H
#define RP_SESSION_H

#include "broker/core/state.h"

rp_session_t *rp_session_find (const rp_dispatch_t *self, rp_session_id_t id);

/*  HELLO from somebody without a session.  */
void rp_session_hello (rp_dispatch_t *self, const rp_event_t *event);

/*  HEARTBEAT from a session with RP_TRAIT_LEARN, before it is noted as heard. It is told that the
    broker lives at the smallest of the latest gaps, and may be silent for three of the largest:
    both sides err towards life. The guess counts as a gap until there are enough of its own.  */
void rp_session_beat (rp_dispatch_t *self, rp_session_t *session);

/*  It announced when it speaks next; it said something else after that.  */
void rp_session_slow_down (rp_dispatch_t *self, rp_session_t *session, uint32_t interval_ms);
void rp_session_wake (rp_dispatch_t *self, rp_session_t *session);

/*  Sends a head of the broker's own to a peer.  */
void rp_session_tell (rp_dispatch_t *self, rp_session_t *session, const rp_head_t *head);

/*  BYE with INVALID, and the session is over: the peer broke the protocol.  */
void rp_session_close_invalid (rp_dispatch_t *self, rp_session_t *session, const char *text);

/*  Ends the session at the next tick, when everything that could not be sent to it has come back.
    Why goes to the log; abort: break its connection too.  */
void rp_session_close_later (
  rp_dispatch_t *self, rp_session_t *session, const char *why, bool abort);

/*  Ends a session now: its requests are withdrawn or redelivered, its conversations end.  */
void rp_session_end (rp_dispatch_t *self, rp_session_t *session, rp_action_kind_t unbind_or_abort);

/*  Ends all that were closing.  */
void rp_session_end_closing (rp_dispatch_t *self);

/*  BYE, in good order; the session ends at the next tick.  */
void rp_session_close (
  rp_dispatch_t *self, rp_session_t *session, rp_status_t status, const char *text);

/*  One line in the log: who left in good order, and why.  */
void rp_session_log_left (rp_dispatch_t *self, const rp_session_t *session, const char *why);

/*  Sends BYE to a draining worker that holds nothing any more.  */
void rp_session_check_drained (rp_dispatch_t *self, rp_session_t *worker);

/*  Begins to look whether its connection stands.  */
void rp_session_probe (rp_dispatch_t *self, rp_session_t *session);

/*  Its timer rang: heartbeat, probe, or silent for too long.  */
void rp_session_due (rp_dispatch_t *self, rp_session_t *session);

#endif
