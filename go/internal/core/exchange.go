// SPDX-License-Identifier: MPL-2.0

package core

import (
	"container/heap"
	"container/list"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

const (
	// Grace is how long after its deadline a request still waits for the broker's reply.
	Grace = time.Second
	// Retries that a new client has, the most that it saves, and what one costs, in hundredths.
	retryReserve = 10 * retryCost
	retryCap     = 1000 * retryCost
	retryCost    = 100
	// The first and the largest pause before a request is sent again after BUSY or DRAINING.
	retryFirst = 20 * time.Millisecond
	retryMost  = 2 * time.Second
)

// End is the cause of a request's end.
type End uint8

// The causes.
const (
	EndReply            End = iota // the broker's reply came
	EndUnreached                   // no broker was reached by the deadline
	EndHeld                        // a broker was reached, but it had no room for one more
	EndLost                        // the session was lost while the broker had the request
	EndBudget                      // the same, and the retry budget is spent
	EndSilent                      // no reply came by the deadline and the grace
	EndTooLarge                    // over the limit that the broker states
	EndRefused                     // a broker refused this client or its key
	EndWithdrawn                   // withdrawn before a worker could get it, or the client was closed
	EndConversationOver            // the conversation was over before it was sent
	EndNoJobs                      // durable, and the broker keeps no jobs
	EndNoReplays                   // keyed, not durable, and the broker remembers no results
	EndNoStreams                   // with a stream, and the broker knows none
	EndNoAll                       // for all workers, and the broker gives none to all
)

type exchangeState uint8

const (
	idle exchangeState = iota
	waiting
	paused
	running
	ended
)

// Conversation is a client's side of a conversation. Its zero value has not begun.
type Conversation struct {
	key         uint64 // on the wire; 0: the next request draws one, and begins a conversation
	session     uint64 // where key was last used
	opener      *Exchange
	established bool // a worker answered under this key
	over        bool // its owner ended it
}

// Exchange is one request.
type Exchange struct {
	// Set before Submit.
	Size         int // of the body
	Conversation *Conversation
	Stream       *Stream // nil: its reply comes whole
	Timeout      time.Duration
	Wait         time.Duration // for a worker to appear
	Attempts     uint8
	Priority     uint8 // as a head states it
	Trace        bool
	All          bool // it is for all workers, each of which is asked once; parts of its reply are whole answers
	Hedged       bool // a second worker may get it; its header says when
	Durable      bool // it asks for a job, and ends with ACCEPTED
	Keyed        bool // it has an idempotency key: a durable one that is sent twice is still one job
	Owner        interface{}

	// Valid once it has ended.
	ID     uint64 // its first id on the wire
	Unseen bool   // a broker had it, and its outcome is not known: it may have run
	Status wire.Status
	End    End
	Ended  time.Duration

	state           exchangeState
	attemptsLeft    uint8 // durable: 1, or 2 if keyed; its attempts are the job's
	retries         int
	endpoint        int // durable: where it was sent last
	asked           int // brokers of the list that were busy or had no worker
	cancelled       bool
	answered        bool   // for all workers: an answer has come
	wireID          uint64 // of this attempt
	conversationKey uint64 // that it was sent with or is meant for; 0: any
	sessionsBefore  uint64 // at submit; more sessions now mean that a broker was reached
	submitted       time.Duration
	deadline        time.Duration
	due             time.Duration
	timer           int // its place in the heap of timers, -1: none
	place           *list.Element
}

// AtDeadline says whether it ended because its time was up: the broker, which is told ms, may be up to two early.
func (x *Exchange) AtDeadline() bool { return x.Ended+2*time.Millisecond >= x.deadline }

// timers is a heap of exchanges, by due.
type timers []*Exchange

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].timer, t[j].timer = i, j
}
func (t *timers) Push(x interface{}) {
	exchange := x.(*Exchange)
	exchange.timer = len(*t)
	*t = append(*t, exchange)
}
func (t *timers) Pop() interface{} {
	last := len(*t) - 1
	exchange := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	exchange.timer = -1
	return exchange
}

func (c *Client) setTimer(x *Exchange, due time.Duration) {
	x.due = due
	if x.timer < 0 {
		heap.Push(&c.timers, x)
	} else {
		heap.Fix(&c.timers, x.timer)
	}
	c.next = least(c.next, due)
}

// leave takes it out of the list of its state.
func (c *Client) leave(x *Exchange) {
	if x.Conversation != nil && x.Conversation.opener == x {
		x.Conversation.opener = nil
	}
	switch x.state {
	case waiting:
		c.waiting.Remove(x.place)
	case running:
		c.running.Remove(x.place)
		delete(c.byID, x.wireID)
	}
	x.place = nil
}

// wait puts it among those that wait: before mark, or at the end if that is nil.
func (c *Client) wait(x *Exchange, mark *list.Element) {
	x.state = waiting
	if mark != nil {
		x.place = c.waiting.InsertBefore(x, mark)
	} else {
		x.place = c.waiting.PushBack(x)
	}
	c.setTimer(x, x.deadline)
}

func (c *Client) waitFirst(x *Exchange) { c.wait(x, c.waiting.Front()) }

// finish ends an open request.
func (c *Client) finish(x *Exchange, status wire.Status, end End, now time.Duration) {
	if x.state == running && end != EndReply {
		x.Unseen = true
	}
	c.leave(x)
	// The status proves that the last id never ran; it proves nothing about an earlier one.
	if x.Unseen && status.ProvesNothingRan() && status != wire.ConversationLost {
		status, end = wire.Unknown, EndLost
	}
	x.state = ended
	x.Status, x.End, x.Ended = status, end, now
	if x.timer >= 0 {
		heap.Remove(&c.timers, x.timer)
	}
	delete(c.open, x)
	c.order(ClientOrder{Kind: ClientEnded, Exchange: x})
}

func (c *Client) newID() uint64 {
	c.lastID++
	return c.lastID
}

// renew gives it a new id, under which it goes out again.
func (c *Client) renew(x *Exchange) {
	if !x.Durable {
		x.attemptsLeft--
	}
	x.retries++
	x.wireID = c.newID()
}

// mayMove is false if a worker may have state of the conversation, or parts or answers came or went: sent again, it would meet
// another state, or another reply.
func (x *Exchange) mayMove() bool {
	if x.Stream != nil && x.Stream.passed || x.answered {
		return false
	}
	t := x.Conversation
	return t == nil || !t.established && t.key == x.conversationKey
}

// lost: the session is over while the broker had the request.
func (c *Client) lost(x *Exchange, mark *list.Element, now time.Duration) {
	x.Unseen = true
	switch {
	case x.attemptsLeft <= 1 || x.cancelled || !x.mayMove():
		c.finish(x, wire.Unknown, EndLost, now)
	// A lost job with a key is not charged to the budget: it runs once however often it is sent, and a new session
	// sends it once.
	case !x.Durable && c.budget < retryCost:
		c.finish(x, wire.Unknown, EndBudget, now)
	default:
		if !x.Durable {
			c.budget -= retryCost
		}
		c.leave(x)
		c.renew(x)
		c.wait(x, mark)
	}
}

// pause puts it aside before another attempt. False: there is none.
func (c *Client) pause(x *Exchange, now time.Duration) bool {
	if x.attemptsLeft <= 1 || x.cancelled || c.budget < retryCost || x.Stream != nil && x.Stream.passed {
		return false
	}
	pause := backoff(x.retries+1, retryFirst, retryMost, c.draw())
	if now+pause >= x.deadline {
		return false
	}
	c.budget -= retryCost
	c.leave(x)
	c.renew(x)
	x.asked = 0
	x.state = paused
	c.setTimer(x, now+pause)
	return true
}

// askNext sends it to the next broker of the list, if the reply proves that it did not run: no attempt is used up, and
// each broker is asked once. That ends the session with this broker, so while other requests run it happens only
// because this one drains, and when they have ended. False: it stays.
func (c *Client) askNext(x *Exchange, reply *wire.Head) bool {
	draining := reply.Status == wire.Draining
	proven := draining || reply.Status == wire.Busy || reply.Status == wire.NoWorker
	asked := x.asked + 1
	if draining {
		asked = 1 // a broker that drains lets nobody in again
	}
	if !proven || asked >= len(c.config.Endpoints) || x.cancelled || !x.mayMove() {
		return false
	}
	if !draining {
		if c.running.Len() > 1 || c.budget < retryCost {
			return false
		}
		c.budget -= retryCost
		x.asked++
	}
	c.leave(x)
	x.wireID = c.newID()
	c.waitFirst(x)
	c.draining = true
	return true
}

// teach updates the conversation from a reply, if it is still the one in which the request was sent.
func (x *Exchange) teach(reply *wire.Head) {
	t := x.Conversation
	if t == nil || t.key != x.conversationKey {
		return
	}
	if reply.Status == wire.OK || reply.Status == wire.AppError {
		t.established = true
	}
	if reply.Status == wire.ConversationLost || reply.Flags&wire.Last != 0 {
		t.key, t.established, t.opener = 0, false, nil
	}
}

// replied takes the reply. It says whether that is the end of the request.
func (c *Client) replied(x *Exchange, reply *wire.Head, now time.Duration) bool {
	x.teach(reply)
	if c.askNext(x, reply) {
		return false
	}
	if (reply.Status == wire.Busy || reply.Status == wire.Draining) && c.pause(x, now) {
		return false
	}
	c.finish(x, reply.Status, EndReply, now)
	return x.End == EndReply
}

// expire: the deadline passed before it could be sent.
func (c *Client) expire(x *Exchange, now time.Duration) {
	switch {
	case c.sessions > x.sessionsBefore:
		c.finish(x, wire.Expired, EndHeld, now)
	case c.link.isShutOut():
		c.finish(x, wire.Denied, EndRefused, now)
	default:
		c.finish(x, wire.NoBroker, EndUnreached, now)
	}
}

func (c *Client) timed(x *Exchange, now time.Duration) {
	switch x.state {
	case waiting:
		c.expire(x, now)
	case paused:
		c.wait(x, nil)
	case running:
		if last := x.deadline + Grace; now < last {
			c.setTimer(x, last)
			return
		}
		c.say(wire.Head{Command: wire.Cancel, ID: x.wireID}, now)
		c.finish(x, wire.Unknown, EndSilent, now)
	}
}

// send gives the first of those that wait its head. False: it ended instead.
func (c *Client) send(x *Exchange, now time.Duration) bool {
	t := x.Conversation
	switch {
	case now >= x.deadline:
		c.expire(x, now)
		return false
	case t != nil && (t.over || x.conversationKey != 0 && x.conversationKey != t.key):
		c.finish(x, wire.ConversationLost, EndConversationOver, now)
		return false
	case c.maxBody > 0 && uint64(x.Size) > c.maxBody:
		c.finish(x, wire.TooLarge, EndTooLarge, now)
		return false
	case x.Durable && !c.keepsJobs:
		c.finish(x, wire.Invalid, EndNoJobs, now)
		return false
	case x.Stream != nil && !c.streams:
		c.finish(x, wire.Invalid, EndNoStreams, now)
		return false
	case x.All && !c.asksAll:
		c.finish(x, wire.Invalid, EndNoAll, now)
		return false
	case x.Keyed && !x.Durable && !c.remembers:
		c.finish(x, wire.Invalid, EndNoReplays, now)
		return false
	// Another endpoint may have another store, where the key is not known.
	case x.Durable && x.Unseen && x.endpoint != c.link.current:
		c.finish(x, wire.Unknown, EndLost, now)
		return false
	}
	head := wire.Head{Command: wire.Request, ID: x.wireID, Time: milliseconds(x.deadline - now),
		Value: uint32(x.Wait / time.Millisecond), Attempts: x.attemptsLeft}
	if c.prioritises {
		head.Priority = x.Priority
	}
	if x.Trace {
		head.Flags |= wire.Trace
	}
	if x.Stream != nil {
		x.Stream.begin(c.streamWindow)
		head.Flags |= wire.Stream
		if x.Stream.Writes {
			head.Flags |= wire.More
		}
	}
	if x.All {
		head.Flags |= wire.All
		head.Value = 0
	}
	// A preference: a broker that makes no hedges gets the request without it, and so does its last attempt.
	if x.Hedged && c.hedges && (x.attemptsLeft > 1 || x.attemptsLeft == x.Attempts) {
		head.Flags |= wire.Hedge
	}
	if x.Durable {
		head.Flags |= wire.Durable
		head.Attempts = x.Attempts
		x.endpoint = c.link.current
	} else if x.Keyed {
		head.Flags |= wire.Keyed
	}
	if t != nil {
		if t.key == 0 {
			c.lastConversation++
			t.key = c.lastConversation
		}
		t.session = c.sessions
		x.conversationKey = t.key
		head.Conversation = t.key
		if !t.established && t.opener == nil {
			t.opener = x
			head.Flags |= wire.Open
		}
	}
	c.waiting.Remove(x.place)
	x.place = c.running.PushBack(x)
	x.state = running
	c.byID[x.wireID] = x
	c.order(ClientOrder{Kind: ClientSend, Exchange: x, Head: head})
	c.said(now)
	return true
}

// milliseconds rounds down, to 1 at least: a deadline is not over before it is sent.
func milliseconds(left time.Duration) uint32 {
	switch ms := left / time.Millisecond; {
	case ms < 1:
		return 1
	case ms > wire.DeadlineMaxMS:
		return wire.DeadlineMaxMS
	default:
		return uint32(ms)
	}
}
