package sio

import (
	"testing"
	"time"
)

// TestExpireTooEarly has the timer of a token fire while it is still good, as
// after the clock was set back, or while a refresh stops it.
func TestExpireTooEarly(t *testing.T) {
	s := &Socket{expires: time.Now().Add(time.Hour)}
	s.expire()
	if s.expiry == nil {
		t.Error("nothing ends a socket any more whose timer fired early")
	} else {
		s.expiry.Stop()
	}
	s = &Socket{}
	s.expire() // would use the connection, of which there is none
	if s.expiry != nil {
		t.Error("a socket without an end has a timer")
	}
}
