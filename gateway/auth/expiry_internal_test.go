package auth

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Expiry
		start, ended := time.Now(), make(chan time.Duration, 1)
		end := func() { ended <- time.Since(start) }
		e.Set(start.Add(time.Second), func() { t.Error("what was replaced ends the client") })
		e.Set(start.Add(time.Minute), end)
		if after := <-ended; after != time.Minute {
			t.Errorf("ended after %s", after)
		}
		e.Set(time.Now().Add(time.Second), end)
		e.Set(time.Time{}, end) // from now on it has no end
		e.Set(time.Now().Add(time.Second), end)
		e.Stop()
		e.Set(time.Now().Add(time.Second), end) // too late
		<-time.After(time.Hour)
		synctest.Wait()
		if len(ended) > 0 {
			t.Errorf("ended after %s", <-ended)
		}
	})
}

// TestExpiryTooEarly has the timer fire while the token is still good, as after
// the clock was set back, or while a refresh stops it.
func TestExpiryTooEarly(t *testing.T) {
	end := func() { t.Error("ended") }
	var e Expiry
	e.Set(time.Now().Add(time.Hour), end)
	e.timer.Stop()
	first := e.timer
	e.fired()
	if e.timer == nil || e.timer == first {
		t.Error("nothing ends a client any more whose timer fired early")
	}
	e.Set(time.Time{}, end)
	e.fired()
	if e.timer != nil {
		t.Error("a client without an end has a timer")
	}
	e.Stop()
	e.Set(time.Now().Add(-time.Hour), end)
	e.fired() // after its client is gone
}
