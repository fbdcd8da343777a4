package scenario

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
)

// latency: one publisher, one subscriber, one event in flight. The next one is
// published when the last has arrived and is acknowledged.
func latency(e *Env) error {
	s, err := e.start(driver.Use{})
	if err != nil {
		return err
	}
	defer s.Stop()
	var listening sync.WaitGroup
	defer listening.Wait()
	p := &pingPong{arrived: make(chan struct{}, 1), acked: make(chan struct{}, 1)}
	if p.sub, err = e.join(s.Addr, subject, driver.Options{Arrived: p.arrived}); err != nil {
		return err
	}
	defer p.sub.Close()
	if p.pub, err = e.Program.Dial(s.Addr, driver.Options{Acked: func(int64) { p.acked <- struct{}{} }}); err != nil {
		return err
	}
	defer p.pub.Close()
	p.failed = make(chan error, 2)
	for _, c := range []*driver.Client{p.sub, p.pub} {
		listening.Go(func() { p.failed <- errors.Join(errors.New("the connection has ended"), c.Listen()) })
	}
	if err := p.volley(e.Sizes.Warm, e.Sizes.Payload); err != nil {
		return err
	}
	before, err := costOf(s)
	if err != nil {
		return err
	}
	sent := p.n
	p.events, p.acks = nil, nil
	if err := p.volley(e.Sizes.Window, e.Sizes.Payload); err != nil {
		return err
	}
	_, cpu, err := before.since()
	if err != nil {
		return err
	}
	t := e.Result.Table("latency", "Latency, one event in flight", "From one client to one other; and until the publisher has the acknowledgement. The next event is published when both are there.")
	p50, p99 := percentiles(p.events)
	e.add(t, report.Figure{Name: report.P50, Plot: true}, p50)
	e.add(t, report.Figure{Name: report.P99, Plot: true}, p99)
	p50, _ = percentiles(p.acks)
	e.add(t, report.Figure{Name: report.AckP50}, p50)
	e.add(t, report.Figure{Name: report.PerEvent}, micros(cpu)/float64(p.n-sent))
	return nil
}

type pingPong struct {
	sub, pub       *driver.Client
	arrived, acked chan struct{}
	failed         chan error

	n            int64
	events, acks []uint32 // µs
}

// volley goes on for so long.
func (p *pingPong) volley(window time.Duration, size int) error {
	timeout := time.NewTimer(window + stall)
	defer timeout.Stop()
	for until := time.Now().Add(window); time.Now().Before(until); {
		p.n++
		start := time.Now()
		if err := p.pub.Publish(p.n, subject, driver.AppendEvent(nil, p.n, start.UnixNano(), size)); err != nil {
			return err
		}
		for range 2 {
			select {
			case <-p.arrived:
				p.events = append(p.events, uint32(time.Since(start).Microseconds()))
			case <-p.acked:
				p.acks = append(p.acks, uint32(time.Since(start).Microseconds()))
			case err := <-p.failed:
				return err
			case <-timeout.C:
				return fmt.Errorf("event %d does not arrive", p.n)
			}
		}
		if got := p.sub.Last(); got != p.n {
			return fmt.Errorf("event %d has arrived, not %d", got, p.n)
		}
	}
	return nil
}
