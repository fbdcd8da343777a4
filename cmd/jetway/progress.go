package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows how far a replay has come, on one line that is written over.
// Short replays show nothing.
type progress struct {
	w     io.Writer
	begun time.Time
	last  time.Time
	shown bool
}

// A replay is long when this much lies ahead; then it is shown this often.
const (
	progressLag   = 10_000
	progressEvery = 500 * time.Millisecond
)

// event notes one event; lag is how many messages of the stream lie ahead.
func (p *progress) event(n int, lag uint64, now time.Time) {
	if p.begun.IsZero() {
		p.begun, p.last = now, now
	}
	if now.Sub(p.last) < progressEvery || lag < progressLag && !p.shown {
		return
	}
	p.last, p.shown = now, true
	rate := float64(n) / now.Sub(p.begun).Seconds()
	fmt.Fprintf(p.w, "\r%d events, %.0f/s, %d messages of the stream ahead\x1b[K", n, rate, lag)
}

// end leaves the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.w)
		p.shown = false
	}
}
