package brokertest

import (
	"fmt"
	"sync"

	"github.com/jetway-io/jetway/bridge"
)

var signalTests = []test{
	{name: "reaches every listener, in order", run: testSignal},
	{name: "nothing after stop", run: testSignalStop},
}

// signals remembers what gateways signal.
type signals struct {
	r    *rig
	stop func()
	news chan struct{}

	mu  sync.Mutex
	got []string // guarded by mu
}

func (r *rig) signals() *signals {
	r.Helper()
	s := &signals{r: r, news: make(chan struct{}, 1)}
	stop, err := r.Signals(s.hear)
	r.ok("Signals", err)
	s.stop = sync.OnceFunc(stop)
	r.Cleanup(s.stop)
	return s
}

func (s *signals) hear(name string, data []byte) {
	s.mu.Lock()
	s.got = append(s.got, fmt.Sprintf("%s:%s", name, data))
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *signals) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[:len(s.got):len(s.got)]
}

func (s *signals) until(n int) []string {
	s.r.Helper()
	for len(s.heard()) < n {
		s.r.await(s.news, fmt.Sprintf("%d signals", n))
	}
	return s.heard()
}

func testSignal(r *rig) {
	one, two := r.signals(), r.signals()
	want := []string{"attach:ann", "drain:", "attach:bob"}
	r.ok("Signal", r.Signal("attach", []byte("ann")))
	r.ok("Signal", r.Signal("drain", nil))
	r.ok("Signal", r.Signal("attach", []byte("bob")))
	same(r, "heard by the first", one.until(3), want)
	same(r, "heard by the second", two.until(3), want)
}

func testSignalStop(r *rig) {
	one, two := r.signals(), r.signals()
	r.ok("Signal", r.Signal("a", nil))
	one.until(1)
	one.stop()
	r.ok("Signal", r.Signal("b", nil))
	two.until(2)
	r.code("Signal with a name of two tokens", r.Signal("a.b", nil), bridge.CodeBadSubject)
	equal(r, "signals heard by one that was stopped", len(one.heard()), 1)
}
