package native

import (
	"testing"
	"time"
)

// TestExpireTooEarly has the timer of a token fire while it is still good, as
// after the clock was set back, or while a refresh stops it.
func TestExpireTooEarly(t *testing.T) {
	s := &Session{expires: time.Now().Add(time.Hour)}
	s.expire()
	if s.expiry == nil {
		t.Error("nothing ends a session any more whose timer fired early")
	} else {
		s.expiry.Stop()
	}
	s = &Session{}
	s.expire() // would use the client, of which there is none
	if s.expiry != nil {
		t.Error("a session without an end has a timer")
	}
}
