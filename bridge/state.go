package bridge

import (
	"context"
	"sync"
)

// stateCall asks the broker for a stream's state on behalf of many: when a
// crowd comes back at once, all who ask while one request is under way share
// the next. Each still gets an answer that is newer than its question.
type stateCall struct {
	mu      sync.Mutex
	running bool
	next    *stateAnswer // for those who ask from now on
}

type stateAnswer struct {
	done  chan struct{} // closed when the rest is set
	state StreamState
	err   error
}

// state returns what a stream holds, not older than the call, and keeps the
// ring within it.
func (b *Bridge) state(ctx context.Context, slot int) (StreamState, error) {
	call := b.states[slot]
	call.mu.Lock()
	answer := call.next
	if answer == nil {
		answer = &stateAnswer{done: make(chan struct{})}
		call.next = answer
		if !call.running {
			call.running = true
			b.work.Go(func() { b.askState(slot, call) })
		}
	}
	call.mu.Unlock()
	select {
	case <-answer.done:
		return answer.state, answer.err
	case <-ctx.Done():
		return StreamState{}, &Error{Code: CodeUnavailable, Msg: "the stream did not answer in time", Retry: retryPause}
	}
}

// askState asks until nobody waits.
func (b *Bridge) askState(slot int, call *stateCall) {
	for {
		call.mu.Lock()
		answer := call.next
		call.next = nil
		call.running = answer != nil
		call.mu.Unlock()
		if answer == nil {
			return
		}
		ctx, cancel := context.WithTimeout(b.ctx, readTimeout)
		answer.state, answer.err = b.broker.State(ctx, slot)
		cancel()
		if answer.err == nil {
			b.log.trimmed(answer.state.Stream, answer.state.First)
		}
		close(answer.done)
	}
}
