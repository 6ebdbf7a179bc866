// SPDX-License-Identifier: MPL-2.0

package core

import (
	"time"

	"github.com/riposte-broker/riposte/go/internal/wire"
)

const (
	// StreamWindow is the window of a reader that asks for none, and streamWindowMost what it may grow to.
	StreamWindow     = 262144
	streamWindowMost = 4194304
	// A part that comes later than this after its GRANT says nothing about the way.
	roundTripMost = time.Second
)

// windowOf is a window that the broker allows; limit: what its WELCOME says, 0: nothing.
func windowOf(wanted, limit uint64) uint64 {
	if limit > 0 && limit < wanted {
		return limit
	}
	return wanted
}

// Reader is the flow control of a body in parts at who reads it (docs/PROTOCOL.md, 11). Both sides count costs, a part's
// bytes with its headers and wire.PartCost. It lets its window be written beyond what was taken, and grants again when half
// of it was.
//
// A window that makes its writer wait is doubled, up to a bound: the first part that only the latest GRANT allowed comes when
// the application has taken everything, and as soon after that GRANT as any such part ever did (docs/adr/0052).
type Reader struct {
	window, most, granted, came, taken uint64

	before   uint64        // what was granted before the GRANT whose round trip is measured; 0: none is
	asked    time.Duration // when that GRANT was made
	shortest time.Duration // round trip; 0: none is known
	grows    bool          // the window is too small

	lost bool // a part was not granted: the body has a hole
}

// begin grants the window. most: what it may grow to; the same for one that stays as it is.
func (r *Reader) begin(window, most uint64) { *r = Reader{window: window, most: most, granted: window} }

// Came takes note of a part; size: of its body and headers. False: it was not granted, and the body has a hole.
func (r *Reader) Came(size int, now time.Duration) bool {
	starved := r.came == r.taken
	r.came += uint64(size) + wire.PartCost
	if r.before > 0 && r.came > r.before {
		r.measure(starved, now)
	}
	r.lost = r.lost || r.came > r.granted
	return !r.lost
}

// measure: the first part came that the latest GRANT allowed. starved: the application had taken everything.
func (r *Reader) measure(starved bool, now time.Duration) {
	r.before = 0
	trip := now - r.asked
	if trip > roundTripMost {
		return
	}
	if trip < time.Microsecond {
		trip = time.Microsecond // 0 is none
	}
	if r.shortest == 0 || trip < r.shortest {
		r.shortest = trip
	}
	r.grows = starved && trip <= r.shortest+r.shortest/2
}

// Lost says whether parts are missing.
func (r *Reader) Lost() bool { return r.lost }

// took: the application took a part; size: of its body and headers. True: granted has risen, and is to be sent.
func (r *Reader) took(size int, now time.Duration) bool {
	r.taken += uint64(size) + wire.PartCost
	grew := r.grows
	if grew {
		r.grows = false
		r.window = windowOf(2*r.window, r.most)
	}
	grant := r.taken + r.window
	if grant-r.granted < (r.window+1)/2 {
		return false
	}
	if r.before == 0 && !grew { // the writer waits for the larger one in any case
		r.before, r.asked = r.granted, now
	}
	r.granted = grant
	return true
}

// Writer is the same at who writes it. What is longer than half of the reader's window goes in pieces, so that a piece always
// fits into what a reader that has taken everything has granted.
type Writer struct {
	window  uint64 // the first grant: the reader's window
	granted uint64
	written uint64
}

// grant takes a grant. True: it allows more than those before.
func (w *Writer) grant(granted uint64) bool {
	if granted <= w.granted {
		return false
	}
	if w.granted == 0 {
		w.window = granted
	}
	w.granted = granted
	return true
}

// piece returns how many bytes of so many the next part has, which count as written. 0: it has to wait.
func (w *Writer) piece(size int, maxBody uint64) int {
	largest := uint64(1)
	if w.window/2 > wire.PartCost {
		largest = w.window/2 - wire.PartCost
	}
	if maxBody > 0 && largest > maxBody {
		largest = maxBody
	}
	piece := uint64(size)
	if piece > largest {
		piece = largest
	}
	if w.written+piece+wire.PartCost > w.granted {
		return 0
	}
	w.written += piece + wire.PartCost
	return int(piece)
}
