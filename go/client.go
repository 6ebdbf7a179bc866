// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Header is one named value that travels with a request or a reply.
type Header struct{ Key, Value string }

// Reply is what a request ended with.
type Reply struct {
	Body    []byte
	Headers []Header
	// ID is the number of the request within its client.
	ID uint64
	// Attempts is how often a worker was given the request under its last id.
	Attempts int
	// Queue and Work are how long it waited at the broker, and how long its worker took, as the broker measured them.
	Queue, Work time.Duration
	// Job is the number of the job whose final this is, or of the one execution of all requests with this key; 0: of none.
	Job uint64
	// Replayed: the broker knew the result by the key, and nothing ran for this request.
	Replayed bool
}

// Header returns the value of the first header with this key, or "".
func (r *Reply) Header(key string) string {
	for _, header := range r.Headers {
		if header.Key == key {
			return header.Value
		}
	}
	return ""
}

// Worker is the name of the worker that replied, if WithTrace asked for it.
func (r *Reply) Worker() string { return r.Header("worker") }

// Client sends requests to the services of one broker of a list, any number at once. It connects in the background, and
// again by itself. All methods may be called by several goroutines at once.
type Client struct {
	config *config

	mu      sync.Mutex
	core    *core.Client
	conn    *conn
	timer   *time.Timer
	armed   time.Duration // when timer fires
	changed chan struct{} // closed when the session's state changes
	seen    core.LinkState
	denials uint64
}

// call is one request on its way.
type call struct {
	exchange core.Exchange
	service  string
	headers  []wire.Header
	body     []byte
	keyed    bool
	limited  bool // it has a timeout of its own
	// its deadline is that of the context
	byContext bool
	done      chan struct{}
	window    int           // of a stream; 0: the default
	streamed  bool          // an option says that it is one
	toAll     bool          // … that it is for all workers
	more      bool          // its body goes in parts
	parts     []part        // of a stream, that came and were not taken
	answers   []*Answer     // of all workers, likewise
	came      chan struct{} // has an element when parts or answers came
	room      chan struct{} // has one when there is more room to write

	reply    wire.Head // of the broker, if that ended it
	replied  bool
	received []byte
}

// NewClient makes a client for a comma-separated list of endpoints: tcp://HOST:PORT or ipc://PATH. They are tried in
// turn; a host name is looked up for each attempt, and its addresses are tried like endpoints of the list, and so are those
// of SRV records (RFC 2782), by priority and weight: srv:_riposte._tcp.example.org. The client connects with its first request, or with Connect. An error is ErrUsage.
func NewClient(endpoints string, options ...ClientOption) (*Client, error) {
	config, err := newConfig(endpoints, 2*time.Second)
	if err != nil {
		return nil, err
	}
	for _, option := range options {
		if err := option.client(config); err != nil {
			return nil, err
		}
	}
	if err := config.keys.complete(); err != nil {
		return nil, err
	}
	seed, err := randomSeed()
	if err != nil {
		return nil, err
	}
	c := &Client{config: config, armed: core.Never, changed: make(chan struct{})}
	c.core = core.NewClient(core.ClientConfig{
		Endpoints:    config.endpoints,
		Name:         config.name,
		Timeout:      config.timeout,
		Heartbeat:    config.heartbeat,
		MaxOpen:      config.maxOpen,
		RetryPercent: config.retryBudget,
		Seed:         seed,
		Spread:       config.spread,
	})
	return c, nil
}

func randomSeed() (uint64, error) {
	var bytes [8]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		return 0, fmt.Errorf("riposte: no randomness: %w", err)
	}
	return binary.BigEndian.Uint64(bytes[:]), nil
}

// Dial makes a client as NewClient does, and waits until a broker has welcomed it. An error is ErrUsage, or what
// Connect returns; the client is then closed.
func Dial(ctx context.Context, endpoints string, options ...ClientOption) (*Client, error) {
	c, err := NewClient(endpoints, options...)
	if err != nil {
		return nil, err
	}
	if err := c.Connect(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Connect waits until a broker has welcomed this client; without a deadline of ctx, for DefaultTimeout. Calls do not
// need it: a request waits for the connection until its deadline.
//
// The error is an *Error: ErrNoBroker when time is up or ctx was cancelled; ErrDenied or ErrInvalid when a broker has
// refused this client, or every broker of the list its key. Or ErrClosed.
func (c *Client) Connect(ctx context.Context) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.timeout)
		defer cancel()
	}
	begin := clock()
	c.mu.Lock()
	denials := c.core.Denials()
	c.core.Start(clock())
	c.turn()
	for {
		status := wire.NoBroker
		changed := c.changed
		switch c.core.State() {
		case core.Up:
			c.mu.Unlock()
			return nil
		case core.Closed:
			c.mu.Unlock()
			return ErrClosed
		case core.Refused:
			status = c.core.Refusal()
		default:
			if c.core.Denials() != denials {
				status = wire.Denied
			}
		}
		trouble := c.core.Trouble()
		c.mu.Unlock()
		if trouble == "" {
			trouble = c.config.endpoints[0]
		}
		if status != wire.NoBroker {
			return &Error{Status: Status(status), Service: "connect", Text: refused(trouble)}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &Error{Status: StatusNoBroker, Service: "connect", cause: ctx.Err(),
				Text: unreached(clock()-begin, trouble)}
		}
		c.mu.Lock()
	}
}

// Broker is the endpoint of the connected broker as the list names it, or "".
func (c *Client) Broker() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Endpoint()
}

// Open is how many requests have not ended.
func (c *Client) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Open()
}

// Close ends open requests with ErrCancelled, and the session with BYE. It does not wait for that to be sent, which may
// take a second.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.Close(clock())
	c.turn()
	return nil
}

// Call sends a request to a service and waits for its end. body is copied.
//
// The deadline is that of ctx, or WithTimeout or DefaultTimeout if that is sooner or ctx has none. When ctx is cancelled
// the request is withdrawn. In both cases Call returns with the status that the broker gives it, a second (the grace)
// later at most.
//
// A nil error says that a worker ran it and this is its reply. Otherwise the error is an *Error with the final status,
// to be asked with errors.Is (ErrNoWorker, ErrWorkerLost, …); with ErrAppError the reply is not nil either, and has the
// body and headers that the worker gave with it. Errors without a status: ErrUsage, ErrFull, ErrClosed.
func (c *Client) Call(ctx context.Context, service string, body []byte, options ...CallOption) (*Reply, error) {
	k := &call{service: service, body: body}
	if err := c.prepare(k, options); err != nil {
		return nil, err
	}
	if err := c.perform(ctx, k); err != nil {
		return nil, err
	}
	return k.result(c, ctx)
}

// prepare applies the options and checks what the request is made of.
func (c *Client) prepare(k *call, options []CallOption) error {
	k.exchange.Timeout = c.config.timeout
	k.exchange.Attempts = c.config.attempts
	if k.exchange.Durable {
		k.exchange.Attempts = 5
	}
	for _, option := range options {
		if err := option(k); err != nil {
			return err
		}
	}
	// What outlives the function that got it; a small one of Call is copied behind the head meanwhile.
	if len(k.body) > wire.InlineMax || k.exchange.Stream != nil || k.exchange.All {
		k.body = append([]byte(nil), k.body...)
	}
	k.exchange.Keyed = k.keyed
	if k.streamed && k.exchange.Stream == nil {
		return usage("WithWindow, WithIdleTimeout and WithMore are for Stream")
	}
	if k.toAll && !k.exchange.All {
		return usage("WithFirst and WithQuorum are for CallAll")
	}
	if k.exchange.All && (k.keyed || k.exchange.Hedged) {
		return usage("a request for all workers has neither key nor hedge")
	}
	if k.keyed && k.exchange.Stream != nil {
		return usage("a stream has no key")
	}
	if k.exchange.Hedged && k.exchange.Stream != nil {
		return usage("a hedge of a stream; its parts are one worker's")
	}
	if k.keyed && k.exchange.Conversation != nil {
		return usage("a request with a key is outside conversations")
	}
	k.exchange.Size = len(k.body)
	k.exchange.Owner = k
	k.done = make(chan struct{})
	if err := wire.CheckName(k.service); err != nil {
		return usage("%v", err)
	}
	if err := wire.CheckHeaders(k.headers); err != nil {
		return usage("%v", err)
	}
	return nil
}

// perform submits a request and waits for its end.
func (c *Client) perform(ctx context.Context, k *call) error {
	if err := c.submit(ctx, k); err != nil {
		return err
	}
	c.await(ctx, k)
	return nil
}

func (c *Client) submit(ctx context.Context, k *call) error {
	if deadline, ok := ctx.Deadline(); ok {
		if left := time.Until(deadline); !k.limited || left < k.exchange.Timeout {
			k.exchange.Timeout, k.byContext = left, true
		}
	}
	if k.exchange.Timeout > dayMost {
		k.exchange.Timeout = dayMost
	}
	c.mu.Lock()
	err := c.core.Submit(&k.exchange, clock())
	if err == nil && ctx.Err() == context.Canceled {
		c.core.Cancel(&k.exchange, clock())
	}
	c.turn()
	c.mu.Unlock()
	switch err {
	case core.ErrFull:
		return fmt.Errorf("%w: %d; wait for some of them, or raise MaxOpen", ErrFull, c.config.maxOpen)
	case core.ErrClosed:
		return ErrClosed
	}
	return nil
}

// await waits for the end of a request, and withdraws it when ctx is cancelled.
func (c *Client) await(ctx context.Context, k *call) {
	select {
	case <-k.done:
		return
	case <-ctx.Done():
	}
	// At its deadline the core ends it, with the broker's word or without. When it was cancelled, the broker's word is
	// waited for as long.
	if ctx.Err() != context.Canceled {
		<-k.done
		return
	}
	c.withdraw(k)
	grace := time.NewTimer(core.Grace)
	defer grace.Stop()
	select {
	case <-k.done:
		return
	case <-grace.C:
	}
	c.mu.Lock()
	c.core.Abandon(&k.exchange, clock())
	c.turn()
	c.mu.Unlock()
	<-k.done
}

// withdraw cancels a request, unless it has ended.
func (c *Client) withdraw(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.Cancel(&k.exchange, clock())
	c.turn()
}

// result is what Call returns for a request that has ended.
func (k *call) result(c *Client, ctx context.Context) (*Reply, error) {
	reply, failure := k.end(c, ctx)
	switch {
	case failure == nil:
		return reply, nil
	case failure.Status == StatusAppError || reply.Job != 0:
		return reply, failure
	}
	return nil, failure
}

// end returns how a request has ended: what the broker said, whatever its status, and nil if that is OK.
func (k *call) end(c *Client, ctx context.Context) (*Reply, *Error) {
	x := &k.exchange
	reply := &Reply{ID: x.ID}
	if k.replied {
		reply = k.replyOf(&k.reply, k.received)
	}
	if x.Status == wire.OK {
		return reply, nil
	}
	err := k.errorOf(x.Status, &k.reply)
	if x.Unseen && err.Attempts == 0 {
		err.Attempts = 1
	}
	err.MayHaveRun = x.Unseen || mayHaveRun(x.Status, err.Attempts)
	if !k.replied {
		err.Text = c.explain(x)
	}
	switch {
	case x.Status == wire.Cancelled && ctx.Err() == context.Canceled:
		err.cause = context.Canceled
	case k.byContext && x.AtDeadline():
		err.cause = context.DeadlineExceeded // whose own timer may be later than ours
	}
	return reply, err
}

// replyOf is what a REPLY to this request says.
func (k *call) replyOf(head *wire.Head, body []byte) *Reply {
	reply := &Reply{
		ID:       k.exchange.ID,
		Body:     body,
		Attempts: int(head.Attempt),
		Queue:    time.Duration(head.Time) * time.Microsecond,
		Work:     time.Duration(head.Value) * time.Microsecond,
		Job:      head.Conversation,
		Replayed: head.Flags&wire.Replayed != 0,
	}
	for _, header := range head.Headers {
		reply.Headers = append(reply.Headers, Header(header))
	}
	return reply
}

// errorOf is the error that a REPLY with this status is.
func (k *call) errorOf(status wire.Status, head *wire.Head) *Error {
	err := &Error{Status: Status(status), Service: k.service, ID: k.exchange.ID, Attempts: int(head.Attempt),
		Code: head.Code, Text: head.Text}
	if err.Text == "" {
		err.Text = meanings[err.Status]
	}
	err.MayHaveRun = mayHaveRun(status, err.Attempts)
	return err
}

// explain says why the library itself ended a request.
func (c *Client) explain(x *core.Exchange) string {
	c.mu.Lock()
	why, endpoint := c.core.Trouble(), c.core.Tried()
	open, body := c.core.Limit()
	c.mu.Unlock()
	if why == "" {
		why = c.config.endpoints[0]
	}
	return explain(x, why, endpoint, open, body)
}

// turn carries out what the core wants, and sets the timer. c.mu is held.
func (c *Client) turn() {
	for {
		for _, order := range c.core.TakeOrders() {
			c.obey(order)
		}
		now := clock()
		next := c.core.Next()
		if next > now {
			c.arm(next, now)
			break
		}
		c.core.Tick(now)
	}
	if state := c.core.State(); state != c.seen || c.core.Denials() != c.denials {
		c.seen, c.denials = state, c.core.Denials()
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

func (c *Client) arm(next, now time.Duration) {
	if next >= c.armed {
		return // the timer comes earlier, and sets itself anew
	}
	c.armed = next
	if c.timer == nil {
		c.timer = time.AfterFunc(next-now, c.tick)
	} else {
		c.timer.Reset(next - now)
	}
}

func (c *Client) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = core.Never
	c.core.Tick(clock())
	c.turn()
}

func (c *Client) obey(order core.ClientOrder) {
	switch order.Kind {
	case core.ClientOpen:
		c.conn = openConn(c, order.Endpoint, order.Lookup, c.config.security(order.Endpoint), c.config.keys.made)
	case core.ClientClose:
		if c.conn != nil {
			c.conn.close()
			c.conn = nil
		}
	case core.ClientSay:
		if c.conn != nil {
			c.conn.send(messageFrames(&order.Head, nil)...)
		}
	case core.ClientSend:
		k := order.Exchange.Owner.(*call)
		order.Head.Name, order.Head.Headers = k.service, k.headers
		if s := order.Exchange.Stream; s != nil {
			order.Head.Headers = append([]wire.Header{{Key: "stream-window", Value: strconv.FormatUint(s.Window, 10)}},
				k.headers...)
		}
		c.conn.send(messageFrames(&order.Head, k.body)...)
	case core.ClientEnded:
		close(order.Exchange.Owner.(*call).done)
	}
}

func (c *Client) connFound(from *conn, endpoints []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from == c.conn {
		c.conn = nil
		c.core.Found(endpoints, clock())
		c.turn()
	}
}

func (c *Client) connConnected(from *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from == c.conn {
		c.core.Connected(clock())
		c.turn()
	}
}

func (c *Client) connFailed(from *conn, denied bool, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from != c.conn {
		return
	}
	if denied {
		c.core.Denied(reason, clock())
	} else {
		c.core.Failed(reason, clock())
	}
	c.turn()
}

func (c *Client) connReceived(from *conn, frames [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from != c.conn {
		return
	}
	eachMessage(frames, func(head *wire.Head, body []byte) {
		if from != c.conn {
			return // the message before ended the session
		}
		if core.Bundles(head) {
			from.allowBundles()
		}
		if x := c.core.Message(head, clock()); x != nil {
			k := x.Owner.(*call)
			if head.Command == wire.Grant {
				signal(k.room)
			} else if head.Flags&wire.More == 0 {
				k.reply, k.replied, k.received = *head, true, body
			} else if x.All {
				k.answer(head, body)
			} else {
				c.part(k, head, body)
			}
		}
		for _, order := range c.core.TakeOrders() {
			c.obey(order)
		}
	}, func() { c.core.Ignored++ })
	c.turn()
}

// eachMessage decodes a message, or each of a bundle. What is malformed is ignored.
func eachMessage(frames [][]byte, take func(head *wire.Head, body []byte), ignore func()) {
	messages := [][]byte{frames[0]}
	bundled := wire.IsBundle(frames[0])
	if bundled {
		var err error
		if messages, err = wire.Split(frames[0]); err != nil || len(frames) > 1 {
			ignore()
			return
		}
	}
	for _, message := range messages {
		head, rest, err := wire.Decode(message)
		if err != nil {
			ignore()
			continue
		}
		take(&head, bodyOf(rest, frames[1:], bundled))
	}
}

// Conversation is a dialogue with one worker, which keeps state for it. Several goroutines may use it at once; their
// requests run one at a time, in the order in which they were sent.
type Conversation struct {
	client  *Client
	service string
	core    core.Conversation
}

// Conversation makes a conversation with a worker of the service. Its first request begins it. When its worker is lost,
// the next request ends with ErrConversationLost, and the one after that begins the conversation anew.
func (c *Client) Conversation(service string) *Conversation {
	return &Conversation{client: c, service: service}
}

// Call is Client.Call in the conversation.
func (t *Conversation) Call(ctx context.Context, body []byte, options ...CallOption) (*Reply, error) {
	k := &call{service: t.service, body: body}
	k.exchange.Conversation = &t.core
	if err := t.client.prepare(k, options); err != nil {
		return nil, err
	}
	if err := t.client.perform(ctx, k); err != nil {
		return nil, err
	}
	return k.result(t.client, ctx)
}

// End ends the conversation, at the broker and at its worker. Requests of it that were not sent yet end with
// ErrConversationLost, and so does every later one.
func (t *Conversation) End() {
	t.client.mu.Lock()
	defer t.client.mu.Unlock()
	t.client.core.EndConversation(&t.core, clock())
	t.client.turn()
}

// Job is a request that a broker with a store keeps, so that it outlives every process.
type Job struct {
	// ID is its number, by which any process of the same principal asks for its Result. Never 0.
	ID uint64
	// Replayed: its key had this job already, and nothing new was made.
	Replayed bool
}

// Send has a request kept as a job, and waits until the broker has it on disk. No worker has to be there. The timeout is
// for the acceptance only. A job is run at least once, so give it a key (WithKey), with which the worker can tell what it
// has done before; with a key, Send itself sends it again when the broker was lost before it answered.
//
// The error is an *Error: with ErrUnknown the broker may have the job, so send it again with the same key. With any other
// status it took nothing: ErrKeyMismatch, ErrBusy, ErrInvalid (it keeps no jobs, or the terms make no sense), ….
func (c *Client) Send(ctx context.Context, service string, body []byte, options ...CallOption) (Job, error) {
	k := &call{service: service, body: body}
	k.exchange.Durable = true
	k.put("durable", "1")
	if err := c.prepare(k, options); err != nil {
		return Job{}, err
	}
	if err := c.perform(ctx, k); err != nil {
		return Job{}, err
	}
	reply, err := k.result(c, ctx)
	if err != nil {
		return Job{}, err
	}
	if reply.Job == 0 {
		return Job{}, &Error{Status: StatusInvalid, Service: service, ID: reply.ID, MayHaveRun: true,
			Text: "the broker made an ordinary request of a job; check its version"}
	}
	return Job{ID: reply.Job, Replayed: reply.Header("replayed") == "1"}, nil
}

const (
	// resultStep is the longest that one question waits at the broker.
	resultStep = 60 * time.Second
	// resultPause is the time before the next, so that a broker that answers at once is not flooded.
	resultPause = 100 * time.Millisecond
)

// Result asks for the final of a job, and waits up to wait for it, or to the deadline of ctx. While it waits, a broker
// that goes away is asked again when it is back. It may be asked as often as one likes, until the final is no longer
// kept.
//
// If Reply.Job is the number of the job, this is its final, and the error is nil or an *Error with its status, as with
// Call. Otherwise the question had no answer, and the job is as it was: ErrNotDone; ErrAppError (there is no such job, or
// it is another principal's); ErrInvalid (the broker keeps no jobs); ErrNoBroker; ….
func (c *Client) Result(ctx context.Context, job uint64, wait time.Duration) (*Reply, error) {
	if job == 0 {
		return nil, usage("a job's number is never 0")
	}
	until := clock() + wait
	for {
		step := until - clock()
		if step < 0 {
			step = 0
		} else if step > resultStep {
			step = resultStep
		}
		reply, err := c.ask(ctx, job, step)
		if reply != nil && reply.Job == job {
			return reply, err
		}
		over := clock() >= until || ctx.Err() != nil
		if err != nil && (over || !mayPass(err)) {
			return nil, err
		}
		if over {
			return nil, ErrNotDone
		}
		pause := time.NewTimer(resultPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

func (c *Client) ask(ctx context.Context, job uint64, wait time.Duration) (*Reply, error) {
	question, err := json.Marshal(struct {
		ID   string `json:"id"`
		Wait int64  `json:"wait_ms"`
	}{strconv.FormatUint(job, 10), wait.Milliseconds()})
	if err != nil {
		return nil, err
	}
	timeout := wait + c.config.timeout
	if timeout > dayMost {
		timeout = dayMost
	}
	return c.Call(ctx, "riposte.result", question, WithTimeout(timeout), WithAttempts(1))
}

// mayPass says whether the same question may have an answer later.
func mayPass(err error) bool {
	for _, target := range []error{ErrUnknown, ErrNoBroker, ErrBusy, ErrDraining, ErrExpired, ErrDeadline} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
