package quota_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/quota"
)

var limits = quota.Limits{PublishRate: 1000, PublishBytes: 1 << 20, UserPublishRate: 1500, UserPublishBytes: 3 << 19, PerUser: 3,
	RequestRate: 10, MaxMessageBytes: 2 << 20, MaxSubscriptions: 20}

// refusedBy returns the refusal, which must be by a limit, and name its key.
func refusedBy(t *testing.T, err error, l bridge.Limit) *bridge.Error {
	t.Helper()
	var e *bridge.Error
	if !errors.As(err, &e) || e.Code != bridge.CodeRateLimited || e.Limit != l || !strings.Contains(e.Hint, "limits."+string(l)) || e.Retry <= 0 {
		t.Fatalf("got %+v, want a refusal by %s", err, l)
	}
	return e
}

// let returns how many pass until one is refused, and the refusal.
func let(ask func() error) (n int, err error) {
	for ; err == nil; n++ {
		err = ask()
	}
	return n - 1, err
}

func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quota.NewRegistry(limits)
		one, two := r.Client(), r.Client()
		ann, err := r.Enter("ann", false)
		if err != nil {
			t.Fatal(err)
		}
		n, err := let(func() error { return one.Publish(ann, 1) })
		refusedBy(t, err, bridge.LimitPublishRate)
		if n != 1000 {
			t.Errorf("%d of one client pass at once", n)
		}
		n, err = let(func() error { return two.Publish(ann, 1) })
		refusedBy(t, err, bridge.LimitUserPublishRate)
		if n != 500 {
			t.Errorf("%d of the user's other client pass", n)
		}
		if n, _ = let(func() error { return two.Publish(nil, 1) }); n != 500 {
			t.Errorf("%d pass after those: what was refused has taken something", n)
		}
		time.Sleep(100 * time.Millisecond)
		if n, _ = let(func() error { return one.Publish(ann, 1) }); n != 100 {
			t.Errorf("%d pass after 100 ms", n)
		}
	})
}

// Bytes are limited as messages are; a message is never refused for ever.
func TestPublishBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quota.NewRegistry(limits)
		ann, _ := r.Enter("ann", false)
		one, two := r.Client(), r.Client()
		if err := one.Publish(nil, 2<<20); err != nil {
			t.Fatalf("one large message: %v", err)
		}
		e := refusedBy(t, one.Publish(nil, 1<<20), bridge.LimitPublishBytes)
		time.Sleep(e.Retry)
		if err := one.Publish(nil, 1<<20); err != nil {
			t.Errorf("after retry: %v", err)
		}
		if err := one.Publish(nil, 0); err != nil {
			t.Errorf("an empty message: %v", err)
		}
		if err := two.Publish(ann, 3<<20); err != nil { // cannot be, but must not wait for ever
			t.Errorf("a message over the burst: %v", err)
		}
		refusedBy(t, r.Client().Publish(ann, 1), bridge.LimitUserPublishBytes)
	})
}

// Of many that are refused at once each is told a time of its own, at which it
// passes: who obeys is refused once. Nothing else than the limit lets through
// passes meanwhile.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quota.NewRegistry(limits).Client()
		var mu sync.Mutex
		passed, refused := 0, 0
		publish := func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			err := c.Publish(nil, 1)
			if err == nil {
				passed++
				return 0
			}
			if refused++; !c.Refused() {
				t.Error("too fast")
			}
			return refusedBy(t, err, bridge.LimitPublishRate).Retry
		}
		for range 5000 {
			if wait := publish(); wait > 0 {
				go func() {
					for ; wait > 0; wait = publish() {
						time.Sleep(wait)
					}
				}()
			}
		}
		start := time.Now()
		synctest.Wait()
		for now := 0; now < 5000; {
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			now = passed
			mu.Unlock()
			if most := 1000 + int(time.Since(start).Seconds()*1000) + 1; now > most {
				t.Fatalf("%d have passed after %s", now, time.Since(start))
			}
		}
		synctest.Wait()
		if took := time.Since(start); took > 4500*time.Millisecond || refused != 4000 {
			t.Errorf("took %s, and %d refusals", took, refused)
		}
	})
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quota.NewRegistry(limits).Client()
		n, err := let(c.Request)
		if refusedBy(t, err, bridge.LimitRequestRate); n != 20 { // as many as subscriptions
			t.Errorf("%d pass at once", n)
		}
		time.Sleep(time.Second)
		if n, _ = let(c.Request); n != 10 {
			t.Errorf("%d pass in a second", n)
		}
	})
}

// A loop that listens to nothing is too fast; one refusal now and then is not.
func TestTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quota.NewRegistry(limits)
		c, patient := r.Client(), r.Client()
		n := 0
		for ; c.Refused(); n++ {
			if c.TooFast() {
				t.Fatal("too fast, and not")
			}
		}
		if n != 10_100 || !c.TooFast() || c.Refused() || r.TooFast.Load() != 1 { // ten seconds of 1000 and 10
			t.Errorf("too fast after %d refusals: %v, counted %d", n, c.TooFast(), r.TooFast.Load())
		}
		for range 60 {
			time.Sleep(time.Second)
			for range 1000 {
				if !patient.Refused() {
					t.Fatal("a thousand refusals in a second are too fast")
				}
			}
		}
	})
}

// W12: connections of one user; who leaves makes room, and is forgotten.
func TestUsers(t *testing.T) {
	full := 0
	r := quota.NewRegistry(limits)
	r.Full = func() { full++ }
	var in []*quota.User
	for range 3 {
		u, err := r.Enter("ann", false)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, u)
	}
	_, err := r.Enter("ann", false)
	if refusedBy(t, err, bridge.LimitUser); full != 1 {
		t.Errorf("counted %d", full)
	}
	if _, err := r.Enter("bob", false); err != nil {
		t.Errorf("another user: %v", err)
	}
	for range 10 {
		if u, err := r.Enter("anonymous", true); u != nil || err != nil {
			t.Fatalf("nobody: %v, %v", u, err)
		}
	}
	in[0].Leave()
	if in[0], err = r.Enter("ann", false); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	less := limits
	less.PerUser = 1
	r.Limit(less)
	for _, u := range in {
		if _, err := r.Enter("ann", false); err == nil {
			t.Error("let in by the new limit")
		}
		u.Leave()
	}
	if n := r.Users(); n != 1 {
		t.Errorf("%d users are known", n)
	}
	var nobody *quota.User
	nobody.Leave()
}

// Who leaves and comes back has the rates that it had: else a user who connects
// for each burst would have none. What is whole again is forgotten.
func TestUserComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quota.NewRegistry(limits)
		burst := func(name string) (n int) {
			u, err := r.Enter(name, false)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Leave()
			n, _ = let(func() error { return r.Client().Publish(u, 1) })
			return n
		}
		if n := burst("ann"); n != 1500 {
			t.Fatalf("%d pass at once", n)
		}
		if n := burst("ann"); n != 0 {
			t.Errorf("%d more pass at once after the user came back", n)
		}
		time.Sleep(100 * time.Millisecond)
		if n := burst("ann"); n != 150 {
			t.Errorf("%d pass after 100 ms", n)
		}
		if n := burst("bob"); n != 1500 {
			t.Errorf("%d of another user pass", n)
		}
		for range 5 {
			time.Sleep(time.Minute)
			burst("eve")
		}
		if n := r.Left(); n > 2 {
			t.Errorf("%d users that have left are known", n)
		}
		if n := burst("ann"); n != 1500 {
			t.Errorf("%d pass much later", n)
		}
	})
}

// However many users come for a moment, only so many are known.
func TestManyComeAndGo(t *testing.T) {
	r := quota.NewRegistry(quota.Limits{UserPublishRate: 1.0 / 3600})
	for i := range 3 * quota.MaxLeft {
		u, err := r.Enter(fmt.Sprint(i), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Client().Publish(u, 1); err != nil {
			t.Fatal(err)
		}
		u.Leave()
		if n := r.Left(); n > 2*quota.MaxLeft {
			t.Fatalf("%d are known", n)
		}
	}
}

// New limits are for clients that come, and for a user as soon as one does.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quota.NewRegistry(limits)
		old := r.Client()
		ann, _ := r.Enter("ann", false)
		more := limits
		more.PublishRate, more.UserPublishRate = 10, 20
		r.Limit(more)
		if n, _ := let(func() error { return old.Publish(ann, 0) }); n != 1000 {
			t.Errorf("%d of the old client pass", n)
		}
		young := r.Client()
		if n, _ := let(func() error { return young.Publish(nil, 0) }); n != 10 {
			t.Errorf("%d of a new client pass", n)
		}
		if _, err := r.Enter("ann", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n, _ := let(func() error { return old.Publish(ann, 0) }); n != 20 {
			t.Errorf("%d of the user pass", n)
		}
	})
}

// Without limits everything passes.
func TestUnlimited(t *testing.T) {
	var none *quota.Registry
	for _, c := range []*quota.Client{none.Client(), quota.NewRegistry(quota.Limits{}).Client()} {
		u, err := c.Enter("ann", false)
		if err != nil {
			t.Fatal(err)
		}
		for range 5000 {
			if err := errors.Join(c.Publish(u, 1<<30), c.Request()); err != nil {
				t.Fatal(err)
			}
		}
		u.Leave()
	}
}

func TestConcurrently(t *testing.T) {
	r := quota.NewRegistry(quota.Limits{PublishRate: 1e9, UserPublishRate: 1e9, PerUser: 100})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				c := r.Client()
				u, err := c.Enter(fmt.Sprint("user", i%2), false)
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Publish(u, 1); err != nil {
					t.Error(err)
				}
				r.Limit(quota.Limits{PublishRate: 1e9, UserPublishRate: 1e9, PerUser: 100})
				u.Leave()
			}
		})
	}
	all.Wait()
	if n := r.Users(); n != 0 {
		t.Errorf("%d users are left", n)
	}
}

func TestPublishDoesNotAllocate(t *testing.T) {
	r := quota.NewRegistry(quota.Limits{PublishRate: 1e9, PublishBytes: 1e12, UserPublishRate: 1e9, UserPublishBytes: 1e12, RequestRate: 1e9})
	c := r.Client()
	u, _ := r.Enter("ann", false)
	if n := testing.AllocsPerRun(100, func() {
		if c.Publish(u, 100) != nil || c.Request() != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	r := quota.NewRegistry(quota.Limits{PublishRate: 1e12, PublishBytes: 1e15, UserPublishRate: 1e12, UserPublishBytes: 1e15})
	u, _ := r.Enter("ann", false)
	for name, user := range map[string]*quota.User{"anonymous": nil, "user": u} {
		b.Run(name, func(b *testing.B) {
			c := r.Client()
			b.ReportAllocs()
			for b.Loop() {
				if c.Publish(user, 100) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
