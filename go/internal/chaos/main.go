// SPDX-License-Identifier: MPL-2.0

// Load and workers of the chaos run in Go: "chaos load" and "chaos worker" take the options of tests/chaos/load.c and
// tests/chaos/worker.c, do the same, and write the same histories; only this load has no idempotency keys.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	riposte "github.com/riposte-broker/riposte/go"
)

var (
	server    = flag.String("server", "", "endpoints")
	name      = flag.String("name", "", "of this process")
	service   = flag.String("service", "", "of a worker")
	history   = flag.String("history", "", "the file of the history")
	keyFile   = flag.String("key-file", os.Getenv("RIPOSTE_KEY_FILE"), "")
	serverKey = flag.String("server-key", os.Getenv("RIPOSTE_SERVER_KEY"), "")
	clients   = flag.Int("clients", 4, "")
	seconds   = flag.Int("seconds", 10, "")
	rate      = flag.Int("rate", 25, "requests a second of each client")
	seed      = flag.Int64("seed", 1, "")
	slots     = flag.Int("slots", 4, "")
	threads   = flag.Int("threads", 4, "not used: every slot has a goroutine")
	heartbeat = flag.Int("heartbeat", 500, "ms")
	file      *os.File
)

func die(what string, err error) {
	fmt.Fprintf(os.Stderr, "chaos: %s: %v\n", what, err)
	os.Exit(2)
}

// now is CLOCK_MONOTONIC in µs, which the histories of all processes share; Go shows only differences of it.
func now() int64 {
	var at syscall.Timespec
	_, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&at)), 0)
	if err != 0 {
		die("no clock", err)
	}
	return at.Sec*1000000 + at.Nsec/1000
}

// write adds a line to the history, with one write, so that a kill loses no line that was begun.
func write(party, event, format string, args ...interface{}) {
	line := fmt.Sprintf("%d\t%s\t%s", now(), party, event)
	if format != "" {
		line += "\t" + fmt.Sprintf(format, args...)
	}
	if _, err := file.WriteString(line + "\n"); err != nil {
		die("history", err)
	}
}

func security() []riposte.Option {
	options := []riposte.Option{riposte.Heartbeat(time.Duration(*heartbeat) * time.Millisecond)}
	if *keyFile != "" {
		options = append(options, riposte.KeyFile(*keyFile))
	}
	if *serverKey != "" {
		options = append(options, riposte.ServerKey(*serverKey))
	}
	return options
}

// ---- Load --------------------------------------------------------------------------------------------

// kind is a kind of request: its share, and what is in it. Times are drawn from a range.
type kind struct {
	weight        int
	service, what string
	work          [2]int // µs
	size          int
	timeout       [2]int // ms
	attempts      int
	cancelled     bool
}

var kinds = []kind{
	{28, "echo", "reply", [2]int{0, 2000}, 60, [2]int{3000, 5000}, 1, false},
	{20, "echo", "reply", [2]int{0, 5000}, 300, [2]int{3000, 6000}, 3, false},
	{4, "echo", "reply", [2]int{50000, 400000}, 60, [2]int{2000, 4000}, 1, false},
	{4, "echo", "reply", [2]int{50000, 400000}, 60, [2]int{3000, 5000}, 3, false},
	{5, "echo", "reply", [2]int{0, 5000}, 100 * 1024, [2]int{3000, 6000}, 3, false},
	{8, "echo", "reply", [2]int{10000, 200000}, 60, [2]int{2000, 4000}, 3, true},
	{4, "echo", "reply", [2]int{10000, 60000}, 60, [2]int{10, 60}, 1, false},
	{2, "echo", "fail", [2]int{0, 2000}, 60, [2]int{3000, 5000}, 1, false},
	{2, "echo", "abandon", [2]int{0, 2000}, 60, [2]int{3000, 5000}, 3, false},
	{1, "nobody", "reply", [2]int{0, 0}, 60, [2]int{500, 1000}, 1, false},
	{10, "mdp", "reply", [2]int{0, 5000}, 200, [2]int{3000, 6000}, 3, false},
	{12, "visit", "reply", [2]int{0, 5000}, 80, [2]int{3000, 5000}, 1, false},
}

const (
	openMax  = 24
	visitMax = 2
)

// visit is a conversation, whose requests one goroutine makes.
type visit struct {
	name  string
	talk  *riposte.Conversation
	count int // the worker's count in the last OK; 0: not known
}

type loader struct {
	party, label string
	client       *riposte.Client
	random       *rand.Rand
	sent, begun  int
	open         chan struct{}
	visits       chan struct{}
	done         sync.WaitGroup

	mu       sync.Mutex
	statuses map[string]int
	wrong    int
}

func (l *loader) between(ends [2]int) int { return ends[0] + l.random.Intn(ends[1]-ends[0]+1) }

func (l *loader) drawKind() *kind {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := l.random.Intn(total)
	for i := range kinds {
		if at -= kinds[i].weight; at < 0 {
			return &kinds[i]
		}
	}
	return &kinds[0]
}

// job is one request, drawn by the loader's own goroutine.
type job struct {
	kind    *kind
	request string
	body    []byte
	timeout time.Duration
	wait    bool
	cancel  time.Duration
}

func (l *loader) draw(k *kind) *job {
	j := &job{kind: k, request: fmt.Sprintf("%s-%d", l.label, l.sent)}
	l.sent++
	j.body = []byte(fmt.Sprintf("%s %d %s ", j.request, l.between(k.work), k.what))
	if pad := k.size - len(j.body); pad > 0 {
		j.body = append(j.body, strings.Repeat(".", pad)...)
	}
	j.timeout = time.Duration(l.between(k.timeout)) * time.Millisecond
	j.wait = k.attempts > 1 && l.random.Intn(2) == 0
	j.cancel = time.Duration(l.random.Intn(120000)) * time.Microsecond
	return j
}

// perform makes the request, and says whether it ended with OK.
func (l *loader) perform(j *job, v *visit, seq int) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	options := []riposte.CallOption{riposte.WithTimeout(j.timeout), riposte.WithAttempts(j.kind.attempts),
		riposte.WithHeaders(riposte.Header{Key: "request-id", Value: j.request})}
	conversation := "-"
	if v != nil {
		conversation = v.name
		options = append(options, riposte.WithHeaders(riposte.Header{Key: "conversation", Value: v.name},
			riposte.Header{Key: "seq", Value: fmt.Sprint(seq)}))
	}
	if j.wait {
		options = append(options, riposte.WithWorkerWait(2*time.Second))
	}
	write(l.party, "submit", "req=%s\tservice=%s\tdeadline=%d\tattempts=%d\tconv=%s\tseq=%d", j.request, j.kind.service,
		now()+j.timeout.Microseconds(), j.kind.attempts, conversation, seq)
	if j.kind.cancelled {
		timer := time.AfterFunc(j.cancel, func() {
			write(l.party, "cancel", "req=%s", j.request)
			cancel()
		})
		defer timer.Stop()
	}
	var reply *riposte.Reply
	var err error
	if v != nil {
		reply, err = v.talk.Call(ctx, j.body, options...)
	} else {
		reply, err = l.client.Call(ctx, j.kind.service, j.body, options...)
	}
	l.ended(j, v, reply, err)
	return err == nil
}

func (l *loader) ended(j *job, v *visit, reply *riposte.Reply, err error) {
	status, made, text, body := "OK", 0, "", "-"
	var failure *riposte.Error
	if errors.As(err, &failure) {
		status, made, text = failure.Status.String(), failure.Attempts, failure.Text
	} else if err != nil {
		die("a request was not taken", err)
	}
	if reply != nil {
		made = reply.Attempts
		if len(reply.Body) > 0 {
			body = fmt.Sprintf("%08x", crc32.ChecksumIEEE(reply.Body))
		}
	}
	write(l.party, "final", "req=%s\tstatus=%s\tmade=%d\tbody=%s\ttext=%.300s", j.request, status, made, body, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statuses[status]++
	if err == nil && !isRight(j, v, reply) {
		l.wrong++
		fmt.Fprintf(os.Stderr, "chaos load: not the reply to %s: %.200s\n", j.request, reply.Body)
	} else if err != nil && v != nil {
		v.count = 0
	}
}

// isRight is false if the reply is not to this request, or shows another conversation's state.
func isRight(j *job, v *visit, reply *riposte.Reply) bool {
	var request, task, conversation string
	var count int
	var crc uint32
	if n, _ := fmt.Sscanf(string(reply.Body), "%s %s %s %d %x", &request, &task, &conversation, &count, &crc); n != 5 ||
		request != j.request || crc != crc32.ChecksumIEEE(j.body) {
		return false
	}
	if v == nil {
		return conversation == "-"
	}
	follows := v.count == 0 || count == v.count+1
	v.count = count
	return follows && conversation == v.name
}

// visitSome makes the requests of one conversation. The contract covers what follows a failure too, so half go on.
func (l *loader) visitSome(v *visit, jobs []*job, goOn bool) {
	defer l.done.Done()
	defer func() { <-l.visits }()
	defer v.talk.End()
	for seq, j := range jobs {
		if !l.perform(j, v, seq) && !goOn {
			return
		}
	}
}

func (l *loader) step() {
	k := l.drawKind()
	if k.service == "visit" {
		select {
		case l.visits <- struct{}{}:
		default:
			return
		}
		var jobs []*job
		for count := 2 + l.random.Intn(8); count > 0; count-- {
			jobs = append(jobs, l.draw(k))
		}
		v := &visit{name: fmt.Sprintf("%s-v%d", l.label, l.begun), talk: l.client.Conversation("visit")}
		l.begun++
		l.done.Add(1)
		go l.visitSome(v, jobs, l.random.Intn(2) == 0)
		return
	}
	select {
	case l.open <- struct{}{}:
	default:
		return
	}
	j := l.draw(k)
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		l.perform(j, nil, 0)
		<-l.open
	}()
}

func (l *loader) run(ctx context.Context) {
	options := []riposte.ClientOption{riposte.Name(l.label)}
	for _, option := range security() {
		options = append(options, option)
	}
	var err error
	if l.client, err = riposte.NewClient(*server, options...); err != nil {
		die("no client", err)
	}
	mean := 1000000 / *rate
	for ctx.Err() == nil {
		l.step()
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(l.random.Intn(2*mean+1)) * time.Microsecond):
		}
	}
	l.done.Wait()
	l.client.Close()
	write(l.party, "end", "")
}

func runLoad() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*seconds)*time.Second)
	defer cancel()
	sums := map[string]int{}
	wrong := 0
	var all sync.WaitGroup
	loaders := make([]*loader, *clients)
	for number := range loaders {
		label := fmt.Sprintf("%s-%d", *name, number)
		loaders[number] = &loader{party: "client:" + label, label: label, statuses: map[string]int{},
			random: rand.New(rand.NewSource(*seed<<32 + int64(number))), open: make(chan struct{}, openMax),
			visits: make(chan struct{}, visitMax)}
		all.Add(1)
		go func(l *loader) {
			defer all.Done()
			l.run(ctx)
		}(loaders[number])
	}
	all.Wait()
	for _, l := range loaders {
		wrong += l.wrong
		for status, count := range l.statuses {
			sums[status] += count
		}
	}
	line, err := json.Marshal(map[string]interface{}{"wrong": wrong, "statuses": sums})
	if err != nil {
		die("report", err)
	}
	fmt.Println(string(line))
	if wrong > 0 {
		os.Exit(1)
	}
}

// ---- Worker ------------------------------------------------------------------------------------------

type host struct {
	party string
	tasks int64

	mu     sync.Mutex
	visits map[uint64]*held
}

// held is a conversation: the name that its first request stated, and how many it has had.
type held struct {
	name  string
	count int
}

func (h *host) forget(conversation uint64) {
	h.mu.Lock()
	delete(h.visits, conversation)
	h.mu.Unlock()
}

func (h *host) count(task *riposte.Task, stated string) (string, int) {
	if task.Conversation == 0 {
		return stated, 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.visits[task.Conversation]
	if g == nil {
		g = &held{name: stated}
		h.visits[task.Conversation] = g
	}
	g.count++
	return g.name, g.count
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (h *host) serve(task *riposte.Task) ([]byte, error) {
	var word, what string
	var work int
	if n, _ := fmt.Sscanf(string(task.Body), "%s %d %s", &word, &work, &what); n != 3 {
		die("a body of no meaning", errors.New(string(task.Body[:60])))
	}
	request := task.Header("request-id")
	if request == "" {
		request = word
	}
	// All requests with one idempotency key have one body, which begins with it.
	if task.Key != "" && !strings.HasPrefix(word, task.Key) || task.Key == "" && request != word {
		die("another header", errors.New(request+" with the body of "+word))
	}
	stated := orDash(task.Header("conversation"))
	name := fmt.Sprintf("%s/%d", *name, atomic.AddInt64(&h.tasks, 1))
	write(h.party, "start", "req=%s\tattempt=%d\tconv=%s\tseq=%s\ttask=%s", request, task.Attempt, stated,
		orDash(task.Header("seq")), name)
	conversation, count := h.count(task, stated)
	awaited := true
	select {
	case <-time.After(time.Duration(work) * time.Microsecond):
	case <-task.Context().Done():
		awaited = false
	}
	if awaited && what == "abandon" && task.Attempt == 1 {
		return nil, fmt.Errorf("as it was told: %w", riposte.ErrRetry)
	}
	body := fmt.Sprintf("%s %s %s %d %08x", word, name, conversation, count, crc32.ChecksumIEEE(task.Body))
	status := "OK"
	if !awaited {
		write(h.party, "cancelled", "req=%s\ttask=%s", request, name)
	}
	if !awaited || what == "fail" {
		status = "APP_ERROR"
	}
	write(h.party, "reply", "req=%s\ttask=%s\tstatus=%s\tbody=%08x", request, name, status,
		crc32.ChecksumIEEE([]byte(body)))
	if status != "OK" {
		return nil, &riposte.AppError{Code: 7, Text: "as it was told", Body: []byte(body)}
	}
	return []byte(body), nil
}

func runWorker() {
	h := &host{party: "worker:" + *name, visits: map[uint64]*held{}}
	options := []riposte.WorkerOption{riposte.Name(*name), riposte.Slots(*slots), riposte.OnConversationEnd(h.forget),
		riposte.Log(func(line string) { fmt.Fprintln(os.Stderr, now(), line) })}
	for _, option := range security() {
		options = append(options, option)
	}
	worker, err := riposte.NewWorker(*server, *service, h.serve, options...)
	if err != nil {
		die("no worker", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := worker.Run(ctx); err != nil {
		die("the worker ended", err)
	}
}

func main() {
	if len(os.Args) < 2 {
		die("use", errors.New("chaos load|worker OPTIONS"))
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		die("use", err)
	}
	var err error
	if file, err = os.OpenFile(*history, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err != nil {
		die("history", err)
	}
	if os.Args[1] == "load" {
		runLoad()
	} else {
		runWorker()
	}
}
