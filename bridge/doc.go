// Package bridge is the middle of Jetway: it joins clients, whatever protocol
// they speak, and a broker that stores events. Gateways hand it requests and
// sockets; it hands the broker messages; neither knows the other. It imports
// the standard library alone.
//
// # Words
//
// A client is a connected socket, a session what survives its reconnects. An
// event is what clients emit and receive; on the NATS side it is a message. A
// subject, a stream and a consumer are NATS's own. A position names a place in
// one or more streams. A subscription is one client's interest in a filter of
// subjects; a durable is a position that the broker keeps under a name.
//
// # One log, many cursors
//
// Every stream is received once ([Broker.Follow]), whatever the number of
// clients, and put into one [Log], whose newest part, the ring, stays in
// memory. The hub offers each new event to the subscriptions that match it and
// are live. A subscription that is not, because it was just made, or its
// client is slow, or was away, catches up: from the stream's history, then
// from the ring, then it is live again, at an exact entry. Resuming and being
// slow are the same thing. A slow client costs a position, not a buffer.
//
// # Invariants
//
//   - Per subscription, the sequences of each stream ascend, and everything
//     that matches up to its marks has been written, once.
//   - What is missing is told: a gap in the answer, or a gap frame, in its
//     place among the events.
//   - Whatever waits for a client is bounded: its queue by references and
//     bytes, its answers by bytes, its requests by number, its history by
//     events and bytes.
//   - Nothing waits for a client: who offers an event to one that has no room
//     moves on, and the subscription falls behind.
//   - A subscription that is not live has exactly one who will move it: the
//     client's writer, a history, a timer, or the client's credit.
//
// # Life of an event, upstream
//
// From a client's message to the answer that it is stored:
//
//	websock.(*Conn).ReadMessage     one whole message, bounded, UTF-8
//	native.Parse                    a frame
//	native.(*Session).handle        counts bad frames
//	native.(*Session).verb          chooses
//	native.(*Session).pub           limits the rate
//	bridge.(*Client).Publish        validates, checks permissions
//	bridge.(*Client).publication    makes the message
//	jetstream.(*Broker).Publish     to the stream's committer
//	jetstream.(*committer).enqueue  bounded, in its owner's order
//	jetstream.(*committer).flyGroup a flight: one by one, or many in a batch
//	jetstream.(*flight).send        to the NATS server
//	jetstream.(*committer).stored   each message's sequence, from one answer
//	bridge.(*Bridge).published      notes the sequence
//	native.AppendPublished          the answer
//	bridge.(*Client).Reply          queued for the writer
//
// # Life of an event, downstream
//
// From the stream to the sockets of everyone who wants it:
//
//	jetstream.(*Broker).Follow      the tail, one for each stream
//	jetstream.(*tailLife).receive   checks that nothing is missing
//	bridge.(follower).Append        once for each event
//	bridge.(*Log).append            its place in the order, and in the ring
//	bridge.(*shard).run             walks the log
//	bridge.(*shard).dispatch        matches it, once for each shard
//	bridge.(*Client).offer          a reference in the client's queue
//	bridge.(*Client).wakeLocked     starts the writer, if it does not run
//	bridge.(*Client).write          the writer, until nothing is left to write
//	bridge.(*Client).fill           collects what leaves together
//	bridge.(*Client).take           answers, the queue, and who is behind
//	bridge.(*Client).deliver        skips what has been written before
//	native.(Encoder).Event          the frame; its body is made once for all
//	websock.(*Conn).Write           one system call for all of it
//
// Behind, from fill on:
//
//	bridge.(*Client).advance        the next step
//	bridge.(*Client).seek           where in the log, or not in the ring
//	bridge.(*history).attach        then the stream's history
//	bridge.(*history).scan          one read for all who are far behind
//	bridge.(*history).stepNarrow    or a small one for one of few
//	bridge.(*historyReader).put     what it brings
//	bridge.(*Client).takeHistory    to the writer
//	bridge.(*Client).takeRing       the rest from memory
//	bridge.(*Client).goLive         and back to the hub
//
// # Concurrency
//
// One goroutine for each stream's tail, one for each shard of the hub, one for
// each history while somebody reads it, one for each client while there is
// something to write; the client's own goroutine is the one that reads its
// requests. Locks are taken in this order: a shard's or a listener's, then a
// client's, then the log's. Nobody waits for the broker or a socket with one
// of them held.
package bridge
