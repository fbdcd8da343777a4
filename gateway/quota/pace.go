package quota

import "time"

// Pace slows a reader down to so many messages a second, with bursts of one
// second: for what must not be refused, and must not take a whole processor
// either. It is for one goroutine at a time; a nil one does not slow down.
type Pace struct {
	rate   Rate
	began  time.Time
	bucket Bucket
}

// NewPace returns nil for a rate that is not positive.
func NewPace(perSecond float64) *Pace {
	if perSecond <= 0 {
		return nil
	}
	return &Pace{rate: PerSecond(perSecond, 0), began: time.Now()}
}

// pause is how long a reader that is too fast rests: a hundred times a second
// costs less than once for each message.
const pause = 10 * time.Millisecond

// Wait counts one message, and returns when it may be handled, after little
// more than that takes.
func (p *Pace) Wait() {
	if p == nil {
		return
	}
	if d := p.bucket.Wait(p.rate, time.Since(p.began), 1); d > 0 {
		time.Sleep(d + pause)
		p.bucket.Wait(p.rate, time.Since(p.began), 1)
	}
	p.bucket.Take(p.rate, 1)
}
