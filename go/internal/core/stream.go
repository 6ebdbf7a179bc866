// SPDX-License-Identifier: MPL-2.0

package core

import (
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Stream is a client's request whose reply comes in parts.
type Stream struct {
	Window uint64 // that is asked for; once sent, that which the broker allows
	Grows  bool   // the window may grow
	Writes bool   // the request's body goes in parts, too

	Reader
	writer Writer
	ended  bool // its body is whole
	passed bool // a part came or went: it is not sent again
}

func (s *Stream) begin(limit uint64) {
	s.Window = windowOf(s.Window, limit)
	most := s.Window
	if s.Grows {
		most = windowOf(streamWindowMost, limit)
	}
	s.Reader.begin(s.Window, most)
	s.writer = Writer{}
}

// Took: the application took a part; size: of its body and headers. More may be granted.
func (c *Client) Took(x *Exchange, size int, now time.Duration) {
	if x.Stream.took(size, now) && x.state == running {
		c.say(wire.Head{Command: wire.Grant, ID: x.wireID, Conversation: x.Stream.granted}, now)
	}
}

// part says whether a part of its reply, or an answer to a request for all workers, makes sense.
func (x *Exchange) part(head *wire.Head) bool {
	if x.All {
		x.answered = true
		return true
	}
	if x.Stream == nil || head.Status != wire.OK {
		return false
	}
	x.Stream.passed = true
	return true
}

// grants takes a GRANT of its worker. False: it means nothing.
func (x *Exchange) grants(head *wire.Head) bool {
	return x.Stream != nil && x.Stream.Writes && x.Stream.writer.grant(head.Conversation)
}

// mayWrite says whether a PART may go now.
func (x *Exchange) mayWrite() bool {
	return x.state == running && !x.cancelled && !x.Stream.ended && x.Stream.writer.granted > 0
}

// Write makes the head of a PART with the first bytes of so many, and returns how many they are. 0: it has to wait, or it has
// ended.
func (c *Client) Write(x *Exchange, size int, now time.Duration) (wire.Head, int) {
	piece := 0
	if x.mayWrite() {
		piece = x.Stream.writer.piece(size, c.maxBody)
	}
	if piece == 0 {
		return wire.Head{}, 0
	}
	x.Stream.passed = true
	c.said(now)
	return wire.Head{Command: wire.Part, Flags: wire.More, ID: x.wireID}, piece
}

// WriteEnd makes the head of the PART that ends the body. False: it has to wait, or it has ended.
func (c *Client) WriteEnd(x *Exchange, now time.Duration) (wire.Head, bool) {
	if !x.mayWrite() {
		return wire.Head{}, false
	}
	x.Stream.ended, x.Stream.passed = true, true
	c.said(now)
	return wire.Head{Command: wire.Part, ID: x.wireID}, true
}

// WorkStream is the bodies of a worker's request that come or go in parts.
type WorkStream struct {
	Reads bool // the client reads the reply in parts
	More  bool // of the request's body follows, and has not come to its end

	Reader
	writer Writer
}

// newWorkStream is that of a REQUEST, nil if its bodies are whole.
func newWorkStream(request *wire.Head) *WorkStream {
	if request.Flags&(wire.Stream|wire.More) == 0 {
		return nil
	}
	s := &WorkStream{Reads: request.Flags&wire.Stream != 0, More: request.Flags&wire.More != 0}
	if s.Reads {
		s.writer.grant(numberOf(request, "stream-window"))
	}
	return s
}

// takes says whether a part belongs to the body that was asked for. It may be one that was not granted: see Lost.
func (s *WorkStream) takes(head *wire.Head, size int, now time.Duration) bool {
	if !s.More || s.window == 0 {
		return false
	}
	s.More = head.Flags&wire.More != 0
	if s.More {
		s.Came(size, now)
	}
	return true
}

// Part takes a PART or a GRANT; size: of its body. It returns whose it is; nil: it was ignored.
func (w *Worker) Part(session int, head *wire.Head, size int, now time.Duration) *Work {
	s := &w.sessions[session]
	if s.link.state == Up {
		s.link.heard = now
		work := s.held[head.ID]
		switch {
		case work == nil || work.Stream == nil:
		case head.Command == wire.Grant && work.Stream.Reads && work.Stream.writer.grant(head.Conversation):
			return work
		case head.Command == wire.Part && work.Stream.takes(head, size, now):
			return work
		}
	}
	w.Ignored++ // its reply and this crossed
	return nil
}

// wanted says whether the broker still waits for a work.
func (w *Worker) wanted(work *Work) bool {
	s := &w.sessions[work.Session]
	return work.epoch == s.epoch && s.link.state == Up && s.held[work.Token] == work
}

// Write makes the head of a part of a reply with the first bytes of so many, and returns how many they are. 0: it has to wait,
// or nobody wants it.
func (w *Worker) Write(work *Work, size int, now time.Duration) (wire.Head, int) {
	s := &w.sessions[work.Session]
	piece := 0
	if w.wanted(work) {
		piece = work.Stream.writer.piece(size, s.maxBody)
	}
	if piece > 0 {
		s.link.saidSomething(now)
	}
	return wire.Head{Command: wire.Reply, Flags: wire.More, ID: work.Token}, piece
}

// Read begins to read the parts of a request's body, unless that was done.
func (w *Worker) Read(work *Work, now time.Duration) {
	if work.Stream.window == 0 && w.wanted(work) {
		limit := w.sessions[work.Session].streamWindow
		work.Stream.begin(windowOf(StreamWindow, limit), windowOf(streamWindowMost, limit))
		w.grant(work, now)
	}
}

// Took: the application took a part; size: of its body. More may be granted.
func (w *Worker) Took(work *Work, size int, now time.Duration) {
	if work.Stream.took(size, now) && work.Stream.More && w.wanted(work) {
		w.grant(work, now)
	}
}

func (w *Worker) grant(work *Work, now time.Duration) {
	w.say(work.Session, wire.Head{Command: wire.Grant, ID: work.Token, Conversation: work.Stream.granted}, now)
}
