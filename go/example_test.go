// SPDX-License-Identifier: MPL-2.0

package riposte_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	riposte "github.com/riposte-broker/riposte/go"
)

func ExampleClient_Call() {
	client, err := riposte.NewClient("tcp://127.0.0.1:1") // where nobody listens
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	reply, err := client.Call(ctx, "upper", []byte("hello"))
	var failure *riposte.Error
	switch {
	case err == nil:
		fmt.Printf("%s\n", reply.Body)
	case errors.Is(err, riposte.ErrNoBroker):
		fmt.Println("nobody is there")
	case errors.As(err, &failure) && failure.MayHaveRun:
		fmt.Println("find out before trying again:", failure.Text)
	}
	// Output: nobody is there
}

func ExampleNewWorker() {
	worker, err := riposte.NewWorker("tcp://127.0.0.1:5555", "upper", func(task *riposte.Task) ([]byte, error) {
		return bytes.ToUpper(task.Body), nil
	}, riposte.Slots(4))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := worker.Run(ctx); err != nil { // until a signal comes; then it drains
		log.Fatal(err)
	}
}

func ExampleStream() {
	ctx := context.Background()
	client, err := riposte.Dial(ctx, "tcp://127.0.0.1:5555")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stream, err := client.Stream(ctx, "upper", nil, riposte.WithMore())
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	go func() {
		if _, err := io.Copy(stream, os.Stdin); err == nil { // waits for room at the worker
			_ = stream.CloseWrite() // how the stream ended is what Recv says
		}
	}()
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		os.Stdout.Write(part)
	}
}

func ExampleClient_CallAll() {
	ctx := context.Background()
	client, err := riposte.Dial(ctx, "tcp://127.0.0.1:5555")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	answers, err := client.CallAll(ctx, "cache", []byte("flush"), riposte.WithQuorum(2))
	if err != nil {
		log.Fatal(err)
	}
	defer answers.Close()
	for {
		answer, err := answers.Recv()
		if err == io.EOF { // two have answered with OK
			fmt.Println(answers.Reply().Header("all-statuses"))
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer.Worker, answer.Err)
	}
}

func ExampleTask_Recv() {
	worker, err := riposte.NewWorker("tcp://127.0.0.1:5555", "upper", func(task *riposte.Task) ([]byte, error) {
		for part := task.Body; ; {
			if _, err := task.Write(bytes.ToUpper(part)); err != nil { // waits for room at the client
				return nil, err
			}
			var err error
			if part, err = task.Recv(); err == io.EOF {
				return nil, nil // the rest of the reply: nothing
			} else if err != nil {
				return nil, err
			}
		}
	}, riposte.Streams(), riposte.Slots(4))
	if err != nil {
		log.Fatal(err)
	}
	if err := worker.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func ExampleClient_Conversation() {
	ctx := context.Background()
	client, err := riposte.Dial(ctx, "tcp://127.0.0.1:5555,tcp://10.0.0.2:5555")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	site := client.Conversation("site")
	defer site.End()
	for _, path := range []string{"/", "/basket"} {
		reply, err := site.Call(ctx, []byte("GET "+path))
		if errors.Is(err, riposte.ErrConversationLost) {
			continue // its worker is gone; the next request begins anew
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", reply.Body)
	}
}

func ExampleClient_Send() {
	ctx := context.Background()
	client, err := riposte.Dial(ctx, "tcp://127.0.0.1:5555")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	job, err := client.Send(ctx, "resize", []byte("cat.png"), riposte.WithKey("cat-1"), riposte.WithDelay(time.Minute))
	if err != nil {
		log.Fatal(err) // with ErrUnknown: send it again, with the same key
	}
	reply, err := client.Result(ctx, job.ID, 2*time.Minute)
	if errors.Is(err, riposte.ErrNotDone) {
		return // ask again later, from any process
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply.Body)
}
