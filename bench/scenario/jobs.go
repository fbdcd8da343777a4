package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetway-io/jetway/bench/driver"
	"github.com/jetway-io/jetway/bench/report"
)

// jobs: a backlog is submitted, then workers that hold one job at a time do it.
// Jetway against a program that uses nats.go alone, and tells nobody what has
// become of a job.
func jobs(e *Env) error {
	s, err := e.start(driver.Use{})
	if err != nil {
		return err
	}
	defer s.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2*stall)
	defer cancel()
	q, err := openQueue(ctx, e.Program.Key, s.Addr)
	if err != nil {
		return err
	}
	defer q.close()
	before, err := costOf(s)
	if err != nil {
		return err
	}
	if err := submitAll(ctx, q, e.Sizes.Jobs); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	submitted := time.Since(before.at)
	start := time.Now()
	if err := workOff(ctx, q, e.Sizes.Jobs, e.Sizes.Workers); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	done := time.Since(start)
	_, cpu, err := before.since()
	if err != nil {
		return err
	}
	n := float64(e.Sizes.Jobs)
	t := e.Result.Table("jobs", fmt.Sprintf("%s jobs, %d workers", thousands(e.Sizes.Jobs), e.Sizes.Workers),
		"All jobs are submitted, at most 1,000 of them unanswered; then each worker takes one at a time, and settles it with a confirmation. The limit publishes, fetches, and acks twice; Jetway also "+
			"stores three events about each job. Each job is done exactly once. More in [JOBS.md](JOBS.md).")
	e.add(t, report.Figure{Name: report.JobsStored, More: true}, n/submitted.Seconds())
	e.add(t, report.Figure{Name: report.JobsDone, More: true, Plot: true}, n/done.Seconds())
	e.add(t, report.Figure{Name: report.PerJob, Plot: true}, micros(cpu)/n)
	return nil
}

// queue is one program's way to have jobs done.
type queue interface {
	// submit adds a job; stored is called when it is stored.
	submit(ctx context.Context, data []byte, stored func(error))
	hire(ctx context.Context) (worker, error)
	close()
}

// worker holds one job at a time.
type worker interface {
	next(ctx context.Context) ([]byte, error)
	settle(ctx context.Context) error // returns when it is confirmed
	leave()
}

func openQueue(ctx context.Context, program, addr string) (queue, error) {
	if strings.HasPrefix(program, "jetway") {
		return openJetwayQueue(ctx, addr)
	}
	return openBareQueue(ctx, addr)
}

// submitAll returns when all jobs are stored.
func submitAll(ctx context.Context, q queue, n int) error {
	window, answers := make(chan struct{}, 1000), make(chan error, n)
	for i := range n {
		window <- struct{}{}
		q.submit(ctx, fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", 100)), func(err error) { <-window; answers <- err })
	}
	for range n {
		if err := <-answers; err != nil {
			return err
		}
	}
	return nil
}

// tally sees to it that each job is done once.
type tally struct {
	mu   sync.Mutex
	seen []bool // Guarded by mu.
	left atomic.Int64
}

func (t *tally) given(data []byte) error {
	var job struct{ N int }
	if err := json.Unmarshal(data, &job); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if job.N < 0 || job.N >= len(t.seen) || t.seen[job.N] {
		return fmt.Errorf("job %d comes twice, or out of nowhere", job.N)
	}
	t.seen[job.N] = true
	return nil
}

func workOff(ctx context.Context, q queue, n, workers int) error {
	working, done := context.WithCancel(ctx)
	defer done()
	t := &tally{seen: make([]bool, n)}
	t.left.Store(int64(n))
	err := each(workers, workers, func(int) error {
		over := func() bool { return working.Err() != nil && ctx.Err() == nil }
		w, err := q.hire(working)
		if err == nil {
			defer w.leave()
		}
		if over() {
			return nil // the others were faster
		}
		if err != nil {
			return err
		}
		for {
			data, err := w.next(working)
			if over() {
				return nil
			}
			if err == nil {
				err = t.given(data)
			}
			if err == nil {
				err = w.settle(ctx)
			}
			if err != nil {
				done()
				return err
			}
			if t.left.Add(-1) == 0 {
				done()
			}
		}
	})
	if err == nil && t.left.Load() != 0 {
		err = fmt.Errorf("%d jobs are not done", t.left.Load())
	}
	return err
}
