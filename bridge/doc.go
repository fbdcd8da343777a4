// Package bridge is the middle of Jetway: it joins clients, whatever protocol
// they speak, and a broker that stores events. It imports the standard library
// alone.
//
// # Place in the flow
//
// Events flow gateway → bridge → jetstream and back; imports point here.
// Gateways make a [Client] of each socket, with an [Encoder] for its protocol
// and a [Transport] that writes, and hand it requests. The bridge hands the
// [Broker] publications and is a [Follower] of its streams. Neither side knows
// the other. There are two brokers: package jetstream, and bridge/memory for
// tests; bridge/brokertest is what both must pass.
//
// # Words
//
//   - client: a connected socket. session: what survives its reconnects: what a
//     Socket.IO client was subscribed to, and since when.
//   - event: what clients emit and receive; on the NATS side it is a message.
//   - subject, stream, consumer: NATS's own meanings. A filter is a subject
//     with wildcards. Another incarnation of a stream is one that was made
//     anew, or whose sequences went back: it has another tag.
//   - mapping: rules that give events names other than their subjects, for
//     protocols whose clients have names of their own, see [Mapping].
//   - position: a place in one or more streams, opaque to clients. A mark is
//     such a place in one stream.
//   - subscription: one client's interest in the subjects of a filter. It is
//     live while the hub offers it each event, and behind while it reads for
//     itself. A bundle is one with several filters. A durable is a position
//     that the broker keeps under a name.
//   - queue: a subject of the queue stream, whose messages are jobs: each is
//     given to one worker at a time, a client that works on the queue, under a
//     lease. A job that nobody could do becomes a dead letter.
//   - slot: a stream's place among the exposed ones. It outlives incarnations.
//   - ring: the newest part of the [Log], in memory. gap: messages that a
//     subscription wanted and that no longer exist.
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
//	jetstream.(*committer).run      as soon as the flight before is stored
//	jetstream.(*committer).flyGroup a flight; flyFree where syncs need no sharing
//	jetstream.(*committer).take     what it carries
//	jetstream.(*flight).send        few: one by one, or
//	jetstream.(*committer).commit   many: a batch, divided if it is refused
//	jetstream.(*committer).sendBatch which the server syncs once
//	jetstream.(*Broker).publish     to the NATS server
//	jetstream.(*inbox).dispatch     its acknowledgement
//	jetstream.(*call).receive       of one message; (*batchCall).receive of a batch
//	jetstream.(*committer).stored   each message's sequence, from one answer
//	jetstream.(*item).settle        answers it, once
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
//	bridge.(*Client).wakeLocked     something is to be written
//	bridge.(*crew).add              behind those who wait already
//	bridge.(*crew).run              it is this one's turn
//	bridge.(*Client).take           answers, the queue, and who is behind
//	bridge.(*Client).writeSome      as far as nobody has to wait
//	bridge.(*Client).fill           collects what leaves together
//	bridge.(*Client).deliver        skips what has been written before
//	native.(Encoder).Event          the frame; its body is made once for all
//	websock.(*Conn).WriteSome       one system call for all of it
//
// When the socket is full, or the broker has to be asked:
//
//	bridge.(*crew).aside            on a goroutine of the client's own
//	bridge.(*Client).write          what is left
//	websock.(*Conn).Write           waits, for some time
//
// Behind, from fill on:
//
//	bridge.(*Client).advance        the next step
//	bridge.(*Client).seek           where in the log, or not in the ring
//	bridge.(*history).attach        then the stream's history
//	bridge.(*history).run           as long as somebody reads it
//	bridge.(*history).admit         who has come
//	bridge.(*history).scan          one read for all who are far behind
//	bridge.(*history).spread        to each who wants it
//	bridge.(*history).stepNarrow    or a small read for one of few
//	jetstream.(*Broker).Read        both ask the stream
//	jetstream.(*sweep).pull         the scan in order, through one consumer
//	jetstream.(*Broker).getBatch    all else, and where no consumer can be had
//	bridge.(*historyReader).put     what it brings
//	bridge.(*historyReader).settle  wakes the writer
//	bridge.(*historyReader).reclaim but what nobody takes for 10 s is let go
//	bridge.(*Client).takeHistory    which writes it, and is advanced again
//	bridge.(*Client).takeSnapshot   from "last": single messages instead
//	bridge.(*Client).takeRing       the rest from memory
//	bridge.(*Client).goLive         and back to the hub
//
// From and to a stock Socket.IO client, other parts stand at the ends:
//
//	engineio.(*Session).receive     one message, from a poll or a WebSocket
//	socketio.(*Conn).message        a packet, when its attachments are there
//	sio.(*Socket).event             chooses
//	sio.(*Socket).publication       the subject of the name, the payload of the arguments
//	sio.(*Socket).publish           as above, from Publish on
//	sio.(*encoder).Event            the frame; made once for all of a namespace but its offset
//	sio.(*Socket).WriteSome         with the cursor, if that is how offsets are told
//	engineio.(*Session).WriteSome   one system call, or kept for the next poll
//
// On a subject that no stream covers there is neither log nor position:
//
//	jetstream.(*Broker).Listen      one for each filter, whatever the number of clients
//	bridge.(*listener).hear         to each subscription with this filter
//	bridge.(*Client).offer          and on as above; dropped if there is no room
//
// # Life of a job
//
// A job is published like an event, into the queue stream. Then:
//
//	bridge.(*queues).added          its watchers learn that it is queued
//	bridge.(*Client).Work           a client becomes a worker
//	jetstream.(*Broker).OpenQueue   one consumer for the whole cluster
//	bridge.(*queue).join            it has room for jobs
//	bridge.(*queue).pullLocked      as many are asked for, and no more
//	jetstream.(*Broker).Pull        the server hands them out
//	bridge.(*pull).take             or, after the last try, buries them
//	bridge.(*queue).giveLocked      to workers with room, in turn
//	bridge.(*queue).leaseLocked     with a lease each
//	native.(Encoder).Job            the frame
//	native.(*Session).settle        what the worker says of it
//	bridge.(*Client).SettleJob      finds the lease
//	bridge.(*lease).settle          refuses it when it comes too late
//	bridge.(*queues).tell           the result is stored before the job is removed
//	jetstream.(*Broker).Settle      which the server confirms
//	bridge.(*lease).finish          the worker has room again
//
// When the worker says nothing, or is gone:
//
//	bridge.(*lease).end             its time is over, or
//	bridge.(*lease).orphan          its socket is
//	bridge.(*queues).giveBack       somebody else may try, or
//	bridge.(*queues).bury           it was tried often enough: a dead letter
//	bridge.(*queues).deadRequest    which is put back, or dropped, by request
//
// # Concurrency
//
// One goroutine for each stream's tail, one for each shard of the hub, one for
// each history while somebody reads it; to write, as many as there are
// processors, while there is something to write, and one for each client whose
// socket is full or that needs the broker; the client's own goroutine is the one
// that reads its requests. Where it says "a client's writer", that is whoever
// writes for it just now: there is one at a time. Locks are taken in this order:
// a shard's, a listener's or a queue's, then a lease's, then a client's, then the
// log's, the leases' or the crew's. Nobody waits for the broker or a socket with
// one of them held.
package bridge
