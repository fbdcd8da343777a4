package scenario

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
)

// crowdOf: many clients connect, each with a subscription of its own, are idle,
// and then get events, each on its own subject.
func crowdOf(e *Env) error {
	n := e.Sizes.Crowd
	s, err := e.start(driver.Use{Idle: true})
	if err != nil {
		return err
	}
	defer s.Stop()
	time.Sleep(e.Sizes.Settle)
	empty, err := s.RSS()
	if err != nil {
		return err
	}
	before, err := costOf(s)
	if err != nil {
		return err
	}
	c, err := e.gather(s.Addr, n, true)
	if err != nil {
		return err
	}
	defer c.disperse()
	took, cpu, err := before.since()
	if err != nil {
		return err
	}
	time.Sleep(e.Sizes.Settle)
	full, err := s.RSS()
	if err != nil {
		return err
	}
	t := e.Result.Table("crowd", thousands(n)+" clients connect, and are idle",
		fmt.Sprintf("%d at the same time, each with one subscription, all to different subjects. Memory is read %s after the last one, garbage included, less what the server had before.", dialers, e.Sizes.Settle))
	e.add(t, report.Figure{Name: report.Connects, More: true, Plot: true}, float64(n)/took.Seconds())
	e.add(t, report.Figure{Name: report.PerConnect}, micros(cpu)/float64(n))
	e.add(t, report.Figure{Name: report.Each, Plot: true}, (full-empty)/1024/float64(n))

	t = e.Result.Table("subjects", thousands(n)+" subjects with one subscriber each, at full speed",
		fmt.Sprintf("The subjects take turns. All clients together lack at most %d events of %d bytes.", 8*e.Sizes.Ahead, e.Sizes.Payload))
	e.fail(t, e.floodWindow(c, s, t, 8*e.Sizes.Ahead))
	return nil
}
