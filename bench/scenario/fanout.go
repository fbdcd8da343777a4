package scenario

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/server"
)

// fanOut: one publisher, one subject, n subscribers.
func fanOut(e *Env) error {
	for _, n := range e.Sizes.Fan {
		if err := e.fanOutTo(n); err != nil {
			return fmt.Errorf("%d clients: %w", n, err)
		}
	}
	return nil
}

func (e *Env) fanOutTo(n int) error {
	s, err := e.start(driver.Use{})
	if err != nil {
		return err
	}
	defer s.Stop()
	c, err := e.gather(s.Addr, n, false)
	if err != nil {
		return err
	}
	defer c.disperse()
	if err := c.paced(e.Sizes.Warm, e.Sizes.Rate); err != nil {
		return err
	}
	if err := e.fanOutPaced(c, s, n); err != nil {
		return err
	}
	full := e.Result.Table(fmt.Sprintf("fanout-%d-full", n), fmt.Sprintf("One event to %s clients, at full speed", thousands(n)),
		fmt.Sprintf("The slowest client lacks at most %d events of %d bytes.", e.Sizes.Ahead, e.Sizes.Payload))
	return e.floodWindow(c, s, full, e.Sizes.Ahead)
}

func (e *Env) fanOutPaced(c *crowd, s *server.Server, n int) error {
	paced := e.Result.Table(fmt.Sprintf("fanout-%d-paced", n), fmt.Sprintf("One event to %s clients, %d a second", thousands(n), e.Sizes.Rate),
		"Latency is from before the publisher writes until a client has read, over all clients.")
	before, err := costOf(s)
	if err != nil {
		return err
	}
	c.time(true)
	sent := c.sent
	if err := c.paced(2*e.Sizes.Window, e.Sizes.Rate); err != nil {
		return err
	}
	c.time(false)
	_, cpu, err := before.since()
	if err != nil {
		return err
	}
	p50, p99 := c.latencies()
	e.add(paced, report.Figure{Name: report.PerDelivery, Plot: true}, micros(cpu)/float64((c.sent-sent)*int64(n)))
	e.add(paced, report.Figure{Name: report.P50}, p50)
	e.add(paced, report.Figure{Name: report.P99, Plot: true}, p99)
	return nil
}

// floodWindow publishes at full speed, measures in a window in the middle, and
// sees to it that all arrives.
func (e *Env) floodWindow(c *crowd, s *server.Server, t *report.Table, ahead int) error {
	flooded := make(chan error, 1)
	until := time.Now().Add(e.Sizes.Warm + e.Sizes.Window)
	go func() { flooded <- c.flood(until, ahead) }()
	time.Sleep(e.Sizes.Warm)
	before, err := costOf(s)
	if err != nil {
		return err
	}
	delivered := c.delivered()
	time.Sleep(time.Until(until))
	took, cpu, err := before.since()
	n := float64(c.delivered() - delivered)
	if failed := <-flooded; failed != nil || err != nil {
		return fmt.Errorf("at full speed: %w", firstOf(failed, err))
	}
	if err := c.settled(); err != nil {
		return fmt.Errorf("at full speed: %w", err)
	}
	e.add(t, report.Figure{Name: report.Deliveries, More: true, Plot: true}, n/took.Seconds())
	e.add(t, report.Figure{Name: report.PerDelivery, Plot: true}, micros(cpu)/n)
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
