// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"io"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Stream is a request whose reply comes in parts, and whose body may go in parts. One goroutine at a time may receive and
// another write; Close may be called by any.
type Stream struct {
	client *Client
	ctx    context.Context
	call   *call
	reply  *Reply
	err    error
	ended  bool
	closed bool // CloseWrite was called
}

// Stream sends a request whose reply comes in parts, as its worker writes them, and returns at once. body is copied. What
// is not received waits at the worker, which waits for room: see WithWindow. A worker that writes no parts answers with
// one.
//
// The deadline is that of ctx or WithTimeout, and otherwise a day; WithIdleTimeout ends it when nothing comes for so long.
// When ctx is cancelled, the request is withdrawn. Once a part came or went, no other worker gets it. The error is ErrUsage (a
// stream has no key and no hedge), ErrFull or ErrClosed.
//
// With WithMore, body is the first part of the request's, and Write sends more.
//
// A client of several brokers leaves one that drains once nothing of it runs there, and what it sends until then waits in the
// client. So give streams that last long a client of their own.
func (c *Client) Stream(ctx context.Context, service string, body []byte, options ...CallOption) (*Stream, error) {
	k := &call{service: service, body: body, came: make(chan struct{}, 1),
		room: make(chan struct{}, 1)}
	k.exchange.Stream = &core.Stream{}
	if err := c.prepare(k, options); err != nil {
		return nil, err
	}
	s := k.exchange.Stream
	s.Window, s.Grows, s.Writes = core.StreamWindow, true, k.more
	if k.window > 0 {
		s.Window, s.Grows = uint64(k.window), false
	}
	if !k.limited {
		k.exchange.Timeout = dayMost
	}
	if err := c.submit(ctx, k); err != nil {
		return nil, err
	}
	go c.await(ctx, k)
	return &Stream{client: c, ctx: ctx, call: k}, nil
}

// part is one of a reply in parts.
type part struct {
	body   []byte
	weight int // bytes of body and headers: what a grant counts
}

// part takes a part that came. c.mu is held.
func (c *Client) part(k *call, head *wire.Head, body []byte) {
	if k.exchange.Stream.Lost() {
		return
	}
	weight := len(body) + wire.HeadersSize(head.Headers)
	if !k.exchange.Stream.Came(weight, clock()) {
		c.core.Cancel(&k.exchange, clock())
		return
	}
	k.parts = append(k.parts, part{body, weight})
	signal(k.came)
}

// signal wakes who waits on a channel with room for one element.
func signal(waiting chan<- struct{}) {
	select {
	case waiting <- struct{}{}:
	default:
	}
}

// Recv waits for the next part. The error is io.EOF at the end of a reply that a worker has given, and otherwise what Call
// returns; it stays so.
func (s *Stream) Recv() ([]byte, error) {
	c, k := s.client, s.call
	var body []byte
	found := c.next(k, func() bool {
		if len(k.parts) == 0 {
			return false
		}
		first := k.parts[0]
		k.parts[0].body = nil
		k.parts = k.parts[1:]
		c.core.Took(&k.exchange, first.weight, clock())
		body = first.body
		return true
	})
	if !found {
		return s.end()
	}
	return body, nil
}

// next waits for what take takes of a request, with c.mu held. False: the request has ended, and nothing is left.
func (c *Client) next(k *call, take func() bool) bool {
	locked := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		defer c.turn()
		return take()
	}
	for !locked() {
		select {
		case <-k.came:
		case <-k.done:
			return locked() // it came before the end
		}
	}
	return true
}

// end returns the last part, which is the body of the reply, and then how it ended.
func (s *Stream) end() ([]byte, error) {
	if s.ended {
		return nil, s.err
	}
	s.ended = true
	s.reply, s.err = s.call.result(s.client, s.ctx)
	if s.call.exchange.Stream.Lost() { // however the broker ended it
		s.err = &Error{Status: StatusUnknown, Service: s.call.service, ID: s.call.exchange.ID, Attempts: 1, MayHaveRun: true,
			Text: excess()}
	}
	if s.err != nil {
		return nil, s.err
	}
	s.err = io.EOF
	if len(s.reply.Body) > 0 {
		return s.reply.Body, nil
	}
	return nil, s.err
}

// Write sends more of the request's body, in parts as the worker's window needs it, and waits until the worker has room. It is an
// io.Writer: part is not kept. The error is io.ErrClosedPipe when the request has ended, of which Recv says how; that of ctx when
// it is done, when some of part may have been sent; or ErrUsage, without WithMore and behind CloseWrite.
func (s *Stream) Write(part []byte) (int, error) {
	if !s.call.more || s.closed {
		return 0, usage("the stream's body is whole: Write wants WithMore, and comes before CloseWrite")
	}
	sent := 0
	err := s.whenRoom(func(c *Client) bool {
		for sent < len(part) {
			head, piece := c.core.Write(&s.call.exchange, len(part)-sent, clock())
			if piece == 0 {
				return false
			}
			c.conn.send(messageFrames(&head, append([]byte(nil), part[sent:sent+piece]...))...)
			sent += piece
		}
		return true
	})
	return sent, err
}

// CloseWrite ends the request's body; the reply is still to be received. It waits until the worker has begun to read. The error
// is as of Write; a second call does nothing.
func (s *Stream) CloseWrite() error {
	if !s.call.more {
		return usage("the stream's body is whole: CloseWrite wants WithMore")
	}
	if s.closed {
		return nil
	}
	err := s.whenRoom(func(c *Client) bool {
		head, ends := c.core.WriteEnd(&s.call.exchange, clock())
		if ends {
			c.conn.send(messageFrames(&head, nil)...)
		}
		return ends
	})
	s.closed = err == nil
	return err
}

// whenRoom calls write with c.mu held, and again whenever there is more room, until it says that it is done.
func (s *Stream) whenRoom(write func(c *Client) bool) error {
	c, k := s.client, s.call
	for {
		select {
		case <-k.done:
			return io.ErrClosedPipe
		default:
		}
		c.mu.Lock()
		done := write(c)
		c.turn()
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-k.room:
		case <-k.done:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// Reply is the reply that ended the stream, once Recv has returned an error; nil if there is none. Its body is the last part,
// or with ErrAppError what the worker gave with the error.
func (s *Stream) Reply() *Reply { return s.reply }

// Close withdraws the request, unless it has ended. A stream that is not received to its end must be closed, or its ctx
// cancelled.
func (s *Stream) Close() error {
	s.client.withdraw(s.call)
	return nil
}
