package main

import (
	"fmt"
	"log"
	"slices"
	"time"
)

// The figures, in the order of the report.
const (
	figRate   = "deliveries/s"
	figCPU    = "server CPU, µs a delivery"
	figP50    = "latency p50, ms"
	figP99    = "latency p99, ms"
	figEmpty  = "RSS without clients, MiB"
	figRSS    = "RSS, MiB"
	figEach   = "RSS above that, KiB a client"
	figGo     = "goroutines a client"
	figStacks = "of it stacks, KiB a client"
	figHeap   = "of it heap in use, KiB a client"
)

var figureNames = []string{figRate, figCPU, figP50, figP99, figEmpty, figRSS, figEach, figStacks, figHeap, figGo}

// goMetrics are the figures that only Jetway has, and their units.
var goMetrics = []struct {
	figure, metric string
	unit           float64
}{
	{figGo, "go_goroutines", 1},
	{figStacks, "go_memstats_stack_inuse_bytes", 1024},
	{figHeap, "go_memstats_heap_inuse_bytes", 1024},
}

// figures are those of one program, each with one value per run.
type figures map[string][]float64

func (f figures) add(name string, v float64) { f[name] = append(f[name], v) }

// table is one of the report: for each program its figures.
type table struct {
	title   string
	figures []figures // by program; nil: not measured
}

func newTable(programs []program, format string, args ...any) *table {
	t := &table{title: fmt.Sprintf(format, args...)}
	for range programs {
		t.figures = append(t.figures, figures{})
	}
	return t
}

// measure does everything: in each run the programs take turns, and another
// one comes first.
func (o options) measure(programs []program) ([]*table, error) {
	var paced, flat, idle []*table
	for _, n := range o.fan {
		paced = append(paced, newTable(programs, "One event to %d clients, %d a second", n, o.rate))
		flat = append(flat, newTable(programs, "One event to %d clients, at full speed", n))
	}
	for _, n := range o.idle {
		idle = append(idle, newTable(programs, "%d idle clients", n))
	}
	for run := range o.runs {
		for k, n := range o.fan {
			for i := range programs {
				i = (i + run) % len(programs)
				if err := o.fanOut(programs[i], n, paced[k].figures[i], flat[k].figures[i]); err != nil {
					return nil, fmt.Errorf("%s, %d clients: %w", programs[i].name, n, err)
				}
			}
		}
		for k, n := range o.idle {
			for i := range programs {
				i = (i + run) % len(programs)
				if !programs[i].idle {
					continue
				}
				if err := o.rest(programs[i], n, idle[k].figures[i]); err != nil {
					return nil, fmt.Errorf("%s, %d idle clients: %w", programs[i].name, n, err)
				}
			}
		}
	}
	return slices.Concat(paced, flat, idle), nil
}

// fanOut is one fan-out run of one program, on a server of its own.
func (o options) fanOut(p program, n int, paced, flat figures) error {
	s, err := launch(p)
	if err != nil {
		return err
	}
	defer s.stop()
	c, err := gather(s.addr, n)
	if err != nil {
		return err
	}
	defer c.disperse()
	if err := c.paced(time.Second, o.rate, o.payload); err != nil { // warm
		return err
	}
	c.takeLatencies()
	if err := s.timed(c, paced, func() error { return c.paced(o.window, o.rate, o.payload) }); err != nil {
		return err
	}
	list := c.takeLatencies()
	paced.add(figP50, float64(list[len(list)/2])/1000)
	paced.add(figP99, float64(list[len(list)*99/100])/1000)
	if err := s.timed(c, flat, func() error { return c.flatOut(o.window, o.ahead, o.payload) }); err != nil {
		return err
	}
	log.Printf("%s, %d clients: paced p50 %.2f ms, p99 %.2f ms, %.2f µs; full speed %.0f/s, %.2f µs", p.name, n, lastOf(paced, figP50), lastOf(paced, figP99),
		lastOf(paced, figCPU), lastOf(flat, figRate), lastOf(flat, figCPU))
	return nil
}

func lastOf(f figures, name string) float64 { return f[name][len(f[name])-1] }

// timed does something, and notes the deliveries and the server's time.
func (s *server) timed(c *crowd, into figures, do func() error) error {
	before, err := s.cpu()
	if err != nil {
		return err
	}
	sent, start := c.sent, time.Now()
	if err := do(); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := s.cpu()
	if err != nil {
		return err
	}
	deliveries := float64(c.sent-sent) * float64(len(c.clients))
	into.add(figRate, deliveries/took.Seconds())
	into.add(figCPU, float64((after-before).Microseconds())/deliveries)
	return nil
}

// rest is one run of one program with idle clients. They answer pings.
func (o options) rest(p program, n int, into figures) error {
	s, err := launch(p)
	if err != nil {
		return err
	}
	defer s.stop()
	time.Sleep(time.Second)
	empty, err := s.rss()
	if err != nil {
		return err
	}
	var before []float64
	for _, m := range goMetrics {
		v, _ := s.metric(m.metric)
		before = append(before, v)
	}
	c, err := gather(s.addr, n)
	if err != nil {
		return err
	}
	defer c.disperse()
	time.Sleep(o.settle)
	full, err := s.rss()
	if err != nil {
		return err
	}
	into.add(figEmpty, empty/(1<<20))
	into.add(figRSS, full/(1<<20))
	into.add(figEach, (full-empty)/1024/float64(n))
	for i, m := range goMetrics {
		if v, ok := s.metric(m.metric); ok {
			into.add(m.figure, (v-before[i])/m.unit/float64(n))
		}
	}
	log.Printf("%s, %d idle clients: %.1f MiB, %.1f KiB a client", p.name, n, full/(1<<20), lastOf(into, figEach))
	return c.settled()
}
