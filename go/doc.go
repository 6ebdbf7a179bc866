// SPDX-License-Identifier: MPL-2.0

// Package riposte is a client and a worker of Riposte, a request/reply message broker on ZeroMQ, in Go without cgo.
//
// A client calls services by name, and learns of each request exactly one end:
//
//	client, err := riposte.Dial(ctx, "tcp://127.0.0.1:5555")
//	reply, err := client.Call(ctx, "upper", []byte("hello"))
//	switch {
//	case err == nil:                           // a worker ran it
//	case errors.Is(err, riposte.ErrNoWorker):  // nothing ran, and nobody offers "upper"
//	case errors.Is(err, riposte.ErrDeadline):  // it may have run
//	}
//
// The context gives the deadline, and cancels. What may be concluded from each error is in docs/CONTRACT.md; Error has
// it as MayHaveRun.
//
// A worker offers a service, with a function that answers:
//
//	worker, err := riposte.NewWorker("tcp://127.0.0.1:5555", "upper",
//		func(task *riposte.Task) ([]byte, error) { return bytes.ToUpper(task.Body), nil }, riposte.Slots(4))
//	err = worker.Run(ctx) // until ctx is done; then it drains
//
// Times are time.Duration; sizes are bytes.
package riposte
