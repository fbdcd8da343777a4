package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/jetway-io/jetway/bridge"
)

// OpenDurable implements [bridge.Broker].
func (b *Broker) OpenDurable(ctx context.Context, slot int, d bridge.Durable, start uint64) (seen uint64, existed bool, err error) {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return 0, false, err
	}
	defer s.mu.Unlock()
	return s.durables.open(d, start, time.Now())
}

// MoveDurable implements [bridge.Broker].
func (b *Broker) MoveDurable(ctx context.Context, slot int, d bridge.Durable, seen uint64) error {
	s, err := b.lock(ctx, slot)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	return s.durables.move(d, seen, time.Now())
}

// durables holds the durable cursors of one incarnation of a stream.
type durables struct {
	max    int           // per user; negative: no limit
	idle   time.Duration // unused for so long, a durable is deleted; negative: never
	byUser map[string]map[string]*durable
	sweep  time.Time // when to look for idle ones of all users next
}

// durable is one cursor.
type durable struct {
	filter string
	seen   uint64
	used   time.Time
}

func newDurables(max int, idle time.Duration) durables {
	return durables{max: max, idle: idle, byUser: make(map[string]map[string]*durable)}
}

func (ds *durables) open(d bridge.Durable, start uint64, now time.Time) (seen uint64, existed bool, err error) {
	ds.expire(d.User, now)
	have := ds.byUser[d.User]
	if found := have[d.Name]; found != nil {
		if found.filter != d.Filter {
			return 0, false, &bridge.Error{
				Code: bridge.CodeConflict,
				Msg:  fmt.Sprintf("the durable %q exists with the filter %q", d.Name, found.filter),
				Hint: "use another name, or the same filter",
			}
		}
		found.used = now
		return found.seen, true, nil
	}
	if ds.max >= 0 && len(have) >= ds.max {
		return 0, false, bridge.OverLimit(bridge.LimitDurables, fmt.Sprintf("a user has at most %d durables", ds.max),
			"use fewer names; unused ones are deleted after a while", 0)
	}
	if have == nil {
		have = make(map[string]*durable)
		ds.byUser[d.User] = have
	}
	have[d.Name] = &durable{filter: d.Filter, seen: start, used: now}
	return start, false, nil
}

func (ds *durables) move(d bridge.Durable, seen uint64, now time.Time) error {
	ds.expire(d.User, now)
	found := ds.byUser[d.User][d.Name]
	if found == nil {
		return &bridge.Error{
			Code: bridge.CodeNotFound,
			Msg:  fmt.Sprintf("there is no durable %q", d.Name),
			Hint: "subscribe again",
		}
	}
	found.seen, found.used = seen, now
	return nil
}

// expire deletes the user's durables that were idle for too long, and now and
// then everybody's, so that those of users who never come back go too.
func (ds *durables) expire(user string, now time.Time) {
	if ds.idle < 0 {
		return
	}
	ds.expireUser(user, now)
	if now.Before(ds.sweep) {
		return
	}
	ds.sweep = now.Add(max(ds.idle/2, time.Second))
	for other := range ds.byUser {
		ds.expireUser(other, now)
	}
}

func (ds *durables) expireUser(user string, now time.Time) {
	for name, d := range ds.byUser[user] {
		if now.Sub(d.used) >= ds.idle {
			delete(ds.byUser[user], name)
		}
	}
	if len(ds.byUser[user]) == 0 {
		delete(ds.byUser, user)
	}
}
