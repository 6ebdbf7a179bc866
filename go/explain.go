// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"fmt"
	"strings"
	"time"

	"github.com/riposte-broker/riposte/go/internal/core"
)

// What this library says of the requests that it ends itself: what happened, why, and what to do next. The sentences are
// the C library's (client/explain.c, common/wire/advice.h); tests/python/test_texts.py compares.

// meanings are of statuses whose reply has no text of its own.
var meanings = map[Status]string{
	StatusAppError: "the worker replied with an error and no message; see the worker's log",
	StatusNoWorker: "no worker offers the service; start one, or list them: riposte services",
	StatusBusy:     "a queue or a limit is full; try again later, or start more workers",
	StatusDraining: "the broker is shutting down; try again later, or at another endpoint",
	StatusDenied:   "the broker does not allow it; use another service name",
	StatusInvalid:  "the broker says that the request breaks the protocol; check versions",
	StatusTooLarge: "the body is over the broker's limit; send less at once, or raise max_body there",
	StatusExpired: "the deadline passed before a worker had room, so it never ran; allow more time, or start more " +
		"workers",
	StatusCancelled: "withdrawn by the client",
	StatusWorkerLost: "the worker was lost while it had the request; it may have run: find out, or allow more " +
		"attempts",
	StatusDeadline: "the deadline passed while a worker had the request; it may have run: allow more time",
	StatusConversationLost: "the conversation and its state are gone with its worker; the next request begins " +
		"anew",
	StatusKeyMismatch: "its key was used with another body, so it never ran; use another key",
}

const (
	reasonKeyDenied   = "it does not accept this key"
	reasonKeyMade     = "it does not accept the key that was made for want of a key file"
	reasonKeyMissing  = "it wants a key, and none is given"
	reasonKeyNeedless = "it has no security, and a broker with a key is wanted"
	reasonKeyWrong    = "it ended the handshake: its key is not the one that is given here"
	reasonUnreached   = "nothing listens there, or it cannot be reached"
	reasonForbidden   = "not permitted: it wants the right to write to the socket and to enter its folders"
	reasonDescriptors = "too few descriptors are left"
)

// advices are the next steps; of several reasons the first in this order counts.
var advices = []struct{ reason, advice string }{
	{reasonDescriptors, "raise the limit: ulimit -n"},
	{reasonKeyDenied, "authorize it there: riposte keys authorize NAME.key --principal NAME, then riposte reload"},
	{reasonKeyMade, "name a key file (--key-file) whose key that broker has authorized"},
	{reasonKeyMissing, "name your key file and the broker's key: --key-file, --server-key"},
	{reasonKeyNeedless, "leave out --server-key and --key-file, or name a secure endpoint"},
	{reasonKeyWrong, "compare --server-key with what riposte keys show says there"},
	{reasonUnreached, ""},
	{"does not resolve", "check the name, or write an address in its place"},
	{"no name server answered", "check the name servers, or write an address in the place of the name"},
	{reasonForbidden, "ask for that right, or name another endpoint"},
}

// advise returns the next step for a text with reasons of one endpoint or several; "": check that a broker runs there.
func advise(why string) string {
	for _, one := range advices {
		if strings.Contains(why, one.reason) {
			return one.advice
		}
	}
	return ""
}

// unreached says that no broker was reached.
func unreached(timeout time.Duration, why string) string {
	advice := advise(why)
	if advice == "" {
		advice = "check that riposte-broker runs there, or name another endpoint"
	}
	return fmt.Sprintf("no broker was reached within %v (%s); %s", duration(timeout), why, advice)
}

// refused says that a broker, or all of the list, refused this client.
func refused(why string) string {
	advice := "check the endpoint and this client's name"
	for _, reason := range []string{reasonKeyDenied, reasonKeyMade, reasonKeyMissing, reasonKeyNeedless, reasonKeyWrong} {
		if strings.Contains(why, reason) {
			advice = advise(why)
		}
	}
	return fmt.Sprintf("%s; %s", why, advice)
}

func excess() string {
	return "the broker sent more than was granted, so a part is missing"
}

// explainJob is what is only said of durable requests; "" if there is nothing of the kind.
func explainJob(x *core.Exchange, loss, endpoint string) string {
	next := "find out, and give jobs a key, with which they may be sent again"
	if x.Keyed {
		next = "send it again with the same key"
	}
	switch x.End {
	case core.EndNoJobs:
		return fmt.Sprintf("the broker at %s keeps no jobs; start it with a store: riposte-broker --store FILE", endpoint)
	case core.EndLost:
		return fmt.Sprintf("%s; it may have the job: %s", loss, next)
	case core.EndSilent:
		return fmt.Sprintf("no answer came from the broker within %v and %d ms of grace; it may "+
			"have the job: %s", duration(x.Timeout), core.Grace.Milliseconds(), next)
	}
	return ""
}

// explain says why the library itself ended a request. why: what is known of the session's end, or of why there is none.
// open, body: what the broker allows.
func explain(x *core.Exchange, why, endpoint string, open uint32, body uint64) string {
	loss := fmt.Sprintf("the broker was lost before the reply came (%s)", why)
	if x.Durable {
		if text := explainJob(x, loss, endpoint); text != "" {
			return text
		}
	}
	timeout := duration(x.Timeout)
	switch x.End {
	case core.EndUnreached, core.EndHeld:
		if x.Timeout <= 0 {
			return "the deadline had passed before the request was submitted, so it was not sent; allow more time"
		}
		if x.End == core.EndUnreached {
			return unreached(x.Timeout, why)
		}
		return fmt.Sprintf("not sent within %v: the broker was lost (%s), or held its limit of %d requests of "+
			"this client; allow more time, or submit fewer at once", timeout, why, open)
	case core.EndLost:
		return fmt.Sprintf("%s; it may have run: find out, or allow more attempts if running it twice does no harm", loss)
	case core.EndBudget:
		return fmt.Sprintf("%s, and the retry budget is spent; it may have run: find out, and try again later", loss)
	case core.EndSilent:
		return fmt.Sprintf("no reply came from the broker within %v and %d ms of grace; it may have run: "+
			"find out before trying again", timeout, core.Grace.Milliseconds())
	case core.EndTooLarge:
		return fmt.Sprintf("the body of %s is over the broker's limit of %s; send less at once, or raise "+
			"max_body there", size(uint64(x.Size)), size(body))
	case core.EndRefused:
		return refused(why)
	case core.EndConversationOver:
		return "the conversation was over before this request was sent; the next request begins anew"
	case core.EndNoReplays:
		return fmt.Sprintf("the broker at %s remembers no results by their keys, so the request could run "+
			"twice; use another broker (replay_bytes not 0), or no key", endpoint)
	case core.EndNoStreams:
		return fmt.Sprintf("the broker at %s knows no streams; use a newer one, or call without a stream", endpoint)
	case core.EndNoAll:
		return fmt.Sprintf("the broker at %s gives no request to all workers; use a newer one", endpoint)
	}
	return meanings[StatusCancelled]
}

// written has one decimal below a hundred units, unless it is 0, as common/base/units.c writes it.
func written(value, unit uint64, name string) string {
	tenths := (value*10 + unit/2) / unit
	switch {
	case tenths >= 1000:
		return fmt.Sprintf("%d %s", (value+unit/2)/unit, name)
	case tenths%10 == 0:
		return fmt.Sprintf("%d %s", tenths/10, name)
	}
	return fmt.Sprintf("%d.%d %s", tenths/10, tenths%10, name)
}

// duration is for people: 300 ms, 1.5 s, 2 m 30 s, 24 h.
func duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	us := uint64(d.Microseconds())
	switch {
	case us < 1000:
		return written(us, 1, "µs")
	case us < 999500:
		return written(us, 1000, "ms")
	case us < 59950000:
		return written(us, 1000000, "s")
	}
	seconds := (us + 500000) / 1000000
	large, small, units := seconds/60, seconds%60, [2]string{"m", "s"}
	if seconds >= 3600 {
		large, small, units = seconds/3600, seconds%3600/60, [2]string{"h", "m"}
	}
	if small == 0 {
		return fmt.Sprintf("%d %s", large, units[0])
	}
	return fmt.Sprintf("%d %s %d %s", large, units[0], small, units[1])
}

// size is for people: 80 B, 1.5 KiB, 1 MiB.
func size(bytes uint64) string {
	unit, name := uint64(1), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if bytes < unit<<10-unit/2 {
			break
		}
		unit, name = unit<<10, next
	}
	return written(bytes, unit, name)
}
