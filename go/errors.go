// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"errors"
	"fmt"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

// Status is the end of a request, by its number in docs/CONTRACT.md, which says what may be concluded from each.
type Status uint8

// The statuses. NoBroker and Unknown are this library's; the others travel.
const (
	StatusOK               Status = 0  // a worker ran it; this is its reply
	StatusAppError         Status = 1  // a worker ran it and says that it failed
	StatusNoWorker         Status = 2  // no worker offers the service; nothing ran
	StatusBusy             Status = 3  // a queue, a limit or a quota is full; nothing ran
	StatusDraining         Status = 4  // the broker is going away; nothing ran
	StatusDenied           Status = 5  // not allowed; nothing ran
	StatusInvalid          Status = 6  // it breaks the protocol; nothing ran
	StatusTooLarge         Status = 7  // the body is over a limit; nothing ran
	StatusExpired          Status = 8  // the deadline passed before a worker had room; nothing ran
	StatusCancelled        Status = 9  // withdrawn; it may have run if attempts were made
	StatusWorkerLost       Status = 10 // the worker was lost; it may have run
	StatusDeadline         Status = 11 // the deadline passed while a worker had it; it may have run
	StatusConversationLost Status = 12 // the conversation and its state are gone; this request did not run
	StatusKeyMismatch      Status = 13 // its idempotency key has another body already; nothing ran
	StatusNoBroker         Status = 64 // no broker was reached in time; nothing ran
	StatusUnknown          Status = 65 // the broker was lost, or fell silent; it may have run
)

var statuses = map[Status]struct {
	name string
	err  error
}{
	StatusOK:               {"OK", nil},
	StatusAppError:         {"APP_ERROR", ErrAppError},
	StatusNoWorker:         {"NO_WORKER", ErrNoWorker},
	StatusBusy:             {"BUSY", ErrBusy},
	StatusDraining:         {"DRAINING", ErrDraining},
	StatusDenied:           {"DENIED", ErrDenied},
	StatusInvalid:          {"INVALID", ErrInvalid},
	StatusTooLarge:         {"TOO_LARGE", ErrTooLarge},
	StatusExpired:          {"EXPIRED", ErrExpired},
	StatusCancelled:        {"CANCELLED", ErrCancelled},
	StatusWorkerLost:       {"WORKER_LOST", ErrWorkerLost},
	StatusDeadline:         {"DEADLINE", ErrDeadline},
	StatusConversationLost: {"CONVERSATION_LOST", ErrConversationLost},
	StatusKeyMismatch:      {"KEY_MISMATCH", ErrKeyMismatch},
	StatusNoBroker:         {"NO_BROKER", ErrNoBroker},
	StatusUnknown:          {"UNKNOWN", ErrUnknown},
}

// String is the name of the status as documents write it, for example NO_WORKER.
func (s Status) String() string {
	if known, ok := statuses[s]; ok {
		return known.name
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// One error for each status but OK, for errors.Is. docs/CONTRACT.md says what may be concluded.
var (
	ErrAppError         = errors.New("riposte: the worker replied with an error")
	ErrNoWorker         = errors.New("riposte: no worker offers the service")
	ErrBusy             = errors.New("riposte: a queue or a limit is full")
	ErrDraining         = errors.New("riposte: the broker takes no new requests")
	ErrDenied           = errors.New("riposte: not allowed")
	ErrInvalid          = errors.New("riposte: the message breaks the protocol")
	ErrTooLarge         = errors.New("riposte: the body is over the limit")
	ErrExpired          = errors.New("riposte: the deadline passed before a worker had room")
	ErrCancelled        = errors.New("riposte: withdrawn by the client")
	ErrWorkerLost       = errors.New("riposte: the worker was lost")
	ErrDeadline         = errors.New("riposte: the deadline passed while a worker had the request")
	ErrConversationLost = errors.New("riposte: the conversation is gone, and its state with it")
	ErrKeyMismatch      = errors.New("riposte: its idempotency key has another body already")
	ErrNoBroker         = errors.New("riposte: no broker was reached")
	ErrUnknown          = errors.New("riposte: the broker was lost, and the outcome is unknown")
)

// Errors that are not about the end of a request.
var (
	// ErrUsage: an argument is wrong; the text says which and what would be right.
	ErrUsage = errors.New("riposte: wrong use")
	// ErrClosed: the client is closed.
	ErrClosed = errors.New("riposte: the client is closed")
	// ErrFull: as many requests are open as MaxOpen allows.
	ErrFull = errors.New("riposte: too many requests are open")
	// ErrNotDone: the job has no final yet.
	ErrNotDone = errors.New("riposte: the job is not done yet")
	// ErrDrainLimit: the limit of a drain passed before every request was answered. The broker counts them as lost.
	ErrDrainLimit = errors.New("riposte: requests were not answered within the limit of the drain")
	// ErrRetry, returned by a Handler or wrapped in what it returns, asks for another attempt, later: see Handler.
	ErrRetry = errors.New("riposte: again, later")
)

func usage(format string, args ...interface{}) error {
	return fmt.Errorf("%w: %s", ErrUsage, fmt.Sprintf(format, args...))
}

// Error is the end of a request other than OK. errors.Is matches it with the error of its status, and with the
// context's error if that is why it ended.
type Error struct {
	Status  Status
	Service string
	// ID is the number of the request within its client; never 0.
	ID uint64
	// Attempts is how often a worker was given the request under its last id; 0: never, under any id.
	Attempts int
	// MayHaveRun is false only if the contract says that no worker began it.
	MayHaveRun bool
	// Code is the application's own number with StatusAppError.
	Code uint32
	// Text says what went wrong, and what to do next, in one line.
	Text string

	cause error
}

// Error is Text, with the service and the name of the status.
func (e *Error) Error() string {
	return fmt.Sprintf("riposte: %s: %v: %s", e.Service, e.Status, e.Text)
}

// Is matches the error of e's status.
func (e *Error) Is(target error) bool {
	return target != nil && target == statuses[e.Status].err
}

// Unwrap returns the context's error if that is why the request ended, or nil.
func (e *Error) Unwrap() error { return e.cause }

// mayHaveRun is what the contract says, if nothing is known of an earlier id of the request.
func mayHaveRun(status wire.Status, attempts int) bool {
	return !status.ProvesNothingRan() && (status != wire.Cancelled || attempts > 0)
}
