package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/server"
	"github.com/jetway-io/jetway/bench/wire"
)

// resume: a client has a place, loses its connection, misses n events, and
// comes back.
func resume(e *Env) error {
	for _, n := range e.Sizes.Missed {
		t := e.Result.Table(fmt.Sprintf("resume-%d", n), fmt.Sprintf("One client comes back after %s events", thousands(n)),
			"From the first packet of the new connection until it has the last event it has missed; the median of several times.")
		e.fail(t, e.resumeAfter(t, n))
	}
	return nil
}

func (e *Env) resumeAfter(t *report.Table, n int) error {
	s, err := e.start(driver.Use{Backlog: n})
	if err != nil {
		return err
	}
	defer s.Stop()
	cursors, err := e.leave(s, 1, n)
	if err != nil {
		return err
	}
	times := e.Sizes.Times
	if n > 10_000 {
		times = min(times, 2)
	}
	var took []time.Duration
	before, err := costOf(s)
	if err != nil {
		return err
	}
	for range times {
		start := time.Now()
		c, err := e.comeBack(s, cursors[0], n)
		if err != nil {
			return err
		}
		took = append(took, time.Since(start))
		c.Close()
		time.Sleep(e.Sizes.Away)
	}
	_, cpu, err := before.since()
	if err != nil {
		return err
	}
	slices.Sort(took)
	e.add(t, report.Figure{Name: report.CaughtUp, Plot: true}, millis(took[len(took)/2]))
	if cpu >= 5*server.Tick {
		e.add(t, report.Figure{Name: report.PerCatchUp}, millis(cpu)/float64(times))
	}
	return nil
}

// comeBack connects from a cursor, and returns when all that was missed is
// there.
func (e *Env) comeBack(s *server.Server, from driver.Cursor, missed int) (*driver.Client, error) {
	c, err := e.join(s.Addr, subject, driver.Options{From: &from, Options: wire.Options{Buffer: 16 << 10}})
	if err == nil {
		if err = c.Await(from.N+int64(missed), stall); err != nil {
			c.Close()
		}
	}
	return c, err
}

// leave connects so many clients, which get one event and lose their
// connections; then events are published that they miss.
func (e *Env) leave(s *server.Server, clients, missed int) ([]driver.Cursor, error) {
	all := make([]*driver.Client, clients)
	defer func() {
		for _, c := range all {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err := each(clients, dialers, func(i int) (err error) {
		all[i], err = e.join(s.Addr, subject, driver.Options{Keep: true})
		return err
	}); err != nil {
		return nil, err
	}
	// Without subscribers: its publisher only.
	p, err := e.gather(s.Addr, 0, false)
	if err != nil {
		return nil, err
	}
	defer p.disperse()
	if err := p.publish(1); err != nil {
		return nil, err
	}
	cursors := make([]driver.Cursor, clients)
	if err := each(clients, dialers, func(i int) error {
		err := all[i].Await(1, stall)
		cursors[i] = all[i].Cursor()
		all[i].Close()
		return err
	}); err != nil {
		return nil, err
	}
	time.Sleep(e.Sizes.Away)
	for missed > 0 {
		n := min(missed, burst)
		missed -= n
		if err := p.publish(n); err != nil {
			return nil, err
		}
		if err := p.unacked(e.Sizes.Ahead); err != nil {
			return nil, err
		}
	}
	return cursors, p.unacked(0)
}
