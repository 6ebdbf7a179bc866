// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"fmt"
	"io"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Stream is a reply that comes in parts. It is for one goroutine at a time, but Close may be called by any.
type Stream struct {
	client *Client
	ctx    context.Context
	call   *call
	reply  *Reply
	err    error
	ended  bool
}

// Stream sends a request whose reply comes in parts, as its worker writes them, and returns at once. body is copied. What
// is not received waits at the worker, which waits for room: see WithWindow. A worker that writes no parts answers with
// one.
//
// The deadline is that of ctx or WithTimeout, and otherwise a day; WithIdleTimeout ends it when nothing comes for so long.
// When ctx is cancelled, the request is withdrawn. Once a part came, no other worker gets it. The error is ErrUsage (a
// stream has no key), ErrFull or ErrClosed.
//
// A client of several brokers leaves one that drains once nothing of it runs there, and what it sends until then waits in the
// client. So give streams that last long a client of their own.
func (c *Client) Stream(ctx context.Context, service string, body []byte, options ...CallOption) (*Stream, error) {
	k := &call{service: service, body: append([]byte(nil), body...), came: make(chan struct{}, 1)}
	k.exchange.Stream = &core.Stream{}
	if err := c.prepare(k, options); err != nil {
		return nil, err
	}
	k.exchange.Stream.Window = core.StreamWindow
	if k.window > 0 {
		k.exchange.Stream.Window = uint64(k.window)
	}
	if !k.limited {
		k.exchange.Timeout = dayMost
	}
	if err := c.submit(ctx, k); err != nil {
		return nil, err
	}
	s := &Stream{client: c, ctx: ctx, call: k}
	go c.await(ctx, k)
	return s, nil
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
	if !k.exchange.Stream.Came(weight) {
		c.core.Cancel(&k.exchange, clock())
		return
	}
	k.parts = append(k.parts, part{body, weight})
	select {
	case k.came <- struct{}{}:
	default:
	}
}

// Recv waits for the next part. The error is io.EOF at the end of a reply that a worker has given, and otherwise what Call
// returns; it stays so.
func (s *Stream) Recv() ([]byte, error) {
	for {
		part, found := s.take()
		if found {
			return part, nil
		}
		select {
		case <-s.call.came:
			continue
		case <-s.call.done:
		}
		if part, found = s.take(); found { // it came before the end
			return part, nil
		}
		return s.end()
	}
}

func (s *Stream) take() ([]byte, bool) {
	c, k := s.client, s.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(k.parts) == 0 {
		return nil, false
	}
	first := k.parts[0]
	k.parts[0].body = nil
	k.parts = k.parts[1:]
	c.core.Took(&k.exchange, first.weight, clock())
	c.turn()
	return first.body, true
}

// end returns the last part, which is the body of the reply, and then how it ended.
func (s *Stream) end() ([]byte, error) {
	if s.ended {
		return nil, s.err
	}
	s.ended = true
	s.reply, s.err = s.call.result(s.client, s.ctx)
	if s.err == nil && s.call.exchange.Stream.Lost() {
		s.err = fmt.Errorf("riposte: the broker sent more than was granted, so a part is missing")
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

// Reply is the reply that ended the stream, once Recv has returned an error; nil if there is none. Its body is the last part,
// or with ErrAppError what the worker gave with the error.
func (s *Stream) Reply() *Reply { return s.reply }

// Close withdraws the request, unless it has ended. A stream that is not received to its end must be closed, or its ctx
// cancelled.
func (s *Stream) Close() error {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.Cancel(&s.call.exchange, clock())
	c.turn()
	return nil
}
