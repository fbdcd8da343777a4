package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

// crowdSize is the good clients. Each is in one room, and subscribed to it.
type crowdSize struct {
	Clients, Rooms int
	Every          time.Duration // of each that publishes
	Stay           time.Duration // of those that leave, on average
}

// memberRole is what a client of the crowd does besides reading.
type memberRole struct {
	stock  bool // speaks Socket.IO
	writes bool
	leaves bool // now and then, and comes back to go on where it was
}

// memberRoles are those of ten clients of a room.
var memberRoles = [10]memberRole{{stock: true, writes: true}, {writes: true}, {stock: true, leaves: true}, {leaves: true}, {stock: true}}

// crowd is the good clients, and what has happened to them.
type crowd struct {
	size    crowdSize
	target  string    // address of the gateway
	epoch   time.Time // from which its times count
	history *history
	members []*member

	ctx     context.Context
	cancel  context.CancelFunc
	begin   chan struct{}  // closed when all are there: then they publish
	quit    chan struct{}  // closed when nothing more is to be published
	joining sync.WaitGroup // until each has been there once
	reading sync.WaitGroup
	writing sync.WaitGroup
}

// member is one client of the crowd.
type member struct {
	crowd   *crowd
	name    string // its user, and the writer in the history
	address string // that it connects from
	room    string // the subject
	token   string
	role    memberRole
	rnd     *rand.Rand // owned by the reading goroutine
	joined  func()     // once

	// Owned by the reading goroutine.
	values  []string
	samples []sample
	pos     string // where it goes on; "" is the first time
	pid     string // of its Socket.IO session
	visits  int
	lost    []error // connections that ended although they should not

	// Owned by the writing goroutine, of which there is one at a time.
	counter int

	mu      sync.Mutex
	answers []sample
	refused []error
}

// sample is how long one event took to one reader, or to be acknowledged, from
// when it was due: who has to wait to send it waits, too.
type sample struct{ due, took time.Duration } // due: since the crowd's epoch

// note is the payload of an event.
type note struct {
	V string        // "writer-counter"; lastNote is the last of a room
	T time.Duration // when it was due
}

const lastNote = "end"

func gather(t *testing.T, size crowdSize, target string, addresses []string, seed uint64) *crowd {
	t.Helper()
	c := &crowd{size: size, target: target, epoch: time.Now(), begin: make(chan struct{}), quit: make(chan struct{}),
		history: &history{attempted: map[string]bool{}, acked: map[string]bool{}}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		c.cancel()
		c.reading.Wait()
		c.writing.Wait()
	})
	c.joining.Add(size.Clients)
	for i := range size.Clients {
		m := &member{
			crowd: c, name: fmt.Sprint("g", i), address: addresses[i%len(addresses)], room: fmt.Sprint("events.good.r", i%size.Rooms),
			role: memberRoles[i/size.Rooms%len(memberRoles)], rnd: rand.New(rand.NewPCG(seed, uint64(i))), joined: sync.OnceFunc(c.joining.Done),
		}
		m.token = hostileToken(t, m.name, "good")
		c.members = append(c.members, m)
	}
	for i, m := range c.members {
		c.reading.Go(m.run)
		if i%20 == 19 { // they do not all come in the same instant
			<-time.After(50 * time.Millisecond)
		}
	}
	joined := make(chan struct{})
	go func() { c.joining.Wait(); close(joined) }()
	select {
	case <-joined:
	case <-time.After(time.Minute):
		t.Fatal("the crowd does not come together")
	}
	close(c.begin)
	return c
}

func (c *crowd) now() time.Duration { return time.Since(c.epoch) }

// disperse has the writers stop, and everybody read to the end of its room.
func (c *crowd) disperse(t *testing.T) {
	t.Helper()
	close(c.quit)
	c.writing.Wait()
	ctx := testContext(t)
	last, err := dialPatiently(ctx, c.target, c.members[0].token)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	for r := range c.size.Rooms {
		if err := publishPatiently(ctx, last, fmt.Sprint("events.good.r", r), fmt.Sprint("end-", r), fmt.Appendf(nil, `{"v":%q}`, lastNote)); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	go func() { c.reading.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("not everybody has read its room to the end")
		c.cancel()
		<-ended
	}
}

// check fails unless the history holds for everybody, and returns how many
// events were acknowledged, and how many deliveries they were. Whoever lost its
// connection, or was refused, must have been so because the gateway could not
// do its work, as on a machine that is much too busy; strict is not at all.
func (c *crowd) check(t *testing.T, strict bool) (acked, delivered int) {
	t.Helper()
	writers := map[string][]string{}
	for _, m := range c.members {
		if m.role.writes {
			writers[m.room] = append(writers[m.room], m.name)
		}
	}
	visits, hindered := 0, 0
	for _, m := range c.members {
		n := c.history.tally(m.values, writers[m.room])
		delivered += n.delivered
		visits += m.visits
		if n.bad() > 0 {
			t.Errorf("%s: lost %d, unexpected %d, duplicate %d, out of order %d; lost %.20q", m.name, len(n.lost), n.unexpected, n.duplicate, n.disorder, n.lost)
		}
		for _, err := range slices.Concat(m.lost, m.refused) {
			if hindered++; strict || !excusable(err) {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
	t.Logf("%d clients in %d visits, hindered %d times: %d events attempted, %d acknowledged, %d delivered",
		len(c.members), visits, hindered, len(c.history.attempted), len(c.history.acked), delivered)
	if len(c.history.acked) == 0 || visits == len(c.members) {
		t.Error("nothing was acknowledged, or nobody came back: the test did not bite")
	}
	return len(c.history.acked), delivered
}

// errExcusable marks what a Socket.IO client may be told by a gateway that
// cannot do its work.
var errExcusable = errors.New("unavailable")

// excusable reports whether a good client may be told this: it was not judged,
// and may come back as it is.
func excusable(err error) bool {
	var closed *client.ClosedError
	var stock *websocket.CloseError
	switch {
	case errors.As(err, &closed):
		return closed.MayReconnect() && closed.Code < websock.CodeBadFrames || closed.Code == websock.CodeNotReady
	case errors.As(err, &stock):
		return websock.Code(stock.Code) < websock.CodeBadFrames
	}
	return errors.Is(err, &bridge.Error{Code: bridge.CodeUnavailable}) || errors.Is(err, errExcusable) || errors.Is(err, syscall.ECONNRESET) || isTimeout(err)
}

// took is how long the events took that were due between two times: to their
// readers, and until they were acknowledged.
func (c *crowd) took(from, to time.Duration) (deliveries, answers []time.Duration) {
	pick := func(into *[]time.Duration, from2 []sample) {
		for _, s := range from2 {
			if s.due >= from && s.due < to {
				*into = append(*into, s.took)
			}
		}
	}
	for _, m := range c.members {
		pick(&deliveries, m.samples)
		pick(&answers, m.answers)
	}
	return deliveries, answers
}

// errLastNote ends a member: it has read everything.
var errLastNote = errors.New("the last note")

// mostLost is how often a member may lose its connection before it gives up.
const mostLost = 20

func (m *member) run() {
	defer m.joined()
	for m.crowd.ctx.Err() == nil && len(m.lost) < mostLost {
		visit := m.visitNative
		if m.role.stock {
			visit = m.visitStock
		}
		m.visits++
		switch err := visit(); {
		case errors.Is(err, errLastNote):
			return
		case err != nil && m.crowd.ctx.Err() == nil:
			m.lost = append(m.lost, err)
			<-time.After(time.Duration(m.rnd.Int64N(int64(time.Second)))) // as clients do
		}
	}
}

// stay is how long a visit lasts at most.
func (m *member) stay() time.Duration {
	if !m.role.leaves {
		return time.Hour
	}
	return m.crowd.size.Stay/2 + time.Duration(m.rnd.Int64N(int64(m.crowd.size.Stay)))
}

// take takes one event. What was due before the visit began has waited for its
// reader.
func (m *member) take(data []byte, pos string, begun time.Duration) error {
	now := m.crowd.now()
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("%.100q: %w", data, err)
	}
	m.pos = pos
	if n.V == lastNote {
		return errLastNote
	}
	m.values = append(m.values, n.V)
	if n.T >= begun {
		m.samples = append(m.samples, sample{n.T, now - n.T})
	}
	return nil
}

// publisher sends one event. answered is called exactly once.
type publisher func(data []byte, key string, answered func(error))

// write publishes at a steady pace over one connection, until the end or until
// that ends, and returns when all of it is answered.
func (m *member) write(gone <-chan struct{}, publish publisher) {
	c := m.crowd
	// After a stall all that is unanswered, and all that was due meanwhile, comes
	// at once: together it must fit into a burst, which is 10.
	unanswered, late := 3, 4*c.size.Every
	if m.role.stock {
		// With a key, a gateway tries again what it could not store: that
		// is for clients that send one event at a time, as stock ones do.
		unanswered = 1
	}
	room := make(chan struct{}, unanswered)
	var open sync.WaitGroup
	defer open.Wait()
	select {
	case <-c.begin:
	case <-gone:
		return
	}
	due := c.now() + rand.N(c.size.Every)
	timer := time.NewTimer(due - c.now())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.quit:
			return
		case <-gone:
			return
		}
		select {
		case room <- struct{}{}:
		case <-gone:
			return
		}
		m.counter++
		v, at := fmt.Sprint(m.name, "-", m.counter), due
		key := ""
		if m.counter%2 == 0 {
			key = v
		}
		c.history.mu.Lock()
		c.history.attempted[v] = true
		c.history.mu.Unlock()
		open.Add(1)
		publish(fmt.Appendf(nil, `{"v":%q,"t":%d}`, v, at), key, func(err error) {
			defer open.Done()
			defer func() { <-room }()
			took := c.now() - at
			m.mu.Lock()
			defer m.mu.Unlock()
			if err != nil {
				m.refused = append(m.refused, err)
				return
			}
			m.answers = append(m.answers, sample{at, took})
			c.history.mu.Lock()
			defer c.history.mu.Unlock()
			c.history.acked[v] = true
		})
		due = max(due+c.size.Every, c.now()-late)
		timer.Reset(due - c.now())
	}
}

// writeOver has the member write over a connection if it is one that writes;
// gone is closed when the connection has ended.
func (m *member) writeOver(gone <-chan struct{}, publish publisher) (ended func()) {
	if !m.role.writes {
		return func() {}
	}
	done := make(chan struct{})
	m.crowd.writing.Go(func() {
		defer close(done)
		m.write(gone, publish)
	})
	return func() { <-done }
}

func (m *member) visitNative() error {
	ctx, cancel := context.WithTimeout(m.crowd.ctx, m.stay())
	defer cancel()
	c, err := client.Dial(m.crowd.ctx, "ws://"+m.crowd.target+"/ws", client.Options{Token: m.token, Dial: dialFrom(m.address)})
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Subscribe(m.crowd.ctx, m.room, client.SubOptions{From: m.pos})
	if err != nil {
		return err
	}
	if s.Gap != nil {
		return fmt.Errorf("gap %+v", *s.Gap)
	}
	if m.pos == "" {
		m.pos = s.From
	}
	begun := m.crowd.now()
	m.joined()
	ended := m.writeOver(c.Done(), func(data []byte, key string, answered func(error)) {
		if err := c.PublishAsync(m.crowd.ctx, m.room, data, client.PubOptions{Key: key}, func(_ client.Ack, err error) { answered(err) }); err != nil {
			answered(err)
		}
	})
	defer ended()
	defer c.Close()
	for {
		msg, err := s.Next(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		case err != nil:
			return err
		case msg.Kind == native.KindEvent:
			if err := m.take(msg.Data, msg.Pos, begun); err != nil {
				return err
			}
		case msg.Kind != native.KindLive:
			return fmt.Errorf("unexpected %+v", msg)
		}
	}
}
