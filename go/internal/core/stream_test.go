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
		if s.part(x) != x || !x.Stream.Came(700) {
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
	if x.Stream.Came(2000) || !x.Stream.Lost() {
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
