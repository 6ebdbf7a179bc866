// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
)

func TestWrongArgumentsAreRefusedWithWhatWouldBeRight(t *testing.T) {
	handler := func(*Task) ([]byte, error) { return nil, nil }
	for name, do := range map[string]func() error{
		"no scheme":      func() error { _, err := NewClient("127.0.0.1:5555"); return err },
		"no port":        func() error { _, err := NewClient("tcp://127.0.0.1"); return err },
		"no number":      func() error { _, err := NewClient("tcp://127.0.0.1:x y"); return err },
		"an empty place": func() error { _, err := NewClient("tcp://127.0.0.1:1,"); return err },
		"no path":        func() error { _, err := NewClient("ipc://"); return err },
		"name":           func() error { _, err := NewClient("ipc://a", Name(strings.Repeat("n", 64))); return err },
		"heartbeat":      func() error { _, err := NewClient("ipc://a", Heartbeat(time.Millisecond)); return err },
		"attempts":       func() error { _, err := NewClient("ipc://a", DefaultAttempts(11)); return err },
		"256 more":       func() error { _, err := NewClient("ipc://a", DefaultAttempts(257)); return err },
		"open":           func() error { _, err := NewClient("ipc://a", MaxOpen(0)); return err },
		"budget":         func() error { _, err := NewClient("ipc://a", RetryBudget(-1)); return err },
		"key file":       func() error { _, err := NewClient("ipc://a", KeyFile("/nowhere")); return err },
		"server key":     func() error { _, err := NewClient("ipc://a", ServerKey("abc")); return err },
		"no record":      func() error { _, err := NewClient("srv:a b"); return err },
		"service":        func() error { _, err := NewWorker("ipc://a", "", handler); return err },
		"handler":        func() error { _, err := NewWorker("ipc://a", "a", nil); return err },
		"slots":          func() error { _, err := NewWorker("ipc://a", "a", handler, Slots(4097)); return err },
		"drain":          func() error { _, err := NewWorker("ipc://a", "a", handler, DrainLimit(-1)); return err },
	} {
		if err := do(); !errors.Is(err, ErrUsage) || len(err.Error()) < len(ErrUsage.Error())+10 {
			t.Errorf("%s: %v", name, err)
		}
	}
	client, err := NewClient("tcp://127.0.0.1:1,tcp://[::1]:1,ipc:///run/riposte,tcp://broker:5555,srv:_riposte._tcp.a")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, option := range map[string]CallOption{
		"priority": WithPriority(10), "none": WithPriority(-1),
		"hedge": WithHedge(0), "percentile": WithHedgePercentile(100), "low": WithHedgePercentile(0.0001),
		"timeout": WithTimeout(0), "deadline": WithDeadline(time.Now().Add(-time.Second)), "attempts": WithAttempts(0),
		"wait": WithWorkerWait(25 * time.Hour), "header": WithHeaders(Header{"UPPER", ""}), "key": WithKey(""),
		"keyed": WithKey("a\n"), "delay": WithDelay(-1), "keep": WithKeep(367 * 24 * time.Hour), "window": WithWindow(64), "no stream": WithWindow(1000),
		"more": WithMore(), "first": WithFirst(1), "quorum": WithQuorum(1),
		"silence": WithIdleTimeout(-1),
		"backoff": WithBackoff(time.Hour), "attempt": WithAttemptTimeout(0), "instant": WithNotBefore(time.Time{}),
	} {
		if _, err := client.Call(context.Background(), "upper", nil, option); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.Call(context.Background(), "a\n", nil); !errors.Is(err, ErrUsage) {
		t.Errorf("a service name: %v", err)
	}
	if client.Open() != 0 {
		t.Error("a request is open")
	}
}

func TestAStreamHasNeitherKeyNorHedgeAndIsWrittenOnlyWithMore(t *testing.T) {
	client, err := NewClient("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	for name, options := range map[string][]CallOption{
		"key": {WithKey("a")}, "hedge": {WithHedge(time.Second), WithAttempts(2)},
	} {
		if _, err := client.Stream(ctx, "upper", nil, options...); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole, err := client.Stream(ctx, "upper", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Write([]byte("more")); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
	if err := whole.CloseWrite(); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
	more, err := client.Stream(ctx, "upper", nil, WithMore())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := more.Write([]byte("more")); err == nil {
		t.Error("it wrote without a broker")
	}
	if _, err := more.Recv(); !errors.Is(err, ErrCancelled) {
		t.Error(err)
	}
	if _, err := more.Write([]byte("more")); err != io.ErrClosedPipe {
		t.Error(err)
	}
	client.Close()
}

func TestARequestForAllWorkersHasOneGoalAndNeitherKeyNorHedgeNorStream(t *testing.T) {
	client, err := NewClient("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	for name, options := range map[string][]CallOption{
		"key": {WithKey("a")}, "hedge": {WithHedge(time.Second), WithAttempts(2)}, "more": {WithMore()}, "window": {WithWindow(1000)},
		"first": {WithFirst(0)}, "quorum": {WithQuorum(65536)}, "both": {WithFirst(1), WithQuorum(1)},
	} {
		if _, err := client.CallAll(ctx, "upper", nil, options...); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	answers, err := client.CallAll(ctx, "upper", nil, WithFirst(2), WithPriority(9))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range [2]int{} {
		if _, err := answers.Recv(); !errors.Is(err, ErrCancelled) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if answers.Reply() != nil {
		t.Error("a summary without a broker")
	}
}

func TestABodyIsTheCallersAgainWhenTheFunctionReturns(t *testing.T) {
	client, err := NewClient("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	body := []byte("a")
	answers, err := client.CallAll(context.Background(), "upper", body)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.Stream(context.Background(), "upper", body)
	if err != nil {
		t.Fatal(err)
	}
	body[0] = 'b'
	if string(answers.call.body) != "a" || string(stream.call.body) != "a" {
		t.Error("it is not copied")
	}
}

func TestAnAnswerHasItsWorkerAndIsAReplyOrAnErrorOrBoth(t *testing.T) {
	k := &call{service: "upper", came: make(chan struct{}, 1)}
	for status, want := range map[wire.Status]string{
		wire.OK: "w1 true <nil>", wire.AppError: "w1 true riposte: upper: APP_ERROR: ",
		wire.WorkerLost: "w1 false riposte: upper: WORKER_LOST: ",
	} {
		k.answers = nil
		k.answer(&wire.Head{Status: status, Headers: []wire.Header{{Key: "worker", Value: "w1"}}}, []byte("body"))
		a := k.answers[0]
		if got := fmt.Sprint(a.Worker, " ", a.Reply != nil, " ", a.Err); !strings.HasPrefix(got, want) || len(got) < len(want) {
			t.Errorf("%v: %s", status, got)
		}
	}
}

func TestClientsThatSpreadBeginWithAnyBrokerOfTheList(t *testing.T) {
	begun := map[string]bool{}
	for i := 0; i < 100; i++ {
		client, err := NewClient("tcp://127.0.0.1:1,tcp://127.0.0.1:2", Spread())
		if err != nil {
			t.Fatal(err)
		}
		begun[client.core.Tried()] = true
		client.Close()
	}
	if len(begun) != 2 {
		t.Errorf("all begin with one: %v", begun)
	}
}

func TestTheOptionsOfAJobAreItsHeaders(t *testing.T) {
	k := &call{service: "a"}
	for _, option := range []CallOption{WithKey("one"), WithKey("two"), WithDelay(90 * time.Second), WithBackoff(0),
		WithNotBefore(time.Unix(1, 5000)), WithJobDeadline(time.Unix(2, 0)), WithAttemptTimeout(time.Minute),
		WithKeep(time.Hour)} {
		if err := option(k); err != nil {
			t.Fatal(err)
		}
	}
	want := "[{idempotency-key two} {job-delay 90000} {job-backoff 0} {job-not-before 1000005} {job-deadline 2000000} " +
		"{job-attempt 60000} {job-keep 3600000}]"
	if got := fmt.Sprint(k.headers); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnErrorIsItsStatusAndTheReasonOfItsContext(t *testing.T) {
	for status, known := range statuses {
		err := error(&Error{Status: status, Service: "upper", Text: "why"})
		for _, other := range statuses {
			if other.err != nil && errors.Is(err, other.err) != (other.err == known.err) {
				t.Errorf("%v and %v", err, other.err)
			}
		}
		if want := "riposte: upper: " + known.name + ": why"; err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	err := fmt.Errorf("of mine: %w", &Error{Status: StatusDeadline, cause: context.DeadlineExceeded})
	if !errors.Is(err, ErrDeadline) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrExpired) {
		t.Errorf("%v", err)
	}
}

func TestWhatMayHaveRunIsWhatTheContractSays(t *testing.T) {
	for status := range statuses {
		want := false
		switch status {
		case StatusOK, StatusAppError, StatusWorkerLost, StatusDeadline, StatusUnknown:
			want = true
		}
		if mayHaveRun(wire.Status(status), 0) != want {
			t.Errorf("%v", status)
		}
	}
	if !mayHaveRun(wire.Cancelled, 1) {
		t.Error("a worker had it")
	}
}

const (
	public = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
	secret = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
)

// The pair is that of ZeroMQ's manual.
func TestKeysComeFromCertificatesThatOthersCannotRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shown := write("a.key", "#   a comment\nmetadata\n    name = \"ada\"\ncurve\n    public-key = \""+public+"\"\n", 0o644)
	own := write("a.key_secret", "curve\n    public-key = \""+public+"\"\n    secret-key = \""+secret+"\"\n", 0o600)
	open := write("open", "curve\n    public-key = \""+public+"\"\n    secret-key = \""+secret+"\"\n", 0o640)
	other := write("other", "curve\n    public-key = \""+secret+"\"\n    secret-key = \""+secret+"\"\n", 0o600)
	none := write("none", "metadata\n    public-key = \"x\"\n", 0o600)

	c, err := NewClient("tcp://127.0.0.1:1", KeyFile(own), ServerKey(shown))
	if err != nil {
		t.Fatal(err)
	}
	if keys := c.config.security("tcp://127.0.0.1:1"); keys == nil || keys.Server != keys.Public || keys.Check() != nil {
		t.Error("not those keys")
	}
	if c.config.security("ipc:///run/x") != nil {
		t.Error("keys over ipc")
	}
	if _, err = NewClient("tcp://127.0.0.1:1", Keys(public, secret, public)); err != nil {
		t.Error(err)
	}
	if c, err = NewClient("tcp://127.0.0.1:1", ServerKey(public)); err != nil || !c.config.keys.made {
		t.Errorf("no pair was made: %v", err)
	}
	for name, options := range map[string][]ClientOption{
		"readable by others": {KeyFile(open), ServerKey(shown)}, "no secret": {KeyFile(shown), ServerKey(shown)},
		"no pair": {KeyFile(other), ServerKey(shown)}, "no certificate": {ServerKey(none)},
		"no server key": {KeyFile(own)}, "no Z85": {ServerKey(strings.Repeat("~", 40))},
	} {
		if _, err := NewClient("tcp://127.0.0.1:1", options...); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATextOfAHandlerIsMadeFitForAHead(t *testing.T) {
	if got := oneLine("two\nlines\x7f"); got != "two lines " {
		t.Errorf("%q", got)
	}
	if got := oneLine(strings.Repeat("ü", 600)); len(got) != 1024 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
	if got := oneLine("x" + strings.Repeat("ü", 600)); len(got) != 1023 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestWithoutABrokerACallEndsAtItsDeadlineAndAtOnceWhenItIsCancelled(t *testing.T) {
	client, err := NewClient("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = client.Call(ctx, "upper", nil)
	var failure *Error
	if !errors.As(err, &failure) || failure.Status != StatusNoBroker || failure.MayHaveRun || failure.ID == 0 ||
		!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(failure.Text, "nothing listens there") {
		t.Errorf("%+v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err = client.Call(ctx, "upper", nil); !errors.Is(err, ErrCancelled) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err = client.Call(ctx, "upper", nil); !errors.Is(err, ErrCancelled) {
		t.Errorf("cancelled before: %v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := client.Call(context.Background(), "upper", nil)
		ended <- err
	}()
	for client.Open() == 0 {
		time.Sleep(time.Millisecond)
	}
	client.Close()
	if err := <-ended; !errors.Is(err, ErrCancelled) {
		t.Errorf("%v", err)
	}
	if _, err := client.Call(context.Background(), "upper", nil); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if err := client.Connect(context.Background()); err != ErrClosed {
		t.Errorf("%v", err)
	}
}

func TestAWorkerWithoutABrokerDrainsAtOnce(t *testing.T) {
	worker, err := NewWorker("tcp://127.0.0.1:1", "upper", func(*Task) ([]byte, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := worker.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := worker.Run(ctx); !errors.Is(err, ErrUsage) {
		t.Errorf("a second time: %v", err)
	}
}

func TestWhatTheApplicationIsToldMayUseTheWorker(t *testing.T) {
	var worker *Worker
	var told []string
	worker, err := NewWorker("tcp://127.0.0.1:1", "upper", func(*Task) ([]byte, error) { return nil, nil },
		Log(func(line string) {
			worker.SetReady(len(told)) // takes the mutex
			told = append(told, line)
		}))
	if err != nil {
		t.Fatal(err)
	}
	worker.mu.Lock()
	for _, text := range []string{"one", "two", "three"} {
		worker.obey(core.WorkerOrder{Kind: core.WorkerNotice, Text: text})
	}
	worker.unlock()
	if got := strings.Join(told, " "); got != "one two three" {
		t.Errorf("told %q", got)
	}
}

func TestRecordsThatNameNoHostOrNoPortAreLeftOut(t *testing.T) {
	hosts := hostsOf([]*net.SRV{{Target: ".", Port: 5555}, {Target: "a.example.org.", Port: 0}, {Target: "b.example.org.", Port: 5556}})
	if got := strings.Join(hosts, " "); got != "b.example.org:5556" {
		t.Error(got)
	}
}

func TestNumbersForPeopleAreWrittenAsInC(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 µs", 300 * time.Microsecond: "300 µs", 300 * time.Millisecond: "300 ms",
		999600 * time.Microsecond: "1 s", 1250 * time.Millisecond: "1.3 s", 59960 * time.Millisecond: "1 m",
		150 * time.Second: "2 m 30 s", 5430 * time.Second: "1 h 30 m", 24 * time.Hour: "24 h"} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, not %q", d, got, want)
		}
	}
	for bytes, want := range map[uint64]string{0: "0 B", 1000: "1000 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB",
		1<<20 + 1: "1 MiB", 5 << 30: "5 GiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %q, not %q", bytes, got, want)
		}
	}
}

func TestACallWhoseContextIsPastSaysSo(t *testing.T) {
	client, err := NewClient("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), -time.Second)
	defer cancel()
	_, err = client.Call(ctx, "upper", nil)
	if !errors.Is(err, ErrNoBroker) || !strings.Contains(err.Error(), "had passed before the request was submitted") {
		t.Error(err)
	}
}

type brokenError struct{}

func (brokenError) Error() string { panic("no text") }

func TestWhatAHandlerReturnsIsAReplyWhateverItIs(t *testing.T) {
	var none *AppError
	for name, c := range map[string]struct {
		handler Handler
		status  wire.Status
		text    string
	}{
		"a body": {func(*Task) ([]byte, error) { return []byte("body"), nil }, wire.OK, ""},
		"an AppError": {func(*Task) ([]byte, error) { return nil, &AppError{Text: "two\nlines"} }, wire.AppError,
			"two lines"},
		"a nil AppError":     {func(*Task) ([]byte, error) { return nil, none }, wire.AppError, "a nil *AppError"},
		"another attempt":    {func(*Task) ([]byte, error) { return nil, ErrRetry }, wire.WorkerLost, ErrRetry.Error()},
		"a panic":            {func(*Task) ([]byte, error) { panic("oh") }, wire.AppError, "the handler panicked: oh"},
		"a panic of nothing": {func(*Task) ([]byte, error) { panic(nil) }, wire.AppError, "the handler panicked: "},
		"an error that has none": {func(*Task) ([]byte, error) { return nil, brokenError{} }, wire.AppError,
			"the handler panicked: no text"},
	} {
		worker, err := NewWorker("tcp://127.0.0.1:1", "upper", c.handler)
		if err != nil {
			t.Fatal(err)
		}
		head, body := worker.handle(&Task{})
		if head.Status != c.status || !strings.HasPrefix(head.Text, c.text) || (len(body) > 0) != (c.status == wire.OK) {
			t.Errorf("%s: %v %q %q", name, head.Status, head.Text, body)
		}
	}
}
