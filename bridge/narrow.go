package bridge

// readNarrow serves the waiting readers that are cheaper to serve alone, one
// small read each. It returns false when a scan is to go on: it is under way,
// or too many are waiting, or somebody wants too much.
func (h *history) readNarrow() bool {
	if len(h.joined) > 0 {
		return false
	}
	if len(h.waiting) > narrowReaders {
		return false // asking for each would take longer than to read it all
	}
	h.probe()
	if len(h.waiting) == 0 {
		return true
	}
	readers := h.waiting
	h.waiting = nil
	scan := false
	for _, r := range readers {
		switch {
		case r.gone.Load():
		case !r.narrow && !h.suits(r):
			scan = true
			h.waiting = append(h.waiting, r)
		default:
			h.stepNarrow(r)
		}
	}
	return !scan
}

// probe lets go those readers whose subject has nothing new: most of them,
// when many come back after a short while.
func (h *history) probe() {
	stream, floor := h.bridge.log.floor(h.slot)
	h.release(func(r *historyReader) bool {
		if r.probed || r.stream != stream {
			return r.stream != stream
		}
		r.probed = true
		if !r.sub.want.literal {
			return false
		}
		ctx, cancel := h.ctx()
		defer cancel()
		last, err := h.bridge.broker.LastSeq(ctx, h.slot, r.sub.Filter)
		if err != nil || last >= r.next || !h.holds(r) {
			return false
		}
		r.next = max(r.next, floor+1)
		return true
	})
}

// holds reports whether the stream still has everything from the reader's
// place on, so that nothing can be missing.
func (h *history) holds(r *historyReader) bool {
	ctx, cancel := h.ctx()
	defer cancel()
	state, err := h.bridge.state(ctx, h.slot)
	return err == nil && state.Stream == r.stream && state.First <= r.next
}

// suits decides whether a reader reads narrowly: few messages, far apart.
func (h *history) suits(r *historyReader) bool {
	filter, one := r.sub.want.single()
	if r.wide || !one {
		return false
	}
	ctx, cancel := h.ctx()
	defer cancel()
	n, err := h.bridge.broker.Count(ctx, h.slot, filter)
	if err != nil || n > narrowMost {
		return false
	}
	_, floor := h.bridge.log.floor(h.slot)
	r.narrow = floor > r.next && n*narrowSpan < floor-r.next && h.holds(r)
	return r.narrow
}

// stepNarrow does one read for one reader.
func (h *history) stepNarrow(r *historyReader) {
	stream, floor := h.bridge.log.floor(h.slot)
	ctx, cancel := h.ctx()
	defer cancel()
	batch, err := h.bridge.broker.Read(ctx, ReadRequest{
		Slot: h.slot, Filter: r.sub.Filter, From: r.next, MaxMessages: narrowStep, MaxBytes: readerBytes / 2,
	})
	if err != nil {
		h.waiting = append(h.waiting, r)
		h.failed(err)
		return
	}
	h.bridge.stats.Narrow.Add(uint64(len(batch.Events)))
	if stream != r.stream {
		r.settle(r.next-1, false, true)
		return
	}
	if batch.Stream != r.stream {
		h.waiting = append(h.waiting, r)
		h.failed(errNoProgress)
		return
	}
	// A filtered read does not see holes. Asked after it, the stream says
	// whether something was trimmed before; then a scan tells what.
	if !h.holds(r) {
		r.narrow, r.wide = false, true
		h.waiting = append(h.waiting, r)
		return
	}
	for _, e := range batch.Events {
		if !r.put(item{event: e}) {
			r.settle(e.Seq-1, true, false)
			return
		}
	}
	// The floor was taken before the read: nothing up to it can be missing.
	done := batch.Next > floor
	r.settle(batch.Next-1, false, done)
	if !done {
		h.waiting = append(h.waiting, r)
	}
}
