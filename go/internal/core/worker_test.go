// SPDX-License-Identifier: MPL-2.0

package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// bench is a worker, its clock, and a shell that notes what is to be done.
type bench struct {
	t       *testing.T
	worker  *Worker
	now     time.Duration
	log     []string
	heads   []wire.Head
	running []*Work
}

func newBench(t *testing.T, slots uint32, endpoints ...string) *bench {
	if len(endpoints) == 0 {
		endpoints = []string{"tcp://127.0.0.1:1"}
	}
	return &bench{t: t, worker: NewWorker(WorkerConfig{Endpoints: endpoints, Service: "upper", Name: "test", Slots: slots,
		Heartbeat: time.Second, Drain: 10 * time.Second, Seed: 1})}
}

func (b *bench) obey() {
	for {
		b.worker.Tick(b.now)
		orders := b.worker.TakeOrders()
		if len(orders) == 0 {
			return
		}
		for _, order := range orders {
			what := ""
			switch order.Kind {
			case WorkerOpen:
				what = fmt.Sprint("open ", order.Session)
			case WorkerLookUp:
				what = fmt.Sprint("look up ", order.Session)
			case WorkerClose:
				what = fmt.Sprint("close ", order.Session)
			case WorkerSay:
				what = fmt.Sprint(commands[order.Head.Command], " ", order.Session)
				b.heads = append(b.heads, order.Head)
			case WorkerStart:
				what = fmt.Sprint("start ", order.Work.Token)
				b.running = append(b.running, order.Work)
			case WorkerReturn:
				what = fmt.Sprint("return ", order.Work.Token, " ", order.Head.Status)
				b.worker.Finish(order.Work, order.Head.Status == wire.AppError, b.now)
			case WorkerCancel:
				what = fmt.Sprint("cancel ", order.Work.Token)
			case WorkerEnded:
				what = fmt.Sprint("ended ", order.Conversation)
			case WorkerNotice:
				continue
			}
			b.log = append(b.log, what)
		}
	}
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	b.obey()
	if got := strings.Join(b.log, ", "); got != strings.Join(want, ", ") {
		b.t.Errorf("to be done: %s; not: %s", got, strings.Join(want, ", "))
	}
	b.log = nil
}

func (b *bench) hear(session int, head wire.Head) {
	b.worker.Message(session, &head, b.now)
	b.obey()
}

func (b *bench) up(window uint32) {
	b.obey()
	for i := range b.worker.sessions {
		b.worker.Connected(i, b.now)
		b.hear(i, wire.Head{Command: wire.Welcome, Time: 1000, Value: window})
	}
	b.log = nil
}

func (b *bench) request(session int, token, conversation uint64) *Work {
	work := &Work{}
	b.worker.Request(session, &wire.Head{Command: wire.Request, ID: token, Time: 5000, Attempt: 1, Attempts: 1,
		Conversation: conversation}, work, b.now)
	b.obey()
	return work
}

func (b *bench) finish(work *Work, want bool) {
	b.t.Helper()
	if b.worker.Finish(work, true, b.now) != want {
		b.t.Errorf("a reply is to be sent: %v", !want)
	}
	b.obey()
}

func TestAWorkerRegistersWithEveryBrokerAndAgainWhenOneIsLost(t *testing.T) {
	b := newBench(t, 2, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	b.expect("open 0", "open 1")
	b.worker.Connected(1, b.now)
	b.expect("HELLO 1")
	if hello := b.heads[0]; hello.Name != "upper" || hello.Value != 2 || hello.Flags != wire.Worker|wire.Bundles {
		t.Errorf("%+v", hello)
	}
	b.hear(1, wire.Head{Command: wire.Welcome, Time: 1000, Value: 2})
	b.worker.Failed(1, false, "gone", b.now)
	b.expect("close 1", "open 1")
	b.worker.Failed(0, true, "its key", b.now)
	b.expect("close 0")
	b.now += 50 * ms
	b.expect("open 0") // a key may be authorized at any time
}

func TestEveryBrokerOfSRVRecordsHasASessionAndTheyAreLookedUpAgain(t *testing.T) {
	const a, b, c = "tcp://a:1", "tcp://b:1", "tcp://c:1"
	w := newBench(t, 1, "srv:_riposte._tcp.a")
	stand := func(session int) {
		w.worker.Connected(session, w.now)
		w.hear(session, wire.Head{Command: wire.Welcome, Time: 60000, Value: 1})
		w.log = nil
	}
	w.expect("look up 0")
	w.worker.Found(0, []string{a, b}, w.now)
	w.expect("open 1", "open 2")
	stand(1)
	stand(2)

	// One is added, and another is lost whose record is gone.
	w.now += 8 * time.Second
	w.expect()
	w.now += 2 * time.Second
	w.expect("look up 0")
	w.worker.Found(0, []string{c, b}, w.now)
	w.expect("open 3")
	stand(3)
	w.worker.Failed(1, false, "refused", w.now)
	w.expect("close 1", "open 1")
	w.now += time.Second
	w.expect("look up 0")
	w.worker.Found(0, []string{c, b}, w.now)
	w.expect("close 1")

	// A broker has another place.
	w.worker.Failed(2, false, "refused", w.now)
	w.expect("close 2", "open 2")
	w.now += time.Second
	w.expect("look up 0")
	w.worker.Found(0, []string{c, a}, w.now)
	w.expect("close 2", "open 1")
	if over, _, _ := w.worker.Over(); over {
		t.Error("it is over")
	}
	for _, session := range []int{1, 3} {
		w.worker.Failed(session, false, "refused", w.now)
		w.now += time.Second
		w.obey()
		w.worker.Connected(session, w.now)
		w.hear(session, wire.Head{Command: wire.Bye, Status: wire.Denied})
	}
	if over, refused, _ := w.worker.Over(); !over || refused != wire.Denied {
		t.Errorf("all brokers have refused it: %v %v", over, refused)
	}
}

func TestABrokerWhoseNameComesInOtherLettersIsTheSame(t *testing.T) {
	w := newBench(t, 1, "srv:_riposte._tcp.a")
	w.expect("look up 0")
	w.worker.Found(0, []string{"tcp://a:1", "tcp://A:1"}, w.now)
	w.expect("open 1")
	w.now += 10 * time.Second
	w.worker.Failed(1, false, "refused", w.now)
	w.log = nil
	w.now += 10 * time.Second
	w.obey()
	w.log = nil
	w.worker.Found(0, []string{"tcp://A:1"}, w.now)
	w.expect()
}

func TestNoMoreRunThanTheSlotsAndTheRestWaitsItsTurn(t *testing.T) {
	b := newBench(t, 2, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	b.up(2)
	one := b.request(0, 1, 0)
	b.request(0, 2, 0)
	b.request(1, 3, 0)
	b.expect("start 1", "start 2")
	b.finish(one, true)
	b.expect("start 3")
	b.finish(one, true) // ending it twice changes nothing else
	b.expect()
}

func TestWhatIsOverTheWindowOrHeldAlreadyGoesBack(t *testing.T) {
	b := newBench(t, 2)
	b.up(1)
	b.request(0, 1, 0)
	b.request(0, 2, 0)
	b.expect("start 1", fmt.Sprint("return 2 ", wire.WorkerLost))
}

func TestSetReadyStatesTheWindowUpToTheSlots(t *testing.T) {
	b := newBench(t, 4)
	b.worker.SetReady(0, b.now)
	b.expect("open 0")
	b.worker.Connected(0, b.now)
	b.expect("HELLO 0")
	if b.heads[0].Value != 0 {
		t.Errorf("a window of %d", b.heads[0].Value)
	}
	b.hear(0, wire.Head{Command: wire.Welcome, Time: 1000})
	b.worker.SetReady(9, b.now)
	b.expect("CREDIT 0")
	b.worker.SetReady(4, b.now) // it is that already
	b.expect()
	if b.heads[1].Value != 4 {
		t.Errorf("a window of %d", b.heads[1].Value)
	}
	b.request(0, 1, 0)
	b.expect("start 1") // though it was granted 0 at first
}

func TestADeadlineThatPassedBeforeItBeganIsNoStart(t *testing.T) {
	b := newBench(t, 1, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	b.up(1)
	one := b.request(0, 1, 0)
	b.request(1, 2, 0)
	b.now += 6 * time.Second
	b.hear(0, wire.Head{Command: wire.Heartbeat})
	b.log = nil
	b.worker.Finish(one, true, b.now)
	for _, order := range b.worker.TakeOrders() {
		if order.Kind == WorkerStart {
			t.Error("it began")
		}
	}
}

func TestCANCELStopsWhatRunsAndTakesBackWhatWaits(t *testing.T) {
	b := newBench(t, 1, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	b.up(1)
	one := b.request(0, 1, 0)
	b.request(1, 2, 0)
	b.log = nil
	b.hear(0, wire.Head{Command: wire.Cancel, ID: 1})
	b.hear(1, wire.Head{Command: wire.Cancel, ID: 2})
	b.hear(1, wire.Head{Command: wire.Cancel, ID: 2})
	b.expect("cancel 1", fmt.Sprint("return 2 ", wire.AppError))
	if b.worker.Ignored != 1 {
		t.Error("the second is not counted")
	}
	b.finish(one, true) // it still owes its reply
}

func TestALostBrokerCancelsWhatRunsAndGetsNoReply(t *testing.T) {
	b := newBench(t, 2)
	b.up(2)
	one := b.request(0, 1, 7)
	b.log = nil
	b.worker.Failed(0, false, "gone", b.now)
	b.expect("close 0", "cancel 1", "open 0")
	b.up(2) // to the next session its reply would be another's
	b.finish(one, false)
	b.expect("ended 1")
}

func TestAConversationHasANumberOfTheWorkersUntilItEnds(t *testing.T) {
	b := newBench(t, 2)
	b.up(2)
	one := b.request(0, 1, 77)
	if one.Conversation != 1 {
		t.Errorf("its number is %d", one.Conversation)
	}
	b.finish(one, true)
	two := b.request(0, 2, 77)
	if two.Conversation != 1 {
		t.Errorf("its number is %d", two.Conversation)
	}
	b.log = nil
	b.hear(0, wire.Head{Command: wire.End, Conversation: 77})
	b.expect() // not while one of its requests runs
	b.finish(two, true)
	b.expect("ended 1")
	if three := b.request(0, 3, 77); three.Conversation != 2 {
		t.Errorf("its number is %d", three.Conversation)
	}
}

func TestADrainEndsWithTheBrokersBYE(t *testing.T) {
	b := newBench(t, 2, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	b.up(2)
	b.worker.Failed(1, false, "gone", b.now)
	b.obey()
	one := b.request(0, 1, 0)
	b.log = nil
	b.worker.Drain(b.now)
	b.expect("DRAIN 0", "close 1")
	b.finish(one, true)
	b.hear(0, wire.Head{Command: wire.Bye})
	b.expect("close 0")
	if over, refused, unanswered := b.worker.Over(); !over || refused != wire.OK || unanswered != 0 {
		t.Error("it is not over")
	}
}

func TestAtTheLimitOfADrainTheWorkerLeavesAndSaysWhatIsUnanswered(t *testing.T) {
	b := newBench(t, 2)
	b.up(2)
	one := b.request(0, 1, 0)
	b.log = nil
	b.worker.Drain(b.now)
	for i := 0; i < 10; i++ {
		b.hear(0, wire.Head{Command: wire.Heartbeat})
		b.now += 999 * ms
		b.obey()
	}
	b.log = nil
	b.now += 10 * ms
	b.expect("BYE 0", "close 0", "cancel 1")
	if over, _, unanswered := b.worker.Over(); !over || unanswered != 1 {
		t.Error("one is unanswered")
	}
	b.finish(one, false)
}

func TestAWorkerThatEveryBrokerRefusesIsOver(t *testing.T) {
	b := newBench(t, 1)
	b.obey()
	b.worker.Connected(0, b.now)
	b.hear(0, wire.Head{Command: wire.Bye, Status: wire.Denied, Text: "no rule"})
	if over, refused, _ := b.worker.Over(); !over || refused != wire.Denied {
		t.Error("it is not over")
	}
}

func TestAnIdleWorkerAnnouncesOneAndAHalfIntervals(t *testing.T) {
	b := newBench(t, 1)
	b.up(1)
	b.now += time.Second
	b.expect("HEARTBEAT 0")
	if head := b.heads[len(b.heads)-1]; head.Time != 1500 {
		t.Errorf("%+v", head)
	}
}
