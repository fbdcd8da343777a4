package scenario

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
)

// publish: several connections, each with so many events that are not
// acknowledged yet. Nobody is subscribed.
func publish(e *Env) error {
	s, err := e.start(driver.Use{})
	if err != nil {
		return err
	}
	defer s.Stop()
	for _, p := range e.Sizes.Publishers {
		t := e.Result.Table(fmt.Sprintf("publish-%dx%d", p.Connections, p.InFlight), fmt.Sprintf("Publishing, %d × %d in flight", p.Connections, p.InFlight),
			fmt.Sprintf("%d connections, each with at most %d events of %d bytes that are not acknowledged. Nobody is subscribed. What an acknowledgement means is under Programs.", p.Connections, p.InFlight, e.Sizes.Payload))
		g, err := e.engage(s.Addr, p)
		if err != nil {
			return err
		}
		err = g.run(e.Sizes.Warm, func() error {
			before, err := costOf(s)
			if err != nil {
				return err
			}
			acked := g.acked.Load()
			time.Sleep(e.Sizes.Window)
			took, cpu, err := before.since()
			n := float64(g.acked.Load() - acked)
			if err != nil {
				return err
			}
			e.add(t, report.Figure{Name: report.Published, More: true, Plot: true}, n/took.Seconds())
			if n > 0 {
				e.add(t, report.Figure{Name: report.PerEvent}, micros(cpu)/n)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%d × %d: %w", p.Connections, p.InFlight, err)
		}
	}
	return nil
}

// guild is the publishers.
type guild struct {
	size   int
	all    []*publisher
	acked  atomic.Int64
	stop   atomic.Bool
	failed chan error
}

type publisher struct {
	client *driver.Client
	free   chan struct{} // one for each event that may be sent
	sent   int64
}

func (e *Env) engage(addr string, p Publishers) (*guild, error) {
	g := &guild{size: e.Sizes.Payload, all: make([]*publisher, p.Connections), failed: make(chan error, 2*p.Connections)}
	err := each(p.Connections, dialers, func(i int) (err error) {
		one := &publisher{free: make(chan struct{}, p.InFlight)}
		for range p.InFlight {
			one.free <- struct{}{}
		}
		g.all[i] = one
		one.client, err = e.Program.Dial(addr, driver.Options{Acked: func(int64) {
			g.acked.Add(1)
			one.free <- struct{}{}
		}})
		return err
	})
	if err != nil {
		g.close()
	}
	return g, err
}

func (g *guild) close() {
	for _, p := range g.all {
		if p != nil && p.client != nil {
			p.client.Close()
		}
	}
}

// run publishes from all connections: warm for a while, then while something
// else is done. In the end everything is acknowledged.
func (g *guild) run(warm time.Duration, meanwhile func() error) error {
	var listening, publishing sync.WaitGroup
	for _, p := range g.all {
		listening.Go(func() {
			if err := p.client.Listen(); err != nil {
				g.failed <- err
			}
		})
		publishing.Go(func() {
			if err := p.publish(g); err != nil {
				g.failed <- err
			}
		})
	}
	time.Sleep(warm)
	err := meanwhile()
	g.stop.Store(true)
	publishing.Wait()
	g.close()
	listening.Wait()
	close(g.failed)
	return firstOf(err, <-g.failed)
}

// publish sends as many events as may be in flight, those that are free at the
// same time with one system call, and ends when all are acknowledged.
func (p *publisher) publish(g *guild) error {
	timeout := time.NewTimer(stall)
	defer timeout.Stop()
	for !g.stop.Load() {
		if !p.take(timeout.C) {
			return p.late()
		}
		count := 1
		for count < cap(p.free) && p.take(nil) {
			count++
		}
		first := p.sent + 1
		p.sent += int64(count)
		now := time.Now().UnixNano()
		if err := p.client.PublishMany(first, count, func(dst []byte, id int64) (string, []byte) {
			return "events.bench.published", driver.AppendEvent(dst, id, now, g.size)
		}); err != nil {
			return err
		}
	}
	for range cap(p.free) {
		if !p.take(timeout.C) {
			return p.late()
		}
	}
	return nil
}

func (p *publisher) late() error { return fmt.Errorf("of %d events some are not acknowledged", p.sent) }

// take waits until an event may be sent, or with nil not at all.
func (p *publisher) take(timeout <-chan time.Time) bool {
	if timeout == nil {
		select {
		case <-p.free:
			return true
		default:
			return false
		}
	}
	select {
	case <-p.free:
		return true
	case <-timeout:
		return false
	}
}
