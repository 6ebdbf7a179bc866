// SPDX-License-Identifier: MPL-2.0

package core

import (
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// StreamWindow is the window of a reader that asks for none.
const StreamWindow = 262144

// Stream is a reply in parts (docs/PROTOCOL.md, 11). Both sides count costs, a part's bytes with its headers and
// wire.PartCost. Its reader lets its window be written beyond what was taken, and grants again when half of it was.
type Stream struct {
	Window uint64 // that is asked for; once sent, that which the broker allows

	granted, came, taken uint64
	passed               bool // a part came: it is not sent again
	lost                 bool // a part was not granted: the body has a hole
}

func (s *Stream) begin(limit uint64) {
	if limit > 0 && limit < s.Window {
		s.Window = limit
	}
	s.granted, s.came, s.taken = s.Window, 0, 0
}

// Came takes note of a part; size: of its body and headers. False: it was not granted, and the body has a hole.
func (s *Stream) Came(size int) bool {
	s.came += uint64(size) + wire.PartCost
	s.lost = s.lost || s.came > s.granted
	return !s.lost
}

// Lost says whether parts are missing.
func (s *Stream) Lost() bool { return s.lost }

// Took: the application took a part; size: of its body and headers. More may be granted.
func (c *Client) Took(x *Exchange, size int, now time.Duration) {
	s := x.Stream
	s.taken += uint64(size) + wire.PartCost
	grant := s.taken + s.Window
	if grant-s.granted < (s.Window+1)/2 {
		return
	}
	s.granted = grant
	if x.state == running {
		c.say(wire.Head{Command: wire.Grant, ID: x.wireID, Conversation: grant}, now)
	}
}

// part says whether a part of its reply makes sense.
func (x *Exchange) part(head *wire.Head) bool {
	if x.Stream == nil || head.Status != wire.OK {
		return false
	}
	x.Stream.passed = true
	return true
}
