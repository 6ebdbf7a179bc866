// SPDX-License-Identifier: MPL-2.0

// The driver of the language matrix for Go: a client or a worker that speaks JSON, as tests/languages/README.md says.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	riposte "github.com/riposte-broker/riposte/go"
)

var output sync.Mutex

// say writes one line.
func say(line interface{}) {
	text, err := json.Marshal(line)
	if err != nil {
		fatal(err)
	}
	output.Lock()
	defer output.Unlock()
	if _, err := os.Stdout.Write(append(text, '\n')); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "driver:", err)
	os.Exit(1)
}

// command is one line of a test; what it lacks has the library's default.
type command struct {
	N            int         `json:"n"`
	Do           string      `json:"do"`
	Service      string      `json:"service"`
	Body         []byte      `json:"body"`
	Timeout      *int64      `json:"timeout_ms"`
	Attempts     *int        `json:"attempts"`
	Priority     *int        `json:"priority"`
	Hedge        *int64      `json:"hedge_ms"`
	WorkerWait   *int64      `json:"wait_worker_ms"`
	Headers      [][2]string `json:"headers"`
	Conversation string      `json:"conversation"`
	Of           int         `json:"of"`
	Key          string      `json:"key"`
	Delay        *int64      `json:"delay_ms"`
	Job          string      `json:"job"`
	Wait         int64       `json:"wait_ms"`
	Idle         int64       `json:"idle_timeout_ms"`
	Window       int         `json:"window"`
	More         [][]byte    `json:"more"`
	Open         bool        `json:"open"`
	First        int         `json:"first"`
	Quorum       int         `json:"quorum"`
}

// answer is what a command drew.
type answer struct {
	N          int         `json:"n"`
	Status     string      `json:"status"`
	ID         uint64      `json:"id,omitempty"`
	Attempt    int         `json:"attempt"`
	MayHaveRun bool        `json:"may_have_run"`
	Code       uint32      `json:"code,omitempty"`
	Text       string      `json:"text,omitempty"`
	Body       []byte      `json:"body,omitempty"`
	Headers    [][2]string `json:"headers,omitempty"`
	Job        string      `json:"job,omitempty"`
	Replayed   bool        `json:"replayed"`
	Parts      int         `json:"parts,omitempty"`
	// Answers are worker, status and body of each.
	Answers [][3]interface{} `json:"answers,omitempty"`
	Summary string           `json:"summary,omitempty"`
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func (c *command) options() []riposte.CallOption {
	var options []riposte.CallOption
	if c.Timeout != nil {
		options = append(options, riposte.WithTimeout(milliseconds(*c.Timeout)))
	}
	if c.Attempts != nil {
		options = append(options, riposte.WithAttempts(*c.Attempts))
	}
	if c.Priority != nil {
		options = append(options, riposte.WithPriority(*c.Priority))
	}
	if c.Hedge != nil {
		options = append(options, riposte.WithHedge(milliseconds(*c.Hedge)))
	}
	if c.WorkerWait != nil {
		options = append(options, riposte.WithWorkerWait(milliseconds(*c.WorkerWait)))
	}
	if c.Key != "" {
		options = append(options, riposte.WithKey(c.Key))
	}
	if c.Delay != nil {
		options = append(options, riposte.WithDelay(milliseconds(*c.Delay)))
	}
	for _, header := range c.Headers {
		options = append(options, riposte.WithHeaders(riposte.Header{Key: header[0], Value: header[1]}))
	}
	return options
}

// final makes an answer of what a call returned.
func final(number int, reply *riposte.Reply, err error) answer {
	a := answer{N: number, Status: "OK", MayHaveRun: true}
	if reply != nil {
		a.ID, a.Attempt, a.Body, a.Replayed = reply.ID, reply.Attempts, reply.Body, reply.Replayed
		for _, header := range reply.Headers {
			a.Headers = append(a.Headers, [2]string{header.Key, header.Value})
		}
	}
	var failure *riposte.Error
	switch {
	case err == nil:
	case errors.Is(err, riposte.ErrNotDone):
		a.Status = "NOT_DONE"
	case errors.As(err, &failure):
		a.Status, a.ID, a.Attempt = failure.Status.String(), failure.ID, failure.Attempts
		a.MayHaveRun, a.Code, a.Text = failure.MayHaveRun, failure.Code, failure.Text
	default:
		a.Status, a.Text = "USAGE", err.Error()
	}
	return a
}

// talk is a conversation; its calls are made one after the other.
type talk struct {
	conversation *riposte.Conversation
	calls        chan func()
}

// driver is a client.
type driver struct {
	client  *riposte.Client
	talks   map[string]*talk
	cancels map[int]context.CancelFunc
	open    sync.WaitGroup
}

func (d *driver) call(c *command) {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancels[c.N] = cancel
	d.open.Add(1)
	if c.Conversation == "" {
		go func() {
			defer d.open.Done()
			reply, err := d.client.Call(ctx, c.Service, c.Body, c.options()...)
			say(final(c.N, reply, err))
		}()
		return
	}
	t := d.talks[c.Conversation]
	if t == nil {
		t = &talk{d.client.Conversation(c.Service), make(chan func(), 1024)}
		d.talks[c.Conversation] = t
		go func() {
			for call := range t.calls {
				call()
			}
		}()
	}
	t.calls <- func() {
		defer d.open.Done()
		reply, err := t.conversation.Call(ctx, c.Body, c.options()...)
		say(final(c.N, reply, err))
	}
}

func (d *driver) send(c *command) {
	defer d.open.Done()
	job, err := d.client.Send(context.Background(), c.Service, c.Body, c.options()...)
	a := final(c.N, nil, err)
	if err == nil {
		a.Job, a.Replayed = strconv.FormatUint(job.ID, 10), job.Replayed
	}
	say(a)
}

// stream answers with the parts, joined, and how it ended.
func (d *driver) stream(c *command) {
	defer d.open.Done()
	options := c.options()
	if c.Idle > 0 {
		options = append(options, riposte.WithIdleTimeout(milliseconds(c.Idle)))
	}
	if c.Window > 0 {
		options = append(options, riposte.WithWindow(c.Window))
	}
	if c.More != nil {
		options = append(options, riposte.WithMore())
	}
	stream, err := d.client.Stream(context.Background(), c.Service, c.Body, options...)
	if err != nil {
		fatal(err)
	}
	if c.More != nil {
		go write(stream, c)
	}
	var joined []byte
	parts := 0
	for {
		part, err := stream.Recv()
		if err != nil && err != io.EOF {
			a := final(c.N, nil, err)
			a.Body, a.Parts = joined, parts
			say(a)
			return
		}
		if err != nil {
			say(answer{N: c.N, Status: "OK", Body: joined, Parts: parts})
			return
		}
		joined = append(joined, part...)
		parts++
	}
}

// all answers with the answers of all workers, and how it ended.
func (d *driver) all(c *command) {
	defer d.open.Done()
	options := c.options()
	if c.First > 0 {
		options = append(options, riposte.WithFirst(c.First))
	}
	if c.Quorum > 0 {
		options = append(options, riposte.WithQuorum(c.Quorum))
	}
	answers, err := d.client.CallAll(context.Background(), c.Service, c.Body, options...)
	if err != nil {
		fatal(err)
	}
	var came [][3]interface{}
	for {
		one, err := answers.Recv()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			a := final(c.N, nil, err)
			a.Answers = came
			if reply := answers.Reply(); reply != nil {
				a.Summary = reply.Header("all-statuses")
			}
			say(a)
			return
		}
		a := final(0, one.Reply, one.Err)
		came = append(came, [3]interface{}{one.Worker, a.Status, a.Body})
	}
}

// write sends the rest of a stream's body. What goes wrong shows in how the stream ends.
func write(stream *riposte.Stream, c *command) {
	for _, part := range c.More {
		if _, err := stream.Write(part); err != nil {
			return
		}
	}
	if !c.Open {
		_ = stream.CloseWrite()
	}
}

func (d *driver) result(c *command) {
	defer d.open.Done()
	number, err := strconv.ParseUint(c.Job, 10, 64)
	if err != nil {
		fatal(err)
	}
	reply, err := d.client.Result(context.Background(), number, milliseconds(c.Wait))
	say(final(c.N, reply, err))
}

func security() []riposte.Option {
	var options []riposte.Option
	if path := os.Getenv("RIPOSTE_KEY_FILE"); path != "" {
		options = append(options, riposte.KeyFile(path))
	}
	if key := os.Getenv("RIPOSTE_SERVER_KEY"); key != "" {
		options = append(options, riposte.ServerKey(key))
	}
	return options
}

func runClient(servers string) {
	var options []riposte.ClientOption
	for _, option := range security() {
		options = append(options, option)
	}
	client, err := riposte.NewClient(servers, options...)
	if err != nil {
		fatal(err)
	}
	d := &driver{client: client, talks: map[string]*talk{}, cancels: map[int]context.CancelFunc{}}
	say(map[string]bool{"ready": true})
	closing := 0
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for closing == 0 {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		c := &command{}
		if err := json.Unmarshal(line, c); err != nil {
			fatal(err)
		}
		switch c.Do {
		case "call":
			d.call(c)
		case "cancel":
			d.cancels[c.Of]()
			say(answer{N: c.N, Status: "OK"})
		case "end":
			if t := d.talks[c.Conversation]; t != nil {
				t.conversation.End()
				close(t.calls)
				delete(d.talks, c.Conversation)
			}
			say(answer{N: c.N, Status: "OK"})
		case "send":
			d.open.Add(1)
			go d.send(c)
		case "stream":
			d.open.Add(1)
			go d.stream(c)
		case "all":
			d.open.Add(1)
			go d.all(c)
		case "result":
			d.open.Add(1)
			go d.result(c)
		case "close":
			closing = c.N
		default:
			fatal(fmt.Errorf("an unknown command, %q", c.Do))
		}
	}
	client.Close()
	d.open.Wait()
	if closing != 0 {
		say(answer{N: closing, Status: "OK"})
	}
}

// visits counts for the handler site, by conversation.
type visits struct {
	sync.Mutex
	of map[uint64]int
}

func (v *visits) ended(conversation uint64) {
	v.Lock()
	delete(v.of, conversation)
	v.Unlock()
}

func (v *visits) serve(task *riposte.Task) ([]byte, error) {
	switch {
	case task.Conversation == 0:
		return []byte("400 no conversation"), nil
	case string(task.Body) == "BYE":
		task.EndConversation()
		return []byte("200 bye"), nil
	}
	v.Lock()
	defer v.Unlock()
	v.of[task.Conversation]++
	path := strings.TrimPrefix(string(task.Body), "GET ")
	return []byte(fmt.Sprintf("200 %s visit %d of %d", path, v.of[task.Conversation], os.Getpid())), nil
}

func sleep(task *riposte.Task) ([]byte, error) {
	ms, err := strconv.ParseInt(string(task.Body), 10, 64)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(milliseconds(ms)):
		return append([]byte("slept "), task.Body...), nil
	case <-task.Context().Done():
		say(map[string]string{"event": "cancelled"})
		return nil, task.Context().Err()
	}
}

// parts answers each part of the body with one.
func parts(task *riposte.Task) ([]byte, error) {
	for part, err := task.Body, error(nil); ; part, err = task.Recv() {
		if err == nil {
			_, err = task.Write(bytes.ToUpper(part))
		}
		switch {
		case err == io.EOF:
			return nil, nil
		case err != nil:
			say(map[string]string{"event": "cancelled"})
			return nil, err
		}
	}
}

func handler(name string, v *visits) riposte.Handler {
	switch name {
	case "parts":
		return parts
	case "echo":
		return func(task *riposte.Task) ([]byte, error) {
			for _, header := range task.Headers {
				if err := task.AddHeader(header.Key, header.Value); err != nil {
					return nil, err
				}
			}
			return task.Body, nil
		}
	case "upper":
		return func(task *riposte.Task) ([]byte, error) { return bytes.ToUpper(task.Body), nil }
	case "sleep":
		return sleep
	case "fail":
		return func(task *riposte.Task) ([]byte, error) {
			return nil, &riposte.AppError{Code: 7, Text: string(task.Body)}
		}
	case "site":
		return v.serve
	case "retry":
		return func(task *riposte.Task) ([]byte, error) {
			if task.Attempt <= 2 {
				return nil, fmt.Errorf("not yet: %w", riposte.ErrRetry)
			}
			return []byte(fmt.Sprintf("done at attempt %d", task.Attempt)), nil
		}
	}
	fatal(fmt.Errorf("an unknown handler, %q", name))
	return nil
}

func runWorker(servers, service, name string, slots int) {
	v := &visits{of: map[uint64]int{}}
	handle := handler(name, v)
	options := []riposte.WorkerOption{riposte.Slots(slots), riposte.OnConversationEnd(v.ended),
		riposte.Log(func(line string) { fmt.Fprintln(os.Stderr, line) })}
	if name == "parts" {
		options = append(options, riposte.Streams())
	}
	for _, option := range security() {
		options = append(options, option)
	}
	worker, err := riposte.NewWorker(servers, service, func(task *riposte.Task) ([]byte, error) {
		say(struct {
			Event        string `json:"event"`
			Body         []byte `json:"body"`
			Attempt      int    `json:"attempt"`
			Conversation uint64 `json:"conversation"`
			Key          string `json:"key"`
			Durable      bool   `json:"durable"`
		}{"start", task.Body, task.Attempt, task.Conversation, task.Key, task.Durable})
		return handle(task)
	}, options...)
	if err != nil {
		fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch err := worker.Run(ctx); {
	case errors.Is(err, riposte.ErrDenied):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(6)
	case err != nil:
		fatal(err)
	}
}

func main() {
	arguments := append(os.Args[1:], "")
	switch {
	case arguments[0] == "client" && len(os.Args) == 3:
		runClient(arguments[1])
	case arguments[0] == "worker" && (len(os.Args) == 5 || len(os.Args) == 6):
		slots := 1
		if len(os.Args) == 6 {
			var err error
			if slots, err = strconv.Atoi(os.Args[5]); err != nil {
				fatal(err)
			}
		}
		runWorker(arguments[1], arguments[2], arguments[3], slots)
	default:
		fatal(errors.New("use: driver client ENDPOINTS, or driver worker ENDPOINTS SERVICE HANDLER [SLOTS]"))
	}
}
