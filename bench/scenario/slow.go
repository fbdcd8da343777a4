package scenario

import (
	"fmt"
	"sync/atomic"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
	"github.com/jetway-io/jetway/bench/server"
	"github.com/jetway-io/jetway/bench/wire"
)

// slow: a tenth of the clients do not read while events are published, and then
// they do. First without them, for comparison.
func slow(e *Env) error {
	z := e.Sizes
	t := e.Result.Table("slow", fmt.Sprintf("%d of %d clients do not read", z.Slow/10, z.Slow),
		fmt.Sprintf("%d events of %d bytes a second for %s, to all; when they end, the slow ones read again, and whoever has been disconnected or does not get all has lost something. "+
			"Latencies are those of the others, with slow ones and before there were any. RSS is by how much more the server has grown while they did not read than in the same time before.",
			z.SlowRate, z.SlowPayload, 2*z.Window))
	s, err := e.start(driver.Use{})
	if err != nil {
		return err
	}
	defer s.Stop()
	sizes := e.Sizes
	sizes.Payload = z.SlowPayload
	e = &Env{Program: e.Program, Run: e.Run, Sizes: sizes, Result: e.Result}
	c, err := e.gather(s.Addr, z.Slow-z.Slow/10, false)
	if err != nil {
		return err
	}
	defer c.disperse()
	if err := c.paced(z.Warm, z.SlowRate); err != nil {
		return err
	}
	without, err := e.beside(s, c)
	if err != nil {
		return fmt.Errorf("without slow clients: %w", err)
	}
	return e.slowOnes(t, s, c, without)
}

// others is how those fare who read.
type others struct{ p99, growth float64 } // ms, and bytes of the server

// beside publishes for a while.
func (e *Env) beside(s *server.Server, c *crowd) (others, error) {
	before, err := s.RSS()
	if err != nil {
		return others{}, err
	}
	c.time(true)
	if err := c.paced(2*e.Sizes.Window, e.Sizes.SlowRate); err != nil {
		return others{}, err
	}
	c.time(false)
	after, err := s.RSS()
	_, p99 := c.latencies()
	return others{p99, after - before}, err
}

func (e *Env) slowOnes(t *report.Table, s *server.Server, c *crowd, without others) error {
	z := e.Sizes
	sleepers := make([]*driver.Client, z.Slow/10)
	for i := range sleepers {
		client, err := e.Program.Dial(s.Addr, driver.Options{Options: wire.Options{Receive: 4096}})
		if err != nil {
			return err
		}
		defer client.Close()
		client.CountFrom(c.sent)
		if err := client.Subscribe(subject); err != nil {
			return err
		}
		sleepers[i] = client
	}
	with, err := e.beside(s, c)
	if err != nil {
		return fmt.Errorf("beside slow clients: %w", err)
	}
	var lost atomic.Int64
	_ = each(len(sleepers), len(sleepers), func(i int) error {
		if err := sleepers[i].Await(c.sent, stall); err != nil {
			lost.Add(1)
		}
		return nil
	})
	e.add(t, report.Figure{Name: "p99 without, ms"}, without.p99)
	e.add(t, report.Figure{Name: "p99 with, ms"}, with.p99)
	e.add(t, report.Figure{Name: report.SlowRatio, Plot: true, Alone: true}, with.p99/without.p99)
	e.add(t, report.Figure{Name: report.SlowGrowth, Alone: true}, (with.growth-without.growth)/(1<<20))
	e.add(t, report.Figure{Name: report.SlowLost, Alone: true}, 100*float64(lost.Load())/float64(len(sleepers)))
	return nil
}
