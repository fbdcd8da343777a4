package server

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCPUOf(t *testing.T) {
	for name, tt := range map[string]struct {
		stat string
		want time.Duration
		fail bool
	}{
		"all four":        {"7 (a) S 1 7 7 0 -1 4194560 9 0 0 0 1 20 300 4000 20 0 1 0", 43210 * time.Millisecond, false},
		"blanks in name":  {"7 (a ) b) S 1 7 7 0 -1 4194560 9 0 0 0 1 20 300 4000 20 0 1 0", 43210 * time.Millisecond, false},
		"too few":         {"7 (a) S 1 7", 0, true},
		"not even a name": {"", 0, true},
		"not a number":    {"7 (a) S 1 7 7 0 -1 4194560 9 0 0 0 x 20 300 4000 20 0 1 0", 0, true},
	} {
		if got, err := cpuOf([]byte(tt.stat)); got != tt.want || (err != nil) != tt.fail {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

func TestRSSOf(t *testing.T) {
	got, err := rssOf("Name:\tjetway\nVmHWM:\t   99 kB\nVmRSS:\t   12 kB\n")
	if err != nil || got != 12*1024 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := rssOf("Name:\tjetway\n"); err == nil {
		t.Error("a file without VmRSS has one")
	}
}

// A server is measured, says why it is not ready, and leaves nothing behind.
func TestServer(t *testing.T) {
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if err := s.Run("sh", "-c", "echo here I am; exec sleep 60"); err != nil {
		t.Fatal(err)
	}
	if err := s.Await(10*time.Second, func() error {
		if s.Log() == "" {
			return errors.New("nothing said")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rss, err := s.RSS(); err != nil || rss == 0 {
		t.Errorf("RSS %v, %v", rss, err)
	}
	if _, err := s.CPU(); err != nil {
		t.Error(err)
	}
	err = s.Await(100*time.Millisecond, func() error { return errors.New("never") })
	if err == nil || !strings.Contains(err.Error(), "never") || !strings.Contains(err.Error(), "here I am") {
		t.Errorf("got %v", err)
	}
	s.Stop()
	if _, err := s.RSS(); err == nil {
		t.Error("a stopped server has a size")
	}
}
