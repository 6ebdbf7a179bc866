// SPDX-License-Identifier: MPL-2.0

// Package core has the rules of a client and a worker as state machines. They open no socket and read no clock: time
// and randomness are arguments, and what is to be done comes back as orders.
//
// Source: docs/PROTOCOL.md, sections 5, 6 and 9, and docs/CONTRACT.md.
//
// A time is a time.Duration since an instant of the caller's choice, on a clock that never goes back.
package core

import (
	"net"
	"strings"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Never is a time that does not come.
const Never = time.Duration(1<<63 - 1)

const (
	// liveness and idleLiveness: a broker is lost after so many intervals without a message; while a longer interval
	// holds, after so many of these if that takes longer.
	liveness     = 3
	idleLiveness = 2
	// The first and the largest pause between rounds through the list of endpoints; they double.
	backoffFirst = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
	// connectMost is how long an attempt to connect may take; connectFirst the same in the first round through a list
	// of several, so that a silent broker leaves time for the others; connectLeast whatever time is left.
	connectMost  = 3 * time.Second
	connectFirst = 500 * time.Millisecond
	connectLeast = 50 * time.Millisecond
)

// IdleTenths of a client and a worker: the interval while it waits for nothing, in tenths of the one agreed.
const (
	IdleTenthsClient = 100
	IdleTenthsWorker = 15
)

// LinkState is the state of a session.
type LinkState uint8

// The states of docs/PROTOCOL.md, section 5.6.
const (
	Rest LinkState = iota
	Connecting
	Greeting
	Up
	Refused
	Closed
)

// linkOrder is what the owner of a link has to do now.
type linkOrder uint8

const (
	linkNothing   linkOrder = iota
	linkOpen                // connect to where, or look its name up
	linkLost                // the broker is silent: close the connection, and call fail
	linkHeartbeat           // send HEARTBEAT with announced as its time
)

// Link is the session with a broker of a list: which endpoint is tried when, and signs of life.
type Link struct {
	state     LinkState
	endpoints []string
	proposed  time.Duration
	tenths    int64
	// within is the time in which every endpoint is to be tried, 0 without a limit; wanted the first deadline of what
	// waits for a session; idle says that nothing does, and nothing is open. The owner sets them.
	within time.Duration
	wanted time.Duration
	idle   bool

	current  int
	found    []string // addresses of the current endpoint's name
	address  int      // of found, in use
	tried    int      // endpoints that failed in this round
	failures int      // rounds in which all failed
	brief    int      // sessions in a row that broke within an interval
	denied   []bool   // by endpoint: it did not accept our key when it was last tried

	slow     bool // the last message was a HEARTBEAT with a longer interval
	prompted bool // the broker's HEARTBEAT is to be answered
	interval time.Duration
	woke     time.Duration // when the agreed interval began to hold again
	since    time.Duration // Up: when that began
	planned  time.Duration // Up: the latest time for the next tick
	heard    time.Duration
	said     time.Duration
	opened   time.Duration
	due      time.Duration // Rest: when to try; Connecting, Greeting: when to give up
}

func newLink(endpoints []string, heartbeat time.Duration, tenths int64) Link {
	return Link{endpoints: endpoints, proposed: heartbeat, tenths: tenths, wanted: Never,
		denied: make([]bool, len(endpoints))}
}

func (l *Link) endpoint() string { return l.endpoints[l.current] }

// where is what to connect to: an endpoint, or an address that was found for its name.
func (l *Link) where() string {
	if len(l.found) > 0 {
		return l.found[l.address]
	}
	return l.endpoint()
}

// SRV is what an endpoint begins with that names SRV records: srv:_riposte._tcp.example.org.
const SRV = "srv:"

// IsName says whether an endpoint must be looked up: its host is a name, or it names SRV records.
func IsName(endpoint string) bool {
	if strings.HasPrefix(endpoint, SRV) {
		return true
	}
	if !strings.HasPrefix(endpoint, "tcp://") {
		return false
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		return false
	}
	if zone := strings.IndexByte(host, '%'); zone >= 0 {
		host = host[:zone]
	}
	return net.ParseIP(host) == nil
}

func (l *Link) looksUp() bool {
	return l.state == Connecting && len(l.found) == 0 && IsName(l.endpoint())
}

// backoff is the pause before the attempt behind so many failures: from the upper half of first × 2^(failures-1).
func backoff(failures int, first, most time.Duration, random uint64) time.Duration {
	if failures == 0 {
		return 0
	}
	whole := first
	for i := 1; i < failures && whole < most; i++ {
		whole *= 2
	}
	if whole > most {
		whole = most
	}
	half := whole / 2
	return half + time.Duration(random%uint64(half+1))
}

// share is the time for one endpoint when so many have not been tried: equal shares, one of them kept.
func share(left time.Duration, untried int) time.Duration {
	if each := left / time.Duration(untried+1); each > connectLeast {
		return each
	}
	return connectLeast
}

func least(one, other time.Duration) time.Duration {
	if one < other {
		return one
	}
	return other
}

func most(one, other time.Duration) time.Duration {
	if one > other {
		return one
	}
	return other
}

// connectPatience is how long the current attempt may take.
func (l *Link) connectPatience(now time.Duration) time.Duration {
	more := 0
	if len(l.found) > 0 {
		more = len(l.found) - 1
	}
	all := len(l.endpoints) + more
	if all < 2 {
		return connectMost
	}
	patience := least(connectMost/time.Duration(all), connectFirst)
	if l.within > 0 {
		patience = least(patience, share(l.within, all))
	}
	for round := 0; round < l.failures && patience < connectMost; round++ {
		patience *= 2
	}
	patience = least(patience, connectMost)
	if l.tried < len(l.endpoints) && l.wanted < Never && l.wanted > now {
		untried := len(l.endpoints) - l.tried + more - l.address
		patience = least(patience, share(l.wanted-now, untried))
	}
	return patience
}

func (l *Link) rest(due time.Duration) {
	l.current = (l.current + 1) % len(l.endpoints)
	l.found, l.address = nil, 0
	l.state = Rest
	l.due = due
}

// foundAddresses takes the endpoints that a name stands for, at least one.
func (l *Link) foundAddresses(endpoints []string, now time.Duration) {
	if !l.looksUp() || len(endpoints) == 0 {
		return
	}
	l.found = endpoints
	l.state = Rest
	l.due = now
}

// fail plans the next attempt after a connection that could not be made, or broke. denied: the broker does not accept
// this side's key.
func (l *Link) fail(denied bool, now time.Duration, random uint64) {
	switch l.state {
	case Connecting, Greeting:
		// One address of a name whose broker denies the key is enough.
		if denied {
			l.denied[l.current] = true
		} else if l.address == 0 {
			l.denied[l.current] = false
		}
		if l.address+1 < len(l.found) {
			l.address++
			l.state = Rest
			l.due = now
			return
		}
		// The failure of one endpoint says nothing about the next, so there is a pause only between rounds.
		if l.tried++; l.tried < len(l.endpoints) {
			l.rest(now)
			return
		}
		l.tried = 0
		l.failures++
		l.rest(now + backoff(l.failures, backoffFirst, backoffMost, random))
	case Up:
		// The first attempt comes at once. If a broker welcomes and drops us again and again, a growing pause begins.
		l.tried = 1
		if now-l.since < l.interval {
			l.brief++
		} else {
			l.brief = 0
		}
		pause := time.Duration(0)
		if l.brief > 1 {
			pause = backoff(l.brief-1, backoffFirst, backoffMost, random)
		}
		l.rest(now + pause)
	}
}

// isShutOut says whether no endpoint of the list accepts this side's key.
func (l *Link) isShutOut() bool {
	for _, denied := range l.denied {
		if !denied {
			return false
		}
	}
	return true
}

// intervalNow is the interval that both sides use now.
func (l *Link) intervalNow() time.Duration {
	if !l.slow {
		return l.interval
	}
	return least(l.interval*time.Duration(l.tenths)/10, wire.HeartbeatMaxMS*time.Millisecond)
}

func (l *Link) patience() time.Duration {
	return most(liveness*l.interval, idleLiveness*l.intervalNow())
}

func (l *Link) announced() uint32 {
	if !l.slow {
		return 0
	}
	return uint32(l.intervalNow() / time.Millisecond)
}

// beat notes a HEARTBEAT of the broker, and says whether the next tick answers it.
func (l *Link) beat(now time.Duration) bool {
	l.prompted = l.state == Up && now-l.said >= l.intervalNow()/2
	return l.prompted
}

// forgive gives the broker another interval when this process stood still: what it sent is still to be read.
func (l *Link) forgive(now time.Duration) {
	if now > l.planned+l.interval/2 {
		l.heard = most(l.heard, now-(l.patience()-l.intervalNow()))
	}
}

// saidSomething notes that a message other than HEARTBEAT was sent: the agreed interval holds again. It says whether
// the next tick is now due earlier than planned.
func (l *Link) saidSomething(now time.Duration) bool {
	l.said = now
	l.prompted = false
	if !l.slow {
		return false
	}
	l.forgive(now)
	slow, patience := l.intervalNow(), l.patience()
	l.slow = false
	l.planned = now + l.interval
	// The silence of the longer interval does not count, but the broker gets no more time than it had before.
	woke := now
	if now-l.heard > slow+slow/4 {
		woke -= l.interval
	}
	l.woke = least(woke, l.heard+patience-l.patience())
	return true
}

func (l *Link) lostAt() time.Duration { return most(l.heard, l.woke) + l.patience() }

func (l *Link) tickUp(now time.Duration) (linkOrder, time.Duration) {
	l.forgive(now)
	if now >= l.lostAt() {
		return linkLost, now
	}
	order := linkNothing
	if l.prompted || now-l.said >= l.intervalNow() {
		order = linkHeartbeat
		l.said = now
		l.slow = l.idle && (l.slow || now-l.heard < 2*l.interval)
		l.prompted = false
	}
	l.planned = least(l.lostAt(), l.said+l.intervalNow())
	return order, l.planned
}

// tick returns what is due, and when to call again. It is to be called until it returns linkNothing.
func (l *Link) tick(now time.Duration) (linkOrder, time.Duration) {
	switch l.state {
	case Rest:
		if now < l.due {
			return linkNothing, l.due
		}
		l.state = Connecting
		l.opened = now
		l.due = now + l.connectPatience(now)
		return linkOpen, l.due
	case Connecting, Greeting:
		l.due = least(l.due, now+l.connectPatience(now)) // an earlier deadline may have come
		if now < l.due {
			return linkNothing, l.due
		}
		return linkLost, l.due
	case Up:
		return l.tickUp(now)
	}
	return linkNothing, Never
}

// connected: the handshake is done, and HELLO goes out.
func (l *Link) connected(now time.Duration) bool {
	if l.state != Connecting {
		return false
	}
	l.state = Greeting
	l.said, l.heard = now, now
	return true
}

// welcomed takes WELCOME. False: it makes no sense.
func (l *Link) welcomed(interval uint32, now time.Duration) bool {
	if l.state != Greeting || interval < wire.HeartbeatMinMS || interval > wire.HeartbeatMaxMS {
		return false
	}
	l.state = Up
	l.slow, l.prompted = false, false
	l.interval = time.Duration(interval) * time.Millisecond
	l.failures, l.tried = 0, 0
	for i := range l.denied {
		l.denied[i] = false
	}
	l.woke, l.since, l.heard = now, now, now
	l.planned = now + l.interval
	return true
}

func (l *Link) retryIn(now time.Duration) time.Duration {
	if l.state != Rest || l.due <= now {
		return 0
	}
	return l.due - now
}
