// SPDX-License-Identifier: MPL-2.0

// The client of this module for bench/languages: "bench ENDPOINT SERVICE OPEN SECONDS" keeps so many requests of 64 bytes
// open, and prints the rate and the median of the time that one took, as JSON.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	riposte "github.com/riposte-broker/riposte/go"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) != 5 {
		must(fmt.Errorf("usage: bench ENDPOINT SERVICE OPEN SECONDS"))
	}
	service := os.Args[2]
	open, err := strconv.Atoi(os.Args[3])
	must(err)
	seconds, err := strconv.ParseFloat(os.Args[4], 64)
	must(err)
	ctx := context.Background()
	client, err := riposte.Dial(ctx, os.Args[1])
	must(err)
	defer client.Close()
	body := bytes.Repeat([]byte("x"), 64)
	_, err = client.Call(ctx, service, body, riposte.WithWorkerWait(5*time.Second), riposte.WithTimeout(20*time.Second))
	must(err)

	took := make([][]time.Duration, open)
	begin := time.Now()
	end := begin.Add(time.Duration(seconds * float64(time.Second)))
	var all sync.WaitGroup
	for at := range took {
		all.Add(1)
		go func(at int) {
			defer all.Done()
			for now := time.Now(); now.Before(end); {
				_, err := client.Call(ctx, service, body, riposte.WithTimeout(20*time.Second))
				must(err)
				then := time.Now()
				took[at] = append(took[at], then.Sub(now))
				now = then
			}
		}(at)
	}
	all.Wait()
	length := time.Since(begin)
	var every []time.Duration
	for _, some := range took {
		every = append(every, some...)
	}
	sort.Slice(every, func(i, j int) bool { return every[i] < every[j] })
	fmt.Printf("{\"rate\": %.0f, \"p50\": %.1f}\n", float64(len(every))/length.Seconds(),
		float64(every[len(every)/2])/float64(time.Microsecond))
}
