package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressOfALongReplay(t *testing.T) {
	var out bytes.Buffer
	p := progress{w: &out}
	now := time.Unix(0, 0)
	for i := 1; i <= 40; i++ {
		p.event(i*1000, uint64(40_000-i*1000), now)
		now = now.Add(100 * time.Millisecond)
	}
	p.end()
	p.end()
	lines := strings.Split(out.String(), "\r")
	if len(lines) < 5 || !strings.HasPrefix(lines[1], "6000 events, ") || !strings.Contains(lines[1], "34000 messages of the stream ahead") {
		t.Errorf("%q", lines)
	}
	if strings.Count(out.String(), "\n") != 1 {
		t.Errorf("the line is left %d times", strings.Count(out.String(), "\n"))
	}
	out.Reset()
	short := progress{w: &out}
	for i := range 100 {
		short.event(i, uint64(100-i), now.Add(time.Duration(i)*time.Second))
	}
	short.end()
	if out.Len() > 0 {
		t.Errorf("a short replay shows %q", out.String())
	}
}
