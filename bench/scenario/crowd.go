package scenario

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/wire"
)

// crowd is the clients of one server, all subscribed to one subject or each to
// one of its own, and one client more that publishes.
type crowd struct {
	env      *Env
	addr     string
	clients  []*driver.Client
	subjects []string // one, or one for each client
	pub      *driver.Client
	done     sync.WaitGroup
	failed   chan error

	sent int64 // events published
	acks atomic.Int64
}

// dialers is how many connect at the same time.
const dialers = 16

// stall is how long nothing may happen where something should.
const stall = 60 * time.Second

// gather connects n clients and subscribes them; own: each to a subject of its
// own.
func (e *Env) gather(addr string, n int, own bool) (*crowd, error) {
	c := &crowd{env: e, addr: addr, failed: make(chan error, 1), clients: make([]*driver.Client, n), subjects: []string{subject}}
	if own {
		c.subjects = make([]string, n)
		for i := range c.subjects {
			c.subjects[i] = fmt.Sprint("events.bench.", i)
		}
	}
	err := each(n, dialers, func(i int) error {
		client, err := e.join(addr, c.subjects[i%len(c.subjects)], c.options(n))
		c.clients[i] = client
		return err
	})
	if err == nil {
		c.pub, err = e.Program.Dial(addr, driver.Options{Acked: func(int64) { c.acks.Add(1) }})
	}
	if err != nil {
		c.disperse()
		return nil, err
	}
	for _, client := range append(slices.Clone(c.clients), c.pub) {
		c.listen(client)
	}
	return c, nil
}

// options are those of a subscriber: a large buffer saves the load generator
// system calls, and many of them memory.
func (c *crowd) options(n int) driver.Options {
	o := driver.Options{Options: wire.Options{Buffer: 16 << 10}}
	if n > 2000 {
		o.Buffer = 1024
	}
	return o
}

// join connects and subscribes one client.
func (e *Env) join(addr, subject string, o driver.Options) (*driver.Client, error) {
	client, err := e.Program.Dial(addr, o)
	if err != nil {
		return nil, err
	}
	if err := client.Subscribe(subject); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// each does something for 0 to n-1, several at the same time, until one fails.
func each(n, together int, do func(i int) error) error {
	var group sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, together)
	for range together {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					errs <- fmt.Errorf("client %d: %w", i, err)
					next.Store(int64(n))
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

func (c *crowd) listen(client *driver.Client) {
	c.done.Go(func() {
		if err := client.Listen(); err != nil {
			select {
			case c.failed <- err:
			default:
			}
		}
	})
}

// disperse closes all connections.
func (c *crowd) disperse() {
	for _, client := range append(slices.Clone(c.clients), c.pub) {
		if client != nil {
			client.Close()
		}
	}
	c.done.Wait()
}

// expected is what client i has when all has arrived. Subjects take turns.
func (c *crowd) expected(i int) int64 {
	n := int64(len(c.subjects))
	return (c.sent + n - 1 - int64(i)%n) / n
}

// delivered is what all clients have together.
func (c *crowd) delivered() (sum int64) {
	for _, client := range c.clients {
		sum += client.Last()
	}
	return sum
}

// behind is what the slowest client lacks; with a subject for each, what all
// lack together.
func (c *crowd) behind() int64 {
	if len(c.subjects) > 1 {
		return c.sent - c.delivered()
	}
	least := c.sent
	for _, client := range c.clients {
		least = min(least, client.Last())
	}
	return c.sent - least
}

// publish sends the next events with one system call.
func (c *crowd) publish(count int) error {
	first := c.sent + 1
	c.sent += int64(count)
	now, n := time.Now().UnixNano(), int64(len(c.subjects))
	return c.pub.PublishMany(first, count, func(dst []byte, id int64) (string, []byte) {
		return c.subjects[(id-1)%n], driver.AppendEvent(dst, (id-1)/n+1, now, c.env.Sizes.Payload)
	})
}

// await waits until at most ahead events are missing.
func (c *crowd) await(ahead int64) error {
	for until := time.Now().Add(stall); ; time.Sleep(100 * time.Microsecond) {
		behind := c.behind()
		select {
		case err := <-c.failed:
			return err
		default:
		}
		if behind <= ahead {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("after %s the slowest client lacks %d of %d events", stall, behind, c.sent)
		}
	}
}

// settled waits until all events have arrived, and are acknowledged.
func (c *crowd) settled() error {
	if err := c.await(0); err != nil {
		return err
	}
	if err := c.unacked(0); err != nil {
		return err
	}
	for i, client := range c.clients {
		if got := client.Last(); got != c.expected(i) {
			return fmt.Errorf("client %d has %d of %d events", i, got, c.expected(i))
		}
	}
	return nil
}

// unacked waits until at most so many events are not acknowledged.
func (c *crowd) unacked(ahead int) error {
	for until := time.Now().Add(stall); c.sent-c.acks.Load() > int64(ahead); time.Sleep(100 * time.Microsecond) {
		select {
		case err := <-c.failed:
			return err
		default:
		}
		if time.Now().After(until) {
			return fmt.Errorf("after %s %d of %d events are acknowledged", stall, c.acks.Load(), c.sent)
		}
	}
	return nil
}

// paced publishes at a rate, and waits until all has arrived.
func (c *crowd) paced(window time.Duration, rate int) error {
	start := time.Now()
	for i := range int(window.Seconds() * float64(rate)) {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		if err := c.await(int64(c.env.Sizes.Ahead) * int64(len(c.subjects))); err != nil {
			return err
		}
		if err := c.publish(1); err != nil {
			return err
		}
	}
	return c.settled()
}

// burst is how many events are written at a time, at most.
const burst = 32

// flood publishes until then as fast as the slowest client allows.
func (c *crowd) flood(until time.Time, ahead int) error {
	n := max(1, min(burst, ahead/4))
	for time.Now().Before(until) {
		if err := c.await(int64(ahead - n)); err != nil {
			return err
		}
		if err := c.publish(n); err != nil {
			return err
		}
	}
	return nil
}

// latencies takes those of all clients, in milliseconds: the median and the
// 99th percentile.
func (c *crowd) latencies() (p50, p99 float64) {
	var all []uint32
	for _, client := range c.clients {
		all = append(all, client.TakeLatencies()...)
	}
	return percentiles(all)
}

func percentiles(all []uint32) (p50, p99 float64) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return float64(all[len(all)/2]) / 1000, float64(all[len(all)*99/100]) / 1000
}

func (c *crowd) time(on bool) {
	for _, client := range c.clients {
		client.Time(on)
	}
}
