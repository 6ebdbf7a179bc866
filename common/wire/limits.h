/*  The limits that hold for every broker, client and worker, each with its reason.

    SPDX-License-Identifier: MPL-2.0

    The limits of one broker, which can be set, are in broker/core/limits.h.
*/

#ifndef RP_LIMITS_H
#define RP_LIMITS_H

/*  A peer's name is for people; a host name and a process id fit.  */
#define RP_PEER_NAME_MAX 63u
/*  More attempts than this is a loop, not a retry.  */
#define RP_ATTEMPTS_MAX 10u
/*  Priorities of requests, from 0 on, and that of a request that states none. Ten tell apart all that
    people do, and fit in one figure.  */
#define RP_PRIORITY_MAX 9u
#define RP_PRIORITY_DEFAULT 4u
/*  What a part of a body takes of a grant beside its bytes, so that empty parts are bounded too; and the smallest
    window, with which a part of one byte passes.  */
#define RP_PART_COST 64u
#define RP_STREAM_WINDOW_MIN (RP_PART_COST + 1u)
/*  One day, in ms. A request that waits longer needs durable storage, which no broker has.  */
#define RP_DEADLINE_MAX_MS 86400000u
/*  How long after its deadline a client still waits for the broker's reply, ms.  */
#define RP_DEADLINE_GRACE_MS 1000u
/*  Range of the heartbeat interval, ms: with a shorter one, a busy machine looks like a dead
    peer.  */
#define RP_HEARTBEAT_MIN_MS 50u
#define RP_HEARTBEAT_MAX_MS 60000u
/*  A peer is lost after this many of the agreed intervals without a message; or, if that takes
    longer, after this many of the longer interval that it announced.  */
#define RP_LIVENESS 3u
#define RP_IDLE_LIVENESS 2u
/*  The interval of an idle peer, in tenths of the agreed interval. A worker's stays short, so that
    its death is noticed soon: other clients may be about to wait for it.  */
#define RP_IDLE_TENTHS_CLIENT 100u
#define RP_IDLE_TENTHS_WORKER 15u
/*  Requests that one worker may hold: enough to hide a round trip at a million requests a
    second.  */
#define RP_WINDOW_MAX 4096u
/*  Frames of one message, at most; libzmq itself has no bound.  */
#define RP_FRAMES_MAX 64u
/*  The same in a foreign protocol, where frames take the place of the native head: a client's
    return envelope of 8, and the frames of MDP. So a body of RP_FRAMES_MAX - 1 frames passes in any
    protocol.  */
#define RP_FOREIGN_FRAMES_MAX (RP_FRAMES_MAX + 16u)
/*  Bodies up to this many bytes travel in the head's frame: below, a frame of its own costs more
    than copying the body; above, the copy costs more.  */
#define RP_INLINE_MAX 4096u
/*  First and largest pause between attempts to reconnect, ms; it doubles, and each is drawn at
    random from [half, whole]. The broker's rejoin_grace must be longer than the largest.  */
#define RP_BACKOFF_FIRST_MS 50u
#define RP_BACKOFF_LARGEST_MS 2000u
/*  How long one attempt to connect, with HELLO and WELCOME, may take before the next endpoint is
    tried, ms.  */
#define RP_CONNECT_MS 3000u
/*  The same in the first round through a list of several endpoints: a broker that accepts and then
    says nothing must leave time for the others. Each round allows twice as long as the last, so
    that a slow broker is reached too.  */
#define RP_CONNECT_FIRST_MS 500u
/*  The shortest time for one attempt, however little time is left, ms.  */
#define RP_CONNECT_LEAST_MS 50u

#endif
