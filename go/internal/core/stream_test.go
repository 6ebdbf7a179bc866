// SPDX-License-Identifier: MPL-2.0

package core

import (
	"testing"
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// streaming is a stage whose broker knows streams, with windows up to 2000 bytes, and a request with a stream.
func streaming(t *testing.T, knows bool, attempts uint8) (*stage, *Exchange) {
	s := newStage(t)
	if knows {
		s.up(wire.Header{Key: "streams", Value: "1"}, wire.Header{Key: "stream-window", Value: "2000"})
	} else {
		s.up()
	}
	return s, s.submit(&Exchange{Timeout: time.Minute, Attempts: attempts, Stream: &Stream{Window: 5000}})
}

func (s *stage) part(x *Exchange) *Exchange {
	return s.client.Message(&wire.Head{Command: wire.Reply, Flags: wire.More, ID: x.wireID}, s.now)
}

func (s *stage) grants() (granted []uint64) {
	for _, order := range s.client.TakeOrders() {
		if order.Head.Command == wire.Grant {
			granted = append(granted, order.Head.Conversation)
		}
	}
	return granted
}

func TestAStreamGrantsWhenHalfOfItsWindowWasTaken(t *testing.T) {
	s, x := streaming(t, true, 1)
	if x.Stream.Window != 2000 {
		t.Errorf("a window of %d", x.Stream.Window)
	}
	for range [2]int{} {
		if s.part(x) != x || !x.Stream.Came(700, s.now) {
			t.Error("a part was refused")
		}
	}
	s.client.Took(x, 700, s.now)
	if got := s.grants(); len(got) != 0 {
		t.Errorf("granted %v after one part", got)
	}
	s.client.Took(x, 700, s.now)
	if got := s.grants(); len(got) != 1 || got[0] != 3528 {
		t.Errorf("granted %v after two parts", got)
	}
	if x.Stream.Came(2000, s.now) || !x.Stream.Lost() {
		t.Error("more than was granted was taken")
	}
}

func TestAStreamNeedsABrokerThatKnowsThem(t *testing.T) {
	_, x := streaming(t, false, 1)
	if x.Status != wire.Invalid || x.End != EndNoStreams {
		t.Errorf("status %d, end %d", x.Status, x.End)
	}
}

func TestAStreamIsNotSentAgainAfterAPart(t *testing.T) {
	for _, came := range []bool{false, true} {
		s, x := streaming(t, true, 3)
		if came {
			s.part(x)
		}
		s.client.Failed("it broke", s.now)
		if ended := x.Status == wire.Unknown; ended != came {
			t.Errorf("with a part %v: status %d", came, x.Status)
		}
	}
}

func TestPartsOfOtherRequestsAreIgnored(t *testing.T) {
	s, _ := streaming(t, true, 1)
	x := s.submit(request())
	if s.part(x) != nil || s.client.Ignored != 1 {
		t.Error("a part of a request without a stream was taken")
	}
}

func TestABodyIsWrittenAsItsWorkerGrants(t *testing.T) {
	s, plain := streaming(t, true, 3)
	if plain.grants(&wire.Head{Conversation: 1000}) {
		t.Error("a grant for a whole body was taken")
	}
	x := s.submit(&Exchange{Timeout: time.Minute, Attempts: 3, Stream: &Stream{Window: 5000, Writes: true}})
	s.obey()
	if flags := s.heads[len(s.heads)-1].Flags; flags != wire.Stream|wire.More {
		t.Errorf("flags %x", flags)
	}
	write := func(size, want int) {
		t.Helper()
		if head, piece := s.client.Write(x, size, s.now); piece != want || want > 0 &&
			(head.Command != wire.Part || head.Flags != wire.More || head.ID != x.wireID) {
			t.Errorf("%d of %d bytes, %+v", piece, size, head)
		}
	}
	grant := func(granted uint64, want *Exchange) {
		t.Helper()
		if s.client.Message(&wire.Head{Command: wire.Grant, ID: x.wireID, Conversation: granted}, s.now) != want {
			t.Errorf("a grant of %d bytes", granted)
		}
	}
	write(1, 0)
	if _, ends := s.client.WriteEnd(x, s.now); ends {
		t.Error("it ended before a grant")
	}
	grant(1000, x)
	grant(900, nil)
	write(5000, 436) // half of the window, less 64
	write(436, 436)
	write(1, 0)
	grant(1500, x)
	write(436, 436)
	if head, ends := s.client.WriteEnd(x, s.now); !ends || head.Flags != 0 {
		t.Error("it did not end without room")
	}
	write(1, 0)
	if s.client.Failed("it broke", s.now); x.Status != wire.Unknown {
		t.Errorf("status %d: what was written is with nobody", x.Status)
	}
}

// serving is a bench whose worker reads parts and holds a request with these flags; windows are of 1000 bytes.
func serving(t *testing.T, flags uint16) (*bench, *Work) {
	b := newBench(t, 1)
	b.worker.config.Streams = true
	b.obey()
	b.worker.Connected(0, b.now)
	b.obey()
	if value, _ := b.heads[0].Find("streams"); value != "1" {
		t.Error("it does not say that it reads parts")
	}
	window := []wire.Header{{Key: "stream-window", Value: "1000"}}
	b.hear(0, wire.Head{Command: wire.Welcome, Time: 1000, Value: 1, Headers: window})
	work := &Work{}
	b.worker.Request(0, &wire.Head{Command: wire.Request, ID: 5, Time: 5000, Attempt: 1, Attempts: 1, Flags: flags,
		Headers: window}, work, b.now)
	b.obey()
	b.heads = nil
	return b, work
}

func (b *bench) part(head wire.Head, size int) bool {
	head.ID = 5
	return b.worker.Part(0, &head, size, b.now) != nil
}

func (b *bench) granted() (granted []uint64) {
	b.obey()
	for _, head := range b.heads {
		if head.Command == wire.Grant && head.ID == 5 {
			granted = append(granted, head.Conversation)
		}
	}
	b.heads = nil
	return granted
}

func TestAReplyIsWrittenAsItsClientGrantsUntilNobodyWantsIt(t *testing.T) {
	b, work := serving(t, wire.Stream)
	for _, step := range []struct {
		granted    uint64
		size, want int
	}{{0, 5000, 436}, {0, 436, 436}, {0, 1, 0}, {1000, 1, 0}, {1500, 436, 436}, {0, 1, 0}} {
		if step.granted > 0 && b.part(wire.Head{Command: wire.Grant, Conversation: step.granted}, 0) != (step.want > 0) {
			t.Errorf("a grant of %d bytes", step.granted)
		}
		if head, piece := b.worker.Write(work, step.size, b.now); piece != step.want || head.Flags != wire.More || head.ID != 5 {
			t.Errorf("%d of %d bytes, %+v", piece, step.size, head)
		}
	}
	b.part(wire.Head{Command: wire.Grant, Conversation: 9000}, 0)
	b.worker.Failed(0, false, "it broke", b.now)
	if _, piece := b.worker.Write(work, 1, b.now); piece != 0 {
		t.Error("a part was written into another session")
	}
}

func TestARequestIsReadToItsEndAndGrantedByHalves(t *testing.T) {
	b, work := serving(t, wire.More)
	part := wire.Head{Command: wire.Part, Flags: wire.More}
	if b.part(part, 1) || b.part(wire.Head{Command: wire.Grant, Conversation: 9000}, 0) {
		t.Error("what it had not asked for was taken")
	}
	b.worker.Read(work, b.now)
	b.worker.Read(work, b.now)
	if got := b.granted(); len(got) != 1 || got[0] != 1000 {
		t.Errorf("granted %v", got)
	}
	if !b.part(part, 300) || !b.part(part, 300) {
		t.Error("a part was refused")
	}
	b.worker.Took(work, 300, b.now)
	if got := b.granted(); len(got) != 0 {
		t.Errorf("granted %v after one part", got)
	}
	b.worker.Took(work, 300, b.now)
	if got := b.granted(); len(got) != 1 || got[0] != 1728 {
		t.Errorf("granted %v after two parts", got)
	}
	if b.part(part, 900); work.Stream.Lost() {
		t.Error("what was granted is missing")
	}
	if !b.part(wire.Head{Command: wire.Part}, 900) || work.Stream.More || work.Stream.Lost() {
		t.Error("the last part needs no grant")
	}
	b.worker.Took(work, 900, b.now)
	if got := b.granted(); len(got) != 0 {
		t.Errorf("granted %v behind the end", got)
	}
	if b.part(part, 1) {
		t.Error("a part behind the end was taken")
	}
}

func TestAPartThatWasNotGrantedLeavesAHole(t *testing.T) {
	b, work := serving(t, wire.More)
	b.worker.Read(work, b.now)
	if !b.part(wire.Head{Command: wire.Part, Flags: wire.More}, 1000) || !work.Stream.Lost() {
		t.Error("more than was granted was taken")
	}
}

func TestAPlainRequestHasNoParts(t *testing.T) {
	b, work := serving(t, 0)
	if work.Stream != nil || b.part(wire.Head{Command: wire.Part}, 1) || b.part(wire.Head{Command: wire.Grant, Conversation: 9}, 0) ||
		b.worker.Ignored != 2 {
		t.Error("a part of a plain request was taken")
	}
}
