package brokertest

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/jetway-io/jetway/bridge"
)

var listenTests = []test{
	{name: "filters", run: testListenFilters},
	{name: "an event is as it was published", run: testListenEvent},
	{name: "in order, with one receipt each", run: testListenOrder},
	{name: "nothing from streams", run: testListenNotStreams},
	{name: "nothing after stop", run: testListenStop},
	{name: "stop while others publish", run: testListenStopRace},
	{name: "two listeners have events of their own", run: testListenTwo},
	{name: "bad filters", run: testListenBad},
	{name: "fn may publish", run: testListenPublishes},
}

// ear is a listener that remembers what it hears, save what belongs to NATS
// and Jetway: a filter with a wildcard in front may bring that too.
type ear struct {
	r    *rig
	stop func()
	news chan struct{}

	mu     sync.Mutex
	events []*bridge.Event
}

func (r *rig) listen(filter string) *ear {
	r.Helper()
	l := &ear{r: r, news: make(chan struct{}, 1)}
	stop, err := r.Listen(filter, l.hear)
	r.ok("Listen", err)
	l.stop = sync.OnceFunc(stop)
	r.Cleanup(l.stop)
	return l
}

func (l *ear) hear(e *bridge.Event) {
	if bridge.Reserved(e.Subject) {
		return
	}
	l.mu.Lock()
	l.events = append(l.events, e)
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *ear) heard() []*bridge.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[:len(l.events):len(l.events)]
}

// until waits for n events and returns them.
func (l *ear) until(n int) []*bridge.Event {
	l.r.Helper()
	for len(l.heard()) < n {
		l.r.await(l.news, fmt.Sprintf("%d events", n))
	}
	return l.heard()
}

// send publishes without a stream and checks the receipt.
func (r *rig) send(subject, data string) {
	r.Helper()
	got := r.start(core(subject, data))()[0]
	r.ok("publish", got.err)
	equal(r, "receipt", got.Receipt, bridge.Receipt{})
}

func subjectsOf(events []*bridge.Event) []string {
	subjects := make([]string, len(events))
	for i, e := range events {
		subjects[i] = e.Subject
	}
	return subjects
}

func testListenFilters(r *rig) {
	all := []string{"live.a", "live.a.b", "live.b", "other.a", "live"}
	want := map[string][]string{
		"live.a": {"live.a"},
		"live.*": {"live.a", "live.b"},
		"live.>": {"live.a", "live.a.b", "live.b"},
		"*.a":    {"live.a", "other.a"},
		"*.a.*":  {"live.a.b"},
		">":      all,
	}
	ears := make(map[string]*ear)
	for filter := range want {
		ears[filter] = r.listen(filter)
	}
	for _, subject := range all {
		r.send(subject, "x")
	}
	for filter, l := range ears {
		same(r, "heard by "+filter, subjectsOf(l.until(len(want[filter]))), want[filter])
	}
}

func testListenEvent(r *rig) {
	l := r.listen("live.>")
	p := core("live.a", "hello")
	p.Head = []bridge.Field{{Name: "x-b", Value: "2"}, {Name: "X-a", Value: "1"}}
	r.ok("publish", r.start(p)()[0].err)
	e := l.until(1)[0]
	equal(r, "subject", e.Subject, "live.a")
	equal(r, "payload", string(e.Data), "hello")
	equal(r, "stream", e.Stream, nil)
	equal(r, "sequence", e.Seq, 0)
	equal(r, "time is set", e.Time.IsZero(), false)
	same(r, "headers", e.Head, []bridge.Field{{Name: "X-a", Value: "1"}, {Name: "x-b", Value: "2"}})
}

func testListenOrder(r *rig) {
	const n = 1000
	l := r.listen("live.>")
	all := make([]*bridge.Publication, n)
	for i := range all {
		all[i] = core(fmt.Sprint("live.", i%3), fmt.Sprint(i))
	}
	for _, got := range r.start(all...)() {
		r.ok("publish", got.err)
	}
	for i, e := range l.until(n) {
		equal(r, "payload", string(e.Data), fmt.Sprint(i))
	}
}

func testListenNotStreams(r *rig) {
	everything, some := r.listen(">"), r.listen("events.*")
	r.publish(to("events.a", "stored"))
	r.send("live.end", "x")
	same(r, "heard by >", subjectsOf(everything.until(1)), []string{"live.end"})
	equal(r, "events heard by events.*", len(some.heard()), 0)
	equal(r, "messages stored", r.state().Messages, 1)
}

func testListenStop(r *rig) {
	one, two := r.listen("live.>"), r.listen("live.>")
	r.send("live.a", "1")
	one.until(1)
	one.stop()
	r.send("live.a", "2")
	two.until(2)
	equal(r, "events heard by one that was stopped", len(one.heard()), 1)
	two.stop()
	r.send("live.a", "3") // nobody listens: that is no error
}

// testListenStopRace stops while fn is running and more is on its way. A call
// that is seen after stop returned might as well have begun after it: so stop
// waits for it.
func testListenStopRace(r *rig) {
	for range 20 {
		var (
			stopped atomic.Bool
			wg      sync.WaitGroup
		)
		running := make(chan struct{}, 1000)
		stop, err := r.Listen("live.>", func(*bridge.Event) {
			running <- struct{}{}
			for range 1000 {
				runtime.Gosched()
				if stopped.Load() {
					r.Error("fn runs after stop has returned")
					return
				}
			}
		})
		r.ok("Listen", err)
		for range 2 {
			wg.Go(func() {
				for range 10 {
					r.Publish(core("live.a", "x"), func(bridge.Receipt, error) {})
				}
			})
		}
		r.await(running, "fn to run")
		stop()
		stopped.Store(true)
		wg.Wait()
	}
}

func testListenTwo(r *rig) {
	one, two := r.listen("live.a"), r.listen("live.*")
	r.send("live.a", "x")
	if one.until(1)[0] == two.until(1)[0] {
		r.Error("one event is shared by two listeners; each keeps notes in it")
	}
}

func testListenBad(r *rig) {
	for _, filter := range []string{"", "live.", ".live", "live..a", "li ve", "live.>.a", "live*", "live\r\nPUB"} {
		stop, err := r.Listen(filter, func(*bridge.Event) {})
		r.code(fmt.Sprintf("Listen to %q", filter), err, bridge.CodeBadSubject)
		if stop != nil {
			r.Errorf("Listen to %q: stop is not nil", filter)
		}
	}
}

func testListenPublishes(r *rig) {
	pongs := r.listen("live.pong")
	stop, err := r.Listen("live.ping", func(*bridge.Event) {
		r.Publish(core("live.pong", "x"), func(bridge.Receipt, error) {})
	})
	r.ok("Listen", err)
	defer stop()
	r.send("live.ping", "x")
	pongs.until(1)
}
