package e2e

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// farSize is a stream and a crowd that has been away. Which subject a message
// has follows from its sequence alone, so that everyone can say what a client
// must be given.
type farSize struct {
	Messages int // stored before anybody reads
	Subjects int // that they are spread over
	Clients  int // each wants one of the subjects
	Back     int // from this many messages before the end
	Rare     int // of the messages are on a subject of their own
	Ring     int // messages in the gateway's memory
}

var (
	farSmall = farSize{Messages: 50_000, Subjects: 500, Clients: 100, Back: 20_000, Rare: 99, Ring: 1000}
	farFull  = farSize{Messages: 1_000_000, Subjects: 10_000, Clients: 1000, Back: 200_000, Rare: 99, Ring: 10_000}
)

const rareSubject = "events.rare"

func (z farSize) rare(seq int) bool { return seq <= z.Messages && seq%(z.Messages/z.Rare) == 0 }

func (z farSize) subject(seq int) string {
	if z.rare(seq) {
		return rareSubject
	}
	return fmt.Sprint("events.s.", seq%z.Subjects)
}

// after returns the first sequence after seq on the subject of client k.
func (z farSize) after(seq, k int) int {
	seq += 1 + (k-(seq+1)%z.Subjects+z.Subjects)%z.Subjects
	for z.rare(seq) {
		seq += z.Subjects
	}
	return seq
}

// farPublisher is a microservice that publishes as fast as NATS takes it, with
// a bounded number of messages unanswered. It is the only one that publishes.
type farPublisher struct {
	js     natsjs.JetStream
	size   farSize
	next   int // the sequence of the next message; owned by run
	stored atomic.Int64
}

// farWindow is how many messages may wait for their answer.
const farWindow = 1000

// run publishes up to n messages and returns when they are stored; stop ends
// it before that.
func (p *farPublisher) run(n int, stop <-chan struct{}) error {
	type sent struct {
		seq    int
		answer natsjs.PubAckFuture
	}
	window := make(chan sent, farWindow)
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for s := range window {
			select {
			case ack := <-s.answer.Ok():
				if ack.Sequence != uint64(s.seq) {
					failed <- fmt.Errorf("stored as %d, want %d", ack.Sequence, s.seq)
					return
				}
				p.stored.Store(int64(s.seq))
			case err := <-s.answer.Err():
				failed <- err
				return
			}
		}
	}()
	pad := make([]byte, 100)
	for i := range pad {
		pad[i] = 'x'
	}
	err := func() error {
		for range n {
			select {
			case <-stop:
				return nil
			default:
			}
			f, err := p.js.PublishAsync(p.size.subject(p.next), fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, p.next, pad))
			if err != nil {
				return err
			}
			select {
			case window <- sent{p.next, f}:
			case err := <-failed:
				return err
			}
			p.next++
		}
		return nil
	}()
	close(window)
	if e := <-failed; err == nil {
		err = e
	}
	return err
}

// start runs it in the background; the function it returns ends it.
func (p *farPublisher) start(t *testing.T, n int) (stop func()) {
	end, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.run(n, end) }()
	return sync.OnceFunc(func() {
		close(end)
		if err := <-done; err != nil {
			t.Errorf("publisher: %v", err)
		}
	})
}

// far is a gateway with a filled stream, the publisher and the crowd.
type far struct {
	size      farSize
	node      *node
	publisher *farPublisher
	crowd     []*client.Client
}

func newFar(t *testing.T, size farSize) *far {
	f := &far{size: size, node: startNode(t, nodeOptions{interval: true, bridge: bridge.Options{RingMessages: size.Ring}, gateway: patient})}
	f.publisher = &farPublisher{js: admin(t, f.node), size: size, next: 1}
	if err := f.publisher.run(size.Messages, nil); err != nil {
		t.Fatal(err)
	}
	for range size.Clients {
		f.crowd = append(f.crowd, dial(t, f.node, client.Options{Timeout: time.Minute}))
	}
	return f
}

func (f *far) position(seq int) string {
	return fmt.Sprintf("%s-%d", f.node.broker.Streams()[0].Tag, seq)
}

// farFigures is what one crowd's way back was like.
type farFigures struct {
	start, end      int           // sequences: where the crowd begins, and where the stream ended when the last had caught up
	took            time.Duration // until everyone had what was stored when the crowd came
	scanned, narrow uint64        // messages read for it
}

// catchUp brings the crowd back while the publisher runs, and checks that each
// is given every message of its subject, once, in order, up to the very last
// that is published. published is called when everyone has caught up; it ends
// the publisher and returns the last sequence.
func (f *far) catchUp(t *testing.T, published func() int) farFigures {
	stats := f.node.bridge.Stats()
	scanned, narrow := stats.Scanned.Load(), stats.Narrow.Load()
	last := int(f.publisher.stored.Load())
	r := farFigures{start: last - f.size.Back}
	var caught, all sync.WaitGroup
	caught.Add(len(f.crowd))
	stopped := make(chan struct{})
	final := 0
	begun := time.Now()
	for k, c := range f.crowd {
		all.Go(func() {
			caughtUp := sync.OnceFunc(caught.Done)
			defer caughtUp()
			w := farReader{size: f.size, k: k, at: r.start}
			sub, err := c.Subscribe(t.Context(), fmt.Sprint("events.s.", k), client.SubOptions{From: f.position(r.start)})
			if err == nil && sub.Gap != nil {
				err = fmt.Errorf("gap %+v", *sub.Gap)
			}
			if err == nil {
				err = w.read(t, sub, last)
			}
			caughtUp()
			<-stopped
			if err == nil {
				err = w.read(t, sub, final)
			}
			if err == nil {
				err = c.Off(t.Context(), sub)
			}
			if err != nil {
				t.Errorf("client %d at %d: %v", k, w.at, err)
			}
		})
	}
	caught.Wait()
	r.took = time.Since(begun)
	r.end = int(f.publisher.stored.Load())
	r.scanned, r.narrow = stats.Scanned.Load()-scanned, stats.Narrow.Load()-narrow
	final = published()
	close(stopped)
	all.Wait()
	return r
}

// farReader checks what one client of the crowd is given.
type farReader struct {
	size farSize
	k    int
	at   int // the last sequence it was given
}

// read reads all events up to the sequence.
func (w *farReader) read(t *testing.T, s *client.Sub, upTo int) error {
	for want := w.size.after(w.at, w.k); want <= upTo; want = w.size.after(w.at, w.k) {
		m, err := s.Next(t.Context())
		switch {
		case err != nil:
			return err
		case m.Kind == native.KindLive:
			continue
		case m.Kind != native.KindEvent:
			return fmt.Errorf("unexpected %+v", m)
		}
		var n int
		if _, err := fmt.Sscanf(string(m.Data), `{"n":%d,`, &n); err != nil || n != want || sequence(t, m.Pos) != want {
			return fmt.Errorf("got %.20s at %s, want %d", m.Data, m.Pos, want)
		}
		w.at = want
	}
	return nil
}

// readRare has one more client read the rare subject from the beginning.
func (f *far) readRare(t *testing.T) (first, last time.Duration) {
	c := dial(t, f.node, client.Options{})
	defer c.Close()
	begun := time.Now()
	s := subscribe(t, c, rareSubject, client.SubOptions{From: "first"})
	for i := 1; i <= f.size.Rare; i++ {
		m := next(t, s, native.KindEvent)
		if want := i * (f.size.Messages / f.size.Rare); sequence(t, m.Pos) != want {
			t.Fatalf("rare message %d is at %s, want %d", i, m.Pos, want)
		}
		if i == 1 {
			first = time.Since(begun)
		}
	}
	return first, time.Since(begun)
}

// TestFarBehind: a crowd comes back from beyond the gateway's memory while a
// microservice publishes. The stream is read about once, not once for each,
// and a lone client with a rare subject does not have all of it read.
func TestFarBehind(t *testing.T) {
	f := newFar(t, farSmall)
	stats := f.node.bridge.Stats()
	f.readRare(t)
	if narrow, scanned := stats.Narrow.Load(), stats.Scanned.Load(); narrow < uint64(farSmall.Rare) || scanned != 0 {
		t.Errorf("for %d rare messages, %d were read narrowly and %d scanned", farSmall.Rare, narrow, scanned)
	}
	stop := f.publisher.start(t, 20_000)
	r := f.catchUp(t, func() int { stop(); return f.publisher.next - 1 })
	span := uint64(r.end - r.start)
	t.Logf("%d clients over %d messages: %d scanned, %d read narrowly, in %v", farSmall.Clients, span, r.scanned, r.narrow, r.took)
	if r.scanned == 0 || r.scanned > 3*span {
		t.Errorf("%d clients had %d messages scanned, of a span of %d", farSmall.Clients, r.scanned, span)
	}
}

// TestFarFull measures the same at full size; see "make far".
func TestFarFull(t *testing.T) {
	out := os.Getenv("JETWAY_FAR")
	if out == "" {
		t.Skip("JETWAY_FAR is not set to the file for the figures: make far")
	}
	measureFar(t, farFull, out)
}
