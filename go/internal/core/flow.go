// SPDX-License-Identifier: MPL-2.0

package core

import "github.com/riposte-broker/riposte/go/internal/wire"

// StreamWindow is the window of a reader that asks for none.
const StreamWindow = 262144

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
type Reader struct {
	window, granted, came, taken uint64

	lost bool // a part was not granted: the body has a hole
}

func (r *Reader) begin(window uint64) { *r = Reader{window: window, granted: window} }

// Came takes note of a part; size: of its body and headers. False: it was not granted, and the body has a hole.
func (r *Reader) Came(size int) bool {
	r.came += uint64(size) + wire.PartCost
	r.lost = r.lost || r.came > r.granted
	return !r.lost
}

// Lost says whether parts are missing.
func (r *Reader) Lost() bool { return r.lost }

// took: the application took a part; size: of its body and headers. True: granted has risen, and is to be sent.
func (r *Reader) took(size int) bool {
	r.taken += uint64(size) + wire.PartCost
	grant := r.taken + r.window
	if grant-r.granted < (r.window+1)/2 {
		return false
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
