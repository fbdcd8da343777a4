// Package memory is a [bridge.Broker], with queues, services and sessions, that
// lives in the process: for tests, examples and trying things out. It keeps the
// whole contract (limits, deduplication, TTL, conditions, durables, signals,
// incarnations, queues with delays, requests, sessions, gateways that ask each
// other) except that nothing survives the process. Several gateways may share
// one Broker.
//
// # How it is built
//
// A stream is a mutex around a log (log.go): the messages by sequence and an
// index of them by subject. Sequences are given out under that mutex, so a
// caller's messages are stored in the order of its calls.
//
// Follow works in its caller's goroutine and waits on a channel that the next
// change closes. What is too old is dropped when the stream is next used, so
// that in a testing/synctest bubble expiry is exact. Callbacks run in the
// publisher's goroutine and never with a lock held: they may call the Broker
// again.
//
// The jobs are a stream, too, with the mutex of which all queues are guarded.
// A queue (queue.go) adds what JetStream's consumer would know: which jobs were
// handed out, and the pulls that wait (pull.go). Only there is a need for
// timers: one for each job that is held, each pull and each request that
// waits, and one for the delayed jobs (delay.go). [Broker.Close] ends them.
// The only goroutines are those in which services (request.go) and gateways
// (gateway.go) make up their answers. Sessions (session.go) are forgotten, as
// messages are, when one is next asked for.
//
// # Caveats
//
// A filter without wildcards is looked up in the index. One with wildcards is
// matched against every message between ReadRequest.From and the end of the
// batch (reads), or against every subject (Count, LastSeqs): linear, never
// quadratic over the pages of a read.
//
// A message that leaves by its own TTL or by [Broker.Delete] counts as deleted
// on purpose; one that leaves by the stream's limits or by [Broker.Trim]
// counts as trimmed, and whoever had not read it is told that it is lost.
package memory
