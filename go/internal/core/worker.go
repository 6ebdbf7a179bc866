// SPDX-License-Identifier: MPL-2.0

package core

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// WorkerGrace is how long handlers have to return after the BYE at the limit of a drain, which cancels them.
const WorkerGrace = time.Second

// WorkerConfig is what does not change.
type WorkerConfig struct {
	Endpoints []string // each a broker, or a name of SRV records, each of which is one
	Service   string
	Name      string
	Slots     uint32 // requests that are run at once, and the window at each broker
	Heartbeat time.Duration
	Drain     time.Duration // the limit of a drain
	Streams   bool          // its handlers read requests whose bodies come in parts
	Seed      uint64
}

type workState uint8

const (
	workReady workState = iota + 1
	workOut
	workDone
)

// Work is one request that is held.
type Work struct {
	Session      int
	Token        uint64
	Deadline     time.Duration
	Conversation uint64 // this worker's number for it, 0: none
	Owner        interface{}
	Stream       *WorkStream // nil: its bodies are whole

	state        workState
	held         bool // it takes a place in the window
	epoch        uint64
	conversation *workerConversation
}

type workerConversation struct {
	wire     uint64
	local    uint64
	session  int
	works    int
	answered bool // until then the broker may give it to another worker without an END
	seen     bool // the application had a request of it
	over     bool
}

// How long after SRV records were found they are looked up again, since a broker may have been added: up to a tenth less,
// at random. Sooner if a session with one of their brokers has failed, but not sooner than the second.
const (
	recordsAgain = 10 * time.Second
	recordsLeast = time.Second
)

// workerSession is one with a broker. That of a name of SRV records only looks them up, again and again, and each of them
// gets a session of its own. One whose record is gone is kept while it stands, since clients of its broker stay there as
// long; it is not made again.
type workerSession struct {
	link          Link
	finder        int  // the session that looks up its record; itself, if it is of none
	found         bool // a finder: there are sessions for its records
	epoch         uint64
	slots         uint32 // what the broker granted
	maxBody       uint64
	streamWindow  uint64 // the largest that the broker allows; 0: not stated
	held          map[uint64]*Work
	conversations map[uint64]*workerConversation
	refusal       wire.Status
	told          bool // its present trouble was reported
}

// WorkerOrderKind is what the shell has to do.
type WorkerOrderKind uint8

// The orders, to be carried out in the order in which they come.
const (
	WorkerOpen   WorkerOrderKind = iota // connect to Endpoint; if Lookup, look its name up
	WorkerLookUp                        // look up the SRV records of Endpoint, but not their hosts
	WorkerClose                         // close the connection, when what was sent before is out
	WorkerSay                           // send Head
	WorkerStart                         // run Work, and call Finish
	WorkerReturn                        // Work ended before it began: send REPLY with Head, if Finish says so
	WorkerCancel                        // nobody waits for Work, which runs, any more
	WorkerEnded                         // the conversation with this number has ended
	WorkerNotice                        // Text is for the log
)

// WorkerOrder is one order.
type WorkerOrder struct {
	Kind         WorkerOrderKind
	Session      int
	Endpoint     string
	Lookup       bool
	Head         wire.Head
	Work         *Work
	Conversation uint64
	Text         string
}

// Worker is the sessions of a worker with every broker of a list, and the requests that it holds. Its methods are for
// one goroutine at a time; after each, TakeOrders has what is to be done.
type Worker struct {
	config   WorkerConfig
	sessions []workerSession
	ready    []*Work
	running  map[*Work]struct{}
	window   uint32 // how many requests the application can take, up to its slots
	orders   []WorkerOrder
	random   uint64

	lastLocal  uint64
	draining   bool
	drainUntil time.Duration
	left       bool // BYE was said at the limit
	abandoned  int  // requests that were held then
	lastError  string

	// Ignored counts messages that were not valid in their state.
	Ignored uint64
}

// NewWorker returns a worker whose first Tick connects it.
func NewWorker(config WorkerConfig) *Worker {
	w := &Worker{config: config, running: map[*Work]struct{}{}, random: config.Seed, window: config.Slots}
	for i, endpoint := range config.Endpoints {
		w.begin(i, endpoint, i)
	}
	return w
}

// begin makes the session with this number, of one that is closed or the next.
func (w *Worker) begin(session int, endpoint string, finder int) {
	if session == len(w.sessions) {
		w.sessions = append(w.sessions, workerSession{held: map[uint64]*Work{},
			conversations: map[uint64]*workerConversation{}})
	}
	s := &w.sessions[session]
	s.link = newLink([]string{endpoint}, w.config.Heartbeat, IdleTenthsWorker)
	s.finder, s.told = finder, false
}

// find returns the session with an endpoint that is not closed; -1: there is none. Some caches answer with names in other
// letters each time.
func (w *Worker) find(endpoint string) int {
	for i := range w.sessions {
		if link := &w.sessions[i].link; link.state != Closed && strings.EqualFold(link.endpoint(), endpoint) {
			return i
		}
	}
	return -1
}

// free returns the number of a session that can be made.
func (w *Worker) free() int {
	for i := range w.sessions {
		if s := &w.sessions[i]; s.link.state == Closed && s.finder != i {
			return i
		}
	}
	return len(w.sessions)
}

// foundRecords begins a session for each new broker of a name, and ends those that it names no more unless they stand.
func (w *Worker) foundRecords(finder int, endpoints []string, now time.Duration) {
	named := map[string]bool{}
	for _, endpoint := range endpoints {
		named[strings.ToLower(endpoint)] = true
	}
	for i := range w.sessions {
		s := &w.sessions[i]
		stands := s.link.state == Greeting || s.link.state == Up || s.link.state == Closed
		if s.finder == finder && i != finder && !stands && !named[strings.ToLower(s.link.endpoint())] {
			w.closeSession(i, now)
		}
	}
	for _, endpoint := range endpoints {
		if w.find(endpoint) < 0 {
			w.begin(w.free(), endpoint, finder)
		}
	}
	s := &w.sessions[finder]
	s.found, s.told = true, false
	s.link.tried, s.link.failures = 0, 0
	s.link.rest(now + recordsAgain - time.Duration(w.draw()%uint64(recordsAgain/10)))
}

// lookUpSoon: a session of a record has failed, and its broker may have another place, which the records tell.
func (w *Worker) lookUpSoon(session int, now time.Duration) {
	link := &w.sessions[w.sessions[session].finder].link
	if w.sessions[session].finder != session && link.state == Rest {
		link.due = least(link.due, most(now, link.opened+recordsLeast))
	}
}

func (w *Worker) draw() uint64 {
	c := Client{random: w.random}
	value := c.draw()
	w.random = c.random
	return value
}

func (w *Worker) order(order WorkerOrder) { w.orders = append(w.orders, order) }

// TakeOrders returns what is to be done, and forgets it.
func (w *Worker) TakeOrders() []WorkerOrder {
	orders := w.orders
	w.orders = nil
	return orders
}

func (w *Worker) say(session int, head wire.Head, now time.Duration) {
	w.order(WorkerOrder{Kind: WorkerSay, Session: session, Head: head})
	w.sessions[session].link.saidSomething(now)
}

func (w *Worker) notice(session int, format string, args ...interface{}) {
	w.order(WorkerOrder{Kind: WorkerNotice, Session: session, Text: fmt.Sprintf(format, args...)})
}

// MaxBody is the largest reply that the broker takes, bytes; 0: not stated.
func (w *Worker) MaxBody(session int) uint64 { return w.sessions[session].maxBody }

// LastError says for people why a session failed or ended.
func (w *Worker) LastError() string { return w.lastError }

// sessionOver: no reply to a request of this session can be delivered any more.
func (w *Worker) sessionOver(session int, now time.Duration) {
	s := &w.sessions[session]
	s.epoch++
	kept := w.ready[:0]
	for _, work := range w.ready {
		if work.Session != session {
			kept = append(kept, work)
			continue
		}
		work.state = workDone
		w.release(work)
		w.leaveConversation(work, false)
	}
	w.ready = kept
	for _, work := range s.held {
		w.order(WorkerOrder{Kind: WorkerCancel, Session: session, Work: work})
		w.release(work)
	}
	for _, conversation := range s.conversations {
		w.endConversation(conversation)
	}
	w.startNext(now)
}

func (w *Worker) release(work *Work) {
	if work.held {
		work.held = false
		delete(w.sessions[work.Session].held, work.Token)
	}
}

func (w *Worker) doneConversation(c *workerConversation) {
	if c.seen {
		w.order(WorkerOrder{Kind: WorkerEnded, Session: c.session, Conversation: c.local})
	}
}

// endConversation: no further request of it comes under this number.
func (w *Worker) endConversation(c *workerConversation) {
	delete(w.sessions[c.session].conversations, c.wire)
	c.over = true
	if c.works == 0 {
		w.doneConversation(c)
	}
}

func (w *Worker) leaveConversation(work *Work, answers bool) {
	c := work.conversation
	if c == nil {
		return
	}
	work.conversation = nil
	c.works--
	c.answered = c.answered || answers
	if c.works > 0 {
		return
	}
	if c.over {
		w.doneConversation(c)
	} else if !c.answered {
		w.endConversation(c)
	}
}

// trouble is reported once, until the session stands again.
func (w *Worker) trouble(session int, what, why string, now time.Duration) {
	s := &w.sessions[session]
	w.lastError = s.link.endpoint() + ": " + why
	if s.told {
		return
	}
	s.told = true
	next := ""
	if pause := s.link.retryIn(now); pause > 0 {
		next = fmt.Sprintf(", next try in %v", pause.Round(time.Millisecond))
	} else if s.link.state == Rest {
		next = ", trying again"
	}
	w.notice(session, "%s %s: %s%s", what, s.link.endpoint(), why, next)
}

// Failed: the connection could not be made, or broke, or the name does not resolve. denied: the broker does not accept
// this worker's key; it goes on trying, because the key may be authorized at any time.
func (w *Worker) Failed(session int, denied bool, reason string, now time.Duration) {
	s := &w.sessions[session]
	if s.link.state < Connecting || s.link.state > Up {
		return
	}
	what := "cannot reach"
	if s.link.state == Up {
		what = "lost"
	}
	w.order(WorkerOrder{Kind: WorkerClose, Session: session})
	if w.draining {
		s.link.state = Closed
	} else {
		s.link.fail(denied, now, w.draw())
	}
	w.lookUpSoon(session, now)
	w.trouble(session, what, reason, now)
	w.sessionOver(session, now)
}

// Found takes the endpoints that a name stands for, at least one.
func (w *Worker) Found(session int, endpoints []string, now time.Duration) {
	link := &w.sessions[session].link
	if !strings.HasPrefix(link.endpoint(), SRV) {
		link.foundAddresses(endpoints, now)
	} else if link.looksUp() {
		w.foundRecords(session, endpoints, now)
	}
}

// Connected: the handshake is done.
func (w *Worker) Connected(session int, now time.Duration) {
	s := &w.sessions[session]
	if !s.link.connected(now) {
		return
	}
	head := wire.Head{Command: wire.Hello, Flags: wire.Worker | wire.Bundles,
		Time: uint32(s.link.proposed / time.Millisecond), Value: w.window, Name: w.config.Service, Key: w.config.Name}
	if w.config.Streams {
		head.Headers = []wire.Header{{Key: "streams", Value: "1"}}
	}
	w.order(WorkerOrder{Kind: WorkerSay, Session: session, Head: head})
}

func (w *Worker) closeSession(session int, now time.Duration) {
	w.sessions[session].link.state = Closed
	w.order(WorkerOrder{Kind: WorkerClose, Session: session})
	w.sessionOver(session, now)
}

func (w *Worker) leftSession(session int, now time.Duration) {
	s := &w.sessions[session]
	held := len(s.held)
	w.abandoned += held
	if held > 0 {
		w.lastError = fmt.Sprintf("left %s with %d unanswered, which the broker counts as lost", s.link.endpoint(), held)
		w.notice(session, "%s", w.lastError)
	} else {
		w.notice(session, "left %s", s.link.endpoint())
	}
	w.closeSession(session, now)
}

func (w *Worker) bye(session int, head *wire.Head, now time.Duration) {
	s := &w.sessions[session]
	why := head.Text
	if why == "" {
		why = fmt.Sprintf("the broker said BYE with status %d", head.Status)
	}
	switch {
	case s.link.state == Greeting && (head.Status == wire.Denied || head.Status == wire.Invalid):
		s.link.state = Refused
		s.refusal = head.Status
		s.told = false
		w.order(WorkerOrder{Kind: WorkerClose, Session: session})
		w.trouble(session, "refused by", why, now)
	case w.draining && head.Status == wire.OK:
		w.leftSession(session, now)
	default:
		w.Failed(session, false, why, now)
	}
}

func (w *Worker) welcome(session int, head *wire.Head, now time.Duration) {
	s := &w.sessions[session]
	if !s.link.welcomed(head.Time, now) {
		w.Failed(session, false, "its WELCOME makes no sense", now)
		return
	}
	s.maxBody = numberOf(head, "max-body")
	s.streamWindow = numberOf(head, "stream-window")
	s.slots = head.Value
	s.told = false
	w.notice(session, "registered with %s, a window of %d", s.link.endpoint(), s.slots)
}

// Message takes a message other than REQUEST, PART and GRANT.
func (w *Worker) Message(session int, head *wire.Head, now time.Duration) {
	s := &w.sessions[session]
	up, greeting := s.link.state == Up, s.link.state == Greeting
	if !up && !greeting {
		w.Ignored++
		return
	}
	s.link.heard = now
	switch {
	case greeting && head.Command == wire.Welcome:
		w.welcome(session, head, now)
	case head.Command == wire.Bye:
		w.bye(session, head, now)
	case up && head.Command == wire.Heartbeat:
		s.link.beat(now)
	case up && head.Command == wire.Cancel:
		if !w.cancel(session, head.ID, now) {
			w.Ignored++ // its reply and this crossed
		}
	case up && head.Command == wire.End:
		if c := s.conversations[head.Conversation]; c != nil {
			w.endConversation(c)
		} else {
			w.Ignored++
		}
	case up && head.Command == wire.Drain:
		// No new request comes; the broker's BYE ends the session.
	default:
		w.Ignored++
	}
}

func (w *Worker) cancel(session int, token uint64, now time.Duration) bool {
	work := w.sessions[session].held[token]
	if work == nil {
		return false
	}
	if work.state == workOut {
		w.order(WorkerOrder{Kind: WorkerCancel, Session: session, Work: work})
		return true
	}
	for i := range w.ready {
		if w.ready[i] == work {
			w.ready = append(w.ready[:i], w.ready[i+1:]...)
			break
		}
	}
	w.giveBack(work, wire.AppError, "cancelled before it began")
	return true
}

// giveBack orders the reply to what ended before it began.
func (w *Worker) giveBack(work *Work, status wire.Status, text string) {
	work.state = workDone
	w.order(WorkerOrder{Kind: WorkerReturn, Session: work.Session, Work: work,
		Head: wire.Head{Command: wire.Reply, ID: work.Token, Status: status, Text: text}})
}

// Request takes a REQUEST. What is to be done with it follows as an order. False: it was ignored.
func (w *Worker) Request(session int, head *wire.Head, work *Work, now time.Duration) bool {
	s := &w.sessions[session]
	if s.link.state != Up {
		w.Ignored++
		return false
	}
	s.link.heard = now
	work.Session, work.Token, work.epoch = session, head.ID, s.epoch
	work.Deadline = now + time.Duration(head.Time)*time.Millisecond
	switch {
	case uint32(len(s.held)) >= s.slots:
		w.giveBack(work, wire.WorkerLost, "over the window of this worker")
		return true
	case s.held[head.ID] != nil:
		w.giveBack(work, wire.WorkerLost, "this worker holds a request with this id")
		return true
	}
	work.held = true
	work.Stream = newWorkStream(head)
	s.held[head.ID] = work
	if head.Conversation != 0 {
		c := s.conversations[head.Conversation]
		if c == nil {
			w.lastLocal++
			c = &workerConversation{wire: head.Conversation, local: w.lastLocal, session: session}
			s.conversations[head.Conversation] = c
		}
		c.works++
		work.conversation, work.Conversation = c, c.local
	}
	work.state = workReady
	w.ready = append(w.ready, work)
	w.startNext(now)
	return true
}

// startNext starts what is ready, as far as slots are free.
func (w *Worker) startNext(now time.Duration) {
	for len(w.ready) > 0 && len(w.running) < int(w.config.Slots) {
		work := w.ready[0]
		w.ready = w.ready[1:]
		if now >= work.Deadline {
			w.giveBack(work, wire.AppError, "its deadline passed before it began")
			continue
		}
		work.state = workOut
		w.running[work] = struct{}{}
		if work.conversation != nil {
			work.conversation.seen = true
		}
		w.order(WorkerOrder{Kind: WorkerStart, Session: work.Session, Work: work})
	}
}

// Finish ends a work; answered is true if its reply is OK or APP_ERROR. False: its session is over, and no reply is to
// be sent.
func (w *Worker) Finish(work *Work, answered bool, now time.Duration) bool {
	s := &w.sessions[work.Session]
	alive := work.epoch == s.epoch && s.link.state == Up
	delete(w.running, work)
	work.state = workDone
	w.release(work)
	// The reply binds the conversation to this worker even if its request has ended.
	w.leaveConversation(work, alive && answered)
	if alive {
		s.link.saidSomething(now)
	}
	w.startNext(now)
	return alive
}

// SetReady states the window anew.
func (w *Worker) SetReady(ready uint32, now time.Duration) {
	if ready > w.config.Slots {
		ready = w.config.Slots
	}
	if ready == w.window {
		return
	}
	w.window = ready
	for i := range w.sessions {
		if s := &w.sessions[i]; s.link.state == Up {
			w.say(i, wire.Head{Command: wire.Credit, Value: ready}, now)
			if s.slots < ready {
				s.slots = ready // a worker that greeted with less was granted no more
			}
		}
	}
}

// Drain takes nothing new, except in open conversations, and leaves when these and what is held have ended, or at the
// limit.
func (w *Worker) Drain(now time.Duration) {
	if w.draining {
		return
	}
	w.draining = true
	w.drainUntil = now + w.config.Drain
	for i := range w.sessions {
		switch w.sessions[i].link.state {
		case Up:
			w.say(i, wire.Head{Command: wire.Drain}, now)
		case Refused, Closed:
		default:
			w.closeSession(i, now)
		}
	}
}

// leave says BYE to every broker.
func (w *Worker) leave(now time.Duration) {
	w.left = true
	for i := range w.sessions {
		switch w.sessions[i].link.state {
		case Up:
			w.say(i, wire.Head{Command: wire.Bye}, now)
			w.leftSession(i, now)
		case Refused, Closed:
		default:
			w.closeSession(i, now)
		}
	}
}

func (w *Worker) silence(session int) string {
	link := &w.sessions[session].link
	switch {
	case link.state == Up:
		return "no sign of life"
	case link.looksUp():
		return "no name server answered"
	}
	return "no answer"
}

func (w *Worker) tickSession(session int, now time.Duration) time.Duration {
	s := &w.sessions[session]
	for {
		s.link.idle = len(s.held) == 0
		order, next := s.link.tick(now)
		switch order {
		case linkNothing:
			return next
		case linkOpen:
			order := WorkerOrder{Kind: WorkerOpen, Session: session, Endpoint: s.link.where(), Lookup: s.link.looksUp()}
			if strings.HasPrefix(order.Endpoint, SRV) {
				order.Kind = WorkerLookUp
			}
			w.order(order)
		case linkLost:
			w.Failed(session, false, w.silence(session), now)
		case linkHeartbeat:
			w.order(WorkerOrder{Kind: WorkerSay, Session: session,
				Head: wire.Head{Command: wire.Heartbeat, Time: s.link.announced()}})
		}
	}
}

// Tick does what is due, and returns when to be called again. It is to be called after every other method, too.
func (w *Worker) Tick(now time.Duration) time.Duration {
	next := Never
	if w.draining && !w.left {
		if now >= w.drainUntil {
			w.leave(now)
		} else {
			next = w.drainUntil
		}
	}
	for i := range w.sessions {
		next = least(next, w.tickSession(i, now))
	}
	return next
}

// ErrUnanswered says that the limit of a drain passed while requests were held.
var ErrUnanswered = errors.New("requests were not answered within the limit of the drain")

// Over says whether nothing is left to serve, and why: refused is the status with which every broker refused, or OK.
// Handlers may still be running.
func (w *Worker) Over() (over bool, refused wire.Status, unanswered int) {
	for i := range w.sessions {
		switch w.sessions[i].link.state {
		case Refused:
			if !w.draining {
				refused = w.sessions[i].refusal
			}
		case Closed:
		default:
			if !w.sessions[i].found {
				return false, wire.OK, 0
			}
		}
	}
	return true, refused, w.abandoned
}
