// SPDX-License-Identifier: MPL-2.0

package core

import (
	"container/list"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// ClientConfig is what does not change.
type ClientConfig struct {
	Endpoints    []string
	Name         string
	Timeout      time.Duration // of a request that has none; every endpoint is tried within it
	Heartbeat    time.Duration
	MaxOpen      int
	RetryPercent int64  // retries earned per 100 requests
	Seed         uint64 // of the jitter, and of the order
	Spread       bool   // endpoints, and the addresses of a name, are tried in a random order of this client's
}

// ClientOrderKind is what the shell has to do.
type ClientOrderKind uint8

// The orders, to be carried out in the order in which they come.
const (
	ClientOpen  ClientOrderKind = iota // connect to Endpoint; if Lookup, look its name up
	ClientClose                        // close the connection, when what was sent before is out
	ClientSay                          // send Head
	ClientSend                         // send Exchange with Head; the shell adds service, headers and body
	ClientEnded                        // Exchange has ended
)

// ClientOrder is one order.
type ClientOrder struct {
	Kind     ClientOrderKind
	Endpoint string
	Lookup   bool
	Head     wire.Head
	Exchange *Exchange
}

// Errors of Submit.
var (
	ErrFull   = errors.New("too many requests are open here; wait for some of them")
	ErrClosed = errors.New("the client is closed")
)

// Client is one session with a broker of a list, and every open request. Its methods are for one goroutine at a time;
// after each, TakeOrders has what is to be done.
type Client struct {
	config ClientConfig
	link   Link

	open    map[*Exchange]struct{}
	byID    map[uint64]*Exchange // those that run
	waiting *list.List
	running *list.List
	timers  timers
	orders  []ClientOrder

	started  bool
	closed   bool
	draining bool // the broker is left once nothing runs, and gets nothing new
	refusal  wire.Status

	brokerOpen  uint32 // requests that the broker allows this client; 0: not stated
	maxBody     uint64 // 0: not stated
	keepsJobs   bool
	remembers   bool // results of requests with a key
	prioritises bool
	hedges      bool
	asksAll     bool // gives a request to all workers
	streams     bool // it knows bodies in parts
	// streamWindow is the largest that it allows; 0: not stated
	streamWindow uint64
	sessions     uint64
	denials      uint64

	lastID           uint64
	lastConversation uint64
	random           uint64
	budget           int64
	next             time.Duration

	// Ignored counts messages that were not valid in their state, Late replies to requests that had ended.
	Ignored, Late uint64

	troubles      []trouble
	troublesSince uint64
}

type trouble struct{ endpoint, reason string }

// NewClient returns a client that has not begun.
func NewClient(config ClientConfig) *Client {
	c := &Client{
		config:  config,
		open:    map[*Exchange]struct{}{},
		byID:    map[uint64]*Exchange{},
		waiting: list.New(),
		running: list.New(),
		random:  config.Seed,
		next:    Never,
	}
	c.link = newLink(c.inOrder(config.Endpoints), config.Heartbeat, IdleTenthsClient)
	return c
}

// inOrder returns places in the order in which this client tries them.
func (c *Client) inOrder(places []string) []string {
	if !c.config.Spread {
		return places
	}
	shuffled := append([]string(nil), places...)
	for left := len(shuffled); left > 1; left-- {
		at := c.draw() % uint64(left)
		shuffled[left-1], shuffled[at] = shuffled[at], shuffled[left-1]
	}
	return shuffled
}

// draw returns 64 random bits (splitmix64).
func (c *Client) draw() uint64 {
	c.random += 0x9e3779b97f4a7c15
	value := c.random
	value = (value ^ value>>30) * 0xbf58476d1ce4e5b9
	value = (value ^ value>>27) * 0x94d049bb133111eb
	return value ^ value>>31
}

func (c *Client) order(order ClientOrder) { c.orders = append(c.orders, order) }

func (c *Client) said(now time.Duration) {
	if c.link.saidSomething(now) {
		c.next = now
	}
}

// say orders a message of the session's, if there is a session.
func (c *Client) say(head wire.Head, now time.Duration) {
	if c.link.state != Up {
		return
	}
	c.order(ClientOrder{Kind: ClientSay, Head: head})
	c.said(now)
}

// State of the session.
func (c *Client) State() LinkState { return c.link.state }

// Endpoint is where the session is; "" without one.
func (c *Client) Endpoint() string {
	if c.link.state != Up {
		return ""
	}
	return c.link.endpoint()
}

// Tried is the endpoint of the session, or of the last attempt at one.
func (c *Client) Tried() string { return c.link.endpoint() }

// Refusal is the status with which this client was refused for good; OK if it was not.
func (c *Client) Refusal() wire.Status { return c.refusal }

// Denials counts how often it was found that no broker of the list accepts this client's key.
func (c *Client) Denials() uint64 { return c.denials }

// Open is how many requests have not ended.
func (c *Client) Open() int { return len(c.open) }

// Limit is how many requests the broker allows, and how large a body may be, bytes; 0 is not stated.
func (c *Client) Limit() (open uint32, body uint64) { return c.brokerOpen, c.maxBody }

// Trouble says for people why no broker was reached, or why the last session ended.
func (c *Client) Trouble() string {
	var texts []string
	for _, t := range c.troubles {
		texts = append(texts, t.endpoint+": "+t.reason)
	}
	if len(texts) == 0 && c.link.looksUp() {
		return c.link.endpoint() + ": no name server answered"
	}
	return strings.Join(texts, "; ")
}

func (c *Client) remember(reason string) {
	if c.troublesSince != c.sessions {
		c.troubles, c.troublesSince = nil, c.sessions
	}
	endpoint := c.link.endpoint()
	kept := c.troubles[:0]
	for _, t := range c.troubles {
		if t.endpoint != endpoint {
			kept = append(kept, t)
		}
	}
	c.troubles = append(kept, trouble{endpoint, reason})
}

// Start begins to connect; Submit does it too.
func (c *Client) Start(now time.Duration) {
	if c.started || c.closed {
		return
	}
	c.started = true
	c.next = now
	if c.config.RetryPercent > 0 {
		c.budget += retryReserve
	}
	c.link.within = c.config.Timeout
	c.proceed(now)
}

// Submit takes a request, which the client has until ClientEnded.
func (c *Client) Submit(x *Exchange, now time.Duration) error {
	if c.closed {
		return ErrClosed
	}
	if len(c.open) >= c.config.MaxOpen {
		return ErrFull
	}
	x.submitted, x.deadline = now, now+x.Timeout
	x.attemptsLeft = x.Attempts
	if x.Durable {
		x.attemptsLeft = 1
		if x.Keyed {
			x.attemptsLeft = 2
		}
	}
	if x.Conversation != nil && x.Conversation.established {
		x.conversationKey = x.Conversation.key
	}
	x.sessionsBefore = c.sessions
	if c.link.state == Up {
		x.sessionsBefore--
	}
	x.timer = -1
	x.ID = c.newID()
	x.wireID = x.ID
	c.open[x] = struct{}{}
	c.wait(x, nil)
	if c.budget += c.config.RetryPercent; c.budget > retryCap {
		c.budget = retryCap
	}
	c.Start(now)
	if c.link.state == Refused {
		c.finish(x, c.refusal, EndRefused, now)
	} else if c.link.state == Connecting || c.link.state == Greeting {
		c.next = now // the attempt under way may have less time now
	}
	c.proceed(now)
	return nil
}

// endSession: what the broker had ends, or waits again, in order and before what was not sent yet.
func (c *Client) endSession(now time.Duration) {
	c.draining = false
	c.next = now
	mark := c.waiting.Front()
	for element := c.running.Front(); element != nil; element = c.running.Front() {
		c.lost(element.Value.(*Exchange), mark, now)
	}
}

// over: the connection is no more, or is to be closed.
func (c *Client) over(denied bool, reason string, now time.Duration) {
	if c.closed || c.link.state < Connecting || c.link.state > Up {
		return
	}
	c.remember(reason)
	c.order(ClientOrder{Kind: ClientClose})
	c.link.fail(denied, now, c.draw())
	c.endSession(now)
	if denied && c.link.isShutOut() {
		c.denials++
		c.finishAll(wire.Denied, EndRefused, now)
	}
	c.proceed(now)
}

// Failed: the connection could not be made, or broke, or the name does not resolve.
func (c *Client) Failed(reason string, now time.Duration) { c.over(false, reason, now) }

// Denied is Failed because the broker does not accept this client's key. If none of the list does, what waits ends
// with DENIED; the client goes on trying, because the key may be authorized at any time.
func (c *Client) Denied(reason string, now time.Duration) { c.over(true, reason, now) }

// Found takes the endpoints that a name stands for.
func (c *Client) Found(endpoints []string, now time.Duration) {
	if !strings.HasPrefix(c.link.endpoint(), SRV) { // their records say in which order
		endpoints = c.inOrder(endpoints)
	}
	c.link.foundAddresses(endpoints, now)
	c.next = now
	c.proceed(now)
}

// Connected: the handshake is done.
func (c *Client) Connected(now time.Duration) {
	if c.closed || !c.link.connected(now) {
		return
	}
	c.order(ClientOrder{Kind: ClientSay, Head: wire.Head{Command: wire.Hello, Flags: wire.Bundles,
		Time: uint32(c.link.proposed / time.Millisecond), Key: c.config.Name}})
	c.next = now
}

// finishAll ends every open request, in the order of their ids.
func (c *Client) finishAll(status wire.Status, end End, now time.Duration) {
	all := make([]*Exchange, 0, len(c.open))
	for x := range c.open {
		all = append(all, x)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	for _, x := range all {
		c.finish(x, status, end, now)
	}
}

func (c *Client) bye(bye *wire.Head, now time.Duration) {
	refused := c.link.state == Greeting && (bye.Status == wire.Denied || bye.Status == wire.Invalid)
	reason := "the broker said BYE"
	if refused {
		reason = "the broker refused"
	}
	if bye.Text != "" {
		reason += ": " + bye.Text
	} else {
		reason += fmt.Sprintf(" with status %d", bye.Status)
	}
	if !refused {
		c.Failed(reason, now)
		return
	}
	c.remember(reason)
	c.refusal = bye.Status
	c.link.state = Refused
	c.order(ClientOrder{Kind: ClientClose})
	c.next = now
	c.finishAll(bye.Status, EndRefused, now)
}

// numberOf is the number of bytes that WELCOME states under a name; 0 if it does not say.
func numberOf(welcome *wire.Head, name string) uint64 {
	text, _ := welcome.Find(name)
	value, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return value
}

func (c *Client) welcome(welcome *wire.Head, now time.Duration) {
	if !c.link.welcomed(welcome.Time, now) {
		c.Failed("its WELCOME makes no sense", now)
		return
	}
	c.sessions++
	c.brokerOpen = welcome.Value
	c.maxBody = numberOf(welcome, "max-body")
	jobs, _ := welcome.Find("jobs")
	c.keepsJobs = jobs == "1"
	replays, _ := welcome.Find("replays")
	c.remembers = replays == "1"
	priorities, _ := welcome.Find("priorities")
	c.prioritises = priorities == "1"
	hedging, _ := welcome.Find("hedging")
	c.hedges = hedging == "1"
	all, _ := welcome.Find("all")
	c.asksAll = all == "1"
	streams, _ := welcome.Find("streams")
	c.streams = streams == "1"
	c.streamWindow = numberOf(welcome, "stream-window")
	c.next = now
}

// Bundles says whether the message is a WELCOME that allows bundles.
func Bundles(head *wire.Head) bool {
	return head.Command == wire.Welcome && head.Flags&wire.Bundles != 0
}

// Message takes a message of the broker. It returns the request that ended with it, for ClientEnded to follow, or whose
// part or answer it is (a REPLY with More) or grant; otherwise nil.
func (c *Client) Message(head *wire.Head, now time.Duration) *Exchange {
	up, greeting := c.link.state == Up, c.link.state == Greeting
	if !up && !greeting {
		c.Ignored++
		return nil
	}
	c.link.heard = now
	var done *Exchange
	switch {
	case up && (head.Command == wire.Reply || head.Command == wire.Accepted):
		x := c.byID[head.ID]
		switch {
		case x == nil:
			c.Late++
		case head.Command == wire.Accepted && !x.Durable:
			c.Ignored++
		case head.Flags&wire.More != 0 && !x.part(head):
			c.Ignored++
		case head.Flags&wire.More != 0:
			done = x
		case head.Command == wire.Accepted:
			c.finish(x, wire.OK, EndReply, now)
			done = x
		case c.replied(x, head, now):
			done = x
		}
	case up && head.Command == wire.Grant:
		if x := c.byID[head.ID]; x != nil && x.grants(head) {
			done = x
		} else {
			c.Ignored++
		}
	case up && head.Command == wire.Heartbeat:
		if c.link.beat(now) {
			c.next = now
		}
	case greeting && head.Command == wire.Welcome:
		c.welcome(head, now)
	case head.Command == wire.Bye:
		c.bye(head, now)
	case up && head.Command == wire.Drain:
		// It keeps what it has; the rest waits for another broker of the list, if there is one.
		c.draining = len(c.config.Endpoints) > 1
	default:
		c.Ignored++
	}
	c.proceed(now)
	return done
}

// move leaves the broker for the next of the list.
func (c *Client) move(now time.Duration) {
	c.remember("it drains, or could not take a request")
	c.order(ClientOrder{Kind: ClientSay, Head: wire.Head{Command: wire.Bye}})
	c.order(ClientOrder{Kind: ClientClose})
	c.link.fail(false, now, c.draw())
	c.endSession(now)
}

// proceed sends what may be sent.
func (c *Client) proceed(now time.Duration) {
	if c.draining && c.running.Len() == 0 && c.link.state == Up {
		c.move(now)
	}
	for c.link.state == Up && !c.draining &&
		(c.brokerOpen == 0 || uint32(c.running.Len()) < c.brokerOpen) && c.waiting.Len() > 0 {
		c.send(c.waiting.Front().Value.(*Exchange), now)
	}
}

// TakeOrders returns what is to be done, and forgets it.
func (c *Client) TakeOrders() []ClientOrder {
	orders := c.orders
	c.orders = nil
	return orders
}

// Cancel withdraws an open request. It ends at once if no broker has it, otherwise with the broker's reply.
func (c *Client) Cancel(x *Exchange, now time.Duration) {
	if _, open := c.open[x]; !open {
		return
	}
	if x.state != running {
		c.finish(x, wire.Cancelled, EndWithdrawn, now)
	} else if !x.cancelled {
		x.cancelled = true
		c.say(wire.Head{Command: wire.Cancel, ID: x.wireID}, now)
	}
	c.proceed(now)
}

// Abandon ends an open request at once with CANCELLED; the broker is told, and its reply not awaited.
func (c *Client) Abandon(x *Exchange, now time.Duration) {
	if _, open := c.open[x]; !open {
		return
	}
	if x.state == running && !x.cancelled {
		c.say(wire.Head{Command: wire.Cancel, ID: x.wireID}, now)
	}
	c.finish(x, wire.Cancelled, EndWithdrawn, now)
	c.proceed(now)
}

// EndConversation ends a conversation, which gets no further request.
func (c *Client) EndConversation(t *Conversation, now time.Duration) {
	t.over = true
	if t.key != 0 && t.session == c.sessions {
		c.say(wire.Head{Command: wire.End, Conversation: t.key}, now)
	}
}

// Close ends the session with BYE, and open requests with CANCELLED.
func (c *Client) Close(now time.Duration) {
	if c.closed {
		return
	}
	c.finishAll(wire.Cancelled, EndWithdrawn, now)
	c.closed = true
	if c.link.state == Greeting || c.link.state == Up {
		c.order(ClientOrder{Kind: ClientSay, Head: wire.Head{Command: wire.Bye}})
	}
	c.order(ClientOrder{Kind: ClientClose})
	c.link.state = Closed
	c.next = Never
}

func (c *Client) silence(now time.Duration) string {
	took := (now - c.link.opened).Round(time.Millisecond)
	switch {
	case c.link.state == Up:
		return "the broker said nothing for too long"
	case c.link.state == Greeting:
		return fmt.Sprintf("connected, but no WELCOME came within %v", took)
	case c.link.looksUp():
		return "no name server answered"
	default:
		return fmt.Sprintf("no connection within %v", took)
	}
}

func (c *Client) tickLink(now time.Duration) time.Duration {
	if !c.started || c.closed {
		return Never
	}
	for {
		c.link.idle = c.running.Len() == 0
		c.link.wanted = Never
		if first := c.waiting.Front(); first != nil {
			c.link.wanted = first.Value.(*Exchange).deadline
		}
		order, next := c.link.tick(now)
		switch order {
		case linkNothing:
			return next
		case linkOpen:
			c.order(ClientOrder{Kind: ClientOpen, Endpoint: c.link.where(), Lookup: c.link.looksUp()})
		case linkLost:
			c.Failed(c.silence(now), now)
		case linkHeartbeat:
			c.order(ClientOrder{Kind: ClientSay,
				Head: wire.Head{Command: wire.Heartbeat, Time: c.link.announced()}})
		}
	}
}

// Tick does what is due, and returns when to be called again. An earlier call costs one comparison.
func (c *Client) Tick(now time.Duration) time.Duration {
	if now < c.next {
		return c.next
	}
	c.next = Never
	next := c.tickLink(now)
	for len(c.timers) > 0 && c.timers[0].due <= now {
		c.timed(c.timers[0], now)
	}
	c.proceed(now)
	if len(c.timers) > 0 {
		next = least(next, c.timers[0].due)
	}
	c.next = least(c.next, next)
	return c.next
}

// Next is when Tick is due.
func (c *Client) Next() time.Duration { return c.next }
