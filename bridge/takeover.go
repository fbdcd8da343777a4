package bridge

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// A durable is attached once in the whole cluster. A gateway that attaches one
// says so on the control subject jetway.ctl.durable, and who has it ends it.
// When two attach at the same moment each hears the other, and exactly one may
// go on: the later by its clock. Otherwise clocks decide nothing, as they
// differ: who hears of an attachment long after its own has been taken over.

// signalDurable is the name of the signal: a stamp, then the durable's key.
const signalDurable = "durable"

// sameMoment is how long after its own attachment a gateway takes another's
// for one that was made at the same time.
const sameMoment = 5 * time.Second

// stamp orders attachments that were made at the same moment: the time in
// nanoseconds, big-endian, then the gateway's id.
type stamp string

func (b *Bridge) stampNow() stamp {
	return stamp(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))) + stamp(b.id)
}

// stampBytes is the length of a stamp.
const stampBytes = 8 + 32

func (s stamp) gateway() string { return string(s[8:]) }

func (s stamp) time() time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64([]byte(s[:8]))))
}

// announce tells all gateways that the durable is attached here.
func (d *durable) announce() {
	d.mu.Lock()
	s := d.stamp
	d.mu.Unlock()
	if err := d.bridge.broker.Signal(signalDurable, []byte(string(s)+d.key)); err != nil {
		d.bridge.logger.Warn("announcing a durable", "name", d.spec.Name, "error", err)
	}
}

// heard handles what a gateway signals.
func (b *Bridge) heard(name string, data []byte) {
	switch {
	case name == signalSession:
		b.heardSession(data)
		return
	case name == signalRevoke:
		b.heardRevoke(data)
		return
	case name == signalBounced && b.queues != nil:
		b.queues.heardBounce(data)
		return
	}
	if name != signalDurable || len(data) < stampBytes {
		return
	}
	theirs, key := stamp(data[:stampBytes]), data[stampBytes:]
	if theirs.gateway() == b.id {
		return
	}
	b.mu.Lock()
	d := b.durables[string(key)]
	b.mu.Unlock()
	if d == nil {
		return
	}
	d.mu.Lock()
	ours := d.stamp
	stays := ours == "" || time.Since(ours.time()) < sameMoment && strings.Compare(string(ours), string(theirs)) > 0
	if !stays {
		d.lost = true
	}
	d.mu.Unlock()
	if stays {
		if ours != "" { // else it is about to be announced
			d.announce() // they may not have been there yet to hear it
		}
		return
	}
	b.stats.Takeovers.Add(1)
	b.release(d)
	d.sub.client.end(d.sub, "taken_over")
}

// keyLocks makes attachments of one durable on this gateway wait for each
// other.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	token chan struct{} // capacity 1; full while locked
	users int
}

// lock returns with the key locked, or an error when ctx ends before.
func (k *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	l := k.held[key]
	if l == nil {
		l = &keyLock{token: make(chan struct{}, 1)}
		if k.held == nil {
			k.held = make(map[string]*keyLock)
		}
		k.held[key] = l
	}
	l.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, key)
		}
	}
	select {
	case l.token <- struct{}{}:
		return func() { <-l.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, &Error{Code: CodeUnavailable, Msg: "the durable is being attached by somebody else", Retry: time.Second}
	}
}
