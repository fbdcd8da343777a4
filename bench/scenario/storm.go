package scenario

import (
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
)

// storm: many clients of one subject lose their connections, miss the same
// events, and come back at the same time.
func storm(e *Env) error {
	n := e.Sizes.Storm
	t := e.Result.Table("storm", fmt.Sprintf("%s clients come back after %d events each", thousands(n), e.Sizes.Missing),
		fmt.Sprintf("All of one subject. %d connect at the same time; until the last one has all.", 4*dialers))
	s, err := e.start(driver.Use{Backlog: e.Sizes.Missing})
	if err != nil {
		return err
	}
	defer s.Stop()
	cursors, err := e.leave(s, n, e.Sizes.Missing)
	if err != nil {
		return err
	}
	before, err := costOf(s)
	if err != nil {
		return err
	}
	start := time.Now()
	back := make([]*driver.Client, n)
	defer func() {
		for _, c := range back {
			if c != nil {
				c.Close()
			}
		}
	}()
	err = each(n, 4*dialers, func(i int) (err error) {
		back[i], err = e.comeBack(s, cursors[i], e.Sizes.Missing)
		return err
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	_, cpu, err := before.since()
	if err != nil {
		return err
	}
	e.add(t, report.Figure{Name: report.CaughtUp, Plot: true}, millis(took))
	e.add(t, report.Figure{Name: report.PerCatchUp, Plot: true}, millis(cpu))
	return nil
}
