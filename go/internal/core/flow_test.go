// SPDX-License-Identifier: MPL-2.0

package core

import (
	"testing"
	"time"
)

const (
	wayWindow = 65536
	wayMost   = 1048576
	wayPiece  = 4000
	waySteps  = 1000 // of a ms each
)

// way is one on which parts and grants take a while, ms, between a writer and a reader that take their time: so many parts in a ms
// at most.
type way struct{ delay, written, taken, takenEvery int }

// windowAfter returns the window that the reader has in the end.
func (w way) windowAfter(t *testing.T, most uint64) uint64 {
	t.Helper()
	var reader Reader
	var writer Writer
	var parts [waySteps + 100]int
	var grants [waySteps + 100]uint64
	reader.begin(wayWindow, most)
	writer.grant(wayWindow)
	unread := 0
	for ms := 0; ms < waySteps; ms++ {
		now := time.Duration(ms) * time.Millisecond
		writer.grant(grants[ms])
		for part := 0; part < w.written && writer.piece(wayPiece, 0) > 0; part++ {
			parts[ms+w.delay]++
		}
		for part := 0; part < parts[ms]; part, unread = part+1, unread+1 {
			if !reader.Came(wayPiece, now) {
				t.Fatal("a part was not granted")
			}
		}
		for part := 0; ms%w.takenEvery == 0 && part < w.taken && unread > 0; part, unread = part+1, unread-1 {
			if reader.took(wayPiece, now) {
				grants[ms+w.delay] = reader.granted
			}
		}
		if reader.window > most || reader.granted > reader.taken+most {
			t.Fatalf("a window of %d, %d granted", reader.window, reader.granted)
		}
	}
	return reader.window
}

func TestAWindowThatIsTooSmallForTheWayGrowsToItsBound(t *testing.T) {
	for _, most := range []uint64{wayMost, 100000, wayWindow} {
		if got := (way{10, 1000, 1000, 1}).windowAfter(t, most); got != most {
			t.Errorf("%d of %d", got, most)
		}
	}
}

// 4 MB a second over 20 ms need 80 kB.
func TestAWindowGrowsNoFurtherThanItsWriterNeeds(t *testing.T) {
	if got := (way{10, 1, 1000, 1}).windowAfter(t, wayMost); got < 80000 || got > 4*wayWindow {
		t.Errorf("far: %d", got)
	}
	if got := (way{1, 1, 1000, 1}).windowAfter(t, wayMost); got > 2*wayWindow {
		t.Errorf("near: %d", got)
	}
}

func TestASlowReaderDoesNotLetItsWindowGrow(t *testing.T) {
	if got := (way{10, 1000, 1, 10}).windowAfter(t, wayMost); got != wayWindow {
		t.Errorf("%d", got)
	}
}

func TestOnlyAWindowThatIsNotStatedGrows(t *testing.T) {
	for _, grows := range []bool{false, true} {
		s := &Stream{Window: 1000, Grows: grows}
		s.begin(5000)
		if s.most != map[bool]uint64{false: 1000, true: 5000}[grows] {
			t.Errorf("grows %v: to %d", grows, s.most)
		}
	}
}
