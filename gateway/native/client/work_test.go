package client_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native"
	"github.com/jetway-io/jetway/gateway/native/client"
)

func job(lease string, try int) string {
	return fmt.Sprintf(`{"job":"jobs.r","sid":"w1","lease":%q,"try":%d,"for":"30s","pos":"q-7","head":{"A":"b"},"data":%q}`, lease, try, lease)
}

// working greets, takes the work and answers it, with frames behind.
func (p *peer) working(frames ...string) *native.Frame {
	p.hi()
	f := p.recv()
	p.send(append([]string{`{"ok":` + f.ID + `,"sid":"w1"}`}, frames...)...)
	return f
}

// settled answers what the client says with ok, until it has gone or it says
// so often enough, and returns it.
func (p *peer) settled(n int) (said []string) {
	for len(said) < n {
		f := p.recv()
		if f == nil {
			break
		}
		said = append(said, fmt.Sprintf("%s %s %s %s", f.Verb, f.Text, f.Data, f.Why))
		p.send(`{"ok":` + f.ID + `}`)
	}
	return said
}

const always = 1 << 30

// runWork is Work, and waits for the server's scripts to end.
func runWork(ctx context.Context, f *fake, o client.Options, queue string, wo client.WorkOptions, fn func(context.Context, *client.Job) client.Outcome) error {
	defer f.wg.Wait()
	return client.Work(ctx, url, o, queue, wo, fn)
}

func lost(err error) bool { return errors.Is(err, &bridge.Error{Code: bridge.CodeLeaseLost}) }

func TestWorkLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked native.Frame
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		f, o := serve(t, func(_ int, p *peer) {
			asked = *p.working(job("done", 1))
			said = append(said, p.settled(1)...)
			for _, lease := range []string{"again", "never", "zero", "large"} {
				p.send(job(lease, 2))
				said = append(said, p.settled(1)...)
			}
			cancel()
			said = append(said, p.settled(always)...)
		})
		var got []client.Job
		err := runWork(ctx, f, o, "jobs.*", client.WorkOptions{}, func(_ context.Context, j *client.Job) client.Outcome {
			got = append(got, *j)
			switch string(j.Payload()) {
			case `"done"`:
				return client.Done([]byte(`{"n":1}`))
			case `"again"`:
				return client.TryAgain(time.Minute, "busy")
			case `"large"`:
				return client.Done(make([]byte, 1000))
			case `"never"`:
				return client.GiveUp("bad")
			}
			return client.Outcome{}
		})
		if err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
		if asked.Text != "jobs.*" || asked.Max != 1 {
			t.Errorf("asked for %+v", asked)
		}
		if want := []string{`ack done {"n":1} `, "nak again  busy", "term never  bad", "nak zero  ",
			"term large  the outcome of the job is larger than the server takes: 1386 bytes, at most 1000", "off w1  "}; !reflect.DeepEqual(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
		if j := got[1]; j.Subject != "jobs.r" || j.Pos != "q-7" || j.Try != 2 || j.For != 30*time.Second || !reflect.DeepEqual(j.Head, []bridge.Field{{Name: "A", Value: "b"}}) {
			t.Errorf("got %+v", j)
		}
	})
}

// A lease is extended at a third of its time, as long as the function runs, and
// progress goes its own way.
func TestWorkKeepsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		f, o := serve(t, func(_ int, p *peer) {
			p.working(job("L", 1))
			for f := p.recv(); f != nil; f = p.recv() {
				said = append(said, fmt.Sprintf("%s %s %s", time.Since(start), f.Verb, f.Data))
				p.send(`{"ok":` + f.ID + `}`)
			}
		})
		err := runWork(ctx, f, o, "jobs.r", client.WorkOptions{}, func(held context.Context, j *client.Job) client.Outcome {
			defer cancel()
			time.Sleep(15 * time.Second)
			if err := j.Progress(held, []byte("50")); err != nil {
				t.Error(err)
			}
			time.Sleep(80 * time.Second)
			if held.Err() != nil {
				t.Error("the context has ended")
			}
			return client.Done(nil)
		})
		want := []string{
			"10s wip ", "15s wip 50", "20s wip ", "30s wip ", "40s wip ", "50s wip ", "1m0s wip ", "1m10s wip ", "1m20s wip ", "1m30s wip ",
		}
		if err != context.Canceled || len(said) != 12 || !reflect.DeepEqual(said[:10], want) {
			t.Errorf("said %q, %v", said, err)
		}
	})
}

// What ends the lease ends the job's context, and its outcome is dropped.
func TestWorkLosesTheLease(t *testing.T) {
	for name, tt := range map[string]struct {
		script func(p *peer)
		after  time.Duration
	}{
		"told": {func(p *peer) {
			time.Sleep(5 * time.Second)
			p.send(`{"lost":"other","why":"x"}`, `{"lost":"L","why":"the stream was purged"}`)
		}, 5 * time.Second},
		"refused": {func(p *peer) {
			p.send(`{"err":` + p.recv().ID + `,"code":"lease_lost","msg":"too late"}`)
		}, 10 * time.Second},
		// The server has become silent: the lease ends without a word.
		"not heard": {func(p *peer) { p.until() }, 30 * time.Second},
		// One refusal that may pass is not the end; nor is the next one.
		"not extended": {func(p *peer) {
			for range 2 {
				p.send(`{"err":` + p.recv().ID + `,"code":"unavailable","msg":"later"}`)
			}
		}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				ctx, cancel := context.WithCancel(t.Context())
				f, o := serve(t, func(_ int, p *peer) {
					p.working(job("L", 1))
					tt.script(p)
					said = p.settled(always)
				})
				dropped := make(chan error, 1)
				wo := client.WorkOptions{OnLost: func(_ *client.Job, err error) { dropped <- err }}
				err := runWork(ctx, f, o, "jobs.r", wo, func(held context.Context, _ *client.Job) client.Outcome {
					defer cancel()
					start := time.Now()
					<-held.Done()
					if d := time.Since(start); d != tt.after || !lost(context.Cause(held)) {
						t.Errorf("ended after %s, %v", d, context.Cause(held))
					}
					return client.Done(nil)
				})
				if e := <-dropped; !lost(e) || err != context.Canceled {
					t.Errorf("dropped for %v, ended with %v", e, err)
				}
				for _, s := range said {
					if s == "ack L  " {
						t.Errorf("settled a lease that was lost: %q", said)
					}
				}
			})
		})
	}
}

// A connection that ends in the middle of a job ends the job's context; on the
// next one the job comes again.
func TestWorkReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		f, o := serve(t, func(n int, p *peer) {
			switch n {
			case 0:
				p.working(job("one", 1))
				time.Sleep(time.Second)
				p.close(1012, `{"bye":true,"code":1012,"why":"restart","retry":"7s"}`)
				p.until()
			case 1: // refused for now
				p.hi()
				p.send(`{"err":` + p.recv().ID + `,"code":"unavailable","msg":"no","retry":"2s"}`)
				p.until()
			case 2:
				p.working(job("two", 2))
				said = p.settled(1)
				cancel()
				said = append(said, p.settled(always)...)
			}
		})
		var causes []error
		wo := client.WorkOptions{OnLost: func(j *client.Job, err error) { causes = append(causes, err) }}
		err := runWork(ctx, f, o, "jobs.r", wo, func(held context.Context, j *client.Job) client.Outcome {
			if j.Try == 1 {
				<-held.Done()
				time.Sleep(time.Second) // it takes a while to notice
			}
			return client.Done([]byte("1"))
		})
		if err != context.Canceled || !reflect.DeepEqual(said, []string{"ack two 1 ", "off w1  "}) {
			t.Errorf("said %q, %v", said, err)
		}
		var closed *client.ClosedError
		if len(causes) != 1 || !errors.As(causes[0], &closed) || closed.Code != 1012 {
			t.Errorf("lost for %v", causes)
		}
		if d := f.dials[1].Sub(f.dials[0]); d != 9*time.Second {
			t.Errorf("came back after %s, want the job's end and the 7s that the server asked for", d)
		}
		if d := f.dials[2].Sub(f.dials[1]); d != 2*time.Second {
			t.Errorf("came back after %s, the server asked for 2s", d)
		}
	})
}

// When it is asked to stop, it takes no more jobs, finishes what it does, and
// gives back what has crossed the off.
func TestWorkStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f, o := serve(t, func(_ int, p *peer) {
			p.working(job("L", 1))
			said = append(said, p.settled(1)...)
			off := p.recv()
			said = append(said, off.Verb.String()+" "+off.Text)
			p.send(job("crossed", 1), `{"ok":`+off.ID+`}`)
			said = append(said, p.settled(always)...)
		})
		time.AfterFunc(15*time.Second, cancel)
		start := time.Now()
		err := runWork(ctx, f, o, "jobs.r", client.WorkOptions{Max: 5}, func(held context.Context, j *client.Job) client.Outcome {
			if string(j.Data) != `"L"` {
				t.Errorf("began %s", j.Data)
			}
			time.Sleep(18 * time.Second)
			if held.Err() != nil {
				t.Error("the job was not left to finish")
			}
			return client.Done([]byte("1"))
		})
		if d := time.Since(start); err != context.Canceled || d < 18*time.Second || d > 19*time.Second {
			t.Errorf("ended after %s with %v", d, err)
		}
		if want := []string{"wip L  ", "off w1", "nak crossed  the worker is stopping", "ack L 1 "}; !reflect.DeepEqual(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
}

// The connection ends while it is finishing: there is nothing to come back for.
func TestWorkStopsWithoutAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f, o := serve(t, func(_ int, p *peer) {
			p.working(job("L", 1))
			cancel()
			p.recv()
		})
		err := runWork(ctx, f, o, "jobs.r", client.WorkOptions{}, func(held context.Context, _ *client.Job) client.Outcome {
			<-held.Done()
			return client.Done(nil)
		})
		if err != context.Canceled || len(f.dials) != 1 {
			t.Errorf("%v after %d connections", err, len(f.dials))
		}
	})
}

// A job whose lease was lost has its place until its function has returned,
// whatever the server thinks is free.
func TestWorkIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		f, o := serve(t, func(_ int, p *peer) {
			p.working(job("a", 1), job("b", 1))
			time.Sleep(time.Second)
			p.send(`{"lost":"a","why":"purged"}`, job("c", 1), job("d", 1), `{"lost":"d","why":"purged"}`)
			said = p.settled(2)
			cancel()
			said = append(said, p.settled(always)...)
		})
		var mu sync.Mutex
		var begun []string
		var running, most atomic.Int32
		err := runWork(ctx, f, o, "jobs.r", client.WorkOptions{Max: 2}, func(_ context.Context, j *client.Job) client.Outcome {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			mu.Lock()
			begun = append(begun, string(j.Data))
			mu.Unlock()
			if string(j.Data) == `"c"` {
				return client.Done(nil)
			}
			time.Sleep(5 * time.Second) // deaf to its context
			return client.Done(nil)
		})
		if err != context.Canceled || most.Load() != 2 || len(begun) != 3 || begun[2] != `"c"` {
			t.Errorf("%d at a time, began %q, %v", most.Load(), begun, err)
		}
		if len(said) != 3 || said[2] != "off w1  " {
			t.Errorf("said %q", said)
		}
	})
}

func TestWorkEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		script func(p *peer)
		want   bridge.Code
	}{
		"refused": {func(p *peer) {
			p.hi()
			p.send(`{"err":` + p.recv().ID + `,"code":"forbidden","msg":"no"}`)
			p.until()
		}, bridge.CodeForbidden},
		"revoked":     {func(p *peer) { p.working(job("L", 1), `{"end":"w1","why":"revoked"}`); p.settled(always) }, bridge.CodeForbidden},
		"closed 4409": {func(p *peer) { p.working(); p.close(4409, ""); p.until() }, bridge.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, o := serve(t, func(_ int, p *peer) { tt.script(p) })
				err := runWork(t.Context(), f, o, "jobs.r", client.WorkOptions{}, func(context.Context, *client.Job) client.Outcome {
					time.Sleep(time.Second)
					return client.Done(nil)
				})
				if !errors.Is(err, &bridge.Error{Code: tt.want}) || len(f.dials) != 1 {
					t.Errorf("%v after %d connections, want %s", err, len(f.dials), tt.want)
				}
			})
		})
	}
}
