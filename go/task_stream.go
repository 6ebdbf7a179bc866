// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"errors"
	"fmt"
	"io"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Write sends a part of the reply, in several if the client's window needs it, and waits until the client has room; the body
// that the handler returns is the last part. It is an io.Writer: part is not kept. For a client that reads no parts, they are
// joined, up to the largest reply that the broker takes. One goroutine may write while another receives.
//
// The error is that of Context when the reply is no longer wanted, after which more need not be written; or it says that the
// joined reply would be too large.
func (t *Task) Write(part []byte) (int, error) {
	sent := 0
	for {
		done, err := t.write(part, &sent)
		if done || err != nil {
			return sent, err
		}
		select {
		case <-t.room:
		case <-t.ctx.Done():
		}
	}
}

// write sends what there is room for, from *sent on. It says whether that was all.
func (t *Task) write(part []byte, sent *int) (bool, error) {
	w := t.worker
	w.mu.Lock()
	defer w.unlock()
	if err := t.ctx.Err(); err != nil {
		return false, err
	}
	if !t.Streams {
		most := w.core.MaxBody(t.work.Session)
		if most > 0 && uint64(len(t.kept)+len(part)) > most {
			return false, fmt.Errorf("riposte: the reply, of which %d bytes were written, would be over the broker's limit of %d",
				len(t.kept), most)
		}
		t.kept = append(t.kept, part...)
		*sent = len(part)
		return true, nil
	}
	for *sent < len(part) {
		head, piece := w.core.Write(&t.work, len(part)-*sent, clock())
		if piece == 0 {
			return false, nil
		}
		if to := w.conns[t.work.Session]; to != nil {
			to.send(messageFrames(&head, append([]byte(nil), part[*sent:*sent+piece]...))...)
		}
		*sent += piece
	}
	return true, nil
}

// Recv waits for the next part of the request's body behind Body. The error is io.EOF at its end, at once if the body was
// whole (see More); or that of Context when the reply is no longer wanted. What is not received waits at the client.
func (t *Task) Recv() ([]byte, error) {
	for {
		part, found, err := t.recv()
		if found || err != nil {
			return part, err
		}
		select {
		case <-t.came:
		case <-t.ctx.Done():
		}
	}
}

func (t *Task) recv() (body []byte, found bool, err error) {
	w := t.worker
	w.mu.Lock()
	defer w.unlock()
	if !t.More {
		return nil, false, io.EOF
	}
	if err := t.ctx.Err(); err != nil {
		return nil, false, err
	}
	w.core.Read(&t.work, clock())
	if len(t.parts) > 0 {
		first := t.parts[0]
		t.parts[0].body = nil
		t.parts = t.parts[1:]
		w.core.Took(&t.work, first.weight, clock())
		body, found = first.body, true
	} else if t.work.Stream.Lost() {
		err = errors.New("riposte: " + excess())
	} else if !t.work.Stream.More {
		err = io.EOF
	}
	w.turn()
	return body, found, err
}

// flow takes a part of a request, or a grant. w.mu is held.
func (w *Worker) flow(session int, head *wire.Head, body []byte) {
	work := w.core.Part(session, head, len(body), clock())
	if work == nil {
		return
	}
	task := work.Owner.(*Task)
	if head.Command == wire.Grant {
		signal(task.room)
		return
	}
	if empty := head.Flags&wire.More == 0 && len(body) == 0; !empty && !work.Stream.Lost() {
		task.parts = append(task.parts, part{body, len(body)})
	}
	signal(task.came)
}
