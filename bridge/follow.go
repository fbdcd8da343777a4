package bridge

import "time"

// follow receives one stream for as long as the bridge runs.
func (b *Bridge) follow(slot int, from uint64) {
	// The error is that of the context: Follow returns nothing else.
	_ = b.broker.Follow(b.ctx, slot, from, follower{b})
}

// follower puts what a stream brings into the log, and tells the hub.
type follower struct{ *Bridge }

var _ Follower = follower{}

// Append is the tail's hot path: once for each message, whatever the number of
// clients.
func (f follower) Append(e *Event) {
	if f.log.append(e) {
		f.stats.Received.Add(1)
		f.hub.signal()
	}
}

// Reached notes that there is nothing more, which is how a stream whose newest
// messages were deleted is known to be warm.
func (f follower) Reached(s *Stream, seq uint64) { f.log.reached(s, seq) }

// Lost makes those who had not yet received the missing messages ask the
// stream, and so be told of the gap.
func (f follower) Lost(s *Stream, after, next uint64) {
	f.logger.Warn("messages are missing", "stream", s.Name, "after", after, "next", next)
	f.log.cut(s, next-1)
	f.hub.signal()
}

// Renewed begins with the new incarnation, or goes on with one that was gone
// and is back as it was.
func (f follower) Renewed(s *Stream) {
	f.mu.Lock()
	for old, timer := range f.gone {
		if old.Slot == s.Slot {
			timer.Stop()
			delete(f.gone, old)
		}
	}
	f.mu.Unlock()
	if f.log.mark(s.Slot).stream == s {
		f.logger.Info("the stream is back as it was", "stream", s.Name)
		return
	}
	f.logger.Warn("the stream was made anew: clients are told of a gap", "stream", s.Name, "tag", s.Tag)
	f.log.cut(s, 0)
	f.hub.signal()
}

// Gone ends the stream's subscriptions, unless it is made again soon.
func (f follower) Gone(s *Stream) {
	f.logger.Error("the stream has been deleted; its subscriptions end unless it is created again", "stream", s.Name, "within", f.opts.GoneGrace)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone[s] != nil || f.stopped() {
		return
	}
	f.gone[s] = time.AfterFunc(f.opts.GoneGrace, func() {
		f.hub.each(func(sub *Subscription) {
			if sub.reads(s.Slot) {
				sub.client.end(sub, "stream_deleted")
			}
		})
	})
}
