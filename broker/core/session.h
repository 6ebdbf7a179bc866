/*  Sessions: how they begin, stay alive and end.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 5. Internal to the core.
*/

#ifndef RP_SESSION_H
#define RP_SESSION_H

#include "broker/core/state.h"

rp_session_t *rp_session_find (const rp_dispatch_t *self, rp_session_id_t id);

/*  Handles HELLO from a sender without a session.  */
void rp_session_hello (rp_dispatch_t *self, const rp_event_t *event);

/*  Handles HEARTBEAT from a session with RP_TRAIT_LEARN, before `heard` is updated. Both sides err
    towards life: the broker sends heartbeats at the smallest of the latest gaps, and the session
    may be silent for three of the largest. The first guess counts as a gap until there are enough
    gaps.  */
void rp_session_beat (rp_dispatch_t *self, rp_session_t *session);

/*  Handles the session's announcement that it will speak at longer intervals; and the first message
    after it.  */
void rp_session_slow_down (rp_dispatch_t *self, rp_session_t *session, uint32_t interval_ms);
void rp_session_wake (rp_dispatch_t *self, rp_session_t *session);

/*  Sends a head without payload to a session.  */
void rp_session_tell (rp_dispatch_t *self, rp_session_t *session, const rp_head_t *head);

/*  Ends a session whose peer broke the protocol: BYE with INVALID.  */
void rp_session_close_invalid (rp_dispatch_t *self, rp_session_t *session, const char *text);

/*  Ends a session at the next tick, when all messages that could not be sent to it have come back.
    Logs why. abort: aborts its connection too.  */
void rp_session_close_later (
  rp_dispatch_t *self, rp_session_t *session, const char *why, bool abort);

/*  Ends a session now: its requests are withdrawn or redelivered, its conversations end.  */
void rp_session_end (rp_dispatch_t *self, rp_session_t *session, rp_action_kind_t unbind_or_abort);

/*  Ends all sessions that were to end at this tick.  */
void rp_session_end_closing (rp_dispatch_t *self);

/*  Closes a session: BYE now, the end at the next tick.  */
void rp_session_close (
  rp_dispatch_t *self, rp_session_t *session, rp_status_t status, const char *text);

/*  Logs a line about a session, with the service of a worker.  */
void rp_session_log (rp_dispatch_t *self,
  rp_level_t level,
  rp_topic_t topic,
  const rp_session_t *session,
  const char *text);

/*  Logs that a session left in good order, and why.  */
void rp_session_log_left (rp_dispatch_t *self, const rp_session_t *session, const char *why);

/*  Sends BYE to a draining or barred worker that holds nothing any more.  */
void rp_session_check_drained (rp_dispatch_t *self, rp_session_t *worker);

/*  Bars a worker that may not serve any more: its conversations end, it gets nothing new, and BYE
    with DENIED when it holds nothing.  */
void rp_session_bar (rp_dispatch_t *self, rp_session_t *worker);

/*  Ends a session at once, because its key was revoked, and aborts its connection.  */
void rp_session_revoke (rp_dispatch_t *self, rp_session_t *session);

/*  Starts to probe whether a session's connection still stands.  */
void rp_session_probe (rp_dispatch_t *self, rp_session_t *session);

/*  The session's timer is due: sends a heartbeat or a probe, or ends a session that was silent too
    long.  */
void rp_session_due (rp_dispatch_t *self, rp_session_t *session);

#endif
