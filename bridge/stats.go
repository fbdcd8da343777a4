package bridge

import "sync/atomic"

// Stats counts what the bridge does. Counters only rise; read them at any time.
type Stats struct {
	Clients       atomic.Int64  // connected now
	Subscriptions atomic.Int64  // of these clients, now
	Received      atomic.Uint64 // events that came in from the broker's streams
	Published     atomic.Uint64 // messages stored for clients
	Delivered     atomic.Uint64 // events written to clients
	FellBehind    atomic.Uint64 // times that a live subscription turned to catching up
	Rejoined      atomic.Uint64 // times that one became live (again)
	Overruns      atomic.Uint64 // times that a shard was overtaken by the ring
	Gaps          atomic.Uint64 // gaps told to clients
	Takeovers     atomic.Uint64 // durables taken over by another client
	Scanned       atomic.Uint64 // messages read by shared scans of streams
	Narrow        atomic.Uint64 // messages read for single clients
	Reclaimed     atomic.Uint64 // events read for clients that did not take them
	DroppedCore   atomic.Uint64 // live-only events dropped for clients too slow for them
	Workers       atomic.Int64  // of these clients, now
	Leases        atomic.Int64  // that they hold, now
	JobsGiven     atomic.Uint64 // times that a job was given to a worker
	JobsDone      atomic.Uint64 // jobs that were acked
	JobsRetried   atomic.Uint64 // times that a job went back to its queue after a try
	JobsBounced   atomic.Uint64 // times that a job went back because no worker here had room for it
	JobsDead      atomic.Uint64 // jobs that became dead letters
	LeasesLost    atomic.Uint64 // leases whose time was over
	SessionsTaken atomic.Uint64 // sessions that another client has resumed
	Requests      atomic.Uint64 // requests sent to services
	Refused       refusals      // requests refused, by code
	Limited       limited       // those with CodeRateLimited, by limit
}

// Refuse counts a request that is refused.
func (s *Stats) Refuse(e *Error) {
	s.Refused.add(e.Code)
	if e.Limit != "" {
		s.Limited.add(e.Limit)
	}
}

// refusals counts by error code. The set of codes is closed.
type refusals struct{ counts [len(codes)]atomic.Uint64 }

var codes = [...]Code{
	CodeBadFrame, CodeUnknownVerb, CodeBadSubject, CodeBadPosition, CodeUnauthenticated, CodeForbidden,
	CodeNoStream, CodeNoResponders, CodeTimeout, CodeService, CodeConflict, CodeQueueFull, CodeTooBig,
	CodeRateLimited, CodeLeaseLost, CodeNotFound, CodeTakenOver, CodeUnavailable, CodeInternal,
}

func (r *refusals) add(c Code) {
	for i := range codes {
		if codes[i] == c {
			r.counts[i].Add(1)
			return
		}
	}
}

// Each calls fn with every code and how often it was the reason.
func (r *refusals) Each(fn func(Code, uint64)) {
	for i := range codes {
		fn(codes[i], r.counts[i].Load())
	}
}
