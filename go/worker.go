// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Handler runs one attempt of one request, in a goroutine of its own. What it returns is the reply:
//
//   - body and nil: OK.
//   - an *AppError, or an error that wraps one: APP_ERROR with its code, text and body.
//   - ErrRetry, or an error that wraps it: another attempt, because this one failed for a reason that may pass. Of a job
//     it follows after a pause; an ordinary request goes to another worker at once if attempts are left, and otherwise
//     ends with WORKER_LOST.
//   - any other error: APP_ERROR with its text. A panic is one, too; its value is the text.
//
// body is not copied, and must not be changed afterwards. It may be task.Body.
type Handler func(task *Task) (body []byte, err error)

// AppError is an error that the caller gets with StatusAppError.
type AppError struct {
	// Code is the application's own number.
	Code uint32
	// Text is one line for people; it is cut at 1,024 bytes.
	Text string
	// Body is the body of the reply; it may be nil.
	Body []byte
}

// Error is Text. A nil *AppError that was returned as an error is one without a text.
func (e *AppError) Error() string {
	if e == nil {
		return "a nil *AppError"
	}
	return e.Text
}

// Task is one attempt of one request, held by this worker. It belongs to its handler, and ends with it.
type Task struct {
	Service string
	Body    []byte
	Headers []Header
	// Attempt is 1 for the first delivery. More: an earlier worker may have begun the request.
	Attempt int
	// Attempts is how many are allowed.
	Attempts int
	// Key is the idempotency key of the sender, or "". Every attempt has it, so a worker that notes it with what it does
	// can tell what was done before.
	Key string
	// Durable says that this is an attempt of a job, and nobody may wait for the reply now.
	Durable bool
	// Conversation identifies the conversation at this worker; 0: none.
	Conversation uint64
	// Streams says that the client reads the reply in parts, as Write sends them.
	Streams bool
	// More says that more of the request's body follows, for Recv. Only a worker with the option Streams gets such a request.
	More bool

	ctx    context.Context
	cancel context.CancelFunc
	work   core.Work
	trace  bool
	worker *Worker
	parts  []part        // of the request, that came and were not taken
	came   chan struct{} // has an element when parts came
	room   chan struct{} // has one when there is more room to write
	kept   []byte        // parts of the reply, for a client that reads none

	mu    sync.Mutex
	reply []wire.Header
	last  bool
}

// Context is done when the reply is no longer wanted: the request was cancelled, its deadline has passed, or its broker
// was lost. It has the deadline of the request. A long handler looks at it.
func (t *Task) Context() context.Context { return t.ctx }

// Header returns the value of the request's first header with this key, or "".
func (t *Task) Header(key string) string {
	for _, header := range t.Headers {
		if header.Key == key {
			return header.Value
		}
	}
	return ""
}

// AddHeader adds a header to the reply, with the limits of WithHeaders. An error is ErrUsage, and the header is not
// added.
func (t *Task) AddHeader(key, value string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	with := append(t.reply[:len(t.reply):len(t.reply)], wire.Header{Key: key, Value: value})
	if err := wire.CheckHeaders(with); err != nil {
		return usage("%v", err)
	}
	t.reply = with
	return nil
}

// EndConversation has the conversation end with this reply. The client's next request begins it anew.
func (t *Task) EndConversation() {
	t.mu.Lock()
	t.last = true
	t.mu.Unlock()
}

// Worker offers one service to every broker of a list, or of SRV records, and registers again by itself when one was
// lost.
type Worker struct {
	config  *config
	service string
	handler Handler

	mu    sync.Mutex
	core  *core.Worker
	conns []*conn
	timer *time.Timer
	ran   bool
	// what the application is still to be told; one goroutine at a time tells it
	news    []func()
	telling bool
	over    chan struct{} // closed when nothing is left to serve

	handlers sync.WaitGroup
}

// NewWorker makes a worker for a comma-separated list of endpoints, as in NewClient: each is a broker of its own, and so
// is each SRV record that srv:NAME stands for. The records are looked up again every ten seconds, and when one of these
// brokers is lost; one that they name no more is left when it is lost. The worker connects when Run is called. An error
// is ErrUsage.
func NewWorker(endpoints, service string, handler Handler, options ...WorkerOption) (*Worker, error) {
	config, err := newConfig(endpoints, time.Second)
	if err != nil {
		return nil, err
	}
	if err := wire.CheckName(service); err != nil {
		return nil, usage("%v", err)
	}
	if handler == nil {
		return nil, usage("no handler")
	}
	for _, option := range options {
		if err := option.worker(config); err != nil {
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
	w := &Worker{config: config, service: service, handler: handler, over: make(chan struct{}),
		conns: make([]*conn, len(config.endpoints))}
	w.core = core.NewWorker(core.WorkerConfig{Endpoints: config.endpoints, Service: service, Name: config.name,
		Slots: config.slots, Heartbeat: config.heartbeat, Drain: config.drain, Streams: config.streams,
		Seed: seed})
	return w, nil
}

// Run serves until ctx is done, and then drains: it takes no new requests, but in conversations that it holds, and
// returns when these and the handlers have ended. Signs of life go on whatever the handlers do.
//
// nil: drained. ErrDrainLimit: DrainLimit passed first; the contexts of the tasks were cancelled, and handlers that had
// not returned a second later were left behind. An *Error that is ErrDenied or ErrInvalid: every broker refused the
// registration for good. ErrUsage: Run was called before.
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	if w.ran {
		w.unlock()
		return usage("a worker runs once; make another")
	}
	w.ran = true
	w.turn()
	w.unlock()

	select {
	case <-w.over:
	case <-ctx.Done():
		w.mu.Lock()
		w.core.Drain(clock())
		limit := time.NewTimer(w.config.drain + core.WorkerGrace)
		defer limit.Stop()
		w.turn()
		w.unlock()
		<-w.over
		if !w.handlersEnd(limit.C) {
			return fmt.Errorf("%w: handlers had not returned", ErrDrainLimit)
		}
	}

	w.mu.Lock()
	defer w.unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	_, refused, unanswered := w.core.Over()
	if refused != wire.OK {
		return &Error{Status: Status(refused), Service: w.service, Text: w.core.LastError()}
	}
	if unanswered > 0 {
		return fmt.Errorf("%w: %s", ErrDrainLimit, w.core.LastError())
	}
	return nil
}

// handlersEnd waits until every handler has returned. False: limit came first.
func (w *Worker) handlersEnd(limit <-chan time.Time) bool {
	done := make(chan struct{})
	go func() {
		w.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-limit:
		return false
	}
}

// turn does what is due, carries out what the core wants, and sets the timer. w.mu is held.
func (w *Worker) turn() {
	for {
		now := clock()
		next := w.core.Tick(now)
		orders := w.core.TakeOrders()
		for _, order := range orders {
			w.obey(order)
		}
		if len(orders) > 0 || next <= now {
			continue
		}
		if over, _, _ := w.core.Over(); over {
			w.end()
		} else if w.timer == nil {
			w.timer = time.AfterFunc(next-now, w.tick)
		} else {
			w.timer.Reset(next - now)
		}
		return
	}
}

// unlock lets others have the worker, and tells the application what has happened, in order, without the mutex: what it
// is told may use the worker.
func (w *Worker) unlock() {
	for !w.telling && len(w.news) > 0 {
		tell := w.news[0]
		w.news = w.news[1:]
		w.telling = true
		w.mu.Unlock()
		tell()
		w.mu.Lock()
		w.telling = false
	}
	w.mu.Unlock()
}

// SetReady says how many requests this worker can take from now on, up to its slots: 0 closes its window. No more
// requests come then, except those on their way; those of conversations wait at the broker. Until it is called, it is all
// slots. It may be called at any time, by handlers too.
func (w *Worker) SetReady(ready int) {
	if ready < 0 {
		ready = 0
	}
	w.mu.Lock()
	defer w.unlock()
	w.core.SetReady(uint32(ready), clock())
	if w.ran {
		w.turn()
	}
}

func (w *Worker) end() {
	select {
	case <-w.over:
	default:
		close(w.over)
	}
}

func (w *Worker) tick() {
	w.mu.Lock()
	defer w.unlock()
	w.turn()
}

func (w *Worker) obey(order core.WorkerOrder) {
	for len(w.conns) <= order.Session {
		w.conns = append(w.conns, nil)
	}
	to := w.conns[order.Session]
	switch order.Kind {
	case core.WorkerLookUp:
		w.conns[order.Session] = lookUpRecords(w, order.Endpoint)
	case core.WorkerOpen:
		w.conns[order.Session] = openConn(w, order.Endpoint, order.Lookup, w.config.security(order.Endpoint),
			w.config.keys.made)
	case core.WorkerClose:
		if to != nil {
			to.close()
			w.conns[order.Session] = nil
		}
	case core.WorkerSay:
		if to != nil {
			to.send(messageFrames(&order.Head, nil)...)
		}
	case core.WorkerStart:
		task := order.Work.Owner.(*Task)
		w.handlers.Add(1)
		go w.serve(task)
	case core.WorkerReturn:
		if w.core.Finish(order.Work, order.Head.Status == wire.AppError, clock()) && to != nil {
			to.send(messageFrames(&order.Head, nil)...)
		}
		order.Work.Owner.(*Task).cancel()
	case core.WorkerCancel:
		order.Work.Owner.(*Task).cancel()
	case core.WorkerEnded:
		if tell := w.config.conversationEnd; tell != nil {
			w.news = append(w.news, func() { tell(order.Conversation) })
		}
	case core.WorkerNotice:
		if tell := w.config.log; tell != nil {
			w.news = append(w.news, func() { tell(order.Text) })
		}
	}
}

// serve runs the handler, and sends what it returns: in a deferred call, which a handler that ends its goroutine
// (runtime.Goexit, and so testing.T.FailNow) does not escape.
func (w *Worker) serve(task *Task) {
	defer w.handlers.Done()
	head, body := wire.Head{Status: wire.AppError, Text: "the handler ended its goroutine"}, []byte(nil)
	defer func() { w.answer(task, head, body) }()
	head, body = w.handle(task)
}

// handle calls the handler, and makes a reply of what it returns. A panic becomes an error, because other requests run
// in this process; so does one of the Error method of what it returns.
func (w *Worker) handle(task *Task) (head wire.Head, body []byte) {
	returned := false
	defer func() {
		if value := recover(); value != nil || !returned { // before Go 1.21, panic (nil) is recovered as nil
			head, body = wire.Head{Status: wire.AppError, Text: oneLine(fmt.Sprintf("the handler panicked: %v", value))}, nil
		}
	}()
	body, err := w.handler(task)
	var app *AppError
	switch {
	case err == nil:
	case errors.As(err, &app) && app != nil:
		head.Status, head.Code, head.Text, body = wire.AppError, app.Code, oneLine(app.Text), app.Body
	case errors.Is(err, ErrRetry):
		head.Status, head.Text, body = wire.WorkerLost, oneLine(err.Error()), nil
	default:
		head.Status, head.Text, body = wire.AppError, oneLine(err.Error()), nil
	}
	returned = true
	return head, body
}

// answer gives a task back.
func (w *Worker) answer(task *Task, head wire.Head, body []byte) {
	head.Command, head.ID = wire.Reply, task.work.Token
	if head.Status != wire.WorkerLost {
		head.Headers = task.reply
		if task.last {
			head.Flags |= wire.Last
		}
		if task.trace {
			head.Headers = append(head.Headers, wire.Header{Key: "worker", Value: w.config.name})
			if wire.CheckHeaders(head.Headers) != nil {
				head.Headers = task.reply
			}
		}
	}

	w.mu.Lock()
	defer w.unlock()
	if head.Status == wire.OK && len(task.kept) > 0 {
		body = append(task.kept, body...)
	}
	if most := w.core.MaxBody(task.work.Session); most > 0 && uint64(len(body)) > most {
		head.Status, head.Code = wire.AppError, 0
		head.Text = fmt.Sprintf("the reply of %d bytes is over the broker's limit of %d", len(body), most)
		body = nil
	}
	if w.core.Finish(&task.work, head.Status != wire.WorkerLost, clock()) {
		if to := w.conns[task.work.Session]; to != nil {
			to.send(messageFrames(&head, body)...)
		}
	}
	task.cancel()
	w.turn()
}

// oneLine makes a text of an error fit for a head.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > wire.TextMax {
		text = text[:wire.TextMax]
		for len(text) > 0 {
			if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size != 1 {
				break
			}
			text = text[:len(text)-1]
		}
	}
	return text
}

func (w *Worker) sessionOf(c *conn) int {
	for i := range w.conns {
		if w.conns[i] == c {
			return i
		}
	}
	return -1
}

func (w *Worker) connFound(from *conn, endpoints []string) {
	w.mu.Lock()
	defer w.unlock()
	if i := w.sessionOf(from); i >= 0 {
		w.conns[i] = nil
		w.core.Found(i, endpoints, clock())
		w.turn()
	}
}

func (w *Worker) connConnected(from *conn) {
	w.mu.Lock()
	defer w.unlock()
	if i := w.sessionOf(from); i >= 0 {
		w.core.Connected(i, clock())
		w.turn()
	}
}

func (w *Worker) connFailed(from *conn, denied bool, reason string) {
	w.mu.Lock()
	defer w.unlock()
	if i := w.sessionOf(from); i >= 0 {
		w.core.Failed(i, denied, reason, clock())
		w.turn()
	}
}

func (w *Worker) connReceived(from *conn, frames [][]byte) {
	w.mu.Lock()
	defer w.unlock()
	i := w.sessionOf(from)
	if i < 0 {
		return
	}
	eachMessage(frames, func(head *wire.Head, body []byte) {
		if w.conns[i] != from {
			return // the message before ended the session
		}
		if core.Bundles(head) {
			from.allowBundles()
		}
		switch head.Command {
		case wire.Request:
			w.take(i, head, body)
		case wire.Part, wire.Grant:
			w.flow(i, head, body)
		default:
			w.core.Message(i, head, clock())
		}
		for _, order := range w.core.TakeOrders() {
			w.obey(order)
		}
	}, func() { w.core.Ignored++ })
	w.turn()
}

// take makes a task of a REQUEST.
func (w *Worker) take(session int, head *wire.Head, body []byte) {
	task := &Task{Service: w.service, Body: body, Attempt: int(head.Attempt), Attempts: int(head.Attempts),
		Streams: head.Flags&wire.Stream != 0, More: head.Flags&wire.More != 0,
		trace: head.Flags&wire.Trace != 0, worker: w, came: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	for _, header := range head.Headers {
		task.Headers = append(task.Headers, Header(header))
	}
	task.Key = task.Header("idempotency-key")
	task.Durable = task.Header("durable") == "1"
	task.work.Owner = task
	task.ctx, task.cancel = context.WithTimeout(context.Background(), time.Duration(head.Time)*time.Millisecond)
	if !w.core.Request(session, head, &task.work, clock()) {
		task.cancel()
		return
	}
	task.Conversation = task.work.Conversation
}
