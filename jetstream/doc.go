// Package jetstream implements [bridge.Broker], [bridge.QueueBroker] and
// [bridge.Requester] with NATS JetStream: an embedded nats-server in this
// process, or a connection to an external one.
//
// # Place in the flow
//
// Upstream: Publish → committer.enqueue → committer.run → nats-server → ack →
// done. Downstream: nats-server → tail.receive → Follower. History: Read and
// its sisters → history connection → direct get. Jobs: Publish as above; Pull →
// nats-server → pull.receive → PullRequest.Take; Settle → ask → nats-server →
// done. Delayed jobs: Publish → delay → the stream of delayed jobs → nats-server,
// when their time has come → moveDue → Publish. Services: Request → ask → done.
// No NATS type appears in an exported signature.
//
// # Invariants
//
//   - A done function is called exactly once, also by timeouts and by Close.
//   - The messages of one owner are stored in the order of their publication.
//   - A tail hands over each sequence at most once, ascending, and says what it
//     could not hand over; see tail.go.
//   - A stream is never changed in a way that loses messages; see streams.go.
//   - A job is removed only by a settlement, or by the TTL that it was
//     published with. A message that arrives for a pull that has ended is given
//     back at once. Jobs are not fenced; see settle.go.
//   - A delayed job is in one of two streams until it is done. Between them it
//     is moved at least once, and within the dedupe window stored once.
//   - Only the jobs of a queue that is full are refused; see limit.go.
//   - Of those who save a session with the same revision one wins, in the whole
//     cluster; its bucket is made again when it is gone. See sessionbucket.go.
//   - Another incarnation of a stream has another tag: it was made again, or
//     its sequences went back; see incarnation.go.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Goroutines: one committer
// per stream, one watcher for all streams, one mover of delayed jobs, and one
// per Follow (the caller's). Settlements and requests have a timer each and no
// goroutine. A gateway that is asked something by others (gateways.go) answers
// on one per request, 1,000 at most. nats.go adds its own, one of them per
// pull. [Broker.Close] waits for all of them.
//
// # Connections
//
// Two: one for publishing, tails, jobs, requests, sessions and control, one for
// history and for looking up sessions. nats-server
// answers a direct get inside the loop that reads its client's connection, so
// that a long read would hold up the publishes behind it.
package jetstream
