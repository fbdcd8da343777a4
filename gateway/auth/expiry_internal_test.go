package auth

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// diary is what an Expiry has done, and when.
type diary struct {
	t       *testing.T
	begun   time.Time
	entries []entry
}

type entry struct {
	at   time.Duration
	what string
	in   time.Duration // of a warning
}

func (d *diary) plan(ends, before time.Duration) Plan {
	return Plan{
		At: d.begun.Add(ends), End: func() { d.add("end", 0) },
		Before: before, Warn: func(in time.Duration) { d.add("warning", in) },
	}
}

func (d *diary) add(what string, in time.Duration) {
	d.entries = append(d.entries, entry{time.Since(d.begun), what, in})
}

// after waits for all that comes within an hour.
func (d *diary) after(want ...entry) {
	d.t.Helper()
	<-time.After(time.Hour)
	synctest.Wait()
	if !slices.Equal(d.entries, want) {
		d.t.Errorf("got %v, want %v", d.entries, want)
	}
}

func TestExpiry(t *testing.T) {
	const minute = time.Minute
	warning := func(at, in time.Duration) entry { return entry{at, "warning", in} }
	end := func(at time.Duration) entry { return entry{at, "end", 0} }
	for name, tt := range map[string]struct {
		do   func(e *Expiry, d *diary)
		want []entry
	}{
		"a warning and the end":   {func(e *Expiry, d *diary) { e.Set(d.plan(10*minute, minute)) }, []entry{warning(9*minute, minute), end(10 * minute)}},
		"just long enough":        {func(e *Expiry, d *diary) { e.Set(d.plan(2*minute, minute)) }, []entry{warning(minute, minute), end(2 * minute)}},
		"a short one, at half":    {func(e *Expiry, d *diary) { e.Set(d.plan(30*time.Second, minute)) }, []entry{warning(15*time.Second, 15*time.Second), end(30 * time.Second)}},
		"no warnings":             {func(e *Expiry, d *diary) { e.Set(d.plan(10*minute, 0)) }, []entry{end(10 * minute)}},
		"no end, and none before": {func(e *Expiry, d *diary) { e.Set(Plan{Before: minute}) }, nil},
		"over already":            {func(e *Expiry, d *diary) { e.Set(d.plan(-minute, minute)) }, []entry{end(0)}},
		"replaced by none":        {func(e *Expiry, d *diary) { e.Set(d.plan(10*minute, minute)); e.Set(Plan{}) }, nil},
		"stopped":                 {func(e *Expiry, d *diary) { e.Set(d.plan(10*minute, minute)); e.Stop() }, nil},
		"too late":                {func(e *Expiry, d *diary) { e.Stop(); e.Set(d.plan(10*minute, minute)) }, nil},
		"a new token, before all": {func(e *Expiry, d *diary) { e.Set(d.plan(2*minute, minute)); e.Set(d.plan(10*minute, minute)) }, []entry{warning(9*minute, minute), end(10 * minute)}},
		"a new token, when warned": {func(e *Expiry, d *diary) {
			e.Set(d.plan(4*minute, minute))
			<-time.After(210 * time.Second)
			e.Set(d.plan(10*minute, minute))
		}, []entry{warning(3*minute, minute), warning(9*minute, minute), end(10 * minute)}},
		"the same one, when warned": {func(e *Expiry, d *diary) {
			e.Set(d.plan(4*minute, minute))
			<-time.After(210 * time.Second)
			e.Set(d.plan(4*minute, minute))
		}, []entry{warning(3*minute, minute), end(4 * minute)}},
		"the same one, not yet": {func(e *Expiry, d *diary) { e.Set(d.plan(4*minute, 0)); e.Set(d.plan(4*minute, minute)) }, []entry{warning(3*minute, minute), end(4 * minute)}},
		"stopped when warned":   {func(e *Expiry, d *diary) { e.Set(d.plan(4*minute, minute)); <-time.After(210 * time.Second); e.Stop() }, []entry{warning(3*minute, minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{t: t, begun: time.Now()}
				tt.do(new(Expiry), d)
				d.after(tt.want...)
			})
		})
	}
}

// TestExpiryTooEarly has the timer fire while the token is still good, as after
// the clock was set back, or while a refresh stops it.
func TestExpiryTooEarly(t *testing.T) {
	end, warn := func() { t.Error("ended") }, func(time.Duration) { t.Error("warned") }
	for _, before := range []time.Duration{0, time.Minute} {
		var e Expiry
		e.Set(Plan{At: time.Now().Add(time.Hour), End: end, Before: before, Warn: warn})
		e.timer.Stop()
		first := e.timer
		e.fired()
		if e.timer == nil || e.timer == first {
			t.Error("nothing ends a client any more whose timer fired early")
		}
		e.Set(Plan{End: end})
		e.fired()
		if e.timer != nil {
			t.Error("a client without an end has a timer")
		}
		e.Stop()
		e.Set(Plan{At: time.Now().Add(-time.Hour), End: end, Before: before, Warn: warn})
		e.fired() // after its client is gone
	}
}

// TestExpirySleeps has the machine sleep through the warning: the end comes
// without one.
func TestExpirySleeps(t *testing.T) {
	var e Expiry
	ended := false
	e.Set(Plan{At: time.Now().Add(time.Hour), End: func() { ended = true }, Before: time.Minute, Warn: func(time.Duration) { t.Error("warned") }})
	e.timer.Stop()
	e.plan.At, e.warnAt = time.Now().Add(-time.Second), time.Now().Add(-time.Minute)
	e.fired()
	if !ended {
		t.Error("goes on")
	}
}
