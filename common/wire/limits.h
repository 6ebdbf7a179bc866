/*  The limits that hold for every party: name, unit and reason. Those of one broker, which can be
    set, are in broker/core/limits.h.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_LIMITS_H
#define RP_LIMITS_H

/*  A peer's name is for people; a host name and a process id fit.  */
#define RP_PEER_NAME_MAX 63u
/*  More attempts than this is a loop, not a retry.  */
#define RP_ATTEMPTS_MAX 10u
/*  One day, in ms. A request that waits longer wants durable storage, which this is not.  */
#define RP_DEADLINE_MAX_MS 86400000u
/*  How long after its deadline a client still waits for the broker's word, ms.  */
#define RP_DEADLINE_GRACE_MS 1000u
/*  Range of the heartbeat interval, ms: below, a busy machine's scheduler looks like a death.  */
#define RP_HEARTBEAT_MIN_MS 50u
#define RP_HEARTBEAT_MAX_MS 60000u
/*  Intervals without a sign of life after which a peer is lost; or so many of the longer one that
    it announced, if that takes longer.  */
#define RP_LIVENESS 3u
#define RP_IDLE_LIVENESS 2u
/*  Tenths of the interval agreed that who waits for nothing makes its own. A worker's may not take
    so long that it is found later when it is dead: others may be about to wait for it.  */
#define RP_IDLE_TENTHS_CLIENT 100u
#define RP_IDLE_TENTHS_WORKER 15u
/*  Requests one worker may hold. Enough to hide a round trip at a million requests a second.  */
#define RP_WINDOW_MAX 4096u
/*  Frames of one message. An endless message has no other bound in libzmq.  */
#define RP_FRAMES_MAX 64u
/*  Those of a protocol that has frames of its own where the native one has its head: a client's
    return envelope of 8, and what MDP says. So that a body of RP_FRAMES_MAX - 1 frames passes in
    any.  */
#define RP_FOREIGN_FRAMES_MAX (RP_FRAMES_MAX + 16u)
/*  Bodies up to this many bytes travel in the head's frame: one frame costs less than copying
    them, above it the copy costs more.  */
#define RP_INLINE_MAX 4096u
/*  Reconnecting: first and largest pause between attempts, ms; each is drawn at random from
    [half, whole], doubling. The broker's rejoin_grace must be longer than the largest.  */
#define RP_BACKOFF_FIRST_MS 50u
#define RP_BACKOFF_LARGEST_MS 2000u
/*  How long a connection attempt, greeting included, may take before the next endpoint, ms.  */
#define RP_CONNECT_MS 3000u
/*  The same in the first round through a list of several: a broker that accepts and says nothing
    must not use up what the others need. Each round allows twice as long, so that a slow one is met
    as well.  */
#define RP_CONNECT_FIRST_MS 500u
/*  The least that one is given, however little time there is, ms.  */
#define RP_CONNECT_LEAST_MS 50u

#endif
