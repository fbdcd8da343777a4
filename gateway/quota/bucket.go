package quota

import "time"

// Rate is what a [Bucket] lets through. The zero value lets everything through.
type Rate struct {
	PerSecond float64
	Burst     float64 // at once, after a pause; what is larger by itself counts as much
}

// PerSecond is a rate with bursts of one second, and of least at least.
func PerSecond(n, least float64) Rate { return Rate{n, max(n, least, 1)} }

// Bucket counts what a [Rate] is about. The zero value has had nothing to do.
// It is not safe for concurrent use.
type Bucket struct {
	used float64       // of the burst, as of at
	at   time.Duration // any clock that does not go back
	told time.Duration // until when those who were refused are told to come back
}

// Wait returns how long n have to wait until they may pass; 0 is now.
func (b *Bucket) Wait(r Rate, now time.Duration, n float64) time.Duration {
	if r.PerSecond <= 0 {
		return 0
	}
	if passed := now - b.at; passed > 0 {
		b.used = max(0, b.used-passed.Seconds()*r.PerSecond)
	}
	b.at = now
	over := b.used + min(n, r.Burst) - r.Burst
	if over <= 0 {
		return 0
	}
	return max(inTime(over, r), 1)
}

// Take lets n pass, which Wait has said may.
func (b *Bucket) Take(r Rate, n float64) { b.used += min(n, r.Burst) }

// Allow lets n pass, or returns how long they have to wait.
func (b *Bucket) Allow(r Rate, now time.Duration, n float64) time.Duration {
	d := b.Wait(r, now, n)
	if d == 0 {
		b.Take(r, n)
	}
	return d
}

// full is how long a whole burst takes to be whole again.
func (r Rate) full() time.Duration {
	if r.PerSecond <= 0 {
		return 0
	}
	return inTime(r.Burst, r)
}

// whole reports whether all of the burst is there.
func (b *Bucket) whole(r Rate, now time.Duration) bool {
	b.Wait(r, now, 0)
	return b.used == 0 || r.PerSecond <= 0
}

// spread is how much later than the first of many that are refused at once the
// last of them is told to come back. Beyond, they meet again.
const spread = 10 * time.Second

// later is when n that have to wait are told to come back: after those who were
// told before.
func (b *Bucket) later(r Rate, now, wait time.Duration, n float64) time.Duration {
	at := min(max(b.told, now+wait), now+wait+spread)
	b.told = at + inTime(min(n, r.Burst), r)
	return (at - now).Round(time.Millisecond) + time.Millisecond
}

// inTime is how long a rate needs for n.
func inTime(n float64, r Rate) time.Duration {
	const most = 1 << 62 // a float over it has no defined integer
	return time.Duration(min(n/r.PerSecond*float64(time.Second), most))
}
