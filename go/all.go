// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"io"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Answer is what became of a request for all workers at one of them.
type Answer struct {
	// Worker is its name.
	Worker string
	// Reply is what the worker said; nil if it said nothing.
	Reply *Reply
	// Err is nil, or an *Error with the status of this answer, as that of Call.
	Err error
}

// Answers is a request for all workers of a service. One goroutine at a time may receive; Close may be called by any.
type Answers struct {
	client *Client
	ctx    context.Context
	call   *call
	reply  *Reply
	err    error
}

// CallAll sends a request to all workers of the service that take requests when the broker gets it, and returns at once: each
// gets it once, or not at all, and answers for itself. Its end is ErrNoWorker when there are none; it is OK when all answered
// with OK, or as many as WithFirst or WithQuorum say.
//
// Deadline and ctx are as those of Call, and hold for all of them; attempts and a wait for a worker do not count. Each worker counts as
// a request in the broker's limits. The error is ErrUsage (such a request has no key, no hedge and no stream), ErrFull or ErrClosed.
func (c *Client) CallAll(ctx context.Context, service string, body []byte, options ...CallOption) (*Answers, error) {
	k := &call{service: service, body: body, came: make(chan struct{}, 1)}
	k.exchange.All = true
	if err := c.prepare(k, options); err != nil {
		return nil, err
	}
	k.exchange.Attempts = 1
	if err := c.submit(ctx, k); err != nil {
		return nil, err
	}
	go c.await(ctx, k)
	return &Answers{client: c, ctx: ctx, call: k}, nil
}

// answer takes an answer that came. c.mu is held.
func (k *call) answer(head *wire.Head, body []byte) {
	reply := k.replyOf(head, body)
	answer := &Answer{Worker: reply.Worker()}
	if head.Status == wire.OK || head.Status == wire.AppError {
		answer.Reply = reply
	}
	if head.Status != wire.OK {
		answer.Err = k.errorOf(head.Status, head)
	}
	k.answers = append(k.answers, answer)
	signal(k.came)
}

// Recv waits for the next answer. The error is io.EOF when the request has ended with OK, and otherwise what Call returns; it
// stays so. An answer with another status than OK is no error here: see Answer.Err.
func (a *Answers) Recv() (*Answer, error) {
	k := a.call
	var answer *Answer
	found := a.client.next(k, func() bool {
		if len(k.answers) == 0 {
			return false
		}
		answer, k.answers[0] = k.answers[0], nil
		k.answers = k.answers[1:]
		return true
	})
	if found {
		return answer, nil
	}
	if a.err == nil {
		a.end()
	}
	return nil, a.err
}

func (a *Answers) end() {
	reply, failure := a.call.end(a.client, a.ctx)
	a.err = io.EOF
	if failure != nil {
		a.err = failure
	}
	if a.call.exchange.End == core.EndReply {
		a.reply = reply
	}
}

// Reply is how the broker ended the request, once Recv has returned an error; nil if it did not. Its headers are the summary:
// all-workers (how many were asked), all-answered (how many of them answered with OK or APP_ERROR) and all-statuses (such as
// "OK=2 WORKER_LOST=1").
func (a *Answers) Reply() *Reply { return a.reply }

// Close withdraws the request, unless it has ended. One whose answers are not received to their end must be closed, or its
// ctx cancelled.
func (a *Answers) Close() error {
	a.client.withdraw(a.call)
	return nil
}
