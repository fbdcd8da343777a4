package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is the clients of one server. The first of them publishes, and gets
// what it publishes like all others.
type crowd struct {
	clients []*client
	done    sync.WaitGroup
	failed  chan error

	sent  int64 // events published
	acks  atomic.Int64
	ring  [4096]atomic.Int32 // clients that have event n, at n modulo the size
	all   atomic.Int64       // events that all clients have
	ready chan struct{}      // has room for one: all has grown
}

// gather connects n clients, some at the same time.
func gather(addr string, n int) (*crowd, error) {
	c := &crowd{clients: make([]*client, n), failed: make(chan error, 1), ready: make(chan struct{}, 1)}
	var group sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, 16)
	for range cap(errs) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				var err error
				if c.clients[i], err = dial(addr); err != nil {
					errs <- fmt.Errorf("client %d: %w", i, err)
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		c.disperse()
		return nil, err
	default:
	}
	for i, one := range c.clients {
		c.done.Go(func() {
			if err := one.listen(c); err != nil {
				c.fail(fmt.Errorf("client %d: %w", i, err))
			}
		})
	}
	return c, nil
}

func (c *crowd) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// disperse closes all connections.
func (c *crowd) disperse() {
	for _, one := range c.clients {
		if one != nil {
			one.close()
		}
	}
	c.done.Wait()
}

// received implements counters. Each client has the events in order, so they
// are complete in order.
func (c *crowd) received(n int64) {
	if c.ring[n%int64(len(c.ring))].Add(1) < int32(len(c.clients)) {
		return
	}
	c.ring[n%int64(len(c.ring))].Store(0)
	c.all.Store(n)
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// acked implements counters.
func (c *crowd) acked(p []byte) error {
	if !bytes.Contains(p, []byte(`"ok":true`)) {
		return fmt.Errorf("refused: %s", p)
	}
	c.acks.Add(1)
	return nil
}

// publish sends the next event.
func (c *crowd) publish(size int) error {
	c.sent++
	return c.clients[0].write(appendEvent(nil, c.sent, size))
}

// await waits until at most ahead events are not with all clients yet.
func (c *crowd) await(ahead int64) error {
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	for c.sent-c.all.Load() > ahead {
		select {
		case <-c.ready:
		case err := <-c.failed:
			return err
		case <-timeout.C:
			return fmt.Errorf("all clients have %d of %d events after 30 s", c.all.Load(), c.sent)
		}
	}
	return nil
}

// settled waits until all events are with all clients and acknowledged.
func (c *crowd) settled() error {
	if err := c.await(0); err != nil {
		return err
	}
	for until := time.Now().Add(10 * time.Second); c.acks.Load() < c.sent; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return fmt.Errorf("%d of %d events are acknowledged", c.acks.Load(), c.sent)
		}
	}
	select {
	case err := <-c.failed:
		return err
	default:
	}
	for i, one := range c.clients {
		if one.last != c.sent {
			return fmt.Errorf("client %d has %d of %d events", i, one.last, c.sent)
		}
	}
	return nil
}

// paced publishes at a rate.
func (c *crowd) paced(window time.Duration, rate, size int) error {
	start := time.Now()
	for i := range int(window.Seconds() * float64(rate)) {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		if err := errors.Join(c.await(int64(len(c.ring))/2), c.publish(size)); err != nil {
			return err
		}
	}
	return c.settled()
}

// flatOut publishes as fast as all clients receive.
func (c *crowd) flatOut(window time.Duration, ahead, size int) error {
	for until := time.Now().Add(window); time.Now().Before(until); {
		if err := errors.Join(c.await(int64(ahead)-1), c.publish(size)); err != nil {
			return err
		}
	}
	return c.settled()
}

// takeLatencies returns how long deliveries took since the last call, sorted.
// It may be called when all is settled.
func (c *crowd) takeLatencies() []uint32 {
	var all []uint32
	for _, one := range c.clients {
		all = append(all, one.latencies...)
		one.latencies = one.latencies[:0]
	}
	slices.Sort(all)
	return all
}
