// SPDX-License-Identifier: MPL-2.0

package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

const ms = time.Millisecond

// stage is a client, its clock, and a shell that notes what is to be done.
type stage struct {
	t      *testing.T
	client *Client
	now    time.Duration
	log    []string
	heads  []wire.Head
	ended  map[*Exchange]bool
}

func newStage(t *testing.T, endpoints ...string) *stage {
	if len(endpoints) == 0 {
		endpoints = []string{"tcp://127.0.0.1:1"}
	}
	return &stage{t: t, ended: map[*Exchange]bool{}, client: NewClient(ClientConfig{Endpoints: endpoints, Name: "test",
		Timeout: 5 * time.Second, Heartbeat: 2 * time.Second, MaxOpen: 4, RetryPercent: 20, Seed: 1})}
}

var commands = map[wire.Command]string{wire.Hello: "HELLO", wire.Cancel: "CANCEL", wire.Heartbeat: "HEARTBEAT",
	wire.Bye: "BYE", wire.End: "END", wire.Drain: "DRAIN", wire.Credit: "CREDIT", wire.Reply: "REPLY"}

// obey notes the orders.
func (s *stage) obey() {
	for _, order := range s.client.TakeOrders() {
		switch order.Kind {
		case ClientOpen:
			what := "open "
			if order.Lookup {
				what = "look up "
			}
			s.log = append(s.log, what+order.Endpoint)
		case ClientClose:
			s.log = append(s.log, "close")
		case ClientSay:
			s.log = append(s.log, commands[order.Head.Command])
			s.heads = append(s.heads, order.Head)
		case ClientSend:
			s.log = append(s.log, fmt.Sprintf("send %d", order.Head.ID))
			s.heads = append(s.heads, order.Head)
		case ClientEnded:
			if s.ended[order.Exchange] {
				s.t.Error("a request ended twice")
			}
			s.ended[order.Exchange] = true
			s.log = append(s.log, fmt.Sprintf("end %d %d", order.Exchange.ID, order.Exchange.Status))
		}
	}
}

// expect compares what was to be done since the last call.
func (s *stage) expect(want ...string) {
	s.t.Helper()
	s.obey()
	if got := strings.Join(s.log, ", "); got != strings.Join(want, ", ") {
		s.t.Errorf("to be done: %s; not: %s", got, strings.Join(want, ", "))
	}
	s.log = nil
}

// pass lets time pass, a step at a time.
func (s *stage) pass(time time.Duration) {
	for end := s.now + time; s.now < end; {
		next := s.client.Tick(s.now)
		s.obey()
		if next > s.now {
			s.now = least(next, end)
		}
	}
	s.client.Tick(s.now)
	s.obey()
}

func (s *stage) hear(head wire.Head) {
	s.client.Message(&head, s.now)
	s.obey()
}

func (s *stage) welcome(headers ...wire.Header) {
	s.client.Connected(s.now)
	s.hear(wire.Head{Command: wire.Welcome, Time: 1000, Value: 3, Headers: append(headers, wire.Header{Key: "max-body", Value: "1000"})})
}

// up brings the session up and forgets what that took.
func (s *stage) up(headers ...wire.Header) {
	s.client.Start(s.now)
	s.client.Tick(s.now)
	s.welcome(headers...)
	s.obey()
	s.log = nil
}

func request() *Exchange { return &Exchange{Timeout: 5 * time.Second, Attempts: 1} }

func (s *stage) submit(x *Exchange) *Exchange {
	s.t.Helper()
	if err := s.client.Submit(x, s.now); err != nil {
		s.t.Fatal(err)
	}
	s.client.Tick(s.now)
	s.obey()
	return x
}

func (s *stage) reply(id uint64, status wire.Status) {
	s.hear(wire.Head{Command: wire.Reply, ID: id, Status: status, Attempt: 1})
}

func (s *stage) check(x *Exchange, status wire.Status, end End) {
	s.t.Helper()
	if !s.ended[x] || x.Status != status || x.End != end {
		s.t.Errorf("ended %v with %d, cause %d; not with %d, cause %d", s.ended[x], x.Status, x.End, status, end)
	}
}

func TestARequestIsSentOnceTheBrokerHasWelcomedAndEndsWithItsReply(t *testing.T) {
	s := newStage(t)
	x := s.submit(request())
	s.expect("open tcp://127.0.0.1:1")
	s.client.Connected(s.now)
	s.expect("HELLO")
	s.welcome()
	s.expect("send 1")
	if head := s.heads[1]; head.Time != 5000 || head.Attempts != 1 {
		t.Errorf("the head is %+v", head)
	}
	s.reply(1, wire.OK)
	s.expect("end 1 0")
	s.check(x, wire.OK, EndReply)
	s.reply(1, wire.OK)
	if s.expect(); s.client.Late != 1 {
		t.Error("the second reply is not counted")
	}
}

func TestADeadlineEndsWhatWaitsAndAGraceLaterWhatRuns(t *testing.T) {
	s := newStage(t)
	x := s.submit(request())
	s.pass(4999 * ms)
	if s.ended[x] {
		t.Error("it ended early")
	}
	s.pass(ms)
	s.check(x, wire.NoBroker, EndUnreached)

	s = newStage(t)
	s.up()
	x = s.submit(&Exchange{Timeout: 100 * ms, Attempts: 3})
	s.pass(1099 * ms)
	if s.ended[x] {
		t.Error("it has a grace")
	}
	s.log = nil
	s.pass(ms)
	s.expect("CANCEL", "end 1 65")
	s.check(x, wire.Unknown, EndSilent)
}

func TestMoreThanTheBrokerAllowsWaitsAndMoreThanMaxOpenIsRefused(t *testing.T) {
	s := newStage(t)
	s.up()
	all := []*Exchange{}
	for i := 0; i < 4; i++ {
		all = append(all, s.submit(request()))
	}
	s.expect("send 1", "send 2", "send 3")
	if err := s.client.Submit(request(), s.now); err != ErrFull {
		t.Errorf("the fifth: %v", err)
	}
	s.reply(2, wire.OK)
	s.expect("end 2 0", "send 4")
	s.reply(4, wire.OK)
	s.check(all[3], wire.OK, EndReply)
}

func TestWhatABrokerHadNoRoomForIsEXPIREDAtItsDeadline(t *testing.T) {
	s := newStage(t)
	s.up()
	for i := 0; i < 3; i++ {
		s.submit(request())
	}
	x := s.submit(&Exchange{Timeout: 500 * ms, Attempts: 1})
	s.pass(500 * ms)
	s.check(x, wire.Expired, EndHeld)
}

func TestABodyOverTheLimitIsNotSent(t *testing.T) {
	s := newStage(t)
	s.up()
	x := s.submit(&Exchange{Size: 1001, Timeout: time.Second, Attempts: 1})
	s.expect("end 1 7")
	s.check(x, wire.TooLarge, EndTooLarge)
}

func TestALostBrokerIsUnknownWithOneAttemptAndAnotherTryWithMore(t *testing.T) {
	s := newStage(t)
	s.up()
	once := s.submit(request())
	again := s.submit(&Exchange{Timeout: 5 * time.Second, Attempts: 3})
	s.expect("send 1", "send 2")
	s.client.Failed("it closed the connection", s.now)
	s.client.Tick(s.now)
	s.expect("close", "end 1 65", "open tcp://127.0.0.1:1")
	s.check(once, wire.Unknown, EndLost)
	if !once.Unseen {
		t.Error("it may have run")
	}
	s.client.Connected(s.now)
	s.welcome()
	s.expect("HELLO", "send 3")
	if head := s.heads[len(s.heads)-1]; head.Attempts != 2 {
		t.Errorf("%d attempts are left", head.Attempts)
	}
	s.reply(3, wire.NoWorker) // of its last id that is proven; not of the first
	s.check(again, wire.Unknown, EndLost)
}

func TestTheRetryBudgetBoundsWhatIsSentAgain(t *testing.T) {
	s := newStage(t)
	s.up()
	s.client.budget = retryCost
	one, two := s.submit(&Exchange{Timeout: time.Second, Attempts: 2}), s.submit(&Exchange{Timeout: time.Second, Attempts: 2})
	s.client.Failed("gone", s.now)
	s.obey()
	if s.ended[one] {
		t.Error("the first has a retry")
	}
	s.check(two, wire.Unknown, EndBudget)
}

func TestBUSYIsTriedAgainAfterAPauseWhileAttemptsAreLeft(t *testing.T) {
	s := newStage(t)
	s.up()
	x := s.submit(&Exchange{Timeout: time.Second, Attempts: 2})
	s.expect("send 1")
	s.reply(1, wire.Busy)
	s.expect()
	s.pass(9 * ms)
	s.expect()
	s.pass(11 * ms)
	s.expect("send 2")
	s.reply(2, wire.Busy)
	s.check(x, wire.Busy, EndReply)
}

func TestOfAListTheNextBrokerIsAskedWhatOneHasNoWorkerFor(t *testing.T) {
	s := newStage(t, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	s.up()
	x := s.submit(request())
	s.expect("send 1")
	s.reply(1, wire.NoWorker)
	s.client.Tick(s.now)
	s.expect("BYE", "close", "open tcp://127.0.0.1:2")
	s.client.Connected(s.now)
	s.welcome()
	s.expect("HELLO", "send 2")
	s.reply(2, wire.NoWorker)
	s.check(x, wire.NoWorker, EndReply)
}

func TestABrokerThatDrainsIsLeftWhenNothingRunsThere(t *testing.T) {
	s := newStage(t, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	s.up()
	s.submit(request())
	s.expect("send 1")
	s.hear(wire.Head{Command: wire.Drain})
	s.submit(request())
	s.expect()
	s.reply(1, wire.OK)
	s.client.Tick(s.now)
	s.expect("end 1 0", "BYE", "close", "open tcp://127.0.0.1:2")
}

func TestAConversationBeginsWithOPENAndIsLostOnce(t *testing.T) {
	s := newStage(t)
	s.up()
	talk := &Conversation{}
	in := func() *Exchange { x := request(); x.Conversation = talk; return s.submit(x) }
	in()
	in()
	if first, second := s.heads[1], s.heads[2]; first.Flags != wire.Open || second.Flags != 0 || first.Conversation != second.Conversation {
		t.Errorf("%+v %+v", first, second)
	}
	s.reply(1, wire.OK)
	s.reply(2, wire.ConversationLost)
	in()
	if head := s.heads[3]; head.Flags != wire.Open || head.Conversation == s.heads[1].Conversation {
		t.Errorf("it does not begin anew: %+v", head)
	}
	s.hear(wire.Head{Command: wire.Reply, ID: 3, Attempt: 1, Flags: wire.Last})
	in()
	if head := s.heads[4]; head.Flags != wire.Open {
		t.Errorf("LAST is not the end: %+v", head)
	}
	s.reply(4, wire.OK)
	s.log = nil
	s.client.EndConversation(talk, s.now)
	s.expect("END")
	x := in()
	s.check(x, wire.ConversationLost, EndConversationOver)
}

func TestARequestOfAnAnsweredConversationIsNeverSentAgain(t *testing.T) {
	s := newStage(t)
	s.up()
	talk := &Conversation{}
	first := &Exchange{Timeout: time.Second, Attempts: 3, Conversation: talk}
	s.submit(first)
	s.reply(1, wire.OK)
	second := s.submit(&Exchange{Timeout: time.Second, Attempts: 3, Conversation: talk})
	s.client.Failed("gone", s.now)
	s.obey()
	s.check(second, wire.Unknown, EndLost)
}

func TestCancelWithdrawsAndTheBrokerHasTheLastWord(t *testing.T) {
	s := newStage(t)
	x := s.submit(request())
	s.client.Cancel(x, s.now)
	s.obey()
	s.check(x, wire.Cancelled, EndWithdrawn)
	s = newStage(t)
	s.up()
	x = s.submit(request())
	s.client.Cancel(x, s.now)
	s.client.Cancel(x, s.now)
	s.expect("send 1", "CANCEL")
	s.reply(1, wire.OK)
	s.check(x, wire.OK, EndReply)
	x = s.submit(request())
	s.client.Abandon(x, s.now)
	s.expect("end 1 0", "send 2", "CANCEL", "end 2 9")
	if !x.Unseen {
		t.Error("it may have run")
	}
}

func TestAJobEndsWithACCEPTEDAndOneWithAKeyIsSentAgainToTheSameBrokerOnly(t *testing.T) {
	s := newStage(t, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	s.up(wire.Header{Key: "jobs", Value: "1"})
	job := func(keyed bool) *Exchange {
		return s.submit(&Exchange{Timeout: time.Second, Attempts: 5, Durable: true, Keyed: keyed})
	}
	x := job(false)
	if head := s.heads[1]; head.Flags != wire.Durable || head.Attempts != 5 {
		t.Errorf("%+v", head)
	}
	s.hear(wire.Head{Command: wire.Accepted, ID: 1, Conversation: 17})
	s.check(x, wire.OK, EndReply)
	bare, keyed := job(false), job(true)
	s.client.Failed("gone", s.now)
	s.obey()
	s.check(bare, wire.Unknown, EndLost)
	s.client.Tick(s.now)
	s.welcome(wire.Header{Key: "jobs", Value: "1"})
	s.check(keyed, wire.Unknown, EndLost)
}

func TestAPriorityIsSentOnlyToABrokerThatKnowsPriorities(t *testing.T) {
	for want, headers := range map[uint8][]wire.Header{0: nil, 9: {{Key: "priorities", Value: "1"}}} {
		s := newStage(t)
		s.up(headers...)
		s.submit(&Exchange{Timeout: time.Second, Attempts: 1, Priority: 9})
		if head := s.heads[len(s.heads)-1]; head.Priority != want {
			t.Errorf("%d, not %d", head.Priority, want)
		}
	}
}

func TestAHedgeIsAskedOfABrokerThatMakesHedges(t *testing.T) {
	for want, headers := range map[uint16][]wire.Header{0: nil, wire.Hedge: {{Key: "hedging", Value: "1"}}} {
		s := newStage(t)
		s.up(headers...)
		s.submit(&Exchange{Timeout: time.Second, Attempts: 2, Hedged: true})
		if head := s.heads[len(s.heads)-1]; head.Flags != want {
			t.Errorf("%#x, not %#x", head.Flags, want)
		}
	}
}

func TestARequestForAllWorkersIsNotSentAgainAfterAnAnswer(t *testing.T) {
	for _, answered := range []bool{false, true} {
		s := newStage(t, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
		s.up(wire.Header{Key: "all", Value: "1"})
		x := s.submit(&Exchange{Timeout: 5 * time.Second, Attempts: 1, Wait: time.Second, All: true})
		s.obey()
		if head := s.heads[len(s.heads)-1]; head.Flags != wire.All || head.Value != 0 {
			t.Errorf("%+v", head)
		}
		answer := wire.Head{Command: wire.Reply, Flags: wire.More, ID: x.wireID, Status: wire.WorkerLost}
		if answered && s.client.Message(&answer, s.now) != x {
			t.Error("an answer was ignored")
		}
		s.reply(x.wireID, wire.Busy)
		if ended := s.ended[x]; ended != answered {
			t.Errorf("with an answer %v, ended %v", answered, ended)
		}
	}
}

func TestARequestForAllWorkersNeedsABrokerThatCanDoThat(t *testing.T) {
	s := newStage(t)
	s.up()
	s.check(s.submit(&Exchange{Timeout: 5 * time.Second, Attempts: 1, All: true}), wire.Invalid, EndNoAll)
}

func TestAJobForABrokerThatKeepsNoneIsINVALID(t *testing.T) {
	s := newStage(t)
	s.up()
	x := s.submit(&Exchange{Timeout: time.Second, Attempts: 5, Durable: true})
	s.expect("end 1 6")
	s.check(x, wire.Invalid, EndNoJobs)
}

func TestARequestWithAKeyIsKEYEDAndINVALIDWhereResultsAreNotRemembered(t *testing.T) {
	s := newStage(t)
	s.up()
	x := s.submit(&Exchange{Timeout: time.Second, Attempts: 1, Keyed: true})
	s.expect("end 1 6")
	s.check(x, wire.Invalid, EndNoReplays)
	s.client.remembers = true
	s.submit(&Exchange{Timeout: time.Second, Attempts: 1, Keyed: true})
	s.expect("send 2")
	if head := s.heads[len(s.heads)-1]; head.Flags != wire.Keyed {
		t.Errorf("flags %#x", head.Flags)
	}
}

func TestAnIdleClientAnnouncesTenIntervalsAndWakesWithARequest(t *testing.T) {
	s := newStage(t)
	s.up()
	s.pass(1000 * ms)
	if head := s.heads[len(s.heads)-1]; head.Command != wire.Heartbeat || head.Time != 10000 {
		t.Errorf("%+v", head)
	}
	s.log = nil
	s.pass(9000 * ms)
	s.expect()
	x := s.submit(request())
	s.expect("send 1")
	s.pass(900 * ms)
	s.hear(wire.Head{Command: wire.Heartbeat})
	s.pass(200 * ms)
	s.expect("HEARTBEAT")
	if head := s.heads[len(s.heads)-1]; head.Time != 0 {
		t.Error("it waits for a reply, and is not idle")
	}
	s.pass(2800 * ms)
	s.check(x, wire.Unknown, EndLost) // three intervals without a word
}

func TestABrokerIsLostAfterThreeIntervalsButNotWhenThisProcessStoodStill(t *testing.T) {
	s := newStage(t)
	s.up()
	s.submit(request())
	s.log = nil
	s.pass(500 * ms)
	s.now += 10 * time.Second // stopped
	s.client.Tick(s.now)
	if s.obey(); s.client.State() != Up {
		t.Error("what the broker sent meanwhile is still to be read")
	}
	s.pass(1001 * ms)
	if s.client.State() == Up {
		t.Error("it has had an interval more")
	}
}

func TestEveryEndpointIsTriedAndThenThereIsAPause(t *testing.T) {
	s := newStage(t, "tcp://127.0.0.1:1", "ipc:///run/x", "tcp://[::1]:3")
	s.client.Start(s.now)
	for _, endpoint := range []string{"tcp://127.0.0.1:1", "ipc:///run/x", "tcp://[::1]:3"} {
		s.client.Tick(s.now)
		s.expect("open " + endpoint)
		s.client.Failed("refused", s.now)
		s.expect("close")
	}
	s.pass(24 * ms)
	s.expect()
	s.pass(26 * ms)
	s.expect("open tcp://127.0.0.1:1")
	if trouble := s.client.Trouble(); strings.Count(trouble, "refused") != 3 {
		t.Errorf("the trouble is %q", trouble)
	}
}

func TestANameIsLookedUpAndEachOfItsAddressesTried(t *testing.T) {
	s := newStage(t, "tcp://broker:1")
	s.client.Start(s.now)
	s.client.Tick(s.now)
	s.expect("look up tcp://broker:1")
	s.client.Found([]string{"tcp://10.0.0.1:1", "tcp://10.0.0.2:1"}, s.now)
	s.client.Tick(s.now)
	s.expect("open tcp://10.0.0.1:1")
	s.pass(500 * ms) // silent
	s.expect("close", "open tcp://10.0.0.2:1")
	s.client.Failed("refused", s.now)
	s.pass(50 * ms)
	s.expect("close", "look up tcp://broker:1")
}

func TestAKeyThatNoBrokerAcceptsEndsWhatWaitsAndItIsTriedOn(t *testing.T) {
	s := newStage(t, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
	x := s.submit(request())
	s.client.Denied("its key", s.now)
	s.client.Tick(s.now)
	s.obey()
	if s.ended[x] {
		t.Error("the second broker was not asked")
	}
	s.client.Denied("its key", s.now)
	s.obey()
	s.check(x, wire.Denied, EndRefused)
	s.log = nil
	s.pass(50 * ms)
	s.expect("open tcp://127.0.0.1:1")
}

func TestARefusalInTheGreetingIsForGood(t *testing.T) {
	s := newStage(t)
	x := s.submit(request())
	s.client.Connected(s.now)
	s.hear(wire.Head{Command: wire.Bye, Status: wire.Invalid, Text: "speaks version 2"})
	s.expect("open tcp://127.0.0.1:1", "HELLO", "close", "end 1 6")
	s.check(x, wire.Invalid, EndRefused)
	y := s.submit(request())
	s.check(y, wire.Invalid, EndRefused)
	s.log = nil
	s.pass(time.Minute)
	s.expect()
}

func TestCloseSaysBYEAndEndsEverything(t *testing.T) {
	s := newStage(t)
	s.up()
	x := s.submit(request())
	s.log = nil
	s.client.Close(s.now)
	s.expect("end 1 9", "BYE", "close")
	s.check(x, wire.Cancelled, EndWithdrawn)
	if err := s.client.Submit(request(), s.now); err != ErrClosed {
		t.Error(err)
	}
	if s.client.Tick(s.now+time.Hour) != Never {
		t.Error("there is something to do")
	}
}

func TestClientsThatSpreadShareTheBrokersOfAListAndTheAddressesOfAName(t *testing.T) {
	places := []string{"tcp://10.0.0.1:1", "tcp://10.0.0.2:1", "tcp://10.0.0.3:1"}
	for _, endpoints := range [][]string{places, {"tcp://brokers:1"}} {
		begun := map[string]int{}
		for seed := uint64(1); seed <= 300; seed++ {
			c := NewClient(ClientConfig{Endpoints: endpoints, Heartbeat: time.Second, Seed: seed, Spread: true})
			c.Start(0)
			c.Tick(0)
			c.Found(places, 0)
			c.Tick(0)
			orders := c.TakeOrders()
			begun[orders[len(orders)-1].Endpoint]++
		}
		for _, place := range places {
			if begun[place] < 60 || begun[place] > 150 {
				t.Errorf("of 300 clients: %v", begun)
			}
		}
	}
}
